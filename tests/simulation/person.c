/* person.c -- people who are phoned in a run full of accidents: every way a call can end, and quickly. */
#include "world.h"

#include "base/clock.h"

static int64_t seconds_us(double s)
{
    return (int64_t)(s * 1e6);
}

void person_draw(struct world *w, struct dial *d, int64_t ring_max_us)
{
    static const struct {
        const char *outcome;
        const char *reason;
        double p;
    } ways[] = {{"answered", "completed", 0.40},
                {"no_answer", "no_answer", 0.22},
                {"busy", "busy", 0.12},
                {"voicemail", "voicemail", 0.10},
                {"rejected", "rejected", 0.06},
                {"failed", "unreachable", 0.06},
                {"invalid_number", "invalid_number", 0.04}};
    double u = rng_unit(&w->rng);
    size_t i = 0;
    while (i + 1 < COUNT_OF(ways) && u >= ways[i].p) {
        u -= ways[i++].p;
    }
    d->outcome = ways[i].outcome;
    d->disconnect_reason = ways[i].reason;
    d->machine = i == 3;
    int64_t ring_us = seconds_us(1.0 + 10.0 * rng_unit(&w->rng));
    /* Some talk as long as they may, and so beyond the horizon of a sign-off at their beginning. */
    double talk = rng_unit(&w->rng);
    d->talk_us = seconds_us(talk < 0.85 ? 2.0 + 29.0 * talk : 40.0 + 120.0 * (talk - 0.85));
    if (i == 0 || i == 3) {
        d->answer_at = d->ring_at + i64_min(ring_us, ring_max_us - US_PER_S);
    } else {
        bool long_ring = i == 1;
        d->end_at =
            d->ring_at + (long_ring ? ring_max_us : seconds_us(0.5 + 3 * rng_unit(&w->rng)));
    }
}
