#include "call/prompt_cache.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/crypto.h"
#include "loop/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATH_SIZE 512

struct prompt_op {
    struct worker_op *work;
    char dir[PATH_SIZE];
    char path[PATH_SIZE + 80];
    char draft[PATH_SIZE + 120]; /* saving */
    uint8_t *audio;
    size_t size;
    prompt_loaded_fn *on_loaded;
    void *arg;
};

void prompt_key(const char *text, const char *voice, const char *model, char out[PROMPT_KEY_SIZE])
{
    OWNED(buf_fini) struct buf all;
    buf_init(&all, 64 * 1024);
    buf_addf(&all, "%s|%s|%s", text, voice, model);
    uint8_t digest[SHA256_BYTES];
    sha256(buf_str(&all), digest);
    hex_encode(digest, sizeof digest, out);
}

static struct prompt_op *op_new(const char *data_dir, const char *key)
{
    struct prompt_op *op = xzalloc(sizeof *op);
    if (snprintf(op->dir, sizeof op->dir, "%s/prompts", data_dir) >= (int)sizeof op->dir) {
        xfree(op);
        return NULL;
    }
    (void)snprintf(op->path, sizeof op->path, "%s/%s.ulaw", op->dir, key);
    return op;
}

static void on_drop(void *arg)
{
    struct prompt_op *op = arg;
    xfree(op->audio);
    xfree(op);
}

static void on_read(void *arg)
{
    struct prompt_op *op = arg;
    int fd = open(op->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0) {
        return;
    }
    struct stat st;
    if (fstat(fd, &st) == 0 && st.st_size > 0 && st.st_size <= PROMPT_BYTES_MAX) {
        op->audio = xmalloc((size_t)st.st_size);
        ssize_t n = read(fd, op->audio, (size_t)st.st_size);
        op->size = n == st.st_size ? (size_t)n : 0;
    }
    (void)close(fd);
}

static void on_read_done(void *arg)
{
    struct prompt_op *op = arg;
    uint8_t *audio = op->size > 0 ? GIVE(op->audio) : NULL;
    size_t size = op->size;
    prompt_loaded_fn *on_loaded = op->on_loaded;
    void *to = op->arg;
    on_drop(op);
    on_loaded(&audio, size, to);
    xfree(audio);
}

int prompt_load(struct prompt_op **op_p, struct loop *loop, const char *data_dir, const char *key,
                prompt_loaded_fn *on_loaded, void *arg)
{
    struct prompt_op *op = op_new(data_dir, key);
    if (op == NULL) {
        return -ENAMETOOLONG;
    }
    op->on_loaded = on_loaded;
    op->arg = arg;
    int err = worker_start(&op->work, loop, on_read, on_read_done, on_drop, op);
    if (err < 0) {
        on_drop(op);
        return err;
    }
    *op_p = op;
    return 0;
}

void prompt_cancel(struct prompt_op **op_p)
{
    if (op_p == NULL || *op_p == NULL) {
        return;
    }
    struct prompt_op *op = GIVE(*op_p);
    worker_cancel(&op->work);
}

static void on_write(void *arg)
{
    struct prompt_op *op = arg;
    (void)mkdir(op->dir, 0700);
    int fd = open(op->draft, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) {
        return;
    }
    ssize_t n = write(fd, op->audio, op->size);
    bool whole = n == (ssize_t)op->size && fdatasync(fd) == 0;
    whole = close(fd) == 0 && whole;
    if (!whole || rename(op->draft, op->path) != 0) {
        (void)unlink(op->draft);
    }
}

void prompt_save(struct loop *loop, const char *data_dir, const char *key, struct str audio)
{
    struct prompt_op *op = audio.len > PROMPT_BYTES_MAX ? NULL : op_new(data_dir, key);
    if (op == NULL) {
        return;
    }
    uint8_t salt[8];
    char hex[sizeof salt * 2 + 1];
    random_bytes(salt, sizeof salt);
    hex_encode(salt, sizeof salt, hex);
    (void)snprintf(op->draft, sizeof op->draft, "%s.%s", op->path, hex);
    op->audio = xmemdup(audio.p, audio.len);
    op->size = audio.len;
    if (worker_start(&op->work, loop, on_write, on_drop, on_drop, op) < 0) {
        on_drop(op);
    }
}
