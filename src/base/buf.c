#include "base/buf.h"

#include "base/alloc.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define FIRST_BYTES 64

void buf_init(struct buf *b, size_t bytes_max)
{
    *b = (struct buf){.size_max = bytes_max};
}

void buf_fini(struct buf *b)
{
    xfree(b->p);
    *b = (struct buf){.size_max = b->size_max};
}

void buf_clear(struct buf *b)
{
    b->len = 0;
    b->failed = false;
    if (b->p != NULL) {
        b->p[0] = '\0';
    }
}

char *buf_reserve(struct buf *b, size_t len)
{
    size_t need;
    if (__builtin_add_overflow(b->len, len, &need) || __builtin_add_overflow(need, 1, &need) ||
        need > b->size_max) {
        b->failed = true;
        return NULL;
    }
    if (need > b->size) {
        size_t size = b->size == 0 ? FIRST_BYTES : b->size;
        while (size < need) {
            size = size > b->size_max / 2 ? b->size_max : size * 2;
        }
        if (size > b->size_max) {
            size = b->size_max;
        }
        b->p = xrealloc(b->p, size);
        b->size = size;
        b->p[b->len] = '\0';
    }
    return b->p + b->len;
}

void buf_commit(struct buf *b, size_t len)
{
    assert(b->p != NULL && len < b->size - b->len);
    b->len += len;
    b->p[b->len] = '\0';
}

int buf_add(struct buf *b, const void *p, size_t len)
{
    char *at = buf_reserve(b, len);
    if (at == NULL) {
        return -EMSGSIZE;
    }
    if (len > 0) {
        memcpy(at, p, len);
    }
    buf_commit(b, len);
    return 0;
}

int buf_add_str(struct buf *b, struct str s)
{
    return buf_add(b, s.p, s.len);
}

int buf_add_cstr(struct buf *b, const char *s)
{
    return buf_add(b, s, strlen(s));
}

int buf_add_char(struct buf *b, char c)
{
    return buf_add(b, &c, 1);
}

int buf_addf(struct buf *b, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int err = buf_vaddf(b, fmt, ap);
    va_end(ap);
    return err;
}

int buf_vaddf(struct buf *b, const char *fmt, va_list ap)
{
    char small[256];
    va_list again;
    va_copy(again, ap);
    int len = vsnprintf(small, sizeof small, fmt, ap);
    int err = -EINVAL;
    if (len >= 0 && (size_t)len < sizeof small) {
        err = buf_add(b, small, (size_t)len);
    } else if (len >= 0) {
        char *at = buf_reserve(b, (size_t)len);
        err = at == NULL ? -EMSGSIZE : 0;
        if (at != NULL) {
            (void)vsnprintf(at, (size_t)len + 1, fmt, again);
            buf_commit(b, (size_t)len);
        }
    }
    va_end(again);
    return err;
}

void buf_consume(struct buf *b, size_t len)
{
    assert(len <= b->len);
    if (len == 0) {
        return;
    }
    b->len -= len;
    memmove(b->p, b->p + len, b->len);
    b->p[b->len] = '\0';
}

struct str buf_str(const struct buf *b)
{
    return str_make(buf_cstr(b), b->len);
}

const char *buf_cstr(const struct buf *b)
{
    return b->p == NULL ? "" : b->p;
}

char *buf_steal(struct buf *b)
{
    char *text = b->p == NULL ? xstrdup("") : b->p;
    *b = (struct buf){.size_max = b->size_max};
    return text;
}

bool buf_failed(const struct buf *b)
{
    return b->failed;
}
