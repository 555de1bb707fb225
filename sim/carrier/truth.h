/* truth.h -- the carrier's own record of what happened, one JSON object a line, on disk at once.
 *
 * Every line has at (RFC 3339 UTC, microseconds), event, call_uuid, request_uuid, leg, direction,
 * from, to (E.164 with +), cause (null while there is none). Events: accepted, rang, answered,
 * hangup; besides them webhook, reply, played with members of their own. Written and flushed before
 * the other side is told, so a killed simulator has not forgotten what it did.
 *
 * Owner   truth_open() to truth_close().
 * Thread  the loop's.
 * Errors  truth_open: -errno. A line that cannot be written ends the process: a record with holes
 *         would prove nothing. */
#ifndef SIM_CARRIER_TRUTH_H
#define SIM_CARRIER_TRUTH_H

#include "base/json.h"

struct truth;

struct truth_line {
    const char *event;
    const char *call_uuid;
    const char *request_uuid;
    const char *leg; /* "lead" or "agent" */
    const char *from;
    const char *to;
    const char *cause; /* NULL: null */
    json_t *more;      /* members added to the line; taken over; may be NULL */
};

int truth_open(struct truth **out, const char *path) MUST_USE; /* appends; NULL path: no file */
void truth_close(struct truth **t);
void truth_write(struct truth *t, int64_t wall_us, const struct truth_line *line);

#endif
