/* store.h -- what all typed statements share: the shape of their callbacks.
 *
 * One header per family: store_dial.h (the dialer's), store_call.h (webhooks and the talk). Others
 * (store_insight.h, store_handoff.h, store_admin.h) come with their rooms; pg_conn.h says how.
 *
 * Shape   int store_<verb>(struct pg_tx **op, struct pg_pool *db, <arguments>, <fn> *on_done, void
 * *arg); op may be NULL; else *op can be given to store_cancel() until on_done begins. Refused
 * (-EBUSY, the queue is full) => silent. on_done gets `const struct fault *` first: when its class
 * is not FAULT_NONE the other arguments are zero. FAULT_UNSURE after a write means it may have
 * happened; every write here can be repeated with the same arguments, and then changes nothing.
 * Thread  the pool's loop. Another loop asks by mailbox.
 * Time    every decision takes its moment: at_us, wall, of the loop (loop_wall_us()). */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include "base/fault.h"
#include "store/pg_conn.h"

struct pg_tx;

typedef void store_done_fn(const struct fault *fault, void *arg);

void store_cancel(struct pg_tx **op); /* NULL-safe */

#endif
