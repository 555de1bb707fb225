/* playback.h -- the ledger of what was sent to be played and how much of it was heard.
 *
 * The carrier plays what it is given at 8 bytes a millisecond. We know when we sent each byte, and
 * checkpoints tell what was really played, so at any moment
 *
 *     heard = min(sent, played by a player that began at our sends, last checkpoint + time since
 * it)
 *
 * of the stream, and for each item the part of that which lies in it. Checkpoint names carry the
 * generation; a clear begins a new one, and acknowledgements of the old one are ignored, because
 * what they speak of was thrown away.
 *
 * Items play in the order in which they were begun. An item leaves the ledger when it was heard to
 * its end, or when a clear cut it.
 *
 * Owner   whoever embeds it; playback_fini() drops items without telling.
 * Thread  one loop.
 * Time    now_us: the loop's monotonic clock. Positions are bytes of 8 kHz mu-law (8 a
 * millisecond). Source  docs/carrier-plivo.md (checkpoints), docs/voice-realtime.md (truncation).
 */
#ifndef MEDIA_PLAYBACK_H
#define MEDIA_PLAYBACK_H

#include "base/list.h"
#include "base/str.h"

#define PLAYBACK_ID_SIZE         128
#define PLAYBACK_NAME_SIZE       64
#define PLAYBACK_CHECKPOINT_MS   200  /* of audio between two checkpoints */
#define PLAYBACK_ACK_PATIENCE_MS 2000 /* a checkpoint this late after its audio will not come */
#define PLAYBACK_BYTES_MS        8

struct play_item {
    struct list link;
    char id[PLAYBACK_ID_SIZE];
    uint32_t number;
    int64_t queued_bytes;
    int64_t sent_bytes;
    int64_t start_pos;  /* where in the stream of this generation; valid once sent_bytes > 0 */
    int64_t started_us; /* when its first byte began to play, by our reckoning */
    bool complete;      /* no more audio will be queued */
};

enum play_heard { PLAY_FULL, PLAY_CUT, PLAY_NONE };

struct play_end { /* how an item ended */
    const struct play_item *item;
    enum play_heard heard;
    int64_t heard_ms; /* never more than the item's audio */
    int64_t sent_ms;
    int64_t queued_ms;
    int64_t started_us; /* 0: never began */
};
typedef void playback_end_fn(const struct play_end *end, void *arg);

struct playback {
    struct list items;
    playback_end_fn *on_end;
    void *arg;
    uint32_t generation;
    uint32_t item_last;
    int64_t sent_pos;
    int64_t busy_until_us; /* when all that was sent will have been played */
    int64_t asked_pos;     /* of the last checkpoint sent */
    int64_t acked_pos;     /* of the last checkpoint played; -1 none in this generation */
    int64_t acked_us;
    uint64_t stale_count; /* acknowledgements of old generations, or nonsense */
};

enum playback_ack { PLAYBACK_ACKED, PLAYBACK_STALE };

void playback_init(struct playback *p, playback_end_fn *on_end, void *arg);
void playback_fini(struct playback *p);

/* The item of that id, begun when it is new. Only the last one begun may still grow. */
struct play_item *playback_item(struct playback *p, const char *id);
void playback_queued(struct play_item *item, int64_t bytes);
void playback_complete(struct playback *p, struct play_item *item, int64_t now_us);
/* Bytes left us; returns when they begin to play. */
int64_t playback_sent(struct playback *p, struct play_item *item, int64_t bytes, int64_t now_us);
/* Audio sent and not yet played, by our reckoning. */
int64_t playback_lead_us(const struct playback *p, int64_t now_us);

/* True when a checkpoint should follow what was just sent: the first frame of an item, every
 * PLAYBACK_CHECKPOINT_MS, and its end. */
bool playback_wants_checkpoint(const struct playback *p, const struct play_item *item);
void playback_checkpoint(struct playback *p, const struct play_item *item,
                         char name[PLAYBACK_NAME_SIZE]);
enum playback_ack playback_acked(struct playback *p, struct str name, int64_t now_us);
/* Ends items whose last checkpoint is overdue. */
void playback_expire(struct playback *p, int64_t now_us);

int64_t playback_heard_ms(const struct playback *p, const struct play_item *item, int64_t now_us);
struct play_item *playback_current(const struct playback *p); /* being heard, or next; NULL idle */
bool playback_idle(const struct playback *p);
/* Everything not yet heard is thrown away; on_end for each item, in order; a new generation begins.
 */
void playback_clear(struct playback *p, int64_t now_us);

#endif
