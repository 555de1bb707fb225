/* respond.c -- a response from its plan to its bill.
 *
 *   made -> (latency) -> speaking: transcript and audio deltas -> spoken -> tools -> done
 *     \---------------------\------------- cancel ----------------> done (cancelled)
 */
#include "base/alloc.h"
#include "base/crypto.h"
#include "config.h"
#include "fit.h"
#include "people/dice.h"
#include "session.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define LATENCY_MS  120
#define DELTA_MS    30
#define DELTA_BYTES 3200 /* 400 ms of audio every 30 ms: well ahead of playback */

struct response {
    struct list link; /* in strays */
    struct session *session;
    struct timer timer;
    char id[ID_SIZE];
    char item[ID_SIZE];
    bool out_of_band;
    bool text_only;
    bool opened; /* the message item was announced */
    char *text;
    const struct speech *speech;
    size_t sent;
    size_t text_sent;
    const struct ai_turn *turn;
    json_t *forced; /* name of a function that must be called; NULL */
    bool no_tools;
    json_t *metadata;
    json_t *output; /* items, complete */
    int64_t text_in;
    int64_t audio_in;
};

static void on_step(void *arg);

static json_t *item_json(const struct response *r, const char *status, const char *transcript)
{
    const char *kind = r->text_only ? "output_text" : "output_audio";
    json_t *item = json_pack("{s:s, s:s, s:s, s:s, s:s, s:[]}", "id", r->item, "object",
                             "realtime.item", "type", "message", "status", status, "role",
                             "assistant", "content");

    if (transcript != NULL) {
        (void)json_array_append_new(json_object_get(item, "content"),
                                    json_pack("{s:s, s:s}", "type", kind,
                                              r->text_only ? "text" : "transcript", transcript));
    }
    return item;
}

static json_t *usage_json(const struct response *r)
{
    const struct session *s = r->session;
    int64_t out_audio = (int64_t)r->sent / 8 / 50;
    int64_t out_text = r->text == NULL ? 10 : (int64_t)strlen(r->text) / 4 + 10;
    int64_t cached = i64_min(s->cached_tokens, r->text_in);

    return json_pack(
        "{s:I, s:I, s:I, s:{s:I, s:I, s:i, s:I, s:{s:I, s:i, s:i}}, s:{s:I, s:I}}",
        "total_tokens", (json_int_t)(r->text_in + r->audio_in + out_audio + out_text),
        "input_tokens", (json_int_t)(r->text_in + r->audio_in), "output_tokens",
        (json_int_t)(out_audio + out_text), "input_token_details", "text_tokens",
        (json_int_t)r->text_in, "audio_tokens", (json_int_t)r->audio_in, "image_tokens", 0,
        "cached_tokens", (json_int_t)cached, "cached_tokens_details", "text_tokens",
        (json_int_t)cached, "audio_tokens", 0, "image_tokens", 0, "output_token_details",
        "text_tokens", (json_int_t)out_text, "audio_tokens", (json_int_t)out_audio);
}

static json_t *response_json(const struct response *r, const char *status, json_t *details,
                             bool over)
{
    const struct session *s = r->session;
    json_t *out = json_pack("{s:s, s:s, s:s, s:O, s:[s], s:o, s:o}", "object", "realtime.response",
                            "id", r->id, "status", status, "output", r->output,
                            "output_modalities", r->text_only ? "text" : "audio",
                            "conversation_id",
                            r->out_of_band ? json_null() : json_string(s->conversation),
                            "metadata",
                            r->metadata == NULL ? json_null() : json_incref(r->metadata));

    (void)json_object_set(out, "max_output_tokens",
                          json_object_get(s->config, "max_output_tokens"));
    const json_t *spoken = json_object_get(json_object_get(s->config, "audio"), "output");
    (void)json_object_set_new(out, "audio",
                              json_pack("{s:{s:O, s:O}}", "output", "format",
                                        json_object_get(spoken, "format"), "voice",
                                        json_object_get(spoken, "voice")));
    (void)json_object_set_new(out, "status_details", details == NULL ? json_null() : details);
    (void)json_object_set_new(out, "usage", over ? usage_json(r) : json_null());
    return out;
}

static void emit_response(struct response *r, const char *type, const char *status,
                          json_t *details, bool over)
{
    json_t *event = session_event(type);

    (void)json_object_set_new(event, "response", response_json(r, status, details, over));
    session_emit(r->session, event);
}

static void emit_part(struct response *r, const char *type, const char *key, json_t *value)
{
    json_t *event = json_pack("{s:s, s:s, s:s, s:i, s:i}", "type", type, "response_id", r->id,
                              "item_id", r->item, "output_index", 0, "content_index", 0);

    if (key != NULL) {
        (void)json_object_set_new(event, key, value);
    }
    session_emit(r->session, event);
}

static void emit_item(struct response *r, const char *type, int index, const json_t *item)
{
    json_t *event = json_pack("{s:s, s:s, s:i}", "type", type, "response_id", r->id,
                              "output_index", index);

    (void)json_object_set_new(event, "item", json_deep_copy(item));
    session_emit(r->session, event);
}

static void emit_conversation(struct response *r, const char *type, const json_t *item,
                              const char *previous)
{
    json_t *event = session_event(type);

    if (r->out_of_band) {
        json_free(&event);
        return;
    }
    (void)json_object_set_new(event, "previous_item_id",
                              previous[0] == '\0' ? json_null() : json_string(previous));
    (void)json_object_set_new(event, "item", json_deep_copy(item));
    session_emit(r->session, event);
}

static void response_free(struct response *r)
{
    timer_stop(&r->timer);
    list_remove(&r->link);
    json_free(&r->metadata);
    json_free(&r->output);
    json_free(&r->forced);
    xfree(r->text);
    xfree(r);
}

static void finish(struct response *r, const char *status, json_t *details)
{
    struct session *s = r->session;
    int64_t spoken_ms = (int64_t)r->sent / 8;

    if (s->active == r) {
        s->active = NULL;
    }
    emit_response(r, "response.done", status, details, true);
    s->cached_tokens = r->text_in;
    s->text_tokens += r->text == NULL ? 0 : (int64_t)strlen(r->text) / 4;
    s->audio_tokens += spoken_ms / 50;
    if (!r->out_of_band) {
        listen_idle_from(s, spoken_ms);
    }
    response_free(r);
}

static void open_item(struct response *r)
{
    struct session *s = r->session;
    OWNED(json_free) json_t *item = item_json(r, "in_progress", NULL);

    r->opened = true;
    session_new_item(s, r->item);
    (void)json_object_set_new(item, "id", json_string(r->item));
    emit_item(r, "response.output_item.added", 0, item);
    emit_conversation(r, "conversation.item.added", item, s->last_item);
    emit_part(r, "response.content_part.added", "part",
              r->text_only ? json_pack("{s:s, s:s}", "type", "text", "text", "")
                           : json_pack("{s:s, s:s}", "type", "audio", "transcript", ""));
    if (!r->out_of_band) {
        s->spoke = true;
        (void)session_add_item(s, r->item, true, 0);
    }
}

/* The words up to where the audio is now. */
static void send_words(struct response *r)
{
    size_t len = strlen(r->text);
    size_t upto = r->speech == NULL ? len : len * r->sent / r->speech->len;

    while (upto < len && upto > r->text_sent && r->text[upto] != ' ') {
        upto--;
    }
    if (upto > r->text_sent) {
        emit_part(r, r->text_only ? "response.output_text.delta"
                                  : "response.output_audio_transcript.delta",
                  "delta", json_stringn(r->text + r->text_sent, upto - r->text_sent));
        r->text_sent = upto;
    }
}

static void send_audio(struct response *r)
{
    char coded[(DELTA_BYTES + 2) / 3 * 4 + 1];
    size_t n = r->speech->len - r->sent;
    struct item *item = session_find_item(r->session, str_of(r->item));

    n = n > DELTA_BYTES ? DELTA_BYTES : n;
    size_t len = base64_encode(r->speech->ulaw + r->sent, n, coded);
    r->sent += n;
    if (item != NULL) {
        item->audio_ms = (int64_t)r->sent / 8;
    }
    emit_part(r, "response.output_audio.delta", "delta", json_stringn(coded, len));
}

static void close_item(struct response *r, bool whole)
{
    struct session *s = r->session;
    json_t *text = json_stringn(r->text, r->text_sent);
    json_t *item = item_json(r, whole ? "completed" : "incomplete", json_string_value(text));
    char previous[CLIENT_ID_SIZE] = "";

    if (s->item_count > 1) {
        (void)snprintf(previous, sizeof previous, "%s", s->items[s->item_count - 2].id);
    }
    if (r->text_only) {
        emit_part(r, "response.output_text.done", "text", json_incref(text));
        emit_part(r, "response.content_part.done", "part",
                  json_pack("{s:s, s:O}", "type", "text", "text", text));
    } else {
        emit_part(r, "response.output_audio_transcript.done", "transcript", json_incref(text));
        emit_part(r, "response.output_audio.done", NULL, NULL);
        emit_part(r, "response.content_part.done", "part",
                  json_pack("{s:s, s:O}", "type", "audio", "transcript", text));
    }
    emit_conversation(r, "conversation.item.done", item, previous);
    emit_item(r, "response.output_item.done", 0, item);
    (void)json_array_append_new(r->output, item);
    json_decref(text);
    r->opened = false;
}

static const json_t *tool_schema(const struct session *s, const char *name)
{
    const json_t *tool;
    size_t i;

    json_array_foreach(json_object_get(s->config, "tools"), i, tool)
    {
        if (str_eq_cstr(json_get_str(tool, "name"), name)) {
            return json_object_get(tool, "parameters");
        }
    }
    return NULL;
}

static void emit_call(struct response *r, json_t *item, const char *args, int index)
{
    struct session *s = r->session;
    const char *item_id = json_string_value(json_object_get(item, "id"));
    const char *call_id = json_string_value(json_object_get(item, "call_id"));
    char previous[CLIENT_ID_SIZE];

    (void)snprintf(previous, sizeof previous, "%s", s->last_item);
    emit_item(r, "response.output_item.added", index, item);
    emit_conversation(r, "conversation.item.added", item, previous);
    session_emit(s, json_pack("{s:s, s:s, s:s, s:i, s:s, s:s}", "type",
                              "response.function_call_arguments.delta", "response_id", r->id,
                              "item_id", item_id, "output_index", index, "call_id", call_id,
                              "delta", args));
    session_emit(s, json_pack("{s:s, s:s, s:s, s:i, s:s, s:s, s:s}", "type",
                              "response.function_call_arguments.done", "response_id", r->id,
                              "item_id", item_id, "output_index", index, "call_id", call_id,
                              "name", json_string_value(json_object_get(item, "name")),
                              "arguments", args));
    (void)json_object_set_new(item, "status", json_string("completed"));
    (void)json_object_set_new(item, "arguments", json_string(args));
    (void)session_add_item(s, item_id, false, 0);
    emit_conversation(r, "conversation.item.done", item, previous);
    emit_item(r, "response.output_item.done", index, item);
    (void)json_array_append(r->output, item);
}

static void call_tool(struct response *r, const char *name, const json_t *hints, int index)
{
    struct session *s = r->session;
    struct fit_world world = {s->said, s->zone, loop_wall_us(s->model->conf.loop)};
    const json_t *schema = tool_schema(s, name);
    char item_id[ID_SIZE];
    char call_id[ID_SIZE];
    struct buf text;

    if (schema == NULL || s->open_call_count == TOOL_CALLS_MAX) {
        return; /* a tool that this session was not given cannot be called */
    }
    OWNED(json_free) json_t *args = fit_arguments(hints, schema, &world);
    session_new_item(s, item_id);
    (void)snprintf(call_id, sizeof call_id, "call_Sim%014" PRIx64,
                   dice_mix(s->nth * 31 + s->item_no) >> 8);
    memcpy(s->open_calls[s->open_call_count++], call_id, ID_SIZE);
    s->model->counts.tool_calls++;
    buf_init(&text, 16384);
    (void)!json_dump(args, &text);
    OWNED(json_free)
    json_t *item = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "id", item_id, "object",
                             "realtime.item", "type", "function_call", "status", "in_progress",
                             "name", name, "call_id", call_id, "arguments", "");
    emit_call(r, item, buf_cstr(&text), index);
    buf_fini(&text);
}

static void call_tools(struct response *r)
{
    int index = (int)json_array_size(r->output);

    if (r->forced != NULL) {
        call_tool(r, json_string_value(r->forced), NULL, index);
        return;
    }
    for (size_t i = 0; r->turn != NULL && !r->no_tools && i < r->turn->tool_count; i++) {
        call_tool(r, r->turn->tools[i].name, r->turn->tools[i].args,
                  (int)json_array_size(r->output));
    }
}

static bool breaks(struct response *r)
{
    struct session *s = r->session;

    if (!fault_strikes(s->model->conf.faults, FAULT_MODEL_ERROR, STR("response"),
                       s->nth * 100 + s->response_no)) {
        return false;
    }
    session_error(s, "server_error", NULL,
                  "The server had an error while processing your request.", NULL, STR_NONE);
    finish(r, "failed",
           json_pack("{s:s, s:{s:s, s:s, s:s}}", "type", "failed", "error", "type", "server_error",
                     "code", "server_error", "message",
                     "The server had an error while processing your request."));
    return true;
}

static void on_step(void *arg)
{
    struct response *r = arg;
    struct loop *loop = r->session->model->conf.loop;
    bool quiet = r->text == NULL || r->text[0] == '\0';

    if (!quiet && !r->opened) {
        if (breaks(r)) {
            return;
        }
        open_item(r);
    }
    if (r->speech != NULL && r->sent < r->speech->len) {
        send_audio(r);
        send_words(r);
        timer_start(&r->timer, loop, DELTA_MS, on_step, r);
        return;
    }
    if (!quiet) {
        send_words(r);
        close_item(r, true);
    }
    call_tools(r);
    finish(r, "completed", NULL);
}

static const char *choice_of(const struct session *s, const json_t *asked, json_t **forced)
{
    const json_t *choice = json_object_get(asked, "tool_choice");

    choice = choice == NULL ? json_object_get(s->config, "tool_choice") : choice;
    *forced = json_is_object(choice) ? json_incref(json_object_get(choice, "name")) : NULL;
    return json_is_string(choice) ? json_string_value(choice) : "auto";
}

static struct str own_instructions(const struct session *s, const json_t *asked)
{
    struct str whole = json_get_str(asked, "instructions");
    struct str base = json_get_str(s->config, "instructions");

    return base.len > 0 && str_starts(whole, base) ? str_trim(str_skip(whole, base.len)) : whole;
}

static void emit_limits(struct session *s)
{
    session_emit(s, json_pack("{s:s, s:[{s:s, s:i, s:i, s:f}, {s:s, s:i, s:i, s:f}]}", "type",
                              "rate_limits.updated", "rate_limits", "name", "requests", "limit",
                              10000, "remaining", 9999, "reset_seconds", 0.006, "name", "tokens",
                              "limit", 4000000, "remaining", 3990000, "reset_seconds", 0.15));
}

static struct response *response_new(struct session *s, const json_t *asked)
{
    struct response *r = xzalloc(sizeof *r);
    const json_t *modalities = json_object_get(asked, "output_modalities");

    modalities = modalities == NULL ? json_object_get(s->config, "output_modalities") : modalities;
    r->session = s;
    r->output = json_array();
    list_init(&r->link);
    r->out_of_band = str_eq_cstr(json_get_str(asked, "conversation"), "none");
    r->text_only = str_eq_cstr(
        str_of(json_string_value(json_array_get(modalities, 0))), "text");
    r->metadata = json_incref(json_object_get(asked, "metadata"));
    r->no_tools = strcmp(choice_of(s, asked, &r->forced), "none") == 0;
    (void)snprintf(r->id, sizeof r->id, "resp_Sim%016" PRIx64,
                   dice_mix(s->nth * 104729 + ++s->response_no));
    r->text_in = s->text_tokens + (int64_t)json_get_str(s->config, "instructions").len / 4 +
                 (int64_t)json_array_size(json_object_get(s->config, "tools")) * 60;
    r->audio_in = s->audio_tokens;
    return r;
}

static void start(struct response *r, struct plan plan)
{
    struct session *s = r->session;

    s->model->counts.responses++;
    timer_stop(&s->idle);
    if (r->forced == NULL && plan.say.len > 0) {
        r->text = str_dup(plan.say);
        r->turn = plan.turn;
        r->speech = r->text_only ? NULL
                                 : speech_say(book_speech(s->model->conf.book), VOICE_AI, plan.say);
    } else if (r->forced == NULL) {
        r->turn = plan.turn;
    }
    if (r->out_of_band) {
        list_push_back(&s->strays, &r->link);
    } else {
        s->active = r;
    }
    emit_response(r, "response.created", "in_progress", NULL, false);
    emit_limits(s);
    timer_start(&r->timer, s->model->conf.loop, LATENCY_MS, on_step, r);
}

void respond_on_turn(struct session *s)
{
    if (s->active != NULL) {
        return; /* interrupt_response is off: the running answer stands */
    }
    struct response *r = response_new(s, NULL);
    start(r, brain_plan(&s->brain, BRAIN_TURN, STR_NONE, STR_NONE));
}

void respond_on_client(struct session *s, const json_t *event)
{
    const json_t *asked = json_object_get(event, "response");
    struct str client_event = json_get_str(event, "event_id");
    struct config_error e;
    char text[200];

    if (config_check_response(asked, &e) < 0) {
        session_error(s, "invalid_request_error", e.code, e.message, e.param, client_event);
        return;
    }
    struct response *r = response_new(s, asked);
    if (!r->out_of_band && s->active != NULL) {
        (void)snprintf(text, sizeof text,
                       "Conversation already has an active response in progress: %s. Wait until "
                       "the response is finished before creating a new one.",
                       s->active->id);
        session_error(s, "invalid_request_error", "conversation_already_has_active_response", text,
                      NULL, client_event);
        response_free(r);
        return;
    }
    if (r->out_of_band) {
        start(r, (struct plan){STR("no"), NULL});
        return;
    }
    start(r, brain_plan(&s->brain, BRAIN_ASKED, own_instructions(s, asked),
                        json_get_str(asked, "instructions")));
}

bool respond_has(const struct session *s, struct str response_id)
{
    return s->active != NULL && str_eq_cstr(response_id, s->active->id);
}

void respond_cancel(struct session *s, const char *reason)
{
    struct response *r = s->active;

    s->model->counts.cancelled++;
    if (r->opened) {
        close_item(r, false);
    }
    finish(r, "cancelled", json_pack("{s:s, s:s}", "type", "cancelled", "reason", reason));
}

void respond_stop(struct session *s)
{
    if (s->active != NULL) {
        response_free(s->active);
        s->active = NULL;
    }
    LIST_EACH_SAFE(it, &s->strays)
    {
        response_free(LIST_ITEM(it, struct response, link));
    }
}
