/* media_bench.c -- the media bridge under load: CPU a frame, frames lost, added latency, memory a call.
 *
 *   bench_media [--calls N] [--max] [--poll] [--seconds S] [--json]
 *
 * One row a number of calls, all through one media loop in a process of its own, 50 frames a second
 * each way; beside it the same traffic through a bare relay. us_per_frame is the CPU time of the
 * process measured per frame carried there and back; KiB/call is the growth of its resident memory
 * from one call to N. --max goes up until a row is not clean. */
#include "base/alloc.h"
#include "base/clock.h"
#include "base/str.h"
#include "bench/media_generator.h"
#include "bench/media_subject.h"
#include "loop/timer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SETUP_MS   30000
#define DRAIN_MS   1500
#define ROWS_MAX   16
#define P99_MAX_MS 10.0
#define LOAD_MAX   90.0

struct row {
    size_t calls;
    bool relay;
    bool poll_only;
    bool clean;
    double us_per_frame;
    double core_percent_per_call;
    double kib_per_call; /* growth from the one-call row to this one */
    int64_t kib;
    uint64_t frames;
    uint64_t lost;
    uint64_t out_of_order;
    double p50_ms, p99_ms, p999_ms; /* the worse direction */
    double generator_load;          /* % of a core */
    double subject_load;
};

struct child {
    pid_t pid;
    int stop_fd;
    uint16_t port;
};

/* --- measuring another process ---------------------------------------------------------------- */

static int64_t cpu_us(pid_t pid)
{
    clockid_t clock;
    struct timespec t = {0};
    if (clock_getcpuclockid(pid, &clock) == 0) {
        /* tidy: allow clock_gettime: the CPU clock of the process that is measured, no wall or loop time */
        (void)clock_gettime(clock, &t);
    }
    return t.tv_sec * 1000000LL + t.tv_nsec / 1000;
}

static int64_t resident_kib(pid_t pid)
{
    char path[64];
    char text[256] = "";
    (void)snprintf(path, sizeof path, "/proc/%d/statm", (int)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, text, sizeof text - 1) : -1;
    if (fd >= 0) {
        (void)close(fd);
    }
    struct str rest = str_make(text, n > 0 ? (size_t)n : 0);
    struct str word;
    int64_t pages = 0;
    if (!str_split(&rest, ' ', &word) || !str_split(&rest, ' ', &word) ||
        str_to_i64(word, &pages) != 0) {
        return 0;
    }
    return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

static int64_t own_cpu_us(void)
{
    struct rusage u;
    (void)getrusage(RUSAGE_SELF, &u);
    return (u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000000LL + u.ru_utime.tv_usec +
           u.ru_stime.tv_usec;
}

/* --- children --------------------------------------------------------------------------------- */

/* The model's port is sent once the generator has it: the child must be forked before the loop is. */
static struct child fork_bridge(size_t calls, bool poll_only, const char *data_dir,
                                int *model_port_fd)
{
    int ready[2];
    int stop[2];
    int model[2];
    if (pipe(ready) != 0 || pipe(stop) != 0 || pipe(model) != 0) {
        perror("pipe");
        exit(1);
    }
    pid_t pid = fork();
    if (pid == 0) {
        uint16_t model_port = 0;
        (void)close(stop[1]);
        if (read(model[0], &model_port, sizeof model_port) == sizeof model_port) {
            subject_bridge(model_port, calls, poll_only, data_dir, ready[1], stop[0]);
        }
        _exit(1);
    }
    (void)close(ready[1]);
    (void)close(stop[0]);
    (void)close(model[0]);
    *model_port_fd = model[1];
    return (struct child){.pid = pid, .stop_fd = stop[1], .port = (uint16_t)ready[0]};
}

/* `port` holds the descriptor until the child says which it has. */
static bool child_ready(struct child *c)
{
    int fd = c->port;
    uint16_t port = 0;
    bool ok = read(fd, &port, sizeof port) == sizeof port;
    (void)close(fd);
    c->port = port;
    return ok;
}

static void child_end(struct child *c)
{
    (void)close(c->stop_fd);
    (void)waitpid(c->pid, NULL, 0);
}

static void tcp_pair(int fds[2])
{
    struct sockaddr_in at = {.sin_family = AF_INET};
    socklen_t size = sizeof at;
    int on = 1;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    fds[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(listener, (struct sockaddr *)&at, sizeof at) != 0 || listen(listener, 1) != 0 ||
        getsockname(listener, (struct sockaddr *)&at, &size) != 0 ||
        connect(fds[0], (struct sockaddr *)&at, sizeof at) != 0) {
        perror("loopback");
        exit(1);
    }
    fds[1] = accept(listener, NULL, NULL);
    (void)close(listener);
    (void)setsockopt(fds[0], IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    (void)setsockopt(fds[1], IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

static struct child fork_relay(size_t calls, int (*ours)[2])
{
    int ready[2];
    int stop[2];
    int(*theirs)[2] = xcalloc(calls, sizeof *theirs);
    for (size_t i = 0; i < calls; i++) {
        int carrier[2];
        int model[2];
        tcp_pair(carrier);
        tcp_pair(model);
        ours[i][0] = carrier[0];
        ours[i][1] = model[0];
        theirs[i][0] = carrier[1];
        theirs[i][1] = model[1];
    }
    if (pipe(ready) != 0 || pipe(stop) != 0) {
        perror("pipe");
        exit(1);
    }
    pid_t pid = fork();
    if (pid == 0) {
        (void)close(stop[1]);
        for (size_t i = 0; i < calls; i++) {
            (void)close(ours[i][0]);
            (void)close(ours[i][1]);
        }
        subject_relay((const int(*)[2])theirs, calls, ready[1], stop[0]);
    }
    (void)close(ready[1]);
    (void)close(stop[0]);
    for (size_t i = 0; i < calls; i++) {
        (void)close(theirs[i][0]);
        (void)close(theirs[i][1]);
    }
    xfree(theirs);
    return (struct child){.pid = pid, .stop_fd = stop[1], .port = (uint16_t)ready[0]};
}

/* --- one row ---------------------------------------------------------------------------------- */

static void on_time(void *arg)
{
    *(bool *)arg = true;
}

static void run_for(struct loop *loop, int64_t ms)
{
    struct timer t = {0};
    bool over = false;
    timer_start(&t, loop, ms, on_time, &over);
    while (!over) {
        (void)loop_run_once(loop, true);
    }
}

static void wait_talking(struct loop *loop, struct generator *g, size_t calls)
{
    for (int64_t ms = 0; ms < SETUP_MS && generator_talking(g) < calls; ms += 100) {
        run_for(loop, 100);
    }
}

static void measure(struct loop *loop, struct generator *g, struct child *c, int64_t seconds,
                    struct row *row)
{
    run_for(loop, 1000);
    int64_t cpu0 = cpu_us(c->pid);
    int64_t own0 = own_cpu_us();
    int64_t t0 = clock_mono_us();
    generator_count(g, true);
    run_for(loop, seconds * 1000);
    generator_count(g, false);
    double wall_us = (double)(clock_mono_us() - t0);
    double used_us = (double)(cpu_us(c->pid) - cpu0);
    row->generator_load = (double)(own_cpu_us() - own0) / wall_us * 100;
    row->subject_load = used_us / wall_us * 100;
    row->kib = resident_kib(c->pid);
    run_for(loop, DRAIN_MS);
    const struct generator_totals *t = generator_totals(g);
    row->frames = t->got_in + t->got_out;
    row->lost = t->sent_in + t->sent_out - row->frames;
    row->out_of_order = t->out_of_order;
    row->us_per_frame = row->frames > 0 ? used_us / ((double)row->frames / 2) : 0;
    row->core_percent_per_call = row->subject_load / (double)row->calls;
    const struct latency *worse =
        latency_ms(&t->in, 0.99) > latency_ms(&t->out, 0.99) ? &t->in : &t->out;
    row->p50_ms = latency_ms(worse, 0.5);
    row->p99_ms = latency_ms(worse, 0.99);
    row->p999_ms = latency_ms(worse, 0.999);
    row->clean = generator_talking(g) == row->calls && row->lost == 0 && row->frames > 0 &&
                 row->p99_ms < P99_MAX_MS;
}

static void row_run(struct row *row, int64_t seconds, const char *data_dir)
{
    int model_port_fd = -1;
    int(*ours)[2] = xcalloc(row->calls, sizeof *ours);
    struct child c = row->relay ? fork_relay(row->calls, ours)
                                : fork_bridge(row->calls, row->poll_only, data_dir, &model_port_fd);
    struct loop *loop = loop_new(LOOP_REAL);
    struct generator *g = generator_new(loop, row->calls);
    if (!row->relay) {
        uint16_t port = generator_model_port(g);
        (void)!write(model_port_fd, &port, sizeof port);
        (void)close(model_port_fd);
    }
    if (!child_ready(&c)) {
        (void)fprintf(stderr, "the process to be measured did not start\n");
        exit(1);
    }
    run_for(loop, 200);
    for (size_t i = 0; row->relay && i < row->calls; i++) {
        generator_attach(g, i, ours[i][0], ours[i][1]);
    }
    if (!row->relay) {
        generator_dial(g, c.port);
    }
    wait_talking(loop, g, row->calls);
    measure(loop, g, &c, seconds, row);
    child_end(&c);
    generator_free(&g);
    loop_free(&loop);
    xfree(ours);
}

/* --- telling ---------------------------------------------------------------------------------- */

static void row_print(const struct row *r)
{
    (void)printf("%-7s %5zu %10.1f %9.3f %9.1f %9llu %6llu %7.2f %7.2f %7.2f %6.0f%% %6.0f%%%s%s\n",
                 r->relay ? "relay" : "bridge", r->calls, r->us_per_frame, r->core_percent_per_call,
                 r->kib_per_call, (unsigned long long)r->frames, (unsigned long long)r->lost,
                 r->p50_ms, r->p99_ms, r->p999_ms, r->subject_load, r->generator_load,
                 r->generator_load > LOAD_MAX ? "  (generator saturated)" : "",
                 r->clean ? "" : "  NOT CLEAN");
    (void)fflush(stdout);
}

static void row_json(const struct row *r)
{
    (void)printf(
        "{\"subject\":\"%s\",\"calls\":%zu,\"us_per_frame\":%.2f,\"core_percent_per_call\":"
        "%.4f,\"kib_per_call\":%.1f,\"frames\":%llu,\"lost\":%llu,\"out_of_order\":%llu,"
        "\"p50_ms\":%.2f,\"p99_ms\":%.2f,\"p999_ms\":%.2f,\"subject_load_percent\":%.1f,"
        "\"generator_load_percent\":%.1f,\"generator_saturated\":%s,\"clean\":%s}",
        r->relay ? "relay" : "bridge", r->calls, r->us_per_frame, r->core_percent_per_call,
        r->kib_per_call, (unsigned long long)r->frames, (unsigned long long)r->lost,
        (unsigned long long)r->out_of_order, r->p50_ms, r->p99_ms, r->p999_ms, r->subject_load,
        r->generator_load, r->generator_load > LOAD_MAX ? "true" : "false",
        r->clean ? "true" : "false");
}

struct options {
    int64_t calls;
    int64_t seconds;
    bool max;
    bool poll_only;
    bool json;
};

static bool options_read(int argc, char **argv, struct options *o)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--json") == 0) {
            o->json = true;
        } else if (strcmp(argv[i], "--poll") == 0) {
            o->poll_only = true;
        } else if (strcmp(argv[i], "--max") == 0) {
            o->max = true;
        } else if (strcmp(argv[i], "--calls") == 0 && i + 1 < argc) {
            if (str_to_i64(str_of(argv[++i]), &o->calls) != 0) {
                return false;
            }
        } else if (strcmp(argv[i], "--seconds") == 0 && i + 1 < argc) {
            if (str_to_i64(str_of(argv[++i]), &o->seconds) != 0) {
                return false;
            }
        } else {
            return false;
        }
    }
    return o->calls > 0 && o->calls <= 5000 && o->seconds > 0;
}

static void report_json(const struct row *rows, size_t count, size_t at, size_t max_calls,
                        uint64_t lost_at_max)
{
    const struct row *r = &rows[at];
    const struct row *relay = &rows[at + 1];
    (void)printf(
        "{\"bench\":\"media\",\"calls\":%zu,\"us_per_frame\":%.2f,\"relay_us_per_frame\":%.2f,"
        "\"ratio\":%.2f,\"lost\":%llu,\"p50_ms\":%.2f,\"p99_ms\":%.2f,\"p999_ms\":%.2f,"
        "\"core_percent_per_call\":%.4f,\"kib_per_call\":%.1f,\"generator_load_percent\":%.1f,"
        "\"max_calls\":%zu,\"lost_at_max_calls\":%llu,\"rows\":[",
        r->calls, r->us_per_frame, relay->us_per_frame,
        relay->us_per_frame > 0 ? r->us_per_frame / relay->us_per_frame : 0,
        (unsigned long long)r->lost, r->p50_ms, r->p99_ms, r->p999_ms, r->core_percent_per_call,
        r->kib_per_call, r->generator_load, max_calls, (unsigned long long)lost_at_max);
    for (size_t i = 0; i < count; i++) {
        row_json(&rows[i]);
        (void)printf(i + 1 < count ? "," : "]}\n");
    }
}

int main(int argc, char **argv)
{
    struct options o = {.calls = 200, .seconds = 5};
    if (!options_read(argc, argv, &o)) {
        (void)fprintf(stderr,
                      "usage: bench_media [--calls N] [--max] [--poll] [--seconds S] [--json]\n");
        return 2;
    }
    struct rlimit files = {0};
    (void)getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &files);
    (void)signal(SIGPIPE, SIG_IGN);
    char data_dir[] = "/tmp/dw-bench-XXXXXX";
    if (mkdtemp(data_dir) == NULL) {
        perror("mkdtemp");
        return 1;
    }
    struct row rows[ROWS_MAX] = {
        {.calls = 1}, {.calls = (size_t)o.calls}, {.calls = (size_t)o.calls, .relay = true}};
    size_t count = 3;
    if (!o.json) {
        (void)printf("%-7s %5s %10s %9s %9s %9s %6s %7s %7s %7s %7s %7s\n", "through", "calls",
                     "us/frame", "%core/call", "KiB/call", "frames", "lost", "p50 ms", "p99 ms",
                     "p99.9", "load", "gen");
    }
    size_t max_calls = 0;
    uint64_t lost_at_max = 0;
    for (size_t i = 0; i < count; i++) {
        rows[i].poll_only = o.poll_only;
        row_run(&rows[i], o.seconds, data_dir);
        if (!rows[i].relay && i > 0 && rows[i].calls > 1) {
            rows[i].kib_per_call =
                (double)(rows[i].kib - rows[0].kib) / (double)(rows[i].calls - 1);
        }
        if (!o.json) {
            row_print(&rows[i]);
        }
        bool up = !rows[i].relay && rows[i].clean && rows[i].calls >= max_calls;
        max_calls = up ? rows[i].calls : max_calls;
        lost_at_max = up ? rows[i].lost : lost_at_max;
        if (o.max && i + 1 == count && count < ROWS_MAX && (rows[i].relay || rows[i].clean)) {
            rows[count++].calls = rows[i].calls + rows[i].calls / 2;
        }
    }
    if (o.json) {
        report_json(rows, count, 1, max_calls, lost_at_max);
    } else {
        (void)printf("max_calls %zu (clean: nothing lost, p99 under %.0f ms); one media loop\n",
                     max_calls, P99_MAX_MS);
    }
    OWNED(xfreep) char *command = xmalloc(64);
    (void)snprintf(command, 64, "rm -rf %s", data_dir);
    /* tidy: allow system: a constant path of our own making */
    return system(command) == 0 && rows[1].clean ? 0 : 1;
}
