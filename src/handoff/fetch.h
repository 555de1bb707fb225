/* fetch.h -- brings recordings that the carrier made to our own disk: a durable job, one at a time.
 *
 * sql/handoff/recordings_due leases a few announced recordings; each is streamed to
 * DATA_DIR/recordings/<organization>/<yyyy-mm>/<recording id>.<wav|mp3>, moved into place when
 * whole, and then named in the database. A crash in between repeats the fetch; it loses nothing.
 *
 * Owner   whoever called fetch_open(), until fetch_close() (cancels what is in flight).
 * Thread  the control loop.
 * Limits  LIMIT_RECORDING_BYTES a file; URLs pass the rules for addresses from outside. */
#ifndef HANDOFF_FETCH_H
#define HANDOFF_FETCH_H

#include "net/http_client.h"
#include "store/pg_conn.h"

struct fetch;

struct fetch_env {
    struct loop *loop;
    struct pg_pool *db;
    struct http_client *http;
    const char *data_dir;
    const char *public_url;
    uint8_t recording_key[32]; /* signs recording URLs */
    int64_t interval_ms;
};

int fetch_open(struct fetch **out, const struct fetch_env *env) MUST_USE;
void fetch_close(struct fetch **f);

#endif
