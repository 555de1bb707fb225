/* What threads share, for ThreadSanitizer: Criterion cannot run under it, cmocka can. Built and run by
 * `meson setup -Db_sanitize=thread`. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/log.h"
#include "base/metrics.h"
#include "loop/mailbox.h"
#include "loop/timer.h"
#include "loop/worker.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>

#define SENDERS  4
#define MESSAGES 2000

struct hall {
    struct loop *loop;
    struct mailbox *box;
    size_t received;
    uint64_t sum;
};

static void on_message(void *message, void *arg)
{
    struct hall *h = arg;
    uint64_t *number = message;
    h->sum += *number;
    xfree(number);
    if (++h->received == (size_t)SENDERS * MESSAGES) {
        mailbox_free(&h->box);
    }
}

static void *send_all(void *arg)
{
    struct mailbox *box = arg;
    for (uint64_t i = 0; i < MESSAGES; i++) {
        uint64_t *number = xmemdup(&i, sizeof i);
        while (mailbox_post(box, number) == -EBUSY) {
            sched_yield();
        }
        metric_add("claims_total", NULL, 1);
    }
    return NULL;
}

static void mailbox_of_several_senders(void **state)
{
    (void)state;
    struct hall h = {.loop = loop_new(LOOP_REAL)};
    pthread_t threads[SENDERS];
    h.box = mailbox_new(h.loop, 16, on_message, xfree, &h);
    struct mailbox *box = h.box;
    for (size_t i = 0; i < SENDERS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, send_all, box), 0);
    }
    loop_run(h.loop);
    for (size_t i = 0; i < SENDERS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    assert_int_equal(h.received, (size_t)SENDERS * MESSAGES);
    assert_int_equal(h.sum, (uint64_t)SENDERS * MESSAGES * (MESSAGES - 1) / 2);
    assert_int_equal(metric_read("claims_total", NULL), (int64_t)SENDERS * MESSAGES);
    loop_free(&h.loop);
}

/* Two loops on two threads that throw one ball to each other by mailbox. */
struct player {
    struct loop *loop;
    struct mailbox *box;
    struct player *other;
    int64_t throws;
};

static void on_ball(void *message, void *arg)
{
    struct player *p = arg;
    int64_t *ball = message;
    p->throws++;
    if (++*ball > 2000) {
        xfree(ball);
        loop_stop(p->other->loop);
        loop_stop(p->loop);
        return;
    }
    assert_int_equal(mailbox_post(p->other->box, ball), 0);
}

static void *play(void *arg)
{
    struct player *p = arg;
    loop_run(p->loop);
    return NULL;
}

static void two_loops(void **state)
{
    (void)state;
    struct player players[2] = {0};
    pthread_t thread;
    int64_t zero = 0;
    for (size_t i = 0; i < 2; i++) {
        players[i].loop = loop_new(LOOP_REAL);
        players[i].box = mailbox_new(players[i].loop, 4, on_ball, xfree, &players[i]);
        players[i].other = &players[1 - i];
    }
    assert_int_equal(mailbox_post(players[0].box, xmemdup(&zero, sizeof zero)), 0);
    assert_int_equal(pthread_create(&thread, NULL, play, &players[1]), 0);
    loop_run(players[0].loop);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(players[0].throws + players[1].throws, 2001);
    for (size_t i = 0; i < 2; i++) {
        mailbox_free(&players[i].box);
        loop_free(&players[i].loop);
    }
}

struct job {
    struct worker_op *op;
    int64_t worked;
    int64_t done;
};

static void on_work(void *arg)
{
    struct job *j = arg;
    j->worked++;
    log_debug("not.written");
}

static void on_done(void *arg)
{
    struct job *j = arg;
    j->done = j->worked;
}

static void workers(void **state)
{
    (void)state;
    struct loop *loop = loop_new(LOOP_REAL);
    struct job jobs[200] = {0};
    for (size_t i = 0; i < COUNT_OF(jobs); i++) {
        assert_int_equal(worker_start(&jobs[i].op, loop, on_work, on_done, NULL, &jobs[i]), 0);
        if (i % 5 == 0) {
            worker_cancel(&jobs[i].op);
        }
    }
    loop_run(loop);
    for (size_t i = 0; i < COUNT_OF(jobs); i++) {
        assert_int_equal(jobs[i].done, i % 5 == 0 ? 0 : 1);
    }
    loop_free(&loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mailbox_of_several_senders),
        cmocka_unit_test(two_loops),
        cmocka_unit_test(workers),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
