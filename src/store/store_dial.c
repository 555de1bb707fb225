#include "store/store_dial.h"

#include "base/alloc.h"
#include "store/pg_tx.h"
#include "store/store_ask.h"

#include <string.h>

/* --- workers ------------------------------------------------------------------------------------
 */

int store_worker_start(struct pg_tx **op, struct pg_pool *db, const struct store_node *node,
                       const struct uuid *worker_id, const char *lock_path, int64_t at_us,
                       store_done_fn *on_done, void *arg)
{
    struct pg_tx *tx = pg_tx_new(db, PG_WORKER, NULL);
    struct ask *ask = ask_new(tx, arg);
    ask->on.done = on_done;
    pg_tx_statement(tx, SQL_DIAL_WORKER_START);
    pg_tx_uuid(tx, &node->node_id);
    pg_tx_cstr(tx, node->name);
    pg_tx_cstr(tx, node->version);
    pg_tx_cstr(tx, node->public_url);
    pg_tx_uuid(tx, worker_id);
    pg_tx_cstr(tx, lock_path);
    pg_tx_time(tx, at_us);
    return pg_tx_start(&tx, op, ask_done_only, ask);
}

static void on_heartbeat(const struct pg_answer *a, void *arg)
{
    const struct ask *ask = arg;
    ask->on.heartbeat(
        &a->fault, ask_has_row(a, 0) ? pg_time(a, 0, 0, COL_DIAL_HEARTBEAT_DB_NOW) : 0, ask->arg);
}

int store_heartbeat(struct pg_tx **op, struct pg_pool *db, const struct uuid *node_id,
                    bool stopping, int64_t at_us, store_heartbeat_fn *on_done, void *arg)
{
    struct pg_tx *tx = pg_tx_new(db, PG_WORKER, NULL);
    struct ask *ask = ask_new(tx, arg);
    ask->on.heartbeat = on_done;
    pg_tx_statement(tx, SQL_DIAL_HEARTBEAT);
    pg_tx_uuid(tx, node_id);
    pg_tx_bool(tx, stopping);
    pg_tx_time(tx, at_us);
    return pg_tx_start(&tx, op, on_heartbeat, ask);
}

static void on_dead(const struct pg_answer *a, void *arg)
{
    const struct ask *ask = arg;
    ask->on.count(&a->fault,
                  ask_has_row(a, 0) ? pg_i64(a, 0, 0, COL_DIAL_WORKER_DEAD_SIGNED_OFF) : 0,
                  ask->arg);
}

int store_worker_dead(struct pg_tx **op, struct pg_pool *db, const struct uuid *worker_id,
                      const char *proof, int64_t at_us, store_count_fn *on_done, void *arg)
{
    struct pg_tx *tx = pg_tx_new(db, PG_WORKER, NULL);
    struct ask *ask = ask_new(tx, arg);
    ask->on.count = on_done;
    pg_tx_statement(tx, SQL_DIAL_WORKER_DEAD);
    pg_tx_uuid(tx, worker_id);
    pg_tx_cstr(tx, proof);
    pg_tx_time(tx, at_us);
    return pg_tx_start(&tx, op, on_dead, ask);
}

/* --- claim, brief, result -----------------------------------------------------------------------
 */

static void read_claimed(const struct pg_answer *a, size_t row, struct store_claimed *out)
{
    out->call_id = pg_uuid(a, 0, row, COL_DIAL_CLAIM_CALL_ID);
    out->organization_id = pg_uuid(a, 0, row, COL_DIAL_CLAIM_ORGANIZATION_ID);
    out->campaign_id = pg_uuid(a, 0, row, COL_DIAL_CLAIM_CAMPAIGN_ID);
    out->lead_id = pg_uuid(a, 0, row, COL_DIAL_CLAIM_LEAD_ID);
    out->queue_id = pg_uuid(a, 0, row, COL_DIAL_CLAIM_QUEUE_ID);
    out->carrier_account_id = pg_uuid(a, 0, row, COL_DIAL_CLAIM_CARRIER_ACCOUNT_ID);
    pg_copy(a, 0, row, COL_DIAL_CLAIM_CALLER_NUMBER, out->caller_e164, sizeof out->caller_e164);
    pg_copy(a, 0, row, COL_DIAL_CLAIM_CALLEE_NUMBER, out->callee_e164, sizeof out->callee_e164);
    out->attempt_number = (int32_t)pg_i64(a, 0, row, COL_DIAL_CLAIM_ATTEMPT_NUMBER);
}

static void on_claim(const struct pg_answer *a, void *arg)
{
    const struct ask *ask = arg;
    size_t count = a->fault.class == FAULT_NONE ? pg_rows(a, 0) : 0;
    struct store_claimed *claimed = xcalloc(count + 1, sizeof *claimed);
    for (size_t i = 0; i < count; i++) {
        read_claimed(a, i, &claimed[i]);
    }
    ask->on.claim(&a->fault, claimed, count, ask->arg);
    xfree(claimed);
}

int store_claim(struct pg_tx **op, struct pg_pool *db, const struct uuid *node_id,
                const struct uuid *worker_id, uint32_t want, int64_t lease_ms, int64_t at_us,
                store_claim_fn *on_done, void *arg)
{
    struct pg_tx *tx = pg_tx_new(db, PG_WORKER, NULL);
    struct ask *ask = ask_new(tx, arg);
    ask->on.claim = on_done;
    pg_tx_statement(tx, SQL_DIAL_CLAIM);
    pg_tx_uuid(tx, node_id);
    pg_tx_uuid(tx, worker_id);
    pg_tx_i64(tx, want);
    pg_tx_time(tx, at_us);
    pg_tx_i64(tx, lease_ms);
    return pg_tx_start(&tx, op, on_claim, ask);
}

static void on_brief(const struct pg_answer *a, void *arg)
{
    const struct ask *ask = arg;
    if (!ask_has_row(a, 0)) {
        ask->on.brief(&a->fault, NULL, STR_NONE, ask->arg);
        return;
    }
    OWNED(json_free) json_t *brief = NULL;
    if (json_parse(pg_str(a, 0, 0, COL_DIAL_BRIEF_BRIEF), &brief) < 0) {
        struct fault fault = fault_make(FAULT_BROKEN, 0, "brief", "the brief is no usable JSON");
        ask->on.brief(&fault, NULL, STR_NONE, ask->arg);
        return;
    }
    ask->on.brief(&a->fault, brief, pg_str(a, 1, 0, COL_DIAL_MAY_POST_REFUSAL), ask->arg);
}

int store_brief(struct pg_tx **op, struct pg_pool *db, const struct uuid *organization_id,
                const struct uuid *call_id, int64_t at_us, store_brief_fn *on_done, void *arg)
{
    struct pg_tx *tx = pg_tx_new(db, PG_WORKER, organization_id);
    struct ask *ask = ask_new(tx, arg);
    ask->on.brief = on_done;
    pg_tx_statement(tx, SQL_DIAL_BRIEF);
    pg_tx_uuid(tx, call_id);
    pg_tx_time(tx, at_us);
    pg_tx_statement(tx, SQL_DIAL_MAY_POST);
    pg_tx_uuid(tx, call_id);
    pg_tx_time(tx, at_us);
    return pg_tx_start(&tx, op, on_brief, ask);
}

static void on_place_result(const struct pg_answer *a, void *arg)
{
    const struct ask *ask = arg;
    ask->on.status(&a->fault,
                   ask_has_row(a, 0) ? pg_str(a, 0, 0, COL_DIAL_PLACE_RESULT_STATUS) : STR_NONE,
                   ask->arg);
}

int store_place_result(struct pg_tx **op, struct pg_pool *db, const struct store_placed *placed,
                       store_status_fn *on_done, void *arg)
{
    struct pg_tx *tx = pg_tx_new(db, PG_WORKER, placed->organization_id);
    struct ask *ask = ask_new(tx, arg);
    ask->on.status = on_done;
    pg_tx_ordered(tx, placed->call_id);
    pg_tx_statement(tx, SQL_DIAL_PLACE_RESULT);
    pg_tx_uuid(tx, placed->call_id);
    pg_tx_cstr(tx, placed->result);
    pg_tx_word(tx, placed->resolved_by);
    pg_tx_word(tx, placed->request_uuid);
    pg_tx_word(tx, placed->call_uuid);
    if (placed->http_status != 0) {
        pg_tx_i64(tx, placed->http_status);
    } else {
        pg_tx_null(tx);
    }
    pg_tx_word(tx, placed->detail);
    pg_tx_bool(tx, placed->permanent);
    pg_tx_time(tx, placed->at_us);
    return pg_tx_start(&tx, op, on_place_result, ask);
}

int store_account_trouble(struct pg_tx **op, struct pg_pool *db, const struct uuid *organization_id,
                          const struct uuid *account_id, const char *detail, int64_t rest_ms,
                          int64_t at_us, store_done_fn *on_done, void *arg)
{
    struct pg_tx *tx = pg_tx_new(db, PG_WORKER, organization_id);
    struct ask *ask = ask_new(tx, arg);
    ask->on.done = on_done;
    pg_tx_statement(tx, SQL_DIAL_ACCOUNT_TROUBLE);
    pg_tx_uuid(tx, account_id);
    pg_tx_cstr(tx, detail);
    pg_tx_i64(tx, rest_ms);
    pg_tx_time(tx, at_us);
    return pg_tx_start(&tx, op, ask_done_only, ask);
}

/* --- sweeps and reconciliation ------------------------------------------------------------------
 */

static void on_sweep(const struct pg_answer *a, void *arg)
{
    const struct ask *ask = arg;
    size_t count = a->fault.class == FAULT_NONE ? pg_rows(a, 0) : 0;
    struct store_swept *swept = xcalloc(count + 1, sizeof *swept);
    for (size_t i = 0; i < count; i++) {
        swept[i].call_id = pg_uuid(a, 0, i, COL_DIAL_LEASE_SWEEP_CALL_ID);
        swept[i].organization_id = pg_uuid(a, 0, i, COL_DIAL_LEASE_SWEEP_ORGANIZATION_ID);
        pg_copy(a, 0, i, COL_DIAL_LEASE_SWEEP_WAS, swept[i].was, sizeof swept[i].was);
    }
    ask->on.sweep(&a->fault, swept, count, ask->arg);
    xfree(swept);
}

int store_lease_sweep(struct pg_tx **op, struct pg_pool *db, int64_t slack_ms, int64_t at_us,
                      store_sweep_fn *on_done, void *arg)
{
    struct pg_tx *tx = pg_tx_new(db, PG_WORKER, NULL);
    struct ask *ask = ask_new(tx, arg);
    ask->on.sweep = on_done;
    pg_tx_statement(tx, SQL_DIAL_LEASE_SWEEP);
    pg_tx_i64(tx, slack_ms);
    pg_tx_time(tx, at_us);
    return pg_tx_start(&tx, op, on_sweep, ask);
}

static void read_unknown(const struct pg_answer *a, size_t row, struct store_unknown *out)
{
    out->call_id = pg_uuid(a, 0, row, COL_DIAL_UNKNOWN_DUE_CALL_ID);
    out->organization_id = pg_uuid(a, 0, row, COL_DIAL_UNKNOWN_DUE_ORGANIZATION_ID);
    out->carrier_account_id = pg_uuid(a, 0, row, COL_DIAL_UNKNOWN_DUE_CARRIER_ACCOUNT_ID);
    out->worker_id = pg_uuid(a, 0, row, COL_DIAL_UNKNOWN_DUE_WORKER_ID);
    pg_copy(a, 0, row, COL_DIAL_UNKNOWN_DUE_STATUS, out->status, sizeof out->status);
    pg_copy(a, 0, row, COL_DIAL_UNKNOWN_DUE_CALLER_NUMBER, out->caller_e164,
            sizeof out->caller_e164);
    pg_copy(a, 0, row, COL_DIAL_UNKNOWN_DUE_CALLEE_NUMBER, out->callee_e164,
            sizeof out->callee_e164);
    pg_copy(a, 0, row, COL_DIAL_UNKNOWN_DUE_CALL_SID, out->call_uuid, sizeof out->call_uuid);
    out->intent_us = pg_time(a, 0, row, COL_DIAL_UNKNOWN_DUE_INTENT_AT);
    out->signed_off = pg_bool(a, 0, row, COL_DIAL_UNKNOWN_DUE_SIGNED_OFF);
}

static void on_unknown(const struct pg_answer *a, void *arg)
{
    const struct ask *ask = arg;
    size_t count = a->fault.class == FAULT_NONE ? pg_rows(a, 0) : 0;
    struct store_unknown *due = xcalloc(count + 1, sizeof *due);
    for (size_t i = 0; i < count; i++) {
        read_unknown(a, i, &due[i]);
    }
    ask->on.unknown(&a->fault, due, count, ask->arg);
    xfree(due);
}

int store_unknown_due(struct pg_tx **op, struct pg_pool *db, uint32_t want, int64_t retry_ms,
                      int64_t at_us, store_unknown_fn *on_done, void *arg)
{
    struct pg_tx *tx = pg_tx_new(db, PG_WORKER, NULL);
    struct ask *ask = ask_new(tx, arg);
    ask->on.unknown = on_done;
    pg_tx_statement(tx, SQL_DIAL_UNKNOWN_DUE);
    pg_tx_i64(tx, want);
    pg_tx_i64(tx, retry_ms);
    pg_tx_time(tx, at_us);
    return pg_tx_start(&tx, op, on_unknown, ask);
}

static void on_unknown_state(const struct pg_answer *a, void *arg)
{
    const struct ask *ask = arg;
    struct store_unknown_state state = {0};
    if (ask_has_row(a, 0)) {
        state.unknown_calls = pg_i64(a, 0, 0, COL_DIAL_UNKNOWN_STATE_UNKNOWN_CALLS);
        state.oldest_s = pg_i64(a, 0, 0, COL_DIAL_UNKNOWN_STATE_OLDEST_S);
        state.live_calls = pg_i64(a, 0, 0, COL_DIAL_UNKNOWN_STATE_LIVE_CALLS);
    }
    ask->on.unknown_state(&a->fault, &state, ask->arg);
}

int store_unknown_state(struct pg_tx **op, struct pg_pool *db, int64_t at_us,
                        store_unknown_state_fn *on_done, void *arg)
{
    struct pg_tx *tx = pg_tx_new(db, PG_WORKER, NULL);
    struct ask *ask = ask_new(tx, arg);
    ask->on.unknown_state = on_done;
    pg_tx_statement(tx, SQL_DIAL_UNKNOWN_STATE);
    pg_tx_time(tx, at_us);
    return pg_tx_start(&tx, op, on_unknown_state, ask);
}

static void on_presence(const struct pg_answer *a, void *arg)
{
    const struct ask *ask = arg;
    ask->on.status(&a->fault,
                   ask_has_row(a, 0) ? pg_str(a, 0, 0, COL_DIAL_RECONCILE_PRESENCE_STATUS)
                                     : STR_NONE,
                   ask->arg);
}

int store_reconcile_presence(struct pg_tx **op, struct pg_pool *db,
                             const struct store_presence *found, store_status_fn *on_done,
                             void *arg)
{
    struct pg_tx *tx = pg_tx_new(db, PG_WORKER, found->organization_id);
    struct ask *ask = ask_new(tx, arg);
    ask->on.status = on_done;
    pg_tx_ordered(tx, found->call_id);
    pg_tx_statement(tx, SQL_DIAL_RECONCILE_PRESENCE);
    pg_tx_uuid(tx, found->call_id);
    pg_tx_cstr(tx, found->found_in);
    pg_tx_word(tx, found->call_uuid);
    pg_tx_word(tx, found->request_uuid);
    pg_tx_time(tx, found->initiated_us);
    pg_tx_time(tx, found->answered_us);
    pg_tx_time(tx, found->ended_us);
    pg_tx_i64(tx, found->duration_s);
    pg_tx_i64(tx, found->billed_s);
    pg_tx_i64(tx, found->cost_micros);
    pg_tx_word(tx, found->currency);
    pg_tx_word(tx, found->cause);
    pg_tx_i64(tx, found->cause_code);
    pg_tx_word(tx, found->source);
    pg_tx_word(tx, found->outcome);
    pg_tx_word(tx, found->disconnect_reason);
    pg_tx_i64(tx, found->skew_ms);
    pg_tx_i64(tx, found->horizon_ms);
    pg_tx_i64(tx, found->retry_ms);
    pg_tx_time(tx, found->at_us);
    return pg_tx_start(&tx, op, on_presence, ask);
}

static void on_absence(const struct pg_answer *a, void *arg)
{
    const struct ask *ask = arg;
    if (a->fault.class != FAULT_NONE) {
        ask->on.absence(&a->fault, false, STR_NONE, ask->arg);
        return;
    }
    ask->on.absence(&a->fault, pg_bool(a, 1, 0, COL_DIAL_RECONCILE_ABSENCE_CONCLUDED),
                    pg_str(a, 1, 0, COL_DIAL_RECONCILE_ABSENCE_WHY), ask->arg);
}

int store_reconcile_absence(struct pg_tx **op, struct pg_pool *db, const struct store_absence *scan,
                            store_absence_fn *on_done, void *arg)
{
    struct pg_tx *tx = pg_tx_new(db, PG_WORKER, scan->organization_id);
    struct ask *ask = ask_new(tx, arg);
    ask->on.absence = on_done;
    pg_tx_ordered(tx, scan->call_id);
    pg_tx_statement(tx, SQL_DIAL_RECONCILE_SCAN);
    pg_tx_uuid(tx, scan->call_id);
    pg_tx_i64(tx, scan->skew_ms);
    pg_tx_i64(tx, scan->retry_ms);
    pg_tx_time(tx, scan->at_us);
    pg_tx_statement(tx, SQL_DIAL_RECONCILE_ABSENCE);
    pg_tx_uuid(tx, scan->call_id);
    pg_tx_i64(tx, scan->horizon_ms);
    pg_tx_i64(tx, scan->scan_gap_ms);
    pg_tx_time(tx, scan->at_us);
    return pg_tx_start(&tx, op, on_absence, ask);
}

/* --- campaigns ----------------------------------------------------------------------------------
 */

static void on_completed(const struct pg_answer *a, void *arg)
{
    const struct ask *ask = arg;
    size_t count = a->fault.class == FAULT_NONE ? pg_rows(a, 1) : 0;
    struct store_completed *completed = xcalloc(count + 1, sizeof *completed);
    for (size_t i = 0; i < count; i++) {
        struct store_completed *c = &completed[i];
        c->organization_id = pg_uuid(a, 1, i, COL_DIAL_COMPLETE_CAMPAIGNS_ORGANIZATION_ID);
        c->campaign_id = pg_uuid(a, 1, i, COL_DIAL_COMPLETE_CAMPAIGNS_CAMPAIGN_ID);
        pg_copy(a, 1, i, COL_DIAL_COMPLETE_CAMPAIGNS_REASON, c->reason, sizeof c->reason);
    }
    ask->on.completed(&a->fault, completed, count, ask->arg);
    xfree(completed);
}

int store_fold_and_complete(struct pg_tx **op, struct pg_pool *db, int64_t at_us,
                            store_completed_fn *on_done, void *arg)
{
    struct pg_tx *tx = pg_tx_new(db, PG_WORKER, NULL);
    struct ask *ask = ask_new(tx, arg);
    ask->on.completed = on_done;
    pg_tx_statement(tx, SQL_DIAL_FOLD_COUNTERS);
    pg_tx_time(tx, at_us);
    pg_tx_statement(tx, SQL_DIAL_COMPLETE_CAMPAIGNS);
    pg_tx_time(tx, at_us);
    return pg_tx_start(&tx, op, on_completed, ask);
}
