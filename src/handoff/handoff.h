/* handoff.h -- giving a live call to a human: pick, ring, whisper, bridge; or say sorry and book a
 * call back.
 *
 * The carrier executes the agent's leg out of our answers; this room decides the answers, and keeps
 * what the carrier reports, through sql/handoff (which agent, which state, who is free again).
 *
 * Contract of handoff_ask() and handoff_event(): refused (-EBUSY, the database queue is full) =>
 *          silent; accepted => the callback exactly once, later, on the same loop.
 * Owner   whoever called handoff_open(), until handoff_close() (silences what is in flight).
 * Thread  the control loop.
 * Errors  callbacks carry the database's fault; then nothing may be acknowledged to the carrier. */
#ifndef HANDOFF_HANDOFF_H
#define HANDOFF_HANDOFF_H

#include "carrier/carrier.h"
#include "store/pg_conn.h"

struct handoff;

struct handoff_env {
    struct loop *loop;
    struct pg_pool *db;
};

int handoff_open(struct handoff **out, const struct handoff_env *env) MUST_USE;
void handoff_close(struct handoff **h);

/* The AI asks for a person. granted: an agent is held for the call; else why, a word of ours:
 * not_live, transfers_off, no_agent (a callback task was made), or "unavailable" (database). */
typedef void handoff_granted_fn(bool granted, const char *why, void *arg);
int handoff_ask(struct handoff *h, const struct uuid *organization_id, const struct uuid *call_id,
                const char *reason, const char *summary, handoff_granted_fn *on_done,
                void *arg) MUST_USE;

/* One of the events after, agent-whisper, agent-action, agent-event, recording. `what` is the
 * answer to give when fault.class is FAULT_NONE; it and its texts live during the callback. */
typedef void handoff_reply_fn(const struct fault *fault, const struct carrier_instruction *what,
                              void *arg);
int handoff_event(struct handoff *h, const struct carrier_identity *identity,
                  const struct carrier_event *event, handoff_reply_fn *on_done, void *arg) MUST_USE;

#endif
