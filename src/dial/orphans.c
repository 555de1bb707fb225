#include "dial/orphans.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "dial/history.h"
#include "loop/timer.h"
#include "store/store_history.h"

#include <string.h>

#define LOOK_MS      1000
#define HOLD_MS      300000   /* an account is ours for so long; a sweep that died lets go of it */
#define FIRST_MS     86400000 /* how far a first sweep looks back */
#define PART_MAX     100      /* calls of one transaction */
#define DUE_MAX      20
#define SLICE_MIN_US (60 * US_PER_S)

/*  on_look -> on_due -> next_account -> on_account -> ask_slice -> on_listed -> put_part -> on_put ...
 *                ^            ^                            '------<------ next slice -----'   |
 *                |            '------------------------------ swept <------------------------'
 *                '---- (until nothing is due)                                                     */
struct orphans {
    const struct dial_env *env;
    struct timer look;
    struct pg_tx *tx;
    struct carrier_op *op;
    bool busy;
    bool asked; /* orphans_sweep() waits */
    bool forced;
    bool adopt;
    bool started; /* the sweep of the start was made */
    int64_t since_us;
    int64_t begun_us; /* wall */
    int64_t next_us;  /* monotonic: when to look again whether something is due */
    size_t failed;
    orphans_fn *on_swept;
    void *arg;
    struct store_orphan_due due[DUE_MAX];
    size_t due_count;
    size_t due_at;
    /* the account at hand */
    struct carrier_account account;
    int64_t from_us;
    int64_t to_us; /* 0: to the end, with what lives and waits */
    struct carrier_sighting *found;
    size_t found_count;
    size_t found_at;
    struct store_orphan_sum sum;
};

static void next_account(struct orphans *o);
static void ask_slice(struct orphans *o);
static void put_part(struct orphans *o);
static void begin(struct orphans *o);

static void on_look(void *arg)
{
    struct orphans *o = arg;
    bool known = o->env->history == NULL || history_may_claim(o->env->history);
    bool due = o->asked || (known && loop_now_us(o->env->loop) >= o->next_us);
    if (!o->busy && due && pg_pool_health(o->env->db) == PG_UP) {
        begin(o);
    }
}

void orphans_open(struct orphans **out, const struct dial_env *env)
{
    struct orphans *o = xzalloc(sizeof *o);
    o->env = env;
    timer_repeat(&o->look, env->loop, LOOK_MS, on_look, o);
    *out = o;
}

void orphans_close(struct orphans **o_p)
{
    if (o_p == NULL || *o_p == NULL) {
        return;
    }
    struct orphans *o = *o_p;
    timer_stop(&o->look);
    store_cancel(&o->tx);
    o->env->carrier->cancel(&o->op);
    secret_wipe(&o->account, sizeof o->account);
    xfree(o->found);
    xfree(o);
    *o_p = NULL;
}

void orphans_sweep(struct orphans *o, bool adopt, int64_t since_us, orphans_fn *on_swept, void *arg)
{
    o->asked = true;
    o->adopt = adopt;
    o->since_us = since_us;
    o->on_swept = on_swept;
    o->arg = arg;
}

/* --- which accounts ------------------------------------------------------------------------------ */

static void round_over(struct orphans *o)
{
    orphans_fn *on_swept = o->forced ? o->on_swept : NULL;
    int64_t pause_ms = i64_min(15000, o->env->settings->orphan_sweep_s * 500);
    o->busy = false;
    o->started = true;
    o->next_us = loop_now_us(o->env->loop) + pause_ms * US_PER_MS;
    if (on_swept != NULL) {
        o->on_swept = NULL;
        on_swept(o->failed, o->arg);
    }
}

static void on_due(const struct fault *fault, const struct store_orphan_due *due, size_t count,
                   void *arg)
{
    struct orphans *o = arg;
    o->tx = NULL;
    if (fault->class != FAULT_NONE) {
        o->busy = false; /* the next look asks again */
        o->asked = o->asked || o->forced;
        return;
    }
    o->due_count = count < DUE_MAX ? count : DUE_MAX;
    o->due_at = 0;
    if (o->due_count > 0) {
        memcpy(o->due, due, o->due_count * sizeof *due);
    }
    if (count == 0) {
        round_over(o);
        return;
    }
    next_account(o);
}

static void ask_due(struct orphans *o)
{
    const struct dial_env *env = o->env;
    int64_t now_us = loop_wall_us(env->loop);
    /* At the start and when asked: all that were not looked at since this began. */
    bool all = o->forced || !o->started;
    struct store_orphan_when when = {
        .every_ms = all ? i64_max(0, (now_us - o->begun_us) / US_PER_MS)
                        : env->settings->orphan_sweep_s * 1000,
        .hold_ms = HOLD_MS,
        .first_ms = FIRST_MS,
        .since_us = o->forced ? o->since_us : 0,
        .at_us = now_us,
    };
    if (store_orphan_due(&o->tx, env->db, &when, on_due, o) < 0) {
        o->busy = false;
        o->asked = o->asked || o->forced;
    }
}

static void begin(struct orphans *o)
{
    o->busy = true;
    o->forced = o->asked;
    o->asked = false;
    o->failed = 0;
    o->begun_us = loop_wall_us(o->env->loop);
    ask_due(o);
}

/* --- one account --------------------------------------------------------------------------------- */

static void on_swept_stored(const struct fault *fault, void *arg)
{
    struct orphans *o = arg;
    o->tx = NULL;
    if (fault->class != FAULT_NONE) {
        log_warn("orphans.unwritten", LOG_STR("text", fault->text));
    }
    o->due_at++;
    next_account(o);
}

static void account_over(struct orphans *o, const char *failed)
{
    const struct dial_env *env = o->env;
    const struct store_orphan_due *due = &o->due[o->due_at];
    /* What ended since then may not be listed yet. */
    int64_t until_us =
        failed != NULL ? 0 : o->begun_us - (env->settings->cdr_lag_ms + DIAL_SKEW_MS) * US_PER_MS;
    o->failed += failed != NULL ? 1 : 0;
    metric_add("orphan_sweeps_total", failed != NULL ? "failed" : "done", 1);
    metric_add("orphan_calls_total", NULL, o->sum.fresh);
    if (failed != NULL) {
        log_warn("orphans.failed", LOG_UUID("account", &due->account_id), LOG_STR("why", failed));
    } else if (o->sum.orphans + o->sum.adopted > 0) {
        log_error("orphans.found", LOG_UUID("account", &due->account_id),
                  LOG_I64("orphans", o->sum.orphans), LOG_I64("adopted", o->sum.adopted));
    }
    secret_wipe(&o->account, sizeof o->account);
    if (store_orphan_swept(&o->tx, env->db, due, until_us, &o->sum, failed, loop_wall_us(env->loop),
                           on_swept_stored, o) < 0) {
        o->due_at++;
        next_account(o);
    }
}

static void on_account(const struct fault *fault, const struct carrier_account *accounts,
                       size_t count, void *arg)
{
    struct orphans *o = arg;
    bool found = false;
    for (size_t i = 0; fault->class == FAULT_NONE && i < count && !found; i++) {
        found = uuid_eq(&accounts[i].id, &o->due[o->due_at].account_id) &&
                accounts[i].auth_token[0][0] != '\0';
        o->account = accounts[i];
    }
    if (!found) {
        account_over(o, "the account has no usable token");
        return;
    }
    o->from_us = o->due[o->due_at].swept_until_us;
    o->to_us = 0;
    o->sum = (struct store_orphan_sum){0};
    ask_slice(o);
}

static void next_account(struct orphans *o)
{
    if (o->due_at >= o->due_count) {
        ask_due(o);
        return;
    }
    o->sum = (struct store_orphan_sum){0};
    if (accounts_ask(o->env->accounts, &o->due[o->due_at].organization_id, on_account, o) < 0) {
        account_over(o, "the database's queue is full");
    }
}

static void on_listed(const struct carrier_found *found, void *arg)
{
    struct orphans *o = arg;
    o->op = NULL;
    bool long_list = strcmp(found->fault.code, "too_many") == 0 ||
                     strcmp(found->fault.code, "endless_list") == 0;
    int64_t end_us = o->to_us != 0 ? o->to_us : loop_wall_us(o->env->loop);
    if (found->fault.class != FAULT_NONE && long_list && end_us - o->from_us > 2 * SLICE_MIN_US) {
        o->to_us = o->from_us + (end_us - o->from_us) / 2;
        ask_slice(o);
        return;
    }
    if (found->fault.class != FAULT_NONE) {
        account_over(o, found->fault.text);
        return;
    }
    xfree(o->found);
    o->found = xcalloc(found->count + 1, sizeof *o->found);
    if (found->count > 0) {
        memcpy(o->found, found->sightings, found->count * sizeof *o->found);
    }
    o->found_count = found->count;
    o->found_at = 0;
    put_part(o);
}

static void ask_slice(struct orphans *o)
{
    struct carrier_search search = {
        .since_us = o->from_us, .until_us = o->to_us, .ended_only = o->to_us != 0};
    int err =
        o->env->carrier->search_start(&o->op, o->env->http, &o->account, &search, on_listed, o);
    if (err < 0) {
        account_over(o, "the list could not be asked for");
    }
}

/* --- into the database ---------------------------------------------------------------------------- */

static void set_time(json_t *v, const char *name, int64_t us)
{
    char text[CLOCK_TEXT_SIZE];
    if (us > 0) {
        clock_format(us, text);
        json_set_str(v, name, str_of(text));
    }
}

static json_t *call_json(const struct carrier_sighting *s)
{
    static const char *const where[] = {
        [CARRIER_LIVE] = "live", [CARRIER_QUEUED] = "queued", [CARRIER_CDR] = "cdr"};
    json_t *v = json_object();
    json_set_str(v, "call", str_of(s->call_id));
    json_set_str(v, "request", str_of(s->request_id));
    json_set_str(v, "parent", str_of(s->parent_id));
    json_set_str(v, "from", str_of(s->from_e164));
    json_set_str(v, "to", str_of(s->to_e164));
    json_set_str(v, "where", str_of(where[s->where]));
    set_time(v, "initiated", s->initiated_us);
    set_time(v, "answered", s->answered_us);
    set_time(v, "ended", s->ended_us);
    json_object_set_new(v, "duration_s", json_integer(s->duration_s));
    json_object_set_new(v, "billed_s", json_integer(s->billed_s));
    json_object_set_new(v, "cost_micros", json_integer(s->cost_micros));
    json_set_str(v, "cause", str_of(s->cause));
    json_object_set_new(v, "cause_code", json_integer(s->cause_code));
    json_set_str(v, "source", str_of(s->source));
    if (s->outcome != NULL) {
        json_set_str(v, "outcome", str_of(s->outcome));
    }
    if (s->disconnect_reason != NULL) {
        json_set_str(v, "reason", str_of(s->disconnect_reason));
    }
    return v;
}

static void on_put(const struct fault *fault, const struct store_orphan_sum *sum, void *arg)
{
    struct orphans *o = arg;
    o->tx = NULL;
    if (fault->class != FAULT_NONE) {
        account_over(o, fault->text);
        return;
    }
    o->sum.known += sum->known;
    o->sum.adopted += sum->adopted;
    o->sum.orphans += sum->orphans;
    o->sum.fresh += sum->fresh;
    put_part(o);
}

static void put_part(struct orphans *o)
{
    const struct dial_env *env = o->env;
    const struct store_orphan_due *due = &o->due[o->due_at];
    OWNED(json_free) json_t *calls = json_array();
    for (size_t n = 0; n < PART_MAX && o->found_at < o->found_count; n++) {
        (void)json_array_append_new(calls, call_json(&o->found[o->found_at++]));
    }
    if (json_array_size(calls) == 0 && o->to_us == 0) {
        account_over(o, NULL);
        return;
    }
    if (json_array_size(calls) == 0) {
        o->from_us = o->to_us;
        o->to_us = 0;
        ask_slice(o);
        return;
    }
    struct store_orphan_part part = {
        .organization_id = &due->organization_id,
        .account_id = &due->account_id,
        .calls = calls,
        .adopt = o->forced && o->adopt,
        .skew_ms = DIAL_SKEW_MS,
        .horizon_ms = dial_horizon_ms(env->settings),
        .retry_ms = env->settings->reconcile_interval_ms,
        .at_us = loop_wall_us(env->loop),
    };
    if (store_orphan_sweep(&o->tx, env->db, &part, on_put, o) < 0) {
        account_over(o, "the database's queue is full");
    }
}
