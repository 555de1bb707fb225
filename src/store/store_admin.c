#include "store/store_admin.h"

#include "store/pg_tx.h"

/* The acts of one shape: statement, and the column its answer is in. */
struct act_row {
    enum sql_id sql;
    int answer;
};
// clang-format off
static const struct act_row acts[] = {
    [ADMIN_SETUP]           = {SQL_ADMIN_SETUP, COL_ADMIN_SETUP_ANSWER},
    [ADMIN_CAMPAIGN_PUT]    = {SQL_ADMIN_CAMPAIGN_PUT, COL_ADMIN_CAMPAIGN_PUT_ANSWER},
    [ADMIN_CAMPAIGN_ACT]    = {SQL_ADMIN_CAMPAIGN_ACT, COL_ADMIN_CAMPAIGN_ACT_ANSWER},
    [ADMIN_CAMPAIGN_STATUS] = {SQL_ADMIN_CAMPAIGN_STATUS, COL_ADMIN_CAMPAIGN_STATUS_ANSWER},
    [ADMIN_CAMPAIGN_REPORT] = {SQL_ADMIN_CAMPAIGN_REPORT, COL_ADMIN_CAMPAIGN_REPORT_ANSWER},
    [ADMIN_CAMPAIGN_LIST]   = {SQL_ADMIN_CAMPAIGN_LIST, COL_ADMIN_CAMPAIGN_LIST_ANSWER},
    [ADMIN_IMPORT_BEGIN]    = {SQL_ADMIN_IMPORT_BEGIN, COL_ADMIN_IMPORT_BEGIN_ANSWER},
    [ADMIN_IMPORT_END]      = {SQL_ADMIN_IMPORT_END, COL_ADMIN_IMPORT_END_ANSWER},
    [ADMIN_DNC_PUT]         = {SQL_ADMIN_DNC_PUT, COL_ADMIN_DNC_PUT_ANSWER},
    [ADMIN_DNC_LIST]        = {SQL_ADMIN_DNC_LIST, COL_ADMIN_DNC_LIST_ANSWER},
    [ADMIN_DNC_LIFT]        = {SQL_ADMIN_DNC_LIFT, COL_ADMIN_DNC_LIFT_ANSWER},
    [ADMIN_CONSENT_PUT]     = {SQL_ADMIN_CONSENT_PUT, COL_ADMIN_CONSENT_PUT_ANSWER},
    [ADMIN_CONSENT_LIST]    = {SQL_ADMIN_CONSENT_LIST, COL_ADMIN_CONSENT_LIST_ANSWER},
    [ADMIN_CONSENT_REVOKE]  = {SQL_ADMIN_CONSENT_REVOKE, COL_ADMIN_CONSENT_REVOKE_ANSWER},
    [ADMIN_LIST_BEGIN]      = {SQL_ADMIN_LIST_BEGIN, COL_ADMIN_LIST_BEGIN_ANSWER},
    [ADMIN_LIST_BATCH]      = {SQL_ADMIN_LIST_BATCH, COL_ADMIN_LIST_BATCH_ANSWER},
    [ADMIN_LIST_END]        = {SQL_ADMIN_LIST_END, COL_ADMIN_LIST_END_ANSWER},
    [ADMIN_LIST_LIST]       = {SQL_ADMIN_LIST_LIST, COL_ADMIN_LIST_LIST_ANSWER},
    [ADMIN_PAUSE_PUT]       = {SQL_ADMIN_PAUSE_PUT, COL_ADMIN_PAUSE_PUT_ANSWER},
    [ADMIN_RULE_PUT]        = {SQL_ADMIN_RULE_PUT, COL_ADMIN_RULE_PUT_ANSWER},
    [ADMIN_RULE_LIST]       = {SQL_ADMIN_RULE_LIST, COL_ADMIN_RULE_LIST_ANSWER},
    [ADMIN_AGENT_PUT]       = {SQL_ADMIN_AGENT_PUT, COL_ADMIN_AGENT_PUT_ANSWER},
    [ADMIN_AGENT_LIST]      = {SQL_ADMIN_AGENT_LIST, COL_ADMIN_AGENT_LIST_ANSWER},
    [ADMIN_AGENT_STATE]     = {SQL_ADMIN_AGENT_STATE, COL_ADMIN_AGENT_STATE_ANSWER},
    [ADMIN_TENANT_CHECK]    = {SQL_ADMIN_TENANT_CHECK, COL_ADMIN_TENANT_CHECK_ANSWER},
    [ADMIN_LIVE_ENROL]      = {SQL_ADMIN_LIVE_ENROL, COL_ADMIN_LIVE_ENROL_ANSWER},
    [ADMIN_LIVE_FOLLOW]     = {SQL_ADMIN_LIVE_FOLLOW, COL_ADMIN_LIVE_FOLLOW_ANSWER},
    [ADMIN_LIVE_WITHDRAW]   = {SQL_ADMIN_LIVE_WITHDRAW, COL_ADMIN_LIVE_WITHDRAW_ANSWER},
    [ADMIN_WHY]             = {SQL_ADMIN_WHY, COL_ADMIN_WHY_ANSWER},
    [ADMIN_FORECAST_BRIEF]  = {SQL_ADMIN_FORECAST_BRIEF, COL_ADMIN_FORECAST_BRIEF_ANSWER},
    [ADMIN_FORECAST_OPENING] = {SQL_ADMIN_FORECAST_OPENING, COL_ADMIN_FORECAST_OPENING_ANSWER},
    [ADMIN_FORECAST_PAGE]   = {SQL_ADMIN_FORECAST_PAGE, COL_ADMIN_FORECAST_PAGE_ANSWER},
    [ADMIN_CALL_UNKNOWN]    = {SQL_ADMIN_CALL_UNKNOWN, COL_ADMIN_CALL_UNKNOWN_ANSWER},
    [ADMIN_CALL_SETTLE]     = {SQL_ADMIN_CALL_SETTLE, COL_ADMIN_CALL_SETTLE_ANSWER},
    [ADMIN_NODE_LIST]       = {SQL_ADMIN_NODE_LIST, COL_ADMIN_NODE_LIST_ANSWER},
    [ADMIN_NODE_DEAD]       = {SQL_ADMIN_NODE_DEAD, COL_ADMIN_NODE_DEAD_ANSWER},
    [ADMIN_RECOVERY_STATUS] = {SQL_ADMIN_RECOVERY_STATUS, COL_ADMIN_RECOVERY_STATUS_ANSWER},
    [ADMIN_RECOVERY_ACCEPT] = {SQL_ADMIN_RECOVERY_ACCEPT, COL_ADMIN_RECOVERY_ACCEPT_ANSWER},
};
// clang-format on
static_assert(COUNT_OF(acts) == ADMIN_ACT_COUNT, "a new act needs its statement");

struct ask {
    int answer;
    union {
        store_admin_fn *on_answer;
        store_admin_org_fn *on_org;
        store_admin_carrier_fn *on_carrier;
    } done;
    void *arg;
};

static struct ask *ask_new(struct pg_tx *tx, int answer, void *arg)
{
    struct ask *ask = pg_tx_alloc(tx, sizeof *ask);

    ask->answer = answer;
    ask->arg = arg;
    return ask;
}

static void on_answer(const struct pg_answer *a, void *arg)
{
    struct ask *ask = arg;
    struct fault fault = a->fault;
    OWNED(json_free) json_t *answer = NULL;

    if (fault.class == FAULT_NONE &&
        (pg_rows(a, 0) != 1 || json_parse(pg_str(a, 0, 0, ask->answer), &answer) < 0)) {
        fault = fault_make(FAULT_BROKEN, 0, "answer", "the database's answer is no JSON object");
    }
    ask->done.on_answer(&fault, answer, ask->arg);
}

int store_admin(struct pg_tx **op, struct pg_pool *db, const struct uuid *organization_id,
                enum admin_act act, const json_t *doc, int64_t at_us, store_admin_fn *on_done,
                void *arg)
{
    struct pg_tx *tx = pg_tx_new(db, PG_WORKER, organization_id);
    struct ask *ask = ask_new(tx, acts[act].answer, arg);

    ask->done.on_answer = on_done;
    pg_tx_statement(tx, acts[act].sql);
    pg_tx_json(tx, doc);
    pg_tx_time(tx, at_us);
    return pg_tx_start(&tx, op, on_answer, ask);
}

int store_admin_platform_check(struct pg_tx **op, struct pg_pool *db, int64_t at_us,
                               store_admin_fn *on_done, void *arg)
{
    struct pg_tx *tx = pg_tx_new(db, PG_WORKER, NULL);
    struct ask *ask = ask_new(tx, COL_ADMIN_PLATFORM_CHECK_ANSWER, arg);

    ask->done.on_answer = on_done;
    pg_tx_statement(tx, SQL_ADMIN_PLATFORM_CHECK);
    pg_tx_time(tx, at_us);
    return pg_tx_start(&tx, op, on_answer, ask);
}

static void on_org_found(const struct pg_answer *a, void *arg)
{
    struct ask *ask = arg;
    struct admin_org org = {.found = a->fault.class == FAULT_NONE && pg_rows(a, 0) == 1};

    if (org.found) {
        org.id = pg_uuid(a, 0, 0, COL_ADMIN_ORG_FIND_ID);
        pg_copy(a, 0, 0, COL_ADMIN_ORG_FIND_SLUG, org.slug, sizeof org.slug);
        pg_copy(a, 0, 0, COL_ADMIN_ORG_FIND_NAME, org.name, sizeof org.name);
        org.organizations = pg_i64(a, 0, 0, COL_ADMIN_ORG_FIND_ORGANIZATIONS);
    }
    ask->done.on_org(&a->fault, &org, ask->arg);
}

int store_admin_org_find(struct pg_tx **op, struct pg_pool *db, const char *slug,
                         store_admin_org_fn *on_done, void *arg)
{
    struct pg_tx *tx = pg_tx_new(db, PG_WORKER, NULL);
    struct ask *ask = ask_new(tx, 0, arg);

    ask->done.on_org = on_done;
    pg_tx_statement(tx, SQL_ADMIN_ORG_FIND);
    pg_tx_cstr(tx, slug);
    return pg_tx_start(&tx, op, on_org_found, ask);
}

static void on_org_created(const struct pg_answer *a, void *arg)
{
    struct ask *ask = arg;
    struct admin_org org = {.found = a->fault.class == FAULT_NONE && pg_rows(a, 0) == 1};

    if (org.found) {
        org.id = pg_uuid(a, 0, 0, COL_ADMIN_ORG_CREATE_ID);
        org.created = pg_bool(a, 0, 0, COL_ADMIN_ORG_CREATE_CREATED);
    }
    ask->done.on_org(&a->fault, &org, ask->arg);
}

int store_admin_org_create(struct pg_tx **op, struct pg_pool *db, const char *slug,
                           const char *name, store_admin_org_fn *on_done, void *arg)
{
    struct pg_tx *tx = pg_tx_new(db, PG_WORKER, NULL);
    struct ask *ask = ask_new(tx, 0, arg);

    ask->done.on_org = on_done;
    pg_tx_statement(tx, SQL_ADMIN_ORG_CREATE);
    pg_tx_cstr(tx, slug);
    pg_tx_cstr(tx, name);
    return pg_tx_start(&tx, op, on_org_created, ask);
}

static void on_carrier(const struct pg_answer *a, void *arg)
{
    struct ask *ask = arg;
    struct admin_carrier carrier = {.found = a->fault.class == FAULT_NONE && pg_rows(a, 0) == 1};

    if (carrier.found) {
        carrier.id = pg_uuid(a, 0, 0, COL_ADMIN_CARRIER_FIND_ID);
        pg_copy(a, 0, 0, COL_ADMIN_CARRIER_FIND_AUTH_ID, carrier.auth_id, sizeof carrier.auth_id);
        carrier.sealed_bytes = pg_bytes(a, 0, 0, COL_ADMIN_CARRIER_FIND_TOKEN_SEALED,
                                        carrier.sealed, sizeof carrier.sealed);
    }
    ask->done.on_carrier(&a->fault, &carrier, ask->arg);
}

int store_admin_carrier_find(struct pg_tx **op, struct pg_pool *db,
                             const struct uuid *organization_id, const char *name,
                             store_admin_carrier_fn *on_done, void *arg)
{
    struct pg_tx *tx = pg_tx_new(db, PG_WORKER, organization_id);
    struct ask *ask = ask_new(tx, 0, arg);

    ask->done.on_carrier = on_done;
    pg_tx_statement(tx, SQL_ADMIN_CARRIER_FIND);
    pg_tx_cstr(tx, name);
    return pg_tx_start(&tx, op, on_carrier, ask);
}

int store_admin_import_batch(struct pg_tx **op, struct pg_pool *db,
                             const struct uuid *organization_id, const struct admin_batch *batch,
                             int64_t at_us, store_admin_fn *on_done, void *arg)
{
    struct pg_tx *tx = pg_tx_new(db, PG_WORKER, organization_id);
    struct ask *ask = ask_new(tx, COL_ADMIN_IMPORT_BATCH_ANSWER, arg);
    const struct str columns[] = {
        batch->lines,          batch->reasons,       batch->details,    batch->raws,
        batch->phones,         batch->regions,       batch->zones,      batch->names,
        batch->emails,         batch->timezones,     batch->attributes, batch->consent_ats,
        batch->consent_levels, batch->consent_words, batch->sources,
    };

    ask->done.on_answer = on_done;
    pg_tx_statement(tx, SQL_ADMIN_IMPORT_BATCH);
    pg_tx_uuid(tx, &batch->import_id);
    for (size_t i = 0; i < COUNT_OF(columns); i++) {
        pg_tx_text(tx, columns[i]);
    }
    pg_tx_time(tx, at_us);
    return pg_tx_start(&tx, op, on_answer, ask);
}
