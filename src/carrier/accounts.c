#include "carrier/accounts.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/list.h"
#include "base/log.h"
#include "base/map.h"
#include "store/seal.h"

#include <errno.h>
#include <string.h>

#define AGE_MAX_US    (60 * US_PER_S)
#define REREAD_MIN_MS 5000
#define CACHE_MAX     10000 /* organizations; then all that nobody waits for are forgotten */

struct accounts {
    struct accounts_env env;
    struct map cache; /* organization id -> struct entry */
    struct list entries;
};

struct entry {
    struct list link;
    struct accounts *owner;
    struct uuid organization_id;
    struct carrier_account *items;
    size_t count;
    int64_t read_us; /* monotonic; 0: never */
    bool stale;
    struct pg_tx *op;
    bool loading;
    struct list waiters;
};

struct waiter {
    struct list link;
    struct entry *entry;
    accounts_fn *on_done;
    void *arg;
    struct fault fault;
    bool deferred;  /* loop_defer() will come for it */
    bool abandoned; /* the owner is gone: free only */
};

/*  accounts_ask -> (fresh) --------------> on_turn -> on_done
 *              \-> (old, new) -> on_loaded -/                  */
static void on_turn(void *arg);
static void on_loaded(const struct fault *fault, const struct store_account *rows, size_t count,
                      void *arg);

int accounts_open(struct accounts **out, const struct accounts_env *env)
{
    struct accounts *a = xzalloc(sizeof *a);
    a->env = *env;
    if (a->env.load == NULL) {
        a->env.load = store_carrier_accounts;
    }
    if (a->env.reread_min_ms == 0) {
        a->env.reread_min_ms = REREAD_MIN_MS;
    }
    map_init(&a->cache);
    list_init(&a->entries);
    *out = a;
    return 0;
}

static void wipe_items(struct entry *e)
{
    if (e->items != NULL) {
        secret_wipe(e->items, e->count * sizeof *e->items);
    }
    xfree(e->items);
    e->items = NULL;
    e->count = 0;
}

static struct str key_of(const struct uuid *id)
{
    return str_make((const char *)id->b, sizeof id->b);
}

static void entry_free(struct entry *e)
{
    (void)map_take(&e->owner->cache, key_of(&e->organization_id));
    store_cancel(&e->op);
    LIST_EACH_SAFE(l, &e->waiters)
    {
        struct waiter *w = LIST_ITEM(l, struct waiter, link);
        list_remove(&w->link);
        if (w->deferred) {
            w->abandoned = true;
        } else {
            xfree(w);
        }
    }
    list_remove(&e->link);
    wipe_items(e);
    xfree(e);
}

void accounts_close(struct accounts **a)
{
    if (*a == NULL) {
        return;
    }
    LIST_EACH_SAFE(l, &(*a)->entries)
    {
        entry_free(LIST_ITEM(l, struct entry, link));
    }
    map_fini(&(*a)->cache);
    xfree(*a);
    *a = NULL;
}

static void forget_idle(struct accounts *a)
{
    LIST_EACH_SAFE(l, &a->entries)
    {
        struct entry *e = LIST_ITEM(l, struct entry, link);
        if (!e->loading && list_empty(&e->waiters)) {
            entry_free(e);
        }
    }
}

static struct entry *entry_of(struct accounts *a, const struct uuid *organization_id)
{
    struct entry *e = map_get(&a->cache, key_of(organization_id));
    if (e != NULL) {
        return e;
    }
    if (map_count(&a->cache) >= CACHE_MAX) {
        forget_idle(a);
    }
    e = xzalloc(sizeof *e);
    e->owner = a;
    e->organization_id = *organization_id;
    list_init(&e->waiters);
    list_init(&e->link);
    list_push_back(&a->entries, &e->link);
    (void)map_put(&a->cache, key_of(organization_id), e);
    return e;
}

static bool is_fresh(const struct entry *e)
{
    int64_t age_us = loop_now_us(e->owner->env.loop) - e->read_us;
    return e->read_us != 0 && !e->stale && age_us < AGE_MAX_US;
}

int accounts_ask(struct accounts *a, const struct uuid *organization_id, accounts_fn *on_done,
                 void *arg)
{
    struct entry *e = entry_of(a, organization_id);
    bool fresh = is_fresh(e);
    if (!fresh && !e->loading) {
        int err = a->env.load(&e->op, a->env.db, organization_id, on_loaded, e);
        if (err < 0) {
            return err;
        }
        e->loading = true;
    }
    struct waiter *w = xzalloc(sizeof *w);
    w->entry = e;
    w->on_done = on_done;
    w->arg = arg;
    w->deferred = fresh;
    list_init(&w->link);
    list_push_back(&e->waiters, &w->link);
    if (fresh) {
        loop_defer(a->env.loop, on_turn, w);
    }
    return 0;
}

static void on_turn(void *arg)
{
    struct waiter *w = arg;
    struct waiter gone = *w;
    const struct entry *e = gone.entry;
    bool ok = gone.fault.class == FAULT_NONE;
    if (!gone.abandoned) {
        list_remove(&w->link);
    }
    xfree(w);
    if (!gone.abandoned) {
        gone.on_done(&gone.fault, ok ? e->items : NULL, ok ? e->count : 0, gone.arg);
    }
}

static void open_token(const struct entry *e, const struct store_account *row,
                       const uint8_t *sealed, size_t sealed_bytes, struct carrier_account *out,
                       size_t *tokens)
{
    const struct seal_place place = {
        .organization_id = e->organization_id, .column = SEAL_CARRIER_TOKEN, .id = row->id};
    OWNED(buf_fini) struct buf plain;
    buf_init(&plain, sizeof out->auth_token[0]);
    if (sealed_bytes == 0) {
        return;
    }
    int err = seal_open(str_of(e->owner->env.kek), &place,
                        str_make((const char *)sealed, sealed_bytes), &plain);
    if (err < 0 ||
        str_copy(buf_str(&plain), out->auth_token[*tokens], sizeof out->auth_token[0]) < 0) {
        log_error("accounts.token_sealed", LOG_UUID("organization", &e->organization_id),
                  LOG_UUID("account", &row->id), LOG_I64("error", err));
    } else {
        (*tokens)++;
    }
    if (plain.p != NULL) {
        secret_wipe(plain.p, plain.len);
    }
}

static void read_account(const struct entry *e, const struct store_account *row,
                         struct carrier_account *out)
{
    size_t tokens = 0;
    *out = (struct carrier_account){.id = row->id, .organization_id = e->organization_id};
    str_copy_cut(str_of(row->auth_id), out->auth_id, sizeof out->auth_id);
    str_copy_cut(str_of(e->owner->env.api_url), out->api_url, sizeof out->api_url);
    open_token(e, row, row->token, row->token_bytes, out, &tokens);
    open_token(e, row, row->previous, row->previous_bytes, out, &tokens);
}

/* Each waiter hears on a turn of its own, so that what one does cannot pull the entry from another.
 */
static void on_loaded(const struct fault *fault, const struct store_account *rows, size_t count,
                      void *arg)
{
    struct entry *e = arg;
    e->op = NULL;
    e->loading = false;
    if (fault->class == FAULT_NONE) {
        wipe_items(e);
        e->items = xcalloc(count + 1, sizeof *e->items);
        e->count = count;
        for (size_t i = 0; i < count; i++) {
            read_account(e, &rows[i], &e->items[i]);
        }
        e->read_us = loop_now_us(e->owner->env.loop);
        e->stale = false;
    }
    LIST_EACH(l, &e->waiters)
    {
        struct waiter *w = LIST_ITEM(l, struct waiter, link);
        if (!w->deferred) {
            w->deferred = true;
            w->fault = *fault;
            loop_defer(e->owner->env.loop, on_turn, w);
        }
    }
}

bool accounts_stale(struct accounts *a, const struct uuid *organization_id)
{
    struct entry *e = map_get(&a->cache, key_of(organization_id));
    if (e == NULL) {
        return true;
    }
    if (e->read_us != 0 &&
        loop_now_us(a->env.loop) - e->read_us < a->env.reread_min_ms * US_PER_MS) {
        return false;
    }
    e->stale = true;
    return true;
}
