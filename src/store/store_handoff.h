/* store_handoff.h -- the statements of src/handoff; shape, threads and errors as store.h says. */
#ifndef STORE_STORE_HANDOFF_H
#define STORE_STORE_HANDOFF_H

#include "base/json.h"
#include "base/uuid.h"
#include "store/store.h"

#define STORE_NAME_SIZE  201
#define STORE_PHONE_SIZE 17
#define STORE_URL_SIZE   2001

typedef void store_transfer_fn(const struct fault *fault, bool granted, struct str why,
                               struct str agent_name, void *arg);
int store_transfer_request(struct pg_tx **op, struct pg_pool *db,
                           const struct uuid *organization_id, const struct uuid *call_id,
                           const char *reason, const char *summary, int64_t at_us,
                           store_transfer_fn *on_done, void *arg) MUST_USE;

struct store_after {
    bool agent; /* ring this agent; else hang up */
    char agent_e164[STORE_PHONE_SIZE];
    char caller_e164[STORE_PHONE_SIZE]; /* what the agent's phone shows */
    int32_t ring_timeout_s;
    int32_t time_limit_s;
    bool record;
    char language[36];
};
typedef void store_after_fn(const struct fault *fault, const struct store_after *after, void *arg);

/* One report about the agent leg or the stream's end; texts are copied. */
struct store_leg {
    const struct uuid *organization_id;
    const struct uuid *call_id;
    const char *event_key;
    const char *leg_state; /* carrier.h's words; "" unknown */
    const char *leg_call_id;
    int32_t duration_s;
    const json_t *payload;
    int64_t at_us;
};
int store_transfer_after(struct pg_tx **op, struct pg_pool *db, const struct store_leg *leg,
                         store_after_fn *on_done, void *arg) MUST_USE;

typedef void store_words_fn(const struct fault *fault, struct str next, struct str text,
                            struct str language, void *arg);
/* next: "whisper", or "" when the offer is closed. */
int store_agent_whisper(struct pg_tx **op, struct pg_pool *db, const struct store_leg *leg,
                        store_words_fn *on_done, void *arg) MUST_USE;
/* next: "hangup" or "apologise" with the text to say. */
int store_agent_action(struct pg_tx **op, struct pg_pool *db, const struct store_leg *leg,
                       store_words_fn *on_done, void *arg) MUST_USE;
int store_agent_event(struct pg_tx **op, struct pg_pool *db, const struct store_leg *leg,
                      store_done_fn *on_done, void *arg) MUST_USE;

int store_recording_announced(struct pg_tx **op, struct pg_pool *db, const struct store_leg *leg,
                              const char *carrier_recording_id, const char *carrier_url,
                              int64_t duration_ms, store_done_fn *on_done, void *arg) MUST_USE;
struct store_recording_due {
    struct uuid organization_id;
    struct uuid recording_id;
    struct uuid call_id;
    char carrier_url[STORE_URL_SIZE];
    int64_t ended_us;
};
typedef void store_recordings_due_fn(const struct fault *fault,
                                     const struct store_recording_due *due, size_t count,
                                     void *arg);
int store_recordings_due(struct pg_tx **op, struct pg_pool *db, int32_t want, int32_t lease_s,
                         int64_t at_us, store_recordings_due_fn *on_done, void *arg) MUST_USE;
int store_recording_fetched(struct pg_tx **op, struct pg_pool *db,
                            const struct uuid *organization_id, const struct uuid *recording_id,
                            const char *path, const char *url, int64_t bytes, int64_t at_us,
                            store_done_fn *on_done, void *arg) MUST_USE;
int store_recording_missed(struct pg_tx **op, struct pg_pool *db,
                           const struct uuid *organization_id, const struct uuid *recording_id,
                           int64_t at_us, store_done_fn *on_done, void *arg) MUST_USE;

#endif
