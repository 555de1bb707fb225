/* ws_conn.h -- one WebSocket on a connected socket: text frames in and out. Frames are read where they
 * lie, and built where they are sent from.
 *
 * Owner   whoever called ws_open()/ws_connect(); ws_free() at any time but inside its own callback
 *         is immediate and silent; inside a callback it is deferred to the end of that callback.
 * Thread  the loop's.
 * Limits  message_max bytes after reassembly (close 1009), 8 fragments (1008), no extensions, masks
 *         checked, UTF-8 checked (1007). More than LIMIT_WS_SEND_BYTES unsent: closed,
 * on_close(-ENOBUFS). Errors  on_close runs exactly once, last, with 0 (close frame seen both ways)
 * or -errno and the peer's code (1005 none, 1006 cut). After ws_free() nothing runs. Source  RFC
 * 6455. */
#ifndef NET_WS_CONN_H
#define NET_WS_CONN_H

#include "base/fault.h"
#include "base/str.h"
#include "loop/loop.h"

struct ws_conn;
struct ws_dial;

typedef void ws_message_fn(struct str message, bool binary, void *arg); /* valid during the call */
typedef void ws_close_fn(int err, int code, struct str reason, void *arg);

struct ws_handlers {
    ws_message_fn *on_message;
    ws_close_fn *on_close;
    void *arg;
};

enum ws_role { WS_SERVER, WS_CLIENT };

/* Takes over fd (non-blocking is set, TCP_NODELAY too). `already_read`: bytes that came with the
 * handshake. release(release_arg) runs on this loop after fd was closed (NULL: nothing to release).
 */
struct ws_conn *ws_open(struct loop *loop, int fd, enum ws_role role, struct str already_read,
                        size_t message_max, struct ws_handlers handlers, void (*release)(void *),
                        void *release_arg) MUST_USE;
void ws_free(struct ws_conn **c);                              /* hard close, silent */
int ws_send_text(struct ws_conn *c, struct str text) MUST_USE; /* 0, -EPIPE (closed), -ENOBUFS */
/* The hot path: head, base64 payload and tail are written straight into the frame, no middle copy.
 */
int ws_send_parts(struct ws_conn *c, const struct str *parts, size_t count) MUST_USE;
int ws_ping(struct ws_conn *c);
void ws_close(struct ws_conn *c, int code,
              const char *reason);                /* sends close, flushes, then on_close */
size_t ws_unsent(const struct ws_conn *c);        /* bytes waiting in us */
int64_t ws_last_read_us(const struct ws_conn *c); /* loop clock; pings included */

/* Client side: DNS, TCP, TLS by libcurl, then the RFC 6455 handshake, then a ws_conn.
 * Contract as http_start(); on_done gets the open connection (owner: the callee) or NULL and why.
 */
struct http_client;
typedef void ws_dial_fn(struct ws_conn *c, const struct fault *fault, void *arg);
struct ws_ask {
    const char *url;            /* wss:, or ws: on loopback */
    const char *const *headers; /* extra request header lines, NULL-terminated */
    uint32_t timeout_ms;
    size_t message_max;
    struct ws_handlers handlers;
};
int ws_connect(struct ws_dial **op, struct http_client *client, const struct ws_ask *ask,
               ws_dial_fn *on_done, void *arg) MUST_USE;
void ws_connect_cancel(struct ws_dial **op);

#endif
