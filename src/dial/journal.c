#include "dial/journal.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/list.h"
#include "base/log.h"
#include "base/metrics.h"
#include "dial/journal_priv.h"
#include "loop/timer.h"
#include "loop/worker.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define BATCH_MAX 256 /* appends that share one write */
#define PROBE_MS  1000

/*  journal_append -> waiting -> (a write at a time) write_next -> on pool -> on_written -> on_done of each */
enum op_kind { OP_APPEND, OP_READ, OP_OLDEST };

struct journal_op {
    struct list link;
    struct journal *j;
    enum op_kind kind;
    struct journal_entry entry;
    journal_done_fn *on_done; /* NULL: cancelled while being written */
    struct journal_head now;
    journal_read_fn *on_read;
    journal_old_fn *on_old;
    void *arg;
    int64_t before_us;
    char after[LOCK_PATH_SIZE + 300];
    int64_t since_us; /* monotonic: how long it waited */
    struct worker_op *work;
};

struct journal {
    struct loop *loop;
    char data_dir[LOCK_PATH_SIZE];
    struct journal_writer writer; /* the pool's, while a write is on its way */
    struct journal_head head;
    struct uuid last; /* on disk; nil: none yet */
    struct journal_head last_head;
    bool begun;
    bool rotate;
    bool probing;        /* a line is written to see whether one can be */
    struct list waiting; /* appends, and what is to be done behind them */
    struct list writing;
    struct journal_write *write;
    struct worker_op *write_op;
    struct timer probe;
    int64_t segment_us; /* monotonic: when it was begun */
    int64_t noted_us;   /* the last note of an answer */
    char why[160];
};

static void next(struct journal *j);

int journal_open(struct journal **out, struct loop *loop, const char *data_dir,
                 const struct uuid *node_id)
{
    struct journal *j = xzalloc(sizeof *j);
    j->loop = loop;
    j->writer.fd = -1;
    j->head.node_id = *node_id;
    list_init(&j->waiting);
    list_init(&j->writing);
    str_copy_cut(str_of(data_dir), j->data_dir, sizeof j->data_dir);
    int err = journal_dir_make(data_dir, j->writer.dir);
    if (err < 0) {
        xfree(j);
        return err;
    }
    *out = j;
    return 0;
}

static void op_free(struct journal_op *op)
{
    list_remove(&op->link);
    worker_cancel(&op->work);
    xfree(op);
}

void journal_close(struct journal **j_p)
{
    if (j_p == NULL || *j_p == NULL) {
        return;
    }
    struct journal *j = *j_p;
    timer_stop(&j->probe);
    for (struct list *l = list_pop_front(&j->waiting); l != NULL; l = list_pop_front(&j->waiting)) {
        op_free(LIST_ITEM(l, struct journal_op, link));
    }
    for (struct list *l = list_pop_front(&j->writing); l != NULL; l = list_pop_front(&j->writing)) {
        op_free(LIST_ITEM(l, struct journal_op, link));
    }
    if (j->write_op != NULL) {
        worker_cancel(
            &j->write_op); /* the write has the descriptor, and closes it when it is over */
    } else if (j->writer.fd >= 0) {
        close(j->writer.fd);
    }
    xfree(j);
    *j_p = NULL;
}

void journal_begin(struct journal *j, const struct journal_head *head)
{
    bool same = j->begun && uuid_eq(&j->head.installation_id, &head->installation_id) &&
                strcmp(j->head.system_id, head->system_id) == 0 &&
                j->head.timeline == head->timeline;
    if (!same) {
        struct uuid node = j->head.node_id;
        j->head = *head;
        j->head.node_id = node;
        j->begun = true;
        j->rotate = true;
    }
}

bool journal_last(const struct journal *j, struct uuid *call_id, struct journal_head *head)
{
    *call_id = j->last;
    *head = j->last_head;
    return !uuid_is_nil(&j->last);
}

const char *journal_why(const struct journal *j)
{
    return j->why;
}

/* --- writing ------------------------------------------------------------------------------------- */

static void set_why(struct journal *j, int err)
{
    bool was = j->why[0] != '\0';
    j->why[0] = '\0';
    if (err < 0) {
        (void)snprintf(j->why, sizeof j->why, "the dial journal cannot be written: %s",
                       strerror(-err));
    }
    metric_set("journal_writable", NULL, err < 0 ? 0 : 1);
    if (err < 0 && !was) {
        log_error("journal.unwritable", LOG_STR("why", j->why));
    } else if (err == 0 && was) {
        log_info("journal.writable");
    }
}

static void write_drop(void *arg)
{
    struct journal_write *w = arg;
    journal_writer_close(&w->writer);
    buf_fini(&w->lines);
    xfree(w);
}

static void write_work(void *arg)
{
    journal_write_now(arg);
}

static void on_probe(void *arg)
{
    struct journal *j = arg;
    j->probing = true;
    next(j);
}

static void on_written(void *arg)
{
    struct journal_write *w = arg;
    struct journal *j = w->owner;
    int err = w->err;
    if (err == 0 && !list_empty(&j->writing)) {
        j->last = LIST_ITEM(j->writing.prev, struct journal_op, link)->entry.call_id;
        j->last_head = w->head;
    }
    j->writer = w->writer;
    w->writer.fd = -1;
    if (w->segment) {
        j->segment_us = loop_now_us(j->loop);
    }
    j->write = NULL;
    j->write_op = NULL;
    write_drop(w);
    set_why(j, err);
    if (err < 0) {
        j->rotate = true;
        timer_start(&j->probe, j->loop, PROBE_MS, on_probe, j);
    }
    struct list done;
    list_init(&done);
    for (struct list *l = list_pop_front(&j->writing); l != NULL; l = list_pop_front(&j->writing)) {
        list_push_back(&done, l);
    }
    LIST_EACH_SAFE(it, &j->waiting)
    {
        if (err < 0 && LIST_ITEM(it, struct journal_op, link)->kind == OP_APPEND) {
            list_remove(it); /* nobody waits for a disk that refuses */
            list_push_back(&done, it);
        }
    }
    for (struct list *l = list_pop_front(&done); l != NULL; l = list_pop_front(&done)) {
        struct journal_op *op = LIST_ITEM(l, struct journal_op, link);
        journal_done_fn *on_done = op->on_done;
        void *done_arg = op->arg;
        metric_observe_ms("journal_seconds", (loop_now_us(j->loop) - op->since_us) / US_PER_MS);
        op_free(op);
        if (on_done != NULL) {
            on_done(err, done_arg);
        }
    }
    next(j);
}

static struct journal_write *gather(struct journal *j)
{
    struct journal_write *w = xzalloc(sizeof *w);
    w->owner = j;
    w->head = j->head;
    w->wall_us = loop_wall_us(j->loop);
    buf_init(&w->lines, (BATCH_MAX + 1) * JOURNAL_LINE_MAX);
    if (j->probing || (j->noted_us > 0 && j->noted_us != j->writer.noted_us)) {
        const struct journal_entry answer = {.at_us = i64_max(j->noted_us, 1)};
        j->probing = false;
        w->err = journal_line_write(&w->head, &answer, &w->lines);
        j->writer.noted_us = j->noted_us;
    }
    size_t count = 0;
    LIST_EACH_SAFE(it, &j->waiting)
    {
        struct journal_op *op = LIST_ITEM(it, struct journal_op, link);
        if (op->kind != OP_APPEND || count == BATCH_MAX) {
            break; /* what reads comes after what was appended before it */
        }
        int err = journal_line_write(&w->head, &op->entry, &w->lines);
        w->err = w->err < 0 ? w->err : err;
        list_remove(&op->link);
        list_push_back(&j->writing, &op->link);
        count++;
    }
    metric_add("journal_lines_total", NULL, (int64_t)count);
    return w;
}

static bool due(const struct journal *j)
{
    if (!j->begun || timer_running(&j->probe)) {
        return false;
    }
    bool append = !list_empty(&j->waiting) &&
                  LIST_ITEM(j->waiting.next, struct journal_op, link)->kind == OP_APPEND;
    return append || j->probing ||
           (j->noted_us > 0 && j->noted_us != j->writer.noted_us && list_empty(&j->waiting) &&
            j->noted_us - j->writer.noted_us >= JOURNAL_ANSWER_MS * US_PER_MS);
}

static void start_read(struct journal_op *op);

/* The next write, or the next thing that waited for the writes before it. */
static void next(struct journal *j)
{
    if (j->write != NULL) {
        return;
    }
    while (!list_empty(&j->waiting) &&
           LIST_ITEM(j->waiting.next, struct journal_op, link)->kind != OP_APPEND) {
        start_read(LIST_ITEM(list_pop_front(&j->waiting), struct journal_op, link));
    }
    if (!due(j)) {
        return;
    }
    struct journal_write *w = gather(j);
    bool old = loop_now_us(j->loop) - j->segment_us > JOURNAL_SEGMENT_MS * US_PER_MS;
    w->segment = j->rotate || j->writer.fd < 0 || old || j->writer.bytes > JOURNAL_SEGMENT_BYTES;
    j->rotate = false;
    w->writer = j->writer;
    j->writer.fd = -1;
    j->write = w;
    int err = worker_start(&j->write_op, j->loop, write_work, on_written, write_drop, w);
    assert(err == 0); /* the pool takes what it is given */
}

int journal_append(struct journal_op **op_p, struct journal *j, const struct journal_entry *entry,
                   journal_done_fn *on_done, void *arg)
{
    if (!j->begun || j->why[0] != '\0') {
        return j->begun ? -EIO : -EAGAIN;
    }
    struct journal_op *op = xzalloc(sizeof *op);
    op->j = j;
    op->kind = OP_APPEND;
    op->entry = *entry;
    op->on_done = on_done;
    op->arg = arg;
    op->since_us = loop_now_us(j->loop);
    list_init(&op->link);
    list_push_back(&j->waiting, &op->link);
    *op_p = op;
    next(j);
    return 0;
}

void journal_cancel(struct journal_op **op_p)
{
    if (op_p == NULL || *op_p == NULL) {
        return;
    }
    struct journal_op *op = GIVE(*op_p);
    bool written = false;
    LIST_EACH(it, &op->j->writing)
    {
        written = written || it == &op->link;
    }
    if (written) {
        op->on_done = NULL;
    } else {
        op_free(op);
    }
}

void journal_answered(struct journal *j, int64_t at_us)
{
    if (at_us - j->noted_us >= JOURNAL_ANSWER_MS * US_PER_MS) {
        j->noted_us = at_us;
        next(j);
    }
}

/* --- reading ------------------------------------------------------------------------------------- */

static void reading_work(void *arg)
{
    struct journal_reading *r = arg;
    if (r->oldest) {
        journal_oldest_now(r);
    } else {
        journal_read_now(r);
    }
}

static void reading_drop(void *arg)
{
    struct journal_reading *r = arg;
    journal_reading_fini(r);
    xfree(r);
}

static void on_reading(void *arg)
{
    struct journal_reading *r = arg;
    struct journal_op *op = r->op;
    op->work = NULL;
    journal_read_fn *on_read = op->on_read;
    journal_old_fn *on_old = op->on_old;
    void *done_arg = op->arg;
    op_free(op);
    if (on_read != NULL) {
        on_read(&r->contents, done_arg);
    } else {
        on_old(&r->old, done_arg);
    }
    reading_drop(r);
}

static void start_read(struct journal_op *op)
{
    struct journal *j = op->j;
    struct journal_reading *r = xzalloc(sizeof *r);
    r->op = op;
    r->oldest = op->kind == OP_OLDEST;
    r->now = op->now;
    r->node_id = j->head.node_id;
    r->before_us = op->before_us;
    memcpy(r->old.path, op->after, sizeof r->old.path);
    memcpy(r->dir, j->writer.dir, sizeof r->dir);
    memcpy(r->data_dir, j->data_dir, sizeof r->data_dir);
    list_init(&op->link);
    int err = worker_start(&op->work, j->loop, reading_work, on_reading, reading_drop, r);
    assert(err == 0);
}

static struct journal_op *reader(struct journal_op **op_p, struct journal *j, enum op_kind kind,
                                 void *arg)
{
    struct journal_op *op = xzalloc(sizeof *op);
    op->j = j;
    op->kind = kind;
    op->arg = arg;
    list_init(&op->link);
    list_push_back(&j->waiting, &op->link);
    *op_p = op;
    return op;
}

void journal_read(struct journal_op **op_p, struct journal *j, const struct journal_head *now,
                  journal_read_fn *on_read, void *arg)
{
    struct journal_op *op = reader(op_p, j, OP_READ, arg);
    op->now = *now;
    op->on_read = on_read;
    next(j);
}

void journal_oldest(struct journal_op **op_p, struct journal *j, const struct journal_head *now,
                    const char *after, int64_t before_us, journal_old_fn *on_old, void *arg)
{
    struct journal_op *op = reader(op_p, j, OP_OLDEST, arg);
    op->now = *now;
    op->before_us = before_us;
    str_copy_cut(str_of(after), op->after, sizeof op->after);
    op->on_old = on_old;
    next(j);
}

void journal_forget(const char *path)
{
    (void)unlink(path);
}
