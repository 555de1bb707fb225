#include "store/store_history.h"

#include "base/alloc.h"
#include "store/pg_tx.h"
#include "store/store_ask.h"

/* --- histories ----------------------------------------------------------------------------------- */

static enum store_history_state state_of(struct str word)
{
    if (str_eq_cstr(word, "open")) {
        return STORE_HISTORY_OPEN;
    }
    if (str_eq_cstr(word, "replay")) {
        return STORE_HISTORY_REPLAY;
    }
    return str_eq_cstr(word, "wait") ? STORE_HISTORY_WAIT : STORE_HISTORY_ACCEPT;
}

static void on_history(const struct pg_answer *a, void *arg)
{
    const struct ask *ask = arg;
    struct store_history h = {.state = STORE_HISTORY_ACCEPT};
    struct fault fault = a->fault;
    if (fault.class == FAULT_NONE && !ask_has_row(a, 0)) {
        fault = fault_make(FAULT_BROKEN, 0, "check_in", "no answer");
    }
    if (fault.class == FAULT_NONE) {
        h.installation_id = pg_uuid(a, 0, 0, COL_DIAL_CHECK_IN_INSTALLATION_ID);
        pg_copy(a, 0, 0, COL_DIAL_CHECK_IN_SYSTEM_ID, h.system_id, sizeof h.system_id);
        h.timeline = pg_i64(a, 0, 0, COL_DIAL_CHECK_IN_TIMELINE);
        h.state = state_of(pg_str(a, 0, 0, COL_DIAL_CHECK_IN_STATE));
        h.restored = str_eq_cstr(pg_str(a, 0, 0, COL_DIAL_CHECK_IN_KIND), "restore");
        pg_copy(a, 0, 0, COL_DIAL_CHECK_IN_WHY, h.why, sizeof h.why);
        h.waits_for = (int32_t)pg_i64(a, 0, 0, COL_DIAL_CHECK_IN_WAITS_FOR);
        h.replay_since_us = pg_time(a, 0, 0, COL_DIAL_CHECK_IN_REPLAY_SINCE);
    }
    ask->on.history(&fault, &h, ask->arg);
}

int store_check_in(struct pg_tx **op, struct pg_pool *db, const struct store_check_in *in,
                   store_history_fn *on_done, void *arg)
{
    struct pg_tx *tx = pg_tx_new(db, PG_WORKER, NULL);
    struct ask *ask = ask_new(tx, arg);
    ask->on.history = on_done;
    pg_tx_statement(tx, SQL_DIAL_CHECK_IN);
    pg_tx_uuid(tx, &in->node->node_id);
    pg_tx_cstr(tx, in->node->name);
    pg_tx_cstr(tx, in->node->version);
    pg_tx_cstr(tx, in->node->public_url);
    pg_tx_uuid(tx, in->newest);
    pg_tx_word(tx, in->from_system);
    pg_tx_i64(tx, in->from_timeline);
    pg_tx_time(tx, in->last_us);
    pg_tx_i64(tx, in->loss_ms);
    pg_tx_i64(tx, in->wait_ms);
    pg_tx_time(tx, in->at_us);
    return pg_tx_start(&tx, op, on_history, ask);
}

static void on_replay(const struct pg_answer *a, void *arg)
{
    const struct ask *ask = arg;
    struct store_replayed sum = {0};
    if (ask_has_row(a, 0)) {
        sum.known = (int32_t)pg_i64(a, 0, 0, COL_DIAL_REPLAY_KNOWN);
        sum.rebuilt = (int32_t)pg_i64(a, 0, 0, COL_DIAL_REPLAY_REBUILT);
        sum.unplaceable = (int32_t)pg_i64(a, 0, 0, COL_DIAL_REPLAY_UNPLACEABLE);
        sum.conflicts = (int32_t)pg_i64(a, 0, 0, COL_DIAL_REPLAY_CONFLICTS);
    }
    ask->on.replay(&a->fault, &sum, ask->arg);
}

int store_replay(struct pg_tx **op, struct pg_pool *db, const struct uuid *node_id,
                 const json_t *entries, int64_t at_us, store_replay_fn *on_done, void *arg)
{
    struct pg_tx *tx = pg_tx_new(db, PG_WORKER, NULL);
    struct ask *ask = ask_new(tx, arg);
    ask->on.replay = on_done;
    pg_tx_statement(tx, SQL_DIAL_REPLAY);
    pg_tx_uuid(tx, node_id);
    pg_tx_json(tx, entries);
    pg_tx_time(tx, at_us);
    return pg_tx_start(&tx, op, on_replay, ask);
}

int store_replay_done(struct pg_tx **op, struct pg_pool *db, struct str nodes,
                      const struct store_replayed *sum, int64_t at_us, store_done_fn *on_done,
                      void *arg)
{
    struct pg_tx *tx = pg_tx_new(db, PG_WORKER, NULL);
    struct ask *ask = ask_new(tx, arg);
    ask->on.done = on_done;
    pg_tx_statement(tx, SQL_DIAL_REPLAYED);
    pg_tx_text(tx, nodes);
    pg_tx_i64(tx, sum->known);
    pg_tx_i64(tx, sum->rebuilt);
    pg_tx_i64(tx, sum->unplaceable);
    pg_tx_time(tx, at_us);
    return pg_tx_start(&tx, op, ask_done_only, ask);
}

static void on_unfinished(const struct pg_answer *a, void *arg)
{
    const struct ask *ask = arg;
    ask->on.count(&a->fault,
                  ask_has_row(a, 0) ? pg_i64(a, 0, 0, COL_DIAL_UNFINISHED_UNFINISHED) : -1,
                  ask->arg);
}

int store_unfinished(struct pg_tx **op, struct pg_pool *db, struct str calls,
                     store_count_fn *on_done, void *arg)
{
    struct pg_tx *tx = pg_tx_new(db, PG_WORKER, NULL);
    struct ask *ask = ask_new(tx, arg);
    ask->on.count = on_done;
    pg_tx_statement(tx, SQL_DIAL_UNFINISHED);
    pg_tx_text(tx, calls);
    return pg_tx_start(&tx, op, on_unfinished, ask);
}

static void on_adopted(const struct pg_answer *a, void *arg)
{
    const struct ask *ask = arg;
    ask->on.status(&a->fault, ask_has_row(a, 0) ? pg_str(a, 0, 0, COL_CALL_ADOPT_RESULT) : STR_NONE,
                   ask->arg);
}

int store_adopt(struct pg_tx **op, struct pg_pool *db, const struct store_adoption *what,
                store_status_fn *on_done, void *arg)
{
    struct pg_tx *tx = pg_tx_new(db, PG_WORKER, what->organization_id);
    struct ask *ask = ask_new(tx, arg);
    ask->on.status = on_done;
    pg_tx_ordered(tx, what->call_id);
    pg_tx_statement(tx, SQL_CALL_ADOPT);
    pg_tx_uuid(tx, what->call_id);
    pg_tx_uuid(tx, what->queue_id);
    pg_tx_i64(tx, what->attempt_number);
    pg_tx_uuid(tx, what->account_id);
    pg_tx_cstr(tx, what->from_e164);
    pg_tx_cstr(tx, what->to_e164);
    pg_tx_time(tx, what->at_us);
    return pg_tx_start(&tx, op, on_adopted, ask);
}

/* --- the carrier's whole list --------------------------------------------------------------------- */

static void on_orphan_due(const struct pg_answer *a, void *arg)
{
    const struct ask *ask = arg;
    size_t count = a->fault.class == FAULT_NONE ? pg_rows(a, 0) : 0;
    struct store_orphan_due *due = xcalloc(count + 1, sizeof *due);
    for (size_t i = 0; i < count; i++) {
        due[i].organization_id = pg_uuid(a, 0, i, COL_DIAL_ORPHAN_DUE_ORGANIZATION_ID);
        due[i].account_id = pg_uuid(a, 0, i, COL_DIAL_ORPHAN_DUE_ACCOUNT_ID);
        due[i].swept_until_us = pg_time(a, 0, i, COL_DIAL_ORPHAN_DUE_SWEPT_UNTIL);
    }
    ask->on.orphan_due(&a->fault, due, count, ask->arg);
    xfree(due);
}

int store_orphan_due(struct pg_tx **op, struct pg_pool *db, const struct store_orphan_when *when,
                     store_orphan_due_fn *on_done, void *arg)
{
    struct pg_tx *tx = pg_tx_new(db, PG_WORKER, NULL);
    struct ask *ask = ask_new(tx, arg);
    ask->on.orphan_due = on_done;
    pg_tx_statement(tx, SQL_DIAL_ORPHAN_DUE);
    pg_tx_i64(tx, when->every_ms);
    pg_tx_i64(tx, when->hold_ms);
    pg_tx_i64(tx, when->first_ms);
    pg_tx_time(tx, when->since_us);
    pg_tx_time(tx, when->at_us);
    return pg_tx_start(&tx, op, on_orphan_due, ask);
}

static void on_orphan(const struct pg_answer *a, void *arg)
{
    const struct ask *ask = arg;
    struct store_orphan_sum sum = {0};
    if (ask_has_row(a, 0)) {
        sum.known = (int32_t)pg_i64(a, 0, 0, COL_DIAL_ORPHAN_SWEEP_KNOWN);
        sum.adopted = (int32_t)pg_i64(a, 0, 0, COL_DIAL_ORPHAN_SWEEP_ADOPTED);
        sum.orphans = (int32_t)pg_i64(a, 0, 0, COL_DIAL_ORPHAN_SWEEP_ORPHANS);
        sum.fresh = (int32_t)pg_i64(a, 0, 0, COL_DIAL_ORPHAN_SWEEP_FRESH);
    }
    ask->on.orphan(&a->fault, &sum, ask->arg);
}

int store_orphan_sweep(struct pg_tx **op, struct pg_pool *db, const struct store_orphan_part *part,
                       store_orphan_fn *on_done, void *arg)
{
    struct pg_tx *tx = pg_tx_new(db, PG_WORKER, part->organization_id);
    struct ask *ask = ask_new(tx, arg);
    ask->on.orphan = on_done;
    pg_tx_statement(tx, SQL_DIAL_ORPHAN_SWEEP);
    pg_tx_uuid(tx, part->account_id);
    pg_tx_json(tx, part->calls);
    pg_tx_bool(tx, part->adopt);
    pg_tx_i64(tx, part->skew_ms);
    pg_tx_i64(tx, part->horizon_ms);
    pg_tx_i64(tx, part->retry_ms);
    pg_tx_time(tx, part->at_us);
    return pg_tx_start(&tx, op, on_orphan, ask);
}

int store_orphan_swept(struct pg_tx **op, struct pg_pool *db, const struct store_orphan_due *what,
                       int64_t until_us, const struct store_orphan_sum *sum, const char *failed,
                       int64_t at_us, store_done_fn *on_done, void *arg)
{
    struct pg_tx *tx = pg_tx_new(db, PG_WORKER, &what->organization_id);
    struct ask *ask = ask_new(tx, arg);
    ask->on.done = on_done;
    pg_tx_statement(tx, SQL_DIAL_ORPHAN_SWEPT);
    pg_tx_uuid(tx, &what->account_id);
    pg_tx_time(tx, until_us);
    pg_tx_i64(tx, (int64_t)sum->known + sum->adopted + sum->orphans);
    pg_tx_i64(tx, sum->orphans);
    pg_tx_word(tx, failed);
    pg_tx_time(tx, at_us);
    return pg_tx_start(&tx, op, ask_done_only, ask);
}
