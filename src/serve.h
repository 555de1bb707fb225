/* serve.h -- the daemon: opens the rooms in order, ties their hooks together, drains them in reverse.
 *
 * Nothing is decided here; serve.c is the wiring, serve_desk.c the wiring of a live call's facts to
 * the database.
 *
 * Owner   cmd_serve().
 * Thread  the control loop. */
#ifndef SERVE_H
#define SERVE_H

#include "api/api.h"
#include "base/list.h"
#include "base/map.h"
#include "base/settings.h"
#include "call/call_desk.h"
#include "carrier/accounts.h"
#include "dial/dialer.h"
#include "dial/history.h"
#include "dial/journal.h"
#include "dial/orphans.h"
#include "dial/reconcile.h"
#include "handoff/fetch.h"
#include "handoff/handoff.h"
#include "insight/insight.h"
#include "loop/timer.h"
#include "store/store_call.h"

#include <uv.h>

struct serve {
    struct settings settings;
    struct loop *loop;
    struct pg_pool *db;
    struct http_client *http;
    struct carrier_urls urls;
    uint8_t recording_key[32];
    uint8_t person_key[32];
    struct accounts *accounts;
    struct call_desk *desk;
    struct handoff *handoff;
    struct fetch *fetch;
    struct journal *journal; /* NULL: not wanted */
    struct orphans *orphans;
    struct history *history;
    struct dialer *dialer;
    struct reconcile *reconcile;
    struct insight *insight;
    struct api *api;
    struct timer gauges;
    struct timer refused; /* looks for talks with people who are on the list by now */
    struct pg_tx *refused_tx;
    uv_signal_t signals[2];
    bool stopping;
    bool dialer_drained;
    bool desk_drained;
    struct map on_line; /* calls that were answered here, until their end is reported */
    struct timer farewell;
    bool database_seen;    /* it was up once: from then on its troubles are waited out */
    bool database_refused; /* at the start: a role or a server that we must not work with */
    struct list ops;       /* struct serve_op: what waits for another room's answer */
    /* What the rooms look at as long as they are open. */
    struct call_env call_env;
    struct dial_env dial_env;
    struct dial_clock dial_clock;
};

/* Rooms that are closed fall silent: what waited for their answer is dropped at the end. Embedded
 * first; wiped when freed, for some hold a carrier's token. */
struct serve_op {
    struct list link;
    size_t size_bytes;
    void (*drop)(struct serve_op *op); /* NULL: nothing but memory */
};
void *serve_op_new(struct serve *s, size_t size_bytes) MUST_USE;
void serve_op_free(void *op);

/* The desk's door to the database, and what the desk asks of other rooms. */
struct desk_store serve_desk_store(struct serve *s);
struct desk_hooks serve_desk_hooks(struct serve *s);
/* Makes the media side of a call ready: from its brief, or (adopted calls) after asking for it. */
void serve_prepare(struct serve *s, const json_t *brief);
void serve_prepare_adopted(struct serve *s, const struct uuid *organization_id,
                           const struct uuid *call_id);

#endif
