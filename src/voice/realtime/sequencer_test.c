#include "voice/realtime/sequencer.h"

#include "base/alloc.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BUSY STR("conversation_already_has_active_response")

static const struct seq_ask *push_and_take(struct sequencer *q, const char *tag)
{
    cr_assert_eq(seq_push(q, NULL, tag, false), 0);
    return seq_take(q, 0, false);
}

Test(sequencer, one_at_a_time)
{
    struct sequencer q;
    seq_init(&q);
    const struct seq_ask *first = push_and_take(&q, "greeting");
    cr_assert_not_null(first);
    cr_assert_str_eq(first->tag, "greeting");
    struct str name = str_of(first->name);
    cr_assert_null(push_and_take(&q, "second"), "busy from the moment of sending");
    cr_assert_eq(seq_created(&q, STR("r1"), name, 0), SEQ_OURS);
    cr_assert_null(seq_take(&q, 0, false), "busy while active");
    struct seq_ask out = {.body = NULL};
    cr_assert_eq(seq_ended(&q, STR("other"), STR_NONE, &out), SEQ_STRAY);
    cr_assert_eq(seq_ended(&q, STR("r1"), name, &out), SEQ_OURS);
    cr_assert_str_eq(out.tag, "greeting");
    cr_assert_str_eq(seq_take(&q, 0, false)->tag, "second");
    seq_fini(&q);
}

Test(sequencer, collision_waits_for_the_other_to_end)
{
    struct sequencer q;
    seq_init(&q);
    char name[SEQ_NAME_SIZE];
    str_copy_cut(str_of(push_and_take(&q, "a")->name), name, sizeof name);
    struct seq_ask out = {.body = NULL};
    cr_assert_eq(seq_error(&q, str_of(name), BUSY, STR_NONE, 0, &out), SEQ_KEPT);
    cr_assert_null(seq_take(&q, 0, false), "another response is alive");
    cr_assert_eq(seq_ended(&q, STR("theirs"), STR_NONE, &out), SEQ_FOREIGN);
    const struct seq_ask *again = seq_take(&q, 0, false);
    cr_assert_not_null(again);
    cr_assert_str_eq(again->tag, "a");
    cr_assert_str_neq(again->name, name, "an answer to the first try is no answer to the second");
    seq_fini(&q);
}

Test(sequencer, errors_find_their_ask)
{
    static const struct {
        const char *label, *event_id, *code, *message;
        bool asked;
        enum seq_verdict verdict;
    } rows[] = {
        {"by id", "*", "invalid_value", "", true, SEQ_REFUSED},
        {"by code", "", "response_create_failed", "", true, SEQ_REFUSED},
        {"by message", "", "", "bad response.create", true, SEQ_REFUSED},
        {"busy without id", "", "conversation_already_has_active_response", "", true, SEQ_KEPT},
        {"another id", "dw_c5", "invalid_value", "response.create", true, SEQ_NOT_MINE},
        {"no hint", "", "invalid_value", "Invalid value", true, SEQ_NOT_MINE},
        {"nothing asked", "", "response_create_failed", "", false, SEQ_NOT_MINE},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct sequencer q;
        seq_init(&q);
        struct str id = str_of(rows[i].event_id);
        if (rows[i].asked) {
            const struct seq_ask *ask = push_and_take(&q, "t");
            id = str_eq(id, STR("*")) ? str_of(ask->name) : id;
        }
        char copy[SEQ_NAME_SIZE];
        str_copy_cut(id, copy, sizeof copy);
        struct seq_ask out = {.body = NULL};
        cr_expect_eq(
            seq_error(&q, str_of(copy), str_of(rows[i].code), str_of(rows[i].message), 0, &out),
            rows[i].verdict, "%s", rows[i].label);
        seq_ask_fini(&out);
        seq_fini(&q);
    }
}

Test(sequencer, cancel_before_and_after_confirmation)
{
    struct sequencer q;
    seq_init(&q);
    cr_assert_null(seq_cancel(&q, 0), "nothing to cancel");
    (void)push_and_take(&q, "t");
    cr_assert_null(seq_cancel(&q, 0), "it has no id yet");
    cr_assert_eq(seq_created(&q, STR("r1"), STR_NONE, 0), SEQ_OURS);
    cr_assert(seq_cancel_due(&q));
    cr_assert_str_eq(seq_cancel(&q, 0), "r1");
    cr_assert_null(seq_cancel(&q, 0), "once");
    struct seq_ask out = {.body = NULL};
    cr_assert_eq(seq_ended(&q, STR("r1"), STR_NONE, &out), SEQ_OURS);
    cr_assert_eq(q.state, SEQ_FREE);
    seq_fini(&q);
}

Test(sequencer, plain_asks_merge_wait_and_fall_to_a_cancel)
{
    struct sequencer q;
    seq_init(&q);
    cr_assert_eq(seq_push(&q, NULL, "", true), 0);
    cr_assert_eq(seq_push(&q, NULL, "", true), 0);
    cr_assert_eq(q.queued, 1);
    cr_assert_null(seq_take(&q, 0, true), "the lead talks");
    cr_assert_eq(seq_push(&q, NULL, "told", false), 0);
    cr_assert_str_eq(seq_take(&q, 0, true)->tag, "told", "an order passes one that is held");
    (void)seq_cancel(&q, 0);
    cr_assert_eq(q.queued, 0);
    seq_fini(&q);
}

Test(sequencer, gives_up_in_time)
{
    struct sequencer q;
    seq_init(&q);
    cr_assert_eq(seq_due_us(&q), -1);
    (void)push_and_take(&q, "t");
    struct seq_ask out = {.body = NULL};
    cr_assert_eq(seq_due_us(&q), SEQ_REPLY_US);
    cr_assert_not(seq_expire(&q, SEQ_REPLY_US - 1, &out));
    cr_assert(seq_expire(&q, SEQ_REPLY_US, &out));
    cr_assert_str_eq(out.tag, "t");
    cr_assert_eq(q.state, SEQ_FREE);
    (void)push_and_take(&q, "u");
    (void)seq_created(&q, STR("r"), STR_NONE, 0);
    seq_alive(&q, 5);
    cr_assert_eq(seq_due_us(&q), SEQ_SILENT_US + 5);
    seq_fini(&q);
}

Test(sequencer, limits)
{
    struct sequencer q;
    seq_init(&q);
    char tag[SEQ_TAG_SIZE + 1];
    memset(tag, 'x', SEQ_TAG_SIZE);
    tag[SEQ_TAG_SIZE] = '\0';
    cr_assert_eq(seq_push(&q, xstrdup("body"), tag, false), -EMSGSIZE);
    for (int i = 0; i < SEQ_QUEUE_MAX - 1; i++) {
        cr_assert_eq(seq_push(&q, xstrdup("body"), "t", false), 0);
    }
    cr_assert_eq(seq_push(&q, xstrdup("body"), "t", false), -EBUSY);
    seq_fini(&q);
}

/* A server that confirms, ends, refuses, loses and starts its own responses in any order; after
 * every step at most one of ours is in flight, and at the end every order was answered or given up.
 */
struct world {
    struct sequencer q;
    char name[SEQ_NAME_SIZE]; /* ours at the server, "" none */
    char id[16];              /* alive at the server, "" none */
    bool alive_is_ours;
    int pushed, settled;
    int64_t now_us;
    unsigned next_id;
};

static void server_takes(struct world *w)
{
    const struct seq_ask *ask = seq_take(&w->q, w->now_us, false);
    if (ask == NULL) {
        return;
    }
    cr_assert_str_empty(w->name, "a second request while one is in flight");
    cr_assert(w->id[0] == '\0' || !w->alive_is_ours, "a request while ours is alive");
    str_copy_cut(str_of(ask->name), w->name, sizeof w->name);
}

static void server_answers(struct world *w)
{
    struct seq_ask out = {.body = NULL};
    if (w->id[0] != '\0') {
        (void)seq_error(&w->q, str_of(w->name), BUSY, STR_NONE, w->now_us, &out);
        w->name[0] = '\0';
        return;
    }
    (void)snprintf(w->id, sizeof w->id, "r%u", w->next_id++);
    cr_assert_eq(seq_created(&w->q, str_of(w->id), str_of(w->name), w->now_us), SEQ_OURS);
    w->alive_is_ours = true;
}

static void server_ends(struct world *w)
{
    struct seq_ask out = {.body = NULL};
    struct str name = w->alive_is_ours ? str_of(w->name) : STR_NONE;
    enum seq_outcome outcome = seq_ended(&w->q, str_of(w->id), name, &out);
    if (w->alive_is_ours) {
        cr_assert_eq(outcome, SEQ_OURS);
        w->settled++;
        w->name[0] = '\0';
    }
    seq_ask_fini(&out);
    w->id[0] = '\0';
    w->alive_is_ours = false;
}

static void step(struct world *w, int what)
{
    w->now_us += US_PER_MS;
    if (what == 0 && seq_push(&w->q, xstrdup("\"x\":1"), "t", false) == 0) {
        w->pushed++;
    } else if (what == 1 && w->name[0] != '\0' && !w->alive_is_ours) {
        server_answers(w);
    } else if (what == 2 && w->id[0] != '\0') {
        server_ends(w);
    } else if (what == 3 && w->id[0] == '\0' && w->name[0] == '\0') {
        (void)snprintf(w->id, sizeof w->id, "s%u", w->next_id++); /* of its own accord, silently */
    } else if (what == 4) {
        (void)seq_cancel(&w->q, w->now_us);
    }
    server_takes(w);
}

Test(sequencer, random_servers)
{
    for (unsigned seed = 1; seed <= 300; seed++) {
        struct world w = {.next_id = 1};
        unsigned dice = seed * 2654435761u;
        seq_init(&w.q);
        for (int i = 0; i < 400; i++) {
            dice = dice * 1664525u + 1013904223u;
            step(&w, (int)(dice >> 16) % 5);
        }
        for (int i = 0; i < 200; i++) {
            step(&w, i % 2 + 1);
        }
        cr_assert_eq(w.settled, w.pushed, "seed %u: %d of %d settled", seed, w.settled, w.pushed);
        cr_assert_eq(w.q.state, SEQ_FREE, "seed %u", seed);
        seq_fini(&w.q);
    }
}
