#include "net/http_server.h"

#include "base/limits.h"
#include "base/metrics.h"
#include "net/net_test.h"
#include "net/ws_conn.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

/* What the routes below saw and do. */
struct world {
    struct loop *loop;
    struct http_server *server;
    struct http_request *kept;
    int gone;
    int calls;
    int socket_fd;
    int sockets;
    struct http_socket *handle;
    char seen[256];
};

static void on_hello(struct http_request *req, void *arg)
{
    struct world *w = arg;
    w->calls++;
    http_set_header(req, "X-Test", "yes");
    http_answer(req, 200, "text/plain", STR("hello"));
}

static void on_echo(struct http_request *req, void *arg)
{
    struct world *w = arg;
    w->calls++;
    snprintf(w->seen, sizeof w->seen, STR_FMT "|" STR_FMT "|" STR_FMT "|" STR_FMT "|" STR_FMT,
             STR_ARG(http_method(req)), STR_ARG(http_param(req, "kind")),
             STR_ARG(http_param(req, "identity")), STR_ARG(http_query(req)),
             STR_ARG(http_header(req, "x-plivo-signature-v3")));
    http_answer(req, 200, "application/octet-stream", http_body(req));
}

static void on_rest(struct http_request *req, void *arg)
{
    (void)arg;
    http_answer(req, 200, "text/plain", http_param(req, "path"));
}

static void on_gone(void *arg)
{
    struct world *w = arg;
    w->gone++;
}

static void on_kept(struct http_request *req, void *arg)
{
    struct world *w = arg;
    w->calls++;
    w->kept = req;
    http_keep(req, on_gone, w);
}

static void on_silent(struct http_request *req, void *arg)
{
    (void)req;
    (void)arg;
}

static void on_file(struct http_request *req, void *arg)
{
    (void)arg;
    char name[] = "/tmp/dw_http_file_XXXXXX";
    int fd = mkstemp(name);
    cr_assert_geq(fd, 0);
    unlink(name);
    cr_assert_eq(write(fd, "0123456789", 10), 10);
    http_answer_file(req, fd, 10, "audio/wav");
}

#define BIG_BYTES (3 * 1000 * 1000)

static void on_big(struct http_request *req, void *arg)
{
    (void)arg;
    char name[] = "/tmp/dw_http_file_XXXXXX";
    int fd = mkstemp(name);
    char *text = xmalloc(BIG_BYTES);
    memset(text, 'w', BIG_BYTES);
    unlink(name);
    cr_assert_eq(write(fd, text, BIG_BYTES), BIG_BYTES);
    if (str_eq(http_param(req, "how"), STR("file"))) {
        http_answer_file(req, fd, BIG_BYTES, "audio/wav");
    } else {
        close(fd);
        http_answer(req, 200, "text/plain", str_make(text, BIG_BYTES));
    }
    xfree(text);
}

static void on_socket(int fd, struct str already_read, struct http_socket *handle, void *arg)
{
    struct world *w = arg;
    w->sockets++;
    w->socket_fd = fd;
    w->handle = handle;
    str_copy_cut(already_read, w->seen, sizeof w->seen);
}

static void on_upgrade(struct http_request *req, void *arg)
{
    http_upgrade(req, on_socket, arg);
}

static const struct http_route routes[] = {
    {"GET", "/hello", 0, on_hello},
    {"POST", "/carrier/plivo/{kind}/{identity}", 1000, on_echo},
    {"GET", "/files/{path...}", 0, on_rest},
    {"POST", "/later", 100, on_kept},
    {"GET", "/silent", 0, on_silent},
    {"GET", "/file", 0, on_file},
    {"GET", "/big/{how}", 0, on_big},
    {"GET", "/socket", 0, on_upgrade},
    {"GET", "/socket/later", 0, on_kept},
};

static void open_world(struct world *w)
{
    *w = (struct world){.socket_fd = -2};
    w->loop = loop_new(LOOP_REAL);
    cr_assert_eq(http_server_open(&w->server, w->loop, "127.0.0.1:0", routes, COUNT_OF(routes), w),
                 0);
    cr_assert_neq(http_server_port(w->server), 0);
}

static void close_world(struct world *w)
{
    http_server_close(&w->server);
    loop_free(&w->loop);
}

/* Sends one request on its own connection and waits for `expect` in the answer. */
static void exchange(struct world *w, const char *request, const char *expect)
{
    struct peer p;
    peer_connect(&p, w->loop, http_server_port(w->server));
    peer_send(&p, str_of(request));
    WAIT_FOR(w->loop, peer_has(&p, expect) || p.ended);
    cr_expect(peer_has(&p, expect), "%s\nanswered:\n%s", request, buf_cstr(&p.in));
    peer_close(&p);
}

#define HOST "Host: x\r\n"

Test(http_server, answers)
{
    static const struct {
        const char *name;
        const char *request;
        const char *expect;
    } rows[] = {
        {"at once", "GET /hello HTTP/1.1\r\n" HOST "\r\n", "\r\n\r\nhello"},
        {"own header", "GET /hello HTTP/1.1\r\n" HOST "\r\n", "X-Test: yes"},
        {"nosniff", "GET /hello HTTP/1.1\r\n" HOST "\r\n", "X-Content-Type-Options: nosniff"},
        {"head", "HEAD /hello HTTP/1.1\r\n" HOST "\r\n", "Content-Length: 5"},
        {"unknown path", "GET /nothing HTTP/1.1\r\n" HOST "\r\n", " 404 "},
        {"prefix is not enough", "GET /hello/x HTTP/1.1\r\n" HOST "\r\n", " 404 "},
        {"empty segment", "POST /carrier/plivo//x HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n",
         " 404 "},
        {"other method", "DELETE /hello HTTP/1.1\r\n" HOST "\r\n", " 405 "},
        {"rest", "GET /files/a/b%20c/d HTTP/1.1\r\n" HOST "\r\n", "\r\n\r\na/b%20c/d"},
        {"unanswered", "GET /silent HTTP/1.1\r\n" HOST "\r\n", " 500 "},
        {"no host", "GET /hello HTTP/1.1\r\n\r\n", " 400 "},
        {"two hosts", "GET /hello HTTP/1.1\r\n" HOST HOST "\r\n", " 400 "},
        {"two lengths",
         "POST /later HTTP/1.1\r\n" HOST "Content-Length: 1\r\nContent-Length: 1\r\n\r\nx",
         " 400 "},
        {"length and chunks",
         "POST /later HTTP/1.1\r\n" HOST
         "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
         " 400 "},
        {"body where none is taken", "GET /hello HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\nabc",
         " 413 "},
        {"not a length", "POST /later HTTP/1.1\r\n" HOST "Content-Length: x\r\n\r\n", " 400 "},
        {"not http", "\x16\x03\x01 nonsense\r\n\r\n", ""},
        {"upgrade without key",
         "GET /socket HTTP/1.1\r\n" HOST "Upgrade: websocket\r\nConnection: Upgrade\r\n"
         "Sec-WebSocket-Version: 13\r\n\r\n",
         " 426 "},
        {"old websocket",
         "GET /socket HTTP/1.1\r\n" HOST "Upgrade: websocket\r\nConnection: Upgrade\r\n"
         "Sec-WebSocket-Version: 12\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
         " 426 "},
        {"h2c is not spoken",
         "GET /hello HTTP/1.1\r\n" HOST "Upgrade: h2c\r\nConnection: Upgrade\r\n\r\n", " 200 "},
        {"file", "GET /file HTTP/1.1\r\n" HOST "\r\n", "\r\n\r\n0123456789"},
        {"range", "GET /file HTTP/1.1\r\n" HOST "Range: bytes=2-4\r\n\r\n", "\r\n\r\n234"},
        {"range status", "GET /file HTTP/1.1\r\n" HOST "Range: bytes=2-4\r\n\r\n",
         "Content-Range: bytes 2-4/10"},
        {"open range", "GET /file HTTP/1.1\r\n" HOST "Range: bytes=8-\r\n\r\n", "\r\n\r\n89"},
        {"last bytes", "GET /file HTTP/1.1\r\n" HOST "Range: bytes=-3\r\n\r\n", "\r\n\r\n789"},
        {"range outside", "GET /file HTTP/1.1\r\n" HOST "Range: bytes=10-\r\n\r\n", " 416 "},
        {"several ranges: all", "GET /file HTTP/1.1\r\n" HOST "Range: bytes=0-1,3-4\r\n\r\n",
         " 200 "},
    };
    struct world w;
    open_world(&w);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        cr_log_info("%s", rows[i].name);
        exchange(&w, rows[i].request, rows[i].expect);
    }
    close_world(&w);
}

Test(http_server, request_parts)
{
    struct world w;
    open_world(&w);
    exchange(&w,
             "POST /carrier/plivo/answer/a.b-1?x=1&y HTTP/1.1\r\n" HOST
             "X-Plivo-Signature-V3: s1,s2\r\nTransfer-Encoding: chunked\r\n\r\n"
             "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
             "\r\n\r\nabcde");
    cr_expect_str_eq(w.seen, "POST|answer|a.b-1|x=1&y|s1,s2");
    close_world(&w);
}

Test(http_server, keeps_the_connection_for_several_requests)
{
    struct world w;
    struct peer p;
    open_world(&w);
    peer_connect(&p, w.loop, http_server_port(w.server));
    for (int i = 1; i <= 3; i++) {
        buf_clear(&p.in);
        peer_send(&p, STR("GET /hello HTTP/1.1\r\n" HOST "\r\n"));
        WAIT_FOR(w.loop, peer_has(&p, "hello"));
        cr_expect_eq(w.calls, i);
    }
    buf_clear(&p.in);
    peer_send(&p, STR("GET /hello HTTP/1.1\r\n" HOST "\r\nGET /file HTTP/1.1\r\n" HOST "\r\n"));
    WAIT_FOR(w.loop, peer_has(&p, "hello") && peer_has(&p, "0123456789"));
    peer_close(&p);
    close_world(&w);
}

static void big_post(struct world *w, size_t size, const char *expect)
{
    struct peer p;
    char head[200];
    peer_connect(&p, w->loop, http_server_port(w->server));
    snprintf(head, sizeof head,
             "POST /carrier/plivo/a/b HTTP/1.1\r\n" HOST "Content-Length: %zu\r\n\r\n", size);
    peer_send(&p, str_of(head));
    char *body = xmalloc(size);
    memset(body, 'x', size);
    for (size_t sent = 0; sent < size && !p.ended && !peer_has(&p, " 413 ");) {
        ssize_t n = send(p.fd, body + sent, size - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno != EAGAIN) {
            break;
        }
        sent += n > 0 ? (size_t)n : 0;
        loop_run_once(w->loop, false);
    }
    xfree(body);
    WAIT_FOR(w->loop, peer_has(&p, expect) || p.ended);
    cr_expect(peer_has(&p, expect), "size %zu: %s", size, buf_cstr(&p.in));
    peer_close(&p);
}

Test(http_server, body_limit)
{
    struct world w;
    int64_t good = metric_read("http_requests_total", "2xx");
    int64_t bad = metric_read("http_requests_total", "4xx");
    open_world(&w);
    big_post(&w, 1000, " 200 ");
    big_post(&w, 1001, " 413 ");
    big_post(&w, 200 * 1000, " 413 ");
    big_post(&w, 50 * 1000 * 1000, " 413 ");
    cr_expect_eq(w.calls, 1, "only the body that fits reaches the handler");
    cr_expect_eq(metric_read("http_requests_total", "2xx"), good + 1);
    cr_expect_eq(metric_read("http_requests_total", "4xx"), bad + 3, "counted without a handler");
    close_world(&w);
}

Test(http_server, head_limits)
{
    struct world w;
    struct buf text;
    open_world(&w);
    buf_init(&text, 100000);
    (void)buf_add_cstr(&text, "GET /hello HTTP/1.1\r\n" HOST "X: ");
    for (int i = 0; i < 9000; i++) {
        (void)buf_add_char(&text, 'a');
    }
    (void)buf_add_cstr(&text, "\r\n\r\n");
    exchange(&w, buf_cstr(&text), " 431 ");
    buf_clear(&text);
    (void)buf_add_cstr(&text, "GET /hello HTTP/1.1\r\n" HOST);
    for (int i = 0; i < 64; i++) {
        (void)buf_addf(&text, "X-%d: a\r\n", i);
    }
    (void)buf_add_cstr(&text, "\r\n");
    exchange(&w, buf_cstr(&text), " 431 ");
    cr_expect_eq(w.calls, 0);
    buf_fini(&text);
    close_world(&w);
}

Test(http_server, late_answer)
{
    struct world w;
    struct peer p;
    open_world(&w);
    peer_connect(&p, w.loop, http_server_port(w.server));
    for (int i = 1; i <= 2; i++) {
        buf_clear(&p.in);
        peer_send(&p, STR("POST /later HTTP/1.1\r\n" HOST "Content-Length: 2\r\n\r\nhi"));
        WAIT_FOR(w.loop, w.calls == i);
        cr_expect_eq(p.in.len, 0);
        cr_expect(str_eq(http_body(w.kept), STR("hi")));
        http_answer(w.kept, 200, "text/plain", STR("late"));
        WAIT_FOR(w.loop, peer_has(&p, "\r\n\r\nlate"));
    }
    cr_expect_eq(w.gone, 0);
    peer_close(&p);
    close_world(&w);
}

Test(http_server, client_leaves_a_kept_request)
{
    struct world w;
    struct peer p;
    open_world(&w);
    peer_connect(&p, w.loop, http_server_port(w.server));
    peer_send(&p, STR("POST /later HTTP/1.1\r\n" HOST "Content-Length: 2\r\n\r\nhi"));
    WAIT_FOR(w.loop, w.calls == 1);
    peer_close(&p);
    WAIT_FOR(w.loop, w.gone == 1);
    http_answer(w.kept, 200, "text/plain", STR("nobody reads this"));
    exchange(&w, "GET /hello HTTP/1.1\r\n" HOST "\r\n", "hello");
    close_world(&w);
}

Test(http_server, close_answers_what_is_kept)
{
    struct world w;
    struct peer p;
    open_world(&w);
    peer_connect(&p, w.loop, http_server_port(w.server));
    peer_send(&p, STR("POST /later HTTP/1.1\r\n" HOST "Content-Length: 2\r\n\r\nhi"));
    WAIT_FOR(w.loop, w.calls == 1);
    http_server_close(&w.server);
    cr_expect_eq(w.gone, 1);
    http_answer(w.kept, 200, "text/plain", STR("into nothing"));
    WAIT_FOR(w.loop, p.ended);
    cr_expect(peer_has(&p, " 503 "), "%s", buf_cstr(&p.in));
    peer_close(&p);
    loop_free(&w.loop);
}

Test(http_server, header_drip_is_cut, .timeout = 40)
{
    struct world w;
    struct peer p;
    open_world(&w);
    peer_connect(&p, w.loop, http_server_port(w.server));
    int64_t start_us = loop_now_us(w.loop);
    int64_t last_us = 0;
    peer_send(&p, STR("GET /hello HTTP/1.1\r\n" HOST "X-Drip: "));
    while (!p.ended) {
        loop_run_once(w.loop, true); /* the server's own sweep wakes it every second */
        if (loop_now_us(w.loop) - last_us > 500000) {
            last_us = loop_now_us(w.loop);
            (void)send(p.fd, "a", 1, MSG_NOSIGNAL | MSG_DONTWAIT);
        }
        cr_assert_lt(loop_now_us(w.loop) - start_us, 20 * 1000000LL, "the drip goes on");
    }
    cr_expect_geq(loop_now_us(w.loop) - start_us, (LIMIT_HTTP_HEAD_S - 1) * 1000000LL);
    cr_expect_eq(w.calls, 0);
    peer_close(&p);
    close_world(&w);
}

Test(http_server, body_drip_is_cut, .timeout = 40)
{
    struct world w;
    struct peer p;
    open_world(&w);
    peer_connect(&p, w.loop, http_server_port(w.server));
    int64_t start_us = loop_now_us(w.loop);
    int64_t last_us = 0;
    peer_send(&p, STR("POST /later HTTP/1.1\r\n" HOST "Content-Length: 100\r\n\r\n"));
    while (!p.ended) {
        loop_run_once(w.loop, true);
        if (loop_now_us(w.loop) - last_us > 500000) {
            last_us = loop_now_us(w.loop);
            (void)send(p.fd, "a", 1, MSG_NOSIGNAL | MSG_DONTWAIT);
        }
        cr_assert_lt(loop_now_us(w.loop) - start_us, 15 * 1000000LL, "the drip goes on");
    }
    cr_expect_eq(w.calls, 0);
    peer_close(&p);
    close_world(&w);
}

Test(http_server, large_answers_arrive_whole)
{
    static const char *const rows[] = {"GET /big/file HTTP/1.1\r\n" HOST "\r\n",
                                       "GET /big/text HTTP/1.1\r\n" HOST "\r\n"};
    struct world w;
    struct peer p;
    open_world(&w);
    peer_connect(&p, w.loop, http_server_port(w.server));
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        buf_clear(&p.in);
        peer_send(&p, str_of(rows[i]));
        WAIT_FOR(w.loop, p.in.len >= BIG_BYTES);
        const char *body = strstr(p.in.p, "\r\n\r\n");
        WAIT_FOR(w.loop, p.in.len >= (size_t)(body + 4 - p.in.p) + BIG_BYTES);
        cr_expect_eq(strspn(strstr(p.in.p, "\r\n\r\n") + 4, "w"), BIG_BYTES);
    }
    peer_close(&p);
    close_world(&w);
}

#define UPGRADE                                                                                    \
    HOST "Upgrade: websocket\r\nConnection: keep-alive, Upgrade\r\nSec-WebSocket-Version: 13\r\n"  \
         "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: chat, b\r\n\r\n"

Test(http_server, upgrade_hands_the_socket_over)
{
    struct world w;
    struct peer p;
    open_world(&w);
    peer_connect(&p, w.loop, http_server_port(w.server));
    peer_send(&p, STR("GET /socket HTTP/1.1\r\n" UPGRADE "early"));
    WAIT_FOR(w.loop, w.sockets == 1 && peer_has(&p, "\r\n\r\n"));
    cr_expect(peer_has(&p, " 101 "));
    cr_expect(peer_has(&p, "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "RFC 6455 1.3");
    cr_expect(peer_has(&p, "Sec-WebSocket-Protocol: chat\r\n"));
    cr_assert_geq(w.socket_fd, 0);
    cr_expect_str_eq(w.seen, "early");
    /* The daemon has let go of it: the socket works on, also without the server. */
    exchange(&w, "GET /hello HTTP/1.1\r\n" HOST "\r\n", "hello");
    http_server_close(&w.server);
    buf_clear(&p.in);
    cr_expect_eq(send(w.socket_fd, "still here", 10, MSG_NOSIGNAL), 10);
    WAIT_FOR(w.loop, peer_has(&p, "still here"));
    close(w.socket_fd);
    http_socket_done(w.handle);
    WAIT_FOR(w.loop, p.ended);
    peer_close(&p);
    loop_free(&w.loop);
}

Test(http_server, late_upgrade)
{
    struct world w;
    struct peer p;
    open_world(&w);
    peer_connect(&p, w.loop, http_server_port(w.server));
    peer_send(&p, STR("GET /socket/later HTTP/1.1\r\n" UPGRADE));
    WAIT_FOR(w.loop, w.calls == 1);
    cr_expect(http_is_websocket(w.kept));
    http_upgrade(w.kept, on_socket, &w);
    WAIT_FOR(w.loop, w.sockets == 1);
    cr_expect_geq(w.socket_fd, 0);
    close(w.socket_fd);
    http_socket_done(w.handle);
    peer_close(&p);
    close_world(&w);
}

Test(http_server, late_upgrade_for_nobody)
{
    struct world w;
    struct peer p;
    open_world(&w);
    peer_connect(&p, w.loop, http_server_port(w.server));
    peer_send(&p, STR("GET /socket/later HTTP/1.1\r\n" UPGRADE));
    WAIT_FOR(w.loop, w.calls == 1);
    http_server_close(&w.server); /* answers 503; the request stays ours */
    http_upgrade(w.kept, on_socket, &w);
    cr_expect_eq(w.sockets, 0, "not inside the call");
    WAIT_FOR(w.loop, w.sockets == 1);
    cr_expect_eq(w.socket_fd, -1);
    http_socket_done(w.handle);
    peer_close(&p);
    loop_free(&w.loop);
}

Test(http_server, bad_addresses)
{
    static const char *const rows[] = {
        "", "8080", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:70000", "no such name:80"};
    struct loop *loop = loop_new(LOOP_REAL);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct http_server *s = NULL;
        cr_expect_eq(http_server_open(&s, loop, rows[i], routes, 1, NULL), -EINVAL, "%s", rows[i]);
    }
    uint16_t port;
    int fd = listen_any(&port); /* without SO_REUSEPORT: not ours to share */
    char text[32];
    snprintf(text, sizeof text, "127.0.0.1:%u", port);
    struct http_server *s = NULL;
    cr_expect_eq(http_server_open(&s, loop, text, routes, 1, NULL), -EADDRINUSE);
    close(fd);
    loop_free(&loop);
}
