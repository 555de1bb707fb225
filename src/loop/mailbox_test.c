#include "loop/mailbox.h"

#include "base/alloc.h"
#include "loop/worker.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#define SENDERS  4
#define MESSAGES 5000

struct message {
    int sender;
    int number;
};

struct world {
    struct loop *loop;
    struct mailbox *box;
    int next[SENDERS];
    int delivered;
    int expected;
    bool free_at_first;
};

static atomic_int dropped;

static void on_drop(void *message)
{
    atomic_fetch_add(&dropped, 1);
    xfree(message);
}

static void on_message(void *message, void *arg)
{
    struct world *w = arg;
    struct message *m = message;
    cr_assert_eq(m->number, w->next[m->sender], "in order per sender");
    w->next[m->sender]++;
    xfree(m);
    if (w->free_at_first) {
        mailbox_free(&w->box);
    } else if (++w->delivered == w->expected) {
        mailbox_free(&w->box); /* then nothing is left and loop_run() returns */
    }
}

static struct message *message_new(int sender, int number)
{
    struct message *m = xzalloc(sizeof *m);
    m->sender = sender;
    m->number = number;
    return m;
}

struct sender {
    pthread_t thread;
    struct mailbox *box;
    int id;
};

static void *send_all(void *arg)
{
    struct sender *s = arg;
    for (int i = 0; i < MESSAGES; i++) {
        struct message *m = message_new(s->id, i);
        while (mailbox_post(s->box, m) == -EBUSY) { /* full: ours to keep and try again */
            sched_yield();
        }
    }
    return NULL;
}

Test(mailbox, several_senders)
{
    struct world w = {.loop = loop_new(LOOP_REAL), .expected = SENDERS * MESSAGES};
    struct sender senders[SENDERS];
    w.box = mailbox_new(w.loop, 64, on_message, on_drop, &w);
    for (int i = 0; i < SENDERS; i++) {
        senders[i] = (struct sender){.box = w.box, .id = i};
        cr_assert_eq(pthread_create(&senders[i].thread, NULL, send_all, &senders[i]), 0);
    }
    loop_run(w.loop);
    for (int i = 0; i < SENDERS; i++) {
        cr_assert_eq(pthread_join(senders[i].thread, NULL), 0);
        cr_expect_eq(w.next[i], MESSAGES);
    }
    cr_expect_eq(atomic_load(&dropped), 0);
    loop_free(&w.loop);
}

Test(mailbox, full_is_refused_and_the_rest_dropped)
{
    struct world w = {.loop = loop_new(LOOP_VIRTUAL), .expected = 1000};
    w.box = mailbox_new(w.loop, 3, on_message, on_drop, &w);
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(mailbox_post(w.box, message_new(0, i)), 0);
    }
    struct message *m = message_new(0, 3);
    cr_expect_eq(mailbox_post(w.box, m), -EBUSY);
    cr_expect_eq(w.delivered, 0, "never inside mailbox_post()");
    loop_run_once(w.loop, false);
    cr_expect_eq(w.delivered, 3);
    cr_expect_eq(mailbox_post(w.box, m), 0);
    mailbox_free(&w.box);
    cr_expect_eq(atomic_load(&dropped), 1);
    mailbox_free(&w.box);
    loop_free(&w.loop);
}

Test(mailbox, freed_by_its_own_delivery)
{
    struct world w = {.loop = loop_new(LOOP_REAL), .free_at_first = true};
    w.box = mailbox_new(w.loop, 8, on_message, on_drop, &w);
    for (int i = 0; i < 4; i++) {
        cr_assert_eq(mailbox_post(w.box, message_new(0, i)), 0);
    }
    loop_run(w.loop);
    cr_expect_eq(w.next[0], 1);
    cr_expect_eq(atomic_load(&dropped), 3);
    loop_free(&w.loop);
}

struct job {
    struct worker_op *op;
    int worked;
    int done;
    int dropped;
    pthread_t where;
};

static void on_work(void *arg)
{
    struct job *j = arg;
    j->worked++;
    j->where = pthread_self();
}

static void on_done(void *arg)
{
    struct job *j = arg;
    j->done++;
}

static void on_job_drop(void *arg)
{
    struct job *j = arg;
    j->dropped++;
}

Test(worker, works_elsewhere_and_reports_here)
{
    struct loop *loop = loop_new(LOOP_REAL);
    struct job jobs[20] = {0};
    for (size_t i = 0; i < COUNT_OF(jobs); i++) {
        cr_assert_eq(worker_start(&jobs[i].op, loop, on_work, on_done, on_job_drop, &jobs[i]), 0);
    }
    cr_expect_eq(jobs[0].done, 0);
    loop_run(loop);
    for (size_t i = 0; i < COUNT_OF(jobs); i++) {
        cr_expect_eq(jobs[i].worked, 1);
        cr_expect_eq(jobs[i].done, 1);
        cr_expect_eq(jobs[i].dropped, 0);
        cr_expect_neq(pthread_equal(jobs[i].where, pthread_self()), 1);
    }
    loop_free(&loop);
}

Test(worker, cancelled_ones_are_silent_and_dropped)
{
    struct loop *loop = loop_new(LOOP_REAL);
    struct job jobs[20] = {0};
    for (size_t i = 0; i < COUNT_OF(jobs); i++) {
        cr_assert_eq(worker_start(&jobs[i].op, loop, on_work, on_done, on_job_drop, &jobs[i]), 0);
    }
    for (size_t i = 0; i < COUNT_OF(jobs); i++) {
        worker_cancel(&jobs[i].op);
        cr_expect_null(jobs[i].op);
        worker_cancel(&jobs[i].op);
    }
    loop_free(&loop); /* waits for the pool */
    for (size_t i = 0; i < COUNT_OF(jobs); i++) {
        cr_expect_eq(jobs[i].done, 0);
        cr_expect_eq(jobs[i].dropped, 1);
    }
}

Test(worker, virtual_loops_work_in_the_turn)
{
    struct loop *loop = loop_new(LOOP_VIRTUAL);
    struct job job = {0};
    struct job cancelled = {0};
    cr_assert_eq(worker_start(&job.op, loop, on_work, on_done, on_job_drop, &job), 0);
    cr_assert_eq(worker_start(&cancelled.op, loop, on_work, on_done, on_job_drop, &cancelled), 0);
    worker_cancel(&cancelled.op);
    cr_expect_eq(job.worked, 0);
    loop_advance(loop, 0);
    cr_expect_eq(job.done, 1);
    cr_expect_eq(pthread_equal(job.where, pthread_self()), 1);
    cr_expect_eq(cancelled.worked + cancelled.done, 0);
    cr_expect_eq(cancelled.dropped, 1);
    loop_free(&loop);
}
