/* The dial journal on a real disk: grouped writes, torn lines, a full disk, reading and forgetting. */
#include "dial/journal.h"

#include "base/alloc.h"
#include "base/clock.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static struct loop *loop;
static char dir[64];
static struct uuid node = {{1}};
static struct journal_head head = {
    .installation_id = {{2}}, .system_id = "7711090875599364270", .timeline = 3};
static int written;
static int failed;
static struct journal_contents seen;
static struct journal_read_entry entries[4096];
static bool read_done;
static struct journal_old old;
static bool old_done;

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static void set_up(void)
{
    loop = loop_new(LOOP_REAL);
    snprintf(dir, sizeof dir, "/tmp/dw-journal-%d-XXXXXX", getpid());
    cr_assert_not_null(mkdtemp(dir));
    written = failed = 0;
    read_done = old_done = false;
}

static void tear_down(void)
{
    loop_free(&loop);
    (void)nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

TestSuite(journal, .init = set_up, .fini = tear_down, .timeout = 60);

static void on_done(int err, void *arg)
{
    (void)arg;
    written += err == 0;
    failed += err < 0;
}

static struct journal_entry entry_of(int n)
{
    struct journal_entry e = {.call_id = {{9, (uint8_t)(n >> 8), (uint8_t)n}},
                              .organization_id = {{4}},
                              .queue_id = {{5}},
                              .carrier_account_id = {{6}},
                              .worker_id = {{7}},
                              .from_e164 = "+14155550100",
                              .to_e164 = "+14155550199",
                              .attempt_number = n + 1,
                              .at_us = 1700000000000000 + n};
    return e;
}

static void append(struct journal *j, int from, int to)
{
    for (int n = from; n < to; n++) {
        struct journal_entry e = entry_of(n);
        struct journal_op *op = NULL;
        cr_assert_eq(journal_append(&op, j, &e, on_done, NULL), 0);
    }
}

#define WAIT(cond)                                                                                 \
    while (!(cond)) {                                                                              \
        cr_assert(loop_run_once(loop, true) || (cond));                                            \
    }

static struct journal *begun(void)
{
    struct journal *j = NULL;
    cr_assert_eq(journal_open(&j, loop, dir, &node), 0);
    journal_begin(j, &head);
    return j;
}

static void on_read(const struct journal_contents *c, void *arg)
{
    (void)arg;
    seen = *c;
    cr_assert_leq(c->count, COUNT_OF(entries));
    if (c->count > 0) {
        memcpy(entries, c->entries, c->count * sizeof *entries);
    }
    read_done = true;
}

static void read_all(struct journal *j)
{
    struct journal_op *op = NULL;
    read_done = false;
    journal_read(&op, j, &head, on_read, NULL);
    WAIT(read_done);
    cr_assert_eq(seen.err, 0);
}

/* The one segment there is. */
static void segment_path(char *out, size_t size)
{
    char place[80];
    snprintf(place, sizeof place, "%s/journal", dir);
    DIR *d = opendir(place);
    cr_assert_not_null(d);
    for (struct dirent *e = readdir(d); e != NULL; e = readdir(d)) {
        if (e->d_name[0] != '.') {
            snprintf(out, size, "%s/%s", place, e->d_name);
        }
    }
    closedir(d);
}

Test(journal, lines_go_round)
{
    OWNED(buf_fini) struct buf line;
    struct journal_entry back;
    struct journal_head other = head;
    buf_init(&line, JOURNAL_LINE_MAX);
    const struct journal_entry e = entry_of(7);
    cr_assert_eq(journal_line_write(&head, &e, &line), 0);
    struct str text = str_head(buf_str(&line), line.len - 1);
    cr_assert_eq(journal_line_read(&head, text, &back), 0);
    cr_assert_eq(memcmp(&back, &e, sizeof e), 0);
    for (size_t i = 0; i < text.len; i++) { /* every changed letter is noticed */
        line.p[i] ^= 1;
        cr_expect_eq(journal_line_read(&head, text, &back), -EINVAL, "at %zu", i);
        line.p[i] ^= 1;
    }
    for (size_t len = 0; len < text.len; len++) {
        cr_expect_eq(journal_line_read(&head, str_head(text, len), &back), -EINVAL);
    }
    other.timeline++;
    cr_assert_eq(journal_line_read(&other, text, &back), -EINVAL, "of another segment");
}

Test(journal, appends_are_on_disk_and_share_writes)
{
    struct journal *j = begun();
    append(j, 0, 500);
    WAIT(written == 500);
    read_all(j);
    cr_assert_eq(seen.count, 500);
    for (int n = 0; n < 500; n++) {
        const struct journal_entry e = entry_of(n);
        cr_expect_eq(memcmp(&entries[n].entry, &e, sizeof e), 0, "entry %d, in its order", n);
        cr_expect_not(entries[n].old);
        cr_expect(entries[n].over, "nobody holds the lock of its worker");
    }
    struct uuid last;
    struct journal_head on;
    cr_assert(journal_last(j, &last, &on));
    const struct journal_entry e = entry_of(499);
    cr_assert(uuid_eq(&last, &e.call_id) && uuid_eq(&seen.newest, &e.call_id));
    cr_assert_eq(seen.dead_count, 0, "we live");
    journal_close(&j);
}

Test(journal, a_worker_that_lives_is_told_from_a_dead_one)
{
    struct journal *j = begun();
    struct lock_file lock;
    const struct journal_entry e = entry_of(0);
    cr_assert_eq(lock_take(&lock, dir, &e.worker_id), 0);
    append(j, 0, 1);
    WAIT(written == 1);
    read_all(j);
    cr_assert_not(entries[0].over);
    lock_drop(&lock);
    read_all(j);
    cr_assert(entries[0].over);
    journal_close(&j);
}

Test(journal, a_torn_tail_is_none_and_what_follows_a_bad_line_counts)
{
    struct journal *j = begun();
    append(j, 0, 3);
    WAIT(written == 3);
    journal_close(&j);
    char path[400];
    segment_path(path, sizeof path);
    struct stat st;
    cr_assert_eq(stat(path, &st), 0);
    cr_assert_eq(truncate(path, st.st_size - 20), 0, "the machine stopped in the middle of it");
    node.b[15]++;
    j = begun();
    read_all(j);
    cr_assert_eq(seen.count, 2);
    cr_assert_eq(seen.bad, 0, "a torn tail is no fault");
    cr_assert_eq(seen.dead_count, 1, "and its writer is gone: we speak for it");
    int fd = open(path, O_WRONLY);
    cr_assert_eq(pwrite(fd, "X", 1, 160), 1);
    close(fd);
    read_all(j);
    cr_assert_eq(seen.count, 1);
    cr_assert_eq(seen.bad, 1);
    journal_close(&j);
}

Test(journal, a_process_lives_as_long_as_it_holds_a_segment)
{
    struct journal *j = begun();
    append(j, 0, 1);
    WAIT(written == 1);
    head.timeline++;
    journal_begin(j, &head);
    append(j, 1, 2);
    WAIT(written == 2);
    node.b[15]++;
    struct journal *other = begun();
    read_all(other);
    cr_assert_eq(seen.count, 2);
    cr_assert_eq(seen.dead_count, 0, "it let go of a segment, and lives");
    journal_close(&j);
    read_all(other);
    cr_assert_eq(seen.dead_count, 1, "dead, and named once for both of its segments");
    journal_close(&other);
}

Test(journal, another_history_and_another_installation)
{
    struct journal *j = begun();
    append(j, 0, 2);
    WAIT(written == 2);
    head.timeline++;
    journal_begin(j, &head);
    append(j, 2, 3);
    WAIT(written == 3);
    read_all(j);
    cr_assert_eq(seen.count, 3);
    cr_assert(entries[0].old && entries[1].old && !entries[2].old);
    head.installation_id.b[0]++;
    journal_begin(j, &head);
    read_all(j);
    cr_assert_eq(seen.count, 0, "another database's dials are not ours");
    journal_close(&j);
}

/* A full disk, made with a limit on the size of files: nothing is claimed to be written, and what is written after it
 * is whole. */
Test(journal, a_full_disk_refuses_and_heals)
{
    struct journal *j = begun();
    struct rlimit limit;
    (void)signal(SIGXFSZ, SIG_IGN);
    append(j, 0, 1);
    WAIT(written == 1);
    char path[400];
    struct stat st;
    segment_path(path, sizeof path);
    cr_assert_eq(stat(path, &st), 0);
    cr_assert_eq(getrlimit(RLIMIT_FSIZE, &limit), 0);
    struct rlimit tight = {(rlim_t)st.st_size + 40, limit.rlim_max};
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &tight), 0);
    append(j, 1, 3);
    WAIT(failed == 2); /* the one that was written, and the one that waited for it */
    cr_assert_str_neq(journal_why(j), "", "it says so");
    struct journal_op *op = NULL;
    const struct journal_entry e = entry_of(9);
    cr_assert_lt(journal_append(&op, j, &e, on_done, NULL), 0, "and takes no more");
    cr_assert_eq(stat(path, &st), 0);
    cr_assert_lt(st.st_size, (off_t)tight.rlim_cur, "what was written half is cut off");
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    WAIT(journal_why(j)[0] == '\0'); /* by itself */
    append(j, 3, 5);
    WAIT(written == 3);
    read_all(j);
    cr_assert_eq(seen.count, 3);
    cr_assert_eq(seen.bad, 0);
    journal_close(&j);
}

static void on_old(const struct journal_old *o, void *arg)
{
    (void)arg;
    old = *o;
    old_done = true;
}

Test(journal, forgets_what_nobody_writes_and_is_old)
{
    struct journal *j = begun();
    struct journal_op *op = NULL;
    append(j, 0, 2);
    WAIT(written == 2);
    journal_oldest(&op, j, &head, "", 1800000000000000, on_old, NULL);
    WAIT(old_done);
    cr_assert_str_eq(old.path, "", "it is being written");
    head.timeline++;
    journal_begin(j, &head);
    append(j, 2, 3);
    WAIT(written == 3);
    old_done = false;
    journal_oldest(&op, j, &head, "", 1600000000000000, on_old, NULL);
    WAIT(old_done);
    cr_assert_str_eq(old.path, "", "it is young");
    old_done = false;
    journal_oldest(&op, j, &head, "", 1800000000000000, on_old, NULL);
    WAIT(old_done);
    cr_assert_str_neq(old.path, "");
    cr_assert_eq(old.count, 2);
    char first[sizeof old.path];
    memcpy(first, old.path, sizeof first);
    old_done = false;
    journal_oldest(&op, j, &head, first, 1800000000000000, on_old, NULL);
    WAIT(old_done);
    cr_assert_str_eq(old.path, "", "there is no other");
    journal_forget(first);
    read_all(j);
    cr_assert_eq(seen.count, 1);
    journal_close(&j);
}
