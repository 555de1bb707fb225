/* records.h -- the lists a customer can ask for: queued, live, and the records of finished calls.
 *
 * A finished call appears limits.record_lag_ms after its end, never before. to_number and from_number
 * match by prefix, as the carrier's do. The record shows times in the console's zone with its offset;
 * the end_time filters are UTC.
 *
 * Thread  the loop's.
 * Source  protocols sheet of the carrier, section 1.6. */
#ifndef SIM_CARRIER_RECORDS_H
#define SIM_CARRIER_RECORDS_H

#include "call.h"

json_t *records_list(const struct carrier *c, const struct form *query, const char *api_id,
                     int *status) MUST_USE;
/* status: NULL or "" for the record, "live", "queued"; NULL when it is not there. */
json_t *records_one(const struct call *call, const char *status, const char *api_id) MUST_USE;

#endif
