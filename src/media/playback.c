#include "media/playback.h"

#include "base/alloc.h"
#include "base/clock.h"

#include <stdio.h>
#include <string.h>

#define US_PER_BYTE 125 /* 8000 bytes a second */

void playback_init(struct playback *p, playback_end_fn *on_end, void *arg)
{
    memset(p, 0, sizeof *p);
    list_init(&p->items);
    p->on_end = on_end;
    p->arg = arg;
    p->acked_pos = -1;
}

static void item_drop(struct play_item *item)
{
    list_remove(&item->link);
    xfree(item);
}

void playback_fini(struct playback *p)
{
    while (!list_empty(&p->items)) {
        item_drop(LIST_ITEM(p->items.next, struct play_item, link));
    }
}

struct play_item *playback_item(struct playback *p, const char *id)
{
    LIST_EACH(it, &p->items)
    {
        struct play_item *item = LIST_ITEM(it, struct play_item, link);
        if (strcmp(item->id, id) == 0) {
            return item;
        }
    }
    struct play_item *item = xzalloc(sizeof *item);
    str_copy_cut(str_of(id), item->id, sizeof item->id);
    item->number = ++p->item_last;
    list_push_back(&p->items, &item->link);
    return item;
}

void playback_queued(struct play_item *item, int64_t bytes)
{
    item->queued_bytes += bytes;
}

int64_t playback_sent(struct playback *p, struct play_item *item, int64_t bytes, int64_t now_us)
{
    assert(item->sent_bytes + bytes <= item->queued_bytes);
    int64_t starts_us = i64_max(p->busy_until_us, now_us);
    if (item->sent_bytes == 0) {
        item->start_pos = p->sent_pos;
        item->started_us = starts_us;
    }
    item->sent_bytes += bytes;
    p->sent_pos += bytes;
    p->busy_until_us = starts_us + bytes * US_PER_BYTE;
    return starts_us;
}

int64_t playback_lead_us(const struct playback *p, int64_t now_us)
{
    return i64_max(0, p->busy_until_us - now_us);
}

/* Where in the stream the lead's ear is. */
static int64_t position(const struct playback *p, int64_t now_us)
{
    int64_t unplayed = (playback_lead_us(p, now_us) + US_PER_BYTE - 1) / US_PER_BYTE;
    int64_t pos = i64_max(0, p->sent_pos - unplayed);
    if (p->acked_pos >= 0) {
        int64_t by_ack = p->acked_pos + i64_max(0, now_us - p->acked_us) / US_PER_BYTE;
        pos = i64_max(p->acked_pos, i64_min(pos, by_ack));
    }
    return pos;
}

static int64_t heard_bytes(const struct playback *p, const struct play_item *item, int64_t now_us)
{
    if (item->sent_bytes == 0) {
        return 0;
    }
    return i64_min(item->sent_bytes, i64_max(0, position(p, now_us) - item->start_pos));
}

int64_t playback_heard_ms(const struct playback *p, const struct play_item *item, int64_t now_us)
{
    return heard_bytes(p, item, now_us) / PLAYBACK_BYTES_MS;
}

bool playback_wants_checkpoint(const struct playback *p, const struct play_item *item)
{
    if (item->sent_bytes == 0 || p->asked_pos == p->sent_pos) {
        return false;
    }
    if (item->complete && item->sent_bytes == item->queued_bytes) {
        return true;
    }
    return p->asked_pos <= item->start_pos ||
           p->sent_pos - p->asked_pos >= (int64_t)PLAYBACK_CHECKPOINT_MS * PLAYBACK_BYTES_MS;
}

void playback_checkpoint(struct playback *p, const struct play_item *item,
                         char name[PLAYBACK_NAME_SIZE])
{
    p->asked_pos = p->sent_pos;
    (void)snprintf(name, PLAYBACK_NAME_SIZE, "g%u.%u.%lld", p->generation, item->number,
                   (long long)p->sent_pos);
}

static void tell_end(struct playback *p, struct play_item *item, enum play_heard heard,
                     int64_t heard_ms)
{
    list_remove(&item->link);
    struct play_end end = {.item = item,
                           .heard = heard,
                           .heard_ms = heard_ms,
                           .sent_ms = item->sent_bytes / PLAYBACK_BYTES_MS,
                           .queued_ms = item->queued_bytes / PLAYBACK_BYTES_MS,
                           .started_us = item->started_us};
    p->on_end(&end, p->arg);
    xfree(item);
}

static bool all_sent(const struct play_item *item)
{
    return item->complete && item->sent_bytes == item->queued_bytes;
}

/* Items that were heard to their end leave, oldest first. */
static void settle(struct playback *p, int64_t heard_pos)
{
    while (!list_empty(&p->items)) {
        struct play_item *item = LIST_ITEM(p->items.next, struct play_item, link);
        if (!all_sent(item) ||
            (item->sent_bytes > 0 && item->start_pos + item->sent_bytes > heard_pos)) {
            return;
        }
        tell_end(p, item, item->sent_bytes > 0 ? PLAY_FULL : PLAY_NONE,
                 item->sent_bytes / PLAYBACK_BYTES_MS);
    }
}

void playback_complete(struct playback *p, struct play_item *item, int64_t now_us)
{
    (void)now_us;
    item->complete = true;
    settle(p, p->acked_pos);
}

/* "g<generation>.<item>.<position>"; the item is for people. */
static bool name_read(struct str name, int64_t *generation, int64_t *pos)
{
    struct str head;
    int64_t item = 0;
    if (!str_starts(name, STR("g"))) {
        return false;
    }
    struct str rest = str_skip(name, 1);
    if (!str_split(&rest, '.', &head) || str_to_i64(head, generation) != 0) {
        return false;
    }
    return str_split(&rest, '.', &head) && str_to_i64(head, &item) == 0 &&
           str_to_i64(rest, pos) == 0;
}

enum playback_ack playback_acked(struct playback *p, struct str name, int64_t now_us)
{
    int64_t generation = 0;
    int64_t pos = 0;
    if (!name_read(name, &generation, &pos) || generation != (int64_t)p->generation ||
        pos > p->asked_pos || pos <= p->acked_pos) {
        p->stale_count++;
        return PLAYBACK_STALE;
    }
    p->acked_pos = pos;
    p->acked_us = now_us;
    settle(p, pos);
    return PLAYBACK_ACKED;
}

void playback_expire(struct playback *p, int64_t now_us)
{
    if (now_us - p->busy_until_us >= PLAYBACK_ACK_PATIENCE_MS * US_PER_MS) {
        settle(p, p->sent_pos);
    }
}

struct play_item *playback_current(const struct playback *p)
{
    return list_empty(&p->items) ? NULL : LIST_ITEM(p->items.next, struct play_item, link);
}

bool playback_idle(const struct playback *p)
{
    return list_empty(&p->items);
}

void playback_clear(struct playback *p, int64_t now_us)
{
    struct list cut;
    list_init(&cut);
    int64_t heard_pos = position(p, now_us);
    while (!list_empty(&p->items)) {
        list_push_back(&cut, list_pop_front(&p->items));
    }
    /* The ledger is ready for the next generation before anybody hears of the end of this one. */
    p->generation++;
    p->sent_pos = 0;
    p->asked_pos = 0;
    p->acked_pos = -1;
    p->busy_until_us = now_us;
    while (!list_empty(&cut)) {
        struct play_item *item = LIST_ITEM(cut.next, struct play_item, link);
        int64_t heard = item->sent_bytes == 0 ? 0 : i64_max(0, heard_pos - item->start_pos);
        heard = i64_min(heard, item->sent_bytes);
        enum play_heard how = heard == 0 ? PLAY_NONE : PLAY_CUT;
        if (heard > 0 && all_sent(item) && heard == item->sent_bytes) {
            how = PLAY_FULL;
        }
        tell_end(p, item, how, heard / PLAYBACK_BYTES_MS);
    }
}
