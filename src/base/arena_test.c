#include "base/arena.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <string.h>

Test(arena, memory_ends_together)
{
    struct arena a;
    arena_init(&a, 1024 * 1024);
    for (size_t size = 0; size < 3000; size += 7) {
        unsigned char *p = arena_alloc(&a, size);
        cr_assert_eq((uintptr_t)p % 16, 0);
        for (size_t i = 0; i < size; i++) {
            cr_assert_eq(p[i], 0);
        }
        memset(p, 0xff, size);
    }
    cr_expect_str_eq(arena_strdup(&a, STR("abc")), "abc");
    cr_expect(str_eq(arena_str(&a, STR_NONE), STR("")));
    arena_reset(&a);
    cr_expect_eq(a.used_bytes, 0);
    unsigned char *p = arena_alloc(&a, 100);
    cr_expect_eq(p[99], 0, "what a block held before is not seen again");
    unsigned char *large = arena_alloc(&a, 100000);
    memset(large, 1, 100000);
    arena_fini(&a);
    cr_expect_null(a.blocks);
    arena_fini(&a);
}

Test(arena, past_the_limit_aborts, .signal = SIGABRT)
{
    struct arena a;
    arena_init(&a, 100);
    cr_assert_not_null(arena_alloc(&a, 64));
    cr_assert_null(arena_alloc(&a, 64), "not reached");
}
