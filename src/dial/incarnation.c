#include "dial/incarnation.h"

#include "base/alloc.h"
#include "base/fault_point.h"
#include "base/log.h"
#include "dial/lock_file.h"
#include "loop/timer.h"

#define REGISTER_MS 500

struct incarnation {
    struct list link;
    const struct dial_env *env;
    struct incarnation_told told;
    struct lock_file lock;
    struct pg_tx *tx;
    struct timer again;
    size_t held;
    bool registered;
    bool ended;
    bool signing_off;
};

static void enroll(void *arg);
static void sign_off(void *arg);

void incarnation_free(struct incarnation **i_p)
{
    if (i_p == NULL || *i_p == NULL) {
        return;
    }
    struct incarnation *i = *i_p;
    timer_stop(&i->again);
    store_cancel(&i->tx);
    list_remove(&i->link);
    lock_drop(&i->lock);
    xfree(i);
    *i_p = NULL;
}

int incarnation_begin(struct incarnation **out, const struct dial_env *env,
                      const struct incarnation_told *told)
{
    struct incarnation *i = xzalloc(sizeof *i);
    struct uuid id = uuid_make(loop_wall_us(env->loop));
    i->env = env;
    i->told = *told;
    list_init(&i->link);
    int err = lock_take(&i->lock, env->settings->data_dir, &id);
    if (err < 0) {
        xfree(i);
        return err;
    }
    FAULT("worker.lock_taken");
    *out = i;
    enroll(i);
    return 0;
}

static void on_enrolled(const struct fault *fault, void *arg)
{
    struct incarnation *i = arg;
    i->tx = NULL;
    if (fault->class != FAULT_NONE) {
        timer_start(&i->again, i->env->loop, REGISTER_MS, enroll, i);
        return;
    }
    i->registered = true;
    FAULT("worker.registered");
    i->told.registered(i->told.arg);
}

static void enroll(void *arg)
{
    struct incarnation *i = arg;
    const struct dial_env *env = i->env;
    int err = store_worker_start(&i->tx, env->db, &env->node, &i->lock.worker_id, i->lock.path,
                                 loop_wall_us(env->loop), on_enrolled, i);
    if (err < 0) {
        timer_start(&i->again, env->loop, REGISTER_MS, enroll, i);
    }
}

/* --- the end ------------------------------------------------------------------------------------ */

static void check(struct incarnation *i)
{
    if (!i->ended || i->held > 0 || i->signing_off) {
        return;
    }
    i->signing_off = true;
    store_cancel(&i->tx); /* of a registration that is still trying */
    timer_start(&i->again, i->env->loop, 0, sign_off, i);
}

void incarnation_hold(struct incarnation *i)
{
    i->held++;
}

void incarnation_release(struct incarnation *i)
{
    assert(i->held > 0);
    i->held--;
    check(i);
}

void incarnation_end(struct incarnation *i, const char *why)
{
    if (i->ended) {
        return;
    }
    i->ended = true;
    FAULT("worker.end");
    log_warn("dial.worker_end", LOG_UUID("worker", &i->lock.worker_id), LOG_STR("why", why),
             LOG_I64("held", i->held));
    check(i);
}

static void on_signed_off(const struct fault *fault, int64_t count, void *arg)
{
    struct incarnation *i = arg;
    (void)count;
    i->tx = NULL;
    if (fault->class != FAULT_NONE) {
        timer_start(&i->again, i->env->loop, REGISTER_MS, sign_off, i);
        return;
    }
    FAULT("worker.signed_off");
    struct incarnation_told told = i->told;
    lock_remove(&i->lock);
    list_remove(&i->link);
    told.gone(i, told.arg);
    incarnation_free(&i);
}

/* Written here rather than left to whoever finds the lock free, because perhaps nobody comes after us. */
static void sign_off(void *arg)
{
    struct incarnation *i = arg;
    const struct dial_env *env = i->env;
    int err = store_worker_dead(&i->tx, env->db, &i->lock.worker_id, "sign_off",
                                dial_clock_wall_us(env->clock, env->loop), on_signed_off, i);
    if (err < 0) {
        timer_start(&i->again, env->loop, REGISTER_MS, sign_off, i);
    }
}

/* --- what others ask ---------------------------------------------------------------------------- */

const struct uuid *incarnation_id(const struct incarnation *i)
{
    return &i->lock.worker_id;
}

bool incarnation_may_claim(const struct incarnation *i)
{
    return i->registered && !i->ended;
}

struct list *incarnation_link(struct incarnation *i)
{
    return &i->link;
}

struct incarnation *incarnation_of(struct list *link)
{
    return LIST_ITEM(link, struct incarnation, link);
}
