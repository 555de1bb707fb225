/* events.h -- what the model's server says, read into one flat struct.
 *
 * Audio takes a short way (jscan, the base64 is never decoded); everything else is a JSON tree
 * whose texts the event points into. Unknown events are RT_OTHER, unknown members are ignored, a
 * null is a missing member. Seven names of the older shape of the protocol are read as their
 * successors.
 *
 * Owner   the reader, one per session. An event lives until the next rt_read() or rt_reader_free().
 * Thread  the session's.
 * Errors  rt_read: -EINVAL (not a JSON object, or nested too deep), -EBADMSG (an event that we need
 *         without what we need of it, or an id of VOICE_ID_SIZE bytes or more), -EMSGSIZE.
 * Source  docs/voice-realtime.md, "Events". */
#ifndef VOICE_REALTIME_EVENTS_H
#define VOICE_REALTIME_EVENTS_H

#include "base/json.h"
#include "voice/voice.h"

enum rt_type {
    RT_OTHER, /* unknown, or known and of no interest */
    RT_SESSION_CREATED,
    RT_SESSION_UPDATED,
    RT_ERROR,
    RT_SPEECH_STARTED,
    RT_SPEECH_STOPPED,
    RT_COMMITTED,
    RT_ITEM_ADDED,
    RT_TRANSCRIPTION_DELTA,
    RT_TRANSCRIPTION_COMPLETED,
    RT_TRANSCRIPTION_FAILED,
    RT_RESPONSE_CREATED,
    RT_OUTPUT_ITEM_DONE,
    RT_AUDIO_DELTA,
    RT_AUDIO_DONE,
    RT_TRANSCRIPT_DELTA,
    RT_TRANSCRIPT_DONE,
    RT_RESPONSE_DONE,
    RT_RATE_LIMITS,
};

/* Every str may be empty. */
struct rt_event {
    enum rt_type type;
    struct str response_id;
    struct str item_id;
    struct str before_id; /* previous_item_id */
    bool before_known;    /* the member was there, be it null */
    struct str item_type; /* message, function_call, … */
    struct str item_role; /* user, assistant, system */
    struct str item_status;
    struct str call_id;
    struct str name;       /* of the function; of a response: our name from its metadata */
    struct str text;       /* delta (base64 for audio), transcript, or a call's arguments */
    struct str status;     /* response */
    struct str reason;     /* response: why cancelled or incomplete */
    struct str error_type; /* of an error, or of a failed response */
    struct str error_code;
    struct str error_message;
    struct str error_event_id; /* our event that it answers */
    struct str model;
    struct str format_in; /* session */
    struct str format_out;
    int64_t audio_ms; /* speech_started, speech_stopped */
    int64_t reset_ms; /* rate limits: longest wait named, when nothing remains; else 0 */
    bool usage_known;
    struct voice_usage usage; /* without cost */
    const json_t *item;       /* output_item.done */
    const json_t *items;      /* response.done: its output array, or NULL */
};

struct rt_reader;

struct rt_reader *rt_reader_new(size_t message_max) MUST_USE;
void rt_reader_free(struct rt_reader **r);
int rt_read(struct rt_reader *r, struct str message, struct rt_event *out) MUST_USE;
/* The spoken or written text of a message item, all content parts together; cut where out is full.
 */
void rt_item_text(const json_t *item, struct buf *out);
const char *rt_type_name(enum rt_type type);

#endif
