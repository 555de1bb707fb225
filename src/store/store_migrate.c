#include "store/store_migrate.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/crypto.h"

#include <errno.h>
#include <libpq-fe.h>
#include <stdio.h>
#include <string.h>

/* Below this, prepared statements may keep the plan of another role (CVE-2026-14666). */
#define SERVER_MIN     150019
#define SERVER_ADVISED 150020
#define SERVER_FIRST   150000
#define LOCK_KEY       "7236271843006312557" /* any number that nobody else uses */

#define LEDGER_THERE "SELECT 1 WHERE to_regclass('dialwright.migrations') IS NOT NULL"
#define LEDGER_READ  "SELECT number, name, sha256 FROM dialwright.migrations ORDER BY number"
#define LEDGER_MAKE                                                                                \
    "CREATE SCHEMA IF NOT EXISTS dialwright;"                                                      \
    "CREATE TABLE IF NOT EXISTS dialwright.migrations (number int4 PRIMARY KEY,"                   \
    " name text NOT NULL, sha256 text NOT NULL, applied_at timestamptz NOT NULL"                   \
    " DEFAULT clock_timestamp(), took_ms int8 NOT NULL)"

struct migrate_conn {
    PGconn *pg;
    char server[96];
};

static int say(struct buf *why, PGconn *pg, const char *what)
{
    struct str text = str_trim(str_of(PQerrorMessage(pg)));

    (void)buf_addf(why, "%s: " STR_FMT, what, STR_ARG(text));
    return -EIO;
}

/* Runs text without parameters, several statements at once allowed. */
static int run(struct migrate_conn *conn, const char *text, const char *what, struct buf *why)
{
    PGresult *result = PQexec(conn->pg, text);
    ExecStatusType status = PQresultStatus(result);
    int err = status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK || status == PGRES_EMPTY_QUERY
                  ? 0
                  : say(why, conn->pg, what);

    PQclear(result);
    return err;
}

static void drop_notice(void *arg, const char *message)
{
    (void)arg;
    (void)message;
}

static int check_server(struct migrate_conn *conn, struct buf *why)
{
    int version = PQserverVersion(conn->pg);
    const char *note = version >= SERVER_FIRST && version < SERVER_ADVISED && version >= SERVER_MIN
                           ? " (15.20 or newer is advised)"
                           : "";

    (void)snprintf(conn->server, sizeof conn->server, "%d.%d%s", version / 10000, version % 10000,
                   note);
    if (version < SERVER_MIN) {
        (void)buf_addf(why, "Postgres %d.%d is too old: 15.19 or newer is needed", version / 10000,
                       version % 10000);
        return -EPERM;
    }
    return 0;
}

int migrate_open(struct migrate_conn **out, const char *url, struct buf *why)
{
    OWNED(migrate_close) struct migrate_conn *conn = xzalloc(sizeof *conn);

    conn->pg = PQconnectdb(url);
    if (PQstatus(conn->pg) != CONNECTION_OK) {
        (void)say(why, conn->pg, "connection");
        return -ECONNREFUSED;
    }
    PQsetNoticeProcessor(conn->pg, drop_notice, NULL);
    int err = check_server(conn, why);
    if (err < 0) {
        return err;
    }
    err = run(
        conn,
        "SET statement_timeout = 0; SET lock_timeout = '60s'; SET client_min_messages = warning",
        "session", why);
    if (err < 0) {
        return err;
    }
    *out = GIVE(conn);
    return 0;
}

void migrate_close(struct migrate_conn **conn)
{
    if (*conn) {
        PQfinish((*conn)->pg);
        xfree(*conn);
        *conn = NULL;
    }
}

const char *migrate_server(const struct migrate_conn *conn)
{
    return conn->server;
}

static const struct migration *find(const struct migration *list, size_t count, struct str number)
{
    int64_t wanted = 0;

    if (str_to_i64(number, &wanted) < 0) {
        return NULL;
    }
    for (size_t i = 0; i < count; i++) {
        if (list[i].number == wanted) {
            return &list[i];
        }
    }
    return NULL;
}

/* What the database says it has must be what this program has; a function may be older. */
static int check_applied(PGresult *rows, const struct migration *list, size_t count,
                         enum migration_state *states, struct buf *why)
{
    for (int i = 0; i < PQntuples(rows); i++) {
        const struct migration *m = find(list, count, str_of(PQgetvalue(rows, i, 0)));
        if (!m) {
            (void)buf_addf(
                why,
                "the database has migration %s %s, which this program does not know: it is older",
                PQgetvalue(rows, i, 0), PQgetvalue(rows, i, 1));
            return -EBADMSG;
        }
        bool same = strcmp(m->sha256, PQgetvalue(rows, i, 2)) == 0;
        if (!same && !m->again) {
            (void)buf_addf(why, "migration %s was changed after it was applied", m->name);
            return -EBADMSG;
        }
        states[m - list] = same ? MIGRATION_APPLIED : MIGRATION_CHANGED;
    }
    return 0;
}

int migrate_compare(struct migrate_conn *conn, const struct migration *list, size_t count,
                    migrate_each_fn *each, void *arg, struct buf *why)
{
    int err = run(conn, "SELECT pg_advisory_lock(" LOCK_KEY ")", "the lock of migrations", why);
    if (err < 0) {
        return err;
    }
    /* An empty database has no ledger yet, and looking must not make one. */
    PGresult *rows = PQexec(conn->pg, LEDGER_THERE);
    if (PQntuples(rows) == 1) {
        PQclear(rows);
        rows = PQexec(conn->pg, LEDGER_READ);
    }
    enum migration_state *states = xcalloc(count + 1, sizeof *states);
    if (PQresultStatus(rows) != PGRES_TUPLES_OK) {
        err = say(why, conn->pg, "the ledger of migrations");
    } else {
        err = check_applied(rows, list, count, states, why);
    }
    for (size_t i = 0; err == 0 && i < count; i++) {
        each(&list[i], states[i], arg);
    }
    xfree(states);
    PQclear(rows);
    return err;
}

static int note_applied(struct migrate_conn *conn, const struct migration *m, int64_t took_ms,
                        struct buf *why)
{
    char number[24];
    char took[24];
    const char *values[] = {number, m->name, m->sha256, took};

    (void)snprintf(number, sizeof number, "%d", m->number);
    (void)snprintf(took, sizeof took, "%lld", (long long)took_ms);
    PGresult *result =
        PQexecParams(conn->pg,
                     "INSERT INTO dialwright.migrations (number, name, sha256, took_ms)"
                     " VALUES ($1::int4, $2::text, $3::text, $4::int8)"
                     " ON CONFLICT (number) DO UPDATE SET name = excluded.name,"
                     " sha256 = excluded.sha256, took_ms = excluded.took_ms,"
                     " applied_at = clock_timestamp()",
                     4, NULL, values, NULL, NULL, 0);
    int err = PQresultStatus(result) == PGRES_COMMAND_OK ? 0 : say(why, conn->pg, m->name);

    PQclear(result);
    return err;
}

int migrate_apply(struct migrate_conn *conn, const struct migration *m, struct buf *why)
{
    int64_t began_us = clock_mono_us();
    int err = run(conn, "BEGIN", m->name, why);

    if (err == 0) {
        err = run(conn, LEDGER_MAKE, "the ledger of migrations", why);
    }
    if (err == 0 && m->again) {
        /* A function may name what a later file makes; nothing calls it before that file is applied. */
        err = run(conn, "SET LOCAL check_function_bodies = off", m->name, why);
    }
    if (err == 0) {
        err = run(conn, m->text, m->name, why);
    }
    if (err == 0) {
        err = note_applied(conn, m, (clock_mono_us() - began_us) / US_PER_MS, why);
    }
    if (err == 0) {
        return run(conn, "COMMIT", m->name, why);
    }
    PQclear(PQexec(conn->pg, "ROLLBACK"));
    return err;
}

int migrate_context_key(struct migrate_conn *conn, const uint8_t key[TENANT_CTX_KEY_BYTES],
                        struct buf *why)
{
    char hex[2 * TENANT_CTX_KEY_BYTES + 1];
    const char *values[] = {hex};

    hex_encode(key, TENANT_CTX_KEY_BYTES, hex);
    /* Sent as a parameter, so that it is in no log of statements. */
    PGresult *result = PQexecParams(conn->pg, "SELECT app.context_key_set(decode($1::text, 'hex'))",
                                    1, NULL, values, NULL, NULL, 0);
    int err = PQresultStatus(result) == PGRES_TUPLES_OK
                  ? 0
                  : say(why, conn->pg, "the key of tenant contexts");

    PQclear(result);
    secret_wipe(hex, sizeof hex);
    return err;
}
