/* faults.h -- what goes wrong, how often, and whether this time.
 *
 * A fault is a name with a probability; a profile is a set of them. Whether it strikes is drawn from
 * the seed, the fault's name and the thing it would strike (a number and its nth call, a session), so
 * a seed strikes the same calls again, whatever the order of sockets.
 *
 * Owner   embedded in the simulator.
 * Thread  the loop's.
 * Errors  faults_set, faults_profile: -EINVAL unknown name or value outside 0..1. */
#ifndef SIM_FAULTS_FAULTS_H
#define SIM_FAULTS_FAULTS_H

#include "base/json.h"

enum fault_kind {
    FAULT_HOOK_LOST,      /* a webhook is never sent (the answer URL: its first try fails) */
    FAULT_HOOK_DOUBLED,   /* sent twice, signed twice */
    FAULT_HOOK_LATE,      /* sent 1 to 4 s late */
    FAULT_HOOK_REORDERED, /* ring after answer, hangup before ring */
    FAULT_HOOK_FORGED,    /* besides the true one: unsigned, badly signed, altered body */
    FAULT_HOOK_REPLAYED,  /* the very same bytes, headers included, once more */
    FAULT_POST_5XX_DIALED,
    FAULT_POST_5XX,        /* and nobody is rung */
    FAULT_POST_CUT_DIALED, /* connection cut without an answer, but the phone rings */
    FAULT_POST_CUT,
    FAULT_POST_SLOW_DIALED, /* answers long after the client gave up; the phone rings */
    FAULT_POST_429,
    FAULT_STREAM_CUT,      /* the media socket breaks in mid-talk */
    FAULT_MODEL_REFUSED,   /* 503 instead of a WebSocket */
    FAULT_MODEL_CUT,       /* the model's socket breaks in mid-talk */
    FAULT_MODEL_ERROR,     /* an error event, and a response that fails */
    FAULT_TRANSCRIPT_LATE, /* input transcripts come seconds late, out of order */
    FAULT_TRANSCRIPT_FAILED,
    FAULT_ANALYSIS_429,
    FAULT_ANALYSIS_500,
    FAULT_ANALYSIS_CUT, /* status incomplete, JSON cut in the middle */
    FAULT_COUNT,
};

struct faults {
    double chance[FAULT_COUNT];
    int64_t struck[FAULT_COUNT];
    uint64_t seed;
};

int faults_profile(struct faults *f, const char *name) MUST_USE; /* "none", "demo", "hostile" */
int faults_set(struct faults *f, const char *name_eq_chance) MUST_USE; /* "hook_lost=0.2" */
bool fault_strikes(struct faults *f, enum fault_kind kind, struct str key, uint64_t nth);
const char *fault_kind_name(enum fault_kind kind);
json_t *faults_report(const struct faults *f) MUST_USE; /* name -> how often it struck */

#endif
