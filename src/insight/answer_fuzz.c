#include "insight/analyse.h"
#include "insight/findings.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct insight_turn talk[] = {{{{1}}, INSIGHT_LEAD, {"I want it this week", 19}}};
    struct http_result result = {.status = 200, .body = {(const char *)data, size}};
    struct analysis_reply reply;
    struct findings f;
    analysis_read(&result, &reply);
    if (reply.answer != NULL && findings_read(&f, reply.answer, talk, 1) == 0) {
        findings_fini(&f);
    }
    analysis_reply_fini(&reply);
    return 0;
}
