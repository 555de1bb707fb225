/* forecast_rates.h -- how calls come out, guessed from the calls of the last weeks.
 *
 * Shares by attempt and the effect of the hour are what the history says, pulled towards the
 * defaults as long as it says little: each default weighs as much as FORECAST_PRIOR calls. Every
 * run of a forecast draws its own rates out of what the history leaves open, so that a short history
 * gives a wide range.
 *
 * Thread  any one.
 * Units   seconds; shares are 0..1.
 * Errors  none: an empty history gives the defaults. */
#ifndef DIAL_FORECAST_RATES_H
#define DIAL_FORECAST_RATES_H

#include "dial/forecast.h"

#define FORECAST_PRIOR       30  /* calls that the default shares of an attempt weigh */
#define FORECAST_HOUR_PRIOR  20  /* answered calls that "this hour is like the others" weighs */
#define FORECAST_LENGTHS_MIN 100 /* so many lengths speak for themselves */

struct forecast_lengths {
    uint32_t count; /* of calls they were taken from */
    struct forecast_quantiles q;
};

struct forecast_history {
    uint32_t count[FORECAST_ATTEMPTS][24][FORECAST_OUTCOME_COUNT];
    struct forecast_lengths ring[FORECAST_OUTCOME_COUNT];
    struct forecast_lengths talk;
    struct forecast_lengths machine;
};

/* What is assumed of a tenant that has no history; ring_timeout_s and max_talk_s are its
 * campaign's. */
void forecast_rates_default(struct forecast_rates *rates, double ring_timeout_s, double max_talk_s);
/* The likeliest rates (seed 0), or one draw of what the history leaves possible. */
void forecast_rates_from(const struct forecast_history *history,
                         const struct forecast_rates *defaults, uint64_t seed,
                         struct forecast_rates *rates);

#endif
