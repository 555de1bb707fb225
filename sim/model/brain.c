#include "brain.h"

#include <string.h>

#define EXACT_LINE "SAY EXACTLY:"

void brain_hear(struct brain *b, struct hearing *h)
{
    for (size_t i = 0; i < h->count; i++) {
        const struct persona *who = NULL;
        struct heard *s = &h->said[i];
        const struct step *step = book_step(b->book, s->id, &who);
        if (step != NULL && heard_most(s)) {
            b->unanswered = step;
            b->unclear = false;
        } else if (b->unanswered == NULL) {
            b->unclear = true;
        }
    }
    if (h->count == 0 && b->unanswered == NULL) {
        b->unclear = true; /* a voice, but no words that we know: noise, or a broken line */
    }
}

/* Did the tool say that it did not work? */
static bool output_is_bad(struct str output)
{
    OWNED(json_free) json_t *j = NULL;
    static const char *const flags[] = {"ok", "accepted", "success", "done"};

    if (json_parse(output, &j) < 0 || !json_is_object(j)) {
        return str_contains_nocase(output, STR("error")) ||
               str_contains_nocase(output, STR("not available"));
    }
    for (size_t i = 0; i < COUNT_OF(flags); i++) {
        if (json_is_false(json_object_get(j, flags[i]))) {
            return true;
        }
    }
    return json_object_get(j, "error") != NULL;
}

void brain_output(struct brain *b, struct str output)
{
    b->output_came = true;
    b->output_bad |= output_is_bad(output);
}

struct str brain_exact(struct str instructions)
{
    struct str rest = instructions;
    struct str line;

    while (str_split(&rest, '\n', &line)) {
        line = str_trim(line);
        if (str_starts(line, STR(EXACT_LINE))) {
            struct str same = str_trim(str_skip(line, strlen(EXACT_LINE)));
            return same.len > 0 ? same : str_trim(rest);
        }
    }
    return STR_NONE;
}

static struct plan say(const char *text)
{
    return (struct plan){str_of(text), NULL};
}

static struct plan follow(struct brain *b, const struct ai_turn *turn)
{
    b->last = turn;
    return (struct plan){str_of(turn->say), turn};
}

static struct plan plan_after_tools(struct brain *b)
{
    const struct ai_turn *last = b->last;
    bool bad = b->output_bad;

    b->output_came = false;
    b->output_bad = false;
    if (last != NULL && bad && last->otherwise != NULL) {
        return follow(b, last->otherwise);
    }
    if (last != NULL && last->then != NULL) {
        return follow(b, last->then);
    }
    return say(book_line(b->book, "ack"));
}

struct plan brain_plan(struct brain *b, enum brain_cause cause, struct str own, struct str whole)
{
    struct str exact = brain_exact(whole);
    bool first = !b->spoken;

    b->spoken = true;
    if (exact.len > 0) {
        return (struct plan){exact, NULL};
    }
    const char *ruled = own.len > 0 ? book_line_for(b->book, own) : NULL;
    if (ruled != NULL) {
        return say(ruled);
    }
    if (cause == BRAIN_ASKED && b->output_came && b->unanswered == NULL) {
        return plan_after_tools(b);
    }
    b->output_came = false;
    b->output_bad = false;
    if (b->unanswered != NULL) {
        const struct step *step = b->unanswered;
        b->unanswered = NULL;
        b->unclear = false;
        return follow(b, &step->ai);
    }
    if (b->unclear || cause == BRAIN_TURN) {
        b->unclear = false;
        return say(book_line(b->book, "repeat"));
    }
    return say(book_line(b->book, first || b->last == NULL ? "opening" : "still_there"));
}
