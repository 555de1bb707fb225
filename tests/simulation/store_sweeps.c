/* store_sweeps.c -- store_dial.h: sweeps, and what reconciliation writes. */
#include "store_sim.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/crypto.h"

#include <string.h>

/* --- sweeps and reconciliation ----------------------------------------------------------------------- */

static void run_sweep(struct pg_tx *tx)
{
    char rows[8000];
    int len = 0;
    int64_t woken = tx->w->ledger->accounts_woken;
    tx->count =
        ledger_lease_sweep(tx->w->ledger, tx->n1, tx->at, tx->r->swept, COUNT_OF(tx->r->swept));
    for (size_t i = 0; i < tx->count; i++) {
        const struct store_swept *s = &tx->r->swept[i];
        tx->w->fig.unknown++;
        story(tx->w, "db", "call ..%s: %s for too long -> outcome_unknown",
              id_text(&s->call_id) + 32, s->was);
        len += snprintf(rows + len, sizeof rows - (size_t)len, "%s[\"%s\",\"%s\"]",
                        i > 0 ? "," : "", id_text(&s->call_id), s->was);
    }
    rows[len] = '\0';
    bool woke = tx->w->ledger->accounts_woken != woken;
    if (tx->count > 0 || woke || tx->at / US_PER_S % 16 == 0) {
        history(tx->w, "{\"op\":\"lease_sweep\",\"slack_ms\":%lld,\"at\":%lld,\"rows\":[%s]}",
                LL(tx->n1), LL(tx->at), rows);
    }
}

static void tell_sweep(struct pg_tx *tx, const struct fault *fault)
{
    store_sweep_fn *on_done = tx->on.sweep;
    on_done(fault, tx->r->swept, fault->class == FAULT_NONE ? tx->count : 0, tx->arg);
}

int store_lease_sweep(struct pg_tx **op, struct pg_pool *db, int64_t slack_ms, int64_t at_us,
                      store_sweep_fn *on_done, void *arg)
{
    struct pg_tx *tx = tx_new(db, "db.lease_sweep", at_us, arg);
    tx->on.sweep = on_done;
    tx->n1 = slack_ms;
    tx->r = xzalloc(sizeof tx->r->swept); /* of the union, what is used */
    tx->run = run_sweep;
    tx->tell = tell_sweep;
    return tx_start(tx, op);
}

static void run_due(struct pg_tx *tx)
{
    char rows[12000];
    int len = 0;
    uint32_t want = tx->n1 < ROWS_MAX ? (uint32_t)tx->n1 : ROWS_MAX;
    tx->count = ledger_unknown_due(tx->w->ledger, want, tx->n2, tx->at, tx->r->unknown);
    for (size_t i = 0; i < tx->count; i++) {
        const struct store_unknown *u = &tx->r->unknown[i];
        len += snprintf(rows + len, sizeof rows - (size_t)len, "%s[\"%s\",\"%s\",%s]",
                        i > 0 ? "," : "", id_text(&u->call_id), u->status,
                        u->signed_off ? "true" : "false");
    }
    rows[len] = '\0';
    if (tx->count > 0 || tx->at / US_PER_S % 16 == 0) {
        history(
            tx->w,
            "{\"op\":\"unknown_due\",\"want\":%lld,\"retry_ms\":%lld,\"at\":%lld,\"rows\":[%s]}",
            LL(want), LL(tx->n2), LL(tx->at), rows);
    }
}

static void tell_due(struct pg_tx *tx, const struct fault *fault)
{
    store_unknown_fn *on_done = tx->on.unknown;
    on_done(fault, tx->r->unknown, fault->class == FAULT_NONE ? tx->count : 0, tx->arg);
}

int store_unknown_due(struct pg_tx **op, struct pg_pool *db, uint32_t want, int64_t retry_ms,
                      int64_t at_us, store_unknown_fn *on_done, void *arg)
{
    struct pg_tx *tx = tx_new(db, "db.unknown_due", at_us, arg);
    tx->on.unknown = on_done;
    tx->n1 = want;
    tx->n2 = retry_ms;
    tx->r = xzalloc(sizeof tx->r->unknown); /* of the union, what is used */
    tx->run = run_due;
    tx->tell = tell_due;
    return tx_start(tx, op);
}

static void run_state(struct pg_tx *tx)
{
    ledger_unknown_state(tx->w->ledger, tx->at, &tx->r->state);
}

static void tell_state(struct pg_tx *tx, const struct fault *fault)
{
    store_unknown_state_fn *on_done = tx->on.state;
    on_done(fault, &tx->r->state, tx->arg);
}

int store_unknown_state(struct pg_tx **op, struct pg_pool *db, int64_t at_us,
                        store_unknown_state_fn *on_done, void *arg)
{
    struct pg_tx *tx = tx_new(db, "db.unknown_state", at_us, arg);
    tx->on.state = on_done;
    tx->r = xzalloc(sizeof tx->r->state); /* of the union, what is used */
    tx->run = run_state;
    tx->tell = tell_state;
    return tx_start(tx, op);
}

static void run_presence(struct pg_tx *tx)
{
    const struct store_presence *f = &tx->a.presence;
    tx->word = ledger_presence(tx->w->ledger, &tx->id, f);
    story(tx->w, "db", "call ..%s: found %s as %s -> %s", id_text(&tx->id) + 32, f->found_in,
          f->call_uuid, tx->word);
    history(tx->w,
            "{\"op\":\"presence\",\"call\":\"%s\",\"in\":\"%s\",\"sid\":%s,\"request\":%s,"
            "\"initiated\":%lld,\"answered\":%lld,\"ended\":%lld,\"duration\":%d,\"billed\":%d,"
            "\"cost\":%lld,\"outcome\":%s,\"reason\":%s,\"skew_ms\":%lld,\"horizon_ms\":%lld,"
            "\"retry_ms\":%lld,\"at\":%lld,\"status\":%s,\"after\":%s}",
            id_text(&tx->id), f->found_in, quoted(f->call_uuid), quoted(f->request_uuid),
            LL(f->initiated_us), LL(f->answered_us), LL(f->ended_us), f->duration_s, f->billed_s,
            LL(f->cost_micros), quoted(f->outcome), quoted(f->disconnect_reason), LL(f->skew_ms),
            LL(f->horizon_ms), LL(f->retry_ms), LL(f->at_us), quoted(tx->word), after_id(tx));
}

int store_reconcile_presence(struct pg_tx **op, struct pg_pool *db,
                             const struct store_presence *found, store_status_fn *on_done,
                             void *arg)
{
    struct pg_tx *tx = tx_new(db, "db.presence", found->at_us, arg);
    tx->on.status = on_done;
    tx->id = *found->call_id;
    tx->ordered = tx->id;
    tx->org_id = *found->organization_id;
    tx->a.presence = *found;
    tx->a.presence.found_in = cut(found->found_in, tx->kind, sizeof tx->kind);
    tx->a.presence.call_uuid = cut(found->call_uuid, tx->sid, sizeof tx->sid);
    tx->a.presence.request_uuid = cut(found->request_uuid, tx->request, sizeof tx->request);
    tx->a.presence.outcome = cut(found->outcome, tx->t1, sizeof tx->t1);
    tx->a.presence.disconnect_reason = cut(found->disconnect_reason, tx->t2, sizeof tx->t2);
    tx->a.presence.currency = NULL;
    tx->a.presence.cause = NULL;
    tx->a.presence.source = NULL;
    tx->run = run_presence;
    tx->tell = tell_status;
    return tx_start(tx, op);
}

static void run_absence(struct pg_tx *tx)
{
    const struct store_absence *s = &tx->a.absence;
    tx->word = ledger_absence(tx->w->ledger, &tx->id, s);
    tx->w->fig.absent += tx->word == NULL ? 1 : 0;
    story(tx->w, "db", "call ..%s: no list shows it: %s", id_text(&tx->id) + 32,
          tx->word != NULL ? tx->word : "not placed");
    history(tx->w,
            "{\"op\":\"absence\",\"call\":\"%s\",\"skew_ms\":%lld,\"retry_ms\":%lld,"
            "\"horizon_ms\":%lld,\"gap_ms\":%lld,\"at\":%lld,\"why\":%s,\"after\":%s}",
            id_text(&tx->id), LL(s->skew_ms), LL(s->retry_ms), LL(s->horizon_ms),
            LL(s->scan_gap_ms), LL(s->at_us), quoted(tx->word), after_id(tx));
}

static void tell_absence(struct pg_tx *tx, const struct fault *fault)
{
    store_absence_fn *on_done = tx->on.absence;
    bool ok = fault->class == FAULT_NONE;
    on_done(fault, ok && tx->word == NULL, ok ? str_of(tx->word) : STR_NONE, tx->arg);
}

int store_reconcile_absence(struct pg_tx **op, struct pg_pool *db, const struct store_absence *scan,
                            store_absence_fn *on_done, void *arg)
{
    struct pg_tx *tx = tx_new(db, "db.absence", scan->at_us, arg);
    tx->on.absence = on_done;
    tx->id = *scan->call_id;
    tx->ordered = tx->id;
    tx->org_id = *scan->organization_id;
    tx->a.absence = *scan;
    tx->run = run_absence;
    tx->tell = tell_absence;
    return tx_start(tx, op);
}

static void run_books(struct pg_tx *tx)
{
    tx->count =
        ledger_complete(tx->w->ledger, tx->at, tx->r->completed, COUNT_OF(tx->r->completed));
    for (size_t i = 0; i < tx->count; i++) {
        story(tx->w, "db", "campaign %.8s completed: %s", id_text(&tx->r->completed[i].campaign_id),
              tx->r->completed[i].reason);
        history(tx->w, "{\"op\":\"completed\",\"campaign\":\"%s\",\"reason\":\"%s\",\"at\":%lld}",
                id_text(&tx->r->completed[i].campaign_id), tx->r->completed[i].reason, LL(tx->at));
    }
}

static void tell_books(struct pg_tx *tx, const struct fault *fault)
{
    store_completed_fn *on_done = tx->on.completed;
    on_done(fault, tx->r->completed, fault->class == FAULT_NONE ? tx->count : 0, tx->arg);
}

int store_fold_and_complete(struct pg_tx **op, struct pg_pool *db, int64_t at_us,
                            store_completed_fn *on_done, void *arg)
{
    struct pg_tx *tx = tx_new(db, "db.books", at_us, arg);
    tx->on.completed = on_done;
    tx->r = xzalloc(sizeof tx->r->completed); /* of the union, what is used */
    tx->run = run_books;
    tx->tell = tell_books;
    return tx_start(tx, op);
}
