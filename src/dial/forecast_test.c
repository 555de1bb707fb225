/* The forecast's simulator and its rates: small campaigns whose course can be told beforehand. */
#include "dial/forecast_rates.h"

#include "base/alloc.h"
#include "base/clock.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#define START  1795000000000000LL
#define MINUTE (60 * US_PER_S)
#define HOUR   (60 * MINUTE)
#define DAY    (24 * HOUR)
#define LEADS  2000

/* One place that is always open, one account, one line more than anybody needs. */
struct world {
    struct forecast_span spans[64];
    struct forecast_place place;
    struct forecast_account account;
    struct forecast_line number;
    struct forecast_lead leads[LEADS];
    int64_t dials[16];
    struct forecast_plan plan;
    struct forecast_rates rates;
    struct forecast_result result;
    struct forecast_call calls[4 * LEADS];
    size_t call_count;
};

static struct world w;

static void constant(struct forecast_quantiles *q, float s)
{
    for (size_t i = 0; i < FORECAST_QUANTILES; i++) {
        q->s[i] = s;
    }
}

static void always(enum forecast_outcome outcome)
{
    memset(w.rates.share, 0, sizeof w.rates.share);
    for (size_t k = 0; k < FORECAST_ATTEMPTS; k++) {
        w.rates.share[k][outcome] = 1.0;
    }
}

static void begin(size_t leads)
{
    memset(&w, 0, sizeof w);
    w.spans[0] = (struct forecast_span){START - DAY, START + 60 * DAY, 0};
    w.place = (struct forecast_place){.spans = w.spans, .span_count = 1, .cap = {3, 7, 0}};
    w.account = (struct forecast_account){.lines = 1000, .calls_per_second = 1000};
    for (size_t i = 0; i < leads; i++) {
        w.leads[i] = (struct forecast_lead){.due_us = START};
    }
    w.plan = (struct forecast_plan){.start_us = START,
                                    .horizon_us = START + 50 * DAY,
                                    .claim_interval_us = US_PER_S,
                                    .calls_max = 1000,
                                    .lines = 1000,
                                    .calls_per_second = 1000,
                                    .max_attempts = 3,
                                    .spacing_us = 30 * MINUTE,
                                    .accounts = &w.account,
                                    .account_count = 1,
                                    .numbers = &w.number,
                                    .number_count = 1,
                                    .places = &w.place,
                                    .place_count = 1,
                                    .leads = w.leads,
                                    .lead_count = leads,
                                    .dials = w.dials,
                                    .budget_micros = INT64_MAX,
                                    .carrier_micros_per_minute = 10000,
                                    .model_micros_per_minute = 50000,
                                    .billing_step_s = 60,
                                    .short_call_s = 6};
    memset(w.plan.wait_us, 0xff, sizeof w.plan.wait_us);
    w.plan.wait_us[FORECAST_NO_ANSWER][0] = 2 * HOUR;
    w.plan.wait_us[FORECAST_NO_ANSWER][1] = 24 * HOUR;
    for (size_t h = 0; h < 24; h++) {
        w.rates.hour[h] = 1.0;
    }
    for (size_t o = 0; o < FORECAST_OUTCOME_COUNT; o++) {
        constant(&w.rates.ring[o], 10);
    }
    constant(&w.rates.talk, 50);
    constant(&w.rates.machine, 5);
    always(FORECAST_ANSWERED);
}

static void on_call(const struct forecast_call *call, void *arg)
{
    (void)arg;
    w.calls[w.call_count++] = *call;
}

static void run(uint64_t seed)
{
    struct forecast_sim *sim = forecast_sim_new(&w.plan);

    cr_assert_null(forecast_check(&w.plan));
    w.call_count = 0;
    forecast_watch(sim, on_call, NULL);
    forecast_run(sim, &w.rates, seed, &w.result);
    forecast_sim_free(&sim);
}

#define EQ(a, b) cr_expect_eq((int64_t)(a), (int64_t)(b), #a " is %lld", (long long)(a))

Test(forecast, nobody_is_done_at_once)
{
    begin(0);
    run(1);
    EQ(w.result.end, FORECAST_END_DONE);
    EQ(w.result.done_us, START);
    EQ(w.result.calls, 0);
}

Test(forecast, one_line_takes_one_after_the_other)
{
    begin(10);
    w.plan.lines = 1;
    run(1);
    /* A line that becomes free is used at once: ten calls of a minute. */
    EQ(w.result.done_us - START, 10 * MINUTE);
    EQ(w.result.calls, 10);
    EQ(w.result.leads_answered, 10);
    EQ(w.result.most_lines, 1);
    EQ(w.result.calls_by_day[0], 10);
}

Test(forecast, lines_are_the_fewest_of_campaign_account_number_and_node)
{
    static const struct {
        uint32_t campaign, account, number, node, most;
    } rows[] = {
        {2, 9, 0, 9, 2}, {9, 2, 0, 9, 2}, {9, 9, 2, 9, 2}, {9, 9, 0, 2, 2}, {9, 9, 0, 9, 9}};

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        begin(20);
        w.plan.lines = rows[i].campaign;
        w.account.lines = rows[i].account;
        w.number.lines = rows[i].number;
        w.plan.calls_max = rows[i].node;
        run(1);
        cr_expect_eq(w.result.most_lines, rows[i].most, "row %zu", i);
        EQ(w.result.calls, 20);
    }
}

/* Three a second of the campaign: at most three begin within any second; half a second of the
 * account: one every two seconds. */
Test(forecast, calls_per_second_hold_over_every_span)
{
    static const double rates[] = {3, 0.5, 2.5};

    for (size_t i = 0; i < COUNT_OF(rates); i++) {
        begin(60);
        w.plan.calls_per_second = i == 1 ? 1000 : rates[i];
        w.account.calls_per_second = i == 1 ? rates[i] : 1000;
        run(1);
        size_t most = (size_t)fmax(1, floor(rates[i]));
        int64_t span_us = llround((double)most / rates[i] * 1e6);
        for (size_t c = most; c < w.call_count; c++) {
            cr_expect_geq(w.calls[c].begin_us - w.calls[c - most].begin_us, span_us);
        }
        /* And the pace is used: to the daemon's interval. */
        int64_t took_us = w.calls[w.call_count - 1].begin_us - START;
        int64_t least_us = (int64_t)((60 - most) / most) * span_us;
        cr_expect_geq(took_us, least_us);
        cr_expect_leq(took_us, least_us + least_us / 2 + (int64_t)(60 / most) * US_PER_S);
    }
}

Test(forecast, retries_wait_and_end)
{
    begin(1);
    always(FORECAST_NO_ANSWER);
    run(1);
    EQ(w.call_count, 3);
    EQ(w.calls[1].begin_us - w.calls[0].end_us, 2 * HOUR);
    EQ(w.calls[2].begin_us - w.calls[1].end_us, 24 * HOUR);
    EQ(w.result.outcomes[FORECAST_NO_ANSWER], 3);
    EQ(w.result.leads_answered, 0);
    EQ(w.result.leads_dialed, 1);
}

Test(forecast, attempts_made_before_count)
{
    begin(1);
    always(FORECAST_NO_ANSWER);
    w.leads[0].attempts = 2;
    w.leads[0].same[FORECAST_NO_ANSWER] = 1;
    run(1);
    EQ(w.call_count, 1);
}

Test(forecast, caps_of_the_number_hold_a_retry_back)
{
    begin(1);
    always(FORECAST_NO_ANSWER);
    for (size_t i = 0; i < 3; i++) {
        w.plan.wait_us[FORECAST_NO_ANSWER][i] = MINUTE;
    }
    w.plan.max_attempts = 4;
    run(1);
    EQ(w.call_count, 4);
    /* Thirty minutes apart, counted from the beginning; the fourth a day after the first. */
    EQ(w.calls[1].begin_us - w.calls[0].begin_us, 30 * MINUTE);
    EQ(w.calls[2].begin_us - w.calls[1].begin_us, 30 * MINUTE);
    EQ(w.calls[3].begin_us - w.calls[0].begin_us, DAY);
}

Test(forecast, dials_of_other_campaigns_count)
{
    begin(1);
    w.dials[0] = START - 20 * HOUR;
    w.dials[1] = START - 10 * HOUR;
    w.dials[2] = START - 10 * MINUTE;
    w.leads[0].dial_count = 3;
    run(1);
    EQ(w.calls[0].begin_us, START + 4 * HOUR);
}

/* What never rang (no such number) uses nothing of the caps up. */
Test(forecast, a_number_that_does_not_exist_has_no_caps)
{
    begin(1);
    always(FORECAST_FAILED);
    w.plan.wait_us[FORECAST_FAILED][0] = MINUTE;
    w.plan.wait_us[FORECAST_FAILED][1] = MINUTE;
    run(1);
    EQ(w.calls[1].begin_us - w.calls[0].end_us, MINUTE);
}

Test(forecast, not_placed_is_no_attempt_and_repeats_its_last_wait)
{
    begin(1);
    always(FORECAST_NOT_PLACED);
    for (size_t i = 0; i < 19; i++) {
        w.plan.wait_us[FORECAST_NOT_PLACED][i] = MINUTE;
    }
    run(1);
    EQ(w.call_count, 20);
    EQ(w.result.calls, 0);
    EQ(w.result.leads_dialed, 0);
}

Test(forecast, nobody_is_dialed_outside_the_openings)
{
    begin(LEADS);
    for (int64_t d = 0; d < 60; d++) {
        w.spans[d] =
            (struct forecast_span){START + d * DAY + HOUR, START + d * DAY + 3 * HOUR, 3600};
    }
    w.place.span_count = 60;
    w.plan.lines = 5;
    for (size_t k = 0; k < FORECAST_ATTEMPTS; k++) {
        w.rates.share[k][FORECAST_ANSWERED] = 0.5;
        w.rates.share[k][FORECAST_NO_ANSWER] = 0.5;
    }
    run(7);
    EQ(w.result.end, FORECAST_END_DONE);
    for (size_t i = 0; i < w.call_count; i++) {
        int64_t in_day = (w.calls[i].begin_us - START) % DAY;
        cr_assert(in_day >= HOUR && in_day < 3 * HOUR, "call %zu", i);
    }
    /* Two hours a day at five calls of at most a minute: it takes days, and they add up. */
    uint64_t sum = 0;
    for (size_t d = 0; d < FORECAST_DAYS; d++) {
        sum += w.result.calls_by_day[d];
    }
    EQ(sum, w.result.calls);
    cr_expect_gt(w.result.done_us, START + 2 * DAY);
}

Test(forecast, closed_for_ever_dials_nobody)
{
    begin(5);
    w.place.span_count = 0;
    run(1);
    EQ(w.result.calls, 0);
    EQ(w.result.leads_never_open, 5);
    EQ(w.result.end, FORECAST_END_DONE);
}

Test(forecast, the_horizon_ends_what_does_not_end)
{
    begin(10);
    w.plan.lines = 1;
    w.plan.horizon_us = START + 5 * MINUTE;
    run(1);
    EQ(w.result.end, FORECAST_END_HORIZON);
    EQ(w.result.calls, 5);
    EQ(w.result.leads_left, 5);
    EQ(w.result.leads_left_undialed, 5);
}

Test(forecast, the_budget_ends_it)
{
    begin(100);
    w.plan.lines = 1;
    /* A call of 50 s costs a whole minute of the carrier and 50 s of the model. */
    w.plan.budget_micros = 10 * (10000 + 50000 * 50 / 60);
    run(1);
    EQ(w.result.end, FORECAST_END_BUDGET);
    cr_expect_geq(w.result.carrier_micros + w.result.model_micros, w.plan.budget_micros);
    cr_expect_leq(w.result.calls, 11);
    EQ(w.result.leads_left, 100 - w.result.calls);
}

/* What live calls may cost at most is held back: the budget is never overdrawn. */
Test(forecast, the_reserve_keeps_within_the_budget)
{
    begin(100);
    w.plan.budget_micros = 1000000;
    w.plan.reserve_micros = 200000;
    run(1);
    EQ(w.result.end, FORECAST_END_BUDGET);
    EQ(w.result.most_lines, 5);
    cr_expect_leq(w.result.carrier_micros + w.result.model_micros, w.plan.budget_micros);
    cr_expect_gt(w.result.carrier_micros + w.result.model_micros,
                 w.plan.budget_micros - w.plan.reserve_micros);
}

Test(forecast, short_calls_are_counted)
{
    begin(64);
    for (size_t i = 0; i < FORECAST_QUANTILES; i++) {
        w.rates.talk.s[i] = i < 16 ? 3 : 60;
    }
    w.plan.max_attempts = 1;
    run(3);
    cr_expect_geq(w.result.short_calls, 8);
    cr_expect_leq(w.result.short_calls, 26);
}

Test(forecast, the_higher_rank_goes_first)
{
    begin(3);
    w.plan.lines = 1;
    w.leads[0].rank = 5;
    w.leads[1].rank = 1;
    w.leads[2].rank = 3;
    run(1);
    EQ(w.calls[0].lead, 1);
    EQ(w.calls[1].lead, 2);
    EQ(w.calls[2].lead, 0);
}

Test(forecast, a_seed_repeats_itself_and_another_does_not)
{
    struct forecast_result first;

    begin(500);
    for (size_t k = 0; k < FORECAST_ATTEMPTS; k++) {
        w.rates.share[k][FORECAST_ANSWERED] = 0.3;
        w.rates.share[k][FORECAST_NO_ANSWER] = 0.7;
    }
    run(11);
    first = w.result;
    run(11);
    cr_expect_eq(memcmp(&first, &w.result, sizeof first), 0);
    run(12);
    cr_expect_neq(memcmp(&first, &w.result, sizeof first), 0);
}

/* Shares come out as they go in, hour by hour. */
Test(forecast, draws_follow_the_shares)
{
    struct forecast_rates r;
    size_t seen[FORECAST_OUTCOME_COUNT] = {0};
    const uint32_t n = 200000;

    forecast_rates_default(&r, 30, 600);
    r.hour[15] = 1.5;
    for (uint32_t i = 0; i < n; i++) {
        double u = forecast_draw(5, i, 1, FORECAST_DRAW_OUTCOME);
        seen[forecast_draw_outcome(&r, 1, 15, u)]++;
    }
    for (size_t o = 0; o < FORECAST_OUTCOME_COUNT; o++) {
        double answered = r.share[0][FORECAST_ANSWERED];
        double want = o == FORECAST_ANSWERED
                          ? answered * 1.5
                          : r.share[0][o] * (1 - answered * 1.5) / (1 - answered);
        cr_expect_float_eq((double)seen[o] / n, want, 0.005, "%s", forecast_outcome_names[o]);
    }
}

Test(forecast_rates, an_empty_history_gives_the_defaults)
{
    static struct forecast_history none;
    struct forecast_rates d;
    struct forecast_rates r;

    forecast_rates_default(&d, 30, 600);
    forecast_rates_from(&none, &d, 0, &r);
    for (size_t k = 0; k < FORECAST_ATTEMPTS; k++) {
        for (size_t o = 0; o < FORECAST_OUTCOME_COUNT; o++) {
            cr_expect_float_eq(r.share[k][o], d.share[k][o], 1e-9);
        }
    }
    cr_expect_float_eq(r.hour[9], 1.0, 1e-9);
    cr_expect_eq(r.talk.s[32], d.talk.s[32]);
    cr_expect_float_eq((double)d.talk.s[32], 45.0, 0.1, "the median of a talk");
    cr_expect_leq((double)d.talk.s[64], 600.0);
}

Test(forecast_rates, a_long_history_speaks_for_itself)
{
    static struct forecast_history h;
    struct forecast_rates d;
    struct forecast_rates r;

    memset(&h, 0, sizeof h);
    forecast_rates_default(&d, 30, 600);
    for (size_t hour = 9; hour < 17; hour++) {
        /* Twice as many answer in the afternoon. */
        h.count[0][hour][FORECAST_ANSWERED] = hour < 13 ? 100 : 200;
        h.count[0][hour][FORECAST_NO_ANSWER] = hour < 13 ? 900 : 800;
    }
    h.talk.count = 1200;
    constant(&h.talk.q, 80);
    forecast_rates_from(&h, &d, 0, &r);
    cr_expect_float_eq(r.share[0][FORECAST_ANSWERED], 0.15, 0.005);
    cr_expect_float_eq(r.hour[10], 100.0 / 150, 0.08);
    cr_expect_float_eq(r.hour[15], 200.0 / 150, 0.08);
    cr_expect_float_eq(r.hour[20], 1.0, 1e-9, "an hour never seen is an ordinary one");
    cr_expect_float_eq((double)r.talk.s[10], 80.0, 1e-3);
}

/* The less is known, the wider the draws; their mean is what is known. */
Test(forecast_rates, draws_are_as_wide_as_the_ignorance)
{
    static const uint32_t sizes[] = {25, 2000};
    double spread[COUNT_OF(sizes)];

    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        static struct forecast_history h;
        struct forecast_rates d;
        struct forecast_rates r;
        double sum = 0;
        double squares = 0;
        memset(&h, 0, sizeof h);
        forecast_rates_default(&d, 30, 600);
        h.count[0][12][FORECAST_ANSWERED] = sizes[i] * 28 / 100;
        h.count[0][12][FORECAST_NO_ANSWER] = sizes[i] - sizes[i] * 28 / 100;
        for (uint64_t seed = 1; seed <= 2000; seed++) {
            forecast_rates_from(&h, &d, seed, &r);
            sum += r.share[0][FORECAST_ANSWERED];
            squares += r.share[0][FORECAST_ANSWERED] * r.share[0][FORECAST_ANSWERED];
        }
        double mean = sum / 2000;
        spread[i] = sqrt(squares / 2000 - mean * mean);
        cr_expect_float_eq(mean, 0.28, 0.01);
        /* Beta(0.28 n, 0.72 n) of n = history and prior together. */
        double n = sizes[i] + FORECAST_PRIOR;
        cr_expect_float_eq(spread[i] / sqrt(0.28 * 0.72 / (n + 1)), 1.0, 0.1);
    }
    cr_expect_gt(spread[0], 5 * spread[1]);
}

Test(forecast, what_cannot_be_run_is_said)
{
    begin(1);
    w.plan.number_count = 0;
    cr_expect_str_eq(forecast_check(&w.plan), "no active caller id");
    begin(1);
    w.plan.lines = 0;
    cr_expect_str_eq(forecast_check(&w.plan), "no lines");
    begin(1);
    w.account.calls_per_second = NAN;
    cr_expect_str_eq(forecast_check(&w.plan), "an account without lines");
}
