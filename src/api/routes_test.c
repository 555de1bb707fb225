/* The media socket, recordings and health over real sockets. */
#include "api/api_test.h"

#include "base/clock.h"
#include "base/crypto.h"
#include "base/metrics.h"
#include "media/recording_url.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

TestSuite(routes, .init = world_open, .fini = world_close);

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
    world_send(&text);
    return world_status();
}

static void close_media(void)
{
    close(w.media_fd);
    http_socket_done(w.media_handle);
    w.media_fd = -1;
}

Test(routes, a_good_token_opens_the_socket)
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

Test(routes, a_signed_upgrade_must_match)
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
    cr_expect_eq(w.looks, 4);
    cr_expect_eq(w.tokens, 2, "a forged signature burns no token");
    cr_expect_eq(w.media_lost, 0, "and ends no talk");
}

Test(routes, an_unknown_or_used_token_opens_nothing)
{
    int64_t before = metric_read("media_tokens_total", "refused");
    cr_expect_eq(upgrade(GOOD_TOKEN, ""), 403);
    cr_expect_eq(w.looks, 1);
    cr_expect_eq(upgrade("short", ""), 403);
    cr_expect_eq(upgrade("abcdefghijABCDEFGHIJ0123456789abcdefghijAB-", ""), 403);
    cr_expect_eq(upgrade("abcdefghijABCDEFGHIJ0123456789abcdefghijABCD", ""), 403);
    cr_expect_eq(w.looks, 1, "what is no token is not looked for");
    cr_expect_eq(w.tokens, 0, "and nothing is taken");
    cr_expect_eq(metric_read("media_tokens_total", "refused"), before + 4);
    cr_expect_eq(w.media_fd, -1);
    cr_expect_eq(w.account_reads, 0);
    cr_expect_eq(world_get("/media/" GOOD_TOKEN, ""), 400);
    w.fault = fault_make(FAULT_NOT_SENT, 0, "", "away");
    cr_expect_eq(upgrade(GOOD_TOKEN, ""), 503);
}

/* A database that is full spends nothing: the same token may come again. */
Test(routes, a_token_is_not_spent_in_vain)
{
    w.token_known = true;
    w.refuse_accounts = -EBUSY;
    cr_expect_eq(upgrade(GOOD_TOKEN, ""), 503);
    cr_expect_eq(w.tokens, 0);
    cr_expect_eq(w.media_lost, 0);
    w.refuse_accounts = 0;
    cr_expect_eq(upgrade(GOOD_TOKEN, ""), 101);
    WAIT_FOR(w.loop, w.media_fd >= 0);
    close_media();
}

/* Two sockets with one token: both may look, one takes it. */
Test(routes, a_token_that_somebody_else_took_opens_nothing)
{
    w.token_known = true;
    w.token_raced = true;
    cr_expect_eq(upgrade(GOOD_TOKEN, ""), 403);
    cr_expect_eq(w.tokens, 1);
    cr_expect_eq(w.media_fd, -1);
    cr_expect_eq(w.media_lost, 0, "the other one has its stream");
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

Test(routes, a_recording_is_served_in_parts)
{
    char target[512];
    recording_target(clock_wall_us() / US_PER_S + 60, target);
    put_file("a.wav", "0123456789");
    w.path = "a.wav";
    cr_expect_eq(world_get(target, ""), 200);
    cr_expect(peer_has(&w.peer, "Content-Type: audio/wav"));
    cr_expect(peer_has(&w.peer, "\r\n\r\n0123456789"));
    cr_expect_eq(w.organization_id.b[0], 2, "looked for in its own organization");
    cr_expect_eq(world_get(target, "Range: bytes=2-4\r\n"), 206);
    cr_expect(peer_has(&w.peer, "\r\n\r\n234"));
    cr_expect_eq(world_get(target, "Range: bytes=20-\r\n"), 416);
    drop_file("a.wav");
    cr_expect_eq(world_get(target, ""), 404);
}

Test(routes, a_recording_needs_its_link)
{
    char target[512];
    int64_t now_s = clock_wall_us() / US_PER_S;
    recording_target(now_s - 1, target);
    cr_expect_eq(world_get(target, ""), 403);
    cr_expect(peer_has(&w.peer, "expired"));
    recording_target(now_s + 60, target);
    target[strlen(target) - 1] = target[strlen(target) - 1] == 'a' ? 'b' : 'a';
    cr_expect_eq(world_get(target, ""), 403);
    cr_expect_eq(world_get("/recordings/05000000-0000-0000-0000-000000000000", ""), 403);
    cr_expect_eq(w.files, 0);
}

Test(routes, a_stored_path_stays_inside)
{
    static const char *const paths[] = {"../etc/passwd", "/etc/passwd", "a/../../b", "",
                                        "a//b",          ".hidden",     NULL};
    char target[512];
    recording_target(clock_wall_us() / US_PER_S + 60, target);
    for (size_t i = 0; i < COUNT_OF(paths); i++) {
        w.path = paths[i];
        cr_expect_eq(world_get(target, ""), 404, "%s", paths[i]);
    }
    char link_path[128];
    snprintf(link_path, sizeof link_path, "%s/link.wav", w.data_dir);
    cr_assert_eq(symlink("/etc/passwd", link_path), 0);
    w.path = "link.wav";
    cr_expect_eq(world_get(target, ""), 404, "no symbolic link is followed");
    unlink(link_path);
    w.fault = fault_make(FAULT_NOT_SENT, 0, "", "away");
    cr_expect_eq(world_get(target, ""), 503);
}

/* --- health -------------------------------------------------------------------------------------- */

Test(routes, healthy_means_alive)
{
    w.fault = fault_make(FAULT_NOT_SENT, 0, "", "away");
    cr_expect_eq(world_get("/healthz", ""), 200);
    cr_expect_eq(w.levels, 0);
}

static void reopen(void)
{
    peer_close(&w.peer);
    api_close(&w.api);
    world_open_api();
}

Test(routes, ready_means_database_schema_and_not_draining)
{
    cr_expect_eq(world_get("/readyz", ""), 200);
    cr_expect_eq(world_get("/readyz", ""), 200);
    cr_expect_eq(w.levels, 1, "one look serves a second");
    reopen();
    w.level = 59;
    cr_expect_eq(world_get("/readyz", ""), 503);
    cr_expect(peer_has(&w.peer, "schema 59, this program needs 60"));
    reopen();
    w.level = -1;
    cr_expect_eq(world_get("/readyz", ""), 200);
    reopen();
    w.fault = fault_make(FAULT_NOT_SENT, 0, "", "away");
    cr_expect_eq(world_get("/readyz", ""), 503);
    reopen();
    w.fault = fault_none();
    api_drain(w.api);
    cr_expect_eq(world_get("/readyz", ""), 503);
    cr_expect(peer_has(&w.peer, "draining"));
    cr_expect_eq(world_post((struct post){.kind = "hangup", .body = HANGUP_BODY, .token = TOKEN}),
                 200, "live calls are served on");
}

Test(routes, metrics_are_prometheus_text)
{
    world_post((struct post){.kind = "answer", .body = ANSWER_BODY, .token = NULL});
    cr_assert_eq(world_get("/metrics", ""), 200);
    cr_expect(peer_has(&w.peer, "Content-Type: text/plain; version=0.0.4"));
    cr_expect(peer_has(&w.peer, "# TYPE dialwright_webhooks_total counter\n"));
    cr_expect(peer_has(&w.peer, "dialwright_webhooks_total{result=\"forged\"} "));
}

Test(routes, other_paths_are_nothing)
{
    cr_expect_eq(world_get("/", ""), 404);
    cr_expect_eq(world_get("/carrier/plivo/answer/x", ""), 405);
    OWNED(buf_fini) struct buf text;
    buf_init(&text, 1024);
    buf_add_cstr(&text,
                 "POST /carrier/nobody/answer/x HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
    world_send(&text);
    cr_expect_eq(world_status(), 404);
}
