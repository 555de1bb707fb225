/* api_priv.h -- shared by the routes: the open API, and one request in work.
 *
 * Owner   struct api owns its ops; an op is freed when its request is answered.
 * Thread  the control loop. */
#ifndef API_API_PRIV_H
#define API_API_PRIV_H

#include "api/api.h"
#include "base/list.h"

struct api {
    struct api_env env;
    const struct api_store *store;
    struct http_server *server;
    struct list ops;
    bool draining;

    struct { /* one look at the schema serves everyone who asks within a second */
        bool asking;
        struct pg_tx *tx;
        int64_t at_us; /* monotonic; 0 never */
        bool ok;
        char why[64];
        struct list waiting; /* struct api_op */
    } ready;
};

/* A request kept. Embedded first; drop() frees what the route's op holds, and the op. */
struct api_op {
    struct list link;
    struct api *api;          /* NULL: the API is closed, free only */
    struct http_request *req; /* NULL once answered or upgraded */
    struct pg_tx *tx;
    int64_t started_us;
    bool gone; /* the client left */
    void (*drop)(struct api_op *op);
};

void api_op_begin(struct api_op *op, struct api *api, struct http_request *req,
                  void (*drop)(struct api_op *op));
void api_op_end(struct api_op *op); /* after the answer: unlinks, cancels, drops */
/* Answers, then ends the op. */
void api_op_error(struct api_op *op, int status, const char *code, const char *message);
/* 503 when the other side may come again (nothing is lost), 500 when that would not help. */
void api_op_fault(struct api_op *op, const char *what, const struct fault *fault);

void api_on_health(struct http_request *req, void *arg);
void api_on_ready(struct http_request *req, void *arg);
void api_on_metrics(struct http_request *req, void *arg);
void api_on_webhook(struct http_request *req, void *arg);
void api_on_media(struct http_request *req, void *arg);
void api_on_recording(struct http_request *req, void *arg);
void api_ready_close(struct api *api);

#endif
