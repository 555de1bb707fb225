#include "store/pg_conn.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/metrics.h"
#include "store/pg_priv.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#define LINKS_DEFAULT   4
#define WAIT_DEFAULT_MS 5000
#define KEYWORDS_MAX    64

struct pg_pool {
    struct loop *loop;
    struct pg_link links[PG_LINKS_MAX];
    size_t link_count;
    PQconninfoOption *options; /* parsed URL; owns the texts that values point to */
    const char *keywords[KEYWORDS_MAX];
    const char *values[KEYWORDS_MAX];
    size_t keyword_count;
    const char *name_to_resolve;
    char *address;
    uint8_t context_key[32];
    bool any_role;
    uint32_t wait_ms;
    struct list waiting;
    size_t waiting_count;
    struct timer give_up;
    enum pg_health health;
    uint64_t connects;
    char reason[200];
    pg_watch_fn *on_change;
    void *watch_arg;
};

/* --- the URL ------------------------------------------------------------------------------------
 */

static void add_keyword(struct pg_pool *pool, const char *keyword, const char *value)
{
    assert(pool->keyword_count + 1 < KEYWORDS_MAX);
    pool->keywords[pool->keyword_count] = keyword;
    pool->values[pool->keyword_count] = value;
    pool->keyword_count++;
}

static bool is_address(const char *host)
{
    uint8_t scratch[sizeof(struct in6_addr)];
    return inet_pton(AF_INET, host, scratch) == 1 || inet_pton(AF_INET6, host, scratch) == 1;
}

static int read_url(struct pg_pool *pool, const char *url)
{
    const char *host = NULL;
    const char *hostaddr = NULL;
    char *message = NULL;
    pool->options = PQconninfoParse(url, &message);
    if (pool->options == NULL) {
        PQfreemem(message);
        return -EINVAL;
    }
    for (const PQconninfoOption *o = pool->options; o->keyword != NULL; o++) {
        if (o->val == NULL) {
            continue;
        }
        add_keyword(pool, o->keyword, o->val);
        host = strcmp(o->keyword, "host") == 0 ? o->val : host;
        hostaddr = strcmp(o->keyword, "hostaddr") == 0 ? o->val : hostaddr;
    }
    /* Later words win in libpq; none of these says where to connect. */
    add_keyword(pool, "fallback_application_name", "dialwright");
    add_keyword(pool, "client_encoding", "UTF8");
    add_keyword(pool, "keepalives_idle", "15");
    add_keyword(pool, "keepalives_interval", "5");
    add_keyword(pool, "keepalives_count", "3");
    bool name = host != NULL && host[0] != '\0' && host[0] != '/' && host[0] != '@' &&
                hostaddr == NULL && strchr(host, ',') == NULL && !is_address(host);
    pool->name_to_resolve = name ? host : NULL;
    return 0;
}

const char *const *pg_pool_keywords(const struct pg_pool *pool)
{
    return pool->keywords;
}

const char *const *pg_pool_values(const struct pg_pool *pool)
{
    return pool->values;
}

const char *pg_pool_name_to_resolve(const struct pg_pool *pool)
{
    return pool->name_to_resolve;
}

/* Looked up for every try, so that a failover by DNS is followed. The name stays for TLS. */
void pg_pool_set_address(struct pg_pool *pool, const char *address)
{
    xfree(pool->address);
    pool->address = xstrdup(address);
    size_t last = pool->keyword_count - 1;
    if (strcmp(pool->keywords[last], "hostaddr") != 0) {
        add_keyword(pool, "hostaddr", pool->address);
    } else {
        pool->values[last] = pool->address;
    }
}

bool pg_pool_any_role(const struct pg_pool *pool)
{
    return pool->any_role;
}

const uint8_t *pg_pool_context_key(const struct pg_pool *pool)
{
    return pool->context_key;
}

/* --- life ---------------------------------------------------------------------------------------
 */

int pg_pool_new(struct pg_pool **pool_p, struct loop *loop, const struct pg_config *config)
{
    struct pg_pool *pool = xzalloc(sizeof *pool);
    pool->loop = loop;
    list_init(&pool->waiting);
    memcpy(pool->context_key, config->context_key, sizeof pool->context_key);
    pool->any_role = config->any_role;
    pool->wait_ms = config->wait_ms != 0 ? config->wait_ms : WAIT_DEFAULT_MS;
    pool->link_count = config->connections != 0 ? config->connections : LINKS_DEFAULT;
    if (pool->link_count > PG_LINKS_MAX || read_url(pool, config->url) < 0) {
        pg_pool_free(&pool);
        return -EINVAL;
    }
    for (size_t i = 0; i < pool->link_count; i++) {
        pg_link_init(&pool->links[i], pool);
    }
    *pool_p = pool;
    return 0;
}

static void silence(struct list *units)
{
    for (struct list *l = list_pop_front(units); l != NULL; l = list_pop_front(units)) {
        struct pg_tx *tx = LIST_ITEM(l, struct pg_tx, link);
        pg_tx_free(&tx);
    }
}

void pg_pool_free(struct pg_pool **pool_p)
{
    if (pool_p == NULL || *pool_p == NULL) {
        return;
    }
    struct pg_pool *pool = *pool_p;
    timer_stop(&pool->give_up);
    for (size_t i = 0; i < pool->link_count && pool->links[i].pool != NULL; i++) {
        pg_link_stop(&pool->links[i]);
        silence(&pool->links[i].flight);
    }
    silence(&pool->waiting);
    PQconninfoFree(pool->options);
    xfree(pool->address);
    secret_wipe(pool->context_key, sizeof pool->context_key);
    xfree(pool);
    *pool_p = NULL;
}

void pg_pool_watch(struct pg_pool *pool, pg_watch_fn *on_change, void *arg)
{
    pool->on_change = on_change;
    pool->watch_arg = arg;
}

enum pg_health pg_pool_health(const struct pg_pool *pool)
{
    return pool->health;
}

const char *pg_pool_reason(const struct pg_pool *pool)
{
    return pool->reason;
}

uint64_t pg_pool_connects(const struct pg_pool *pool)
{
    return pool->connects;
}

void pg_pool_connected(struct pg_pool *pool)
{
    pool->connects++;
}

size_t pg_pool_waiting(const struct pg_pool *pool)
{
    return pool->waiting_count;
}

struct loop *pg_pool_loop(const struct pg_pool *pool)
{
    return pool->loop;
}

void pg_wait(struct pg_pool *pool, const bool *done)
{
    while (!*done && loop_run_once(pool->loop, true)) {
    }
}

/* --- who goes where -----------------------------------------------------------------------------
 */

static bool has_room(const struct pg_link *link)
{
    return link->state == PG_LINK_READY && !link->broken && link->flight_count < LIMIT_PG_PIPELINE;
}

/* The link on which a unit of this order key is in flight, or NULL. */
static struct pg_link *link_with_key(struct pg_pool *pool, uint32_t order_key)
{
    for (size_t i = 0; i < pool->link_count; i++) {
        LIST_EACH(it, &pool->links[i].flight)
        {
            const struct pg_tx *tx = LIST_ITEM(it, struct pg_tx, link);
            if (tx->ordered && tx->order_key == order_key) {
                return &pool->links[i];
            }
        }
    }
    return NULL;
}

/* Units of one order key follow one another on one link; when none of them is in flight the key's own link
 * is taken, or the next that is up. */
static struct pg_link *link_for(struct pg_pool *pool, const struct pg_tx *tx)
{
    if (tx->ordered) {
        struct pg_link *link = link_with_key(pool, tx->order_key);
        for (size_t i = 0; i < pool->link_count && link == NULL; i++) {
            struct pg_link *next = &pool->links[(tx->order_key + i) % pool->link_count];
            link = next->state == PG_LINK_READY ? next : NULL;
        }
        return link != NULL && has_room(link) ? link : NULL;
    }
    struct pg_link *best = NULL;
    for (size_t i = 0; i < pool->link_count; i++) {
        struct pg_link *link = &pool->links[i];
        if (has_room(link) && (best == NULL || link->flight_count < best->flight_count)) {
            best = link;
        }
    }
    return best;
}

static void on_give_up(void *arg);

static void watch_first(struct pg_pool *pool)
{
    if (list_empty(&pool->waiting)) {
        timer_stop(&pool->give_up);
        return;
    }
    const struct pg_tx *first = LIST_ITEM(pool->waiting.next, struct pg_tx, link);
    int64_t left_us = i64_max(0, first->give_up_us - loop_now_us(pool->loop));
    timer_start_us(&pool->give_up, pool->loop, left_us, on_give_up, pool);
}

static void dispatch(struct pg_pool *pool)
{
    LIST_EACH_SAFE(it, &pool->waiting)
    {
        struct pg_tx *tx = LIST_ITEM(it, struct pg_tx, link);
        struct pg_link *link = link_for(pool, tx);
        if (link != NULL) {
            pool->waiting_count--;
            pg_link_send(link, tx);
        } else if (!tx->ordered) {
            break; /* no room anywhere, so none for those behind it either */
        }
    }
    watch_first(pool);
    metric_set("db_waiting", NULL, (int64_t)pool->waiting_count);
}

/* Nothing of these left us. */
static void on_give_up(void *arg)
{
    struct pg_pool *pool = arg;
    struct list late;
    list_init(&late);
    int64_t now_us = loop_now_us(pool->loop);
    LIST_EACH_SAFE(it, &pool->waiting)
    {
        if (LIST_ITEM(it, struct pg_tx, link)->give_up_us > now_us) {
            break; /* they wait in the order they came, all for the same time */
        }
        list_remove(it);
        list_push_back(&late, it);
    }
    watch_first(pool);
    for (struct list *l = list_pop_front(&late); l != NULL; l = list_pop_front(&late)) {
        struct pg_tx *tx = LIST_ITEM(l, struct pg_tx, link);
        pool->waiting_count--; /* not before: what one is told may cancel another of these */
        tx->fault = fault_make(FAULT_NOT_SENT, 0, "08001", "no database connection: %s",
                               pool->reason[0] != '\0' ? pool->reason : "all are busy");
        pg_tx_finish(tx);
    }
}

static enum pg_health judge(const struct pg_pool *pool)
{
    enum pg_health health = PG_DOWN;
    for (size_t i = 0; i < pool->link_count; i++) {
        switch (pool->links[i].state) {
        case PG_LINK_READY:
            return PG_UP;
        case PG_LINK_REFUSED:
            health = PG_REFUSED;
            break;
        case PG_LINK_RESOLVING:
        case PG_LINK_OPENING:
        case PG_LINK_CHECKING:
            health = health == PG_DOWN && pool->health == PG_CONNECTING ? PG_CONNECTING : health;
            break;
        case PG_LINK_OFF:
            break;
        }
    }
    return health;
}

void pg_pool_link_changed(struct pg_pool *pool, const char *reason)
{
    enum pg_health before = pool->health;
    if (reason != NULL) {
        pool->health = judge(pool);
        /* One link that fails while others work is no news for those who ask why it is down. */
        if (pool->health != PG_UP || before != PG_UP) {
            str_copy_cut(str_of(reason), pool->reason, sizeof pool->reason);
        }
    }
    dispatch(pool);
    if (pool->health != before) {
        metric_set("db_up", NULL, pool->health == PG_UP ? 1 : 0);
    }
    if (pool->health != before && pool->on_change != NULL) {
        pool->on_change(pool->health, pool->watch_arg);
    }
}

int pg_tx_start(struct pg_tx **tx_p, struct pg_tx **op, pg_answer_fn *on_done, void *arg)
{
    struct pg_tx *tx = GIVE(*tx_p);
    struct pg_pool *pool = tx->pool;
    assert(tx->step_count > 0 && tx->steps[tx->step_count - 1].param_count ==
                                     sql_statements[tx->steps[tx->step_count - 1].id].in_count);
    if (tx->too_big || pool->waiting_count >= LIMIT_PG_WAITING) {
        int err = tx->too_big ? -EMSGSIZE : -EBUSY;
        pg_tx_free(&tx);
        return err;
    }
    tx->on_done = on_done;
    tx->arg = arg;
    tx->started_us = loop_now_us(pool->loop);
    tx->give_up_us = tx->started_us + (int64_t)pool->wait_ms * US_PER_MS;
    if (op != NULL) {
        *op = tx;
    }
    list_push_back(&pool->waiting, &tx->link);
    pool->waiting_count++;
    dispatch(pool);
    return 0;
}

void pg_pool_forget(struct pg_pool *pool, struct pg_tx *tx)
{
    list_remove(&tx->link);
    pool->waiting_count--;
    watch_first(pool);
}
