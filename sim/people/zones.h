/* zones.h -- the wall clock of a place, over ICU.
 *
 * Thread  any.
 * Units   minute: of the day, 0..1439; weekday: 1 Monday .. 7 Sunday.
 * Errors  -ENOENT: no such IANA zone. */
#ifndef SIM_PEOPLE_ZONES_H
#define SIM_PEOPLE_ZONES_H

#include "base/macros.h"

struct local_time {
    int year;
    int month; /* 1..12 */
    int day;
    int weekday;
    int minute;
    int offset_min; /* east of Greenwich */
};

int zone_local(const char *zone, int64_t wall_us, struct local_time *out) MUST_USE;
/* The moment of a local date and minute, `days` after the local date at wall_us. */
int zone_moment(const char *zone, int64_t wall_us, int days, int minute, int64_t *out_us) MUST_USE;

#endif
