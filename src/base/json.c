#include "base/json.h"

#include "base/limits.h"

#include <errno.h>
#include <math.h>
#include <string.h>

/* One pass before jansson builds anything: it recurses to 2048 levels and keeps any number of keys.
 * Only brackets and colons outside strings count; whether the rest is JSON is jansson's to say. */
static int check_shape(struct str text)
{
    size_t keys[LIMIT_JSON_DEPTH + 1] = {0};
    size_t depth = 0;
    bool in_string = false;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.p[i];
        if (in_string) {
            i += c == '\\' ? 1 : 0;
            in_string = c != '"';
            continue;
        }
        if (c == '"') {
            in_string = true;
        } else if (c == '{' || c == '[') {
            if (++depth > LIMIT_JSON_DEPTH) {
                return -EMSGSIZE;
            }
            keys[depth] = 0;
        } else if ((c == '}' || c == ']') && depth > 0) {
            depth--;
        } else if (c == ':' && ++keys[depth] > LIMIT_JSON_KEYS) {
            return -EMSGSIZE;
        }
    }
    return 0;
}

int json_parse(struct str text, json_t **out)
{
    int err = check_shape(text);
    if (err < 0) {
        return err;
    }
    json_error_t why;
    json_t *v = json_loadb(text.p == NULL ? "" : text.p, text.len,
                           JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &why);
    if (v == NULL) {
        return -EINVAL;
    }
    *out = v;
    return 0;
}

void json_free(json_t **v)
{
    if (v != NULL) {
        json_decref(*v);
        *v = NULL;
    }
}

json_t *json_get(const json_t *obj, const char *key)
{
    return json_object_get(obj, key);
}

json_t *json_get_array(const json_t *obj, const char *key)
{
    json_t *v = json_get(obj, key);
    return json_is_array(v) ? v : NULL;
}

struct str json_get_str(const json_t *obj, const char *key)
{
    const json_t *v = json_get(obj, key);
    return json_is_string(v) ? str_make(json_string_value(v), json_string_length(v)) : STR_NONE;
}

int64_t json_get_i64(const json_t *obj, const char *key, int64_t def)
{
    const json_t *v = json_get(obj, key);
    int64_t number = def;
    if (json_is_integer(v)) {
        return json_integer_value(v);
    }
    /* 2^63 itself is out; the cast below is defined inside. */
    if (json_is_real(v) && fabs(json_real_value(v)) < 9.2e18) {
        return (int64_t)json_real_value(v);
    }
    if (json_is_string(v) && str_to_i64(str_of(json_string_value(v)), &number) < 0) {
        return def;
    }
    return number;
}

double json_get_double(const json_t *obj, const char *key, double def)
{
    const json_t *v = json_get(obj, key);
    double number = def;
    if (json_is_number(v)) {
        return json_number_value(v);
    }
    if (json_is_string(v) && str_to_double(str_of(json_string_value(v)), &number) < 0) {
        return def;
    }
    return number;
}

bool json_get_bool(const json_t *obj, const char *key, bool def)
{
    const json_t *v = json_get(obj, key);
    bool flag = def;
    if (json_is_boolean(v)) {
        return json_is_true(v);
    }
    if (json_is_string(v) && str_to_bool(str_of(json_string_value(v)), &flag) < 0) {
        return def;
    }
    return flag;
}

static int on_dump(const char *p, size_t len, void *arg)
{
    struct buf *out = arg;
    return buf_add(out, p, len) < 0 ? -1 : 0;
}

int json_dump(const json_t *v, struct buf *out)
{
    size_t before = out->len;
    if (json_dump_callback(v, on_dump, out, JSON_COMPACT | JSON_ENCODE_ANY) == 0) {
        return 0;
    }
    out->len = before;
    if (out->p != NULL) {
        out->p[before] = '\0';
    }
    return buf_failed(out) ? -EMSGSIZE : -EINVAL;
}

/* Copies s; each byte that is not part of a character becomes U+FFFD. */
static void add_utf8(struct buf *b, struct str s)
{
    while (s.len > 0) {
        size_t step = str_utf8_step(s);
        if (step == 0) {
            (void)buf_add_cstr(b, "\xef\xbf\xbd");
            step = 1;
        } else {
            (void)buf_add(b, s.p, step);
        }
        s = str_skip(s, step);
    }
}

void json_set_str(json_t *obj, const char *key, struct str s)
{
    if (s.p == NULL) {
        (void)json_object_set_new(obj, key, json_null());
        return;
    }
    if (str_is_utf8(s)) {
        (void)json_object_set_new(obj, key, json_stringn_nocheck(s.p, s.len));
        return;
    }
    OWNED(buf_fini) struct buf clean;
    buf_init(&clean, s.len * 3 + 1);
    add_utf8(&clean, s);
    (void)json_object_set_new(obj, key, json_stringn_nocheck(buf_cstr(&clean), clean.len));
}

/* The escape of one control character, quote or backslash; NULL when it stands for itself. */
static const char *escape_of(unsigned char c, char room[8])
{
    static const char hex[] = "0123456789abcdef";
    switch (c) {
    case '"':
        return "\\\"";
    case '\\':
        return "\\\\";
    case '\n':
        return "\\n";
    case '\r':
        return "\\r";
    case '\t':
        return "\\t";
    default:
        break;
    }
    if (c >= 0x20 && c != 0x7f) {
        return NULL;
    }
    memcpy(room, "\\u00", 4);
    room[4] = hex[c >> 4];
    room[5] = hex[c & 15];
    room[6] = '\0';
    return room;
}

int buf_add_json_str(struct buf *b, struct str s)
{
    size_t before = b->len;
    char room[8];
    (void)buf_add_char(b, '"');
    while (s.len > 0 && !buf_failed(b)) {
        size_t plain = 0;
        while (plain < s.len && (unsigned char)s.p[plain] < 0x80 &&
               escape_of((unsigned char)s.p[plain], room) == NULL) {
            plain++;
        }
        if (plain > 0) {
            (void)buf_add(b, s.p, plain);
            s = str_skip(s, plain);
            continue;
        }
        size_t step = str_utf8_step(s);
        const char *escape = escape_of((unsigned char)s.p[0], room);
        if (escape != NULL) {
            (void)buf_add_cstr(b, escape);
        } else {
            add_utf8(b, str_head(s, step == 0 ? 1 : step));
        }
        s = str_skip(s, step == 0 ? 1 : step);
    }
    (void)buf_add_char(b, '"');
    if (buf_failed(b)) {
        b->len = before;
        if (b->p != NULL) {
            b->p[before] = '\0';
        }
        return -EMSGSIZE;
    }
    return 0;
}
