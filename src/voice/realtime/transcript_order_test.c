#include "voice/realtime/transcript_order.h"

#include "base/alloc.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

struct seen {
    struct buf log;
};

static void on_turn(enum voice_speaker who, const char *item_id, const char *after_id, void *arg)
{
    struct seen *seen = arg;
    (void)buf_addf(&seen->log, "%s%s<%s ", who == VOICE_AI ? "A:" : "L:", item_id, after_id);
}

static void on_text(enum voice_speaker who, const char *item_id, struct str text, bool final,
                    void *arg)
{
    struct seen *seen = arg;
    (void)who;
    (void)buf_addf(&seen->log, "%s%s'" STR_FMT "' ", item_id, final ? "=" : "+", STR_ARG(text));
}

static void begin(struct turns *t, struct seen *seen)
{
    buf_init(&seen->log, 64 * 1024);
    turns_init(t);
    t->on_turn = on_turn;
    t->on_text = on_text;
    t->arg = seen;
}

static void end(struct turns *t, struct seen *seen)
{
    turns_fini(t);
    buf_fini(&seen->log);
}

Test(order, text_comes_late_and_early)
{
    struct turns t;
    struct seen seen;
    begin(&t, &seen);
    turns_end_text(&t, STR("u1"), STR("early")); /* before its item */
    turns_announce(&t, STR("a1"), TURN_AI, STR_NONE, true);
    turns_add_text(&t, STR("a1"), STR("Hel"));
    turns_announce(&t, STR("u1"), TURN_LEAD, STR("a1"), true);
    turns_announce(&t, STR("u1"), TURN_LEAD, STR("a1"), true);
    turns_end_text(&t, STR("a1"), STR("Hello"));
    turns_end_text(&t, STR("a1"), STR("again"));
    turns_add_text(&t, STR("a1"), STR("more"));
    cr_assert_str_eq(buf_cstr(&seen.log), "A:a1< a1+'Hel' L:u1<a1 u1='early' a1='Hello' ");
    end(&t, &seen);
}

Test(order, what_is_no_turn_carries_the_chain_on)
{
    struct turns t;
    struct seen seen;
    begin(&t, &seen);
    turns_announce(&t, STR("dw_i0"), TURN_NONE, STR_NONE, true);
    turns_announce(&t, STR("u1"), TURN_LEAD, STR("dw_i0"), true);
    turns_announce(&t, STR("call"), TURN_NONE, STR("u1"), true);
    turns_announce(&t, STR("result"), TURN_NONE, STR("call"), true);
    turns_announce(&t, STR("a1"), TURN_AI, STR("result"), true);
    turns_end_text(&t, STR("call"), STR("never told"));
    cr_assert_str_eq(buf_cstr(&seen.log), "L:u1< A:a1<u1 ");
    end(&t, &seen);
}

Test(order, a_failed_transcription_is_settled)
{
    struct turns t;
    struct seen seen;
    begin(&t, &seen);
    turns_announce(&t, STR("u1"), TURN_LEAD, STR_NONE, true);
    turns_end_text(&t, STR("u1"), STR_NONE);
    turns_end_text(&t, STR("u1"), STR("too late"));
    cr_assert_str_eq(buf_cstr(&seen.log), "L:u1< u1='' ");
    end(&t, &seen);
}

Test(order, settle_tells_what_still_waits)
{
    struct turns t;
    struct seen seen;
    begin(&t, &seen);
    turns_announce(&t, STR("a1"), TURN_AI, STR("lost"), true);
    turns_add_text(&t, STR("a1"), STR("Hi"));
    turns_announce(&t, STR("u1"), TURN_LEAD, STR("a1"), true);
    cr_assert_str_eq(buf_cstr(&seen.log), "");
    turns_settle(&t);
    cr_assert_str_eq(buf_cstr(&seen.log), "A:a1< a1+'Hi' L:u1<a1 a1='Hi' u1='' ");
    end(&t, &seen);
}

Test(order, limits)
{
    struct turns t;
    struct seen seen;
    begin(&t, &seen);
    for (int i = 0; i <= TURNS_WAITING_MAX; i++) {
        char id[24];
        (void)snprintf(id, sizeof id, "x%d", i);
        turns_announce(&t, str_of(id), TURN_LEAD, STR("lost"), true);
    }
    cr_assert_eq(t.waiting, 0, "they do not wait for ever");
    char *long_text = xzalloc(TURN_TEXT_MAX * 2);
    memset(long_text, 'a', TURN_TEXT_MAX * 2 - 1);
    /* An umlaut that straddles the limit must not be halved. */
    memcpy(long_text + TURN_TEXT_MAX - 2, "\xc3\xa4", 2);
    buf_clear(&seen.log);
    buf_fini(&seen.log);
    buf_init(&seen.log, TURN_TEXT_MAX * 4);
    turns_end_text(&t, STR("x0"), str_of(long_text));
    cr_assert_eq(seen.log.len, TURN_TEXT_MAX - 2 + strlen("x0='' "));
    for (int i = 0; i < TURNS_MAX + 10; i++) {
        char id[24];
        (void)snprintf(id, sizeof id, "y%d", i);
        turns_announce(&t, str_of(id), TURN_NONE, STR_NONE, false);
    }
    cr_assert_eq(t.count, TURNS_MAX);
    cr_assert_gt(t.refused, 0);
    xfree(long_text);
    end(&t, &seen);
}

/* Five items and their texts, told in any order: the turns always come in the
 * order of the talk, and each final text once, after its turn. */
#define ITEMS 5

static void tell(struct turns *t, int what)
{
    static const char *const ids[ITEMS] = {"a1", "u1", "n1", "a2", "u2"};
    static const enum turn_kind kinds[ITEMS] = {TURN_AI, TURN_LEAD, TURN_NONE, TURN_AI, TURN_LEAD};
    int i = what % ITEMS;
    if (what < ITEMS) {
        turns_announce(t, str_of(ids[i]), kinds[i], i == 0 ? STR_NONE : str_of(ids[i - 1]), true);
    } else {
        turns_end_text(t, str_of(ids[i]), str_of(ids[i]));
    }
}

static void check_order(const struct seen *seen)
{
    static const char *const turn_marks[] = {"A:a1< ", "L:u1<a1 ", "A:a2<u1 ", "L:u2<a2 "};
    static const char *const text_marks[] = {"a1='a1' ", "u1='u1' ", "a2='a2' ", "u2='u2' "};
    const char *log = buf_cstr(&seen->log);
    const char *last = log;
    size_t length = 0;
    for (size_t i = 0; i < COUNT_OF(turn_marks); i++) {
        const char *turn = strstr(log, turn_marks[i]);
        const char *text = strstr(log, text_marks[i]);
        cr_assert(turn != NULL && text != NULL && turn >= last && text > turn, "%s", log);
        last = turn;
        length += strlen(turn_marks[i]) + strlen(text_marks[i]);
    }
    cr_assert_eq(strlen(log), length, "told twice: %s", log);
}

static void one_order(const int *order)
{
    struct turns t;
    struct seen seen;
    begin(&t, &seen);
    for (int i = 0; i < ITEMS * 2; i++) {
        tell(&t, order[i]);
    }
    check_order(&seen);
    end(&t, &seen);
}

Test(order, permutations, .timeout = 120)
{
    /* 20,000 of the 3.6 million orders, always the same ones. */
    unsigned dice = 7;
    for (int round = 0; round < 20000; round++) {
        int order[ITEMS * 2] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9};
        for (int i = ITEMS * 2 - 1; i > 0; i--) {
            dice = dice * 1664525u + 1013904223u;
            int j = (int)((dice >> 16) % (unsigned)(i + 1));
            int kept = order[i];
            order[i] = order[j];
            order[j] = kept;
        }
        one_order(order);
    }
}
