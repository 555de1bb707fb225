#include "marker.h"

#include "hearing.h"

#include <criterion/criterion.h>
#include <string.h>

#define BLOCKS 50
#define BYTES  (BLOCKS * MARKER_BLOCK)

static void noise(uint8_t *p, size_t len, uint32_t seed)
{
    for (size_t i = 0; i < len; i++) {
        seed = seed * 1664525U + 1013904223U;
        p[i] = (uint8_t)(seed >> 24);
    }
}

Test(marker, every_block_is_heard_at_any_offset)
{
    for (size_t offset = 0; offset < 200; offset += 7) {
        uint8_t stream[BYTES + 400];
        struct hearing h = {.count = 0};
        noise(stream, sizeof stream, (uint32_t)offset + 1);
        marker_stamp(stream + offset, BYTES, 0xdeadbeef);
        /* Chunks of odd sizes: the wire promises nothing about frames. */
        for (size_t i = 0; i < sizeof stream; i += 33) {
            size_t n = sizeof stream - i < 33 ? sizeof stream - i : 33;
            hearing_feed(&h, stream + i, n);
        }
        cr_assert_eq(h.count, 1, "offset %zu: %zu utterances", offset, h.count);
        cr_assert_eq(h.said[0].id, 0xdeadbeef);
        cr_assert_eq(h.said[0].blocks_heard, BLOCKS);
        cr_assert(heard_whole(&h.said[0]));
    }
}

Test(marker, touches_only_the_lowest_bit)
{
    uint8_t before[BYTES];
    uint8_t after[BYTES];
    noise(before, sizeof before, 7);
    memcpy(after, before, sizeof after);
    marker_stamp(after, sizeof after, 1);
    for (size_t i = 0; i < sizeof after; i++) {
        cr_assert_eq(before[i] | 1, after[i] | 1);
    }
}

Test(marker, a_cut_line_is_heard_in_part)
{
    uint8_t stream[BYTES];
    struct hearing h = {.count = 0};
    noise(stream, sizeof stream, 3);
    marker_stamp(stream, sizeof stream, 42);
    hearing_feed(&h, stream, BYTES / 2);
    cr_assert_eq(h.said[0].blocks_heard, BLOCKS / 2);
    cr_assert_eq(h.said[0].blocks_total, BLOCKS);
    cr_assert_not(heard_whole(&h.said[0]));
    cr_assert_not(heard_most(&h.said[0]));
}

Test(marker, recoded_audio_carries_nothing)
{
    uint8_t stream[BYTES];
    struct hearing h = {.count = 0};
    noise(stream, sizeof stream, 9);
    marker_stamp(stream, sizeof stream, 42);
    for (size_t i = 0; i < sizeof stream; i += 50) {
        stream[i] ^= 1;
    }
    hearing_feed(&h, stream, sizeof stream);
    cr_assert_eq(h.count, 0);
}

Test(marker, silence_and_noise_are_no_words)
{
    static uint8_t stream[8000 * 60];
    struct hearing h = {.count = 0};
    memset(stream, 0xff, sizeof stream);
    hearing_feed(&h, stream, sizeof stream);
    noise(stream, sizeof stream, 11);
    hearing_feed(&h, stream, sizeof stream);
    cr_assert_eq(h.count, 0);
}

Test(marker, the_same_line_twice_is_two_lines)
{
    uint8_t stream[BYTES];
    struct hearing h = {.count = 0};
    noise(stream, sizeof stream, 5);
    marker_stamp(stream, sizeof stream, 42);
    hearing_feed(&h, stream, sizeof stream);
    hearing_feed(&h, stream, sizeof stream);
    cr_assert_eq(h.count, 2);
    cr_assert(heard_whole(&h.said[1]));
}
