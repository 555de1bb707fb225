#include "cli/doctor_live.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "cli/import_batch.h"
#include "loop/loop.h"
#include "loop/timer.h"
#include "store/pg_conn.h"

#include <stdio.h>
#include <string.h>

#define WAIT_S_DEFAULT 30
#define WAIT_S_MAX     600
#define LOOK_MS        250
#define NODE_SILENT_S  20 /* a daemon writes its heartbeat every 5 s */
#define UNKNOWN_S_MAX  60
#define DETAIL_MAX     400

/* What happens to the call, in order; each is said once. */
struct milestone {
    const char *member; /* of the call: a moment, absent until it happened */
    const char *name;
    const char *words;
};
static const struct milestone milestones[] = {
    {"intent_at", "claimed", "a daemon took it; the gate said yes again"},
    {"placed_at", "dialing", "the carrier took the request"},
    {"ringing_at", "ringing", "the phone rings"},
    {"answered_at", "answered", "somebody or something picked up"},
    {"disclosure_played_at", "disclosed", "the disclosure was heard"},
    {"ended_at", "ended", "the call is over"},
};

struct live {
    struct cmd *cmd;
    char phone[PHONE_E164_SIZE];
    const char *campaign;
    json_t *picked; /* keeps the name of a campaign that was not said */
    int64_t wait_s;
    json_t *steps;
    json_t *enrolled;
    json_t *now; /* the last look */
    bool said[COUNT_OF(milestones)];
};

static void step(struct live *live, const char *name, struct str at, const char *fmt, ...)
    PRINTF_LIKE(4, 5);

static void step(struct live *live, const char *name, struct str at, const char *fmt, ...)
{
    FILE *out = live->cmd->json ? stderr : stdout;
    char detail[DETAIL_MAX];
    char moment[32];
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(detail, sizeof detail, fmt, ap);
    va_end(ap);
    if (at.len == 0) {
        clock_format(cmd_now_us(live->cmd), moment);
        at = str_of(moment);
    }
    json_t *row = json_object();
    json_set_str(row, "step", str_of(name));
    json_set_str(row, "at", at);
    json_set_str(row, "detail", str_of(detail));
    (void)json_array_append_new(live->steps, row);
    (void)fprintf(out, "%.19s  %-10s %s\n", at.p, name, detail);
    (void)fflush(out);
}

static enum exit_code show(struct live *live, const char *result, const char *reason,
                           const char *next, enum exit_code code)
{
    OWNED(json_free) json_t *answer = json_object();

    json_set_str(answer, "number", str_of(live->phone));
    json_set_str(answer, "campaign", str_of(live->campaign));
    json_set_str(answer, "result", str_of(result));
    if (reason != NULL) {
        json_set_str(answer, "reason", str_of(reason));
    }
    if (next != NULL) {
        json_set_str(answer, "next", str_of(next));
    }
    (void)json_object_set(answer, "steps", live->steps);
    if (json_get(live->now, "call") != NULL) {
        (void)json_object_set(answer, "call", json_get(live->now, "call"));
    }
    (void)cmd_show(live->cmd, answer, NULL);
    return code;
}

/* NULL where there is none. */
static const char *text_of(const json_t *obj, const char *key)
{
    return json_string_value(json_get(obj, key));
}

static enum exit_code refused(struct live *live, const json_t *verdict)
{
    const char *reason = text_of(verdict, "reason");
    const char *words = text_of(verdict, "words");
    const char *next = text_of(verdict, "next");

    step(live, "refused", STR_NONE, "%s (%s); %s %s", words ? words : reason, reason,
         next ? "this can change at" : "nothing but somebody's act changes this", next ? next : "");
    return show(live, "refused", reason, next, EXIT_REFUSED);
}

/* --- before the queue --------------------------------------------------------------------------- */

struct check_wait {
    struct fault fault;
    json_t *answer;
    bool done;
};

static void on_answer(const struct fault *fault, json_t *answer, void *arg)
{
    struct check_wait *w = arg;

    w->fault = *fault;
    w->answer = json_incref(answer);
    w->done = true;
}

static enum exit_code find_daemon(struct live *live)
{
    struct cmd *cmd = live->cmd;
    struct check_wait w = {0};

    if (store_admin_platform_check(NULL, cmd->db, cmd_now_us(cmd), on_answer, &w) < 0) {
        return cmd_fail(cmd, "the database has no place for another request");
    }
    pg_wait(cmd->db, &w.done);
    OWNED(json_free) json_t *answer = w.answer;
    if (w.fault.class != FAULT_NONE) {
        return cmd_fault(cmd, "looking for a daemon", &w.fault);
    }
    const json_t *nodes = json_get_array(answer, "nodes");
    for (size_t i = 0; i < json_array_size(nodes); i++) {
        const json_t *node = json_array_get(nodes, i);
        if (json_get_i64(node, "silent_s", NODE_SILENT_S + 1) <= NODE_SILENT_S) {
            step(live, "daemon", STR_NONE, "%s is running", cmd_text(node, "name"));
            return EXIT_DONE;
        }
    }
    return cmd_fail(cmd, "no daemon is running: start `dialwright serve`, then try again");
}

static enum exit_code pick_campaign(struct live *live)
{
    struct cmd *cmd = live->cmd;
    OWNED(json_free) json_t *doc = cmd_doc(cmd, NULL);
    OWNED(json_free) json_t *answer = NULL;
    enum exit_code code = cmd_ask(cmd, ADMIN_CAMPAIGN_LIST, doc, &answer);
    const json_t *list = json_get_array(answer, "campaigns");
    size_t active = 0;

    for (size_t i = 0; i < json_array_size(list); i++) {
        json_t *one = json_array_get(list, i);
        if (str_eq_cstr(json_get_str(one, "status"), "active") && ++active == 1) {
            live->picked = json_incref(one);
            live->campaign = text_of(one, "campaign");
        }
    }
    if (code == EXIT_DONE && active != 1) {
        code =
            cmd_usage(cmd, "%zu campaigns are active: say which one with --campaign NAME", active);
    }
    return code;
}

/* One row of a list, by the way that lists take: a lead, or a named reject. */
static enum exit_code store_row(struct live *live, const struct uuid *import_id, json_t **answer)
{
    static const struct str header[] = {{"phone", 5}};
    struct str fields[] = {str_of(live->phone)};
    struct import_rules rules = {.consent_level = "express"};
    OWNED(import_map_fini) struct import_map map = {0};
    OWNED(buf_fini) struct buf why = {0};
    struct cmd *cmd = live->cmd;
    struct admin_batch arrays;
    struct check_wait w = {0};

    buf_init(&why, DETAIL_MAX);
    int err = import_map_init(&map, &(struct csv_row){.fields = header, .field_count = 1}, &why);
    if (err < 0) {
        return cmd_fail(cmd, "%s", buf_cstr(&why));
    }
    OWNED(import_batch_free) struct import_batch *batch = import_batch_new(&map, &rules, 0);
    import_batch_add(batch, &(struct csv_row){.line = 1, .fields = fields, .field_count = 1});
    import_batch_judge(batch);
    err = import_batch_arrays(batch, import_id, &arrays);
    err = err < 0 ? err
                  : store_admin_import_batch(NULL, cmd->db, &cmd->org.id, &arrays, cmd_now_us(cmd),
                                             on_answer, &w);
    if (err < 0) {
        return cmd_fail(cmd, "the number cannot be stored: %s", strerror(-err));
    }
    pg_wait(cmd->db, &w.done);
    *answer = w.answer;
    return w.fault.class == FAULT_NONE ? EXIT_DONE : cmd_fault(cmd, "storing the number", &w.fault);
}

static enum exit_code end_import(struct live *live, const char *id)
{
    OWNED(json_free) json_t *doc = cmd_doc(live->cmd, "import", id, NULL);
    OWNED(json_free) json_t *answer = NULL;

    (void)json_object_set_new(doc, "rows", json_integer(1));
    return cmd_ask(live->cmd, ADMIN_IMPORT_END, doc, &answer);
}

static enum exit_code make_lead(struct live *live)
{
    struct cmd *cmd = live->cmd;
    OWNED(json_free) json_t *doc = cmd_doc(cmd, "file", "doctor --live", NULL);
    OWNED(json_free) json_t *begun = NULL;
    OWNED(json_free) json_t *answer = NULL;
    struct uuid id;

    (void)json_object_set_new(doc, "columns", json_object());
    enum exit_code code = cmd_ask(cmd, ADMIN_IMPORT_BEGIN, doc, &begun);
    if (code != EXIT_DONE) {
        return code;
    }
    if (uuid_parse(json_get_str(begun, "id"), &id) < 0) {
        return cmd_fail(cmd, "the database gave the import no id");
    }
    code = store_row(live, &id, &answer);
    if (code != EXIT_DONE) {
        return code; /* said; the import stays as it broke off */
    }
    code = end_import(live, text_of(begun, "id"));
    const json_t *reject = json_array_get(json_get_array(answer, "rejects"), 0);
    if (code != EXIT_DONE || reject == NULL) {
        return code;
    }
    const char *reason = json_string_value(json_array_get(reject, 1));
    const char *words = json_string_value(json_array_get(reject, 2));
    step(live, "refused", STR_NONE, "%s (%s)", words ? words : "no lead can be made of it", reason);
    return show(live, "refused", reason, NULL, EXIT_REFUSED);
}

/* --- in the queue ------------------------------------------------------------------------------- */

static enum exit_code enrol(struct live *live)
{
    struct cmd *cmd = live->cmd;
    OWNED(json_free)
    json_t *doc = cmd_doc(cmd, "campaign", live->campaign, "phone", live->phone, NULL);
    enum exit_code code = cmd_ask(cmd, ADMIN_LIVE_ENROL, doc, &live->enrolled);

    if (code != EXIT_DONE) {
        return code;
    }
    if (text_of(live->enrolled, "reason") != NULL) {
        return refused(live, live->enrolled);
    }
    step(live, "gate", STR_NONE, "it may be dialed now");
    step(live, "queued", STR_NONE, "first in the queue of %s%s", live->campaign,
         json_get_bool(live->enrolled, "alone", false)
             ? "; nobody else is left in it, so it completes with this call"
             : "");
    return EXIT_DONE;
}

static enum exit_code withdraw(struct live *live)
{
    struct cmd *cmd = live->cmd;
    OWNED(json_free) json_t *doc = cmd_doc(cmd, "queue", text_of(live->enrolled, "queue"), NULL);
    OWNED(json_free) json_t *answer = NULL;

    (void)json_object_set(doc, "was", json_get(live->enrolled, "was"));
    enum exit_code code = cmd_ask(cmd, ADMIN_LIVE_WITHDRAW, doc, &answer);
    const char *next = text_of(answer, "next");
    if (next != NULL) {
        step(live, "stays", STR_NONE, "in the queue, next at %s", next);
    }
    return code;
}

static enum exit_code look(struct live *live)
{
    struct cmd *cmd = live->cmd;
    OWNED(json_free) json_t *doc = cmd_doc(cmd, "queue", text_of(live->enrolled, "queue"), NULL);

    (void)json_object_set(doc, "after", json_get(live->enrolled, "attempt_number"));
    json_free(&live->now);
    return cmd_ask(cmd, ADMIN_LIVE_FOLLOW, doc, &live->now);
}

static void on_tick(void *arg)
{
    *(bool *)arg = true;
}

static void pause_a_little(const struct live *live)
{
    struct timer timer = {0};
    bool done = false;

    timer_start(&timer, live->cmd->loop, LOOK_MS, on_tick, &done);
    pg_wait(live->cmd->db, &done);
}

static const json_t *call_of(const struct live *live)
{
    const json_t *call = json_get(live->now, "call");

    return json_is_object(call) ? call : NULL;
}

/* Until a daemon made an attempt of it. EXIT_DONE: there is a call. */
static enum exit_code wait_for_claim(struct live *live)
{
    struct cmd *cmd = live->cmd;
    int64_t until_us = loop_now_us(cmd->loop) + live->wait_s * US_PER_S;

    for (;;) {
        enum exit_code code = look(live);
        if (code != EXIT_DONE || call_of(live) != NULL) {
            return code;
        }
        struct str why = json_get_str(live->now, "reason");
        bool waits = str_eq_cstr(json_get_str(live->now, "status"), "queued");
        if (why.len > 0 && !(waits && str_eq_cstr(why, "duplicate"))) {
            (void)withdraw(live);
            return refused(live, live->now);
        }
        if (loop_now_us(cmd->loop) > until_us) {
            code = withdraw(live);
            step(live, "withdrawn", STR_NONE,
                 "no daemon claimed it within %lld s: lines or calls a second may be used up, or "
                 "the daemon drains; see its log",
                 (long long)live->wait_s);
            return code == EXIT_DONE ? show(live, "not claimed", NULL, NULL, EXIT_FAILED) : code;
        }
        pause_a_little(live);
    }
}

static void say_milestones(struct live *live)
{
    const json_t *call = call_of(live);

    for (size_t i = 0; i < COUNT_OF(milestones); i++) {
        struct str at = json_get_str(call, milestones[i].member);
        if (at.len > 0 && !live->said[i]) {
            live->said[i] = true;
            step(live, milestones[i].name, at, "%s", milestones[i].words);
        }
    }
}

static enum exit_code report(struct live *live)
{
    const json_t *call = call_of(live);
    bool placed = !str_eq_cstr(json_get_str(call, "status"), "not_placed");
    bool answered = json_get_str(call, "answered_at").len > 0;
    const char *outcome = text_of(call, "outcome");
    const char *words = text_of(call, placed ? "disconnect_reason" : "place_detail");

    step(live, "outcome", STR_NONE, "%s: %s, talked %lld s", outcome ? outcome : "not settled yet",
         words ? words : "no words", (long long)json_get_i64(call, "duration", 0));
    if (json_is_integer(json_get(call, "cost_micros"))) {
        step(live, "cost", STR_NONE, "%.4f %s at the carrier",
             (double)json_get_i64(call, "cost_micros", 0) / 1e6, cmd_text(call, "cost_currency"));
    }
    return show(live,
                answered ? "answered"
                : placed ? "not answered"
                         : "not placed",
                words, NULL, answered ? EXIT_DONE : EXIT_FAILED);
}

static enum exit_code follow(struct live *live)
{
    struct cmd *cmd = live->cmd;
    int64_t unknown_since_us = 0;

    for (;;) {
        say_milestones(live);
        struct str status = json_get_str(call_of(live), "status");
        if (str_eq_cstr(status, "ended") || str_eq_cstr(status, "not_placed")) {
            enum exit_code code = withdraw(live);
            return code == EXIT_DONE ? report(live) : code;
        }
        bool unknown = str_eq_cstr(status, "outcome_unknown");
        if (!unknown) {
            unknown_since_us = 0;
        } else if (unknown_since_us == 0) {
            unknown_since_us = loop_now_us(cmd->loop);
            step(live, "unknown", STR_NONE,
                 "what the carrier did is not known; the daemon asks its lists");
        } else if (loop_now_us(cmd->loop) - unknown_since_us > UNKNOWN_S_MAX * US_PER_S) {
            return show(live, "unknown", NULL, NULL, EXIT_FAILED);
        }
        pause_a_little(live);
        enum exit_code code = look(live);
        if (code != EXIT_DONE) {
            return code;
        }
    }
}

static enum exit_code run(struct live *live)
{
    enum exit_code code = live->campaign ? EXIT_DONE : pick_campaign(live);

    code = code == EXIT_DONE ? find_daemon(live) : code;
    code = code == EXIT_DONE ? make_lead(live) : code;
    code = code == EXIT_DONE ? enrol(live) : code;
    code = code == EXIT_DONE ? wait_for_claim(live) : code;
    return code == EXIT_DONE ? follow(live) : code;
}

enum exit_code doctor_live(struct cmd *cmd, const struct live_wish *wish)
{
    struct live live = {.cmd = cmd, .campaign = wish->campaign, .wait_s = WAIT_S_DEFAULT};
    enum exit_code code = cmd_phone(cmd, wish->number, wish->region, live.phone, sizeof live.phone);

    if (code != EXIT_DONE) {
        return code;
    }
    if (wish->wait && (str_to_i64(str_of(wish->wait), &live.wait_s) < 0 || live.wait_s < 1 ||
                       live.wait_s > WAIT_S_MAX)) {
        return cmd_usage(cmd, "--wait wants 1 to %d seconds, not %s", WAIT_S_MAX, wish->wait);
    }
    code = cmd_open(cmd, CMD_TENANT);
    if (code != EXIT_DONE) {
        return code;
    }
    live.steps = json_array();
    code = run(&live);
    json_free(&live.steps);
    json_free(&live.enrolled);
    json_free(&live.now);
    json_free(&live.picked);
    return code;
}
