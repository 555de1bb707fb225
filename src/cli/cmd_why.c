#include "cli/cmd.h"

#include "base/clock.h"

#include <stdio.h>
#include <string.h>

/* `why WHO`: what the gate says of a lead, check by check, and what was decided before. */
#define EVIDENCE_MAX 65536

enum { OPT_CAMPAIGN = 1, OPT_AT, OPT_NUMBERS };

static void print_check(const json_t *check)
{
    const char *state = cmd_text(check, "state");
    bool failed = strcmp(state, "failed") == 0;

    (void)printf("  %-11s ", failed ? "FAILED" : state);
    (void)printf("%-17s ", cmd_text(check, "check"));
    (void)printf("%s\n", failed ? cmd_text(check, "words") : cmd_text(check, "asks"));
    if (!failed) {
        return;
    }
    if (json_is_string(json_get(check, "remedy"))) {
        (void)printf("%32sto change it: %s\n", "", cmd_text(check, "remedy"));
    }
    if (json_is_string(json_get(check, "next_change_at"))) {
        (void)printf("%32schanges at %s\n", "", cmd_text(check, "next_change_at"));
    }
    OWNED(buf_fini) struct buf seen = {0};
    buf_init(&seen, EVIDENCE_MAX);
    if (json_object_size(json_get(check, "evidence")) > 0 &&
        json_dump(json_get(check, "evidence"), &seen) == 0) {
        (void)printf("%32sseen: %s\n", "", buf_cstr(&seen));
    }
}

static void print_next(const json_t *next)
{
    const json_t *proof = json_get(next, "proof");
    const json_t *before = json_get(proof, "before");

    if (json_is_string(json_get(next, "at"))) {
        (void)printf("Next: %s; the gate says yes then", cmd_text(next, "at"));
        (void)printf("%s%s\n", json_is_object(before) ? ", and a second earlier " : "",
                     json_is_object(before) ? cmd_text(before, "gate") : "");
    } else if (json_is_string(json_get(next, "depends_on"))) {
        (void)printf("Next: when a live call has ended (%s)\n", cmd_text(next, "depends_on"));
    } else {
        (void)printf("Next: never by itself (%s)\n", cmd_text(next, "never_because"));
    }
}

static void print_attempt(const json_t *a)
{
    (void)printf("  %s. ", cmd_text(a, "attempt"));
    (void)printf("%s  ", cmd_text(a, "at"));
    (void)printf("%s", json_is_string(json_get(a, "outcome")) ? cmd_text(a, "outcome")
                                                              : cmd_text(a, "status"));
    (void)printf(" (%s)", cmd_text(a, "disconnect_reason"));
    if (json_get_bool(a, "will_retry", false)) {
        (void)printf(", again at %s", cmd_text(a, "next_retry_at"));
        (void)printf(": %s", cmd_text(a, "retry_reason"));
    } else if (json_is_string(json_get(a, "retry_reason"))) {
        (void)printf(", not again: %s", cmd_text(a, "retry_reason"));
    }
    (void)printf("\n");
}

static void print_campaign(const json_t *c)
{
    const json_t *checks = json_get_array(c, "checks");
    const json_t *attempts = json_get_array(c, "attempts");
    bool callable = json_get_bool(c, "callable", false);

    (void)printf("\nCampaign %s: ", cmd_text(c, "campaign"));
    (void)printf("%s%s\n", callable ? "may be called now" : "not called now: ",
                 callable ? "" : cmd_text(c, "reason"));
    for (size_t i = 0; i < json_array_size(checks); i++) {
        print_check(json_array_get(checks, i));
    }
    print_next(json_get(c, "next"));
    (void)printf("Attempts: %zu\n", json_array_size(attempts));
    for (size_t i = 0; i < json_array_size(attempts); i++) {
        print_attempt(json_array_get(attempts, i));
    }
}

static void print_was_called(const json_t *call)
{
    static const char *const plain[] = {"at", "reason"};
    const char *key;
    json_t *value;

    (void)printf("It was called at %s because every check passed. What they saw:\n",
                 cmd_text(call, "at"));
    json_object_foreach(json_get(call, "gate"), key, value)
    {
        bool skip = false;
        for (size_t i = 0; i < COUNT_OF(plain); i++) {
            skip = skip || strcmp(key, plain[i]) == 0;
        }
        if (skip) {
            continue;
        }
        OWNED(buf_fini) struct buf text = {0};
        buf_init(&text, EVIDENCE_MAX);
        if (json_dump(value, &text) == 0) {
            (void)printf("  %-20s %s\n", key, buf_cstr(&text));
        }
    }
    print_attempt(call);
}

static void print_why(const json_t *answer)
{
    const json_t *lead = json_get(answer, "lead");
    const json_t *campaigns = json_get_array(answer, "campaigns");

    (void)printf("%s ", cmd_text(lead, "name"));
    (void)printf("%s, at ", cmd_text(lead, "phone"));
    (void)printf("%s\n", cmd_text(answer, "at"));
    if (json_is_object(json_get(answer, "was_called"))) {
        print_was_called(json_get(answer, "was_called"));
    }
    if (json_array_size(campaigns) == 0) {
        (void)printf("In no campaign: nobody calls this lead.\n");
    }
    for (size_t i = 0; i < json_array_size(campaigns); i++) {
        print_campaign(json_array_get(campaigns, i));
    }
}

static bool any_callable(const json_t *answer)
{
    const json_t *campaigns = json_get_array(answer, "campaigns");

    for (size_t i = 0; i < json_array_size(campaigns); i++) {
        if (json_get_bool(json_array_get(campaigns, i), "callable", false)) {
            return true;
        }
    }
    return false;
}

static enum exit_code run_why(struct cmd *cmd)
{
    OWNED(json_free)
    json_t *doc = cmd_doc(cmd, "who", cmd->args[0], "campaign", cmd->options[OPT_CAMPAIGN], "at",
                          cmd->options[OPT_AT], "show_numbers",
                          cmd->options[OPT_NUMBERS] ? "true" : NULL, NULL);
    OWNED(json_free) json_t *answer = NULL;
    int64_t at_us;

    if (cmd->options[OPT_AT] && clock_parse(str_of(cmd->options[OPT_AT]), &at_us) < 0) {
        return cmd_usage(cmd, "--at wants a moment like 2026-11-23T09:00:00Z, not %s",
                         cmd->options[OPT_AT]);
    }
    enum exit_code code = cmd_ask(cmd, ADMIN_WHY, doc, &answer);
    if (code != EXIT_DONE) {
        return code;
    }
    (void)cmd_show(cmd, answer, print_why);
    bool told = json_is_object(json_get(answer, "was_called"));
    return told || any_callable(answer) ? EXIT_DONE : EXIT_REFUSED;
}

static const struct argp_option why_options[] = {
    {"campaign", OPT_CAMPAIGN, "CAMPAIGN", 0, "Only this campaign; default all that have the lead",
     0},
    {"at", OPT_AT, "MOMENT", 0, "As of this moment (RFC 3339; default now)", 0},
    {"show-numbers", OPT_NUMBERS, NULL, 0, "Show the phone number in full", 0},
    {0},
};

const struct cmd_spec cmd_specs_why[] = {
    {.name = "why",
     .args_doc = "LEAD|NUMBER|REFERENCE|CALL",
     .words =
         "Why a lead is or is not called: every check, what would change it, and when\v"
         "WHO is a lead's id, its number (+…), its e-mail or the reference the list brought, or "
         "the id of a call: then why that call was made. Exit 0 when the lead may be called at "
         "that moment, 3 when a rule says no.",
     .needs = CMD_TENANT,
     .args_min = 1,
     .args_max = 1,
     .run = run_why,
     .options = why_options},
    {0},
};
