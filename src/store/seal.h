/* seal.h -- tenants' secrets at rest: carrier tokens and the like, unreadable without
 * DIALWRIGHT_KEK.
 *
 * Each secret has a key of its own, which the key derived from DIALWRIGHT_KEK wraps; both layers
 * are AES-256-GCM and bound to organization|column|id, so a sealed value copied to another row does
 * not open. Stored form: version (1 byte) | wrapped key (60 bytes) | nonce, ciphertext, tag.
 *
 * Thread  any.
 * Errors  seal_close: -EMSGSIZE. seal_open: -EBADMSG (other key, other row, or changed), -EINVAL
 * (not a sealed value). Source  security 4.1. */
#ifndef STORE_SEAL_H
#define STORE_SEAL_H

#include "base/buf.h"
#include "base/uuid.h"

struct seal_place {
    struct uuid organization_id;
    const char *column; /* "carrier_accounts.auth_token" */
    struct uuid id;
};
#define SEAL_CARRIER_TOKEN "carrier_accounts.auth_token"

int seal_close(struct str kek, const struct seal_place *place, struct str plain,
               struct buf *sealed) MUST_USE;
int seal_open(struct str kek, const struct seal_place *place, struct str sealed,
              struct buf *plain) MUST_USE;

#endif
