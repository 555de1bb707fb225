/* line.c -- the queue, the ringing and the answering: a call's life before anybody talks. */
#include "base/alloc.h"
#include "call.h"
#include "people/dice.h"
#include "recorder.h"

#include <string.h>

static void on_ring(void *arg);
static void on_answer(void *arg);

static void on_line_dead(void *arg)
{
    struct call *call = arg;

    switch (call->persona->pickup) {
    case PICKUP_BUSY:
        call_end(call, CAUSE_BUSY, "Carrier");
        return;
    case PICKUP_INVALID:
        call_end(call, CAUSE_UNALLOCATED, "Carrier");
        return;
    case PICKUP_REJECT:
        call_end(call, CAUSE_REJECTED, "Callee");
        return;
    case PICKUP_NO_ANSWER:
        call_end(call, CAUSE_NO_ANSWER, "Carrier");
        return;
    case PICKUP_UNREACHABLE:
    case PICKUP_ANSWER:
        call_end(call, CAUSE_NETWORK, "Carrier");
        return;
    }
}

static void on_ring_timeout(void *arg)
{
    call_end(arg, CAUSE_RING_TIMEOUT, "Plivo");
}

static void dial(struct call *call)
{
    struct carrier *c = call->carrier;
    const struct sim_limits *l = c->conf.limits;
    int64_t delay_ms = dice_between(c->conf.seed, "ring delay", str_of(call->to), call->nth,
                                    l->ring_delay_ms / 3, l->ring_delay_ms);
    bool rings = call->persona->pickup == PICKUP_ANSWER ||
                 call->persona->pickup == PICKUP_NO_ANSWER ||
                 call->persona->pickup == PICKUP_REJECT;

    list_remove(&call->link);
    list_push_back(&c->live, &call->link);
    c->queue_len--;
    c->live_len++;
    c->counts.dialed++;
    c->counts.live_max = i64_max(c->counts.live_max, (int64_t)c->live_len);
    call->state = CALL_DIALING;
    call->start_wall_us = loop_wall_us(c->conf.loop);
    timer_start(&call->life, c->conf.loop, delay_ms, rings ? on_ring : on_line_dead, call);
}

static void on_ring(void *arg)
{
    struct call *call = arg;
    struct carrier *c = call->carrier;
    const struct sim_limits *l = c->conf.limits;
    int64_t rings_ms = dice_between(c->conf.seed, "ring", str_of(call->to), call->nth,
                                    l->ring_ms_min, l->ring_ms_max);
    int64_t timeout_ms = call->ring_timeout_s * 1000;
    struct form f;

    call->state = CALL_RINGING;
    call_truth(call, "rang", NULL, NULL);
    form_init(&f);
    call_standard_fields(call, &f, "Ring", "ringing");
    hook_post(call, HOOK_RING, call->ring_url, call->ring_method, &f, NULL);
    if (call->persona->pickup == PICKUP_NO_ANSWER) {
        rings_ms = l->no_answer_ms;
    }
    if (timeout_ms <= rings_ms) {
        timer_start(&call->life, c->conf.loop, timeout_ms, on_ring_timeout, call);
        return;
    }
    timer_start(&call->life, c->conf.loop, rings_ms,
                call->persona->pickup == PICKUP_ANSWER ? on_answer : on_line_dead, call);
}

static void on_time_limit(void *arg)
{
    call_end(arg, CAUSE_TIME_LIMIT, "Plivo");
}

static void on_machine(void *arg)
{
    struct call *call = arg;
    struct form f;

    if (call->machine_hangup) {
        call_end(call, CAUSE_MACHINE, "Plivo");
        return;
    }
    form_init(&f);
    call_standard_fields(call, &f, "MachineDetection", "in-progress");
    form_add(&f, "Machine", "true");
    form_add(&f, "IfMachine", "continue");
    call->machine_told = true;
    hook_post(call, HOOK_MACHINE, call->machine_url, call->machine_method, &f, NULL);
}

static void on_answer(void *arg)
{
    struct call *call = arg;
    struct carrier *c = call->carrier;

    call->state = CALL_TALKING;
    call->answer_wall_us = loop_wall_us(c->conf.loop);
    call->answer_us = loop_now_us(c->conf.loop);
    c->counts.answered++;
    call_truth(call, "answered", NULL, json_pack("{s:s}", "persona", call->persona->name));
    person_init_lead(&call->person, c->conf.book, call->persona);
    timer_start(&call->limit, c->conf.loop, call->time_limit_s * 1000, on_time_limit, call);
    if (call->persona->machine && call->machine_url[0] != '\0') {
        timer_start(&call->machine, c->conf.loop, c->conf.limits->machine_ms, on_machine, call);
    }
    exec_start(call, HOOK_ANSWER, call->answer_url, call->answer_method);
}

static void on_dispatch(void *arg)
{
    struct carrier *c = arg;

    if (!list_empty(&c->queue)) {
        dial(LIST_ITEM(c->queue.next, struct call, link));
    }
}

struct carrier *carrier_new(const struct carrier_conf *conf)
{
    struct carrier *c = xzalloc(sizeof *c);

    c->conf = *conf;
    list_init(&c->queue);
    list_init(&c->live);
    list_init(&c->over);
    list_init(&c->hooks);
    list_init(&c->recordings);
    map_init(&c->by_uuid);
    map_init(&c->by_request);
    map_init(&c->dials);
    timer_repeat(&c->tick, conf->loop, 20, talk_tick_all, c);
    timer_repeat(&c->dispatch, conf->loop, 1000 / conf->limits->calls_per_second, on_dispatch, c);
    return c;
}

static void free_calls(struct list *calls)
{
    LIST_EACH_SAFE(it, calls)
    {
        call_free(LIST_ITEM(it, struct call, link));
    }
}

void carrier_free(struct carrier **c)
{
    if (*c == NULL) {
        return;
    }
    timer_stop(&(*c)->tick);
    timer_stop(&(*c)->dispatch);
    hooks_cancel(*c);
    free_calls(&(*c)->queue);
    free_calls(&(*c)->live);
    free_calls(&(*c)->over);
    hooks_cancel(*c); /* what the ends above wanted to tell */
    recordings_free(*c);
    map_fini(&(*c)->by_uuid);
    map_fini(&(*c)->by_request);
    map_fini(&(*c)->dials);
    xfree(*c);
    *c = NULL;
}

json_t *carrier_state(const struct carrier *c)
{
    const struct carrier_counts *n = &c->counts;

    return json_pack(
        "{s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I}",
        "queued", (json_int_t)c->queue_len, "live", (json_int_t)c->live_len, "live_max",
        (json_int_t)n->live_max, "accepted", (json_int_t)n->accepted, "refused",
        (json_int_t)n->refused, "dialed", (json_int_t)n->dialed, "answered",
        (json_int_t)n->answered, "ended", (json_int_t)n->ended, "webhooks", (json_int_t)n->hooks,
        "webhooks_failed", (json_int_t)n->hooks_failed, "forged_sent", (json_int_t)n->forged_sent,
        "forged_accepted", (json_int_t)n->forged_accepted, "streams", (json_int_t)n->streams,
        "streams_refused", (json_int_t)n->streams_refused, "played_ms", (json_int_t)n->played_ms,
        "buffer_overflows", (json_int_t)n->overflows, "clears", (json_int_t)n->clears,
        "bad_documents", (json_int_t)n->bad_documents, "unknown_attributes",
        (json_int_t)n->unknown_attributes, "bridged", (json_int_t)n->bridged);
}
