#include "call/tools.h"

#include "base/clock.h"
#include "base/json.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define ALL ((1u << TOOL_COUNT) - 1)

static struct tool_clock clock_at(const char *now)
{
    struct tool_clock c = {0};
    cr_assert_eq(clock_parse(str_of(now), &c.wall_us), 0);
    return c;
}

static int read_tool(const char *name, const char *args, struct tool_call *out,
                     char why[TOOL_WHY_SIZE])
{
    struct tool_clock c = clock_at("2026-11-22T10:00:00Z");
    return tool_read(ALL, name, str_of(args), &c, out, why);
}

Test(tools, good_arguments)
{
    static const struct {
        const char *name, *args;
        enum tool_id id;
    } cases[] = {
        {"transfer_to_human", "{\"reason\":\"wants one\",\"summary\":\"Ann\"}", TOOL_TRANSFER},
        {"schedule_callback", "{\"when\":\"2026-11-23T15:00:00+05:30\"}", TOOL_CALLBACK},
        {"schedule_callback", "{\"when\":\"2026-11-23T15:00:00Z\",\"note\":null}", TOOL_CALLBACK},
        {"mark_do_not_call", "{\"words\":\"never again\"}", TOOL_DO_NOT_CALL},
        {"end_call", "{\"reason\":\"wrong_number\"}", TOOL_END_CALL},
        {"note_interest", "{\"level\":\"high\",\"budget\":\"10k\",\"disposition\":\"qualified\"}",
         TOOL_NOTE_INTEREST},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct tool_call t;
        char why[TOOL_WHY_SIZE] = "";
        cr_expect_eq(read_tool(cases[i].name, cases[i].args, &t, why), 0, "%s: %s", cases[i].args,
                     why);
        cr_expect_eq(t.id, cases[i].id);
    }
}

Test(tools, bad_arguments)
{
    static const struct {
        const char *name, *args;
        int err;
    } cases[] = {
        {"no_such_tool", "{}", -ENOENT},
        {"", "{}", -ENOENT},
        {"transfer_to_human", "", -EINVAL},
        {"transfer_to_human", "null", -EINVAL},
        {"transfer_to_human", "[]", -EINVAL},
        {"transfer_to_human", "{\"reason\":\"r\"", -EINVAL},
        {"transfer_to_human", "{\"reason\":\"r\"}", -EINVAL},
        {"transfer_to_human", "{\"reason\":\"r\",\"summary\":\"  \"}", -EINVAL},
        {"transfer_to_human", "{\"reason\":7,\"summary\":\"s\"}", -EINVAL},
        {"transfer_to_human", "{\"reason\":\"r\",\"summary\":\"s\",\"to\":\"+15550001111\"}",
         -EINVAL},
        {"transfer_to_human", "{\"reason\":\"r\",\"reason\":\"q\",\"summary\":\"s\"}", -EINVAL},
        {"schedule_callback", "{\"when\":\"tomorrow\"}", -EINVAL},
        {"schedule_callback", "{\"when\":\"2026-11-23T15:00:00\"}", -EINVAL},  /* whose 15:00? */
        {"schedule_callback", "{\"when\":\"2026-11-22T09:00:00Z\"}", -EINVAL}, /* past */
        {"schedule_callback", "{\"when\":\"2028-11-22T09:00:00Z\"}", -EINVAL}, /* too far */
        {"schedule_callback", "{\"when\":\"2026-02-30T09:00:00Z\"}", -EINVAL},
        {"schedule_callback", "{\"when\":null}", -EINVAL},
        {"schedule_callback", "{\"when\":\"2026-11-23T15:00:00Z\",\"phone\":\"+1\"}", -EINVAL},
        {"mark_do_not_call", "{}", -EINVAL},
        {"mark_do_not_call", "{\"words\":\"w\",\"lead_id\":\"other\"}", -EINVAL},
        {"end_call", "{\"reason\":\"because\"}", -EINVAL},
        {"note_interest", "{\"level\":\"HIGH\"}", -EINVAL},
        {"note_interest", "{\"level\":\"high\",\"disposition\":\"do_not_call\"}", -EINVAL},
        {"note_interest", "{\"level\":\"high\",\"organization_id\":\"x\"}", -EINVAL},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct tool_call t;
        char why[TOOL_WHY_SIZE] = "";
        cr_expect_eq(read_tool(cases[i].name, cases[i].args, &t, why), cases[i].err, "%s %s",
                     cases[i].name, cases[i].args);
        cr_expect_gt(strlen(why), 5, "%s: no reason is given", cases[i].args);
    }
}

Test(tools, texts_are_bounded)
{
    static char args[8192];
    struct tool_call t;
    char why[TOOL_WHY_SIZE];
    char long_text[2101];
    memset(long_text, 'x', sizeof long_text - 1);
    long_text[sizeof long_text - 1] = '\0';
    (void)snprintf(args, sizeof args, "{\"words\":\"%s\"}", long_text);
    cr_expect_eq(read_tool("mark_do_not_call", args, &t, why), -EINVAL);
    long_text[2000] = '\0';
    (void)snprintf(args, sizeof args, "{\"words\":\"%s\"}", long_text);
    cr_expect_eq(read_tool("mark_do_not_call", args, &t, why), 0);
    cr_expect_eq(strlen(t.reason), TOOL_TEXT_SIZE - 1);
}

Test(tools, what_a_campaign_does_not_allow_is_not_there)
{
    struct tool_clock c = clock_at("2026-11-22T10:00:00Z");
    struct tool_call t;
    struct voice_tool list[TOOL_COUNT];
    char why[TOOL_WHY_SIZE];
    cr_expect_eq(tool_read(tools_always(), "transfer_to_human",
                           STR("{\"reason\":\"r\",\"summary\":\"s\"}"), &c, &t, why),
                 -ENOENT);
    cr_expect_eq(tools_declare(tools_always(), list), 2, "opting out and hanging up always are");
    cr_expect_str_eq(list[0].name, "mark_do_not_call");
    cr_expect_eq(tools_declare(ALL, list), TOOL_COUNT);
    for (size_t i = 0; i < TOOL_COUNT; i++) {
        OWNED(json_free) json_t *schema = NULL;
        cr_assert_eq(json_parse(str_of(list[i].parameters), &schema), 0, "%s", list[i].name);
        cr_expect(json_is_false(json_get(schema, "additionalProperties")));
        /* The schema and the checks name the same members. */
        const char *key;
        json_t *value;
        json_object_foreach(json_get(schema, "properties"), key, value)
        {
            cr_expect_not(strcmp(key, "lead_id") == 0 || strcmp(key, "phone") == 0);
            cr_expect(json_is_string(json_get(value, "type")));
        }
    }
}

Test(tools, the_same_asked_twice_has_the_same_key)
{
    struct tool_call a;
    struct tool_call b;
    char why[TOOL_WHY_SIZE];
    cr_assert_eq(read_tool("note_interest", "{\"level\":\"low\",\"notes\":\"n\"}", &a, why), 0);
    cr_assert_eq(read_tool("note_interest", " {\"notes\":\"n\", \"level\":\"low\"}", &b, why), 0);
    cr_expect_arr_eq(a.key, b.key, 32);
    cr_assert_eq(read_tool("note_interest", "{\"level\":\"low\",\"notes\":\"m\"}", &b, why), 0);
    cr_expect_neq(memcmp(a.key, b.key, 32), 0);
    /* Members do not run into each other. */
    cr_assert_eq(read_tool("transfer_to_human", "{\"reason\":\"ab\",\"summary\":\"c\"}", &a, why),
                 0);
    cr_assert_eq(read_tool("transfer_to_human", "{\"reason\":\"a\",\"summary\":\"bc\"}", &b, why),
                 0);
    cr_expect_neq(memcmp(a.key, b.key, 32), 0);
}

Test(tools, times_are_read_in_the_zone_they_name)
{
    struct tool_clock c = clock_at("2026-11-22T10:00:00Z");
    static const struct {
        const char *when, *utc;
    } cases[] = {
        {"2026-11-23T15:00:00+05:30", "2026-11-23T09:30:00Z"},
        {"2026-11-23T15:00:00-0500", "2026-11-23T20:00:00Z"},
        {"2026-11-23 15:00:00Z", "2026-11-23T15:00:00Z"},
        {"2026-11-23T15:00", "2026-11-23T13:00:00Z"}, /* in the lead's zone, two hours east */
    };
    c.offset_known = true;
    c.utc_offset_s = 7200;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct tool_call t;
        char why[TOOL_WHY_SIZE] = "";
        char args[100];
        int64_t want = 0;
        (void)snprintf(args, sizeof args, "{\"when\":\"%s\"}", cases[i].when);
        cr_assert_eq(tool_read(ALL, "schedule_callback", str_of(args), &c, &t, why), 0, "%s: %s",
                     cases[i].when, why);
        cr_assert_eq(clock_parse(str_of(cases[i].utc), &want), 0);
        cr_expect_eq(t.due_us, want, "%s", cases[i].when);
    }
}

Test(tools, taming)
{
    static const struct {
        const char *in, *out;
    } cases[] = {
        {"plain", "plain"},
        {"  a   b  ", "a b"},
        {"a\nb\tc\x01"
         "d",
         "a b c d"},
        {"a\u202e"
         "b\u200b"
         "c\ufeff"
         "d",
         "a b c d"},
        {"\u0939\u093f", "\u0939\u093f"},
        {"bad\xff\xfe"
         "utf",
         "bad utf"},
        {"\n\n", ""},
        {"", ""},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char out[64];
        text_tame(str_of(cases[i].in), out, sizeof out);
        cr_expect_str_eq(out, cases[i].out, "case %zu", i);
    }
    char small[5];
    text_tame(STR("ab\u0939cd"), small, sizeof small);
    cr_expect_str_eq(small, "ab", "no character is cut in two");
}
