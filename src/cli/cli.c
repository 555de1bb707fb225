#include "cli/cmd.h"

#include "base/alloc.h"

#include <stdio.h>
#include <string.h>

/* The words before the arguments; `serve` reads its own. */
static const struct cmd_spec *const tables[] = {
    cmd_specs_migrate, cmd_specs_setup,    cmd_specs_import, cmd_specs_campaign,
    cmd_specs_people,  cmd_specs_dial,     cmd_specs_lists,  cmd_specs_pause,
    cmd_specs_why,     cmd_specs_forecast, cmd_specs_doctor, cmd_specs_misc,
};

enum { KEY_JSON = 'j', KEY_ORG = 'o' };

static const struct argp_option common_options[] = {
    {"json", KEY_JSON, NULL, 0, "Print exactly one JSON object", 10},
    {"org", KEY_ORG, "SLUG", 0, "Work for this organization (needed when there are several)", 10},
    {0},
};

static error_t on_common(int key, char *arg, struct argp_state *state)
{
    struct cmd *cmd = state->input;

    switch (key) {
    case KEY_JSON:
        cmd->json = true;
        return 0;
    case KEY_ORG:
        cmd->org_slug = arg;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static error_t on_option(int key, char *arg, struct argp_state *state)
{
    struct cmd *cmd = state->input;

    if (key == ARGP_KEY_INIT) {
        state->child_inputs[0] = cmd;
        return 0;
    }
    if (key == ARGP_KEY_ARG) {
        if (cmd->arg_count >= cmd->spec->args_max) {
            argp_error(state, "too many arguments");
        } else {
            cmd->args[cmd->arg_count++] = arg;
        }
        return 0;
    }
    if (key == ARGP_KEY_END && cmd->arg_count < cmd->spec->args_min) {
        argp_error(state, "%s is missing", cmd->spec->args_doc);
        return 0;
    }
    if (key > 0 && key < CMD_OPTIONS_MAX) {
        cmd->options[key] = arg ? arg : "";
        return 0;
    }
    return ARGP_ERR_UNKNOWN;
}

static enum exit_code run(const struct cmd_spec *spec, int argc, char **argv)
{
    static const struct argp common = {.options = common_options, .parser = on_common};
    const struct argp_child children[] = {{.argp = &common, .group = 10}, {0}};
    const struct argp argp = {.options = spec->options,
                              .parser = on_option,
                              .args_doc = spec->args_doc,
                              .doc = spec->words,
                              .children = children};
    struct cmd cmd = {.spec = spec};
    char name[80];

    (void)snprintf(name, sizeof name, "dialwright %s", spec->name);
    argv[0] = name;
    argp_err_exit_status = EXIT_USAGE;
    if (argp_parse(&argp, argc, argv, 0, NULL, &cmd) != 0) {
        return EXIT_USAGE;
    }
    enum exit_code code = cmd_open(&cmd, spec->needs);
    if (code == EXIT_DONE) {
        code = spec->run(&cmd);
    }
    cmd_close(&cmd);
    if (fflush(stdout) != 0 && code == EXIT_DONE) {
        (void)fprintf(stderr, "dialwright %s: the output could not be written\n", spec->name);
        code = EXIT_FAILED;
    }
    return code;
}

/* One line per command whose first word is `group`; all of them when it is NULL. */
static size_t print_commands(FILE *out, const char *group)
{
    size_t count = 0;

    for (size_t t = 0; t < COUNT_OF(tables); t++) {
        for (const struct cmd_spec *s = tables[t]; s->name; s++) {
            struct str rest = str_of(s->name);
            struct str first;
            (void)str_split(&rest, ' ', &first);
            if (group && !str_eq_cstr(first, group)) {
                continue;
            }
            char call[80];
            (void)snprintf(call, sizeof call, "%s %s", s->name, s->args_doc ? s->args_doc : "");
            const char *details = strchr(s->words, '\v');
            int words = details ? (int)(details - s->words) : (int)strlen(s->words);
            (void)fprintf(out, "  %-34s %.*s\n", call, words, s->words);
            count++;
        }
    }
    return count;
}

static enum exit_code print_help(FILE *out, enum exit_code code)
{
    (void)fputs(
        "Usage: dialwright COMMAND [ARGUMENTS] [--json] [--help]\n\n"
        "Phones lists of people with an AI voice, and hands the interested ones to people.\n\n"
        "  serve                              Run the daemon\n",
        out);
    (void)print_commands(out, NULL);
    (void)fputs("\nSettings come from the environment; `dialwright config help` lists them.\n"
                "Exit: 0 done, 1 failed, 2 wrong usage, 3 not allowed by a rule.\n",
                out);
    return code;
}

/* The command whose words argv begins with; *words says how many those are. */
static const struct cmd_spec *find(int argc, char **argv, int *words)
{
    for (size_t t = 0; t < COUNT_OF(tables); t++) {
        for (const struct cmd_spec *s = tables[t]; s->name; s++) {
            char two[80];
            (void)snprintf(two, sizeof two, "%s %s", argv[1], argc > 2 ? argv[2] : "");
            if (strcmp(s->name, argv[1]) == 0 || strcmp(s->name, two) == 0) {
                *words = strcmp(s->name, argv[1]) == 0 ? 1 : 2;
                return s;
            }
        }
    }
    return NULL;
}

int cli_main(int argc, char **argv)
{
    int words = 0;

    if (argc < 2) {
        return (int)print_help(stderr, EXIT_USAGE);
    }
    if (strcmp(argv[1], "help") == 0 || strcmp(argv[1], "--help") == 0 ||
        strcmp(argv[1], "-?") == 0) {
        return (int)print_help(stdout, EXIT_DONE);
    }
    if (strcmp(argv[1], "serve") == 0) {
        return cmd_serve(argc - 1, argv + 1);
    }
    if (strcmp(argv[1], "--version") == 0) {
        static char version[] = "version";
        argv[1] = version;
    }
    const struct cmd_spec *spec = find(argc, argv, &words);
    if (spec) {
        return (int)run(spec, argc - words, argv + words);
    }
    bool help = argc > 2 && strcmp(argv[2], "--help") == 0;
    if (print_commands(help ? stdout : stderr, argv[1]) > 0) {
        return help ? EXIT_DONE : EXIT_USAGE;
    }
    (void)fprintf(stderr, "dialwright: no command %s; see `dialwright --help`\n", argv[1]);
    return EXIT_USAGE;
}
