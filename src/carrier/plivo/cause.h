/* cause.h -- Plivo's hang-up causes and what they mean for a dialer: one table.
 *
 * Thread  any; pure.
 * Source  Plivo "Hangup causes and sources" and its AI skill files, read 2026-11. */
#ifndef CARRIER_PLIVO_CAUSE_H
#define CARRIER_PLIVO_CAUSE_H

#include "base/str.h"

struct plivo_end {
    int32_t code;      /* HangupCauseCode; -1 none given */
    struct str status; /* CallStatus: decides when the code says nothing */
    struct str source; /* HangupSource, free text */
    bool answered;
};

struct plivo_cause {
    int32_t code;
    const char *name;
    const char *outcome;         /* of a call that was never answered */
    const char *reason;          /* the same */
    const char *answered_reason; /* of a call that was */
};

const struct plivo_cause *plivo_cause_find(int32_t code); /* NULL: not in the table */
const struct plivo_cause *plivo_cause_table(size_t *count);
/* Sets both to words of our vocabularies, always. */
void plivo_cause_judge(const struct plivo_end *end, const char **outcome, const char **reason);

#endif
