/* The dialer and the reconciler against a real Postgres and a carrier on a real socket. */
#include "dial/dialer.h"

#include "dial/history.h"
#include "dial/lock_file.h"
#include "dial/reconcile.h"
#include "net/net_test.h"
#include "store/db_test.h"
#include "store/seal.h"

#include <sys/file.h>
#include <sys/stat.h>

#define KEK "a key of at least thirty-two bytes, for tests"

enum mode { CARRIER_TAKES, CARRIER_TAKES_AND_502, CARRIER_502, CARRIER_REFUSES, CARRIER_401 };

struct world {
    struct db_test db;
    struct loop *loop;
    struct pg_pool *pool;
    struct http_server *server;
    struct http_client *http;
    struct accounts *accounts;
    struct carrier_urls urls;
    struct settings settings;
    struct dial_env env;
    struct dialer *dialer;
    struct reconcile *reconcile;
    char api_url[64];
    char data_dir[64];
    enum mode mode;
    int posts;
    int placed_hooks;
    int ended_hooks;
    size_t live;
    bool placed_live; /* what was placed lives on */
    bool drained;
    bool honest; /* the lists do not deny a call that was taken: asked for its number they fail */
    char taken[128][20];
    size_t taken_count;
    char listed_to[20]; /* the carrier's CDR list knows one ended call to this number */
};

static struct world w;

/* --- the carrier -------------------------------------------------------------------------------- */

static void on_post(struct http_request *req, void *arg)
{
    (void)arg;
    char body[200];
    w.posts++;
    if (w.mode == CARRIER_TAKES_AND_502 || w.mode == CARRIER_502) {
        OWNED(json_free) json_t *ask = NULL;
        cr_assert_eq(json_parse(http_body(req), &ask), 0);
        if (w.mode == CARRIER_TAKES_AND_502) {
            struct str to = json_get_str(ask, "to");
            snprintf(w.listed_to, sizeof w.listed_to, "%s" STR_FMT, to.p[0] == '+' ? "" : "+",
                     STR_ARG(to));
        }
        http_answer(req, 502, "text/html", STR("<html>bad gateway</html>"));
    } else if (w.mode == CARRIER_REFUSES) {
        http_answer(req, 400, "application/json", STR("{\"error\":\"to parameter is invalid\"}"));
    } else if (w.mode == CARRIER_401) {
        http_answer(req, 401, "application/json", STR("{\"error\":\"unauthorized\"}"));
    } else {
        OWNED(json_free) json_t *ask = NULL;
        cr_assert_eq(json_parse(http_body(req), &ask), 0);
        struct str to = json_get_str(ask, "to");
        to = to.p[0] == '+' ? str_skip(to, 1) : to;
        cr_assert_eq(str_copy(to, w.taken[w.taken_count++ % COUNT_OF(w.taken)], 20), 0);
        snprintf(body, sizeof body, "{\"message\":\"call fired\",\"request_uuid\":\"%s-%d\"}",
                 w.db.org_text, w.posts);
        http_answer(req, 201, "application/json", str_of(body));
    }
}

static void clock_text(int64_t us, char out[CLOCK_TEXT_SIZE])
{
    clock_format(us, out);
    out[10] = ' ';
}

/* Lists nothing, but the one ended call of listed_to among the CDRs. */
static void on_list(struct http_request *req, void *arg)
{
    (void)arg;
    char body[800];
    for (size_t i = 0; w.honest && i < w.taken_count && i < COUNT_OF(w.taken); i++) {
        if (str_contains(http_query(req), str_of(w.taken[i]))) {
            http_answer(req, 503, "text/plain", STR("later"));
            return;
        }
    }
    bool cdr = !str_contains(http_query(req), STR("status="));
    bool plus = str_contains(http_query(req), STR("to_number=%2B"));
    bool here =
        w.listed_to[0] != '\0' && str_contains(http_query(req), str_of(w.listed_to + 1)) && plus;
    if (!cdr) {
        http_answer(req, 200, "application/json", STR("{\"api_id\":\"a\",\"calls\":[]}"));
        return;
    }
    char began[CLOCK_TEXT_SIZE];
    char ended[CLOCK_TEXT_SIZE];
    clock_text(loop_wall_us(w.loop) - 2 * US_PER_S, began);
    clock_text(loop_wall_us(w.loop) - US_PER_S, ended);
    snprintf(
        body, sizeof body,
        "{\"meta\":{\"limit\":20,\"offset\":0,\"total_count\":%d},\"objects\":[%s%s%s%s%s%s%s%s%s]"
        "}",
        here ? 1 : 0, here ? "{\"call_uuid\":\"cdr-" : "", here ? w.db.org_text : "",
        here
            ? "\",\"call_direction\":\"outbound\",\"from_number\":\"+16465550001\",\"to_number\":\""
            : "",
        here ? w.listed_to : "", here ? "\",\"initiation_time\":\"" : "", here ? began : "",
        here ? "\",\"answer_time\":null,\"end_time\":\"" : "", here ? ended : "",
        here ? "\",\"hangup_cause_code\":3000}" : "");
    http_answer(req, 200, "application/json", str_of(body));
}

static const struct http_route routes[] = {
    {"GET", "/v1/{path...}", 0, on_list},
    {"POST", "/v1/{path...}", 65536, on_post},
};

/* --- the daemon around it ------------------------------------------------------------------------ */

/* One question of the accounts' cache, answered a turn later. */
struct loading {
    struct uuid organization_id;
    store_accounts_fn *on_done;
    void *arg;
};

static void loaded(void *arg)
{
    struct loading *l = arg;
    const struct seal_place place = {.organization_id = l->organization_id,
                                     .column = SEAL_CARRIER_TOKEN,
                                     .id = l->organization_id};
    OWNED(buf_fini) struct buf sealed;
    buf_init(&sealed, STORE_SEALED_SIZE);
    cr_assert_eq(seal_close(STR(KEK), &place, STR("token"), &sealed), 0);
    struct store_account row = {
        .id = l->organization_id, .provider = "plivo", .auth_id = "MA1", .active = true};
    memcpy(row.token, sealed.p, sealed.len);
    row.token_bytes = sealed.len;
    struct fault none = fault_none();
    l->on_done(&none, &row, 1, l->arg);
    xfree(l);
}

static int load_account(struct pg_tx **op, struct pg_pool *db, const struct uuid *organization_id,
                        store_accounts_fn *on_done, void *arg)
{
    (void)op;
    (void)db;
    struct loading *l = xzalloc(sizeof *l);
    *l = (struct loading){*organization_id, on_done, arg};
    loop_defer(w.loop, loaded, l);
    return 0;
}

static void on_hook_placed(const struct store_claimed *claimed, const json_t *brief, void *arg)
{
    (void)arg;
    cr_assert_not_null(json_get(brief, "campaign"));
    cr_assert(!uuid_is_nil(&claimed->lead_id));
    w.placed_hooks++;
    w.live += w.placed_live ? 1 : 0;
}

static void on_hook_ended(const struct uuid *organization_id, const struct uuid *call_id, void *arg)
{
    (void)arg;
    (void)call_id;
    /* A slow run meets calls that earlier tests left, and that are due to be asked about by now. */
    w.ended_hooks += uuid_eq(organization_id, &w.db.org) ? 1 : 0;
}

static size_t live(void *arg)
{
    (void)arg;
    return w.live;
}

static void set_up(void)
{
    db_test_open(&w.db);
    w.loop = loop_new(LOOP_REAL);
    struct pg_config config = {
        .url = getenv("DATABASE_APP_URL"), .connections = 2, .wait_ms = 1000};
    char url[600];
    snprintf(url, sizeof url, "%s&application_name=%s", config.url, w.db.org_text);
    config.url = url;
    tenant_ctx_key(STR(DB_TEST_SECRET), config.context_key);
    cr_assert_eq(pg_pool_new(&w.pool, w.loop, &config), 0);
    cr_assert_eq(http_server_open(&w.server, w.loop, "127.0.0.1:0", routes, COUNT_OF(routes), NULL),
                 0);
    char allowed[32];
    snprintf(allowed, sizeof allowed, "127.0.0.1:%u", http_server_port(w.server));
    snprintf(w.api_url, sizeof w.api_url, "http://%s/v1", allowed);
    w.http = http_client_new(w.loop, allowed);
    struct accounts_env accounts = {
        .loop = w.loop, .load = load_account, .kek = KEK, .api_url = w.api_url};
    cr_assert_eq(accounts_open(&w.accounts, &accounts), 0);
    snprintf(w.data_dir, sizeof w.data_dir, "/tmp/dw-dialer-%d-XXXXXX", getpid());
    cr_assert_not_null(mkdtemp(w.data_dir));
    w.settings = (struct settings){.data_dir = w.data_dir,
                                   .calls_max = 50,
                                   .claim_interval_ms = 20,
                                   .claim_batch = 20,
                                   .claim_deadline_ms = 5000,
                                   .place_timeout_ms = 3000,
                                   .ring_timeout_s = 45,
                                   .lease_ms = 1000,
                                   .carrier_queue_ms = 0,
                                   .cdr_lag_ms = 0,
                                   .absence_scan_gap_ms = 10,
                                   .reconcile_interval_ms = 40};
    w.urls.public_url = "https://voice.example.com";
    w.env = (struct dial_env){.loop = w.loop,
                              .db = w.pool,
                              .http = w.http,
                              .carrier = &carrier_plivo,
                              .urls = &w.urls,
                              .accounts = w.accounts,
                              .settings = &w.settings,
                              .node = {.name = "test", .version = "0"},
                              .hooks = {on_hook_placed, on_hook_ended, live, NULL}};
    w.env.node.node_id = uuid_make(clock_wall_us());
}

static void tear_down(void)
{
    db_test_retire(&w.db);
    accounts_close(&w.accounts);
    reconcile_close(&w.reconcile);
    dialer_close(&w.dialer);
    http_client_free(&w.http);
    http_server_close(&w.server);
    pg_pool_free(&w.pool);
    loop_free(&w.loop);
    db_test_close(&w.db);
    struct lock_file left[64];
    int count = lock_scan(w.data_dir, left, COUNT_OF(left));
    for (int i = 0; i < count; i++) {
        lock_remove(&left[i]);
    }
    char run[80];
    snprintf(run, sizeof run, "%s/run", w.data_dir);
    rmdir(run);
    rmdir(w.data_dir);
}

TestSuite(dial, .init = set_up, .fini = tear_down, .timeout = 60);

static bool sql_is(const char *sql, const char *wanted)
{
    return strcmp(db_test_run(&w.db, sql), wanted) == 0;
}

#define COUNT_STATUS(status)                                                                       \
    "SELECT count(*) FROM call_logs WHERE organization_id = '$org' AND status = '" status "'"

static void open_dialer(int leads)
{
    db_test_tenant(&w.db, leads);
    cr_assert_eq(dialer_open(&w.dialer, &w.env), 0);
}

Test(dial, every_lead_is_dialed_once)
{
    open_dialer(30);
    WAIT_FOR(w.loop, w.placed_hooks == 30);
    cr_assert_eq(w.posts, 30);
    cr_assert(sql_is(COUNT_STATUS("dialing"), "30"));
    cr_assert(sql_is(
        "SELECT count(DISTINCT request_uuid) FROM call_logs WHERE organization_id = '$org'", "30"));
    cr_assert(
        sql_is("SELECT sum(attempt_count) FROM call_queue WHERE organization_id = '$org'", "30"));
    cr_assert_eq(dialer_state(w.dialer).placing, 0);
}

Test(dial, calls_max_counts_those_that_live)
{
    w.settings.calls_max = 10;
    w.live = 4;
    w.placed_live = true;
    open_dialer(30);
    WAIT_FOR(w.loop, w.placed_hooks >= 6);
    for (int turns = 0; turns < 20; turns++) {
        dialer_poke(w.dialer);
        loop_run_once(w.loop, false);
    }
    cr_assert_eq(w.posts, 6);
    cr_assert_str_eq(dialer_state(w.dialer).why, "full");
}

Test(dial, a_refused_number_fails)
{
    w.mode = CARRIER_REFUSES;
    open_dialer(1);
    WAIT_FOR(
        w.loop,
        sql_is("SELECT status || ' ' || last_error FROM call_queue WHERE organization_id = '$org'",
               "failed not_placed"));
    cr_assert_eq(w.posts, 1);
    cr_assert_eq(w.placed_hooks, 0);
}

Test(dial, account_trouble_rests_the_account)
{
    w.mode = CARRIER_401;
    open_dialer(1);
    WAIT_FOR(w.loop, sql_is("SELECT status FROM carrier_accounts WHERE organization_id = '$org'",
                            "paused"));
    WAIT_FOR(w.loop,
             sql_is("SELECT status FROM call_queue WHERE organization_id = '$org'", "queued"));
    cr_assert_eq(w.posts, 1);
}

/* Too late: the claim is old, so the request is not made. */
Test(dial, a_late_worker_signs_off)
{
    w.settings.claim_deadline_ms = -1;
    open_dialer(3);
    WAIT_FOR(w.loop, sql_is("SELECT count(*) FROM call_logs WHERE organization_id = '$org' AND "
                            "status = 'not_placed' "
                            "AND resolved_by = 'sign_off'",
                            "3"));
    cr_assert_eq(w.posts, 0);
}

/* Paused between claim and POST. */
Test(dial, a_pause_meanwhile_signs_off)
{
    open_dialer(1);
    db_test_run(&w.db, "CREATE TABLE IF NOT EXISTS pause_log (id int)");
    /* A trigger that pauses the campaign in the very transaction of the claim. */
    db_test_run(
        &w.db,
        "CREATE OR REPLACE FUNCTION public.pause_at_claim() RETURNS trigger LANGUAGE plpgsql "
        "SECURITY "
        "DEFINER AS $$ BEGIN UPDATE public.campaigns SET status = 'paused' WHERE organization_id = "
        "NEW.organization_id; RETURN NULL; END $$");
    db_test_run(&w.db,
                "CREATE TRIGGER zz_pause AFTER INSERT ON public.call_attempts FOR EACH ROW WHEN "
                "(NEW.organization_id = '$org') EXECUTE FUNCTION public.pause_at_claim()");
    WAIT_FOR(w.loop, sql_is(COUNT_STATUS("not_placed"), "1"));
    cr_assert(sql_is("SELECT place_detail FROM call_logs WHERE organization_id = '$org'",
                     "campaign_paused"));
    cr_assert_eq(w.posts, 0);
    db_test_run(&w.db, "DROP TRIGGER zz_pause ON public.call_attempts");
}

/* A 502 after dialing: unknown, then found in the carrier's list. Never asked for twice. */
Test(dial, unsure_is_found_by_the_reconciler)
{
    w.mode = CARRIER_TAKES_AND_502;
    open_dialer(1);
    cr_assert_eq(reconcile_open(&w.reconcile, &w.env), 0);
    WAIT_FOR(w.loop, sql_is(COUNT_STATUS("ended"), "1"));
    cr_assert(sql_is("SELECT resolved_by || ' ' || (call_sid LIKE 'cdr-%')::text FROM call_logs "
                     "WHERE organization_id = '$org'",
                     "cdr true"));
    cr_assert_eq(w.posts, 1);
    WAIT_FOR(w.loop, w.ended_hooks == 1);
}

/* A 502 without dialing: absent after the horizon and two scans; then dialed again as a new attempt. */
Test(dial, unsure_is_absent_after_the_horizon)
{
    w.mode = CARRIER_502;
    w.settings.place_timeout_ms = 300; /* H = 300 ms */
    w.settings.ring_timeout_s = 0;
    open_dialer(1);
    cr_assert_eq(reconcile_open(&w.reconcile, &w.env), 0);
    WAIT_FOR(w.loop, w.posts == 1 && sql_is(COUNT_STATUS("outcome_unknown"), "1"));
    int64_t unknown_us = loop_now_us(w.loop);
    WAIT_FOR(w.loop, sql_is(COUNT_STATUS("not_placed"), "1"));
    cr_assert_gt(loop_now_us(w.loop) - unknown_us, 250 * US_PER_MS, "before the horizon");
    cr_assert(sql_is("SELECT resolved_by FROM call_logs WHERE organization_id = '$org'", "absent"));
    cr_assert(
        sql_is("SELECT status || attempt_count FROM call_queue WHERE organization_id = '$org'",
               "queued0"));
    cr_assert_eq(w.posts, 1);
}

/* A worker that died after its claim: its lock is free, so its attempt can be judged. While the lock is held
 * it is not, however long it takes. */
Test(dial, a_dead_worker_is_proven_dead)
{
    w.settings.place_timeout_ms = 0;
    w.settings.ring_timeout_s = 0;
    db_test_tenant(&w.db, 1);
    struct uuid worker = uuid_make(clock_wall_us());
    struct lock_file lock;
    char sql[600];
    char id[UUID_TEXT_SIZE];
    uuid_text(&worker, id);
    cr_assert_eq(lock_take(&lock, w.data_dir, &worker), 0);
    snprintf(sql, sizeof sql,
             "SELECT engine.worker_start(app.uuid7(), 'x', '', NULL, '%s', 'x', now())", id);
    db_test_run(&w.db, sql);
    snprintf(
        sql, sizeof sql,
        "SELECT call_id FROM engine.claim(app.uuid7(), '%s', 1, now() - interval '1 minute', 10)",
        id);
    cr_assert_str_neq(db_test_run(&w.db, sql), "");
    cr_assert_eq(reconcile_open(&w.reconcile, &w.env), 0);
    WAIT_FOR(w.loop, sql_is(COUNT_STATUS("outcome_unknown"), "1"));
    int64_t rounds = reconcile_state(w.reconcile).rounds;
    WAIT_FOR(w.loop, reconcile_state(w.reconcile).rounds >= rounds + 5);
    cr_assert(sql_is("SELECT absent_scans > 1 FROM call_logs WHERE organization_id = '$org'", "t"));
    cr_assert(sql_is(COUNT_STATUS("outcome_unknown"), "1"), "concluded while the owner lived");
    lock_drop(&lock);
    WAIT_FOR(w.loop, sql_is(COUNT_STATUS("not_placed"), "1"));
    snprintf(sql, sizeof sql, "SELECT status || proof FROM workers WHERE id = '%s'", id);
    cr_assert(sql_is(sql, "deadlock"));
    cr_assert_neq(access(lock.path, F_OK), 0, "the file of a dead worker is gone");
}

/* The database's backends die again and again: no lead is dialed twice, claiming resumes by itself. */
Test(dial, killed_backends_never_dial_twice)
{
    open_dialer(60);
    /* What was signed off comes back at once. */
    db_test_run(&w.db, "INSERT INTO retry_policies (organization_id, id, name, waits) VALUES "
                       "('$org', '$org', 'now', "
                       "'{\"not_placed\": [0]}')");
    db_test_run(&w.db,
                "UPDATE campaigns SET retry_policy_id = '$org' WHERE organization_id = '$org'");
    w.settings.claim_batch = 5;
    w.settings.ring_timeout_s =
        0; /* H = 3 s, which a result that waits for the database may outlast */
    w.honest = true;
    cr_assert_eq(reconcile_open(&w.reconcile, &w.env), 0);
    for (int kills = 0; kills < 8; kills++) {
        int before = w.posts;
        WAIT_FOR(w.loop, w.posts > before || w.posts == 60);
        db_test_run(&w.db, "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE "
                           "application_name = '$org'");
    }
    /* Claims whose commit was lost on the way are swept, found absent, and dialed then. */
    WAIT_FOR(w.loop, dialer_state(w.dialer).placing == 0 && sql_is(COUNT_STATUS("dialing"), "60"));
    cr_assert(sql_is("SELECT count(DISTINCT lead_id) FROM call_logs WHERE organization_id = '$org' "
                     "AND status = 'dialing'",
                     "60"));
    cr_assert_eq(w.posts, 60);
}

static void on_moved(void *arg)
{
    (void)arg;
}

/* A process that starts on a history that waits: reconciler and undertaker need a clock that was compared, and what
 * they learn is what it may wait for. But it gives no sign of life there. */
Test(dial, clocks_are_compared_before_the_history_is_open)
{
    struct history *history = NULL;
    struct dial_clock clock = {.compared = false};
    w.settings.failover_loss_s = 600;
    w.env.clock = &clock;
    db_test_run(&w.db, "UPDATE dial_histories SET kind = 'restore', opened_at = NULL");
    history_open(&history, &w.env, on_moved, NULL);
    w.env.history = history;
    cr_assert_eq(dialer_open(&w.dialer, &w.env), 0);
    for (int turns = 0; turns < 10000 && !clock.compared; turns++) {
        loop_run_once(w.loop, true);
    }
    bool may_claim = history_may_claim(history);
    dialer_close(&w.dialer);
    history_close(&history);
    db_test_run(&w.db, "UPDATE dial_histories SET kind = 'first', opened_at = now()");
    cr_assert(clock.compared);
    cr_assert_not(may_claim);
}

static void on_drained(void *arg)
{
    (void)arg;
    w.drained = true;
}

Test(dial, drains_and_signs_off)
{
    open_dialer(10);
    WAIT_FOR(w.loop, w.posts > 0);
    dialer_drain(w.dialer, on_drained, NULL);
    WAIT_FOR(w.loop, w.drained);
    cr_assert_str_eq(dialer_state(w.dialer).why, "draining");
    cr_assert_eq(dialer_state(w.dialer).workers, 0);
    cr_assert(sql_is(COUNT_STATUS("reserved"), "0"));
    char sql[200];
    char id[UUID_TEXT_SIZE];
    uuid_text(&w.env.node.node_id, id);
    snprintf(sql, sizeof sql,
             "SELECT string_agg(DISTINCT status || proof, ',') FROM workers WHERE node_id = '%s'",
             id);
    cr_assert(sql_is(sql, "endedsign_off"));
    snprintf(sql, sizeof sql, "SELECT stopped_at IS NOT NULL FROM nodes WHERE id = '%s'", id);
    cr_assert(sql_is(sql, "t"));
}

static int64_t refusals(void)
{
    int64_t count = 0;
    cr_assert_eq(
        str_to_i64(str_of(db_test_run(&w.db, "SELECT last_value FROM public.refusals")), &count),
        0);
    return count;
}

/* The carrier took the call, and the ledger cannot be told: until it is, the worker counts as alive, so that
 * nobody concludes from the lists alone that the call never was. */
Test(dial, a_known_result_keeps_its_worker)
{
    db_test_run(&w.db, "CREATE SEQUENCE IF NOT EXISTS public.refusals");
    db_test_run(&w.db, "GRANT USAGE ON SEQUENCE public.refusals TO PUBLIC");
    db_test_run(&w.db,
                "CREATE OR REPLACE FUNCTION public.refuse_result() RETURNS trigger LANGUAGE "
                "plpgsql AS $$ BEGIN PERFORM nextval('public.refusals'); RAISE EXCEPTION 'not now' "
                "USING ERRCODE = '40001'; END $$");
    open_dialer(1);
    db_test_run(&w.db,
                "CREATE TRIGGER zz_refuse BEFORE UPDATE ON public.call_logs FOR EACH ROW WHEN "
                "(NEW.organization_id = '$org' AND NEW.placed_at IS NOT NULL) EXECUTE FUNCTION "
                "public.refuse_result()");
    WAIT_FOR(w.loop, w.posts == 1 && sql_is("SELECT is_called FROM public.refusals", "t"));
    dialer_drain(w.dialer, on_drained, NULL);
    int64_t first = refusals();
    WAIT_FOR(w.loop, refusals() >= first + 2);
    struct lock_file found[4];
    cr_assert_eq(lock_scan(w.data_dir, found, 4), 0, "its lock is held");
    cr_assert(sql_is("SELECT DISTINCT w.status FROM workers w JOIN call_logs l ON l.worker_id = "
                     "w.id WHERE l.organization_id = '$org'",
                     "alive"));
    db_test_run(&w.db, "DROP TRIGGER zz_refuse ON public.call_logs");
    WAIT_FOR(w.loop, w.drained);
    cr_assert(sql_is(COUNT_STATUS("dialing"), "1"));
    cr_assert(sql_is("SELECT DISTINCT w.status FROM workers w JOIN call_logs l ON l.worker_id = "
                     "w.id WHERE l.organization_id = '$org'",
                     "ended"));
    cr_assert_eq(w.posts, 1);
}

Test(dial, locks)
{
    struct uuid id = uuid_make(clock_wall_us());
    struct lock_file held;
    struct lock_file found[4];
    cr_assert_eq(lock_take(&held, w.data_dir, &id), 0);
    struct lock_file again;
    cr_assert_eq(lock_take(&again, w.data_dir, &id), -EEXIST, "an id is used once");
    cr_assert_eq(lock_scan(w.data_dir, found, 4), 0, "held: nobody's death");
    lock_drop(&held);
    cr_assert_eq(lock_scan(w.data_dir, found, 4), 1);
    cr_assert(uuid_eq(&found[0].worker_id, &id));
    struct lock_file second[4];
    cr_assert_eq(lock_scan(w.data_dir, second, 4), 0, "the scanner holds it now");
    lock_remove(&found[0]);
    cr_assert_eq(lock_scan(w.data_dir, second, 4), 0);
    cr_assert_eq(lock_scan("/nonexistent", second, 4), 0, "no directory, no dead");
}
