#include "carrier/plivo/search.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/metrics.h"
#include "carrier/plivo/op.h"
#include "carrier/plivo/words.h"

#include <errno.h>
#include <string.h>

#define URL_MAX   1024
#define IDS_MAX   (SEARCH_PAGE * SEARCH_PAGES_MAX)
#define FOUND_MAX IDS_MAX
#define NUMBER_FORMS                                                                               \
    2 /* with + and without: which of the two the filter compares is not documented */
/* end_time is documented as UTC; should it be the console's zone after all, no call falls out. */
#define ZONE_MARGIN_US (24 * 3600 * US_PER_S)

/*  start -> ask_page -> on_page -> (next page, next form of the numbers) ...
 *             for queued and live: -> ask_one -> on_one -> ...
 *           -> next list: queued, live, CDR -> finish */
struct search_op {
    struct carrier_op base;
    struct http_client *client;
    const struct carrier_account *account;
    struct search_pair pair; /* no numbers: the whole account */
    int64_t since_us;
    int64_t until_us; /* 0: now */
    struct http_op *http;
    carrier_found_fn *on_done;
    void *arg;

    enum carrier_where where;
    int form; /* of the numbers: 0 with +, 1 without */
    int64_t offset;
    int64_t total; /* of this list and form; -1 before its first page */
    size_t page_count;
    struct search_page last;                           /* the page before, of the same list */
    char first_ids[SEARCH_PAGES_MAX][CARRIER_ID_SIZE]; /* of each page of it */
    char (*ids)[CARRIER_ID_SIZE];
    size_t id_count;
    size_t id_next;

    struct carrier_sighting *sightings;
    size_t sighting_count;
    bool overflow;
    int64_t date_us;
};

static void on_page(const struct http_result *result, void *arg);
static void on_one(const struct http_result *result, void *arg);

static void search_drop(struct carrier_op *base)
{
    struct search_op *op = CONTAINER_OF(base, struct search_op, base);
    http_cancel(&op->http);
    xfree(op->ids);
    xfree(op->sightings);
    xfree(op);
}

static void finish(struct search_op *op, const struct fault *fault)
{
    struct carrier_sighting *sightings = GIVE(op->sightings);
    carrier_found_fn *on_done = op->on_done;
    void *arg = op->arg;
    struct carrier_found found = {.fault = *fault, .carrier_date_us = op->date_us};
    if (fault->class == FAULT_NONE) {
        found.sightings = sightings;
        found.count = op->sighting_count;
    }
    search_drop(&op->base);
    on_done(&found, arg);
    xfree(sightings);
}

static int ask(struct search_op *op, const char *rest, http_done_fn *on_reply)
{
    OWNED(buf_fini) struct buf url;
    buf_init(&url, URL_MAX);
    int err = plivo_api_url(op->account, rest, &url);
    if (err < 0) {
        return err;
    }
    const struct http_ask request = {.method = "GET",
                                     .url = buf_cstr(&url),
                                     .user = op->account->auth_id,
                                     .password = op->account->auth_token[0],
                                     .timeout_ms = PLIVO_QUERY_TIMEOUT_MS,
                                     .answer_max = LIMIT_REST_BODY_BYTES,
                                     .trust = HTTP_OUTSIDE};
    return http_start(&op->http, op->client, &request, on_reply, op);
}

static bool whole_account(const struct search_op *op)
{
    return op->pair.from_e164[0] == '\0';
}

static void add_cdr_filter(const struct search_op *op, struct buf *rest)
{
    char text[CLOCK_TEXT_SIZE];
    /* A pair has few calls, so a day more costs nothing; of an account each day is a long list. */
    int64_t margin_us = whole_account(op) ? 0 : ZONE_MARGIN_US;
    clock_format(op->since_us - margin_us, text); /* 2026-11-22T10:00:00.123456Z */
    buf_addf(rest, "&end_time__gte=%.10s%%20%.8s", text, text + 11);
    if (op->until_us != 0) {
        clock_format(op->until_us, text);
        buf_addf(rest, "&end_time__lt=%.10s%%20%.8s", text, text + 11);
    }
}

static int ask_page(struct search_op *op)
{
    static const char *const status[] = {
        [CARRIER_LIVE] = "&status=live", [CARRIER_QUEUED] = "&status=queued", [CARRIER_CDR] = ""};
    OWNED(buf_fini) struct buf rest;
    const char *plus = op->form == 0 ? "%2B" : "";
    buf_init(&rest, URL_MAX);
    buf_addf(&rest, "Call/?call_direction=outbound");
    if (!whole_account(op)) {
        buf_addf(&rest, "&from_number=%s%s&to_number=%s%s", plus, op->pair.from_e164 + 1, plus,
                 op->pair.to_e164 + 1);
    }
    buf_addf(&rest, "&limit=%d&offset=%lld%s", SEARCH_PAGE, (long long)op->offset,
             status[op->where]);
    if (op->where == CARRIER_CDR) {
        add_cdr_filter(op, &rest);
    }
    return ask(op, buf_cstr(&rest), on_page);
}

static int ask_one(struct search_op *op)
{
    OWNED(buf_fini) struct buf rest;
    buf_init(&rest, URL_MAX);
    buf_addf(&rest, "Call/%s/?status=%s", op->ids[op->id_next],
             op->where == CARRIER_LIVE ? "live" : "queued");
    return ask(op, buf_cstr(&rest), on_one);
}

int plivo_search_start(struct carrier_op **out, struct http_client *http,
                       const struct carrier_account *account, const struct carrier_search *search,
                       carrier_found_fn *on_done, void *arg)
{
    struct search_op *op = xzalloc(sizeof *op);
    op->base.drop = search_drop;
    op->client = http;
    op->account = account;
    op->on_done = on_done;
    op->arg = arg;
    op->where = search->ended_only ? CARRIER_CDR : CARRIER_QUEUED;
    op->total = -1;
    op->since_us = search->since_us;
    op->until_us = search->until_us;
    bool whole = search->from_e164 == NULL && search->to_e164 == NULL;
    op->pair.since_us = whole ? 0 : search->since_us;
    plivo_number(str_of(search->from_e164), op->pair.from_e164);
    plivo_number(str_of(search->to_e164), op->pair.to_e164);
    int err = -EINVAL;
    if (whole || (op->pair.from_e164[0] != '\0' && op->pair.to_e164[0] != '\0')) {
        err = ask_page(op);
    }
    if (err < 0) {
        search_drop(&op->base);
        return err;
    }
    *out = &op->base;
    return 0;
}

static const char *where_name(enum carrier_where where)
{
    static const char *const names[] = {
        [CARRIER_LIVE] = "live", [CARRIER_QUEUED] = "queued", [CARRIER_CDR] = "cdr"};
    return names[where];
}

/* What a search that came to nothing is counted as: the alarm of a carrier whose lists cannot be read,
 * or cannot be believed. */
static const char *alarm_of(const char *code)
{
    static const struct {
        const char *code;
        const char *reason;
    } reasons[] = {{"page_not_understood", "page"}, {"call_not_understood", "page"},
                   {"foreign_call", "foreign"},     {"page_repeated", "repeated"},
                   {"list_moved", "moved"},         {"too_many", "endless"},
                   {"endless_list", "endless"}};
    for (size_t i = 0; i < COUNT_OF(reasons); i++) {
        if (strcmp(reasons[i].code, code) == 0) {
            return reasons[i].reason;
        }
    }
    return "unavailable";
}

static void fail(struct search_op *op, enum fault_class class, const char *code)
{
    metric_add("carrier_list_faults_total", alarm_of(code), 1);
    const struct fault fault = fault_make(class, 0, code, "%s list, offset %lld: %s",
                                          where_name(op->where), (long long)op->offset, code);
    finish(op, &fault);
}

/* Starts the next question, or ends the whole search when none could be started. */
static void go_on(struct search_op *op, int err)
{
    if (err < 0) {
        fail(op, err == -EBUSY ? FAULT_BUSY : FAULT_BROKEN, "not_asked");
    }
}

static void next_list(struct search_op *op)
{
    if (op->where == CARRIER_CDR) {
        const struct fault none = fault_none();
        finish(op, &none);
        return;
    }
    op->where = op->where == CARRIER_QUEUED ? CARRIER_LIVE : CARRIER_CDR;
    op->form = 0;
    op->offset = 0;
    op->total = -1;
    op->page_count = 0;
    op->last.count = 0;
    op->id_count = 0;
    op->id_next = 0;
    go_on(op, ask_page(op));
}

static void next_one(struct search_op *op)
{
    if (op->id_next < op->id_count) {
        go_on(op, ask_one(op));
    } else {
        next_list(op);
    }
}

static void next_page(struct search_op *op, const struct search_page *page)
{
    bool more = page->total < 0 ? page->count == SEARCH_PAGE
                                : op->offset + (int64_t)page->count < page->total;
    if (more && ++op->page_count >= SEARCH_PAGES_MAX) {
        fail(op, FAULT_BROKEN, "endless_list");
        return;
    }
    if (more) {
        op->offset += SEARCH_PAGE;
        go_on(op, ask_page(op));
        return;
    }
    if (op->form + 1 < NUMBER_FORMS && !whole_account(op)) {
        op->form++;
        op->offset = 0;
        op->total = -1;
        op->page_count = 0;
        op->last.count = 0;
        go_on(op, ask_page(op));
        return;
    }
    next_one(op);
}

static void add_id(struct str id, void *arg)
{
    struct search_op *op = arg;
    for (size_t i = 0; i < op->id_count; i++) {
        if (str_eq_cstr(id, op->ids[i])) {
            return;
        }
    }
    if (op->id_count == IDS_MAX) {
        op->overflow = true;
        return;
    }
    op->ids = xrealloc(op->ids, (op->id_count + 1) * sizeof op->ids[0]);
    int err = str_copy(id, op->ids[op->id_count], sizeof op->ids[0]);
    assert(err == 0); /* search_read_ids() checked the length */
    op->id_count++;
}

static void add_sighting(const struct carrier_sighting *sighting, void *arg)
{
    struct search_op *op = arg;
    for (size_t i = 0; i < op->sighting_count; i++) {
        if (op->sightings[i].where == sighting->where &&
            strcmp(op->sightings[i].call_id, sighting->call_id) == 0) {
            return;
        }
    }
    if (op->sighting_count == FOUND_MAX) {
        op->overflow = true;
        return;
    }
    op->sightings = xrealloc(op->sightings, (op->sighting_count + 1) * sizeof *sighting);
    op->sightings[op->sighting_count++] = *sighting;
}

static bool answered(struct search_op *op, const struct http_result *result)
{
    struct fault fault = plivo_query_fault(result);
    op->http = NULL;
    if (result->server_date_us > 0) {
        op->date_us = result->server_date_us;
    }
    if (fault.class != FAULT_NONE) {
        /* Of a single call 404 means that it moved on between the list and the question. */
        metric_add("carrier_list_faults_total", result->status == 404 ? "moved" : "unavailable", 1);
        finish(op, &fault);
        return false;
    }
    return true;
}

/* A page that shows again what was shown hides what should stand there: "not on the list" would prove
 * nothing. */
static bool repeats(const struct search_op *op, const struct search_page *page)
{
    for (size_t i = 0; i < page->count; i++) {
        for (size_t k = 0; k < i; k++) {
            if (strcmp(page->ids[i], page->ids[k]) == 0) {
                return true;
            }
        }
        for (size_t k = 0; k < op->last.count; k++) {
            if (strcmp(page->ids[i], op->last.ids[k]) == 0) {
                return true;
            }
        }
    }
    for (size_t k = 0; k < op->page_count && page->count > 0; k++) {
        if (strcmp(page->ids[0], op->first_ids[k]) == 0) {
            return true;
        }
    }
    return false;
}

static void on_page(const struct http_result *result, void *arg)
{
    struct search_op *op = arg;
    struct search_page page = {.count = 0};
    if (!answered(op, result)) {
        return;
    }
    int err = op->where == CARRIER_CDR
                  ? search_read_cdrs(result->body, op->offset, &op->pair, &page, add_sighting, op)
                  : search_read_ids(result->body, &page, add_id, op);
    if (err < 0) {
        fail(op, FAULT_BROKEN, err == -EXDEV ? "foreign_call" : "page_not_understood");
        return;
    }
    if (repeats(op, &page)) {
        fail(op, FAULT_BROKEN, "page_repeated");
        return;
    }
    /* A list that grows while it is read has moved under us: entries may have slipped between
     * pages. */
    if (op->overflow || (op->total >= 0 && page.total != op->total)) {
        fail(op, FAULT_BUSY, op->overflow ? "too_many" : "list_moved");
        return;
    }
    op->total = page.total;
    op->last = page;
    memcpy(op->first_ids[op->page_count], page.ids[0], sizeof page.ids[0]);
    next_page(op, &page);
}

/* 404: it moved on between the list and this question. The next search will meet it further on. */
static void on_one(const struct http_result *result, void *arg)
{
    struct search_op *op = arg;
    struct carrier_sighting sighting;
    if (!answered(op, result)) {
        return;
    }
    int same = search_read_one(result->body, op->where, &op->pair, &sighting);
    if (same < 0 || strcmp(sighting.call_id, op->ids[op->id_next]) != 0) {
        fail(op, FAULT_BROKEN, same == -EXDEV ? "foreign_call" : "call_not_understood");
        return;
    }
    if (same == 1) {
        add_sighting(&sighting, op);
    }
    op->id_next++;
    if (op->overflow) {
        fail(op, FAULT_BUSY, "too_many");
        return;
    }
    next_one(op);
}
