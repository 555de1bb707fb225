/* media_test.h -- for the tests of media and call: the other two sides of a talk. A carrier's end of
 * the media socket, with a player that plays in (virtual) time and acknowledges as the manual says;
 * and a voice that writes down what it is told and says what the test makes it say.
 *
 * Owner   the test.
 * Thread  the test's. */
#ifndef MEDIA_MEDIA_TEST_H
#define MEDIA_MEDIA_TEST_H

#include "base/alloc.h"
#include "base/clock.h"
#include "base/crypto.h"
#include "base/json.h"
#include "media/bridge.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define STEP_MS 5

/* --- the carrier's end ------------------------------------------------------------------------ */

struct phone_piece { /* in the player's queue */
    struct list link;
    int64_t bytes; /* 0: a checkpoint */
    char name[PLAYBACK_NAME_SIZE];
};

struct phone {
    struct loop *loop;
    struct ws_conn *ws;
    int other_fd; /* for the bridge */
    struct list queue;
    int64_t free_us;
    int64_t played_bytes; /* since the last clear */
    int64_t got_bytes;    /* ever */
    struct buf audio;     /* everything that was given to play, decoded */
    int clears;
    int64_t played_at_clear;
    int checkpoints;
    int closed_code; /* 0: open */
    bool mute_acks;  /* a carrier that never acknowledges */
};

static inline void phone_clear(struct phone *p)
{
    while (!list_empty(&p->queue)) {
        xfree(LIST_ITEM(list_pop_front(&p->queue), struct phone_piece, link));
    }
}

/* Plays up to now, acknowledges what was reached. */
static inline void phone_play(struct phone *p)
{
    int64_t now_us = loop_now_us(p->loop);
    while (!list_empty(&p->queue)) {
        struct phone_piece *piece = LIST_ITEM(p->queue.next, struct phone_piece, link);
        if (piece->bytes == 0) {
            char text[256];
            (void)snprintf(text, sizeof text,
                           "{\"event\":\"playedStream\",\"sequenceNumber\":3,\"streamId\":\"s-1\","
                           "\"name\":\"%s\"}",
                           piece->name);
            if (p->ws != NULL && !p->mute_acks) {
                (void)!ws_send_text(p->ws, str_of(text));
            }
        } else {
            int64_t n = i64_min(piece->bytes, (now_us - p->free_us) / 125);
            if (n <= 0) {
                return;
            }
            piece->bytes -= n;
            p->free_us += n * 125;
            p->played_bytes += n;
            if (piece->bytes > 0) {
                return;
            }
        }
        list_remove(&piece->link);
        xfree(piece);
    }
    p->free_us = now_us;
}

static inline void phone_message(struct str message, bool binary, void *arg)
{
    struct phone *p = arg;
    cr_assert_not(binary);
    OWNED(json_free) json_t *root = NULL;
    cr_assert_eq(json_parse(message, &root), 0, "the bridge sent " STR_FMT, STR_ARG(message));
    struct str event = json_get_str(root, "event");
    phone_play(p);
    if (str_eq(event, STR("clearAudio"))) {
        cr_expect(str_eq_cstr(json_get_str(root, "streamId"), "s-1"));
        p->clears++;
        p->played_at_clear = p->played_bytes;
        phone_clear(p);
        p->played_bytes = 0;
        return;
    }
    struct phone_piece *piece = xzalloc(sizeof *piece);
    list_init(&piece->link);
    if (str_eq(event, STR("checkpoint"))) {
        p->checkpoints++;
        cr_assert_eq(str_copy(json_get_str(root, "name"), piece->name, sizeof piece->name), 0);
    } else {
        cr_assert(str_eq(event, STR("playAudio")), "unknown " STR_FMT, STR_ARG(event));
        const json_t *media = json_get(root, "media");
        cr_expect(str_eq_cstr(json_get_str(media, "contentType"), "audio/x-mulaw"));
        uint8_t ulaw[4096];
        ptrdiff_t n = base64_decode(json_get_str(media, "payload"), ulaw, sizeof ulaw);
        cr_assert_gt(n, 0);
        buf_add(&p->audio, ulaw, (size_t)n);
        piece->bytes = n;
        p->got_bytes += n;
    }
    list_push_back(&p->queue, &piece->link);
}

static inline void phone_closed(int err, int code, struct str reason, void *arg)
{
    struct phone *p = arg;
    (void)err;
    (void)reason;
    p->closed_code = code;
    ws_free(&p->ws);
}

static inline void phone_init(struct phone *p, struct loop *loop)
{
    int fds[2];
    memset(p, 0, sizeof *p);
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
    p->loop = loop;
    p->other_fd = fds[1];
    list_init(&p->queue);
    buf_init(&p->audio, 64 * 1024 * 1024);
    struct ws_handlers handlers = {phone_message, phone_closed, p};
    p->ws = ws_open(loop, fds[0], WS_CLIENT, STR_NONE, 1 << 20, handlers, NULL, NULL);
}

static inline void phone_fini(struct phone *p)
{
    ws_free(&p->ws);
    phone_clear(p);
    buf_fini(&p->audio);
}

static inline void phone_say(struct phone *p, const char *text)
{
    if (p->ws != NULL) {
        (void)!ws_send_text(p->ws, str_of(text));
    }
}

static inline void phone_start(struct phone *p, const char *call_id)
{
    char text[400];
    (void)snprintf(text, sizeof text,
                   "{\"event\":\"start\",\"sequenceNumber\":1,\"start\":{\"callId\":\"%s\","
                   "\"streamId\":\"s-1\",\"accountId\":\"MA\",\"tracks\":[\"inbound\"],"
                   "\"mediaFormat\":{\"encoding\":\"audio/x-mulaw\",\"sampleRate\":8000}},"
                   "\"extra_headers\":\"{}\"}",
                   call_id);
    phone_say(p, text);
}

static inline void phone_media(struct phone *p, const uint8_t *ulaw, size_t size_bytes)
{
    char payload[2048];
    char text[2400];
    cr_assert_lt(base64_size(size_bytes), sizeof payload);
    base64_encode(ulaw, size_bytes, payload);
    (void)snprintf(text, sizeof text,
                   "{\"event\":\"media\",\"sequenceNumber\":2,\"streamId\":\"s-1\",\"media\":{"
                   "\"track\":\"inbound\",\"timestamp\":\"1\",\"chunk\":1,\"payload\":\"%s\"}}",
                   payload);
    phone_say(p, text);
}

/* Lets what is on its way arrive, without time passing. */
static inline void settle_io(struct loop *loop)
{
    for (int i = 0; i < 12; i++) {
        (void)loop_run_once(loop, false);
    }
}

/* Time passes; the phone plays; `sending`: the lead's side sends 20 ms frames of silence. */
static inline void pass(struct phone *p, int64_t ms, bool sending)
{
    uint8_t quiet[160];
    memset(quiet, 0xff, sizeof quiet);
    for (int64_t t = 0; t < ms; t += STEP_MS) {
        loop_advance(p->loop, STEP_MS * US_PER_MS);
        if (sending && loop_now_us(p->loop) / US_PER_MS % 20 < STEP_MS) {
            phone_media(p, quiet, sizeof quiet);
        }
        settle_io(p->loop);
        phone_play(p);
        settle_io(p->loop);
    }
}

/* --- the voice -------------------------------------------------------------------------------- */

struct voice_session { /* the double's */
    struct voice_handlers on;
    bool open;
    bool turns;
    bool closing;
    struct buf heard; /* base64 as it came */
    int heard_count;
    int cancels;
    struct buf told; /* one line for each thing it was told */
    int opens;
    int refuse_opens;
    unsigned asked; /* responses ordered */
    char tag[64];   /* of the last one ordered */
    char exact[4096];
};

static struct voice_session double_voice; /* one a test program at a time */

static inline void told(const char *fmt, const char *a, const char *b)
{
    buf_addf(&double_voice.told, "%s %s %s\n", fmt, a, b);
}

static inline bool was_told(const char *text)
{
    return str_contains(buf_str(&double_voice.told), str_of(text));
}

static inline int double_open(struct voice_session **out, struct loop *loop,
                              struct http_client *http, const struct voice_config *config,
                              const struct voice_handlers *handlers)
{
    (void)loop;
    (void)http;
    (void)config;
    double_voice.opens++;
    if (double_voice.refuse_opens > 0) {
        double_voice.refuse_opens--;
        return -EBUSY;
    }
    double_voice.on = *handlers;
    double_voice.open = true;
    double_voice.turns = true;
    double_voice.closing = false;
    *out = &double_voice;
    return 0;
}

static inline void double_free(struct voice_session **s)
{
    if (*s != NULL) {
        double_voice.open = false;
    }
    *s = NULL;
}

static inline int double_hear(struct voice_session *s, struct str base64)
{
    s->heard_count++;
    (void)buf_add_str(&s->heard, base64);
    return 0;
}

static inline int double_say_exactly(struct voice_session *s, const char *text, const char *tag)
{
    s->asked++;
    (void)snprintf(s->tag, sizeof s->tag, "%s", tag);
    (void)snprintf(s->exact, sizeof s->exact, "%s", text);
    told("say", tag, text);
    return 0;
}

static inline int double_respond(struct voice_session *s, const char *instructions, const char *tag)
{
    s->asked++;
    (void)snprintf(s->tag, sizeof s->tag, "%s", tag);
    told("respond", tag, instructions == NULL ? "" : instructions);
    return 0;
}

static inline int double_note_spoken(struct voice_session *s, const char *text)
{
    (void)s;
    told("spoken", text, "");
    return 0;
}

static inline int double_note_system(struct voice_session *s, const char *text)
{
    (void)s;
    told("system", text, "");
    return 0;
}

static inline void double_cancel(struct voice_session *s)
{
    s->cancels++;
    told("cancel", "", "");
}

static inline void double_truncate(struct voice_session *s, const char *item_id, int64_t heard_ms)
{
    char ms[24];
    (void)s;
    (void)snprintf(ms, sizeof ms, "%lld", (long long)heard_ms);
    told("truncate", item_id, ms);
}

static inline void double_set_turns(struct voice_session *s, bool automatic)
{
    s->turns = automatic;
}

static inline int double_tool_result(struct voice_session *s, const char *call_id,
                                     struct str output, bool respond)
{
    (void)s;
    char text[512];
    str_copy_cut(output, text, sizeof text);
    told(respond ? "result+" : "result", call_id, text);
    return 0;
}

static inline void double_close(struct voice_session *s)
{
    s->closing = true; /* the test lets on_closed come */
}

static const struct voice voice_double = {
    .name = "double",
    .open = double_open,
    .free = double_free,
    .hear = double_hear,
    .say_exactly = double_say_exactly,
    .respond = double_respond,
    .note_spoken = double_note_spoken,
    .note_system = double_note_system,
    .cancel = double_cancel,
    .truncate = double_truncate,
    .set_turns = double_set_turns,
    .tool_result = double_tool_result,
    .close = double_close,
};

static inline void double_init(void)
{
    memset(&double_voice, 0, sizeof double_voice);
    buf_init(&double_voice.heard, 16 * 1024 * 1024);
    buf_init(&double_voice.told, 1024 * 1024);
}

static inline void double_fini(void)
{
    buf_fini(&double_voice.heard);
    buf_fini(&double_voice.told);
}

/* `ms` of audio whose bytes are all `value`. */
static inline void double_audio(const char *item_id, int64_t ms, uint8_t value)
{
    size_t n = (size_t)ms * 8;
    uint8_t *ulaw = xmalloc(n);
    char *text = xmalloc(base64_size(n) + 1);
    memset(ulaw, value, n);
    size_t len = base64_encode(ulaw, n, text);
    double_voice.on.on_audio("r", item_id, str_make(text, len), double_voice.on.arg);
    xfree(ulaw);
    xfree(text);
}

#endif
