#include "insight/follow_up.h"

#include "base/clock.h"

#include <stdio.h>

#define TITLE_MAX   200
#define HOUR_US     (3600 * US_PER_S)
#define DAY_US      (24 * HOUR_US)
#define FAR_DAYS    90
#define HIGH_FROM   70
#define MEDIUM_FROM 40

struct kind {
    const char *type;
    const char *title;
    int64_t due_after_us;
};

static const struct kind kinds[] = {
    {"call", "Call the lead", DAY_US},         {"sms", "Send a text message", DAY_US},
    {"email", "Write an e-mail", DAY_US},      {"meeting", "Arrange a meeting", DAY_US},
    {"site_visit", "Arrange a visit", DAY_US}, {"send_info", "Send information", 4 * HOUR_US},
};

static const struct kind *find_kind(struct str type)
{
    for (size_t i = 0; i < COUNT_OF(kinds); i++) {
        if (str_eq_cstr(type, kinds[i].type)) {
            return &kinds[i];
        }
    }
    return NULL;
}

static const char *priority_of(int64_t score)
{
    return score >= HIGH_FROM ? "high" : score >= MEDIUM_FROM ? "medium" : "low";
}

static json_t *task_new(const struct kind *kind, const char *reason, const char *priority,
                        int64_t due_us)
{
    char due[CLOCK_TEXT_SIZE];
    clock_format(due_us, due);
    return json_pack("{s:s, s:s, s:s, s:s}", "task_type", kind->type, "reason", reason, "priority",
                     priority, "due", due);
}

static void set_title(json_t *task, const struct kind *kind, struct str what)
{
    char text[TITLE_MAX * 4];
    char cut[TITLE_MAX];
    (void)snprintf(text, sizeof text, "%s%s" STR_FMT, kind->title, what.len > 0 ? ": " : "",
                   STR_ARG(what));
    str_copy_cut(str_of(text), cut, sizeof cut);
    json_set_str(task, "title", str_of(cut));
}

static void add_callback(json_t *tasks, const struct findings *f, const struct follow_up_call *call)
{
    /* A time that has passed, or is absurdly far, is a misreading: a person looks tomorrow. */
    bool timely =
        f->callback_us > call->ended_us && f->callback_us <= call->ended_us + FAR_DAYS * DAY_US;
    json_t *task =
        task_new(&kinds[0], "callback", "high", timely ? f->callback_us : call->ended_us + DAY_US);
    json_set_str(task, "title", STR("Call back: the lead asked for it"));
    json_set_str(task, "suggestion", f->action_text);
    (void)json_object_set_new(task, "context", json_pack("{s:b}", "time_given", timely));
    json_set_str(json_get(task, "context"), "quote", f->callback_quote);
    (void)json_array_append_new(tasks, task);
}

static void add_promises(json_t *tasks, const struct findings *f, const struct follow_up_call *call)
{
    size_t i = 0;
    const json_t *promise = NULL;
    json_array_foreach(f->promises, i, promise)
    {
        const struct kind *kind = find_kind(json_get_str(promise, "task_type"));
        if (kind == NULL) {
            continue;
        }
        char reason[48];
        (void)snprintf(reason, sizeof reason, "promise:%s", kind->type);
        json_t *task = task_new(kind, reason, "high", call->ended_us + kind->due_after_us);
        set_title(task, kind, json_get_str(promise, "what"));
        json_set_str(task, "description", STR("Promised during the call."));
        json_t *context = json_object();
        json_set_str(context, "quote", json_get_str(promise, "quote"));
        json_set_str(context, "turn", json_get_str(promise, "turn"));
        (void)json_object_set_new(task, "context", context);
        (void)json_array_append_new(tasks, task);
    }
}

static void add_recommended(json_t *tasks, const struct findings *f,
                            const struct follow_up_call *call)
{
    const struct kind *kind = find_kind(f->action);
    if (kind == NULL) {
        return;
    }
    char reason[48];
    (void)snprintf(reason, sizeof reason, "recommended:%s", kind->type);
    json_t *task =
        task_new(kind, reason, priority_of(f->priority), call->ended_us + kind->due_after_us);
    set_title(task, kind, STR_NONE);
    json_set_str(task, "description", json_get_str(f->insight, "summary"));
    json_set_str(task, "suggestion", f->action_text);
    (void)json_array_append_new(tasks, task);
}

json_t *follow_up_tasks(const struct findings *f, const struct follow_up_call *call)
{
    json_t *tasks = json_array();
    if (call->opted_out) {
        return tasks;
    }
    if (f->callback) {
        add_callback(tasks, f, call);
    }
    add_promises(tasks, f, call);
    add_recommended(tasks, f, call);
    return tasks;
}
