/* signature.h -- Plivo's signature V3: what is signed, and whether one matches.
 *
 * S = scheme://host[:port]path, the query pairs, the form's pairs, ".", the nonce; see
 * docs/carrier-plivo.md for the exact joints. The URL is always built from the configured public
 * address and the raw path, never from what a request says about itself.
 *
 * Thread  any.
 * Errors  -EINVAL (bad escape, NUL), -EMSGSIZE (too many pairs), -EACCES (no match).
 * Source  npm plivo 4.79.0 dist/utils/v3Security.js; vectors in tests/data. */
#ifndef CARRIER_PLIVO_SIGNATURE_H
#define CARRIER_PLIVO_SIGNATURE_H

#include "carrier/carrier.h"

#define SIGNATURE_TEXT_MAX (256 * 1024)

struct signature_input {
    bool post;       /* GET signs the query only */
    struct str url;  /* public URL; a query and a fragment may follow */
    struct str body; /* POST: the form as it came */
    struct str nonce;
};

/* Appends the signed text. */
int signature_text(const struct signature_input *in, struct buf *out) MUST_USE;
/* `header`: one or more signatures, comma separated, blanks allowed. Constant time per signature.
 */
bool signature_match(struct str header, struct str token, struct str text);

int plivo_verify(const struct http_request *req, const struct carrier_urls *urls,
                 const struct carrier_account *account) MUST_USE;
int plivo_verify_upgrade(const struct http_request *req, const struct carrier_urls *urls,
                         const struct carrier_account *account) MUST_USE;

/* What the two above read of a request; apart so that tests need no socket. */
struct signature_headers {
    struct str v3;
    struct str main_v3; /* X-Plivo-Signature-Ma-V3 */
    struct str nonce;
};
int signature_check(const struct signature_headers *headers, struct signature_input input,
                    const struct carrier_account *account) MUST_USE;
/* Every scheme the upgrade may have been signed with. No signature at all is 0: the token decides.
 */
int signature_check_upgrade(const struct signature_headers *headers, struct str public_url,
                            struct str path_and_query,
                            const struct carrier_account *account) MUST_USE;

#endif
