/* simulate.c -- runs simulated worlds, seed after seed, and says what broke.
 *
 *     simulate --seeds N [--first S] [--jobs J]   runs; last line: N runs, M violations
 *     simulate --seed S [--history FILE]          one run, with its story
 *     simulate --fault-sweep                      each place in turn: fails, sleeps, dies there
 *     simulate --mutants [--within K]             each rule switched off must be noticed within K seeds
 *
 * Seeds run in child processes, some at a time: a run that dies takes no other with it.
 * Exit 0: no violation. 1: some. 2: usage. */
#include "world.h"

#include "base/alloc.h"
#include "base/clock.h"

#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHUNK       16
#define JOBS_MAX    16
#define SHOWN_MAX   5
#define FIRED_LEAST 100 /* of every place, over a full run */
#define FULL_RUN    2000

enum { REPORT_BEGIN, REPORT_RUN, REPORT_NAME };

struct report { /* child to parent */
    int kind;
    uint64_t seed;
    uint64_t hash;
    int violations;
    struct figures fig;
    int64_t hits;
    bool fired;
    char text[200];
    int64_t count;
};

struct child {
    pid_t pid;
    int fd;
    uint64_t at;  /* the seed it is at */
    uint64_t end; /* the first that is not its */
};

struct totals {
    int64_t runs, violations;
    struct figures fig;
    uint64_t hash;
    struct {
        char name[32];
        int64_t fired;
    } names[NAMES_MAX];
    size_t name_count;
    uint64_t failed[SHOWN_MAX];
    char failed_text[SHOWN_MAX][200];
    size_t failed_count;
};

struct job_list { /* what the runs are */
    struct options opt;
    bool sweep;      /* seed is the passage, not the seed */
    uint64_t stride; /* of the sweep: every so many passages */
    bool hashes;
    bool quiet;
    int jobs;
};

static void add_figures(struct figures *to, const struct figures *f)
{
    to->events += f->events;
    to->dials += f->dials;
    to->attempts += f->attempts;
    to->crashes += f->crashes;
    to->pauses += f->pauses;
    to->db_aways += f->db_aways;
    to->lost_acks += f->lost_acks;
    to->hooks += f->hooks;
    to->forged += f->forged;
    to->searches += f->searches;
    to->unknown += f->unknown;
    to->absent += f->absent;
    to->longest_unknown_us = i64_max(to->longest_unknown_us, f->longest_unknown_us);
    to->drain_us = i64_max(to->drain_us, f->drain_us);
}

/* --- the child ------------------------------------------------------------------------------------- */

static void tell(int fd, const struct report *r)
{
    ssize_t n = write(fd, r, sizeof *r);
    if (n != (ssize_t)sizeof *r) {
        _exit(3);
    }
}

static struct options options_of(const struct job_list *what, uint64_t at)
{
    struct options opt = what->opt;
    if (what->sweep) {
        opt.sweep_hit = (int64_t)((at - 1) * what->stride + 1);
    } else {
        opt.seed = at;
    }
    return opt;
}

static void run_seeds(const struct job_list *what, uint64_t from, uint64_t end, int fd)
{
    for (uint64_t at = from; at < end; at++) {
        struct report r = {.kind = REPORT_BEGIN, .seed = at};
        tell(fd, &r);
        struct options opt = options_of(what, at);
        struct world *w = world_new(&opt);
        world_run(w);
        r.kind = REPORT_RUN;
        r.hash = w->hash;
        r.violations = w->violations;
        r.fig = w->fig;
        r.hits = w->hits;
        r.fired = w->fired;
        str_copy_cut(str_of(w->violation), r.text, sizeof r.text);
        world_free(&w);
        tell(fd, &r);
    }
    for (size_t i = 0; i < fault_name_count; i++) {
        struct report r = {.kind = REPORT_NAME, .count = fault_names[i].fired};
        str_copy_cut(str_of(fault_names[i].name), r.text, sizeof r.text);
        tell(fd, &r);
    }
}

/* --- the parent ------------------------------------------------------------------------------------ */

static void start_child(const struct job_list *what, struct child *c, uint64_t from, uint64_t end)
{
    int fds[2];
    if (pipe(fds) < 0) {
        perror("pipe");
        exit(2);
    }
    fflush(NULL);
    *c = (struct child){.fd = fds[0], .at = from, .end = end};
    c->pid = fork();
    if (c->pid == 0) {
        close(fds[0]);
        run_seeds(what, from, end, fds[1]);
        _exit(0);
    }
    close(fds[1]);
}

static void note_violation(struct totals *t, uint64_t seed, const char *text)
{
    t->violations++;
    if (t->failed_count < SHOWN_MAX) {
        str_copy_cut(str_of(text), t->failed_text[t->failed_count], sizeof t->failed_text[0]);
        t->failed[t->failed_count++] = seed;
    }
}

static void take_name(struct totals *t, const struct report *r)
{
    for (size_t i = 0; i < t->name_count; i++) {
        if (strcmp(t->names[i].name, r->text) == 0) {
            t->names[i].fired += r->count;
            return;
        }
    }
    str_copy_cut(str_of(r->text), t->names[t->name_count].name, sizeof t->names[0].name);
    t->names[t->name_count++].fired = r->count;
}

static void take_report(const struct job_list *what, struct totals *t, struct child *c,
                        const struct report *r)
{
    switch (r->kind) {
    case REPORT_BEGIN:
        c->at = r->seed;
        break;
    case REPORT_NAME:
        take_name(t, r);
        break;
    default:
        c->at = r->seed + 1;
        t->runs++;
        t->hash ^= (r->hash + r->seed) * 0x9e3779b97f4a7c15ULL;
        add_figures(&t->fig, &r->fig);
        if (r->violations > 0) {
            note_violation(t, r->seed, r->text);
        }
        if (what->hashes) {
            printf("%llu %016llx\n", (unsigned long long)r->seed, (unsigned long long)r->hash);
        }
    }
}

/* True when the child is done; what it left undone is begun again behind the run that killed it. */
static bool read_child(const struct job_list *what, struct totals *t, struct child *c)
{
    struct report r;
    ssize_t n = read(c->fd, &r, sizeof r);
    if (n == (ssize_t)sizeof r) {
        take_report(what, t, c, &r);
        return false;
    }
    int status = 0;
    close(c->fd);
    (void)waitpid(c->pid, &status, 0);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        char text[80];
        snprintf(text, sizeof text, "the program died (status %d)", status);
        t->runs++;
        note_violation(t, c->at, text);
        if (c->at + 1 < c->end) {
            start_child(what, c, c->at + 1, c->end);
            return false;
        }
    }
    return true;
}

static void progress(const struct job_list *what, const struct totals *t, uint64_t count)
{
    static int64_t shown_at;
    int64_t now = clock_mono_us();
    if (!what->quiet && isatty(2) && now - shown_at > 200000) {
        shown_at = now;
        fprintf(stderr, "\r%lld of %llu runs, %lld violations ", (long long)t->runs,
                (unsigned long long)count, (long long)t->violations);
    }
}

static void run_all(const struct job_list *what, uint64_t from, uint64_t end, struct totals *t)
{
    struct child children[JOBS_MAX];
    int running = 0;
    uint64_t next = from;
    uint64_t chunk = (end - from) / (uint64_t)(what->jobs * 4) + 1;
    chunk = chunk > CHUNK ? CHUNK : chunk;
    while (next < end || running > 0) {
        while (next < end && running < what->jobs) {
            uint64_t stop = next + chunk < end ? next + chunk : end;
            start_child(what, &children[running++], next, stop);
            next = stop;
        }
        struct pollfd fds[JOBS_MAX];
        for (int i = 0; i < running; i++) {
            fds[i] = (struct pollfd){.fd = children[i].fd, .events = POLLIN};
        }
        (void)poll(fds, (nfds_t)running, 1000);
        for (int i = running - 1; i >= 0; i--) {
            if (fds[i].revents != 0 && read_child(what, t, &children[i])) {
                children[i] = children[--running];
            }
        }
        progress(what, t, end - from);
    }
    if (!what->quiet && isatty(2)) {
        fprintf(stderr, "\r%60s\r", "");
    }
}

/* --- what it comes to -------------------------------------------------------------------------------- */

static void print_figures(const struct totals *t)
{
    const struct figures *f = &t->fig;
    printf("%lld attempts, %lld dials, %lld nodes died, %lld slept, database away %lld times, "
           "%lld acknowledgements lost\n",
           (long long)f->attempts, (long long)f->dials, (long long)f->crashes, (long long)f->pauses,
           (long long)f->db_aways, (long long)f->lost_acks);
    printf("%lld reports (%lld forged), %lld searches, %lld leases ran out, %lld found absent; "
           "longest unknown %.0f s; settled at most %.0f s after the last accident\n",
           (long long)f->hooks, (long long)f->forged, (long long)f->searches, (long long)f->unknown,
           (long long)f->absent, (double)f->longest_unknown_us / 1e6, (double)f->drain_us / 1e6);
}

static int print_names(const struct totals *t, int64_t least)
{
    int missing = 0;
    for (size_t i = 0; i < t->name_count; i++) {
        if (t->names[i].fired < least) {
            printf("fault point %s fired %lld times, %lld are wanted\n", t->names[i].name,
                   (long long)t->names[i].fired, (long long)least);
            missing++;
        }
    }
    return missing;
}

static void print_json(const struct totals *t, int missing, int64_t took_us)
{
    OWNED(json_free) json_t *names = json_object();
    for (size_t i = 0; i < t->name_count; i++) {
        json_object_set_new(names, t->names[i].name, json_integer(t->names[i].fired));
    }
    OWNED(json_free) json_t *failed = json_array();
    for (size_t i = 0; i < t->failed_count; i++) {
        json_array_append_new(failed, json_pack("{s:I,s:s}", "seed", (json_int_t)t->failed[i],
                                                "what", t->failed_text[i]));
    }
    char hash[20];
    snprintf(hash, sizeof hash, "%016llx", (unsigned long long)t->hash);
    const struct figures *f = &t->fig;
    OWNED(json_free)
    json_t *all = json_pack(
        "{s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:f,s:f,s:f,s:s,s:i,s:O,s:O}", "runs",
        (json_int_t)t->runs, "violations", (json_int_t)t->violations, "attempts",
        (json_int_t)f->attempts, "dials", (json_int_t)f->dials, "deaths", (json_int_t)f->crashes,
        "sleeps", (json_int_t)f->pauses, "database_away", (json_int_t)f->db_aways, "lost_acks",
        (json_int_t)f->lost_acks, "reports", (json_int_t)f->hooks, "forged", (json_int_t)f->forged,
        "longest_unknown_s", (double)f->longest_unknown_us / 1e6, "settled_within_s",
        (double)f->drain_us / 1e6, "seconds", (double)took_us / 1e6, "hash", hash, "points_missing",
        missing, "fault_points", names, "failed", failed);
    OWNED(xfreep) char *text = json_dumps(all, JSON_COMPACT | JSON_PRESERVE_ORDER);
    printf("%s\n", text);
}

static void print_failed(const struct totals *t, const struct job_list *what)
{
    for (size_t i = 0; i < t->failed_count; i++) {
        if (what->sweep) {
            printf("passage %llu: %s\n",
                   (unsigned long long)((t->failed[i] - 1) * what->stride + 1), t->failed_text[i]);
        } else {
            printf("seed %llu: %s   (script/simulate --seed %llu)\n",
                   (unsigned long long)t->failed[i], t->failed_text[i],
                   (unsigned long long)t->failed[i]);
        }
    }
}

static int run_many(const struct job_list *what, uint64_t first, uint64_t count, bool as_json)
{
    struct totals *t = xzalloc(sizeof *t);
    int64_t began = clock_mono_us();
    run_all(what, first, first + count, t);
    int missing = count >= FULL_RUN ? print_names(t, FIRED_LEAST) : 0;
    int64_t bad = t->violations + missing;
    if (as_json) {
        print_json(t, missing, clock_mono_us() - began);
    } else if (!what->hashes) {
        print_failed(t, what);
        print_figures(t);
        printf("%lld runs, %lld violations\n", (long long)t->runs, (long long)bad);
    }
    xfree(t);
    return bad > 0 ? 1 : 0;
}

static int run_one(const struct options *opt, const char *history_file)
{
    struct options mine = *opt;
    mine.story = history_file == NULL;
    if (history_file != NULL) {
        mine.history = strcmp(history_file, "-") == 0 ? stdout : fopen(history_file, "w");
        if (mine.history == NULL) {
            perror(history_file);
            return 2;
        }
    }
    struct world *w = world_new(&mine);
    world_run(w);
    int violations = w->violations;
    if (mine.story) {
        printf("%s%shistory %016llx\n", w->violation, violations > 0 ? "\n" : "",
               (unsigned long long)w->hash);
        printf("1 runs, %d violations\n", violations > 0 ? 1 : 0);
    } else if (mine.history != stdout) {
        (void)fclose(mine.history);
    }
    world_free(&w);
    return violations > 0 ? 1 : 0;
}

/* --- every place in turn ------------------------------------------------------------------------------ */

/* How often places are passed when nothing goes wrong. */
static int64_t count_passages(const struct options *opt)
{
    struct options dry = *opt;
    dry.sweep_hit = INT64_MAX;
    struct world *w = world_new(&dry);
    world_run(w);
    int64_t hits = w->hits;
    if (w->violations > 0) {
        printf("scenario %d without a fault: %s\n", opt->scenario, w->violation);
        hits = -1;
    }
    world_free(&w);
    return hits;
}

static int sweep(const struct job_list *base, int scenarios)
{
    static const struct {
        enum fault_action action;
        const char *name;
    } actions[] = {{ACT_CRASH, "dies"}, {ACT_PAUSE, "sleeps"}, {ACT_FAIL, "fails"}};
    struct totals *all = xzalloc(sizeof *all);
    for (int s = 1; s <= scenarios; s++) {
        struct job_list what = *base;
        what.sweep = true;
        what.opt.scenario = s;
        what.opt.seed = (uint64_t)s;
        int64_t hits = count_passages(&what.opt);
        if (hits < 0) {
            all->violations++;
            continue;
        }
        for (size_t a = 0; a < COUNT_OF(actions); a++) {
            struct totals *t = xzalloc(sizeof *t);
            what.opt.sweep_action = actions[a].action;
            run_all(&what, 1, ((uint64_t)hits - 1) / what.stride + 2, t);
            printf("scenario %d, %s at each of %lld passages: %lld violations\n", s,
                   actions[a].name, (long long)t->runs, (long long)t->violations);
            print_failed(t, &what);
            all->runs += t->runs;
            all->violations += t->violations;
            xfree(t);
        }
    }
    printf("%lld runs, %lld violations\n", (long long)all->runs, (long long)all->violations);
    int code = all->violations > 0 ? 1 : 0;
    xfree(all);
    return code;
}

/* --- rules switched off ---------------------------------------------------------------------------------- */

static int mutants(const struct job_list *base, uint64_t within)
{
    int alive = 0;
    int64_t runs = 0;
    for (int m = MUTANT_NONE + 1; m < MUTANT_COUNT; m++) {
        struct job_list what = *base;
        what.opt.mutant = (enum mutant)m;
        struct totals *t = xzalloc(sizeof *t);
        uint64_t step = 20;
        uint64_t first = 1;
        for (uint64_t at = 0; at < within && t->violations == 0; at += step) {
            run_all(&what, first + at, first + (at + step < within ? at + step : within), t);
        }
        runs += t->runs;
        if (t->violations > 0) {
            printf("%-16s caught by seed %llu: %s\n", mutant_names[m],
                   (unsigned long long)t->failed[0], t->failed_text[0]);
        } else {
            printf("%-16s SURVIVED %llu seeds\n", mutant_names[m], (unsigned long long)within);
            alive++;
        }
        xfree(t);
    }
    printf("%lld runs, %d violations\n", (long long)runs, alive);
    return alive > 0 ? 1 : 0;
}

static enum mutant mutant_of(const char *name)
{
    for (int m = 0; m < MUTANT_COUNT; m++) {
        if (strcmp(mutant_names[m], name) == 0) {
            return (enum mutant)m;
        }
    }
    fprintf(stderr, "no mutant is called %s\n", name);
    exit(2);
}

enum work { WORK_SEEDS, WORK_ONE, WORK_SWEEP, WORK_MUTANTS };

struct command {
    struct job_list what;
    enum work work;
    int64_t seeds, first, within, scenarios, jobs;
    bool as_json;
    const char *history_file;
};

static int take_number(struct command *cmd, int flag, int64_t n)
{
    switch (flag) {
    case 'n':
        cmd->seeds = n;
        return 0;
    case 's':
        cmd->work = WORK_ONE;
        cmd->first = n;
        return 0;
    case 'f':
        cmd->first = n;
        return 0;
    case 'j':
        cmd->jobs = n;
        return 0;
    case 'w':
        cmd->within = n;
        return 0;
    case 'c':
        cmd->scenarios = n;
        return 0;
    case 't':
        cmd->what.stride = (uint64_t)i64_max(n, 1);
        return 0;
    default:
        return -EINVAL;
    }
}

static int take_flag(struct command *cmd, int flag)
{
    int64_t n;
    switch (flag) {
    case 'H':
        cmd->history_file = optarg;
        return 0;
    case 'm':
        cmd->what.opt.mutant = mutant_of(optarg);
        return 0;
    case 'M':
        cmd->work = WORK_MUTANTS;
        return 0;
    case 'F':
        cmd->work = WORK_SWEEP;
        return 0;
    case 'J':
        cmd->as_json = true;
        return 0;
    case 'p':
        cmd->what.opt.plain = true;
        return 0;
    case 'h':
        cmd->what.hashes = true;
        return 0;
    default:
        return optarg == NULL || str_to_i64(str_of(optarg), &n) < 0 ? -EINVAL
                                                                    : take_number(cmd, flag, n);
    }
}

static int run_command(struct command *cmd)
{
    struct job_list *what = &cmd->what;
    what->jobs = (int)i64_min(cmd->jobs, JOBS_MAX);
    what->opt.seed = (uint64_t)cmd->first;
    switch (cmd->work) {
    case WORK_ONE:
        return run_one(&what->opt, cmd->history_file);
    case WORK_SWEEP:
        return sweep(what, (int)cmd->scenarios);
    case WORK_MUTANTS:
        return mutants(what, (uint64_t)cmd->within);
    case WORK_SEEDS:
        break;
    }
    return run_many(what, (uint64_t)cmd->first, (uint64_t)cmd->seeds, cmd->as_json);
}

int main(int argc, char **argv)
{
    static const struct option names[] = {
        {"seeds", 1, NULL, 'n'},     {"seed", 1, NULL, 's'},    {"first", 1, NULL, 'f'},
        {"jobs", 1, NULL, 'j'},      {"history", 1, NULL, 'H'}, {"mutant", 1, NULL, 'm'},
        {"mutants", 0, NULL, 'M'},   {"within", 1, NULL, 'w'},  {"fault-sweep", 0, NULL, 'F'},
        {"scenarios", 1, NULL, 'c'}, {"plain", 0, NULL, 'p'},   {"stride", 1, NULL, 't'},
        {"json", 0, NULL, 'J'},      {"hashes", 0, NULL, 'h'},  {NULL, 0, NULL, 0}};
    struct command cmd = {.what = {.stride = 1},
                          .seeds = 200,
                          .first = 1,
                          .within = 400,
                          .scenarios = 3,
                          .jobs = sysconf(_SC_NPROCESSORS_ONLN)};
    int err = 0;
    for (int c; err == 0 && (c = getopt_long(argc, argv, "", names, NULL)) != -1;) {
        err = take_flag(&cmd, c);
    }
    if (err != 0 || optind < argc || cmd.seeds < 1 || cmd.jobs < 1) {
        fprintf(stderr, "usage: simulate [--seeds N] [--seed S] [--first S] [--jobs J] [--json] "
                        "[--fault-sweep] [--mutants [--within K]] [--history FILE]\n");
        return 2;
    }
    return run_command(&cmd);
}
