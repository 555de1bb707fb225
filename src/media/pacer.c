#include "media/pacer.h"

#include "base/alloc.h"
#include "base/clock.h"

#include <errno.h>
#include <string.h>

/* Rather than leave this little behind for a frame of its own, a frame takes it along (7.5 ms; the
 * longest frame is then 27.75 ms, which still fits between the lead's target and its bound). */
#define TAIL_GROUPS 20

struct chunk {
    struct list link;
    struct play_item *item;
    size_t len; /* digits; a multiple of 4 */
    size_t off;
    size_t pad; /* '=' at the end: 0, 1, 2 */
    char text[];
};

static const size_t frame_groups[3] = {53, 53, 54};
static_assert((53 + 53 + 54) * 3 == 60 * PLAYBACK_BYTES_MS, "three frames are 60 ms");
static_assert(PACER_LEAD_MS * 8 + (54 + TAIL_GROUPS) * 3 <= PACER_LEAD_MAX_MS * 8,
              "a frame sent at the target may not pass the bound");

static void on_tick(void *arg);

void pace_clock_init(struct pace_clock *clock, struct loop *loop)
{
    memset(clock, 0, sizeof *clock);
    clock->loop = loop;
    list_init(&clock->active);
}

void pace_clock_fini(struct pace_clock *clock)
{
    assert(list_empty(&clock->active));
    timer_stop(&clock->tick);
}

void pacer_init(struct pacer *p, struct pace_clock *clock, struct playback *playback,
                pacer_frame_fn *on_frame, void *arg)
{
    memset(p, 0, sizeof *p);
    list_init(&p->link);
    list_init(&p->chunks);
    p->clock = clock;
    p->playback = playback;
    p->on_frame = on_frame;
    p->arg = arg;
}

static void chunk_drop(struct pacer *p, struct chunk *c)
{
    p->chars -= c->len - c->off;
    list_remove(&c->link);
    xfree(c);
}

static void rest(struct pacer *p)
{
    list_remove(&p->link);
    if (list_empty(&p->clock->active)) {
        timer_stop(&p->clock->tick);
    }
}

void pacer_drop(struct pacer *p)
{
    while (!list_empty(&p->chunks)) {
        chunk_drop(p, LIST_ITEM(p->chunks.next, struct chunk, link));
    }
    p->phase = 0;
    rest(p);
}

void pacer_fini(struct pacer *p)
{
    if (p->clock != NULL) {
        pacer_drop(p);
    }
}

/* Our envelope is glued around this text: nothing but the 64 digits may be in it. Written without
 * branches, so that compilers do sixteen at once. */
static bool is_digit(uint8_t c)
{
    bool letter = (uint8_t)((c | 0x20) - 'a') < 26;
    bool number = (uint8_t)(c - '0') < 10;
    return letter | number | (c == '+') | (c == '/');
}

static int text_pad(struct str text)
{
    if (text.len == 0 || text.len % 4 != 0) {
        return -EINVAL;
    }
    size_t pad = text.p[text.len - 1] != '=' ? 0 : (text.p[text.len - 2] != '=' ? 1 : 2);
    bool all = true;
    for (size_t i = 0; i < text.len - pad; i++) {
        all &= is_digit((uint8_t)text.p[i]);
    }
    return all ? (int)pad : -EINVAL;
}

int64_t pacer_text_bytes(struct str base64)
{
    int pad = text_pad(base64);
    return pad < 0 ? pad : (int64_t)(base64.len / 4 * 3) - pad;
}

/* A frame being put together. */
struct frame {
    struct str parts[PACER_PARTS_MAX];
    size_t count;
    size_t groups;
    int64_t bytes;
    bool closed; /* padded: nothing can follow */
};

static void take(struct frame *f, struct chunk *c, size_t off, size_t groups)
{
    f->parts[f->count++] = str_make(c->text + off, groups * 4);
    f->groups += groups;
    f->bytes += (int64_t)groups * 3;
    if (off + groups * 4 == c->len && c->pad > 0) {
        f->bytes -= (int64_t)c->pad;
        f->closed = true;
    }
}

/* Looks at the next frame of the first waiting item; nothing is consumed. */
static void frame_look(const struct pacer *p, struct frame *f)
{
    size_t want = frame_groups[p->phase];
    struct play_item *item = NULL;
    LIST_EACH(it, &p->chunks)
    {
        struct chunk *c = LIST_ITEM(it, struct chunk, link);
        if (f->closed || f->groups >= want || f->count == PACER_PARTS_MAX ||
            (item != NULL && c->item != item)) {
            return;
        }
        item = c->item;
        size_t have = (c->len - c->off) / 4;
        size_t need = want - f->groups;
        bool tail = c->pad > 0 || (item->complete && it->next == &p->chunks);
        if (have <= need || (tail && have <= need + TAIL_GROUPS)) {
            take(f, c, c->off, have);
        } else {
            take(f, c, c->off, need);
        }
    }
}

/* Whether a frame shorter than 20 ms must wait for more of its item. */
static bool frame_waits(const struct pacer *p, const struct frame *f, int64_t now_us)
{
    const struct chunk *first = LIST_ITEM(p->chunks.next, struct chunk, link);
    if (f->closed || f->groups >= frame_groups[p->phase] || f->count == PACER_PARTS_MAX ||
        first->item->complete) {
        return false;
    }
    /* At the next tick there must still be something to play. */
    return playback_lead_us(p->playback, now_us) >= 2 * PACER_TICK_MS * US_PER_MS;
}

static void frame_consume(struct pacer *p, const struct frame *f)
{
    for (size_t i = 0; i < f->count; i++) {
        struct chunk *c = LIST_ITEM(p->chunks.next, struct chunk, link);
        c->off += f->parts[i].len;
        p->chars -= f->parts[i].len;
        if (c->off == c->len) {
            list_remove(&c->link);
            xfree(c);
        }
    }
    p->phase = f->closed ? 0 : (p->phase + 1) % 3;
}

/* Sends what may be sent now. on_frame may drop everything (the socket is gone): then we stop. */
static void run(struct pacer *p)
{
    int64_t now_us = loop_now_us(p->clock->loop);
    while (!list_empty(&p->chunks) &&
           playback_lead_us(p->playback, now_us) < PACER_LEAD_MS * US_PER_MS) {
        struct frame f = {.count = 0};
        frame_look(p, &f);
        if (frame_waits(p, &f, now_us)) {
            break;
        }
        struct play_item *item = LIST_ITEM(p->chunks.next, struct chunk, link)->item;
        int64_t starts_us = playback_sent(p->playback, item, f.bytes, now_us);
        p->lead_max_us = i64_max(p->lead_max_us, playback_lead_us(p->playback, now_us));
        p->frames++;
        int err = p->on_frame(item, f.parts, f.count, f.bytes, starts_us, p->arg);
        if (err < 0) {
            pacer_drop(p);
            return;
        }
        frame_consume(p, &f);
    }
    if (list_empty(&p->chunks)) {
        rest(p);
    }
}

static void on_tick(void *arg)
{
    struct pace_clock *clock = arg;
    LIST_EACH_SAFE(it, &clock->active)
    {
        run(LIST_ITEM(it, struct pacer, link));
    }
}

int pacer_add(struct pacer *p, struct play_item *item, struct str base64)
{
    int pad = text_pad(base64);
    if (pad < 0) {
        return pad;
    }
    if (p->chars + base64.len > PACER_CHARS_MAX) {
        return -ENOBUFS;
    }
    struct chunk *c = xmalloc(sizeof *c + base64.len);
    *c = (struct chunk){.item = item, .len = base64.len, .pad = (size_t)pad};
    memcpy(c->text, base64.p, base64.len);
    list_init(&c->link);
    list_push_back(&p->chunks, &c->link);
    p->chars += base64.len;
    playback_queued(item, (int64_t)(base64.len / 4 * 3) - pad);
    if (!list_linked(&p->link)) {
        if (list_empty(&p->clock->active)) {
            timer_repeat(&p->clock->tick, p->clock->loop, PACER_TICK_MS, on_tick, p->clock);
        }
        list_push_back(&p->clock->active, &p->link);
    }
    run(p);
    return 0;
}

void pacer_end(struct pacer *p, struct play_item *item)
{
    (void)item;
    if (!list_empty(&p->chunks)) {
        run(p);
    }
}

bool pacer_empty(const struct pacer *p)
{
    return list_empty(&p->chunks);
}

int64_t pacer_waiting_ms(const struct pacer *p)
{
    return (int64_t)(p->chars / 4 * 3 / PLAYBACK_BYTES_MS);
}
