#include "stream.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/crypto.h"
#include "base/jscan.h"
#include "net/ws_conn.h"
#include "people/dice.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define QUEUE_MAX       (60 * 8000)
#define CHECKPOINTS_MAX 64
#define NAME_MAX_BYTES  128
#define MESSAGE_MAX     (64 * 1024)
#define TRIES_MAX       3
#define CONNECT_MS      5000
#define RETRY_MS        200
#define URL_MAX_BYTES   2049

struct checkpoint {
    char name[NAME_MAX_BYTES];
    int64_t at_byte; /* of all that was ever queued */
};

struct stream {
    struct call *call;
    char url[URL_MAX_BYTES];
    char status_url[URL_MAX_BYTES];
    char status_method[8];
    char id[UUID_TEXT_SIZE];
    struct ws_dial *dialing;
    struct ws_conn *ws;
    struct jscan *scan;
    struct timer timer; /* a retry, streamTimeout, the cut of a fault */
    int64_t timeout_ms;
    int tries;
    int64_t sequence;
    int64_t chunk;
    uint8_t *queue;
    size_t head;
    size_t len;
    int64_t queued_bytes;
    int64_t played_bytes;
    struct checkpoint checkpoints[CHECKPOINTS_MAX];
    size_t checkpoint_count;
    bool holds; /* keepCallAlive: the document waits for the end */
    bool over;  /* told the call; waits to be freed */
};

static void on_dialed(struct ws_conn *c, const struct fault *fault, void *arg);
static void on_message(struct str message, bool binary, void *arg);
static void on_close(int err, int code, struct str reason, void *arg);

static void status_hook(struct stream *s, const char *event, const char *error)
{
    struct form f;
    char when[CLOCK_TEXT_SIZE];

    if (s->status_url[0] == '\0') {
        return;
    }
    call_console_time(s->call, loop_wall_us(s->call->carrier->conf.loop), when, sizeof when);
    form_init(&f);
    form_add(&f, "CallUUID", s->call->uuid);
    form_add(&f, "StreamID", s->id);
    form_add(&f, "Event", event);
    form_add(&f, "From", s->call->from);
    form_add(&f, "To", s->call->to);
    form_add(&f, "ParentAuthID", s->call->carrier->conf.auth_id);
    form_add(&f, "ServiceURL", s->url);
    form_add(&f, "Timestamp", when);
    if (error != NULL) {
        form_add(&f, "Error", error);
    }
    hook_post(s->call, HOOK_STREAM, s->status_url, s->status_method, &f, NULL);
}

/* The stream is over: the document goes on. Deferred, so that no caller is freed under its feet. */
static void on_over(void *arg)
{
    struct call *call = arg;

    if (call->stream != NULL && call->stream->over) {
        bool held = call->stream->holds;
        stream_free(&call->stream);
        if (held) {
            exec_next(call);
        }
    }
}

static void end_stream(struct stream *s, const char *event, const char *error)
{
    if (s->over) {
        return;
    }
    s->over = true;
    status_hook(s, event, error);
    loop_defer(s->call->carrier->conf.loop, on_over, s->call);
}

static void dial_out(void *arg)
{
    struct stream *s = arg;
    struct carrier *c = s->call->carrier;
    char nonce[FORM_NONCE_SIZE];
    char mac[FORM_SIGNATURE_SIZE];
    char lines[3][128];

    form_nonce(nonce);
    form_sign_v3("GET", str_of(s->url), NULL, str_of(c->conf.auth_token), nonce, mac);
    (void)snprintf(lines[0], sizeof lines[0], "X-Plivo-Signature-V3: %s", mac);
    (void)snprintf(lines[1], sizeof lines[1], "X-Plivo-Signature-Ma-V3: %s", mac);
    (void)snprintf(lines[2], sizeof lines[2], "X-Plivo-Signature-V3-Nonce: %s", nonce);
    const char *headers[] = {lines[0], lines[1], lines[2], NULL};
    struct ws_ask ask = {.url = s->url,
                         .headers = headers,
                         .timeout_ms = CONNECT_MS,
                         .message_max = MESSAGE_MAX,
                         .handlers = {on_message, on_close, s}};
    s->tries++;
    if (ws_connect(&s->dialing, c->conf.http, &ask, on_dialed, s) < 0) {
        on_dialed(NULL, NULL, s);
    }
}

bool stream_start(struct call *call, const struct verb *verb)
{
    struct stream *s = xzalloc(sizeof *s);
    char text[URL_MAX_BYTES];

    call->stream = s;
    s->call = call;
    struct uuid id = uuid_make(loop_wall_us(call->carrier->conf.loop));
    uuid_text(&id, s->id);
    (void)snprintf(s->url, sizeof s->url, "%.*s", URL_MAX_BYTES - 1, verb->text);
    (void)snprintf(s->status_url, sizeof s->status_url, "%s",
                   verb_attr(verb, "statusCallbackUrl", "", text, sizeof text));
    (void)snprintf(s->status_method, sizeof s->status_method, "%.7s",
                   verb_attr(verb, "statusCallbackMethod", "POST", text, sizeof text));
    s->timeout_ms = verb_attr_i64(verb, "streamTimeout", 86400) * 1000;
    s->holds = verb_attr_bool(verb, "bidirectional", false) &&
               verb_attr_bool(verb, "keepCallAlive", false);
    const char *type = verb_attr(verb, "contentType", "audio/x-l16;rate=8000", text, sizeof text);
    if (strcmp(type, "audio/x-mulaw;rate=8000") != 0) {
        call->carrier->counts.streams_refused++;
        end_stream(s, "DroppedStream", "invalid_content_type");
        return s->holds;
    }
    dial_out(s);
    return s->holds;
}

static void on_timeout(void *arg)
{
    struct stream *s = arg;

    if (s->ws != NULL) {
        ws_free(&s->ws);
    }
    end_stream(s, "StopStream", NULL);
}

static void send_start(struct stream *s)
{
    char text[512];

    s->sequence = 1;
    (void)snprintf(text, sizeof text,
                   "{\"event\":\"start\",\"sequenceNumber\":1,\"start\":{\"callId\":\"%s\","
                   "\"streamId\":\"%s\",\"accountId\":\"%s\",\"tracks\":[\"inbound\"],"
                   "\"mediaFormat\":{\"encoding\":\"audio/x-mulaw\",\"sampleRate\":8000}},"
                   "\"extra_headers\":\"{}\"}",
                   s->call->uuid, s->id, s->call->carrier->conf.auth_id);
    (void)!ws_send_text(s->ws, str_of(text));
}

static void on_dialed(struct ws_conn *c, const struct fault *fault, void *arg)
{
    struct stream *s = arg;
    struct call *call = s->call;
    struct carrier *carrier = call->carrier;
    struct faults *f = carrier->conf.faults;

    (void)fault;
    s->dialing = NULL;
    if (c == NULL) {
        carrier->counts.streams_refused++;
        if (s->tries < TRIES_MAX) {
            timer_start(&s->timer, carrier->conf.loop, RETRY_MS, dial_out, s);
        } else {
            end_stream(s, "DroppedStream", "connection_failed");
        }
        return;
    }
    s->ws = c;
    s->scan = jscan_new(MESSAGE_MAX);
    s->queue = xmalloc(QUEUE_MAX);
    carrier->counts.streams++;
    send_start(s);
    status_hook(s, "StartStream", NULL);
    int64_t ends_ms = s->timeout_ms;
    if (fault_strikes(f, FAULT_STREAM_CUT, str_of(call->to), call->nth)) {
        ends_ms = dice_between(f->seed, "cut", str_of(call->to), call->nth, 1500, 6000);
    }
    timer_start(&s->timer, carrier->conf.loop, ends_ms, on_timeout, s);
}

void stream_free(struct stream **s)
{
    if (*s == NULL) {
        return;
    }
    timer_stop(&(*s)->timer);
    ws_connect_cancel(&(*s)->dialing);
    if ((*s)->ws != NULL) {
        ws_free(&(*s)->ws);
    }
    jscan_free(&(*s)->scan);
    xfree((*s)->queue);
    xfree(*s);
    *s = NULL;
}

bool stream_open(const struct stream *s)
{
    return s != NULL && s->ws != NULL && !s->over;
}

static void queue_audio(struct stream *s)
{
    struct str payload;
    uint8_t bytes[MESSAGE_MAX];
    struct str type;

    if (jscan_raw(s->scan, "media.payload", &payload) < 0 ||
        (jscan_str(s->scan, "media.contentType", &type) == 0 &&
         !str_eq_cstr(type, "audio/x-mulaw"))) {
        s->call->carrier->counts.overflows++;
        return;
    }
    ptrdiff_t n = base64_decode(payload, bytes, sizeof bytes);
    if (n < 0 || s->len + (size_t)n > QUEUE_MAX) {
        s->call->carrier->counts.overflows++;
        return;
    }
    for (ptrdiff_t i = 0; i < n; i++) {
        s->queue[(s->head + s->len++) % QUEUE_MAX] = bytes[i];
    }
    s->queued_bytes += n;
}

static void clear_audio(struct stream *s)
{
    char text[160];

    s->len = 0;
    s->queued_bytes = s->played_bytes;
    s->checkpoint_count = 0; /* what was not played is not confirmed */
    s->call->carrier->counts.clears++;
    (void)snprintf(text, sizeof text,
                   "{\"event\":\"clearedAudio\",\"sequenceNumber\":%" PRId64
                   ",\"streamId\":\"%s\"}",
                   ++s->sequence, s->id);
    (void)!ws_send_text(s->ws, str_of(text));
}

static void add_checkpoint(struct stream *s)
{
    struct str name;

    if (s->checkpoint_count == CHECKPOINTS_MAX || jscan_str(s->scan, "name", &name) < 0) {
        return;
    }
    struct checkpoint *cp = &s->checkpoints[s->checkpoint_count++];
    cp->at_byte = s->queued_bytes;
    str_copy_cut(name, cp->name, sizeof cp->name);
}

static void on_message(struct str message, bool binary, void *arg)
{
    struct stream *s = arg;
    struct str event;

    if (binary || s->over || jscan_open(s->scan, message) < 0 ||
        jscan_str(s->scan, "event", &event) < 0) {
        return;
    }
    if (str_eq_cstr(event, "playAudio")) {
        queue_audio(s);
    } else if (str_eq_cstr(event, "checkpoint")) {
        add_checkpoint(s);
    } else if (str_eq_cstr(event, "clearAudio")) {
        clear_audio(s);
    }
}

static void on_close(int err, int code, struct str reason, void *arg)
{
    struct stream *s = arg;

    (void)err;
    (void)reason;
    ws_free(&s->ws);
    end_stream(s, code == 1000 ? "StopStream" : "DroppedStream",
               code == 1000 ? NULL : "connection disconnected with the remote service");
}

static void send_played(struct stream *s)
{
    struct buf text;
    size_t done = 0;

    while (done < s->checkpoint_count && s->checkpoints[done].at_byte <= s->played_bytes) {
        buf_init(&text, 1024);
        (void)buf_addf(&text,
                       "{\"event\":\"playedStream\",\"sequenceNumber\":%" PRId64
                       ",\"streamId\":\"%s\",\"name\":",
                       ++s->sequence, s->id);
        (void)buf_add_json_str(&text, str_of(s->checkpoints[done].name));
        (void)buf_add_char(&text, '}');
        (void)!ws_send_text(s->ws, buf_str(&text));
        buf_fini(&text);
        done++;
    }
    if (done > 0) {
        s->checkpoint_count -= done;
        memmove(s->checkpoints, s->checkpoints + done,
                s->checkpoint_count * sizeof s->checkpoints[0]);
    }
}

void stream_play(struct stream *s, uint8_t out[G711_FRAME_BYTES])
{
    size_t n = s->len < G711_FRAME_BYTES ? s->len : G711_FRAME_BYTES;

    memset(out, (int)G711_SILENCE, G711_FRAME_BYTES);
    for (size_t i = 0; i < n; i++) {
        out[i] = s->queue[(s->head + i) % QUEUE_MAX];
    }
    s->head = (s->head + n) % QUEUE_MAX;
    s->len -= n;
    s->played_bytes += (int64_t)n;
    s->call->carrier->counts.played_ms += (int64_t)n / G711_BYTES_PER_MS;
    send_played(s);
}

void stream_send(struct stream *s, const uint8_t in[G711_FRAME_BYTES])
{
    char head[256];
    char payload[((G711_FRAME_BYTES + 2) / 3) * 4 + 1];

    s->chunk++;
    int n =
        snprintf(head, sizeof head,
                 "{\"event\":\"media\",\"sequenceNumber\":%" PRId64
                 ",\"streamId\":\"%s\",\"media\":{\"track\":\"inbound\",\"timestamp\":\"%" PRId64
                 "\",\"chunk\":%" PRId64 ",\"payload\":\"",
                 ++s->sequence, s->id,
                 (int64_t)(loop_wall_us(s->call->carrier->conf.loop) / US_PER_MS), s->chunk);
    size_t len = base64_encode(in, G711_FRAME_BYTES, payload);
    struct str parts[] = {str_make(head, (size_t)n), str_make(payload, len),
                          STR("\"},\"extra_headers\":\"{}\"}")};
    (void)!ws_send_parts(s->ws, parts, COUNT_OF(parts));
}
