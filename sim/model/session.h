/* session.h -- one Realtime session; shared by the model's own files.
 *
 *   session.c   birth, socket, dispatch of client events, items
 *   items.c     conversation items from the client
 *   listen.c    input audio: voice activity, turns, transcripts
 *   respond.c   responses: plan, audio, tools, usage, cancel
 *
 * Owner   the model's list; session_free() is silent towards the other side.
 * Thread  the loop's. */
#ifndef SIM_MODEL_SESSION_H
#define SIM_MODEL_SESSION_H

#include "base/jscan.h"
#include "base/list.h"
#include "brain.h"
#include "loop/timer.h"
#include "model.h"
#include "net/ws_conn.h"
#include "vad.h"

#define ID_SIZE        40
#define CLIENT_ID_SIZE 128
#define ITEMS_MAX      256
#define SAID_SIZE      600
#define SESSION_ZONE   64
#define TOOL_CALLS_MAX 16

struct model_counts {
    int64_t sessions;
    int64_t refused;
    int64_t live;
    int64_t responses;
    int64_t cancelled;
    int64_t truncations;
    int64_t errors;
    int64_t turns_heard; /* with words that we know */
    int64_t turns_unclear;
    int64_t tool_calls;
    int64_t analyses;
};

struct model {
    struct model_conf conf;
    struct list sessions;
    struct model_counts counts;
    uint64_t analysis_nth;
};

struct item {
    char id[CLIENT_ID_SIZE];
    bool assistant;
    int64_t audio_ms;
};

struct response;

struct session {
    struct list link;
    struct model *model;
    struct ws_conn *ws;
    struct jscan *scan;
    json_t *config;
    bool configured;
    char id[ID_SIZE];
    char conversation[ID_SIZE];
    uint64_t nth; /* of all sessions: what faults are drawn by */
    uint64_t event_no;
    uint64_t item_no;
    uint64_t response_no;
    char zone[SESSION_ZONE];
    /* conversation */
    struct item items[ITEMS_MAX];
    size_t item_count;
    char last_item[CLIENT_ID_SIZE];
    char open_calls[TOOL_CALLS_MAX][ID_SIZE]; /* call ids that wait for an output */
    size_t open_call_count;
    int64_t text_tokens; /* of the context so far */
    int64_t audio_tokens;
    int64_t cached_tokens;
    /* input */
    struct vad vad;
    bool vad_on;
    struct hearing ear;
    int64_t input_ms;
    int64_t turn_start_ms;
    char turn_item[ID_SIZE];
    char said[SAID_SIZE];
    struct list transcripts; /* struct transcript */
    struct timer idle;
    /* output */
    struct brain brain;
    struct response *active; /* of the default conversation */
    struct list strays;      /* out of band */
    bool spoke;              /* the voice is fixed from then on */
    struct timer cut;        /* of a fault */
};

/* session.c */
void session_open(struct model *m, struct http_request *req, const char *model_name);
void session_free(struct session *s);
void session_emit(struct session *s, json_t *event); /* taken over; event_id is added */
void session_error(struct session *s, const char *type, const char *code, const char *message,
                   const char *param, struct str client_event);
void session_new_item(struct session *s, char out[ID_SIZE]);
struct item *session_add_item(struct session *s, const char *id, bool assistant, int64_t audio_ms);
struct item *session_find_item(struct session *s, struct str id); /* NULL */
/* conversation.item.added and .done for an item that is complete. Takes the item over. */
void session_tell_item(struct session *s, json_t *item);
/* An object with type and, when there was one, previous_item_id. */
json_t *session_event(const char *type) MUST_USE;

void session_find_zone(struct session *s, struct str text); /* keeps the zone when it names one */

/* items.c */
void items_create(struct session *s, const json_t *event);
void items_truncate(struct session *s, const json_t *event);
void items_delete(struct session *s, const json_t *event);

/* listen.c */
void listen_configure(struct session *s);
void listen_append(struct session *s, const uint8_t *ulaw, size_t len);
void listen_commit(struct session *s); /* manual; tells an error when the buffer is empty */
void listen_stop(struct session *s);
void listen_idle_from(struct session *s, int64_t ms); /* the caller may be silent this long */

/* respond.c */
void respond_on_turn(struct session *s);
void respond_on_client(struct session *s, const json_t *event);
void respond_cancel(struct session *s, const char *reason); /* the active one */
bool respond_has(const struct session *s, struct str response_id);
void respond_stop(struct session *s);

#endif
