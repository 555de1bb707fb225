#include "dial/dialer.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "dial/lock_file.h"
#include "dial/place.h"
#include "loop/timer.h"

#include <errno.h>

#define HEARTBEAT_MS   5000
#define BOOKS_MS       1000
#define CLOCK_APART_MS 5000 /* beyond it window and caps would be judged at the wrong time */
#define REGISTER_MS    500

/* One worker incarnation. */
struct worker {
    struct list link;
    struct dialer *dialer;
    struct lock_file lock;
    struct pg_tx *tx;
    struct timer again;
    size_t posting; /* attempts, and the claim in flight, that may still lead to a POST */
    bool registered;
    bool ended; /* claims no more; the lock goes with the last of `posting` */
    bool signing_off;
};

struct attempt {
    struct list link;
    struct worker *worker; /* NULL once it cannot be POSTed any more */
    struct dialer *dialer;
    struct place *place;
};

struct dialer {
    const struct dial_env *env;
    struct list workers;
    struct worker *current; /* claims; NULL while a new one cannot be made */
    struct list attempts;
    size_t attempt_count;
    struct pg_tx *claim;
    int64_t claim_sent_us;
    uint32_t claim_want;
    struct timer tick;
    struct timer heartbeat;
    struct timer books;
    struct pg_tx *heartbeat_tx;
    struct pg_tx *books_tx;
    bool clock_compared;
    bool clock_apart;
    bool draining;
    bool good_bye_said;
    loop_fn *on_drained;
    void *drained_arg;
    int64_t claimed;
};

static void on_tick(void *arg);
static void on_heartbeat(void *arg);
static void check_drained(struct dialer *d);

int64_t dial_horizon_ms(const struct settings *s)
{
    return s->place_timeout_ms + s->carrier_queue_ms + s->ring_timeout_s * 1000 + s->cdr_lag_ms;
}

/* --- worker incarnations ------------------------------------------------------------------------ */

static void worker_free(struct worker *w)
{
    timer_stop(&w->again);
    store_cancel(&w->tx);
    list_remove(&w->link);
    if (w->dialer->current == w) {
        w->dialer->current = NULL;
    }
    lock_drop(&w->lock);
    xfree(w);
}

static void register_worker(void *arg);

static void on_registered(const struct fault *fault, void *arg)
{
    struct worker *w = arg;
    w->tx = NULL;
    if (fault->class == FAULT_NONE) {
        w->registered = true;
        on_heartbeat(w->dialer); /* compares the clocks */
        on_tick(w->dialer);
        return;
    }
    timer_start(&w->again, w->dialer->env->loop, REGISTER_MS, register_worker, w);
}

static void register_worker(void *arg)
{
    struct worker *w = arg;
    const struct dial_env *env = w->dialer->env;
    int err = store_worker_start(&w->tx, env->db, &env->node, &w->lock.worker_id, w->lock.path,
                                 loop_wall_us(env->loop), on_registered, w);
    if (err < 0) {
        timer_start(&w->again, env->loop, REGISTER_MS, register_worker, w);
    }
}

static int worker_begin(struct dialer *d)
{
    struct worker *w = xzalloc(sizeof *w);
    struct uuid id = uuid_make(loop_wall_us(d->env->loop));
    w->dialer = d;
    list_init(&w->link);
    int err = lock_take(&w->lock, d->env->settings->data_dir, &id);
    if (err < 0) {
        xfree(w);
        return err;
    }
    list_push_back(&d->workers, &w->link);
    d->current = w;
    register_worker(w);
    return 0;
}

/* The lock goes; the reconciler (ours or another on this machine) takes it and writes the proof down. At a
 * clean end it is written here, because perhaps nobody comes after us. */
static void sign_worker_off(void *arg);

static void on_signed_off(const struct fault *fault, int64_t count, void *arg)
{
    struct worker *w = arg;
    struct dialer *d = w->dialer;
    (void)count;
    w->tx = NULL;
    if (fault->class != FAULT_NONE) {
        timer_start(&w->again, d->env->loop, REGISTER_MS, sign_worker_off, w);
        return;
    }
    lock_remove(&w->lock);
    worker_free(w);
    check_drained(d);
}

static void sign_worker_off(void *arg)
{
    struct worker *w = arg;
    const struct dial_env *env = w->dialer->env;
    int err = store_worker_dead(&w->tx, env->db, &w->lock.worker_id, "sign_off",
                                loop_wall_us(env->loop), on_signed_off, w);
    if (err < 0) {
        timer_start(&w->again, env->loop, REGISTER_MS, sign_worker_off, w);
    }
}

static void worker_check(struct worker *w)
{
    if (!w->ended || w->posting > 0 || w->signing_off) {
        return;
    }
    w->signing_off = true;
    store_cancel(&w->tx); /* of a registration that is still trying */
    timer_start(&w->again, w->dialer->env->loop, 0, sign_worker_off, w);
}

static void worker_end(struct worker *w, const char *why)
{
    struct dialer *d = w->dialer;
    if (w->ended) {
        return;
    }
    w->ended = true;
    log_warn("dial.worker_end", LOG_UUID("worker", &w->lock.worker_id), LOG_STR("why", why),
             LOG_I64("posting", w->posting));
    if (d->current == w) {
        d->current = NULL;
    }
    worker_check(w);
}

/* --- attempts ----------------------------------------------------------------------------------- */

static void on_posting_over(void *arg)
{
    struct attempt *a = arg;
    struct worker *w = a->worker;
    a->worker = NULL;
    w->posting--;
    worker_check(w);
}

static void on_trouble(void *arg)
{
    struct attempt *a = arg;
    if (a->worker != NULL) {
        worker_end(a->worker, "the database failed inside the critical section");
    } else if (a->dialer->current != NULL) {
        /* Its POST is over, and so nothing of its worker is in doubt; a claim now would be. */
        log_debug("dial.result_waits", LOG_I64("placing", a->dialer->attempt_count));
    }
}

static void on_attempt_over(void *arg)
{
    struct attempt *a = arg;
    struct dialer *d = a->dialer;
    list_remove(&a->link);
    d->attempt_count--;
    xfree(a);
    check_drained(d);
}

static void begin_attempt(struct dialer *d, struct worker *w, const struct store_claimed *claimed)
{
    struct attempt *a = xzalloc(sizeof *a);
    a->worker = w;
    a->dialer = d;
    w->posting++;
    d->attempt_count++;
    list_push_back(&d->attempts, &a->link);
    struct place_told told = {on_posting_over, on_trouble, on_attempt_over, a};
    place_start(&a->place, d->env, claimed, d->claim_sent_us, &told);
}

/* --- claiming ----------------------------------------------------------------------------------- */

static size_t room(const struct dialer *d)
{
    size_t live = d->env->hooks.live != NULL ? d->env->hooks.live(d->env->hooks.arg) : 0;
    size_t busy = live + d->attempt_count;
    size_t most = (size_t)d->env->settings->calls_max;
    return busy < most ? most - busy : 0;
}

static const char *why_not(const struct dialer *d)
{
    if (d->draining) {
        return "draining";
    }
    if (pg_pool_health(d->env->db) != PG_UP) {
        return "database away";
    }
    if (!d->clock_compared) {
        return "clock not compared yet";
    }
    if (d->clock_apart) {
        return "clock differs from the database's";
    }
    if (d->current == NULL || !d->current->registered) {
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
    int err = store_claim(&d->claim, env->db, &env->node.node_id, &d->current->lock.worker_id,
                          d->claim_want, env->settings->lease_ms, loop_wall_us(env->loop),
                          on_claimed, d->current);
    if (err == 0) {
        d->current->posting++; /* until its answer: the lock stays */
    }
}

static void on_tick(void *arg)
{
    struct dialer *d = arg;
    if (d->current == NULL && !d->draining) {
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
    struct worker *w = arg;
    struct dialer *d = w->dialer;
    d->claim = NULL;
    w->posting--;
    metric_observe_ms("claim_seconds", (loop_now_us(d->env->loop) - d->claim_sent_us) / US_PER_MS);
    if (fault->class == FAULT_UNSURE) {
        /* Rows may be ours that we do not know of. We never POST them: with this incarnation's end that
         * becomes known to everybody. */
        worker_end(w, "a claim's commit was not acknowledged");
    } else if (fault->class != FAULT_NONE && fault->class != FAULT_NOT_SENT) {
        log_warn("dial.claim_failed", LOG_STR("code", fault->code), LOG_STR("text", fault->text));
    }
    metric_add("claims_total", NULL, (int64_t)count);
    d->claimed += (int64_t)count;
    for (size_t i = 0; i < count; i++) {
        begin_attempt(d, w, &claimed[i]);
    }
    worker_check(w);
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
    bool first = !d->clock_compared;
    int64_t apart_us = db_now_us - loop_wall_us(d->env->loop);
    bool apart = apart_us > CLOCK_APART_MS * US_PER_MS || apart_us < -CLOCK_APART_MS * US_PER_MS;
    if (apart != d->clock_apart) {
        log_error("dial.clock", LOG_BOOL("apart", apart),
                  LOG_I64("apart_ms", apart_us / US_PER_MS));
    }
    d->clock_compared = true;
    d->clock_apart = apart;
    if (first) {
        on_tick(d);
    }
}

static void on_heartbeat(void *arg)
{
    struct dialer *d = arg;
    if (d->heartbeat_tx == NULL && !d->good_bye_said &&
        store_heartbeat(&d->heartbeat_tx, d->env->db, &d->env->node.node_id, false,
                        loop_wall_us(d->env->loop), on_heartbeat_stored, d) < 0) {
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
    if (d->books_tx == NULL && pg_pool_health(d->env->db) == PG_UP &&
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
    int err = worker_begin(d);
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
        worker_free(LIST_ITEM(it, struct worker, link));
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
                              loop_wall_us(d->env->loop), on_good_bye, d);
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
        worker_end(LIST_ITEM(it, struct worker, link), "drain");
    }
    timer_start(&d->tick, d->env->loop, 0, drain_turn, d);
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
