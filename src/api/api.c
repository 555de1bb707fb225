#include "api/api.h"

#include "api/api_priv.h"
#include "base/alloc.h"
#include "base/limits.h"
#include "base/log.h"

#include <errno.h>

const struct api_store api_store_database = {
    .event = store_event,
    .answer = store_answer,
    .hangup = store_hangup,
    .adopt = store_adopt,
    .media_look = store_media_look,
    .media_token = store_media_token,
    .recording_file = store_recording_file,
    .schema_level = store_schema_level,
};

/* A webhook a little too large reaches its handler, so that it is counted as one. */
#define WEBHOOK_ROUTE_BYTES (LIMIT_WEBHOOK_BODY_BYTES + 4096)

static const struct http_route routes[] = {
    {"GET", "/healthz", 0, api_on_health},
    {"GET", "/readyz", 0, api_on_ready},
    {"GET", "/metrics", 0, api_on_metrics},
    {"POST", "/carrier/{carrier}/{kind}/{identity}", WEBHOOK_ROUTE_BYTES, api_on_webhook},
    {"GET", "/media/{token}", 0, api_on_media},
    {"GET", "/recordings/{id}", 0, api_on_recording},
};

int api_open(struct api **out, const struct api_env *env)
{
    struct api *api = xzalloc(sizeof *api);
    api->env = *env;
    api->store = env->store != NULL ? env->store : &api_store_database;
    list_init(&api->ops);
    list_init(&api->ready.waiting);
    int err = http_server_open(&api->server, env->loop, env->listen, routes, COUNT_OF(routes), api);
    if (err < 0) {
        xfree(api);
        return err;
    }
    *out = api;
    return 0;
}

void api_close(struct api **api)
{
    struct api *a = *api;
    if (a == NULL) {
        return;
    }
    *api = NULL;
    api_ready_close(a);
    LIST_EACH_SAFE(l, &a->ops)
    {
        struct api_op *op = LIST_ITEM(l, struct api_op, link);
        if (op->req == NULL) { /* between its 101 and its socket: on_socket comes for it */
            list_remove(&op->link);
            op->api = NULL;
        } else {
            api_op_error(op, 503, "closing", "The server is going down.");
        }
    }
    http_server_close(&a->server);
    xfree(a);
}

uint16_t api_port(const struct api *api)
{
    return http_server_port(api->server);
}

void api_drain(struct api *api)
{
    api->draining = true;
}

static void on_gone(void *arg)
{
    struct api_op *op = arg;
    op->gone = true;
}

void api_op_begin(struct api_op *op, struct api *api, struct http_request *req,
                  void (*drop)(struct api_op *op))
{
    op->api = api;
    op->req = req;
    op->drop = drop;
    op->started_us = loop_now_us(api->env.loop);
    list_init(&op->link);
    list_push_back(&api->ops, &op->link);
    http_keep(req, on_gone, op);
}

void api_op_end(struct api_op *op)
{
    list_remove(&op->link);
    store_cancel(&op->tx);
    op->drop(op);
}

void api_op_error(struct api_op *op, int status, const char *code, const char *message)
{
    http_answer_error(op->req, status, code, message);
    op->req = NULL;
    api_op_end(op);
}

void api_op_fault(struct api_op *op, const char *what, const struct fault *fault)
{
    bool hopeless = fault->class == FAULT_REFUSED || fault->class == FAULT_BROKEN;
    if (hopeless) {
        log_error("api.store", LOG_STR("what", what),
                  LOG_STR("class", fault_class_name(fault->class)), LOG_STR("code", fault->code),
                  LOG_STR("text", fault->text));
    } else {
        log_warn("api.store", LOG_STR("what", what),
                 LOG_STR("class", fault_class_name(fault->class)), LOG_STR("code", fault->code),
                 LOG_STR("text", fault->text));
    }
    api_op_error(op, hopeless ? 500 : 503, hopeless ? "internal" : "unavailable",
                 hopeless ? "The request could not be stored." : "Try again.");
}
