#include "carrier/plivo/stream.h"

#include "base/jscan.h"
#include "base/json.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

static int read_frame(struct jscan *scan, const char *text, struct carrier_frame *frame)
{
    return plivo_frame_read(scan, str_of(text), frame);
}

#define START(encoding, rate)                                                                      \
    "{\"event\":\"start\",\"sequenceNumber\":1,\"start\":{\"callId\":\"c-1\",\"streamId\":\"s-"    \
    "1\","                                                                                         \
    "\"accountId\":\"MA1\",\"tracks\":[\"inbound\"],\"mediaFormat\":{\"encoding\":\"" encoding     \
    "\",\"sampleRate\":" rate "}},\"extra_headers\":\"{}\"}"

Test(stream, start_in_every_form)
{
    OWNED(jscan_free) struct jscan *scan = jscan_new(16384);
    static const char *const forms[] = {
        START("audio/x-mulaw", "8000"),
        START("audio/x-mulaw", "\"8000\""),
        START("audio/x-mulaw;rate=8000", "8000"),
        "{\"start\":{\"mediaFormat\":{\"sampleRate\":8000,\"encoding\":\"audio/x-mulaw\"},"
        "\"callId\":\"c-1\"},\"streamId\":\"s-1\",\"sequenceNumber\":\"0\",\"event\":\"start\","
        "\"extra_headers\":\"k=v;k2=v2\"}",
        "{\"event\":\"start\",\"extra_headers\":{\"k\":1},\"customParameters\":{},\"start\":{"
        "\"callId\":"
        "\"c-1\",\"streamId\":\"s-1\",\"mediaFormat\":{\"encoding\":\"audio/"
        "x-mulaw\",\"sampleRate\":8000}}}",
    };
    for (size_t i = 0; i < COUNT_OF(forms); i++) {
        struct carrier_frame frame;
        cr_assert_eq(read_frame(scan, forms[i], &frame), 0, "form %zu", i);
        cr_expect_eq(frame.kind, CARRIER_FRAME_START);
        cr_expect(str_eq(frame.call_id, STR("c-1")));
        cr_expect(str_eq(frame.stream_id, STR("s-1")));
        cr_expect(str_eq(frame.encoding, STR("audio/x-mulaw")), "form %zu", i);
        cr_expect_eq(frame.rate_hz, 8000, "form %zu", i);
    }
}

Test(stream, media_is_handed_on_as_it_came)
{
    OWNED(jscan_free) struct jscan *scan = jscan_new(16384);
    struct carrier_frame frame;
    cr_assert_eq(
        read_frame(scan,
                   "{\"event\":\"media\",\"sequenceNumber\":2,\"streamId\":\"s-1\",\"media\":{"
                   "\"track\":\"inbound\",\"timestamp\":\"1700\",\"chunk\":1,\"payload\":"
                   "\"/v7+/w==\"}}",
                   &frame),
        0);
    cr_assert_eq(frame.kind, CARRIER_FRAME_MEDIA);
    cr_assert(str_eq(frame.payload, STR("/v7+/w==")));
    cr_assert(str_eq(frame.stream_id, STR("s-1")));
    cr_assert_eq(
        read_frame(scan, "{\"event\":\"media\",\"media\":{\"payload\":\"\\/v7+\\/w==\"}}", &frame),
        0);
    cr_assert(str_eq(frame.payload, STR("/v7+/w==")), "an escaped slash is a slash");
    cr_assert_eq(read_frame(scan, "{\"event\":\"media\",\"media\":{\"payload\":\"\"}}", &frame), 0);
    cr_assert_eq(frame.payload.len, 0);
    cr_assert_eq(
        read_frame(scan,
                   "{\"event\":\"media\",\"media\":{\"track\":\"outbound\",\"payload\":\"AA==\"}}",
                   &frame),
        0);
    cr_assert_eq(frame.kind, CARRIER_FRAME_OTHER, "our own voice is not the lead's");
}

Test(stream, other_events)
{
    OWNED(jscan_free) struct jscan *scan = jscan_new(16384);
    static const struct {
        const char *text;
        enum carrier_frame_kind kind;
        char digit;
        const char *name;
    } rows[] = {
        {"{\"event\":\"dtmf\",\"dtmf\":{\"digit\":\"9\",\"track\":\"inbound\"}}",
         CARRIER_FRAME_DTMF, '9', ""},
        {"{\"event\":\"dtmf\",\"dtmf\":{\"digit\":9}}", CARRIER_FRAME_DTMF, '9', ""},
        {"{\"event\":\"dtmf\",\"dtmf\":{\"digit\":\"#\"}}", CARRIER_FRAME_DTMF, '#', ""},
        {"{\"event\":\"playedStream\",\"streamId\":\"s\",\"name\":\"cp-1\"}", CARRIER_FRAME_PLAYED,
         0, "cp-1"},
        {"{\"event\":\"played\",\"name\":\"cp-1\"}", CARRIER_FRAME_PLAYED, 0, "cp-1"},
        {"{\"event\":\"clearedAudio\",\"sequenceNumber\":\"7\"}", CARRIER_FRAME_CLEARED, 0, ""},
        {"{\"event\":\"stop\",\"reason\":\"bye\"}", CARRIER_FRAME_STOP, 0, ""},
        {"{\"event\":\"stop\",\"stop\":{\"callId\":\"c\"}}", CARRIER_FRAME_STOP, 0, ""},
        {"{\"event\":\"playFailed\",\"reason\":\"x\"}", CARRIER_FRAME_OTHER, 0, ""},
        {"{\"event\":\"error\"}", CARRIER_FRAME_OTHER, 0, ""},
        {"{\"event\":\"\"}", CARRIER_FRAME_OTHER, 0, ""},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct carrier_frame frame;
        cr_assert_eq(read_frame(scan, rows[i].text, &frame), 0, "%s", rows[i].text);
        cr_expect_eq(frame.kind, rows[i].kind, "%s", rows[i].text);
        cr_expect_eq(frame.digit, rows[i].digit);
        cr_expect(str_eq_cstr(frame.name, rows[i].name), "%s", rows[i].text);
    }
}

Test(stream, broken_frames)
{
    OWNED(jscan_free) struct jscan *scan = jscan_new(16384);
    static const char *const rows[] = {
        "",
        "{",
        "[]",
        "1",
        "{}",
        "{\"event\":1}",
        "{\"event\":\"start\"}",
        "{\"event\":\"start\",\"start\":{\"streamId\":\"s\"}}",
        "{\"event\":\"start\",\"start\":{\"callId\":\"c\"}}",
        "{\"event\":\"start\",\"start\":{\"callId\":\"\",\"streamId\":\"s\"}}",
        "{\"event\":\"media\"}",
        "{\"event\":\"media\",\"media\":{\"payload\":7}}",
        "{\"event\":\"dtmf\",\"dtmf\":{\"digit\":\"12\"}}",
        "{\"event\":\"dtmf\",\"dtmf\":{\"digit\":\"x\"}}",
        "{\"event\":\"dtmf\",\"dtmf\":{\"digit\":\"\"}}",
        "{\"event\":\"dtmf\",\"dtmf\":{\"digit\":10}}",
        "{\"event\":\"playedStream\"}",
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct carrier_frame frame;
        cr_expect_eq(read_frame(scan, rows[i], &frame), -EINVAL, "%s", rows[i]);
    }
}

/* What we write reads back as what it means. */
Test(stream, writes_json)
{
    OWNED(buf_fini) struct buf out;
    OWNED(json_free) json_t *v = NULL;
    buf_init(&out, 4096);
    buf_add_str(&out, carrier_plivo.play_head);
    buf_add_cstr(&out, "/v7+/w==");
    buf_add_str(&out, carrier_plivo.play_tail);
    cr_assert_eq(json_parse(buf_str(&out), &v), 0);
    const json_t *media = json_get(v, "media");
    cr_assert(str_eq(json_get_str(v, "event"), STR("playAudio")));
    cr_assert(str_eq(json_get_str(media, "contentType"), STR("audio/x-mulaw")));
    cr_assert(json_is_integer(json_get(media, "sampleRate")));
    cr_assert_eq(json_get_i64(media, "sampleRate", 0), 8000);
    cr_assert(str_eq(json_get_str(media, "payload"), STR("/v7+/w==")));
}

Test(stream, writes_controls)
{
    OWNED(buf_fini) struct buf out;
    buf_init(&out, 4096);
    cr_assert_eq(plivo_checkpoint_write("s-1", "cp-\"1\"", &out), 0);
    cr_assert_str_eq(buf_cstr(&out),
                     "{\"event\":\"checkpoint\",\"streamId\":\"s-1\",\"name\":\"cp-\\\"1\\\"\"}");
    buf_clear(&out);
    cr_assert_eq(plivo_clear_write("s-1", &out), 0);
    cr_assert_str_eq(buf_cstr(&out), "{\"event\":\"clearAudio\",\"streamId\":\"s-1\"}");
    buf_clear(&out);
    cr_assert_eq(plivo_dtmf_write("12#*A", &out), 0);
    cr_assert_str_eq(buf_cstr(&out), "{\"event\":\"sendDTMF\",\"dtmf\":\"12#*A\"}");
    cr_assert_eq(plivo_dtmf_write("", &out), -EINVAL);
    cr_assert_eq(plivo_dtmf_write("1\"", &out), -EINVAL);
}
