/* macros.h -- the handful of macros that every room uses.
 *
 * OWNED(fn) runs fn(&var) when the scope ends; GIVE(var) hands the pointer on and leaves NULL, so a
 * success path keeps what an error path drops. Destructors therefore take `T **` and accept NULL.
 */
#ifndef BASE_MACROS_H
#define BASE_MACROS_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MUST_USE          __attribute__((warn_unused_result))
#define PRINTF_LIKE(f, a) __attribute__((format(printf, f, a)))
#define NORETURN          __attribute__((noreturn))
#define OWNED(fn)         __attribute__((cleanup(fn)))
#define GIVE(p)                                                                                    \
    __extension__({                                                                                \
        __typeof__(p) *s_ = &(p);                                                                  \
        __typeof__(p) v_ = *s_;                                                                    \
        *s_ = NULL;                                                                                \
        v_;                                                                                        \
    })
#define COUNT_OF(a)                     (sizeof(a) / sizeof((a)[0]))
#define CONTAINER_OF(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

static inline int64_t i64_min(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static inline int64_t i64_max(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

#endif
