/* transcript.h -- the turns of one talk: in the order in which they happened, with their times, and
 * with what was really heard of what the AI said.
 *
 * The model tells of a turn (its place), of its text (often later, out of order) and, for its own
 * turns, we learn what was heard. A turn is emitted once it is settled: the lead's when its text is
 * final, the AI's when its text is final and its audio ended. transcript_finish() emits the rest.
 * Of a turn that was cut the body is the share of the text that was heard, cut between words.
 *
 * Owner   whoever embeds it.
 * Thread  one loop. `emit` runs inside the calls below.
 * Time    *_ms from the start of the stream; -1 unknown.
 * Limits  TRANSCRIPT_TURNS turns of TRANSCRIPT_BODY bytes; more is dropped (counted).
 * Note    Ordinals are 1024 apart, so that a turn that comes late can be put between two others
 *         without moving a row that is stored. */
#ifndef CALL_TRANSCRIPT_H
#define CALL_TRANSCRIPT_H

#include "base/buf.h"
#include "base/list.h"
#include "media/playback.h"
#include "voice/voice.h"

#define TRANSCRIPT_TURNS 2000
#define TRANSCRIPT_BODY  16384

struct turn {
    struct list link;
    char id[VOICE_ID_SIZE];
    enum voice_speaker who;
    int32_t ordinal; /* 0: not placed yet */
    int64_t start_ms;
    int64_t end_ms;
    int64_t heard_ms;
    int64_t total_ms;
    enum play_heard heard;
    bool text_final;
    bool audio_over;
    bool emitted;
    struct buf text;
};

typedef void transcript_emit_fn(const struct turn *turn, struct str body, void *arg);

struct transcript {
    struct list turns; /* in order */
    size_t count;
    uint64_t dropped;
    transcript_emit_fn *emit;
    void *arg;
};

void transcript_init(struct transcript *t, transcript_emit_fn *emit, void *arg);
void transcript_fini(struct transcript *t);

void transcript_turn(struct transcript *t, enum voice_speaker who, const char *id,
                     const char *after_id);
void transcript_text(struct transcript *t, enum voice_speaker who, const char *id, struct str text,
                     bool final);
void transcript_speech(struct transcript *t, const char *id, int64_t start_ms, int64_t end_ms);
void transcript_heard(struct transcript *t, const char *id, enum play_heard heard, int64_t start_ms,
                      int64_t heard_ms, int64_t total_ms);
/* True when no text is awaited any more. */
bool transcript_settled(const struct transcript *t);
void transcript_finish(struct transcript *t);

#endif
