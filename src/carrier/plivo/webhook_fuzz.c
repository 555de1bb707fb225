#include "carrier/plivo/webhook.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct carrier_event ev;
    struct str kind = str_of(plivo_kind_name(size > 0 ? data[0] % CARRIER_EVENT_KINDS : 0));
    struct str body = str_skip(str_make((const char *)data, size), 1);
    if (plivo_event_read(kind, body, &ev) == 0) {
        assert(ev.key[0] != '\0' && ev.duration_s >= 0 && ev.billed_s >= 0 && ev.cost_micros >= 0);
        carrier_event_fini(&ev);
    }
    return 0;
}
