#include "store/pg_tx.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/crypto.h"
#include "base/metrics.h"
#include "store/pg_priv.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct pg_tx *pg_tx_new(struct pg_pool *db, enum pg_role role, const struct uuid *organization_id)
{
    struct pg_tx *tx = xzalloc(sizeof *tx);
    list_init(&tx->link);
    buf_init(&tx->values, PG_VALUES_MAX);
    tx->pool = db;
    tx->role = role;
    if (organization_id != NULL) {
        tx->organization_id = *organization_id;
    }
    return tx;
}

void pg_tx_free(struct pg_tx **tx_p)
{
    if (tx_p == NULL || *tx_p == NULL) {
        return;
    }
    struct pg_tx *tx = *tx_p;
    list_remove(&tx->link);
    for (size_t i = 0; i < tx->step_count; i++) {
        PQclear(tx->steps[i].result);
    }
    buf_fini(&tx->values);
    xfree(tx->extra);
    xfree(tx);
    *tx_p = NULL;
}

void *pg_tx_alloc(struct pg_tx *tx, size_t size_bytes)
{
    assert(tx->extra == NULL); /* one per unit: the struct that says how its answer is read */
    tx->extra = xzalloc(size_bytes);
    return tx->extra;
}

void pg_tx_ordered(struct pg_tx *tx, const struct uuid *key)
{
    uint32_t mixed = 0;
    for (size_t i = 0; i < sizeof key->b; i++) {
        mixed = mixed * 31 + key->b[i];
    }
    tx->ordered = true;
    tx->order_key = mixed;
}

/* --- parameters ---------------------------------------------------------------------------------
 */

/* A step is complete when the next begins or the unit starts: then every parameter must be there.
 */
static void check_step(const struct pg_tx *tx)
{
    if (tx->step_count > 0) {
        const struct pg_step *last = &tx->steps[tx->step_count - 1];
        assert(last->param_count == sql_statements[last->id].in_count);
    }
}

void pg_tx_statement(struct pg_tx *tx, enum sql_id id)
{
    assert(tx->step_count < PG_TX_STATEMENTS);
    check_step(tx);
    struct pg_step *step = &tx->steps[tx->step_count++];
    step->id = id;
    step->param_first = (uint16_t)tx->param_count;
}

static void add_offset(struct pg_tx *tx, uint32_t offset)
{
    assert(tx->step_count > 0 && tx->param_count < PG_PARAMS_ALL);
    tx->params[tx->param_count++] = offset;
    tx->steps[tx->step_count - 1].param_count++;
}

void pg_tx_null(struct pg_tx *tx)
{
    add_offset(tx, PG_PARAM_NULL);
}

/* Postgres takes no NUL and no broken UTF-8 in text; a report must not be lost over a broken byte.
 */
static int add_clean(struct buf *out, struct str s)
{
    if (str_is_utf8(s) && (s.len == 0 || memchr(s.p, '\0', s.len) == NULL)) {
        return buf_add_str(out, s);
    }
    int err = 0;
    while (s.len > 0 && err == 0) {
        size_t len = 1;
        while (len <= 4 && len <= s.len && !str_is_utf8(str_head(s, len))) {
            len++;
        }
        bool whole = len <= 4 && len <= s.len && s.p[0] != '\0';
        err = whole ? buf_add(out, s.p, len) : buf_add_cstr(out, "\xef\xbf\xbd"); /* U+FFFD */
        s = str_skip(s, whole ? len : 1);
    }
    return err;
}

static void add_value(struct pg_tx *tx, struct str s)
{
    uint32_t offset = (uint32_t)tx->values.len;
    if (add_clean(&tx->values, s) < 0 || buf_add_char(&tx->values, '\0') < 0) {
        tx->too_big = true;
        offset = PG_PARAM_NULL;
    }
    add_offset(tx, offset);
}

void pg_tx_text(struct pg_tx *tx, struct str s)
{
    if (s.p == NULL) {
        pg_tx_null(tx);
    } else {
        add_value(tx, s);
    }
}

void pg_tx_cstr(struct pg_tx *tx, const char *s)
{
    pg_tx_text(tx, str_of(s));
}

void pg_tx_word(struct pg_tx *tx, const char *s)
{
    pg_tx_text(tx, s != NULL && s[0] != '\0' ? str_of(s) : STR_NONE);
}

void pg_tx_uuid(struct pg_tx *tx, const struct uuid *id)
{
    if (id == NULL || uuid_is_nil(id)) {
        pg_tx_null(tx);
        return;
    }
    char text[UUID_TEXT_SIZE];
    uuid_text(id, text);
    add_value(tx, str_of(text));
}

void pg_tx_i64(struct pg_tx *tx, int64_t v)
{
    char text[24];
    snprintf(text, sizeof text, "%" PRId64, v);
    add_value(tx, str_of(text));
}

void pg_tx_bool(struct pg_tx *tx, bool v)
{
    add_value(tx, v ? STR("true") : STR("false"));
}

void pg_tx_double(struct pg_tx *tx, double v)
{
    char text[40];
    snprintf(text, sizeof text, "%.17g", v);
    add_value(tx, str_of(text));
}

void pg_tx_time(struct pg_tx *tx, int64_t wall_us)
{
    if (wall_us == 0) {
        pg_tx_null(tx);
        return;
    }
    char text[CLOCK_TEXT_SIZE];
    clock_format(wall_us, text);
    add_value(tx, str_of(text));
}

void pg_tx_bytes(struct pg_tx *tx, const uint8_t *p, size_t size_bytes)
{
    if (p == NULL) {
        pg_tx_null(tx);
        return;
    }
    uint32_t offset = (uint32_t)tx->values.len;
    int err = buf_add_cstr(&tx->values, "\\x");
    char *digits = err == 0 ? buf_reserve(&tx->values, 2 * size_bytes + 1) : NULL;
    if (digits == NULL) {
        tx->too_big = true;
        offset = PG_PARAM_NULL;
    } else {
        hex_encode(p, size_bytes, digits); /* writes the NUL that ends the value */
        buf_commit(&tx->values, 2 * size_bytes + 1);
    }
    add_offset(tx, offset);
}

void pg_tx_json(struct pg_tx *tx, const json_t *v)
{
    struct buf text;
    buf_init(&text, PG_VALUES_MAX);
    if (v == NULL) {
        pg_tx_null(tx);
    } else if (json_dump(v, &text) < 0) {
        tx->too_big = true;
        pg_tx_null(tx);
    } else {
        add_value(tx, buf_str(&text));
    }
    buf_fini(&text);
}

/* --- the end of a unit --------------------------------------------------------------------------
 */

static const char *result_name(enum fault_class class)
{
    switch (class) {
    case FAULT_NONE:
        return "ok";
    case FAULT_NOT_SENT:
        return "not_sent";
    case FAULT_REFUSED:
        return "refused";
    case FAULT_BUSY:
        return "busy";
    case FAULT_UNSURE:
        return "unsure";
    case FAULT_BROKEN:
        return "broken";
    }
    return "broken";
}

void pg_tx_finish(struct pg_tx *tx)
{
    list_remove(&tx->link);
    metric_add("db_units_total", result_name(tx->fault.class), 1);
    metric_observe_ms("db_unit_seconds",
                      (loop_now_us(pg_pool_loop(tx->pool)) - tx->started_us) / US_PER_MS);
    if (tx->on_done != NULL) {
        struct pg_answer answer = {.fault = tx->fault, .tx = tx};
        answer.statements = tx->fault.class == FAULT_NONE ? tx->step_count : 0;
        tx->on_done(&answer, tx->arg);
    }
    pg_tx_free(&tx);
}

void pg_tx_cancel(struct pg_tx **op)
{
    if (op == NULL || *op == NULL) {
        return;
    }
    struct pg_tx *tx = *op;
    *op = NULL;
    tx->on_done = NULL;
    if (tx->on == NULL) {
        pg_pool_forget(tx->pool, tx);
        pg_tx_free(&tx); /* still waiting: it never happens */
    }
}

/* --- reading ------------------------------------------------------------------------------------
 */

static const PGresult *result_of(const struct pg_answer *a, size_t statement)
{
    assert(statement < a->statements);
    return a->tx->steps[statement].result;
}

size_t pg_rows(const struct pg_answer *a, size_t statement)
{
    return (size_t)PQntuples(result_of(a, statement));
}

bool pg_is_null(const struct pg_answer *a, size_t statement, size_t row, int column)
{
    const PGresult *r = result_of(a, statement);
    assert(row < (size_t)PQntuples(r) && column < PQnfields(r));
    return PQgetisnull(r, (int)row, column) != 0;
}

struct str pg_str(const struct pg_answer *a, size_t statement, size_t row, int column)
{
    if (pg_is_null(a, statement, row, column)) {
        return STR_NONE;
    }
    const PGresult *r = result_of(a, statement);
    return str_make(PQgetvalue(r, (int)row, column), (size_t)PQgetlength(r, (int)row, column));
}

void pg_copy(const struct pg_answer *a, size_t statement, size_t row, int column, char *dst,
             size_t dst_size)
{
    str_copy_cut(pg_str(a, statement, row, column), dst, dst_size);
}

struct uuid pg_uuid(const struct pg_answer *a, size_t statement, size_t row, int column)
{
    struct uuid id = {.b = {0}};
    struct str s = pg_str(a, statement, row, column);
    if (s.len > 0) {
        int err = uuid_parse(s, &id);
        assert(err == 0); /* the column's type is checked by the statements' test */
        (void)err;
    }
    return id;
}

int64_t pg_i64(const struct pg_answer *a, size_t statement, size_t row, int column)
{
    int64_t v = 0;
    struct str s = pg_str(a, statement, row, column);
    if (s.len > 0) {
        int err = str_to_i64(s, &v);
        assert(err == 0);
        (void)err;
    }
    return v;
}

double pg_double(const struct pg_answer *a, size_t statement, size_t row, int column)
{
    double v = 0;
    struct str s = pg_str(a, statement, row, column);
    if (s.len > 0) {
        int err = str_to_double(s, &v);
        assert(err == 0);
        (void)err;
    }
    return v;
}

bool pg_bool(const struct pg_answer *a, size_t statement, size_t row, int column)
{
    return str_eq_cstr(pg_str(a, statement, row, column), "t");
}

int64_t pg_time(const struct pg_answer *a, size_t statement, size_t row, int column)
{
    int64_t us = 0;
    struct str s = pg_str(a, statement, row, column);
    if (str_eq_cstr(s, "infinity")) {
        return INT64_MAX;
    }
    if (str_eq_cstr(s, "-infinity")) {
        return INT64_MIN;
    }
    if (s.len > 0) {
        int err = clock_parse(s, &us);
        assert(err == 0); /* links set DateStyle ISO and TimeZone UTC */
        (void)err;
    }
    return us;
}

size_t pg_bytes(const struct pg_answer *a, size_t statement, size_t row, int column, uint8_t *dst,
                size_t dst_size)
{
    struct str s = pg_str(a, statement, row, column);
    if (!str_starts(s, STR("\\x")) || (s.len - 2) / 2 > dst_size ||
        hex_decode(str_skip(s, 2), dst, (s.len - 2) / 2) < 0) {
        return 0;
    }
    return (s.len - 2) / 2;
}
