/* orphans.h -- the carrier's whole list of an account against ours: every call must be an attempt's.
 *
 * Every orphan_sweep_s, at the start, and before a new history of the database is dialed on. A call that belongs
 * to nobody means that somebody phones in our name, or that the ledger lost a dial: it is on the audit log once, and
 * counted. After a restore such a call is taken for a dial of the lead that has its number (`adopt`).
 *
 * Owner   orphans_open()/orphans_close(); `env` outlives it, its accounts are closed before it.
 * Thread  the control loop.
 * Limits  one account at a time; a list in slices of the carrier's pages (carrier.h), parts of 100 calls a transaction.
 * Errors  an account whose list cannot be read is tried again at the next sweep, and counted; it stops nobody but a
 *          restore (history.h). Accounts that are retired are not looked at.
 * Source  never-twice 2.3-12. */
#ifndef DIAL_ORPHANS_H
#define DIAL_ORPHANS_H

#include "dial/dial_env.h"

/* All accounts were looked at; `failed` of them could not be read. */
typedef void orphans_fn(size_t failed, void *arg);

void orphans_open(struct orphans **out, const struct dial_env *env);
void orphans_close(struct orphans **o);
/* All accounts now, from since_us on (0: from where the last sweep ended). on_swept once, unless closed before. */
void orphans_sweep(struct orphans *o, bool adopt, int64_t since_us, orphans_fn *on_swept,
                   void *arg);

#endif
