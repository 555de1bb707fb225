/* tools.h -- what the AI may ask us to do, and the strict reading of how it asks.
 *
 * The arguments come from a model that listens to a stranger: they are checked against the same
 * schema that the model was given, unknown members are refused, texts are bounded and freed of
 * control characters. No tool takes an identity: lead, number and tenant are those of the call.
 *
 * Owner   a plain value.
 * Thread  any.
 * Errors  tool_read: -ENOENT (no such tool, or not allowed in this campaign), -EINVAL; `why` is one
 *         sentence for the model.
 * Limits  LIMIT_TOOL_CALLS a call; texts as in struct tool_call. */
#ifndef CALL_TOOLS_H
#define CALL_TOOLS_H

#include "base/str.h"
#include "call/call_words.h"
#include "voice/voice.h"

#define TOOL_TEXT_SIZE    501
#define TOOL_WHY_SIZE     160
#define TOOL_CALLBACK_MAX (366LL * 24 * 3600) /* seconds ahead */

enum tool_id {
    TOOL_TRANSFER,
    TOOL_CALLBACK,
    TOOL_DO_NOT_CALL,
    TOOL_END_CALL,
    TOOL_NOTE_INTEREST,
    TOOL_COUNT
};

struct tool_call {
    enum tool_id id;
    char reason[TOOL_TEXT_SIZE];  /* transfer: reason; callback: note; do_not_call: words; end_call:
                                     note */
    char summary[TOOL_TEXT_SIZE]; /* transfer */
    int64_t due_us;               /* callback, wall */
    enum call_end end;            /* end_call */
    const char *disposition;      /* end_call, note_interest: of the vocabulary, or NULL */
    char patch[2048];             /* note_interest: JSON object for app.call_note */
    uint8_t key[32];              /* same tool, same arguments => same key */
};

/* What relative times are measured by. */
struct tool_clock {
    int64_t wall_us;
    int32_t utc_offset_s; /* of the lead's zone: for times that name no offset */
    bool offset_known;
};

/* Bit set of the tools named in a JSON-free list of names; do_not_call and end_call are always in.
 */
uint32_t tools_always(void);
bool tool_named(struct str name, enum tool_id *out);
/* The declarations for the model; returns how many of `out`. */
size_t tools_declare(uint32_t allowed, struct voice_tool out[TOOL_COUNT]);
int tool_read(uint32_t allowed, const char *name, struct str arguments,
              const struct tool_clock *clock, struct tool_call *out,
              char why[TOOL_WHY_SIZE]) MUST_USE;
/* Copies a text from outside: control and direction characters become spaces, cut on UTF-8. */
void text_tame(struct str s, char *dst, size_t dst_size);

#endif
