#include "form.h"

#include "base/alloc.h"
#include "base/crypto.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SIGNED_MAX (256 * 1024)

void form_init(struct form *f)
{
    f->count = 0;
    f->full = false;
}

void form_fini(struct form *f)
{
    for (size_t i = 0; i < f->count; i++) {
        xfree(f->pairs[i].name);
        xfree(f->pairs[i].value);
    }
    form_init(f);
}

void form_add_str(struct form *f, struct str name, struct str value)
{
    if (f->count == FORM_MAX) {
        f->full = true;
        return;
    }
    f->pairs[f->count++] = (struct form_pair){str_dup(name), str_dup(value)};
}

void form_add(struct form *f, const char *name, const char *value)
{
    form_add_str(f, str_of(name), str_of(value));
}

void form_addf(struct form *f, const char *name, const char *fmt, ...)
{
    char value[1024];
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(value, sizeof value, fmt, ap);
    va_end(ap);
    form_add(f, name, value);
}

void form_copy(struct form *to, const struct form *from)
{
    for (size_t i = 0; i < from->count; i++) {
        form_add(to, from->pairs[i].name, from->pairs[i].value);
    }
}

const char *form_value(const struct form *f, const char *name)
{
    for (size_t i = 0; i < f->count; i++) {
        if (strcmp(f->pairs[i].name, name) == 0) {
            return f->pairs[i].value;
        }
    }
    return NULL;
}

static void encode_text(const char *text, struct buf *out)
{
    static const char plain[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._*";

    for (const char *c = text; *c != '\0'; c++) {
        if (strchr(plain, *c) != NULL) {
            (void)buf_add_char(out, *c);
        } else if (*c == ' ') {
            (void)buf_add_char(out, '+');
        } else {
            (void)buf_addf(out, "%%%02X", (unsigned)(unsigned char)*c);
        }
    }
}

void form_encode(const struct form *f, struct buf *out)
{
    for (size_t i = 0; i < f->count; i++) {
        if (i > 0) {
            (void)buf_add_char(out, '&');
        }
        encode_text(f->pairs[i].name, out);
        (void)buf_add_char(out, '=');
        encode_text(f->pairs[i].value, out);
    }
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static struct str decode_text(struct str s, char *out)
{
    size_t n = 0;

    for (size_t i = 0; i < s.len; i++) {
        int high = s.p[i] == '%' && i + 2 < s.len ? hex_digit(s.p[i + 1]) : -1;
        int low = high >= 0 ? hex_digit(s.p[i + 2]) : -1;
        if (low >= 0) {
            out[n++] = (char)(high * 16 + low);
            i += 2;
        } else {
            out[n++] = s.p[i] == '+' ? ' ' : s.p[i];
        }
    }
    return str_make(out, n);
}

void form_decode(struct form *f, struct str text)
{
    struct str pair;

    while (text.len > 0) {
        if (!str_split(&text, '&', &pair)) {
            pair = text;
            text.len = 0;
        }
        struct str name = pair;
        if (!str_split(&pair, '=', &name)) {
            name = pair;
            pair = STR("");
        }
        if (name.len == 0) {
            continue;
        }
        OWNED(xfreep) char *a = xmalloc(name.len + 1);
        OWNED(xfreep) char *b = xmalloc(pair.len + 1);
        form_add_str(f, decode_text(name, a), decode_text(pair, b));
    }
}

static int by_name_then_value(const void *a, const void *b)
{
    const struct form_pair *x = a;
    const struct form_pair *y = b;
    int order = strcmp(x->name, y->name);

    return order != 0 ? order : strcmp(x->value, y->value);
}

static void add_sorted(const struct form *f, const char *between, const char *after,
                       struct buf *out)
{
    struct form_pair sorted[FORM_MAX];

    memcpy(sorted, f->pairs, f->count * sizeof sorted[0]);
    qsort(sorted, f->count, sizeof sorted[0], by_name_then_value);
    for (size_t i = 0; i < f->count; i++) {
        (void)buf_addf(out, "%s%s%s%s", i > 0 ? after : "", sorted[i].name, between,
                       sorted[i].value);
    }
}

static void sign(const struct buf *text, struct str token, char out[FORM_SIGNATURE_SIZE])
{
    unsigned char mac[EVP_MAX_MD_SIZE];
    unsigned int mac_len = 0;

    (void)HMAC(EVP_sha256(), token.p, (int)token.len, (const unsigned char *)text->p, text->len,
               mac, &mac_len);
    (void)EVP_EncodeBlock((unsigned char *)out, mac, (int)mac_len);
}

/* Cuts url into what stands before the query and the query; the fragment goes. */
static struct str split_url(struct str url, struct str *query)
{
    ptrdiff_t hash = str_find_char(url, '#');
    url = hash >= 0 ? str_head(url, (size_t)hash) : url;
    ptrdiff_t mark = str_find_char(url, '?');

    *query = mark >= 0 ? str_skip(url, (size_t)mark + 1) : STR("");
    return mark >= 0 ? str_head(url, (size_t)mark) : url;
}

void form_sign_v3(const char *method, struct str url, const struct form *body, struct str token,
                  const char *nonce, char out[FORM_SIGNATURE_SIZE])
{
    struct str query;
    struct str base = split_url(url, &query);
    struct form asked;
    struct buf text;
    bool post = strcmp(method, "POST") == 0;
    size_t body_count = post && body != NULL ? body->count : 0;

    buf_init(&text, SIGNED_MAX);
    form_init(&asked);
    form_decode(&asked, query);
    (void)buf_add_str(&text, base);
    if (asked.count > 0 || body_count > 0) {
        (void)buf_add_char(&text, '?');
    }
    add_sorted(&asked, "=", "&", &text);
    if (asked.count > 0 && body_count > 0) {
        (void)buf_add_char(&text, '.');
    }
    if (body_count > 0) {
        add_sorted(body, "", "", &text);
    }
    (void)buf_addf(&text, ".%s", nonce);
    sign(&text, token, out);
    form_fini(&asked);
    buf_fini(&text);
}

void form_sign_v2(struct str url, struct str token, const char *nonce,
                  char out[FORM_SIGNATURE_SIZE])
{
    struct str query;
    struct str base = split_url(url, &query);
    struct buf text;

    buf_init(&text, SIGNED_MAX);
    (void)buf_addf(&text, STR_FMT "%s", STR_ARG(base), nonce);
    sign(&text, token, out);
    buf_fini(&text);
}

void form_nonce(char out[FORM_NONCE_SIZE])
{
    uint8_t bytes[FORM_NONCE_SIZE - 1];

    random_bytes(bytes, sizeof bytes);
    for (size_t i = 0; i < sizeof bytes; i++) {
        out[i] = (char)('0' + bytes[i] % 10);
    }
    out[sizeof bytes] = '\0';
}
