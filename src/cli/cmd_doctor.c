#include "cli/cmd.h"
#include "cli/doctor_live.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "loop/loop.h"
#include "net/http_client.h"
#include "store/pg_conn.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define SKEW_MS_MAX    5000
#define FREE_BYTES_MIN (1024LL * 1024 * 1024)
#define ASK_TIMEOUT_MS 10000
#define SERVER_ADVISED 150020
#define TEXT_MAX       4096

enum verdict { GOOD, DOUBTFUL, BAD };

/* Everything that can be checked without phoning anybody; the first thing to run when something is
 * odd. */
struct doctor {
    struct cmd *cmd;
    json_t *checks;
    int bad;
    struct http_client *http;
};

static void note(struct doctor *d, const char *name, enum verdict verdict, const char *fmt, ...)
    PRINTF_LIKE(4, 5);

static void note(struct doctor *d, const char *name, enum verdict verdict, const char *fmt, ...)
{
    static const char *const words[] = {"ok", "warning", "bad"};
    OWNED(buf_fini) struct buf detail = {0};
    va_list ap;

    buf_init(&detail, TEXT_MAX);
    va_start(ap, fmt);
    (void)buf_vaddf(&detail, fmt, ap);
    va_end(ap);
    json_t *check = json_object();
    json_set_str(check, "name", str_of(name));
    json_set_str(check, "result", str_of(words[verdict]));
    json_set_str(check, "detail", str_trim(buf_str(&detail)));
    (void)json_array_append_new(d->checks, check);
    d->bad += verdict == BAD;
}

static void check_settings(struct doctor *d)
{
    OWNED(buf_fini) struct buf problems = {0};

    buf_init(&problems, TEXT_MAX);
    if (settings_check_serve(&d->cmd->settings, &problems) < 0) {
        struct str rest = str_trim(buf_str(&problems));
        struct str line;
        while (str_split(&rest, '\n', &line)) {
            note(d, "settings", BAD, STR_FMT, STR_ARG(line));
        }
        return;
    }
    note(d, "settings", GOOD, "what serve needs is set");
}

static void check_data_dir(struct doctor *d)
{
    const char *dir = d->cmd->settings.data_dir;
    struct statvfs fs;

    if (!dir || access(dir, W_OK | X_OK) != 0) {
        note(d, "data directory", BAD, "%s: %s", dir ? dir : "DIALWRIGHT_DATA_DIR",
             dir ? strerror(errno) : "is not set");
        return;
    }
    if (statvfs(dir, &fs) != 0) {
        note(d, "data directory", DOUBTFUL, "%s: %s", dir, strerror(errno));
        return;
    }
    int64_t room = (int64_t)fs.f_bavail * (int64_t)fs.f_frsize;
    note(d, "data directory", room < FREE_BYTES_MIN ? DOUBTFUL : GOOD, "%s, %lld MiB free", dir,
         (long long)(room / 1024 / 1024));
}

struct wait {
    struct fault fault;
    json_t *answer;
    int status;
    int64_t server_date_us;
    bool done;
};

static void on_check(const struct fault *fault, json_t *answer, void *arg)
{
    struct wait *w = arg;

    w->fault = *fault;
    w->answer = json_incref(answer);
    w->done = true;
}

static void judge_server(struct doctor *d, const json_t *a)
{
    int64_t version = json_get_i64(a, "server_version_num", 0);
    int64_t skew = json_get_i64(a, "clock_skew_ms", 0);
    bool open =
        json_get_bool(a, "login_is_super", true) || json_get_bool(a, "login_bypasses_rls", true);
    const json_t *unforced = json_get_array(a, "unforced");

    note(d, "database", version < SERVER_ADVISED ? DOUBTFUL : GOOD, "Postgres %s%s",
         cmd_text(a, "server_version"),
         version < SERVER_ADVISED ? ": 15.20 or newer is advised" : "");
    note(d, "clock",
         llabs(skew) > SKEW_MS_MAX       ? BAD
         : llabs(skew) > SKEW_MS_MAX / 5 ? DOUBTFUL
                                         : GOOD,
         "database and this host differ by %lld ms", (long long)skew);
    note(d, "login role",
         open                                       ? BAD
         : json_get_bool(a, "login_inherits", true) ? DOUBTFUL
                                                    : GOOD,
         "%s%s", cmd_text(a, "login"),
         open ? ": passes by row-level security; use app_login or its like" : "");
    note(d, "row-level security", json_array_size(unforced) > 0 ? BAD : GOOD,
         "%zu tables without it", json_array_size(unforced));
    note(d, "durability",
         str_eq_cstr(json_get_str(a, "fsync"), "on") &&
                 !str_eq_cstr(json_get_str(a, "synchronous_commit"), "off")
             ? GOOD
             : DOUBTFUL,
         "fsync %s", cmd_text(a, "fsync"));
    note(d, "platform pause", json_get_i64(a, "paused", 0) > 0 ? DOUBTFUL : GOOD, "%lld in force",
         (long long)json_get_i64(a, "paused", 0));
}

static void check_nodes(struct doctor *d, const json_t *a)
{
    const json_t *nodes = json_get_array(a, "nodes");

    for (size_t i = 0; i < json_array_size(nodes); i++) {
        const json_t *n = json_array_get(nodes, i);
        int64_t silent = json_get_i64(n, "silent_s", 0);
        note(d, "node", silent > 60 ? DOUBTFUL : GOOD, "%s, last heard of %lld s ago",
             cmd_text(n, "name"), (long long)silent);
    }
}

static bool check_database(struct doctor *d)
{
    struct wait w = {0};

    if (store_admin_platform_check(NULL, d->cmd->db, cmd_now_us(d->cmd), on_check, &w) < 0) {
        note(d, "database", BAD, "no place for another request");
        return false;
    }
    pg_wait(d->cmd->db, &w.done);
    if (w.fault.class != FAULT_NONE) {
        note(d, "schema", BAD, "%s: run `dialwright migrate`", w.fault.text);
        return false;
    }
    judge_server(d, w.answer);
    check_nodes(d, w.answer);
    json_decref(w.answer);
    return true;
}

static void on_http(const struct http_result *result, void *arg)
{
    struct wait *w = arg;

    w->fault = result->fault;
    w->status = result->status;
    w->server_date_us = result->server_date_us;
    w->done = true;
}

static bool ask_http(struct doctor *d, const char *name, const struct http_ask *ask, struct wait *w)
{
    struct http_op *op;

    if (http_start(&op, d->http, ask, on_http, w) < 0) {
        note(d, name, BAD, "%s cannot be asked: https, or http on loopback", ask->url);
        return false;
    }
    while (!w->done) {
        (void)loop_run_once(d->cmd->loop, true);
    }
    if (w->fault.class != FAULT_NONE) {
        note(d, name, BAD, "%s: %s", ask->url, w->fault.text);
        return false;
    }
    return true;
}

static void check_carrier(struct doctor *d)
{
    const struct settings *s = &d->cmd->settings;
    char url[1024];
    struct wait w = {0};

    if (!s->plivo_auth_id || !s->plivo_auth_token || !s->plivo_api_url) {
        note(d, "carrier", DOUBTFUL,
             "PLIVO_AUTH_ID and PLIVO_AUTH_TOKEN are not set here: not asked");
        return;
    }
    (void)snprintf(url, sizeof url, "%s/Account/%s/", s->plivo_api_url, s->plivo_auth_id);
    struct http_ask ask = {.method = "GET",
                           .url = url,
                           .user = s->plivo_auth_id,
                           .password = s->plivo_auth_token,
                           .timeout_ms = ASK_TIMEOUT_MS,
                           .answer_max = 256 * 1024};
    if (!ask_http(d, "carrier", &ask, &w)) {
        return;
    }
    int64_t skew_s = w.server_date_us > 0 ? (w.server_date_us - cmd_now_us(d->cmd)) / US_PER_S : 0;
    note(d, "carrier", w.status == 200 ? GOOD : BAD, "%s answers %d%s", s->plivo_api_url, w.status,
         w.status == 401 ? ": PLIVO_AUTH_ID or PLIVO_AUTH_TOKEN is wrong" : "");
    note(d, "carrier clock", llabs(skew_s) >= 60 ? BAD : GOOD, "differs by %lld s",
         (long long)skew_s);
}

static void check_model(struct doctor *d)
{
    const struct settings *s = &d->cmd->settings;
    OWNED(buf_fini) struct buf header = {0};
    char url[1024];
    struct wait w = {0};

    if (!s->openai_api_key || !s->openai_api_url) {
        note(d, "model", BAD, "OPENAI_API_KEY is not set");
        return;
    }
    bool bearer = !s->openai_auth_header || strcasecmp(s->openai_auth_header, "Authorization") == 0;
    buf_init(&header, 8192);
    (void)buf_addf(&header, "%s: %s%s", bearer ? "Authorization" : s->openai_auth_header,
                   bearer ? "Bearer " : "", s->openai_api_key);
    const char *headers[] = {buf_cstr(&header), NULL};
    (void)snprintf(url, sizeof url, "%s/models", s->openai_api_url);
    struct http_ask ask = {.method = "GET",
                           .url = url,
                           .headers = headers,
                           .timeout_ms = ASK_TIMEOUT_MS,
                           .answer_max = 4 * 1024 * 1024};
    if (ask_http(d, "model", &ask, &w)) {
        note(d, "model",
             w.status == 200   ? GOOD
             : w.status == 401 ? BAD
                               : DOUBTFUL,
             "%s answers %d%s", s->openai_api_url, w.status,
             w.status == 401 ? ": OPENAI_API_KEY is wrong" : "");
    }
    secret_wipe(header.p, header.len);
}

/* Does the address that the carrier will use lead to a running daemon? */
static void check_public_url(struct doctor *d)
{
    char url[1024];
    struct wait w = {0};

    if (!d->cmd->settings.public_url) {
        note(d, "public url", BAD, "DIALWRIGHT_PUBLIC_URL is not set");
        return;
    }
    (void)snprintf(url, sizeof url, "%s/healthz", d->cmd->settings.public_url);
    struct http_ask ask = {
        .method = "GET", .url = url, .timeout_ms = ASK_TIMEOUT_MS, .answer_max = 64 * 1024};
    if (ask_http(d, "public url", &ask, &w)) {
        note(d, "public url", w.status == 200 ? GOOD : DOUBTFUL, "%s answers %d", url, w.status);
    }
}

static void check_tenant(struct doctor *d)
{
    OWNED(json_free) json_t *doc = cmd_doc(d->cmd, NULL);
    struct wait w = {0};

    if (store_admin(NULL, d->cmd->db, &d->cmd->org.id, ADMIN_TENANT_CHECK, doc, cmd_now_us(d->cmd),
                    on_check, &w) < 0) {
        return;
    }
    pg_wait(d->cmd->db, &w.done);
    if (w.fault.class != FAULT_NONE) {
        note(d, "tenant context", BAD, "%s", w.fault.text);
        return;
    }
    note(d, "tenant context", GOOD, "DIALWRIGHT_SECRET is the one `migrate` stored");
    size_t accounts = json_array_size(json_get_array(w.answer, "carrier_accounts"));
    int64_t unknown = json_get_i64(w.answer, "unknown_calls", 0);
    note(d, "carrier account", accounts > 0 ? GOOD : DOUBTFUL, "%zu of organization %s", accounts,
         d->cmd->org.slug);
    note(d, "numbers", json_get_i64(w.answer, "numbers", 0) > 0 ? GOOD : DOUBTFUL, "%lld active",
         (long long)json_get_i64(w.answer, "numbers", 0));
    note(d, "unknown outcomes", unknown > 0 ? DOUBTFUL : GOOD, "%lld calls", (long long)unknown);
    json_decref(w.answer);
}

static void print_checks(const json_t *answer)
{
    const json_t *checks = json_get_array(answer, "checks");

    for (size_t i = 0; i < json_array_size(checks); i++) {
        const json_t *c = json_array_get(checks, i);
        struct str result = json_get_str(c, "result");
        struct str name = json_get_str(c, "name");
        struct str detail = json_get_str(c, "detail");
        (void)printf("%-8.*s %-20.*s " STR_FMT "\n", (int)result.len, result.p, (int)name.len,
                     name.p, STR_ARG(detail));
    }
}

static void check_store(struct doctor *d)
{
    if (cmd_open(d->cmd, CMD_DATABASE) != EXIT_DONE) {
        note(d, "database", BAD, "%s",
             d->cmd->db ? pg_pool_reason(d->cmd->db) : "DATABASE_URL or DIALWRIGHT_SECRET");
        return;
    }
    if (!check_database(d)) {
        return;
    }
    if (cmd_open(d->cmd, CMD_TENANT) == EXIT_DONE) {
        check_tenant(d);
    } else {
        note(d, "organization", DOUBTFUL, "none chosen: run `dialwright setup FILE`, or say --org");
    }
}

enum { OPT_LIVE = 1, OPT_CAMPAIGN, OPT_REGION, OPT_WAIT };

static enum exit_code run_doctor(struct cmd *cmd)
{
    if (cmd->options[OPT_LIVE]) {
        struct live_wish wish = {.number = cmd->options[OPT_LIVE],
                                 .region = cmd->options[OPT_REGION],
                                 .campaign = cmd->options[OPT_CAMPAIGN],
                                 .wait = cmd->options[OPT_WAIT]};
        return doctor_live(cmd, &wish);
    }
    struct doctor d = {.cmd = cmd, .checks = json_array()};
    bool json = cmd->json;

    cmd->json = false;
    check_settings(&d);
    check_data_dir(&d);
    check_store(&d);
    if (!cmd->loop) {
        cmd->loop = loop_new(LOOP_REAL);
    }
    d.http = http_client_new(cmd->loop, cmd->settings.carrier_hosts_allowed);
    check_carrier(&d);
    check_model(&d);
    check_public_url(&d);
    http_client_free(&d.http);
    cmd->json = json;
    OWNED(json_free) json_t *answer = json_pack("{s:b, s:o}", "ok", d.bad == 0, "checks", d.checks);
    (void)cmd_show(cmd, answer, print_checks);
    return d.bad == 0 ? EXIT_DONE : EXIT_FAILED;
}

static const struct argp_option doctor_options[] = {
    {"live", OPT_LIVE, "NUMBER", 0,
     "Instead: one test call to this number, through gate, queue and a running daemon", 0},
    {"campaign", OPT_CAMPAIGN, "CAMPAIGN", 0, "Of this campaign; default the only active one", 0},
    {"region", OPT_REGION, "CC", 0, "Country of a number written without +", 0},
    {"wait", OPT_WAIT, "SECONDS", 0, "Give up when no daemon claimed it by then (30)", 0},
    {0},
};

const struct cmd_spec cmd_specs_doctor[] = {
    {.name = "doctor",
     .words = "Check everything that can be checked; with --live, place one test call",
     .needs = CMD_SETTINGS,
     .run = run_doctor,
     .options = doctor_options},
    {0},
};
