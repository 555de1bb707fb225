#include "carrier/plivo/stream.h"

#include "base/jscan.h"

#include <errno.h>
#include <string.h>

#define DTMF_MAX 64

static int read_start(struct jscan *scan, struct carrier_frame *frame)
{
    if (jscan_str(scan, "start.callId", &frame->call_id) < 0 || frame->call_id.len == 0) {
        return -EINVAL;
    }
    if (jscan_str(scan, "start.streamId", &frame->stream_id) < 0 &&
        jscan_str(scan, "streamId", &frame->stream_id) < 0) {
        return -EINVAL;
    }
    if (jscan_str(scan, "start.mediaFormat.encoding", &frame->encoding) == 0) {
        struct str name;
        if (str_split(&frame->encoding, ';', &name)) {
            frame->encoding = str_trim(name); /* "audio/x-mulaw;rate=8000" is seen in old samples */
        }
    }
    if (jscan_i64(scan, "start.mediaFormat.sampleRate", &frame->rate_hz) < 0) {
        frame->rate_hz = 0;
    }
    return 0;
}

/* The payload is taken as it stands between its quotes. A serialiser that writes "\/" is legal, and
 * then the unescaped text is what goes on. */
static int read_media(struct jscan *scan, struct carrier_frame *frame)
{
    struct str track;
    if (jscan_raw(scan, "media.payload", &frame->payload) < 0) {
        return -EINVAL;
    }
    if (frame->payload.len > 0 && memchr(frame->payload.p, '\\', frame->payload.len) != NULL &&
        jscan_str(scan, "media.payload", &frame->payload) < 0) {
        return -EINVAL;
    }
    if (jscan_str(scan, "media.track", &track) == 0 && str_eq(track, STR("outbound"))) {
        frame->kind = CARRIER_FRAME_OTHER; /* our own voice, given back */
    }
    if (jscan_str(scan, "streamId", &frame->stream_id) < 0) {
        frame->stream_id = STR_NONE;
    }
    return 0;
}

static int read_dtmf(struct jscan *scan, struct carrier_frame *frame)
{
    struct str digit;
    int64_t number;
    if (jscan_str(scan, "dtmf.digit", &digit) == 0) {
        if (digit.len != 1 || strchr("0123456789*#ABCD", digit.p[0]) == NULL ||
            digit.p[0] == '\0') {
            return -EINVAL;
        }
        frame->digit = digit.p[0];
        return 0;
    }
    if (jscan_i64(scan, "dtmf.digit", &number) < 0 || number < 0 || number > 9) {
        return -EINVAL;
    }
    frame->digit = (char)('0' + number);
    return 0;
}

static int read_played(struct jscan *scan, struct carrier_frame *frame)
{
    return jscan_str(scan, "name", &frame->name) < 0 ? -EINVAL : 0;
}

static const struct {
    const char *event;
    enum carrier_frame_kind kind;
    int (*read)(struct jscan *scan, struct carrier_frame *frame);
} events[] = {
    {"media", CARRIER_FRAME_MEDIA, read_media}, /* 50 a second: first */
    {"playedStream", CARRIER_FRAME_PLAYED, read_played},
    {"played", CARRIER_FRAME_PLAYED, read_played}, /* an older page's word */
    {"clearedAudio", CARRIER_FRAME_CLEARED, NULL},
    {"dtmf", CARRIER_FRAME_DTMF, read_dtmf},
    {"start", CARRIER_FRAME_START, read_start},
    {"stop", CARRIER_FRAME_STOP, NULL},
};

int plivo_frame_read(struct jscan *scan, struct str message, struct carrier_frame *out)
{
    struct carrier_frame frame = {.kind = CARRIER_FRAME_OTHER};
    struct str event;
    if (jscan_open(scan, message) < 0 || jscan_str(scan, "event", &event) < 0) {
        return -EINVAL;
    }
    for (size_t i = 0; i < COUNT_OF(events); i++) {
        if (!str_eq_cstr(event, events[i].event)) {
            continue;
        }
        frame.kind = events[i].kind;
        if (events[i].read != NULL && events[i].read(scan, &frame) < 0) {
            return -EINVAL;
        }
        break;
    }
    *out = frame;
    return 0;
}

int plivo_checkpoint_write(const char *stream_id, const char *name, struct buf *out)
{
    buf_add_cstr(out, "{\"event\":\"checkpoint\",\"streamId\":");
    buf_add_json_str(out, str_of(stream_id));
    buf_add_cstr(out, ",\"name\":");
    buf_add_json_str(out, str_of(name));
    buf_add_char(out, '}');
    return buf_failed(out) ? -EMSGSIZE : 0;
}

int plivo_clear_write(const char *stream_id, struct buf *out)
{
    buf_add_cstr(out, "{\"event\":\"clearAudio\",\"streamId\":");
    buf_add_json_str(out, str_of(stream_id));
    buf_add_char(out, '}');
    return buf_failed(out) ? -EMSGSIZE : 0;
}

int plivo_dtmf_write(const char *digits, struct buf *out)
{
    size_t len = strlen(digits);
    if (len == 0 || len > DTMF_MAX || strspn(digits, "0123456789*#ABCD") != len) {
        return -EINVAL;
    }
    buf_addf(out, "{\"event\":\"sendDTMF\",\"dtmf\":\"%s\"}", digits);
    return buf_failed(out) ? -EMSGSIZE : 0;
}
