/* The pool against a real Postgres: tenants, errors, killed backends, bounds, order. */
#include "store/pg_conn.h"

#include "base/limits.h"
#include "store/db_test.h"
#include "store/pg_tx.h"
#include "store/store_call.h"
#include "store/store_dial.h"

#include <errno.h>

struct world {
    struct db_test db;
    struct loop *loop;
    struct pg_pool *pool;
    char call_id_text[UUID_TEXT_SIZE];
    struct uuid call_id;
};

static struct world w;

static void open_pool(const char *url, uint32_t connections, uint32_t wait_ms)
{
    struct pg_config config = {.url = url, .connections = connections, .wait_ms = wait_ms};
    tenant_ctx_key(STR(DB_TEST_SECRET), config.context_key);
    cr_assert_eq(pg_pool_new(&w.pool, w.loop, &config), 0);
}

static void until(enum pg_health health)
{
    while (pg_pool_health(w.pool) != health) {
        cr_assert(loop_run_once(w.loop, true));
    }
}

static void set_up(void)
{
    db_test_open(&w.db);
    w.loop = loop_new(LOOP_REAL);
}

static void tear_down(void)
{
    pg_pool_free(&w.pool);
    loop_free(&w.loop);
    db_test_close(&w.db);
}

TestSuite(pg, .init = set_up, .fini = tear_down, .timeout = 60);

/* The daemon's URL, with a name of this test's own: it kills only its own backends. */
static const char *app_url(void)
{
    static char url[600];
    snprintf(url, sizeof url, "%s&application_name=%s", getenv("DATABASE_APP_URL"), w.db.org_text);
    return url;
}

/* A call of the test's tenant that talks. */
static void make_call(void)
{
    db_test_tenant(&w.db, 1);
    str_copy_cut(
        str_of(db_test_run(
            &w.db,
            "INSERT INTO call_logs (organization_id, carrier_account_id, direction, "
            "caller_number, callee_number, status, answered_at) VALUES ('$org', '$org', "
            "'inbound', '+12125550000', '+16465550001', 'in_progress', now()) RETURNING id")),
        w.call_id_text, sizeof w.call_id_text);
    cr_assert_eq(uuid_parse(str_of(w.call_id_text), &w.call_id), 0);
}

/* What a callback heard. */
struct heard {
    int times;
    bool done;
    struct fault fault;
    int64_t number;
};

static void on_done(const struct fault *fault, void *arg)
{
    struct heard *h = arg;
    h->times++;
    h->done = true;
    h->fault = *fault;
}

static void on_state(const struct fault *fault, const struct store_unknown_state *state, void *arg)
{
    struct heard *h = arg;
    on_done(fault, arg);
    h->number = state->unknown_calls;
}

static void on_status(const struct fault *fault, struct str status, void *arg)
{
    (void)status;
    on_done(fault, arg);
}

static void ask_state(struct heard *h)
{
    cr_assert_eq(store_unknown_state(NULL, w.pool, clock_wall_us(), on_state, h), 0);
}

static int note(const char *text, struct heard *h)
{
    OWNED(json_free) json_t *patch = json_pack("{s:s}", "word", text);
    return store_note(NULL, w.pool, &w.db.org, &w.call_id, patch, clock_wall_us(), on_done, h);
}

Test(pg, bad_url_is_refused)
{
    struct pg_config config = {.url = "postgresql://nobody@/x?no_such_word=1"};
    cr_assert_eq(pg_pool_new(&w.pool, w.loop, &config), -EINVAL);
}

Test(pg, superuser_is_refused_with_a_reason)
{
    open_pool(getenv("DATABASE_URL"), 1, 200);
    until(PG_REFUSED);
    cr_assert(str_contains(str_of(pg_pool_reason(w.pool)), STR("superuser")), "%s",
              pg_pool_reason(w.pool));
    struct heard h = {.times = 0};
    ask_state(&h);
    pg_wait(w.pool, &h.done);
    cr_assert_eq(h.fault.class, FAULT_NOT_SENT);
}

static void on_health(enum pg_health health, void *arg)
{
    enum pg_health *last = arg;
    *last = health;
}

Test(pg, one_unit)
{
    enum pg_health seen = PG_CONNECTING;
    open_pool(app_url(), 2, 5000);
    pg_pool_watch(w.pool, on_health, &seen);
    struct heard h = {.times = 0};
    ask_state(&h); /* waits for the first connection */
    cr_assert_eq(h.times, 0);
    cr_assert_eq(pg_pool_waiting(w.pool), 1);
    pg_wait(w.pool, &h.done);
    cr_assert_eq(h.fault.class, FAULT_NONE, "%s", h.fault.text);
    cr_assert_eq(h.times, 1);
    cr_assert_eq(seen, PG_UP);
}

Test(pg, a_tenant_reads_its_own)
{
    make_call();
    open_pool(app_url(), 1, 5000);
    struct heard h = {.times = 0};
    cr_assert_eq(note("hello", &h), 0);
    pg_wait(w.pool, &h.done);
    cr_assert_eq(h.fault.class, FAULT_NONE, "%s", h.fault.text);
    cr_assert_str_eq(db_test_run(&w.db,
                                 "SELECT ai_analysis #>> '{noted,word}' FROM call_logs WHERE "
                                 "organization_id = '$org'"),
                     "hello");
}

Test(pg, a_wrong_key_reads_nothing)
{
    make_call();
    struct pg_config config = {.url = app_url(), .connections = 1};
    tenant_ctx_key(STR("another secret of thirty-two bytes!!!"), config.context_key);
    cr_assert_eq(pg_pool_new(&w.pool, w.loop, &config), 0);
    struct heard h = {.times = 0};
    cr_assert_eq(note("hello", &h), 0);
    pg_wait(w.pool, &h.done);
    cr_assert_eq(h.fault.class, FAULT_NONE);
    cr_assert_str_eq(
        db_test_run(&w.db, "SELECT ai_analysis FROM call_logs WHERE organization_id = '$org'"),
        "{}");
}

Test(pg, broken_text_is_stored_mended)
{
    make_call();
    open_pool(app_url(), 1, 5000);
    struct store_turn turn = {.speaker = "lead",
                              .heard = "full",
                              .body = STR("caf\xc3\xa9 \xff\xc3 a\0b"),
                              .heard_ms = -1};
    struct heard h = {.times = 0};
    cr_assert_eq(
        store_turn(NULL, w.pool, &w.db.org, &w.call_id, &turn, clock_wall_us(), on_done, &h), 0);
    pg_wait(w.pool, &h.done);
    cr_assert_eq(h.fault.class, FAULT_NONE, "%s", h.fault.text);
    cr_assert_str_eq(
        db_test_run(&w.db, "SELECT body FROM call_turns WHERE organization_id = '$org'"),
        "caf\xc3\xa9 \xef\xbf\xbd\xef\xbf\xbd a\xef\xbf\xbd"
        "b");
}

/* An error rolls its own unit back and leaves those before and behind it alone, prepared or not. */
Test(pg, an_error_stays_in_its_unit)
{
    make_call();
    open_pool(app_url(), 1, 5000);
    for (int round = 0; round < 2; round++) {
        struct heard before = {.times = 0};
        struct heard wrong = {.times = 0};
        struct heard behind = {.times = 0};
        struct heard last = {.times = 0};
        struct store_placed placed = {.organization_id = &w.db.org,
                                      .call_id = &w.call_id,
                                      .result = "perhaps",
                                      .at_us = clock_wall_us()};
        cr_assert_eq(note("before", &before), 0);
        cr_assert_eq(store_place_result(NULL, w.pool, &placed, on_status, &wrong), 0);
        cr_assert_eq(store_place_result(NULL, w.pool, &placed, on_status, &last), 0);
        cr_assert_eq(note("behind", &behind), 0);
        pg_wait(w.pool, &behind.done);
        cr_assert_eq(before.fault.class, FAULT_NONE);
        cr_assert_eq(behind.fault.class, FAULT_NONE, "%s", behind.fault.text);
        cr_assert_eq(wrong.fault.class, FAULT_REFUSED, "%s", wrong.fault.text);
        cr_assert_eq(last.fault.class, FAULT_REFUSED, "%s", last.fault.text);
        cr_assert_str_eq(wrong.fault.code, "22023");
        cr_assert(str_contains(str_of(wrong.fault.text), STR("unknown result of a POST: perhaps")));
    }
}

static void kill_backends(void)
{
    db_test_run(&w.db, "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE "
                       "application_name = '$org'");
}

/* The backend dies while a unit waits for a lock: nobody knows whether it happened. The pool comes back. */
Test(pg, killed_backend_means_unsure_then_it_comes_back)
{
    open_pool(app_url(), 1, 10000);
    until(PG_UP);
    db_test_value(&w.db, "BEGIN");
    db_test_value(&w.db, "LOCK TABLE call_logs IN ACCESS EXCLUSIVE MODE");
    struct heard stuck = {.times = 0};
    struct heard behind = {.times = 0};
    ask_state(&stuck);
    ask_state(&behind);
    while (db_test_value(&w.db, "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = "
                                "'call_logs'::regclass")[0] == '0') {
        loop_run_once(w.loop, false);
    }
    kill_backends();
    db_test_value(&w.db, "ROLLBACK");
    pg_wait(w.pool, &behind.done);
    cr_assert_eq(stuck.fault.class, FAULT_UNSURE, "%s", stuck.fault.text);
    cr_assert_eq(behind.fault.class, FAULT_UNSURE, "%s", behind.fault.text);
    struct heard after = {.times = 0};
    ask_state(&after);
    pg_wait(w.pool, &after.done);
    cr_assert_eq(after.fault.class, FAULT_NONE, "%s", after.fault.text);
    cr_assert_eq(stuck.times + behind.times + after.times, 3);
}

/* Backends die again and again under load: every unit is reported exactly once. */
Test(pg, every_unit_is_reported_once)
{
    enum { UNITS = 2000 };
    static struct heard heard[UNITS];
    open_pool(app_url(), 4, 20000);
    until(PG_UP);
    int classes[FAULT_BROKEN + 1] = {0};
    for (int i = 0; i < UNITS; i++) {
        ask_state(&heard[i]);
        if (i % 250 == 100) {
            kill_backends();
        }
        if (i % 10 == 0) {
            loop_run_once(w.loop, false);
        }
    }
    for (int i = 0; i < UNITS; i++) {
        pg_wait(w.pool, &heard[i].done);
    }
    for (int i = 0; i < UNITS; i++) {
        cr_assert_eq(heard[i].times, 1, "unit %d", i);
        classes[heard[i].fault.class]++;
    }
    cr_assert_eq(classes[FAULT_NONE] + classes[FAULT_UNSURE], UNITS,
                 "only these two: %d of class busy", classes[FAULT_BUSY]);
    cr_assert_gt(classes[FAULT_UNSURE], 0);
    cr_assert_gt(classes[FAULT_NONE], 0);
}

Test(pg, nothing_sent_without_a_server)
{
    open_pool("postgresql://app_login@/x?host=/nonexistent", 2, 100);
    until(PG_DOWN);
    cr_assert_neq(pg_pool_reason(w.pool)[0], '\0');
    struct heard h = {.times = 0};
    ask_state(&h);
    pg_wait(w.pool, &h.done);
    cr_assert_eq(h.fault.class, FAULT_NOT_SENT);
    cr_assert_eq(pg_pool_waiting(w.pool), 0);
}

struct canceller {
    struct heard heard;
    struct pg_tx *other;
};

static void on_late_state(const struct fault *fault, const struct store_unknown_state *state,
                          void *arg)
{
    struct canceller *c = arg;
    on_state(fault, state, &c->heard);
    store_cancel(&c->other);
}

Test(pg, one_that_waited_in_vain_cancels_another)
{
    open_pool("postgresql://app_login@/x?host=/nonexistent", 2, 50);
    struct canceller first = {.other = NULL};
    struct heard other = {.times = 0};
    struct heard last = {.times = 0};
    cr_assert_eq(store_unknown_state(NULL, w.pool, 1, on_late_state, &first), 0);
    cr_assert_eq(store_unknown_state(&first.other, w.pool, 1, on_state, &other), 0);
    pg_wait(w.pool, &first.heard.done);
    cr_assert_eq(other.times, 0);
    cr_assert_eq(pg_pool_waiting(w.pool), 0, "counted once");
    ask_state(&last);
    pg_wait(w.pool, &last.done);
    cr_assert_eq(last.fault.class, FAULT_NOT_SENT);
}

Test(pg, an_unknown_host_is_looked_up_off_the_loop)
{
    open_pool("postgresql://app_login@no-such-host.invalid/x", 1, 100);
    until(PG_DOWN);
    cr_assert(str_contains(str_of(pg_pool_reason(w.pool)), STR("does not resolve")), "%s",
              pg_pool_reason(w.pool));
}

Test(pg, the_queue_has_a_bound)
{
    open_pool("postgresql://app_login@/x?host=/nonexistent", 1, 60000);
    static struct heard heard[LIMIT_PG_WAITING];
    struct heard one_more = {.times = 0};
    for (int i = 0; i < LIMIT_PG_WAITING; i++) {
        ask_state(&heard[i]);
    }
    cr_assert_eq(store_unknown_state(NULL, w.pool, 1, on_state, &one_more), -EBUSY);
    pg_pool_free(&w.pool);
    cr_assert_eq(one_more.times + heard[0].times, 0, "refused and closed are silent");
}

Test(pg, cancelled_is_silent)
{
    open_pool(app_url(), 1, 5000);
    struct heard waiting = {.times = 0};
    struct heard sent = {.times = 0};
    struct heard last = {.times = 0};
    struct pg_tx *op = NULL;
    cr_assert_eq(store_unknown_state(&op, w.pool, 1, on_state, &waiting), 0);
    store_cancel(&op);
    cr_assert_null(op);
    cr_assert_eq(pg_pool_waiting(w.pool), 0);
    until(PG_UP);
    cr_assert_eq(store_unknown_state(&op, w.pool, 1, on_state, &sent), 0);
    store_cancel(&op);
    store_cancel(&op);
    ask_state(&last);
    pg_wait(w.pool, &last.done);
    cr_assert_eq(waiting.times + sent.times, 0);
    cr_assert_eq(last.fault.class, FAULT_NONE);
}

/* Versions of one turn, over four connections: the last one said is the one that stays. */
Test(pg, one_call_is_in_order)
{
    enum { VERSIONS = 200 };
    static struct heard heard[VERSIONS];
    make_call();
    open_pool(app_url(), 4, 5000);
    for (int i = 0; i < VERSIONS; i++) {
        char body[20];
        snprintf(body, sizeof body, "version %d", i);
        struct store_turn turn = {
            .speaker = "ai", .heard = "full", .body = str_of(body), .heard_ms = -1};
        cr_assert_eq(store_turn(NULL, w.pool, &w.db.org, &w.call_id, &turn, 1, on_done, &heard[i]),
                     0);
        loop_run_once(w.loop, false);
    }
    for (int i = 0; i < VERSIONS; i++) {
        pg_wait(w.pool, &heard[i].done);
        cr_assert_eq(heard[i].fault.class, FAULT_NONE, "%s", heard[i].fault.text);
    }
    cr_assert_str_eq(
        db_test_run(&w.db, "SELECT body FROM call_turns WHERE organization_id = '$org'"),
        "version 199");
}
