#include "call/call.h"

#include "base/jscan.h"
#include "call/call_priv.h"
#include "media/media_test.h"

#include <stdlib.h>

#define DISCLOSURE "Hello, this is an AI assistant of Acme. This call may be recorded."
#define GREETING   "Do you have a minute to talk about your new kitchen?"

struct rig {
    struct loop *loop;
    struct pace_clock clock;
    struct jscan *scan;
    struct phone phone;
    struct call_env env;
    struct call_host host;
    struct call *call;
    char data_dir[64];
    struct buf ups; /* a line for each message up */
    int over;
    enum call_end end;
    enum call_next next;
    uint32_t tool_no; /* of the last message that waits for an answer */
    unsigned responses;
};

static const char brief_text[] =
    "{\"organization\":{\"id\":\"00000000-0000-7000-8000-000000000001\",\"name\":\"Acme\"},"
    "\"campaign\":{\"id\":\"00000000-0000-7000-8000-000000000002\",\"legal_name\":\"Acme Ltd\","
    "\"language\":\"en-US\",\"instructions\":\"Sell kitchens.\",\"greeting\":\"" GREETING "\","
    "\"disclosure\":\"" DISCLOSURE "\",\"voice\":\"marin\",\"transfer\":\"agents\","
    "\"tools\":[\"transfer_to_human\",\"schedule_callback\",\"note_interest\"],"
    "\"max_duration_s\":120,\"silence_timeout_s\":10,\"recording\":\"on\"},"
    "\"lead\":{\"id\":\"00000000-0000-7000-8000-000000000003\",\"name\":\"Ann\","
    "\"phone_e164\":\"+15551230000\",\"zone\":\"America/New_York\",\"attributes\":{}},"
    "\"call\":{\"id\":\"00000000-0000-7000-8000-000000000004\"},\"history\":[]}";

static void write_line(struct rig *g, const struct call_up *up)
{
    const struct desk_write *w = &up->write;
    switch (w->kind) {
    case DESK_TURN:
        buf_addf(&g->ups, "turn %s %s %s: %s\n", w->turn.speaker, w->turn.item_id, w->turn.heard,
                 w->turn.body);
        break;
    case DESK_NOTE:
        buf_addf(&g->ups, "note %s\n", w->note.patch);
        break;
    case DESK_OPT_OUT:
        buf_addf(&g->ups, "opt_out %s: %s\n", w->opt_out.source, w->opt_out.words);
        break;
    case DESK_CALLBACK:
        buf_addf(&g->ups, "callback %lld: %s\n", (long long)w->callback.due_us, w->callback.note);
        break;
    case DESK_RECORDING:
        buf_addf(&g->ups, "recording %s %lld ms\n", w->recording.path,
                 (long long)w->recording.duration_ms);
        break;
    case DESK_USAGE:
        buf_addf(&g->ups, "usage %s %s %s\n", w->usage.source, w->usage.item_key, w->usage.tokens);
        break;
    }
}

static void on_up(struct call_up *up, void *arg)
{
    struct rig *g = arg;
    g->tool_no = up->tool_no != 0 ? up->tool_no : g->tool_no;
    switch (up->kind) {
    case UP_WRITE:
        write_line(g, up);
        break;
    case UP_TRANSFER:
        buf_addf(&g->ups, "transfer %s: %s\n", up->reason, up->summary);
        break;
    case UP_NEXT:
        g->next = up->next;
        break;
    case UP_ENDED:
        g->end = up->end;
        buf_addf(&g->ups, "ended %s\n", call_end_name(up->end));
        break;
    case UP_HANGUP:
        buf_addf(&g->ups, "hangup\n");
        break;
    case UP_SOCKET_DONE:
        break;
    }
    call_up_free(up);
}

static void on_over(struct call *call, struct call_ref ref, void *arg)
{
    struct rig *g = arg;
    (void)ref;
    cr_assert_eq(call, g->call);
    call_free(&g->call);
    g->over++;
}

static bool went_up(struct rig *g, const char *text)
{
    return str_contains(buf_str(&g->ups), str_of(text));
}

static void call_make(struct rig *g)
{
    OWNED(json_free) json_t *brief = NULL;
    struct call_plan *plan = NULL;
    char why[PLAN_WHY_SIZE];
    cr_assert_eq(json_parse(str_of(brief_text), &brief), 0);
    cr_assert_eq(call_plan_make(brief, STR("key"), loop_wall_us(g->loop), &plan, why), 0, "%s",
                 why);
    g->call = call_new(&g->host, (struct call_ref){3, 7}, &plan);
    settle_io(g->loop);
}

static void rig_init(struct rig *g)
{
    memset(g, 0, sizeof *g);
    double_init();
    (void)snprintf(g->data_dir, sizeof g->data_dir, "/tmp/dw-call-XXXXXX");
    cr_assert_not_null(mkdtemp(g->data_dir));
    buf_init(&g->ups, 1 << 20);
    g->loop = loop_new(LOOP_VIRTUAL);
    loop_set_wall(g->loop, 1795000000LL * US_PER_S);
    pace_clock_init(&g->clock, g->loop);
    g->scan = jscan_new(LIMIT_MEDIA_MSG_BYTES);
    g->env = (struct call_env){.carrier = &carrier_plivo,
                               .voice = &voice_double,
                               .realtime_url = "ws://127.0.0.1:1",
                               .auth_header = "Authorization",
                               .api_key = "k",
                               .model = "m",
                               .transcribe_model = "t",
                               .data_dir = g->data_dir,
                               .media_loops = 1,
                               .calls_max = 8,
                               .warm_max_ms = 60000};
    g->host = (struct call_host){.loop = g->loop,
                                 .clock = &g->clock,
                                 .scan = g->scan,
                                 .env = &g->env,
                                 .up = on_up,
                                 .on_over = on_over,
                                 .arg = g};
    call_make(g);
    phone_init(&g->phone, g->loop);
}

static void rig_fini(struct rig *g)
{
    call_free(&g->call);
    phone_fini(&g->phone);
    settle_io(g->loop);
    jscan_free(&g->scan);
    pace_clock_fini(&g->clock);
    loop_free(&g->loop);
    buf_fini(&g->ups);
    double_fini();
    char command[128];
    (void)snprintf(command, sizeof command, "rm -rf %s", g->data_dir);
    cr_expect_eq(system(command), 0); /* tidy: allow system: a test's own directory */
}

static void ready(void)
{
    double_voice.on.on_ready(double_voice.on.arg);
}

/* The model answers what was ordered last: audio, text, end. */
static void respond(struct rig *g, const char *item_id, const char *tag, const char *text,
                    int64_t ms, bool called)
{
    struct voice_handlers *on = &double_voice.on;
    char id[32];
    (void)snprintf(id, sizeof id, "resp_%u", ++g->responses);
    on->on_response_start(id, tag, on->arg);
    if (ms > 0) {
        on->on_turn(VOICE_AI, item_id, "", on->arg);
        double_audio(item_id, ms, 0x20);
        on->on_text(VOICE_AI, item_id, str_of(text), true, on->arg);
        on->on_audio_end(id, item_id, on->arg);
    }
    if (!called) {
        on->on_response_end(id, tag, "completed", ms > 0, false, on->arg);
    }
}

static void response_end(const char *tag, bool spoke)
{
    struct voice_handlers *on = &double_voice.on;
    on->on_response_end("r", tag, "completed", spoke, true, on->arg);
}

static void lead_says(const char *item_id, const char *text)
{
    struct voice_handlers *on = &double_voice.on;
    on->on_speech_start(item_id, 100, on->arg);
    on->on_speech_stop(item_id, 900, on->arg);
    on->on_turn(VOICE_LEAD, item_id, "", on->arg);
    on->on_text(VOICE_LEAD, item_id, str_of(text), true, on->arg);
}

static void tool(struct rig *g, const char *call_id, const char *name, const char *args)
{
    (void)g;
    double_voice.on.on_tool(call_id, name, str_of(args), double_voice.on.arg);
}

static void answer(struct rig *g, bool ok, const char *text)
{
    struct call_down *m = call_down_new(DOWN_ANSWER, (struct call_ref){3, 7}, STR_NONE);
    m->tool_no = g->tool_no;
    m->ok = ok;
    m->due_us = 1795003600LL * US_PER_S;
    (void)snprintf(m->text, sizeof m->text, "%s", text);
    call_answer(g->call, m);
    call_down_free(m);
}

static void attach(struct rig *g)
{
    struct call_down *m = call_down_new(DOWN_SOCKET, (struct call_ref){3, 7}, STR_NONE);
    m->fd = g->phone.other_fd;
    (void)snprintf(m->call_uuid, sizeof m->call_uuid, "call-1");
    call_socket(g->call, m);
    call_down_free(m);
    phone_start(&g->phone, "call-1");
    pass(&g->phone, 20, true);
}

/* Up to the moment at which the lead may speak. */
static void open_talk(struct rig *g)
{
    ready();
    attach(g);
    cr_assert_eq(call_phase(g->call), CALL_OPENING);
    cr_assert_str_eq(double_voice.exact, DISCLOSURE " " GREETING);
    respond(g, "item_open", CALL_OPENING_TAG, DISCLOSURE " " GREETING, 600, false);
    pass(&g->phone, 900, true);
    cr_assert_eq(call_phase(g->call), CALL_TALKING);
}

/* The model's socket closes when it is asked to; the call leaves. */
static void leave(struct rig *g)
{
    for (int i = 0; i < 60 && g->over == 0; i++) {
        pass(&g->phone, 100, false);
        if (g->over == 0 && double_voice.closing && double_voice.open) {
            struct fault none = fault_none();
            double_voice.on.on_closed(&none, double_voice.on.arg);
        }
    }
    cr_assert_eq(g->over, 1, "the call never ended: %s", buf_cstr(&g->ups));
}

Test(call, opens_talks_and_says_goodbye)
{
    struct rig g;
    rig_init(&g);
    open_talk(&g);
    cr_expect(double_voice.turns, "the lead may be answered now");
    cr_expect(went_up(&g, "\"disclosure_played_at\":\"2026-"), "%s", buf_cstr(&g.ups));
    lead_says("item_1", "Yes, sure.");
    respond(&g, "item_2", "", "Great. Goodbye then!", 400, true);
    tool(&g, "c1", "end_call", "{\"reason\":\"completed\",\"note\":\"all said\"}");
    response_end("", true);
    cr_expect_eq(call_phase(g.call), CALL_CLOSING);
    cr_expect(was_told("result c1 {\"ok\":true}"));
    pass(&g.phone, 300, true);
    cr_expect_eq(g.phone.closed_code, 0, "not before the goodbye was heard");
    pass(&g.phone, 400, true);
    cr_expect_eq(g.phone.closed_code, 1000);
    leave(&g);
    cr_expect_eq(g.end, CALL_END_COMPLETED);
    cr_expect_eq(g.next, CALL_NEXT_HANGUP);
    cr_expect(went_up(&g, "turn ai item_open full: " DISCLOSURE " " GREETING "\n"));
    cr_expect(went_up(&g, "turn lead item_1 full: Yes, sure.\n"));
    cr_expect(went_up(&g, "turn ai item_2 full: Great. Goodbye then!\n"));
    cr_expect(went_up(&g, "note {\"disconnect_notes\":\"all said\"}"));
    cr_expect(went_up(&g, "\"disconnect_reason\":\"completed\""));
    cr_expect(went_up(&g, "/2026-11/00000000-0000-7000-8000-000000000004.wav"), "%s",
              buf_cstr(&g.ups));
    rig_fini(&g);
}

Test(call, a_silent_end_call_gets_a_goodbye)
{
    struct rig g;
    rig_init(&g);
    open_talk(&g);
    respond(&g, "", "", "", 0, true);
    tool(&g, "c1", "end_call", "{\"reason\":\"not_interested\"}");
    cr_expect_not(was_told("respond farewell"));
    response_end("", false);
    cr_expect(was_told("respond farewell"));
    respond(&g, "item_bye", CALL_FAREWELL_TAG, "Bye!", 300, false);
    pass(&g.phone, 200, true);
    cr_expect_eq(g.phone.closed_code, 0);
    leave(&g);
    cr_expect(went_up(&g, "note {\"disposition\":\"not_interested\"}"));
    cr_expect(went_up(&g, "turn ai item_bye full: Bye!\n"));
    rig_fini(&g);
}

Test(call, the_second_call_plays_the_opening_from_disk)
{
    struct rig g;
    rig_init(&g);
    open_talk(&g);
    call_end(g.call, CALL_END_CANCELLED);
    leave(&g);
    phone_fini(&g.phone);
    g.over = 0;
    buf_clear(&double_voice.told);

    phone_init(&g.phone, g.loop);
    call_make(&g);
    attach(&g); /* the model is not even connected */
    cr_assert_eq(call_phase(g.call), CALL_OPENING);
    pass(&g.phone, 300, true);
    cr_expect_gt(g.phone.got_bytes, 0);
    pass(&g.phone, 600, true);
    cr_expect_eq(g.phone.got_bytes, 4800);
    cr_expect_eq(call_phase(g.call), CALL_OPENING, "it waits for the model");
    ready();
    cr_expect_eq(call_phase(g.call), CALL_TALKING);
    cr_expect(was_told("spoken " DISCLOSURE " " GREETING));
    cr_expect_not(was_told("say opening"));
    cr_expect(went_up(&g, "turn ai dw_opening full: " DISCLOSURE " " GREETING "\n"));
    call_end(g.call, CALL_END_CANCELLED);
    leave(&g);
    rig_fini(&g);
}

Test(call, a_model_that_does_not_disclose_does_not_talk)
{
    struct rig g;
    rig_init(&g);
    ready();
    attach(&g);
    respond(&g, "item_x", CALL_OPENING_TAG, "Hi! Want a kitchen?", 300, false);
    pass(&g.phone, 500, true);
    cr_expect_str_eq(double_voice.exact, DISCLOSURE, "once more, the disclosure alone");
    cr_expect_eq(call_phase(g.call), CALL_OPENING);
    respond(&g, "item_y", CALL_OPENING_TAG, "As I said, kitchens!", 300, false);
    pass(&g.phone, 500, true);
    cr_expect_geq(call_phase(g.call), CALL_LEAVING);
    leave(&g);
    cr_expect_eq(g.end, CALL_END_MODEL_ERROR);
    cr_expect_eq(g.next, CALL_NEXT_HANGUP, "who could not disclose does not apologise either");
    cr_expect_not(went_up(&g, "disclosure_played_at"));
    cr_expect_not(went_up(&g, "callback"),
                  "a model that is broken must not ring people again and again");
    rig_fini(&g);
}

Test(call, the_disclosure_retold_opens_the_talk)
{
    struct rig g;
    rig_init(&g);
    ready();
    attach(&g);
    respond(&g, "item_x", CALL_OPENING_TAG, GREETING, 300, false);
    pass(&g.phone, 500, true);
    respond(&g, "item_y", CALL_OPENING_TAG,
            "Hello this is an A I assistant of Acme, this call may be recorded", 300, false);
    pass(&g.phone, 500, true);
    cr_expect_eq(call_phase(g.call), CALL_TALKING);
    rig_fini(&g);
}

Test(call, the_opening_is_not_interrupted)
{
    struct rig g;
    rig_init(&g);
    ready();
    attach(&g);
    respond(&g, "item_open", CALL_OPENING_TAG, DISCLOSURE " " GREETING, 1000, false);
    pass(&g.phone, 400, true);
    lead_says("item_1", "Who is this?");
    pass(&g.phone, 100, true);
    cr_expect_eq(g.phone.clears, 0);
    cr_expect_not(double_voice.turns);
    pass(&g.phone, 800, true);
    cr_expect_eq(call_phase(g.call), CALL_TALKING);
    rig_fini(&g);
}

Test(call, a_lead_who_hangs_up_in_the_greeting_heard_no_disclosure)
{
    struct rig g;
    rig_init(&g);
    ready();
    attach(&g);
    respond(&g, "item_open", CALL_OPENING_TAG, DISCLOSURE " " GREETING, 2000, false);
    pass(&g.phone, 700, true);
    ws_close(g.phone.ws, 1000, "");
    leave(&g);
    cr_expect_eq(g.end, CALL_END_CALLER_HANGUP);
    cr_expect_not(went_up(&g, "disclosure_played_at"));
    cr_expect(went_up(&g, "turn ai item_open cut: Hello, this is an AI assistant"), "%s",
              buf_cstr(&g.ups));
    cr_expect_not(went_up(&g, "kitchen"));
    rig_fini(&g);
}

Test(call, an_interruption_stops_the_ai_but_an_echo_does_not)
{
    struct rig g;
    rig_init(&g);
    open_talk(&g);
    respond(&g, "item_1", "", "This kitchen has everything you could ever dream of.", 2000, false);
    pass(&g.phone, 100, true);
    struct voice_handlers *on = &double_voice.on;
    on->on_speech_start("item_e", 100, on->arg);
    pass(&g.phone, 60, true);
    on->on_speech_stop("item_e", 160, on->arg);
    pass(&g.phone, 400, true);
    cr_expect_eq(g.phone.clears, 0, "60 ms right at the start are an echo");
    on->on_speech_start("item_2", 700, on->arg);
    settle_io(g.loop);
    cr_expect_eq(g.phone.clears, 1);
    cr_expect(was_told("truncate item_1 5"), "%s", buf_cstr(&double_voice.told));
    cr_expect(went_up(&g, "turn ai item_1 cut: This kitchen"), "%s", buf_cstr(&g.ups));

    /* Early, but going on: that was a person. */
    on->on_speech_stop("item_2", 900, on->arg);
    respond(&g, "item_3", "", "Let me tell you more about it.", 2000, false);
    pass(&g.phone, 100, true);
    on->on_speech_start("item_4", 1200, on->arg);
    pass(&g.phone, 100, true);
    cr_expect_eq(g.phone.clears, 1);
    pass(&g.phone, 300, true);
    cr_expect_eq(g.phone.clears, 2);
    rig_fini(&g);
}

Test(call, silence_is_asked_about_once_and_then_ends)
{
    struct rig g;
    rig_init(&g);
    open_talk(&g);
    pass(&g.phone, 9000, true);
    cr_expect_not(was_told("respond silence"));
    pass(&g.phone, 1500, true);
    cr_expect(was_told("respond silence"));
    respond(&g, "item_1", "silence", "Are you still there?", 400, false);
    pass(&g.phone, 5000, true);
    cr_expect_eq(call_phase(g.call), CALL_TALKING);
    pass(&g.phone, 1000, true);
    cr_expect_eq(call_phase(g.call), CALL_CLOSING);
    respond(&g, "item_2", CALL_FAREWELL_TAG, "Goodbye.", 300, false);
    leave(&g);
    cr_expect_eq(g.end, CALL_END_SILENCE);
    rig_fini(&g);
}

Test(call, the_time_is_limited)
{
    struct rig g;
    rig_init(&g);
    open_talk(&g);
    for (int i = 0; i < 20; i++) {
        char id[16];
        (void)snprintf(id, sizeof id, "item_%d", i);
        lead_says(id, "Tell me more.");
        pass(&g.phone, 5000, true);
    }
    cr_expect(was_told("system About thirty seconds"));
    for (int i = 20; i < 24 && call_phase(g.call) == CALL_TALKING; i++) {
        char id[16];
        (void)snprintf(id, sizeof id, "item_%d", i);
        lead_says(id, "And more.");
        pass(&g.phone, 5000, true);
    }
    cr_expect_eq(call_phase(g.call), CALL_CLOSING);
    /* The model says nothing at all: eight seconds, then the line is closed. */
    pass(&g.phone, 8500, true);
    leave(&g);
    cr_expect_eq(g.end, CALL_END_MAX_DURATION);
    rig_fini(&g);
}

Test(call, never_again_said_typed_or_told)
{
    for (int way = 0; way < 3; way++) {
        struct rig g;
        rig_init(&g);
        open_talk(&g);
        respond(&g, "item_1", "", "May I tell you more about our kitchens?", 3000, false);
        pass(&g.phone, 500, true);
        if (way == 0) {
            lead_says("item_2", "No. Please don't call me again!");
        } else if (way == 1) {
            phone_say(&g.phone,
                      "{\"event\":\"dtmf\",\"streamId\":\"s-1\",\"dtmf\":{\"digit\":\"9\"}}");
            settle_io(g.loop);
        } else {
            double_voice.on.on_response_start("r", "", double_voice.on.arg);
            tool(&g, "c1", "mark_do_not_call", "{\"words\":\"leave me alone\"}");
            response_end("", false);
        }
        static const char *const lines[] = {"opt_out phrase: No. Please don't call me again!",
                                            "opt_out dtmf: key 9", "opt_out model: leave me alone"};
        cr_expect(went_up(&g, lines[way]), "%s", buf_cstr(&g.ups));
        cr_expect_eq(call_phase(g.call), CALL_TALKING, "confirmed once it is on record");
        answer(&g, true, "");
        cr_expect_eq(call_phase(g.call), CALL_CLOSING);
        cr_expect(was_told("respond farewell The person does not want"));
        respond(&g, "item_bye", CALL_FAREWELL_TAG, "You will not be called again.", 400, false);
        leave(&g);
        cr_expect_eq(g.end, CALL_END_OPTED_OUT);
        rig_fini(&g);
    }
}

Test(call, an_opt_out_is_confirmed_even_when_the_database_sleeps)
{
    struct rig g;
    rig_init(&g);
    open_talk(&g);
    lead_says("item_2", "Take me off your list.");
    pass(&g.phone, 2500, true);
    cr_expect_eq(call_phase(g.call), CALL_TALKING);
    pass(&g.phone, 800, true);
    cr_expect_eq(call_phase(g.call), CALL_CLOSING);
    rig_fini(&g);
}

Test(call, never_again_as_last_words_counts)
{
    struct rig g;
    rig_init(&g);
    open_talk(&g);
    struct voice_handlers *on = &double_voice.on;
    on->on_speech_start("item_2", 100, on->arg);
    pass(&g.phone, 300, true);
    int before = double_voice.heard_count;
    ws_close(g.phone.ws, 1000, "");
    settle_io(g.loop);
    cr_expect_eq(double_voice.heard_count - before, 20,
                 "1.2 s of silence bring the sentence to its end");
    on->on_speech_stop("item_2", 900, on->arg);
    on->on_turn(VOICE_LEAD, "item_2", "", on->arg);
    on->on_text(VOICE_LEAD, "item_2", STR("Stop calling me!"), true, on->arg);
    leave(&g);
    cr_expect(went_up(&g, "opt_out phrase: Stop calling me!"));
    rig_fini(&g);
}

/* Whatever is wrong with how the model tells it. */
Test(call, never_again_counts_however_it_is_told)
{
    static const struct {
        const char *name;
        int tools_before;
        bool in_goodbye;
        const char *tool;
        const char *args;
        const char *line;
    } rows[] = {
        {"no words", 0, false, "mark_do_not_call", "{}", "opt_out model: mark_do_not_call"},
        {"no JSON", 0, false, "mark_do_not_call", "{\"wor", "opt_out model: mark_do_not_call"},
        {"too many tools", LIMIT_TOOL_CALLS, false, "mark_do_not_call", "{\"words\":\"stop\"}",
         "opt_out model: mark_do_not_call"},
        {"in the goodbye", 0, true, "end_call", "{\"reason\":\"do_not_call\"}",
         "opt_out model: end_call"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct rig g;
        rig_init(&g);
        open_talk(&g);
        for (int k = 0; k < rows[i].tools_before; k++) {
            double_voice.on.on_response_start("r", "", double_voice.on.arg);
            tool(&g, "n", "note_interest", "{\"level\":\"low\"}");
            response_end("", true);
        }
        if (rows[i].in_goodbye) {
            double_voice.on.on_response_start("r", "", double_voice.on.arg);
            tool(&g, "c0", "end_call", "{\"reason\":\"completed\"}");
            response_end("", false);
            cr_assert_eq(call_phase(g.call), CALL_CLOSING);
        }
        double_voice.on.on_response_start("r", "", double_voice.on.arg);
        tool(&g, "c1", rows[i].tool, rows[i].args);
        response_end("", false);
        cr_expect(went_up(&g, rows[i].line), "%s: %s", rows[i].name, buf_cstr(&g.ups));
        answer(&g, true, "");
        respond(&g, "item_bye", CALL_FAREWELL_TAG, "You will not be called again.", 400, false);
        leave(&g);
        cr_expect_eq(g.end, CALL_END_OPTED_OUT, "%s", rows[i].name);
        rig_fini(&g);
    }
}

Test(call, a_transfer_that_is_granted_is_announced_and_handed_over)
{
    struct rig g;
    rig_init(&g);
    open_talk(&g);
    double_voice.on.on_response_start("r", "", double_voice.on.arg);
    tool(&g, "c1", "transfer_to_human",
         "{\"reason\":\"wants a human\",\"summary\":\"Ann, kitchen\"}");
    response_end("", false);
    cr_expect(went_up(&g, "transfer wants a human: Ann, kitchen\n"));
    answer(&g, true, "");
    cr_expect_eq(call_phase(g.call), CALL_HANDOVER);
    cr_expect(was_told("result+ c1 {\"ok\":true"));
    pass(&g.phone, 200, true);
    cr_expect_eq(call_phase(g.call), CALL_HANDOVER, "the line is not spoken yet");
    respond(&g, "item_1", "", "I connect you to a colleague.", 500, false);
    pass(&g.phone, 300, true);
    cr_expect_eq(call_phase(g.call), CALL_HANDOVER);
    pass(&g.phone, 500, true);
    leave(&g);
    cr_expect_eq(g.next, CALL_NEXT_TRANSFER);
    cr_expect_eq(g.end, CALL_END_TRANSFERRED);
    cr_expect_not(went_up(&g, "disconnect_reason"), "whether somebody takes it is not known yet");
    rig_fini(&g);
}

Test(call, a_transfer_already_announced_needs_no_second_line)
{
    struct rig g;
    rig_init(&g);
    open_talk(&g);
    respond(&g, "item_1", "", "One moment, I connect you.", 500, true);
    tool(&g, "c1", "transfer_to_human", "{\"reason\":\"r\",\"summary\":\"s\"}");
    answer(&g, true, "");
    response_end("", true);
    cr_expect(was_told("result c1 {\"ok\":true"));
    pass(&g.phone, 400, true);
    cr_expect_eq(call_phase(g.call), CALL_HANDOVER);
    pass(&g.phone, 400, true);
    leave(&g);
    cr_expect_eq(g.next, CALL_NEXT_TRANSFER);
    rig_fini(&g);
}

Test(call, a_transfer_refused_goes_on_talking)
{
    struct rig g;
    rig_init(&g);
    open_talk(&g);
    double_voice.on.on_response_start("r", "", double_voice.on.arg);
    tool(&g, "c1", "transfer_to_human", "{\"reason\":\"r\",\"summary\":\"s\"}");
    response_end("", false);
    answer(&g, false, "everybody is busy");
    cr_expect_eq(call_phase(g.call), CALL_TALKING);
    cr_expect(was_told("result+ c1 {\"ok\":false,\"reason\":\"everybody is busy\"}"));
    rig_fini(&g);
}

Test(call, a_callback_is_booked_when_the_database_says_so)
{
    struct rig g;
    rig_init(&g);
    open_talk(&g);
    double_voice.on.on_response_start("r", "", double_voice.on.arg);
    tool(&g, "c1", "schedule_callback",
         "{\"when\":\"2026-11-19T15:00:00+01:00\",\"note\":\"after work\"}");
    response_end("", false);
    cr_expect(went_up(&g, "callback 1795096800000000: after work"), "%s", buf_cstr(&g.ups));
    cr_expect_not(was_told("result"));
    answer(&g, true, "");
    cr_expect(was_told("result+ c1 {\"ok\":true,\"booked_for\":\"2026-"));
    /* The same again is not booked again. */
    buf_clear(&g.ups);
    double_voice.on.on_response_start("r", "", double_voice.on.arg);
    tool(&g, "c2", "schedule_callback",
         "{\"note\":\"after work\",\"when\":\"2026-11-19T15:00:00+01:00\"}");
    response_end("", false);
    cr_expect_not(went_up(&g, "callback"));
    cr_expect(was_told("result+ c2 {\"ok\":true,\"booked_for\":\"2026-"));
    rig_fini(&g);
}

Test(call, tools_are_counted_and_their_arguments_checked)
{
    struct rig g;
    rig_init(&g);
    open_talk(&g);
    for (int i = 0; i < 12; i++) {
        char id[8];
        (void)snprintf(id, sizeof id, "c%d", i);
        double_voice.on.on_response_start("r", "", double_voice.on.arg);
        tool(&g, id, "note_interest",
             i == 0 ? "{\"level\":\"high\",\"lead_id\":\"x\"}" : "{\"level\":\"high\"}");
        response_end("", true);
    }
    cr_expect(was_told("result+ c0 {\"ok\":false"), "%s", buf_cstr(&double_voice.told));
    cr_expect(was_told("result c1 {\"ok\":true}"));
    cr_expect(was_told("result c11 {\"ok\":false,\"reason\":\"too many"));
    cr_expect(went_up(&g, "note {\"interest_level\":\"high\"}\n"));
    rig_fini(&g);
}

Test(call, a_model_lost_in_the_talk_is_excused)
{
    struct rig g;
    rig_init(&g);
    open_talk(&g);
    struct fault cut = fault_make(FAULT_UNSURE, 1006, "cut", "the socket broke");
    double_voice.on.on_closed(&cut, double_voice.on.arg);
    leave(&g);
    cr_expect_eq(g.end, CALL_END_MODEL_ERROR);
    cr_expect_eq(g.next, CALL_NEXT_APOLOGISE);
    cr_expect(went_up(&g, ": The call broke off for a technical reason"), "%s", buf_cstr(&g.ups));
    cr_expect(went_up(&g, "\"model_error\":\"cut\""));
    cr_expect(went_up(&g, "\"disconnect_reason\":\"model_error\""));
    rig_fini(&g);
}

Test(call, a_model_lost_while_it_rings_is_tried_again)
{
    struct rig g;
    rig_init(&g);
    struct fault busy = fault_make(FAULT_BUSY, 429, "rate_limit", "later");
    double_voice.on.on_closed(&busy, double_voice.on.arg);
    cr_expect_eq(double_voice.opens, 1);
    loop_advance(g.loop, 1100 * US_PER_MS);
    cr_expect_eq(double_voice.opens, 2);
    open_talk(&g);
    rig_fini(&g);
}

/* Its successor has to be told what was spoken, and nobody is asked while there is none. */
Test(call, a_model_lost_while_the_opening_plays_from_disk_is_replaced)
{
    struct rig g;
    rig_init(&g);
    open_talk(&g);
    call_end(g.call, CALL_END_CANCELLED);
    leave(&g);
    phone_fini(&g.phone);
    g.over = 0;
    buf_clear(&double_voice.told);

    phone_init(&g.phone, g.loop);
    call_make(&g);
    attach(&g);
    ready();
    cr_assert_eq(call_phase(g.call), CALL_OPENING);
    pass(&g.phone, 300, true);
    cr_assert(was_told("spoken " DISCLOSURE " " GREETING));
    buf_clear(&double_voice.told);
    struct fault cut = fault_make(FAULT_UNSURE, 1006, "cut", "the socket broke");
    double_voice.on.on_closed(&cut, double_voice.on.arg);
    pass(&g.phone, 600, true);
    cr_expect_eq(call_phase(g.call), CALL_OPENING, "heard to its end, and nobody to talk");
    pass(&g.phone, 600, true);
    cr_assert(double_voice.open, "tried again");
    ready();
    cr_expect(was_told("spoken " DISCLOSURE " " GREETING));
    cr_expect_eq(call_phase(g.call), CALL_TALKING);
    call_end(g.call, CALL_END_CANCELLED);
    leave(&g);
    rig_fini(&g);
}

Test(call, a_call_that_nobody_answers_is_not_kept_warm_for_ever)
{
    struct rig g;
    rig_init(&g);
    ready();
    loop_advance(g.loop, 59 * US_PER_S);
    cr_expect_eq(call_phase(g.call), CALL_WARMING);
    loop_advance(g.loop, 2 * US_PER_S);
    leave(&g);
    cr_expect_eq(g.end, CALL_END_CANCELLED);
    cr_expect_not(double_voice.open, "the model's socket is closed");
    (void)close(g.phone.other_fd);
    rig_fini(&g);
}

Test(call, a_model_that_never_comes_ends_the_call)
{
    struct rig g;
    rig_init(&g);
    attach(&g);
    pass(&g.phone, 7000, true);
    cr_expect_eq(call_phase(g.call), CALL_JOINING);
    pass(&g.phone, 1500, true);
    leave(&g);
    cr_expect_eq(g.end, CALL_END_MODEL_ERROR);
    rig_fini(&g);
}

Test(call, not_answered_leaves_at_once)
{
    struct rig g;
    rig_init(&g);
    ready();
    call_end(g.call, CALL_END_CANCELLED);
    leave(&g);
    cr_expect_eq(g.end, CALL_END_CANCELLED);
    cr_expect_not(went_up(&g, "note"));
    cr_expect_not(went_up(&g, "recording"));
    (void)close(g.phone.other_fd);
    rig_fini(&g);
}

Test(call, a_second_socket_is_refused)
{
    struct rig g;
    rig_init(&g);
    open_talk(&g);
    int fds[2];
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    struct call_down *m = call_down_new(DOWN_SOCKET, (struct call_ref){3, 7}, STR_NONE);
    m->fd = fds[1];
    call_socket(g.call, m);
    call_down_free(m);
    char byte;
    cr_expect_eq(read(fds[0], &byte, 1), 0, "closed");
    (void)close(fds[0]);
    cr_expect_eq(call_phase(g.call), CALL_TALKING);
    rig_fini(&g);
}

Test(call, a_response_that_fails_twice_ends_the_call)
{
    struct rig g;
    rig_init(&g);
    open_talk(&g);
    struct voice_handlers *on = &double_voice.on;
    on->on_response_start("r1", "", on->arg);
    on->on_response_end("r1", "", "failed", false, false, on->arg);
    cr_expect(was_told("respond again"));
    cr_expect_eq(call_phase(g.call), CALL_TALKING);
    on->on_response_start("r2", "again", on->arg);
    on->on_response_end("r2", "again", "failed", false, false, on->arg);
    leave(&g);
    cr_expect_eq(g.end, CALL_END_MODEL_ERROR);
    rig_fini(&g);
}

Test(call, usage_is_reported)
{
    struct rig g;
    rig_init(&g);
    open_talk(&g);
    struct voice_usage usage = {.audio_in = 100, .audio_out = 50, .cost_micros_usd = 4200};
    double_voice.on.on_usage("resp_9", &usage, double_voice.on.arg);
    cr_expect(went_up(&g, "usage realtime resp_9 {\"text_in\":0"));
    cr_expect(went_up(&g, "\"model\":\"m\"}"));
    rig_fini(&g);
}

Test(call, nonsense_on_the_stream_ends_politely_and_is_on_record)
{
    struct rig g;
    rig_init(&g);
    open_talk(&g);
    for (int i = 0; i < 5; i++) {
        phone_say(&g.phone, "{\"event\":");
        settle_io(g.loop);
    }
    leave(&g);
    cr_expect_eq(g.end, CALL_END_PROVIDER_ERROR);
    cr_expect(went_up(&g, "recording recordings/")); /* relative to the data directory */
    cr_expect(went_up(&g, "ended provider_error"));
    rig_fini(&g);
}
