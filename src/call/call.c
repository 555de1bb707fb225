#include "call/call_priv.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/crypto.h"
#include "base/log.h"
#include "base/metrics.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define TICK_MS             200
#define BARGE_AGAIN_MS      300 /* an interruption too early to be believed is believed after this */
#define JOIN_MAX_MS         8000 /* from `start` until something must be spoken */
#define LAST_WORDS_MS       8000
#define LAST_WORDS_LIMIT_MS 20000
#define LAST_WORDS_TAIL_MS  2000  /* after the audio itself, for its checkpoint */
#define WARN_MS             30000 /* before the end of the time */
#define OVERTIME_MS         25000 /* past the end of the time nothing is waited for */
#define STRAGGLERS_MS       3000  /* late transcripts */
#define GOODBYE_MS          2000  /* close frames */
#define RESPONSE_MAX_MS     30000 /* a response that neither ends nor speaks */
#define SPEECH_MAX_MS       60000 /* speech that never stops is a broken detector */
#define REMIND_MIN_MS       5000
#define BROKEN_OFF_US       (15 * 60 * US_PER_S) /* after the model failed in a talk */
#define HUSH_MS             1200 /* of silence after a lead who hung up in mid-sentence */

static void on_tick(void *arg);
static void on_barge(void *arg);
static void on_start(void *arg);
static void on_dtmf(char digit, void *arg);
static void on_item_end(const struct play_end *end, void *arg);
static void on_lost(enum bridge_lost why, int code, void *arg);
static void emit_turn(const struct turn *turn, struct str body, void *arg);
static void enter(struct call *c, enum call_phase from);

int64_t call_now_us(const struct call *c)
{
    return loop_now_us(c->host->loop);
}

int64_t call_wall_us(const struct call *c)
{
    return loop_wall_us(c->host->loop);
}

enum call_phase call_phase(const struct call *c)
{
    return c->phase;
}

/* --- birth ------------------------------------------------------------------------------------ */

struct call *call_new(const struct call_host *host, struct call_ref ref, struct call_plan **plan)
{
    struct call *c = xzalloc(sizeof *c);
    c->host = host;
    c->ref = ref;
    c->plan = GIVE(*plan);
    c->born_us = loop_now_us(host->loop);
    struct bridge_handlers on = {.on_start = on_start,
                                 .on_dtmf = on_dtmf,
                                 .on_end = on_item_end,
                                 .on_lost = on_lost,
                                 .arg = c};
    bridge_init(&c->bridge, host->clock, host->scan, host->env->carrier, host->env->voice, &on);
    transcript_init(&c->transcript, emit_turn, c);
    buf_init(&c->opening.said, 65536);
    buf_init(&c->opening.audio, PROMPT_BYTES_MAX);
    call_prompt_load(c);
    call_voice_open(c);
    timer_repeat(&c->tick, host->loop, TICK_MS, on_tick, c);
    return c;
}

void call_free(struct call **c_p)
{
    if (c_p == NULL || *c_p == NULL) {
        return;
    }
    struct call *c = GIVE(*c_p);
    timer_stop(&c->tick);
    timer_stop(&c->barge);
    timer_stop(&c->voice_retry);
    timer_stop(&c->done);
    bridge_voice(&c->bridge, NULL);
    c->host->env->voice->free(&c->session);
    bridge_fini(&c->bridge);
    transcript_fini(&c->transcript);
    call_opening_fini(c);
    call_tools_fini(c);
    call_plan_free(&c->plan);
    xfree(c);
}

/* --- phases ----------------------------------------------------------------------------------- */

bool call_step(struct call *c, enum call_event event)
{
    enum call_phase from = c->phase;
    enum call_step step = call_fsm_step(&c->phase, event);
    if (step == CALL_STEP_REFUSED) {
        metric_add("call_phase_refused_total", NULL, 1);
        log_warn("call.phase_refused", LOG_UUID("call", &c->plan->call_id),
                 LOG_STR("phase", call_phase_name(from)), LOG_STR("event", call_event_name(event)));
    }
    if (step != CALL_STEP_MOVED) {
        return false;
    }
    log_debug("call.phase", LOG_UUID("call", &c->plan->call_id),
              LOG_STR("from", call_phase_name(from)), LOG_STR("to", call_phase_name(c->phase)),
              LOG_STR("event", call_event_name(event)));
    enter(c, from);
    return true;
}

static void enter_talking(struct call *c)
{
    c->bridge.record_lead = true;
    c->quiet_us = call_now_us(c);
    OWNED(json_free) json_t *patch = json_object();
    char at[CLOCK_TEXT_SIZE];
    clock_format(c->opening.heard_wall_us, at);
    json_set_str(patch, "disclosure_played_at", str_of(at));
    call_note(c, GIVE(patch));
    c->host->env->voice->set_turns(c->session, true);
}

static void on_recorded(const struct recorder_info *info, void *arg)
{
    struct call *c = arg;
    c->recording = false;
    if (info->error < 0) {
        metric_add("recordings_failed_total", NULL, 1);
        log_error("call.recording_failed", LOG_UUID("call", &c->plan->call_id),
                  LOG_STR("error", strerror(-info->error)));
    } else {
        struct call_up *up = call_write(c, DESK_RECORDING);
        up->write.recording.id = c->recording_id;
        up->write.recording.leg = "ai";
        /* The database holds it relative to DATA_DIR, which may move. */
        size_t base = strlen(c->host->env->data_dir) + 1;
        up->write.recording.path = call_up_text(up, str_skip(str_of(info->path), base));
        up->write.recording.bytes = info->bytes;
        up->write.recording.duration_ms = info->duration_ms;
        up->write.recording.started_us = call_wall_us(c) - (call_now_us(c) - c->bridge.started_us);
        call_up_send(c, up);
    }
    call_settle(c);
}

/* No more answers; and what the lead was saying when the line went is brought to its end by
 * silence, because a detector waits for that: it may have been "never call me again". */
static void voice_winds_down(struct call *c)
{
    if (!c->voice_ready) {
        return;
    }
    const struct voice *voice = c->host->env->voice;
    voice->set_turns(c->session, false);
    if (c->response_active) {
        voice->cancel(c->session);
    }
    if (!c->lead_speaks) {
        return;
    }
    uint8_t quiet[480];
    char text[641];
    memset(quiet, 0xff, sizeof quiet);
    struct str base64 = str_make(text, base64_encode(quiet, sizeof quiet, text));
    for (int ms = 0; ms < HUSH_MS; ms += 60) {
        (void)!voice->hear(c->session, base64);
    }
}

/* Nothing is played or heard any more; what remains is to gather. */
static void enter_leaving(struct call *c, enum call_phase from)
{
    c->leave_us = call_now_us(c);
    timer_stop(&c->barge);
    timer_stop(&c->voice_retry);
    if (c->next == CALL_NEXT_UNKNOWN) {
        c->next = from == CALL_HANDOVER && c->end == CALL_END_TRANSFERRED ? CALL_NEXT_TRANSFER
                                                                          : CALL_NEXT_HANGUP;
    }
    struct call_up *up = call_up_new(UP_NEXT, c->ref);
    up->next = c->next;
    call_up_send(c, up);
    bridge_close(&c->bridge, 1000, "");
    voice_winds_down(c);
    if (c->bridge.recorder != NULL) {
        recorder_stop(c->bridge.recorder, call_now_us(c), on_recorded, c);
    }
    if (c->started_us != 0) {
        OWNED(json_free) json_t *patch = json_object();
        char at[CLOCK_TEXT_SIZE];
        clock_format(call_wall_us(c), at);
        json_set_str(patch, "media_ended_at", str_of(at));
        if (c->end != CALL_END_NONE && c->end != CALL_END_TRANSFERRED) {
            json_set_str(patch, "disconnect_reason", str_of(call_end_name(c->end)));
        }
        call_note(c, GIVE(patch));
    }
    call_settle(c);
}

static void enter(struct call *c, enum call_phase from)
{
    switch (c->phase) {
    case CALL_JOINING:
        c->joined_us = call_now_us(c);
        break;
    case CALL_TALKING:
        enter_talking(c);
        break;
    case CALL_HANDOVER:
    case CALL_CLOSING:
        call_last_words_begin(c);
        break;
    case CALL_LEAVING:
        enter_leaving(c, from);
        break;
    case CALL_WARMING:
    case CALL_OPENING:
    case CALL_OVER:
    case CALL_PHASE_COUNT:
        break;
    }
}

static void on_over_turn(void *arg)
{
    struct call *c = arg;
    const struct call_host *host = c->host;
    struct call_up *up = call_up_new(UP_ENDED, c->ref);
    up->end = c->end;
    host->on_over(c, c->ref, host->arg);
    host->up(up, host->arg); /* only now: it gives the slot back */
}

/* Leaves for good once the recording is on disk, the sockets are closed and no text is awaited. */
void call_settle(struct call *c)
{
    if (c->phase != CALL_LEAVING || c->over_posted) {
        return;
    }
    int64_t waited_ms = (call_now_us(c) - c->leave_us) / US_PER_MS;
    bool talked = c->started_us != 0 && c->voice_ready;
    if (c->session != NULL && !c->voice_closing &&
        (!talked || transcript_settled(&c->transcript) || waited_ms >= STRAGGLERS_MS)) {
        c->voice_closing = true;
        if (c->voice_ready && waited_ms < STRAGGLERS_MS + GOODBYE_MS) {
            c->host->env->voice->close(c->session); /* on_closed comes back here */
        } else {
            call_voice_gone(c);
        }
    }
    if (c->session != NULL && waited_ms >= STRAGGLERS_MS + GOODBYE_MS) {
        call_voice_gone(c);
    }
    bool socket = bridge_attached(&c->bridge) && waited_ms < GOODBYE_MS;
    if (c->session != NULL || c->recording || socket) {
        return;
    }
    transcript_finish(&c->transcript);
    c->over_posted = true;
    (void)call_step(c, CALL_EV_SETTLED);
    timer_start(&c->done, c->host->loop, 0, on_over_turn,
                c); /* stops with the call, unlike a deferred turn */
}

void call_end(struct call *c, enum call_end end)
{
    /* Asked in another call, or of somebody else of the tenant: confirmed here too, within the time
     * that an opt-out has. */
    if (end == CALL_END_OPTED_OUT && c->started_us != 0 && c->phase < CALL_LEAVING) {
        call_opt_out_elsewhere(c);
        return;
    }
    c->end = c->end == CALL_END_NONE ? end : c->end;
    (void)call_step(c, CALL_EV_CANCEL);
}

/* Who was talked to, and lost by our or the carrier's fault, gets a call back; not again and again,
 * when the trouble lasts. */
static void book_again(struct call *c)
{
    if (c->plan->is_callback) {
        return;
    }
    struct call_up *up = call_write(c, DESK_CALLBACK);
    up->write.callback.due_us = up->write.at_us + BROKEN_OFF_US;
    up->write.callback.note = call_up_text(up, STR("The call broke off for a technical reason"));
    call_up_send(c, up);
}

void call_fail(struct call *c, const char *code, const char *what)
{
    if (c->phase >= CALL_LEAVING) {
        return;
    }
    metric_add("call_failures_total", NULL, 1);
    log_warn("call.failed", LOG_UUID("call", &c->plan->call_id), LOG_STR("code", code),
             LOG_STR("what", what), LOG_STR("phase", call_phase_name(c->phase)));
    bool undisclosed = c->phase < CALL_TALKING;
    if (c->end == CALL_END_NONE) {
        c->end = CALL_END_MODEL_ERROR;
        /* A machine that could not say what it is says nothing at all. */
        c->next = undisclosed ? CALL_NEXT_HANGUP : CALL_NEXT_APOLOGISE;
        OWNED(json_free) json_t *patch = json_object();
        json_set_str(patch, "disconnect_notes", str_of(what));
        json_set_str(patch, "model_error", str_of(code));
        if (c->started_us != 0) {
            call_note(c, GIVE(patch));
        }
        if (!undisclosed) {
            book_again(c);
        }
    }
    (void)call_step(c, CALL_EV_FAILED);
}

/* --- last words ------------------------------------------------------------------------------- */

/* The goodbye or the hand-over line: nobody interrupts it, and nothing the lead says starts
 * another. */
void call_last_words_begin(struct call *c)
{
    int64_t now_us = call_now_us(c);
    c->last_words_until_us = now_us + LAST_WORDS_MS * US_PER_MS;
    c->last_words_limit_us = now_us + LAST_WORDS_LIMIT_MS * US_PER_MS;
    if (c->opt_out_us != 0) {
        c->last_words_limit_us = i64_min(c->last_words_limit_us, c->opt_out_us + CALL_OPT_OUT_US);
        c->last_words_until_us = i64_min(c->last_words_until_us, c->last_words_limit_us);
    }
    c->bridge.deaf = true;
    timer_stop(&c->barge);
    if (c->voice_ready) {
        c->host->env->voice->set_turns(c->session, false);
    }
}

void call_farewell(struct call *c, enum call_cue cue, enum call_end end)
{
    const struct voice *voice = c->host->env->voice;
    if (c->phase >= CALL_CLOSING) {
        return;
    }
    if (!bridge_quiet(&c->bridge) || c->response_active) {
        bridge_interrupt(&c->bridge);
    }
    c->end = end;
    c->next = CALL_NEXT_HANGUP;
    if (!call_step(c, CALL_EV_FAREWELL)) {
        return;
    }
    bool own = c->plan->farewell[0] != '\0' && cue == CUE_GOODBYE;
    if (c->voice_ready) {
        int err = own ? voice->say_exactly(c->session, c->plan->farewell, CALL_FAREWELL_TAG)
                      : voice->respond(c->session, call_cue(cue), CALL_FAREWELL_TAG);
        c->words_asked = err == 0;
    }
    call_last_words(c);
}

void call_last_words(struct call *c)
{
    if (c->phase != CALL_CLOSING && c->phase != CALL_HANDOVER) {
        return;
    }
    int64_t now_us = call_now_us(c);
    bool said = !c->words_asked && !c->words_open && !c->response_active;
    if ((said && bridge_quiet(&c->bridge)) || now_us >= c->last_words_until_us) {
        (void)call_step(c, CALL_EV_DRAINED);
    }
}

/* --- clocks ----------------------------------------------------------------------------------- */

static bool tick_duration(struct call *c, int64_t now_us)
{
    int64_t ran_ms = (now_us - c->started_us) / US_PER_MS;
    if (ran_ms >= c->plan->max_duration_ms + OVERTIME_MS) {
        call_end(c, CALL_END_MAX_DURATION);
        return true;
    }
    if (ran_ms >= c->plan->max_duration_ms && c->phase < CALL_HANDOVER) {
        call_farewell(c, CUE_GOODBYE_TIME, CALL_END_MAX_DURATION);
        return true;
    }
    if (!c->warned && c->phase == CALL_TALKING && ran_ms >= c->plan->max_duration_ms - WARN_MS &&
        c->plan->max_duration_ms > 2 * WARN_MS) {
        c->warned = true;
        (void)!c->host->env->voice->note_system(c->session, call_cue(CUE_TIME_SHORT));
    }
    return false;
}

static void tick_silence(struct call *c, int64_t now_us)
{
    if (c->lead_speaks && now_us - c->quiet_us > SPEECH_MAX_MS * US_PER_MS) {
        c->lead_speaks = false;
        c->quiet_us = now_us;
    }
    if (c->response_active && bridge_quiet(&c->bridge) &&
        now_us - i64_max(c->response_us, c->quiet_us) > RESPONSE_MAX_MS * US_PER_MS) {
        call_fail(c, "stalled", "the model began an answer and never finished it");
        return;
    }
    if (c->lead_speaks || c->response_active || !bridge_quiet(&c->bridge) ||
        c->opt_out_until_us != 0) {
        return;
    }
    int64_t silent_ms = (now_us - c->quiet_us) / US_PER_MS;
    if (!c->reminded && silent_ms >= c->plan->silence_ms) {
        c->reminded = true;
        c->quiet_us = now_us;
        (void)!c->host->env->voice->respond(c->session, call_cue(CUE_ARE_YOU_THERE), "silence");
    } else if (c->reminded && silent_ms >= i64_max(REMIND_MIN_MS, c->plan->silence_ms / 2)) {
        call_farewell(c, CUE_GOODBYE_SILENCE, CALL_END_SILENCE);
    }
}

/* Whoever should have told us that nobody answers did not, or told it before we were here: the model
 * is not kept warm for ever. */
static bool tick_warming(struct call *c, int64_t now_us)
{
    int64_t most_ms = c->host->env->warm_max_ms;
    if (most_ms == 0 || bridge_attached(&c->bridge) || now_us - c->born_us < most_ms * US_PER_MS) {
        return false;
    }
    log_warn("call.never_answered", LOG_UUID("call", &c->plan->call_id));
    call_end(c, CALL_END_CANCELLED);
    return true;
}

static void on_tick(void *arg)
{
    struct call *c = arg;
    int64_t now_us = call_now_us(c);
    bridge_tick(&c->bridge);
    if (c->phase == CALL_LEAVING) {
        call_settle(c);
        return;
    }
    if (c->phase == CALL_WARMING && tick_warming(c, now_us)) {
        return;
    }
    if (c->phase == CALL_OVER || c->started_us == 0 || tick_duration(c, now_us)) {
        return;
    }
    if (c->opt_out_until_us != 0 && now_us >= c->opt_out_until_us) {
        call_opt_out_go_on(c);
    }
    if (c->phase == CALL_JOINING) {
        call_opening_begin(c);
    }
    if (c->phase == CALL_JOINING && now_us - c->joined_us >= JOIN_MAX_MS * US_PER_MS) {
        call_fail(c, "late", "the model was not there when the call was answered");
    } else if (c->phase == CALL_OPENING) {
        call_opening_check(c);
    } else if (c->phase == CALL_TALKING) {
        tick_silence(c, now_us);
    }
    call_last_words(c);
}

/* --- the carrier's side ----------------------------------------------------------------------- */

struct release {
    const struct call_host *host;
    struct call_ref ref;
    struct http_socket *handle;
};

/* May run after the call is gone. */
static void on_release(void *arg)
{
    struct release *r = arg;
    if (r->handle != NULL) {
        struct call_up *up = call_up_new(UP_SOCKET_DONE, r->ref);
        up->handle = r->handle;
        r->host->up(up, r->host->arg);
    }
    xfree(r);
}

void call_socket(struct call *c, struct call_down *m)
{
    struct release *r = xzalloc(sizeof *r);
    *r = (struct release){.host = c->host, .ref = c->ref, .handle = m->handle};
    if (c->bridge.attached || c->phase != CALL_WARMING) {
        if (m->fd >= 0) {
            (void)close(m->fd);
        }
        m->fd = -1;
        on_release(r);
        return;
    }
    int fd = m->fd;
    m->fd = -1;
    bridge_attach(&c->bridge, fd, str_make(m->already, m->already_len), m->call_uuid, on_release,
                  r);
}

static void recording_begin(struct call *c)
{
    if (!c->plan->record) {
        return;
    }
    char org[UUID_TEXT_SIZE];
    char call[UUID_TEXT_SIZE];
    char at[CLOCK_TEXT_SIZE];
    char path[RECORDER_PATH_SIZE];
    uuid_text(&c->plan->organization_id, org);
    uuid_text(&c->plan->call_id, call);
    clock_format(call_wall_us(c), at);
    int n = snprintf(path, sizeof path, "%s/recordings/%s/%.7s/%s.wav", c->host->env->data_dir, org,
                     at, call);
    if (n < 0 || n >= (int)sizeof path) {
        return;
    }
    c->recording_id = uuid_make(call_wall_us(c));
    c->recording = true;
    bridge_record(&c->bridge, recorder_start(c->host->loop, path));
    c->bridge.record_lead = !c->plan->record_after_notice;
}

static void on_start(void *arg)
{
    struct call *c = arg;
    c->started_us = call_now_us(c);
    recording_begin(c);
    if (call_step(c, CALL_EV_STARTED)) {
        call_opening_begin(c);
    }
}

static void on_dtmf(char digit, void *arg)
{
    struct call *c = arg;
    if (digit == '9') {
        call_opt_out(c, "dtmf", STR("key 9"), CALL_NO_TOOL);
    }
}

static void on_item_end(const struct play_end *end, void *arg)
{
    struct call *c = arg;
    int64_t start_ms = end->started_us == 0 ? -1 : (end->started_us - c->started_us) / US_PER_MS;
    transcript_heard(&c->transcript, end->item->id, end->heard, start_ms, end->heard_ms,
                     end->queued_ms);
    c->quiet_us = call_now_us(c);
    if (c->phase == CALL_OPENING && end->heard == PLAY_FULL &&
        strcmp(end->item->id, c->opening.item_id) == 0) {
        c->opening.heard = true;
        c->opening.heard_wall_us = call_wall_us(c);
    }
    if (c->phase < CALL_LEAVING && c->phase != CALL_OPENING) {
        call_last_words(c);
    }
}

static void on_lost(enum bridge_lost why, int code, void *arg)
{
    struct call *c = arg;
    static const enum call_end ends[] = {
        [BRIDGE_PEER_CLOSED] = CALL_END_CALLER_HANGUP,
        [BRIDGE_CUT] = CALL_END_CALLER_HANGUP,
        [BRIDGE_NONSENSE] = CALL_END_PROVIDER_ERROR,
        [BRIDGE_WRONG_CALL] = CALL_END_PROVIDER_ERROR,
        [BRIDGE_SILENT] = CALL_END_PROVIDER_ERROR,
        [BRIDGE_DONE] = CALL_END_COMPLETED,
    };
    if (why != BRIDGE_DONE && why != BRIDGE_PEER_CLOSED) {
        log_warn("call.stream_lost", LOG_UUID("call", &c->plan->call_id), LOG_I64("why", why),
                 LOG_I64("code", code));
    }
    if (why == BRIDGE_SILENT || why == BRIDGE_CUT) {
        /* The carrier may not see that the stream is over. */
        call_up_send(c, call_up_new(UP_HANGUP, c->ref));
    }
    if (c->phase < CALL_LEAVING && c->end == CALL_END_NONE) {
        c->end = ends[why];
        /* The person may be on the line still, and knows by now who speaks: not without a word. */
        bool sorry = c->end == CALL_END_PROVIDER_ERROR && c->phase >= CALL_TALKING;
        c->next = sorry ? CALL_NEXT_APOLOGISE : CALL_NEXT_HANGUP;
        if (sorry) {
            book_again(c);
        }
    }
    (void)call_step(c, CALL_EV_LOST);
    call_settle(c);
}

/* --- interruptions ---------------------------------------------------------------------------- */

static void on_barge(void *arg)
{
    struct call *c = arg;
    if (c->phase == CALL_TALKING && c->lead_speaks) {
        bridge_interrupt(&c->bridge);
    }
}

/* The lead began to speak. An item of which nearly nothing was heard is more likely to have been
 * echoed than interrupted: then wait whether the lead goes on. */
void call_lead_starts(struct call *c)
{
    c->lead_speaks = true;
    c->reminded = false;
    c->quiet_us = call_now_us(c);
    if (c->phase != CALL_TALKING) {
        return;
    }
    int64_t heard_ms = bridge_heard_ms(&c->bridge);
    if (heard_ms >= 0 && heard_ms < BRIDGE_BARGE_IN_MIN_MS) {
        timer_start(&c->barge, c->host->loop, BARGE_AGAIN_MS, on_barge, c);
    } else if (heard_ms >= 0 || c->response_active) {
        bridge_interrupt(&c->bridge);
    }
}

void call_lead_stops(struct call *c)
{
    c->lead_speaks = false;
    c->quiet_us = call_now_us(c);
    timer_stop(&c->barge);
}

/* --- what goes up ----------------------------------------------------------------------------- */

void call_up_send(struct call *c, struct call_up *up)
{
    c->host->up(up, c->host->arg);
}

struct call_up *call_write(struct call *c, enum desk_write_kind kind)
{
    struct call_up *up = call_up_new(UP_WRITE, c->ref);
    up->write.kind = kind;
    up->write.organization_id = c->plan->organization_id;
    up->write.call_id = c->plan->call_id;
    up->write.at_us = call_wall_us(c);
    return up;
}

void call_note(struct call *c, json_t *patch_in)
{
    OWNED(json_free) json_t *patch = patch_in;
    OWNED(buf_fini) struct buf text;
    buf_init(&text, 8192);
    if (json_dump(patch, &text) < 0) {
        return;
    }
    struct call_up *up = call_write(c, DESK_NOTE);
    up->write.note.patch = call_up_text(up, buf_str(&text));
    call_up_send(c, up);
}

static void emit_turn(const struct turn *turn, struct str body, void *arg)
{
    static const char *const heard[] = {
        [PLAY_FULL] = "full", [PLAY_CUT] = "cut", [PLAY_NONE] = "none"};
    struct call *c = arg;
    struct call_up *up = call_write(c, DESK_TURN);
    up->write.turn.ordinal = turn->ordinal;
    up->write.turn.item_id = call_up_text(up, str_of(turn->id));
    up->write.turn.speaker = turn->who == VOICE_AI ? "ai" : "lead";
    up->write.turn.start_ms = turn->start_ms;
    up->write.turn.end_ms = turn->end_ms;
    up->write.turn.body = call_up_text(up, body);
    up->write.turn.heard = heard[turn->heard];
    up->write.turn.heard_ms = turn->heard_ms;
    call_up_send(c, up);
}
