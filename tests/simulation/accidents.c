/* accidents.c -- what goes wrong in a run, and when: drawn before it begins. */
#include "world.h"

#include "base/alloc.h"
#include "base/clock.h"

#include <string.h>

/* Places in the daemon's code (FAULT in src/), and at its edges. */
static const char *const code_points[] = {"worker.lock_taken",
                                          "worker.registered",
                                          "worker.signed_off",
                                          "worker.end",
                                          "claim.sent",
                                          "claim.answered",
                                          "brief.before_send",
                                          "brief.answered",
                                          "post.before_deadline",
                                          "post.before_send",
                                          "post.after_send",
                                          "post.answered",
                                          "post.over",
                                          "post.signed_off",
                                          "result.before_send",
                                          "result.answered",
                                          "burial.before_send",
                                          "burial.answered",
                                          "sweep.answered",
                                          "due.answered",
                                          "search.answered",
                                          "presence.before_send",
                                          "presence.answered",
                                          "absence.before_send",
                                          "absence.answered"};
static const char *const edge_points[] = {"db.worker_start",
                                          "db.heartbeat",
                                          "db.worker_dead",
                                          "db.claim",
                                          "db.brief",
                                          "db.place_result",
                                          "db.lease_sweep",
                                          "db.unknown_due",
                                          "db.unknown_state",
                                          "db.presence",
                                          "db.absence",
                                          "db.books",
                                          "db.event",
                                          "db.answer",
                                          "db.hangup",
                                          "db.media_token",
                                          "db.opt_out",
                                          "db.accounts",
                                          "lock.take",
                                          "lock.scan",
                                          "post.nosend",
                                          "post.4xx",
                                          "post.4xx_permanent",
                                          "post.401",
                                          "post.5xx",
                                          "post.5xx_dialed",
                                          "post.cut",
                                          "post.cut_dialed",
                                          "post.timeout_dialed",
                                          "search.fails",
                                          "hook.lost",
                                          "db.media_look",
                                          "db.account_trouble"};

/* --- things that happen at a time -------------------------------------------------------------------- */

static void start_again(struct world *w, void *arg)
{
    struct node *n = arg;
    if (n->inc == NULL) {
        node_start(w, n);
    }
}

/* Looks after nodes that died of a fault point, too. */
static void watch(struct world *w, void *arg)
{
    for (int i = 0; i < w->node_count; i++) {
        struct node *n = &w->nodes[i];
        if (n->inc == NULL && n->incarnations > 0) {
            int64_t quick = rng_between(&w->rng, 200000, 4000000);
            int64_t slow = rng_between(&w->rng, 10, 90) * US_PER_S;
            int64_t at = i64_max(w->now, n->busy_until);
            world_at(w, at + (rng_chance(&w->rng, 0.8) || w->draining ? quick : slow), start_again,
                     n);
        }
    }
    world_in(w, 4 * US_PER_S, watch, arg);
}

static struct node *any_node(struct world *w)
{
    struct node *n = &w->nodes[rng_between(&w->rng, 0, w->node_count - 1)];
    return n->inc != NULL && n->busy_until <= w->now && !w->draining ? n : NULL;
}

static void kill_one(struct world *w, void *arg)
{
    (void)arg;
    struct node *n = any_node(w);
    if (n != NULL) {
        world_fired(w, "world.kill");
        w->fig.crashes++;
        story(w, "FAULT", "node %d is killed", n->index);
        node_close(n->inc);
    }
}

static void stop_one(struct world *w, void *arg)
{
    (void)arg;
    struct node *n = any_node(w);
    if (n == NULL) {
        return;
    }
    int64_t lease_us = n->settings.lease_ms * US_PER_MS;
    int64_t us = rng_chance(&w->rng, 0.5) ? rng_between(&w->rng, 500000, lease_us)
                                          : lease_us + w->horizon_us + 60 * US_PER_S;
    world_fired(w, "world.stop");
    w->fig.pauses++;
    loop_oversleep(n->inc->loop, us);
    n->busy_until = w->now + us;
    story(w, "FAULT", "node %d is stopped for %.1f s", n->index, (double)us / 1e6);
}

static void on_drained(void *arg)
{
    struct incarnation *inc = arg;
    inc->draining = true;
}

static void drain_now(struct incarnation *inc, void *arg)
{
    (void)arg;
    dialer_drain(inc->dialer, on_drained, inc);
}

static void drained_yet(struct world *w, void *arg)
{
    struct incarnation *inc = arg;
    if (inc->dead) {
        return;
    }
    if (!inc->draining || inc->node->busy_until > w->now) {
        world_in(w, 500000, drained_yet, inc);
        return;
    }
    story(w, "world", "node %d has drained and ends", inc->node->index);
    node_close(inc);
}

static void drain_one(struct world *w, void *arg)
{
    (void)arg;
    struct node *n = any_node(w);
    if (n == NULL) {
        return;
    }
    world_fired(w, "world.drain");
    story(w, "world", "node %d is asked to end", n->index);
    struct incarnation *inc = n->inc;
    if (node_call(inc, drain_now, NULL) == NODE_RAN) {
        drained_yet(w, inc);
    }
}

static void database_back(struct world *w, void *arg)
{
    (void)arg;
    w->db_up = true;
    story(w, "world", "the database is back");
    for (int i = 0; i < w->node_count; i++) {
        if (w->nodes[i].inc != NULL) {
            w->nodes[i].inc->db_up = true;
        }
    }
}

static void database_noticed(struct world *w, void *arg)
{
    (void)arg;
    for (int i = 0; i < w->node_count && !w->db_up; i++) {
        if (w->nodes[i].inc != NULL) {
            w->nodes[i].inc->db_up = false;
        }
    }
}

static void database_away(struct world *w, void *arg)
{
    (void)arg;
    if (!w->db_up || w->draining) {
        return;
    }
    world_fired(w, "world.database_away");
    w->fig.db_aways++;
    w->db_up = false;
    story(w, "FAULT", "the database is away");
    world_in(w, rng_between(&w->rng, 0, 1500000), database_noticed, NULL);
    int64_t most_s = rng_chance(&w->rng, 0.7) ? 8 : 60;
    world_in(w, rng_between(&w->rng, 500000, most_s * US_PER_S), database_back, NULL);
}

static void carrier_away(struct world *w, void *arg)
{
    (void)arg;
    if (!w->draining) {
        world_fired(w, "world.carrier_away");
        w->carrier_down_until = w->now + rng_between(&w->rng, 2, 120) * US_PER_S;
        story(w, "FAULT", "the carrier's API is away");
    }
}

static void set_clock(struct world *w, struct node *n, int64_t skew_us)
{
    n->skew_us = skew_us;
    if (n->inc != NULL) {
        loop_set_wall(n->inc->loop, WORLD_WALL + node_now(n->inc) + skew_us);
    }
    story(w, "FAULT", "the clock of node %d is %.1f s off now", n->index, (double)skew_us / 1e6);
}

static void clock_right(struct world *w, void *arg)
{
    set_clock(w, arg, rng_between(&w->rng, -500000, 500000));
}

static void clock_jumps(struct world *w, void *arg)
{
    (void)arg;
    struct node *n = any_node(w);
    if (n == NULL) {
        return;
    }
    bool large = rng_chance(&w->rng, 0.5);
    int64_t us =
        large ? rng_between(&w->rng, 6, 3600) * US_PER_S : rng_between(&w->rng, 1000000, 4900000);
    world_fired(w, large ? "world.clock_far" : "world.clock_near");
    set_clock(w, n, rng_chance(&w->rng, 0.5) ? us : -us);
    world_in(w, rng_between(&w->rng, 5, 60) * US_PER_S, clock_right, n);
}

/* --- acts of people ----------------------------------------------------------------------------------- */

static void write_act(struct world *w, const char *op, const struct uuid *id, const char *what)
{
    char text[UUID_TEXT_SIZE];
    uuid_text(id, text);
    story(w, "people", "%s %.8s: %s", op, text, what);
    history(w, "{\"op\":\"%s\",\"id\":\"%s\",\"status\":\"%s\",\"at\":%lld}", op, text, what,
            (long long)world_wall(w));
}

static void resume_campaign(struct world *w, void *arg)
{
    struct campaign *c = arg;
    if (!w->draining && c->status == CAMPAIGN_PAUSED && c->closing_reason == NULL) {
        ledger_campaign_set(c, CAMPAIGN_ACTIVE);
        write_act(w, "campaign", &c->id, "active");
    }
}

static void pause_campaign(struct world *w, void *arg)
{
    (void)arg;
    struct ledger *l = w->ledger;
    struct campaign *c = l->campaign_list[rng_between(&w->rng, 0, (int64_t)l->campaign_count - 1)];
    if (!w->draining && c->status == CAMPAIGN_ACTIVE && c->closing_reason == NULL) {
        world_fired(w, "world.campaign_paused");
        ledger_campaign_set(c, CAMPAIGN_PAUSED);
        write_act(w, "campaign", &c->id, "paused");
        world_in(w, rng_between(&w->rng, 1, 60) * US_PER_S, resume_campaign, c);
    }
}

static void resume_tenant(struct world *w, void *arg)
{
    struct pause *p = arg;
    p->resumed_at = world_wall(w);
    write_act(w, "tenant", &p->org->id, "resumed");
}

static void pause_tenant(struct world *w, void *arg)
{
    (void)arg;
    struct account *a =
        w->ledger->account_list[rng_between(&w->rng, 0, (int64_t)w->ledger->account_count - 1)];
    LIST_EACH(it, &w->ledger->pauses)
    {
        const struct pause *p = LIST_ITEM(it, struct pause, link);
        if (p->org == a->org && p->resumed_at == 0) {
            return;
        }
    }
    if (!w->draining) {
        world_fired(w, "world.tenant_paused");
        struct pause *p = ledger_pause(w->ledger, a->org, NULL, world_wall(w));
        write_act(w, "tenant", &a->org->id, "paused");
        world_in(w, rng_between(&w->rng, 1, 40) * US_PER_S, resume_tenant, p);
    }
}

/* "Do not call me again", said in a call: written until it is written. */
struct opt_out {
    struct world *w;
    struct dial *dial;
};

static void opt_out_try(struct world *w, void *arg);

static void on_opt_out(const struct fault *fault, bool added, int64_t removed, struct str live,
                       void *arg)
{
    (void)added, (void)removed, (void)live;
    struct opt_out *o = arg;
    if (fault->class == FAULT_NONE) {
        xfree(o);
    } else {
        world_in(o->w, 300000, opt_out_try, o);
    }
}

static void opt_out_start(struct incarnation *inc, void *arg)
{
    struct opt_out *o = arg;
    const struct store_opt_out_words said = {.source = "model", .words = STR("stop"), .phone = ""};
    int err =
        store_opt_out(NULL, inc->db, &o->dial->identity.organization_id,
                      &o->dial->identity.attempt_id, &said, loop_wall_us(inc->loop), on_opt_out, o);
    assert(err == 0);
}

static void opt_out_try(struct world *w, void *arg)
{
    struct incarnation *inc = node_pick(w);
    if (inc == NULL || !node_can_run(inc)) {
        world_in(w, US_PER_S, opt_out_try, arg);
        return;
    }
    if (node_call(inc, opt_out_start, arg) != NODE_RAN) {
        world_in(w, US_PER_S, opt_out_try, arg);
    }
}

static void opt_out(struct world *w, void *arg)
{
    (void)arg;
    struct dial *chosen = NULL;
    int seen = 0;
    LIST_EACH(it, &w->dials)
    {
        struct dial *d = LIST_ITEM(it, struct dial, link);
        if (d->answered && rng_between(&w->rng, 0, seen++) == 0) {
            chosen = d;
        }
    }
    if (chosen == NULL || w->draining) {
        return;
    }
    world_fired(w, "world.opt_out");
    struct opt_out *o = xzalloc(sizeof *o);
    o->w = w;
    o->dial = chosen;
    opt_out_try(w, o);
}

/* --- the plan ------------------------------------------------------------------------------------------ */

static void plan_some(struct world *w, int most, event_fn *fn)
{
    struct rng *r = &w->plan_rng;
    for (int64_t n = rng_between(r, 0, most); n > 0; n--) {
        world_at(w, rng_between(r, w->now + 2 * US_PER_S, w->active_until), fn, NULL);
    }
}

static void plan_targets(struct world *w)
{
    struct rng *r = &w->plan_rng;
    static const int64_t reach[] = {1, 2, 4, 12};
    size_t code = COUNT_OF(code_points);
    size_t all = code + COUNT_OF(edge_points);
    for (w->target_count = 0; w->target_count < TARGETS; w->target_count++) {
        size_t i = rng_next(r) % all;
        struct fault_target *t = &w->targets[w->target_count];
        t->name = fault_name_of(i < code ? code_points[i] : edge_points[i - code]);
        t->hit = rng_between(r, 1, reach[rng_next(r) % COUNT_OF(reach)]);
        t->action = i >= code ? ACT_FAIL : rng_chance(r, 0.55) ? ACT_CRASH : ACT_PAUSE;
        if (i + 1 == all &&
            w->target_count + 1 < TARGETS) { /* only a refused account comes there */
            t->hit = 1;
            w->targets[++w->target_count] =
                (struct fault_target){fault_name_of("post.401"), 1, ACT_FAIL};
        }
    }
}

static double often(struct rng *r, double most)
{
    return rng_chance(r, 0.4) ? 0 : most * rng_unit(r);
}

static void plan_profile(struct world *w)
{
    struct rng *r = &w->plan_rng;
    w->p = (struct profile){
        .nosend = often(r, 0.1),
        .refuse = often(r, 0.08),
        .barred = often(r, 0.03),
        .trouble = often(r, 0.01),
        .e5xx = often(r, 0.12),
        .e5xx_dialed = often(r, 0.16),
        .cut = often(r, 0.1),
        .cut_dialed = often(r, 0.16),
        .slow_dialed = often(r, 0.12),
        .hook_lost = often(r, 0.4),
        .hook_doubled = often(r, 0.3),
        .hook_late = often(r, 0.4),
        .forged = often(r, 0.2),
        .search_fails = often(r, 0.3),
        .db_slow = often(r, 0.05),
    };
}

static void name_all(void)
{
    static const char *const rest[] = {
        "hook.late",       "hook.doubled",     "hook.forged",           "world.kill",
        "world.stop",      "world.drain",      "world.database_away",   "world.carrier_away",
        "world.clock_far", "world.clock_near", "world.campaign_paused", "world.tenant_paused",
        "world.opt_out"};
    for (size_t i = 0; i < COUNT_OF(code_points); i++) {
        (void)fault_name_of(code_points[i]);
    }
    for (size_t i = 0; i < COUNT_OF(edge_points); i++) {
        (void)fault_name_of(edge_points[i]);
    }
    for (size_t i = 0; i < COUNT_OF(rest); i++) {
        (void)fault_name_of(rest[i]);
    }
}

void accidents_plan(struct world *w)
{
    name_all();
    world_in(w, 4 * US_PER_S, watch, NULL);
    if (w->opt.sweep_hit > 0 || w->opt.scenario > 0) {
        return;
    }
    plan_profile(w);
    plan_targets(w);
    plan_some(w, 3, kill_one);
    plan_some(w, 2, stop_one);
    plan_some(w, 2, drain_one);
    plan_some(w, 2, database_away);
    plan_some(w, 1, carrier_away);
    plan_some(w, 2, clock_jumps);
    plan_some(w, 2, pause_campaign);
    plan_some(w, 1, pause_tenant);
    plan_some(w, 3, opt_out);
}
