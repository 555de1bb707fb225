/* The routes over real sockets; the database's side is what each test says. */
#include "api/api.h"

#include "base/clock.h"
#include "base/crypto.h"
#include "base/limits.h"
#include "base/metrics.h"
#include "carrier/plivo/signature.h"
#include "media/recording_url.h"
#include "net/net_test.h"
#include "store/seal.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#define KEK   "a key of at least thirty-two bytes, for tests"
#define TOKEN "the account's auth token"
#define CALL  "64d3290a-87a6-46b4-a6e2-20f5f4e07a02"

struct world {
    struct loop *loop;
    struct api *api;
    struct accounts *accounts;
    struct carrier_urls urls;
    struct api_env env;
    char data_dir[64];
    /* the database's side */
    struct fault fault; /* of the next statement */
    int refuse;         /* what a statement's start returns */
    bool silent;        /* the statement never answers */
    int account_reads;
    const char *account_token; /* what the account's row holds now */
    bool talk;
    const char *reason;
    bool duplicate;
    bool anomaly;
    int events, answers, hangups, tokens, files, levels;
    char kind[32];
    char event_key[160];
    char call_uuid[64];
    struct uuid organization_id;
    struct store_end end;
    uint8_t token_hash[32];
    int64_t token_life_us;
    bool token_known;
    const char *path;
    int32_t level;
    /* what the hooks heard */
    int on_events, on_answers, on_hangups, follows;
    struct api_media media;
    int media_fd;
    struct http_socket *media_handle;
    enum carrier_next follow_next;
    /* the client's side */
    struct peer peer;
};

static struct world w;

/* --- the database's side: answers come on a later turn, as they must ---------------------------- */

enum which { EVENT, ANSWER, HANGUP, MEDIA_TOKEN, RECORDING_FILE, LEVEL, ACCOUNTS };

struct later {
    enum which which;
    void (*fn)(void); /* the statement's on_done, by `which` */
    void *arg;
};

static void answer_accounts(const struct later *l)
{
    const struct uuid organization_id = {{2}};
    const struct seal_place place = {
        .organization_id = organization_id, .column = SEAL_CARRIER_TOKEN, .id = {{9}}};
    static struct store_account row;
    OWNED(buf_fini) struct buf sealed;
    buf_init(&sealed, STORE_SEALED_SIZE);
    row =
        (struct store_account){.id = {{9}}, .provider = "plivo", .auth_id = "MA1", .active = true};
    cr_assert_eq(seal_close(STR(KEK), &place, str_of(w.account_token), &sealed), 0);
    memcpy(row.token, sealed.p, sealed.len);
    row.token_bytes = sealed.len;
    ((store_accounts_fn *)l->fn)(&w.fault, &row, w.fault.class == FAULT_NONE ? 1 : 0, l->arg);
}

static void on_later(void *arg)
{
    struct later l = *(struct later *)arg;
    xfree(arg);
    const struct uuid call_id = {{1}};
    const struct uuid organization_id = {{2}};
    const struct uuid nil = {{0}};
    bool known = w.token_known && w.fault.class == FAULT_NONE;
    const struct store_event_result event = {
        .applied = !w.duplicate, .duplicate = w.duplicate, .anomaly = w.anomaly, .known = true};
    const struct store_answer_result answer = {
        .talk = w.talk, .reason = str_of(w.reason), .duplicate = w.duplicate, .anomaly = w.anomaly};
    const struct store_hangup_result hangup = {
        .status = STR("ended"), .duplicate = w.duplicate, .anomaly = w.anomaly};
    switch (l.which) {
    case EVENT:
        ((store_event_fn *)l.fn)(&w.fault, &event, l.arg);
        return;
    case ANSWER:
        ((store_answer_fn *)l.fn)(&w.fault, &answer, l.arg);
        return;
    case HANGUP:
        ((store_hangup_fn *)l.fn)(&w.fault, &hangup, l.arg);
        return;
    case MEDIA_TOKEN:
        ((store_media_token_fn *)l.fn)(&w.fault, known ? &call_id : &nil, &organization_id,
                                       known ? STR(CALL) : STR_NONE, l.arg);
        return;
    case RECORDING_FILE:
        ((store_path_fn *)l.fn)(&w.fault, str_of(w.path), l.arg);
        return;
    case LEVEL:
        ((store_level_fn *)l.fn)(&w.fault, w.level, l.arg);
        return;
    case ACCOUNTS:
        answer_accounts(&l);
        return;
    }
}

static int later(enum which which, void (*fn)(void), void *arg)
{
    if (w.refuse < 0) {
        return w.refuse;
    }
    if (w.silent) {
        return 0;
    }
    struct later *l = xzalloc(sizeof *l);
    *l = (struct later){which, fn, arg};
    loop_defer(w.loop, on_later, l);
    return 0;
}

static void keep_report(const struct store_report *r)
{
    str_copy_cut(str_of(r->kind), w.kind, sizeof w.kind);
    str_copy_cut(str_of(r->event_key), w.event_key, sizeof w.event_key);
    str_copy_cut(str_of(r->call_uuid), w.call_uuid, sizeof w.call_uuid);
    w.organization_id = *r->organization_id;
}

static int fake_event(struct pg_tx **op, struct pg_pool *db, const struct store_report *r,
                      store_event_fn *on_done, void *arg)
{
    (void)op;
    (void)db;
    w.events++;
    keep_report(r);
    return later(EVENT, (void (*)(void))on_done, arg);
}

static int fake_answer(struct pg_tx **op, struct pg_pool *db, const struct store_report *r,
                       const uint8_t token_hash[32], int64_t expires_us, store_answer_fn *on_done,
                       void *arg)
{
    (void)op;
    (void)db;
    w.answers++;
    keep_report(r);
    memcpy(w.token_hash, token_hash, sizeof w.token_hash);
    w.token_life_us = expires_us - r->at_us;
    return later(ANSWER, (void (*)(void))on_done, arg);
}

static int fake_hangup(struct pg_tx **op, struct pg_pool *db, const struct store_report *r,
                       const struct store_end *end, store_hangup_fn *on_done, void *arg)
{
    (void)op;
    (void)db;
    w.hangups++;
    keep_report(r);
    w.end = *end;
    return later(HANGUP, (void (*)(void))on_done, arg);
}

static int fake_media_token(struct pg_tx **op, struct pg_pool *db, const uint8_t token_hash[32],
                            int64_t at_us, store_media_token_fn *on_done, void *arg)
{
    (void)op;
    (void)db;
    (void)at_us;
    w.tokens++;
    memcpy(w.token_hash, token_hash, sizeof w.token_hash);
    return later(MEDIA_TOKEN, (void (*)(void))on_done, arg);
}

static int fake_recording_file(struct pg_tx **op, struct pg_pool *db,
                               const struct uuid *organization_id, const struct uuid *recording_id,
                               store_path_fn *on_done, void *arg)
{
    (void)op;
    (void)db;
    (void)recording_id;
    w.files++;
    w.organization_id = *organization_id;
    return later(RECORDING_FILE, (void (*)(void))on_done, arg);
}

static int fake_level(struct pg_tx **op, struct pg_pool *db, store_level_fn *on_done, void *arg)
{
    (void)op;
    (void)db;
    w.levels++;
    return later(LEVEL, (void (*)(void))on_done, arg);
}

static int fake_accounts(struct pg_tx **op, struct pg_pool *db, const struct uuid *organization_id,
                         store_accounts_fn *on_done, void *arg)
{
    (void)op;
    (void)db;
    (void)organization_id;
    w.account_reads++;
    return later(ACCOUNTS, (void (*)(void))on_done, arg);
}

static const struct api_store fakes = {fake_event,       fake_answer,         fake_hangup,
                                       fake_media_token, fake_recording_file, fake_level};

/* --- hooks --------------------------------------------------------------------------------------- */

static void on_event(const struct carrier_identity *id, const struct carrier_event *ev, void *arg)
{
    (void)id;
    (void)ev;
    (void)arg;
    w.on_events++;
}

static void on_answer(const struct carrier_identity *id, const struct carrier_event *ev, void *arg)
{
    (void)arg;
    (void)ev;
    cr_expect_eq(id->attempt_number, 1);
    w.on_answers++;
}

static void on_hangup(const struct carrier_identity *id, const struct carrier_event *ev, void *arg)
{
    (void)id;
    (void)ev;
    (void)arg;
    w.on_hangups++;
}

struct followed {
    api_reply_fn *on_done;
    void *arg;
};

static void on_follow_later(void *arg)
{
    struct followed f = *(struct followed *)arg;
    xfree(arg);
    const struct carrier_instruction what = {
        .next = w.follow_next,
        .identity = {.attempt_number = 1, .expires_s = 2000000000},
        .agent_e164 = "+14155550199",
        .text = "Press 1.",
        .language = "en-US"};
    f.on_done(&w.fault, &what, f.arg);
}

static int follow(const struct carrier_identity *id, const struct carrier_event *ev,
                  api_reply_fn *on_done, void *on_done_arg, void *arg)
{
    (void)id;
    (void)ev;
    (void)arg;
    w.follows++;
    struct followed *f = xzalloc(sizeof *f);
    *f = (struct followed){on_done, on_done_arg};
    loop_defer(w.loop, on_follow_later, f);
    return 0;
}

static void on_media_socket(const struct api_media *media, int fd, struct str already_read,
                            struct http_socket *handle, void *arg)
{
    (void)already_read;
    (void)arg;
    w.media = *media;
    w.media_fd = fd;
    w.media_handle = handle;
}

/* --- world --------------------------------------------------------------------------------------- */

static void open_api(void)
{
    cr_assert_eq(api_open(&w.api, &w.env), 0);
}

static void open_accounts(int64_t reread_min_ms)
{
    const struct accounts_env accounts = {.loop = w.loop,
                                          .load = fake_accounts,
                                          .kek = KEK,
                                          .api_url = "https://api.plivo.com/v1",
                                          .reread_min_ms = reread_min_ms};
    cr_assert_eq(accounts_open(&w.accounts, &accounts), 0);
}

static void set_up(void)
{
    w = (struct world){
        .account_token = TOKEN, .talk = true, .reason = "", .media_fd = -1, .level = 60};
    w.fault = fault_none();
    w.loop = loop_new(LOOP_REAL);
    w.urls.public_url = "https://voice.example.com";
    memset(w.urls.callback_key, 7, sizeof w.urls.callback_key);
    str_copy_cut(STR("/tmp/dw_api_XXXXXX"), w.data_dir, sizeof w.data_dir);
    cr_assert_not_null(mkdtemp(w.data_dir));
    open_accounts(0);
    w.env = (struct api_env){.loop = w.loop,
                             .accounts = w.accounts,
                             .urls = &w.urls,
                             .store = &fakes,
                             .listen = "127.0.0.1:0",
                             .data_dir = w.data_dir,
                             .schema_level = 60,
                             .hooks = {.follow = follow,
                                       .on_event = on_event,
                                       .on_answer = on_answer,
                                       .on_hangup = on_hangup,
                                       .on_media_socket = on_media_socket}};
    recording_url_key(STR("a secret of at least thirty-two bytes"), w.env.recording_key);
    open_api();
}

static void tear_down(void)
{
    peer_close(&w.peer);
    accounts_close(&w.accounts);
    api_close(&w.api);
    loop_run_once(w.loop, false);
    loop_free(&w.loop);
    rmdir(w.data_dir);
}

TestSuite(api, .init = set_up, .fini = tear_down);

static void send_text(const struct buf *text)
{
    peer_close(&w.peer);
    peer_connect(&w.peer, w.loop, api_port(w.api));
    peer_send(&w.peer, buf_str(text));
}

static void wait_answer(void)
{
    WAIT_FOR(w.loop, peer_has(&w.peer, "\r\n\r\n"));
}

static int status_of(void)
{
    int64_t status = 0;
    wait_answer();
    cr_assert(str_starts(buf_str(&w.peer.in), STR("HTTP/1.1 ")), "%s", buf_cstr(&w.peer.in));
    cr_assert_eq(str_to_i64(str_head(str_skip(buf_str(&w.peer.in), 9), 3), &status), 0);
    return (int)status;
}

static int get(const char *target, const char *headers)
{
    OWNED(buf_fini) struct buf text;
    buf_init(&text, 65536);
    buf_addf(&text, "GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n%s\r\n", target, headers);
    send_text(&text);
    int status = status_of();
    WAIT_FOR(w.loop, w.peer.ended || status == 101);
    return status;
}

struct post {
    const char *kind;
    const char *body;
    const char *token;      /* signs; NULL: unsigned */
    const char *path_kind;  /* the path's word, when not `kind` */
    const char *signed_url; /* NULL: as it is */
    int64_t expires_s;      /* 0: in an hour */
    char spoil;             /* changes the identity's last digit */
};

static void make_path(const struct post *p, struct buf *path)
{
    int64_t in_an_hour = clock_wall_us() / US_PER_S + 3600;
    const struct carrier_identity id = {.attempt_id = {{1}},
                                        .organization_id = {{2}},
                                        .queue_id = {{3}},
                                        .attempt_number = 1,
                                        .expires_s = p->expires_s != 0 ? p->expires_s : in_an_hour};
    buf_init(path, 1024);
    buf_addf(path, "/carrier/plivo/%s/", p->path_kind != NULL ? p->path_kind : p->kind);
    cr_assert_eq(identity_write(&w.urls, p->kind, &id, path), 0);
    if (p->spoil != '\0') {
        path->p[path->len - 1] = path->p[path->len - 1] == 'a' ? 'b' : 'a';
    }
}

static void sign(const struct post *p, struct str path, char out[64])
{
    OWNED(buf_fini) struct buf url;
    OWNED(buf_fini) struct buf text;
    uint8_t mac[SHA256_BYTES];
    buf_init(&url, 4096);
    buf_init(&text, SIGNATURE_TEXT_MAX);
    buf_addf(&url, "%s" STR_FMT, p->signed_url != NULL ? p->signed_url : w.urls.public_url,
             STR_ARG(path));
    const struct signature_input in = {.post = true,
                                       .url = buf_str(&url),
                                       .body = str_of(p->body),
                                       .nonce = STR("12345678901234567890")};
    cr_assert_eq(signature_text(&in, &text), 0);
    hmac_sha256(str_of(p->token), buf_str(&text), mac);
    base64_encode(mac, sizeof mac, out);
}

static int post(struct post p)
{
    OWNED(buf_fini) struct buf path;
    OWNED(buf_fini) struct buf text;
    char signature[64];
    make_path(&p, &path);
    buf_init(&text, 1024 * 1024);
    buf_addf(&text, "POST %s HTTP/1.1\r\nHost: evil.example.net\r\nConnection: close\r\n",
             buf_cstr(&path));
    buf_add_cstr(&text, "Content-Type: application/x-www-form-urlencoded\r\n"
                        "X-Forwarded-Host: evil.example.net\r\nX-Plivo-Signature-V3-Nonce: "
                        "12345678901234567890\r\n");
    if (p.token != NULL) {
        sign(&p, buf_str(&path), signature);
        buf_addf(&text, "X-Plivo-Signature-V3: %s\r\n", signature);
    }
    buf_addf(&text, "Content-Length: %zu\r\n\r\n%s", strlen(p.body), p.body);
    send_text(&text);
    return status_of();
}

static int rows_changed(void)
{
    return w.events + w.answers + w.hangups + w.follows + w.on_events + w.on_answers + w.on_hangups;
}

#define ANSWER_BODY "Event=StartApp&CallUUID=" CALL "&RequestUUID=" CALL "&CallStatus=in-progress"
#define HANGUP_BODY                                                                                \
    "Event=Hangup&CallUUID=" CALL "&CallStatus=busy&HangupCauseCode=3010&HangupCause=USER_BUSY"

/* --- webhooks ------------------------------------------------------------------------------------ */

Test(api, an_answer_opens_the_stream)
{
    cr_assert_eq(post((struct post){.kind = "answer", .body = ANSWER_BODY, .token = TOKEN}), 200);
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

Test(api, two_answers_have_two_tokens)
{
    uint8_t first[SHA256_BYTES];
    post((struct post){.kind = "answer", .body = ANSWER_BODY, .token = TOKEN});
    memcpy(first, w.token_hash, sizeof first);
    post((struct post){.kind = "answer", .body = ANSWER_BODY, .token = TOKEN});
    cr_assert_arr_neq(first, w.token_hash, sizeof first);
}

Test(api, an_answer_that_may_not_be_talked_to)
{
    static const struct {
        const char *reason;
        bool spoken;
    } rows[] = {{"opted_out", true}, {"dnc_internal", true}, {"outside_window", true},
                {"ended", false},    {"not_placed", false},  {"no_such_call", false}};
    w.talk = false;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        w.reason = rows[i].reason;
        cr_assert_eq(post((struct post){.kind = "answer", .body = ANSWER_BODY, .token = TOKEN}),
                     200);
        WAIT_FOR(w.loop, peer_has(&w.peer, "</Response>"));
        cr_expect_not(peer_has(&w.peer, "<Stream"), "%s", rows[i].reason);
        cr_expect(peer_has(&w.peer, "<Hangup/>"));
        cr_expect_eq(peer_has(&w.peer, "<Speak"), rows[i].spoken, "%s", rows[i].reason);
    }
    cr_expect_eq(w.on_answers, 0);
}

Test(api, a_hangup_is_settled)
{
    int64_t applied = metric_read("webhooks_total", "applied");
    cr_assert_eq(post((struct post){.kind = "hangup", .body = HANGUP_BODY, .token = TOKEN}), 200);
    cr_expect_eq(w.hangups, 1);
    cr_expect_eq(w.on_hangups, 1);
    cr_expect_eq(w.end.cause_code, 3010);
    cr_expect_str_eq(w.end.outcome, "busy");
    cr_expect_gt(w.end.ended_us, 0, "a report without its time ends the call now");
    cr_expect_eq(metric_read("webhooks_total", "applied"), applied + 1);
}

Test(api, other_reports_reach_the_inbox)
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
            post((struct post){.kind = rows[i].kind, .body = rows[i].body, .token = TOKEN}), 200);
        cr_expect_str_eq(w.kind, rows[i].stored_as);
        cr_expect_eq(w.events, (int)i + 1);
    }
    cr_expect_eq(w.on_events, 4);
}

Test(api, what_comes_next_is_asked)
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
            post((struct post){.kind = rows[i].kind, .body = rows[i].body, .token = TOKEN}), 200,
            "%s", rows[i].kind);
        WAIT_FOR(w.loop, peer_has(&w.peer, "Response"));
        cr_expect(peer_has(&w.peer, rows[i].xml), "%s: %s", rows[i].kind, buf_cstr(&w.peer.in));
    }
    cr_expect_eq(w.follows, (int)COUNT_OF(rows));
}

Test(api, without_a_desk_the_call_ends)
{
    peer_close(&w.peer);
    api_close(&w.api);
    w.env.hooks = (struct api_hooks){.follow = NULL};
    open_api();
    cr_assert_eq(post((struct post){.kind = "after", .body = "CallUUID=c1", .token = TOKEN}), 200);
    WAIT_FOR(w.loop, peer_has(&w.peer, "</Response>"));
    cr_expect(peer_has(&w.peer, "<Hangup/>"));
    cr_expect_eq(w.events, 1);
    cr_expect_str_eq(w.kind, "after");
}

/* Unsigned, forged, expired, of another kind: 403, counted, and no row is touched. */
Test(api, forgeries_change_nothing)
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
        int status = post(rows[i].post);
        cr_expect_eq(status, rows[i].status, "%s: %d", rows[i].name, status);
        cr_expect_eq(metric_read("webhooks_total", rows[i].counter), before + 1, "%s",
                     rows[i].name);
        cr_expect_eq(rows_changed(), 0, "%s", rows[i].name);
    }
}

/* A forged path does not even make the database look for the account. */
Test(api, a_forged_path_asks_nobody)
{
    post((struct post){.kind = "answer", .body = ANSWER_BODY, .token = TOKEN, .spoil = 1});
    cr_assert_eq(w.account_reads, 0);
}

Test(api, too_large_is_refused)
{
    static char body[LIMIT_WEBHOOK_BODY_BYTES + 64];
    int64_t before = metric_read("webhooks_total", "too_large");
    memset(body, 'a', LIMIT_WEBHOOK_BODY_BYTES + 1);
    cr_expect_eq(post((struct post){.kind = "answer", .body = body, .token = NULL}), 413);
    cr_expect_eq(metric_read("webhooks_total", "too_large"), before + 1);
    cr_expect_eq(rows_changed(), 0);
}

Test(api, a_replay_is_told_as_one)
{
    int64_t before = metric_read("webhooks_total", "duplicate");
    cr_assert_eq(post((struct post){.kind = "hangup", .body = HANGUP_BODY, .token = TOKEN}), 200);
    w.duplicate = true;
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(post((struct post){.kind = "hangup", .body = HANGUP_BODY, .token = TOKEN}),
                     200);
    }
    cr_assert_eq(metric_read("webhooks_total", "duplicate"), before + 3);
}

Test(api, an_anomaly_is_an_alarm)
{
    int64_t before = metric_read("anomalies_total", NULL);
    w.anomaly = true;
    w.talk = false;
    w.reason = "not_placed";
    cr_assert_eq(post((struct post){.kind = "answer", .body = ANSWER_BODY, .token = TOKEN}), 200);
    WAIT_FOR(w.loop, peer_has(&w.peer, "</Response>"));
    cr_expect(peer_has(&w.peer, "<Hangup/>"));
    cr_expect_eq(metric_read("anomalies_total", NULL), before + 1);
    cr_assert_eq(post((struct post){.kind = "hangup", .body = HANGUP_BODY, .token = TOKEN}), 200);
    cr_expect_eq(w.on_hangups, 0);
}

/* Nothing is acknowledged that is not committed. */
Test(api, without_its_commit_nothing_is_acknowledged)
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
    cr_assert_eq(post((struct post){.kind = "ring", .body = "CallUUID=c1", .token = TOKEN}),
                 200); /* the account is known now */
    w.on_events = 0;
    for (size_t k = 0; k < COUNT_OF(posts); k++) {
        for (size_t i = 0; i < COUNT_OF(rows); i++) {
            w.fault = fault_make(rows[i].class, 0, "", "away");
            int status = post(posts[k]);
            cr_expect_eq(status, rows[i].status, "%s %zu: %d", posts[k].kind, i, status);
            cr_expect_not(peer_has(&w.peer, "<Response"));
        }
    }
    cr_expect_eq(w.on_events + w.on_answers + w.on_hangups, 0);
    w.fault = fault_none();
    w.refuse = -EBUSY;
    cr_expect_eq(post(posts[0]), 503);
}

Test(api, without_the_database_nobody_is_believed_or_accused)
{
    int64_t forged = metric_read("webhooks_total", "forged");
    w.fault = fault_make(FAULT_NOT_SENT, 0, "", "away");
    cr_expect_eq(post((struct post){.kind = "answer", .body = ANSWER_BODY, .token = TOKEN}), 503);
    cr_expect_eq(metric_read("webhooks_total", "forged"), forged);
    w.fault = fault_none();
    cr_expect_eq(post((struct post){.kind = "answer", .body = ANSWER_BODY, .token = TOKEN}), 200);
}

Test(api, the_fallback_needs_no_database)
{
    w.refuse = -EBUSY;
    cr_assert_eq(post((struct post){
                     .kind = "fallback", .body = "Event=StartApp&CallUUID=c1", .token = NULL}),
                 200);
    WAIT_FOR(w.loop, peer_has(&w.peer, "</Response>"));
    cr_expect(peer_has(&w.peer, "<Speak") && peer_has(&w.peer, "<Hangup/>"));
    cr_expect_eq(rows_changed(), 0);
    cr_expect_eq(
        post((struct post){.kind = "fallback", .body = "CallUUID=c1", .token = NULL, .spoil = 1}),
        403);
}

static void reopen_accounts(int64_t reread_min_ms)
{
    peer_close(&w.peer);
    accounts_close(&w.accounts);
    api_close(&w.api);
    open_accounts(reread_min_ms);
    w.env.accounts = w.accounts;
    open_api();
}

/* The token was changed at the carrier and in our row; the cache still has the old one. */
Test(api, a_rotated_token_is_found)
{
    cr_assert_eq(post((struct post){.kind = "ring", .body = "CallUUID=c1", .token = TOKEN}), 200);
    w.account_token = "the new token";
    cr_expect_eq(
        post((struct post){.kind = "ring", .body = "CallUUID=c1", .token = "the new token"}), 403,
        "read just now");
    cr_expect_eq(w.account_reads, 1);
    reopen_accounts(-1);
    w.account_token = TOKEN;
    cr_assert_eq(post((struct post){.kind = "ring", .body = "CallUUID=c1", .token = TOKEN}), 200);
    w.account_token = "the new token";
    w.account_reads = 0;
    cr_expect_eq(
        post((struct post){.kind = "ring", .body = "CallUUID=c1", .token = "the new token"}), 200);
    cr_expect_eq(w.account_reads, 1);
    cr_expect_eq(post((struct post){.kind = "ring", .body = "CallUUID=c1", .token = "nobody's"}),
                 403);
    cr_expect_eq(w.account_reads, 2);
}

Test(api, a_client_that_leaves_is_no_forger)
{
    int64_t forged = metric_read("webhooks_total", "forged");
    OWNED(buf_fini) struct buf path;
    OWNED(buf_fini) struct buf text;
    const struct post p = {.kind = "ring", .body = "CallUUID=c1", .token = TOKEN};
    make_path(&p, &path);
    buf_init(&text, 4096);
    buf_addf(&text, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 11\r\n\r\nCallUUID=c1",
             buf_cstr(&path));
    w.silent = true;
    send_text(&text);
    WAIT_FOR(w.loop, w.account_reads == 1);
    peer_close(&w.peer);
    loop_run_once(w.loop, false);
    cr_expect_eq(metric_read("webhooks_total", "forged"), forged);
    cr_expect_eq(rows_changed(), 0);
} /* and closing answers what was kept */

/* --- the media socket ---------------------------------------------------------------------------- */

#define GOOD_TOKEN "abcdefghijABCDEFGHIJ0123456789abcdefghijABC"
#define UPGRADE                                                                                    \
    "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"                   \
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"

static int upgrade(const char *token, const char *headers)
{
    OWNED(buf_fini) struct buf text;
    buf_init(&text, 65536);
    buf_addf(&text, "GET /media/%s HTTP/1.1\r\nHost: x\r\n%s%s\r\n", token, UPGRADE, headers);
    send_text(&text);
    return status_of();
}

static void close_media(void)
{
    close(w.media_fd);
    http_socket_done(w.media_handle);
    w.media_fd = -1;
}

Test(api, a_good_token_opens_the_socket)
{
    uint8_t hash[SHA256_BYTES];
    int64_t unsigned_before = metric_read("media_unsigned_total", NULL);
    w.token_known = true;
    cr_assert_eq(upgrade(GOOD_TOKEN, ""), 101);
    WAIT_FOR(w.loop, w.media_fd >= 0);
    sha256(STR(GOOD_TOKEN), hash);
    cr_expect_arr_eq(w.token_hash, hash, sizeof hash);
    cr_expect_eq(w.media.call_id.b[0], 1);
    cr_expect_eq(w.media.organization_id.b[0], 2);
    cr_expect_str_eq(w.media.call_uuid, CALL);
    cr_expect_eq(metric_read("media_unsigned_total", NULL), unsigned_before + 1);
    close_media();
}

static void sign_upgrade(const char *scheme, char out[64])
{
    OWNED(buf_fini) struct buf text;
    uint8_t mac[SHA256_BYTES];
    buf_init(&text, 4096);
    buf_addf(&text, "%s://voice.example.com/media/" GOOD_TOKEN ".777", scheme);
    hmac_sha256(STR(TOKEN), buf_str(&text), mac);
    base64_encode(mac, sizeof mac, out);
}

Test(api, a_signed_upgrade_must_match)
{
    static const struct {
        const char *scheme;
        int status;
    } rows[] = {{"wss", 101}, {"https", 101}, {"http", 403}, {"ws", 403}};
    w.token_known = true;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char signature[64];
        char headers[256];
        sign_upgrade(rows[i].scheme, signature);
        snprintf(headers, sizeof headers,
                 "X-Plivo-Signature-V3: %s\r\nX-Plivo-Signature-V3-Nonce: 777\r\n", signature);
        int status = upgrade(GOOD_TOKEN, headers);
        cr_expect_eq(status, rows[i].status, "%s: %d", rows[i].scheme, status);
        if (status == 101) {
            WAIT_FOR(w.loop, w.media_fd >= 0);
            close_media();
        }
    }
}

Test(api, an_unknown_or_used_token_opens_nothing)
{
    int64_t before = metric_read("media_tokens_total", "refused");
    cr_expect_eq(upgrade(GOOD_TOKEN, ""), 403);
    cr_expect_eq(w.tokens, 1);
    cr_expect_eq(upgrade("short", ""), 403);
    cr_expect_eq(upgrade("abcdefghijABCDEFGHIJ0123456789abcdefghijAB-", ""), 403);
    cr_expect_eq(upgrade("abcdefghijABCDEFGHIJ0123456789abcdefghijABCD", ""), 403);
    cr_expect_eq(w.tokens, 1, "what is no token is not looked for");
    cr_expect_eq(metric_read("media_tokens_total", "refused"), before + 4);
    cr_expect_eq(w.media_fd, -1);
    cr_expect_eq(w.account_reads, 0);
    cr_expect_eq(get("/media/" GOOD_TOKEN, ""), 400);
    w.fault = fault_make(FAULT_NOT_SENT, 0, "", "away");
    cr_expect_eq(upgrade(GOOD_TOKEN, ""), 503);
}

/* --- recordings ---------------------------------------------------------------------------------- */

static void recording_target(int64_t expires_s, char out[512])
{
    const struct uuid org = {{2}};
    const struct uuid id = {{5}};
    OWNED(buf_fini) struct buf url;
    buf_init(&url, 512);
    cr_assert_eq(recording_url_write(w.env.recording_key, "", &org, &id, expires_s, &url), 0);
    str_copy_cut(buf_str(&url), out, 512);
}

static void put_file(const char *name, const char *content)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", w.data_dir, name);
    int fd = open(path, O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, 0600);
    cr_assert_geq(fd, 0);
    cr_assert_eq(write(fd, content, strlen(content)), (ssize_t)strlen(content));
    close(fd);
}

static void drop_file(const char *name)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", w.data_dir, name);
    unlink(path);
}

Test(api, a_recording_is_served_in_parts)
{
    char target[512];
    recording_target(clock_wall_us() / US_PER_S + 60, target);
    put_file("a.wav", "0123456789");
    w.path = "a.wav";
    cr_expect_eq(get(target, ""), 200);
    cr_expect(peer_has(&w.peer, "Content-Type: audio/wav"));
    cr_expect(peer_has(&w.peer, "\r\n\r\n0123456789"));
    cr_expect_eq(w.organization_id.b[0], 2, "looked for in its own organization");
    cr_expect_eq(get(target, "Range: bytes=2-4\r\n"), 206);
    cr_expect(peer_has(&w.peer, "\r\n\r\n234"));
    cr_expect_eq(get(target, "Range: bytes=20-\r\n"), 416);
    drop_file("a.wav");
    cr_expect_eq(get(target, ""), 404);
}

Test(api, a_recording_needs_its_link)
{
    char target[512];
    int64_t now_s = clock_wall_us() / US_PER_S;
    recording_target(now_s - 1, target);
    cr_expect_eq(get(target, ""), 403);
    cr_expect(peer_has(&w.peer, "expired"));
    recording_target(now_s + 60, target);
    target[strlen(target) - 1] = target[strlen(target) - 1] == 'a' ? 'b' : 'a';
    cr_expect_eq(get(target, ""), 403);
    cr_expect_eq(get("/recordings/05000000-0000-0000-0000-000000000000", ""), 403);
    cr_expect_eq(w.files, 0);
}

Test(api, a_stored_path_stays_inside)
{
    static const char *const paths[] = {"../etc/passwd", "/etc/passwd", "a/../../b", "",
                                        "a//b",          ".hidden",     NULL};
    char target[512];
    recording_target(clock_wall_us() / US_PER_S + 60, target);
    for (size_t i = 0; i < COUNT_OF(paths); i++) {
        w.path = paths[i];
        cr_expect_eq(get(target, ""), 404, "%s", paths[i]);
    }
    char link_path[128];
    snprintf(link_path, sizeof link_path, "%s/link.wav", w.data_dir);
    cr_assert_eq(symlink("/etc/passwd", link_path), 0);
    w.path = "link.wav";
    cr_expect_eq(get(target, ""), 404, "no symbolic link is followed");
    unlink(link_path);
    w.fault = fault_make(FAULT_NOT_SENT, 0, "", "away");
    cr_expect_eq(get(target, ""), 503);
}

/* --- health -------------------------------------------------------------------------------------- */

Test(api, healthy_means_alive)
{
    w.fault = fault_make(FAULT_NOT_SENT, 0, "", "away");
    cr_expect_eq(get("/healthz", ""), 200);
    cr_expect_eq(w.levels, 0);
}

static void reopen(void)
{
    peer_close(&w.peer);
    api_close(&w.api);
    open_api();
}

Test(api, ready_means_database_schema_and_not_draining)
{
    cr_expect_eq(get("/readyz", ""), 200);
    cr_expect_eq(get("/readyz", ""), 200);
    cr_expect_eq(w.levels, 1, "one look serves a second");
    reopen();
    w.level = 59;
    cr_expect_eq(get("/readyz", ""), 503);
    cr_expect(peer_has(&w.peer, "schema 59, this program needs 60"));
    reopen();
    w.level = -1;
    cr_expect_eq(get("/readyz", ""), 200);
    reopen();
    w.fault = fault_make(FAULT_NOT_SENT, 0, "", "away");
    cr_expect_eq(get("/readyz", ""), 503);
    reopen();
    w.fault = fault_none();
    api_drain(w.api);
    cr_expect_eq(get("/readyz", ""), 503);
    cr_expect(peer_has(&w.peer, "draining"));
    cr_expect_eq(post((struct post){.kind = "hangup", .body = HANGUP_BODY, .token = TOKEN}), 200,
                 "live calls are served on");
}

Test(api, metrics_are_prometheus_text)
{
    post((struct post){.kind = "answer", .body = ANSWER_BODY, .token = NULL});
    cr_assert_eq(get("/metrics", ""), 200);
    cr_expect(peer_has(&w.peer, "Content-Type: text/plain; version=0.0.4"));
    cr_expect(peer_has(&w.peer, "# TYPE dialwright_webhooks_total counter\n"));
    cr_expect(peer_has(&w.peer, "dialwright_webhooks_total{result=\"forged\"} "));
}

Test(api, other_paths_are_nothing)
{
    cr_expect_eq(get("/", ""), 404);
    cr_expect_eq(get("/carrier/plivo/answer/x", ""), 405);
    OWNED(buf_fini) struct buf text;
    buf_init(&text, 1024);
    buf_add_cstr(&text,
                 "POST /carrier/nobody/answer/x HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
    send_text(&text);
    cr_expect_eq(status_of(), 404);
}
