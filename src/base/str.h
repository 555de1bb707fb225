/* str.h -- looking at text: a pointer and a length, never a need for a NUL.
 *
 * Owner   a str owns nothing; it lives as long as what it points into.
 * Thread  any.
 * Errors  parsers return 0 or -EINVAL / -ERANGE and write their out parameter only on success. */
#ifndef BASE_STR_H
#define BASE_STR_H

#include "base/macros.h"

struct str {
    const char *p;
    size_t len;
};

#define STR(lit)   ((struct str){(lit), sizeof(lit) - 1})
#define STR_NONE   ((struct str){NULL, 0})
#define STR_FMT    "%.*s"
#define STR_ARG(s) (int)(s).len, (s).p ? (s).p : ""

#ifdef __cplusplus
extern "C" {
#endif

struct str str_of(const char *cstr); /* NULL gives STR_NONE */
struct str str_make(const char *p, size_t len);
bool str_eq(struct str a, struct str b);
bool str_eq_cstr(struct str a, const char *b);
bool str_eq_nocase(struct str a, struct str b); /* ASCII only */
int str_cmp(struct str a, struct str b);        /* byte-wise, shorter first */
bool str_starts(struct str s, struct str prefix);
bool str_ends(struct str s, struct str suffix);
bool str_contains(struct str s, struct str needle);
bool str_contains_nocase(struct str s, struct str needle); /* ASCII only */
ptrdiff_t str_find_char(struct str s, char c);             /* index or -1 */
struct str str_trim(struct str s);                         /* ASCII white space both ends */
struct str str_skip(struct str s, size_t n);               /* n may exceed the length */
struct str str_head(struct str s, size_t n);
/* Cuts at the first `sep`: *head gets what is before it, *s the rest after it; false at the end. */
bool str_split(struct str *s, char sep, struct str *head);

int str_to_i64(struct str s, int64_t *out) MUST_USE;   /* whole string, decimal, optional '-' */
int str_to_double(struct str s, double *out) MUST_USE; /* whole string, C locale */
int str_to_bool(struct str s, bool *out) MUST_USE;     /* true/false/1/0/yes/no/on/off */

/* Copies into a fixed array with a NUL; -EMSGSIZE when it does not fit (then dst is ""). */
int str_copy(struct str s, char *dst, size_t dst_size) MUST_USE;
/* Copies what fits, on a UTF-8 boundary, with a NUL; for texts where a cut is harmless (logs). */
void str_copy_cut(struct str s, char *dst, size_t dst_size);
char *str_dup(struct str s) MUST_USE; /* heap copy with a NUL; xfree() it */
bool str_is_utf8(struct str s);
size_t
str_utf8_step(struct str s); /* bytes of the first character; 0: ill-formed, or nothing left */

#ifdef __cplusplus
}
#endif

#endif
