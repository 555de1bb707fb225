#include "carrier/carrier.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct carrier_urls urls = {.public_url = "https://h"};
    struct carrier_identity id;
    struct str text = str_make((const char *)data, size);
    struct str kind;
    if (str_split(&text, '/', &kind) && identity_read(&urls, kind, text, 0, &id) == 0) {
        assert(id.expires_s > 0 && id.attempt_number >= 0);
    }
    return 0;
}
