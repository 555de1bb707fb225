#include "net/http_server.h"

#include "base/limits.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>

Test(form, parse)
{
    static const struct {
        const char *text;
        int result;
        const char *shown; /* name=value; of each */
    } rows[] = {
        {"", 0, ""},
        {"a=1&b=2", 2, "a=1;b=2;"},
        {"To=%2B1415&From=a+b", 2, "To=+1415;From=a b;"},
        {"a=1&a=2&a=1", 3, "a=1;a=2;a=1;"},
        {"a", 1, "a=;"},
        {"a=", 1, "a=;"},
        {"=x", 1, "=x;"},
        {"a=b=c", 1, "a=b=c;"},
        {"&&a=1&&", 1, "a=1;"},
        {"%61%3d=%26%C3%A9", 1, "a==&\xc3\xa9;"},
        {"a=%", -EINVAL, ""},
        {"a=%2", -EINVAL, ""},
        {"a=%2x", -EINVAL, ""},
        {"a=%x2", -EINVAL, ""},
        {"a%=1", -EINVAL, ""},
        {"a=%00", -EINVAL, ""},
        {"a=%2&b=41", -EINVAL, ""},
        {"a=%-1", -EINVAL, ""},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        OWNED(buf_fini) struct buf storage;
        OWNED(buf_fini) struct buf shown;
        struct form_field fields[4];
        size_t count = 0;
        buf_init(&storage, 1000);
        buf_init(&shown, 1000);
        int err = form_parse(str_of(rows[i].text), &storage, fields, 4, &count);
        cr_expect_eq(err < 0 ? err : (int)count, rows[i].result, "%s", rows[i].text);
        for (size_t f = 0; err == 0 && f < count; f++) {
            (void)buf_addf(&shown, STR_FMT "=" STR_FMT ";", STR_ARG(fields[f].name),
                           STR_ARG(fields[f].value));
        }
        cr_expect_str_eq(buf_cstr(&shown), rows[i].shown);
    }
}

Test(form, limits)
{
    OWNED(buf_fini) struct buf storage;
    struct form_field fields[2];
    size_t count = 77;
    buf_init(&storage, 8);
    cr_expect_eq(form_parse(STR("a=1&b=2&c=3"), &storage, fields, 2, &count), -EMSGSIZE);
    buf_fini(&storage);
    buf_init(&storage, 100);
    cr_expect_eq(form_parse(STR("a=1&b=2&c=3"), &storage, fields, 2, &count), -EMSGSIZE);
    cr_expect_eq(count, 77, "written only on success");
    cr_expect_eq(form_parse(STR("a=1&b=2"), &storage, fields, 2, &count), 0);
    cr_expect(str_eq(form_get(fields, count, "b"), STR("2")));
    cr_expect_null(form_get(fields, count, "c").p);
}
