#include "handoff/fetch.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/metrics.h"
#include "loop/timer.h"
#include "loop/worker.h"
#include "media/recording_url.h"
#include "store/store_handoff.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FETCH_TIMEOUT_MS 120000
/* Longer than one fetch may take, so that nobody else starts it while we are at it. */
#define FETCH_LEASE_S  300
#define PATH_MAX_BYTES 1024

/*  on_tick -> on_due -> on_opened -> on_body -> on_moved -> on_stored
 *                           \____________\__________\-> missed()        one recording at a time */
struct fetch {
    struct fetch_env env;
    char *data_dir;
    char *public_url;
    struct timer tick;
    bool busy;
    struct pg_tx *tx;
    struct worker_op *work;
    struct http_op *http;
    struct store_recording_due due;
    char path[PATH_MAX_BYTES]; /* below data_dir, as the database has it */
    char full[PATH_MAX_BYTES];
    char part[PATH_MAX_BYTES + 8]; /* until it is whole */
    int fd;
    int file_err;
    int64_t bytes;
};

static void on_tick(void *arg);

int fetch_open(struct fetch **out, const struct fetch_env *env)
{
    struct fetch *f = xzalloc(sizeof *f);
    f->env = *env;
    f->data_dir = xstrdup(env->data_dir);
    f->public_url = xstrdup(env->public_url);
    f->fd = -1;
    timer_repeat(&f->tick, env->loop, env->interval_ms, on_tick, f);
    *out = f;
    return 0;
}

static void free_all(void *arg)
{
    struct fetch *f = arg;
    if (f->fd >= 0) {
        (void)close(f->fd);
    }
    secret_wipe(f->env.recording_key, sizeof f->env.recording_key);
    xfree(f->data_dir);
    xfree(f->public_url);
    xfree(f);
}

void fetch_close(struct fetch **out)
{
    struct fetch *f = *out;
    if (f == NULL) {
        return;
    }
    *out = NULL;
    timer_stop(&f->tick);
    store_cancel(&f->tx);
    http_cancel(&f->http);
    if (f->work != NULL) {
        worker_cancel(&f->work); /* its drop frees us, when the pool is done with our paths */
        return;
    }
    free_all(f);
}

static void idle(struct fetch *f)
{
    if (f->fd >= 0) {
        (void)close(f->fd);
        f->fd = -1;
    }
    f->busy = false;
}

static void on_missed(const struct fault *fault, void *arg)
{
    struct fetch *f = arg;
    (void)fault; /* the lease runs out and it is due again */
    f->tx = NULL;
    idle(f);
}

static void missed(struct fetch *f, const char *why)
{
    metric_add("recording_fetches_total", "missed", 1);
    log_warn("recording.fetch.missed", LOG_UUID("recording", &f->due.recording_id),
             LOG_STR("why", why));
    int err = store_recording_missed(&f->tx, f->env.db, &f->due.organization_id,
                                     &f->due.recording_id, loop_wall_us(f->env.loop), on_missed, f);
    if (err < 0) {
        idle(f);
    }
}

static void on_stored(const struct fault *fault, void *arg)
{
    struct fetch *f = arg;
    f->tx = NULL;
    if (fault->class == FAULT_NONE) {
        metric_add("recording_fetches_total", "ready", 1);
        log_info("recording.fetch.ready", LOG_UUID("recording", &f->due.recording_id),
                 LOG_I64("bytes", f->bytes));
    }
    idle(f);
    timer_start(&f->tick, f->env.loop, 0, on_tick, f); /* there may be more */
}

static void on_moved(void *arg)
{
    struct fetch *f = arg;
    f->work = NULL;
    if (f->file_err < 0) {
        missed(f, "cannot move the file into place");
        return;
    }
    struct buf url;
    buf_init(&url, 2048);
    int64_t at_us = loop_wall_us(f->env.loop);
    int err = recording_url_write(f->env.recording_key, f->public_url, &f->due.organization_id,
                                  &f->due.recording_id,
                                  at_us / US_PER_S + RECORDING_URL_DAYS * 86400LL, &url);
    if (err == 0) {
        err = store_recording_fetched(&f->tx, f->env.db, &f->due.organization_id,
                                      &f->due.recording_id, f->path, buf_cstr(&url), f->bytes,
                                      at_us, on_stored, f);
    }
    buf_fini(&url);
    if (err < 0) {
        idle(f); /* the lease runs out and it is fetched again */
    }
}

static void move_work(void *arg) /* pool thread */
{
    struct fetch *f = arg;
    f->file_err = fsync(f->fd) < 0 || rename(f->part, f->full) < 0 ? -errno : 0;
}

static void on_body(const struct http_result *result, void *arg)
{
    struct fetch *f = arg;
    f->http = NULL;
    if (result->fault.class != FAULT_NONE) {
        missed(f, result->fault.text);
        return;
    }
    if (result->status != 200 || result->body_bytes == 0) {
        missed(f, "the carrier did not give the file");
        return;
    }
    f->bytes = result->body_bytes;
    if (worker_start(&f->work, f->env.loop, move_work, on_moved, free_all, f) < 0) {
        missed(f, "no worker");
    }
}

static void on_opened(void *arg)
{
    struct fetch *f = arg;
    f->work = NULL;
    if (f->file_err < 0) {
        missed(f, strerror(-f->file_err));
        return;
    }
    struct http_ask ask = {
        .method = "GET",
        .url = f->due.carrier_url,
        .timeout_ms = FETCH_TIMEOUT_MS,
        .answer_max = LIMIT_RECORDING_BYTES,
        .trust = HTTP_OUTSIDE,
        .to_fd = f->fd,
    };
    if (http_start(&f->http, f->env.http, &ask, on_body, f) < 0) {
        missed(f, "the URL is not one we may fetch");
    }
}

static int make_dirs(char *path)
{
    for (char *p = path + 1; *p != '\0'; p++) {
        if (*p == '/') {
            *p = '\0';
            int err = mkdir(path, 0700) < 0 && errno != EEXIST ? -errno : 0;
            *p = '/';
            if (err < 0) {
                return err;
            }
        }
    }
    return 0;
}

static void open_work(void *arg) /* pool thread */
{
    struct fetch *f = arg;
    f->file_err = make_dirs(f->part);
    if (f->file_err == 0) {
        f->fd = open(f->part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
        f->file_err = f->fd < 0 ? -errno : 0;
    }
}

static void on_due(const struct fault *fault, const struct store_recording_due *due, size_t count,
                   void *arg)
{
    struct fetch *f = arg;
    f->tx = NULL;
    if (fault->class != FAULT_NONE || count == 0) {
        idle(f);
        return;
    }
    f->due = due[0];
    char org[UUID_TEXT_SIZE];
    char id[UUID_TEXT_SIZE];
    char day[CLOCK_TEXT_SIZE];
    uuid_text(&f->due.organization_id, org);
    uuid_text(&f->due.recording_id, id);
    clock_format(f->due.ended_us, day);
    bool mp3 = str_contains_nocase(str_of(f->due.carrier_url), STR(".mp3"));
    (void)snprintf(f->path, sizeof f->path, "recordings/%s/%.7s/%s.%s", org, day, id,
                   mp3 ? "mp3" : "wav");
    int len = snprintf(f->full, sizeof f->full, "%s/%s", f->data_dir, f->path);
    (void)snprintf(f->part, sizeof f->part, "%s.part", f->full);
    if (len < 0 || (size_t)len >= sizeof f->full) {
        missed(f, "the data directory's name is too long");
        return;
    }
    if (worker_start(&f->work, f->env.loop, open_work, on_opened, free_all, f) < 0) {
        missed(f, "no worker");
    }
}

static void on_tick(void *arg)
{
    struct fetch *f = arg;
    if (!timer_running(&f->tick)) {
        timer_repeat(&f->tick, f->env.loop, f->env.interval_ms, on_tick, f);
    }
    if (f->busy) {
        return;
    }
    f->busy = store_recordings_due(&f->tx, f->env.db, 1, FETCH_LEASE_S, loop_wall_us(f->env.loop),
                                   on_due, f) == 0;
}
