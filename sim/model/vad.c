#include "vad.h"

#include "people/g711.h"

#include <string.h>

#define START_MS 60

void vad_init(struct vad *v, double threshold, int64_t prefix_ms, int64_t silence_ms)
{
    v->threshold = threshold;
    v->prefix_ms = prefix_ms;
    v->silence_ms = silence_ms;
}

static bool is_loud(const struct vad *v)
{
    double level = 200.0 + 600.0 * v->threshold; /* root mean square, of 32767 */

    return (double)g711_power(v->window, VAD_WINDOW) > level * level;
}

static enum vad_event judge(struct vad *v, int64_t *at_ms)
{
    bool loud = is_loud(v);

    v->now_ms += 10;
    v->loud_ms = loud ? v->loud_ms + 10 : 0;
    v->quiet_ms = loud ? 0 : v->quiet_ms + 10;
    if (!v->speaking && v->loud_ms >= START_MS) {
        v->speaking = true;
        *at_ms = i64_max(0, v->now_ms - START_MS - v->prefix_ms);
        return VAD_STARTED;
    }
    if (v->speaking && v->quiet_ms >= v->silence_ms) {
        v->speaking = false;
        *at_ms = v->now_ms;
        return VAD_STOPPED;
    }
    return VAD_NOTHING;
}

enum vad_event vad_feed(struct vad *v, const uint8_t *ulaw, size_t len, size_t *used,
                        int64_t *at_ms)
{
    enum vad_event event = VAD_NOTHING;
    size_t i = 0;

    while (i < len && event == VAD_NOTHING) {
        size_t n = VAD_WINDOW - v->filled;
        n = n > len - i ? len - i : n;
        memcpy(v->window + v->filled, ulaw + i, n);
        v->filled += n;
        i += n;
        if (v->filled == VAD_WINDOW) {
            v->filled = 0;
            event = judge(v, at_ms);
        }
    }
    *used = i;
    return event;
}
