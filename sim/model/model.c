#include "model.h"

#include "analysis.h"
#include "base/alloc.h"
#include "session.h"
#include "sim.h"

#include <string.h>

struct model *model_new(const struct model_conf *conf)
{
    struct model *m = xzalloc(sizeof *m);

    m->conf = *conf;
    list_init(&m->sessions);
    return m;
}

void model_free(struct model **m)
{
    if (*m == NULL) {
        return;
    }
    LIST_EACH_SAFE(it, &(*m)->sessions)
    {
        session_free(LIST_ITEM(it, struct session, link));
    }
    xfree(*m);
    *m = NULL;
}

json_t *model_state(const struct model *m)
{
    const struct model_counts *n = &m->counts;

    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "sessions",
                     (json_int_t)n->sessions, "refused", (json_int_t)n->refused, "live",
                     (json_int_t)n->live, "responses", (json_int_t)n->responses, "cancelled",
                     (json_int_t)n->cancelled, "truncations", (json_int_t)n->truncations, "errors",
                     (json_int_t)n->errors, "turns_heard", (json_int_t)n->turns_heard,
                     "turns_unclear", (json_int_t)n->turns_unclear, "tool_calls",
                     (json_int_t)n->tool_calls, "analyses", (json_int_t)n->analyses);
}

static void refuse(struct http_request *req, int status, const char *type, const char *code,
                   const char *message)
{
    OWNED(json_free)
    json_t *body = json_pack("{s:{s:s, s:s, s:n, s:s}}", "error", "message", message, "type", type,
                             "param", "code", code);
    struct buf text;

    buf_init(&text, 2048);
    (void)!json_dump(body, &text);
    http_answer(req, status, "application/json", buf_str(&text));
    buf_fini(&text);
}

/* Bearer or api-key; false after having answered 401. */
static bool allowed(struct http_request *req, const struct model *m)
{
    struct str bearer = http_header(req, "Authorization");
    struct str key = http_header(req, "api-key");

    if (str_starts(bearer, STR("Bearer "))) {
        key = str_trim(str_skip(bearer, strlen("Bearer ")));
    }
    if (key.len > 0 && (m->conf.key == NULL || str_eq_cstr(key, m->conf.key))) {
        return true;
    }
    refuse(req, 401, "invalid_request_error", "invalid_api_key",
           "Incorrect API key provided. You can find your API key at the simulator's --model-key.");
    return false;
}

void model_realtime(struct http_request *req, void *arg)
{
    struct model *m = ((struct sim *)arg)->model;
    struct str query = http_query(req);
    struct str pair;
    struct str name;
    char model_name[64] = "";

    if (!allowed(req, m)) {
        m->counts.refused++;
        return;
    }
    while (str_split(&query, '&', &pair)) {
        if (str_split(&pair, '=', &name) && str_eq_cstr(name, "model")) {
            str_copy_cut(pair, model_name, sizeof model_name);
        }
    }
    if (!http_is_websocket(req) || model_name[0] == '\0') {
        m->counts.refused++;
        refuse(req, 400, "invalid_request_error", "missing_model",
               "You must provide a model parameter and upgrade to a WebSocket.");
        return;
    }
    if (fault_strikes(m->conf.faults, FAULT_MODEL_REFUSED, STR("session"),
                      (uint64_t)(m->counts.sessions + m->counts.refused))) {
        m->counts.refused++;
        refuse(req, 503, "server_error", "overloaded", "The server is overloaded.");
        return;
    }
    session_open(m, req, model_name);
}

void model_list(struct http_request *req, void *arg)
{
    struct model *m = ((struct sim *)arg)->model;

    if (allowed(req, m)) {
        http_answer(req, 200, "application/json",
                    STR("{\"object\":\"list\",\"data\":[{\"id\":\"gpt-realtime-2.1-mini\","
                        "\"object\":\"model\"},{\"id\":\"gpt-realtime-2.1\",\"object\":\"model\"},"
                        "{\"id\":\"gpt-transcribe\",\"object\":\"model\"},"
                        "{\"id\":\"gpt-6-luna\",\"object\":\"model\"}]}"));
    }
}

void model_responses(struct http_request *req, void *arg)
{
    struct model *m = ((struct sim *)arg)->model;
    OWNED(json_free) json_t *request = NULL;
    OWNED(json_free) json_t *reply = NULL;
    struct faults *f = m->conf.faults;
    struct buf text;
    const char *why = "";

    if (!allowed(req, m)) {
        return;
    }
    uint64_t nth = m->analysis_nth++;
    if (json_parse(http_body(req), &request) < 0) {
        refuse(req, 400, "invalid_request_error", "invalid_json", "Could not parse the JSON body.");
        return;
    }
    if (fault_strikes(f, FAULT_ANALYSIS_429, STR("analysis"), nth)) {
        http_set_header(req, "retry-after-ms", "300");
        refuse(req, 429, "tokens", "rate_limit_exceeded",
               "Rate limit reached for this model. Please try again in 300ms.");
        return;
    }
    if (fault_strikes(f, FAULT_ANALYSIS_500, STR("analysis"), nth)) {
        refuse(req, 500, "server_error", "server_error", "The server had an error.");
        return;
    }
    bool cut = fault_strikes(f, FAULT_ANALYSIS_CUT, STR("analysis"), nth);
    reply =
        analysis_reply(book_analysis(m->conf.book), request, loop_wall_us(m->conf.loop), cut, &why);
    if (reply == NULL) {
        refuse(req, 400, "invalid_request_error", "invalid_value", why);
        return;
    }
    m->counts.analyses++;
    buf_init(&text, 256 * 1024);
    (void)!json_dump(reply, &text);
    http_answer(req, 200, "application/json", buf_str(&text));
    buf_fini(&text);
}
