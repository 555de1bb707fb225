#include "api/api_priv.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/metrics.h"

#include <stdio.h>
#include <string.h>

#define READY_AGE_US  (1 * US_PER_S)
#define METRICS_BYTES (1024 * 1024)

void api_on_health(struct http_request *req, void *arg)
{
    (void)arg;
    http_answer(req, 200, "application/json",
                STR("{\"status\":\"ok\",\"version\":\"" DIALWRIGHT_VERSION "\"}\n"));
}

void api_on_metrics(struct http_request *req, void *arg)
{
    (void)arg;
    OWNED(buf_fini) struct buf text;
    buf_init(&text, METRICS_BYTES);
    if (metrics_write(&text) < 0) {
        http_answer_error(req, 500, "internal", "The metrics do not fit.");
        return;
    }
    http_answer(req, 200, "text/plain; version=0.0.4; charset=utf-8", buf_str(&text));
}

/* --- ready: the database answers, the schema is ours, and we are not going down -----------------
 */

static void on_level(const struct fault *fault, int32_t level, void *arg);

static void ready_drop(struct api_op *op)
{
    xfree(op);
}

static void answer_ready(struct api *api, struct http_request *req)
{
    const char *why = api->draining ? "draining" : api->ready.why;
    if (api->draining || !api->ready.ok) {
        http_answer_error(req, 503, "not_ready", why);
        return;
    }
    const char *idle =
        api->env.hooks.idle_why != NULL ? api->env.hooks.idle_why(api->env.hooks.arg) : "";
    if (idle[0] == '\0') {
        http_answer(req, 200, "application/json", STR("{\"status\":\"ready\"}\n"));
        return;
    }
    /* Ready all the same: calls that live are served, and the carrier's reports taken. */
    OWNED(json_free) json_t *v = json_object();
    OWNED(buf_fini) struct buf text;
    buf_init(&text, 1024);
    json_set_str(v, "status", STR("ready"));
    json_set_str(v, "dialing", str_of(idle));
    if (json_dump(v, &text) < 0 || buf_add_char(&text, '\n') < 0) {
        http_answer_error(req, 500, "internal", "No answer could be written.");
        return;
    }
    http_answer(req, 200, "application/json", buf_str(&text));
}

void api_on_ready(struct http_request *req, void *arg)
{
    struct api *api = arg;
    int64_t age_us = loop_now_us(api->env.loop) - api->ready.at_us;
    bool known = api->ready.at_us != 0 && age_us < READY_AGE_US;
    if (api->draining || (known && !api->ready.asking)) {
        answer_ready(api, req);
        return;
    }
    if (!api->ready.asking) {
        if (api->store->schema_level(&api->ready.tx, api->env.db, on_level, api) < 0) {
            http_answer_error(req, 503, "not_ready", "the database's queue is full");
            return;
        }
        api->ready.asking = true;
    }
    struct api_op *op = xzalloc(sizeof *op);
    api_op_begin(op, api, req, ready_drop);
    list_remove(&op->link);
    list_push_back(&api->ready.waiting, &op->link);
}

static void on_level(const struct fault *fault, int32_t level, void *arg)
{
    struct api *api = arg;
    struct list *l;
    api->ready.asking = false;
    api->ready.tx = NULL;
    api->ready.at_us = loop_now_us(api->env.loop);
    api->ready.ok = true;
    if (fault->class != FAULT_NONE) {
        api->ready.ok = false;
        snprintf(api->ready.why, sizeof api->ready.why, "the database does not answer");
    } else if (level >= 0 && api->env.schema_level > 0 && level != api->env.schema_level) {
        api->ready.ok = false;
        snprintf(api->ready.why, sizeof api->ready.why, "schema %d, this program needs %d",
                 (int)level, (int)api->env.schema_level);
    }
    while ((l = list_pop_front(&api->ready.waiting)) != NULL) {
        struct api_op *op = LIST_ITEM(l, struct api_op, link);
        answer_ready(api, op->req);
        op->req = NULL;
        api_op_end(op);
    }
}

void api_ready_close(struct api *api)
{
    struct list *l;
    store_cancel(&api->ready.tx);
    while ((l = list_pop_front(&api->ready.waiting)) != NULL) {
        api_op_error(LIST_ITEM(l, struct api_op, link), 503, "closing",
                     "The server is going down.");
    }
}
