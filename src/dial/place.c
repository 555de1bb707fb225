#include "dial/place.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/fault_point.h"
#include "base/log.h"
#include "base/metrics.h"
#include "dial/history.h"
#include "dial/journal.h"
#include "loop/timer.h"

#include <string.h>

#define RESULT_AGAIN_MS  500
#define GONE_MAX         240 /* then it is the reconciler's: two minutes are enough for a replay */
#define ACCOUNT_REST_MS  300000
#define CALLBACK_LIFE_S  86400 /* far beyond any call: its reports must always be believed */
#define TALK_SLACK_S     30    /* we end a talk politely before the carrier cuts it */
#define TRANSFER_FACTOR  7 /* app.talk_allowance(): the AI's part and six times that for a human */
#define TIME_LIMIT_MAX_S 14400

enum place_state {
    PLACE_BRIEF,
    PLACE_ACCOUNT,
    PLACE_JOURNAL,
    PLACE_POST,
    PLACE_RESULT,
    PLACE_OVER
};

struct place {
    const struct dial_env *env;
    struct place_told told;
    struct store_claimed claimed;
    enum place_state state;
    int64_t claim_sent_us;
    int64_t posted_us;
    json_t *brief;
    struct carrier_account account;
    struct uuid worker_id;
    uint64_t generation; /* of the history that the claim was made on */
    struct journal_op *journaled;
    struct carrier_op *post;
    struct pg_tx *tx;
    struct timer again;
    bool posting_over;
    /* the result */
    const char *result;
    char resolved_by[16];
    char request_id[CARRIER_ID_SIZE];
    char detail[200];
    int32_t http_status;
    bool permanent;
    int gone;             /* times that its row was not there */
    int64_t result_at_us; /* of its first writing: a repetition says the same */
};

static void on_brief(const struct fault *fault, json_t *brief, struct str refusal, void *arg);
static void on_account(const struct fault *fault, const struct carrier_account *accounts,
                       size_t count, void *arg);
static void on_posted(const struct carrier_placed *placed, void *arg);
static void write_result(struct place *p);
static void on_written(const struct fault *fault, struct str status, void *arg);

static void tell_posting_over(struct place *p)
{
    if (!p->posting_over) {
        p->posting_over = true;
        p->told.posting_over(p->told.arg);
    }
}

static void finish(struct place *p)
{
    struct place_told told = p->told;
    place_drop(&p);
    told.over(told.arg);
}

void place_drop(struct place **place_p)
{
    if (place_p == NULL || *place_p == NULL) {
        return;
    }
    struct place *p = *place_p;
    timer_stop(&p->again);
    store_cancel(&p->tx);
    journal_cancel(&p->journaled);
    p->env->carrier->cancel(&p->post);
    json_free(&p->brief);
    secret_wipe(&p->account, sizeof p->account);
    xfree(p);
    *place_p = NULL;
}

/* This attempt is not POSTed, and from here on never will be. */
static void sign_off(struct place *p, const char *why)
{
    p->result = "not_placed";
    str_copy_cut(STR("sign_off"), p->resolved_by, sizeof p->resolved_by);
    str_copy_cut(str_of(why), p->detail, sizeof p->detail);
    tell_posting_over(p);
    FAULT("post.signed_off");
    metric_add("places_total", "signed_off", 1);
    log_info("dial.sign_off", LOG_UUID("call", &p->claimed.call_id), LOG_STR("why", why));
    write_result(p);
}

static void ask_brief(void *arg)
{
    struct place *p = arg;
    FAULT("brief.before_send");
    int err = store_brief(&p->tx, p->env->db, &p->claimed.organization_id, &p->claimed.call_id,
                          loop_wall_us(p->env->loop), on_brief, p);
    if (err < 0) {
        sign_off(p, "the database's queue is full");
    }
}

void place_start(struct place **out, const struct dial_env *env,
                 const struct store_claimed *claimed, const struct place_claim *claim,
                 const struct place_told *told)
{
    struct place *p = xzalloc(sizeof *p);
    p->env = env;
    p->told = *told;
    p->claimed = *claimed;
    p->claim_sent_us = claim->sent_us;
    p->generation = claim->generation;
    p->worker_id = *claim->worker_id;
    *out = p;
    timer_start(&p->again, env->loop, 0, ask_brief, p); /* later: a start reports nothing */
}

static void on_brief(const struct fault *fault, json_t *brief, struct str refusal, void *arg)
{
    struct place *p = arg;
    p->tx = NULL;
    FAULT("brief.answered");
    if (fault->class != FAULT_NONE) {
        p->told.trouble(p->told.arg);
        sign_off(p, fault->text);
        return;
    }
    if (brief == NULL || refusal.len > 0) {
        char why[64];
        str_copy_cut(brief == NULL ? STR("no brief") : refusal, why, sizeof why);
        sign_off(p, why);
        return;
    }
    p->brief = json_incref(brief);
    p->state = PLACE_ACCOUNT;
    if (accounts_ask(p->env->accounts, &p->claimed.organization_id, on_account, p) < 0) {
        sign_off(p, "the database's queue is full");
    }
}

static uint32_t seconds_of(const json_t *campaign, const char *name, int64_t def, int64_t most)
{
    return (uint32_t)i64_max(1, i64_min(json_get_i64(campaign, name, def), most));
}

static void fill_ask(const struct place *p, struct carrier_ask *ask)
{
    const struct settings *s = p->env->settings;
    const json_t *campaign = json_get(p->brief, "campaign");
    bool transfers = str_eq_cstr(json_get_str(campaign, "transfer"), "agents");
    uint32_t talk_s = seconds_of(campaign, "max_duration_s", 600, TIME_LIMIT_MAX_S);
    ask->identity = (struct carrier_identity){
        .attempt_id = p->claimed.call_id,
        .organization_id = p->claimed.organization_id,
        .queue_id = p->claimed.queue_id,
        .attempt_number = p->claimed.attempt_number,
        .expires_s = loop_wall_us(p->env->loop) / US_PER_S + CALLBACK_LIFE_S,
    };
    ask->from_e164 = p->claimed.caller_e164;
    ask->to_e164 = p->claimed.callee_e164;
    /* The horizon H counts on the setting: a campaign may only ring shorter. */
    ask->ring_timeout_s = seconds_of(campaign, "ring_timeout_s", 30, s->ring_timeout_s);
    ask->time_limit_s = (uint32_t)i64_min(
        TIME_LIMIT_MAX_S, (int64_t)talk_s * (transfers ? TRANSFER_FACTOR : 1) + TALK_SLACK_S);
    ask->timeout_ms = (uint32_t)s->place_timeout_ms;
    struct str amd = json_get_str(campaign, "amd");
    ask->machine_detection = amd.len > 0 && !str_eq_cstr(amd, "off");
}

/* The last thing before the request: a worker that slept here must not wake up and dial. */
static bool too_late(const struct place *p)
{
    int64_t age_us = loop_now_us(p->env->loop) - p->claim_sent_us;
    return age_us > p->env->settings->claim_deadline_ms * US_PER_MS;
}

static void post(struct place *p)
{
    struct carrier_ask ask = {.from_e164 = NULL};
    fill_ask(p, &ask);
    FAULT("post.before_deadline");
    if (too_late(p)) {
        sign_off(p, "deadline");
        return;
    }
    FAULT("post.before_send"); /* the one gap that no check can close (never-twice 2.4, row 7) */
    p->state = PLACE_POST;
    p->posted_us = loop_now_us(p->env->loop);
    int err = p->env->carrier->place_start(&p->post, p->env->http, p->env->urls, &p->account, &ask,
                                           on_posted, p);
    FAULT("post.after_send");
    if (err < 0) {
        sign_off(p, "the carrier request could not be started");
    }
}

static void on_journaled(int err, void *arg)
{
    struct place *p = arg;
    p->journaled = NULL;
    FAULT("journal.answered");
    if (err < 0) {
        sign_off(p, "the dial journal cannot be written");
        return;
    }
    post(p);
}

/* What is not in the journal when the database turns out to be another one would be forgotten by both. */
static void write_journal(struct place *p)
{
    const struct dial_env *env = p->env;
    if (env->history != NULL && history_generation(env->history) != p->generation) {
        sign_off(p, "the database changed since the claim");
        return;
    }
    if (env->journal == NULL) {
        post(p);
        return;
    }
    if (too_late(p)) {
        sign_off(p, "deadline");
        return;
    }
    struct journal_entry entry = {
        .call_id = p->claimed.call_id,
        .organization_id = p->claimed.organization_id,
        .queue_id = p->claimed.queue_id,
        .carrier_account_id = p->claimed.carrier_account_id,
        .worker_id = p->worker_id,
        .attempt_number = p->claimed.attempt_number,
        .at_us = dial_clock_wall_us(env->clock, env->loop), /* never a moment to come */
    };
    memcpy(entry.from_e164, p->claimed.caller_e164, sizeof entry.from_e164);
    memcpy(entry.to_e164, p->claimed.callee_e164, sizeof entry.to_e164);
    p->state = PLACE_JOURNAL;
    FAULT("journal.before_append");
    if (journal_append(&p->journaled, env->journal, &entry, on_journaled, p) < 0) {
        sign_off(p, "the dial journal cannot be written");
    }
}

static void on_account(const struct fault *fault, const struct carrier_account *accounts,
                       size_t count, void *arg)
{
    struct place *p = arg;
    for (size_t i = 0; fault->class == FAULT_NONE && i < count; i++) {
        if (uuid_eq(&accounts[i].id, &p->claimed.carrier_account_id) &&
            accounts[i].auth_token[0][0] != '\0') {
            p->account = accounts[i];
            write_journal(p);
            return;
        }
    }
    sign_off(p,
             fault->class != FAULT_NONE ? fault->text : "the carrier account has no usable token");
}

static void on_trouble_written(const struct fault *fault, void *arg)
{
    (void)arg;
    if (fault->class != FAULT_NONE) {
        log_warn("dial.account_trouble_unwritten", LOG_STR("fault", fault->text));
    }
}

static void account_trouble(struct place *p)
{
    log_error("dial.account_trouble", LOG_UUID("account", &p->claimed.carrier_account_id),
              LOG_STR("detail", p->detail));
    int err = store_account_trouble(NULL, p->env->db, &p->claimed.organization_id,
                                    &p->claimed.carrier_account_id, p->detail, ACCOUNT_REST_MS,
                                    loop_wall_us(p->env->loop), on_trouble_written, NULL);
    if (err < 0) {
        log_warn("dial.account_trouble_unwritten", LOG_I64("err", err));
    }
}

static void on_posted(const struct carrier_placed *placed, void *arg)
{
    struct place *p = arg;
    p->post = NULL;
    FAULT("post.answered");
    tell_posting_over(p);
    FAULT("post.over");
    bool accepted = placed->fault.class == FAULT_NONE;
    bool known_not = !accepted && placed->resolved_by != NULL && placed->resolved_by[0] != '\0';
    p->result = accepted ? "placed" : known_not ? "not_placed" : "unknown";
    str_copy_cut(str_of(placed->resolved_by), p->resolved_by, sizeof p->resolved_by);
    str_copy_cut(str_of(placed->request_id), p->request_id, sizeof p->request_id);
    str_copy_cut(str_of(placed->fault.text), p->detail, sizeof p->detail);
    p->http_status = placed->fault.status;
    p->permanent = placed->permanent;
    metric_add("places_total", p->result, 1);
    metric_observe_ms("place_seconds", (loop_now_us(p->env->loop) - p->posted_us) / US_PER_MS);
    log_info("dial.posted", LOG_UUID("call", &p->claimed.call_id), LOG_STR("result", p->result),
             LOG_STR("by", p->resolved_by), LOG_I64("http", p->http_status));
    if (placed->account_trouble) {
        account_trouble(p);
    }
    write_result(p);
}

static void write_again(void *arg)
{
    write_result(arg);
}

static void write_result(struct place *p)
{
    p->state = PLACE_RESULT;
    if (p->result_at_us == 0 && dial_clock_trouble(p->env->clock, p->env->loop)[0] != '\0') {
        /* Dated in the past it would cut the horizon short. */
        timer_start(&p->again, p->env->loop, RESULT_AGAIN_MS, write_again, p);
        return;
    }
    if (p->result_at_us == 0) {
        p->result_at_us = loop_wall_us(p->env->loop);
    }
    struct store_placed placed = {
        .organization_id = &p->claimed.organization_id,
        .call_id = &p->claimed.call_id,
        .result = p->result,
        .resolved_by = p->resolved_by,
        .request_uuid = p->request_id,
        .http_status = p->http_status,
        .detail = p->detail,
        .permanent = p->permanent,
        .at_us = p->result_at_us,
    };
    FAULT("result.before_send");
    if (store_place_result(&p->tx, p->env->db, &placed, on_written, p) < 0) {
        timer_start(&p->again, p->env->loop, RESULT_AGAIN_MS, write_again, p);
    }
}

static void on_written(const struct fault *fault, struct str status, void *arg)
{
    struct place *p = arg;
    p->tx = NULL;
    FAULT("result.answered");
    /* No such row: a failover lost it, and the journal brings it back. */
    bool gone = fault->class == FAULT_NONE && status.len == 0 && p->gone++ < GONE_MAX;
    bool again = fault->class == FAULT_NOT_SENT || fault->class == FAULT_UNSURE ||
                 fault->class == FAULT_BUSY || gone;
    if (again) {
        /* What the carrier did is known here and nowhere else: kept until the database has it. The
         * lease, running meanwhile, leads to unknown, and a late result still lands. */
        p->told.trouble(p->told.arg);
        timer_start(&p->again, p->env->loop, RESULT_AGAIN_MS, write_again, p);
        return;
    }
    if (fault->class != FAULT_NONE) {
        log_error("dial.result_refused", LOG_UUID("call", &p->claimed.call_id),
                  LOG_STR("code", fault->code), LOG_STR("text", fault->text));
    } else if (strcmp(p->result, "placed") == 0 && str_eq_cstr(status, "not_placed")) {
        /* Taken after it had been written off: the horizon is too small. Its answer will be hung up. */
        metric_add("anomalies_total", NULL, 1);
        log_error("dial.placed_after_all", LOG_UUID("call", &p->claimed.call_id));
    } else if (strcmp(p->result, "placed") == 0 && !str_eq_cstr(status, "ended") &&
               p->env->hooks.placed != NULL) {
        p->env->hooks.placed(&p->claimed, p->brief, p->env->hooks.arg);
    }
    finish(p);
}
