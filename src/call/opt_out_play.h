/* opt_out_play.h -- plays the opt-outs that dead processes left in DATA_DIR/opt_outs into the database.
 *
 * A file is a dead process's when its lock can be taken. It is played record by record, at the start
 * and again every PLAY_LOOK_MS, and removed when the database has all of it; with lines that are no
 * records it is put aside as *.torn for people to read. Played twice, an opt-out changes nothing.
 *
 * Owner   play_open()/play_close(), the desk.
 * Thread  the control loop; files are read on the worker pool.
 * Limits  PLAY_FILE_MAX bytes of a file are read; the rest is put aside with it.
 * Errors  a database that is away: the record is played again every PLAY_AGAIN_MS, without an end. A
 *         record that it refuses is logged and passed by; its file stays for the next process. */
#ifndef CALL_OPT_OUT_PLAY_H
#define CALL_OPT_OUT_PLAY_H

#include "call/call_desk.h"

#define PLAY_LOOK_MS  5000
#define PLAY_AGAIN_MS 1000
#define PLAY_FILE_MAX (16 * 1024 * 1024)

struct opt_out_play;

void play_open(struct opt_out_play **out, struct loop *loop, const char *data_dir,
               const struct desk_store *store);
void play_close(struct opt_out_play **play);

#endif
