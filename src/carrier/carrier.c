#include "carrier/carrier.h"

void carrier_event_fini(struct carrier_event *ev)
{
    json_free(&ev->payload);
}

const struct carrier *carrier_find(const char *name)
{
    static const struct carrier *const carriers[] = {&carrier_plivo};
    for (size_t i = 0; i < COUNT_OF(carriers); i++) {
        if (str_eq_cstr(str_of(name), carriers[i]->name)) {
            return carriers[i];
        }
    }
    return NULL;
}
