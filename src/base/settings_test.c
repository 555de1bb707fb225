#include "base/settings.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#define SECRET "DIALWRIGHT_SECRET=0123456789abcdef0123456789abcdef"
#define KEK    "DIALWRIGHT_KEK=00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define GOOD                                                                                       \
    "DATABASE_URL=postgres://x", "DIALWRIGHT_PUBLIC_URL=https://d.example/base/", SECRET, KEK,     \
        "OPENAI_API_KEY=sk-x"

static int load(struct settings *s, const char *const *env, struct buf *problems)
{
    char *list[32];
    size_t count = 0;
    for (; env[count] != NULL; count++) {
        list[count] = (char *)(uintptr_t)env[count];
    }
    list[count] = NULL;
    return settings_load(s, list, problems);
}

Test(settings, defaults_and_values)
{
    static const char *const env[] = {GOOD, "DIALWRIGHT_CALLS_MAX= 7 ",
                                      "PLIVO_API_URL=", "DATABASE_URLX=no", NULL};
    struct settings s;
    OWNED(buf_fini) struct buf problems;
    buf_init(&problems, 10000);
    cr_assert_eq(load(&s, env, &problems), 0, "%s", buf_cstr(&problems));
    cr_expect_eq(settings_check_serve(&s, &problems), 0, "%s", buf_cstr(&problems));
    cr_expect_str_eq(s.database_url, "postgres://x");
    cr_expect_str_eq(s.public_url, "https://d.example/base", "no slash at the end");
    cr_expect_str_eq(s.plivo_api_url, "https://api.plivo.com/v1", "empty counts as unset");
    cr_expect_str_eq(s.openai_realtime_url, "wss://api.openai.com/v1/realtime");
    cr_expect_str_eq(s.realtime_model, "gpt-realtime-2.1-mini");
    cr_expect_str_eq(s.listen, "127.0.0.1:8080");
    cr_expect_eq(s.calls_max, 7);
    cr_expect_eq(s.place_timeout_ms, 10000);
    cr_expect_null(s.plivo_auth_id);
    settings_fini(&s);
    cr_expect_null(s.secret);
}

Test(settings, refused_values)
{
    static const char *const rows[] = {
        "DIALWRIGHT_PUBLIC_URL=http://d.example",
        "DIALWRIGHT_PUBLIC_URL=wss://d.example",
        "PLIVO_API_URL=http://api.plivo.com/v1",
        "OPENAI_REALTIME_URL=https://api.openai.com",
        "OPENAI_REALTIME_URL=ws://example.com",
        "DIALWRIGHT_LISTEN=8080",
        "DIALWRIGHT_LISTEN=h:99999",
        "DIALWRIGHT_LOG_LEVEL=loud",
        "DIALWRIGHT_CALLS_MAX=0",
        "DIALWRIGHT_CALLS_MAX=ten",
        "DIALWRIGHT_PLACE_TIMEOUT_MS=99999999",
        "DIALWRIGHT_NODE_NAME=a\nb",
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const char *env[] = {GOOD, rows[i], NULL};
        if (strncmp(rows[i], "DIALWRIGHT_PUBLIC_URL", 21) == 0) {
            env[1] = rows[i];
            env[5] = NULL;
        }
        struct settings s;
        OWNED(buf_fini) struct buf problems;
        buf_init(&problems, 10000);
        cr_expect_eq(load(&s, env, &problems), -EINVAL, "%s", rows[i]);
        struct str name;
        struct str row = str_of(rows[i]);
        (void)str_split(&row, '=', &name);
        cr_expect(str_starts(buf_str(&problems), name), "%s: %s", rows[i], buf_cstr(&problems));
    }
}

Test(settings, every_problem_is_told)
{
    static const char *const env[] = {"DIALWRIGHT_CALLS_MAX=x", "DIALWRIGHT_LEASE_MS=x", NULL};
    struct settings s;
    OWNED(buf_fini) struct buf problems;
    buf_init(&problems, 10000);
    cr_expect_eq(load(&s, env, &problems), -EINVAL);
    cr_expect(str_contains(buf_str(&problems), STR("DIALWRIGHT_CALLS_MAX must be")));
    cr_expect(str_contains(buf_str(&problems), STR("DIALWRIGHT_LEASE_MS must be")));
}

Test(settings, serve_needs_more)
{
    static const struct {
        const char *env[8];
        const char *problem;
    } rows[] = {
        {{NULL}, "DATABASE_URL is not set"},
        {{NULL}, "DIALWRIGHT_PUBLIC_URL is not set"},
        {{NULL}, "DIALWRIGHT_SECRET is not set"},
        {{NULL}, "DIALWRIGHT_KEK is not set"},
        {{NULL}, "OPENAI_API_KEY is not set"},
        {{GOOD, "DIALWRIGHT_SECRET=", NULL}, NULL},
        {{"DATABASE_URL=x", "DIALWRIGHT_PUBLIC_URL=https://d", "OPENAI_API_KEY=k", KEK,
          "DIALWRIGHT_SECRET=0123456789abcdef0123456789abcde", NULL},
         "DIALWRIGHT_SECRET is too short"},
        {{"DATABASE_URL=x", "DIALWRIGHT_PUBLIC_URL=https://d", "OPENAI_API_KEY=k", SECRET,
          "DIALWRIGHT_KEK=0011", NULL},
         "DIALWRIGHT_KEK must be 64 hex digits"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct settings s;
        OWNED(buf_fini) struct buf problems;
        buf_init(&problems, 10000);
        cr_assert_eq(load(&s, rows[i].env, &problems), 0, "%s", buf_cstr(&problems));
        int err = settings_check_serve(&s, &problems);
        cr_expect_eq(err, rows[i].problem == NULL ? 0 : -EINVAL, "row %zu", i);
        cr_expect(str_contains(buf_str(&problems), str_of(rows[i].problem)), "row %zu: %s", i,
                  buf_cstr(&problems));
        settings_fini(&s);
    }
}

Test(settings, words_hold_every_name_and_no_value)
{
    static const char *const names[] = {
        "DATABASE_URL",          "DIALWRIGHT_MIGRATE_URL",  "DIALWRIGHT_LISTEN",
        "DIALWRIGHT_SECRET",     "DIALWRIGHT_KEK",          "DIALWRIGHT_DATA_DIR",
        "PLIVO_API_URL",         "PLIVO_AUTH_ID",           "PLIVO_AUTH_TOKEN",
        "OPENAI_API_KEY",        "OPENAI_API_URL",          "OPENAI_REALTIME_URL",
        "OPENAI_REALTIME_MODEL", "OPENAI_TRANSCRIBE_MODEL", "OPENAI_ANALYSIS_MODEL",
        "DIALWRIGHT_PUBLIC_URL"};
    int (*const writers[])(struct buf *) = {settings_help, settings_markdown, settings_sample};
    for (size_t i = 0; i < COUNT_OF(writers); i++) {
        OWNED(buf_fini) struct buf out;
        buf_init(&out, 100000);
        cr_assert_eq(writers[i](&out), 0);
        for (size_t n = 0; n < COUNT_OF(names); n++) {
            cr_expect(str_contains(buf_str(&out), str_of(names[n])), "%zu: %s", i, names[n]);
        }
        OWNED(buf_fini) struct buf small;
        buf_init(&small, 100);
        cr_expect_eq(writers[i](&small), -EMSGSIZE);
    }
}
