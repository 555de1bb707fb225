/* campaign.c -- runs campaigns forward to their end on the virtual clock, and says what came of them.
 *
 *     simulate_campaign --scenario FILE.json [--seed N]      one JSON object on standard output
 *
 * The dialer is the product's; nights and weekends, in which nothing is due and nobody talks, are
 * skipped by setting all clocks. What a person does is drawn from (seed, lead, attempt), so it
 * does not depend on when the call is made, but for the hour's factor. */
#include "campaign.h"
#include "zones.h"

#include "base/alloc.h"
#include "base/clock.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#define IDLE_AHEAD_US (12 * US_PER_S) /* clocks are compared anew before anything is due */
#define SHORT_CALL_S  6

struct scenario the_scenario;
static json_t *scenario_json;

/* --- people ----------------------------------------------------------------------------------------- */

static uint64_t mixed(uint64_t a, uint64_t b)
{
    struct rng r = {.state = a * 0x9e3779b97f4a7c15ULL + b};
    (void)rng_next(&r);
    return rng_next(&r);
}

static const struct truth *truth_of(const struct campaign *c)
{
    for (size_t i = 0; i < the_scenario.count; i++) {
        if (the_scenario.truths[i].campaign == c) {
            return &the_scenario.truths[i];
        }
    }
    return &the_scenario.truths[0];
}

static enum outcome draw_outcome(const struct truth *t, const struct call *c, struct rng *r)
{
    size_t mix =
        (size_t)c->attempt_number - 1 < t->mixes ? (size_t)c->attempt_number - 1 : t->mixes - 1;
    const double *p = t->p[mix];
    int64_t local_s = zone_local_s(c->lead->zones[0], c->intent_at / US_PER_S);
    double answered = p[OUT_ANSWERED] * t->hour[(local_s % 86400) / 3600];
    answered = answered < 1 ? answered : 1;
    double rest = p[OUT_ANSWERED] < 1 ? (1 - answered) / (1 - p[OUT_ANSWERED]) : 0;
    double u = rng_unit(r);
    for (int o = 1; o < OUT_COUNT; o++) {
        double share = o == OUT_ANSWERED ? answered : p[o] * rest;
        if (u < share) {
            return (enum outcome)o;
        }
        u -= share;
    }
    return OUT_NO_ANSWER;
}

static double drawn(struct rng *r, const struct spread *s)
{
    return rng_lognormal(r, s->median, s->sigma);
}

void person_draw(struct world *w, struct dial *d, int64_t ring_max_us)
{
    static const char *const reasons[OUT_COUNT] = {
        [OUT_ANSWERED] = "completed", [OUT_NO_ANSWER] = "no_answer",
        [OUT_BUSY] = "busy",          [OUT_VOICEMAIL] = "voicemail",
        [OUT_REJECTED] = "rejected",  [OUT_INVALID_NUMBER] = "invalid_number",
        [OUT_FAILED] = "unreachable", [OUT_NOT_PLACED] = "unreachable"};
    const struct call *c = ledger_call(w->ledger, &d->identity.attempt_id);
    const struct truth *t = truth_of(c->campaign);
    struct rng r = {
        .state = mixed(mixed(the_scenario.seed, lead_index(c->lead)), (uint64_t)c->attempt_number)};
    enum outcome o = draw_outcome(t, c, &r);
    int64_t ring_us = (int64_t)(drawn(&r, &t->ring[o]) * 1e6);
    double talk_s = drawn(&r, o == OUT_VOICEMAIL ? &t->machine : &t->talk);
    double most_s = c->campaign->max_duration_s;
    d->talk_us = (int64_t)((talk_s < most_s ? talk_s : most_s) * 1e6);
    d->outcome = outcome_names[o];
    d->disconnect_reason = reasons[o];
    d->machine = o == OUT_VOICEMAIL;
    if (o == OUT_ANSWERED || o == OUT_VOICEMAIL) {
        d->answer_at = d->ring_at + i64_min(ring_us, ring_max_us - US_PER_S);
    } else {
        d->end_at = d->ring_at + (o == OUT_NO_ANSWER ? ring_max_us : i64_min(ring_us, ring_max_us));
    }
}

/* --- the world without accidents ----------------------------------------------------------------------- */

void accidents_plan(struct world *w)
{
    (void)w;
}

void check_world(struct world *w)
{
    (void)w;
}

static void start_node(struct world *w, void *arg)
{
    node_start(w, arg);
}

void scenario_make(struct world *w)
{
    struct scenario *s = &the_scenario;
    if (scenario_read(s, w->ledger, scenario_json) < 0) {
        exit(2);
    }
    world_zero_us = s->start_us - w->now;
    w->ledger->one_clock = true;
    w->node_count = 1;
    struct node *n = &w->nodes[0];
    snprintf(n->data_dir, sizeof n->data_dir, "host0");
    n->settings = (struct settings){.data_dir = n->data_dir,
                                    .calls_max = s->calls_max,
                                    .claim_interval_ms = s->claim_interval_ms,
                                    .claim_batch = s->claim_batch,
                                    .claim_deadline_ms = 2000,
                                    .place_timeout_ms = 10000,
                                    .ring_timeout_s = 120,
                                    .lease_ms = 60000,
                                    .carrier_queue_ms = 1000,
                                    .cdr_lag_ms = 245000,
                                    .absence_scan_gap_ms = 60000,
                                    .reconcile_interval_ms = 15000};
    w->horizon_us = dial_horizon_ms(&n->settings) * US_PER_MS;
    w->urls.public_url = "https://sim.example";
    w->active_until = INT64_MAX / 4;
    w->give_up_at = INT64_MAX / 2;
    world_at(w, w->now, start_node, n);
}

static bool all_over(const struct world *w)
{
    for (size_t i = 0; i < w->ledger->campaign_count; i++) {
        if (w->ledger->campaign_list[i]->status != CAMPAIGN_COMPLETED) {
            return false;
        }
    }
    return true;
}

/* When the next lead is due, if nothing happens until then; 0: something does. */
static int64_t idle_until(const struct world *w)
{
    int64_t next = INT64_MAX;
    if (!list_empty(&w->ledger->live)) {
        return 0;
    }
    for (size_t i = 0; i < w->ledger->campaign_count; i++) {
        const struct campaign *c = w->ledger->campaign_list[i];
        if (c->status != CAMPAIGN_ACTIVE) {
            continue;
        }
        if (c->ready_count > 0 || c->waiting_count == 0) {
            return 0;
        }
        next = i64_min(next, c->waiting[1]->next_retry_at);
    }
    return next == INT64_MAX ? 0 : next;
}

static void skip_idle(struct world *w)
{
    int64_t until = idle_until(w);
    int64_t ahead = until - IDLE_AHEAD_US - world_wall(w);
    if (until != 0 && ahead > US_PER_S && w->nodes[0].inc != NULL) {
        world_zero_us += ahead;
        loop_set_wall(w->nodes[0].inc->loop, loop_wall_us(w->nodes[0].inc->loop) + ahead);
    }
}

static void run(struct world *w)
{
    while (!all_over(w) && world_wall(w) < the_scenario.until_us && world_step(w)) {
        skip_idle(w);
    }
}

/* --- what came of it ------------------------------------------------------------------------------------ */

static void count_in(json_t *obj, const char *key, int64_t by)
{
    json_object_set_new(obj, key, json_integer(json_get_i64(obj, key, 0) + by));
}

static void add_calls(const struct campaign *c, json_t *out)
{
    json_t *days = json_object();
    json_t *outcomes = json_object();
    int64_t dials = 0, talk_s = 0, billed_s = 0, shorts = 0;
    for (size_t i = 0; i < c->call_count; i++) {
        const struct call *k = c->calls[i];
        char at[CLOCK_TEXT_SIZE];
        clock_format(k->intent_at, at);
        at[10] = '\0';
        dials++;
        talk_s += k->duration;
        billed_s += i64_max(k->billed_s, 0);
        shorts += k->outcome == OUT_ANSWERED && k->duration <= SHORT_CALL_S ? 1 : 0;
        count_in(days, at, 1);
        count_in(outcomes, k->settled ? outcome_names[k->outcome] : "open", 1);
    }
    json_object_set_new(out, "dials", json_integer(dials));
    json_object_set_new(out, "calls_by_day", days);
    json_object_set_new(out, "outcomes", outcomes);
    json_object_set_new(out, "talk_s", json_integer(talk_s));
    json_object_set_new(out, "billed_s", json_integer(billed_s));
    json_object_set_new(out, "short_calls", json_integer(shorts));
    double per_minute = truth_of(c)->cost_per_minute;
    json_object_set_new(out, "cost_micros",
                        json_integer((json_int_t)((double)billed_s / 60 * per_minute)));
}

static json_t *campaign_result(const struct campaign *c)
{
    static const char *const words[] = {"active", "paused", "completed"};
    json_t *out = json_object();
    json_t *failed = json_object();
    int64_t completed = 0, queued = 0;
    for (size_t i = 0; i < c->job_count; i++) {
        const struct job *j = c->jobs[i];
        completed += j->status == JOB_COMPLETED ? 1 : 0;
        queued += j->status == JOB_QUEUED || j->status == JOB_PROCESSING ? 1 : 0;
        if (j->status == JOB_FAILED) {
            count_in(failed, j->last_error, 1);
        }
    }
    json_object_set_new(out, "name", json_string(c->name));
    json_object_set_new(out, "status", json_string(words[c->status]));
    char at[CLOCK_TEXT_SIZE];
    clock_format(c->completed_at, at);
    json_object_set_new(out, "completed_at", c->completed_at != 0 ? json_string(at) : json_null());
    add_calls(c, out);
    json_object_set_new(out, "leads",
                        json_pack("{s:I,s:o,s:I}", "completed", (json_int_t)completed, "failed",
                                  failed, "queued", (json_int_t)queued));
    return out;
}

static void print_result(const struct world *w, int64_t took_us)
{
    json_t *campaigns = json_array();
    int64_t last = 0;
    for (size_t i = 0; i < w->ledger->campaign_count; i++) {
        json_array_append_new(campaigns, campaign_result(w->ledger->campaign_list[i]));
        last = i64_max(last, w->ledger->campaign_list[i]->completed_at);
    }
    char at[CLOCK_TEXT_SIZE];
    clock_format(last, at);
    OWNED(json_free)
    json_t *all =
        json_pack("{s:I,s:o,s:I,s:f,s:o}", "seed", (json_int_t)the_scenario.seed, "completed_at",
                  all_over(w) ? json_string(at) : json_null(), "seconds_virtual",
                  (json_int_t)((world_wall(w) - the_scenario.start_us) / US_PER_S), "wall_seconds",
                  (double)took_us / 1e6, "campaigns", campaigns);
    OWNED(xfreep) char *text = json_dumps(all, JSON_COMPACT | JSON_PRESERVE_ORDER);
    printf("%s\n", text);
}

int main(int argc, char **argv)
{
    static const struct option names[] = {
        {"scenario", 1, NULL, 'c'}, {"seed", 1, NULL, 's'}, {NULL, 0, NULL, 0}};
    const char *file = NULL;
    int64_t seed = 1;
    for (int c; (c = getopt_long(argc, argv, "", names, NULL)) != -1;) {
        if (c == 'c') {
            file = optarg;
        } else if (c != 's' || str_to_i64(str_of(optarg), &seed) < 0) {
            file = NULL;
            break;
        }
    }
    json_error_t why;
    scenario_json = file != NULL ? json_load_file(file, 0, &why) : NULL;
    if (scenario_json == NULL) {
        fprintf(stderr, "%s\nusage: simulate_campaign --scenario FILE.json [--seed N]\n",
                file != NULL ? why.text : "which scenario?");
        return 2;
    }
    the_scenario.seed = (uint64_t)seed;
    int64_t began = clock_mono_us();
    struct options opt = {.seed = (uint64_t)seed, .sweep_hit = INT64_MAX}; /* no history */
    struct world *w = world_new(&opt);
    run(w);
    print_result(w, clock_mono_us() - began);
    json_free(&scenario_json);
    return 0;
}
