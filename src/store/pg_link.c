/* One connection: resolve -> open -> check -> ready, and back to a pause whenever it breaks.
 *
 *   start_link -> on_address -> on_opening ... -> on_checking -> READY: on_ready reads results
 *        ^                |            |                 |             |
 *        '--- pause ------+------------+-----------------+-------------'  (link_lost)            */
#include "store/pg_priv.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/crypto.h"
#include "base/metrics.h"

#include <errno.h>
#include <netdb.h>
#include <string.h>

#define OPEN_TIMEOUT_MS 10000
#define PAUSE_FIRST_MS  100
#define PAUSE_MAX_MS    5000
/* The role's statement_timeout is 30 s: a unit older than this has lost its server. */
#define WATCHDOG_MS     45000
#define VERSION_REFUSED 150019
#define VERSION_WANTED  150020

static const char begin_text[] =
    "SELECT set_config('role', $1::text, true), set_config('app.ctx', $2::text, true)";
static const char begin_name[] = "dw_begin";

/* One round trip before the link is used: settings that reading results relies on, then who we are.
 */
static const char check_text[] =
    "SET client_min_messages = warning; SET timezone = 'UTC'; SET datestyle = 'ISO';"
    "SET bytea_output = 'hex'; SET extra_float_digits = 1; SET intervalstyle = 'postgres';"
    "SELECT r.rolsuper OR r.rolbypassrls FROM pg_catalog.pg_roles r WHERE r.rolname = session_user";

struct pg_poll {
    uv_poll_t uv;
    struct pg_link *link; /* NULL: closing */
};

struct pg_lookup {
    uv_getaddrinfo_t uv;
    struct pg_link *link; /* NULL: nobody waits */
};

static void on_poll(uv_poll_t *handle, int status, int events);
static void link_lost(struct pg_link *link, const char *reason);
static void open_link(struct pg_link *link);
static void start_link(struct pg_link *link);

/* --- the socket ---------------------------------------------------------------------------------
 */

static void on_poll_closed(uv_handle_t *handle)
{
    xfree(CONTAINER_OF(handle, struct pg_poll, uv));
}

static void poll_stop(struct pg_link *link)
{
    if (link->poll == NULL) {
        return;
    }
    link->poll->link = NULL;
    uv_poll_stop(&link->poll->uv);
    uv_close((uv_handle_t *)&link->poll->uv, on_poll_closed);
    link->poll = NULL;
}

static int poll_start(struct pg_link *link, int events)
{
    if (link->poll == NULL) {
        struct pg_poll *poll = xzalloc(sizeof *poll);
        int err = uv_poll_init(loop_uv(pg_pool_loop(link->pool)), &poll->uv, PQsocket(link->pg));
        if (err < 0) {
            xfree(poll);
            return err;
        }
        poll->link = link;
        link->poll = poll;
    }
    return uv_poll_start(&link->poll->uv, events, on_poll);
}

static void drop_connection(struct pg_link *link)
{
    poll_stop(link); /* before libpq closes the descriptor under libuv */
    PQfinish(link->pg);
    link->pg = NULL;
}

/* --- trying again -------------------------------------------------------------------------------
 */

static void on_pause_over(void *arg)
{
    start_link(arg);
}

static void pause_link(struct pg_link *link)
{
    uint8_t noise;
    random_bytes(&noise, sizeof noise);
    int64_t pause_ms =
        link->pause_ms + link->pause_ms * noise / 1024; /* links do not knock in step */
    timer_start(&link->timer, pg_pool_loop(link->pool), pause_ms, on_pause_over, link);
    link->pause_ms = i64_min(2 * link->pause_ms, PAUSE_MAX_MS);
}

/* Whatever was sent and not acknowledged may have happened; what the server had already refused has
 * not. */
static void fail_flight(struct list *flight, const char *reason)
{
    for (struct list *l = list_pop_front(flight); l != NULL; l = list_pop_front(flight)) {
        struct pg_tx *tx = LIST_ITEM(l, struct pg_tx, link);
        if (tx->fault.class == FAULT_NONE) {
            tx->fault = fault_make(FAULT_UNSURE, 0, "08006", "connection lost: %s", reason);
        }
        pg_tx_finish(tx);
    }
}

static void link_lost(struct pg_link *link, const char *reason)
{
    char why[160];
    struct str rest = str_trim(str_of(reason));
    struct str first_line = rest;
    (void)str_split(&rest, '\n', &first_line);
    str_copy_cut(first_line, why, sizeof why);
    struct list flight;
    list_init(&flight);
    for (struct list *l = list_pop_front(&link->flight); l != NULL;
         l = list_pop_front(&link->flight)) {
        list_push_back(&flight, l);
    }
    link->flight_count = 0;
    drop_connection(link);
    link->state = PG_LINK_OFF;
    pause_link(link);
    pg_pool_link_changed(link->pool, why);
    fail_flight(&flight, why);
}

/* Server or role is one that we must not work with. Asked again now and then: it may be put right.
 */
static void link_refused(struct pg_link *link, const char *reason)
{
    drop_connection(link);
    link->state = PG_LINK_REFUSED;
    link->pause_ms = PAUSE_MAX_MS;
    pause_link(link);
    pg_pool_link_changed(link->pool, reason);
}

/* --- opening ------------------------------------------------------------------------------------
 */

void pg_link_init(struct pg_link *link, struct pg_pool *pool)
{
    link->pool = pool;
    link->pause_ms = PAUSE_FIRST_MS;
    list_init(&link->flight);
    /* From the loop: a watcher set right after the pool was made hears of everything. */
    timer_start(&link->timer, pg_pool_loop(pool), 0, on_pause_over, link);
}

static void on_address(uv_getaddrinfo_t *req, int status, struct addrinfo *found)
{
    struct pg_lookup *lookup = CONTAINER_OF(req, struct pg_lookup, uv);
    struct pg_link *link = lookup->link;
    char address[NI_MAXHOST] = "";
    if (status == 0 && found != NULL) {
        (void)getnameinfo(found->ai_addr, found->ai_addrlen, address, sizeof address, NULL, 0,
                          NI_NUMERICHOST);
    }
    uv_freeaddrinfo(found);
    xfree(lookup);
    if (link == NULL) {
        return;
    }
    link->lookup = NULL;
    if (address[0] == '\0') {
        link_lost(link, "the host name of DATABASE_URL does not resolve");
        return;
    }
    pg_pool_set_address(link->pool, address);
    open_link(link);
}

static void start_link(struct pg_link *link)
{
    const char *name = pg_pool_name_to_resolve(link->pool);
    if (name == NULL) {
        open_link(link);
        return;
    }
    struct pg_lookup *lookup = xzalloc(sizeof *lookup);
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    lookup->link = link;
    link->lookup = lookup;
    link->state = PG_LINK_RESOLVING;
    int err = uv_getaddrinfo(loop_uv(pg_pool_loop(link->pool)), &lookup->uv, on_address, name, NULL,
                             &hints);
    if (err < 0) {
        link->lookup = NULL;
        xfree(lookup);
        link_lost(link, uv_strerror(err));
    }
}

static void on_notice(void *arg, const PGresult *result);

static void on_open_timeout(void *arg)
{
    link_lost(arg, "no connection within 10 s");
}

static void open_link(struct pg_link *link)
{
    struct pg_pool *pool = link->pool;
    memset(link->prepared, PG_NOT_PREPARED, sizeof link->prepared);
    link->state = PG_LINK_OPENING;
    link->checked = false;
    link->broken = false;
    link->pg = PQconnectStartParams(pg_pool_keywords(pool), pg_pool_values(pool), 0);
    if (link->pg == NULL || PQstatus(link->pg) == CONNECTION_BAD) {
        link_lost(link, link->pg != NULL ? PQerrorMessage(link->pg) : "out of memory");
        return;
    }
    PQsetNoticeReceiver(link->pg, on_notice, link);
    timer_start(&link->timer, pg_pool_loop(pool), OPEN_TIMEOUT_MS, on_open_timeout, link);
    int err = poll_start(link, UV_WRITABLE);
    if (err < 0) {
        link_lost(link, uv_strerror(err));
    }
}

static void begin_check(struct pg_link *link)
{
    link->state = PG_LINK_CHECKING;
    int version = PQserverVersion(link->pg);
    if (version < VERSION_REFUSED) {
        link_refused(link, "Postgres is older than 15.19 (CVE-2026-14666): update it");
        return;
    }
    if (PQsetnonblocking(link->pg, 1) != 0 || PQsendQuery(link->pg, check_text) != 1 ||
        poll_start(link, UV_READABLE | UV_WRITABLE) < 0) {
        link_lost(link, PQerrorMessage(link->pg));
    }
}

static void on_opening(struct pg_link *link)
{
    /* libpq may close the socket and open another of the same number: libuv must not hold it then.
     */
    poll_stop(link);
    PostgresPollingStatusType next = PQconnectPoll(link->pg);
    switch (next) {
    case PGRES_POLLING_READING:
    case PGRES_POLLING_WRITING:
        if (poll_start(link, next == PGRES_POLLING_READING ? UV_READABLE : UV_WRITABLE) < 0) {
            link_lost(link, "the socket cannot be polled");
        }
        return;
    case PGRES_POLLING_OK:
        begin_check(link);
        return;
    case PGRES_POLLING_FAILED:
    case PGRES_POLLING_ACTIVE: /* unused by libpq */
        link_lost(link, PQerrorMessage(link->pg));
        return;
    }
}

static void become_ready(struct pg_link *link)
{
    if (PQenterPipelineMode(link->pg) != 1 || poll_start(link, UV_READABLE) < 0) {
        link_lost(link, PQerrorMessage(link->pg));
        return;
    }
    timer_stop(&link->timer);
    link->state = PG_LINK_READY;
    metric_add("db_connects_total", NULL, 1);
    pg_pool_connected(link->pool);
    link->pause_ms = PAUSE_FIRST_MS;
    pg_pool_link_changed(link->pool, PQserverVersion(link->pg) < VERSION_WANTED
                                         ? "Postgres is older than 15.20: update it soon"
                                         : "");
}

/* Reads what has come of the check; true when all of it is there. */
static bool read_check(struct pg_link *link, const char **refusal)
{
    while (PQisBusy(link->pg) == 0) {
        PGresult *result = PQgetResult(link->pg);
        if (result == NULL) {
            return true;
        }
        if (PQresultStatus(result) == PGRES_TUPLES_OK && PQntuples(result) == 1) {
            link->checked = true;
            if (strcmp(PQgetvalue(result, 0, 0), "t") == 0 && !pg_pool_any_role(link->pool)) {
                *refusal = "DATABASE_URL logs in as a superuser or with BYPASSRLS: row-level "
                           "security would "
                           "not bind it; use app_login or a role granted the same memberships";
            }
        }
        PQclear(result);
    }
    return false;
}

static void on_checking(struct pg_link *link)
{
    const char *refusal = NULL;
    if (PQflush(link->pg) < 0 || PQconsumeInput(link->pg) != 1) {
        link_lost(link, PQerrorMessage(link->pg));
        return;
    }
    bool done = read_check(link, &refusal);
    if (refusal != NULL) {
        link_refused(link, refusal);
    } else if (done && !link->checked) {
        link_lost(link, PQerrorMessage(link->pg));
    } else if (done) {
        become_ready(link);
    } else if (PQflush(link->pg) == 0) {
        (void)poll_start(link, UV_READABLE);
    }
}

void pg_link_stop(struct pg_link *link)
{
    timer_stop(&link->timer);
    if (link->lookup != NULL) {
        link->lookup->link = NULL;
        link->lookup = NULL;
    }
    drop_connection(link);
    link->state = PG_LINK_OFF;
}

/* --- sending ------------------------------------------------------------------------------------
 */

static void on_watchdog(void *arg)
{
    link_lost(arg, "no answer within 45 s");
}

static void break_link(void *arg)
{
    struct pg_link *link = arg;
    if (link->state == PG_LINK_READY) {
        link_lost(link, PQerrorMessage(link->pg));
    }
}

/* This connection is over, but not from here: a start never reports through its callback. libpq has
 * perhaps closed the socket already, and libuv aborts when it is asked to watch a closed one. */
static void break_soon(struct pg_link *link)
{
    poll_stop(link);
    link->broken = true;
    timer_start(&link->timer, pg_pool_loop(link->pool), 0, break_link, link);
}

static void flush(struct pg_link *link)
{
    int left = PQflush(link->pg);
    if (left < 0 || PQstatus(link->pg) == CONNECTION_BAD ||
        poll_start(link, left == 1 ? UV_READABLE | UV_WRITABLE : UV_READABLE) < 0) {
        break_soon(link);
    }
}

static void note_item(struct pg_tx *tx, bool prepare, int statement, int step)
{
    tx->items[tx->item_count++] =
        (struct pg_item){.prepare = prepare, .statement = statement, .step = step};
}

/* Parses where this link has not yet, then executes. A parse that another unit has in flight is not
 * relied on (that unit may be rolled back before it): the text is sent along instead. */
static bool send_statement(struct pg_link *link, struct pg_tx *tx, int statement, int step,
                           int count, const char *const *values)
{
    bool begin = statement == PG_STATEMENT_BEGIN;
    const char *name = begin ? begin_name : sql_statements[statement].name;
    const char *text = begin ? begin_text : sql_statements[statement].text;
    if (link->prepared[statement] == PG_PREPARE_SENT) {
        note_item(tx, false, statement, step);
        return PQsendQueryParams(link->pg, text, count, NULL, values, NULL, NULL, 0) == 1;
    }
    if (link->prepared[statement] == PG_NOT_PREPARED) {
        if (PQsendPrepare(link->pg, name, text, count, NULL) != 1) {
            return false;
        }
        link->prepared[statement] = PG_PREPARE_SENT;
        note_item(tx, true, statement, step);
    }
    note_item(tx, false, statement, step);
    return PQsendQueryPrepared(link->pg, name, count, values, NULL, NULL, 0) == 1;
}

static const char *role_name(enum pg_role role)
{
    switch (role) {
    case PG_WORKER:
        return "app_worker";
    case PG_AUTHENTICATED:
        return "authenticated";
    case PG_ANON:
        return "anon";
    case PG_NO_ROLE:
        return "none";
    }
    return "anon";
}

static bool send_unit(struct pg_link *link, struct pg_tx *tx)
{
    char ctx[TENANT_CTX_SIZE] = "";
    if (!uuid_is_nil(&tx->organization_id)) {
        int64_t now_s = loop_wall_us(pg_pool_loop(link->pool)) / US_PER_S;
        tenant_ctx_sign(pg_pool_context_key(link->pool), &tx->organization_id,
                        now_s + TENANT_CTX_LIFE_S, ctx);
    }
    const char *begin[] = {role_name(tx->role), ctx};
    bool ok = send_statement(link, tx, PG_STATEMENT_BEGIN, -1, 2, begin);
    for (size_t i = 0; ok && i < tx->step_count; i++) {
        const struct pg_step *step = &tx->steps[i];
        const char *values[PG_TX_PARAMS] = {NULL};
        for (uint16_t k = 0; k < step->param_count; k++) {
            uint32_t offset = tx->params[step->param_first + k];
            values[k] = offset == PG_PARAM_NULL ? NULL : tx->values.p + offset;
        }
        ok = send_statement(link, tx, (int)step->id, (int)i, step->param_count, values);
    }
    return ok && PQpipelineSync(link->pg) == 1;
}

void pg_link_send(struct pg_link *link, struct pg_tx *tx)
{
    assert(link->state == PG_LINK_READY);
    list_remove(&tx->link);
    list_push_back(&link->flight, &tx->link);
    link->flight_count++;
    tx->on = link;
    if (!send_unit(link, tx)) {
        break_soon(link); /* half a unit may lie in libpq's buffer */
        return;
    }
    flush(link);
    if (link->flight_count == 1 && !link->broken) {
        timer_start(&link->timer, pg_pool_loop(link->pool), WATCHDOG_MS, on_watchdog, link);
    }
}

/* --- reading ------------------------------------------------------------------------------------
 */

/* "might not have been replicated": the commit is on this machine only, so it is not acknowledged
 * (never-twice 2.3-1). The server says so in a warning; its code depends on why the waiting ended, and its text on
 * the server's language, but not the function that it comes from (syncrep.c of Postgres 15). */
static void on_notice(void *arg, const PGresult *result)
{
    struct pg_link *link = arg;
    const char *code = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const char *from = PQresultErrorField(result, PG_DIAG_SOURCE_FUNCTION);
    bool unreplicated =
        (code != NULL && (strcmp(code, "57014") == 0 || strcmp(code, "57P01") == 0)) ||
        (from != NULL && strcmp(from, "SyncRepWaitForLSN") == 0);
    if (unreplicated && !list_empty(&link->flight)) {
        LIST_ITEM(link->flight.next, struct pg_tx, link)->unreplicated = true;
    }
}

static enum fault_class class_of(const char *state)
{
    static const struct {
        const char *prefix;
        enum fault_class class;
    } classes[] = {
        {"40", FAULT_BUSY},    {"53", FAULT_BUSY},    {"55P03", FAULT_BUSY},
        {"25006", FAULT_BUSY}, /* read-only: a standby that is about to take over */
        {"57014", FAULT_BUSY}, {"57P", FAULT_BUSY},   {"22", FAULT_REFUSED},
        {"23", FAULT_REFUSED}, {"28", FAULT_REFUSED}, {"42501", FAULT_REFUSED},
        {"DW", FAULT_REFUSED}, {"P0", FAULT_REFUSED},
    };
    for (size_t i = 0; i < COUNT_OF(classes); i++) {
        if (str_starts(str_of(state), str_of(classes[i].prefix))) {
            return classes[i].class;
        }
    }
    return FAULT_BROKEN;
}

static void note_error(struct pg_tx *tx, const struct pg_item *item, const PGresult *result)
{
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const char *severity = PQresultErrorField(result, PG_DIAG_SEVERITY_NONLOCALIZED);
    const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    /* FATAL and libpq's own errors mean that the connection goes: link_lost() judges then. */
    if (tx->fault.class != FAULT_NONE || state == NULL || severity == NULL ||
        strcmp(severity, "ERROR") != 0) {
        return;
    }
    const char *name =
        item->statement == PG_STATEMENT_BEGIN ? begin_name : sql_statements[item->statement].name;
    enum fault_class class = class_of(state);
    if (class == FAULT_REFUSED) {
        tx->fault = fault_make(class, 0, state, "%s", message != NULL ? message : name);
    } else {
        tx->fault = fault_make(class, 0, state, "%s: %s", name, message != NULL ? message : "");
    }
}

/* A unit whose Sync came back: committed, or rolled back with tx->fault saying why. */
static void unit_done(struct pg_link *link, struct pg_tx *tx)
{
    link->flight_count--;
    if (link->broken) {
        /* its timer has another errand */
    } else if (link->flight_count > 0) {
        timer_start(&link->timer, pg_pool_loop(link->pool), WATCHDOG_MS, on_watchdog, link);
    } else {
        timer_stop(&link->timer);
    }
    if (tx->unreplicated && tx->fault.class == FAULT_NONE) {
        tx->fault = fault_make(FAULT_UNSURE, 0, "57014", "committed here, perhaps not replicated");
    }
    pg_tx_finish(tx);
}

static void item_result(struct pg_link *link, struct pg_tx *tx, PGresult *result)
{
    if (tx->item_at >= tx->item_count) {
        PQclear(result); /* the server's last words (FATAL) in the place of the Sync's answer */
        return;
    }
    const struct pg_item *item = &tx->items[tx->item_at];
    ExecStatusType status = PQresultStatus(result);
    bool ok = status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK;
    if (!ok && status != PGRES_PIPELINE_ABORTED) {
        note_error(tx, item, result);
    }
    if (item->prepare) {
        link->prepared[item->statement] = ok ? PG_PREPARED : PG_NOT_PREPARED;
    } else if (ok && item->step >= 0) {
        PQclear(tx->steps[item->step].result);
        tx->steps[item->step].result = result;
        return;
    }
    PQclear(result);
}

static void read_results(struct pg_link *link, struct list *done)
{
    while (!list_empty(&link->flight) && PQisBusy(link->pg) == 0) {
        struct pg_tx *tx = LIST_ITEM(link->flight.next, struct pg_tx, link);
        PGresult *result = PQgetResult(link->pg);
        if (result == NULL) {
            if (PQstatus(link->pg) == CONNECTION_BAD) {
                return;
            }
            tx->item_at++; /* the NULL that ends one item's results */
        } else if (PQresultStatus(result) == PGRES_PIPELINE_SYNC) {
            PQclear(result);
            list_remove(&tx->link);
            list_push_back(done, &tx->link);
        } else {
            item_result(link, tx, result);
        }
    }
}

static void on_ready(struct pg_link *link)
{
    struct list done;
    list_init(&done);
    bool alive = PQconsumeInput(link->pg) == 1;
    read_results(link, &done);
    if (alive && PQstatus(link->pg) == CONNECTION_OK) {
        flush(link);
    } else {
        break_soon(link);
    }
    struct pg_pool *pool = link->pool;
    for (struct list *l = list_pop_front(&done); l != NULL; l = list_pop_front(&done)) {
        unit_done(link, LIST_ITEM(l, struct pg_tx, link));
    }
    pg_pool_link_changed(pool, NULL);
}

static void on_poll(uv_poll_t *handle, int status, int events)
{
    struct pg_link *link = CONTAINER_OF(handle, struct pg_poll, uv)->link;
    /* An error of the socket is libpq's to find: what came before it is read first. */
    (void)status;
    (void)events;
    if (link == NULL) {
        return;
    }
    switch (link->state) {
    case PG_LINK_OPENING:
        on_opening(link);
        return;
    case PG_LINK_CHECKING:
        on_checking(link);
        return;
    case PG_LINK_READY:
        on_ready(link);
        return;
    case PG_LINK_OFF:
    case PG_LINK_RESOLVING:
    case PG_LINK_REFUSED:
        return;
    }
}
