/* analysis.h -- the Responses endpoint's mind: a transcript judged by fixed rules, in whatever strict
 * schema the client asks for.
 *
 * The rules (model.json, "analysis") look for phrases in what the lead said. The first that matches
 * gives the facts; a schema's members are filled by their names from the facts; every quote is the
 * words of a line that is really there, with that line's own number.
 *
 * Owner   analysis_reply() returns a new response object.
 * Thread  any.
 * Errors  NULL, with *why for the 400. */
#ifndef SIM_MODEL_ANALYSIS_H
#define SIM_MODEL_ANALYSIS_H

#include "base/json.h"

/* rules: the "analysis" array of model.json. cut: as if max_output_tokens had been reached. */
json_t *analysis_reply(const json_t *rules, const json_t *request, int64_t wall_us, bool cut,
                       const char **why) MUST_USE;

#endif
