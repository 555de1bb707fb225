#include "carrier/plivo/search.h"

#include "base/clock.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

static const struct search_pair pair = {.from_e164 = "+14155550100", .to_e164 = "+14155550123"};

static struct carrier_sighting last;
static size_t seen;

static void on_sighting(const struct carrier_sighting *sighting, void *arg)
{
    (void)arg;
    last = *sighting;
    seen++;
}

static void on_id(struct str id, void *arg)
{
    (void)arg;
    cr_assert_gt(id.len, 0);
    seen++;
}

#define CDR(from, to, direction)                                                                   \
    "{\"answer_time\":\"2026-11-22 21:57:57+05:30\",\"bill_duration\":61,\"billed_duration\":120," \
    "\"call_direction\":\"" direction "\",\"call_duration\":61,\"call_state\":\"ANSWER\","         \
    "\"call_uuid\":\"c-1\",\"end_time\":\"2026-11-22 21:58:58+05:30\",\"from_number\":\"" from     \
    "\",\"hangup_cause_code\":4000,\"hangup_cause_name\":\"Normal Hangup\","                       \
    "\"hangup_source\":\"Callee\",\"initiation_time\":\"2026-11-22 21:57:47+05:30\","              \
    "\"to_number\":\"" to "\",\"total_amount\":\"0.13600\",\"total_rate\":\"0.00680\"}"
#define PAGE(meta, objects) "{\"api_id\":\"a\",\"meta\":{" meta "},\"objects\":[" objects "]}"
#define META(offset, total)                                                                        \
    "\"limit\":20,\"offset\":" offset ",\"total_count\":" total ",\"next\":null,\"previous\":null"

static int read_page(const char *body, int64_t offset, const struct search_pair *wanted)
{
    struct search_page page;
    seen = 0;
    return search_read_cdrs(str_of(body), offset, wanted, &page, on_sighting, NULL);
}

Test(search, one_cdr)
{
    int64_t initiated;
    cr_assert_eq(clock_parse(STR("2026-11-22 16:27:47"), &initiated), 0);
    cr_assert_eq(
        read_page(PAGE(META("0", "1"), CDR("14155550100", "+14155550123", "outbound")), 0, &pair),
        0);
    cr_assert_eq(seen, 1);
    cr_assert_eq(last.where, CARRIER_CDR);
    cr_assert_str_eq(last.call_id, "c-1");
    cr_assert_str_eq(last.from_e164, "+14155550100");
    cr_assert_str_eq(last.to_e164, "+14155550123");
    cr_assert_eq(last.initiated_us, initiated);
    cr_assert_eq(last.answered_us, initiated + 10 * US_PER_S);
    cr_assert_eq(last.ended_us, initiated + 71 * US_PER_S);
    cr_assert_eq(last.duration_s, 61);
    cr_assert_eq(last.billed_s, 120);
    cr_assert_eq(last.cost_micros, 136000);
    cr_assert_eq(last.cause_code, 4000);
    cr_assert_str_eq(last.outcome, "answered");
    cr_assert_str_eq(last.disconnect_reason, "caller_hangup");
}

Test(search, longer_numbers_are_other_people)
{
    cr_assert_eq(
        read_page(PAGE(META("0", "1"), CDR("14155550100", "141555501234", "outbound")), 0, &pair),
        0);
    cr_assert_eq(seen, 0);
}

Test(search, older_calls_are_other_attempts)
{
    struct search_pair later = pair;
    cr_assert_eq(clock_parse(STR("2026-11-22 16:27:48"), &later.since_us), 0);
    cr_assert_eq(
        read_page(PAGE(META("0", "1"), CDR("14155550100", "14155550123", "outbound")), 0, &later),
        0);
    cr_assert_eq(seen, 0);
    later.since_us -= US_PER_S;
    cr_assert_eq(
        read_page(PAGE(META("0", "1"), CDR("14155550100", "14155550123", "outbound")), 0, &later),
        0);
    cr_assert_eq(seen, 1);
}

Test(search, an_empty_page_is_an_answer)
{
    cr_assert_eq(read_page(PAGE(META("0", "0"), ""), 0, &pair), 0);
    cr_assert_eq(seen, 0);
}

/* Each of these, read leniently, would say "never dialed" or find somebody else's call. */
Test(search, pages_that_prove_nothing)
{
    static const char *const bodies[] = {
        "",
        "[]",
        "{}",
        "not json",
        "{\"api_id\":\"a\",\"calls\":[]}",
        "{\"objects\":[]}",
        "{\"meta\":{},\"objects\":[]}",
        PAGE(META("20", "0"), ""),                                           /* wrong page */
        PAGE(META("0", "1"), ""),                                            /* one is missing */
        PAGE(META("0", "0"), CDR("14155550100", "14155550123", "outbound")), /* one too many */
        PAGE(META("0", "-1"), ""),
        PAGE("\"limit\":10,\"offset\":0,\"total_count\":0", ""), /* not our page size */
        PAGE(META("0", "1"), CDR("14155550100", "4915112345678", "outbound")), /* unfiltered */
        PAGE(META("0", "1"), CDR("4915112345678", "14155550123", "outbound")),
        PAGE(META("0", "1"), CDR("14155550100", "14155550123", "inbound")),
        PAGE(META("0", "1"), CDR("14155550100", "", "outbound")),
        PAGE(META("0", "1"), "{}"),
        PAGE(META("0", "1"), "null"),
        PAGE(META("0", "1"),
             "{\"call_uuid\":\"c-1\",\"call_direction\":\"outbound\",\"from_number\":"
             "\"14155550100\",\"to_number\":\"14155550123\"}"), /* no time */
        PAGE(META("0", "1"),
             "{\"call_uuid\":\"c-1\",\"call_direction\":\"outbound\",\"from_number\":"
             "\"14155550100\",\"to_number\":\"14155550123\",\"initiation_time\":"
             "\"2026-11-22 21:57:47\"}"), /* no zone */
    };
    for (size_t i = 0; i < COUNT_OF(bodies); i++) {
        bool foreign = str_contains(str_of(bodies[i]), STR("4915112345678")) ||
                       str_contains(str_of(bodies[i]), STR("inbound"));
        cr_expect_eq(read_page(bodies[i], 0, &pair), foreign ? -EXDEV : -EINVAL, "row %zu", i);
    }
    cr_assert_eq(read_page(PAGE(META("20", "20"), ""), 20, &pair), 0);
    cr_assert_eq(read_page(PAGE(META("20", "19"), ""), 20, &pair), -EINVAL);
}

Test(search, never_answered)
{
    cr_assert_eq(
        read_page(PAGE(META("0", "1"),
                       "{\"call_uuid\":\"c-1\",\"call_direction\":\"outbound\",\"from_number\":"
                       "\"14155550100\",\"to_number\":\"14155550123\",\"answer_time\":null,"
                       "\"initiation_time\":\"2026-11-22 21:57:47+00:00\",\"bill_duration\":0,"
                       "\"call_duration\":12,\"hangup_cause_code\":3010}"),
                  0, &pair),
        0);
    cr_assert_eq(last.answered_us, 0);
    cr_assert_eq(last.duration_s, 0);
    cr_assert_str_eq(last.outcome, "busy");
}

Test(search, lists_of_ids)
{
    struct search_page page;
    seen = 0;
    cr_assert_eq(
        search_read_ids(STR("{\"api_id\":\"a\",\"calls\":[\"c-1\",\"c-2\"]}"), &page, on_id, NULL),
        0);
    cr_assert_eq(page.count, 2);
    cr_assert_eq(page.total, -1);
    cr_assert_eq(seen, 2);
    static const char *const bodies[] = {
        "",
        "{}",
        "[]",
        "{\"calls\":{}}",
        "{\"calls\":[1]}",
        "{\"calls\":[\"a/b\"]}",
        "{\"objects\":[]}",
    };
    for (size_t i = 0; i < COUNT_OF(bodies); i++) {
        cr_expect_eq(search_read_ids(str_of(bodies[i]), &page, on_id, NULL), -EINVAL, "%s",
                     bodies[i]);
    }
}

#define ONE(from, to)                                                                              \
    "{\"call_uuid\":\"c-1\",\"request_uuid\":\"r-1\",\"call_status\":\"in-progress\","             \
    "\"direction\":\"outbound\",\"from\":\"" from "\",\"to\":\"" to                                \
    "\",\"session_start\":\"2026-11-22 13:17:49.050872\"}"

Test(search, one_live_call)
{
    struct carrier_sighting s;
    int64_t started;
    cr_assert_eq(clock_parse(STR("2026-11-22 13:17:49.050872"), &started), 0);
    cr_assert_eq(search_read_one(STR(ONE("14155550100", "14155550123")), CARRIER_LIVE, &pair, &s),
                 1);
    cr_assert_str_eq(s.call_id, "c-1");
    cr_assert_str_eq(s.request_id, "r-1");
    cr_assert_eq(s.where, CARRIER_LIVE);
    cr_assert_eq(s.initiated_us, started);
    cr_assert_null(s.outcome);
    cr_assert_eq(search_read_one(STR(ONE("14155550100", "141555501239")), CARRIER_LIVE, &pair, &s),
                 0);
    cr_assert_eq(search_read_one(STR(ONE("14155550100", "4915112345")), CARRIER_LIVE, &pair, &s),
                 -EXDEV);
    cr_assert_eq(search_read_one(STR("{}"), CARRIER_LIVE, &pair, &s), -EINVAL);
}
