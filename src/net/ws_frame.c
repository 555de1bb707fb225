#include "net/ws_frame.h"

#include <errno.h>
#include <string.h>

#define SIZE_16 126
#define SIZE_64 127

static uint64_t read_number(const uint8_t *p, size_t digits)
{
    uint64_t n = 0;

    for (size_t i = 0; i < digits; i++) {
        n = n << 8 | p[i];
    }
    return n;
}

ssize_t ws_header_read(struct str bytes, struct ws_header *out)
{
    const uint8_t *p = (const uint8_t *)bytes.p;

    if (bytes.len < 2) {
        return 0;
    }
    uint8_t code = p[1] & 0x7f;
    size_t digits = code < SIZE_16 ? 0 : (code == SIZE_16 ? 2 : 8);
    bool masked = (p[1] & 0x80) != 0;
    size_t len = 2 + digits + (masked ? 4 : 0);
    if (bytes.len < len) {
        return 0;
    }
    uint64_t size = digits == 0 ? code : read_number(p + 2, digits);
    /* The shortest way to say a size is the only one. */
    if ((digits == 2 && size < SIZE_16) || (digits == 8 && size <= UINT16_MAX) ||
        size > INT64_MAX) {
        return -EPROTO;
    }
    *out = (struct ws_header){.size = size,
                              .opcode = p[0] & 0x0f,
                              .rsv = p[0] >> 4 & 0x07,
                              .fin = (p[0] & 0x80) != 0,
                              .masked = masked};
    if (masked) {
        memcpy(out->mask, p + 2 + digits, 4);
    }
    return (ssize_t)len;
}

size_t ws_header_write(uint8_t *at, enum ws_opcode opcode, size_t size, const uint8_t *mask)
{
    size_t digits = size < SIZE_16 ? 0 : (size <= UINT16_MAX ? 2 : 8);
    unsigned code = digits == 0 ? (unsigned)size : (digits == 2 ? SIZE_16 : SIZE_64);
    size_t n = 2;

    at[0] = (uint8_t)(0x80u | (unsigned)opcode);
    at[1] = (uint8_t)((mask != NULL ? 0x80u : 0u) | code);
    for (size_t i = 0; i < digits; i++) {
        at[n++] = (uint8_t)((uint64_t)size >> (8 * (digits - 1 - i)));
    }
    if (mask != NULL) {
        memcpy(at + n, mask, 4);
        n += 4;
    }
    return n;
}

void ws_mask(void *p, size_t size, const uint8_t mask[4], uint64_t at)
{
    uint8_t *byte = p;
    uint8_t turned[8];
    uint64_t wide;
    size_t i = 0;

    for (size_t k = 0; k < sizeof turned; k++) {
        turned[k] = mask[(at + k) % 4];
    }
    memcpy(&wide, turned, sizeof wide);
    for (; i + sizeof wide <= size; i += sizeof wide) {
        uint64_t word;
        memcpy(&word, byte + i, sizeof word);
        word ^= wide;
        memcpy(byte + i, &word, sizeof word);
    }
    for (; i < size; i++) {
        byte[i] ^= turned[i % 8];
    }
}
