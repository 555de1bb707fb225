#include "net/ws_conn.h"

#include "base/limits.h"
#include "net/net_test.h"

#include <stdio.h>

#define MESSAGE_MAX 1000

/* One WebSocket under test on one end of a socket pair, raw bytes on the other. */
struct world {
    struct loop *loop;
    struct ws_conn *ws;
    struct peer peer;
    int messages;
    bool binary;
    struct buf last;
    struct buf all; /* every message in brackets */
    int closes;
    int err;
    int code;
    char reason[128];
    int released;
    bool free_in_message;
    bool free_in_close;
    bool close_in_message;
};

static void on_message(struct str message, bool binary, void *arg)
{
    struct world *w = arg;
    w->messages++;
    w->binary = binary;
    buf_clear(&w->last);
    (void)buf_add_str(&w->last, message);
    (void)buf_addf(&w->all, "[" STR_FMT "]", STR_ARG(message));
    if (w->free_in_message) {
        ws_free(&w->ws);
    }
    if (w->close_in_message) {
        ws_close(w->ws, 1000, "enough");
    }
}

static void on_close(int err, int code, struct str reason, void *arg)
{
    struct world *w = arg;
    w->closes++;
    w->err = err;
    w->code = code;
    str_copy_cut(reason, w->reason, sizeof w->reason);
    if (w->free_in_close) {
        ws_free(&w->ws);
    }
}

static void on_release(void *arg)
{
    struct world *w = arg;
    w->released++;
}

static void open_role(struct world *w, enum ws_role role, struct str already_read)
{
    int fds[2];
    *w = (struct world){0};
    w->loop = test_loop();
    buf_init(&w->last, 1024 * 1024);
    buf_init(&w->all, 1024 * 1024);
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    struct ws_handlers handlers = {on_message, on_close, w};
    w->ws = ws_open(w->loop, fds[0], role, already_read, MESSAGE_MAX, handlers, on_release, w);
    cr_assert_eq(w->messages, 0, "nothing runs inside ws_open()");
    peer_over(&w->peer, w->loop, fds[1]);
}

static void open_world(struct world *w)
{
    open_role(w, WS_SERVER, STR_NONE);
}

static void close_world(struct world *w)
{
    ws_free(&w->ws);
    peer_close(&w->peer);
    buf_fini(&w->last);
    buf_fini(&w->all);
    loop_free(&w->loop);
    cr_expect_eq(w->released, 1, "the descriptor is released exactly once");
}

/* A frame as a client sends it (masked) or a server does. */
static void add_frame(struct buf *b, uint8_t first, bool masked, struct str payload)
{
    static const uint8_t mask[4] = {0x37, 0xfa, 0x21, 0x3d};
    uint8_t bit = masked ? 0x80 : 0;
    (void)buf_add_char(b, (char)first);
    if (payload.len < 126) {
        (void)buf_add_char(b, (char)(bit | payload.len));
    } else {
        (void)buf_add_char(b, (char)(bit | 126u));
        (void)buf_add_char(b, (char)(payload.len >> 8));
        (void)buf_add_char(b, (char)(payload.len & 0xffu));
    }
    if (masked) {
        (void)buf_add(b, mask, 4);
    }
    for (size_t i = 0; i < payload.len; i++) {
        (void)buf_add_char(b, (char)(payload.p[i] ^ (masked ? mask[i % 4] : 0)));
    }
}

static void send_frame(struct world *w, uint8_t first, struct str payload)
{
    struct buf b;
    buf_init(&b, 100000);
    add_frame(&b, first, true, payload);
    peer_send(&w->peer, buf_str(&b));
    buf_fini(&b);
}

#define TEXT  0x81
#define BIN   0x82
#define CLOSE 0x88
#define PING  0x89

Test(ws, text_in_and_out)
{
    struct world w;
    open_world(&w);
    send_frame(&w, TEXT, STR("hello"));
    WAIT_FOR(w.loop, w.messages == 1);
    cr_expect_str_eq(buf_cstr(&w.last), "hello");
    cr_expect_not(w.binary);
    struct str parts[] = {STR("{\"a\":\""), STR("QUJD"), STR("\"}")};
    cr_expect_eq(ws_send_parts(w.ws, parts, 3), 0);
    WAIT_FOR(w.loop, w.peer.in.len == 14);
    cr_expect(str_eq(buf_str(&w.peer.in), STR("\x81\x0c{\"a\":\"QUJD\"}")));
    cr_expect_eq(ws_unsent(w.ws), 0);
    close_world(&w);
    cr_expect_eq(w.closes, 0, "ws_free() is silent");
}

Test(ws, lengths_on_the_wire)
{
    static const size_t rows[] = {0, 125, 126, 127, 65535, 65536, 100000};
    char *text = xmalloc(100000);
    memset(text, 'x', 100000);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct world w;
        open_world(&w);
        size_t head = rows[i] < 126 ? 2 : (rows[i] < 65536 ? 4 : 10);
        cr_expect_eq(ws_send_text(w.ws, str_make(text, rows[i])), 0);
        WAIT_FOR(w.loop, w.peer.in.len == head + rows[i]);
        uint64_t said = (uint8_t)w.peer.in.p[1];
        if (head > 2) {
            said = 0;
            for (size_t d = 2; d < head; d++) {
                said = said << 8 | (uint8_t)w.peer.in.p[d];
            }
        }
        cr_expect_eq(said, rows[i]);
        close_world(&w);
    }
    xfree(text);
}

/* What a peer may send, and what comes of it. A row's frames are sent whole, then byte by byte, and
 * with every byte of it in its own read the outcome must be the same. */
struct frame {
    uint8_t first;
    const char *payload;
    int size; /* -1: strlen; -2: 600 bytes of 'x' */
    bool unmasked;
};

static const struct {
    const char *name;
    struct frame frames[12];
    const char *messages;
    const char *sent; /* what we answer on the wire */
    int sent_len;
    int closes;
    int err;
    int code;
} rows[] = {
    {"one", {{TEXT, "a", -1, false}}, "[a]", "", 0, 0, 0, 0},
    {"empty", {{TEXT, "", -1, false}}, "[]", "", 0, 0, 0, 0},
    {"binary", {{BIN, "\xff", -1, false}}, "[\xff]", "", 0, 0, 0, 0},
    {"fragments",
     {{0x01, "a", -1, false},
      {0x00, "b", -1, false},
      {0x80, "c", -1, false},
      {TEXT, "d", -1, false}},
     "[abc][d]",
     "",
     0,
     0,
     0,
     0},
    {"ping between fragments",
     {{0x01, "a", -1, false}, {PING, "p", -1, false}, {0x80, "b", -1, false}},
     "[ab]",
     "\x8a\x01p",
     3,
     0,
     0,
     0},
    {"utf-8 over fragments",
     {{0x01, "\xe2\x82", -1, false}, {0x80, "\xac", -1, false}},
     "[\xe2\x82\xac]",
     "",
     0,
     0,
     0,
     0},
    {"pong is nothing", {{0x8a, "x", -1, false}, {TEXT, "a", -1, false}}, "[a]", "", 0, 0, 0, 0},
    {"bad utf-8", {{TEXT, "\xc0\x80", -1, false}}, "", "\x88\x02\x03\xef", 4, 1, -EILSEQ, 1006},
    {"unmasked", {{TEXT, "a", -1, true}}, "", "\x88\x02\x03\xea", 4, 1, -EPROTO, 1006},
    {"unmasked and empty", {{TEXT, "", -1, true}}, "", "\x88\x02\x03\xea", 4, 1, -EPROTO, 1006},
    {"reserved bit", {{0xc1, "a", -1, false}}, "", "\x88\x02\x03\xea", 4, 1, -EPROTO, 1006},
    {"reserved opcode", {{0x83, "a", -1, false}}, "", "\x88\x02\x03\xea", 4, 1, -EPROTO, 1006},
    {"reserved control", {{0x8b, "a", -1, false}}, "", "\x88\x02\x03\xea", 4, 1, -EPROTO, 1006},
    {"continues nothing", {{0x80, "a", -1, false}}, "", "\x88\x02\x03\xea", 4, 1, -EPROTO, 1006},
    {"message in message",
     {{0x01, "a", -1, false}, {TEXT, "b", -1, false}},
     "",
     "\x88\x02\x03\xea",
     4,
     1,
     -EPROTO,
     1006},
    {"fragmented ping", {{0x09, "a", -1, false}}, "", "\x88\x02\x03\xea", 4, 1, -EPROTO, 1006},
    {"large control", {{PING, "", -2, false}}, "", "\x88\x02\x03\xea", 4, 1, -EPROTO, 1006},
    {"too large in one",
     {{BIN, "", -2, false}, {0x01, "", -2, false}, {0x80, "", -2, false}},
     NULL,
     "\x88\x02\x03\xf1",
     4,
     1,
     -EMSGSIZE,
     1006},
    {"nine fragments",
     {{0x01, "a", -1, false},
      {0x00, "a", -1, false},
      {0x00, "a", -1, false},
      {0x00, "a", -1, false},
      {0x00, "a", -1, false},
      {0x00, "a", -1, false},
      {0x00, "a", -1, false},
      {0x00, "a", -1, false},
      {0x80, "a", -1, false}},
     "",
     "\x88\x02\x03\xf0",
     4,
     1,
     -EPROTO,
     1006},
    {"close",
     {{CLOSE,
       "\x03\xe8"
       "bye",
       -1, false}},
     "",
     "\x88\x02\x03\xe8",
     4,
     1,
     0,
     1000},
    {"close without code", {{CLOSE, "", -1, false}}, "", "\x88\x00", 2, 1, 0, 1005},
    {"close of one byte",
     {{CLOSE, "\x03", -1, false}},
     "",
     "\x88\x02\x03\xea",
     4,
     1,
     -EPROTO,
     1006},
    {"close code 1006",
     {{CLOSE, "\x03\xee", -1, false}},
     "",
     "\x88\x02\x03\xea",
     4,
     1,
     -EPROTO,
     1006},
    {"close code 4001", {{CLOSE, "\x0f\xa1", -1, false}}, "", "\x88\x02\x0f\xa1", 4, 1, 0, 4001},
    {"close reason not utf-8",
     {{CLOSE, "\x03\xe8\xff", -1, false}},
     "",
     "\x88\x02\x03\xef",
     4,
     1,
     -EILSEQ,
     1006},
    {"data after close",
     {{CLOSE, "\x03\xe8", -1, false}, {TEXT, "a", -1, false}},
     "",
     "\x88\x02\x03\xe8",
     4,
     1,
     0,
     1000},
};

static void build(struct buf *b, const struct frame *frames)
{
    char big[600];
    memset(big, 'x', sizeof big);
    for (const struct frame *f = frames; f->payload != NULL; f++) {
        struct str payload = f->size == -2 ? str_make(big, sizeof big) : str_of(f->payload);
        add_frame(b, f->first, !f->unmasked, payload);
    }
}

static void check_row(size_t i, size_t step)
{
    struct world w;
    struct buf b;
    open_world(&w);
    buf_init(&b, 100000);
    build(&b, rows[i].frames);
    for (size_t at = 0; at < b.len && !w.peer.ended; at += step) {
        size_t len = step < b.len - at ? step : b.len - at;
        if (send(w.peer.fd, b.p + at, len, MSG_NOSIGNAL) < 0) {
            break; /* the connection under test may have ended before the row did */
        }
        loop_run_once(w.loop, false);
    }
    if (rows[i].closes == 0) { /* a mark after the row shows that all of it was read */
        send_frame(&w, BIN, STR("MARK"));
        WAIT_FOR(w.loop, str_ends(buf_str(&w.all), STR("[MARK]")));
        w.all.len -= 6;
    } else {
        WAIT_FOR(w.loop, w.peer.ended);
        (void)shutdown(w.peer.fd, SHUT_RDWR); /* or a refused peer is listened to a second longer */
        WAIT_FOR(w.loop, w.closes == 1);
    }
    WAIT_FOR(w.loop, w.peer.in.len >= (size_t)rows[i].sent_len);
    cr_expect(rows[i].messages == NULL || str_eq_cstr(buf_str(&w.all), rows[i].messages),
              "%s by %zu: messages " STR_FMT, rows[i].name, step, STR_ARG(buf_str(&w.all)));
    cr_expect(str_eq(buf_str(&w.peer.in), str_make(rows[i].sent, (size_t)rows[i].sent_len)),
              "%s by %zu: the answer", rows[i].name, step);
    cr_expect_eq(w.closes, rows[i].closes, "%s by %zu: closes", rows[i].name, step);
    cr_expect_eq(w.err, rows[i].err, "%s by %zu: err %d", rows[i].name, step, w.err);
    cr_expect_eq(w.code, rows[i].code, "%s by %zu: code %d", rows[i].name, step, w.code);
    buf_fini(&b);
    close_world(&w);
}

Test(ws, frames_whole)
{
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        check_row(i, 100000);
    }
}

Test(ws, frames_split)
{
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        check_row(i, 1);
        check_row(i, 3);
    }
}

Test(ws, already_read_comes_first)
{
    struct world w;
    struct buf b;
    buf_init(&b, 1000);
    add_frame(&b, TEXT, true, STR("first"));
    add_frame(&b, TEXT, true, STR("cut"));
    struct str early = buf_str(&b);
    open_role(&w, WS_SERVER, str_head(early, early.len - 2));
    peer_send(&w.peer, str_skip(early, early.len - 2));
    WAIT_FOR(w.loop, w.messages == 2);
    cr_expect_str_eq(buf_cstr(&w.all), "[first][cut]");
    buf_fini(&b);
    close_world(&w);
}

Test(ws, client_masks_and_takes_unmasked)
{
    struct world w;
    open_role(&w, WS_CLIENT, STR_NONE);
    cr_expect_eq(ws_send_text(w.ws, STR("abcdefghij")), 0);
    WAIT_FOR(w.loop, w.peer.in.len == 16);
    const uint8_t *p = (const uint8_t *)w.peer.in.p;
    cr_expect_eq(p[0], 0x81);
    cr_expect_eq(p[1], 0x8a);
    for (size_t i = 0; i < 10; i++) {
        cr_expect_eq((char)(p[6 + i] ^ p[2 + i % 4]), "abcdefghij"[i]);
    }
    peer_send(&w.peer, STR("\x81\x02ok"));
    WAIT_FOR(w.loop, w.messages == 1);
    buf_clear(&w.peer.in);
    send_frame(&w, TEXT, STR("masked")); /* a server must not */
    WAIT_FOR(w.loop, w.closes == 1);
    cr_expect_eq(w.err, -EPROTO);
    close_world(&w);
}

Test(ws, our_close_waits_for_theirs)
{
    struct world w;
    open_world(&w);
    ws_close(w.ws, 1001, "going away");
    cr_expect_eq(ws_send_text(w.ws, STR("late")), -EPIPE);
    WAIT_FOR(w.loop, w.peer.in.len == 14);
    cr_expect(str_eq(buf_str(&w.peer.in), STR("\x88\x0c\x03\xe9going away")));
    cr_expect_eq(w.closes, 0);
    send_frame(&w, TEXT, STR("still talking"));
    send_frame(&w, CLOSE,
               STR("\x03\xe9"
                   "ok"));
    WAIT_FOR(w.loop, w.closes == 1);
    cr_expect_eq(w.err, 0);
    cr_expect_eq(w.code, 1001);
    cr_expect_str_eq(w.reason, "ok");
    cr_expect_eq(w.messages, 0);
    close_world(&w);
}

Test(ws, our_close_unanswered, .timeout = 30)
{
    struct world w;
    open_world(&w);
    ws_close(w.ws, 1000, NULL);
    WAIT_FOR(w.loop, w.closes == 1);
    cr_expect_eq(w.err, -ETIMEDOUT);
    cr_expect_eq(w.code, 1006);
    close_world(&w);
}

Test(ws, cut)
{
    struct world w;
    open_world(&w);
    send_frame(&w, TEXT, STR("a"));
    peer_close(&w.peer);
    WAIT_FOR(w.loop, w.closes == 1);
    cr_expect_eq(w.messages, 1, "what came before the cut is delivered");
    cr_expect_eq(w.err, -ECONNRESET);
    cr_expect_eq(w.code, 1006);
    cr_expect_eq(ws_send_text(w.ws, STR("late")), -EPIPE);
    close_world(&w);
}

Test(ws, free_inside_callbacks)
{
    for (int which = 0; which < 3; which++) {
        struct world w;
        open_world(&w);
        w.free_in_message = which == 0;
        w.free_in_close = which == 1;
        w.close_in_message = which == 2;
        send_frame(&w, TEXT, STR("a"));
        send_frame(&w, TEXT, STR("b"));
        send_frame(&w, CLOSE, STR("\x03\xe8"));
        if (which == 0) {
            WAIT_FOR(w.loop, w.released == 1);
        } else {
            WAIT_FOR(w.loop, w.closes == 1);
        }
        cr_expect_eq(w.messages, which == 1 ? 2 : 1, "case %d", which);
        cr_expect_eq(w.closes, which == 0 ? 0 : 1, "case %d", which);
        close_world(&w);
    }
}

Test(ws, a_peer_that_does_not_read)
{
    struct world w;
    open_world(&w);
    uv_poll_stop(w.peer.poll);
    char *text = xmalloc(100000);
    memset(text, 'x', 100000);
    int err = 0;
    for (int i = 0; i < 100 && err == 0; i++) {
        err = ws_send_text(w.ws, str_make(text, 100000));
        cr_assert(err < 0 || ws_unsent(w.ws) <= LIMIT_WS_SEND_BYTES);
    }
    cr_expect_eq(err, -ENOBUFS);
    cr_expect_eq(w.closes, 0, "not inside ws_send_text()");
    WAIT_FOR(w.loop, w.closes == 1);
    cr_expect_eq(w.err, -ENOBUFS);
    xfree(text);
    close_world(&w);
}

Test(ws, a_peer_that_reads_late)
{
    struct world w;
    open_world(&w);
    uv_poll_stop(w.peer.poll);
    char *text = xmalloc(100000);
    memset(text, 'x', 100000);
    for (int i = 0; i < 8; i++) {
        cr_assert_eq(ws_send_text(w.ws, str_make(text, 100000)), 0);
    }
    cr_expect_gt(ws_unsent(w.ws), 0);
    uv_poll_start(w.peer.poll, UV_READABLE, peer_readable);
    WAIT_FOR(w.loop, w.peer.in.len == 8 * 100010);
    WAIT_FOR(w.loop, ws_unsent(w.ws) == 0);
    cr_expect_eq(w.closes, 0);
    xfree(text);
    close_world(&w);
}

Test(ws, a_peer_that_pings_and_does_not_read)
{
    struct world w;
    struct buf b;
    open_world(&w);
    uv_poll_stop(w.peer.poll);
    buf_init(&b, 1000000);
    for (int i = 0; i < 1000; i++) {
        add_frame(&b, PING, true, STR("0123456789012345678901234567890123456789"));
    }
    for (int i = 0; i < 2000 && w.closes == 0; i++) {
        (void)send(w.peer.fd, b.p, b.len, MSG_NOSIGNAL | MSG_DONTWAIT);
        loop_run_once(w.loop, false);
    }
    cr_expect_eq(w.closes, 1);
    cr_expect(w.err == -ENOBUFS || w.err == -EPROTO, "%d", w.err);
    buf_fini(&b);
    close_world(&w);
}

Test(ws, no_descriptor)
{
    struct world w = {0};
    w.loop = test_loop();
    struct ws_handlers handlers = {on_message, on_close, &w};
    w.ws = ws_open(w.loop, -1, WS_SERVER, STR_NONE, 100, handlers, on_release, &w);
    cr_expect_eq(w.closes, 0);
    WAIT_FOR(w.loop, w.closes == 1 && w.released == 1);
    cr_expect_eq(w.err, -ENOTCONN);
    ws_free(&w.ws);
    loop_free(&w.loop);
}
