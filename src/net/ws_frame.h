/* ws_frame.h -- the frames of RFC 6455 section 5.2, as bytes: headers in and out, and the mask.
 *
 * Owner   plain values.
 * Thread  any.
 * Errors  -EPROTO: no frame begins like this.
 * Source  RFC 6455. */
#ifndef NET_WS_FRAME_H
#define NET_WS_FRAME_H

#include "base/str.h"

#include <sys/types.h>

#define WS_HEADER_BYTES_MAX 14

enum ws_opcode {
    WS_CONTINUATION = 0x0,
    WS_TEXT = 0x1,
    WS_BINARY = 0x2,
    WS_CLOSE = 0x8,
    WS_PING = 0x9,
    WS_PONG = 0xa,
};

struct ws_header {
    uint64_t size; /* of the payload */
    uint8_t opcode;
    uint8_t rsv;
    bool fin;
    bool masked;
    uint8_t mask[4];
};

/* The length of the header in front of bytes; 0: there must come more. */
ssize_t ws_header_read(struct str bytes, struct ws_header *out) MUST_USE;
/* A frame that is a whole message. mask: NULL for none. Returns the header's length. */
size_t ws_header_write(uint8_t *at, enum ws_opcode opcode, size_t size, const uint8_t *mask);
/* at: how much of the payload came before p. */
void ws_mask(void *p, size_t size, const uint8_t mask[4], uint64_t at);

#endif
