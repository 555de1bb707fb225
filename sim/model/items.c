/* items.c -- conversation.item.create, truncate, delete. */
#include "session.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static void forget_call(struct session *s, size_t index)
{
    s->open_call_count--;
    memmove(s->open_calls + index, s->open_calls + index + 1,
            (s->open_call_count - index) * sizeof s->open_calls[0]);
}

static bool take_output(struct session *s, const json_t *item)
{
    struct str call_id = json_get_str(item, "call_id");

    for (size_t i = 0; i < s->open_call_count; i++) {
        if (str_eq_cstr(call_id, s->open_calls[i])) {
            forget_call(s, i);
            brain_output(&s->brain, json_get_str(item, "output"));
            return true;
        }
    }
    return false;
}

static void take_texts(struct session *s, const json_t *item)
{
    const json_t *part;
    size_t i;

    json_array_foreach(json_object_get(item, "content"), i, part)
    {
        struct str text = json_get_str(part, "text");
        s->text_tokens += (int64_t)text.len / 4 + 4;
        session_find_zone(s, text);
    }
}

static const char *item_fault(struct session *s, const json_t *item)
{
    struct str type = json_get_str(item, "type");
    struct str role = json_get_str(item, "role");

    if (str_eq_cstr(type, "message")) {
        bool known = str_eq_cstr(role, "user") || str_eq_cstr(role, "system") ||
                     str_eq_cstr(role, "assistant");
        return known && json_array_size(json_object_get(item, "content")) > 0 ? NULL : "item.role";
    }
    if (str_eq_cstr(type, "function_call_output")) {
        return json_is_string(json_object_get(item, "output")) && take_output(s, item)
                   ? NULL
                   : "item.call_id";
    }
    return str_eq_cstr(type, "function_call") ? NULL : "item.type";
}

void items_create(struct session *s, const json_t *event)
{
    const json_t *item = json_object_get(event, "item");
    char id[CLIENT_ID_SIZE];
    char made[ID_SIZE];

    const char *fault = json_is_object(item) ? item_fault(s, item) : "item";
    struct str given = json_get_str(item, "id");
    if (fault == NULL && given.p != NULL && str_copy(given, id, sizeof id) < 0) {
        fault = "item.id";
    }
    if (fault != NULL) {
        session_error(s, "invalid_request_error", "invalid_value", "Invalid item.", fault,
                      json_get_str(event, "event_id"));
        return;
    }
    if (given.p == NULL) {
        session_new_item(s, made);
        (void)snprintf(id, sizeof id, "%s", made);
    }
    take_texts(s, item);
    json_t *full = json_deep_copy(item);
    (void)json_object_set_new(full, "id", json_string(id));
    (void)json_object_set_new(full, "object", json_string("realtime.item"));
    (void)json_object_set_new(full, "status", json_string("completed"));
    session_tell_item(s, full);
    (void)session_add_item(s, id, str_eq_cstr(json_get_str(item, "role"), "assistant"), 0);
}

void items_truncate(struct session *s, const json_t *event)
{
    struct item *item = session_find_item(s, json_get_str(event, "item_id"));
    int64_t end_ms = json_get_i64(event, "audio_end_ms", -1);
    char text[120];

    if (item == NULL || !item->assistant || end_ms < 0) {
        session_error(s, "invalid_request_error", "invalid_value",
                      "Only model output audio items "
                      "can be truncated.",
                      "item_id", json_get_str(event, "event_id"));
        return;
    }
    if (end_ms > item->audio_ms) {
        (void)snprintf(text, sizeof text,
                       "Audio content of %" PRId64 "ms is already shorter than %" PRId64 "ms",
                       item->audio_ms, end_ms);
        session_error(s, "invalid_request_error", NULL, text, NULL, STR_NONE);
        return;
    }
    item->audio_ms = end_ms;
    s->model->counts.truncations++;
    session_emit(s,
                 json_pack("{s:s, s:s, s:i, s:I}", "type", "conversation.item.truncated", "item_id",
                           item->id, "content_index", 0, "audio_end_ms", (json_int_t)end_ms));
}

void items_delete(struct session *s, const json_t *event)
{
    struct item *item = session_find_item(s, json_get_str(event, "item_id"));

    if (item == NULL) {
        session_error(s, "invalid_request_error", "item_delete_invalid_item_id",
                      "Error deleting item: the item does not exist.", "item_id",
                      json_get_str(event, "event_id"));
        return;
    }
    session_emit(s,
                 json_pack("{s:s, s:s}", "type", "conversation.item.deleted", "item_id", item->id));
    memmove(item, item + 1, (size_t)(s->items + s->item_count - item - 1) * sizeof *item);
    s->item_count--;
}
