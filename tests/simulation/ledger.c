#include "ledger.h"

#include "base/alloc.h"

#include <string.h>

const char *const outcome_names[OUT_COUNT] = {"",          "answered", "no_answer",      "busy",
                                              "voicemail", "rejected", "invalid_number", "failed",
                                              "not_placed"};
const char *const status_names[ST_COUNT] = {"reserved",        "dialing",      "ringing",
                                            "in_progress",     "transferring", "ended",
                                            "outcome_unknown", "not_placed"};
const char *const job_names[4] = {"queued", "processing", "completed", "failed"};
const char *const mutant_names[MUTANT_COUNT] = {
    "none", "lease_requeue", "no_horizon", "fail_5xx", "no_death_proof", "client_retry", "revive"};

enum outcome outcome_of(const char *name)
{
    for (int i = 1; name != NULL && i < OUT_COUNT; i++) {
        if (strcmp(name, outcome_names[i]) == 0) {
            return (enum outcome)i;
        }
    }
    return OUT_NONE;
}

static struct str key_of(const struct uuid *id)
{
    return str_make((const char *)id->b, sizeof id->b);
}

/* --- rows --------------------------------------------------------------------------------------- */

struct ledger *ledger_new(void)
{
    struct ledger *l = xzalloc(sizeof *l);
    map_init(&l->orgs);
    map_init(&l->accounts);
    map_init(&l->campaigns);
    map_init(&l->jobs);
    map_init(&l->calls);
    map_init(&l->sids);
    list_init(&l->org_list);
    list_init(&l->live);
    list_init(&l->workers);
    list_init(&l->pauses);
    list_init(&l->tokens);
    return l;
}

static void free_all(struct list *head, size_t link_offset)
{
    for (struct list *it = list_pop_front(head); it != NULL; it = list_pop_front(head)) {
        xfree((char *)it - link_offset);
    }
}

static void campaign_free(struct campaign *c)
{
    for (size_t i = 0; i < c->job_count; i++) {
        xfree(c->jobs[i]);
    }
    for (size_t i = 0; i < c->number_count; i++) {
        xfree(c->numbers[i]);
    }
    xfree(c->jobs);
    xfree(c->ready);
    xfree(c->waiting);
    xfree(c->calls);
    xfree(c);
}

void ledger_free(struct ledger **l_p)
{
    struct ledger *l = GIVE(*l_p);
    for (size_t i = 0; i < l->call_count; i++) {
        free_all(&l->call_list[i]->events, offsetof(struct event, link));
        xfree(l->call_list[i]);
    }
    for (size_t i = 0; i < l->campaign_count; i++) {
        campaign_free(l->campaign_list[i]);
    }
    for (size_t i = 0; i < l->lead_count; i++) {
        xfree(l->leads[i]->calls);
        xfree(l->leads[i]);
    }
    for (size_t i = 0; i < l->account_count; i++) {
        xfree(l->account_list[i]->calls);
        xfree(l->account_list[i]);
    }
    free_all(&l->org_list, offsetof(struct org, link));
    free_all(&l->workers, offsetof(struct worker_row, link));
    free_all(&l->pauses, offsetof(struct pause, link));
    free_all(&l->tokens, offsetof(struct token, link));
    map_fini(&l->orgs);
    map_fini(&l->accounts);
    map_fini(&l->campaigns);
    map_fini(&l->jobs);
    map_fini(&l->calls);
    map_fini(&l->sids);
    xfree(l->call_list);
    xfree(l->campaign_list);
    xfree(l->account_list);
    xfree(l->leads);
    xfree(l);
}

/* An array that doubles: room for one more of `size` bytes at `count`. */
static void *room_for(void *items, size_t count, size_t size)
{
    bool full = count == 0 || (count >= 16 && (count & (count - 1)) == 0);
    return full ? xrealloc(items, (count == 0 ? 16 : count * 2) * size) : items;
}

struct org *ledger_org(struct ledger *l, const struct uuid *id)
{
    struct org *o = xzalloc(sizeof *o);
    o->id = *id;
    o->weight = 1;
    o->number_cap_24h = 3;
    o->number_cap_7d = 7;
    o->number_spacing_s = 1800;
    list_init(&o->link);
    list_push_back(&l->org_list, &o->link);
    (void)map_put(&l->orgs, key_of(&o->id), o);
    return o;
}

struct account *ledger_account(struct ledger *l, struct org *o, const struct uuid *id)
{
    struct account *a = xzalloc(sizeof *a);
    *a = (struct account){.id = *id,
                          .org = o,
                          .lines = 10,
                          .calls_per_second = 1,
                          .unknown_limit = 20,
                          .active = true};
    l->account_list = room_for(l->account_list, l->account_count, sizeof(void *));
    l->account_list[l->account_count++] = a;
    (void)map_put(&l->accounts, key_of(&a->id), a);
    return a;
}

static void default_waits(struct campaign *c)
{
    static const struct {
        enum outcome outcome;
        double waits[WAITS_MAX];
        size_t count;
    } rows[] = {
        {OUT_BUSY, {1800, 7200}, 2},          {OUT_NO_ANSWER, {7200, 86400}, 2},
        {OUT_VOICEMAIL, {86400}, 1},          {OUT_FAILED, {1800, 7200}, 2},
        {OUT_NOT_PLACED, {60, 300, 1800}, 3},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        memcpy(c->waits[rows[i].outcome], rows[i].waits, sizeof rows[i].waits);
        c->wait_count[rows[i].outcome] = rows[i].count;
    }
}

struct campaign *ledger_campaign(struct ledger *l, struct org *o, const struct uuid *id)
{
    struct campaign *c = xzalloc(sizeof *c);
    *c = (struct campaign){
        .id = *id,
        .org = o,
        .span = {.days = 0x1f, 540, 1200, INT32_MIN, INT32_MAX},
        .weight = 1,
        .lines = 5,
        .calls_per_second = 1,
        .max_attempts = 3,
        .ring_timeout_s = 30,
        .max_duration_s = 600,
        .transfers = true,
    };
    default_waits(c);
    l->campaign_list = room_for(l->campaign_list, l->campaign_count, sizeof(void *));
    l->campaign_list[l->campaign_count++] = c;
    (void)map_put(&l->campaigns, key_of(&c->id), c);
    return c;
}

struct lead *ledger_lead(struct ledger *l, struct org *o, const struct uuid *id, const char *phone)
{
    struct lead *lead = xzalloc(sizeof *lead);
    lead->id = *id;
    lead->org = o;
    str_copy_cut(str_of(phone), lead->phone, sizeof lead->phone);
    l->leads = room_for(l->leads, l->lead_count, sizeof(void *));
    l->leads[l->lead_count++] = lead;
    return lead;
}

struct call *ledger_call(const struct ledger *l, const struct uuid *id)
{
    return map_get(&l->calls, key_of(id));
}

void calls_push(struct call ***calls, size_t *count, size_t *size, struct call *c)
{
    if (*count == *size) {
        *size = *size == 0 ? 8 : *size * 2;
        *calls = xrealloc(*calls, *size * sizeof **calls);
    }
    (*calls)[(*count)++] = c;
}

/* --- the queue's two orders ---------------------------------------------------------------------- */

static bool ready_before(const struct job *a, const struct job *b)
{
    if (a->priority != b->priority) {
        return a->priority > b->priority;
    }
    if (a->score != b->score) {
        return a->score > b->score;
    }
    if (a->next_retry_at != b->next_retry_at) {
        return a->next_retry_at < b->next_retry_at;
    }
    return memcmp(a->id.b, b->id.b, sizeof a->id.b) < 0;
}

static bool waits_before(const struct job *a, const struct job *b)
{
    if (a->next_retry_at != b->next_retry_at) {
        return a->next_retry_at < b->next_retry_at;
    }
    return memcmp(a->id.b, b->id.b, sizeof a->id.b) < 0;
}

struct heap {
    struct job **items;
    size_t *count;
    size_t index_offset;
    bool (*before)(const struct job *a, const struct job *b);
};

static size_t *index_of(const struct heap *h, struct job *j)
{
    return (size_t *)(void *)((char *)j + h->index_offset);
}

static void heap_put(const struct heap *h, size_t at, struct job *j)
{
    h->items[at] = j;
    *index_of(h, j) = at;
}

static void heap_up(const struct heap *h, size_t at, struct job *j)
{
    while (at > 1 && h->before(j, h->items[at / 2])) {
        heap_put(h, at, h->items[at / 2]);
        at /= 2;
    }
    heap_put(h, at, j);
}

static void heap_down(const struct heap *h, size_t at, struct job *j)
{
    for (size_t child = at * 2; child <= *h->count; child = at * 2) {
        if (child < *h->count && h->before(h->items[child + 1], h->items[child])) {
            child++;
        }
        if (!h->before(h->items[child], j)) {
            break;
        }
        heap_put(h, at, h->items[child]);
        at = child;
    }
    heap_up(h, at, j);
}

static void heap_add(const struct heap *h, struct job *j)
{
    heap_up(h, ++*h->count, j);
}

static void heap_remove(const struct heap *h, struct job *j)
{
    size_t at = *index_of(h, j);
    struct job *last = h->items[(*h->count)--];
    *index_of(h, j) = 0;
    if (last != j) {
        heap_down(h, at, last);
    }
}

static struct heap ready_heap(struct campaign *c)
{
    return (struct heap){c->ready, &c->ready_count, offsetof(struct job, ready_index),
                         ready_before};
}

static struct heap waiting_heap(struct campaign *c)
{
    return (struct heap){c->waiting, &c->waiting_count, offsetof(struct job, waiting_index),
                         waits_before};
}

static void leave_heaps(struct job *j)
{
    if (j->ready_index != 0) {
        struct heap h = ready_heap(j->campaign);
        heap_remove(&h, j);
    }
    if (j->waiting_index != 0) {
        struct heap h = waiting_heap(j->campaign);
        heap_remove(&h, j);
    }
}

static void enter_heaps(struct job *j)
{
    if (j->status == JOB_QUEUED) {
        struct heap h = j->ready ? ready_heap(j->campaign) : waiting_heap(j->campaign);
        heap_add(&h, j);
    }
}

static void count_job(struct job *j, int64_t by)
{
    j->campaign->queued += j->status == JOB_QUEUED ? by : 0;
    j->campaign->processing += j->status == JOB_PROCESSING ? by : 0;
}

struct job *ledger_enqueue(struct ledger *l, struct campaign *c, struct lead *lead,
                           const struct uuid *id, int64_t at)
{
    struct job *j = xzalloc(sizeof *j);
    j->id = *id;
    j->campaign = c;
    j->lead = lead;
    j->max_attempts = c->max_attempts;
    j->next_retry_at = at;
    j->ready = true;
    size_t before = c->job_count;
    c->jobs = room_for(c->jobs, before, sizeof(void *));
    c->jobs[c->job_count++] = j;
    if (before == 0 || (before >= 16 && (before & (before - 1)) == 0)) {
        size_t size = before == 0 ? 16 : before * 2;
        c->ready = xrealloc(c->ready, (size + 1) * sizeof(void *));
        c->waiting = xrealloc(c->waiting, (size + 1) * sizeof(void *));
    }
    (void)map_put(&l->jobs, key_of(&j->id), j);
    count_job(j, 1);
    enter_heaps(j);
    return j;
}

/* UPDATE call_queue with the trigger call_queue_guard. */
void job_set(struct job *j, enum job_status status, int64_t next_retry_at, const char *error,
             int64_t at)
{
    leave_heaps(j);
    j->campaign->changes++;
    count_job(j, -1);
    if (status != JOB_QUEUED || next_retry_at != j->next_retry_at) {
        j->ready = false;
    }
    j->status = status;
    j->next_retry_at = next_retry_at;
    j->last_error = error;
    j->finished_at = status == JOB_COMPLETED || status == JOB_FAILED ? at : 0;
    count_job(j, 1);
    enter_heaps(j);
}

void job_wake(struct campaign *c, int64_t at, int most)
{
    struct heap waiting = waiting_heap(c);
    struct heap ready = ready_heap(c);
    for (int i = 0; i < most && c->waiting_count > 0 && c->waiting[1]->next_retry_at <= at; i++) {
        struct job *j = c->waiting[1];
        heap_remove(&waiting, j);
        j->ready = true;
        heap_add(&ready, j);
    }
}

struct job *job_first_ready(const struct campaign *c)
{
    return c->ready_count > 0 ? c->ready[1] : NULL;
}

/* --- the call log and its triggers --------------------------------------------------------------- */

bool status_live(enum status s)
{
    return s != ST_ENDED && s != ST_NOT_PLACED;
}

bool may_have_rung(const struct call *c)
{
    static const char *const never[] = {"invalid_number", "unreachable", "refused_by_carrier"};
    if (c->status == ST_NOT_PLACED) {
        return false;
    }
    bool no_sign = c->status == ST_ENDED && c->ringing_at == 0 && c->answered_at == 0;
    for (size_t i = 0; no_sign && i < COUNT_OF(never); i++) {
        if (strcmp(c->disconnect_reason, never[i]) == 0) {
            return false;
        }
    }
    return true;
}

/* app.call_edge */
static bool edge(enum status from, enum status to)
{
#define TO(s) (1u << (s))
    static const unsigned legal[ST_COUNT] = {
        [ST_RESERVED] = TO(ST_DIALING) | TO(ST_RINGING) | TO(ST_IN_PROGRESS) | TO(ST_ENDED) |
                        TO(ST_UNKNOWN) | TO(ST_NOT_PLACED),
        [ST_DIALING] = TO(ST_RINGING) | TO(ST_IN_PROGRESS) | TO(ST_ENDED) | TO(ST_UNKNOWN),
        [ST_RINGING] = TO(ST_IN_PROGRESS) | TO(ST_ENDED) | TO(ST_UNKNOWN),
        [ST_IN_PROGRESS] = TO(ST_TRANSFERRING) | TO(ST_ENDED) | TO(ST_UNKNOWN),
        [ST_TRANSFERRING] = TO(ST_IN_PROGRESS) | TO(ST_ENDED) | TO(ST_UNKNOWN),
        [ST_UNKNOWN] =
            TO(ST_DIALING) | TO(ST_RINGING) | TO(ST_IN_PROGRESS) | TO(ST_ENDED) | TO(ST_NOT_PLACED),
    };
    return from == to || (legal[from] & TO(to)) != 0;
#undef TO
}

static void count_live(struct ledger *l, struct call *c, enum status from, enum status to)
{
    int32_t live = (int32_t)status_live(to) - (int32_t)status_live(from);
    c->account->live += live;
    c->campaign->live += live;
    c->number->live += live;
    c->account->unknown += (int32_t)(to == ST_UNKNOWN) - (int32_t)(from == ST_UNKNOWN);
    if (live < 0) {
        list_remove(&c->live_link);
    } else if (live > 0) {
        list_push_back(&l->live, &c->live_link); /* only the mutant that revives calls */
    }
}

static bool counts(enum status s)
{
    return s != ST_RESERVED && s != ST_NOT_PLACED;
}

/* UPDATE call_logs SET status, with the triggers guard and count_attempts. */
void call_move(struct ledger *l, struct call *c, enum status to, int64_t at)
{
    assert(edge(c->status, to) || l->mutant != MUTANT_NONE);
    enum status from = c->status;
    if (from == to) {
        return;
    }
    l->revived += status_live(from) ? 0 : 1;
    count_live(l, c, from, to);
    c->status = to;
    if (counts(from) != counts(to)) {
        c->job->attempt_count += counts(to) ? 1 : -1;
    }
    if (to == ST_UNKNOWN) {
        c->unknown_since = at;
    } else if (from == ST_UNKNOWN) {
        c->longest_unknown_us = i64_max(c->longest_unknown_us, at - c->unknown_since);
    }
}

/* coalesce(call_sid, …), coalesce(request_uuid, …) */
void call_name(struct ledger *l, struct call *c, const char *sid, const char *request_uuid)
{
    if (c->call_sid[0] == '\0' && sid != NULL && sid[0] != '\0') {
        str_copy_cut(str_of(sid), c->call_sid, sizeof c->call_sid);
        (void)map_put(&l->sids, str_of(c->call_sid), c);
    }
    if (c->request_uuid[0] == '\0' && request_uuid != NULL && request_uuid[0] != '\0') {
        str_copy_cut(str_of(request_uuid), c->request_uuid, sizeof c->request_uuid);
    }
}

/* --- acts of people ------------------------------------------------------------------------------ */

void ledger_campaign_set(struct campaign *c, enum campaign_status to)
{
    if (c->status != CAMPAIGN_COMPLETED && c->closing_reason == NULL) {
        c->status = to;
    }
}

struct pause *ledger_pause(struct ledger *l, struct org *o, struct campaign *c, int64_t at)
{
    struct pause *p = xzalloc(sizeof *p);
    *p = (struct pause){.org = o, .campaign = c, .paused_at = at};
    list_init(&p->link);
    list_push_back(&l->pauses, &p->link);
    return p;
}
