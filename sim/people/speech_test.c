#include "speech.h"

#include "g711.h"
#include "hearing.h"
#include "model/vad.h"

#include <criterion/criterion.h>
#include <string.h>

static int turns_in(const uint8_t *audio, size_t len, int64_t silence_ms, int64_t *start_ms,
                    int64_t *stop_ms)
{
    struct vad v = {.filled = 0};
    int turns = 0;
    vad_init(&v, 0.5, 300, silence_ms);
    for (size_t i = 0; i < len;) {
        size_t used = 0;
        int64_t at_ms = 0;
        enum vad_event event = vad_feed(&v, audio + i, len - i, &used, &at_ms);
        if (event == VAD_STARTED) {
            *start_ms = at_ms;
        } else if (event == VAD_STOPPED) {
            *stop_ms = at_ms;
            turns++;
        }
        i += used;
    }
    return turns;
}

Test(speech, a_line_is_one_turn_with_its_words_in_it)
{
    static const char *const lines[] = {
        "Yes, hello, I have a minute. What is it about?",
        "I am in a meeting. Please call me back tomorrow at ten in the morning.",
        "Please never call me again. Take me off your list.",
    };
    struct speech_cache *cache = speech_cache_new();
    for (size_t i = 0; i < COUNT_OF(lines); i++) {
        for (int voice = 0; voice < VOICE_COUNT; voice++) {
            static uint8_t audio[8000 * 20];
            const struct speech *s = speech_say(cache, (enum speech_voice)voice, str_of(lines[i]));
            int64_t start_ms = -1;
            int64_t stop_ms = -1;
            struct hearing h = {.count = 0};
            memset(audio, (int)G711_SILENCE, sizeof audio);
            cr_assert_gt(s->len, 8000U, "%s: too short to be speech", lines[i]);
            cr_assert_lt(s->len, 8000U * 8, "%s: too long", lines[i]);
            memcpy(audio + 8000, s->ulaw, s->len);
            hearing_feed(&h, audio, sizeof audio);
            cr_expect_eq(h.count, 1);
            cr_expect(heard_whole(&h.said[0]));
            cr_expect_eq(turns_in(audio, sizeof audio, 300, &start_ms, &stop_ms), 1,
                         "%s: not one turn", lines[i]);
            cr_expect(start_ms > 600 && start_ms < 1100, "starts at %ld", (long)start_ms);
            cr_expect_lt(stop_ms, 1000 + (int64_t)s->len / 8 + 400);
        }
    }
    speech_cache_free(&cache);
}

Test(speech, is_made_once)
{
    struct speech_cache *cache = speech_cache_new();
    const struct speech *first = speech_say(cache, VOICE_AI, STR("Good morning."));
    cr_assert_eq(first, speech_say(cache, VOICE_AI, STR("Good morning.")));
    cr_assert_neq(first, speech_say(cache, VOICE_PERSON, STR("Good morning.")));
    cr_assert_eq(first, speech_find(cache, speech_id(VOICE_AI, STR("Good morning."))));
    const struct speech *none = speech_say(cache, VOICE_AI, STR(""));
    cr_assert_eq(none->len % G711_FRAME_BYTES, 0);
    cr_assert_gt(none->len, 0);
    speech_cache_free(&cache);
}

Test(speech, half_heard_is_half_the_words)
{
    char out[100];
    speech_words(STR("one two three four"), 50, 100, out, sizeof out);
    cr_assert_str_eq(out, "one two");
    speech_words(STR("one two three four"), 99, 100, out, sizeof out);
    cr_assert_str_eq(out, "one two three four");
    speech_words(STR("one two three four"), 0, 100, out, sizeof out);
    cr_assert_str_eq(out, "");
}

Test(g711, round_trip_is_close)
{
    for (int s = -32000; s <= 32000; s += 37) {
        int back = g711_decode(g711_encode((int16_t)s));
        int error = back > s ? back - s : s - back;
        int size = s < 0 ? -s : s;
        cr_assert_leq(error, size / 16 + 8, "%d became %d", s, back);
    }
    cr_assert_eq(g711_decode(0xff), 0);
}
