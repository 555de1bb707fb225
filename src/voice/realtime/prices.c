#include "voice/realtime/prices.h"

#include <ctype.h>

#define MS_PER_MINUTE 60000

// clang-format off
static const struct price prices[] = {
    /* model                       text: in  cached    out   audio: in  cached    out  minute  reasons */
    {"gpt-realtime-2.1",               4000,   400,  24000,      32000,    400, 64000,      0,  true},
    {"gpt-realtime-2.1-mini",           600,    60,   2400,      10000,    300, 20000,      0,  true},
    {"gpt-realtime-2",                 4000,   400,  24000,      32000,    400, 64000,      0,  true},
    {"gpt-realtime-1.5",               4000,   400,  16000,      32000,    400, 64000,      0, false},
    {"gpt-realtime",                   4000,   400,  16000,      32000,    400, 64000,      0, false},
    {"gpt-realtime-mini",               600,    60,   2400,      10000,    300, 20000,      0, false},
    {"gpt-transcribe",                    0,     0,      0,          0,      0,     0,   4500, false},
    {"gpt-live-transcribe",               0,     0,      0,          0,      0,     0,  17000, false},
    {"gpt-realtime-whisper",              0,     0,      0,          0,      0,     0,  17000, false},
    {"whisper-1",                         0,     0,      0,          0,      0,     0,   6000, false},
    {"gpt-4o-transcribe",              2500,  2500,  10000,       2500,   2500,     0,      0, false},
    {"gpt-4o-mini-transcribe",         1250,  1250,   5000,       1250,   1250,     0,      0, false},
};
// clang-format on

static bool is_date_suffix(struct str s)
{
    static const char shape[] = "-dddd-dd-dd";
    if (s.len != sizeof shape - 1) {
        return false;
    }
    for (size_t i = 0; i < s.len; i++) {
        bool digit = isdigit((unsigned char)s.p[i]) != 0;
        if (shape[i] == 'd' ? !digit : s.p[i] != shape[i]) {
            return false;
        }
    }
    return true;
}

const struct price *price_find(struct str model)
{
    for (size_t i = 0; i < COUNT_OF(prices); i++) {
        struct str name = str_of(prices[i].model);
        if (str_eq(model, name) ||
            (str_starts(model, name) && is_date_suffix(str_skip(model, name.len)))) {
            return &prices[i];
        }
    }
    return NULL;
}

/* Counts come from outside: a negative or absurd one costs nothing rather than overflowing. */
static int64_t cost(int64_t tokens, int32_t nanos)
{
    const int64_t tokens_max = 1000 * 1000 * 1000;
    return tokens <= 0 || tokens > tokens_max ? 0 : tokens * nanos;
}

int64_t price_response_nanos(const struct price *price, const struct voice_usage *usage)
{
    /* Cached tokens are a subset of the input tokens. */
    return cost(usage->text_in - usage->text_in_cached, price->text_in) +
           cost(usage->text_in_cached, price->text_cached) +
           cost(usage->audio_in - usage->audio_in_cached, price->audio_in) +
           cost(usage->audio_in_cached, price->audio_cached) +
           cost(usage->text_out, price->text_out) + cost(usage->audio_out, price->audio_out);
}

void price_response(const struct price *price, struct voice_usage *usage)
{
    usage->cost_micros_usd = price == NULL ? 0 : (price_response_nanos(price, usage) + 500) / 1000;
}

void price_transcription(const struct price *price, struct voice_usage *usage)
{
    if (price == NULL || price->per_minute == 0) {
        price_response(price, usage);
        return;
    }
    int64_t ms = i64_max(0, i64_min(usage->transcribe_ms, (int64_t)24 * 60 * MS_PER_MINUTE));
    usage->cost_micros_usd = (ms * price->per_minute + MS_PER_MINUTE / 2) / MS_PER_MINUTE;
}
