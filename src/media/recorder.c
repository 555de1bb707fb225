#include "media/recorder.h"

#include "base/alloc.h"
#include "base/list.h"
#include "loop/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define RATE_HZ       8000
#define US_PER_SAMPLE 125
#define SILENCE       0xff
#define HEADER_BYTES  58
/* The newest part of the window that may still change: the carrier's lead, and late frames. */
#define SETTLE_SAMPLES 2000
/* The lead's frames arrive unevenly; only a distance above this is a gap in the stream. */
#define GAP_SAMPLES 1600
static_assert(RECORDER_CHUNK + SETTLE_SAMPLES + GAP_SAMPLES <= RECORDER_WINDOW,
              "what may still change fits");

enum side { LEFT, RIGHT };

/* The file's part: touched by one worker at a time, and by the loop only between two jobs. */
struct wave_file {
    char path[RECORDER_PATH_SIZE];
    int fd;
    int64_t data_bytes;
    int error;
};

struct piece {
    struct list link;
    size_t silence; /* samples to be written before the data, for what was lost */
    size_t samples;
    uint8_t data[];
};

struct job {
    struct wave_file *file;
    struct list pieces;
    bool last;
    struct recorder *recorder; /* NULL once it was freed */
};

struct recorder {
    struct loop *loop;
    struct wave_file *file; /* the job's while one runs */
    struct worker_op *op;
    struct job *job;
    struct list waiting;
    size_t waiting_count;
    size_t lost_run;
    int64_t lost_samples;
    int64_t start_us;
    bool lead_begun;
    bool stopping;
    int64_t base;     /* sample number of the window's first */
    int64_t lead_end; /* where the lead's stream stands */
    int64_t head;     /* one past the last sample written on either side */
    recorder_done_fn *on_done;
    void *arg;
    uint8_t window[RECORDER_WINDOW * 2]; /* interleaved, a ring */
};

static void put32(uint8_t *p, uint32_t v)
{
    for (int i = 0; i < 4; i++) {
        p[i] = (uint8_t)(v >> (8 * i));
    }
}

static void put16(uint8_t *p, uint16_t v)
{
    p[0] = (uint8_t)v;
    p[1] = (uint8_t)(v >> 8);
}

static void header_write(uint8_t h[HEADER_BYTES], int64_t data_bytes)
{
    uint32_t size = (uint32_t)i64_min(data_bytes, UINT32_MAX - HEADER_BYTES);
    memcpy(h, "RIFF\0\0\0\0WAVEfmt ", 16);
    put32(h + 4, size + HEADER_BYTES - 8);
    put32(h + 16, 18);
    put16(h + 20, 7); /* mu-law */
    put16(h + 22, 2);
    put32(h + 24, RATE_HZ);
    put32(h + 28, RATE_HZ * 2);
    put16(h + 32, 2);
    put16(h + 34, 8);
    put16(h + 36, 0);
    memcpy(h + 38, "fact", 4);
    put32(h + 42, 4);
    put32(h + 46, size / 2);
    memcpy(h + 50, "data", 4);
    put32(h + 54, size);
}

static int write_all(int fd, const void *p, size_t size_bytes, int64_t off)
{
    const char *at = p;
    while (size_bytes > 0) {
        ssize_t n = pwrite(fd, at, size_bytes, off);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return n < 0 ? -errno : -EIO;
        }
        at += n;
        off += n;
        size_bytes -= (size_t)n;
    }
    return 0;
}

static int directories_make(const char *path)
{
    char dir[RECORDER_PATH_SIZE];
    for (size_t i = 1; path[i] != '\0'; i++) {
        if (path[i] != '/') {
            continue;
        }
        memcpy(dir, path, i);
        dir[i] = '\0';
        if (mkdir(dir, 0700) != 0 && errno != EEXIST) {
            return -errno;
        }
    }
    return 0;
}

static int file_open(struct wave_file *f)
{
    int err = directories_make(f->path);
    if (err < 0) {
        return err;
    }
    f->fd = open(f->path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    return f->fd < 0 ? -errno : 0;
}

static int piece_write(struct wave_file *f, const struct piece *piece)
{
    uint8_t quiet[4096];
    memset(quiet, SILENCE, sizeof quiet);
    for (size_t left = piece->silence * 2; left > 0;) {
        size_t n = left < sizeof quiet ? left : sizeof quiet;
        int err = write_all(f->fd, quiet, n, HEADER_BYTES + f->data_bytes);
        if (err < 0) {
            return err;
        }
        f->data_bytes += (int64_t)n;
        left -= n;
    }
    int err = write_all(f->fd, piece->data, piece->samples * 2, HEADER_BYTES + f->data_bytes);
    if (err == 0) {
        f->data_bytes += (int64_t)piece->samples * 2;
    }
    return err;
}

static int sizes_write(struct wave_file *f)
{
    uint8_t header[HEADER_BYTES];
    header_write(header, f->data_bytes);
    return write_all(f->fd, header, sizeof header, 0);
}

/* On a pool thread. */
static void on_write(void *arg)
{
    struct job *job = arg;
    struct wave_file *f = job->file;
    if (f->fd < 0 && f->error == 0) {
        f->error = file_open(f);
    }
    LIST_EACH(it, &job->pieces)
    {
        if (f->error == 0) {
            f->error = piece_write(f, LIST_ITEM(it, struct piece, link));
        }
    }
    if (f->error == 0) {
        f->error = sizes_write(f);
    }
    if (job->last && f->fd >= 0) {
        if (fdatasync(f->fd) != 0 && f->error == 0) {
            f->error = -errno;
        }
        (void)close(f->fd);
        f->fd = -1;
    }
}

static void pieces_drop(struct list *pieces)
{
    while (!list_empty(pieces)) {
        xfree(LIST_ITEM(list_pop_front(pieces), struct piece, link));
    }
}

static void file_drop(struct wave_file *f)
{
    if (f->fd >= 0) {
        (void)close(f->fd);
    }
    xfree(f);
}

/* The recorder was freed while a worker was writing: the file's part goes with the job. */
static void on_orphan(void *arg)
{
    struct job *job = arg;
    pieces_drop(&job->pieces);
    file_drop(job->file);
    xfree(job);
}

static void write_next(struct recorder *r);

static void finish(struct recorder *r)
{
    struct recorder_info info = {.path = r->file->path,
                                 .bytes = r->file->data_bytes + HEADER_BYTES,
                                 .duration_ms = r->file->data_bytes / 2 * 1000 / RATE_HZ,
                                 .lost_ms = r->lost_samples * 1000 / RATE_HZ,
                                 .error = r->file->error};
    recorder_done_fn *on_done = r->on_done;
    r->on_done = NULL;
    if (on_done != NULL) {
        on_done(&info, r->arg);
    }
}

static void on_written(void *arg)
{
    struct job *job = arg;
    struct recorder *r = job->recorder;
    bool last = job->last;
    pieces_drop(&job->pieces);
    xfree(job);
    r->op = NULL;
    r->job = NULL;
    if (last) {
        finish(r);
    } else {
        write_next(r);
    }
}

static void write_next(struct recorder *r)
{
    if (r->op != NULL || (list_empty(&r->waiting) && !r->stopping)) {
        return;
    }
    struct job *job = xzalloc(sizeof *job);
    job->file = r->file;
    job->recorder = r;
    job->last = r->stopping;
    list_init(&job->pieces);
    while (!list_empty(&r->waiting)) {
        list_push_back(&job->pieces, list_pop_front(&r->waiting));
    }
    r->waiting_count = 0;
    r->job = job;
    int err = worker_start(&r->op, r->loop, on_write, on_written, on_orphan, job);
    assert(err == 0); /* the pool's queue has no bound; RECORDER_BACKLOG is ours */
}

struct recorder *recorder_start(struct loop *loop, const char *path)
{
    struct recorder *r = xmalloc(sizeof *r);
    memset(r, 0, offsetof(struct recorder, window));
    memset(r->window, SILENCE, sizeof r->window);
    r->loop = loop;
    list_init(&r->waiting);
    r->file = xzalloc(sizeof *r->file);
    r->file->fd = -1;
    r->file->error = str_copy(str_of(path), r->file->path, sizeof r->file->path);
    r->start_us = loop_now_us(loop);
    return r;
}

void recorder_free(struct recorder **r_p)
{
    if (r_p == NULL || *r_p == NULL) {
        return;
    }
    struct recorder *r = *r_p;
    *r_p = NULL;
    pieces_drop(&r->waiting);
    if (r->op != NULL) {
        r->job->recorder = NULL;
        worker_cancel(&r->op);
    } else {
        file_drop(r->file);
    }
    xfree(r);
}

static uint8_t *sample_at(struct recorder *r, int64_t n)
{
    return &r->window[(size_t)(n % RECORDER_WINDOW) * 2];
}

/* Moves `count` samples out of the window to the worker. */
static void flush(struct recorder *r, size_t count)
{
    if (r->waiting_count >= RECORDER_BACKLOG) {
        r->lost_run += count;
        r->lost_samples += (int64_t)count;
    } else {
        struct piece *piece = xmalloc(sizeof *piece + count * 2);
        *piece = (struct piece){.silence = r->lost_run, .samples = count};
        for (size_t i = 0; i < count; i++) {
            memcpy(piece->data + i * 2, sample_at(r, r->base + (int64_t)i), 2);
        }
        r->lost_run = 0;
        list_init(&piece->link);
        list_push_back(&r->waiting, &piece->link);
        r->waiting_count++;
    }
    for (size_t i = 0; i < count; i++) {
        memset(sample_at(r, r->base + (int64_t)i), SILENCE, 2);
    }
    r->base += (int64_t)count;
    write_next(r);
}

/* Makes room up to sample `end` (exclusive), and lets what has settled go. */
static void advance(struct recorder *r, int64_t end, int64_t now_us)
{
    int64_t settled = (now_us - r->start_us) / US_PER_SAMPLE - SETTLE_SAMPLES;
    while (settled - r->base >= RECORDER_CHUNK || end - r->base > RECORDER_WINDOW) {
        flush(r, RECORDER_CHUNK);
    }
}

static void place(struct recorder *r, enum side side, const uint8_t *ulaw, size_t n, int64_t pos)
{
    for (size_t i = 0; i < n; i++) {
        int64_t at = pos + (int64_t)i;
        if (at >= r->base) {
            sample_at(r, at)[side] = ulaw[i];
        }
    }
    r->head = i64_max(r->head, pos + (int64_t)n);
}

void recorder_lead(struct recorder *r, const uint8_t *ulaw, size_t size_bytes, int64_t now_us)
{
    if (r->stopping || size_bytes > RECORDER_WINDOW / 2) {
        return;
    }
    /* A frame is sent when it is complete: it ends now. */
    int64_t end_pos = (now_us - r->start_us) / US_PER_SAMPLE;
    int64_t by_clock = i64_max(0, end_pos - (int64_t)size_bytes);
    if (!r->lead_begun || by_clock > r->lead_end + GAP_SAMPLES) {
        r->lead_begun = true;
        r->lead_end = by_clock;
    }
    /* A stream that ran far ahead of the clock (a burst after a stall fills the gap it left, no
     * more) would overwrite what was not yet played. */
    if (r->lead_end > end_pos + GAP_SAMPLES) {
        return;
    }
    advance(r, r->lead_end + (int64_t)size_bytes, now_us);
    place(r, LEFT, ulaw, size_bytes, r->lead_end);
    r->lead_end += (int64_t)size_bytes;
}

void recorder_ai(struct recorder *r, const uint8_t *ulaw, size_t size_bytes, int64_t starts_us)
{
    if (r->stopping || size_bytes > RECORDER_WINDOW / 2) {
        return;
    }
    int64_t pos = i64_max(0, (starts_us - r->start_us) / US_PER_SAMPLE);
    advance(r, pos + (int64_t)size_bytes, loop_now_us(r->loop));
    place(r, RIGHT, ulaw, size_bytes, pos);
}

void recorder_cut(struct recorder *r, int64_t now_us)
{
    int64_t pos = i64_max(r->base, (now_us - r->start_us) / US_PER_SAMPLE);
    for (int64_t at = pos; at < r->head && at < r->base + RECORDER_WINDOW; at++) {
        sample_at(r, at)[RIGHT] = SILENCE;
    }
}

void recorder_stop(struct recorder *r, int64_t now_us, recorder_done_fn *on_done, void *arg)
{
    assert(!r->stopping);
    recorder_cut(r, now_us);
    int64_t end = i64_max(r->lead_end, (now_us - r->start_us) / US_PER_SAMPLE);
    end = i64_min(end, r->base + RECORDER_WINDOW + (int64_t)GAP_SAMPLES);
    advance(r, end, now_us);
    r->stopping = true;
    r->on_done = on_done;
    r->arg = arg;
    if (end > r->base) {
        flush(r, (size_t)(end - r->base));
    }
    write_next(r);
}
