/* call.h -- one talk, from the moment its number is dialed to its last transcript: the media side.
 *
 *   warming -> joining -> opening -> talking -> handover ----+
 *                  \          \         \--> closing ---------+--> leaving -> over
 *                   \----------\-----------> (lost, failed) --/
 *
 * While it rings the model is connected and configured; when the carrier's stream arrives the
 * disclosure and greeting are spoken, from disk if this voice said these words before. A call that
 * could not disclose does not talk. What is said, heard, asked for and spent is sent up as
 * messages.
 *
 * Owner   the media loop's table of calls; call_free() after on_over, or at shutdown (hard,
 * silent). Thread  the media loop's. `up` takes the message over and never fails. Time    all waits
 * on the loop's clock; see the constants in call.c. Errors  none leave: whatever breaks, the call
 * ends politely and says why in its last message. Source  docs/call-states.md. */
#ifndef CALL_CALL_H
#define CALL_CALL_H

#include "call/call_fsm.h"
#include "call/call_msg.h"
#include "media/pacer.h"

struct call;

struct call_host { /* what a media loop gives to its calls */
    struct loop *loop;
    struct http_client *http;
    struct pace_clock *clock;
    struct jscan *scan;
    const struct call_env *env;
    void (*up)(struct call_up *message, void *arg);
    void (*on_over)(struct call *call, struct call_ref ref,
                    void *arg); /* later, never inside a call_ function */
    void *arg;
};

struct call *call_new(const struct call_host *host, struct call_ref ref,
                      struct call_plan **plan) MUST_USE;
void call_free(struct call **call);
/* The carrier's socket; the message's descriptor is taken. A second one is refused (closed,
 * reported). */
void call_socket(struct call *call, struct call_down *message);
void call_end(struct call *call, enum call_end end);
void call_answer(struct call *call, const struct call_down *message);
enum call_phase call_phase(const struct call *call);

#endif
