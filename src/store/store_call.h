/* store_call.h -- what the carrier reports of a call and what a talk leaves behind (sql/call);
 * shape, threads and errors as store.h says.
 *
 * Units of one call happen in the order they were started here. Every one can be repeated with the
 * same arguments: a report is deduplicated by (call, kind, event_key), a turn by its ordinal, usage
 * by its key. */
#ifndef STORE_STORE_CALL_H
#define STORE_STORE_CALL_H

#include "base/json.h"
#include "base/uuid.h"
#include "store/store.h"

/* One webhook, checked and translated. Texts "" or NULL: not told. */
struct store_report {
    const struct uuid *organization_id;
    const struct uuid *call_id;
    const char
        *kind; /* event only: "ring", "machine" (only when a machine answered), "stream", … */
    const char *event_key;
    const char *call_uuid;
    const char *request_uuid;
    const char *carrier_status;
    const json_t *payload;
    int64_t at_us;
};

struct store_event_result {
    bool applied;
    bool duplicate;
    bool anomaly; /* reported of a call that was written off, or naming another call: alarm */
    bool known;   /* false: there is no such call */
    struct str status;
};
typedef void store_event_fn(const struct fault *fault, const struct store_event_result *result,
                            void *arg);
int store_event(struct pg_tx **op, struct pg_pool *db, const struct store_report *report,
                store_event_fn *on_done, void *arg) MUST_USE;

struct store_answer_result {
    bool talk;         /* open the stream; else say something short and hang up */
    struct str reason; /* why not: "dnc_internal", "dial_paused", "outside_window", "not_placed",
                          "ended", … */
    struct str status;
    bool duplicate;
    bool anomaly;
};
typedef void store_answer_fn(const struct fault *fault, const struct store_answer_result *result,
                             void *arg);
/* token_hash: SHA-256 of the media token that this answer would hand out. */
int store_answer(struct pg_tx **op, struct pg_pool *db, const struct store_report *report,
                 const uint8_t token_hash[32], int64_t token_expires_us, store_answer_fn *on_done,
                 void *arg) MUST_USE;

struct store_end { /* of a hang-up report */
    const char *cause;
    int32_t cause_code;
    const char *source;
    int64_t answered_us; /* 0: never */
    int64_t ended_us;
    int32_t duration_s;
    int32_t billed_s;
    int64_t cost_micros;
    const char *currency;          /* NULL: USD */
    const char *outcome;           /* call_attempts.outcome, from the cause */
    const char *disconnect_reason; /* call_logs.disconnect_reason, from the cause */
};
struct store_hangup_result {
    struct str status; /* STR_NONE: no such call */
    struct str outcome;
    bool will_retry;
    int64_t next_retry_us;
    bool duplicate;
    bool anomaly;
};
typedef void store_hangup_fn(const struct fault *fault, const struct store_hangup_result *result,
                             void *arg);
int store_hangup(struct pg_tx **op, struct pg_pool *db, const struct store_report *report,
                 const struct store_end *end, store_hangup_fn *on_done, void *arg) MUST_USE;

/* call_id nil: unknown, used or expired token, or the call is over. _look spends nothing. */
typedef void store_media_token_fn(const struct fault *fault, const struct uuid *call_id,
                                  const struct uuid *organization_id, struct str call_uuid,
                                  void *arg);
int store_media_look(struct pg_tx **op, struct pg_pool *db, const uint8_t token_hash[32],
                     int64_t at_us, store_media_token_fn *on_done, void *arg) MUST_USE;
int store_media_token(struct pg_tx **op, struct pg_pool *db, const uint8_t token_hash[32],
                      int64_t at_us, store_media_token_fn *on_done, void *arg) MUST_USE;

struct store_turn {
    int32_t ordinal;     /* place in the talk, from 0 */
    const char *item_id; /* the model's; "" none */
    const char *speaker; /* "ai", "lead", "agent" */
    int64_t start_ms;    /* since the answer */
    int64_t end_ms;
    struct str body;
    const char *heard; /* "full", "cut", "none" */
    int64_t heard_ms;  /* -1 unknown */
};
int store_turn(struct pg_tx **op, struct pg_pool *db, const struct uuid *organization_id,
               const struct uuid *call_id, const struct store_turn *turn, int64_t at_us,
               store_done_fn *on_done, void *arg) MUST_USE;

/* patch: an object; known members disposition, disconnect_reason, disconnect_notes,
 * disclosure_played_at and media_ended_at (RFC 3339); anything else is kept under
 * ai_analysis.noted. A word outside its vocabulary is FAULT_REFUSED and nothing of the patch is
 * stored. */
int store_note(struct pg_tx **op, struct pg_pool *db, const struct uuid *organization_id,
               const struct uuid *call_id, const json_t *patch, int64_t at_us,
               store_done_fn *on_done, void *arg) MUST_USE;

/* source: "model", "phrase", "dtmf". phone: the person's, for a call that the database does not know
 * (restored, lost in a failover); "" none, and then such a call is FAULT_REFUSED. live_calls: ids (text, by blanks) of other live calls to the
 * number. */
struct store_opt_out_words {
    const char *source;
    struct str words;
    const char *phone;
};
typedef void store_opt_out_fn(const struct fault *fault, bool added, int64_t removed,
                              struct str live_calls, void *arg);
int store_opt_out(struct pg_tx **op, struct pg_pool *db, const struct uuid *organization_id,
                  const struct uuid *call_id, const struct store_opt_out_words *said, int64_t at_us,
                  store_opt_out_fn *on_done, void *arg) MUST_USE;

/* Once a call: a talk with somebody who is on the list by now. */
typedef void store_refused_fn(const struct fault *fault, const struct uuid *call_ids, size_t count,
                              void *arg);
int store_live_refused(struct pg_tx **op, struct pg_pool *db, store_refused_fn *on_done,
                       void *arg) MUST_USE;

/* due_us of the answer: when it will be (moved into the window when asked for outside: reason says
 * so). */
typedef void store_callback_fn(const struct fault *fault, bool accepted, int64_t due_us,
                               struct str reason, void *arg);
int store_callback(struct pg_tx **op, struct pg_pool *db, const struct uuid *organization_id,
                   const struct uuid *call_id, int64_t due_us, struct str note, int64_t at_us,
                   store_callback_fn *on_done, void *arg) MUST_USE;

struct store_recording {
    const struct uuid *organization_id;
    const struct uuid *call_id;
    const struct uuid *recording_id;
    const char *leg;  /* "ai" */
    const char *path; /* under DATA_DIR */
    const char *url;
    int64_t bytes;
    int64_t duration_ms;
    int64_t started_us;
    int64_t at_us;
};
int store_recording(struct pg_tx **op, struct pg_pool *db, const struct store_recording *recording,
                    store_done_fn *on_done, void *arg) MUST_USE;

struct store_usage {
    const struct uuid *organization_id;
    const struct uuid *call_id;
    const char *source;   /* "realtime", "transcribe", "analysis", "agent_leg", "other" */
    const char *item_key; /* makes a repeat harmless, e.g. the response's id */
    int32_t seconds;
    const json_t *tokens; /* an object; its member "model" names the model */
    int64_t cost_micros;
    int64_t at_us;
};
int store_usage(struct pg_tx **op, struct pg_pool *db, const struct store_usage *usage,
                store_done_fn *on_done, void *arg) MUST_USE;

#endif
