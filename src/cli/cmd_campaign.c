#include "cli/cmd.h"

#include <stdio.h>
#include <string.h>

enum { OPT_CALLS = 1 };

static const struct argp_option report_options[] = {
    {"calls", OPT_CALLS, "N", 0, "Show N calls (default 10, at most 1000)", 0},
    {0},
};

/* start, pause, resume, cancel: the second word of the command is the act. */
static void print_act(const json_t *answer)
{
    struct str to = json_get_str(answer, "to");

    (void)printf("%s: ", cmd_text(answer, "campaign"));
    (void)printf("%s -> " STR_FMT "%s\n", cmd_text(answer, "from"), STR_ARG(to),
                 json_get_bool(answer, "closing", false) ? " until the calls that live have ended"
                                                         : "");
}

static enum exit_code run_act(struct cmd *cmd)
{
    const char *act = strchr(cmd->spec->name, ' ') + 1;
    OWNED(json_free) json_t *doc = cmd_doc(cmd, "campaign", cmd->args[0], "act", act, NULL);
    OWNED(json_free) json_t *answer = NULL;
    enum exit_code code = cmd_ask(cmd, ADMIN_CAMPAIGN_ACT, doc, &answer);

    return code == EXIT_DONE ? cmd_show(cmd, answer, print_act) : code;
}

static int64_t number(const json_t *answer, const char *key)
{
    return json_get_i64(answer, key, 0);
}

static void print_status(const json_t *answer)
{
    const json_t *waiting = json_get_array(answer, "waiting");
    const json_t *lacks = json_get_array(answer, "lacks");

    (void)printf("%s: ", cmd_text(answer, "campaign"));
    (void)printf("%s\n", cmd_text(answer, "status"));
    (void)printf("leads %lld: %lld queued, %lld in progress, %lld completed, %lld failed\n",
                 (long long)number(answer, "leads"), (long long)number(answer, "queued"),
                 (long long)number(answer, "processing"), (long long)number(answer, "completed"),
                 (long long)number(answer, "failed"));
    (void)printf(
        "calls %lld: %lld answered, %lld handed over; %lld live, %lld of unknown outcome\n",
        (long long)number(answer, "total_calls"), (long long)number(answer, "answered_calls"),
        (long long)number(answer, "transferred_calls"), (long long)number(answer, "live"),
        (long long)number(answer, "unknown"));
    for (size_t i = 0; i < json_array_size(waiting); i++) {
        const json_t *w = json_array_get(waiting, i);
        (void)printf("waiting %lld: %s", (long long)number(w, "leads"), cmd_text(w, "reason"));
        (void)printf(", next at %s\n", cmd_text(w, "next_at"));
    }
    for (size_t i = 0; i < json_array_size(lacks); i++) {
        (void)printf("lacks %s\n", json_string_value(json_array_get(lacks, i)));
    }
}

static enum exit_code run_status(struct cmd *cmd)
{
    OWNED(json_free) json_t *doc = cmd_doc(cmd, "campaign", cmd->args[0], NULL);
    OWNED(json_free) json_t *answer = NULL;
    enum exit_code code = cmd_ask(cmd, ADMIN_CAMPAIGN_STATUS, doc, &answer);

    return code == EXIT_DONE ? cmd_show(cmd, answer, print_status) : code;
}

static void print_funnel(const json_t *funnel)
{
    static const struct {
        const char *key;
        const char *words;
    } rows[] = {
        {"leads", "leads"},
        {"leads_dialed", "phoned"},
        {"leads_reached", "talked to"},
        {"interested", "interested"},
        {"transferred", "handed over"},
        {"callback_requested", "want to be called back"},
        {"not_interested", "not interested"},
        {"opted_out", "never again"},
        {"analysed", "calls analysed"},
    };
    int64_t most = json_get_i64(funnel, "leads", 0);

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        int64_t n = json_get_i64(funnel, rows[i].key, 0);
        int bar = most > 0 ? (int)(40 * i64_min(n, most) / most) : 0;
        (void)printf("  %-24s %6lld  %.*s\n", rows[i].words, (long long)n, bar,
                     "########################################");
    }
    (void)printf("  %lld dials, %lld answered, %lld s of talk, cost %.4f\n",
                 (long long)number(funnel, "dials"), (long long)number(funnel, "answered"),
                 (long long)number(funnel, "talk_seconds"),
                 (double)number(funnel, "cost_micros") / 1e6);
}

static void print_call(const json_t *call)
{
    struct str lead = json_get_str(call, "lead");
    struct str outcome = json_get_str(call, "disposition");
    struct str step = json_get_str(call, "next_step");
    struct str url = json_get_str(call, "recording_url");

    if (!outcome.p) {
        outcome = json_get_str(call, "disconnect_reason");
    }
    if (!outcome.p) {
        outcome = json_get_str(call, "status");
    }
    (void)printf("  %-24.*s %-18.*s %4llds  sentiment %5s", (int)lead.len, lead.p ? lead.p : "",
                 (int)outcome.len, outcome.p ? outcome.p : "", (long long)number(call, "duration"),
                 cmd_text(call, "sentiment_score"));
    (void)printf("  score %3s  next: " STR_FMT "\n", cmd_text(call, "score"), STR_ARG(step));
    if (url.p) {
        (void)printf("  %-24s " STR_FMT "\n", "", STR_ARG(url));
    }
}

static void print_counts(const char *title, const json_t *counts)
{
    const char *key;
    json_t *n;

    (void)printf("\n%s\n", title);
    json_object_foreach((json_t *)(uintptr_t)counts, key, n)
    {
        (void)printf("  %-24s %6lld\n", key, (long long)json_integer_value(n));
    }
}

static void print_tasks(const json_t *tasks)
{
    (void)printf("\nTasks: %zu\n", json_array_size(tasks));
    for (size_t i = 0; i < json_array_size(tasks) && i < 10; i++) {
        const json_t *t = json_array_get(tasks, i);
        struct str title = json_get_str(t, "title");
        struct str due = json_get_str(t, "due_date");
        struct str lead = json_get_str(t, "lead");
        (void)printf("  %-10s %-24.*s due %.16s  " STR_FMT "\n", cmd_text(t, "task_type"),
                     (int)lead.len, lead.p ? lead.p : "", due.p ? due.p : "-", STR_ARG(title));
    }
    if (json_array_size(tasks) > 10) {
        (void)printf("  … and %zu more\n", json_array_size(tasks) - 10);
    }
}

static void print_report(const json_t *answer)
{
    const json_t *calls = json_get_array(answer, "calls");
    const json_t *recordings = json_get(answer, "recordings");

    print_status(answer);
    (void)printf("\nFunnel\n");
    print_funnel(json_get(answer, "funnel"));
    print_counts("Where each lead stands", json_get(answer, "outcomes"));
    if (json_object_size(json_get(answer, "rejects")) > 0) {
        print_counts("Rows of the list that became no lead", json_get(answer, "rejects"));
    }
    (void)printf("\nCalls\n");
    for (size_t i = 0; i < json_array_size(calls); i++) {
        print_call(json_array_get(calls, i));
    }
    print_tasks(json_get_array(answer, "tasks"));
    (void)printf("\nRecordings: %lld, %lld s, %lld bytes\n", (long long)number(recordings, "count"),
                 (long long)number(recordings, "seconds"), (long long)number(recordings, "bytes"));
}

static enum exit_code run_report(struct cmd *cmd)
{
    const char *wanted = cmd->options[OPT_CALLS] ? cmd->options[OPT_CALLS] : "10";
    OWNED(json_free) json_t *doc = cmd_doc(cmd, "campaign", cmd->args[0], "calls", wanted, NULL);
    OWNED(json_free) json_t *answer = NULL;
    int64_t calls;

    if (str_to_i64(str_of(wanted), &calls) < 0 || calls < 0 || calls > 1000) {
        return cmd_usage(cmd, "--calls wants a number from 0 to 1000, not %s", wanted);
    }
    enum exit_code code = cmd_ask(cmd, ADMIN_CAMPAIGN_REPORT, doc, &answer);
    return code == EXIT_DONE ? cmd_show(cmd, answer, print_report) : code;
}

static void print_list(const json_t *answer)
{
    const json_t *list = json_get_array(answer, "campaigns");

    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *c = json_array_get(list, i);
        struct str name = json_get_str(c, "campaign");
        (void)printf("%-30.*s %-10s %6lld leads %6lld calls %6lld answered\n", (int)name.len,
                     name.p ? name.p : "", cmd_text(c, "status"), (long long)number(c, "leads"),
                     (long long)number(c, "total_calls"), (long long)number(c, "answered_calls"));
    }
}

static enum exit_code run_list(struct cmd *cmd)
{
    OWNED(json_free) json_t *doc = cmd_doc(cmd, NULL);
    OWNED(json_free) json_t *answer = NULL;
    enum exit_code code = cmd_ask(cmd, ADMIN_CAMPAIGN_LIST, doc, &answer);

    return code == EXIT_DONE ? cmd_show(cmd, answer, print_list) : code;
}

/* `campaign create NAME KEY=VALUE …`: the keys of a set-up file's campaign, for one-liners. */
static void print_created(const json_t *answer)
{
    (void)printf("%s campaign ", cmd_text(answer, "change"));
    (void)printf("%s\n", cmd_text(answer, "key"));
}

static enum exit_code run_create(struct cmd *cmd)
{
    OWNED(json_free) json_t *doc = cmd_doc(cmd, "name", cmd->args[0], NULL);
    OWNED(json_free) json_t *answer = NULL;

    for (size_t i = 1; i < cmd->arg_count; i++) {
        struct str value = str_of(cmd->args[i]);
        struct str key;
        if (str_find_char(value, '=') < 1) {
            return cmd_usage(cmd, "want KEY=VALUE, not %s", cmd->args[i]);
        }
        (void)str_split(&value, '=', &key);
        char name[64];
        if (str_copy(key, name, sizeof name) < 0 || strcmp(name, "actor") == 0) {
            return cmd_usage(cmd, "no key %s", cmd->args[i]);
        }
        json_t *list = NULL;
        bool is_list = value.len > 1 && value.p[0] == '[' && json_parse(value, &list) == 0 &&
                       json_is_array(list);
        if (is_list) {
            (void)json_object_set(doc, name, list);
        } else {
            json_set_str(doc, name, value);
        }
        json_decref(list);
    }
    enum exit_code code = cmd_ask(cmd, ADMIN_CAMPAIGN_PUT, doc, &answer);
    return code == EXIT_DONE ? cmd_show(cmd, answer, print_created) : code;
}

#define CAMPAIGN_VERB(verb, what, fn)                                                              \
    {                                                                                              \
        .name = "campaign " verb, .args_doc = "CAMPAIGN", .words = what, .needs = CMD_TENANT,      \
        .args_min = 1, .args_max = 1, .run = fn                                                    \
    }

const struct cmd_spec cmd_specs_campaign[] = {
    {.name = "campaign create",
     .args_doc = "NAME [KEY=VALUE…]",
     .words = "Create or change a campaign (a draft until it is started)\v"
              "Keys are those of a campaign in a set-up file (`dialwright setup --describe`); a "
              "list is written "
              "as JSON: weekdays=[1,2,3].",
     .needs = CMD_TENANT,
     .args_min = 1,
     .args_max = CMD_ARGS_MAX,
     .run = run_create},
    CAMPAIGN_VERB("start", "Start dialing", run_act),
    CAMPAIGN_VERB("pause", "Stop dialing; calls that live go on", run_act),
    CAMPAIGN_VERB("resume", "Go on after a pause", run_act),
    CAMPAIGN_VERB("cancel", "End it for good; nobody else is called", run_act),
    CAMPAIGN_VERB("status", "Say where it stands and what it waits for", run_status),
    {.name = "campaign report",
     .args_doc = "CAMPAIGN",
     .words = "Funnel, outcomes, calls, tasks, recordings",
     .needs = CMD_TENANT,
     .args_min = 1,
     .args_max = 1,
     .run = run_report,
     .options = report_options},
    {.name = "campaign list", .words = "List the campaigns", .needs = CMD_TENANT, .run = run_list},
    {0},
};
