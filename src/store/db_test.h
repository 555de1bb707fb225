/* db_test.h -- for tests with a real Postgres: a superuser's connection beside the pool, and a tenant.
 *
 * tests/integration/with_db sets DATABASE_URL (superuser) and DATABASE_APP_URL (app_login). Each test makes
 * its own tenant, so tests do not see each other.
 *
 * Owner   the test.
 * Thread  one. */
#ifndef STORE_DB_TEST_H
#define STORE_DB_TEST_H

#include "base/alloc.h"
#include "base/clock.h"
#include "base/crypto.h"
#include "base/uuid.h"
#include "store/pg_conn.h"
#include "store/tenant_ctx.h"

#include <criterion/criterion.h>
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DB_TEST_SECRET "a secret of at least thirty-two bytes!"

struct db_test {
    PGconn *super;
    struct uuid org;
    char org_text[UUID_TEXT_SIZE];
};

/* One value of one row, or "" */
static inline const char *db_test_value(struct db_test *t, const char *sql)
{
    static char value[4096];
    PGresult *r = PQexec(t->super, sql);
    ExecStatusType status = PQresultStatus(r);
    cr_assert(status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK, "%s: %s", sql,
              PQerrorMessage(t->super));
    bool some = status == PGRES_TUPLES_OK && PQntuples(r) > 0 && PQgetisnull(r, 0, 0) == 0;
    str_copy_cut(str_of(some ? PQgetvalue(r, 0, 0) : ""), value, sizeof value);
    PQclear(r);
    return value;
}

/* The same with the tenant's id for $org (any number of times). */
static inline const char *db_test_run(struct db_test *t, const char *sql)
{
    static char text[8192];
    size_t at = 0;
    for (const char *s = sql; *s != '\0' && at + UUID_TEXT_SIZE < sizeof text;) {
        if (strncmp(s, "$org", 4) == 0) {
            memcpy(text + at, t->org_text, UUID_TEXT_SIZE - 1);
            at += UUID_TEXT_SIZE - 1;
            s += 4;
        } else {
            text[at++] = *s++;
        }
    }
    text[at] = '\0';
    return db_test_value(t, text);
}

static inline void db_test_open(struct db_test *t)
{
    const char *url = getenv("DATABASE_URL");
    cr_assert_not_null(url, "run by tests/integration/with_db");
    *t = (struct db_test){.super = PQconnectdb(url)};
    cr_assert_eq(PQstatus(t->super), CONNECTION_OK, "%s", PQerrorMessage(t->super));
    t->org = uuid_make(clock_wall_us());
    uuid_text(&t->org, t->org_text);
    uint8_t key[TENANT_CTX_KEY_BYTES];
    char digits[2 * TENANT_CTX_KEY_BYTES + 1];
    char sql[200];
    tenant_ctx_key(STR(DB_TEST_SECRET), key);
    hex_encode(key, sizeof key, digits);
    db_test_value(t, "SET client_min_messages = warning");
    snprintf(sql, sizeof sql, "SELECT app.context_key_set('\\x%s')", digits);
    db_test_value(t, sql);
}

static inline void db_test_close(struct db_test *t)
{
    PQfinish(t->super);
}

/* A tenant that may dial `leads` people in a zone where it is about noon now. Ids are made from the tenant's:
 * its first 24 characters and a number. */
static inline void db_test_tenant(struct db_test *t, int leads)
{
    db_test_run(
        t, "INSERT INTO organizations (id, slug, name, number_spacing_s) VALUES ('$org', 't' || "
           "replace('$org', '-', ''), 'T', 0)");
    db_test_run(t, "INSERT INTO carrier_accounts (organization_id, id, name, auth_id, lines, "
                   "calls_per_second) VALUES ('$org', '$org', 'main', 'MA1', 100, 1000)");
    db_test_run(t,
                "INSERT INTO phone_numbers (organization_id, id, carrier_account_id, phone_e164) "
                "VALUES ('$org', '$org', '$org', '+16465550001')");
    db_test_run(
        t,
        "INSERT INTO campaigns (organization_id, id, name, status, time_start, time_end, weekdays, "
        "lines, calls_per_second) VALUES ('$org', '$org', 'main', 'active', '00:00', '24:00', "
        "'{1,2,3,4,5,6,7}', 100, 1000)");
    db_test_run(
        t, "INSERT INTO campaign_numbers (organization_id, campaign_id, phone_number_id) VALUES "
           "('$org', '$org', '$org')");
    db_test_run(
        t,
        "INSERT INTO region_enablements (organization_id, region, enabled_by, enabled_at) VALUES "
        "('$org', 'ZZ', 'test', '2020-01-01')");
    char sql[2000];
    int hour = (int)(clock_wall_us() / US_PER_S / 3600 % 24);
    int shift = hour - 12; /* POSIX signs: Etc/GMT+5 is behind UTC */
    snprintf(sql, sizeof sql,
             "WITH l AS (INSERT INTO leads (organization_id, name, phone_e164, timezone, region) "
             "SELECT '$org', "
             "'Lead', '+9990000' || lpad(k::text, 5, '0'), 'Etc/GMT%+d', 'ZZ' FROM "
             "generate_series(1, %d) k "
             "RETURNING id, phone_e164), c AS (INSERT INTO consents (organization_id, phone_e164, "
             "level, seller, "
             "source, evidence, granted_at) SELECT '$org', phone_e164, 'written', 'T', 'form', "
             "'{\"a\": 1}', "
             "'2020-01-01' FROM l) INSERT INTO call_queue (organization_id, campaign_id, lead_id, "
             "next_retry_at, "
             "ready) SELECT '$org', '$org', id, '2020-01-01', true FROM l",
             shift, leads);
    db_test_run(t, sql);
}

/* Ends a test's tenant: nothing of it is claimed by tests that come after it. */
static inline void db_test_retire(struct db_test *t)
{
    db_test_run(t, "UPDATE call_queue SET status = 'failed' WHERE organization_id = '$org' AND "
                   "status = 'queued'");
    db_test_run(t, "UPDATE campaigns SET status = 'paused' WHERE organization_id = '$org' AND "
                   "status = 'active'");
}

#endif
