/* carrier.h -- the telephone network as the rest of the program sees it.
 *
 * One folder per carrier fills in `struct carrier`; nothing outside that folder knows its URLs, its
 * words or its formats. Three faces: REST (place, hang up, ask what became of a call), webhooks in
 * (verify, translate) with answers out (what the call shall do next), and the stream's frames.
 *
 * Owner   carriers are constants; accounts belong to the caller and outlive operations on them.
 * Thread  REST and webhooks: the control loop. Stream functions: pure, any loop.
 * Time    *_us wall time unless said; *_ms durations.
 * Errors  completions carry a struct fault; only FAULT_UNSURE means "it may have been dialed".
 * Source  docs/carrier-plivo.md for the first one. */
#ifndef CARRIER_CARRIER_H
#define CARRIER_CARRIER_H

#include "base/buf.h"
#include "base/fault.h"
#include "base/json.h"
#include "base/uuid.h"
#include "net/http_client.h"
#include "net/http_server.h"

#define CARRIER_ID_SIZE   64 /* call uuids, request ids, stream ids: text, NUL included */
#define CARRIER_KIND_SIZE 24
#define CARRIER_TOKENS    3 /* auth tokens accepted at once while a key is rotated */

struct jscan;

struct carrier_account {
    struct uuid id;
    struct uuid organization_id;
    char auth_id[64];
    char auth_token[CARRIER_TOKENS][128]; /* [0] signs what we send; "" ends the list */
    char api_url[256];                    /* base, e.g. https://api.plivo.com/v1 */
};

/* Who a callback is about; carried whole in its URL, so that a lost row can be rebuilt from it. */
struct carrier_identity {
    struct uuid attempt_id; /* call_logs.id */
    struct uuid organization_id;
    struct uuid queue_id; /* the job */
    int32_t attempt_number;
    int64_t expires_s; /* unix seconds */
};

/* Where our callbacks live, and the key that signs their paths. */
struct carrier_urls {
    const char *public_url; /* https://host[/base] */
    uint8_t callback_key[32];
};

/* "{attempt}.{org}.{job}.{no}.{exp}.{mac}", mac over kind too: a stolen URL of one kind is no
 * other. */
int identity_write(const struct carrier_urls *urls, const char *kind,
                   const struct carrier_identity *id, struct buf *out) MUST_USE;
int identity_read(
    const struct carrier_urls *urls, struct str kind, struct str text, int64_t now_wall_us,
    struct carrier_identity *out) MUST_USE; /* -EINVAL, -EACCES (mac), -ETIME (expired) */

/* --- REST ------------------------------------------------------------------------------------- */

struct carrier_ask { /* place one outbound call */
    struct carrier_identity identity;
    const char *from_e164;
    const char *to_e164;
    uint32_t ring_timeout_s;
    uint32_t time_limit_s;
    uint32_t timeout_ms;    /* T_post: the whole exchange */
    bool machine_detection; /* asynchronous */
};

struct carrier_placed {
    struct fault fault;      /* class NONE: accepted */
    const char *resolved_by; /* "response", "4xx", "nosend" or "" (unsure): for the ledger */
    char request_id[CARRIER_ID_SIZE]; /* "" unless accepted */
    bool permanent;       /* refused for a reason that will not change: bad number, barred */
    bool account_trouble; /* credentials, credit, caller id: stop claiming on this account */
};
typedef void carrier_placed_fn(const struct carrier_placed *placed, void *arg);
typedef void carrier_done_fn(const struct fault *fault, void *arg);

enum carrier_where { CARRIER_LIVE, CARRIER_QUEUED, CARRIER_CDR };

struct carrier_sighting { /* one call found in one of the carrier's lists */
    enum carrier_where where;
    char call_id[CARRIER_ID_SIZE];
    char request_id[CARRIER_ID_SIZE]; /* "" when the list does not tell */
    char parent_id[CARRIER_ID_SIZE];  /* the call that this is another leg of; "" none */
    char from_e164[20];               /* with + */
    char to_e164[20];
    bool outbound;
    int64_t initiated_us; /* 0 unknown */
    int64_t answered_us;  /* 0: never */
    int64_t ended_us;     /* 0: not yet */
    int32_t duration_s;
    int32_t billed_s;
    int64_t cost_micros; /* millionths of currency */
    char cause[64];
    int32_t cause_code;
    char source[32];
    const char *outcome; /* CDR: as in carrier_event, from the cause; NULL in the other lists */
    const char *disconnect_reason; /* the same */
};

struct carrier_search { /* everything of one number pair since a moment, in all three lists */
    const char *from_e164;
    const char *to_e164; /* both NULL: everything outbound of the account */
    int64_t since_us;
    /* Whole accounts, in slices of time: calls that ended before until_us (0: until now). Code "too_many" or
     * "endless_list": take a shorter slice. */
    int64_t until_us;
    bool ended_only; /* the list of ended calls alone */
};

struct carrier_found {
    struct fault fault; /* class NONE: every page of every list was read and understood */
    const struct carrier_sighting *sightings;
    size_t count;
    int64_t carrier_date_us; /* from its Date header; 0 none */
};
typedef void carrier_found_fn(const struct carrier_found *found, void *arg);

struct carrier_op; /* an operation in flight */

/* --- webhooks --------------------------------------------------------------------------------- */

enum carrier_event_kind {
    CARRIER_EVENT_RING,
    CARRIER_EVENT_ANSWER,
    CARRIER_EVENT_HANGUP,
    CARRIER_EVENT_MACHINE,
    CARRIER_EVENT_RECORDING,
    CARRIER_EVENT_STREAM,        /* the media stream's fate, for the record */
    CARRIER_EVENT_AFTER,         /* the stream is over: what next? */
    CARRIER_EVENT_FALLBACK,      /* our answer could not be had: apologise and end */
    CARRIER_EVENT_AGENT_WHISPER, /* the agent picked up: what shall they hear? */
    CARRIER_EVENT_AGENT_ACTION,  /* the agent leg is over or failed: what next for the lead? */
    CARRIER_EVENT_AGENT,         /* progress of the agent leg */
    CARRIER_EVENT_KINDS
};

struct carrier_event {
    enum carrier_event_kind kind;
    char key[160]; /* deduplicates within (attempt, kind) */
    char call_id[CARRIER_ID_SIZE];
    char request_id[CARRIER_ID_SIZE];
    char carrier_status[32]; /* verbatim */
    char from_e164[20];
    char to_e164[20];
    /* hang-up */
    char cause[64];
    int32_t cause_code;
    char source[32];
    int64_t answered_us; /* 0: never answered */
    int64_t ended_us;
    int32_t duration_s;
    int32_t billed_s;
    int64_t cost_micros;
    const char *outcome;           /* call_attempts.outcome: ours, from the cause */
    const char *disconnect_reason; /* call_logs.disconnect_reason: ours, from the cause */
    /* agent leg */
    char leg_call_id[CARRIER_ID_SIZE];
    const char
        *leg_state; /* "ringing","answered","bridged","ended","declined","no_answer","failed" */
    int32_t leg_duration_s;
    /* recording made by the carrier */
    char recording_id[CARRIER_ID_SIZE];
    char recording_url[512];
    int64_t recording_ms;
    bool machine;    /* machine: a machine answered */
    json_t *payload; /* everything, as it came (owned; carrier_event_fini) */
};
void carrier_event_fini(struct carrier_event *ev);

/* --- answers ---------------------------------------------------------------------------------- */

enum carrier_next {
    CARRIER_NEXT_HANGUP, /* end the call */
    CARRIER_NEXT_STREAM, /* open the media stream, then ask `after` */
    CARRIER_NEXT_AGENT,  /* ring one agent, whisper, bridge on their key; then ask `agent-action` */
    CARRIER_NEXT_SAY_END, /* say one text and end */
    CARRIER_NEXT_WHISPER, /* what the agent hears before the bridge */
    CARRIER_NEXT_NOTHING, /* 200, no instructions */
};

struct carrier_instruction {
    enum carrier_next next;
    struct carrier_identity identity;
    const char *media_token;    /* STREAM */
    uint32_t time_limit_s;      /* STREAM, AGENT */
    const char *agent_e164;     /* AGENT */
    const char *caller_id_e164; /* AGENT */
    uint32_t ring_timeout_s;    /* AGENT */
    bool record;                /* AGENT: record the bridged talk */
    const char *text;           /* SAY_END, WHISPER */
    const char *language;       /* en-US … */
};

/* --- stream ----------------------------------------------------------------------------------- */

enum carrier_frame_kind {
    CARRIER_FRAME_START,
    CARRIER_FRAME_MEDIA,
    CARRIER_FRAME_DTMF,
    CARRIER_FRAME_PLAYED,
    CARRIER_FRAME_CLEARED,
    CARRIER_FRAME_STOP,
    CARRIER_FRAME_OTHER,
};

struct carrier_frame {
    enum carrier_frame_kind kind;
    struct str
        payload; /* MEDIA: base64 mu-law 8 kHz exactly as it came; lives until the next read */
    struct str call_id;   /* START */
    struct str stream_id; /* START, MEDIA */
    struct str name;      /* PLAYED: the checkpoint's name */
    struct str encoding;  /* START: must be audio/x-mulaw */
    int64_t rate_hz;      /* START */
    char digit;           /* DTMF */
};

/* --- the seam --------------------------------------------------------------------------------- */

struct carrier {
    const char *name; /* "plivo" */

    /* Contract of every _start: refused => silent; accepted => on_done once, later; cancelled =>
     * silent. */
    int (*place_start)(struct carrier_op **op, struct http_client *http,
                       const struct carrier_urls *urls, const struct carrier_account *account,
                       const struct carrier_ask *ask, carrier_placed_fn *on_done,
                       void *arg) MUST_USE;
    int (*hangup_start)(struct carrier_op **op, struct http_client *http,
                        const struct carrier_account *account, const char *call_id,
                        const char *request_id, carrier_done_fn *on_done, void *arg) MUST_USE;
    int (*search_start)(struct carrier_op **op, struct http_client *http,
                        const struct carrier_account *account, const struct carrier_search *search,
                        carrier_found_fn *on_done, void *arg) MUST_USE;
    /* Credentials and reachability, for `doctor`. */
    int (*check_start)(struct carrier_op **op, struct http_client *http,
                       const struct carrier_account *account, carrier_done_fn *on_done,
                       void *arg) MUST_USE;
    void (*cancel)(struct carrier_op **op);

    /* Is this request really from the carrier? 0, or -EACCES. public_url + raw path are what was
     * signed. */
    int (*verify)(const struct http_request *req, const struct carrier_urls *urls,
                  const struct carrier_account *account) MUST_USE;
    /* The same for the media socket's upgrade (scheme doubtful: several readings tried). */
    int (*verify_upgrade)(const struct http_request *req, const struct carrier_urls *urls,
                          const struct carrier_account *account) MUST_USE;
    /* kind: the path's word. -EINVAL: unknown kind, broken form, contradictory duplicates. */
    int (*event_read)(struct str kind, struct str body, struct carrier_event *out) MUST_USE;
    int (*instruct)(const struct carrier_urls *urls, const struct carrier_instruction *what,
                    struct buf *out) MUST_USE; /* the answer's body */
    const char *instruct_type;                 /* its content type */

    /* Frames in: -EINVAL when it is not one of theirs. */
    int (*frame_read)(struct jscan *scan, struct str message, struct carrier_frame *out) MUST_USE;
    /* Frames out are written as parts around a base64 payload that is not copied (ws_send_parts).
     */
    struct str play_head;
    struct str play_tail;
    int (*checkpoint_write)(const char *stream_id, const char *name, struct buf *out) MUST_USE;
    int (*clear_write)(const char *stream_id, struct buf *out) MUST_USE;
    int (*dtmf_write)(const char *digits, struct buf *out) MUST_USE;
};

extern const struct carrier carrier_plivo;
const struct carrier *carrier_find(const char *name); /* NULL unknown */

#endif
