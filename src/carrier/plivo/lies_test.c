/* A carrier whose lists lie, in every way we could think of: a search may find, or fail and say so in
 * a metric; what it may never do is come back with "nothing there". */
#include "base/clock.h"
#include "base/limits.h"
#include "base/metrics.h"
#include "carrier/carrier.h"
#include "carrier/plivo/search.h"
#include "net/net_test.h"

#include <stdio.h>

#define OURS   "14155550100"
#define THEIRS "14155550123"
#define NONE   "{\"api_id\":\"a\",\"calls\":[]}"
#define META(total, next)                                                                          \
    "\"meta\":{\"limit\":20,\"offset\":0,\"total_count\":" total ",\"next\":" next "}"
#define EMPTY "{" META("0", "null") ",\"objects\":[]}"
#define TIMES                                                                                      \
    "\"initiation_time\":\"2026-11-22 21:57:47+00:00\",\"end_time\":\"2026-11-22 21:58:47+00:00\""
#define CDR(id, from, to)                                                                          \
    "{\"call_uuid\":" id ",\"call_direction\":\"outbound\",\"from_number\":" from                  \
    ",\"to_number\":" to "," TIMES "}"
#define GOOD CDR("\"c-1\"", "\"" OURS "\"", "\"" THEIRS "\"")
#define LIVE(id, to)                                                                               \
    "{\"call_uuid\":\"" id "\",\"direction\":\"outbound\",\"from\":\"" OURS "\",\"to\":\"" to      \
    "\",\"session_start\":\"2026-11-22 13:17:49.050872\"}"

enum trick { PLAIN, SAME_PAGE, OVERLAP, ENDLESS, HUGE, DEEP, TWICE_ON_A_PAGE, LOOP_OF_TWO };

struct lie {
    const char *name;
    const char *reason; /* of carrier_list_faults_total; NULL: no lie, found or not */
    const char *queued; /* NULL: an honest empty list */
    const char *live;
    const char *cdrs;
    const char *one; /* of a single call */
    int status;      /* of the list of ended calls; 0: 200 */
    enum trick trick;
    size_t found;
};

#define IS_BAD "page"
static const struct lie lies[] = {
    {"honest: nothing", .reason = NULL},
    {"honest: one call", .cdrs = "{" META("1", "null") ",\"objects\":[" GOOD "]}", .found = 1},
    {"honest: a longer number beside it",
     .cdrs = "{" META("2", "null") ",\"objects\":[" GOOD
                                   "," CDR("\"c-2\"", "\"" OURS "\"", "\"" THEIRS "9\"") "]}",
     .found = 1},
    {"500", "unavailable", .cdrs = "{}", .status = 500},
    {"502 with a page that looks right", "unavailable", .cdrs = EMPTY, .status = 502},
    {"429", "unavailable", .cdrs = "{}", .status = 429},
    {"401", "unavailable", .cdrs = "{}", .status = 401},
    {"202 with an empty list", "unavailable", .cdrs = EMPTY, .status = 202},
    {"206 with an empty list", "unavailable", .cdrs = EMPTY, .status = 206},
    {"301", "unavailable", .cdrs = EMPTY, .status = 301},
    {"a list that is gone", "moved", .cdrs = "{}", .status = 404},
    {"nothing at all", IS_BAD, .cdrs = ""},
    {"a page for people", IS_BAD, .cdrs = "<html>It works!</html>"},
    {"half of it", IS_BAD, .cdrs = "{" META("0", "null") ",\"objects\":["},
    {"two documents", IS_BAD, .cdrs = EMPTY EMPTY},
    {"a list of lists", IS_BAD, .cdrs = "[]"},
    {"null", IS_BAD, .cdrs = "null"},
    {"an error dressed as success", IS_BAD, .cdrs = "{\"api_id\":\"a\",\"error\":\"try later\"}"},
    {"objects is an object", IS_BAD, .cdrs = "{" META("0", "null") ",\"objects\":{}}"},
    {"objects is null", IS_BAD, .cdrs = "{" META("0", "null") ",\"objects\":null}"},
    {"no meta", IS_BAD, .cdrs = "{\"objects\":[]}"},
    {"meta is a list", IS_BAD, .cdrs = "{\"meta\":[],\"objects\":[]}"},
    {"total_count is true", IS_BAD, .cdrs = "{" META("true", "null") ",\"objects\":[]}"},
    {"total_count is minus one", IS_BAD, .cdrs = "{" META("-1", "null") ",\"objects\":[]}"},
    {"total_count is beyond all numbers", IS_BAD,
     .cdrs = "{" META("99999999999999999999", "null") ",\"objects\":[]}"},
    {"total_count counts what is not shown", IS_BAD,
     .cdrs = "{" META("3", "null") ",\"objects\":[" GOOD "]}"},
    {"total_count hides what is shown", IS_BAD,
     .cdrs = "{" META("0", "null") ",\"objects\":[" GOOD "]}"},
    {"no more by the count, more by the link", IS_BAD,
     .cdrs = "{" META("0", "\"/v1/Account/MA1/Call/?offset=20\"") ",\"objects\":[]}"},
    {"the next page stands at another host", IS_BAD,
     .cdrs = "{" META("0", "\"https://evil.example/v1/Account/MA1/Call/\"") ",\"objects\":[]}"},
    {"the next page stands nowhere", IS_BAD,
     .cdrs = "{" META("0", "\"//evil.example/Call/\"") ",\"objects\":[]}"},
    {"next is a number", IS_BAD, .cdrs = "{" META("0", "7") ",\"objects\":[]}"},
    {"another page than was asked for", IS_BAD,
     .cdrs = "{\"meta\":{\"limit\":20,\"offset\":20,\"total_count\":20},\"objects\":[]}"},
    {"another page size", IS_BAD,
     .cdrs = "{\"meta\":{\"limit\":5,\"offset\":0,\"total_count\":0},\"objects\":[]}"},
    {"the offset is a list", IS_BAD,
     .cdrs = "{\"meta\":{\"limit\":20,\"offset\":[0],\"total_count\":0},\"objects\":[]}"},
    {"keys twice", IS_BAD, .cdrs = "{" META("0", "null") ",\"objects\":[" GOOD "],\"objects\":[]}"},
    {"an entry is null", IS_BAD, .cdrs = "{" META("1", "null") ",\"objects\":[null]}"},
    {"an entry is a text", IS_BAD, .cdrs = "{" META("1", "null") ",\"objects\":[\"c-1\"]}"},
    {"numbers are numbers", IS_BAD,
     .cdrs = "{" META("1", "null") ",\"objects\":[" CDR("\"c-1\"", OURS, THEIRS) "]}"},
    {"the id is a number", IS_BAD,
     .cdrs =
         "{" META("1", "null") ",\"objects\":[" CDR("1", "\"" OURS "\"", "\"" THEIRS "\"") "]}"},
    {"the id is a path", IS_BAD,
     .cdrs = "{" META("1", "null") ",\"objects\":[" CDR("\"../../x\"", "\"" OURS "\"",
                                                        "\"" THEIRS "\"") "]}"},
    {"no time", IS_BAD,
     .cdrs = "{" META("1", "null") ",\"objects\":[{\"call_uuid\":\"c-1\",\"call_direction\":"
                                   "\"outbound\",\"from_number\":\"" OURS
                                   "\",\"to_number\":\"" THEIRS "\"}]}"},
    {"other people's calls", "foreign",
     .cdrs = "{" META("1", "null") ",\"objects\":[" CDR("\"c-9\"", "\"" OURS "\"",
                                                        "\"4915112345678\"") "]}"},
    {"calls from other numbers", "foreign",
     .cdrs = "{" META("1", "null") ",\"objects\":[" CDR("\"c-9\"", "\"4915112345678\"",
                                                        "\"" THEIRS "\"") "]}"},
    {"a shorter number", "foreign",
     .cdrs = "{" META("1", "null") ",\"objects\":[" CDR("\"c-9\"", "\"" OURS "\"",
                                                        "\"1415555012\"") "]}"},
    {"every page is the first", "repeated", .trick = SAME_PAGE},
    {"pages that overlap", "repeated", .trick = OVERLAP},
    {"two pages in turn", "repeated", .trick = LOOP_OF_TWO},
    {"the same call twice on a page", "repeated", .trick = TWICE_ON_A_PAGE},
    {"pages without an end", "endless", .trick = ENDLESS},
    {"an answer of many megabytes", "unavailable", .trick = HUGE},
    {"a thousand levels deep", IS_BAD, .trick = DEEP},
    {"queued: an object", IS_BAD, .queued = "{\"calls\":{}}"},
    {"queued: numbers", IS_BAD, .queued = "{\"calls\":[1]}"},
    {"queued: paths", IS_BAD, .queued = "{\"calls\":[\"a/b\"]}"},
    {"queued: more than a page", IS_BAD,
     .queued = "{\"calls\":[\"1\",\"2\",\"3\",\"4\",\"5\",\"6\",\"7\",\"8\",\"9\",\"10\",\"11\","
               "\"12\",\"13\",\"14\",\"15\",\"16\",\"17\",\"18\",\"19\",\"20\",\"21\"]}"},
    {"queued: the list of ended calls", IS_BAD, .queued = EMPTY},
    {"live: twice the same", "repeated", .live = "{\"calls\":[\"c-1\",\"c-1\"]}"},
    {"live: another call than was asked for", IS_BAD, .live = "{\"calls\":[\"c-1\"]}",
     .one = LIVE("c-2", THEIRS)},
    {"live: another call, of a longer number", IS_BAD, .live = "{\"calls\":[\"c-1\"]}",
     .one = LIVE("c-2", THEIRS "9")},
    {"live: somebody else's", "foreign", .live = "{\"calls\":[\"c-1\"]}",
     .one = LIVE("c-1", "4915112345678")},
    {"live: nonsense", IS_BAD, .live = "{\"calls\":[\"c-1\"]}", .one = "{}"},
    {"live: honest", .live = "{\"calls\":[\"c-1\"]}", .one = LIVE("c-1", THEIRS), .found = 1},
};

struct world {
    struct loop *loop;
    struct http_server *server;
    struct http_client *http;
    struct carrier_account account;
    const struct lie *lie;
    int asked;
    int reports;
    struct fault fault;
    size_t found_count;
    struct buf big;
};
static struct world w;

/* 20 entries from `first`, of a list of `total`. */
static struct str page(int64_t offset, int first, int64_t total)
{
    buf_clear(&w.big);
    buf_addf(&w.big, "{\"meta\":{\"limit\":20,\"offset\":%lld,\"total_count\":%lld},\"objects\":[",
             (long long)offset, (long long)total);
    for (int i = 0; i < 20; i++) {
        buf_add_cstr(&w.big, i > 0 ? "," : "");
        buf_addf(&w.big, CDR("\"c-%d\"", "\"" OURS "\"", "\"" THEIRS "9\""), first + i);
    }
    buf_add_cstr(&w.big, "]}");
    return buf_str(&w.big);
}

static struct str trick(int64_t offset)
{
    switch (w.lie->trick) {
    case SAME_PAGE:
        return page(offset, 0, 60);
    case OVERLAP:
        return page(offset, (int)offset / 20 * 19, 60);
    case LOOP_OF_TWO:
        return page(offset, (int)(offset / 20 % 2) * 20, 200);
    case ENDLESS:
        return page(offset, (int)offset, 1000000);
    case TWICE_ON_A_PAGE:
        return STR("{" META("2", "null") ",\"objects\":[" GOOD "," GOOD "]}");
    case HUGE:
        buf_clear(&w.big);
        while (w.big.len <= LIMIT_REST_BODY_BYTES) {
            buf_add_cstr(&w.big, "                                                              ");
        }
        buf_add_cstr(&w.big, EMPTY);
        return buf_str(&w.big);
    case DEEP:
        buf_clear(&w.big);
        buf_add_cstr(&w.big, "{" META("0", "null") ",\"objects\":[],\"x\":");
        for (int i = 0; i < 1000; i++) {
            buf_add_char(&w.big, '[');
        }
        for (int i = 0; i < 1000; i++) {
            buf_add_char(&w.big, ']');
        }
        buf_add_char(&w.big, '}');
        return buf_str(&w.big);
    case PLAIN:
        break;
    }
    return str_of(w.lie->cdrs != NULL ? w.lie->cdrs : EMPTY);
}

static int64_t offset_of(struct str query)
{
    struct str part;
    int64_t offset = 0;
    while (str_split(&query, '&', &part)) {
        if (str_starts(part, STR("offset="))) {
            cr_assert_eq(str_to_i64(str_skip(part, 7), &offset), 0);
        }
    }
    return offset;
}

static void on_request(struct http_request *req, void *arg)
{
    (void)arg;
    struct str query = http_query(req);
    int status = 200;
    struct str body = STR(NONE);
    w.asked++;
    if (!str_ends(http_path(req), STR("/Call/"))) {
        body = str_of(w.lie->one);
    } else if (str_contains(query, STR("status=queued"))) {
        body = w.lie->queued != NULL ? str_of(w.lie->queued) : body;
    } else if (str_contains(query, STR("status=live"))) {
        body = w.lie->live != NULL ? str_of(w.lie->live) : body;
    } else {
        body = trick(offset_of(query));
        status = w.lie->status != 0 ? w.lie->status : 200;
    }
    http_answer(req, status, "application/json", body);
}

static const struct http_route routes[] = {{"GET", "/v1/{path...}", 0, on_request}};

static void set_up(void)
{
    char allowed[64];
    w = (struct world){.account = {.auth_id = "MA1", .auth_token = {"the token"}}};
    buf_init(&w.big, LIMIT_REST_BODY_BYTES + 65536);
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
    buf_fini(&w.big);
}

TestSuite(lies, .init = set_up, .fini = tear_down);

static void on_found(const struct carrier_found *found, void *arg)
{
    (void)arg;
    w.reports++;
    w.fault = found->fault;
    w.found_count = found->count;
}

static int64_t faults(const char *reason)
{
    static const char *const all[] = {"unavailable", "page",    "foreign", "repeated",
                                      "moved",       "endless", "date"};
    int64_t sum = 0;
    for (size_t i = 0; i < COUNT_OF(all); i++) {
        sum += reason == NULL || strcmp(all[i], reason) == 0
                   ? metric_read("carrier_list_faults_total", all[i])
                   : 0;
    }
    return sum;
}

Test(lies, never_say_that_nothing_is_there, .timeout = 60)
{
    for (size_t i = 0; i < COUNT_OF(lies); i++) {
        const struct lie *lie = &lies[i];
        struct carrier_op *op = NULL;
        const struct carrier_search ask = {.from_e164 = "+" OURS, .to_e164 = "+" THEIRS};
        int64_t before = faults(lie->reason);
        int64_t all = faults(NULL);
        w.lie = lie;
        w.reports = 0;
        w.asked = 0;
        cr_assert_eq(carrier_plivo.search_start(&op, w.http, &w.account, &ask, on_found, NULL), 0);
        WAIT_FOR(w.loop, w.reports == 1);
        if (lie->reason == NULL) {
            cr_expect_eq(w.fault.class, FAULT_NONE, "%s: %s", lie->name, w.fault.text);
            cr_expect_eq(w.found_count, lie->found, "%s: found %zu", lie->name, w.found_count);
            cr_expect_eq(faults(NULL), all, "%s: no alarm", lie->name);
            continue;
        }
        cr_expect_neq(w.fault.class, FAULT_NONE, "believed: %s", lie->name);
        cr_expect_eq(w.found_count, 0, "%s", lie->name);
        cr_expect_eq(faults(lie->reason) - before, 1, "%s: no alarm \"%s\" (%s)", lie->name,
                     lie->reason, w.fault.code);
        cr_expect_leq(w.asked, 4 + SEARCH_PAGES_MAX, "%s: asked %d times", lie->name, w.asked);
    }
}
