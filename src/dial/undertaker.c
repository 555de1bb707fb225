#include "dial/undertaker.h"

#include "base/alloc.h"
#include "base/fault_point.h"
#include "base/list.h"
#include "base/log.h"
#include "dial/lock_file.h"
#include "loop/timer.h"
#include "loop/worker.h"

#define LOCKS_MAX 64 /* of one look */

/* The lock directory, read on the pool: alive until the pool is done with it. */
struct scan {
    struct undertaker *u;
    char data_dir[LOCK_PATH_SIZE];
    struct lock_file found[LOCKS_MAX];
    int count;
};

/* A dead worker on its way into the database; the lock is held until it is there. */
struct burial {
    struct list link;
    struct undertaker *u;
    struct lock_file lock;
    struct pg_tx *tx;
};

struct undertaker {
    const struct dial_env *env;
    undertaker_fn *on_buried;
    void *arg;
    struct timer look;
    struct scan *scan;
    struct worker_op *scan_op;
    struct list burials;
};

static void scan_work(void *arg)
{
    struct scan *scan = arg;
    scan->count = lock_scan(scan->data_dir, scan->found, LOCKS_MAX);
}

static void scan_drop(void *arg)
{
    struct scan *scan = arg;
    for (int i = 0; i < scan->count; i++) {
        lock_drop(&scan->found[i]);
    }
    xfree(scan);
}

static void burial_free(struct burial *b)
{
    store_cancel(&b->tx);
    list_remove(&b->link);
    lock_drop(&b->lock);
    xfree(b);
}

static void on_buried(const struct fault *fault, int64_t count, void *arg)
{
    struct burial *b = arg;
    struct undertaker *u = b->u;
    bool done = fault->class == FAULT_NONE;
    b->tx = NULL;
    FAULT("burial.answered");
    if (done) {
        log_info("dial.worker_dead", LOG_UUID("worker", &b->lock.worker_id),
                 LOG_I64("attempts", count));
        lock_remove(&b->lock);
    }
    burial_free(b); /* not written: the file stays, the next look finds it */
    if (done && count > 0) {
        u->on_buried(count, u->arg);
    }
}

static void bury(struct undertaker *u, const struct lock_file *lock)
{
    struct burial *b = xzalloc(sizeof *b);
    b->u = u;
    b->lock = *lock;
    FAULT("burial.before_send");
    list_push_back(&u->burials, &b->link);
    if (store_worker_dead(&b->tx, u->env->db, &lock->worker_id, "lock", loop_wall_us(u->env->loop),
                          on_buried, b) < 0) {
        burial_free(b);
    }
}

static void on_scanned(void *arg)
{
    struct scan *scan = arg;
    struct undertaker *u = scan->u;
    u->scan = NULL;
    u->scan_op = NULL;
    if (scan->count < 0) {
        log_error("dial.lock_scan", LOG_I64("err", scan->count));
    }
    for (int i = 0; i < scan->count; i++) {
        bury(u, &scan->found[i]);
    }
    scan->count = 0; /* the burials have them */
    scan_drop(scan);
}

static void on_look(void *arg)
{
    struct undertaker *u = arg;
    if (u->scan != NULL || !list_empty(&u->burials) || pg_pool_health(u->env->db) != PG_UP ||
        dial_clock_trouble(u->env->clock, u->env->loop)[0] != '\0') {
        return; /* a death dated wrongly would move the horizon */
    }
    struct scan *scan = xzalloc(sizeof *scan);
    scan->u = u;
    str_copy_cut(str_of(u->env->settings->data_dir), scan->data_dir, sizeof scan->data_dir);
    if (worker_start(&u->scan_op, u->env->loop, scan_work, on_scanned, scan_drop, scan) < 0) {
        xfree(scan);
        return;
    }
    u->scan = scan;
}

void undertaker_open(struct undertaker **out, const struct dial_env *env,
                     undertaker_fn *on_buried_p, void *arg)
{
    struct undertaker *u = xzalloc(sizeof *u);
    u->env = env;
    u->on_buried = on_buried_p;
    u->arg = arg;
    list_init(&u->burials);
    timer_repeat(&u->look, env->loop, UNDERTAKER_MS, on_look, u);
    *out = u;
}

void undertaker_close(struct undertaker **u_p)
{
    if (u_p == NULL || *u_p == NULL) {
        return;
    }
    struct undertaker *u = *u_p;
    timer_stop(&u->look);
    worker_cancel(&u->scan_op);
    LIST_EACH_SAFE(it, &u->burials)
    {
        burial_free(LIST_ITEM(it, struct burial, link));
    }
    xfree(u);
    *u_p = NULL;
}
