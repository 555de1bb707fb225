/* form.h -- names and values of one callback: collected, form-encoded, signed.
 *
 * The signing rules are this side's own reading of the carrier's documents; nothing is shared with
 * the product, so a mistake there cannot hide behind the same mistake here.
 *
 * Owner   embedded; form_init() to form_fini(). Names and values are copied.
 * Thread  the loop's.
 * Limits  FORM_MAX pairs (more: dropped, form_failed()).
 * Source  protocols sheet of the carrier, section 3; vectors in tests/data. */
#ifndef SIM_CARRIER_FORM_H
#define SIM_CARRIER_FORM_H

#include "base/buf.h"

#define FORM_MAX            64
#define FORM_SIGNATURE_SIZE 45 /* base64 of 32 bytes and a NUL */
#define FORM_NONCE_SIZE     21

struct form_pair {
    char *name;
    char *value;
};

struct form {
    struct form_pair pairs[FORM_MAX];
    size_t count;
    bool full;
};

void form_init(struct form *f);
void form_fini(struct form *f);
void form_add(struct form *f, const char *name, const char *value);
void form_add_str(struct form *f, struct str name, struct str value);
void form_addf(struct form *f, const char *name, const char *fmt, ...) PRINTF_LIKE(3, 4);
void form_copy(struct form *to, const struct form *from);       /* appends */
const char *form_value(const struct form *f, const char *name); /* NULL */
void form_encode(const struct form *f, struct buf *out);
/* Decodes "a=b&c=d"; bad escapes are kept as they stand. */
void form_decode(struct form *f, struct str text);

/* V3: method, url (fragment dropped), body parameters, key, nonce. */
void form_sign_v3(const char *method, struct str url, const struct form *body, struct str token,
                  const char *nonce, char out[FORM_SIGNATURE_SIZE]);
void form_sign_v2(struct str url, struct str token, const char *nonce,
                  char out[FORM_SIGNATURE_SIZE]);
void form_nonce(char out[FORM_NONCE_SIZE]); /* 20 random decimal digits */

#endif
