/* word_list.h -- what was said, as words: lower case, without punctuation, one space between.
 *
 * Quotes, dashes and the danda part words; a nukta is left out, because transcription writes the
 * same word with and without it. Apostrophes part words too: "don't" is "don", "t".
 *
 * Owner   a plain value, large: keep it on the heap.
 * Thread  any.
 * Limits  WORD_LIST_MAX words, WORD_TEXT_MAX bytes; what does not fit is left out, and
 *         word_list_read() says how much of the text was read. */
#ifndef CALL_WORD_LIST_H
#define CALL_WORD_LIST_H

#include "base/str.h"

#define WORD_LIST_MAX 400
#define WORD_TEXT_MAX 4096

struct word_list {
    char text[WORD_TEXT_MAX];
    size_t len;
    size_t start[WORD_LIST_MAX + 1]; /* the last one is where the text ends */
    bool broken[WORD_LIST_MAX];      /* a comma, a full stop or the like stands before the word */
    size_t count;
};

size_t word_list_read(struct str s, struct word_list *out);
struct str word_at(const struct word_list *w, size_t i);

#endif
