/* clock.h -- wall time as text and numbers; nobody reads a clock but the loop (and programs' main).
 *
 * Units   *_us: microseconds since 1970 UTC (wall) or since an arbitrary start (monotonic).
 * Thread  any. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include "base/str.h"

#define CLOCK_TEXT_SIZE 32
#define US_PER_MS       1000LL
#define US_PER_S        1000000LL

int64_t clock_wall_us(void); /* the system clock; only src/loop and short-lived commands call it */
int64_t clock_mono_us(void);
void clock_format(int64_t wall_us, char out[CLOCK_TEXT_SIZE]); /* 2026-11-22T10:00:00.123456Z */
/* Reads RFC 3339 and the carrier's "YYYY-MM-DD HH:MM:SS[.ffffff][+hh:mm]" (no zone: UTC). */
int clock_parse(struct str s, int64_t *wall_us) MUST_USE;

#endif
