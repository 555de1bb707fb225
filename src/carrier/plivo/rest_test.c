#include "carrier/plivo/rest.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

static const struct carrier_urls urls = {.public_url = "https://voice.example.com"};

static struct carrier_ask make_ask(void)
{
    return (struct carrier_ask){.identity = {.attempt_number = 1, .expires_s = 2000000000},
                                .from_e164 = "+14155550100",
                                .to_e164 = "+14155550123",
                                .ring_timeout_s = 30,
                                .time_limit_s = 900,
                                .timeout_ms = 10000};
}

static json_t *make_body(const struct carrier_ask *ask)
{
    OWNED(buf_fini) struct buf body;
    json_t *v = NULL;
    buf_init(&body, 16384);
    cr_assert_eq(plivo_place_body(&urls, ask, &body), 0);
    cr_assert_eq(json_parse(buf_str(&body), &v), 0);
    return v;
}

Test(place, body_is_complete)
{
    static const struct {
        const char *url;
        const char *method;
        const char *kind;
    } callbacks[] = {
        {"answer_url", "answer_method", "answer"},
        {"ring_url", "ring_method", "ring"},
        {"hangup_url", "hangup_method", "hangup"},
        {"fallback_url", "fallback_method", "fallback"},
        {"machine_detection_url", "machine_detection_method", "machine"},
    };
    struct carrier_ask ask = make_ask();
    ask.machine_detection = true;
    OWNED(json_free) json_t *v = make_body(&ask);
    cr_assert(str_eq(json_get_str(v, "from"), STR("+14155550100")));
    cr_assert(str_eq(json_get_str(v, "to"), STR("+14155550123")));
    cr_assert_eq(json_get_i64(v, "ring_timeout", 0), 30);
    cr_assert_eq(json_get_i64(v, "time_limit", 0), 900);
    cr_assert(str_eq(json_get_str(v, "machine_detection"), STR("true")));
    cr_assert_null(json_get(v, "callback_url"), "that is the carrier's asynchronous mode");
    for (size_t i = 0; i < COUNT_OF(callbacks); i++) {
        struct carrier_identity id;
        struct str url = json_get_str(v, callbacks[i].url);
        struct str prefix = STR("https://voice.example.com/carrier/plivo/");
        struct str kind;
        struct str text;
        cr_assert(str_starts(url, prefix), "%s", callbacks[i].url);
        cr_assert(str_ends(url, STR("#rc=5&rp=all")), "%s", callbacks[i].url);
        cr_assert(str_eq(json_get_str(v, callbacks[i].method), STR("POST")));
        url = str_skip(url, prefix.len);
        cr_assert(str_split(&url, '/', &kind) && str_split(&url, '#', &text));
        cr_expect(str_eq_cstr(kind, callbacks[i].kind));
        cr_expect_eq(identity_read(&urls, kind, text, 0, &id), 0);
    }
}

Test(place, detection_only_when_asked)
{
    const struct carrier_ask ask = make_ask();
    OWNED(json_free) json_t *v = make_body(&ask);
    cr_assert_null(json_get(v, "machine_detection"));
    cr_assert_null(json_get(v, "machine_detection_url"));
}

Test(place, refuses_what_is_no_pair_of_numbers)
{
    OWNED(buf_fini) struct buf body;
    buf_init(&body, 16384);
    struct carrier_ask ask = make_ask();
    ask.to_e164 = "+14155550100";
    cr_assert_eq(plivo_place_body(&urls, &ask, &body), -EINVAL);
    ask.to_e164 = "+1415<+1416";
    cr_assert_eq(plivo_place_body(&urls, &ask, &body), -EINVAL);
    ask.to_e164 = NULL;
    cr_assert_eq(plivo_place_body(&urls, &ask, &body), -EINVAL);
}

struct judged {
    enum fault_class transport;
    int status;
    const char *body;
    enum fault_class class;
    const char *resolved_by;
    bool permanent;
    bool account_trouble;
};

/* never-twice, the protocol's step 6, row by row. */
static const struct judged rows[] = {
    {FAULT_NONE, 201, "{\"message\":\"call fired\",\"request_uuid\":\"r-1\",\"api_id\":\"a\"}",
     FAULT_NONE, "response", false, false},
    {FAULT_NONE, 200, "{\"request_uuid\":\"r-1\"}", FAULT_NONE, "response", false, false},
    {FAULT_NONE, 202, "{\"message\":\"call queued\",\"request_uuid\":\"r-1\"}", FAULT_NONE,
     "response", false, false},
    {FAULT_NONE, 201, "{\"request_uuid\":[\"r-1\"]}", FAULT_NONE, "response", false, false},
    {FAULT_NONE, 201, "{\"request_uuid\":[\"r-1\",\"r-2\"]}", FAULT_UNSURE, "", false, false},
    {FAULT_NONE, 201, "{\"message\":\"async api spawned\",\"api_id\":\"a\"}", FAULT_UNSURE, "",
     false, false},
    {FAULT_NONE, 201, "{\"request_uuid\":\"../r\"}", FAULT_UNSURE, "", false, false},
    {FAULT_NONE, 201, "{\"request_uuid\":\"r-1\"", FAULT_UNSURE, "", false, false},
    {FAULT_NONE, 201, "", FAULT_UNSURE, "", false, false},
    {FAULT_NONE, 204, "", FAULT_UNSURE, "", false, false},
    {FAULT_NONE, 302, "", FAULT_UNSURE, "", false, false},
    {FAULT_NONE, 400, "{\"api_id\":\"a\",\"error\":\"answer_url is required\"}", FAULT_REFUSED,
     "4xx", false, false},
    {FAULT_NONE, 400,
     "{\"error\":\"from parameter is invalid. +919812345678 is not associated with your account\"}",
     FAULT_REFUSED, "4xx", false, true},
    {FAULT_NONE, 400, "{\"error\":\"to parameter is invalid\"}", FAULT_REFUSED, "4xx", true, false},
    {FAULT_NONE, 400, "{\"error\":{\"to\":[\"destination is invalid\"]}}", FAULT_REFUSED, "4xx",
     true, false},
    {FAULT_NONE, 400, "{\"api_id\":\"a\",\"message\":\"insufficient credit\"}", FAULT_REFUSED,
     "4xx", false, true},
    {FAULT_NONE, 400, "<html>bad request</html>", FAULT_UNSURE, "", false, false},
    {FAULT_NONE, 400, "{}", FAULT_UNSURE, "", false, false},
    {FAULT_NONE, 401, "Could not verify your access level", FAULT_REFUSED, "4xx", false, true},
    {FAULT_NONE, 403, "{\"error\":\"not permitted\"}", FAULT_REFUSED, "4xx", true, false},
    {FAULT_NONE, 403, "{\"error\":\"domestic_anchored_terms_not_met\"}", FAULT_REFUSED, "4xx",
     false, true},
    {FAULT_NONE, 404, "{\"error\":\"not found\"}", FAULT_REFUSED, "4xx", false, false},
    {FAULT_NONE, 404, "nginx", FAULT_UNSURE, "", false, false},
    {FAULT_NONE, 405, "{\"error\":\"method\"}", FAULT_REFUSED, "4xx", false, false},
    {FAULT_NONE, 409, "{\"error\":\"conflict\"}", FAULT_REFUSED, "4xx", false, false},
    {FAULT_NONE, 422, "{\"error\":\"unprocessable\"}", FAULT_REFUSED, "4xx", false, false},
    {FAULT_NONE, 402, "{\"error\":\"pay\"}", FAULT_UNSURE, "", false, false},
    {FAULT_NONE, 408, "{\"error\":\"timeout\"}", FAULT_UNSURE, "", false, false},
    {FAULT_NONE, 429, "{\"error\":\"too many requests\"}", FAULT_UNSURE, "", false, false},
    {FAULT_NONE, 500, "{\"error\":\"internal\"}", FAULT_UNSURE, "", false, false},
    {FAULT_NONE, 503, "{\"request_uuid\":\"r-1\"}", FAULT_UNSURE, "", false, false},
    {FAULT_NOT_SENT, 0, "", FAULT_NOT_SENT, "nosend", false, false},
    {FAULT_UNSURE, 0, "", FAULT_UNSURE, "", false, false},
    {FAULT_BROKEN, 0, "", FAULT_UNSURE, "", false, false},
    {FAULT_BUSY, 0, "", FAULT_UNSURE, "", false, false},
    {FAULT_REFUSED, 0, "", FAULT_UNSURE, "", false, false},
};

Test(place, answers_are_classified)
{
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct carrier_placed placed;
        const struct http_result result = {.fault = {.class = rows[i].transport},
                                           .status = rows[i].status,
                                           .body = str_of(rows[i].body)};
        plivo_place_judge(&result, &placed);
        cr_expect_eq(placed.fault.class, rows[i].class, "row %zu: %s", i,
                     fault_class_name(placed.fault.class));
        cr_expect_str_eq(placed.resolved_by, rows[i].resolved_by, "row %zu", i);
        cr_expect_eq(placed.permanent, rows[i].permanent, "row %zu", i);
        cr_expect_eq(placed.account_trouble, rows[i].account_trouble, "row %zu", i);
        cr_expect_eq(placed.request_id[0] != '\0', rows[i].class == FAULT_NONE, "row %zu", i);
        cr_expect_null(strstr(placed.fault.text, "9812345678"), "a phone number in a fault's text");
    }
}
