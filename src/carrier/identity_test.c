#include "carrier/carrier.h"

#include "base/clock.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

static const int64_t now_us = 1795341600LL * US_PER_S;

static struct carrier_urls make_urls(uint8_t key)
{
    struct carrier_urls urls = {.public_url = "https://voice.example.com"};
    memset(urls.callback_key, key, sizeof urls.callback_key);
    return urls;
}

static struct carrier_identity make_identity(void)
{
    struct carrier_identity id = {.attempt_number = 3, .expires_s = now_us / US_PER_S + 3600};
    cr_assert_eq(uuid_parse(STR("019a0000-0000-7000-8000-000000000001"), &id.attempt_id), 0);
    cr_assert_eq(uuid_parse(STR("019a0000-0000-7000-8000-000000000002"), &id.organization_id), 0);
    cr_assert_eq(uuid_parse(STR("019a0000-0000-7000-8000-000000000003"), &id.queue_id), 0);
    return id;
}

static void write_identity(const char *kind, struct buf *out)
{
    const struct carrier_urls urls = make_urls(7);
    const struct carrier_identity id = make_identity();
    buf_init(out, 512);
    cr_assert_eq(identity_write(&urls, kind, &id, out), 0);
}

Test(identity, comes_back_whole)
{
    const struct carrier_urls urls = make_urls(7);
    const struct carrier_identity id = make_identity();
    struct carrier_identity back;
    OWNED(buf_fini) struct buf text;
    write_identity("answer", &text);
    cr_assert_eq(identity_read(&urls, STR("answer"), buf_str(&text), now_us, &back), 0);
    cr_assert(uuid_eq(&back.attempt_id, &id.attempt_id));
    cr_assert(uuid_eq(&back.organization_id, &id.organization_id));
    cr_assert(uuid_eq(&back.queue_id, &id.queue_id));
    cr_assert_eq(back.attempt_number, id.attempt_number);
    cr_assert_eq(back.expires_s, id.expires_s);
}

Test(identity, is_plain_path_text)
{
    OWNED(buf_fini) struct buf text;
    write_identity("agent-whisper", &text);
    cr_assert_eq(strspn(buf_cstr(&text), "0123456789abcdef."), text.len);
}

Test(identity, of_one_kind_is_no_other)
{
    const struct carrier_urls urls = make_urls(7);
    struct carrier_identity back;
    OWNED(buf_fini) struct buf text;
    write_identity("answer", &text);
    cr_assert_eq(identity_read(&urls, STR("hangup"), buf_str(&text), now_us, &back), -EACCES);
    cr_assert_eq(identity_read(&urls, STR("answe"), buf_str(&text), now_us, &back), -EACCES);
    cr_assert_eq(identity_read(&urls, STR(""), buf_str(&text), now_us, &back), -EINVAL);
    cr_assert_eq(identity_read(&urls, STR("answer|"), buf_str(&text), now_us, &back), -EINVAL);
}

Test(identity, needs_the_key)
{
    const struct carrier_urls other = make_urls(8);
    struct carrier_identity back;
    OWNED(buf_fini) struct buf text;
    write_identity("answer", &text);
    cr_assert_eq(identity_read(&other, STR("answer"), buf_str(&text), now_us, &back), -EACCES);
}

Test(identity, ends_when_it_says)
{
    const struct carrier_urls urls = make_urls(7);
    struct carrier_identity back;
    int64_t end_us = make_identity().expires_s * US_PER_S;
    OWNED(buf_fini) struct buf text;
    write_identity("answer", &text);
    cr_assert_eq(identity_read(&urls, STR("answer"), buf_str(&text), end_us - 1, &back), 0);
    cr_assert_eq(identity_read(&urls, STR("answer"), buf_str(&text), end_us, &back), -ETIME);
}

Test(identity, no_byte_can_change)
{
    const struct carrier_urls urls = make_urls(7);
    OWNED(buf_fini) struct buf text;
    write_identity("answer", &text);
    for (size_t i = 0; i < text.len; i++) {
        for (int c = 1; c < 256; c++) {
            struct carrier_identity back;
            char before = text.p[i];
            if ((char)c == before) {
                continue;
            }
            text.p[i] = (char)c;
            cr_assert_lt(identity_read(&urls, STR("answer"), buf_str(&text), now_us, &back), 0,
                         "byte %zu as %d passed", i, c);
            text.p[i] = before;
        }
    }
}

Test(identity, has_one_spelling)
{
    const struct carrier_urls urls = make_urls(7);
    struct carrier_identity back;
    OWNED(buf_fini) struct buf text;
    OWNED(buf_fini) struct buf other;
    write_identity("answer", &text);
    buf_init(&other, 1024);
    /* A leading zero, a sign, a trailing part: all the same identity to a lax reader. */
    struct str rest = buf_str(&text);
    struct str a, b, c;
    cr_assert(str_split(&rest, '.', &a) && str_split(&rest, '.', &b) && str_split(&rest, '.', &c));
    static const char *const marks[] = {"0", "+", "-", " "};
    for (size_t i = 0; i < COUNT_OF(marks); i++) {
        buf_clear(&other);
        buf_addf(&other, STR_FMT "." STR_FMT "." STR_FMT ".%s" STR_FMT, STR_ARG(a), STR_ARG(b),
                 STR_ARG(c), marks[i], STR_ARG(rest));
        cr_assert_eq(identity_read(&urls, STR("answer"), buf_str(&other), now_us, &back), -EINVAL);
    }
    buf_clear(&other);
    buf_addf(&other, "%s.", buf_cstr(&text));
    cr_assert_lt(identity_read(&urls, STR("answer"), buf_str(&other), now_us, &back), 0);
    buf_clear(&other);
    for (size_t i = 0; i < 600; i++) {
        buf_add_char(&other, 'a');
    }
    cr_assert_eq(identity_read(&urls, STR("answer"), buf_str(&other), now_us, &back), -EINVAL);
}

Test(carrier, is_found_by_name)
{
    cr_assert_eq(carrier_find("plivo"), &carrier_plivo);
    cr_assert_null(carrier_find("pliv"));
    cr_assert_null(carrier_find(""));
}
