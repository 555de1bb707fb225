/* Placing, hanging up and searching over real sockets, against a carrier that says what the test wants. */
#include "base/clock.h"
#include "base/limits.h"
#include "carrier/carrier.h"
#include "net/net_test.h"

#include <stdio.h>

#define ACCOUNT "/v1/Account/MA1"

/* One expected question; the carrier answers them in order. */
struct step {
    const char *method;
    const char *path;
    const char *query; /* NULL: any */
    int status;
    const char *body;
};

struct world {
    struct loop *loop;
    struct http_server *server;
    struct http_client *http;
    struct carrier_account account;
    const struct step *steps;
    size_t step_count;
    size_t asked;
    bool authorized;
    /* reports */
    int reports;
    struct fault fault;
    struct carrier_placed placed;
    size_t found_count;
    struct carrier_sighting found[32];
    int64_t date_us;
};

static struct world w;
static const struct carrier_urls urls = {.public_url = "https://voice.example.com"};

static void on_request(struct http_request *req, void *arg)
{
    (void)arg;
    cr_assert_lt(w.asked, w.step_count, "not expected: " STR_FMT "?" STR_FMT,
                 STR_ARG(http_path(req)), STR_ARG(http_query(req)));
    const struct step *step = &w.steps[w.asked++];
    cr_expect(str_eq_cstr(http_method(req), step->method), "step %zu", w.asked);
    cr_expect(str_eq_cstr(http_path(req), step->path), "step %zu: " STR_FMT, w.asked,
              STR_ARG(http_path(req)));
    cr_expect(step->query == NULL || str_eq_cstr(http_query(req), step->query),
              "step %zu: " STR_FMT, w.asked, STR_ARG(http_query(req)));
    /* base64 of "MA1:the token" */
    w.authorized = str_eq(http_header(req, "Authorization"), STR("Basic TUExOnRoZSB0b2tlbg=="));
    http_answer(req, step->status, "application/json", str_of(step->body));
}

static const struct http_route routes[] = {
    {"GET", "/v1/{path...}", 0, on_request},
    {"POST", "/v1/{path...}", 65536, on_request},
    {"DELETE", "/v1/{path...}", 65536, on_request},
};

static void set_up(void)
{
    char allowed[64];
    w = (struct world){.account = {.auth_id = "MA1", .auth_token = {"the token", "old token"}}};
    w.loop = loop_new(LOOP_REAL);
    cr_assert_eq(http_server_open(&w.server, w.loop, "127.0.0.1:0", routes, COUNT_OF(routes), &w),
                 0);
    snprintf(allowed, sizeof allowed, "127.0.0.1:%u", http_server_port(w.server));
    snprintf(w.account.api_url, sizeof w.account.api_url, "http://%s/v1", allowed);
    w.http = http_client_new(w.loop, allowed);
}

static void tear_down(void)
{
    http_client_free(&w.http);
    http_server_close(&w.server);
    loop_free(&w.loop);
}

TestSuite(plivo, .init = set_up, .fini = tear_down);

static void expect_steps(const struct step *steps, size_t count)
{
    w.steps = steps;
    w.step_count = count;
}

static void on_placed(const struct carrier_placed *placed, void *arg)
{
    (void)arg;
    w.reports++;
    w.placed = *placed;
}

static void on_done(const struct fault *fault, void *arg)
{
    (void)arg;
    w.reports++;
    w.fault = *fault;
}

static void on_found(const struct carrier_found *found, void *arg)
{
    (void)arg;
    w.reports++;
    w.fault = found->fault;
    w.found_count = found->count;
    w.date_us = found->carrier_date_us;
    cr_assert_leq(found->count, COUNT_OF(w.found));
    for (size_t i = 0; i < found->count; i++) {
        w.found[i] = found->sightings[i];
    }
}

static void place(uint32_t timeout_ms)
{
    const struct carrier_ask ask = {.identity = {.attempt_number = 1, .expires_s = 2000000000},
                                    .from_e164 = "+14155550100",
                                    .to_e164 = "+14155550123",
                                    .timeout_ms = timeout_ms};
    struct carrier_op *op = NULL;
    cr_assert_eq(carrier_plivo.place_start(&op, w.http, &urls, &w.account, &ask, on_placed, NULL),
                 0);
    cr_assert_eq(w.reports, 0, "never inside the start");
}

Test(plivo, places_a_call)
{
    static const struct step steps[] = {{"POST", ACCOUNT "/Call/", "", 201,
                                         "{\"message\":\"call fired\",\"request_uuid\":\"r-1\"}"}};
    expect_steps(steps, COUNT_OF(steps));
    place(10000);
    WAIT_FOR(w.loop, w.reports == 1);
    cr_assert_eq(w.placed.fault.class, FAULT_NONE);
    cr_assert_str_eq(w.placed.request_id, "r-1");
    cr_assert(w.authorized);
}

Test(plivo, a_refusal_is_known)
{
    static const struct step steps[] = {
        {"POST", ACCOUNT "/Call/", "", 400, "{\"error\":\"to parameter is invalid\"}"}};
    expect_steps(steps, COUNT_OF(steps));
    place(10000);
    WAIT_FOR(w.loop, w.reports == 1);
    cr_assert_eq(w.placed.fault.class, FAULT_REFUSED);
    cr_assert(w.placed.permanent);
}

/* The carrier takes the request and says nothing: one dial, never a second, and nobody knows. */
Test(plivo, a_cut_connection_is_unsure_and_asked_once)
{
    uint16_t port;
    int listening = listen_any(&port);
    snprintf(w.account.api_url, sizeof w.account.api_url, "http://127.0.0.1:%u/v1", port);
    char allowed[32];
    snprintf(allowed, sizeof allowed, "127.0.0.1:%u", port);
    http_client_free(&w.http);
    w.http = http_client_new(w.loop, allowed);
    place(10000);
    int fd = -1;
    WAIT_FOR(w.loop, fd >= 0 || (fd = accept(listening, NULL, NULL)) >= 0);
    struct peer p;
    peer_over(&p, w.loop, fd);
    WAIT_FOR(w.loop, peer_has(&p, "hangup_url"));
    peer_close(&p);
    WAIT_FOR(w.loop, w.reports == 1);
    cr_assert_eq(w.placed.fault.class, FAULT_UNSURE);
    cr_assert_str_eq(w.placed.resolved_by, "");
    cr_assert_lt(accept(listening, NULL, NULL), 0, "it asked again");
    close(listening);
}

Test(plivo, a_silent_carrier_is_unsure)
{
    uint16_t port;
    int listening = listen_any(&port);
    char allowed[32];
    snprintf(allowed, sizeof allowed, "127.0.0.1:%u", port);
    snprintf(w.account.api_url, sizeof w.account.api_url, "http://%s/v1", allowed);
    http_client_free(&w.http);
    w.http = http_client_new(w.loop, allowed);
    place(300);
    WAIT_FOR(w.loop, w.reports == 1);
    cr_assert_eq(w.placed.fault.class, FAULT_UNSURE);
    close(listening);
}

Test(plivo, nobody_listening_is_not_sent)
{
    uint16_t port;
    close(listen_any(&port));
    char allowed[32];
    snprintf(allowed, sizeof allowed, "127.0.0.1:%u", port);
    snprintf(w.account.api_url, sizeof w.account.api_url, "http://%s/v1", allowed);
    http_client_free(&w.http);
    w.http = http_client_new(w.loop, allowed);
    place(10000);
    WAIT_FOR(w.loop, w.reports == 1);
    cr_assert_eq(w.placed.fault.class, FAULT_NOT_SENT);
    cr_assert_str_eq(w.placed.resolved_by, "nosend");
}

Test(plivo, a_cancelled_operation_is_silent)
{
    const struct carrier_ask ask = {.identity = {.attempt_number = 1, .expires_s = 2000000000},
                                    .from_e164 = "+14155550100",
                                    .to_e164 = "+14155550123",
                                    .timeout_ms = 10000};
    struct carrier_op *op = NULL;
    cr_assert_eq(carrier_plivo.place_start(&op, w.http, &urls, &w.account, &ask, on_placed, NULL),
                 0);
    carrier_plivo.cancel(&op);
    cr_assert_null(op);
    carrier_plivo.cancel(&op);
    loop_run_once(w.loop, false);
    cr_assert_eq(w.reports, 0);
}

static void hang_up(const char *call_id, const char *request_id)
{
    struct carrier_op *op = NULL;
    cr_assert_eq(
        carrier_plivo.hangup_start(&op, w.http, &w.account, call_id, request_id, on_done, NULL), 0);
    w.reports = 0;
    WAIT_FOR(w.loop, w.reports == 1);
}

Test(plivo, hangs_up)
{
    static const struct step steps[] = {
        {"DELETE", ACCOUNT "/Call/c-1/", "", 204, ""},
        {"DELETE", ACCOUNT "/Call/c-1/", "", 404, "{\"error\":\"not found\"}"},
        {"DELETE", ACCOUNT "/Request/r-1/", "", 204, ""},
        {"DELETE", ACCOUNT "/Call/c-1/", "", 401, "no"},
        {"DELETE", ACCOUNT "/Call/c-1/", "", 500, "{}"},
    };
    expect_steps(steps, COUNT_OF(steps));
    hang_up("c-1", "r-1");
    cr_expect_eq(w.fault.class, FAULT_NONE);
    hang_up("c-1", NULL);
    cr_expect_eq(w.fault.class, FAULT_NONE, "it was over already");
    hang_up("", "r-1");
    cr_expect_eq(w.fault.class, FAULT_NONE);
    hang_up("c-1", "");
    cr_expect_eq(w.fault.class, FAULT_REFUSED);
    hang_up("c-1", "");
    cr_expect_eq(w.fault.class, FAULT_UNSURE);
    struct carrier_op *op = NULL;
    cr_assert_eq(carrier_plivo.hangup_start(&op, w.http, &w.account, "../Call", "", on_done, NULL),
                 -EINVAL);
    cr_assert_eq(carrier_plivo.hangup_start(&op, w.http, &w.account, "", "", on_done, NULL),
                 -EINVAL);
}

Test(plivo, checks_credentials)
{
    static const struct step steps[] = {
        {"GET", ACCOUNT "/Call/", "status=live&limit=1", 200, "{\"api_id\":\"a\",\"calls\":[]}"},
        {"GET", ACCOUNT "/Call/", NULL, 401, "no"},
        {"GET", ACCOUNT "/Call/", NULL, 200, "<html>"},
    };
    static const enum fault_class classes[] = {FAULT_NONE, FAULT_REFUSED, FAULT_BROKEN};
    expect_steps(steps, COUNT_OF(steps));
    for (size_t i = 0; i < COUNT_OF(classes); i++) {
        struct carrier_op *op = NULL;
        w.reports = 0;
        cr_assert_eq(carrier_plivo.check_start(&op, w.http, &w.account, on_done, NULL), 0);
        WAIT_FOR(w.loop, w.reports == 1);
        cr_expect_eq(w.fault.class, classes[i], "%zu", i);
    }
}

/* --- searching --------------------------------------------------------------------------------- */

#define LIST(plus, offset, more)                                                                   \
    "call_direction=outbound&from_number=" plus "14155550100&to_number=" plus                      \
    "14155550123&limit=20&offset=" offset more
#define SINCE    "&end_time__gte=2026-11-21%2010:00:00"
#define NO_CALLS "{\"api_id\":\"a\",\"calls\":[]}"
#define NO_CDRS  "{\"meta\":{\"limit\":20,\"offset\":0,\"total_count\":0},\"objects\":[]}"
#define CDR_OBJECT(id)                                                                             \
    "{\"call_uuid\":\"" id "\",\"call_direction\":\"outbound\",\"from_number\":\"14155550100\","   \
    "\"to_number\":\"+14155550123\",\"initiation_time\":\"2026-11-22 10:00:30+00:00\","            \
    "\"answer_time\":null,\"end_time\":\"2026-11-22 10:01:00+00:00\",\"hangup_cause_code\":3000}"
#define LIVE_ONE(id, to)                                                                           \
    "{\"call_uuid\":\"" id "\",\"request_uuid\":\"r-1\",\"direction\":\"outbound\","               \
    "\"from\":\"14155550100\",\"to\":\"" to "\",\"session_start\":\"2026-11-22 10:00:31.5\"}"

static void search(void)
{
    struct carrier_op *op = NULL;
    struct carrier_search ask = {.from_e164 = "+14155550100", .to_e164 = "+14155550123"};
    cr_assert_eq(clock_parse(STR("2026-11-22 10:00:00"), &ask.since_us), 0);
    cr_assert_eq(carrier_plivo.search_start(&op, w.http, &w.account, &ask, on_found, NULL), 0);
    cr_assert_eq(w.reports, 0, "never inside the start");
    WAIT_FOR(w.loop, w.reports == 1);
    cr_assert_eq(w.asked, w.step_count);
}

static const struct step nowhere[] = {
    {"GET", ACCOUNT "/Call/", LIST("%2B", "0", "&status=queued"), 200, NO_CALLS},
    {"GET", ACCOUNT "/Call/", LIST("", "0", "&status=queued"), 200, NO_CALLS},
    {"GET", ACCOUNT "/Call/", LIST("%2B", "0", "&status=live"), 200, NO_CALLS},
    {"GET", ACCOUNT "/Call/", LIST("", "0", "&status=live"), 200, NO_CALLS},
    {"GET", ACCOUNT "/Call/", LIST("%2B", "0", SINCE), 200, NO_CDRS},
    {"GET", ACCOUNT "/Call/", LIST("", "0", SINCE), 200, NO_CDRS},
};

Test(plivo, absent_only_when_all_lists_say_so)
{
    expect_steps(nowhere, COUNT_OF(nowhere));
    search();
    cr_assert_eq(w.fault.class, FAULT_NONE);
    cr_assert_eq(w.found_count, 0);
    cr_assert_gt(w.date_us, 0, "the carrier's clock");
}

/* Each list in turn fails, is of the wrong shape or wrong size: never "absent". */
Test(plivo, any_doubt_is_a_fault)
{
    static const struct {
        int status;
        const char *body;
    } doubts[] = {
        {500, "{}"}, {429, "{}"},     {404, "{\"error\":\"x\"}"}, {202, NO_CALLS}, {200, ""},
        {200, "{}"}, {200, "<html>"},
    };
    for (size_t at = 0; at < COUNT_OF(nowhere); at++) {
        for (size_t d = 0; d < COUNT_OF(doubts); d++) {
            struct step steps[COUNT_OF(nowhere)];
            memcpy(steps, nowhere, sizeof steps);
            steps[at].status = doubts[d].status;
            steps[at].body = doubts[d].body;
            w.reports = 0;
            w.asked = 0;
            expect_steps(steps, at + 1);
            search();
            cr_expect_neq(w.fault.class, FAULT_NONE, "list %zu, doubt %zu", at, d);
            cr_expect_eq(w.found_count, 0);
        }
    }
}

Test(plivo, finds_a_call_in_every_list)
{
    static const struct step steps[] = {
        {"GET", ACCOUNT "/Call/", LIST("%2B", "0", "&status=queued"), 200, "{\"calls\":[\"c-1\"]}"},
        {"GET", ACCOUNT "/Call/", LIST("", "0", "&status=queued"), 200,
         "{\"calls\":[\"c-1\",\"c-9\"]}"},
        {"GET", ACCOUNT "/Call/c-1/", "status=queued", 200, LIVE_ONE("c-1", "14155550123")},
        {"GET", ACCOUNT "/Call/c-9/", "status=queued", 200, LIVE_ONE("c-9", "141555501234")},
        {"GET", ACCOUNT "/Call/", LIST("%2B", "0", "&status=live"), 200, NO_CALLS},
        {"GET", ACCOUNT "/Call/", LIST("", "0", "&status=live"), 200, "{\"calls\":[\"c-2\"]}"},
        {"GET", ACCOUNT "/Call/c-2/", "status=live", 200, LIVE_ONE("c-2", "+14155550123")},
        {"GET", ACCOUNT "/Call/", LIST("%2B", "0", SINCE), 200,
         "{\"meta\":{\"limit\":20,\"offset\":0,\"total_count\":1},\"objects\":[" CDR_OBJECT(
             "c-3") "]}"},
        {"GET", ACCOUNT "/Call/", LIST("", "0", SINCE), 200,
         "{\"meta\":{\"limit\":20,\"offset\":0,\"total_count\":1},\"objects\":[" CDR_OBJECT(
             "c-3") "]}"},
    };
    expect_steps(steps, COUNT_OF(steps));
    search();
    cr_assert_eq(w.fault.class, FAULT_NONE);
    cr_assert_eq(w.found_count, 3);
    cr_assert_eq(w.found[0].where, CARRIER_QUEUED);
    cr_assert_str_eq(w.found[0].call_id, "c-1");
    cr_assert_str_eq(w.found[0].request_id, "r-1");
    cr_assert_eq(w.found[1].where, CARRIER_LIVE);
    cr_assert_str_eq(w.found[1].call_id, "c-2");
    cr_assert_eq(w.found[2].where, CARRIER_CDR);
    cr_assert_str_eq(w.found[2].outcome, "no_answer");
}

/* 25 ended calls: two pages, then the other spelling; a list that grows between pages is no proof. */
Test(plivo, reads_every_page)
{
    static char page[2][16384];
    static const char head[] =
        "{\"meta\":{\"limit\":20,\"offset\":%d,\"total_count\":%d},\"objects\":[";
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 2; i++) {
            struct buf text;
            buf_init(&text, sizeof page[0]);
            buf_addf(&text, head, i * 20, round == 1 && i == 1 ? 26 : 25);
            for (int k = 0; k < (i == 0 ? 20 : 5 + round); k++) {
                buf_add_cstr(&text, k > 0 ? "," : "");
                buf_addf(&text, CDR_OBJECT("c-%d"), i * 20 + k);
            }
            buf_add_cstr(&text, "]}");
            cr_assert_eq(str_copy(buf_str(&text), page[i], sizeof page[i]), 0);
            buf_fini(&text);
        }
        struct step steps[8];
        memcpy(steps, nowhere, 4 * sizeof steps[0]);
        steps[4] = (struct step){"GET", ACCOUNT "/Call/", LIST("%2B", "0", SINCE), 200, page[0]};
        steps[5] = (struct step){"GET", ACCOUNT "/Call/", LIST("%2B", "20", SINCE), 200, page[1]};
        steps[6] = (struct step){"GET", ACCOUNT "/Call/", LIST("", "0", SINCE), 200, NO_CDRS};
        w.reports = 0;
        w.asked = 0;
        expect_steps(steps, round == 0 ? 7 : 6);
        search();
        cr_expect_eq(w.fault.class, round == 0 ? FAULT_NONE : FAULT_BUSY, "round %d", round);
        cr_expect_eq(w.found_count, round == 0 ? 25 : 0);
    }
}

Test(plivo, a_cancelled_search_is_silent)
{
    struct carrier_op *op = NULL;
    const struct carrier_search ask = {.from_e164 = "+14155550100", .to_e164 = "+14155550123"};
    cr_assert_eq(carrier_plivo.search_start(&op, w.http, &w.account, &ask, on_found, NULL), 0);
    carrier_plivo.cancel(&op);
    loop_run_once(w.loop, false);
    cr_assert_eq(w.reports, 0);
    const struct carrier_search bad = {.from_e164 = "+14155550100", .to_e164 = "sip:x@y"};
    cr_assert_eq(carrier_plivo.search_start(&op, w.http, &w.account, &bad, on_found, NULL),
                 -EINVAL);
}
