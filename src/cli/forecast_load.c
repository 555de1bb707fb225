#include "cli/forecast_load.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/map.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define PAGE_LEADS      500
#define CARRIER_DEFAULT 12000 /* millionths a minute, where the history knows no price */

void forecast_progress(const char *what, int64_t done, int64_t all)
{
    if (!isatty(STDERR_FILENO)) {
        return;
    }
    int percent = all > 0 ? (int)(100 * i64_min(done, all) / all) : 100;
    (void)fprintf(stderr, "\r%3d%% [%-30.*s] %s ", percent, percent * 30 / 100,
                  "##############################", what);
    if (percent == 100) {
        (void)fprintf(stderr, "\r%60s\r", "");
    }
}

static int64_t us_of(const json_t *seconds)
{
    return llround(json_number_value(seconds) * 1e6);
}

static enum forecast_outcome outcome_of(const char *name)
{
    for (int o = 0; o < FORECAST_OUTCOME_COUNT; o++) {
        if (strcmp(name, forecast_outcome_names[o]) == 0) {
            return (enum forecast_outcome)o;
        }
    }
    return FORECAST_OUTCOME_COUNT;
}

/* --- the brief ---------------------------------------------------------------------------------- */

static void read_waits(struct forecast_job *job)
{
    const json_t *waits = json_get(job->brief, "waits");

    for (size_t o = 0; o < FORECAST_OUTCOME_COUNT; o++) {
        const json_t *row = json_get_array(waits, forecast_outcome_names[o]);
        for (size_t s = 0; s < FORECAST_SAME; s++) {
            const json_t *wait = json_array_get(row, s);
            job->plan.wait_us[o][s] = json_is_number(wait) ? us_of(wait) : -1;
        }
    }
}

/* An account that other campaigns use as well leaves this one its share. */
static void read_lines(struct forecast_job *job)
{
    const json_t *accounts = json_get_array(job->brief, "accounts");
    const json_t *numbers = json_get_array(job->brief, "numbers");

    job->plan.account_count = json_array_size(accounts);
    job->plan.number_count = json_array_size(numbers);
    job->accounts = xcalloc(job->plan.account_count + 1, sizeof *job->accounts);
    job->numbers = xcalloc(job->plan.number_count + 1, sizeof *job->numbers);
    for (size_t i = 0; i < job->plan.account_count; i++) {
        const json_t *a = json_array_get(accounts, i);
        double share = json_get_double(a, "share", 1.0);
        job->accounts[i].lines =
            (uint32_t)fmax(1.0, floor((double)json_get_i64(a, "lines", 0) * share));
        job->accounts[i].calls_per_second = json_get_double(a, "calls_per_second", 1.0) * share;
    }
    for (size_t i = 0; i < job->plan.number_count; i++) {
        const json_t *n = json_array_get(numbers, i);
        job->numbers[i].account = (uint32_t)json_get_i64(n, "account", 0);
        job->numbers[i].lines = (uint32_t)json_get_i64(n, "lines", 0);
    }
    job->plan.accounts = job->accounts;
    job->plan.numbers = job->numbers;
}

static void read_lengths(const json_t *from, struct forecast_lengths *to)
{
    const json_t *q = json_get_array(from, "q");

    if (json_array_size(q) != FORECAST_QUANTILES) {
        return;
    }
    to->count = (uint32_t)json_get_i64(from, "count", 0);
    for (size_t i = 0; i < FORECAST_QUANTILES; i++) {
        to->q.s[i] = (float)json_number_value(json_array_get(q, i));
    }
}

static void read_history(struct forecast_job *job)
{
    const json_t *history = json_get(job->brief, "history");
    const json_t *counts = json_get_array(history, "counts");

    for (size_t i = 0; i < json_array_size(counts); i++) {
        const json_t *row = json_array_get(counts, i);
        json_int_t k = json_integer_value(json_array_get(row, 0)) - 1;
        json_int_t h = json_integer_value(json_array_get(row, 1));
        const char *name = json_string_value(json_array_get(row, 2));
        enum forecast_outcome o = outcome_of(name ? name : "");
        if (k >= 0 && k < FORECAST_ATTEMPTS && h >= 0 && h < 24 && o < FORECAST_OUTCOME_COUNT) {
            job->history.count[k][h][o] = (uint32_t)json_integer_value(json_array_get(row, 3));
        }
    }
    for (size_t o = 0; o < FORECAST_OUTCOME_COUNT; o++) {
        read_lengths(json_get(json_get(history, "ring"), forecast_outcome_names[o]),
                     &job->history.ring[o]);
    }
    read_lengths(json_get(history, "talk"), &job->history.talk);
    read_lengths(json_get(history, "machine"), &job->history.machine);
    forecast_rates_default(&job->defaults, json_get_double(job->brief, "ring_timeout_s", 30),
                           json_get_double(job->brief, "max_duration_s", 600));
}

/* Prices a minute, out of what was paid. */
static void read_prices(struct forecast_job *job)
{
    const json_t *history = json_get(job->brief, "history");
    const json_t *carrier = json_get(history, "carrier");
    const json_t *model = json_get(history, "model");
    double carrier_s = json_get_double(carrier, "seconds", 0);
    double model_s = json_get_double(model, "seconds", 0);
    const json_t *accounts = json_get_array(job->brief, "accounts");
    int64_t told = 0; /* by the operator, of carrier and model together */

    for (size_t i = 0; i < json_array_size(accounts); i++) {
        told = i64_max(told, json_get_i64(json_array_get(accounts, i), "minute_micros", 0));
    }
    job->carrier_rate = carrier_s > 0 ? "as paid of late" : "default";
    job->model_rate_known = model_s > 0;
    job->plan.carrier_micros_per_minute =
        carrier_s > 0 ? llround(json_get_double(carrier, "micros", 0) / carrier_s * 60)
                      : CARRIER_DEFAULT;
    job->plan.model_micros_per_minute =
        model_s > 0 ? llround(json_get_double(model, "micros", 0) / model_s * 60)
                    : i64_max(0, told - job->plan.carrier_micros_per_minute);
    job->plan.billing_step_s =
        carrier_s <= 0 || json_get_bool(carrier, "whole_minutes", true) ? 60 : 1;
}

static void read_brief(struct cmd *cmd, struct forecast_job *job)
{
    const json_t *b = job->brief;
    const json_t *budget = json_get(b, "budget_micros");
    const json_t *queue = json_get(b, "queue");
    int64_t nodes = i64_max(1, json_get_i64(b, "nodes", 1));

    job->leads_open = json_get_i64(queue, "queued", 0) + json_get_i64(queue, "processing", 0);
    job->plan.start_us = us_of(json_get(b, "start"));
    job->plan.claim_interval_us = cmd->settings.claim_interval_ms * US_PER_MS;
    job->plan.calls_max = (uint32_t)(cmd->settings.calls_max * nodes);
    job->plan.lines = (uint32_t)json_get_i64(b, "lines", 0);
    job->plan.calls_per_second = json_get_double(b, "calls_per_second", 1);
    job->plan.max_attempts = (uint32_t)json_get_i64(b, "max_attempts", 1);
    job->plan.spacing_us = us_of(json_get(b, "spacing_s"));
    job->plan.budget_micros = json_is_number(budget) ? json_integer_value(budget) : INT64_MAX;
    job->plan.reserve_micros = json_get_i64(b, "reserve_micros", 0);
    job->plan.short_call_s = 6; /* what Plivo's surcharge calls short (its quality thresholds) */
    read_waits(job);
    read_lines(job);
    read_history(job);
    read_prices(job);
}

/* --- places ------------------------------------------------------------------------------------- */

static void place_free(struct forecast_place *place)
{
    xfree((void *)(uintptr_t)place->spans);
    place->spans = NULL;
}

static void read_place(const json_t *answer, struct forecast_place *place)
{
    const json_t *spans = json_get_array(answer, "spans");
    const json_t *caps = json_get_array(answer, "caps");
    struct forecast_span *to = xcalloc(json_array_size(spans) + 1, sizeof *to);

    for (size_t i = 0; i < json_array_size(spans); i++) {
        const json_t *span = json_array_get(spans, i);
        to[i].open_us = us_of(json_array_get(span, 0));
        to[i].close_us = us_of(json_array_get(span, 1));
        to[i].utc_offset_s = (int32_t)json_integer_value(json_array_get(span, 2));
    }
    place_free(place);
    place->spans = to;
    place->span_count = json_array_size(spans);
    for (size_t c = 0; c < FORECAST_CAPS; c++) {
        place->cap[c] = (uint32_t)json_integer_value(json_array_get(caps, c));
    }
}

enum exit_code forecast_load_days(struct cmd *cmd, struct forecast_job *job, int64_t days)
{
    const json_t *places = json_get_array(job->brief, "places");

    job->days = days;
    job->plan.horizon_us = job->plan.start_us + days * 86400 * US_PER_S;
    (void)json_object_set_new(job->doc, "days", json_integer(days));
    for (size_t i = 0; i < job->plan.place_count; i++) {
        OWNED(json_free) json_t *answer = NULL;
        forecast_progress("openings", (int64_t)i, (int64_t)job->plan.place_count);
        json_set_str(job->doc, "place", json_get_str(json_array_get(places, i), "place"));
        enum exit_code code = cmd_ask(cmd, ADMIN_FORECAST_OPENING, job->doc, &answer);
        if (code != EXIT_DONE) {
            return code;
        }
        read_place(answer, &job->places[i]);
    }
    return EXIT_DONE;
}

/* {key: {"i": index, "opens": first opening}}: a lead whose place is closed is judged when it opens. */
static json_t *place_index(const struct forecast_job *job)
{
    const json_t *places = json_get_array(job->brief, "places");
    json_t *index = json_object();

    for (size_t i = 0; i < job->plan.place_count; i++) {
        const char *key = json_string_value(json_get(json_array_get(places, i), "place"));
        const struct forecast_place *place = &job->places[i];
        json_t *entry = json_pack("{s:I}", "i", (json_int_t)i);
        if (place->span_count > 0) {
            (void)json_object_set_new(entry, "opens",
                                      json_real((double)place->spans[0].open_us / 1e6));
        }
        (void)json_object_set_new(index, key ? key : "", entry);
    }
    return index;
}

/* --- leads -------------------------------------------------------------------------------------- */

static void add_dials(struct forecast_job *job, struct forecast_lead *lead, const json_t *dials)
{
    size_t count = json_array_size(dials);

    if (job->dial_count + count > job->dial_room) {
        job->dial_room = 2 * (job->dial_count + count);
        job->dials = xrealloc(job->dials, job->dial_room * sizeof *job->dials);
    }
    lead->dial_first = (uint32_t)job->dial_count;
    lead->dial_count = (uint16_t)count;
    for (size_t i = 0; i < count; i++) {
        job->dials[job->dial_count++] = us_of(json_array_get(dials, i));
    }
}

static void add_lead(struct forecast_job *job, const json_t *row)
{
    struct forecast_lead lead = {0};
    const char *name;
    json_t *tries;

    lead.place = (uint32_t)json_integer_value(json_array_get(row, 0));
    lead.due_us = us_of(json_array_get(row, 1));
    lead.rank = (int32_t)json_integer_value(json_array_get(row, 2));
    lead.line = (uint32_t)json_integer_value(json_array_get(row, 3));
    lead.attempts = (uint16_t)json_integer_value(json_array_get(row, 4));
    json_object_foreach(json_array_get(row, 5), name, tries)
    {
        enum forecast_outcome o = outcome_of(name);
        if (o < FORECAST_OUTCOME_COUNT) {
            lead.same[o] = (uint8_t)i64_min(json_integer_value(tries), UINT8_MAX);
        }
    }
    add_dials(job, &lead, json_array_get(row, 6));
    if (job->plan.lead_count == job->lead_room) {
        job->lead_room = job->lead_room > 0 ? 2 * job->lead_room : PAGE_LEADS;
        job->leads = xrealloc(job->leads, job->lead_room * sizeof *job->leads);
    }
    job->leads[job->plan.lead_count++] = lead;
}

static void add_blocked(struct forecast_job *job, const json_t *blocked)
{
    const char *reason;
    json_t *leads;

    json_object_foreach((json_t *)(uintptr_t)blocked, reason, leads)
    {
        int64_t had = json_get_i64(job->blocked, reason, 0);
        (void)json_object_set_new(job->blocked, reason,
                                  json_integer(had + json_integer_value(leads)));
    }
}

static enum exit_code load_leads(struct cmd *cmd, struct forecast_job *job)
{
    int64_t expected = i64_min(job->leads_open, job->sample_most);

    (void)json_object_set(job->doc, "threshold", json_get(job->brief, "threshold"));
    (void)json_object_set_new(job->doc, "page", json_integer(PAGE_LEADS));
    (void)json_object_set_new(job->doc, "places", place_index(job));
    for (;;) {
        OWNED(json_free) json_t *answer = NULL;
        forecast_progress("leads", job->leads_seen, expected);
        enum exit_code code = cmd_ask(cmd, ADMIN_FORECAST_PAGE, job->doc, &answer);
        if (code != EXIT_DONE) {
            return code;
        }
        const json_t *rows = json_get_array(answer, "leads");
        for (size_t i = 0; i < json_array_size(rows); i++) {
            add_lead(job, json_array_get(rows, i));
        }
        add_blocked(job, json_get(answer, "blocked"));
        int64_t seen = json_get_i64(answer, "seen", 0);
        job->leads_seen += seen;
        if (seen < PAGE_LEADS) {
            forecast_progress("leads", expected, expected);
            return EXIT_DONE;
        }
        json_set_str(job->doc, "after", json_get_str(answer, "after"));
    }
}

/* A sample stands for all: each of its leads comes as often as it takes. */
static void fill_up(struct forecast_job *job)
{
    size_t count = job->plan.lead_count;
    double factor = job->leads_seen > 0 ? (double)job->leads_open / (double)job->leads_seen : 1.0;
    size_t wanted = (size_t)llround((double)count * factor);
    const char *reason;
    json_t *leads;

    if (wanted <= count || count == 0) {
        return;
    }
    job->leads = xrealloc(job->leads, wanted * sizeof *job->leads);
    for (size_t i = count; i < wanted; i++) {
        job->leads[i] = job->leads[i % count];
        job->leads[i].line = (uint32_t)i;
    }
    job->plan.lead_count = wanted;
    json_object_foreach(job->blocked, reason, leads)
    {
        (void)json_integer_set(leads, llround((double)json_integer_value(leads) * factor));
    }
}

enum exit_code forecast_load(struct cmd *cmd, struct forecast_job *job)
{
    job->blocked = json_object();
    (void)json_object_set_new(job->doc, "sample", json_integer(job->sample_most));
    enum exit_code code = cmd_ask(cmd, ADMIN_FORECAST_BRIEF, job->doc, &job->brief);
    if (code != EXIT_DONE) {
        return code;
    }
    read_brief(cmd, job);
    job->plan.place_count = json_array_size(json_get_array(job->brief, "places"));
    job->places = xcalloc(job->plan.place_count + 1, sizeof *job->places);
    code = forecast_load_days(cmd, job, job->days);
    if (code == EXIT_DONE && job->leads_open > 0) {
        code = load_leads(cmd, job);
    }
    fill_up(job);
    job->plan.places = job->places;
    job->plan.leads = job->leads;
    job->plan.dials = job->dials;
    return code;
}

void forecast_unload(struct forecast_job *job)
{
    for (size_t i = 0; job->places && i < job->plan.place_count; i++) {
        place_free(&job->places[i]);
    }
    xfree(job->dials);
    xfree(job->leads);
    xfree(job->places);
    xfree(job->numbers);
    xfree(job->accounts);
    json_free(&job->blocked);
    json_free(&job->brief);
    json_free(&job->doc);
}
