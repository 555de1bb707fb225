/* pg_conn.h -- the connections to Postgres: a small pool on the control loop, never blocking.
 *
 * How a room adds a statement and runs it in a tenant:
 *   1. sql/<module>/<name>.sql, one statement, comment header `-- in`, `-- out`, `-- rows`
 *      (CONVENTIONS 9). The build makes SQL_<MODULE>_<NAME> of it, and a
 * COL_<MODULE>_<NAME>_<COLUMN> for each column of `-- out` (sql_gen.h, included by src/store only).
 *   2. src/store/store_<module>.h and .c: one typed function per statement, in the shape of
 *      store_dial.c. Files named in src/store/meson.build are built when they exist.
 *   3. The room calls that function. A command (not the daemon) that wants the answer before its
 * next line waits with pg_wait(). tests/integration prepares every file on a migrated database and
 * compares `in` and `out`.
 *
 * Every unit of work is one transaction in one pipeline with one Sync (pg_tx.h). Units that find no
 * connection free wait in a bounded queue; a connection that is lost comes back by itself.
 *
 * Owner   whoever called pg_pool_new(); the pool outlives what is started on it, or silences it.
 * Thread  the loop it was made on, for everything here and in store_*.h.
 * Time    milliseconds; a unit waits at most wait_ms for a connection, then fails as
 * FAULT_NOT_SENT. Errors  pg_pool_new: -EINVAL (the URL does not parse). Health says the rest.
 * Source  libpq of Postgres 15, chapter 34.5 (pipeline mode); src/interfaces/libpq/fe-exec.c. */
#ifndef STORE_PG_CONN_H
#define STORE_PG_CONN_H

#include "base/fault.h"
#include "loop/loop.h"

struct pg_pool;

enum pg_health {
    PG_CONNECTING, /* not up yet, or coming back */
    PG_UP,         /* at least one connection works */
    PG_DOWN,       /* the last try failed; it is repeated with growing pauses */
    PG_REFUSED,    /* connected, but server or role is one we must not work with; see the reason */
};

struct pg_config {
    const char *url;         /* libpq URL or keywords; a host name is resolved off the loop */
    uint8_t context_key[32]; /* tenant_ctx_key() */
    uint32_t connections;    /* 1..16; 0: 4 */
    uint32_t wait_ms;        /* 0: 5000 */
    bool any_role;           /* commands that migrate: a superuser may log in */
};

/* Called on every change of health, later than what caused it. */
typedef void pg_watch_fn(enum pg_health health, void *arg);

int pg_pool_new(struct pg_pool **pool, struct loop *loop, const struct pg_config *config) MUST_USE;
void pg_pool_free(struct pg_pool **pool); /* silences every unit; not from within an on_done */
void pg_pool_watch(struct pg_pool *pool, pg_watch_fn *on_change, void *arg);
enum pg_health pg_pool_health(const struct pg_pool *pool);
const char *pg_pool_reason(const struct pg_pool *pool); /* why it is down or refused; "" when up */
/* How often a connection was made: when it rises, the next unit may meet another server. */
uint64_t pg_pool_connects(const struct pg_pool *pool);
size_t pg_pool_waiting(const struct pg_pool *pool); /* units without a connection yet */
struct loop *pg_pool_loop(const struct pg_pool *pool);

/* For commands only: turns the loop until *done. The daemon never waits. */
void pg_wait(struct pg_pool *pool, const bool *done);

#endif
