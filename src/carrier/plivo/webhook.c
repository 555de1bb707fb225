#include "carrier/plivo/webhook.h"

#include "base/clock.h"
#include "base/limits.h"
#include "carrier/plivo/cause.h"
#include "carrier/plivo/words.h"

#include <errno.h>
#include <string.h>

#define STORAGE_MAX (LIMIT_WEBHOOK_BODY_BYTES * 2)

struct form {
    struct form_field fields[LIMIT_FORM_FIELDS];
    size_t count;
};

typedef int reader_fn(const struct form *form, struct carrier_event *ev);
static reader_fn read_plain, read_answer, read_hangup, read_machine, read_recording, read_stream;
static reader_fn read_agent_whisper, read_agent_action, read_agent_event;

/* `event`: what the Event field must say when there is one. Plivo posts the hang-up to the answer
 * URL when hangup_url is missing; taking that for an answer would open a second stream. */
static const struct {
    const char *word;
    const char *event;
    reader_fn *read;
} kinds[CARRIER_EVENT_KINDS] = {
    [CARRIER_EVENT_RING] = {"ring", "Ring", read_plain},
    [CARRIER_EVENT_ANSWER] = {"answer", "StartApp", read_answer},
    [CARRIER_EVENT_HANGUP] = {"hangup", "Hangup", read_hangup},
    [CARRIER_EVENT_MACHINE] = {"machine", "MachineDetection", read_machine},
    [CARRIER_EVENT_RECORDING] = {"recording", NULL, read_recording},
    [CARRIER_EVENT_STREAM] = {"stream", NULL, read_stream},
    [CARRIER_EVENT_AFTER] = {"after", NULL, read_plain},
    [CARRIER_EVENT_FALLBACK] = {"fallback", NULL, read_plain},
    [CARRIER_EVENT_AGENT_WHISPER] = {"agent-whisper", NULL, read_agent_whisper},
    [CARRIER_EVENT_AGENT_ACTION] = {"agent-action", NULL, read_agent_action},
    [CARRIER_EVENT_AGENT] = {"agent-event", NULL, read_agent_event},
};

const char *plivo_kind_name(enum carrier_event_kind kind)
{
    return kinds[kind].word;
}

int plivo_kind_read(struct str word, enum carrier_event_kind *out)
{
    for (size_t i = 0; i < CARRIER_EVENT_KINDS; i++) {
        if (str_eq_cstr(word, kinds[i].word)) {
            *out = (enum carrier_event_kind)i;
            return 0;
        }
    }
    return -EINVAL;
}

static struct str get(const struct form *form, const char *name)
{
    return str_trim(form_get(form->fields, form->count, name));
}

static int64_t get_i64(const struct form *form, const char *name, int64_t max)
{
    int64_t number = 0;
    if (str_to_i64(get(form, name), &number) < 0 || number < 0) {
        return 0;
    }
    return i64_min(number, max);
}

static bool has_nul(struct str s)
{
    return s.len > 0 && memchr(s.p, '\0', s.len) != NULL;
}

/* The database's jsonb cannot hold a NUL, so one is a broken form, not a transient failure. */
static int check_fields(const struct form *form)
{
    for (size_t i = 0; i < form->count; i++) {
        const struct form_field *f = &form->fields[i];
        if (has_nul(f->name) || has_nul(f->value)) {
            return -EINVAL;
        }
        for (size_t j = 0; j < i; j++) {
            if (str_eq(form->fields[j].name, f->name) && !str_eq(form->fields[j].value, f->value)) {
                return -EINVAL;
            }
        }
    }
    return 0;
}

static json_t *payload_make(const struct form *form)
{
    json_t *payload = json_object();
    for (size_t i = 0; i < form->count; i++) {
        char name[128];
        str_copy_cut(form->fields[i].name, name, sizeof name);
        json_set_str(payload, name, form->fields[i].value);
    }
    return payload;
}

/* An id that is missing stays ""; one that is no id refuses the event. */
static int copy_id(const struct form *form, const char *name, char out[CARRIER_ID_SIZE])
{
    struct str id = get(form, name);
    return id.len == 0 ? 0 : plivo_id(id, out, CARRIER_ID_SIZE);
}

static void set_key(struct carrier_event *ev, const char *a, struct str b, struct str c)
{
    OWNED(buf_fini) struct buf key;
    buf_init(&key, 512);
    buf_addf(&key, "%s", a);
    if (b.len > 0) {
        buf_addf(&key, ":" STR_FMT, STR_ARG(str_head(b, 60)));
    }
    if (c.len > 0) {
        buf_addf(&key, ":" STR_FMT, STR_ARG(str_head(c, 60)));
    }
    str_copy_cut(buf_str(&key), ev->key, sizeof ev->key);
}

static int read_common(const struct form *form, struct carrier_event *ev)
{
    struct str event = get(form, "Event");
    const char *expected = kinds[ev->kind].event;
    if (expected != NULL && event.len > 0 && !str_eq_cstr(event, expected)) {
        return -EINVAL;
    }
    if (copy_id(form, "CallUUID", ev->call_id) < 0 ||
        copy_id(form, "RequestUUID", ev->request_id) < 0) {
        return -EINVAL;
    }
    str_copy_cut(get(form, "CallStatus"), ev->carrier_status, sizeof ev->carrier_status);
    plivo_number(get(form, "From"), ev->from_e164);
    plivo_number(get(form, "To"), ev->to_e164);
    return 0;
}

int plivo_event_read(struct str kind, struct str body, struct carrier_event *out)
{
    struct carrier_event ev = {.cause_code = -1, .outcome = NULL};
    struct form form = {.count = 0};
    OWNED(buf_fini) struct buf storage;
    buf_init(&storage, STORAGE_MAX);
    if (plivo_kind_read(kind, &ev.kind) < 0) {
        return -EINVAL;
    }
    int err = form_parse(body, &storage, form.fields, COUNT_OF(form.fields), &form.count);
    if (err < 0) {
        return err;
    }
    if (check_fields(&form) < 0 || read_common(&form, &ev) < 0 ||
        kinds[ev.kind].read(&form, &ev) < 0) {
        return -EINVAL;
    }
    ev.payload = payload_make(&form);
    *out = ev;
    return 0;
}

static int read_plain(const struct form *form, struct carrier_event *ev)
{
    (void)form;
    set_key(ev, ev->call_id, STR_NONE, STR_NONE);
    return ev->call_id[0] != '\0' ? 0 : -EINVAL;
}

static int read_answer(const struct form *form, struct carrier_event *ev)
{
    ev->machine = str_eq_nocase(get(form, "Machine"), STR("true")); /* synchronous detection */
    return read_plain(form, ev);
}

static int read_machine(const struct form *form, struct carrier_event *ev)
{
    ev->machine = str_eq_nocase(get(form, "Machine"), STR("true"));
    return read_plain(form, ev);
}

/* AnswerTime and EndTime are in the zone of the account's console and do not say which.
 * SessionStart is UTC and StartTime the same moment in that zone: their difference, to the quarter
 * hour, is it. */
static int64_t zone_offset_us(const struct form *form)
{
    const int64_t quarter_us = 15 * 60 * US_PER_S;
    int64_t utc = 0;
    int64_t local = 0;
    if (clock_parse(get(form, "SessionStart"), &utc) < 0 ||
        clock_parse(get(form, "StartTime"), &local) < 0) {
        return 0;
    }
    int64_t quarters = (local - utc + (local < utc ? -quarter_us : quarter_us) / 2) / quarter_us;
    return quarters < -14 * 4 || quarters > 14 * 4 ? 0 : quarters * quarter_us;
}

static int64_t read_time(const struct form *form, const char *name, int64_t offset_us)
{
    struct str text = get(form, name);
    int64_t wall_us = 0;
    if (text.len == 0 || clock_parse(text, &wall_us) < 0) {
        return 0;
    }
    return plivo_time_has_zone(text) ? wall_us : wall_us - offset_us;
}

static int read_hangup(const struct form *form, struct carrier_event *ev)
{
    int64_t code = -1;
    int64_t offset_us = zone_offset_us(form);
    str_copy_cut(get(form, "HangupCause"), ev->cause, sizeof ev->cause);
    str_copy_cut(get(form, "HangupSource"), ev->source, sizeof ev->source);
    if (str_to_i64(get(form, "HangupCauseCode"), &code) < 0 || code < 0 || code > 99999) {
        code = -1;
    }
    ev->cause_code = (int32_t)code;
    ev->duration_s = (int32_t)get_i64(form, "Duration", INT32_MAX);
    ev->billed_s = (int32_t)get_i64(form, "BillDuration", INT32_MAX);
    if (plivo_money(get(form, "TotalCost"), &ev->cost_micros) < 0) {
        ev->cost_micros = 0;
    }
    ev->machine = str_eq_nocase(get(form, "Machine"), STR("true"));
    ev->ended_us = read_time(form, "EndTime", offset_us);
    ev->answered_us = read_time(form, "AnswerTime", offset_us);
    if (ev->answered_us == 0 && ev->duration_s > 0 && ev->ended_us > 0) {
        ev->answered_us = ev->ended_us - ev->duration_s * US_PER_S;
    }
    const struct plivo_end end = {.code = ev->cause_code,
                                  .status = str_of(ev->carrier_status),
                                  .source = str_of(ev->source),
                                  .answered = ev->answered_us > 0 || ev->duration_s > 0};
    plivo_cause_judge(&end, &ev->outcome, &ev->disconnect_reason);
    return read_plain(form, ev);
}

/* From XML: CamelCase fields. From the REST API: snake_case, or all of it as JSON in one field. */
struct recording_names {
    const char *id, *url, *ms, *call;
};
static const struct recording_names recording_names[] = {
    {"RecordingID", "RecordUrl", "RecordingDurationMs", "CallUUID"},
    {"recording_id", "record_url", "recording_duration_ms", "call_uuid"},
};

static int take_recording(struct carrier_event *ev, struct str id, struct str url, struct str ms,
                          struct str call)
{
    double duration = 0;
    if (plivo_id(id, ev->recording_id, sizeof ev->recording_id) < 0 ||
        str_copy(url, ev->recording_url, sizeof ev->recording_url) < 0) {
        return -EINVAL;
    }
    if (call.len > 0 && plivo_id(call, ev->call_id, sizeof ev->call_id) < 0) {
        return -EINVAL;
    }
    /* "345100.00000" is seen; -1 means not known yet. */
    if (str_to_double(ms, &duration) == 0 && duration > 0 && duration < 1e12) {
        ev->recording_ms = (int64_t)duration;
    }
    return 0;
}

static int read_recording_json(struct str text, struct carrier_event *ev)
{
    const struct recording_names *n = &recording_names[1];
    OWNED(json_free) json_t *v = NULL;
    if (json_parse(text, &v) < 0 || !json_is_object(v)) {
        return -EINVAL;
    }
    char ms[32] = "";
    struct str duration = json_get_str(v, n->ms);
    if (duration.len == 0) {
        struct buf number;
        buf_init(&number, sizeof ms);
        buf_addf(&number, "%.0f", json_get_double(v, n->ms, -1));
        str_copy_cut(buf_str(&number), ms, sizeof ms);
        buf_fini(&number);
        duration = str_of(ms);
    }
    return take_recording(ev, json_get_str(v, n->id), json_get_str(v, n->url), duration,
                          json_get_str(v, n->call));
}

static int read_recording(const struct form *form, struct carrier_event *ev)
{
    int err = -EINVAL;
    struct str wrapped = get(form, "response");
    if (wrapped.len > 0) {
        err = read_recording_json(wrapped, ev);
    }
    for (size_t i = 0; i < COUNT_OF(recording_names) && wrapped.len == 0 && err < 0; i++) {
        const struct recording_names *n = &recording_names[i];
        err = take_recording(ev, get(form, n->id), get(form, n->url), get(form, n->ms),
                             get(form, n->call));
    }
    set_key(ev, ev->recording_id, STR_NONE, STR_NONE);
    return err;
}

/* One callback per checkpoint may come too (PlayedStream with its Name): the name is in the key. */
static int read_stream(const struct form *form, struct carrier_event *ev)
{
    struct str event = get(form, "Event");
    char stream[CARRIER_ID_SIZE] = "";
    if (copy_id(form, "StreamID", stream) < 0 || event.len == 0) {
        return -EINVAL;
    }
    set_key(ev, stream[0] != '\0' ? stream : ev->call_id, event, get(form, "Name"));
    return 0;
}

static int read_leg(const struct form *form, struct carrier_event *ev)
{
    ev->leg_duration_s = (int32_t)get_i64(form, "DialBLegDuration", INT32_MAX);
    if (ev->leg_duration_s == 0) {
        ev->leg_duration_s = (int32_t)get_i64(form, "DialBLegBillDuration", INT32_MAX);
    }
    return copy_id(form, "DialBLegUUID", ev->leg_call_id);
}

static int read_agent_whisper(const struct form *form, struct carrier_event *ev)
{
    if (read_leg(form, ev) < 0) {
        return -EINVAL;
    }
    ev->leg_state = "answered"; /* they hear us, so they picked up */
    return read_plain(form, ev);
}

static bool confirm_failed(const struct form *form)
{
    struct str code = get(form, "DialBLegHangupCauseCode");
    struct str cause = get(form, "DialHangupCause");
    return str_eq_cstr(code, "9110") || str_eq_cstr(cause, "9110") ||
           str_contains_nocase(cause, STR("confirm"));
}

static int read_agent_action(const struct form *form, struct carrier_event *ev)
{
    static const struct {
        const char *status;
        const char *state;
    } states[] = {
        {"completed", "ended"},   {"busy", "declined"},       {"failed", "failed"},
        {"timeout", "no_answer"}, {"no-answer", "no_answer"}, {"cancel", "no_answer"},
    };
    struct str status = get(form, "DialStatus");
    if (read_leg(form, ev) < 0) {
        return -EINVAL;
    }
    ev->leg_state = "failed";
    for (size_t i = 0; i < COUNT_OF(states); i++) {
        if (str_eq_nocase(status, str_of(states[i].status))) {
            ev->leg_state = states[i].state;
        }
    }
    if (confirm_failed(form)) {
        ev->leg_state = "declined";
    }
    str_copy_cut(get(form, "DialHangupCause"), ev->cause, sizeof ev->cause);
    int err = read_plain(form, ev);
    set_key(ev, ev->call_id, str_of(ev->leg_call_id), status);
    return err;
}

static int read_agent_event(const struct form *form, struct carrier_event *ev)
{
    static const struct {
        const char *action;
        const char *event;
        const char *state;
    } states[] = {
        {"ring", "DialRing", "ringing"},
        {"answer", "DialAnswer", "answered"},
        {"connected", "DialConnected", "bridged"},
        {"hangup", "DialHangup", "ended"},
    };
    struct str action = get(form, "DialAction");
    struct str event = get(form, "Event");
    if (read_leg(form, ev) < 0 || (action.len == 0 && event.len == 0)) {
        return -EINVAL;
    }
    for (size_t i = 0; i < COUNT_OF(states); i++) {
        if (str_eq_nocase(action, str_of(states[i].action)) ||
            (action.len == 0 && str_eq_nocase(event, str_of(states[i].event)))) {
            ev->leg_state = states[i].state; /* NULL for digits and whatever is new */
        }
    }
    if (confirm_failed(form)) {
        ev->leg_state = "declined";
    }
    str_copy_cut(get(form, "DialBLegHangupCauseName"), ev->cause, sizeof ev->cause);
    set_key(ev, ev->leg_call_id[0] != '\0' ? ev->leg_call_id : ev->call_id,
            action.len > 0 ? action : event, get(form, "DialDigitsMatch"));
    return 0;
}
