#include "cli/setup_file.h"

static const struct setup_field organization[] = {
    {"slug", SETUP_TEXT, true, "short name in lower case; how --org finds it"},
    {"name", SETUP_TEXT, true, "name of the organization"},
    {"legal_name", SETUP_TEXT, false,
     "legal name of the business that calls; consents must name it"},
    {"timezone", SETUP_TEXT, false, "IANA zone of the organization"},
    {"currency", SETUP_TEXT, false, "three letters"},
    {"weight", SETUP_INT, false, "share among organizations when lines are short"},
    {"number_cap_24h", SETUP_INT, false, "calls to one number in 24 hours, across campaigns"},
    {"number_cap_7d", SETUP_INT, false, "calls to one number in 7 days"},
    {"number_spacing_s", SETUP_INT, false, "seconds between two calls to one number"},
    {"recording_days", SETUP_INT, false, "days that recordings are kept"},
    {0},
};

static const struct setup_field carrier[] = {
    {"name", SETUP_TEXT, true, "name of the account"},
    {"auth_id", SETUP_TEXT, false, "the carrier's account id; default PLIVO_AUTH_ID"},
    {"auth_token", SETUP_TEXT, false, "its secret, stored sealed; default PLIVO_AUTH_TOKEN"},
    {"status", SETUP_TEXT, false, "active, paused or retired"},
    {"lines", SETUP_INT, false, "calls at once"},
    {"calls_per_second", SETUP_REAL, false, "dials a second"},
    {"unknown_limit", SETUP_INT, false, "claiming stops above so many calls of unknown outcome"},
    {0},
};

static const struct setup_field numbers[] = {
    {"phone", SETUP_PHONE, true, "a number that you own; the caller id"},
    {"account", SETUP_TEXT, false, "carrier account; default the first"},
    {"label", SETUP_TEXT, false, "words for people"},
    {"status", SETUP_TEXT, false, "active, paused or retired"},
    {"lines", SETUP_INT, false, "calls at once from this number"},
    {0},
};

static const struct setup_field agents[] = {
    {"name", SETUP_TEXT, true, "name of the person"},
    {"email", SETUP_TEXT, false, "also tells two people of one name apart"},
    {"phone", SETUP_PHONE, false, "where a call is handed over to"},
    {"available", SETUP_BOOL, false, "true: take calls from now on"},
    {"skills", SETUP_TEXTS, false, "words"},
    {"languages", SETUP_TEXTS, false, "language tags"},
    {0},
};

static const struct setup_field consents[] = {
    {"phone", SETUP_PHONE, true, "who consented"},
    {"evidence", SETUP_TEXT, true, "what shows it: the text they agreed to, where it is kept"},
    {"granted_at", SETUP_MOMENT, true, "when"},
    {"level", SETUP_TEXT, false, "express (default) or written"},
    {"scope", SETUP_TEXT, false, "ai_voice (default), human_voice, sms or email"},
    {"seller", SETUP_TEXT, false, "the business that was named; default the legal name"},
    {"source", SETUP_TEXT, false, "web form, contract, …"},
    {"expires_at", SETUP_MOMENT, false, "until when"},
    {0},
};

static const struct setup_field do_not_call[] = {
    {"phone", SETUP_PHONE, true, "who must not be called"},
    {"reason", SETUP_TEXT, false, "opt_out, complaint, legal, list, manual or wrong_number"},
    {"words", SETUP_TEXT, false, "what they said"},
    {0},
};

static const struct setup_field retry_policies[] = {
    {"name", SETUP_TEXT, true,
     "name of the policy; each list below holds seconds to wait before the n-th retry"},
    {"busy", SETUP_INTS, false, "after busy"},
    {"no_answer", SETUP_INTS, false, "after no answer"},
    {"voicemail", SETUP_INTS, false, "after a voicemail"},
    {"failed", SETUP_INTS, false, "after a technical failure"},
    {"not_placed", SETUP_INTS, false, "after the carrier did not take the call"},
    {"unknown", SETUP_INTS, false, "after an outcome that could not be learned"},
    {"rejected", SETUP_INTS, false, "after a rejection"},
    {"invalid_number", SETUP_INTS, false, "after an invalid number"},
    {0},
};

static const struct setup_field campaigns[] = {
    {"name", SETUP_TEXT, true, "name of the campaign"},
    {"description", SETUP_TEXT, false, "words for people"},
    {"start_date", SETUP_DATE, false, "first day"},
    {"end_date", SETUP_DATE, false, "last day"},
    {"time_start", SETUP_CLOCK, false, "opening, in the lead's zone"},
    {"time_end", SETUP_CLOCK, false, "closing; may lie after midnight"},
    {"weekdays", SETUP_INTS, false, "1 Monday … 7 Sunday"},
    {"timezone", SETUP_TEXT, false,
     "for leads whose zone is not known; without it they are rejected (unknown_zone) or wait"},
    {"language", SETUP_TEXT, false, "language tag"},
    {"instructions", SETUP_TEXT, false, "the script: what the AI knows, wants and must not do"},
    {"greeting", SETUP_TEXT, false, "first words after the disclosure"},
    {"disclosure", SETUP_TEXT, false, "said first, word for word: that an AI calls, for whom"},
    {"farewell", SETUP_TEXT, false, "last words"},
    {"voice", SETUP_TEXT, false, "the model's voice"},
    {"model", SETUP_TEXT, false, "the model; default OPENAI_REALTIME_MODEL"},
    {"tools", SETUP_TEXTS, false, "what the AI may do"},
    {"variables", SETUP_TEXTS, false, "attributes of a lead that the script uses"},
    {"numbers", SETUP_PHONES, false, "caller ids"},
    {"weight", SETUP_INT, false, "share among campaigns"},
    {"lines", SETUP_INT, false, "calls at once"},
    {"calls_per_second", SETUP_REAL, false, "dials a second"},
    {"max_attempts", SETUP_INT, false, "calls to one lead"},
    {"retry_policy", SETUP_TEXT, false, "name of a retry policy"},
    {"ring_timeout_s", SETUP_INT, false, "seconds to let it ring"},
    {"max_duration_s", SETUP_INT, false, "longest call"},
    {"silence_timeout_s", SETUP_INT, false, "silence that ends a call"},
    {"amd", SETUP_TEXT, false,
     "machine detection: off, detect (the call is marked) or hangup (it is ended too)"},
    {"voicemail_action", SETUP_TEXT, false,
     "hangup; message is refused, leaving one is not built yet"},
    {"voicemail_message", SETUP_TEXT, false, "what is left on a voicemail"},
    {"recording", SETUP_TEXT, false, "on or off"},
    {"transfer", SETUP_TEXT, false, "agents or off"},
    {"transfer_timeout_s", SETUP_INT, false, "seconds an agent is rung"},
    {"transfer_apology", SETUP_TEXT, false, "said when no agent took the call"},
    {"purpose", SETUP_TEXT, false, "marketing, informational, debt, political or charity"},
    {"voice_kind", SETUP_TEXT, false, "ai or human"},
    {"b2b", SETUP_BOOL, false, "business numbers only"},
    {"legal_name", SETUP_TEXT, false, "when another than the organization's"},
    {"callback_number", SETUP_PHONE, false, "a number that people can phone back"},
    {"budget_minor", SETUP_INT, false, "most money to spend, in minor units"},
    {"budget_currency", SETUP_TEXT, false, "three letters"},
    {0},
};

const struct setup_section setup_sections[] = {
    {"organization", false, "who calls", organization},
    {"carrier", true, "accounts at the carrier", carrier},
    {"numbers", true, "phone numbers", numbers},
    {"agents", true, "people who take calls over", agents},
    {"regions", true,
     "countries you may phone: your word for those that only the generic rule covers", NULL},
    {"consents", true, "consents with their evidence", consents},
    {"do_not_call", true, "numbers that must not be called", do_not_call},
    {"retry_policies", true, "when to try again", retry_policies},
    {"campaigns", true, "campaigns; made as drafts", campaigns},
    {0},
};
