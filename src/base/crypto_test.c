#include "base/crypto.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

Test(crypto, known_answers)
{
    uint8_t out[SHA256_BYTES];
    char hex[65];
    sha256(STR("abc"), out); /* FIPS 180-4 example */
    hex_encode(out, sizeof out, hex);
    cr_expect_str_eq(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    hmac_sha256(STR("Jefe"), STR("what do ya want for nothing?"), out); /* RFC 4231 case 2 */
    hex_encode(out, sizeof out, hex);
    cr_expect_str_eq(hex, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    hmac_sha256(STR_NONE, STR_NONE, out);
    hex_encode(out, sizeof out, hex);
    cr_expect_str_eq(hex, "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
}

Test(crypto, compare)
{
    cr_expect(secret_eq("abc", "abc", 3));
    cr_expect_not(secret_eq("abc", "abd", 3));
    cr_expect(secret_eq("abc", "abd", 2));
}

Test(crypto, hex)
{
    uint8_t out[2] = {9, 9};
    cr_expect_eq(hex_decode(STR("0aF3"), out, 2), 0);
    cr_expect_eq(out[0], 0x0a);
    cr_expect_eq(out[1], 0xf3);
    cr_expect_eq(hex_decode(STR("0a"), out, 2), -EINVAL);
    cr_expect_eq(hex_decode(STR("0ag0"), out, 2), -EINVAL);
    cr_expect_eq(hex_decode(STR("0a 0"), out, 2), -EINVAL);
    cr_expect_eq(out[0], 0x0a, "written only on success");
}

Test(crypto, base64_vectors)
{
    static const struct {
        const char *plain;
        const char *coded;
    } rows[] = {{"", ""},
                {"f", "Zg=="},
                {"fo", "Zm8="},
                {"foo", "Zm9v"},
                {"foob", "Zm9vYg=="},
                {"fooba", "Zm9vYmE="},
                {"foobar", "Zm9vYmFy"}};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char text[32];
        uint8_t out[8];
        size_t len = strlen(rows[i].plain);
        cr_expect_eq(base64_encode((const uint8_t *)rows[i].plain, len, text), base64_size(len));
        cr_expect_str_eq(text, rows[i].coded);
        cr_expect_eq(base64_decode(str_of(rows[i].coded), out, len), (ptrdiff_t)len);
        cr_expect_eq(memcmp(out, rows[i].plain, len), 0);
        if (len > 0) {
            cr_expect_eq(base64_decode(str_of(rows[i].coded), out, len - 1), -EMSGSIZE);
        }
    }
}

Test(crypto, base64_is_strict)
{
    static const char *const rows[] = {
        "Zg",       "Zg=",  "Zg===", "Z===", "====", "Zm9v\n",   " Zm9v",    "Zm9vZg=\n",
        "Zg==Zg==", "Zm=v", "Zh==",  "Zm9=", "Zm-v", "Zm9v    ", "\tm9vZm9v"};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        uint8_t out[32];
        cr_expect_eq(base64_decode(str_of(rows[i]), out, sizeof out), -EINVAL, "row %zu", i);
    }
}

Test(crypto, base64_round_trip)
{
    uint8_t in[400];
    uint8_t out[400];
    char text[600];
    for (size_t size = 0; size <= sizeof in; size++) {
        random_bytes(in, size);
        size_t len = base64_encode(in, size, text);
        cr_assert_eq(base64_decode(str_make(text, len), out, size), (ptrdiff_t)size);
        cr_assert_eq(memcmp(in, out, size), 0);
    }
}

Test(crypto, seal)
{
    static const uint8_t key[32] = {1, 2, 3};
    static const uint8_t other_key[32] = {1, 2, 4};
    OWNED(buf_fini) struct buf sealed;
    OWNED(buf_fini) struct buf again;
    OWNED(buf_fini) struct buf plain;
    buf_init(&sealed, 1000);
    buf_init(&again, 1000);
    buf_init(&plain, 1000);
    cr_assert_eq(aead_seal(key, STR("org|col|1"), STR("token"), &sealed), 0);
    cr_assert_eq(aead_seal(key, STR("org|col|1"), STR("token"), &again), 0);
    cr_expect_eq(sealed.len, 12 + 5 + 16);
    cr_expect_not(str_eq(buf_str(&sealed), buf_str(&again)), "a nonce is used once");
    cr_assert_eq(aead_open(key, STR("org|col|1"), buf_str(&sealed), &plain), 0);
    cr_expect_str_eq(buf_cstr(&plain), "token");
    buf_clear(&plain);
    cr_expect_eq(aead_open(key, STR("org|col|2"), buf_str(&sealed), &plain), -EBADMSG);
    cr_expect_eq(aead_open(other_key, STR("org|col|1"), buf_str(&sealed), &plain), -EBADMSG);
    for (size_t i = 0; i < sealed.len; i++) {
        sealed.p[i] ^= 1;
        cr_expect_eq(aead_open(key, STR("org|col|1"), buf_str(&sealed), &plain), -EBADMSG);
        sealed.p[i] ^= 1;
    }
    for (size_t len = 0; len < sealed.len; len++) {
        cr_expect_eq(aead_open(key, STR("org|col|1"), str_head(buf_str(&sealed), len), &plain),
                     -EBADMSG);
    }
    cr_expect_eq(plain.len, 0);
    buf_clear(&sealed);
    cr_assert_eq(aead_seal(key, STR_NONE, STR_NONE, &sealed), 0);
    cr_assert_eq(aead_open(key, STR_NONE, buf_str(&sealed), &plain), 0);
    cr_expect_eq(plain.len, 0);
}
