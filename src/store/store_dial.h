/* store_dial.h -- the dialer's statements (sql/dial); shape, threads and errors as store.h says. */
#ifndef STORE_STORE_DIAL_H
#define STORE_STORE_DIAL_H

#include "base/json.h"
#include "base/uuid.h"
#include "store/store.h"

#define STORE_E164_SIZE    17
#define STORE_STATUS_SIZE  24
#define STORE_CALL_ID_SIZE 129

struct store_node {
    struct uuid node_id;
    const char *name;
    const char *version;
    const char *public_url;
};
int store_worker_start(struct pg_tx **op, struct pg_pool *db, const struct store_node *node,
                       const struct uuid *worker_id, const char *lock_path, int64_t at_us,
                       store_done_fn *on_done, void *arg) MUST_USE;
/* db_now_us: the database's clock when it answered. */
typedef void store_heartbeat_fn(const struct fault *fault, int64_t db_now_us, void *arg);
int store_heartbeat(struct pg_tx **op, struct pg_pool *db, const struct uuid *node_id,
                    bool stopping, int64_t at_us, store_heartbeat_fn *on_done, void *arg) MUST_USE;
/* proof: "lock", "sign_off" or "operator". count: attempts whose owner is now known to be gone. */
typedef void store_count_fn(const struct fault *fault, int64_t count, void *arg);
int store_worker_dead(struct pg_tx **op, struct pg_pool *db, const struct uuid *worker_id,
                      const char *proof, int64_t at_us, store_count_fn *on_done,
                      void *arg) MUST_USE;

/* One intent, committed: to be dialed once, or signed off. */
struct store_claimed {
    struct uuid call_id;
    struct uuid organization_id;
    struct uuid campaign_id;
    struct uuid lead_id;
    struct uuid queue_id;
    struct uuid carrier_account_id;
    char caller_e164[STORE_E164_SIZE];
    char callee_e164[STORE_E164_SIZE];
    int32_t attempt_number;
};
typedef void store_claim_fn(const struct fault *fault, const struct store_claimed *claimed,
                            size_t count, void *arg);
/* FAULT_UNSURE: rows may be claimed in our name; the worker ends its incarnation. */
int store_claim(struct pg_tx **op, struct pg_pool *db, const struct uuid *node_id,
                const struct uuid *worker_id, uint32_t want, int64_t lease_ms, int64_t at_us,
                store_claim_fn *on_done, void *arg) MUST_USE;

/* The brief of one call and the last look before its POST, in one transaction. refusal: "" = go.
 * brief is borrowed during on_done; NULL when there is no such call. */
typedef void store_brief_fn(const struct fault *fault, json_t *brief, struct str refusal,
                            void *arg);
int store_brief(struct pg_tx **op, struct pg_pool *db, const struct uuid *organization_id,
                const struct uuid *call_id, int64_t at_us, store_brief_fn *on_done,
                void *arg) MUST_USE;

struct store_placed {
    const struct uuid *organization_id;
    const struct uuid *call_id;
    const char *result;       /* "placed", "not_placed", "unknown" */
    const char *resolved_by;  /* "response", "4xx", "nosend", "sign_off"; "" for unknown */
    const char *request_uuid; /* "" unknown */
    const char *call_uuid;    /* "" unknown */
    int32_t http_status;      /* 0 none */
    const char *detail;
    bool permanent;
    int64_t at_us;
};
typedef void store_status_fn(const struct fault *fault, struct str status, void *arg);
int store_place_result(struct pg_tx **op, struct pg_pool *db, const struct store_placed *placed,
                       store_status_fn *on_done, void *arg) MUST_USE;

/* The carrier refuses the account itself (credentials, credit): nothing is claimed for it for rest_ms. */
int store_account_trouble(struct pg_tx **op, struct pg_pool *db, const struct uuid *organization_id,
                          const struct uuid *account_id, const char *detail, int64_t rest_ms,
                          int64_t at_us, store_done_fn *on_done, void *arg) MUST_USE;

/* What a sweep moved to outcome_unknown, for the log. */
struct store_swept {
    struct uuid call_id;
    struct uuid organization_id;
    char was[STORE_STATUS_SIZE];
};
typedef void store_sweep_fn(const struct fault *fault, const struct store_swept *swept,
                            size_t count, void *arg);
int store_lease_sweep(struct pg_tx **op, struct pg_pool *db, int64_t slack_ms, int64_t at_us,
                      store_sweep_fn *on_done, void *arg) MUST_USE;

struct store_unknown {
    struct uuid call_id;
    struct uuid organization_id;
    struct uuid carrier_account_id;
    struct uuid worker_id;
    char status[STORE_STATUS_SIZE];
    char caller_e164[STORE_E164_SIZE];
    char callee_e164[STORE_E164_SIZE];
    char call_uuid[STORE_CALL_ID_SIZE];
    int64_t intent_us;
    bool signed_off;
};
typedef void store_unknown_fn(const struct fault *fault, const struct store_unknown *due,
                              size_t count, void *arg);
int store_unknown_due(struct pg_tx **op, struct pg_pool *db, uint32_t want, int64_t retry_ms,
                      int64_t at_us, store_unknown_fn *on_done, void *arg) MUST_USE;

struct store_unknown_state {
    int64_t unknown_calls;
    int64_t oldest_s;
    int64_t live_calls;
};
typedef void store_unknown_state_fn(const struct fault *fault,
                                    const struct store_unknown_state *state, void *arg);
int store_unknown_state(struct pg_tx **op, struct pg_pool *db, int64_t at_us,
                        store_unknown_state_fn *on_done, void *arg) MUST_USE;

struct store_presence {
    const struct uuid *organization_id;
    const struct uuid *call_id;
    const char *found_in; /* "live", "queued", "cdr" */
    const char *call_uuid;
    const char *request_uuid;
    int64_t initiated_us; /* 0 unknown, as the others */
    int64_t answered_us;
    int64_t ended_us;
    int32_t duration_s;
    int32_t billed_s;
    int64_t cost_micros;
    const char *currency;
    const char *cause;
    int32_t cause_code;
    const char *source;
    const char *outcome; /* our words; NULL or "": from whether it was answered */
    const char *disconnect_reason;
    int64_t skew_ms;
    int64_t horizon_ms;
    int64_t retry_ms;
    int64_t at_us;
};
/* status: after it; "other" when the sighting is not this attempt's. */
int store_reconcile_presence(struct pg_tx **op, struct pg_pool *db,
                             const struct store_presence *found, store_status_fn *on_done,
                             void *arg) MUST_USE;

/* A complete scan that showed nothing, and then the question whether absence may be concluded. why:
 * what is missing, "" when it was concluded. */
struct store_absence {
    const struct uuid *organization_id;
    const struct uuid *call_id;
    int64_t skew_ms;
    int64_t retry_ms;
    int64_t horizon_ms;
    int64_t scan_gap_ms;
    int64_t at_us;
};
typedef void store_absence_fn(const struct fault *fault, bool concluded, struct str why, void *arg);
int store_reconcile_absence(struct pg_tx **op, struct pg_pool *db, const struct store_absence *scan,
                            store_absence_fn *on_done, void *arg) MUST_USE;

/* Folds the counters in, and completes campaigns that are over. */
struct store_completed {
    struct uuid organization_id;
    struct uuid campaign_id;
    char reason[16];
};
typedef void store_completed_fn(const struct fault *fault, const struct store_completed *completed,
                                size_t count, void *arg);
int store_fold_and_complete(struct pg_tx **op, struct pg_pool *db, int64_t at_us,
                            store_completed_fn *on_done, void *arg) MUST_USE;

#endif
