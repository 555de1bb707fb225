/* sim.h -- the running simulator: what main.c opens and the HTTP handlers are given.
 *
 * Owner   main.c.
 * Thread  the one loop's. */
#ifndef SIM_SIM_H
#define SIM_SIM_H

#include "carrier/carrier.h"
#include "net/http_server.h"

struct model;

struct sim {
    struct loop *loop;
    struct http_client *http;
    struct http_server *server;
    struct book *book;
    struct truth *truth;
    struct carrier *carrier;
    struct model *model;
    struct sim_limits limits;
    struct faults faults;
    const char *auth_id;
    const char *auth_token;
    const char *model_key;
};

#endif
