#include "cli/cmd.h"

#include <stdio.h>
#include <string.h>

/* What an operator says about dials and nodes: audited acts, each with its reason. */
enum {
    OPT_ENDED = 1,
    OPT_NOT_PLACED,
    OPT_OUTCOME,
    OPT_WHY,
    OPT_SINCE,
    OPT_LIMIT,
};

#define LIST_LIMIT "1000"

static enum exit_code ask_and_show(struct cmd *cmd, enum admin_act act, const json_t *doc,
                                   cmd_human_fn *human)
{
    OWNED(json_free) json_t *answer = NULL;
    enum exit_code code = cmd_ask(cmd, act, doc, &answer);

    return code == EXIT_DONE ? cmd_show(cmd, answer, human) : code;
}

static bool reason_given(const struct cmd *cmd)
{
    return cmd->options[OPT_WHY] != NULL && cmd->options[OPT_WHY][0] != '\0';
}

/* --- calls ---------------------------------------------------------------------------------------- */

static void print_unknown(const json_t *answer)
{
    const json_t *list = json_get_array(answer, "calls");

    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *c = json_array_get(list, i);
        struct str at = json_get_str(c, "intent_at");
        (void)printf("%s  %.19s  ", cmd_text(c, "id"), at.p ? at.p : "");
        (void)printf("%s -> %s  ", cmd_text(c, "from"), cmd_text(c, "to"));
        (void)printf("unknown for %lld s, %lld empty searches%s%s%s\n",
                     (long long)json_get_i64(c, "unknown_s", 0),
                     (long long)json_get_i64(c, "absent_scans", 0),
                     json_get_str(c, "ringing_at").len > 0 ? ", it rang" : "",
                     json_get_str(c, "answered_at").len > 0 ? ", it was answered" : "",
                     json_get_bool(c, "owner_gone", false) ? "" : ", its worker may still live");
    }
    (void)printf("%zu calls whose outcome is not known\n", json_array_size(list));
}

static enum exit_code run_call_unknown(struct cmd *cmd)
{
    const char *limit = cmd->options[OPT_LIMIT] ? cmd->options[OPT_LIMIT] : LIST_LIMIT;
    OWNED(json_free) json_t *doc = cmd_doc(cmd, "limit", limit, NULL);

    return ask_and_show(cmd, ADMIN_CALL_UNKNOWN, doc, print_unknown);
}

static void print_settled(const json_t *answer)
{
    (void)printf("%s is %s", cmd_text(answer, "call"), cmd_text(answer, "status"));
    (void)printf(" (%s)", cmd_text(answer, "outcome"));
    if (json_get_bool(answer, "will_retry", false)) {
        (void)printf(", to be tried again at %s", cmd_text(answer, "next_retry_at"));
    }
    (void)printf("\n");
}

static enum exit_code run_call_settle(struct cmd *cmd)
{
    static const char *const outcomes[] = {"answered", "no_answer", "busy",          "voicemail",
                                           "rejected", "failed",    "invalid_number"};
    const char *outcome = cmd->options[OPT_OUTCOME];
    bool ended = cmd->options[OPT_ENDED] != NULL;
    bool known = outcome == NULL;
    struct uuid id;

    for (size_t i = 0; i < COUNT_OF(outcomes); i++) {
        known = known || strcmp(outcome, outcomes[i]) == 0;
    }
    if (uuid_parse(str_of(cmd->args[0]), &id) < 0) {
        return cmd_usage(cmd, "%s is no call's id; `dialwright call unknown` lists them",
                         cmd->args[0]);
    }
    if (ended == (cmd->options[OPT_NOT_PLACED] != NULL)) {
        return cmd_usage(cmd, "say either --ended or --not-placed");
    }
    if (!known || (!ended && outcome != NULL)) {
        return cmd_usage(cmd, "--outcome goes with --ended and is answered, no_answer, busy, "
                              "voicemail, rejected, failed or invalid_number");
    }
    if (!reason_given(cmd)) {
        return cmd_usage(cmd,
                         "--why is missing: settling by hand is an act that must be explained");
    }
    OWNED(json_free)
    json_t *doc = cmd_doc(cmd, "call", cmd->args[0], "verdict", ended ? "ended" : "not_placed",
                          "outcome", outcome, "why", cmd->options[OPT_WHY], NULL);

    return ask_and_show(cmd, ADMIN_CALL_SETTLE, doc, print_settled);
}

/* --- nodes ---------------------------------------------------------------------------------------- */

static void print_nodes(const json_t *answer)
{
    const json_t *list = json_get_array(answer, "nodes");

    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *n = json_array_get(list, i);
        (void)printf("%-20s %s  ", cmd_text(n, "name"), cmd_text(n, "id"));
        (void)printf("%s, heard of %lld s ago, %lld calls live\n",
                     json_get_str(n, "stopped_at").len > 0 ? "stopped" : "up",
                     (long long)json_get_i64(n, "silent_s", 0),
                     (long long)json_get_i64(n, "calls_live", 0));
    }
}

static enum exit_code run_node_list(struct cmd *cmd)
{
    OWNED(json_free) json_t *doc = cmd_doc(cmd, NULL);

    return ask_and_show(cmd, ADMIN_NODE_LIST, doc, print_nodes);
}

static void print_dead(const json_t *answer)
{
    (void)printf("%s counts as dead: %lld processes, ", cmd_text(answer, "node"),
                 (long long)json_get_i64(answer, "processes", 0));
    (void)printf("%lld workers, %lld attempts to be asked about\n",
                 (long long)json_get_i64(answer, "workers", 0),
                 (long long)json_get_i64(answer, "attempts", 0));
}

static enum exit_code run_node_dead(struct cmd *cmd)
{
    if (!reason_given(cmd)) {
        return cmd_usage(cmd, "--why is missing: a proof of death must be explained");
    }
    OWNED(json_free)
    json_t *doc = cmd_doc(cmd, "node", cmd->args[0], "why", cmd->options[OPT_WHY], NULL);

    return ask_and_show(cmd, ADMIN_NODE_DEAD, doc, print_dead);
}

/* --- failover and restore -------------------------------------------------------------------------- */

static void print_recovery(const json_t *answer)
{
    const json_t *list = json_get_array(answer, "nodes");
    bool open = json_get_bool(answer, "open", false);

    (void)printf("cluster %s, timeline %lld: %s\n", cmd_text(answer, "system_id"),
                 (long long)json_get_i64(answer, "timeline", 0),
                 open ? "dialed on" : "NOT dialed on");
    if (json_get_str(answer, "kind").len > 0) {
        (void)printf("%s (%s), ", cmd_text(answer, "kind"), cmd_text(answer, "why"));
        (void)printf("seen at %s, ", cmd_text(answer, "seen_at"));
        (void)printf("accepted at %s\n", cmd_text(answer, "accepted_at"));
    }
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *n = json_array_get(list, i);
        bool done = json_get_str(n, "done_at").len > 0;
        bool waived = json_get_str(n, "waived_at").len > 0;
        (void)printf("  %-20s %s: %s", cmd_text(n, "name"), cmd_text(n, "node"),
                     done     ? "its journal is in"
                     : waived ? "not waited for"
                              : "waited for");
        (void)printf(", %lld known, %lld rebuilt, %lld without a job\n",
                     (long long)json_get_i64(n, "known", 0),
                     (long long)json_get_i64(n, "rebuilt", 0),
                     (long long)json_get_i64(n, "unplaceable", 0));
    }
}

/* Exit 3 while nothing may be dialed, so that a script can ask. */
static enum exit_code run_recovery_status(struct cmd *cmd)
{
    OWNED(json_free) json_t *doc = cmd_doc(cmd, NULL);
    OWNED(json_free) json_t *answer = NULL;
    enum exit_code code = cmd_ask(cmd, ADMIN_RECOVERY_STATUS, doc, &answer);

    if (code != EXIT_DONE) {
        return code;
    }
    (void)cmd_show(cmd, answer, print_recovery);
    return json_get_bool(answer, "open", false) ? EXIT_DONE : EXIT_REFUSED;
}

static void print_accepted(const json_t *answer)
{
    (void)printf("accepted: journals, and the carrier's records since %s, are put back; then it is "
                 "dialed on\n",
                 cmd_text(answer, "since"));
}

static enum exit_code run_recovery_accept(struct cmd *cmd)
{
    if (!reason_given(cmd)) {
        return cmd_usage(cmd, "--why is missing: what was restored, and from when?");
    }
    OWNED(json_free)
    json_t *doc =
        cmd_doc(cmd, "since", cmd->options[OPT_SINCE], "why", cmd->options[OPT_WHY], NULL);

    return ask_and_show(cmd, ADMIN_RECOVERY_ACCEPT, doc, print_accepted);
}

#define WHY_OPTION                                                                                 \
    {                                                                                              \
        "why", OPT_WHY, "TEXT", 0, "Needed; kept for ever", 0                                      \
    }

static const struct argp_option settle_options[] = {
    {"ended", OPT_ENDED, NULL, 0, "The carrier did place it, and it is over", 0},
    {"not-placed", OPT_NOT_PLACED, NULL, 0, "The carrier never placed it: it may be dialed again",
     0},
    {"outcome", OPT_OUTCOME, "WORD", 0, "With --ended: answered, no_answer, busy, …", 0},
    WHY_OPTION,
    {0},
};
static const struct argp_option why_options[] = {WHY_OPTION, {0}};
static const struct argp_option accept_options[] = {
    {"since", OPT_SINCE, "MOMENT", 0,
     "The backup's end, RFC 3339; default: the last sign of life that the database knows", 0},
    WHY_OPTION,
    {0},
};
static const struct argp_option limit_options[] = {
    {"limit", OPT_LIMIT, "N", 0, "At most N calls", 0},
    {0},
};

const struct cmd_spec cmd_specs_dial[] = {
    {.name = "call unknown",
     .words = "List the calls whose outcome nobody could tell",
     .needs = CMD_TENANT,
     .run = run_call_unknown,
     .options = limit_options},
    {.name = "call settle",
     .args_doc = "CALL",
     .words = "Say what became of an unknown call (audited)",
     .needs = CMD_TENANT,
     .args_min = 1,
     .args_max = 1,
     .run = run_call_settle,
     .options = settle_options},
    {.name = "node list",
     .words = "List the processes that dial",
     .needs = CMD_DATABASE,
     .run = run_node_list},
    {.name = "node dead",
     .args_doc = "NODE",
     .words = "Vouch that a host can dial no more (audited)\vNODE is its name or the id of one "
              "process. Say this of a host that is switched off or fenced, never of one that "
              "merely does not answer: what it had in hand counts as not dialed after the "
              "horizon.",
     .needs = CMD_DATABASE,
     .args_min = 1,
     .args_max = 1,
     .run = run_node_dead,
     .options = why_options},
    {.name = "recovery status",
     .words = "May this database be dialed on, and whom does it wait for? Exit 3 when not",
     .needs = CMD_DATABASE,
     .run = run_recovery_status},
    {.name = "recovery accept",
     .words = "Dial on a database restored from a backup (audited)\vThe dials of the journals, and "
              "those of the carrier's records since the backup's end, are put back first.",
     .needs = CMD_DATABASE,
     .run = run_recovery_accept,
     .options = accept_options},
    {0},
};
