#include "call/call_words.h"

#include <criterion/criterion.h>
#include <string.h>

Test(call_words, long_texts_are_bounded)
{
    static char text[100000];
    memset(text, 'a', sizeof text);
    for (size_t i = 0; i < sizeof text; i += 2) {
        text[i] = ' ';
    }
    cr_expect_leq(words_found_percent(str_make(text, sizeof text), str_make(text, sizeof text)),
                  100);
}

Test(call_words, comparing_what_was_said_with_what_was_ordered)
{
    static const struct {
        const char *wanted, *said;
        int least, most;
    } cases[] = {
        {"Hello, this is an AI.", "hello this is an ai", 100, 100},
        {"Hello, this is an AI.", "Hello! This is — an AI…", 100, 100},
        {"one two three four five", "one two four five", 80, 80},
        {"one two three four", "four three two one", 25, 25},
        {"one two three four", "zero one and two or three but four", 100, 100},
        {"one two three four", "", 0, 0},
        {"", "anything", 100, 100},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        int percent = words_found_percent(str_of(cases[i].wanted), str_of(cases[i].said));
        cr_expect_geq(percent, cases[i].least, "'%s' in '%s': %d", cases[i].wanted, cases[i].said,
                      percent);
        cr_expect_leq(percent, cases[i].most, "'%s' in '%s': %d", cases[i].wanted, cases[i].said,
                      percent);
    }
    cr_expect(words_same(STR("Hello, World!"), STR("hello world")));
    cr_expect_not(words_same(STR("Hello, World!"), STR("hello worlds")));
    cr_expect_not(words_same(STR("a b"), STR("ab")));
}

/* The vocabulary of call_logs.disconnect_reason. */
Test(call_words, ends_have_the_names_of_the_database)
{
    static const char *const allowed =
        " completed no_answer busy rejected invalid_number unreachable voicemail fax_or_sit "
        "opted_out "
        "wrong_number transferred caller_hangup agent_hangup max_duration silence_timeout "
        "provider_error model_error cancelled refused_by_carrier outcome_unknown ";
    for (int i = CALL_END_NONE + 1; i < CALL_END_COUNT; i++) {
        char padded[64] = " ";
        str_copy_cut(str_of(call_end_name((enum call_end)i)), padded + 1, sizeof padded - 2);
        size_t len = strlen(padded);
        cr_assert_gt(len, 2);
        padded[len] = ' ';
        padded[len + 1] = '\0';
        cr_expect_not_null(strstr(allowed, padded), "'%s'", padded);
    }
}
