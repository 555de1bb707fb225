/* media_generator.h -- the load of the media bench: both outer ends of many calls in one process.
 *
 * Each call has a carrier end (a WebSocket client that speaks Plivo's frames) and a model end (a
 * server that speaks as much Realtime as a session needs). Both send one 20 ms frame every 20 ms; the
 * first bytes of each frame's audio say which, and when it left, so the far end knows what was lost
 * and how long the way took. Times are this process's own clock: its own delays are in the figures,
 * so its load is told with them.
 *
 * Owner   the bench, one at a time.
 * Thread  the bench's only one.
 * Time    *_us monotonic. */
#ifndef BENCH_MEDIA_GENERATOR_H
#define BENCH_MEDIA_GENERATOR_H

#include "net/http_client.h"
#include "net/http_server.h"
#include "net/ws_conn.h"

#define GENERATOR_DISCLOSURE "This is a benchmark and not a person."
#define LATENCY_BUCKETS      4000 /* of 50 us: up to 200 ms */
#define LATENCY_BUCKET_US    50

struct latency {
    uint64_t buckets[LATENCY_BUCKETS];
    uint64_t count;
};

struct generator_totals {
    uint64_t sent_in, got_in;   /* lead to model */
    uint64_t sent_out, got_out; /* model to lead */
    uint64_t out_of_order;
    struct latency in, out;
};

struct generator;

/* Opens the model's port. */
struct generator *generator_new(struct loop *loop, size_t calls);
void generator_free(struct generator **g);
uint16_t generator_model_port(const struct generator *g);
/* Through the bridge: dials ws://127.0.0.1:port/media/<n> for each call. */
void generator_dial(struct generator *g, uint16_t bridge_port);
/* Through a bare relay: both ends of each call are connected sockets already. */
void generator_attach(struct generator *g, size_t call, int carrier_fd, int model_fd);
size_t generator_talking(const struct generator *g); /* calls whose audio flows both ways */
size_t generator_closed(const struct generator *g);  /* ends that the other side closed */
void generator_count(struct generator *g, bool on);  /* frames sent from now on count, or do not */
const struct generator_totals *generator_totals(const struct generator *g);
double latency_ms(const struct latency *l, double share);

#endif
