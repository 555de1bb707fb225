#include "voice/realtime/sequencer.h"

#include "base/alloc.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

void seq_init(struct sequencer *q)
{
    *q = (struct sequencer){.state = SEQ_FREE, .next_name = 1};
}

void seq_ask_fini(struct seq_ask *ask)
{
    xfree(ask->body);
    *ask = (struct seq_ask){.body = NULL};
}

void seq_fini(struct sequencer *q)
{
    for (size_t i = 0; i < q->queued; i++) {
        seq_ask_fini(&q->queue[i]);
    }
    seq_ask_fini(&q->current);
    seq_init(q);
}

static void drop_at(struct sequencer *q, size_t i)
{
    q->queued--;
    for (; i < q->queued; i++) {
        q->queue[i] = q->queue[i + 1];
    }
}

static bool plain_waits(const struct sequencer *q)
{
    for (size_t i = 0; i < q->queued; i++) {
        if (q->queue[i].plain) {
            return true;
        }
    }
    return false;
}

int seq_push(struct sequencer *q, char *body, const char *tag, bool plain)
{
    struct seq_ask ask = {.body = body, .plain = plain};
    if (str_copy(str_of(tag), ask.tag, sizeof ask.tag) < 0) {
        seq_ask_fini(&ask);
        return -EMSGSIZE;
    }
    if (plain && plain_waits(q)) {
        seq_ask_fini(&ask); /* the one that waits will see everything said until it is sent */
        return 0;
    }
    /* One place stays free, so that an ask in flight can always come back. */
    if (q->queued >= SEQ_QUEUE_MAX - 1) {
        seq_ask_fini(&ask);
        return -EBUSY;
    }
    q->queue[q->queued++] = ask;
    return 0;
}

static void become_free(struct sequencer *q)
{
    q->state = SEQ_FREE;
    q->response_id[0] = '\0';
    q->cancel_wanted = false;
    q->current = (struct seq_ask){.body = NULL};
}

/* The first ask that may go now. A tagged ask may pass a plain one that is held back, never
 * another. */
static ptrdiff_t find_ready(const struct sequencer *q, int64_t now_us, bool hold_plain)
{
    for (size_t i = 0; i < q->queued; i++) {
        if (q->queue[i].plain && hold_plain) {
            continue;
        }
        return q->queue[i].not_before_us <= now_us ? (ptrdiff_t)i : -1;
    }
    return -1;
}

const struct seq_ask *seq_take(struct sequencer *q, int64_t now_us, bool hold_plain)
{
    if (q->state != SEQ_FREE) {
        return NULL;
    }
    ptrdiff_t i = find_ready(q, now_us, hold_plain);
    if (i < 0) {
        return NULL;
    }
    q->current = q->queue[i];
    drop_at(q, (size_t)i);
    /* Each try has a name of its own: an answer to the first is no answer to the second. */
    (void)snprintf(q->current.name, sizeof q->current.name, "dw_r%u", q->next_name++);
    q->state = SEQ_ASKED;
    q->since_us = now_us;
    return &q->current;
}

/* Makes the response in flight somebody else's; its ask goes back to the head of the queue. */
static void disown(struct sequencer *q)
{
    struct seq_ask ask = q->current;
    q->current = (struct seq_ask){.body = NULL};
    seq_again(q, &ask, 0);
}

static bool is_current(const struct sequencer *q, struct str name)
{
    return q->current.name[0] != '\0' && str_eq_cstr(name, q->current.name);
}

enum seq_outcome seq_created(struct sequencer *q, struct str response_id, struct str name,
                             int64_t now_us)
{
    if (q->state == SEQ_ACTIVE || q->state == SEQ_CANCELLING) {
        if (q->response_id[0] != '\0') {
            return SEQ_STRAY; /* a parallel one; the main one goes on */
        }
        str_copy_cut(response_id, q->response_id, sizeof q->response_id);
        q->since_us = now_us;
        return SEQ_FOREIGN;
    }
    /* A server that does not tell metadata back leaves the name empty: then it is the one asked
     * for. */
    bool ours = q->state == SEQ_ASKED && (name.len == 0 || is_current(q, name));
    if (q->state == SEQ_ASKED && !ours) {
        disown(q);
        q->cancel_wanted = false;
    }
    str_copy_cut(response_id, q->response_id, sizeof q->response_id);
    q->state = SEQ_ACTIVE;
    q->since_us = now_us;
    return ours ? SEQ_OURS : SEQ_FOREIGN;
}

void seq_alive(struct sequencer *q, int64_t now_us)
{
    if (q->state == SEQ_ACTIVE) {
        q->since_us = now_us;
    }
}

enum seq_outcome seq_ended(struct sequencer *q, struct str response_id, struct str name,
                           struct seq_ask *out)
{
    bool in_flight = q->state == SEQ_ACTIVE || q->state == SEQ_CANCELLING;
    bool named = q->state != SEQ_FREE && is_current(q, name); /* may come without its `created` */
    bool matches =
        in_flight && (q->response_id[0] == '\0' || str_eq_cstr(response_id, q->response_id));
    if (!named && !matches) {
        return SEQ_STRAY;
    }
    if (q->current.name[0] == '\0') {
        become_free(q);
        return SEQ_FOREIGN;
    }
    *out = q->current;
    become_free(q);
    return SEQ_OURS;
}

void seq_again(struct sequencer *q, struct seq_ask *ask, int64_t not_before_us)
{
    if (q->queued == SEQ_QUEUE_MAX || (ask->plain && plain_waits(q))) {
        seq_ask_fini(ask);
        return;
    }
    for (size_t i = q->queued; i > 0; i--) {
        q->queue[i] = q->queue[i - 1];
    }
    q->queued++;
    q->queue[0] = *ask;
    q->queue[0].not_before_us = not_before_us;
    *ask = (struct seq_ask){.body = NULL};
}

static void drop_plain(struct sequencer *q)
{
    for (size_t i = q->queued; i > 0; i--) {
        if (q->queue[i - 1].plain) {
            seq_ask_fini(&q->queue[i - 1]);
            drop_at(q, i - 1);
        }
    }
}

const char *seq_cancel(struct sequencer *q, int64_t now_us)
{
    drop_plain(q);
    switch (q->state) {
    case SEQ_ASKED:
        q->cancel_wanted = true;
        return NULL;
    case SEQ_ACTIVE:
        q->state = SEQ_CANCELLING;
        q->since_us = now_us;
        q->cancel_wanted = false;
        return q->response_id[0] == '\0' ? NULL : q->response_id;
    case SEQ_FREE:
    case SEQ_CANCELLING:
        break;
    }
    return NULL;
}

bool seq_cancel_due(const struct sequencer *q)
{
    return q->state == SEQ_ACTIVE && q->cancel_wanted;
}

enum seq_verdict seq_error(struct sequencer *q, struct str name, struct str code,
                           struct str message, int64_t now_us, struct seq_ask *out)
{
    bool ours = is_current(q, name);
    bool about = name.len == 0 && q->state == SEQ_ASKED &&
                 (str_contains(code, STR("response_create")) ||
                  str_contains(message, STR("response.create")) ||
                  str_eq(code, STR("conversation_already_has_active_response")));
    if (!ours && !about) {
        return SEQ_NOT_MINE;
    }
    if (!str_eq(code, STR("conversation_already_has_active_response"))) {
        *out = q->current;
        become_free(q);
        return SEQ_REFUSED;
    }
    disown(q);
    if (q->state == SEQ_ASKED) {
        /* Some response is alive whose id we may not know. Its end frees us. */
        q->response_id[0] = '\0';
        q->state = SEQ_ACTIVE;
        q->cancel_wanted = false;
        q->since_us = now_us;
    }
    return SEQ_KEPT;
}

int64_t seq_due_us(const struct sequencer *q)
{
    switch (q->state) {
    case SEQ_ASKED:
    case SEQ_CANCELLING:
        return q->since_us + SEQ_REPLY_US;
    case SEQ_ACTIVE:
        return q->since_us + (q->response_id[0] == '\0' ? SEQ_REPLY_US : SEQ_SILENT_US);
    case SEQ_FREE:
        break;
    }
    return q->queued > 0 ? q->queue[0].not_before_us : -1;
}

bool seq_expire(struct sequencer *q, int64_t now_us, struct seq_ask *out)
{
    if (q->state == SEQ_FREE || now_us < seq_due_us(q)) {
        return false;
    }
    *out = q->current;
    become_free(q);
    return true;
}
