#include "insight/insight.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/crypto.h"
#include "base/limits.h"
#include "base/list.h"
#include "base/log.h"
#include "base/metrics.h"
#include "insight/analyse.h"
#include "insight/findings.h"
#include "insight/follow_up.h"
#include "loop/timer.h"
#include "store/store_insight.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define TICK_MS       500
#define TIMEOUT_MS    60000
#define LEASE_SLACK_S 60 /* beyond two requests: transcript, store, a busy database */
#define STORE_TRIES   5
#define STORE_WAIT_MS 1000

struct insight {
    struct loop *loop;
    struct pg_pool *db;
    struct http_client *http;
    struct uuid worker_id;
    char *url;
    char *auth_line;
    char *model;
    int64_t jobs_max;
    int64_t delay_ms;
    uint32_t timeout_ms;
    struct timer tick;
    struct pg_tx *take;
    struct list jobs;
    size_t busy;
};

/* One analysis in flight. Its words are copied: the database's answer ends with its callback. */
struct job {
    struct list link;
    struct insight *owner;
    struct store_analysis_job row;
    struct pg_tx *op;
    struct http_op *ask;
    struct timer wait;
    int64_t started_us;
    struct insight_turn *turns;
    size_t turn_count;
    char *texts; /* all bodies */
    char *about; /* zone, campaign, description */
    struct analysis_question question;
    char call_id[UUID_TEXT_SIZE];
    struct follow_up_call call;
    bool cut_once;
    int store_tries;
    json_t *insight;
    json_t *analysis;
    json_t *tasks;
    json_t *usage;
    char model[80];
};

static void ask_model(struct job *job);
static void store_result(void *arg);

/* ---- one job's end ---- */

static void job_free(struct job *job)
{
    store_cancel(&job->op);
    http_cancel(&job->ask);
    timer_stop(&job->wait);
    list_remove(&job->link);
    job->owner->busy--;
    json_free(&job->insight);
    json_free(&job->analysis);
    json_free(&job->tasks);
    json_free(&job->usage);
    xfree(job->turns);
    xfree(job->texts);
    xfree(job->about);
    xfree(job);
}

static void on_failed_stored(const struct fault *fault, void *arg)
{
    struct job *job = arg;
    job->op = NULL;
    if (fault->class != FAULT_NONE) {
        /* The lease runs out, and the job is taken again. */
        log_warn("insight.fail_unsaved", LOG_UUID("call", &job->row.call_id),
                 LOG_STR("class", fault_class_name(fault->class)), LOG_STR("code", fault->code));
    }
    job_free(job);
}

static void fail(struct job *job, const char *why, int64_t retry_ms)
{
    struct insight *in = job->owner;
    int64_t now_us = loop_wall_us(in->loop);
    bool again = retry_ms >= 0;
    log_warn("insight.failed", LOG_UUID("call", &job->row.call_id), LOG_STR("why", why),
             LOG_I64("tries", job->row.tries), LOG_BOOL("again", again));
    metric_add("analysis_jobs_total", again ? "retried" : "failed", 1);
    int64_t retry_us = again ? now_us + retry_ms * US_PER_MS : 0;
    if (store_analysis_fail(&job->op, in->db, &job->row, &in->worker_id, why, job->usage, retry_us,
                            now_us, on_failed_stored, job) < 0) {
        job_free(job);
    }
}

static int64_t wait_ms(const struct job *job, int64_t wish_ms)
{
    uint8_t roll = 0;
    random_bytes(&roll, sizeof roll);
    return analysis_wait_ms(job->row.tries, wish_ms, roll);
}

/* ---- store ---- */

static void on_stored(const struct fault *fault, bool stored, int32_t tasks_made, void *arg)
{
    struct job *job = arg;
    job->op = NULL;
    if (fault->class == FAULT_NONE) {
        metric_add("analysis_jobs_total", "done", 1);
        metric_observe_ms("analysis_seconds",
                          (loop_now_us(job->owner->loop) - job->started_us) / US_PER_MS);
        log_info("insight.stored", LOG_UUID("call", &job->row.call_id), LOG_BOOL("stored", stored),
                 LOG_I64("tasks", tasks_made));
        job_free(job);
        return;
    }
    /* The answer is paid for: it is offered again as long as the lease may hold. Repeating is harmless,
     * a result that did get in has ended the job. */
    bool again = fault->class == FAULT_NOT_SENT || fault->class == FAULT_BUSY ||
                 fault->class == FAULT_UNSURE;
    if (again && ++job->store_tries < STORE_TRIES) {
        timer_start(&job->wait, job->owner->loop, STORE_WAIT_MS << job->store_tries, store_result,
                    job);
        return;
    }
    char why[256];
    (void)snprintf(why, sizeof why, "not stored: %s %s", fault->code, fault->text);
    fail(job, why, again ? wait_ms(job, -1) : -1);
}

static void store_result(void *arg)
{
    struct job *job = arg;
    struct insight *in = job->owner;
    struct store_insight row = {
        .job = &job->row,
        .worker_id = &in->worker_id,
        .insight = job->insight,
        .analysis = job->analysis,
        .tasks = job->tasks,
        .usage = job->usage,
        .model = job->model,
        .at_us = loop_wall_us(in->loop),
    };
    if (store_insight_put(&job->op, in->db, &row, on_stored, job) < 0) {
        struct fault busy = fault_make(FAULT_NOT_SENT, 0, "queue_full", "the database is behind");
        on_stored(&busy, false, 0, job);
    }
}

/* ---- the answer ---- */

static json_t *analysis_of(const struct job *job, const json_t *answer)
{
    char at[CLOCK_TEXT_SIZE];
    clock_format(loop_wall_us(job->owner->loop), at);
    json_t *a = json_object();
    json_set_str(a, "analysed_at", str_of(at));
    json_set_str(a, "model", str_of(job->model));
    (void)json_object_set_new(a, "schema_version", json_integer(FINDINGS_SCHEMA));
    json_set_str(a, "summary", json_get_str(job->insight, "summary"));
    (void)json_object_set(a, "dropped_values", json_get(job->insight, "dropped_values"));
    (void)json_object_set(a, "usage", job->usage);
    (void)json_object_set(a, "answer", (json_t *)(uintptr_t)answer);
    return a;
}

static void use_answer(struct job *job, const json_t *answer)
{
    struct findings findings;
    if (findings_read(&findings, answer, job->turns, job->turn_count) < 0) {
        fail(job, "the answer is not what the schema asks for", wait_ms(job, -1));
        return;
    }
    job->insight = json_incref(findings.insight);
    job->tasks = follow_up_tasks(&findings, &job->call);
    job->analysis = analysis_of(job, answer);
    findings_fini(&findings);
    store_result(job);
}

static void keep_bill(struct job *job, struct analysis_reply *reply)
{
    str_copy_cut(str_of(reply->model), job->model, sizeof job->model);
    if (reply->usage == NULL) {
        return;
    }
    /* The second request of one try: both are billed, as one. */
    static const char *const counts[] = {"input_tokens", "cached_tokens", "output_tokens",
                                         "reasoning_tokens", "cost_micros"};
    for (size_t i = 0; job->usage != NULL && i < COUNT_OF(counts); i++) {
        int64_t sum =
            json_get_i64(job->usage, counts[i], 0) + json_get_i64(reply->usage, counts[i], 0);
        (void)json_object_set_new(reply->usage, counts[i], json_integer(sum));
    }
    json_free(&job->usage);
    job->usage = GIVE(reply->usage);
}

static void on_answer(const struct http_result *result, void *arg)
{
    struct job *job = arg;
    job->ask = NULL;
    struct analysis_reply reply;
    analysis_read(result, &reply);
    keep_bill(job, &reply);
    switch (reply.verdict) {
    case ANALYSIS_ANSWERED:
        use_answer(job, reply.answer);
        break;
    case ANALYSIS_CUT:
        if (!job->cut_once) {
            job->cut_once = true;
            job->question.tokens_max *= 2;
            ask_model(job);
        } else {
            fail(job, reply.error, -1);
        }
        break;
    case ANALYSIS_LATER:
        fail(job, reply.error, wait_ms(job, reply.retry_ms));
        break;
    case ANALYSIS_NEVER:
        fail(job, reply.error, -1);
        break;
    }
    analysis_reply_fini(&reply);
}

static void ask_model(struct job *job)
{
    struct insight *in = job->owner;
    OWNED(buf_fini) struct buf body;
    buf_init(&body, ANALYSIS_REQUEST_MAX);
    if (analysis_write(&job->question, &body) < 0) {
        fail(job, "the transcript is too long", -1);
        return;
    }
    const char *const headers[] = {in->auth_line, "Content-Type: application/json", NULL};
    struct http_ask ask = {
        .method = "POST",
        .url = in->url,
        .headers = headers,
        .body = buf_str(&body),
        .timeout_ms = in->timeout_ms,
        .answer_max = LIMIT_REST_BODY_BYTES,
        .trust = HTTP_OPERATOR,
    };
    if (http_start(&job->ask, in->http, &ask, on_answer, job) < 0) {
        fail(job, "no request could be made", wait_ms(job, -1));
    }
}

/* ---- the words ---- */

static enum insight_speaker speaker_of(struct str s)
{
    return str_eq(s, STR("ai"))      ? INSIGHT_AI
           : str_eq(s, STR("agent")) ? INSIGHT_AGENT
                                     : INSIGHT_LEAD;
}

static struct str keep(char **at, struct str s)
{
    if (s.len > 0) {
        memcpy(*at, s.p, s.len);
    }
    struct str kept = str_make(*at, s.len);
    *at += s.len;
    return kept;
}

static void copy_words(struct job *job, const struct store_analysis_call *call)
{
    size_t bytes = 0;
    for (size_t i = 0; i < call->turn_count; i++) {
        bytes += call->turns[i].body.len;
    }
    job->texts = xmalloc(bytes + 1);
    job->turns = xcalloc(call->turn_count + 1, sizeof *job->turns);
    job->turn_count = call->turn_count;
    char *at = job->texts;
    for (size_t i = 0; i < call->turn_count; i++) {
        job->turns[i].id = call->turns[i].turn_id;
        job->turns[i].speaker = speaker_of(call->turns[i].speaker);
        job->turns[i].body = keep(&at, call->turns[i].body);
    }
    job->about = xmalloc(call->zone.len + call->campaign_name.len + call->description.len + 1);
    at = job->about;
    job->question.zone = keep(&at, call->zone);
    job->question.campaign_name = keep(&at, call->campaign_name);
    job->question.description = keep(&at, call->description);
}

static void on_call(const struct fault *fault, const struct store_analysis_call *call, void *arg)
{
    struct job *job = arg;
    job->op = NULL;
    if (fault->class != FAULT_NONE || !call->found) {
        fail(job, fault->class == FAULT_NONE ? "no such call" : "the transcript could not be read",
             fault->class == FAULT_NONE ? -1 : wait_ms(job, -1));
        return;
    }
    copy_words(job, call);
    job->call = (struct follow_up_call){call->opted_out, call->ended_us};
    if (analysis_too_short(call->duration_s, job->turns, job->turn_count)) {
        job->insight = findings_too_short();
        job->analysis = json_pack("{s:b}", "too_short", 1);
        store_result(job);
        return;
    }
    uuid_text(&job->row.call_id, job->call_id);
    job->question.model = job->owner->model;
    job->question.call_id = job->call_id;
    job->question.ended_us = call->ended_us;
    job->question.turns = job->turns;
    job->question.turn_count = job->turn_count;
    job->question.tokens_max = ANALYSIS_TOKENS;
    ask_model(job);
}

/* ---- taking ---- */

static void job_start(struct insight *in, const struct store_analysis_job *row)
{
    struct job *job = xzalloc(sizeof *job);
    job->owner = in;
    job->row = *row;
    job->started_us = loop_now_us(in->loop);
    list_push_back(&in->jobs, &job->link);
    in->busy++;
    if (store_analysis_call(&job->op, in->db, &job->row, on_call, job) < 0) {
        job_free(job); /* its lease runs out */
    }
}

static void on_taken(const struct fault *fault, const struct store_analysis_job *jobs, size_t count,
                     void *arg)
{
    struct insight *in = arg;
    in->take = NULL;
    if (fault->class != FAULT_NONE) {
        return; /* the pool says that the database is away; the next tick asks again */
    }
    for (size_t i = 0; i < count; i++) {
        job_start(in, &jobs[i]);
    }
}

static void on_tick(void *arg)
{
    struct insight *in = arg;
    int64_t room = in->jobs_max - (int64_t)in->busy;
    if (in->take != NULL || room <= 0 || pg_pool_health(in->db) != PG_UP) {
        return;
    }
    int32_t lease_s = (int32_t)(in->timeout_ms / 1000 * 2 + LEASE_SLACK_S);
    (void)!store_analysis_take(&in->take, in->db, &in->worker_id, (int32_t)room, lease_s,
                               in->delay_ms, loop_wall_us(in->loop), on_taken, in);
}

/* ---- birth and death ---- */

static char *join(const char *a, const char *b, const char *c)
{
    size_t size = strlen(a) + strlen(b) + strlen(c) + 1;
    char *text = xmalloc(size);
    (void)snprintf(text, size, "%s%s%s", a, b, c);
    return text;
}

static bool is_set(const char *s)
{
    return s != NULL && s[0] != '\0' && strpbrk(s, "\r\n") == NULL;
}

int insight_open(struct insight **out, struct loop *loop, struct pg_pool *db,
                 struct http_client *http, const struct insight_config *config)
{
    if (!is_set(config->api_url) || !is_set(config->auth_header) || !is_set(config->api_key) ||
        !is_set(config->model) || config->jobs <= 0 || !url_operator_ok(config->api_url)) {
        return -EINVAL;
    }
    bool bearer = str_eq_nocase(str_of(config->auth_header), STR("Authorization"));
    struct insight *in = xzalloc(sizeof *in);
    in->loop = loop;
    in->db = db;
    in->http = http;
    in->worker_id = config->worker_id;
    in->url = join(config->api_url, "/responses", "");
    in->auth_line = join(config->auth_header, bearer ? ": Bearer " : ": ", config->api_key);
    in->model = xstrdup(config->model);
    in->jobs_max = config->jobs;
    in->delay_ms = config->delay_ms;
    in->timeout_ms = config->timeout_ms > 0 ? config->timeout_ms : TIMEOUT_MS;
    list_init(&in->jobs);
    timer_repeat(&in->tick, loop, config->tick_ms > 0 ? config->tick_ms : TICK_MS, on_tick, in);
    *out = in;
    return 0;
}

void insight_close(struct insight **insight)
{
    struct insight *in = *insight;
    if (in == NULL) {
        return;
    }
    *insight = NULL;
    timer_stop(&in->tick);
    store_cancel(&in->take);
    while (!list_empty(&in->jobs)) {
        job_free(LIST_ITEM(in->jobs.next, struct job, link));
    }
    secret_wipe(in->auth_line, strlen(in->auth_line));
    xfree(in->auth_line);
    xfree(in->url);
    xfree(in->model);
    xfree(in);
}

size_t insight_busy(const struct insight *insight)
{
    return insight->busy;
}
