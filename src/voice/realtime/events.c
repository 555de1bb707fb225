#include "voice/realtime/events.h"

#include "base/alloc.h"
#include "base/jscan.h"

#include <errno.h>
#include <math.h>
#include <string.h>

struct rt_reader {
    struct jscan *scan;
    json_t *tree;
    size_t message_max;
};

/* What an event must have to be of use. */
enum needs { NEED_NOTHING = 0, NEED_ITEM = 1, NEED_RESPONSE = 2, NEED_BOTH = 3 };

struct kind {
    const char *name;
    enum rt_type type;
    enum needs needs;
};

// clang-format off
static const struct kind kinds[] = {
    {"response.output_audio.delta",              RT_AUDIO_DELTA,             NEED_BOTH},
    {"response.output_audio.done",               RT_AUDIO_DONE,              NEED_BOTH},
    {"response.output_audio_transcript.delta",   RT_TRANSCRIPT_DELTA,        NEED_BOTH},
    {"response.output_audio_transcript.done",    RT_TRANSCRIPT_DONE,         NEED_BOTH},
    {"response.output_text.delta",               RT_TRANSCRIPT_DELTA,        NEED_BOTH},
    {"response.output_text.done",                RT_TRANSCRIPT_DONE,         NEED_BOTH},
    {"session.created",                          RT_SESSION_CREATED,         NEED_NOTHING},
    {"session.updated",                          RT_SESSION_UPDATED,         NEED_NOTHING},
    {"error",                                    RT_ERROR,                   NEED_NOTHING},
    {"input_audio_buffer.speech_started",        RT_SPEECH_STARTED,          NEED_ITEM},
    {"input_audio_buffer.speech_stopped",        RT_SPEECH_STOPPED,          NEED_ITEM},
    {"input_audio_buffer.committed",             RT_COMMITTED,               NEED_ITEM},
    {"conversation.item.added",                  RT_ITEM_ADDED,              NEED_ITEM},
    {"conversation.item.input_audio_transcription.delta", RT_TRANSCRIPTION_DELTA, NEED_ITEM},
    {"conversation.item.input_audio_transcription.completed", RT_TRANSCRIPTION_COMPLETED, NEED_ITEM},
    {"conversation.item.input_audio_transcription.failed", RT_TRANSCRIPTION_FAILED, NEED_ITEM},
    {"response.created",                         RT_RESPONSE_CREATED,        NEED_RESPONSE},
    {"response.output_item.done",                RT_OUTPUT_ITEM_DONE,        NEED_BOTH},
    {"response.done",                            RT_RESPONSE_DONE,           NEED_RESPONSE},
    {"rate_limits.updated",                      RT_RATE_LIMITS,             NEED_NOTHING},
    /* The older shape: local servers and some clouds still speak it. */
    {"response.audio.delta",                     RT_AUDIO_DELTA,             NEED_BOTH},
    {"response.audio.done",                      RT_AUDIO_DONE,              NEED_BOTH},
    {"response.audio_transcript.delta",          RT_TRANSCRIPT_DELTA,        NEED_BOTH},
    {"response.audio_transcript.done",           RT_TRANSCRIPT_DONE,         NEED_BOTH},
    {"response.text.delta",                      RT_TRANSCRIPT_DELTA,        NEED_BOTH},
    {"response.text.done",                       RT_TRANSCRIPT_DONE,         NEED_BOTH},
    {"conversation.item.created",                RT_ITEM_ADDED,              NEED_ITEM},
};
// clang-format on

static const struct kind *find_kind(struct str name)
{
    for (size_t i = 0; i < COUNT_OF(kinds); i++) {
        if (str_eq_cstr(name, kinds[i].name)) {
            return &kinds[i];
        }
    }
    return NULL;
}

const char *rt_type_name(enum rt_type type)
{
    for (size_t i = 0; i < COUNT_OF(kinds); i++) {
        if (kinds[i].type == type) {
            return kinds[i].name;
        }
    }
    return "other";
}

struct rt_reader *rt_reader_new(size_t message_max)
{
    struct rt_reader *r = xzalloc(sizeof *r);
    r->scan = jscan_new(message_max);
    r->message_max = message_max;
    return r;
}

void rt_reader_free(struct rt_reader **r)
{
    if (*r == NULL) {
        return;
    }
    jscan_free(&(*r)->scan);
    json_free(&(*r)->tree);
    xfree(*r);
    *r = NULL;
}

static bool id_fits(struct str id)
{
    return id.len < VOICE_ID_SIZE && memchr(id.p == NULL ? "" : id.p, '\0', id.len) == NULL;
}

static int check_needs(const struct rt_event *e, enum needs needs)
{
    if (!id_fits(e->response_id) || !id_fits(e->item_id) || !id_fits(e->before_id) ||
        !id_fits(e->call_id)) {
        return -EBADMSG;
    }
    if (((unsigned)needs & NEED_ITEM) != 0 && e->item_id.len == 0) {
        return -EBADMSG;
    }
    if (((unsigned)needs & NEED_RESPONSE) != 0 && e->response_id.len == 0) {
        return -EBADMSG;
    }
    return 0;
}

/* The text goes into another party's JSON as it is, so it must not be able to end a string there.
 */
static bool is_base64(struct str s)
{
    unsigned bad = s.len % 4 == 0 ? 0 : 1;
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.p[i];
        unsigned letter = (unsigned)((c | 0x20) - 'a') < 26;
        unsigned digit = (unsigned)(c - '0') < 10;
        bad |= !(letter | digit | (c == '+') | (c == '/') | (c == '='));
    }
    return bad == 0;
}

/* 1: it was audio, *out is filled. 0: something else. The scanner's memory grows with what it reads
 * (seven times over), so it sees audio only. */
static int read_audio(struct rt_reader *r, struct str message, struct rt_event *out)
{
    struct str type = STR_NONE;
    if (!str_contains(message, STR("audio.delta\"")) || jscan_open(r->scan, message) < 0 ||
        jscan_str(r->scan, "type", &type) < 0) {
        return 0;
    }
    const struct kind *kind = find_kind(type);
    if (kind == NULL || kind->type != RT_AUDIO_DELTA) {
        return 0;
    }
    *out = (struct rt_event){.type = RT_AUDIO_DELTA};
    if (jscan_str(r->scan, "response_id", &out->response_id) < 0 ||
        jscan_str(r->scan, "item_id", &out->item_id) < 0 ||
        jscan_raw(r->scan, "delta", &out->text) < 0) {
        return -EBADMSG;
    }
    int err = check_needs(out, kind->needs);
    if (err == 0 && !is_base64(out->text) &&
        (jscan_str(r->scan, "delta", &out->text) < 0 || !is_base64(out->text))) {
        err = -EBADMSG; /* not even without the escapes ("\\/") that some writers put in */
    }
    return err < 0 ? err : 1;
}

static int64_t count_of(const json_t *obj, const char *key)
{
    const int64_t count_max = 1000 * 1000 * 1000;
    return i64_max(0, i64_min(json_get_i64(obj, key, 0), count_max));
}

static void read_response_usage(const json_t *usage, struct rt_event *out)
{
    const json_t *in = json_get(usage, "input_token_details");
    const json_t *cached = json_get(in, "cached_tokens_details");
    const json_t *made = json_get(usage, "output_token_details");
    struct voice_usage *u = &out->usage;
    out->usage_known = json_is_object(usage);
    u->text_in = count_of(in, "text_tokens");
    u->audio_in = count_of(in, "audio_tokens");
    u->text_in_cached = i64_min(count_of(cached, "text_tokens"), u->text_in);
    u->audio_in_cached = i64_min(count_of(cached, "audio_tokens"), u->audio_in);
    u->text_out = count_of(made, "text_tokens");
    u->audio_out = count_of(made, "audio_tokens");
    if (!json_is_object(in) && !json_is_object(made)) {
        /* No details: counted as text, the cheapest reading that still shows. */
        u->text_in = count_of(usage, "input_tokens");
        u->text_out = count_of(usage, "output_tokens");
    }
}

static void read_transcription_usage(const json_t *usage, struct rt_event *out)
{
    struct voice_usage *u = &out->usage;
    out->usage_known = json_is_object(usage);
    const json_t *in = json_get(usage, "input_token_details");
    u->audio_in = count_of(in, "audio_tokens");
    u->text_in = count_of(in, "text_tokens");
    u->text_out = count_of(usage, "output_tokens");
    double seconds = json_get_double(usage, "seconds", 0);
    if (seconds > 0 && seconds < 86400) {
        u->transcribe_ms = (int64_t)llround(seconds * 1000);
    } else {
        u->transcribe_ms = u->audio_in * 100; /* one token is 100 ms of a caller's audio */
    }
}

static void read_error(const json_t *error, struct rt_event *out)
{
    out->error_type = json_get_str(error, "type");
    out->error_code = json_get_str(error, "code");
    out->error_message = json_get_str(error, "message");
    out->error_event_id = json_get_str(error, "event_id");
}

static void read_response(const json_t *response, struct rt_event *out)
{
    const json_t *details = json_get(response, "status_details");
    out->response_id = json_get_str(response, "id");
    out->status = json_get_str(response, "status");
    out->name = json_get_str(json_get(response, "metadata"), "dialwright");
    out->items = json_get_array(response, "output");
    if (json_is_string(details)) { /* older servers */
        out->reason = json_get_str(response, "status_details");
    } else {
        out->reason = json_get_str(details, "reason");
        read_error(json_get(details, "error"), out);
    }
    read_response_usage(json_get(response, "usage"), out);
}

static void read_item(const json_t *item, struct rt_event *out)
{
    out->item_id = json_get_str(item, "id");
    out->item_type = json_get_str(item, "type");
    out->item_role = json_get_str(item, "role");
    out->item_status = json_get_str(item, "status");
    out->call_id = json_get_str(item, "call_id");
    out->name = json_get_str(item, "name");
    out->text = json_get_str(item, "arguments");
    out->item = item;
}

static void read_session(const json_t *session, struct rt_event *out)
{
    const json_t *audio = json_get(session, "audio");
    out->model = json_get_str(session, "model");
    out->format_in = json_get_str(json_get(json_get(audio, "input"), "format"), "type");
    out->format_out = json_get_str(json_get(json_get(audio, "output"), "format"), "type");
}

static int64_t read_reset_ms(const json_t *limits)
{
    double longest = 0;
    size_t i = 0;
    const json_t *limit = NULL;
    json_array_foreach(limits, i, limit)
    {
        if (json_get_i64(limit, "remaining", 1) <= 0) {
            longest = fmax(longest, json_get_double(limit, "reset_seconds", 0));
        }
    }
    return longest > 0 && longest < 3600 ? (int64_t)llround(longest * 1000) : 0;
}

static void read_members(const json_t *root, struct rt_event *out)
{
    switch (out->type) {
    case RT_SESSION_CREATED:
    case RT_SESSION_UPDATED:
        read_session(json_get(root, "session"), out);
        break;
    case RT_ERROR:
        read_error(json_get(root, "error"), out);
        break;
    case RT_SPEECH_STARTED:
        out->audio_ms = json_get_i64(root, "audio_start_ms", 0);
        break;
    case RT_SPEECH_STOPPED:
        out->audio_ms = json_get_i64(root, "audio_end_ms", 0);
        break;
    case RT_ITEM_ADDED:
    case RT_OUTPUT_ITEM_DONE:
        read_item(json_get(root, "item"), out);
        break;
    case RT_TRANSCRIPTION_DELTA:
    case RT_TRANSCRIPT_DELTA:
    case RT_AUDIO_DELTA:
        out->text = json_get_str(root, "delta");
        break;
    case RT_TRANSCRIPTION_COMPLETED:
        out->text = json_get_str(root, "transcript");
        read_transcription_usage(json_get(root, "usage"), out);
        break;
    case RT_TRANSCRIPT_DONE:
        out->text =
            json_get_str(root, json_get(root, "transcript") != NULL ? "transcript" : "text");
        break;
    case RT_RESPONSE_CREATED:
    case RT_RESPONSE_DONE:
        read_response(json_get(root, "response"), out);
        break;
    case RT_RATE_LIMITS:
        out->reset_ms = read_reset_ms(json_get_array(root, "rate_limits"));
        break;
    case RT_TRANSCRIPTION_FAILED:
        read_error(json_get(root, "error"), out);
        break;
    case RT_OTHER:
    case RT_COMMITTED:
    case RT_AUDIO_DONE:
        break;
    }
}

static int read_tree(struct rt_reader *r, struct rt_event *out)
{
    const json_t *root = r->tree;
    *out = (struct rt_event){.type = RT_OTHER};
    if (!json_is_object(root)) {
        return -EINVAL;
    }
    const struct kind *kind = find_kind(json_get_str(root, "type"));
    if (kind == NULL) {
        return 0;
    }
    out->type = kind->type;
    out->response_id = json_get_str(root, "response_id");
    out->item_id = json_get_str(root, "item_id");
    out->before_id = json_get_str(root, "previous_item_id");
    out->before_known = json_get(root, "previous_item_id") != NULL;
    read_members(root, out);
    return check_needs(out, kind->needs);
}

int rt_read(struct rt_reader *r, struct str message, struct rt_event *out)
{
    json_free(&r->tree);
    if (message.len > r->message_max) {
        return -EMSGSIZE;
    }
    int audio = read_audio(r, message, out);
    if (audio != 0) {
        return audio < 0 ? audio : 0;
    }
    int err = json_parse(message, &r->tree);
    err = err < 0 ? err : read_tree(r, out);
    return err == 0 && out->type == RT_AUDIO_DELTA && !is_base64(out->text) ? -EBADMSG : err;
}

void rt_item_text(const json_t *item, struct buf *out)
{
    size_t i = 0;
    const json_t *part = NULL;
    json_array_foreach(json_get_array(item, "content"), i, part)
    {
        struct str text = json_get_str(part, "transcript");
        if (text.len == 0) {
            text = json_get_str(part, "text");
        }
        if (text.len > 0 && out->len > 0) {
            (void)buf_add_char(out, ' ');
        }
        (void)buf_add_str(out, text);
    }
}
