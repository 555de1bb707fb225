/* session.h -- the inside of a Realtime session: what session.c, dispatch.c and outgoing.c share.
 *
 *   session.c    birth, connection, timers, death, and the `struct voice` that others see
 *   dispatch.c   one function per event of the server
 *   outgoing.c   the events we send, as text
 *
 * Nothing outside src/voice/realtime includes this.
 *
 * Owner   the call, through voice.h. Thread: the media loop it was opened on.
 * Limits  RT_BAD_MAX frames that make no sense, then the session is given up.
 * Source  docs/voice-realtime.md. */
#ifndef VOICE_REALTIME_SESSION_H
#define VOICE_REALTIME_SESSION_H

#include "loop/timer.h"
#include "net/ws_conn.h"
#include "voice/realtime/errors.h"
#include "voice/realtime/events.h"
#include "voice/realtime/prices.h"
#include "voice/realtime/sequencer.h"
#include "voice/realtime/transcript_order.h"

#define RT_RESPONSES_MAX  4  /* alive at once: one of the talk, and strays */
#define RT_CALLS_SEEN_MAX 32 /* tool calls remembered, to run each once */
#define RT_BAD_MAX        3
#define RT_RETRY_BUSY_MAX 2
#define RT_SETUP_NAME     "dw_setup"

enum rt_state {
    RT_CONNECTING,
    RT_GREETING,    /* connected, waits for session.created */
    RT_CONFIGURING, /* session.update is out */
    RT_READY,
    RT_CLOSING, /* we asked for the end */
    RT_CLOSED,
};

struct rt_response {
    char id[VOICE_ID_SIZE]; /* "": free place */
    char tag[SEQ_TAG_SIZE];
    bool plain;     /* "go on" */
    bool discarded; /* cancelled: nothing of it is played any more */
    bool spoke;
    bool called;
    int64_t audio_bytes;
};

struct voice_session {
    struct loop *loop;
    struct voice_handlers h;
    enum rt_state state;
    int depth;  /* inside our own callbacks */
    bool freed; /* voice_free() came inside one of them */
    struct http_client *http;
    struct ws_dial *dial;
    struct ws_conn *ws;
    struct rt_reader *reader;
    struct sequencer seq;
    struct turns turns;
    struct rt_response responses[RT_RESPONSES_MAX];
    char *calls_seen[RT_CALLS_SEEN_MAX];
    size_t calls_count; /* ever */
    int calls_open;     /* given to on_tool, not answered */
    bool go_on_wanted;  /* a tool result wants the AI to speak once all are answered */
    bool automatic;
    bool unanswered; /* the lead said something while answers were off */
    bool lead_talks;
    int64_t talk_changed_us;
    int64_t reset_ms; /* the server's wish, from rate_limits.updated */
    /* configuration kept */
    char *url;
    char *auth_line;
    char *safety_line;
    char *setup; /* the session.update, as sent */
    char *lead_item;
    char *instructions;
    const struct price *price;
    const struct price *transcribe_price;
    uint32_t connect_timeout_ms;
    struct voice_pace pace; /* complete */
    uint32_t next_item;
    int connect_tries;
    /* clocks */
    struct timer setup_timer; /* connect .. ready; later close .. closed */
    struct timer retry_timer;
    struct timer watch_timer; /* the sequencer's next due time */
    struct timer order_timer; /* a turn that waits for another */
    struct timer ping_timer;
    struct timer pong_timer;
    int64_t pinged_us;
    /* counts */
    int64_t heard_bytes; /* of the lead, sent on */
    int64_t dropped_frames;
    int64_t late_deltas;
    int64_t harmless_errors;
    int bad_frames;
};

/* session.c */
void rt_enter(struct voice_session *s);
void rt_leave(struct voice_session *s); /* may free s: the last thing a callback does */
void rt_ready(struct voice_session *s);
void rt_finish(struct voice_session *s, const struct fault *fault); /* on_closed; nothing after */
void rt_trouble(struct voice_session *s, const struct fault *fault);
int rt_send(struct voice_session *s, struct buf *event); /* sends, empties the buf */
void rt_pump(struct voice_session *s);  /* sends what the sequencer allows, sets its timer */
void rt_go_on(struct voice_session *s); /* asks for an answer */
void rt_cancel_active(struct voice_session *s);
struct rt_response *rt_response_find(struct voice_session *s, struct str id);
void rt_usage_tell(struct voice_session *s, const char *key, struct voice_usage *usage);

/* dispatch.c */
void rt_on_message(struct voice_session *s, struct str message, bool binary);
void rt_response_over(struct voice_session *s, struct rt_response *r, const char *status);

/* outgoing.c: each appends one event to `out`. */
int rt_write_setup(const struct voice_config *config, bool reasons, struct buf *out) MUST_USE;
int rt_write_item(struct buf *out, uint32_t no, const char *role, const char *kind,
                  struct str text) MUST_USE;
int rt_write_tool_result(struct buf *out, uint32_t no, const char *call_id,
                         struct str output) MUST_USE;
int rt_write_ask(struct buf *out, const struct seq_ask *ask) MUST_USE;
int rt_write_cancel(struct buf *out, const char *response_id) MUST_USE;
int rt_write_truncate(struct buf *out, const char *item_id, int64_t heard_ms) MUST_USE;
/* Members of a response object, xfree() it; -EMSGSIZE. NULL instructions give NULL: none. */
int rt_body_exact(const char *text, char **body) MUST_USE;
int rt_body_go_on(const char *session_instructions, const char *instructions, char **body) MUST_USE;
char *rt_url(const char *url, const char *model) MUST_USE;
bool rt_is_own_item(struct str item_id);

#endif
