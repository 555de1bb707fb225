/* store_reports.c -- store_call.h: what the carrier reports, media tokens, opt-outs. */
#include "store_sim.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/crypto.h"

#include <string.h>

/* --- reports ------------------------------------------------------------------------------------------ */

static struct report_args report_of(const struct pg_tx *tx)
{
    return (struct report_args){tx->kind, tx->key, tx->sid, tx->request, tx->at};
}

static struct pg_tx *report_tx(struct pg_pool *db, const char *name,
                               const struct store_report *report, void *arg)
{
    struct pg_tx *tx = tx_new(db, name, report->at_us, arg);
    tx->id = *report->call_id;
    tx->ordered = tx->id;
    tx->org_id = *report->organization_id;
    cut(report->kind, tx->kind, sizeof tx->kind);
    cut(report->event_key, tx->key, sizeof tx->key);
    cut(report->call_uuid, tx->sid, sizeof tx->sid);
    cut(report->request_uuid, tx->request, sizeof tx->request);
    tx->r = xzalloc(sizeof tx->r->report);
    return tx;
}

static void told(struct pg_tx *tx)
{
    const struct report_result *r = &tx->r->report;
    story(tx->w, "db", "call ..%s: report %s%s%s -> %s", id_text(&tx->id) + 32, OP(tx),
          r->duplicate ? " (again)" : "", r->anomaly ? " ANOMALY" : "", status_names[r->status]);
}

static void run_event(struct pg_tx *tx)
{
    struct report_args args = report_of(tx);
    ledger_event(tx->w->ledger, &tx->id, &args, &tx->r->report);
    told(tx);
    history(tx->w,
            "{\"op\":\"event\",\"call\":\"%s\",\"kind\":\"%s\",\"key\":\"%s\",\"sid\":%s,"
            "\"request\":%s,\"at\":%lld,\"duplicate\":%d,\"anomaly\":%d,\"after\":%s}",
            id_text(&tx->id), tx->kind, tx->key, quoted(tx->sid), quoted(tx->request), LL(tx->at),
            tx->r->report.duplicate, tx->r->report.anomaly, after_id(tx));
}

static void tell_event(struct pg_tx *tx, const struct fault *fault)
{
    store_event_fn *on_done = tx->on.event;
    const struct report_result *r = &tx->r->report;
    struct store_event_result result = {r->applied, r->duplicate, r->anomaly, r->known,
                                        str_of(status_names[r->status])};
    on_done(fault, &result, tx->arg);
}

int store_event(struct pg_tx **op, struct pg_pool *db, const struct store_report *report,
                store_event_fn *on_done, void *arg)
{
    struct pg_tx *tx = report_tx(db, "db.event", report, arg);
    tx->on.event = on_done;
    tx->run = run_event;
    tx->tell = tell_event;
    return tx_start(tx, op);
}

static void run_answer(struct pg_tx *tx)
{
    struct report_args args = report_of(tx);
    char hex[65];
    hex_encode(tx->hash, 32, hex);
    ledger_answer(tx->w->ledger, &tx->id, &args, tx->hash, tx->n1, &tx->r->report);
    told(tx);
    history(tx->w,
            "{\"op\":\"answer\",\"call\":\"%s\",\"key\":\"%s\",\"sid\":%s,\"request\":%s,"
            "\"hash\":\"%s\",\"expires\":%lld,\"at\":%lld,\"why\":%s,\"duplicate\":%d,"
            "\"anomaly\":%d,\"after\":%s}",
            id_text(&tx->id), tx->key, quoted(tx->sid), quoted(tx->request), hex, LL(tx->n1),
            LL(tx->at), quoted(tx->r->report.reason), tx->r->report.duplicate,
            tx->r->report.anomaly, after_id(tx));
}

static void tell_answer(struct pg_tx *tx, const struct fault *fault)
{
    store_answer_fn *on_done = tx->on.answer;
    const struct report_result *r = &tx->r->report;
    struct store_answer_result result = {
        .talk = r->talk,
        .reason = str_of(r->reason),
        .status = str_of(status_names[r->status]),
        .duplicate = r->duplicate,
        .anomaly = r->anomaly,
    };
    on_done(fault, &result, tx->arg);
}

int store_answer(struct pg_tx **op, struct pg_pool *db, const struct store_report *report,
                 const uint8_t token_hash[32], int64_t token_expires_us, store_answer_fn *on_done,
                 void *arg)
{
    struct pg_tx *tx = report_tx(db, "db.answer", report, arg);
    tx->on.answer = on_done;
    memcpy(tx->hash, token_hash, 32);
    tx->n1 = token_expires_us;
    tx->run = run_answer;
    tx->tell = tell_answer;
    return tx_start(tx, op);
}

static void run_hangup(struct pg_tx *tx)
{
    struct report_args args = report_of(tx);
    const struct store_end *e = &tx->a.end;
    ledger_hangup(tx->w->ledger, &tx->id, &args, e, &tx->r->report);
    told(tx);
    history(tx->w,
            "{\"op\":\"hangup\",\"call\":\"%s\",\"key\":\"%s\",\"sid\":%s,\"request\":%s,"
            "\"answered\":%lld,\"ended\":%lld,\"duration\":%d,\"billed\":%d,\"cost\":%lld,"
            "\"outcome\":%s,\"reason\":%s,\"at\":%lld,\"duplicate\":%d,\"anomaly\":%d,"
            "\"after\":%s}",
            id_text(&tx->id), tx->key, quoted(tx->sid), quoted(tx->request), LL(e->answered_us),
            LL(e->ended_us), e->duration_s, e->billed_s, LL(e->cost_micros), quoted(e->outcome),
            quoted(e->disconnect_reason), LL(tx->at), tx->r->report.duplicate,
            tx->r->report.anomaly, after_id(tx));
}

static void tell_hangup(struct pg_tx *tx, const struct fault *fault)
{
    store_hangup_fn *on_done = tx->on.hangup;
    const struct report_result *r = &tx->r->report;
    struct store_hangup_result result = {
        .status = str_of(status_names[r->status]),
        .duplicate = r->duplicate,
        .anomaly = r->anomaly,
    };
    on_done(fault, &result, tx->arg);
}

int store_hangup(struct pg_tx **op, struct pg_pool *db, const struct store_report *report,
                 const struct store_end *end, store_hangup_fn *on_done, void *arg)
{
    struct pg_tx *tx = report_tx(db, "db.hangup", report, arg);
    tx->on.hangup = on_done;
    tx->a.end = *end;
    tx->a.end.outcome = cut(end->outcome, tx->t1, sizeof tx->t1);
    tx->a.end.disconnect_reason = cut(end->disconnect_reason, tx->t2, sizeof tx->t2);
    tx->a.end.cause = NULL;
    tx->a.end.source = NULL;
    tx->a.end.currency = NULL;
    tx->run = run_hangup;
    tx->tell = tell_hangup;
    return tx_start(tx, op);
}

static void run_media_token(struct pg_tx *tx)
{
    char hex[65];
    hex_encode(tx->hash, 32, hex);
    tx->call = ledger_media_token(tx->w->ledger, tx->hash, tx->at);
    history(tx->w, "{\"op\":\"media_token\",\"hash\":\"%s\",\"at\":%lld,\"call\":%s}", hex,
            LL(tx->at), tx->call != NULL ? quoted(id_text(&tx->call->id)) : "null");
}

static void tell_media_token(struct pg_tx *tx, const struct fault *fault)
{
    store_media_token_fn *on_done = tx->on.media;
    static const struct uuid nil;
    const struct call *c = fault->class == FAULT_NONE ? tx->call : NULL;
    on_done(fault, c != NULL ? &c->id : &nil, c != NULL ? &c->campaign->org->id : &nil,
            str_of(c != NULL ? c->call_sid : ""), tx->arg);
}

int store_media_token(struct pg_tx **op, struct pg_pool *db, const uint8_t token_hash[32],
                      int64_t at_us, store_media_token_fn *on_done, void *arg)
{
    struct pg_tx *tx = tx_new(db, "db.media_token", at_us, arg);
    tx->on.media = on_done;
    memcpy(tx->hash, token_hash, 32);
    tx->run = run_media_token;
    tx->tell = tell_media_token;
    return tx_start(tx, op);
}

static void run_media_look(struct pg_tx *tx)
{
    tx->call = ledger_media_look(tx->w->ledger, tx->hash, tx->at);
}

int store_media_look(struct pg_tx **op, struct pg_pool *db, const uint8_t token_hash[32],
                     int64_t at_us, store_media_token_fn *on_done, void *arg)
{
    struct pg_tx *tx = tx_new(db, "db.media_look", at_us, arg);
    tx->on.media = on_done;
    memcpy(tx->hash, token_hash, 32);
    tx->run = run_media_look;
    tx->tell = tell_media_token;
    return tx_start(tx, op);
}

static void run_opt_out(struct pg_tx *tx)
{
    struct call *c = ledger_call(tx->w->ledger, &tx->id);
    ledger_opt_out(tx->w->ledger, &tx->id, tx->at, &tx->r->opt_out);
    if (c != NULL && c->lead->dnc_true_at == 0) {
        c->lead->dnc_true_at = world_wall(tx->w);
    }
    story(tx->w, "db", "call ..%s: opted out, %lld queued rows go", id_text(&tx->id) + 32,
          LL(tx->r->opt_out.removed));
    history(tx->w,
            "{\"op\":\"opt_out\",\"call\":\"%s\",\"at\":%lld,\"added\":%s,\"removed\":%lld,"
            "\"after\":%s}",
            id_text(&tx->id), LL(tx->at), tx->r->opt_out.added ? "true" : "false",
            LL(tx->r->opt_out.removed), after_id(tx));
}

static void tell_opt_out(struct pg_tx *tx, const struct fault *fault)
{
    store_opt_out_fn *on_done = tx->on.opt_out;
    on_done(fault, tx->r->opt_out.added, tx->r->opt_out.removed, STR_NONE, tx->arg);
}

int store_opt_out(struct pg_tx **op, struct pg_pool *db, const struct uuid *organization_id,
                  const struct uuid *call_id, const struct store_opt_out_words *said, int64_t at_us,
                  store_opt_out_fn *on_done, void *arg)
{
    (void)said;
    struct pg_tx *tx = tx_new(db, "db.opt_out", at_us, arg);
    tx->on.opt_out = on_done;
    tx->id = *call_id;
    tx->ordered = *call_id;
    tx->org_id = *organization_id;
    tx->r = xzalloc(sizeof tx->r->opt_out); /* of the union, what is used */
    tx->run = run_opt_out;
    tx->tell = tell_opt_out;
    return tx_start(tx, op);
}
