/* store_sim.h -- one unit of work on its way to the database in memory and back.
 *
 * Owner   the world, from tx_new() until its answer was given or nobody waits for it.
 * Thread  one. */
#ifndef SIMULATION_STORE_SIM_H
#define SIMULATION_STORE_SIM_H

#include "world.h"

#define ROWS_MAX 64 /* a longer list comes in several turns */

enum fate { FATE_DONE, FATE_UNSENT, FATE_LOST, FATE_ACK_LOST };

/* One unit of work on its way. What it takes is copied; what it gives is kept until it is read. */
struct pg_tx {
    struct list link; /* world->asks */
    struct world *w;
    struct incarnation *inc;
    struct pg_tx **handle;
    const char *name;
    bool cancelled;
    enum fate fate;
    void (*run)(struct pg_tx *tx);                             /* at the database */
    void (*tell)(struct pg_tx *tx, const struct fault *fault); /* at the node */
    union {
        store_done_fn *done;
        store_heartbeat_fn *heartbeat;
        store_count_fn *count;
        store_claim_fn *claim;
        store_brief_fn *brief;
        store_status_fn *status;
        store_sweep_fn *sweep;
        store_unknown_fn *unknown;
        store_unknown_state_fn *state;
        store_absence_fn *absence;
        store_completed_fn *completed;
        store_event_fn *event;
        store_answer_fn *answer;
        store_hangup_fn *hangup;
        store_media_token_fn *media;
        store_opt_out_fn *opt_out;
        store_accounts_fn *accounts;
    } on;
    void *arg;
    struct uuid id; /* call, worker, account */
    struct uuid org_id;
    struct uuid ordered; /* by this key; nil: not */
    int64_t at;
    int64_t n1, n2;
    char kind[24], key[96], sid[48], request[48], text[64];
    union {
        struct store_placed placed;
        struct store_presence presence;
        struct store_absence absence;
        struct store_end end;
    } a;
    char t1[64], t2[64], t3[64];
    uint8_t hash[32];
    /* results */
    int64_t number;
    const char *word;
    size_t count;
    union {
        struct store_claimed claimed[ROWS_MAX];
        struct store_swept swept[ROWS_MAX];
        struct store_unknown unknown[ROWS_MAX];
        struct store_completed completed[32];
        struct store_unknown_state state;
        struct report_result report;
        struct opt_out_result opt_out;
        struct store_account account;
    } * r;
    struct call *call;
};

/* name: "db." and the word of the history. arg goes with the callback that is set in `on`. */
struct pg_tx *tx_new(struct pg_pool *db, const char *name, int64_t at, void *arg);
int tx_start(struct pg_tx *tx, struct pg_tx **op);
void tell_status(struct pg_tx *tx, const struct fault *fault);
/* Copies a text into the unit; NULL as "". */
const char *cut(const char *s, char *keep, size_t size);
/* For lines of the history; each lives until the eighth next call. */
char *id_text(const struct uuid *id);
const char *quoted(const char *s); /* "" and NULL: null */
/* The unit's call with its attempt and queue row: what both implementations must agree on. */
const char *after_id(const struct pg_tx *tx);

#define OP(tx) (tx)->name + sizeof "db." - 1
#define LL(v)  (long long)(v)

#endif
