#include "rest.h"

#include "base/clock.h"
#include "base/crypto.h"
#include "call.h"
#include "people/dice.h"
#include "recorder.h"
#include "records.h"
#include "sim.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define ANSWER_MAX (256 * 1024)

static void answer_json(struct http_request *req, int status, json_t *v)
{
    struct buf text;
    OWNED(json_free) json_t *owned = v;

    buf_init(&text, ANSWER_MAX);
    if (json_dump(owned, &text) < 0) {
        http_answer(req, 500, "text/plain", STR("too large"));
    } else {
        http_answer(req, status, "application/json", buf_str(&text));
    }
    buf_fini(&text);
}

static void api_id(const struct sim *sim, char out[UUID_TEXT_SIZE])
{
    struct uuid id = uuid_make(loop_wall_us(sim->loop));

    uuid_text(&id, out);
}

static void answer_error(struct http_request *req, const struct sim *sim, int status,
                         const char *error)
{
    char id[UUID_TEXT_SIZE];

    api_id(sim, id);
    answer_json(req, status, json_pack("{s:s, s:s}", "api_id", id, "error", error));
}

/* False after having answered 401 or 404. */
static bool allowed(struct http_request *req, const struct sim *sim)
{
    char pair[256];
    char coded[360];
    char wanted[380];

    int n = snprintf(pair, sizeof pair, "%s:%s", sim->auth_id, sim->auth_token);
    (void)base64_encode((const uint8_t *)pair, (size_t)n, coded);
    (void)snprintf(wanted, sizeof wanted, "Basic %s", coded);
    if (!str_eq_cstr(http_header(req, "Authorization"), wanted)) {
        http_answer(req, 401, "text/plain",
                    STR("Could not verify your access level for that URL. You have to login with "
                        "proper credentials"));
        return false;
    }
    if (!str_eq_cstr(http_param(req, "account"), sim->auth_id)) {
        answer_error(req, sim, 404, "not found");
        return false;
    }
    return true;
}

void rest_account(struct http_request *req, void *arg)
{
    const struct sim *sim = arg;
    char id[UUID_TEXT_SIZE];

    if (!allowed(req, sim)) {
        return;
    }
    api_id(sim, id);
    answer_json(req, 200,
                json_pack("{s:s, s:s, s:s, s:s, s:b, s:s, s:s}", "api_id", id, "auth_id",
                          sim->auth_id, "account_type", "standard", "name", "Simulated account",
                          "auto_recharge", 0, "cash_credits", "100.00000", "timezone",
                          "Asia/Kolkata"));
}

/* What goes wrong with this POST; FAULT_COUNT when nothing does. */
static enum fault_kind post_fault(struct sim *sim, const json_t *request)
{
    static const enum fault_kind kinds[] = {FAULT_POST_429,        FAULT_POST_5XX,
                                            FAULT_POST_CUT,        FAULT_POST_5XX_DIALED,
                                            FAULT_POST_CUT_DIALED, FAULT_POST_SLOW_DIALED};

    /* By attempt, not by number: the same call placed again meets its own luck. */
    struct str to = json_get_str(request, "to");
    uint64_t nth = dice_roll(0, "post", json_get_str(request, "answer_url"), 0);

    for (size_t i = 0; i < COUNT_OF(kinds); i++) {
        if (fault_strikes(&sim->faults, kinds[i], to, nth)) {
            return kinds[i];
        }
    }
    return FAULT_COUNT;
}

static bool refuses(enum fault_kind fault)
{
    return fault == FAULT_POST_429 || fault == FAULT_POST_5XX || fault == FAULT_POST_CUT;
}

static void answer_refusal(struct http_request *req, struct sim *sim, enum fault_kind fault)
{
    if (fault == FAULT_POST_CUT) {
        http_cut(req);
    } else if (fault == FAULT_POST_429) {
        answer_error(req, sim, 429, "too many requests");
    } else {
        http_answer(req, 503, "text/html", STR("<html><body>Service Unavailable</body></html>"));
    }
}

static void on_client_gone(void *arg)
{
    http_answer(arg, 504, "text/plain", STR("too late"));
}

static void answer_fired(struct http_request *req, struct sim *sim, const struct call *call,
                         enum fault_kind fault)
{
    char id[UUID_TEXT_SIZE];

    switch ((int)fault) {
    case FAULT_POST_5XX_DIALED:
        http_answer(req, 502, "text/html", STR("<html><body>Bad Gateway</body></html>"));
        return;
    case FAULT_POST_CUT_DIALED:
        http_cut(req);
        return;
    case FAULT_POST_SLOW_DIALED:
        http_keep(req, on_client_gone, req); /* says nothing until the client gives up */
        return;
    default:
        break;
    }
    api_id(sim, id);
    answer_json(req, 201,
                json_pack("{s:s, s:s, s:s}", "message", "call fired", "request_uuid",
                          call->request_uuid, "api_id", id));
}

void rest_call_post(struct http_request *req, void *arg)
{
    struct sim *sim = arg;
    struct carrier *c = sim->carrier;
    OWNED(json_free) json_t *request = NULL;
    struct call *call = NULL;
    const char *why = "";

    if (!allowed(req, sim)) {
        return;
    }
    if (json_parse(http_body(req), &request) < 0 || !json_is_object(request)) {
        answer_error(req, sim, 400, "invalid data format in the request body");
        return;
    }
    int64_t wait_ms = (int64_t)(c->queue_len + 1) * 1000 / c->conf.limits->calls_per_second;
    if (wait_ms > c->conf.limits->queue_ms_max) {
        c->counts.refused++;
        answer_error(req, sim, 429, "too many calls are waiting");
        return;
    }
    enum fault_kind fault = post_fault(sim, request);
    if (refuses(fault)) {
        c->counts.refused++;
        answer_refusal(req, sim, fault);
        return;
    }
    if (call_create(c, request, &call, &why) < 0) {
        char text[128];
        (void)snprintf(text, sizeof text, "%s parameter is missing or invalid", why);
        c->counts.refused++;
        answer_error(req, sim, 400, text);
        return;
    }
    c->counts.accepted++;
    /* Whose call it is stands in its address: the record tells attempts apart without our database. */
    call_truth(call, "accepted", NULL,
               json_pack("{s:s, s:s*}", "answer_url", call->answer_url, "fault",
                         fault == FAULT_COUNT ? NULL : fault_kind_name(fault)));
    answer_fired(req, sim, call, fault);
}

void rest_call_list(struct http_request *req, void *arg)
{
    struct sim *sim = arg;
    struct form query;
    int status = 200;
    char id[UUID_TEXT_SIZE];

    if (!allowed(req, sim)) {
        return;
    }
    form_init(&query);
    form_decode(&query, http_query(req));
    api_id(sim, id);
    json_t *list = records_list(sim->carrier, &query, id, &status);
    form_fini(&query);
    answer_json(req, status, list);
}

void rest_call_get(struct http_request *req, void *arg)
{
    struct sim *sim = arg;
    struct form query;
    char id[UUID_TEXT_SIZE];

    if (!allowed(req, sim)) {
        return;
    }
    form_init(&query);
    form_decode(&query, http_query(req));
    api_id(sim, id);
    const struct call *call = call_find(sim->carrier, http_param(req, "uuid"));
    json_t *one = call == NULL ? NULL : records_one(call, form_value(&query, "status"), id);
    form_fini(&query);
    if (one == NULL) {
        answer_error(req, sim, 404, "call not found");
    } else {
        answer_json(req, 200, one);
    }
}

static void hang_up(struct http_request *req, struct sim *sim, struct str uuid)
{
    struct call *call = call_find(sim->carrier, uuid);

    if (call == NULL || call->state == CALL_OVER) {
        answer_error(req, sim, 404, "call not found");
        return;
    }
    call_end(call, call->state == CALL_TALKING ? CAUSE_NORMAL : CAUSE_CANCELED, "API Request");
    http_answer(req, 204, NULL, STR(""));
}

void rest_call_delete(struct http_request *req, void *arg)
{
    struct sim *sim = arg;

    if (allowed(req, sim)) {
        hang_up(req, sim, http_param(req, "uuid"));
    }
}

void rest_request_delete(struct http_request *req, void *arg)
{
    struct sim *sim = arg;

    if (allowed(req, sim)) {
        hang_up(req, sim, http_param(req, "uuid"));
    }
}

void rest_recording_get(struct http_request *req, void *arg)
{
    struct sim *sim = arg;
    char id[UUID_TEXT_SIZE];
    char when[CLOCK_TEXT_SIZE];

    if (!allowed(req, sim)) {
        return;
    }
    const struct recording *rec = recording_find(sim->carrier, http_param(req, "recording"));
    if (rec == NULL) {
        answer_error(req, sim, 404, "recording not found");
        return;
    }
    api_id(sim, id);
    clock_format(rec->end_wall_us, when);
    answer_json(req, 200,
                json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:I, s:s}", "api_id", id, "recording_id",
                          rec->id, "call_uuid", rec->call_uuid, "recording_url", rec->url,
                          "recording_format", "wav", "recording_type", "normal",
                          "recording_duration_ms", (json_int_t)rec->duration_ms, "add_time", when));
}

void rest_recording_file(struct http_request *req, void *arg)
{
    struct sim *sim = arg;
    struct str file = http_param(req, "file");
    struct stat st;

    const struct recording *rec = str_ends(file, STR(".wav"))
                                      ? recording_find(sim->carrier, str_head(file, file.len - 4))
                                      : NULL;
    int fd = rec == NULL ? -1 : open(rec->path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0) {
        http_answer(req, 404, "text/plain", STR("no such recording"));
        return;
    }
    http_answer_file(req, fd, st.st_size, "audio/wav");
}
