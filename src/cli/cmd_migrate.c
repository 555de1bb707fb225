#include "cli/cmd.h"

#include "base/alloc.h"
#include "migrations_gen.h"

#include <stdio.h>
#include <unistd.h>

enum { OPT_DRY_RUN = 1 };

static const struct argp_option options[] = {
    {"dry-run", OPT_DRY_RUN, NULL, 0, "Say what would be applied, and apply nothing", 0},
    {0},
};

/* What migrate_compare() finds. */
struct plan {
    const struct migration **pending;
    size_t pending_count;
    size_t applied_count;
};

static void on_migration(const struct migration *m, enum migration_state state, void *arg)
{
    struct plan *plan = arg;

    if (state == MIGRATION_APPLIED) {
        plan->applied_count++;
    } else {
        plan->pending[plan->pending_count++] = m;
    }
}

static enum exit_code apply(struct cmd *cmd, struct migrate_conn *conn, const struct plan *plan,
                            struct buf *why)
{
    for (size_t i = 0; i < plan->pending_count; i++) {
        if (isatty(STDERR_FILENO)) {
            (void)fprintf(stderr, "%3zu/%zu %s\n", i + 1, plan->pending_count,
                          plan->pending[i]->name);
        }
        if (migrate_apply(conn, plan->pending[i], why) < 0) {
            return cmd_fail(cmd, "%s", buf_cstr(why));
        }
    }
    return EXIT_DONE;
}

static enum exit_code store_key(struct cmd *cmd, struct migrate_conn *conn, struct buf *why)
{
    uint8_t key[TENANT_CTX_KEY_BYTES];

    if (!cmd->settings.secret) {
        return cmd_fail(cmd, "DIALWRIGHT_SECRET is not set: the key that tenant contexts are "
                             "signed with comes from it");
    }
    tenant_ctx_key(str_of(cmd->settings.secret), key);
    int err = migrate_context_key(conn, key, why);
    secret_wipe(key, sizeof key);
    return err < 0 ? cmd_fail(cmd, "%s", buf_cstr(why)) : EXIT_DONE;
}

static json_t *report(const struct migrate_conn *conn, const struct plan *plan, bool applied)
{
    json_t *answer = json_object();
    json_t *names = json_array();

    for (size_t i = 0; i < plan->pending_count; i++) {
        (void)json_array_append_new(names, json_string(plan->pending[i]->name));
    }
    (void)json_object_set_new(answer, "server", json_string(migrate_server(conn)));
    (void)json_object_set_new(answer, "known", json_integer((json_int_t)migrations_count));
    (void)json_object_set_new(answer, "applied_before",
                              json_integer((json_int_t)plan->applied_count));
    (void)json_object_set_new(answer, applied ? "applied" : "pending", names);
    return answer;
}

static void print_report(const json_t *answer)
{
    const json_t *names = json_get_array(answer, "applied");
    const char *verb = names ? "applied" : "pending";

    names = names ? names : json_get_array(answer, "pending");
    for (size_t i = 0; i < json_array_size(names); i++) {
        (void)printf("%s %s\n", verb, json_string_value(json_array_get(names, i)));
    }
    (void)printf("Postgres %s: %zu %s, %s applied before\n", cmd_text(answer, "server"),
                 json_array_size(names), verb, cmd_text(answer, "applied_before"));
}

/* The migrating role's URL; where only the daemon's is set, that is used, and the server decides.
 */
static enum exit_code open_migrator(struct cmd *cmd, struct migrate_conn **conn, struct buf *why)
{
    const char *url =
        cmd->settings.migrate_url ? cmd->settings.migrate_url : cmd->settings.database_url;

    if (!url) {
        return cmd_fail(cmd, "DIALWRIGHT_MIGRATE_URL is not set: the URL of a role that may create "
                             "roles and schemas");
    }
    return migrate_open(conn, url, why) < 0 ? cmd_fail(cmd, "%s", buf_cstr(why)) : EXIT_DONE;
}

static enum exit_code migrate(struct cmd *cmd, bool change)
{
    OWNED(buf_fini) struct buf why = {0};
    OWNED(migrate_close) struct migrate_conn *conn = NULL;
    struct plan plan = {.pending = xcalloc(migrations_count + 1, sizeof(const struct migration *))};
    OWNED(json_free) json_t *answer = NULL;

    buf_init(&why, 64 * 1024);
    enum exit_code code = open_migrator(cmd, &conn, &why);
    if (code == EXIT_DONE &&
        migrate_compare(conn, migrations, migrations_count, on_migration, &plan, &why) < 0) {
        code = cmd_fail(cmd, "%s", buf_cstr(&why));
    }
    if (code == EXIT_DONE && change) {
        code = apply(cmd, conn, &plan, &why);
    }
    if (code == EXIT_DONE && change) {
        code = store_key(cmd, conn, &why);
    }
    if (code == EXIT_DONE) {
        answer = report(conn, &plan, change);
        code = cmd_show(cmd, answer, print_report);
    }
    xfree(plan.pending);
    return code;
}

static enum exit_code run_migrate(struct cmd *cmd)
{
    return migrate(cmd, cmd->options[OPT_DRY_RUN] == NULL);
}

static enum exit_code run_status(struct cmd *cmd)
{
    return migrate(cmd, false);
}

const struct cmd_spec cmd_specs_migrate[] = {
    {.name = "migrate status",
     .words = "Say which files of the schema the database lacks, or has in an older text",
     .needs = CMD_SETTINGS,
     .run = run_status},
    {.name = "migrate",
     .words = "Bring the database's schema forward\v"
              "Logs in by DIALWRIGHT_MIGRATE_URL (a superuser, or an owner with CREATEROLE). Each "
              "file is one transaction; running it again applies what is new, and functions whose "
              "text has changed. Also stores the key, made from "
              "DIALWRIGHT_SECRET, that tenant contexts are signed with.",
     .needs = CMD_SETTINGS,
     .run = run_migrate,
     .options = options},
    {0},
};
