#include "voice/realtime/prices.h"

#include <criterion/criterion.h>

/* response.done#completed of tests/data/realtime_events.json. */
static const struct voice_usage sample = {.text_in = 1092,
                                          .text_in_cached = 960,
                                          .audio_in = 185,
                                          .audio_in_cached = 128,
                                          .text_out = 30,
                                          .audio_out = 91};

Test(prices, check_value_of_one_response)
{
    static const struct {
        const char *model;
        int64_t nanos;
        int64_t micros;
    } rows[] = {
        {"gpt-realtime-2.1", 9331200, 9331},
        {"gpt-realtime-2.1-mini", 2637200, 2637},
        {"gpt-realtime-2.1-2026-09-01", 9331200, 9331},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct voice_usage usage = sample;
        const struct price *price = price_find(str_of(rows[i].model));
        cr_assert_not_null(price, "%s", rows[i].model);
        cr_expect_eq(price_response_nanos(price, &usage), rows[i].nanos, "%s", rows[i].model);
        price_response(price, &usage);
        cr_expect_eq(usage.cost_micros_usd, rows[i].micros, "%s", rows[i].model);
    }
}

Test(prices, names)
{
    static const struct {
        const char *model;
        const char *priced_as;
    } rows[] = {
        {"gpt-realtime", "gpt-realtime"},
        {"gpt-realtime-2025-08-28", "gpt-realtime"},
        {"gpt-realtime-2.1", "gpt-realtime-2.1"},
        {"gpt-realtime-mini-2025-12-15", "gpt-realtime-mini"},
        {"gpt-realtime-2.1-mini", "gpt-realtime-2.1-mini"},
        {"gpt-realtime-3", NULL},
        {"gpt-realtime-2025-08-2", NULL},
        {"my-deployment", NULL},
        {"", NULL},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const struct price *price = price_find(str_of(rows[i].model));
        if (rows[i].priced_as == NULL) {
            cr_expect_null(price, "%s", rows[i].model);
        } else {
            cr_assert_not_null(price, "%s", rows[i].model);
            cr_expect_str_eq(price->model, rows[i].priced_as, "%s", rows[i].model);
        }
    }
}

Test(prices, transcription_by_minute_and_by_token)
{
    struct voice_usage minute = {.transcribe_ms = 60000};
    price_transcription(price_find(STR("gpt-transcribe")), &minute);
    cr_expect_eq(minute.cost_micros_usd, 4500);
    struct voice_usage two_seconds = {.transcribe_ms = 2000};
    price_transcription(price_find(STR("gpt-transcribe")), &two_seconds);
    cr_expect_eq(two_seconds.cost_micros_usd, 150);
    struct voice_usage tokens = {.audio_in = 1000, .text_out = 100};
    price_transcription(price_find(STR("gpt-4o-transcribe")), &tokens);
    cr_expect_eq(tokens.cost_micros_usd, 3500);
    struct voice_usage unknown = {.transcribe_ms = 2000, .audio_in = 20};
    price_transcription(NULL, &unknown);
    cr_expect_eq(unknown.cost_micros_usd, 0);
}

Test(prices, absurd_counts_cost_nothing)
{
    struct voice_usage usage = {.audio_out = INT64_MAX, .text_in = -5, .text_out = 1000};
    price_response(price_find(STR("gpt-realtime-2.1")), &usage);
    cr_expect_eq(usage.cost_micros_usd, 24000);
}
