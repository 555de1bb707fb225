#include "cli/forecast_load.h"

#include "base/alloc.h"
#include "base/clock.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* `forecast CAMPAIGN`: loads the plan (forecast_load.c), runs it forward many times, and tells what
 * came out. */
enum {
    OPT_LINES = 1,
    OPT_CPS,
    OPT_HOURS,
    OPT_RETRIES,
    OPT_RUNS,
    OPT_SEED,
    OPT_AT,
    OPT_SAMPLE,
};

#define RUNS_MAX        100000
#define RUNS_MIN        10
#define RUNS_DEFAULT    200
#define STEPS_DEFAULT   20000000 /* attempts simulated in all, unless --runs says otherwise */
#define SAMPLE_DEFAULT  25000
#define DAYS_FIRST      92
#define DAYS_MOST       370
#define SHORT_CALLS_MAX 0.20 /* Plivo's surcharge begins above it; the guard of the gate as well */

/* --- runs --------------------------------------------------------------------------------------- */

struct outlook {
    struct forecast_result *runs; /* one result each */
    size_t count;
    uint64_t seed;
    double seconds;
};

static void run_all(struct forecast_job *job, struct outlook *o)
{
    struct forecast_sim *sim = forecast_sim_new(&job->plan);
    int64_t begun_us = clock_mono_us();

    for (size_t i = 0; i < o->count; i++) {
        struct forecast_rates rates;
        forecast_progress("runs", (int64_t)i, (int64_t)o->count);
        forecast_rates_from(&job->history, &job->defaults, o->seed + i, &rates);
        forecast_run(sim, &rates, o->seed + i, &o->runs[i]);
    }
    forecast_progress("runs", 1, 1);
    o->seconds = (double)(clock_mono_us() - begun_us) / 1e6;
    forecast_sim_free(&sim);
}

/* One figure of every run. */
typedef double figure_fn(const struct forecast_result *r);

static double done_of(const struct forecast_result *r)
{
    return (double)r->done_us;
}
static double calls_of(const struct forecast_result *r)
{
    return (double)r->calls;
}
static double answered_of(const struct forecast_result *r)
{
    return (double)r->outcomes[FORECAST_ANSWERED];
}
static double dialed_of(const struct forecast_result *r)
{
    return (double)r->leads_dialed;
}
static double cost_of(const struct forecast_result *r)
{
    return (double)(r->carrier_micros + r->model_micros);
}
static double carrier_of(const struct forecast_result *r)
{
    return (double)r->carrier_micros;
}
static double model_of(const struct forecast_result *r)
{
    return (double)r->model_micros;
}
static double talk_of(const struct forecast_result *r)
{
    return r->talk_s;
}
static double lines_of(const struct forecast_result *r)
{
    return (double)r->most_lines;
}
static double left_of(const struct forecast_result *r)
{
    return (double)r->leads_left_undialed;
}
static double cut_of(const struct forecast_result *r)
{
    return (double)(r->leads_left - r->leads_left_undialed);
}
/* Short calls among those that were picked up, by a person or a machine. */
static double short_of(const struct forecast_result *r)
{
    uint64_t up = r->outcomes[FORECAST_ANSWERED] + r->outcomes[FORECAST_VOICEMAIL];

    return up > 0 ? (double)r->short_calls / (double)up : 0.0;
}

static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a;
    const double y = *(const double *)b;

    return (x > y) - (x < y);
}

struct spread {
    double p10;
    double median;
    double p90;
};

static double at_part(const double *sorted, size_t count, double part)
{
    double place = part * (double)(count - 1);
    size_t i = (size_t)place;
    size_t next = i + 1 < count ? i + 1 : i;

    return sorted[i] + (sorted[next] - sorted[i]) * (place - (double)i);
}

static struct spread spread_of(const struct outlook *o, figure_fn *figure)
{
    double *values = xcalloc(o->count, sizeof *values);

    for (size_t i = 0; i < o->count; i++) {
        values[i] = figure(&o->runs[i]);
    }
    qsort(values, o->count, sizeof *values, compare);
    struct spread s = {at_part(values, o->count, 0.1), at_part(values, o->count, 0.5),
                       at_part(values, o->count, 0.9)};
    xfree(values);
    return s;
}

static json_t *spread_json(const struct outlook *o, figure_fn *figure)
{
    struct spread s = spread_of(o, figure);

    return json_pack("{s:I,s:I,s:I}", "median", (json_int_t)llround(s.median), "p10",
                     (json_int_t)llround(s.p10), "p90", (json_int_t)llround(s.p90));
}

static json_t *moment_json(double us)
{
    char text[CLOCK_TEXT_SIZE];

    clock_format(llround(us / 1e6) * US_PER_S, text);
    return json_stringn(text, 19);
}

/* --- the answer --------------------------------------------------------------------------------- */

static json_t *days_json(const struct forecast_job *job, const struct outlook *o)
{
    json_t *days = json_array();
    int64_t day_us = 86400 * US_PER_S;
    int64_t first_us = job->plan.start_us / day_us * day_us;
    size_t last = 0;

    for (size_t i = 0; i < o->count; i++) {
        for (size_t d = last; d < FORECAST_DAYS; d++) {
            last = o->runs[i].calls_by_day[d] > 0 ? d + 1 : last;
        }
    }
    for (size_t d = 0; d < last; d++) {
        double sum = 0;
        char text[CLOCK_TEXT_SIZE];
        for (size_t i = 0; i < o->count; i++) {
            sum += o->runs[i].calls_by_day[d];
        }
        clock_format(first_us + (int64_t)d * day_us, text);
        text[10] = '\0';
        (void)json_array_append_new(days, json_pack("{s:s,s:I}", "day", text, "calls",
                                                    (json_int_t)llround(sum / (double)o->count)));
    }
    return days;
}

static void add_reason(json_t *list, const struct forecast_job *job, const char *reason,
                       int64_t leads, const char *words)
{
    const json_t *known = json_get(json_get(job->brief, "words"), reason);

    if (leads > 0) {
        (void)json_array_append_new(
            list, json_pack("{s:s,s:I,s:s}", "reason", reason, "leads", (json_int_t)leads, "words",
                            words ? words : (known ? json_string_value(known) : reason)));
    }
}

static json_t *not_called_json(const struct forecast_job *job, const struct outlook *o,
                               enum forecast_end end)
{
    json_t *list = json_array();
    const char *reason;
    json_t *leads;

    json_object_foreach(job->blocked, reason, leads)
    {
        add_reason(list, job, reason, json_integer_value(leads), NULL);
    }
    int64_t left = llround(spread_of(o, left_of).median);
    if (end == FORECAST_END_BUDGET) {
        add_reason(list, job, "budget", left, NULL);
    } else {
        add_reason(list, job, "horizon", left, "not their turn within the time looked at");
    }
    return list;
}

static const char *const end_names[] = {[FORECAST_END_DONE] = "finished",
                                        [FORECAST_END_BUDGET] = "budget",
                                        [FORECAST_END_HORIZON] = "not_finished"};

/* How most runs end. */
static enum forecast_end usual_end(const struct outlook *o)
{
    size_t seen[COUNT_OF(end_names)] = {0};
    enum forecast_end most = FORECAST_END_DONE;

    for (size_t i = 0; i < o->count; i++) {
        seen[o->runs[i].end]++;
    }
    for (size_t e = 0; e < COUNT_OF(end_names); e++) {
        most = seen[e] > seen[most] ? (enum forecast_end)e : most;
    }
    return most;
}

PRINTF_LIKE(2, 3)
static void assume(json_t *list, const char *fmt, ...)
{
    char text[400];
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    (void)json_array_append_new(list, json_string(text));
}

static json_t *assumptions_json(const struct forecast_job *job)
{
    const json_t *history = json_get(job->brief, "history");
    long long calls = (long long)json_get_i64(history, "calls", 0);
    const char *currency = json_string_value(json_get(job->brief, "currency"));
    struct forecast_rates rates;
    json_t *list = json_array();

    forecast_rates_from(&job->history, &job->defaults, 0, &rates);
    assume(
        list,
        "answer rates: %lld calls of the last 30 days%s; answered %.0f %% / %.0f %% / %.0f %% of "
        "first, second, third attempts",
        calls, calls < FORECAST_PRIOR ? " (too few: defaults)" : "", 100 * rates.share[0][0],
        100 * rates.share[1][0], 100 * rates.share[2][0]);
    assume(list, "talk: median %.0f s, from %u calls%s", (double)rates.talk.s[32],
           job->history.talk.count,
           job->history.talk.count < FORECAST_LENGTHS_MIN ? " (mixed with the default)" : "");
    assume(list, "carrier %.4f %s a minute, %s; model %.4f a minute, %s",
           (double)job->plan.carrier_micros_per_minute / 1e6, currency ? currency : "",
           job->carrier_rate, (double)job->plan.model_micros_per_minute / 1e6,
           job->model_rate_known ? "as paid of late" : "the rest of the account's rate");
    for (size_t i = 0; i < job->plan.account_count; i++) {
        assume(list, "account %zu: %u lines, %.2f calls a second for this campaign", i + 1,
               job->plan.accounts[i].lines, job->plan.accounts[i].calls_per_second);
    }
    if (job->leads_seen < job->leads_open) {
        assume(list, "the gate was asked about %lld of %lld leads, drawn by chance",
               (long long)job->leads_seen, (long long)job->leads_open);
    }
    if (json_is_string(json_get(job->brief, "paused"))) {
        assume(list, "dialing is paused (%s) now: as if it were resumed at once",
               json_string_value(json_get(job->brief, "paused")));
    }
    assume(list, "nobody adds leads, opts out or asks to be called back meanwhile; other campaigns "
                 "go on as now");
    return list;
}

static json_t *answer_json(const struct forecast_job *job, const struct outlook *o)
{
    struct spread done = spread_of(o, done_of);
    double short_calls = spread_of(o, short_of).median;
    enum forecast_end end = usual_end(o);
    const char *currency = json_string_value(json_get(job->brief, "currency"));
    json_t *answer = json_object();
    int64_t callable = (int64_t)job->plan.lead_count;

    (void)json_object_set(answer, "campaign", json_get(job->brief, "campaign"));
    (void)json_object_set(answer, "status", json_get(job->brief, "status"));
    (void)json_object_set(answer, "lacks", json_get(job->brief, "lacks"));
    (void)json_object_set_new(answer, "start", moment_json((double)job->plan.start_us));
    (void)json_object_set_new(answer, "leads", json_integer(job->leads_open));
    (void)json_object_set_new(answer, "callable", json_integer(callable));
    (void)json_object_set_new(answer, "not_called", not_called_json(job, o, end));
    (void)json_object_set_new(answer, "end", json_string(end_names[end]));
    (void)json_object_set_new(answer, "done",
                              json_pack("{s:o,s:o,s:o}", "median", moment_json(done.median), "p10",
                                        moment_json(done.p10), "p90", moment_json(done.p90)));
    (void)json_object_set_new(
        answer, "done_s", json_integer(llround((done.median - (double)job->plan.start_us) / 1e6)));
    (void)json_object_set_new(answer, "leads_dialed", spread_json(o, dialed_of));
    (void)json_object_set_new(answer, "leads_cut_short", spread_json(o, cut_of));
    (void)json_object_set_new(answer, "calls", spread_json(o, calls_of));
    (void)json_object_set_new(answer, "answered", spread_json(o, answered_of));
    (void)json_object_set_new(answer, "talk_s", spread_json(o, talk_of));
    (void)json_object_set_new(answer, "calls_by_day", days_json(job, o));
    (void)json_object_set_new(
        answer, "cost",
        json_pack("{s:s,s:o,s:o,s:o}", "currency", currency ? currency : "USD", "total_micros",
                  spread_json(o, cost_of), "carrier_micros", spread_json(o, carrier_of),
                  "model_micros", spread_json(o, model_of)));
    (void)json_object_set_new(answer, "short_calls",
                              json_pack("{s:f,s:f,s:b}", "ratio", short_calls, "guard",
                                        SHORT_CALLS_MAX, "over", short_calls > SHORT_CALLS_MAX));
    (void)json_object_set_new(answer, "lines_used", spread_json(o, lines_of));
    (void)json_object_set_new(answer, "runs", json_integer((json_int_t)o->count));
    (void)json_object_set_new(answer, "seed", json_integer((json_int_t)o->seed));
    (void)json_object_set_new(answer, "run_seconds", json_real(o->seconds));
    (void)json_object_set_new(answer, "assumptions", assumptions_json(job));
    return answer;
}

/* --- for people --------------------------------------------------------------------------------- */

static double member(const json_t *answer, const char *key, const char *part)
{
    return json_get_double(json_get(answer, key), part, 0);
}

static void print_spread(const json_t *answer, const char *key, const char *words)
{
    (void)printf("  %-22s %12.0f   (%.0f to %.0f)\n", words, member(answer, key, "median"),
                 member(answer, key, "p10"), member(answer, key, "p90"));
}

static void print_done(const json_t *answer)
{
    const json_t *done = json_get(answer, "done");
    const char *end = json_string_value(json_get(answer, "end"));

    if (member(answer, "calls", "median") == 0) {
        (void)printf("Nobody will be called.\n");
        return;
    }
    (void)printf("%s %s UTC   (",
                 strcmp(end, "budget") == 0     ? "The budget ends it at"
                 : strcmp(end, "finished") == 0 ? "Done at"
                                                : "Not finished in a year; last call at",
                 cmd_text(done, "median"));
    (void)printf("80 of 100 runs between %s ", cmd_text(done, "p10"));
    (void)printf("and %s)\n", cmd_text(done, "p90"));
}

static void print_days(const json_t *days)
{
    int64_t most = 1;

    for (size_t i = 0; i < json_array_size(days); i++) {
        most = i64_max(most, json_get_i64(json_array_get(days, i), "calls", 0));
    }
    (void)printf("\nCalls a day\n");
    for (size_t i = 0; i < json_array_size(days) && i < 40; i++) {
        const json_t *d = json_array_get(days, i);
        int64_t calls = json_get_i64(d, "calls", 0);
        (void)printf("  %s %8lld  %.*s\n", cmd_text(d, "day"), (long long)calls,
                     (int)(40 * calls / most), "########################################");
    }
    if (json_array_size(days) > 40) {
        (void)printf("  … and %zu more days\n", json_array_size(days) - 40);
    }
}

static void print_forecast(const json_t *answer)
{
    const json_t *lacks = json_get_array(answer, "lacks");
    const json_t *blocked = json_get_array(answer, "not_called");
    const json_t *assumptions = json_get_array(answer, "assumptions");
    const json_t *cost = json_get(answer, "cost");

    (void)printf("%s: ", cmd_text(answer, "campaign"));
    (void)printf("%lld leads to call, %lld of them may be called\n",
                 (long long)json_get_i64(answer, "leads", 0),
                 (long long)json_get_i64(answer, "callable", 0));
    print_done(answer);
    print_spread(answer, "calls", "calls");
    print_spread(answer, "leads_dialed", "people phoned");
    print_spread(answer, "answered", "talks");
    (void)printf("  cost %30.2f %s   (%.2f to %.2f; carrier %.2f, model %.2f)\n",
                 member(cost, "total_micros", "median") / 1e6, cmd_text(cost, "currency"),
                 member(cost, "total_micros", "p10") / 1e6,
                 member(cost, "total_micros", "p90") / 1e6,
                 member(cost, "carrier_micros", "median") / 1e6,
                 member(cost, "model_micros", "median") / 1e6);
    (void)printf("  short calls %21.1f %%   (guard at %.0f %%%s)\n",
                 100 * member(answer, "short_calls", "ratio"), 100 * SHORT_CALLS_MAX,
                 json_get_bool(json_get(answer, "short_calls"), "over", false)
                     ? ": IT WILL STOP THIS CAMPAIGN"
                     : "");
    (void)printf("\nNot called%s\n", json_array_size(blocked) > 0 ? "" : ": nobody");
    for (size_t i = 0; i < json_array_size(blocked); i++) {
        const json_t *b = json_array_get(blocked, i);
        (void)printf("  %8lld  ", (long long)json_get_i64(b, "leads", 0));
        (void)printf("%-20s ", cmd_text(b, "reason"));
        (void)printf("%s\n", cmd_text(b, "words"));
    }
    print_days(json_get_array(answer, "calls_by_day"));
    (void)printf("\nAssumed\n");
    for (size_t i = 0; i < json_array_size(assumptions); i++) {
        (void)printf("  %s\n", json_string_value(json_array_get(assumptions, i)));
    }
    for (size_t i = 0; i < json_array_size(lacks); i++) {
        (void)printf("Before it can start it lacks %s\n",
                     json_string_value(json_array_get(lacks, i)));
    }
}

/* --- the command -------------------------------------------------------------------------------- */

/* "9-18", "09:30-18:00": onto the document as from and to. */
static bool put_hours(json_t *doc, const char *text)
{
    struct str rest = str_of(text);
    struct str from;
    static const char *const keys[] = {"from", "to"};

    if (str_find_char(rest, '-') < 1) {
        return false;
    }
    (void)str_split(&rest, '-', &from);
    struct str ends[] = {from, rest};
    for (size_t i = 0; i < COUNT_OF(ends); i++) {
        struct str tail = ends[i];
        struct str head;
        int64_t hour;
        int64_t minute = 0;
        char time[16];
        (void)str_split(&tail, ':', &head);
        if (str_to_i64(head, &hour) < 0 || (tail.len > 0 && str_to_i64(tail, &minute) < 0) ||
            hour < 0 || hour > 24 || minute < 0 || minute > 59 || (hour == 24 && minute > 0)) {
            return false;
        }
        (void)snprintf(time, sizeof time, "%02d:%02d", (int)hour, (int)minute);
        json_set_str(doc, keys[i], str_of(time));
    }
    return !str_eq(json_get_str(doc, "from"), json_get_str(doc, "to"));
}

struct slider {
    int option;
    const char *flag;
    const char *key; /* onto the document, or NULL */
    int64_t least;
    int64_t most;
    int64_t value;
};

static enum exit_code read_sliders(struct cmd *cmd, struct slider *s, size_t count, json_t *doc)
{
    for (size_t i = 0; i < count; i++) {
        const char *text = cmd->options[s[i].option];
        if (!text) {
            continue;
        }
        if (str_to_i64(str_of(text), &s[i].value) < 0 || s[i].value < s[i].least ||
            s[i].value > s[i].most) {
            return cmd_usage(cmd, "%s wants a number from %lld to %lld, not %s", s[i].flag,
                             (long long)s[i].least, (long long)s[i].most, text);
        }
        if (s[i].key) {
            (void)json_object_set_new(doc, s[i].key, json_integer(s[i].value));
        }
    }
    double cps;
    const char *text = cmd->options[OPT_CPS];
    if (text) {
        if (str_to_double(str_of(text), &cps) < 0 || !(cps > 0.0) || cps > 100000) {
            return cmd_usage(cmd, "--cps wants calls a second above 0, not %s", text);
        }
        (void)json_object_set_new(doc, "cps", json_real(cps));
    }
    if (cmd->options[OPT_HOURS] && !put_hours(doc, cmd->options[OPT_HOURS])) {
        return cmd_usage(cmd, "--hours wants FROM-TO like 9-18 or 09:30-18:00, not %s",
                         cmd->options[OPT_HOURS]);
    }
    return EXIT_DONE;
}

static size_t runs_wanted(const struct forecast_job *job, int64_t asked)
{
    if (asked > 0) {
        return (size_t)asked;
    }
    int64_t attempts = i64_max(1, (int64_t)job->plan.lead_count * 2);

    return (size_t)i64_max(RUNS_MIN, i64_min(RUNS_DEFAULT, STEPS_DEFAULT / attempts));
}

/* Runs; and once more with a longer calendar where the first was too short. */
static enum exit_code look_ahead(struct cmd *cmd, struct forecast_job *job, struct outlook *o)
{
    run_all(job, o);
    if (usual_end(o) != FORECAST_END_HORIZON) {
        return EXIT_DONE;
    }
    enum exit_code code = forecast_load_days(cmd, job, DAYS_MOST);
    if (code == EXIT_DONE) {
        run_all(job, o);
    }
    return code;
}

static enum exit_code forecast(struct cmd *cmd, struct forecast_job *job, struct outlook *o,
                               int64_t runs)
{
    OWNED(json_free) json_t *answer = NULL;
    enum exit_code code = forecast_load(cmd, job);

    if (code != EXIT_DONE) {
        return code;
    }
    const char *cannot = forecast_check(&job->plan);
    if (cannot) {
        char why[200];
        (void)snprintf(why, sizeof why, "nobody can be called: the campaign has %s", cannot);
        return cmd_refuse(cmd, str_of(why));
    }
    o->count = runs_wanted(job, runs);
    o->runs = xcalloc(o->count, sizeof *o->runs);
    code = look_ahead(cmd, job, o);
    if (code != EXIT_DONE) {
        return code;
    }
    answer = answer_json(job, o);
    return cmd_show(cmd, answer, print_forecast);
}

static enum exit_code run_forecast(struct cmd *cmd)
{
    struct slider sliders[] = {{OPT_LINES, "--lines", "lines", 1, 100000, 0},
                               {OPT_RETRIES, "--retries", "retries", 0, 99, 0},
                               {OPT_RUNS, "--runs", NULL, 1, RUNS_MAX, 0},
                               {OPT_SEED, "--seed", NULL, 1, INT64_MAX / 2, 1},
                               {OPT_SAMPLE, "--sample", NULL, 1, INT64_MAX / 2, SAMPLE_DEFAULT}};
    struct forecast_job job = {.days = DAYS_FIRST};
    struct outlook o = {0};

    job.doc = cmd_doc(cmd, "campaign", cmd->args[0], "at", cmd->options[OPT_AT], NULL);
    enum exit_code code = read_sliders(cmd, sliders, COUNT_OF(sliders), job.doc);
    int64_t at_us;
    if (code == EXIT_DONE && cmd->options[OPT_AT] &&
        clock_parse(str_of(cmd->options[OPT_AT]), &at_us) < 0) {
        code = cmd_usage(cmd, "--at wants a moment like 2026-11-23T09:00:00Z, not %s",
                         cmd->options[OPT_AT]);
    }
    if (code == EXIT_DONE) {
        o.seed = (uint64_t)sliders[3].value;
        job.sample_most = sliders[4].value;
        code = forecast(cmd, &job, &o, sliders[2].value);
    }
    xfree(o.runs);
    forecast_unload(&job);
    return code;
}

static const struct argp_option forecast_options[] = {
    {"lines", OPT_LINES, "N", 0, "As if the campaign had N lines", 0},
    {"cps", OPT_CPS, "X", 0, "As if it began X calls a second", 0},
    {"hours", OPT_HOURS, "FROM-TO", 0,
     "As if it called between these hours (9-18); the law's hours stay", 0},
    {"retries", OPT_RETRIES, "N", 0, "As if a lead were tried again at most N times", 0},
    {"at", OPT_AT, "MOMENT", 0, "As if it were started then (RFC 3339; default now)", 0},
    {"runs", OPT_RUNS, "N", 0, "So many runs (default 10 to 200, by size)", 0},
    {"seed", OPT_SEED, "S", 0,
     "Chance begins here (default 1); the same seed gives the same answer", 0},
    {"sample", OPT_SAMPLE, "N", 0, "Ask the gate about at most N leads (default 25000)", 0},
    {0},
};

const struct cmd_spec cmd_specs_forecast[] = {
    {.name = "forecast",
     .args_doc = "CAMPAIGN",
     .words =
         "What starting a campaign would bring: when it is done, calls, cost, who is not called\v"
         "Runs gate, pacing and retries forward on a virtual clock, many times, with the answer "
         "rates of your last 30 days. Reads only: nothing is changed or locked. Exit 0 with an "
         "answer, 3 when nobody can be called.",
     .needs = CMD_TENANT,
     .args_min = 1,
     .args_max = 1,
     .run = run_forecast,
     .options = forecast_options},
    {0},
};
