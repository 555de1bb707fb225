#include "base/alloc.h"
#include "base/crypto.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/metrics.h"
#include "net/http_priv.h"

#include <errno.h>
#include <netdb.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define WS_GUID "258EAFA5-E914-47DA-95CA-C5AB0DC85B11" /* RFC 6455 section 1.3 */
/* An oversized body is read and thrown away up to here, so that the client hears the 413 instead of
 * a reset. */
#define DISCARD_BYTES_MAX (1024 * 1024)

struct http_request *http_request_new(struct http_server *s, const char *target)
{
    struct http_request *req = xzalloc(sizeof *req);
    req->loop = s->loop;
    req->server = s;
    req->target = xstrdup(target);
    req->path = str_of(req->target);
    ptrdiff_t mark = str_find_char(req->path, '?');
    if (mark >= 0) {
        req->query = str_skip(req->path, (size_t)mark + 1);
        req->path = str_head(req->path, (size_t)mark);
    }
    list_init(&req->link);
    buf_init(&req->body, 0);
    return req;
}

static void request_free(struct http_request *req)
{
    list_remove(&req->link);
    if (req->response != NULL) {
        MHD_destroy_response(req->response);
    }
    for (size_t i = 0; i < req->header_count; i++) {
        xfree(req->headers[i].name);
        xfree(req->headers[i].value);
    }
    buf_fini(&req->body);
    xfree(req->target);
    xfree(req);
}

/* Here every answer passes, also those that no handler gave (404, 413, 503). 101 counts as 2xx: it is
 * what was asked for. */
static void count_answer(int status)
{
    static const char *const classes[] = {"2xx", "2xx", "3xx", "4xx", "5xx"};
    int class = status / 100;
    if (class >= 1 && class <= (int)COUNT_OF(classes)) {
        metric_add("http_requests_total", classes[class - 1], 1);
    }
}

static enum MHD_Result queue_response(struct http_request *req)
{
    assert(req->response != NULL && !req->queued);
    req->queued = true;
    count_answer(req->status);
    http_conn_phase(req->conn, HTTP_SEND);
    enum MHD_Result ok = MHD_queue_response(req->mhd, (unsigned int)req->status, req->response);
    MHD_destroy_response(req->response); /* MHD holds its own reference */
    req->response = NULL;
    return ok;
}

/* The response is ready: hand it over now if MHD is asking, else wake the connection to ask. */
static void deliver(struct http_request *req)
{
    if (req->in_handler) {
        return; /* the caller of the handler queues it */
    }
    list_remove(&req->link);
    MHD_resume_connection(req->mhd);
    http_server_kick(req->server);
}

static struct MHD_Response *response_of(struct str body, const char *content_type)
{
    struct MHD_Response *response = MHD_create_response_from_buffer(
        body.len, (void *)(uintptr_t)(body.p == NULL ? "" : body.p), MHD_RESPMEM_MUST_COPY);
    assert(response != NULL);
    if (content_type != NULL) {
        (void)MHD_add_response_header(response, "Content-Type", content_type);
    }
    return response;
}

static void add_headers(struct http_request *req)
{
    (void)MHD_add_response_header(req->response, "X-Content-Type-Options", "nosniff");
    for (size_t i = 0; i < req->header_count; i++) {
        (void)MHD_add_response_header(req->response, req->headers[i].name, req->headers[i].value);
    }
}

static void set_error(struct http_request *req, int status, const char *code, const char *message)
{
    OWNED(buf_fini) struct buf text;
    buf_init(&text, 1024);
    (void)buf_add_cstr(&text, "{\"error\":{\"code\":");
    (void)buf_add_json_str(&text, str_of(code));
    (void)buf_add_cstr(&text, ",\"message\":");
    (void)buf_add_json_str(&text, str_of(message));
    (void)buf_add_cstr(&text, "}}\n");
    req->status = status;
    req->response = response_of(buf_str(&text), "application/json");
}

struct head_check {
    size_t headers;
    size_t bytes;
    size_t content_lengths;
    size_t transfer_encodings;
    size_t hosts;
};

static enum MHD_Result on_header(void *cls, enum MHD_ValueKind kind, const char *name,
                                 const char *value)
{
    (void)kind;
    struct head_check *check = cls;
    struct str key = str_of(name);
    check->headers++;
    check->bytes += key.len + (value == NULL ? 0 : strlen(value)) + 4;
    check->content_lengths += str_eq_nocase(key, STR("Content-Length")) ? 1 : 0;
    check->transfer_encodings += str_eq_nocase(key, STR("Transfer-Encoding")) ? 1 : 0;
    check->hosts += str_eq_nocase(key, STR("Host")) ? 1 : 0;
    return MHD_YES;
}

/* What MHD lets pass and we do not: anything two servers in a row could read in two ways. */
static int check_head(struct http_request *req, const char *version)
{
    struct head_check check = {.bytes = strlen(req->target) + 32};
    (void)MHD_get_connection_values(req->mhd, MHD_HEADER_KIND, on_header, &check);
    if (check.bytes > LIMIT_HTTP_HEAD_BYTES || check.headers > LIMIT_HTTP_HEADERS) {
        set_error(req, 431, "head_too_large", "The request's head is too large.");
    } else if (check.content_lengths > 1 || check.hosts > 1 || check.transfer_encodings > 1 ||
               (check.content_lengths > 0 && check.transfer_encodings > 0)) {
        set_error(req, 400, "ambiguous_head", "A header that frames the message is doubled.");
    } else if (strcmp(version, "HTTP/1.1") != 0 && strcmp(version, "HTTP/1.0") != 0) {
        set_error(req, 505, "version", "HTTP/1.1 is spoken here.");
    } else {
        return 0;
    }
    return -EINVAL;
}

static int check_length(struct http_request *req)
{
    struct str text = http_header(req, "Content-Length");
    int64_t length;
    if (text.p == NULL) {
        return 0;
    }
    if (str_to_i64(text, &length) < 0 || length < 0) {
        set_error(req, 400, "content_length", "Content-Length is not a number.");
        return -EINVAL;
    }
    int64_t extra = length - (int64_t)req->route->body_max;
    /* A client that waits for "100 Continue", or is about to send far too much, is told at once. */
    if (extra > DISCARD_BYTES_MAX || (extra > 0 && http_header(req, "Expect").p != NULL)) {
        set_error(req, 413, "body_too_large", "The body is larger than this route takes.");
        return -EMSGSIZE;
    }
    return 0;
}

static int find_route(struct http_request *req)
{
    bool path_known = false;
    if (http_route_find(req, &path_known) == 0) {
        return 0;
    }
    if (path_known) {
        set_error(req, 405, "method_not_allowed", "This path takes another method.");
    } else {
        set_error(req, 404, "not_found", "There is nothing here.");
    }
    return -ENOENT;
}

static void on_head(struct http_request *req, const char *version)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(req->mhd, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    if (info != NULL && info->client_addr != NULL) {
        socklen_t size = info->client_addr->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6)
                                                                  : sizeof(struct sockaddr_in);
        (void)getnameinfo(info->client_addr, size, req->peer, sizeof req->peer, NULL, 0,
                          NI_NUMERICHOST);
    }
    if (check_head(req, version) < 0 || find_route(req) < 0 || check_length(req) < 0) {
        return;
    }
    buf_fini(&req->body);
    buf_init(&req->body, req->route->body_max + 1);
    http_conn_phase(req->conn, HTTP_BODY);
}

static enum MHD_Result on_upload(struct http_request *req, const char *upload, size_t *upload_size)
{
    req->conn->body_bytes += *upload_size;
    if (req->conn->body_bytes > req->route->body_max) {
        req->body_too_big = true;
        buf_fini(&req->body);
        if (req->conn->body_bytes > req->route->body_max + DISCARD_BYTES_MAX) {
            return MHD_NO;
        }
    } else {
        (void)buf_add(&req->body, upload, *upload_size);
    }
    *upload_size = 0;
    return MHD_YES;
}

static enum MHD_Result on_complete_request(struct http_request *req)
{
    http_conn_phase(req->conn, HTTP_WORK);
    if (req->body_too_big) {
        set_error(req, 413, "body_too_large", "The body is larger than this route takes.");
        return queue_response(req);
    }
    req->handled = true;
    req->in_handler = true;
    req->route->handler(req, req->server->arg);
    req->in_handler = false;
    if (req->response == NULL && req->kept) {
        MHD_suspend_connection(req->mhd);
        list_push_back(&req->server->kept, &req->link);
        return MHD_YES;
    }
    if (req->response == NULL) {
        req->answered = true;
        set_error(req, 500, "unanswered", "The request was not answered.");
    }
    return queue_response(req);
}

enum MHD_Result http_request_step(struct http_request *req, const char *version, const char *upload,
                                  size_t *upload_size)
{
    if (!req->head_seen) {
        req->head_seen = true;
        on_head(req, version);
        return req->response == NULL ? MHD_YES : queue_response(req);
    }
    if (req->queued) {
        return MHD_YES;
    }
    if (*upload_size > 0) {
        return on_upload(req, upload, upload_size);
    }
    if (req->response != NULL) {
        return queue_response(req); /* kept, answered, resumed */
    }
    return req->handled ? MHD_YES : on_complete_request(req);
}

void http_request_tell_gone(struct http_request *req)
{
    if (req->gone || req->answered || !req->kept) {
        return;
    }
    req->gone = true;
    if (req->on_gone != NULL) {
        req->on_gone(req->gone_arg);
    }
}

/* The client gets 503; the owner still has to answer, into nothing. */
void http_request_expire(struct http_request *req)
{
    assert(req->response == NULL && !req->in_handler);
    set_error(req, 503, "timeout", "The answer took too long.");
    deliver(req);
    http_request_tell_gone(req);
}

static void tell_no_socket(struct http_request *req)
{
    http_socket_fn *on_socket = req->on_socket;
    req->on_socket = NULL;
    if (on_socket != NULL) {
        on_socket(-1, STR_NONE, NULL, req->socket_arg);
    }
}

void http_request_completed(struct http_request *req)
{
    if (req->conn != NULL) {
        http_conn_phase(req->conn, HTTP_HEAD);
    }
    req->conn = NULL;
    req->mhd = NULL;
    req->server = NULL;
    list_remove(&req->link);
    tell_no_socket(req);
    if (req->kept && !req->answered) {
        http_request_tell_gone(req); /* freed by http_answer() */
        return;
    }
    request_free(req);
}

struct str http_method(const struct http_request *req)
{
    return req->method;
}

struct str http_path(const struct http_request *req)
{
    return req->path;
}

struct str http_query(const struct http_request *req)
{
    return req->query;
}

struct str http_param(const struct http_request *req, const char *name)
{
    for (size_t i = 0; i < req->param_count; i++) {
        if (str_eq_cstr(req->params[i].name, name)) {
            return req->params[i].value;
        }
    }
    return STR_NONE;
}

struct str http_header(const struct http_request *req, const char *name)
{
    return req->mhd == NULL ? STR_NONE
                            : str_of(MHD_lookup_connection_value(req->mhd, MHD_HEADER_KIND, name));
}

struct str http_body(const struct http_request *req)
{
    return buf_str(&req->body);
}

struct str http_peer(const struct http_request *req)
{
    return str_of(req->peer);
}

void http_keep(struct http_request *req, void (*on_gone)(void *arg), void *arg)
{
    assert(req->in_handler && !req->answered);
    req->kept = true;
    req->on_gone = on_gone;
    req->gone_arg = arg;
}

void http_set_header(struct http_request *req, const char *name, const char *value)
{
    assert(req->header_count < HTTP_HEADERS_OUT && !req->answered);
    req->headers[req->header_count].name = xstrdup(name);
    req->headers[req->header_count].value = xstrdup(value);
    req->header_count++;
}

/* True when there is still someone to answer; else the request is over and freed. */
static bool take_answer(struct http_request *req)
{
    assert(!req->answered);
    req->answered = true;
    if (req->mhd == NULL) {
        request_free(req);
        return false;
    }
    return req->response == NULL && !req->queued; /* else it expired: the 503 is on its way */
}

void http_answer(struct http_request *req, int status, const char *content_type, struct str body)
{
    if (!take_answer(req)) {
        return;
    }
    req->status = status;
    req->response = response_of(body, content_type);
    add_headers(req);
    deliver(req);
}

void http_cut(struct http_request *req)
{
    if (req->conn != NULL) {
        (void)shutdown(req->conn->fd, SHUT_RDWR); /* what is answered now goes nowhere */
    }
    http_answer(req, 500, NULL, STR(""));
}

void http_answer_error(struct http_request *req, int status, const char *code, const char *message)
{
    if (!take_answer(req)) {
        return;
    }
    set_error(req, status, code, message);
    add_headers(req);
    deliver(req);
}

/* One byte range, RFC 9110 section 14.1.2. 0: all of it (no range, several, or a unit we do not
 * know), 1: a part, -ERANGE. */
static int parse_range(struct str text, int64_t size, int64_t *first, int64_t *last)
{
    struct str from;
    int64_t a = 0;
    int64_t b = size - 1;
    if (!str_starts(text, STR("bytes=")) || str_find_char(text, ',') >= 0) {
        return 0;
    }
    text = str_skip(text, 6);
    ptrdiff_t dash = str_find_char(text, '-');
    if (dash < 0) {
        return 0;
    }
    from = str_head(text, (size_t)dash);
    struct str to = str_skip(text, (size_t)dash + 1);
    if (from.len == 0) {
        if (str_to_i64(to, &a) < 0 || a < 0) {
            return 0;
        }
        a = a > size ? 0 : size - a;
    } else if (str_to_i64(from, &a) < 0 || a < 0 ||
               (to.len > 0 && (str_to_i64(to, &b) < 0 || b < a))) {
        return 0;
    }
    if (a >= size) {
        return -ERANGE;
    }
    *first = a;
    *last = i64_min(b, size - 1);
    return 1;
}

void http_answer_file(struct http_request *req, int fd, int64_t size_bytes,
                      const char *content_type)
{
    char text[96];
    int64_t first = 0;
    int64_t last = size_bytes - 1;
    int part = parse_range(http_header(req, "Range"), size_bytes, &first, &last);
    if (!take_answer(req)) {
        close(fd);
        return;
    }
    if (part < 0) {
        close(fd);
        set_error(req, 416, "range", "The range lies outside the file.");
        (void)snprintf(text, sizeof text, "bytes */%lld", (long long)size_bytes);
        (void)MHD_add_response_header(req->response, "Content-Range", text);
        deliver(req);
        return;
    }
    req->status = part > 0 ? 206 : 200;
    req->response =
        MHD_create_response_from_fd_at_offset64((uint64_t)(last - first + 1), fd, (uint64_t)first);
    assert(req->response != NULL); /* it owns fd now */
    (void)MHD_add_response_header(req->response, "Content-Type", content_type);
    (void)MHD_add_response_header(req->response, "Accept-Ranges", "bytes");
    if (part > 0) {
        (void)snprintf(text, sizeof text, "bytes %lld-%lld/%lld", (long long)first, (long long)last,
                       (long long)size_bytes);
        (void)MHD_add_response_header(req->response, "Content-Range", text);
    }
    add_headers(req);
    deliver(req);
}

/* Is `token` one of a comma-separated header's words? */
static bool has_token(struct str list, struct str token)
{
    struct str word;
    while (str_split(&list, ',', &word)) {
        if (str_eq_nocase(str_trim(word), token)) {
            return true;
        }
    }
    return false;
}

bool http_is_websocket(const struct http_request *req)
{
    uint8_t key[16];
    return str_eq(req->method, STR("GET")) &&
           has_token(http_header(req, "Upgrade"), STR("websocket")) &&
           has_token(http_header(req, "Connection"), STR("upgrade")) &&
           str_eq(http_header(req, "Sec-WebSocket-Version"), STR("13")) &&
           base64_decode(http_header(req, "Sec-WebSocket-Key"), key, sizeof key) == sizeof key;
}

static void accept_key(struct str key, char out[32])
{
    unsigned char text[64 + sizeof WS_GUID];
    unsigned char digest[SHA_DIGEST_LENGTH];
    assert(key.len <= 64);
    memcpy(text, key.p, key.len);
    memcpy(text + key.len, WS_GUID, sizeof WS_GUID - 1);
    SHA1(text, key.len + sizeof WS_GUID - 1, digest);
    (void)base64_encode(digest, sizeof digest, out);
}

/* MHD hands the socket over, and keeps its own copy only until http_upgraded() tells it to close.
 */
static void on_upgrade(void *cls, struct MHD_Connection *mhd, void *con_cls, const char *extra,
                       size_t extra_size, MHD_socket sock, struct MHD_UpgradeResponseHandle *handle)
{
    (void)mhd;
    (void)con_cls;
    struct http_request *req = cls;
    struct http_server *s = req->server;
    http_socket_fn *on_socket = req->on_socket;
    req->on_socket = NULL;
    int fd = dup(sock);
    http_upgraded(s, handle);
    if (fd < 0) {
        on_socket(-1, STR_NONE, NULL, req->socket_arg);
        return;
    }
    struct http_socket *held = xzalloc(sizeof *held);
    held->server = s;
    list_push_back(&s->sockets, &held->link);
    s->socket_count++;
    on_socket(fd, str_make(extra, extra_size), held, req->socket_arg);
}

static void set_upgrade(struct http_request *req)
{
    char accept[32];
    struct str offered = http_header(req, "Sec-WebSocket-Protocol");
    struct str first;
    char protocol[128];
    accept_key(http_header(req, "Sec-WebSocket-Key"), accept);
    req->status = MHD_HTTP_SWITCHING_PROTOCOLS;
    req->response = MHD_create_response_for_upgrade(on_upgrade, req);
    assert(req->response != NULL);
    (void)MHD_add_response_header(req->response, "Upgrade", "websocket");
    (void)MHD_add_response_header(req->response, "Sec-WebSocket-Accept", accept);
    if (str_split(&offered, ',', &first) &&
        str_copy(str_trim(first), protocol, sizeof protocol) == 0 && protocol[0] != '\0') {
        (void)MHD_add_response_header(req->response, "Sec-WebSocket-Protocol", protocol);
    }
}

struct no_socket {
    http_socket_fn *on_socket;
    void *arg;
};

static void on_no_socket(void *arg)
{
    struct no_socket told = *(struct no_socket *)arg;
    xfree(arg);
    told.on_socket(-1, STR_NONE, NULL, told.arg);
}

void http_upgrade(struct http_request *req, http_socket_fn *on_socket, void *arg)
{
    if (req->mhd == NULL) { /* the client left while the request was kept */
        struct no_socket *later = xzalloc(sizeof *later);
        *later = (struct no_socket){on_socket, arg};
        loop_defer(req->loop, on_no_socket, later);
        take_answer(req);
        return;
    }
    req->on_socket = on_socket; /* without an upgrade it runs with -1 when the exchange is over */
    req->socket_arg = arg;
    if (!http_is_websocket(req)) {
        http_answer_error(req, 426, "upgrade_required", "A WebSocket handshake is expected here.");
        return;
    }
    if (req->server->socket_count >= LIMIT_HTTP_CONNECTIONS) {
        http_answer_error(req, 503, "busy", "Too many sockets are open.");
        return;
    }
    if (take_answer(req)) {
        set_upgrade(req);
        deliver(req);
    }
}
