/* reconcile.h -- learns what became of attempts that nobody told us about, by asking the carrier.
 *
 * Workers whose lock can be taken are dead, and that is written down (undertaker.h). Each round: leases that
 * ran out become unknown; then for every unknown attempt, and every live call that has been quiet for too long, the
 * carrier's queued, live and ended calls of exactly that number pair are read. What is found moves the call
 * on; a complete search without a find is recorded, and the database concludes absence when all evidence
 * of never-twice 2.3-9 is there. Any doubt (a page missing, an answer not 200) counts as nothing learned.
 *
 * Several reconcilers may run: work is taken by lease, every step is a compare-and-set.
 *
 * Owner   reconcile_open()/reconcile_close(); `env` outlives it, its accounts are closed before it.
 * Thread  the control loop (the lock directory is read on the pool).
 * Limits  RECONCILE_SEARCHES at once.
 * Source  never-twice 2.3-7 to 2.3-12. */
#ifndef DIAL_RECONCILE_H
#define DIAL_RECONCILE_H

#include "dial/dial_env.h"

#define RECONCILE_SEARCHES 8

struct reconcile;

int reconcile_open(struct reconcile **out, const struct dial_env *env) MUST_USE;
void reconcile_close(struct reconcile **r);

struct reconcile_state {
    int64_t rounds;        /* finished */
    int64_t unknown_calls; /* at the last look */
    int64_t oldest_s;
    size_t searching;
};
struct reconcile_state reconcile_state(const struct reconcile *r);

#endif
