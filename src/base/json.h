/* json.h -- reading and building JSON off the media path, over jansson with our limits.
 *
 * Everything that comes from outside passes json_parse(): depth 16, duplicate keys refused, size
 * checked by the caller's buffer. The getters are total: a missing or wrongly typed member gives the
 * stated default, because carriers and models add, drop and retype fields.
 *
 * Owner   json_parse() and the builders return a new reference; OWNED(json_free).
 * Thread  any, one at a time. */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include "base/buf.h"

#include <jansson.h>

int json_parse(struct str text, json_t **out) MUST_USE; /* -EINVAL, -EMSGSIZE (too deep) */
void json_free(json_t **v);                             /* json_decref, NULL-safe, leaves NULL */

struct str json_get_str(const json_t *obj, const char *key); /* STR_NONE */
int64_t json_get_i64(const json_t *obj, const char *key,
                     int64_t def); /* numbers, and decimal strings */
double json_get_double(const json_t *obj, const char *key, double def);
bool json_get_bool(const json_t *obj, const char *key, bool def);
json_t *json_get(const json_t *obj, const char *key); /* borrowed; NULL unless obj is an object */
json_t *json_get_array(const json_t *obj, const char *key); /* borrowed; NULL unless array */

int json_dump(const json_t *v, struct buf *out) MUST_USE; /* compact; -EMSGSIZE */
void json_set_str(json_t *obj, const char *key,
                  struct str s);                   /* bad UTF-8 is replaced, never lost silently */
int buf_add_json_str(struct buf *b, struct str s); /* appends a quoted, escaped string */

#endif
