#include "fit.h"

#include "base/clock.h"
#include "people/zones.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define ZONE_SIZE 64

struct meaning {
    const char *in_name; /* part of a member's name */
    const char *hint;
};

/* In order: the first that fits wins. */
static const struct meaning meanings[] = {
    {"when", "when"},      {"time", "when"},       {"_at", "when"},
    {"date", "when"},      {"level", "level"},     {"interest", "level"},
    {"verbatim", "words"}, {"word", "words"},      {"request", "words"},
    {"quote", "words"},    {"outcome", "outcome"}, {"disposition", "outcome"},
    {"result", "outcome"}, {"reason", "reason"},   {"summary", "summary"},
    {"summary", "note"},   {"note", "note"},       {"detail", "note"},
    {"comment", "note"},   {"message", "note"},    {"reason", "outcome"},
    {"reason", "note"},
};

static const char *hint_text(const json_t *hints, const char *key)
{
    return json_string_value(json_object_get(hints, key));
}

static const char *hint_for(const json_t *hints, const char *name)
{
    const char *own = hint_text(hints, name);

    for (size_t i = 0; own == NULL && i < COUNT_OF(meanings); i++) {
        if (strstr(name, meanings[i].in_name) != NULL) {
            own = hint_text(hints, meanings[i].hint);
        }
    }
    return own;
}

static bool is_part(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_' || c == '/' || c == '-';
}

bool fit_find_zone(struct str text, char *out, size_t out_size)
{
    struct local_time t;
    size_t i = 0;

    while (i < text.len) {
        size_t start = i;
        while (i < text.len && is_part(text.p[i])) {
            i++;
        }
        struct str word = str_make(text.p + start, i - start);
        bool upper = word.len > 4 && word.p[0] >= 'A' && word.p[0] <= 'Z';
        if (upper && str_find_char(word, '/') > 1 && str_copy(word, out, out_size) == 0 &&
            zone_local(out, 0, &t) == 0) {
            return true;
        }
        i++;
    }
    return false;
}

static int read_delay(struct str s, int64_t *seconds, int *days)
{
    int64_t n = 0;
    char unit = s.len > 1 ? s.p[s.len - 1] : ' ';

    if (!str_starts(s, STR("+")) || str_to_i64(str_make(s.p + 1, s.len - 2), &n) < 0) {
        return -EINVAL;
    }
    *days = unit == 'd' ? (int)n : 0;
    *seconds = unit == 's' ? n : unit == 'm' ? n * 60 : unit == 'h' ? n * 3600 : 0;
    return 0;
}

int fit_moment(const char *hint, const struct fit_world *world, char *out, size_t out_size)
{
    struct str rest = str_of(hint);
    struct str delay;
    struct str hour;
    int64_t seconds = 0;
    int64_t h = 0;
    int64_t m = 0;
    int days = 0;
    struct local_time t;

    if (!str_split(&rest, ' ', &delay) || read_delay(delay, &seconds, &days) < 0) {
        return -EINVAL;
    }
    int64_t at_us = world->wall_us + seconds * US_PER_S;
    if (rest.p != NULL) {
        if (!str_split(&rest, ':', &hour) || str_to_i64(hour, &h) < 0 || str_to_i64(rest, &m) < 0 ||
            zone_moment(world->zone, world->wall_us, days, (int)(h * 60 + m), &at_us) < 0) {
            return -EINVAL;
        }
    } else {
        at_us += (int64_t)days * 86400 * US_PER_S;
    }
    int err = zone_local(world->zone, at_us, &t);
    if (err < 0) {
        return err;
    }
    int abs = t.offset_min < 0 ? -t.offset_min : t.offset_min;
    (void)snprintf(out, out_size, "%04d-%02d-%02dT%02d:%02d:%02d%c%02d:%02d", t.year, t.month,
                   t.day, t.minute / 60, t.minute % 60, (int)(at_us / US_PER_S % 60),
                   t.offset_min < 0 ? '-' : '+', abs / 60, abs % 60);
    return 0;
}

static bool prefix_of(const char *a, const char *b)
{
    return strncmp(a, b, strlen(a)) == 0;
}

static json_t *fit_enum(const json_t *hints, const char *wanted, const json_t *values)
{
    static const char *const harmless[] = {"other", "no_decision", "completed", "unknown", "none"};
    const json_t *v;
    const json_t *hint;
    const char *key;
    size_t i;

    json_array_foreach(values, i, v)
    {
        const char *s = json_string_value(v);
        if (s != NULL && wanted != NULL && (prefix_of(s, wanted) || prefix_of(wanted, s))) {
            return json_incref((json_t *)(uintptr_t)v);
        }
        json_object_foreach((json_t *)(uintptr_t)hints, key, hint)
        {
            if (s != NULL && json_is_string(hint) && strcmp(s, json_string_value(hint)) == 0) {
                return json_incref((json_t *)(uintptr_t)v);
            }
        }
    }
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

static bool type_is(const json_t *schema, const char *type)
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

static json_t *fit_string(const char *hint, const json_t *schema, const struct fit_world *world)
{
    char moment[40];
    struct str text = str_of(hint);
    int64_t max = json_get_i64(schema, "maxLength", 500);

    if (hint != NULL && hint[0] == '+' && fit_moment(hint, world, moment, sizeof moment) == 0) {
        return json_string(moment);
    }
    if (hint != NULL && strcmp(hint, "$said") == 0) {
        text = str_of(world->said);
    }
    text = str_head(text, (size_t)max);
    return text.p == NULL ? json_string("") : json_stringn(text.p, text.len);
}

static json_t *fit_member(const json_t *hints, const char *name, const json_t *schema,
                          const struct fit_world *world)
{
    const char *hint = hint_for(hints, name);
    const json_t *values = json_object_get(schema, "enum");

    if (values != NULL) {
        return fit_enum(hints, hint, values);
    }
    if (hint == NULL && type_is(schema, "null")) {
        return json_null();
    }
    if (type_is(schema, "string")) {
        return fit_string(hint, schema, world);
    }
    if (type_is(schema, "boolean")) {
        return json_false();
    }
    if (type_is(schema, "integer") || type_is(schema, "number")) {
        return json_integer(json_get_i64(schema, "minimum", 0));
    }
    return type_is(schema, "array") ? json_array() : json_object();
}

static bool is_required(const json_t *schema, const char *name)
{
    const json_t *v;
    size_t i;

    json_array_foreach(json_object_get(schema, "required"), i, v)
    {
        if (json_is_string(v) && strcmp(json_string_value(v), name) == 0) {
            return true;
        }
    }
    return false;
}

json_t *fit_arguments(const json_t *hints, const json_t *schema, const struct fit_world *world)
{
    json_t *args = json_object();
    const char *name;
    json_t *member;

    json_object_foreach(json_object_get(schema, "properties"), name, member)
    {
        bool own = hint_text(hints, name) != NULL;
        bool fits = own || (hint_for(hints, name) != NULL &&
                            json_object_get(member, "enum") == NULL && type_is(member, "string"));
        if (is_required(schema, name) || fits) {
            (void)json_object_set_new(args, name, fit_member(hints, name, member, world));
        }
    }
    return args;
}
