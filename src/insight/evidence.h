/* evidence.h -- are the words that a value rests on really in the transcript?
 *
 * A model may invent a budget. So every value comes with the turn and the words it was taken from, and
 * only words that are there count. Case, punctuation and spacing are ignored, words are not: the quote
 * must begin and end with whole words, in one turn. A wrong turn number is put right.
 *
 * Owner   evidence_init/_fini; the turns it was made of must outlive it.
 * Thread  any.
 * Limits  EVIDENCE_TEXT_MAX bytes of all turns together; what is beyond is not found. */
#ifndef INSIGHT_EVIDENCE_H
#define INSIGHT_EVIDENCE_H

#include "base/buf.h"
#include "base/uuid.h"

#define EVIDENCE_TEXT_MAX  (512 * 1024)
#define EVIDENCE_QUOTE_MAX 1000

enum insight_speaker { INSIGHT_AI, INSIGHT_LEAD, INSIGHT_AGENT };

struct insight_turn {
    struct uuid id;
    enum insight_speaker speaker;
    struct str body;
};

enum evidence_of { EVIDENCE_LEAD, EVIDENCE_ANYBODY };

struct evidence {
    const struct insight_turn *turns;
    size_t count;
    struct buf folded; /* " words of turn 1 \n words of turn 2 \n" */
    size_t *starts;    /* of each turn in it; count + 1 */
};

void evidence_init(struct evidence *e, const struct insight_turn *turns, size_t count);
void evidence_fini(struct evidence *e);
/* The turn that holds the quote: the one of that number (from 1) if it does, else the first that does;
 * NULL when none of the right speaker's does, or the quote has no word in it. */
const struct insight_turn *evidence_find(const struct evidence *e, int64_t turn_number,
                                         struct str quote, enum evidence_of of);
/* Words the lead said; a character of a script that writes no spaces counts as one. */
size_t evidence_lead_words(const struct insight_turn *turns, size_t count);
/* Lower case, one blank around every word, everything else gone. For tests and for comparing. */
void evidence_fold(struct str text, struct buf *out);

#endif
