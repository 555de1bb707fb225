/* words.h -- the small values of Plivo's texts: numbers, ids, money, times.
 *
 * Thread  any; pure.
 * Errors  -EINVAL; nothing is written then. */
#ifndef CARRIER_PLIVO_WORDS_H
#define CARRIER_PLIVO_WORDS_H

#include "base/str.h"

/* "14155550100", "+14155550100", "sip:…": e164 with +, or "" for what is no number. */
void plivo_number(struct str text, char out[20]);
/* Letters, digits, '-' and '_': safe in a path, a log and a JSON text. */
int plivo_id(struct str text, char *out, size_t out_size) MUST_USE;
bool plivo_id_ok(struct str text);
/* "0.13600" -> 136000. Digits beyond millionths fall away. */
int plivo_money(struct str text, int64_t *micros) MUST_USE;
/* A time that carries its own offset; one without is refused, because the console's zone is
 * unknown. */
int plivo_time_zoned(struct str text, int64_t *wall_us) MUST_USE;
bool plivo_time_has_zone(struct str text);
/* For logs and fault texts: runs of five or more digits become one '*'. */
void plivo_mask(struct str text, char *out, size_t out_size);

#endif
