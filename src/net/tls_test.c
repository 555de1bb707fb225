#include "net/http_client.h"
#include "net/net_test.h"
#include "net/ws_conn.h"

#include "base/crypto.h"

#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/sha.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>

/* A TLS server on a thread of its own, blocking, by OpenSSL alone: one connection. It answers a POST,
 * or makes a WebSocket handshake, sends BURST frames in one go and then echoes. */
#define BURST       20
#define TINY        600
#define FRAME_BYTES 60000 /* frames are larger than a TLS record and than any read buffer */

struct tls_server {
    pthread_t thread;
    SSL_CTX *ctx;
    int fd;
    uint16_t port;
    int requests;
    sem_t read_on;         /* "/hold": nothing is read before this */
    sem_t sent;            /* "/tiny": all is under way */
    size_t expected_bytes; /* and then so many, frame headers included */
};

static X509 *make_certificate(EVP_PKEY *key, const char *san)
{
    X509 *cert = X509_new();
    ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
    X509_set_version(cert, 2);
    X509_gmtime_adj(X509_getm_notBefore(cert), -3600);
    X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
    X509_set_pubkey(cert, key);
    X509_NAME *name = X509_get_subject_name(cert);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"test", -1, -1, 0);
    X509_set_issuer_name(cert, name);
    X509_EXTENSION *ext = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, san);
    X509_add_ext(cert, ext, -1);
    X509_EXTENSION_free(ext);
    cr_assert_gt(X509_sign(cert, key, EVP_sha256()), 0);
    return cert;
}

static void write_all(SSL *ssl, const void *p, size_t size)
{
    size_t done = 0;
    cr_assert_eq(SSL_write_ex(ssl, p, size, &done), 1);
    cr_assert_eq(done, size);
}

static void read_held(struct tls_server *s, SSL *ssl)
{
    char bytes[4096];
    size_t got = 0;
    size_t sum = 0;
    sem_wait(&s->read_on);
    while (sum < s->expected_bytes && SSL_read_ex(ssl, bytes, sizeof bytes, &got) == 1) {
        sum += got;
    }
    write_all(ssl, sum == s->expected_bytes ? "\x81\x04 all" : "\x81\x04 cut", 6);
}

/* Frames in records of their own, more than are read in one turn from what one read brought. */
static void send_tiny(struct tls_server *s, SSL *ssl)
{
    char bytes[64];
    size_t got = 0;
    for (int i = 0; i < TINY; i++) {
        write_all(ssl, "\x81\x04tiny", 6);
    }
    sem_post(&s->sent);
    (void)SSL_read_ex(ssl, bytes, sizeof bytes, &got); /* until the client goes */
}

static void accept_ws(struct tls_server *s, SSL *ssl, const char *head)
{
    char text[128];
    char accept[32];
    uint8_t digest[SHA_DIGEST_LENGTH];
    const char *key = strstr(head, "Sec-WebSocket-Key: ");
    cr_assert_not_null(key);
    snprintf(text, sizeof text, "%.24s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", key + 19);
    SHA1((const unsigned char *)text, strlen(text), digest);
    (void)base64_encode(digest, sizeof digest, accept);
    OWNED(buf_fini) struct buf out;
    buf_init(&out, 4000000);
    (void)buf_addf(
        &out,
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Accept: %s\r\n\r\n",
        accept);
    if (strstr(head, "GET /hold ") != NULL) {
        write_all(ssl, out.p, out.len);
        read_held(s, ssl);
        return;
    }
    if (strstr(head, "GET /tiny ") != NULL) {
        write_all(ssl, out.p, out.len);
        send_tiny(s, ssl);
        return;
    }
    static const uint8_t frame[] = {0x82, 126, FRAME_BYTES >> 8, FRAME_BYTES & 0xff};
    for (int i = 0; i < BURST; i++) {
        (void)buf_add(&out, frame, sizeof frame);
        char *payload = buf_reserve(&out, FRAME_BYTES);
        memset(payload, 'a' + i, FRAME_BYTES);
        buf_commit(&out, FRAME_BYTES);
    }
    /* The first frames travel in the record of the head: nothing tells the socket's poll of them. */
    write_all(ssl, out.p, out.len);
    char bytes[4096];
    size_t got = 0;
    while (SSL_read_ex(ssl, bytes, sizeof bytes, &got) == 1) {
        write_all(ssl, "\x81\x04seen", 6);
    }
}

static void serve(struct tls_server *s, SSL *ssl)
{
    char head[4096];
    size_t len = 0;
    size_t got = 0;
    while (len < sizeof head - 1 &&
           SSL_read_ex(ssl, head + len, sizeof head - 1 - len, &got) == 1) {
        len += got;
        head[len] = '\0';
        if (strstr(head, "\r\n\r\n") != NULL) {
            break;
        }
    }
    if (len == 0) {
        return; /* the client did not trust us */
    }
    s->requests++;
    if (strstr(head, "Upgrade: websocket") != NULL) {
        accept_ws(s, ssl, head);
    } else {
        static const char answer[] = "HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\nok";
        write_all(ssl, answer, sizeof answer - 1);
    }
}

static void *serve_one(void *arg)
{
    struct tls_server *s = arg;
    int fd = accept(s->fd, NULL, NULL);
    SSL *ssl = SSL_new(s->ctx);
    SSL_set_fd(ssl, fd);
    if (fd >= 0 && SSL_accept(ssl) == 1) {
        serve(s, ssl);
    }
    SSL_free(ssl);
    close(fd);
    return NULL;
}

/* Roots of the client are this server's own certificate when `trusted`. */
static void server_start(struct tls_server *s, const char *san, bool trusted)
{
    char path[] = "/tmp/dw_tls_XXXXXX";
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *cert = make_certificate(key, san);
    *s = (struct tls_server){.ctx = SSL_CTX_new(TLS_server_method())};
    cr_assert_eq(SSL_CTX_use_certificate(s->ctx, cert), 1);
    cr_assert_eq(SSL_CTX_use_PrivateKey(s->ctx, key), 1);
    if (trusted) {
        FILE *file = fdopen(mkstemp(path), "w");
        cr_assert_eq(PEM_write_X509(file, cert), 1);
        fclose(file);
        setenv("SSL_CERT_FILE", path, 1);
    }
    X509_free(cert);
    EVP_PKEY_free(key);
    cr_assert_eq(sem_init(&s->read_on, 0, 0), 0);
    cr_assert_eq(sem_init(&s->sent, 0, 0), 0);
    s->fd = listen_any(&s->port);
    int flags = 0;
    cr_assert_eq(ioctl(s->fd, FIONBIO, &flags), 0);
    cr_assert_eq(pthread_create(&s->thread, NULL, serve_one, s), 0);
}

static void server_stop(struct tls_server *s)
{
    cr_assert_eq(pthread_join(s->thread, NULL), 0);
    SSL_CTX_free(s->ctx);
    sem_destroy(&s->read_on);
    sem_destroy(&s->sent);
    close(s->fd);
    const char *path = getenv("SSL_CERT_FILE");
    if (path != NULL) {
        unlink(path);
        unsetenv("SSL_CERT_FILE");
    }
}

struct world {
    struct loop *loop;
    struct http_client *client;
    struct tls_server server;
    struct ws_conn *ws;
    int dones;
    struct fault fault;
    int status;
    int messages;
    size_t bytes;
    int closes;
    char last[16];
    char url[64];
};

static void open_world(struct world *w, const char *scheme, const char *san, bool trusted)
{
    *w = (struct world){0};
    server_start(&w->server, san, trusted);
    w->loop = test_loop();
    w->client = http_client_new(w->loop, NULL);
    snprintf(w->url, sizeof w->url, "%s://127.0.0.1:%u/x", scheme, w->server.port);
}

static void close_world(struct world *w)
{
    ws_free(&w->ws);
    http_client_free(&w->client);
    server_stop(&w->server);
    loop_free(&w->loop);
}

static void on_answer(const struct http_result *result, void *arg)
{
    struct world *w = arg;
    w->dones++;
    w->fault = result->fault;
    w->status = result->status;
}

Test(tls, certificates_are_checked)
{
    static const struct {
        const char *name;
        const char *san;
        bool trusted;
        enum fault_class class;
        int requests;
    } rows[] = {
        {"good", "IP:127.0.0.1", true, FAULT_NONE, 1},
        {"unknown root", "IP:127.0.0.1", false, FAULT_NOT_SENT, 0},
        {"other name", "DNS:example.com", true, FAULT_NOT_SENT, 0},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct world w;
        struct http_op *op = NULL;
        open_world(&w, "https", rows[i].san, rows[i].trusted);
        struct http_ask ask = {
            .method = "POST", .url = w.url, .body = STR("{}"), .timeout_ms = 10000, .once = true};
        cr_assert_eq(http_start(&op, w.client, &ask, on_answer, &w), 0);
        WAIT_FOR(w.loop, w.dones == 1);
        cr_expect_eq(w.fault.class, rows[i].class, "%s: %s", rows[i].name, w.fault.text);
        close_world(&w);
        cr_expect_eq(w.server.requests, rows[i].requests, "%s", rows[i].name);
    }
}

static void on_message(struct str message, bool binary, void *arg)
{
    struct world *w = arg;
    if (binary) {
        cr_assert_eq(message.len, FRAME_BYTES);
        cr_assert_eq(message.p[0], 'a' + w->messages);
        cr_assert_eq(message.p[FRAME_BYTES - 1], 'a' + w->messages);
    }
    w->messages++;
    str_copy_cut(message, w->last, sizeof w->last);
}

static void on_close(int err, int code, struct str reason, void *arg)
{
    struct world *w = arg;
    (void)err;
    (void)code;
    (void)reason;
    w->closes++;
}

static void on_dialed(struct ws_conn *c, const struct fault *fault, void *arg)
{
    struct world *w = arg;
    w->dones++;
    w->fault = *fault;
    w->ws = c;
}

/* A WebSocket to that path of the server, open. */
static void dial_path(struct world *w, const char *path)
{
    struct ws_dial *dial = NULL;
    char url[80];
    open_world(w, "wss", "IP:127.0.0.1", true);
    snprintf(url, sizeof url, "wss://127.0.0.1:%u%s", w->server.port, path);
    struct ws_ask ask = {.url = url,
                         .timeout_ms = 10000,
                         .message_max = FRAME_BYTES,
                         .handlers = {on_message, on_close, w}};
    cr_assert_eq(ws_connect(&dial, w->client, &ask, on_dialed, w), 0);
    WAIT_FOR(w->loop, w->dones == 1);
    cr_assert_not_null(w->ws, "%s", w->fault.text);
}

Test(tls, web_socket_reads_all_that_tls_holds)
{
    struct world w;
    dial_path(&w, "/x");
    int64_t start_us = loop_now_us(w.loop);
    WAIT_FOR(w.loop, w.messages == BURST);
    cr_expect_lt(loop_now_us(w.loop) - start_us, PATIENCE_MS * 500LL,
                 "nothing waits for a wake-up");
    for (int i = 1; i <= 50; i++) {
        cr_assert_eq(ws_send_text(w.ws, STR("hello")), 0);
        WAIT_FOR(w.loop, w.messages == BURST + i);
    }
    cr_expect_eq(w.closes, 0);
    close_world(&w);
}

/* The reader was late, and what waits is many records in few reads: none of them is dropped. */
Test(tls, web_socket_reads_many_small_records)
{
    struct world w;
    dial_path(&w, "/tiny");
    sem_wait(&w.server.sent);
    WAIT_FOR(w.loop, w.messages == TINY || w.closes > 0);
    cr_expect_eq(w.messages, TINY);
    cr_expect_eq(w.closes, 0);
    close_world(&w);
}

/* OpenSSL's errors are the thread's: those of another connection say nothing about this one. */
Test(tls, web_socket_outlives_the_errors_of_others)
{
    struct world w;
    dial_path(&w, "/x");
    ERR_raise(ERR_LIB_SSL, SSL_R_CERTIFICATE_VERIFY_FAILED);
    WAIT_FOR(w.loop, w.messages == BURST || w.closes > 0);
    for (int i = 1; i <= 5 && w.closes == 0; i++) {
        ERR_raise(ERR_LIB_SSL, SSL_R_CERTIFICATE_VERIFY_FAILED);
        cr_assert_eq(ws_send_text(w.ws, STR("hello")), 0);
        WAIT_FOR(w.loop, w.messages == BURST + i || w.closes > 0);
    }
    cr_expect_eq(w.messages, BURST + 5);
    cr_expect_eq(w.closes, 0);
    ERR_clear_error();
    close_world(&w);
}

/* Under backpressure OpenSSL wants the same bytes again, while our buffer grows and moves. */
Test(tls, web_socket_writes_through_backpressure)
{
    struct world w;
    dial_path(&w, "/hold");
    char *text = xmalloc(FRAME_BYTES);
    memset(text, 'z', FRAME_BYTES);
    size_t sum = 0;
    for (int after = 0; after < 8;) {
        cr_assert_eq(ws_send_text(w.ws, str_make(text, 30000)), 0);
        sum += 30000 + 8;
        after += ws_unsent(w.ws) > 0 ? 1 : 0;
        loop_run_once(w.loop, false);
    }
    cr_expect_gt(ws_unsent(w.ws), 100000);
    w.server.expected_bytes = sum;
    sem_post(&w.server.read_on);
    WAIT_FOR(w.loop, w.messages == 1 || w.closes == 1);
    cr_expect_str_eq(w.last, " all");
    xfree(text);
    close_world(&w);
}
