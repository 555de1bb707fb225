#include "carrier/plivo/search.h"

static void on_sighting(const struct carrier_sighting *s, void *arg)
{
    (void)arg;
    assert(s->call_id[0] != '\0' && s->initiated_us != 0 && s->outcome != NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct search_pair pair = {.from_e164 = "+1", .to_e164 = "+2"};
    struct search_page page;
    return search_read_cdrs(str_make((const char *)data, size), 0, &pair, &page, on_sighting,
                            NULL) == 1;
}
