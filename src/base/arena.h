/* arena.h -- memory that ends together: a call's, or a turn's.
 *
 * Owner   whoever called arena_init(). No resource but memory lives in an arena.
 * Thread  one loop. Passed as an argument, never ambient.
 * Limits  arena_alloc() aborts past bytes_max: sizes from outside are checked before. */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include "base/str.h"

struct arena {
    struct arena_block *blocks;
    size_t used_bytes;
    size_t bytes_max;
};

void arena_init(struct arena *a, size_t bytes_max);
void arena_fini(struct arena *a);
void arena_reset(struct arena *a);                              /* keeps one block */
void *arena_alloc(struct arena *a, size_t size_bytes) MUST_USE; /* zeroed, aligned to 16 */
char *arena_strdup(struct arena *a, struct str s) MUST_USE;
struct str arena_str(struct arena *a, struct str s) MUST_USE;

#endif
