/* follow_up.h -- what is left to do after a call: a callback, what was promised, what is recommended.
 *
 * The database makes each reason once per call, and no second task of a kind that the talk itself
 * already made (app.follow_up_put). A person who opted out gets no task that reaches out.
 *
 * Owner   the caller frees the array.
 * Thread  any.
 * Time    wall microseconds. */
#ifndef INSIGHT_FOLLOW_UP_H
#define INSIGHT_FOLLOW_UP_H

#include "insight/findings.h"

struct follow_up_call {
    bool opted_out;
    int64_t ended_us;
};

/* [{task_type, title, description, priority, due, suggestion, reason, context}], in order of weight. */
json_t *follow_up_tasks(const struct findings *f, const struct follow_up_call *call) MUST_USE;

#endif
