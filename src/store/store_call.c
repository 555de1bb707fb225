#include "store/store_call.h"

#include "base/alloc.h"
#include "store/pg_tx.h"
#include "store/store_ask.h"

/* Everything about one call, in the order it was started. */
static struct pg_tx *call_tx(struct pg_pool *db, const struct uuid *organization_id,
                             const struct uuid *call_id, enum sql_id id)
{
    struct pg_tx *tx = pg_tx_new(db, PG_WORKER, organization_id);
    pg_tx_ordered(tx, call_id);
    pg_tx_statement(tx, id);
    pg_tx_uuid(tx, call_id);
    return tx;
}

/* --- reports ------------------------------------------------------------------------------------
 */

static void on_event(const struct pg_answer *a, void *arg)
{
    const struct ask *ask = arg;
    struct store_event_result r = {.known = false};
    if (ask_has_row(a, 0)) {
        r.applied = pg_bool(a, 0, 0, COL_CALL_EVENT_APPLIED);
        r.duplicate = pg_bool(a, 0, 0, COL_CALL_EVENT_DUPLICATE);
        r.anomaly = pg_bool(a, 0, 0, COL_CALL_EVENT_ANOMALY);
        r.status = pg_str(a, 0, 0, COL_CALL_EVENT_STATUS);
        r.known = r.status.p != NULL;
    }
    ask->on.event(&a->fault, &r, ask->arg);
}

int store_event(struct pg_tx **op, struct pg_pool *db, const struct store_report *report,
                store_event_fn *on_done, void *arg)
{
    struct pg_tx *tx = call_tx(db, report->organization_id, report->call_id, SQL_CALL_EVENT);
    struct ask *ask = ask_new(tx, arg);
    ask->on.event = on_done;
    pg_tx_cstr(tx, report->kind);
    pg_tx_cstr(tx, report->event_key);
    pg_tx_word(tx, report->call_uuid);
    pg_tx_word(tx, report->request_uuid);
    pg_tx_word(tx, report->carrier_status);
    pg_tx_json(tx, report->payload);
    pg_tx_time(tx, report->at_us);
    return pg_tx_start(&tx, op, on_event, ask);
}

static void on_answer(const struct pg_answer *a, void *arg)
{
    const struct ask *ask = arg;
    struct store_answer_result r = {.talk = false};
    if (ask_has_row(a, 0)) {
        r.talk = str_eq_cstr(pg_str(a, 0, 0, COL_CALL_ANSWER_VERDICT), "talk");
        r.reason = pg_str(a, 0, 0, COL_CALL_ANSWER_REASON);
        r.status = pg_str(a, 0, 0, COL_CALL_ANSWER_STATUS);
        r.duplicate = pg_bool(a, 0, 0, COL_CALL_ANSWER_DUPLICATE);
        r.anomaly = pg_bool(a, 0, 0, COL_CALL_ANSWER_ANOMALY);
    }
    ask->on.answer(&a->fault, &r, ask->arg);
}

int store_answer(struct pg_tx **op, struct pg_pool *db, const struct store_report *report,
                 const uint8_t token_hash[32], int64_t token_expires_us, store_answer_fn *on_done,
                 void *arg)
{
    struct pg_tx *tx = call_tx(db, report->organization_id, report->call_id, SQL_CALL_ANSWER);
    struct ask *ask = ask_new(tx, arg);
    ask->on.answer = on_done;
    pg_tx_cstr(tx, report->event_key);
    pg_tx_word(tx, report->call_uuid);
    pg_tx_word(tx, report->request_uuid);
    pg_tx_json(tx, report->payload);
    pg_tx_bytes(tx, token_hash, 32);
    pg_tx_time(tx, token_expires_us);
    pg_tx_time(tx, report->at_us);
    return pg_tx_start(&tx, op, on_answer, ask);
}

static void on_hangup(const struct pg_answer *a, void *arg)
{
    const struct ask *ask = arg;
    struct store_hangup_result r = {.will_retry = false};
    if (ask_has_row(a, 0)) {
        r.status = pg_str(a, 0, 0, COL_CALL_HANGUP_STATUS);
        r.outcome = pg_str(a, 0, 0, COL_CALL_HANGUP_OUTCOME);
        r.will_retry = pg_bool(a, 0, 0, COL_CALL_HANGUP_WILL_RETRY);
        r.next_retry_us = pg_time(a, 0, 0, COL_CALL_HANGUP_NEXT_RETRY_AT);
        r.duplicate = pg_bool(a, 0, 0, COL_CALL_HANGUP_DUPLICATE);
        r.anomaly = pg_bool(a, 0, 0, COL_CALL_HANGUP_ANOMALY);
    }
    ask->on.hangup(&a->fault, &r, ask->arg);
}

int store_hangup(struct pg_tx **op, struct pg_pool *db, const struct store_report *report,
                 const struct store_end *end, store_hangup_fn *on_done, void *arg)
{
    struct pg_tx *tx = call_tx(db, report->organization_id, report->call_id, SQL_CALL_HANGUP);
    struct ask *ask = ask_new(tx, arg);
    ask->on.hangup = on_done;
    pg_tx_cstr(tx, report->event_key);
    pg_tx_word(tx, report->call_uuid);
    pg_tx_word(tx, report->request_uuid);
    pg_tx_word(tx, report->carrier_status);
    pg_tx_word(tx, end->cause);
    pg_tx_i64(tx, end->cause_code);
    pg_tx_word(tx, end->source);
    pg_tx_time(tx, end->answered_us);
    pg_tx_time(tx, end->ended_us);
    pg_tx_i64(tx, end->duration_s);
    pg_tx_i64(tx, end->billed_s);
    pg_tx_i64(tx, end->cost_micros);
    pg_tx_word(tx, end->currency);
    pg_tx_word(tx, end->outcome);
    pg_tx_word(tx, end->disconnect_reason);
    pg_tx_json(tx, report->payload);
    pg_tx_time(tx, report->at_us);
    return pg_tx_start(&tx, op, on_hangup, ask);
}

static void on_media_token(const struct pg_answer *a, void *arg)
{
    const struct ask *ask = arg;
    struct uuid call_id = {.b = {0}};
    struct uuid organization_id = {.b = {0}};
    struct str call_uuid = STR_NONE;
    if (ask_has_row(a, 0)) {
        call_id = pg_uuid(a, 0, 0, COL_CALL_MEDIA_TOKEN_CALL_ID);
        organization_id = pg_uuid(a, 0, 0, COL_CALL_MEDIA_TOKEN_ORGANIZATION_ID);
        call_uuid = pg_str(a, 0, 0, COL_CALL_MEDIA_TOKEN_CALL_UUID);
    }
    ask->on.media_token(&a->fault, &call_id, &organization_id, call_uuid, ask->arg);
}

/* Both say the same three columns. */
static_assert((int)COL_CALL_MEDIA_LOOK_CALL_ID == (int)COL_CALL_MEDIA_TOKEN_CALL_ID &&
                  (int)COL_CALL_MEDIA_LOOK_CALL_UUID == (int)COL_CALL_MEDIA_TOKEN_CALL_UUID,
              "one reader");

static struct pg_tx *media_tx(struct pg_pool *db, enum sql_id statement,
                              const uint8_t token_hash[32], int64_t at_us)
{
    struct pg_tx *tx = pg_tx_new(db, PG_WORKER, NULL);
    pg_tx_statement(tx, statement);
    pg_tx_bytes(tx, token_hash, 32);
    pg_tx_time(tx, at_us);
    return tx;
}

int store_media_look(struct pg_tx **op, struct pg_pool *db, const uint8_t token_hash[32],
                     int64_t at_us, store_media_token_fn *on_done, void *arg)
{
    struct pg_tx *tx = media_tx(db, SQL_CALL_MEDIA_LOOK, token_hash, at_us);
    struct ask *ask = ask_new(tx, arg);
    ask->on.media_token = on_done;
    return pg_tx_start(&tx, op, on_media_token, ask);
}

int store_media_token(struct pg_tx **op, struct pg_pool *db, const uint8_t token_hash[32],
                      int64_t at_us, store_media_token_fn *on_done, void *arg)
{
    struct pg_tx *tx = media_tx(db, SQL_CALL_MEDIA_TOKEN, token_hash, at_us);
    struct ask *ask = ask_new(tx, arg);
    ask->on.media_token = on_done;
    return pg_tx_start(&tx, op, on_media_token, ask);
}

/* --- the talk -----------------------------------------------------------------------------------
 */

static void add_ms(struct pg_tx *tx, int64_t ms)
{
    if (ms < 0) {
        pg_tx_null(tx);
    } else {
        pg_tx_i64(tx, ms);
    }
}

int store_turn(struct pg_tx **op, struct pg_pool *db, const struct uuid *organization_id,
               const struct uuid *call_id, const struct store_turn *turn, int64_t at_us,
               store_done_fn *on_done, void *arg)
{
    struct pg_tx *tx = call_tx(db, organization_id, call_id, SQL_CALL_TURN);
    struct ask *ask = ask_new(tx, arg);
    ask->on.done = on_done;
    pg_tx_i64(tx, turn->ordinal);
    pg_tx_word(tx, turn->item_id);
    pg_tx_cstr(tx, turn->speaker);
    add_ms(tx, turn->start_ms);
    add_ms(tx, turn->end_ms);
    pg_tx_text(tx, turn->body);
    pg_tx_cstr(tx, turn->heard);
    add_ms(tx, turn->heard_ms);
    pg_tx_time(tx, at_us);
    return pg_tx_start(&tx, op, ask_done_only, ask);
}

int store_note(struct pg_tx **op, struct pg_pool *db, const struct uuid *organization_id,
               const struct uuid *call_id, const json_t *patch, int64_t at_us,
               store_done_fn *on_done, void *arg)
{
    struct pg_tx *tx = call_tx(db, organization_id, call_id, SQL_CALL_NOTE);
    struct ask *ask = ask_new(tx, arg);
    ask->on.done = on_done;
    pg_tx_json(tx, patch);
    pg_tx_time(tx, at_us);
    return pg_tx_start(&tx, op, ask_done_only, ask);
}

static void on_opt_out(const struct pg_answer *a, void *arg)
{
    const struct ask *ask = arg;
    if (!ask_has_row(a, 0)) {
        /* No such call, and no number: nothing was written, and nobody may believe it was. */
        struct fault none = fault_make(FAULT_REFUSED, 0, "no_such_call", "no row and no number");
        ask->on.opt_out(a->fault.class == FAULT_NONE ? &none : &a->fault, false, 0, STR_NONE,
                        ask->arg);
        return;
    }
    ask->on.opt_out(&a->fault, pg_bool(a, 0, 0, COL_CALL_OPT_OUT_ADDED),
                    pg_i64(a, 0, 0, COL_CALL_OPT_OUT_REMOVED),
                    pg_str(a, 0, 0, COL_CALL_OPT_OUT_LIVE_CALLS), ask->arg);
}

int store_opt_out(struct pg_tx **op, struct pg_pool *db, const struct uuid *organization_id,
                  const struct uuid *call_id, const struct store_opt_out_words *said, int64_t at_us,
                  store_opt_out_fn *on_done, void *arg)
{
    struct pg_tx *tx = call_tx(db, organization_id, call_id, SQL_CALL_OPT_OUT);
    struct ask *ask = ask_new(tx, arg);
    ask->on.opt_out = on_done;
    pg_tx_cstr(tx, said->source);
    pg_tx_text(tx, said->words);
    pg_tx_time(tx, at_us);
    pg_tx_cstr(tx, said->phone);
    return pg_tx_start(&tx, op, on_opt_out, ask);
}

#define REFUSED_MAX 1000 /* talks in one look; the next one comes in a second */

static void on_refused(const struct pg_answer *a, void *arg)
{
    const struct ask *ask = arg;
    size_t count = ask_has_row(a, 0) ? pg_rows(a, 0) : 0;
    struct uuid *ids = xcalloc(count + 1, sizeof *ids);
    for (size_t i = 0; i < count; i++) {
        ids[i] = pg_uuid(a, 0, i, COL_CALL_LIVE_REFUSED_CALL_ID);
    }
    ask->on.refused(&a->fault, ids, count, ask->arg);
    xfree(ids);
}

int store_live_refused(struct pg_tx **op, struct pg_pool *db, store_refused_fn *on_done, void *arg)
{
    struct pg_tx *tx = pg_tx_new(db, PG_WORKER, NULL);
    struct ask *ask = ask_new(tx, arg);
    ask->on.refused = on_done;
    pg_tx_statement(tx, SQL_CALL_LIVE_REFUSED);
    pg_tx_i64(tx, REFUSED_MAX);
    return pg_tx_start(&tx, op, on_refused, ask);
}

static void on_callback(const struct pg_answer *a, void *arg)
{
    const struct ask *ask = arg;
    if (!ask_has_row(a, 0)) {
        ask->on.callback(&a->fault, false, 0, STR_NONE, ask->arg);
        return;
    }
    ask->on.callback(&a->fault, pg_bool(a, 0, 0, COL_CALL_CALLBACK_ACCEPTED),
                     pg_time(a, 0, 0, COL_CALL_CALLBACK_DUE_AT),
                     pg_str(a, 0, 0, COL_CALL_CALLBACK_REASON), ask->arg);
}

int store_callback(struct pg_tx **op, struct pg_pool *db, const struct uuid *organization_id,
                   const struct uuid *call_id, int64_t due_us, struct str note, int64_t at_us,
                   store_callback_fn *on_done, void *arg)
{
    struct pg_tx *tx = call_tx(db, organization_id, call_id, SQL_CALL_CALLBACK);
    struct ask *ask = ask_new(tx, arg);
    ask->on.callback = on_done;
    pg_tx_time(tx, due_us);
    pg_tx_text(tx, note);
    pg_tx_time(tx, at_us);
    return pg_tx_start(&tx, op, on_callback, ask);
}

int store_recording(struct pg_tx **op, struct pg_pool *db, const struct store_recording *recording,
                    store_done_fn *on_done, void *arg)
{
    struct pg_tx *tx =
        call_tx(db, recording->organization_id, recording->call_id, SQL_CALL_RECORDING);
    struct ask *ask = ask_new(tx, arg);
    ask->on.done = on_done;
    pg_tx_uuid(tx, recording->recording_id);
    pg_tx_cstr(tx, recording->leg);
    pg_tx_cstr(tx, recording->path);
    pg_tx_cstr(tx, recording->url);
    pg_tx_i64(tx, recording->bytes);
    pg_tx_i64(tx, recording->duration_ms);
    pg_tx_time(tx, recording->started_us);
    pg_tx_time(tx, recording->at_us);
    return pg_tx_start(&tx, op, ask_done_only, ask);
}

int store_usage(struct pg_tx **op, struct pg_pool *db, const struct store_usage *usage,
                store_done_fn *on_done, void *arg)
{
    struct pg_tx *tx = call_tx(db, usage->organization_id, usage->call_id, SQL_CALL_USAGE);
    struct ask *ask = ask_new(tx, arg);
    ask->on.done = on_done;
    pg_tx_cstr(tx, usage->source);
    pg_tx_cstr(tx, usage->item_key);
    pg_tx_i64(tx, usage->seconds);
    pg_tx_json(tx, usage->tokens);
    pg_tx_i64(tx, usage->cost_micros);
    pg_tx_time(tx, usage->at_us);
    return pg_tx_start(&tx, op, ask_done_only, ask);
}
