#include "store/store_handoff.h"

#include "base/alloc.h"
#include "store/pg_tx.h"
#include "store/store_ask.h"

static void on_transfer_answer(const struct pg_answer *answer, void *arg)
{
    const struct ask *ask = arg;
    if (answer->fault.class != FAULT_NONE || pg_rows(answer, 0) == 0) {
        ask->on.transfer(&answer->fault, false, STR_NONE, STR_NONE, ask->arg);
        return;
    }
    ask->on.transfer(&answer->fault, pg_bool(answer, 0, 0, COL_HANDOFF_TRANSFER_REQUEST_GRANTED),
                     pg_str(answer, 0, 0, COL_HANDOFF_TRANSFER_REQUEST_WHY),
                     pg_str(answer, 0, 0, COL_HANDOFF_TRANSFER_REQUEST_AGENT_NAME), ask->arg);
}

int store_transfer_request(struct pg_tx **op, struct pg_pool *db,
                           const struct uuid *organization_id, const struct uuid *call_id,
                           const char *reason, const char *summary, int64_t at_us,
                           store_transfer_fn *on_done, void *arg)
{
    struct pg_tx *tx = pg_tx_new(db, PG_WORKER, organization_id);
    struct ask *ask = ask_new(tx, arg);
    ask->on.transfer = on_done;
    pg_tx_statement(tx, SQL_HANDOFF_TRANSFER_REQUEST);
    pg_tx_uuid(tx, call_id);
    pg_tx_cstr(tx, reason);
    pg_tx_cstr(tx, summary);
    pg_tx_time(tx, at_us);
    return pg_tx_start(&tx, op, on_transfer_answer, ask);
}

static void on_after_answer(const struct pg_answer *answer, void *arg)
{
    const struct ask *ask = arg;
    struct store_after after = {0};
    if (answer->fault.class == FAULT_NONE && pg_rows(answer, 0) == 1) {
        after.agent = str_eq(pg_str(answer, 0, 0, COL_HANDOFF_AFTER_NEXT), STR("agent"));
        pg_copy(answer, 0, 0, COL_HANDOFF_AFTER_AGENT_NUMBER, after.agent_e164,
                sizeof after.agent_e164);
        pg_copy(answer, 0, 0, COL_HANDOFF_AFTER_CALLER_NUMBER, after.caller_e164,
                sizeof after.caller_e164);
        after.ring_timeout_s = (int32_t)pg_i64(answer, 0, 0, COL_HANDOFF_AFTER_RING_TIMEOUT_S);
        after.time_limit_s = (int32_t)pg_i64(answer, 0, 0, COL_HANDOFF_AFTER_TIME_LIMIT_S);
        after.record = pg_bool(answer, 0, 0, COL_HANDOFF_AFTER_RECORD);
        pg_copy(answer, 0, 0, COL_HANDOFF_AFTER_LANGUAGE, after.language, sizeof after.language);
    }
    ask->on.after(&answer->fault, &after, ask->arg);
}

int store_transfer_after(struct pg_tx **op, struct pg_pool *db, const struct store_leg *leg,
                         store_after_fn *on_done, void *arg)
{
    struct pg_tx *tx = pg_tx_new(db, PG_WORKER, leg->organization_id);
    struct ask *ask = ask_new(tx, arg);
    ask->on.after = on_done;
    pg_tx_statement(tx, SQL_HANDOFF_AFTER);
    pg_tx_uuid(tx, leg->call_id);
    pg_tx_cstr(tx, leg->event_key);
    pg_tx_json(tx, leg->payload);
    pg_tx_time(tx, leg->at_us);
    return pg_tx_start(&tx, op, on_after_answer, ask);
}

static void on_whisper_answer(const struct pg_answer *answer, void *arg)
{
    const struct ask *ask = arg;
    if (answer->fault.class != FAULT_NONE || pg_rows(answer, 0) == 0) {
        ask->on.words(&answer->fault, STR_NONE, STR_NONE, STR_NONE, ask->arg);
        return;
    }
    ask->on.words(&answer->fault, STR("whisper"),
                  pg_str(answer, 0, 0, COL_HANDOFF_WHISPER_BRIEFING),
                  pg_str(answer, 0, 0, COL_HANDOFF_WHISPER_LANGUAGE), ask->arg);
}

int store_agent_whisper(struct pg_tx **op, struct pg_pool *db, const struct store_leg *leg,
                        store_words_fn *on_done, void *arg)
{
    struct pg_tx *tx = pg_tx_new(db, PG_WORKER, leg->organization_id);
    struct ask *ask = ask_new(tx, arg);
    ask->on.words = on_done;
    pg_tx_statement(tx, SQL_HANDOFF_WHISPER);
    pg_tx_uuid(tx, leg->call_id);
    pg_tx_cstr(tx, leg->event_key);
    pg_tx_word(tx, leg->leg_call_id);
    pg_tx_json(tx, leg->payload);
    pg_tx_time(tx, leg->at_us);
    return pg_tx_start(&tx, op, on_whisper_answer, ask);
}

/* agent_event and agent_action take the same parameters. */
static struct pg_tx *leg_tx(struct pg_pool *db, enum sql_id statement, const struct store_leg *leg)
{
    struct pg_tx *tx = pg_tx_new(db, PG_WORKER, leg->organization_id);
    pg_tx_statement(tx, statement);
    pg_tx_uuid(tx, leg->call_id);
    pg_tx_cstr(tx, leg->event_key);
    pg_tx_cstr(tx, leg->leg_state);
    pg_tx_word(tx, leg->leg_call_id);
    pg_tx_i64(tx, leg->duration_s);
    pg_tx_json(tx, leg->payload);
    pg_tx_time(tx, leg->at_us);
    return tx;
}

static void on_action_answer(const struct pg_answer *answer, void *arg)
{
    const struct ask *ask = arg;
    if (answer->fault.class != FAULT_NONE || pg_rows(answer, 0) == 0) {
        ask->on.words(&answer->fault, STR_NONE, STR_NONE, STR_NONE, ask->arg);
        return;
    }
    ask->on.words(&answer->fault, pg_str(answer, 0, 0, COL_HANDOFF_AGENT_ACTION_NEXT),
                  pg_str(answer, 0, 0, COL_HANDOFF_AGENT_ACTION_APOLOGY),
                  pg_str(answer, 0, 0, COL_HANDOFF_AGENT_ACTION_LANGUAGE), ask->arg);
}

int store_agent_action(struct pg_tx **op, struct pg_pool *db, const struct store_leg *leg,
                       store_words_fn *on_done, void *arg)
{
    struct pg_tx *tx = leg_tx(db, SQL_HANDOFF_AGENT_ACTION, leg);
    struct ask *ask = ask_new(tx, arg);
    ask->on.words = on_done;
    return pg_tx_start(&tx, op, on_action_answer, ask);
}

int store_agent_event(struct pg_tx **op, struct pg_pool *db, const struct store_leg *leg,
                      store_done_fn *on_done, void *arg)
{
    struct pg_tx *tx = leg_tx(db, SQL_HANDOFF_AGENT_EVENT, leg);
    struct ask *ask = ask_new(tx, arg);
    ask->on.done = on_done;
    return pg_tx_start(&tx, op, ask_done_only, ask);
}

int store_recording_announced(struct pg_tx **op, struct pg_pool *db, const struct store_leg *leg,
                              const char *carrier_recording_id, const char *carrier_url,
                              int64_t duration_ms, store_done_fn *on_done, void *arg)
{
    struct pg_tx *tx = pg_tx_new(db, PG_WORKER, leg->organization_id);
    struct ask *ask = ask_new(tx, arg);
    ask->on.done = on_done;
    pg_tx_statement(tx, SQL_HANDOFF_RECORDING_ANNOUNCED);
    pg_tx_uuid(tx, leg->call_id);
    pg_tx_cstr(tx, leg->event_key);
    pg_tx_word(tx, carrier_recording_id);
    pg_tx_word(tx, carrier_url);
    pg_tx_i64(tx, duration_ms);
    pg_tx_json(tx, leg->payload);
    pg_tx_time(tx, leg->at_us);
    return pg_tx_start(&tx, op, ask_done_only, ask);
}

static void on_due_answer(const struct pg_answer *answer, void *arg)
{
    const struct ask *ask = arg;
    size_t count = answer->fault.class == FAULT_NONE ? pg_rows(answer, 0) : 0;
    struct store_recording_due *due = xcalloc(count + 1, sizeof *due);
    for (size_t i = 0; i < count; i++) {
        due[i].organization_id = pg_uuid(answer, 0, i, COL_HANDOFF_RECORDINGS_DUE_ORGANIZATION_ID);
        due[i].recording_id = pg_uuid(answer, 0, i, COL_HANDOFF_RECORDINGS_DUE_RECORDING_ID);
        due[i].call_id = pg_uuid(answer, 0, i, COL_HANDOFF_RECORDINGS_DUE_CALL_LOG_ID);
        pg_copy(answer, 0, i, COL_HANDOFF_RECORDINGS_DUE_CARRIER_URL, due[i].carrier_url,
                sizeof due[i].carrier_url);
        due[i].ended_us = pg_time(answer, 0, i, COL_HANDOFF_RECORDINGS_DUE_ENDED_AT);
    }
    ask->on.recordings_due(&answer->fault, due, count, ask->arg);
    xfree(due);
}

int store_recordings_due(struct pg_tx **op, struct pg_pool *db, int32_t want, int32_t lease_s,
                         int64_t at_us, store_recordings_due_fn *on_done, void *arg)
{
    struct pg_tx *tx = pg_tx_new(db, PG_WORKER, NULL);
    struct ask *ask = ask_new(tx, arg);
    ask->on.recordings_due = on_done;
    pg_tx_statement(tx, SQL_HANDOFF_RECORDINGS_DUE);
    pg_tx_i64(tx, want);
    pg_tx_time(tx, at_us);
    pg_tx_i64(tx, lease_s);
    return pg_tx_start(&tx, op, on_due_answer, ask);
}

int store_recording_fetched(struct pg_tx **op, struct pg_pool *db,
                            const struct uuid *organization_id, const struct uuid *recording_id,
                            const char *path, const char *url, int64_t bytes, int64_t at_us,
                            store_done_fn *on_done, void *arg)
{
    struct pg_tx *tx = pg_tx_new(db, PG_WORKER, organization_id);
    struct ask *ask = ask_new(tx, arg);
    ask->on.done = on_done;
    pg_tx_statement(tx, SQL_HANDOFF_RECORDING_FETCHED);
    pg_tx_uuid(tx, recording_id);
    pg_tx_cstr(tx, path);
    pg_tx_cstr(tx, url);
    pg_tx_i64(tx, bytes);
    pg_tx_time(tx, at_us);
    return pg_tx_start(&tx, op, ask_done_only, ask);
}

int store_recording_missed(struct pg_tx **op, struct pg_pool *db,
                           const struct uuid *organization_id, const struct uuid *recording_id,
                           int64_t at_us, store_done_fn *on_done, void *arg)
{
    struct pg_tx *tx = pg_tx_new(db, PG_WORKER, organization_id);
    struct ask *ask = ask_new(tx, arg);
    ask->on.done = on_done;
    pg_tx_statement(tx, SQL_HANDOFF_RECORDING_MISSED);
    pg_tx_uuid(tx, recording_id);
    pg_tx_time(tx, at_us);
    return pg_tx_start(&tx, op, ask_done_only, ask);
}
