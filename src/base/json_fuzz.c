#include "base/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    OWNED(json_free) json_t *v = NULL;
    OWNED(json_free) json_t *again = NULL;
    OWNED(buf_fini) struct buf text;
    buf_init(&text, size * 16 + 100);
    if (json_parse(str_make((const char *)data, size), &v) == 0) {
        assert(json_dump(v, &text) == 0);
        assert(json_parse(buf_str(&text), &again) == 0 && json_equal(v, again));
        (void)json_get_i64(v, "a", 0);
    }
    buf_clear(&text);
    assert(buf_add_json_str(&text, str_make((const char *)data, size)) == 0);
    return 0;
}
