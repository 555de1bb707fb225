#include "carrier/plivo/signature.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str body = str_make((const char *)data, size);
    struct signature_input in = {.post = true, .nonce = STR("1")};
    OWNED(buf_fini) struct buf text;
    buf_init(&text, SIGNATURE_TEXT_MAX);
    (void)str_split(&body, '\n', &in.url);
    in.body = body;
    if (signature_text(&in, &text) == 0) {
        assert(str_ends(buf_str(&text), STR(".1")));
        assert(!signature_match(body, STR("token"), buf_str(&text)));
    }
    return 0;
}
