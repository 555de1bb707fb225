/* Every statement of sql/ is prepared on the migrated database: what its header says of parameters and
 * columns is what Postgres says, and the daemon's role may run it. */
#include "sql_gen.h"
#include "store/db_test.h"

static struct db_test t;

static void set_up(void)
{
    db_test_open(&t);
}

static void tear_down(void)
{
    db_test_close(&t);
}

TestSuite(sql, .init = set_up, .fini = tear_down);

/* "uuid[]" is _uuid in the catalog. */
static void catalog_name(const char *type, char *out, size_t size)
{
    size_t len = strlen(type);
    bool array = len > 2 && strcmp(type + len - 2, "[]") == 0;
    snprintf(out, size, "%s%.*s", array ? "_" : "", (int)(array ? len - 2 : len), type);
}

static void check_type(const char *statement, const char *column, Oid oid, const char *type)
{
    char sql[100];
    char wanted[64];
    snprintf(sql, sizeof sql, "SELECT typname FROM pg_type WHERE oid = %u", oid);
    catalog_name(type, wanted, sizeof wanted);
    cr_expect_str_eq(db_test_value(&t, sql), wanted, "%s: %s is %s", statement, column,
                     db_test_value(&t, sql));
}

static void check_described(const struct sql_statement *s, const PGresult *d)
{
    cr_expect_eq(PQnparams(d), s->in_count, "%s: parameters", s->name);
    for (int i = 0; i < PQnparams(d) && i < s->in_count; i++) {
        check_type(s->name, s->in[i].name, PQparamtype(d, i), s->in[i].type);
    }
    cr_expect_eq(PQnfields(d), s->out_count, "%s: columns", s->name);
    for (int i = 0; i < PQnfields(d) && i < s->out_count; i++) {
        cr_expect_str_eq(PQfname(d, i), s->out[i].name, "%s: column %d", s->name, i);
        check_type(s->name, s->out[i].name, PQftype(d, i), s->out[i].type);
    }
}

Test(sql, headers_are_true)
{
    cr_assert_gt(SQL_COUNT, 20);
    for (int i = 0; i < SQL_COUNT; i++) {
        const struct sql_statement *s = &sql_statements[i];
        PGresult *p = PQprepare(t.super, s->name, s->text, 0, NULL);
        cr_expect_eq(PQresultStatus(p), PGRES_COMMAND_OK, "%s: %s", s->name,
                     PQerrorMessage(t.super));
        bool prepared = PQresultStatus(p) == PGRES_COMMAND_OK;
        PQclear(p);
        if (prepared) {
            PGresult *d = PQdescribePrepared(t.super, s->name);
            check_described(s, d);
            PQclear(d);
        }
    }
}

/* Starting the executor checks every privilege, and EXPLAIN ends it before anything happens. */
static void check_allowed(const struct sql_statement *s)
{
    char sql[1000];
    int at = snprintf(sql, sizeof sql, "EXPLAIN EXECUTE %s", s->name);
    for (int i = 0; i < s->in_count; i++) {
        at += snprintf(sql + at, sizeof sql - (size_t)at, "%sNULL", i == 0 ? " (" : ", ");
    }
    snprintf(sql + at, sizeof sql - (size_t)at, "%s", s->in_count > 0 ? ")" : "");
    PGresult *p = PQprepare(t.super, s->name, s->text, 0, NULL);
    PGresult *e = PQexec(t.super, sql);
    cr_expect_eq(PQresultStatus(e), PGRES_TUPLES_OK, "%s as app_worker: %s", s->name,
                 PQerrorMessage(t.super));
    PQclear(e);
    PQclear(p);
}

Test(sql, the_worker_may_run_them)
{
    db_test_value(&t, "SET ROLE app_worker");
    for (int i = 0; i < SQL_COUNT; i++) {
        check_allowed(&sql_statements[i]);
    }
}
