/* cause.h -- why calls end: the carrier's codes, names, raw causes and call status.
 *
 * Thread  any.
 * Source  protocols sheet of the carrier, section 2.7. */
#ifndef SIM_CARRIER_CAUSE_H
#define SIM_CARRIER_CAUSE_H

enum cause {
    CAUSE_NORMAL,
    CAUSE_CANCELED,
    CAUSE_INVALID,
    CAUSE_UNALLOCATED,
    CAUSE_NO_ANSWER,
    CAUSE_BUSY,
    CAUSE_REJECTED,
    CAUSE_NETWORK,
    CAUSE_END_OF_XML,
    CAUSE_TIME_LIMIT,
    CAUSE_RING_TIMEOUT,
    CAUSE_ANSWER_URL,
    CAUSE_ACTION_URL,
    CAUSE_REDIRECT_URL,
    CAUSE_ANSWER_XML,
    CAUSE_ACTION_XML,
    CAUSE_REDIRECT_XML,
    CAUSE_MACHINE,
    CAUSE_CONFIRM_FAILED,
    CAUSE_COUNT,
};

struct cause_info {
    int code;
    const char *name;
    const char *raw;
    const char *status; /* CallStatus; for a leg that was answered it is "completed" */
};

const struct cause_info *cause_info(enum cause cause);

#endif
