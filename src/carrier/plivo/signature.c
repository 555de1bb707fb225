#include "carrier/plivo/signature.h"

#include "base/crypto.h"
#include "base/limits.h"

#include <errno.h>
#include <stdlib.h>

#define SIGNATURE_DIGITS 44 /* base64 of 32 bytes */
#define SIGNATURES_MAX   8  /* of one header; the carrier has as many as it has active tokens */
#define NONCE_MAX        64

static int compare_fields(const void *a, const void *b)
{
    const struct form_field *x = a;
    const struct form_field *y = b;
    int order = str_cmp(x->name, y->name);
    return order != 0 ? order : str_cmp(x->value, y->value);
}

/* str_cmp() puts shorter first among equal prefixes and compares bytes: what the SDKs' sort does
 * for UTF-8. Pairs are decoded and joined by `equals` and `between`. */
static int add_pairs(struct str form, const char *equals, const char *between, struct buf *out)
{
    struct form_field fields[LIMIT_FORM_FIELDS];
    size_t count = 0;
    OWNED(buf_fini) struct buf storage;
    buf_init(&storage, SIGNATURE_TEXT_MAX);
    int err = form_parse(form, &storage, fields, COUNT_OF(fields), &count);
    if (err < 0) {
        return err;
    }
    qsort(fields, count, sizeof fields[0], compare_fields);
    for (size_t i = 0; i < count; i++) {
        buf_add_cstr(out, i > 0 ? between : "");
        buf_add_str(out, fields[i].name);
        buf_add_cstr(out, equals);
        buf_add_str(out, fields[i].value);
    }
    return buf_failed(out) ? -EMSGSIZE : 0;
}

int signature_text(const struct signature_input *in, struct buf *out)
{
    struct str rest = in->url;
    struct str url;
    struct str query;
    bool post_pairs = in->post && in->body.len > 0;
    ptrdiff_t hash = str_find_char(rest, '#');
    rest = hash >= 0 ? str_head(rest, (size_t)hash) : rest;
    ptrdiff_t mark = str_find_char(rest, '?');
    url = mark >= 0 ? str_head(rest, (size_t)mark) : rest;
    query = mark >= 0 ? str_skip(rest, (size_t)mark + 1) : STR_NONE;
    buf_add_str(out, url);
    /* A POST with a form and no query has the bare question mark: the SDKs do, the prose does not.
     */
    if (query.len > 0 || post_pairs) {
        buf_add_char(out, '?');
    }
    int err = add_pairs(query, "=", "&", out);
    if (err == 0 && post_pairs) {
        if (query.len > 0) {
            buf_add_char(out, '.');
        }
        err = add_pairs(in->body, "", "", out);
    }
    if (err < 0) {
        return err;
    }
    buf_add_char(out, '.');
    buf_add_str(out, in->nonce);
    return buf_failed(out) ? -EMSGSIZE : 0;
}

bool signature_match(struct str header, struct str token, struct str text)
{
    uint8_t mac[SHA256_BYTES];
    char expected[SIGNATURE_DIGITS + 1];
    struct str one;
    bool match = false;
    if (token.len == 0 || header.len == 0) {
        return false;
    }
    hmac_sha256(token, text, mac);
    base64_encode(mac, sizeof mac, expected);
    for (int i = 0; i < SIGNATURES_MAX && str_split(&header, ',', &one); i++) {
        one = str_trim(one);
        if (one.len == SIGNATURE_DIGITS && secret_eq(one.p, expected, SIGNATURE_DIGITS)) {
            match = true;
        }
    }
    return match;
}

int signature_check(const struct signature_headers *headers, struct signature_input input,
                    const struct carrier_account *account)
{
    OWNED(buf_fini) struct buf text;
    bool match = false;
    buf_init(&text, SIGNATURE_TEXT_MAX);
    if ((headers->v3.len == 0 && headers->main_v3.len == 0) || headers->nonce.len == 0 ||
        headers->nonce.len > NONCE_MAX) {
        return -EACCES;
    }
    input.nonce = headers->nonce;
    if (signature_text(&input, &text) < 0) {
        return -EACCES; /* what cannot be canonicalised was not signed by them */
    }
    for (size_t i = 0; i < CARRIER_TOKENS && account->auth_token[i][0] != '\0'; i++) {
        struct str token = str_of(account->auth_token[i]);
        bool own = signature_match(headers->v3, token, buf_str(&text));
        bool main_account = signature_match(headers->main_v3, token, buf_str(&text));
        match = match || own || main_account;
    }
    return match ? 0 : -EACCES;
}

static struct signature_headers read_headers(const struct http_request *req)
{
    return (struct signature_headers){
        .v3 = http_header(req, "X-Plivo-Signature-V3"),
        .main_v3 = http_header(req, "X-Plivo-Signature-Ma-V3"),
        .nonce = http_header(req, "X-Plivo-Signature-V3-Nonce"),
    };
}

static void add_target(const struct http_request *req, struct buf *out)
{
    struct str query = http_query(req);
    buf_add_str(out, http_path(req));
    if (query.len > 0) {
        buf_add_char(out, '?');
        buf_add_str(out, query);
    }
}

int plivo_verify(const struct http_request *req, const struct carrier_urls *urls,
                 const struct carrier_account *account)
{
    const struct signature_headers headers = read_headers(req);
    OWNED(buf_fini) struct buf url;
    buf_init(&url, LIMIT_HTTP_HEAD_BYTES * 2);
    buf_add_cstr(&url, urls->public_url);
    add_target(req, &url);
    if (buf_failed(&url)) {
        return -EACCES;
    }
    return signature_check(&headers,
                           (struct signature_input){.post = str_eq_cstr(http_method(req), "POST"),
                                                    .url = buf_str(&url),
                                                    .body = http_body(req)},
                           account);
}

int plivo_verify_upgrade(const struct http_request *req, const struct carrier_urls *urls,
                         const struct carrier_account *account)
{
    const struct signature_headers headers = read_headers(req);
    OWNED(buf_fini) struct buf target;
    buf_init(&target, LIMIT_HTTP_HEAD_BYTES * 2);
    add_target(req, &target);
    if (buf_failed(&target)) {
        return -EACCES;
    }
    return signature_check_upgrade(&headers, str_of(urls->public_url), buf_str(&target), account);
}

/* Plivo's pages say that the wss:// form is signed, its Node SDK checks the https:// form. */
int signature_check_upgrade(const struct signature_headers *headers, struct str public_url,
                            struct str path_and_query, const struct carrier_account *account)
{
    static const char *const secure[] = {"wss", "https"};
    static const char *const plain[] = {"ws", "http"};
    ptrdiff_t colon = str_find_char(public_url, ':');
    int err = -EACCES;
    if (headers->v3.len == 0 && headers->main_v3.len == 0) {
        return 0;
    }
    if (colon < 0) {
        return -EACCES;
    }
    const char *const *schemes = str_starts(public_url, STR("https:")) ? secure : plain;
    for (size_t i = 0; i < COUNT_OF(secure) && err < 0; i++) {
        OWNED(buf_fini) struct buf url;
        buf_init(&url, LIMIT_HTTP_HEAD_BYTES * 2);
        buf_add_cstr(&url, schemes[i]);
        buf_add_str(&url, str_skip(public_url, (size_t)colon));
        buf_add_str(&url, path_and_query);
        if (!buf_failed(&url)) {
            err = signature_check(headers, (struct signature_input){.url = buf_str(&url)}, account);
        }
    }
    return err;
}
