#include "base/map.h"

#include "base/alloc.h"
#include "base/crypto.h"

#include <sodium/crypto_shorthash.h>
#include <string.h>

#define KEY_BYTES_MAX 64
#define FIRST_SLOTS   16

struct map_entry {
    struct map_entry *next;
    uint64_t hash;
    void *value;
    uint8_t key_len;
    char key[KEY_BYTES_MAX];
};

void map_init(struct map *m)
{
    *m = (struct map){0};
    random_bytes(&m->seed, sizeof m->seed);
}

void map_fini(struct map *m)
{
    for (size_t i = 0; i < m->slot_count; i++) {
        while (m->slots[i] != NULL) {
            struct map_entry *entry = m->slots[i];
            m->slots[i] = entry->next;
            xfree(entry);
        }
    }
    xfree(m->slots);
    *m = (struct map){.seed = m->seed};
}

/* Keyed: keys can come from outside, and must not be choosable into one slot. */
static uint64_t hash_of(const struct map *m, struct str key)
{
    unsigned char seed[crypto_shorthash_KEYBYTES] = {0};
    static_assert(sizeof seed >= sizeof m->seed, "the seed fits the key");
    memcpy(seed, &m->seed, sizeof m->seed);
    unsigned char out[crypto_shorthash_BYTES];
    crypto_shorthash(out, (const unsigned char *)(key.p == NULL ? "" : key.p), key.len, seed);
    uint64_t hash;
    static_assert(sizeof out == sizeof hash, "SipHash gives 64 bits");
    memcpy(&hash, out, sizeof hash);
    return hash;
}

static struct map_entry **find(const struct map *m, struct str key, uint64_t hash)
{
    struct map_entry **at = &m->slots[hash & (m->slot_count - 1)];
    while (*at != NULL &&
           ((*at)->hash != hash || !str_eq(str_make((*at)->key, (*at)->key_len), key))) {
        at = &(*at)->next;
    }
    return at;
}

static void grow(struct map *m)
{
    size_t count = m->slot_count == 0 ? FIRST_SLOTS : m->slot_count * 2;
    struct map_entry **slots = xcalloc(count, sizeof *slots);
    for (size_t i = 0; i < m->slot_count; i++) {
        while (m->slots[i] != NULL) {
            struct map_entry *entry = m->slots[i];
            m->slots[i] = entry->next;
            entry->next = slots[entry->hash & (count - 1)];
            slots[entry->hash & (count - 1)] = entry;
        }
    }
    xfree(m->slots);
    m->slots = slots;
    m->slot_count = count;
}

void *map_get(const struct map *m, struct str key)
{
    if (m->count == 0 || key.len > KEY_BYTES_MAX) {
        return NULL;
    }
    struct map_entry *entry = *find(m, key, hash_of(m, key));
    return entry == NULL ? NULL : entry->value;
}

void *map_put(struct map *m, struct str key, void *value)
{
    assert(key.len <= KEY_BYTES_MAX);
    if (m->count >= m->slot_count) {
        grow(m);
    }
    uint64_t hash = hash_of(m, key);
    struct map_entry **at = find(m, key, hash);
    if (*at != NULL) {
        void *old = (*at)->value;
        (*at)->value = value;
        return old;
    }
    struct map_entry *entry = xzalloc(sizeof *entry);
    entry->hash = hash;
    entry->value = value;
    entry->key_len = (uint8_t)key.len;
    if (key.len > 0) {
        memcpy(entry->key, key.p, key.len);
    }
    *at = entry;
    m->count++;
    return NULL;
}

void *map_take(struct map *m, struct str key)
{
    if (m->count == 0 || key.len > KEY_BYTES_MAX) {
        return NULL;
    }
    struct map_entry **at = find(m, key, hash_of(m, key));
    struct map_entry *entry = *at;
    if (entry == NULL) {
        return NULL;
    }
    void *value = entry->value;
    *at = entry->next;
    m->count--;
    xfree(entry);
    return value;
}

size_t map_count(const struct map *m)
{
    return m->count;
}

void map_each(const struct map *m, map_each_fn *each, void *arg)
{
    for (size_t i = 0; i < m->slot_count; i++) {
        for (struct map_entry *entry = m->slots[i]; entry != NULL; entry = entry->next) {
            each(str_make(entry->key, entry->key_len), entry->value, arg);
        }
    }
}
