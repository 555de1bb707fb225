#include "base/uuid.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct uuid u;
    char text[UUID_TEXT_SIZE];
    if (uuid_parse(str_make((const char *)data, size), &u) == 0) {
        uuid_text(&u, text);
        assert(size == 32 || str_eq_nocase(str_of(text), str_make((const char *)data, size)));
    }
    return 0;
}
