#include "zones.h"

#include <errno.h>
#include <unicode/ucal.h>
#include <unicode/ustring.h>

#define ID_MAX   64
#define US_IN_MS 1000

static UCalendar *open_zone(const char *zone, int64_t wall_us)
{
    UErrorCode status = U_ZERO_ERROR;
    UChar id[ID_MAX];
    UChar canonical[ID_MAX];
    UBool known = 0;

    u_strFromUTF8(id, ID_MAX, NULL, zone, -1, &status);
    ucal_getCanonicalTimeZoneID(id, -1, canonical, ID_MAX, &known, &status);
    if (U_FAILURE(status) || !known) {
        return NULL;
    }
    UCalendar *cal = ucal_open(id, -1, "en_US", UCAL_GREGORIAN, &status);
    if (cal == NULL || U_FAILURE(status)) {
        return NULL;
    }
    ucal_setMillis(cal, (double)(wall_us / US_IN_MS), &status);
    return cal;
}

static int field(UCalendar *cal, UCalendarDateFields f)
{
    UErrorCode status = U_ZERO_ERROR;

    return ucal_get(cal, f, &status);
}

int zone_local(const char *zone, int64_t wall_us, struct local_time *out)
{
    UCalendar *cal = open_zone(zone, wall_us);

    if (cal == NULL) {
        return -ENOENT;
    }
    int sunday_first = field(cal, UCAL_DAY_OF_WEEK); /* 1 Sunday .. 7 Saturday */
    *out = (struct local_time){
        .year = field(cal, UCAL_YEAR),
        .month = field(cal, UCAL_MONTH) + 1,
        .day = field(cal, UCAL_DATE),
        .weekday = sunday_first == 1 ? 7 : sunday_first - 1,
        .minute = field(cal, UCAL_HOUR_OF_DAY) * 60 + field(cal, UCAL_MINUTE),
        .offset_min = (field(cal, UCAL_ZONE_OFFSET) + field(cal, UCAL_DST_OFFSET)) / 60000,
    };
    ucal_close(cal);
    return 0;
}

int zone_moment(const char *zone, int64_t wall_us, int days, int minute, int64_t *out_us)
{
    UErrorCode status = U_ZERO_ERROR;
    UCalendar *cal = open_zone(zone, wall_us);

    if (cal == NULL) {
        return -ENOENT;
    }
    ucal_add(cal, UCAL_DATE, days, &status);
    ucal_set(cal, UCAL_HOUR_OF_DAY, minute / 60);
    ucal_set(cal, UCAL_MINUTE, minute % 60);
    ucal_set(cal, UCAL_SECOND, 0);
    ucal_set(cal, UCAL_MILLISECOND, 0);
    *out_us = (int64_t)ucal_getMillis(cal, &status) * US_IN_MS;
    ucal_close(cal);
    return U_FAILURE(status) ? -EINVAL : 0;
}
