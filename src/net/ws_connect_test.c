#include "net/http_client.h"
#include "net/http_server.h"
#include "net/net_test.h"
#include "net/ws_conn.h"

#include <stdio.h>

/* Our client against our server, over real sockets. */
struct end {
    struct ws_conn *ws;
    struct http_socket *handle;
    int messages;
    size_t bytes;
    char last[64];
    int closes;
    int err;
    int code;
};

struct world {
    struct loop *loop;
    struct http_server *server;
    struct http_client *client;
    struct ws_dial *dial;
    struct end here;
    struct end there;
    int dones;
    struct fault fault;
    char authorization[64];
    char target[64];
    char url[128];
    bool greet;
};

static void on_message(struct str message, bool binary, void *arg)
{
    struct end *e = arg;
    (void)binary;
    e->messages++;
    e->bytes += message.len;
    str_copy_cut(message, e->last, sizeof e->last);
}

static void on_close(int err, int code, struct str reason, void *arg)
{
    struct end *e = arg;
    (void)reason;
    e->closes++;
    e->err = err;
    e->code = code;
}

static void on_release(void *arg)
{
    http_socket_done(arg);
}

static void on_socket(int fd, struct str already_read, struct http_socket *handle, void *arg)
{
    struct world *w = arg;
    struct ws_handlers handlers = {on_message, on_close, &w->there};
    w->there.ws =
        ws_open(w->loop, fd, WS_SERVER, already_read, 1 << 24, handlers, on_release, handle);
    if (w->greet) {
        cr_expect_eq(ws_send_text(w->there.ws, STR("welcome")), 0);
    }
}

static void on_ws(struct http_request *req, void *arg)
{
    struct world *w = arg;
    str_copy_cut(http_header(req, "Authorization"), w->authorization, sizeof w->authorization);
    str_copy_cut(http_query(req), w->target, sizeof w->target);
    http_upgrade(req, on_socket, w);
}

static void on_refuse(struct http_request *req, void *arg)
{
    (void)arg;
    int64_t status = 500;
    cr_assert_eq(str_to_i64(http_param(req, "status"), &status), 0);
    http_answer_error(req, (int)status, "no", "no");
}

static const struct http_route routes[] = {
    {"GET", "/v1/realtime", 0, on_ws},
    {"GET", "/refuse/{status}", 0, on_refuse},
};

static void on_done(struct ws_conn *c, const struct fault *fault, void *arg)
{
    struct world *w = arg;
    w->dones++;
    w->fault = *fault;
    w->here.ws = c;
}

static void open_world(struct world *w, const char *path)
{
    *w = (struct world){0};
    w->loop = test_loop();
    cr_assert_eq(http_server_open(&w->server, w->loop, "127.0.0.1:0", routes, COUNT_OF(routes), w),
                 0);
    w->client = http_client_new(w->loop, NULL);
    snprintf(w->url, sizeof w->url, "ws://127.0.0.1:%u%s", http_server_port(w->server), path);
}

static void close_world(struct world *w)
{
    ws_connect_cancel(&w->dial);
    ws_free(&w->here.ws);
    ws_free(&w->there.ws);
    http_client_free(&w->client);
    http_server_close(&w->server);
    loop_free(&w->loop);
}

static void dial(struct world *w)
{
    static const char *const headers[] = {"Authorization: Bearer k", NULL};
    struct ws_ask ask = {.url = w->url,
                         .headers = headers,
                         .timeout_ms = 10000,
                         .message_max = 1 << 24,
                         .handlers = {on_message, on_close, &w->here}};
    cr_assert_eq(ws_connect(&w->dial, w->client, &ask, on_done, w), 0);
    cr_assert_eq(w->dones, 0);
}

static void connect_and_wait(struct world *w)
{
    dial(w);
    WAIT_FOR(w->loop, w->dones == 1);
    w->dial = NULL;
}

Test(ws_connect, talks)
{
    struct world w;
    open_world(&w, "/v1/realtime?model=m#f");
    w.greet = true;
    connect_and_wait(&w);
    cr_assert_eq(w.fault.class, FAULT_NONE, "%s", w.fault.text);
    cr_expect_str_eq(w.authorization, "Bearer k");
    cr_expect_str_eq(w.target, "model=m");
    WAIT_FOR(w.loop, w.here.messages == 1);
    cr_expect_str_eq(w.here.last, "welcome");
    for (int i = 1; i <= 100; i++) {
        char text[16];
        snprintf(text, sizeof text, "m%d", i);
        cr_assert_eq(ws_send_text(w.here.ws, str_of(text)), 0);
        WAIT_FOR(w.loop, w.there.messages == i);
        cr_expect_str_eq(w.there.last, text);
    }
    cr_expect_eq(ws_ping(w.here.ws), 0);
    ws_close(w.here.ws, 1000, "done");
    WAIT_FOR(w.loop, w.here.closes == 1 && w.there.closes == 1);
    cr_expect_eq(w.here.err, 0);
    cr_expect_eq(w.there.err, 0);
    cr_expect_eq(w.there.code, 1000);
    close_world(&w);
}

Test(ws_connect, large_messages)
{
    struct world w;
    open_world(&w, "/v1/realtime");
    connect_and_wait(&w);
    WAIT_FOR(w.loop, w.there.ws != NULL);
    size_t size = 900 * 1000;
    char *text = xmalloc(size);
    memset(text, 'y', size);
    for (int i = 1; i <= 5; i++) {
        cr_assert_eq(ws_send_text(w.here.ws, str_make(text, size)), 0);
        cr_assert_eq(ws_send_text(w.there.ws, str_make(text, size)), 0);
        WAIT_FOR(w.loop, w.here.messages == i && w.there.messages == i);
    }
    cr_expect_eq(w.here.bytes, 5 * size);
    cr_expect_eq(w.there.bytes, 5 * size);
    xfree(text);
    close_world(&w);
}

Test(ws_connect, outlives_the_client_and_the_server)
{
    struct world w;
    open_world(&w, "/v1/realtime");
    connect_and_wait(&w);
    WAIT_FOR(w.loop, w.there.ws != NULL);
    http_client_free(&w.client);
    http_server_close(&w.server);
    cr_assert_eq(ws_send_text(w.here.ws, STR("hi")), 0);
    WAIT_FOR(w.loop, w.there.messages == 1);
    ws_free(&w.there.ws);
    WAIT_FOR(w.loop, w.here.closes == 1);
    cr_expect_neq(w.here.err, 0);
    close_world(&w);
}

Test(ws_connect, refusals_have_a_class)
{
    static const struct {
        const char *path;
        enum fault_class class;
        int status;
    } rows[] = {
        {"/refuse/401", FAULT_REFUSED, 401}, {"/refuse/403", FAULT_REFUSED, 403},
        {"/refuse/404", FAULT_REFUSED, 404}, {"/refuse/429", FAULT_BUSY, 429},
        {"/refuse/500", FAULT_BUSY, 500},    {"/refuse/503", FAULT_BUSY, 503},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct world w;
        open_world(&w, rows[i].path);
        connect_and_wait(&w);
        cr_expect_null(w.here.ws);
        cr_expect_eq(w.fault.class, rows[i].class, "%s", rows[i].path);
        cr_expect_eq(w.fault.status, rows[i].status, "%s", rows[i].path);
        close_world(&w);
    }
}

Test(ws_connect, nobody_listens)
{
    struct world w;
    uint16_t port;
    int fd = listen_any(&port);
    close(fd);
    open_world(&w, "/");
    snprintf(w.url, sizeof w.url, "ws://127.0.0.1:%u/", port);
    connect_and_wait(&w);
    cr_expect_eq(w.fault.class, FAULT_NOT_SENT);
    close_world(&w);
}

/* Hand-made answers to the handshake. */
Test(ws_connect, answers_that_do_not_fit)
{
    static const char *const rows[] = {
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
        "HTTP/1.1 200 OK\r\n\r\n",
        "SMTP ready\r\n\r\n",
        "HTTP/1.0 101 X\r\n\r\n",
        "\r\n\r\n",
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct world w;
        struct peer p;
        uint16_t port;
        int listening = listen_any(&port);
        open_world(&w, "/");
        snprintf(w.url, sizeof w.url, "ws://127.0.0.1:%u/", port);
        dial(&w);
        int fd = -1;
        for (int turn = 0; fd < 0 && turn < 100000; turn++) {
            loop_run_once(w.loop, false);
            fd = accept4(listening, NULL, NULL, SOCK_CLOEXEC);
        }
        peer_over(&p, w.loop, fd);
        WAIT_FOR(w.loop, peer_has(&p, "\r\n\r\n"));
        cr_expect(peer_has(&p, "GET / HTTP/1.1\r\n"));
        peer_send(&p, str_of(rows[i]));
        WAIT_FOR(w.loop, w.dones == 1);
        w.dial = NULL;
        cr_expect_null(w.here.ws);
        cr_expect(w.fault.class == FAULT_BROKEN || w.fault.class == FAULT_REFUSED, "%s", rows[i]);
        peer_close(&p);
        close(listening);
        close_world(&w);
    }
}

Test(ws_connect, silence_times_out_and_cancel_is_silent)
{
    struct world w;
    uint16_t port;
    int listening = listen_any(&port);
    open_world(&w, "/");
    snprintf(w.url, sizeof w.url, "ws://127.0.0.1:%u/", port);
    struct ws_ask ask = {.url = w.url,
                         .timeout_ms = 100,
                         .message_max = 1000,
                         .handlers = {on_message, on_close, &w.here}};
    cr_assert_eq(ws_connect(&w.dial, w.client, &ask, on_done, &w), 0);
    WAIT_FOR(w.loop, w.dones == 1);
    cr_expect_eq(w.fault.class, FAULT_BUSY);
    w.dial = NULL;
    cr_assert_eq(ws_connect(&w.dial, w.client, &ask, on_done, &w), 0);
    ws_connect_cancel(&w.dial);
    cr_expect_null(w.dial);
    cr_expect_eq(w.dones, 1);
    close(listening);
    close_world(&w);
}

Test(ws_connect, refused_urls)
{
    static const char *const rows[] = {"http://127.0.0.1/", "https://example.com/",
                                       "ws://example.com/", "wss://",
                                       "nonsense",          "wss://user:pw@example.com/"};
    struct world w;
    open_world(&w, "/");
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct ws_ask ask = {.url = rows[i], .timeout_ms = 100, .message_max = 1000};
        cr_expect_eq(ws_connect(&w.dial, w.client, &ask, on_done, &w), -EINVAL, "%s", rows[i]);
    }
    close_world(&w);
}
