#include "base/str.h"

#include "base/alloc.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

Test(str, compare)
{
    cr_expect(str_eq(STR("a"), STR("a")));
    cr_expect_not(str_eq(STR("a"), STR("ab")));
    cr_expect(str_eq(STR_NONE, STR("")));
    cr_expect(str_eq_nocase(STR("Content-LENGTH"), STR("content-length")));
    cr_expect_not(str_eq_nocase(STR("a["), STR("a{")), "only letters have two cases");
    cr_expect_lt(str_cmp(STR("a"), STR("ab")), 0);
    cr_expect_gt(str_cmp(STR("b"), STR("ab")), 0);
    cr_expect_eq(str_cmp(STR_NONE, STR("")), 0);
    cr_expect(str_starts(STR("abc"), STR("ab")));
    cr_expect_not(str_starts(STR("a"), STR("ab")));
    cr_expect(str_ends(STR("abc"), STR("bc")));
    cr_expect(str_ends(STR("abc"), STR("")));
    cr_expect(str_contains(STR("abc"), STR("b")));
    cr_expect_not(str_contains(STR("abc"), STR("d")));
    cr_expect(str_contains_nocase(STR("Please STOP calling"), STR("stop call")));
    cr_expect_not(str_contains_nocase(STR("sto"), STR("stop")));
    cr_expect(str_contains_nocase(STR(""), STR("")));
}

Test(str, cut)
{
    struct str text = STR("a,,b");
    struct str head;
    cr_assert(str_split(&text, ',', &head));
    cr_expect(str_eq(head, STR("a")));
    cr_assert(str_split(&text, ',', &head));
    cr_expect(str_eq(head, STR("")));
    cr_assert(str_split(&text, ',', &head));
    cr_expect(str_eq(head, STR("b")));
    cr_expect_not(str_split(&text, ',', &head));
    text = STR("a,");
    cr_assert(str_split(&text, ',', &head));
    cr_assert(str_split(&text, ',', &head), "an empty last part is a part");
    cr_expect_eq(head.len, 0);
    cr_expect_not(str_split(&text, ',', &head));
    cr_expect(str_eq(str_trim(STR(" \t a b\r\n")), STR("a b")));
    cr_expect_eq(str_trim(STR("  ")).len, 0);
    cr_expect_eq(str_skip(STR("abc"), 9).len, 0);
    cr_expect_eq(str_find_char(STR("abc"), 'c'), 2);
    cr_expect_eq(str_find_char(STR_NONE, 'c'), -1);
}

Test(str, to_i64)
{
    static const struct {
        const char *text;
        int err;
        int64_t value;
    } rows[] = {
        {"0", 0, 0},
        {"-0", 0, 0},
        {"42", 0, 42},
        {"-42", 0, -42},
        {"9223372036854775807", 0, INT64_MAX},
        {"-9223372036854775808", 0, INT64_MIN},
        {"9223372036854775808", -ERANGE, 0},
        {"-9223372036854775809", -ERANGE, 0},
        {"99999999999999999999999", -ERANGE, 0},
        {"", -EINVAL, 0},
        {"-", -EINVAL, 0},
        {"+1", -EINVAL, 0},
        {" 1", -EINVAL, 0},
        {"1 ", -EINVAL, 0},
        {"0x1", -EINVAL, 0},
        {"1.0", -EINVAL, 0},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        int64_t value = 77;
        cr_expect_eq(str_to_i64(str_of(rows[i].text), &value), rows[i].err, "%s", rows[i].text);
        cr_expect_eq(value, rows[i].err == 0 ? rows[i].value : 77, "%s", rows[i].text);
    }
}

Test(str, to_double)
{
    static const struct {
        const char *text;
        int err;
        double value;
    } rows[] = {
        {"0.13600", 0, 0.136}, {"-1e3", 0, -1000},   {"1e999", -ERANGE, 0}, {"inf", -EINVAL, 0},
        {"nan", -EINVAL, 0},   {"0x10", -EINVAL, 0}, {"", -EINVAL, 0},      {"1,5", -EINVAL, 0},
        {"1.5 ", -EINVAL, 0},  {"--1", -EINVAL, 0},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        double value = 77;
        cr_expect_eq(str_to_double(str_of(rows[i].text), &value), rows[i].err, "%s", rows[i].text);
        cr_expect_float_eq(value, rows[i].err == 0 ? rows[i].value : 77, 1e-9, "%s", rows[i].text);
    }
}

Test(str, to_bool)
{
    bool value = false;
    cr_expect_eq(str_to_bool(STR("TRUE"), &value), 0);
    cr_expect(value);
    cr_expect_eq(str_to_bool(STR("off"), &value), 0);
    cr_expect_not(value);
    cr_expect_eq(str_to_bool(STR("2"), &value), -EINVAL);
    cr_expect_eq(str_to_bool(STR(""), &value), -EINVAL);
}

Test(str, copy)
{
    char small[4];
    cr_expect_eq(str_copy(STR("abc"), small, sizeof small), 0);
    cr_expect_str_eq(small, "abc");
    cr_expect_eq(str_copy(STR("abcd"), small, sizeof small), -EMSGSIZE);
    cr_expect_str_eq(small, "");
    str_copy_cut(STR("abcdef"), small, sizeof small);
    cr_expect_str_eq(small, "abc");
    str_copy_cut(STR("ab\xc3\xa9"), small, sizeof small);
    cr_expect_str_eq(small, "ab", "no character is cut in two");
    str_copy_cut(STR_NONE, small, sizeof small);
    cr_expect_str_eq(small, "");
    OWNED(xfreep) char *copy = str_dup(STR("abc"));
    cr_expect_str_eq(copy, "abc");
}

Test(str, utf8)
{
    static const struct {
        const char *text;
        bool ok;
    } rows[] = {
        {"", true},
        {"plain", true},
        {"\xc3\xa9", true},
        {"\xe2\x82\xac", true},
        {"\xf0\x9f\x98\x80", true},
        {"\xf4\x8f\xbf\xbf", true},
        {"\xc0\x80", false},         /* overlong */
        {"\xe0\x80\x80", false},     /* overlong */
        {"\xf0\x80\x80\x80", false}, /* overlong */
        {"\xed\xa0\x80", false},     /* surrogate */
        {"\xf4\x90\x80\x80", false}, /* past the last character */
        {"\xf5\x80\x80\x80", false},
        {"\x80", false},
        {"a\xc3", false},
        {"\xe2\x82", false},
        {"\xe2\x28\xa1", false},
        {"\xff", false},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        cr_expect_eq(str_is_utf8(str_of(rows[i].text)), rows[i].ok, "row %zu", i);
    }
}

/* One byte that is not ASCII at every place of a longer text, where words end and between. */
Test(str, utf8_at_every_place)
{
    for (size_t len = 1; len <= 40; len++) {
        for (size_t at = 0; at < len; at++) {
            char text[41];

            memset(text, 'a', len);
            cr_expect(str_is_utf8(str_make(text, len)));
            text[at] = '\xff';
            cr_expect_not(str_is_utf8(str_make(text, len)), "%zu of %zu", at, len);
            text[at] = '\xc3';
            if (at + 1 < len) {
                text[at + 1] = '\xa9';
            }
            cr_expect_eq(str_is_utf8(str_make(text, len)), at + 1 < len, "%zu of %zu", at, len);
        }
    }
}
