/* model.h -- the model lookalike: a Realtime WebSocket that listens and speaks, and a Responses
 * endpoint that analyses transcripts.
 *
 * What it knows of a call is what its socket carried: instructions, tools, audio. It recognises a
 * line of the script by the mark in the samples it was sent, answers with the script's AI side, and
 * fits the script's tool calls to the schemas it was given.
 *
 * Owner   model_new() to model_free().
 * Thread  the loop's.
 * Source  protocols sheet of the model; realtime_events.json. */
#ifndef SIM_MODEL_MODEL_H
#define SIM_MODEL_MODEL_H

#include "faults/faults.h"
#include "loop/loop.h"
#include "net/http_server.h"
#include "people/book.h"

struct model;

struct model_conf {
    struct loop *loop;
    const struct book *book;
    struct faults *faults;
    const char *key; /* NULL: any key is taken */
};

struct model *model_new(const struct model_conf *conf) MUST_USE;
void model_free(struct model **m);
json_t *model_state(const struct model *m) MUST_USE;

/* Handlers; their arg is the struct sim. */
http_handler_fn model_realtime;  /* GET /v1/realtime?model= */
http_handler_fn model_responses; /* POST /v1/responses */
http_handler_fn model_list;      /* GET /v1/models */

#endif
