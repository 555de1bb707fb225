/* g711.h -- mu-law, the telephone's 8 bits: companding and loudness.
 *
 * Thread  any.
 * Units   linear: 16-bit samples at 8 kHz.
 * Source  ITU-T G.711 (2-segment search as in the recommendation's reference description). */
#ifndef SIM_PEOPLE_G711_H
#define SIM_PEOPLE_G711_H

#include "base/macros.h"

#define G711_SILENCE      0xffU
#define G711_FRAME_BYTES  160 /* 20 ms */
#define G711_BYTES_PER_MS 8

uint8_t g711_encode(int16_t linear);
int16_t g711_decode(uint8_t ulaw);
/* Mean square of the decoded samples; 0 for silence. */
uint32_t g711_power(const uint8_t *ulaw, size_t len);
bool g711_is_silence(const uint8_t *ulaw, size_t len); /* every byte is 0xff or 0x7f */

#endif
