#include "call.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "dial.h"
#include "people/dice.h"
#include "recorder.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static char *copy_of(const json_t *request, const char *key, const char *def)
{
    struct str s = json_get_str(request, key);

    return s.p == NULL ? xstrdup(def) : str_dup(s);
}

/* Digits with or without a plus; the carrier takes both. */
static int read_number(const json_t *request, const char *key, char out[NUMBER_SIZE])
{
    struct str s = str_trim(json_get_str(request, key));

    if (str_starts(s, STR("+"))) {
        s = str_skip(s, 1);
    }
    if (s.len < 7 || s.len > 15) {
        return -EINVAL;
    }
    for (size_t i = 0; i < s.len; i++) {
        if (s.p[i] < '0' || s.p[i] > '9') {
            return -EINVAL;
        }
    }
    (void)snprintf(out, NUMBER_SIZE, "+" STR_FMT, STR_ARG(s));
    return 0;
}

static const char *missing_in(const json_t *request)
{
    static const char *const needed[] = {"from", "to", "answer_url"};

    for (size_t i = 0; i < COUNT_OF(needed); i++) {
        if (json_get_str(request, needed[i]).len == 0) {
            return needed[i];
        }
    }
    return NULL;
}

static void read_urls(struct call *call, const json_t *request)
{
    call->answer_url = copy_of(request, "answer_url", "");
    call->answer_method = copy_of(request, "answer_method", "POST");
    call->ring_url = copy_of(request, "ring_url", "");
    call->ring_method = copy_of(request, "ring_method", "POST");
    /* Left out, it is the answer URL: the trap that the carrier's old pages describe. */
    call->hangup_url = copy_of(request, "hangup_url", call->answer_url);
    call->hangup_method = copy_of(request, "hangup_method", "POST");
    call->fallback_url = copy_of(request, "fallback_url", "");
    call->fallback_method = copy_of(request, "fallback_method", "POST");
    call->machine_url = copy_of(request, "machine_detection_url", "");
    call->machine_method = copy_of(request, "machine_detection_method", "POST");
    struct str machine = json_get_str(request, "machine_detection");
    if (machine.len == 0) {
        call->machine_url[0] = '\0';
    }
    call->machine_hangup = str_eq_cstr(machine, "hangup");
    call->ring_timeout_s = json_get_i64(request, "ring_timeout", 120);
    call->time_limit_s = json_get_i64(request, "time_limit", 14400);
}

static void make_ids(struct call *call)
{
    struct loop *loop = call->carrier->conf.loop;
    struct uuid u = uuid_make(loop_wall_us(loop));

    uuid_text(&u, call->request_uuid);
    /* The two ids are equal in most captured traffic, but nobody promises it: here, every third
     * call has two different ones. */
    if (dice_roll(call->carrier->conf.seed, "two ids", str_of(call->to), call->nth) % 3 == 0) {
        u = uuid_make(loop_wall_us(loop));
    }
    uuid_text(&u, call->uuid);
}

int call_create(struct carrier *c, const json_t *request, struct call **out, const char **why)
{
    const char *missing = missing_in(request);

    if (missing != NULL) {
        *why = missing;
        return -EINVAL;
    }
    struct call *call = xzalloc(sizeof *call);
    call->carrier = c;
    call->hangup_source = "";
    if (read_number(request, "from", call->from) < 0 || read_number(request, "to", call->to) < 0) {
        *why = call->from[0] == '\0' ? "from" : "to";
        xfree(call);
        return -ERANGE;
    }
    read_urls(call, request);
    struct str key = str_of(call->to);
    uintptr_t dials = (uintptr_t)map_get(&c->dials, key);
    (void)map_put(&c->dials, key,
                  (void *)(dials + 1)); /* a number, kept where a pointer would be */
    call->nth = dials;
    call->persona = book_persona(c->conf.book, c->conf.seed, key, call->nth);
    make_ids(call);
    call->queued_wall_us = loop_wall_us(c->conf.loop);
    (void)map_put(&c->by_uuid, str_of(call->uuid), call);
    (void)map_put(&c->by_request, str_of(call->request_uuid), call);
    list_push_back(&c->queue, &call->link);
    c->queue_len++;
    *out = call;
    return 0;
}

void call_free(struct call *call)
{
    list_remove(&call->link);
    timer_stop(&call->life);
    timer_stop(&call->limit);
    timer_stop(&call->machine);
    timer_stop(&call->pause);
    exec_stop(call);
    char *texts[] = {call->answer_url,    call->answer_method,   call->ring_url,
                     call->ring_method,   call->hangup_url,      call->hangup_method,
                     call->fallback_url,  call->fallback_method, call->machine_url,
                     call->machine_method};
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        xfree(texts[i]);
    }
    xfree(call);
}

struct call *call_find(const struct carrier *c, struct str uuid)
{
    struct call *call = map_get(&c->by_uuid, uuid);

    return call != NULL ? call : map_get(&c->by_request, uuid);
}

/* "2024-10-14 13:42:33" in UTC plus an offset, from the RFC 3339 text. */
static void plain_time(int64_t wall_us, int64_t offset_min, bool micros, char *out, size_t out_size)
{
    char text[CLOCK_TEXT_SIZE];

    clock_format(wall_us + offset_min * 60 * US_PER_S, text);
    text[10] = ' ';
    text[micros ? 26 : 19] = '\0';
    (void)snprintf(out, out_size, "%s", text);
}

void call_console_time(const struct call *call, int64_t wall_us, char *out, size_t out_size)
{
    if (wall_us == 0) {
        out[0] = '\0';
        return;
    }
    plain_time(wall_us, call->carrier->conf.limits->console_offset_min, false, out, out_size);
}

/* Numbers come with a plus in some callbacks and without in others. */
static const char *as_sent(const struct call *call, const char *number)
{
    return number + (call->nth + (uint64_t)call->to[strlen(call->to) - 1]) % 2;
}

void call_standard_fields(const struct call *call, struct form *f, const char *event,
                          const char *status)
{
    char session[CLOCK_TEXT_SIZE];

    plain_time(call->start_wall_us, 0, true, session, sizeof session);
    form_add(f, "CallUUID", call->uuid);
    form_add(f, "RequestUUID", call->request_uuid);
    form_add(f, "From", as_sent(call, call->from));
    form_add(f, "To", as_sent(call, call->to));
    form_add(f, "Direction", "outbound");
    form_add(f, "CallStatus", status);
    form_add(f, "Event", event);
    form_add(f, "CallerName", as_sent(call, call->from));
    form_add(f, "ParentAuthID", call->carrier->conf.auth_id);
    form_add(f, "SessionStart", session);
    if (call->answer_wall_us != 0) {
        form_add(f, "ALegUUID", call->uuid);
        form_add(f, "ALegRequestUUID", call->request_uuid);
        form_add(f, "BillRate", "0.00300");
        form_add(f, "STIRVerification", "Not Applicable");
        form_add(f, "STIRAttestation", "Not Applicable");
    }
}

int64_t call_talk_s(const struct call *call)
{
    if (call->answer_wall_us == 0) {
        return 0;
    }
    return (call->end_wall_us - call->answer_wall_us + US_PER_S - 1) / US_PER_S;
}

void call_truth(const struct call *call, const char *event, const char *cause, json_t *more)
{
    struct truth_line line = {.event = event,
                              .call_uuid = call->uuid,
                              .request_uuid = call->request_uuid,
                              .leg = "lead",
                              .from = call->from,
                              .to = call->to,
                              .cause = cause,
                              .more = more};

    truth_write(call->carrier->conf.truth, loop_wall_us(call->carrier->conf.loop), &line);
}

void call_truth_hook(const struct call *call, const char *kind, const char *how, int status)
{
    call_truth(call, "webhook", NULL,
               json_pack("{s:s, s:s, s:i}", "kind", kind, "how", how, "status", status));
}

void call_count_hook(struct call *call, bool forged, int status)
{
    struct carrier_counts *n = &call->carrier->counts;
    bool taken = status >= 200 && status < 300;

    n->hooks++;
    n->forged_sent += forged ? 1 : 0;
    n->forged_accepted += forged && taken ? 1 : 0;
    n->hooks_failed += !forged && !taken ? 1 : 0;
}

static void hangup_fields(const struct call *call, struct form *f, const char *status)
{
    const struct cause_info *info = cause_info(call->cause);
    int64_t talk_s = call_talk_s(call);
    char when[CLOCK_TEXT_SIZE];

    call_standard_fields(call, f, "Hangup", status);
    call_console_time(call, call->start_wall_us, when, sizeof when);
    form_add(f, "StartTime", when);
    call_console_time(call, call->answer_wall_us, when, sizeof when);
    form_add(f, "AnswerTime", when);
    call_console_time(call, call->end_wall_us, when, sizeof when);
    form_add(f, "EndTime", when);
    form_addf(f, "Duration", "%lld", (long long)talk_s);
    form_addf(f, "BillDuration", "%lld", (long long)((talk_s + 59) / 60 * 60));
    form_addf(f, "TotalCost", "%.5f", 0.003 * (double)((talk_s + 59) / 60));
    form_add(f, "HangupCause", info->raw);
    form_addf(f, "HangupCauseCode", "%d", info->code);
    form_add(f, "HangupCauseName", info->name);
    form_add(f, "HangupSource", call->hangup_source);
    if (call->cause == CAUSE_MACHINE) {
        form_add(f, "Machine", "true");
    }
}

void call_end(struct call *call, enum cause cause, const char *source)
{
    struct carrier *c = call->carrier;
    bool answered = call->state == CALL_TALKING;
    const char *status = answered ? "completed" : cause_info(cause)->status;
    struct form f;

    if (call->state == CALL_OVER) {
        return;
    }
    bool queued = call->state == CALL_QUEUED;
    c->queue_len -= queued ? 1 : 0;
    c->live_len -= queued ? 0 : 1;
    call->start_wall_us = queued ? loop_wall_us(c->conf.loop) : call->start_wall_us;
    call->state = CALL_OVER;
    call->cause = cause;
    call->hangup_source = source;
    call->end_wall_us = loop_wall_us(c->conf.loop);
    list_remove(&call->link);
    list_push_back(&c->over, &call->link);
    timer_stop(&call->life);
    timer_stop(&call->limit);
    timer_stop(&call->machine);
    timer_stop(&call->pause);
    c->counts.ended++;
    call_truth(call, "hangup", cause_info(cause)->raw,
               json_pack("{s:i, s:s, s:I}", "code", cause_info(cause)->code, "source", source,
                         "talk_s", (json_int_t)call_talk_s(call)));
    exec_stop(call);
    form_init(&f);
    hangup_fields(call, &f, status);
    hook_post(call, HOOK_HANGUP, call->hangup_url, call->hangup_method, &f, NULL);
}
