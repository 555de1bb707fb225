/* ring.h -- sockets that are read and written without a system call each: io_uring under a loop.
 *
 * What a turn of the loop wants to send leaves with one call at its end; what arrived lies in buffers
 * that the kernel was lent. Everything else about the loop stays as it is. Where the kernel has no
 * io_uring (before 6.1, or forbidden, as in most containers) loop_ring() is NULL, and the caller polls.
 *
 *     ring_open -> ring_listen -> on_ready -> ring_read … ring_write -> ring_close
 *
 * on_ready(UV_READABLE): read until -EAGAIN at once, what is left is dropped (a reader that stops is a
 * reader that is done). on_ready(UV_WRITABLE): after ring_write() or ring_flushed() said -EAGAIN, or
 * when sending failed.
 *
 * Owner   ring_open()/ring_close(); the descriptor stays the caller's, who may close it right after.
 * Thread  the loop's.
 * Limits  RING_PENDING_BYTES wait to be sent per socket, then -EAGAIN.
 * Errors  as recv(2) and send(2), -errno; 0 at the end of the stream.
 * Source  io_uring(7), io_uring_prep_recv_multishot(3). */
#ifndef LOOP_RING_H
#define LOOP_RING_H

#include "loop/loop.h"

#include <sys/types.h>

#define RING_PENDING_BYTES (64UL * 1024)

struct ring;
struct ring_sock;
typedef void ring_ready_fn(int events, void *arg); /* UV_READABLE, UV_WRITABLE */

struct ring_sock *ring_open(struct ring *ring, int fd) MUST_USE;
void ring_listen(struct ring_sock *s, ring_ready_fn *on_ready, void *arg);
ssize_t ring_read(struct ring_sock *s, void *p, size_t size);
ssize_t ring_write(struct ring_sock *s, const void *p, size_t size); /* copied */
size_t ring_unsent(const struct ring_sock *s);
/* 0: the socket has all that was written; -EAGAIN: not yet, on_ready(UV_WRITABLE) will tell; or how the
 * sending failed. */
int ring_flushed(struct ring_sock *s);
/* Nothing runs after it but on_closed (may be NULL), later, when the kernel has let go. What waits to be
 * sent is given to the socket if it has room. */
void ring_close(struct ring_sock **s, loop_fn *on_closed, void *arg);

/* For loop.c. -errno when the kernel refuses. */
int ring_new(struct ring **out, struct loop *loop) MUST_USE;
void ring_free(struct ring **ring);

#endif
