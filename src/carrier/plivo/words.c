#include "carrier/plivo/words.h"

#include "base/clock.h"

#include <errno.h>
#include <string.h>

#define NUMBER_DIGITS_MAX 15
#define MASK_RUN          5

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

void plivo_number(struct str text, char out[20])
{
    struct str digits = str_trim(text);
    out[0] = '\0';
    if (str_starts(digits, STR("+"))) {
        digits = str_skip(digits, 1);
    }
    if (digits.len == 0 || digits.len > NUMBER_DIGITS_MAX) {
        return;
    }
    for (size_t i = 0; i < digits.len; i++) {
        if (!is_digit(digits.p[i])) {
            return;
        }
    }
    out[0] = '+';
    memcpy(out + 1, digits.p, digits.len);
    out[1 + digits.len] = '\0';
}

bool plivo_id_ok(struct str text)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.p[i];
        if (!is_digit(c) && !(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') && c != '-' &&
            c != '_') {
            return false;
        }
    }
    return text.len > 0;
}

int plivo_id(struct str text, char *out, size_t out_size)
{
    if (!plivo_id_ok(text) || text.len >= out_size) {
        return -EINVAL;
    }
    return str_copy(text, out, out_size);
}

int plivo_money(struct str text, int64_t *micros)
{
    int64_t total = 0;
    int64_t unit = 0; /* of the next decimal; 0: before the point */
    bool any = false;
    text = str_trim(text);
    for (size_t i = 0; i < text.len; i++) {
        char c = text.p[i];
        if (c == '.' && unit == 0) {
            unit = 1000000;
            total *= unit;
            continue;
        }
        if (!is_digit(c) || total > INT64_MAX / 100000000) {
            return -EINVAL;
        }
        any = true;
        if (unit == 0) {
            total = total * 10 + (c - '0');
        } else {
            unit = unit > 1 ? unit / 10 : -1;
            total += unit > 0 ? unit * (c - '0') : 0;
        }
    }
    if (!any) {
        return -EINVAL;
    }
    *micros = unit == 0 ? total * 1000000 : total;
    return 0;
}

bool plivo_time_has_zone(struct str text)
{
    text = str_trim(text);
    if (str_ends(text, STR("Z"))) {
        return true;
    }
    return text.len > 19 && (str_find_char(str_skip(text, 19), '+') >= 0 ||
                             str_find_char(str_skip(text, 19), '-') >= 0);
}

int plivo_time_zoned(struct str text, int64_t *wall_us)
{
    return plivo_time_has_zone(text) ? clock_parse(str_trim(text), wall_us) : -EINVAL;
}

void plivo_mask(struct str text, char *out, size_t out_size)
{
    char cut[160];
    size_t len = 0;
    str_copy_cut(text, cut, sizeof cut);
    for (size_t i = 0; cut[i] != '\0' && len + 1 < out_size;) {
        size_t run = 0;
        while (is_digit(cut[i + run])) {
            run++;
        }
        if (run >= MASK_RUN) {
            out[len++] = '*';
            i += run;
        } else {
            out[len++] = cut[i++];
        }
    }
    out[len] = '\0';
}
