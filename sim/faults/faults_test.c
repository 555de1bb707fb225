#include "faults.h"

#include <criterion/criterion.h>
#include <stdio.h>

Test(faults, strike_as_often_as_they_should_and_the_same_ones_again)
{
    struct faults f = {.seed = 4};
    struct faults again = {.seed = 4};
    struct faults other = {.seed = 5};
    int same = 0;
    cr_assert_eq(faults_set(&f, "hook_lost=0.25"), 0);
    again.chance[FAULT_HOOK_LOST] = 0.25;
    other.chance[FAULT_HOOK_LOST] = 0.25;
    for (uint64_t i = 0; i < 4000; i++) {
        bool hit = fault_strikes(&f, FAULT_HOOK_LOST, STR("+14155550100"), i);
        cr_assert_eq(hit, fault_strikes(&again, FAULT_HOOK_LOST, STR("+14155550100"), i));
        same += hit == fault_strikes(&other, FAULT_HOOK_LOST, STR("+14155550100"), i) ? 1 : 0;
        cr_assert_not(fault_strikes(&f, FAULT_HOOK_LATE, STR("+14155550100"), i));
    }
    cr_assert(f.struck[FAULT_HOOK_LOST] > 880 && f.struck[FAULT_HOOK_LOST] < 1120, "%ld",
              (long)f.struck[FAULT_HOOK_LOST]);
    cr_assert_lt(same, 3200);
}

Test(faults, profiles_and_names)
{
    struct faults f = {.seed = 1};
    char text[64];
    cr_assert_eq(faults_profile(&f, "demo"), 0);
    cr_assert_gt(f.chance[FAULT_HOOK_DOUBLED], 0);
    cr_assert_eq(faults_profile(&f, "none"), 0);
    for (size_t i = 0; i < FAULT_COUNT; i++) {
        cr_assert_eq(f.chance[i], 0);
        (void)snprintf(text, sizeof text, "%s=1", fault_kind_name((enum fault_kind)i));
        cr_assert_eq(faults_set(&f, text), 0, "%s", text);
    }
    cr_assert_lt(faults_profile(&f, "worse"), 0);
    cr_assert_lt(faults_set(&f, "hook_lost"), 0);
    cr_assert_lt(faults_set(&f, "hook_lost=2"), 0);
    cr_assert_lt(faults_set(&f, "tea=0.5"), 0);
}
