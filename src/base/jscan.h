/* jscan.h -- the hot path's JSON: read a few members of one frame without building a tree.
 *
 * A shim over simdjson on-demand (C++ inside). A jscan is opened on one message, asked for members by
 * path, and closed; strings it returns live until the next jscan_open() on the same scanner. Any
 * order of questions works; each question rewinds.
 *
 * Owner   one scanner per socket or loop; jscan_free() as a scope cleanup.
 * Thread  the loop that made it.
 * Limits  the message is copied into a padded buffer of at most bytes_max (-EMSGSIZE). Depth 16.
 * Note    only what is asked for is checked to the end: a mistake elsewhere in the message may pass.
 * Errors  -EINVAL (not JSON), -ENOENT (no such member, or null), -EBADMSG (other type). */
#ifndef BASE_JSCAN_H
#define BASE_JSCAN_H

#include "base/str.h"

#ifdef __cplusplus
extern "C" {
#endif

struct jscan;

struct jscan *jscan_new(size_t bytes_max) MUST_USE;
void jscan_free(struct jscan **s);
int jscan_open(struct jscan *s, struct str message) MUST_USE; /* the root must be an object */
/* path: "a", or "a.b", up to three names. */
int jscan_str(struct jscan *s, const char *path, struct str *out) MUST_USE; /* unescaped */
int jscan_raw(struct jscan *s, const char *path,
              struct str *out) MUST_USE; /* string between its quotes, as on
                                                                              the wire: for base64 payloads */
int jscan_i64(struct jscan *s, const char *path,
              int64_t *out) MUST_USE; /* number, or decimal string */

#ifdef __cplusplus
}
#endif

#endif
