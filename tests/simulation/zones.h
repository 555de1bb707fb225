/* zones.h -- time zones of the C library as tables, and the calling windows on them.
 *
 * Owner   zones live as long as the process.
 * Thread  one (reading a zone sets TZ for a moment).
 * Time    wall microseconds; local times are minutes since 1970 on the zone's clock.
 * Source  sql/functions/0009_windows.sql. */
#ifndef SIMULATION_ZONES_H
#define SIMULATION_ZONES_H

#include "ledger.h"

struct zone {
    char name[48];
    int64_t from_s[64]; /* the offset holds from here on */
    int32_t offset_s[64];
    size_t count;
};

const struct zone *zone_of(const char *name); /* made at the first question */
int64_t zone_local_s(const struct zone *z, int64_t utc_s);
int32_t zone_day(const struct zone *z, int64_t at);
/* app.span_next, app.windows_next; 0: none */
int64_t span_next(const struct span *span, const struct zone *z, int64_t at);
int64_t windows_next(const struct span *own, const struct law *law, const struct zone *const *zones,
                     size_t zone_count, int64_t at);

#endif
