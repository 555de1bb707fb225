#include "base/fault.h"

#include <stdarg.h>
#include <stdio.h>

struct fault fault_none(void)
{
    return (struct fault){.class = FAULT_NONE};
}

struct fault fault_make(enum fault_class class, int status, const char *code, const char *fmt, ...)
{
    struct fault f = {.class = class, .status = status};
    str_copy_cut(str_of(code), f.code, sizeof f.code);
    char text[512];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    str_copy_cut(str_of(text), f.text, sizeof f.text);
    return f;
}

const char *fault_class_name(enum fault_class class)
{
    switch (class) {
    case FAULT_NONE:
        return "none";
    case FAULT_NOT_SENT:
        return "not_sent";
    case FAULT_REFUSED:
        return "refused";
    case FAULT_BUSY:
        return "busy";
    case FAULT_UNSURE:
        return "unsure";
    case FAULT_BROKEN:
        return "broken";
    }
    return "unknown";
}
