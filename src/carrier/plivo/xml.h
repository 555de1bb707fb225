/* xml.h -- what the call shall do next, as Plivo XML, written by libxml2.
 *
 * Owner   appends to the caller's buf.
 * Thread  any; pure.
 * Errors  -EINVAL (an instruction that cannot be written: no number, bad text), -EMSGSIZE.
 * Source  docs/carrier-plivo.md, "XML". */
#ifndef CARRIER_PLIVO_XML_H
#define CARRIER_PLIVO_XML_H

#include "carrier/carrier.h"

#define PLIVO_XML_TYPE "application/xml"

int plivo_instruct(const struct carrier_urls *urls, const struct carrier_instruction *what,
                   struct buf *out) MUST_USE;
/* {public}/carrier/plivo/{kind}/{identity}, and with `retries` the fragment that asks for them. */
enum plivo_callback { PLIVO_CALLBACK_RETRIED, PLIVO_CALLBACK_ONCE };
int plivo_callback_url(const struct carrier_urls *urls, const char *kind,
                       const struct carrier_identity *id, enum plivo_callback how,
                       struct buf *out) MUST_USE;

#endif
