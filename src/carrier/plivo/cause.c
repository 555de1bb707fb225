#include "carrier/plivo/cause.h"

// clang-format off
static const struct plivo_cause causes[] = {
    /* code  name                             unanswered: outcome, reason             answered: reason */
    {0,    "Unknown",                         NULL, NULL,                             "completed"},
    {1000, "Canceled",                        "failed", "cancelled",                  "completed"},
    {1010, "Canceled (Out Of Credits)",       "failed", "refused_by_carrier",         "provider_error"},
    {1020, "Canceled (Simultaneous dial limit reached)", "failed", "refused_by_carrier", "provider_error"},
    {2000, "Invalid Destination Address",     "invalid_number", "invalid_number",     "completed"},
    {2010, "Destination Out Of Service",      "failed", "unreachable",                "provider_error"},
    {2020, "Endpoint Not Registered",         "failed", "unreachable",                "provider_error"},
    {2030, "Destination Country Barred",      "failed", "refused_by_carrier",         "provider_error"},
    {2040, "Destination Number Barred",       "failed", "refused_by_carrier",         "provider_error"},
    {2050, "Destination Prefix Barred",       "failed", "refused_by_carrier",         "provider_error"},
    {2060, "Loop Detected",                   "failed", "provider_error",             "provider_error"},
    {2070, "Violates Media Anchoring",        "failed", "refused_by_carrier",         "provider_error"},
    {3000, "No Answer",                       "no_answer", "no_answer",               "completed"},
    {3010, "Busy Line",                       "busy", "busy",                         "completed"},
    {3020, "Rejected",                        "rejected", "rejected",                 "completed"},
    {3030, "Unknown Caller ID",               "failed", "refused_by_carrier",         "provider_error"},
    {3040, "Forbidden",                       "rejected", "rejected",                 "provider_error"},
    {3050, "Unallocated number",              "invalid_number", "invalid_number",     "completed"},
    {3070, "Request timeout",                 "failed", "provider_error",             "provider_error"},
    {3080, "Internal server error from carrier", "failed", "provider_error",          "provider_error"},
    {3090, "Network congestion from carrier", "failed", "provider_error",             "provider_error"},
    {3100, "Busy everywhere",                 "busy", "busy",                         "completed"},
    {3110, "Declined",                        "rejected", "rejected",                 "completed"},
    {3120, "User does not exist anywhere",    "invalid_number", "invalid_number",     "completed"},
    {3130, "Spam block",                      "failed", "refused_by_carrier",         "provider_error"},
    {3140, "DNO Caller ID",                   "failed", "refused_by_carrier",         "provider_error"},
    {4000, "Normal Hangup",                   NULL, NULL,                             NULL},
    {4010, "End Of XML Instructions",         NULL, NULL,                             "completed"},
    {4020, "Multiparty Call Ended",           NULL, NULL,                             "completed"},
    {4030, "Kicked Out Of Multiparty Call",   NULL, NULL,                             "completed"},
    {4210, "sip_auth_failed inbound",         "failed", "provider_error",             "provider_error"},
    {4240, "sip_auth_failed",                 "failed", "provider_error",             "provider_error"},
    {4250, "sip_auth_timeout",                "failed", "provider_error",             "provider_error"},
    {5000, "Network Error",                   "failed", "provider_error",             "provider_error"},
    {5010, "Internal Error",                  "failed", "provider_error",             "provider_error"},
    {5020, "Routing Error",                   "failed", "provider_error",             "provider_error"},
    {5030, "Concurrency Limit Breached",      "failed", "refused_by_carrier",         "provider_error"},
    {6000, "Scheduled Hangup",                "failed", "max_duration",               "max_duration"},
    {6010, "Ring Timeout Reached",            "no_answer", "no_answer",               "completed"},
    {6020, "Media Timeout",                   "failed", "provider_error",             "provider_error"},
    {7011, "Error Reaching Answer URL",       "failed", "provider_error",             "provider_error"},
    {7012, "Error Reaching Action URL",       "failed", "provider_error",             "provider_error"},
    {7013, "Error Reaching Transfer URL",     "failed", "provider_error",             "provider_error"},
    {7014, "Error Reaching Redirect URL",     "failed", "provider_error",             "provider_error"},
    {7022, "Invalid Action URL",              "failed", "provider_error",             "provider_error"},
    {7023, "Invalid Transfer URL",            "failed", "provider_error",             "provider_error"},
    {7024, "Invalid Redirect URL",            "failed", "provider_error",             "provider_error"},
    {7032, "Invalid Method For Action URL",   "failed", "provider_error",             "provider_error"},
    {7033, "Invalid Method For Transfer URL", "failed", "provider_error",             "provider_error"},
    {7034, "Invalid Method For Redirect URL", "failed", "provider_error",             "provider_error"},
    {8011, "Invalid Answer XML",              "failed", "provider_error",             "provider_error"},
    {8012, "Invalid Action XML",              "failed", "provider_error",             "provider_error"},
    {8013, "Invalid Transfer XML",            "failed", "provider_error",             "provider_error"},
    {8014, "Invalid Redirect XML",            "failed", "provider_error",             "provider_error"},
    {9000, "Lost Race",                       "failed", "cancelled",                  "completed"},
    {9100, "Machine Detected",                "voicemail", "voicemail",               "voicemail"},
    {9110, "Confirm Key Challenge Failed",    "failed", "cancelled",                  "completed"},
};

/* When the code decides nothing: the status words, which every carrier that copies this API keeps. */
static const struct {
    const char *status;
    const char *outcome;
    const char *reason;
} statuses[] = {
    {"busy",      "busy",      "busy"},
    {"no-answer", "no_answer", "no_answer"},
    {"timeout",   "no_answer", "no_answer"},
    {"cancel",    "failed",    "cancelled"},
    {"failed",    "failed",    "unreachable"},
    {"completed", "no_answer", "no_answer"},
};
// clang-format on

const struct plivo_cause *plivo_cause_table(size_t *count)
{
    *count = COUNT_OF(causes);
    return causes;
}

const struct plivo_cause *plivo_cause_find(int32_t code)
{
    for (size_t i = 0; i < COUNT_OF(causes); i++) {
        if (causes[i].code == code) {
            return &causes[i];
        }
    }
    return NULL;
}

/* The person we rang put the phone down. Documents say "Call recipient", the wire "Callee". */
static bool ended_by_lead(struct str source)
{
    return str_eq_nocase(source, STR("Callee")) || str_eq_nocase(source, STR("Call recipient"));
}

static void judge_answered(const struct plivo_end *end, const struct plivo_cause *cause,
                           const char **outcome, const char **reason)
{
    bool machine = cause != NULL && cause->code == 9100;
    *outcome = machine ? "voicemail" : "answered";
    if (cause != NULL && cause->answered_reason != NULL) {
        *reason = cause->answered_reason;
    } else {
        *reason = ended_by_lead(end->source) ? "caller_hangup" : "completed";
    }
}

void plivo_cause_judge(const struct plivo_end *end, const char **outcome, const char **reason)
{
    const struct plivo_cause *cause = plivo_cause_find(end->code);
    if (end->answered) {
        judge_answered(end, cause, outcome, reason);
        return;
    }
    if (cause != NULL && cause->outcome != NULL) {
        *outcome = cause->outcome;
        *reason = cause->reason;
        return;
    }
    for (size_t i = 0; i < COUNT_OF(statuses); i++) {
        if (str_eq_nocase(end->status, str_of(statuses[i].status))) {
            *outcome = statuses[i].outcome;
            *reason = statuses[i].reason;
            return;
        }
    }
    *outcome = "failed";
    *reason = "unreachable";
}
