#include "carrier/plivo/stream.h"

#include "base/jscan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    OWNED(jscan_free) struct jscan *scan = jscan_new(16384);
    struct carrier_frame frame;
    if (plivo_frame_read(scan, str_make((const char *)data, size), &frame) == 0) {
        assert(frame.kind != CARRIER_FRAME_START || frame.call_id.len > 0);
    }
    return 0;
}
