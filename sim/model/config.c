#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

struct check {
    struct config_error *error;
    const char *model;
    bool voice_fixed;
};

typedef int check_fn(const struct check *c, const json_t *v, const char *path);

struct member {
    const char *name;
    check_fn *check;
};

static int refuse(const struct check *c, const char *code, const char *path, const char *what)
{
    c->error->code = code;
    (void)snprintf(c->error->param, sizeof c->error->param, "%s", path);
    (void)snprintf(c->error->message, sizeof c->error->message, "%s: '%s'.", what, path);
    return -EINVAL;
}

static int bad_type(const struct check *c, const char *path)
{
    return refuse(c, "invalid_type", path, "Invalid type for parameter");
}

static int bad_value(const struct check *c, const char *path)
{
    return refuse(c, "invalid_value", path, "Invalid value for parameter");
}

static int check_object(const struct check *c, const json_t *v, const char *path,
                        const struct member *members, size_t count)
{
    const char *key;
    json_t *value;

    if (!json_is_object(v)) {
        return bad_type(c, path);
    }
    json_object_foreach((json_t *)(uintptr_t)v, key, value)
    {
        char inner[96];
        const struct member *m = NULL;
        (void)snprintf(inner, sizeof inner, "%s.%s", path, key);
        for (size_t i = 0; i < count && m == NULL; i++) {
            m = strcmp(members[i].name, key) == 0 ? &members[i] : NULL;
        }
        if (m == NULL) {
            return refuse(c, "unknown_parameter", inner, "Unknown parameter");
        }
        int err = m->check(c, value, inner);
        if (err < 0) {
            return err;
        }
    }
    return 0;
}

static bool in_list(const json_t *v, const char *const *list)
{
    const char *s = json_string_value(v);

    for (; s != NULL && *list != NULL; list++) {
        if (strcmp(s, *list) == 0) {
            return true;
        }
    }
    return false;
}

static int check_any(const struct check *c, const json_t *v, const char *path)
{
    (void)c;
    (void)v;
    (void)path;
    return 0;
}

static int check_text(const struct check *c, const json_t *v, const char *path)
{
    return json_is_string(v) ? 0 : bad_type(c, path);
}

static int check_bool(const struct check *c, const json_t *v, const char *path)
{
    return json_is_boolean(v) ? 0 : bad_type(c, path);
}

static int check_unit(const struct check *c, const json_t *v, const char *path)
{
    if (!json_is_number(v)) {
        return bad_type(c, path);
    }
    double d = json_number_value(v);
    return d < 0 || d > 1 ? bad_value(c, path) : 0;
}

static int check_ms(const struct check *c, const json_t *v, const char *path)
{
    if (!json_is_integer(v)) {
        return bad_type(c, path);
    }
    return json_integer_value(v) < 0 ? bad_value(c, path) : 0;
}

static int check_idle(const struct check *c, const json_t *v, const char *path)
{
    if (json_is_null(v)) {
        return 0;
    }
    if (!json_is_integer(v)) {
        return bad_type(c, path);
    }
    json_int_t ms = json_integer_value(v);
    return ms < 5000 || ms > 30000 ? bad_value(c, path) : 0;
}

static int check_type(const struct check *c, const json_t *v, const char *path)
{
    static const char *const list[] = {"realtime", NULL};

    return in_list(v, list) ? 0 : bad_value(c, path);
}

static int check_modalities(const struct check *c, const json_t *v, const char *path)
{
    static const char *const list[] = {"audio", "text", NULL};

    if (!json_is_array(v)) {
        return bad_type(c, path);
    }
    return json_array_size(v) == 1 && in_list(json_array_get(v, 0), list) ? 0 : bad_value(c, path);
}

/* Only the telephone's format is played here; the real server takes two more. */
static int check_format(const struct check *c, const json_t *v, const char *path)
{
    struct str type = json_get_str(v, "type");

    if (!json_is_object(v)) {
        return bad_type(c, path);
    }
    return str_eq_cstr(type, "audio/pcmu") ? 0 : bad_value(c, path);
}

static int check_voice(const struct check *c, const json_t *v, const char *path)
{
    static const char *const list[] = {"alloy",   "ash",   "ballad", "coral", "echo", "sage",
                                       "shimmer", "verse", "marin",  "cedar", NULL};

    if (c->voice_fixed) {
        return refuse(c, "cannot_update_voice", path,
                      "Cannot update a conversation's voice if assistant audio is present");
    }
    return in_list(v, list) || json_is_object(v) ? 0 : bad_value(c, path);
}

static int check_speed(const struct check *c, const json_t *v, const char *path)
{
    if (!json_is_number(v)) {
        return bad_type(c, path);
    }
    double d = json_number_value(v);
    return d < 0.25 || d > 1.5 ? bad_value(c, path) : 0;
}

static int check_noise(const struct check *c, const json_t *v, const char *path)
{
    static const char *const list[] = {"near_field", "far_field", NULL};

    return json_is_null(v) || in_list(json_object_get(v, "type"), list) ? 0 : bad_value(c, path);
}

static int check_transcription(const struct check *c, const json_t *v, const char *path)
{
    static const struct member members[] = {{"model", check_text},    {"language", check_text},
                                            {"languages", check_any}, {"keywords", check_any},
                                            {"prompt", check_text},   {"delay", check_text}};

    if (json_is_null(v)) {
        return 0;
    }
    if (json_object_get(v, "language") != NULL && json_object_get(v, "languages") != NULL) {
        return bad_value(c, path);
    }
    return check_object(c, v, path, members, COUNT_OF(members));
}

static int check_turns(const struct check *c, const json_t *v, const char *path)
{
    static const struct member server[] = {{"type", check_text},
                                           {"threshold", check_unit},
                                           {"prefix_padding_ms", check_ms},
                                           {"silence_duration_ms", check_ms},
                                           {"create_response", check_bool},
                                           {"interrupt_response", check_bool},
                                           {"idle_timeout_ms", check_idle}};
    static const struct member semantic[] = {{"type", check_text},
                                             {"eagerness", check_text},
                                             {"create_response", check_bool},
                                             {"interrupt_response", check_bool}};
    struct str type = json_get_str(v, "type");

    if (json_is_null(v)) {
        return 0;
    }
    if (str_eq_cstr(type, "server_vad")) {
        return check_object(c, v, path, server, COUNT_OF(server));
    }
    if (str_eq_cstr(type, "semantic_vad")) {
        return check_object(c, v, path, semantic, COUNT_OF(semantic));
    }
    return bad_value(c, path);
}

static int check_input(const struct check *c, const json_t *v, const char *path)
{
    static const struct member members[] = {{"format", check_format},
                                            {"noise_reduction", check_noise},
                                            {"transcription", check_transcription},
                                            {"turn_detection", check_turns}};

    return check_object(c, v, path, members, COUNT_OF(members));
}

static int check_output(const struct check *c, const json_t *v, const char *path)
{
    static const struct member members[] = {
        {"format", check_format}, {"voice", check_voice}, {"speed", check_speed}};

    return check_object(c, v, path, members, COUNT_OF(members));
}

static int check_audio(const struct check *c, const json_t *v, const char *path)
{
    static const struct member members[] = {{"input", check_input}, {"output", check_output}};

    return check_object(c, v, path, members, COUNT_OF(members));
}

static int check_tools(const struct check *c, const json_t *v, const char *path)
{
    static const char *const kinds[] = {"function", NULL};
    static const struct member members[] = {{"type", check_text},
                                            {"name", check_text},
                                            {"description", check_text},
                                            {"parameters", check_any}};
    const json_t *tool;
    size_t i;

    if (!json_is_array(v)) {
        return bad_type(c, path);
    }
    json_array_foreach(v, i, tool)
    {
        char inner[64];
        (void)snprintf(inner, sizeof inner, "%s[%zu]", path, i);
        if (!in_list(json_object_get(tool, "type"), kinds) || json_get_str(tool, "name").len == 0 ||
            json_get_str(tool, "name").len > 64) {
            return bad_value(c, inner);
        }
        if (!str_eq_cstr(json_get_str(json_object_get(tool, "parameters"), "type"), "object")) {
            return bad_value(c, inner);
        }
        int err = check_object(c, tool, inner, members, COUNT_OF(members));
        if (err < 0) {
            return err;
        }
    }
    return 0;
}

static int check_choice(const struct check *c, const json_t *v, const char *path)
{
    static const char *const list[] = {"auto", "none", "required", NULL};

    if (json_is_object(v)) {
        return json_get_str(v, "name").len > 0 ? 0 : bad_value(c, path);
    }
    return in_list(v, list) ? 0 : bad_value(c, path);
}

static int check_tokens(const struct check *c, const json_t *v, const char *path)
{
    static const char *const list[] = {"inf", NULL};
    json_int_t n = json_integer_value(v);

    if (json_is_integer(v)) {
        return n < 1 || n > 4096 ? bad_value(c, path) : 0;
    }
    return in_list(v, list) ? 0 : bad_value(c, path);
}

static int check_reasoning(const struct check *c, const json_t *v, const char *path)
{
    static const char *const list[] = {"minimal", "low", "medium", "high", "xhigh", NULL};

    if (strncmp(c->model, "gpt-realtime-2", strlen("gpt-realtime-2")) != 0) {
        return refuse(c, "unknown_parameter", path, "This model does not support reasoning");
    }
    return in_list(json_object_get(v, "effort"), list) ? 0 : bad_value(c, path);
}

static int check_truncation(const struct check *c, const json_t *v, const char *path)
{
    static const char *const list[] = {"auto", "disabled", NULL};

    if (json_is_object(v)) {
        return str_eq_cstr(json_get_str(v, "type"), "retention_ratio") ? 0 : bad_value(c, path);
    }
    return in_list(v, list) ? 0 : bad_value(c, path);
}

static int check_metadata(const struct check *c, const json_t *v, const char *path)
{
    if (json_is_null(v)) {
        return 0;
    }
    return json_is_object(v) && json_object_size(v) <= 16 ? 0 : bad_value(c, path);
}

static const struct member session_members[] = {
    {"type", check_type},
    {"output_modalities", check_modalities},
    {"instructions", check_text},
    {"audio", check_audio},
    {"tools", check_tools},
    {"tool_choice", check_choice},
    {"parallel_tool_calls", check_bool},
    {"reasoning", check_reasoning},
    {"max_output_tokens", check_tokens},
    {"truncation", check_truncation},
    {"tracing", check_any},
    {"include", check_any},
};

static const struct member response_members[] = {
    {"instructions", check_text},  {"output_modalities", check_modalities},
    {"audio", check_audio},        {"tools", check_tools},
    {"tool_choice", check_choice}, {"parallel_tool_calls", check_bool},
    {"reasoning", check_any},      {"max_output_tokens", check_tokens},
    {"metadata", check_metadata},  {"conversation", check_text},
    {"input", check_any},
};

json_t *config_default(const char *model)
{
    return json_pack(
        "{s:s, s:s, s:s, s:[s], s:s, s:[], s:s, s:s, s:n, s:s, s:{s:{s:{s:s, s:i}, s:{s:s, s:f, "
        "s:i, s:i, s:n, s:b, s:b}}, s:{s:{s:s, s:i}, s:s, s:f}}}",
        "type", "realtime", "object", "realtime.session", "model", model, "output_modalities",
        "audio", "instructions", "You are a helpful, witty, and friendly AI.", "tools",
        "tool_choice", "auto", "max_output_tokens", "inf", "tracing", "truncation", "auto", "audio",
        "input", "format", "type", "audio/pcm", "rate", 24000, "turn_detection", "type",
        "server_vad", "threshold", 0.5, "prefix_padding_ms", 300, "silence_duration_ms", 200,
        "idle_timeout_ms", "create_response", 1, "interrupt_response", 1, "output", "format",
        "type", "audio/pcm", "rate", 24000, "voice", "marin", "speed", 1.0);
}

/* Objects are merged, everything else is replaced; a format, a choice or a detection is replaced
 * whole. */
static void merge(json_t *into, const json_t *from)
{
    const char *key;
    json_t *value;

    json_object_foreach((json_t *)(uintptr_t)from, key, value)
    {
        json_t *old = json_object_get(into, key);
        bool deep =
            strcmp(key, "audio") == 0 || strcmp(key, "input") == 0 || strcmp(key, "output") == 0;
        if (deep && json_is_object(value) && json_is_object(old)) {
            merge(old, value);
        } else {
            (void)json_object_set(into, key, value);
        }
    }
}

int config_apply(json_t *session, const json_t *update, bool voice_fixed,
                 struct config_error *error)
{
    struct check c = {error, json_string_value(json_object_get(session, "model")), voice_fixed};

    if (!json_is_object(update)) {
        return refuse(&c, "missing_required_parameter", "session", "Missing required parameter");
    }
    if (json_object_get(update, "type") == NULL) {
        return refuse(&c, "missing_required_parameter", "session.type",
                      "Missing required parameter");
    }
    int err = check_object(&c, update, "session", session_members, COUNT_OF(session_members));
    if (err < 0) {
        return err;
    }
    merge(session, update);
    return 0;
}

int config_check_response(const json_t *response, struct config_error *error)
{
    struct check c = {error, "", false};

    if (response == NULL) {
        return 0;
    }
    return check_object(&c, response, "response", response_members, COUNT_OF(response_members));
}
