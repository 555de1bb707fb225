/* The worker against a real Postgres and a model behind a real HTTP server. */
#include "insight/insight.h"

#include "base/json.h"
#include "loop/timer.h"
#include "net/http_server.h"
#include "store/db_test.h"

#include <criterion/criterion.h>
#include <errno.h>

#define PATIENCE_MS 20000

struct world {
    struct db_test db;
    struct loop *loop;
    struct pg_pool *pool;
    struct http_client *http;
    struct http_server *server;
    struct insight *insight;
    char url[64];
    char call[UUID_TEXT_SIZE];
    int asked;
    int fail_first;     /* answers 503 so often */
    int status;         /* then */
    const char *answer; /* what the model writes */
    const char *state;  /* "completed", "incomplete" */
    int64_t tokens_max;
    char auth[64];
    char question[4096];
};

static struct world w;

static const char *const good_answer =
    "{\"summary\":\"Wants it.\",\"overall_sentiment\":0.8,"
    "\"sentiment_evidence\":[{\"turn\":2,\"quote\":\"I want to buy\"}],"
    "\"primary_emotion\":\"excited\",\"emotion_evidence\":[{\"turn\":2,\"quote\":\"I want\"}],"
    "\"intent\":\"ready_to_buy\",\"intent_evidence\":[{\"turn\":2,\"quote\":\"I want to buy\"}],"
    "\"interest_level\":\"high\",\"interest_evidence\":[{\"turn\":2,\"quote\":\"I want to buy\"}],"
    "\"purchase_readiness\":\"immediate\",\"readiness_evidence\":[{\"turn\":2,\"quote\":\"this "
    "week\"}],\"objections\":[],\"key_phrases\":[],\"budget_range\":\"a million\","
    "\"budget_evidence\":[{\"turn\":2,\"quote\":\"a million\"}],\"timeline\":null,"
    "\"timeline_evidence\":[],\"callback_requested\":false,\"callback_at\":null,"
    "\"callback_evidence\":[],\"promises\":[],\"recommended_action\":\"email\","
    "\"recommended_action_text\":\"Send the offer.\",\"priority_score\":90}";

static void answer(struct http_request *req)
{
    OWNED(json_free)
    json_t *reply =
        json_pack("{s:s, s:s, s:[{s:s, s:[{s:s, s:s}]}], s:{s:i, s:i}, s:{s:s}}", "status", w.state,
                  "model", "gpt-6-luna", "output", "type", "message", "content", "type",
                  "output_text", "text", w.answer, "usage", "input_tokens", 1000, "output_tokens",
                  100, "incomplete_details", "reason", "max_output_tokens");
    OWNED(buf_fini) struct buf body;
    buf_init(&body, 1 << 20);
    cr_assert_eq(json_dump(reply, &body), 0);
    http_answer(req, w.status, "application/json", buf_str(&body));
}

static void on_responses(struct http_request *req, void *arg)
{
    (void)arg;
    w.asked++;
    str_copy_cut(http_header(req, "authorization"), w.auth, sizeof w.auth);
    OWNED(json_free) json_t *body = NULL;
    cr_assert_eq(json_parse(http_body(req), &body), 0);
    const json_t *item = json_array_get(json_get(body, "input"), 0);
    str_copy_cut(json_get_str(json_array_get(json_get(item, "content"), 0), "text"), w.question,
                 sizeof w.question);
    w.tokens_max = json_get_i64(body, "max_output_tokens", 0);
    if (w.asked <= w.fail_first) {
        http_set_header(req, "retry-after-ms", "10");
        http_answer_error(req, 503, "server_error", "no");
        return;
    }
    if (w.tokens_max > 3000) {
        w.state = "completed"; /* room enough now */
    }
    answer(req);
}

static const struct http_route routes[] = {{"POST", "/v1/responses", 1 << 20, on_responses}};

static void set_up(void)
{
    w = (struct world){.status = 200, .state = "completed", .answer = good_answer};
    db_test_open(&w.db);
    db_test_value(&w.db, "UPDATE analysis_jobs SET status = 'failed' WHERE status <> 'done'");
    db_test_tenant(&w.db, 1);
    w.loop = loop_new(LOOP_REAL);
    w.http = http_client_new(w.loop, NULL);
    cr_assert_eq(http_server_open(&w.server, w.loop, "127.0.0.1:0", routes, COUNT_OF(routes), &w),
                 0);
    snprintf(w.url, sizeof w.url, "http://127.0.0.1:%u/v1", http_server_port(w.server));
    struct pg_config config = {.url = getenv("DATABASE_APP_URL")};
    tenant_ctx_key(STR(DB_TEST_SECRET), config.context_key);
    cr_assert_eq(pg_pool_new(&w.pool, w.loop, &config), 0);
}

static void tear_down(void)
{
    insight_close(&w.insight);
    http_client_free(&w.http);
    http_server_close(&w.server);
    pg_pool_free(&w.pool);
    loop_free(&w.loop);
    db_test_retire(&w.db);
    db_test_close(&w.db);
}

TestSuite(insight, .init = set_up, .fini = tear_down, .timeout = 60);

/* A finished call of the tenant's lead, and its job. */
static void make_call(int duration_s, const char *lead_words)
{
    char sql[1024];
    snprintf(sql, sizeof sql,
             "INSERT INTO call_logs (organization_id, carrier_account_id, campaign_id, lead_id, "
             "direction, caller_number, callee_number, status, answered_at, duration) SELECT "
             "'$org', '$org', '$org', l.id, 'inbound', '+12125550000', '+16465550001', "
             "'in_progress', now() - interval '1 minute', %d FROM leads l WHERE l.organization_id "
             "= '$org' RETURNING id",
             duration_s);
    str_copy_cut(str_of(db_test_run(&w.db, sql)), w.call, sizeof w.call);
    snprintf(sql, sizeof sql,
             "INSERT INTO call_turns (organization_id, call_log_id, ordinal, speaker, body) VALUES "
             "('$org', '%s', 1, 'ai', 'Hello.'), ('$org', '%s', 2, 'lead', '%s')",
             w.call, w.call, lead_words);
    db_test_run(&w.db, sql);
    snprintf(sql, sizeof sql,
             "INSERT INTO analysis_jobs (organization_id, call_log_id, due_at) VALUES ('$org', "
             "'%s', now() - interval '1 minute')",
             w.call);
    db_test_run(&w.db, sql);
}

static void start(void)
{
    struct insight_config config = {
        .api_url = w.url,
        .auth_header = "Authorization",
        .api_key = "sk-test",
        .model = "gpt-6-luna",
        .worker_id = uuid_make(clock_wall_us()),
        .jobs = 2,
        .tick_ms = 20,
    };
    cr_assert_eq(insight_open(&w.insight, w.loop, w.pool, w.http, &config), 0);
}

static const char *job_status(void)
{
    return db_test_run(&w.db, "SELECT status FROM analysis_jobs WHERE organization_id = '$org'");
}

static void on_patience(void *arg)
{
    *(bool *)arg = true;
}

static void until_job_is(const char *status)
{
    bool over = false;
    struct timer patience = {0};
    timer_start(&patience, w.loop, PATIENCE_MS, on_patience, &over);
    while (!over && (strcmp(job_status(), status) != 0 || insight_busy(w.insight) > 0)) {
        loop_run_once(w.loop, true);
    }
    timer_stop(&patience);
    cr_assert_str_eq(job_status(), status);
}

Test(insight, analyses_a_call)
{
    make_call(60, "I want to buy it this week.");
    start();
    until_job_is("done");
    cr_expect_eq(w.asked, 1);
    cr_expect_str_eq(w.auth, "Bearer sk-test");
    cr_expect_not_null(strstr(w.question, "[2] Lead: \"I want to buy it this week.\"\n"));
    cr_expect_str_eq(db_test_run(&w.db, "SELECT concat_ws(' ', overall_sentiment, interest_level, "
                                        "budget_range, dropped_values, model) FROM "
                                        "conversation_insights WHERE organization_id = '$org'"),
                     "0.80 high 1 gpt-6-luna", "the invented budget is gone, and counted");
    cr_expect_str_eq(
        db_test_run(&w.db, "SELECT l.score FROM leads l WHERE organization_id = '$org'"), "90");
    cr_expect_str_eq(db_test_run(&w.db,
                                 "SELECT concat_ws(' ', task_type, reason_key, ai_suggestion) "
                                 "FROM follow_up_tasks WHERE organization_id = '$org'"),
                     "email recommended:email Send the offer.");
    cr_expect_str_eq(db_test_run(&w.db,
                                 "SELECT cost_micros FROM usage_ledger WHERE organization_id "
                                 "= '$org' AND source = 'analysis'"),
                     "150");
    cr_expect_str_eq(db_test_run(&w.db,
                                 "SELECT concat_ws(' ', conversation_summary, ai_analysis ->> "
                                 "'model') FROM call_logs WHERE organization_id = '$org'"),
                     "Wants it. gpt-6-luna");
}

Test(insight, too_short_asks_nobody)
{
    make_call(10, "I want to buy it this week.");
    start();
    until_job_is("too_short");
    cr_expect_eq(w.asked, 0);
    cr_expect_str_eq(db_test_run(&w.db, "SELECT too_short FROM conversation_insights WHERE "
                                        "organization_id = '$org'"),
                     "t");
    cr_expect_str_eq(db_test_run(&w.db, "SELECT score FROM leads WHERE organization_id = '$org'"),
                     "0");
}

Test(insight, comes_back_after_a_failure)
{
    w.fail_first = 2;
    make_call(60, "I want to buy it this week.");
    start();
    until_job_is("done");
    cr_expect_eq(w.asked, 3);
    cr_expect_str_eq(db_test_run(&w.db, "SELECT tries FROM analysis_jobs WHERE organization_id = "
                                        "'$org'"),
                     "3");
}

Test(insight, a_refusal_is_final)
{
    w.status = 400;
    make_call(60, "I want to buy it this week.");
    start();
    until_job_is("failed");
    cr_expect_eq(w.asked, 1);
    cr_expect_str_eq(db_test_run(&w.db,
                                 "SELECT last_error FROM analysis_jobs WHERE organization_id "
                                 "= '$org'"),
                     "HTTP 400");
}

Test(insight, an_answer_that_was_cut_gets_more_room_once)
{
    w.state = "incomplete";
    make_call(60, "I want to buy it this week.");
    start();
    until_job_is("done");
    cr_expect_eq(w.asked, 2);
    cr_expect_eq(w.tokens_max, 6000);
    cr_expect_str_eq(db_test_run(&w.db,
                                 "SELECT cost_micros FROM usage_ledger WHERE organization_id "
                                 "= '$org' AND source = 'analysis'"),
                     "300", "both are billed");
}

Test(insight, closing_in_the_middle_leaves_the_job_to_its_lease)
{
    make_call(60, "I want to buy it this week.");
    start();
    while (w.asked == 0) {
        cr_assert(loop_run_once(w.loop, true));
    }
    insight_close(&w.insight);
    insight_close(&w.insight);
    cr_expect_str_eq(job_status(), "running");
}

Test(insight, refuses_what_an_operator_may_not_name)
{
    struct insight_config config = {.api_url = "http://example.com/v1",
                                    .auth_header = "a",
                                    .api_key = "k",
                                    .model = "m",
                                    .jobs = 1};
    cr_expect_eq(insight_open(&w.insight, w.loop, w.pool, w.http, &config), -EINVAL);
    config.api_url = w.url;
    config.api_key = "";
    cr_expect_eq(insight_open(&w.insight, w.loop, w.pool, w.http, &config), -EINVAL);
    cr_expect_null(w.insight);
}
