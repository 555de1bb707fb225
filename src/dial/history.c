#include "dial/history.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "dial/journal.h"
#include "dial/orphans.h"
#include "loop/timer.h"
#include "store/store_history.h"

#include <stdio.h>
#include <string.h>

#define TURN_MS    500
#define PART_MAX   200   /* entries of one transaction */
#define AGAIN_MS   2000  /* before what could not be put back is brought again */
#define RESWEEP_MS 65000 /* an account whose list failed rests for a minute (app.orphan_swept) */
#define FORGET_MS  600000
#define IDS_MAX    (1024 * 1024)

enum phase {
    PHASE_ASK,    /* check in at the next turn */
    PHASE_ASKING, /* the answer is to come */
    PHASE_READ,   /* the journal */
    PHASE_PUT,    /* its parts, into the database */
    PHASE_SWEEP,
    PHASE_DONE, /* "all of it is in", on its way */
};

struct history {
    const struct dial_env *env;
    history_fn *on_moved;
    void *arg;
    struct timer turn;
    struct timer forget;
    enum phase phase;
    struct pg_tx *tx;
    struct journal_op *read;
    struct journal_op *old;
    struct pg_tx *old_tx;
    char old_path[LOCK_PATH_SIZE + 300];
    struct store_history now; /* as the database said last; installation nil: not yet */
    bool open;
    uint64_t connects; /* of the pool, when it said so */
    uint64_t asked_connects;
    uint64_t generation;
    int64_t not_before_us;
    bool read_once; /* the journal of the processes before us */
    /* what the journal holds */
    struct journal_read_entry *entries;
    size_t entry_count;
    size_t entry_at;
    bool second; /* those whose worker lived at the first pass are looked at again */
    struct buf nodes;
    struct uuid newest;
    struct journal_head newest_head;
    int64_t last_us;
    struct store_replayed sum;
    char why[320];
};

static void check_in(struct history *h);
static void read_journal(struct history *h);
static void put_part(struct history *h);
static void forget_next(void *arg);

/* --- what others ask ------------------------------------------------------------------------------ */

bool history_may_claim(const struct history *h)
{
    return h->open && h->connects == pg_pool_connects(h->env->db);
}

const char *history_why(const struct history *h)
{
    if (history_may_claim(h)) {
        return "";
    }
    if (h->open) {
        return "a new connection is asked which history it leads to";
    }
    return h->why[0] != '\0' ? h->why : "the journal is read";
}

uint64_t history_generation(const struct history *h)
{
    return h->generation;
}

void history_answered(struct history *h)
{
    /* Dated by a clock that is trusted, or not at all: a moment that has not come yet would make this very
     * database look like an old copy to whoever reads the journal. */
    const struct dial_clock *clock = h->env->clock;
    if (clock != NULL && !clock->compared) {
        return;
    }
    h->last_us = dial_clock_wall_us(clock, h->env->loop);
    if (h->open && h->env->journal != NULL) {
        journal_answered(h->env->journal, h->last_us);
    }
}

/* --- asking --------------------------------------------------------------------------------------- */

static void on_turn(void *arg)
{
    struct history *h = arg;
    const struct dial_env *env = h->env;
    bool due = h->phase == PHASE_ASK && loop_now_us(env->loop) >= h->not_before_us;
    if (!due || pg_pool_health(env->db) != PG_UP || history_may_claim(h)) {
        return;
    }
    if (env->journal != NULL && !h->read_once && !uuid_is_nil(&h->now.installation_id)) {
        read_journal(h);
        return;
    }
    check_in(h);
}

static void set_why(struct history *h)
{
    const struct store_history *n = &h->now;
    switch (n->state) {
    case STORE_HISTORY_OPEN:
        h->why[0] = '\0';
        break;
    case STORE_HISTORY_REPLAY:
        (void)snprintf(h->why, sizeof h->why, "the database changed (%s): the journal is put back",
                       n->why);
        break;
    case STORE_HISTORY_WAIT:
        (void)snprintf(h->why, sizeof h->why,
                       "the database changed (%s): %d other nodes have to put their journals back",
                       n->why, n->waits_for);
        break;
    case STORE_HISTORY_ACCEPT:
        (void)snprintf(h->why, sizeof h->why,
                       "the database was restored (%s): `dialwright recovery status`, then "
                       "`recovery accept`",
                       n->why);
        break;
    }
}

/* Another cluster or timeline than the one we dialed on: nothing of the old one may be POSTed any more that the
 * journal does not have. */
static void note_move(struct history *h, const struct store_history *now)
{
    bool first = uuid_is_nil(&h->now.installation_id);
    bool same = strcmp(h->now.system_id, now->system_id) == 0 && h->now.timeline == now->timeline &&
                uuid_eq(&h->now.installation_id, &now->installation_id);
    bool shut = h->open && now->state != STORE_HISTORY_OPEN;
    if (first || (same && !shut)) {
        return;
    }
    h->generation++;
    h->open = false;
    metric_add("history_changes_total", NULL, 1);
    log_error("history.moved", LOG_STR("system", now->system_id),
              LOG_I64("timeline", now->timeline), LOG_STR("why", now->why));
    h->on_moved(h->arg);
}

static void on_checked_in(const struct fault *fault, const struct store_history *now, void *arg)
{
    struct history *h = arg;
    const struct dial_env *env = h->env;
    h->tx = NULL;
    h->phase = PHASE_ASK;
    if (fault->class != FAULT_NONE) {
        if (fault->class == FAULT_BROKEN || fault->class == FAULT_REFUSED) {
            log_error("history.check_in", LOG_STR("code", fault->code),
                      LOG_STR("text", fault->text));
        }
        return;
    }
    bool first = uuid_is_nil(&h->now.installation_id);
    note_move(h, now);
    enum store_history_state was = h->now.state;
    h->now = *now;
    set_why(h);
    if (first) {
        return; /* nothing was written yet: the next turn reads the journal, and checks in */
    }
    if (!first && now->state != was && now->state == STORE_HISTORY_ACCEPT) {
        log_error("history.restored", LOG_STR("why", h->why));
    }
    if (now->state == STORE_HISTORY_OPEN) {
        struct journal_head head = {.installation_id = now->installation_id,
                                    .timeline = now->timeline};
        memcpy(head.system_id, now->system_id, sizeof head.system_id);
        if (env->journal != NULL) {
            journal_begin(env->journal, &head);
        }
        h->open = true;
        h->connects = h->asked_connects;
        history_answered(h);
    } else if (now->state == STORE_HISTORY_REPLAY) {
        read_journal(h);
    }
    metric_set("history_open", NULL, h->open ? 1 : 0);
}

static void check_in(struct history *h)
{
    const struct dial_env *env = h->env;
    struct uuid last;
    struct journal_head head;
    if (env->journal != NULL && journal_last(env->journal, &last, &head)) {
        h->newest = last;
        h->newest_head = head;
    }
    /* The first question only asks whose journal is to be read: a sign of life of ours would hide from the database
     * how far it is behind. */
    struct store_node nobody = env->node;
    nobody.node_id = (struct uuid){{0}};
    struct store_check_in in = {
        .node = uuid_is_nil(&h->now.installation_id) ? &nobody : &env->node,
        .newest = &h->newest,
        .from_system = h->newest_head.system_id,
        .from_timeline = h->newest_head.timeline,
        .last_us = h->last_us,
        .loss_ms = env->settings->failover_loss_s * 1000,
        .wait_ms = env->settings->failover_wait_ms,
        .at_us = dial_clock_wall_us(env->clock, env->loop),
    };
    h->asked_connects = pg_pool_connects(env->db);
    if (store_check_in(&h->tx, env->db, &in, on_checked_in, h) == 0) {
        h->phase = PHASE_ASKING;
    }
}

/* --- the journal into the database ----------------------------------------------------------------- */

static void again(struct history *h, int64_t after_ms)
{
    h->phase = PHASE_ASK;
    h->not_before_us = loop_now_us(h->env->loop) + after_ms * US_PER_MS;
}

static int name_nodes(struct history *h, const struct journal_contents *c)
{
    char text[UUID_TEXT_SIZE];
    uuid_text(&h->env->node.node_id, text);
    buf_clear(&h->nodes);
    int err = buf_addf(&h->nodes, "{%s", text);
    for (size_t i = 0; i < c->dead_count && err == 0; i++) {
        uuid_text(&c->dead[i], text);
        err = buf_addf(&h->nodes, ",%s", text);
    }
    return err < 0 ? err : buf_add_char(&h->nodes, '}');
}

/* After a failover what was written on this history itself is in the database for certain; after a restore nothing is. */
static void on_read(const struct journal_contents *c, void *arg)
{
    struct history *h = arg;
    h->read = NULL;
    if (c->err < 0 || name_nodes(h, c) < 0) {
        log_error("journal.unreadable", LOG_I64("err", c->err));
        (void)snprintf(h->why, sizeof h->why, "the dial journal cannot be read: %s",
                       strerror(-c->err));
        again(h, AGAIN_MS);
        return;
    }
    if (c->bad > 0) {
        log_warn("journal.bad_lines", LOG_I64("lines", c->bad));
    }
    h->newest = c->newest;
    h->newest_head = c->newest_head;
    h->last_us = i64_max(h->last_us, c->last_us);
    if (!h->read_once) {
        h->read_once = true;
        h->now.state = STORE_HISTORY_WAIT; /* said without knowing the journal */
        again(h, 0);
        check_in(h);
        return;
    }
    xfree(h->entries);
    h->entries = xcalloc(c->count + 1, sizeof *h->entries);
    h->entry_count = 0;
    for (size_t i = 0; i < c->count; i++) {
        if (c->entries[i].old || h->now.restored) {
            h->entries[h->entry_count++] = c->entries[i];
        }
    }
    h->entry_at = 0;
    h->sum = (struct store_replayed){0};
    h->phase = PHASE_PUT;
    put_part(h);
}

static void read_journal(struct history *h)
{
    struct journal_head now = {.installation_id = h->now.installation_id,
                               .timeline = h->now.timeline};
    memcpy(now.system_id, h->now.system_id, sizeof now.system_id);
    h->phase = PHASE_READ;
    if (h->env->journal == NULL) {
        const struct journal_contents nothing = {.count = 0};
        h->read_once = true;
        on_read(&nothing, h);
        return;
    }
    journal_read(&h->read, h->env->journal, &now, on_read, h);
}

static json_t *entry_json(const struct journal_read_entry *r)
{
    const struct journal_entry *e = &r->entry;
    const struct uuid *const ids[] = {&e->call_id, &e->organization_id, &e->queue_id,
                                      &e->carrier_account_id, &e->worker_id};
    static const char *const names[] = {"c", "o", "j", "a", "w"};
    char text[CLOCK_TEXT_SIZE > UUID_TEXT_SIZE ? CLOCK_TEXT_SIZE : UUID_TEXT_SIZE];
    json_t *v = json_object();
    for (size_t i = 0; i < COUNT_OF(ids); i++) {
        uuid_text(ids[i], text);
        json_set_str(v, names[i], str_of(text));
    }
    json_set_str(v, "f", str_of(e->from_e164));
    json_set_str(v, "t", str_of(e->to_e164));
    json_object_set_new(v, "n", json_integer(e->attempt_number));
    clock_format(e->at_us, text);
    json_set_str(v, "at", str_of(text));
    json_object_set_new(v, "over", json_boolean(r->over));
    return v;
}

static void on_replay_done(const struct fault *fault, void *arg)
{
    struct history *h = arg;
    h->tx = NULL;
    if (fault->class != FAULT_NONE) {
        log_warn("history.replay_done", LOG_STR("code", fault->code), LOG_STR("text", fault->text));
        again(h, AGAIN_MS);
        return;
    }
    again(h, 0);
    metric_add("journal_replayed_total", "known", h->sum.known);
    metric_add("journal_replayed_total", "rebuilt", h->sum.rebuilt);
    metric_add("journal_replayed_total", "unplaceable", h->sum.unplaceable);
    log_warn("history.replayed", LOG_I64("known", h->sum.known), LOG_I64("rebuilt", h->sum.rebuilt),
             LOG_I64("unplaceable", h->sum.unplaceable));
}

static void on_swept(size_t failed, void *arg)
{
    struct history *h = arg;
    if (failed > 0) {
        log_error("history.sweep_incomplete", LOG_I64("accounts", failed));
    }
    if (failed > 0 && h->now.restored) {
        /* Whom they phoned since the backup stands nowhere else (never-twice 2.4, row 29). */
        (void)snprintf(h->why, sizeof h->why,
                       "the calls since the backup are not known: %zu accounts cannot be read",
                       failed);
        again(h, RESWEEP_MS);
        return;
    }
    h->phase = PHASE_DONE;
    if (store_replay_done(&h->tx, h->env->db, buf_str(&h->nodes), &h->sum,
                          dial_clock_wall_us(h->env->clock, h->env->loop), on_replay_done, h) < 0) {
        again(h, AGAIN_MS);
    }
}

/* Everything was brought once. Owners that lived then and are gone now are told of in a second pass; whoever goes
 * after that finds the rows. */
static void pass_over(struct history *h)
{
    if (h->sum.conflicts > 0) {
        (void)snprintf(h->why, sizeof h->why,
                       "%d dials of the journal wait for the end of the ones before them",
                       h->sum.conflicts);
        again(h, AGAIN_MS);
        return;
    }
    h->phase = PHASE_SWEEP;
    if (h->env->orphans == NULL) {
        on_swept(0, h);
        return;
    }
    orphans_sweep(h->env->orphans, h->now.restored, h->now.restored ? h->now.replay_since_us : 0,
                  on_swept, h);
}

static void next_pass(struct history *h)
{
    if (h->second) {
        h->second = false;
        pass_over(h);
        return;
    }
    size_t left = 0;
    struct uuid known = {{0}}; /* the entries of one worker stand together */
    bool gone = false;
    for (size_t i = 0; i < h->entry_count; i++) {
        struct journal_read_entry *e = &h->entries[i];
        if (!e->over && !uuid_eq(&known, &e->entry.worker_id)) {
            known = e->entry.worker_id;
            gone = lock_held(h->env->settings->data_dir, &known) == 0;
        }
        if (!e->over && gone) {
            e->over = true;
            h->entries[left++] = *e;
        }
    }
    h->entry_count = left;
    h->entry_at = 0;
    h->second = true;
    put_part(h);
}

static void on_put(const struct fault *fault, const struct store_replayed *sum, void *arg)
{
    struct history *h = arg;
    h->tx = NULL;
    if (fault->class != FAULT_NONE) {
        if (fault->class == FAULT_BROKEN || fault->class == FAULT_REFUSED) {
            log_error("history.replay", LOG_STR("code", fault->code), LOG_STR("text", fault->text));
        }
        h->second = false;
        again(h, AGAIN_MS);
        return;
    }
    h->sum.known += h->second ? 0 : sum->known;
    h->sum.rebuilt += sum->rebuilt;
    h->sum.unplaceable += h->second ? 0 : sum->unplaceable;
    h->sum.conflicts += h->second ? 0 : sum->conflicts;
    put_part(h);
}

static void put_part(struct history *h)
{
    const struct dial_env *env = h->env;
    OWNED(json_free) json_t *part = json_array();
    for (size_t n = 0; n < PART_MAX && h->entry_at < h->entry_count; n++) {
        (void)json_array_append_new(part, entry_json(&h->entries[h->entry_at++]));
    }
    if (json_array_size(part) == 0) {
        next_pass(h);
        return;
    }
    /* It signs off whose owner is dead: dated in the past it would cut the horizon short. */
    if (store_replay(&h->tx, env->db, &env->node.node_id, part,
                     dial_clock_wall_us(env->clock, env->loop), on_put, h) < 0) {
        h->second = false;
        again(h, AGAIN_MS);
    }
}

/* --- forgetting: segments whose attempts have all ended ---------------------------------------------- */

static void on_unfinished(const struct fault *fault, int64_t count, void *arg)
{
    struct history *h = arg;
    h->old_tx = NULL;
    if (fault->class == FAULT_NONE && count == 0) {
        log_info("journal.forgotten", LOG_STR("segment", strrchr(h->old_path, '/') + 1));
        journal_forget(h->old_path);
    }
    forget_next(h);
}

static void on_old(const struct journal_old *old, void *arg)
{
    struct history *h = arg;
    OWNED(buf_fini) struct buf ids;
    char text[UUID_TEXT_SIZE];
    h->old = NULL;
    memcpy(h->old_path, old->path, sizeof h->old_path);
    if (old->path[0] == '\0') {
        return;
    }
    buf_init(&ids, IDS_MAX);
    int err = buf_add_char(&ids, '{');
    for (size_t i = 0; i < old->count && err == 0; i++) {
        uuid_text(&old->calls[i], text);
        err = buf_addf(&ids, "%s%s", i > 0 ? "," : "", text);
    }
    err = err < 0 ? err : buf_add_char(&ids, '}');
    if (err == 0) {
        err = store_unfinished(&h->old_tx, h->env->db, buf_str(&ids), on_unfinished, h);
    }
    if (err < 0) {
        log_warn("journal.forget", LOG_I64("err", err));
    }
}

static void forget_next(void *arg)
{
    struct history *h = arg;
    const struct settings *s = h->env->settings;
    if (!h->open || h->old != NULL || h->old_tx != NULL) {
        return;
    }
    struct journal_head now = {.installation_id = h->now.installation_id};
    int64_t before_us = loop_wall_us(h->env->loop) - s->journal_keep_h * 3600 * (int64_t)US_PER_S;
    journal_oldest(&h->old, h->env->journal, &now, h->old_path, before_us, on_old, h);
}

static void on_forget(void *arg)
{
    struct history *h = arg;
    h->old_path[0] = '\0';
    forget_next(h);
}

/* --- beginning and end ----------------------------------------------------------------------------- */

void history_open(struct history **out, const struct dial_env *env, history_fn *on_moved, void *arg)
{
    struct history *h = xzalloc(sizeof *h);
    h->env = env;
    h->on_moved = on_moved;
    h->arg = arg;
    h->generation = 1;
    buf_init(&h->nodes, IDS_MAX);
    str_copy_cut(STR("the database has not been asked yet"), h->why, sizeof h->why);
    timer_repeat(&h->turn, env->loop, TURN_MS, on_turn, h);
    if (env->journal != NULL) {
        timer_repeat(&h->forget, env->loop, FORGET_MS, on_forget, h);
    }
    *out = h;
}

void history_close(struct history **h_p)
{
    if (h_p == NULL || *h_p == NULL) {
        return;
    }
    struct history *h = *h_p;
    timer_stop(&h->turn);
    timer_stop(&h->forget);
    store_cancel(&h->tx);
    store_cancel(&h->old_tx);
    journal_cancel(&h->read);
    journal_cancel(&h->old);
    buf_fini(&h->nodes);
    xfree(h->entries);
    xfree(h);
    *h_p = NULL;
}
