#include "api/api_priv.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "loop/worker.h"
#include "media/recording_url.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATH_BYTES 1024

/*  api_on_recording -> on_path -> open_file (on a pool thread) -> on_opened */
struct recording_op {
    struct api_op op;
    struct worker_op *worker;
};

/* What the pool thread touches; lives on when the request does not. */
struct file {
    struct recording_op *owner;
    char path[PATH_BYTES];
    int fd; /* or -errno */
    int64_t size_bytes;
};

static void on_path(const struct fault *fault, struct str path, void *arg);
static void open_file(void *arg);
static void on_opened(void *arg);

static void file_drop(void *arg)
{
    struct file *file = arg;
    if (file->fd >= 0) {
        close(file->fd);
    }
    xfree(file);
}

static void recording_drop(struct api_op *op)
{
    struct recording_op *r = CONTAINER_OF(op, struct recording_op, op);
    worker_cancel(&r->worker); /* drops the file when its thread is done */
    xfree(r);
}

void api_on_recording(struct http_request *req, void *arg)
{
    struct api *api = arg;
    struct uuid organization_id;
    struct uuid recording_id;
    int err = recording_url_check(api->env.recording_key, http_param(req, "id"), http_query(req),
                                  loop_wall_us(api->env.loop) / US_PER_S, &organization_id,
                                  &recording_id);
    if (err < 0) {
        log_warn("recording.refused", LOG_STR("reason", err == -ETIME ? "expired" : "forged"),
                 LOG_TEXT("peer", http_peer(req)));
        http_answer_error(req, 403, err == -ETIME ? "expired" : "forbidden",
                          err == -ETIME ? "This link has expired." : "This link is not valid.");
        return;
    }
    struct recording_op *r = xzalloc(sizeof *r);
    api_op_begin(&r->op, api, req, recording_drop);
    err = api->store->recording_file(&r->op.tx, api->env.db, &organization_id, &recording_id,
                                     on_path, r);
    if (err < 0) {
        const struct fault fault = fault_make(FAULT_NOT_SENT, 0, "not_started", "queue full");
        api_op_fault(&r->op, "recording", &fault);
    }
}

static void not_there(struct recording_op *r)
{
    api_op_error(&r->op, 404, "not_found", "There is no such recording.");
}

/* A path from the database is ours, but a stored mistake must not become any file of the host. */
static bool path_ok(struct str path)
{
    struct str part;
    if (path.len == 0 || path.p[0] == '/') {
        return false;
    }
    while (str_split(&path, '/', &part)) {
        if (part.len == 0 || part.p[0] == '.') {
            return false;
        }
    }
    return true;
}

static void on_path(const struct fault *fault, struct str path, void *arg)
{
    struct recording_op *r = arg;
    OWNED(buf_fini) struct buf full;
    buf_init(&full, PATH_BYTES);
    r->op.tx = NULL;
    if (fault->class != FAULT_NONE) {
        api_op_fault(&r->op, "recording", fault);
        return;
    }
    struct file *file = xzalloc(sizeof *file);
    file->owner = r;
    file->fd = -ENOENT;
    buf_addf(&full, "%s/" STR_FMT, r->op.api->env.data_dir, STR_ARG(path));
    if (!path_ok(path) || str_copy(buf_str(&full), file->path, sizeof file->path) < 0) {
        file_drop(file);
        not_there(r);
        return;
    }
    int err = worker_start(&r->worker, r->op.api->env.loop, open_file, on_opened, file_drop, file);
    if (err < 0) {
        file_drop(file);
        api_op_error(&r->op, 503, "unavailable", "Try again.");
    }
}

static void open_file(void *arg)
{
    struct file *file = arg;
    struct stat st;
    int fd = open(file->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0) {
        file->fd = -errno;
        return;
    }
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
        close(fd);
        file->fd = -ENOENT;
        return;
    }
    file->fd = fd;
    file->size_bytes = st.st_size;
}

static void on_opened(void *arg)
{
    struct file *file = arg;
    struct recording_op *r = file->owner;
    int fd = file->fd;
    int64_t size_bytes = file->size_bytes;
    bool mp3 = str_ends(str_of(file->path), STR(".mp3"));
    r->worker = NULL;
    xfree(file);
    if (fd < 0) {
        log_error("recording.missing", LOG_I64("error", fd));
        not_there(r);
        return;
    }
    http_set_header(r->op.req, "Cache-Control", "private, no-store");
    http_answer_file(r->op.req, fd, size_bytes, mp3 ? "audio/mpeg" : "audio/wav");
    r->op.req = NULL;
    api_op_end(&r->op);
}
