#include "call/media_loop.h"

#include "base/alloc.h"
#include "base/jscan.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/metrics.h"
#include "call/call.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#define UP_RETRY_MS 20

struct slot {
    struct call *call;
    uint32_t generation;
};

struct waiting { /* a message that the control side had no room for */
    struct list link;
    struct call_up *up;
};

struct media_loop {
    uint32_t index;
    const struct call_env *env;
    struct loop *loop;
    pthread_t thread;
    struct mailbox *down;
    struct mailbox *up;
    struct http_client *http;
    struct pace_clock clock;
    struct jscan *scan;
    struct call_host host;
    struct slot *slots;
    size_t slot_count;
    size_t call_count;
    struct list waiting;
    size_t waiting_count;
    struct timer again;
    bool closing;
};

/* --- up --------------------------------------------------------------------------------------- */

static bool droppable(const struct call_up *up)
{
    return up->kind == UP_WRITE && (up->write.kind == DESK_TURN || up->write.kind == DESK_USAGE);
}

static void on_again(void *arg)
{
    struct media_loop *m = arg;
    while (!list_empty(&m->waiting)) {
        struct waiting *w = LIST_ITEM(m->waiting.next, struct waiting, link);
        if (mailbox_post(m->up, w->up) < 0) {
            timer_start(&m->again, m->loop, UP_RETRY_MS, on_again, m);
            return;
        }
        list_remove(&w->link);
        xfree(w);
        m->waiting_count--;
    }
}

static void send_up(struct call_up *up, void *arg)
{
    struct media_loop *m = arg;
    up->loop = m->index;
    if (list_empty(&m->waiting) && mailbox_post(m->up, up) == 0) {
        return;
    }
    if (m->closing) {
        call_up_free(up);
        return;
    }
    if (m->waiting_count >= UP_WAITING_MAX && droppable(up)) {
        metric_add("call_messages_dropped_total", NULL, 1);
        call_up_free(up);
        return;
    }
    struct waiting *w = xzalloc(sizeof *w);
    w->up = up;
    list_init(&w->link);
    list_push_back(&m->waiting, &w->link);
    m->waiting_count++;
    if (!timer_running(&m->again)) {
        timer_start(&m->again, m->loop, UP_RETRY_MS, on_again, m);
    }
}

/* --- calls ------------------------------------------------------------------------------------ */

static struct slot *slot_of(struct media_loop *m, struct call_ref ref)
{
    return ref.slot < m->slot_count ? &m->slots[ref.slot] : NULL;
}

/* NULL: gone. */
static struct call *resolve(struct media_loop *m, struct call_ref ref)
{
    struct slot *s = slot_of(m, ref);
    return s != NULL && s->generation == ref.generation ? s->call : NULL;
}

static void on_call_over(struct call *call, struct call_ref ref, void *arg)
{
    struct media_loop *m = arg;
    struct slot *s = slot_of(m, ref);
    assert(s != NULL && s->call == call);
    call_free(&s->call);
    m->call_count--;
}

static void start(struct media_loop *m, struct call_down *d)
{
    struct slot *s = slot_of(m, d->ref);
    assert(s != NULL &&
           s->call == NULL); /* the desk hands out slots, and gets them back by ENDED */
    s->generation = d->ref.generation;
    m->call_count++;
    s->call = call_new(&m->host, d->ref, &d->plan);
}

/* A socket for a call that is over: closed, and the server is told. */
static void socket_refuse(struct media_loop *m, const struct call_down *d)
{
    if (d->handle != NULL) {
        struct call_up *up = call_up_new(UP_SOCKET_DONE, d->ref);
        up->handle = d->handle;
        send_up(up, m);
    }
}

static void on_down(void *message, void *arg)
{
    struct media_loop *m = arg;
    struct call_down *d = message;
    struct call *call = resolve(m, d->ref);
    switch (d->kind) {
    case DOWN_START:
        start(m, d);
        break;
    case DOWN_SOCKET:
        if (call != NULL) {
            call_socket(call, d);
        }
        break;
    case DOWN_END:
        if (call != NULL) {
            call_end(call, d->end);
        }
        break;
    case DOWN_ANSWER:
        if (call != NULL) {
            call_answer(call, d);
        }
        break;
    case DOWN_STOP:
        loop_stop(m->loop);
        break;
    }
    bool refused = d->kind == DOWN_SOCKET && call == NULL;
    if (refused) {
        struct call_down copy = *d;
        call_down_free(d);
        socket_refuse(m, &copy);
        return;
    }
    call_down_free(d);
}

/* --- life ------------------------------------------------------------------------------------- */

int media_loop_open(struct media_loop **out, uint32_t index, struct loop *loop,
                    const struct call_env *env, struct mailbox *up)
{
    struct media_loop *m = xzalloc(sizeof *m);
    m->index = index;
    m->env = env;
    m->loop = loop;
    m->up = up;
    list_init(&m->waiting);
    m->down = mailbox_new(loop, LIMIT_MAILBOX, on_down, call_down_free, m);
    m->http = http_client_new(loop, "");
    pace_clock_init(&m->clock, loop);
    m->scan = jscan_new(LIMIT_MEDIA_MSG_BYTES);
    m->slot_count = env->calls_max;
    m->slots = xcalloc(m->slot_count, sizeof *m->slots);
    m->host = (struct call_host){.loop = loop,
                                 .http = m->http,
                                 .clock = &m->clock,
                                 .scan = m->scan,
                                 .env = env,
                                 .up = send_up,
                                 .on_over = on_call_over,
                                 .arg = m};
    *out = m;
    return 0;
}

/* Frees all that lives on the loop. Descriptors are closed by the loop's next turn, and what is
 * told of them still passes through m. */
static void end_calls(struct media_loop *m)
{
    m->closing = true;
    for (size_t i = 0; i < m->slot_count; i++) {
        call_free(&m->slots[i].call);
    }
    timer_stop(&m->again);
    pace_clock_fini(&m->clock);
    jscan_free(&m->scan);
    http_client_free(&m->http);
    mailbox_free(&m->down);
}

static void drop(struct media_loop *m)
{
    while (!list_empty(&m->waiting)) {
        struct waiting *w = LIST_ITEM(list_pop_front(&m->waiting), struct waiting, link);
        bool opt_out = w->up->kind == UP_WRITE && w->up->write.kind == DESK_OPT_OUT;
        if (!opt_out || mailbox_post(m->up, w->up) < 0) {
            call_up_free(w->up);
        }
        xfree(w);
    }
    xfree(m->slots);
    xfree(m);
}

void media_loop_close(struct media_loop **m_p)
{
    if (m_p == NULL || *m_p == NULL) {
        return;
    }
    struct media_loop *m = GIVE(*m_p);
    end_calls(m);
    (void)loop_run_once(m->loop, false);
    drop(m);
}

/* Sockets that the kernel works for belong to the thread that handed them over: they end on it. */
static void *on_thread(void *arg)
{
    struct media_loop *m = arg;

    loop_run(m->loop);
    end_calls(m);
    loop_free(&m->loop);
    return NULL;
}

int media_loop_start(struct media_loop **out, uint32_t index, const struct call_env *env,
                     struct mailbox *up)
{
    struct media_loop *m = NULL;
    int err = media_loop_open(&m, index, loop_new(LOOP_REAL), env, up);
    if (err == 0 && !env->poll_only) {
        loop_use_ring(m->loop);
    }
    err = err == 0 ? -pthread_create(&m->thread, NULL, on_thread, m) : err;
    if (err < 0) {
        struct loop *loop = m->loop;
        media_loop_close(&m);
        loop_free(&loop);
        return err;
    }
    *out = m;
    return 0;
}

void media_loop_stop(struct media_loop **m_p)
{
    if (m_p == NULL || *m_p == NULL) {
        return;
    }
    struct media_loop *m = GIVE(*m_p);
    loop_stop(m->loop);
    (void)pthread_join(m->thread, NULL);
    drop(m);
}

int media_loop_post(struct media_loop *m, struct call_down *message)
{
    return mailbox_post(m->down, message);
}

size_t media_loop_calls(const struct media_loop *m)
{
    return m->call_count;
}
