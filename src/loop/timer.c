#include "loop/timer.h"

#include "base/alloc.h"
#include "loop/loop_priv.h"

static bool before(const struct timer *a, const struct timer *b)
{
    return a->due_us != b->due_us ? a->due_us < b->due_us : a->order < b->order;
}

static void place(struct timer_heap *heap, size_t index, struct timer *t)
{
    heap->items[index] = t;
    t->heap_index = index;
}

static void sift_up(struct timer_heap *heap, struct timer *t, size_t index)
{
    while (index > 1 && before(t, heap->items[index / 2])) {
        place(heap, index, heap->items[index / 2]);
        index /= 2;
    }
    place(heap, index, t);
}

static void sift_down(struct timer_heap *heap, struct timer *t, size_t index)
{
    for (;;) {
        size_t child = index * 2;
        if (child > heap->count) {
            break;
        }
        if (child < heap->count && before(heap->items[child + 1], heap->items[child])) {
            child++;
        }
        if (!before(heap->items[child], t)) {
            break;
        }
        place(heap, index, heap->items[child]);
        index = child;
    }
    place(heap, index, t);
}

static void heap_add(struct timer_heap *heap, struct timer *t)
{
    if (heap->count + 1 >= heap->size) {
        heap->size = heap->size == 0 ? 64 : heap->size * 2;
        heap->items = xrealloc(heap->items, heap->size * sizeof(struct timer *));
    }
    t->order = heap->order++;
    heap->count++;
    sift_up(heap, t, heap->count);
}

static void heap_remove(struct timer_heap *heap, struct timer *t)
{
    size_t index = t->heap_index;
    assert(index >= 1 && index <= heap->count && heap->items[index] == t);
    struct timer *last = heap->items[heap->count--];
    t->heap_index = 0;
    if (last == t) {
        return;
    }
    if (index > 1 && before(last, heap->items[index / 2])) {
        sift_up(heap, last, index);
    } else {
        sift_down(heap, last, index);
    }
}

static void start(struct timer *t, struct loop *loop, int64_t delay_us, int64_t period_us,
                  timer_fn *fn, void *arg)
{
    timer_stop(t);
    t->loop = loop;
    t->fn = fn;
    t->arg = arg;
    t->period_us = period_us;
    t->due_us = loop_now_us(loop) + i64_max(delay_us, 0);
    heap_add(loop_timers(loop), t);
    loop_timers_changed(loop);
}

void timer_start(struct timer *t, struct loop *loop, int64_t delay_ms, timer_fn *fn, void *arg)
{
    start(t, loop, delay_ms * 1000, 0, fn, arg);
}

void timer_start_us(struct timer *t, struct loop *loop, int64_t delay_us, timer_fn *fn, void *arg)
{
    start(t, loop, delay_us, 0, fn, arg);
}

void timer_repeat(struct timer *t, struct loop *loop, int64_t period_ms, timer_fn *fn, void *arg)
{
    assert(period_ms > 0);
    start(t, loop, period_ms * 1000, period_ms * 1000, fn, arg);
}

void timer_stop(struct timer *t)
{
    if (t->heap_index == 0) {
        return;
    }
    heap_remove(loop_timers(t->loop), t);
    loop_timers_changed(t->loop);
}

bool timer_running(const struct timer *t)
{
    return t->heap_index != 0;
}

struct timer *timer_heap_pop_due(struct timer_heap *heap, int64_t now_us, uint64_t order_limit)
{
    if (heap->count == 0) {
        return NULL;
    }
    struct timer *t = heap->items[1];
    if (t->due_us > now_us || t->order >= order_limit) {
        return NULL;
    }
    heap_remove(heap, t);
    if (t->period_us > 0) {
        /* What was slept through is skipped, the phase stays. */
        t->due_us += ((now_us - t->due_us) / t->period_us + 1) * t->period_us;
        heap_add(heap, t);
    }
    return t;
}

void timer_heap_fini(struct timer_heap *heap)
{
    assert(heap->count == 0); /* a timer that still runs points into memory about to go */
    xfree(heap->items);
    heap->items = NULL;
}
