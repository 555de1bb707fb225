#include "net/http_server.h"

#include <errno.h>
#include <string.h>

static int hex_value(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Decodes `text` to the end of storage, whose room was reserved: the result does not move. */
static int decode(struct str text, struct buf *storage, struct str *out)
{
    char *start = storage->p + storage->len;
    size_t len = 0;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.p[i] == '+' ? ' ' : text.p[i];
        if (c == '%') {
            int high = text.len - i > 2 ? hex_value(text.p[i + 1]) : -1;
            int low = text.len - i > 2 ? hex_value(text.p[i + 2]) : -1;
            if (high < 0 || low < 0 || high + low == 0) { /* no field of ours can hold a NUL */
                return -EINVAL;
            }
            c = (char)(high * 16 + low);
            i += 2;
        }
        start[len++] = c;
    }
    buf_commit(storage, len);
    *out = str_make(start, len);
    return 0;
}

int form_parse(struct str text, struct buf *storage, struct form_field *fields, size_t fields_max,
               size_t *count)
{
    struct str pair;
    size_t found = 0;
    buf_clear(storage);
    if (buf_reserve(storage, text.len) == NULL) {
        return -EMSGSIZE;
    }
    while (str_split(&text, '&', &pair)) {
        struct str name;
        if (pair.len == 0) {
            continue;
        }
        if (found == fields_max) {
            return -EMSGSIZE;
        }
        (void)str_split(&pair, '=', &name);
        int err = decode(name, storage, &fields[found].name);
        err = err < 0 ? err : decode(pair, storage, &fields[found].value);
        if (err < 0) {
            return err;
        }
        found++;
    }
    *count = found;
    return 0;
}

struct str form_get(const struct form_field *fields, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++) {
        if (str_eq_cstr(fields[i].name, name)) {
            return fields[i].value;
        }
    }
    return STR_NONE;
}
