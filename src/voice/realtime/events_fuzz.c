#include "base/limits.h"
#include "voice/realtime/events.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct rt_reader *reader = rt_reader_new(LIMIT_MODEL_MSG_BYTES);
    struct rt_event e;
    if (rt_read(reader, str_make((const char *)data, size), &e) == 0) {
        assert(e.response_id.len < VOICE_ID_SIZE && e.item_id.len < VOICE_ID_SIZE);
    }
    rt_reader_free(&reader);
    return 0;
}
