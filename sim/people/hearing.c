#include "hearing.h"

#include <string.h>

static struct heard *entry_for(struct hearing *h, const struct marker_hit *hit)
{
    struct heard *last = hearing_last(h);

    if (last != NULL && last->id == hit->id && hit->index > last->last_index) {
        return last;
    }
    if (h->count == HEARING_MAX) {
        memmove(h->said, h->said + 1, (HEARING_MAX - 1) * sizeof h->said[0]);
        h->count--;
    }
    struct heard *fresh = &h->said[h->count++];
    *fresh = (struct heard){.id = hit->id, .blocks_total = hit->total};
    return fresh;
}

void hearing_feed(struct hearing *h, const uint8_t *ulaw, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        struct marker_hit hit;
        if (marker_listen(&h->ear, ulaw[i], &hit)) {
            struct heard *s = entry_for(h, &hit);
            s->blocks_heard++;
            s->last_index = hit.index;
        }
    }
}

void hearing_forget(struct hearing *h)
{
    h->count = 0;
}

struct heard *hearing_last(struct hearing *h)
{
    return h->count == 0 ? NULL : &h->said[h->count - 1];
}

struct heard *hearing_find(struct hearing *h, uint32_t id)
{
    for (size_t i = h->count; i > 0; i--) {
        if (h->said[i - 1].id == id) {
            return &h->said[i - 1];
        }
    }
    return NULL;
}

bool heard_whole(const struct heard *s)
{
    return s->blocks_heard + 2 >= s->blocks_total && s->last_index + 2 >= s->blocks_total;
}

bool heard_most(const struct heard *s)
{
    return s->blocks_heard * 10 >= s->blocks_total * 6;
}
