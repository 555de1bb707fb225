#include "person.h"

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

/* The other side: says a line from `at_ms` on, hears what the person says. */
struct stage {
    struct person person;
    struct hearing other;
    const struct speech *line;
    size_t at;
    int64_t now_ms;
    enum person_wish wish;
};

static void run(struct stage *s, int64_t ms)
{
    uint8_t in[G711_FRAME_BYTES];
    uint8_t out[G711_FRAME_BYTES];
    for (int64_t t = 0; t < ms && s->wish == PERSON_STAYS; t += 20, s->now_ms += 20) {
        memset(in, (int)G711_SILENCE, sizeof in);
        if (s->line != NULL && s->at < s->line->len) {
            memcpy(in, s->line->ulaw + s->at, sizeof in);
            s->at += sizeof in;
        }
        s->wish = person_tick(&s->person, in, out);
        hearing_feed(&s->other, out, sizeof out);
    }
}

static void say(struct stage *s, const char *text)
{
    s->line = speech_say(book_speech(book), VOICE_AI, str_of(text));
    s->at = 0;
    run(s, (int64_t)s->line->len / 8);
}

static struct stage stage_of(const char *name)
{
    struct stage s = {.wish = PERSON_STAYS};
    person_init_lead(&s.person, book, book_persona_named(book, name));
    return s;
}

Test(person, goes_through_the_script_only_when_answered, .init = setup, .fini = teardown)
{
    struct stage s = stage_of("interested");
    const struct persona *p = s.person.persona;
    say(&s, "Hello, this is an assistant.");
    for (size_t i = 0; i < p->step_count; i++) {
        run(&s, 7000); /* pause, then its line */
        cr_assert_not_null(hearing_find(&s.other, p->steps[i].say_id), "step %zu not said", i);
        cr_assert_eq(s.person.step, i + 1);
        hearing_forget(&s.other);
        say(&s, p->steps[i].ai.say);
    }
    cr_assert_eq(s.wish, PERSON_STAYS, "waits for the other side to put the phone down");
    run(&s, 20000);
    cr_assert_eq(s.wish, PERSON_HANGS_UP);
}

Test(person, asks_again_when_it_was_not_understood, .init = setup, .fini = teardown)
{
    struct stage s = stage_of("not_interested");
    uint32_t id = s.person.persona->steps[0].say_id;
    say(&s, "Hello.");
    run(&s, 5000);
    cr_assert_not_null(hearing_find(&s.other, id));
    hearing_forget(&s.other);
    say(&s, book_line(book, "repeat"));
    run(&s, 4000);
    cr_assert_not_null(hearing_find(&s.other, id), "does not repeat its line");
}

Test(person, talks_into_the_answer_when_it_interrupts, .init = setup, .fini = teardown)
{
    struct stage s = stage_of("interrupts");
    const struct persona *p = s.person.persona;
    say(&s, "Hello.");
    run(&s, 4500);
    hearing_forget(&s.other);
    s.line = speech_say(book_speech(book), VOICE_AI, str_of(p->steps[0].ai.say));
    s.at = 0;
    run(&s, p->steps[1].barge_ms + 400);
    cr_assert_lt(s.at, s.line->len, "the answer is still being said");
    cr_assert_not_null(hearing_find(&s.other, p->steps[1].say_id));
}

Test(person, leaves_in_the_greeting, .init = setup, .fini = teardown)
{
    struct stage s = stage_of("hangs_up_in_greeting");
    run(&s, 3000);
    cr_assert_eq(s.wish, PERSON_STAYS);
    say(&s, "Hello, this is an automated assistant calling for a company.");
    cr_assert_eq(s.wish, PERSON_HANGS_UP);
    cr_assert_lt(s.at, s.line->len);
}

Test(person, silent_stays_silent_to_its_end, .init = setup, .fini = teardown)
{
    struct stage s = stage_of("silent");
    say(&s, "Hello?");
    run(&s, 60000);
    cr_assert_eq(s.other.count, 0);
    cr_assert_eq(s.wish, PERSON_HANGS_UP);
    cr_assert_leq(s.now_ms, s.person.persona->max_ms + 20);
}

Test(person, two_people_talk_over_a_bridge, .init = setup, .fini = teardown)
{
    struct person lead;
    struct person agent;
    uint8_t a[G711_FRAME_BYTES];
    uint8_t b[G711_FRAME_BYTES];
    int64_t ms = 0;
    enum person_wish wish = PERSON_STAYS;
    memset(b, (int)G711_SILENCE, sizeof b);
    person_init_lead(&lead, book, book_persona_named(book, "wants_human"));
    person_init_agent(&agent, book);
    person_set_mode(&lead, PERSON_BRIDGED);
    person_set_mode(&agent, PERSON_BRIDGED);
    for (; ms < 60000 && wish == PERSON_STAYS; ms += 20) {
        wish = person_tick(&lead, b, a);
        cr_assert_eq(person_tick(&agent, a, b), PERSON_STAYS, "the lead ends the call");
    }
    cr_assert_eq(wish, PERSON_HANGS_UP);
    cr_assert_eq(lead.line, lead.line_count);
    cr_assert_eq(agent.line, agent.line_count);
    cr_assert_lt(ms, 20000);
}

Test(person, fate_follows_number_and_seed, .init = setup, .fini = teardown)
{
    size_t kinds = 0;
    size_t changed = 0;
    const char *seen[64] = {NULL};
    for (int i = 0; i < 400; i++) {
        char number[24];
        (void)snprintf(number, sizeof number, "+1415555%04d", i);
        const struct persona *p = book_persona(book, 1, str_of(number), 0);
        cr_assert_eq(p, book_persona(book, 1, str_of(number), 0));
        changed += p != book_persona(book, 2, str_of(number), 0) ? 1 : 0;
        bool known = false;
        for (size_t k = 0; k < kinds; k++) {
            known |= seen[k] == p->name;
        }
        if (!known) {
            seen[kinds++] = p->name;
        }
    }
    cr_assert_geq(kinds, 14, "%zu personas in 400 leads", kinds);
    cr_assert_gt(changed, 200);
}

Test(person, talks_are_short, .init = setup, .fini = teardown)
{
    for (size_t i = 0; i < book_persona_count(book); i++) {
        const struct persona *p = book_persona_at(book, i);
        size_t bytes = 0;
        for (size_t k = 0; k < p->step_count; k++) {
            bytes += speech_say(book_speech(book), VOICE_PERSON, str_of(p->steps[k].say))->len;
            bytes += speech_say(book_speech(book), VOICE_AI, str_of(p->steps[k].ai.say))->len;
        }
        cr_assert_leq(bytes / 8, 22000, "%s: %zu ms of speech", p->name, bytes / 8);
    }
}
