#include "net/http_server.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct form_field fields[32];
    size_t count = 0;
    size_t bytes = 0;
    OWNED(buf_fini) struct buf storage;
    buf_init(&storage, 65536);
    if (form_parse(str_make((const char *)data, size), &storage, fields, 32, &count) == 0) {
        for (size_t i = 0; i < count; i++) {
            bytes += fields[i].name.len + fields[i].value.len;
        }
        assert(bytes == storage.len && bytes <= size && count <= 32);
    }
    return 0;
}
