#include "cli/cmd.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/phone.h"
#include "loop/loop.h"
#include "store/pg_conn.h"
#include "store/tenant_ctx.h"

#include <errno.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

extern char **environ;

#define PROBLEMS_MAX (64 * 1024)

static enum exit_code load_settings(struct cmd *cmd)
{
    OWNED(buf_fini) struct buf problems = {0};

    buf_init(&problems, PROBLEMS_MAX);
    if (settings_load(&cmd->settings, environ, &problems) < 0) {
        return cmd_fail(cmd, "%s", buf_cstr(&problems));
    }
    cmd->settings_loaded = true;
    return EXIT_DONE;
}

/* Until a connection stands, or it is clear that none will. */
struct waiting {
    struct pg_pool *db;
    bool done;
};

static void on_health(enum pg_health health, void *arg)
{
    struct waiting *w = arg;

    w->done = health != PG_CONNECTING;
}

static enum exit_code open_database(struct cmd *cmd)
{
    struct pg_config config = {
        .url = cmd->settings.database_url, .connections = 2, .any_role = true};
    struct waiting w = {0};

    if (!cmd->settings.database_url) {
        return cmd_fail(cmd, "DATABASE_URL is not set");
    }
    if (!cmd->settings.secret) {
        return cmd_fail(
            cmd, "DIALWRIGHT_SECRET is not set: it signs which organization a command works for");
    }
    tenant_ctx_key(str_of(cmd->settings.secret), config.context_key);
    cmd->loop = loop_new(LOOP_REAL);
    int err = pg_pool_new(&cmd->db, cmd->loop, &config);
    secret_wipe(config.context_key, sizeof config.context_key);
    if (err < 0) {
        return cmd_fail(cmd, "DATABASE_URL cannot be read as a libpq URL");
    }
    pg_pool_watch(cmd->db, on_health, &w);
    w.done = pg_pool_health(cmd->db) != PG_CONNECTING;
    pg_wait(cmd->db, &w.done);
    pg_pool_watch(cmd->db, NULL, NULL);
    if (pg_pool_health(cmd->db) != PG_UP) {
        return cmd_fail(cmd, "the database cannot be used: %s", pg_pool_reason(cmd->db));
    }
    return EXIT_DONE;
}

struct org_wait {
    struct admin_org org;
    struct fault fault;
    bool done;
};

static void on_org(const struct fault *fault, const struct admin_org *org, void *arg)
{
    struct org_wait *w = arg;

    w->fault = *fault;
    w->org = *org;
    w->done = true;
}

static enum exit_code find_org(struct cmd *cmd)
{
    struct org_wait w = {0};

    if (store_admin_org_find(NULL, cmd->db, cmd->org_slug, on_org, &w) < 0) {
        return cmd_fail(cmd, "the database has no place for another request");
    }
    pg_wait(cmd->db, &w.done);
    if (w.fault.class != FAULT_NONE) {
        return cmd_fault(cmd, "finding the organization", &w.fault);
    }
    if (!w.org.found) {
        return cmd->org_slug
                   ? cmd_fail(cmd, "no organization %s", cmd->org_slug)
                   : cmd_fail(cmd, "there is no organization yet: run `dialwright setup FILE`");
    }
    if (!cmd->org_slug && w.org.organizations > 1) {
        return cmd_usage(cmd, "there are %lld organizations: say which with --org SLUG",
                         (long long)w.org.organizations);
    }
    cmd->org = w.org;
    return EXIT_DONE;
}

static void find_actor(struct cmd *cmd)
{
    const struct passwd *user = getpwuid(geteuid());

    (void)snprintf(cmd->actor, sizeof cmd->actor, "cli:%s", user ? user->pw_name : "unknown");
}

enum exit_code cmd_open(struct cmd *cmd, enum cmd_needs needs)
{
    enum exit_code code = EXIT_DONE;

    find_actor(cmd);
    if (needs >= CMD_SETTINGS && !cmd->settings_loaded) {
        code = load_settings(cmd);
    }
    if (code == EXIT_DONE && needs >= CMD_DATABASE && !cmd->db) {
        code = open_database(cmd);
    }
    if (code == EXIT_DONE && needs >= CMD_TENANT) {
        code = find_org(cmd);
    }
    return code;
}

void cmd_close(struct cmd *cmd)
{
    if (cmd->db) {
        pg_pool_free(&cmd->db);
    }
    if (cmd->loop) {
        (void)loop_run_once(cmd->loop, false);
        loop_free(&cmd->loop);
    }
    if (cmd->settings_loaded) {
        settings_fini(&cmd->settings);
        cmd->settings_loaded = false;
    }
}

struct answer_wait {
    json_t *answer;
    struct fault fault;
    bool done;
};

static void on_answer(const struct fault *fault, json_t *answer, void *arg)
{
    struct answer_wait *w = arg;

    w->fault = *fault;
    w->answer = json_incref(answer);
    w->done = true;
}

enum exit_code cmd_ask(struct cmd *cmd, enum admin_act act, const json_t *doc, json_t **answer)
{
    struct answer_wait w = {0};

    if (store_admin(NULL, cmd->db, &cmd->org.id, act, doc, cmd_now_us(cmd), on_answer, &w) < 0) {
        return cmd_fail(cmd, "the database has no place for another request");
    }
    pg_wait(cmd->db, &w.done);
    if (w.fault.class != FAULT_NONE) {
        json_decref(w.answer);
        return cmd_fault(cmd, NULL, &w.fault);
    }
    struct str refused = json_get_str(w.answer, "refused");
    if (refused.p) {
        enum exit_code code = cmd_refuse(cmd, refused);
        json_decref(w.answer);
        return code;
    }
    *answer = w.answer;
    return EXIT_DONE;
}

json_t *cmd_doc(const struct cmd *cmd, ...)
{
    json_t *doc = json_object();
    va_list ap;

    json_set_str(doc, "actor", str_of(cmd->actor));
    va_start(ap, cmd);
    for (const char *name = va_arg(ap, const char *); name; name = va_arg(ap, const char *)) {
        const char *value = va_arg(ap, const char *);
        if (value) {
            json_set_str(doc, name, str_of(value));
        }
    }
    va_end(ap);
    return doc;
}

static void print_json(const json_t *v)
{
    (void)json_dumpf(v, stdout, JSON_COMPACT | JSON_ENSURE_ASCII);
    (void)fputc('\n', stdout);
}

enum exit_code cmd_show(const struct cmd *cmd, const json_t *answer, cmd_human_fn *human)
{
    if (cmd->json) {
        print_json(answer);
    } else if (human) {
        human(answer);
    }
    return EXIT_DONE;
}

static void say(const struct cmd *cmd, const char *key, const char *text)
{
    if (cmd->json) {
        OWNED(json_free) json_t *object = json_object();
        json_set_str(object, key, str_trim(str_of(text)));
        print_json(object);
        return;
    }
    struct str rest = str_trim(str_of(text));
    struct str line;
    while (str_split(&rest, '\n', &line)) {
        (void)fprintf(stderr, "dialwright %s: " STR_FMT "\n", cmd->spec->name, STR_ARG(line));
    }
}

PRINTF_LIKE(3, 0)
static void say_va(const struct cmd *cmd, const char *key, const char *fmt, va_list ap)
{
    OWNED(buf_fini) struct buf text = {0};

    buf_init(&text, PROBLEMS_MAX);
    (void)buf_vaddf(&text, fmt, ap);
    say(cmd, key, buf_cstr(&text));
}

enum exit_code cmd_fail(const struct cmd *cmd, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    say_va(cmd, "error", fmt, ap);
    va_end(ap);
    return EXIT_FAILED;
}

enum exit_code cmd_usage(const struct cmd *cmd, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    say_va(cmd, "usage", fmt, ap);
    va_end(ap);
    return EXIT_USAGE;
}

enum exit_code cmd_refuse(const struct cmd *cmd, struct str why)
{
    OWNED(xfreep) char *text = str_dup(why);

    say(cmd, "refused", text);
    return EXIT_REFUSED;
}

/* Words for SQLSTATEs of our own rules (DW…) are a refusal; everything else is a failure. */
enum exit_code cmd_fault(const struct cmd *cmd, const char *what, const struct fault *fault)
{
    if (str_starts(str_of(fault->code), STR("DW"))) {
        return cmd_refuse(cmd, str_of(fault->text));
    }
    const char *colon = what ? ": " : "";
    what = what ? what : "";
    if (fault->class == FAULT_UNSURE) {
        return cmd_fail(cmd,
                        "%s%sthe connection was lost before the answer: it may have happened (%s); "
                        "run it again",
                        what, colon, fault->text);
    }
    return cmd_fail(cmd, "%s%s%s", what, colon, fault->text);
}

enum exit_code cmd_phone(const struct cmd *cmd, const char *text, const char *region, char *e164,
                         size_t size)
{
    struct phone phone;
    int err = phone_parse(str_of(text), region, &phone);

    if (err < 0) {
        return cmd_usage(cmd, "%s is not a phone number%s", text,
                         text[0] == '+' ? "" : ": write it with + and the country's code");
    }
    return str_copy(str_of(phone.e164), e164, size) < 0 ? EXIT_FAILED : EXIT_DONE;
}

int64_t cmd_now_us(const struct cmd *cmd)
{
    (void)cmd;
    return clock_wall_us();
}

const char *cmd_text(const json_t *obj, const char *key)
{
    static char number[32];
    const json_t *v = json_get(obj, key);

    if (json_is_string(v)) {
        return json_string_value(v);
    }
    if (json_is_integer(v)) {
        (void)snprintf(number, sizeof number, "%lld", (long long)json_integer_value(v));
        return number;
    }
    if (json_is_real(v)) {
        (void)snprintf(number, sizeof number, "%.2f", json_real_value(v));
        return number;
    }
    return json_is_boolean(v) ? (json_is_true(v) ? "yes" : "no") : "-";
}
