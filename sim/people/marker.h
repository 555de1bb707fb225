/* marker.h -- which utterance these samples belong to, written into the samples themselves.
 *
 * Every 20 ms block of an utterance carries, in the lowest bits of its first 128 mu-law bytes: a
 * sync word, the utterance's id, the block's index, the number of blocks, a checksum. The ear finds
 * them again at any byte offset in a stream, as long as the bytes were carried unchanged; a block
 * that was cut, lost or recoded is simply not heard. So both lookalikes know what reached the other
 * side's ear, and how much of it, and nothing but the audio path can tell them.
 *
 * The lowest mu-law bit is 30 dB or more under the speech it rides on: inaudible on a telephone.
 *
 * Owner   plain structs, embedded.
 * Thread  the loop's.
 * Units   blocks of MARKER_BLOCK bytes (20 ms).
 * Errors  none: garbage is not a hit (32-bit sync and CRC-32). */
#ifndef SIM_PEOPLE_MARKER_H
#define SIM_PEOPLE_MARKER_H

#include "base/macros.h"

#define MARKER_BLOCK      160
#define MARKER_BITS       128
#define MARKER_BLOCKS_MAX 4096 /* 82 s: longer than any utterance */

struct marker_hit {
    uint32_t id;
    uint16_t index;
    uint16_t total;
};

struct marker_ear {
    uint64_t high;
    uint64_t low;
};

/* Stamps whole blocks; len must be a multiple of MARKER_BLOCK and at most MARKER_BLOCKS_MAX blocks. */
void marker_stamp(uint8_t *ulaw, size_t len, uint32_t id);
/* Feeds one byte; true when a block's mark has just been completed. */
bool marker_listen(struct marker_ear *ear, uint8_t ulaw, struct marker_hit *hit);

#endif
