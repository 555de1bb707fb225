#include "base/alloc.h"
#include "voice/realtime/session.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#define EVENT_BYTES_MAX (512 * 1024)
#define OWN_ITEM        "dw_i"

/* Tokens of one answer; audio is 20 tokens a second, so this ends a monologue at about 100 s. */
#define ANSWER_TOKENS_MAX 2048

/* Defaults for a phone line, see docs/voice-realtime.md. */
#define VAD_THRESHOLD  0.6
#define VAD_PREFIX_MS  300
#define VAD_SILENCE_MS 500

static json_t *audio_format(void)
{
    return json_pack("{s:s}", "type", "audio/pcmu");
}

static json_t *transcription(const struct voice_config *config)
{
    json_t *t = json_object();
    json_set_str(t, "model", str_of(config->transcribe_model));
    struct str rest = str_of(config->language);
    struct str language = STR_NONE;
    if (str_split(&rest, '-', &language) && language.len > 0) {
        json_set_str(t, "language", language);
    }
    return t;
}

/* The server hears when the lead talks, and does nothing by itself: one side decides who speaks
 * (docs/decisions/0005-who-speaks-is-decided-here.md). All values are sent, because documented
 * defaults and those seen on the wire differ. */
static json_t *turn_detection(const struct voice_config *config)
{
    return json_pack("{s:s, s:f, s:i, s:i, s:b, s:b}", "type", "server_vad", "threshold",
                     config->vad_threshold > 0 ? config->vad_threshold : VAD_THRESHOLD,
                     "prefix_padding_ms", VAD_PREFIX_MS, "silence_duration_ms",
                     config->silence_ms > 0 ? config->silence_ms : VAD_SILENCE_MS,
                     "create_response", 0, "interrupt_response", 0);
}

static json_t *audio(const struct voice_config *config)
{
    json_t *in = json_object();
    (void)json_object_set_new(in, "format", audio_format());
    (void)json_object_set_new(in, "noise_reduction", json_pack("{s:s}", "type", "near_field"));
    (void)json_object_set_new(in, "transcription", transcription(config));
    (void)json_object_set_new(in, "turn_detection", turn_detection(config));
    json_t *out = json_object();
    (void)json_object_set_new(out, "format", audio_format());
    json_set_str(out, "voice", str_of(config->voice));
    json_t *both = json_object();
    (void)json_object_set_new(both, "input", in);
    (void)json_object_set_new(both, "output", out);
    return both;
}

static int add_tools(json_t *session, const struct voice_config *config)
{
    json_t *tools = json_array();
    (void)json_object_set_new(session, "tools", tools);
    for (size_t i = 0; i < config->tool_count; i++) {
        const struct voice_tool *tool = &config->tools[i];
        OWNED(json_free) json_t *parameters = NULL;
        if (json_parse(str_of(tool->parameters), &parameters) < 0) {
            return -EINVAL;
        }
        json_t *t = json_pack("{s:s}", "type", "function");
        json_set_str(t, "name", str_of(tool->name));
        json_set_str(t, "description", str_of(tool->description));
        (void)json_object_set_new(t, "parameters", GIVE(parameters));
        (void)json_array_append_new(tools, t);
    }
    return 0;
}

int rt_write_setup(const struct voice_config *config, bool reasons, struct buf *out)
{
    OWNED(json_free)
    json_t *event = json_pack("{s:s, s:s}", "type", "session.update", "event_id", RT_SETUP_NAME);
    json_t *session = json_pack("{s:s, s:[s]}", "type", "realtime", "output_modalities", "audio");
    (void)json_object_set_new(event, "session", session);
    json_set_str(session, "instructions", str_of(config->instructions));
    (void)json_object_set_new(session, "audio", audio(config));
    int err = add_tools(session, config);
    if (err < 0) {
        return err;
    }
    json_set_str(session, "tool_choice", STR("auto"));
    (void)json_object_set_new(session, "max_output_tokens", json_integer(ANSWER_TOKENS_MAX));
    (void)json_object_set_new(session, "truncation",
                              json_pack("{s:s, s:f, s:{s:i}}", "type", "retention_ratio",
                                        "retention_ratio", 0.8, "token_limits", "post_instructions",
                                        8000));
    if (reasons) {
        (void)json_object_set_new(session, "reasoning", json_pack("{s:s}", "effort", "low"));
    }
    return json_dump(event, out);
}

int rt_write_item(struct buf *out, uint32_t no, const char *role, const char *kind, struct str text)
{
    (void)buf_addf(out,
                   "{\"type\":\"conversation.item.create\",\"event_id\":\"dw_c%u\",\"item\":{"
                   "\"id\":\"" OWN_ITEM "%u\",\"type\":\"message\",\"role\":\"%s\","
                   "\"content\":[{\"type\":\"%s\",\"text\":",
                   no, no, role, kind);
    (void)buf_add_json_str(out, text);
    (void)buf_add_cstr(out, "}]}}");
    return buf_failed(out) ? -EMSGSIZE : 0;
}

int rt_write_tool_result(struct buf *out, uint32_t no, const char *call_id, struct str output)
{
    (void)buf_addf(out,
                   "{\"type\":\"conversation.item.create\",\"event_id\":\"dw_c%u\",\"item\":{"
                   "\"id\":\"" OWN_ITEM "%u\",\"type\":\"function_call_output\",\"call_id\":",
                   no, no);
    (void)buf_add_json_str(out, str_of(call_id));
    (void)buf_add_cstr(out, ",\"output\":");
    (void)buf_add_json_str(out, output);
    (void)buf_add_cstr(out, "}}");
    return buf_failed(out) ? -EMSGSIZE : 0;
}

int rt_write_ask(struct buf *out, const struct seq_ask *ask)
{
    /* The success path tells no event_id back; metadata comes with `created` and `done`. */
    (void)buf_addf(out, "{\"type\":\"response.create\",\"event_id\":\"%s\",\"response\":{",
                   ask->name);
    if (ask->body != NULL) {
        (void)buf_add_cstr(out, ask->body);
        (void)buf_add_char(out, ',');
    }
    (void)buf_addf(out, "\"metadata\":{\"dialwright\":\"%s\"", ask->name);
    if (ask->tag[0] != '\0') {
        (void)buf_add_cstr(out, ",\"purpose\":");
        (void)buf_add_json_str(out, str_of(ask->tag));
    }
    (void)buf_add_cstr(out, "}}}");
    return buf_failed(out) ? -EMSGSIZE : 0;
}

int rt_write_cancel(struct buf *out, const char *response_id)
{
    (void)buf_add_cstr(out,
                       "{\"type\":\"response.cancel\",\"event_id\":\"dw_cancel\",\"response_id\":");
    (void)buf_add_json_str(out, str_of(response_id));
    (void)buf_add_char(out, '}');
    return buf_failed(out) ? -EMSGSIZE : 0;
}

int rt_write_truncate(struct buf *out, const char *item_id, int64_t heard_ms)
{
    (void)buf_add_cstr(
        out, "{\"type\":\"conversation.item.truncate\",\"event_id\":\"dw_truncate\",\"item_id\":");
    (void)buf_add_json_str(out, str_of(item_id));
    (void)buf_addf(out, ",\"content_index\":0,\"audio_end_ms\":%lld}", (long long)heard_ms);
    return buf_failed(out) ? -EMSGSIZE : 0;
}

/* Instructions here replace those of the session for this one response. */
static int body_with(const char *members, const struct buf *instructions, char **body)
{
    OWNED(buf_fini) struct buf out;
    buf_init(&out, EVENT_BYTES_MAX);
    (void)buf_add_cstr(&out, members);
    (void)buf_add_cstr(&out, "\"instructions\":");
    (void)buf_add_json_str(&out, buf_str(instructions));
    if (buf_failed(instructions) || buf_failed(&out)) {
        return -EMSGSIZE;
    }
    *body = buf_steal(&out);
    return 0;
}

int rt_body_exact(const char *text, char **body)
{
    OWNED(buf_fini) struct buf words;
    buf_init(&words, EVENT_BYTES_MAX);
    (void)buf_add_cstr(&words, "You are speaking on the phone. Say the following text aloud, word "
                               "for word, in its own language. Add nothing, leave nothing out, do "
                               "not answer or comment.\nSAY EXACTLY:\n");
    (void)buf_add_cstr(&words, text);
    return body_with("\"conversation\":\"auto\",\"tools\":[],\"tool_choice\":\"none\",", &words,
                     body);
}

int rt_body_go_on(const char *session_instructions, const char *instructions, char **body)
{
    if (instructions == NULL) {
        *body = NULL;
        return 0;
    }
    OWNED(buf_fini) struct buf words;
    buf_init(&words, EVENT_BYTES_MAX);
    (void)buf_addf(&words, "%s\n\n%s", session_instructions, instructions);
    return body_with("", &words, body);
}

static bool has_model(struct str query)
{
    struct str one = STR_NONE;
    while (str_split(&query, '&', &one)) {
        if (str_starts(one, STR("model="))) {
            return true;
        }
    }
    return false;
}

char *rt_url(const char *url, const char *model)
{
    struct str whole = str_of(url);
    ptrdiff_t at = str_find_char(whole, '?');
    struct buf out;
    buf_init(&out, EVENT_BYTES_MAX);
    (void)buf_add_str(&out, whole);
    if (at < 0 || !has_model(str_skip(whole, (size_t)at + 1))) {
        (void)buf_add_cstr(&out, at < 0 ? "?model=" : "&model=");
        for (const char *p = model; *p != '\0'; p++) {
            bool plain = isalnum((unsigned char)*p) != 0 || strchr("-._~", *p) != NULL;
            (void)buf_addf(&out, plain ? "%c" : "%%%02X", (unsigned char)*p);
        }
    }
    return buf_steal(&out);
}

bool rt_is_own_item(struct str item_id)
{
    return str_starts(item_id, STR(OWN_ITEM));
}
