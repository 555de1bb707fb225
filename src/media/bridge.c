#include "media/bridge.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/crypto.h"
#include "base/jscan.h"
#include "base/limits.h"
#include "base/metrics.h"

#include <errno.h>
#include <string.h>

/* A stall of the network gives a burst after it: five seconds of frames are forgiven. */
#define BURST_MESSAGES (LIMIT_MEDIA_FRAMES_S * 5LL)
#define CLOSE_NORMAL   1000
#define CLOSE_BINARY   1003
#define CLOSE_POLICY   1008
#define SLICE_DIGITS   512

static int on_frame(const struct play_item *item, const struct str *parts, size_t count,
                    int64_t bytes, int64_t starts_us, void *arg);
static void on_item_end(const struct play_end *end, void *arg);
static void on_message(struct str message, bool binary, void *arg);
static void on_ws_close(int err, int code, struct str reason, void *arg);

void bridge_init(struct bridge *b, struct pace_clock *clock, struct jscan *scan,
                 const struct carrier *carrier, const struct voice *voice,
                 const struct bridge_handlers *handlers)
{
    memset(b, 0, sizeof *b);
    b->loop = clock->loop;
    b->scan = scan;
    b->carrier = carrier;
    b->voice = voice;
    b->on = *handlers;
    buf_init(&b->scratch, LIMIT_MEDIA_MSG_BYTES);
    playback_init(&b->playback, on_item_end, b);
    pacer_init(&b->pacer, clock, &b->playback, on_frame, b);
}

/* Counted in one go: fifty times a second and call would cost more than it tells. */
static void count_end(const struct bridge *b)
{
    metric_add("media_sockets", NULL, -1);
    metric_add("media_frames_total", "in", (int64_t)b->frames_in);
    metric_add("media_frames_total", "out", (int64_t)b->frames_out);
}

void bridge_fini(struct bridge *b)
{
    if (b->attached && !b->lost) {
        count_end(b);
    }
    ws_free(&b->ws);
    pacer_fini(&b->pacer);
    playback_fini(&b->playback);
    recorder_free(&b->recorder);
    buf_fini(&b->scratch);
}

void bridge_voice(struct bridge *b, struct voice_session *session)
{
    b->session = session;
}

void bridge_record(struct bridge *b, struct recorder *recorder)
{
    b->recorder = recorder;
}

struct recorder *bridge_recorder_take(struct bridge *b)
{
    return GIVE(b->recorder);
}

/* --- the socket ------------------------------------------------------------------------------- */

void bridge_attach(struct bridge *b, int fd, struct str already_read, const char *call_uuid,
                   void (*release)(void *), void *release_arg)
{
    assert(!b->attached);
    b->attached = true;
    metric_add("media_sockets", NULL, 1);
    b->allowance = BURST_MESSAGES;
    b->allowed_us = loop_now_us(b->loop);
    b->media_us = b->allowed_us;
    str_copy_cut(str_of(call_uuid), b->call_id, sizeof b->call_id);
    struct ws_handlers handlers = {.on_message = on_message, .on_close = on_ws_close, .arg = b};
    b->ws = ws_open(b->loop, fd, WS_SERVER, already_read, LIMIT_MEDIA_MSG_BYTES, handlers, release,
                    release_arg);
}

bool bridge_attached(const struct bridge *b)
{
    return b->attached && !b->lost;
}

/* Nothing plays any more. Items that were not heard to the end are told of. */
static void stop_playing(struct bridge *b)
{
    pacer_drop(&b->pacer);
    playback_clear(&b->playback, loop_now_us(b->loop));
}

static void lose(struct bridge *b, enum bridge_lost why, int code)
{
    if (b->lost) {
        return;
    }
    b->lost = true;
    count_end(b);
    stop_playing(b);
    if (b->on.on_lost != NULL) {
        b->on.on_lost(why, code, b->on.arg);
    }
}

static void on_ws_close(int err, int code, struct str reason, void *arg)
{
    struct bridge *b = arg;
    (void)reason;
    enum bridge_lost why = b->closing ? BRIDGE_DONE : (err == 0 ? BRIDGE_PEER_CLOSED : BRIDGE_CUT);
    ws_free(&b->ws);
    lose(b, why, code);
}

/* We end it for a reason of ours: the close frame goes out, and the owner hears of it now. */
static void give_up(struct bridge *b, enum bridge_lost why, int code, const char *reason)
{
    if (b->closing || b->lost) {
        return;
    }
    b->closing = true;
    ws_close(b->ws, code, reason);
    lose(b, why, code);
}

void bridge_close(struct bridge *b, int code, const char *reason)
{
    if (b->ws == NULL || b->closing) {
        return;
    }
    b->closing = true;
    stop_playing(b);
    ws_close(b->ws, code, reason);
}

/* --- from the carrier ------------------------------------------------------------------------- */

static bool within_rate(struct bridge *b)
{
    int64_t now_us = loop_now_us(b->loop);
    int64_t earned = (now_us - b->allowed_us) * LIMIT_MEDIA_FRAMES_S / US_PER_S;
    if (earned > 0) {
        b->allowed_us = now_us;
        b->allowance = i64_min(BURST_MESSAGES, b->allowance + earned);
    }
    return b->allowance-- > 0;
}

static void count_bad(struct bridge *b)
{
    metric_add("media_bad_frames_total", NULL, 1);
    if (++b->bad_count >= BRIDGE_BAD_MAX) {
        give_up(b, BRIDGE_NONSENSE, CLOSE_POLICY, "not the protocol");
    }
}

static void frame_start(struct bridge *b, const struct carrier_frame *f)
{
    bool same =
        f->call_id.len == strlen(b->call_id) && secret_eq(f->call_id.p, b->call_id, f->call_id.len);
    if (b->started) {
        count_bad(b);
        return;
    }
    if (!same || f->rate_hz != 8000 || !str_eq_cstr(f->encoding, "audio/x-mulaw") ||
        str_copy(f->stream_id, b->stream_id, sizeof b->stream_id) != 0) {
        give_up(b, BRIDGE_WRONG_CALL, CLOSE_POLICY, "not this call");
        return;
    }
    b->started = true;
    b->started_us = loop_now_us(b->loop);
    b->on.on_start(b->on.arg);
}

/* In slices: a frame is 20 ms as a rule, and may be a second. */
static void record_lead(struct bridge *b, struct str base64)
{
    uint8_t ulaw[SLICE_DIGITS / 4 * 3];
    while (base64.len > 0) {
        ptrdiff_t n = base64_decode(str_head(base64, SLICE_DIGITS), ulaw, sizeof ulaw);
        if (n <= 0) {
            return;
        }
        recorder_lead(b->recorder, ulaw, (size_t)n, b->media_us);
        base64 = str_skip(base64, SLICE_DIGITS);
    }
}

static void frame_media(struct bridge *b, const struct carrier_frame *f)
{
    if (!b->started) {
        count_bad(b);
        return;
    }
    if (f->payload.len == 0) {
        return;
    }
    /* It goes on into the model's envelope as it is: nothing but base64 may be in it. */
    if (pacer_text_bytes(f->payload) < 0) {
        count_bad(b);
        return;
    }
    b->media_us = loop_now_us(b->loop);
    b->frames_in++;
    if (b->session != NULL && !b->deaf && b->voice->hear(b->session, f->payload) < 0) {
        b->dropped++;
    }
    if (b->recorder != NULL && b->record_lead) {
        record_lead(b, f->payload);
    }
}

static void on_message(struct str message, bool binary, void *arg)
{
    struct bridge *b = arg;
    if (b->lost || b->closing) {
        return;
    }
    if (binary) {
        metric_add("media_bad_frames_total", NULL, 1);
        give_up(b, BRIDGE_NONSENSE, CLOSE_BINARY, "text frames only");
        return;
    }
    if (!within_rate(b)) {
        give_up(b, BRIDGE_NONSENSE, CLOSE_POLICY, "too fast");
        return;
    }
    struct carrier_frame f = {.kind = CARRIER_FRAME_OTHER};
    if (b->carrier->frame_read(b->scan, message, &f) < 0) {
        count_bad(b);
        return;
    }
    switch (f.kind) {
    case CARRIER_FRAME_START:
        frame_start(b, &f);
        break;
    case CARRIER_FRAME_MEDIA:
        frame_media(b, &f);
        break;
    case CARRIER_FRAME_DTMF:
        if (b->started) {
            b->on.on_dtmf(f.digit, b->on.arg);
        }
        break;
    case CARRIER_FRAME_PLAYED:
        (void)playback_acked(&b->playback, f.name, loop_now_us(b->loop));
        break;
    case CARRIER_FRAME_STOP:
        give_up(b, BRIDGE_PEER_CLOSED, CLOSE_NORMAL, "");
        break;
    case CARRIER_FRAME_CLEARED:
    case CARRIER_FRAME_OTHER:
        break;
    }
}

/* --- to the carrier --------------------------------------------------------------------------- */

static void send_checkpoint(struct bridge *b, const struct play_item *item)
{
    char name[PLAYBACK_NAME_SIZE];
    playback_checkpoint(&b->playback, item, name);
    buf_clear(&b->scratch);
    if (b->carrier->checkpoint_write(b->stream_id, name, &b->scratch) == 0) {
        /* Refused only when the socket is going: on_ws_close() tells. */
        (void)!ws_send_text(b->ws, buf_str(&b->scratch));
    }
}

static void record_ai(struct bridge *b, const struct str *parts, size_t count, int64_t starts_us)
{
    uint8_t ulaw[256]; /* a frame has at most 74 groups */
    for (size_t i = 0; i < count; i++) {
        ptrdiff_t n = base64_decode(parts[i], ulaw, sizeof ulaw);
        if (n > 0) {
            recorder_ai(b->recorder, ulaw, (size_t)n, starts_us);
            starts_us += n * US_PER_MS / PLAYBACK_BYTES_MS;
        }
    }
}

static int on_frame(const struct play_item *item, const struct str *parts, size_t count,
                    int64_t bytes, int64_t starts_us, void *arg)
{
    struct bridge *b = arg;
    (void)bytes;
    struct str wire[PACER_PARTS_MAX + 2];
    wire[0] = b->carrier->play_head;
    memcpy(wire + 1, parts, count * sizeof *parts);
    wire[count + 1] = b->carrier->play_tail;
    int err = ws_send_parts(b->ws, wire, count + 2);
    if (err < 0) {
        return err;
    }
    b->frames_out++;
    if (b->recorder != NULL) {
        record_ai(b, parts, count, starts_us);
    }
    if (playback_wants_checkpoint(&b->playback, item)) {
        send_checkpoint(b, item);
    }
    return 0;
}

static bool was_cut(const struct bridge *b, const char *item_id)
{
    for (size_t i = 0; i < BRIDGE_CUT_IDS; i++) {
        if (strcmp(b->cut_ids[i], item_id) == 0) {
            return true;
        }
    }
    return false;
}

/* The item that audio with this id belongs to, or NULL when it has nowhere to go: no stream, cut
 * before, or an older item than the one that is being queued (items play one after the other). */
static struct play_item *item_for(struct bridge *b, const char *item_id)
{
    if (!b->started || b->closing || b->lost || item_id[0] == '\0') {
        return NULL;
    }
    struct list *last = b->playback.items.prev;
    if (last != &b->playback.items) {
        struct play_item *item = LIST_ITEM(last, struct play_item, link);
        if (strcmp(item->id, item_id) == 0) {
            return item->complete ? NULL : item;
        }
        item->complete = true;
    }
    return was_cut(b, item_id) ? NULL : playback_item(&b->playback, item_id);
}

void bridge_audio(struct bridge *b, const char *item_id, struct str base64)
{
    struct play_item *item = item_for(b, item_id);
    if (item == NULL) {
        b->dropped++;
        return;
    }
    if (base64.len > 0 && pacer_add(&b->pacer, item, base64) < 0) {
        b->dropped++;
        metric_add("media_audio_dropped_total", NULL, 1);
    }
}

static struct play_item *item_find(struct bridge *b, const char *item_id)
{
    LIST_EACH(it, &b->playback.items)
    {
        struct play_item *item = LIST_ITEM(it, struct play_item, link);
        if (strcmp(item->id, item_id) == 0) {
            return item;
        }
    }
    return NULL;
}

void bridge_audio_end(struct bridge *b, const char *item_id)
{
    struct play_item *item = item_find(b, item_id);
    if (item == NULL || b->closing || b->lost) {
        return;
    }
    item->complete = true;
    pacer_end(&b->pacer, item);
    if (playback_wants_checkpoint(&b->playback, item)) {
        send_checkpoint(b, item);
    }
    playback_complete(&b->playback, item, loop_now_us(b->loop));
}

void bridge_prompt(struct bridge *b, const char *item_id, const uint8_t *ulaw, size_t size_bytes)
{
    /* Pieces of 60 ms: the pacer then cuts 20 ms frames without decoding. */
    char text[641];
    for (size_t off = 0; off < size_bytes; off += 480) {
        size_t n = size_bytes - off < 480 ? size_bytes - off : 480;
        bridge_audio(b, item_id, str_make(text, base64_encode(ulaw + off, n, text)));
    }
    bridge_audio_end(b, item_id);
}

/* --- what is heard ---------------------------------------------------------------------------- */

static void on_item_end(const struct play_end *end, void *arg)
{
    struct bridge *b = arg;
    if (end->heard != PLAY_FULL) {
        str_copy_cut(str_of(end->item->id), b->cut_ids[b->cut_next], PLAYBACK_ID_SIZE);
        b->cut_next = (b->cut_next + 1) % BRIDGE_CUT_IDS;
        if (b->session != NULL && !b->lost && !b->closing && end->queued_ms > 0) {
            b->voice->truncate(b->session, end->item->id, end->heard_ms);
        }
    }
    b->on.on_end(end, b->on.arg);
}

bool bridge_quiet(const struct bridge *b)
{
    return playback_idle(&b->playback);
}

int64_t bridge_left_ms(const struct bridge *b)
{
    return pacer_waiting_ms(&b->pacer) +
           playback_lead_us(&b->playback, loop_now_us(b->loop)) / US_PER_MS;
}

int64_t bridge_heard_ms(const struct bridge *b)
{
    const struct play_item *item = playback_current(&b->playback);
    return item == NULL ? -1 : playback_heard_ms(&b->playback, item, loop_now_us(b->loop));
}

void bridge_interrupt(struct bridge *b)
{
    if (!b->started || b->lost || b->closing) {
        return;
    }
    int64_t now_us = loop_now_us(b->loop);
    pacer_drop(&b->pacer);
    buf_clear(&b->scratch);
    if (b->carrier->clear_write(b->stream_id, &b->scratch) == 0) {
        (void)!ws_send_text(b->ws, buf_str(&b->scratch));
    }
    if (b->recorder != NULL) {
        recorder_cut(b->recorder, now_us);
    }
    if (b->session != NULL) {
        b->voice->cancel(b->session);
    }
    metric_add("media_barge_ins_total", NULL, 1);
    playback_clear(&b->playback, now_us);
}

void bridge_tick(struct bridge *b)
{
    if (!b->attached || b->lost || b->closing) {
        return;
    }
    int64_t now_us = loop_now_us(b->loop);
    playback_expire(&b->playback, now_us);
    if (now_us - b->media_us >= BRIDGE_IDLE_MS * US_PER_MS) {
        give_up(b, BRIDGE_SILENT, CLOSE_POLICY, "no media");
    }
}
