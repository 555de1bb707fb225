/* check.c -- what must hold after every run, from the truth of the carrier and the rows of the ledger
 * (never-twice 2.6). Nothing here uses a decision of the ledger: it is computed anew. */
#include "world.h"
#include "zones.h"

#include "base/clock.h"

#include <string.h>

static const char *tail(const struct uuid *id)
{
    static char text[4][UUID_TEXT_SIZE];
    static int at;
    at = (at + 1) % 4;
    uuid_text(id, text[at]);
    return text[at] + 32;
}

static const struct call *call_of(const struct world *w, const struct dial *d)
{
    return ledger_call(w->ledger, &d->identity.attempt_id);
}

/* I1: one dial an attempt. I3: each dial is exactly one ended row that names it. */
static void check_dials(struct world *w)
{
    LIST_EACH(it, &w->dials)
    {
        const struct dial *d = LIST_ITEM(it, struct dial, link);
        int dials = 0;
        LIST_EACH(other, &w->dials)
        {
            const struct dial *o = LIST_ITEM(other, struct dial, link);
            dials += uuid_eq(&o->identity.attempt_id, &d->identity.attempt_id) ? 1 : 0;
        }
        if (dials > 1) {
            violation(w, "I1: call ..%s was dialed %d times", tail(&d->identity.attempt_id), dials);
        }
        const struct call *c = call_of(w, d);
        if (c == NULL) {
            violation(w, "I3: %s belongs to no row", d->call_uuid);
        } else if (c->status != ST_ENDED) {
            violation(w, "I3: %s was dialed, but call ..%s is %s (%s)", d->call_uuid, tail(&c->id),
                      status_names[c->status], c->resolved_by != NULL ? c->resolved_by : "-");
        } else if (strcmp(c->call_sid, d->call_uuid) != 0) {
            violation(w, "I3: call ..%s names %s, not %s", tail(&c->id), c->call_sid, d->call_uuid);
        }
    }
}

/* I2: nobody is phoned while another attempt to them lives at the carrier; no more often than allowed. */
static void check_persons(struct world *w)
{
    LIST_EACH(it, &w->dials)
    {
        const struct dial *a = LIST_ITEM(it, struct dial, link);
        int64_t dials = 0;
        const struct call *c = call_of(w, a);
        LIST_EACH(other, &w->dials)
        {
            const struct dial *b = LIST_ITEM(other, struct dial, link);
            bool same = strcmp(a->to, b->to) == 0 &&
                        uuid_eq(&a->identity.organization_id, &b->identity.organization_id);
            bool rang = b->rang || b->answered;
            dials += same && rang ? 1 : 0;
            if (same && a != b && b->accepted_at >= a->accepted_at && b->accepted_at < a->end_at) {
                violation(w, "I2: %s was dialed as %s while %s was live", a->to, b->call_uuid,
                          a->call_uuid);
            }
        }
        int32_t most = c == NULL ? 0
                       : c->lead->org->number_cap_24h < c->lead->law->cap_24h
                           ? c->lead->org->number_cap_24h
                           : c->lead->law->cap_24h;
        if (c != NULL && dials > most) {
            violation(w, "I2: %s rang %lld times, %d are allowed", a->to, (long long)dials, most);
        }
    }
}

static bool was_dialed(const struct world *w, const struct call *c)
{
    LIST_EACH(it, &w->dials)
    {
        const struct dial *d = LIST_ITEM(it, struct dial, link);
        if (uuid_eq(&d->identity.attempt_id, &c->id)) {
            return true;
        }
    }
    return false;
}

/* I4: what ended was dialed. I5: nothing is left open. I7: no report of one that was written off. R2. */
static void check_calls(struct world *w)
{
    for (size_t i = 0; i < w->ledger->call_count; i++) {
        const struct call *c = w->ledger->call_list[i];
        w->fig.longest_unknown_us = i64_max(w->fig.longest_unknown_us, c->longest_unknown_us);
        if (c->status == ST_ENDED && !was_dialed(w, c)) {
            violation(w, "I4: call ..%s ended, but was never dialed", tail(&c->id));
        }
        if (status_live(c->status)) {
            violation(w, "I5: call ..%s is still %s", tail(&c->id), status_names[c->status]);
        } else if (!c->settled || c->resolved_by == NULL) {
            violation(w, "R2: call ..%s has no outcome or no evidence", tail(&c->id));
        }
        if (c->incidents > 0) {
            violation(w, "I7: call ..%s had an incident", tail(&c->id));
        }
    }
    if (w->ledger->revived > 0) {
        violation(w, "I3: %lld ended calls came back to life", (long long)w->ledger->revived);
    }
    if (w->ledger->anomalies > 0) {
        violation(w, "I7: %lld anomalies reported", (long long)w->ledger->anomalies);
    }
}

/* I6: every job is over, or waits for a moment. */
static void check_jobs(struct world *w)
{
    for (size_t i = 0; i < w->ledger->campaign_count; i++) {
        const struct campaign *c = w->ledger->campaign_list[i];
        for (size_t k = 0; k < c->job_count; k++) {
            const struct job *j = c->jobs[k];
            if (j->status == JOB_PROCESSING) {
                violation(w, "I6: a job of %s is still processing", c->name);
            }
            int counted = 0;
            for (size_t n = 0; n < j->lead->call_count; n++) {
                const struct call *call = j->lead->calls[n];
                counted += call->job == j && call->status == ST_ENDED ? 1 : 0;
            }
            if (counted != j->attempt_count) {
                violation(w, "I6: a job of %s counts %d attempts, %d were made", c->name,
                          j->attempt_count, counted);
            }
        }
    }
}

static int minute_of(const struct zone *z, int64_t at)
{
    int64_t local = zone_local_s(z, at / US_PER_S);
    return (int)((local % 86400 + 86400) % 86400 / 60);
}

static bool open_at(const struct call *c, int64_t at)
{
    int minute = minute_of(c->lead->zones[0], at);
    return minute >= 540 && minute < 1200 && minute >= c->campaign->span.from_min &&
           minute < c->campaign->span.to_min;
}

/* I8: at its intent, and at that moment in truth (clocks may be CLOCKS_APART off), each dial was inside
 * the hours of law and campaign, its number not refused, its tenant not paused. */
#define CLOCKS_APART (5 * US_PER_S)

static void check_gate(struct world *w)
{
    for (size_t i = 0; i < w->ledger->call_count; i++) {
        const struct call *c = w->ledger->call_list[i];
        bool truly = open_at(c, c->true_at - CLOCKS_APART) || open_at(c, c->true_at + CLOCKS_APART);
        if (!open_at(c, c->intent_at) || !truly) {
            violation(w, "I8: call ..%s was claimed outside its hours", tail(&c->id));
        }
        if (c->lead->dnc_true_at != 0 && c->true_at > c->lead->dnc_true_at) {
            violation(w, "I8: call ..%s was claimed after an opt-out", tail(&c->id));
        }
        LIST_EACH(it, &w->ledger->pauses)
        {
            const struct pause *p = LIST_ITEM(it, struct pause, link);
            bool inside = c->true_at > p->paused_at && c->true_at < p->resumed_at - CLOCKS_APART;
            if (inside && p->org == c->campaign->org) {
                violation(w, "I8: call ..%s was claimed in a pause", tail(&c->id));
            }
        }
    }
}

/* Lines are counted in the truth: no more calls of a campaign at once than it may have. */
static void check_lines(struct world *w)
{
    LIST_EACH(it, &w->dials)
    {
        const struct dial *a = LIST_ITEM(it, struct dial, link);
        const struct call *c = call_of(w, a);
        int live = 0;
        LIST_EACH(other, &w->dials)
        {
            const struct dial *b = LIST_ITEM(other, struct dial, link);
            live += strcmp(a->from, b->from) == 0 && b->accepted_at <= a->accepted_at &&
                            b->end_at > a->accepted_at
                        ? 1
                        : 0;
        }
        if (c != NULL && live > c->campaign->lines) {
            violation(w, "I8: %d calls of %s at once, %d lines", live, c->campaign->name,
                      c->campaign->lines);
        }
    }
}

void check_world(struct world *w)
{
    check_dials(w);
    check_persons(w);
    check_calls(w);
    check_jobs(w);
    check_gate(w);
    check_lines(w);
    if (w->fig.forged > 0 && w->answered_403 > w->fig.forged) {
        violation(w, "I9: more refusals than forgeries");
    }
}
