#include "base/fault.h"

#include "base/alloc.h"

#include <criterion/criterion.h>
#include <string.h>

Test(fault, is_cut_to_its_room)
{
    char text[400];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    struct fault f = fault_make(FAULT_UNSURE, 502, text, "%s", text);
    cr_expect_eq(f.class, FAULT_UNSURE);
    cr_expect_eq(f.status, 502);
    cr_expect_eq(strlen(f.code), sizeof f.code - 1);
    cr_expect_eq(strlen(f.text), sizeof f.text - 1);
    cr_expect_eq(fault_none().class, FAULT_NONE);
    cr_expect_str_eq(fault_class_name(FAULT_NOT_SENT), "not_sent");
    f = fault_make(FAULT_BUSY, 0, NULL, "plain");
    cr_expect_str_eq(f.code, "");
}

Test(alloc, edges)
{
    void *p = xmalloc(0);
    cr_assert_not_null(p);
    xfree(p);
    OWNED(xfreep) char *copy = xstrndup("abcdef", 3);
    cr_expect_str_eq(copy, "abc");
    copy[0] = 'x';
    secret_wipe(copy, 3);
    cr_expect_eq(copy[0], 0);
    secret_wipe(NULL, 0);
    xfree(NULL);
}
