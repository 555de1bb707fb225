/* listen.c -- the caller's side of a session: turns by voice activity, and late transcripts. */
#include "base/alloc.h"
#include "people/dice.h"
#include "session.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define TRANSCRIBE_MS      120
#define TRANSCRIBE_LATE_MS 2500
#define TURN_TEXT_MAX      4096

struct transcript {
    struct list link;
    struct session *session;
    struct timer timer;
    char item[ID_SIZE];
    char text[TURN_TEXT_MAX];
    int64_t audio_ms;
    bool failed;
};

static const json_t *turn_settings(const struct session *s)
{
    return json_object_get(json_object_get(json_object_get(s->config, "audio"), "input"),
                           "turn_detection");
}

void listen_configure(struct session *s)
{
    const json_t *turns = turn_settings(s);

    s->vad_on = json_is_object(turns);
    vad_init(&s->vad, json_get_double(turns, "threshold", 0.5),
             json_get_i64(turns, "prefix_padding_ms", 300),
             json_get_i64(turns, "silence_duration_ms", 500));
}

static void transcript_free(struct transcript *t)
{
    list_remove(&t->link);
    timer_stop(&t->timer);
    xfree(t);
}

void listen_stop(struct session *s)
{
    timer_stop(&s->idle);
    LIST_EACH_SAFE(it, &s->transcripts)
    {
        transcript_free(LIST_ITEM(it, struct transcript, link));
    }
}

static void on_transcribed(void *arg)
{
    struct transcript *t = arg;
    struct session *s = t->session;

    if (t->failed) {
        session_emit(s, json_pack("{s:s, s:s, s:i, s:{s:s, s:s, s:s}}", "type",
                                  "conversation.item.input_audio_transcription.failed", "item_id",
                                  t->item, "content_index", 0, "error", "type",
                                  "transcription_error", "code", "audio_unintelligible", "message",
                                  "The audio could not be transcribed."));
    } else {
        session_emit(s,
                     json_pack("{s:s, s:s, s:i, s:s, s:{s:s, s:f}}", "type",
                               "conversation.item.input_audio_transcription.completed", "item_id",
                               t->item, "content_index", 0, "transcript", t->text, "usage", "type",
                               "duration", "seconds", (double)((t->audio_ms + 999) / 1000)));
    }
    transcript_free(t);
}

/* What was said in this turn, as far as it was heard. */
static void turn_text(struct session *s, char *out, size_t out_size)
{
    const struct speech_cache *cache = book_speech(s->model->conf.book);
    struct buf text;

    buf_init(&text, out_size);
    for (size_t i = 0; i < s->ear.count; i++) {
        const struct heard *h = &s->ear.said[i];
        const struct speech *line = speech_find(cache, h->id);
        char words[TURN_TEXT_MAX];
        if (line == NULL) {
            continue;
        }
        speech_words(str_of(line->text), h->blocks_heard, h->blocks_total, words, sizeof words);
        (void)buf_addf(&text, "%s%s", text.len > 0 && words[0] != '\0' ? " " : "", words);
    }
    (void)snprintf(out, out_size, "%s", buf_cstr(&text));
    buf_fini(&text);
}

static void start_transcript(struct session *s, const char *item, const char *text,
                             int64_t audio_ms)
{
    struct faults *f = s->model->conf.faults;
    const json_t *input = json_object_get(json_object_get(s->config, "audio"), "input");
    uint64_t nth = s->nth * 100 + s->item_no;
    int64_t delay_ms = TRANSCRIBE_MS;

    if (!json_is_object(json_object_get(input, "transcription"))) {
        return;
    }
    struct transcript *t = xzalloc(sizeof *t);
    t->session = s;
    t->audio_ms = audio_ms;
    t->failed = fault_strikes(f, FAULT_TRANSCRIPT_FAILED, STR("turn"), nth);
    (void)snprintf(t->item, sizeof t->item, "%s", item);
    (void)snprintf(t->text, sizeof t->text, "%s", text);
    list_push_back(&s->transcripts, &t->link);
    if (fault_strikes(f, FAULT_TRANSCRIPT_LATE, STR("turn"), nth)) {
        delay_ms = dice_between(f->seed, "late words", STR("turn"), nth, 800, TRANSCRIBE_LATE_MS);
    }
    timer_start(&t->timer, s->model->conf.loop, delay_ms, on_transcribed, t);
}

static void commit(struct session *s)
{
    char text[TURN_TEXT_MAX];
    int64_t audio_ms = i64_max(0, s->input_ms - s->turn_start_ms);
    json_t *event = session_event("input_audio_buffer.committed");

    (void)json_object_set_new(event, "previous_item_id",
                              s->last_item[0] == '\0' ? json_null() : json_string(s->last_item));
    (void)json_object_set_new(event, "item_id", json_string(s->turn_item));
    session_emit(s, event);
    session_tell_item(s, json_pack("{s:s, s:s, s:s, s:s, s:s, s:[{s:s}]}", "id", s->turn_item,
                                   "object", "realtime.item", "type", "message", "status",
                                   "completed", "role", "user", "content", "type", "input_audio"));
    (void)session_add_item(s, s->turn_item, false, audio_ms);
    s->audio_tokens += audio_ms / 100;
    turn_text(s, text, sizeof text);
    (void)snprintf(s->said, sizeof s->said, "%.*s", (int)sizeof s->said - 1, text);
    s->model->counts.turns_heard += text[0] != '\0' ? 1 : 0;
    s->model->counts.turns_unclear += text[0] == '\0' ? 1 : 0;
    start_transcript(s, s->turn_item, text, audio_ms);
    brain_hear(&s->brain, &s->ear);
    hearing_forget(&s->ear);
}

static void on_idle(void *arg)
{
    struct session *s = arg;

    session_new_item(s, s->turn_item);
    session_emit(s,
                 json_pack("{s:s, s:I, s:I, s:s}", "type", "input_audio_buffer.timeout_triggered",
                           "audio_start_ms", (json_int_t)s->turn_start_ms, "audio_end_ms",
                           (json_int_t)s->input_ms, "item_id", s->turn_item));
    s->turn_start_ms = s->input_ms;
    respond_on_turn(s);
}

void listen_idle_from(struct session *s, int64_t ms)
{
    int64_t idle_ms = json_get_i64(turn_settings(s), "idle_timeout_ms", 0);

    timer_stop(&s->idle);
    if (idle_ms > 0) {
        timer_start(&s->idle, s->model->conf.loop, ms + idle_ms, on_idle, s);
    }
}

static void on_speech_started(struct session *s, int64_t at_ms)
{
    timer_stop(&s->idle);
    session_new_item(s, s->turn_item);
    s->turn_start_ms = at_ms;
    session_emit(s, json_pack("{s:s, s:I, s:s}", "type", "input_audio_buffer.speech_started",
                              "audio_start_ms", (json_int_t)at_ms, "item_id", s->turn_item));
    if (s->active != NULL && json_get_bool(turn_settings(s), "interrupt_response", true)) {
        respond_cancel(s, "turn_detected");
    }
}

static void on_speech_stopped(struct session *s, int64_t at_ms)
{
    session_emit(s, json_pack("{s:s, s:I, s:s}", "type", "input_audio_buffer.speech_stopped",
                              "audio_end_ms", (json_int_t)at_ms, "item_id", s->turn_item));
    commit(s);
    if (json_get_bool(turn_settings(s), "create_response", true)) {
        respond_on_turn(s);
    }
}

void listen_append(struct session *s, const uint8_t *ulaw, size_t len)
{
    while (len > 0) {
        size_t used = len;
        int64_t at_ms = 0;
        enum vad_event event =
            s->vad_on ? vad_feed(&s->vad, ulaw, len, &used, &at_ms) : VAD_NOTHING;
        hearing_feed(&s->ear, ulaw, used);
        s->input_ms = s->vad_on ? s->vad.now_ms : s->input_ms + (int64_t)used / 8;
        ulaw += used;
        len -= used;
        if (event == VAD_STARTED) {
            on_speech_started(s, at_ms);
        } else if (event == VAD_STOPPED) {
            on_speech_stopped(s, at_ms);
        }
    }
}

void listen_commit(struct session *s)
{
    if (s->input_ms - s->turn_start_ms < 100) {
        session_error(s, "invalid_request_error", "input_audio_buffer_commit_empty",
                      "Error committing input audio buffer: buffer too small.", NULL, STR_NONE);
        return;
    }
    session_new_item(s, s->turn_item);
    commit(s);
    s->turn_start_ms = s->input_ms;
}
