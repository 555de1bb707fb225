#include "carrier/plivo/cause.h"

#include <criterion/criterion.h>
#include <string.h>

/* The vocabularies of call_attempts.outcome and call_logs.disconnect_reason. */
static const char *const outcomes[] = {"answered",  "no_answer",  "busy",
                                       "voicemail", "rejected",   "invalid_number",
                                       "failed",    "not_placed", "unknown"};
static const char *const reasons[] = {"completed",          "no_answer",      "busy",
                                      "rejected",           "invalid_number", "unreachable",
                                      "voicemail",          "caller_hangup",  "agent_hangup",
                                      "max_duration",       "cancelled",      "provider_error",
                                      "refused_by_carrier", "outcome_unknown"};

static bool is_one_of(const char *word, const char *const *words, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (word != NULL && strcmp(word, words[i]) == 0) {
            return true;
        }
    }
    return false;
}

Test(cause, every_code_of_the_page_is_there)
{
    static const int32_t codes[] = {
        0,    1000, 1010, 1020, 2000, 2010, 2020, 2030, 2040, 2050, 2060, 2070, 3000, 3010, 3020,
        3030, 3040, 3050, 3070, 3080, 3090, 3100, 3110, 3120, 3130, 3140, 4000, 4010, 4020, 4030,
        4210, 4240, 4250, 5000, 5010, 5020, 5030, 6000, 6010, 6020, 7011, 7012, 7013, 7014, 7022,
        7023, 7024, 7032, 7033, 7034, 8011, 8012, 8013, 8014, 9000, 9100, 9110};
    size_t count;
    (void)plivo_cause_table(&count);
    cr_assert_eq(count, COUNT_OF(codes));
    for (size_t i = 0; i < COUNT_OF(codes); i++) {
        cr_expect_not_null(plivo_cause_find(codes[i]), "%d", codes[i]);
    }
}

Test(cause, every_code_gives_words_of_ours)
{
    static const char *const statuses[] = {"",        "completed", "busy",   "failed",
                                           "timeout", "no-answer", "cancel", "new-word"};
    size_t count;
    const struct plivo_cause *table = plivo_cause_table(&count);
    for (size_t i = 0; i <= count; i++) {
        for (size_t k = 0; k < 2 * COUNT_OF(statuses); k++) {
            const struct plivo_end end = {.code = i < count ? table[i].code : 4711,
                                          .status = str_of(statuses[k / 2]),
                                          .answered = k % 2 == 1};
            const char *outcome = NULL;
            const char *reason = NULL;
            plivo_cause_judge(&end, &outcome, &reason);
            cr_expect(is_one_of(outcome, outcomes, COUNT_OF(outcomes)), "%d %s", end.code, outcome);
            cr_expect(is_one_of(reason, reasons, COUNT_OF(reasons)), "%d %s", end.code, reason);
            /* A number is given up only on the word of the network, never on a status word. */
            if (i == count) {
                cr_expect_str_neq(outcome, "invalid_number");
            }
        }
    }
}

Test(cause, judges)
{
    static const struct {
        int32_t code;
        const char *status;
        const char *source;
        bool answered;
        const char *outcome;
        const char *reason;
    } rows[] = {
        {4000, "completed", "Callee", true, "answered", "caller_hangup"},
        {4000, "completed", "Call recipient", true, "answered", "caller_hangup"},
        {4000, "completed", "API Request", true, "answered", "completed"},
        {4010, "completed", "Plivo", true, "answered", "completed"},
        {1000, "completed", "API Request", true, "answered", "completed"},
        {1000, "cancel", "API Request", false, "failed", "cancelled"},
        {6000, "completed", "Plivo", true, "answered", "max_duration"},
        {3010, "busy", "Carrier", false, "busy", "busy"},
        {3100, "busy", "Carrier", false, "busy", "busy"},
        {3000, "no-answer", "Carrier", false, "no_answer", "no_answer"},
        {6010, "timeout", "Plivo", false, "no_answer", "no_answer"},
        {3020, "failed", "Carrier", false, "rejected", "rejected"},
        {3110, "failed", "Callee", false, "rejected", "rejected"},
        {2000, "failed", "Carrier", false, "invalid_number", "invalid_number"},
        {3050, "failed", "Carrier", false, "invalid_number", "invalid_number"},
        {3120, "failed", "Carrier", false, "invalid_number", "invalid_number"},
        {2010, "failed", "Carrier", false, "failed", "unreachable"},
        {3030, "failed", "Plivo", false, "failed", "refused_by_carrier"},
        {5030, "failed", "Plivo", false, "failed", "refused_by_carrier"},
        {5010, "failed", "Plivo", false, "failed", "provider_error"},
        {7011, "failed", "Error", true, "answered", "provider_error"},
        {8011, "failed", "Error", true, "answered", "provider_error"},
        {6020, "completed", "Plivo", true, "answered", "provider_error"},
        {9100, "completed", "Plivo", true, "voicemail", "voicemail"},
        {9100, "completed", "Plivo", false, "voicemail", "voicemail"},
        {0, "busy", "", false, "busy", "busy"},
        {-1, "no-answer", "", false, "no_answer", "no_answer"},
        {-1, "completed", "Callee", true, "answered", "caller_hangup"},
        {4711, "failed", "", false, "failed", "unreachable"},
        {4711, "", "", false, "failed", "unreachable"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const struct plivo_end end = {.code = rows[i].code,
                                      .status = str_of(rows[i].status),
                                      .source = str_of(rows[i].source),
                                      .answered = rows[i].answered};
        const char *outcome = NULL;
        const char *reason = NULL;
        plivo_cause_judge(&end, &outcome, &reason);
        cr_expect_str_eq(outcome, rows[i].outcome, "row %zu: %s", i, outcome);
        cr_expect_str_eq(reason, rows[i].reason, "row %zu: %s", i, reason);
    }
}
