#include "media/recorder.h"

#include "base/alloc.h"
#include "base/clock.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <sndfile.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SAMPLES_MAX (8000 * 120)

struct rig {
    struct loop *loop;
    char dir[64];
    char path[128];
    struct recorder *r;
    struct recorder_info info;
    char info_path[RECORDER_PATH_SIZE];
    bool done;
    uint8_t *data; /* interleaved */
    sf_count_t samples;
};

static void on_done(const struct recorder_info *info, void *arg)
{
    struct rig *g = arg;
    g->info = *info;
    str_copy_cut(str_of(info->path), g->info_path, sizeof g->info_path);
    g->done = true;
}

static void rig_init(struct rig *g)
{
    memset(g, 0, sizeof *g);
    (void)snprintf(g->dir, sizeof g->dir, "/tmp/dw-recorder-XXXXXX");
    cr_assert_not_null(mkdtemp(g->dir));
    (void)snprintf(g->path, sizeof g->path, "%s/org/2026-11/call.wav", g->dir);
    g->loop = loop_new(LOOP_VIRTUAL);
    g->data = xmalloc(SAMPLES_MAX * 2);
}

static void rig_fini(struct rig *g)
{
    recorder_free(&g->r);
    loop_free(&g->loop);
    xfree(g->data);
    (void)unlink(g->path);
    char dir[160];
    (void)snprintf(dir, sizeof dir, "%s/org/2026-11", g->dir);
    (void)rmdir(dir);
    (void)snprintf(dir, sizeof dir, "%s/org", g->dir);
    (void)rmdir(dir);
    (void)rmdir(g->dir);
}

/* Reads the file by the library that players use. */
static void read_back(struct rig *g)
{
    SF_INFO info = {0};
    SNDFILE *f = sf_open(g->path, SFM_READ, &info);
    cr_assert_not_null(f, "%s", sf_strerror(NULL));
    cr_expect_eq(info.samplerate, 8000);
    cr_expect_eq(info.channels, 2);
    cr_expect_eq(info.format, SF_FORMAT_WAV | SF_FORMAT_ULAW);
    g->samples = info.frames;
    cr_assert_leq(info.frames, SAMPLES_MAX);
    cr_expect_eq(sf_read_raw(f, g->data, info.frames * 2), info.frames * 2);
    sf_close(f);
}

static void expect_side(const struct rig *g, int side, int64_t from_ms, int64_t to_ms,
                        uint8_t value, const char *what)
{
    for (int64_t i = from_ms * 8; i < to_ms * 8; i++) {
        cr_assert_lt(i, g->samples, "%s: the file ends at %lld ms", what,
                     (long long)g->samples / 8);
        cr_assert_eq(g->data[i * 2 + side], value, "%s: %02x at %lld ms", what,
                     g->data[i * 2 + side], (long long)i / 8);
    }
}

static void lead_for(struct rig *g, int64_t ms, uint8_t value)
{
    uint8_t frame[160];
    memset(frame, value, sizeof frame);
    for (int64_t t = 0; t < ms; t += 20) {
        loop_advance(g->loop, 20 * US_PER_MS);
        recorder_lead(g->r, frame, sizeof frame, loop_now_us(g->loop));
    }
}

static void ai_at(struct rig *g, int64_t starts_us, int64_t ms, uint8_t value)
{
    uint8_t frame[160];
    memset(frame, value, sizeof frame);
    for (int64_t t = 0; t < ms; t += 20) {
        recorder_ai(g->r, frame, sizeof frame, starts_us + t * US_PER_MS);
    }
}

static void stop(struct rig *g)
{
    recorder_stop(g->r, loop_now_us(g->loop), on_done, g);
    loop_advance(g->loop, US_PER_S);
    cr_assert(g->done);
}

Test(recorder, both_sides_stand_where_they_were_heard)
{
    struct rig g;
    rig_init(&g);
    g.r = recorder_start(g.loop, g.path);
    int64_t t0 = loop_now_us(g.loop);
    lead_for(&g, 1000, 0x11);
    ai_at(&g, t0 + 1000 * US_PER_MS, 160, 0x22);
    lead_for(&g, 200, 0x33);
    lead_for(&g, 3000, 0x11);
    stop(&g);
    cr_expect_eq(g.info.error, 0);
    cr_expect_eq(g.info.lost_ms, 0);
    cr_expect_eq(g.info.duration_ms, 4200);
    read_back(&g);
    cr_expect_eq(g.samples, 4200 * 8);
    expect_side(&g, 0, 0, 1000, 0x11, "lead");
    expect_side(&g, 0, 1000, 1200, 0x33, "lead while the AI speaks");
    expect_side(&g, 0, 1200, 4200, 0x11, "lead");
    expect_side(&g, 1, 0, 1000, 0xff, "AI before");
    expect_side(&g, 1, 1000, 1160, 0x22, "AI");
    expect_side(&g, 1, 1160, 4200, 0xff, "AI after");
    struct stat st;
    cr_expect_eq(stat(g.path, &st), 0);
    cr_expect_eq(st.st_size, g.info.bytes);
    cr_expect_eq(st.st_mode & 0777, 0600);
    rig_fini(&g);
}

Test(recorder, what_a_clear_threw_away_is_not_in_it)
{
    struct rig g;
    rig_init(&g);
    g.r = recorder_start(g.loop, g.path);
    int64_t t0 = loop_now_us(g.loop);
    ai_at(&g, t0, 200, 0x22);
    lead_for(&g, 80, 0x11);
    recorder_cut(g.r, loop_now_us(g.loop));
    lead_for(&g, 420, 0x11);
    stop(&g);
    read_back(&g);
    expect_side(&g, 1, 0, 80, 0x22, "heard");
    expect_side(&g, 1, 80, 500, 0xff, "cut");
    rig_fini(&g);
}

Test(recorder, gaps_are_silence_and_jitter_is_not_a_gap)
{
    struct rig g;
    rig_init(&g);
    g.r = recorder_start(g.loop, g.path);
    lead_for(&g, 400, 0x11);
    loop_advance(g.loop, 600 * US_PER_MS); /* the network fell asleep */
    lead_for(&g, 200, 0x33);
    loop_advance(g.loop, 60 * US_PER_MS); /* and hiccuped: a burst follows */
    uint8_t frame[160];
    memset(frame, 0x44, sizeof frame);
    for (int i = 0; i < 3; i++) {
        recorder_lead(g.r, frame, sizeof frame, loop_now_us(g.loop));
    }
    lead_for(&g, 200, 0x44);
    stop(&g);
    read_back(&g);
    expect_side(&g, 0, 0, 400, 0x11, "before the gap");
    expect_side(&g, 0, 400, 1000, 0xff, "the gap");
    expect_side(&g, 0, 1000, 1200, 0x33, "after it");
    expect_side(&g, 0, 1200, 1460, 0x44, "the burst, without a seam");
    rig_fini(&g);
}

Test(recorder, the_file_can_be_played_at_any_moment)
{
    struct rig g;
    rig_init(&g);
    g.r = recorder_start(g.loop, g.path);
    for (int i = 1; i <= 10; i++) {
        lead_for(&g, 1000, (uint8_t)i);
        if (i >= 3) { /* as after kill -9: nobody closed it */
            read_back(&g);
            cr_expect_geq(g.samples, (i - 2) * 8000, "second %d: %lld samples", i,
                          (long long)g.samples);
            expect_side(&g, 0, (i - 3) * 1000, (i - 2) * 1000, (uint8_t)(i - 2), "as far as it is");
        }
    }
    rig_fini(&g);
}

Test(recorder, a_disk_that_refuses_is_told)
{
    struct rig g;
    rig_init(&g);
    g.r = recorder_start(g.loop, "/proc/nowhere/call.wav");
    lead_for(&g, 3000, 1);
    stop(&g);
    cr_expect_lt(g.info.error, 0);
    rig_fini(&g);
}

Test(recorder, freed_in_the_middle_leaks_nothing)
{
    struct rig g;
    rig_init(&g);
    g.r = recorder_start(g.loop, g.path);
    lead_for(&g, 1400, 1);
    recorder_free(&g.r);
    loop_advance(g.loop, US_PER_S);
    rig_fini(&g);
}

Test(recorder, nothing_said_is_an_empty_file)
{
    struct rig g;
    rig_init(&g);
    g.r = recorder_start(g.loop, g.path);
    stop(&g);
    cr_expect_eq(g.info.error, 0);
    cr_expect_eq(g.info.duration_ms, 0);
    read_back(&g);
    cr_expect_eq(g.samples, 0);
    rig_fini(&g);
}
