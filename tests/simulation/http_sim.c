#include "http_sim.h"

#include "api/api_priv.h"
#include "base/alloc.h"
#include "base/clock.h"

#include <errno.h>
#include <string.h>

static const struct http_request *reading;

struct http_request *request_new(struct world *w, const char *method, const char *pattern,
                                 request_done_fn *on_done, void *arg)
{
    struct http_request *req = xzalloc(sizeof *req);
    req->w = w;
    req->method = method;
    req->pattern = pattern;
    req->on_done = on_done;
    req->arg = arg;
    req->signed_well = true;
    list_init(&req->link);
    return req;
}

void request_param(struct http_request *req, const char *name, const char *value)
{
    assert(req->param_count < COUNT_OF(req->params));
    req->params[req->param_count].name = name;
    str_copy_cut(str_of(value), req->params[req->param_count++].value, sizeof req->params[0].value);
}

const struct http_request *request_now(void)
{
    return reading;
}

/* --- the client's side ----------------------------------------------------------------------------- */

/* Each event that names it holds it, and the node until it has answered. */
static void request_drop(struct http_request *req)
{
    if (--req->holders == 0) {
        list_remove(&req->link);
        xfree(req);
    }
}

static void tell_client(struct world *w, struct http_request *req)
{
    if (!req->told) {
        req->told = true;
        req->on_done(w, req, req->arg);
    }
}

static void on_client_done(struct world *w, void *arg)
{
    struct http_request *req = arg;
    tell_client(w, req);
    request_drop(req);
}

static void on_given_up(struct world *w, void *arg)
{
    struct http_request *req = arg;
    if (!req->told) {
        req->status = 0;
        tell_client(w, req);
    }
    if (req->at_node && !req->answered && req->inc->dead) {
        request_drop(req); /* it died with it in its hands */
    }
    request_drop(req);
}

static void call_route(struct incarnation *inc, void *arg)
{
    struct http_request *req = arg;
    req->holders++;
    req->at_node = true;
    list_push_back(&req->inc->requests, &req->link);
    for (size_t i = 0; i < inc->route_count; i++) {
        if (strcmp(inc->routes[i].pattern, req->pattern) == 0 &&
            strcmp(inc->routes[i].method, req->method) == 0) {
            inc->routes[i].handler(req, inc->routes_arg);
            return;
        }
    }
    assert(!"a route of that pattern");
}

static void on_request_arrives(struct world *w, void *arg)
{
    struct http_request *req = arg;
    bool nobody = req->inc == NULL || req->inc->dead;
    if (!nobody && !req->told && !node_can_run(req->inc)) { /* it waits in the backlog */
        world_at(w, i64_min(req->inc->node->busy_until, w->now + US_PER_S), on_request_arrives,
                 req);
        return;
    }
    if (nobody) {
        tell_client(w, req); /* refused */
    } else if (!req->told && node_call(req->inc, call_route, req) == NODE_SLEEPS) {
        world_at(w, i64_min(req->inc->node->busy_until, w->now + US_PER_S), on_request_arrives,
                 req);
        return;
    }
    request_drop(req);
}

void request_send(struct world *w, struct incarnation *inc, struct http_request *req)
{
    req->inc = inc;
    req->holders = 2;
    world_in(w, rng_between(&w->rng, 2000, 60000), on_request_arrives, req);
    world_in(w, REQUEST_US + 100000, on_given_up, req);
}

/* --- the node's side (net/http_server.h) ------------------------------------------------------------- */

int http_server_open(struct http_server **out, struct loop *loop, const char *listen,
                     const struct http_route *routes, size_t route_count, void *arg)
{
    (void)out, (void)loop, (void)listen;
    struct incarnation *inc = the_world->current;
    inc->routes = routes;
    inc->route_count = route_count;
    inc->routes_arg = arg;
    return 0;
}

void http_server_close(struct http_server **s)
{
    (void)s;
}

uint16_t http_server_port(const struct http_server *s)
{
    (void)s;
    return 0;
}

struct str http_param(const struct http_request *req, const char *name)
{
    for (size_t i = 0; i < req->param_count; i++) {
        if (strcmp(req->params[i].name, name) == 0) {
            return str_of(req->params[i].value);
        }
    }
    return STR_NONE;
}

struct str http_body(const struct http_request *req)
{
    reading = req;
    return STR("kind=of");
}

struct str http_query(const struct http_request *req)
{
    (void)req;
    return STR("");
}

struct str http_header(const struct http_request *req, const char *name)
{
    (void)req, (void)name;
    return STR_NONE;
}

struct str http_peer(const struct http_request *req)
{
    (void)req;
    return STR("carrier");
}

void http_keep(struct http_request *req, void (*on_gone)(void *arg), void *arg)
{
    (void)req, (void)on_gone, (void)arg;
}

void http_set_header(struct http_request *req, const char *name, const char *value)
{
    (void)req, (void)name, (void)value;
}

void http_answer(struct http_request *req, int status, const char *content_type, struct str body)
{
    (void)content_type;
    struct world *w = req->w;
    assert(!req->answered);
    req->answered = true;
    list_remove(&req->link);
    if (!req->inc->dead && !req->told) { /* dead: the client gives up by itself */
        req->status = status;
        str_copy_cut(body, req->answer, sizeof req->answer);
        req->holders++;
        world_at(w, node_now(req->inc) + rng_between(&w->rng, 2000, 60000), on_client_done, req);
    }
    request_drop(req);
}

void http_answer_error(struct http_request *req, int status, const char *code, const char *message)
{
    (void)message;
    http_answer(req, status, "application/json", str_of(code));
}

void http_answer_file(struct http_request *req, int fd, int64_t size_bytes,
                      const char *content_type)
{
    (void)fd, (void)size_bytes;
    http_answer(req, 404, content_type, STR(""));
}

bool http_is_websocket(const struct http_request *req)
{
    return req->websocket;
}

struct upgrade {
    struct incarnation *inc;
    http_socket_fn *on_socket;
    void *arg;
};

static void socket_turn(void *arg)
{
    struct upgrade u = *(struct upgrade *)arg;
    xfree(arg);
    u.on_socket(-1, STR_NONE, NULL, u.arg); /* the sound itself is not simulated here */
}

void http_upgrade(struct http_request *req, http_socket_fn *on_socket, void *arg)
{
    struct upgrade *u = xzalloc(sizeof *u);
    *u = (struct upgrade){req->inc, on_socket, arg};
    req->upgraded = true;
    loop_defer(req->inc->loop, socket_turn, u);
    http_answer(req, 101, "", STR(""));
}

void http_socket_done(struct http_socket *handle)
{
    (void)handle;
}

void api_on_recording(struct http_request *req, void *arg) /* a route that nobody asks here */
{
    (void)arg;
    http_answer_error(req, 404, "not_found", "");
}
