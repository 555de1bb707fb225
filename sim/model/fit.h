/* fit.h -- a tool call's arguments: the script's hints put into the shape the schema asks for.
 *
 * The script names meanings (when, reason, note, level, outcome, words); the product names the
 * members. A member gets the hint of its own name, else of its meaning; enums get the nearest of
 * their values; what is required and unknown gets a harmless value of its type.
 *
 * Thread  any. */
#ifndef SIM_MODEL_FIT_H
#define SIM_MODEL_FIT_H

#include "base/json.h"

struct fit_world {
    const char *said; /* what the caller said last: for $said */
    const char *zone; /* the caller's IANA zone, for hints like "+1d 10:00" */
    int64_t wall_us;
};

/* hints may be NULL; schema is the tool's `parameters`. */
json_t *fit_arguments(const json_t *hints, const json_t *schema,
                      const struct fit_world *world) MUST_USE;
/* The first IANA zone name in a text that exists; false when there is none. */
bool fit_find_zone(struct str text, char *out, size_t out_size);
/* "+90s", "+2h", "+1d 10:00" as an ISO 8601 time in the zone, with offset. */
int fit_moment(const char *hint, const struct fit_world *world, char *out,
               size_t out_size) MUST_USE;

#endif
