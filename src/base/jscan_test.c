#include "base/jscan.h"

#include "base/alloc.h"
#include "base/macros.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#define MEDIA                                                                                      \
    "{\"event\":\"media\",\"sequenceNumber\":7,\"streamId\":\"s-1\",\"media\":{\"track\":"         \
    "\"inbound\",\"timestamp\":\"1700000000123\",\"chunk\":7,\"payload\":\"f39/fw==\"},"           \
    "\"extra\":null,\"d\":12.75,\"t\":true,\"esc\":\"a\\\"b\\u00e9\\\\\",\"deep\":{\"a\":{\"b\":"  \
    "5}}}"

Test(jscan, any_order)
{
    OWNED(jscan_free) struct jscan *s = jscan_new(10000);
    struct str text;
    struct str event;
    int64_t number;
    cr_assert_eq(jscan_open(s, STR(MEDIA)), 0);
    cr_expect_eq(jscan_i64(s, "deep.a.b", &number), 0);
    cr_expect_eq(number, 5);
    cr_expect_eq(jscan_raw(s, "media.payload", &text), 0);
    cr_expect(str_eq(text, STR("f39/fw==")));
    cr_expect_eq(jscan_str(s, "event", &event), 0);
    cr_expect(str_eq(event, STR("media")));
    cr_expect_eq(jscan_str(s, "esc", &text), 0);
    cr_expect(str_eq(text, STR("a\"b\xc3\xa9\\")));
    struct str again;
    cr_expect_eq(jscan_str(s, "esc", &again), 0);
    cr_expect(str_eq(text, again));
    cr_expect(str_eq(event, STR("media")), "strings live until the next jscan_open()");
    cr_expect_eq(jscan_raw(s, "esc", &text), 0);
    cr_expect(str_eq(text, STR("a\\\"b\\u00e9\\\\")));
    cr_expect_eq(jscan_i64(s, "media.timestamp", &number), 0, "a decimal string is a number");
    cr_expect_eq(number, 1700000000123LL);
    cr_expect_eq(jscan_i64(s, "sequenceNumber", &number), 0);
    cr_expect_eq(number, 7);
    cr_expect_eq(jscan_i64(s, "d", &number), 0);
    cr_expect_eq(number, 12);
}

Test(jscan, what_is_not_there)
{
    OWNED(jscan_free) struct jscan *s = jscan_new(10000);
    struct str text = STR("kept");
    int64_t number;
    cr_assert_eq(jscan_open(s, STR(MEDIA)), 0);
    cr_expect_eq(jscan_str(s, "missing", &text), -ENOENT);
    cr_expect_eq(jscan_str(s, "media.missing", &text), -ENOENT);
    cr_expect_eq(jscan_str(s, "extra", &text), -ENOENT);
    cr_expect_eq(jscan_str(s, "extra.more", &text), -ENOENT);
    cr_expect_eq(jscan_str(s, "event.more", &text), -EBADMSG);
    cr_expect_eq(jscan_str(s, "sequenceNumber", &text), -EBADMSG);
    cr_expect_eq(jscan_raw(s, "media", &text), -EBADMSG);
    cr_expect_eq(jscan_i64(s, "t", &number), -EBADMSG);
    cr_expect_eq(jscan_i64(s, "event", &number), -EBADMSG);
    cr_expect_eq(jscan_i64(s, "media", &number), -EBADMSG);
    cr_expect(str_eq(text, STR("kept")), "written only on success");
    cr_expect_eq(jscan_str(s, "event", &text), 0, "and the scanner still works");
}

Test(jscan, what_is_not_json)
{
    static const char *const rows[] = {"",         " ",
                                       "[1]",      "\"x\"",
                                       "12",       "null",
                                       "{\"a\":1", "{\"a\":\"x}",
                                       "\xff\xfe", "{\"a\":\"\x01\"}",
                                       "hello",    "{\"a\":\"\xc3\"}"};
    OWNED(jscan_free) struct jscan *s = jscan_new(10000);
    struct str text;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        int err = jscan_open(s, str_of(rows[i]));
        cr_expect_eq(err, -EINVAL, "row %zu: %s", i, rows[i]);
        cr_expect_eq(jscan_str(s, "a", &text), -EINVAL, "row %zu", i);
    }
    cr_expect_eq(jscan_open(s, STR("{\"a\":\"x\"}")), 0);
    cr_expect_eq(jscan_str(s, "a", &text), 0);
}

Test(jscan, sizes)
{
    char *big = xmalloc(200000);
    OWNED(jscan_free) struct jscan *s = jscan_new(150000);
    struct str text;
    for (size_t size = 10; size < 150000; size = size * 2 + 1) {
        memset(big, 'A', size);
        memcpy(big, "{\"a\":\"", 6);
        big[size - 2] = '"';
        big[size - 1] = '}';
        cr_assert_eq(jscan_open(s, str_make(big, size)), 0, "%zu", size);
        cr_assert_eq(jscan_raw(s, "a", &text), 0, "%zu", size);
        cr_assert_eq(text.len, size - 8, "%zu", size);
    }
    cr_expect_eq(jscan_open(s, str_make(big, 150001)), -EMSGSIZE);
    xfree(big);
}
