#include "dial/dialer.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/fault_point.h"
#include "base/log.h"
#include "base/metrics.h"
#include "dial/history.h"
#include "dial/incarnation.h"
#include "dial/journal.h"
#include "dial/place.h"
#include "loop/timer.h"

#include <errno.h>

#define HEARTBEAT_MS 5000
#define BOOKS_MS     1000

struct attempt {
    struct list link;
    struct incarnation *by; /* held until the result is in the ledger */
    struct dialer *dialer;
    struct place *place;
    bool posting; /* it may still be POSTed */
};

struct dialer {
    const struct dial_env *env;
    struct list workers;         /* incarnations */
    struct incarnation *current; /* claims; NULL while a new one cannot be made */
    struct list attempts;
    size_t attempt_count;
    struct pg_tx *claim;
    struct incarnation *claim_by;
    int64_t claim_sent_us;
    uint64_t claim_generation;
    uint32_t claim_want;
    struct timer tick;
    struct timer heartbeat;
    struct timer books;
    struct pg_tx *heartbeat_tx;
    struct pg_tx *books_tx;
    struct dial_clock own_clock; /* when the env brings none */
    bool clock_apart;            /* at the last heartbeat */
    bool draining;
    bool good_bye_said;
    loop_fn *on_drained;
    void *drained_arg;
    int64_t claimed;
};

static void on_tick(void *arg);
static bool on_known_history(const struct dialer *d);
static void on_heartbeat(void *arg);
static void check_drained(struct dialer *d);

int64_t dial_horizon_ms(const struct settings *s)
{
    return s->place_timeout_ms + s->carrier_queue_ms + s->ring_timeout_s * 1000 + s->cdr_lag_ms;
}

/* --- worker incarnations ------------------------------------------------------------------------ */

static void on_registered(void *arg)
{
    struct dialer *d = arg;
    on_heartbeat(d); /* compares the clocks */
    on_tick(d);
}

static void on_gone(struct incarnation *i, void *arg)
{
    struct dialer *d = arg;
    if (d->current == i) {
        d->current = NULL;
    }
    check_drained(d);
}

static int worker_begin(struct dialer *d)
{
    struct incarnation_told told = {on_registered, on_gone, d};
    struct incarnation *i = NULL;
    int err = incarnation_begin(&i, d->env, &told);
    if (err == 0) {
        list_push_back(&d->workers, incarnation_link(i));
        d->current = i;
    }
    return err;
}

static void worker_end(struct dialer *d, struct incarnation *i, const char *why)
{
    if (d->current == i) {
        d->current = NULL;
    }
    incarnation_end(i, why);
}

/* --- attempts ----------------------------------------------------------------------------------- */

static void on_posting_over(void *arg)
{
    struct attempt *a = arg;
    a->posting = false;
}

static void on_trouble(void *arg)
{
    struct attempt *a = arg;
    if (a->posting) {
        worker_end(a->dialer, a->by, "the database failed inside the critical section");
    } else {
        /* Its POST is over, and its result is kept and held for until the ledger has it. */
        log_debug("dial.result_waits", LOG_I64("placing", a->dialer->attempt_count));
    }
}

static void on_attempt_over(void *arg)
{
    struct attempt *a = arg;
    struct dialer *d = a->dialer;
    list_remove(&a->link);
    d->attempt_count--;
    incarnation_release(a->by);
    xfree(a);
    check_drained(d);
}

static void begin_attempt(struct dialer *d, struct incarnation *by,
                          const struct store_claimed *claimed)
{
    struct attempt *a = xzalloc(sizeof *a);
    a->by = by;
    a->dialer = d;
    a->posting = true;
    incarnation_hold(by);
    d->attempt_count++;
    list_push_back(&d->attempts, &a->link);
    struct place_told told = {on_posting_over, on_trouble, on_attempt_over, a};
    struct place_claim claim = {d->claim_sent_us, d->claim_generation, incarnation_id(by)};
    place_start(&a->place, d->env, claimed, &claim, &told);
}

/* --- claiming ----------------------------------------------------------------------------------- */

static size_t room(const struct dialer *d)
{
    size_t live = d->env->hooks.live != NULL ? d->env->hooks.live(d->env->hooks.arg) : 0;
    size_t busy = live + d->attempt_count;
    size_t most = (size_t)d->env->settings->calls_max;
    return busy < most ? most - busy : 0;
}

static const struct dial_clock *clock_of(const struct dialer *d)
{
    return d->env->clock != NULL ? d->env->clock : &d->own_clock;
}

static const char *why_not(const struct dialer *d)
{
    if (d->draining) {
        return "draining";
    }
    if (pg_pool_health(d->env->db) != PG_UP) {
        return "database away";
    }
    const char *clock = dial_clock_trouble(clock_of(d), d->env->loop);
    if (clock[0] != '\0') {
        return clock; /* window and caps would be judged at the wrong time */
    }
    if (d->env->history != NULL && !history_may_claim(d->env->history)) {
        return history_why(d->env->history);
    }
    if (d->env->journal != NULL && journal_why(d->env->journal)[0] != '\0') {
        return journal_why(d->env->journal);
    }
    if (d->current == NULL || !incarnation_may_claim(d->current)) {
        return "worker not registered";
    }
    return room(d) == 0 ? "full" : "";
}

static void on_claimed(const struct fault *fault, const struct store_claimed *claimed, size_t count,
                       void *arg);

static void claim(struct dialer *d)
{
    const struct dial_env *env = d->env;
    d->claim_want = (uint32_t)i64_min((int64_t)room(d), env->settings->claim_batch);
    d->claim_sent_us = loop_now_us(env->loop);
    d->claim_generation = env->history != NULL ? history_generation(env->history) : 0;
    int err =
        store_claim(&d->claim, env->db, &env->node.node_id, incarnation_id(d->current),
                    d->claim_want, env->settings->lease_ms, loop_wall_us(env->loop), on_claimed, d);
    FAULT("claim.sent");
    if (err == 0) {
        d->claim_by = d->current;
        incarnation_hold(d->claim_by); /* until its answer: the lock stays */
    }
}

/* Before that, not even a sign of life is written: it would hide from the database how far it is behind. */
static bool on_known_history(const struct dialer *d)
{
    return d->env->history == NULL || history_may_claim(d->env->history);
}

static void on_tick(void *arg)
{
    struct dialer *d = arg;
    if (d->current == NULL && !d->draining && on_known_history(d)) {
        int err = worker_begin(d);
        if (err < 0) {
            log_error("dial.no_lock", LOG_I64("err", err));
        }
    }
    if (d->claim == NULL && why_not(d)[0] == '\0') {
        claim(d);
    }
}

static void on_claimed(const struct fault *fault, const struct store_claimed *claimed, size_t count,
                       void *arg)
{
    struct dialer *d = arg;
    struct incarnation *by = d->claim_by;
    FAULT("claim.answered");
    d->claim = NULL;
    d->claim_by = NULL;
    metric_observe_ms("claim_seconds", (loop_now_us(d->env->loop) - d->claim_sent_us) / US_PER_MS);
    if (fault->class == FAULT_UNSURE) {
        /* Rows may be ours that we do not know of. We never POST them: with this incarnation's end that
         * becomes known to everybody. */
        worker_end(d, by, "a claim's commit was not acknowledged");
    } else if (fault->class != FAULT_NONE && fault->class != FAULT_NOT_SENT) {
        log_warn("dial.claim_failed", LOG_STR("code", fault->code), LOG_STR("text", fault->text));
    }
    metric_add("claims_total", NULL, (int64_t)count);
    d->claimed += (int64_t)count;
    for (size_t i = 0; i < count; i++) {
        begin_attempt(d, by, &claimed[i]);
    }
    incarnation_release(by);
    if (count > 0 && count == d->claim_want) {
        on_tick(d); /* there may be more */
    }
    check_drained(d);
}

void dialer_poke(struct dialer *d)
{
    on_tick(d);
}

/* --- heartbeat and books ------------------------------------------------------------------------ */

static void on_heartbeat_stored(const struct fault *fault, int64_t db_now_us, void *arg)
{
    struct dialer *d = arg;
    d->heartbeat_tx = NULL;
    if (fault->class != FAULT_NONE) {
        return;
    }
    struct dial_clock *clock = d->env->clock != NULL ? d->env->clock : &d->own_clock;
    bool first = !clock->compared;
    dial_clock_compare(clock, d->env->loop, db_now_us);
    if (d->env->history != NULL && on_known_history(d)) {
        history_answered(d->env->history);
    }
    bool apart = dial_clock_trouble(clock, d->env->loop)[0] != '\0';
    if (apart != d->clock_apart) {
        log_error("dial.clock", LOG_BOOL("apart", apart),
                  LOG_I64("apart_ms", clock->apart_us / US_PER_MS));
    }
    d->clock_apart = apart;
    if (first) {
        on_tick(d);
    }
}

static void on_heartbeat(void *arg)
{
    static const struct uuid nobody = {{0}};
    struct dialer *d = arg;
    /* The clocks are compared on any history: what stands in the way of a replay is only asked about, and the dead
     * are only written down, by a clock that is trusted. */
    const struct uuid *node = on_known_history(d) ? &d->env->node.node_id : &nobody;
    if (d->heartbeat_tx == NULL && !d->good_bye_said &&
        store_heartbeat(&d->heartbeat_tx, d->env->db, node, false,
                        dial_clock_wall_us(clock_of(d), d->env->loop), on_heartbeat_stored,
                        d) < 0) {
        log_debug("dial.heartbeat_skipped");
    }
}

static void on_books_stored(const struct fault *fault, const struct store_completed *completed,
                            size_t count, void *arg)
{
    struct dialer *d = arg;
    d->books_tx = NULL;
    if (fault->class == FAULT_BROKEN) {
        log_error("dial.books", LOG_STR("code", fault->code), LOG_STR("text", fault->text));
    }
    for (size_t i = 0; i < count; i++) {
        log_info("campaign.completed", LOG_UUID("campaign", &completed[i].campaign_id),
                 LOG_STR("reason", completed[i].reason));
    }
}

static void on_books(void *arg)
{
    struct dialer *d = arg;
    bool may = pg_pool_health(d->env->db) == PG_UP &&
               dial_clock_trouble(d->env->clock, d->env->loop)[0] == '\0';
    if (d->books_tx == NULL && may &&
        store_fold_and_complete(&d->books_tx, d->env->db, loop_wall_us(d->env->loop),
                                on_books_stored, d) < 0) {
        log_debug("dial.books_skipped");
    }
}

/* --- beginning and end -------------------------------------------------------------------------- */

int dialer_open(struct dialer **out, const struct dial_env *env)
{
    struct dialer *d = xzalloc(sizeof *d);
    d->env = env;
    list_init(&d->workers);
    list_init(&d->attempts);
    int err = on_known_history(d) ? worker_begin(d) : 0;
    if (err < 0) {
        xfree(d);
        return err;
    }
    timer_repeat(&d->tick, env->loop, env->settings->claim_interval_ms, on_tick, d);
    timer_repeat(&d->heartbeat, env->loop, HEARTBEAT_MS, on_heartbeat, d);
    timer_repeat(&d->books, env->loop, BOOKS_MS, on_books, d);
    *out = d;
    return 0;
}

void dialer_close(struct dialer **dialer_p)
{
    if (dialer_p == NULL || *dialer_p == NULL) {
        return;
    }
    struct dialer *d = *dialer_p;
    timer_stop(&d->tick);
    timer_stop(&d->heartbeat);
    timer_stop(&d->books);
    store_cancel(&d->claim);
    store_cancel(&d->heartbeat_tx);
    store_cancel(&d->books_tx);
    LIST_EACH_SAFE(it, &d->attempts)
    {
        struct attempt *a = LIST_ITEM(it, struct attempt, link);
        place_drop(&a->place);
        list_remove(&a->link);
        xfree(a);
    }
    LIST_EACH_SAFE(it, &d->workers)
    {
        struct incarnation *i = incarnation_of(it);
        incarnation_free(&i);
    }
    xfree(d);
    *dialer_p = NULL;
}

static void on_good_bye(const struct fault *fault, int64_t db_now_us, void *arg)
{
    struct dialer *d = arg;
    (void)fault;
    (void)db_now_us;
    d->heartbeat_tx = NULL;
    loop_fn *on_drained = d->on_drained;
    d->on_drained = NULL;
    if (on_drained != NULL) {
        on_drained(d->drained_arg);
    }
}

static void check_drained(struct dialer *d)
{
    if (!d->draining || d->good_bye_said || d->claim != NULL || d->attempt_count > 0 ||
        !list_empty(&d->workers)) {
        return;
    }
    d->good_bye_said = true;
    store_cancel(&d->heartbeat_tx);
    int err = store_heartbeat(&d->heartbeat_tx, d->env->db, &d->env->node.node_id, true,
                              dial_clock_wall_us(clock_of(d), d->env->loop), on_good_bye, d);
    if (err < 0) {
        struct fault fault = fault_make(FAULT_NOT_SENT, 0, "", "queue full");
        on_good_bye(&fault, 0, d);
    }
}

static void drain_turn(void *arg)
{
    check_drained(arg);
}

void dialer_drain(struct dialer *d, loop_fn *on_drained, void *arg)
{
    d->draining = true;
    d->on_drained = on_drained;
    d->drained_arg = arg;
    LIST_EACH_SAFE(it, &d->workers)
    {
        worker_end(d, incarnation_of(it), "drain");
    }
    timer_start(&d->tick, d->env->loop, 0, drain_turn, d);
}

void dialer_moved(struct dialer *d)
{
    LIST_EACH_SAFE(it, &d->workers)
    {
        worker_end(d, incarnation_of(it), "the database is another one");
    }
}

struct dialer_state dialer_state(const struct dialer *d)
{
    struct dialer_state state = {
        .why = why_not(d), .placing = d->attempt_count, .claimed = d->claimed};
    state.claiming = state.why[0] == '\0';
    LIST_EACH(it, &d->workers)
    {
        state.workers++;
    }
    return state;
}
