#include "hook.h"

#include <criterion/criterion.h>

static const struct row {
    const char *url;
    int64_t retries;
    bool on_4xx, on_5xx, on_connect, on_read;
    int64_t read_ms;
} rows[] = {
    {"https://h/p", 1, false, false, true, true, 40000},
    {"https://h/p#rc=5&rp=all", 5, true, true, true, true, 40000},
    {"https://h/p#rc=0", 0, false, false, true, true, 40000},
    {"https://h/p#rp=5xx,ct&rt=2000", 1, false, true, true, false, 2000},
    {"https://h/p#rc=9&rt=1", 1, false, false, true, true, 40000},
    {"https://h/p?x=1#ct=2000&tt=3&er=mumbai&rc=2", 2, false, false, true, true, 40000},
    {"https://h/p#", 1, false, false, true, true, 40000},
    {"https://h/p#rc", 1, false, false, true, true, 40000},
};

Test(hook, policy_of_the_fragment)
{
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct hook_policy p;
        hook_policy_read(str_of(rows[i].url), &p);
        cr_expect_eq(p.retries, rows[i].retries, "%s: retries", rows[i].url);
        cr_expect_eq(p.on_4xx, rows[i].on_4xx, "%s: 4xx", rows[i].url);
        cr_expect_eq(p.on_5xx, rows[i].on_5xx, "%s: 5xx", rows[i].url);
        cr_expect_eq(p.on_connect, rows[i].on_connect, "%s: ct", rows[i].url);
        cr_expect_eq(p.on_read, rows[i].on_read, "%s: rt", rows[i].url);
        cr_expect_eq(p.read_ms, rows[i].read_ms, "%s: read", rows[i].url);
    }
}
