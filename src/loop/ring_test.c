#include "loop/ring.h"

#include "base/buf.h"
#include "loop/timer.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* One socket of the ring on one end of a pair, a plain one on the other. */
struct world {
    struct loop *loop;
    struct ring *ring;
    struct ring_sock *sock;
    int fd;
    int far;
    struct buf in;
    int end; /* 1: not yet */
    int writable;
    int closed;
    size_t read_at_once; /* 0: all */
};

static void on_closed(void *arg)
{
    struct world *w = arg;
    w->closed++;
}

static void on_ready(int events, void *arg)
{
    struct world *w = arg;
    char bytes[1000];
    w->writable += (events & UV_WRITABLE) != 0;
    if ((events & UV_READABLE) == 0) {
        return;
    }
    ssize_t n = 0;
    while ((n = ring_read(w->sock, bytes, sizeof bytes)) > 0) {
        (void)buf_add(&w->in, bytes, (size_t)n);
    }
    if (n != -EAGAIN) {
        w->end = (int)n;
    }
}

/* False: this kernel has no ring for us, and there is nothing to test. */
static bool open_world(struct world *w)
{
    int fds[2];
    *w = (struct world){.end = 1};
    w->loop = loop_new(LOOP_REAL);
    loop_use_ring(w->loop);
    w->ring = loop_ring(w->loop);
    if (w->ring == NULL) {
        loop_free(&w->loop);
        return false;
    }
    buf_init(&w->in, 64 << 20);
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    w->fd = fds[0];
    w->far = fds[1];
    w->sock = ring_open(w->ring, w->fd);
    ring_listen(w->sock, on_ready, w);
    return true;
}

static void close_world(struct world *w)
{
    ring_close(&w->sock, on_closed, w);
    (void)close(w->fd); /* the kernel's own reference goes with the last operation */
    if (w->far >= 0) {
        (void)close(w->far);
    }
    buf_fini(&w->in);
    loop_free(&w->loop);
    cr_expect_eq(w->closed, 1);
}

#define WAIT_FOR(w, cond)                                                                          \
    while (!(cond)) {                                                                              \
        (void)loop_run_once((w)->loop, true);                                                      \
    }

#define WORLD(w)                                                                                   \
    struct world w;                                                                                \
    if (!open_world(&w)) {                                                                         \
        cr_skip_test("io_uring is not allowed here");                                              \
    }

Test(ring, both_ways, .timeout = 20)
{
    WORLD(w);
    for (int i = 1; i <= 1000; i++) {
        char back[8] = "";
        cr_assert_eq(write(w.far, "ping", 4), 4);
        WAIT_FOR(&w, w.in.len == (size_t)i * 4);
        cr_assert_eq(ring_write(w.sock, "pong!", 5), 5);
        WAIT_FOR(&w, ring_unsent(w.sock) == 0);
        cr_assert_eq(read(w.far, back, 5), 5);
        cr_assert_str_eq(back, "pong!");
    }
    close_world(&w);
}

/* What is written in one turn leaves as one piece, in order. */
Test(ring, one_turn_is_one_send, .timeout = 20)
{
    WORLD(w);
    char back[64] = "";
    for (int i = 0; i < 10; i++) {
        cr_assert_eq(ring_write(w.sock, &"0123456789"[i], 1), 1);
    }
    WAIT_FOR(&w, ring_unsent(w.sock) == 0);
    cr_expect_eq(read(w.far, back, sizeof back), 10);
    cr_expect_str_eq(back, "0123456789");
    close_world(&w);
}

/* More than all lent buffers together, in one burst. */
Test(ring, a_flood, .timeout = 20)
{
    WORLD(w);
    static char chunk[65536];
    size_t sent = 0;
    memset(chunk, 'x', sizeof chunk);
    int flags = fcntl(w.far, F_GETFL);
    (void)fcntl(w.far, F_SETFL, flags | O_NONBLOCK);
    while (sent < (8u << 20)) {
        ssize_t n = write(w.far, chunk, sizeof chunk);
        sent += n > 0 ? (size_t)n : 0;
        (void)loop_run_once(w.loop, n < 0);
    }
    WAIT_FOR(&w, w.in.len == sent);
    close_world(&w);
}

/* A peer that does not read: -EAGAIN at the bound, and word when there is room again. */
Test(ring, backpressure, .timeout = 20)
{
    WORLD(w);
    char chunk[10000];
    size_t sent = 0;
    size_t got = 0;
    memset(chunk, 'y', sizeof chunk);
    for (ssize_t n = 1; n != -EAGAIN;) {
        n = ring_write(w.sock, chunk, sizeof chunk);
        sent += n > 0 ? (size_t)n : 0;
        (void)loop_run_once(w.loop, false);
        cr_assert_leq(ring_unsent(w.sock), 2 * RING_PENDING_BYTES);
    }
    cr_expect_eq(w.writable, 0);
    while (got < sent) {
        ssize_t n = recv(w.far, chunk, sizeof chunk, MSG_DONTWAIT);
        got += n > 0 ? (size_t)n : 0;
        (void)loop_run_once(w.loop, n < 0 && ring_unsent(w.sock) > 0);
    }
    cr_expect_eq(got, sent);
    cr_expect_geq(w.writable, 1);
    cr_expect_eq(ring_flushed(w.sock), 0);
    close_world(&w);
}

Test(ring, the_peers_end, .timeout = 20)
{
    WORLD(w);
    cr_assert_eq(write(w.far, "last", 4), 4);
    (void)close(w.far);
    w.far = -1;
    WAIT_FOR(&w, w.end <= 0);
    cr_expect_eq(w.end, 0);
    cr_expect_eq(w.in.len, 4);
    cr_expect_eq(ring_write(w.sock, "x", 1), 1); /* taken, and then it fails */
    WAIT_FOR(&w, w.writable > 0);
    cr_expect_eq(ring_flushed(w.sock), -EPIPE);
    cr_expect_eq(ring_write(w.sock, "x", 1), -EPIPE);
    close_world(&w);
}

/* What was written before the close is given to the socket. */
Test(ring, close_sends_what_waits, .timeout = 20)
{
    WORLD(w);
    char back[8] = "";
    cr_assert_eq(ring_write(w.sock, "bye", 3), 3);
    ring_close(&w.sock, on_closed, &w);
    cr_expect_eq(read(w.far, back, sizeof back), 3);
    WAIT_FOR(&w, w.closed == 1);
    (void)close(w.fd);
    cr_expect_eq(read(w.far, back, sizeof back), 0, "the kernel let go of the socket");
    w.closed = 0;
    w.fd = w.far;
    w.far = -1;
    w.sock = ring_open(w.ring, w.fd);
    close_world(&w);
}

/* Timers and posted calls of the loop run while its wait is in the ring. */
static void on_time(void *arg)
{
    ++*(int *)arg;
}

Test(ring, the_loop_goes_on, .timeout = 20)
{
    WORLD(w);
    struct timer t = {0};
    int fired = 0;
    int64_t began_us = loop_now_us(w.loop);
    timer_start(&t, w.loop, 30, on_time, &fired);
    WAIT_FOR(&w, fired == 1);
    cr_expect_geq(loop_now_us(w.loop) - began_us, 30000);
    cr_assert_eq(loop_post(w.loop, on_time, &fired), 0);
    WAIT_FOR(&w, fired == 2);
    loop_defer(w.loop, on_time, &fired);
    WAIT_FOR(&w, fired == 3);
    close_world(&w);
}

/* A socket that is closed before the kernel heard of it: its number is another one's by then. */
Test(ring, a_number_given_on_is_left_alone, .timeout = 20)
{
    WORLD(w);
    int fds[2];
    int next[2];
    char got[8] = "";
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    struct ring_sock *s = ring_open(w.ring, fds[0]);
    ring_listen(s, on_ready, &w);
    ring_close(&s, on_closed, &w);
    (void)close(fds[0]);
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, next), 0);
    cr_assert_eq(next[0], fds[0]);
    cr_assert_eq(write(next[1], "theirs", 6), 6);
    WAIT_FOR(&w, w.closed == 1);
    cr_expect_eq(recv(next[0], got, sizeof got, MSG_DONTWAIT), 6);
    cr_expect_str_eq(got, "theirs");
    w.closed = 0;
    (void)close(fds[1]);
    (void)close(next[0]);
    (void)close(next[1]);
    close_world(&w);
}

/* libuv has not told its epoll yet when the wait begins. */
struct late_watch {
    struct loop *loop;
    uv_poll_t poll;
    int fds[2];
    int readable;
};

static void on_late_readable(uv_poll_t *poll, int status, int events)
{
    struct late_watch *late = poll->data;
    (void)status;
    late->readable += (events & UV_READABLE) != 0;
    (void)uv_poll_stop(poll);
}

static void watch_late(void *arg)
{
    struct late_watch *late = arg;
    late->poll.data = late;
    cr_assert_eq(uv_poll_init(loop_uv(late->loop), &late->poll, late->fds[0]), 0);
    cr_assert_eq(uv_poll_start(&late->poll, UV_READABLE, on_late_readable), 0);
    cr_assert_eq(write(late->fds[1], "x", 1), 1);
}

Test(ring, a_watch_begun_by_a_timer_ends_the_wait, .timeout = 20)
{
    WORLD(w);
    struct timer t = {0};
    struct late_watch late = {.loop = w.loop};
    cr_assert_eq(pipe2(late.fds, O_CLOEXEC | O_NONBLOCK), 0);
    timer_start(&t, w.loop, 5, watch_late, &late);
    WAIT_FOR(&w, late.readable > 0);
    uv_close((uv_handle_t *)&late.poll, NULL);
    (void)loop_run_once(w.loop, false);
    (void)close(late.fds[0]);
    (void)close(late.fds[1]);
    close_world(&w);
}

Test(ring, a_virtual_loop_has_none)
{
    struct loop *loop = loop_new(LOOP_VIRTUAL);
    loop_use_ring(loop);
    cr_expect_null(loop_ring(loop));
    loop_free(&loop);
}
