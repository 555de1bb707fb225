/* http_priv.h -- what http_server.c (daemon, connections) and http_request.c (one exchange) share.
 *
 * Owner   see http_server.h.
 * Thread  the loop's. */
#ifndef NET_HTTP_PRIV_H
#define NET_HTTP_PRIV_H

#include "base/list.h"
#include "loop/timer.h"
#include "net/http_server.h"

#include <microhttpd.h>

#define HTTP_PARAMS_MAX  8
#define HTTP_HEADERS_OUT 8
#define HTTP_PEER_SIZE   64

struct http_server {
    struct loop *loop;
    struct MHD_Daemon *daemon;
    uv_poll_t *poll; /* heap: libuv closes it after we are gone */
    const struct http_route *routes;
    size_t route_count;
    void *arg;
    uint16_t port;
    struct list connections;
    struct list kept;     /* requests whose connection is suspended */
    struct list upgrades; /* finished upgrades that MHD must still be told about */
    struct list sockets;  /* handles given out */
    size_t socket_count;
    struct timer sweep;
    struct timer kick; /* MHD has something to do that no descriptor shows */
    bool in_run;
};

enum http_phase { HTTP_HEAD, HTTP_BODY, HTTP_WORK, HTTP_SEND };

struct http_conn {
    struct list link;
    struct http_server *server;
    int fd;
    enum http_phase phase;
    int64_t since_us; /* of this phase */
    bool first;       /* no request has been completed on it */
    uint64_t body_bytes;
};

struct http_param {
    struct str name;
    struct str value;
};

struct http_request {
    struct list link; /* in server->kept while suspended */
    struct loop *loop;
    struct http_server *server; /* NULL once it closed */
    struct http_conn *conn;     /* NULL once MHD is done with the exchange */
    struct MHD_Connection *mhd; /* the same */
    const struct http_route *route;
    char *target; /* as sent; path and query point into it */
    struct str method;
    struct str path;
    struct str query;
    struct http_param params[HTTP_PARAMS_MAX];
    size_t param_count;
    char method_text[16];
    char peer[HTTP_PEER_SIZE];
    struct buf body;
    bool head_seen;
    bool body_too_big;
    bool in_handler;
    bool handled;  /* the handler was called */
    bool kept;     /* the owner has it until it answers */
    bool answered; /* the owner has spoken */
    bool gone;     /* on_gone ran */
    bool queued;   /* MHD has the response */
    void (*on_gone)(void *arg);
    void *gone_arg;
    int status;
    struct MHD_Response *response;
    struct {
        char *name;
        char *value;
    } headers[HTTP_HEADERS_OUT];
    size_t header_count;
    http_socket_fn *on_socket; /* an upgrade */
    void *socket_arg;
};

struct http_socket {
    struct list link;
    struct http_server *server; /* NULL once it closed */
};

/* http_request.c */
struct http_request *http_request_new(struct http_server *s, const char *target);
enum MHD_Result http_request_step(struct http_request *req, const char *version, const char *upload,
                                  size_t *upload_size);
void http_request_completed(struct http_request *req); /* MHD is done with it */
void http_request_expire(
    struct http_request *req); /* kept for too long, or the server closes: 503 */
void http_request_tell_gone(struct http_request *req);
int http_route_find(struct http_request *req,
                    bool *path_known); /* sets route and params; -ENOENT */

/* http_server.c */
void http_server_kick(struct http_server *s);
void http_conn_phase(struct http_conn *conn, enum http_phase phase);
void http_upgraded(struct http_server *s, struct MHD_UpgradeResponseHandle *handle);

#endif
