/* opt_out_spool.h -- "never call me again" outlives the process, the database and a full disk.
 *
 * Every opt-out is appended to a file of this process in DATA_DIR/opt_outs (O_APPEND | O_DSYNC, mode
 * 0600) beside its way into the database; the file is emptied when the database has all of it. What
 * a dead process left is played by opt_out_play.h. When the disk refuses, the record stays in memory
 * and is written again every SPOOL_AGAIN_MS, for as long as the database does not have it.
 *
 * Owner   spool_open()/spool_close(), the desk.
 * Thread  the control loop; the file is touched on the worker pool, and at the close.
 * Errors  none that stop anything: counted in opt_out_spool_total, logged without the number. */
#ifndef CALL_OPT_OUT_SPOOL_H
#define CALL_OPT_OUT_SPOOL_H

#include "call/opt_out_record.h"
#include "loop/loop.h"

#define SPOOL_AGAIN_MS 1000
#define SPOOL_PATH     512
#define SPOOL_DIR      "opt_outs"
#define SPOOL_SUFFIX   ".spool"

struct opt_out_spool;
typedef void spool_kept_fn(uint64_t no, void *arg); /* it is on disk now */

void spool_open(struct opt_out_spool **out, struct loop *loop, const char *data_dir,
                spool_kept_fn *on_kept, void *arg);
void spool_close(struct opt_out_spool **spool); /* what the database lacks stays on disk */
/* Takes a record; returns its number, never 0. on_kept comes later, or never when the disk refuses. */
uint64_t spool_keep(struct opt_out_spool *spool, const struct opt_out_record *record);
void spool_done(struct opt_out_spool *spool, uint64_t no);      /* the database has it */
bool spool_has(const struct opt_out_spool *spool, uint64_t no); /* it is on disk */

#endif
