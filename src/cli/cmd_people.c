#include "cli/cmd.h"

#include "base/phone.h"

#include <stdio.h>
#include <string.h>

/* Agents, do-not-call and consents: small acts on one person each. */
enum {
    OPT_PHONE = 1,
    OPT_EMAIL,
    OPT_SKILLS,
    OPT_AVAILABLE,
    OPT_REASON,
    OPT_WORDS,
    OPT_CAMPAIGN,
    OPT_EVIDENCE,
    OPT_LEVEL,
    OPT_SCOPE,
    OPT_SELLER,
    OPT_SOURCE,
    OPT_AT,
    OPT_LIMIT,
    OPT_REGION,
};

#define LIST_LIMIT "1000"

static enum exit_code ask_and_show(struct cmd *cmd, enum admin_act act, const json_t *doc,
                                   cmd_human_fn *human)
{
    OWNED(json_free) json_t *answer = NULL;
    enum exit_code code = cmd_ask(cmd, act, doc, &answer);

    return code == EXIT_DONE ? cmd_show(cmd, answer, human) : code;
}

/* Puts E.164 of `text` into doc["phone"]; text NULL is left out. */
static enum exit_code put_phone(const struct cmd *cmd, json_t *doc, const char *text)
{
    char e164[PHONE_E164_SIZE];

    if (!text) {
        return EXIT_DONE;
    }
    enum exit_code code = cmd_phone(cmd, text, cmd->options[OPT_REGION], e164, sizeof e164);
    if (code == EXIT_DONE) {
        json_set_str(doc, "phone", str_of(e164));
    }
    return code;
}

static void print_change(const json_t *answer)
{
    (void)printf("%s ", cmd_text(answer, "change"));
    (void)printf("%s ", cmd_text(answer, "what"));
    (void)printf("%s\n", cmd_text(answer, "key"));
}

/* Agents. */
static enum exit_code run_agent_add(struct cmd *cmd)
{
    OWNED(json_free)
    json_t *doc = cmd_doc(cmd, "name", cmd->args[0], "email", cmd->options[OPT_EMAIL], "available",
                          cmd->options[OPT_AVAILABLE] ? "true" : NULL, NULL);
    json_t *skills = json_array();
    struct str rest = cmd->options[OPT_SKILLS] ? str_of(cmd->options[OPT_SKILLS]) : STR_NONE;
    struct str skill;

    while (str_split(&rest, ',', &skill)) {
        skill = str_trim(skill);
        (void)json_array_append_new(skills, json_stringn(skill.p, skill.len));
    }
    if (cmd->options[OPT_SKILLS]) {
        (void)json_object_set(doc, "skills", skills);
    }
    json_decref(skills);
    enum exit_code code = put_phone(cmd, doc, cmd->options[OPT_PHONE]);
    return code == EXIT_DONE ? ask_and_show(cmd, ADMIN_AGENT_PUT, doc, print_change) : code;
}

static void print_agents(const json_t *answer)
{
    const json_t *list = json_get_array(answer, "agents");

    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *a = json_array_get(list, i);
        struct str name = json_get_str(a, "name");
        struct str phone = json_get_str(a, "phone");
        (void)printf("%-30.*s %-10s " STR_FMT "\n", (int)name.len, name.p ? name.p : "",
                     cmd_text(a, "state"), STR_ARG(phone));
    }
}

static enum exit_code run_agent_list(struct cmd *cmd)
{
    OWNED(json_free) json_t *doc = cmd_doc(cmd, NULL);

    return ask_and_show(cmd, ADMIN_AGENT_LIST, doc, print_agents);
}

static enum exit_code run_agent_state(struct cmd *cmd)
{
    const char *state = strchr(cmd->spec->name, ' ') + 1;
    OWNED(json_free) json_t *doc = cmd_doc(cmd, "agent", cmd->args[0], "state", state, NULL);

    return ask_and_show(cmd, ADMIN_AGENT_STATE, doc, print_change);
}

/* Do not call. */
static enum exit_code run_dnc_add(struct cmd *cmd)
{
    const char *reason = cmd->options[OPT_REASON] ? cmd->options[OPT_REASON] : "manual";
    OWNED(json_free)
    json_t *doc = cmd_doc(cmd, "reason", reason, "words", cmd->options[OPT_WORDS], "campaign",
                          cmd->options[OPT_CAMPAIGN], NULL);
    enum exit_code code = put_phone(cmd, doc, cmd->args[0]);

    return code == EXIT_DONE ? ask_and_show(cmd, ADMIN_DNC_PUT, doc, print_change) : code;
}

static void print_dnc(const json_t *answer)
{
    const json_t *list = json_get_array(answer, "entries");

    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *e = json_array_get(list, i);
        struct str phone = json_get_str(e, "phone");
        struct str added = json_get_str(e, "added_at");
        struct str lifted = json_get_str(e, "lifted_at");
        (void)printf("%-17.*s %.19s %-12s", (int)phone.len, phone.p ? phone.p : "",
                     added.p ? added.p : "", cmd_text(e, "reason"));
        (void)printf(" by %s%s%.19s\n", cmd_text(e, "source"), lifted.p ? ", lifted " : "",
                     lifted.p ? lifted.p : "");
    }
    (void)printf("%lld barred\n", (long long)json_get_i64(answer, "total", 0));
}

static enum exit_code run_dnc_list(struct cmd *cmd)
{
    OWNED(json_free)
    json_t *doc =
        cmd_doc(cmd, "limit", cmd->options[OPT_LIMIT] ? cmd->options[OPT_LIMIT] : LIST_LIMIT, NULL);

    return ask_and_show(cmd, ADMIN_DNC_LIST, doc, print_dnc);
}

/* Exit 3 when the number is barred, so that a script can ask. */
static enum exit_code run_dnc_check(struct cmd *cmd)
{
    OWNED(json_free) json_t *doc = cmd_doc(cmd, "limit", LIST_LIMIT, NULL);
    OWNED(json_free) json_t *answer = NULL;
    enum exit_code code = put_phone(cmd, doc, cmd->args[0]);

    if (code == EXIT_DONE) {
        code = cmd_ask(cmd, ADMIN_DNC_LIST, doc, &answer);
    }
    if (code != EXIT_DONE) {
        return code;
    }
    (void)cmd_show(cmd, answer, print_dnc);
    return json_get_bool(answer, "barred", true) ? EXIT_REFUSED : EXIT_DONE;
}

static enum exit_code run_dnc_lift(struct cmd *cmd)
{
    OWNED(json_free) json_t *doc = cmd_doc(cmd, "reason", cmd->options[OPT_REASON], NULL);

    if (!cmd->options[OPT_REASON]) {
        return cmd_usage(cmd, "--reason is missing: lifting is an act that must be explained");
    }
    enum exit_code code = put_phone(cmd, doc, cmd->args[0]);
    return code == EXIT_DONE ? ask_and_show(cmd, ADMIN_DNC_LIFT, doc, print_change) : code;
}

/* Consents. */
static enum exit_code run_consent_add(struct cmd *cmd)
{
    OWNED(json_free)
    json_t *doc =
        cmd_doc(cmd, "evidence", cmd->options[OPT_EVIDENCE], "granted_at", cmd->options[OPT_AT],
                "level", cmd->options[OPT_LEVEL], "scope", cmd->options[OPT_SCOPE], "seller",
                cmd->options[OPT_SELLER], "source", cmd->options[OPT_SOURCE], NULL);

    if (!cmd->options[OPT_EVIDENCE] || !cmd->options[OPT_AT]) {
        return cmd_usage(cmd,
                         "--evidence and --at are needed: there is no consent without evidence");
    }
    enum exit_code code = put_phone(cmd, doc, cmd->args[0]);
    return code == EXIT_DONE ? ask_and_show(cmd, ADMIN_CONSENT_PUT, doc, print_change) : code;
}

static void print_consents(const json_t *answer)
{
    const json_t *list = json_get_array(answer, "consents");

    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *c = json_array_get(list, i);
        struct str phone = json_get_str(c, "phone");
        struct str at = json_get_str(c, "granted_at");
        struct str revoked = json_get_str(c, "revoked_at");
        (void)printf("%-17.*s %.19s %-8s", (int)phone.len, phone.p ? phone.p : "", at.p ? at.p : "",
                     cmd_text(c, "level"));
        (void)printf(" %s%s%.19s\n", cmd_text(c, "seller"), revoked.p ? ", revoked " : "",
                     revoked.p ? revoked.p : "");
    }
}

static enum exit_code run_consent_list(struct cmd *cmd)
{
    OWNED(json_free)
    json_t *doc =
        cmd_doc(cmd, "limit", cmd->options[OPT_LIMIT] ? cmd->options[OPT_LIMIT] : LIST_LIMIT, NULL);
    enum exit_code code = put_phone(cmd, doc, cmd->arg_count > 0 ? cmd->args[0] : NULL);

    return code == EXIT_DONE ? ask_and_show(cmd, ADMIN_CONSENT_LIST, doc, print_consents) : code;
}

static enum exit_code run_consent_revoke(struct cmd *cmd)
{
    const char *reason = cmd->options[OPT_REASON] ? cmd->options[OPT_REASON] : "revoked by hand";
    OWNED(json_free)
    json_t *doc = cmd_doc(cmd, "reason", reason, "scope", cmd->options[OPT_SCOPE], NULL);
    enum exit_code code = put_phone(cmd, doc, cmd->args[0]);

    return code == EXIT_DONE ? ask_and_show(cmd, ADMIN_CONSENT_REVOKE, doc, print_change) : code;
}

#define REGION_OPTION                                                                              \
    {                                                                                              \
        "region", OPT_REGION, "CC", 0, "Country of numbers written without +", 0                   \
    }

static const struct argp_option agent_options[] = {
    {"phone", OPT_PHONE, "NUMBER", 0, "Where calls are handed over to", 0},
    {"email", OPT_EMAIL, "ADDRESS", 0, "Also tells two people of one name apart", 0},
    {"skills", OPT_SKILLS, "A,B", 0, "What the agent is good at", 0},
    {"available", OPT_AVAILABLE, NULL, 0, "Takes calls from now on", 0},
    REGION_OPTION,
    {0},
};
static const struct argp_option dnc_add_options[] = {
    {"reason", OPT_REASON, "WHY", 0,
     "opt_out, complaint, legal, list, manual (default) or wrong_number", 0},
    {"words", OPT_WORDS, "TEXT", 0, "What the person said", 0},
    {"campaign", OPT_CAMPAIGN, "CAMPAIGN", 0, "For this campaign only", 0},
    REGION_OPTION,
    {0},
};
static const struct argp_option lift_options[] = {
    {"reason", OPT_REASON, "WHY", 0, "Needed; kept for ever", 0},
    REGION_OPTION,
    {0},
};
static const struct argp_option limit_options[] = {
    {"limit", OPT_LIMIT, "N", 0, "At most N entries", 0},
    REGION_OPTION,
    {0},
};
static const struct argp_option region_options[] = {REGION_OPTION, {0}};
static const struct argp_option consent_options[] = {
    {"evidence", OPT_EVIDENCE, "TEXT", 0, "What shows it (needed)", 0},
    {"at", OPT_AT, "MOMENT", 0, "When it was given, RFC 3339 (needed)", 0},
    {"level", OPT_LEVEL, "LEVEL", 0, "express (default) or written", 0},
    {"scope", OPT_SCOPE, "SCOPE", 0,
     "ai_voice (default), human_voice, sms, email, purchase or inquiry", 0},
    {"seller", OPT_SELLER, "NAME", 0, "The business that was named; default the legal name", 0},
    {"source", OPT_SOURCE, "TEXT", 0, "Where it came from", 0},
    REGION_OPTION,
    {0},
};
static const struct argp_option revoke_options[] = {
    {"reason", OPT_REASON, "WHY", 0, "What the person said", 0},
    {"scope", OPT_SCOPE, "SCOPE", 0, "Only this scope; default all", 0},
    REGION_OPTION,
    {0},
};

#define ONE(verb, arg, what, fn, opts)                                                             \
    {                                                                                              \
        .name = verb, .args_doc = arg, .words = what, .needs = CMD_TENANT, .args_min = 1,          \
        .args_max = 1, .run = fn, .options = opts                                                  \
    }

const struct cmd_spec cmd_specs_people[] = {
    ONE("agent add", "NAME", "Add or change an agent who takes calls over", run_agent_add,
        agent_options),
    ONE("agent available", "AGENT", "The agent (name or email) takes calls", run_agent_state, NULL),
    ONE("agent offline", "AGENT", "The agent takes no calls", run_agent_state, NULL),
    {.name = "agent list", .words = "List the agents", .needs = CMD_TENANT, .run = run_agent_list},
    ONE("dnc add", "NUMBER", "Never call a number again", run_dnc_add, dnc_add_options),
    ONE("dnc check", "NUMBER", "Is the number barred? Exit 3 when it is", run_dnc_check,
        region_options),
    ONE("dnc lift", "NUMBER", "Lift the bar on a number (audited)", run_dnc_lift, lift_options),
    {.name = "dnc list",
     .words = "List the barred numbers",
     .needs = CMD_TENANT,
     .run = run_dnc_list,
     .options = limit_options},
    ONE("consent add", "NUMBER", "Record a consent with its evidence", run_consent_add,
        consent_options),
    ONE("consent revoke", "NUMBER", "Revoke the consents of a number", run_consent_revoke,
        revoke_options),
    {.name = "consent list",
     .args_doc = "[NUMBER]",
     .words = "List consents",
     .needs = CMD_TENANT,
     .args_max = 1,
     .run = run_consent_list,
     .options = limit_options},
    {0},
};
