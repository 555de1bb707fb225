#include "ledger.h"

#include "base/alloc.h"
#include "base/clock.h"

#include <string.h>

static int64_t first_of(int64_t a, int64_t b)
{
    return a != 0 ? a : b;
}

/* app.event_foreign */
static bool foreign(const struct ledger *l, const struct call *c, const char *uuid)
{
    if (c->status == ST_NOT_PLACED) {
        return true;
    }
    if (uuid == NULL || uuid[0] == '\0') {
        return false;
    }
    const struct call *owner = map_get(&l->sids, str_of(uuid));
    return (c->call_sid[0] != '\0' && strcmp(c->call_sid, uuid) != 0) ||
           (owner != NULL && owner != c);
}

/* app.event_put: false when the report was there already. */
static bool put(struct ledger *l, struct call *c, const char *kind, const char *key, bool anomaly)
{
    LIST_EACH(it, &c->events)
    {
        const struct event *e = LIST_ITEM(it, struct event, link);
        if (strcmp(e->kind, kind) == 0 && strcmp(e->key, key) == 0) {
            return false;
        }
    }
    struct event *e = xzalloc(sizeof *e);
    list_init(&e->link);
    str_copy_cut(str_of(kind), e->kind, sizeof e->kind);
    str_copy_cut(str_of(key), e->key, sizeof e->key);
    e->anomaly = anomaly;
    list_push_back(&c->events, &e->link);
    l->anomalies += anomaly ? 1 : 0;
    return true;
}

static bool is(const char *a, const char *b)
{
    return strcmp(a, b) == 0;
}

void ledger_event(struct ledger *l, const struct uuid *call_id, const struct report_args *r,
                  struct report_result *out)
{
    struct call *c = ledger_call(l, call_id);
    *out = (struct report_result){.known = c != NULL, .reason = ""};
    if (c == NULL) {
        return;
    }
    bool is_foreign = foreign(l, c, r->call_uuid);
    bool rings = is(r->kind, "ring") && c->answered_at == 0 &&
                 (c->status == ST_RESERVED || c->status == ST_DIALING || c->status == ST_UNKNOWN);
    bool fresh = put(l, c, r->kind, r->key, is_foreign);
    out->duplicate = !fresh;
    if (fresh && !is_foreign) {
        if (is(r->kind, "ring")) {
            c->ringing_at = first_of(c->ringing_at, r->at);
        }
        c->machine = c->machine || is(r->kind, "machine");
        call_name(l, c, r->call_uuid, r->request_uuid);
        if (rings || (l->mutant == MUTANT_REVIVE && is(r->kind, "ring") && c->status == ST_ENDED)) {
            call_move(l, c, ST_RINGING, r->at);
            c->resolved_by = c->resolved_by != NULL ? c->resolved_by : "hook";
            c->resolved_at = first_of(c->resolved_at, r->at);
            c->leased_until = 0;
            c->next_reconcile_at = r->at + ring_allowance_us(c->campaign);
        }
        out->applied = is(r->kind, "ring") || is(r->kind, "machine");
    }
    out->anomaly = is_foreign && fresh;
    out->status = c->status;
}

static void answered(struct ledger *l, struct call *c, const struct report_args *r, bool token,
                     int64_t expires_at)
{
    bool was_open = c->status == ST_RESERVED || c->status == ST_UNKNOWN;
    bool moves = was_open || c->status == ST_DIALING || c->status == ST_RINGING ||
                 (l->mutant == MUTANT_REVIVE && c->status == ST_ENDED);
    c->answered_at = first_of(c->answered_at, r->at);
    call_name(l, c, r->call_uuid, r->request_uuid);
    c->adopted_at = was_open ? first_of(c->adopted_at, r->at) : c->adopted_at;
    c->resolved_by = c->resolved_by != NULL ? c->resolved_by : "hook";
    c->resolved_at = first_of(c->resolved_at, r->at);
    c->leased_until = 0;
    if (moves) {
        call_move(l, c, ST_IN_PROGRESS, r->at);
    }
    c->next_reconcile_at = c->status == ST_ENDED ? 0
                           : token               ? expires_at + 15 * US_PER_S
                                                 : r->at + talk_allowance_us(c->campaign);
}

static const char *answer_refusal(const struct ledger *l, const struct call *c, bool fresh,
                                  int64_t at)
{
    if (c->status != ST_IN_PROGRESS && c->status != ST_TRANSFERRING) {
        return status_names[c->status];
    }
    if (c->opted_out_at != 0) {
        return "opted_out";
    }
    if (!fresh && c->token_used) {
        return "streaming";
    }
    if (!fresh && c->tokens >= 6) {
        return "asked_too_often";
    }
    return gate_at_answer(l, c, at).reason;
}

static void refuse_answer(struct call *c, const char *why)
{
    bool talks = c->status == ST_IN_PROGRESS || c->status == ST_TRANSFERRING;
    bool opted = is(why, "dnc_internal") || is(why, "dnc_campaign") || is(why, "opted_out");
    if (talks && !is(why, "streaming") && !is(why, "asked_too_often") &&
        c->disconnect_reason[0] == '\0') {
        str_copy_cut(str_of(opted ? "opted_out" : "cancelled"), c->disconnect_reason,
                     sizeof c->disconnect_reason);
    }
}

static void token_put(struct ledger *l, struct call *c, const uint8_t hash[32], int64_t expires_at)
{
    LIST_EACH(it, &l->tokens)
    {
        if (memcmp(LIST_ITEM(it, struct token, link)->hash, hash, 32) == 0) {
            return;
        }
    }
    struct token *t = xzalloc(sizeof *t);
    memcpy(t->hash, hash, 32);
    t->call = c;
    t->expires_at = expires_at;
    list_init(&t->link);
    list_push_back(&l->tokens, &t->link);
    c->tokens++;
}

void ledger_answer(struct ledger *l, const struct uuid *call_id, const struct report_args *r,
                   const uint8_t hash[32], int64_t expires_at, struct report_result *out)
{
    struct call *c = ledger_call(l, call_id);
    *out = (struct report_result){.known = c != NULL, .reason = "no_such_call"};
    if (c == NULL) {
        return;
    }
    bool is_foreign = foreign(l, c, r->call_uuid);
    bool fresh = put(l, c, "answer", r->key, is_foreign);
    out->status = c->status;
    out->duplicate = !fresh;
    out->anomaly = is_foreign && fresh;
    if (is_foreign) {
        out->reason = c->status == ST_NOT_PLACED ? "not_placed" : "other_call";
        return;
    }
    if (fresh) {
        answered(l, c, r, hash != NULL, expires_at);
    }
    out->status = c->status;
    const char *why = answer_refusal(l, c, fresh, r->at);
    if (why != NULL) {
        refuse_answer(c, why);
        out->reason = why;
        return;
    }
    if (hash != NULL) {
        token_put(l, c, hash, expires_at);
    }
    out->reason = "";
    out->talk = true;
}

void ledger_hangup(struct ledger *l, const struct uuid *call_id, const struct report_args *r,
                   const struct store_end *end, struct report_result *out)
{
    struct call *c = ledger_call(l, call_id);
    *out = (struct report_result){.known = c != NULL, .reason = ""};
    if (c == NULL) {
        return;
    }
    bool is_foreign = foreign(l, c, r->call_uuid);
    bool fresh = put(l, c, "hangup", r->key, is_foreign);
    out->duplicate = !fresh;
    out->anomaly = is_foreign && fresh;
    if (fresh && !is_foreign) {
        call_name(l, c, r->call_uuid, r->request_uuid);
        if (c->status == ST_ENDED) {
            c->billed_s = c->billed_s >= 0 ? c->billed_s : end->billed_s;
            c->cost_micros = c->cost_micros >= 0 ? c->cost_micros : end->cost_micros;
            call_cost(c);
        } else {
            struct call_end fact = {.outcome = end->outcome,
                                    .disconnect_reason = end->disconnect_reason,
                                    .answered_at = end->answered_us,
                                    .ended_at = end->ended_us,
                                    .duration_s = end->duration_s,
                                    .billed_s = end->billed_s,
                                    .cost_micros = end->cost_micros};
            finish_call(l, c, &fact, "hook", r->at);
        }
    }
    out->status = c->status;
}

static struct token *token_good(const struct ledger *l, const uint8_t hash[32], int64_t at)
{
    LIST_EACH(it, &l->tokens)
    {
        struct token *t = LIST_ITEM(it, struct token, link);
        bool talks = t->call->status == ST_IN_PROGRESS || t->call->status == ST_TRANSFERRING;
        if (memcmp(t->hash, hash, 32) == 0 && !t->used && t->expires_at > at && talks) {
            return t;
        }
    }
    return NULL;
}

struct call *ledger_media_look(const struct ledger *l, const uint8_t hash[32], int64_t at)
{
    const struct token *t = token_good(l, hash, at);
    return t != NULL ? t->call : NULL;
}

struct call *ledger_media_token(struct ledger *l, const uint8_t hash[32], int64_t at)
{
    struct token *t = token_good(l, hash, at);
    if (t == NULL) {
        return NULL;
    }
    t->used = true;
    t->call->token_used = true;
    t->call->next_reconcile_at =
        at + (worker_known_alive(l, &t->call->worker_id) ? talk_allowance_us(t->call->campaign)
                                                         : 15 * US_PER_S);
    return t->call;
}

static void drop_callbacks(struct ledger *l, const struct lead *lead, int64_t at, int64_t *removed)
{
    for (size_t i = 0; i < l->campaign_count; i++) {
        struct campaign *k = l->campaign_list[i];
        for (size_t n = 0; n < k->job_count && k->org == lead->org; n++) {
            struct job *j = k->jobs[n];
            if (j->lead != lead) {
                continue;
            }
            if (j->status == JOB_QUEUED) {
                job_set(j, JOB_FAILED, j->next_retry_at, "dnc_internal", at);
                ++*removed;
            }
            j->callback_at = 0;
        }
    }
}

/* app.opt_out */
void ledger_opt_out(struct ledger *l, const struct uuid *call_id, int64_t at,
                    struct opt_out_result *out)
{
    struct call *c = ledger_call(l, call_id);
    *out = (struct opt_out_result){.found = c != NULL};
    if (c == NULL) {
        return;
    }
    out->added = c->opted_out_at == 0; /* one entry a call, and they add up */
    c->lead->dnc_at = first_of(c->lead->dnc_at, at);
    c->lead->consent_revoked = true;
    c->opted_out_at = first_of(c->opted_out_at, at);
    if (c->answered_at != 0) {
        str_copy_cut(STR("opted_out"), c->disconnect_reason, sizeof c->disconnect_reason);
    }
    drop_callbacks(l, c->lead, at, &out->removed);
}
