#include "campaign.h"
#include "zones.h"

#include "base/alloc.h"
#include "base/clock.h"

#include <errno.h>
#include <string.h>

#define LAWS_MAX 16

static struct law laws[LAWS_MAX];
static size_t law_count;

static struct uuid numbered(int kind, uint32_t n)
{
    struct uuid id = {.b = {(uint8_t)kind, 0, 0, 0, 0, 0, 0x70, 0, 0x80}};
    for (int i = 0; i < 4; i++) {
        id.b[15 - i] = (uint8_t)(n >> (8 * i));
    }
    return id;
}

uint32_t lead_index(const struct lead *lead)
{
    const uint8_t *b = lead->id.b + 12;
    return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

static int wrong(const char *what)
{
    fprintf(stderr, "scenario: %s\n", what);
    return -EINVAL;
}

static double number(const json_t *obj, const char *key, double def)
{
    return json_get_double(obj, key, def);
}

static int minute_of_day(struct str s, int def) /* "09:00"; "24:00" is the whole day's end */
{
    int64_t h;
    int64_t m;
    if (s.len != 5 || s.p[2] != ':' || str_to_i64(str_head(s, 2), &h) < 0 ||
        str_to_i64(str_skip(s, 3), &m) < 0) {
        return def;
    }
    return (int)(h * 60 + m);
}

static uint8_t days_of(const json_t *array, uint8_t def)
{
    uint8_t days = 0;
    for (size_t i = 0; i < json_array_size(array); i++) {
        days |= (uint8_t)(1u << (json_integer_value(json_array_get(array, i)) - 1));
    }
    return days != 0 ? days : def;
}

static int32_t day_of(const json_t *obj, const char *key, int32_t def)
{
    char text[40];
    int64_t at;
    struct str day = json_get_str(obj, key);
    snprintf(text, sizeof text, STR_FMT "T00:00:00Z", STR_ARG(day));
    return day.len > 0 && clock_parse(str_of(text), &at) == 0 ? (int32_t)(at / US_DAY) : def;
}

/* --- laws ----------------------------------------------------------------------------------------- */

static struct law *law_new(const char *region)
{
    assert(law_count < LAWS_MAX);
    struct law *law = &laws[law_count++];
    *law = (struct law){.cap_24h = 3, .cap_7d = 7, .cap_30d = INT32_MAX};
    str_copy_cut(str_of(region), law->region, sizeof law->region);
    return law;
}

static void law_span(struct law *law, uint8_t days, int from_min, int to_min)
{
    law->spans[law->span_count++] = (struct span){days, from_min, to_min, INT32_MIN, INT32_MAX};
}

/* What sql/migrations begins with; a scenario may say otherwise. */
static void default_laws(void)
{
    static const struct {
        const char *region;
        uint8_t days;
        int from_min;
        int to_min;
    } rows[] = {{"US", 0x7f, 540, 1200}, {"GB", 0x7f, 540, 1200}, {"DE", 0x3f, 540, 1200},
                {"IN", 0x3f, 600, 1140}, {"ZZ", 0x7f, 540, 1200}, {"AU", 0x7f, 540, 1200}};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        law_span(law_new(rows[i].region), rows[i].days, rows[i].from_min, rows[i].to_min);
    }
    struct law *ca = law_new("CA");
    law_span(ca, 0x1f, 540, 1200);
    law_span(ca, 0x60, 600, 1080);
}

static struct law *law_of(const char *region)
{
    for (size_t i = 0; i < law_count; i++) {
        if (strcmp(laws[i].region, region) == 0) {
            return &laws[i];
        }
    }
    return NULL;
}

static void read_laws(json_t *root)
{
    const char *region;
    json_t *v;
    default_laws();
    json_object_foreach(json_get(root, "laws"), region, v)
    {
        struct law *law = law_of(region) != NULL ? law_of(region) : law_new(region);
        law->cap_24h = (int32_t)json_get_i64(v, "24h", law->cap_24h);
        law->cap_7d = (int32_t)json_get_i64(v, "7d", law->cap_7d);
        law->cap_30d = (int32_t)json_get_i64(v, "30d", law->cap_30d);
        const json_t *spans = json_get_array(v, "spans");
        law->span_count = spans != NULL ? 0 : law->span_count;
        for (size_t i = 0; i < json_array_size(spans) && i < SPANS_MAX; i++) {
            const json_t *s = json_array_get(spans, i);
            law_span(law, days_of(json_get_array(s, "days"), 0x7f),
                     minute_of_day(json_get_str(s, "from"), 540),
                     minute_of_day(json_get_str(s, "to"), 1200));
        }
    }
}

/* --- people ---------------------------------------------------------------------------------------- */

static struct spread spread_of(const json_t *v, double median, double sigma)
{
    return (struct spread){number(v, "median", median), number(v, "sigma", sigma)};
}

static void read_mix(const json_t *v, double p[OUT_COUNT])
{
    double sum = 0;
    for (int o = 1; o < OUT_COUNT; o++) {
        p[o] = number(v, outcome_names[o], 0);
        sum += p[o];
    }
    for (int o = 1; o < OUT_COUNT && sum > 0; o++) {
        p[o] /= sum;
    }
}

static int read_truth(struct truth *t, const json_t *v)
{
    const json_t *outcomes = json_get(v, "outcomes");
    size_t count = json_is_array(outcomes) ? json_array_size(outcomes) : 1;
    if (outcomes == NULL || count == 0 || count > MIXES_MAX) {
        return wrong("a campaign needs outcomes");
    }
    for (size_t i = 0; i < count; i++) {
        read_mix(json_is_array(outcomes) ? json_array_get(outcomes, i) : outcomes, t->p[i]);
    }
    t->mixes = count;
    for (size_t i = 0; i < 24; i++) {
        const json_t *f = json_array_get(json_get_array(v, "hour"), i);
        t->hour[i] = f != NULL ? json_number_value(f) : 1.0;
    }
    const json_t *ring = json_get(v, "ring_s");
    struct spread all = spread_of(ring, 12, 0.4);
    for (int o = 1; o < OUT_COUNT; o++) {
        t->ring[o] = spread_of(json_get(ring, outcome_names[o]), all.median, all.sigma);
    }
    t->talk = spread_of(json_get(v, "talk_s"), 45, 0.9);
    t->machine = spread_of(json_get(v, "machine_s"), 15, 0.3);
    t->cost_per_minute = number(v, "cost_micros_per_minute", 10000);
    return 0;
}

/* --- rows ------------------------------------------------------------------------------------------- */

static int add_leads(struct ledger *l, struct campaign *c, json_t *v, uint32_t base, int64_t at)
{
    uint32_t leads = (uint32_t)json_get_i64(v, "leads", 1000);
    char region[3];
    str_copy_cut(json_get_str(v, "region"), region, sizeof region);
    struct law *law = law_of(region[0] != '\0' ? region : "ZZ");
    json_t *zones = json_get(v, "zones");
    if (law == NULL || json_object_size(zones) == 0) {
        return wrong("a campaign needs zones, and a region with a law");
    }
    double before = 0;
    uint32_t n = 0;
    const char *name;
    json_t *share;
    double sum = 0;
    json_object_foreach(zones, name, share)
    {
        sum += json_number_value(share);
    }
    json_object_foreach(zones, name, share)
    {
        before += json_number_value(share) / sum;
        uint32_t end = before > 0.999999 ? leads : (uint32_t)(before * leads);
        for (; n < end; n++) {
            char phone[STORE_E164_SIZE];
            snprintf(phone, sizeof phone, "+1%010u", 2000000000u + base + n);
            struct uuid id = numbered(5, base + n);
            struct lead *lead = ledger_lead(l, c->org, &id, phone);
            lead->zones[0] = zone_of(name);
            lead->zone_count = 1;
            lead->law = law;
            /* Zones lie mixed in the queue, as in a list. */
            id = numbered(6, (base + n) * 2654435761u);
            (void)ledger_enqueue(l, c, lead, &id, at);
        }
    }
    return 0;
}

static void read_waits(struct campaign *c, const json_t *waits)
{
    for (int o = 1; o < OUT_COUNT && waits != NULL; o++) {
        const json_t *a = json_get_array(waits, outcome_names[o]);
        c->wait_count[o] = json_array_size(a) < WAITS_MAX ? json_array_size(a) : WAITS_MAX;
        for (size_t i = 0; i < c->wait_count[o]; i++) {
            c->waits[o][i] = json_number_value(json_array_get(a, i));
        }
    }
}

static void read_pace(struct campaign *c, const json_t *v)
{
    c->span = (struct span){.days = days_of(json_get_array(v, "weekdays"), 0x1f),
                            .from_min = minute_of_day(json_get_str(v, "time_start"), 540),
                            .to_min = minute_of_day(json_get_str(v, "time_end"), 1200),
                            .first_day = day_of(v, "start_date", INT32_MIN),
                            .last_day = day_of(v, "end_date", INT32_MAX)};
    c->lines = (int32_t)json_get_i64(v, "lines", 5);
    c->calls_per_second = number(v, "calls_per_second", 1);
    c->weight = (int32_t)json_get_i64(v, "weight", 1);
    c->max_attempts = (int32_t)json_get_i64(v, "max_attempts", 3);
    c->ring_timeout_s = (int32_t)json_get_i64(v, "ring_timeout_s", 30);
    c->max_duration_s = (int32_t)json_get_i64(v, "max_duration_s", 600);
    c->budget_micros = json_get_i64(v, "budget_micros", 0);
    double per_minute = number(v, "cost_micros_per_minute", 10000);
    c->reserve_micros = (int64_t)((c->max_duration_s + 59) / 60 * per_minute) + 1;
    c->reserve_micros = json_get_i64(v, "reserve_micros", c->reserve_micros);
    read_waits(c, json_get(v, "waits"));
}

static int read_campaign(struct scenario *s, struct ledger *l, struct org *o, json_t *v, uint32_t n)
{
    struct uuid id = numbered(4, n);
    size_t account = (size_t)json_get_i64(v, "account", 0);
    if (account >= l->account_count || s->count == TRUTHS_MAX) {
        return wrong("no such account, or too many campaigns");
    }
    struct campaign *c = ledger_campaign(l, o, &id);
    struct truth *t = &s->truths[s->count++];
    t->campaign = c;
    str_copy_cut(json_get_str(v, "name"), c->name, sizeof c->name);
    read_pace(c, v);
    struct number *line = xzalloc(sizeof *line);
    line->id = numbered(3, n);
    line->account = l->account_list[account];
    snprintf(line->phone, sizeof line->phone, "+1646555%04u", n % 10000);
    c->numbers[c->number_count++] = line;
    int err = read_truth(t, v);
    return err < 0 ? err : add_leads(l, c, v, n * 1000000u, s->start_us);
}

int scenario_read(struct scenario *s, struct ledger *l, const json_t *root_const)
{
    OWNED(json_free) json_t *root = json_incref((json_t *)(uintptr_t)root_const);
    if (clock_parse(json_get_str(root, "start"), &s->start_us) < 0) {
        return wrong("start is an instant, as 2026-11-23T14:00:00Z");
    }
    s->until_us = s->start_us + json_get_i64(root, "until_days", 90) * US_DAY;
    s->claim_interval_ms = json_get_i64(root, "claim_interval_ms", 1000);
    s->claim_batch = json_get_i64(root, "claim_batch", 50);
    s->calls_max = json_get_i64(root, "calls_max", 1000);
    read_laws(root);
    struct uuid id = numbered(1, 1);
    struct org *o = ledger_org(l, &id);
    const json_t *org = json_get(root, "organization");
    o->number_cap_24h = (int32_t)json_get_i64(org, "number_cap_24h", 3);
    o->number_cap_7d = (int32_t)json_get_i64(org, "number_cap_7d", 7);
    o->number_spacing_s = json_get_i64(org, "number_spacing_s", 1800);
    json_t *accounts = json_get_array(root, "accounts");
    for (size_t i = 0; i < json_array_size(accounts); i++) {
        id = numbered(2, (uint32_t)i);
        struct account *a = ledger_account(l, o, &id);
        a->lines = (int32_t)json_get_i64(json_array_get(accounts, i), "lines", 10);
        a->calls_per_second = number(json_array_get(accounts, i), "calls_per_second", 1);
    }
    json_t *campaigns = json_get_array(root, "campaigns");
    int err = json_array_size(campaigns) == 0 ? wrong("there is no campaign") : 0;
    for (size_t i = 0; i < json_array_size(campaigns) && err == 0; i++) {
        err = read_campaign(s, l, o, json_array_get(campaigns, i), (uint32_t)i);
    }
    return err;
}
