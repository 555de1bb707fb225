#include "dial/journal_priv.h"

#include "base/alloc.h"
#include "base/clock.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define SUFFIX ".journal"

int journal_dir_make(const char *data_dir, char out[LOCK_PATH_SIZE])
{
    int len = snprintf(out, LOCK_PATH_SIZE, "%s/journal", data_dir);
    if (len < 0 || len >= LOCK_PATH_SIZE) {
        return -ENAMETOOLONG;
    }
    return mkdir(out, 0700) < 0 && errno != EEXIST ? -errno : 0;
}

/* --- writing ------------------------------------------------------------------------------------- */

void journal_writer_close(struct journal_writer *w)
{
    if (w->fd >= 0) {
        close(w->fd);
        w->fd = -1;
    }
}

static int write_all(int fd, struct str text)
{
    while (text.len > 0) {
        ssize_t n = write(fd, text.p, text.len);
        if (n < 0 && errno != EINTR) {
            return -errno;
        }
        text = str_skip(text, n > 0 ? (size_t)n : 0);
    }
    return 0;
}

/* The name of a new file is only safe when its directory is on disk. */
static int sync_dir(const char *dir)
{
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int err = fd < 0 || fsync(fd) < 0 ? -errno : 0;
    if (fd >= 0) {
        close(fd);
    }
    return err;
}

/* It waits: a reader that found the new name already holds it for a moment. */
static int lock_own(int fd)
{
    int err = 0;
    do {
        err = flock(fd, LOCK_EX) < 0 ? -errno : 0;
    } while (err == -EINTR);
    return err;
}

static int begin_segment(const struct journal_write *w, struct journal_writer *out)
{
    char node[UUID_TEXT_SIZE];
    OWNED(buf_fini) struct buf head;
    struct journal_writer next = w->writer;
    buf_init(&head, JOURNAL_LINE_MAX);
    uuid_text(&w->head.node_id, node);
    int len = snprintf(next.path, sizeof next.path, "%s/%016lld-%s" SUFFIX, next.dir,
                       (long long)w->wall_us, node);
    if (len < 0 || (size_t)len >= sizeof next.path || journal_head_write(&w->head, &head) < 0) {
        return -ENAMETOOLONG;
    }
    next.fd = open(next.path, O_CREAT | O_EXCL | O_RDWR | O_APPEND | O_DSYNC | O_CLOEXEC, 0600);
    if (next.fd < 0) {
        return -errno;
    }
    int err = lock_own(next.fd);
    err = err < 0 ? err : write_all(next.fd, buf_str(&head));
    err = err < 0 ? err : sync_dir(next.dir);
    if (err < 0) {
        (void)unlink(next.path);
        journal_writer_close(&next);
        return err;
    }
    next.bytes = (int64_t)head.len;
    *out = next;
    return 0;
}

void journal_write_now(struct journal_write *w)
{
    struct journal_writer next = w->writer;
    if (w->err < 0) {
        return;
    }
    if (w->segment) {
        w->err = begin_segment(w, &next);
        if (w->err < 0) {
            return;
        }
        journal_writer_close(&w->writer); /* its lock goes: nothing more will be written there */
        w->writer = next;
    }
    w->err = write_all(w->writer.fd, buf_str(&w->lines));
    if (w->err == 0) {
        w->writer.bytes += (int64_t)w->lines.len;
    } else if (ftruncate(w->writer.fd, w->writer.bytes) < 0) {
        journal_writer_close(&w->writer); /* half a line stays: readers know it for what it is */
    }
}

/* --- reading ------------------------------------------------------------------------------------- */

static int read_file(int fd, struct buf *out)
{
    char part[64 * 1024];
    for (;;) {
        ssize_t n = read(fd, part, sizeof part);
        if (n < 0 && errno != EINTR) {
            return -errno;
        }
        if (n == 0) {
            return 0;
        }
        int err = n > 0 ? buf_add(out, part, (size_t)n) : 0;
        if (err < 0) {
            return err;
        }
    }
}

/* One segment while it is read. */
struct segment {
    struct journal_reading *r;
    struct journal_head head;
    bool wanted; /* of this installation */
    bool old;
    bool gone; /* nobody writes it */
    size_t first;
    int64_t last_us;
};

static void add_entry(const struct journal_entry *entry, void *arg)
{
    struct segment *s = arg;
    struct journal_contents *c = &s->r->contents;
    s->last_us = i64_max(s->last_us, entry->at_us);
    if (uuid_is_nil(&entry->call_id)) {
        return;
    }
    if ((c->count & (c->count - 1)) == 0) {
        c->entries = xrealloc(c->entries, (c->count == 0 ? 1 : 2 * c->count) * sizeof *c->entries);
    }
    c->entries[c->count++] = (struct journal_read_entry){.entry = *entry};
}

static size_t dead_at(const struct journal_contents *c, const struct uuid *node)
{
    size_t at = 0;
    while (at < c->dead_count && !uuid_eq(&c->dead[at], node)) {
        at++;
    }
    return at;
}

static void judge_segment(struct segment *s)
{
    struct journal_reading *r = s->r;
    struct journal_contents *c = &r->contents;
    s->wanted = uuid_eq(&s->head.installation_id, &r->now.installation_id);
    s->old =
        strcmp(s->head.system_id, r->now.system_id) != 0 || s->head.timeline != r->now.timeline;
    if (!s->wanted) {
        c->count = s->first;
        return;
    }
    c->last_us = i64_max(c->last_us, s->last_us);
    for (size_t i = s->first; i < c->count; i++) {
        c->entries[i].old = s->old;
        if (c->entries[i].entry.at_us > c->newest_us) {
            c->newest = c->entries[i].entry.call_id;
            c->newest_us = c->entries[i].entry.at_us;
            c->newest_head = s->head;
        }
    }
    if (s->gone && !uuid_eq(&s->head.node_id, &r->node_id) &&
        dead_at(c, &s->head.node_id) == c->dead_count) {
        c->dead = xrealloc(c->dead, (c->dead_count + 1) * sizeof *c->dead);
        c->dead[c->dead_count++] = s->head.node_id;
    }
}

/* 0, or negative errno. A file that is none of ours is passed over, and counted. */
static int read_segment(struct journal_reading *r, const char *path, struct segment *s)
{
    OWNED(buf_fini) struct buf text;
    buf_init(&text, JOURNAL_FILE_MAX);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0) {
        return errno == ENOENT ? 0 : -errno; /* forgotten meanwhile */
    }
    *s = (struct segment){.r = r, .first = r->contents.count};
    /* Before the reading: of a dead writer everything is there to be read. Shared, because another reader is no
     * sign of life. */
    s->gone = flock(fd, LOCK_SH | LOCK_NB) == 0;
    int err = read_file(fd, &text);
    close(fd);
    if (err < 0) {
        return err;
    }
    int bad = journal_text_read(buf_str(&text), &s->head, add_entry, s);
    if (bad < 0) {
        r->contents.count = s->first;
        r->contents.bad++;
        s->r = NULL;
        return 0;
    }
    r->contents.bad += bad;
    return 0;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static int is_segment(const struct dirent *e)
{
    return str_ends(str_of(e->d_name), STR(SUFFIX));
}

typedef bool segment_fn(struct journal_reading *r, const char *path); /* false: enough */

/* In the order in which they were begun. */
static int each_segment(struct journal_reading *r, segment_fn *fn)
{
    struct dirent **names = NULL;
    int count = scandir(r->dir, &names, is_segment, by_name);
    if (count < 0) {
        return errno == ENOENT ? 0 : -errno;
    }
    bool more = true;
    for (int i = 0; i < count; i++) {
        char path[LOCK_PATH_SIZE + 300];
        if (more && snprintf(path, sizeof path, "%s/%s", r->dir, names[i]->d_name) > 0) {
            more = fn(r, path);
        }
        free(names[i]); /* tidy: allow free: scandir's own memory */
    }
    free(names); /* tidy: allow free: scandir's own memory */
    return 0;
}

static bool take_segment(struct journal_reading *r, const char *path)
{
    struct segment s = {.r = NULL};
    int err = read_segment(r, path, &s);
    if (err == 0 && s.r != NULL) {
        judge_segment(&s);
    }
    r->contents.err = err < 0 ? err : r->contents.err;
    return true;
}

/* A process lets go of a segment when it begins the next one, so it lives as long as it holds any. Asked when all
 * have been read: what was begun meanwhile counts too. */
static bool spare_living(struct journal_reading *r, const char *path)
{
    struct journal_contents *c = &r->contents;
    struct str name = str_of(path);
    struct uuid node;
    size_t tail = UUID_TEXT_SIZE - 1 + sizeof SUFFIX - 1;
    if (name.len < tail ||
        uuid_parse(str_head(str_skip(name, name.len - tail), UUID_TEXT_SIZE - 1), &node) < 0) {
        return true;
    }
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    bool held = fd >= 0 ? flock(fd, LOCK_SH | LOCK_NB) < 0 : errno != ENOENT;
    size_t at = dead_at(c, &node);
    if (held && at < c->dead_count) {
        c->dead[at] = c->dead[--c->dead_count];
    }
    if (fd >= 0) {
        close(fd);
    }
    return true;
}

/* The entries of one worker stand together: one look at its lock serves them all. */
static void judge_workers(struct journal_reading *r)
{
    struct uuid known = {{0}};
    bool over = false;
    for (size_t i = 0; i < r->contents.count; i++) {
        struct journal_read_entry *e = &r->contents.entries[i];
        if (!uuid_eq(&known, &e->entry.worker_id)) {
            known = e->entry.worker_id;
            over = lock_held(r->data_dir, &known) == 0;
        }
        e->over = over;
    }
}

void journal_read_now(struct journal_reading *r)
{
    int err = each_segment(r, take_segment);
    err = err < 0 ? err : each_segment(r, spare_living);
    r->contents.err = r->contents.err < 0 ? r->contents.err : err;
    judge_workers(r);
}

/* --- forgetting ------------------------------------------------------------------------------------ */

static bool find_old(struct journal_reading *r, const char *path)
{
    struct segment s = {.r = NULL};
    struct journal_contents *c = &r->contents;
    c->count = 0;
    if (strcmp(path, r->old.path) <= 0 || read_segment(r, path, &s) < 0 || s.r == NULL || !s.gone ||
        !uuid_eq(&s.head.installation_id, &r->now.installation_id)) {
        return true;
    }
    if (s.last_us >= r->before_us) {
        return true;
    }
    str_copy_cut(str_of(path), r->old.path, sizeof r->old.path);
    r->old.calls = xcalloc(c->count + 1, sizeof *r->old.calls);
    for (size_t i = 0; i < c->count; i++) {
        r->old.calls[i] = c->entries[i].entry.call_id;
    }
    r->old.count = c->count;
    return false;
}

void journal_oldest_now(struct journal_reading *r)
{
    char after[sizeof r->old.path];
    memcpy(after, r->old.path, sizeof after);
    (void)each_segment(r, find_old);
    if (strcmp(after, r->old.path) == 0) {
        r->old.path[0] = '\0'; /* nothing more */
    }
}

void journal_reading_fini(struct journal_reading *r)
{
    xfree(r->contents.entries);
    xfree(r->contents.dead);
    xfree(r->old.calls);
}
