#include "base/alloc.h"
#include "base/buf.h"
#include "base/crypto.h"
#include "base/limits.h"
#include "base/url.h"
#include "loop/ring.h"
#include "loop/timer.h"
#include "net/http_client_priv.h"
#include "net/ws_priv.h"
#include "net/ws_tls.h"

#include <errno.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <string.h>

#define WS_GUID        "258EAFA5-E914-47DA-95CA-C5AB0DC85B11" /* RFC 6455 section 1.3 */
#define HEAD_BYTES_MAX 8192

/*  ws_connect -> libcurl: name, TCP, TLS -> on_connected -> on_wire (send head, read head) ->
 * finish
 *                \-> on_deadline --------------------------------------------------------------/ */
struct ws_dial {
    struct http_transfer transfer;
    struct loop *loop;
    struct http_client *client;
    struct timer deadline;
    uv_poll_t *poll; /* heap: libuv closes it later */
    curl_socket_t fd;
    bool secure;
    struct buf request;
    size_t sent;
    struct buf head;
    char accept[32];
    size_t message_max;
    struct ws_handlers handlers;
    ws_dial_fn *on_done;
    void *arg;
};

/* The easy handle after the handshake; the ws_conn owns it through struct ws_wire. */
struct curl_wire {
    struct http_transfer transfer;
    struct http_client *client;
    SSL *ssl;              /* NULL: there is nothing between us and the socket */
    struct ws_wire socket; /* what the SSL reads and writes */
};

static ssize_t easy_read(CURL *easy, void *p, size_t size)
{
    size_t got = 0;
    CURLcode code = curl_easy_recv(easy, p, size, &got);
    if (code == CURLE_AGAIN) {
        return -EAGAIN;
    }
    return code == CURLE_OK ? (ssize_t)got : -ECONNRESET;
}

static ssize_t easy_write(CURL *easy, const void *p, size_t size)
{
    size_t done = 0;
    CURLcode code = curl_easy_send(easy, p, size, &done);
    if (code == CURLE_AGAIN || (code == CURLE_OK && done == 0)) {
        return -EAGAIN;
    }
    return code == CURLE_OK ? (ssize_t)done : -EPIPE;
}

static ssize_t wire_read(const struct ws_wire *wire, void *p, size_t size)
{
    const struct curl_wire *w = wire->self;
    return ws_tls_read(w->ssl, p, size);
}

static ssize_t wire_write(const struct ws_wire *wire, const void *p, size_t size)
{
    const struct curl_wire *w = wire->self;
    return ws_tls_write(w->ssl, p, size);
}

static void wire_close(void *self)
{
    struct curl_wire *w = self;
    struct http_client *client = w->client;
    w->socket.fd = -1; /* TLS has its last words inside libcurl: they go nowhere */
    w->socket.ring = NULL;
    http_transfer_remove(&w->transfer);
    xfree(w);
    http_client_release(client);
}

static void on_poll_closed(uv_handle_t *handle)
{
    xfree(handle);
}

static void unwatch(struct ws_dial *d)
{
    if (d->poll != NULL) {
        d->poll->data = NULL;
        uv_close((uv_handle_t *)d->poll, on_poll_closed);
        d->poll = NULL;
    }
}

void ws_connect_cancel(struct ws_dial **op)
{
    if (op == NULL || *op == NULL) {
        return;
    }
    struct ws_dial *d = *op;
    *op = NULL;
    timer_stop(&d->deadline);
    unwatch(d);
    http_transfer_remove(&d->transfer);
    http_client_release(d->client);
    buf_fini(&d->request); /* it holds the key to the model's account */
    buf_fini(&d->head);
    xfree(d);
}

static void finish(struct ws_dial *d, struct ws_conn *conn, struct fault fault)
{
    ws_dial_fn *on_done = d->on_done;
    void *arg = d->arg;
    ws_connect_cancel(&d);
    on_done(conn, &fault, arg);
}

/* The TLS that libcurl has made for this handle; NULL: it was not asked for any. */
static SSL *ssl_of(const struct ws_dial *d)
{
    const struct curl_tlssessioninfo *tls = NULL;
    bool have = d->secure &&
                curl_easy_getinfo(d->transfer.easy, CURLINFO_TLS_SSL_PTR, &tls) == CURLE_OK &&
                tls != NULL && tls->backend == CURLSSLBACKEND_OPENSSL;
    return have ? tls->internals : NULL;
}

/* The connection is made of the easy handle and of what came after the head. */
static void succeed(struct ws_dial *d, struct str after_head)
{
    SSL *ssl = ssl_of(d);
    struct curl_wire *w = xzalloc(sizeof *w);
    w->socket.fd = d->fd;
    w->ssl = ssl;
    if (d->secure && (ssl == NULL || ws_tls_take(ssl, &w->socket) < 0)) {
        xfree(w);
        finish(d, NULL, fault_make(FAULT_BROKEN, 0, "tls", "libcurl's TLS is not OpenSSL"));
        return;
    }
    w->client = d->client;
    http_client_hold(w->client);
    list_remove(&d->transfer.link);
    w->transfer = d->transfer;
    w->transfer.on_done = NULL;
    list_init(&w->transfer.link);
    curl_easy_setopt(w->transfer.easy, CURLOPT_PRIVATE, &w->transfer);
    d->transfer = (struct http_transfer){0};
    list_init(&d->transfer.link);
    unwatch(d); /* two polls on one descriptor are refused */

    struct ring *ring = loop_ring(d->loop);
    w->socket.ring = ring != NULL ? ring_open(ring, d->fd) : NULL;
    struct ws_wire wire = {.fd = d->fd,
                           .ring = w->socket.ring,
                           .buffered = d->secure,
                           .read = d->secure ? wire_read : ws_wire_read,
                           .write = d->secure ? wire_write : ws_wire_write,
                           .close = wire_close,
                           .self = w};
    struct ws_conn *conn =
        ws_open_wire(d->loop, wire, WS_CLIENT, after_head, d->message_max, d->handlers);
    finish(d, conn, fault_none());
}

/* Nothing was asked of the other side but a socket: a refusal never leaves anything unsure. */
static struct fault refusal(int status)
{
    char code[16];
    (void)snprintf(code, sizeof code, "http_%d", status);
    bool later = status == 408 || status == 429 || status >= 500;
    return fault_make(later ? FAULT_BUSY : FAULT_REFUSED, status, code,
                      "the WebSocket handshake was answered with %d", status);
}

static bool has_word(struct str list, struct str word)
{
    struct str item;
    while (str_split(&list, ',', &item)) {
        if (str_eq_nocase(str_trim(item), word)) {
            return true;
        }
    }
    return false;
}

static struct fault read_head(const struct ws_dial *d, struct str head)
{
    struct str line;
    bool upgrade = false;
    bool connection = false;
    size_t accepts = 0;
    int64_t status = 0;
    (void)str_split(&head, '\n', &line);
    if (!str_starts(line, STR("HTTP/1.1 ")) ||
        str_to_i64(str_head(str_skip(line, 9), 3), &status) < 0 || status < 100) {
        return fault_make(FAULT_BROKEN, 0, "handshake", "the answer is not HTTP/1.1");
    }
    if (status != 101) {
        return refusal((int)status);
    }
    while (str_split(&head, '\n', &line)) {
        struct str name;
        if (!str_split(&line, ':', &name)) {
            continue;
        }
        struct str value = str_trim(line);
        upgrade =
            upgrade || (str_eq_nocase(name, STR("Upgrade")) && has_word(value, STR("websocket")));
        connection = connection ||
                     (str_eq_nocase(name, STR("Connection")) && has_word(value, STR("upgrade")));
        if (str_eq_nocase(name, STR("Sec-WebSocket-Accept"))) {
            accepts += str_eq_cstr(value, d->accept) ? 1 : 2;
        }
        if (str_eq_nocase(name, STR("Sec-WebSocket-Extensions")) && value.len > 0) {
            accepts += 2; /* we offered none */
        }
    }
    if (!upgrade || !connection || accepts != 1) {
        return fault_make(FAULT_BROKEN, 101, "handshake", "the handshake's answer does not fit");
    }
    return fault_none();
}

static struct fault cut_in_handshake(void)
{
    return fault_make(FAULT_BUSY, 0, "cut", "the connection was cut in the handshake");
}

static void on_head(struct ws_dial *d)
{
    const char *end = memmem(d->head.p, d->head.len, "\r\n\r\n", 4);
    size_t head_len = (size_t)(end - d->head.p);
    struct fault fault = read_head(d, str_make(d->head.p, head_len));
    if (fault.class != FAULT_NONE) {
        finish(d, NULL, fault);
        return;
    }
    struct buf head = d->head; /* succeed() frees d */
    buf_init(&d->head, 0);
    succeed(d, str_skip(buf_str(&head), head_len + 4));
    buf_fini(&head);
}

/* Reads up to the end of the head. What TLS still holds beyond it the ws_conn reads first thing. */
static void read_wire(struct ws_dial *d)
{
    char bytes[4096];
    for (;;) {
        ssize_t got = easy_read(d->transfer.easy, bytes, sizeof bytes);
        if (got == -EAGAIN) {
            return;
        }
        if (got <= 0) {
            finish(d, NULL, cut_in_handshake());
            return;
        }
        if (buf_add(&d->head, bytes, (size_t)got) < 0) {
            finish(d, NULL,
                   fault_make(FAULT_BROKEN, 0, "handshake", "the answer's head is too long"));
            return;
        }
        if (memmem(d->head.p, d->head.len, "\r\n\r\n", 4) != NULL) {
            on_head(d); /* frees d */
            return;
        }
    }
}

static int write_wire(struct ws_dial *d)
{
    while (d->sent < d->request.len) {
        ssize_t done =
            easy_write(d->transfer.easy, d->request.p + d->sent, d->request.len - d->sent);
        if (done == -EAGAIN) {
            return 0;
        }
        if (done < 0) {
            return (int)done;
        }
        d->sent += (size_t)done;
    }
    secret_wipe(d->request.p, d->request.len);
    return 1;
}

static void on_wire(uv_poll_t *poll, int status, int events)
{
    struct ws_dial *d = poll->data;
    (void)status;
    (void)events;
    if (d == NULL) {
        return;
    }
    if (d->sent < d->request.len) {
        int sent = write_wire(d);
        if (sent < 0) {
            finish(d, NULL, cut_in_handshake());
            return;
        }
        if (sent > 0) {
            uv_poll_start(d->poll, UV_READABLE, on_wire);
        }
    }
    read_wire(d);
}

static void on_connected(struct http_transfer *t)
{
    struct ws_dial *d = CONTAINER_OF(t, struct ws_dial, transfer);
    if (t->result != CURLE_OK) {
        struct fault fault = http_curl_fault(t->easy, t->result);
        fault.class = FAULT_NOT_SENT; /* CONNECT_ONLY sends nothing by itself */
        finish(d, NULL, fault);
        return;
    }
    int err = curl_easy_getinfo(t->easy, CURLINFO_ACTIVESOCKET, &d->fd) == CURLE_OK ? 0 : -ENOTCONN;
    d->poll = xzalloc(sizeof *d->poll);
    if (err < 0 || d->fd == CURL_SOCKET_BAD || uv_poll_init(loop_uv(d->loop), d->poll, d->fd) < 0) {
        xfree(d->poll);
        d->poll = NULL;
        finish(d, NULL,
               fault_make(FAULT_NOT_SENT, 0, "connect", "no socket came of the connection"));
        return;
    }
    d->poll->data = d;
    uv_poll_start(d->poll, UV_READABLE | UV_WRITABLE, on_wire);
}

static void on_deadline(void *arg)
{
    finish(arg, NULL, fault_make(FAULT_BUSY, 0, "timeout", "the handshake took too long"));
}

static void make_request(struct ws_dial *d, const struct ws_ask *ask, const struct url *url)
{
    uint8_t nonce[16];
    char key[32];
    uint8_t digest[SHA_DIGEST_LENGTH];
    random_bytes(nonce, sizeof nonce);
    size_t key_len = base64_encode(nonce, sizeof nonce, key);
    char text[sizeof key + sizeof WS_GUID];
    memcpy(text, key, key_len);
    memcpy(text + key_len, WS_GUID, sizeof WS_GUID - 1);
    SHA1((const unsigned char *)text, key_len + sizeof WS_GUID - 1, digest);
    (void)base64_encode(digest, sizeof digest, d->accept);

    struct str target = url->rest;
    ptrdiff_t fragment = str_find_char(target, '#');
    target = fragment < 0 ? target : str_head(target, (size_t)fragment);
    bool v6 = str_find_char(url->host, ':') >= 0;
    (void)buf_addf(&d->request, "GET %s" STR_FMT " HTTP/1.1\r\nHost: %s" STR_FMT "%s",
                   str_starts(target, STR("/")) ? "" : "/", STR_ARG(target), v6 ? "[" : "",
                   STR_ARG(url->host), v6 ? "]" : "");
    if (url->port != (url->secure ? 443 : 80)) {
        (void)buf_addf(&d->request, ":%u", url->port);
    }
    (void)buf_addf(&d->request,
                   "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: %s\r\n"
                   "Sec-WebSocket-Version: 13\r\nUser-Agent: dialwright/" DIALWRIGHT_VERSION "\r\n",
                   key);
    for (size_t i = 0; ask->headers != NULL && ask->headers[i] != NULL; i++) {
        if (strpbrk(ask->headers[i], "\r\n") != NULL) {
            d->request.failed = true;
        }
        (void)buf_addf(&d->request, "%s\r\n", ask->headers[i]);
    }
    (void)buf_add_cstr(&d->request, "\r\n");
}

int ws_connect(struct ws_dial **op, struct http_client *client, const struct ws_ask *ask,
               ws_dial_fn *on_done, void *arg)
{
    struct url url;
    char target[2100];
    if (!url_operator_ok(ask->url) || url_parse(str_of(ask->url), &url) < 0 || !url.web_socket ||
        ask->timeout_ms == 0) {
        return -EINVAL;
    }
    bool v6 = str_find_char(url.host, ':') >= 0;
    (void)snprintf(target, sizeof target, "%s://%s" STR_FMT "%s:%u/", url.secure ? "https" : "http",
                   v6 ? "[" : "", STR_ARG(url.host), v6 ? "]" : "", url.port);

    struct ws_dial *d = xzalloc(sizeof *d);
    d->loop = http_client_loop(client);
    d->client = client;
    http_client_hold(client);
    d->message_max = ask->message_max;
    d->handlers = ask->handlers;
    d->on_done = on_done;
    d->arg = arg;
    buf_init(&d->request, HEAD_BYTES_MAX);
    buf_init(&d->head, HEAD_BYTES_MAX);
    d->secure = url.secure;
    make_request(d, ask, &url);
    d->transfer.easy = http_easy_new(target, ask->timeout_ms);
    d->transfer.on_done = on_connected;
    list_init(&d->transfer.link);
    curl_easy_setopt(d->transfer.easy, CURLOPT_CONNECT_ONLY, 1L);
    int err = buf_failed(&d->request) ? -EINVAL : http_transfer_add(&d->transfer, client);
    if (err < 0) {
        ws_connect_cancel(&d);
        return err;
    }
    timer_start(&d->deadline, d->loop, ask->timeout_ms, on_deadline, d);
    *op = d;
    return 0;
}
