/* node.c -- one daemon of the simulated world: its parts wired as serve.c does, and what they take from the
 * machine (locks, chance, log lines) given by the world. */
#include "http_sim.h"
#include "world.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "dial/lock_file.h"

#include <errno.h>
#include <string.h>

#define HELD_US (180 * US_PER_S)

struct http_client {
    struct incarnation *inc;
};

struct incarnation *client_of(struct http_client *http)
{
    return http->inc;
}

struct http_client *client_new(struct incarnation *inc)
{
    struct http_client *http = xzalloc(sizeof *http);
    http->inc = inc;
    return http;
}

/* --- calls that a node holds ------------------------------------------------------------------------ */

struct held {
    struct list link;
    struct uuid call_id;
    int64_t since;
};

static struct held *held_find(struct incarnation *inc, const struct uuid *call_id)
{
    LIST_EACH(it, &inc->live)
    {
        struct held *h = LIST_ITEM(it, struct held, link);
        if (uuid_eq(&h->call_id, call_id)) {
            return h;
        }
    }
    return NULL;
}

static void held_drop(struct incarnation *inc, struct held *h)
{
    list_remove(&h->link);
    inc->live_count--;
    xfree(h);
}

void node_hold(struct incarnation *inc, const struct uuid *call_id)
{
    if (held_find(inc, call_id) == NULL) {
        struct held *h = xzalloc(sizeof *h);
        h->call_id = *call_id;
        h->since = inc->w->now;
        list_init(&h->link);
        list_push_back(&inc->live, &h->link);
        inc->live_count++;
    }
}

void node_let_go(struct incarnation *inc, const struct uuid *call_id)
{
    struct held *h = held_find(inc, call_id);
    if (h != NULL) {
        held_drop(inc, h);
    }
}

static void on_placed(const struct store_claimed *claimed, const json_t *brief, void *arg)
{
    (void)brief;
    node_hold(arg, &claimed->call_id);
}

static void on_found_ended(const struct uuid *organization_id, const struct uuid *call_id,
                           void *arg)
{
    (void)organization_id;
    node_let_go(arg, call_id);
}

static size_t on_live(void *arg)
{
    struct incarnation *inc = arg;
    LIST_EACH_SAFE(it, &inc->live)
    {
        struct held *h = LIST_ITEM(it, struct held, link);
        if (inc->w->now - h->since > HELD_US) { /* as a talk that nobody came to is given up */
            held_drop(inc, h);
        }
    }
    return inc->live_count;
}

static void on_hangup(const struct carrier_identity *identity, const struct carrier_event *event,
                      void *arg)
{
    (void)event;
    struct incarnation *inc = arg;
    for (int i = 0; i < inc->w->node_count; i++) {
        struct incarnation *other = inc->w->nodes[i].inc;
        if (other != NULL) {
            node_let_go(other, &identity->attempt_id);
        }
    }
}

/* --- beginning and end ------------------------------------------------------------------------------- */

#define KEK "a key of at least thirty-two bytes, for simulations"

static void open_parts(struct incarnation *inc, void *arg)
{
    (void)arg;
    struct world *w = inc->w;
    struct node *n = inc->node;
    const struct accounts_env accounts = {.loop = inc->loop, .db = inc->db, .kek = KEK};
    int err = accounts_open(&inc->accounts, &accounts);
    assert(err == 0);
    struct api_env api = {.loop = inc->loop,
                          .db = inc->db,
                          .accounts = inc->accounts,
                          .clock = &inc->clock,
                          .urls = &w->urls,
                          .listen = "",
                          .data_dir = n->data_dir,
                          .hooks = {.on_hangup = on_hangup, .arg = inc}};
    err = api_open(&inc->api, &api);
    assert(err == 0);
    inc->env = (struct dial_env){
        .loop = inc->loop,
        .db = inc->db,
        .http = inc->http,
        .carrier = &carrier_plivo,
        .urls = &w->urls,
        .accounts = inc->accounts,
        .settings = &n->settings,
        .node = {.node_id = uuid_make(loop_wall_us(inc->loop)),
                 .name = n->data_dir,
                 .version = "sim",
                 .public_url = "https://sim"},
        .hooks = {.placed = on_placed, .ended = on_found_ended, .live = on_live, .arg = inc},
        .clock = &inc->clock};
    err = dialer_open(&inc->dialer, &inc->env);
    if (err < 0) {
        inc->refused = true; /* as `serve`, which ends then */
        return;
    }
    err = reconcile_open(&inc->reconcile, &inc->env);
    assert(err == 0);
}

void node_start(struct world *w, struct node *n)
{
    assert(n->inc == NULL);
    struct incarnation *inc = xzalloc(sizeof *inc);
    inc->w = w;
    inc->node = n;
    inc->number = ++n->incarnations;
    list_init(&inc->link);
    list_init(&inc->requests);
    list_init(&inc->live);
    list_push_back(&w->incarnations, &inc->link);
    inc->loop = loop_new(LOOP_VIRTUAL);
    inc->offset_us = loop_now_us(inc->loop) - w->now;
    loop_set_wall(inc->loop, world_wall(w) + n->skew_us);
    inc->db = pool_sim_new(inc);
    inc->http = client_new(inc);
    inc->db_up = w->db_up;
    n->busy_until = w->now;
    n->inc = inc;
    story(w, "world", "node %d starts, incarnation %d", n->index, inc->number);
    if (node_call(inc, open_parts, NULL) == NODE_RAN && inc->refused) {
        node_close(inc);
    }
}

static void free_locks(struct incarnation *inc, int64_t at)
{
    LIST_EACH(it, &inc->w->locks)
    {
        struct lock_row *row = LIST_ITEM(it, struct lock_row, link);
        if (row->holder == inc) {
            row->holder = NULL;
            row->free_from = at;
        }
    }
}

/* What it had in memory is gone; what it had sent may still arrive. The memory itself is not freed: it died in
 * the middle of changing it. */
void node_kill(struct incarnation *inc, const char *why)
{
    struct world *w = inc->w;
    if (inc->dead) {
        return;
    }
    int64_t at = i64_max(w->now, node_now(inc));
    inc->dead = true;
    inc->node->inc = NULL;
    inc->node->busy_until = at;
    w->fig.crashes++;
    free_locks(inc, at);
    story(w, "FAULT", "node %d dies: %s", inc->node->index, why);
}

void node_close(struct incarnation *inc)
{
    inc->dead = true;
    inc->node->inc = NULL;
    accounts_close(&inc->accounts);
    api_close(&inc->api);
    dialer_close(&inc->dialer);
    reconcile_close(&inc->reconcile);
    free_locks(inc, inc->w->now);
    LIST_EACH_SAFE(it, &inc->live)
    {
        held_drop(inc, LIST_ITEM(it, struct held, link));
    }
    xfree(inc->db);
    xfree(inc->http);
    loop_free(&inc->loop);
}

/* --- the machine: locks (dial/lock_file.h) ------------------------------------------------------------ */

static int host_of(const char *data_dir)
{
    return data_dir[4] - '0'; /* "host0" */
}

static int64_t present(const struct incarnation *inc)
{
    return i64_max(inc->w->now, node_now(inc));
}

int lock_take(struct lock_file *lock, const char *data_dir, const struct uuid *worker_id)
{
    struct world *w = the_world;
    *lock = (struct lock_file){.worker_id = *worker_id, .fd = -1};
    if (world_fault(w, "lock.take")) {
        return -ENOSPC;
    }
    struct lock_row *row = xzalloc(sizeof *row);
    row->host = host_of(data_dir);
    row->worker_id = *worker_id;
    row->holder = w->current;
    list_init(&row->link);
    list_push_back(&w->locks, &row->link);
    str_copy_cut(str_of(data_dir), lock->path, sizeof lock->path);
    lock->fd = row->host;
    return 0;
}

static struct lock_row *lock_find(const struct uuid *worker_id)
{
    LIST_EACH(it, &the_world->locks)
    {
        struct lock_row *row = LIST_ITEM(it, struct lock_row, link);
        if (uuid_eq(&row->worker_id, worker_id)) {
            return row;
        }
    }
    return NULL;
}

void lock_drop(struct lock_file *lock)
{
    struct lock_row *row = lock->fd >= 0 ? lock_find(&lock->worker_id) : NULL;
    if (row != NULL && row->holder != NULL) {
        row->free_from = present(row->holder);
        row->holder = NULL;
    }
    lock->fd = -1;
}

void lock_remove(struct lock_file *lock)
{
    struct lock_row *row = lock->fd >= 0 ? lock_find(&lock->worker_id) : NULL;
    if (row != NULL) {
        row->removed = true;
    }
    lock_drop(lock);
}

int lock_scan(const char *data_dir, struct lock_file *found, size_t max)
{
    struct world *w = the_world;
    size_t count = 0;
    if (world_fault(w, "lock.scan")) {
        return -EMFILE;
    }
    LIST_EACH(it, &w->locks)
    {
        struct lock_row *row = LIST_ITEM(it, struct lock_row, link);
        if (count < max && row->host == host_of(data_dir) && !row->removed && row->holder == NULL &&
            row->free_from <= present(w->current)) {
            row->holder = w->current;
            found[count] = (struct lock_file){.worker_id = row->worker_id, .fd = row->host};
            str_copy_cut(str_of(data_dir), found[count++].path, sizeof found->path);
        }
    }
    return (int)count;
}

/* --- the machine: chance (linked with --wrap=random_bytes) and log lines ------------------------------- */

void __wrap_random_bytes(void *p, size_t size_bytes); /* NOLINT: the linker's name */
void __wrap_random_bytes(void *p, size_t size_bytes)  /* NOLINT */
{
    static struct rng nobody;
    struct rng *r = the_world != NULL ? &the_world->plan_rng : &nobody;
    uint8_t *out = p;
    for (size_t i = 0; i < size_bytes; i++) {
        out[i] = (uint8_t)rng_next(r);
    }
}

bool log_enabled(enum log_level level)
{
    return the_world != NULL && the_world->opt.story && level <= LOG_INFO;
}

static int put_field(const struct log_field *f, char *out, size_t size)
{
    char id[UUID_TEXT_SIZE];
    switch (f->kind) {
    case LOG_KIND_STR:
    case LOG_KIND_PHONE:
        return snprintf(out, size, " %s=" STR_FMT, f->name, STR_ARG(f->s));
    case LOG_KIND_I64:
    case LOG_KIND_BOOL:
        return snprintf(out, size, " %s=%lld", f->name, (long long)f->i);
    case LOG_KIND_F64:
        return snprintf(out, size, " %s=%g", f->name, f->f);
    case LOG_KIND_UUID:
        uuid_text(f->u, id);
        return snprintf(out, size, " %s=..%s", f->name, id + 32);
    }
    return 0;
}

void log_write(enum log_level level, const char *name, const struct log_field *fields, size_t count)
{
    (void)level;
    struct world *w = the_world;
    char text[500];
    int len = 0;
    text[0] = '\0';
    for (size_t i = 0; i < count && (size_t)len < sizeof text - 1; i++) {
        len += put_field(&fields[i], text + len, sizeof text - (size_t)len);
    }
    char who[16];
    snprintf(who, sizeof who, "node %d", w->current != NULL ? w->current->node->index : -1);
    story(w, who, "%s%s", name, text);
}

void log_init(enum log_level level, struct str phone_hash_key)
{
    (void)level, (void)phone_hash_key;
}

int log_level_parse(struct str s, enum log_level *out)
{
    (void)s;
    *out = LOG_INFO;
    return 0;
}
