#include "dial/lock_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define PREFIX "w-"
#define SUFFIX ".lock"

static int run_dir(const char *data_dir, char out[LOCK_PATH_SIZE])
{
    int len = snprintf(out, LOCK_PATH_SIZE, "%s/run", data_dir);
    return len < 0 || len >= LOCK_PATH_SIZE ? -ENAMETOOLONG : 0;
}

static int lock_path(struct lock_file *lock, const char *data_dir)
{
    char dir[LOCK_PATH_SIZE];
    char name[UUID_TEXT_SIZE];
    uuid_text(&lock->worker_id, name);
    int err = run_dir(data_dir, dir);
    if (err < 0) {
        return err;
    }
    int len = snprintf(lock->path, sizeof lock->path, "%s/" PREFIX "%s" SUFFIX, dir, name);
    return len < 0 || (size_t)len >= sizeof lock->path ? -ENAMETOOLONG : 0;
}

static int open_locked(struct lock_file *lock, int flags)
{
    int fd = open(lock->path, flags | O_RDWR | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        return -errno;
    }
    if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        int err = -errno;
        close(fd);
        return err;
    }
    lock->fd = fd;
    return 0;
}

int lock_take(struct lock_file *lock, const char *data_dir, const struct uuid *worker_id)
{
    *lock = (struct lock_file){.worker_id = *worker_id, .fd = -1};
    char dir[LOCK_PATH_SIZE];
    int err = run_dir(data_dir, dir);
    if (err == 0 && mkdir(dir, 0700) < 0 && errno != EEXIST) {
        err = -errno;
    }
    err = err < 0 ? err : lock_path(lock, data_dir);
    /* O_EXCL: an id is used once. A scanner that locks the new file before we do costs us this id. */
    return err < 0 ? err : open_locked(lock, O_CREAT | O_EXCL);
}

void lock_drop(struct lock_file *lock)
{
    if (lock->fd >= 0) {
        close(lock->fd);
        lock->fd = -1;
    }
}

void lock_remove(struct lock_file *lock)
{
    if (lock->fd >= 0) {
        unlink(lock->path);
        lock_drop(lock);
    }
}

int lock_held(const char *data_dir, const struct uuid *worker_id)
{
    struct lock_file lock = {.worker_id = *worker_id, .fd = -1};
    int err = lock_path(&lock, data_dir);
    err = err < 0 ? err : open_locked(&lock, 0);
    lock_drop(&lock);
    return err == -ENOENT ? 0 : err == -EWOULDBLOCK ? 1 : err;
}

static bool worker_of(const char *name, struct uuid *id)
{
    struct str s = str_of(name);
    if (!str_starts(s, STR(PREFIX)) || !str_ends(s, STR(SUFFIX)) ||
        s.len != sizeof PREFIX - 1 + UUID_TEXT_SIZE - 1 + sizeof SUFFIX - 1) {
        return false;
    }
    return uuid_parse(str_head(str_skip(s, sizeof PREFIX - 1), UUID_TEXT_SIZE - 1), id) == 0;
}

int lock_scan(const char *data_dir, struct lock_file *found, size_t max)
{
    char path[LOCK_PATH_SIZE];
    int err = run_dir(data_dir, path);
    DIR *dir = err == 0 ? opendir(path) : NULL;
    if (dir == NULL) {
        return err == 0 && errno != ENOENT ? -errno : err;
    }
    size_t count = 0;
    for (const struct dirent *e = readdir(dir); e != NULL && count < max; e = readdir(dir)) {
        struct lock_file lock = {.fd = -1};
        if (worker_of(e->d_name, &lock.worker_id) && lock_path(&lock, data_dir) == 0 &&
            open_locked(&lock, 0) == 0) {
            found[count++] = lock;
        }
    }
    closedir(dir);
    return (int)count;
}
