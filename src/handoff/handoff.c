#include "handoff/handoff.h"

#include "base/alloc.h"
#include "base/list.h"
#include "base/log.h"
#include "base/metrics.h"
#include "store/store_handoff.h"

#include <errno.h>

struct handoff {
    struct loop *loop;
    struct pg_pool *db;
    struct list ops;
};

/* One question to the database on behalf of a webhook or a tool. */
struct op {
    struct list link;
    struct pg_tx *tx;
    struct carrier_identity identity;
    handoff_granted_fn *on_granted;
    handoff_reply_fn *on_reply;
    void *arg;
};

int handoff_open(struct handoff **out, const struct handoff_env *env)
{
    struct handoff *h = xzalloc(sizeof *h);
    h->loop = env->loop;
    h->db = env->db;
    list_init(&h->ops);
    *out = h;
    return 0;
}

static void op_free(struct op **op)
{
    if (*op == NULL) {
        return;
    }
    store_cancel(&(*op)->tx);
    list_remove(&(*op)->link);
    xfree(*op);
    *op = NULL;
}

void handoff_close(struct handoff **h)
{
    if (*h == NULL) {
        return;
    }
    LIST_EACH_SAFE(l, &(*h)->ops)
    {
        struct op *op = LIST_ITEM(l, struct op, link);
        op_free(&op);
    }
    xfree(*h);
    *h = NULL;
}

static struct op *op_new(struct handoff *h, void *arg)
{
    struct op *op = xzalloc(sizeof *op);
    op->arg = arg;
    list_push_back(&h->ops, &op->link);
    return op;
}

/* A unit that was refused never calls back: the operation goes, the caller hears -EBUSY. */
static int op_started(struct op *op, int err)
{
    if (err < 0) {
        op->tx = NULL;
        op_free(&op);
    }
    return err;
}

/* --- the AI asks for a person ------------------------------------------------------------------
 */

static void on_transfer(const struct fault *fault, bool granted, struct str why,
                        struct str agent_name, void *arg)
{
    struct op *op = arg;
    handoff_granted_fn *on_done = op->on_granted;
    void *on_done_arg = op->arg;
    struct uuid call_id = op->identity.attempt_id;
    char word[32] = "unavailable";
    if (fault->class == FAULT_NONE) {
        str_copy_cut(why, word, sizeof word);
    }
    op->tx = NULL;
    op_free(&op);
    metric_add("handoff_requests_total", granted ? "granted" : "refused", 1);
    log_info("handoff.request", LOG_UUID("call", &call_id), LOG_BOOL("granted", granted),
             LOG_STR("why", word), LOG_TEXT("agent", agent_name));
    on_done(granted, word, on_done_arg);
}

int handoff_ask(struct handoff *h, const struct uuid *organization_id, const struct uuid *call_id,
                const char *reason, const char *summary, handoff_granted_fn *on_done, void *arg)
{
    struct op *op = op_new(h, arg);
    op->identity.organization_id = *organization_id;
    op->identity.attempt_id = *call_id;
    op->on_granted = on_done;
    return op_started(op, store_transfer_request(&op->tx, h->db, organization_id, call_id, reason,
                                                 summary, loop_wall_us(h->loop), on_transfer, op));
}

/* --- what the carrier asks and reports ----------------------------------------------------------
 */

static void reply(struct op *op, const struct fault *fault, const struct carrier_instruction *what)
{
    handoff_reply_fn *on_done = op->on_reply;
    void *arg = op->arg;

    op->tx = NULL;
    op_free(&op);
    on_done(fault, what, arg);
}

static void on_after(const struct fault *fault, const struct store_after *after, void *arg)
{
    struct op *op = arg;
    struct carrier_instruction what = {
        .next = after->agent ? CARRIER_NEXT_AGENT : CARRIER_NEXT_HANGUP,
        .identity = op->identity,
        .agent_e164 = after->agent_e164,
        .caller_id_e164 = after->caller_e164,
        .ring_timeout_s = (uint32_t)after->ring_timeout_s,
        .time_limit_s = (uint32_t)after->time_limit_s,
        .record = after->record,
        .language = after->language,
    };
    reply(op, fault, &what);
}

static void on_whisper(const struct fault *fault, struct str next, struct str text,
                       struct str language, void *arg)
{
    struct op *op = arg;
    OWNED(xfreep) char *words = str_dup(text);
    OWNED(xfreep) char *lang = str_dup(language);
    struct carrier_instruction what = {
        /* An offer that is closed says nothing; the carrier's key challenge then fails by itself.
         */
        .next = next.len > 0 ? CARRIER_NEXT_WHISPER : CARRIER_NEXT_HANGUP,
        .identity = op->identity,
        .text = words,
        .language = lang,
    };
    reply(op, fault, &what);
}

static void on_action(const struct fault *fault, struct str next, struct str text,
                      struct str language, void *arg)
{
    struct op *op = arg;
    OWNED(xfreep) char *words = str_dup(text);
    OWNED(xfreep) char *lang = str_dup(language);
    bool sorry = str_eq(next, STR("apologise"));
    struct carrier_instruction what = {
        .next = sorry ? CARRIER_NEXT_SAY_END : CARRIER_NEXT_HANGUP,
        .identity = op->identity,
        .text = words,
        .language = lang,
    };
    if (fault->class == FAULT_NONE) {
        metric_add("handoff_results_total", sorry ? "not_taken" : "bridged", 1);
        log_info("handoff.over", LOG_UUID("call", &op->identity.attempt_id),
                 LOG_STR("result", sorry ? "not_taken" : "bridged"));
    }
    reply(op, fault, &what);
}

static void on_report(const struct fault *fault, void *arg)
{
    struct op *op = arg;
    struct carrier_instruction what = {.next = CARRIER_NEXT_NOTHING, .identity = op->identity};
    reply(op, fault, &what);
}

static int ask_store(struct handoff *h, struct op *op, const struct carrier_event *event,
                     const struct store_leg *leg)
{
    switch (event->kind) {
    case CARRIER_EVENT_AFTER:
        return store_transfer_after(&op->tx, h->db, leg, on_after, op);
    case CARRIER_EVENT_AGENT_WHISPER:
        return store_agent_whisper(&op->tx, h->db, leg, on_whisper, op);
    case CARRIER_EVENT_AGENT_ACTION:
        return store_agent_action(&op->tx, h->db, leg, on_action, op);
    case CARRIER_EVENT_AGENT:
        return store_agent_event(&op->tx, h->db, leg, on_report, op);
    case CARRIER_EVENT_RECORDING:
        return store_recording_announced(&op->tx, h->db, leg, event->recording_id,
                                         event->recording_url, event->recording_ms, on_report, op);
    case CARRIER_EVENT_RING:
    case CARRIER_EVENT_ANSWER:
    case CARRIER_EVENT_HANGUP:
    case CARRIER_EVENT_MACHINE:
    case CARRIER_EVENT_STREAM:
    case CARRIER_EVENT_FALLBACK:
    case CARRIER_EVENT_KINDS:
        break;
    }
    return -EINVAL;
}

int handoff_event(struct handoff *h, const struct carrier_identity *identity,
                  const struct carrier_event *event, handoff_reply_fn *on_done, void *arg)
{
    struct op *op = op_new(h, arg);
    op->identity = *identity;
    op->on_reply = on_done;
    struct store_leg leg = {
        .organization_id = &identity->organization_id,
        .call_id = &identity->attempt_id,
        .event_key = event->key,
        .leg_state = event->leg_state != NULL ? event->leg_state : "",
        .leg_call_id = event->leg_call_id,
        .duration_s = event->leg_duration_s,
        .payload = event->payload,
        .at_us = loop_wall_us(h->loop),
    };
    return op_started(op, ask_store(h, op, event, &leg));
}
