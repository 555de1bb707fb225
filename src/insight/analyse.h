/* analyse.h -- one analysis as two texts: the question to the Responses API, and its answer read.
 *
 * The transcript is data: numbered lines of quoted JSON in a user item, never instructions. The answer
 * must fit the strict schema (schema.json); whether it is true is for findings.h.
 *
 * Owner   analysis_reply_fini() drops what analysis_read() made.
 * Thread  any.
 * Errors  analysis_write: -EMSGSIZE. analysis_read says what may be done next in `verdict`.
 * Source  docs/voice-realtime.md, "Analysis". */
#ifndef INSIGHT_ANALYSE_H
#define INSIGHT_ANALYSE_H

#include "insight/evidence.h"
#include "net/http_client.h"

#include <jansson.h>

#define ANALYSIS_MIN_DURATION_S 15
#define ANALYSIS_MIN_WORDS      3
#define ANALYSIS_TOKENS         3000 /* answer and reasoning */
#define ANALYSIS_REQUEST_MAX    (1024 * 1024)

extern const char insight_schema[];

struct analysis_question {
    const char *model;
    const char *call_id;      /* metadata, for the provider's own logs */
    struct str campaign_name; /* context, quoted */
    struct str description;
    struct str zone;
    int64_t ended_us;
    const struct insight_turn *turns;
    size_t turn_count;
    int64_t tokens_max;
};

enum analysis_verdict {
    ANALYSIS_ANSWERED,
    ANALYSIS_CUT,   /* the answer did not fit: ask once more with more room */
    ANALYSIS_LATER, /* throttled, their fault, or cut off: ask later */
    ANALYSIS_NEVER, /* refused, or our mistake: the same again would fail the same way */
};

struct analysis_reply {
    enum analysis_verdict verdict;
    json_t *answer; /* ANSWERED: the object that the model wrote */
    json_t *usage;  /* {model, input_tokens, …, cost_micros}, or NULL: nothing was billed */
    char model[80];
    char error[200];
    int64_t retry_ms; /* the server's wish; -1 none */
};

/* Too little to judge: nothing is asked, and no score changes. */
bool analysis_too_short(int32_t duration_s, const struct insight_turn *turns, size_t turn_count);
int analysis_write(const struct analysis_question *q, struct buf *out) MUST_USE;
void analysis_read(const struct http_result *result, struct analysis_reply *reply);
void analysis_reply_fini(struct analysis_reply *reply);
/* How long to wait before the next try; tries counts those made. roll is 0..255, any. */
int64_t analysis_wait_ms(int32_t tries, int64_t retry_ms, uint8_t roll);

#endif
