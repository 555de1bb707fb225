#include "ledger.h"
#include "zones.h"

#include "base/alloc.h"
#include "base/clock.h"

#include <stdlib.h>
#include <string.h>

#define SKEW_LIMIT_MS 60000

static int64_t first_of(int64_t a, int64_t b)
{
    return a != 0 ? a : b;
}

static void set_reason(struct call *c, const char *reason)
{
    if (c->disconnect_reason[0] == '\0') {
        str_copy_cut(str_of(reason), c->disconnect_reason, sizeof c->disconnect_reason);
    }
}

int64_t ring_allowance_us(const struct campaign *c)
{
    return (c->ring_timeout_s + 15) * US_PER_S;
}

int64_t talk_allowance_us(const struct campaign *c)
{
    return ((int64_t)c->max_duration_s * (c->transfers ? 7 : 1) + 60) * US_PER_S;
}

/* --- workers ------------------------------------------------------------------------------------- */

static struct worker_row *worker_find(const struct ledger *l, const struct uuid *id)
{
    LIST_EACH(it, &l->workers)
    {
        struct worker_row *w = LIST_ITEM(it, struct worker_row, link);
        if (uuid_eq(&w->id, id)) {
            return w;
        }
    }
    return NULL;
}

bool worker_known_alive(const struct ledger *l, const struct uuid *id)
{
    const struct worker_row *w = worker_find(l, id);
    return w != NULL && w->alive;
}

void ledger_worker_start(struct ledger *l, const struct uuid *worker)
{
    if (worker_find(l, worker) == NULL) {
        struct worker_row *w = xzalloc(sizeof *w);
        w->id = *worker;
        w->alive = true;
        list_init(&w->link);
        list_push_back(&l->workers, &w->link);
    }
}

/* engine.worker_dead: what it may still have in hand is asked about at once, what it had signed off soon. */
int64_t ledger_worker_dead(struct ledger *l, const struct uuid *worker, bool signed_off, int64_t at)
{
    int64_t touched = 0;
    struct worker_row *w = worker_find(l, worker);
    if (w != NULL) {
        w->alive = false;
    }
    LIST_EACH_SAFE(it, &l->live)
    {
        struct call *c = LIST_ITEM(it, struct call, live_link);
        if (!uuid_eq(&c->worker_id, worker)) {
            continue;
        }
        int64_t ask_at = at + (signed_off && c->signed_off_at != 0 ? 15 * US_PER_S : 0);
        touched++;
        c->signed_off_at = first_of(c->signed_off_at, at);
        if (c->next_reconcile_at == 0 || c->next_reconcile_at > ask_at) {
            c->next_reconcile_at = ask_at; /* least() skips NULL */
        }
        if (c->status == ST_RESERVED) {
            c->unknown_at = at;
            c->leased_until = 0;
            call_move(l, c, ST_UNKNOWN, at);
        }
    }
    return touched;
}

/* --- 0031: the POST's result ---------------------------------------------------------------------- */

static bool is(const char *a, const char *b)
{
    return strcmp(a, b) == 0;
}

static enum status place_goes_to(const struct call *c, const char *result)
{
    bool open = c->status == ST_RESERVED || c->status == ST_UNKNOWN;
    if (is(result, "placed") && open) {
        return c->answered_at != 0 ? ST_IN_PROGRESS : ST_DIALING;
    }
    if (is(result, "unknown") && c->status == ST_RESERVED) {
        return ST_UNKNOWN;
    }
    if (is(result, "not_placed") && open && c->ringing_at == 0 && c->answered_at == 0) {
        return ST_NOT_PLACED;
    }
    return c->status;
}

static const char *not_placed_reason(const struct store_placed *p)
{
    return p->permanent                     ? "invalid_number"
           : is(p->resolved_by, "4xx")      ? "refused_by_carrier"
           : is(p->resolved_by, "sign_off") ? "cancelled"
                                            : "provider_error";
}

static const char *word_of(const char *by) /* a constant that outlives the operation */
{
    static const char *const words[] = {"response", "4xx", "nosend", "sign_off"};
    for (size_t i = 0; i < COUNT_OF(words); i++) {
        if (is(by, words[i])) {
            return words[i];
        }
    }
    return NULL;
}

const char *ledger_place_result(struct ledger *l, const struct uuid *call_id,
                                const struct store_placed *p)
{
    struct call *c = ledger_call(l, call_id);
    if (c == NULL) {
        return NULL;
    }
    enum status was = c->status;
    enum status to = place_goes_to(c, p->result);
    bool placed = is(p->result, "placed");
    if ((placed && was == ST_NOT_PLACED) || (is(p->result, "not_placed") && to != ST_NOT_PLACED)) {
        c->incidents++;
    }
    call_name(l, c, p->call_uuid, p->request_uuid);
    c->signed_off_at = first_of(c->signed_off_at, p->at_us);
    c->leased_until = 0;
    if (!is(p->result, "not_placed") || is(p->resolved_by, "4xx")) {
        c->posted_at = first_of(c->posted_at, p->at_us);
    }
    if (placed) {
        c->placed_at = first_of(c->placed_at, p->at_us);
    }
    if (placed && was != ST_NOT_PLACED) {
        c->resolved_by = "response";
    } else if (to == ST_NOT_PLACED && was != ST_NOT_PLACED) {
        c->resolved_by = word_of(p->resolved_by);
    }
    if (to == ST_UNKNOWN) {
        c->unknown_at = first_of(c->unknown_at, p->at_us);
        c->next_reconcile_at = first_of(c->next_reconcile_at, p->at_us);
    } else if (to != ST_RESERVED) {
        c->resolved_at = first_of(c->resolved_at, p->at_us);
    }
    if (to == ST_DIALING) {
        c->next_reconcile_at = p->at_us + ring_allowance_us(c->campaign);
    }
    if (to == ST_NOT_PLACED) {
        c->ended_at = first_of(c->ended_at, p->at_us);
        set_reason(c, not_placed_reason(p));
    }
    call_move(l, c, to, p->at_us);
    if (to == ST_NOT_PLACED && was != ST_NOT_PLACED) {
        settle(l, c, OUT_NOT_PLACED, p->permanent, p->at_us);
    }
    return status_names[c->status];
}

const char *ledger_may_post(const struct ledger *l, const struct uuid *call_id, int64_t at)
{
    const struct call *c = ledger_call(l, call_id);
    if (c == NULL || c->status != ST_RESERVED) {
        return "not_reserved";
    }
    if (c->campaign->status != CAMPAIGN_ACTIVE) {
        return "campaign_paused";
    }
    return gate_at_answer(l, c, at).reason;
}

void ledger_account_trouble(struct ledger *l, const struct uuid *account, int64_t rest_ms,
                            int64_t at)
{
    struct account *a = map_get(&l->accounts, str_make((const char *)account->b, 16));
    if (a != NULL && (a->active || a->trouble_until != 0)) {
        a->active = false;
        a->trouble_until = at + rest_ms * US_PER_MS;
    }
}

/* --- sweeps --------------------------------------------------------------------------------------- */

static bool over_age(const struct call *c, int64_t slack, int64_t at)
{
    const struct campaign *k = c->campaign;
    int64_t ring = k->ring_timeout_s * US_PER_S;
    int64_t talk = k->max_duration_s * US_PER_S;
    int64_t placed = first_of(c->placed_at, c->intent_at);
    switch (c->status) {
    case ST_RESERVED:
        return c->leased_until != 0 && c->leased_until <= at;
    case ST_DIALING:
    case ST_RINGING:
        return placed + ring + talk + slack <= at;
    case ST_IN_PROGRESS:
    case ST_TRANSFERRING:
        return first_of(c->answered_at, placed) + talk * (k->transfers ? 7 : 1) + slack <= at;
    case ST_ENDED:
    case ST_UNKNOWN:
    case ST_NOT_PLACED:
    case ST_COUNT:
        break;
    }
    return false;
}

static void requeue(struct ledger *l, struct call *c, int64_t at) /* the mutant */
{
    set_reason(c, "cancelled");
    c->resolved_by = "sign_off";
    c->ended_at = at;
    c->leased_until = 0;
    call_move(l, c, ST_NOT_PLACED, at);
    settle(l, c, OUT_NOT_PLACED, false, at);
}

size_t ledger_lease_sweep(struct ledger *l, int64_t slack_ms, int64_t at, struct store_swept *out,
                          size_t most)
{
    size_t count = 0;
    for (size_t i = 0; i < l->account_count; i++) {
        struct account *a = l->account_list[i];
        if (!a->active && a->trouble_until != 0 && a->trouble_until <= at) {
            a->active = true;
            a->trouble_until = 0;
            l->accounts_woken++;
        }
    }
    LIST_EACH_SAFE(it, &l->live)
    {
        struct call *c = LIST_ITEM(it, struct call, live_link);
        if (count == most || !over_age(c, slack_ms * US_PER_MS, at)) {
            continue;
        }
        out[count] =
            (struct store_swept){.call_id = c->id, .organization_id = c->campaign->org->id};
        str_copy_cut(str_of(status_names[c->status]), out[count++].was, sizeof out->was);
        if (l->mutant == MUTANT_LEASE_REQUEUE && c->status == ST_RESERVED) {
            requeue(l, c, at);
            continue;
        }
        call_move(l, c, ST_UNKNOWN, at);
        c->unknown_at = at;
        c->next_reconcile_at = at;
        c->leased_until = 0;
    }
    return count;
}

static int due_order(const void *a_p, const void *b_p)
{
    const struct call *a = *(struct call *const *)a_p;
    const struct call *b = *(struct call *const *)b_p;
    if (a->next_reconcile_at != b->next_reconcile_at) {
        return a->next_reconcile_at < b->next_reconcile_at ? -1 : 1;
    }
    return memcmp(a->id.b, b->id.b, sizeof a->id.b);
}

static void unknown_row(const struct call *c, struct store_unknown *out)
{
    *out = (struct store_unknown){.call_id = c->id,
                                  .organization_id = c->campaign->org->id,
                                  .carrier_account_id = c->account->id,
                                  .worker_id = c->worker_id,
                                  .intent_us = c->intent_at,
                                  .signed_off = c->signed_off_at != 0};
    str_copy_cut(str_of(status_names[c->status]), out->status, sizeof out->status);
    str_copy_cut(str_of(c->number->phone), out->caller_e164, sizeof out->caller_e164);
    str_copy_cut(str_of(c->lead->phone), out->callee_e164, sizeof out->callee_e164);
    str_copy_cut(str_of(c->call_sid), out->call_uuid, sizeof out->call_uuid);
}

size_t ledger_unknown_due(struct ledger *l, uint32_t want, int64_t retry_ms, int64_t at,
                          struct store_unknown *out)
{
    size_t count = 0;
    size_t size = 0;
    struct call **due = NULL;
    LIST_EACH(it, &l->live)
    {
        struct call *c = LIST_ITEM(it, struct call, live_link);
        if (c->status != ST_RESERVED && c->next_reconcile_at != 0 && c->next_reconcile_at <= at) {
            calls_push(&due, &count, &size, c);
        }
    }
    if (count > 1) {
        qsort((void *)due, count, sizeof(struct call *), due_order);
    }
    count = count < want ? count : want;
    for (size_t i = 0; i < count; i++) {
        struct call *c = due[i];
        const struct worker_row *w = worker_find(l, &c->worker_id);
        c->next_reconcile_at = at + retry_ms * US_PER_MS;
        if (c->signed_off_at == 0 && w != NULL && !w->alive) {
            c->signed_off_at = at;
        }
        unknown_row(c, &out[i]);
    }
    xfree((void *)due);
    return count;
}

void ledger_unknown_state(const struct ledger *l, int64_t at, struct store_unknown_state *out)
{
    *out = (struct store_unknown_state){0};
    LIST_EACH(it, &l->live)
    {
        const struct call *c = LIST_ITEM(it, struct call, live_link);
        out->live_calls++;
        if (c->status == ST_UNKNOWN) {
            out->unknown_calls++;
            out->oldest_s = i64_max(out->oldest_s, (at - c->unknown_at) / US_PER_S);
        }
    }
}

/* --- presence and absence ------------------------------------------------------------------------- */

static bool other(const struct ledger *l, const struct call *c, const struct store_presence *f)
{
    const struct call *owner = map_get(&l->sids, str_of(f->call_uuid));
    int64_t skew = f->skew_ms * US_PER_MS;
    int64_t last_post = i64_max(c->intent_at, first_of(c->signed_off_at, f->at_us));
    int64_t late = last_post + skew + f->horizon_ms * US_PER_MS;
    bool out_of_time = c->call_sid[0] == '\0' && f->initiated_us != 0 &&
                       (f->initiated_us < c->intent_at - skew || f->initiated_us > late);
    return (c->call_sid[0] != '\0' && !is(c->call_sid, f->call_uuid)) ||
           (owner != NULL && owner != c) || out_of_time;
}

/* Of a call that was written off: a later attempt to the pair, which the sighting may be. */
static bool dialed_since(const struct call *c, const struct store_presence *f)
{
    int64_t seen = first_of(f->initiated_us, f->at_us) + f->skew_ms * US_PER_MS;
    for (size_t i = 0; i < c->lead->call_count; i++) {
        const struct call *o = c->lead->calls[i];
        if (o->number == c->number && o->intent_at > c->intent_at && o->intent_at <= seen) {
            return true;
        }
    }
    return false;
}

static enum status presence_goes_to(const struct call *c, const struct store_presence *f)
{
    bool before_talk = c->status == ST_RESERVED || c->status == ST_UNKNOWN ||
                       c->status == ST_DIALING || c->status == ST_RINGING;
    if (before_talk && (f->answered_us != 0 || c->answered_at != 0)) {
        return ST_IN_PROGRESS;
    }
    return c->status == ST_RESERVED || c->status == ST_UNKNOWN ? ST_DIALING : c->status;
}

const char *ledger_presence(struct ledger *l, const struct uuid *call_id,
                            const struct store_presence *f)
{
    struct call *c = ledger_call(l, call_id);
    if (c == NULL) {
        return NULL;
    }
    if (other(l, c, f)) {
        return "other";
    }
    if (c->status == ST_NOT_PLACED && dialed_since(c, f)) {
        return "other";
    }
    if (!status_live(c->status)) {
        c->incidents += c->status == ST_NOT_PLACED ? 1 : 0;
        return status_names[c->status];
    }
    if (is(f->found_in, "cdr") && f->ended_us != 0) {
        call_name(l, c, f->call_uuid, NULL);
        struct call_end end = {.outcome = f->outcome,
                               .disconnect_reason = f->disconnect_reason,
                               .answered_at = f->answered_us,
                               .ended_at = f->ended_us,
                               .duration_s = f->duration_s,
                               .billed_s = f->billed_s,
                               .cost_micros = f->cost_micros};
        finish_call(l, c, &end, "cdr", f->at_us);
        return "ended";
    }
    enum status to = presence_goes_to(c, f);
    if (c->status == ST_RESERVED || c->status == ST_UNKNOWN) {
        c->resolved_by = "live";
    }
    call_name(l, c, f->call_uuid, f->request_uuid);
    c->answered_at = first_of(c->answered_at, f->answered_us);
    c->resolved_at = first_of(c->resolved_at, f->at_us);
    c->leased_until = 0;
    c->first_absent_scan_at = 0;
    c->last_absent_scan_at = 0;
    c->absent_scans = 0;
    c->next_reconcile_at = f->at_us + f->retry_ms * US_PER_MS;
    call_move(l, c, to, f->at_us);
    return status_names[c->status];
}

static void record_scan(struct ledger *l, struct call *c, const struct store_absence *s)
{
    if (!status_live(c->status)) {
        return;
    }
    if (c->status != ST_RESERVED && c->status != ST_UNKNOWN) {
        call_move(l, c, ST_UNKNOWN, s->at_us);
        c->unknown_at = first_of(c->unknown_at, s->at_us);
    } else if (c->status == ST_UNKNOWN) {
        c->unknown_at = first_of(c->unknown_at, s->at_us);
    }
    if (llabs(s->skew_ms) < SKEW_LIMIT_MS) {
        c->first_absent_scan_at = first_of(c->first_absent_scan_at, s->at_us);
        c->last_absent_scan_at = s->at_us;
        c->absent_scans++;
    }
    c->next_reconcile_at = s->at_us + s->retry_ms * US_PER_MS;
}

static const char *absence_missing(const struct ledger *l, const struct call *c,
                                   const struct store_absence *s)
{
    int64_t known_us = i64_max(c->signed_off_at, c->placed_at) + s->horizon_ms * US_PER_MS;
    bool rang = c->ringing_at != 0 || c->answered_at != 0;
    if (c->status != ST_UNKNOWN) {
        return "not_unknown";
    }
    if (c->signed_off_at == 0 && l->mutant != MUTANT_NO_DEATH_PROOF) {
        return "owner_may_still_post";
    }
    if (rang) {
        return "it_rang";
    }
    if (c->call_sid[0] != '\0') {
        return "it_was_seen";
    }
    if (c->placed_at != 0) {
        return "carrier_took_it";
    }
    if (l->mutant == MUTANT_NO_HORIZON) {
        return NULL;
    }
    if (c->signed_off_at == 0) { /* the mutant: from the lease on */
        known_us = c->unknown_at + s->horizon_ms * US_PER_MS;
    }
    if (s->at_us <= known_us) {
        return "horizon";
    }
    if (c->absent_scans < 2 ||
        c->last_absent_scan_at - c->first_absent_scan_at < s->scan_gap_ms * US_PER_MS) {
        return "scans";
    }
    return c->last_absent_scan_at <= known_us ? "last_scan_too_early" : NULL;
}

const char *ledger_absence(struct ledger *l, const struct uuid *call_id,
                           const struct store_absence *s)
{
    struct call *c = ledger_call(l, call_id);
    if (c == NULL) {
        return "no_such_call";
    }
    record_scan(l, c, s);
    const char *missing = absence_missing(l, c, s);
    if (missing != NULL) {
        return missing;
    }
    c->ended_at = s->at_us;
    c->resolved_by = "absent";
    c->resolved_at = s->at_us;
    set_reason(c, "outcome_unknown");
    c->next_reconcile_at = 0;
    c->leased_until = 0;
    call_move(l, c, ST_NOT_PLACED, s->at_us);
    settle(l, c, OUT_NOT_PLACED, false, s->at_us);
    return NULL;
}
