#include "call/opt_out_play.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/list.h"
#include "base/log.h"
#include "base/metrics.h"
#include "call/opt_out_spool.h"
#include "loop/timer.h"
#include "loop/worker.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/*  on_look -> (pool: a dead process's file) -> on_found -> play_next -> on_played -> ... -> file_over
 *                                                             ^------- on_again <---/              */

/* One file; its lock is held by fd until it is played, and, when a record of it was refused, for as
 * long as the player lives: so it is not looked at again. */
struct file {
    struct list link;
    struct opt_out_play *play;
    char dir[SPOOL_PATH];
    char path[SPOOL_PATH];
    int fd; /* -1: none found */
    struct opt_out_record *records;
    size_t count;
    size_t at;
    size_t torn;
    size_t refused;
    bool cut; /* longer than we read */
};

/* A record on its way through the database; outlives the player. */
struct play_op {
    struct opt_out_play *play; /* NULL: closed meanwhile */
    struct desk_write write;
    struct opt_out_record record;
};

struct opt_out_play {
    struct loop *loop;
    struct desk_store store;
    char dir[SPOOL_PATH];
    struct list held; /* files with refused records */
    struct timer look;
    struct timer again;
    struct worker_op *work;
    struct file *file; /* being looked for, or played */
    struct play_op *op;
};

static void play_next(struct opt_out_play *p);

/* --- finding a file ------------------------------------------------------------------------------- */

static void add_record(const struct opt_out_record *record, void *arg)
{
    struct file *f = arg;
    f->records = xrealloc(f->records, (f->count + 1) * sizeof *record);
    f->records[f->count++] = *record;
}

static int file_read(struct file *f)
{
    struct stat st;
    if (fstat(f->fd, &st) < 0 || !S_ISREG(st.st_mode)) {
        return -EINVAL;
    }
    size_t size = st.st_size > PLAY_FILE_MAX ? PLAY_FILE_MAX : (size_t)st.st_size;
    f->cut = st.st_size > PLAY_FILE_MAX;
    char *text = xmalloc(size + 1);
    size_t len = 0;
    ssize_t n = 1;
    while (len < size && n > 0) {
        n = pread(f->fd, text + len, size - len, (off_t)len);
        len += n > 0 ? (size_t)n : 0;
    }
    if (n >= 0) {
        f->torn = opt_out_records_read(str_make(text, len), add_record, f);
    }
    xfree(text);
    return n < 0 ? -EIO : 0;
}

static bool file_take(struct file *f, const char *name)
{
    int n = snprintf(f->path, sizeof f->path, "%s/%s", f->dir, name);
    if (!str_ends(str_of(name), STR(SPOOL_SUFFIX)) || n < 0 || n >= (int)sizeof f->path) {
        return false;
    }
    f->fd = open(f->path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (f->fd >= 0 && (flock(f->fd, LOCK_EX | LOCK_NB) < 0 || file_read(f) < 0)) {
        (void)close(f->fd); /* of a process that lives: ours, or another of this host */
        f->fd = -1;
    }
    return f->fd >= 0;
}

static void look_work(void *arg)
{
    struct file *f = arg;
    DIR *dir = opendir(f->dir);
    if (dir == NULL) {
        return;
    }
    const struct dirent *e = readdir(dir);
    while (e != NULL && !file_take(f, e->d_name)) {
        e = readdir(dir);
    }
    (void)closedir(dir);
}

static void file_drop(void *arg)
{
    struct file *f = arg;
    if (f->fd >= 0) {
        (void)close(f->fd);
    }
    xfree(f->records);
    xfree(f);
}

static void on_found(void *arg)
{
    struct file *f = arg;
    struct opt_out_play *p = f->play;
    p->work = NULL;
    if (f->fd < 0) {
        p->file = NULL;
        file_drop(f);
        return;
    }
    if (f->count > 0) {
        log_warn("opt_out.play", LOG_I64("records", f->count), LOG_I64("torn", f->torn));
    }
    play_next(p);
}

static void on_look(void *arg)
{
    struct opt_out_play *p = arg;
    if (p->file != NULL) {
        return;
    }
    struct file *f = xzalloc(sizeof *f);
    list_init(&f->link);
    f->play = p;
    f->fd = -1;
    memcpy(f->dir, p->dir, sizeof f->dir);
    p->file = f;
    if (worker_start(&p->work, p->loop, look_work, on_found, file_drop, f) < 0) {
        p->file = NULL;
        file_drop(f);
    }
}

/* --- playing it ----------------------------------------------------------------------------------- */

/* Everything is in the database: the file goes, or is put aside. */
static void file_over(struct opt_out_play *p)
{
    struct file *f = GIVE(p->file);
    char aside[SPOOL_PATH + 8];
    if (f->refused > 0) {
        list_push_back(&p->held, &f->link);
        on_look(p);
        return;
    }
    if (f->torn > 0 || f->cut) {
        metric_add("opt_out_spool_total", "torn", (int64_t)f->torn);
        (void)snprintf(aside, sizeof aside, "%s.torn", f->path);
        log_error("opt_out.torn", LOG_STR("file", aside), LOG_I64("lines", f->torn),
                  LOG_BOOL("too_long", f->cut));
        (void)!rename(f->path, aside);
    } else {
        (void)unlink(f->path);
    }
    file_drop(f);
    on_look(p); /* there may be another one */
}

static void on_again(void *arg)
{
    play_next(arg);
}

static void on_played(const struct fault *fault, const struct desk_answer *answer, void *arg)
{
    struct play_op *op = arg;
    struct opt_out_play *p = op->play;
    (void)answer;
    if (p == NULL) {
        xfree(op);
        return;
    }
    p->op = NULL;
    struct file *f = p->file;
    bool never = fault->class == FAULT_REFUSED || fault->class == FAULT_BROKEN;
    if (fault->class != FAULT_NONE && !never) {
        timer_start(&p->again, p->loop, PLAY_AGAIN_MS, on_again, p);
        xfree(op);
        return;
    }
    metric_add("opt_out_spool_total", never ? "refused" : "replayed", 1);
    if (never) {
        f->refused++;
        log_error("opt_out.play_refused", LOG_UUID("call", &op->record.call_id),
                  LOG_STR("code", fault->code), LOG_STR("text", fault->text));
    } else {
        log_info("opt_out.played", LOG_UUID("call", &op->record.call_id),
                 LOG_PHONE("number", op->record.phone));
    }
    xfree(op);
    f->at++;
    play_next(p);
}

static void play_next(struct opt_out_play *p)
{
    struct file *f = p->file;
    if (f->at == f->count) {
        file_over(p);
        return;
    }
    struct play_op *op = xzalloc(sizeof *op);
    op->play = p;
    op->record = f->records[f->at];
    op->write = (struct desk_write){.kind = DESK_OPT_OUT,
                                    .organization_id = op->record.organization_id,
                                    .call_id = op->record.call_id,
                                    .at_us = op->record.at_us,
                                    .opt_out = {.source = op->record.source,
                                                .words = op->record.words,
                                                .phone = op->record.phone}};
    p->op = op;
    int err = p->store.write(&op->write, on_played, op, p->store.arg);
    if (err < 0) { /* no database yet; a refusal is never final before it was asked */
        p->op = NULL;
        xfree(op);
        timer_start(&p->again, p->loop, PLAY_AGAIN_MS, on_again, p);
    }
}

/* --- life ----------------------------------------------------------------------------------------- */

void play_open(struct opt_out_play **out, struct loop *loop, const char *data_dir,
               const struct desk_store *store)
{
    struct opt_out_play *p = xzalloc(sizeof *p);
    list_init(&p->held);
    p->loop = loop;
    p->store = *store;
    (void)snprintf(p->dir, sizeof p->dir, "%s/" SPOOL_DIR, data_dir);
    timer_repeat(&p->look, loop, PLAY_LOOK_MS, on_look, p);
    *out = p;
    on_look(p);
}

void play_close(struct opt_out_play **play)
{
    if (play == NULL || *play == NULL) {
        return;
    }
    struct opt_out_play *p = GIVE(*play);
    timer_stop(&p->look);
    timer_stop(&p->again);
    if (p->op != NULL) {
        p->op->play = NULL;
    }
    if (p->work != NULL) {
        worker_cancel(&p->work); /* drops the file */
    } else if (p->file != NULL) {
        file_drop(p->file);
    }
    while (!list_empty(&p->held)) {
        file_drop(LIST_ITEM(list_pop_front(&p->held), struct file, link));
    }
    xfree(p);
}
