/* history.h -- after a failover or a restore: stop, put the journal back, compare with the carrier, go on.
 *
 *     on_turn -> checked in -> OPEN: we may claim
 *                   |- REPLAY -> journal read -> parts put back -> sweep of the accounts -> done -> again
 *                   |- WAIT    for other nodes, or for late ones
 *                   '- ACCEPT  a database restored from a backup waits for `dialwright recovery accept`
 *
 * The database knows which of its histories (cluster and timeline) are dialed on, and gives no claim away on
 * another. This is the node's side of it. A connection that was made anew may lead to another server, so
 * nothing is claimed from then until it was asked. When the history is another one, everything claimed on the old one
 * and not yet in the journal is signed off (history_generation), and worker incarnations end.
 *
 * Owner   history_open()/history_close(); env, its journal and its orphans outlive it.
 * Thread  the control loop.
 * Source  never-twice 2.3-13; docs/decisions/0011. */
#ifndef DIAL_HISTORY_H
#define DIAL_HISTORY_H

#include "dial/dial_env.h"

/* The history is another one: end what claims. */
typedef void history_fn(void *arg);

void history_open(struct history **out, const struct dial_env *env, history_fn *on_moved,
                  void *arg);
void history_close(struct history **h);

bool history_may_claim(const struct history *h);
const char *history_why(const struct history *h); /* why not; "" */
/* Rises when the history changes: what was claimed under a smaller one is POSTed no more. */
uint64_t history_generation(const struct history *h);
void history_answered(struct history *h); /* the database did: kept in the journal */

#endif
