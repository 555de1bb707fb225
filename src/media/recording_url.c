#include "media/recording_url.h"

#include "base/crypto.h"

#include <errno.h>
#include <stdio.h>

#define SIG_BYTES 16

void recording_url_key(struct str secret, uint8_t key[32])
{
    hmac_sha256(secret, STR("dialwright recording v1"), key);
}

static void sign(const uint8_t key[32], const struct uuid *organization_id,
                 const struct uuid *recording_id, int64_t expires_s, uint8_t out[SHA256_BYTES])
{
    char text[UUID_TEXT_SIZE * 2 + 24];
    char org[UUID_TEXT_SIZE];
    char id[UUID_TEXT_SIZE];
    uuid_text(organization_id, org);
    uuid_text(recording_id, id);
    int len = snprintf(text, sizeof text, "%s|%s|%lld", org, id, (long long)expires_s);
    hmac_sha256(str_make((const char *)key, 32), str_make(text, (size_t)len), out);
}

int recording_url_write(const uint8_t key[32], const char *public_url,
                        const struct uuid *organization_id, const struct uuid *recording_id,
                        int64_t expires_s, struct buf *out)
{
    char org[UUID_TEXT_SIZE];
    char id[UUID_TEXT_SIZE];
    uint8_t mac[SHA256_BYTES];
    char sig[2 * SIG_BYTES + 1];
    uuid_text(organization_id, org);
    uuid_text(recording_id, id);
    sign(key, organization_id, recording_id, expires_s, mac);
    hex_encode(mac, SIG_BYTES, sig);
    return buf_addf(out, "%s/recordings/%s?org=%s&exp=%lld&sig=%s", public_url, id, org,
                    (long long)expires_s, sig);
}

int recording_url_check(const uint8_t key[32], struct str id, struct str query, int64_t now_s,
                        struct uuid *organization_id, struct uuid *recording_id)
{
    struct uuid org = {0};
    struct uuid rec;
    int64_t expires_s = 0;
    uint8_t given[SIG_BYTES] = {0};
    unsigned seen = 0;
    struct str pair;
    while (str_split(&query, '&', &pair)) {
        struct str name;
        int err = 0;
        if (!str_split(&pair, '=', &name)) {
            return -EINVAL;
        }
        if (str_eq(name, STR("org"))) {
            err = uuid_parse(pair, &org);
            seen |= 1U;
        } else if (str_eq(name, STR("exp"))) {
            err = str_to_i64(pair, &expires_s);
            seen |= 2U;
        } else if (str_eq(name, STR("sig"))) {
            err = hex_decode(pair, given, sizeof given);
            seen |= 4U;
        }
        if (err < 0) {
            return -EINVAL;
        }
    }
    if (seen != 7U || uuid_parse(id, &rec) < 0) {
        return -EINVAL;
    }
    uint8_t mac[SHA256_BYTES];
    sign(key, &org, &rec, expires_s, mac);
    if (!secret_eq(mac, given, SIG_BYTES)) {
        return -EACCES;
    }
    if (expires_s <= now_s) {
        return -ETIME;
    }
    *organization_id = org;
    *recording_id = rec;
    return 0;
}
