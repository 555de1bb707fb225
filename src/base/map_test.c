#include "base/map.h"

#include <criterion/criterion.h>
#include <stdio.h>

static void add_up(struct str key, void *value, void *arg)
{
    (void)key;
    *(size_t *)arg += (size_t)(uintptr_t)value;
}

Test(map, many_keys)
{
    struct map m;
    size_t sum = 0;
    map_init(&m);
    cr_expect_null(map_get(&m, STR("k0")));
    cr_expect_null(map_take(&m, STR("k0")));
    for (size_t i = 1; i <= 1000; i++) {
        char key[16];
        snprintf(key, sizeof key, "k%zu", i);
        cr_assert_null(map_put(&m, str_of(key), (void *)(uintptr_t)i));
    }
    cr_expect_eq(map_count(&m), 1000);
    map_each(&m, add_up, &sum);
    cr_expect_eq(sum, 500500);
    for (size_t i = 1; i <= 1000; i++) {
        char key[16];
        snprintf(key, sizeof key, "k%zu", i);
        cr_assert_eq((uintptr_t)map_get(&m, str_of(key)), i);
        if (i % 2 == 0) {
            cr_assert_eq((uintptr_t)map_take(&m, str_of(key)), i);
            cr_assert_null(map_get(&m, str_of(key)));
        }
    }
    cr_expect_eq(map_count(&m), 500);
    map_fini(&m);
}

Test(map, replace_and_odd_keys)
{
    struct map m;
    char long_key[65] = {0};
    int a;
    int b;
    map_init(&m);
    cr_expect_null(map_put(&m, STR("x"), &a));
    cr_expect_eq(map_put(&m, STR("x"), &b), &a);
    cr_expect_eq(map_get(&m, STR("x")), &b);
    cr_expect_null(map_put(&m, STR(""), &a), "the empty key is a key");
    cr_expect_eq(map_get(&m, STR_NONE), &a);
    cr_expect_null(map_put(&m, str_make(long_key, 64), &a));
    cr_expect_eq(map_get(&m, str_make(long_key, 64)), &a);
    cr_expect_null(map_get(&m, str_make(long_key, 65)), "too long to be in it");
    cr_expect_null(map_get(&m, str_make(long_key, 63)));
    map_fini(&m);
}
