#include "base/clock.h"

#include <criterion/criterion.h>
#include <errno.h>

Test(clock, parse)
{
    static const struct {
        const char *text;
        int err;
        int64_t us;
    } rows[] = {
        {"1970-01-01T00:00:00Z", 0, 0},
        {"2026-11-22T10:00:00.123456Z", 0, 1795341600123456LL},
        {"2026-11-22t10:00:00z", 0, 1795341600000000LL},
        {"2026-11-22 10:00:00", 0, 1795341600000000LL},
        {"2026-11-22 10:00:00.5", 0, 1795341600500000LL},
        {"2026-11-22 10:00:00.123456789", 0, 1795341600123456LL},
        {"2022-10-12 21:57:47+05:30", 0, 1665592067000000LL}, /* a carrier's CDR */
        {"2022-10-12 21:57:47+0530", 0, 1665592067000000LL},
        {"2022-10-12 16:27:47+00", 0, 1665592067000000LL},
        {"2026-11-22T10:00:00-08:00", 0, 1795370400000000LL},
        {"2024-02-29T00:00:00Z", 0, 1709164800000000LL},
        {"1969-12-31T23:59:59.5Z", 0, -500000},
        {"2023-02-29T00:00:00Z", -EINVAL, 0},
        {"2026-11-31T00:00:00Z", -EINVAL, 0},
        {"2026-13-01T00:00:00Z", -EINVAL, 0},
        {"2026-00-01T00:00:00Z", -EINVAL, 0},
        {"2026-01-00T00:00:00Z", -EINVAL, 0},
        {"2026-01-01T24:00:00Z", -EINVAL, 0},
        {"2026-01-01T00:60:00Z", -EINVAL, 0},
        {"2026-01-01T00:00:61Z", -EINVAL, 0},
        {"2026-01-01T00:00:00.Z", -EINVAL, 0},
        {"2026-01-01T00:00:00ZZ", -EINVAL, 0},
        {"2026-01-01T00:00:00+24:00", -EINVAL, 0},
        {"2026-01-01T00:00:00+05:3", -EINVAL, 0},
        {"2026-01-01", -EINVAL, 0},
        {"26-01-01T00:00:00Z", -EINVAL, 0},
        {"", -EINVAL, 0},
        {"2026-01-01T00:00:00 Z", -EINVAL, 0},
        {"0000-01-01T00:00:00Z", -EINVAL, 0},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        int64_t us = 77;
        cr_expect_eq(clock_parse(str_of(rows[i].text), &us), rows[i].err, "%s", rows[i].text);
        cr_expect_eq(us, rows[i].err == 0 ? rows[i].us : 77, "%s: %lld", rows[i].text,
                     (long long)us);
    }
}

Test(clock, format_round_trip)
{
    char text[CLOCK_TEXT_SIZE];
    clock_format(1795341600123456LL, text);
    cr_expect_str_eq(text, "2026-11-22T10:00:00.123456Z");
    for (int64_t us = -4000000000000000LL; us < 6000000000000000LL; us += 12345678912345LL) {
        int64_t back;
        clock_format(us, text);
        cr_assert_eq(clock_parse(str_of(text), &back), 0, "%s", text);
        cr_assert_eq(back, us, "%s", text);
    }
    clock_format(INT64_MAX, text);
    cr_expect_eq(text[4], '-');
    clock_format(INT64_MIN, text);
    cr_expect_eq(text[4], '-');
}
