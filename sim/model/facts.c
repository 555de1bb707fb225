#include "facts.h"

#include "base/alloc.h"
#include "fit.h"

#include <stdio.h>
#include <string.h>

/* Members whose names differ between schemas but mean the same fact. In order. */
static const struct {
    const char *in_name;
    const char *fact;
} meanings[] = {
    {"promise", "promise"},
    {"callback_at", "callback_at"},
    {"callback", "callback"},
    {"action_text", "action_text"},
    {"sentiment_label", "sentiment_label"},
    {"sentiment", "sentiment"},
    {"emotion", "emotion"},
    {"intent", "intent"},
    {"interest", "interest"},
    {"readiness", "readiness"},
    {"priority", "priority"},
    {"disposition", "disposition"},
    {"outcome", "disposition"},
    {"budget", "budget"},
    {"timeline", "timeline"},
    {"objection", "objection"},
    {"action", "action"},
    {"follow", "action"},
    {"task", "action"},
    {"next_step", "action"},
    {"phrase", "phrase"},
};

static bool speaker_at(struct str line, const char *speaker, struct str *before, struct str *after)
{
    size_t len = strlen(speaker);

    for (size_t i = 0; i + len <= line.len && i < 48; i++) {
        if (memcmp(line.p + i, speaker, len) == 0) {
            *before = str_head(line, i);
            *after = str_trim(str_skip(line, i + len));
            return true;
        }
    }
    return false;
}

static void take_number(struct str before, size_t count, char out[24])
{
    size_t start = 0;

    while (start < before.len && (before.p[start] < '0' || before.p[start] > '9')) {
        start++;
    }
    size_t end = start;
    while (end < before.len && before.p[end] >= '0' && before.p[end] <= '9' && end - start < 20) {
        end++;
    }
    if (end > start) {
        (void)snprintf(out, 24, "%.*s", (int)(end - start), before.p + start);
    } else {
        (void)snprintf(out, 24, "%zu", count);
    }
}

/* "\"words\"" or words. */
static void take_words(struct str after, char out[FACT_TEXT_SIZE])
{
    OWNED(json_free) json_t *j = NULL;

    if (str_starts(after, STR("\"")) && after.len < FACT_TEXT_SIZE) {
        char text[FACT_TEXT_SIZE + 2];
        (void)snprintf(text, sizeof text, "[" STR_FMT "]", STR_ARG(after));
        if (json_parse(str_of(text), &j) == 0) {
            const char *words = json_string_value(json_array_get(j, 0));
            str_copy_cut(str_of(words), out, FACT_TEXT_SIZE);
            return;
        }
    }
    str_copy_cut(after, out, FACT_TEXT_SIZE);
}

static void read_lines(struct facts *f, struct str transcript)
{
    static const char *const speakers[] = {
        "Lead:", "Callee:", "Caller:", "Customer:", "AI:", "Agent:", "Assistant:", NULL};
    struct str line;
    struct str before;
    struct str after;

    f->lines = xcalloc(FACT_LINES_MAX, sizeof *f->lines);
    while (f->count < FACT_LINES_MAX && str_split(&transcript, '\n', &line)) {
        size_t who = 0;
        while (speakers[who] != NULL && !speaker_at(line, speakers[who], &before, &after)) {
            who++;
        }
        if (speakers[who] == NULL) {
            continue;
        }
        struct fact_line *l = &f->lines[f->count++];
        l->lead = who < 4;
        f->lead_count += l->lead ? 1 : 0;
        take_number(before, f->count, l->number);
        take_words(after, l->text);
    }
}

static const struct fact_line *line_with(const struct facts *f, const char *phrase, bool lead)
{
    for (size_t i = f->count; i > 0; i--) {
        const struct fact_line *l = &f->lines[i - 1];
        if (l->lead == lead && str_contains_nocase(str_of(l->text), str_of(phrase))) {
            return l;
        }
    }
    return NULL;
}

static const struct fact_line *last_of_lead(const struct facts *f)
{
    for (size_t i = f->count; i > 0; i--) {
        if (f->lines[i - 1].lead) {
            return &f->lines[i - 1];
        }
    }
    return NULL;
}

static const char *rule_word(const json_t *rule, const char *key)
{
    return json_string_value(json_object_get(rule, key));
}

static void read_moment(struct facts *f, struct str text, int64_t wall_us)
{
    char zone[64] = "Etc/UTC";
    const char *hint = f->rule == NULL ? NULL : rule_word(f->rule, "callback_at");

    (void)fit_find_zone(text, zone, sizeof zone);
    struct fit_world world = {"", zone, wall_us};
    if (hint == NULL || fit_moment(hint, &world, f->callback_at, sizeof f->callback_at) < 0) {
        f->callback_at[0] = '\0';
    }
}

void facts_read(struct facts *f, const json_t *rules, struct str transcript, int64_t wall_us)
{
    const json_t *rule;
    size_t i;

    memset(f, 0, sizeof *f);
    read_lines(f, transcript);
    json_array_foreach(rules, i, rule)
    {
        const char *match = rule_word(rule, "match");
        const struct fact_line *line = match == NULL ? NULL : line_with(f, match, true);
        if (line != NULL) {
            f->rule = rule;
            f->proof = line;
            break;
        }
    }
    const char *summary = f->rule == NULL ? NULL : rule_word(f->rule, "summary");
    if (summary == NULL) {
        summary =
            f->lead_count == 0 ? "The lead said nothing." : "A short talk without a clear result.";
    }
    (void)snprintf(f->summary, sizeof f->summary, "%s", summary);
    read_moment(f, transcript, wall_us);
}

void facts_fini(struct facts *f)
{
    xfree(f->lines);
    f->lines = NULL;
}

static const char *fact_of(const char *name)
{
    for (size_t i = 0; i < COUNT_OF(meanings); i++) {
        if (strstr(name, meanings[i].in_name) != NULL) {
            return meanings[i].fact;
        }
    }
    return NULL;
}

static bool is_quote(const char *name)
{
    return strstr(name, "quote") != NULL || strcmp(name, "words") == 0 ||
           strcmp(name, "evidence") == 0;
}

static bool is_turn(const char *name)
{
    return strncmp(name, "turn", 4) == 0 || strcmp(name, "line") == 0 ||
           strcmp(name, "ordinal") == 0;
}

/* The line that proves a fact: the one with the fact's own words, else the rule's, else the last. */
static const struct fact_line *proof_of(const struct facts *f, const char *about)
{
    char key[64];
    const char *fact = fact_of(about);
    const struct fact_line *own = NULL;

    if (f->rule != NULL && fact != NULL) {
        (void)snprintf(key, sizeof key, "%s_words", fact);
        const char *words = rule_word(f->rule, key);
        own = words == NULL ? NULL : line_with(f, words, strcmp(fact, "promise") != 0);
    }
    if (own != NULL) {
        return own;
    }
    return f->proof != NULL ? f->proof : last_of_lead(f);
}

static const char *proof_word(const struct facts *f, const char *name, const char *parent)
{
    const struct fact_line *line = proof_of(f, parent[0] == '\0' ? name : parent);

    if (line == NULL) {
        return NULL;
    }
    return is_turn(name) ? line->number : line->text;
}

const char *facts_word(const struct facts *f, const char *name, const char *parent)
{
    const char *about = name[0] == '\0' ? parent : name;
    const char *fact = fact_of(about);

    if (strstr(name, "summary") != NULL) {
        return f->summary;
    }
    if (is_quote(about) || is_turn(about)) {
        return proof_word(f, name, parent);
    }
    fact = fact == NULL ? fact_of(parent) : fact; /* {objections: [{text}]} */
    if (fact == NULL) {
        return NULL;
    }
    if (strcmp(fact, "phrase") == 0) {
        return f->proof == NULL ? NULL : f->proof->text;
    }
    if (strcmp(fact, "callback_at") == 0) {
        return f->callback_at[0] == '\0' ? NULL : f->callback_at;
    }
    if (strcmp(fact, "promise") == 0 && strstr(name, "type") != NULL) {
        fact = "promise_type";
    }
    const char *word = f->rule == NULL ? NULL : rule_word(f->rule, fact);
    return word == NULL && strcmp(fact, "sentiment_label") == 0 ? "neutral" : word;
}

double facts_number(const struct facts *f, const char *name, const char *parent)
{
    const char *fact = fact_of(name);

    if (is_turn(name)) {
        const char *word = proof_word(f, name, parent);
        int64_t n = 0;
        return word != NULL && str_to_i64(str_of(word), &n) == 0 ? (double)n : 0;
    }
    if (strstr(name, "confidence") != NULL) {
        return f->rule == NULL ? 0.3 : 0.9;
    }
    return fact == NULL || f->rule == NULL ? 0 : json_get_double(f->rule, fact, 0);
}

static bool rule_has(const struct facts *f, const char *fact)
{
    if (strcmp(fact, "phrase") == 0) {
        return f->proof != NULL;
    }
    if (strcmp(fact, "callback_at") == 0) {
        return f->callback_at[0] != '\0';
    }
    return f->rule != NULL && json_object_get(f->rule, fact) != NULL;
}

bool facts_flag(const struct facts *f, const char *name, const char *parent)
{
    const char *fact = fact_of(name);

    if (strstr(name, "do_not_call") != NULL || strstr(name, "opt_out") != NULL) {
        const char *disposition = f->rule == NULL ? NULL : rule_word(f->rule, "disposition");
        return disposition != NULL && strcmp(disposition, "do_not_call") == 0;
    }
    fact = fact == NULL ? fact_of(parent) : fact;
    return fact != NULL && rule_has(f, fact);
}

bool facts_knows(const struct facts *f, const char *name, const char *parent)
{
    const char *about = name[0] == '\0' ? parent : name;
    const char *fact = fact_of(about);

    if (is_quote(about) || is_turn(about)) {
        return proof_word(f, name, parent) != NULL;
    }
    fact = fact == NULL ? fact_of(parent) : fact;
    return fact == NULL || rule_has(f, fact);
}

/* Moods always have some words that come closest; a budget has them only when one was named. */
static bool always_shown(const char *fact)
{
    static const char *const moods[] = {"sentiment", "emotion", "intent", "interest", "readiness"};

    for (size_t i = 0; i < COUNT_OF(moods); i++) {
        if (strcmp(fact, moods[i]) == 0) {
            return true;
        }
    }
    return false;
}

bool facts_has_list(const struct facts *f, const char *name, const char *parent)
{
    const char *fact = fact_of(name);

    fact = fact == NULL ? fact_of(parent) : fact;
    if (fact == NULL) {
        return strstr(name, "evidence") != NULL && f->lead_count > 0;
    }
    if (strstr(name, "evidence") != NULL && always_shown(fact)) {
        return f->lead_count > 0;
    }
    return rule_has(f, fact);
}
