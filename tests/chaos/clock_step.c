/* clock_step.c -- a library to preload: the wall clock of one process, moved while it runs.
 *
 * The file that CLOCK_STEP_FILE names holds one native int64: microseconds to add to CLOCK_REALTIME. It is
 * mapped, so a step takes effect with the next reading. Monotonic clocks, file times and every other
 * process keep the machine's time. Debian's libfaketime does the same, but its lock and the address
 * sanitizer's start wait for each other.
 *
 * Owner   nobody: one mapping for the life of the process.
 * Thread  any; the offset is read in one piece.
 * Time    microseconds.
 * Errors  without the file nothing is moved. */
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static _Atomic(const _Atomic int64_t *) offset;

__attribute__((constructor)) static void find_offset(void)
{
    const char *path = getenv("CLOCK_STEP_FILE");
    int fd = path == NULL ? -1 : open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return;
    }
    void *map = mmap(NULL, sizeof(int64_t), PROT_READ, MAP_SHARED, fd, 0);
    close(fd);
    if (map != MAP_FAILED) {
        offset = map;
    }
}

/* The constructor may run after the first reading: until then there is no offset. */
static int64_t step_us(void)
{
    const _Atomic int64_t *at = offset;
    return at == NULL ? 0 : atomic_load(at);
}

static int read_clock(clockid_t clock, struct timespec *out)
{
    long err = syscall(SYS_clock_gettime, clock, out);
    if (err == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) {
        int64_t us = (int64_t)out->tv_sec * 1000000 + out->tv_nsec / 1000 + step_us();
        out->tv_sec = us / 1000000;
        out->tv_nsec = us % 1000000 * 1000;
    }
    return (int)err;
}

/* tidy: allow clock_gettime: this is the function that the preloaded library stands in for */
int clock_gettime(clockid_t clock, struct timespec *out)
{
    return read_clock(clock, out);
}

/* tidy: allow gettimeofday: likewise */
int gettimeofday(struct timeval *restrict out, void *restrict zone)
{
    struct timespec now;
    (void)zone;
    int err = read_clock(CLOCK_REALTIME, &now);
    if (err == 0) {
        *out = (struct timeval){now.tv_sec, now.tv_nsec / 1000};
    }
    return err;
}

/* tidy: allow time: likewise */
time_t time(time_t *out)
{
    struct timespec now;
    if (read_clock(CLOCK_REALTIME, &now) != 0) {
        return -1;
    }
    if (out != NULL) {
        *out = now.tv_sec;
    }
    return now.tv_sec;
}
