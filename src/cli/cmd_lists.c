#include "cli/cmd.h"
#include "cli/csv_rows.h"

#include "base/phone.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Imported lists: read row by row, sent by the batch, and in force only once the last row is in. */

#define BATCH_NUMBERS 2000
#define CHUNK_BYTES   (64 * 1024)
#define WORD_MAX      64
#define WHY_MAX       512

enum {
    OPT_KIND = 1,
    OPT_LIST,
    OPT_NAME,
    OPT_AS_OF,
    OPT_SOURCE,
    OPT_VERSION,
    OPT_PURPOSES,
    OPT_REGION,
    OPT_REJECTS,
};

struct list_read {
    struct cmd *cmd;
    const char *kind;
    int fd;
    int64_t bytes_all; /* 0: not known */
    int64_t bytes_read;
    struct csv_rows *csv;
    FILE *rejects;
    json_t *phones; /* of the batch that is being filled */
    json_t *words;
    char id[UUID_TEXT_SIZE];
    int64_t rows;
    int64_t rejected;       /* in all */
    int64_t rejected_batch; /* since the last batch was sent */
    bool first;
    enum exit_code code; /* of the last batch; not EXIT_DONE: said, and nothing more is sent */
    char why[WHY_MAX];   /* of a file that cannot be read to its end */
};

static void show_progress(const struct list_read *list)
{
    if (!isatty(STDERR_FILENO)) {
        return;
    }
    int percent = list->bytes_all > 0 ? (int)(100 * list->bytes_read / list->bytes_all) : 0;
    (void)fprintf(stderr, "\r%3d%% [%-30.*s] %lld rows, %lld rejected", percent, percent * 30 / 100,
                  "##############################", (long long)list->rows,
                  (long long)list->rejected);
}

static void send_batch(struct list_read *list)
{
    OWNED(json_free)
    json_t *doc = cmd_doc(list->cmd, "id", list->id, "kind", list->kind, NULL);
    OWNED(json_free) json_t *answer = NULL;

    (void)json_object_set(doc, "phones", list->phones);
    (void)json_object_set(doc, "words", list->words);
    (void)json_object_set_new(doc, "rejected", json_integer(list->rejected_batch));
    list->code = cmd_ask(list->cmd, ADMIN_LIST_BATCH, doc, &answer);
    (void)json_array_clear(list->phones);
    (void)json_array_clear(list->words);
    list->rejected_batch = 0;
    show_progress(list);
}

static struct str field(const struct csv_row *row, size_t no)
{
    return no < row->field_count && row->fields[no].p != NULL ? row->fields[no] : STR_NONE;
}

static void reject(struct list_read *list, const struct csv_row *row, const char *reason)
{
    OWNED(buf_fini) struct buf line = {0};

    list->rejected++;
    list->rejected_batch++;
    if (!list->rejects) {
        return;
    }
    buf_init(&line, CSV_ROW_BYTES_MAX);
    (void)buf_addf(&line, "%lld,%s,", (long long)row->line, reason);
    csv_add_field(&line, field(row, 0));
    (void)fprintf(list->rejects, "%s\n", buf_cstr(&line));
}

/* A list of a country's own registry writes E.164 already; parsing costs 46 us a number. */
static bool is_e164(struct str s)
{
    bool good = s.len >= 8 && s.len <= 16 && s.p[0] == '+' && s.p[1] >= '1' && s.p[1] <= '9';

    for (size_t i = 2; good && i < s.len; i++) {
        good = s.p[i] >= '0' && s.p[i] <= '9';
    }
    return good;
}

static bool only_of(struct str s, const char *allowed)
{
    for (; s.len > 0; s = str_skip(s, 1)) {
        if (s.p[0] == '\0' || strchr(allowed, s.p[0]) == NULL) {
            return false;
        }
    }
    return true;
}

/* The modes of a preference, parted by blanks. */
static bool are_modes(struct str s)
{
    struct str one;

    while (str_split(&s, ' ', &one)) {
        if (one.len > 0 && !str_eq_cstr(one, "voice") && !str_eq_cstr(one, "auto_dialer") &&
            !str_eq_cstr(one, "robo")) {
            return false;
        }
    }
    return true;
}

/* What the row says beside its number, in the words of app.list_batch(); false: not to be read. */
static bool row_word(const struct list_read *list, const struct csv_row *row, char out[WORD_MAX])
{
    struct str second = field(row, 1);
    struct str third = field(row, 2);

    out[0] = '\0';
    if (strcmp(list->kind, "reassigned") == 0) {
        (void)snprintf(out, WORD_MAX, "%.*s", (int)second.len, second.p ? second.p : "");
        return strcmp(out, "no") == 0 || strcmp(out, "yes") == 0 || strcmp(out, "no_data") == 0;
    }
    if (strcmp(list->kind, "preferences") == 0) {
        int n = snprintf(out, WORD_MAX, "%.*s;%.*s", (int)second.len, second.p ? second.p : "",
                         (int)third.len, third.p ? third.p : "");
        return n < WORD_MAX && only_of(second, "012345678 ") && are_modes(third);
    }
    return true;
}

static void on_row(const struct csv_row *row, void *arg)
{
    struct list_read *list = arg;
    struct str text = field(row, 0);
    struct phone phone = {0};
    char word[WORD_MAX];
    bool first = list->first;

    list->first = false;
    if (list->code != EXIT_DONE || (first && str_eq_cstr(text, "phone"))) {
        return;
    }
    list->rows++;
    if (is_e164(text)) {
        (void)snprintf(phone.e164, sizeof phone.e164, "%.*s", (int)text.len, text.p);
    } else if (phone_parse(text, list->cmd->options[OPT_REGION], &phone) < 0) {
        reject(list, row, "bad_number");
        return;
    }
    if (!row_word(list, row, word)) {
        reject(list, row, "bad_value");
        return;
    }
    (void)json_array_append_new(list->phones, json_string(phone.e164));
    (void)json_array_append_new(list->words, json_string(word));
    if (json_array_size(list->phones) == BATCH_NUMBERS) {
        send_batch(list);
    }
}

static void read_file(struct list_read *list)
{
    static char bytes[CHUNK_BYTES];
    ssize_t n = 1;
    int err = 0;

    while (n > 0 && err == 0 && list->code == EXIT_DONE) {
        n = read(list->fd, bytes, sizeof bytes);
        if (n > 0) {
            list->bytes_read += n;
            err = csv_rows_feed(list->csv, str_make(bytes, (size_t)n));
        } else {
            err = n < 0 ? -errno : csv_rows_end(list->csv);
        }
    }
    if (err < 0) {
        (void)snprintf(list->why, sizeof list->why, "%s",
                       err == -EINVAL ? "the file is not a CSV file in UTF-8" : strerror(-err));
    } else if (list->code == EXIT_DONE) {
        send_batch(list);
    }
}

static void print_result(const json_t *answer)
{
    (void)printf("%s of ", cmd_text(answer, "list"));
    (void)printf("%s: ", cmd_text(answer, "as_of"));
    (void)printf("%s, %lld rows, %lld entries, %lld rejected\n", cmd_text(answer, "status"),
                 (long long)json_get_i64(answer, "rows", 0),
                 (long long)json_get_i64(answer, "entries", 0),
                 (long long)json_get_i64(answer, "rejected", 0));
}

static enum exit_code begin(struct list_read *list)
{
    struct cmd *cmd = list->cmd;
    OWNED(json_free) json_t *answer = NULL;
    OWNED(json_free)
    json_t *doc =
        cmd_doc(cmd, "kind", list->kind, "list", cmd->options[OPT_LIST], "name",
                cmd->options[OPT_NAME], "as_of", cmd->options[OPT_AS_OF], "source",
                cmd->options[OPT_SOURCE] ? cmd->options[OPT_SOURCE] : cmd->args[0], "version",
                cmd->options[OPT_VERSION], "region", cmd->options[OPT_REGION], NULL);

    if (cmd->options[OPT_PURPOSES]) {
        json_t *purposes = json_array();
        const char *at = cmd->options[OPT_PURPOSES];
        while (*at != '\0') {
            size_t len = strcspn(at, ",");
            (void)json_array_append_new(purposes, json_stringn(at, len));
            at += len + (at[len] == ',' ? 1 : 0);
        }
        (void)json_object_set_new(doc, "purposes", purposes);
    }
    enum exit_code code = cmd_ask(cmd, ADMIN_LIST_BEGIN, doc, &answer);
    struct str id = json_get_str(answer, "id");
    if (code == EXIT_DONE && id.len != sizeof list->id - 1) {
        return cmd_fail(cmd, "the database gave the list no id");
    }
    if (code == EXIT_DONE) {
        (void)snprintf(list->id, sizeof list->id, "%.*s", (int)id.len, id.p);
    }
    return code;
}

static enum exit_code end(struct list_read *list)
{
    struct cmd *cmd = list->cmd;
    bool failed = list->why[0] != '\0' || list->code != EXIT_DONE;
    const char *why = list->why[0] != '\0' ? list->why : "a batch was refused";
    OWNED(json_free) json_t *answer = NULL;
    OWNED(json_free)
    json_t *doc =
        cmd_doc(cmd, "id", list->id, "kind", list->kind, "error", failed ? why : NULL, NULL);

    (void)json_object_set_new(doc, "rows", json_integer(list->rows));
    if (isatty(STDERR_FILENO)) {
        (void)fputc('\n', stderr);
    }
    enum exit_code code = cmd_ask(cmd, ADMIN_LIST_END, doc, &answer);
    if (code != EXIT_DONE || list->code != EXIT_DONE) {
        return code != EXIT_DONE ? code : list->code;
    }
    if (list->why[0] != '\0') {
        return cmd_fail(cmd, "%s: %s; the list before it stays in force", cmd->args[0], list->why);
    }
    (void)cmd_show(cmd, answer, print_result);
    return str_eq_cstr(json_get_str(answer, "status"), "failed") ? EXIT_FAILED : EXIT_DONE;
}

static enum exit_code open_files(struct list_read *list)
{
    struct cmd *cmd = list->cmd;
    struct stat st;

    list->fd =
        strcmp(cmd->args[0], "-") == 0 ? STDIN_FILENO : open(cmd->args[0], O_RDONLY | O_CLOEXEC);
    if (list->fd < 0) {
        return cmd_fail(cmd, "%s: %s", cmd->args[0], strerror(errno));
    }
    list->bytes_all = fstat(list->fd, &st) == 0 && S_ISREG(st.st_mode) ? st.st_size : 0;
    if (cmd->options[OPT_REJECTS]) {
        list->rejects = fopen(cmd->options[OPT_REJECTS], "we");
        if (!list->rejects) {
            return cmd_fail(cmd, "%s: %s", cmd->options[OPT_REJECTS], strerror(errno));
        }
        (void)fputs("line,reason,number\n", list->rejects);
    }
    return EXIT_DONE;
}

static bool is_date(const char *s)
{
    static const char form[] = "dddd-dd-dd";

    for (size_t i = 0; i < sizeof form; i++) {
        bool digit = s[i] >= '0' && s[i] <= '9';
        if (form[i] == 'd' ? !digit : s[i] != form[i]) {
            return false;
        }
    }
    return true;
}

static enum exit_code check_options(struct cmd *cmd)
{
    static const char *const kinds[] = {"do_not_call", "prohibited", "internal", "reassigned",
                                        "preferences"};
    const char *kind = cmd->options[OPT_KIND] ? cmd->options[OPT_KIND] : kinds[0];
    bool known = false;

    for (size_t i = 0; i < COUNT_OF(kinds); i++) {
        known = known || strcmp(kind, kinds[i]) == 0;
    }
    if (!known) {
        return cmd_usage(cmd, "--kind wants do_not_call, prohibited, internal, reassigned or "
                              "preferences");
    }
    if (!cmd->options[OPT_LIST] || !cmd->options[OPT_AS_OF] || !is_date(cmd->options[OPT_AS_OF])) {
        return cmd_usage(cmd, "--list and --as-of YYYY-MM-DD are needed: a list without a date has "
                              "no age");
    }
    return EXIT_DONE;
}

static enum exit_code run_dnc_import(struct cmd *cmd)
{
    struct list_read list = {
        .cmd = cmd,
        .kind = cmd->options[OPT_KIND] ? cmd->options[OPT_KIND] : "do_not_call",
        .fd = -1,
        .first = true,
    };
    enum exit_code code = check_options(cmd);

    if (code != EXIT_DONE) {
        return code;
    }
    list.phones = json_array();
    list.words = json_array();
    list.csv = csv_rows_new(on_row, &list);
    code = open_files(&list);
    if (code == EXIT_DONE) {
        code = begin(&list);
    }
    if (code == EXIT_DONE) {
        read_file(&list);
        code = end(&list);
    }
    csv_rows_free(&list.csv);
    json_decref(list.phones);
    json_decref(list.words);
    if (list.fd > STDERR_FILENO) {
        (void)close(list.fd);
    }
    if (list.rejects && fclose(list.rejects) != 0) {
        return cmd_fail(cmd, "the file of rejects could not be written");
    }
    return code;
}

static void print_lists(const json_t *answer)
{
    const json_t *lists = json_get_array(answer, "lists");

    for (size_t i = 0; i < json_array_size(lists); i++) {
        const json_t *l = json_array_get(lists, i);
        (void)printf("%-20s ", cmd_text(l, "list"));
        (void)printf("%-10s ", cmd_text(l, "state"));
        (void)printf("as of %-10s ", cmd_text(l, "as_of"));
        (void)printf("%lld entries, %lld days old", (long long)json_get_i64(l, "entries", 0),
                     (long long)json_get_i64(l, "age_days", 0));
        if (json_is_integer(json_get(l, "max_age_days"))) {
            (void)printf(" of %lld (%s)", (long long)json_get_i64(l, "max_age_days", 0),
                         cmd_text(l, "asked_by"));
        }
        (void)putchar('\n');
    }
    (void)printf("internal list: %lld numbers\n", (long long)json_get_i64(answer, "internal", 0));
}

static enum exit_code run_dnc_lists(struct cmd *cmd)
{
    OWNED(json_free) json_t *doc = cmd_doc(cmd, NULL);
    OWNED(json_free) json_t *answer = NULL;
    enum exit_code code = cmd_ask(cmd, ADMIN_LIST_LIST, doc, &answer);

    return code == EXIT_DONE ? cmd_show(cmd, answer, print_lists) : code;
}

static const struct argp_option import_options[] = {
    {"list", OPT_LIST, "CODE", 0, "Its short name: us-national, gb-tps, … (needed)", 0},
    {"as-of", OPT_AS_OF, "DATE", 0, "The day the list is of, YYYY-MM-DD (needed)", 0},
    {"kind", OPT_KIND, "KIND", 0,
     "do_not_call (default), prohibited, internal, reassigned or preferences", 0},
    {"source", OPT_SOURCE, "TEXT", 0, "Where it came from; default the file's name", 0},
    {"version", OPT_VERSION, "TEXT", 0, "The source's own version", 0},
    {"name", OPT_NAME, "TEXT", 0, "Its name for people", 0},
    {"purposes", OPT_PURPOSES, "A,B", 0, "Campaigns it is for; default all", 0},
    {"region", OPT_REGION, "CC", 0, "Country of numbers written without +", 0},
    {"rejects", OPT_REJECTS, "FILE", 0, "Write the rejected rows to FILE", 0},
    {0},
};

const struct cmd_spec cmd_specs_lists[] = {
    {.name = "dnc import",
     .args_doc = "FILE.csv",
     .words =
         "Read a do-not-call list, or a registry's answers; in force once its last row is in\v"
         "The first column is the number; a first line that begins with \"phone\" is skipped. "
         "A list takes the place of the version before it, of the same code. internal: the "
         "numbers are refused for good, as `dnc add` does. reassigned: the second column is no, "
         "yes or no_data. preferences: the second column holds blocked categories (\"1 3\", 0 for "
         "all), the third blocked modes (voice, auto_dialer, robo). FILE - reads standard input.",
     .needs = CMD_TENANT,
     .args_min = 1,
     .args_max = 1,
     .run = run_dnc_import,
     .options = import_options},
    {.name = "dnc lists",
     .words = "The imported lists, their age, and what is missing",
     .needs = CMD_TENANT,
     .run = run_dnc_lists},
    {0},
};
