/* brain.h -- what the model says next: the AI side of the script that the other end is reading from.
 *
 * Pure: no socket, no clock. Fed with what was heard and with tools' outputs; asked for a plan.
 *
 * Owner   embedded in a session.
 * Thread  the loop's. */
#ifndef SIM_MODEL_BRAIN_H
#define SIM_MODEL_BRAIN_H

#include "people/book.h"
#include "people/hearing.h"

enum brain_cause { BRAIN_TURN, BRAIN_ASKED }; /* the caller fell silent; the client asked */

struct brain {
    const struct book *book;
    const struct step *unanswered; /* heard well enough, not yet answered */
    bool unclear;                  /* heard something that was not understood */
    const struct ai_turn *last;
    bool output_came; /* a tool's output since the last response */
    bool output_bad;
    bool spoken;
};

struct plan {
    struct str say;             /* empty: nothing is said */
    const struct ai_turn *turn; /* tools come from it; NULL: none */
};

void brain_hear(struct brain *b, struct hearing *h);
void brain_output(struct brain *b, struct str output);
/* own: the instructions of this response beyond the session's; whole: all of them. */
struct plan brain_plan(struct brain *b, enum brain_cause cause, struct str own, struct str whole);
/* The text after a line "SAY EXACTLY:", trimmed; STR_NONE when there is none. */
struct str brain_exact(struct str instructions);

#endif
