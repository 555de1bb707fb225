#include "base/url.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct url url;
    struct str text = str_make((const char *)data, size);
    if (url_parse(text, &url) == 0) {
        assert(url.host.len > 0 && url.port > 0 && str_ends(text, url.rest));
        assert(url.secure || url_rule_operator(text) == url_host_is_loopback(url.host));
    } else {
        assert(!url_rule_operator(text));
    }
    return 0;
}
