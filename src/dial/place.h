/* place.h -- one claimed attempt: from its committed intent to its committed result.
 *
 *   claimed -> brief (and the last look) -> account -> journal -> POST, once -> result -> over
 *        \            \               \        \
 *         \------------\---------------\--------\--> signed off: this attempt is never POSTed by us
 *
 * The POST is made at most once and only within claim_deadline_ms of the claim. Whatever goes wrong before
 * it signs the attempt off; whatever goes wrong after it is written as it is known, again and again while
 * the database is away, because the ledger takes a late result as well as an early one.
 *
 * Contract place_start: on_over exactly once, later, when the result is in the ledger: the worker's lock may go
 *          then. posting_over(arg) exactly once before it, at the moment from which this attempt can no longer
 *          be POSTed: a database that fails after it puts no claim in doubt.
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

struct place_claim {
    int64_t sent_us;     /* monotonic: before its commit, so the deadline errs early */
    uint64_t generation; /* history_generation() then */
    const struct uuid *worker_id;
};
void place_start(struct place **out, const struct dial_env *env,
                 const struct store_claimed *claimed, const struct place_claim *claim,
                 const struct place_told *told);
void place_drop(struct place **place);

#endif
