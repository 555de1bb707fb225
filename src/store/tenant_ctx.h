/* tenant_ctx.h -- the signed name of the tenant a transaction works for.
 *
 * The database's policies believe app.ctx only with this signature, so that a set_config() smuggled
 * into a statement reads no rows. "<organization uuid>.<expiry, unix seconds>.<hex HMAC-SHA256 of
 * "organization.expiry">".
 *
 * Thread  any.
 * Source  tenancy 3.2; sql/migrations/0002_context.sql verifies. */
#ifndef STORE_TENANT_CTX_H
#define STORE_TENANT_CTX_H

#include "base/str.h"
#include "base/uuid.h"

#define TENANT_CTX_SIZE      128
#define TENANT_CTX_KEY_BYTES 32
#define TENANT_CTX_LIFE_S    120 /* far above any transaction, far below a leaked log line's life */

/* The key that `dialwright migrate` stores by app.context_key_set(): HMAC(secret, "dialwright ctx
 * v1"). */
void tenant_ctx_key(struct str secret, uint8_t key[TENANT_CTX_KEY_BYTES]);
void tenant_ctx_sign(const uint8_t key[TENANT_CTX_KEY_BYTES], const struct uuid *organization_id,
                     int64_t expires_s, char out[TENANT_CTX_SIZE]);

#endif
