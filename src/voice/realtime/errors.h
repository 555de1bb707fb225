/* errors.h -- what an error of the model's server allows us to do next.
 *
 * Most errors are about one event and the session goes on; a few end it; some say that dialing on
 * is pointless. Codes differ between servers, so some are known by their message too.
 *
 * Thread  any.
 * Source  docs/voice-realtime.md, "Errors". */
#ifndef VOICE_REALTIME_ERRORS_H
#define VOICE_REALTIME_ERRORS_H

#include "base/fault.h"

enum rt_error {
    RT_ERROR_HARMLESS, /* came too late, or changed nothing: count it */
    RT_ERROR_OURS,     /* we sent something wrong: tell it, go on */
    RT_ERROR_BUSY,     /* throttled: ask again later, a few times */
    RT_ERROR_SERVER,   /* their fault: ask again once */
    RT_ERROR_ENDED,    /* the session is over; a new one would work */
    RT_ERROR_FATAL,    /* account or configuration: stop dialing */
};

enum rt_error rt_error_class(struct str type, struct str code, struct str message);
enum fault_class rt_error_fault(enum rt_error error);
/* What an HTTP status of the handshake means; 0: the connection failed before. */
enum fault_class rt_handshake_fault(int status, enum fault_class otherwise);
/* What a WebSocket close code means. */
enum fault_class rt_close_fault(int code);

#endif
