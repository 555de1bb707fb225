#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "media/recording_url.h"
#include "serve.h"
#include "store/store_dial.h"

#include <errno.h>

/* One write of the desk on its way through the database. */
struct write_op {
    struct serve_op op;
    struct serve *s;
    desk_stored_fn *on_stored;
    void *arg;
};

static void stored(struct write_op *op, const struct fault *fault, const struct desk_answer *answer)
{
    desk_stored_fn *on_stored = op->on_stored;
    void *arg = op->arg;

    serve_op_free(op);
    on_stored(fault, answer, arg);
}

/* The database fell silent before it answered. */
static void write_drop(struct serve_op *op)
{
    struct fault fault = fault_make(FAULT_UNSURE, 0, "closed", "the database was closed");
    stored(CONTAINER_OF(op, struct write_op, op), &fault, NULL);
}

static void on_written(const struct fault *fault, void *arg)
{
    stored(arg, fault, NULL);
}

static void on_callback_written(const struct fault *fault, bool accepted, int64_t due_us,
                                struct str reason, void *arg)
{
    struct desk_answer answer = {.accepted = accepted, .due_us = due_us, .reason = reason};
    stored(arg, fault, &answer);
}

/* An opt-out is the person's, not the call's: whatever else of ours talks to that number ends. */
static void on_opt_out_written(const struct fault *fault, bool added, int64_t removed,
                               struct str live_calls, void *arg)
{
    struct write_op *op = arg;
    struct str one;
    if (fault->class == FAULT_NONE) {
        log_info("opt_out", LOG_BOOL("added", added), LOG_I64("queued_removed", removed));
        while (str_split(&live_calls, ' ', &one)) {
            struct uuid id;
            if (uuid_parse(one, &id) == 0) {
                desk_end(op->s->desk, &id, CALL_END_OPTED_OUT);
            }
        }
    }
    stored(op, fault, NULL);
}

static int write_turn(struct write_op *op, const struct desk_write *w)
{
    struct store_turn turn = {
        .ordinal = w->turn.ordinal,
        .item_id = w->turn.item_id,
        .speaker = w->turn.speaker,
        .start_ms = w->turn.start_ms,
        .end_ms = w->turn.end_ms,
        .body = str_of(w->turn.body),
        .heard = w->turn.heard,
        .heard_ms = w->turn.heard_ms,
    };
    return store_turn(NULL, op->s->db, &w->organization_id, &w->call_id, &turn, w->at_us,
                      on_written, op);
}

static int write_note(struct write_op *op, const struct desk_write *w)
{
    OWNED(json_free) json_t *patch = NULL;
    int err = json_parse(str_of(w->note.patch), &patch);
    if (err < 0) {
        return err;
    }
    return store_note(NULL, op->s->db, &w->organization_id, &w->call_id, patch, w->at_us,
                      on_written, op);
}

static int write_recording(struct write_op *op, const struct desk_write *w)
{
    OWNED(buf_fini) struct buf url;
    buf_init(&url, 2048);
    int err = recording_url_write(op->s->recording_key, op->s->urls.public_url, &w->organization_id,
                                  &w->recording.id,
                                  w->at_us / US_PER_S + RECORDING_URL_DAYS * 86400LL, &url);
    if (err < 0) {
        return err;
    }
    struct store_recording recording = {
        .organization_id = &w->organization_id,
        .call_id = &w->call_id,
        .recording_id = &w->recording.id,
        .leg = w->recording.leg,
        .path = w->recording.path,
        .url = buf_cstr(&url),
        .bytes = w->recording.bytes,
        .duration_ms = w->recording.duration_ms,
        .started_us = w->recording.started_us,
        .at_us = w->at_us,
    };
    return store_recording(NULL, op->s->db, &recording, on_written, op);
}

static int write_usage(struct write_op *op, const struct desk_write *w)
{
    OWNED(json_free) json_t *tokens = NULL;
    int err = json_parse(str_of(w->usage.tokens), &tokens);
    if (err < 0) {
        return err;
    }
    struct store_usage usage = {
        .organization_id = &w->organization_id,
        .call_id = &w->call_id,
        .source = w->usage.source,
        .item_key = w->usage.item_key,
        .seconds = w->usage.seconds,
        .tokens = tokens,
        .cost_micros = w->usage.cost_micros,
        .at_us = w->at_us,
    };
    return store_usage(NULL, op->s->db, &usage, on_written, op);
}

static int write_opt_out(struct write_op *op, const struct desk_write *w)
{
    struct store_opt_out_words said = {.source = w->opt_out.source,
                                       .words = str_of(w->opt_out.words),
                                       .phone = w->opt_out.phone != NULL ? w->opt_out.phone : ""};
    return store_opt_out(NULL, op->s->db, &w->organization_id, &w->call_id, &said, w->at_us,
                         on_opt_out_written, op);
}

static int write_one(struct write_op *op, const struct desk_write *w)
{
    struct pg_pool *db = op->s->db;
    switch (w->kind) {
    case DESK_TURN:
        return write_turn(op, w);
    case DESK_NOTE:
        return write_note(op, w);
    case DESK_OPT_OUT:
        return write_opt_out(op, w);
    case DESK_CALLBACK:
        return store_callback(NULL, db, &w->organization_id, &w->call_id,
                              w->callback.due_us != 0 ? w->callback.due_us : w->at_us,
                              str_of(w->callback.note), w->at_us, on_callback_written, op);
    case DESK_RECORDING:
        return write_recording(op, w);
    case DESK_USAGE:
        return write_usage(op, w);
    }
    return -EINVAL;
}

static int on_desk_write(const struct desk_write *w, desk_stored_fn *on_stored, void *on_stored_arg,
                         void *arg)
{
    struct write_op *op = serve_op_new(arg, sizeof *op);
    op->op.drop = write_drop;
    op->s = arg;
    op->on_stored = on_stored;
    op->arg = on_stored_arg;
    int err = write_one(op, w);
    if (err < 0) {
        serve_op_free(op);
    }
    return err;
}

struct desk_store serve_desk_store(struct serve *s)
{
    return (struct desk_store){.write = on_desk_write, .arg = s};
}

/* --- what the desk asks of other rooms ----------------------------------------------------------- */

struct transfer_op {
    struct serve_op op;
    struct serve *s;
    struct uuid call_id;
};

static void on_granted(bool granted, const char *why, void *arg)
{
    struct transfer_op *op = arg;
    desk_transfer_result(op->s->desk, &op->call_id, granted, why);
    serve_op_free(op);
}

static void on_transfer_wanted(const struct desk_transfer *ask, void *arg)
{
    struct serve *s = arg;
    struct transfer_op *op = serve_op_new(s, sizeof *op);
    op->s = s;
    op->call_id = ask->call_id;
    if (handoff_ask(s->handoff, &ask->organization_id, &ask->call_id, ask->reason, ask->summary,
                    on_granted, op) < 0) {
        desk_transfer_result(s->desk, &ask->call_id, false, "unavailable");
        serve_op_free(op);
    }
}

/* A line that the carrier keeps open after its socket was closed: hung up by REST. The call's uuid
 * belongs to one of the organization's accounts; the others answer 404, which is as good. */
struct hangup_op {
    struct serve_op op;
    struct carrier_account account; /* outlives the operation on it */
    struct uuid call_id;
    struct carrier_op *rest;
};

struct hangup_ask {
    struct serve_op op;
    struct serve *s;
    struct uuid call_id;
    char call_uuid[CARRIER_ID_SIZE];
};

static void hangup_drop(struct serve_op *op_p)
{
    struct hangup_op *op = CONTAINER_OF(op_p, struct hangup_op, op);
    carrier_plivo.cancel(&op->rest);
    serve_op_free(op);
}

static void on_hung_up(const struct fault *fault, void *arg)
{
    struct hangup_op *op = arg;
    if (fault->class != FAULT_NONE) {
        log_warn("call.hangup.failed", LOG_UUID("call", &op->call_id), LOG_STR("why", fault->text));
    }
    serve_op_free(op);
}

static void on_hangup_accounts(const struct fault *fault, const struct carrier_account *accounts,
                               size_t count, void *arg)
{
    struct hangup_ask *ask = arg;
    if (fault->class != FAULT_NONE || count == 0) {
        log_warn("call.hangup.failed", LOG_UUID("call", &ask->call_id),
                 LOG_STR("why", "no account to ask"));
    }
    for (size_t i = 0; i < count; i++) {
        struct hangup_op *op = serve_op_new(ask->s, sizeof *op);
        op->op.drop = hangup_drop;
        op->account = accounts[i];
        op->call_id = ask->call_id;
        if (carrier_plivo.hangup_start(&op->rest, ask->s->http, &op->account, ask->call_uuid, "",
                                       on_hung_up, op) < 0) {
            serve_op_free(op);
        }
    }
    serve_op_free(ask);
}

static void on_hangup_wanted(const struct uuid *organization_id, const struct uuid *call_id,
                             const char *call_uuid, void *arg)
{
    struct serve *s = arg;
    struct hangup_ask *ask = serve_op_new(s, sizeof *ask);
    ask->s = s;
    ask->call_id = *call_id;
    str_copy_cut(str_of(call_uuid), ask->call_uuid, sizeof ask->call_uuid);
    if (accounts_ask(s->accounts, organization_id, on_hangup_accounts, ask) < 0) {
        serve_op_free(ask);
    }
}

static void on_settled(const struct uuid *organization_id, const struct uuid *call_id, void *arg)
{
    (void)organization_id;
    (void)arg;
    log_debug("call.settled", LOG_UUID("call", call_id));
}

struct desk_hooks serve_desk_hooks(struct serve *s)
{
    return (struct desk_hooks){
        .transfer = on_transfer_wanted,
        .hangup = on_hangup_wanted,
        .settled = on_settled,
        .arg = s,
    };
}

/* --- warm-up ----------------------------------------------------------------------------------- */

void serve_prepare(struct serve *s, const json_t *brief)
{
    struct call_plan *plan = NULL;
    char why[PLAN_WHY_SIZE];
    struct str key = str_make((const char *)s->person_key, sizeof s->person_key);
    if (call_plan_make(brief, key, loop_wall_us(s->loop), &plan, why) < 0) {
        log_error("call.plan.refused", LOG_STR("why", why));
        return;
    }
    struct uuid id = plan->call_id;
    int err = desk_prepare(s->desk, &plan);
    if (err < 0 && err != -EEXIST) {
        log_warn("call.prepare.refused", LOG_UUID("call", &id), LOG_I64("error", err));
    }
    call_plan_free(&plan);
}

static void on_adopted_brief(const struct fault *fault, json_t *brief, struct str refusal,
                             void *arg)
{
    (void)refusal; /* it was answered already: the gate at the answer has spoken */
    if (fault->class == FAULT_NONE && brief != NULL) {
        serve_prepare(arg, brief);
    }
}

void serve_prepare_adopted(struct serve *s, const struct uuid *organization_id,
                           const struct uuid *call_id)
{
    if (desk_has(s->desk, call_id)) {
        return;
    }
    if (store_brief(NULL, s->db, organization_id, call_id, loop_wall_us(s->loop), on_adopted_brief,
                    s) < 0) {
        log_warn("call.adopt.refused", LOG_UUID("call", call_id));
    }
}
