#include "serve.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/crypto.h"
#include "base/log.h"
#include "base/metrics.h"
#include "cli/commands.h"
#include "cli/migrations_gen.h"
#include "media/recording_url.h"
#include "store/tenant_ctx.h"
#include "voice/voice.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FETCH_INTERVAL_MS 5000
#define AFTER_LOOK_MS     20
#define AFTER_PATIENCE_US (1 * US_PER_S)
#define GAUGES_MS         1000
#define REFUSED_MS        1000 /* an opt-out counts within a second, on every node */
/* Going down: after the last talk the carrier still asks what comes next, and reports the end. */
#define FAREWELL_MS   15000
#define REPLY_MS      100 /* for the answer to the last report to leave */
#define WARM_SLACK_MS 60000

/* --- hooks: what one room tells another ---------------------------------------------------------- */

static void on_placed(const struct store_claimed *claimed, const json_t *brief, void *arg)
{
    (void)claimed;
    serve_prepare(arg, brief); /* while it rings, so that the first word is not late */
}

static void maybe_stopped(struct serve *s);

static struct str id_key(const struct uuid *id)
{
    return str_make((const char *)id->b, sizeof id->b);
}

/* Its end is on record: by the carrier's report, or by its list. */
static void off_line(struct serve *s, const struct uuid *call_id)
{
    if (map_take(&s->on_line, id_key(call_id)) != NULL) {
        maybe_stopped(s);
    }
}

static void on_found_ended(const struct uuid *organization_id, const struct uuid *call_id,
                           void *arg)
{
    struct serve *s = arg;
    (void)organization_id;
    desk_end(s->desk, call_id, CALL_END_CALLER_HANGUP);
    off_line(s, call_id);
}

static size_t live_calls(void *arg)
{
    const struct serve *s = arg;
    return desk_count(s->desk);
}

static void on_carrier_event(const struct carrier_identity *identity,
                             const struct carrier_event *event, void *arg)
{
    struct serve *s = arg;
    if (event->kind == CARRIER_EVENT_MACHINE && event->machine) {
        desk_machine(s->desk, &identity->attempt_id);
    }
}

static void on_answer(const struct carrier_identity *identity, const struct carrier_event *event,
                      void *arg)
{
    struct serve *s = arg;
    (void)event;
    (void)map_put(&s->on_line, id_key(&identity->attempt_id), s);
    /* Known already, unless we are a new process or another node placed it. */
    serve_prepare_adopted(s, &identity->organization_id, &identity->attempt_id);
}

static void on_hangup(const struct carrier_identity *identity, const struct carrier_event *event,
                      void *arg)
{
    struct serve *s = arg;
    bool answered = event->answered_us != 0;
    desk_end(s->desk, &identity->attempt_id,
             answered ? CALL_END_CALLER_HANGUP : CALL_END_CANCELLED);
    dialer_poke(s->dialer); /* a line is free */
    off_line(s, &identity->attempt_id);
}

static void on_media_socket(const struct api_media *media, int fd, struct str already_read,
                            struct http_socket *handle, void *arg)
{
    struct serve *s = arg;
    if (fd < 0) { /* its only token is spent: no stream will come */
        desk_end(s->desk, &media->call_id, CALL_END_PROVIDER_ERROR);
        return;
    }
    int err = desk_socket(s->desk, &media->call_id, media->call_uuid, fd, already_read, handle);
    if (err < 0) {
        log_warn("media.socket.refused", LOG_UUID("call", &media->call_id), LOG_I64("error", err));
        (void)close(fd);
        http_socket_done(handle);
    }
}

/* `after`: the database knows whether an agent is held for the call, the desk how the talk ended. */
struct after {
    struct serve_op op;
    struct serve *s;
    struct carrier_identity identity;
    struct timer
        wait; /* for the media side's word, which may come a moment after the carrier's question */
    int64_t give_up_us;
    char language[36];
    api_reply_fn *on_done;
    void *arg;
};

static const char sorry[] =
    "I am sorry, we have a technical problem. We will call you back. Goodbye.";
/* Of a call that this process knows nothing of: promise nothing that nobody wrote down. */
static const char sorry_stranger[] = "I am sorry, we have a technical problem. Goodbye.";

static void after_drop(struct serve_op *op)
{
    struct after *after = CONTAINER_OF(op, struct after, op);
    timer_stop(&after->wait);
    serve_op_free(after);
}

static void after_reply(struct after *after, const struct fault *fault,
                        const struct carrier_instruction *what)
{
    api_reply_fn *on_done = after->on_done;
    void *on_done_arg = after->arg;
    after_drop(&after->op);
    on_done(fault, what, on_done_arg);
}

static bool after_undecided(const struct after *after)
{
    const struct uuid *id = &after->identity.attempt_id;
    return desk_has(after->s->desk, id) && !desk_decided(after->s->desk, id) &&
           loop_now_us(after->s->loop) < after->give_up_us;
}

/* No agent is to be rung. The stream broke, or died with an older process, or the agent is gone
 * meanwhile: nobody hears a line go dead without a word. */
static void after_end(struct after *after)
{
    struct fault fault = fault_none();
    enum call_next next = desk_next(after->s->desk, &after->identity.attempt_id);
    char language[sizeof after->language];
    memcpy(language, after->language, sizeof language);
    struct carrier_instruction answer = {
        .next = next == CALL_NEXT_HANGUP ? CARRIER_NEXT_HANGUP : CARRIER_NEXT_SAY_END,
        .identity = after->identity,
        .text = next == CALL_NEXT_UNKNOWN ? sorry_stranger : sorry,
        .language = language,
    };
    after_reply(after, &fault, &answer);
}

static void on_after_wait(void *arg)
{
    struct after *after = arg;
    if (after_undecided(after)) {
        timer_start(&after->wait, after->s->loop, AFTER_LOOK_MS, on_after_wait, after);
        return;
    }
    after_end(after);
}

static void on_followed(const struct fault *fault, const struct carrier_instruction *what,
                        void *arg)
{
    struct after *after = arg;
    const struct uuid *id = &after->identity.attempt_id;
    /* An agent is held, but the talk went on and ended otherwise: the person opted out, or was told
     * that nobody is free. The end of the call sets the agent free. */
    bool otherwise =
        desk_decided(after->s->desk, id) && desk_next(after->s->desk, id) == CALL_NEXT_HANGUP;
    if (fault->class != FAULT_NONE || (what->next == CARRIER_NEXT_AGENT && !otherwise)) {
        after_reply(after, fault, what);
        return;
    }
    str_copy_cut(str_of(what->language), after->language, sizeof after->language);
    on_after_wait(after);
}

static int on_follow(const struct carrier_identity *identity, const struct carrier_event *event,
                     api_reply_fn *on_done, void *on_done_arg, void *arg)
{
    struct serve *s = arg;
    if (event->kind != CARRIER_EVENT_AFTER) {
        return handoff_event(s->handoff, identity, event, on_done, on_done_arg);
    }
    struct after *after = serve_op_new(s, sizeof *after);
    after->op.drop = after_drop;
    after->s = s;
    after->identity = *identity;
    after->give_up_us = loop_now_us(s->loop) + AFTER_PATIENCE_US;
    after->on_done = on_done;
    after->arg = on_done_arg;
    int err = handoff_event(s->handoff, identity, event, on_followed, after);
    if (err < 0) {
        serve_op_free(after);
    }
    return err;
}

/* --- what waits for an answer ---------------------------------------------------------------------- */

void *serve_op_new(struct serve *s, size_t size_bytes)
{
    struct serve_op *op = xzalloc(size_bytes);
    op->size_bytes = size_bytes;
    list_init(&op->link);
    list_push_back(&s->ops, &op->link);
    return op;
}

void serve_op_free(void *op_p)
{
    struct serve_op *op = op_p;
    list_remove(&op->link);
    secret_wipe(op, op->size_bytes);
    xfree(op);
}

static void drop_ops(struct serve *s)
{
    while (s->ops.next != NULL && !list_empty(&s->ops)) {
        struct serve_op *op = LIST_ITEM(s->ops.next, struct serve_op, link);
        if (op->drop != NULL) {
            op->drop(op);
        } else {
            serve_op_free(op);
        }
    }
}

/* --- opening ------------------------------------------------------------------------------------- */

static int open_base(struct serve *s)
{
    struct settings *set = &s->settings;
    struct str secret = str_of(set->secret);
    list_init(&s->ops);
    map_init(&s->on_line);
    hmac_sha256(secret, STR("dialwright callback v1"), s->urls.callback_key);
    hmac_sha256(secret, STR("dialwright person v1"), s->person_key);
    recording_url_key(secret, s->recording_key);
    s->urls.public_url = set->public_url;
    s->loop = loop_new(LOOP_REAL);
    s->http = http_client_new(s->loop, set->carrier_hosts_allowed);

    struct pg_config db = {.url = set->database_url};
    tenant_ctx_key(secret, db.context_key);
    int err = pg_pool_new(&s->db, s->loop, &db);
    if (err < 0) {
        return err;
    }
    struct accounts_env accounts = {
        .loop = s->loop, .db = s->db, .kek = set->kek, .api_url = set->plivo_api_url};
    return accounts_open(&s->accounts, &accounts);
}

static int open_calls(struct serve *s)
{
    const struct settings *set = &s->settings;
    s->call_env = (struct call_env){
        .carrier = &carrier_plivo,
        .voice = &voice_realtime,
        .realtime_url = set->openai_realtime_url,
        .auth_header = set->openai_auth_header,
        .api_key = set->openai_api_key,
        .model = set->realtime_model,
        .transcribe_model = set->transcribe_model,
        .data_dir = set->data_dir,
        .media_loops = (size_t)set->media_loops,
        .calls_max = (size_t)set->calls_max,
        .poll_only = set->io_uring == 0,
        .warm_max_ms = set->carrier_queue_ms + set->ring_timeout_s * 1000 + WARM_SLACK_MS,
    };
    struct desk_store store = serve_desk_store(s);
    struct desk_hooks hooks = serve_desk_hooks(s);
    int err = desk_open(&s->desk, s->loop, &s->call_env, &store, &hooks);
    if (err < 0) {
        return err;
    }
    struct handoff_env handoff = {.loop = s->loop, .db = s->db};
    err = handoff_open(&s->handoff, &handoff);
    if (err < 0) {
        return err;
    }
    struct fetch_env fetch = {
        .loop = s->loop,
        .db = s->db,
        .http = s->http,
        .data_dir = set->data_dir,
        .public_url = set->public_url,
        .interval_ms = FETCH_INTERVAL_MS,
    };
    memcpy(fetch.recording_key, s->recording_key, sizeof fetch.recording_key);
    return fetch_open(&s->fetch, &fetch);
}

static void on_history_moved(void *arg)
{
    struct serve *s = arg;
    if (s->dialer != NULL) {
        dialer_moved(s->dialer);
    }
}

/* "full", "draining" and the clock come and go; these stay until somebody or something acts. */
static const char *idle_why(void *arg)
{
    const struct serve *s = arg;
    if (s->journal != NULL && journal_why(s->journal)[0] != '\0') {
        return journal_why(s->journal);
    }
    return history_why(s->history);
}

static int open_dialing(struct serve *s)
{
    s->dial_env = (struct dial_env){
        .loop = s->loop,
        .db = s->db,
        .http = s->http,
        .carrier = &carrier_plivo,
        .urls = &s->urls,
        .accounts = s->accounts,
        .settings = &s->settings,
        .node = {.node_id = uuid_make(loop_wall_us(s->loop)),
                 .name = s->settings.node_name,
                 .version = DIALWRIGHT_VERSION,
                 .public_url = s->settings.public_url},
        .hooks = {.placed = on_placed, .ended = on_found_ended, .live = live_calls, .arg = s},
        .clock = &s->dial_clock,
    };
    if (s->settings.journal_keep_h > 0) {
        int made =
            journal_open(&s->journal, s->loop, s->settings.data_dir, &s->dial_env.node.node_id);
        if (made < 0) {
            return made;
        }
    }
    orphans_open(&s->orphans, &s->dial_env);
    s->dial_env.journal = s->journal;
    s->dial_env.orphans = s->orphans;
    history_open(&s->history, &s->dial_env, on_history_moved, s);
    s->dial_env.history = s->history;
    int err = dialer_open(&s->dialer, &s->dial_env);
    return err < 0 ? err : reconcile_open(&s->reconcile, &s->dial_env);
}

static int open_api(struct serve *s)
{
    struct api_env api = {
        .loop = s->loop,
        .db = s->db,
        .accounts = s->accounts,
        .clock = &s->dial_clock,
        .urls = &s->urls,
        .listen = s->settings.listen,
        .data_dir = s->settings.data_dir,
        .schema_level = migrations[migrations_count - 1].number,
        .hooks = {.follow = on_follow,
                  .on_event = on_carrier_event,
                  .on_answer = on_answer,
                  .on_hangup = on_hangup,
                  .on_media_socket = on_media_socket,
                  .idle_why = idle_why,
                  .arg = s},
    };
    memcpy(api.recording_key, s->recording_key, sizeof api.recording_key);
    return api_open(&s->api, &api);
}

static int open_insight(struct serve *s)
{
    const struct settings *set = &s->settings;
    struct insight_config config = {
        .api_url = set->openai_api_url,
        .auth_header = set->openai_auth_header,
        .api_key = set->openai_api_key,
        .model = set->analysis_model,
        .worker_id = uuid_make(loop_wall_us(s->loop)),
        .jobs = set->analysis_workers,
        .delay_ms = set->analysis_delay_ms,
    };
    return insight_open(&s->insight, s->loop, s->db, s->http, &config);
}

/* --- talks with people who are on the list by now ------------------------------------------------- */

static void on_refused(const struct fault *fault, const struct uuid *call_ids, size_t count,
                       void *arg)
{
    struct serve *s = arg;
    s->refused_tx = NULL;
    for (size_t i = 0; fault->class == FAULT_NONE && i < count; i++) {
        desk_end(s->desk, &call_ids[i], CALL_END_OPTED_OUT); /* of other nodes: not known here */
    }
}

static void on_refused_tick(void *arg)
{
    struct serve *s = arg;
    if (s->refused_tx == NULL && desk_count(s->desk) > 0 && pg_pool_health(s->db) == PG_UP &&
        store_live_refused(&s->refused_tx, s->db, on_refused, s) < 0) {
        log_debug("call.refused_skipped");
    }
}

/* --- closing -------------------------------------------------------------------------------------- */

static void on_farewell_over(void *arg)
{
    struct serve *s = arg;
    log_info("serve.drained", LOG_I64("on_line", map_count(&s->on_line)));
    loop_stop(s->loop);
}

static void maybe_stopped(struct serve *s)
{
    if (s->dialer_drained && s->desk_drained) {
        timer_start(&s->farewell, s->loop, map_count(&s->on_line) == 0 ? REPLY_MS : FAREWELL_MS,
                    on_farewell_over, s);
    }
}

static void on_dialer_drained(void *arg)
{
    struct serve *s = arg;
    s->dialer_drained = true;
    maybe_stopped(s);
}

static void on_desk_drained(void *arg)
{
    struct serve *s = arg;
    s->desk_drained = true;
    maybe_stopped(s);
}

static void on_signal(uv_signal_t *handle, int signum)
{
    struct serve *s = handle->data;
    if (s->stopping) {
        log_warn("serve.stop.now", LOG_I64("calls", desk_count(s->desk)));
        loop_stop(s->loop); /* asked twice */
        return;
    }
    s->stopping = true;
    log_info("serve.drain", LOG_I64("signal", signum), LOG_I64("calls", desk_count(s->desk)));
    api_drain(s->api);
    dialer_drain(s->dialer, on_dialer_drained, s);
    desk_drain(s->desk, on_desk_drained, s);
}

static void on_gauges(void *arg)
{
    const struct serve *s = arg;
    struct dialer_state dialing = dialer_state(s->dialer);
    struct reconcile_state unknown = reconcile_state(s->reconcile);
    metric_set("calls_live", NULL, (int64_t)desk_count(s->desk));
    metric_set("dialer_placing", NULL, (int64_t)dialing.placing);
    metric_set("dialer_claiming", NULL, dialing.claiming ? 1 : 0);
    metric_set("unknown_oldest_s", NULL, unknown.oldest_s);
    metric_set("db_waiting", NULL, (int64_t)pg_pool_waiting(s->db));
}

static void on_health(enum pg_health health, void *arg)
{
    struct serve *s = arg;
    if (health == PG_UP) {
        s->database_seen = true;
        log_info("database.up");
    } else if (health == PG_REFUSED) {
        log_error("database.refused", LOG_STR("why", pg_pool_reason(s->db)));
        if (!s->database_seen) { /* a weak setting, not a trouble that passes */
            (void)fprintf(stderr, "dialwright serve does not start:\n%s\n", pg_pool_reason(s->db));
            s->database_refused = true;
            loop_stop(s->loop);
        }
    } else if (health == PG_DOWN) {
        log_warn("database.down", LOG_STR("why", pg_pool_reason(s->db)));
    }
}

static void close_rooms(struct serve *s)
{
    timer_stop(&s->gauges);
    timer_stop(&s->farewell);
    timer_stop(&s->refused);
    store_cancel(&s->refused_tx);
    map_fini(&s->on_line);
    for (size_t i = 0; i < COUNT_OF(s->signals); i++) {
        if (s->signals[i].data != NULL) {
            uv_close((uv_handle_t *)&s->signals[i], NULL);
        }
    }
    insight_close(&s->insight);
    fetch_close(&s->fetch);
    handoff_close(&s->handoff);
    accounts_close(&s->accounts);
    reconcile_close(&s->reconcile);
    dialer_close(&s->dialer);
    history_close(&s->history);
    orphans_close(&s->orphans);
    journal_close(&s->journal);
    desk_close(&s->desk);
    api_close(&s->api);
    drop_ops(s); /* before the client: what is dropped cancels its requests there */
    http_client_free(&s->http);
    pg_pool_free(&s->db);
    if (s->loop != NULL) {
        while (loop_run_once(s->loop, false)) {
        }
        loop_free(&s->loop);
    }
    settings_fini(&s->settings);
    secret_wipe(s->urls.callback_key, sizeof s->urls.callback_key);
}

static int watch_signals(struct serve *s)
{
    static const int wanted[] = {SIGTERM, SIGINT};
    for (size_t i = 0; i < COUNT_OF(s->signals); i++) {
        int err = uv_signal_init(loop_uv(s->loop), &s->signals[i]);
        if (err < 0) {
            return err;
        }
        s->signals[i].data = s;
        err = uv_signal_start(&s->signals[i], on_signal, wanted[i]);
        if (err < 0) {
            return err;
        }
    }
    return 0;
}

static int open_rooms(struct serve *s)
{
    int (*const steps[])(struct serve *) = {open_base,    open_calls, open_dialing,
                                            open_insight, open_api,   watch_signals};
    for (size_t i = 0; i < COUNT_OF(steps); i++) {
        int err = steps[i](s);
        if (err < 0) {
            return err;
        }
    }
    pg_pool_watch(s->db, on_health, s);
    timer_repeat(&s->gauges, s->loop, GAUGES_MS, on_gauges, s);
    timer_repeat(&s->refused, s->loop, REFUSED_MS, on_refused_tick, s);
    return 0;
}

/* --- the command ---------------------------------------------------------------------------------- */

static int help(void)
{
    OWNED(buf_fini) struct buf text;
    buf_init(&text, 256 * 1024);
    (void)buf_add_cstr(
        &text, "Usage: dialwright serve\n"
               "The daemon: dials, talks, hands over, analyses. Reads its settings from the "
               "environment:\n\n");
    if (settings_help(&text) < 0) {
        return EXIT_FAILED;
    }
    (void)fputs(buf_cstr(&text), stdout);
    return EXIT_DONE;
}

static int check(struct serve *s)
{
    OWNED(buf_fini) struct buf problems;
    buf_init(&problems, 64 * 1024);
    if (settings_load(&s->settings, environ, &problems) < 0 ||
        settings_check_serve(&s->settings, &problems) < 0) {
        (void)fprintf(stderr, "dialwright serve does not start:\n%s", buf_cstr(&problems));
        return -EINVAL;
    }
    if (mkdir(s->settings.data_dir, 0700) < 0 && errno != EEXIST) {
        (void)fprintf(stderr,
                      "dialwright serve does not start:\nDIALWRIGHT_DATA_DIR: cannot make %s: %s\n",
                      s->settings.data_dir, strerror(errno));
        return -EINVAL;
    }
    return 0;
}

int cmd_serve(int argc, char **argv)
{
    if (argc > 1) {
        bool asked = strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-?") == 0;
        return asked ? help() : (help(), EXIT_USAGE);
    }
    static struct serve s; /* process lifetime; zeroed */
    if (check(&s) < 0) {
        settings_fini(&s.settings);
        return EXIT_USAGE;
    }
    enum log_level level = LOG_INFO;
    if (log_level_parse(str_of(s.settings.log_level), &level) < 0) {
        level = LOG_INFO;
    }
    log_init(level, str_of(s.settings.secret));
    (void)signal(SIGPIPE, SIG_IGN);
    int err = open_rooms(&s);
    if (err < 0) {
        log_error("serve.open.failed", LOG_STR("why", strerror(-err)));
        close_rooms(&s);
        return EXIT_FAILED;
    }
    log_info("serve.up", LOG_STR("version", DIALWRIGHT_VERSION),
             LOG_STR("listen", s.settings.listen), LOG_I64("port", api_port(s.api)));
    loop_run(s.loop);
    log_info("serve.down");
    close_rooms(&s);
    return s.database_refused ? EXIT_USAGE : EXIT_DONE;
}
