#include "answer_xml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct answer *a = NULL;
    char error[160];
    if (xml_parse(&a, str_make((const char *)data, size), error, sizeof error) == 0) {
        xml_free(&a);
    }
    return 0;
}
