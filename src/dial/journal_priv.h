/* journal_priv.h -- the journal's files, as the pool's threads handle them (journal_file.c).
 *
 * Owner   journal.c; what is handed to the pool is the pool's until it comes back.
 * Thread  a pool thread; nothing here knows a loop. */
#ifndef DIAL_JOURNAL_PRIV_H
#define DIAL_JOURNAL_PRIV_H

#include "dial/journal.h"

#define JOURNAL_FILE_MAX (32 * 1024 * 1024) /* no segment of ours comes near */

struct journal_writer {
    char dir[LOCK_PATH_SIZE];
    char path[LOCK_PATH_SIZE + 64];
    int fd;           /* -1: none; holds the segment's lock */
    int64_t bytes;    /* good ones: what a failed write left behind is cut off */
    int64_t noted_us; /* the last answer of the database that was written */
};

struct journal_write {
    struct journal *owner;
    struct journal_writer writer;
    struct journal_head head;
    struct buf lines;
    int64_t wall_us;
    bool segment; /* begin another one first */
    int err;
};

struct journal_reading {
    struct journal_op *op;
    char dir[LOCK_PATH_SIZE];
    char data_dir[LOCK_PATH_SIZE];
    struct uuid node_id;
    bool oldest;
    struct journal_head now;
    int64_t before_us;
    struct journal_contents contents;
    struct journal_old old;
};

int journal_dir_make(const char *data_dir, char out[LOCK_PATH_SIZE]) MUST_USE;
void journal_write_now(struct journal_write *w);
void journal_writer_close(struct journal_writer *w);
void journal_read_now(struct journal_reading *r);
void journal_oldest_now(struct journal_reading *r);
void journal_reading_fini(struct journal_reading *r);

#endif
