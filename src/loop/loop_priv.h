/* loop_priv.h -- what loop.c and timer.c share: the heap of timers inside a loop.
 *
 * Owner   the loop.
 * Thread  the loop's. */
#ifndef LOOP_LOOP_PRIV_H
#define LOOP_LOOP_PRIV_H

#include "loop/timer.h"

struct timer_heap {
    struct timer **items; /* 1-based; items[1] is due first */
    size_t count;
    size_t size;
    uint64_t order; /* of the next one started */
};

void loop_forget_time(struct loop *loop); /* the time read so far in this turn is old */
void loop_turned(struct loop *loop); /* enough for loop_run_once(): it need not wait for more */
/* How long the loop may wait now: 0 not at all, -1 until something happens. */
int64_t loop_wait_us(struct loop *loop);
struct timer_heap *loop_timers(struct loop *loop);
void loop_happened(struct loop *loop);       /* something ran: a virtual loop takes another turn */
void loop_timers_changed(struct loop *loop); /* the first one may be another now */

/* Takes the first timer out if it is due at now_us and was started before order_limit. A repeating one
 * is in the heap again when this returns. */
struct timer *timer_heap_pop_due(struct timer_heap *heap, int64_t now_us, uint64_t order_limit);
void timer_heap_fini(struct timer_heap *heap);

#endif
