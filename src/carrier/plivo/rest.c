#include "carrier/plivo/rest.h"

#include "base/alloc.h"
#include "base/limits.h"
#include "carrier/plivo/op.h"
#include "carrier/plivo/words.h"
#include "carrier/plivo/xml.h"

#include <errno.h>
#include <string.h>

#define URL_MAX          2048
#define PLACE_BODY_MAX   (16 * 1024)
#define PLACE_ANSWER_MAX (64 * 1024)

static const char *const json_headers[] = {"Content-Type: application/json",
                                           "Accept: application/json", NULL};

struct rest_op {
    struct carrier_op base;
    struct http_op *http;
    carrier_placed_fn *on_placed;
    carrier_done_fn *on_done;
    void *arg;
};

void plivo_cancel(struct carrier_op **op)
{
    if (op != NULL && *op != NULL) {
        struct carrier_op *gone = GIVE(*op);
        gone->drop(gone);
    }
}

int plivo_api_url(const struct carrier_account *account, const char *rest, struct buf *out)
{
    if (!plivo_id_ok(str_of(account->auth_id))) {
        return -EINVAL;
    }
    struct str base = str_of(account->api_url);
    while (str_ends(base, STR("/"))) {
        base = str_head(base, base.len - 1);
    }
    return buf_addf(out, STR_FMT "/Account/%s/%s", STR_ARG(base), account->auth_id, rest);
}

static void rest_drop(struct carrier_op *base)
{
    struct rest_op *op = CONTAINER_OF(base, struct rest_op, base);
    http_cancel(&op->http);
    xfree(op);
}

static int rest_start(struct carrier_op **out, struct http_client *http, struct rest_op *op,
                      const struct carrier_account *account, struct http_ask *ask,
                      http_done_fn *on_reply)
{
    ask->headers = json_headers;
    ask->user = account->auth_id;
    ask->password = account->auth_token[0];
    ask->trust = HTTP_OUTSIDE;
    op->base.drop = rest_drop;
    int err = http_start(&op->http, http, ask, on_reply, op);
    if (err < 0) {
        xfree(op);
        return err;
    }
    *out = &op->base;
    return 0;
}

/* --- place ------------------------------------------------------------------------------------ */

static int add_callback(json_t *body, const struct carrier_urls *urls,
                        const struct carrier_ask *ask, const char *name, const char *kind)
{
    OWNED(buf_fini) struct buf text;
    buf_init(&text, URL_MAX);
    int err = plivo_callback_url(urls, kind, &ask->identity, PLIVO_CALLBACK_RETRIED, &text);
    if (err < 0) {
        return err;
    }
    char key[48];
    json_set_str(body, name, buf_str(&text));
    struct str stem = str_head(str_of(name), strlen(name) - strlen("url"));
    if (str_copy(stem, key, sizeof key - sizeof "method") < 0) {
        return -EINVAL;
    }
    memcpy(key + stem.len, "method", sizeof "method");
    json_set_str(body, key, STR("POST"));
    return 0;
}

/* hangup_url is always there: without it Plivo posts the hang-up to answer_url. */
int plivo_place_body(const struct carrier_urls *urls, const struct carrier_ask *ask,
                     struct buf *out)
{
    static const struct {
        const char *name;
        const char *kind;
    } callbacks[] = {
        {"answer_url", "answer"},
        {"ring_url", "ring"},
        {"hangup_url", "hangup"},
        {"fallback_url", "fallback"},
    };
    char from[20];
    char to[20];
    plivo_number(str_of(ask->from_e164), from);
    plivo_number(str_of(ask->to_e164), to);
    if (from[0] == '\0' || to[0] == '\0' || strcmp(from, to) == 0) {
        return -EINVAL;
    }
    OWNED(json_free) json_t *body = json_object();
    json_set_str(body, "from", str_of(from));
    json_set_str(body, "to", str_of(to));
    for (size_t i = 0; i < COUNT_OF(callbacks); i++) {
        int err = add_callback(body, urls, ask, callbacks[i].name, callbacks[i].kind);
        if (err < 0) {
            return err;
        }
    }
    if (ask->ring_timeout_s > 0) {
        json_object_set_new(body, "ring_timeout", json_integer(ask->ring_timeout_s));
    }
    if (ask->time_limit_s > 0) {
        json_object_set_new(body, "time_limit", json_integer(ask->time_limit_s));
    }
    if (ask->machine_detection) {
        json_set_str(body, "machine_detection", STR("true"));
        int err = add_callback(body, urls, ask, "machine_detection_url", "machine");
        if (err < 0) {
            return err;
        }
    }
    return json_dump(body, out);
}

static void on_place_reply(const struct http_result *result, void *arg);

int plivo_place_start(struct carrier_op **op, struct http_client *http,
                      const struct carrier_urls *urls, const struct carrier_account *account,
                      const struct carrier_ask *ask, carrier_placed_fn *on_done, void *arg)
{
    OWNED(buf_fini) struct buf url;
    OWNED(buf_fini) struct buf body;
    buf_init(&url, URL_MAX);
    buf_init(&body, PLACE_BODY_MAX);
    int err = plivo_api_url(account, "Call/", &url);
    err = err < 0 ? err : plivo_place_body(urls, ask, &body);
    if (err < 0) {
        return err;
    }
    struct http_ask request = {.method = "POST",
                               .url = buf_cstr(&url),
                               .body = buf_str(&body),
                               .timeout_ms = ask->timeout_ms,
                               .answer_max = PLACE_ANSWER_MAX,
                               .once = true};
    struct rest_op *place = xzalloc(sizeof *place);
    place->on_placed = on_done;
    place->arg = arg;
    return rest_start(op, http, place, account, &request, on_place_reply);
}

static void on_place_reply(const struct http_result *result, void *arg)
{
    struct rest_op *op = arg;
    struct carrier_placed placed;
    carrier_placed_fn *on_done = op->on_placed;
    void *on_done_arg = op->arg;
    plivo_place_judge(result, &placed);
    op->http = NULL;
    rest_drop(&op->base);
    on_done(&placed, on_done_arg);
}

void plivo_error_text(struct str body, char *out, size_t out_size)
{
    OWNED(json_free) json_t *v = NULL;
    OWNED(buf_fini) struct buf text;
    buf_init(&text, 4096);
    out[0] = '\0';
    if (json_parse(body, &v) < 0 || !json_is_object(v)) {
        return;
    }
    const json_t *error = json_get(v, "error");
    if (json_is_string(error)) {
        buf_add_str(&text, json_get_str(v, "error"));
    } else if (json_is_object(error) || json_is_array(error)) {
        if (json_dump(error, &text) < 0) {
            buf_clear(&text);
            buf_add_cstr(&text, "(long)");
        }
    } else if (json_get_str(v, "api_id").len > 0) {
        buf_add_str(&text, json_get_str(v, "message"));
    }
    if (text.len > 0) {
        plivo_mask(buf_str(&text), out, out_size);
    }
}

/* A bulk reply has an array; ours asks for one destination, so one element means the same. */
static bool take_request_id(struct str body, char out[CARRIER_ID_SIZE])
{
    OWNED(json_free) json_t *v = NULL;
    if (json_parse(body, &v) < 0) {
        return false;
    }
    const json_t *id = json_get(v, "request_uuid");
    if (json_is_array(id) && json_array_size(id) == 1) {
        id = json_array_get(id, 0);
    }
    return json_is_string(id) && plivo_id(str_make(json_string_value(id), json_string_length(id)),
                                          out, CARRIER_ID_SIZE) == 0;
}

static bool status_is_documented_no(int status)
{
    static const int statuses[] = {400, 401, 403, 404, 405, 409, 422};
    for (size_t i = 0; i < COUNT_OF(statuses); i++) {
        if (statuses[i] == status) {
            return true;
        }
    }
    return false;
}

/* Texts seen in refusals; what matches nothing is neither: the attempt is spent, the next may pass.
 */
static const struct {
    const char *words;
    bool permanent; /* else the account's trouble */
} refusals[] = {
    {"from parameter", false},
    {"from number", false},
    {"caller id", false},
    {"callerid", false},
    {"compliance", false},
    {"credit", false},
    {"disabled for this account", false},
    {"terms_not_met", false},
    {"trial", false},
    {"to parameter", true},
    {"destination", true},
    {"to number", true},
};

static void judge_refusal(const struct http_result *result, const char *text,
                          struct carrier_placed *out)
{
    bool known = false;
    for (size_t i = 0; i < COUNT_OF(refusals) && !known; i++) {
        known = str_contains_nocase(str_of(text), str_of(refusals[i].words));
        out->permanent = known && refusals[i].permanent;
        out->account_trouble = known && !refusals[i].permanent;
    }
    if (result->status == 401) {
        out->permanent = false;
        out->account_trouble = true;
    } else if (result->status == 403 && !known) {
        out->permanent = true; /* the geography this account may phone */
    }
    const char *code = out->account_trouble ? "account" : out->permanent ? "permanent" : "refused";
    out->fault = fault_make(FAULT_REFUSED, result->status, code, "%s", text);
    out->resolved_by = "4xx";
}

void plivo_place_judge(const struct http_result *result, struct carrier_placed *out)
{
    char text[128] = "";
    *out = (struct carrier_placed){.resolved_by = ""};
    if (result->fault.class == FAULT_NOT_SENT) {
        out->fault = result->fault;
        out->resolved_by = "nosend";
        return;
    }
    if (result->fault.class != FAULT_NONE) {
        out->fault = fault_make(FAULT_UNSURE, result->fault.status, result->fault.code, "%s",
                                result->fault.text);
        return;
    }
    bool yes = result->status >= 200 && result->status <= 202;
    if (yes && take_request_id(result->body, out->request_id)) {
        out->fault = fault_none();
        out->fault.status = result->status;
        out->resolved_by = "response";
        return;
    }
    plivo_error_text(result->body, text, sizeof text);
    /* Bad credentials may be answered in plain text; every other no must be the API's own JSON, or
     * it could be a proxy's word about a request that went through. */
    if (status_is_documented_no(result->status) && (text[0] != '\0' || result->status == 401)) {
        judge_refusal(result, text[0] != '\0' ? text : "bad credentials", out);
        return;
    }
    out->fault = fault_make(FAULT_UNSURE, result->status, "unclear_answer",
                            "HTTP %d says neither yes nor a documented no", result->status);
}

/* --- hang up ---------------------------------------------------------------------------------- */

static void on_hangup_reply(const struct http_result *result, void *arg);

/* Before the answer this cancels; of a call whose own id is unknown the request is cancelled. */
int plivo_hangup_start(struct carrier_op **op, struct http_client *http,
                       const struct carrier_account *account, const char *call_id,
                       const char *request_id, carrier_done_fn *on_done, void *arg)
{
    bool by_call = call_id != NULL && call_id[0] != '\0';
    const char *id = by_call ? call_id : request_id;
    char rest[CARRIER_ID_SIZE + 16];
    OWNED(buf_fini) struct buf url;
    OWNED(buf_fini) struct buf tail;
    buf_init(&url, URL_MAX);
    buf_init(&tail, sizeof rest);
    if (!plivo_id_ok(str_of(id)) || strlen(id) >= CARRIER_ID_SIZE) {
        return -EINVAL;
    }
    buf_addf(&tail, "%s/%s/", by_call ? "Call" : "Request", id);
    int err = plivo_api_url(account, buf_cstr(&tail), &url);
    if (err < 0) {
        return err;
    }
    struct http_ask request = {.method = "DELETE",
                               .url = buf_cstr(&url),
                               .timeout_ms = PLIVO_QUERY_TIMEOUT_MS,
                               .answer_max = PLACE_ANSWER_MAX};
    struct rest_op *hangup = xzalloc(sizeof *hangup);
    hangup->on_done = on_done;
    hangup->arg = arg;
    return rest_start(op, http, hangup, account, &request, on_hangup_reply);
}

static void finish(struct rest_op *op, const struct fault *fault)
{
    carrier_done_fn *on_done = op->on_done;
    void *arg = op->arg;
    op->http = NULL;
    rest_drop(&op->base);
    on_done(fault, arg);
}

struct fault plivo_query_fault(const struct http_result *result)
{
    char text[128] = "";
    if (result->fault.class != FAULT_NONE) {
        return result->fault;
    }
    if (result->status == 200) {
        return fault_none();
    }
    plivo_error_text(result->body, text, sizeof text);
    enum fault_class class = FAULT_BROKEN;
    if (result->status == 429) {
        class = FAULT_BUSY;
    } else if (result->status >= 500) {
        class = FAULT_UNSURE;
    } else if (result->status >= 400) {
        class = FAULT_REFUSED;
    }
    return fault_make(class, result->status, result->status == 401 ? "account" : "http",
                      "HTTP %d %s", result->status, text);
}

static void on_hangup_reply(const struct http_result *result, void *arg)
{
    struct rest_op *op = arg;
    struct fault fault = plivo_query_fault(result);
    bool gone = result->status == 404 || (result->status >= 200 && result->status <= 204);
    if (result->fault.class == FAULT_NONE && gone) {
        fault = fault_none(); /* 404: it was over already */
    }
    finish(op, &fault);
}

/* --- check ------------------------------------------------------------------------------------ */

/* The live list is the cheapest question that needs credentials and the voice API alike. */
static void on_check_reply(const struct http_result *result, void *arg)
{
    struct rest_op *op = arg;
    struct fault fault = plivo_query_fault(result);
    OWNED(json_free) json_t *v = NULL;
    if (fault.class == FAULT_NONE &&
        (json_parse(result->body, &v) < 0 || json_get_array(v, "calls") == NULL)) {
        fault = fault_make(FAULT_BROKEN, result->status, "not_the_api",
                           "the answer is not a list of live calls");
    }
    finish(op, &fault);
}

int plivo_check_start(struct carrier_op **op, struct http_client *http,
                      const struct carrier_account *account, carrier_done_fn *on_done, void *arg)
{
    OWNED(buf_fini) struct buf url;
    buf_init(&url, URL_MAX);
    int err = plivo_api_url(account, "Call/?status=live&limit=1", &url);
    if (err < 0) {
        return err;
    }
    struct http_ask request = {.method = "GET",
                               .url = buf_cstr(&url),
                               .timeout_ms = PLIVO_QUERY_TIMEOUT_MS,
                               .answer_max = LIMIT_REST_BODY_BYTES};
    struct rest_op *check = xzalloc(sizeof *check);
    check->on_done = on_done;
    check->arg = arg;
    return rest_start(op, http, check, account, &request, on_check_reply);
}
