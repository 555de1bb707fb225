#include "base/alloc.h"
#include "voice/realtime/session.h"

#include <errno.h>
#include <string.h>

#define RETRY_SERVER_US   (500 * US_PER_MS)
#define RETRY_BUSY_MAX_MS 3000
#define NAME_SIZE         72

static struct fault fault_of(const struct rt_event *e, enum rt_error error)
{
    char code[48];
    str_copy_cut(e->error_code.len > 0 ? e->error_code : e->error_type, code, sizeof code);
    return fault_make(rt_error_fault(error), 0, code, STR_FMT, STR_ARG(e->error_message));
}

static enum rt_error class_of(const struct rt_event *e)
{
    return rt_error_class(e->error_type, e->error_code, e->error_message);
}

/* ---- session ---- */

static void on_session_created(struct voice_session *s, const struct rt_event *e)
{
    if (s->state != RT_GREETING) {
        return;
    }
    /* Behind some clouds' deployment names only the server knows the model that is billed. */
    const struct price *named = price_find(e->model);
    s->price = named != NULL ? named : s->price;
    s->state = RT_CONFIGURING;
    OWNED(buf_fini) struct buf event;
    buf_init(&event, strlen(s->setup) + 1);
    (void)buf_add_cstr(&event, s->setup);
    (void)rt_send(s, &event);
}

static void on_session_updated(struct voice_session *s, const struct rt_event *e)
{
    if (s->state != RT_CONFIGURING) {
        return;
    }
    if (!str_eq(e->format_in, STR("audio/pcmu")) || !str_eq(e->format_out, STR("audio/pcmu"))) {
        struct fault fault = fault_make(FAULT_BROKEN, 0, "format_refused",
                                        "the session does not speak 8 kHz mu-law");
        rt_finish(s, &fault);
        return;
    }
    rt_ready(s);
}

/* True when it will be asked for again. */
static bool on_refused_ask(struct voice_session *s, struct seq_ask *ask, enum rt_error error,
                           const struct rt_event *e)
{
    int64_t now_us = loop_now_us(s->loop);
    bool again = (error == RT_ERROR_BUSY && ask->tries < RT_RETRY_BUSY_MAX) ||
                 (error == RT_ERROR_SERVER && ask->tries < 1);
    if (again) {
        int64_t wait_ms = i64_max(s->pace.busy_wait_ms, i64_min(s->reset_ms, RETRY_BUSY_MAX_MS));
        ask->tries++;
        seq_again(&s->seq, ask,
                  now_us + (error == RT_ERROR_BUSY ? wait_ms * US_PER_MS : RETRY_SERVER_US));
        return true;
    }
    struct fault fault = fault_of(e, error);
    seq_ask_fini(ask);
    rt_trouble(s, &fault);
    return false;
}

static void on_error(struct voice_session *s, const struct rt_event *e)
{
    enum rt_error error = class_of(e);
    if (s->state != RT_READY && s->state != RT_CLOSING) {
        /* Nothing but our session.update can be meant; without it formats would be wrong. */
        struct fault fault = fault_of(e, error);
        fault.class = fault.class == FAULT_REFUSED ? FAULT_BROKEN : fault.class;
        rt_finish(s, &fault);
        return;
    }
    if (error == RT_ERROR_FATAL || error == RT_ERROR_ENDED) {
        struct fault fault = fault_of(e, error);
        rt_finish(s, &fault);
        return;
    }
    struct seq_ask ask = {.body = NULL};
    enum seq_verdict verdict = seq_error(&s->seq, e->error_event_id, e->error_code,
                                         e->error_message, loop_now_us(s->loop), &ask);
    if (verdict == SEQ_REFUSED) {
        char tag[SEQ_TAG_SIZE];
        str_copy_cut(str_of(ask.tag), tag, sizeof tag);
        if (!on_refused_ask(s, &ask, error, e) && s->h.on_response_end != NULL) {
            s->h.on_response_end("", tag, "failed", false, false, s->h.arg);
        }
    } else if (verdict == SEQ_NOT_MINE && error != RT_ERROR_HARMLESS) {
        struct fault fault = fault_of(e, error);
        rt_trouble(s, &fault);
    } else {
        s->harmless_errors++;
    }
    rt_pump(s);
}

/* ---- the lead ---- */

static void on_speech_started(struct voice_session *s, const struct rt_event *e)
{
    char item_id[VOICE_ID_SIZE];
    str_copy_cut(e->item_id, item_id, sizeof item_id);
    s->lead_talks = true;
    s->talk_changed_us = loop_now_us(s->loop);
    if (s->h.on_speech_start != NULL) {
        s->h.on_speech_start(item_id, e->audio_ms, s->h.arg);
    }
    /* They go on talking: an answer to half a sentence of which nothing was heard is not wanted.
     * The rest of the sentence asks for a new one. */
    const struct rt_response *r = rt_response_find(s, str_of(s->seq.response_id));
    bool unheard = s->seq.state == SEQ_ASKED ? s->seq.current.plain
                                             : r != NULL && r->plain && !r->spoke && !r->called;
    if (s->automatic && unheard && s->state == RT_READY) {
        rt_cancel_active(s);
    }
}

static void on_speech_stopped(struct voice_session *s, const struct rt_event *e)
{
    char item_id[VOICE_ID_SIZE];
    str_copy_cut(e->item_id, item_id, sizeof item_id);
    s->lead_talks = false;
    s->talk_changed_us = loop_now_us(s->loop);
    if (s->h.on_speech_stop != NULL) {
        s->h.on_speech_stop(item_id, e->audio_ms, s->h.arg);
    }
    rt_pump(s);
}

static void on_committed(struct voice_session *s, const struct rt_event *e)
{
    turns_announce(&s->turns, e->item_id, TURN_LEAD, e->before_id, e->before_known);
    if (s->automatic) {
        rt_go_on(s);
    } else {
        s->unanswered = true;
    }
}

static void on_item_added(struct voice_session *s, const struct rt_event *e)
{
    enum turn_kind kind = TURN_NONE;
    if (str_eq(e->item_type, STR("message")) && !rt_is_own_item(e->item_id)) {
        kind = str_eq(e->item_role, STR("assistant")) ? TURN_AI
               : str_eq(e->item_role, STR("user"))    ? TURN_LEAD
                                                      : TURN_NONE;
    }
    turns_announce(&s->turns, e->item_id, kind, e->before_id, e->before_known);
}

static void on_transcription(struct voice_session *s, const struct rt_event *e)
{
    if (e->usage_known) {
        char item_id[VOICE_ID_SIZE];
        str_copy_cut(e->item_id, item_id, sizeof item_id);
        struct voice_usage usage = e->usage;
        price_transcription(s->transcribe_price, &usage);
        rt_usage_tell(s, item_id, &usage);
    }
    /* A transcription can come before the item that it belongs to; it is kept until then. */
    turns_end_text(&s->turns, e->item_id, e->text);
}

/* ---- responses ---- */

static struct rt_response *response_new(struct voice_session *s, struct str id)
{
    for (size_t i = 0; i < RT_RESPONSES_MAX; i++) {
        if (s->responses[i].id[0] == '\0') {
            s->responses[i] = (struct rt_response){.discarded = false};
            str_copy_cut(id, s->responses[i].id, sizeof s->responses[i].id);
            return &s->responses[i];
        }
    }
    return NULL;
}

static void on_response_created(struct voice_session *s, const struct rt_event *e)
{
    enum seq_outcome outcome = seq_created(&s->seq, e->response_id, e->name, loop_now_us(s->loop));
    struct rt_response *r = outcome == SEQ_STRAY ? NULL : response_new(s, e->response_id);
    if (r == NULL) {
        return; /* its audio is dropped as unknown, its bill is counted */
    }
    if (outcome == SEQ_OURS) {
        str_copy_cut(str_of(s->seq.current.tag), r->tag, sizeof r->tag);
        r->plain = s->seq.current.plain;
    }
    if (s->h.on_response_start != NULL) {
        s->h.on_response_start(r->id, r->tag, s->h.arg);
    }
    if (seq_cancel_due(&s->seq)) {
        rt_cancel_active(s);
    }
    rt_pump(s);
}

static size_t base64_bytes(struct str text)
{
    size_t padding = str_ends(text, STR("==")) ? 2 : str_ends(text, STR("=")) ? 1 : 0;
    return text.len / 4 * 3 - padding;
}

static void on_audio_delta(struct voice_session *s, const struct rt_event *e)
{
    struct rt_response *r = rt_response_find(s, e->response_id);
    struct turn *turn = r == NULL || r->discarded ? NULL : turns_need(&s->turns, e->item_id);
    if (turn == NULL || e->text.len == 0) {
        s->late_deltas += turn == NULL ? 1 : 0;
        return;
    }
    size_t bytes = base64_bytes(e->text);
    turn->audio_bytes += (int64_t)bytes;
    r->audio_bytes += (int64_t)bytes;
    r->spoke = true;
    seq_alive(&s->seq, loop_now_us(s->loop));
    if (s->h.on_audio != NULL) {
        s->h.on_audio(r->id, turn->item_id, e->text, s->h.arg);
    }
}

static void end_audio(struct voice_session *s, const struct rt_response *r, struct str item_id)
{
    struct turn *turn = turns_get(&s->turns, item_id);
    if (turn == NULL || turn->audio_ended || turn->audio_bytes == 0 || r->discarded) {
        return;
    }
    turn->audio_ended = true;
    if (s->h.on_audio_end != NULL) {
        s->h.on_audio_end(r->id, turn->item_id, s->h.arg);
    }
}

static void on_audio_done(struct voice_session *s, const struct rt_event *e)
{
    const struct rt_response *r = rt_response_find(s, e->response_id);
    if (r != NULL) {
        end_audio(s, r, e->item_id);
    }
}

static void on_transcript_piece(struct voice_session *s, const struct rt_event *e)
{
    const struct rt_response *r = rt_response_find(s, e->response_id);
    const struct turn *turn = turns_get(&s->turns, e->item_id);
    if (r == NULL || r->discarded) {
        return;
    }
    seq_alive(&s->seq, loop_now_us(s->loop));
    bool has_text = turn != NULL && turn->text.len > 0;
    if (e->type == RT_TRANSCRIPT_DELTA || !has_text) {
        turns_add_text(&s->turns, e->item_id, e->text);
    }
}

/* The text of what was cancelled ends where its audio did; the server's goes on to what nobody got.
 */
static void end_message(struct voice_session *s, const struct rt_response *r, const json_t *item)
{
    struct str item_id = json_get_str(item, "id");
    OWNED(buf_fini) struct buf text;
    buf_init(&text, TURN_TEXT_MAX);
    if (!r->discarded) {
        rt_item_text(item, &text);
    }
    turns_end_text(&s->turns, item_id, buf_str(&text));
}

static bool seen_before(struct voice_session *s, struct str call_id)
{
    for (size_t i = 0; i < RT_CALLS_SEEN_MAX; i++) {
        if (s->calls_seen[i] != NULL && str_eq_cstr(call_id, s->calls_seen[i])) {
            return true;
        }
    }
    return false;
}

static void on_call(struct voice_session *s, struct rt_response *r, const struct rt_event *e)
{
    if (e->call_id.len == 0 || seen_before(s, e->call_id)) {
        return;
    }
    size_t at = s->calls_count++ % RT_CALLS_SEEN_MAX;
    xfree(s->calls_seen[at]);
    s->calls_seen[at] = xstrndup(e->call_id.p, e->call_id.len);
    char name[NAME_SIZE];
    str_copy_cut(e->name, name, sizeof name);
    s->calls_open++;
    if (r != NULL) {
        r->called = true;
    }
    if (s->h.on_tool != NULL) {
        s->h.on_tool(s->calls_seen[at], name, e->text, s->h.arg);
    }
}

static void on_output_item_done(struct voice_session *s, const struct rt_event *e)
{
    struct rt_response *r = rt_response_find(s, e->response_id);
    seq_alive(&s->seq, loop_now_us(s->loop));
    if (str_eq(e->item_type, STR("function_call"))) {
        /* Also of a cancelled response: a complete call stands in the conversation and must be
         * answered, and an opt-out counts whatever happened to the sentence around it. */
        if (str_eq(e->item_status, STR("completed"))) {
            on_call(s, r, e);
        }
    } else if (r != NULL && str_eq(e->item_type, STR("message"))) {
        end_message(s, r, e->item);
    }
}

void rt_response_over(struct voice_session *s, struct rt_response *r, const char *status)
{
    struct rt_response over = *r;
    *r = (struct rt_response){.discarded = false};
    if (s->h.on_response_end != NULL) {
        s->h.on_response_end(over.id, over.tag, status, over.spoke, over.called, s->h.arg);
    }
}

static const char *status_of(const struct rt_event *e)
{
    static const char *const known[] = {"completed", "cancelled", "incomplete", "failed"};
    for (size_t i = 0; i < COUNT_OF(known); i++) {
        if (str_eq_cstr(e->status, known[i])) {
            return known[i];
        }
    }
    return "failed";
}

static void tell_bill(struct voice_session *s, const struct rt_event *e)
{
    const struct voice_usage *u = &e->usage;
    if (!e->usage_known || u->text_in + u->audio_in + u->text_out + u->audio_out == 0) {
        return;
    }
    char response_id[VOICE_ID_SIZE];
    str_copy_cut(e->response_id, response_id, sizeof response_id);
    struct voice_usage usage = e->usage;
    price_response(s->price, &usage);
    rt_usage_tell(s, response_id, &usage);
}

static void end_items(struct voice_session *s, const struct rt_response *r,
                      const struct rt_event *e)
{
    size_t i = 0;
    const json_t *item = NULL;
    json_array_foreach(e->items, i, item)
    {
        struct str id = json_get_str(item, "id");
        if (id.len > 0 && id.len < VOICE_ID_SIZE &&
            str_eq(json_get_str(item, "type"), STR("message"))) {
            /* Not announced so far by servers that keep it short: it goes to the end. */
            turns_announce(&s->turns, id, TURN_AI, STR_NONE, false);
            end_audio(s, r, id);
            end_message(s, r, item);
        }
    }
}

static void on_response_done(struct voice_session *s, const struct rt_event *e)
{
    tell_bill(s, e);
    struct seq_ask ask = {.body = NULL};
    enum seq_outcome outcome = seq_ended(&s->seq, e->response_id, e->name, &ask);
    struct rt_response *r = rt_response_find(s, e->response_id);
    const char *status = status_of(e);
    bool failed = str_eq_cstr(str_of(status), "failed");
    bool mute = failed && (r == NULL || (!r->spoke && !r->called && !r->discarded));
    enum rt_error error = class_of(e);
    char tag[SEQ_TAG_SIZE];
    str_copy_cut(str_of(ask.tag), tag, sizeof tag);
    if (outcome == SEQ_OURS && mute && on_refused_ask(s, &ask, error, e)) {
        if (r != NULL) {
            *r = (struct rt_response){.discarded = false}; /* its next try is told */
        }
        rt_pump(s);
        return;
    }
    seq_ask_fini(&ask);
    if (r != NULL) {
        end_items(s, r, e);
        rt_response_over(s, r, status);
    } else if (outcome == SEQ_OURS && s->h.on_response_end != NULL) {
        s->h.on_response_end("", tag, status, false, false,
                             s->h.arg); /* its `created` never came */
    }
    if (failed && error == RT_ERROR_FATAL) {
        struct fault fault = fault_of(e, error);
        rt_finish(s, &fault);
        return;
    }
    rt_pump(s);
}

/* ---- all of them ---- */

static void dispatch(struct voice_session *s, const struct rt_event *e)
{
    switch (e->type) {
    case RT_SESSION_CREATED:
        on_session_created(s, e);
        break;
    case RT_SESSION_UPDATED:
        on_session_updated(s, e);
        break;
    case RT_ERROR:
        on_error(s, e);
        break;
    case RT_SPEECH_STARTED:
        on_speech_started(s, e);
        break;
    case RT_SPEECH_STOPPED:
        on_speech_stopped(s, e);
        break;
    case RT_COMMITTED:
        on_committed(s, e);
        break;
    case RT_ITEM_ADDED:
        on_item_added(s, e);
        break;
    case RT_TRANSCRIPTION_DELTA:
        turns_add_text(&s->turns, e->item_id, e->text);
        break;
    case RT_TRANSCRIPTION_COMPLETED:
        on_transcription(s, e);
        break;
    case RT_TRANSCRIPTION_FAILED:
        turns_end_text(&s->turns, e->item_id, STR_NONE);
        break;
    case RT_RESPONSE_CREATED:
        on_response_created(s, e);
        break;
    case RT_OUTPUT_ITEM_DONE:
        on_output_item_done(s, e);
        break;
    case RT_AUDIO_DELTA:
        on_audio_delta(s, e);
        break;
    case RT_AUDIO_DONE:
        on_audio_done(s, e);
        break;
    case RT_TRANSCRIPT_DELTA:
    case RT_TRANSCRIPT_DONE:
        on_transcript_piece(s, e);
        break;
    case RT_RESPONSE_DONE:
        on_response_done(s, e);
        break;
    case RT_RATE_LIMITS:
        s->reset_ms = e->reset_ms;
        break;
    case RT_OTHER:
        break;
    }
}

void rt_on_message(struct voice_session *s, struct str message, bool binary)
{
    if (s->state == RT_CLOSED) {
        return;
    }
    struct rt_event e;
    int err = binary ? -EBADMSG : rt_read(s->reader, message, &e);
    if (err == 0) {
        dispatch(s, &e);
        return;
    }
    s->bad_frames++;
    struct fault fault = fault_make(FAULT_UNSURE, 0, "bad_frame", "%s frame: %s",
                                    binary ? "binary" : "text", strerror(-err));
    if (s->bad_frames >= RT_BAD_MAX || s->state < RT_READY) {
        rt_finish(s, &fault);
    } else {
        rt_trouble(s, &fault);
    }
}
