#include "ledger.h"
#include "zones.h"

#include "base/alloc.h"
#include "base/clock.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define CLOSED_MAX   64
#define SERVED_AHEAD 20 /* what one that was idle may catch up */

/* Calls of the list that began after the moment. */
static int32_t recent(const struct ledger *l, struct call *const *calls, size_t count,
                      int64_t since)
{
    int32_t found = 0;
    for (size_t i = count; i > 0; i--) {
        if (calls[i - 1]->intent_at > since) {
            found++;
        } else if (l->one_clock) {
            break;
        }
    }
    return found;
}

/* app.pace: so many calls within so long a span. */
static int32_t pace_room(const struct ledger *l, double per_second, struct call *const *calls,
                         size_t count, int64_t at)
{
    double most = floor(per_second) > 1 ? floor(per_second) : 1;
    int64_t span_us = (int64_t)llround(most / per_second * 1e6);
    return (int32_t)most - recent(l, calls, count, at - span_us);
}

static int32_t account_room(const struct ledger *l, const struct account *a, int64_t at)
{
    if (a->unknown >= a->unknown_limit) {
        return 0;
    }
    int32_t pace = pace_room(l, a->calls_per_second, a->calls, a->call_count, at);
    int32_t lines = a->lines - a->live;
    int32_t room = pace < lines ? pace : lines;
    return room > 0 ? room : 0;
}

/* app.budget_room: how many more calls the budget can hold back for. */
static int64_t budget_room(const struct campaign *c)
{
    int64_t held = c->live * c->reserve_micros;
    return c->budget_micros == 0
               ? INT32_MAX
               : i64_max(0, (c->budget_micros - c->spent_micros - held) / c->reserve_micros);
}

static bool budget_spent(const struct campaign *c)
{
    return c->budget_micros > 0 && budget_room(c) == 0 &&
           (c->spent_micros >= c->budget_micros || c->live == 0);
}

static int32_t campaign_room(const struct ledger *l, const struct campaign *c, int64_t at)
{
    int32_t pace = pace_room(l, c->calls_per_second, c->calls, c->call_count, at);
    int32_t lines = c->lines - c->live;
    int32_t room = pace < lines ? pace : lines;
    room = (int32_t)i64_min(room, budget_room(c));
    return room > 0 ? room : 0;
}

/* What one campaign's claim knows while it goes through its rows. */
struct claiming {
    struct ledger *l;
    struct campaign *c;
    const struct uuid *worker;
    int64_t at;
    int64_t until;
    int32_t number_room[NUMBERS_MAX];
    struct account *accounts[NUMBERS_MAX];
    int32_t account_room[NUMBERS_MAX];
    size_t account_count;
    struct { /* places that are closed, and until when */
        const struct zone *const *zones;
        size_t zone_count;
        const struct law *law;
        struct verdict v;
    } closed[CLOSED_MAX];
    size_t closed_count;
    struct store_claimed *out;
    size_t taken;
};

static int32_t *room_of(struct claiming *k, const struct account *a)
{
    for (size_t i = 0; i < k->account_count; i++) {
        if (k->accounts[i] == a) {
            return &k->account_room[i];
        }
    }
    return NULL;
}

static void claim_lines(struct claiming *k)
{
    for (size_t i = 0; i < k->c->number_count; i++) {
        struct number *n = k->c->numbers[i];
        k->number_room[i] = n->lines == 0 ? 1000000 : n->lines - n->live;
        if (!n->account->active) {
            k->number_room[i] = 0;
        } else if (room_of(k, n->account) == NULL) {
            k->accounts[k->account_count] = n->account;
            k->account_room[k->account_count++] = account_room(k->l, n->account, k->at);
        }
    }
}

/* engine.pick_line; the first choice among several numbers follows the lead's id, not Postgres' hash. */
static struct number *pick_line(struct claiming *k, const struct lead *lead, size_t *index)
{
    size_t first = lead->id.b[15];
    for (size_t step = 0; step < k->c->number_count; step++) {
        size_t i = (first + step) % k->c->number_count;
        const int32_t *room = room_of(k, k->c->numbers[i]->account);
        if (k->number_room[i] > 0 && room != NULL && *room > 0) {
            *index = i;
            return k->c->numbers[i];
        }
    }
    return NULL;
}

static bool same_place(const struct lead *lead, const struct zone *const *zones, size_t count,
                       const struct law *law)
{
    return lead->law == law && lead->zone_count == count &&
           memcmp((const void *)lead->zones, (const void *)zones, count * sizeof *zones) == 0;
}

static struct verdict claim_verdict(struct claiming *k, const struct job *j)
{
    const struct lead *lead = j->lead;
    for (size_t i = 0; i < k->closed_count; i++) {
        if (same_place(lead, k->closed[i].zones, k->closed[i].zone_count, k->closed[i].law)) {
            return k->closed[i].v;
        }
    }
    return gate(k->l, k->c, lead, j, k->at);
}

static void note_closed(struct claiming *k, const struct lead *lead, const struct verdict *v)
{
    bool window = strcmp(v->reason, "outside_window") == 0 || strcmp(v->reason, "dates") == 0;
    if (window && v->next_change_at != 0 && k->closed_count < CLOSED_MAX) {
        k->closed[k->closed_count].zones = lead->zones;
        k->closed[k->closed_count].zone_count = lead->zone_count;
        k->closed[k->closed_count].law = lead->law;
        k->closed[k->closed_count++].v = *v;
    }
}

static struct uuid next_call_id(struct ledger *l)
{
    struct uuid id = {.b = {0}};
    l->next_id++;
    for (int i = 0; i < 8; i++) {
        id.b[15 - i] = (uint8_t)(l->next_id >> (8 * i));
    }
    id.b[6] = 0x70;
    id.b[8] = 0x80;
    id.b[0] = 0xca;
    return id;
}

/* engine.claim_write */
static void claim_write(struct claiming *k, struct job *j, struct number *n)
{
    struct ledger *l = k->l;
    struct call *c = xzalloc(sizeof *c);
    c->id = next_call_id(l);
    c->job = j;
    c->campaign = k->c;
    c->lead = j->lead;
    c->account = n->account;
    c->number = n;
    c->attempt_number = ++j->attempt_number;
    c->status = ST_RESERVED;
    c->worker_id = *k->worker;
    c->leased_until = k->until;
    c->intent_at = k->at;
    c->billed_s = -1;
    c->cost_micros = -1;
    list_init(&c->events);
    list_init(&c->live_link);
    list_push_back(&l->live, &c->live_link);
    n->account->live++;
    n->live++;
    k->c->live++;
    calls_push(&n->account->calls, &n->account->call_count, &n->account->call_size, c);
    calls_push(&k->c->calls, &k->c->call_count, &k->c->call_size, c);
    calls_push(&j->lead->calls, &j->lead->call_count, &j->lead->call_size, c);
    calls_push(&l->call_list, &l->call_count, &l->call_size, c);
    (void)map_put(&l->calls, str_make((const char *)c->id.b, sizeof c->id.b), c);
    job_set(j, JOB_PROCESSING, j->next_retry_at, NULL, k->at);
    j->call = c;
    struct store_claimed *out = &k->out[k->taken++];
    *out = (struct store_claimed){.call_id = c->id,
                                  .organization_id = k->c->org->id,
                                  .campaign_id = k->c->id,
                                  .lead_id = j->lead->id,
                                  .queue_id = j->id,
                                  .carrier_account_id = n->account->id,
                                  .attempt_number = c->attempt_number};
    str_copy_cut(str_of(n->phone), out->caller_e164, sizeof out->caller_e164);
    str_copy_cut(str_of(j->lead->phone), out->callee_e164, sizeof out->callee_e164);
}

/* engine.claim_campaign */
static size_t claim_campaign(struct claiming *k, int32_t want)
{
    int32_t room = campaign_room(k->l, k->c, k->at);
    int32_t wanted = want < room ? want : room;
    if (wanted <= 0) {
        return 0;
    }
    claim_lines(k);
    job_wake(k->c, k->at, wanted + 200);
    int32_t seen = 0;
    while ((int32_t)k->taken < wanted && seen < 4 * wanted + 400) {
        struct job *j = job_first_ready(k->c);
        size_t at = 0;
        struct number *n = j != NULL ? pick_line(k, j->lead, &at) : NULL;
        if (n == NULL) {
            break;
        }
        seen++;
        struct verdict v = claim_verdict(k, j);
        if (v.reason == NULL) {
            claim_write(k, j, n);
            k->number_room[at]--;
            --*room_of(k, n->account);
        } else if (strcmp(v.reason, "campaign_paused") == 0 ||
                   (strcmp(v.reason, "dial_paused") == 0 && v.next_change_at == 0)) {
            break;
        } else {
            job_set(j, v.next_change_at == 0 ? JOB_FAILED : JOB_QUEUED,
                    v.next_change_at != 0 ? v.next_change_at : j->next_retry_at, v.reason, k->at);
            note_closed(k, j->lead, &v);
        }
    }
    return k->taken;
}

/* engine.claim_plan: one campaign that has something due. */
struct plan {
    struct campaign *c;
    int32_t quota;
    double tenant_at;
    double campaign_at;
    double grown; /* of the campaign, in this claim */
};

static bool due(const struct ledger *l, const struct campaign *c, int64_t at)
{
    bool some = c->ready_count > 0 || (c->waiting_count > 0 && c->waiting[1]->next_retry_at <= at);
    return some && c->status == CAMPAIGN_ACTIVE && c->closing_reason == NULL &&
           gate_pauses(l, c, at) == NULL;
}

static int plan_order(const void *a_p, const void *b_p)
{
    const struct plan *a = a_p;
    const struct plan *b = b_p;
    if (a->tenant_at != b->tenant_at) {
        return a->tenant_at < b->tenant_at ? -1 : 1;
    }
    int orgs = memcmp(a->c->org->id.b, b->c->org->id.b, sizeof a->c->id.b);
    if (orgs != 0) {
        return orgs;
    }
    if (a->campaign_at != b->campaign_at) {
        return a->campaign_at < b->campaign_at ? -1 : 1;
    }
    return memcmp(a->c->id.b, b->c->id.b, sizeof a->c->id.b);
}

static size_t claim_plan(const struct ledger *l, int32_t want, int64_t at, struct plan *plans)
{
    size_t count = 0;
    double tenant_most = 0;
    for (size_t i = 0; i < l->campaign_count; i++) {
        if (due(l, l->campaign_list[i], at)) {
            plans[count++] = (struct plan){.c = l->campaign_list[i]};
            tenant_most = fmax(tenant_most, l->campaign_list[i]->org->served);
        }
    }
    double shares = 0;
    for (size_t i = 0; i < count; i++) {
        double sum = 0;
        double most = 0;
        for (size_t k = 0; k < count; k++) {
            bool mine = plans[k].c->org == plans[i].c->org;
            sum += mine ? plans[k].c->weight : 0;
            most = mine ? fmax(most, plans[k].c->served) : most;
        }
        plans[i].tenant_at = fmax(plans[i].c->org->served, tenant_most - SERVED_AHEAD);
        plans[i].campaign_at = fmax(plans[i].c->served, most - SERVED_AHEAD);
        plans[i].grown = plans[i].c->org->weight * (double)plans[i].c->weight / sum;
        shares += plans[i].grown;
    }
    for (size_t i = 0; i < count; i++) {
        plans[i].quota = (int32_t)ceil(want * plans[i].grown / shares);
    }
    qsort(plans, count, sizeof *plans, plan_order);
    return count;
}

/* claim_pace after the claim: served = greatest(served, since) + grown. */
struct served {
    struct campaign *c;
    struct org *o;
    double since;
    double grown;
};

static void serve(struct served *served, size_t *count, struct campaign *c, struct org *o,
                  double since, double grown)
{
    for (size_t i = 0; i < *count; i++) {
        if (served[i].c == c && served[i].o == o) {
            served[i].since = since;
            served[i].grown += grown;
            return;
        }
    }
    served[(*count)++] = (struct served){c, o, since, grown};
}

static void serve_all(const struct served *served, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        double *at = served[i].c != NULL ? &served[i].c->served : &served[i].o->served;
        *at = fmax(*at, served[i].since) + served[i].grown;
    }
}

static bool worker_alive(const struct ledger *l, const struct uuid *id)
{
    LIST_EACH(it, &l->workers)
    {
        const struct worker_row *w = LIST_ITEM(it, struct worker_row, link);
        if (uuid_eq(&w->id, id)) {
            return w->alive;
        }
    }
    return true; /* not on record: as the SQL, which only refuses those that are known to be dead */
}

/* engine.claim */
size_t ledger_claim(struct ledger *l, const struct uuid *worker, uint32_t want_u, int64_t lease_ms,
                    int64_t at, struct store_claimed *out, size_t most)
{
    int32_t want = (int32_t)(want_u < most ? want_u : most);
    if (!worker_alive(l, worker)) {
        return 0;
    }
    struct plan *plans = xcalloc(l->campaign_count + 1, sizeof *plans);
    struct served *served = xcalloc(2 * l->campaign_count + 2, sizeof *served);
    size_t served_count = 0;
    size_t total = 0;
    bool more = true;
    for (int pass = 1; pass <= 2 && want > 0 && more; pass++) {
        more = false;
        size_t count = claim_plan(l, want, at, plans);
        for (size_t i = 0; i < count && want > 0; i++) {
            struct plan *p = &plans[i];
            struct claiming k = {.l = l,
                                 .c = p->c,
                                 .worker = worker,
                                 .at = at,
                                 .until = at + lease_ms * US_PER_MS,
                                 .out = out + total};
            int32_t ask = pass == 1 && p->quota < want ? p->quota : want;
            int32_t got = (int32_t)claim_campaign(&k, ask);
            if (got == 0) {
                continue;
            }
            want -= got;
            total += (size_t)got;
            more = more || got == p->quota;
            serve(served, &served_count, p->c, NULL, p->campaign_at, (double)got / p->c->weight);
            serve(served, &served_count, NULL, p->c->org, p->tenant_at,
                  (double)got / p->c->org->weight);
        }
    }
    serve_all(served, served_count);
    xfree(plans);
    xfree(served);
    return total;
}

/* --- 0014 ------------------------------------------------------------------------------------------ */

static const char *campaign_over(const struct campaign *c, int64_t at)
{
    if (c->closing_reason != NULL) {
        return c->closing_reason;
    }
    if (c->span.last_day != INT32_MAX) {
        int64_t end_min = c->span.last_day * 1440LL + c->span.to_min +
                          (c->span.to_min <= c->span.from_min ? 1440 : 0) + 720;
        if (end_min * US_MINUTE <= at) {
            return "deadline";
        }
    }
    if (budget_spent(c)) {
        return "budget";
    }
    return c->job_count > 0 && c->queued == 0 ? "finished" : NULL;
}

static void fail_queued(struct campaign *c, const char *why, int64_t at)
{
    for (size_t i = 0; i < c->job_count; i++) {
        if (c->jobs[i]->status == JOB_QUEUED) {
            job_set(c->jobs[i], JOB_FAILED, c->jobs[i]->next_retry_at, why, at);
        }
    }
}

/* engine.complete_campaigns */
size_t ledger_complete(struct ledger *l, int64_t at, struct store_completed *out, size_t most)
{
    size_t count = 0;
    for (size_t i = 0; i < l->campaign_count && count < most; i++) {
        struct campaign *c = l->campaign_list[i];
        const char *why = c->status != CAMPAIGN_COMPLETED ? campaign_over(c, at) : NULL;
        if (why == NULL) {
            continue;
        }
        bool finished = strcmp(why, "finished") == 0;
        if (!finished) {
            fail_queued(c, strcmp(why, "deadline") == 0 ? "expired" : why, at);
        }
        if (c->queued + c->processing > 0) {
            c->closing_reason = finished ? NULL : why;
            continue;
        }
        c->status = CAMPAIGN_COMPLETED;
        c->completed_reason = why;
        c->completed_at = at;
        out[count] = (struct store_completed){.organization_id = c->org->id, .campaign_id = c->id};
        str_copy_cut(str_of(why), out[count++].reason, sizeof out->reason);
    }
    return count;
}
