/* world.h -- one simulated world: its time, its nodes, its database, its carrier, its accidents.
 *
 *     world_new(options) -> world_run() -> check_world() -> world_free()
 *
 * Everything happens on one thread in the order of one heap of events. A node is the daemon's own
 * code (dialer, reconciler, routes, accounts) on a loop with a virtual clock; what it asks of the
 * database or the carrier becomes an event here, and so does the answer. When a node dies its memory
 * is forgotten, its locks are free, and a new incarnation starts after a while.
 *
 * Owner   the runner.
 * Thread  one.
 * Time    `now` is monotonic microseconds of the world; wall time is `now` + WORLD_WALL, which is
 *         the database's clock; carrier and nodes may be off. */
#ifndef SIMULATION_WORLD_H
#define SIMULATION_WORLD_H

#include "ledger.h"
#include "rng.h"

#include "api/api.h"
#include "base/settings.h"
#include "carrier/accounts.h"
#include "dial/dialer.h"
#include "dial/reconcile.h"

#include <setjmp.h>
#include <stdio.h>

#define NODES_MAX  3
#define NAMES_MAX  128
#define TARGETS    12
#define WORLD_WALL world_zero_us

struct world;
struct dial; /* carrier_sim.c */

extern int64_t world_zero_us; /* the wall time at which the world's `now` was 0 */

typedef void event_fn(struct world *w, void *arg);

enum fault_action { ACT_NONE, ACT_CRASH, ACT_PAUSE, ACT_FAIL };

/* One place where something can go wrong, and how often it was reached and did. */
struct fault_name {
    const char *name;
    int64_t hits;  /* in this run */
    int64_t fired; /* over the runs of this process */
};

struct fault_target { /* the hit-th passage of this place goes wrong */
    size_t name;
    int64_t hit;
    enum fault_action action;
};

struct options {
    uint64_t seed;
    enum mutant mutant;
    bool story;        /* print what happens */
    FILE *history;     /* write the operations here; NULL: only their hash */
    int64_t sweep_hit; /* > 0: nothing goes wrong but at this passage (of all places together) */
    enum fault_action sweep_action;
    int scenario; /* of the sweep; 0: drawn from the seed */
    bool plain; /* nobody competes for lines: the order of claims among campaigns is not compared */
};

struct incarnation {
    struct list link;
    struct world *w;
    struct node *node;
    int number;
    bool dead;
    struct loop *loop;
    int64_t offset_us; /* world time = loop time - this */
    struct pg_pool *db;
    struct http_client *http;
    struct accounts *accounts;
    struct api *api;
    struct dialer *dialer;
    struct reconcile *reconcile;
    struct dial_env env;
    struct dial_clock clock;
    const struct http_route *routes; /* captured from api_open() */
    size_t route_count;
    void *routes_arg;
    struct list requests; /* struct http_request, open */
    struct list live;     /* calls this node holds: struct held (node.c) */
    size_t live_count;
    bool db_up; /* what its pool believes */
    bool draining;
    bool refused; /* could not start */
};

struct node {
    int index;
    int host; /* nodes of one host share the directory of locks */
    char data_dir[8];
    struct settings settings;
    struct incarnation *inc; /* NULL: not running */
    int incarnations;
    int64_t busy_until; /* the process was stopped until then */
    int64_t skew_us;    /* its wall clock against the database's */
};

struct lock_row { /* the file system of a host, as lock_file.h sees it */
    struct list link;
    int host;
    struct uuid worker_id;
    struct incarnation *holder; /* NULL: can be had */
    int64_t free_from;          /* may be had from then on: the holder let go at its own time */
    bool removed;
};

struct profile { /* how often what goes wrong; drawn per run */
    double nosend, refuse, barred, trouble, e5xx, e5xx_dialed, cut, cut_dialed, slow_dialed;
    double hook_lost, hook_doubled, hook_late, forged;
    double search_fails;
    double db_slow;
    int crashes, pauses, db_aways, jumps, campaign_pauses, tenant_pauses, opt_outs, drains, outages;
};

struct figures { /* of one run */
    int64_t events, dials, attempts, crashes, pauses, db_aways, lost_acks, hooks, forged, searches;
    int64_t unknown, absent, longest_unknown_us, drain_us;
};

struct world {
    struct options opt;
    struct rng rng;      /* what happens */
    struct rng plan_rng; /* what was planned at the start: the same however the run goes */
    struct ledger *ledger;
    struct node nodes[NODES_MAX];
    int node_count;
    struct list incarnations; /* dead ones too, until the end */
    struct list locks;
    struct heap_event *heap;
    size_t heap_count;
    size_t heap_size;
    uint64_t order;
    int64_t now;
    int64_t active_until; /* then nothing goes wrong any more, and nothing new is claimed */
    int64_t give_up_at;
    bool draining;
    bool db_up;
    int64_t carrier_down_until;
    int64_t carrier_skew_us;
    struct profile p;
    struct fault_target targets[TARGETS];
    size_t target_count;
    int64_t hits;                /* of all places */
    bool fired;                  /* the sweep's */
    struct incarnation *current; /* whose code runs */
    jmp_buf crash;
    int64_t horizon_us;
    struct carrier_urls urls;
    struct list dials; /* struct dial: what the carrier knows */
    int64_t next_number;
    struct list asks; /* struct carrier_op and struct pg_tx in flight: freed at the end */
    struct figures fig;
    uint64_t hash; /* of the history */
    int64_t history_lines;
    char violation[400]; /* the first one; "" none */
    int violations;
    int answered_403;
    char *story_text;
};

extern struct world *the_world; /* for fault_point(), random_bytes(), log_write() */

struct world *world_new(const struct options *opt) MUST_USE;
void world_run(struct world *w);
bool world_step(struct world *w); /* the next event; false: none until give_up_at */
void world_free(struct world **w);

void world_at(struct world *w, int64_t at, event_fn *fn, void *arg);
void world_in(struct world *w, int64_t delay_us, event_fn *fn, void *arg);
int64_t world_wall(const struct world *w); /* the database's clock */
void violation(struct world *w, const char *fmt, ...) PRINTF_LIKE(2, 3);
void story(struct world *w, const char *who, const char *fmt, ...) PRINTF_LIKE(3, 4);
void history(struct world *w, const char *fmt, ...) PRINTF_LIKE(2, 3);
bool history_on(const struct world *w);

/* A place outside the daemon's code. True: it goes wrong here. */
bool world_fault(struct world *w, const char *name);
void world_fired(struct world *w, const char *name); /* something drawn by chance happened */
extern struct fault_name fault_names[NAMES_MAX];
extern size_t fault_name_count;
size_t fault_name_of(const char *name);

/* Runs the daemon's code of a node at the world's present, after what its loop has due. fn may be NULL. */
enum node_ran {
    NODE_RAN,
    NODE_DIED,  /* in there */
    NODE_SLEEPS /* it stopped before it came to fn: once more at busy_until */
};
typedef void node_fn(struct incarnation *inc, void *arg);
enum node_ran node_call(struct incarnation *inc, node_fn *fn, void *arg);
bool node_can_run(const struct incarnation *inc); /* alive, and not stopped */
void node_start(struct world *w, struct node *n);
void node_kill(struct incarnation *inc, const char *why);
void node_close(struct incarnation *inc);
int64_t node_now(const struct incarnation *inc); /* its own present, in the world's time */
struct incarnation *node_pick(struct world *w);  /* one that takes a connection; NULL none */
void node_hold(struct incarnation *inc, const struct uuid *call_id);
void node_let_go(struct incarnation *inc, const struct uuid *call_id);

/* scenario.c */
void scenario_make(struct world *w);
/* accidents.c */
void accidents_plan(struct world *w);

/* carrier_sim.c: what really happened */
struct dial {
    struct list link;
    struct carrier_identity identity;
    char from[20];
    char to[20];
    char call_uuid[48];
    char request_uuid[48];
    struct uuid account_id;
    int64_t accepted_at;
    int64_t ring_at;
    int64_t answer_at; /* 0: nobody */
    int64_t end_at;    /* planned, then true */
    int64_t cdr_at;
    bool rang;
    bool answered;
    bool ended;
    bool talking;
    const char *outcome;
    const char *disconnect_reason;
    int64_t talk_us;
    int64_t hooks_taken;
    bool machine;
};
void carrier_free(struct world *w);
void store_free(struct world *w);

/* person.c: what this person does when it rings; sets outcome, answer_at or end_at, talk_us. */
void person_draw(struct world *w, struct dial *d, int64_t ring_max_us);

/* check.c */
void check_world(struct world *w);

#endif
