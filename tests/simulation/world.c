#include "world.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/fault_point.h"
#include "loop/loop_priv.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

struct heap_event {
    int64_t at;
    uint64_t order;
    event_fn *fn;
    void *arg;
};

struct world *the_world;
int64_t world_zero_us = 1795444200000000LL; /* 2026-11-23T14:30:00Z */
struct fault_name fault_names[NAMES_MAX];
size_t fault_name_count;

/* --- events --------------------------------------------------------------------------------------- */

static bool before(const struct heap_event *a, const struct heap_event *b)
{
    return a->at != b->at ? a->at < b->at : a->order < b->order;
}

void world_at(struct world *w, int64_t at, event_fn *fn, void *arg)
{
    if (w->heap_count + 2 > w->heap_size) {
        w->heap_size = w->heap_size == 0 ? 256 : w->heap_size * 2;
        w->heap = xrealloc(w->heap, w->heap_size * sizeof *w->heap);
    }
    struct heap_event e = {i64_max(at, w->now), w->order++, fn, arg};
    size_t i = ++w->heap_count;
    for (; i > 1 && before(&e, &w->heap[i / 2]); i /= 2) {
        w->heap[i] = w->heap[i / 2];
    }
    w->heap[i] = e;
}

void world_in(struct world *w, int64_t delay_us, event_fn *fn, void *arg)
{
    world_at(w, w->now + delay_us, fn, arg);
}

static struct heap_event heap_pop(struct world *w)
{
    struct heap_event first = w->heap[1];
    struct heap_event last = w->heap[w->heap_count--];
    size_t i = 1;
    for (size_t child = 2; child <= w->heap_count; child = i * 2) {
        if (child < w->heap_count && before(&w->heap[child + 1], &w->heap[child])) {
            child++;
        }
        if (!before(&w->heap[child], &last)) {
            break;
        }
        w->heap[i] = w->heap[child];
        i = child;
    }
    w->heap[i] = last;
    return first;
}

int64_t world_wall(const struct world *w)
{
    return w->now + WORLD_WALL;
}

/* --- telling -------------------------------------------------------------------------------------- */

void violation(struct world *w, const char *fmt, ...)
{
    char text[sizeof w->violation];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    if (w->violations++ == 0) {
        memcpy(w->violation, text, sizeof text);
    }
    story(w, "CHECK", "VIOLATION %s", text);
}

void story(struct world *w, const char *who, const char *fmt, ...)
{
    if (!w->opt.story) {
        return;
    }
    char text[600];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    printf("%10.3f  %-9s %s\n", (double)w->now / 1e6, who, text);
}

bool history_on(const struct world *w)
{
    return w->opt.sweep_hit == 0;
}

/* FNV-1a over the lines; the text itself only when somebody reads it. */
void history(struct world *w, const char *fmt, ...)
{
    static char text[16384];
    if (!history_on(w)) {
        return;
    }
    va_list args;
    va_start(args, fmt);
    int len = vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    assert(len >= 0 && (size_t)len < sizeof text);
    for (int i = 0; i < len; i++) {
        w->hash = (w->hash ^ (uint8_t)text[i]) * 0x100000001b3ULL;
    }
    w->history_lines++;
    if (w->opt.history != NULL) {
        fprintf(w->opt.history, "%s\n", text);
    }
}

/* --- places where things go wrong ----------------------------------------------------------------- */

size_t fault_name_of(const char *name)
{
    for (size_t i = 0; i < fault_name_count; i++) {
        if (strcmp(fault_names[i].name, name) == 0) {
            return i;
        }
    }
    assert(fault_name_count < NAMES_MAX);
    fault_names[fault_name_count] = (struct fault_name){.name = name};
    return fault_name_count++;
}

static enum fault_action passage(struct world *w, const char *name)
{
    size_t at = fault_name_of(name);
    int64_t hit = ++fault_names[at].hits;
    if (w->draining) {
        return ACT_NONE;
    }
    w->hits++;
    if (w->opt.sweep_hit > 0) {
        if (w->hits != w->opt.sweep_hit) {
            return ACT_NONE;
        }
        w->fired = true;
        fault_names[at].fired++;
        return w->opt.sweep_action;
    }
    for (size_t i = 0; i < w->target_count; i++) {
        if (w->targets[i].name == at && w->targets[i].hit == hit) {
            fault_names[at].fired++;
            return w->targets[i].action;
        }
    }
    return ACT_NONE;
}

void world_fired(struct world *w, const char *name)
{
    (void)w;
    fault_names[fault_name_of(name)].fired++;
}

bool world_fault(struct world *w, const char *name)
{
    enum fault_action action = passage(w, name);
    if (action != ACT_NONE) {
        story(w, "FAULT", "%s", name);
    }
    return action != ACT_NONE;
}

static void pause_here(struct world *w, struct incarnation *inc, int64_t us)
{
    w->fig.pauses++;
    loop_oversleep(inc->loop, us);
    inc->node->busy_until = i64_max(inc->node->busy_until, node_now(inc));
    story(w, "FAULT", "node %d sleeps for %.1f s", inc->node->index, (double)us / 1e6);
}

/* In the daemon's own code (base/fault_point.h). */
void fault_point(const char *name)
{
    struct world *w = the_world;
    struct incarnation *inc = w->current;
    enum fault_action action = inc == NULL ? ACT_NONE : passage(w, name);
    if (action == ACT_NONE) {
        return;
    }
    story(w, "FAULT", "%s: %s", name, action == ACT_CRASH ? "dies here" : "stops here");
    if (action == ACT_PAUSE || action == ACT_FAIL) {
        /* Short enough to be in time, too late for the deadline, or longer than lease and horizon. */
        int64_t lease_us = inc->node->settings.lease_ms * US_PER_MS;
        static const double parts[] = {0.02, 0.2, 1.1};
        double part = action == ACT_FAIL ? 0.02 : parts[rng_next(&w->rng) % COUNT_OF(parts)];
        bool long_one = action == ACT_PAUSE && rng_chance(&w->rng, 0.5);
        pause_here(w, inc,
                   long_one ? lease_us + w->horizon_us + 90 * US_PER_S
                            : (int64_t)(part * (double)lease_us) + 1000);
        return;
    }
    longjmp(w->crash, 1); /* tidy: allow longjmp: the process dies in the middle of its code */
}

/* --- nodes ---------------------------------------------------------------------------------------- */

int64_t node_now(const struct incarnation *inc)
{
    return loop_now_us(inc->loop) - inc->offset_us;
}

bool node_can_run(const struct incarnation *inc)
{
    return !inc->dead && inc->node->busy_until <= inc->w->now;
}

/* Its clock follows the world's; what fell due on the way runs first. */
static void turn(struct incarnation *inc)
{
    int64_t behind = inc->w->now - node_now(inc);
    loop_advance(inc->loop, behind > 0 ? behind : 0);
}

enum node_ran node_call(struct incarnation *inc, node_fn *fn, void *arg)
{
    struct world *w = inc->w;
    assert(w->current == NULL && !inc->dead);
    w->current = inc;
    if (setjmp(w->crash) != 0) { /* tidy: allow setjmp: where a process that dies ends up */
        w->current = NULL;
        node_kill(inc, "a fault point");
        return NODE_DIED;
    }
    turn(inc);
    bool awake = inc->node->busy_until <= w->now;
    if (fn != NULL && awake) {
        fn(inc, arg);
        if (inc->node->busy_until <= w->now) {
            loop_advance(inc->loop, 0);
        }
    }
    w->current = NULL;
    return awake ? NODE_RAN : NODE_SLEEPS;
}

struct incarnation *node_pick(struct world *w)
{
    int up = 0;
    for (int i = 0; i < w->node_count; i++) {
        up += w->nodes[i].inc != NULL ? 1 : 0;
    }
    if (up == 0) {
        return NULL;
    }
    int chosen = (int)rng_between(&w->rng, 0, up - 1);
    for (int i = 0; i < w->node_count; i++) {
        if (w->nodes[i].inc != NULL && chosen-- == 0) {
            return w->nodes[i].inc;
        }
    }
    return NULL;
}

/* The next moment at which a node has something to do by itself. */
static int64_t node_due(const struct node *n)
{
    const struct timer_heap *heap = loop_timers(n->inc->loop);
    if (heap->count == 0) {
        return INT64_MAX;
    }
    return i64_max(heap->items[1]->due_us - n->inc->offset_us, n->busy_until);
}

/* --- the run -------------------------------------------------------------------------------------- */

static bool all_settled(const struct world *w)
{
    if (!list_empty(&w->ledger->live)) {
        return false;
    }
    LIST_EACH(it, &w->dials)
    {
        if (!LIST_ITEM(it, struct dial, link)->ended) {
            return false;
        }
    }
    return true;
}

static void begin_drain(struct world *w, void *arg)
{
    (void)arg;
    w->draining = true;
    w->carrier_down_until = 0;
    for (size_t i = 0; i < w->ledger->campaign_count; i++) {
        struct campaign *c = w->ledger->campaign_list[i];
        ledger_campaign_set(c, CAMPAIGN_PAUSED);
        char id[UUID_TEXT_SIZE];
        uuid_text(&c->id, id);
        history(w, "{\"op\":\"campaign\",\"id\":\"%s\",\"status\":\"paused\",\"at\":%lld}", id,
                (long long)world_wall(w));
    }
    story(w, "world", "no more accidents, no more claims: everything must come to its end");
}

bool world_step(struct world *w)
{
    int64_t at = w->heap_count > 0 ? w->heap[1].at : INT64_MAX;
    struct node *who = NULL;
    for (int i = 0; i < w->node_count; i++) {
        int64_t due = w->nodes[i].inc != NULL ? node_due(&w->nodes[i]) : INT64_MAX;
        if (due < at) {
            at = due;
            who = &w->nodes[i];
        }
    }
    if (at == INT64_MAX || at > w->give_up_at) {
        return false;
    }
    w->now = i64_max(w->now, at);
    w->fig.events++;
    if (who != NULL) {
        (void)node_call(who->inc, NULL, NULL);
    } else {
        struct heap_event e = heap_pop(w);
        e.fn(w, e.arg);
    }
    return true;
}

void world_run(struct world *w)
{
    world_at(w, w->active_until, begin_drain, NULL);
    bool more = true;
    while (more && w->violations == 0) {
        more = world_step(w) && !(w->draining && all_settled(w));
    }
    w->fig.drain_us = w->now - w->active_until;
    /* The last reports may still be on their way: what they say must change nothing. */
    int64_t settled_at = w->now;
    w->give_up_at = w->now + 70 * US_PER_S;
    while (w->violations == 0 && world_step(w)) {
    }
    story(w, "world", "settled %.1f s after the last accident",
          (double)(settled_at - w->active_until) / 1e6);
    check_world(w);
}

struct world *world_new(const struct options *opt)
{
    struct world *w = xzalloc(sizeof *w);
    w->opt = *opt;
    w->rng.state = opt->seed * 0x9e3779b97f4a7c15ULL + 1;
    w->plan_rng.state = opt->seed * 0xd1342543de82ef95ULL + 7;
    w->hash = 0xcbf29ce484222325ULL;
    w->now = US_PER_S;
    w->db_up = true;
    list_init(&w->incarnations);
    list_init(&w->locks);
    list_init(&w->dials);
    list_init(&w->asks);
    for (size_t i = 0; i < fault_name_count; i++) {
        fault_names[i].hits = 0;
    }
    the_world = w;
    w->ledger = ledger_new();
    w->ledger->mutant = opt->mutant;
    scenario_make(w);
    accidents_plan(w);
    return w;
}

void world_free(struct world **w_p)
{
    struct world *w = *w_p;
    for (int i = 0; i < w->node_count; i++) {
        if (w->nodes[i].inc != NULL) {
            node_close(w->nodes[i].inc);
        }
    }
    store_free(w);
    carrier_free(w);
    LIST_EACH_SAFE(it, &w->incarnations)
    {
        xfree(LIST_ITEM(it, struct incarnation, link));
    }
    LIST_EACH_SAFE(it, &w->locks)
    {
        xfree(LIST_ITEM(it, struct lock_row, link));
    }
    ledger_free(&w->ledger);
    xfree(w->heap);
    the_world = NULL;
    xfree(w);
    *w_p = NULL;
}
