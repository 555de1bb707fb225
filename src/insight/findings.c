#include "insight/findings.h"

#include "base/clock.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define SUMMARY_MAX     1000
#define VALUE_MAX       200
#define LIST_MAX        10
#define QUOTES_MAX      5
#define ACTION_TEXT_MAX 500

struct reading {
    struct findings *f;
    const json_t *answer;
    const struct evidence *evidence;
    json_t *shown; /* evidence by column */
};

/* A judgement: one word of a vocabulary, with the quotes that show it. */
struct judged {
    const char *column;
    const char *quotes;
    const char *words; /* separated by blanks, as the CHECK of the table has them */
};

static const struct judged judgements[] = {
    {"primary_emotion", "emotion_evidence",
     "excited interested neutral hesitant confused frustrated angry"},
    {"intent", "intent_evidence",
     "ready_to_buy wants_callback needs_info just_browsing not_interested"},
    {"interest_level", "interest_evidence", "high medium low none"},
    {"purchase_readiness", "readiness_evidence", "immediate short_term long_term not_ready"},
};

static const char task_types[] = "call sms email meeting site_visit send_info";

static bool in_words(struct str value, const char *words)
{
    struct str rest = str_of(words);
    struct str word = STR_NONE;
    while (str_split(&rest, ' ', &word)) {
        if (value.len > 0 && str_eq(value, word)) {
            return true;
        }
    }
    return false;
}

/* Text of the model for people: one line, bounded, no control characters. */
static void set_line(json_t *obj, const char *key, struct str text, size_t max)
{
    OWNED(buf_fini) struct buf clean;
    buf_init(&clean, max + 1);
    text = str_trim(text);
    while (text.len > 0) {
        size_t step = str_utf8_step(text);
        unsigned char c = (unsigned char)text.p[0];
        step = step == 0 ? 1 : step;
        if (clean.len + step > max) {
            break;
        }
        if (c < 0x20 || c == 0x7f) {
            (void)buf_add_char(&clean, ' ');
        } else {
            (void)buf_add(&clean, text.p, step);
        }
        text = str_skip(text, step);
    }
    json_set_str(obj, key, clean.len == 0 ? STR("") : buf_str(&clean));
}

static json_t *shown_quote(const struct insight_turn *turn, struct str quote)
{
    char id[UUID_TEXT_SIZE];
    uuid_text(&turn->id, id);
    json_t *q = json_object();
    json_set_str(q, "turn", str_of(id));
    set_line(q, "quote", quote, EVIDENCE_QUOTE_MAX);
    return q;
}

/* The quotes of one value that are really there; NULL when none is. */
static json_t *show(const struct reading *r, const char *key, enum evidence_of of)
{
    json_t *kept = json_array();
    size_t i = 0;
    const json_t *item = NULL;
    json_array_foreach(json_get_array(r->answer, key), i, item)
    {
        struct str quote = json_get_str(item, "quote");
        const struct insight_turn *turn =
            evidence_find(r->evidence, json_get_i64(item, "turn", 0), quote, of);
        if (turn != NULL && json_array_size(kept) < QUOTES_MAX) {
            (void)json_array_append_new(kept, shown_quote(turn, quote));
        }
    }
    if (json_array_size(kept) == 0) {
        json_free(&kept);
    }
    return kept;
}

static void read_judgement(const struct reading *r, const struct judged *j)
{
    struct str value = json_get_str(r->answer, j->column);
    json_t *quotes = show(r, j->quotes, EVIDENCE_LEAD);
    if (quotes == NULL || !in_words(value, j->words)) {
        r->f->dropped++;
        json_free(&quotes);
        return;
    }
    json_set_str(r->f->insight, j->column, value);
    (void)json_object_set_new(r->shown, j->column, quotes);
}

static void read_sentiment(const struct reading *r)
{
    double value = json_get_double(r->answer, "overall_sentiment", NAN);
    json_t *quotes = show(r, "sentiment_evidence", EVIDENCE_LEAD);
    if (quotes == NULL || !(value >= -1 && value <= 1)) {
        r->f->dropped++;
        json_free(&quotes);
        value = 0;
    } else {
        (void)json_object_set_new(r->shown, "overall_sentiment", quotes);
    }
    (void)json_object_set_new(r->f->insight, "overall_sentiment",
                              json_real(round(value * 100) / 100));
}

/* budget_range, timeline: said or not. */
static void read_said(const struct reading *r, const char *column, const char *key)
{
    struct str value = str_trim(json_get_str(r->answer, column));
    if (value.len == 0) {
        return;
    }
    json_t *quotes = show(r, key, EVIDENCE_LEAD);
    if (quotes == NULL) {
        r->f->dropped++;
        return;
    }
    set_line(r->f->insight, column, value, VALUE_MAX);
    (void)json_object_set_new(r->shown, column, quotes);
}

/* A list whose elements carry their own words. text_key NULL: the quote itself is the value. */
static void read_list(const struct reading *r, const char *column, const char *text_key,
                      enum evidence_of of)
{
    json_t *values = json_array();
    json_t *quotes = json_array();
    (void)json_object_set_new(r->f->insight, column, values);
    (void)json_object_set_new(r->shown, column, quotes);
    size_t i = 0;
    const json_t *item = NULL;
    json_array_foreach(json_get_array(r->answer, column), i, item)
    {
        struct str quote = str_trim(json_get_str(item, "quote"));
        struct str text = text_key == NULL ? quote : str_trim(json_get_str(item, text_key));
        const struct insight_turn *turn =
            evidence_find(r->evidence, json_get_i64(item, "turn", 0), quote, of);
        if (turn == NULL || text.len == 0 || json_array_size(values) == LIST_MAX) {
            r->f->dropped++;
            continue;
        }
        OWNED(json_free) json_t *line = json_object();
        set_line(line, "v", text, VALUE_MAX);
        (void)json_array_append(values, json_get(line, "v"));
        (void)json_array_append_new(quotes, shown_quote(turn, quote));
    }
    if (json_array_size(quotes) == 0) {
        (void)json_object_del(r->shown, column);
    }
}

static void read_promises(const struct reading *r)
{
    size_t i = 0;
    const json_t *item = NULL;
    json_array_foreach(json_get_array(r->answer, "promises"), i, item)
    {
        struct str type = json_get_str(item, "task_type");
        struct str quote = json_get_str(item, "quote");
        const struct insight_turn *turn =
            evidence_find(r->evidence, json_get_i64(item, "turn", 0), quote, EVIDENCE_ANYBODY);
        if (turn == NULL || !in_words(type, task_types) ||
            json_array_size(r->f->promises) == LIST_MAX) {
            r->f->dropped++;
            continue;
        }
        json_t *promise = shown_quote(turn, quote);
        json_set_str(promise, "task_type", type);
        set_line(promise, "what", json_get_str(item, "what"), VALUE_MAX);
        (void)json_array_append_new(r->f->promises, promise);
    }
}

static void read_callback(const struct reading *r)
{
    if (!json_get_bool(r->answer, "callback_requested", false)) {
        return;
    }
    json_t *quotes = show(r, "callback_evidence", EVIDENCE_LEAD);
    if (quotes == NULL) {
        r->f->dropped++;
        return;
    }
    r->f->callback = true;
    (void)json_object_set_new(r->shown, "callback", quotes);
    r->f->callback_quote = json_get_str(json_array_get(quotes, 0), "quote");
    int64_t at_us = 0;
    if (clock_parse(json_get_str(r->answer, "callback_at"), &at_us) == 0) {
        r->f->callback_us = at_us;
    }
}

static void read_action(const struct reading *r)
{
    struct findings *f = r->f;
    struct str action = json_get_str(r->answer, "recommended_action");
    if (!in_words(action, task_types) && !str_eq(action, STR("none"))) {
        f->dropped++;
        action = STR("none");
    }
    json_set_str(f->insight, "recommended_action", action);
    f->action = json_get_str(f->insight, "recommended_action");
    set_line(f->insight, "recommended_action_text",
             json_get_str(r->answer, "recommended_action_text"), ACTION_TEXT_MAX);
    f->action_text = json_get_str(f->insight, "recommended_action_text");
    f->priority = i64_max(0, i64_min(100, json_get_i64(r->answer, "priority_score", 0)));
    (void)json_object_set_new(f->insight, "priority_score", json_integer(f->priority));
}

int findings_read(struct findings *f, const json_t *answer, const struct insight_turn *turns,
                  size_t turn_count)
{
    *f = (struct findings){.dropped = 0};
    if (!json_is_object(answer) || !json_is_string(json_get(answer, "summary")) ||
        !json_is_number(json_get(answer, "overall_sentiment"))) {
        return -EINVAL;
    }
    struct evidence evidence;
    evidence_init(&evidence, turns, turn_count);
    f->insight = json_object();
    f->promises = json_array();
    struct reading r = {f, answer, &evidence, json_object()};
    (void)json_object_set_new(f->insight, "evidence", r.shown);
    set_line(f->insight, "summary", json_get_str(answer, "summary"), SUMMARY_MAX);
    read_sentiment(&r);
    for (size_t i = 0; i < COUNT_OF(judgements); i++) {
        read_judgement(&r, &judgements[i]);
    }
    read_list(&r, "objections", "objection", EVIDENCE_LEAD);
    read_list(&r, "key_phrases", NULL, EVIDENCE_ANYBODY);
    read_said(&r, "budget_range", "budget_evidence");
    read_said(&r, "timeline", "timeline_evidence");
    read_callback(&r);
    read_promises(&r);
    read_action(&r);
    (void)json_object_set_new(f->insight, "dropped_values", json_integer(f->dropped));
    (void)json_object_set_new(f->insight, "schema_version", json_integer(FINDINGS_SCHEMA));
    evidence_fini(&evidence);
    return 0;
}

void findings_fini(struct findings *f)
{
    json_free(&f->insight);
    json_free(&f->promises);
    *f = (struct findings){.dropped = 0};
}

json_t *findings_too_short(void)
{
    return json_pack("{s:b, s:s, s:i}", "too_short", 1, "summary", "Too little was said to judge.",
                     "schema_version", FINDINGS_SCHEMA);
}
