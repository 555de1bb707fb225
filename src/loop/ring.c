#include "loop/ring.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/list.h"
#include "loop/loop_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

#define ENTRIES      1024
#define BUFFERS      256 /* a power of two */
#define BUFFER_BYTES 4096
#define GROUP        0
#define ROUNDS_MAX   8 /* of reaping what our own answers led to, before others have their turn */
#define KEEP_BYTES   (16 * 1024) /* a buffer that grew past this is given back when empty */

enum op {
    OP_RECV,
    OP_SEND,
    OP_CANCEL,
    OP_POLL,
    OP_MASK = OP_POLL
}; /* in the low bits of a sock's address */

struct ring {
    struct loop *loop;
    struct io_uring uring;
    struct io_uring_buf_ring *lent;
    char *buffers;
    uv_prepare_t prepare;
    uv_idle_t idle;    /* active while there are sockets: libuv looks, and we wait */
    bool polling;      /* the kernel tells when libuv has something to do */
    struct list dirty; /* socks with bytes to send */
    size_t socks;      /* of which the kernel may still tell something */
    int handles;       /* of libuv, not closed yet */
};

struct ring_sock {
    struct ring *ring;
    struct list dirty;
    int fd;
    unsigned ops; /* that the kernel has */
    bool receiving;
    bool sending;
    bool refused; /* -EAGAIN was said: there is somebody to tell */
    bool ended;   /* end_err says how */
    bool closed;
    int end_err;
    int send_err;
    struct str arrived; /* of the buffer that is being told of */
    struct buf pending;
    struct buf flight;
    size_t flight_sent;
    ring_ready_fn *on_ready;
    void *arg;
    loop_fn *on_closed;
    void *closed_arg;
};

/* --- what goes to the kernel --------------------------------------------------------------------- */

static struct io_uring_sqe *next_entry(struct ring *r)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&r->uring);

    if (sqe == NULL) { /* full: make room */
        (void)io_uring_submit(&r->uring);
        sqe = io_uring_get_sqe(&r->uring);
    }
    assert(sqe != NULL);
    return sqe;
}

static uint64_t tag(const struct ring_sock *s, enum op op)
{
    return (uint64_t)(uintptr_t)s | op;
}

static void ask_recv(struct ring_sock *s)
{
    struct io_uring_sqe *sqe = next_entry(s->ring);

    io_uring_prep_recv_multishot(sqe, s->fd, NULL, 0, 0);
    sqe->flags |= IOSQE_BUFFER_SELECT;
    sqe->buf_group = GROUP;
    io_uring_sqe_set_data64(sqe, tag(s, OP_RECV));
    s->receiving = true;
    s->ops++;
}

static void ask_send(struct ring_sock *s)
{
    struct io_uring_sqe *sqe = next_entry(s->ring);

    io_uring_prep_send(sqe, s->fd, s->flight.p + s->flight_sent, s->flight.len - s->flight_sent,
                       MSG_NOSIGNAL | MSG_WAITALL);
    io_uring_sqe_set_data64(sqe, tag(s, OP_SEND));
    s->sending = true;
    s->ops++;
}

static void ask_cancel(struct ring_sock *s, enum op op)
{
    struct io_uring_sqe *sqe = next_entry(s->ring);

    io_uring_prep_cancel64(sqe, tag(s, op), 0);
    io_uring_sqe_set_data64(sqe, tag(s, OP_CANCEL));
    s->ops++;
}

static void make_dirty(struct ring_sock *s)
{
    if (!list_linked(&s->dirty)) {
        list_push_back(&s->ring->dirty, &s->dirty);
    }
}

/* Everything that a socket was given in this turn is one send. */
static void ask_sends(struct ring *r)
{
    for (struct list *l = list_pop_front(&r->dirty); l != NULL; l = list_pop_front(&r->dirty)) {
        struct ring_sock *s = LIST_ITEM(l, struct ring_sock, dirty);
        if (!s->sending && s->send_err == 0 && s->pending.len > 0) {
            struct buf sent = s->flight;
            s->flight = s->pending;
            s->pending = sent;
            s->flight_sent = 0;
            ask_send(s);
        }
    }
}

/* --- what comes from it -------------------------------------------------------------------------- */

static void lend(struct ring *r, unsigned id)
{
    io_uring_buf_ring_add(r->lent, r->buffers + (size_t)id * BUFFER_BYTES, BUFFER_BYTES,
                          (unsigned short)id, io_uring_buf_ring_mask(BUFFERS), 0);
    io_uring_buf_ring_advance(r->lent, 1);
}

static void tell(struct ring_sock *s, int events)
{
    if (!s->closed && s->on_ready != NULL) {
        s->on_ready(events, s->arg);
    }
}

static void on_recv(struct ring_sock *s, const struct io_uring_cqe *cqe)
{
    struct ring *r = s->ring;

    s->receiving = (cqe->flags & IORING_CQE_F_MORE) != 0;
    if ((cqe->flags & IORING_CQE_F_BUFFER) != 0) {
        unsigned id = cqe->flags >> IORING_CQE_BUFFER_SHIFT;
        if (cqe->res > 0) {
            s->arrived = str_make(r->buffers + (size_t)id * BUFFER_BYTES, (size_t)cqe->res);
            tell(s, UV_READABLE);
            s->arrived = STR_NONE;
        }
        lend(r, id);
    }
    if (cqe->res <= 0 && cqe->res != -ENOBUFS && cqe->res != -EINTR) {
        s->ended = true;
        s->end_err = cqe->res;
        tell(s, UV_READABLE);
    } else if (!s->receiving && !s->closed) {
        ask_recv(s);
    }
}

static void on_sent(struct ring_sock *s, int res)
{
    s->sending = false;
    if (res > 0) {
        s->flight_sent += (size_t)res;
    }
    if (res < 0 && res != -EINTR) {
        s->send_err = res;
        tell(s, UV_WRITABLE);
        return;
    }
    if (s->closed) {
        return;
    }
    if (s->flight_sent < s->flight.len) {
        ask_send(s);
        return;
    }
    buf_clear(&s->flight);
    s->flight_sent = 0;
    if (s->flight.size > KEEP_BYTES) {
        buf_fini(&s->flight);
        buf_init(&s->flight, RING_PENDING_BYTES + 1);
    }
    if (s->pending.len > 0) {
        make_dirty(s);
    }
    if (s->refused) {
        s->refused = false;
        tell(s, UV_WRITABLE);
    }
}

static void sock_free(struct ring_sock *s)
{
    struct ring *r = s->ring;

    if (s->on_closed != NULL) {
        loop_defer(r->loop, s->on_closed, s->closed_arg);
    }
    list_remove(&s->dirty);
    buf_fini(&s->pending);
    buf_fini(&s->flight);
    xfree(s);
    if (--r->socks == 0) {
        (void)uv_idle_stop(&r->idle);
    }
}

static void on_entry(struct ring *r, const struct io_uring_cqe *cqe)
{
    uint64_t data = io_uring_cqe_get_data64(cqe);
    struct ring_sock *s = (struct ring_sock *)(uintptr_t)(data & ~(uint64_t)OP_MASK);

    switch ((enum op)(data & OP_MASK)) {
    case OP_RECV:
        on_recv(s, cqe);
        break;
    case OP_SEND:
        on_sent(s, cqe->res);
        break;
    case OP_CANCEL:
        break;
    case OP_POLL:
        r->polling = false;
        return;
    }
    if ((cqe->flags & IORING_CQE_F_MORE) == 0) {
        s->ops--;
    }
    if (s->closed && s->ops == 0) {
        sock_free(s);
    }
}

/* Tells of all that is there. An entry is copied first: what is told may fill the queue again. */
static bool reap(struct ring *r)
{
    struct io_uring_cqe *cqe;
    bool any = false;

    while (io_uring_peek_cqe(&r->uring, &cqe) == 0) {
        struct io_uring_cqe entry = *cqe;
        io_uring_cqe_seen(&r->uring, cqe);
        on_entry(r, &entry);
        any = true;
    }
    return any;
}

static void ask_poll(struct ring *r)
{
    struct io_uring_sqe *sqe = next_entry(r);

    io_uring_prep_poll_add(sqe, uv_backend_fd(loop_uv(r->loop)), POLLIN);
    io_uring_sqe_set_data64(sqe, OP_POLL);
    r->polling = true;
}

/* The loop's wait: for sockets, for what libuv watches, for the next timer. */
static void wait_for(struct ring *r, int64_t us)
{
    struct __kernel_timespec limit = {.tv_sec = us / US_PER_S, .tv_nsec = us % US_PER_S * 1000};
    struct io_uring_cqe *cqe = NULL;

    if (!r->polling) {
        ask_poll(r); /* told at once when something is there already */
    }
    (void)io_uring_submit_and_wait_timeout(&r->uring, &cqe, 1, us < 0 ? NULL : &limit, NULL);
    loop_forget_time(r->loop);
    (void)reap(r);
}

/* What this turn wants to send goes, and what that led to is told; then libuv's wait happens here. */
static void on_prepare(uv_prepare_t *prepare)
{
    struct ring *r = prepare->data;

    if (r->socks == 0) {
        return;
    }
    for (int i = 0; i < ROUNDS_MAX && !list_empty(&r->dirty); i++) {
        ask_sends(r);
        (void)io_uring_submit_and_get_events(&r->uring);
        loop_forget_time(r->loop);
        if (reap(r)) {
            loop_turned(r->loop);
        }
    }
    int64_t us = loop_wait_us(r->loop);
    if (r->socks > 0) {
        wait_for(r, list_empty(&r->dirty) ? us : 0);
    }
}

static void on_idle(uv_idle_t *idle)
{
    (void)idle; /* that it is active is all it does */
}

/* --- life ---------------------------------------------------------------------------------------- */

struct ring_sock *ring_open(struct ring *ring, int fd)
{
    struct ring_sock *s = xzalloc(sizeof *s);

    s->ring = ring;
    s->fd = fd;
    /* The kernel waits for the socket only where the socket may be waited for. */
    (void)fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
    list_init(&s->dirty);
    buf_init(&s->pending, RING_PENDING_BYTES + 1);
    buf_init(&s->flight, RING_PENDING_BYTES + 1);
    if (ring->socks++ == 0) {
        (void)uv_idle_start(&ring->idle, on_idle);
    }
    return s;
}

void ring_listen(struct ring_sock *s, ring_ready_fn *on_ready, void *arg)
{
    s->on_ready = on_ready;
    s->arg = arg;
    if (!s->receiving && !s->ended) {
        ask_recv(s);
    }
}

ssize_t ring_read(struct ring_sock *s, void *p, size_t size)
{
    size_t n = s->arrived.len < size ? s->arrived.len : size;

    if (n > 0) {
        memcpy(p, s->arrived.p, n);
        s->arrived = str_skip(s->arrived, n);
        return (ssize_t)n;
    }
    return s->ended ? s->end_err : -EAGAIN;
}

ssize_t ring_write(struct ring_sock *s, const void *p, size_t size)
{
    size_t room = RING_PENDING_BYTES - s->pending.len;
    size_t n = size < room ? size : room;

    if (s->send_err < 0) {
        return s->send_err;
    }
    if (n == 0) {
        s->refused = true;
        return -EAGAIN;
    }
    int err = buf_add(&s->pending, p, n);
    assert(err == 0); /* there is room */
    make_dirty(s);
    return (ssize_t)n;
}

size_t ring_unsent(const struct ring_sock *s)
{
    return s->pending.len + s->flight.len - s->flight_sent;
}

int ring_flushed(struct ring_sock *s)
{
    s->refused = s->send_err == 0 && ring_unsent(s) > 0;
    return s->refused ? -EAGAIN : s->send_err;
}

void ring_close(struct ring_sock **s_p, loop_fn *on_closed, void *arg)
{
    struct ring_sock *s = *s_p;

    if (s == NULL) {
        return;
    }
    *s_p = NULL;
    s->closed = true;
    s->on_closed = on_closed;
    s->closed_arg = arg;
    if (!s->sending && s->send_err == 0 && s->pending.len > 0) {
        (void)!send(s->fd, s->pending.p, s->pending.len, MSG_NOSIGNAL | MSG_DONTWAIT);
    }
    if (s->ops > 0) { /* the kernel holds the socket a moment longer: its peer need not wait */
        (void)shutdown(s->fd, SHUT_RDWR);
    }
    buf_clear(&s->pending);
    list_remove(&s->dirty);
    if (s->receiving) {
        ask_cancel(s, OP_RECV);
    }
    if (s->sending) {
        ask_cancel(s, OP_SEND);
    }
    if (s->ops == 0) {
        sock_free(s);
        return;
    }
    /* At once: an entry names its socket by a number, which may be another socket's in a moment. */
    (void)io_uring_submit(&s->ring->uring);
}

static int lend_all(struct ring *r)
{
    struct io_uring_buf_reg reg = {.ring_entries = BUFFERS, .bgid = GROUP};
    size_t size = BUFFERS * sizeof(struct io_uring_buf);
    void *lent = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_ANONYMOUS | MAP_PRIVATE, -1, 0);

    if (lent == MAP_FAILED) {
        return -ENOMEM;
    }
    r->lent = lent;
    reg.ring_addr = (uint64_t)(uintptr_t)lent;
    int err = io_uring_register_buf_ring(&r->uring, &reg, 0);
    if (err < 0) {
        return err;
    }
    io_uring_buf_ring_init(r->lent);
    r->buffers = xmalloc((size_t)BUFFERS * BUFFER_BYTES);
    for (unsigned i = 0; i < BUFFERS; i++) {
        lend(r, i);
    }
    return 0;
}

static void unlend(struct ring *r)
{
    if (r->lent != NULL) {
        (void)munmap(r->lent, BUFFERS * sizeof(struct io_uring_buf));
    }
    xfree(r->buffers);
}

int ring_new(struct ring **out, struct loop *loop)
{
    struct ring *r = xzalloc(sizeof *r);
    struct io_uring_params params = {.flags = IORING_SETUP_SINGLE_ISSUER |
                                              IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_CLAMP};
    int err = io_uring_queue_init_params(ENTRIES, &r->uring, &params);

    if (err < 0) {
        xfree(r);
        return err;
    }
    r->loop = loop;
    list_init(&r->dirty);
    err = lend_all(r);
    if (err == 0) { /* a filter may forbid just this: found out now, not by a loop that hangs */
        err = io_uring_submit_and_get_events(&r->uring);
    }
    if (err < 0) {
        io_uring_queue_exit(&r->uring);
        unlend(r);
        xfree(r);
        return err;
    }
    r->handles = 2;
    r->prepare.data = r;
    r->idle.data = r;
    (void)uv_idle_init(loop_uv(loop), &r->idle);
    (void)uv_prepare_init(loop_uv(loop), &r->prepare);
    (void)uv_prepare_start(&r->prepare, on_prepare);
    uv_unref((uv_handle_t *)&r->prepare);
    *out = r;
    return 0;
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct ring *r = handle->data;

    if (--r->handles == 0) {
        io_uring_queue_exit(&r->uring);
        unlend(r);
        xfree(r);
    }
}

void ring_free(struct ring **ring)
{
    struct ring *r = *ring;

    if (r == NULL) {
        return;
    }
    *ring = NULL;
    while (r->socks > 0) { /* closed ones, whose operations the kernel still has */
        ask_sends(r);
        (void)io_uring_submit_and_wait(&r->uring, 1);
        (void)reap(r);
    }
    uv_close((uv_handle_t *)&r->idle, on_handle_closed);
    uv_close((uv_handle_t *)&r->prepare, on_handle_closed);
}
