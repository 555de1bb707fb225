/* hook.h -- one callback to the customer's server: signed, retried by its own policy, and spoiled by
 * the faults that are switched on.
 *
 * The URL's fragment says how (#ct=&rt=&rc=&rp=); it is not sent and not signed. A callback that
 * asks for a document (answer, redirect, action, confirm, fallback) always ends in on_done; a mere
 * notice may be lost without a trace, as in life.
 *
 * Owner   the carrier's list of hooks under way; the call outlives them (calls are kept for their
 *         records until the carrier ends).
 * Thread  the loop's; on_done never runs inside hook_post().
 * Errors  status 0: nobody answered. */
#ifndef SIM_CARRIER_HOOK_H
#define SIM_CARRIER_HOOK_H

#include "form.h"

enum hook_kind {
    HOOK_ANSWER,
    HOOK_FALLBACK,
    HOOK_REDIRECT,
    HOOK_ACTION,
    HOOK_CONFIRM,
    HOOK_RING,
    HOOK_HANGUP,
    HOOK_MACHINE,
    HOOK_RECORDING,
    HOOK_STREAM,
    HOOK_DIAL,
    HOOK_COUNT,
};

struct carrier;
struct call;
typedef void hook_done_fn(struct call *call, int status, struct str body);

/* fields are taken over (moved); url and method are copied. A NULL or empty url does nothing. */
void hook_post(struct call *call, enum hook_kind kind, const char *url, const char *method,
               struct form *fields, hook_done_fn *on_done);
void hooks_cancel(struct carrier *c); /* all of them, silently */

/* The retry policy of a URL, apart for its tests. */
struct hook_policy {
    int64_t retries;
    bool on_4xx;
    bool on_5xx;
    bool on_connect;
    bool on_read;
    int64_t read_ms;
};
void hook_policy_read(struct str url, struct hook_policy *out);

#endif
