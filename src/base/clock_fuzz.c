#include "base/clock.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int64_t us;
    int64_t again;
    char text[CLOCK_TEXT_SIZE];
    if (clock_parse(str_make((const char *)data, size), &us) == 0) {
        clock_format(us, text);
        assert(text[0] == '0' || clock_parse(str_of(text), &again) < 0 || again == us);
    }
    return 0;
}
