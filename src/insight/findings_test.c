#include "insight/findings.h"
#include "insight/follow_up.h"
#include "insight/score.h"

#include "base/clock.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#define ENDED_US (1763391670LL * US_PER_S) /* 2025-11-17 15:01:10 UTC */

static const struct insight_turn talk[] = {
    {{{1}}, INSIGHT_AI, {"Hello, is this a good time?", 27}},
    {{{2}}, INSIGHT_LEAD, {"I want to sign up this week, our budget is 100 dollars.", 55}},
    {{{3}}, INSIGHT_AI, {"I will send you the contract today.", 35}},
    {{{4}}, INSIGHT_LEAD, {"It is a bit expensive. Call me tomorrow at ten.", 47}},
};

static const char *const good =
    "{\"summary\":\"Wants\\nit.\",\"overall_sentiment\":0.756,"
    "\"sentiment_evidence\":[{\"turn\":2,\"quote\":\"I want to sign up\"}],"
    "\"primary_emotion\":\"excited\",\"emotion_evidence\":[{\"turn\":2,\"quote\":\"this week\"}],"
    "\"intent\":\"ready_to_buy\",\"intent_evidence\":[{\"turn\":2,\"quote\":\"sign up this "
    "week\"}],"
    "\"interest_level\":\"high\",\"interest_evidence\":[{\"turn\":2,\"quote\":\"I want\"}],"
    "\"purchase_readiness\":\"immediate\",\"readiness_evidence\":[{\"turn\":2,\"quote\":\"this "
    "week\"}],"
    "\"objections\":[{\"objection\":\"price\",\"turn\":4,\"quote\":\"a bit expensive\"}],"
    "\"key_phrases\":[{\"turn\":2,\"quote\":\"sign up\"}],"
    "\"budget_range\":\"100 dollars\",\"budget_evidence\":[{\"turn\":2,\"quote\":\"budget is 100 "
    "dollars\"}],"
    "\"timeline\":\"this week\",\"timeline_evidence\":[{\"turn\":2,\"quote\":\"this week\"}],"
    "\"callback_requested\":true,\"callback_at\":\"2025-11-18T10:00:00+01:00\","
    "\"callback_evidence\":[{\"turn\":4,\"quote\":\"call me tomorrow\"}],"
    "\"promises\":[{\"task_type\":\"send_info\",\"what\":\"the contract\",\"turn\":3,\"quote\":\"I "
    "will send you the contract\"}],"
    "\"recommended_action\":\"meeting\",\"recommended_action_text\":\"Close it.\","
    "\"priority_score\":90}";

static json_t *answer_with(const char *key, const char *value)
{
    json_t *answer = NULL;
    json_t *changed = NULL;
    cr_assert_eq(json_parse(str_of(good), &answer), 0);
    if (key != NULL) {
        cr_assert_eq(json_parse(str_of(value), &changed), 0, "%s", value);
        (void)json_object_set_new(answer, key, changed);
    }
    return answer;
}

Test(findings, everything_shown)
{
    OWNED(json_free) json_t *answer = answer_with(NULL, NULL);
    struct findings f;
    cr_assert_eq(findings_read(&f, answer, talk, COUNT_OF(talk)), 0);
    cr_expect_eq(f.dropped, 0);
    cr_expect(str_eq(json_get_str(f.insight, "summary"), STR("Wants it.")), "one line");
    cr_expect_float_eq(json_get_double(f.insight, "overall_sentiment", 0), 0.76, 1e-9);
    static const char *const set[] = {"primary_emotion",    "intent",       "interest_level",
                                      "purchase_readiness", "budget_range", "timeline"};
    for (size_t i = 0; i < COUNT_OF(set); i++) {
        cr_expect(json_is_string(json_get(f.insight, set[i])), "%s", set[i]);
        const json_t *quotes = json_get(json_get(f.insight, "evidence"), set[i]);
        cr_expect_eq(json_array_size(quotes), 1, "%s", set[i]);
    }
    cr_expect_eq(json_array_size(json_get(f.insight, "objections")), 1);
    cr_expect(f.callback);
    char at[CLOCK_TEXT_SIZE];
    clock_format(f.callback_us, at);
    cr_expect(str_starts(str_of(at), STR("2025-11-18T09:00:00")));
    char id[UUID_TEXT_SIZE];
    uuid_text(&talk[1].id, id);
    const json_t *shown = json_get(json_get(f.insight, "evidence"), "intent");
    cr_expect(str_eq(json_get_str(json_array_get(shown, 0), "turn"), str_of(id)));
    findings_fini(&f);
}

Test(findings, what_is_not_there_is_dropped)
{
    static const struct {
        const char *label, *key, *value, *column;
    } rows[] = {
        {"an invented budget", "budget_evidence", "[{\"turn\":2,\"quote\":\"200 dollars\"}]",
         "budget_range"},
        {"a budget without words", "budget_evidence", "[]", "budget_range"},
        {"words of the AI", "timeline_evidence", "[{\"turn\":3,\"quote\":\"today\"}]", "timeline"},
        {"an unknown word", "intent", "\"delighted\"", "intent"},
        {"intent of another type", "intent", "7", "intent"},
        {"interest nobody showed", "interest_evidence", "[{\"turn\":2,\"quote\":\"love it\"}]",
         "interest_level"},
        {"evidence of another type", "readiness_evidence", "\"this week\"", "purchase_readiness"},
        {"emotion with half a word", "emotion_evidence", "[{\"turn\":2,\"quote\":\"his week\"}]",
         "primary_emotion"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        OWNED(json_free) json_t *answer = answer_with(rows[i].key, rows[i].value);
        struct findings f;
        cr_assert_eq(findings_read(&f, answer, talk, COUNT_OF(talk)), 0, "%s", rows[i].label);
        cr_expect_eq(f.dropped, 1, "%s: %d", rows[i].label, (int)f.dropped);
        cr_expect_null(json_get(f.insight, rows[i].column), "%s", rows[i].label);
        cr_expect_null(json_get(json_get(f.insight, "evidence"), rows[i].column), "%s",
                       rows[i].label);
        cr_expect_eq(json_get_i64(f.insight, "dropped_values", -1), 1);
        findings_fini(&f);
    }
}

Test(findings, lists_lose_only_the_false_ones)
{
    OWNED(json_free)
    json_t *answer = answer_with(
        "objections", "[{\"objection\":\"price\",\"turn\":4,\"quote\":\"bit expensive\"},"
                      "{\"objection\":\"trust\",\"turn\":4,\"quote\":\"I do not trust you\"},"
                      "{\"objection\":\"\",\"turn\":4,\"quote\":\"bit expensive\"}, 7]");
    struct findings f;
    cr_assert_eq(findings_read(&f, answer, talk, COUNT_OF(talk)), 0);
    cr_expect_eq(json_array_size(json_get(f.insight, "objections")), 1);
    cr_expect_eq(f.dropped, 3);
    findings_fini(&f);
}

Test(findings, sentiment_without_proof_is_zero)
{
    static const char *const values[] = {"5", "-1.5"};
    for (size_t i = 0; i < COUNT_OF(values); i++) {
        OWNED(json_free) json_t *answer = answer_with("overall_sentiment", values[i]);
        struct findings f;
        cr_assert_eq(findings_read(&f, answer, talk, COUNT_OF(talk)), 0);
        cr_expect_eq(json_get_double(f.insight, "overall_sentiment", 9), 0);
        cr_expect_eq(f.dropped, 1);
        findings_fini(&f);
    }
}

Test(findings, an_answer_of_another_shape_is_refused)
{
    static const char *const bad[] = {"{}", "[]", "7", "{\"summary\":7,\"overall_sentiment\":0}",
                                      "{\"summary\":\"x\",\"overall_sentiment\":\"high\"}"};
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        OWNED(json_free) json_t *answer = NULL;
        cr_assert_eq(json_parse(str_of(bad[i]), &answer), 0);
        struct findings f;
        cr_expect_lt(findings_read(&f, answer, talk, COUNT_OF(talk)), 0, "%s", bad[i]);
        findings_fini(&f);
    }
}

Test(follow_up, tasks_of_a_good_talk)
{
    OWNED(json_free) json_t *answer = answer_with(NULL, NULL);
    struct findings f;
    cr_assert_eq(findings_read(&f, answer, talk, COUNT_OF(talk)), 0);
    struct follow_up_call call = {.opted_out = false, .ended_us = ENDED_US};
    OWNED(json_free) json_t *tasks = follow_up_tasks(&f, &call);
    cr_assert_eq(json_array_size(tasks), 3);
    static const struct {
        const char *type, *reason, *title, *due;
    } rows[] = {
        {"call", "callback", "Call back: the lead asked for it", "2025-11-18T09:00:00"},
        {"send_info", "promise:send_info", "Send information: the contract", "2025-11-17T19:01:10"},
        {"meeting", "recommended:meeting", "Arrange a meeting", "2025-11-18T15:01:10"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const json_t *task = json_array_get(tasks, i);
        cr_expect(str_eq_cstr(json_get_str(task, "task_type"), rows[i].type), "%zu", i);
        cr_expect(str_eq_cstr(json_get_str(task, "reason"), rows[i].reason), "%zu", i);
        cr_expect(str_eq_cstr(json_get_str(task, "title"), rows[i].title), "%zu", i);
        cr_expect(str_starts(json_get_str(task, "due"), str_of(rows[i].due)), "%zu", i);
        cr_expect(str_eq(json_get_str(task, "priority"), STR("high")), "%zu", i);
    }
    findings_fini(&f);
}

Test(follow_up, an_opt_out_leaves_nothing_to_do)
{
    OWNED(json_free) json_t *answer = answer_with(NULL, NULL);
    struct findings f;
    cr_assert_eq(findings_read(&f, answer, talk, COUNT_OF(talk)), 0);
    struct follow_up_call call = {.opted_out = true, .ended_us = ENDED_US};
    OWNED(json_free) json_t *tasks = follow_up_tasks(&f, &call);
    cr_expect_eq(json_array_size(tasks), 0);
    findings_fini(&f);
}

Test(follow_up, a_time_that_makes_no_sense_becomes_tomorrow)
{
    static const char *const times[] = {"null", "\"tomorrow\"", "\"2020-01-01T00:00:00Z\"",
                                        "\"2099-01-01T00:00:00Z\""};
    for (size_t i = 0; i < COUNT_OF(times); i++) {
        OWNED(json_free) json_t *answer = answer_with("callback_at", times[i]);
        struct findings f;
        cr_assert_eq(findings_read(&f, answer, talk, COUNT_OF(talk)), 0);
        struct follow_up_call call = {.opted_out = false, .ended_us = ENDED_US};
        OWNED(json_free) json_t *tasks = follow_up_tasks(&f, &call);
        cr_expect(
            str_starts(json_get_str(json_array_get(tasks, 0), "due"), STR("2025-11-18T15:01:10")),
            "%s", times[i]);
        findings_fini(&f);
    }
}

Test(score, weights)
{
    static const struct {
        const char *weights, *problem; /* NULL: fine */
    } rows[] = {
        {"{\"answered\": 5, \"sentiment_over\": 0.4, \"cap\": 90}", NULL},
        {"{}", "at least one"},
        {"[]", "at least one"},
        {"{\"charm\": 5}", "charm: no such weight"},
        {"{\"answered\": 500}", "answered: a number from 0 to 100"},
        {"{\"answered\": \"5\"}", "answered: a number"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        OWNED(json_free) json_t *weights = NULL;
        OWNED(buf_fini) struct buf problems;
        buf_init(&problems, 4096);
        cr_assert_eq(json_parse(str_of(rows[i].weights), &weights), 0);
        int err = score_weights_check(weights, &problems);
        cr_expect_eq(err == 0, rows[i].problem == NULL, "%s", rows[i].weights);
        if (rows[i].problem != NULL) {
            cr_expect_not_null(strstr(buf_cstr(&problems), rows[i].problem), "%s",
                               buf_cstr(&problems));
        }
    }
}
