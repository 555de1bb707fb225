/* uuid.h -- 128-bit ids: version 7 (time-ordered) made here, any version read.
 *
 * Thread  any.
 * Errors  uuid_parse: -EINVAL.
 * Source  RFC 9562 section 5.7. */
#ifndef BASE_UUID_H
#define BASE_UUID_H

#include "base/str.h"

#define UUID_TEXT_SIZE 37 /* 8-4-4-4-12 and a NUL */
#define UUID_HEX_SIZE  33 /* 32 digits and a NUL */

struct uuid {
    uint8_t b[16];
};

struct uuid uuid_make(int64_t wall_us);                  /* version 7 */
int uuid_parse(struct str s, struct uuid *out) MUST_USE; /* with or without dashes */
void uuid_text(const struct uuid *u, char out[UUID_TEXT_SIZE]);
void uuid_hex(const struct uuid *u, char out[UUID_HEX_SIZE]);
bool uuid_eq(const struct uuid *a, const struct uuid *b);
bool uuid_is_nil(const struct uuid *u);

#endif
