#include "base/crypto.h"

#include "base/alloc.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define NONCE_BYTES 12
#define TAG_BYTES   16

void random_bytes(void *p, size_t size_bytes)
{
    uint8_t *at = p;
    while (size_bytes > 0) {
        ssize_t got = getrandom(at, size_bytes, 0);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            abort(); /* ids and keys that can be guessed are worse than no process */
        }
        at += got;
        size_bytes -= (size_t)got;
    }
}

static const unsigned char *bytes(struct str s)
{
    return (const unsigned char *)(s.p == NULL ? "" : s.p);
}

void sha256(struct str data, uint8_t out[SHA256_BYTES])
{
    SHA256(bytes(data), data.len, out);
}

void hmac_sha256(struct str key, struct str data, uint8_t out[SHA256_BYTES])
{
    assert(key.len <= INT32_MAX);
    unsigned int size = SHA256_BYTES;
    const void *done =
        HMAC(EVP_sha256(), bytes(key), (int)key.len, bytes(data), data.len, out, &size);
    assert(done != NULL && size == SHA256_BYTES);
}

bool secret_eq(const void *a, const void *b, size_t size_bytes)
{
    return CRYPTO_memcmp(a, b, size_bytes) == 0;
}

void hex_encode(const uint8_t *p, size_t size_bytes, char *out)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < size_bytes; i++) {
        out[2 * i] = digits[p[i] >> 4];
        out[2 * i + 1] = digits[p[i] & 15];
    }
    out[2 * size_bytes] = '\0';
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

int hex_decode(struct str s, uint8_t *out, size_t out_size)
{
    if (s.len != out_size * 2) {
        return -EINVAL;
    }
    for (size_t i = 0; i < s.len; i++) {
        if (hex_digit(s.p[i]) < 0) {
            return -EINVAL;
        }
    }
    for (size_t i = 0; i < out_size; i++) {
        out[i] = (uint8_t)(hex_digit(s.p[2 * i]) * 16 + hex_digit(s.p[2 * i + 1]));
    }
    return 0;
}

size_t base64_size(size_t size_bytes)
{
    return (size_bytes + 2) / 3 * 4;
}

size_t base64_encode(const uint8_t *p, size_t size_bytes, char *out)
{
    assert(size_bytes <= INT32_MAX / 2);
    int len = EVP_EncodeBlock((unsigned char *)out, p, (int)size_bytes);
    return (size_t)len;
}

static int base64_value(char c)
{
    if (c >= 'A' && c <= 'Z') {
        return c - 'A';
    }
    if (c >= 'a' && c <= 'z') {
        return c - 'a' + 26;
    }
    if (c >= '0' && c <= '9') {
        return c - '0' + 52;
    }
    return c == '+' ? 62 : (c == '/' ? 63 : -1);
}

/* The last four digits carry the padding; the bits it makes unused must be zero, so that one value
 * has one spelling. */
static ptrdiff_t decode_last(const char *q, uint8_t out[3])
{
    size_t pads = q[3] != '=' ? 0 : (q[2] != '=' ? 1 : 2);
    uint32_t bits = 0;
    for (size_t i = 0; i < 4; i++) {
        int value = i < 4 - pads ? base64_value(q[i]) : 0;
        if (value < 0) {
            return -EINVAL;
        }
        bits = bits << 6 | (uint32_t)value;
    }
    if ((pads == 1 && (bits & 0xffu) != 0) || (pads == 2 && (bits & 0xffffu) != 0)) {
        return -EINVAL;
    }
    out[0] = (uint8_t)(bits >> 16);
    out[1] = (uint8_t)(bits >> 8);
    out[2] = (uint8_t)bits;
    return (ptrdiff_t)(3 - pads);
}

ptrdiff_t base64_decode(struct str s, uint8_t *out, size_t out_size)
{
    if (s.len == 0) {
        return 0;
    }
    if (s.len % 4 != 0 || s.len > INT32_MAX / 2) {
        return -EINVAL;
    }
    uint8_t last[3];
    ptrdiff_t last_size = decode_last(s.p + s.len - 4, last);
    if (last_size < 0) {
        return last_size;
    }
    size_t head_size = (s.len - 4) / 4 * 3;
    if (head_size + (size_t)last_size > out_size) {
        return -EMSGSIZE;
    }
    /* EVP_DecodeBlock forgives white space at the ends and '=' inside; the first check does not. */
    for (size_t i = 0; i < s.len - 4; i++) {
        if (base64_value(s.p[i]) < 0) {
            return -EINVAL;
        }
    }
    if (head_size > 0) {
        int got = EVP_DecodeBlock(out, (const unsigned char *)s.p, (int)(s.len - 4));
        assert(got == (int)head_size);
    }
    memcpy(out + head_size, last, (size_t)last_size);
    return (ptrdiff_t)head_size + last_size;
}

static void cipher_free(EVP_CIPHER_CTX **ctx)
{
    EVP_CIPHER_CTX_free(*ctx);
    *ctx = NULL;
}

int aead_seal(const uint8_t key[32], struct str aad, struct str plain, struct buf *out)
{
    if (plain.len > INT32_MAX / 2 || aad.len > INT32_MAX / 2) {
        return -EMSGSIZE;
    }
    uint8_t *at = (uint8_t *)buf_reserve(out, NONCE_BYTES + plain.len + TAG_BYTES);
    if (at == NULL) {
        return -EMSGSIZE;
    }
    random_bytes(at, NONCE_BYTES);
    OWNED(cipher_free) EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    int len = 0;
    uint8_t *body = at + NONCE_BYTES;
    bool done = ctx != NULL && EVP_EncryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, key, at) == 1 &&
                EVP_EncryptUpdate(ctx, NULL, &len, bytes(aad), (int)aad.len) == 1 &&
                EVP_EncryptUpdate(ctx, body, &len, bytes(plain), (int)plain.len) == 1 &&
                EVP_EncryptFinal_ex(ctx, body + plain.len, &len) == 1 &&
                EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_GET_TAG, TAG_BYTES, body + plain.len) == 1;
    assert(done); /* nothing in it depends on the input */
    buf_commit(out, NONCE_BYTES + plain.len + TAG_BYTES);
    return 0;
}

int aead_open(const uint8_t key[32], struct str aad, struct str sealed, struct buf *out)
{
    if (sealed.len < NONCE_BYTES + TAG_BYTES || sealed.len > INT32_MAX / 2 ||
        aad.len > INT32_MAX / 2) {
        return -EBADMSG;
    }
    size_t size = sealed.len - NONCE_BYTES - TAG_BYTES;
    uint8_t *at = (uint8_t *)buf_reserve(out, size);
    if (at == NULL) {
        return -EMSGSIZE;
    }
    const unsigned char *body = bytes(sealed) + NONCE_BYTES;
    uint8_t tag[TAG_BYTES];
    memcpy(tag, body + size, TAG_BYTES);
    OWNED(cipher_free) EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    int len = 0;
    bool ok = ctx != NULL &&
              EVP_DecryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, key, bytes(sealed)) == 1 &&
              EVP_DecryptUpdate(ctx, NULL, &len, bytes(aad), (int)aad.len) == 1 &&
              EVP_DecryptUpdate(ctx, at, &len, body, (int)size) == 1 &&
              EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_SET_TAG, TAG_BYTES, tag) == 1 &&
              EVP_DecryptFinal_ex(ctx, at + size, &len) == 1;
    if (!ok) {
        secret_wipe(at, size); /* what was decrypted but not proven is nobody's */
        return -EBADMSG;
    }
    buf_commit(out, size);
    return 0;
}
