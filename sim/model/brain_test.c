#include "brain.h"

#include <criterion/criterion.h>
#include <string.h>

static struct book *book;

static void setup(void)
{
    book = book_load(SIM_PEOPLE_DIR);
    cr_assert_not_null(book);
}

static void teardown(void)
{
    book_free(&book);
}

static void hear(struct brain *b, uint32_t id, uint16_t heard)
{
    struct hearing h = {.count = 1};
    h.said[0] = (struct heard){.id = id, .blocks_total = 100, .blocks_heard = heard};
    h.said[0].last_index = (uint16_t)(heard - 1);
    brain_hear(b, &h);
}

Test(brain, exact_words)
{
    static const struct {
        const char *text;
        const char *exact;
    } rows[] = {
        {"Say this.\nSAY EXACTLY:\nHello, this is a test.", "Hello, this is a test."},
        {"SAY EXACTLY: Good day.", "Good day."},
        {"Speak.\nSAY EXACTLY:\n Two lines,\nboth of them.\n", "Two lines,\nboth of them."},
        {"Please say exactly what you think.", ""},
        {"", ""},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct str s = brain_exact(str_of(rows[i].text));
        cr_expect(str_eq(s, str_of(rows[i].exact)), "%s: got " STR_FMT, rows[i].text, STR_ARG(s));
    }
}

Test(brain, answers_what_it_heard_with_the_script, .init = setup, .fini = teardown)
{
    const struct persona *p = book_persona_named(book, "interested");
    struct brain b = {.book = book};
    struct plan plan = brain_plan(&b, BRAIN_ASKED, STR_NONE, STR_NONE);
    cr_assert(str_eq_cstr(plan.say, book_line(book, "opening")));
    for (size_t i = 0; i < p->step_count; i++) {
        hear(&b, p->steps[i].say_id, 99);
        plan = brain_plan(&b, BRAIN_TURN, STR_NONE, STR_NONE);
        cr_assert(str_eq_cstr(plan.say, p->steps[i].ai.say));
        cr_assert_eq(plan.turn, &p->steps[i].ai);
    }
}

Test(brain, asks_again_for_what_it_did_not_hear, .init = setup, .fini = teardown)
{
    const struct persona *p = book_persona_named(book, "interested");
    struct brain b = {.book = book, .spoken = true};
    hear(&b, p->steps[0].say_id, 30); /* a third of it came through */
    cr_assert(
        str_eq_cstr(brain_plan(&b, BRAIN_TURN, STR_NONE, STR_NONE).say, book_line(book, "repeat")));
    hear(&b, 12345, 99); /* words of nobody in the book */
    cr_assert(
        str_eq_cstr(brain_plan(&b, BRAIN_TURN, STR_NONE, STR_NONE).say, book_line(book, "repeat")));
}

Test(brain, goes_on_by_what_the_tool_said, .init = setup, .fini = teardown)
{
    const struct persona *p = book_persona_named(book, "callback_at_time");
    static const struct {
        const char *output;
        bool good;
    } rows[] = {{"{\"ok\":true,\"when\":\"2026-11-24T10:00:00+05:30\"}", true},
                {"{\"ok\":false,\"why\":\"closed\"}", false},
                {"{\"accepted\":false}", false},
                {"{\"error\":\"no\"}", false},
                {"booked", true},
                {"error: not available", false}};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct brain b = {.book = book, .spoken = true};
        hear(&b, p->steps[0].say_id, 99);
        (void)brain_plan(&b, BRAIN_TURN, STR_NONE, STR_NONE);
        brain_output(&b, str_of(rows[i].output));
        struct plan plan = brain_plan(&b, BRAIN_ASKED, STR_NONE, STR_NONE);
        const struct ai_turn *ai = &p->steps[0].ai;
        cr_expect_eq(plan.turn, rows[i].good ? ai->then : ai->otherwise, "%s", rows[i].output);
    }
}

Test(brain, follows_the_client_s_cues, .init = setup, .fini = teardown)
{
    struct brain b = {.book = book, .spoken = true};
    struct str cue = STR("Say goodbye in one short sentence.");
    cr_assert(str_eq_cstr(brain_plan(&b, BRAIN_ASKED, cue, cue).say, book_line(book, "goodbye")));
    cue = STR("Ask whether they are still there.");
    cr_assert(
        str_eq_cstr(brain_plan(&b, BRAIN_ASKED, cue, cue).say, book_line(book, "still_there")));
}
