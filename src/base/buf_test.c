#include "base/buf.h"

#include "base/alloc.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

Test(buf, grows_to_its_maximum)
{
    OWNED(buf_fini) struct buf b;
    buf_init(&b, 100);
    cr_expect_str_eq(buf_cstr(&b), "");
    for (int i = 0; i < 99; i++) {
        cr_assert_eq(buf_add_char(&b, 'x'), 0, "byte %d", i);
    }
    cr_expect_eq(b.len, 99);
    cr_expect_eq(strlen(b.p), 99);
    cr_expect_eq(buf_add_char(&b, 'x'), -EMSGSIZE);
    cr_expect(buf_failed(&b));
    cr_expect_eq(b.len, 99, "a refused append changes nothing");
    buf_clear(&b);
    cr_expect_not(buf_failed(&b));
    cr_expect_eq(buf_add(&b, NULL, 0), 0);
    cr_expect_null(buf_reserve(&b, SIZE_MAX), "the sum must not wrap around");
}

Test(buf, format)
{
    OWNED(buf_fini) struct buf b;
    buf_init(&b, 2000);
    cr_expect_eq(buf_addf(&b, "%d-%s", 7, "a"), 0);
    cr_expect_eq(buf_addf(&b, "%1000d", 1), 0, "longer than the room on the stack");
    cr_expect_eq(b.len, 1003);
    cr_expect_eq(buf_addf(&b, "%1000d", 1), -EMSGSIZE);
    cr_expect_eq(b.len, 1003);
}

Test(buf, consume_and_steal)
{
    struct buf b;
    buf_init(&b, 100);
    cr_assert_eq(buf_add_cstr(&b, "hello world"), 0);
    buf_consume(&b, 6);
    cr_expect_str_eq(buf_cstr(&b), "world");
    buf_consume(&b, 0);
    buf_consume(&b, 5);
    cr_expect_str_eq(buf_cstr(&b), "");
    cr_assert_eq(buf_add_str(&b, STR("kept")), 0);
    OWNED(xfreep) char *text = buf_steal(&b);
    cr_expect_str_eq(text, "kept");
    cr_expect_eq(b.len, 0);
    OWNED(xfreep) char *empty = buf_steal(&b);
    cr_expect_str_eq(empty, "");
    buf_fini(&b);
}

Test(buf, reserve_and_commit)
{
    OWNED(buf_fini) struct buf b;
    buf_init(&b, 64);
    char *at = buf_reserve(&b, 10);
    cr_assert_not_null(at);
    memcpy(at, "0123456789", 10);
    buf_commit(&b, 4);
    cr_expect_str_eq(buf_cstr(&b), "0123");
}
