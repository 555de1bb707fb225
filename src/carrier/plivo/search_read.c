#include "base/clock.h"
#include "carrier/plivo/cause.h"
#include "carrier/plivo/search.h"
#include "carrier/plivo/words.h"

#include <errno.h>
#include <string.h>

int search_read_ids(struct str body, struct search_page *page, search_id_fn *on_id, void *arg)
{
    OWNED(json_free) json_t *v = NULL;
    if (json_parse(body, &v) < 0) {
        return -EINVAL;
    }
    const json_t *calls = json_get_array(v, "calls");
    if (calls == NULL || json_array_size(calls) > SEARCH_PAGE) {
        return -EINVAL;
    }
    for (size_t i = 0; i < json_array_size(calls); i++) {
        const json_t *id = json_array_get(calls, i);
        struct str text = str_of(json_string_value(id));
        if (!plivo_id_ok(text) || text.len >= CARRIER_ID_SIZE) {
            return -EINVAL;
        }
        str_copy_cut(text, page->ids[i], sizeof page->ids[i]);
        on_id(text, arg);
    }
    page->count = json_array_size(calls);
    page->total = -1;
    return 0;
}

/* The lists are filtered by "exact or prefix", with or without +: what shares no beginning with the
 * number asked for means that the filter did not work, and then no page can be trusted. */
static bool is_ours_or_longer(struct str text, const char *e164)
{
    char number[20];
    plivo_number(text, number);
    return number[0] != '\0' && str_starts(str_of(number), str_of(e164));
}

static int match_pair(struct str from, struct str to, struct str direction,
                      const struct search_pair *pair, struct carrier_sighting *out)
{
    if (from.len == 0 || to.len == 0) {
        return -EINVAL;
    }
    if (!str_eq(direction, STR("outbound")) || !is_ours_or_longer(from, pair->from_e164) ||
        !is_ours_or_longer(to, pair->to_e164)) {
        return -EXDEV;
    }
    out->outbound = true;
    plivo_number(from, out->from_e164);
    plivo_number(to, out->to_e164);
    bool any = pair->from_e164[0] == '\0'; /* the whole account */
    return any || (strcmp(out->from_e164, pair->from_e164) == 0 &&
                   strcmp(out->to_e164, pair->to_e164) == 0);
}

/* Of the leg to one of our agents it names the call that it belongs to; else null. */
static void read_parent(const json_t *v, struct carrier_sighting *out)
{
    if (plivo_id(json_get_str(v, "parent_call_uuid"), out->parent_id, sizeof out->parent_id) < 0) {
        out->parent_id[0] = '\0';
    }
}

int search_read_one(struct str body, enum carrier_where where, const struct search_pair *pair,
                    struct carrier_sighting *out)
{
    struct carrier_sighting s = {.where = where, .cause_code = -1};
    OWNED(json_free) json_t *v = NULL;
    if (json_parse(body, &v) < 0 ||
        plivo_id(json_get_str(v, "call_uuid"), s.call_id, sizeof s.call_id) < 0) {
        return -EINVAL;
    }
    struct str request = json_get_str(v, "request_uuid");
    if (request.len > 0 && plivo_id(request, s.request_id, sizeof s.request_id) < 0) {
        return -EINVAL;
    }
    read_parent(v, &s);
    int same = match_pair(json_get_str(v, "from"), json_get_str(v, "to"),
                          json_get_str(v, "direction"), pair, &s);
    /* session_start is UTC and says no zone; a queued call has none. */
    if (clock_parse(json_get_str(v, "session_start"), &s.initiated_us) < 0) {
        s.initiated_us = 0;
    }
    if (same >= 0) {
        *out = s;
    }
    return same;
}

static int read_zoned(const json_t *object, const char *name, int64_t *out)
{
    struct str text = json_get_str(object, name);
    *out = 0;
    return text.len == 0 ? 0 : plivo_time_zoned(text, out);
}

static int read_times(const json_t *object, struct carrier_sighting *s)
{
    if (read_zoned(object, "initiation_time", &s->initiated_us) < 0 || s->initiated_us == 0 ||
        read_zoned(object, "answer_time", &s->answered_us) < 0 ||
        read_zoned(object, "end_time", &s->ended_us) < 0) {
        return -EINVAL;
    }
    return 0;
}

static int32_t seconds(const json_t *object, const char *name)
{
    return (int32_t)i64_min(i64_max(json_get_i64(object, name, 0), 0), INT32_MAX);
}

/* bill_duration is the real one, billed_duration the rounded one: the callback names them
 * otherwise. */
static void read_end(const json_t *object, struct carrier_sighting *s)
{
    int64_t code = json_get_i64(object, "hangup_cause_code", -1);
    s->cause_code = code >= 0 && code <= 99999 ? (int32_t)code : -1;
    str_copy_cut(json_get_str(object, "hangup_cause_name"), s->cause, sizeof s->cause);
    str_copy_cut(json_get_str(object, "hangup_source"), s->source, sizeof s->source);
    s->duration_s = seconds(object, "bill_duration");
    if (s->duration_s == 0 && s->answered_us > 0) {
        s->duration_s = seconds(object, "call_duration");
    }
    s->billed_s = seconds(object, "billed_duration");
    if (plivo_money(json_get_str(object, "total_amount"), &s->cost_micros) < 0) {
        s->cost_micros = 0;
    }
    const struct plivo_end end = {.code = s->cause_code,
                                  .source = str_of(s->source),
                                  .answered = s->answered_us > 0 || s->duration_s > 0};
    plivo_cause_judge(&end, &s->outcome, &s->disconnect_reason);
}

static int read_cdr(const json_t *object, const struct search_pair *pair,
                    struct carrier_sighting *out)
{
    struct carrier_sighting s = {.where = CARRIER_CDR};
    if (plivo_id(json_get_str(object, "call_uuid"), s.call_id, sizeof s.call_id) < 0) {
        return -EINVAL;
    }
    int same = match_pair(json_get_str(object, "from_number"), json_get_str(object, "to_number"),
                          json_get_str(object, "call_direction"), pair, &s);
    if (same < 0 || read_times(object, &s) < 0) {
        return same < 0 ? same : -EINVAL;
    }
    read_end(object, &s);
    read_parent(object, &s);
    *out = s;
    return same == 1 && s.initiated_us >= pair->since_us;
}

/* We count by ourselves and never follow it, so its host could not lead us anywhere; but a list whose
 * words and whose numbers disagree, or that goes on somewhere else, is not to be believed. */
static bool next_fits(const json_t *meta, bool more)
{
    const json_t *next = json_get(meta, "next");
    struct str path = json_get_str(meta, "next");
    if (next == NULL) {
        return true;
    }
    if (json_is_null(next)) {
        return !more;
    }
    return more && json_is_string(next) && str_starts(path, STR("/")) &&
           !str_starts(path, STR("//"));
}

int search_read_cdrs(struct str body, int64_t offset, const struct search_pair *pair,
                     struct search_page *page, search_sighting_fn *on_sighting, void *arg)
{
    OWNED(json_free) json_t *v = NULL;
    if (json_parse(body, &v) < 0) {
        return -EINVAL;
    }
    const json_t *meta = json_get(v, "meta");
    const json_t *objects = json_get_array(v, "objects");
    int64_t total = json_get_i64(meta, "total_count", -1);
    size_t count = json_array_size(objects);
    if (objects == NULL || total < 0 || total < offset ||
        json_get_i64(meta, "offset", -1) != offset ||
        json_get_i64(meta, "limit", -1) != SEARCH_PAGE ||
        (int64_t)count != i64_min(SEARCH_PAGE, total - offset) ||
        !next_fits(meta, offset + (int64_t)count < total)) {
        return -EINVAL;
    }
    for (size_t i = 0; i < count; i++) {
        struct carrier_sighting s;
        int same = read_cdr(json_array_get(objects, i), pair, &s);
        if (same < 0) {
            return same;
        }
        str_copy_cut(str_of(s.call_id), page->ids[i], sizeof page->ids[i]);
        if (same == 1) {
            on_sighting(&s, arg);
        }
    }
    page->count = count;
    page->total = total;
    return 0;
}
