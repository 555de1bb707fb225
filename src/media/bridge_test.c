#include "media/bridge.h"

#include "base/jscan.h"
#include "base/limits.h"
#include "media/media_test.h"

struct rig {
    struct loop *loop;
    struct pace_clock clock;
    struct jscan *scan;
    struct phone phone;
    struct bridge bridge;
    struct voice_session *session;
    int starts;
    char digits[16];
    size_t digit_count;
    struct {
        char id[PLAYBACK_ID_SIZE];
        enum play_heard heard;
        int64_t heard_ms, queued_ms;
    } ends[32];
    size_t end_count;
    enum bridge_lost lost;
    int lost_count;
    int released;
};

static void on_start(void *arg)
{
    struct rig *g = arg;
    g->starts++;
}

static void on_dtmf(char digit, void *arg)
{
    struct rig *g = arg;
    g->digits[g->digit_count++] = digit;
}

static void on_end(const struct play_end *end, void *arg)
{
    struct rig *g = arg;
    cr_assert_lt(g->end_count, COUNT_OF(g->ends));
    (void)snprintf(g->ends[g->end_count].id, PLAYBACK_ID_SIZE, "%s", end->item->id);
    g->ends[g->end_count].heard = end->heard;
    g->ends[g->end_count].heard_ms = end->heard_ms;
    g->ends[g->end_count].queued_ms = end->queued_ms;
    g->end_count++;
}

static void on_lost(enum bridge_lost why, int code, void *arg)
{
    struct rig *g = arg;
    (void)code;
    g->lost = why;
    g->lost_count++;
}

static void on_release(void *arg)
{
    struct rig *g = arg;
    g->released++;
}

static void voice_audio(const char *response_id, const char *item_id, struct str base64, void *arg)
{
    struct rig *g = arg;
    (void)response_id;
    bridge_audio(&g->bridge, item_id, base64);
}

static void rig_init(struct rig *g)
{
    memset(g, 0, sizeof *g);
    double_init();
    g->loop = loop_new(LOOP_VIRTUAL);
    pace_clock_init(&g->clock, g->loop);
    phone_init(&g->phone, g->loop);
    struct bridge_handlers on = {on_start, on_dtmf, on_end, on_lost, g};
    g->scan = jscan_new(LIMIT_MEDIA_MSG_BYTES);
    bridge_init(&g->bridge, &g->clock, g->scan, &carrier_plivo, &voice_double, &on);
    struct voice_handlers heard = {.on_audio = voice_audio, .arg = g};
    cr_assert_eq(voice_double.open(&g->session, g->loop, NULL, NULL, &heard), 0);
    bridge_voice(&g->bridge, g->session);
    bridge_attach(&g->bridge, g->phone.other_fd, STR_NONE, "call-1", on_release, g);
}

static void rig_start(struct rig *g)
{
    rig_init(g);
    phone_start(&g->phone, "call-1");
    settle_io(g->loop);
    cr_assert_eq(g->starts, 1);
}

static void rig_fini(struct rig *g)
{
    bridge_fini(&g->bridge);
    phone_fini(&g->phone);
    settle_io(g->loop);
    jscan_free(&g->scan);
    pace_clock_fini(&g->clock);
    loop_free(&g->loop);
    cr_expect_eq(g->released, 1);
    double_fini();
}

Test(bridge, the_lead_is_heard_as_the_carrier_wrote_it)
{
    struct rig g;
    rig_start(&g);
    OWNED(buf_fini) struct buf want;
    buf_init(&want, 1 << 20);
    uint32_t seed = 5;
    for (int i = 0; i < 100; i++) {
        uint8_t ulaw[170];
        char text[256];
        size_t n = 150 + seed % 20; /* "about 20 ms" */
        for (size_t k = 0; k < n; k++) {
            seed = seed * 1664525u + 1013904223u;
            ulaw[k] = (uint8_t)(seed >> 24);
        }
        buf_add(&want, text, base64_encode(ulaw, n, text));
        phone_media(&g.phone, ulaw, n);
        loop_advance(g.loop, 20 * US_PER_MS);
        settle_io(g.loop);
    }
    cr_expect_eq(double_voice.heard_count, 100);
    cr_expect(str_eq(buf_str(&want), buf_str(&double_voice.heard)));
    rig_fini(&g);
}

Test(bridge, the_ai_is_played_whole_and_in_time)
{
    struct rig g;
    rig_start(&g);
    double_audio("a", 700, 0x21);
    double_audio("a", 333, 0x22); /* no multiple of three bytes */
    double_audio("a", 100, 0x23);
    bridge_audio_end(&g.bridge, "a");
    double_audio("b", 500, 0x24);
    bridge_audio_end(&g.bridge, "b");
    pass(&g.phone, 600, true);
    cr_expect_lt(g.phone.got_bytes, (600 + 200) * 8, "the lead is bounded");
    cr_expect_eq(g.end_count, 0);
    pass(&g.phone, 1400, true);
    cr_expect_eq(g.phone.got_bytes, 1633 * 8);
    for (size_t i = 0; i < g.phone.audio.len; i++) {
        uint8_t want = (uint8_t)(i < 5600 ? 0x21 : i < 8264 ? 0x22 : i < 9064 ? 0x23 : 0x24);
        cr_assert_eq((uint8_t)g.phone.audio.p[i], want, "byte %zu", i);
    }
    cr_assert_eq(g.end_count, 2);
    cr_expect_str_eq(g.ends[0].id, "a");
    cr_expect_eq(g.ends[0].heard, PLAY_FULL);
    cr_expect_eq(g.ends[0].heard_ms, 1133);
    cr_expect_str_eq(g.ends[1].id, "b");
    cr_expect(bridge_quiet(&g.bridge));
    rig_fini(&g);
}

Test(bridge, an_interruption_clears_cancels_and_truncates_at_what_was_heard)
{
    struct rig g;
    rig_start(&g);
    double_audio("a", 3000, 0x21);
    double_audio("b", 1000, 0x22);
    pass(&g.phone, 1240, true);
    bridge_interrupt(&g.bridge);
    settle_io(g.loop);
    cr_expect_eq(g.phone.clears, 1);
    cr_expect_eq(double_voice.cancels, 1);
    cr_assert_eq(g.end_count, 2);
    int64_t truth_ms = g.phone.played_at_clear / 8;
    cr_expect_geq(g.ends[0].heard_ms, truth_ms - 20, "%lld of %lld", (long long)g.ends[0].heard_ms,
                  (long long)truth_ms);
    cr_expect_leq(g.ends[0].heard_ms, truth_ms + 20);
    cr_expect_eq(g.ends[0].heard, PLAY_CUT);
    cr_expect_eq(g.ends[1].heard, PLAY_NONE);
    char line[64];
    (void)snprintf(line, sizeof line, "truncate a %lld", (long long)g.ends[0].heard_ms);
    cr_expect(was_told(line), "%s", buf_cstr(&double_voice.told));
    cr_expect(was_told("truncate b 0"));

    /* What still comes for a cut item is late; what comes next is played. */
    int64_t got = g.phone.got_bytes;
    double_audio("a", 200, 0x23);
    pass(&g.phone, 100, true);
    cr_expect_eq(g.phone.got_bytes, got);
    double_audio("c", 100, 0x24);
    bridge_audio_end(&g.bridge, "c");
    pass(&g.phone, 200, true);
    cr_expect_eq(g.phone.got_bytes, got + 800);
    cr_assert_eq(g.end_count, 3);
    cr_expect_eq(g.ends[2].heard, PLAY_FULL);
    rig_fini(&g);
}

Test(bridge, a_prompt_of_ours_is_played_like_any_other)
{
    struct rig g;
    rig_start(&g);
    uint8_t ulaw[8 * 777];
    for (size_t i = 0; i < sizeof ulaw; i++) {
        ulaw[i] = (uint8_t)i;
    }
    bridge_prompt(&g.bridge, "prompt", ulaw, sizeof ulaw);
    pass(&g.phone, 900, true);
    cr_assert_eq(g.phone.audio.len, sizeof ulaw);
    cr_expect_arr_eq(g.phone.audio.p, ulaw, sizeof ulaw);
    cr_assert_eq(g.end_count, 1);
    cr_expect_eq(g.ends[0].heard_ms, 777);
    rig_fini(&g);
}

Test(bridge, keys_are_told)
{
    struct rig g;
    rig_start(&g);
    phone_say(&g.phone, "{\"event\":\"dtmf\",\"sequenceNumber\":4,\"streamId\":\"s-1\",\"dtmf\":{"
                        "\"track\":\"inbound\",\"digit\":\"9\",\"timestamp\":\"5\"}}");
    settle_io(g.loop);
    cr_expect_str_eq(g.digits, "9");
    rig_fini(&g);
}

Test(bridge, a_stream_of_another_call_is_closed)
{
    static const char *const others[] = {"call-2", "", "call-1x", "call"};
    for (size_t i = 0; i < COUNT_OF(others); i++) {
        struct rig g;
        rig_init(&g);
        phone_start(&g.phone, others[i]);
        settle_io(g.loop);
        if (others[i][0] != '\0') { /* an empty one is a frame that makes no sense */
            cr_expect_eq(g.lost_count, 1, "'%s'", others[i]);
            cr_expect_eq(g.lost, BRIDGE_WRONG_CALL);
            cr_expect_eq(g.phone.closed_code, 1008);
        }
        cr_expect_eq(g.starts, 0);
        rig_fini(&g);
    }
}

Test(bridge, nonsense_is_counted_and_then_ends_the_stream)
{
    static const char *const nonsense[] = {
        "{",
        "[]",
        "{\"event\":\"media\"}",
        "{\"event\":\"media\",\"streamId\":\"s-1\",\"media\":{\"payload\":\"not base64!\"}}",
        "{\"event\":\"start\",\"start\":{}}",
    };
    struct rig g;
    rig_start(&g);
    for (size_t i = 0; i < COUNT_OF(nonsense); i++) {
        cr_expect_eq(g.lost_count, 0, "after %zu", i);
        phone_say(&g.phone, nonsense[i]);
        settle_io(g.loop);
    }
    cr_expect_eq(double_voice.heard_count, 0, "nothing of it reached the model");
    cr_expect_eq(g.lost_count, 1);
    cr_expect_eq(g.lost, BRIDGE_NONSENSE);
    cr_expect_eq(g.phone.closed_code, 1008);
    rig_fini(&g);
}

Test(bridge, events_not_known_are_not_nonsense)
{
    struct rig g;
    rig_start(&g);
    for (int i = 0; i < 20; i++) {
        phone_say(&g.phone, "{\"event\":\"muteStream\",\"streamId\":\"s-1\"}");
    }
    settle_io(g.loop);
    cr_expect_eq(g.lost_count, 0);
    rig_fini(&g);
}

Test(bridge, binary_is_refused)
{
    struct rig g;
    rig_start(&g);
    /* A binary frame, masked with zeros, on the wire below the double's socket. */
    static const uint8_t frame[] = {0x82, 0x82, 0, 0, 0, 0, 'h', 'i'};
    int fds[2];
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
    struct bridge other;
    struct bridge_handlers on = {on_start, on_dtmf, on_end, on_lost, &g};
    bridge_init(&other, &g.clock, g.scan, &carrier_plivo, &voice_double, &on);
    bridge_attach(&other, fds[1], STR_NONE, "call-1", NULL, NULL);
    cr_assert_eq(write(fds[0], frame, sizeof frame), sizeof frame);
    settle_io(g.loop);
    cr_expect_eq(g.lost_count, 1);
    cr_expect_eq(g.lost, BRIDGE_NONSENSE);
    uint8_t answer[64];
    ssize_t n = read(fds[0], answer, sizeof answer);
    cr_assert_geq(n, 4);
    cr_expect_eq(answer[0], 0x88);
    cr_expect_eq(answer[2] << 8 | answer[3], 1003);
    bridge_fini(&other);
    (void)close(fds[0]);
    rig_fini(&g);
}

Test(bridge, a_flood_is_ended)
{
    struct rig g;
    rig_start(&g);
    uint8_t quiet[160] = {0};
    for (int i = 0; i < 700 && g.lost_count == 0; i++) {
        phone_media(&g.phone, quiet, sizeof quiet);
        settle_io(g.loop);
    }
    cr_expect_eq(g.lost_count, 1);
    cr_expect_eq(g.lost, BRIDGE_NONSENSE);
    cr_expect_eq(double_voice.heard_count, 599, "%d", double_voice.heard_count); /* and the start */
    rig_fini(&g);
}

Test(bridge, silence_on_the_socket_ends_it)
{
    struct rig g;
    rig_start(&g);
    pass(&g.phone, 4000, false);
    bridge_tick(&g.bridge);
    cr_expect_eq(g.lost_count, 0);
    pass(&g.phone, 1100, false);
    bridge_tick(&g.bridge);
    cr_expect_eq(g.lost_count, 1);
    cr_expect_eq(g.lost, BRIDGE_SILENT);
    rig_fini(&g);
}

Test(bridge, a_hangup_tells_what_was_heard)
{
    struct rig g;
    rig_start(&g);
    double_audio("a", 3000, 0x21);
    pass(&g.phone, 1000, true);
    ws_close(g.phone.ws, 1000, "");
    settle_io(g.loop);
    cr_expect_eq(g.lost_count, 1);
    cr_expect_eq(g.lost, BRIDGE_PEER_CLOSED);
    cr_assert_eq(g.end_count, 1);
    cr_expect_eq(g.ends[0].heard, PLAY_CUT);
    cr_expect_geq(g.ends[0].heard_ms, 980);
    cr_expect_leq(g.ends[0].heard_ms, 1020);
    rig_fini(&g);
}

Test(bridge, audio_before_the_stream_goes_nowhere)
{
    struct rig g;
    rig_init(&g);
    double_audio("a", 100, 0x21);
    settle_io(g.loop);
    cr_expect_eq(g.phone.got_bytes, 0);
    cr_expect_eq(g.bridge.dropped, 1);
    rig_fini(&g);
}

Test(bridge, a_carrier_that_never_acknowledges_is_survived)
{
    struct rig g;
    rig_start(&g);
    g.phone.mute_acks = true;
    double_audio("a", 300, 0x21);
    bridge_audio_end(&g.bridge, "a");
    for (int i = 0; i < 30 && g.end_count == 0; i++) {
        pass(&g.phone, 100, true);
        bridge_tick(&g.bridge);
    }
    cr_assert_eq(g.end_count, 1);
    cr_expect_eq(g.ends[0].heard, PLAY_FULL);
    rig_fini(&g);
}
