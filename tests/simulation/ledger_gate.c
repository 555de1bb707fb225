#include "ledger.h"
#include "zones.h"

#include "base/clock.h"

#include <string.h>

static size_t lead_zones(const struct campaign *c, const struct lead *lead,
                         const struct zone *const **out)
{
    if (lead->zone_count > 0) {
        *out = lead->zones;
        return lead->zone_count;
    }
    *out = &c->zone;
    return c->zone != NULL ? 1 : 0;
}

int64_t lead_next_opening(const struct campaign *c, const struct lead *lead, int64_t at)
{
    const struct zone *const *zones;
    size_t count = lead_zones(c, lead, &zones);
    return count == 0 || lead->law == NULL ? 0
                                           : windows_next(&c->span, lead->law, zones, count, at);
}

const char *gate_pauses(const struct ledger *l, const struct campaign *c, int64_t at)
{
    LIST_EACH(it, &l->pauses)
    {
        const struct pause *p = LIST_ITEM(it, struct pause, link);
        if ((p->resumed_at == 0 || p->resumed_at > at) && p->org == c->org &&
            (p->campaign == NULL || p->campaign == c)) {
            return p->campaign == NULL ? "tenant" : "campaign";
        }
    }
    return NULL;
}

static struct verdict no(const char *reason, int64_t next_change_at)
{
    return (struct verdict){reason, next_change_at};
}

static struct verdict gate_window(const struct campaign *c, const struct lead *lead, int64_t at)
{
    const struct zone *const *zones;
    size_t count = lead_zones(c, lead, &zones);
    if (count == 0) {
        return no("timezone_unknown", 0);
    }
    int64_t opening = windows_next(&c->span, lead->law, zones, count, at);
    if (opening == at) {
        return no(NULL, 0);
    }
    const char *why = "outside_window";
    for (size_t i = 0; i < count; i++) {
        int32_t today = zone_day(zones[i], at);
        if (today < c->span.first_day || today > c->span.last_day ||
            (opening == 0 && c->span.last_day != INT32_MAX)) {
            why = "dates";
        }
    }
    return no(why, opening);
}

/* The dials to one number, newest first: the n-th newest that rang or may have (0: there is none),
 * and whether one is live. */
struct dials {
    int64_t at[128];
    size_t count;
    bool live;
};

static void dials_add(struct dials *d, int64_t at)
{
    size_t i = d->count < COUNT_OF(d->at) ? d->count++ : d->count - 1;
    while (i > 0 && d->at[i - 1] < at) {
        d->at[i] = d->at[i - 1];
        i--;
    }
    d->at[i] = at;
}

static void dials_of(const struct lead *lead, int64_t since, struct dials *d)
{
    for (size_t i = 0; i < lead->call_count; i++) {
        const struct call *c = lead->calls[i];
        if (may_have_rung(c) && c->intent_at > since) {
            dials_add(d, c->intent_at);
            d->live = d->live || status_live(c->status);
        }
    }
}

static int64_t nth(const struct dials *d, int32_t n)
{
    return n >= 1 && (size_t)n <= d->count ? d->at[n - 1] : INT64_MIN / 2;
}

static int32_t min32(int32_t a, int32_t b)
{
    return a < b ? a : b;
}

static struct verdict gate_number(const struct lead *lead, int64_t at)
{
    struct dials d = {.count = 0};
    const struct org *o = lead->org;
    dials_of(lead, at - 30 * US_DAY, &d);
    if (d.live) {
        return no("duplicate", at + US_MINUTE);
    }
    const struct {
        const char *reason;
        int64_t free_at;
    } rows[] = {
        {"spacing", nth(&d, 1) + o->number_spacing_s * US_PER_S},
        {"attempt_limit", nth(&d, min32(o->number_cap_24h, lead->law->cap_24h)) + US_DAY},
        {"attempt_limit", nth(&d, min32(o->number_cap_7d, lead->law->cap_7d)) + 7 * US_DAY},
        {"attempt_limit", nth(&d, lead->law->cap_30d) + 30 * US_DAY},
    };
    struct verdict v = no(NULL, 0);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        if (rows[i].free_at > at && rows[i].free_at > v.next_change_at) {
            v = no(rows[i].reason, rows[i].free_at);
        }
    }
    return v;
}

/* app.gate with p_paced: lines, calls per second and budget were counted by the claim. */
struct verdict gate(const struct ledger *l, const struct campaign *c, const struct lead *lead,
                    const struct job *j, int64_t at)
{
    if (c->status != CAMPAIGN_ACTIVE || c->closing_reason != NULL) {
        return no("campaign_paused", 0);
    }
    if (gate_pauses(l, c, at) != NULL) {
        return no("dial_paused", 0);
    }
    if (lead->dnc_at != 0) {
        return no("dnc_internal", 0);
    }
    if (lead->law == NULL) {
        return no("region_unknown", 0);
    }
    if (lead->consent_revoked) {
        return no("consent_missing", 0);
    }
    if (j->attempt_count >= j->max_attempts && j->callback_at == 0) {
        return no("attempt_limit", 0);
    }
    struct verdict v = gate_window(c, lead, at);
    if (v.reason != NULL) {
        return v;
    }
    v = gate_number(lead, at);
    if (v.next_change_at != 0 && strcmp(v.reason, "duplicate") != 0) {
        v.next_change_at = lead_next_opening(c, lead, v.next_change_at);
    }
    return v;
}

struct verdict gate_at_answer(const struct ledger *l, const struct call *c, int64_t at)
{
    if (c->lead->dnc_at != 0) {
        return no("dnc_internal", 0);
    }
    if (gate_pauses(l, c->campaign, at) != NULL) {
        return no("dial_paused", 0);
    }
    if (c->lead->law == NULL) {
        return no("region_unknown", 0);
    }
    return gate_window(c->campaign, c->lead, at);
}

/* --- 0030: when is the lead tried again? ----------------------------------------------------------- */

/* app.caps_opening */
static int64_t caps_opening(const struct lead *lead, int64_t at)
{
    struct dials d = {.count = 0};
    const struct org *o = lead->org;
    dials_of(lead, at - 31 * US_DAY, &d);
    int64_t free_at = i64_max(at, nth(&d, 1) + o->number_spacing_s * US_PER_S);
    free_at = i64_max(free_at, nth(&d, min32(o->number_cap_24h, lead->law->cap_24h)) + US_DAY);
    free_at = i64_max(free_at, nth(&d, min32(o->number_cap_7d, lead->law->cap_7d)) + 7 * US_DAY);
    return i64_max(free_at, nth(&d, lead->law->cap_30d) + 30 * US_DAY);
}

/* app.retry_opening */
static int64_t retry_opening(const struct campaign *c, const struct lead *lead, int64_t due)
{
    int64_t moment = due;
    int64_t opens_at = due;
    for (int turn = 0; turn < 8; turn++) {
        int64_t later = caps_opening(lead, moment);
        moment = lead_next_opening(c, lead, later);
        if (moment == 0) {
            return opens_at;
        }
        opens_at = moment;
        if (moment == later) {
            return moment;
        }
    }
    return opens_at;
}

struct plan {
    bool will_retry;
    int64_t next_retry_at;
    const char *reason;
};

static int same_outcome(const struct call *c, enum outcome outcome)
{
    int same = 0;
    for (size_t i = 0; i < c->lead->call_count; i++) {
        const struct call *o = c->lead->calls[i];
        same += o != c && o->campaign == c->campaign && o->outcome == outcome ? 1 : 0;
    }
    return same;
}

static bool by(const struct call *c, const char *who)
{
    return c->resolved_by != NULL && strcmp(c->resolved_by, who) == 0;
}

/* app.retry_plan */
static struct plan retry_plan(const struct call *c, enum outcome outcome, bool permanent,
                              int64_t at)
{
    const struct job *j = c->job;
    const struct campaign *k = c->campaign;
    if (c->opted_out_at != 0 || c->lead->dnc_at != 0) {
        return (struct plan){.reason = "dnc_internal"};
    }
    if (j->callback_at > c->intent_at) {
        return (struct plan){true, retry_opening(k, c->lead, j->callback_at), "callback_requested"};
    }
    if (permanent || outcome == OUT_ANSWERED) {
        return (struct plan){.reason = permanent ? "permanent" : "final"};
    }
    size_t waits = k->wait_count[outcome];
    int same = same_outcome(c, outcome);
    if (outcome == OUT_NOT_PLACED) {
        if (waits == 0 || same >= 19) {
            return (struct plan){.reason = "not_placed"};
        }
        same = same < (int)waits - 1 ? same : (int)waits - 1;
        if (by(c, "sign_off") || by(c, "absent")) {
            same = 0;
        }
    } else if (j->attempt_count >= j->max_attempts) {
        return (struct plan){.reason = "max_attempts"};
    }
    if ((size_t)same >= waits) {
        return (struct plan){.reason = "final"};
    }
    int64_t from = c->ended_at != 0 ? c->ended_at : at;
    int64_t due = from + (int64_t)(k->waits[outcome][same] * US_PER_S);
    return (struct plan){true, retry_opening(k, c->lead, due), outcome_names[outcome]};
}

/* app.settle */
void settle(struct ledger *l, struct call *c, enum outcome outcome, bool permanent, int64_t at)
{
    (void)l;
    struct job *j = c->job;
    if (c->settled) {
        return;
    }
    struct plan plan = retry_plan(c, outcome, permanent, at);
    c->settled = true;
    c->outcome = outcome;
    c->will_retry = plan.will_retry;
    c->next_retry_at = plan.next_retry_at;
    c->retry_reason = plan.reason;
    if (outcome != OUT_NOT_PLACED && j->callback_at != 0 && j->callback_at <= c->intent_at) {
        j->callback_at = 0; /* used up */
    }
    if (j->call != c) {
        return;
    }
    j->call = NULL;
    enum job_status status = plan.will_retry                                   ? JOB_QUEUED
                             : outcome == OUT_ANSWERED || c->opted_out_at != 0 ? JOB_COMPLETED
                                                                               : JOB_FAILED;
    const char *error = c->opted_out_at != 0                       ? "opted_out"
                        : strcmp(plan.reason, "dnc_internal") == 0 ? "dnc_internal"
                                                                   : outcome_names[outcome];
    job_set(j, status, plan.next_retry_at != 0 ? plan.next_retry_at : j->next_retry_at, error, at);
}

/* app.end_outcome */
static enum outcome end_outcome(const struct call *c, const struct call_end *f)
{
    enum outcome told = outcome_of(f->outcome);
    if (f->answered_at == 0 && c->answered_at == 0 && told != OUT_ANSWERED) {
        return told >= OUT_NO_ANSWER && told <= OUT_FAILED ? told : OUT_FAILED;
    }
    if (c->machine || strcmp(c->disconnect_reason, "voicemail") == 0 || told == OUT_VOICEMAIL) {
        return OUT_VOICEMAIL;
    }
    return strcmp(c->disconnect_reason, "cancelled") == 0 ? OUT_FAILED : OUT_ANSWERED;
}

/* app.end_reason */
static const char *end_reason(const struct call *c, const struct call_end *f, enum outcome outcome)
{
    bool told = f->disconnect_reason != NULL && f->disconnect_reason[0] != '\0';
    if (c->opted_out_at != 0) {
        return "opted_out";
    }
    if (outcome == OUT_VOICEMAIL) {
        return told && strcmp(f->disconnect_reason, "completed") != 0 ? f->disconnect_reason
                                                                      : "voicemail";
    }
    if (c->disconnect_reason[0] != '\0') {
        return c->disconnect_reason;
    }
    if (told) {
        return f->disconnect_reason;
    }
    return outcome == OUT_ANSWERED ? "completed"
           : outcome == OUT_FAILED ? "unreachable"
                                   : outcome_names[outcome];
}

void call_cost(struct call *c)
{
    if (c->cost_micros > 0 && !c->cost_counted) {
        c->cost_counted = true;
        c->campaign->spent_micros += c->cost_micros;
    }
}

/* app.finish_call */
void finish_call(struct ledger *l, struct call *c, const struct call_end *f, const char *who,
                 int64_t at)
{
    enum outcome outcome = end_outcome(c, f);
    int64_t answered = f->answered_at != 0 ? f->answered_at : c->answered_at;
    int64_t ended = f->ended_at != 0 ? f->ended_at : at;
    char reason[24];
    str_copy_cut(str_of(end_reason(c, f, outcome)), reason, sizeof reason);
    if (c->status == ST_RESERVED || c->status == ST_UNKNOWN || c->resolved_by == NULL) {
        c->resolved_by = who;
    }
    call_move(l, c, ST_ENDED, at);
    c->ended_at = ended;
    c->answered_at = answered;
    int64_t seconds = f->duration_s >= 0 ? f->duration_s
                                         : i64_max(0, (ended - answered + US_PER_S / 2) / US_PER_S);
    c->duration = answered == 0 ? 0 : (int32_t)seconds;
    c->billed_s = f->billed_s >= 0 ? f->billed_s : c->billed_s;
    c->cost_micros = f->cost_micros >= 0 ? f->cost_micros : c->cost_micros;
    memcpy(c->disconnect_reason, reason, sizeof c->disconnect_reason);
    c->resolved_at = c->resolved_at != 0 ? c->resolved_at : at;
    c->leased_until = 0;
    c->next_reconcile_at = 0;
    call_cost(c);
    settle(l, c, outcome, outcome == OUT_INVALID_NUMBER, at);
}
