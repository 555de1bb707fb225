/* score.h -- the published weights of the lead score, checked before they reach the database.
 *
 * The score itself has one writer, app.score_lead() in the database, called by the trigger
 * update_score_on_insight and by app.score_weights_set() (which re-scores every lead). Here is what a
 * set of weights may look like, so that a person is told which one is wrong.
 *
 * Thread  any.
 * Errors  score_weights_check: -EINVAL, with one line per mistake in `problems`. */
#ifndef INSIGHT_SCORE_H
#define INSIGHT_SCORE_H

#include "base/json.h"

int score_weights_check(const json_t *weights, struct buf *problems) MUST_USE;

#endif
