/* crypto.h -- the few primitives we need, over OpenSSL and libsodium.
 *
 * Thread  any.
 * Errors  decoders return -EINVAL on any bad character or length, -EMSGSIZE when out is too small. */
#ifndef BASE_CRYPTO_H
#define BASE_CRYPTO_H

#include "base/buf.h"

#define SHA256_BYTES 32

void random_bytes(void *p, size_t size_bytes); /* from the kernel; aborts when it has none */
void sha256(struct str data, uint8_t out[SHA256_BYTES]);
void hmac_sha256(struct str key, struct str data, uint8_t out[SHA256_BYTES]);
bool secret_eq(const void *a, const void *b, size_t size_bytes); /* constant time */

void hex_encode(const uint8_t *p, size_t size_bytes,
                char *out); /* 2n digits and a NUL, lower case */
int hex_decode(struct str s, uint8_t *out, size_t out_size) MUST_USE; /* exactly out_size bytes */
size_t base64_size(size_t size_bytes);                                /* digits, without the NUL */
size_t base64_encode(const uint8_t *p, size_t size_bytes, char *out); /* writes a NUL too */
ptrdiff_t base64_decode(struct str s, uint8_t *out,
                        size_t out_size) MUST_USE; /* bytes, or -errno; strict */

/* AES-256-GCM. sealed = nonce(12) | ciphertext | tag(16). aad binds the place it is stored. */
int aead_seal(const uint8_t key[32], struct str aad, struct str plain, struct buf *out) MUST_USE;
int aead_open(const uint8_t key[32], struct str aad, struct str sealed,
              struct buf *out) MUST_USE; /* -EBADMSG */

#endif
