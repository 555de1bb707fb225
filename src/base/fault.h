/* fault.h -- how an exchange with another party failed, and what that allows us to do next.
 *
 * Inside the program mechanism failures are negative errno. At the outside edge (carrier, model,
 * database) the class decides: FAULT_UNSURE means the other side may have acted, and is never
 * retried blindly, because a repeated "place call" rings a person twice.
 *
 * Owner   a plain value, copied.
 * Thread  any. */
#ifndef BASE_FAULT_H
#define BASE_FAULT_H

#include "base/str.h"

enum fault_class {
    FAULT_NONE,     /* it worked */
    FAULT_NOT_SENT, /* no byte left us: may be repeated */
    FAULT_REFUSED,  /* the other side said no, documented as "nothing happened" */
    FAULT_BUSY,     /* the other side asks for later; nothing happened */
    FAULT_UNSURE,   /* the other side may have acted: learn, never repeat */
    FAULT_BROKEN,   /* answer or configuration makes no sense; repeating is pointless */
};

struct fault {
    enum fault_class class;
    int status;     /* HTTP status, close code, or 0 */
    char code[48];  /* the other side's word, e.g. an SQLSTATE or an error code */
    char text[160]; /* for people; no secrets, no phone numbers */
};

struct fault fault_none(void);
struct fault fault_make(enum fault_class class, int status, const char *code, const char *fmt, ...)
    PRINTF_LIKE(4, 5);
const char *fault_class_name(enum fault_class class);

#endif
