/* rest.h -- place one call, end one, check the credentials.
 *
 * A placed call is asked for once, on a connection of its own. Whatever is not a clear yes or a
 * documented no is FAULT_UNSURE: the phone may be ringing.
 *
 * Contract as every _start of carrier.h.
 * Source  docs/carrier-plivo.md, "REST". */
#ifndef CARRIER_PLIVO_REST_H
#define CARRIER_PLIVO_REST_H

#include "carrier/carrier.h"

int plivo_place_start(struct carrier_op **op, struct http_client *http,
                      const struct carrier_urls *urls, const struct carrier_account *account,
                      const struct carrier_ask *ask, carrier_placed_fn *on_done,
                      void *arg) MUST_USE;
int plivo_hangup_start(struct carrier_op **op, struct http_client *http,
                       const struct carrier_account *account, const char *call_id,
                       const char *request_id, carrier_done_fn *on_done, void *arg) MUST_USE;
int plivo_check_start(struct carrier_op **op, struct http_client *http,
                      const struct carrier_account *account, carrier_done_fn *on_done,
                      void *arg) MUST_USE;

/* The two pure halves of placing, for tests. */
int plivo_place_body(const struct carrier_urls *urls, const struct carrier_ask *ask,
                     struct buf *out) MUST_USE;
void plivo_place_judge(const struct http_result *result, struct carrier_placed *out);

#endif
