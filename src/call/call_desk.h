/* call_desk.h -- the control side of live calls: which call lives on which media loop, what it told
 * us, what it asked for, and that all of it reaches the database.
 *
 * Every fact of a call (turn, note, opt-out, callback, recording, usage) is one write, in order per
 * call, repeated while the database is away; every write names what makes its repetition harmless.
 * Tool calls are answered after their write is committed, so the AI never promises what is not
 * stored.
 *
 * Owner   desk_open()/desk_close(); close after desk_drain() reported, on the control loop.
 * Thread  the control loop.
 * Limits  env->calls_max calls; DESK_WRITES_MAX waiting writes a call, then turns and usage are
 *         dropped and counted, never opt-outs: these are on disk too (opt_out_spool.h), and played
 *         into the database by whichever process comes next on this host.
 * Errors  desk_prepare: -EBUSY (full or draining), -EEXIST. desk_socket: -ENOENT (no such call: it
 *         is over or was never prepared), -EALREADY (its stream is live); then fd is still the
 * caller's. */
#ifndef CALL_CALL_DESK_H
#define CALL_CALL_DESK_H

#include "base/fault.h"
#include "call/call_plan.h"
#include "call/call_words.h"
#include "carrier/carrier.h"
#include "loop/loop.h"
#include "voice/voice.h"

#define DESK_WRITES_MAX 1024

struct call_desk;
struct http_socket;

/* What all calls share; constant while the desk is open. */
struct call_env {
    const struct carrier *carrier;
    const struct voice *voice;
    const char *realtime_url;
    const char *auth_header;
    const char *api_key;
    const char *model; /* default */
    const char *transcribe_model;
    const char *data_dir;
    size_t media_loops; /* threads; 0: calls live on the control loop (simulation, tests) */
    size_t calls_max;
    bool poll_only;      /* sockets do not go through io_uring, even where the kernel has it */
    int64_t warm_max_ms; /* prepared, and no stream for so long: given up; 0: never */
};

enum desk_write_kind {
    DESK_TURN,
    DESK_NOTE,
    DESK_OPT_OUT,
    DESK_CALLBACK,
    DESK_RECORDING,
    DESK_USAGE,
};

/* One write. Texts live until its done. */
struct desk_write {
    enum desk_write_kind kind;
    struct uuid organization_id;
    struct uuid call_id;
    int64_t at_us; /* wall time of the fact */
    union {
        struct {
            int32_t ordinal;
            const char *item_id;
            const char *speaker; /* "ai", "lead" */
            int64_t start_ms;    /* from the start of the stream; -1 unknown */
            int64_t end_ms;
            const char *body;
            const char *heard; /* "full", "cut", "none" */
            int64_t heard_ms;  /* -1 unknown */
        } turn;
        struct {
            const char *patch; /* JSON object, see app.call_note */
        } note;
        struct {
            const char *source; /* "model", "phrase", "dtmf" */
            const char *words;
            const char *phone; /* of the person; "" unknown */
        } opt_out;
        struct {
            int64_t due_us; /* what the lead asked for; or soon, after a failure of ours */
            const char *note;
        } callback;
        struct {
            struct uuid id;
            const char *leg; /* "ai" */
            const char *path;
            int64_t bytes;
            int64_t duration_ms;
            int64_t started_us;
        } recording;
        struct {
            const char *source; /* "realtime", "transcribe" */
            const char *item_key;
            int32_t seconds;
            const char *tokens; /* JSON object */
            int64_t cost_micros;
        } usage;
    };
};

/* What the database answered; only callbacks have one. */
struct desk_answer {
    bool accepted;
    int64_t due_us;
    struct str reason;
};
/* fault: NONE committed; REFUSED or BROKEN never repeated (logged), but for opt-outs, which are
 * tried on behind what else waits; all others repeated, opt-outs without an end. */
typedef void desk_stored_fn(const struct fault *fault, const struct desk_answer *answer, void *arg);

struct desk_store {
    /* Refused => silent (-EBUSY: repeated later, any other error as FAULT_BROKEN); accepted =>
     * on_stored exactly once, later. */
    int (*write)(const struct desk_write *w, desk_stored_fn *on_stored, void *on_stored_arg,
                 void *arg);
    void *arg;
};

struct desk_transfer {
    struct uuid organization_id;
    struct uuid call_id;
    struct uuid campaign_id;
    struct uuid lead_id;
    const char *reason;
    const char *summary;
};

struct desk_hooks {
    /* The AI asks for a human. Answer once, now or later, by desk_transfer_result(). NULL: no
     * humans. */
    void (*transfer)(const struct desk_transfer *ask, void *arg);
    /* The talk is over but the carrier would not let go of the line by itself: hang it up by REST.
     */
    void (*hangup)(const struct uuid *organization_id, const struct uuid *call_id,
                   const char *call_uuid, void *arg);
    /* The call left the media side, and all its writes are committed. */
    void (*settled)(const struct uuid *organization_id, const struct uuid *call_id, void *arg);
    void *arg;
};

int desk_open(struct call_desk **out, struct loop *loop, const struct call_env *env,
              const struct desk_store *store, const struct desk_hooks *hooks) MUST_USE;
void desk_close(struct call_desk **desk);

/* Warm up a call that was placed: connects and configures the model. Takes *plan over on success.
 */
int desk_prepare(struct call_desk *desk, struct call_plan **plan) MUST_USE;
/* The carrier's media socket for a call arrived (token proven). call_uuid: what `start` must name.
 */
int desk_socket(struct call_desk *desk, const struct uuid *call_id, const char *call_uuid, int fd,
                struct str already_read, struct http_socket *handle) MUST_USE;
/* The call is over for another reason (hang-up webhook, not answered, machine). With
 * CALL_END_OPTED_OUT a talk is ended politely: the wish is confirmed, goodbye is said. */
void desk_end(struct call_desk *desk, const struct uuid *call_id, enum call_end reason);
/* The carrier heard a machine: ends the call when its campaign hangs up on machines (amd: hangup);
 * with amd: detect the call is only marked, which the database did. */
void desk_machine(struct call_desk *desk, const struct uuid *call_id);
/* ok: an agent is being found, the AI says so and the stream ends; else `why` is told to the AI. */
void desk_transfer_result(struct call_desk *desk, const struct uuid *call_id, bool ok,
                          const char *why);
/* For the `after` webhook; remembered for a minute after the call. */
enum call_next desk_next(const struct call_desk *desk, const struct uuid *call_id);
/* The talk is over and chose what comes next (desk_next() is no guess). */
bool desk_decided(const struct call_desk *desk, const struct uuid *call_id);
bool desk_has(const struct call_desk *desk, const struct uuid *call_id);

size_t desk_count(const struct call_desk *desk); /* calls that live or have writes waiting */
/* No new calls; on_drained once when the last one is settled. Ends nothing by force. */
void desk_drain(struct call_desk *desk, loop_fn *on_drained, void *arg);

#endif
