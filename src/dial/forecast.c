#include "dial/forecast.h"

#include "base/alloc.h"
#include "base/clock.h"

#include <math.h>
#include <string.h>

const char *const forecast_outcome_names[FORECAST_OUTCOME_COUNT] = {
    "answered", "no_answer",      "busy",   "voicemail",
    "rejected", "invalid_number", "failed", "not_placed",
};

#define NEVER  INT64_MAX
#define DAY_US (86400 * US_PER_S)

static const int64_t cap_span_us[FORECAST_CAPS] = {DAY_US, 7 * DAY_US, 30 * DAY_US};

/* --- chance ------------------------------------------------------------------------------------- */

/* splitmix64, Steele, Lea, Flood 2014. */
static uint64_t mix(uint64_t x)
{
    x += 0x9e3779b97f4a7c15ULL;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
    return x ^ (x >> 31);
}

double forecast_draw(uint64_t seed, uint32_t lead, uint32_t number, enum forecast_draw what)
{
    uint64_t x = mix(mix(mix(seed) ^ lead) ^ ((uint64_t)number << 8 | (uint64_t)what));

    return (double)(x >> 11) * 0x1p-53;
}

double forecast_quantile(const struct forecast_quantiles *q, double u)
{
    double place = u * (FORECAST_QUANTILES - 1);
    size_t i = (size_t)place;

    if (i >= FORECAST_QUANTILES - 1) {
        return (double)q->s[FORECAST_QUANTILES - 1];
    }
    double part = place - (double)i;
    return (double)q->s[i] * (1.0 - part) + (double)q->s[i + 1] * part;
}

enum forecast_outcome forecast_draw_outcome(const struct forecast_rates *rates, uint32_t number,
                                            int32_t local_hour, double u)
{
    size_t row = number < FORECAST_ATTEMPTS ? number - 1 : FORECAST_ATTEMPTS - 1;
    const double *share = rates->share[row];
    double answered = fmin(share[FORECAST_ANSWERED] * rates->hour[local_hour], 0.99);

    if (u < answered || share[FORECAST_ANSWERED] >= 1.0) {
        return FORECAST_ANSWERED;
    }
    /* The rest keep their shares among themselves. */
    double left = (u - answered) / (1.0 - answered) * (1.0 - share[FORECAST_ANSWERED]);
    int last = FORECAST_NO_ANSWER;
    for (int o = FORECAST_NO_ANSWER; o < FORECAST_OUTCOME_COUNT; o++) {
        if (share[o] <= 0.0) {
            continue;
        }
        if (left < share[o]) {
            return (enum forecast_outcome)o;
        }
        left -= share[o];
        last = o;
    }
    return (enum forecast_outcome)last;
}

/* --- a heap of leads ---------------------------------------------------------------------------- */

struct item {
    int64_t at_us;
    int32_t rank;
    uint32_t lead;
};

struct heap {
    struct item *items;
    size_t count;
};

static bool before(const struct item *a, const struct item *b)
{
    if (a->rank != b->rank) {
        return a->rank < b->rank;
    }
    return a->at_us != b->at_us ? a->at_us < b->at_us : a->lead < b->lead;
}

static void heap_push(struct heap *h, struct item item)
{
    size_t i = h->count++;

    while (i > 0 && before(&item, &h->items[(i - 1) / 2])) {
        h->items[i] = h->items[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    h->items[i] = item;
}

static struct item heap_pop(struct heap *h)
{
    struct item top = h->items[0];
    struct item item = h->items[--h->count];
    size_t i = 0;

    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= h->count) {
            break;
        }
        if (child + 1 < h->count && before(&h->items[child + 1], &h->items[child])) {
            child++;
        }
        if (!before(&h->items[child], &item)) {
            break;
        }
        h->items[i] = h->items[child];
        i = child;
    }
    h->items[i] = item;
    return top;
}

/* --- calls per second --------------------------------------------------------------------------- */

/* So many calls within a span of time, and no span of it ever sees more (app.pace). */
struct pace {
    int64_t *begun_us; /* ring of the last `calls` beginnings */
    uint32_t calls;
    uint32_t next;
    int64_t span_us;
};

static void pace_init(struct pace *p, double per_second)
{
    double calls = fmax(1.0, floor(per_second));

    p->calls = (uint32_t)calls;
    p->span_us = (int64_t)llround(calls / per_second * 1e6);
    p->begun_us = xcalloc(p->calls, sizeof *p->begun_us);
}

static void pace_reset(struct pace *p)
{
    p->next = 0;
    for (uint32_t i = 0; i < p->calls; i++) {
        p->begun_us[i] = INT64_MIN / 2;
    }
}

/* When the next may begin. */
static int64_t pace_free_us(const struct pace *p)
{
    return p->begun_us[p->next] + p->span_us;
}

static void pace_take(struct pace *p, int64_t at_us)
{
    p->begun_us[p->next] = at_us;
    p->next = (p->next + 1) % p->calls;
}

/* --- the simulator ------------------------------------------------------------------------------ */

struct lead_state {
    float talk_s;
    uint16_t attempts;
    uint16_t number; /* of tries within this run */
    uint16_t dials;  /* in the ring, at most sim->ring */
    uint8_t outcome;
    uint8_t line;
    uint8_t same[FORECAST_OUTCOME_COUNT];
    int64_t begin_us;
};

struct forecast_sim {
    const struct forecast_plan *plan;
    struct lead_state *leads;
    int64_t *dials; /* per lead, newest first, sim->ring of them */
    uint32_t ring;
    struct heap waiting; /* by time */
    struct heap ready;   /* by rank */
    struct heap live;    /* by end */
    struct pace pace;
    struct pace *account_pace;
    uint32_t *account_live;
    uint32_t *number_live;
    const struct forecast_rates *rates;
    uint64_t seed;
    int64_t now_us;
    int64_t spent_micros;
    forecast_call_fn *on_call;
    void *on_call_arg;
    struct forecast_result *result;
};

const char *forecast_check(const struct forecast_plan *plan)
{
    if (plan->number_count == 0 || plan->account_count == 0) {
        return "no active caller id";
    }
    if (plan->number_count > UINT8_MAX) {
        return "more than 255 caller ids";
    }
    if (plan->lines == 0 || plan->calls_max == 0) {
        return "no lines";
    }
    if (!(plan->calls_per_second > 0.0) || plan->claim_interval_us <= 0) {
        return "no pace";
    }
    for (size_t i = 0; i < plan->account_count; i++) {
        if (plan->accounts[i].lines == 0 || !(plan->accounts[i].calls_per_second > 0.0)) {
            return "an account without lines";
        }
    }
    return plan->lead_count > UINT32_MAX / 2 ? "too many leads" : NULL;
}

/* A cap that more dials would be needed for than a lead can get never binds. */
static uint32_t ring_size(const struct forecast_plan *plan)
{
    uint32_t most = 0;
    uint32_t ring = 1;

    for (size_t i = 0; i < plan->lead_count; i++) {
        most = plan->leads[i].dial_count > most ? plan->leads[i].dial_count : most;
    }
    most += plan->max_attempts + FORECAST_SAME;
    for (size_t i = 0; i < plan->place_count; i++) {
        for (size_t c = 0; c < FORECAST_CAPS; c++) {
            uint32_t cap = plan->places[i].cap[c];
            ring = cap > ring && cap <= most ? cap : ring;
        }
    }
    return ring;
}

struct forecast_sim *forecast_sim_new(const struct forecast_plan *plan)
{
    struct forecast_sim *s = xzalloc(sizeof *s);
    size_t n = plan->lead_count > 0 ? plan->lead_count : 1;
    size_t most_live = plan->lines < n ? plan->lines : n;

    s->plan = plan;
    s->ring = ring_size(plan);
    s->leads = xcalloc(n, sizeof *s->leads);
    s->dials = xcalloc(n * s->ring, sizeof *s->dials);
    s->waiting.items = xcalloc(n, sizeof *s->waiting.items);
    s->ready.items = xcalloc(n, sizeof *s->ready.items);
    s->live.items = xcalloc(most_live, sizeof *s->live.items);
    s->account_pace = xcalloc(plan->account_count, sizeof *s->account_pace);
    s->account_live = xcalloc(plan->account_count, sizeof *s->account_live);
    s->number_live = xcalloc(plan->number_count, sizeof *s->number_live);
    pace_init(&s->pace, plan->calls_per_second);
    for (size_t i = 0; i < plan->account_count; i++) {
        pace_init(&s->account_pace[i], plan->accounts[i].calls_per_second);
    }
    return s;
}

void forecast_sim_free(struct forecast_sim **sim)
{
    struct forecast_sim *s = *sim;

    *sim = NULL;
    if (!s) {
        return;
    }
    for (size_t i = 0; i < s->plan->account_count; i++) {
        xfree(s->account_pace[i].begun_us);
    }
    xfree(s->pace.begun_us);
    xfree(s->number_live);
    xfree(s->account_live);
    xfree(s->account_pace);
    xfree(s->live.items);
    xfree(s->ready.items);
    xfree(s->waiting.items);
    xfree(s->dials);
    xfree(s->leads);
    xfree(s);
}

void forecast_watch(struct forecast_sim *sim, forecast_call_fn *on_call, void *arg)
{
    sim->on_call = on_call;
    sim->on_call_arg = arg;
}

/* --- openings and caps -------------------------------------------------------------------------- */

/* The span that is open at at_us or opens next; NULL: none. */
static const struct forecast_span *span_at(const struct forecast_place *place, int64_t at_us)
{
    size_t low = 0;
    size_t high = place->span_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (place->spans[middle].close_us <= at_us) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < place->span_count ? &place->spans[low] : NULL;
}

int64_t forecast_opening(const struct forecast_place *place, int64_t at_us)
{
    const struct forecast_span *span = span_at(place, at_us);

    if (!span) {
        return NEVER;
    }
    return span->open_us > at_us ? span->open_us : at_us;
}

/* The caps per number, as app.caps_opening reads them: the n-th latest dial leaves the span, and
 * the cap of n has room again. */
static int64_t caps_opening(const struct forecast_sim *s, uint32_t lead, int64_t at_us)
{
    const struct forecast_place *place = &s->plan->places[s->plan->leads[lead].place];
    const int64_t *dials = s->dials + (size_t)lead * s->ring;
    uint32_t count = s->leads[lead].dials;
    int64_t free_us = at_us;

    if (count > 0 && dials[0] + s->plan->spacing_us > free_us) {
        free_us = dials[0] + s->plan->spacing_us;
    }
    for (size_t c = 0; c < FORECAST_CAPS; c++) {
        uint32_t cap = place->cap[c];
        if (cap > 0 && cap <= count && dials[cap - 1] + cap_span_us[c] > free_us) {
            free_us = dials[cap - 1] + cap_span_us[c];
        }
    }
    return free_us;
}

/* The first moment from at_us on at which caps and window let the lead be dialed. Both only ever
 * move forward. */
static int64_t lead_opening(const struct forecast_sim *s, uint32_t lead, int64_t at_us)
{
    const struct forecast_place *place = &s->plan->places[s->plan->leads[lead].place];
    int64_t moment = at_us;

    for (;;) {
        int64_t later = caps_opening(s, lead, moment);
        int64_t open = forecast_opening(place, later);
        if (open == NEVER || open == moment) {
            return open;
        }
        moment = open;
    }
}

static void dial_note(struct forecast_sim *s, uint32_t lead, int64_t at_us)
{
    int64_t *dials = s->dials + (size_t)lead * s->ring;

    memmove(dials + 1, dials, (s->ring - 1) * sizeof *dials);
    dials[0] = at_us;
    if (s->leads[lead].dials < s->ring) {
        s->leads[lead].dials++;
    }
}

/* --- the claim ---------------------------------------------------------------------------------- */

static void put_back(struct forecast_sim *s, uint32_t lead, int64_t at_us)
{
    if (at_us == NEVER || at_us >= s->plan->horizon_us) {
        s->result->leads_never_open += at_us == NEVER;
        s->result->leads_left += at_us != NEVER;
        s->result->leads_left_undialed += at_us != NEVER && s->leads[lead].number == 0;
        return;
    }
    heap_push(&s->waiting, (struct item){.at_us = at_us, .lead = lead});
}

/* Rows whose time has come become ready. */
static void wake(struct forecast_sim *s)
{
    while (s->waiting.count > 0 && s->waiting.items[0].at_us <= s->now_us) {
        struct item item = heap_pop(&s->waiting);
        item.rank = s->plan->leads[item.lead].rank;
        heap_push(&s->ready, item);
    }
}

/* When line i may begin a call: now or earlier; NEVER: when one of its calls has ended. */
static int64_t line_free_us(const struct forecast_sim *s, size_t i)
{
    const struct forecast_line *number = &s->plan->numbers[i];

    if ((number->lines > 0 && s->number_live[i] >= number->lines) ||
        s->account_live[number->account] >= s->plan->accounts[number->account].lines) {
        return NEVER;
    }
    return pace_free_us(&s->account_pace[number->account]);
}

/* The line for a lead, beginning with its own (engine.pick_line); count: none. */
static size_t pick_line(const struct forecast_sim *s, uint32_t lead)
{
    size_t count = s->plan->number_count;

    for (size_t step = 0; step < count; step++) {
        size_t i = (s->plan->leads[lead].line + step) % count;
        if (line_free_us(s, i) <= s->now_us) {
            return i;
        }
    }
    return count;
}

static int32_t local_hour(const struct forecast_place *place, int64_t at_us)
{
    const struct forecast_span *span = span_at(place, at_us);
    int64_t wall_s = at_us / US_PER_S + (span ? span->utc_offset_s : 0);

    return (int32_t)(((wall_s % 86400) + 86400) % 86400 / 3600);
}

/* A call that was not placed costs no line for long: the carrier said no at once. */
static void begin_call(struct forecast_sim *s, uint32_t lead, size_t line)
{
    const struct forecast_plan *plan = s->plan;
    const struct forecast_place *place = &plan->places[plan->leads[lead].place];
    struct lead_state *l = &s->leads[lead];
    uint32_t number = (uint32_t)++l->number;
    uint32_t account = plan->numbers[line].account;
    double u = forecast_draw(s->seed, lead, number, FORECAST_DRAW_OUTCOME);
    uint32_t attempt = (uint32_t)l->attempts + 1;
    enum forecast_outcome outcome =
        forecast_draw_outcome(s->rates, attempt, local_hour(place, s->now_us), u);
    double ring_s = forecast_quantile(&s->rates->ring[outcome],
                                      forecast_draw(s->seed, lead, number, FORECAST_DRAW_RING));
    double talk_u = forecast_draw(s->seed, lead, number, FORECAST_DRAW_TALK);

    l->talk_s = 0;
    if (outcome == FORECAST_ANSWERED || outcome == FORECAST_VOICEMAIL) {
        l->talk_s = (float)forecast_quantile(
            outcome == FORECAST_ANSWERED ? &s->rates->talk : &s->rates->machine, talk_u);
    }
    l->outcome = (uint8_t)outcome;
    l->line = (uint8_t)line;
    l->begin_us = s->now_us;
    pace_take(&s->pace, s->now_us);
    pace_take(&s->account_pace[account], s->now_us);
    s->number_live[line]++;
    s->account_live[account]++;
    int64_t hold_us = (int64_t)llround((ring_s + (double)l->talk_s) * 1e6);
    heap_push(&s->live, (struct item){.at_us = s->now_us + hold_us, .lead = lead});
    if (s->live.count > s->result->most_lines) {
        s->result->most_lines = (uint32_t)s->live.count;
    }
}

static uint32_t lines_max(const struct forecast_plan *plan)
{
    return plan->lines < plan->calls_max ? plan->lines : plan->calls_max;
}

/* Room for one more call, beside what the live ones hold back (app.budget_room). */
static bool budget_room(const struct forecast_sim *s)
{
    int64_t held = (int64_t)(s->live.count + 1) * s->plan->reserve_micros;

    return s->plan->budget_micros == INT64_MAX ||
           s->plan->budget_micros - s->spent_micros >= i64_max(held, 1);
}

/* Takes what may be dialed now, as engine.claim does when the daemon asks. */
static void claim(struct forecast_sim *s)
{
    wake(s);
    while (s->ready.count > 0 && s->live.count < lines_max(s->plan) &&
           pace_free_us(&s->pace) <= s->now_us && budget_room(s)) {
        uint32_t lead = s->ready.items[0].lead;
        size_t line = pick_line(s, lead);
        if (line == s->plan->number_count) {
            return;
        }
        (void)heap_pop(&s->ready);
        int64_t opening = lead_opening(s, lead, s->now_us);
        if (opening == s->now_us) {
            begin_call(s, lead, line);
        } else {
            put_back(s, lead, opening);
        }
    }
}

/* When the daemon's next look for work can bring something, if no call ends before. */
static int64_t next_claim_us(const struct forecast_sim *s)
{
    int64_t at_us = NEVER;

    if (s->live.count >= lines_max(s->plan) || !budget_room(s)) {
        return NEVER;
    }
    if (s->ready.count > 0) {
        for (size_t i = 0; i < s->plan->number_count; i++) {
            int64_t free_us = line_free_us(s, i);
            at_us = free_us < at_us ? free_us : at_us;
        }
        int64_t pace_us = pace_free_us(&s->pace);
        at_us = at_us != NEVER && pace_us > at_us ? pace_us : at_us;
    } else if (s->waiting.count > 0) {
        at_us = s->waiting.items[0].at_us;
    }
    if (at_us == NEVER) {
        return NEVER;
    }
    /* It looks every interval, counted from the start. */
    int64_t step = s->plan->claim_interval_us;
    int64_t since = (at_us > s->now_us ? at_us : s->now_us + 1) - s->plan->start_us;
    return s->plan->start_us + (since + step - 1) / step * step;
}

/* --- the end of a call -------------------------------------------------------------------------- */

static void account_for(struct forecast_sim *s, const struct lead_state *l)
{
    const struct forecast_plan *plan = s->plan;
    struct forecast_result *r = s->result;
    double talk_s = (double)l->talk_s;
    uint32_t step = plan->billing_step_s > 0 ? plan->billing_step_s : 1;
    double billed_s = ceil(talk_s / step) * step;
    int64_t carrier = llround(billed_s / 60.0 * (double)plan->carrier_micros_per_minute);
    int64_t model = llround(talk_s / 60.0 * (double)plan->model_micros_per_minute);

    r->outcomes[l->outcome]++;
    if (l->outcome == FORECAST_NOT_PLACED) {
        return;
    }
    int64_t day = l->begin_us / DAY_US - plan->start_us / DAY_US;
    r->calls++;
    r->calls_by_day[day < FORECAST_DAYS ? day : FORECAST_DAYS - 1]++;
    if (l->talk_s > 0) {
        r->talk_s += talk_s;
        r->carrier_micros += carrier;
        r->model_micros += model;
        s->spent_micros += carrier + model;
        r->short_calls += llround(talk_s) <= plan->short_call_s;
    }
}

/* What app.retry_plan decides, out of its own table. */
static void settle(struct forecast_sim *s, uint32_t lead)
{
    const struct forecast_plan *plan = s->plan;
    struct lead_state *l = &s->leads[lead];
    uint32_t same = l->same[l->outcome];
    int64_t wait_us = plan->wait_us[l->outcome][same < FORECAST_SAME ? same : FORECAST_SAME - 1];

    if (l->outcome != FORECAST_NOT_PLACED) {
        l->attempts++;
        s->result->leads_dialed += l->attempts == plan->leads[lead].attempts + 1;
        /* Caps count what rang or may have (call_logs.may_have_rung). */
        if (l->outcome != FORECAST_INVALID_NUMBER && l->outcome != FORECAST_FAILED) {
            dial_note(s, lead, l->begin_us);
        }
    }
    if (same < UINT8_MAX) {
        l->same[l->outcome]++;
    }
    if (l->outcome == FORECAST_ANSWERED) {
        s->result->leads_answered++;
        return;
    }
    if (wait_us < 0 || (l->outcome != FORECAST_NOT_PLACED && l->attempts >= plan->max_attempts)) {
        return;
    }
    put_back(s, lead, lead_opening(s, lead, s->now_us + wait_us));
}

static void end_call(struct forecast_sim *s)
{
    uint32_t lead = heap_pop(&s->live).lead;
    struct lead_state *l = &s->leads[lead];

    s->number_live[l->line]--;
    s->account_live[s->plan->numbers[l->line].account]--;
    account_for(s, l);
    if (s->on_call) {
        struct forecast_call call = {.lead = lead,
                                     .number = l->number,
                                     .outcome = (enum forecast_outcome)l->outcome,
                                     .begin_us = l->begin_us,
                                     .end_us = s->now_us};
        s->on_call(&call, s->on_call_arg);
    }
    settle(s, lead);
    s->result->done_us = s->now_us;
}

/* --- the run ------------------------------------------------------------------------------------ */

static void reset(struct forecast_sim *s)
{
    const struct forecast_plan *plan = s->plan;

    s->waiting.count = 0;
    s->ready.count = 0;
    s->live.count = 0;
    s->spent_micros = 0;
    s->now_us = plan->start_us;
    pace_reset(&s->pace);
    for (size_t i = 0; i < plan->account_count; i++) {
        pace_reset(&s->account_pace[i]);
    }
    for (uint32_t i = 0; i < plan->lead_count; i++) {
        const struct forecast_lead *from = &plan->leads[i];
        s->leads[i] = (struct lead_state){.attempts = from->attempts};
        memcpy(s->leads[i].same, from->same, sizeof from->same);
        for (uint32_t d = 0; d < from->dial_count; d++) {
            dial_note(s, i, plan->dials[from->dial_first + d]);
        }
        put_back(s, i, from->due_us);
    }
}

static void finish(struct forecast_sim *s)
{
    struct forecast_result *r = s->result;
    const struct heap *left[] = {&s->waiting, &s->ready};

    for (size_t h = 0; h < COUNT_OF(left); h++) {
        for (size_t i = 0; i < left[h]->count; i++) {
            r->leads_left++;
            r->leads_left_undialed += s->leads[left[h]->items[i].lead].number == 0;
        }
    }
    if (!budget_room(s) && r->leads_left > 0) {
        r->end = FORECAST_END_BUDGET;
    } else {
        r->end = r->leads_left > 0 ? FORECAST_END_HORIZON : FORECAST_END_DONE;
    }
}

void forecast_run(struct forecast_sim *sim, const struct forecast_rates *rates, uint64_t seed,
                  struct forecast_result *result)
{
    *result = (struct forecast_result){.done_us = sim->plan->start_us};
    sim->rates = rates;
    sim->seed = seed;
    sim->result = result;
    reset(sim);
    claim(sim);
    for (;;) {
        int64_t claim_us = next_claim_us(sim);
        int64_t end_us = sim->live.count > 0 ? sim->live.items[0].at_us : NEVER;
        int64_t next_us = claim_us < end_us ? claim_us : end_us;
        if (next_us == NEVER || (next_us >= sim->plan->horizon_us && sim->live.count == 0)) {
            break;
        }
        sim->now_us = next_us;
        while (sim->live.count > 0 && sim->live.items[0].at_us <= next_us) {
            end_call(sim);
        }
        /* A line that became free makes the daemon look at once. */
        if (next_us < sim->plan->horizon_us) {
            claim(sim);
        }
    }
    finish(sim);
    sim->result = NULL;
}
