#include "records.h"

#include "base/clock.h"

#include <stdio.h>
#include <string.h>

#define PAGE_MAX 20

struct filter {
    const char *from;
    const char *to;
    int64_t end_from_us;
    int64_t end_until_us;
};

static void with_offset(const struct call *call, int64_t wall_us, char *out, size_t out_size)
{
    int64_t offset = call->carrier->conf.limits->console_offset_min;
    int64_t abs = offset < 0 ? -offset : offset;
    char text[CLOCK_TEXT_SIZE];

    call_console_time(call, wall_us, text, sizeof text);
    if (text[0] == '\0') {
        out[0] = '\0';
        return;
    }
    (void)snprintf(out, out_size, "%s%c%02d:%02d", text, offset < 0 ? '-' : '+', (int)(abs / 60),
                   (int)(abs % 60));
}

static json_t *record(const struct call *call)
{
    const struct cause_info *info = cause_info(call->cause);
    int64_t talk_s = call_talk_s(call);
    int64_t billed_s = (talk_s + 59) / 60 * 60;
    char start[40];
    char answer[40];
    char end[40];
    char cost[24];
    char uri[128];

    with_offset(call, call->start_wall_us, start, sizeof start);
    with_offset(call, call->answer_wall_us, answer, sizeof answer);
    with_offset(call, call->end_wall_us, end, sizeof end);
    (void)snprintf(cost, sizeof cost, "%.5f", 0.003 * (double)billed_s / 60);
    (void)snprintf(uri, sizeof uri, "/v1/Account/%s/Call/%s/", call->carrier->conf.auth_id,
                   call->uuid);
    return json_pack(
        "{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:i, s:s, s:s, s:s, "
        "s:s, s:s, s:s, s:n, s:s, s:s}",
        "call_uuid", call->uuid, "from_number", call->from + 1, "to_number", call->to + 1,
        "call_direction", "outbound", "call_state", talk_s > 0 ? "ANSWER" : info->raw,
        "initiation_time", start, "answer_time", answer, "end_time", end, "call_duration",
        (json_int_t)talk_s, "bill_duration", (json_int_t)talk_s, "billed_duration",
        (json_int_t)billed_s, "hangup_cause_code", info->code, "hangup_cause_name", info->name,
        "hangup_source", call->hangup_source, "total_amount", cost, "total_rate", "0.00300",
        "resource_uri", uri, "stir_verification", "Not Applicable", "parent_call_uuid",
        "stir_attestation", "Not Applicable", "voice_network_group", "simulated");
}

static bool starts_with_number(const char *number, const char *prefix)
{
    if (prefix == NULL || prefix[0] == '\0') {
        return true;
    }
    prefix += prefix[0] == '+' || prefix[0] == ' ' ? 1 : 0; /* an undecoded plus is a space */
    return strncmp(number + 1, prefix, strlen(prefix)) == 0;
}

static bool read_moment(const struct form *query, const char *name, int64_t *out)
{
    const char *text = form_value(query, name);

    return text == NULL || clock_parse(str_of(text), out) == 0;
}

static bool read_filter(const struct form *query, struct filter *f)
{
    *f = (struct filter){form_value(query, "from_number"), form_value(query, "to_number"), 0,
                         INT64_MAX};
    return read_moment(query, "end_time__gte", &f->end_from_us) &&
           read_moment(query, "end_time__gt", &f->end_from_us) &&
           read_moment(query, "end_time__lte", &f->end_until_us) &&
           read_moment(query, "end_time__lt", &f->end_until_us);
}

static bool matches(const struct call *call, const struct filter *f)
{
    return starts_with_number(call->from, f->from) && starts_with_number(call->to, f->to);
}

static int64_t page_number(const struct form *query, const char *name, int64_t def, int64_t max)
{
    const char *text = form_value(query, name);
    int64_t n = def;

    if (text == NULL || str_to_i64(str_of(text), &n) < 0 || n < 0) {
        n = def;
    }
    return n > max ? max : n;
}

static json_t *uuids(const struct list *calls, const struct filter *f, int64_t limit,
                     int64_t offset)
{
    json_t *list = json_array();
    int64_t seen = 0;

    LIST_EACH(it, calls)
    {
        const struct call *call = LIST_ITEM(it, struct call, link);
        if (matches(call, f) && seen++ >= offset && (int64_t)json_array_size(list) < limit) {
            (void)json_array_append_new(list, json_string(call->uuid));
        }
    }
    return list;
}

static bool visible(const struct call *call, const struct filter *f)
{
    const struct carrier *c = call->carrier;
    int64_t lag_us = c->conf.limits->record_lag_ms * 1000;

    return call->end_wall_us + lag_us <= loop_wall_us(c->conf.loop) &&
           call->end_wall_us >= f->end_from_us && call->end_wall_us <= f->end_until_us &&
           matches(call, f);
}

static json_t *page_of_records(const struct carrier *c, const struct filter *f, int64_t limit,
                               int64_t offset, int64_t *total)
{
    json_t *objects = json_array();

    *total = 0;
    for (struct list *it = c->over.prev; it != &c->over; it = it->prev) { /* newest first */
        const struct call *call = LIST_ITEM(it, struct call, link);
        if (!visible(call, f)) {
            continue;
        }
        if (*total >= offset && (int64_t)json_array_size(objects) < limit) {
            (void)json_array_append_new(objects, record(call));
        }
        (*total)++;
    }
    return objects;
}

static json_t *page_link(const struct carrier *c, int64_t limit, int64_t offset, bool there)
{
    char text[160];

    if (!there) {
        return json_null();
    }
    (void)snprintf(text, sizeof text, "/v1/Account/%s/Call/?limit=%lld&offset=%lld",
                   c->conf.auth_id, (long long)limit, (long long)offset);
    return json_string(text);
}

json_t *records_list(const struct carrier *c, const struct form *query, const char *api_id,
                     int *status)
{
    const char *which = form_value(query, "status");
    int64_t limit = page_number(query, "limit", PAGE_MAX, PAGE_MAX);
    int64_t offset = page_number(query, "offset", 0, INT64_MAX);
    struct filter f;
    int64_t total = 0;

    limit = limit == 0 ? PAGE_MAX : limit;
    if (!read_filter(query, &f)) {
        *status = 400;
        return json_pack("{s:s, s:s}", "api_id", api_id, "error", "invalid end_time filter");
    }
    if (which != NULL && (strcmp(which, "live") == 0 || strcmp(which, "queued") == 0)) {
        const struct list *calls = which[0] == 'l' ? &c->live : &c->queue;
        return json_pack("{s:s, s:o}", "api_id", api_id, "calls", uuids(calls, &f, limit, offset));
    }
    json_t *objects = page_of_records(c, &f, limit, offset, &total);
    return json_pack(
        "{s:s, s:{s:I, s:I, s:I, s:o, s:o}, s:o}", "api_id", api_id, "meta", "limit",
        (json_int_t)limit, "offset", (json_int_t)offset, "total_count", (json_int_t)total, "next",
        page_link(c, limit, offset + limit, offset + limit < total), "previous",
        page_link(c, limit, offset > limit ? offset - limit : 0, offset > 0), "objects", objects);
}

json_t *records_one(const struct call *call, const char *status, const char *api_id)
{
    bool live = call->state != CALL_QUEUED && call->state != CALL_OVER;
    struct filter all = {NULL, NULL, 0, INT64_MAX};
    char start[CLOCK_TEXT_SIZE];

    if (status == NULL || status[0] == '\0') {
        if (call->state != CALL_OVER || !visible(call, &all)) {
            return NULL;
        }
        json_t *one = record(call);
        (void)json_object_set_new(one, "api_id", json_string(api_id));
        return one;
    }
    if ((strcmp(status, "live") == 0 && live) ||
        (strcmp(status, "queued") == 0 && call->state == CALL_QUEUED)) {
        clock_format(call->start_wall_us, start);
        start[10] = ' ';
        start[26] = '\0';
        json_t *one = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "api_id", api_id,
                                "call_uuid", call->uuid, "request_uuid", call->request_uuid,
                                "direction", "outbound", "from", call->from + 1, "to", call->to + 1,
                                "caller_name", call->from + 1, "call_status",
                                call->state == CALL_QUEUED    ? "queued"
                                : call->state == CALL_TALKING ? "in-progress"
                                                              : "ringing");
        if (live) {
            (void)json_object_set_new(one, "session_start", json_string(start));
        }
        return one;
    }
    return NULL;
}
