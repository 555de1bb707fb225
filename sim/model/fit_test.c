#include "fit.h"

#include "base/alloc.h"
#include "base/clock.h"

#include <criterion/criterion.h>

static json_t *parse(const char *text)
{
    json_t *v = NULL;
    cr_assert_eq(json_parse(str_of(text), &v), 0, "%s", text);
    return v;
}

static struct fit_world world_at(const char *zone)
{
    struct fit_world w = {"call me tomorrow", zone, 0};
    cr_assert_eq(clock_parse(STR("2026-11-22T20:00:00Z"), &w.wall_us), 0);
    return w;
}

Test(fit, hints_go_where_they_are_meant)
{
    static const struct {
        const char *hints, *schema, *wanted;
    } rows[] = {
        {"{\"when\":\"+1d 10:00\"}",
         "{\"properties\":{\"when\":{\"type\":\"string\"}},\"required\":[\"when\"]}",
         "{\"when\":\"2026-11-24T10:00:00+05:30\"}"}, /* it is Monday already in India */
        {"{\"when\":\"+1d 10:00\",\"note\":\"n\"}",
         "{\"properties\":{\"callback_time_iso8601\":{\"type\":\"string\",\"format\":\"date-time\"}"
         ","
         "\"comment\":{\"type\":\"string\"}},\"required\":[\"callback_time_iso8601\"]}",
         "{\"callback_time_iso8601\":\"2026-11-24T10:00:00+05:30\",\"comment\":\"n\"}"},
        {"{\"outcome\":\"interested\"}",
         "{\"properties\":{\"reason\":{\"type\":\"string\",\"enum\":[\"completed\","
         "\"not_interested\"]}},\"required\":[\"reason\"]}",
         "{\"reason\":\"completed\"}"},
        {"{\"outcome\":\"callback_requested\"}",
         "{\"properties\":{\"reason\":{\"enum\":[\"completed\",\"callback\"]}},\"required\":["
         "\"reason\"]}",
         "{\"reason\":\"callback\"}"},
        {"{\"words\":\"$said\"}",
         "{\"properties\":{\"verbatim_request\":{\"type\":\"string\"}},\"required\":[]}",
         "{\"verbatim_request\":\"call me tomorrow\"}"},
        {NULL,
         "{\"properties\":{\"a\":{\"type\":\"integer\",\"minimum\":3},\"b\":{\"type\":[\"string\","
         "\"null\"]},\"c\":{\"type\":\"boolean\"}},\"required\":[\"a\",\"b\",\"c\"]}",
         "{\"a\":3,\"b\":null,\"c\":false}"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct fit_world w = world_at("Asia/Kolkata");
        json_t *hints = rows[i].hints == NULL ? NULL : parse(rows[i].hints);
        json_t *schema = parse(rows[i].schema);
        json_t *wanted = parse(rows[i].wanted);
        json_t *got = fit_arguments(hints, schema, &w);
        char *text = json_dumps(got, JSON_COMPACT);
        cr_expect(json_equal(got, wanted), "row %zu: %s", i, text);
        xfree(text);
        json_free(&hints);
        json_free(&schema);
        json_free(&wanted);
        json_free(&got);
    }
}

Test(fit, finds_the_zone_in_a_text)
{
    char zone[64];
    cr_assert(fit_find_zone(STR("{\"name\":\"A/B\",\"zone\":\"America/Argentina/Buenos_Aires\"}"),
                            zone, sizeof zone));
    cr_assert_str_eq(zone, "America/Argentina/Buenos_Aires");
    cr_assert_not(fit_find_zone(STR("and/or Mars/Olympus nothing"), zone, sizeof zone));
}

Test(fit, moments)
{
    static const struct {
        const char *hint, *zone, *wanted;
    } rows[] = {
        {"+90s", "Etc/UTC", "2026-11-22T20:01:30+00:00"},
        {"+2h", "America/New_York", "2026-11-22T17:00:00-05:00"},
        {"+1d 09:30", "America/New_York", "2026-11-23T09:30:00-05:00"},
        {"tomorrow", "Etc/UTC", NULL},
        {"+1d 10:00", "Mars/Base", NULL},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct fit_world w = world_at(rows[i].zone);
        char out[40] = "";
        int err = fit_moment(rows[i].hint, &w, out, sizeof out);
        cr_expect_eq(err == 0, rows[i].wanted != NULL, "%s", rows[i].hint);
        if (rows[i].wanted != NULL) {
            cr_expect_str_eq(out, rows[i].wanted);
        }
    }
}
