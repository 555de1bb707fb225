/* store_sim.c -- the functions of store_dial.h, store_call.h and store_api.h that the dial path uses, answered by
 * the ledger in memory: each is carried to the database, happens there in one instant or not at all,
 * and its answer comes back late, or never. */
#include "store_sim.h"
#include "http_sim.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/crypto.h"
#include "store/pg_conn.h"
#include "store/seal.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

#define QUEUE_MAX    4096
#define POOL_WAIT_US (5 * US_PER_S)

struct pg_pool {
    struct incarnation *inc;
};

char *id_text(const struct uuid *id)
{
    static char text[8][UUID_TEXT_SIZE];
    static int at;
    at = (at + 1) % 8;
    uuid_text(id, text[at]);
    return text[at];
}

const char *quoted(const char *s)
{
    static char text[8][200];
    static int at;
    if (s == NULL || s[0] == '\0') {
        return "null";
    }
    at = (at + 1) % 8;
    (void)snprintf(text[at], sizeof text[at], "\"%s\"", s);
    return text[at];
}

const char *cut(const char *s, char *keep, size_t size)
{
    str_copy_cut(str_of(s != NULL ? s : ""), keep, size);
    return keep;
}

/* --- on the way ----------------------------------------------------------------------------------- */

static void tx_free(struct pg_tx *tx)
{
    list_remove(&tx->link);
    xfree(tx->r);
    xfree(tx);
}

void store_free(struct world *w)
{
    (void)w; /* what is in flight is freed by its events' owner: the list of asks */
}

struct pg_tx *tx_new(struct pg_pool *db, const char *name, int64_t at, void *arg)
{
    struct pg_tx *tx = xzalloc(sizeof *tx);
    tx->w = db->inc->w;
    tx->inc = db->inc;
    tx->name = name;
    tx->at = at;
    tx->arg = arg;
    list_init(&tx->link);
    list_push_back(&tx->w->asks, &tx->link);
    return tx;
}

static void deliver_in_node(struct incarnation *inc, void *arg)
{
    (void)inc;
    struct pg_tx *tx = arg;
    if (tx->cancelled) {
        return; /* by what ran just before */
    }
    static const struct {
        enum fault_class class;
        const char *text;
    } ends[] = {{FAULT_NONE, ""},
                {FAULT_NOT_SENT, "no connection"},
                {FAULT_UNSURE, "the connection was lost"},
                {FAULT_UNSURE, "the connection was lost"}};
    struct fault fault = fault_none();
    if (tx->fate != FATE_DONE) {
        fault = fault_make(ends[tx->fate].class, 0, "", "%s", ends[tx->fate].text);
        tx->w->fig.lost_acks += tx->fate == FATE_ACK_LOST ? 1 : 0;
    }
    tx->handle = NULL;
    tx->tell(tx, &fault);
}

static void on_answer_arrives(struct world *w, void *arg)
{
    struct pg_tx *tx = arg;
    bool gone = tx->cancelled || tx->inc->dead;
    if (!gone &&
        (!node_can_run(tx->inc) || node_call(tx->inc, deliver_in_node, tx) == NODE_SLEEPS)) {
        world_at(w, tx->inc->node->busy_until, on_answer_arrives, tx);
        return;
    }
    tx_free(tx);
}

static void on_reaches_database(struct world *w, void *arg)
{
    struct pg_tx *tx = arg;
    if (!w->db_up && tx->fate != FATE_UNSENT) {
        tx->fate = FATE_LOST;
    }
    if (tx->fate == FATE_DONE || tx->fate == FATE_ACK_LOST) {
        tx->run(tx);
        if (tx->fate == FATE_ACK_LOST) {
            story(w, "db", "%s committed, its acknowledgement is lost", tx->name);
        }
    }
    int64_t back_us = rng_between(&w->rng, 300, 4000);
    world_in(w, tx->fate == FATE_UNSENT ? POOL_WAIT_US : back_us, on_answer_arrives, tx);
}

/* Units of one key happen in the order in which one node started them. */
static int64_t not_before(const struct pg_tx *tx)
{
    int64_t at = 0;
    LIST_EACH(it, &tx->w->asks)
    {
        const struct pg_tx *o = LIST_ITEM(it, struct pg_tx, link);
        if (o != tx && o->inc == tx->inc && uuid_eq(&o->ordered, &tx->ordered)) {
            at = i64_max(at, o->number);
        }
    }
    return at;
}

int tx_start(struct pg_tx *tx, struct pg_tx **op)
{
    struct world *w = tx->w;
    if (op != NULL) {
        *op = tx;
        tx->handle = op;
    }
    int64_t way_us = rng_between(&w->rng, 300, 4000);
    if (rng_chance(&w->rng, w->p.db_slow)) {
        way_us += rng_between(&w->rng, 100000, 3000000);
    }
    static const enum fate bad[] = {FATE_UNSENT, FATE_LOST, FATE_ACK_LOST};
    if (world_fault(w, tx->name)) {
        tx->fate = bad[rng_next(&w->rng) % COUNT_OF(bad)];
    } else if (!tx->inc->db_up) {
        tx->fate = FATE_UNSENT;
    }
    int64_t at = node_now(tx->inc) + way_us;
    if (!uuid_is_nil(&tx->ordered)) {
        at = i64_max(at, not_before(tx));
        tx->number = at;
    }
    world_at(w, at, on_reaches_database, tx);
    return 0;
}

void store_cancel(struct pg_tx **op)
{
    if (op != NULL && *op != NULL) {
        (*op)->cancelled = true; /* what was sent may still happen */
        *op = NULL;
    }
}

enum pg_health pg_pool_health(const struct pg_pool *pool)
{
    return pool->inc->db_up ? PG_UP : PG_DOWN;
}

const char *pg_pool_reason(const struct pg_pool *pool)
{
    return pool->inc->db_up ? "" : "away";
}

struct pg_pool *pool_sim_new(struct incarnation *inc)
{
    struct pg_pool *pool = xzalloc(sizeof *pool);
    pool->inc = inc;
    return pool;
}

/* --- what a call looks like afterwards: what both implementations must agree on ------------------- */

static const char *after(const struct call *c)
{
    static char text[1200];
    if (c == NULL) {
        return "null";
    }
    const struct job *j = c->job;
    (void)snprintf(text, sizeof text, "[\"%s\",%s,%s,%lld,\"%s\",%lld,%d,%d,%s,%s,%s,%d]",
                   status_names[c->status], quoted(outcome_names[c->outcome]),
                   c->settled ? c->will_retry ? "true" : "false" : "null",
                   (long long)c->next_retry_at, job_names[j->status], (long long)j->next_retry_at,
                   j->attempt_count, j->attempt_number, quoted(j->last_error),
                   quoted(c->disconnect_reason), quoted(c->resolved_by), c->duration);
    return text;
}

const char *after_id(const struct pg_tx *tx)
{
    return after(ledger_call(tx->w->ledger, &tx->id));
}

/* --- workers -------------------------------------------------------------------------------------- */

static void tell_done(struct pg_tx *tx, const struct fault *fault)
{
    store_done_fn *on_done = tx->on.done;
    on_done(fault, tx->arg);
}

static void run_worker_start(struct pg_tx *tx)
{
    ledger_worker_start(tx->w->ledger, &tx->id);
    history(tx->w, "{\"op\":\"worker_start\",\"worker\":\"%s\",\"node\":\"%s\",\"at\":%lld}",
            id_text(&tx->id), id_text(&tx->org_id), LL(tx->at));
}

int store_worker_start(struct pg_tx **op, struct pg_pool *db, const struct store_node *node,
                       const struct uuid *worker_id, const char *lock_path, int64_t at_us,
                       store_done_fn *on_done, void *arg)
{
    (void)lock_path;
    struct pg_tx *tx = tx_new(db, "db.worker_start", at_us, arg);
    tx->on.done = on_done;
    tx->id = *worker_id;
    tx->org_id = node->node_id;
    tx->run = run_worker_start;
    tx->tell = tell_done;
    return tx_start(tx, op);
}

static void run_heartbeat(struct pg_tx *tx)
{
    tx->number = world_wall(tx->w);
}

static void tell_heartbeat(struct pg_tx *tx, const struct fault *fault)
{
    store_heartbeat_fn *on_done = tx->on.heartbeat;
    on_done(fault, fault->class == FAULT_NONE ? tx->number : 0, tx->arg);
}

int store_heartbeat(struct pg_tx **op, struct pg_pool *db, const struct uuid *node_id,
                    bool stopping, int64_t at_us, store_heartbeat_fn *on_done, void *arg)
{
    (void)stopping;
    struct pg_tx *tx = tx_new(db, "db.heartbeat", at_us, arg);
    tx->on.heartbeat = on_done;
    tx->id = *node_id;
    tx->run = run_heartbeat;
    tx->tell = tell_heartbeat;
    return tx_start(tx, op);
}

static void run_worker_dead(struct pg_tx *tx)
{
    tx->number =
        ledger_worker_dead(tx->w->ledger, &tx->id, strcmp(tx->text, "sign_off") == 0, tx->at);
    story(tx->w, "db", "worker %.8s is known to be gone (%s): %lld attempts", id_text(&tx->id),
          tx->text, LL(tx->number));
    history(
        tx->w,
        "{\"op\":\"worker_dead\",\"worker\":\"%s\",\"proof\":\"%s\",\"at\":%lld,\"count\":%lld}",
        id_text(&tx->id), tx->text, LL(tx->at), LL(tx->number));
}

static void tell_count(struct pg_tx *tx, const struct fault *fault)
{
    store_count_fn *on_done = tx->on.count;
    on_done(fault, fault->class == FAULT_NONE ? tx->number : 0, tx->arg);
}

int store_worker_dead(struct pg_tx **op, struct pg_pool *db, const struct uuid *worker_id,
                      const char *proof, int64_t at_us, store_count_fn *on_done, void *arg)
{
    struct pg_tx *tx = tx_new(db, "db.worker_dead", at_us, arg);
    tx->on.count = on_done;
    tx->id = *worker_id;
    cut(proof, tx->text, sizeof tx->text);
    tx->run = run_worker_dead;
    tx->tell = tell_count;
    return tx_start(tx, op);
}

/* --- claim, brief, result --------------------------------------------------------------------------- */

static void history_claim(struct pg_tx *tx)
{
    char rows[12000];
    int len = 0;
    for (size_t i = 0; i < tx->count; i++) {
        const struct store_claimed *c = &tx->r->claimed[i];
        len += snprintf(rows + len, sizeof rows - (size_t)len, "%s[\"%s\",\"%s\",%d,\"%s\",\"%s\"]",
                        i > 0 ? "," : "", id_text(&c->call_id), id_text(&c->queue_id),
                        c->attempt_number, c->caller_e164, c->callee_e164);
    }
    rows[len] = '\0';
    history(tx->w,
            "{\"op\":\"claim\",\"node\":\"%s\",\"worker\":\"%s\",\"want\":%lld,\"lease_ms\":%lld,"
            "\"at\":%lld,\"rows\":[%s]}",
            id_text(&tx->org_id), id_text(&tx->id), LL(tx->n1), LL(tx->n2), LL(tx->at), rows);
}

static int64_t job_changes(const struct ledger *l)
{
    int64_t changes = 0;
    for (size_t i = 0; i < l->campaign_count; i++) {
        changes += l->campaign_list[i]->changes;
    }
    return changes;
}

static void run_claim(struct pg_tx *tx)
{
    struct world *w = tx->w;
    int64_t before = job_changes(w->ledger);
    tx->count = ledger_claim(w->ledger, &tx->id, (uint32_t)tx->n1, tx->n2, tx->at, tx->r->claimed,
                             COUNT_OF(tx->r->claimed));
    w->fig.attempts += (int64_t)tx->count;
    for (size_t i = 0; i < tx->count; i++) {
        const struct store_claimed *c = &tx->r->claimed[i];
        ledger_call(w->ledger, &c->call_id)->true_at = world_wall(w);
        story(w, "db", "node %d claims call %.8s..%s, attempt %d, to %s", tx->inc->node->index,
              id_text(&c->call_id), id_text(&c->call_id) + 32, c->attempt_number, c->callee_e164);
    }
    /* Of those that found nothing and put nothing off, some. */
    if (job_changes(w->ledger) != before || tx->at / US_PER_S % 16 == 0) {
        history_claim(tx);
    }
}

static void tell_claim(struct pg_tx *tx, const struct fault *fault)
{
    store_claim_fn *on_done = tx->on.claim;
    on_done(fault, tx->r->claimed, fault->class == FAULT_NONE ? tx->count : 0, tx->arg);
}

int store_claim(struct pg_tx **op, struct pg_pool *db, const struct uuid *node_id,
                const struct uuid *worker_id, uint32_t want, int64_t lease_ms, int64_t at_us,
                store_claim_fn *on_done, void *arg)
{
    struct pg_tx *tx = tx_new(db, "db.claim", at_us, arg);
    tx->on.claim = on_done;
    tx->id = *worker_id;
    tx->org_id = *node_id;
    tx->n1 = want;
    tx->n2 = lease_ms;
    tx->r = xzalloc(sizeof tx->r->claimed); /* of the union, what is used */
    tx->run = run_claim;
    tx->tell = tell_claim;
    return tx_start(tx, op);
}

static void run_brief(struct pg_tx *tx)
{
    tx->call = ledger_call(tx->w->ledger, &tx->id);
    tx->word = ledger_may_post(tx->w->ledger, &tx->id, tx->at);
    history(tx->w, "{\"op\":\"may_post\",\"call\":\"%s\",\"at\":%lld,\"refusal\":%s}",
            id_text(&tx->id), LL(tx->at), quoted(tx->word));
}

static void tell_brief(struct pg_tx *tx, const struct fault *fault)
{
    store_brief_fn *on_done = tx->on.brief;
    if (fault->class != FAULT_NONE || tx->call == NULL) {
        on_done(fault, NULL, STR_NONE, tx->arg);
        return;
    }
    const struct campaign *c = tx->call->campaign;
    OWNED(json_free)
    json_t *brief = json_pack("{s:{s:i,s:i,s:s,s:s}}", "campaign", "ring_timeout_s",
                              (int)c->ring_timeout_s, "max_duration_s", (int)c->max_duration_s,
                              "transfer", c->transfers ? "agents" : "off", "amd", "detect");
    on_done(fault, brief, str_of(tx->word), tx->arg);
}

int store_brief(struct pg_tx **op, struct pg_pool *db, const struct uuid *organization_id,
                const struct uuid *call_id, int64_t at_us, store_brief_fn *on_done, void *arg)
{
    struct pg_tx *tx = tx_new(db, "db.brief", at_us, arg);
    tx->on.brief = on_done;
    tx->id = *call_id;
    tx->org_id = *organization_id;
    tx->run = run_brief;
    tx->tell = tell_brief;
    return tx_start(tx, op);
}

static void run_place_result(struct pg_tx *tx)
{
    const struct store_placed *p = &tx->a.placed;
    tx->word = ledger_place_result(tx->w->ledger, &tx->id, p);
    story(tx->w, "db", "call ..%s: result %s by %s -> %s", id_text(&tx->id) + 32, p->result,
          p->resolved_by, tx->word);
    history(tx->w,
            "{\"op\":\"place_result\",\"call\":\"%s\",\"result\":\"%s\",\"by\":%s,\"request\":%s,"
            "\"http\":%d,\"permanent\":%s,\"at\":%lld,\"status\":%s,\"after\":%s}",
            id_text(&tx->id), p->result, quoted(p->resolved_by), quoted(p->request_uuid),
            p->http_status, p->permanent ? "true" : "false", LL(p->at_us), quoted(tx->word),
            after_id(tx));
}

void tell_status(struct pg_tx *tx, const struct fault *fault)
{
    store_status_fn *on_done = tx->on.status;
    on_done(fault, fault->class == FAULT_NONE ? str_of(tx->word) : STR_NONE, tx->arg);
}

int store_place_result(struct pg_tx **op, struct pg_pool *db, const struct store_placed *placed,
                       store_status_fn *on_done, void *arg)
{
    struct pg_tx *tx = tx_new(db, "db.place_result", placed->at_us, arg);
    tx->on.status = on_done;
    tx->id = *placed->call_id;
    tx->ordered = tx->id;
    tx->org_id = *placed->organization_id;
    tx->a.placed = *placed;
    tx->a.placed.result = cut(placed->result, tx->kind, sizeof tx->kind);
    tx->a.placed.resolved_by = cut(placed->resolved_by, tx->t1, sizeof tx->t1);
    tx->a.placed.request_uuid = cut(placed->request_uuid, tx->request, sizeof tx->request);
    tx->a.placed.call_uuid = cut(placed->call_uuid, tx->sid, sizeof tx->sid);
    tx->a.placed.detail = "";
    tx->run = run_place_result;
    tx->tell = tell_status;
    return tx_start(tx, op);
}

static void run_trouble(struct pg_tx *tx)
{
    ledger_account_trouble(tx->w->ledger, &tx->id, tx->n1, tx->at);
    history(tx->w, "{\"op\":\"account_trouble\",\"account\":\"%s\",\"rest_ms\":%lld,\"at\":%lld}",
            id_text(&tx->id), LL(tx->n1), LL(tx->at));
}

int store_account_trouble(struct pg_tx **op, struct pg_pool *db, const struct uuid *organization_id,
                          const struct uuid *account_id, const char *detail, int64_t rest_ms,
                          int64_t at_us, store_done_fn *on_done, void *arg)
{
    (void)detail;
    struct pg_tx *tx = tx_new(db, "db.account_trouble", at_us, arg);
    tx->on.done = on_done;
    tx->id = *account_id;
    tx->org_id = *organization_id;
    tx->n1 = rest_ms;
    tx->run = run_trouble;
    tx->tell = tell_done;
    return tx_start(tx, op);
}

/* --- accounts ----------------------------------------------------------------------------------------- */

#define KEK "a key of at least thirty-two bytes, for simulations"

static void run_accounts(struct pg_tx *tx)
{
    (void)tx;
}

static void tell_accounts(struct pg_tx *tx, const struct fault *fault)
{
    store_accounts_fn *on_done = tx->on.accounts;
    const struct world *w = tx->w;
    struct store_account rows[8];
    size_t count = 0;
    for (size_t i = 0; i < w->ledger->account_count && count < COUNT_OF(rows); i++) {
        const struct account *a = w->ledger->account_list[i];
        if (!uuid_eq(&a->org->id, &tx->org_id)) {
            continue;
        }
        const struct seal_place place = {
            .organization_id = a->org->id, .column = SEAL_CARRIER_TOKEN, .id = a->id};
        OWNED(buf_fini) struct buf sealed;
        buf_init(&sealed, STORE_SEALED_SIZE);
        int err = seal_close(STR(KEK), &place, STR("token"), &sealed);
        assert(err == 0);
        struct store_account *row = &rows[count++];
        *row = (struct store_account){
            .id = a->id, .provider = "plivo", .auth_id = "MA1", .active = true};
        memcpy(row->token, sealed.p, sealed.len);
        row->token_bytes = sealed.len;
    }
    on_done(fault, rows, fault->class == FAULT_NONE ? count : 0, tx->arg);
}

int store_carrier_accounts(struct pg_tx **op, struct pg_pool *db,
                           const struct uuid *organization_id, store_accounts_fn *on_done,
                           void *arg)
{
    struct pg_tx *tx = tx_new(db, "db.accounts", 0, arg);
    tx->on.accounts = on_done;
    tx->org_id = *organization_id;
    tx->run = run_accounts;
    tx->tell = tell_accounts;
    return tx_start(tx, op);
}

/* Asked by routes that the simulation does not call. */
int store_recording_file(struct pg_tx **op, struct pg_pool *db, const struct uuid *organization_id,
                         const struct uuid *recording_id, store_path_fn *on_done, void *arg)
{
    (void)op, (void)db, (void)organization_id, (void)recording_id, (void)on_done, (void)arg;
    return -EBUSY;
}

int store_schema_level(struct pg_tx **op, struct pg_pool *db, store_level_fn *on_done, void *arg)
{
    (void)op, (void)db, (void)on_done, (void)arg;
    return -EBUSY;
}
