#include "call/opt_out_spool.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/metrics.h"
#include "call/opt_out_play.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static struct opt_out_record a_record(int n)
{
    struct opt_out_record r = {.at_us = 1795100000000000 + n};
    r.organization_id.b[15] = 1;
    r.call_id.b[15] = (uint8_t)n;
    (void)snprintf(r.phone, sizeof r.phone, "+614120%05d", n);
    (void)snprintf(r.source, sizeof r.source, "phrase");
    (void)snprintf(r.words, sizeof r.words, "never call me again, %d", n);
    return r;
}

static bool same(const struct opt_out_record *a, const struct opt_out_record *b)
{
    return uuid_eq(&a->organization_id, &b->organization_id) && uuid_eq(&a->call_id, &b->call_id) &&
           a->at_us == b->at_us && strcmp(a->phone, b->phone) == 0 &&
           strcmp(a->source, b->source) == 0 && strcmp(a->words, b->words) == 0;
}

/* --- records -------------------------------------------------------------------------------------- */

struct seen {
    struct opt_out_record records[8];
    size_t count;
};

static void on_record(const struct opt_out_record *record, void *arg)
{
    struct seen *seen = arg;
    cr_assert_lt(seen->count, COUNT_OF(seen->records));
    seen->records[seen->count++] = *record;
}

static void add(struct buf *text, const struct opt_out_record *r)
{
    cr_assert_eq(opt_out_record_write(r, text), 0);
}

Test(opt_out_record, comes_back_as_it_went)
{
    static const char *const words[] = {"", "never \"again\"\nplease\t\\", "मुझे दोबारा कॉल मत करना।",
                                        "o1 0123 {\"a\":1}\n\no1", "\x01\x02\x1f"};
    for (size_t i = 0; i < COUNT_OF(words); i++) {
        struct opt_out_record r = a_record((int)i);
        struct seen seen = {.count = 0};
        OWNED(buf_fini) struct buf text;
        buf_init(&text, 65536);
        str_copy_cut(str_of(words[i]), r.words, sizeof r.words);
        add(&text, &r);
        cr_expect_eq(opt_out_records_read(buf_str(&text), on_record, &seen), 0, "%s", words[i]);
        cr_assert_eq(seen.count, 1, "%s", words[i]);
        cr_expect(same(&r, &seen.records[0]), "%s", seen.records[0].words);
    }
}

Test(opt_out_record, the_longest_words_fit)
{
    struct opt_out_record r = a_record(1);
    OWNED(buf_fini) struct buf text;
    struct seen seen = {.count = 0};
    buf_init(&text, 65536);
    memset(r.words, '\x01', sizeof r.words - 1); /* six characters each, escaped */
    add(&text, &r);
    cr_expect_eq(opt_out_records_read(buf_str(&text), on_record, &seen), 0);
    cr_expect_eq(seen.count, 1);
}

/* A kill or a full disk cuts anywhere: the record before and the one behind are whole. */
Test(opt_out_record, a_torn_record_spoils_no_other)
{
    struct opt_out_record r[3] = {a_record(1), a_record(2), a_record(3)};
    OWNED(buf_fini) struct buf one;
    buf_init(&one, 65536);
    add(&one, &r[1]);
    for (size_t cut = 0; cut < one.len; cut++) {
        struct seen seen = {.count = 0};
        OWNED(buf_fini) struct buf text;
        buf_init(&text, 65536);
        add(&text, &r[0]);
        cr_assert_eq(buf_add_str(&text, str_head(buf_str(&one), cut)), 0);
        add(&text, &r[2]);
        size_t torn = opt_out_records_read(buf_str(&text), on_record, &seen);
        bool whole = cut >= one.len - 1; /* all but the line feed behind it */
        cr_expect_eq(torn, whole || cut <= 1 ? 0 : 1, "cut at %zu: %zu torn", cut, torn);
        cr_expect_eq(seen.count, whole ? 3 : 2, "cut at %zu: %zu records", cut, seen.count);
        cr_expect(same(&seen.records[0], &r[0]) && same(&seen.records[seen.count - 1], &r[2]));
    }
}

Test(opt_out_record, no_byte_of_it_can_change)
{
    struct opt_out_record r = a_record(1);
    OWNED(buf_fini) struct buf text;
    buf_init(&text, 65536);
    add(&text, &r);
    for (size_t i = 1; i + 1 < text.len; i++) {
        struct seen seen = {.count = 0};
        char kept = text.p[i];
        text.p[i] = kept == 'x' ? 'y' : 'x';
        size_t torn = opt_out_records_read(buf_str(&text), on_record, &seen);
        cr_expect(torn == 1 && seen.count == 0, "byte %zu", i);
        text.p[i] = kept;
    }
}

/* --- a directory and a database ------------------------------------------------------------------- */

struct rig {
    struct loop *loop;
    char dir[64];
    struct opt_out_spool *spool;
    struct opt_out_play *play;
    uint64_t kept[16];
    size_t kept_count;
    enum fault_class fault;
    bool refuse;
    struct opt_out_record stored[16];
    size_t stored_count;
    desk_stored_fn *on_stored;
    void *on_stored_arg;
};

static void on_kept(uint64_t no, void *arg)
{
    struct rig *g = arg;
    cr_assert_lt(g->kept_count, COUNT_OF(g->kept));
    g->kept[g->kept_count++] = no;
}

static void on_later(void *arg)
{
    struct rig *g = arg;
    struct fault fault = fault_none();
    fault.class = g->fault;
    g->on_stored(&fault, NULL, g->on_stored_arg);
}

static int on_write(const struct desk_write *w, desk_stored_fn *on_stored, void *on_stored_arg,
                    void *arg)
{
    struct rig *g = arg;
    if (g->refuse) {
        return -EBUSY;
    }
    cr_assert_eq(w->kind, DESK_OPT_OUT);
    if (g->fault == FAULT_NONE) {
        struct opt_out_record *r = &g->stored[g->stored_count++];
        r->organization_id = w->organization_id;
        r->call_id = w->call_id;
        r->at_us = w->at_us;
        str_copy_cut(str_of(w->opt_out.phone), r->phone, sizeof r->phone);
        str_copy_cut(str_of(w->opt_out.source), r->source, sizeof r->source);
        str_copy_cut(str_of(w->opt_out.words), r->words, sizeof r->words);
    }
    g->on_stored = on_stored;
    g->on_stored_arg = on_stored_arg;
    loop_defer(g->loop, on_later, g);
    return 0;
}

static void settle(struct rig *g)
{
    for (int i = 0; i < 100; i++) {
        (void)loop_run_once(g->loop, false);
    }
}

static void rig_init(struct rig *g)
{
    memset(g, 0, sizeof *g);
    (void)snprintf(g->dir, sizeof g->dir, "/tmp/dw-spool-XXXXXX");
    cr_assert_not_null(mkdtemp(g->dir));
    g->loop = loop_new(LOOP_VIRTUAL);
    loop_set_wall(g->loop, 1795100000LL * US_PER_S);
    spool_open(&g->spool, g->loop, g->dir, on_kept, g);
}

static void rig_play(struct rig *g)
{
    struct desk_store store = {on_write, g};
    play_open(&g->play, g->loop, g->dir, &store);
    settle(g);
}

static void rig_fini(struct rig *g)
{
    char command[128];
    play_close(&g->play);
    spool_close(&g->spool);
    settle(g);
    loop_free(&g->loop);
    (void)snprintf(command, sizeof command, "rm -rf %s", g->dir);
    cr_expect_eq(system(command), 0); /* tidy: allow system: a test's own directory */
}

/* The path of the n-th file that ends so, or false. */
static bool file_named(const struct rig *g, const char *end, char path[512])
{
    char dir_path[128];
    bool found = false;
    (void)snprintf(dir_path, sizeof dir_path, "%s/" SPOOL_DIR, g->dir);
    DIR *dir = opendir(dir_path);
    for (const struct dirent *e = dir != NULL ? readdir(dir) : NULL; e != NULL; e = readdir(dir)) {
        if (str_ends(str_of(e->d_name), str_of(end))) {
            (void)snprintf(path, 512, "%s/%.200s", dir_path, e->d_name);
            found = true;
        }
    }
    if (dir != NULL) {
        (void)closedir(dir);
    }
    return found;
}

static int64_t file_size(const char *path)
{
    struct stat st;
    return stat(path, &st) < 0 ? -1 : (int64_t)st.st_size;
}

/* What a dead process would have left: a file that nobody holds. */
static void leave_behind(const struct rig *g, const char *name, struct str text)
{
    char path[512];
    (void)snprintf(path, sizeof path, "%s/" SPOOL_DIR, g->dir);
    (void)mkdir(path, 0700);
    (void)snprintf(path, sizeof path, "%s/" SPOOL_DIR "/%s", g->dir, name);
    int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    cr_assert_geq(fd, 0);
    cr_assert_eq(write(fd, text.p, text.len), (ssize_t)text.len);
    cr_assert_eq(close(fd), 0);
}

Test(opt_out_spool, is_on_disk_before_it_says_so_and_gone_when_the_database_has_it)
{
    struct rig g;
    char path[512];
    struct stat st;
    rig_init(&g);
    cr_expect_not(file_named(&g, SPOOL_SUFFIX, path), "no file for nothing");
    struct opt_out_record r = a_record(1);
    uint64_t no = spool_keep(g.spool, &r);
    cr_expect_neq(no, 0);
    cr_expect_not(spool_has(g.spool, no));
    settle(&g);
    cr_expect_eq(g.kept_count, 1);
    cr_expect_eq(g.kept[0], no);
    cr_expect(spool_has(g.spool, no));
    cr_expect_eq(metric_read("opt_outs_waiting", NULL), 1);
    cr_assert(file_named(&g, SPOOL_SUFFIX, path));
    cr_assert_eq(stat(path, &st), 0);
    cr_expect_eq(st.st_mode & 0777, 0600, "mode %o", (unsigned)st.st_mode);
    cr_expect_gt(st.st_size, 0);
    spool_done(g.spool, no);
    settle(&g);
    cr_expect_eq(file_size(path), 0, "emptied");
    cr_expect_eq(metric_read("opt_outs_waiting", NULL), 0);
    spool_close(&g.spool);
    cr_expect_not(file_named(&g, SPOOL_SUFFIX, path), "and removed at the end");
    rig_fini(&g);
}

/* With one of two in the database the file stays: the other one is in it. */
Test(opt_out_spool, is_emptied_only_when_the_database_has_all)
{
    struct rig g;
    char path[512];
    rig_init(&g);
    struct opt_out_record r[2] = {a_record(1), a_record(2)};
    uint64_t first = spool_keep(g.spool, &r[0]);
    settle(&g);
    uint64_t second = spool_keep(g.spool, &r[1]);
    settle(&g);
    cr_assert(file_named(&g, SPOOL_SUFFIX, path));
    int64_t both = file_size(path);
    spool_done(g.spool, first);
    settle(&g);
    cr_expect_eq(file_size(path), both);
    spool_done(g.spool, second);
    /* One that comes while the emptying is under way is written behind it. */
    struct opt_out_record third = a_record(3);
    uint64_t no = spool_keep(g.spool, &third);
    settle(&g);
    cr_expect(spool_has(g.spool, no));
    cr_expect_gt(file_size(path), 0);
    rig_fini(&g);
}

Test(opt_out_spool, what_was_left_is_played_once_and_removed)
{
    struct rig g;
    char path[512];
    rig_init(&g);
    struct opt_out_record r[2] = {a_record(1), a_record(2)};
    (void)spool_keep(g.spool, &r[0]);
    (void)spool_keep(g.spool, &r[1]);
    settle(&g);
    rig_play(&g);
    cr_expect_eq(g.stored_count, 0, "a file of a process that lives is its own");
    play_close(&g.play);
    spool_close(&g.spool); /* with two records that the database lacks: as good as a kill */
    rig_play(&g);
    cr_assert_eq(g.stored_count, 2);
    cr_expect(same(&g.stored[0], &r[0]) && same(&g.stored[1], &r[1]));
    cr_expect_not(file_named(&g, SPOOL_SUFFIX, path), "removed");
    loop_advance(g.loop, 3 * PLAY_LOOK_MS * US_PER_MS);
    settle(&g);
    cr_expect_eq(g.stored_count, 2, "and not played again");
    rig_fini(&g);
}

/* A stop in the same turn: no job has run. */
Test(opt_out_spool, is_written_at_the_close_when_no_job_has)
{
    struct rig g;
    rig_init(&g);
    struct opt_out_record r = a_record(7);
    (void)spool_keep(g.spool, &r);
    spool_close(&g.spool);
    settle(&g);
    rig_play(&g);
    cr_assert_eq(g.stored_count, 1);
    cr_expect(same(&g.stored[0], &r));
    rig_fini(&g);
}

Test(opt_out_spool, a_database_that_is_away_is_asked_again)
{
    struct rig g;
    char path[512];
    rig_init(&g);
    struct opt_out_record r = a_record(1);
    OWNED(buf_fini) struct buf text;
    buf_init(&text, 65536);
    add(&text, &r);
    leave_behind(&g, "dead" SPOOL_SUFFIX, buf_str(&text));
    g.refuse = true;
    rig_play(&g);
    g.refuse = false;
    g.fault = FAULT_UNSURE;
    for (int i = 0; i < 5; i++) {
        loop_advance(g.loop, PLAY_AGAIN_MS * US_PER_MS);
        settle(&g);
    }
    cr_expect_eq(g.stored_count, 0);
    cr_expect(file_named(&g, SPOOL_SUFFIX, path));
    g.fault = FAULT_NONE;
    loop_advance(g.loop, PLAY_AGAIN_MS * US_PER_MS);
    settle(&g);
    cr_expect_eq(g.stored_count, 1);
    cr_expect_not(file_named(&g, SPOOL_SUFFIX, path));
    rig_fini(&g);
}

Test(opt_out_spool, what_the_database_refuses_keeps_its_file_and_stops_no_other)
{
    struct rig g;
    char path[512];
    rig_init(&g);
    struct opt_out_record r = a_record(1);
    OWNED(buf_fini) struct buf text;
    buf_init(&text, 65536);
    add(&text, &r);
    leave_behind(&g, "dead" SPOOL_SUFFIX, buf_str(&text));
    g.fault = FAULT_REFUSED;
    rig_play(&g);
    cr_expect(file_named(&g, SPOOL_SUFFIX, path));
    g.fault = FAULT_NONE;
    leave_behind(&g, "other" SPOOL_SUFFIX, buf_str(&text));
    loop_advance(g.loop, PLAY_LOOK_MS * US_PER_MS);
    settle(&g);
    cr_expect_eq(g.stored_count, 1, "the next file is played");
    cr_expect(file_named(&g, "dead" SPOOL_SUFFIX, path), "the refused one waits for a new process");
    rig_fini(&g);
}

/* However many are refused, and in whatever order the directory names them. */
Test(opt_out_spool, refused_files_keep_no_other_from_being_played)
{
    struct rig g;
    rig_init(&g);
    struct opt_out_record r[2] = {a_record(1), a_record(2)};
    OWNED(buf_fini) struct buf refused;
    OWNED(buf_fini) struct buf good;
    buf_init(&refused, 65536);
    buf_init(&good, 65536);
    add(&refused, &r[0]);
    add(&good, &r[1]);
    for (int i = 0; i < 5; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "dead%d" SPOOL_SUFFIX, i);
        leave_behind(&g, name, buf_str(&refused));
    }
    int64_t before = metric_read("opt_out_spool_total", "refused");
    g.fault = FAULT_REFUSED;
    rig_play(&g);
    loop_advance(g.loop, 10 * PLAY_LOOK_MS * US_PER_MS);
    settle(&g);
    cr_expect_eq(metric_read("opt_out_spool_total", "refused") - before, 5, "each once");
    g.fault = FAULT_NONE;
    leave_behind(&g, "other" SPOOL_SUFFIX, buf_str(&good));
    loop_advance(g.loop, 2 * PLAY_LOOK_MS * US_PER_MS);
    settle(&g);
    cr_expect_eq(g.stored_count, 1);
    cr_expect(same(&g.stored[0], &r[1]));
    play_close(&g.play);
    rig_play(&g);
    cr_expect_eq(g.stored_count, 6, "a new process asks again");
    rig_fini(&g);
}

Test(opt_out_spool, a_torn_file_is_played_and_put_aside)
{
    struct rig g;
    char path[512];
    rig_init(&g);
    struct opt_out_record r[2] = {a_record(1), a_record(2)};
    OWNED(buf_fini) struct buf text;
    buf_init(&text, 65536);
    add(&text, &r[0]);
    size_t whole = text.len;
    add(&text, &r[1]);
    int64_t torn = metric_read("opt_out_spool_total", "torn");
    leave_behind(&g, "dead" SPOOL_SUFFIX, str_head(buf_str(&text), whole + 60));
    rig_play(&g);
    cr_assert_eq(g.stored_count, 1);
    cr_expect(same(&g.stored[0], &r[0]));
    cr_expect(file_named(&g, SPOOL_SUFFIX ".torn", path), "kept for people to read");
    cr_expect_not(file_named(&g, "dead" SPOOL_SUFFIX, path));
    cr_expect_eq(metric_read("opt_out_spool_total", "torn") - torn, 1);
    rig_fini(&g);
}

/* The disk is full: the record stays, is counted, and is written when there is room. */
Test(opt_out_spool, a_full_disk_is_tried_again)
{
    struct rig g;
    rig_init(&g);
    struct rlimit before;
    struct rlimit none = {.rlim_cur = 40};
    cr_assert_eq(getrlimit(RLIMIT_FSIZE, &before), 0);
    none.rlim_max = before.rlim_max;
    (void)signal(SIGXFSZ, SIG_IGN);
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &none), 0); /* 40 bytes and no more: torn, then EFBIG */
    struct opt_out_record r = a_record(1);
    int64_t failed = metric_read("opt_out_spool_total", "failed");
    uint64_t no = spool_keep(g.spool, &r);
    settle(&g);
    cr_expect_not(spool_has(g.spool, no));
    loop_advance(g.loop, 2 * SPOOL_AGAIN_MS * US_PER_MS);
    settle(&g);
    cr_expect_geq(metric_read("opt_out_spool_total", "failed") - failed, 2);
    cr_expect_eq(metric_read("opt_outs_waiting", NULL), 1, "in memory");
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &before), 0);
    loop_advance(g.loop, SPOOL_AGAIN_MS * US_PER_MS);
    settle(&g);
    cr_expect(spool_has(g.spool, no), "there is room again");
    spool_close(&g.spool);
    rig_play(&g);
    cr_expect_eq(g.stored_count, 1, "what was torn before it spoils nothing");
    cr_expect(same(&g.stored[0], &r));
    rig_fini(&g);
}

Test(opt_out_spool, no_directory_stops_nothing)
{
    struct rig g;
    char path[128];
    rig_init(&g);
    (void)snprintf(path, sizeof path, "%s/" SPOOL_DIR, g.dir);
    int fd =
        open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600); /* a file where the directory belongs */
    cr_assert_geq(fd, 0);
    cr_assert_eq(close(fd), 0);
    struct opt_out_record r = a_record(1);
    uint64_t no = spool_keep(g.spool, &r);
    settle(&g);
    cr_expect_not(spool_has(g.spool, no));
    cr_assert_eq(unlink(path), 0);
    loop_advance(g.loop, SPOOL_AGAIN_MS * US_PER_MS);
    settle(&g);
    cr_expect(spool_has(g.spool, no));
    rig_fini(&g);
}
