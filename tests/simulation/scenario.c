/* scenario.c -- who is to be phoned by whom: drawn from the seed, or one of the fixed few of the sweep. */
#include "world.h"
#include "zones.h"

#include "base/alloc.h"
#include "base/clock.h"

#include <string.h>

static struct uuid sim_id(int kind, int n)
{
    struct uuid id = {.b = {(uint8_t)kind, 0, 0, 0, 0, 0, 0x70, 0, 0x80}};
    id.b[14] = (uint8_t)(n >> 8);
    id.b[15] = (uint8_t)n;
    return id;
}

static struct law law_zz = {.region = "ZZ",
                            .spans = {{0x7f, 540, 1200, INT32_MIN, INT32_MAX}},
                            .span_count = 1,
                            .cap_24h = 3,
                            .cap_7d = 7,
                            .cap_30d = INT32_MAX};

static void set_waits(struct campaign *c, enum outcome o, size_t count, double a, double b,
                      double d)
{
    c->wait_count[o] = count;
    c->waits[o][0] = a;
    c->waits[o][1] = b;
    c->waits[o][2] = d;
}

static struct campaign *make_campaign(struct world *w, struct org *o, struct account *a, int n)
{
    struct rng *r = &w->plan_rng;
    struct uuid id = sim_id(4, n);
    struct campaign *c = ledger_campaign(w->ledger, o, &id);
    snprintf(c->name, sizeof c->name, "campaign %d", n);
    c->span = (struct span){0x7f, 0, 1440, INT32_MIN, INT32_MAX};
    c->lines = (int32_t)rng_between(r, 1, 6);
    c->calls_per_second = rng_chance(r, 0.5) ? 1 : 5;
    c->max_attempts = (int32_t)rng_between(r, 1, 4);
    c->weight = (int32_t)rng_between(r, 1, 3);
    c->ring_timeout_s = 20;
    c->max_duration_s = 30;
    c->transfers = rng_chance(r, 0.2);
    set_waits(c, OUT_BUSY, 2, 20, 60, 0);
    set_waits(c, OUT_NO_ANSWER, 2, 30, 90, 0);
    set_waits(c, OUT_VOICEMAIL, 1, 60, 0, 0);
    set_waits(c, OUT_FAILED, 2, 20, 60, 0);
    set_waits(c, OUT_NOT_PLACED, 3, 5, 20, 60);
    struct number *number = xzalloc(sizeof *number);
    number->id = sim_id(3, n);
    number->account = a;
    snprintf(number->phone, sizeof number->phone, "+1646555%04d", n);
    c->numbers[c->number_count++] = number;
    return c;
}

/* One of them may close or open while the run lasts. */
static void draw_window(struct world *w, struct campaign *c)
{
    struct rng *r = &w->plan_rng;
    if (rng_chance(r, 0.15)) {
        c->span.to_min = 14 * 60 + 30 + (int32_t)rng_between(r, 1, 9);
    } else if (rng_chance(r, 0.1)) {
        c->span.from_min = 14 * 60 + 30 + (int32_t)rng_between(r, 1, 6);
    }
    c->reserve_micros = 10000;
    c->budget_micros = rng_chance(r, 0.1) ? rng_between(r, 2, 6) * 10000 : 0;
}

static void make_org(struct world *w, int n, int campaigns, int leads)
{
    struct rng *r = &w->plan_rng;
    struct ledger *l = w->ledger;
    struct uuid id = sim_id(1, n);
    struct org *o = ledger_org(l, &id);
    o->number_spacing_s = rng_between(r, 0, 2) * 20;
    o->number_cap_24h = (int32_t)rng_between(r, 2, 8);
    o->weight = (int32_t)rng_between(r, 1, 3);
    id = sim_id(2, n);
    struct account *a = ledger_account(l, o, &id);
    a->lines = (int32_t)rng_between(r, 2, 10);
    a->calls_per_second = rng_chance(r, 0.3) ? 1 : 10;
    a->unknown_limit = rng_chance(r, 0.2) ? 3 : 20;
    struct campaign *mine[4];
    for (int i = 0; i < campaigns; i++) {
        mine[i] = make_campaign(w, o, a, n * 10 + i);
        draw_window(w, mine[i]);
    }
    for (int i = 0; i < leads; i++) {
        char phone[STORE_E164_SIZE];
        snprintf(phone, sizeof phone, "+99900%03d%03d", n % 1000, i % 1000);
        id = sim_id(5, n * 1000 + i);
        struct lead *lead = ledger_lead(l, o, &id, phone);
        lead->zones[0] = zone_of(rng_chance(r, 0.04) ? "Asia/Kolkata" : "UTC");
        lead->zone_count = 1;
        lead->law = &law_zz;
        int first = (int)rng_between(r, 0, campaigns - 1);
        int both = rng_chance(r, 0.3) ? 1 : 0;
        for (int k = first; k <= first + both && k < campaigns; k++) {
            id = sim_id(6, n * 10000 + k * 1000 + i);
            (void)ledger_enqueue(l, mine[k], lead, &id, WORLD_WALL);
        }
    }
}

static void settings_of(struct node *n, bool plain, struct rng *r)
{
    snprintf(n->data_dir, sizeof n->data_dir, "host%d", n->host);
    n->settings = (struct settings){
        .data_dir = n->data_dir,
        .calls_max = plain ? 50 : 8,
        .claim_interval_ms = rng_chance(r, 0.3) ? 300 : 1000,
        .claim_batch = plain ? 50 : 4,
        .claim_deadline_ms = 2000,
        .place_timeout_ms = 8000,
        .ring_timeout_s = 20,
        .lease_ms = rng_chance(r, 0.5) ? 12000 : 20000,
        .carrier_queue_ms = 6000,
        .cdr_lag_ms = 20000,
        .absence_scan_gap_ms = 20000,
        .reconcile_interval_ms = 5000,
    };
}

static void write_campaigns(struct world *w)
{
    for (size_t i = 0; i < w->ledger->campaign_count; i++) {
        const struct campaign *c = w->ledger->campaign_list[i];
        char ids[4][UUID_TEXT_SIZE];
        uuid_text(&c->id, ids[0]);
        uuid_text(&c->org->id, ids[1]);
        uuid_text(&c->numbers[0]->id, ids[2]);
        uuid_text(&c->numbers[0]->account->id, ids[3]);
        history(w,
                "{\"set\":\"campaign\",\"id\":\"%s\",\"org\":\"%s\",\"number\":\"%s\","
                "\"account\":\"%s\",\"phone\":\"%s\",\"from_min\":%d,\"to_min\":%d,\"lines\":%d,"
                "\"cps\":%g,\"max_attempts\":%d,\"weight\":%d,\"ring_s\":%d,\"talk_s\":%d,"
                "\"transfers\":%s,\"budget\":%lld}",
                ids[0], ids[1], ids[2], ids[3], c->numbers[0]->phone, c->span.from_min,
                c->span.to_min, c->lines, c->calls_per_second, c->max_attempts, c->weight,
                c->ring_timeout_s, c->max_duration_s, c->transfers ? "true" : "false",
                (long long)c->budget_micros);
    }
}

/* What the replay needs to make the same tenants. */
static void write_setup(struct world *w)
{
    char ids[3][UUID_TEXT_SIZE];
    for (size_t i = 0; i < w->ledger->account_count; i++) {
        const struct account *a = w->ledger->account_list[i];
        uuid_text(&a->org->id, ids[0]);
        uuid_text(&a->id, ids[1]);
        history(w,
                "{\"set\":\"org\",\"id\":\"%s\",\"spacing\":%lld,\"cap_24h\":%d,\"weight\":%d,"
                "\"account\":\"%s\",\"lines\":%d,\"cps\":%g,\"unknown_limit\":%d}",
                ids[0], (long long)a->org->number_spacing_s, a->org->number_cap_24h, a->org->weight,
                ids[1], a->lines, a->calls_per_second, a->unknown_limit);
    }
    write_campaigns(w);
    for (size_t i = 0; i < w->ledger->campaign_count; i++) {
        const struct campaign *c = w->ledger->campaign_list[i];
        for (size_t k = 0; k < c->job_count; k++) {
            const struct job *j = c->jobs[k];
            uuid_text(&j->id, ids[0]);
            uuid_text(&c->id, ids[1]);
            uuid_text(&j->lead->id, ids[2]);
            history(w,
                    "{\"set\":\"job\",\"id\":\"%s\",\"campaign\":\"%s\",\"lead\":\"%s\","
                    "\"phone\":\"%s\",\"zone\":\"%s\",\"due\":%lld}",
                    ids[0], ids[1], ids[2], j->lead->phone, j->lead->zones[0]->name,
                    (long long)j->next_retry_at);
        }
    }
}

static void start_node(struct world *w, void *arg)
{
    node_start(w, arg);
}

void scenario_make(struct world *w)
{
    struct rng *r = &w->plan_rng;
    bool fixed = w->opt.scenario > 0;
    int orgs = fixed ? 1 : (int)rng_between(r, 1, 2);
    for (int i = 0; i < orgs; i++) {
        make_org(w, i, fixed || w->opt.plain ? 1 : (int)rng_between(r, 1, 2),
                 fixed ? 2 + w->opt.scenario : (int)rng_between(r, 3, 9));
    }
    w->node_count = fixed ? 2 : (int)rng_between(r, 1, NODES_MAX);
    for (int i = 0; i < w->node_count; i++) {
        struct node *n = &w->nodes[i];
        n->index = i;
        n->host = i == 2 || (i == 1 && w->opt.scenario == 2) ? 1 : 0;
        settings_of(n, w->opt.plain, r);
        n->skew_us = rng_between(r, -2000000, 2000000);
        world_at(w, w->now + rng_between(r, 0, 3000000), start_node, n);
    }
    w->carrier_skew_us = rng_between(r, -5000000, 5000000);
    w->horizon_us = dial_horizon_ms(&w->nodes[0].settings) * US_PER_MS;
    w->urls.public_url = "https://sim.example";
    memset(w->urls.callback_key, 7, sizeof w->urls.callback_key);
    w->active_until = w->now + (fixed ? 100 : rng_between(r, 240, 720)) * US_PER_S;
    w->give_up_at = w->active_until + 900 * US_PER_S;
    write_setup(w);
}
