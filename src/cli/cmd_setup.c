#include "cli/cmd.h"
#include "cli/setup_file.h"

#include "base/alloc.h"
#include "base/crypto.h"
#include "store/pg_conn.h"
#include "store/seal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define TEXT_MAX (256 * 1024)

enum { OPT_DESCRIBE = 1, OPT_CHECK = 2 };

static const struct argp_option options[] = {
    {"check", OPT_CHECK, NULL, 0, "Read the file and say what is wrong with it; change nothing", 0},
    {"describe", OPT_DESCRIBE, NULL, 0, "Print every section and key a file may have", 0},
    {0},
};

struct created {
    struct fault fault;
    struct admin_org org;
    bool done;
};

static void on_created(const struct fault *fault, const struct admin_org *org, void *arg)
{
    struct created *c = arg;

    c->fault = *fault;
    c->org = *org;
    c->done = true;
}

/* The organization of the file; made when it is new. */
static enum exit_code open_org(struct cmd *cmd, const json_t *doc, bool *made)
{
    const json_t *org = json_get(doc, "organization");
    const char *slug = json_string_value(json_get(org, "slug"));
    struct created c = {0};

    if (!slug) {
        return cmd_open(cmd, CMD_TENANT);
    }
    if (cmd->org_slug && strcmp(cmd->org_slug, slug) != 0) {
        return cmd_usage(cmd, "--org says %s, the file says %s", cmd->org_slug, slug);
    }
    if (store_admin_org_create(NULL, cmd->db, slug, json_string_value(json_get(org, "name")),
                               on_created, &c) < 0) {
        return cmd_fail(cmd, "the database has no place for another request");
    }
    pg_wait(cmd->db, &c.done);
    if (c.fault.class != FAULT_NONE) {
        return cmd_fault(cmd, "making the organization", &c.fault);
    }
    cmd->org = c.org;
    *made = c.org.created;
    return EXIT_DONE;
}

struct carrier_wait {
    struct admin_carrier carrier;
    struct fault fault;
    bool done;
};

static void on_carrier(const struct fault *fault, const struct admin_carrier *carrier, void *arg)
{
    struct carrier_wait *w = arg;

    w->fault = *fault;
    w->carrier = *carrier;
    w->done = true;
}

/* Does the database hold this very token already? Sealing anew would look like a change each time.
 */
static bool same_token(const struct cmd *cmd, const struct admin_carrier *stored, struct str token)
{
    OWNED(buf_fini) struct buf plain = {0};
    struct seal_place place = {
        .organization_id = cmd->org.id, .column = SEAL_CARRIER_TOKEN, .id = stored->id};

    buf_init(&plain, ADMIN_SEALED_MAX);
    if (stored->sealed_bytes == 0 ||
        seal_open(str_of(cmd->settings.kek), &place,
                  str_make((const char *)stored->sealed, stored->sealed_bytes), &plain) < 0) {
        return false;
    }
    bool same = str_eq(buf_str(&plain), token);
    secret_wipe(plain.p, plain.len);
    return same;
}

static enum exit_code seal_token(struct cmd *cmd, json_t *carrier, const struct uuid *id,
                                 struct str token)
{
    OWNED(buf_fini) struct buf sealed = {0};
    struct seal_place place = {
        .organization_id = cmd->org.id, .column = SEAL_CARRIER_TOKEN, .id = *id};
    char hex[2 * ADMIN_SEALED_MAX + 1];

    buf_init(&sealed, ADMIN_SEALED_MAX);
    if (seal_close(str_of(cmd->settings.kek), &place, token, &sealed) < 0) {
        return cmd_fail(cmd, "the carrier's token is too long");
    }
    hex_encode((const uint8_t *)sealed.p, sealed.len, hex);
    json_set_str(carrier, "token_sealed", str_of(hex));
    return EXIT_DONE;
}

/* Account id and token: the file's, else the environment's; the token leaves here sealed. */
static enum exit_code prepare_carrier(struct cmd *cmd, json_t *carrier)
{
    struct carrier_wait w = {0};
    char id[UUID_TEXT_SIZE];
    const char *name = json_string_value(json_get(carrier, "name"));

    if (!json_get(carrier, "auth_id") && cmd->settings.plivo_auth_id) {
        json_set_str(carrier, "auth_id", str_of(cmd->settings.plivo_auth_id));
    }
    struct str token = json_get_str(carrier, "auth_token");
    if (!token.p && cmd->settings.plivo_auth_token) {
        token = str_of(cmd->settings.plivo_auth_token);
    }
    if (store_admin_carrier_find(NULL, cmd->db, &cmd->org.id, name, on_carrier, &w) < 0) {
        return cmd_fail(cmd, "the database has no place for another request");
    }
    pg_wait(cmd->db, &w.done);
    if (w.fault.class != FAULT_NONE) {
        return cmd_fault(cmd, "finding the carrier account", &w.fault);
    }
    if (!w.carrier.found) {
        w.carrier.id = uuid_make(cmd_now_us(cmd));
    }
    if (!w.carrier.found && (!json_get(carrier, "auth_id") || !token.p)) {
        return cmd_usage(
            cmd,
            "carrier account %s: auth_id and auth_token are in neither the file nor PLIVO_AUTH_ID "
            "and PLIVO_AUTH_TOKEN",
            name);
    }
    uuid_text(&w.carrier.id, id);
    json_set_str(carrier, "id", str_of(id));
    enum exit_code code = EXIT_DONE;
    if (token.p && !same_token(cmd, &w.carrier, token)) {
        code =
            cmd->settings.kek
                ? seal_token(cmd, carrier, &w.carrier.id, token)
                : cmd_fail(cmd,
                           "DIALWRIGHT_KEK is not set: the carrier's token is stored sealed by it");
    }
    (void)json_object_del(carrier, "auth_token");
    return code;
}

static void print_changes(const json_t *answer)
{
    const json_t *changes = json_get_array(answer, "changes");
    size_t unchanged = 0;

    for (size_t i = 0; i < json_array_size(changes); i++) {
        const json_t *c = json_array_get(changes, i);
        if (str_eq_cstr(json_get_str(c, "change"), "unchanged")) {
            unchanged++;
            continue;
        }
        struct str what = json_get_str(c, "what");
        struct str key = json_get_str(c, "key");
        struct str change = json_get_str(c, "change");
        (void)printf(STR_FMT " " STR_FMT " " STR_FMT "\n", STR_ARG(change), STR_ARG(what),
                     STR_ARG(key));
    }
    (void)printf("%zu changed, %zu unchanged\n", json_array_size(changes) - unchanged, unchanged);
}

static enum exit_code apply(struct cmd *cmd, json_t *doc)
{
    OWNED(json_free) json_t *answer = NULL;
    bool made = false;
    enum exit_code code = open_org(cmd, doc, &made);

    for (size_t i = 0; code == EXIT_DONE && i < json_array_size(json_get_array(doc, "carrier"));
         i++) {
        code = prepare_carrier(cmd, json_array_get(json_get_array(doc, "carrier"), i));
    }
    if (code == EXIT_DONE) {
        json_set_str(doc, "actor", str_of(cmd->actor));
        code = cmd_ask(cmd, ADMIN_SETUP, doc, &answer);
    }
    if (code != EXIT_DONE) {
        return code;
    }
    json_t *first = json_array_get(json_get_array(answer, "changes"), 0);
    if (made && first) {
        json_set_str(first, "change", STR("created"));
    }
    (void)json_object_set_new(
        answer, "organization",
        json_pack("{s:O?}", "slug", json_get(json_get(doc, "organization"), "slug")));
    return cmd_show(cmd, answer, print_changes);
}

static enum exit_code describe(struct cmd *cmd)
{
    OWNED(buf_fini) struct buf text = {0};
    OWNED(json_free) json_t *answer = json_object();

    buf_init(&text, TEXT_MAX);
    if (setup_markdown(&text) < 0) {
        return cmd_fail(cmd, "the description is longer than %d bytes", TEXT_MAX);
    }
    json_set_str(answer, "text", buf_str(&text));
    if (!cmd->json) {
        (void)fputs(buf_cstr(&text), stdout);
    }
    return cmd_show(cmd, answer, NULL);
}

static enum exit_code run_setup(struct cmd *cmd)
{
    OWNED(buf_fini) struct buf problems = {0};
    OWNED(json_free) json_t *doc = NULL;

    if (cmd->options[OPT_DESCRIBE]) {
        return describe(cmd);
    }
    if (cmd->arg_count == 0) {
        return cmd_usage(cmd, "FILE is missing");
    }
    buf_init(&problems, TEXT_MAX);
    int err = setup_read(cmd->args[0], &doc, &problems);
    if (err == -EINVAL) {
        return cmd_fail(cmd, "%s", buf_cstr(&problems));
    }
    if (err < 0) {
        return cmd_fail(cmd, "%s: %s", cmd->args[0], strerror(-err));
    }
    if (cmd->options[OPT_CHECK]) {
        OWNED(json_free) json_t *answer = json_pack("{s:b}", "ok", true);
        return cmd_show(cmd, answer, NULL);
    }
    enum exit_code code = cmd_open(cmd, CMD_DATABASE);
    return code == EXIT_DONE ? apply(cmd, doc) : code;
}

const struct cmd_spec cmd_specs_setup[] = {
    {.name = "setup",
     .args_doc = "FILE",
     .words =
         "Apply a set-up file: organization, carrier, numbers, agents, campaigns\v"
         "All of the file is applied, or none of it. Applying it again changes only what differs.",
     .needs = CMD_NOTHING,
     .args_max = 1,
     .run = run_setup,
     .options = options},
    {0},
};
