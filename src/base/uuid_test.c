#include "base/uuid.h"

#include <criterion/criterion.h>
#include <errno.h>

Test(uuid, made_ones_are_version_7_in_order)
{
    char last[UUID_TEXT_SIZE] = "";
    for (int64_t us = 1795341600000000LL; us < 1795341600000000LL + 2000; us++) {
        char text[UUID_TEXT_SIZE];
        struct uuid u = uuid_make(us);
        uuid_text(&u, text);
        cr_assert_eq(text[14], '7');
        cr_assert(text[19] == '8' || text[19] == '9' || text[19] == 'a' || text[19] == 'b');
        cr_assert_gt(str_cmp(str_of(text), str_of(last)), 0, "%s after %s", text, last);
        str_copy_cut(str_of(text), last, sizeof last);
    }
    struct uuid u = uuid_make(0x0123456789abLL * 1000);
    cr_expect_eq(u.b[0], 0x01);
    cr_expect_eq(u.b[5], 0xab);
}

Test(uuid, parse)
{
    static const struct {
        const char *text;
        int err;
    } rows[] = {
        {"01234567-89ab-cdef-0123-456789abcdef", 0},
        {"0123456789abcdef0123456789abcdef", 0},
        {"0123456789ABCDEF0123456789ABCDEF", 0},
        {"", -EINVAL},
        {"0123456789abcdef0123456789abcde", -EINVAL},
        {"0123456789abcdef0123456789abcdefa", -EINVAL},
        {"0123456789abcdef0123456789abcdeg", -EINVAL},
        {"01234567+89ab-cdef-0123-456789abcdef", -EINVAL},
        {"012345678-9ab-cdef-0123-456789abcdef", -EINVAL},
        {"{1234567-89ab-cdef-0123-456789abcdef", -EINVAL},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char text[UUID_TEXT_SIZE];
        char hex[UUID_HEX_SIZE];
        struct uuid u = {{0}};
        cr_expect_eq(uuid_parse(str_of(rows[i].text), &u), rows[i].err, "%s", rows[i].text);
        cr_expect_eq(uuid_is_nil(&u), rows[i].err != 0, "%s", rows[i].text);
        if (rows[i].err == 0) {
            uuid_text(&u, text);
            cr_expect_str_eq(text, rows[0].text);
            uuid_hex(&u, hex);
            cr_expect_str_eq(hex, rows[1].text);
        }
    }
}
