/* store_ask.h -- what a statement keeps until its answer comes: whom to tell, and their argument.
 *
 * For the store_*.c alone. Lives in the transaction's own memory.
 *
 * Owner, Thread  the transaction's. */
#ifndef STORE_STORE_ASK_H
#define STORE_STORE_ASK_H

#include "store/pg_tx.h"
#include "store/store_api.h"
#include "store/store_call.h"
#include "store/store_dial.h"
#include "store/store_handoff.h"
#include "store/store_history.h"
#include "store/store_insight.h"

struct ask {
    union { /* each named as its type */
        store_absence_fn *absence;
        store_accounts_fn *accounts;
        store_after_fn *after;
        store_again_fn *again;
        store_analysis_call_fn *analysis_call;
        store_analysis_jobs_fn *analysis_jobs;
        store_answer_fn *answer;
        store_brief_fn *brief;
        store_callback_fn *callback;
        store_claim_fn *claim;
        store_completed_fn *completed;
        store_count_fn *count;
        store_done_fn *done;
        store_event_fn *event;
        store_hangup_fn *hangup;
        store_heartbeat_fn *heartbeat;
        store_history_fn *history;
        store_insight_fn *insight;
        store_level_fn *level;
        store_media_token_fn *media_token;
        store_opt_out_fn *opt_out;
        store_orphan_fn *orphan;
        store_orphan_due_fn *orphan_due;
        store_path_fn *path;
        store_recordings_due_fn *recordings_due;
        store_refused_fn *refused;
        store_replay_fn *replay;
        store_status_fn *status;
        store_sweep_fn *sweep;
        store_transfer_fn *transfer;
        store_unknown_fn *unknown;
        store_unknown_state_fn *unknown_state;
        store_words_fn *words;
    } on;
    void *arg;
};

static inline struct ask *ask_new(struct pg_tx *tx, void *arg)
{
    struct ask *ask = pg_tx_alloc(tx, sizeof *ask);
    ask->arg = arg;
    return ask;
}

static inline bool ask_has_row(const struct pg_answer *a, size_t statement)
{
    return a->fault.class == FAULT_NONE && pg_rows(a, statement) > 0;
}

/* For statements of which only the fault is told. */
static inline void ask_done_only(const struct pg_answer *a, void *arg)
{
    const struct ask *ask = arg;
    ask->on.done(&a->fault, ask->arg);
}

#endif
