/* rng.h -- the one source of chance of a run: everything that is drawn comes from its seed.
 *
 * Owner   whoever embeds it.
 * Thread  one.
 * Source  SplitMix64 (Steele, Lea, Flood 2014). */
#ifndef SIMULATION_RNG_H
#define SIMULATION_RNG_H

#include "base/macros.h"

#include <math.h>

struct rng {
    uint64_t state;
};

static inline uint64_t rng_next(struct rng *r)
{
    uint64_t z = (r->state += 0x9e3779b97f4a7c15ULL);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
}

static inline double rng_unit(struct rng *r) /* [0, 1) */
{
    return (double)(rng_next(r) >> 11) * (1.0 / 9007199254740992.0);
}

static inline bool rng_chance(struct rng *r, double p)
{
    return rng_unit(r) < p;
}

static inline int64_t rng_between(struct rng *r, int64_t low, int64_t high) /* both included */
{
    return low + (int64_t)(rng_next(r) % (uint64_t)(high - low + 1));
}

static inline double rng_lognormal(struct rng *r, double median, double sigma)
{
    double u = 1.0 - rng_unit(r);
    double v = rng_unit(r);
    return median * exp(sigma * sqrt(-2.0 * log(u)) * cos(6.283185307179586 * v));
}

#endif
