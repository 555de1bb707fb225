#include "base/json.h"

#include "base/limits.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

Test(json, parse)
{
    static const struct {
        const char *text;
        int err;
    } rows[] = {
        {"{}", 0},
        {"[1,2]", 0},
        {"\"x\"", 0},
        {"{\"a\":{\"b\":[1]}}", 0},
        {"[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]", 0},           /* 16 */
        {"[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]", -EMSGSIZE}, /* 17 */
        {"[[[[[[[[[[[[[[[[[", -EMSGSIZE},                  /* found before anything is built */
        {"\"[[[[[[[[[[[[[[[[[[[[[[ \\\" [[[[[[\"", 0},     /* brackets in a string are text */
        {"{\"a\":1,\"a\":2}", -EINVAL},
        {"{\"a\":1", -EINVAL},
        {"", -EINVAL},
        {"{\"a\":\"\\u0000\"}", -EINVAL},
        {"{\"a\":99999999999999999999}", -EINVAL},
        {"{\"a\":\"\xff\"}", -EINVAL},
        {"{} x", -EINVAL},
        {"\"\\", -EINVAL},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        OWNED(json_free) json_t *v = NULL;
        cr_expect_eq(json_parse(str_of(rows[i].text), &v), rows[i].err, "%s", rows[i].text);
        cr_expect_eq(v != NULL, rows[i].err == 0, "%s", rows[i].text);
    }
    json_t *none = NULL;
    cr_expect_eq(json_parse(STR_NONE, &none), -EINVAL);
}

Test(json, keys_are_bounded_for_each_object)
{
    OWNED(buf_fini) struct buf text;
    OWNED(json_free) json_t *v = NULL;
    buf_init(&text, 1000000);
    (void)buf_add_cstr(&text, "[");
    for (int object = 0; object < 3; object++) {
        (void)buf_addf(&text, "%s{", object == 0 ? "" : ",");
        for (int i = 0; i < LIMIT_JSON_KEYS; i++) {
            (void)buf_addf(&text, "%s\"k%d\":0", i == 0 ? "" : ",", i);
        }
        (void)buf_add_cstr(&text, "}");
    }
    (void)buf_add_cstr(&text, "]");
    cr_expect_eq(json_parse(buf_str(&text), &v), 0);
    text.len -= 2;
    (void)buf_add_cstr(&text, ",\"more\":1}]");
    json_t *more = NULL;
    cr_expect_eq(json_parse(buf_str(&text), &more), -EMSGSIZE);
}

Test(json, getters_are_total)
{
    OWNED(json_free) json_t *v = NULL;
    cr_assert_eq(json_parse(STR("{\"s\":\"x\",\"i\":5,\"is\":\"-7\",\"d\":1.5,\"ds\":\"0.136\","
                                "\"b\":true,\"bs\":\"false\",\"n\":null,\"a\":[1],\"o\":{}}"),
                            &v),
                 0);
    cr_expect(str_eq(json_get_str(v, "s"), STR("x")));
    cr_expect_null(json_get_str(v, "i").p);
    cr_expect_null(json_get_str(v, "missing").p);
    cr_expect_null(json_get_str(NULL, "s").p);
    cr_expect_eq(json_get_i64(v, "i", 9), 5);
    cr_expect_eq(json_get_i64(v, "is", 9), -7);
    cr_expect_eq(json_get_i64(v, "d", 9), 1);
    cr_expect_eq(json_get_i64(v, "s", 9), 9);
    cr_expect_eq(json_get_i64(v, "n", 9), 9);
    cr_expect_float_eq(json_get_double(v, "d", 9), 1.5, 1e-9);
    cr_expect_float_eq(json_get_double(v, "ds", 9), 0.136, 1e-9);
    cr_expect_float_eq(json_get_double(v, "o", 9), 9, 1e-9);
    cr_expect(json_get_bool(v, "b", false));
    cr_expect_not(json_get_bool(v, "bs", true));
    cr_expect(json_get_bool(v, "a", true));
    cr_expect_not_null(json_get_array(v, "a"));
    cr_expect_null(json_get_array(v, "o"));
    cr_expect_not_null(json_get(v, "o"));
    cr_expect_null(json_get(json_get_array(v, "a"), "x"));
}

Test(json, build)
{
    OWNED(json_free) json_t *v = json_object();
    OWNED(buf_fini) struct buf out;
    buf_init(&out, 80);
    json_set_str(v, "a", STR("\"quoted\"\n"));
    json_set_str(v, "b", STR("bad \xff byte"));
    json_set_str(v, "c", STR_NONE);
    cr_expect_eq(json_dump(v, &out), 0);
    cr_expect_str_eq(buf_cstr(&out),
                     "{\"a\":\"\\\"quoted\\\"\\n\",\"b\":\"bad \xef\xbf\xbd byte\",\"c\":null}");
    size_t before = out.len;
    cr_expect_eq(json_dump(v, &out), -EMSGSIZE, "what does not fit leaves no half");
    cr_expect_eq(out.len, before);
}

Test(json, quoted_string_reads_back)
{
    static const char *const rows[] = {"", "plain", "q\" b\\ n\n r\r t\t \x01\x1f\x7f",
                                       "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        OWNED(buf_fini) struct buf out;
        OWNED(json_free) json_t *v = NULL;
        buf_init(&out, 1000);
        cr_assert_eq(buf_add_json_str(&out, str_of(rows[i])), 0);
        cr_assert_eq(json_parse(buf_str(&out), &v), 0, "%s", buf_cstr(&out));
        cr_expect_str_eq(json_string_value(v), rows[i]);
    }
    OWNED(buf_fini) struct buf out;
    buf_init(&out, 10);
    cr_expect_eq(buf_add_json_str(&out, STR("123456789")), -EMSGSIZE);
    cr_expect_eq(out.len, 0);
}
