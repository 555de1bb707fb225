/* store_history.h -- failover, journals and the carrier's whole list (sql/dial: check_in, replay, orphan_*); shape,
 * threads and errors as store.h says.
 *
 * All of it may be repeated. */
#ifndef STORE_STORE_HISTORY_H
#define STORE_STORE_HISTORY_H

#include "base/json.h"
#include "store/store_dial.h"

enum store_history_state {
    STORE_HISTORY_OPEN,
    STORE_HISTORY_REPLAY, /* this node's journal is to be put back */
    STORE_HISTORY_WAIT,   /* for other nodes, or for those that nobody knows of yet */
    STORE_HISTORY_ACCEPT, /* restored from a backup: for an operator */
};

struct store_history {
    struct uuid installation_id;
    char system_id[24];
    int64_t timeline;
    enum store_history_state state;
    bool restored; /* records of the carrier since replay_since_us are put back too */
    char why[120];
    int32_t waits_for;
    int64_t replay_since_us; /* 0 none */
};
struct store_check_in {
    const struct store_node *node;
    const struct uuid *newest; /* the journal's newest attempt of this installation; NULL none */
    const char *from_system;   /* the history it was made on */
    int64_t from_timeline;
    int64_t last_us; /* when this database last answered, as far as the journal knows */
    int64_t loss_ms;
    int64_t wait_ms;
    int64_t at_us;
};
typedef void store_history_fn(const struct fault *fault, const struct store_history *history,
                              void *arg);
int store_check_in(struct pg_tx **op, struct pg_pool *db, const struct store_check_in *in,
                   store_history_fn *on_done, void *arg) MUST_USE;

struct store_replayed {
    int32_t known;
    int32_t rebuilt;
    int32_t unplaceable;
    int32_t conflicts;
};
typedef void store_replay_fn(const struct fault *fault, const struct store_replayed *sum,
                             void *arg);
/* entries: array of {c, o, j, n, f, t, a, w, at, over}. */
int store_replay(struct pg_tx **op, struct pg_pool *db, const struct uuid *node_id,
                 const json_t *entries, int64_t at_us, store_replay_fn *on_done,
                 void *arg) MUST_USE;
/* nodes: a Postgres array literal, {uuid,…}. */
int store_replay_done(struct pg_tx **op, struct pg_pool *db, struct str nodes,
                      const struct store_replayed *sum, int64_t at_us, store_done_fn *on_done,
                      void *arg) MUST_USE;
int store_unfinished(struct pg_tx **op, struct pg_pool *db, struct str calls,
                     store_count_fn *on_done, void *arg) MUST_USE;

/* A webhook of a dial without a row. status: "present", "rebuilt", "no_job", "conflict". */
struct store_adoption {
    const struct uuid *organization_id;
    const struct uuid *call_id;
    const struct uuid *queue_id;
    const struct uuid *account_id;
    int32_t attempt_number;
    const char *from_e164;
    const char *to_e164;
    int64_t at_us;
};
int store_adopt(struct pg_tx **op, struct pg_pool *db, const struct store_adoption *what,
                store_status_fn *on_done, void *arg) MUST_USE;

struct store_orphan_due {
    struct uuid organization_id;
    struct uuid account_id;
    int64_t swept_until_us;
};
typedef void store_orphan_due_fn(const struct fault *fault, const struct store_orphan_due *due,
                                 size_t count, void *arg);
struct store_orphan_when {
    int64_t every_ms;
    int64_t hold_ms;
    int64_t first_ms;
    int64_t since_us; /* 0 none */
    int64_t at_us;
};
int store_orphan_due(struct pg_tx **op, struct pg_pool *db, const struct store_orphan_when *when,
                     store_orphan_due_fn *on_done, void *arg) MUST_USE;

struct store_orphan_part {
    const struct uuid *organization_id;
    const struct uuid *account_id;
    const json_t *calls;
    bool adopt;
    int64_t skew_ms;
    int64_t horizon_ms;
    int64_t retry_ms;
    int64_t at_us;
};
struct store_orphan_sum {
    int32_t known;
    int32_t adopted;
    int32_t orphans;
    int32_t fresh; /* of the orphans: seen for the first time */
};
typedef void store_orphan_fn(const struct fault *fault, const struct store_orphan_sum *sum,
                             void *arg);
int store_orphan_sweep(struct pg_tx **op, struct pg_pool *db, const struct store_orphan_part *part,
                       store_orphan_fn *on_done, void *arg) MUST_USE;
/* until_us 0: it failed. */
int store_orphan_swept(struct pg_tx **op, struct pg_pool *db, const struct store_orphan_due *what,
                       int64_t until_us, const struct store_orphan_sum *sum, const char *failed,
                       int64_t at_us, store_done_fn *on_done, void *arg) MUST_USE;

#endif
