/* undertaker.h -- finds worker incarnations that died on this machine, and writes their death down.
 *
 * A lock that can be taken has no living owner (lock_file.h). It is held while the proof is on its way into the
 * database, so that of several daemons that share the directory one does it. What the dead had in hand is
 * due for the reconciler at once.
 *
 * Owner   undertaker_open()/undertaker_close(); `env` outlives it.
 * Thread  the control loop (the directory is read on the pool).
 * Time    looks every UNDERTAKER_MS: a death is on record within that, and one transaction.
 * Source  never-twice 2.3-8. */
#ifndef DIAL_UNDERTAKER_H
#define DIAL_UNDERTAKER_H

#include "dial/dial_env.h"

#define UNDERTAKER_MS 500

struct undertaker;
/* A death is on record, and `attempts` of its attempts are to be asked about. */
typedef void undertaker_fn(int64_t attempts, void *arg);

void undertaker_open(struct undertaker **out, const struct dial_env *env, undertaker_fn *on_buried,
                     void *arg);
void undertaker_close(struct undertaker **u);

#endif
