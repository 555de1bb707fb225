#include "zones.h"

#include "base/alloc.h"
#include "base/clock.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ZONES_KNOWN 64
#define RANGE_FROM  1735689600LL /* 2025-01-01 */
#define RANGE_TO    1893456000LL /* 2030-01-01 */
#define DAY_S       86400LL

static struct zone zones[ZONES_KNOWN];
static size_t zone_count_known;

static int32_t libc_offset(int64_t utc_s)
{
    struct tm tm;
    time_t t = (time_t)utc_s;
    localtime_r(&t, &tm); /* tidy: allow localtime_r: what the C library knows of the zone */
    return (int32_t)tm.tm_gmtoff;
}

static void add_transition(struct zone *z, int64_t at_s, int32_t offset_s)
{
    assert(z->count < COUNT_OF(z->from_s));
    z->from_s[z->count] = at_s;
    z->offset_s[z->count++] = offset_s;
}

static void read_zone(struct zone *z)
{
    int32_t offset = libc_offset(RANGE_FROM);
    add_transition(z, INT64_MIN / 2, offset);
    for (int64_t t = RANGE_FROM; t < RANGE_TO; t += DAY_S) {
        int32_t after = libc_offset(t + DAY_S);
        if (after == offset) {
            continue;
        }
        int64_t low = t;
        int64_t high = t + DAY_S;
        while (high - low > 1) {
            int64_t middle = low + (high - low) / 2;
            if (libc_offset(middle) == offset) {
                low = middle;
            } else {
                high = middle;
            }
        }
        add_transition(z, high, after);
        offset = after;
    }
}

const struct zone *zone_of(const char *name)
{
    for (size_t i = 0; i < zone_count_known; i++) {
        if (strcmp(zones[i].name, name) == 0) {
            return &zones[i];
        }
    }
    assert(zone_count_known < ZONES_KNOWN);
    struct zone *z = &zones[zone_count_known++];
    str_copy_cut(str_of(name), z->name, sizeof z->name);
    const char *before = getenv("TZ");
    OWNED(xfreep) char *kept = before != NULL ? xstrdup(before) : NULL;
    setenv("TZ", name, 1);
    tzset();
    read_zone(z);
    if (kept != NULL) {
        setenv("TZ", kept, 1);
    } else {
        unsetenv("TZ");
    }
    tzset();
    return z;
}

static int32_t offset_at(const struct zone *z, int64_t utc_s)
{
    size_t i = z->count - 1;
    while (i > 0 && utc_s < z->from_s[i]) {
        i--;
    }
    return z->offset_s[i];
}

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0 ? 1 : 0);
}

int64_t zone_local_s(const struct zone *z, int64_t utc_s)
{
    return utc_s + offset_at(z, utc_s);
}

int32_t zone_day(const struct zone *z, int64_t at)
{
    return (int32_t)floor_div(zone_local_s(z, floor_div(at, US_PER_S)), DAY_S);
}

/* The first instant that shows the wall time, or where clocks skip it a later one; the last one. */
static int64_t wall_instant(const struct zone *z, int64_t wall_s, bool last)
{
    int64_t found = INT64_MIN;
    for (size_t i = 0; i < z->count; i++) {
        int64_t t = wall_s - z->offset_s[i];
        int64_t until = i + 1 < z->count ? z->from_s[i + 1] : INT64_MAX;
        if (t >= z->from_s[i] && t < until && (found == INT64_MIN || last)) {
            found = t;
        }
        if (t >= until && i + 1 < z->count && wall_s - z->offset_s[i + 1] < until &&
            found == INT64_MIN) {
            found = until; /* skipped: the jump itself */
        }
    }
    return found;
}

static int weekday_bit(int32_t day) /* 0: Monday; 1970-01-01 was a Thursday */
{
    return (int)((day % 7 + 7 + 3) % 7);
}

int64_t span_next(const struct span *span, const struct zone *z, int64_t at)
{
    int64_t at_s = floor_div(at, US_PER_S);
    int64_t wall_s = zone_local_s(z, at_s);
    int32_t today = (int32_t)floor_div(wall_s, DAY_S);
    int32_t day = today - 1 > span->first_day ? today - 1 : span->first_day;
    for (int ahead = 0; ahead <= 21; ahead++, day++) {
        if (day > span->last_day) {
            break;
        }
        int64_t opens = day * DAY_S + span->from_min * 60LL;
        int64_t closes =
            day * DAY_S + span->to_min * 60LL + (span->to_min <= span->from_min ? DAY_S : 0);
        if ((span->days & (1u << weekday_bit(day))) == 0 || wall_s >= closes) {
            continue;
        }
        if (wall_s >= opens) {
            return at;
        }
        int64_t found = wall_instant(z, opens, false);
        if (found < at_s) {
            found = wall_instant(z, opens, true);
        }
        if (zone_local_s(z, found) < closes) {
            return i64_max(found * US_PER_S, at);
        }
    }
    return 0;
}

/* The first opening of any of the spans; 0 none. */
static int64_t any_next(const struct span *spans, size_t count, const struct zone *z, int64_t at)
{
    int64_t first = 0;
    for (size_t i = 0; i < count; i++) {
        int64_t t = span_next(&spans[i], z, at);
        if (t != 0 && (first == 0 || t < first)) {
            first = t;
        }
    }
    return first;
}

int64_t windows_next(const struct span *own, const struct law *law, const struct zone *const *zs,
                     size_t zone_count, int64_t at)
{
    int64_t moment = at;
    int64_t horizon = 0;
    for (int step = 0; step < 400 && zone_count > 0; step++) {
        int64_t furthest = moment;
        for (size_t i = 0; i < zone_count; i++) {
            int64_t mine = any_next(own, 1, zs[i], moment);
            int64_t laws = any_next(law->spans, law->span_count, zs[i], moment);
            if (mine == 0 || laws == 0) {
                return 0;
            }
            furthest = i64_max(furthest, i64_max(mine, laws));
        }
        if (furthest == moment) {
            return moment;
        }
        horizon = horizon == 0 ? furthest + 21 * US_DAY : horizon;
        if (furthest > horizon) {
            return 0;
        }
        moment = furthest;
    }
    return 0;
}
