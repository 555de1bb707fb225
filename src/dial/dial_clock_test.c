/* A host whose clock was set wrong, or is set while we run, dates nothing. */
#include "dial/dial_clock.h"

#include "base/macros.h"
#include "loop/loop.h"

#include <criterion/criterion.h>

#define SECOND_US 1000000LL
#define HOUR_US   (3600 * SECOND_US)

Test(dial_clock, crash_row_30_a_clock_that_is_off_is_not_believed)
{
    static const struct {
        const char *name;
        int64_t off_us; /* ours less the database's */
        bool trusted;
    } rows[] = {
        {"the same", 0, true},
        {"four seconds late", -4 * SECOND_US, true},
        {"four seconds early", 4 * SECOND_US, true},
        {"six seconds late", -6 * SECOND_US, false},
        {"six seconds early", 6 * SECOND_US, false},
        {"an hour late", -HOUR_US, false},
        {"an hour early", HOUR_US, false},
    };
    struct loop *loop = loop_new(LOOP_VIRTUAL);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct dial_clock clock = {0};
        cr_expect_str_eq(dial_clock_trouble(&clock, loop), "clock not compared yet");
        int64_t db_us = loop_wall_us(loop) - rows[i].off_us;
        dial_clock_compare(&clock, loop, db_us);
        cr_expect_eq(dial_clock_trouble(&clock, loop)[0] == '\0', rows[i].trusted, "%s",
                     rows[i].name);
        cr_expect_eq(dial_clock_wall_us(&clock, loop), rows[i].trusted ? loop_wall_us(loop) : db_us,
                     "%s: reports are dated by the database's clock", rows[i].name);
    }
    loop_free(&loop);
}

/* Between two comparisons: wall time that runs apart from monotonic time was set by somebody. */
Test(dial_clock, crash_row_30_a_step_shows_before_the_next_comparison)
{
    static const int64_t steps_us[] = {HOUR_US, -HOUR_US, 6 * SECOND_US, -6 * SECOND_US};
    struct loop *loop = loop_new(LOOP_VIRTUAL);
    for (size_t i = 0; i < COUNT_OF(steps_us); i++) {
        struct dial_clock clock = {0};
        dial_clock_compare(&clock, loop, loop_wall_us(loop));
        cr_expect_str_eq(dial_clock_trouble(&clock, loop), "");
        int64_t right_us = loop_wall_us(loop);
        loop_set_wall(loop, right_us + steps_us[i]);
        cr_expect_str_neq(dial_clock_trouble(&clock, loop), "", "step %zu", i);
        cr_expect_eq(dial_clock_wall_us(&clock, loop), right_us, "step %zu", i);
        loop_set_wall(loop, right_us);
        cr_expect_str_eq(dial_clock_trouble(&clock, loop), "", "step %zu, set right again", i);
    }
    loop_free(&loop);
}
