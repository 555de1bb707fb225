#include "base/phone.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct phone p;
    struct phone again;
    char masked[PHONE_E164_SIZE];
    const char *zones[PHONE_ZONES_MAX];
    struct str text = str_make((const char *)data, size);
    if (phone_parse(text, "US", &p) == 0) { /* a number in E.164 is its own spelling */
        assert(p.e164[0] == '+' && phone_parse(str_of(p.e164), NULL, &again) == 0);
        assert(str_eq_cstr(str_of(p.e164), again.e164));
        (void)phone_zones(p.e164, zones);
    }
    phone_mask(text, masked);
    return 0;
}
