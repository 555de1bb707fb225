/* dialer.h -- claims due leads and has each dialed once; keeps the node's heartbeat and the campaigns' books.
 *
 *     dialer_open -> (register a worker incarnation) -> tick: claim -> place.h for each -> ...
 *
 * A worker incarnation is an id and the lock of a file. It claims only while the database knows it, is up,
 * and shows the same time as we do; it ends, and a new one begins, whenever the database fails inside the
 * critical section, so that nobody ever waits for a word of it that was lost (never-twice 2.3-8). Ending
 * means: no new claims, and its lock goes when the last of its attempts can no longer be POSTed. Claiming
 * stops and resumes by itself.
 *
 * Owner   dialer_open()/dialer_close(); `env` outlives it. dialer_drain() first for a clean end.
 * Thread  the control loop.
 * Limits  settings->calls_max calls on this node, those being placed included; claim_batch a claim.
 * Errors  dialer_open: negative errno when the lock directory is unusable.
 * Source  never-twice 2.3. */
#ifndef DIAL_DIALER_H
#define DIAL_DIALER_H

#include "dial/dial_env.h"

struct dialer;

int dialer_open(struct dialer **out, const struct dial_env *env) MUST_USE;
void dialer_close(struct dialer **dialer);
/* No more claims; on_drained once, when nothing is being placed and the workers' end is on record. */
void dialer_drain(struct dialer *dialer, loop_fn *on_drained, void *arg);
/* The history of the database is another one: what claimed on the old one ends (history.h). */
void dialer_moved(struct dialer *dialer);
/* A look for work now rather than at the next tick: after a campaign was started, or a call ended. */
void dialer_poke(struct dialer *dialer);

struct dialer_state { /* /readyz, tests */
    bool claiming;    /* would claim at the next tick */
    const char *why;  /* why not; "" */
    size_t placing;   /* attempts between claim and result */
    size_t workers;   /* incarnations that still hold their lock */
    int64_t claimed;  /* attempts since the start */
};
struct dialer_state dialer_state(const struct dialer *dialer);

#endif
