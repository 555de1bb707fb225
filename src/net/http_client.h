/* http_client.h -- HTTPS out: one request, one answer, never a hidden second try. Over libcurl
 * multi.
 *
 * No redirects, HTTP/1.1, certificates verified, no proxy from the environment. With `once` set the
 * request goes out on a connection of its own that is never reused (libcurl re-sends a POST by
 * itself when a kept-alive connection dies).
 *
 * Contract refused => silent; accepted => on_done exactly once, later, on the same loop;
 *          cancelled => silent.
 * Owner   client: one per loop. Operation: itself, until on_done or http_cancel().
 * Thread  the loop's.
 * Note    Trusted roots: Debian's bundle, or the file that SSL_CERT_FILE names (an operator's own CA).
 *         http_client_new() makes the process ignore SIGPIPE: TLS writes cannot ask for it per
 * call. Time    timeout_ms covers name, connect, TLS, send and answer. Errors  http_start: -EINVAL
 * (URL scheme or host not allowed), -EBUSY (too many in flight). on_done: result.fault --
 * FAULT_NOT_SENT only when no byte of the request left us. */
#ifndef NET_HTTP_CLIENT_H
#define NET_HTTP_CLIENT_H

#include "base/buf.h"
#include "base/fault.h"
#include "loop/loop.h"

struct http_client;
struct http_op;

enum http_trust {
    HTTP_OPERATOR, /* URL from the operator's settings: https, or http on loopback */
    HTTP_OUTSIDE,  /* URL from a tenant or a carrier: https, ports 443/8443, public addresses only,
                      unless host:port is on the operator's allow-list */
};

struct http_ask {
    const char *method;
    const char *url;
    const char *const *headers; /* "Name: value" lines, NULL-terminated; may be NULL */
    struct str body;            /* copied */
    const char *user;           /* Basic auth; may be NULL */
    const char *password;
    uint32_t timeout_ms;
    size_t answer_max; /* bytes; more is FAULT_BROKEN */
    bool once;
    enum http_trust trust;
    int to_fd; /* > 0: the body is written there instead (recordings) */
};

struct http_result {
    struct fault fault; /* FAULT_NONE: an HTTP answer came, whatever its status */
    int status;
    struct str body; /* lives during on_done */
    struct str content_type;
    int64_t retry_after_ms; /* retry-after-ms, Retry-After; -1 none */
    int64_t server_date_us; /* the Date header, wall; 0 none */
    int64_t body_bytes;
};

typedef void http_done_fn(const struct http_result *result, void *arg);

/* allowed_hosts: "host:port,..." that HTTP_OUTSIDE may reach whatever its address, by http: too; or
 * NULL. */
struct http_client *http_client_new(struct loop *loop, const char *allowed_hosts) MUST_USE;
void http_client_free(struct http_client **c); /* cancels what is in flight */
int http_start(struct http_op **op, struct http_client *c, const struct http_ask *ask,
               http_done_fn *on_done, void *arg) MUST_USE;
void http_cancel(struct http_op **op);
size_t http_client_in_flight(const struct http_client *c);
/* Is this URL one the program may be configured with? https/wss, or http/ws on loopback. */
bool url_operator_ok(const char *url);

#endif
