#include "dial/dial_clock.h"

#include "base/clock.h"

static bool far_off(int64_t us)
{
    return us > DIAL_CLOCK_APART_MS * US_PER_MS || us < -DIAL_CLOCK_APART_MS * US_PER_MS;
}

void dial_clock_compare(struct dial_clock *clock, const struct loop *loop, int64_t db_now_us)
{
    clock->ahead_us = loop_wall_us(loop) - loop_now_us(loop);
    clock->apart_us = db_now_us - loop_wall_us(loop);
    clock->compared = true;
}

/* The database's clock less ours at this moment. */
static int64_t apart_now_us(const struct dial_clock *clock, const struct loop *loop)
{
    int64_t drift_us = loop_wall_us(loop) - loop_now_us(loop) - clock->ahead_us;
    return clock->apart_us - drift_us;
}

int64_t dial_clock_wall_us(const struct dial_clock *clock, const struct loop *loop)
{
    bool trust = clock == NULL || !clock->compared || !far_off(apart_now_us(clock, loop));
    return loop_wall_us(loop) + (trust ? 0 : apart_now_us(clock, loop));
}

const char *dial_clock_trouble(const struct dial_clock *clock, const struct loop *loop)
{
    if (clock == NULL) {
        return "";
    }
    if (!clock->compared) {
        return "clock not compared yet";
    }
    return far_off(apart_now_us(clock, loop)) ? "clock differs from the database's" : "";
}
