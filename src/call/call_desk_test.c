#include "call/call_desk.h"

#include "media/media_test.h"

#include <semaphore.h>
#include <stdlib.h>

static const char brief_text[] =
    "{\"organization\":{\"id\":\"00000000-0000-7000-8000-000000000001\"},"
    "\"campaign\":{\"id\":\"00000000-0000-7000-8000-000000000002\",\"disclosure\":\"I am an AI.\","
    "\"tools\":[\"transfer_to_human\",\"schedule_callback\"],\"transfer\":\"agents\","
    "\"recording\":\"off\"},\"lead\":{\"id\":\"00000000-0000-7000-8000-000000000003\"},"
    "\"call\":{\"id\":\"00000000-0000-7000-8000-0000000000%02d\"}}";

#define PENDING_MAX 64

struct rig {
    struct loop *loop;
    struct call_env env;
    struct call_desk *desk;
    struct phone phone;
    char data_dir[64];
    /* the database */
    struct buf committed; /* a line for each write that was */
    enum fault_class fault;
    bool refuse; /* the queue is full */
    int refuse_with;
    bool hold; /* answers wait in `pending` */
    struct {
        desk_stored_fn *on_stored;
        void *arg;
    } pending[PENDING_MAX];
    size_t pending_count;
    int writes;
    /* hooks */
    int transfers;
    int settled;
    int hangups;
    int drained;
};

static void stored(struct rig *g, desk_stored_fn *on_stored, void *arg)
{
    struct fault fault = fault_none();
    fault.class = g->fault;
    struct desk_answer a = {.accepted = true, .due_us = 1795100000LL * US_PER_S};
    on_stored(&fault, g->fault == FAULT_NONE ? &a : NULL, arg);
}

struct later {
    struct rig *g;
    desk_stored_fn *on_stored;
    void *arg;
};

static void on_later(void *arg)
{
    struct later *l = arg;
    stored(l->g, l->on_stored, l->arg);
    xfree(l);
}

static int on_write(const struct desk_write *w, desk_stored_fn *on_stored, void *on_stored_arg,
                    void *arg)
{
    struct rig *g = arg;
    if (g->refuse || g->refuse_with < 0) {
        return g->refuse ? -EBUSY : g->refuse_with;
    }
    g->writes++;
    if (g->fault == FAULT_NONE) {
        static const char *const kinds[] = {"turn",     "note",      "opt_out",
                                            "callback", "recording", "usage"};
        buf_addf(&g->committed, "%s %s\n", kinds[w->kind],
                 w->kind == DESK_NOTE   ? w->note.patch
                 : w->kind == DESK_TURN ? w->turn.body
                                        : "");
    }
    if (g->hold) {
        cr_assert_lt(g->pending_count, PENDING_MAX);
        g->pending[g->pending_count].on_stored = on_stored;
        g->pending[g->pending_count++].arg = on_stored_arg;
        return 0;
    }
    struct later *l = xzalloc(sizeof *l);
    *l = (struct later){g, on_stored, on_stored_arg};
    loop_defer(g->loop, on_later, l);
    return 0;
}

static void release(struct rig *g)
{
    g->hold = false;
    for (size_t i = 0; i < g->pending_count; i++) {
        stored(g, g->pending[i].on_stored, g->pending[i].arg);
    }
    g->pending_count = 0;
}

static void on_transfer(const struct desk_transfer *ask, void *arg)
{
    struct rig *g = arg;
    g->transfers++;
    cr_expect_str_eq(ask->reason, "r");
    cr_expect_str_eq(ask->summary, "s");
}

static void on_settled(const struct uuid *organization_id, const struct uuid *call_id, void *arg)
{
    struct rig *g = arg;
    (void)organization_id;
    (void)call_id;
    g->settled++;
}

static void on_hangup(const struct uuid *organization_id, const struct uuid *call_id,
                      const char *call_uuid, void *arg)
{
    struct rig *g = arg;
    (void)organization_id;
    (void)call_id;
    cr_expect_str_eq(call_uuid, "call-1");
    g->hangups++;
}

static void on_drained(void *arg)
{
    struct rig *g = arg;
    g->drained++;
}

static const struct voice *rig_voice = &voice_double;

static void rig_init(struct rig *g, size_t media_loops)
{
    memset(g, 0, sizeof *g);
    double_init();
    (void)snprintf(g->data_dir, sizeof g->data_dir, "/tmp/dw-desk-XXXXXX");
    cr_assert_not_null(mkdtemp(g->data_dir));
    buf_init(&g->committed, 1 << 20);
    g->loop = loop_new(media_loops == 0 ? LOOP_VIRTUAL : LOOP_REAL);
    g->env = (struct call_env){.carrier = &carrier_plivo,
                               .voice = rig_voice,
                               .realtime_url = "ws://127.0.0.1:1",
                               .model = "m",
                               .transcribe_model = "t",
                               .data_dir = g->data_dir,
                               .media_loops = media_loops,
                               .calls_max = 4};
    struct desk_store store = {on_write, g};
    struct desk_hooks hooks = {on_transfer, on_hangup, on_settled, g};
    cr_assert_eq(desk_open(&g->desk, g->loop, &g->env, &store, &hooks), 0);
}

static void rig_fini(struct rig *g)
{
    desk_close(&g->desk);
    loop_free(&g->loop);
    buf_fini(&g->committed);
    double_fini();
    char command[128];
    (void)snprintf(command, sizeof command, "rm -rf %s", g->data_dir);
    cr_expect_eq(system(command), 0); /* tidy: allow system: a test's own directory */
}

static int prepare_amd(struct rig *g, int no, const char *amd, struct uuid *id)
{
    char text[1024];
    char why[PLAN_WHY_SIZE];
    OWNED(json_free) json_t *brief = NULL;
    OWNED(call_plan_free) struct call_plan *plan = NULL;
    (void)snprintf(text, sizeof text, brief_text, no);
    cr_assert_eq(json_parse(str_of(text), &brief), 0);
    json_set_str(json_get(brief, "campaign"), "amd", str_of(amd));
    cr_assert_eq(call_plan_make(brief, STR("k"), 0, &plan, why), 0, "%s", why);
    *id = plan->call_id;
    int err = desk_prepare(g->desk, &plan);
    cr_expect_eq(plan == NULL, err == 0, "the plan is taken only on success");
    return err;
}

static int prepare(struct rig *g, int no, struct uuid *id)
{
    return prepare_amd(g, no, "off", id);
}

/* Answered, disclosed, talking. */
static struct uuid talk_amd(struct rig *g, const char *amd)
{
    struct uuid id;
    struct voice_handlers *on = &double_voice.on;
    cr_assert_eq(prepare_amd(g, 1, amd, &id), 0);
    settle_io(g->loop);
    on->on_ready(on->arg);
    phone_init(&g->phone, g->loop);
    cr_assert_eq(desk_socket(g->desk, &id, "call-1", g->phone.other_fd, STR_NONE, NULL), 0);
    settle_io(g->loop);
    phone_start(&g->phone, "call-1");
    pass(&g->phone, 20, true);
    on->on_response_start("r1", "opening", on->arg);
    on->on_turn(VOICE_AI, "item_1", "", on->arg);
    double_audio("item_1", 200, 0x20);
    on->on_text(VOICE_AI, "item_1", STR("I am an AI."), true, on->arg);
    on->on_audio_end("r1", "item_1", on->arg);
    on->on_response_end("r1", "opening", "completed", true, false, on->arg);
    pass(&g->phone, 400, true);
    cr_assert(double_voice.turns, "the talk is open");
    return id;
}

static struct uuid talk(struct rig *g)
{
    return talk_amd(g, "off");
}

static void model_closes(struct rig *g)
{
    for (int i = 0; i < 60 && double_voice.open; i++) {
        pass(&g->phone, 100, false);
        if (double_voice.closing && double_voice.open) {
            struct fault none = fault_none();
            double_voice.on.on_closed(&none, double_voice.on.arg);
        }
    }
    pass(&g->phone, 100, false);
}

static bool committed(const struct rig *g, const char *text)
{
    return str_contains(buf_str(&g->committed), str_of(text));
}

static void ask(const char *call_id, const char *name, const char *args)
{
    struct voice_handlers *on = &double_voice.on;
    on->on_response_start("r", "", on->arg);
    on->on_tool(call_id, name, str_of(args), on->arg);
    on->on_response_end("r", "", "completed", false, true, on->arg);
}

Test(call_desk, holds_a_call_and_lets_it_go)
{
    struct rig g;
    rig_init(&g, 0);
    struct uuid id = talk(&g);
    cr_expect_eq(desk_count(g.desk), 1);
    cr_expect(desk_has(g.desk, &id));
    cr_expect(committed(&g, "turn I am an AI."));
    cr_expect(committed(&g, "note {\"disclosure_played_at\":"));
    desk_end(g.desk, &id, CALL_END_CALLER_HANGUP);
    settle_io(g.loop);
    model_closes(&g);
    cr_expect_eq(g.settled, 1);
    cr_expect_eq(desk_count(g.desk), 0);
    cr_expect_not(desk_has(g.desk, &id));
    cr_expect(committed(&g, "\"disconnect_reason\":\"caller_hangup\""));
    cr_expect_eq(desk_next(g.desk, &id), CALL_NEXT_HANGUP, "the carrier may still ask");
    loop_advance(g.loop, 61 * US_PER_S);
    cr_expect_eq(desk_next(g.desk, &id), CALL_NEXT_UNKNOWN);
    phone_fini(&g.phone);
    rig_fini(&g);
}

Test(call_desk, a_machine_ends_a_call_only_where_the_campaign_says_so)
{
    static const char *const modes[] = {"off", "detect", "hangup"};
    for (int i = 0; i < 3; i++) {
        bool ends = i == 2;
        struct rig g;
        rig_init(&g, 0);
        struct uuid id = talk_amd(&g, modes[i]);
        desk_machine(g.desk, &id);
        settle_io(g.loop);
        if (ends) {
            model_closes(&g);
        }
        cr_expect_eq(desk_count(g.desk), ends ? 0 : 1, "%s", modes[i]);
        cr_expect_eq(committed(&g, "\"disconnect_reason\":\"voicemail\""), ends, "%s", modes[i]);
        phone_fini(&g.phone);
        rig_fini(&g);
    }
}

Test(call_desk, the_same_call_twice_and_too_many)
{
    struct rig g;
    struct uuid id;
    rig_init(&g, 0);
    for (int i = 1; i <= 4; i++) {
        cr_expect_eq(prepare(&g, i, &id), 0);
    }
    cr_expect_eq(prepare(&g, 5, &id), -EBUSY);
    cr_expect_eq(desk_count(g.desk), 4);
    rig_fini(&g);

    rig_init(&g, 0);
    cr_expect_eq(prepare(&g, 1, &id), 0);
    cr_expect_eq(prepare(&g, 1, &id), -EEXIST);
    rig_fini(&g);
}

Test(call_desk, sockets_find_their_call_or_are_refused)
{
    struct rig g;
    rig_init(&g, 0);
    struct uuid id = talk(&g);
    struct uuid other = {{9}};
    cr_expect_eq(desk_socket(g.desk, &other, "call-1", 0, STR_NONE, NULL), -ENOENT);
    cr_expect_eq(desk_socket(g.desk, &id, "call-1", 0, STR_NONE, NULL), -EALREADY);
    phone_fini(&g.phone);
    rig_fini(&g);
}

Test(call_desk, nothing_is_lost_while_the_database_is_away)
{
    struct rig g;
    rig_init(&g, 0);
    g.fault = FAULT_NOT_SENT;
    struct uuid id = talk(&g);
    pass(&g.phone, 2000, true);
    cr_expect_gt(g.writes, 2, "it was tried again");
    cr_expect_eq(g.committed.len, 0);
    g.refuse = true; /* and then not even taken */
    desk_end(g.desk, &id, CALL_END_CALLER_HANGUP);
    settle_io(g.loop);
    model_closes(&g);
    pass(&g.phone, 5000, false);
    cr_expect_eq(g.settled, 0, "not settled before all is committed");
    cr_expect_eq(desk_count(g.desk), 1);
    g.fault = FAULT_NONE;
    g.refuse = false;
    pass(&g.phone, 6000, false);
    cr_expect_eq(g.settled, 1);
    cr_expect(committed(&g, "note {\"disclosure_played_at\":"));
    cr_expect(committed(&g, "turn I am an AI."));
    cr_expect(committed(&g, "media_ended_at"));
    phone_fini(&g.phone);
    rig_fini(&g);
}

Test(call_desk, what_the_database_refuses_does_not_stop_the_rest)
{
    struct rig g;
    rig_init(&g, 0);
    g.fault = FAULT_REFUSED;
    struct uuid id = talk(&g);
    g.fault = FAULT_NONE;
    desk_end(g.desk, &id, CALL_END_CALLER_HANGUP);
    settle_io(g.loop);
    model_closes(&g);
    cr_expect_eq(g.settled, 1);
    cr_expect(committed(&g, "media_ended_at"));
    cr_expect_not(committed(&g, "turn"));
    phone_fini(&g.phone);
    rig_fini(&g);
}

Test(call_desk, a_callback_is_promised_when_it_is_stored)
{
    struct rig g;
    rig_init(&g, 0);
    loop_set_wall(g.loop, 1795000000LL * US_PER_S);
    (void)talk(&g);
    g.hold = true;
    ask("c1", "schedule_callback", "{\"when\":\"2026-11-19T15:00:00Z\"}");
    pass(&g.phone, 500, true);
    cr_expect_not(was_told("result"));
    release(&g);
    pass(&g.phone, 20, true);
    cr_expect(was_told("result+ c1 {\"ok\":true,\"booked_for\":"), "%s",
              buf_cstr(&double_voice.told));
    phone_fini(&g.phone);
    rig_fini(&g);
}

Test(call_desk, a_tool_is_answered_though_the_database_sleeps)
{
    struct rig g;
    rig_init(&g, 0);
    loop_set_wall(g.loop, 1795000000LL * US_PER_S);
    (void)talk(&g);
    g.refuse = true;
    ask("c1", "schedule_callback", "{\"when\":\"2026-11-19T15:00:00Z\"}");
    pass(&g.phone, 3500, true);
    cr_expect_not(was_told("result"));
    pass(&g.phone, 1500, true);
    cr_expect(was_told("result+ c1 {\"ok\":false"));
    g.refuse = false;
    pass(&g.phone, 6000, true);
    cr_expect(committed(&g, "callback"), "it is still written");
    phone_fini(&g.phone);
    rig_fini(&g);
}

Test(call_desk, an_opt_out_overtakes_what_waits)
{
    struct rig g;
    rig_init(&g, 0);
    (void)talk(&g);
    g.refuse = true;
    struct voice_handlers *on = &double_voice.on;
    for (int i = 0; i < 5; i++) {
        char id[16];
        (void)snprintf(id, sizeof id, "lead_%d", i);
        on->on_turn(VOICE_LEAD, id, "", on->arg);
        on->on_text(VOICE_LEAD, id, i < 4 ? STR("Well.") : STR("Stop calling me."), true, on->arg);
    }
    settle_io(g.loop);
    g.refuse = false;
    buf_clear(&g.committed);
    pass(&g.phone, 1000, true);
    cr_expect(str_starts(buf_str(&g.committed), STR("opt_out")), "%s", buf_cstr(&g.committed));
    phone_fini(&g.phone);
    rig_fini(&g);
}

/* The write that was at the store when the opt-out came may fail again and again. */
Test(call_desk, an_opt_out_overtakes_a_write_that_fails)
{
    struct rig g;
    rig_init(&g, 0);
    (void)talk(&g);
    struct voice_handlers *on = &double_voice.on;
    g.fault = FAULT_BUSY;
    g.hold = true;
    on->on_turn(VOICE_LEAD, "lead_1", "", on->arg);
    on->on_text(VOICE_LEAD, "lead_1", STR("Well."), true, on->arg);
    settle_io(g.loop);
    cr_assert_eq(g.pending_count, 1);
    on->on_turn(VOICE_LEAD, "lead_2", "", on->arg);
    on->on_text(VOICE_LEAD, "lead_2", STR("Stop calling me."), true, on->arg);
    settle_io(g.loop);
    release(&g);
    g.fault = FAULT_NONE;
    buf_clear(&g.committed);
    pass(&g.phone, 1000, true);
    cr_expect(str_starts(buf_str(&g.committed), STR("opt_out")), "%s", buf_cstr(&g.committed));
    cr_expect(committed(&g, "turn Well."));
    phone_fini(&g.phone);
    rig_fini(&g);
}

/* A right that was taken away, a function that is missing: whoever puts it right finds the wish. */
Test(call_desk, an_opt_out_outlives_a_refusal)
{
    struct rig g;
    rig_init(&g, 0);
    struct uuid id = talk(&g);
    struct voice_handlers *on = &double_voice.on;
    g.fault = FAULT_BROKEN;
    on->on_turn(VOICE_LEAD, "lead_1", "", on->arg);
    on->on_text(VOICE_LEAD, "lead_1", STR("Stop calling me."), true, on->arg);
    settle_io(g.loop);
    desk_end(g.desk, &id, CALL_END_CALLER_HANGUP);
    settle_io(g.loop);
    model_closes(&g);
    pass(&g.phone, 20000, false);
    cr_expect_eq(g.settled, 0);
    g.fault = FAULT_NONE;
    pass(&g.phone, 6000, false);
    cr_expect(committed(&g, "opt_out"));
    cr_expect_eq(g.settled, 1);
    phone_fini(&g.phone);
    rig_fini(&g);
}

/* Who asks need not wait for a database that is away: on disk is as good as committed, and the next
 * process brings it there. */
Test(call_desk, an_opt_out_outlives_the_database_and_the_process)
{
    struct rig g;
    rig_init(&g, 0);
    (void)talk(&g);
    struct voice_handlers *on = &double_voice.on;
    pass(&g.phone, 1000, true);
    g.fault = FAULT_NOT_SENT;
    on->on_turn(VOICE_LEAD, "lead_1", "", on->arg);
    on->on_text(VOICE_LEAD, "lead_1", STR("Stop calling me."), true, on->arg);
    pass(&g.phone, 600, true);
    cr_expect(str_contains(buf_str(&double_voice.told), STR("respond farewell")),
              "confirmed within a second: %s", buf_cstr(&double_voice.told));
    buf_clear(&g.committed);
    desk_close(&g.desk); /* as if killed: nothing of it is in the database */
    cr_expect_eq(g.committed.len, 0, "%s", buf_cstr(&g.committed));
    g.fault = FAULT_NONE;
    struct desk_store store = {on_write, &g};
    struct desk_hooks hooks = {on_transfer, on_hangup, on_settled, &g};
    cr_assert_eq(desk_open(&g.desk, g.loop, &g.env, &store, &hooks), 0);
    settle_io(g.loop);
    settle_io(g.loop);
    cr_expect_str_eq(buf_cstr(&g.committed), "opt_out \n", "played by the next one");
    phone_fini(&g.phone);
    rig_fini(&g);
}

/* Asked for in another call of the same person: this talk is not cut, it is brought to its end. */
Test(call_desk, an_opt_out_elsewhere_ends_a_talk_politely)
{
    struct rig g;
    rig_init(&g, 0);
    struct uuid id = talk(&g);
    desk_end(g.desk, &id, CALL_END_OPTED_OUT);
    pass(&g.phone, 200, true);
    cr_expect(str_contains(buf_str(&double_voice.told), STR("respond farewell")), "%s",
              buf_cstr(&double_voice.told));
    cr_expect(desk_has(g.desk, &id), "the goodbye is spoken first");
    desk_end(g.desk, &id, CALL_END_OPTED_OUT); /* asked every second: nothing twice */
    for (int i = 0; i < 20 && !committed(&g, "\"disconnect_reason\":\"opted_out\""); i++) {
        pass(&g.phone, 500, true);
    }
    cr_expect(committed(&g, "\"disconnect_reason\":\"opted_out\""),
              "within ten seconds, though the model never speaks: %s", buf_cstr(&g.committed));
    model_closes(&g);
    phone_fini(&g.phone);
    rig_fini(&g);
}

Test(call_desk, a_write_that_cannot_even_be_asked_for_is_given_up)
{
    struct rig g;
    rig_init(&g, 0);
    struct uuid id = talk(&g);
    g.refuse_with = -EMSGSIZE;
    desk_end(g.desk, &id, CALL_END_CALLER_HANGUP);
    settle_io(g.loop);
    model_closes(&g);
    cr_expect_eq(g.settled, 1, "it does not keep the daemon from stopping");
    phone_fini(&g.phone);
    rig_fini(&g);
}

Test(call_desk, transfers_are_asked_for_and_answered)
{
    struct rig g;
    rig_init(&g, 0);
    struct uuid id = talk(&g);
    ask("c1", "transfer_to_human", "{\"reason\":\"r\",\"summary\":\"s\"}");
    settle_io(g.loop);
    cr_expect_eq(g.transfers, 1);
    desk_transfer_result(g.desk, &id, false, "all busy");
    settle_io(g.loop);
    cr_expect(was_told("result+ c1 {\"ok\":false,\"reason\":\"all busy\"}"));
    desk_transfer_result(g.desk, &id, true, "");
    settle_io(g.loop);
    cr_expect_not(was_told("\"ok\":true"), "an answer counts once");
    ask("c2", "transfer_to_human", "{\"reason\":\"r\",\"summary\":\"s \"}");
    settle_io(g.loop);
    ask("c3", "transfer_to_human", "{\"reason\":\"r \",\"summary\":\"s\"}");
    pass(&g.phone, 16000, true);
    cr_expect(was_told("result+ c2 {\"ok\":false,\"reason\":\"no colleague could be reached\"}"));
    phone_fini(&g.phone);
    rig_fini(&g);
}

Test(call_desk, a_dead_stream_is_hung_up_by_other_means)
{
    struct rig g;
    rig_init(&g, 0);
    (void)talk(&g);
    pass(&g.phone, 5500, false); /* no media any more */
    settle_io(g.loop);
    cr_expect_eq(g.hangups, 1);
    phone_fini(&g.phone);
    rig_fini(&g);
}

Test(call_desk, drains)
{
    struct rig g;
    rig_init(&g, 0);
    struct uuid id = talk(&g);
    struct uuid other;
    desk_drain(g.desk, on_drained, &g);
    settle_io(g.loop);
    cr_expect_eq(g.drained, 0);
    cr_expect_eq(prepare(&g, 2, &other), -EBUSY);
    desk_end(g.desk, &id, CALL_END_CALLER_HANGUP);
    settle_io(g.loop);
    model_closes(&g);
    settle_io(g.loop);
    cr_expect_eq(g.drained, 1);
    phone_fini(&g.phone);
    rig_fini(&g);
}

Test(call_desk, closing_in_the_middle_leaks_nothing)
{
    struct rig g;
    rig_init(&g, 0);
    g.hold = true;
    (void)talk(&g);
    desk_close(&g.desk);
    release(&g);
    phone_fini(&g.phone);
    rig_fini(&g);
}

static void on_patience(void *arg)
{
    *(bool *)arg = true;
}

/* With real threads: calls come and go, all of them are told of. */
Test(call_desk, lives_on_threads_of_its_own)
{
    struct rig g;
    rig_init(&g, 2);
    double_voice.refuse_opens = 1 << 20; /* the double is no session for several threads */
    struct timer patience = {0};
    bool over = false;
    timer_start(&patience, g.loop, 20000, on_patience, &over);
    for (int round = 0; round < 10; round++) {
        struct uuid ids[4];
        int before = g.settled;
        for (int i = 0; i < 4; i++) {
            cr_assert_eq(prepare(&g, 10 + (round * 4 + i) % 80, &ids[i]), 0);
        }
        for (int i = 0; i < 4; i++) {
            desk_end(g.desk, &ids[i], CALL_END_CANCELLED);
        }
        while (g.settled < before + 4 && !over) {
            loop_run_once(g.loop, true);
        }
        cr_assert_not(over);
    }
    timer_stop(&patience);
    cr_expect_eq(g.settled, 40);
    rig_fini(&g);
}

/* Says it on the media thread, once. */
static sem_t said;

static void say_never_again(void *arg)
{
    struct voice_handlers *on = &double_voice.on;
    (void)arg;
    on->on_turn(VOICE_LEAD, "lead_1", "", on->arg);
    on->on_text(VOICE_LEAD, "lead_1", STR("Stop calling me."), true, on->arg);
    sem_post(&said);
}

static int open_and_say(struct voice_session **out, struct loop *loop, struct http_client *http,
                        const struct voice_config *config, const struct voice_handlers *handlers)
{
    int err = double_open(out, loop, http, config, handlers);
    loop_defer(loop, say_never_again, NULL);
    return err;
}

/* Stopped by force while the wish is on its way between the threads: it goes to disk all the same. */
Test(call_desk, an_opt_out_on_its_way_outlives_the_close)
{
    struct rig g;
    struct uuid id;
    struct voice voice = voice_double;
    voice.open = open_and_say;
    rig_voice = &voice;
    cr_assert_eq(sem_init(&said, 0, 0), 0);
    rig_init(&g, 1);
    cr_assert_eq(prepare(&g, 1, &id), 0);
    sem_wait(&said);
    desk_close(&g.desk);
    cr_expect_eq(g.committed.len, 0, "%s", buf_cstr(&g.committed));
    while (loop_run_once(g.loop, false)) {
    }
    struct desk_store store = {on_write, &g};
    struct desk_hooks hooks = {on_transfer, on_hangup, on_settled, &g};
    cr_assert_eq(desk_open(&g.desk, g.loop, &g.env, &store, &hooks), 0);
    struct timer patience = {0};
    bool over = false;
    timer_start(&patience, g.loop, 20000, on_patience, &over);
    while (g.committed.len == 0 && !over) {
        loop_run_once(g.loop, true);
    }
    timer_stop(&patience);
    cr_expect(committed(&g, "opt_out"), "played by the next one");
    rig_fini(&g);
    sem_destroy(&said);
}
