/* findings.h -- the model's answer, believed only as far as it can be shown.
 *
 * Every value is held against the vocabulary of the tables and against the transcript (evidence.h).
 * What fails is dropped and counted; a sentiment that fails is 0, as of a talk that shows none.
 *
 * Owner   findings_fini() drops what findings_read() made.
 * Thread  any.
 * Errors  findings_read: -EINVAL when the answer is not the object that the schema asks for. */
#ifndef INSIGHT_FINDINGS_H
#define INSIGHT_FINDINGS_H

#include "base/json.h"
#include "insight/evidence.h"

#define FINDINGS_SCHEMA 1 /* conversation_insights.schema_version */

struct findings {
    json_t *insight;  /* columns of conversation_insights, with `evidence` and `dropped_values` */
    json_t *promises; /* [{task_type, what, quote, turn}], shown ones only */
    bool callback;    /* asked for, and shown */
    int64_t callback_us; /* wall; 0: no time given */
    struct str callback_quote;
    struct str action;      /* recommended_action, a task type or "none" */
    struct str action_text; /* for a person */
    int64_t priority;       /* 0..100 */
    int64_t dropped;
};

int findings_read(struct findings *f, const json_t *answer, const struct insight_turn *turns,
                  size_t turn_count) MUST_USE;
void findings_fini(struct findings *f);
/* The row of a talk in which too little was said. */
json_t *findings_too_short(void) MUST_USE;

#endif
