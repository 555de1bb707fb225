/* incarnation.h -- one worker incarnation: an id, the lock of a file, and its row in the database.
 *
 *     incarnation_begin -> registered -> (hold ... release)* -> end -> signed off -> gone
 *
 * It may claim from `registered` until incarnation_end(). Whoever acts in its name holds it meanwhile: the
 * claim in flight, and each attempt until its result is in the ledger (or the process dies). So as long as
 * anything that it did is not on record, its lock is held and nobody can take it for dead, however long the
 * database is away (never-twice 2.3-8).
 *
 * Owner   whoever began it, until told.gone or incarnation_free() (at exit, when the lock goes anyway).
 * Thread  the control loop.
 * Errors  incarnation_begin: negative errno when the lock directory is unusable. What the database refuses is
 *         tried again. */
#ifndef DIAL_INCARNATION_H
#define DIAL_INCARNATION_H

#include "base/list.h"
#include "dial/dial_env.h"

struct incarnation;

struct incarnation_told {
    void (*registered)(void *arg);
    /* Its end is on record and its lock is gone; it frees itself after this. */
    void (*gone)(struct incarnation *i, void *arg);
    void *arg;
};

int incarnation_begin(struct incarnation **out, const struct dial_env *env,
                      const struct incarnation_told *told) MUST_USE;
void incarnation_free(struct incarnation **i); /* NULL-safe; silent */

void incarnation_hold(struct incarnation *i);
void incarnation_release(struct incarnation *i);
/* Claims no more; signs off when nobody holds it. */
void incarnation_end(struct incarnation *i, const char *why);

const struct uuid *incarnation_id(const struct incarnation *i);
bool incarnation_may_claim(const struct incarnation *i);
struct list *incarnation_link(struct incarnation *i); /* for the owner's list */
struct incarnation *incarnation_of(struct list *link);

#endif
