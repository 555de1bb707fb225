#include "loop/loop.h"

#include "base/clock.h"
#include "base/limits.h"
#include "base/list.h"
#include "loop/timer.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <string.h>

struct trace {
    struct loop *loop;
    char text[256];
    size_t len;
    int64_t at_us[32];
    int count;
};

static void note(struct trace *t, char c)
{
    t->at_us[t->count++ % 32] = loop_now_us(t->loop);
    t->text[t->len++] = c;
    t->text[t->len] = '\0';
}

static void on_a(void *arg)
{
    note(arg, 'a');
}

static void on_b(void *arg)
{
    note(arg, 'b');
}

static void on_c(void *arg)
{
    note(arg, 'c');
}

Test(loop, deferred_calls_run_later_in_order)
{
    struct trace t = {.loop = loop_new(LOOP_REAL)};
    loop_defer(t.loop, on_a, &t);
    loop_defer(t.loop, on_b, &t);
    cr_expect_eq(t.count, 0);
    loop_run(t.loop);
    cr_expect_str_eq(t.text, "ab");
    loop_free(&t.loop);
    cr_expect_null(t.loop);
}

static void on_again(void *arg)
{
    struct trace *t = arg;
    note(t, 'x');
    if (t->count < 3) {
        loop_defer(t->loop, on_again, t);
    }
}

Test(loop, a_call_that_defers_itself_waits_a_turn)
{
    struct trace t = {.loop = loop_new(LOOP_REAL)};
    loop_defer(t.loop, on_again, &t);
    loop_run_once(t.loop, false);
    cr_expect_eq(t.count, 1);
    loop_run(t.loop);
    cr_expect_eq(t.count, 3);
    loop_free(&t.loop);
}

static void *poster(void *arg)
{
    struct trace *t = arg;
    for (int i = 0; i < 10; i++) {
        cr_assert_eq(loop_post(t->loop, on_a, t), 0);
    }
    loop_stop(t->loop);
    return NULL;
}

static void on_never(void *arg)
{
    (void)arg;
    cr_assert_fail("an hour passed");
}

Test(loop, posts_and_stop_from_another_thread)
{
    struct trace t = {.loop = loop_new(LOOP_REAL)};
    struct timer hour = {0};
    pthread_t thread;
    timer_start(&hour, t.loop, 3600 * 1000, on_never, NULL);
    cr_assert_eq(pthread_create(&thread, NULL, poster, &t), 0);
    loop_run(t.loop);
    cr_assert_eq(pthread_join(thread, NULL), 0);
    loop_run_once(t.loop, false);
    cr_expect_eq(t.count, 10);
    timer_stop(&hour);
    loop_free(&t.loop);
}

Test(loop, posts_are_bounded)
{
    struct trace t = {.loop = loop_new(LOOP_REAL)};
    for (int i = 0; i < LIMIT_MAILBOX; i++) {
        cr_assert_eq(loop_post(t.loop, on_a, &t), 0);
    }
    cr_expect_eq(loop_post(t.loop, on_a, &t), -EBUSY);
    loop_free(&t.loop); /* what was not run is dropped */
}

Test(timer, real_time_is_kept)
{
    struct trace t = {.loop = loop_new(LOOP_REAL)};
    struct timer a = {0};
    struct timer b = {0};
    int64_t start_us = clock_mono_us();
    timer_start(&a, t.loop, 30, on_a, &t);
    timer_start(&b, t.loop, 10, on_b, &t);
    loop_run(t.loop);
    cr_expect_str_eq(t.text, "ba");
    cr_expect_geq(t.at_us[0] - start_us, 10000, "never early");
    cr_expect_geq(t.at_us[1] - start_us, 30000, "never early");
    cr_expect_not(timer_running(&a));
    loop_free(&t.loop);
}

Test(timer, virtual_order)
{
    struct trace t = {.loop = loop_new(LOOP_VIRTUAL)};
    struct timer timers[4] = {0};
    int64_t start_us = loop_now_us(t.loop);
    loop_set_wall(t.loop, 1000000);
    timer_start(&timers[0], t.loop, 20, on_c, &t);
    timer_start(&timers[1], t.loop, 10, on_a, &t);
    timer_start(&timers[2], t.loop, 10, on_b, &t); /* the same time: in the order started */
    timer_start_us(&timers[3], t.loop, 9999, on_c, &t);
    loop_advance(t.loop, 9998);
    cr_expect_eq(t.count, 0);
    loop_advance(t.loop, 2);
    cr_expect_str_eq(t.text, "cab");
    cr_expect_eq(t.at_us[0], start_us + 9999, "each at its own time");
    cr_expect_eq(t.at_us[1], start_us + 10000);
    loop_advance(t.loop, 100000);
    cr_expect_str_eq(t.text, "cabc");
    cr_expect_eq(loop_now_us(t.loop), start_us + 110000);
    cr_expect_eq(loop_wall_us(t.loop), 1000000 + 110000);
    loop_free(&t.loop);
}

Test(timer, stop_and_restart)
{
    struct trace t = {.loop = loop_new(LOOP_VIRTUAL)};
    struct timer a = {0};
    timer_stop(&a); /* zeroed: nothing to stop */
    timer_start(&a, t.loop, 10, on_a, &t);
    timer_stop(&a);
    timer_stop(&a);
    loop_advance(t.loop, 20000);
    cr_expect_eq(t.count, 0);
    timer_start(&a, t.loop, 10, on_a, &t);
    loop_advance(t.loop, 5000);
    timer_start(&a, t.loop, 10, on_b, &t); /* starts over */
    loop_advance(t.loop, 9000);
    cr_expect_eq(t.count, 0);
    loop_advance(t.loop, 1000);
    cr_expect_str_eq(t.text, "b");
    loop_free(&t.loop);
}

Test(timer, repeat_keeps_its_phase)
{
    struct trace t = {.loop = loop_new(LOOP_VIRTUAL)};
    struct timer a = {0};
    int64_t start_us = loop_now_us(t.loop);
    timer_repeat(&a, t.loop, 20, on_a, &t);
    loop_advance(t.loop, 70000);
    cr_expect_eq(t.count, 3);
    cr_expect_eq(t.at_us[2], start_us + 60000);
    timer_stop(&a);
    loop_advance(t.loop, 100000);
    cr_expect_eq(t.count, 3);
    loop_free(&t.loop);
}

static void burn(int64_t us)
{
    int64_t until_us = clock_mono_us() + us;
    while (clock_mono_us() < until_us) {
    }
}

static void on_slow(void *arg)
{
    struct trace *t = arg;
    note(t, 's');
    if (t->count == 1) {
        burn(75000); /* sleeps through three periods */
    }
    if (t->count == 3) {
        loop_stop(t->loop);
    }
}

Test(timer, repeat_skips_what_it_slept_through)
{
    struct trace t = {.loop = loop_new(LOOP_REAL)};
    struct timer a = {0};
    timer_repeat(&a, t.loop, 20, on_slow, &t);
    int64_t phase_us = a.due_us % 20000;
    loop_run(t.loop);
    cr_expect_eq(a.due_us % 20000, phase_us, "the phase stays");
    cr_expect_geq(t.at_us[1] - t.at_us[0], 75000);
    cr_expect_geq(t.at_us[2] - t.at_us[1], 1000, "no burst of the missed ones");
    timer_stop(&a);
    loop_free(&t.loop);
}

static void on_chain(void *arg)
{
    struct trace *t = arg;
    static struct timer next;
    note(t, 'n');
    if (t->count < 4) {
        timer_start(&next, t->loop, 0, on_chain, t);
    }
}

Test(timer, one_started_while_firing_waits)
{
    struct trace t = {.loop = loop_new(LOOP_REAL)};
    struct timer a = {0};
    struct timer b = {0};
    timer_start(&a, t.loop, 0, on_chain, &t);
    timer_start(&b, t.loop, 0, on_b, &t);
    cr_expect_eq(t.count, 0, "never inside timer_start()");
    loop_run(t.loop);
    cr_expect_str_eq(t.text, "nbnn");
    loop_free(&t.loop);
}

#define MANY 2000

struct many {
    struct timer timer;
    struct loop *loop;
    int64_t due_us;
    int fired;
};

static int64_t last_due_us;

static void on_many(void *arg)
{
    struct many *m = arg;
    m->fired++;
    cr_assert_eq(loop_now_us(m->loop), m->due_us);
    cr_assert_geq(m->due_us, last_due_us, "in order");
    last_due_us = m->due_us;
}

Test(timer, many_with_some_stopped)
{
    static struct many timers[MANY];
    struct loop *loop = loop_new(LOOP_VIRTUAL);
    uint32_t seed = 12345;
    for (size_t i = 0; i < MANY; i++) {
        seed = seed * 1664525u + 1013904223u;
        int64_t delay_us = seed % 1000000;
        timers[i].loop = loop;
        timers[i].due_us = loop_now_us(loop) + delay_us;
        timer_start_us(&timers[i].timer, loop, delay_us, on_many, &timers[i]);
    }
    for (size_t i = 0; i < MANY; i += 3) {
        timer_stop(&timers[i].timer);
    }
    loop_run(loop);
    for (size_t i = 0; i < MANY; i++) {
        cr_assert_eq(timers[i].fired, i % 3 == 0 ? 0 : 1, "timer %zu", i);
    }
    loop_free(&loop);
}
