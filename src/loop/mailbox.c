#include "loop/mailbox.h"

#include "base/alloc.h"
#include "loop/loop_priv.h"

#include <errno.h>
#include <pthread.h>

struct mailbox {
    uv_async_t wake;
    struct loop *loop;
    pthread_mutex_t mutex;
    void **ring; /* capacity slots */
    size_t capacity;
    size_t first;
    size_t count;
    mailbox_deliver_fn *deliver;
    mailbox_drop_fn *drop;
    void *arg;
    bool freed; /* the loop's thread only: deliver() may free the mailbox */
};

static void *take(struct mailbox *m)
{
    void *message = NULL;
    pthread_mutex_lock(&m->mutex);
    if (m->count > 0) {
        message = m->ring[m->first];
        m->first = (m->first + 1) % m->capacity;
        m->count--;
    }
    pthread_mutex_unlock(&m->mutex);
    return message;
}

static void on_wake(uv_async_t *handle)
{
    struct mailbox *m = handle->data;
    /* At most one ring's worth a turn: a sender that never pauses must not starve the sockets. */
    for (size_t i = 0; i < m->capacity && !m->freed; i++) {
        void *message = take(m);
        if (message == NULL) {
            return;
        }
        loop_happened(m->loop);
        m->deliver(message, m->arg);
    }
    if (!m->freed) {
        uv_async_send(&m->wake);
    }
}

struct mailbox *mailbox_new(struct loop *loop, size_t capacity, mailbox_deliver_fn *deliver,
                            mailbox_drop_fn *drop, void *arg)
{
    assert(capacity > 0);
    struct mailbox *m = xzalloc(sizeof *m);
    m->ring = xcalloc(capacity, sizeof *m->ring);
    m->loop = loop;
    m->capacity = capacity;
    m->deliver = deliver;
    m->drop = drop;
    m->arg = arg;
    int err = pthread_mutex_init(&m->mutex, NULL);
    err = err != 0 ? err : uv_async_init(loop_uv(loop), &m->wake, on_wake);
    assert(err == 0);
    m->wake.data = m;
    return m;
}

static void on_closed(uv_handle_t *handle)
{
    struct mailbox *m = handle->data;
    pthread_mutex_destroy(&m->mutex);
    xfree(m->ring);
    xfree(m);
}

void mailbox_free(struct mailbox **m_p)
{
    if (m_p == NULL || *m_p == NULL) {
        return;
    }
    struct mailbox *m = *m_p;
    *m_p = NULL;
    m->freed = true;
    for (void *message = take(m); message != NULL; message = take(m)) {
        if (m->drop != NULL) {
            m->drop(message);
        }
    }
    uv_close((uv_handle_t *)&m->wake, on_closed);
}

void mailbox_empty(struct mailbox *m)
{
    for (void *message = take(m); message != NULL; message = take(m)) {
        m->deliver(message, m->arg);
    }
}

int mailbox_post(struct mailbox *m, void *message)
{
    assert(message != NULL);
    pthread_mutex_lock(&m->mutex);
    bool full = m->count == m->capacity;
    if (!full) {
        m->ring[(m->first + m->count) % m->capacity] = message;
        m->count++;
        /* Inside the lock: whoever received the message may free the mailbox, and cannot have
         * received it before we let go. */
        uv_async_send(&m->wake);
    }
    pthread_mutex_unlock(&m->mutex);
    return full ? -EBUSY : 0;
}
