#include "bench/media_generator.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/crypto.h"
#include "loop/timer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FRAME_BYTES   160
#define FRAME_DIGITS  216
#define FRAME_US      20000
#define MESSAGE_MAX   (1 << 20)
#define OPENING_MS    200
#define TALK_AFTER_MS 800 /* from the opening's end until the model begins its long answer */

struct stamp { /* the first bytes of a frame's audio */
    uint32_t magic;
    uint32_t call;
    uint32_t seq;
    uint32_t counted;
    int64_t sent_us;
};
#define STAMP_MAGIC  0x44574231u
#define STAMP_DIGITS 32 /* of base64: the 24 bytes above */
static_assert(sizeof(struct stamp) == 24, "no padding: it is copied into frames");

enum end_kind { CARRIER_END, MODEL_END };

struct end {
    struct generator *g;
    enum end_kind kind;
    uint32_t no;
    struct ws_conn *ws;
    struct ws_dial *dial;
    struct http_socket *handle;
    struct timer later; /* model: begins its long answer; carrier: begins to send */
    bool flows;
    bool relayed; /* the far end is our own other end */
    int64_t next_us;
    uint32_t sent;
};

struct generator {
    struct loop *loop;
    struct http_client *http;
    struct http_server *model;
    struct timer tick;
    size_t calls;
    size_t models; /* sessions opened so far */
    size_t closed;
    bool counting;
    uint32_t *far_seq[2]; /* next seq expected of each carrier end and each model end */
    struct end *ends[2];
    struct generator_totals totals;
};

static void send_text(struct end *e, const char *text)
{
    if (e->ws != NULL) {
        (void)!ws_send_text(e->ws, str_of(text));
    }
}

/* --- frames ----------------------------------------------------------------------------------- */

static void latency_add(struct latency *l, int64_t us)
{
    int64_t bucket = us / LATENCY_BUCKET_US;
    l->buckets[bucket < LATENCY_BUCKETS ? bucket : LATENCY_BUCKETS - 1]++;
    l->count++;
}

double latency_ms(const struct latency *l, double share)
{
    uint64_t want = (uint64_t)((double)l->count * share);
    uint64_t seen = 0;
    for (size_t i = 0; i < LATENCY_BUCKETS; i++) {
        seen += l->buckets[i];
        if (seen > want) {
            return (double)(i + 1) * LATENCY_BUCKET_US / 1000.0;
        }
    }
    return 0;
}

static void frame_send(struct end *e)
{
    struct generator *g = e->g;
    uint8_t audio[FRAME_BYTES];
    char text[FRAME_DIGITS + 1];
    struct stamp stamp = {.magic = STAMP_MAGIC,
                          .call = e->no,
                          .seq = e->sent++,
                          .counted = g->counting,
                          .sent_us = clock_mono_us()};
    memset(audio, 0xff, sizeof audio);
    memcpy(audio, &stamp, sizeof stamp);
    size_t len = base64_encode(audio, sizeof audio, text);
    static const char carrier_head[] =
        "{\"event\":\"media\",\"sequenceNumber\":2,\"streamId\":\"s-1\",\"media\":{\"track\":"
        "\"inbound\",\"timestamp\":\"1795000000000\",\"chunk\":1,\"payload\":\"";
    static const char model_head[] =
        "{\"type\":\"response.output_audio.delta\",\"event_id\":\"event_0123456789abcdef\","
        "\"response_id\":\"resp_long\",\"item_id\":\"item_long\",\"output_index\":0,"
        "\"content_index\":0,\"delta\":\"";
    bool carrier = e->kind == CARRIER_END;
    struct str parts[] = {carrier ? STR(carrier_head) : STR(model_head), str_make(text, len),
                          carrier ? STR("\"}}") : STR("\"}")};
    if (ws_send_parts(e->ws, parts, COUNT_OF(parts)) == 0 && g->counting) {
        *(carrier ? &g->totals.sent_in : &g->totals.sent_out) += 1;
    }
}

/* A frame's audio arrived at the other end of the world. */
static void frame_got(struct end *e, struct str base64)
{
    struct generator *g = e->g;
    struct stamp stamp;
    if (base64.len < STAMP_DIGITS ||
        base64_decode(str_head(base64, STAMP_DIGITS), (uint8_t *)&stamp, sizeof stamp) !=
            sizeof stamp ||
        stamp.magic != STAMP_MAGIC || stamp.call >= g->calls) {
        return; /* the opening's audio */
    }
    uint32_t *next = &g->far_seq[e->kind][stamp.call];
    g->totals.out_of_order += stamp.seq != *next ? 1 : 0;
    *next = stamp.seq + 1;
    if (stamp.counted == 0) {
        return;
    }
    int64_t us = clock_mono_us() - stamp.sent_us;
    if (e->kind == MODEL_END) {
        g->totals.got_in++;
        latency_add(&g->totals.in, us);
    } else {
        g->totals.got_out++;
        latency_add(&g->totals.out, us);
    }
}

/* What stands between `key":"` and the next quote; base64 has none. */
static struct str member(struct str message, const char *key)
{
    const char *at = memmem(message.p, message.len, key, strlen(key));
    if (at == NULL) {
        return STR_NONE;
    }
    struct str rest = str_skip(message, (size_t)(at - message.p) + strlen(key));
    ptrdiff_t end = str_find_char(rest, '"');
    return end < 0 ? STR_NONE : str_head(rest, (size_t)end);
}

static bool says(struct str message, const char *text)
{
    return memmem(message.p, message.len, text, strlen(text)) != NULL;
}

/* --- the carrier's end ------------------------------------------------------------------------ */

static void on_carrier_message(struct str message, struct end *e)
{
    struct str head = str_head(message, 40);
    if (says(head, "\"playAudio\"")) {
        frame_got(e, member(message, "\"payload\":\""));
    } else if (says(head, "\"checkpoint\"")) {
        char text[256];
        struct str name = member(message, "\"name\":\"");
        (void)snprintf(text, sizeof text,
                       "{\"event\":\"playedStream\",\"sequenceNumber\":3,\"streamId\":\"s-1\","
                       "\"name\":\"" STR_FMT "\"}",
                       STR_ARG(name));
        send_text(e, text);
    }
}

static void on_flow(void *arg)
{
    struct end *e = arg;
    e->flows = true;
    e->next_us = loop_now_us(e->g->loop);
}

static void carrier_begin(struct end *e)
{
    char text[400];
    (void)snprintf(text, sizeof text,
                   "{\"event\":\"start\",\"sequenceNumber\":1,\"start\":{\"callId\":\"call-%u\","
                   "\"streamId\":\"s-1\",\"accountId\":\"MA\",\"tracks\":[\"inbound\"],"
                   "\"mediaFormat\":{\"encoding\":\"audio/x-mulaw\",\"sampleRate\":8000}},"
                   "\"extra_headers\":\"{}\"}",
                   e->no);
    send_text(e, text);
    /* Calls do not begin at the same moment: their frames are spread over the 20 ms. */
    timer_start_us(&e->later, e->g->loop, (int64_t)e->no * 7919 % FRAME_US, on_flow, e);
}

/* --- the model's end -------------------------------------------------------------------------- */

static const char session_json[] =
    "\"event_id\":\"e\",\"session\":{\"type\":\"realtime\",\"object\":\"realtime.session\",\"id\":"
    "\"sess_1\",\"model\":\"bench\",\"audio\":{\"input\":{\"format\":{\"type\":\"audio/pcmu\"}},"
    "\"output\":{\"format\":{\"type\":\"audio/pcmu\"}}}}}";

static void say(struct end *e, const char *type, const char *rest)
{
    struct str parts[] = {STR("{\"type\":\""), str_of(type), STR("\","), str_of(rest)};
    if (e->ws != NULL) {
        (void)!ws_send_parts(e->ws, parts, COUNT_OF(parts));
    }
}

static void response_begin(struct end *e, struct str name, const char *id)
{
    char text[512];
    (void)snprintf(text, sizeof text,
                   "\"event_id\":\"e\",\"response\":{\"id\":\"resp_%s\",\"object\":"
                   "\"realtime.response\",\"status\":\"in_progress\",\"output\":[],\"metadata\":{"
                   "\"dialwright\":\"" STR_FMT "\"}}}",
                   id, STR_ARG(name));
    say(e, "response.created", text);
    (void)snprintf(text, sizeof text,
                   "\"event_id\":\"e\",\"previous_item_id\":null,\"item\":{\"id\":\"item_%s\","
                   "\"type\":\"message\",\"role\":\"assistant\",\"content\":[]}}",
                   id);
    say(e, "conversation.item.added", text);
}

/* The lead is said to have spoken: the bridge's voice then asks for an answer. */
static void on_talk(void *arg)
{
    struct end *e = arg;
    say(e, "input_audio_buffer.speech_started",
        "\"event_id\":\"e\",\"audio_start_ms\":100,\"item_id\":\"item_lead\"}");
    say(e, "input_audio_buffer.speech_stopped",
        "\"event_id\":\"e\",\"audio_end_ms\":600,\"item_id\":\"item_lead\"}");
    say(e, "input_audio_buffer.committed",
        "\"event_id\":\"e\",\"previous_item_id\":null,\"item_id\":\"item_lead\"}");
    say(e, "conversation.item.input_audio_transcription.completed",
        "\"event_id\":\"e\",\"item_id\":\"item_lead\",\"content_index\":0,\"transcript\":\"Yes."
        "\"}");
}

static void opening_speak(struct end *e, struct str name)
{
    static const char ids[] = "\"event_id\":\"e\",\"response_id\":\"resp_open\",\"item_id\":"
                              "\"item_open\",\"output_index\":0,\"content_index\":0";
    uint8_t quiet[OPENING_MS * 8];
    char audio[(OPENING_MS * 8 + 2) / 3 * 4 + 1];
    char text[sizeof audio + 512];
    response_begin(e, name, "open");
    memset(quiet, 0xff, sizeof quiet);
    base64_encode(quiet, sizeof quiet, audio);
    (void)snprintf(text, sizeof text,
                   "{\"type\":\"response.output_audio.delta\",%s,\"delta\":\"%s\"}", ids, audio);
    send_text(e, text);
    (void)snprintf(text, sizeof text, "%s,\"transcript\":\"%s\"}", ids, GENERATOR_DISCLOSURE);
    say(e, "response.output_audio_transcript.done", text);
    (void)snprintf(text, sizeof text, "%s}", ids);
    say(e, "response.output_audio.done", text);
    (void)snprintf(
        text, sizeof text,
        "\"event_id\":\"e\",\"response_id\":\"resp_open\",\"output_index\":0,\"item\":{"
        "\"id\":\"item_open\",\"type\":\"message\",\"role\":\"assistant\",\"status\":"
        "\"completed\",\"content\":[{\"type\":\"output_audio\",\"transcript\":\"%s\"}]}}",
        GENERATOR_DISCLOSURE);
    say(e, "response.output_item.done", text);
    (void)snprintf(text, sizeof text,
                   "\"event_id\":\"e\",\"response\":{\"id\":\"resp_open\",\"object\":"
                   "\"realtime.response\",\"status\":\"completed\",\"output\":[],\"metadata\":{"
                   "\"dialwright\":\"" STR_FMT "\"},\"usage\":null}}",
                   STR_ARG(name));
    say(e, "response.done", text);
    timer_start(&e->later, e->g->loop, TALK_AFTER_MS, on_talk, e);
}

static void on_model_message(struct str message, struct end *e)
{
    struct str audio = member(str_head(message, 4096), "\"audio\":\"");
    if (says(message, "\"input_audio_buffer.append\"")) {
        frame_got(e, audio);
    } else if (e->relayed) {
        frame_got(e, member(message, "\"payload\":\""));
    } else if (says(message, "\"session.update\"")) {
        say(e, "session.updated", session_json);
    } else if (says(message, "\"response.create\"")) {
        char name[64];
        str_copy_cut(member(message, "\"dialwright\":\""), name, sizeof name);
        if (says(message, "SAY EXACTLY")) {
            opening_speak(e, str_of(name));
        } else {
            response_begin(e, str_of(name), "long");
            timer_start_us(&e->later, e->g->loop, (int64_t)e->no * 6271 % FRAME_US, on_flow, e);
        }
    }
}

/* --- ends ------------------------------------------------------------------------------------- */

static void on_message(struct str message, bool binary, void *arg)
{
    struct end *e = arg;
    (void)binary;
    if (e->kind == MODEL_END) {
        on_model_message(message, e);
    } else if (e->relayed) {
        frame_got(e, member(message, "\"delta\":\""));
    } else {
        on_carrier_message(message, e);
    }
}

static void on_close(int err, int code, struct str reason, void *arg)
{
    struct end *e = arg;
    (void)err;
    (void)code;
    (void)reason;
    e->flows = false;
    e->g->closed++;
    timer_stop(&e->later);
    ws_free(&e->ws);
}

static void on_release(void *arg)
{
    struct end *e = arg;
    if (e->handle != NULL) {
        http_socket_done(e->handle);
        e->handle = NULL;
    }
}

static void on_model_socket(int fd, struct str already_read, struct http_socket *handle, void *arg)
{
    struct end *e = arg;
    struct ws_handlers handlers = {on_message, on_close, e};
    e->handle = handle;
    e->ws = ws_open(e->g->loop, fd, WS_SERVER, already_read, MESSAGE_MAX, handlers, on_release, e);
    say(e, "session.created", session_json);
}

static void on_model_request(struct http_request *req, void *arg)
{
    struct generator *g = arg;
    if (!http_is_websocket(req) || g->models >= g->calls) {
        http_answer_error(req, 404, "not_found", "no more sessions");
        return;
    }
    http_upgrade(req, on_model_socket, &g->ends[MODEL_END][g->models++]);
}

static void on_dialed(struct ws_conn *c, const struct fault *fault, void *arg)
{
    struct end *e = arg;
    e->dial = NULL;
    e->ws = c;
    if (c == NULL) {
        (void)fprintf(stderr, "call %u: %s\n", e->no, fault->text);
        e->g->closed++;
        return;
    }
    carrier_begin(e);
}

void generator_dial(struct generator *g, uint16_t bridge_port)
{
    for (uint32_t i = 0; i < g->calls; i++) {
        struct end *e = &g->ends[CARRIER_END][i];
        char url[64];
        (void)snprintf(url, sizeof url, "ws://127.0.0.1:%u/media/%u", bridge_port, i);
        struct ws_ask ask = {.url = url,
                             .timeout_ms = 20000,
                             .message_max = MESSAGE_MAX,
                             .handlers = {on_message, on_close, e}};
        int err = ws_connect(&e->dial, g->http, &ask, on_dialed, e);
        if (err < 0) {
            (void)fprintf(stderr, "call %u: %s\n", i, strerror(-err));
            g->closed++;
        }
    }
}

void generator_attach(struct generator *g, size_t call, int carrier_fd, int model_fd)
{
    struct end *c = &g->ends[CARRIER_END][call];
    struct end *m = &g->ends[MODEL_END][call];
    c->relayed = true;
    m->relayed = true;
    c->ws = ws_open(g->loop, carrier_fd, WS_CLIENT, STR_NONE, MESSAGE_MAX,
                    (struct ws_handlers){on_message, on_close, c}, NULL, NULL);
    m->ws = ws_open(g->loop, model_fd, WS_SERVER, STR_NONE, MESSAGE_MAX,
                    (struct ws_handlers){on_message, on_close, m}, NULL, NULL);
    timer_start_us(&c->later, g->loop, (int64_t)call * 7919 % FRAME_US, on_flow, c);
    timer_start_us(&m->later, g->loop, (int64_t)call * 6271 % FRAME_US, on_flow, m);
}

static void on_tick(void *arg)
{
    struct generator *g = arg;
    int64_t now_us = loop_now_us(g->loop);
    for (size_t kind = 0; kind < 2; kind++) {
        for (size_t i = 0; i < g->calls; i++) {
            struct end *e = &g->ends[kind][i];
            if (e->flows && e->ws != NULL && e->next_us <= now_us) {
                frame_send(e);
                e->next_us += FRAME_US;
                /* We were not let run for a frame or more: those were never made. Sending them late
                 * would measure how long they waited behind each other to be played. */
                e->next_us = e->next_us < now_us ? now_us + FRAME_US : e->next_us;
            }
        }
    }
}

struct generator *generator_new(struct loop *loop, size_t calls)
{
    struct generator *g = xzalloc(sizeof *g);
    static const struct http_route routes[] = {{"GET", "/v1/realtime", 0, on_model_request}};
    g->loop = loop;
    g->calls = calls;
    g->http = http_client_new(loop, NULL);
    for (size_t kind = 0; kind < 2; kind++) {
        g->ends[kind] = xcalloc(calls, sizeof *g->ends[kind]);
        g->far_seq[kind] = xcalloc(calls, sizeof *g->far_seq[kind]);
        for (uint32_t i = 0; i < calls; i++) {
            g->ends[kind][i].g = g;
            g->ends[kind][i].kind = (enum end_kind)kind;
            g->ends[kind][i].no = i;
        }
    }
    if (http_server_open(&g->model, loop, "127.0.0.1:0", routes, COUNT_OF(routes), g) < 0) {
        (void)fprintf(stderr, "no port for the model\n");
        exit(1);
    }
    timer_repeat(&g->tick, loop, 1, on_tick, g);
    return g;
}

void generator_free(struct generator **g_p)
{
    struct generator *g = GIVE(*g_p);
    timer_stop(&g->tick);
    for (size_t kind = 0; kind < 2; kind++) {
        for (size_t i = 0; i < g->calls; i++) {
            timer_stop(&g->ends[kind][i].later);
            ws_connect_cancel(&g->ends[kind][i].dial);
            ws_free(&g->ends[kind][i].ws);
        }
    }
    for (int i = 0; i < 20; i++) {
        (void)loop_run_once(g->loop, false); /* descriptors are closed and told of */
    }
    http_server_close(&g->model);
    http_client_free(&g->http);
    for (size_t kind = 0; kind < 2; kind++) {
        xfree(g->ends[kind]);
        xfree(g->far_seq[kind]);
    }
    xfree(g);
}

uint16_t generator_model_port(const struct generator *g)
{
    return http_server_port(g->model);
}

size_t generator_talking(const struct generator *g)
{
    size_t count = 0;
    for (size_t i = 0; i < g->calls; i++) {
        count += g->ends[CARRIER_END][i].flows && g->ends[MODEL_END][i].flows ? 1 : 0;
    }
    return count;
}

size_t generator_closed(const struct generator *g)
{
    return g->closed;
}

void generator_count(struct generator *g, bool on)
{
    g->counting = on;
}

const struct generator_totals *generator_totals(const struct generator *g)
{
    return &g->totals;
}
