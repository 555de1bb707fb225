/* carrier_sim.c -- a telephone network behind carrier.h that remembers what really happened.
 *
 * It takes, refuses or loses requests, dials, rings, reports by webhooks (late, twice, never, in
 * any order), and lists its calls with a lag. Whatever it may do wrong, it keeps the bounds that
 * the settings name: a call it took rings within carrier_queue_ms, rings no longer than asked, and
 * is in the CDR list cdr_lag_ms after its end. */
#include "http_sim.h"
#include "world.h"

#include "base/alloc.h"
#include "base/clock.h"

#include <stdlib.h>
#include <string.h>

enum post_fate {
    POST_TAKEN,
    POST_NOSEND,
    POST_REFUSED,
    POST_BARRED,
    POST_TROUBLE,
    POST_5XX,
    POST_5XX_DIALED,
    POST_CUT,
    POST_CUT_DIALED,
    POST_SLOW_DIALED,
};

struct carrier_op {
    struct world *w;
    struct incarnation *inc;
    bool cancelled;
    /* place */
    struct carrier_ask ask;
    char from[20], to[20];
    struct uuid account_id;
    enum post_fate fate;
    int64_t sent_at;
    bool repeated; /* the mutant: by a client that repeats */
    struct carrier_placed placed;
    carrier_placed_fn *on_placed;
    /* search */
    struct carrier_search search;
    struct carrier_found found;
    struct carrier_sighting sightings[16];
    carrier_found_fn *on_found;
    int list; /* the next to be read */
    /* hang up */
    char call_id[CARRIER_ID_SIZE];
    carrier_done_fn *on_done;
    void *arg;
};

struct hook {
    struct world *w;
    struct dial *dial;
    enum carrier_event_kind kind;
    int tries;
    bool forged;
    bool done;
};

static const char *const kind_words[CARRIER_EVENT_KINDS] = {[CARRIER_EVENT_RING] = "ring",
                                                            [CARRIER_EVENT_ANSWER] = "answer",
                                                            [CARRIER_EVENT_HANGUP] = "hangup",
                                                            [CARRIER_EVENT_MACHINE] = "machine",
                                                            [CARRIER_EVENT_FALLBACK] = "fallback"};

/* --- the life of one dial ------------------------------------------------------------------------- */

static void on_rings(struct world *w, void *arg);
static void on_picked_up(struct world *w, void *arg);
static void on_ends(struct world *w, void *arg);
static void send_hook(struct world *w, struct dial *d, enum carrier_event_kind kind);

static struct dial *dial_new(struct world *w, const struct carrier_op *op)
{
    struct dial *d = xzalloc(sizeof *d);
    list_init(&d->link);
    list_push_back(&w->dials, &d->link);
    d->identity = op->ask.identity;
    str_copy_cut(str_of(op->from), d->from, sizeof d->from);
    str_copy_cut(str_of(op->to), d->to, sizeof d->to);
    d->account_id = op->account_id;
    w->next_number++;
    snprintf(d->call_uuid, sizeof d->call_uuid, "call-%lld", (long long)w->next_number);
    snprintf(d->request_uuid, sizeof d->request_uuid, "req-%lld", (long long)w->next_number);
    d->accepted_at = w->now;
    int64_t queue_us = w->nodes[0].settings.carrier_queue_ms * US_PER_MS;
    bool quick = rng_chance(&w->rng, 0.7);
    d->ring_at = w->now + rng_between(&w->rng, 50000, quick ? 800000 : queue_us);
    person_draw(w, d, op->ask.ring_timeout_s * US_PER_S);
    w->fig.dials++;
    story(w, "carrier", "dials %s for call ..%02x%02x: %s (%s)", d->to,
          d->identity.attempt_id.b[14], d->identity.attempt_id.b[15], d->call_uuid, d->outcome);
    world_at(w, d->ring_at, on_rings, d);
    return d;
}

static bool sounds(const struct dial *d) /* an invalid number never rings */
{
    return strcmp(d->outcome, "invalid_number") != 0 && strcmp(d->outcome, "failed") != 0;
}

static void on_rings(struct world *w, void *arg)
{
    struct dial *d = arg;
    d->rang = sounds(d);
    if (d->rang) {
        send_hook(w, d, CARRIER_EVENT_RING);
    }
    if (d->answer_at != 0) {
        world_at(w, d->answer_at, on_picked_up, d);
    } else {
        world_at(w, d->end_at, on_ends, d);
    }
}

static void on_too_long(struct world *w, void *arg)
{
    struct dial *d = arg;
    if (!d->ended && !d->talking) {
        d->end_at = w->now;
        on_ends(w, d); /* nobody told it what to do: it apologised, and hung up */
    }
}

static void on_picked_up(struct world *w, void *arg)
{
    struct dial *d = arg;
    if (d->ended) {
        return;
    }
    d->answered = true;
    story(w, "carrier", "%s is picked up", d->call_uuid);
    send_hook(w, d, CARRIER_EVENT_ANSWER);
    if (d->machine) {
        send_hook(w, d, CARRIER_EVENT_MACHINE);
    }
    world_in(w, 65 * US_PER_S, on_too_long, d);
}

static void on_ends(struct world *w, void *arg)
{
    struct dial *d = arg;
    if (d->ended) {
        return;
    }
    d->ended = true;
    d->end_at = w->now;
    int64_t lag_us = w->nodes[0].settings.cdr_lag_ms * US_PER_MS;
    d->cdr_at = w->now + rng_between(&w->rng, 0, lag_us);
    story(w, "carrier", "%s ends (%s)", d->call_uuid, d->outcome);
    send_hook(w, d, CARRIER_EVENT_HANGUP);
}

/* --- webhooks ------------------------------------------------------------------------------------- */

static void deliver_hook(struct world *w, void *arg);

static struct hook *hook_new(struct world *w, struct dial *d, enum carrier_event_kind kind)
{
    struct hook *h = xzalloc(sizeof *h);
    *h = (struct hook){.w = w, .dial = d, .kind = kind};
    return h;
}

static void send_hook(struct world *w, struct dial *d, enum carrier_event_kind kind)
{
    int64_t delay_us = rng_between(&w->rng, 10000, 400000);
    if (!w->draining && world_fault(w, "hook.lost")) {
        return;
    }
    if (!w->draining && kind != CARRIER_EVENT_ANSWER && rng_chance(&w->rng, w->p.hook_lost)) {
        world_fired(w, "hook.lost");
        story(w, "carrier", "the report %s of %s is lost", kind_words[kind], d->call_uuid);
        return;
    }
    if (!w->draining && rng_chance(&w->rng, w->p.hook_late)) {
        world_fired(w, "hook.late");
        delay_us = rng_between(&w->rng, US_PER_S, 50 * US_PER_S);
    }
    world_in(w, delay_us, deliver_hook, hook_new(w, d, kind));
    if (!w->draining && rng_chance(&w->rng, w->p.hook_doubled)) {
        world_fired(w, "hook.doubled");
        world_in(w, delay_us + rng_between(&w->rng, 1000, 20 * US_PER_S), deliver_hook,
                 hook_new(w, d, kind));
    }
    if (!w->draining && rng_chance(&w->rng, w->p.forged)) {
        world_fired(w, "hook.forged");
        struct hook *h = hook_new(w, d, kind);
        h->forged = true;
        world_in(w, delay_us / 2, deliver_hook, h);
    }
}

static void start_talk(struct world *w, struct dial *d)
{
    if (d->talking || d->ended) {
        return;
    }
    d->talking = true;
    world_in(w, d->talk_us, on_ends, d);
}

static void on_token_taken(struct world *w, struct http_request *req, void *arg)
{
    struct dial *d = arg;
    if (req->upgraded) {
        start_talk(w, d);
    } else if (!d->ended) {
        d->end_at = w->now;
        on_ends(w, d); /* no stream: the call has nothing more to do */
    }
}

static void open_stream(struct world *w, struct dial *d, const char *token)
{
    struct incarnation *inc = node_pick(w);
    struct http_request *req = request_new(w, "GET", "/media/{token}", on_token_taken, d);
    request_param(req, "token", token);
    req->websocket = true;
    request_send(w, inc, req);
}

static void on_hook_answered(struct world *w, struct http_request *req, void *arg)
{
    struct hook *h = arg;
    struct dial *d = h->dial;
    if (h->forged) {
        w->answered_403 += req->status == 403 ? 1 : 0;
        if (req->status == 200) {
            violation(w, "I9: a forged report of %s was acknowledged", d->call_uuid);
        }
        xfree(h);
        return;
    }
    if (req->status != 200 && ++h->tries < 4) {
        world_in(w, rng_between(&w->rng, US_PER_S, 15 * US_PER_S), deliver_hook, h);
        return;
    }
    if (req->status == 200) {
        d->hooks_taken++;
    }
    if (h->kind == CARRIER_EVENT_ANSWER && !d->ended && !d->talking) {
        if (req->status == 200 && strncmp(req->answer, "stream ", 7) == 0) {
            open_stream(w, d, req->answer + 7);
        } else {
            world_in(w, 3 * US_PER_S, on_ends, d);
        }
    }
    xfree(h);
}

static void deliver_hook(struct world *w, void *arg)
{
    struct hook *h = arg;
    OWNED(buf_fini) struct buf path;
    buf_init(&path, 1024);
    struct carrier_urls urls = w->urls;
    urls.callback_key[0] ^= h->forged && rng_chance(&w->rng, 0.5) ? 1 : 0;
    bool forged_path = urls.callback_key[0] != w->urls.callback_key[0];
    int err = identity_write(&urls, kind_words[h->kind], &h->dial->identity, &path);
    assert(err == 0);
    struct http_request *req =
        request_new(w, "POST", "/carrier/{carrier}/{kind}/{identity}", on_hook_answered, h);
    request_param(req, "carrier", "plivo");
    request_param(req, "kind", kind_words[h->kind]);
    request_param(req, "identity", path.p);
    req->signed_well = !h->forged || forged_path;
    req->dial = h->dial;
    w->fig.hooks++;
    w->fig.forged += h->forged ? 1 : 0;
    request_send(w, node_pick(w), req);
}

/* --- carrier.h: reading webhooks ------------------------------------------------------------------- */

static int sim_verify(const struct http_request *req, const struct carrier_urls *urls,
                      const struct carrier_account *account)
{
    (void)urls;
    return req->signed_well && strcmp(account->auth_token[0], "token") == 0 ? 0 : -EACCES;
}

static void end_facts(const struct dial *d, struct carrier_event *out)
{
    const struct world *w = the_world;
    int64_t wall = WORLD_WALL + w->carrier_skew_us;
    out->outcome = d->answered ? d->machine ? "voicemail" : "answered" : d->outcome;
    out->disconnect_reason = d->answered && !d->machine ? "completed" : d->disconnect_reason;
    out->answered_us = d->answered ? d->answer_at + wall : 0;
    out->ended_us = d->end_at + wall;
    out->duration_s = d->answered ? (int32_t)((d->end_at - d->answer_at) / US_PER_S) : 0;
    out->billed_s = (out->duration_s + 59) / 60 * 60;
    out->cost_micros = out->billed_s / 60 * 10000;
}

static int sim_event_read(struct str kind, struct str body, struct carrier_event *out)
{
    (void)body;
    const struct dial *d = the_world->current->node != NULL ? request_now()->dial : NULL;
    *out = (struct carrier_event){.kind = CARRIER_EVENT_KINDS};
    for (int i = 0; i < CARRIER_EVENT_KINDS; i++) {
        if (kind_words[i] != NULL && str_eq_cstr(kind, kind_words[i])) {
            out->kind = (enum carrier_event_kind)i;
        }
    }
    if (out->kind == CARRIER_EVENT_KINDS || d == NULL) {
        return -EINVAL;
    }
    str_copy_cut(str_of(d->call_uuid), out->call_id, sizeof out->call_id);
    str_copy_cut(str_of(d->request_uuid), out->request_id, sizeof out->request_id);
    snprintf(out->key, sizeof out->key, "%s.%s", kind_words[out->kind], d->call_uuid);
    out->machine = true;
    if (out->kind == CARRIER_EVENT_HANGUP) {
        end_facts(d, out);
    }
    return 0;
}

static int sim_instruct(const struct carrier_urls *urls, const struct carrier_instruction *what,
                        struct buf *out)
{
    (void)urls;
    return what->next == CARRIER_NEXT_STREAM ? buf_addf(out, "stream %s", what->media_token)
                                             : buf_add_cstr(out, "end");
}

/* --- carrier.h: placing a call ---------------------------------------------------------------------- */

static void tell_placed(struct incarnation *inc, void *arg)
{
    (void)inc;
    struct carrier_op *op = arg;
    if (!op->cancelled) {
        op->on_placed(&op->placed, op->arg);
    }
}

static void on_placed_arrives(struct world *w, void *arg)
{
    struct carrier_op *op = arg;
    bool gone = op->cancelled || op->inc->dead;
    if (!gone && (!node_can_run(op->inc) || node_call(op->inc, tell_placed, op) == NODE_SLEEPS)) {
        world_at(w, op->inc->node->busy_until, on_placed_arrives, op);
        return;
    }
    xfree(op);
}

static void unsure(struct carrier_op *op, int status, const char *text)
{
    op->placed.fault = fault_make(FAULT_UNSURE, status, "", "%s", text);
    op->placed.resolved_by = op->w->opt.mutant == MUTANT_FAIL_5XX ? "4xx" : "";
}

static void refused(struct carrier_op *op, int status, const char *text)
{
    op->placed.fault = fault_make(FAULT_REFUSED, status, "", "%s", text);
    op->placed.resolved_by = "4xx";
    op->placed.permanent = op->fate == POST_BARRED;
    op->placed.account_trouble = op->fate == POST_TROUBLE;
}

static bool dials(const struct carrier_op *op)
{
    return op->fate == POST_TAKEN || op->fate == POST_5XX_DIALED || op->fate == POST_CUT_DIALED ||
           op->fate == POST_SLOW_DIALED;
}

static void answer_post(struct carrier_op *op, const struct dial *d)
{
    switch (op->fate) {
    case POST_TAKEN:
        op->placed.resolved_by = "response";
        str_copy_cut(str_of(d->request_uuid), op->placed.request_id, sizeof op->placed.request_id);
        break;
    case POST_REFUSED:
    case POST_BARRED:
        refused(op, 400, "to parameter is invalid");
        break;
    case POST_TROUBLE:
        refused(op, 401, "unauthorized");
        break;
    case POST_5XX:
    case POST_5XX_DIALED:
        unsure(op, 502, "bad gateway");
        break;
    case POST_CUT:
    case POST_CUT_DIALED:
        unsure(op, 0, "the connection broke");
        break;
    case POST_SLOW_DIALED:
        unsure(op, 0, "timeout");
        break;
    case POST_NOSEND:
        break;
    }
}

/* The request reaches the carrier: what it does now is the truth. */
static void on_request(struct world *w, void *arg)
{
    struct carrier_op *op = arg;
    if (op->inc->dead && rng_chance(&w->rng, 0.5)) { /* its sender died in the middle of it */
        xfree(op);
        return;
    }
    bool down = w->carrier_down_until > w->now;
    if (down) {
        op->fate = rng_chance(&w->rng, 0.5) ? POST_5XX : POST_5XX_DIALED;
    }
    const struct dial *d = dials(op) ? dial_new(w, op) : NULL;
    answer_post(op, d);
    bool broke = op->fate == POST_CUT || op->fate == POST_CUT_DIALED;
    if (broke && w->opt.mutant == MUTANT_CLIENT_RETRY && !op->repeated) {
        op->repeated = true;
        op->fate = POST_TAKEN;
        op->placed = (struct carrier_placed){.resolved_by = ""};
        world_in(w, 20000, on_request, op);
        return;
    }
    int64_t timeout_at = op->sent_at + op->ask.timeout_ms * US_PER_MS;
    int64_t back_at =
        op->fate == POST_SLOW_DIALED ? timeout_at : w->now + rng_between(&w->rng, 5000, 300000);
    if (back_at >= timeout_at && op->fate == POST_TAKEN) {
        op->placed = (struct carrier_placed){.resolved_by = ""};
        unsure(op, 0, "timeout");
    }
    world_at(w, i64_min(back_at, timeout_at), on_placed_arrives, op);
}

static enum post_fate draw_fate(struct world *w)
{
    const struct {
        double p;
        enum post_fate fate;
        const char *name;
    } ways[] = {{w->p.nosend, POST_NOSEND, "post.nosend"},
                {w->p.refuse, POST_REFUSED, "post.4xx"},
                {w->p.barred, POST_BARRED, "post.4xx_permanent"},
                {w->p.trouble, POST_TROUBLE, "post.401"},
                {w->p.e5xx, POST_5XX, "post.5xx"},
                {w->p.e5xx_dialed, POST_5XX_DIALED, "post.5xx_dialed"},
                {w->p.cut, POST_CUT, "post.cut"},
                {w->p.cut_dialed, POST_CUT_DIALED, "post.cut_dialed"},
                {w->p.slow_dialed, POST_SLOW_DIALED, "post.timeout_dialed"}};
    double u = rng_unit(&w->rng);
    for (size_t i = 0; i < COUNT_OF(ways); i++) {
        bool planned = world_fault(w, ways[i].name);
        if (planned || (!w->draining && u < ways[i].p)) {
            fault_names[fault_name_of(ways[i].name)].fired += planned ? 0 : 1;
            return ways[i].fate;
        }
        u -= ways[i].p;
    }
    return POST_TAKEN;
}

static struct carrier_op *op_new(struct http_client *http, const struct carrier_account *account)
{
    struct carrier_op *op = xzalloc(sizeof *op);
    op->inc = client_of(http);
    op->w = op->inc->w;
    op->account_id = account->id;
    return op;
}

static int sim_place(struct carrier_op **op_p, struct http_client *http,
                     const struct carrier_urls *urls, const struct carrier_account *account,
                     const struct carrier_ask *ask, carrier_placed_fn *on_done, void *arg)
{
    (void)urls;
    struct carrier_op *op = op_new(http, account);
    struct world *w = op->w;
    op->ask = *ask;
    op->on_placed = on_done;
    op->arg = arg;
    str_copy_cut(str_of(ask->from_e164), op->from, sizeof op->from);
    str_copy_cut(str_of(ask->to_e164), op->to, sizeof op->to);
    op->placed.resolved_by = "";
    op->sent_at = node_now(op->inc);
    op->fate = draw_fate(w);
    *op_p = op;
    if (op->fate == POST_NOSEND) {
        op->placed.fault = fault_make(FAULT_NOT_SENT, 0, "", "connection refused");
        op->placed.resolved_by = "nosend";
        world_at(w, op->sent_at + rng_between(&w->rng, 1000, 200000), on_placed_arrives, op);
    } else {
        world_at(w, op->sent_at + rng_between(&w->rng, 2000, 250000), on_request, op);
    }
    return 0;
}

/* --- carrier.h: its lists ---------------------------------------------------------------------------- */

static void sight(struct carrier_op *op, const struct dial *d, enum carrier_where where)
{
    if (op->found.count == COUNT_OF(op->sightings)) {
        return;
    }
    int64_t wall = WORLD_WALL + op->w->carrier_skew_us;
    struct carrier_sighting *s = &op->sightings[op->found.count++];
    *s = (struct carrier_sighting){.where = where, .outbound = true};
    str_copy_cut(str_of(d->call_uuid), s->call_id, sizeof s->call_id);
    str_copy_cut(str_of(d->from), s->from_e164, sizeof s->from_e164);
    str_copy_cut(str_of(d->to), s->to_e164, sizeof s->to_e164);
    s->initiated_us = where == CARRIER_QUEUED ? 0 : i64_min(d->ring_at, op->w->now) + wall;
    s->answered_us = d->answered && where != CARRIER_QUEUED ? d->answer_at + wall : 0;
    if (where == CARRIER_CDR) {
        struct carrier_event e = {.kind = CARRIER_EVENT_HANGUP};
        end_facts(d, &e);
        s->ended_us = e.ended_us;
        s->duration_s = e.duration_s;
        s->billed_s = e.billed_s;
        s->cost_micros = e.cost_micros;
        s->outcome = e.outcome;
        s->disconnect_reason = e.disconnect_reason;
    }
}

static bool shown(const struct world *w, const struct dial *d, enum carrier_where where)
{
    switch (where) {
    case CARRIER_LIVE:
        return w->now >= d->ring_at && (!d->ended || w->now < d->end_at + 300000);
    case CARRIER_QUEUED:
        return w->now < d->ring_at;
    case CARRIER_CDR:
        return d->ended && w->now >= d->cdr_at;
    }
    return false;
}

/* Calls of numbers that begin alike, and a call in the other direction: not ours. */
static void sight_others(struct carrier_op *op, enum carrier_where where)
{
    struct dial stranger = {.accepted_at = op->w->now, .ring_at = op->w->now, .outcome = "busy"};
    snprintf(stranger.call_uuid, sizeof stranger.call_uuid, "other-%lld",
             (long long)op->w->next_number++);
    snprintf(stranger.to, sizeof stranger.to, "%.17s9", op->to);
    snprintf(stranger.from, sizeof stranger.from, "%s", op->from);
    stranger.end_at = op->w->now;
    sight(op, &stranger, where);
    stranger.call_uuid[0] = 'x';
    snprintf(stranger.to, sizeof stranger.to, "%s", op->to);
    sight(op, &stranger, where);
    if (op->found.count > 0) {
        op->sightings[op->found.count - 1].outbound = false;
    }
}

static void tell_found(struct incarnation *inc, void *arg)
{
    (void)inc;
    struct carrier_op *op = arg;
    op->found.sightings = op->sightings;
    if (!op->cancelled) {
        op->on_found(&op->found, op->arg);
    }
}

static void on_found_arrives(struct world *w, void *arg)
{
    struct carrier_op *op = arg;
    bool gone = op->cancelled || op->inc->dead;
    if (!gone && (!node_can_run(op->inc) || node_call(op->inc, tell_found, op) == NODE_SLEEPS)) {
        world_at(w, op->inc->node->busy_until, on_found_arrives, op);
        return;
    }
    xfree(op);
}

/* One list after the other, each as it is at that moment: a call may slip through between them. */
static void on_list(struct world *w, void *arg)
{
    struct carrier_op *op = arg;
    enum carrier_where where = (enum carrier_where)op->list++;
    if (w->carrier_down_until > w->now) {
        op->found.fault = fault_make(FAULT_UNSURE, 503, "", "a list could not be read");
        op->found.count = 0;
        world_in(w, 100000, on_found_arrives, op);
        return;
    }
    LIST_EACH(it, &w->dials)
    {
        const struct dial *d = LIST_ITEM(it, struct dial, link);
        bool mine = strcmp(d->from, op->from) == 0 && strcmp(d->to, op->to) == 0 &&
                    uuid_eq(&d->account_id, &op->account_id);
        if (mine && shown(w, d, where) &&
            d->accepted_at + WORLD_WALL + w->carrier_skew_us >= op->search.since_us) {
            sight(op, d, where);
        }
    }
    if (rng_chance(&w->rng, 0.1)) {
        sight_others(op, where);
    }
    if (op->list <= CARRIER_CDR) {
        world_in(w, rng_between(&w->rng, 5000, 400000), on_list, op);
        return;
    }
    op->found.carrier_date_us = w->now + WORLD_WALL + w->carrier_skew_us;
    world_in(w, rng_between(&w->rng, 5000, 100000), on_found_arrives, op);
}

static int sim_search(struct carrier_op **op_p, struct http_client *http,
                      const struct carrier_account *account, const struct carrier_search *search,
                      carrier_found_fn *on_done, void *arg)
{
    struct carrier_op *op = op_new(http, account);
    struct world *w = op->w;
    op->search = *search;
    op->on_found = on_done;
    op->arg = arg;
    str_copy_cut(str_of(search->from_e164), op->from, sizeof op->from);
    str_copy_cut(str_of(search->to_e164), op->to, sizeof op->to);
    w->fig.searches++;
    *op_p = op;
    bool fails = world_fault(w, "search.fails");
    if (fails || (!w->draining && rng_chance(&w->rng, w->p.search_fails))) {
        fault_names[fault_name_of("search.fails")].fired += fails ? 0 : 1;
        op->found.fault = fault_make(FAULT_BROKEN, 200, "", "a page is missing");
        world_in(w, rng_between(&w->rng, 5000, 5000000), on_found_arrives, op);
        return 0;
    }
    world_at(w, node_now(op->inc) + rng_between(&w->rng, 5000, 300000), on_list, op);
    return 0;
}

static void sim_cancel(struct carrier_op **op)
{
    if (*op != NULL) {
        (*op)->cancelled = true; /* what was sent may still arrive */
        *op = NULL;
    }
}

void carrier_free(struct world *w)
{
    LIST_EACH_SAFE(it, &w->dials)
    {
        xfree(LIST_ITEM(it, struct dial, link));
    }
}

const struct carrier carrier_plivo = {
    .name = "plivo",
    .place_start = sim_place,
    .search_start = sim_search,
    .cancel = sim_cancel,
    .verify = sim_verify,
    .verify_upgrade = sim_verify,
    .event_read = sim_event_read,
    .instruct = sim_instruct,
    .instruct_type = "text/plain",
};
