/* forecast.h -- a campaign, run forward on a virtual clock before it is started.
 *
 * The plan says what the database decided about each lead (when it may be dialed first, in which
 * place it lives) and what it would decide later: the openings of each place, the caps per number
 * and the table of retry waits all come out of the SQL functions that decide the real thing. What
 * is left is pacing, which is repeated here event by event: lines, calls per second over a rolling
 * span, the order of the claim, the moments at which the daemon asks for work.
 *
 *     sim_new -> run(seed, rates) -> run(next seed, …) -> sim_free
 *
 * Owner   the caller owns the plan, which must outlive the simulator; a result is plain data.
 * Thread  any one.
 * Time    wall microseconds. The run ends with the last call, or at the plan's horizon.
 * Errors  forecast_check(): why a plan cannot be run, or NULL. forecast_run() does not fail. */
#ifndef DIAL_FORECAST_H
#define DIAL_FORECAST_H

#include "base/macros.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FORECAST_QUANTILES 65
#define FORECAST_ATTEMPTS  6 /* rates differ up to this attempt; later ones are like the last */
#define FORECAST_SAME      20
#define FORECAST_DAYS      400
#define FORECAST_CAPS      3

/* The words of call_attempts.outcome. */
enum forecast_outcome {
    FORECAST_ANSWERED,
    FORECAST_NO_ANSWER,
    FORECAST_BUSY,
    FORECAST_VOICEMAIL,
    FORECAST_REJECTED,
    FORECAST_INVALID_NUMBER,
    FORECAST_FAILED,
    FORECAST_NOT_PLACED,
    FORECAST_OUTCOME_COUNT
};
extern const char *const forecast_outcome_names[FORECAST_OUTCOME_COUNT];

/* Open from open_us until before close_us; the clock there is utc_offset_s ahead of UTC. */
struct forecast_span {
    int64_t open_us;
    int64_t close_us;
    int32_t utc_offset_s;
};

/* Leads with the same zones and countries. Caps: dials of a number within 24 hours, 7 and 30 days;
 * 0: none. */
struct forecast_place {
    const struct forecast_span *spans;
    size_t span_count;
    uint32_t cap[FORECAST_CAPS];
};

struct forecast_lead {
    int64_t due_us;      /* not before; what the gate says of it now is in here */
    uint32_t place;      /* index */
    int32_t rank;        /* smaller goes first; equal ones by due time, then by index */
    uint32_t line;       /* the line that is tried first */
    uint32_t dial_first; /* dials so far, in plan->dials, oldest first */
    uint16_t dial_count;
    uint16_t attempts;                    /* that count against max_attempts */
    uint8_t same[FORECAST_OUTCOME_COUNT]; /* attempts of each outcome so far */
};

struct forecast_account {
    uint32_t lines;
    double calls_per_second;
};

struct forecast_line {
    uint32_t account;
    uint32_t lines; /* 0: as many as the account has */
};

struct forecast_quantiles {
    float s[FORECAST_QUANTILES]; /* seconds at 0, 1/64, … 1 */
};

struct forecast_plan {
    int64_t start_us;
    int64_t horizon_us;
    int64_t claim_interval_us;
    uint32_t calls_max; /* of all nodes */
    uint32_t lines;
    double calls_per_second;
    uint32_t max_attempts;
    int64_t spacing_us;
    /* -1: not tried again after so many attempts of this outcome before. */
    int64_t wait_us[FORECAST_OUTCOME_COUNT][FORECAST_SAME];
    const struct forecast_account *accounts;
    size_t account_count;
    const struct forecast_line *numbers;
    size_t number_count;
    const struct forecast_place *places;
    size_t place_count;
    const struct forecast_lead *leads;
    size_t lead_count;
    const int64_t *dials;
    /* Money, in millionths; budget_micros INT64_MAX: none. */
    int64_t budget_micros;
    int64_t reserve_micros; /* held back for each live call */
    int64_t carrier_micros_per_minute;
    int64_t model_micros_per_minute;
    uint32_t billing_step_s;
    uint32_t short_call_s; /* an answered call up to this long is a short one */
};

/* How calls come out: by attempt, with a factor on "answered" by the hour on the lead's clock. */
struct forecast_rates {
    double share[FORECAST_ATTEMPTS][FORECAST_OUTCOME_COUNT]; /* each row sums to 1 */
    double hour[24];
    struct forecast_quantiles
        ring[FORECAST_OUTCOME_COUNT];  /* from the claim to the answer or end */
    struct forecast_quantiles talk;    /* answered by a person */
    struct forecast_quantiles machine; /* voicemail */
};

enum forecast_end {
    FORECAST_END_DONE,    /* every lead has come to its end */
    FORECAST_END_BUDGET,  /* the money was spent before */
    FORECAST_END_HORIZON, /* not done within the time looked at */
};

struct forecast_result {
    enum forecast_end end;
    int64_t done_us; /* end of the last call, or start_us when there was none */
    uint64_t calls;  /* that reached the carrier */
    uint64_t outcomes[FORECAST_OUTCOME_COUNT];
    uint64_t short_calls;
    double talk_s;
    int64_t carrier_micros;
    int64_t model_micros;
    uint64_t leads_dialed;
    uint64_t leads_answered;
    uint64_t leads_never_open; /* closed for good when it was their turn: not dialed (again) */
    uint64_t leads_left;       /* not dialed, or not again, because the money or the time ended */
    uint64_t leads_left_undialed;
    uint32_t most_lines;
    uint32_t calls_by_day[FORECAST_DAYS]; /* UTC days from the day of start_us */
};

/* Told of every call, in the order of their ends; for tests. */
struct forecast_call {
    uint32_t lead;
    uint16_t number; /* of the attempt, from 1 within the run */
    enum forecast_outcome outcome;
    int64_t begin_us;
    int64_t end_us;
};
typedef void forecast_call_fn(const struct forecast_call *call, void *arg);

struct forecast_sim;

const char *forecast_check(const struct forecast_plan *plan) MUST_USE;
struct forecast_sim *forecast_sim_new(const struct forecast_plan *plan) MUST_USE;
void forecast_sim_free(struct forecast_sim **sim);
void forecast_watch(struct forecast_sim *sim, forecast_call_fn *on_call, void *arg);
void forecast_run(struct forecast_sim *sim, const struct forecast_rates *rates, uint64_t seed,
                  struct forecast_result *result);

/* The first moment from at_us on at which the place is open; INT64_MAX: none that is known. */
int64_t forecast_opening(const struct forecast_place *place, int64_t at_us) MUST_USE;

/* Chance: a number in [0, 1) that depends on nothing but what is named, so that whoever simulates
 * the same campaign draws the same. */
enum forecast_draw { FORECAST_DRAW_OUTCOME, FORECAST_DRAW_RING, FORECAST_DRAW_TALK };
double forecast_draw(uint64_t seed, uint32_t lead, uint32_t number, enum forecast_draw what);
double forecast_quantile(const struct forecast_quantiles *q, double u);
enum forecast_outcome forecast_draw_outcome(const struct forecast_rates *rates, uint32_t number,
                                            int32_t local_hour, double u);

#endif
