#include "store/seal.h"

#include <criterion/criterion.h>
#include <errno.h>

static struct seal_place place(const char *org, const char *column, const char *id)
{
    struct seal_place p = {.column = column};

    cr_assert_eq(uuid_parse(str_of(org), &p.organization_id), 0);
    cr_assert_eq(uuid_parse(str_of(id), &p.id), 0);
    return p;
}

#define ORG_1 "0193a000-0000-7000-8000-000000000001"
#define ORG_2 "0193a000-0000-7000-8000-000000000002"

Test(seal, opens_only_where_it_was_closed)
{
    static const struct {
        const char *name;
        const char *kek, *org, *column, *id;
        int err;
    } rows[] = {
        {"same place", "kek one", ORG_1, SEAL_CARRIER_TOKEN, ORG_2, 0},
        {"other kek", "kek two", ORG_1, SEAL_CARRIER_TOKEN, ORG_2, -EBADMSG},
        {"other tenant", "kek one", ORG_2, SEAL_CARRIER_TOKEN, ORG_2, -EBADMSG},
        {"other column", "kek one", ORG_1, "webhook_endpoints.secret", ORG_2, -EBADMSG},
        {"other row", "kek one", ORG_1, SEAL_CARRIER_TOKEN, ORG_1, -EBADMSG},
    };
    OWNED(buf_fini) struct buf sealed = {0};
    struct seal_place home = place(ORG_1, SEAL_CARRIER_TOKEN, ORG_2);

    buf_init(&sealed, 1024);
    cr_assert_eq(seal_close(STR("kek one"), &home, STR("a token"), &sealed), 0);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        OWNED(buf_fini) struct buf plain = {0};
        struct seal_place there = place(rows[i].org, rows[i].column, rows[i].id);
        buf_init(&plain, 1024);
        cr_expect_eq(seal_open(str_of(rows[i].kek), &there, buf_str(&sealed), &plain), rows[i].err,
                     "%s", rows[i].name);
        cr_expect(str_eq_cstr(buf_str(&plain), rows[i].err == 0 ? "a token" : ""), "%s: content",
                  rows[i].name);
    }
}

Test(seal, any_changed_byte_is_noticed)
{
    OWNED(buf_fini) struct buf sealed = {0};
    struct seal_place home = place(ORG_1, SEAL_CARRIER_TOKEN, ORG_2);

    buf_init(&sealed, 1024);
    cr_assert_eq(seal_close(STR("k"), &home, STR("x"), &sealed), 0);
    for (size_t i = 0; i < sealed.len; i++) {
        OWNED(buf_fini) struct buf plain = {0};
        buf_init(&plain, 1024);
        sealed.p[i] = (char)(sealed.p[i] ^ 1);
        cr_expect_lt(seal_open(STR("k"), &home, buf_str(&sealed), &plain), 0, "byte %zu", i);
        sealed.p[i] = (char)(sealed.p[i] ^ 1);
        buf_clear(&plain);
        cr_expect_lt(seal_open(STR("k"), &home, str_head(buf_str(&sealed), i), &plain), 0,
                     "cut at %zu", i);
    }
}
