/* cmd.h -- what all commands share: arguments, settings, the database, and how an answer is shown.
 *
 * A command is a row of a table (struct cmd_spec): its words, its options, and a function that does
 * it. The arguments are read by argp; the function finds what it needs opened already.
 *
 * Owner   cli.c makes and ends a struct cmd; a command borrows it for its run.
 * Thread  main; cmd_ask() turns the loop until the answer is there.
 * Errors  functions that return enum exit_code have said what was wrong, on stderr or as JSON. */
#ifndef CLI_CMD_H
#define CLI_CMD_H

#include "base/json.h"
#include "base/settings.h"
#include "base/uuid.h"
#include "cli/commands.h"
#include "store/store_admin.h"

#include <argp.h>

#define CMD_ARGS_MAX    16
#define CMD_OPTIONS_MAX 24

enum cmd_needs {
    CMD_NOTHING,
    CMD_SETTINGS, /* read from the environment, and without a fault */
    CMD_DATABASE, /* and connected */
    CMD_TENANT,   /* and the organization found: --org, or the only one there is */
};

struct cmd {
    const struct cmd_spec *spec;
    struct settings settings;
    bool settings_loaded;
    struct loop *loop;
    struct pg_pool *db;
    struct admin_org org;
    char actor[100]; /* who did it, for the audit log: "cli:<login name>" */
    bool json;
    const char *args[CMD_ARGS_MAX];
    size_t arg_count;
    const char *options[CMD_OPTIONS_MAX]; /* by key; NULL: not given, "" when it takes no value */
    const char *org_slug;
};

typedef enum exit_code cmd_run_fn(struct cmd *cmd);

struct cmd_spec {
    const char *name;     /* "campaign start" */
    const char *args_doc; /* "CAMPAIGN" */
    const char *words;    /* one line; may go on after \v with details for --help */
    enum cmd_needs needs;
    size_t args_min;
    size_t args_max;
    cmd_run_fn *run;
    const struct argp_option
        *options; /* keys 1 … CMD_OPTIONS_MAX - 1; NULL: none but the common ones */
};

/* Tables of commands, each ending with a row without a name. */
extern const struct cmd_spec cmd_specs_migrate[];
extern const struct cmd_spec cmd_specs_setup[];
extern const struct cmd_spec cmd_specs_import[];
extern const struct cmd_spec cmd_specs_campaign[];
extern const struct cmd_spec cmd_specs_people[];
extern const struct cmd_spec cmd_specs_dial[];
extern const struct cmd_spec cmd_specs_lists[];
extern const struct cmd_spec cmd_specs_pause[];
extern const struct cmd_spec cmd_specs_doctor[];
extern const struct cmd_spec cmd_specs_why[];
extern const struct cmd_spec cmd_specs_forecast[];
extern const struct cmd_spec cmd_specs_misc[];

/* Opening: settings from the environment, the database, the tenant. */
enum exit_code cmd_open(struct cmd *cmd, enum cmd_needs needs);
void cmd_close(struct cmd *cmd);

/* Asks and waits. On EXIT_DONE *answer is the caller's; a refusal by a rule is EXIT_REFUSED, and
 * said. */
enum exit_code cmd_ask(struct cmd *cmd, enum admin_act act, const json_t *doc,
                       json_t **answer) MUST_USE;
/* {"actor": …}, with the members that follow: name, value, name, value, …, NULL. A NULL value is
 * left out. */
json_t *cmd_doc(const struct cmd *cmd, ...) MUST_USE;

/* Shows: the object with --json, else what `human` prints. */
typedef void cmd_human_fn(const json_t *answer);
enum exit_code cmd_show(const struct cmd *cmd, const json_t *answer, cmd_human_fn *human);
/* Says what went wrong: {"error": …} with --json, else a line on stderr. */
enum exit_code cmd_fail(const struct cmd *cmd, const char *fmt, ...) PRINTF_LIKE(2, 3);
enum exit_code cmd_refuse(const struct cmd *cmd, struct str why);
enum exit_code cmd_usage(const struct cmd *cmd, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* `what` was being done; NULL: what the command does. */
enum exit_code cmd_fault(const struct cmd *cmd, const char *what, const struct fault *fault);

/* A phone number as typed, to E.164; `region` (two letters or NULL) for numbers without a +. */
enum exit_code cmd_phone(const struct cmd *cmd, const char *text, const char *region, char *e164,
                         size_t size);
int64_t cmd_now_us(const struct cmd *cmd);
/* The text of a member for people: "-" when absent or null. */
const char *cmd_text(const json_t *obj, const char *key);

#endif
