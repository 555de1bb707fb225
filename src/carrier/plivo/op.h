/* op.h -- what every operation in flight at Plivo has in common: how to drop it.
 *
 * Owner   the operation itself, until it reports or plivo_cancel().
 * Thread  the loop of its http_client. */
#ifndef CARRIER_PLIVO_OP_H
#define CARRIER_PLIVO_OP_H

#include "carrier/carrier.h"

#define PLIVO_QUERY_TIMEOUT_MS 10000

struct carrier_op {                      /* first member of each */
    void (*drop)(struct carrier_op *op); /* cancels, frees, silent */
};

void plivo_cancel(struct carrier_op **op);

/* {api}/Account/{auth_id}/{rest}; `rest` ends in '/' or has a query. -EINVAL when the id is none.
 */
int plivo_api_url(const struct carrier_account *account, const char *rest,
                  struct buf *out) MUST_USE;
/* What a refused or failed query means; the text is masked. FAULT_NONE only for 200. */
struct fault plivo_query_fault(const struct http_result *result);
/* The error text of an answer, or what stands for it; "" when the body is not the API's JSON. */
void plivo_error_text(struct str body, char *out, size_t out_size);

#endif
