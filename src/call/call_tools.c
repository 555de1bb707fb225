#include "call/call_priv.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* An opt-out is confirmed once it is committed; a database that is away may not keep the lead
 * waiting. */
#define OPT_OUT_WAIT_US (3 * US_PER_S)

/* --- answering -------------------------------------------------------------------------------- */

static void ready(struct tool_wait *w, enum tool_speech speech, const char *output)
{
    w->state = TOOL_READY;
    w->speech = speech;
    xfree(w->output);
    w->output = xstrdup(output);
}

static void ready_refused(struct tool_wait *w, enum tool_speech speech, const char *why)
{
    OWNED(buf_fini) struct buf text;
    buf_init(&text, LIMIT_TOOL_RESULT_BYTES);
    buf_add_cstr(&text, "{\"ok\":false,\"reason\":");
    buf_add_json_str(&text, str_of(why));
    buf_add_char(&text, '}');
    ready(w, speech, buf_cstr(&text));
}

/* Results go out when the response that asked is over: only then it is known whether it spoke. */
void call_tools_flush(struct call *c)
{
    if (c->response_active || !c->voice_ready) {
        return;
    }
    for (size_t i = 0; i < c->tool_count; i++) {
        struct tool_wait *w = &c->tools[i];
        if (w->state != TOOL_READY) {
            continue;
        }
        w->state = TOOL_ANSWERED;
        bool speak =
            w->speech == TOOL_SPEAK || (w->speech == TOOL_SPEAK_UNLESS_SPOKEN && !c->last_spoke);
        if (c->phase >= CALL_CLOSING) {
            speak = false;
        }
        if (c->phase == CALL_HANDOVER && w->id == TOOL_TRANSFER) {
            c->words_asked = false;
            c->words_open = speak;
        }
        (void)!c->host->env->voice->tool_result(c->session, w->call_id, str_of(w->output), speak);
    }
    if (c->phase == CALL_CLOSING && c->words_open) {
        /* end_call: the goodbye was in the same breath, or has to be ordered. */
        c->words_open = false;
        if (!c->last_spoke && c->end != CALL_END_VOICEMAIL) {
            const struct voice *voice = c->host->env->voice;
            int err = c->plan->farewell[0] != '\0'
                          ? voice->say_exactly(c->session, c->plan->farewell, CALL_FAREWELL_TAG)
                          : voice->respond(c->session, call_cue(CUE_GOODBYE), CALL_FAREWELL_TAG);
            c->words_asked = err == 0;
        }
    }
    call_last_words(c);
}

void call_tools_fini(struct call *c)
{
    for (size_t i = 0; i < c->tool_count; i++) {
        xfree(c->tools[i].output);
    }
}

/* --- asking ----------------------------------------------------------------------------------- */

static const struct tool_wait *asked_before(const struct call *c, const uint8_t key[32])
{
    for (size_t i = 0; i < c->tool_count; i++) {
        if (memcmp(c->tools[i].key, key, 32) == 0) {
            return &c->tools[i];
        }
    }
    return NULL;
}

static void ask_end(struct call *c, struct tool_wait *w, const struct tool_call *t)
{
    OWNED(json_free) json_t *patch = json_object();
    if (t->disposition != NULL) {
        json_set_str(patch, "disposition", str_of(t->disposition));
    }
    if (t->reason[0] != '\0') {
        json_set_str(patch, "disconnect_notes", str_of(t->reason));
    }
    if (json_object_size(patch) > 0) {
        call_note(c, GIVE(patch));
    }
    ready(w, TOOL_QUIET, "{\"ok\":true}");
    if (t->end == CALL_END_OPTED_OUT) {
        call_opt_out(c, "model", str_of(t->reason[0] != '\0' ? t->reason : "end_call"),
                     CALL_NO_TOOL);
        return;
    }
    c->end = c->opted_out ? CALL_END_OPTED_OUT : t->end;
    c->next = CALL_NEXT_HANGUP;
    c->words_open = true; /* decided when this response is over */
    (void)call_step(c, CALL_EV_FAREWELL);
}

static void ask_callback(struct call *c, uint32_t no, const struct tool_call *t)
{
    struct call_up *up = call_write(c, DESK_CALLBACK);
    up->tool_no = no;
    up->write.callback.due_us = t->due_us;
    up->write.callback.note = call_up_text(up, str_of(t->reason));
    call_up_send(c, up);
}

static void ask_transfer(struct call *c, uint32_t no, const struct tool_call *t)
{
    struct call_up *up = call_up_new(UP_TRANSFER, c->ref);
    up->tool_no = no;
    up->reason = call_up_text(up, str_of(t->reason));
    up->summary = call_up_text(up, str_of(t->summary));
    call_up_send(c, up);
}

static void ask_interest(struct call *c, struct tool_wait *w, const struct tool_call *t)
{
    struct call_up *up = call_write(c, DESK_NOTE);
    up->write.note.patch = call_up_text(up, str_of(t->patch));
    call_up_send(c, up);
    ready(w, TOOL_SPEAK_UNLESS_SPOKEN, "{\"ok\":true}");
}

static void ask(struct call *c, struct tool_wait *w, uint32_t no, const struct tool_call *t)
{
    log_info("call.tool", LOG_UUID("call", &c->plan->call_id), LOG_I64("tool", t->id));
    switch (t->id) {
    case TOOL_TRANSFER:
        ask_transfer(c, no, t);
        break;
    case TOOL_CALLBACK:
        ask_callback(c, no, t);
        break;
    case TOOL_DO_NOT_CALL:
        call_opt_out(c, "model", str_of(t->reason), no);
        break;
    case TOOL_END_CALL:
        ask_end(c, w, t);
        break;
    case TOOL_NOTE_INTEREST:
        ask_interest(c, w, t);
        break;
    case TOOL_COUNT:
        break;
    }
}

/* A wish not to be called again counts however it was told: behind too many tools, in a goodbye, with
 * arguments that are none. */
static bool never_again(const char *name, int err, const struct tool_call *t)
{
    enum tool_id id;
    bool told = tool_named(str_of(name), &id) && id == TOOL_DO_NOT_CALL;
    return told || (err == 0 && t->id == TOOL_END_CALL && t->end == CALL_END_OPTED_OUT);
}

static void too_many(struct call *c, const char *call_id, const char *name, bool opt_out)
{
    if (opt_out && !c->opted_out) {
        call_opt_out(c, "model", str_of(name), CALL_NO_TOOL);
    }
    struct str output =
        opt_out ? STR("{\"ok\":true}") : STR("{\"ok\":false,\"reason\":\"too many tool calls\"}");
    (void)!c->host->env->voice->tool_result(c->session, call_id, output, false);
}

void call_tool(struct call *c, const char *call_id, const char *name, struct str arguments)
{
    struct tool_clock clock = {.wall_us = call_wall_us(c),
                               .utc_offset_s = c->plan->utc_offset_s,
                               .offset_known = c->plan->offset_known};
    struct tool_call t;
    char why[TOOL_WHY_SIZE] = "";
    metric_add("tool_calls_total", name, 1);
    int err = tool_read(c->plan->tools, name, arguments, &clock, &t, why);
    bool opt_out = never_again(name, err, &t);
    if (c->tool_count == LIMIT_TOOL_CALLS) {
        too_many(c, call_id, name, opt_out);
        return;
    }
    const struct tool_wait *before = err == 0 ? asked_before(c, t.key) : NULL;
    struct tool_wait *w = &c->tools[c->tool_count++];
    str_copy_cut(str_of(call_id), w->call_id, sizeof w->call_id);
    if (err < 0 && opt_out) {
        ready(w, TOOL_QUIET, "{\"ok\":true}");
        call_opt_out(c, "model", str_of(name), CALL_NO_TOOL);
    } else if (err < 0) {
        ready_refused(w, TOOL_SPEAK, why);
    } else if (before != NULL) {
        w->id = t.id;
        ready(w, TOOL_SPEAK_UNLESS_SPOKEN,
              before->output != NULL ? before->output : "{\"ok\":true,\"note\":\"already asked\"}");
    } else if (c->phase != CALL_TALKING && !opt_out) {
        ready_refused(w, TOOL_QUIET, "the call is not in a talk");
    } else {
        w->id = t.id;
        memcpy(w->key, t.key, sizeof w->key);
        ask(c, w, (uint32_t)c->tool_count, &t);
    }
    call_tools_flush(c);
}

/* --- answers from the control side ------------------------------------------------------------ */

static void answer_callback(struct tool_wait *w, const struct call_down *m)
{
    if (!m->ok) {
        ready_refused(w, TOOL_SPEAK, m->text[0] != '\0' ? m->text : "that time is not possible");
        return;
    }
    char at[CLOCK_TEXT_SIZE];
    char text[160];
    clock_format(m->due_us, at);
    (void)snprintf(text, sizeof text, "{\"ok\":true,\"booked_for\":\"%s\",\"note\":\"%.60s\"}", at,
                   m->text[0] != '\0' ? "the earliest allowed time" : "");
    ready(w, TOOL_SPEAK, text);
}

static void answer_transfer(struct call *c, struct tool_wait *w, const struct call_down *m)
{
    if (!m->ok || c->phase != CALL_TALKING) {
        ready_refused(w, TOOL_SPEAK, m->text[0] != '\0' ? m->text : "no colleague is free now");
        return;
    }
    c->end = CALL_END_TRANSFERRED;
    c->words_asked = true; /* until the flush knows whether a line must still be spoken */
    ready(w, TOOL_SPEAK_UNLESS_SPOKEN,
          "{\"ok\":true,\"say\":\"one short sentence: you connect them to a colleague now\"}");
    (void)call_step(c, CALL_EV_TRANSFER);
}

void call_answer(struct call *c, const struct call_down *m)
{
    if (c->phase >= CALL_LEAVING) {
        return;
    }
    if (m->tool_no == CALL_OPT_OUT_NO) {
        call_opt_out_go_on(c);
        return;
    }
    if (m->tool_no == CALL_NO_TOOL || m->tool_no > c->tool_count) {
        return;
    }
    struct tool_wait *w = &c->tools[m->tool_no - 1];
    if (w->state != TOOL_ASKED) {
        return;
    }
    switch (w->id) {
    case TOOL_CALLBACK:
        answer_callback(w, m);
        break;
    case TOOL_TRANSFER:
        answer_transfer(c, w, m);
        break;
    case TOOL_DO_NOT_CALL:
        ready(w, TOOL_QUIET, "{\"ok\":true}");
        call_opt_out_go_on(c);
        break;
    case TOOL_END_CALL:
    case TOOL_NOTE_INTEREST:
    case TOOL_COUNT:
        break;
    }
    call_tools_flush(c);
}

/* --- opting out ------------------------------------------------------------------------------- */

void call_opt_out(struct call *c, const char *source, struct str words, uint32_t tool_no)
{
    char text[TOOL_TEXT_SIZE];
    text_tame(words, text, sizeof text);
    bool first = !c->opted_out;
    if (first) {
        metric_add("opt_outs_total", source, 1);
    }
    c->opted_out = true;
    log_info("call.opt_out", LOG_UUID("call", &c->plan->call_id), LOG_STR("source", source));
    struct call_up *up = call_write(c, DESK_OPT_OUT);
    up->tool_no = tool_no != CALL_NO_TOOL ? tool_no : CALL_OPT_OUT_NO;
    up->write.opt_out.source = source;
    up->write.opt_out.words = call_up_text(up, str_of(text));
    call_up_send(c, up);
    if (!first || c->phase >= CALL_LEAVING) {
        return;
    }
    c->opt_out_us = call_now_us(c);
    c->opt_out_until_us = c->opt_out_us + OPT_OUT_WAIT_US;
    if (c->phase == CALL_CLOSING) {
        c->end = CALL_END_OPTED_OUT; /* the goodbye is being said already */
        c->opt_out_until_us = 0;
        c->last_words_limit_us = i64_min(c->last_words_limit_us, c->opt_out_us + CALL_OPT_OUT_US);
        return;
    }
    /* Nothing else is said to this person but the confirmation. */
    if (tool_no == CALL_NO_TOOL && c->voice_ready) {
        bridge_interrupt(&c->bridge);
        c->host->env->voice->set_turns(c->session, false);
    }
}

/* The wish was heard elsewhere, and is on record. */
void call_opt_out_elsewhere(struct call *c)
{
    if (c->opt_out_us != 0 || c->phase == CALL_CLOSING) {
        return;
    }
    c->opt_out_us = call_now_us(c);
    call_farewell(c, CUE_OPTED_OUT, CALL_END_OPTED_OUT);
}

/* It is on record (or it will be: the write is repeated until it is): confirm, say goodbye. */
void call_opt_out_go_on(struct call *c)
{
    if (c->opt_out_until_us == 0) {
        return;
    }
    c->opt_out_until_us = 0;
    for (size_t i = 0; i < c->tool_count; i++) {
        if (c->tools[i].id == TOOL_DO_NOT_CALL && c->tools[i].state == TOOL_ASKED) {
            ready(&c->tools[i], TOOL_QUIET, "{\"ok\":true}");
        }
    }
    call_farewell(c, CUE_OPTED_OUT, CALL_END_OPTED_OUT);
}
