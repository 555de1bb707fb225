/* buf.h -- building bytes: grows up to a stated maximum, then refuses.
 *
 * Owner   whoever called buf_init(); buf_fini() frees and leaves an empty buf.
 * Thread  any, one at a time.
 * Errors  appends return 0 or -EMSGSIZE; a refused append changes nothing and marks the buf, so a
 *         row of appends can be checked once at the end by buf_failed().
 * Note    the content is always followed by a NUL that does not count. */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include "base/str.h"

#include <stdarg.h>

struct buf {
    char *p;
    size_t len;
    size_t size;     /* allocated */
    size_t size_max; /* never allocate more (content: one less) */
    bool failed;
};

void buf_init(struct buf *b, size_t bytes_max);
void buf_fini(struct buf *b);
void buf_clear(struct buf *b); /* keeps the memory, clears the mark */
int buf_add(struct buf *b, const void *p, size_t len);
int buf_add_str(struct buf *b, struct str s);
int buf_add_cstr(struct buf *b, const char *s);
int buf_add_char(struct buf *b, char c);
int buf_addf(struct buf *b, const char *fmt, ...) PRINTF_LIKE(2, 3);
int buf_vaddf(struct buf *b, const char *fmt, va_list ap) PRINTF_LIKE(2, 0);
char *buf_reserve(struct buf *b,
                  size_t len); /* room for len bytes at the end, or NULL; then buf_commit */
void buf_commit(struct buf *b, size_t len);
void buf_consume(struct buf *b, size_t len); /* drops from the front */
struct str buf_str(const struct buf *b);
const char *buf_cstr(const struct buf *b); /* "" when empty */
char *buf_steal(struct buf *b) MUST_USE;   /* the heap text; the buf is empty after */
bool buf_failed(const struct buf *b);

#endif
