#include "form.h"

#include "base/json.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

/* GET parameters of a vector stand in `params`; on the wire they are in the query. */
static void add_query(struct buf *url, const struct form *params)
{
    if (params->count > 0) {
        (void)buf_add_char(url, strchr(buf_cstr(url), '?') != NULL ? '&' : '?');
        form_encode(params, url);
    }
}

static void check_vector(const json_t *v)
{
    const char *id = json_string_value(json_object_get(v, "id"));
    const char *method = json_string_value(json_object_get(v, "method"));
    const char *header = json_string_value(json_object_get(v, "header_value"));
    bool valid = json_is_true(json_object_get(v, "valid"));
    struct str nonce = json_get_str(v, "nonce");
    char nonce_text[64];
    char mac[FORM_SIGNATURE_SIZE];
    struct form params;
    struct buf url;
    const json_t *pair;
    size_t i;

    cr_assert_eq(str_copy(nonce, nonce_text, sizeof nonce_text), 0);
    form_init(&params);
    buf_init(&url, 65536);
    json_array_foreach(json_object_get(v, "params"), i, pair)
    {
        form_add(&params, json_string_value(json_array_get(pair, 0)),
                 json_string_value(json_array_get(pair, 1)));
    }
    (void)buf_add_str(&url, json_get_str(v, "uri"));
    if (strcmp(method, "GET") == 0) {
        add_query(&url, &params);
    }
    if (str_eq_cstr(json_get_str(v, "version"), "V2")) {
        form_sign_v2(buf_str(&url), json_get_str(v, "auth_token"), nonce_text, mac);
    } else {
        form_sign_v3(method, buf_str(&url), &params, json_get_str(v, "auth_token"), nonce_text,
                     mac);
    }
    bool found = header != NULL && strstr(header, mac) != NULL;
    cr_expect_eq(found, valid, "%s: signature %s, header %s", id, mac, header ? header : "none");
    form_fini(&params);
    buf_fini(&url);
}

Test(form, published_signature_vectors)
{
    json_t *file = json_load_file(TEST_DATA_DIR "/plivo_signature_vectors.json", 0, NULL);
    const json_t *v;
    size_t i;

    cr_assert_not_null(file);
    json_array_foreach(json_object_get(file, "vectors"), i, v)
    {
        check_vector(v);
    }
    cr_assert_geq(i, 20);
    json_free(&file);
}

Test(form, encodes_and_decodes)
{
    struct form a;
    struct form b;
    struct buf text;

    form_init(&a);
    form_init(&b);
    buf_init(&text, 1000);
    form_add(&a, "To", "+14155550100");
    form_add(&a, "Name", "Jürgen & Söhne = 50 %");
    form_add(&a, "Empty", "");
    form_encode(&a, &text);
    cr_assert_str_eq(buf_cstr(&text),
                     "To=%2B14155550100&Name=J%C3%BCrgen+%26+S%C3%B6hne+%3D+50+%25&Empty=");
    form_decode(&b, buf_str(&text));
    cr_assert_eq(b.count, 3);
    for (size_t i = 0; i < 3; i++) {
        cr_assert_str_eq(a.pairs[i].name, b.pairs[i].name);
        cr_assert_str_eq(a.pairs[i].value, b.pairs[i].value);
    }
    form_fini(&b);
    form_decode(&b, STR("%zz=%4&x&=y&&a=1"));
    cr_assert_eq(b.count, 3);
    cr_assert_str_eq(form_value(&b, "%zz"), "%4");
    form_fini(&a);
    form_fini(&b);
    buf_fini(&text);
}
