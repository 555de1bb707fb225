/* journal.h -- what is about to be POSTed, on our own disk: for the day on which the database forgets it.
 *
 * An asynchronous failover loses the last commits, and with them intents whose phones ring. Each dial is
 * written here after its commit and before its POST, so that its row can be rebuilt (history.h). Writing is
 * grouped: while one write is on its way to the disk the next ones gather, and share the next.
 *
 *     DATA_DIR/journal/<moment>-<node>.journal    one process, one history of the database, about an hour
 *
 * A process holds the lock of the segment that it writes, and lets go of it when it has begun the next: one that
 * holds none is dead.
 *
 * Contract journal_append: refused => silent; accepted => on_done exactly once, later: 0 when it is on disk, negative
 *          errno when it is not; cancelled => silent (it may be written all the same, which harms nobody).
 * Owner   journal_open()/journal_close(). Nothing is written before journal_begin().
 * Thread  the control loop; files are touched on the pool.
 * Limits  JOURNAL_SEGMENT_BYTES; kept for `keep_h` hours, and as long as the database does not know an attempt's end.
 * Errors  a full disk: journal_why() says so, and the next append is refused until a write has worked again.
 * Source  never-twice 2.3-2. */
#ifndef DIAL_JOURNAL_H
#define DIAL_JOURNAL_H

#include "dial/journal_line.h"
#include "dial/lock_file.h"
#include "loop/loop.h"

#define JOURNAL_SEGMENT_BYTES (1024 * 1024)
#define JOURNAL_SEGMENT_MS    3600000
#define JOURNAL_ANSWER_MS     60000 /* how often it is noted that the database answers */

struct journal;
struct journal_op;
typedef void journal_done_fn(int err, void *arg);

int journal_open(struct journal **out, struct loop *loop, const char *data_dir,
                 const struct uuid *node_id) MUST_USE;
void journal_close(struct journal **j); /* NULL-safe; silent */
/* From here on lines belong to this history: another segment. */
void journal_begin(struct journal *j, const struct journal_head *head);

int journal_append(struct journal_op **op, struct journal *j, const struct journal_entry *entry,
                   journal_done_fn *on_done, void *arg) MUST_USE;
void journal_cancel(struct journal_op **op); /* NULL-safe */
void journal_answered(struct journal *j, int64_t at_us);
/* The last attempt that this process has on disk, and the history it was made on; false: none. */
bool journal_last(const struct journal *j, struct uuid *call_id, struct journal_head *head);
const char *journal_why(const struct journal *j); /* why nothing can be written; "" */

/* --- reading: everything of one installation that lies in the directory ---------------------------- */

struct journal_read_entry {
    struct journal_entry entry;
    bool old;  /* written on another history than the one asked for */
    bool over; /* its worker is dead: nobody holds its lock */
};
struct journal_contents {
    struct journal_read_entry *entries;
    size_t count;
    struct uuid *dead; /* other processes that are gone, each once: we speak for them */
    size_t dead_count;
    struct uuid newest; /* nil: none */
    struct journal_head newest_head;
    int64_t newest_us;
    int64_t last_us; /* when the database last answered anybody here; 0 never */
    int bad;         /* lines that are none */
    int err;         /* negative errno: it could not be read */
};
typedef void journal_read_fn(const struct journal_contents *contents, void *arg);
/* Begins when all appends so far are done. The contents live during on_read. */
void journal_read(struct journal_op **op, struct journal *j, const struct journal_head *now,
                  journal_read_fn *on_read, void *arg);

/* --- forgetting ------------------------------------------------------------------------------------ */

struct journal_old {
    char path[LOCK_PATH_SIZE + 300]; /* "": nothing is left */
    struct uuid *calls;
    size_t count;
};
typedef void journal_old_fn(const struct journal_old *old, void *arg);
/* The first segment behind `after` ("": of all) that nobody writes any more and that has nothing newer than
 * before_us. */
void journal_oldest(struct journal_op **op, struct journal *j, const struct journal_head *now,
                    const char *after, int64_t before_us, journal_old_fn *on_old, void *arg);
void journal_forget(const char *path);

#endif
