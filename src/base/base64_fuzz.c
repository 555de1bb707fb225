#include "base/alloc.h"
#include "base/crypto.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = str_make((const char *)data, size);
    uint8_t *plain = xmalloc(size);
    char *again = xmalloc(base64_size(size) + 1);
    ptrdiff_t len = base64_decode(text, plain, size);
    if (len >= 0) { /* strict: what decodes is the one spelling of its value */
        assert(str_eq(str_make(again, base64_encode(plain, (size_t)len, again)), text));
    }
    xfree(plain);
    xfree(again);
    return 0;
}
