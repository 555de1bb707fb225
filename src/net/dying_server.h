/* dying_server.h -- for tests: a server that takes a POST and then goes wrong in a way of its own, and counts how often
 * it was asked.
 *
 * Owner   the test: stub_listen(), stub_end().
 * Thread  its own: one that accepts, one for each connection. Counts are atomic; read them after stub_end(). */
#ifndef NET_DYING_SERVER_H
#define NET_DYING_SERVER_H

#include "base/fault.h"
#include "net/net_test.h"

#include <openssl/ssl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#define LINKS_MAX 16
#define TAKEN     "{\"message\":\"call fired\",\"request_uuid\":\"r-1\"}"
#define TAKEN_201 "HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nContent-Length: 45\r\n"

#define JSON_HEAD(status, more)                                                                    \
    "HTTP/1.1 " status "\r\nContent-Type: application/json\r\nContent-Length: 2\r\n" more "\r\n{}"
#define MOVED(status) JSON_HEAD(status, "Location: /v1/Account/MA1/Call/\r\n")

enum moment { AT_ACCEPT, AT_BODY }; /* when it goes wrong */
enum end { KEEP, FIN, RST, SILENT, DRIP, DROP_SECOND };

struct way {
    const char *name;
    enum moment moment;
    const char *answer;
    enum end end;
    enum fault_class class; /* what the dialer must hear */
};

struct link {
    struct stub *stub;
    pthread_t thread;
    int fd;
    SSL *ssl;
    int posts;
    bool warmed; /* has answered before: whoever asks for a call here finds it dying */
};

struct stub {
    const struct way *way;
    SSL_CTX *tls; /* NULL: plain */
    int fd;
    uint16_t port;
    pthread_t thread;
    struct link links[LINKS_MAX];
    atomic_int link_count;
    atomic_int bodies; /* complete POSTs, over all connections */
    atomic_bool over;
};

static inline bool link_send(struct link *l, const char *p, size_t size)
{
    size_t done = 0;
    if (l->ssl != NULL) {
        return size == 0 || SSL_write_ex(l->ssl, p, size, &done) == 1;
    }
    return send(l->fd, p, size, MSG_NOSIGNAL) == (ssize_t)size;
}

static inline size_t link_read(struct link *l, char *p, size_t size)
{
    size_t done = 0;
    if (l->ssl != NULL) {
        return SSL_read_ex(l->ssl, p, size, &done) == 1 ? done : 0;
    }
    ssize_t got = recv(l->fd, p, size, 0);
    return got > 0 ? (size_t)got : 0;
}

static inline size_t length_of(const char *said)
{
    int64_t length = 0;
    cr_assert_eq(str_to_i64(str_make(said, strcspn(said, "\r")), &length), 0);
    return (size_t)length;
}

/* One whole request; false when the other side is gone. */
static inline bool read_request(struct link *l, bool *is_post)
{
    char in[16384];
    size_t len = 0;
    for (;;) {
        size_t got = link_read(l, in + len, sizeof in - 1 - len);
        if (got == 0) {
            return false;
        }
        len += got;
        in[len] = '\0';
        const char *end = strstr(in, "\r\n\r\n");
        const char *said = strcasestr(in, "Content-Length: ");
        if (end == NULL) {
            continue;
        }
        size_t body = said != NULL && said < end ? length_of(said + 16) : 0;
        if (len >= (size_t)(end - in) + 4 + body) {
            *is_post = strncmp(in, "POST ", 5) == 0;
            return true;
        }
    }
}

static inline void reset(struct link *l)
{
    struct linger hard = {.l_onoff = 1, .l_linger = 0};
    (void)setsockopt(l->fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
}

/* A byte at a time, until the other side has had enough. */
static inline void drip(struct link *l)
{
    while (!atomic_load(&l->stub->over) && link_send(l, " ", 1)) {
        (void)poll(NULL, 0, 20);
    }
}

/* What is wrong with this carrier; true: the connection goes on. */
static inline bool go_wrong(struct link *l)
{
    const struct way *way = l->stub->way;
    bool sent = link_send(l, way->answer, strlen(way->answer));
    char rest[64];
    switch (way->end) {
    case KEEP:
        return sent;
    case DROP_SECOND:
        return l->posts < 2;
    case SILENT:
        (void)link_read(l, rest, sizeof rest);
        return false;
    case DRIP:
        drip(l);
        return false;
    case RST:
        reset(l);
        return false;
    case FIN:
        return false;
    }
    return false;
}

static inline void serve(struct link *l)
{
    bool is_post;
    if (l->stub->way->moment == AT_ACCEPT) {
        (void)go_wrong(l);
        return;
    }
    while (read_request(l, &is_post)) {
        if (!is_post) {
            static const char fine[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
            if (!link_send(l, fine, sizeof fine - 1)) {
                return;
            }
            l->warmed = true;
            continue;
        }
        atomic_fetch_add(&l->stub->bodies, 1);
        l->posts++;
        if (l->warmed || (l->stub->way->end == DROP_SECOND && l->posts == 2)) {
            return;
        }
        if (!go_wrong(l)) {
            return;
        }
    }
}

static inline void *link_run(void *arg)
{
    struct link *l = arg;
    if (l->stub->tls != NULL) {
        l->ssl = SSL_new(l->stub->tls);
        SSL_set_fd(l->ssl, l->fd);
    }
    if (l->ssl == NULL || SSL_accept(l->ssl) == 1) {
        serve(l);
    }
    SSL_free(l->ssl);
    (void)shutdown(l->fd, SHUT_RDWR); /* no-op after reset(): close() sends the RST */
    return NULL;
}

static inline void *stub_run(void *arg)
{
    struct stub *s = arg;
    for (;;) {
        int fd = accept4(s->fd, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0) {
            return NULL;
        }
        int at = atomic_load(&s->link_count);
        cr_assert_lt(at, LINKS_MAX);
        s->links[at] = (struct link){.stub = s, .fd = fd};
        cr_assert_eq(pthread_create(&s->links[at].thread, NULL, link_run, &s->links[at]), 0);
        atomic_store(&s->link_count, at + 1);
    }
}

static inline void stub_listen(struct stub *s, const struct way *way, SSL_CTX *tls,
                               const char *host, uint16_t port)
{
    *s = (struct stub){.way = way, .tls = tls};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(port)};
    bool six = inet_pton(AF_INET6, host, &v6.sin6_addr) == 1;
    cr_assert(six || inet_pton(AF_INET, host, &v4.sin_addr) == 1);
    struct sockaddr *at = six ? (struct sockaddr *)&v6 : (struct sockaddr *)&v4;
    socklen_t size = six ? sizeof v6 : sizeof v4;
    int on = 1;
    s->fd = socket(at->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert_geq(s->fd, 0);
    (void)setsockopt(s->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    cr_assert_eq(bind(s->fd, at, size), 0, "%s", host);
    cr_assert_eq(listen(s->fd, 16), 0);
    cr_assert_eq(getsockname(s->fd, at, &size), 0);
    s->port = ntohs(six ? v6.sin6_port : v4.sin_port);
    cr_assert_eq(pthread_create(&s->thread, NULL, stub_run, s), 0);
}

static inline void stub_end(struct stub *s)
{
    atomic_store(&s->over, true);
    (void)shutdown(s->fd, SHUT_RDWR);
    cr_assert_eq(pthread_join(s->thread, NULL), 0);
    for (int i = 0; i < atomic_load(&s->link_count); i++) {
        (void)shutdown(s->links[i].fd, SHUT_RDWR);
        cr_assert_eq(pthread_join(s->links[i].thread, NULL), 0);
        close(s->links[i].fd);
    }
    close(s->fd);
}

static const char *const proxy_names[] = {"http_proxy", "https_proxy", "HTTPS_PROXY",
                                          "HTTP_PROXY", "ALL_PROXY",   "all_proxy"};

static inline void set_proxies(uint16_t port)
{
    char url[64];
    snprintf(url, sizeof url, "http://127.0.0.1:%u", port);
    for (size_t i = 0; i < COUNT_OF(proxy_names); i++) {
        setenv(proxy_names[i], url, 1);
    }
}

#endif
