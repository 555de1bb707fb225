/* dial_clock.h -- whether this host's wall clock may date what it writes: leases, sign-offs, horizons and
 * calling hours are judged by it.
 *
 * The dialer's heartbeat compares it with the database's clock. Between two comparisons a jump shows as
 * wall time that ran apart from monotonic time, so there is no moment at which a clock that was set
 * is believed until the next heartbeat.
 *
 * Owner   whoever wires the daemon; dialer and reconciler share one through dial_env.
 * Thread  the control loop.
 * Source  never-twice 2.4, row 30. */
#ifndef DIAL_DIAL_CLOCK_H
#define DIAL_DIAL_CLOCK_H

#include "loop/loop.h"

#define DIAL_CLOCK_APART_MS 5000

struct dial_clock {   /* zeroed: not compared yet */
    int64_t ahead_us; /* wall less monotonic time when it was last compared */
    int64_t apart_us; /* the database's clock less ours, then */
    bool compared;
};

void dial_clock_compare(struct dial_clock *clock, const struct loop *loop, int64_t db_now_us);
/* The wall time that reports of others are dated with: the database's as far as is known, where ours may not be
 * trusted. */
int64_t dial_clock_wall_us(const struct dial_clock *clock, const struct loop *loop);
/* "" when it may be trusted; NULL clock: always. */
const char *dial_clock_trouble(const struct dial_clock *clock, const struct loop *loop);

#endif
