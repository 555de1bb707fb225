/* Webhooks over real sockets; the database's side is what each test says. */
#include "api/api_test.h"

#include "base/clock.h"
#include "base/crypto.h"
#include "base/limits.h"
#include "base/metrics.h"

TestSuite(webhook, .init = world_open, .fini = world_close);

static void reopen_accounts(int64_t reread_min_ms)
{
    peer_close(&w.peer);
    accounts_close(&w.accounts);
    api_close(&w.api);
    world_open_accounts(reread_min_ms);
    w.env.accounts = w.accounts;
    world_open_api();
}

Test(webhook, an_answer_opens_the_stream)
{
    cr_assert_eq(world_post((struct post){.kind = "answer", .body = ANSWER_BODY, .token = TOKEN}),
                 200);
    WAIT_FOR(w.loop, peer_has(&w.peer, "</Response>"));
    cr_expect(peer_has(&w.peer, "Content-Type: application/xml"));
    cr_expect(peer_has(&w.peer,
                       "<Redirect method=\"POST\">https://voice.example.com/carrier/plivo/after/"));
    cr_expect_eq(w.answers, 1);
    cr_expect_eq(w.on_answers, 1);
    cr_expect_str_eq(w.event_key, CALL);
    cr_expect_eq(w.organization_id.b[0], 2);
    cr_expect_eq(w.token_life_us, 30 * US_PER_S);
    /* The token in the answer is the one whose hash was stored. */
    struct str in = buf_str(&w.peer.in);
    struct str mark = STR("wss://voice.example.com/media/");
    while (in.len > 0 && !str_starts(in, mark)) {
        in = str_skip(in, 1);
    }
    struct str token = str_head(str_skip(in, mark.len), 43);
    uint8_t hash[SHA256_BYTES];
    sha256(token, hash);
    cr_expect_arr_eq(hash, w.token_hash, sizeof hash);
}

Test(webhook, two_answers_have_two_tokens)
{
    uint8_t first[SHA256_BYTES];
    world_post((struct post){.kind = "answer", .body = ANSWER_BODY, .token = TOKEN});
    memcpy(first, w.token_hash, sizeof first);
    world_post((struct post){.kind = "answer", .body = ANSWER_BODY, .token = TOKEN});
    cr_assert_arr_neq(first, w.token_hash, sizeof first);
}

Test(webhook, an_answer_that_may_not_be_talked_to)
{
    static const struct {
        const char *reason;
        bool spoken;
    } rows[] = {{"opted_out", true}, {"dnc_internal", true}, {"outside_window", true},
                {"ended", false},    {"not_placed", false},  {"no_such_call", true}};
    w.talk = false;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        w.reason = rows[i].reason;
        cr_assert_eq(
            world_post((struct post){.kind = "answer", .body = ANSWER_BODY, .token = TOKEN}), 200);
        WAIT_FOR(w.loop, peer_has(&w.peer, "</Response>"));
        cr_expect_not(peer_has(&w.peer, "<Stream"), "%s", rows[i].reason);
        cr_expect(peer_has(&w.peer, "<Hangup/>"));
        cr_expect_eq(peer_has(&w.peer, "<Speak"), rows[i].spoken, "%s", rows[i].reason);
    }
    cr_expect_eq(w.on_answers, 0);
}

Test(webhook, a_hangup_is_settled)
{
    int64_t applied = metric_read("webhooks_total", "applied");
    cr_assert_eq(world_post((struct post){.kind = "hangup", .body = HANGUP_BODY, .token = TOKEN}),
                 200);
    cr_expect_eq(w.hangups, 1);
    cr_expect_eq(w.on_hangups, 1);
    cr_expect_eq(w.end.cause_code, 3010);
    cr_expect_str_eq(w.end.outcome, "busy");
    cr_expect_gt(w.end.ended_us, 0, "a report without its time ends the call now");
    cr_expect_eq(metric_read("webhooks_total", "applied"), applied + 1);
}

Test(webhook, other_reports_reach_the_inbox)
{
    static const struct {
        const char *kind;
        const char *body;
        const char *stored_as;
    } rows[] = {
        {"ring", "Event=Ring&CallUUID=c1", "ring"},
        {"stream", "Event=StartStream&StreamID=s1&CallUUID=c1", "stream"},
        {"machine", "Event=MachineDetection&Machine=true&CallUUID=c1", "machine"},
        {"machine", "Event=MachineDetection&Machine=false&CallUUID=c1", "not_machine"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        cr_expect_eq(
            world_post((struct post){.kind = rows[i].kind, .body = rows[i].body, .token = TOKEN}),
            200);
        cr_expect_str_eq(w.kind, rows[i].stored_as);
        cr_expect_eq(w.events, (int)i + 1);
    }
    cr_expect_eq(w.on_events, 4);
}

Test(webhook, what_comes_next_is_asked)
{
    static const struct {
        const char *kind;
        const char *body;
        enum carrier_next next;
        const char *xml;
    } rows[] = {
        {"after", "CallUUID=c1", CARRIER_NEXT_AGENT, "<Number>+14155550199</Number>"},
        {"after", "CallUUID=c1", CARRIER_NEXT_HANGUP, "<Hangup/>"},
        {"agent-whisper", "CallUUID=c2", CARRIER_NEXT_WHISPER, ">Press 1.</Speak>"},
        {"agent-action", "CallUUID=c1&DialStatus=no-answer", CARRIER_NEXT_SAY_END, "<Speak"},
        {"agent-event", "CallUUID=c1&DialAction=answer", CARRIER_NEXT_NOTHING, "<Response/>"},
        {"recording", "RecordingID=r1&RecordUrl=u", CARRIER_NEXT_NOTHING, "<Response/>"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        w.follow_next = rows[i].next;
        cr_expect_eq(
            world_post((struct post){.kind = rows[i].kind, .body = rows[i].body, .token = TOKEN}),
            200, "%s", rows[i].kind);
        WAIT_FOR(w.loop, peer_has(&w.peer, "Response"));
        cr_expect(peer_has(&w.peer, rows[i].xml), "%s: %s", rows[i].kind, buf_cstr(&w.peer.in));
    }
    cr_expect_eq(w.follows, (int)COUNT_OF(rows));
}

Test(webhook, without_a_desk_the_call_ends)
{
    peer_close(&w.peer);
    api_close(&w.api);
    w.env.hooks = (struct api_hooks){.follow = NULL};
    world_open_api();
    cr_assert_eq(world_post((struct post){.kind = "after", .body = "CallUUID=c1", .token = TOKEN}),
                 200);
    WAIT_FOR(w.loop, peer_has(&w.peer, "</Response>"));
    cr_expect(peer_has(&w.peer, "<Hangup/>"));
    cr_expect_eq(w.events, 1);
    cr_expect_str_eq(w.kind, "after");
}

/* Unsigned, forged, expired, of another kind: 403, counted, and no row is touched. */
Test(webhook, forgeries_change_nothing)
{
    static const struct {
        const char *name;
        struct post post;
        const char *counter;
        int status;
    } rows[] = {
        {"unsigned", {.kind = "answer", .body = ANSWER_BODY, .token = NULL}, "forged", 403},
        {"another token",
         {.kind = "answer", .body = ANSWER_BODY, .token = "not the token"},
         "forged",
         403},
        {"another host",
         {.kind = "answer",
          .body = ANSWER_BODY,
          .token = TOKEN,
          .signed_url = "https://evil.example.net"},
         "forged",
         403},
        {"another scheme",
         {.kind = "answer",
          .body = ANSWER_BODY,
          .token = TOKEN,
          .signed_url = "http://voice.example.com"},
         "forged",
         403},
        {"another kind's path",
         {.kind = "ring", .body = ANSWER_BODY, .token = TOKEN, .path_kind = "answer"},
         "forged",
         403},
        {"no such kind",
         {.kind = "answer", .body = ANSWER_BODY, .token = TOKEN, .path_kind = "nonsense"},
         "forged",
         403},
        {"spoiled mac",
         {.kind = "answer", .body = ANSWER_BODY, .token = TOKEN, .spoil = 1},
         "forged",
         403},
        {"expired",
         {.kind = "answer", .body = ANSWER_BODY, .token = TOKEN, .expires_s = 1000},
         "expired",
         403},
        {"broken form",
         {.kind = "answer", .body = "CallUUID=a&CallUUID=b", .token = TOKEN},
         "broken",
         400},
        {"no call", {.kind = "answer", .body = "Event=StartApp", .token = TOKEN}, "broken", 400},
        {"a hang-up at the answer's address",
         {.kind = "answer", .body = HANGUP_BODY, .token = TOKEN},
         "broken",
         400},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        int64_t before = metric_read("webhooks_total", rows[i].counter);
        int status = world_post(rows[i].post);
        cr_expect_eq(status, rows[i].status, "%s: %d", rows[i].name, status);
        cr_expect_eq(metric_read("webhooks_total", rows[i].counter), before + 1, "%s",
                     rows[i].name);
        cr_expect_eq(world_rows_changed(), 0, "%s", rows[i].name);
    }
}

/* A forged path does not even make the database look for the account. */
Test(webhook, a_forged_path_asks_nobody)
{
    world_post((struct post){.kind = "answer", .body = ANSWER_BODY, .token = TOKEN, .spoil = 1});
    cr_assert_eq(w.account_reads, 0);
}

Test(webhook, too_large_is_refused)
{
    static char body[LIMIT_WEBHOOK_BODY_BYTES + 64];
    int64_t before = metric_read("webhooks_total", "too_large");
    memset(body, 'a', LIMIT_WEBHOOK_BODY_BYTES + 1);
    cr_expect_eq(world_post((struct post){.kind = "answer", .body = body, .token = NULL}), 413);
    cr_expect_eq(metric_read("webhooks_total", "too_large"), before + 1);
    cr_expect_eq(world_rows_changed(), 0);
}

Test(webhook, a_replay_is_told_as_one)
{
    int64_t before = metric_read("webhooks_total", "duplicate");
    cr_assert_eq(world_post((struct post){.kind = "hangup", .body = HANGUP_BODY, .token = TOKEN}),
                 200);
    w.duplicate = true;
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(
            world_post((struct post){.kind = "hangup", .body = HANGUP_BODY, .token = TOKEN}), 200);
    }
    cr_assert_eq(metric_read("webhooks_total", "duplicate"), before + 3);
}

Test(webhook, an_anomaly_is_an_alarm)
{
    int64_t before = metric_read("anomalies_total", NULL);
    w.anomaly = true;
    w.talk = false;
    w.reason = "not_placed";
    cr_assert_eq(world_post((struct post){.kind = "answer", .body = ANSWER_BODY, .token = TOKEN}),
                 200);
    WAIT_FOR(w.loop, peer_has(&w.peer, "</Response>"));
    cr_expect(peer_has(&w.peer, "<Hangup/>"));
    cr_expect_eq(metric_read("anomalies_total", NULL), before + 1);
    cr_assert_eq(world_post((struct post){.kind = "hangup", .body = HANGUP_BODY, .token = TOKEN}),
                 200);
    cr_expect_eq(w.on_hangups, 0);
}

/* Nothing is acknowledged that is not committed. */
Test(webhook, without_its_commit_nothing_is_acknowledged)
{
    static const struct {
        enum fault_class class;
        int status;
    } rows[] = {{FAULT_NOT_SENT, 503},
                {FAULT_UNSURE, 503},
                {FAULT_BUSY, 503},
                {FAULT_REFUSED, 500},
                {FAULT_BROKEN, 500}};
    static const struct post posts[] = {{.kind = "answer", .body = ANSWER_BODY, .token = TOKEN},
                                        {.kind = "hangup", .body = HANGUP_BODY, .token = TOKEN},
                                        {.kind = "ring", .body = "CallUUID=c1", .token = TOKEN},
                                        {.kind = "after", .body = "CallUUID=c1", .token = TOKEN}};
    cr_assert_eq(world_post((struct post){.kind = "ring", .body = "CallUUID=c1", .token = TOKEN}),
                 200); /* the account is known now */
    w.on_events = 0;
    for (size_t k = 0; k < COUNT_OF(posts); k++) {
        for (size_t i = 0; i < COUNT_OF(rows); i++) {
            w.fault = fault_make(rows[i].class, 0, "", "away");
            int status = world_post(posts[k]);
            cr_expect_eq(status, rows[i].status, "%s %zu: %d", posts[k].kind, i, status);
            cr_expect_not(peer_has(&w.peer, "<Response"));
        }
    }
    cr_expect_eq(w.on_events + w.on_answers + w.on_hangups, 0);
    w.fault = fault_none();
    w.refuse = -EBUSY;
    cr_expect_eq(world_post(posts[0]), 503);
}

Test(webhook, what_cannot_be_adopted_now_is_to_be_said_again)
{
    w.talk = false;
    w.reason = "no_such_call";
    cr_expect_eq(world_post((struct post){.kind = "answer",
                                          .body = ANSWER_BODY "&From=16465550001&To=14155550199",
                                          .token = TOKEN}),
                 503);
    cr_expect_not(peer_has(&w.peer, "<Response"));
}

Test(webhook, without_the_database_nobody_is_believed_or_accused)
{
    int64_t forged = metric_read("webhooks_total", "forged");
    w.fault = fault_make(FAULT_NOT_SENT, 0, "", "away");
    cr_expect_eq(world_post((struct post){.kind = "answer", .body = ANSWER_BODY, .token = TOKEN}),
                 503);
    cr_expect_eq(metric_read("webhooks_total", "forged"), forged);
    w.fault = fault_none();
    cr_expect_eq(world_post((struct post){.kind = "answer", .body = ANSWER_BODY, .token = TOKEN}),
                 200);
}

Test(webhook, the_fallback_needs_no_database)
{
    w.refuse = -EBUSY;
    cr_assert_eq(world_post((struct post){
                     .kind = "fallback", .body = "Event=StartApp&CallUUID=c1", .token = NULL}),
                 200);
    WAIT_FOR(w.loop, peer_has(&w.peer, "</Response>"));
    cr_expect(peer_has(&w.peer, "<Speak") && peer_has(&w.peer, "<Hangup/>"));
    cr_expect_eq(world_rows_changed(), 0);
    cr_expect_eq(world_post((struct post){
                     .kind = "fallback", .body = "CallUUID=c1", .token = NULL, .spoil = 1}),
                 403);
}

/* The token was changed at the carrier and in our row; the cache still has the old one. */
Test(webhook, a_rotated_token_is_found)
{
    cr_assert_eq(world_post((struct post){.kind = "ring", .body = "CallUUID=c1", .token = TOKEN}),
                 200);
    w.account_token = "the new token";
    cr_expect_eq(
        world_post((struct post){.kind = "ring", .body = "CallUUID=c1", .token = "the new token"}),
        403, "read just now");
    cr_expect_eq(w.account_reads, 1);
    reopen_accounts(-1);
    w.account_token = TOKEN;
    cr_assert_eq(world_post((struct post){.kind = "ring", .body = "CallUUID=c1", .token = TOKEN}),
                 200);
    w.account_token = "the new token";
    w.account_reads = 0;
    cr_expect_eq(
        world_post((struct post){.kind = "ring", .body = "CallUUID=c1", .token = "the new token"}),
        200);
    cr_expect_eq(w.account_reads, 1);
    cr_expect_eq(
        world_post((struct post){.kind = "ring", .body = "CallUUID=c1", .token = "nobody's"}), 403);
    cr_expect_eq(w.account_reads, 2);
}

Test(webhook, a_client_that_leaves_is_no_forger)
{
    int64_t forged = metric_read("webhooks_total", "forged");
    OWNED(buf_fini) struct buf path;
    OWNED(buf_fini) struct buf text;
    const struct post p = {.kind = "ring", .body = "CallUUID=c1", .token = TOKEN};
    world_path(&p, &path);
    buf_init(&text, 4096);
    buf_addf(&text, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 11\r\n\r\nCallUUID=c1",
             buf_cstr(&path));
    w.silent = true;
    world_send(&text);
    WAIT_FOR(w.loop, w.account_reads == 1);
    peer_close(&w.peer);
    loop_run_once(w.loop, false);
    cr_expect_eq(metric_read("webhooks_total", "forged"), forged);
    cr_expect_eq(world_rows_changed(), 0);
} /* and closing answers what was kept */
