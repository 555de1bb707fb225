#include "base/settings.h"

#include "base/alloc.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/url.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define SECRET_BYTES_MIN 32
#define KEK_HEX_DIGITS   64

enum kind {
    KIND_TEXT,
    KIND_SECRET, /* text that help, logs and dumps never show, wiped at the end */
    KIND_URL,    /* https:, or http: on loopback */
    KIND_WS_URL, /* wss:, or ws: on loopback */
    KIND_LISTEN, /* host:port */
    KIND_NUMBER,
    KIND_LOG_LEVEL,
};

struct setting {
    const char *name;
    enum kind kind;
    size_t at; /* in struct settings */
    const char *unit;
    int64_t min;
    int64_t max;
    const char *def; /* NULL: unset */
    const char *group;
    const char *help;
};

#define TEXT(env, k, field, d, g, h)                                                               \
    {                                                                                              \
        env, k, offsetof(struct settings, field), "", 0, 0, d, g, h                                \
    }
#define NUMBER(env, field, u, lo, hi, d, g, h)                                                     \
    {                                                                                              \
        env, KIND_NUMBER, offsetof(struct settings, field), u, lo, hi, d, g, h                     \
    }

// clang-format off
static const struct setting settings_table[] = {
    TEXT("DATABASE_URL", KIND_SECRET, database_url, NULL, "Database", "libpq URL of the daemon's login role (no superuser, NOBYPASSRLS)."),
    TEXT("DIALWRIGHT_MIGRATE_URL", KIND_SECRET, migrate_url, NULL, "Database", "libpq URL of the role that `dialwright migrate` and `setup` use."),

    TEXT("DIALWRIGHT_LISTEN", KIND_LISTEN, listen, "127.0.0.1:8080", "Daemon", "host:port to bind; TLS is the reverse proxy's."),
    TEXT("DIALWRIGHT_PUBLIC_URL", KIND_URL, public_url, NULL, "Daemon", "https base under which the carrier reaches this daemon; webhook and media URLs are built from it."),
    TEXT("DIALWRIGHT_SECRET", KIND_SECRET, secret, NULL, "Daemon", "At least 32 bytes; callback MACs, media tokens and tenant contexts are derived from it."),
    TEXT("DIALWRIGHT_KEK", KIND_SECRET, kek, NULL, "Daemon", "64 hex digits; wraps stored tenant secrets and recording keys."),
    TEXT("DIALWRIGHT_DATA_DIR", KIND_TEXT, data_dir, "/var/lib/dialwright", "Daemon", "Recordings, journal, locks."),
    TEXT("DIALWRIGHT_LOG_LEVEL", KIND_LOG_LEVEL, log_level, "info", "Daemon", "error, warn, info or debug."),
    NUMBER("DIALWRIGHT_MEDIA_LOOPS", media_loops, "threads", 1, 64, "1", "Daemon", "Media loops: one per core is enough."),
    NUMBER("DIALWRIGHT_IO_URING", io_uring, "", 0, 1, "1", "Daemon", "1: media sockets go through io_uring where the kernel allows it (6.1 or newer); 0: never."),
    NUMBER("DIALWRIGHT_CALLS_MAX", calls_max, "calls", 1, 10000, "200", "Daemon", "Calls at once on this node."),
    TEXT("DIALWRIGHT_NODE_NAME", KIND_TEXT, node_name, "node-1", "Daemon", "This node's name in the database; one per host."),

    TEXT("PLIVO_API_URL", KIND_URL, plivo_api_url, "https://api.plivo.com/v1", "Carrier", "Base of the carrier's API; the account's path is appended."),
    TEXT("PLIVO_AUTH_ID", KIND_TEXT, plivo_auth_id, NULL, "Carrier", "Seeds the first carrier account in `dialwright setup`."),
    TEXT("PLIVO_AUTH_TOKEN", KIND_SECRET, plivo_auth_token, NULL, "Carrier", "Seeds the first carrier account in `dialwright setup`."),
    TEXT("DIALWRIGHT_CARRIER_HOSTS_ALLOWED", KIND_TEXT, carrier_hosts_allowed, NULL, "Carrier", "host:port,... that URLs from the carrier may name although not public (demo, tests)."),

    TEXT("OPENAI_API_KEY", KIND_SECRET, openai_api_key, NULL, "Model", "Key of the model's account."),
    TEXT("OPENAI_API_URL", KIND_URL, openai_api_url, "https://api.openai.com/v1", "Model", "Base of the model's HTTP API."),
    TEXT("OPENAI_REALTIME_URL", KIND_WS_URL, openai_realtime_url, "wss://api.openai.com/v1/realtime", "Model", "The model's WebSocket."),
    TEXT("DIALWRIGHT_OPENAI_AUTH_HEADER", KIND_TEXT, openai_auth_header, "Authorization", "Model", "Authorization (Bearer is added), or api-key for Azure."),
    TEXT("OPENAI_REALTIME_MODEL", KIND_TEXT, realtime_model, "gpt-realtime-2.1-mini", "Model", "Model that talks."),
    TEXT("OPENAI_TRANSCRIBE_MODEL", KIND_TEXT, transcribe_model, "gpt-transcribe", "Model", "Model that writes down what the person says."),
    TEXT("OPENAI_ANALYSIS_MODEL", KIND_TEXT, analysis_model, "gpt-6-luna", "Model", "Model that analyses a finished call."),

    NUMBER("DIALWRIGHT_CLAIM_INTERVAL_MS", claim_interval_ms, "ms", 10, 60000, "1000", "Dialing", "Time between two looks for work."),
    NUMBER("DIALWRIGHT_CLAIM_BATCH", claim_batch, "attempts", 1, 1000, "20", "Dialing", "Attempts claimed at once."),
    NUMBER("DIALWRIGHT_CLAIM_DEADLINE_MS", claim_deadline_ms, "ms", 100, 60000, "2000", "Dialing", "Longest time from a claim's commit to its request; later it is signed off."),
    NUMBER("DIALWRIGHT_PLACE_TIMEOUT_MS", place_timeout_ms, "ms", 100, 60000, "10000", "Dialing", "Time for the one request that places a call."),
    NUMBER("DIALWRIGHT_RING_TIMEOUT_S", ring_timeout_s, "s", 5, 120, "45", "Dialing", "How long a phone rings."),
    NUMBER("DIALWRIGHT_LEASE_MS", lease_ms, "ms", 1000, 3600000, "60000", "Dialing", "A claimed attempt without news for so long becomes unknown."),
    NUMBER("DIALWRIGHT_CARRIER_QUEUE_MS", carrier_queue_ms, "ms", 0, 86400000, "600000", "Dialing", "Longest time a call may wait in the carrier's queue."),
    NUMBER("DIALWRIGHT_CDR_LAG_MS", cdr_lag_ms, "ms", 0, 86400000, "245000", "Dialing", "Longest delay until an ended call is in the carrier's list."),
    NUMBER("DIALWRIGHT_ABSENCE_SCAN_GAP_MS", absence_scan_gap_ms, "ms", 0, 86400000, "60000", "Dialing", "Between the two complete scans that must show nothing before an attempt counts as not placed."),
    NUMBER("DIALWRIGHT_RECONCILE_INTERVAL_MS", reconcile_interval_ms, "ms", 10, 3600000, "60000", "Dialing", "Time between two looks at unknown attempts."),

    NUMBER("DIALWRIGHT_JOURNAL_KEEP_H", journal_keep_h, "h", 0, 8760, "48", "Failover", "How long the dial journal is kept, at least; 0: none is written (only where no failover can lose a commit)."),
    NUMBER("DIALWRIGHT_FAILOVER_LOSS_S", failover_loss_s, "s", 1, 86400, "600", "Failover", "The most that a failover can lose; a database that is further behind counts as restored from a backup, and waits for an operator."),
    NUMBER("DIALWRIGHT_FAILOVER_WAIT_MS", failover_wait_ms, "ms", 0, 3600000, "10000", "Failover", "After a failover, time for nodes whose registration was lost to report before dialing goes on."),
    NUMBER("DIALWRIGHT_ORPHAN_SWEEP_S", orphan_sweep_s, "s", 1, 86400, "3600", "Failover", "Time between two comparisons of the carrier's whole list with ours."),

    NUMBER("DIALWRIGHT_ANALYSIS_WORKERS", analysis_workers, "jobs", 1, 64, "4", "Analysis", "Analyses at once."),
    NUMBER("DIALWRIGHT_ANALYSIS_DELAY_MS", analysis_delay_ms, "ms", 0, 3600000, "5000", "Analysis", "Wait for late transcripts before a call is analysed."),
};
// clang-format on

static char **text_of(struct settings *s, const struct setting *row)
{
    return (char **)(void *)((char *)s + row->at);
}

static int64_t *number_of(struct settings *s, const struct setting *row)
{
    return (int64_t *)(void *)((char *)s + row->at);
}

static struct str lookup(char **environ_list, const char *name)
{
    for (char **entry = environ_list; entry != NULL && *entry != NULL; entry++) {
        struct str value = str_of(*entry);
        struct str key;
        if (str_split(&value, '=', &key) && str_eq_cstr(key, name)) {
            return value;
        }
    }
    return STR_NONE;
}

static bool has_control(struct str value)
{
    for (size_t i = 0; i < value.len; i++) {
        if ((unsigned char)value.p[i] < ' ' || value.p[i] == 0x7f) {
            return true;
        }
    }
    return false;
}

static bool url_ok(struct str value, bool web_socket)
{
    struct url url;
    return url_rule_operator(value) && url_parse(value, &url) == 0 && url.web_socket == web_socket;
}

static bool listen_ok(struct str value)
{
    int64_t port;
    size_t colon = value.len;
    while (colon > 0 && value.p[colon - 1] != ':') {
        colon--;
    }
    return colon > 0 && str_to_i64(str_skip(value, colon), &port) == 0 && port >= 0 &&
           port <= 65535;
}

/* What is wrong with a value; NULL when nothing is. */
static const char *judge(const struct setting *row, struct str value)
{
    enum log_level level;
    if (has_control(value)) {
        return "must not hold control characters";
    }
    switch (row->kind) {
    case KIND_URL:
        return url_ok(value, false) ? NULL : "must be an https: URL (http: on loopback only)";
    case KIND_WS_URL:
        return url_ok(value, true) ? NULL : "must be a wss: URL (ws: on loopback only)";
    case KIND_LISTEN:
        return listen_ok(value) ? NULL : "must be host:port";
    case KIND_LOG_LEVEL:
        return log_level_parse(value, &level) == 0 ? NULL : "must be error, warn, info or debug";
    case KIND_TEXT:
    case KIND_SECRET:
    case KIND_NUMBER:
        return NULL;
    }
    return NULL;
}

static int set_number(struct settings *s, const struct setting *row, struct str value,
                      struct buf *problems)
{
    int64_t number;
    if (str_to_i64(value, &number) < 0 || number < row->min || number > row->max) {
        (void)buf_addf(problems, "%s must be a number of %s from %lld to %lld\n", row->name,
                       row->unit, (long long)row->min, (long long)row->max);
        return -EINVAL;
    }
    *number_of(s, row) = number;
    return 0;
}

static int set_text(struct settings *s, const struct setting *row, struct str value,
                    struct buf *problems)
{
    const char *wrong = judge(row, value);
    if (wrong != NULL) {
        (void)buf_addf(problems, "%s %s\n", row->name, wrong);
        return -EINVAL;
    }
    while ((row->kind == KIND_URL || row->kind == KIND_WS_URL) && str_ends(value, STR("/"))) {
        value = str_head(value, value.len - 1); /* paths are appended with their slash */
    }
    *text_of(s, row) = str_dup(value);
    return 0;
}

int settings_load(struct settings *s, char **environ_list, struct buf *problems)
{
    int result = 0;
    *s = (struct settings){0};
    for (size_t i = 0; i < COUNT_OF(settings_table); i++) {
        const struct setting *row = &settings_table[i];
        struct str value = str_trim(lookup(environ_list, row->name));
        if (value.len == 0) {
            value = str_of(row->def);
        }
        if (value.p == NULL) {
            continue;
        }
        int err = row->kind == KIND_NUMBER ? set_number(s, row, value, problems)
                                           : set_text(s, row, value, problems);
        result = err < 0 ? err : result;
    }
    if (result < 0) {
        settings_fini(s);
    }
    return result;
}

void settings_fini(struct settings *s)
{
    for (size_t i = 0; i < COUNT_OF(settings_table); i++) {
        const struct setting *row = &settings_table[i];
        if (row->kind == KIND_NUMBER) {
            continue;
        }
        char **text = text_of(s, row);
        if (*text != NULL && row->kind == KIND_SECRET) {
            secret_wipe(*text, strlen(*text));
        }
        xfreep(text);
    }
    *s = (struct settings){0};
}

static bool require(const char *value, const char *name, const char *why, struct buf *problems)
{
    if (value != NULL) {
        return true;
    }
    (void)buf_addf(problems, "%s is not set: %s\n", name, why);
    return false;
}

static bool kek_ok(const char *kek)
{
    struct str text = str_of(kek);
    return text.len == KEK_HEX_DIGITS && strspn(kek, "0123456789abcdefABCDEF") == text.len;
}

int settings_check_serve(const struct settings *s, struct buf *problems)
{
    bool ok = require(s->database_url, "DATABASE_URL", "the daemon's login role", problems);
    ok &= require(s->public_url, "DIALWRIGHT_PUBLIC_URL", "the https base the carrier reaches",
                  problems);
    ok &= require(s->openai_api_key, "OPENAI_API_KEY", "the key of the model's account", problems);
    if (!require(s->secret, "DIALWRIGHT_SECRET", "32 random bytes or more", problems)) {
        ok = false;
    } else if (strlen(s->secret) < SECRET_BYTES_MIN) {
        (void)buf_addf(problems, "DIALWRIGHT_SECRET is too short: %d bytes or more are needed\n",
                       SECRET_BYTES_MIN);
        ok = false;
    }
    if (!require(s->kek, "DIALWRIGHT_KEK", "64 hex digits, e.g. of `openssl rand -hex 32`",
                 problems)) {
        ok = false;
    } else if (!kek_ok(s->kek)) {
        (void)buf_addf(problems, "DIALWRIGHT_KEK must be 64 hex digits\n");
        ok = false;
    }
    if (s->secret != NULL && s->kek != NULL && strcmp(s->secret, s->kek) == 0) {
        (void)buf_addf(problems, "DIALWRIGHT_KEK must not be the same as DIALWRIGHT_SECRET\n");
        ok = false;
    }
    return ok ? 0 : -EINVAL;
}

static const char *shown_default(const struct setting *row)
{
    return row->def == NULL ? "" : row->def;
}

int settings_help(struct buf *out)
{
    const char *group = "";
    for (size_t i = 0; i < COUNT_OF(settings_table); i++) {
        const struct setting *row = &settings_table[i];
        if (strcmp(group, row->group) != 0) {
            group = row->group;
            (void)buf_addf(out, "%s%s:\n", i == 0 ? "" : "\n", group);
        }
        (void)buf_addf(out, "  %-34s %s", row->name, row->help);
        if (row->def != NULL) {
            (void)buf_addf(out, " [%s%s%s]", row->def, row->unit[0] == '\0' ? "" : " ", row->unit);
        }
        (void)buf_add_char(out, '\n');
    }
    return buf_failed(out) ? -EMSGSIZE : 0;
}

int settings_markdown(struct buf *out)
{
    const char *group = "";
    (void)buf_add_cstr(out, "# Configuration\n\nGenerated from the settings table in "
                            "`src/base/settings.c`; do not edit.\n\nSettings come from the "
                            "environment. An empty value counts as unset.\n");
    for (size_t i = 0; i < COUNT_OF(settings_table); i++) {
        const struct setting *row = &settings_table[i];
        if (strcmp(group, row->group) != 0) {
            group = row->group;
            (void)buf_addf(
                out, "\n## %s\n\n| name | default | range | meaning |\n|---|---|---|---|\n", group);
        }
        (void)buf_addf(out, "| `%s` | %s%s%s | ", row->name, row->def == NULL ? "" : "`",
                       shown_default(row), row->def == NULL ? "" : "`");
        if (row->kind == KIND_NUMBER) {
            (void)buf_addf(out, "%lld to %lld %s", (long long)row->min, (long long)row->max,
                           row->unit);
        }
        (void)buf_addf(out, " | %s |\n", row->help);
    }
    return buf_failed(out) ? -EMSGSIZE : 0;
}

int settings_sample(struct buf *out)
{
    (void)buf_add_cstr(out, "# Dialwright's settings, for systemd's EnvironmentFile= or `set -a`. "
                            "Generated from the settings table.\n");
    for (size_t i = 0; i < COUNT_OF(settings_table); i++) {
        const struct setting *row = &settings_table[i];
        (void)buf_addf(out, "\n# %s\n%s%s=%s\n", row->help, row->def == NULL ? "" : "#", row->name,
                       shown_default(row));
    }
    return buf_failed(out) ? -EMSGSIZE : 0;
}
