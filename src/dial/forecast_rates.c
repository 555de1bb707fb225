#include "dial/forecast_rates.h"

#include <math.h>

/* Where nothing is known: orders of magnitude of cold lists phoned with a local number, not a
 * measurement. Later attempts reach fewer people, for those who answer are gone. */
static const double default_share[][FORECAST_OUTCOME_COUNT] = {
    /* answered, no_answer, busy, voicemail, rejected, invalid, failed, not_placed */
    {0.28, 0.40, 0.06, 0.20, 0.03, 0.02, 0.01, 0.00},
    {0.20, 0.46, 0.06, 0.23, 0.03, 0.005, 0.015, 0.00},
    {0.14, 0.52, 0.06, 0.24, 0.02, 0.005, 0.015, 0.00},
};
static const double default_ring_s[FORECAST_OUTCOME_COUNT] = {
    [FORECAST_ANSWERED] = 12, [FORECAST_BUSY] = 3,   [FORECAST_VOICEMAIL] = 18,
    [FORECAST_REJECTED] = 8,  [FORECAST_FAILED] = 4, [FORECAST_INVALID_NUMBER] = 2,
    [FORECAST_NOT_PLACED] = 1};
#define DEFAULT_TALK_S     45.0
#define DEFAULT_TALK_SIGMA 0.9
#define DEFAULT_MACHINE_S  8.0
#define DEFAULT_SIGMA      0.4

/* --- chance ------------------------------------------------------------------------------------- */

struct chance {
    uint64_t seed;
    uint32_t drawn;
};

static double uniform(struct chance *c)
{
    return forecast_draw(c->seed, ++c->drawn, 0, FORECAST_DRAW_OUTCOME);
}

/* Box and Muller. */
static double normal(struct chance *c)
{
    double u = uniform(c);
    double v = uniform(c);

    return sqrt(-2.0 * log(1.0 - u)) * cos(2.0 * M_PI * v);
}

/* Marsaglia and Tsang 2000; below 1 by their own note. */
static double gamma_draw(struct chance *c, double shape)
{
    if (shape < 1.0) {
        return gamma_draw(c, shape + 1.0) * pow(1.0 - uniform(c), 1.0 / shape);
    }
    double d = shape - 1.0 / 3.0;
    double k = 1.0 / sqrt(9.0 * d);
    for (;;) {
        double x = normal(c);
        double v = 1.0 + k * x;
        if (v <= 0.0) {
            continue;
        }
        v = v * v * v;
        if (log(1.0 - uniform(c)) < 0.5 * x * x + d - d * v + d * log(v)) {
            return d * v;
        }
    }
}

/* With seed 0 the mean stands for the draw. */
static double around(struct chance *c, double shape)
{
    return c->seed == 0 || shape <= 0.0 ? fmax(shape, 0.0) : gamma_draw(c, shape);
}

/* --- defaults ----------------------------------------------------------------------------------- */

/* The quantile function of the normal distribution, halved until it fits: 65 points, once. */
static double normal_quantile(double p)
{
    double low = -4.0;
    double high = 4.0;

    for (int step = 0; step < 50; step++) {
        double middle = (low + high) / 2.0;
        if (0.5 * erfc(-middle / sqrt(2.0)) < p) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return low;
}

static void log_normal(struct forecast_quantiles *q, double median_s, double sigma, double most_s)
{
    for (size_t i = 0; i < FORECAST_QUANTILES; i++) {
        /* The ends of the range stand for the outermost half steps. */
        double p = fmin(fmax((double)i, 0.25), FORECAST_QUANTILES - 1.25);
        double s = median_s * exp(sigma * normal_quantile(p / (FORECAST_QUANTILES - 1)));
        q->s[i] = (float)fmin(s, most_s);
    }
}

void forecast_rates_default(struct forecast_rates *rates, double ring_timeout_s, double max_talk_s)
{
    for (size_t k = 0; k < FORECAST_ATTEMPTS; k++) {
        size_t row = k < COUNT_OF(default_share) ? k : COUNT_OF(default_share) - 1;
        for (size_t o = 0; o < FORECAST_OUTCOME_COUNT; o++) {
            rates->share[k][o] = default_share[row][o];
        }
    }
    for (size_t h = 0; h < 24; h++) {
        rates->hour[h] = 1.0;
    }
    for (size_t o = 0; o < FORECAST_OUTCOME_COUNT; o++) {
        if (o == FORECAST_NO_ANSWER) {
            log_normal(&rates->ring[o], ring_timeout_s, 0.0, ring_timeout_s);
        } else {
            log_normal(&rates->ring[o], default_ring_s[o], DEFAULT_SIGMA, ring_timeout_s);
        }
    }
    log_normal(&rates->talk, DEFAULT_TALK_S, DEFAULT_TALK_SIGMA, max_talk_s);
    log_normal(&rates->machine, DEFAULT_MACHINE_S, DEFAULT_SIGMA, max_talk_s);
}

/* --- from the history --------------------------------------------------------------------------- */

static void shares_from(const struct forecast_history *history,
                        const struct forecast_rates *defaults, struct chance *c,
                        struct forecast_rates *rates)
{
    for (size_t k = 0; k < FORECAST_ATTEMPTS; k++) {
        double sum = 0.0;
        for (size_t o = 0; o < FORECAST_OUTCOME_COUNT; o++) {
            double seen = FORECAST_PRIOR * defaults->share[k][o];
            for (size_t h = 0; h < 24; h++) {
                seen += history->count[k][h][o];
            }
            rates->share[k][o] = around(c, seen);
            sum += rates->share[k][o];
        }
        for (size_t o = 0; o < FORECAST_OUTCOME_COUNT; o++) {
            rates->share[k][o] /= sum;
        }
    }
}

static uint32_t calls_of(const struct forecast_history *history, size_t k, size_t h)
{
    uint32_t calls = 0;

    for (size_t o = 0; o < FORECAST_OUTCOME_COUNT; o++) {
        calls += history->count[k][h][o];
    }
    return calls;
}

/* How many were answered in an hour beside how many would have been in an ordinary one. */
static void hours_from(const struct forecast_history *history, struct chance *c,
                       struct forecast_rates *rates)
{
    for (size_t h = 0; h < 24; h++) {
        double answered = FORECAST_HOUR_PRIOR;
        double expected = FORECAST_HOUR_PRIOR;
        for (size_t k = 0; k < FORECAST_ATTEMPTS; k++) {
            answered += history->count[k][h][FORECAST_ANSWERED];
            expected += calls_of(history, k, h) * rates->share[k][FORECAST_ANSWERED];
        }
        rates->hour[h] = around(c, answered) / expected;
    }
}

/* Lengths of the history, mixed with the default while they are few; their mean is only as sure as
 * their number allows. */
static void lengths_from(const struct forecast_lengths *seen, struct chance *c,
                         struct forecast_quantiles *q)
{
    double trust = fmin(1.0, (double)seen->count / FORECAST_LENGTHS_MIN);
    double sum = 0.0;
    double squares = 0.0;

    for (size_t i = 0; i < FORECAST_QUANTILES; i++) {
        double s = trust * (double)seen->q.s[i] + (1.0 - trust) * (double)q->s[i];
        q->s[i] = (float)s;
        sum += s;
        squares += s * s;
    }
    double mean = sum / FORECAST_QUANTILES;
    double spread = sqrt(fmax(squares / FORECAST_QUANTILES - mean * mean, 0.0));
    if (c->seed == 0 || mean <= 0.0) {
        return;
    }
    double error = spread / mean / sqrt(fmax(seen->count, FORECAST_PRIOR));
    double factor = fmax(0.2, 1.0 + normal(c) * error);
    for (size_t i = 0; i < FORECAST_QUANTILES; i++) {
        q->s[i] = (float)((double)q->s[i] * factor);
    }
}

void forecast_rates_from(const struct forecast_history *history,
                         const struct forecast_rates *defaults, uint64_t seed,
                         struct forecast_rates *rates)
{
    struct chance c = {.seed = seed};

    *rates = *defaults;
    shares_from(history, defaults, &c, rates);
    hours_from(history, &c, rates);
    for (size_t o = 0; o < FORECAST_OUTCOME_COUNT; o++) {
        lengths_from(&history->ring[o], &c, &rates->ring[o]);
    }
    lengths_from(&history->talk, &c, &rates->talk);
    lengths_from(&history->machine, &c, &rates->machine);
}
