/* transcript_order.h -- the turns of a talk in the order they were spoken.
 *
 * The model announces items in any order, and the transcription of a turn may come before the item,
 * long after the answer to it, or never. Each item names the one before it; this chain is the
 * order. A turn is told (on_turn) when everything before it is known, its text never before that.
 * Items that are no turns (tool calls, notes, what we put in ourselves) only carry the chain on.
 *
 * Owner   embedded in the session; turns_fini() drops all, silently.
 * Thread  the session's. Callbacks run inside the calls below.
 * Limits  TURNS_MAX items (more are counted, not told), TURNS_WAITING_MAX of them waiting for one
 * before them, and the session waits a second at most (turns_hurry): then they are told in the
 * order they came, for a text may hold an opt-out. Text of one turn TURN_TEXT_MAX bytes, the rest
 * is cut. Source docs/voice-realtime.md, "Transcripts". */
#ifndef VOICE_REALTIME_TRANSCRIPT_ORDER_H
#define VOICE_REALTIME_TRANSCRIPT_ORDER_H

#include "base/buf.h"
#include "base/map.h"
#include "voice/voice.h"

#define TURNS_MAX         4096
#define TURNS_WAITING_MAX 32
#define TURN_TEXT_MAX     (32 * 1024)

enum turn_kind { TURN_AI, TURN_LEAD, TURN_NONE /* not a turn */ };

struct turn {
    char *item_id;
    char *before_id;     /* its predecessor; only while it waits, "" = known to be first */
    struct turn *before; /* the turn or item it was placed behind */
    enum turn_kind kind;
    bool placed;
    bool known; /* announced: kind and predecessor are known, not just text or audio */
    bool final; /* text complete */
    bool told_final;
    struct buf text;
    int64_t audio_bytes; /* AI: what the model sent of it */
    bool audio_ended;
};

struct turns {
    struct map by_id;
    struct turn **all; /* in order of arrival */
    size_t count;
    size_t size;
    size_t waiting;    /* known, not placed */
    size_t refused;    /* beyond TURNS_MAX */
    struct turn *last; /* placed last */
    void (*on_turn)(enum voice_speaker who, const char *item_id, const char *after_id, void *arg);
    void (*on_text)(enum voice_speaker who, const char *item_id, struct str text, bool final,
                    void *arg);
    void *arg;
};

void turns_init(struct turns *t);
void turns_fini(struct turns *t);
struct turn *turns_get(const struct turns *t, struct str item_id); /* NULL */
/* The turn, made when unknown; NULL when the talk is over its limits. */
struct turn *turns_need(struct turns *t, struct str item_id);
/* The place of an item. before: the item before it, empty = the first; before_known false: the
 * server does not say, it goes to the end. A second announcement changes nothing. */
void turns_announce(struct turns *t, struct str item_id, enum turn_kind kind, struct str before,
                    bool before_known);
/* A piece of text. */
void turns_add_text(struct turns *t, struct str item_id, struct str piece);
/* All of the text (empty: what was added so far, or nothing), and no more will come. */
void turns_end_text(struct turns *t, struct str item_id, struct str whole);
/* Whatever a turn waits for will not come: tells all that wait, in order of arrival. */
void turns_hurry(struct turns *t);
/* The talk is over: tells what still waits, in order of arrival, and ends every text. */
void turns_settle(struct turns *t);

#endif
