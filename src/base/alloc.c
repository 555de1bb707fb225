#include "base/alloc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static NORETURN void out_of_memory(size_t size_bytes)
{
    (void)fprintf(stderr, "out of memory: %zu bytes\n", size_bytes);
    abort();
}

void *xmalloc(size_t size_bytes)
{
    void *p = malloc(size_bytes == 0 ? 1 : size_bytes);
    if (p == NULL) {
        out_of_memory(size_bytes);
    }
    return p;
}

void *xzalloc(size_t size_bytes)
{
    return xcalloc(1, size_bytes);
}

void *xcalloc(size_t count, size_t size_bytes)
{
    if (count == 0 || size_bytes == 0) {
        count = 1;
        size_bytes = 1;
    }
    void *p = calloc(count, size_bytes); /* refuses an overflowing product */
    if (p == NULL) {
        out_of_memory(size_bytes);
    }
    return p;
}

void *xrealloc(void *p, size_t size_bytes)
{
    void *grown = realloc(p, size_bytes == 0 ? 1 : size_bytes);
    if (grown == NULL) {
        out_of_memory(size_bytes);
    }
    return grown;
}

char *xstrdup(const char *s)
{
    return xstrndup(s, strlen(s));
}

char *xstrndup(const char *s, size_t len)
{
    char *copy = xmalloc(len + 1);
    if (len > 0) {
        memcpy(copy, s, len);
    }
    copy[len] = '\0';
    return copy;
}

void *xmemdup(const void *p, size_t size_bytes)
{
    void *copy = xmalloc(size_bytes);
    if (size_bytes > 0) {
        memcpy(copy, p, size_bytes);
    }
    return copy;
}

void xfree(void *p)
{
    free(p);
}

void xfreep(char **p)
{
    if (p != NULL) {
        free(*p);
        *p = NULL;
    }
}

void secret_wipe(void *p, size_t size_bytes)
{
    if (p != NULL && size_bytes > 0) {
        explicit_bzero(p, size_bytes);
    }
}
