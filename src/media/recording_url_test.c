#include "media/recording_url.h"

#include "base/clock.h"
#include "base/macros.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

static const char base_url[] = "https://calls.example/dw";

struct fixture {
    uint8_t key[32];
    struct uuid org;
    struct uuid rec;
    struct buf url;
    struct str id;
    struct str query;
};

static void make(struct fixture *f, int64_t expires_s)
{
    recording_url_key(STR("a secret of at least thirty-two bytes"), f->key);
    cr_assert_eq(uuid_parse(STR("01890a5d-ac96-774b-bcce-b302099a8057"), &f->org), 0);
    cr_assert_eq(uuid_parse(STR("01890a5d-ac96-774b-bcce-b302099a8058"), &f->rec), 0);
    buf_init(&f->url, 1024);
    cr_assert_eq(recording_url_write(f->key, base_url, &f->org, &f->rec, expires_s, &f->url), 0);
    struct str rest = str_skip(buf_str(&f->url), sizeof base_url - 1 + sizeof "/recordings/" - 1);
    cr_assert(str_split(&rest, '?', &f->id));
    f->query = rest;
}

Test(recording_url, what_is_written_is_accepted_until_it_expires)
{
    struct fixture f;
    struct uuid org;
    struct uuid rec;
    make(&f, 1000);
    cr_assert_eq(recording_url_check(f.key, f.id, f.query, 999, &org, &rec), 0);
    cr_assert(uuid_eq(&org, &f.org));
    cr_assert(uuid_eq(&rec, &f.rec));
    cr_assert_eq(recording_url_check(f.key, f.id, f.query, 1000, &org, &rec), -ETIME);
    buf_fini(&f.url);
}

Test(recording_url, any_changed_byte_is_refused)
{
    struct fixture f;
    struct uuid org;
    struct uuid rec;
    make(&f, 1000);
    for (size_t i = 0; i < f.query.len; i++) {
        char copy[512];
        cr_assert_eq(str_copy(f.query, copy, sizeof copy), 0);
        copy[i] = copy[i] == '0' ? '1' : '0';
        int err = recording_url_check(f.key, f.id, str_of(copy), 1, &org, &rec);
        cr_assert(err == -EINVAL || err == -EACCES, "byte %zu of %s", i, copy);
    }
    cr_assert_eq(recording_url_check(f.key, STR("01890a5d-ac96-774b-bcce-b302099a8059"), f.query, 1,
                                     &org, &rec),
                 -EACCES);
    buf_fini(&f.url);
}

Test(recording_url, incomplete_queries_are_refused)
{
    struct fixture f;
    struct uuid org;
    struct uuid rec;
    make(&f, 1000);
    static const char *const broken[] = {
        "",
        "org",
        "org=x",
        "exp=1",
        "sig=00",
        "org=01890a5d-ac96-774b-bcce-b302099a8057&exp=1000",
        "exp=1000&sig=00000000000000000000000000000000",
        "&&&",
    };
    for (size_t i = 0; i < COUNT_OF(broken); i++) {
        cr_assert_eq(recording_url_check(f.key, f.id, str_of(broken[i]), 1, &org, &rec), -EINVAL,
                     "%s", broken[i]);
    }
    cr_assert_eq(recording_url_check(f.key, STR("nonsense"), f.query, 1, &org, &rec), -EINVAL);
    buf_fini(&f.url);
}
