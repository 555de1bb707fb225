/* call_priv.h -- the inside of one talk: what call.c, call_voice.c and call_tools.c share.
 *
 *   call.c        birth, phases, clocks, the carrier's side, death
 *   call_voice.c  what the voice tells, the opening
 *   call_tools.c  what the AI asks for, opting out
 *
 * Nothing outside these three (and their tests) includes this.
 * Owner, Thread  as call.h. */
#ifndef CALL_CALL_PRIV_H
#define CALL_CALL_PRIV_H

#include "base/limits.h"
#include "call/call.h"
#include "call/prompt_cache.h"
#include "call/transcript.h"
#include "media/bridge.h"

#define CALL_OPENING_ITEM "dw_opening"
#define CALL_OPENING_TAG  "opening"
#define CALL_FAREWELL_TAG "farewell"
#define CALL_NO_TOOL      0u
/* From the words to the end of the stream: ten seconds with the carrier's own hang-up. */
#define CALL_OPT_OUT_US (9 * US_PER_S)
#define CALL_OPT_OUT_NO UINT32_MAX /* tool_no of an opt-out that no tool asked for */

struct opening {
    char key[PROMPT_KEY_SIZE];
    struct prompt_op *load;
    uint8_t *prompt; /* from disk */
    size_t prompt_size;
    bool loaded; /* disk was asked and has answered */
    bool cached; /* playing from disk */
    bool retold; /* ordered a second time */
    bool silent; /* because nothing was said the first time */
    bool response_over;
    bool said_final;
    bool heard;
    bool noted;      /* the session knows of it */
    int64_t over_us; /* when the model had said it all */
    int64_t heard_wall_us;
    char item_id[VOICE_ID_SIZE];
    struct buf said;
    struct buf audio; /* decoded, for the disk */
};

enum tool_state { TOOL_ASKED, TOOL_READY, TOOL_ANSWERED };
enum tool_speech { TOOL_SPEAK, TOOL_SPEAK_UNLESS_SPOKEN, TOOL_QUIET };

struct tool_wait {
    enum tool_state state;
    enum tool_speech speech;
    enum tool_id id;
    char call_id[VOICE_ID_SIZE];
    uint8_t key[32];
    char *output; /* once READY */
};

struct call {
    const struct call_host *host;
    struct call_ref ref;
    struct call_plan *plan;
    enum call_phase phase;
    enum call_end end;
    enum call_next next;

    struct voice_session *session;
    struct voice_tool tools_declared[TOOL_COUNT];
    bool voice_ready;
    bool voice_closing;
    unsigned voice_tries;
    struct timer voice_retry;
    bool response_active;
    bool last_spoke; /* the last response had audio */
    bool lead_speaks;
    unsigned failures; /* responses that failed in a row */

    struct bridge bridge;
    struct transcript transcript;
    struct opening opening;
    struct tool_wait tools[LIMIT_TOOL_CALLS];
    size_t tool_count;
    bool opted_out;
    int64_t opt_out_us;       /* when it was asked for, here or elsewhere; 0: not */
    int64_t opt_out_until_us; /* waits for the commit until then; 0: does not wait */

    struct timer tick;
    struct timer barge;
    struct timer done;
    int64_t born_us;
    int64_t started_us;   /* of the stream, loop clock; 0: not yet */
    int64_t hear_from_ms; /* stream time at which the model began to listen */
    int64_t joined_us;
    int64_t quiet_us;            /* nobody speaks since */
    int64_t response_us;         /* when the active response began */
    int64_t last_words_until_us; /* handover, closing */
    int64_t last_words_limit_us;
    bool words_asked; /* a response with the last words was ordered and is not over */
    bool words_open;  /* the running response decides whether last words must be ordered */
    bool reminded;
    bool warned;
    int64_t leave_us;
    uint32_t usage_count;
    struct uuid recording_id;
    bool recording; /* the recorder has not reported */
    bool over_posted;
};

/* call.c */
int64_t call_now_us(const struct call *c);
int64_t call_wall_us(const struct call *c);
bool call_step(struct call *c, enum call_event event); /* true: moved; entry actions were done */
void call_farewell(struct call *c, enum call_cue cue, enum call_end end);
void call_last_words(struct call *c); /* checks whether they were heard */
void call_last_words_begin(struct call *c);
void call_fail(struct call *c, const char *code, const char *what);
void call_note(struct call *c, json_t *patch); /* takes patch */
struct call_up *call_write(struct call *c, enum desk_write_kind kind);
void call_up_send(struct call *c, struct call_up *up);
void call_lead_starts(struct call *c);
void call_lead_stops(struct call *c);
void call_settle(struct call *c);

/* call_voice.c */
void call_voice_open(struct call *c);
void call_voice_gone(struct call *c);
void call_opening_begin(struct call *c);
void call_opening_check(struct call *c);
void call_opening_fini(struct call *c);
void call_prompt_load(struct call *c);

/* call_tools.c */
void call_tool(struct call *c, const char *call_id, const char *name, struct str arguments);
void call_tools_flush(struct call *c);
void call_tools_fini(struct call *c);
void call_opt_out(struct call *c, const char *source, struct str words, uint32_t tool_no);
void call_opt_out_go_on(struct call *c);
void call_opt_out_elsewhere(struct call *c);

#endif
