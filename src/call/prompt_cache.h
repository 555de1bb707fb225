/* prompt_cache.h -- spoken openings on disk, so that the next call plays them at once.
 *
 * A file is raw 8 kHz mu-law, named by what was said, in which voice, by which model. Only audio
 * whose transcript was word for word the text gets here.
 *
 * Contract prompt_load: refused => silent; accepted => on_loaded exactly once, later; cancelled =>
 * silent. prompt_save: fire and forget; written beside and renamed, so a reader never sees half a
 * file. Owner   the operation itself. The audio is valid during on_loaded; *audio may be taken
 * (xfree it). Thread  the loop's; files on the worker pool. Limits  PROMPT_BYTES_MAX of audio (two
 * minutes). */
#ifndef CALL_PROMPT_CACHE_H
#define CALL_PROMPT_CACHE_H

#include "base/str.h"
#include "loop/loop.h"

#define PROMPT_BYTES_MAX (960 * 1024)
#define PROMPT_KEY_SIZE  65

struct prompt_op;
typedef void prompt_loaded_fn(uint8_t **audio, size_t size_bytes, void *arg); /* NULL: not there */

void prompt_key(const char *text, const char *voice, const char *model, char out[PROMPT_KEY_SIZE]);
int prompt_load(struct prompt_op **op, struct loop *loop, const char *data_dir, const char *key,
                prompt_loaded_fn *on_loaded, void *arg) MUST_USE;
void prompt_cancel(struct prompt_op **op);
void prompt_save(struct loop *loop, const char *data_dir, const char *key, struct str audio);

#endif
