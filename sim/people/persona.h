/* persona.h -- one kind of person: how the phone is answered, what is said, what the AI says to it.
 *
 * The file of a persona is a two-sided script: each step has the person's line and the AI's turn
 * that answers it, tools included. Formats are described in docs/simulator.md.
 *
 * Owner   persona_load() to persona_free(); read-only in between.
 * Thread  any.
 * Errors  persona_load: -EINVAL, after having said why on standard error. */
#ifndef SIM_PEOPLE_PERSONA_H
#define SIM_PEOPLE_PERSONA_H

#include "base/json.h"
#include "speech.h"

enum pickup {
    PICKUP_ANSWER,
    PICKUP_BUSY,
    PICKUP_NO_ANSWER,
    PICKUP_REJECT,
    PICKUP_INVALID,
    PICKUP_UNREACHABLE,
};

struct tool_use {
    const char *name;
    const json_t *args; /* hints by meaning; the model fits them to the schema it was given */
};

#define TURN_TOOLS_MAX 4

struct ai_turn {
    const char *say; /* "" : nothing is said */
    struct tool_use tools[TURN_TOOLS_MAX];
    size_t tool_count;
    struct ai_turn *then;      /* after the tools' outputs, when the client asks for more */
    struct ai_turn *otherwise; /* the same, when an output says that it did not work */
};

struct step {
    const char *say;
    uint32_t say_id;   /* what marks it when the person says it */
    int64_t barge_ms;  /* >= 0: begins that long into the other side's turn; -1: waits its turn */
    struct ai_turn ai; /* what the model answers to it */
    uint32_t reply_id;
};

#define PERSONA_STEPS_MAX 8
#define BRIDGE_LINES_MAX  6

struct persona {
    char *name;
    enum pickup pickup;
    bool machine;
    bool hangs_up_last; /* puts the phone down after the last answer instead of waiting */
    int64_t hang_up_after_heard_ms; /* -1: never */
    int64_t max_ms;                 /* gives up whatever happens */
    struct step steps[PERSONA_STEPS_MAX];
    size_t step_count;
    const char *with_agent[BRIDGE_LINES_MAX];
    size_t with_agent_count;
    json_t *source; /* owns the texts */
};

/* file: NAME.json inside dir. */
int persona_load(struct persona **out, const char *dir, const char *file) MUST_USE;
void persona_free(struct persona **p);

/* Shared with book.c. */
json_t *persona_read_json(const char *dir,
                          const char *name) MUST_USE; /* NULL after having said why */
const char *persona_text(const json_t *obj, const char *key, const char *def);

#endif
