#include "call/call_priv.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/crypto.h"
#include "base/log.h"
#include "base/metrics.h"
#include "call/opt_out_words.h"

#include <errno.h>
#include <string.h>

#define VOICE_TRIES_MAX  3
#define VOICE_RETRY_MS   500
#define VOICE_CONNECT_MS 10000
#define DISCLOSURE_PERCENT                                                                         \
    90 /* of its words, in order: the rest is what transcription gets wrong */
#define OPENING_PERCENT 75
#define SAID_WAIT_MS    3000 /* for the transcript, after the words were heard */
#define FAILURES_MAX    2

static void on_ready(void *arg);
static void on_audio(const char *response_id, const char *item_id, struct str base64, void *arg);
static void on_audio_end(const char *response_id, const char *item_id, void *arg);
static void on_response_start(const char *response_id, const char *tag, void *arg);
static void on_response_end(const char *response_id, const char *tag, const char *status,
                            bool spoke, bool called, void *arg);
static void on_speech_start(const char *item_id, int64_t audio_ms, void *arg);
static void on_speech_stop(const char *item_id, int64_t audio_ms, void *arg);
static void on_turn(enum voice_speaker who, const char *item_id, const char *after_id, void *arg);
static void on_text(enum voice_speaker who, const char *item_id, struct str text, bool final,
                    void *arg);
static void on_tool(const char *call_id, const char *name, struct str arguments, void *arg);
static void on_usage(const char *key, const struct voice_usage *usage, void *arg);
static void on_trouble(const struct fault *fault, void *arg);
static void on_closed(const struct fault *fault, void *arg);

/* --- connection ------------------------------------------------------------------------------- */

static void on_retry(void *arg)
{
    call_voice_open(arg);
}

static void retry_later(struct call *c, const struct fault *fault)
{
    if (fault->class == FAULT_BROKEN || c->voice_tries >= VOICE_TRIES_MAX) {
        if (c->started_us != 0) {
            call_fail(c, fault->code, fault->text);
        }
        return; /* while it rings there is nobody to tell: JOIN_MAX_MS ends it if it is answered */
    }
    timer_start(&c->voice_retry, c->host->loop, VOICE_RETRY_MS << c->voice_tries, on_retry, c);
}

void call_voice_open(struct call *c)
{
    const struct call_env *env = c->host->env;
    size_t tool_count = tools_declare(c->plan->tools, c->tools_declared);
    struct voice_config config = {
        .url = env->realtime_url,
        .auth_header = env->auth_header,
        .api_key = env->api_key,
        .model = c->plan->model[0] != '\0' ? c->plan->model : env->model,
        .transcribe_model = env->transcribe_model,
        .voice = c->plan->voice,
        .language = c->plan->language,
        .instructions = c->plan->instructions,
        .lead_item = c->plan->lead_item,
        .tools = c->tools_declared,
        .tool_count = tool_count,
        .safety_id = c->plan->safety_id,
        .connect_timeout_ms = VOICE_CONNECT_MS,
        .pace = {.connect_tries = 1}, /* tried again from here: tries are not multiplied */
    };
    struct voice_handlers handlers = {
        .on_ready = on_ready,
        .on_audio = on_audio,
        .on_audio_end = on_audio_end,
        .on_response_start = on_response_start,
        .on_response_end = on_response_end,
        .on_speech_start = on_speech_start,
        .on_speech_stop = on_speech_stop,
        .on_turn = on_turn,
        .on_text = on_text,
        .on_tool = on_tool,
        .on_usage = on_usage,
        .on_trouble = on_trouble,
        .on_closed = on_closed,
        .arg = c,
    };
    c->voice_tries++;
    int err = env->voice->open(&c->session, c->host->loop, c->host->http, &config, &handlers);
    if (err < 0) {
        c->session = NULL;
        struct fault fault = fault_make(err == -EBUSY ? FAULT_BUSY : FAULT_BROKEN, 0, "open",
                                        "cannot open a session: %s", strerror(-err));
        retry_later(c, &fault);
    }
}

static void on_ready(void *arg)
{
    struct call *c = arg;
    c->voice_ready = true;
    /* Before the first byte of audio: the opening is not to be answered. */
    c->host->env->voice->set_turns(c->session, false);
    bridge_voice(&c->bridge, c->session);
    if (c->started_us != 0) {
        c->hear_from_ms = (call_now_us(c) - c->started_us) / US_PER_MS;
    }
    if (c->phase == CALL_JOINING) {
        call_opening_begin(c);
    } else if (c->phase == CALL_OPENING) {
        call_opening_check(c);
    }
}

void call_voice_gone(struct call *c)
{
    bridge_voice(&c->bridge, NULL);
    c->voice_ready = false;
    c->response_active = false;
    c->opening.noted = false; /* the next session has to be told of it too */
    c->host->env->voice->free(&c->session);
}

static void on_closed(const struct fault *fault, void *arg)
{
    struct call *c = arg;
    bool was_ready = c->voice_ready;
    call_voice_gone(c);
    if (c->phase >= CALL_LEAVING) {
        call_settle(c);
    } else if (c->phase <= CALL_JOINING || (c->phase == CALL_OPENING && c->opening.cached)) {
        if (!was_ready || fault->class != FAULT_NONE) {
            retry_later(c, fault);
        } else {
            retry_later(c, &(struct fault){.class = FAULT_UNSURE, .code = "closed"});
        }
    } else if (c->phase == CALL_CLOSING || c->phase == CALL_HANDOVER) {
        c->words_asked = false;
        c->words_open = false;
        call_last_words(c);
    } else {
        call_fail(c, fault->code[0] != '\0' ? fault->code : "closed", fault->text);
    }
}

static void on_trouble(const struct fault *fault, void *arg)
{
    struct call *c = arg;
    log_info("call.model_trouble", LOG_UUID("call", &c->plan->call_id),
             LOG_STR("code", fault->code), LOG_STR("text", fault->text));
}

/* --- the opening ------------------------------------------------------------------------------ */

static const char *model_of(const struct call *c)
{
    return c->plan->model[0] != '\0' ? c->plan->model : c->host->env->model;
}

static void on_prompt(uint8_t **audio, size_t size_bytes, void *arg)
{
    struct call *c = arg;
    c->opening.load = NULL;
    c->opening.loaded = true;
    c->opening.prompt = GIVE(*audio);
    c->opening.prompt_size = size_bytes;
    if (c->phase == CALL_JOINING) {
        call_opening_begin(c);
    }
}

void call_prompt_load(struct call *c)
{
    struct opening *o = &c->opening;
    prompt_key(c->plan->opening, c->plan->voice, model_of(c), o->key);
    if (!c->plan->opening_shared ||
        prompt_load(&o->load, c->host->loop, c->host->env->data_dir, o->key, on_prompt, c) < 0) {
        o->loaded = true;
    }
}

void call_opening_fini(struct call *c)
{
    prompt_cancel(&c->opening.load);
    xfree(c->opening.prompt);
    c->opening.prompt = NULL;
    buf_fini(&c->opening.said);
    buf_fini(&c->opening.audio);
}

/* From disk at once, or by the model when it is ready; else later (again at each tick). */
void call_opening_begin(struct call *c)
{
    struct opening *o = &c->opening;
    if (!o->loaded) {
        return;
    }
    if (o->prompt != NULL) {
        o->cached = true;
        str_copy_cut(STR(CALL_OPENING_ITEM), o->item_id, sizeof o->item_id);
        (void)call_step(c, CALL_EV_SPEAKING);
        transcript_turn(&c->transcript, VOICE_AI, o->item_id, "");
        transcript_text(&c->transcript, VOICE_AI, o->item_id, str_of(c->plan->opening), true);
        bridge_prompt(&c->bridge, o->item_id, o->prompt, o->prompt_size);
        xfree(GIVE(o->prompt));
        return;
    }
    if (c->voice_ready && call_step(c, CALL_EV_SPEAKING) &&
        c->host->env->voice->say_exactly(c->session, c->plan->opening, CALL_OPENING_TAG) < 0) {
        call_fail(c, "opening", "the opening could not be ordered");
    }
}

/* The model said something else than it was told: once more, the disclosure alone; all of it when
 * nothing was said at all. */
static void opening_retell(struct call *c)
{
    struct opening *o = &c->opening;
    metric_add("call_opening_mismatch_total", NULL, 1);
    if (o->retold) {
        call_fail(c, "disclosure", "the disclosure was not spoken as written");
        return;
    }
    o->retold = true;
    o->silent = o->item_id[0] == '\0';
    o->response_over = false;
    o->said_final = false;
    o->heard = false;
    o->item_id[0] = '\0';
    buf_clear(&o->said);
    buf_clear(&o->audio);
    if (!c->voice_ready ||
        c->host->env->voice->say_exactly(c->session, c->plan->disclosure, CALL_OPENING_TAG) < 0) {
        call_fail(c, "disclosure", "the disclosure could not be ordered");
    }
}

static bool opening_verified(const struct call *c)
{
    struct str said = buf_str(&c->opening.said);
    bool short_form = c->opening.retold && !c->opening.silent;
    const char *opening = short_form ? c->plan->disclosure : c->plan->opening;
    return words_found_percent(str_of(c->plan->disclosure), said) >= DISCLOSURE_PERCENT &&
           words_found_percent(str_of(opening), said) >= OPENING_PERCENT;
}

static void opening_keep(struct call *c)
{
    struct opening *o = &c->opening;
    if (c->plan->opening_shared && !buf_failed(&o->said) && !buf_failed(&o->audio) &&
        o->audio.len > 0 && words_same(str_of(c->plan->opening), buf_str(&o->said))) {
        prompt_save(c->host->loop, c->host->env->data_dir, o->key, buf_str(&o->audio));
    }
    buf_fini(&o->audio);
    buf_fini(&o->said);
}

/* Opened when it was heard to its end, it was the right words, and the model is there. */
void call_opening_check(struct call *c)
{
    struct opening *o = &c->opening;
    if (c->phase != CALL_OPENING) {
        return;
    }
    if (o->cached) {
        if (c->voice_ready && !o->noted) {
            o->noted = c->host->env->voice->note_spoken(c->session, c->plan->opening) == 0;
        }
        if (o->heard && o->noted) {
            (void)call_step(c, CALL_EV_OPENED);
        } else if (o->heard && call_wall_us(c) - o->heard_wall_us > SAID_WAIT_MS * US_PER_MS) {
            call_fail(c, "late", "the model was not there after the greeting");
        }
        return;
    }
    bool heard = o->heard || (o->response_over && o->item_id[0] == '\0');
    if (!o->response_over || !heard) {
        return;
    }
    if (!o->said_final && call_now_us(c) - o->over_us < SAID_WAIT_MS * US_PER_MS) {
        return;
    }
    if (!o->heard || !opening_verified(c)) {
        opening_retell(c);
        return;
    }
    opening_keep(c);
    (void)call_step(c, CALL_EV_OPENED);
}

static void opening_audio(struct call *c, const char *item_id, struct str base64)
{
    struct opening *o = &c->opening;
    if (o->item_id[0] == '\0') {
        str_copy_cut(str_of(item_id), o->item_id, sizeof o->item_id);
    }
    /* In slices, because a delta may be a whole turn. */
    while (c->plan->opening_shared && base64.len > 0 && !buf_failed(&o->audio)) {
        uint8_t ulaw[3072];
        ptrdiff_t n = base64_decode(str_head(base64, 4096), ulaw, sizeof ulaw);
        if (n < 0 || buf_add(&o->audio, ulaw, (size_t)n) < 0) {
            o->audio.failed = true;
        }
        base64 = str_skip(base64, 4096);
    }
}

/* --- audio and responses ---------------------------------------------------------------------- */

static void on_audio(const char *response_id, const char *item_id, struct str base64, void *arg)
{
    struct call *c = arg;
    (void)response_id;
    c->response_us = call_now_us(c);
    if (c->phase == CALL_OPENING && !c->opening.cached) {
        opening_audio(c, item_id, base64);
    }
    bridge_audio(&c->bridge, item_id, base64);
}

static void on_audio_end(const char *response_id, const char *item_id, void *arg)
{
    struct call *c = arg;
    (void)response_id;
    bridge_audio_end(&c->bridge, item_id);
}

static void on_response_start(const char *response_id, const char *tag, void *arg)
{
    struct call *c = arg;
    (void)response_id;
    (void)tag;
    c->response_active = true;
    c->response_us = call_now_us(c);
}

/* The model failed to answer: once more, then it is given up. */
static void response_failed(struct call *c)
{
    if (c->phase != CALL_TALKING) {
        return;
    }
    if (++c->failures >= FAILURES_MAX ||
        c->host->env->voice->respond(c->session, NULL, "again") < 0) {
        call_fail(c, "response_failed", "the model failed to answer");
    }
}

static void on_response_end(const char *response_id, const char *tag, const char *status,
                            bool spoke, bool called, void *arg)
{
    struct call *c = arg;
    (void)response_id;
    (void)called;
    int64_t now_us = call_now_us(c);
    c->response_active = false;
    c->last_spoke = spoke;
    c->quiet_us = now_us;
    bool failed = strcmp(status, "failed") == 0;
    if (strcmp(tag, CALL_OPENING_TAG) == 0) {
        c->opening.response_over = true;
        c->opening.over_us = now_us;
        call_opening_check(c);
    } else if (failed) {
        response_failed(c);
    } else {
        c->failures = 0;
    }
    if (strcmp(tag, CALL_FAREWELL_TAG) == 0) {
        c->words_asked = false;
    }
    if (c->phase == CALL_HANDOVER && !c->words_asked) {
        c->words_open = false; /* the hand-over line is over */
    }
    call_tools_flush(c);
    if (c->phase == CALL_CLOSING || c->phase == CALL_HANDOVER) {
        int64_t until_us =
            now_us + (bridge_left_ms(&c->bridge) + 2000) * US_PER_MS; /* its checkpoint too */
        c->last_words_until_us =
            i64_min(c->last_words_limit_us, i64_max(until_us, c->last_words_until_us));
        call_last_words(c);
    }
}

/* --- the lead --------------------------------------------------------------------------------- */

static void on_speech_start(const char *item_id, int64_t audio_ms, void *arg)
{
    struct call *c = arg;
    transcript_speech(&c->transcript, item_id, audio_ms + c->hear_from_ms, -1);
    call_lead_starts(c);
}

static void on_speech_stop(const char *item_id, int64_t audio_ms, void *arg)
{
    struct call *c = arg;
    transcript_speech(&c->transcript, item_id, -1, audio_ms + c->hear_from_ms);
    call_lead_stops(c);
}

static void on_turn(enum voice_speaker who, const char *item_id, const char *after_id, void *arg)
{
    struct call *c = arg;
    transcript_turn(&c->transcript, who, item_id, after_id);
}

static void on_text(enum voice_speaker who, const char *item_id, struct str text, bool final,
                    void *arg)
{
    struct call *c = arg;
    transcript_text(&c->transcript, who, item_id, text, final);
    if (who == VOICE_LEAD && final && c->phase != CALL_OVER && words_opt_out(text)) {
        call_opt_out(c, "phrase", text, CALL_NO_TOOL);
    }
    struct opening *o = &c->opening;
    if (who == VOICE_AI && final && c->phase == CALL_OPENING && !o->cached &&
        (o->item_id[0] == '\0' || strcmp(item_id, o->item_id) == 0)) {
        buf_clear(&o->said);
        (void)buf_add_str(&o->said, text);
        o->said_final = true;
        call_opening_check(c);
    }
    call_settle(c);
}

static void on_tool(const char *call_id, const char *name, struct str arguments, void *arg)
{
    call_tool(arg, call_id, name, arguments);
}

/* --- money ------------------------------------------------------------------------------------ */

static void on_usage(const char *key, const struct voice_usage *usage, void *arg)
{
    struct call *c = arg;
    OWNED(buf_fini) struct buf tokens;
    OWNED(buf_fini) struct buf name;
    buf_init(&tokens, 1024);
    buf_init(&name, 256);
    bool transcribed = usage->transcribe_ms > 0 || key == NULL || key[0] == '\0';
    buf_addf(&tokens,
             "{\"text_in\":%lld,\"text_in_cached\":%lld,\"audio_in\":%lld,\"audio_in_cached\":%lld,"
             "\"text_out\":%lld,\"audio_out\":%lld,\"estimated\":%s,\"model\":",
             (long long)usage->text_in, (long long)usage->text_in_cached,
             (long long)usage->audio_in, (long long)usage->audio_in_cached,
             (long long)usage->text_out, (long long)usage->audio_out,
             usage->estimated ? "true" : "false");
    buf_add_json_str(&tokens, str_of(transcribed ? c->host->env->transcribe_model : model_of(c)));
    buf_add_char(&tokens, '}');
    if (key != NULL && key[0] != '\0') {
        buf_addf(&name, "%.180s", key);
    } else {
        buf_addf(&name, "transcription-%u", ++c->usage_count);
    }
    struct call_up *up = call_write(c, DESK_USAGE);
    up->write.usage.source = transcribed ? "transcribe" : "realtime";
    up->write.usage.item_key = call_up_text(up, buf_str(&name));
    up->write.usage.seconds = (int32_t)((usage->transcribe_ms + 999) / 1000);
    up->write.usage.tokens = call_up_text(up, buf_str(&tokens));
    up->write.usage.cost_micros = usage->cost_micros_usd;
    call_up_send(c, up);
}
