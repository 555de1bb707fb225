#include "speech.h"

#include "base/alloc.h"
#include "base/map.h"
#include "dice.h"
#include "g711.h"
#include "marker.h"

#include <flite/flite.h>

#include <math.h>
#include <string.h>

#define RATE_HZ       8000
#define QUIET_LEVEL   600.0 /* root mean square under which a window counts as a pause */
#define HALF_TAPS     12
#define WINDOW        80 /* 10 ms */
#define PAUSE_WINDOWS 16 /* pauses longer than 160 ms are cut to that */
#define LOUDNESS      4000.0

cst_voice *register_cmu_us_rms(const char *voxdir);
cst_voice *register_cmu_us_slt(const char *voxdir);
cst_voice *register_cmu_us_awb(const char *voxdir);
void unregister_cmu_us_rms(cst_voice *voice);
void unregister_cmu_us_slt(cst_voice *voice);
void unregister_cmu_us_awb(cst_voice *voice);

struct speech_cache {
    struct map lines; /* id -> struct speech */
    cst_voice *voices[VOICE_COUNT];
};

static const char *const voice_kind[VOICE_COUNT] = {
    [VOICE_PERSON] = "person", [VOICE_AI] = "ai", [VOICE_AGENT] = "agent"};

struct speech_cache *speech_cache_new(void)
{
    struct speech_cache *cache = xzalloc(sizeof *cache);

    map_init(&cache->lines);
    flite_init();
    cache->voices[VOICE_PERSON] = register_cmu_us_rms(NULL);
    cache->voices[VOICE_AI] = register_cmu_us_slt(NULL);
    cache->voices[VOICE_AGENT] = register_cmu_us_awb(NULL);
    for (int i = 0; i < VOICE_COUNT; i++) {
        feat_set_float(cache->voices[i]->features, "duration_stretch", 0.85F);
    }
    return cache;
}

static void free_line(struct str key, void *value, void *arg)
{
    struct speech *line = value;

    (void)key;
    (void)arg;
    xfree(line->text);
    xfree(line->ulaw);
    xfree(line);
}

void speech_cache_free(struct speech_cache **cache)
{
    if (*cache == NULL) {
        return;
    }
    map_each(&(*cache)->lines, free_line, NULL);
    map_fini(&(*cache)->lines);
    unregister_cmu_us_rms((*cache)->voices[VOICE_PERSON]);
    unregister_cmu_us_slt((*cache)->voices[VOICE_AI]);
    unregister_cmu_us_awb((*cache)->voices[VOICE_AGENT]);
    xfree(*cache);
    *cache = NULL;
}

uint32_t speech_id(enum speech_voice voice, struct str text)
{
    return dice_id(voice_kind[voice], text);
}

static double power(const short *samples, size_t count)
{
    double sum = 0;

    for (size_t i = 0; i < count; i++) {
        sum += (double)samples[i] * samples[i];
    }
    return count == 0 ? 0 : sum / (double)count;
}

static bool window_is_quiet(const short *samples, size_t count)
{
    return power(samples, count) < QUIET_LEVEL * QUIET_LEVEL;
}

/* Trims both ends and shortens pauses, in place; returns the new length. */
static size_t tighten(short *samples, size_t count)
{
    size_t out = 0;
    size_t quiet = PAUSE_WINDOWS; /* as if a pause came before: drops the leading one */

    for (size_t i = 0; i < count; i += WINDOW) {
        size_t n = count - i < WINDOW ? count - i : WINDOW;
        quiet = window_is_quiet(samples + i, n) ? quiet + 1 : 0;
        if (quiet <= PAUSE_WINDOWS) {
            memmove(samples + out, samples + i, n * sizeof *samples);
            out += n;
        }
    }
    while (out > WINDOW && window_is_quiet(samples + out - WINDOW, WINDOW)) {
        out -= WINDOW;
    }
    return out;
}

/* Brings the voice to one loudness; what goes over the top is clipped, as on a telephone. */
static void level(short *samples, size_t count)
{
    double loudness = sqrt(power(samples, count));
    double gain = loudness > 1.0 ? LOUDNESS / loudness : 1.0;

    for (size_t i = 0; i < count; i++) {
        double s = samples[i] * gain;
        samples[i] = (short)(s > 30000 ? 30000 : s < -30000 ? -30000 : s);
    }
}

static void encode(struct speech *line, const short *samples, size_t count)
{
    size_t blocks = (count + MARKER_BLOCK - 1) / MARKER_BLOCK;

    blocks = blocks == 0 ? 12 : blocks;
    blocks = blocks > MARKER_BLOCKS_MAX ? MARKER_BLOCKS_MAX : blocks;
    line->len = blocks * MARKER_BLOCK;
    line->ulaw = xmalloc(line->len);
    memset(line->ulaw, (int)G711_SILENCE, line->len);
    for (size_t i = 0; i < count && i < line->len; i++) {
        line->ulaw[i] = g711_encode(samples[i]);
    }
    marker_stamp(line->ulaw, line->len, line->id);
}

/* 16 kHz to 8 kHz: every other sample of a windowed-sinc low pass at 3.6 kHz. flite has a converter,
 * but 2.2's copies overlapping memory with memcpy (the address sanitizer stops there). */
static size_t halve(short *samples, size_t count)
{
    double taps[2 * HALF_TAPS + 1];
    size_t out = 0;

    for (int k = -HALF_TAPS; k <= HALF_TAPS; k++) {
        double x = M_PI * 2.0 * 3600.0 / 16000.0 * k;
        double window = 0.54 + 0.46 * cos(M_PI * k / (HALF_TAPS + 1));
        taps[k + HALF_TAPS] = (k == 0 ? 1.0 : sin(x) / x) * window * 0.45;
    }
    OWNED(xfreep) char *copy = xmemdup(samples, count * sizeof *samples);
    const short *in = (const short *)(const void *)copy;
    for (size_t i = 0; i < count; i += 2) {
        double sum = 0;
        for (int k = -HALF_TAPS; k <= HALF_TAPS; k++) {
            ptrdiff_t at = (ptrdiff_t)i + k;
            sum += at >= 0 && at < (ptrdiff_t)count ? in[at] * taps[k + HALF_TAPS] : 0;
        }
        samples[out++] = (short)(sum > 32767 ? 32767 : sum < -32768 ? -32768 : sum);
    }
    return out;
}

static void synthesise(struct speech *line, cst_voice *voice)
{
    cst_wave *wave = flite_text_to_wave(line->text, voice);

    if (wave == NULL) {
        encode(line, NULL, 0);
        return;
    }
    size_t count = (size_t)(wave->num_samples < 0 ? 0 : wave->num_samples);
    count = wave->sample_rate == 2 * RATE_HZ ? halve(wave->samples, count) : count;
    level(wave->samples, count);
    count = tighten(wave->samples, count);
    encode(line, wave->samples, count);
    delete_wave(wave);
}

const struct speech *speech_say(struct speech_cache *cache, enum speech_voice voice,
                                struct str text)
{
    return speech_mark(cache, voice, text, speech_id(voice, text));
}

const struct speech *speech_mark(struct speech_cache *cache, enum speech_voice voice,
                                 struct str text, uint32_t id)
{
    const struct speech *known = speech_find(cache, id);

    if (known != NULL) {
        return known;
    }
    struct speech *line = xzalloc(sizeof *line);
    line->id = id;
    line->text = str_dup(str_head(text, SPEECH_TEXT_MAX));
    synthesise(line, cache->voices[voice]);
    (void)map_put(&cache->lines, str_make((const char *)&line->id, sizeof line->id), line);
    return line;
}

const struct speech *speech_find(const struct speech_cache *cache, uint32_t id)
{
    return map_get(&cache->lines, str_make((const char *)&id, sizeof id));
}

void speech_words(struct str text, size_t heard_blocks, size_t total, char *out, size_t out_size)
{
    size_t keep = total == 0 ? 0 : text.len * heard_blocks / total;

    if (heard_blocks + 2 >= total) {
        keep = text.len;
    }
    while (keep > 0 && keep < text.len && text.p[keep] != ' ') {
        keep--;
    }
    str_copy_cut(str_head(text, keep), out, out_size);
}
