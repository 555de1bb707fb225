#include "base/jscan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const paths[] = {"event", "media.payload", "a.b.c", "delta"};
    struct jscan *s = jscan_new(100000);
    (void)!jscan_open(s, str_make((const char *)data, size));
    for (size_t i = 0; i < COUNT_OF(paths); i++) {
        struct str text;
        int64_t number;
        assert(jscan_str(s, paths[i], &text) < 0 || str_is_utf8(text));
        (void)!jscan_raw(s, paths[i], &text);
        (void)!jscan_i64(s, paths[i], &number);
    }
    jscan_free(&s);
    return 0;
}
