/* pacer.h -- hands the AI's audio to the carrier at the speed at which it is played, a little
 * ahead.
 *
 * The model makes audio faster than it can be spoken; the carrier would buffer it all, and nobody
 * would know what was heard. So the audio waits here as the base64 text it came as, and leaves in
 * frames of 20 ms while the carrier holds less than PACER_LEAD_MS unplayed (PACER_LEAD_MAX_MS is
 * never passed).
 *
 * Nothing is decoded: 60 ms are 480 bytes are 160 groups of four digits, so frames of 53, 53 and 54
 * groups are 20 ms each in the mean and can be cut out of the text. Where a delta ends in padding
 * the frame ends there too. A frame may consist of the tails of several deltas.
 *
 * One timer per loop (struct pace_clock) serves all its calls.
 *
 * Owner   whoever embeds it; pacer_fini() any time but inside on_frame or on_drained.
 * Thread  one loop. on_frame and on_drained also run inside pacer_add().
 * Limits  PACER_CHARS_MAX of text waiting (about five minutes): -ENOBUFS.
 * Errors  pacer_add: -EINVAL when the text is not base64 with its padding at the end, if at all. */
#ifndef MEDIA_PACER_H
#define MEDIA_PACER_H

#include "loop/timer.h"
#include "media/playback.h"

#define PACER_TICK_MS     20
#define PACER_LEAD_MS     160
#define PACER_LEAD_MAX_MS 200
#define PACER_CHARS_MAX   (4UL * 1024 * 1024)
#define PACER_PARTS_MAX   6 /* deltas that one frame may be made of */

struct pace_clock {
    struct loop *loop;
    struct timer tick;
    struct list active;
};

/* One frame to be sent now: base64 in parts, `bytes` of audio. starts_us: when it begins to play.
 */
typedef int pacer_frame_fn(const struct play_item *item, const struct str *parts, size_t count,
                           int64_t bytes, int64_t starts_us, void *arg);

struct pacer {
    struct list link; /* in clock->active while text waits */
    struct pace_clock *clock;
    struct playback *playback;
    struct list chunks;
    size_t chars;
    unsigned phase; /* which of the three frame lengths comes next */
    pacer_frame_fn *on_frame;
    void *arg;
    uint64_t frames;
    int64_t lead_max_us; /* the highest ever, for the record */
};

void pace_clock_init(struct pace_clock *clock, struct loop *loop);
void pace_clock_fini(struct pace_clock *clock);

void pacer_init(struct pacer *p, struct pace_clock *clock, struct playback *playback,
                pacer_frame_fn *on_frame, void *arg);
void pacer_fini(struct pacer *p);
/* Decoded size of base64 text, or -EINVAL. */
int64_t pacer_text_bytes(struct str base64);
int pacer_add(struct pacer *p, struct play_item *item, struct str base64) MUST_USE;
/* The item will get no more audio: what is left of it may leave as a short frame. */
void pacer_end(struct pacer *p, struct play_item *item);
void pacer_drop(struct pacer *p); /* forgets what was not sent */
bool pacer_empty(const struct pacer *p);
int64_t pacer_waiting_ms(const struct pacer *p);

#endif
