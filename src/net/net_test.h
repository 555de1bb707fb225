/* net_test.h -- for the tests of this room: a raw TCP peer on the loop under test, and waiting for
 * something to become true without sleeping.
 *
 * Owner   the test.
 * Thread  the test's. */
#ifndef NET_NET_TEST_H
#define NET_NET_TEST_H

#include "base/alloc.h"
#include "base/buf.h"
#include "loop/timer.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PATIENCE_MS 20000

struct peer {
    uv_poll_t *poll;
    int fd;
    struct buf in;
    bool ended; /* the other side closed */
};

/* Every test of a socket runs twice: over the poll, and over io_uring where the kernel has it. */
static inline struct loop *test_loop(void)
{
    struct loop *loop = loop_new(LOOP_REAL);
    if (getenv("NET_TEST_RING") != NULL) {
        loop_use_ring(loop);
    }
    return loop;
}

static inline void peer_readable(uv_poll_t *poll, int status, int events)
{
    (void)status;
    (void)events;
    struct peer *p = poll->data;
    char bytes[4096];
    ssize_t got = recv(p->fd, bytes, sizeof bytes, MSG_DONTWAIT);
    if (got > 0) {
        cr_assert_eq(buf_add(&p->in, bytes, (size_t)got), 0);
    } else if (got == 0 || errno != EAGAIN) {
        p->ended = true;
        uv_poll_stop(poll);
    }
}

static inline void peer_over(struct peer *p, struct loop *loop, int fd)
{
    *p = (struct peer){.fd = fd};
    buf_init(&p->in, 64 * 1024 * 1024);
    p->poll = xzalloc(sizeof *p->poll);
    p->poll->data = p;
    cr_assert_eq(uv_poll_init(loop_uv(loop), p->poll, fd), 0);
    uv_poll_start(p->poll, UV_READABLE, peer_readable);
}

static inline void peer_connect(struct peer *p, struct loop *loop, uint16_t port)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(port)};
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert_geq(fd, 0);
    cr_assert_eq(connect(fd, (struct sockaddr *)&at, sizeof at), 0);
    peer_over(p, loop, fd);
}

static inline void peer_freed(uv_handle_t *handle)
{
    xfree(handle);
}

static inline void peer_close(struct peer *p)
{
    if (p->poll != NULL) {
        uv_close((uv_handle_t *)p->poll, peer_freed);
        p->poll = NULL;
        close(p->fd);
        buf_fini(&p->in);
    }
}

static inline void peer_send(struct peer *p, struct str text)
{
    while (text.len > 0) {
        ssize_t done = send(p->fd, text.p, text.len, MSG_NOSIGNAL);
        cr_assert_gt(done, 0, "the peer could not send");
        text = str_skip(text, (size_t)done);
    }
}

static inline bool peer_has(const struct peer *p, const char *text)
{
    return str_contains(buf_str(&p->in), str_of(text));
}

static inline void patience_over(void *arg)
{
    *(bool *)arg = true;
}

/* Runs the loop until `condition`; the test fails when that takes longer than a machine can. */
#define WAIT_FOR(the_loop, condition)                                                              \
    do {                                                                                           \
        bool over_ = false;                                                                        \
        struct timer patience_ = {0};                                                              \
        timer_start(&patience_, (the_loop), PATIENCE_MS, patience_over, &over_);                   \
        while (!(condition) && !over_) {                                                           \
            loop_run_once((the_loop), true);                                                       \
        }                                                                                          \
        timer_stop(&patience_);                                                                    \
        cr_assert(condition, "waited in vain for: %s", #condition);                                \
    } while (0)

/* A listening socket on a free port of loopback. */
static inline int listen_any(uint16_t *port)
{
    struct sockaddr_in at = {.sin_family = AF_INET};
    socklen_t size = sizeof at;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    cr_assert_geq(fd, 0);
    cr_assert_eq(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
    cr_assert_eq(listen(fd, 16), 0);
    cr_assert_eq(getsockname(fd, (struct sockaddr *)&at, &size), 0);
    *port = ntohs(at.sin_port);
    return fd;
}

#endif
