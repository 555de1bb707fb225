/* media_loop.h -- a thread that holds calls: its own loop, HTTP client and pace clock, and a
 * mailbox each way. The control side starts it, speaks to it by call_down messages, hears call_up
 * messages.
 *
 * Owner   the desk: media_loop_start(), then media_loop_stop() (ends what still lives, joins).
 * Thread  start, post, stop: the control loop. on_up runs there. Everything else is the thread's
 * own. Limits  LIMIT_MAILBOX messages each way. Down: -EBUSY to the sender. Up: what does not fit
 * waits on the media side (UP_WAITING_MAX, then turns and usage are dropped and counted) and is
 * posted again every 20 ms: an opt-out is never lost to a full mailbox. Errors  media_loop_start:
 * -errno of thread creation. */
#ifndef CALL_MEDIA_LOOP_H
#define CALL_MEDIA_LOOP_H

#include "call/call_msg.h"
#include "loop/mailbox.h"

#define UP_WAITING_MAX 16384

struct media_loop;

/* up: mailbox of the control loop, shared by all media loops. */
int media_loop_start(struct media_loop **out, uint32_t index, const struct call_env *env,
                     struct mailbox *up) MUST_USE;
void media_loop_stop(struct media_loop **m);
int media_loop_post(struct media_loop *m, struct call_down *message) MUST_USE;

/* For tests and the simulation: the same on a loop that the caller turns; no thread. */
int media_loop_open(struct media_loop **out, uint32_t index, struct loop *loop,
                    const struct call_env *env, struct mailbox *up) MUST_USE;
void media_loop_close(struct media_loop **m);
size_t media_loop_calls(const struct media_loop *m);

#endif
