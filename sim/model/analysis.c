#include "analysis.h"

#include "base/clock.h"
#include "facts.h"

#include <stdio.h>
#include <string.h>

#define TEXT_MAX  (256 * 1024)
#define DEPTH_MAX 12

struct filling {
    const struct facts *facts;
    const json_t *root; /* for $ref */
};

static json_t *fill(const struct filling *f, const json_t *schema, const char *name,
                    const char *parent, int depth);

static const json_t *resolve(const struct filling *f, const json_t *schema)
{
    struct str ref = json_get_str(schema, "$ref");
    const json_t *at = f->root;
    struct str part;

    if (!str_starts(ref, STR("#/"))) {
        return schema;
    }
    ref = str_skip(ref, 2);
    while (at != NULL && str_split(&ref, '/', &part)) {
        char key[128];
        str_copy_cut(part, key, sizeof key);
        at = json_object_get(at, key);
    }
    return at;
}

static bool may_be(const json_t *schema, const char *type)
{
    const json_t *t = json_object_get(schema, "type");
    const json_t *one;
    size_t i;

    if (json_is_string(t)) {
        return strcmp(json_string_value(t), type) == 0;
    }
    json_array_foreach(t, i, one)
    {
        if (json_is_string(one) && strcmp(json_string_value(one), type) == 0) {
            return true;
        }
    }
    return false;
}

static json_t *fill_enum(const struct filling *f, const json_t *values, const char *name,
                         const char *parent)
{
    const char *wanted = facts_word(f->facts, name, parent);
    const json_t *v;
    size_t i;

    json_array_foreach(values, i, v)
    {
        if (json_is_string(v) && wanted != NULL && strcmp(json_string_value(v), wanted) == 0) {
            return json_incref((json_t *)(uintptr_t)v);
        }
    }
    static const char *const harmless[] = {"none", "neutral", "other", "no_decision", "not_ready"};
    for (size_t k = 0; k < COUNT_OF(harmless); k++) {
        json_array_foreach(values, i, v)
        {
            if (json_is_string(v) && strcmp(json_string_value(v), harmless[k]) == 0) {
                return json_incref((json_t *)(uintptr_t)v);
            }
        }
    }
    return json_incref(json_array_get(values, 0));
}

static json_t *fill_number(const struct filling *f, const json_t *schema, const char *name,
                           const char *parent)
{
    double low = json_get_double(schema, "minimum", -1e9);
    double high = json_get_double(schema, "maximum", 1e9);
    double n = facts_number(f->facts, name, parent);

    n = n < low ? low : n > high ? high : n;
    return may_be(schema, "integer") ? json_integer((json_int_t)n) : json_real(n);
}

static json_t *fill_object(const struct filling *f, const json_t *schema, const char *name,
                           const char *parent, int depth)
{
    json_t *out = json_object();
    const char *key;
    json_t *member;

    json_object_foreach(json_object_get(schema, "properties"), key, member)
    {
        /* A quote inside "budget" is about the budget; inside a list's element, about the list. */
        (void)json_object_set_new(out, key,
                                  fill(f, member, key, name[0] == '\0' ? parent : name, depth + 1));
    }
    return out;
}

static json_t *fill_array(const struct filling *f, const json_t *schema, const char *name,
                          const char *parent, int depth)
{
    const json_t *items = json_object_get(schema, "items");
    json_t *out = json_array();

    if (items != NULL && facts_has_list(f->facts, name, parent)) {
        (void)json_array_append_new(out, fill(f, items, "", name, depth + 1));
    }
    return out;
}

static json_t *fill_string(const struct filling *f, const json_t *schema, const char *name,
                           const char *parent)
{
    const char *word = facts_word(f->facts, name, parent);

    if (word == NULL && may_be(schema, "null")) {
        return json_null();
    }
    return json_string(word == NULL ? "" : word);
}

static json_t *fill_any_of(const struct filling *f, const json_t *choices, const char *name,
                           const char *parent, int depth)
{
    const json_t *choice;
    size_t i;
    bool null_allowed = false;

    json_array_foreach(choices, i, choice)
    {
        null_allowed |= may_be(choice, "null");
    }
    if (null_allowed && !facts_knows(f->facts, name, parent)) {
        return json_null();
    }
    json_array_foreach(choices, i, choice)
    {
        if (!may_be(choice, "null")) {
            return fill(f, choice, name, parent, depth + 1);
        }
    }
    return json_null();
}

static json_t *fill(const struct filling *f, const json_t *given, const char *name,
                    const char *parent, int depth)
{
    const json_t *schema = resolve(f, given);
    const json_t *values = json_object_get(schema, "enum");
    const json_t *choices = json_object_get(schema, "anyOf");

    if (depth > DEPTH_MAX || schema == NULL) {
        return json_null();
    }
    if (choices != NULL) {
        return fill_any_of(f, choices, name, parent, depth);
    }
    if (may_be(schema, "null") && !facts_knows(f->facts, name, parent)) {
        return json_null();
    }
    if (values != NULL) {
        return fill_enum(f, values, name, parent);
    }
    if (may_be(schema, "object")) {
        return fill_object(f, schema, name, parent, depth);
    }
    if (may_be(schema, "array")) {
        return fill_array(f, schema, name, parent, depth);
    }
    if (may_be(schema, "boolean")) {
        return json_boolean(facts_flag(f->facts, name, parent));
    }
    if (may_be(schema, "number") || may_be(schema, "integer")) {
        return fill_number(f, schema, name, parent);
    }
    return fill_string(f, schema, name, parent);
}

static void add_text(struct buf *out, struct str text)
{
    if (text.len > 0) {
        (void)buf_add_str(out, text);
        (void)buf_add_char(out, '\n');
    }
}

/* Everything that was given as input, one text after the other. */
static void gather(const json_t *request, struct buf *out)
{
    const json_t *input = json_object_get(request, "input");
    const json_t *message;
    const json_t *part;
    size_t i;
    size_t k;

    add_text(out, json_get_str(request, "input"));
    json_array_foreach(input, i, message)
    {
        add_text(out, json_get_str(message, "content"));
        json_array_foreach(json_object_get(message, "content"), k, part)
        {
            add_text(out, json_get_str(part, "text"));
        }
    }
}

/* Strict mode's own rules, as far as a client can break them unknowingly. */
static const char *schema_fault(const json_t *schema, int depth)
{
    const char *key;
    json_t *member;
    const char *fault = NULL;
    const json_t *properties = json_object_get(schema, "properties");

    if (depth > DEPTH_MAX) {
        return "the schema is too deep";
    }
    if (properties != NULL &&
        (!json_is_false(json_object_get(schema, "additionalProperties")) ||
         json_array_size(json_object_get(schema, "required")) != json_object_size(properties))) {
        return "in strict mode additionalProperties must be false and every property required";
    }
    json_object_foreach((json_t *)(uintptr_t)properties, key, member)
    {
        fault = fault == NULL ? schema_fault(member, depth + 1) : fault;
    }
    const json_t *items = json_object_get(schema, "items");
    return fault == NULL && items != NULL ? schema_fault(items, depth + 1) : fault;
}

static json_t *wrap(const json_t *request, int64_t wall_us, const char *text, bool cut,
                    size_t input_len)
{
    json_int_t in = (json_int_t)input_len / 4 + 200;
    json_int_t out = (json_int_t)strlen(text) / 4 + 32;
    json_t *reply = json_pack(
        "{s:s, s:s, s:I, s:n, s:n, s:n, s:s, s:s, s:[{s:s, s:s, s:[]}, {s:s, s:s, s:s, s:s, "
        "s:[{s:s, s:s, s:[]}]}], s:{s:I, s:{s:i, s:i}, s:I, s:{s:i}, s:I}}",
        "id", "resp_simulated", "object", "response", "created_at",
        (json_int_t)(wall_us / US_PER_S), "error", "incomplete_details", "instructions", "status",
        cut ? "incomplete" : "completed", "model", "gpt-6-luna", "output", "id", "rs_simulated",
        "type", "reasoning", "summary", "id", "msg_simulated", "type", "message", "role",
        "assistant", "status", cut ? "incomplete" : "completed", "content", "type", "output_text",
        "text", text, "annotations", "usage", "input_tokens", in, "input_tokens_details",
        "cached_tokens", 0, "cache_write_tokens", 0, "output_tokens", out, "output_tokens_details",
        "reasoning_tokens", 32, "total_tokens", in + out);

    if (cut) {
        (void)json_object_set_new(reply, "incomplete_details",
                                  json_pack("{s:s}", "reason", "max_output_tokens"));
    }
    (void)json_object_set(reply, "model", json_object_get(request, "model"));
    if (json_object_get(request, "metadata") != NULL) {
        (void)json_object_set(reply, "metadata", json_object_get(request, "metadata"));
    }
    return reply;
}

json_t *analysis_reply(const json_t *rules, const json_t *request, int64_t wall_us, bool cut,
                       const char **why)
{
    const json_t *format = json_object_get(json_object_get(request, "text"), "format");
    const json_t *schema = json_object_get(format, "schema");
    struct facts facts;
    struct buf text;
    struct buf answer;

    if (json_get_str(request, "model").len == 0) {
        *why = "you must provide a model parameter";
        return NULL;
    }
    if (!str_eq_cstr(json_get_str(format, "type"), "json_schema") || !json_is_object(schema)) {
        *why = "text.format must be a json_schema";
        return NULL;
    }
    *why = schema_fault(schema, 0);
    if (*why != NULL) {
        return NULL;
    }
    buf_init(&text, TEXT_MAX);
    buf_init(&answer, TEXT_MAX);
    gather(request, &text);
    facts_read(&facts, rules, buf_str(&text), wall_us);
    struct filling filling = {&facts, schema};
    OWNED(json_free) json_t *filled = fill(&filling, schema, "", "", 0);
    (void)!json_dump(filled, &answer);
    if (cut) {
        answer.len /= 2;
        answer.p[answer.len] = '\0';
    }
    json_t *reply = wrap(request, wall_us, buf_cstr(&answer), cut, text.len);
    facts_fini(&facts);
    buf_fini(&text);
    buf_fini(&answer);
    return reply;
}
