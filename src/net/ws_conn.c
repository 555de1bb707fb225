#include "net/ws_conn.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/crypto.h"
#include "base/limits.h"
#include "loop/ring.h"
#include "loop/timer.h"
#include "net/ws_frame.h"
#include "net/ws_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define CONTROL_BYTES_MAX 125 /* RFC 6455 section 5.5 */
#define READ_BYTES        (16 * 1024)
#define READS_A_TURN      16
#define KEEP_BYTES        (64 * 1024) /* a buffer that grew past this is given back when empty */
#define CLOSE_WAIT_MS     5000
#define LINGER_MS         1000
/* The frame that makes the backlog too large is still built, so that its bound is the caller's. */
#define OUT_BYTES_MAX (64u * 1024 * 1024)

enum ws_state {
    WS_OPEN,
    WS_CLOSING, /* our close frame went first: the peer's is awaited */
    WS_CLOSED,  /* both close frames are made: flush, then the end */
    WS_FAILED,  /* the peer broke a rule: our close frame is flushed, then WS_LINGER */
    WS_LINGER,  /* what still comes is thrown away, or our close frame would be lost to a reset */
    WS_ENDED,   /* the wire is closed; on_close is due or done */
};

struct ws_poll {
    uv_poll_t handle; /* closed by libuv when we may be gone */
    struct ws_conn *conn;
    void (*release)(void *);
    void *release_arg;
};

struct ws_conn {
    struct loop *loop;
    struct ws_wire wire;
    struct ws_poll *poll; /* NULL: the ring tells */
    int poll_events;
    bool listening;
    void (*release)(void *); /* for the ring; the poll has its own */
    void *release_arg;
    enum ws_role role;
    enum ws_state state;
    size_t message_max;
    struct ws_handlers handlers;

    char head[WS_HEADER_BYTES_MAX]; /* of a frame whose header is not whole yet */
    size_t head_len;
    bool in_frame;
    struct ws_header frame; /* the running one */
    uint64_t frame_left;    /* payload bytes of it still to come */
    bool in_message;
    bool binary;
    size_t fragments;
    struct buf message;
    uint8_t control[CONTROL_BYTES_MAX];
    size_t control_size;
    struct buf early; /* what came with the handshake */

    struct buf out;
    size_t out_sent;
    uint8_t masks[128];
    size_t mask_at;

    int64_t last_read_us;
    struct timer soon;     /* what must not happen inside a call of ours */
    struct timer deadline; /* of the closing handshake */
    int end_err;
    int end_code;
    char end_reason[CONTROL_BYTES_MAX];
    bool reported;
    int depth; /* of callbacks: ws_free() waits for 0 */
    bool free_wanted;
};

static void on_soon(void *arg);
static void on_deadline(void *arg);
static void flush(struct ws_conn *c);
static bool reading(const struct ws_conn *c);

/* --- the wire over a plain descriptor --- */

ssize_t ws_wire_read(const struct ws_wire *wire, void *p, size_t size)
{
    if (wire->ring != NULL) {
        return ring_read(wire->ring, p, size);
    }
    ssize_t got = recv(wire->fd, p, size, 0);
    return got < 0 ? -errno : got;
}

ssize_t ws_wire_write(const struct ws_wire *wire, const void *p, size_t size)
{
    if (wire->ring != NULL) {
        return ring_write(wire->ring, p, size);
    }
    ssize_t done = send(wire->fd, p, size, MSG_NOSIGNAL);
    return done < 0 ? -errno : done;
}

static void fd_close(void *self)
{
    close((int)(intptr_t)self);
}

/* --- life and death --- */

static void on_poll_closed(uv_handle_t *handle)
{
    struct ws_poll *poll = CONTAINER_OF(handle, struct ws_poll, handle);
    if (poll->release != NULL) {
        poll->release(poll->release_arg);
    }
    xfree(poll);
}

static void close_wire(struct ws_conn *c)
{
    if (c->poll != NULL) {
        struct ws_poll *poll = c->poll;
        c->poll = NULL;
        poll->conn = NULL;
        uv_close((uv_handle_t *)&poll->handle, on_poll_closed); /* out of epoll at once */
    }
    ring_close(&c->wire.ring, c->release, c->release_arg); /* lets go in the kernel's own time */
    if (c->wire.fd >= 0) {
        c->wire.fd = -1;
        c->wire.close(c->wire.self);
    }
}

static void destroy(struct ws_conn *c)
{
    timer_stop(&c->soon);
    timer_stop(&c->deadline);
    close_wire(c);
    buf_fini(&c->message);
    buf_fini(&c->early);
    buf_fini(&c->out);
    xfree(c);
}

static void enter(struct ws_conn *c)
{
    c->depth++;
}

/* The end of whatever was going on: here on_close runs, and a ws_free() that came meanwhile. */
static void leave(struct ws_conn *c)
{
    if (c->depth == 1 && c->state == WS_ENDED && !c->reported && !c->free_wanted) {
        c->reported = true;
        timer_stop(&c->soon);
        c->handlers.on_close(c->end_err, c->end_code, str_of(c->end_reason), c->handlers.arg);
    }
    if (--c->depth == 0 && c->free_wanted) {
        destroy(c);
    }
}

static void end(struct ws_conn *c, int err, int code)
{
    if (c->state == WS_ENDED) {
        return;
    }
    c->state = WS_ENDED;
    c->end_err = err;
    c->end_code = code;
    timer_stop(&c->deadline);
    close_wire(c);
    timer_start(&c->soon, c->loop, 0, on_soon, c); /* unless leave() is quicker */
}

void ws_free(struct ws_conn **c_p)
{
    if (c_p == NULL || *c_p == NULL) {
        return;
    }
    struct ws_conn *c = *c_p;
    *c_p = NULL;
    c->free_wanted = true;
    if (c->depth > 0) {
        c->state = WS_ENDED;
        close_wire(c);
        return;
    }
    destroy(c);
}

/* --- sending --- */

static void mask_next(struct ws_conn *c, uint8_t mask[4])
{
    if (c->mask_at == 0) {
        random_bytes(c->masks, sizeof c->masks);
    }
    memcpy(mask, c->masks + c->mask_at, 4);
    c->mask_at = (c->mask_at + 4) % sizeof c->masks;
}

/* Header and payload are built where they are sent from, and leave in one write. */
static int add_frame(struct ws_conn *c, enum ws_opcode opcode, const struct str *parts,
                     size_t count)
{
    size_t size = 0;
    for (size_t i = 0; i < count; i++) {
        if (__builtin_add_overflow(size, parts[i].len, &size)) {
            return -ENOBUFS;
        }
    }
    if (c->out_sent > 0) {
        buf_consume(&c->out, c->out_sent);
        c->out_sent = 0;
    }
    uint8_t *at =
        size > OUT_BYTES_MAX ? NULL : (uint8_t *)buf_reserve(&c->out, size + WS_HEADER_BYTES_MAX);
    if (at == NULL) {
        return -ENOBUFS;
    }
    uint8_t mask[4];
    bool masked = c->role == WS_CLIENT;
    if (masked) {
        mask_next(c, mask);
    }
    size_t head = ws_header_write(at, opcode, size, masked ? mask : NULL);
    uint8_t *payload = at + head;
    for (size_t i = 0; i < count; i++) {
        if (parts[i].len > 0) {
            memcpy(payload, parts[i].p, parts[i].len);
            payload += parts[i].len;
        }
    }
    if (masked) {
        ws_mask(at + head, size, mask, 0);
    }
    buf_commit(&c->out, head + size);
    return 0;
}

size_t ws_unsent(const struct ws_conn *c)
{
    return c->out.len - c->out_sent;
}

static int send_frame(struct ws_conn *c, enum ws_opcode opcode, const struct str *parts,
                      size_t count)
{
    if (c->state == WS_ENDED) {
        return -EPIPE;
    }
    int err = add_frame(c, opcode, parts, count);
    if (err == 0) {
        flush(c);
        err = ws_unsent(c) > LIMIT_WS_SEND_BYTES ? -ENOBUFS : 0;
    }
    if (err < 0) {
        end(c, err, 1006);
        return err;
    }
    return c->state == WS_ENDED ? -EPIPE : 0;
}

int ws_send_parts(struct ws_conn *c, const struct str *parts, size_t count)
{
    return c->state == WS_OPEN ? send_frame(c, WS_TEXT, parts, count) : -EPIPE;
}

int ws_send_text(struct ws_conn *c, struct str text)
{
    return ws_send_parts(c, &text, 1);
}

int ws_ping(struct ws_conn *c)
{
    return c->state == WS_OPEN ? send_frame(c, WS_PING, NULL, 0) : -EPIPE;
}

static void send_close(struct ws_conn *c, int code, struct str reason)
{
    char head[2] = {(char)(code >> 8), (char)(code & 0xff)};
    struct str parts[] = {str_make(head, sizeof head),
                          str_head(reason, CONTROL_BYTES_MAX - sizeof head)};
    bool empty = code == 1005; /* "no code" is said by no payload */
    (void)send_frame(c, WS_CLOSE, parts, empty ? 0 : COUNT_OF(parts));
}

void ws_close(struct ws_conn *c, int code, const char *reason)
{
    char text[CONTROL_BYTES_MAX - 1];
    if (c->state != WS_OPEN) {
        return;
    }
    str_copy_cut(str_of(reason), text, sizeof text);
    c->state = WS_CLOSING;
    timer_start(&c->deadline, c->loop, CLOSE_WAIT_MS, on_deadline, c);
    send_close(c, code, str_of(text));
}

static void watch(struct ws_conn *c, int events);

static void after_flush(struct ws_conn *c)
{
    if (c->out.size > KEEP_BYTES) {
        buf_fini(&c->out);
    }
    if (c->state == WS_CLOSED) {
        end(c, 0, c->end_code);
    } else if (c->state == WS_FAILED) {
        c->state = WS_LINGER;
        (void)shutdown(c->wire.fd, SHUT_WR);
        timer_start(&c->deadline, c->loop, LINGER_MS, on_deadline, c);
    }
}

static void flush(struct ws_conn *c)
{
    while (c->out_sent < c->out.len) {
        ssize_t done = c->wire.write(&c->wire, c->out.p + c->out_sent, c->out.len - c->out_sent);
        if (done == -EAGAIN || done == -EINTR) {
            watch(c, reading(c) ? UV_READABLE | UV_WRITABLE : UV_WRITABLE);
            return;
        }
        if (done < 0) {
            end(c, (int)done, 1006);
            return;
        }
        c->out_sent += (size_t)done;
    }
    buf_clear(&c->out);
    c->out_sent = 0;
    watch(c,
          UV_READABLE); /* write interest only under backpressure: re-arming costs system calls */
    if (c->state != WS_OPEN && c->wire.ring != NULL) { /* what follows must not overtake it */
        int err = ring_flushed(c->wire.ring);
        if (err == -EAGAIN) {
            return;
        }
        if (err < 0) {
            end(c, err, 1006);
            return;
        }
    }
    after_flush(c);
}

/* --- receiving --- */

static void fail(struct ws_conn *c, int code, int err)
{
    if (c->state == WS_CLOSING) { /* our close frame is out: nothing more may follow it */
        end(c, err, 1006);
        return;
    }
    if (c->state != WS_OPEN) {
        return;
    }
    c->end_err = err;
    c->state = WS_FAILED;
    timer_start(&c->deadline, c->loop, CLOSE_WAIT_MS, on_deadline, c);
    send_close(c, code, STR_NONE);
}

static bool code_allowed(int code) /* RFC 6455 section 7.4 and the IANA registry */
{
    return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) ||
           (code >= 3000 && code <= 4999);
}

static void on_close_frame(struct ws_conn *c)
{
    struct str payload = str_make((const char *)c->control, c->control_size);
    int code = 1005;
    if (payload.len >= 2) {
        code = c->control[0] << 8 | c->control[1];
    }
    struct str reason = str_skip(payload, 2);
    if (payload.len == 1 || (payload.len >= 2 && !code_allowed(code))) {
        fail(c, 1002, -EPROTO);
        return;
    }
    if (!str_is_utf8(reason)) {
        fail(c, 1007, -EILSEQ);
        return;
    }
    c->end_code = code;
    str_copy_cut(reason, c->end_reason, sizeof c->end_reason);
    if (c->state == WS_CLOSING) {
        end(c, 0, code);
    } else if (c->state == WS_OPEN) {
        c->state = WS_CLOSED;
        timer_start(&c->deadline, c->loop, CLOSE_WAIT_MS, on_deadline, c);
        send_close(c, code, STR_NONE);
    }
}

static void on_control(struct ws_conn *c, uint8_t opcode)
{
    if (opcode == WS_CLOSE) {
        on_close_frame(c);
    } else if (opcode == WS_PING && c->state == WS_OPEN) {
        struct str payload = str_make((const char *)c->control, c->control_size);
        (void)send_frame(c, WS_PONG, &payload, 1);
    }
}

static void on_message(struct ws_conn *c, struct str message)
{
    c->in_message = false;
    c->fragments = 0;
    if (!c->binary && !str_is_utf8(message)) {
        fail(c, 1007, -EILSEQ);
        return;
    }
    if (c->state == WS_OPEN) { /* what comes after our close frame is nobody's */
        c->handlers.on_message(message, c->binary, c->handlers.arg);
    }
}

/* Is this frame allowed here? Nothing is allocated before it is. */
static bool frame_allowed(struct ws_conn *c, const struct ws_header *h)
{
    bool control = h->opcode >= WS_CLOSE;
    bool known = h->opcode <= WS_BINARY || (control && h->opcode <= WS_PONG);
    bool in_order = control || (h->opcode == WS_CONTINUATION) == c->in_message;
    if (!known || !in_order || h->rsv != 0 || h->masked != (c->role == WS_SERVER) ||
        (control && (!h->fin || h->size > CONTROL_BYTES_MAX))) {
        fail(c, 1002, -EPROTO);
        return false;
    }
    if (control) {
        c->control_size = 0;
        return true;
    }
    if (h->opcode != WS_CONTINUATION) {
        c->in_message = true;
        c->binary = h->opcode == WS_BINARY;
        c->fragments = 0;
        buf_clear(&c->message);
    }
    if (++c->fragments > LIMIT_WS_FRAGMENTS) {
        fail(c, 1008, -EPROTO);
        return false;
    }
    if (h->size > c->message_max - c->message.len) {
        fail(c, 1009, -EMSGSIZE);
        return false;
    }
    return true;
}

/* A piece of the running frame's payload, unmasked; its last one when frame_left is 0. */
static void on_piece(struct ws_conn *c, struct str piece)
{
    bool over = c->frame_left == 0;
    if (c->frame.opcode >= WS_CLOSE) {
        if (piece.len > 0) {
            memcpy(c->control + c->control_size, piece.p, piece.len);
        }
        c->control_size += piece.len;
        if (over) {
            on_control(c, c->frame.opcode);
        }
        return;
    }
    bool last = over && c->frame.fin;
    if (last && c->message.len == 0) {
        on_message(c, piece); /* whole in one piece: no copy */
        return;
    }
    int err = buf_add_str(&c->message, piece);
    assert(err == 0); /* frame_allowed() looked at the length */
    if (last) {
        on_message(c, buf_str(&c->message));
        if (c->message.size > KEEP_BYTES) {
            buf_fini(&c->message);
        }
    }
}

static bool reading(const struct ws_conn *c)
{
    return !c->free_wanted &&
           (c->state == WS_OPEN || c->state == WS_CLOSING || c->state == WS_LINGER);
}

static bool taking(const struct ws_conn *c)
{
    return !c->free_wanted && (c->state == WS_OPEN || c->state == WS_CLOSING);
}

/* Begins the next frame if its header is whole: in the bytes, or with what came of it before. */
static struct str take_header(struct ws_conn *c, struct str bytes)
{
    bool fresh = c->head_len == 0;
    size_t more = fresh ? 0 : WS_HEADER_BYTES_MAX - c->head_len;
    struct str head = bytes;
    if (!fresh) {
        more = bytes.len < more ? bytes.len : more;
        memcpy(c->head + c->head_len, bytes.p, more);
        head = str_make(c->head, c->head_len + more);
    }
    ssize_t len = ws_header_read(head, &c->frame);
    if (len < 0) {
        fail(c, 1002, -EPROTO);
        return STR_NONE;
    }
    if (len == 0) { /* less than a header: all of it waits */
        if (fresh) {
            memcpy(c->head, bytes.p, bytes.len);
        }
        c->head_len += fresh ? bytes.len : more;
        return STR_NONE;
    }
    bytes = str_skip(bytes, (size_t)len - c->head_len);
    c->head_len = 0;
    c->in_frame = frame_allowed(c, &c->frame);
    c->frame_left = c->frame.size;
    return bytes;
}

/* The bytes are ours to change: masks are taken off where they stand. */
static void take_bytes(struct ws_conn *c, char *p, size_t size)
{
    struct str bytes = str_make(p, size);
    while (taking(c) && (bytes.len > 0 || (c->in_frame && c->frame_left == 0))) {
        if (!c->in_frame) {
            bytes = take_header(c, bytes);
            continue;
        }
        struct str piece =
            str_head(bytes, c->frame_left < bytes.len ? (size_t)c->frame_left : bytes.len);
        if (c->frame.masked) {
            ws_mask(p + (bytes.p - p), piece.len, c->frame.mask, c->frame.size - c->frame_left);
        }
        bytes = str_skip(bytes, piece.len);
        c->frame_left -= piece.len;
        c->in_frame = c->frame_left > 0;
        on_piece(c, piece);
    }
}

/* The peer's end without a close frame, or after ours was refused an answer. */
static void on_cut(struct ws_conn *c, int err)
{
    end(c, c->state == WS_LINGER ? c->end_err : err, 1006);
}

static void read_some(struct ws_conn *c)
{
    char bytes[READ_BYTES]
        __attribute__((uninitialized)); /* 50 times a second: not worth clearing */
    /* A ring keeps nothing for later, and never has more than one of its buffers for us. */
    bool to_the_end = c->wire.ring != NULL;
    for (int i = 0; (to_the_end || i < READS_A_TURN) && reading(c); i++) {
        ssize_t got = c->wire.read(&c->wire, bytes, sizeof bytes);
        if (got == -EAGAIN || got == -EINTR) {
            return;
        }
        if (got <= 0) {
            on_cut(c, got < 0 ? (int)got : -ECONNRESET);
            return;
        }
        c->last_read_us = loop_now_us(c->loop);
        take_bytes(c, bytes, (size_t)got);
        if (!c->wire.buffered && (size_t)got < sizeof bytes) {
            return; /* drained; the poll tells when there is more */
        }
    }
    if (c->wire.buffered && reading(c)) {
        timer_start(&c->soon, c->loop, 0, on_soon, c); /* no poll tells of bytes held above it */
    }
}

static void on_ready(int events, void *arg)
{
    struct ws_conn *c = arg;
    enter(c);
    if ((events & UV_WRITABLE) != 0) {
        flush(c);
    }
    if ((events & UV_READABLE) != 0) {
        read_some(c);
    }
    leave(c);
}

static void on_poll(uv_poll_t *handle, int status, int events)
{
    struct ws_conn *c = CONTAINER_OF(handle, struct ws_poll, handle)->conn;
    if (c != NULL) {
        on_ready(status < 0 ? events | UV_READABLE : events, c);
    }
}

static void watch(struct ws_conn *c, int events)
{
    if (c->wire.ring != NULL && c->early.len == 0 && !c->listening) {
        c->listening = true;
        ring_listen(c->wire.ring, on_ready, c);
    }
    if (c->poll != NULL && c->poll_events != events && c->early.len == 0) {
        c->poll_events = events;
        int err = uv_poll_start(&c->poll->handle, events, on_poll);
        assert(err == 0);
    }
}

static void on_soon(void *arg)
{
    struct ws_conn *c = arg;
    enter(c);
    if (c->early.len > 0) {
        struct buf early = c->early;
        buf_init(&c->early, 0);
        c->last_read_us = loop_now_us(c->loop);
        take_bytes(c, early.p, early.len);
        buf_fini(&early);
    }
    watch(c, ws_unsent(c) > 0 ? UV_READABLE | UV_WRITABLE : UV_READABLE);
    if (reading(c) && c->wire.fd >= 0) {
        read_some(c);
    }
    leave(c);
}

static void on_deadline(void *arg)
{
    struct ws_conn *c = arg;
    enter(c);
    bool failed = c->state == WS_LINGER || c->state == WS_FAILED;
    end(c, failed ? c->end_err : -ETIMEDOUT, 1006);
    leave(c);
}

/* --- opening --- */

struct ws_conn *ws_open_wire(struct loop *loop, struct ws_wire wire, enum ws_role role,
                             struct str already_read, size_t message_max,
                             struct ws_handlers handlers)
{
    struct ws_conn *c = xzalloc(sizeof *c);
    c->loop = loop;
    c->wire = wire;
    c->role = role;
    c->message_max = message_max;
    c->handlers = handlers;
    c->last_read_us = loop_now_us(loop);
    buf_init(&c->message, message_max + 1);
    buf_init(&c->out, OUT_BYTES_MAX * 2);
    buf_init(&c->early, already_read.len + 1);
    if (wire.fd < 0) {
        end(c, -ENOTCONN, 1006);
        return c;
    }
    if (wire.ring == NULL) {
        c->poll = xzalloc(sizeof *c->poll);
        c->poll->conn = c;
        int err = uv_poll_init(loop_uv(loop), &c->poll->handle, wire.fd);
        assert(err == 0);
    }
    (void)buf_add_str(&c->early, already_read);
    if (already_read.len > 0 || wire.buffered) {
        timer_start(&c->soon, loop, 0, on_soon, c);
    } else {
        watch(c, UV_READABLE);
    }
    return c;
}

struct ws_conn *ws_open(struct loop *loop, int fd, enum ws_role role, struct str already_read,
                        size_t message_max, struct ws_handlers handlers, void (*release)(void *),
                        void *release_arg)
{
    int on = 1;
    if (fd >= 0) { /* a socket pair has no TCP_NODELAY to set */
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        int flags = fcntl(fd, F_GETFL);
        (void)fcntl(fd, F_SETFL, flags | O_NONBLOCK);
    }
    struct ring *ring = fd >= 0 ? loop_ring(loop) : NULL;
    struct ws_wire wire = {.fd = fd,
                           .ring = ring != NULL ? ring_open(ring, fd) : NULL,
                           .read = ws_wire_read,
                           .write = ws_wire_write,
                           .close = fd_close,
                           .self = (void *)(intptr_t)fd};
    struct ws_conn *c = ws_open_wire(loop, wire, role, already_read, message_max, handlers);
    if (c->poll != NULL) {
        c->poll->release = release;
        c->poll->release_arg = release_arg;
    } else if (c->wire.ring != NULL) {
        c->release = release;
        c->release_arg = release_arg;
    } else if (release != NULL) {
        loop_defer(loop, release, release_arg);
    }
    return c;
}

int64_t ws_last_read_us(const struct ws_conn *c)
{
    return c->last_read_us;
}
