/* accounts.h -- the carrier accounts of each organization, tokens opened: for placing calls and for
 * believing webhooks.
 *
 * A cache over one statement: an organization's accounts are read when first asked for and again
 * when they are older than a minute. After a signature that none of the tokens made,
 * accounts_stale() has them read anew at the next question (a token was rotated), at most every
 * five seconds.
 *
 * Contract accounts_ask: refused => silent; accepted => on_done exactly once, later, on the same
 *          loop. accounts_close() silences all.
 * Owner   whoever called accounts_open(). What on_done gets lives during on_done: copy it.
 * Thread  the control loop.
 * Errors  -EBUSY (the database's queue is full). fault: the database's; then count is 0. An account
 *         whose token does not open (another DIALWRIGHT_KEK) is there with no token, and logged. */
#ifndef CARRIER_ACCOUNTS_H
#define CARRIER_ACCOUNTS_H

#include "carrier/carrier.h"
#include "store/store_api.h"

struct accounts;

/* store_carrier_accounts(), or a test's. */
typedef int accounts_load_fn(struct pg_tx **op, struct pg_pool *db,
                             const struct uuid *organization_id, store_accounts_fn *on_done,
                             void *arg);

struct accounts_env {
    struct loop *loop;
    struct pg_pool *db;
    accounts_load_fn *load; /* NULL: the database's */
    const char *kek;
    const char *api_url;   /* of the carrier: PLIVO_API_URL */
    int64_t reread_min_ms; /* between two readings for a strange signature; 0: 5000, < 0: none */
};

typedef void accounts_fn(const struct fault *fault, const struct carrier_account *accounts,
                         size_t count, void *arg);

int accounts_open(struct accounts **out, const struct accounts_env *env) MUST_USE;
void accounts_close(struct accounts **a);
int accounts_ask(struct accounts *a, const struct uuid *organization_id, accounts_fn *on_done,
                 void *arg) MUST_USE;
/* True when the next accounts_ask() will read anew; false when that was done only just now. */
bool accounts_stale(struct accounts *a, const struct uuid *organization_id);

#endif
