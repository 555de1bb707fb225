#include "cause.h"

static const struct cause_info infos[CAUSE_COUNT] = {
    [CAUSE_NORMAL] = {4000, "Normal Hangup", "NORMAL_CLEARING", "completed"},
    [CAUSE_CANCELED] = {1000, "Canceled", "ORIGINATOR_CANCEL", "cancel"},
    [CAUSE_INVALID] = {2000, "Invalid Destination Address", "INVALID_NUMBER_FORMAT", "failed"},
    [CAUSE_UNALLOCATED] = {3050, "Unallocated number", "UNALLOCATED_NUMBER", "failed"},
    [CAUSE_NO_ANSWER] = {3000, "No Answer", "NO_ANSWER", "no-answer"},
    [CAUSE_BUSY] = {3010, "Busy Line", "USER_BUSY", "busy"},
    [CAUSE_REJECTED] = {3020, "Rejected", "CALL_REJECTED", "failed"},
    [CAUSE_NETWORK] = {3090, "Network congestion from carrier", "NETWORK_OUT_OF_ORDER", "failed"},
    [CAUSE_END_OF_XML] = {4010, "End Of XML Instructions", "NORMAL_CLEARING", "completed"},
    [CAUSE_TIME_LIMIT] = {6000, "Scheduled Hangup", "NORMAL_CLEARING", "completed"},
    [CAUSE_RING_TIMEOUT] = {6010, "Ring Timeout Reached", "NO_ANSWER", "timeout"},
    [CAUSE_ANSWER_URL] = {7011, "Error Reaching Answer URL", "NORMAL_CLEARING", "completed"},
    [CAUSE_ACTION_URL] = {7012, "Error Reaching Action URL", "NORMAL_CLEARING", "completed"},
    [CAUSE_REDIRECT_URL] = {7014, "Error Reaching Redirect URL", "NORMAL_CLEARING", "completed"},
    [CAUSE_ANSWER_XML] = {8011, "Invalid Answer XML", "NORMAL_CLEARING", "completed"},
    [CAUSE_ACTION_XML] = {8012, "Invalid Action XML", "NORMAL_CLEARING", "completed"},
    [CAUSE_REDIRECT_XML] = {8014, "Invalid Redirect XML", "NORMAL_CLEARING", "completed"},
    [CAUSE_MACHINE] = {9100, "Machine Detected", "NORMAL_CLEARING", "completed"},
    [CAUSE_CONFIRM_FAILED] = {9110, "Confirm Key Challenge Failed", "NORMAL_CLEARING", "completed"},
};

const struct cause_info *cause_info(enum cause cause)
{
    return &infos[cause];
}
