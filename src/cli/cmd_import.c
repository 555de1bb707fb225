#include "cli/cmd.h"
#include "cli/import_batch.h"

#include "base/alloc.h"
#include "base/map.h"
#include "loop/loop.h"
#include "loop/worker.h"
#include "store/pg_conn.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BATCHES_MAX  16 /* read, judged or sent at the same moment */
#define BATCHES_BUSY 8  /* above so many nothing is read */
/* The shortest row has two bytes, so a chunk fills at most four batches and a bit. */
#define CHUNK_BYTES (16 * 1024)
static_assert(BATCHES_BUSY + CHUNK_BYTES / 2 / BATCH_ROWS_MAX + 1 <= BATCHES_MAX,
              "a chunk's batches find room");
#define TRIES_MAX 3
#define WHY_MAX   4096

enum { OPT_CAMPAIGN = 1, OPT_REGION, OPT_REJECTS, OPT_LEVEL };

/*  read_chunk -> on_row -> seal -> (worker) judge -> on_judged -> send_in_order -> on_stored
 *
 *  Batches are judged in any order, and then sent in the order of the file: which of two rows with
 * one number is the duplicate must not depend on luck. */
struct import {
    struct cmd *cmd;
    int fd;
    int64_t bytes_all; /* 0: not known */
    int64_t bytes_read;
    bool eof;
    struct csv_rows *csv;
    struct import_map map;
    bool has_header;
    struct import_rules rules;
    struct uuid id;
    bool begun;
    struct import_batch *filling;
    struct import_batch *window[BATCHES_MAX]; /* by ordinal modulo size */
    size_t sealed;                            /* batches given to the workers */
    size_t sent;
    size_t open;     /* sealed, not stored yet */
    struct map seen; /* number -> line + 1 */
    int64_t rows;
    int64_t stored;
    int64_t rejected;
    FILE *rejects;
    struct buf why;
    bool failed;
};

struct job {
    struct import *import;
    struct import_batch *batch;
    struct fault fault;
};

static void send_in_order(struct import *import);

static void fail(struct import *import, const char *what)
{
    if (!import->failed) {
        import->failed = true;
        (void)buf_add_cstr(&import->why, what);
    }
}

static void show_progress(const struct import *import)
{
    if (!isatty(STDERR_FILENO)) {
        return;
    }
    int percent = import->bytes_all > 0 ? (int)(100 * import->bytes_read / import->bytes_all) : 0;
    (void)fprintf(stderr, "\r%3d%% [%-30.*s] %lld rows, %lld rejected", percent, percent * 30 / 100,
                  "##############################", (long long)import->stored,
                  (long long)import->rejected);
}

/* Storing. */
static void write_reject(struct import *import, const struct import_row *row, struct str reason,
                         struct str detail)
{
    OWNED(buf_fini) struct buf line = {0};

    if (!import->rejects || !row) {
        return;
    }
    buf_init(&line, 64 * 1024);
    (void)buf_addf(&line, "%lld,", (long long)row->line);
    csv_add_field(&line, reason);
    (void)buf_add_char(&line, ',');
    csv_add_field(&line, detail);
    (void)buf_add_char(&line, ',');
    csv_add_field(&line, row->raw);
    (void)buf_add_char(&line, '\n');
    if (fwrite(buf_cstr(&line), 1, line.len, import->rejects) != line.len) {
        fail(import, "the file of rejects cannot be written");
    }
}

static struct str text_at(const json_t *list, size_t i)
{
    const json_t *v = json_array_get(list, i);

    return json_is_string(v) ? str_make(json_string_value(v), json_string_length(v)) : STR_NONE;
}

static void take_answer(struct import *import, const struct import_batch *batch,
                        const json_t *answer)
{
    const json_t *rejects = json_get_array(answer, "rejects");

    for (size_t i = 0; i < json_array_size(rejects); i++) {
        const json_t *r = json_array_get(rejects, i);
        const struct import_row *row =
            import_batch_find(batch, json_integer_value(json_array_get(r, 0)));
        write_reject(import, row, text_at(r, 1), text_at(r, 2));
    }
    import->stored += (int64_t)batch->count;
    import->rejected += (int64_t)json_array_size(rejects);
    show_progress(import);
}

static void drop_batch(struct import *import, struct import_batch *batch)
{
    import->window[batch->ordinal % BATCHES_MAX] = NULL;
    import->open--;
    import_batch_free(&batch);
}

static void send_batch(struct job *job);

static void on_stored(const struct fault *fault, json_t *answer, void *arg)
{
    struct job *job = arg;
    struct import *import = job->import;
    bool again = fault->class == FAULT_NOT_SENT || fault->class == FAULT_BUSY;

    if (again && ++job->batch->tries < TRIES_MAX && !import->failed) {
        send_batch(job);
        return;
    }
    if (fault->class == FAULT_NONE) {
        take_answer(import, job->batch, answer);
    } else {
        fail(import, fault->text[0] != '\0' ? fault->text : fault_class_name(fault->class));
    }
    drop_batch(import, job->batch);
    xfree(job);
}

static void send_batch(struct job *job)
{
    struct import *import = job->import;
    struct admin_batch arrays;
    int err = import->failed ? -ECANCELED : import_batch_arrays(job->batch, &import->id, &arrays);

    if (err == 0) {
        err = store_admin_import_batch(NULL, import->cmd->db, &import->cmd->org.id, &arrays,
                                       cmd_now_us(import->cmd), on_stored, job);
    }
    if (err < 0) {
        fail(import, strerror(-err));
        drop_batch(import, job->batch);
        xfree(job);
    }
}

static void find_duplicates(struct import *import, struct import_batch *batch)
{
    for (size_t i = 0; i < batch->count; i++) {
        struct import_row *row = &batch->rows[i];
        if (row->reason) {
            continue;
        }
        intptr_t before = (intptr_t)map_get(&import->seen, str_of(row->phone.e164));
        if (before > 0) {
            import_row_reject(batch, row, "duplicate_in_file", "the same number as line %lld",
                              (long long)before);
        } else {
            (void)map_put(&import->seen, str_of(row->phone.e164), (void *)(intptr_t)row->line);
        }
    }
}

static void send_in_order(struct import *import)
{
    /* Rows of the first chunk are judged before the import has its id. */
    while ((import->begun || import->failed) && import->sent < import->sealed) {
        struct import_batch *batch = import->window[import->sent % BATCHES_MAX];
        if (!batch || !batch->judged) {
            return;
        }
        struct job *job = xzalloc(sizeof *job);
        job->import = import;
        job->batch = batch;
        import->sent++;
        find_duplicates(import, batch);
        send_batch(job);
    }
}

/* Judging. */
static void judge(void *arg)
{
    struct job *job = arg;

    import_batch_judge(job->batch);
}

static void on_judged(void *arg)
{
    struct job *job = arg;
    struct import *import = job->import;

    job->batch->judged = true;
    xfree(job);
    send_in_order(import);
}

static void seal(struct import *import)
{
    struct import_batch *batch = import->filling;

    if (!batch) {
        return;
    }
    struct job *job = xzalloc(sizeof *job);
    job->import = import;
    job->batch = batch;
    import->filling = NULL;
    import->window[batch->ordinal % BATCHES_MAX] = batch;
    import->sealed++;
    import->open++;
    struct worker_op *op;
    if (worker_start(&op, import->cmd->loop, judge, on_judged, NULL, job) < 0) {
        judge(job);
        on_judged(job);
    }
}

/* Reading. */
static void on_row(const struct csv_row *row, void *arg)
{
    struct import *import = arg;

    if (import->failed) {
        return;
    }
    if (!import->has_header) {
        import->has_header = true;
        if (import_map_init(&import->map, row, &import->why) < 0) {
            import->failed = true;
        }
        return;
    }
    if (!import->filling) {
        import->filling = import_batch_new(&import->map, &import->rules, import->sealed);
    }
    import_batch_add(import->filling, row);
    import->rows++;
    if (import_batch_full(import->filling)) {
        seal(import);
    }
}

static void read_chunk(struct import *import)
{
    char bytes[CHUNK_BYTES];
    ssize_t n = read(import->fd, bytes, sizeof bytes);
    int err = n < 0 ? -errno : 0;

    if (n > 0) {
        import->bytes_read += n;
        err = csv_rows_feed(import->csv, str_make(bytes, (size_t)n));
    } else if (n == 0) {
        import->eof = true;
        err = csv_rows_end(import->csv);
        seal(import);
    }
    if (err == -EINVAL) {
        fail(import, "the file is not a CSV file in UTF-8");
    } else if (err < 0) {
        fail(import, strerror(-err));
    }
}

static bool has_room(const struct import *import)
{
    return !import->eof && !import->failed && import->open < BATCHES_BUSY;
}

static void read_all(struct import *import)
{
    while (has_room(import) || import->open > 0) {
        while (has_room(import)) {
            read_chunk(import);
        }
        if (import->open > 0) {
            (void)loop_run_once(import->cmd->loop, true);
        }
    }
}

/* The act as a whole. */
static enum exit_code begin(struct import *import)
{
    struct cmd *cmd = import->cmd;
    const char *file = strrchr(cmd->args[0], '/');
    OWNED(json_free)
    json_t *doc = cmd_doc(cmd, "campaign", cmd->options[OPT_CAMPAIGN], "file",
                          file ? file + 1 : cmd->args[0], NULL);
    OWNED(json_free) json_t *answer = NULL;

    (void)json_object_set_new(doc, "columns", import_map_json(&import->map));
    enum exit_code code = cmd_ask(cmd, ADMIN_IMPORT_BEGIN, doc, &answer);
    if (code == EXIT_DONE && uuid_parse(json_get_str(answer, "id"), &import->id) < 0) {
        code = cmd_fail(cmd, "the database gave the import no id");
    }
    import->begun = code == EXIT_DONE;
    return code;
}

static void print_result(const json_t *answer)
{
    const char *reason;
    json_t *count;

    (void)printf("%lld rows: %lld new leads, %lld known ones, %lld rejected\n",
                 (long long)json_get_i64(answer, "rows", 0),
                 (long long)json_get_i64(answer, "added", 0),
                 (long long)json_get_i64(answer, "updated", 0),
                 (long long)json_get_i64(answer, "rejected", 0));
    json_object_foreach(json_get(answer, "reasons"), reason, count)
    {
        (void)printf("  %-20s %lld\n", reason, (long long)json_integer_value(count));
    }
}

static enum exit_code end(struct import *import)
{
    struct cmd *cmd = import->cmd;
    char id[UUID_TEXT_SIZE];
    OWNED(json_free) json_t *answer = NULL;

    uuid_text(&import->id, id);
    OWNED(json_free)
    json_t *doc =
        cmd_doc(cmd, "import", id, "error", import->failed ? buf_cstr(&import->why) : NULL, NULL);
    (void)json_object_set_new(doc, "rows", json_integer(import->rows));
    if (isatty(STDERR_FILENO)) {
        (void)fputc('\n', stderr);
    }
    enum exit_code code = cmd_ask(cmd, ADMIN_IMPORT_END, doc, &answer);
    if (code != EXIT_DONE) {
        return code;
    }
    if (import->failed) {
        return cmd_fail(
            cmd, "%s (after %lld of %lld rows; run it again: rows that are in are then duplicates)",
            buf_cstr(&import->why), (long long)import->stored, (long long)import->rows);
    }
    (void)cmd_show(cmd, answer, print_result);
    return str_eq_cstr(json_get_str(answer, "status"), "finished") ? EXIT_DONE : EXIT_FAILED;
}

static enum exit_code open_files(struct import *import)
{
    struct cmd *cmd = import->cmd;
    struct stat st;

    import->fd =
        strcmp(cmd->args[0], "-") == 0 ? STDIN_FILENO : open(cmd->args[0], O_RDONLY | O_CLOEXEC);
    if (import->fd < 0) {
        return cmd_fail(cmd, "%s: %s", cmd->args[0], strerror(errno));
    }
    import->bytes_all = fstat(import->fd, &st) == 0 && S_ISREG(st.st_mode) ? st.st_size : 0;
    if (cmd->options[OPT_REJECTS]) {
        import->rejects = fopen(cmd->options[OPT_REJECTS], "we");
        if (!import->rejects) {
            return cmd_fail(cmd, "%s: %s", cmd->options[OPT_REJECTS], strerror(errno));
        }
        (void)fputs("line,reason,detail,row\n", import->rejects);
    }
    return EXIT_DONE;
}

/* Reads up to the header, so that a file of another kind is refused before anything is written. */
static enum exit_code read_header(struct import *import)
{
    while (!import->has_header && !import->eof && !import->failed) {
        read_chunk(import);
    }
    if (!import->failed && !import->has_header) {
        fail(import, "the file is empty");
    }
    return import->failed
               ? cmd_fail(import->cmd, "%s: %s", import->cmd->args[0], buf_cstr(&import->why))
               : EXIT_DONE;
}

static void close_files(struct import *import)
{
    if (import->fd > STDERR_FILENO) {
        (void)close(import->fd);
    }
    if (import->rejects && fclose(import->rejects) != 0) {
        (void)fprintf(stderr, "dialwright import: the file of rejects could not be written\n");
    }
    csv_rows_free(&import->csv);
    import_map_fini(&import->map);
    import_batch_free(&import->filling);
    map_fini(&import->seen);
    buf_fini(&import->why);
}

static enum exit_code check_options(const struct cmd *cmd)
{
    const char *region = cmd->options[OPT_REGION];
    const char *level = cmd->options[OPT_LEVEL];

    if (region && (strlen(region) != 2 || !isupper((unsigned char)region[0]) ||
                   !isupper((unsigned char)region[1]))) {
        return cmd_usage(cmd, "--default-region wants two capital letters, not %s", region);
    }
    if (level && strcmp(level, "express") != 0 && strcmp(level, "written") != 0) {
        return cmd_usage(cmd, "--consent-level wants express or written, not %s", level);
    }
    return EXIT_DONE;
}

static enum exit_code run_import(struct cmd *cmd)
{
    struct import import = {
        .cmd = cmd,
        .fd = -1,
        .rules = {.default_region = cmd->options[OPT_REGION],
                  .consent_level = cmd->options[OPT_LEVEL] ? cmd->options[OPT_LEVEL] : "express"},
    };
    enum exit_code code = check_options(cmd);

    if (code != EXIT_DONE) {
        return code;
    }
    buf_init(&import.why, WHY_MAX);
    map_init(&import.seen);
    import.csv = csv_rows_new(on_row, &import);
    code = open_files(&import);
    if (code == EXIT_DONE) {
        code = read_header(&import);
    }
    if (code == EXIT_DONE) {
        code = begin(&import);
    }
    if (code != EXIT_DONE) {
        import.failed = true;
    }
    send_in_order(&import);
    read_all(&import);
    if (import.begun) {
        code = end(&import);
    }
    close_files(&import);
    return code;
}

static const struct argp_option options[] = {
    {"campaign", OPT_CAMPAIGN, "CAMPAIGN", 0, "Enrol the leads in this campaign", 0},
    {"default-region", OPT_REGION, "CC", 0, "Country of numbers written without +", 0},
    {"rejects", OPT_REJECTS, "FILE", 0,
     "Write the rejected rows to FILE too (line, reason, detail, row)", 0},
    {"consent-level", OPT_LEVEL, "LEVEL", 0,
     "Level of consents that name none: express (default) or written; your word for this list", 0},
    {0},
};

const struct cmd_spec cmd_specs_import[] = {
    {.name = "import",
     .args_doc = "FILE.csv",
     .words =
         "Read a list of leads; every row becomes a lead or a named reject\v"
         "The first line names the columns: phone, name, email, timezone, consent_at, "
         "consent_evidence, "
         "consent_scope, consent_level, source; every other column becomes an attribute of "
         "the lead. A consent "
         "without evidence is none. A number whose zone is not known is rejected (unknown_zone), "
         "unless the row has a timezone or the campaign names one for such leads. FILE - reads "
         "standard input.",
     .needs = CMD_TENANT,
     .args_min = 1,
     .args_max = 1,
     .run = run_import,
     .options = options},
    {0},
};
