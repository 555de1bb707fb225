/* pg_priv.h -- what pg_conn.c (the pool), pg_link.c (one connection) and pg_tx.c (one unit) share.
 *
 * Owner   the pool owns its links and every started unit; a unit is on exactly one list: waiting in
 *         the pool, or in flight on a link.
 * Thread  the pool's loop.
 * Source  libpq of Postgres 15, chapter 34.5. */
#ifndef STORE_PG_PRIV_H
#define STORE_PG_PRIV_H

#include "base/list.h"
#include "loop/timer.h"
#include "store/pg_tx.h"
#include "store/tenant_ctx.h"

#include <libpq-fe.h>

#define PG_LINKS_MAX       16
#define PG_VALUES_MAX      (8 * 1024 * 1024) /* bytes of parameters in one unit */
#define PG_PARAMS_ALL      192               /* parameters of one unit */
#define PG_ITEMS_MAX       (2 * (PG_TX_STATEMENTS + 1))
#define PG_STATEMENT_BEGIN SQL_COUNT /* index of the set_config() that begins every unit */

struct pg_step {
    enum sql_id id;
    uint16_t param_first;
    uint16_t param_count;
    PGresult *result;
};

/* What was sent of a unit, in order; each gets its results. */
struct pg_item {
    bool prepare;  /* else: execute */
    int statement; /* enum sql_id or PG_STATEMENT_BEGIN */
    int step;      /* -1: begin */
};

struct pg_tx {
    struct list link; /* pool->waiting or pg_link->flight */
    struct pg_pool *pool;
    struct pg_link *on; /* in flight there */
    enum pg_role role;
    struct uuid organization_id;
    struct pg_step steps[PG_TX_STATEMENTS];
    size_t step_count;
    uint32_t params[PG_PARAMS_ALL]; /* offsets into values; PG_PARAM_NULL */
    size_t param_count;
    struct buf values;
    bool too_big;
    bool ordered;
    uint32_t order_key;
    void *extra;
    pg_answer_fn *on_done; /* NULL: cancelled */
    void *arg;
    int64_t started_us;
    int64_t give_up_us;
    struct pg_item items[PG_ITEMS_MAX];
    size_t item_count;
    size_t item_at;
    bool unreplicated;
    struct fault fault; /* the first error */
};
#define PG_PARAM_NULL UINT32_MAX

enum pg_link_state {
    PG_LINK_OFF,       /* waits for its next try */
    PG_LINK_RESOLVING, /* the host name, off the loop */
    PG_LINK_OPENING,   /* PQconnectPoll */
    PG_LINK_CHECKING,  /* server version, role, session settings */
    PG_LINK_READY,
    PG_LINK_REFUSED,
};

enum pg_prepared { PG_NOT_PREPARED, PG_PREPARE_SENT, PG_PREPARED };

struct pg_poll; /* a uv_poll_t that outlives its link until libuv has closed it */

struct pg_link {
    struct pg_pool *pool;
    enum pg_link_state state;
    PGconn *pg;
    struct pg_poll *poll;
    struct pg_lookup *lookup;
    struct list flight;
    size_t flight_count;
    uint8_t prepared[SQL_COUNT + 1];
    struct timer timer; /* next try, connect timeout, or watchdog, by state */
    int64_t pause_ms;
    bool broken;  /* half a unit was sent: link_lost() is on its way */
    bool checked; /* the role check brought its row */
};

/* pg_link.c */
void pg_link_init(struct pg_link *link, struct pg_pool *pool); /* its first try follows by itself */
void pg_link_stop(struct pg_link *link); /* silent; units in flight stay on the list */
void pg_link_send(struct pg_link *link,
                  struct pg_tx *tx); /* READY only; takes it from where it was */

/* pg_conn.c, called by links */
const char *const *pg_pool_keywords(const struct pg_pool *pool);
const char *const *pg_pool_values(const struct pg_pool *pool);
const char *
pg_pool_name_to_resolve(const struct pg_pool *pool); /* NULL: addresses, socket, or resolved */
void pg_pool_set_address(struct pg_pool *pool, const char *address);
bool pg_pool_any_role(const struct pg_pool *pool);
const uint8_t *pg_pool_context_key(const struct pg_pool *pool);
void pg_pool_connected(struct pg_pool *pool);
void pg_pool_link_changed(struct pg_pool *pool,
                          const char *reason); /* state of a link; room on a link */

void pg_pool_forget(struct pg_pool *pool, struct pg_tx *waiting);

/* pg_tx.c */
void pg_tx_finish(struct pg_tx *tx); /* unlinks, reports, frees */

#endif
