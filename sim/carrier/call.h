/* call.h -- one call at the carrier, from the accepted request to its record; shared by the
 * carrier's own files.
 *
 *   queued -> dialing -> ringing -> talking -> over
 *                \----------\---------\------> over     every path meets in call_end()
 *
 * Owner   the carrier; kept after its end for the call records and for hooks still under way.
 * Thread  the loop's. */
#ifndef SIM_CARRIER_CALL_H
#define SIM_CARRIER_CALL_H

#include "answer_xml.h"
#include "base/list.h"
#include "base/map.h"
#include "base/uuid.h"
#include "carrier.h"
#include "cause.h"
#include "hook.h"
#include "loop/timer.h"
#include "people/person.h"

#define NUMBER_SIZE 24

enum call_state { CALL_QUEUED, CALL_DIALING, CALL_RINGING, CALL_TALKING, CALL_OVER };

struct stream;
struct dial;
struct recorder;

struct carrier_counts {
    int64_t accepted;
    int64_t refused;
    int64_t dialed;
    int64_t answered;
    int64_t ended;
    int64_t live_max;
    int64_t hooks;
    int64_t hooks_failed;
    int64_t forged_sent;
    int64_t forged_accepted; /* answered 2xx: must stay 0 */
    int64_t streams;
    int64_t streams_refused;
    int64_t played_ms;
    int64_t overflows;
    int64_t clears;
    int64_t bad_documents;
    int64_t unknown_attributes;
    int64_t bridged;
};

struct carrier {
    struct carrier_conf conf;
    struct list queue; /* struct call.link, oldest first */
    struct list live;  /* dialing, ringing, talking */
    struct list over;  /* newest last */
    struct map by_uuid;
    struct map by_request;
    struct map dials; /* number -> how often it was called */
    struct list hooks;
    struct list recordings; /* struct recording */
    struct timer tick;      /* 20 ms of every talking call */
    struct timer dispatch;  /* the queue, at the account's calls per second */
    size_t queue_len;
    size_t live_len;
    struct carrier_counts counts;
};

struct call {
    struct list link;
    struct carrier *carrier;
    char uuid[UUID_TEXT_SIZE];
    char request_uuid[UUID_TEXT_SIZE];
    char from[NUMBER_SIZE]; /* with + */
    char to[NUMBER_SIZE];
    char *answer_url;
    char *answer_method;
    char *ring_url;
    char *ring_method;
    char *hangup_url;
    char *hangup_method;
    char *fallback_url;
    char *fallback_method;
    char *machine_url;
    char *machine_method;
    bool machine_hangup;
    int64_t ring_timeout_s;
    int64_t time_limit_s;
    enum call_state state;
    uint64_t nth; /* of the calls to this number, from 0 */
    const struct persona *persona;
    struct person person;
    int64_t queued_wall_us;
    int64_t start_wall_us;
    int64_t answer_wall_us; /* 0: never answered */
    int64_t end_wall_us;
    int64_t answer_us; /* loop clock */
    int64_t ticks;     /* of 20 ms since the answer */
    enum cause cause;
    const char *hangup_source;
    bool machine_told;
    struct timer life;    /* the next thing that happens by itself */
    struct timer limit;   /* time_limit */
    struct timer machine; /* detection */
    struct timer pause;   /* Wait, and the key press of an agent */

    struct answer *doc; /* exec.c: what is being executed */
    size_t at;
    enum hook_kind doc_kind; /* where it came from: names the error codes */
    bool fallback_tried;
    const struct speech *playing;
    size_t played_bytes;
    uint8_t last_said[G711_FRAME_BYTES]; /* one frame of delay across a bridge */
    struct stream *stream;
    struct dial *dial;
    struct recorder *recorder;
};

/* call.c */
int call_create(struct carrier *c, const json_t *request, struct call **out,
                const char **why) MUST_USE;
void call_end(struct call *call, enum cause cause, const char *source);
void call_free(struct call *call);
void call_standard_fields(const struct call *call, struct form *f, const char *event,
                          const char *status);
void call_console_time(const struct call *call, int64_t wall_us, char *out, size_t out_size);
int64_t call_talk_s(const struct call *call);
void call_truth(const struct call *call, const char *event, const char *cause, json_t *more);
void call_truth_hook(const struct call *call, const char *kind, const char *how, int status);
void call_count_hook(struct call *call, bool forged, int status);
struct call *call_find(const struct carrier *c, struct str uuid); /* by either id; NULL */

/* talk.c: the 20 ms clock */
void talk_tick_all(void *carrier);

/* exec.c: the answer document */
void exec_start(struct call *call, enum hook_kind kind, const char *url, const char *method);
void exec_next(struct call *call); /* the verb under way is over */
/* A Dial is over: asks the action URL (fields taken over), or goes on. */
void exec_dial_over(struct call *call, const char *action, const char *method, bool redirect,
                    struct form *fields);
void exec_stop(struct call *call); /* the call is over: let everything go */

#endif
