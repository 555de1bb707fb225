#include "dial/reconcile.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/fault_point.h"
#include "base/list.h"
#include "base/log.h"
#include "base/metrics.h"
#include "dial/undertaker.h"
#include "loop/timer.h"

#include <string.h>

#define DUE_MAX        200 /* attempts taken in one round */
#define OVER_AGE_MS    120000
#define STATE_MS       5000
#define CANDIDATES_MAX 8 /* calls of one number pair that can be in question */

/* One attempt in question: account -> search -> presence of each candidate, or absence. */
struct inquiry {
    struct list link;
    struct reconcile *r;
    struct store_unknown about;
    struct carrier_account account;
    struct carrier_op *search;
    struct pg_tx *tx;
    struct carrier_sighting candidates[CANDIDATES_MAX];
    size_t candidate_count;
    size_t candidate_at;
    int64_t skew_ms;
    int64_t
        asked_at_us; /* before the first list was read: what they do not show, they did not show then */
    bool searching; /* counts against RECONCILE_SEARCHES */
};

struct reconcile {
    const struct dial_env *env;
    struct timer round;
    struct timer state_timer;
    struct undertaker *undertaker;
    struct list waiting; /* inquiries */
    struct list asking;
    size_t asking_count;
    struct pg_tx *sweep_tx;
    struct pg_tx *due_tx;
    struct pg_tx *state_tx;
    struct reconcile_state state;
};

static void start_next(struct reconcile *r);
static void next_candidate(struct inquiry *q);

static bool clock_off(const struct reconcile *r)
{
    return dial_clock_trouble(r->env->clock, r->env->loop)[0] != '\0';
}

/* --- one inquiry -------------------------------------------------------------------------------- */

static void inquiry_free(struct inquiry *q)
{
    store_cancel(&q->tx);
    q->r->env->carrier->cancel(&q->search);
    list_remove(&q->link);
    secret_wipe(&q->account, sizeof q->account);
    xfree(q);
}

static void inquiry_over(struct inquiry *q)
{
    struct reconcile *r = q->r;
    if (q->searching) {
        r->asking_count--;
    }
    inquiry_free(q);
    start_next(r);
}

static void resolved(const struct inquiry *q, const char *by, const char *status)
{
    metric_add("reconciled_total", by, 1);
    log_info("dial.reconciled", LOG_UUID("call", &q->about.call_id),
             LOG_STR("was", q->about.status), LOG_STR("now", status), LOG_STR("by", by));
}

static void on_absence(const struct fault *fault, bool concluded, struct str why, void *arg)
{
    struct inquiry *q = arg;
    q->tx = NULL;
    FAULT("absence.answered");
    if (fault->class != FAULT_NONE) {
        log_warn("dial.reconcile_failed", LOG_STR("code", fault->code),
                 LOG_STR("text", fault->text));
    } else if (concluded) {
        resolved(q, "absent", "not_placed");
    } else {
        log_debug("dial.absence_open", LOG_UUID("call", &q->about.call_id), LOG_TEXT("why", why));
    }
    inquiry_over(q);
}

static void record_absence(struct inquiry *q)
{
    const struct settings *s = q->r->env->settings;
    struct store_absence scan = {
        .organization_id = &q->about.organization_id,
        .call_id = &q->about.call_id,
        .skew_ms = q->skew_ms,
        .retry_ms = s->reconcile_interval_ms,
        .horizon_ms = dial_horizon_ms(s),
        .scan_gap_ms = s->absence_scan_gap_ms,
        .at_us = q->asked_at_us,
    };
    FAULT("absence.before_send");
    if (store_reconcile_absence(&q->tx, q->r->env->db, &scan, on_absence, q) < 0) {
        inquiry_over(q);
    }
}

static const char *where_name(enum carrier_where where)
{
    switch (where) {
    case CARRIER_LIVE:
        return "live";
    case CARRIER_QUEUED:
        return "queued";
    case CARRIER_CDR:
        return "cdr";
    }
    return "live";
}

static void on_presence(const struct fault *fault, struct str status, void *arg)
{
    struct inquiry *q = arg;
    const struct carrier_sighting *seen = &q->candidates[q->candidate_at];
    q->tx = NULL;
    FAULT("presence.answered");
    if (fault->class != FAULT_NONE) {
        log_warn("dial.reconcile_failed", LOG_STR("code", fault->code),
                 LOG_STR("text", fault->text));
        inquiry_over(q);
        return;
    }
    if (str_eq_cstr(status, "other")) {
        q->candidate_at++;
        next_candidate(q);
        return;
    }
    char now[STORE_STATUS_SIZE];
    str_copy_cut(status, now, sizeof now);
    if (strcmp(now, q->about.status) != 0) {
        resolved(q, where_name(seen->where), now);
    }
    const struct dial_hooks *hooks = &q->r->env->hooks;
    if (strcmp(now, "ended") == 0 && hooks->ended != NULL) {
        hooks->ended(&q->about.organization_id, &q->about.call_id, hooks->arg);
    }
    inquiry_over(q);
}

static void next_candidate(struct inquiry *q)
{
    const struct settings *s = q->r->env->settings;
    if (q->candidate_at >= q->candidate_count) {
        record_absence(q);
        return;
    }
    if (clock_off(q->r)) {
        inquiry_over(q);
        return;
    }
    const struct carrier_sighting *seen = &q->candidates[q->candidate_at];
    struct store_presence found = {
        .organization_id = &q->about.organization_id,
        .call_id = &q->about.call_id,
        .found_in = where_name(seen->where),
        .call_uuid = seen->call_id,
        .request_uuid = seen->request_id,
        .initiated_us = seen->initiated_us,
        .answered_us = seen->answered_us,
        .ended_us = seen->ended_us,
        .duration_s = seen->duration_s,
        .billed_s = seen->billed_s,
        .cost_micros = seen->cost_micros,
        .cause = seen->cause,
        .cause_code = seen->cause_code,
        .source = seen->source,
        .outcome = seen->outcome,
        .disconnect_reason = seen->disconnect_reason,
        .skew_ms = DIAL_SKEW_MS,
        .horizon_ms = dial_horizon_ms(s),
        .retry_ms = s->reconcile_interval_ms,
        .at_us = loop_wall_us(q->r->env->loop),
    };
    FAULT("presence.before_send");
    if (store_reconcile_presence(&q->tx, q->r->env->db, &found, on_presence, q) < 0) {
        inquiry_over(q);
    }
}

/* The carrier filters numbers by prefix: here they are compared whole. */
static bool same_pair(const struct inquiry *q, const struct carrier_sighting *seen)
{
    return seen->outbound && strcmp(seen->from_e164, q->about.caller_e164) == 0 &&
           strcmp(seen->to_e164, q->about.callee_e164) == 0;
}

/* Ended calls first: a call can still be listed as live for a moment after its end. */
static int rank(const struct carrier_sighting *seen)
{
    return seen->where == CARRIER_CDR ? 0 : seen->where == CARRIER_LIVE ? 1 : 2;
}

static void add_candidate(struct inquiry *q, const struct carrier_sighting *seen)
{
    if (q->candidate_count == CANDIDATES_MAX) {
        return;
    }
    size_t at = q->candidate_count++;
    while (at > 0 && rank(&q->candidates[at - 1]) > rank(seen)) {
        q->candidates[at] = q->candidates[at - 1];
        at--;
    }
    q->candidates[at] = *seen;
}

static void on_found(const struct carrier_found *found, void *arg)
{
    struct inquiry *q = arg;
    q->search = NULL;
    FAULT("search.answered");
    if (found->fault.class != FAULT_NONE) {
        log_warn("dial.search_failed", LOG_UUID("call", &q->about.call_id),
                 LOG_STR("text", found->fault.text));
        inquiry_over(q);
        return;
    }
    bool overflow = false;
    for (size_t i = 0; i < found->count; i++) {
        if (same_pair(q, &found->sightings[i])) {
            overflow = q->candidate_count == CANDIDATES_MAX;
            add_candidate(q, &found->sightings[i]);
        }
    }
    if (clock_off(q->r)) {
        inquiry_over(q); /* what is written would be dated wrongly, and the horizon with it */
        return;
    }
    if (overflow) {
        log_error("dial.too_many_candidates", LOG_UUID("call", &q->about.call_id));
        inquiry_over(q); /* nothing may be concluded from a part of the list */
        return;
    }
    /* Without a Date header the carrier's clock is unknown, and the scan proves nothing. */
    int64_t apart_us = found->carrier_date_us - loop_wall_us(q->r->env->loop);
    q->skew_ms = found->carrier_date_us == 0 ? DIAL_SKEW_MS : apart_us / US_PER_MS;
    if (q->skew_ms >= DIAL_SKEW_MS || q->skew_ms <= -DIAL_SKEW_MS) {
        metric_add("carrier_list_faults_total", "date", 1);
    }
    next_candidate(q);
}

static void on_account(const struct fault *fault, const struct carrier_account *accounts,
                       size_t count, void *arg)
{
    struct inquiry *q = arg;
    const struct dial_env *env = q->r->env;
    bool found = false;
    for (size_t i = 0; fault->class == FAULT_NONE && i < count && !found; i++) {
        found = uuid_eq(&accounts[i].id, &q->about.carrier_account_id);
        q->account = accounts[i];
    }
    struct carrier_search search = {
        .from_e164 = q->about.caller_e164,
        .to_e164 = q->about.callee_e164,
        .since_us = q->about.intent_us - (int64_t)DIAL_SKEW_MS * US_PER_MS,
    };
    q->asked_at_us = loop_wall_us(env->loop);
    if (!found || clock_off(q->r) ||
        env->carrier->search_start(&q->search, env->http, &q->account, &search, on_found, q) < 0) {
        inquiry_over(q);
    }
}

static void start_next(struct reconcile *r)
{
    while (r->asking_count < RECONCILE_SEARCHES && !list_empty(&r->waiting)) {
        struct inquiry *q = LIST_ITEM(list_pop_front(&r->waiting), struct inquiry, link);
        list_push_back(&r->asking, &q->link);
        if (accounts_ask(r->env->accounts, &q->about.organization_id, on_account, q) < 0) {
            inquiry_free(q);
            continue;
        }
        q->searching = true;
        r->asking_count++;
    }
    r->state.searching = r->asking_count;
}

/* --- a round ------------------------------------------------------------------------------------ */

static void on_due(const struct fault *fault, const struct store_unknown *due, size_t count,
                   void *arg)
{
    struct reconcile *r = arg;
    r->due_tx = NULL;
    FAULT("due.answered");
    if (fault->class == FAULT_BROKEN) {
        log_error("dial.unknown_due", LOG_STR("code", fault->code), LOG_STR("text", fault->text));
    }
    for (size_t i = 0; i < count; i++) {
        struct inquiry *q = xzalloc(sizeof *q);
        q->r = r;
        q->about = due[i];
        list_push_back(&r->waiting, &q->link);
    }
    r->state.rounds++;
    start_next(r);
}

static void on_swept(const struct fault *fault, const struct store_swept *swept, size_t count,
                     void *arg)
{
    struct reconcile *r = arg;
    const struct dial_env *env = r->env;
    r->sweep_tx = NULL;
    FAULT("sweep.answered");
    if (fault->class == FAULT_BROKEN) {
        log_error("dial.lease_sweep", LOG_STR("code", fault->code), LOG_STR("text", fault->text));
    }
    for (size_t i = 0; i < count; i++) {
        log_warn("dial.unknown", LOG_UUID("call", &swept[i].call_id), LOG_STR("was", swept[i].was));
    }
    /* The clock again, and with each moment that is written: it may have jumped since the round began, and a
     * row's next turn an hour ahead would be nobody's. */
    if (fault->class == FAULT_NONE && !clock_off(r) && r->due_tx == NULL &&
        list_empty(&r->waiting) &&
        store_unknown_due(&r->due_tx, env->db, DUE_MAX, env->settings->reconcile_interval_ms,
                          loop_wall_us(env->loop), on_due, r) < 0) {
        log_debug("dial.round_skipped");
    }
}

static void on_round(void *arg)
{
    struct reconcile *r = arg;
    if (pg_pool_health(r->env->db) != PG_UP || clock_off(r)) {
        return;
    }
    if (r->sweep_tx == NULL && store_lease_sweep(&r->sweep_tx, r->env->db, OVER_AGE_MS,
                                                 loop_wall_us(r->env->loop), on_swept, r) < 0) {
        log_debug("dial.round_skipped");
    }
}

static void on_state(const struct fault *fault, const struct store_unknown_state *state, void *arg)
{
    struct reconcile *r = arg;
    r->state_tx = NULL;
    if (fault->class == FAULT_NONE) {
        r->state.unknown_calls = state->unknown_calls;
        r->state.oldest_s = state->oldest_s;
        metric_set("unknown_attempts", NULL, state->unknown_calls);
    }
}

static void on_state_timer(void *arg)
{
    struct reconcile *r = arg;
    if (r->state_tx == NULL && pg_pool_health(r->env->db) == PG_UP &&
        store_unknown_state(&r->state_tx, r->env->db, loop_wall_us(r->env->loop), on_state, r) <
            0) {
        log_debug("dial.state_skipped");
    }
}

/* What a dead worker had in hand does not wait for the next round. */
static void on_buried(int64_t attempts, void *arg)
{
    (void)attempts;
    on_round(arg);
}

int reconcile_open(struct reconcile **out, const struct dial_env *env)
{
    struct reconcile *r = xzalloc(sizeof *r);
    r->env = env;
    list_init(&r->waiting);
    list_init(&r->asking);
    timer_repeat(&r->round, env->loop, env->settings->reconcile_interval_ms, on_round, r);
    timer_repeat(&r->state_timer, env->loop, STATE_MS, on_state_timer, r);
    undertaker_open(&r->undertaker, env, on_buried, r);
    *out = r;
    return 0;
}

void reconcile_close(struct reconcile **r_p)
{
    if (r_p == NULL || *r_p == NULL) {
        return;
    }
    struct reconcile *r = *r_p;
    timer_stop(&r->round);
    timer_stop(&r->state_timer);
    store_cancel(&r->sweep_tx);
    store_cancel(&r->due_tx);
    store_cancel(&r->state_tx);
    undertaker_close(&r->undertaker);
    LIST_EACH_SAFE(it, &r->waiting)
    {
        inquiry_free(LIST_ITEM(it, struct inquiry, link));
    }
    LIST_EACH_SAFE(it, &r->asking)
    {
        inquiry_free(LIST_ITEM(it, struct inquiry, link));
    }
    xfree(r);
    *r_p = NULL;
}

struct reconcile_state reconcile_state(const struct reconcile *r)
{
    return r->state;
}
