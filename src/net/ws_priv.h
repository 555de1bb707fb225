/* ws_priv.h -- what ws_conn.c and ws_connect.c share: the wire under a WebSocket.
 *
 * Owner   the ws_conn owns the wire; close() is called exactly once.
 * Thread  the loop's.
 * Note    after -EAGAIN write() is called again with the same bytes in front, perhaps at another place.
 * Errors  read and write: bytes, 0 at the end (read only), -EAGAIN, or another -errno. */
#ifndef NET_WS_PRIV_H
#define NET_WS_PRIV_H

#include "net/ws_conn.h"

#include <sys/types.h>

struct ws_wire {
    int fd;                 /* -1: there is none, the connection ends at once */
    struct ring_sock *ring; /* tells when there is something to do; NULL: fd is polled */
    bool buffered;          /* bytes can wait above the socket (TLS): read until -EAGAIN */
    ssize_t (*read)(const struct ws_wire *wire, void *p, size_t size);
    ssize_t (*write)(const struct ws_wire *wire, const void *p, size_t size);
    void (*close)(void *self);
    void *self;
};

struct ws_conn *ws_open_wire(struct loop *loop, struct ws_wire wire, enum ws_role role,
                             struct str already_read, size_t message_max,
                             struct ws_handlers handlers) MUST_USE;

/* The socket itself, through the ring where there is one. */
ssize_t ws_wire_read(const struct ws_wire *wire, void *p, size_t size);
ssize_t ws_wire_write(const struct ws_wire *wire, const void *p, size_t size);

#endif
