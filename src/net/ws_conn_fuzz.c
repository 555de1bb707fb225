#include "base/alloc.h"
#include "base/buf.h"
#include "net/ws_priv.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* The same bytes whole and cut into pieces (of 1 to 8 bytes, said by the first byte of the input) must
 * give the same messages, the same end, and the same answers on the wire. */
struct tape {
    struct str left;
    size_t step;
    int fd;
    struct buf log;
    bool closed;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static ssize_t on_read(const struct ws_wire *wire, void *p, size_t size)
{
    struct tape *t = wire->self;
    size_t len = t->left.len < t->step ? t->left.len : t->step;
    assert(len <= size);
    for (size_t i = 0; i < len; i++) {
        ((char *)p)[i] = t->left.p[i];
    }
    t->left = str_skip(t->left, len);
    return (ssize_t)len; /* 0: the end */
}

static ssize_t on_write(const struct ws_wire *wire, const void *p, size_t size)
{
    struct tape *t = wire->self;
    (void)buf_add_cstr(&t->log, "<");
    (void)buf_add(&t->log, p, size);
    return (ssize_t)size;
}

static void on_wire_close(void *self)
{
    close(((struct tape *)self)->fd);
}

static void on_message(struct str message, bool binary, void *arg)
{
    struct tape *t = arg;
    (void)buf_addf(&t->log, "[%d:%zu:", binary, message.len);
    (void)buf_add_str(&t->log, message);
}

static void on_close(int err, int code, struct str reason, void *arg)
{
    struct tape *t = arg;
    assert(!t->closed);
    t->closed = true;
    (void)buf_addf(&t->log, "!%d %d " STR_FMT, err, code, STR_ARG(reason));
}

static void play(struct tape *t, struct str bytes, size_t step)
{
    struct loop *loop = loop_new(LOOP_REAL);
    *t = (struct tape){.left = bytes, .step = step, .fd = eventfd(1, EFD_CLOEXEC)};
    buf_init(&t->log, 1 << 20);
    struct ws_wire wire = {.fd = t->fd,
                           .buffered = true,
                           .read = on_read,
                           .write = on_write,
                           .close = on_wire_close,
                           .self = t};
    struct ws_handlers handlers = {on_message, on_close, t};
    struct ws_conn *c = ws_open_wire(loop, wire, WS_SERVER, STR_NONE, 300, handlers);
    while (!t->closed) {
        loop_run_once(loop, true);
    }
    ws_free(&c);
    loop_free(&loop);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tape whole;
    struct tape cut;
    if (size < 1 || size > 4000) {
        return 0;
    }
    struct str bytes = str_make((const char *)data + 1, size - 1);
    play(&whole, bytes, 4096);
    play(&cut, bytes, 1 + data[0] % 8);
    assert(str_eq(buf_str(&whole.log), buf_str(&cut.log)));
    buf_fini(&whole.log);
    buf_fini(&cut.log);
    return 0;
}
