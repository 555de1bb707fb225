#include "voice/realtime/errors.h"

struct known {
    const char *code;
    enum rt_error error;
};

static const struct known known[] = {
    {"response_cancel_not_active", RT_ERROR_HARMLESS},
    {"input_audio_buffer_commit_empty", RT_ERROR_HARMLESS},
    {"item_retrieve_invalid_item_id", RT_ERROR_HARMLESS},
    {"conversation_already_has_active_response", RT_ERROR_HARMLESS},
    {"inference_rate_limit_exceeded", RT_ERROR_BUSY},
    {"rate_limit_exceeded", RT_ERROR_BUSY},
    {"server_error", RT_ERROR_SERVER},
    {"session_expired", RT_ERROR_ENDED},
    {"insufficient_quota", RT_ERROR_FATAL},
    {"credit_balance_exhausted", RT_ERROR_FATAL},
    {"invalid_api_key", RT_ERROR_FATAL},
    {"account_deactivated", RT_ERROR_FATAL},
    {"billing_hard_limit_reached", RT_ERROR_FATAL},
    {"beta_api_shape_disabled", RT_ERROR_FATAL},
    {"invalid_model", RT_ERROR_FATAL},
    {"model_not_found", RT_ERROR_FATAL},
};

static const struct known *find(struct str word)
{
    for (size_t i = 0; i < COUNT_OF(known); i++) {
        if (str_eq_cstr(word, known[i].code)) {
            return &known[i];
        }
    }
    return NULL;
}

enum rt_error rt_error_class(struct str type, struct str code, struct str message)
{
    const struct known *k = find(code);
    if (k == NULL) {
        k = find(type); /* server_error and insufficient_quota come as the type, with no code */
    }
    if (k != NULL) {
        return k->error;
    }
    /* Two that other servers give other codes, or none. */
    if (str_starts(message, STR("Cancellation failed")) ||
        str_contains(message, STR("is already shorter than"))) {
        return RT_ERROR_HARMLESS;
    }
    return RT_ERROR_OURS;
}

enum fault_class rt_error_fault(enum rt_error error)
{
    switch (error) {
    case RT_ERROR_FATAL:
        return FAULT_BROKEN;
    case RT_ERROR_BUSY:
    case RT_ERROR_SERVER:
        return FAULT_BUSY;
    case RT_ERROR_ENDED:
        return FAULT_UNSURE;
    case RT_ERROR_HARMLESS:
    case RT_ERROR_OURS:
        break;
    }
    return FAULT_REFUSED;
}

enum fault_class rt_handshake_fault(int status, enum fault_class otherwise)
{
    switch (status) {
    case 0:
        return otherwise;
    case 408:
    case 429:
    case 500:
    case 502:
    case 503:
    case 504:
        return FAULT_BUSY;
    default:
        return FAULT_BROKEN; /* every other status is an answer for good */
    }
}

enum fault_class rt_close_fault(int code)
{
    switch (code) {
    case 1000:
    case 1001:
    case 1005:
    case 1006:
    case 1011:
    case 1012:
    case 1013:
        return FAULT_UNSURE; /* ended or cut; another session would work */
    default:
        return FAULT_BROKEN; /* 4xxx and protocol errors: the same again would fail the same way */
    }
}
