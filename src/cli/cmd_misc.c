#include "cli/cmd.h"

#include <stdio.h>
#include <string.h>

#define TEXT_MAX (256 * 1024)

static void print_version(const json_t *answer)
{
    (void)printf("dialwright %s\n", cmd_text(answer, "version"));
}

static enum exit_code run_version(struct cmd *cmd)
{
    OWNED(json_free) json_t *answer = json_pack("{s:s}", "version", DIALWRIGHT_VERSION);

    return cmd_show(cmd, answer, print_version);
}

/* The settings table in three shapes. */
static enum exit_code run_config(struct cmd *cmd)
{
    static const struct {
        const char *name;
        int (*write)(struct buf *out);
    } shapes[] = {
        {"help", settings_help}, {"markdown", settings_markdown}, {"sample", settings_sample}};
    OWNED(buf_fini) struct buf text = {0};
    OWNED(json_free) json_t *answer = json_object();

    buf_init(&text, TEXT_MAX);
    for (size_t i = 0; i < COUNT_OF(shapes); i++) {
        if (strcmp(cmd->args[0], shapes[i].name) == 0) {
            if (shapes[i].write(&text) < 0) {
                return cmd_fail(cmd, "the text is longer than %d bytes", TEXT_MAX);
            }
            json_set_str(answer, "text", buf_str(&text));
            if (!cmd->json) {
                (void)fputs(buf_cstr(&text), stdout);
            }
            return cmd_show(cmd, answer, NULL);
        }
    }
    return cmd_usage(cmd, "no shape %s: help, markdown or sample", cmd->args[0]);
}

/* Are the settings good enough for `serve`? */
static enum exit_code run_check(struct cmd *cmd)
{
    OWNED(buf_fini) struct buf problems = {0};
    OWNED(json_free) json_t *answer = json_pack("{s:b}", "ok", true);

    buf_init(&problems, TEXT_MAX);
    if (settings_check_serve(&cmd->settings, &problems) < 0) {
        return cmd_fail(cmd, "%s", buf_cstr(&problems));
    }
    return cmd_show(cmd, answer, NULL);
}

const struct cmd_spec cmd_specs_misc[] = {
    {.name = "config check",
     .words = "Check the settings that `serve` needs",
     .needs = CMD_SETTINGS,
     .run = run_check},
    {.name = "config",
     .args_doc = "help|markdown|sample",
     .words =
         "Print every setting: for people, as docs/configuration.md, or as an environment file",
     .args_min = 1,
     .args_max = 1,
     .run = run_config},
    {.name = "version", .words = "Print the version", .run = run_version},
    {0},
};
