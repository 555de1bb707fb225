/* call_words.h -- the words of a call that are ours, as data: what vocabularies are called in the
 * database, what the model is told at the turning points.
 *
 * Owner   constants.
 * Thread  any. */
#ifndef CALL_CALL_WORDS_H
#define CALL_CALL_WORDS_H

#include "base/str.h"

/* Why the talk ended, as far as the media side knows: call_logs.disconnect_reason. */
enum call_end {
    CALL_END_NONE,
    CALL_END_COMPLETED,
    CALL_END_CALLER_HANGUP,
    CALL_END_OPTED_OUT,
    CALL_END_WRONG_NUMBER,
    CALL_END_VOICEMAIL,
    CALL_END_TRANSFERRED,
    CALL_END_MAX_DURATION,
    CALL_END_SILENCE,
    CALL_END_MODEL_ERROR,
    CALL_END_PROVIDER_ERROR, /* the media socket spoke nonsense or fell silent */
    CALL_END_CANCELLED,
    CALL_END_COUNT
};
const char *call_end_name(enum call_end end);

/* What the carrier shall do when it asks what comes after the stream. */
enum call_next {
    CALL_NEXT_UNKNOWN, /* no such call here */
    CALL_NEXT_HANGUP,
    CALL_NEXT_TRANSFER,
    CALL_NEXT_APOLOGISE, /* say that there is a technical problem, then hang up */
};

/* Instructions for single responses. */
enum call_cue {
    CUE_ARE_YOU_THERE,
    CUE_GOODBYE,
    CUE_GOODBYE_SILENCE,
    CUE_GOODBYE_TIME,
    CUE_OPTED_OUT,
    CUE_TIME_SHORT,
    CUE_COUNT
};
const char *call_cue(enum call_cue cue);

/* The head of every session's instructions: who it is, what it may not do. */
extern const char call_rules[];

/* Share (0…100) of the words of `wanted` that stand in `said` in the same order; case, punctuation
 * and spacing do not count. Nothing wanted: 100. */
int words_found_percent(struct str wanted, struct str said);
bool words_same(struct str a, struct str b); /* word for word */

#endif
