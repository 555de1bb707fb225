/* dice.h -- chance that can be repeated: every draw is a function of the seed and of what it is for.
 *
 * No state: the same (seed, purpose, key) always gives the same number, whatever happened before and
 * in whatever order sockets became ready. That is what makes a run with a seed repeatable.
 *
 * Owner   nothing to own.
 * Thread  any.
 * Source  FNV-1a (Fowler, Noll, Vo); finaliser of SplitMix64 (Steele, Lea, Flood 2014). */
#ifndef SIM_PEOPLE_DICE_H
#define SIM_PEOPLE_DICE_H

#include "base/str.h"

static inline uint64_t dice_fnv(uint64_t h, struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        h = (h ^ (uint8_t)s.p[i]) * 0x100000001b3ULL;
    }
    return (h ^ 0xffU) * 0x100000001b3ULL; /* a separator, so that ("a","bc") is not ("ab","c") */
}

static inline uint64_t dice_mix(uint64_t x)
{
    x += 0x9e3779b97f4a7c15ULL;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
    return x ^ (x >> 31);
}

static inline uint64_t dice_roll(uint64_t seed, const char *purpose, struct str key, uint64_t nth)
{
    uint64_t h = dice_fnv(dice_fnv(0xcbf29ce484222325ULL, str_of(purpose)), key);

    return dice_mix(h ^ dice_mix(seed) ^ dice_mix(nth + 0x5bd1e995U));
}

static inline double dice_unit(uint64_t seed, const char *purpose, struct str key, uint64_t nth)
{
    return (double)(dice_roll(seed, purpose, key, nth) >> 11) / 9007199254740992.0; /* 2^53 */
}

/* Uniform in [low, high]. */
static inline int64_t dice_between(uint64_t seed, const char *purpose, struct str key, uint64_t nth,
                                   int64_t low, int64_t high)
{
    return low + (int64_t)(dice_roll(seed, purpose, key, nth) % (uint64_t)(high - low + 1));
}

/* The id an utterance carries in its marker: never 0. */
static inline uint32_t dice_id(const char *kind, struct str text)
{
    uint64_t h = dice_fnv(dice_fnv(0xcbf29ce484222325ULL, str_of(kind)), text);
    uint32_t id = (uint32_t)(h ^ (h >> 32));

    return id == 0 ? 1 : id;
}

#endif
