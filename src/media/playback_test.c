#include "media/playback.h"

#include "base/alloc.h"
#include "base/clock.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

/* The carrier's player, as its manual describes it: plays what it was given, one byte every 125 us,
 * acknowledges a checkpoint when all before it was played, forgets everything on a clear. What it
 * gets and what it says travels for a while. */
#define ITEMS_MAX   64
#define EVENTS_MAX  4096
#define BYTE_US     125
#define HEARD_ERROR 20 /* ms */

struct event { /* in the player's queue */
    int64_t arrives_us;
    int64_t bytes; /* 0: a checkpoint */
    uint32_t item;
    char name[PLAYBACK_NAME_SIZE];
};

struct ack {
    int64_t arrives_us;
    char name[PLAYBACK_NAME_SIZE];
};

struct player {
    struct event queue[EVENTS_MAX];
    size_t head, tail;
    int64_t free_us;          /* when the byte that plays now will be over */
    int64_t played[1u << 16]; /* bytes of each item number */
    struct ack acks[EVENTS_MAX];
    size_t ack_head, ack_tail;
    int64_t back_us;     /* travel time of what it says */
    int64_t last_ack_us; /* they stay in order */
};

struct world {
    struct playback ledger;
    struct player *player;
    int64_t now_us;
    int64_t there_us; /* travel time of what it is given */
    uint32_t seed;
    struct play_item *open; /* still growing */
    unsigned next_id;
    int64_t ended; /* items that left the ledger */
    int64_t cut;
    int64_t worst_ms;
    bool exact; /* nothing travels: the ledger must be right to HEARD_ERROR both ways */
};

static uint32_t chance(struct world *w, uint32_t below)
{
    w->seed = w->seed * 1664525u + 1013904223u;
    return (w->seed >> 8) % below;
}

static void player_step(struct player *p, int64_t until_us)
{
    while (p->head != p->tail) {
        struct event *e = &p->queue[p->head % EVENTS_MAX];
        int64_t starts_us = i64_max(p->free_us, e->arrives_us);
        if (e->bytes == 0) {
            if (starts_us > until_us) {
                return;
            }
            struct ack *a = &p->acks[p->ack_tail++ % EVENTS_MAX];
            a->arrives_us = i64_max(p->last_ack_us, starts_us + p->back_us);
            p->last_ack_us = a->arrives_us;
            memcpy(a->name, e->name, sizeof a->name);
            p->head++;
            continue;
        }
        int64_t can = (until_us - starts_us) / BYTE_US;
        if (can <= 0) {
            return;
        }
        int64_t n = i64_min(can, e->bytes);
        p->played[e->item] += n;
        e->bytes -= n;
        p->free_us = starts_us + n * BYTE_US;
        p->head += e->bytes == 0 ? 1 : 0;
    }
}

static void player_clear(struct player *p)
{
    p->head = p->tail;
}

static void give(struct world *w, uint32_t item, int64_t bytes, const char *name)
{
    struct event *e = &w->player->queue[w->player->tail++ % EVENTS_MAX];
    cr_assert_leq(w->player->tail - w->player->head, EVENTS_MAX);
    *e = (struct event){.arrives_us = w->now_us + w->there_us, .bytes = bytes, .item = item};
    if (name != NULL) {
        memcpy(e->name, name, sizeof e->name);
    }
}

static void on_end(const struct play_end *end, void *arg)
{
    struct world *w = arg;
    int64_t truth_ms = w->player->played[end->item->number] / PLAYBACK_BYTES_MS;
    cr_assert_leq(end->heard_ms, end->sent_ms, "heard more than was sent");
    cr_assert_leq(end->sent_ms, end->queued_ms);
    w->ended++;
    w->cut += end->heard == PLAY_CUT ? 1 : 0;
    int64_t error_ms = end->heard_ms - truth_ms;
    w->worst_ms = i64_max(w->worst_ms, error_ms < 0 ? -error_ms : error_ms);
    if (w->exact) {
        cr_assert_leq(error_ms, HEARD_ERROR, "item %u: %lld ms said, %lld played",
                      end->item->number, (long long)end->heard_ms, (long long)truth_ms);
        cr_assert_geq(error_ms, -HEARD_ERROR, "item %u: %lld ms said, %lld played",
                      end->item->number, (long long)end->heard_ms, (long long)truth_ms);
    }
    if (end->heard == PLAY_FULL) {
        cr_assert_eq(end->heard_ms, end->queued_ms);
    }
    w->open = w->open == end->item ? NULL : w->open;
}

/* Keeps the carrier a little ahead, as the pacer does. */
static void send_some(struct world *w)
{
    while (w->open != NULL && playback_lead_us(&w->ledger, w->now_us) < 160 * US_PER_MS) {
        struct play_item *item = w->open;
        if (item->queued_bytes == item->sent_bytes) {
            if (item->complete) {
                w->open = NULL;
            }
            return;
        }
        int64_t n = i64_min(160, item->queued_bytes - item->sent_bytes);
        (void)playback_sent(&w->ledger, item, n, w->now_us);
        give(w, item->number, n, NULL);
        if (playback_wants_checkpoint(&w->ledger, item)) {
            char name[PLAYBACK_NAME_SIZE];
            playback_checkpoint(&w->ledger, item, name);
            give(w, item->number, 0, name);
        }
    }
}

static void advance(struct world *w, int64_t us)
{
    struct player *p = w->player;
    for (int64_t end_us = w->now_us + us; w->now_us < end_us;) {
        w->now_us += i64_min(5 * US_PER_MS, end_us - w->now_us);
        player_step(p, w->now_us);
        while (p->ack_head != p->ack_tail &&
               p->acks[p->ack_head % EVENTS_MAX].arrives_us <= w->now_us) {
            struct ack *a = &p->acks[p->ack_head++ % EVENTS_MAX];
            (void)playback_acked(&w->ledger, str_of(a->name), w->now_us);
        }
        send_some(w);
    }
}

static void item_more(struct world *w)
{
    if (w->open == NULL) {
        char id[32];
        (void)snprintf(id, sizeof id, "item_%u", w->next_id++);
        w->open = playback_item(&w->ledger, id);
    }
    playback_queued(w->open, 80 + chance(w, 4000));
    send_some(w);
}

static void item_finish(struct world *w)
{
    if (w->open != NULL && w->open->queued_bytes == w->open->sent_bytes) {
        struct play_item *item = w->open;
        w->open = NULL;
        item->complete = true;
        if (playback_wants_checkpoint(&w->ledger, item)) {
            char name[PLAYBACK_NAME_SIZE];
            playback_checkpoint(&w->ledger, item, name);
            give(w, item->number, 0, name);
        }
        playback_complete(&w->ledger, item, w->now_us);
    }
}

static void clear(struct world *w)
{
    player_step(w->player, w->now_us);
    playback_clear(&w->ledger, w->now_us);
    /* With travel, what was given before plays on until the clear arrives; the ledger cannot know.
     */
    player_clear(w->player);
    w->open = NULL;
}

static void live(struct world *w, uint32_t steps)
{
    for (uint32_t i = 0; i < steps && w->next_id < 60000; i++) {
        switch (chance(w, 10)) {
        case 0:
        case 1:
        case 2:
            item_more(w);
            break;
        case 3:
        case 4:
            item_finish(w);
            break;
        case 5:
            if (chance(w, 4) == 0) {
                clear(w);
            }
            break;
        default:
            advance(w, (int64_t)chance(w, 120) * US_PER_MS);
        }
    }
}

static void world_init(struct world *w, uint32_t seed, int64_t there_ms, int64_t back_ms)
{
    memset(w, 0, sizeof *w);
    w->seed = seed;
    w->now_us = 1000 * US_PER_S;
    w->there_us = there_ms * US_PER_MS;
    w->player = xzalloc(sizeof *w->player);
    w->player->back_us = back_ms * US_PER_MS;
    w->exact = there_ms == 0 && back_ms == 0;
    playback_init(&w->ledger, on_end, w);
}

static void world_fini(struct world *w)
{
    playback_fini(&w->ledger);
    xfree(w->player);
}

Test(playback, agrees_with_the_player_to_20_ms)
{
    for (uint32_t seed = 1; seed <= 5; seed++) {
        struct world w;
        world_init(&w, seed, 0, 0);
        live(&w, 20000);
        cr_expect_gt(w.cut, 100, "seed %u cut too little to mean anything", seed);
        cr_expect_gt(w.ended, 500, "only %lld items", (long long)w.ended);
        world_fini(&w);
    }
}

Test(playback, never_says_more_than_was_sent_when_the_line_is_slow)
{
    for (uint32_t seed = 1; seed <= 4; seed++) {
        struct world w;
        world_init(&w, seed, 10 * seed, 20 * seed);
        live(&w, 5000);
        cr_expect_gt(w.cut, 20);
        /* What travels, there and back, and the 20 ms of the frame. */
        cr_expect_leq(w.worst_ms, 30 * (int64_t)seed + HEARD_ERROR + 5, "seed %u: %lld ms", seed,
                      (long long)w.worst_ms);
        world_fini(&w);
    }
}

static struct play_end last;
static char last_id[PLAYBACK_ID_SIZE];
static int ends;

static void remember(const struct play_end *end, void *arg)
{
    (void)arg;
    last = *end;
    memcpy(last_id, end->item->id, sizeof last_id);
    ends++;
}

static void send_item(struct playback *p, struct play_item *item, int64_t ms, int64_t now_us,
                      char name[PLAYBACK_NAME_SIZE])
{
    playback_queued(item, ms * PLAYBACK_BYTES_MS);
    (void)playback_sent(p, item, ms * PLAYBACK_BYTES_MS, now_us);
    playback_checkpoint(p, item, name);
}

Test(playback, acknowledgements_of_a_cleared_generation_are_ignored)
{
    struct playback p;
    char old[PLAYBACK_NAME_SIZE];
    char new[PLAYBACK_NAME_SIZE];
    playback_init(&p, remember, NULL);
    send_item(&p, playback_item(&p, "a"), 100, 0, old);
    playback_clear(&p, 40 * US_PER_MS);
    cr_expect_str_eq(last_id, "a");
    cr_expect_eq(last.heard, PLAY_CUT);
    cr_expect_eq(last.heard_ms, 40);

    struct play_item *b = playback_item(&p, "b");
    send_item(&p, b, 100, 50 * US_PER_MS, new);
    cr_expect_eq(playback_acked(&p, str_of(old), 60 * US_PER_MS), PLAYBACK_STALE);
    cr_expect_eq(playback_heard_ms(&p, b, 60 * US_PER_MS), 10);
    cr_expect_eq(playback_acked(&p, str_of(new), 150 * US_PER_MS), PLAYBACK_ACKED);
    playback_complete(&p, b, 150 * US_PER_MS);
    cr_expect_str_eq(last_id, "b");
    cr_expect_eq(last.heard, PLAY_FULL);
    cr_expect(playback_idle(&p));
    playback_fini(&p);
}

Test(playback, a_stalled_player_is_believed_more_than_the_clock)
{
    struct playback p;
    char first[PLAYBACK_NAME_SIZE];
    char more[PLAYBACK_NAME_SIZE];
    playback_init(&p, remember, NULL);
    struct play_item *a = playback_item(&p, "a");
    send_item(&p, a, 20, 0, first);
    send_item(&p, a, 500, 0, more);
    /* The first 20 ms are acknowledged 300 ms late: by the clock 320 ms would have been heard. */
    cr_expect_eq(playback_acked(&p, str_of(first), 320 * US_PER_MS), PLAYBACK_ACKED);
    cr_expect_eq(playback_heard_ms(&p, a, 320 * US_PER_MS), 20);
    cr_expect_eq(playback_heard_ms(&p, a, 360 * US_PER_MS), 60);
    playback_fini(&p);
}

Test(playback, names_that_were_not_given_out_change_nothing)
{
    static const char *const names[] = {
        "",       "g",     "g0.1.",   "g0.1.99999999", "g1.1.10",   "g0.1.-5",
        "x0.1.5", "g0..5", "g0.1.5x", "hello",         "g0.1.800 ", "g99999999999999999999.1.5"};
    struct playback p;
    char name[PLAYBACK_NAME_SIZE];
    playback_init(&p, remember, NULL);
    struct play_item *a = playback_item(&p, "a");
    send_item(&p, a, 100, 0, name);
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        cr_expect_eq(playback_acked(&p, str_of(names[i]), 10), PLAYBACK_STALE, "'%s'", names[i]);
    }
    cr_expect_eq(p.stale_count, COUNT_OF(names));
    cr_expect_eq(p.acked_pos, -1);
    playback_fini(&p);
}

Test(playback, a_checkpoint_that_never_comes_does_not_hold_the_call)
{
    struct playback p;
    char name[PLAYBACK_NAME_SIZE];
    playback_init(&p, remember, NULL);
    ends = 0;
    struct play_item *a = playback_item(&p, "a");
    send_item(&p, a, 100, 0, name);
    playback_complete(&p, a, 0);
    playback_expire(&p, 100 * US_PER_MS + 1999 * US_PER_MS);
    cr_expect_eq(ends, 0);
    playback_expire(&p, 100 * US_PER_MS + 2000 * US_PER_MS);
    cr_expect_eq(ends, 1);
    cr_expect_eq(last.heard, PLAY_FULL);
    playback_fini(&p);
}

Test(playback, an_item_without_audio_is_none)
{
    struct playback p;
    playback_init(&p, remember, NULL);
    ends = 0;
    struct play_item *a = playback_item(&p, "a");
    playback_complete(&p, a, 0);
    cr_expect_eq(ends, 1);
    cr_expect_eq(last.heard, PLAY_NONE);
    cr_expect_eq(last.started_us, 0);
    playback_fini(&p);
}
