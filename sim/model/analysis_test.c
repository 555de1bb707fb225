#include "analysis.h"

#include "people/book.h"

#include <criterion/criterion.h>
#include <string.h>

#define QUOTED                                                                                     \
    "{\"type\":\"array\",\"items\":{\"type\":\"object\",\"additionalProperties\":false,"           \
    "\"required\":[\"turn\",\"quote\"],\"properties\":{\"turn\":{\"type\":\"integer\"},"           \
    "\"quote\":{\"type\":\"string\"}}}}"

static const char schema[] =
    "{\"type\":\"object\",\"additionalProperties\":false,\"required\":[\"summary\","
    "\"overall_sentiment\",\"sentiment_evidence\",\"primary_emotion\",\"intent\",\"interest_"
    "level\","
    "\"purchase_readiness\",\"objections\",\"budget_range\",\"budget_evidence\",\"timeline\","
    "\"callback_requested\",\"callback_at\",\"recommended_action\",\"priority_score\"],"
    "\"properties\":{\"summary\":{\"type\":\"string\"},"
    "\"overall_sentiment\":{\"type\":\"number\",\"minimum\":-1,\"maximum\":1},"
    "\"sentiment_evidence\":" QUOTED ",\"budget_evidence\":" QUOTED ",\"objections\":" QUOTED ","
    "\"primary_emotion\":{\"type\":\"string\",\"enum\":[\"excited\",\"interested\",\"neutral\","
    "\"hesitant\",\"angry\"]},"
    "\"intent\":{\"type\":\"string\",\"enum\":[\"ready_to_buy\",\"wants_callback\",\"needs_info\","
    "\"just_browsing\",\"not_interested\"]},"
    "\"interest_level\":{\"type\":\"string\",\"enum\":[\"high\",\"medium\",\"low\",\"none\"]},"
    "\"purchase_readiness\":{\"type\":\"string\",\"enum\":[\"immediate\",\"short_term\","
    "\"long_term\",\"not_ready\"]},"
    "\"budget_range\":{\"type\":[\"string\",\"null\"]},\"timeline\":{\"type\":[\"string\","
    "\"null\"]},\"callback_requested\":{\"type\":\"boolean\"},\"callback_at\":{\"type\":["
    "\"string\",\"null\"]},\"recommended_action\":{\"type\":\"string\",\"enum\":[\"call\","
    "\"send_info\",\"meeting\",\"none\"]},\"priority_score\":{\"type\":\"integer\"}}}";

static json_t *ask(const struct book *book, const char *transcript, bool cut, json_t **reply)
{
    json_t *parsed = NULL;
    const char *why = NULL;
    cr_assert_eq(json_parse(str_of(schema), &parsed), 0);
    json_t *request = json_pack("{s:s, s:[{s:s, s:[{s:s, s:s}]}], s:{s:{s:s, s:s, s:b, s:o}}}",
                                "model", "gpt-6-luna", "input", "role", "user", "content", "type",
                                "input_text", "text", transcript, "text", "format", "type",
                                "json_schema", "name", "t", "strict", 1, "schema", parsed);
    *reply = analysis_reply(book_analysis(book), request, 1795366800000000, cut, &why);
    cr_assert_not_null(*reply, "%s", why);
    json_free(&request);
    const json_t *content =
        json_object_get(json_array_get(json_object_get(*reply, "output"), 1), "content");
    json_t *answer = NULL;
    (void)!json_parse(json_get_str(json_array_get(content, 0), "text"), &answer);
    return answer;
}

static bool word_is(const json_t *a, const char *key, const char *wanted)
{
    return str_eq_cstr(json_get_str(a, key), wanted);
}

Test(analysis, judges_and_quotes_what_was_said)
{
    struct book *book = book_load(SIM_PEOPLE_DIR);
    json_t *reply = NULL;
    json_t *a = ask(book,
                    "{\"time_zone\":\"Asia/Kolkata\"}\n"
                    "[1] AI: \"Hello.\"\n[2] Lead: \"Yes, I have a minute.\"\n[3] AI: \"Budget?\"\n"
                    "[4] Lead: \"Our budget is one hundred dollars a month, so I want to sign up "
                    "this week.\"\n",
                    false, &reply);
    cr_assert(word_is(a, "intent", "ready_to_buy"));
    cr_assert(word_is(a, "interest_level", "high"));
    cr_assert(word_is(a, "purchase_readiness", "immediate"));
    cr_assert(word_is(a, "budget_range", "one hundred dollars a month"));
    cr_assert_gt(json_get_double(a, "overall_sentiment", 0), 0.5);
    const json_t *proof = json_array_get(json_object_get(a, "budget_evidence"), 0);
    cr_assert_eq(json_get_i64(proof, "turn", 0), 4);
    cr_assert(str_contains(json_get_str(proof, "quote"), STR("one hundred dollars a month")));
    cr_assert_eq(json_array_size(json_object_get(a, "objections")), 0);
    cr_assert(json_is_null(json_object_get(a, "callback_at")));
    cr_assert(json_is_false(json_object_get(a, "callback_requested")));
    json_free(&a);
    json_free(&reply);
    book_free(&book);
}

Test(analysis, callbacks_and_objections)
{
    struct book *book = book_load(SIM_PEOPLE_DIR);
    json_t *reply = NULL;
    json_t *a =
        ask(book,
            "{\"time_zone\":\"Asia/Kolkata\"}\nLead: I am in a meeting. Please call me back "
            "tomorrow at ten in the morning.\n",
            false, &reply);
    cr_assert(json_is_true(json_object_get(a, "callback_requested")));
    cr_assert(str_ends(json_get_str(a, "callback_at"), STR("T10:00:00+05:30")));
    json_free(&a);
    json_free(&reply);
    a = ask(book, "Lead: That is too expensive for us.\n", false, &reply);
    cr_assert_eq(json_array_size(json_object_get(a, "objections")), 1);
    cr_assert_lt(json_get_double(a, "overall_sentiment", 0), 0);
    json_free(&a);
    json_free(&reply);
    book_free(&book);
}

Test(analysis, nothing_said_nothing_shown)
{
    struct book *book = book_load(SIM_PEOPLE_DIR);
    json_t *reply = NULL;
    json_t *a = ask(book, "[1] AI: \"Hello, are you there?\"\n", false, &reply);
    cr_assert_eq(json_array_size(json_object_get(a, "sentiment_evidence")), 0);
    cr_assert_eq(json_array_size(json_object_get(a, "budget_evidence")), 0);
    cr_assert(json_is_null(json_object_get(a, "budget_range")));
    cr_assert(word_is(a, "recommended_action", "none"));
    cr_assert(word_is(a, "interest_level", "none"));
    json_free(&a);
    json_free(&reply);
    book_free(&book);
}

Test(analysis, a_cut_answer_is_no_json)
{
    struct book *book = book_load(SIM_PEOPLE_DIR);
    json_t *reply = NULL;
    json_t *a = ask(book, "Lead: Hello.\n", true, &reply);
    cr_assert_null(a);
    cr_assert(word_is(reply, "status", "incomplete"));
    json_free(&reply);
    book_free(&book);
}

Test(analysis, a_loose_schema_is_refused)
{
    const char *why = NULL;
    json_t *request = NULL;
    cr_assert_eq(json_parse(STR("{\"model\":\"m\",\"text\":{\"format\":{\"type\":\"json_schema\","
                                "\"schema\":{\"type\":\"object\",\"properties\":{\"a\":{\"type\":"
                                "\"string\"}},\"required\":[]}}}}"),
                            &request),
                 0);
    cr_assert_null(analysis_reply(NULL, request, 0, false, &why));
    cr_assert_not_null(strstr(why, "strict"));
    json_free(&request);
}
