/* media_subject.h -- what the media bench measures, each in a process of its own: the bridge as it is
 * in the product (HTTP upgrade, desk, one media loop, voice_realtime, recorder; only the database is
 * not there), and a bare relay, which copies bytes between two sockets and knows nothing.
 *
 * Owner   the child process; neither function returns.
 * Thread  the child's. */
#ifndef BENCH_MEDIA_SUBJECT_H
#define BENCH_MEDIA_SUBJECT_H

#include "base/macros.h"

#include <stdint.h>

/* Writes its port to ready_fd once it listens; leaves when stop_fd is closed. poll_only: no io_uring. */
void subject_bridge(uint16_t model_port, size_t calls, bool poll_only, const char *data_dir,
                    int ready_fd, int stop_fd) NORETURN;
/* pairs: carrier side and model side of each call. */
void subject_relay(const int (*pairs)[2], size_t calls, int ready_fd, int stop_fd) NORETURN;

#endif
