#include "carrier/plivo/words.h"

#include "base/clock.h"

#include <criterion/criterion.h>
#include <string.h>

Test(words, numbers_have_a_plus)
{
    static const char *const rows[][2] = {
        {"14155550100", "+14155550100"},
        {"+14155550100", "+14155550100"},
        {" +14155550100 ", "+14155550100"},
        {"sip:agent@example.com", ""},
        {"", ""},
        {"+", ""},
        {"anonymous", ""},
        {"+1415555010a", ""},
        {"1234567890123456", ""},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char out[20];
        plivo_number(str_of(rows[i][0]), out);
        cr_expect_str_eq(out, rows[i][1], "%s", rows[i][0]);
    }
}

Test(words, ids_are_safe_in_a_path)
{
    static const char *const bad[] = {"", "../Call", "a/b", "a b", "a%2F", "a?b", "a\"b", "ä"};
    char out[64];
    cr_assert_eq(plivo_id(STR("64d3290a-87a6-46b4-a6e2-20f5f4e07a02"), out, sizeof out), 0);
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        cr_expect_lt(plivo_id(str_of(bad[i]), out, sizeof out), 0, "%s", bad[i]);
    }
    char full[64];
    memset(full, 'a', sizeof full);
    cr_assert_lt(plivo_id(str_make(full, 64), out, sizeof out), 0);
    cr_assert_eq(plivo_id(str_make(full, 63), out, sizeof out), 0);
}

Test(words, money_is_exact)
{
    static const struct {
        const char *text;
        int64_t micros; /* -1: refused */
    } rows[] = {
        {"0.13600", 136000},
        {"0.00000", 0},
        {"12", 12000000},
        {"1.2345678", 1234567},
        {".5", 500000},
        {"1.", 1000000},
        {"", -1},
        {".", -1},
        {"-1", -1},
        {"1,5", -1},
        {"1.2.3", -1},
        {"1e9", -1},
        {"99999999999999999999", -1},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        int64_t micros = -1;
        int err = plivo_money(str_of(rows[i].text), &micros);
        cr_expect_eq(err == 0, rows[i].micros >= 0, "%s", rows[i].text);
        cr_expect_eq(micros, rows[i].micros, "%s: %lld", rows[i].text, (long long)micros);
    }
}

Test(words, times_need_their_zone)
{
    int64_t us = 0;
    cr_assert_eq(plivo_time_zoned(STR("2022-10-12 21:57:47+05:30"), &us), 0);
    int64_t utc = 0;
    cr_assert_eq(clock_parse(STR("2022-10-12 16:27:47"), &utc), 0);
    cr_assert_eq(us, utc);
    cr_assert_eq(plivo_time_zoned(STR("2022-10-12T16:27:47Z"), &us), 0);
    cr_assert_lt(plivo_time_zoned(STR("2022-10-12 21:57:47"), &us), 0);
    cr_assert_lt(plivo_time_zoned(STR("2022-10-12 21:57:47.000123"), &us), 0);
    cr_assert_lt(plivo_time_zoned(STR(""), &us), 0);
}

Test(words, long_digit_runs_are_masked)
{
    char out[64];
    plivo_mask(STR("+919812345678 is not associated, code 3030"), out, sizeof out);
    cr_assert_str_eq(out, "+* is not associated, code 3030");
    plivo_mask(STR("0123456789"), out, 2);
    cr_assert_str_eq(out, "*");
}
