/* http_sim.h -- the HTTP server and client of the simulation: requests that reach a node's routes, and get an
 * answer or none.
 *
 * Owner   a request belongs to the world from request_send() until it was answered or given up; then it is freed.
 * Thread  one.
 * Time    a request that is not answered within REQUEST_US is given up: status 0. */
#ifndef SIMULATION_HTTP_SIM_H
#define SIMULATION_HTTP_SIM_H

#include "world.h"

#define REQUEST_US 5000000

struct dial;

typedef void request_done_fn(struct world *w, struct http_request *req, void *arg);

struct http_request {
    struct list link; /* incarnation->requests */
    struct world *w;
    struct incarnation *inc;
    const char *method;
    const char *pattern;
    struct {
        const char *name;
        char value[200];
    } params[4];
    size_t param_count;
    bool websocket;
    bool signed_well;
    const struct dial *dial;
    /* the answer */
    int status; /* 0: none */
    char answer[96];
    bool upgraded;
    bool answered; /* by the node */
    bool told;     /* the client has its answer, or has given up */
    bool at_node;
    int holders;
    request_done_fn *on_done;
    void *arg;
};

struct http_request *request_new(struct world *w, const char *method, const char *pattern,
                                 request_done_fn *on_done, void *arg);
void request_param(struct http_request *req, const char *name, const char *value);
void request_send(struct world *w, struct incarnation *inc, struct http_request *req);
const struct http_request *request_now(void); /* whose body is being read */

struct incarnation *client_of(struct http_client *http);
struct http_client *client_new(struct incarnation *inc);
struct pg_pool *pool_sim_new(struct incarnation *inc);

#endif
