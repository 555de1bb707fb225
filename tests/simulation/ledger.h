/* ledger.h -- the tables of the dial path in memory, and the decisions of the SQL functions on them.
 *
 * A second implementation of sql/functions (claim, may_post, place_result, lease_sweep, worker_dead,
 * unknown_due, presence, scan and absence, reports, settle, retry), written to be checked against the
 * first: tests/simulation/replay_pg.py runs the same history through both. Every function is one
 * transaction that has been committed when it returns.
 *
 * Owner   ledger_new()/ledger_free(); everything inside belongs to it.
 * Thread  one.
 * Time    wall microseconds, of the caller: nothing here reads a clock. 0 is NULL.
 * Source  sql/functions/0009, 0012, 0013, 0014, 0030, 0031, 0032, 0033. */
#ifndef SIMULATION_LEDGER_H
#define SIMULATION_LEDGER_H

#include "base/list.h"
#include "base/map.h"
#include "store/store_call.h"
#include "store/store_dial.h"

enum { US_MINUTE = 60000000 };
#define US_HOUR     3600000000LL
#define US_DAY      86400000000LL
#define NEVER       INT64_MIN /* '-infinity' */
#define SPANS_MAX   4
#define WAITS_MAX   6
#define NUMBERS_MAX 4
#define ZONES_MAX   4

/* Order of call_attempts.outcome in `waits`. */
enum outcome {
    OUT_NONE,
    OUT_ANSWERED,
    OUT_NO_ANSWER,
    OUT_BUSY,
    OUT_VOICEMAIL,
    OUT_REJECTED,
    OUT_INVALID_NUMBER,
    OUT_FAILED,
    OUT_NOT_PLACED,
    OUT_COUNT
};
extern const char *const outcome_names[OUT_COUNT];
enum outcome outcome_of(const char *name); /* OUT_NONE: not one of them */

enum status {
    ST_RESERVED,
    ST_DIALING,
    ST_RINGING,
    ST_IN_PROGRESS,
    ST_TRANSFERRING,
    ST_ENDED,
    ST_UNKNOWN,
    ST_NOT_PLACED,
    ST_COUNT
};
extern const char *const status_names[ST_COUNT];

enum job_status { JOB_QUEUED, JOB_PROCESSING, JOB_COMPLETED, JOB_FAILED };
extern const char *const job_names[4];

enum campaign_status { CAMPAIGN_ACTIVE, CAMPAIGN_PAUSED, CAMPAIGN_COMPLETED };

struct zone; /* zones.h */

struct span {     /* minutes of the day; to <= from crosses midnight */
    uint8_t days; /* bit 0: Monday */
    int32_t from_min;
    int32_t to_min;
    int32_t first_day; /* days since 1970; INT32_MIN none */
    int32_t last_day;  /* INT32_MAX none */
};

struct law {
    char region[3];
    struct span spans[SPANS_MAX];
    size_t span_count;
    int32_t cap_24h; /* INT32_MAX none, as the others */
    int32_t cap_7d;
    int32_t cap_30d;
};

struct org {
    struct uuid id;
    int32_t weight;
    int32_t number_cap_24h;
    int32_t number_cap_7d;
    int64_t number_spacing_s;
    double served;
    struct list link;
    size_t calls_seen; /* per run statistics */
};

struct account {
    struct uuid id;
    struct org *org;
    int32_t lines;
    double calls_per_second;
    int32_t unknown_limit;
    bool active;
    int64_t trouble_until;
    int32_t live;
    int32_t unknown;
    struct call **calls; /* in the order of their commits */
    size_t call_count;
    size_t call_size;
};

struct number {
    struct uuid id;
    struct account *account;
    char phone[STORE_E164_SIZE];
    int32_t lines; /* 0: NULL */
    int32_t live;
};

struct campaign {
    struct uuid id;
    struct org *org;
    char name[40];
    enum campaign_status status;
    const char *closing_reason;   /* NULL */
    const char *completed_reason; /* NULL */
    int64_t completed_at;
    struct span span;
    const struct zone *zone; /* of leads of unknown zone; NULL */
    struct number *numbers[NUMBERS_MAX];
    size_t number_count;
    int32_t weight;
    int32_t lines;
    double calls_per_second;
    int32_t max_attempts;
    double waits[OUT_COUNT][WAITS_MAX];
    size_t wait_count[OUT_COUNT];
    int32_t ring_timeout_s;
    int32_t max_duration_s;
    bool transfers;
    int64_t budget_micros;  /* 0: none */
    int64_t reserve_micros; /* held back of it for each live call */
    int64_t spent_micros;
    double served;
    int32_t live;
    struct call **calls;
    size_t call_count;
    size_t call_size;
    struct job **jobs;
    size_t job_count;
    struct job **ready; /* heaps, 1-based */
    size_t ready_count;
    struct job **waiting;
    size_t waiting_count;
    int64_t changes; /* of its jobs */
    int64_t queued;  /* jobs by status */
    int64_t processing;
};

struct lead {
    struct uuid id;
    struct org *org;
    char phone[STORE_E164_SIZE];
    const struct zone *zones[ZONES_MAX];
    size_t zone_count;
    const struct law *law;
    int64_t dnc_at;      /* do_not_call.added_at; 0 none */
    int64_t dnc_true_at; /* for the checks: the database's clock then */
    bool consent_revoked;
    struct call **calls;
    size_t call_count;
    size_t call_size;
};

struct job {
    struct uuid id;
    struct campaign *campaign;
    struct lead *lead;
    enum job_status status;
    int32_t priority;
    int32_t score;
    int32_t attempt_count;
    int32_t attempt_number;
    int32_t max_attempts;
    int64_t next_retry_at;
    bool ready;
    const char *last_error; /* NULL */
    int64_t callback_at;
    struct call *call;
    int64_t finished_at;
    size_t ready_index;   /* 0: not in the heap */
    size_t waiting_index; /* 0: not in the heap */
};

struct call {
    struct uuid id;
    struct job *job;
    struct campaign *campaign;
    struct lead *lead;
    struct account *account;
    struct number *number;
    int32_t attempt_number;
    enum status status;
    char call_sid[64];
    char request_uuid[64];
    struct uuid worker_id;
    int64_t leased_until;
    int64_t intent_at;
    int64_t posted_at;
    int64_t placed_at;
    int64_t signed_off_at;
    int64_t unknown_at;
    int64_t resolved_at;
    const char *resolved_by; /* NULL */
    int64_t first_absent_scan_at;
    int64_t last_absent_scan_at;
    int32_t absent_scans;
    int64_t next_reconcile_at;
    int64_t ringing_at;
    int64_t answered_at;
    int64_t ended_at;
    int64_t opted_out_at;
    int64_t adopted_at;
    int32_t duration;
    int64_t billed_s; /* -1: NULL */
    int64_t cost_micros;
    bool machine;
    char disconnect_reason[24]; /* "" NULL */
    int32_t incidents;
    bool cost_counted;
    int32_t tokens; /* media tokens handed out */
    bool token_used;
    /* call_attempts */
    enum outcome outcome;
    bool settled;
    bool will_retry;
    int64_t next_retry_at; /* 0 none */
    const char *retry_reason;
    struct list live_link; /* ledger->live */
    struct list events;    /* struct event */
    int64_t true_at;       /* for the checks: the database's clock at its claim */
    int64_t unknown_since; /* for the figures: when it last became unknown */
    int64_t longest_unknown_us;
};

struct event {
    struct list link;
    char kind[24];
    char key[64];
    bool anomaly;
};

struct token {
    struct list link;
    uint8_t hash[32];
    struct call *call;
    int64_t expires_at;
    bool used;
};

struct worker_row {
    struct list link;
    struct uuid id;
    bool alive;
};

struct pause { /* public.dial_pauses of one organization */
    struct list link;
    struct org *org;
    struct campaign *campaign; /* NULL: the tenant */
    int64_t paused_at;
    int64_t resumed_at; /* 0: still */
};

/* Rules switched off on purpose: each must be caught (simulate --mutants). */
enum mutant {
    MUTANT_NONE,
    MUTANT_LEASE_REQUEUE,  /* a lease that ran out goes back to the queue */
    MUTANT_NO_HORIZON,     /* absence is concluded at once */
    MUTANT_FAIL_5XX,       /* an unclear answer counts as "not dialed" */
    MUTANT_NO_DEATH_PROOF, /* absence needs no sign-off */
    MUTANT_CLIENT_RETRY,   /* the HTTP client repeats a POST whose connection broke */
    MUTANT_REVIVE,         /* a late report moves a call that has ended */
    MUTANT_COUNT
};
extern const char *const mutant_names[MUTANT_COUNT];

struct ledger {
    struct map orgs;
    struct map accounts;
    struct map campaigns;
    struct map jobs;
    struct map calls;
    struct map sids; /* call_sid -> call */
    struct list org_list;
    struct list live;
    struct list workers;
    struct list pauses;
    struct list tokens;
    struct campaign **campaign_list;
    size_t campaign_count;
    struct call **call_list;
    size_t call_count;
    size_t call_size;
    struct lead **leads;
    size_t lead_count;
    struct account **account_list;
    size_t account_count;
    enum mutant mutant;
    uint64_t next_id;
    bool one_clock; /* intents come in the order of time: counting may stop early */
    int64_t anomalies;
    int64_t revived; /* calls that left a terminal status */
    int64_t accounts_woken;
};

struct ledger *ledger_new(void) MUST_USE;
void ledger_free(struct ledger **l);
/* Sets up; fields not named are given by the caller afterwards. */
struct org *ledger_org(struct ledger *l, const struct uuid *id);
struct account *ledger_account(struct ledger *l, struct org *o, const struct uuid *id);
struct campaign *ledger_campaign(struct ledger *l, struct org *o, const struct uuid *id);
struct lead *ledger_lead(struct ledger *l, struct org *o, const struct uuid *id, const char *phone);
struct job *ledger_enqueue(struct ledger *l, struct campaign *c, struct lead *lead,
                           const struct uuid *id, int64_t at);

struct call *ledger_call(const struct ledger *l, const struct uuid *id); /* NULL */

/* --- moving rows: what the triggers do ----------------------------------------------------------- */

void job_set(struct job *j, enum job_status status, int64_t next_retry_at, const char *error,
             int64_t at);
void call_move(struct ledger *l, struct call *c, enum status to, int64_t at);
void call_name(struct ledger *l, struct call *c, const char *sid, const char *request_uuid);
void calls_push(struct call ***calls, size_t *count, size_t *size, struct call *c);
void job_wake(struct campaign *c, int64_t at, int most);
struct job *job_first_ready(const struct campaign *c);
bool status_live(enum status s);
bool may_have_rung(const struct call *c);

/* --- the gate (0009, 0012) ----------------------------------------------------------------------- */

struct verdict {
    const char *reason;     /* NULL: may dial */
    int64_t next_change_at; /* 0: nothing but somebody's act */
};
int64_t lead_next_opening(const struct campaign *c, const struct lead *lead, int64_t at);
struct verdict gate(const struct ledger *l, const struct campaign *c, const struct lead *lead,
                    const struct job *j, int64_t at);
struct verdict gate_at_answer(const struct ledger *l, const struct call *c, int64_t at);
const char *gate_pauses(const struct ledger *l, const struct campaign *c, int64_t at);

/* --- transactions -------------------------------------------------------------------------------- */

void ledger_worker_start(struct ledger *l, const struct uuid *worker);
int64_t ledger_worker_dead(struct ledger *l, const struct uuid *worker, bool signed_off,
                           int64_t at);
size_t ledger_claim(struct ledger *l, const struct uuid *worker, uint32_t want, int64_t lease_ms,
                    int64_t at, struct store_claimed *out, size_t most);
const char *ledger_may_post(const struct ledger *l, const struct uuid *call_id, int64_t at);
const char *ledger_place_result(struct ledger *l, const struct uuid *call_id,
                                const struct store_placed *p);
void ledger_account_trouble(struct ledger *l, const struct uuid *account, int64_t rest_ms,
                            int64_t at);
size_t ledger_lease_sweep(struct ledger *l, int64_t slack_ms, int64_t at, struct store_swept *out,
                          size_t most);
size_t ledger_unknown_due(struct ledger *l, uint32_t want, int64_t retry_ms, int64_t at,
                          struct store_unknown *out);
void ledger_unknown_state(const struct ledger *l, int64_t at, struct store_unknown_state *out);
const char *ledger_presence(struct ledger *l, const struct uuid *call_id,
                            const struct store_presence *f);
/* NULL: concluded; else what is missing. */
const char *ledger_absence(struct ledger *l, const struct uuid *call_id,
                           const struct store_absence *scan);
size_t ledger_complete(struct ledger *l, int64_t at, struct store_completed *out, size_t most);

struct report_result {
    bool known;
    bool applied;
    bool duplicate;
    bool anomaly;
    bool talk;
    const char *reason; /* "" */
    enum status status;
};
struct report_args {
    const char *kind;
    const char *key;
    const char *call_uuid;
    const char *request_uuid;
    int64_t at;
};
void ledger_event(struct ledger *l, const struct uuid *call_id, const struct report_args *r,
                  struct report_result *out);
void ledger_answer(struct ledger *l, const struct uuid *call_id, const struct report_args *r,
                   const uint8_t hash[32], int64_t expires_at, struct report_result *out);
void ledger_hangup(struct ledger *l, const struct uuid *call_id, const struct report_args *r,
                   const struct store_end *end, struct report_result *out);
struct call *ledger_media_look(const struct ledger *l, const uint8_t hash[32], int64_t at);
struct call *ledger_media_token(struct ledger *l, const uint8_t hash[32], int64_t at);
struct opt_out_result {
    bool found;
    bool added;
    int64_t removed;
};
void ledger_opt_out(struct ledger *l, const struct uuid *call_id, int64_t at,
                    struct opt_out_result *out);
/* Acts of people. */
void ledger_campaign_set(struct campaign *c, enum campaign_status to);
struct pause *ledger_pause(struct ledger *l, struct org *o, struct campaign *c, int64_t at);

/* 0030, for the transactions above. */
struct call_end {
    const char *outcome; /* NULL */
    const char *disconnect_reason;
    int64_t answered_at;
    int64_t ended_at;
    int64_t duration_s; /* -1: NULL */
    int64_t billed_s;
    int64_t cost_micros;
};
void finish_call(struct ledger *l, struct call *c, const struct call_end *fact, const char *by,
                 int64_t at);
void settle(struct ledger *l, struct call *c, enum outcome outcome, bool permanent, int64_t at);
void call_cost(struct call *c);
int64_t ring_allowance_us(const struct campaign *c);
int64_t talk_allowance_us(const struct campaign *c);
bool worker_known_alive(const struct ledger *l, const struct uuid *id);

#endif
