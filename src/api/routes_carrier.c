#include "api/api_priv.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/crypto.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/metrics.h"

#include <errno.h>
#include <string.h>

#define XML_BYTES         (64 * 1024)
#define MEDIA_TOKEN_CHARS 43 /* of 62: 256 bits */
#define MEDIA_TOKEN_US    (30 * US_PER_S)

/*  api_on_webhook -> on_accounts -> (strange signature: once more) -> dispatch
 *      -> on_stored_event | on_stored_answer | on_stored_hangup | on_followed
 *         (no such call: adopt -> on_adopted -> dispatch once more)
 *      -> reply, which ends the op; every no ends it too (refuse, api_op_fault) */
struct webhook {
    struct api_op op;
    const struct carrier *carrier;
    struct carrier_identity identity;
    struct carrier_event event;
    char kind[CARRIER_KIND_SIZE];
    struct uuid account_id; /* whose token signed it */
    bool adopted;           /* its row was lost, and was asked back once */
    bool read_anew;         /* the accounts, because no token had made the signature */
    char token[MEDIA_TOKEN_CHARS + 1];
};

static void on_accounts(const struct fault *fault, const struct carrier_account *accounts,
                        size_t count, void *arg);

static void webhook_drop(struct api_op *op)
{
    struct webhook *hook = CONTAINER_OF(op, struct webhook, op);
    carrier_event_fini(&hook->event);
    secret_wipe(hook->token, sizeof hook->token);
    xfree(hook);
}

/* Counted, logged without the path: it is a secret as long as it lives. */
static void note_refusal(const struct http_request *req, const char *result, const char *reason)
{
    metric_add("webhooks_total", result, 1);
    metric_add("webhook_refusals_total", reason, 1);
    log_warn("webhook.refused", LOG_STR("result", result), LOG_STR("reason", reason),
             LOG_TEXT("kind", str_head(http_param(req, "kind"), CARRIER_KIND_SIZE)),
             LOG_TEXT("peer", http_peer(req)));
}

static void answer_instruction(const struct carrier *carrier, const struct carrier_urls *urls,
                               struct http_request *req, const struct carrier_instruction *what)
{
    OWNED(buf_fini) struct buf body;
    buf_init(&body, XML_BYTES);
    int err = carrier->instruct(urls, what, &body);
    if (err < 0) {
        log_error("webhook.instruct", LOG_I64("next", what->next), LOG_I64("error", err));
        http_answer_error(req, 500, "internal", "No answer could be written.");
        return;
    }
    http_answer(req, 200, carrier->instruct_type, buf_str(&body));
}

static void reply(struct webhook *hook, const struct carrier_instruction *what)
{
    struct api *api = hook->op.api;
    int64_t took_us = loop_now_us(api->env.loop) - hook->op.started_us;
    metric_observe_ms("webhook_seconds", took_us / US_PER_MS);
    answer_instruction(hook->carrier, api->env.urls, hook->op.req, what);
    hook->op.req = NULL;
    api_op_end(&hook->op);
}

static void reply_next(struct webhook *hook, enum carrier_next next)
{
    const struct carrier_instruction what = {.next = next, .identity = hook->identity};
    reply(hook, &what);
}

static void unavailable(struct webhook *hook, const struct fault *fault)
{
    metric_add("webhooks_total", "unavailable", 1);
    api_op_fault(&hook->op, hook->kind, fault);
}

static void refused_start(struct webhook *hook, int err)
{
    const struct fault fault = fault_make(err == -EBUSY ? FAULT_NOT_SENT : FAULT_BROKEN, 0,
                                          "not_started", "%s", strerror(-err));
    unavailable(hook, &fault);
}

/* --- in: path, accounts, signature, form -------------------------------------------------------
 */

static void answer_fallback(struct api *api, const struct carrier *carrier,
                            const struct carrier_identity *identity, struct http_request *req)
{
    const struct carrier_instruction sorry = {
        .next = CARRIER_NEXT_SAY_END,
        .identity = *identity,
        .text =
            "We are sorry, there is a technical problem. We will call you another time. Goodbye.",
        .language = "en-US",
    };
    metric_add("webhooks_total", "fallback", 1);
    log_warn("webhook.fallback", LOG_UUID("call", &identity->attempt_id),
             LOG_UUID("organization", &identity->organization_id));
    answer_instruction(carrier, api->env.urls, req, &sorry);
}

static bool path_ok(struct api *api, struct http_request *req, struct carrier_identity *identity)
{
    int err = identity_read(api->env.urls, http_param(req, "kind"), http_param(req, "identity"),
                            loop_wall_us(api->env.loop), identity);
    if (err == 0) {
        return true;
    }
    note_refusal(req, err == -ETIME ? "expired" : "forged", err == -ETIME ? "expired" : "path");
    http_answer_error(req, 403, "forbidden", "This address is not valid.");
    return false;
}

void api_on_webhook(struct http_request *req, void *arg)
{
    struct api *api = arg;
    struct carrier_identity identity;
    char name[CARRIER_KIND_SIZE];
    if (http_body(req).len > LIMIT_WEBHOOK_BODY_BYTES) {
        note_refusal(req, "too_large", "body");
        http_answer_error(req, 413, "body_too_large", "The body is larger than this route takes.");
        return;
    }
    str_copy_cut(http_param(req, "carrier"), name, sizeof name);
    const struct carrier *carrier = carrier_find(name);
    if (carrier == NULL) {
        http_answer_error(req, 404, "not_found", "There is nothing here.");
        return;
    }
    if (!path_ok(api, req, &identity)) {
        return;
    }
    if (str_eq(http_param(req, "kind"), STR("fallback"))) {
        answer_fallback(api, carrier, &identity, req);
        return;
    }
    struct webhook *hook = xzalloc(sizeof *hook);
    hook->carrier = carrier;
    hook->identity = identity;
    str_copy_cut(http_param(req, "kind"), hook->kind, sizeof hook->kind);
    api_op_begin(&hook->op, api, req, webhook_drop);
    int err = accounts_ask(api->env.accounts, &identity.organization_id, on_accounts, hook);
    if (err < 0) {
        refused_start(hook, err);
    }
}

static bool signed_by_any(struct webhook *hook, const struct carrier_account *accounts,
                          size_t count)
{
    bool match = false;
    for (size_t i = 0; i < count; i++) {
        if (hook->carrier->verify(hook->op.req, hook->op.api->env.urls, &accounts[i]) == 0) {
            hook->account_id = accounts[i].id;
            match = true;
        }
    }
    return match;
}

static int dispatch(struct webhook *hook);

static void on_accounts(const struct fault *fault, const struct carrier_account *accounts,
                        size_t count, void *arg)
{
    struct webhook *hook = arg;
    struct api *api = hook->op.api;
    const struct uuid *organization_id = &hook->identity.organization_id;
    if (hook->op.gone || fault->class != FAULT_NONE) { /* headers of one who left cannot be read */
        const struct fault gone = fault_make(FAULT_NOT_SENT, 0, "client_gone", "the client left");
        unavailable(hook, hook->op.gone ? &gone : fault);
        return;
    }
    if (!signed_by_any(hook, accounts, count)) {
        bool again = !hook->read_anew && accounts_stale(api->env.accounts, organization_id);
        hook->read_anew = true;
        if (again && accounts_ask(api->env.accounts, organization_id, on_accounts, hook) == 0) {
            return;
        }
        note_refusal(hook->op.req, "forged", "signature");
        api_op_error(&hook->op, 403, "forbidden", "The signature does not match.");
        return;
    }
    if (hook->carrier->event_read(str_of(hook->kind), http_body(hook->op.req), &hook->event) < 0) {
        note_refusal(hook->op.req, "broken", "form");
        api_op_error(&hook->op, 400, "bad_form", "The form makes no sense.");
        return;
    }
    int err = dispatch(hook);
    if (err < 0) {
        refused_start(hook, err);
    }
}

/* --- taking it: one transaction ----------------------------------------------------------------
 */

static void on_stored_event(const struct fault *fault, const struct store_event_result *result,
                            void *arg);
static void on_stored_answer(const struct fault *fault, const struct store_answer_result *result,
                             void *arg);
static void on_stored_hangup(const struct fault *fault, const struct store_hangup_result *result,
                             void *arg);
static void on_followed(const struct fault *fault, const struct carrier_instruction *what,
                        void *arg);

static void token_make(char token[MEDIA_TOKEN_CHARS + 1])
{
    static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    size_t len = 0;
    while (len < MEDIA_TOKEN_CHARS) {
        uint8_t bytes[64];
        random_bytes(bytes, sizeof bytes);
        for (size_t i = 0; i < sizeof bytes && len < MEDIA_TOKEN_CHARS; i++) {
            if (bytes[i] < 4 * 62) { /* the rest would make some digits likelier than others */
                token[len++] = digits[bytes[i] % 62];
            }
        }
    }
    token[len] = '\0';
}

static int take_answer(struct webhook *hook, const struct store_report *report)
{
    struct api *api = hook->op.api;
    uint8_t hash[SHA256_BYTES];
    token_make(hook->token);
    sha256(str_of(hook->token), hash);
    return api->store->answer(&hook->op.tx, api->env.db, report, hash,
                              report->at_us + MEDIA_TOKEN_US, on_stored_answer, hook);
}

static int take_hangup(struct webhook *hook, const struct store_report *report)
{
    struct api *api = hook->op.api;
    const struct carrier_event *ev = &hook->event;
    const struct store_end end = {
        .cause = ev->cause,
        .cause_code = ev->cause_code,
        .source = ev->source,
        .answered_us = ev->answered_us,
        .ended_us = ev->ended_us > 0 ? ev->ended_us : report->at_us,
        .duration_s = ev->duration_s,
        .billed_s = ev->billed_s,
        .cost_micros = ev->cost_micros,
        .outcome = ev->outcome,
        .disconnect_reason = ev->disconnect_reason,
    };
    return api->store->hangup(&hook->op.tx, api->env.db, report, &end, on_stored_hangup, hook);
}

static int dispatch(struct webhook *hook)
{
    struct api *api = hook->op.api;
    const struct carrier_event *ev = &hook->event;
    const struct store_report report = {
        .organization_id = &hook->identity.organization_id,
        .call_id = &hook->identity.attempt_id,
        .kind = hook->kind,
        .event_key = ev->key,
        .call_uuid = ev->call_id,
        .request_uuid = ev->request_id,
        .carrier_status = ev->carrier_status,
        .payload = ev->payload,
        .at_us = dial_clock_wall_us(api->env.clock, api->env.loop),
    };
    switch (ev->kind) {
    case CARRIER_EVENT_ANSWER:
        return take_answer(hook, &report);
    case CARRIER_EVENT_HANGUP:
        return take_hangup(hook, &report);
    case CARRIER_EVENT_AFTER:
    case CARRIER_EVENT_AGENT_WHISPER:
    case CARRIER_EVENT_AGENT_ACTION:
    case CARRIER_EVENT_AGENT:
    case CARRIER_EVENT_RECORDING:
        if (api->env.hooks.follow != NULL) {
            return api->env.hooks.follow(&hook->identity, ev, on_followed, hook,
                                         api->env.hooks.arg);
        }
        break;
    case CARRIER_EVENT_MACHINE:
        if (!ev->machine) {
            break; /* "no machine": kept as a note under another word, nothing follows from it */
        }
        return api->store->event(&hook->op.tx, api->env.db, &report, on_stored_event, hook);
    case CARRIER_EVENT_RING:
    case CARRIER_EVENT_STREAM:
    case CARRIER_EVENT_FALLBACK:
    case CARRIER_EVENT_KINDS:
        break;
    }
    struct store_report kept = report;
    kept.kind = ev->kind == CARRIER_EVENT_MACHINE ? "not_machine" : hook->kind;
    return api->store->event(&hook->op.tx, api->env.db, &kept, on_stored_event, hook);
}

/* --- adopting: the dial was made, and a failover or a restore lost its row -----------------------
 */

static void on_adopted(const struct fault *fault, struct str result, void *arg)
{
    struct webhook *hook = arg;
    hook->op.tx = NULL;
    if (fault->class != FAULT_NONE) {
        unavailable(hook, fault);
        return;
    }
    bool there = str_eq_cstr(result, "rebuilt") || str_eq_cstr(result, "present");
    log_error("webhook.adopted", LOG_UUID("call", &hook->identity.attempt_id),
              LOG_UUID("organization", &hook->identity.organization_id),
              LOG_TEXT("result", result));
    metric_add("adoptions_total",
               there                           ? "rebuilt"
               : str_eq_cstr(result, "no_job") ? "no_job"
                                               : "conflict",
               1);
    int err = dispatch(hook); /* without a row it is answered as one of nobody's */
    if (err < 0) {
        refused_start(hook, err);
    }
}

/* The address says whose dial it was, and its MAC that we wrote it: enough to rebuild the row. */
static bool adopt(struct webhook *hook)
{
    struct api *api = hook->op.api;
    const struct carrier_event *ev = &hook->event;
    bool tells = ev->kind == CARRIER_EVENT_RING || ev->kind == CARRIER_EVENT_ANSWER ||
                 ev->kind == CARRIER_EVENT_HANGUP || ev->kind == CARRIER_EVENT_MACHINE;
    if (hook->adopted || !tells || api->store->adopt == NULL || ev->from_e164[0] == '\0' ||
        ev->to_e164[0] == '\0') {
        return false;
    }
    const struct store_adoption what = {
        .organization_id = &hook->identity.organization_id,
        .call_id = &hook->identity.attempt_id,
        .queue_id = &hook->identity.queue_id,
        .account_id = &hook->account_id,
        .attempt_number = hook->identity.attempt_number,
        .from_e164 = ev->from_e164,
        .to_e164 = ev->to_e164,
        .at_us = dial_clock_wall_us(api->env.clock, api->env.loop),
    };
    hook->adopted = true;
    int err = api->store->adopt(&hook->op.tx, api->env.db, &what, on_adopted, hook);
    if (err < 0) {
        refused_start(hook, err); /* nothing was committed: the carrier is to say it again */
    }
    return true;
}

/* --- out: what was committed, and what the call shall do ---------------------------------------
 */

static void note_taken(const struct webhook *hook, bool duplicate, bool anomaly)
{
    metric_add("webhooks_total", anomaly ? "anomaly" : duplicate ? "duplicate" : "applied", 1);
    if (anomaly) {
        metric_add("anomalies_total", NULL, 1);
        log_error("webhook.anomaly", LOG_STR("kind", hook->kind),
                  LOG_UUID("call", &hook->identity.attempt_id),
                  LOG_UUID("organization", &hook->identity.organization_id),
                  LOG_STR("call_uuid", hook->event.call_id));
    }
}

static void on_stored_event(const struct fault *fault, const struct store_event_result *result,
                            void *arg)
{
    struct webhook *hook = arg;
    const struct api_hooks *hooks = &hook->op.api->env.hooks;
    hook->op.tx = NULL;
    if (fault->class != FAULT_NONE) {
        unavailable(hook, fault);
        return;
    }
    if (!result->known && adopt(hook)) {
        return;
    }
    note_taken(hook, result->duplicate, result->anomaly);
    if (hooks->on_event != NULL && result->known && !result->anomaly) {
        hooks->on_event(&hook->identity, &hook->event, hooks->arg);
    }
    bool asks = hook->event.kind == CARRIER_EVENT_AFTER ||
                hook->event.kind == CARRIER_EVENT_AGENT_ACTION ||
                hook->event.kind == CARRIER_EVENT_AGENT_WHISPER;
    reply_next(hook, asks ? CARRIER_NEXT_HANGUP : CARRIER_NEXT_NOTHING);
}

/* The person is on the line and may not be talked to: opted out since, window closed, paused. Of a
 * call that is over, or is not ours, nobody is listening. */
static bool owes_a_word(struct str reason)
{
    static const char *const silent[] = {"ended", "not_placed", "other_call", "streaming",
                                         "asked_too_often"};
    for (size_t i = 0; i < COUNT_OF(silent); i++) {
        if (str_eq_cstr(reason, silent[i])) {
            return false;
        }
    }
    return true;
}

static void on_stored_answer(const struct fault *fault, const struct store_answer_result *result,
                             void *arg)
{
    struct webhook *hook = arg;
    const struct api_hooks *hooks = &hook->op.api->env.hooks;
    struct carrier_instruction what = {.next = CARRIER_NEXT_HANGUP, .identity = hook->identity};
    hook->op.tx = NULL;
    if (fault->class != FAULT_NONE) {
        unavailable(hook, fault);
        return;
    }
    if (str_eq_cstr(result->reason, "no_such_call") && adopt(hook)) {
        return;
    }
    note_taken(hook, result->duplicate, result->anomaly);
    if (result->talk) {
        what.next = CARRIER_NEXT_STREAM;
        what.media_token = hook->token;
        if (hooks->on_answer != NULL) {
            hooks->on_answer(&hook->identity, &hook->event, hooks->arg);
        }
    } else {
        log_warn("webhook.answer_refused", LOG_UUID("call", &hook->identity.attempt_id),
                 LOG_TEXT("reason", result->reason));
        if (owes_a_word(result->reason)) {
            what.next = CARRIER_NEXT_SAY_END;
            what.text = "We are sorry, this call was made by mistake. Goodbye.";
            what.language = "en-US";
        }
    }
    reply(hook, &what);
}

static void on_stored_hangup(const struct fault *fault, const struct store_hangup_result *result,
                             void *arg)
{
    struct webhook *hook = arg;
    const struct api_hooks *hooks = &hook->op.api->env.hooks;
    hook->op.tx = NULL;
    if (fault->class != FAULT_NONE) {
        unavailable(hook, fault);
        return;
    }
    if (result->status.len == 0 && adopt(hook)) {
        return;
    }
    note_taken(hook, result->duplicate, result->anomaly);
    if (hooks->on_hangup != NULL && !result->anomaly) {
        hooks->on_hangup(&hook->identity, &hook->event, hooks->arg);
    }
    reply_next(hook, CARRIER_NEXT_NOTHING);
}

static void on_followed(const struct fault *fault, const struct carrier_instruction *what,
                        void *arg)
{
    struct webhook *hook = arg;
    if (fault->class != FAULT_NONE) {
        unavailable(hook, fault);
        return;
    }
    metric_add("webhooks_total", "applied", 1);
    reply(hook, what);
}
