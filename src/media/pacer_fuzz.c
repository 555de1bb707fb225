#include "media/pacer.h"

#include "base/crypto.h"

static void on_end(const struct play_end *end, void *arg)
{
    (void)arg;
    assert(end->heard_ms <= end->sent_ms && end->sent_ms <= end->queued_ms);
}

static int on_frame(const struct play_item *item, const struct str *parts, size_t count,
                    int64_t bytes, int64_t starts_us, void *arg)
{
    struct pacer *p = arg;
    uint8_t ulaw[256];
    int64_t sum = 0;
    (void)item;
    (void)starts_us;
    for (size_t i = 0; i < count; i++) {
        sum += base64_decode(parts[i], ulaw, sizeof ulaw);
    }
    assert(sum <= bytes && p->lead_max_us <= PACER_LEAD_MAX_MS * 1000);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct loop *loop = loop_new(LOOP_VIRTUAL);
    struct pace_clock clock;
    struct playback playback;
    struct pacer pacer;
    pace_clock_init(&clock, loop);
    playback_init(&playback, on_end, NULL);
    pacer_init(&pacer, &clock, &playback, on_frame, &pacer);
    struct str rest = str_make((const char *)data, size);
    struct str line;
    while (str_split(&rest, '\n', &line)) { /* audio, checkpoint names, and time */
        if (pacer_add(&pacer, playback_item(&playback, "a"), line) < 0) {
            (void)playback_acked(&playback, line, loop_now_us(loop));
            loop_advance(loop, (int64_t)line.len * 1000);
        }
    }
    pacer_drop(&pacer);
    playback_clear(&playback, loop_now_us(loop));
    pacer_fini(&pacer);
    playback_fini(&playback);
    pace_clock_fini(&clock);
    loop_free(&loop);
    return 0;
}
