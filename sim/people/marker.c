#include "marker.h"

#define SYNC 0xd1a19717U /* far from runs of equal bits, which silence is made of */

static uint32_t crc32_of(uint64_t high, uint32_t middle)
{
    uint32_t crc = 0xffffffffU;

    for (int i = 0; i < 96; i++) {
        uint32_t bit =
            i < 64 ? (uint32_t)(high >> (63 - i)) & 1U : (middle >> (31 - (i - 64))) & 1U;
        uint32_t top = (crc >> 31) ^ bit;
        crc = (crc << 1) ^ (top != 0 ? 0x04c11db7U : 0U);
    }
    return ~crc;
}

static void stamp_block(uint8_t *block, uint64_t high, uint64_t low)
{
    for (int i = 0; i < MARKER_BITS; i++) {
        uint64_t word = i < 64 ? high : low;
        uint8_t bit = (uint8_t)((word >> (63 - i % 64)) & 1U);
        block[i] = (uint8_t)((block[i] & 0xfeU) | bit);
    }
}

void marker_stamp(uint8_t *ulaw, size_t len, uint32_t id)
{
    assert(len % MARKER_BLOCK == 0 && len / MARKER_BLOCK <= MARKER_BLOCKS_MAX);
    size_t total = len / MARKER_BLOCK;

    for (size_t i = 0; i < total; i++) {
        uint64_t high = ((uint64_t)SYNC << 32) | id;
        uint32_t middle = (uint32_t)(i << 16) | (uint32_t)total;
        uint64_t low = ((uint64_t)middle << 32) | crc32_of(high, middle);
        stamp_block(ulaw + i * MARKER_BLOCK, high, low);
    }
}

bool marker_listen(struct marker_ear *ear, uint8_t ulaw, struct marker_hit *hit)
{
    ear->high = (ear->high << 1) | (ear->low >> 63);
    ear->low = (ear->low << 1) | (ulaw & 1U);
    if ((ear->high >> 32) != SYNC) {
        return false;
    }
    uint32_t middle = (uint32_t)(ear->low >> 32);
    uint16_t index = (uint16_t)(middle >> 16);
    uint16_t total = (uint16_t)middle;
    if ((uint32_t)ear->low != crc32_of(ear->high, middle) || index >= total ||
        total > MARKER_BLOCKS_MAX) {
        return false;
    }
    hit->id = (uint32_t)ear->high;
    hit->index = index;
    hit->total = total;
    return true;
}
