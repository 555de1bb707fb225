#include "call/call_msg.h"

#include "base/alloc.h"

#include <string.h>
#include <unistd.h>

#define UP_BYTES_MAX (128 * 1024)

struct call_down *call_down_new(enum call_down_kind kind, struct call_ref ref, struct str already)
{
    struct call_down *m = xzalloc(sizeof *m + already.len);
    m->kind = kind;
    m->ref = ref;
    m->fd = -1;
    m->already_len = already.len;
    if (already.len > 0) {
        memcpy(m->already, already.p, already.len);
    }
    return m;
}

void call_down_free(void *message)
{
    struct call_down *m = message;
    if (m == NULL) {
        return;
    }
    call_plan_free(&m->plan);
    if (m->fd >= 0) {
        (void)close(m->fd);
    }
    xfree(m);
}

struct call_up *call_up_new(enum call_up_kind kind, struct call_ref ref)
{
    struct call_up *m = xzalloc(sizeof *m);
    m->kind = kind;
    m->ref = ref;
    arena_init(&m->mem, UP_BYTES_MAX);
    return m;
}

void call_up_free(void *message)
{
    struct call_up *m = message;
    if (m == NULL) {
        return;
    }
    arena_fini(&m->mem);
    xfree(m);
}

const char *call_up_text(struct call_up *up, struct str s)
{
    return arena_strdup(&up->mem, s);
}
