/* respond.c -- a response from its plan to its bill.
 *
 *   made -> (latency) -> speaking: transcript and audio deltas -> spoken -> tools -> done
 *     \---------------------\------------- cancel ----------------> done (cancelled)
 */
#include "base/alloc.h"
#include "config.h"
#include "people/dice.h"
#include "response.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define LATENCY_MS 120
#define DELTA_MS   30 /* 400 ms of audio every 30 ms: well ahead of playback */

static void on_step(void *arg);

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
    response_emit(r, "response.done", status, details, true);
    s->cached_tokens = r->text_in;
    s->text_tokens += r->text == NULL ? 0 : (int64_t)strlen(r->text) / 4;
    s->audio_tokens += spoken_ms / 50;
    if (!r->out_of_band) {
        listen_idle_from(s, spoken_ms);
    }
    response_free(r);
}

static bool breaks(struct response *r)
{
    struct session *s = r->session;

    if (!fault_strikes(s->model->conf.faults, FAULT_MODEL_ERROR, STR("response"),
                       s->nth * 100 + s->response_no)) {
        return false;
    }
    session_error(s, "server_error", NULL, "The server had an error while processing your request.",
                  NULL, STR_NONE);
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
        response_open_item(r);
    }
    if (r->speech != NULL && r->sent < r->speech->len) {
        response_send_audio(r);
        response_send_words(r);
        timer_start(&r->timer, loop, DELTA_MS, on_step, r);
        return;
    }
    if (!quiet) {
        response_send_words(r);
        response_close_item(r, true);
    }
    response_call_tools(r);
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
    r->text_only = str_eq_cstr(str_of(json_string_value(json_array_get(modalities, 0))), "text");
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
        r->speech =
            r->text_only ? NULL : speech_say(book_speech(s->model->conf.book), VOICE_AI, plan.say);
    } else if (r->forced == NULL) {
        r->turn = plan.turn;
    }
    if (r->out_of_band) {
        list_push_back(&s->strays, &r->link);
    } else {
        s->active = r;
    }
    response_emit(r, "response.created", "in_progress", NULL, false);
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
        response_close_item(r, false);
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
