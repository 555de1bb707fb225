/* webhook.h -- Plivo's callbacks, form in, struct carrier_event out.
 *
 * The signature is checked before, over everything that came (signed duplicates are legal there);
 * here a name that comes twice with different values is refused, because two readers could pick
 * differently.
 *
 * Owner   the event's payload belongs to the caller (carrier_event_fini).
 * Thread  any; pure.
 * Errors  -EINVAL: unknown kind, broken form, contradiction, an id missing or not one. -EMSGSIZE.
 * Source  docs/carrier-plivo.md, "Webhooks". */
#ifndef CARRIER_PLIVO_WEBHOOK_H
#define CARRIER_PLIVO_WEBHOOK_H

#include "carrier/carrier.h"

int plivo_event_read(struct str kind, struct str body, struct carrier_event *out) MUST_USE;
const char *plivo_kind_name(enum carrier_event_kind kind);
int plivo_kind_read(struct str word, enum carrier_event_kind *out) MUST_USE;

#endif
