/* config.h -- a session's settings: the defaults, and session.update checked member by member.
 *
 * Accepts the GA shape and nothing else: an unknown member, a wrong type or a value outside its list
 * refuses the whole update with the code and the parameter's path, as the real server does.
 *
 * Owner   config_default() returns a new object; config_apply() changes it only on success.
 * Thread  any.
 * Errors  -EINVAL with error filled.
 * Source  protocols sheet of the model, sections 1.3, 1.4 and 2.1. */
#ifndef SIM_MODEL_CONFIG_H
#define SIM_MODEL_CONFIG_H

#include "base/json.h"

struct config_error {
    const char
        *code; /* invalid_value, invalid_type, unknown_parameter, missing_required_parameter */
    char param[96];
    char message[200];
};

json_t *config_default(const char *model) MUST_USE;
int config_apply(json_t *session, const json_t *update, bool voice_fixed,
                 struct config_error *error) MUST_USE;
/* The `response` member of response.create. */
int config_check_response(const json_t *response, struct config_error *error) MUST_USE;

#endif
