#include "call/opt_out_words.h"
#include "call/tools.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const names[] = {"transfer_to_human", "schedule_callback",
                                        "mark_do_not_call",  "end_call",
                                        "note_interest",     "other"};
    struct tool_clock clock = {.wall_us = 1795000000000000, .offset_known = size % 2 == 0};
    struct tool_call out;
    char why[TOOL_WHY_SIZE];
    struct str args = str_make((const char *)data, size);
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        if (tool_read(~0u, names[i], args, &clock, &out, why) == 0) {
            assert(str_is_utf8(str_of(out.reason)) && str_is_utf8(str_of(out.patch)));
        }
    }
    (void)words_opt_out(args);
    return 0;
}
