/* pg_tx.h -- one unit of work: a role, a tenant, some statements, one Sync, one answer.
 *
 *     struct pg_tx *tx = pg_tx_new(db, PG_WORKER, &organization_id);
 *     pg_tx_statement(tx, SQL_CALL_NOTE);
 *     pg_tx_uuid(tx, call_id);
 *     pg_tx_text(tx, patch);
 *     pg_tx_time(tx, at_us);
 *     return pg_tx_start(&tx, op, on_note, arg);
 *
 * The first statement of every unit is set_config('role'), set_config('app.ctx'); the Sync at the
 * end is the COMMIT. Either all statements happened or none.
 *
 * Contract refused => silent; accepted => on_done exactly once, later, on the same loop;
 *          cancelled => silent (what was sent may still happen).
 * Owner   the caller until pg_tx_start(), then the pool; the handle given out in `op` is valid
 * until on_done begins (forget it there first). The answer lives during on_done. Thread  the pool's
 * loop. Only src/store includes this file. Limits  PG_TX_STATEMENTS, PG_TX_PARAMS; LIMIT_PG_WAITING
 * units wait, then -EBUSY. Errors  pg_tx_start: -EBUSY, -EMSGSIZE (parameters beyond 8 MiB).
 * answer->fault: FAULT_NOT_SENT  nothing left us: no connection within wait_ms. May be repeated.
 *         FAULT_UNSURE    sent, and the commit was not acknowledged: it may have happened. Also
 * when the server warned that the commit might not have been replicated. FAULT_BUSY      rolled
 * back by the server, and a later try may pass (deadlock, lock or statement timeout, out of
 * connections; SQLSTATE 40, 53, 55P03, 57014). FAULT_REFUSED   rolled back: a rule or constraint
 * said no (SQLSTATE 22, 23, 28, 42501, DW, P0); fault.text is the server's message. FAULT_BROKEN
 * rolled back: statement and schema do not fit together (every other). fault.code is the SQLSTATE.
 */
#ifndef STORE_PG_TX_H
#define STORE_PG_TX_H

#include "base/fault.h"
#include "base/json.h"
#include "base/uuid.h"
#include "sql_gen.h"
#include "store/pg_conn.h"

#define PG_TX_STATEMENTS 16
#define PG_TX_PARAMS     32 /* of one statement */

enum pg_role { PG_WORKER, PG_AUTHENTICATED, PG_ANON, PG_NO_ROLE /* as logged in: commands */ };

struct pg_tx;

struct pg_answer { /* opaque beyond these two; read it with the getters below */
    struct fault fault;
    size_t statements; /* results there are: all, or 0 when fault.class is not FAULT_NONE */
    const struct pg_tx *tx;
};

typedef void pg_answer_fn(const struct pg_answer *answer, void *arg);

struct pg_tx *pg_tx_new(struct pg_pool *db, enum pg_role role,
                        const struct uuid *organization_id) MUST_USE;
void pg_tx_free(struct pg_tx **tx); /* of a unit that was not started; NULL-safe */
/* Zeroed memory that lives as long as the unit, on_done included. */
void *pg_tx_alloc(struct pg_tx *tx, size_t size_bytes) MUST_USE;

/* Units of one key (a call) happen in the order they were started; others may overtake one another.
 */
void pg_tx_ordered(struct pg_tx *tx, const struct uuid *key);

void pg_tx_statement(struct pg_tx *tx,
                     enum sql_id id); /* then its parameters, in the order of `in` */
void pg_tx_null(struct pg_tx *tx);
void pg_tx_text(struct pg_tx *tx,
                struct str s); /* STR_NONE: NULL. Bad UTF-8 and NULs are replaced */
void pg_tx_cstr(struct pg_tx *tx, const char *s);         /* NULL: NULL */
void pg_tx_word(struct pg_tx *tx, const char *s);         /* NULL and "": NULL */
void pg_tx_uuid(struct pg_tx *tx, const struct uuid *id); /* NULL and nil: NULL */
void pg_tx_i64(struct pg_tx *tx, int64_t v);
void pg_tx_bool(struct pg_tx *tx, bool v);
void pg_tx_double(struct pg_tx *tx, double v);
void pg_tx_time(struct pg_tx *tx, int64_t wall_us);                      /* 0: NULL */
void pg_tx_bytes(struct pg_tx *tx, const uint8_t *p, size_t size_bytes); /* bytea; NULL: NULL */
void pg_tx_json(struct pg_tx *tx, const json_t *v);                      /* NULL: NULL */

/* Takes *tx whether it succeeds or not. op may be NULL (nobody will cancel). */
int pg_tx_start(struct pg_tx **tx, struct pg_tx **op, pg_answer_fn *on_done, void *arg) MUST_USE;
void pg_tx_cancel(struct pg_tx **op); /* NULL-safe; before on_done only */

/* Reading: statement counts from 0 in the order they were added; column is a COL_… of sql_gen.h. */
size_t pg_rows(const struct pg_answer *a, size_t statement);
bool pg_is_null(const struct pg_answer *a, size_t statement, size_t row, int column);
struct str pg_str(const struct pg_answer *a, size_t statement, size_t row,
                  int column); /* STR_NONE for NULL */
void pg_copy(const struct pg_answer *a, size_t statement, size_t row, int column, char *dst,
             size_t dst_size);
struct uuid pg_uuid(const struct pg_answer *a, size_t statement, size_t row,
                    int column); /* nil for NULL */
int64_t pg_i64(const struct pg_answer *a, size_t statement, size_t row,
               int column); /* 0 for NULL */
double pg_double(const struct pg_answer *a, size_t statement, size_t row,
                 int column); /* 0 for NULL */
bool pg_bool(const struct pg_answer *a, size_t statement, size_t row,
             int column); /* false for NULL */
int64_t pg_time(const struct pg_answer *a, size_t statement, size_t row,
                int column); /* wall us; 0 for NULL */
size_t pg_bytes(const struct pg_answer *a, size_t statement, size_t row, int column, uint8_t *dst,
                size_t dst_size); /* bytea; bytes written, 0 when NULL or too long */

#endif
