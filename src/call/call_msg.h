/* call_msg.h -- what the control loop and the media loops say to each other. Ownership moves with
 * the message; all texts of one message live in its own arena.
 *
 * Owner   the sender until it is posted, then the receiver: call_down_free(), call_up_free().
 * Thread  any, one at a time. */
#ifndef CALL_CALL_MSG_H
#define CALL_CALL_MSG_H

#include "base/arena.h"
#include "call/call_desk.h"
#include "call/tools.h"

struct call_ref { /* a call on one media loop; stale ones resolve to nothing */
    uint32_t slot;
    uint32_t generation;
};

enum call_down_kind { DOWN_START, DOWN_SOCKET, DOWN_END, DOWN_ANSWER, DOWN_STOP };

struct call_down {
    enum call_down_kind kind;
    struct call_ref ref;
    struct call_plan *plan; /* START */
    int fd;                 /* SOCKET; -1 once taken */
    struct http_socket *handle;
    char call_uuid[CARRIER_ID_SIZE];
    enum call_end end; /* END */
    uint32_t tool_no;  /* ANSWER: which tool call of the call */
    bool ok;
    int64_t due_us;
    char text[200]; /* ANSWER: why not */
    size_t already_len;
    char already[]; /* SOCKET: bytes that came with the handshake */
};

enum call_up_kind {
    UP_WRITE,       /* a fact for the database; tool_no: answer when it is committed */
    UP_TRANSFER,    /* the AI asks for a human; answer with ANSWER */
    UP_SOCKET_DONE, /* the carrier's descriptor was closed */
    UP_NEXT,        /* what the carrier is to be told when it asks */
    UP_HANGUP,      /* the carrier cannot see that we left: hang up by REST */
    UP_ENDED,       /* last message of the call */
};

struct call_up {
    enum call_up_kind kind;
    struct call_ref ref;
    uint32_t loop; /* which media loop */
    struct arena mem;
    struct desk_write write; /* WRITE */
    uint32_t tool_no;        /* WRITE, TRANSFER; 0: nobody waits */
    const char *reason;      /* TRANSFER */
    const char *summary;
    struct http_socket *handle; /* SOCKET_DONE */
    enum call_next next;        /* NEXT */
    enum call_end end;          /* ENDED */
};

struct call_down *call_down_new(enum call_down_kind kind, struct call_ref ref, struct str already);
void call_down_free(void *message);
struct call_up *call_up_new(enum call_up_kind kind, struct call_ref ref);
void call_up_free(void *message);
const char *call_up_text(struct call_up *up, struct str s); /* copies into the message */

#endif
