/* bridge.h -- joins the carrier's media socket to the voice session of one call.
 *
 * Inward, the payload of each media frame goes to the voice as the text it came as. Outward, the
 * voice's audio goes through the pacer into playAudio envelopes, with checkpoints between, and the
 * playback ledger tells what was heard. The recorder, if there is one, gets both.
 *
 *     carrier socket -> frame_read -> voice->hear          on_start, on_dtmf, on_lost
 *     bridge_audio   -> pacer -> ws_send_parts             on_end (an item was heard, or cut)
 *
 * Owner   whoever embeds it (the call). bridge_fini() any time but inside one of its callbacks:
 * hard, silent. The voice session is borrowed: bridge_voice(NULL) before it is freed. Thread  the
 * media loop's. Limits  BRIDGE_BAD_MAX messages that make no sense, then close 1008 (1003 for
 * binary ones at once); LIMIT_MEDIA_FRAMES_S sustained; BRIDGE_IDLE_MS without media. Errors
 * on_lost runs at most once, last of all: why, and the close code of the peer if any. */
#ifndef MEDIA_BRIDGE_H
#define MEDIA_BRIDGE_H

#include "carrier/carrier.h"
#include "media/pacer.h"
#include "media/playback.h"
#include "media/recorder.h"
#include "net/ws_conn.h"
#include "voice/voice.h"

#define BRIDGE_BAD_MAX 5
#define BRIDGE_IDLE_MS 5000
#define BRIDGE_BARGE_IN_MIN_MS                                                                     \
    250 /* less than this of an item heard: an echo, more likely than a person */
#define BRIDGE_CUT_IDS 8

enum bridge_lost {
    BRIDGE_PEER_CLOSED, /* the carrier closed: the lead hung up, or the stream broke */
    BRIDGE_CUT,         /* the connection broke without a close */
    BRIDGE_NONSENSE,    /* too much that was not of the protocol, or too fast */
    BRIDGE_WRONG_CALL,  /* `start` named another call, or a format that we do not speak */
    BRIDGE_SILENT,      /* no media for BRIDGE_IDLE_MS */
    BRIDGE_DONE,        /* we closed, and the peer knows */
};

struct bridge_handlers {
    void (*on_start)(void *arg); /* the right call, the right format: audio flows */
    void (*on_dtmf)(char digit, void *arg);
    void (*on_end)(const struct play_end *end, void *arg); /* one item of the AI's audio is over */
    void (*on_lost)(enum bridge_lost why, int code, void *arg);
    void *arg;
};

struct bridge {
    struct loop *loop;
    const struct carrier *carrier;
    const struct voice *voice;
    struct voice_session *session; /* NULL: none, or not any more */
    struct bridge_handlers on;
    struct ws_conn *ws;
    struct jscan *scan; /* the loop's: a message is read to its end before the next */
    struct playback playback;
    struct pacer pacer;
    struct recorder *recorder;
    char call_id[CARRIER_ID_SIZE];
    char stream_id[CARRIER_ID_SIZE];
    char cut_ids[BRIDGE_CUT_IDS][PLAYBACK_ID_SIZE]; /* audio that still comes for these is late */
    unsigned cut_next;
    bool attached;
    bool started;
    bool closing;
    bool lost;
    bool record_lead;
    bool deaf; /* the lead's audio is not passed on (farewell) */
    unsigned bad_count;
    int64_t allowance; /* messages the peer may send now (token bucket) */
    int64_t allowed_us;
    int64_t media_us; /* when media came last */
    int64_t started_us;
    uint64_t frames_in;
    uint64_t frames_out;
    uint64_t dropped; /* audio of the voice that had nowhere to go */
    struct buf scratch;
};

void bridge_init(struct bridge *b, struct pace_clock *clock, struct jscan *scan,
                 const struct carrier *carrier, const struct voice *voice,
                 const struct bridge_handlers *handlers);
void bridge_fini(struct bridge *b);
void bridge_voice(struct bridge *b, struct voice_session *session); /* NULL: none */
/* Both sides from on_start on; the lead's side once record_lead is set. Owned by the bridge. */
void bridge_record(struct bridge *b, struct recorder *recorder);
struct recorder *bridge_recorder_take(struct bridge *b);

/* The socket arrived. call_uuid: what `start` must name. release: see ws_open(). */
void bridge_attach(struct bridge *b, int fd, struct str already_read, const char *call_uuid,
                   void (*release)(void *), void *release_arg);
bool bridge_attached(const struct bridge *b);

/* Audio of the voice. Before the stream started it waits. */
void bridge_audio(struct bridge *b, const char *item_id, struct str base64);
void bridge_audio_end(struct bridge *b, const char *item_id);
/* Audio of our own: raw mu-law, complete. */
void bridge_prompt(struct bridge *b, const char *item_id, const uint8_t *ulaw, size_t size_bytes);

/* True when nothing is being heard or waits to be. */
bool bridge_quiet(const struct bridge *b);
int64_t bridge_left_ms(const struct bridge *b);  /* of audio: waiting here and at the carrier */
int64_t bridge_heard_ms(const struct bridge *b); /* of the item that is being heard; -1 none */
/* The lead interrupted: drops what waits, clears the carrier, cancels and truncates the voice. */
void bridge_interrupt(struct bridge *b);
/* Housekeeping, a few times a second. */
void bridge_tick(struct bridge *b);
/* Says goodbye to the carrier; on_lost(BRIDGE_DONE) follows. */
void bridge_close(struct bridge *b, int code, const char *reason);

#endif
