#include "config.h"

#include <criterion/criterion.h>
#include <string.h>

static json_t *parse(const char *text)
{
    json_t *v = NULL;
    cr_assert_eq(json_parse(str_of(text), &v), 0, "%s", text);
    return v;
}

static const struct row {
    const char *update;
    const char *code; /* NULL: taken */
    const char *param;
} rows[] = {
    {"{\"type\":\"realtime\"}", NULL, NULL},
    {"{}", "missing_required_parameter", "session.type"},
    {"{\"type\":\"realtime\",\"voice\":\"marin\"}", "unknown_parameter", "session.voice"},
    {"{\"type\":\"realtime\",\"modalities\":[\"audio\"]}", "unknown_parameter",
     "session.modalities"},
    {"{\"type\":\"realtime\",\"output_modalities\":[\"audio\",\"text\"]}", "invalid_value",
     "session.output_modalities"},
    {"{\"type\":\"realtime\",\"instructions\":1}", "invalid_type", "session.instructions"},
    {"{\"type\":\"realtime\",\"audio\":{\"input\":{\"format\":{\"type\":\"g711_ulaw\"}}}}",
     "invalid_value", "session.audio.input.format"},
    {"{\"type\":\"realtime\",\"audio\":{\"input\":{\"turn_detection\":null}}}", NULL, NULL},
    {"{\"type\":\"realtime\",\"audio\":{\"input\":{\"turn_detection\":{\"type\":\"server_vad\","
     "\"threshold\":1.5}}}}",
     "invalid_value", "session.audio.input.turn_detection.threshold"},
    {"{\"type\":\"realtime\",\"audio\":{\"output\":{\"voice\":\"nobody\"}}}", "invalid_value",
     "session.audio.output.voice"},
    {"{\"type\":\"realtime\",\"tools\":[{\"type\":\"function\",\"name\":\"f\",\"parameters\":{}}]}",
     "invalid_value", "session.tools[0]"},
    {"{\"type\":\"realtime\",\"max_output_tokens\":5000}", "invalid_value",
     "session.max_output_tokens"},
    {"{\"type\":\"realtime\",\"temperature\":0.8}", "unknown_parameter", "session.temperature"},
};

Test(config, updates_are_checked)
{
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        json_t *session = config_default("gpt-realtime-2.1-mini");
        json_t *before = json_deep_copy(session);
        json_t *update = parse(rows[i].update);
        struct config_error e = {NULL, "", ""};
        int err = config_apply(session, update, false, &e);
        cr_expect_eq(err == 0, rows[i].code == NULL, "%s: %s", rows[i].update, e.message);
        if (rows[i].code != NULL && err < 0) {
            cr_expect_str_eq(e.code, rows[i].code, "%s", rows[i].update);
            cr_expect_str_eq(e.param, rows[i].param, "%s", rows[i].update);
            cr_expect(json_equal(session, before), "%s changed the session", rows[i].update);
        }
        json_free(&session);
        json_free(&before);
        json_free(&update);
    }
}

Test(config, every_documented_update_is_taken)
{
    json_t *file = json_load_file(TEST_DATA_DIR "/realtime_events.json", 0, NULL);
    const char *key;
    json_t *entry;
    int taken = 0;
    cr_assert_not_null(file);
    json_object_foreach(json_object_get(file, "client"), key, entry)
    {
        const json_t *event = json_object_get(entry, "event");
        struct config_error e = {NULL, "", ""};
        if (strncmp(key, "session.update", 14) == 0 && strstr(key, "transcription") == NULL) {
            json_t *session = config_default("gpt-realtime-2.1");
            cr_expect_eq(config_apply(session, json_object_get(event, "session"), false, &e), 0,
                         "%s: %s", key, e.message);
            json_free(&session);
            taken++;
        }
        if (strncmp(key, "response.create", 15) == 0) {
            cr_expect_eq(config_check_response(json_object_get(event, "response"), &e), 0, "%s: %s",
                         key, e.message);
            taken++;
        }
    }
    cr_assert_geq(taken, 8);
    json_free(&file);
}

Test(config, reasoning_only_where_the_model_reasons)
{
    json_t *update = parse("{\"type\":\"realtime\",\"reasoning\":{\"effort\":\"low\"}}");
    json_t *plain = config_default("gpt-realtime-1.5");
    json_t *thinker = config_default("gpt-realtime-2.1-mini");
    struct config_error e;
    cr_assert_lt(config_apply(plain, update, false, &e), 0);
    cr_assert_eq(config_apply(thinker, update, false, &e), 0);
    json_free(&update);
    json_free(&plain);
    json_free(&thinker);
}

Test(config, voice_is_fixed_once_it_spoke)
{
    json_t *update = parse("{\"type\":\"realtime\",\"audio\":{\"output\":{\"voice\":\"cedar\"}}}");
    json_t *session = config_default("gpt-realtime-2.1");
    struct config_error e;
    cr_assert_lt(config_apply(session, update, true, &e), 0);
    cr_assert_eq(config_apply(session, update, false, &e), 0);
    /* The merge keeps what was not named. */
    const json_t *output = json_object_get(json_object_get(session, "audio"), "output");
    cr_assert(str_eq_cstr(json_get_str(output, "voice"), "cedar"));
    cr_assert_not_null(json_object_get(output, "format"));
    json_free(&update);
    json_free(&session);
}
