/* loop.h -- one event loop: a thread's turns, its cached time, its place to post work.
 *
 * Owner   whoever called loop_new(); loop_free() after loop_run() returned.
 * Thread  every function on the loop's own thread, but loop_post() and loop_stop(): any thread.
 * Time    loop_now_us() is monotonic, loop_wall_us() is wall time; both read once per turn. With
 *         LOOP_VIRTUAL time only moves by loop_advance(), timers fire in order, and no I/O is polled
 *         but what is already ready (tests and simulation): a turn runs due timers and ready I/O;
 *         loop_run() jumps from timer to timer until nothing more happens.
 * Errors  loop_new: aborts only when the kernel has no descriptors. */
#ifndef LOOP_LOOP_H
#define LOOP_LOOP_H

#include "base/macros.h"

#include <uv.h>

struct loop;
struct ring;
typedef void loop_fn(void *arg);

enum loop_clock { LOOP_REAL, LOOP_VIRTUAL };

struct loop *loop_new(enum loop_clock clock) MUST_USE;
void loop_free(
    struct loop **loop);          /* closes its own handles; asserts that no other handle is open */
void loop_run(struct loop *loop); /* until loop_stop() or nothing is left to wait for */
bool loop_run_once(struct loop *loop, bool wait); /* one turn; false when nothing is left */
void loop_stop(struct loop *loop);                /* any thread */
int64_t loop_now_us(const struct loop *loop);
int64_t loop_wall_us(const struct loop *loop);
void loop_set_wall(struct loop *loop, int64_t wall_us); /* LOOP_VIRTUAL only */
void loop_advance(struct loop *loop, int64_t us);       /* LOOP_VIRTUAL only: runs what falls due */
/* LOOP_VIRTUAL only: time passes and nothing runs, as for a process that was stopped. What fell due
 * meanwhile is late, and runs at the next turn. May be called by what runs on the loop. */
void loop_oversleep(struct loop *loop, int64_t us);
void loop_defer(struct loop *loop, loop_fn *fn,
                void *arg); /* runs later in this or the next turn */
/* From any thread: fn runs on the loop. -EBUSY when LIMIT_MAILBOX calls wait already. For things with
 * no mailbox of their own; messages between rooms go through a mailbox. */
int loop_post(struct loop *loop, loop_fn *fn, void *arg) MUST_USE;
bool loop_is_virtual(const struct loop *loop);
/* Sockets of this loop go through io_uring where the kernel has it (ring.h); said before it runs. */
void loop_use_ring(struct loop *loop);
/* The loop's, made when first asked for, on its own thread; NULL: poll. */
struct ring *loop_ring(struct loop *loop);
uv_loop_t *loop_uv(struct loop *loop); /* for src/loop, src/net and src/store only */

#endif
