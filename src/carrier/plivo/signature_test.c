#include "carrier/plivo/signature.h"

#include "base/alloc.h"
#include "base/json.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

/* What the vendor's own package computes; made by tools that are not ours. */
static json_t *load_vectors(void)
{
    json_t *v = json_load_file(TEST_DATA "/plivo_signature_vectors.json", 0, NULL);
    cr_assert_not_null(v);
    return v;
}

static void add_encoded(struct buf *out, struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        buf_addf(out, "%%%02X", (unsigned)(unsigned char)s.p[i]);
    }
}

/* On the wire the parameters of a GET stand in the query; the published GET vectors list them
 * apart. */
static void make_url(const json_t *v, struct buf *out)
{
    struct str uri = json_get_str(v, "uri");
    const json_t *params = json_get_array(v, "params");
    buf_init(out, 65536);
    buf_add_str(out, uri);
    if (!str_eq(json_get_str(v, "method"), STR("GET")) || json_array_size(params) == 0) {
        return;
    }
    bool has_query = str_find_char(uri, '?') >= 0;
    for (size_t i = 0; i < json_array_size(params); i++) {
        const json_t *pair = json_array_get(params, i);
        buf_add_char(out, i == 0 && !has_query ? '?' : '&');
        add_encoded(out, str_of(json_string_value(json_array_get(pair, 0))));
        buf_add_char(out, '=');
        add_encoded(out, str_of(json_string_value(json_array_get(pair, 1))));
    }
}

static struct signature_input make_input(const json_t *v, const struct buf *url)
{
    return (struct signature_input){.post = str_eq(json_get_str(v, "method"), STR("POST")),
                                    .url = buf_str(url),
                                    .body = json_get_str(v, "body"),
                                    .nonce = json_get_str(v, "nonce")};
}

static struct carrier_account make_account(struct str token)
{
    struct carrier_account account = {.auth_id = "MA000"};
    cr_assert_eq(str_copy(token, account.auth_token[0], sizeof account.auth_token[0]), 0);
    return account;
}

static struct signature_headers make_headers(const json_t *v)
{
    struct str value = json_get_str(v, "header_value");
    bool main_account = str_eq_cstr(json_get_str(v, "header_name"), "X-Plivo-Signature-Ma-V3");
    return (struct signature_headers){.v3 = main_account ? STR_NONE : value,
                                      .main_v3 = main_account ? value : STR_NONE,
                                      .nonce = json_get_str(v, "nonce")};
}

static int check_vector(const json_t *v, const struct signature_headers *headers, struct str token)
{
    OWNED(buf_fini) struct buf url;
    const struct carrier_account account = make_account(token);
    make_url(v, &url);
    return signature_check(headers, make_input(v, &url), &account);
}

Test(signature, every_vector)
{
    OWNED(json_free) json_t *all = load_vectors();
    const json_t *vectors = json_get_array(all, "vectors");
    size_t v3_count = 0;
    for (size_t i = 0; i < json_array_size(vectors); i++) {
        const json_t *v = json_array_get(vectors, i);
        const char *id = json_string_value(json_get(v, "id"));
        if (!str_eq(json_get_str(v, "version"), STR("V3"))) {
            continue; /* V2 is not accepted: see v2_is_refused */
        }
        const struct signature_headers headers = make_headers(v);
        int err = check_vector(v, &headers, json_get_str(v, "auth_token"));
        cr_expect_eq(err, json_get_bool(v, "valid", false) ? 0 : -EACCES, "%s: %d", id, err);
        v3_count++;
    }
    cr_assert_eq(v3_count, 21);
}

Test(signature, every_signed_text)
{
    OWNED(json_free) json_t *all = load_vectors();
    const json_t *vectors = json_get_array(all, "vectors");
    for (size_t i = 0; i < json_array_size(vectors); i++) {
        const json_t *v = json_array_get(vectors, i);
        struct str expected = json_get_str(v, "signed_string_utf8");
        if (!str_eq(json_get_str(v, "version"), STR("V3")) || expected.len == 0) {
            continue;
        }
        OWNED(buf_fini) struct buf url;
        OWNED(buf_fini) struct buf text;
        make_url(v, &url);
        buf_init(&text, SIGNATURE_TEXT_MAX);
        const struct signature_input input = make_input(v, &url);
        cr_assert_eq(signature_text(&input, &text), 0);
        cr_expect(str_eq(buf_str(&text), expected), "%s: %s", json_string_value(json_get(v, "id")),
                  buf_cstr(&text));
    }
}

static const json_t *find_vector(const json_t *all, const char *id)
{
    const json_t *vectors = json_get_array(all, "vectors");
    for (size_t i = 0; i < json_array_size(vectors); i++) {
        if (str_eq_cstr(json_get_str(json_array_get(vectors, i), "id"), id)) {
            return json_array_get(vectors, i);
        }
    }
    cr_assert_fail("no vector %s", id);
    return NULL;
}

Test(signature, no_byte_of_anything_can_change)
{
    OWNED(json_free) json_t *all = load_vectors();
    const json_t *v = find_vector(all, "v3-post-answer");
    struct str parts[] = {json_get_str(v, "uri"), json_get_str(v, "body"), json_get_str(v, "nonce"),
                          json_get_str(v, "header_value")};
    const struct carrier_account account = make_account(json_get_str(v, "auth_token"));
    for (size_t part = 0; part < COUNT_OF(parts); part++) {
        char *text = str_dup(parts[part]);
        struct str original = parts[part];
        parts[part] = str_of(text);
        for (size_t i = 0; i < original.len; i++) {
            /* '+' and %20 mean the same blank, and the bit is not part of the signed text. */
            text[i] = original.p[i] == 'x' ? 'y' : 'x';
            const struct signature_headers headers = {.v3 = parts[3], .nonce = parts[2]};
            const struct signature_input in = {.post = true, .url = parts[0], .body = parts[1]};
            cr_expect_eq(signature_check(&headers, in, &account), -EACCES, "part %zu byte %zu",
                         part, i);
            text[i] = original.p[i];
        }
        parts[part] = original;
        xfree(text);
    }
}

Test(signature, headers_may_hold_several)
{
    OWNED(json_free) json_t *all = load_vectors();
    const json_t *v = find_vector(all, "v3-post-answer");
    struct str good = json_get_str(v, "header_value");
    struct str token = json_get_str(v, "auth_token");
    static const struct {
        const char *shape; /* @: the right one */
        int expected;
    } rows[] = {
        {"@", 0},
        {"  @  ", 0},
        {"AAAA, @", 0},
        {"@,AAAA", 0},
        {",,@", 0},
        {"1,2,3,4,5,6,7,@", 0},
        {"1,2,3,4,5,6,7,8,@", -EACCES}, /* more than anybody has tokens */
        {"@A", -EACCES},
        {"A@", -EACCES},
        {"@;", -EACCES},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        OWNED(buf_fini) struct buf text;
        struct str shape = str_of(rows[i].shape);
        ptrdiff_t at = str_find_char(shape, '@');
        buf_init(&text, 256);
        buf_add_str(&text, str_head(shape, (size_t)at));
        buf_add_str(&text, good);
        buf_add_str(&text, str_skip(shape, (size_t)at + 1));
        struct signature_headers headers = {.v3 = buf_str(&text),
                                            .nonce = json_get_str(v, "nonce")};
        cr_expect_eq(check_vector(v, &headers, token), rows[i].expected, "%s", rows[i].shape);
    }
}

Test(signature, any_token_of_a_rotation)
{
    OWNED(json_free) json_t *all = load_vectors();
    const json_t *v = find_vector(all, "v3-post-answer");
    const struct signature_headers headers = make_headers(v);
    OWNED(buf_fini) struct buf url;
    make_url(v, &url);
    for (size_t i = 0; i < CARRIER_TOKENS; i++) {
        struct carrier_account account = {.auth_token = {"old", "older", "oldest"}};
        cr_assert_eq(str_copy(json_get_str(v, "auth_token"), account.auth_token[i],
                              sizeof account.auth_token[i]),
                     0);
        cr_expect_eq(signature_check(&headers, make_input(v, &url), &account), 0, "token %zu", i);
    }
    const struct carrier_account none = {.auth_id = "MA000"};
    cr_assert_eq(signature_check(&headers, make_input(v, &url), &none), -EACCES);
}

Test(signature, missing_parts_are_refused)
{
    OWNED(json_free) json_t *all = load_vectors();
    const json_t *v = find_vector(all, "v3-post-answer");
    struct str token = json_get_str(v, "auth_token");
    const struct signature_headers rows[] = {
        {.v3 = STR_NONE, .nonce = json_get_str(v, "nonce")},
        {.v3 = json_get_str(v, "header_value"), .nonce = STR_NONE},
        {.v3 = STR(""), .main_v3 = STR(""), .nonce = json_get_str(v, "nonce")},
        {.v3 = STR(","), .nonce = json_get_str(v, "nonce")},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        cr_expect_eq(check_vector(v, &rows[i], token), -EACCES, "row %zu", i);
    }
}

/* A valid older signature opens nothing: V3 covers the body, V2 does not. */
Test(signature, v2_is_refused)
{
    OWNED(json_free) json_t *all = load_vectors();
    const json_t *v = find_vector(all, "v2-official");
    const struct signature_headers headers = {.v3 = json_get_str(v, "header_value"),
                                              .nonce = json_get_str(v, "nonce")};
    cr_assert_eq(check_vector(v, &headers, json_get_str(v, "auth_token")), -EACCES);
}

Test(signature, of_an_upgrade_in_either_scheme)
{
    OWNED(json_free) json_t *all = load_vectors();
    static const struct {
        const char *vector;
        const char *public_url;
        const char *path;
        int expected;
    } rows[] = {
        {"v3-get-ws-wss", "https://voice.example.com", "/ws/64d3290a", 0},
        {"v3-get-ws-https", "https://voice.example.com", "/ws/64d3290a", 0},
        {"v3-get-ws-https", "https://voice.example.com", "/ws/64d3290b", -EACCES},
        {"v3-get-ws-wss", "http://voice.example.com", "/ws/64d3290a", -EACCES},
        {"v3-get-ws-https", "https://other.example.com", "/ws/64d3290a", -EACCES},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const json_t *v = find_vector(all, rows[i].vector);
        const struct signature_headers headers = make_headers(v);
        const struct carrier_account account = make_account(json_get_str(v, "auth_token"));
        cr_expect_eq(signature_check_upgrade(&headers, str_of(rows[i].public_url),
                                             str_of(rows[i].path), &account),
                     rows[i].expected, "row %zu", i);
    }
    const struct signature_headers none = {.nonce = STR("1")};
    const struct carrier_account account = make_account(STR("token"));
    cr_assert_eq(
        signature_check_upgrade(&none, STR("https://voice.example.com"), STR("/m/t"), &account), 0);
}

Test(signature, of_a_broken_form_is_refused)
{
    static const char *const bodies[] = {"a=%", "a=%4", "a=%zz", "%00=1"};
    const struct carrier_account account = make_account(STR("token"));
    for (size_t i = 0; i < COUNT_OF(bodies); i++) {
        const struct signature_headers headers = {.v3 = STR("x"), .nonce = STR("1")};
        const struct signature_input in = {
            .post = true, .url = STR("https://h/p"), .body = str_of(bodies[i])};
        cr_expect_eq(signature_check(&headers, in, &account), -EACCES, "%s", bodies[i]);
    }
}
