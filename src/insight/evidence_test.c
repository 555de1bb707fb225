#include "insight/evidence.h"

#include <criterion/criterion.h>
#include <string.h>

static const struct insight_turn talk[] = {
    {{{1}}, INSIGHT_AI, {"Does a hundred dollars a month fit your budget?", 47}},
    {{{2}}, INSIGHT_LEAD, {"Yes, it\xe2\x80\x99s fine \xe2\x80\x94 we\n have 100 $.", 33}},
    {{{3}}, INSIGHT_AI, {"I will send you the contract.", 29}},
    {{{4}},
     INSIGHT_LEAD,
     {"\xc3\x9c"
      "BERMORGEN um zehn. Nicht vorher!",
      34}},
    {{{5}}, INSIGHT_LEAD, {"\xe6\x88\x91\xe8\xa6\x81\xe4\xb9\xb0", 9}},
};

Test(evidence, quotes)
{
    static const struct {
        const char *label, *quote;
        int64_t turn;
        enum evidence_of of;
        int found; /* turn, 0: none */
    } rows[] = {
        {"exact", "Nicht vorher!", 4, EVIDENCE_LEAD, 4},
        {"case, spacing, punctuation", "YES -- its fine, we have 100", 2, EVIDENCE_LEAD, 2},
        {"an umlaut in capitals",
         "\xc3\xbc"
         "bermorgen",
         4, EVIDENCE_LEAD, 4},
        {"wrong number",
         "\xc3\x9c"
         "bermorgen um zehn",
         2, EVIDENCE_LEAD, 4},
        {"number out of range", "nicht vorher", 99, EVIDENCE_LEAD, 4},
        {"negative number", "nicht vorher", -1, EVIDENCE_LEAD, 4},
        {"the AI's words do not count for the lead", "a hundred dollars", 1, EVIDENCE_LEAD, 0},
        {"but do for anybody", "a hundred dollars", 1, EVIDENCE_ANYBODY, 1},
        {"half a word", "ermorgen", 4, EVIDENCE_LEAD, 0},
        {"words in another order", "zehn um", 4, EVIDENCE_LEAD, 0},
        {"across two turns", "have 100 I will", 2, EVIDENCE_ANYBODY, 0},
        {"invented", "two hundred dollars", 2, EVIDENCE_LEAD, 0},
        {"empty", "", 2, EVIDENCE_LEAD, 0},
        {"only signs", "-- ... !", 2, EVIDENCE_LEAD, 0},
        {"a script without spaces", "\xe8\xa6\x81\xe4\xb9\xb0", 5, EVIDENCE_LEAD, 5},
        {"not UTF-8", "\xff\xfe", 2, EVIDENCE_LEAD, 0},
    };
    struct evidence e;
    evidence_init(&e, talk, COUNT_OF(talk));
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const struct insight_turn *turn =
            evidence_find(&e, rows[i].turn, str_of(rows[i].quote), rows[i].of);
        int found = turn == NULL ? 0 : (int)(turn - talk) + 1;
        cr_expect_eq(found, rows[i].found, "%s: %d", rows[i].label, found);
    }
    evidence_fini(&e);
}

Test(evidence, a_quote_longer_than_any_is_refused)
{
    char text[EVIDENCE_QUOTE_MAX + 2];
    memset(text, 'a', sizeof text);
    const struct insight_turn long_talk = {{{1}}, INSIGHT_LEAD, {text, sizeof text}};
    struct evidence e;
    evidence_init(&e, &long_talk, 1);
    cr_expect_null(evidence_find(&e, 1, str_make(text, sizeof text), EVIDENCE_LEAD));
    evidence_fini(&e);
}

Test(evidence, nothing_was_said)
{
    struct evidence e;
    evidence_init(&e, NULL, 0);
    cr_expect_null(evidence_find(&e, 1, STR("word"), EVIDENCE_ANYBODY));
    evidence_fini(&e);
    cr_expect_eq(evidence_lead_words(NULL, 0), 0);
}

Test(evidence, counts_the_leads_words)
{
    cr_expect_eq(evidence_lead_words(talk, 1), 0);
    cr_expect_eq(evidence_lead_words(talk, 2), 6);
    cr_expect_eq(evidence_lead_words(talk + 4, 1), 3, "one a character");
}
