#include "store/seal.h"

#include "base/alloc.h"
#include "base/crypto.h"

#include <errno.h>
#include <stdio.h>

#define SEAL_VERSION  1
#define KEY_BYTES     32
#define WRAPPED_BYTES (12 + KEY_BYTES + 16)
#define AAD_SIZE      160

static int make_aad(const struct seal_place *place, char aad[AAD_SIZE], struct str *out)
{
    char org[UUID_TEXT_SIZE];
    char id[UUID_TEXT_SIZE];

    uuid_text(&place->organization_id, org);
    uuid_text(&place->id, id);
    int n = snprintf(aad, AAD_SIZE, "%s|%s|%s", org, place->column, id);
    if (n < 0 || n >= AAD_SIZE) {
        return -EMSGSIZE;
    }
    *out = str_make(aad, (size_t)n);
    return 0;
}

static void wrapping_key(struct str kek, uint8_t key[KEY_BYTES])
{
    hmac_sha256(kek, STR("dialwright kek v1"), key);
}

static int wrap(struct str kek, struct str aad, const uint8_t key[KEY_BYTES], struct buf *sealed)
{
    uint8_t outer[KEY_BYTES];

    wrapping_key(kek, outer);
    int err = aead_seal(outer, aad, str_make((const char *)key, KEY_BYTES), sealed);
    secret_wipe(outer, sizeof outer);
    return err;
}

int seal_close(struct str kek, const struct seal_place *place, struct str plain, struct buf *sealed)
{
    char text[AAD_SIZE];
    struct str aad;
    uint8_t key[KEY_BYTES];
    int err = make_aad(place, text, &aad);

    random_bytes(key, sizeof key);
    if (err == 0) {
        err = buf_add_char(sealed, SEAL_VERSION);
    }
    if (err == 0) {
        err = wrap(kek, aad, key, sealed);
    }
    if (err == 0) {
        err = aead_seal(key, aad, plain, sealed);
    }
    secret_wipe(key, sizeof key);
    return err;
}

static int unwrap(struct str kek, struct str aad, struct str wrapped, uint8_t key[KEY_BYTES])
{
    OWNED(buf_fini) struct buf inner = {0};
    uint8_t outer[KEY_BYTES];

    buf_init(&inner, 256);
    wrapping_key(kek, outer);
    int err = aead_open(outer, aad, wrapped, &inner);
    secret_wipe(outer, sizeof outer);
    if (err == 0 && inner.len != KEY_BYTES) {
        err = -EBADMSG;
    }
    for (size_t i = 0; err == 0 && i < KEY_BYTES; i++) {
        key[i] = (uint8_t)inner.p[i];
    }
    if (inner.p) {
        secret_wipe(inner.p, inner.len);
    }
    return err;
}

int seal_open(struct str kek, const struct seal_place *place, struct str sealed, struct buf *plain)
{
    char text[AAD_SIZE];
    struct str aad;
    uint8_t key[KEY_BYTES];

    if (sealed.len < 1 + WRAPPED_BYTES || sealed.p[0] != SEAL_VERSION) {
        return -EINVAL;
    }
    int err = make_aad(place, text, &aad);
    if (err == 0) {
        err = unwrap(kek, aad, str_head(str_skip(sealed, 1), WRAPPED_BYTES), key);
    }
    if (err == 0) {
        err = aead_open(key, aad, str_skip(sealed, 1 + WRAPPED_BYTES), plain);
    }
    secret_wipe(key, sizeof key);
    return err;
}
