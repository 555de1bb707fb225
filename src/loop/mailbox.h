/* mailbox.h -- a bounded queue of messages into a loop; ownership moves with the message.
 *
 * Owner   the receiving side; mailbox_free() on its thread when no sender is left. Undelivered
 *         messages are given to drop().
 * Thread  mailbox_post(): any; the others on the loop's thread. deliver() runs on the loop, one call per message, in order per sender.
 * Limits  capacity messages; then mailbox_post() returns -EBUSY and the sender keeps the message. */
#ifndef LOOP_MAILBOX_H
#define LOOP_MAILBOX_H

#include "loop/loop.h"

struct mailbox;
typedef void mailbox_deliver_fn(void *message, void *arg);
typedef void mailbox_drop_fn(void *message);

struct mailbox *mailbox_new(struct loop *loop, size_t capacity, mailbox_deliver_fn *deliver,
                            mailbox_drop_fn *drop, void *arg) MUST_USE;
void mailbox_free(struct mailbox **m);
/* Delivers what is there, now: for the receiver's own end, when no sender is left. */
void mailbox_empty(struct mailbox *m);
int mailbox_post(struct mailbox *m, void *message) MUST_USE; /* 0 or -EBUSY */

#endif
