#include "g711.h"

#define BIAS 0x84
#define CLIP 32635

uint8_t g711_encode(int16_t linear)
{
    int sample = linear;
    int sign = 0;

    if (sample < 0) {
        sample = -sample;
        sign = 0x80;
    }
    if (sample > CLIP) {
        sample = CLIP;
    }
    sample += BIAS;
    int exponent = 7;
    for (int mask = 0x4000; (sample & mask) == 0 && exponent > 0; mask >>= 1) {
        exponent--;
    }
    int mantissa = (sample >> (exponent + 3)) & 0x0f;
    return (uint8_t) ~(sign | (exponent << 4) | mantissa);
}

int16_t g711_decode(uint8_t ulaw)
{
    int u = ~ulaw & 0xff;
    int exponent = (u >> 4) & 0x07;
    int mantissa = u & 0x0f;
    int sample = (((mantissa << 3) + BIAS) << exponent) - BIAS;

    return (int16_t)((u & 0x80) != 0 ? -sample : sample);
}

uint32_t g711_power(const uint8_t *ulaw, size_t len)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < len; i++) {
        int32_t s = g711_decode(ulaw[i]);
        sum += (uint64_t)((int64_t)s * s);
    }
    return len == 0 ? 0 : (uint32_t)(sum / len);
}

bool g711_is_silence(const uint8_t *ulaw, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if ((ulaw[i] | 0x80U) != G711_SILENCE) {
            return false;
        }
    }
    return true;
}
