#include "voice/realtime/session.h"

#include "base/alloc.h"
#include "base/limits.h"
#include "base/log.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define CONNECT_TIMEOUT_MS 10000
#define CONNECT_TRIES      3
#define CONNECT_WAIT_MS    600
#define BUSY_WAIT_MS       1000
#define CLOSE_TIMEOUT_MS   3000
#define PING_MS            20000
#define PONG_MS            10000
#define ORDER_WAIT_MS      1000
/* Nothing plain is said while the lead talks; but a voice detection that hangs must not mute us. */
#define HOLD_US (8 * US_PER_S)
/* A turn that ended this shortly before answers were switched on still wants one. */
#define FRESH_US (2 * US_PER_S)

#define APPEND_HEAD "{\"type\":\"input_audio_buffer.append\",\"audio\":\""
#define APPEND_TAIL "\"}"

/*  open -> connect -> on_dialed -> on_message(session.created) -> session.update ->
 *          on_message(session.updated) -> rt_ready        every end meets in rt_finish() */

static void connect_now(void *arg);

/* ---- lifetime ---- */

static void release(struct voice_session *s)
{
    s->state = RT_CLOSED;
    timer_stop(&s->setup_timer);
    timer_stop(&s->retry_timer);
    timer_stop(&s->watch_timer);
    timer_stop(&s->order_timer);
    timer_stop(&s->ping_timer);
    timer_stop(&s->pong_timer);
    ws_connect_cancel(&s->dial);
    ws_free(&s->ws);
}

static void destroy(struct voice_session *s)
{
    rt_reader_free(&s->reader);
    seq_fini(&s->seq);
    turns_fini(&s->turns);
    for (size_t i = 0; i < RT_CALLS_SEEN_MAX; i++) {
        xfree(s->calls_seen[i]);
    }
    if (s->auth_line != NULL) {
        secret_wipe(s->auth_line, strlen(s->auth_line));
    }
    xfree(s->auth_line);
    xfree(s->safety_line);
    xfree(s->url);
    xfree(s->setup);
    xfree(s->lead_item);
    xfree(s->instructions);
    xfree(s);
}

void rt_enter(struct voice_session *s)
{
    s->depth++;
}

void rt_leave(struct voice_session *s)
{
    s->depth--;
    if (s->freed && s->depth == 0) {
        destroy(s);
    }
}

static void session_free(struct voice_session **sp)
{
    struct voice_session *s = *sp;
    if (s == NULL) {
        return;
    }
    *sp = NULL;
    release(s);
    s->h = (struct voice_handlers){.arg = NULL};
    s->freed = true;
    rt_enter(s);
    rt_leave(s);
}

void rt_trouble(struct voice_session *s, const struct fault *fault)
{
    if (s->h.on_trouble != NULL) {
        s->h.on_trouble(fault, s->h.arg);
    }
}

void rt_usage_tell(struct voice_session *s, const char *key, struct voice_usage *usage)
{
    if (s->h.on_usage != NULL) {
        s->h.on_usage(key, usage, s->h.arg);
    }
}

/* What was being made when the socket died is billed, and its bill will not come. */
static void estimate_usage(struct voice_session *s)
{
    for (size_t i = 0; i < RT_RESPONSES_MAX; i++) {
        const struct rt_response *r = &s->responses[i];
        if (r->id[0] == '\0') {
            continue;
        }
        struct voice_usage usage = {.estimated = true};
        usage.audio_out = r->audio_bytes / 8 / 50; /* 8 bytes a ms, 50 ms a token */
        usage.audio_in = s->heard_bytes / 8 / 100;
        usage.text_in = (int64_t)strlen(s->setup) / 4;
        usage.text_out = usage.audio_out / 4;
        price_response(s->price, &usage);
        rt_usage_tell(s, r->id, &usage);
    }
}

void rt_finish(struct voice_session *s, const struct fault *fault)
{
    if (s->state == RT_CLOSED) {
        return;
    }
    rt_enter(s);
    if (s->ws != NULL) {
        ws_close(s->ws, 1000, "");
    }
    release(s);
    estimate_usage(s);
    turns_settle(&s->turns);
    log_debug("voice.closed", LOG_STR("class", fault_class_name(fault->class)),
              LOG_STR("code", fault->code), LOG_I64("dropped_frames", s->dropped_frames),
              LOG_I64("late_deltas", s->late_deltas),
              LOG_I64("harmless_errors", s->harmless_errors));
    if (s->h.on_closed != NULL) {
        s->h.on_closed(fault, s->h.arg);
    }
    rt_leave(s);
}

/* ---- birth ---- */

static bool is_header_text(const char *text)
{
    for (const char *p = text; *p != '\0'; p++) {
        if ((unsigned char)*p < 0x20 || *p == 0x7f) {
            return false;
        }
    }
    return true;
}

static int check_config(const struct voice_config *c)
{
    const char *const needed[] = {c->url,   c->auth_header,  c->api_key,         c->model,
                                  c->voice, c->instructions, c->transcribe_model};
    for (size_t i = 0; i < COUNT_OF(needed); i++) {
        if (needed[i] == NULL || needed[i][0] == '\0') {
            return -EINVAL;
        }
    }
    if (!is_header_text(c->auth_header) || !is_header_text(c->api_key) ||
        (c->safety_id != NULL && !is_header_text(c->safety_id))) {
        return -EINVAL;
    }
    return 0;
}

static char *header_line(const char *name, const char *before, const char *value)
{
    size_t size = strlen(name) + strlen(before) + strlen(value) + 3;
    char *line = xmalloc(size);
    (void)snprintf(line, size, "%s: %s%s", name, before, value);
    return line;
}

static void on_turn_placed(enum voice_speaker who, const char *item_id, const char *after_id,
                           void *arg)
{
    struct voice_session *s = arg;
    if (s->h.on_turn != NULL) {
        s->h.on_turn(who, item_id, after_id, s->h.arg);
    }
}

static void on_turn_text(enum voice_speaker who, const char *item_id, struct str text, bool final,
                         void *arg)
{
    struct voice_session *s = arg;
    if (s->h.on_text != NULL) {
        s->h.on_text(who, item_id, text, final, s->h.arg);
    }
}

static struct voice_pace pace_of(const struct voice_pace *p)
{
    return (struct voice_pace){
        .connect_tries = p->connect_tries > 0 ? p->connect_tries : CONNECT_TRIES,
        .connect_wait_ms = p->connect_wait_ms > 0 ? p->connect_wait_ms : CONNECT_WAIT_MS,
        .busy_wait_ms = p->busy_wait_ms > 0 ? p->busy_wait_ms : BUSY_WAIT_MS,
        .ping_ms = p->ping_ms > 0 ? p->ping_ms : PING_MS,
        .pong_ms = p->pong_ms > 0 ? p->pong_ms : PONG_MS,
    };
}

static int fill(struct voice_session *s, const struct voice_config *c)
{
    s->price = price_find(str_of(c->model));
    s->transcribe_price = price_find(str_of(c->transcribe_model));
    OWNED(buf_fini) struct buf setup;
    buf_init(&setup, LIMIT_WS_SEND_BYTES / 2);
    int err = rt_write_setup(c, s->price != NULL && s->price->reasons, &setup);
    if (err < 0) {
        return err;
    }
    s->setup = buf_steal(&setup);
    s->url = rt_url(c->url, c->model);
    bool bearer = str_eq_nocase(str_of(c->auth_header), STR("Authorization"));
    s->auth_line = header_line(c->auth_header, bearer ? "Bearer " : "", c->api_key);
    if (c->safety_id != NULL && c->safety_id[0] != '\0') {
        s->safety_line = header_line("OpenAI-Safety-Identifier", "", c->safety_id);
    }
    s->lead_item = c->lead_item == NULL ? NULL : xstrdup(c->lead_item);
    s->instructions = xstrdup(c->instructions);
    s->connect_timeout_ms = c->connect_timeout_ms > 0 ? c->connect_timeout_ms : CONNECT_TIMEOUT_MS;
    s->pace = pace_of(&c->pace);
    return 0;
}

static void on_setup_late(void *arg)
{
    struct voice_session *s = arg;
    struct fault fault = fault_make(FAULT_UNSURE, 0, "connect_timeout",
                                    "no configured session within %u ms", s->connect_timeout_ms);
    rt_finish(s, &fault);
}

/* The item before one that we have will not be announced: its text must not wait for ever. */
static void on_order_late(void *arg)
{
    struct voice_session *s = arg;
    rt_enter(s);
    turns_hurry(&s->turns);
    rt_leave(s);
}

static void on_message(struct str message, bool binary, void *arg)
{
    struct voice_session *s = arg;
    rt_enter(s);
    rt_on_message(s, message, binary);
    if (s->state != RT_CLOSED && s->turns.waiting > 0 && !timer_running(&s->order_timer)) {
        timer_start(&s->order_timer, s->loop, ORDER_WAIT_MS, on_order_late, s);
    }
    rt_leave(s);
}

static void on_close(int err, int code, struct str reason, void *arg)
{
    struct voice_session *s = arg;
    if (s->state == RT_CLOSING) {
        struct fault none = fault_none();
        rt_finish(s, &none);
        return;
    }
    struct fault fault = fault_make(rt_close_fault(code), code, "closed", STR_FMT, STR_ARG(reason));
    if (err < 0) {
        fault = fault_make(FAULT_UNSURE, code, "cut", "socket: %s", strerror(-err));
    }
    rt_finish(s, &fault);
}

static void on_pong_late(void *arg)
{
    struct voice_session *s = arg;
    if (ws_last_read_us(s->ws) >= s->pinged_us) {
        return;
    }
    struct fault fault =
        fault_make(FAULT_UNSURE, 0, "no_pong", "silent for %u ms after a ping", s->pace.pong_ms);
    rt_finish(s, &fault);
}

static void on_ping_due(void *arg)
{
    struct voice_session *s = arg;
    s->pinged_us = loop_now_us(s->loop);
    (void)ws_ping(s->ws);
    timer_start(&s->pong_timer, s->loop, s->pace.pong_ms, on_pong_late, s);
}

static void on_dialed(struct ws_conn *c, const struct fault *fault, void *arg)
{
    struct voice_session *s = arg;
    s->dial = NULL;
    if (c != NULL) {
        s->ws = c;
        s->state = RT_GREETING;
        timer_repeat(&s->ping_timer, s->loop, s->pace.ping_ms, on_ping_due, s);
        return;
    }
    struct fault why = *fault;
    why.class = rt_handshake_fault(fault->status, fault->class);
    bool again = why.class == FAULT_BUSY || why.class == FAULT_NOT_SENT;
    if (again && s->connect_tries < s->pace.connect_tries) {
        /* Opening a session acts on nobody, so it may be repeated; the setup timer bounds it all.
         */
        timer_start(&s->retry_timer, s->loop,
                    (int64_t)s->pace.connect_wait_ms << (s->connect_tries - 1), connect_now, s);
        return;
    }
    rt_finish(s, &why);
}

static int connect_start(struct voice_session *s)
{
    const char *const headers[] = {s->auth_line, s->safety_line, NULL};
    struct ws_ask ask = {
        .url = s->url,
        .headers = headers,
        .timeout_ms = s->connect_timeout_ms,
        .message_max = LIMIT_MODEL_MSG_BYTES,
        .handlers = {.on_message = on_message, .on_close = on_close, .arg = s},
    };
    s->connect_tries++;
    return ws_connect(&s->dial, s->http, &ask, on_dialed, s);
}

static void connect_now(void *arg)
{
    struct voice_session *s = arg;
    int err = connect_start(s);
    if (err < 0) {
        struct fault fault = fault_make(FAULT_NOT_SENT, 0, "connect", "%s", strerror(-err));
        rt_finish(s, &fault);
    }
}

static int session_open(struct voice_session **out, struct loop *loop, struct http_client *http,
                        const struct voice_config *config, const struct voice_handlers *handlers)
{
    int err = check_config(config);
    if (err < 0) {
        return err;
    }
    OWNED(session_free) struct voice_session *s = xzalloc(sizeof *s);
    s->loop = loop;
    s->http = http;
    s->automatic = true;
    s->reader = rt_reader_new(LIMIT_MODEL_MSG_BYTES);
    seq_init(&s->seq);
    turns_init(&s->turns);
    s->turns.on_turn = on_turn_placed;
    s->turns.on_text = on_turn_text;
    s->turns.arg = s;
    err = fill(s, config);
    if (err < 0) {
        return err;
    }
    err = connect_start(s);
    if (err < 0) {
        return err;
    }
    timer_start(&s->setup_timer, loop, s->connect_timeout_ms, on_setup_late, s);
    s->h = *handlers;
    *out = GIVE(s);
    return 0;
}

/* ---- speaking ---- */

int rt_send(struct voice_session *s, struct buf *event)
{
    int err = s->ws == NULL ? -ENOTCONN : ws_send_text(s->ws, buf_str(event));
    buf_clear(event);
    return err;
}

void rt_ready(struct voice_session *s)
{
    timer_stop(&s->setup_timer);
    s->state = RT_READY;
    if (s->lead_item != NULL) {
        OWNED(buf_fini) struct buf event;
        buf_init(&event, LIMIT_WS_SEND_BYTES / 2);
        if (rt_write_item(&event, s->next_item++, "user", "input_text", str_of(s->lead_item)) ==
            0) {
            (void)rt_send(s, &event); /* a socket that does not take it closes, and says so */
        }
    }
    if (s->h.on_ready != NULL) {
        s->h.on_ready(s->h.arg);
    }
}

struct rt_response *rt_response_find(struct voice_session *s, struct str id)
{
    for (size_t i = 0; i < RT_RESPONSES_MAX && id.len > 0; i++) {
        if (str_eq_cstr(id, s->responses[i].id)) {
            return &s->responses[i];
        }
    }
    return NULL;
}

static void give_up(struct voice_session *s, const char *response_id, struct seq_ask *ask)
{
    struct rt_response *r = rt_response_find(s, str_of(response_id));
    struct fault fault =
        fault_make(FAULT_UNSURE, 0, "response_timeout", "the model does not answer");
    if (r != NULL) {
        rt_response_over(s, r, "failed");
    } else if (ask->name[0] != '\0' && s->h.on_response_end != NULL) {
        s->h.on_response_end("", ask->tag, "failed", false, false, s->h.arg);
    }
    seq_ask_fini(ask);
    rt_trouble(s, &fault);
}

static void on_watch(void *arg)
{
    struct voice_session *s = arg;
    struct seq_ask ask = {.body = NULL};
    char response_id[VOICE_ID_SIZE];
    str_copy_cut(str_of(s->seq.response_id), response_id, sizeof response_id);
    rt_enter(s);
    if (seq_expire(&s->seq, loop_now_us(s->loop), &ask)) {
        give_up(s, response_id, &ask);
    }
    rt_pump(s);
    rt_leave(s);
}

static bool holds(const struct voice_session *s)
{
    return s->lead_talks && loop_now_us(s->loop) - s->talk_changed_us < HOLD_US;
}

static void send_ask(struct voice_session *s, const struct seq_ask *ask)
{
    OWNED(buf_fini) struct buf event;
    buf_init(&event, LIMIT_WS_SEND_BYTES / 2);
    int err = rt_write_ask(&event, ask);
    if (err == 0) {
        err = rt_send(s, &event); /* refused: the socket is dead, on_close follows */
    }
    s->unanswered = err < 0 && s->unanswered;
}

void rt_pump(struct voice_session *s)
{
    if (s->state != RT_READY) {
        return;
    }
    const struct seq_ask *ask = seq_take(&s->seq, loop_now_us(s->loop), holds(s));
    if (ask != NULL) {
        send_ask(s, ask);
    }
    timer_stop(&s->watch_timer);
    int64_t due_us = seq_due_us(&s->seq);
    if (due_us < 0 || s->state != RT_READY) {
        return;
    }
    if (s->seq.state == SEQ_FREE && holds(s)) {
        due_us = i64_max(due_us, s->talk_changed_us + HOLD_US);
    }
    timer_start_us(&s->watch_timer, s->loop, i64_max(1000, due_us - loop_now_us(s->loop)), on_watch,
                   s);
}

static int ask_for(struct voice_session *s, char *body, const char *tag, bool plain)
{
    int err = seq_push(&s->seq, body, tag, plain);
    if (err == 0) {
        rt_pump(s);
    }
    return err;
}

void rt_go_on(struct voice_session *s)
{
    if (ask_for(s, NULL, "", true) < 0) {
        struct fault fault = fault_make(FAULT_BUSY, 0, "queue_full", "too many answers asked for");
        rt_trouble(s, &fault);
    }
}

static int usable(const struct voice_session *s)
{
    return s->state == RT_READY                              ? 0
           : s->state == RT_CLOSING || s->state == RT_CLOSED ? -EPIPE
                                                             : -EAGAIN;
}

static bool breaks_json(struct str base64)
{
    unsigned bad = 0;
    for (size_t i = 0; i < base64.len; i++) {
        unsigned char c = (unsigned char)base64.p[i];
        bad |= (unsigned)(c == '"') | (unsigned)(c == '\\') | (unsigned)(c < 0x20);
    }
    return bad != 0;
}

static int session_hear(struct voice_session *s, struct str base64)
{
    if (s->state != RT_READY) {
        s->dropped_frames++;
        return s->state == RT_CLOSED ? -EPIPE : 0;
    }
    if (base64.len == 0 || breaks_json(base64)) {
        return -EINVAL;
    }
    const struct str parts[] = {STR(APPEND_HEAD), base64, STR(APPEND_TAIL)};
    int err = ws_send_parts(s->ws, parts, COUNT_OF(parts));
    if (err == 0) {
        s->heard_bytes += (int64_t)(base64.len / 4 * 3);
    }
    return err;
}

static int session_say_exactly(struct voice_session *s, const char *text, const char *tag)
{
    char *body = NULL;
    int err = usable(s);
    if (err == 0) {
        err = text == NULL ? 0 : rt_body_exact(text, &body);
    }
    return err < 0 ? err : ask_for(s, body, tag == NULL ? "" : tag, false);
}

static int session_respond(struct voice_session *s, const char *instructions, const char *tag)
{
    char *body = NULL;
    int err = usable(s);
    if (err == 0) {
        err = rt_body_go_on(s->instructions, instructions, &body);
    }
    return err < 0 ? err : ask_for(s, body, tag == NULL ? "" : tag, false);
}

static int note(struct voice_session *s, const char *role, const char *kind, const char *text)
{
    int err = usable(s);
    if (err < 0) {
        return err;
    }
    OWNED(buf_fini) struct buf event;
    buf_init(&event, LIMIT_WS_SEND_BYTES / 2);
    err = rt_write_item(&event, s->next_item++, role, kind, str_of(text));
    return err < 0 ? err : rt_send(s, &event);
}

static int session_note_spoken(struct voice_session *s, const char *text)
{
    return note(s, "assistant", "output_text", text);
}

static int session_note_system(struct voice_session *s, const char *text)
{
    return note(s, "system", "input_text", text);
}

void rt_cancel_active(struct voice_session *s)
{
    const char *id = seq_cancel(&s->seq, loop_now_us(s->loop));
    for (size_t i = 0; i < RT_RESPONSES_MAX; i++) {
        s->responses[i].discarded = s->responses[i].id[0] != '\0';
    }
    if (id != NULL) {
        OWNED(buf_fini) struct buf event;
        buf_init(&event, 1024);
        if (rt_write_cancel(&event, id) == 0) {
            (void)rt_send(s, &event);
        }
    }
    rt_pump(s);
}

static void session_cancel(struct voice_session *s)
{
    if (s->state == RT_READY) {
        rt_cancel_active(s);
    }
}

static void session_truncate(struct voice_session *s, const char *item_id, int64_t heard_ms)
{
    const struct turn *turn = turns_get(&s->turns, str_of(item_id));
    if (s->state != RT_READY || turn == NULL || turn->audio_bytes == 0) {
        return;
    }
    /* Past its end is an error there; at the end of a complete item there is nothing to cut. */
    int64_t total_ms = turn->audio_bytes / 8;
    if (heard_ms >= total_ms && turn->audio_ended) {
        return;
    }
    OWNED(buf_fini) struct buf event;
    buf_init(&event, 1024);
    if (rt_write_truncate(&event, turn->item_id, i64_max(0, i64_min(heard_ms, total_ms))) == 0) {
        (void)rt_send(s, &event);
    }
}

static void session_set_turns(struct voice_session *s, bool automatic)
{
    bool fresh = loop_now_us(s->loop) - s->talk_changed_us <= FRESH_US;
    s->automatic = automatic;
    if (s->state == RT_READY && automatic && s->unanswered && !s->lead_talks && fresh) {
        rt_go_on(s);
    }
}

static int session_tool_result(struct voice_session *s, const char *call_id, struct str output,
                               bool respond)
{
    int err = usable(s);
    if (err < 0) {
        return err;
    }
    OWNED(buf_fini) struct buf event;
    buf_init(&event, LIMIT_WS_SEND_BYTES / 2);
    err = rt_write_tool_result(&event, s->next_item++, call_id, output);
    if (err == 0) {
        err = rt_send(s, &event);
    }
    if (err < 0) {
        return err;
    }
    s->calls_open -= s->calls_open > 0 ? 1 : 0;
    s->go_on_wanted = s->go_on_wanted || respond;
    if (s->calls_open == 0 && s->go_on_wanted) {
        s->go_on_wanted = false;
        rt_go_on(s); /* one answer for all results; queued while a response is active */
    }
    return 0;
}

static void on_close_late(void *arg)
{
    struct voice_session *s = arg;
    struct fault none = fault_none();
    rt_finish(s, &none);
}

static void session_close(struct voice_session *s)
{
    if (s->state == RT_CLOSING || s->state == RT_CLOSED) {
        return;
    }
    s->state = RT_CLOSING;
    timer_stop(&s->retry_timer);
    timer_stop(&s->watch_timer);
    ws_connect_cancel(&s->dial);
    timer_start(&s->setup_timer, s->loop, s->ws == NULL ? 0 : CLOSE_TIMEOUT_MS, on_close_late, s);
    if (s->ws != NULL) {
        ws_close(s->ws, 1000, "");
    }
}

const struct voice voice_realtime = {
    .name = "openai_realtime",
    .open = session_open,
    .free = session_free,
    .hear = session_hear,
    .say_exactly = session_say_exactly,
    .respond = session_respond,
    .note_spoken = session_note_spoken,
    .note_system = session_note_system,
    .cancel = session_cancel,
    .truncate = session_truncate,
    .set_turns = session_set_turns,
    .tool_result = session_tool_result,
    .close = session_close,
};
