/* speech.h -- audible lines: text to marked mu-law, each distinct line made once.
 *
 * flite speaks at 16 kHz; the wave is brought to 8 kHz, trimmed, its pauses cut to under 200 ms (a
 * voice activity detector with a short silence setting must not hear two turns in one), companded
 * and marked with the line's id.
 *
 * Owner   the cache owns the speech it returns, until speech_cache_free().
 * Thread  the loop's. A new line costs about 15 ms per second of speech: known lines are made before
 *         serving starts (book_prepare), only texts that the product composes are made on the way.
 * Limits  texts are cut at SPEECH_TEXT_MAX bytes. */
#ifndef SIM_PEOPLE_SPEECH_H
#define SIM_PEOPLE_SPEECH_H

#include "base/str.h"

#define SPEECH_TEXT_MAX 2000

enum speech_voice { VOICE_PERSON, VOICE_AI, VOICE_AGENT, VOICE_COUNT };

struct speech {
    uint32_t id;
    char *text;
    uint8_t *ulaw;
    size_t len; /* whole blocks of 160 bytes */
};

struct speech_cache;

struct speech_cache *speech_cache_new(void) MUST_USE;
void speech_cache_free(struct speech_cache **cache);
/* The id under which a text is marked when this voice says it. */
uint32_t speech_id(enum speech_voice voice, struct str text);
/* The line itself, made now if it is new. Text without a word gives a quarter second of quiet. */
const struct speech *speech_say(struct speech_cache *cache, enum speech_voice voice,
                                struct str text);
/* The same under an id of the caller's choice. */
const struct speech *speech_mark(struct speech_cache *cache, enum speech_voice voice,
                                 struct str text, uint32_t id);
const struct speech *speech_find(const struct speech_cache *cache, uint32_t id); /* NULL */
/* The first `heard_blocks` of `total` worth of words of a text: what a cut line amounts to. */
void speech_words(struct str text, size_t heard_blocks, size_t total, char *out, size_t out_size);

#endif
