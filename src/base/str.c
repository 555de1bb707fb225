#include "base/str.h"

#include "base/alloc.h"

#include <errno.h>
#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct str str_of(const char *cstr)
{
    return cstr == NULL ? STR_NONE : (struct str){cstr, strlen(cstr)};
}

struct str str_make(const char *p, size_t len)
{
    return (struct str){p, len};
}

bool str_eq(struct str a, struct str b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.p, b.p, a.len) == 0);
}

bool str_eq_cstr(struct str a, const char *b)
{
    return str_eq(a, str_of(b));
}

static unsigned char lower(char c)
{
    unsigned char u = (unsigned char)c;
    return u >= 'A' && u <= 'Z' ? (unsigned char)(u + 32) : u;
}

bool str_eq_nocase(struct str a, struct str b)
{
    if (a.len != b.len) {
        return false;
    }
    for (size_t i = 0; i < a.len; i++) {
        if (lower(a.p[i]) != lower(b.p[i])) {
            return false;
        }
    }
    return true;
}

int str_cmp(struct str a, struct str b)
{
    size_t common = a.len < b.len ? a.len : b.len;
    int order = common == 0 ? 0 : memcmp(a.p, b.p, common);
    if (order != 0) {
        return order < 0 ? -1 : 1;
    }
    return a.len == b.len ? 0 : (a.len < b.len ? -1 : 1);
}

bool str_starts(struct str s, struct str prefix)
{
    return s.len >= prefix.len && str_eq(str_head(s, prefix.len), prefix);
}

bool str_ends(struct str s, struct str suffix)
{
    return s.len >= suffix.len && str_eq(str_skip(s, s.len - suffix.len), suffix);
}

bool str_contains(struct str s, struct str needle)
{
    return needle.len == 0 || (s.len > 0 && memmem(s.p, s.len, needle.p, needle.len) != NULL);
}

bool str_contains_nocase(struct str s, struct str needle)
{
    for (size_t i = 0; i + needle.len <= s.len; i++) {
        if (str_eq_nocase(str_make(s.p + i, needle.len), needle)) {
            return true;
        }
    }
    return needle.len == 0;
}

ptrdiff_t str_find_char(struct str s, char c)
{
    const char *at = s.len == 0 ? NULL : memchr(s.p, c, s.len);
    return at == NULL ? -1 : at - s.p;
}

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

struct str str_trim(struct str s)
{
    while (s.len > 0 && is_space(s.p[0])) {
        s = str_skip(s, 1);
    }
    while (s.len > 0 && is_space(s.p[s.len - 1])) {
        s.len--;
    }
    return s;
}

struct str str_skip(struct str s, size_t n)
{
    size_t step = n < s.len ? n : s.len;
    return s.p == NULL ? s : str_make(s.p + step, s.len - step);
}

struct str str_head(struct str s, size_t n)
{
    return str_make(s.p, n < s.len ? n : s.len);
}

bool str_split(struct str *s, char sep, struct str *head)
{
    if (s->p == NULL) {
        return false;
    }
    ptrdiff_t at = str_find_char(*s, sep);
    if (at < 0) {
        *head = *s;
        *s = STR_NONE;
        return true;
    }
    *head = str_head(*s, (size_t)at);
    *s = str_skip(*s, (size_t)at + 1);
    return true;
}

int str_to_i64(struct str s, int64_t *out)
{
    bool negative = s.len > 0 && s.p[0] == '-';
    struct str digits = str_skip(s, negative ? 1 : 0);
    if (digits.len == 0) {
        return -EINVAL;
    }
    int64_t value = 0;
    for (size_t i = 0; i < digits.len; i++) {
        if (digits.p[i] < '0' || digits.p[i] > '9') {
            return -EINVAL;
        }
        int digit = digits.p[i] - '0';
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_sub_overflow(value, digit, &value)) { /* downwards: INT64_MIN fits */
            return -ERANGE;
        }
    }
    if (!negative && value == INT64_MIN) {
        return -ERANGE;
    }
    *out = negative ? value : -value;
    return 0;
}

int str_to_double(struct str s, double *out)
{
    char text[64];
    if (s.len == 0 || str_copy(s, text, sizeof text) < 0) {
        return -EINVAL;
    }
    /* strtod also takes hex, inf and nan, and leading space: not numbers to us. */
    if (strspn(text, "+-.eE0123456789") != s.len) {
        return -EINVAL;
    }
    locale_t c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    char *end = NULL;
    double value = strtod_l(text, &end, c_locale);
    freelocale(c_locale);
    if (end != text + s.len) {
        return -EINVAL;
    }
    if (!isfinite(value)) {
        return -ERANGE;
    }
    *out = value;
    return 0;
}

int str_to_bool(struct str s, bool *out)
{
    static const struct {
        const char *word;
        bool value;
    } words[] = {{"true", true},   {"1", true},  {"yes", true}, {"on", true},
                 {"false", false}, {"0", false}, {"no", false}, {"off", false}};
    for (size_t i = 0; i < COUNT_OF(words); i++) {
        if (str_eq_nocase(s, str_of(words[i].word))) {
            *out = words[i].value;
            return 0;
        }
    }
    return -EINVAL;
}

int str_copy(struct str s, char *dst, size_t dst_size)
{
    assert(dst_size > 0);
    dst[0] = '\0';
    if (s.len >= dst_size) {
        return -EMSGSIZE;
    }
    if (s.len > 0) {
        memcpy(dst, s.p, s.len);
    }
    dst[s.len] = '\0';
    return 0;
}

void str_copy_cut(struct str s, char *dst, size_t dst_size)
{
    assert(dst_size > 0);
    size_t len = s.len < dst_size ? s.len : dst_size - 1;
    /* Step back over continuation bytes so that no character is cut in two. */
    while (len > 0 && len < s.len && ((unsigned char)s.p[len] & 0xc0u) == 0x80u) {
        len--;
    }
    if (len > 0) {
        memcpy(dst, s.p, len);
    }
    dst[len] = '\0';
}

char *str_dup(struct str s)
{
    return xstrndup(s.p, s.len);
}

/* Length of the well-formed sequence at p, or 0. Table 3-7 of the Unicode standard. */
static size_t utf8_step(const unsigned char *p, size_t len)
{
    if (p[0] < 0x80) {
        return 1;
    }
    size_t need = p[0] >= 0xf0 ? 4 : (p[0] >= 0xe0 ? 3 : 2);
    if (p[0] < 0xc2 || p[0] > 0xf4 || need > len) {
        return 0;
    }
    unsigned char low = p[0] == 0xe0 ? 0xa0 : (p[0] == 0xf0 ? 0x90 : 0x80);
    unsigned char high = p[0] == 0xed ? 0x9f : (p[0] == 0xf4 ? 0x8f : 0xbf);
    if (p[1] < low || p[1] > high) {
        return 0;
    }
    for (size_t i = 2; i < need; i++) {
        if ((p[i] & 0xc0u) != 0x80u) {
            return 0;
        }
    }
    return need;
}

size_t str_utf8_step(struct str s)
{
    return s.len == 0 ? 0 : utf8_step((const unsigned char *)s.p, s.len);
}

/* How many bytes at the front are ASCII for sure: whole words of them, as most of what we read is. */
static size_t ascii_words(struct str s)
{
    size_t n = 0;

    for (uint64_t word = 0; n + sizeof word <= s.len; n += sizeof word) {
        memcpy(&word, s.p + n, sizeof word);
        if ((word & UINT64_C(0x8080808080808080)) != 0) {
            break;
        }
    }
    return n;
}

bool str_is_utf8(struct str s)
{
    while (s.len > 0) {
        s = str_skip(s, ascii_words(s));
        if (s.len == 0) {
            break;
        }
        size_t step = str_utf8_step(s);
        if (step == 0) {
            return false;
        }
        s = str_skip(s, step);
    }
    return true;
}
