#include "store/store_insight.h"

#include "base/alloc.h"
#include "store/pg_tx.h"
#include "store/store_ask.h"

static void on_jobs_answer(const struct pg_answer *answer, void *arg)
{
    const struct ask *ask = arg;
    size_t count = answer->fault.class == FAULT_NONE ? pg_rows(answer, 0) : 0;
    struct store_analysis_job *jobs = xcalloc(count + 1, sizeof *jobs);
    for (size_t i = 0; i < count; i++) {
        jobs[i].job_id = pg_uuid(answer, 0, i, COL_INSIGHT_TAKE_JOB_ID);
        jobs[i].organization_id = pg_uuid(answer, 0, i, COL_INSIGHT_TAKE_ORGANIZATION_ID);
        jobs[i].call_id = pg_uuid(answer, 0, i, COL_INSIGHT_TAKE_CALL_ID);
        jobs[i].tries = (int32_t)pg_i64(answer, 0, i, COL_INSIGHT_TAKE_TRIES);
    }
    ask->on.analysis_jobs(&answer->fault, jobs, count, ask->arg);
    xfree(jobs);
}

int store_analysis_take(struct pg_tx **op, struct pg_pool *db, const struct uuid *worker_id,
                        int32_t want, int32_t lease_s, int64_t delay_ms, int64_t at_us,
                        store_analysis_jobs_fn *on_done, void *arg)
{
    struct pg_tx *tx = pg_tx_new(db, PG_WORKER, NULL);
    struct ask *ask = ask_new(tx, arg);
    ask->on.analysis_jobs = on_done;
    pg_tx_statement(tx, SQL_INSIGHT_TAKE);
    pg_tx_uuid(tx, worker_id);
    pg_tx_i64(tx, want);
    pg_tx_i64(tx, lease_s);
    pg_tx_i64(tx, delay_ms);
    pg_tx_time(tx, at_us);
    return pg_tx_start(&tx, op, on_jobs_answer, ask);
}

static void on_call_answer(const struct pg_answer *answer, void *arg)
{
    const struct ask *ask = arg;
    struct store_analysis_call call = {.found = false};
    if (answer->fault.class != FAULT_NONE || pg_rows(answer, 0) == 0) {
        ask->on.analysis_call(&answer->fault, &call, ask->arg);
        return;
    }
    size_t count = pg_rows(answer, 1);
    struct store_analysis_turn *turns = xcalloc(count + 1, sizeof *turns);
    for (size_t i = 0; i < count; i++) {
        turns[i].turn_id = pg_uuid(answer, 1, i, COL_INSIGHT_TRANSCRIPT_TURN_ID);
        turns[i].speaker = pg_str(answer, 1, i, COL_INSIGHT_TRANSCRIPT_SPEAKER);
        turns[i].body = pg_str(answer, 1, i, COL_INSIGHT_TRANSCRIPT_BODY);
        turns[i].cut = pg_bool(answer, 1, i, COL_INSIGHT_TRANSCRIPT_CUT);
    }
    call.found = true;
    call.duration_s = (int32_t)pg_i64(answer, 0, 0, COL_INSIGHT_CALL_DURATION_S);
    call.ended_us = pg_time(answer, 0, 0, COL_INSIGHT_CALL_ENDED_AT);
    call.zone = pg_str(answer, 0, 0, COL_INSIGHT_CALL_ZONE);
    call.campaign_name = pg_str(answer, 0, 0, COL_INSIGHT_CALL_CAMPAIGN_NAME);
    call.description = pg_str(answer, 0, 0, COL_INSIGHT_CALL_DESCRIPTION);
    call.disposition = pg_str(answer, 0, 0, COL_INSIGHT_CALL_DISPOSITION);
    call.opted_out = pg_bool(answer, 0, 0, COL_INSIGHT_CALL_OPTED_OUT);
    call.turns = turns;
    call.turn_count = count;
    ask->on.analysis_call(&answer->fault, &call, ask->arg);
    xfree(turns);
}

int store_analysis_call(struct pg_tx **op, struct pg_pool *db, const struct store_analysis_job *job,
                        store_analysis_call_fn *on_done, void *arg)
{
    struct pg_tx *tx = pg_tx_new(db, PG_WORKER, &job->organization_id);
    struct ask *ask = ask_new(tx, arg);
    ask->on.analysis_call = on_done;
    pg_tx_statement(tx, SQL_INSIGHT_CALL);
    pg_tx_uuid(tx, &job->call_id);
    pg_tx_statement(tx, SQL_INSIGHT_TRANSCRIPT);
    pg_tx_uuid(tx, &job->call_id);
    return pg_tx_start(&tx, op, on_call_answer, ask);
}

static void on_stored_answer(const struct pg_answer *answer, void *arg)
{
    const struct ask *ask = arg;
    bool there = answer->fault.class == FAULT_NONE && pg_rows(answer, 0) == 1;
    ask->on.insight(&answer->fault, there && pg_bool(answer, 0, 0, COL_INSIGHT_STORE_STORED),
                    there ? (int32_t)pg_i64(answer, 0, 0, COL_INSIGHT_STORE_TASKS_MADE) : 0,
                    ask->arg);
}

int store_insight_put(struct pg_tx **op, struct pg_pool *db, const struct store_insight *insight,
                      store_insight_fn *on_done, void *arg)
{
    struct pg_tx *tx = pg_tx_new(db, PG_WORKER, &insight->job->organization_id);
    struct ask *ask = ask_new(tx, arg);
    ask->on.insight = on_done;
    pg_tx_statement(tx, SQL_INSIGHT_STORE);
    pg_tx_uuid(tx, &insight->job->job_id);
    pg_tx_uuid(tx, insight->worker_id);
    pg_tx_json(tx, insight->insight);
    pg_tx_json(tx, insight->analysis);
    pg_tx_json(tx, insight->tasks);
    pg_tx_json(tx, insight->usage);
    pg_tx_word(tx, insight->model);
    pg_tx_time(tx, insight->at_us);
    return pg_tx_start(&tx, op, on_stored_answer, ask);
}

int store_analysis_fail(struct pg_tx **op, struct pg_pool *db, const struct store_analysis_job *job,
                        const struct uuid *worker_id, const char *error, const json_t *usage,
                        int64_t retry_us, int64_t at_us, store_done_fn *on_done, void *arg)
{
    struct pg_tx *tx = pg_tx_new(db, PG_WORKER, &job->organization_id);
    struct ask *ask = ask_new(tx, arg);
    ask->on.done = on_done;
    pg_tx_statement(tx, SQL_INSIGHT_JOB_FAIL);
    pg_tx_uuid(tx, &job->job_id);
    pg_tx_uuid(tx, worker_id);
    pg_tx_cstr(tx, error);
    pg_tx_json(tx, usage);
    pg_tx_time(tx, retry_us);
    pg_tx_time(tx, at_us);
    return pg_tx_start(&tx, op, ask_done_only, ask);
}

static void on_again_answer(const struct pg_answer *answer, void *arg)
{
    const struct ask *ask = arg;
    bool queued = answer->fault.class == FAULT_NONE && pg_rows(answer, 0) == 1 &&
                  pg_bool(answer, 0, 0, COL_INSIGHT_AGAIN_QUEUED);
    ask->on.again(&answer->fault, queued, ask->arg);
}

int store_analysis_again(struct pg_tx **op, struct pg_pool *db, const struct uuid *organization_id,
                         const struct uuid *call_id, int64_t at_us, store_again_fn *on_done,
                         void *arg)
{
    struct pg_tx *tx = pg_tx_new(db, PG_WORKER, organization_id);
    struct ask *ask = ask_new(tx, arg);
    ask->on.again = on_done;
    pg_tx_statement(tx, SQL_INSIGHT_AGAIN);
    pg_tx_uuid(tx, call_id);
    pg_tx_time(tx, at_us);
    return pg_tx_start(&tx, op, on_again_answer, ask);
}
