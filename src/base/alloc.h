/* alloc.h -- memory that is there or the process is not.
 *
 * Running out of memory aborts; exceeding a *limit* is an ordinary error at the place that has the
 * limit. These are the only doors to malloc outside src/base (tools/tidy.py checks).
 *
 * Owner   the caller; release with xfree(), or xfreep() as a scope cleanup.
 * Thread  any. */
#ifndef BASE_ALLOC_H
#define BASE_ALLOC_H

#include "base/macros.h"

void *xmalloc(size_t size_bytes) MUST_USE;
void *xzalloc(size_t size_bytes) MUST_USE;
void *xcalloc(size_t count, size_t size_bytes) MUST_USE; /* aborts on overflow of the product */
void *xrealloc(void *p, size_t size_bytes) MUST_USE;
char *xstrdup(const char *s) MUST_USE;
char *xstrndup(const char *s, size_t len) MUST_USE; /* copies len bytes, adds a NUL */
void *xmemdup(const void *p, size_t size_bytes) MUST_USE;
void xfree(void *p);                          /* NULL-safe */
void xfreep(char **p);                        /* OWNED(xfreep) char *s; leaves NULL */
void secret_wipe(void *p, size_t size_bytes); /* not optimised away */

#endif
