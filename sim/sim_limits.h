/* sim_limits.h -- what this carrier promises about its own slowness, and keeps.
 *
 * A real carrier publishes neither its queue bound nor the lag of its call records; this one does,
 * so that a demonstration can use a short horizon for calls of unknown outcome:
 *     horizon = time to answer a POST + queue + ring + lag of the call records.
 *
 * Owner   plain values.
 * Thread  any. */
#ifndef SIM_SIM_LIMITS_H
#define SIM_SIM_LIMITS_H

#include "base/json.h"

struct sim_limits {
    int64_t calls_per_second;
    int64_t queue_ms_max;  /* an accepted call is dialed within this, or refused with 429 */
    int64_t ring_delay_ms; /* from dialing to the first ring, at most */
    int64_t ring_ms_min;   /* people answer after ... */
    int64_t ring_ms_max;   /* ... to this */
    int64_t no_answer_ms; /* the network gives up ringing after this (or ring_timeout if shorter) */
    int64_t record_lag_ms;      /* a finished call is in the call records after exactly this */
    int64_t post_ms_max;        /* the answer to a POST, slow faults aside */
    int64_t machine_ms;         /* machine detection speaks after this */
    int64_t console_offset_min; /* the console's zone: StartTime, AnswerTime, EndTime, CDR times */
};

void sim_limits_default(struct sim_limits *l);
int64_t sim_limits_horizon_ms(const struct sim_limits *l);
json_t *sim_limits_json(const struct sim_limits *l) MUST_USE;

#endif
