#include "base/uuid.h"

#include "base/crypto.h"

#include <errno.h>
#include <string.h>

struct uuid uuid_make(int64_t wall_us)
{
    struct uuid u;
    random_bytes(u.b, sizeof u.b);
    uint64_t us = wall_us < 0 ? 0 : (uint64_t)wall_us;
    uint64_t ms = us / 1000;
    for (int i = 0; i < 6; i++) {
        u.b[i] = (uint8_t)(ms >> (40 - 8 * i));
    }
    /* RFC 9562 section 6.2, method 3: the fraction of the millisecond keeps ids of one process in
     * the order they were made, down to a quarter of a microsecond. */
    uint64_t fraction = (us % 1000) * 4096 / 1000;
    u.b[6] = (uint8_t)(0x70u | (fraction >> 8));
    u.b[7] = (uint8_t)fraction;
    u.b[8] = (uint8_t)(0x80u | (u.b[8] & 0x3fu));
    return u;
}

int uuid_parse(struct str s, struct uuid *out)
{
    char digits[UUID_HEX_SIZE];
    if (s.len == UUID_HEX_SIZE - 1) {
        memcpy(digits, s.p, s.len);
    } else if (s.len == UUID_TEXT_SIZE - 1 && s.p[8] == '-' && s.p[13] == '-' && s.p[18] == '-' &&
               s.p[23] == '-') {
        static const struct {
            size_t from;
            size_t to;
            size_t count;
        } groups[] = {{0, 0, 8}, {9, 8, 4}, {14, 12, 4}, {19, 16, 4}, {24, 20, 12}};
        for (size_t i = 0; i < COUNT_OF(groups); i++) {
            memcpy(digits + groups[i].to, s.p + groups[i].from, groups[i].count);
        }
    } else {
        return -EINVAL;
    }
    struct uuid u;
    int err = hex_decode(str_make(digits, UUID_HEX_SIZE - 1), u.b, sizeof u.b);
    if (err < 0) {
        return err;
    }
    *out = u;
    return 0;
}

void uuid_text(const struct uuid *u, char out[UUID_TEXT_SIZE])
{
    char digits[UUID_HEX_SIZE];
    uuid_hex(u, digits);
    size_t at = 0;
    for (size_t i = 0; i < UUID_HEX_SIZE - 1; i++) {
        if (i == 8 || i == 12 || i == 16 || i == 20) {
            out[at++] = '-';
        }
        out[at++] = digits[i];
    }
    out[at] = '\0';
}

void uuid_hex(const struct uuid *u, char out[UUID_HEX_SIZE])
{
    hex_encode(u->b, sizeof u->b, out);
}

bool uuid_eq(const struct uuid *a, const struct uuid *b)
{
    return memcmp(a->b, b->b, sizeof a->b) == 0;
}

bool uuid_is_nil(const struct uuid *u)
{
    static const struct uuid nil;
    return uuid_eq(u, &nil);
}
