/* worker.h -- blocking work off the loop: files, DNS, password hashing, phone number parsing.
 *
 * Contract refused => silent; accepted => on_done exactly once, later, on the same loop;
 *          cancelled => silent (the work itself may still run to its end).
 * Owner   `arg` must live until on_done; after worker_cancel() `drop(arg)` runs on the loop when the
 *         work is over, so it can be freed there.
 * Thread  work() on a pool thread; the rest on the loop. */
#ifndef LOOP_WORKER_H
#define LOOP_WORKER_H

#include "loop/loop.h"

struct worker_op;
typedef void worker_fn(void *arg);

int worker_start(struct worker_op **op, struct loop *loop, worker_fn *work, worker_fn *on_done,
                 worker_fn *drop, void *arg) MUST_USE;
void worker_cancel(struct worker_op **op); /* NULL-safe */

#endif
