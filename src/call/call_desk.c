#include "call/call_desk.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/list.h"
#include "base/log.h"
#include "base/map.h"
#include "base/metrics.h"
#include "call/media_loop.h"
#include "call/opt_out_play.h"
#include "call/opt_out_spool.h"
#include "loop/timer.h"

#include <errno.h>
#include <string.h>

#define TICK_MS              500
#define RETRY_FIRST_MS       200
#define RETRY_MAX_MS         5000
#define WRITE_TRIES_MAX      720 /* about an hour */
#define TOOL_PATIENCE_US     (4 * US_PER_S)
#define TRANSFER_PATIENCE_US (15 * US_PER_S)
#define LINGER_US            (60 * US_PER_S) /* the carrier may still ask what comes next */
#define DOWN_RETRY_MS        20

struct lane { /* one media loop and its slots */
    struct media_loop *media;
    struct desk_call **slots;
    uint32_t *generations;
    uint32_t *free_slots;
    size_t free_count;
    size_t slot_count;
};

struct queued { /* a write that waits for its turn */
    struct list link;
    struct call_up *up;
    int64_t since_us;
    unsigned tries;
    uint64_t spool_no; /* of an opt-out; 0 none */
};

struct write_op {           /* a write at the store */
    struct desk_call *call; /* NULL: the desk was closed meanwhile */
    struct queued *queued;
};

struct desk_call {
    struct list link;
    struct call_desk *desk;
    struct uuid id;
    struct uuid organization_id;
    struct uuid campaign_id;
    struct uuid lead_id;
    uint32_t lane;
    struct call_ref ref;
    char call_uuid[CARRIER_ID_SIZE];
    char phone[OPT_OUT_PHONE_SIZE];
    bool machine_ends;
    bool streaming; /* has a socket */
    bool over;      /* the media side is done with it */
    bool settled;
    int64_t settled_us;
    enum call_next next;
    struct list writes;
    size_t write_count;
    struct write_op *op;
    struct timer retry;
    uint32_t transfer_no; /* a transfer that waits for its answer; 0 none */
    int64_t transfer_us;
};

struct down_wait {
    struct list link;
    uint32_t lane;
    struct call_down *message;
};

struct call_desk {
    struct loop *loop;
    struct call_env env;
    struct desk_store store;
    struct desk_hooks hooks;
    struct mailbox *up;
    struct opt_out_spool *spool;
    struct opt_out_play *play;
    struct lane *lanes;
    size_t lane_count;
    bool threaded;
    struct map calls; /* by call id */
    struct list all;
    size_t unsettled;
    struct list downs; /* messages that a media loop had no room for */
    struct timer down_again;
    struct timer tick;
    bool draining;
    bool closing;
    loop_fn *on_drained;
    void *on_drained_arg;
};

static void on_up(void *message, void *arg);
static void on_tick(void *arg);
static void write_next(struct desk_call *k);
static void on_kept(uint64_t no, void *arg);

/* --- life ------------------------------------------------------------------------------------- */

static int lane_open(struct call_desk *desk, uint32_t i)
{
    struct lane *lane = &desk->lanes[i];
    lane->slot_count = desk->env.calls_max;
    lane->slots = xcalloc(lane->slot_count, sizeof *lane->slots);
    lane->generations = xcalloc(lane->slot_count, sizeof *lane->generations);
    lane->free_slots = xcalloc(lane->slot_count, sizeof *lane->free_slots);
    for (size_t k = 0; k < lane->slot_count; k++) {
        lane->free_slots[lane->free_count++] = (uint32_t)(lane->slot_count - 1 - k);
    }
    if (desk->threaded) {
        return media_loop_start(&lane->media, i, &desk->env, desk->up);
    }
    return media_loop_open(&lane->media, i, desk->loop, &desk->env, desk->up);
}

int desk_open(struct call_desk **out, struct loop *loop, const struct call_env *env,
              const struct desk_store *store, const struct desk_hooks *hooks)
{
    OWNED(desk_close) struct call_desk *desk = xzalloc(sizeof *desk);
    desk->loop = loop;
    desk->env = *env;
    desk->store = *store;
    desk->hooks = *hooks;
    list_init(&desk->all);
    list_init(&desk->downs);
    map_init(&desk->calls);
    desk->up = mailbox_new(loop, LIMIT_MAILBOX, on_up, call_up_free, desk);
    desk->threaded = env->media_loops > 0;
    desk->lane_count = desk->threaded ? env->media_loops : 1;
    desk->lanes = xcalloc(desk->lane_count, sizeof *desk->lanes);
    for (uint32_t i = 0; i < desk->lane_count; i++) {
        int err = lane_open(desk, i);
        if (err < 0) {
            return err;
        }
    }
    timer_repeat(&desk->tick, loop, TICK_MS, on_tick, desk);
    if (env->data_dir != NULL) {
        spool_open(&desk->spool, loop, env->data_dir, on_kept, desk);
        play_open(&desk->play, loop, env->data_dir, store);
    }
    *out = GIVE(desk);
    return 0;
}

static void queued_free(struct queued *q)
{
    call_up_free(q->up);
    xfree(q);
}

static void desk_call_free(struct desk_call *k)
{
    timer_stop(&k->retry);
    while (!list_empty(&k->writes)) {
        struct queued *q = LIST_ITEM(list_pop_front(&k->writes), struct queued, link);
        if (q->up->write.kind == DESK_OPT_OUT) { /* stopped by force while the database was away */
            log_error(q->spool_no != 0 ? "call.opt_out_on_disk" : "call.opt_out_lost",
                      LOG_UUID("call", &k->id));
        }
        queued_free(q);
    }
    if (k->op != NULL) {
        k->op->call = NULL;
    }
    list_remove(&k->link);
    xfree(k);
}

void desk_close(struct call_desk **desk_p)
{
    if (desk_p == NULL || *desk_p == NULL) {
        return;
    }
    struct call_desk *desk = GIVE(*desk_p);
    timer_stop(&desk->tick);
    timer_stop(&desk->down_again);
    for (size_t i = 0; i < desk->lane_count && desk->lanes != NULL; i++) {
        if (desk->threaded) {
            media_loop_stop(&desk->lanes[i].media);
        } else {
            media_loop_close(&desk->lanes[i].media);
        }
    }
    desk->closing = true;
    mailbox_empty(desk->up); /* the media sides' last words */
    for (size_t i = 0; i < desk->lane_count && desk->lanes != NULL; i++) {
        xfree(desk->lanes[i].slots);
        xfree(desk->lanes[i].generations);
        xfree(desk->lanes[i].free_slots);
    }
    mailbox_free(&desk->up);
    play_close(&desk->play);
    spool_close(&desk->spool);
    while (!list_empty(&desk->all)) {
        desk_call_free(LIST_ITEM(desk->all.next, struct desk_call, link));
    }
    while (!list_empty(&desk->downs)) {
        struct down_wait *w = LIST_ITEM(list_pop_front(&desk->downs), struct down_wait, link);
        call_down_free(w->message);
        xfree(w);
    }
    map_fini(&desk->calls);
    xfree(desk->lanes);
    xfree(desk);
}

/* --- finding ---------------------------------------------------------------------------------- */

static struct str id_key(const struct uuid *id)
{
    return str_make((const char *)id->b, sizeof id->b);
}

static struct desk_call *call_find(const struct call_desk *desk, const struct uuid *id)
{
    return map_get(&desk->calls, id_key(id));
}

bool desk_has(const struct call_desk *desk, const struct uuid *call_id)
{
    const struct desk_call *k = call_find(desk, call_id);
    return k != NULL && !k->over;
}

enum call_next desk_next(const struct call_desk *desk, const struct uuid *call_id)
{
    const struct desk_call *k = call_find(desk, call_id);
    return k == NULL ? CALL_NEXT_UNKNOWN
                     : (k->next == CALL_NEXT_UNKNOWN ? CALL_NEXT_HANGUP : k->next);
}

bool desk_decided(const struct call_desk *desk, const struct uuid *call_id)
{
    const struct desk_call *k = call_find(desk, call_id);
    return k != NULL && k->next != CALL_NEXT_UNKNOWN;
}

size_t desk_count(const struct call_desk *desk)
{
    return desk->unsettled;
}

/* --- down ------------------------------------------------------------------------------------- */

static void on_down_again(void *arg)
{
    struct call_desk *desk = arg;
    while (!list_empty(&desk->downs)) {
        struct down_wait *w = LIST_ITEM(desk->downs.next, struct down_wait, link);
        if (media_loop_post(desk->lanes[w->lane].media, w->message) < 0) {
            timer_start(&desk->down_again, desk->loop, DOWN_RETRY_MS, on_down_again, desk);
            return;
        }
        list_remove(&w->link);
        xfree(w);
    }
}

/* For what must arrive: waits for room. */
static void down_surely(struct desk_call *k, struct call_down *message)
{
    struct call_desk *desk = k->desk;
    if (list_empty(&desk->downs) && media_loop_post(desk->lanes[k->lane].media, message) == 0) {
        return;
    }
    struct down_wait *w = xzalloc(sizeof *w);
    w->lane = k->lane;
    w->message = message;
    list_init(&w->link);
    list_push_back(&desk->downs, &w->link);
    if (!timer_running(&desk->down_again)) {
        timer_start(&desk->down_again, desk->loop, DOWN_RETRY_MS, on_down_again, desk);
    }
}

static void answer(struct desk_call *k, uint32_t tool_no, bool ok, int64_t due_us, struct str text)
{
    if (tool_no == 0 || k->over) {
        return;
    }
    struct call_down *m = call_down_new(DOWN_ANSWER, k->ref, STR_NONE);
    m->tool_no = tool_no;
    m->ok = ok;
    m->due_us = due_us;
    str_copy_cut(text, m->text, sizeof m->text);
    down_surely(k, m);
}

/* --- calls ------------------------------------------------------------------------------------ */

/* The lane with most room. */
static uint32_t lane_pick(const struct call_desk *desk)
{
    uint32_t best = 0;
    for (uint32_t i = 1; i < desk->lane_count; i++) {
        if (desk->lanes[i].free_count > desk->lanes[best].free_count) {
            best = i;
        }
    }
    return best;
}

int desk_prepare(struct call_desk *desk, struct call_plan **plan)
{
    uint32_t at = lane_pick(desk);
    struct lane *lane = &desk->lanes[at];
    if (desk->draining || desk->unsettled >= desk->env.calls_max || lane->free_count == 0) {
        return -EBUSY;
    }
    if (call_find(desk, &(*plan)->call_id) != NULL) {
        return -EEXIST;
    }
    struct desk_call *k = xzalloc(sizeof *k);
    uint32_t slot = lane->free_slots[lane->free_count - 1];
    *k = (struct desk_call){.desk = desk,
                            .id = (*plan)->call_id,
                            .organization_id = (*plan)->organization_id,
                            .campaign_id = (*plan)->campaign_id,
                            .lead_id = (*plan)->lead_id,
                            .lane = at,
                            .machine_ends = (*plan)->machine_ends,
                            .ref = {.slot = slot, .generation = lane->generations[slot] + 1}};
    memcpy(k->phone, (*plan)->phone, sizeof k->phone);
    struct call_down *m = call_down_new(DOWN_START, k->ref, STR_NONE);
    m->plan = *plan;
    int err = media_loop_post(lane->media, m);
    if (err < 0) {
        m->plan = NULL; /* still the caller's */
        call_down_free(m);
        xfree(k);
        return err;
    }
    *plan = NULL;
    lane->free_count--;
    lane->generations[slot] = k->ref.generation;
    lane->slots[slot] = k;
    list_init(&k->writes);
    list_init(&k->link);
    list_push_back(&desk->all, &k->link);
    (void)map_put(&desk->calls, id_key(&k->id), k);
    desk->unsettled++;
    return 0;
}

int desk_socket(struct call_desk *desk, const struct uuid *call_id, const char *call_uuid, int fd,
                struct str already_read, struct http_socket *handle)
{
    struct desk_call *k = call_find(desk, call_id);
    if (k == NULL || k->over) {
        return -ENOENT;
    }
    if (k->streaming) {
        return -EALREADY;
    }
    struct call_down *m = call_down_new(DOWN_SOCKET, k->ref, already_read);
    m->fd = fd;
    m->handle = handle;
    int err = str_copy(str_of(call_uuid), m->call_uuid, sizeof m->call_uuid);
    err = err == 0 ? media_loop_post(desk->lanes[k->lane].media, m) : err;
    if (err < 0) {
        m->fd = -1;
        call_down_free(m);
        return err;
    }
    k->streaming = true;
    str_copy_cut(str_of(call_uuid), k->call_uuid, sizeof k->call_uuid);
    return 0;
}

void desk_end(struct call_desk *desk, const struct uuid *call_id, enum call_end reason)
{
    struct desk_call *k = call_find(desk, call_id);
    if (k == NULL || k->over) {
        return;
    }
    struct call_down *m = call_down_new(DOWN_END, k->ref, STR_NONE);
    m->end = reason;
    down_surely(k, m);
}

void desk_machine(struct call_desk *desk, const struct uuid *call_id)
{
    const struct desk_call *k = call_find(desk, call_id);
    if (k != NULL && k->machine_ends) {
        desk_end(desk, call_id, CALL_END_VOICEMAIL);
    }
}

void desk_transfer_result(struct call_desk *desk, const struct uuid *call_id, bool ok,
                          const char *why)
{
    struct desk_call *k = call_find(desk, call_id);
    if (k == NULL || k->transfer_no == 0) {
        return;
    }
    uint32_t tool_no = k->transfer_no;
    k->transfer_no = 0;
    answer(k, tool_no, ok, 0, str_of(why));
}

static void drained_check(struct call_desk *desk)
{
    if (desk->draining && desk->unsettled == 0 && desk->on_drained != NULL) {
        loop_fn *on_drained = desk->on_drained;
        desk->on_drained = NULL;
        loop_defer(desk->loop, on_drained, desk->on_drained_arg);
    }
}

void desk_drain(struct call_desk *desk, loop_fn *on_drained, void *arg)
{
    desk->draining = true;
    desk->on_drained = on_drained;
    desk->on_drained_arg = arg;
    drained_check(desk);
}

static void settle_check(struct desk_call *k)
{
    struct call_desk *desk = k->desk;
    if (!k->over || k->settled || k->op != NULL || !list_empty(&k->writes)) {
        return;
    }
    k->settled = true;
    k->settled_us = loop_now_us(desk->loop);
    desk->unsettled--;
    if (desk->hooks.settled != NULL) {
        desk->hooks.settled(&k->organization_id, &k->id, desk->hooks.arg);
    }
    drained_check(desk);
}

/* --- writes ----------------------------------------------------------------------------------- */

static void on_retry(void *arg)
{
    write_next(arg);
}

/* In front, where it was; but what came first does not hold up an opt-out that overtook it. */
static void write_again_later(struct desk_call *k, struct queued *q)
{
    struct list *first = k->writes.next;
    bool overtaken = q->up->write.kind != DESK_OPT_OUT && first != &k->writes &&
                     LIST_ITEM(first, struct queued, link)->up->write.kind == DESK_OPT_OUT;
    list_push_front(overtaken ? first : &k->writes, &q->link);
    k->write_count++;
    int64_t wait_ms = RETRY_FIRST_MS << (q->tries < 8 ? q->tries : 8);
    timer_start(&k->retry, k->desk->loop, i64_min(wait_ms, RETRY_MAX_MS), on_retry, k);
}

/* --- opt-outs: on disk beside their way into the database ---------------------------------------- */

static_assert(sizeof((struct call_plan *)NULL)->phone == OPT_OUT_PHONE_SIZE, "one number");

static void opt_out_keep(struct desk_call *k, struct queued *q)
{
    const struct desk_write *w = &q->up->write;
    struct opt_out_record record = {
        .organization_id = w->organization_id, .call_id = w->call_id, .at_us = w->at_us};
    q->up->write.opt_out.phone = call_up_text(q->up, str_of(k->phone));
    memcpy(record.phone, k->phone, sizeof record.phone);
    str_copy_cut(str_of(w->opt_out.source), record.source, sizeof record.source);
    str_copy_cut(str_of(w->opt_out.words), record.words, sizeof record.words);
    if (k->desk->spool != NULL) {
        q->spool_no = spool_keep(k->desk->spool, &record);
    }
}

/* It cannot be lost any more: whoever asked need not wait for a database that is away. */
static void opt_out_safe(struct desk_call *k, struct queued *q)
{
    if (q->up->tool_no == 0 || !spool_has(k->desk->spool, q->spool_no)) {
        return;
    }
    answer(k, q->up->tool_no, true, 0, STR_NONE);
    q->up->tool_no = 0;
}

static void on_kept(uint64_t no, void *arg)
{
    struct call_desk *desk = arg;
    LIST_EACH(at, &desk->all)
    {
        struct desk_call *k = LIST_ITEM(at, struct desk_call, link);
        LIST_EACH(it, &k->writes)
        {
            struct queued *q = LIST_ITEM(it, struct queued, link);
            if (q->spool_no == no && q->tries > 0) {
                opt_out_safe(k, q);
            }
        }
    }
}

/* What the database will not take today it may take when somebody has put it right: a person's wish
 * is not dropped for that. It waits behind everything else. */
static void opt_out_again(struct desk_call *k, struct queued *q)
{
    list_push_back(&k->writes, &q->link);
    k->write_count++;
    if (k->write_count == 1) {
        timer_start(&k->retry, k->desk->loop, RETRY_MAX_MS, on_retry, k);
    } else {
        write_next(k);
    }
}

/* True when it stays queued. */
static bool write_kept(struct desk_call *k, struct queued *q, const struct fault *fault)
{
    bool never = fault->class == FAULT_REFUSED || fault->class == FAULT_BROKEN;
    bool opt_out = q->up->write.kind == DESK_OPT_OUT;
    q->tries++;
    if (fault->class == FAULT_NONE) {
        if (q->spool_no != 0 && k->desk->spool != NULL) {
            spool_done(k->desk->spool, q->spool_no);
        }
        return false;
    }
    if (q->spool_no != 0) {
        opt_out_safe(k, q);
    }
    if (!never && (opt_out || q->tries < WRITE_TRIES_MAX)) {
        metric_add("call_writes_retried_total", NULL, 1);
        write_again_later(k, q);
        return true;
    }
    metric_add("call_writes_failed_total", NULL, 1);
    log_error("call.write_failed", LOG_UUID("call", &k->id), LOG_I64("kind", q->up->write.kind),
              LOG_STR("code", fault->code), LOG_STR("text", fault->text));
    if (opt_out && q->tries < WRITE_TRIES_MAX) {
        opt_out_again(k, q);
        return true;
    }
    return false;
}

static void on_stored(const struct fault *fault, const struct desk_answer *a, void *arg)
{
    struct write_op *op = arg;
    struct desk_call *k = op->call;
    struct queued *q = op->queued;
    xfree(op);
    if (k == NULL) { /* the desk is closed; a record of it on disk stays */
        queued_free(q);
        return;
    }
    k->op = NULL;
    if (write_kept(k, q, fault)) {
        return;
    }
    bool ok = fault->class == FAULT_NONE && (a == NULL || a->accepted);
    answer(k, q->up->tool_no, ok, a != NULL ? a->due_us : 0, a != NULL ? a->reason : STR_NONE);
    queued_free(q);
    write_next(k);
}

static void write_next(struct desk_call *k)
{
    if (k->op != NULL || timer_running(&k->retry)) {
        return;
    }
    if (list_empty(&k->writes)) {
        settle_check(k);
        return;
    }
    struct queued *q = LIST_ITEM(list_pop_front(&k->writes), struct queued, link);
    k->write_count--;
    struct write_op *op = xzalloc(sizeof *op);
    *op = (struct write_op){.call = k, .queued = q};
    k->op = op;
    int err = k->desk->store.write(&q->up->write, on_stored, op, k->desk->store.arg);
    if (err < 0) {
        k->op = NULL;
        xfree(op);
        struct fault fault = fault_make(err == -EBUSY ? FAULT_NOT_SENT : FAULT_BROKEN, 0,
                                        "not_started", "%s", strerror(-err));
        if (!write_kept(k, q, &fault)) {
            answer(k, q->up->tool_no, false, 0, STR_NONE);
            queued_free(q);
            timer_start(&k->retry, k->desk->loop, 0, on_retry, k);
        }
    }
}

/* In order, but an opt-out overtakes what waits: it is law within a second. */
static void write_queue(struct desk_call *k, struct call_up *up)
{
    bool urgent = up->write.kind == DESK_OPT_OUT;
    bool spare = up->write.kind == DESK_TURN || up->write.kind == DESK_USAGE;
    if (spare && k->write_count >= DESK_WRITES_MAX) {
        metric_add("call_messages_dropped_total", NULL, 1);
        call_up_free(up);
        return;
    }
    struct queued *q = xzalloc(sizeof *q);
    q->up = up;
    q->since_us = loop_now_us(k->desk->loop);
    list_init(&q->link);
    if (urgent) {
        opt_out_keep(k, q);
        list_push_front(&k->writes, &q->link);
        timer_stop(&k->retry);
    } else {
        list_push_back(&k->writes, &q->link);
    }
    k->write_count++;
    write_next(k);
}

/* --- up --------------------------------------------------------------------------------------- */

static struct desk_call *resolve(const struct call_desk *desk, const struct call_up *up)
{
    const struct lane *lane = &desk->lanes[up->loop];
    struct desk_call *k = up->ref.slot < lane->slot_count ? lane->slots[up->ref.slot] : NULL;
    return k != NULL && k->ref.generation == up->ref.generation ? k : NULL;
}

static void up_transfer(struct desk_call *k, const struct call_up *up)
{
    struct call_desk *desk = k->desk;
    if (desk->hooks.transfer == NULL || k->transfer_no != 0) {
        answer(k, up->tool_no, false, 0, STR("no colleague is free now"));
        return;
    }
    struct desk_transfer ask = {.organization_id = k->organization_id,
                                .call_id = k->id,
                                .campaign_id = k->campaign_id,
                                .lead_id = k->lead_id,
                                .reason = up->reason,
                                .summary = up->summary};
    k->transfer_no = up->tool_no;
    k->transfer_us = loop_now_us(desk->loop);
    desk->hooks.transfer(&ask, desk->hooks.arg);
}

static void up_ended(struct desk_call *k)
{
    struct lane *lane = &k->desk->lanes[k->lane];
    k->over = true;
    lane->slots[k->ref.slot] = NULL;
    lane->free_slots[lane->free_count++] = k->ref.slot;
    write_next(k); /* nothing may be waiting: then it settles */
}

/* The desk closes: what was on its way ends here, but "never call me again" still goes to disk. */
static void up_at_close(struct desk_call *k, struct call_up *up)
{
    if (k == NULL || up->kind != UP_WRITE || up->write.kind != DESK_OPT_OUT) {
        call_up_free(up);
        return;
    }
    struct queued *q = xzalloc(sizeof *q);
    q->up = up;
    opt_out_keep(k, q);
    list_push_back(&k->writes, &q->link);
}

static void on_up(void *message, void *arg)
{
    struct call_desk *desk = arg;
    struct call_up *up = message;
    struct desk_call *k = resolve(desk, up);
    if (desk->closing) {
        up_at_close(k, up);
        return;
    }
    if (up->kind == UP_SOCKET_DONE) {
        http_socket_done(up->handle);
        if (k != NULL) {
            k->streaming = false;
        }
    } else if (k != NULL && up->kind == UP_WRITE) {
        write_queue(k, up);
        return; /* kept */
    } else if (k != NULL && up->kind == UP_TRANSFER) {
        up_transfer(k, up);
    } else if (k != NULL && up->kind == UP_NEXT) {
        k->next = up->next;
    } else if (k != NULL && up->kind == UP_HANGUP && desk->hooks.hangup != NULL) {
        desk->hooks.hangup(&k->organization_id, &k->id, k->call_uuid, desk->hooks.arg);
    } else if (k != NULL && up->kind == UP_ENDED) {
        up_ended(k);
    }
    call_up_free(up);
}

/* --- patience --------------------------------------------------------------------------------- */

/* A tool call is answered even when the database is away: what was asked stays queued. */
static void answer_late(struct desk_call *k, int64_t now_us)
{
    LIST_EACH(it, &k->writes)
    {
        struct queued *q = LIST_ITEM(it, struct queued, link);
        if (q->up->tool_no != 0 && now_us - q->since_us > TOOL_PATIENCE_US) {
            answer(k, q->up->tool_no, false, 0,
                   STR("it cannot be confirmed right now; it was noted for the team"));
            q->up->tool_no = 0;
        }
    }
    if (k->transfer_no != 0 && now_us - k->transfer_us > TRANSFER_PATIENCE_US) {
        desk_transfer_result(k->desk, &k->id, false, "no colleague could be reached");
    }
}

static void on_tick(void *arg)
{
    struct call_desk *desk = arg;
    int64_t now_us = loop_now_us(desk->loop);
    LIST_EACH_SAFE(it, &desk->all)
    {
        struct desk_call *k = LIST_ITEM(it, struct desk_call, link);
        answer_late(k, now_us);
        if (k->settled && now_us - k->settled_us > LINGER_US) {
            (void)map_take(&desk->calls, id_key(&k->id));
            desk_call_free(k);
        }
    }
}
