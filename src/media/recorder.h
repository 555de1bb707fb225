/* recorder.h -- both sides of a talk in one stereo file, time-aligned: left the lead, right the AI
 * as it was played.
 *
 * 8 kHz mu-law WAV, so nothing is transcoded. Time 0 is recorder_start(). The lead's audio is
 * placed when it arrives (one stream without gaps stays gapless; a real gap is filled with
 * silence), the AI's when it plays; what a clear threw away is erased again. A window of a second
 * and a half is kept in memory, what is older goes to a worker thread in chunks; data first, then
 * the sizes in the header, so the file can be played after a crash at any moment.
 *
 * Contract recorder_stop(): on_done exactly once, later; also when nothing could be written (then
 *          info.error is set). After it the recorder is dead and can be freed.
 * Owner   whoever called recorder_start(); recorder_free() any time: a worker still at it ends
 * alone. Thread  the loop's; files are touched by the worker pool only. Time    now_us, starts_us:
 * the loop's monotonic clock. Limits  RECORDER_BACKLOG chunks waiting for a slow disk; then silence
 * is recorded and counted. Source  RIFF/WAVE, format tag 7 (mu-law): fmt with cbSize, fact, data.
 */
#ifndef MEDIA_RECORDER_H
#define MEDIA_RECORDER_H

#include "base/str.h"
#include "loop/loop.h"

#define RECORDER_WINDOW    8192 /* samples kept in memory */
#define RECORDER_CHUNK     4000 /* samples a write */
#define RECORDER_BACKLOG   32
#define RECORDER_PATH_SIZE 512

struct recorder;

struct recorder_info {
    const char *path;
    int64_t bytes; /* of the file */
    int64_t duration_ms;
    int64_t lost_ms; /* silence instead of sound: the disk was too slow */
    int error;       /* 0, or -errno of the first failure */
};
typedef void recorder_done_fn(const struct recorder_info *info, void *arg);

/* Directories of `path` are made (0700), the file is 0600. */
struct recorder *recorder_start(struct loop *loop, const char *path) MUST_USE;
void recorder_free(struct recorder **r);

void recorder_lead(struct recorder *r, const uint8_t *ulaw, size_t size_bytes, int64_t now_us);
void recorder_ai(struct recorder *r, const uint8_t *ulaw, size_t size_bytes, int64_t starts_us);
void recorder_cut(struct recorder *r,
                  int64_t now_us); /* the AI's audio from now on was not played */
void recorder_stop(struct recorder *r, int64_t now_us, recorder_done_fn *on_done, void *arg);

#endif
