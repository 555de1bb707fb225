#include "base/arena.h"

#include "base/alloc.h"

#include <string.h>

#define BLOCK_BYTES 4096
#define ALIGN_BYTES 16

struct arena_block {
    struct arena_block *next;
    size_t size; /* of data */
    size_t used;
    _Alignas(ALIGN_BYTES) unsigned char data[];
};

void arena_init(struct arena *a, size_t bytes_max)
{
    a->blocks = NULL;
    a->used_bytes = 0;
    a->bytes_max = bytes_max;
}

void arena_fini(struct arena *a)
{
    while (a->blocks != NULL) {
        struct arena_block *block = a->blocks;
        a->blocks = block->next;
        xfree(block);
    }
    a->used_bytes = 0;
}

void arena_reset(struct arena *a)
{
    struct arena_block *keep = NULL;
    while (a->blocks != NULL) {
        struct arena_block *block = a->blocks;
        a->blocks = block->next;
        if (keep == NULL && block->size <= BLOCK_BYTES) {
            keep = block;
        } else {
            xfree(block);
        }
    }
    if (keep != NULL) {
        keep->next = NULL;
        keep->used = 0;
    }
    a->blocks = keep;
    a->used_bytes = 0;
}

void *arena_alloc(struct arena *a, size_t size_bytes)
{
    assert(size_bytes <= a->bytes_max);
    size_t rounded = (size_bytes + ALIGN_BYTES - 1) & ~(size_t)(ALIGN_BYTES - 1);
    assert(rounded <= a->bytes_max - a->used_bytes || rounded == 0);

    struct arena_block *block = a->blocks;
    if (block == NULL || block->size - block->used < rounded) {
        size_t size = rounded > BLOCK_BYTES ? rounded : BLOCK_BYTES;
        block = xmalloc(sizeof *block + size);
        block->size = size;
        block->used = 0;
        block->next = a->blocks;
        a->blocks = block;
    }
    void *p = block->data + block->used;
    block->used += rounded;
    a->used_bytes += rounded;
    memset(p, 0, size_bytes);
    return p;
}

char *arena_strdup(struct arena *a, struct str s)
{
    char *copy = arena_alloc(a, s.len + 1);
    if (s.len > 0) {
        memcpy(copy, s.p, s.len);
    }
    return copy;
}

struct str arena_str(struct arena *a, struct str s)
{
    return str_make(arena_strdup(a, s), s.len);
}
