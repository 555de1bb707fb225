#include "session.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/crypto.h"
#include "config.h"
#include "fit.h"
#include "people/dice.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define MESSAGE_MAX (1024 * 1024)
#define EVENT_MAX   (256 * 1024)
#define SESSION_S   3600

static void on_message(struct str message, bool binary, void *arg);
static void on_close(int err, int code, struct str reason, void *arg);

json_t *session_event(const char *type)
{
    return json_pack("{s:s}", "type", type);
}

void session_emit(struct session *s, json_t *event)
{
    OWNED(json_free) json_t *owned = event;
    struct buf text;
    char id[ID_SIZE];

    (void)snprintf(id, sizeof id, "event_Sim%016" PRIx64,
                   dice_mix(s->nth * 1000003 + ++s->event_no));
    (void)json_object_set_new(owned, "event_id", json_string(id));
    buf_init(&text, EVENT_MAX);
    if (s->ws != NULL && json_dump(owned, &text) == 0) {
        (void)!ws_send_text(s->ws, buf_str(&text));
    }
    buf_fini(&text);
}

void session_error(struct session *s, const char *type, const char *code, const char *message,
                   const char *param, struct str client_event)
{
    json_t *error = json_pack("{s:s, s:s?, s:s, s:s?}", "type", type, "code", code, "message",
                              message, "param", param);
    json_t *event = session_event("error");

    s->model->counts.errors++;
    if (client_event.p == NULL) {
        (void)json_object_set_new(error, "event_id", json_null());
    } else {
        json_set_str(error, "event_id", client_event);
    }
    (void)json_object_set_new(event, "error", error);
    session_emit(s, event);
}

void session_new_item(struct session *s, char out[ID_SIZE])
{
    (void)snprintf(out, ID_SIZE, "item_Sim%016" PRIx64, dice_mix(s->nth * 7919 + ++s->item_no));
}

struct item *session_add_item(struct session *s, const char *id, bool assistant, int64_t audio_ms)
{
    if (s->item_count == ITEMS_MAX) {
        memmove(s->items, s->items + 1, (ITEMS_MAX - 1) * sizeof s->items[0]);
        s->item_count--;
    }
    struct item *item = &s->items[s->item_count++];
    (void)snprintf(item->id, sizeof item->id, "%s", id);
    item->assistant = assistant;
    item->audio_ms = audio_ms;
    (void)snprintf(s->last_item, sizeof s->last_item, "%s", id);
    return item;
}

struct item *session_find_item(struct session *s, struct str id)
{
    for (size_t i = s->item_count; i > 0; i--) {
        if (str_eq_cstr(id, s->items[i - 1].id)) {
            return &s->items[i - 1];
        }
    }
    return NULL;
}

static json_t *item_event(struct session *s, const char *type, const json_t *item,
                          const char *previous)
{
    json_t *event = session_event(type);

    (void)s;
    (void)json_object_set_new(event, "previous_item_id",
                              previous[0] == '\0' ? json_null() : json_string(previous));
    (void)json_object_set_new(event, "item", json_deep_copy(item));
    return event;
}

void session_tell_item(struct session *s, json_t *item)
{
    OWNED(json_free) json_t *owned = item;
    char previous[CLIENT_ID_SIZE];

    (void)snprintf(previous, sizeof previous, "%s", s->last_item);
    session_emit(s, item_event(s, "conversation.item.added", owned, previous));
    session_emit(s, item_event(s, "conversation.item.done", owned, previous));
}

static void tell_session(struct session *s, const char *type)
{
    json_t *event = session_event(type);

    (void)json_object_set_new(event, "session", json_deep_copy(s->config));
    session_emit(s, event);
}

static void on_cut(void *arg)
{
    struct session *s = arg;

    ws_free(&s->ws);
    session_free(s);
}

static void begin(struct session *s)
{
    struct faults *f = s->model->conf.faults;

    tell_session(s, "session.created");
    session_emit(s, json_pack("{s:s, s:{s:s, s:s}}", "type", "conversation.created", "conversation",
                              "id", s->conversation, "object", "realtime.session"));
    if (fault_strikes(f, FAULT_MODEL_CUT, STR("session"), s->nth)) {
        timer_start(&s->cut, s->model->conf.loop,
                    dice_between(f->seed, "model cut", STR("session"), s->nth, 2000, 9000), on_cut,
                    s);
    }
}

static void release(void *handle)
{
    http_socket_done(handle);
}

static void on_socket(int fd, struct str already_read, struct http_socket *handle, void *arg)
{
    struct session *s = arg;
    struct ws_handlers handlers = {on_message, on_close, s};

    s->ws = ws_open(s->model->conf.loop, fd, WS_SERVER, already_read, MESSAGE_MAX, handlers,
                    release, handle);
    begin(s);
}

void session_open(struct model *m, struct http_request *req, const char *model_name)
{
    struct session *s = xzalloc(sizeof *s);

    s->model = m;
    s->nth = (uint64_t)m->counts.sessions++;
    m->counts.live++;
    s->brain.book = m->conf.book;
    s->scan = jscan_new(MESSAGE_MAX);
    s->config = config_default(model_name);
    list_init(&s->transcripts);
    list_init(&s->strays);
    (void)snprintf(s->zone, sizeof s->zone, "Etc/UTC");
    (void)snprintf(s->id, sizeof s->id, "sess_Sim%016" PRIx64, dice_mix(s->nth + 1));
    (void)snprintf(s->conversation, sizeof s->conversation, "conv_Sim%016" PRIx64,
                   dice_mix(s->nth + 2));
    (void)json_object_set_new(s->config, "id", json_string(s->id));
    (void)json_object_set_new(s->config, "expires_at",
                              json_integer(loop_wall_us(m->conf.loop) / US_PER_S + SESSION_S));
    list_push_back(&m->sessions, &s->link);
    listen_configure(s);
    http_upgrade(req, on_socket, s);
}

void session_free(struct session *s)
{
    s->model->counts.live--;
    list_remove(&s->link);
    timer_stop(&s->cut);
    listen_stop(s);
    respond_stop(s);
    ws_free(&s->ws);
    jscan_free(&s->scan);
    json_free(&s->config);
    xfree(s);
}

static void on_close(int err, int code, struct str reason, void *arg)
{
    (void)err;
    (void)code;
    (void)reason;
    session_free(arg);
}

void session_find_zone(struct session *s, struct str text)
{
    char zone[SESSION_ZONE];

    if (fit_find_zone(text, zone, sizeof zone)) {
        memcpy(s->zone, zone, sizeof s->zone);
    }
}

static void on_update(struct session *s, const json_t *event)
{
    struct config_error e;
    const json_t *update = json_object_get(event, "session");

    if (config_apply(s->config, update, s->spoke, &e) < 0) {
        session_error(s, "invalid_request_error", e.code, e.message, e.param,
                      json_get_str(event, "event_id"));
        return;
    }
    s->configured = true;
    session_find_zone(s, json_get_str(s->config, "instructions"));
    listen_configure(s);
    tell_session(s, "session.updated");
}

static void on_buffer_clear(struct session *s, const json_t *event)
{
    (void)event;
    hearing_forget(&s->ear);
    session_emit(s, session_event("input_audio_buffer.cleared"));
}

static void on_commit(struct session *s, const json_t *event)
{
    (void)event;
    listen_commit(s);
}

static void on_cancel(struct session *s, const json_t *event)
{
    struct str id = json_get_str(event, "response_id");

    if (s->active == NULL || (id.p != NULL && !respond_has(s, id))) {
        session_error(s, "invalid_request_error", "response_cancel_not_active",
                      "Cancellation failed: no active response found", NULL,
                      json_get_str(event, "event_id"));
        return;
    }
    respond_cancel(s, "client_cancelled");
}

static void dispatch(struct session *s, const json_t *event)
{
    static const struct {
        const char *type;
        void (*handle)(struct session *s, const json_t *event);
    } table[] = {
        {"session.update", on_update},
        {"conversation.item.create", items_create},
        {"conversation.item.truncate", items_truncate},
        {"conversation.item.delete", items_delete},
        {"input_audio_buffer.commit", on_commit},
        {"input_audio_buffer.clear", on_buffer_clear},
        {"response.create", respond_on_client},
        {"response.cancel", on_cancel},
    };
    struct str type = json_get_str(event, "type");
    char text[160];

    for (size_t i = 0; i < COUNT_OF(table); i++) {
        if (str_eq_cstr(type, table[i].type)) {
            table[i].handle(s, event);
            return;
        }
    }
    (void)snprintf(text, sizeof text, "Invalid value: '%.*s'", (int)(type.len > 80 ? 80 : type.len),
                   type.p == NULL ? "" : type.p);
    session_error(s, "invalid_request_error", "invalid_value", text, "type",
                  json_get_str(event, "event_id"));
}

static void on_append(struct session *s)
{
    static uint8_t bytes[MESSAGE_MAX];
    struct str audio;
    ptrdiff_t n = -1;

    if (jscan_raw(s->scan, "audio", &audio) == 0) {
        n = base64_decode(audio, bytes, sizeof bytes);
    }
    if (n < 0) {
        session_error(s, "invalid_request_error", "invalid_value",
                      "Invalid 'audio'. Expected base64-encoded audio bytes.", "audio", STR_NONE);
        return;
    }
    listen_append(s, bytes, (size_t)n);
}

static void on_message(struct str message, bool binary, void *arg)
{
    struct session *s = arg;
    struct str type;
    OWNED(json_free) json_t *event = NULL;

    if (!binary && jscan_open(s->scan, message) == 0 && jscan_str(s->scan, "type", &type) == 0 &&
        str_eq_cstr(type, "input_audio_buffer.append")) {
        on_append(s);
        return;
    }
    if (binary || json_parse(message, &event) < 0 || !json_is_object(event)) {
        session_error(s, "invalid_request_error", "invalid_json",
                      "We could not parse the JSON body of your request.", NULL, STR_NONE);
        return;
    }
    dispatch(s, event);
}
