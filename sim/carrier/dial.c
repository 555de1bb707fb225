#include "dial.h"

#include "base/alloc.h"
#include "people/dice.h"
#include "recorder.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define URL_MAX_BYTES 2049
#define KEY_DELAY_MS  500
#define MUSIC_HZ      440.0
#define MUSIC_PERIOD  100 /* ticks: 0.4 s of tone every 2 s */
#define MUSIC_ON      20

enum dial_state { DIAL_RINGING, DIAL_BRIEFING, DIAL_WAITING_KEY, DIAL_BRIDGED, DIAL_OVER };

struct dial {
    struct call *call;
    char uuid[UUID_TEXT_SIZE];
    char from[NUMBER_SIZE];
    char to[NUMBER_SIZE];
    char action[URL_MAX_BYTES];
    char method[8];
    char callback[URL_MAX_BYTES];
    char callback_method[8];
    char confirm_sound[URL_MAX_BYTES];
    char confirm_key[8];
    int64_t confirm_timeout_s;
    int64_t timeout_s;
    bool redirect;
    bool rang;
    enum dial_state state;
    enum agent_does does;
    struct person agent;
    const struct speech *whisper;
    size_t whispered;
    uint8_t agent_said[G711_FRAME_BYTES];
    struct timer timer;
    int64_t answer_us;
    int64_t ticks;
    enum cause cause;
};

static void on_rings(void *arg);
static void on_answers(void *arg);
static void on_gives_up(void *arg);
static void on_key(void *arg);

static void copy_attr(const struct verb *v, const char *name, const char *def, char *out,
                      size_t out_size)
{
    char text[URL_MAX_BYTES];

    (void)snprintf(out, out_size, "%s", verb_attr(v, name, def, text, sizeof text));
}

static void truth(const struct dial *d, const char *event, const char *cause)
{
    struct truth_line line = {.event = event,
                              .call_uuid = d->uuid,
                              .request_uuid = d->call->request_uuid,
                              .leg = "agent",
                              .from = d->from,
                              .to = d->to,
                              .cause = cause,
                              .more = json_pack("{s:s}", "lead_call_uuid", d->call->uuid)};

    truth_write(d->call->carrier->conf.truth, loop_wall_us(d->call->carrier->conf.loop), &line);
}

static void leg_fields(const struct dial *d, struct form *f)
{
    form_add(f, "DialALegUUID", d->call->uuid);
    form_add(f, "DialBLegUUID", d->uuid);
    form_add(f, "DialBLegFrom", d->from + 1);
    form_add(f, "DialBLegTo", d->to + 1);
}

static void notice(const struct dial *d, const char *event, const char *action)
{
    int64_t now_us = loop_now_us(d->call->carrier->conf.loop);
    int64_t talk_s = d->answer_us == 0 ? 0 : (now_us - d->answer_us + 999999) / 1000000;
    struct form f;

    form_init(&f);
    call_standard_fields(d->call, &f, event, "in-progress");
    leg_fields(d, &f);
    form_add(&f, "DialAction", action);
    form_add(&f, "DialBLegStatus", action);
    if (strcmp(action, "hangup") == 0) {
        form_addf(&f, "DialBLegDuration", "%lld", (long long)talk_s);
        form_addf(&f, "DialBLegBillDuration", "%lld", (long long)((talk_s + 59) / 60 * 60));
        form_add(&f, "DialBLegHangupCause", cause_info(d->cause)->raw);
        form_add(&f, "DialBLegHangupCauseName", cause_info(d->cause)->name);
        form_addf(&f, "DialBLegHangupCauseCode", "%d", cause_info(d->cause)->code);
        form_add(&f, "DialBLegHangupSource", "Callee");
    }
    hook_post(d->call, HOOK_DIAL, d->callback, d->callback_method, &f, NULL);
}

static void end_leg(struct dial *d, enum cause cause)
{
    if (d->state == DIAL_OVER) {
        return;
    }
    d->cause = cause;
    d->state = DIAL_OVER;
    timer_stop(&d->timer);
    truth(d, "hangup", cause_info(cause)->raw);
    notice(d, "DialHangup", "hangup");
}

void dial_free(struct dial **d)
{
    if (*d == NULL) {
        return;
    }
    end_leg(*d, CAUSE_NORMAL);
    timer_stop(&(*d)->timer);
    xfree(*d);
    *d = NULL;
}

static const char *dial_status(const struct dial *d, bool bridged)
{
    if (bridged) {
        return "completed";
    }
    return d->cause == CAUSE_CONFIRM_FAILED ? "no-answer" : cause_info(d->cause)->status;
}

/* The second leg ended first: the action URL decides what comes next. */
static void finish(struct dial *d, enum cause cause)
{
    struct call *call = d->call;
    bool bridged = d->state == DIAL_BRIDGED;
    struct form f;

    end_leg(d, cause);
    form_init(&f);
    call_standard_fields(call, &f, "Dial", "in-progress");
    leg_fields(d, &f);
    form_add(&f, "DialStatus", dial_status(d, bridged));
    form_add(&f, "DialRingStatus", d->rang ? "true" : "false");
    form_add(&f, "DialHangupCause", cause_info(cause)->raw);
    char action[URL_MAX_BYTES];
    char method[8];
    (void)snprintf(action, sizeof action, "%s", d->action);
    (void)snprintf(method, sizeof method, "%s", d->method);
    bool redirect = d->redirect;
    dial_free(&call->dial);
    person_set_mode(&call->person, PERSON_SCRIPT);
    exec_dial_over(call, action, method, redirect, &f);
}

void dial_start(struct call *call, const struct verb *verb)
{
    struct carrier *c = call->carrier;
    struct dial *d = xzalloc(sizeof *d);
    const char *number = verb->child_count > 0 ? verb->children[0].text : "";

    call->dial = d;
    d->call = call;
    struct uuid id = uuid_make(loop_wall_us(c->conf.loop));
    uuid_text(&id, d->uuid);
    (void)snprintf(d->to, sizeof d->to, "+%.20s", number[0] == '+' ? number + 1 : number);
    copy_attr(verb, "callerId", call->from, d->from, sizeof d->from);
    if (d->from[0] != '+') {
        (void)snprintf(d->from, sizeof d->from, "%s", call->from);
    }
    copy_attr(verb, "action", "", d->action, sizeof d->action);
    copy_attr(verb, "method", "POST", d->method, sizeof d->method);
    copy_attr(verb, "callbackUrl", "", d->callback, sizeof d->callback);
    copy_attr(verb, "callbackMethod", "POST", d->callback_method, sizeof d->callback_method);
    copy_attr(verb, "confirmSound", "", d->confirm_sound, sizeof d->confirm_sound);
    copy_attr(verb, "confirmKey", "", d->confirm_key, sizeof d->confirm_key);
    d->confirm_timeout_s = verb_attr_i64(verb, "confirmTimeout", 10);
    d->timeout_s = verb_attr_i64(verb, "timeout", 30);
    d->redirect = verb_attr_bool(verb, "redirect", true);
    uintptr_t dials = (uintptr_t)map_get(&c->dials, str_of(d->to));
    (void)map_put(&c->dials, str_of(d->to), (void *)(dials + 1));
    d->does = book_agent(c->conf.book, c->conf.seed, str_of(d->to), dials);
    person_set_mode(&call->person, PERSON_HELD);
    truth(d, "accepted", NULL);
    timer_start(&d->timer, c->conf.loop, c->conf.limits->ring_delay_ms, on_rings, d);
}

static void on_rings(void *arg)
{
    struct dial *d = arg;
    struct carrier *c = d->call->carrier;
    const struct sim_limits *l = c->conf.limits;
    int64_t rings_ms = dice_between(c->conf.seed, "agent ring", str_of(d->call->to), d->call->nth,
                                    l->ring_ms_min, l->ring_ms_max);
    int64_t timeout_ms = i64_min(d->timeout_s * 1000, l->no_answer_ms);

    d->rang = true;
    truth(d, "rang", NULL);
    if (d->does == AGENT_NO_ANSWER || rings_ms >= timeout_ms) {
        timer_start(&d->timer, c->conf.loop, timeout_ms, on_gives_up, d);
        return;
    }
    timer_start(&d->timer, c->conf.loop, rings_ms, on_answers, d);
}

static void on_gives_up(void *arg)
{
    finish(arg, CAUSE_NO_ANSWER);
}

static void bridge(struct dial *d)
{
    d->state = DIAL_BRIDGED;
    d->call->carrier->counts.bridged++;
    person_set_mode(&d->agent, PERSON_BRIDGED);
    person_set_mode(&d->call->person, PERSON_BRIDGED);
    recorder_dial_answered(d->call->recorder);
    notice(d, "DialConnected", "connected");
}

static void on_briefing(struct call *call, int status, struct str body)
{
    struct dial *d = call->dial;
    char error[160];
    OWNED(xml_free) struct answer *doc = NULL;

    if (d == NULL || d->state != DIAL_BRIEFING) {
        return;
    }
    if (status < 200 || status >= 300 || xml_parse(&doc, body, error, sizeof error) < 0) {
        call->carrier->counts.bad_documents++;
        finish(d, CAUSE_CONFIRM_FAILED);
        return;
    }
    struct buf text;
    buf_init(&text, SPEECH_TEXT_MAX);
    for (size_t i = 0; i < doc->count; i++) {
        if (doc->verbs[i].kind == VERB_SPEAK) {
            (void)buf_addf(&text, "%s%s", text.len > 0 ? " " : "", doc->verbs[i].text);
        }
    }
    d->whisper = speech_say(book_speech(call->carrier->conf.book), VOICE_AI, buf_str(&text));
    d->whispered = 0;
    buf_fini(&text);
}

static void on_answers(void *arg)
{
    struct dial *d = arg;
    struct carrier *c = d->call->carrier;
    struct form f;

    d->answer_us = loop_now_us(c->conf.loop);
    person_init_agent(&d->agent, c->conf.book);
    truth(d, "answered", NULL);
    notice(d, "DialAnswer", "answer");
    if (d->confirm_sound[0] == '\0') {
        if (d->does == AGENT_DECLINE) {
            finish(d, CAUSE_NORMAL);
            return;
        }
        bridge(d);
        return;
    }
    d->state = DIAL_BRIEFING;
    form_init(&f);
    call_standard_fields(d->call, &f, "DialConfirm", "in-progress");
    leg_fields(d, &f);
    hook_post(d->call, HOOK_CONFIRM, d->confirm_sound, "POST", &f, on_briefing);
}

/* The agent has heard the briefing and decides. */
static void on_key(void *arg)
{
    struct dial *d = arg;
    bool heard = hearing_last(&d->agent.ear) != NULL && heard_most(hearing_last(&d->agent.ear));

    if (d->does == AGENT_ACCEPT && heard) {
        bridge(d);
        return;
    }
    finish(d, CAUSE_CONFIRM_FAILED); /* another key, or nothing was to be heard */
}

bool dial_bridged(const struct dial *d)
{
    return d != NULL && d->state == DIAL_BRIDGED;
}

static void music(struct dial *d, uint8_t out[G711_FRAME_BYTES])
{
    memset(out, (int)G711_SILENCE, G711_FRAME_BYTES);
    if (d->ticks % MUSIC_PERIOD < MUSIC_ON) {
        for (int i = 0; i < G711_FRAME_BYTES; i++) {
            out[i] = g711_encode((int16_t)(2500.0 * sin(2.0 * M_PI * MUSIC_HZ * i / 8000.0)));
        }
    }
}

static void whisper(struct dial *d, uint8_t out[G711_FRAME_BYTES])
{
    memset(out, (int)G711_SILENCE, G711_FRAME_BYTES);
    if (d->whisper == NULL) {
        return;
    }
    if (d->whispered < d->whisper->len) {
        memcpy(out, d->whisper->ulaw + d->whispered, G711_FRAME_BYTES);
        d->whispered += G711_FRAME_BYTES;
    } else if (d->state == DIAL_BRIEFING) {
        d->state = DIAL_WAITING_KEY;
        timer_start(&d->timer, d->call->carrier->conf.loop, KEY_DELAY_MS, on_key, d);
    }
}

void dial_tick(struct dial *d, const uint8_t lead_said[G711_FRAME_BYTES],
               uint8_t lead_hears[G711_FRAME_BYTES])
{
    uint8_t agent_hears[G711_FRAME_BYTES];

    d->ticks++;
    if (d->state == DIAL_BRIDGED) {
        memcpy(lead_hears, d->agent_said, G711_FRAME_BYTES);
        if (person_tick(&d->agent, lead_said, d->agent_said) == PERSON_HANGS_UP) {
            finish(d, CAUSE_NORMAL);
        }
        return;
    }
    music(d, lead_hears);
    if (d->state == DIAL_BRIEFING || d->state == DIAL_WAITING_KEY) {
        whisper(d, agent_hears);
        (void)person_tick(&d->agent, agent_hears, d->agent_said);
    }
}
