/* timer.h -- one-shot and repeating timers, embedded in their owner.
 *
 * Owner   the struct it is embedded in; timer_stop() before that is freed (stopping is immediate: no
 *         close callback to wait for, any number of timers cost one libuv handle per loop).
 * Thread  the loop's.
 * Time    milliseconds of the loop's monotonic clock; never fires inside timer_start(). A repeating
 *         timer keeps its phase (due times are start + n * period), and skips what it slept through. */
#ifndef LOOP_TIMER_H
#define LOOP_TIMER_H

#include "loop/loop.h"

typedef void timer_fn(void *arg);

struct timer {
    struct loop *loop;
    timer_fn *fn;
    void *arg;
    int64_t due_us;
    int64_t period_us; /* 0: one shot */
    size_t heap_index; /* 0: not running */
    uint64_t order;    /* equal due times fire in the order they were started */
};

void timer_start(struct timer *t, struct loop *loop, int64_t delay_ms, timer_fn *fn, void *arg);
void timer_start_us(struct timer *t, struct loop *loop, int64_t delay_us, timer_fn *fn, void *arg);
void timer_repeat(struct timer *t, struct loop *loop, int64_t period_ms, timer_fn *fn, void *arg);
void timer_stop(struct timer *t); /* safe on a zeroed or stopped timer */
bool timer_running(const struct timer *t);

#endif
