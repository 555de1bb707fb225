#include "call/opt_out_spool.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/list.h"
#include "base/log.h"
#include "base/metrics.h"
#include "loop/timer.h"
#include "loop/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define WRITE_MAX (64 * OPT_OUT_LINE_MAX)

/*  spool_keep -> write_start -> (pool: append) -> on_appended -> on_kept
 *  spool_done -> write_start -> (pool: empty the file) -> on_appended */

struct kept { /* a record that the database does not have */
    struct list link;
    uint64_t no;
    bool on_disk;
    bool on_its_way; /* in the job that runs */
    struct opt_out_record record;
};

/* One append, or the emptying of the file; its own copy of all it touches. */
struct write_job {
    struct opt_out_spool *spool;
    char dir[SPOOL_PATH];
    char path[SPOOL_PATH];
    int fd; /* -1: to be opened */
    bool empty;
    struct buf text;
    int err;
};

struct opt_out_spool {
    struct loop *loop;
    spool_kept_fn *on_kept;
    void *arg;
    char dir[SPOOL_PATH];
    char path[SPOOL_PATH];
    int fd;
    bool dirty; /* the file holds records */
    bool full;  /* the last append failed */
    uint64_t last_no;
    struct list kept;
    int64_t kept_count;
    struct timer again;
    struct worker_op *write_op;
    struct write_job *write;
};

static void write_start(struct opt_out_spool *s);

static void on_again(void *arg)
{
    write_start(arg);
}

/* --- appending ------------------------------------------------------------------------------------ */

/* Locked and still in its directory: who found the new file before it was locked took its process for
 * dead, and has removed it. */
static int file_claim(int fd)
{
    struct stat st;
    if (flock(fd, LOCK_EX | LOCK_NB) < 0 || fstat(fd, &st) < 0) {
        return -errno;
    }
    return st.st_nlink > 0 ? 0 : -ESTALE;
}

static int file_open(struct write_job *job)
{
    if (mkdir(job->dir, 0700) < 0 && errno != EEXIST) {
        return -errno;
    }
    int fd =
        open(job->path, O_WRONLY | O_CREAT | O_APPEND | O_DSYNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        return -errno;
    }
    int err = file_claim(fd);
    /* The entry of a new file has to outlive a power failure too. */
    int dir = err == 0 ? open(job->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (err == 0 && (dir < 0 || fsync(dir) < 0)) {
        err = -errno;
    }
    if (dir >= 0) {
        (void)close(dir);
    }
    if (err < 0) {
        (void)close(fd);
        return err;
    }
    job->fd = fd;
    return 0;
}

static int append(const struct write_job *job)
{
    struct str left = buf_str(&job->text);
    while (left.len > 0) {
        ssize_t n = write(job->fd, left.p, left.len);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return n < 0 ? -errno : -ENOSPC;
        }
        left = str_skip(left, (size_t)n);
    }
    return 0;
}

static void write_work(void *arg)
{
    struct write_job *job = arg;
    job->err = job->fd < 0 ? file_open(job) : 0;
    if (job->err == 0 && job->empty) {
        job->err = ftruncate(job->fd, 0) < 0 ? -errno : 0;
    } else if (job->err == 0) {
        job->err = append(job);
    }
}

static void write_drop(void *arg)
{
    struct write_job *job = arg;
    if (job->fd >= 0) {
        (void)close(job->fd);
    }
    buf_fini(&job->text);
    xfree(job);
}

static void note_append(struct opt_out_spool *s, int err)
{
    if (err < 0) {
        metric_add("opt_out_spool_total", "failed", 1);
        log_error("opt_out.spool_failed", LOG_STR("why", strerror(-err)),
                  LOG_I64("waiting", s->kept_count));
        s->full = true;
    } else if (s->full) {
        log_info("opt_out.spool_again");
        s->full = false;
    }
}

static void on_appended(void *arg)
{
    struct write_job *job = arg;
    struct opt_out_spool *s = job->spool;
    int err = job->err;
    s->write_op = NULL;
    s->write = NULL;
    s->fd = job->fd;
    job->fd = -1; /* ours again */
    s->dirty = !(job->empty && err == 0);
    note_append(s, err);
    write_drop(job);
    LIST_EACH_SAFE(it, &s->kept)
    {
        struct kept *k = LIST_ITEM(it, struct kept, link);
        bool now = k->on_its_way && err == 0;
        k->on_its_way = false;
        if (now) {
            k->on_disk = true;
            metric_add("opt_out_spool_total", "kept", 1);
            s->on_kept(k->no, s->arg);
        }
    }
    if (err < 0) {
        timer_start(&s->again, s->loop, SPOOL_AGAIN_MS, on_again, s);
    } else {
        write_start(s);
    }
}

static bool job_fill(struct opt_out_spool *s, struct write_job *job)
{
    LIST_EACH(it, &s->kept)
    {
        struct kept *k = LIST_ITEM(it, struct kept, link);
        if (!k->on_disk && job->text.len + OPT_OUT_LINE_MAX < WRITE_MAX) {
            k->on_its_way = opt_out_record_write(&k->record, &job->text) == 0;
        }
    }
    job->empty = list_empty(&s->kept) && s->dirty;
    return job->text.len > 0 || job->empty;
}

/* One job at a time, so that no record is written behind an emptying that was decided before it. */
static void write_start(struct opt_out_spool *s)
{
    if (s->write_op != NULL || timer_running(&s->again)) {
        return;
    }
    struct write_job *job = xzalloc(sizeof *job);
    job->spool = s;
    job->fd = s->fd;
    memcpy(job->dir, s->dir, sizeof job->dir);
    memcpy(job->path, s->path, sizeof job->path);
    buf_init(&job->text, WRITE_MAX);
    if (!job_fill(s, job)) {
        job->fd = -1;
        write_drop(job);
        return;
    }
    if (worker_start(&s->write_op, s->loop, write_work, on_appended, write_drop, job) < 0) {
        job->fd = -1;
        write_drop(job);
        LIST_EACH(it, &s->kept)
        {
            LIST_ITEM(it, struct kept, link)->on_its_way = false;
        }
        timer_start(&s->again, s->loop, SPOOL_AGAIN_MS, on_again, s);
        return;
    }
    s->fd = -1; /* the job's, until it is over */
    s->write = job;
}

static void gauge(const struct opt_out_spool *s)
{
    metric_set("opt_outs_waiting", NULL, s->kept_count);
}

uint64_t spool_keep(struct opt_out_spool *s, const struct opt_out_record *record)
{
    struct kept *k = xzalloc(sizeof *k);
    k->no = ++s->last_no;
    k->record = *record;
    list_push_back(&s->kept, &k->link);
    s->kept_count++;
    gauge(s);
    write_start(s);
    return k->no;
}

static struct kept *kept_find(const struct opt_out_spool *s, uint64_t no)
{
    LIST_EACH(it, &s->kept)
    {
        struct kept *k = LIST_ITEM(it, struct kept, link);
        if (k->no == no) {
            return k;
        }
    }
    return NULL;
}

bool spool_has(const struct opt_out_spool *s, uint64_t no)
{
    const struct kept *k = kept_find(s, no);
    return k != NULL && k->on_disk;
}

void spool_done(struct opt_out_spool *s, uint64_t no)
{
    struct kept *k = kept_find(s, no);
    if (k == NULL) {
        return;
    }
    list_remove(&k->link);
    xfree(k);
    s->kept_count--;
    gauge(s);
    write_start(s);
}

/* --- life ----------------------------------------------------------------------------------------- */

void spool_open(struct opt_out_spool **out, struct loop *loop, const char *data_dir,
                spool_kept_fn *on_kept, void *arg)
{
    struct opt_out_spool *s = xzalloc(sizeof *s);
    char name[UUID_TEXT_SIZE];
    struct uuid id = uuid_make(loop_wall_us(loop));
    uuid_text(&id, name);
    s->loop = loop;
    s->on_kept = on_kept;
    s->arg = arg;
    s->fd = -1;
    list_init(&s->kept);
    /* Of a path that is too long every append fails, and says so. */
    (void)snprintf(s->dir, sizeof s->dir, "%s/" SPOOL_DIR, data_dir);
    (void)snprintf(s->path, sizeof s->path, "%s/" SPOOL_DIR "/%s" SPOOL_SUFFIX, data_dir, name);
    *out = s;
}

/* The last chance of what no job has written, or a job that may not run any more: without the lock,
 * which that job may hold. Twice on file is as good as once. */
static void write_rest(struct opt_out_spool *s)
{
    struct write_job job = {.fd = -1};
    buf_init(&job.text, WRITE_MAX);
    (void)job_fill(s, &job);
    if (job.text.len > 0) {
        (void)mkdir(s->dir, 0700);
        job.fd =
            open(s->path, O_WRONLY | O_CREAT | O_APPEND | O_DSYNC | O_CLOEXEC | O_NOFOLLOW, 0600);
        note_append(s, job.fd < 0 ? -errno : append(&job));
    }
    if (job.fd >= 0) {
        (void)close(job.fd);
    }
    buf_fini(&job.text);
}

void spool_close(struct opt_out_spool **spool)
{
    if (spool == NULL || *spool == NULL) {
        return;
    }
    struct opt_out_spool *s = GIVE(*spool);
    timer_stop(&s->again);
    worker_cancel(&s->write_op);
    write_rest(s);
    if (list_empty(&s->kept) && s->fd >= 0) {
        (void)unlink(s->path);
    }
    if (s->fd >= 0) {
        (void)close(s->fd);
    }
    while (!list_empty(&s->kept)) {
        xfree(LIST_ITEM(list_pop_front(&s->kept), struct kept, link));
    }
    xfree(s);
}
