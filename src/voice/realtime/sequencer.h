/* sequencer.h -- one response at a time: who may ask the model to speak, and when.
 *
 *     FREE --take--> ASKED --created--> ACTIVE --ended--> FREE
 *                      |                   |cancel
 *                      |cancel (noted)     v
 *                      `--created--> CANCELLING --ended--> FREE
 *
 * The conversation counts as busy from the moment a request leaves (ASKED), not from the model's
 * confirmation: that closes the race of two requests. A request that the model refuses because some
 * other response is alive goes back to the head of the queue until that response ended.
 *
 * Pure bookkeeping: no socket, no clock of its own, time is an argument.
 *
 * Owner   embedded in the session. An ask owns its body.
 * Thread  the session's.
 * Time    now_us is the loop's monotonic clock.
 * Limits  SEQ_QUEUE_MAX waiting asks; then -EBUSY.
 * Source  docs/voice-realtime.md, "Responses". */
#ifndef VOICE_REALTIME_SEQUENCER_H
#define VOICE_REALTIME_SEQUENCER_H

#include "base/clock.h"
#include "voice/voice.h"

#define SEQ_QUEUE_MAX 8
#define SEQ_TAG_SIZE  48
#define SEQ_NAME_SIZE 24

/* A request that is not confirmed, and a cancelled response that does not end, are given up after
 * this; an active response when it has been silent for the longer one. */
#define SEQ_REPLY_US  (10 * US_PER_S)
#define SEQ_SILENT_US (45 * US_PER_S)

enum seq_state { SEQ_FREE, SEQ_ASKED, SEQ_ACTIVE, SEQ_CANCELLING };

struct seq_ask {
    char name[SEQ_NAME_SIZE]; /* our event_id, told back in metadata and errors */
    char tag[SEQ_TAG_SIZE];
    char *body;            /* members of the response object, JSON text; NULL: none */
    bool plain;            /* "go on": any later response does as well */
    int tries;             /* failed so far */
    int64_t not_before_us; /* a retry waits */
};

struct sequencer {
    enum seq_state state;
    struct seq_ask queue[SEQ_QUEUE_MAX];
    size_t queued;
    struct seq_ask current;          /* name "" when the response in flight is not ours */
    char response_id[VOICE_ID_SIZE]; /* "" while unknown */
    bool cancel_wanted;              /* ASKED: cancel as soon as it has an id */
    int64_t since_us;                /* of the state, or of the last sign of life */
    uint32_t next_name;
};

enum seq_outcome {
    SEQ_OURS,    /* the response we asked for */
    SEQ_FOREIGN, /* another one, that we now know of */
    SEQ_STRAY,   /* nothing that we track */
};

enum seq_verdict {
    SEQ_NOT_MINE, /* the error is about something else */
    SEQ_KEPT,     /* busy: the ask waits for the response in flight to end */
    SEQ_REFUSED,  /* the ask is in `out`, nothing is in flight */
};

void seq_init(struct sequencer *q);
void seq_fini(struct sequencer *q);
/* Takes over body. A plain ask is dropped (0) when one is already waiting. -EBUSY: queue full,
 * -EMSGSIZE: tag too long; then body is freed too. */
int seq_push(struct sequencer *q, char *body, const char *tag, bool plain) MUST_USE;
/* The ask to send now, or NULL. hold_plain: the lead is talking, nothing plain is sent. */
const struct seq_ask *seq_take(struct sequencer *q, int64_t now_us, bool hold_plain);
enum seq_outcome seq_created(struct sequencer *q, struct str response_id, struct str name,
                             int64_t now_us);
void seq_alive(struct sequencer *q, int64_t now_us); /* something came for the active response */
/* The response ended. SEQ_OURS: *out is the ask (the caller frees its body or gives it back). */
enum seq_outcome seq_ended(struct sequencer *q, struct str response_id, struct str name,
                           struct seq_ask *out);
/* Gives an ask back to the head of the queue. */
void seq_again(struct sequencer *q, struct seq_ask *ask, int64_t not_before_us);
/* The id to cancel on the wire, or NULL: nothing active, being cancelled already, or no id yet
 * (then it is remembered, and seq_cancel_due() says so after seq_created()). Waiting plain asks are
 * dropped. */
const char *seq_cancel(struct sequencer *q, int64_t now_us);
bool seq_cancel_due(const struct sequencer *q);
/* An error event came; name: the event_id it answers, "" when it names none. */
enum seq_verdict seq_error(struct sequencer *q, struct str name, struct str code,
                           struct str message, int64_t now_us, struct seq_ask *out);
/* When to look again, loop clock, or -1. */
int64_t seq_due_us(const struct sequencer *q);
/* Gives up what is overdue: true, with the ask in *out (name "" when it was not ours). */
bool seq_expire(struct sequencer *q, int64_t now_us, struct seq_ask *out);
void seq_ask_fini(struct seq_ask *ask);

#endif
