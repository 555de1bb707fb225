/* insight.h -- the worker that understands finished calls: a durable queue in the database, the
 * Responses API, and one transaction that stores insight, score, summary, tasks and bill.
 *
 *     tick -> take (lease) -> transcript -> [too short?] -> ask the model -> check -> store
 *                                  any failure -> fail (again later, or for good)
 *
 * Jobs are made by the settlement of a call; nothing here is lost with the process: an unfinished job's
 * lease runs out and another worker takes it. A result that comes after that is refused by the database.
 *
 * Owner   whoever called insight_open(); insight_close() cancels what is in flight, silently.
 * Thread  the control loop.
 * Time    milliseconds.
 * Limits  `jobs` analyses at once.
 * Errors  insight_open: -EINVAL (URL that an operator may not name, no model, no key). */
#ifndef INSIGHT_INSIGHT_H
#define INSIGHT_INSIGHT_H

#include "base/uuid.h"
#include "net/http_client.h"
#include "store/pg_conn.h"

struct insight;

struct insight_config {
    const char *api_url;     /* https://api.openai.com/v1; "/responses" is appended */
    const char *auth_header; /* "Authorization" (Bearer is put before the key) or another name */
    const char *api_key;
    const char *model;
    struct uuid worker_id; /* of this process */
    int64_t jobs;
    int64_t delay_ms;    /* wait for stragglers of the transcript */
    int64_t tick_ms;     /* 0: 500 */
    uint32_t timeout_ms; /* of one request; 0: 60000 */
};

int insight_open(struct insight **out, struct loop *loop, struct pg_pool *db,
                 struct http_client *http, const struct insight_config *config) MUST_USE;
void insight_close(struct insight **insight);
size_t insight_busy(const struct insight *insight); /* analyses in flight */

#endif
