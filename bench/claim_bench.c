/* claim_bench.c -- claims and hang-ups through the daemon's own statements, connection and role.
 *
 *   bench_claims [--batch N] [--claims N] [--live N] [--claimers N] [--connections N] [--database NAME]
 *
 * DATABASE_URL names app_login's database, DIALWRIGHT_SECRET signs the tenants. Prints one JSON object.
 * As many claims are in flight as there are claimers, each on a connection of its own, as so many daemons would have
 * them; each is timed from the send to the answer, commit included. Between rounds of claims the oldest calls end,
 * so that `live` calls remain: each is first reported as placed (not timed), then as hung up, all of them at once
 * over the connections there are (timed). The first transactions are not counted: that is where a connection
 * prepares its plans.
 *
 * With --database, the name of app_login's database, the server's CPU time is told as well (read from
 * /proc, of the processes that serve that database): it says the same on a busy machine. */
#include "base/alloc.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/macros.h"
#include "loop/loop.h"
#include "store/store_call.h"
#include "store/store_dial.h"
#include "store/tenant_ctx.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BATCH_MAX   1000
#define CALLS_MAX   200000
#define WARM_CLAIMS 20
#define LEASE_MS    600000
#define SERVERS_MAX 16

struct options {
    int64_t batch;
    int64_t claims;
    int64_t live;
    int64_t claimers;
    int64_t connections;
    const char *database;
};

/* One claimer: a claim in flight, or none. */
struct claimer {
    struct bench *bench;
    int64_t began_us;
};

struct bench {
    struct options options;
    struct loop *loop;
    struct pg_pool *db;
    struct uuid node_id;
    struct uuid worker_id;
    struct store_claimed *calls; /* all, in the order of their claims */
    size_t claimed;
    size_t ended;
    size_t waits; /* answers that are still to come */
    bool done;
    struct claimer claimers[SERVERS_MAX];
    size_t target;  /* a round of claims ends with so many claimed */
    size_t brought; /* in this round */
    bool counting;
    int64_t folded_us; /* when the counters were folded in last */
    double *claim_ms;  /* of each counted transaction that brought something */
    size_t transactions;
    int64_t counted;
    int64_t claim_us;
    int64_t claim_cpu_ns;
    int64_t settled;
    int64_t settle_us;
    int64_t settle_cpu_ns;
    int64_t servers[SERVERS_MAX]; /* process ids */
    size_t server_count;
};

static void die(const char *what, const struct fault *fault)
{
    (void)fprintf(stderr, "bench_claims: %s: %s %s\n", what, fault ? fault->code : "",
                  fault ? fault->text : "");
    exit(1);
}

static void on_health(enum pg_health health, void *arg)
{
    struct bench *b = arg;
    b->done = health != PG_CONNECTING;
}

static void connect_db(struct bench *b)
{
    const char *url = getenv("DATABASE_URL");
    const char *secret = getenv("DIALWRIGHT_SECRET");
    if (url == NULL || secret == NULL) {
        die("DATABASE_URL and DIALWRIGHT_SECRET must be set", NULL);
    }
    struct pg_config config = {.url = url, .connections = (uint32_t)b->options.connections};
    tenant_ctx_key(str_of(secret), config.context_key);
    if (pg_pool_new(&b->db, b->loop, &config) < 0) {
        die("DATABASE_URL is not a libpq URL", NULL);
    }
    pg_pool_watch(b->db, on_health, b);
    b->done = pg_pool_health(b->db) != PG_CONNECTING;
    pg_wait(b->db, &b->done);
    pg_pool_watch(b->db, NULL, NULL);
    if (pg_pool_health(b->db) != PG_UP) {
        die(pg_pool_reason(b->db), NULL);
    }
}

static void on_worker(const struct fault *fault, void *arg)
{
    struct bench *b = arg;
    if (fault->class != FAULT_NONE) {
        die("registering the worker", fault);
    }
    b->done = true;
}

static void register_worker(struct bench *b)
{
    int64_t at_us = loop_wall_us(b->loop);
    b->node_id = uuid_make(at_us);
    b->worker_id = uuid_make(at_us);
    struct store_node node = {b->node_id, "bench", DIALWRIGHT_VERSION, "https://bench.invalid"};
    b->done = false;
    if (store_worker_start(NULL, b->db, &node, &b->worker_id, "/nowhere", at_us, on_worker, b) <
        0) {
        die("registering the worker", NULL);
    }
    pg_wait(b->db, &b->done);
}

/* --- the server's processes ------------------------------------------------------------------- */

/* A server process is titled "postgres: ROLE DATABASE ...". */
static bool serves(int64_t pid, const char *database)
{
    char path[64];
    char title[256] = "";
    char wanted[128];
    (void)snprintf(path, sizeof path, "/proc/%lld/cmdline", (long long)pid);
    (void)snprintf(wanted, sizeof wanted, "postgres: app_login %s ", database);
    FILE *f = fopen(path, "r");
    if (f == NULL) {
        return false;
    }
    size_t n = fread(title, 1, sizeof title - 1, f);
    (void)fclose(f);
    return n > 0 && strncmp(title, wanted, strlen(wanted)) == 0;
}

static void find_servers(struct bench *b)
{
    DIR *proc = b->options.database != NULL ? opendir("/proc") : NULL;
    if (proc == NULL) {
        return;
    }
    for (struct dirent *d = readdir(proc); d != NULL; d = readdir(proc)) {
        int64_t pid;
        if (b->server_count < SERVERS_MAX && str_to_i64(str_of(d->d_name), &pid) == 0 &&
            serves(pid, b->options.database)) {
            b->servers[b->server_count++] = pid;
        }
    }
    (void)closedir(proc);
}

static int64_t servers_cpu_ns(const struct bench *b)
{
    int64_t sum = 0;
    for (size_t i = 0; i < b->server_count; i++) {
        char path[64];
        long long ns = 0;
        (void)snprintf(path, sizeof path, "/proc/%lld/schedstat", (long long)b->servers[i]);
        FILE *f = fopen(path, "r");
        if (f != NULL) {
            sum += fscanf(f, "%lld", &ns) == 1 ? ns : 0;
            (void)fclose(f);
        }
    }
    return sum;
}

/* --- claiming --------------------------------------------------------------------------------- */

static void claim_start(struct claimer *c);

static void on_claimed(const struct fault *fault, const struct store_claimed *claimed, size_t count,
                       void *arg)
{
    struct claimer *c = arg;
    struct bench *b = c->bench;
    if (fault->class != FAULT_NONE) {
        die("claim", fault);
    }
    for (size_t i = 0; i < count && b->claimed < CALLS_MAX; i++) {
        b->calls[b->claimed++] = claimed[i];
    }
    b->brought += count;
    b->waits--;
    if (b->counting && count > 0 && b->transactions < CALLS_MAX) {
        b->claim_ms[b->transactions++] = (double)(clock_mono_us() - c->began_us) / US_PER_MS;
    }
    if (count > 0 && b->claimed < b->target) {
        claim_start(c);
    }
    b->done = b->waits == 0;
}

static void claim_start(struct claimer *c)
{
    struct bench *b = c->bench;
    c->began_us = clock_mono_us();
    b->waits++;
    if (store_claim(NULL, b->db, &b->node_id, &b->worker_id, (uint32_t)b->options.batch, LEASE_MS,
                    clock_wall_us(), on_claimed, c) < 0) {
        die("claim", NULL);
    }
}

/* One round: every claimer claims until `more` calls are there. Returns how many were claimed. */
static size_t claim(struct bench *b, size_t more, bool counted)
{
    int64_t cpu_ns = servers_cpu_ns(b);
    int64_t began_us = clock_mono_us();
    b->done = false;
    b->waits = 0;
    b->brought = 0;
    b->target = b->claimed + more;
    b->counting = counted;
    for (size_t i = 0; i < (size_t)b->options.claimers; i++) {
        b->claimers[i].bench = b;
        claim_start(&b->claimers[i]);
    }
    pg_wait(b->db, &b->done);
    if (counted && b->brought > 0) {
        b->claim_us += clock_mono_us() - began_us;
        b->claim_cpu_ns += servers_cpu_ns(b) - cpu_ns;
        b->counted += (int64_t)b->brought;
    }
    return b->brought;
}

/* --- ending ----------------------------------------------------------------------------------- */

static void answered(struct bench *b)
{
    b->waits--;
    b->done = b->waits == 0;
}

static void on_placed(const struct fault *fault, struct str status, void *arg)
{
    if (fault->class != FAULT_NONE || !str_eq(status, STR("dialing"))) {
        die("place_result", fault);
    }
    answered(arg);
}

static void place(struct bench *b, const struct store_claimed *call)
{
    char id[UUID_TEXT_SIZE];
    uuid_text(&call->call_id, id);
    struct store_placed placed = {.organization_id = &call->organization_id,
                                  .call_id = &call->call_id,
                                  .result = "placed",
                                  .resolved_by = "response",
                                  .request_uuid = id,
                                  .call_uuid = "",
                                  .http_status = 201,
                                  .detail = "call fired",
                                  .at_us = clock_wall_us()};
    if (store_place_result(NULL, b->db, &placed, on_placed, b) < 0) {
        die("place_result", NULL);
    }
}

static void on_hangup(const struct fault *fault, const struct store_hangup_result *result,
                      void *arg)
{
    if (fault->class != FAULT_NONE || !str_eq(result->status, STR("ended"))) {
        die("call_hangup", fault);
    }
    answered(arg);
}

static void hang_up(struct bench *b, const struct store_claimed *call)
{
    char id[UUID_TEXT_SIZE];
    uuid_text(&call->call_id, id);
    int64_t at_us = clock_wall_us();
    OWNED(json_free)
    json_t *payload = json_pack("{s:s,s:s}", "CallUUID", id, "CallStatus", "no-answer");
    struct store_report report = {.organization_id = &call->organization_id,
                                  .call_id = &call->call_id,
                                  .kind = "hangup",
                                  .event_key = id,
                                  .call_uuid = id,
                                  .request_uuid = id,
                                  .carrier_status = "no-answer",
                                  .payload = payload,
                                  .at_us = at_us};
    struct store_end end = {.cause = "NO_ANSWER",
                            .cause_code = 3000,
                            .source = "carrier",
                            .ended_us = at_us,
                            .cost_micros = 0,
                            .outcome = "no_answer",
                            .disconnect_reason = "no_answer"};
    if (store_hangup(NULL, b->db, &report, &end, on_hangup, b) < 0) {
        die("call_hangup", NULL);
    }
}

/* As many as a claim brings at once, so that the pool's queue holds them. */
static void end_some(struct bench *b, size_t count, bool counted)
{
    void (*const steps[])(struct bench *, const struct store_claimed *) = {place, hang_up};
    for (size_t step = 0; step < COUNT_OF(steps); step++) {
        int64_t cpu_ns = servers_cpu_ns(b);
        int64_t began_us = clock_mono_us();
        b->done = false;
        b->waits = count;
        for (size_t i = 0; i < count; i++) {
            steps[step](b, &b->calls[b->ended + i]);
        }
        pg_wait(b->db, &b->done);
        if (counted && step == 1) {
            b->settle_us += clock_mono_us() - began_us;
            b->settle_cpu_ns += servers_cpu_ns(b) - cpu_ns;
            b->settled += (int64_t)count;
        }
    }
    b->ended += count;
}

static void end_down_to(struct bench *b, size_t live, bool counted)
{
    while (b->claimed - b->ended > live) {
        size_t over = b->claimed - b->ended - live;
        end_some(b, over < 50 ? over : 50, counted);
    }
}

/* --- the books -------------------------------------------------------------------------------- */

static void on_folded(const struct fault *fault, const struct store_completed *completed,
                      size_t count, void *arg)
{
    (void)completed;
    (void)count;
    if (fault->class != FAULT_NONE) {
        die("fold_counters", fault);
    }
    ((struct bench *)arg)->done = true;
}

/* Once a second, as the dialer does it; not timed, but what it holds up is. */
static void keep_books(struct bench *b)
{
    int64_t now_us = clock_mono_us();
    if (now_us - b->folded_us < US_PER_S) {
        return;
    }
    b->folded_us = now_us;
    b->done = false;
    if (store_fold_and_complete(NULL, b->db, clock_wall_us(), on_folded, b) < 0) {
        die("fold_counters", NULL);
    }
    pg_wait(b->db, &b->done);
}

/* --- the run ---------------------------------------------------------------------------------- */

static void run(struct bench *b)
{
    size_t live = (size_t)b->options.live;
    /* One claim a round where there is one claimer, several each where they work side by side. */
    size_t round =
        b->options.claimers == 1 ? 1 : (size_t)(b->options.claimers * b->options.batch * 5);
    size_t warmed = 0;
    /* First the calls that stand the whole time. */
    while (b->claimed < live || warmed < WARM_CLAIMS) {
        if (claim(b, round, false) == 0) {
            die("nothing is due", NULL);
        }
        warmed++;
        end_down_to(b, live, false);
    }
    while (b->counted < b->options.claims && claim(b, round, true) > 0) {
        end_down_to(b, live, true);
        keep_books(b);
    }
    end_down_to(b, 0, false);
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double percentile(const struct bench *b, double p)
{
    size_t at = (size_t)(p * (double)b->transactions);
    return b->transactions == 0 ? 0 : b->claim_ms[at < b->transactions ? at : b->transactions - 1];
}

static double cpu_ms_each(int64_t cpu_ns, int64_t count)
{
    return count > 0 ? (double)cpu_ns / 1e6 / (double)count : 0;
}

static void report(const struct bench *b)
{
    double claim_s = (double)b->claim_us / (double)US_PER_S;
    double settle_s = (double)b->settle_us / (double)US_PER_S;
    qsort(b->claim_ms, b->transactions, sizeof *b->claim_ms, compare);
    (void)printf(
        "{\"batch\":%lld,\"live\":%lld,\"claimers\":%lld,\"connections\":%lld,\"claims\":%lld,"
        "\"transactions\":%zu,\"claims_per_second\":%.1f,\"p50_ms\":%.2f,"
        "\"p99_ms\":%.2f,\"max_ms\":%.2f,\"server_cpu_ms_per_claim\":%.3f,"
        "\"settles\":%lld,\"settles_per_second\":%.1f,"
        "\"server_cpu_ms_per_settle\":%.3f}\n",
        (long long)b->options.batch, (long long)b->options.live, (long long)b->options.claimers,
        (long long)b->options.connections, (long long)b->counted, b->transactions,
        claim_s > 0 ? (double)b->counted / claim_s : 0, percentile(b, 0.5), percentile(b, 0.99),
        percentile(b, 1), cpu_ms_each(b->claim_cpu_ns, b->counted), (long long)b->settled,
        settle_s > 0 ? (double)b->settled / settle_s : 0,
        cpu_ms_each(b->settle_cpu_ns, b->settled));
}

static bool read_option(const char *name, const char *value, struct options *o)
{
    const struct {
        const char *name;
        int64_t *value;
        int64_t most;
    } known[] = {{"--batch", &o->batch, BATCH_MAX},
                 {"--claims", &o->claims, CALLS_MAX / 2},
                 {"--live", &o->live, 10000},
                 {"--claimers", &o->claimers, SERVERS_MAX},
                 {"--connections", &o->connections, SERVERS_MAX}};
    if (strcmp(name, "--database") == 0) {
        o->database = value;
        return true;
    }
    for (size_t k = 0; k < COUNT_OF(known); k++) {
        if (strcmp(name, known[k].name) == 0) {
            return str_to_i64(str_of(value), known[k].value) == 0 && *known[k].value > 0 &&
                   *known[k].value <= known[k].most;
        }
    }
    return false;
}

static bool read_options(int argc, char **argv, struct options *o)
{
    for (int i = 1; i < argc; i += 2) {
        if (i + 1 == argc || !read_option(argv[i], argv[i + 1], o)) {
            return false;
        }
    }
    return true;
}

int main(int argc, char **argv)
{
    struct bench b = {
        .options = {.batch = 20, .claims = 2000, .live = 200, .claimers = 1, .connections = 1}};
    if (!read_options(argc, argv, &b.options)) {
        (void)fprintf(stderr, "usage: bench_claims [--batch N] [--claims N] [--live N] "
                              "[--claimers N] [--connections N] [--database NAME]\n");
        return 2;
    }
    if (b.options.connections < b.options.claimers) {
        b.options.connections = b.options.claimers;
    }
    b.loop = loop_new(LOOP_REAL);
    b.calls = xcalloc(CALLS_MAX, sizeof *b.calls);
    b.claim_ms = xcalloc(CALLS_MAX, sizeof *b.claim_ms);
    connect_db(&b);
    register_worker(&b);
    find_servers(&b);
    run(&b);
    report(&b);
    pg_pool_free(&b.db);
    loop_free(&b.loop);
    xfree(b.claim_ms);
    xfree(b.calls);
    return 0;
}
