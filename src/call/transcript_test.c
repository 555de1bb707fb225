#include "call/transcript.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

struct rig {
    struct transcript t;
    struct buf lines;
    int32_t ordinals[64];
    size_t count;
};

static void on_emit(const struct turn *turn, struct str body, void *arg)
{
    struct rig *g = arg;
    g->ordinals[g->count++] = turn->ordinal;
    buf_addf(&g->lines, "%s|%s|%d|" STR_FMT "\n", turn->who == VOICE_AI ? "ai" : "lead", turn->id,
             (int)turn->heard, STR_ARG(body));
}

static void rig_init(struct rig *g)
{
    memset(g, 0, sizeof *g);
    buf_init(&g->lines, 65536);
    transcript_init(&g->t, on_emit, g);
}

static void rig_fini(struct rig *g)
{
    transcript_fini(&g->t);
    buf_fini(&g->lines);
}

static bool has(const struct rig *g, const char *line)
{
    return str_contains(buf_str(&g->lines), str_of(line));
}

Test(transcript, a_turn_is_told_once_it_is_settled)
{
    struct rig g;
    rig_init(&g);
    transcript_turn(&g.t, VOICE_AI, "a", "");
    transcript_text(&g.t, VOICE_AI, "a", STR("Hello "), false);
    transcript_text(&g.t, VOICE_AI, "a", STR("there"), false);
    transcript_text(&g.t, VOICE_AI, "a", STR("Hello there."), true);
    cr_expect_eq(g.count, 0, "it is not known yet what was heard");
    transcript_heard(&g.t, "a", PLAY_FULL, 100, 800, 800);
    cr_expect(has(&g, "ai|a|0|Hello there.\n"));
    transcript_turn(&g.t, VOICE_LEAD, "b", "a");
    cr_expect_not(transcript_settled(&g.t));
    transcript_text(&g.t, VOICE_LEAD, "b", STR("Hi"), true);
    cr_expect(has(&g, "lead|b|0|Hi\n"));
    cr_expect(transcript_settled(&g.t));
    transcript_finish(&g.t);
    cr_expect_eq(g.count, 2, "nothing twice");
    cr_expect_lt(g.ordinals[0], g.ordinals[1]);
    rig_fini(&g);
}

Test(transcript, late_text_keeps_the_place_of_its_turn)
{
    struct rig g;
    rig_init(&g);
    transcript_turn(&g.t, VOICE_LEAD, "1", "");
    transcript_turn(&g.t, VOICE_AI, "2", "1");
    transcript_text(&g.t, VOICE_AI, "2", STR("second"), true);
    transcript_heard(&g.t, "2", PLAY_FULL, 0, 100, 100);
    transcript_text(&g.t, VOICE_LEAD, "1", STR("first"), true);
    cr_assert_eq(g.count, 2);
    cr_expect_gt(g.ordinals[0], g.ordinals[1], "emitted later, stands earlier");
    rig_fini(&g);
}

Test(transcript, a_turn_can_be_put_between_two_others)
{
    struct rig g;
    rig_init(&g);
    transcript_turn(&g.t, VOICE_LEAD, "1", "");
    transcript_turn(&g.t, VOICE_LEAD, "3", "1");
    transcript_turn(&g.t, VOICE_LEAD, "2", "1");
    transcript_text(&g.t, VOICE_LEAD, "1", STR("a"), true);
    transcript_text(&g.t, VOICE_LEAD, "2", STR("b"), true);
    transcript_text(&g.t, VOICE_LEAD, "3", STR("c"), true);
    cr_expect_lt(g.ordinals[0], g.ordinals[1]);
    cr_expect_lt(g.ordinals[1], g.ordinals[2]);
    rig_fini(&g);
}

Test(transcript, text_before_its_turn_waits_for_the_place)
{
    struct rig g;
    rig_init(&g);
    transcript_text(&g.t, VOICE_LEAD, "1", STR("early"), true);
    cr_expect_eq(g.count, 0);
    transcript_turn(&g.t, VOICE_LEAD, "1", "");
    cr_expect(has(&g, "lead|1|0|early\n"));
    rig_fini(&g);
}

Test(transcript, what_was_cut_ends_with_a_whole_word)
{
    static const struct {
        int64_t heard_ms;
        const char *body;
    } cases[] = {
        {0, "ai|a|1|\n"},
        {100, "ai|a|1|\n"},
        {300, "ai|a|1|one\n"},
        {999, "ai|a|1|one two three\n"},
        {1000, "ai|a|1|one two three four\n"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct rig g;
        rig_init(&g);
        transcript_turn(&g.t, VOICE_AI, "a", "");
        transcript_text(&g.t, VOICE_AI, "a", STR("one two three four"), true);
        transcript_heard(&g.t, "a", PLAY_CUT, 0, cases[i].heard_ms, 1000);
        cr_expect(has(&g, cases[i].body), "%lld ms: %s", (long long)cases[i].heard_ms,
                  buf_cstr(&g.lines));
        rig_fini(&g);
    }
}

Test(transcript, the_end_tells_what_is_left)
{
    struct rig g;
    rig_init(&g);
    transcript_turn(&g.t, VOICE_LEAD, "noise", "");
    transcript_turn(&g.t, VOICE_AI, "never_played", "");
    transcript_text(&g.t, VOICE_AI, "never_played", STR("unheard words"), false);
    transcript_turn(&g.t, VOICE_LEAD, "failed", "");
    transcript_text(&g.t, VOICE_LEAD, "failed", STR_NONE, true);
    transcript_finish(&g.t);
    cr_expect_not(has(&g, "noise"), "a detector's false alarm is no turn");
    cr_expect(has(&g, "ai|never_played|2|unheard words\n"));
    cr_expect(has(&g, "lead|failed|0|\n"), "something was said that nobody could write down");
    rig_fini(&g);
}

Test(transcript, is_bounded)
{
    struct rig g;
    rig_init(&g);
    static char text[TRANSCRIPT_BODY * 2];
    memset(text, 'x', sizeof text);
    transcript_turn(&g.t, VOICE_LEAD, "a", "");
    transcript_text(&g.t, VOICE_LEAD, "a", str_make(text, sizeof text), false);
    transcript_text(&g.t, VOICE_LEAD, "a", STR("more"), false);
    struct turn *turn = LIST_ITEM(g.t.turns.next, struct turn, link);
    cr_expect_lt(turn->text.len, TRANSCRIPT_BODY);
    for (int i = 0; i < TRANSCRIPT_TURNS + 10; i++) {
        char id[16];
        (void)snprintf(id, sizeof id, "t%d", i);
        transcript_speech(&g.t, id, 0, -1);
    }
    cr_expect_eq(g.t.count, TRANSCRIPT_TURNS);
    cr_expect_eq(g.t.dropped, 11);
    rig_fini(&g);
}
