/* campaign.h -- a campaign to be run forward: its scenario, and what its people are like.
 *
 * Owner   the program.
 * Thread  one.
 * Time    *_s seconds as numbers of the scenario; start_us wall. */
#ifndef SIMULATION_CAMPAIGN_H
#define SIMULATION_CAMPAIGN_H

#include "world.h"

#define TRUTHS_MAX 8
#define MIXES_MAX  8

struct spread { /* log-normal */
    double median;
    double sigma;
};

struct truth { /* of one campaign's people */
    const struct campaign *campaign;
    double p[MIXES_MAX][OUT_COUNT]; /* by attempt, the last one repeats */
    size_t mixes;
    double hour[24]; /* factor on P(answered) by the lead's local hour */
    struct spread ring[OUT_COUNT];
    struct spread talk;
    struct spread machine;
    double cost_per_minute;
};

struct scenario {
    struct truth truths[TRUTHS_MAX];
    size_t count;
    int64_t start_us;
    int64_t until_us;
    int64_t claim_interval_ms;
    int64_t claim_batch;
    int64_t calls_max;
    uint64_t seed;
};

extern struct scenario the_scenario;

/* Reads the scenario into a world's ledger. -EINVAL: says on standard error what is wrong. */
int scenario_read(struct scenario *s, struct ledger *l, const json_t *root) MUST_USE;
uint32_t lead_index(const struct lead *lead);

#endif
