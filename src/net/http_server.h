/* http_server.h -- HTTP/1.1 in: routes, bodies, late answers, WebSocket upgrades. Over
 * libmicrohttpd.
 *
 * One daemon per control loop. A request with its whole body (bounded) is given to its route's
 * handler, which answers at once or keeps the request (http_keep) and answers later; every request
 * that was kept must be answered. After LIMIT_HTTP_TIMEOUT_S the client gets 503 and on_gone runs;
 * a handler that neither answers nor keeps gives 500. Kept requests may outlive the server (their
 * answer goes nowhere then).
 *
 * Owner   server: http_server_open/close. Request: the server, from the handler's call until it is
 *         answered; after http_answer() the pointer is dead.
 * Thread  the loop's.
 * Limits  limits.h: head, connections, timeout; body per route (413). Content-Length together with
 *         Transfer-Encoding, duplicate Content-Length or Host: 400. A head that takes longer than
 *         LIMIT_HTTP_HEAD_S, or a body slower than LIMIT_HTTP_BODY_RATE, is cut off.
 * Errors  http_server_open: -EADDRINUSE, -EINVAL (address). */
#ifndef NET_HTTP_SERVER_H
#define NET_HTTP_SERVER_H

#include "base/buf.h"
#include "loop/loop.h"

struct http_server;
struct http_request;
struct http_socket;

typedef void http_handler_fn(struct http_request *req, void *arg);

struct http_route {
    const char *method; /* "GET", "POST", "DELETE"; HEAD is answered by GET */
    const char
        *pattern; /* "/carrier/plivo/{kind}/{identity}": {x} matches one segment, {x...} the rest */
    size_t body_max; /* bytes; 0: no body allowed */
    http_handler_fn *handler;
};

int http_server_open(struct http_server **out, struct loop *loop, const char *listen,
                     const struct http_route *routes, size_t route_count, void *arg) MUST_USE;
uint16_t http_server_port(const struct http_server *s); /* when listen had port 0 */
/* Stops accepting, answers what is kept with 503, closes. Upgraded sockets are not touched. */
void http_server_close(struct http_server **s);

struct str http_method(const struct http_request *req);
struct str http_path(const struct http_request *req);  /* as sent, without the query */
struct str http_query(const struct http_request *req); /* as sent, without '?' */
struct str http_param(const struct http_request *req, const char *name); /* {name} of the pattern */
struct str http_header(const struct http_request *req, const char *name); /* any case; STR_NONE */
struct str http_body(const struct http_request *req);
struct str http_peer(const struct http_request *req); /* address text */

/* The request stays open until http_answer(); on_gone (may be NULL) tells that the client left
 * first; the request must still be answered (the answer goes nowhere). */
void http_keep(struct http_request *req, void (*on_gone)(void *arg), void *arg);

void http_set_header(struct http_request *req, const char *name,
                     const char *value); /* before answering */
void http_answer(struct http_request *req, int status, const char *content_type, struct str body);
void http_answer_error(struct http_request *req, int status, const char *code,
                       const char *message); /* JSON */
/* Cuts the connection without a word (the simulator's faults); the request is dead after. */
void http_cut(struct http_request *req);
/* Serves a file with one byte range (206, 416), length and type; closes fd when sent. */
void http_answer_file(struct http_request *req, int fd, int64_t size_bytes,
                      const char *content_type);

/* WebSocket: true when the request is a well-formed version 13 upgrade (GET, key, version). */
bool http_is_websocket(const struct http_request *req);
/* Answers 101 and hands the socket over: on_socket runs on this loop with the descriptor and what
 * was already read. The receiver owns fd and must call http_socket_done(handle) on this loop (post
 * it from another one) once fd is closed; the handle counts against LIMIT_HTTP_CONNECTIONS and may
 * outlive the server. When the client left first, or there is no room (503), on_socket runs with fd
 * -1 and a NULL handle: ws_open() takes that too and reports the close. on_socket never runs inside
 * http_upgrade(). Subprotocol: the first one offered is echoed. */
typedef void http_socket_fn(int fd, struct str already_read, struct http_socket *handle, void *arg);
void http_upgrade(struct http_request *req, http_socket_fn *on_socket, void *arg);
void http_socket_done(struct http_socket *handle); /* NULL-safe */

/* x-www-form-urlencoded, decoded in place order; duplicates kept. For webhooks and query strings.
 */
struct form_field {
    struct str name;
    struct str value;
};
/* Decodes into storage (bounded buf); -EINVAL bad escape, -EMSGSIZE too many fields or bytes. */
int form_parse(struct str text, struct buf *storage, struct form_field *fields, size_t fields_max,
               size_t *count) MUST_USE;
struct str form_get(const struct form_field *fields, size_t count,
                    const char *name); /* first; STR_NONE */

#endif
