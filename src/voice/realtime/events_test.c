#include "voice/realtime/events.h"

#include "base/limits.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

static struct rt_reader *reader;

static void make(void)
{
    reader = rt_reader_new(LIMIT_MODEL_MSG_BYTES);
}

static void drop(void)
{
    rt_reader_free(&reader);
}

static json_t *samples(void)
{
    json_error_t why;
    json_t *all = json_load_file(TEST_DATA "/realtime_events.json", 0, &why);
    cr_assert_not_null(all, "%s", why.text);
    return all;
}

static void read_sample(const json_t *server, const char *key, struct buf *text, struct rt_event *e)
{
    buf_init(text, LIMIT_MODEL_MSG_BYTES);
    cr_assert_eq(json_dump(json_get(json_get(server, key), "event"), text), 0, "%s", key);
    cr_assert_eq(rt_read(reader, buf_str(text), e), 0, "%s", key);
}

Test(events, every_sample_is_read, .init = make, .fini = drop)
{
    OWNED(json_free) json_t *all = samples();
    const char *key = NULL;
    json_t *entry = NULL;
    size_t known = 0;
    json_object_foreach(json_get(all, "server"), key, entry)
    {
        OWNED(buf_fini) struct buf text;
        struct rt_event e;
        read_sample(json_get(all, "server"), key, &text, &e);
        struct str name = json_get_str(json_get(entry, "event"), "type");
        if (e.type != RT_OTHER) {
            known++;
            bool text_event = str_starts(name, STR("response.output_text."));
            cr_expect(text_event || str_eq_cstr(name, rt_type_name(e.type)), "%s", key);
        }
    }
    cr_assert_geq(known, 30, "only %zu events known", known);
}

#define SAMPLE(key)                                                                                \
    OWNED(json_free) json_t *all = samples();                                                      \
    OWNED(buf_fini) struct buf text;                                                               \
    struct rt_event e;                                                                             \
    read_sample(json_get(all, "server"), key, &text, &e)

#define EXPECT_STR(s, lit) cr_expect(str_eq((s), STR(lit)), STR_FMT, STR_ARG(s))

Test(events, audio_delta, .init = make, .fini = drop)
{
    SAMPLE("response.output_audio.delta");
    cr_expect_eq(e.type, RT_AUDIO_DELTA);
    EXPECT_STR(e.response_id, "resp_Dk2resp0000000000001");
    EXPECT_STR(e.item_id, "item_Dk2asst0000000000001");
    cr_expect(str_starts(e.text, STR("////")) && str_ends(e.text, STR("w==")));
}

Test(events, response_done, .init = make, .fini = drop)
{
    SAMPLE("response.done#completed");
    cr_expect_eq(e.type, RT_RESPONSE_DONE);
    EXPECT_STR(e.status, "completed");
    cr_expect(e.usage_known);
    cr_expect_eq(e.usage.text_in, 1092);
    cr_expect_eq(e.usage.text_in_cached, 960);
    cr_expect_eq(e.usage.audio_in, 185);
    cr_expect_eq(e.usage.audio_in_cached, 128);
    cr_expect_eq(e.usage.text_out, 30);
    cr_expect_eq(e.usage.audio_out, 91);
    cr_expect_eq(json_array_size(e.items), 1);
}

Test(events, failed_response, .init = make, .fini = drop)
{
    SAMPLE("response.done#failed");
    EXPECT_STR(e.status, "failed");
    EXPECT_STR(e.error_code, "inference_rate_limit_exceeded");
}

Test(events, session_formats, .init = make, .fini = drop)
{
    SAMPLE("session.updated");
    EXPECT_STR(e.format_in, "audio/pcmu");
    EXPECT_STR(e.format_out, "audio/pcmu");
    EXPECT_STR(e.model, "gpt-realtime-2.1");
}

Test(events, function_call, .init = make, .fini = drop)
{
    SAMPLE("response.output_item.done#function_call");
    EXPECT_STR(e.name, "schedule_callback");
    EXPECT_STR(e.call_id, "call_7mQw2sVd0pXk");
    cr_expect(str_starts(e.text, STR("{\"when_iso8601\"")));
}

Test(events, transcription_usage, .init = make, .fini = drop)
{
    static const struct {
        const char *key;
        int64_t ms;
    } rows[] = {{"conversation.item.input_audio_transcription.completed#tokens", 1700},
                {"conversation.item.input_audio_transcription.completed#duration", 2000}};
    OWNED(json_free) json_t *all = samples();
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        OWNED(buf_fini) struct buf text;
        struct rt_event e;
        read_sample(json_get(all, "server"), rows[i].key, &text, &e);
        cr_expect_eq(e.usage.transcribe_ms, rows[i].ms, "%s", rows[i].key);
    }
}

Test(events, odd_messages, .init = make, .fini = drop)
{
    static const struct {
        const char *label, *text;
        int err;
        enum rt_type type;
    } rows[] = {
        {"not JSON", "hello", -EINVAL, RT_OTHER},
        {"empty", "", -EINVAL, RT_OTHER},
        {"not an object", "[1]", -EINVAL, RT_OTHER},
        {"too deep", "[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]", -EMSGSIZE, RT_OTHER},
        {"unknown type", "{\"type\":\"new.thing\"}", 0, RT_OTHER},
        {"no type", "{}", 0, RT_OTHER},
        {"type is a number", "{\"type\":7}", 0, RT_OTHER},
        {"delta without its item",
         "{\"type\":\"response.output_audio.delta\",\"response_id\":\"r\",\"delta\":\"AAAA\"}",
         -EBADMSG, RT_OTHER},
        {"delta that is no base64",
         "{\"type\":\"response.output_audio.delta\",\"response_id\":\"r\",\"item_id\":\"i\","
         "\"delta\":\"A\\\"A\"}",
         -EBADMSG, RT_OTHER},
        {"delta with escaped slashes",
         "{\"type\":\"response.output_audio.delta\",\"response_id\":\"r\",\"item_id\":\"i\","
         "\"delta\":\"\\/\\/AA\"}",
         0, RT_AUDIO_DELTA},
        {"members in another order",
         "{\"delta\":\"AAAA\",\"item_id\":\"i\",\"x\":null,\"response_id\":\"r\","
         "\"type\":\"response.output_audio.delta\"}",
         0, RT_AUDIO_DELTA},
        {"a transcript that mentions audio",
         "{\"type\":\"response.output_audio_transcript.delta\",\"response_id\":\"r\","
         "\"item_id\":\"i\",\"delta\":\"audio.delta\\\"\"}",
         0, RT_TRANSCRIPT_DELTA},
        {"response without id", "{\"type\":\"response.done\",\"response\":{}}", -EBADMSG, RT_OTHER},
        {"response is null", "{\"type\":\"response.created\",\"response\":null}", -EBADMSG,
         RT_OTHER},
        {"error without error", "{\"type\":\"error\",\"error\":null}", 0, RT_ERROR},
        {"older name of audio",
         "{\"type\":\"response.audio.delta\",\"response_id\":\"r\",\"item_id\":\"i\","
         "\"delta\":\"AAAA\"}",
         0, RT_AUDIO_DELTA},
        {"older name of an item",
         "{\"type\":\"conversation.item.created\",\"item\":{\"id\":\"i\",\"type\":\"message\"}}", 0,
         RT_ITEM_ADDED},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct rt_event e;
        int err = rt_read(reader, str_of(rows[i].text), &e);
        cr_expect_eq(err, rows[i].err, "%s: %d", rows[i].label, err);
        if (err == 0) {
            cr_expect_eq(e.type, rows[i].type, "%s", rows[i].label);
        }
    }
}

Test(events, an_id_that_does_not_fit_is_refused, .init = make, .fini = drop)
{
    char text[512];
    char id[VOICE_ID_SIZE + 1];
    struct rt_event e;
    memset(id, 'i', VOICE_ID_SIZE);
    id[VOICE_ID_SIZE] = '\0';
    (void)snprintf(text, sizeof text,
                   "{\"type\":\"input_audio_buffer.committed\",\"item_id\":\"%s\"}", id);
    cr_expect_eq(rt_read(reader, str_of(text), &e), -EBADMSG);
    (void)snprintf(text, sizeof text,
                   "{\"type\":\"input_audio_buffer.committed\",\"item_id\":\"%s\"}", id + 1);
    cr_expect_eq(rt_read(reader, str_of(text), &e), 0);
}
