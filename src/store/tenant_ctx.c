#include "store/tenant_ctx.h"

#include "base/crypto.h"

#include <inttypes.h>
#include <stdio.h>

void tenant_ctx_key(struct str secret, uint8_t key[TENANT_CTX_KEY_BYTES])
{
    static_assert(TENANT_CTX_KEY_BYTES == SHA256_BYTES, "one digest");
    hmac_sha256(secret, STR("dialwright ctx v1"), key);
}

void tenant_ctx_sign(const uint8_t key[TENANT_CTX_KEY_BYTES], const struct uuid *organization_id,
                     int64_t expires_s, char out[TENANT_CTX_SIZE])
{
    char organization[UUID_TEXT_SIZE];
    uuid_text(organization_id, organization);
    char signed_part[UUID_TEXT_SIZE + 24];
    snprintf(signed_part, sizeof signed_part, "%s.%" PRId64, organization, expires_s);
    uint8_t mac[SHA256_BYTES];
    hmac_sha256(str_make((const char *)key, TENANT_CTX_KEY_BYTES), str_of(signed_part), mac);
    char digits[2 * SHA256_BYTES + 1];
    hex_encode(mac, sizeof mac, digits);
    snprintf(out, TENANT_CTX_SIZE, "%s.%s", signed_part, digits);
}
