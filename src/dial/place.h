/* place.h -- one claimed attempt: from its committed intent to its committed result.
 *
 *   claimed -> brief (and the last look) -> account -> POST, once -> result -> over
 *        \            \               \
 *         \------------\---------------\--> signed off: this attempt is never POSTed by us
 *
 * The POST is made at most once and only within claim_deadline_ms of the claim. Whatever goes wrong before
 * it signs the attempt off; whatever goes wrong after it is written as it is known, again and again while
 * the database is away, because the ledger takes a late result as well as an early one.
 *
 * Contract place_start: on_over exactly once, later. posting_over(arg) exactly once before it, at the moment
 *          from which this attempt can no longer be POSTed: the worker's lock may go then.
 * Owner    itself, until on_over; place_drop() ends it silently (at exit, when the lock goes anyway).
 * Thread   the control loop.
 * Errors   trouble(arg): the database failed inside the critical section; the worker ends its incarnation. */
#ifndef DIAL_PLACE_H
#define DIAL_PLACE_H

#include "base/list.h"
#include "dial/dial_env.h"

struct place;

struct place_told {
    void (*posting_over)(void *arg);
    void (*trouble)(void *arg);
    void (*over)(void *arg);
    void *arg;
};

/* claim_sent_us: monotonic, when the claim was sent (before its commit, so the deadline errs early). */
void place_start(struct place **out, const struct dial_env *env,
                 const struct store_claimed *claimed, int64_t claim_sent_us,
                 const struct place_told *told);
void place_drop(struct place **place);

#endif
