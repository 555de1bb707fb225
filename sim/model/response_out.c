/* response_out.c -- the events of a response in their documented order: items, deltas, tool calls. */
#include "base/crypto.h"
#include "fit.h"
#include "people/dice.h"
#include "response.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define DELTA_BYTES 3200 /* 400 ms of audio */

static json_t *item_json(const struct response *r, const char *status, const char *transcript)
{
    const char *kind = r->text_only ? "output_text" : "output_audio";
    json_t *item =
        json_pack("{s:s, s:s, s:s, s:s, s:s, s:[]}", "id", r->item, "object", "realtime.item",
                  "type", "message", "status", status, "role", "assistant", "content");

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

    return json_pack("{s:I, s:I, s:I, s:{s:I, s:I, s:i, s:I, s:{s:I, s:i, s:i}}, s:{s:I, s:I}}",
                     "total_tokens", (json_int_t)(r->text_in + r->audio_in + out_audio + out_text),
                     "input_tokens", (json_int_t)(r->text_in + r->audio_in), "output_tokens",
                     (json_int_t)(out_audio + out_text), "input_token_details", "text_tokens",
                     (json_int_t)r->text_in, "audio_tokens", (json_int_t)r->audio_in,
                     "image_tokens", 0, "cached_tokens", (json_int_t)cached,
                     "cached_tokens_details", "text_tokens", (json_int_t)cached, "audio_tokens", 0,
                     "image_tokens", 0, "output_token_details", "text_tokens", (json_int_t)out_text,
                     "audio_tokens", (json_int_t)out_audio);
}

static json_t *response_json(const struct response *r, const char *status, json_t *details,
                             bool over)
{
    const struct session *s = r->session;
    json_t *out = json_pack("{s:s, s:s, s:s, s:O, s:[s], s:o, s:o}", "object", "realtime.response",
                            "id", r->id, "status", status, "output", r->output, "output_modalities",
                            r->text_only ? "text" : "audio", "conversation_id",
                            r->out_of_band ? json_null() : json_string(s->conversation), "metadata",
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

void response_emit(struct response *r, const char *type, const char *status, json_t *details,
                   bool over)
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
    json_t *event =
        json_pack("{s:s, s:s, s:i}", "type", type, "response_id", r->id, "output_index", index);

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

void response_open_item(struct response *r)
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
void response_send_words(struct response *r)
{
    size_t len = strlen(r->text);
    size_t upto = r->speech == NULL ? len : len * r->sent / r->speech->len;

    while (upto < len && upto > r->text_sent && r->text[upto] != ' ') {
        upto--;
    }
    if (upto > r->text_sent) {
        emit_part(r,
                  r->text_only ? "response.output_text.delta"
                               : "response.output_audio_transcript.delta",
                  "delta", json_stringn(r->text + r->text_sent, upto - r->text_sent));
        r->text_sent = upto;
    }
}

void response_send_audio(struct response *r)
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

void response_close_item(struct response *r, bool whole)
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
                              "item_id", item_id, "output_index", index, "call_id", call_id, "name",
                              json_string_value(json_object_get(item, "name")), "arguments", args));
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

void response_call_tools(struct response *r)
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
