#include "base/clock.h"
#include "base/crypto.h"
#include "base/limits.h"
#include "carrier/carrier.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define IDENTITY_MAC_BYTES 16 /* 128 bits of the HMAC, never-twice 2.3-5 */
#define IDENTITY_TEXT_MAX  256

static bool kind_ok(struct str kind)
{
    if (kind.len == 0 || kind.len >= CARRIER_KIND_SIZE) {
        return false;
    }
    for (size_t i = 0; i < kind.len; i++) {
        if (!((kind.p[i] >= 'a' && kind.p[i] <= 'z') || kind.p[i] == '-')) {
            return false;
        }
    }
    return true;
}

/* "kind|attempt|org|job|no|exp": every part has one form only, so no two identities read alike. */
static void identity_mac(const uint8_t key[32], struct str kind, const struct carrier_identity *id,
                         char out[2 * IDENTITY_MAC_BYTES + 1])
{
    char attempt[UUID_HEX_SIZE];
    char organization[UUID_HEX_SIZE];
    char queue[UUID_HEX_SIZE];
    char text[IDENTITY_TEXT_MAX];
    uint8_t mac[SHA256_BYTES];
    uuid_hex(&id->attempt_id, attempt);
    uuid_hex(&id->organization_id, organization);
    uuid_hex(&id->queue_id, queue);
    int len = snprintf(text, sizeof text, STR_FMT "|%s|%s|%s|%" PRId32 "|%" PRId64, STR_ARG(kind),
                       attempt, organization, queue, id->attempt_number, id->expires_s);
    assert(len > 0 && (size_t)len < sizeof text);
    hmac_sha256(str_make((const char *)key, 32), str_make(text, (size_t)len), mac);
    hex_encode(mac, IDENTITY_MAC_BYTES, out);
}

int identity_write(const struct carrier_urls *urls, const char *kind,
                   const struct carrier_identity *id, struct buf *out)
{
    char attempt[UUID_HEX_SIZE];
    char organization[UUID_HEX_SIZE];
    char queue[UUID_HEX_SIZE];
    char mac[2 * IDENTITY_MAC_BYTES + 1];
    if (!kind_ok(str_of(kind)) || id->attempt_number < 0 || id->expires_s < 0) {
        return -EINVAL;
    }
    uuid_hex(&id->attempt_id, attempt);
    uuid_hex(&id->organization_id, organization);
    uuid_hex(&id->queue_id, queue);
    identity_mac(urls->callback_key, str_of(kind), id, mac);
    return buf_addf(out, "%s.%s.%s.%" PRId32 ".%" PRId64 ".%s", attempt, organization, queue,
                    id->attempt_number, id->expires_s, mac);
}

/* A uuid as 32 lower-case digits and nothing else: one spelling, or the same identity had many
 * URLs. */
static int take_uuid(struct str *text, struct uuid *out)
{
    struct str part;
    if (!str_split(text, '.', &part) || part.len != UUID_HEX_SIZE - 1) {
        return -EINVAL;
    }
    for (size_t i = 0; i < part.len; i++) {
        if (!((part.p[i] >= '0' && part.p[i] <= '9') || (part.p[i] >= 'a' && part.p[i] <= 'f'))) {
            return -EINVAL;
        }
    }
    return uuid_parse(part, out);
}

static int take_number(struct str *text, int64_t max, int64_t *out)
{
    struct str part;
    int64_t number;
    if (!str_split(text, '.', &part) || part.len == 0 || part.p[0] < '0' || part.p[0] > '9' ||
        (part.len > 1 && part.p[0] == '0') || str_to_i64(part, &number) < 0 || number > max) {
        return -EINVAL;
    }
    *out = number;
    return 0;
}

int identity_read(const struct carrier_urls *urls, struct str kind, struct str text,
                  int64_t now_wall_us, struct carrier_identity *out)
{
    struct carrier_identity id = {0};
    int64_t number = 0;
    char mac[2 * IDENTITY_MAC_BYTES + 1];
    if (!kind_ok(kind) || text.len >= IDENTITY_TEXT_MAX) {
        return -EINVAL;
    }
    if (take_uuid(&text, &id.attempt_id) < 0 || take_uuid(&text, &id.organization_id) < 0 ||
        take_uuid(&text, &id.queue_id) < 0 || take_number(&text, INT32_MAX, &number) < 0 ||
        take_number(&text, INT64_MAX / US_PER_S, &id.expires_s) < 0) {
        return -EINVAL;
    }
    id.attempt_number = (int32_t)number;
    if (text.len != 2 * (size_t)IDENTITY_MAC_BYTES) {
        return -EINVAL;
    }
    identity_mac(urls->callback_key, kind, &id, mac);
    if (!secret_eq(text.p, mac, text.len)) {
        return -EACCES;
    }
    if (id.expires_s * US_PER_S <= now_wall_us) {
        return -ETIME;
    }
    *out = id;
    return 0;
}
