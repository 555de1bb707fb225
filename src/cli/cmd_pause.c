#include "cli/cmd.h"

#include "base/phone.h"

#include <stdio.h>
#include <string.h>

/* What an organization adds to the law: switches that stop dialing (platform, tenant, campaign,
 * number), and rules of its own, which can only make the law's stricter. */
enum {
    OPT_FROM = 1,
    OPT_CLOSE,
    OPT_NOTE,
    OPT_PLATFORM,
    OPT_TENANT,
    OPT_CAMPAIGN,
    OPT_NUMBER,
    OPT_REASON,
    OPT_REGION
};

static void print_change(const json_t *answer)
{
    (void)printf("%s ", cmd_text(answer, "change"));
    (void)printf("%s\n", cmd_text(answer, "key"));
}

static const char *scope_of(const struct cmd *cmd)
{
    static const struct {
        int option;
        const char *scope;
    } scopes[] = {{OPT_PLATFORM, "platform"},
                  {OPT_TENANT, "tenant"},
                  {OPT_CAMPAIGN, "campaign"},
                  {OPT_NUMBER, "number"}};
    const char *found = NULL;

    for (size_t i = 0; i < COUNT_OF(scopes); i++) {
        if (cmd->options[scopes[i].option]) {
            if (found) {
                return NULL;
            }
            found = scopes[i].scope;
        }
    }
    return found;
}

static enum exit_code run_switch(struct cmd *cmd)
{
    bool resume = strcmp(cmd->spec->name, "dialing resume") == 0;
    const char *scope = scope_of(cmd);
    char e164[PHONE_E164_SIZE] = "";
    enum exit_code code = EXIT_DONE;
    OWNED(json_free) json_t *answer = NULL;

    if (!scope) {
        return cmd_usage(cmd, "one of --platform, --tenant, --campaign and --number is needed");
    }
    if (!resume && !cmd->options[OPT_REASON]) {
        return cmd_usage(cmd, "--reason is missing: who finds dialing stopped must find out why");
    }
    if (cmd->options[OPT_NUMBER]) {
        code =
            cmd_phone(cmd, cmd->options[OPT_NUMBER], cmd->options[OPT_REGION], e164, sizeof e164);
    }
    if (code != EXIT_DONE) {
        return code;
    }
    OWNED(json_free)
    json_t *doc = cmd_doc(cmd, "scope", scope, "campaign", cmd->options[OPT_CAMPAIGN], "phone",
                          e164[0] != '\0' ? e164 : NULL, "reason", cmd->options[OPT_REASON], NULL);
    (void)json_object_set_new(doc, "resume", json_boolean(resume));
    code = cmd_ask(cmd, ADMIN_PAUSE_PUT, doc, &answer);
    return code == EXIT_DONE ? cmd_show(cmd, answer, print_change) : code;
}

static enum exit_code run_rule_tighten(struct cmd *cmd)
{
    bool ends = cmd->options[OPT_CLOSE] != NULL;
    json_t *value = NULL;
    OWNED(json_free) json_t *answer = NULL;

    if (cmd->arg_count != (ends ? 2u : 3u)) {
        return cmd_usage(cmd, ends ? "--close wants a place and a rule"
                                   : "a place, a rule and its value (JSON) are needed");
    }
    if (!ends) {
        value = json_loads(cmd->args[2], 0, NULL);
        if (!value) {
            return cmd_usage(cmd, "the value is no JSON: %s", cmd->args[2]);
        }
    }
    OWNED(json_free)
    json_t *doc = cmd_doc(cmd, "jurisdiction", cmd->args[0], "rule", cmd->args[1], "from",
                          cmd->options[OPT_FROM], "note", cmd->options[OPT_NOTE], NULL);
    if (value) {
        (void)json_object_set_new(doc, "value", value);
    }
    (void)json_object_set_new(doc, "close", json_boolean(ends));
    enum exit_code code = cmd_ask(cmd, ADMIN_RULE_PUT, doc, &answer);
    return code == EXIT_DONE ? cmd_show(cmd, answer, print_change) : code;
}

static void print_rules(const json_t *answer)
{
    const json_t *rules = json_get_array(answer, "rules");

    for (size_t i = 0; i < json_array_size(rules); i++) {
        const json_t *r = json_array_get(rules, i);
        OWNED(buf_fini) struct buf value = {0};
        buf_init(&value, 64 * 1024);
        if (json_dump(json_get(r, "value"), &value) < 0) {
            continue;
        }
        (void)printf("%-6s ", cmd_text(r, "jurisdiction"));
        (void)printf("%-14s ", cmd_text(r, "rule"));
        (void)printf("%s %s", json_get_bool(r, "own", false) ? "own" : "law", buf_cstr(&value));
        (void)printf(" (%s)\n", cmd_text(r, "source"));
    }
}

static enum exit_code run_rule_list(struct cmd *cmd)
{
    OWNED(json_free)
    json_t *doc = cmd_doc(cmd, "jurisdiction", cmd->arg_count > 0 ? cmd->args[0] : NULL, NULL);
    OWNED(json_free) json_t *answer = NULL;
    enum exit_code code = cmd_ask(cmd, ADMIN_RULE_LIST, doc, &answer);

    return code == EXIT_DONE ? cmd_show(cmd, answer, print_rules) : code;
}

static const struct argp_option options[] = {
    {"platform", OPT_PLATFORM, NULL, 0, "Everybody's", 0},
    {"tenant", OPT_TENANT, NULL, 0, "This organization's", 0},
    {"campaign", OPT_CAMPAIGN, "CAMPAIGN", 0, "One campaign's", 0},
    {"number", OPT_NUMBER, "NUMBER", 0, "From a caller id, or to somebody's number", 0},
    {"reason", OPT_REASON, "WHY", 0, "Needed to pause", 0},
    {"region", OPT_REGION, "CC", 0, "Country of a number written without +", 0},
    {0},
};

static const struct argp_option rule_options[] = {
    {"from", OPT_FROM, "DATE", 0, "First day (UTC) in force; default today", 0},
    {"close", OPT_CLOSE, NULL, 0, "End the rule instead, from that day on", 0},
    {"note", OPT_NOTE, "TEXT", 0, "Why", 0},
    {0},
};

const struct cmd_spec cmd_specs_pause[] = {
    {.name = "rule tighten",
     .args_doc = "PLACE RULE [VALUE]",
     .words = "Add a rule of your own; it can only make the law's stricter\v"
              "PLACE is ALL, a country (US) or a part of one (US-TX). RULE and VALUE are as in "
              "docs/compliance.md: hours '{\"spans\": [{\"days\": [1,2,3,4,5], \"from\": "
              "\"10:00\", \"to\": \"18:00\"}]}', frequency '{\"24h\": 1}', …",
     .needs = CMD_TENANT,
     .args_min = 2,
     .args_max = 3,
     .run = run_rule_tighten,
     .options = rule_options},
    {.name = "rule list",
     .args_doc = "[PLACE]",
     .words = "The rules in force, the law's and your own",
     .needs = CMD_TENANT,
     .args_max = 1,
     .run = run_rule_list},
    {.name = "dialing pause",
     .words =
         "Stop dialing at once; calls that are talking go on, phones that ring are not talked to",
     .needs = CMD_TENANT,
     .run = run_switch,
     .options = options},
    {.name = "dialing resume",
     .words = "Let dialing go on",
     .needs = CMD_TENANT,
     .run = run_switch,
     .options = options},
    {0},
};
