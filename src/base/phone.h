/* phone.h -- E.164 numbers: parse, judge, place in the world.
 *
 * A shim over libphonenumber (C++ inside; metadata of 2022, so only the impossible is refused and
 * "not valid" is a warning), with zones from a table generated at build out of Debian's
 * python3-phonenumbers (longest prefix wins).
 *
 * Thread  any.
 * Cost    about 46 us a number: long lists go to the worker pool.
 * Errors  phone_parse: -EINVAL (not a number), -ERANGE (impossible length for its country). */
#ifndef BASE_PHONE_H
#define BASE_PHONE_H

#include "base/str.h"

#define PHONE_E164_SIZE 17 /* + and 15 digits, NUL */
#define PHONE_ZONES_MAX 48

#ifdef __cplusplus
extern "C" {
#endif

struct phone {
    char e164[PHONE_E164_SIZE];
    char region[3]; /* ISO 3166 alpha-2; "" when it has none (+800, unknown) */
    bool valid;     /* by the 2022 metadata: a warning when false */
};

/* default_region: two letters for numbers written nationally, or NULL: then a + is needed. */
int phone_parse(struct str text, const char *default_region, struct phone *out) MUST_USE;
/* All zones the number can be in: IANA names (or CLDR aliases that Postgres knows); count, 0 unknown. */
size_t phone_zones(const char *e164, const char *zones[PHONE_ZONES_MAX]);
void phone_mask(struct str e164,
                char out[PHONE_E164_SIZE]); /* all digits but the last two as '*' */

#ifdef __cplusplus
}
#endif

#endif
