/* opt_out_words.h -- does what somebody said ask never to be called again? The second of three ways.
 *
 * Patterns of words, reviewed per language: English, Hindi in both scripts, German, French, Spanish.
 * In doubt it is an opt-out, for calling somebody who asked not to be called is the worse mistake;
 * but what turns the words around ("don't stop calling", "I never said stop calling") or is a wish
 * about the hour ("don't call again before noon") is none.
 *
 * Owner   constants.
 * Thread  any.
 * Source  FCC 64.1200(a)(10), revocation "by any reasonable means"; the rows of the test. */
#ifndef CALL_OPT_OUT_WORDS_H
#define CALL_OPT_OUT_WORDS_H

#include "base/str.h"

bool words_opt_out(struct str text);

#endif
