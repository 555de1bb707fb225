/* prices.h -- what tokens and seconds of a model cost, as data.
 *
 * Thread  any.
 * Units   token prices are nano-dollars per token (1 USD per million tokens = 1000 of them); minute
 *         prices are micro-dollars per minute. Costs come back in micro-dollars, rounded to
 * nearest. Errors  an unknown model costs 0, and price_find() says NULL: the ledger shows tokens
 * all the same. Source  price pages of the provider as of 2026-11-22, see docs/voice-realtime.md.
 */
#ifndef VOICE_REALTIME_PRICES_H
#define VOICE_REALTIME_PRICES_H

#include "voice/voice.h"

struct price {
    const char *model;
    int32_t text_in, text_cached, text_out;    /* nano-dollars per token */
    int32_t audio_in, audio_cached, audio_out; /* nano-dollars per token */
    int32_t per_minute;                        /* micro-dollars per minute of audio, 0: by tokens */
    bool reasons; /* takes `reasoning`; sending it to another model makes the whole update fail */
};

/* By exact name, or name followed by a date ("-2025-08-28"). */
const struct price *price_find(struct str model);
/* Fills in cost_micros_usd of a response's usage. */
void price_response(const struct price *price, struct voice_usage *usage);
/* The same for a transcription: by minute, or by its tokens. */
void price_transcription(const struct price *price, struct voice_usage *usage);
/* Before rounding, for tests and sums: nano-dollars. */
int64_t price_response_nanos(const struct price *price, const struct voice_usage *usage);

#endif
