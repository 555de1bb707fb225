/* log.h -- one JSON line per event on standard error: a stable dotted name, then typed fields.
 *
 *     log_info("call.state", LOG_STR("from", "ringing"), LOG_STR("to", "ended"), LOG_PHONE("to",
 * n));
 *
 * Phone numbers go through LOG_PHONE, which keeps the last two digits and a keyed hash. Secrets
 * have no field type. Who handles an error logs it, once; base, loop and net stay quiet.
 *
 * Thread  any; a line is one write().
 * Limits  a line is cut at LOG_LINE_MAX; per name at most LOG_BURST lines a second, then a count.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include "base/fault.h"
#include "base/uuid.h"

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

enum log_kind {
    LOG_KIND_STR,
    LOG_KIND_I64,
    LOG_KIND_F64,
    LOG_KIND_BOOL,
    LOG_KIND_PHONE,
    LOG_KIND_UUID
};

struct log_field {
    const char *name;
    enum log_kind kind;
    struct str s;
    int64_t i;
    double f;
    const struct uuid *u;
};

#define LOG_STR(n, v) ((struct log_field){.name = (n), .kind = LOG_KIND_STR, .s = str_of(v)})
#define LOG_TEXT(n, v)                                                                             \
    ((struct log_field){.name = (n), .kind = LOG_KIND_STR, .s = (v)}) /* struct str */
#define LOG_I64(n, v)   ((struct log_field){.name = (n), .kind = LOG_KIND_I64, .i = (int64_t)(v)})
#define LOG_F64(n, v)   ((struct log_field){.name = (n), .kind = LOG_KIND_F64, .f = (v)})
#define LOG_BOOL(n, v)  ((struct log_field){.name = (n), .kind = LOG_KIND_BOOL, .i = (v) ? 1 : 0})
#define LOG_PHONE(n, v) ((struct log_field){.name = (n), .kind = LOG_KIND_PHONE, .s = str_of(v)})
#define LOG_UUID(n, v)  ((struct log_field){.name = (n), .kind = LOG_KIND_UUID, .u = (v)})

void log_init(enum log_level level, struct str phone_hash_key); /* once, in main */
int log_level_parse(struct str s, enum log_level *out) MUST_USE;
bool log_enabled(enum log_level level);
void log_write(enum log_level level, const char *name, const struct log_field *fields,
               size_t count);

#define LOG_FIELDS(...) ((const struct log_field[]){{.name = NULL}, ##__VA_ARGS__})
#define LOG_AT(level, name, ...)                                                                   \
    do {                                                                                           \
        if (log_enabled(level)) {                                                                  \
            log_write((level), (name), LOG_FIELDS(__VA_ARGS__) + 1,                                \
                      COUNT_OF(LOG_FIELDS(__VA_ARGS__)) - 1);                                      \
        }                                                                                          \
    } while (0)
#define log_error(...) LOG_AT(LOG_ERROR, __VA_ARGS__)
#define log_warn(...)  LOG_AT(LOG_WARN, __VA_ARGS__)
#define log_info(...)  LOG_AT(LOG_INFO, __VA_ARGS__)
#define log_debug(...) LOG_AT(LOG_DEBUG, __VA_ARGS__)

#endif
