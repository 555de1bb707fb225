/* recording_url.h -- addresses of recordings: signed, expiring, and what recording_url holds.
 *
 *     https://host/recordings/{id}?org={org}&exp={unix seconds}&sig={32 hex digits}
 *
 * Thread  any.
 * Errors  recording_url_check: -EINVAL (form), -EACCES (signature), -ETIME (expired). */
#ifndef MEDIA_RECORDING_URL_H
#define MEDIA_RECORDING_URL_H

#include "base/buf.h"
#include "base/uuid.h"

#define RECORDING_URL_DAYS 90 /* the default retention: a link lives as long as what it names */

/* HMAC(secret, "dialwright recording v1") */
void recording_url_key(struct str secret, uint8_t key[32]);
int recording_url_write(const uint8_t key[32], const char *public_url,
                        const struct uuid *organization_id, const struct uuid *recording_id,
                        int64_t expires_s, struct buf *out) MUST_USE;
/* id: the path's segment; query: as sent. */
int recording_url_check(const uint8_t key[32], struct str id, struct str query, int64_t now_s,
                        struct uuid *organization_id, struct uuid *recording_id) MUST_USE;

#endif
