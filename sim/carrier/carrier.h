/* carrier.h -- the carrier lookalike: REST in, phones ringing, webhooks and media sockets out.
 *
 * Speaks the wire formats of the carrier's protocol sheet on real sockets. Routes are registered by
 * the program (rest.h lists them); everything else happens on the loop by itself.
 *
 * Owner   carrier_new() to carrier_free(). Finished calls are kept for the call records.
 * Thread  the loop's. */
#ifndef SIM_CARRIER_CARRIER_H
#define SIM_CARRIER_CARRIER_H

#include "faults/faults.h"
#include "loop/loop.h"
#include "net/http_client.h"
#include "people/book.h"
#include "sim_limits.h"
#include "truth.h"

struct carrier;

struct carrier_conf {
    struct loop *loop;
    struct http_client *http;
    const struct book *book;
    struct faults *faults;
    struct truth *truth;
    const struct sim_limits *limits;
    const char *auth_id;
    const char *auth_token;
    const char *public_url; /* where recordings are fetched */
    const char *record_dir;
    uint64_t seed;
};

struct carrier *carrier_new(const struct carrier_conf *conf) MUST_USE;
void carrier_free(struct carrier **c);
json_t *carrier_state(const struct carrier *c) MUST_USE; /* counts, for GET /sim/state */

#endif
