/* lock_file.h -- proof of life and of death: a worker incarnation holds the lock of its file for as long
 * as it may still ask the carrier for a call.
 *
 * The kernel drops the lock when the last descriptor closes, however the process ends. So whoever can
 * take it knows that its owner cannot POST any more (never-twice 2.3-8). The descriptor is close-on-exec
 * and given to nobody: a lock that outlives its owner only blocks, but for long.
 *
 * Owner   lock_take(): the caller, until lock_drop(). lock_scan(): the caller drops each that it got.
 * Thread  any; short file system calls (lock_scan() reads a directory: on a pool thread).
 * Errors  -EWOULDBLOCK: somebody lives there; other negative errno: the directory is unusable.
 * Source  flock(2); never-twice 2.3-8. */
#ifndef DIAL_LOCK_FILE_H
#define DIAL_LOCK_FILE_H

#include "base/uuid.h"

#define LOCK_PATH_SIZE 512

struct lock_file {
    struct uuid worker_id;
    char path[LOCK_PATH_SIZE];
    int fd; /* -1: not held */
};

/* Makes data_dir/run/w-<uuid>.lock and holds it. */
int lock_take(struct lock_file *lock, const char *data_dir, const struct uuid *worker_id) MUST_USE;
void lock_drop(struct lock_file *lock); /* closes: others may take it */
void lock_remove(
    struct lock_file *lock); /* deletes the file, then closes: its worker's end is on record */

/* 1: somebody lives there; 0: its owner is dead, or its end is on record; negative errno: not known. */
int lock_held(const char *data_dir, const struct uuid *worker_id) MUST_USE;

/* Takes every lock of data_dir/run that can be had, at most `max`: their workers are dead. Returns how many.
 * Files that cannot be opened are left alone: nothing is concluded from them. */
int lock_scan(const char *data_dir, struct lock_file *found, size_t max) MUST_USE;

#endif
