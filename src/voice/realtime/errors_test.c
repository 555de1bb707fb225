#include "voice/realtime/errors.h"

#include <criterion/criterion.h>

Test(errors, classes)
{
    static const struct {
        const char *type, *code, *message;
        enum rt_error error;
        enum fault_class fault;
    } rows[] = {
        {"invalid_request_error", "conversation_already_has_active_response", "…",
         RT_ERROR_HARMLESS, FAULT_REFUSED},
        {"invalid_request_error", "response_cancel_not_active", "…", RT_ERROR_HARMLESS,
         FAULT_REFUSED},
        {"invalid_request_error", NULL, "Cancellation failed: no active response found",
         RT_ERROR_HARMLESS, FAULT_REFUSED},
        {"invalid_request_error", NULL, "Audio content of 3700ms is already shorter than 3760ms",
         RT_ERROR_HARMLESS, FAULT_REFUSED},
        {"invalid_request_error", "input_audio_buffer_commit_empty", "…", RT_ERROR_HARMLESS,
         FAULT_REFUSED},
        {"invalid_request_error", "invalid_value", "Invalid value", RT_ERROR_OURS, FAULT_REFUSED},
        {"invalid_request_error", "rate_limit_exceeded", "…", RT_ERROR_BUSY, FAULT_BUSY},
        {"invalid_request_error", "inference_rate_limit_exceeded", "…", RT_ERROR_BUSY, FAULT_BUSY},
        {"server_error", NULL, "The server had an error", RT_ERROR_SERVER, FAULT_BUSY},
        {"invalid_request_error", "session_expired", "…", RT_ERROR_ENDED, FAULT_UNSURE},
        {"insufficient_quota", "insufficient_quota", "…", RT_ERROR_FATAL, FAULT_BROKEN},
        {"invalid_request_error", "beta_api_shape_disabled", "…", RT_ERROR_FATAL, FAULT_BROKEN},
        {"invalid_request_error", "invalid_api_key", "…", RT_ERROR_FATAL, FAULT_BROKEN},
        {NULL, NULL, NULL, RT_ERROR_OURS, FAULT_REFUSED},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        enum rt_error error =
            rt_error_class(str_of(rows[i].type), str_of(rows[i].code), str_of(rows[i].message));
        cr_expect_eq(error, rows[i].error, "row %zu", i);
        cr_expect_eq(rt_error_fault(error), rows[i].fault, "row %zu", i);
    }
}

Test(errors, handshake_and_close)
{
    static const int again[] = {408, 429, 500, 502, 503, 504};
    for (size_t i = 0; i < COUNT_OF(again); i++) {
        cr_expect_eq(rt_handshake_fault(again[i], FAULT_REFUSED), FAULT_BUSY, "%d", again[i]);
    }
    static const int final[] = {200, 301, 400, 401, 403, 404, 501};
    for (size_t i = 0; i < COUNT_OF(final); i++) {
        cr_expect_eq(rt_handshake_fault(final[i], FAULT_REFUSED), FAULT_BROKEN, "%d", final[i]);
    }
    cr_expect_eq(rt_handshake_fault(0, FAULT_NOT_SENT), FAULT_NOT_SENT);
    static const int cut[] = {1001, 1005, 1006, 1011, 1012, 1013};
    for (size_t i = 0; i < COUNT_OF(cut); i++) {
        cr_expect_eq(rt_close_fault(cut[i]), FAULT_UNSURE, "%d", cut[i]);
    }
    static const int broken[] = {1002, 1003, 1007, 1008, 1009, 1010, 4000};
    for (size_t i = 0; i < COUNT_OF(broken); i++) {
        cr_expect_eq(rt_close_fault(broken[i]), FAULT_BROKEN, "%d", broken[i]);
    }
}
