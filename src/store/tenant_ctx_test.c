#include "store/tenant_ctx.h"

#include "base/crypto.h"

#include <criterion/criterion.h>
#include <string.h>

/* Computed by Python: hmac.new(hmac.new(secret, b"dialwright ctx v1", sha256).digest(), said, sha256). */
Test(tenant_ctx, known_value)
{
    uint8_t key[TENANT_CTX_KEY_BYTES];
    char digits[2 * TENANT_CTX_KEY_BYTES + 1];
    char out[TENANT_CTX_SIZE];
    struct uuid org;
    tenant_ctx_key(STR("0123456789abcdef0123456789abcdef"), key);
    hex_encode(key, sizeof key, digits);
    cr_assert_str_eq(digits, "5383f925afe5a46de19aa4a333e1e0ca00c38290444ac2cfc8c85d31a6109154");
    cr_assert_eq(uuid_parse(STR("a0000000-0000-7000-8000-000000000001"), &org), 0);
    tenant_ctx_sign(key, &org, 1800000000, out);
    cr_assert_str_eq(out, "a0000000-0000-7000-8000-000000000001.1800000000."
                          "ecceee482bcd42c43999c54b3fb205a66a6db406b150c550e656b1f69b4dfdb0");
}
