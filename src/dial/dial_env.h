/* dial_env.h -- what dialing and reconciling share: where to ask, whom to tell, how long things take.
 *
 * Owner   whoever wires the daemon; constant, and outlives dialer and reconciler.
 * Thread  the control loop.
 * Time    milliseconds; the names are those of the settings. */
#ifndef DIAL_DIAL_ENV_H
#define DIAL_DIAL_ENV_H

#include "base/settings.h"
#include "carrier/accounts.h"
#include "carrier/carrier.h"
#include "dial/dial_clock.h"
#include "store/store_dial.h"

struct dial_hooks {
    /* The carrier took the call and the ledger says so: warm the talk up. brief is borrowed. */
    void (*placed)(const struct store_claimed *claimed, const json_t *brief, void *arg);
    /* Reconciliation found that the call is over: end what was warmed up for it. */
    void (*ended)(const struct uuid *organization_id, const struct uuid *call_id, void *arg);
    /* Calls that this node is busy with beyond those being placed; counts against calls_max. */
    size_t (*live)(void *arg);
    void *arg;
};

struct journal; /* journal.h */
struct history; /* history.h */
struct orphans; /* orphans.h */

struct dial_env {
    struct loop *loop;
    struct pg_pool *db;
    struct http_client *http;
    const struct carrier *carrier;
    const struct carrier_urls *urls;
    struct accounts
        *accounts; /* closed before the dialer is freed: its answers cannot be cancelled */
    const struct settings *settings;
    struct store_node node;   /* id made anew at every start */
    struct dial_hooks hooks;  /* each may be NULL */
    struct dial_clock *clock; /* kept by the dialer; NULL: believed by all but the dialer */
    /* NULL: no journal; every history is open; no whole lists are read (simulation, tests). */
    struct journal *journal;
    struct history *history;
    struct orphans *orphans;
};

/* H: after it, nothing of an attempt that was signed off can still appear at the carrier. */
int64_t dial_horizon_ms(const struct settings *s);
/* Our clock against the carrier's and the database's: what we allow for. */
#define DIAL_SKEW_MS 60000

#endif
