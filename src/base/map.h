/* map.h -- a hash map from a short byte key (a uuid, a token hash, a name) to a pointer.
 *
 * Owner   keys are copied; values belong to the caller (map_fini() does not free them).
 * Thread  the loop that owns it.
 * Limits  keys up to 64 bytes. */
#ifndef BASE_MAP_H
#define BASE_MAP_H

#include "base/str.h"

struct map {
    struct map_entry **slots;
    size_t slot_count;
    size_t count;
    uint64_t seed;
};

typedef void map_each_fn(struct str key, void *value, void *arg);

void map_init(struct map *m);
void map_fini(struct map *m);
void *map_get(const struct map *m, struct str key);        /* NULL when absent */
void *map_put(struct map *m, struct str key, void *value); /* the old value, or NULL */
void *map_take(struct map *m, struct str key);             /* removes; the value, or NULL */
size_t map_count(const struct map *m);
void map_each(const struct map *m, map_each_fn *each,
              void *arg); /* each() must not change the map */

#endif
