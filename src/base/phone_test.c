#include "base/phone.h"

#include "base/macros.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

Test(phone, parse)
{
    static const struct {
        const char *text;
        const char *region;
        int err;
        const char *e164;
        const char *home;
        bool valid;
    } rows[] = {
        {"+14155552671", NULL, 0, "+14155552671", "US", true},
        {"+1 (415) 555-2671", NULL, 0, "+14155552671", "US", true},
        {"(415) 555-2671", "US", 0, "+14155552671", "US", true},
        {"020 7946 0958", "GB", 0, "+442079460958", "GB", true},
        {"+91 98765 43210", NULL, 0, "+919876543210", "IN", true},
        {"01 23 45 67 89", "FR", 0, "+33123456789", "FR", true},
        {"+800 1234 5678", NULL, 0, "+80012345678", "", true},
        {"+13245550123", NULL, 0, "+13245550123", "", false}, /* opened after the metadata */
        {"+86001754788519q8", NULL, 0, "+8617547885198", "CN", true}, /* one spelling (fuzzer) */
        {"4155552671", NULL, -EINVAL, "", "", false},
        {"+1415555", NULL, -ERANGE, "", "", false},
        {"5552671", "US", -ERANGE, "", "", false}, /* only inside one town */
        {"+141555526711234", NULL, -ERANGE, "", "", false},
        {"+999123456789", NULL, -EINVAL, "", "", false},
        {"hello", "US", -EINVAL, "", "", false},
        {"", "US", -EINVAL, "", "", false},
        {"+", NULL, -EINVAL, "", "", false},
        {"\xff\xfe", "US", -EINVAL, "", "", false},
        {"+1415555267112345678901234567890123456789012345678901234567890123456789", NULL, -EINVAL,
         "", "", false},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct phone p = {.e164 = "kept"};
        cr_expect_eq(phone_parse(str_of(rows[i].text), rows[i].region, &p), rows[i].err, "%s",
                     rows[i].text);
        if (rows[i].err < 0) {
            cr_expect_str_eq(p.e164, "kept");
            continue;
        }
        cr_expect_str_eq(p.e164, rows[i].e164);
        cr_expect_str_eq(p.region, rows[i].home, "%s: %s", rows[i].text, p.region);
        cr_expect_eq(p.valid, rows[i].valid, "%s", rows[i].text);
    }
}

Test(phone, zones)
{
    static const struct {
        const char *e164;
        size_t count;
        const char *first;
    } rows[] = {
        {"+12125551234", 1, "America/New_York"},
        {"+14155552671", 1, "America/Los_Angeles"},
        {"+442079460958", 1, "Europe/London"},
        {"+919876543210", 1, "Asia/Calcutta"},
        {"+33123456789", 1, "Europe/Paris"},
        {"+99912345", 0, NULL},
        {"+", 0, NULL},
        {"", 0, NULL},
    };
    const char *zones[PHONE_ZONES_MAX];
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        cr_expect_eq(phone_zones(rows[i].e164, zones), rows[i].count, "%s", rows[i].e164);
        if (rows[i].count > 0) {
            cr_expect_str_eq(zones[0], rows[i].first);
        }
    }
    cr_expect_gt(phone_zones("+18005551234", zones), 20, "toll-free: anywhere in the plan");
    cr_expect_gt(phone_zones("+13245550123", zones), 20, "an area code the table does not know");
}

Test(phone, mask)
{
    static const char *const rows[][2] = {{"+14155552671", "+*********71"},
                                          {"", ""},
                                          {"+1", "+*"},
                                          {"1234", "****"},
                                          {"12345", "***45"},
                                          {"sip:x@y", "sip:x@y"}};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char out[PHONE_E164_SIZE];
        phone_mask(str_of(rows[i][0]), out);
        cr_expect_str_eq(out, rows[i][1]);
    }
}
