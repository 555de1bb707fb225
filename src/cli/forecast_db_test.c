/* The forecast beside the real thing: a campaign of some hundred leads is forecast, and then really run through
 * engine.claim, app.place_result and app.call_hangup on the same virtual clock, with the same chance. Both must make
 * the same calls and be done at the same time. And bad input, through the whole command. */
#include "cli/forecast_load.h"

#include "base/clock.h"
#include "loop/loop.h"
#include "store/db_test.h"

#include <math.h>

#define SEED       77
#define TICK_US    US_PER_S
#define CALLS_MOST 4000
#define START_TEXT "2026-11-16T13:30:00Z" /* a Monday, 08:30 in New York */

struct live {
    int64_t end_us;
    int64_t answered_us;
    int64_t begin_us;
    uint32_t lead;
    uint32_t number;
    enum forecast_outcome outcome;
    char call[UUID_TEXT_SIZE];
};

struct diff {
    struct db_test db;
    struct cmd cmd;
    struct cmd_spec spec;
    struct forecast_job job;
    struct forecast_rates rates;
    struct forecast_result result;
    struct forecast_call told[CALLS_MOST];
    size_t told_count;
    struct live live[64];
    size_t live_count;
    char (*queue)[UUID_TEXT_SIZE]; /* queue ids in the order of the plan's leads */
    size_t queue_count;
    uint32_t *attempts;
    struct forecast_call real[CALLS_MOST];
    size_t real_count;
    int64_t done_us;
};

static struct diff d;

/* A tenant with leads in four zones, two accounts of which one is slow, and every sixth lead barred or without
 * consent. */
static void tenant(int leads, const char *campaign)
{
    char sql[3000];
    int64_t at_us;

    db_test_open(&d.db);
    cr_assert_eq(clock_parse(STR(START_TEXT), &at_us), 0);
    db_test_run(&d.db,
                "INSERT INTO organizations (id, slug, name, legal_name) VALUES ('$org', 't' || "
                "replace('$org', '-', ''), 'T', 'T')");
    db_test_run(&d.db, "INSERT INTO carrier_accounts (organization_id, id, name, auth_id, lines, "
                       "calls_per_second) SELECT "
                       "'$org', overlay('$org' PLACING lpad(i::text, 4, '0') FROM 33)::uuid, 'a' "
                       "|| i, 'MA' || i, 3, 0.4 "
                       "FROM generate_series(1, 2) i");
    db_test_run(&d.db, "INSERT INTO phone_numbers (organization_id, id, carrier_account_id, "
                       "phone_e164, lines) SELECT "
                       "'$org', overlay('$org' PLACING lpad(i::text, 4, '0') FROM 33)::uuid, "
                       "overlay('$org' PLACING "
                       "lpad((1 + i % 2)::text, 4, '0') FROM 33)::uuid, '+1646555000' || i, CASE i "
                       "WHEN 3 THEN 1 END FROM "
                       "generate_series(1, 3) i");
    (void)snprintf(
        sql, sizeof sql,
        "INSERT INTO campaigns (organization_id, id, name, status, legal_name, callback_number, %s",
        campaign);
    db_test_run(&d.db, sql);
    db_test_run(
        &d.db,
        "INSERT INTO campaign_numbers (organization_id, campaign_id, phone_number_id) SELECT "
        "organization_id, '$org', id FROM phone_numbers WHERE organization_id = '$org'");
    (void)snprintf(sql, sizeof sql,
                   "WITH l AS (INSERT INTO leads (organization_id, id, name, phone_e164, timezone, "
                   "zones, region, score) "
                   "SELECT '$org', overlay('$org' PLACING lpad(k::text, 4, '0') FROM 33)::uuid, "
                   "'Lead', '+1212555' || "
                   "lpad(k::text, 4, '0'), (ARRAY['America/New_York', 'America/Chicago', "
                   "'America/Phoenix', NULL])[1 + k "
                   "%% 4], CASE k %% 4 WHEN 3 THEN ARRAY['America/Denver', 'America/Los_Angeles'] "
                   "ELSE '{}' END, 'US', k "
                   "%% 5 FROM generate_series(1, %d) k RETURNING id, phone_e164, score), s AS "
                   "(INSERT INTO consents "
                   "(organization_id, phone_e164, level, seller, source, evidence, granted_at) "
                   "SELECT '$org', phone_e164, "
                   "'written', 'T', 'form', '{\"a\": 1}', '2026-11-10' FROM l WHERE phone_e164 NOT "
                   "LIKE '%%3'), n AS "
                   "(INSERT INTO do_not_call (organization_id, phone_e164, source, added_at) "
                   "SELECT '$org', phone_e164, "
                   "'manual', '2026-01-01' FROM l WHERE phone_e164 LIKE '%%4') INSERT INTO "
                   "call_queue (organization_id, "
                   "id, campaign_id, lead_id, score, priority, max_attempts, next_retry_at, ready) "
                   "SELECT '$org', id, "
                   "'$org', id, score, score / 3, 4, '2026-01-01', true FROM l",
                   leads);
    db_test_run(&d.db, sql);
}

static void open_command(void)
{
    d.spec = (struct cmd_spec){.name = "forecast"};
    d.cmd = (struct cmd){.spec = &d.spec};
    setenv("DIALWRIGHT_SECRET", DB_TEST_SECRET, 1);
    setenv("DIALWRIGHT_KEK", "4242424242424242424242424242424242424242424242424242424242424242", 1);
    cr_assert_eq(cmd_open(&d.cmd, CMD_DATABASE), EXIT_DONE);
    d.cmd.org.id = d.db.org;
    d.cmd.org.found = true;
}

static void close_all(void)
{
    forecast_unload(&d.job);
    cmd_close(&d.cmd);
    db_test_retire(&d.db);
    db_test_close(&d.db);
    xfree(d.queue);
    xfree(d.attempts);
}

static enum exit_code load(int64_t days)
{
    d.job.days = days;
    d.job.sample_most = 1000000;
    d.job.doc = cmd_doc(&d.cmd, "campaign", d.db.org_text, "at", START_TEXT, NULL);
    return forecast_load(&d.cmd, &d.job);
}

/* --- the real thing ----------------------------------------------------------------------------- */

static PGresult *ask(const char *sql)
{
    PGresult *r = PQexec(d.db.super, sql);

    cr_assert_eq(PQresultStatus(r), PGRES_TUPLES_OK, "%s: %s", sql, PQerrorMessage(d.db.super));
    return r;
}

static void act_as_tenant(void)
{
    uint8_t key[TENANT_CTX_KEY_BYTES];
    char ctx[TENANT_CTX_SIZE];
    char sql[TENANT_CTX_SIZE + 60];

    tenant_ctx_key(STR(DB_TEST_SECRET), key);
    tenant_ctx_sign(key, &d.db.org, clock_wall_us() / US_PER_S + 3600, ctx);
    (void)snprintf(sql, sizeof sql, "SELECT set_config('app.ctx', '%s', false)", ctx);
    PQclear(ask(sql));
}

static void know_queue(void)
{
    PGresult *r = ask("SELECT q.id FROM call_queue q JOIN leads l ON l.id = q.lead_id WHERE "
                      "l.phone_e164 NOT LIKE '%3' "
                      "AND l.phone_e164 NOT LIKE '%4' AND q.organization_id = (SELECT "
                      "app.active_org()) ORDER BY q.id");

    d.queue_count = (size_t)PQntuples(r);
    d.queue = xcalloc(d.queue_count, sizeof *d.queue);
    d.attempts = xcalloc(d.queue_count, sizeof *d.attempts);
    for (size_t i = 0; i < d.queue_count; i++) {
        str_copy_cut(str_of(PQgetvalue(r, (int)i, 0)), d.queue[i], UUID_TEXT_SIZE);
    }
    PQclear(r);
}

static uint32_t lead_of(const char *queue)
{
    size_t low = 0;
    size_t high = d.queue_count;

    while (low < high) {
        size_t middle = (low + high) / 2;
        if (strcmp(d.queue[middle], queue) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    cr_assert(low < d.queue_count && strcmp(d.queue[low], queue) == 0,
              "a barred lead was claimed: %s", queue);
    return (uint32_t)low;
}

static const char *moment(int64_t us)
{
    static char text[4][CLOCK_TEXT_SIZE];
    static int next;

    next = (next + 1) % 4;
    clock_format(us, text[next]);
    return text[next];
}

static void place(const char *call, const char *queue, uint32_t number, int64_t now_us)
{
    struct live *l = &d.live[d.live_count++];
    char sql[400];

    *l = (struct live){.begin_us = now_us, .lead = lead_of(queue), .number = number};
    str_copy_cut(str_of(call), l->call, sizeof l->call);
    l->outcome = forecast_draw_outcome(&d.rates, d.attempts[l->lead] + 1, 12,
                                       forecast_draw(SEED, l->lead, number, FORECAST_DRAW_OUTCOME));
    double ring_s = forecast_quantile(&d.rates.ring[l->outcome],
                                      forecast_draw(SEED, l->lead, number, FORECAST_DRAW_RING));
    double talk_u = forecast_draw(SEED, l->lead, number, FORECAST_DRAW_TALK);
    double talk_s = l->outcome == FORECAST_ANSWERED    ? forecast_quantile(&d.rates.talk, talk_u)
                    : l->outcome == FORECAST_VOICEMAIL ? forecast_quantile(&d.rates.machine, talk_u)
                                                       : 0;
    l->end_us = now_us + llround((ring_s + (double)(float)talk_s) * 1e6);
    l->answered_us = talk_s > 0 ? now_us + llround(ring_s * 1e6) : 0;
    if (l->outcome == FORECAST_NOT_PLACED) {
        return;
    }
    d.attempts[l->lead]++;
    (void)snprintf(
        sql, sizeof sql,
        "SELECT app.place_result('%s', 'placed', 'response', 'r-%s', NULL, 201, NULL, false, '%s')",
        call, call, moment(now_us));
    PQclear(ask(sql));
}

/* Returns how many were claimed. */
static int claim(int64_t now_us)
{
    char sql[300];

    (void)snprintf(sql, sizeof sql,
                   "SELECT c.call_id, c.queue_id, c.attempt_number FROM "
                   "engine.claim('c0000000-0000-7000-8000-000000000001', "
                   "'d0000000-0000-7000-8000-000000000001', 20, "
                   "'%s', 30000) c",
                   moment(now_us));
    PGresult *r = ask(sql);
    int count = PQntuples(r);
    for (int i = 0; i < count; i++) {
        int64_t number;
        cr_assert_eq(str_to_i64(str_of(PQgetvalue(r, i, 2)), &number), 0);
        place(PQgetvalue(r, i, 0), PQgetvalue(r, i, 1), (uint32_t)number, now_us);
    }
    PQclear(r);
    return count;
}

static size_t first_to_end(void)
{
    size_t first = 0;

    for (size_t i = 1; i < d.live_count; i++) {
        if (d.live[i].end_us < d.live[first].end_us) {
            first = i;
        }
    }
    return first;
}

static void end_first(void)
{
    size_t i = first_to_end();
    struct live l = d.live[i];
    char sql[1000];
    char answered[CLOCK_TEXT_SIZE + 3] = "NULL";

    d.live[i] = d.live[--d.live_count];
    if (l.answered_us > 0) {
        (void)snprintf(answered, sizeof answered, "'%s'", moment(l.answered_us));
    }
    if (l.outcome == FORECAST_NOT_PLACED) {
        (void)snprintf(sql, sizeof sql,
                       "SELECT app.place_result('%s', 'not_placed', '4xx', NULL, NULL, 400, NULL, "
                       "false, '%s')",
                       l.call, moment(l.end_us));
    } else {
        const char *name = forecast_outcome_names[l.outcome];
        (void)snprintf(sql, sizeof sql,
                       "SELECT (app.call_hangup('%s', 'h', 's-%s', 'r-%s', 'completed', 'c', 1, "
                       "'Callee', %s, '%s', "
                       "%lld, 60, 100, 'USD', '%s', '%s', '{}', '%s')).status",
                       l.call, l.call, l.call, answered, moment(l.end_us),
                       (long long)(l.answered_us > 0 ? (l.end_us - l.answered_us) / US_PER_S : 0),
                       name,
                       l.outcome == FORECAST_ANSWERED ? "completed"
                       : l.outcome == FORECAST_FAILED ? "unreachable"
                                                      : name,
                       moment(l.end_us));
    }
    PQclear(ask(sql));
    cr_assert_lt(d.real_count, CALLS_MOST);
    d.real[d.real_count++] = (struct forecast_call){.lead = l.lead,
                                                    .number = (uint16_t)l.number,
                                                    .outcome = l.outcome,
                                                    .begin_us = l.begin_us,
                                                    .end_us = l.end_us};
    d.done_us = l.end_us;
}

/* When a row of the queue is due next; INT64_MAX: none. */
static int64_t next_due_us(void)
{
    PGresult *r = ask("SELECT min(next_retry_at) FROM call_queue WHERE status = 'queued' AND "
                      "organization_id = (SELECT "
                      "app.active_org())");
    int64_t due_us = INT64_MAX;

    if (!PQgetisnull(r, 0, 0)) {
        cr_assert_eq(clock_parse(str_of(PQgetvalue(r, 0, 0)), &due_us), 0);
    }
    PQclear(r);
    return due_us;
}

static int64_t tick_from(int64_t us, int64_t start_us)
{
    return start_us + (us - start_us + TICK_US - 1) / TICK_US * TICK_US;
}

/* The daemon's day: it looks every second, and when a call has ended. */
static void run_really(void)
{
    int64_t now_us = d.job.plan.start_us;
    int64_t start_us = now_us;

    for (;;) {
        while (claim(now_us) == 20) {
        }
        int64_t due_us = next_due_us();
        int64_t end_us = d.live_count > 0 ? d.live[first_to_end()].end_us : INT64_MAX;
        int64_t tick_us = INT64_MAX;
        if (due_us != INT64_MAX && d.live_count < d.job.plan.lines) {
            tick_us = tick_from(i64_max(due_us, now_us + 1), start_us);
        }
        if (tick_us == INT64_MAX && end_us == INT64_MAX) {
            return;
        }
        now_us = i64_min(tick_us, end_us);
        cr_assert_lt(now_us, start_us + 60 * 86400 * US_PER_S, "it does not end");
        while (d.live_count > 0 && d.live[first_to_end()].end_us <= now_us) {
            end_first();
        }
    }
}

static void on_call(const struct forecast_call *call, void *arg)
{
    (void)arg;
    cr_assert_lt(d.told_count, CALLS_MOST);
    d.told[d.told_count++] = *call;
}

static const struct forecast_call *told_of(uint32_t lead, uint16_t number)
{
    for (size_t i = 0; i < d.told_count; i++) {
        if (d.told[i].lead == lead && d.told[i].number == number) {
            return &d.told[i];
        }
    }
    return NULL;
}

static void compare(void)
{
    int64_t took_us = d.done_us - d.job.plan.start_us;
    int64_t apart_us = llabs(d.result.done_us - d.done_us);
    int64_t sum_us = 0;
    size_t missing = 0;

    for (size_t i = 0; i < d.real_count; i++) {
        const struct forecast_call *f = told_of(d.real[i].lead, d.real[i].number);
        missing += f == NULL || f->outcome != d.real[i].outcome;
        sum_us += f ? llabs(f->begin_us - d.real[i].begin_us) : 0;
    }
    cr_log_info("%zu calls really, %zu forecast; done %.1f h after the start, %.3f s apart; a call "
                "begins %.3f s apart "
                "on average",
                d.real_count, d.told_count, (double)took_us / 3.6e9, (double)apart_us / 1e6,
                (double)sum_us / 1e6 / (double)d.real_count);
    cr_expect_eq(d.real_count, d.told_count, "%zu calls, %zu forecast", d.real_count, d.told_count);
    cr_expect_eq(missing, 0, "%zu calls were not forecast so", missing);
    cr_expect_leq(apart_us, i64_max(took_us / 100, 5 * US_PER_S), "done %lld s apart",
                  (long long)apart_us / 1000000);
}

static void run_both(void)
{
    forecast_rates_default(&d.rates, 30, 600);
    for (size_t k = 0; k < FORECAST_ATTEMPTS; k++) {
        d.rates.share[k][FORECAST_NOT_PLACED] = 0.05;
        d.rates.share[k][FORECAST_NO_ANSWER] -= 0.05;
    }
    struct forecast_sim *sim = forecast_sim_new(&d.job.plan);
    forecast_watch(sim, on_call, NULL);
    forecast_run(sim, &d.rates, SEED, &d.result);
    forecast_sim_free(&sim);
    act_as_tenant();
    know_queue();
    cr_assert_eq(d.queue_count, d.job.plan.lead_count);
    run_really();
    compare();
}

Test(forecast_db, is_what_then_happens, .fini = close_all)
{
    tenant(240, "time_start, time_end, weekdays, lines, calls_per_second, max_attempts) VALUES "
                "('$org', '$org', 'main', "
                "'active', 'T', '+16465550000', '09:00', '16:30', '{1,2,3,4,5}', 5, 0.5, 4)");
    open_command();
    cr_assert_eq(load(60), EXIT_DONE);
    cr_assert_eq(json_get_i64(d.job.blocked, "dnc_internal", 0), 24);
    cr_assert_eq(json_get_i64(d.job.blocked, "consent_missing", 0), 24);
    run_both();
}

/* Caps of the number bind before the policy does, lines bind before the pace, windows are short. */
Test(forecast_db, is_what_then_happens_when_caps_bind, .fini = close_all)
{
    tenant(120, "time_start, time_end, weekdays, lines, calls_per_second, max_attempts) VALUES "
                "('$org', '$org', 'main', "
                "'active', 'T', '+16465550000', '11:00', '12:15', '{1,2,4,6}', 2, 20, 4)");
    db_test_run(&d.db, "UPDATE organizations SET number_spacing_s = 7200, number_cap_24h = 1, "
                       "number_cap_7d = 2 WHERE id "
                       "= '$org'");
    open_command();
    cr_assert_eq(load(60), EXIT_DONE);
    run_both();
}
