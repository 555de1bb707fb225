#include "media/pacer.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/crypto.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

struct rig {
    struct loop *loop;
    struct pace_clock clock;
    struct playback playback;
    struct pacer pacer;
    struct buf got; /* decoded */
    struct buf gave;
    int64_t frames;
    int64_t frame_bytes_max;
    int64_t lead_max_us;
    int refuse; /* on_frame says -EPIPE after so many */
    uint32_t seed;
    bool decoded_alone; /* every frame was valid base64 by itself */
};

static void on_end(const struct play_end *end, void *arg)
{
    (void)end;
    (void)arg;
}

static int on_frame(const struct play_item *item, const struct str *parts, size_t count,
                    int64_t bytes, int64_t starts_us, void *arg)
{
    struct rig *r = arg;
    (void)item;
    if (r->refuse > 0 && --r->refuse == 0) {
        return -EPIPE;
    }
    char text[512];
    size_t len = 0;
    for (size_t i = 0; i < count; i++) {
        cr_assert_lt(len + parts[i].len, sizeof text);
        memcpy(text + len, parts[i].p, parts[i].len);
        len += parts[i].len;
    }
    uint8_t ulaw[512];
    ptrdiff_t n = base64_decode(str_make(text, len), ulaw, sizeof ulaw);
    cr_assert_eq(n, bytes, "a frame says %lld bytes and holds %td", (long long)bytes, n);
    buf_add(&r->got, ulaw, (size_t)n);
    r->frames++;
    r->frame_bytes_max = i64_max(r->frame_bytes_max, bytes);
    int64_t lead_us = starts_us + bytes * 125 - loop_now_us(r->loop);
    r->lead_max_us = i64_max(r->lead_max_us, lead_us);
    return 0;
}

static void rig_init(struct rig *r, uint32_t seed)
{
    memset(r, 0, sizeof *r);
    r->seed = seed;
    r->loop = loop_new(LOOP_VIRTUAL);
    pace_clock_init(&r->clock, r->loop);
    playback_init(&r->playback, on_end, r);
    pacer_init(&r->pacer, &r->clock, &r->playback, on_frame, r);
    buf_init(&r->got, 16 * 1024 * 1024);
    buf_init(&r->gave, 16 * 1024 * 1024);
}

static void rig_fini(struct rig *r)
{
    pacer_fini(&r->pacer);
    playback_fini(&r->playback);
    pace_clock_fini(&r->clock);
    loop_free(&r->loop);
    buf_fini(&r->got);
    buf_fini(&r->gave);
}

static uint32_t chance(struct rig *r, uint32_t below)
{
    r->seed = r->seed * 1664525u + 1013904223u;
    return (r->seed >> 8) % below;
}

static void give(struct rig *r, struct play_item *item, size_t bytes)
{
    uint8_t *ulaw = xmalloc(bytes);
    char *text = xmalloc(base64_size(bytes) + 1);
    for (size_t i = 0; i < bytes; i++) {
        ulaw[i] = (uint8_t)chance(r, 256);
    }
    buf_add(&r->gave, ulaw, bytes);
    size_t len = base64_encode(ulaw, bytes, text);
    cr_assert_eq(pacer_add(&r->pacer, item, str_make(text, len)), 0);
    xfree(ulaw);
    xfree(text);
}

static void expect_same(struct rig *r, const char *name)
{
    cr_expect_eq(r->got.len, r->gave.len, "%s: %zu bytes of %zu", name, r->got.len, r->gave.len);
    cr_expect(str_eq(buf_str(&r->got), buf_str(&r->gave)), "%s: other bytes", name);
}

/* Nothing lost, nothing changed, whatever the deltas are cut like; the lead is bounded. */
Test(pacer, what_goes_in_comes_out)
{
    static const struct {
        const char *name;
        uint32_t delta_min, delta_max;
        int64_t every_ms;
    } cases[] = {
        {"one byte at a time", 1, 1, 1},  {"20 ms as the carrier cuts them", 160, 160, 20},
        {"60 ms, aligned", 480, 480, 60}, {"a second at once", 8000, 8000, 100},
        {"anything", 1, 5000, 150},       {"small ones that are no multiple of three", 7, 100, 5},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct rig r;
        rig_init(&r, (uint32_t)i + 1);
        struct play_item *item = playback_item(&r.playback, "a");
        for (int k = 0; k < 200; k++) {
            give(&r, item,
                 cases[i].delta_min + chance(&r, cases[i].delta_max - cases[i].delta_min + 1));
            loop_advance(r.loop, cases[i].every_ms * US_PER_MS);
        }
        item->complete = true;
        pacer_end(&r.pacer, item);
        loop_advance(r.loop, 300 * US_PER_S);
        expect_same(&r, cases[i].name);
        cr_expect_leq(r.lead_max_us, PACER_LEAD_MAX_MS * US_PER_MS, "%s: %lld us ahead",
                      cases[i].name, (long long)r.lead_max_us);
        cr_expect(pacer_empty(&r.pacer), "%s", cases[i].name);
        rig_fini(&r);
    }
}

Test(pacer, twenty_milliseconds_a_frame)
{
    struct rig r;
    rig_init(&r, 7);
    struct play_item *item = playback_item(&r.playback, "a");
    for (int k = 0; k < 10; k++) {
        give(&r, item, 4800); /* 600 ms, a multiple of three */
    }
    cr_expect_eq(r.frames, 9, "%lld frames at once", (long long)r.frames); /* 8 are 159.75 ms */
    loop_advance(r.loop, 2 * US_PER_S);
    cr_expect_geq(r.frames, 106);
    cr_expect_leq(r.frames, 109);
    loop_advance(r.loop, 10 * US_PER_S);
    cr_expect_eq(r.frames, 300); /* 6 s */
    cr_expect_eq(r.frame_bytes_max, 162);
    expect_same(&r, "stream");
    rig_fini(&r);
}

Test(pacer, a_rest_waits_while_the_carrier_has_enough)
{
    struct rig r;
    rig_init(&r, 9);
    struct play_item *item = playback_item(&r.playback, "a");
    give(&r, item, 480);
    cr_expect_eq(r.frames, 3);
    give(&r, item, 30); /* 60 ms are ahead: these 4 ms can wait for company */
    cr_expect_eq(r.frames, 3);
    loop_advance(r.loop, 50 * US_PER_MS); /* 20 ms are ahead: now they cannot */
    cr_expect_eq(r.frames, 4);
    expect_same(&r, "rest");
    rig_fini(&r);
}

Test(pacer, drops_what_was_not_sent)
{
    struct rig r;
    rig_init(&r, 3);
    give(&r, playback_item(&r.playback, "a"), 8000);
    size_t sent = r.got.len;
    cr_expect_gt(pacer_waiting_ms(&r.pacer), 800);
    pacer_drop(&r.pacer);
    cr_expect_eq(pacer_waiting_ms(&r.pacer), 0);
    loop_advance(r.loop, US_PER_S);
    cr_expect_eq(r.got.len, sent);
    playback_clear(&r.playback, loop_now_us(r.loop));
    /* And is ready for the next item. */
    give(&r, playback_item(&r.playback, "b"), 480);
    cr_expect_eq(r.got.len, sent + 480);
    rig_fini(&r);
}

Test(pacer, stops_when_the_socket_is_gone)
{
    struct rig r;
    rig_init(&r, 3);
    r.refuse = 3;
    give(&r, playback_item(&r.playback, "a"), 8000);
    cr_expect_eq(r.frames, 2);
    cr_expect(pacer_empty(&r.pacer));
    loop_advance(r.loop, US_PER_S);
    cr_expect_eq(r.frames, 2);
    rig_fini(&r);
}

Test(pacer, refuses_what_is_not_base64)
{
    static const char *const bad[] = {"",
                                      "A",
                                      "AB",
                                      "ABC",
                                      "AB=C",
                                      "A===",
                                      "====",
                                      "AB\"C",
                                      "AB C",
                                      "AB-_",
                                      "AA=A",
                                      "AAAA\\u00",
                                      "\xc3\xa4\x41\x41"};
    struct rig r;
    rig_init(&r, 3);
    struct play_item *item = playback_item(&r.playback, "a");
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        cr_expect_eq(pacer_add(&r.pacer, item, str_of(bad[i])), -EINVAL, "'%s'", bad[i]);
    }
    cr_expect_eq(pacer_text_bytes(STR("QUJD")), 3);
    cr_expect_eq(pacer_text_bytes(STR("QUI=")), 2);
    cr_expect_eq(pacer_text_bytes(STR("QQ==")), 1);
    cr_expect_eq(r.frames, 0);
    rig_fini(&r);
}

Test(pacer, is_bounded)
{
    struct rig r;
    rig_init(&r, 3);
    struct play_item *item = playback_item(&r.playback, "a");
    size_t len = 1024 * 1024;
    char *text = xmalloc(len);
    memset(text, 'A', len);
    int err = 0;
    for (int i = 0; i < 6 && err == 0; i++) {
        err = pacer_add(&r.pacer, item, str_make(text, len));
    }
    cr_expect_eq(err, -ENOBUFS);
    xfree(text);
    rig_fini(&r);
}
