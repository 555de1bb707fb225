#include "loop/loop.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/list.h"
#include "loop/loop_priv.h"
#include "loop/ring.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#define VIRTUAL_START_US 1000000LL          /* not 0: nothing may take "no time yet" for a time */
#define VIRTUAL_WALL_US  1767225600000000LL /* 2026-01-01, until loop_set_wall() */

struct call {
    struct list link;
    loop_fn *fn;
    void *arg;
};

struct loop {
    uv_loop_t uv;
    uv_timer_t timer;     /* stands for the first of the heap */
    uv_prepare_t prepare; /* before the poll: the time read so far is old after it */
    uv_check_t check;     /* after it: deferred calls */
    uv_idle_t idle;       /* active while calls are deferred: the poll does not wait */
    uv_async_t wake;
    struct timer_heap heap;
    struct list deferred;
    pthread_mutex_t posted_mutex;
    struct list posted;
    size_t posted_count;
    atomic_bool stopping;
    bool is_virtual;
    bool running;  /* inside a turn: only there may the time be kept */
    bool one_turn; /* loop_run_once(): something that fired is enough for one turn */
    bool turned;   /* and it did */
    bool no_wait;  /* loop_run_once(, false) */
    bool closing;
    bool ring_wanted;
    struct ring *ring;
    int64_t now_us;  /* 0: not read in this turn yet */
    int64_t wall_us; /* the same */
    int64_t virtual_now_us;
    int64_t virtual_wall_us;
    uint64_t events; /* what ran: tells a virtual loop that nothing more happens */
};

static void run_calls(struct loop *loop, struct list *calls)
{
    /* Only what is there now: a call that defers itself again waits for the next turn. */
    struct list batch;
    list_init(&batch);
    for (struct list *l = list_pop_front(calls); l != NULL; l = list_pop_front(calls)) {
        list_push_back(&batch, l);
    }
    for (struct list *l = list_pop_front(&batch); l != NULL; l = list_pop_front(&batch)) {
        struct call call = *LIST_ITEM(l, struct call, link);
        xfree(LIST_ITEM(l, struct call, link));
        loop->events++;
        call.fn(call.arg);
    }
}

void loop_forget_time(struct loop *loop)
{
    loop->now_us = 0;
    loop->wall_us = 0;
}

static void on_prepare(uv_prepare_t *handle)
{
    loop_forget_time(handle->data);
}

static void on_check(uv_check_t *handle)
{
    struct loop *loop = handle->data;
    run_calls(loop, &loop->deferred);
    if (list_empty(&loop->deferred) && !loop->closing) {
        uv_idle_stop(&loop->idle);
    }
}

static void on_idle(uv_idle_t *handle)
{
    (void)handle; /* that it is active is all it does */
}

void loop_turned(struct loop *loop)
{
    loop->turned = loop->one_turn;
    if (loop->one_turn && !loop->closing) {
        uv_idle_start(&loop->idle, on_idle); /* libuv 1.44 would go on to wait in the same turn */
    }
}

static void on_wake(uv_async_t *handle)
{
    struct loop *loop = handle->data;
    struct list batch;
    list_init(&batch);
    pthread_mutex_lock(&loop->posted_mutex);
    for (struct list *l = list_pop_front(&loop->posted); l != NULL;
         l = list_pop_front(&loop->posted)) {
        list_push_back(&batch, l);
    }
    loop->posted_count = 0;
    pthread_mutex_unlock(&loop->posted_mutex);
    run_calls(loop, &batch);
    if (atomic_load(&loop->stopping)) {
        uv_stop(&loop->uv);
    }
}

static void fire_due(struct loop *loop)
{
    uint64_t order_limit = loop->heap.order; /* those started while firing wait for the next turn */
    int64_t now_us = loop_now_us(loop);
    for (struct timer *t = timer_heap_pop_due(&loop->heap, now_us, order_limit); t != NULL;
         t = timer_heap_pop_due(&loop->heap, now_us, order_limit)) {
        loop->events++;
        t->fn(t->arg);
    }
}

static void on_timer(uv_timer_t *handle)
{
    struct loop *loop = handle->data;
    loop_forget_time(loop);
    loop_turned(loop);
    fire_due(loop);
    loop_timers_changed(loop);
}

struct loop *loop_new(enum loop_clock clock)
{
    struct loop *loop = xzalloc(sizeof *loop);
    list_init(&loop->deferred);
    list_init(&loop->posted);
    loop->is_virtual = clock == LOOP_VIRTUAL;
    loop->virtual_now_us = VIRTUAL_START_US;
    loop->virtual_wall_us = VIRTUAL_WALL_US;
    loop->heap.order = 1;
    int err = pthread_mutex_init(&loop->posted_mutex, NULL);
    err = err != 0 ? err : uv_loop_init(&loop->uv);
    err = err != 0 ? err : uv_timer_init(&loop->uv, &loop->timer);
    err = err != 0 ? err : uv_prepare_init(&loop->uv, &loop->prepare);
    err = err != 0 ? err : uv_check_init(&loop->uv, &loop->check);
    err = err != 0 ? err : uv_idle_init(&loop->uv, &loop->idle);
    err = err != 0 ? err : uv_async_init(&loop->uv, &loop->wake, on_wake);
    assert(err == 0);
    loop->timer.data = loop;
    loop->prepare.data = loop;
    loop->check.data = loop;
    loop->idle.data = loop;
    loop->wake.data = loop;
    uv_prepare_start(&loop->prepare, on_prepare); /* libuv runs the first one started last */
    uv_check_start(&loop->check, on_check);
    uv_unref((uv_handle_t *)&loop->prepare);
    uv_unref((uv_handle_t *)&loop->check);
    uv_unref((uv_handle_t *)&loop->wake);
    return loop;
}

static void drop_posted(struct loop *loop)
{
    for (struct list *l = list_pop_front(&loop->posted); l != NULL;
         l = list_pop_front(&loop->posted)) {
        xfree(LIST_ITEM(l, struct call, link));
    }
}

void loop_free(struct loop **loop_p)
{
    if (loop_p == NULL || *loop_p == NULL) {
        return;
    }
    struct loop *loop = *loop_p;
    pthread_mutex_lock(&loop->posted_mutex); /* a loop_stop() elsewhere has left its call */
    pthread_mutex_unlock(&loop->posted_mutex);
    /* Close callbacks and deferred calls that are due may still free what is theirs. */
    while (!list_empty(&loop->deferred)) {
        run_calls(loop, &loop->deferred);
    }
    ring_free(&loop->ring);
    loop->closing = true;
    uv_close((uv_handle_t *)&loop->timer, NULL);
    uv_close((uv_handle_t *)&loop->prepare, NULL);
    uv_close((uv_handle_t *)&loop->check, NULL);
    uv_close((uv_handle_t *)&loop->idle, NULL);
    uv_close((uv_handle_t *)&loop->wake, NULL);
    /* Work that was cancelled but already runs on the pool is waited for: it uses our memory. */
    while (loop->uv.closing_handles != NULL || loop->uv.active_reqs.count > 0) {
        (void)uv_run(&loop->uv, UV_RUN_ONCE);
    }
    while (!list_empty(&loop->deferred)) {
        run_calls(loop, &loop->deferred);
    }
    int err = uv_loop_close(&loop->uv);
    assert(err == 0); /* someone's handle is still open */
    drop_posted(loop);
    pthread_mutex_destroy(&loop->posted_mutex);
    timer_heap_fini(&loop->heap);
    xfree(loop);
    *loop_p = NULL;
}

/* A simulated loop has mostly timers: it does without the system calls of a poll that finds nothing. */
static bool io_to_poll(struct loop *loop)
{
    if (!list_empty(&loop->deferred) || uv_loop_alive(&loop->uv) != 0) {
        return true;
    }
    pthread_mutex_lock(&loop->posted_mutex);
    bool posted = loop->posted_count > 0;
    pthread_mutex_unlock(&loop->posted_mutex);
    return posted;
}

/* One turn of a virtual loop: what is ready and due, no waiting, no time. */
static bool virtual_turn(struct loop *loop)
{
    uint64_t before = loop->events;
    fire_due(loop);
    if (io_to_poll(loop)) {
        (void)uv_run(&loop->uv, UV_RUN_NOWAIT);
    }
    return loop->events != before || !list_empty(&loop->deferred);
}

/* libuv's turn, during which the time read first is kept. */
static int real_turns(struct loop *loop, uv_run_mode mode)
{
    assert(!loop->running); /* no nested loops */
    loop_forget_time(loop);
    loop->running = true;
    int more = uv_run(&loop->uv, mode);
    loop->running = false;
    return more;
}

static void virtual_settle(struct loop *loop)
{
    while (virtual_turn(loop) && !atomic_load(&loop->stopping)) {
    }
}

static void virtual_move(struct loop *loop, int64_t to_us)
{
    if (to_us > loop->virtual_now_us) {
        loop->virtual_wall_us += to_us - loop->virtual_now_us;
        loop->virtual_now_us = to_us;
    }
}

void loop_run(struct loop *loop)
{
    if (!loop->is_virtual) {
        while (!atomic_load(&loop->stopping) && real_turns(loop, UV_RUN_DEFAULT) != 0) {
        }
    } else {
        virtual_settle(loop);
        while (!atomic_load(&loop->stopping) && loop->heap.count > 0) {
            virtual_move(loop, loop->heap.items[1]->due_us);
            virtual_settle(loop);
        }
    }
    atomic_store(&loop->stopping, false);
}

bool loop_run_once(struct loop *loop, bool wait)
{
    if (loop->is_virtual) {
        return virtual_turn(loop) || loop->heap.count > 0;
    }
    loop->one_turn = true;
    loop->turned = false;
    loop->no_wait = !wait;
    (void)real_turns(loop, wait ? UV_RUN_ONCE : UV_RUN_NOWAIT);
    loop->one_turn = false;
    loop->turned = false;
    loop->no_wait = false;
    if (list_empty(&loop->deferred)) {
        uv_idle_stop(&loop->idle);
    }
    return uv_loop_alive(&loop->uv) != 0;
}

void loop_stop(struct loop *loop)
{
    pthread_mutex_lock(&loop->posted_mutex);
    atomic_store(&loop->stopping, true);
    uv_async_send(&loop->wake);
    pthread_mutex_unlock(&loop->posted_mutex);
}

int64_t loop_now_us(const struct loop *loop)
{
    if (loop->is_virtual) {
        return loop->virtual_now_us;
    }
    if (!loop->running) {
        return clock_mono_us();
    }
    if (loop->now_us == 0) {
        ((struct loop *)loop)->now_us = clock_mono_us(); /* a cache: nobody sees it change */
    }
    return loop->now_us;
}

int64_t loop_wall_us(const struct loop *loop)
{
    if (loop->is_virtual) {
        return loop->virtual_wall_us;
    }
    if (!loop->running) {
        return clock_wall_us();
    }
    if (loop->wall_us == 0) {
        ((struct loop *)loop)->wall_us = clock_wall_us();
    }
    return loop->wall_us;
}

void loop_set_wall(struct loop *loop, int64_t wall_us)
{
    assert(loop->is_virtual);
    loop->virtual_wall_us = wall_us;
}

void loop_advance(struct loop *loop, int64_t us)
{
    assert(loop->is_virtual && us >= 0);
    int64_t end_us = loop->virtual_now_us + us;
    virtual_settle(loop);
    while (loop->heap.count > 0 && loop->heap.items[1]->due_us <= end_us) {
        virtual_move(loop, loop->heap.items[1]->due_us);
        virtual_settle(loop);
    }
    virtual_move(loop, end_us);
    atomic_store(&loop->stopping, false);
}

void loop_oversleep(struct loop *loop, int64_t us)
{
    assert(loop->is_virtual && us >= 0);
    virtual_move(loop, loop->virtual_now_us + us);
}

static struct call *call_new(loop_fn *fn, void *arg)
{
    struct call *call = xzalloc(sizeof *call);
    call->fn = fn;
    call->arg = arg;
    return call;
}

void loop_defer(struct loop *loop, loop_fn *fn, void *arg)
{
    list_push_back(&loop->deferred, &call_new(fn, arg)->link);
    if (!loop->closing) {
        uv_idle_start(&loop->idle, on_idle); /* nothing happens when it is active */
    }
}

int loop_post(struct loop *loop, loop_fn *fn, void *arg)
{
    struct call *call = call_new(fn, arg);
    pthread_mutex_lock(&loop->posted_mutex);
    bool full = loop->posted_count >= LIMIT_MAILBOX;
    if (!full) {
        list_push_back(&loop->posted, &call->link);
        loop->posted_count++;
        uv_async_send(&loop->wake); /* inside the lock: what it leads to may free the loop */
    }
    pthread_mutex_unlock(&loop->posted_mutex);
    if (full) {
        xfree(call);
        return -EBUSY;
    }
    return 0;
}

void loop_happened(struct loop *loop)
{
    loop->events++;
}

bool loop_is_virtual(const struct loop *loop)
{
    return loop->is_virtual;
}

void loop_use_ring(struct loop *loop)
{
    loop->ring_wanted = !loop->is_virtual;
}

struct ring *loop_ring(struct loop *loop)
{
    if (loop->ring_wanted && loop->ring == NULL && ring_new(&loop->ring, loop) < 0) {
        loop->ring_wanted = false; /* the kernel's no stays a no */
    }
    return loop->ring;
}

uv_loop_t *loop_uv(struct loop *loop)
{
    return &loop->uv;
}

/* libuv tells its epoll of a new watch only when it polls: until then nothing would end our wait. The
 * queue of them is a ring of pointers in every version, its first member the next one. */
static bool watches_to_come(const uv_loop_t *uv)
{
    const void *next;
    memcpy(&next, &uv->watcher_queue, sizeof next);
    return next != (const void *)&uv->watcher_queue;
}

/* libuv counts in whole milliseconds: to wake before the one in which it fires would be to wake twice. */
int64_t loop_wait_us(struct loop *loop)
{
    if (loop->turned || loop->no_wait || !list_empty(&loop->deferred) ||
        loop->uv.closing_handles != NULL || watches_to_come(&loop->uv) ||
        atomic_load(&loop->stopping)) {
        return 0;
    }
    if (loop->heap.count == 0) {
        return -1;
    }
    int64_t due_ms = (loop->heap.items[1]->due_us + US_PER_MS - 1) / US_PER_MS;
    return i64_max(0, due_ms * US_PER_MS - clock_mono_us());
}

struct timer_heap *loop_timers(struct loop *loop)
{
    return &loop->heap;
}

/* libuv's clock is the same monotonic one, cut to milliseconds: rounding the due time up to its
 * scale is never early, at most 1 ms late, and needs no second wake-up. */
void loop_timers_changed(struct loop *loop)
{
    if (loop->is_virtual) {
        return;
    }
    if (loop->heap.count == 0) {
        uv_timer_stop(&loop->timer);
        return;
    }
    uint64_t due_ms = (uint64_t)(loop->heap.items[1]->due_us + 999) / 1000;
    uint64_t uv_now_ms = uv_now(&loop->uv);
    uv_timer_start(&loop->timer, on_timer, due_ms > uv_now_ms ? due_ms - uv_now_ms : 0, 0);
}
