#include "store/store_api.h"

#include "base/alloc.h"
#include "store/pg_tx.h"
#include "store/store_ask.h"

static void read_account(const struct pg_answer *answer, size_t row, struct store_account *out)
{
    out->id = pg_uuid(answer, 0, row, COL_API_CARRIER_ACCOUNTS_ID);
    pg_copy(answer, 0, row, COL_API_CARRIER_ACCOUNTS_PROVIDER, out->provider, sizeof out->provider);
    pg_copy(answer, 0, row, COL_API_CARRIER_ACCOUNTS_AUTH_ID, out->auth_id, sizeof out->auth_id);
    out->active = str_eq(pg_str(answer, 0, row, COL_API_CARRIER_ACCOUNTS_STATUS), STR("active"));
    out->token_bytes = pg_bytes(answer, 0, row, COL_API_CARRIER_ACCOUNTS_TOKEN_SEALED, out->token,
                                sizeof out->token);
    out->previous_bytes = pg_bytes(answer, 0, row, COL_API_CARRIER_ACCOUNTS_TOKEN_PREVIOUS_SEALED,
                                   out->previous, sizeof out->previous);
}

static void on_accounts_answer(const struct pg_answer *answer, void *arg)
{
    const struct ask *ask = arg;
    size_t count = 0;
    if (answer->fault.class == FAULT_NONE) {
        count = pg_rows(answer, 0);
        count = count > STORE_ACCOUNTS_MAX ? STORE_ACCOUNTS_MAX : count;
    }
    struct store_account *accounts = xcalloc(count + 1, sizeof *accounts);
    for (size_t i = 0; i < count; i++) {
        read_account(answer, i, &accounts[i]);
    }
    ask->on.accounts(&answer->fault, accounts, count, ask->arg);
    xfree(accounts);
}

int store_carrier_accounts(struct pg_tx **op, struct pg_pool *db,
                           const struct uuid *organization_id, store_accounts_fn *on_done,
                           void *arg)
{
    struct pg_tx *tx = pg_tx_new(db, PG_WORKER, organization_id);
    struct ask *ask = ask_new(tx, arg);
    ask->on.accounts = on_done;
    pg_tx_statement(tx, SQL_API_CARRIER_ACCOUNTS);
    return pg_tx_start(&tx, op, on_accounts_answer, ask);
}

static void on_path_answer(const struct pg_answer *answer, void *arg)
{
    const struct ask *ask = arg;
    struct str path = STR_NONE;
    if (answer->fault.class == FAULT_NONE && pg_rows(answer, 0) == 1) {
        path = pg_str(answer, 0, 0, COL_API_RECORDING_FILE_PATH);
    }
    ask->on.path(&answer->fault, path, ask->arg);
}

int store_recording_file(struct pg_tx **op, struct pg_pool *db, const struct uuid *organization_id,
                         const struct uuid *recording_id, store_path_fn *on_done, void *arg)
{
    struct pg_tx *tx = pg_tx_new(db, PG_WORKER, organization_id);
    struct ask *ask = ask_new(tx, arg);
    ask->on.path = on_done;
    pg_tx_statement(tx, SQL_API_RECORDING_FILE);
    pg_tx_uuid(tx, recording_id);
    return pg_tx_start(&tx, op, on_path_answer, ask);
}

static void on_level_answer(const struct pg_answer *answer, void *arg)
{
    const struct ask *ask = arg;
    int32_t level = -1;
    if (answer->fault.class == FAULT_NONE &&
        !pg_is_null(answer, 0, 0, COL_API_SCHEMA_LEVEL_LEVEL)) {
        level = (int32_t)pg_i64(answer, 0, 0, COL_API_SCHEMA_LEVEL_LEVEL);
    }
    ask->on.level(&answer->fault, level, ask->arg);
}

int store_schema_level(struct pg_tx **op, struct pg_pool *db, store_level_fn *on_done, void *arg)
{
    struct pg_tx *tx = pg_tx_new(db, PG_WORKER, NULL);
    struct ask *ask = ask_new(tx, arg);
    ask->on.level = on_done;
    pg_tx_statement(tx, SQL_API_SCHEMA_LEVEL);
    return pg_tx_start(&tx, op, on_level_answer, ask);
}
