/* exec.c -- runs an answer document, verb by verb.
 *
 *   exec_start -> on_document -> run: verb ... verb -> end of document: the call ends (4010)
 *                     ^-------- Redirect, an action's answer
 */
#include "base/alloc.h"
#include "call.h"
#include "dial.h"
#include "recorder.h"
#include "stream.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define URL_MAX_BYTES 2049

static void on_answer_document(struct call *call, int status, struct str body);
static void on_fallback_document(struct call *call, int status, struct str body);
static void on_redirect_document(struct call *call, int status, struct str body);
static void on_action_document(struct call *call, int status, struct str body);

static hook_done_fn *done_for(enum hook_kind kind)
{
    if (kind == HOOK_ANSWER) {
        return on_answer_document;
    }
    if (kind == HOOK_FALLBACK) {
        return on_fallback_document;
    }
    return kind == HOOK_REDIRECT ? on_redirect_document : on_action_document;
}

void exec_start(struct call *call, enum hook_kind kind, const char *url, const char *method)
{
    struct form f;

    form_init(&f);
    call_standard_fields(call, &f, kind == HOOK_REDIRECT ? "Redirect" : "StartApp", "in-progress");
    hook_post(call, kind, url, method, &f, done_for(kind));
}

static void fail(struct call *call, enum hook_kind kind, bool reached)
{
    if (reached) {
        call->carrier->counts.bad_documents++;
    }
    if (kind == HOOK_ANSWER && !call->fallback_tried && call->fallback_url[0] != '\0') {
        call->fallback_tried = true;
        exec_start(call, HOOK_FALLBACK, call->fallback_url, call->fallback_method);
        return;
    }
    if (kind == HOOK_REDIRECT) {
        call_end(call, reached ? CAUSE_REDIRECT_XML : CAUSE_REDIRECT_URL, "Error");
    } else if (kind == HOOK_ACTION) {
        call_end(call, reached ? CAUSE_ACTION_XML : CAUSE_ACTION_URL, "Error");
    } else {
        call_end(call, reached ? CAUSE_ANSWER_XML : CAUSE_ANSWER_URL, "Error");
    }
}

static void on_document(struct call *call, int status, struct str body, enum hook_kind kind)
{
    char error[160] = "";
    struct answer *doc = NULL;

    if (call->state == CALL_OVER) {
        return;
    }
    if (status < 200 || status >= 300) {
        fail(call, kind, false);
        return;
    }
    if (xml_parse(&doc, body, error, sizeof error) < 0) {
        (void)fprintf(stderr, "dialwright-sim: call %s: bad document: %s\n", call->uuid, error);
        fail(call, kind, true);
        return;
    }
    call->carrier->counts.unknown_attributes += doc->unknown_attributes;
    xml_free(&call->doc);
    call->doc = doc;
    call->at = 0;
    call->doc_kind = kind;
    exec_next(call);
}

static void on_answer_document(struct call *call, int status, struct str body)
{
    on_document(call, status, body, HOOK_ANSWER);
}

static void on_fallback_document(struct call *call, int status, struct str body)
{
    on_document(call, status, body, HOOK_FALLBACK);
}

static void on_redirect_document(struct call *call, int status, struct str body)
{
    on_document(call, status, body, HOOK_REDIRECT);
}

static void on_action_document(struct call *call, int status, struct str body)
{
    on_document(call, status, body, HOOK_ACTION);
}

static void on_pause_over(void *arg)
{
    exec_next(arg);
}

static void pause_for(struct call *call, int64_t ms)
{
    timer_start(&call->pause, call->carrier->conf.loop, i64_max(ms, 20), on_pause_over, call);
}

static void on_scheduled_hangup(void *arg)
{
    call_end(arg, CAUSE_TIME_LIMIT, "Answer XML");
}

/* True: the next verb may run at once. */
static bool run_hangup(struct call *call, const struct verb *v)
{
    char reason[16];
    int64_t schedule_s = verb_attr_i64(v, "schedule", 0);

    if (schedule_s > 0) {
        timer_start(&call->limit, call->carrier->conf.loop, schedule_s * 1000, on_scheduled_hangup,
                    call);
        return true;
    }
    const char *why = verb_attr(v, "reason", "", reason, sizeof reason);
    enum cause cause = strcmp(why, "rejected") == 0 ? CAUSE_REJECTED : CAUSE_NORMAL;
    call_end(call, strcmp(why, "busy") == 0 ? CAUSE_BUSY : cause, "Answer XML");
    return false;
}

static bool run_redirect(struct call *call, const struct verb *v)
{
    char method[8];

    if (v->text[0] == '\0') {
        call_end(call, CAUSE_REDIRECT_URL, "Error");
        return false;
    }
    exec_start(call, HOOK_REDIRECT, v->text, verb_attr(v, "method", "POST", method, sizeof method));
    return false;
}

static bool run_record(struct call *call, const struct verb *v)
{
    recorder_start(call, v);
    if (verb_attr_bool(v, "recordSession", false)) {
        return true;
    }
    pause_for(call, verb_attr_i64(v, "timeout", 15) * 1000);
    return false;
}

/* True: the next verb may run at once; false: something will call exec_next(), or the call ended. */
static bool run(struct call *call, const struct verb *v)
{
    switch (v->kind) {
    case VERB_SPEAK:
        call->playing =
            speech_say(book_speech(call->carrier->conf.book), VOICE_AI, str_of(v->text));
        call->played_bytes = 0;
        return false;
    case VERB_PLAY: /* nothing is fetched: a second of quiet stands for the file */
        pause_for(call, 1000);
        return false;
    case VERB_WAIT:
        pause_for(call, verb_attr_i64(v, "length", 1) * 1000);
        return false;
    case VERB_HANGUP:
        return run_hangup(call, v);
    case VERB_REDIRECT:
        return run_redirect(call, v);
    case VERB_DTMF:
        return true;
    case VERB_RECORD:
        return run_record(call, v);
    case VERB_DIAL:
        dial_start(call, v);
        return false;
    case VERB_STREAM:
        return !stream_start(call, v);
    case VERB_GET_DIGITS:
    case VERB_GET_INPUT:
    case VERB_PRE_ANSWER:
    case VERB_CONFERENCE:
    case VERB_MULTI_PARTY_CALL:
    case VERB_MESSAGE:
    case VERB_NUMBER:
    case VERB_USER:
    case VERB_COUNT:
        break;
    }
    (void)fprintf(stderr, "dialwright-sim: call %s: <%s> is not simulated\n", call->uuid,
                  verb_name(v->kind));
    fail(call, call->doc_kind, true);
    return false;
}

void exec_next(struct call *call)
{
    bool on = true;

    while (on && call->state == CALL_TALKING) {
        if (call->doc == NULL || call->at >= call->doc->count) {
            call_end(call, CAUSE_END_OF_XML, "Plivo");
            return;
        }
        on = run(call, &call->doc->verbs[call->at++]);
    }
}

void exec_dial_over(struct call *call, const char *action, const char *method, bool redirect,
                    struct form *fields)
{
    if (call->state == CALL_OVER) {
        form_fini(fields);
        return;
    }
    if (action[0] == '\0' || !redirect) {
        hook_post(call, HOOK_DIAL, action, method, fields, NULL);
        exec_next(call);
        return;
    }
    hook_post(call, HOOK_ACTION, action, method, fields, on_action_document);
}

void exec_stop(struct call *call)
{
    call->playing = NULL;
    stream_free(&call->stream);
    dial_free(&call->dial);
    recorder_end(&call->recorder);
    xml_free(&call->doc);
}
