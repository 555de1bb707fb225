#include "api/api_test.h"

#include "base/clock.h"
#include "base/crypto.h"
#include "carrier/plivo/signature.h"
#include "media/recording_url.h"
#include "store/seal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define KEK "a key of at least thirty-two bytes, for tests"

struct world w;

/* --- the database's side: answers come on a later turn, as they must ---------------------------- */

enum which { EVENT, ANSWER, HANGUP, MEDIA_LOOK, MEDIA_TOKEN, RECORDING_FILE, LEVEL, ACCOUNTS };

struct later { /* a statement that was started: whom to tell */
    enum which which;
    union {
        store_event_fn *event;
        store_answer_fn *answer;
        store_hangup_fn *hangup;
        store_media_token_fn *media_token;
        store_path_fn *path;
        store_level_fn *level;
        store_accounts_fn *accounts;
    } on;
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
    l->on.accounts(&w.fault, &row, w.fault.class == FAULT_NONE ? 1 : 0, l->arg);
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
        l.on.event(&w.fault, &event, l.arg);
        return;
    case ANSWER:
        l.on.answer(&w.fault, &answer, l.arg);
        return;
    case HANGUP:
        l.on.hangup(&w.fault, &hangup, l.arg);
        return;
    case MEDIA_LOOK:
    case MEDIA_TOKEN:
        known = known && !(w.token_raced && l.which == MEDIA_TOKEN);
        l.on.media_token(&w.fault, known ? &call_id : &nil, &organization_id,
                         known ? STR(CALL) : STR_NONE, l.arg);
        return;
    case RECORDING_FILE:
        l.on.path(&w.fault, str_of(w.path), l.arg);
        return;
    case LEVEL:
        l.on.level(&w.fault, w.level, l.arg);
        return;
    case ACCOUNTS:
        answer_accounts(&l);
        return;
    }
}

static int later(struct later what)
{
    if (w.refuse < 0) {
        return w.refuse;
    }
    if (w.silent) {
        return 0;
    }
    struct later *l = xzalloc(sizeof *l);
    *l = what;
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
    return later((struct later){.which = EVENT, .on.event = on_done, .arg = arg});
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
    return later((struct later){.which = ANSWER, .on.answer = on_done, .arg = arg});
}

static int fake_hangup(struct pg_tx **op, struct pg_pool *db, const struct store_report *r,
                       const struct store_end *end, store_hangup_fn *on_done, void *arg)
{
    (void)op;
    (void)db;
    w.hangups++;
    keep_report(r);
    w.end = *end;
    return later((struct later){.which = HANGUP, .on.hangup = on_done, .arg = arg});
}

/* Adopting is the database's business (800_history.sql); here its queue is full. */
static int fake_adopt(struct pg_tx **op, struct pg_pool *db, const struct store_adoption *what,
                      store_status_fn *on_done, void *arg)
{
    (void)op;
    (void)db;
    (void)what;
    (void)on_done;
    (void)arg;
    return -EBUSY;
}

static int fake_media_look(struct pg_tx **op, struct pg_pool *db, const uint8_t token_hash[32],
                           int64_t at_us, store_media_token_fn *on_done, void *arg)
{
    (void)op;
    (void)db;
    (void)at_us;
    w.looks++;
    memcpy(w.token_hash, token_hash, sizeof w.token_hash);
    return later((struct later){.which = MEDIA_LOOK, .on.media_token = on_done, .arg = arg});
}

static int fake_media_token(struct pg_tx **op, struct pg_pool *db, const uint8_t token_hash[32],
                            int64_t at_us, store_media_token_fn *on_done, void *arg)
{
    (void)op;
    (void)db;
    (void)at_us;
    w.tokens++;
    cr_expect_arr_eq(w.token_hash, token_hash, sizeof w.token_hash);
    return later((struct later){.which = MEDIA_TOKEN, .on.media_token = on_done, .arg = arg});
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
    return later((struct later){.which = RECORDING_FILE, .on.path = on_done, .arg = arg});
}

static int fake_level(struct pg_tx **op, struct pg_pool *db, store_level_fn *on_done, void *arg)
{
    (void)op;
    (void)db;
    w.levels++;
    return later((struct later){.which = LEVEL, .on.level = on_done, .arg = arg});
}

static int fake_accounts(struct pg_tx **op, struct pg_pool *db, const struct uuid *organization_id,
                         store_accounts_fn *on_done, void *arg)
{
    (void)op;
    (void)db;
    (void)organization_id;
    w.account_reads++;
    if (w.refuse_accounts < 0) {
        return w.refuse_accounts;
    }
    return later((struct later){.which = ACCOUNTS, .on.accounts = on_done, .arg = arg});
}

static const struct api_store fakes = {.event = fake_event,
                                       .answer = fake_answer,
                                       .hangup = fake_hangup,
                                       .adopt = fake_adopt,
                                       .media_look = fake_media_look,
                                       .media_token = fake_media_token,
                                       .recording_file = fake_recording_file,
                                       .schema_level = fake_level};

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
    w.media_lost += fd < 0 ? 1 : 0;
    w.media_fd = fd;
    w.media_handle = handle;
}

/* --- world --------------------------------------------------------------------------------------- */

void world_open_api(void)
{
    cr_assert_eq(api_open(&w.api, &w.env), 0);
}

void world_open_accounts(int64_t reread_min_ms)
{
    const struct accounts_env accounts = {.loop = w.loop,
                                          .load = fake_accounts,
                                          .kek = KEK,
                                          .api_url = "https://api.plivo.com/v1",
                                          .reread_min_ms = reread_min_ms};
    cr_assert_eq(accounts_open(&w.accounts, &accounts), 0);
}

void world_open(void)
{
    w = (struct world){
        .account_token = TOKEN, .talk = true, .reason = "", .media_fd = -1, .level = 60};
    w.fault = fault_none();
    w.loop = loop_new(LOOP_REAL);
    w.urls.public_url = "https://voice.example.com";
    memset(w.urls.callback_key, 7, sizeof w.urls.callback_key);
    str_copy_cut(STR("/tmp/dw_api_XXXXXX"), w.data_dir, sizeof w.data_dir);
    cr_assert_not_null(mkdtemp(w.data_dir));
    world_open_accounts(0);
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
    world_open_api();
}

void world_close(void)
{
    peer_close(&w.peer);
    accounts_close(&w.accounts);
    api_close(&w.api);
    loop_run_once(w.loop, false);
    loop_free(&w.loop);
    rmdir(w.data_dir);
}

void world_send(const struct buf *text)
{
    peer_close(&w.peer);
    peer_connect(&w.peer, w.loop, api_port(w.api));
    peer_send(&w.peer, buf_str(text));
}

static void wait_answer(void)
{
    WAIT_FOR(w.loop, peer_has(&w.peer, "\r\n\r\n"));
}

int world_status(void)
{
    int64_t status = 0;
    wait_answer();
    cr_assert(str_starts(buf_str(&w.peer.in), STR("HTTP/1.1 ")), "%s", buf_cstr(&w.peer.in));
    cr_assert_eq(str_to_i64(str_head(str_skip(buf_str(&w.peer.in), 9), 3), &status), 0);
    return (int)status;
}

int world_get(const char *target, const char *headers)
{
    OWNED(buf_fini) struct buf text;
    buf_init(&text, 65536);
    buf_addf(&text, "GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n%s\r\n", target, headers);
    world_send(&text);
    int status = world_status();
    WAIT_FOR(w.loop, w.peer.ended || status == 101);
    return status;
}

void world_path(const struct post *p, struct buf *path)
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

int world_post(struct post p)
{
    OWNED(buf_fini) struct buf path;
    OWNED(buf_fini) struct buf text;
    char signature[64];
    world_path(&p, &path);
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
    world_send(&text);
    return world_status();
}

int world_rows_changed(void)
{
    return w.events + w.answers + w.hangups + w.follows + w.on_events + w.on_answers + w.on_hangups;
}
