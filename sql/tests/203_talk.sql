-- What a talk leaves behind: turns, notes, opt-out tenant-wide, callbacks, recording, usage; early, late and twice.
BEGIN;
\ir fixture.psql
\ir life.psql
SELECT no_plan();
SELECT pg_temp.tenant(n) FROM generate_series(1, 2) n \g /dev/null
SELECT pg_temp.act(1) \g /dev/null
SELECT engine.worker_start(pg_temp.node(), 'one', '0.1', NULL, pg_temp.worker(), '/run/w', '2026-11-17 14:00Z') \g /dev/null
CREATE FUNCTION pg_temp.talking(k int) RETURNS uuid LANGUAGE plpgsql AS $$
DECLARE
    call uuid;
BEGIN
    PERFORM pg_temp.lead(1, k);
    call := pg_temp.claim('2026-11-17 15:00Z');
    PERFORM pg_temp.place(call, 'placed', '2026-11-17 15:00:01Z');
    PERFORM pg_temp.answer(call, '2026-11-17 15:00:10Z');
    RETURN call;
END
$$;
SELECT pg_temp.talking(1) AS a \gset
-- Turns.
SELECT app.turn_put(:'a', 0, 'i-0', 'ai', 0, 900, 'Hello, this is an AI.', 'full', 900, now()) \g /dev/null
SELECT app.turn_put(:'a', 2, NULL, 'ai', 2000, 2500, 'The price is one hundred and', 'cut', 500, now()) \g /dev/null
SELECT app.turn_put(:'a', 1, 'i-1', 'lead', 1000, 1900, 'Hi', 'full', NULL, now()) \g /dev/null
SELECT app.turn_put(:'a', 1, 'i-1', 'lead', 1000, 1900, E'Hi there,\nwho is this?', 'full', NULL, now()) \g /dev/null
SELECT app.turn_put(:'a', 3, NULL, 'ai', NULL, NULL, 'Nobody heard this.', 'none', 0, now()) \g /dev/null
SELECT is((SELECT count(*) FROM call_turns WHERE call_log_id = :'a'), 4::bigint, 'a turn said again replaces itself');
SELECT is((SELECT conversation_transcript FROM call_logs WHERE id = :'a'), NULL, 'no text while turns still come');
-- Notes.
SELECT is(app.call_note(:'a', '{"disposition": "interested", "disconnect_notes": "x", "interest_level": "high", "disclosure_played_at": "2026-11-17T15:00:12Z"}', '2026-11-17 15:00:20Z'), true, 'a note');
SELECT app.call_note(:'a', '{"disclosure_played_at": "2026-11-17T15:00:30Z", "errors": 2}', '2026-11-17 15:00:20Z') \g /dev/null
SELECT results_eq(format($$SELECT disposition, disclosure_played_at, ai_analysis #>> '{noted,interest_level}', ai_analysis #>> '{noted,errors}', interest_level FROM call_logs WHERE id = %L$$, :'a'),
    $$VALUES ('interested', '2026-11-17 15:00:12Z'::timestamptz, 'high', '2', NULL::text)$$, 'kept; merged; interest stays the insight''s');
SELECT throws_ok(format($$SELECT app.call_note(%L, '{"disposition": "delighted"}', now())$$, :'a'), '23514', NULL, 'a word outside the vocabulary');
SELECT engine.media_token_take(sha256(:'a'::text::bytea), '2026-11-17 15:00:20Z') \g /dev/null
SELECT is((SELECT next_reconcile_at FROM call_logs WHERE id = :'a') > '2026-11-17 16:00Z', true, 'a talk is not asked about for long');
SELECT app.call_note(:'a', '{"media_ended_at": "2026-11-17T15:01:00Z"}', '2026-11-17 15:01Z') \g /dev/null
SELECT is((SELECT next_reconcile_at FROM call_logs WHERE id = :'a'), '2026-11-17 15:01:15Z', 'until its socket is gone');
SELECT app.call_note(:'a', '{"disconnect_reason": "silence_timeout"}', now()) \g /dev/null
SELECT pg_temp.hangup(:'a', 'answered', '2026-11-17 15:00:10Z', '2026-11-17 15:01:10Z', 'caller_hangup') \g /dev/null
SELECT is((SELECT disconnect_reason FROM call_logs WHERE id = :'a'), 'silence_timeout', 'the talk knows best why it ended');
SELECT is((SELECT conversation_transcript FROM call_logs WHERE id = :'a'), E'AI: Hello, this is an AI.\nLead: Hi there, who is this?\nAI: The price is one hundred and —', 'the text is built from the turns');
SELECT app.turn_put(:'a', 4, NULL, 'agent', 3000, 3500, 'Good day.', 'full', NULL, now()) \g /dev/null
SELECT matches((SELECT conversation_transcript FROM call_logs WHERE id = :'a'), E'Agent: Good day\\.$', 'a straggler still gets in');
SELECT is(app.turn_put('00000000-0000-7000-8000-000000000000', 0, NULL, 'ai', 0, 0, 'x', 'full', 0, now()), false, 'no such call');
SELECT pg_temp.lead(1, 8) \g /dev/null
SELECT pg_temp.claim('2026-11-17 15:00Z') AS z \gset
SELECT pg_temp.place(:'z', 'placed', '2026-11-17 15:00:01Z') \g /dev/null
SELECT app.call_note(:'z', '{"disconnect_reason": "cancelled"}', now()) \g /dev/null
SELECT pg_temp.hangup(:'z', 'no_answer', NULL, '2026-11-17 15:00:40Z') \g /dev/null
SELECT is((SELECT disconnect_reason FROM call_logs WHERE id = :'z'), 'no_answer', 'without a talk the carrier''s word counts');
UPDATE call_queue SET status = 'failed' WHERE id = pg_temp.id(1, 208);
-- Recording, usage.
SELECT app.recording_put(:'a', 'e0000000-0000-7000-8000-000000000001', 'ai', 'a/b.wav', 'https://x/r', 100, 60000, '2026-11-17 15:00:10Z', '2026-11-17 15:01:10Z') \g /dev/null
SELECT app.recording_put(:'a', 'e0000000-0000-7000-8000-000000000001', 'ai', 'a/b.wav', 'https://x/r', 200, 60000, '2026-11-17 15:00:10Z', '2026-11-17 15:01:10Z') \g /dev/null
SELECT results_eq($$SELECT count(*), max(bytes) FROM recordings$$, $$VALUES (1::bigint, 200::int8)$$, 'one recording');
SELECT is((SELECT recording_url FROM call_logs WHERE id = :'a'), 'https://x/r', 'its URL is the call''s');
SELECT is(app.usage_add(:'a', 'realtime', 'resp_1', 10, '{"model": "m", "input": 5}', 400, now()), true, 'usage');
SELECT is(app.usage_add(:'a', 'realtime', 'resp_1', 10, '{"model": "m", "input": 5}', 400, now()), false, 'once');
SELECT is((SELECT model FROM usage_ledger WHERE item_key = 'resp_1'), 'm', 'with its model');

-- Opt-out: tenant-wide by number, queued rows of every campaign, one commit.
SELECT pg_temp.talking(2) AS b \gset
INSERT INTO campaigns (organization_id, id, name, status) VALUES (pg_temp.org(1), pg_temp.id(1, 4), 'second', 'active');
INSERT INTO call_queue (organization_id, campaign_id, lead_id) VALUES (pg_temp.org(1), pg_temp.id(1, 4), pg_temp.id(1, 12));
INSERT INTO leads (organization_id, id, name, phone_e164, timezone, region, archived_at) VALUES (pg_temp.org(1), pg_temp.id(1, 99), 'old', pg_temp.phone(1, 2), 'America/New_York', 'US', now());
INSERT INTO call_queue (organization_id, campaign_id, lead_id, callback_at) VALUES (pg_temp.org(1), pg_temp.id(1, 4), pg_temp.id(1, 99), '2026-12-01');
INSERT INTO follow_up_tasks (organization_id, lead_id, task_type, title, source) VALUES (pg_temp.org(1), pg_temp.id(1, 12), 'call', 'ring them', 'manual');
INSERT INTO leads (organization_id, id, phone_e164, region) VALUES (pg_temp.org(2), pg_temp.id(2, 12), pg_temp.phone(1, 2), 'US');
INSERT INTO call_queue (organization_id, campaign_id, lead_id) VALUES (pg_temp.org(2), pg_temp.id(2, 3), pg_temp.id(2, 12));
SELECT results_eq(format($$SELECT * FROM app.opt_out(%L, 'model', 'please stop calling', '2026-11-17 15:00:30Z')$$, :'b'), $$VALUES (true, 2, '')$$, 'recorded, two rows removed');
SELECT is((SELECT string_agg(DISTINCT status || ' ' || last_error, ',') FROM call_queue WHERE campaign_id = pg_temp.id(1, 4)), 'failed dnc_internal', 'queued rows are out');
SELECT is((SELECT status FROM call_queue WHERE organization_id = pg_temp.org(2)), 'queued', 'another tenant''s are not ours to touch');
SELECT is((SELECT count(*) FROM consents WHERE phone_e164 = pg_temp.phone(1, 2) AND organization_id = pg_temp.org(1) AND revoked_at IS NULL), 0::bigint, 'consent is revoked');
SELECT is((SELECT status FROM follow_up_tasks WHERE lead_id = pg_temp.id(1, 12)), 'cancelled', 'nobody is told to ring them');
SELECT results_eq(format($$SELECT * FROM app.opt_out(%L, 'model', 'please stop calling', '2026-11-17 15:00:31Z')$$, :'b'), $$VALUES (false, 0, '')$$, 'said twice: nothing new');
SELECT is((SELECT count(*) FROM audit_log WHERE action = 'do_not_call.add'), 1::bigint, 'audited once');
SELECT app.call_note(:'b', '{"disposition": "interested", "disconnect_reason": "completed"}', now()) \g /dev/null
SELECT is((SELECT disposition FROM call_logs WHERE id = :'b'), 'do_not_call', 'no later disposition clears it');
SELECT pg_temp.hangup(:'b', 'answered', '2026-11-17 15:00:10Z', '2026-11-17 15:01:10Z') \g /dev/null
SELECT is((SELECT disconnect_reason FROM call_logs WHERE id = :'b') || ' ' || pg_temp.job(1, 2), 'opted_out completed opted_out count=1', 'the call ends as opted out');
SELECT results_eq(format($$SELECT accepted, reason FROM app.callback_request(%L, '2026-11-18 15:00Z', NULL, '2026-11-17 15:02Z')$$, :'b'), $$VALUES (false, 'dnc_internal')$$, 'no callback after an opt-out');
-- Another live call to the number is named; after the hang-up it works too.
SELECT pg_temp.talking(3) AS c \gset
SELECT pg_temp.hangup(:'c', 'busy', NULL, '2026-11-17 15:01:10Z') \g /dev/null
SELECT matches(pg_temp.job(1, 3), '^completed answered', 'answered wins over what the carrier says last');
SELECT pg_temp.talking(4) AS d \gset
INSERT INTO call_logs (organization_id, id, lead_id, campaign_id, queue_id, attempt_number, carrier_account_id, direction, caller_number, callee_number, status, adopted_at, intent_at)
SELECT organization_id, app.uuid7(), lead_id, campaign_id, queue_id, 7, carrier_account_id, direction, '+16465559999', callee_number, 'outcome_unknown', now(), now() FROM call_logs WHERE id = :'d';
SELECT is((SELECT live_calls FROM app.opt_out(:'d', 'dtmf', NULL, now())), (SELECT id::text FROM call_logs WHERE attempt_number = 7), 'other live calls to the number');

-- Callbacks.
SELECT pg_temp.talking(5) AS e \gset
SELECT results_eq(format($$SELECT * FROM app.callback_request(%L, '2026-11-17 14:00Z', NULL, '2026-11-17 15:00:20Z')$$, :'e'), $$VALUES (false, NULL::timestamptz, 'in_the_past')$$, 'not in the past');
SELECT results_eq(format($$SELECT * FROM app.callback_request(%L, '2027-11-17 14:00Z', NULL, '2026-11-17 15:00:20Z')$$, :'e'), $$VALUES (false, NULL::timestamptz, 'too_far')$$, 'not in a year');
SELECT results_eq(format($$SELECT * FROM app.callback_request(%L, '2026-11-18 03:00Z', 'evening', '2026-11-17 15:00:20Z')$$, :'e'), $$VALUES (true, '2026-11-18 14:00Z'::timestamptz, 'outside_window')$$, 'the night becomes the morning');
SELECT results_eq(format($$SELECT * FROM app.callback_request(%L, '2026-11-19 16:00Z', 'at four', '2026-11-17 15:00:25Z')$$, :'e'), $$VALUES (true, '2026-11-19 16:00Z'::timestamptz, NULL::text)$$, 'asked again: moved');
SELECT is((SELECT count(*) || ' ' || max(due_date) || ' ' || max(performed_by) FROM follow_up_tasks WHERE call_log_id = :'e'), '1 2026-11-19 16:00:00+00 ai', 'one task');
UPDATE call_queue SET max_attempts = 1 WHERE id = pg_temp.id(1, 205);
SELECT pg_temp.hangup(:'e', 'answered', '2026-11-17 15:00:10Z', '2026-11-17 15:01:10Z') \g /dev/null
SELECT is(pg_temp.attempt(:'e') || ' / ' || pg_temp.job(1, 5), 'answered t callback_requested 11-19 16:00 / queued answered count=1 due=11-19 16:00', 'queued for then, max_attempts or not');
SELECT is((SELECT count(*) FROM analysis_jobs WHERE call_log_id = :'e'), 1::bigint, 'and analysed');
SELECT is(pg_temp.claim('2026-11-19 15:59Z'), NULL, 'not a minute early');
SELECT pg_temp.claim('2026-11-19 16:00Z') AS f \gset
SELECT is((SELECT queue_id FROM call_logs WHERE id = :'f'), pg_temp.id(1, 205), 'at the time');
SELECT pg_temp.place(:'f', 'not_placed', '2026-11-19 16:00:01Z', 'nosend') \g /dev/null
SELECT is((SELECT callback_at FROM call_queue WHERE id = pg_temp.id(1, 205)), '2026-11-19 16:00Z', 'not placed: still owed');
SELECT pg_temp.claim('2026-11-19 16:01:01Z') AS f \gset
SELECT pg_temp.place(:'f', 'placed', '2026-11-19 16:01:02Z') \g /dev/null
SELECT pg_temp.hangup(:'f', 'no_answer', NULL, '2026-11-19 16:02Z') \g /dev/null
SELECT is(pg_temp.attempt(:'f') || ' / ' || pg_temp.job(1, 5), 'no_answer f max_attempts / failed no_answer count=2', 'the callback was made; the exemption is used up');
SELECT is((SELECT status || ' ' || outcome FROM follow_up_tasks WHERE call_log_id = :'e'), 'completed no_answer', 'the task is done');
-- Asked for in the last second: the job is settled already.
SELECT pg_temp.talking(6) AS g \gset
SELECT pg_temp.hangup(:'g', 'answered', '2026-11-17 15:00:10Z', '2026-11-17 15:01:10Z') \g /dev/null
SELECT is(pg_temp.job(1, 6), 'completed answered count=1', 'settled');
SELECT app.callback_request(:'g', '2026-11-18 15:00Z', NULL, '2026-11-17 15:01:11Z') \g /dev/null
SELECT is(pg_temp.job(1, 6), 'queued answered count=1 due=11-18 15:00', 'and queued again');
UPDATE campaigns SET end_date = '2026-11-17' WHERE id = pg_temp.id(1, 3);
SELECT results_eq(format($$SELECT accepted, reason FROM app.callback_request(%L, '2026-11-19 15:00Z', NULL, '2026-11-17 15:02Z')$$, :'g'), $$VALUES (false, 'outside_window')$$, 'not after the campaign''s last day');

-- Other tenants.
SELECT pg_temp.act(2) \g /dev/null
SELECT is(app.call_note(:'g', '{"disposition": "interested"}', now()), false, 'no note');
SELECT is_empty(format($$SELECT * FROM app.opt_out(%L, 'model', NULL, now())$$, :'g'), 'no opt-out');
SELECT is(app.turn_put(:'g', 0, NULL, 'ai', 0, 0, 'x', 'full', 0, now()), false, 'no turn');
SELECT is(app.usage_add(:'g', 'realtime', 'x', 1, '{}', 1, now()), false, 'no usage');
SELECT is(app.recording_put(:'g', app.uuid7(), 'ai', 'p', 'u', 1, 1, now(), now()), false, 'no recording');
SELECT is((SELECT accepted FROM app.callback_request(:'g', '2026-11-19 15:00Z', NULL, '2026-11-17 15:02Z')), false, 'no callback');

-- A call whose incarnation is over when its socket comes (a daemon that was started again took it up): nobody's death
-- will make the carrier be asked, so it is asked soon.
SELECT pg_temp.act(1) \g /dev/null
SELECT pg_temp.talking(40) AS z \gset
SELECT engine.worker_dead(pg_temp.worker(), 'lock', '2026-11-17 15:00:15Z') \g /dev/null
SELECT engine.media_token_take(sha256(:'z'::text::bytea), '2026-11-17 15:00:20Z') \g /dev/null
SELECT is((SELECT next_reconcile_at FROM call_logs WHERE id = :'z'), '2026-11-17 15:00:35Z', 'a talk that outlived its incarnation is asked about soon');
-- Nor does a talk whose incarnation signs off have a lock left that would tell of its process' end.
SELECT engine.worker_start(pg_temp.node(), 'one', '0.1', NULL, pg_temp.id(1, 901), '/run/w2', '2026-11-17 14:00Z') \g /dev/null
UPDATE call_logs SET worker_id = pg_temp.id(1, 901), signed_off_at = '2026-11-17 15:00:01Z', next_reconcile_at = '2026-11-17 16:30Z' WHERE id = :'z';
SELECT engine.worker_dead(pg_temp.id(1, 901), 'sign_off', '2026-11-17 15:01Z') \g /dev/null
SELECT is((SELECT next_reconcile_at FROM call_logs WHERE id = :'z'), '2026-11-17 15:01:15Z', 'a talk whose incarnation signs off is asked about soon');
UPDATE call_logs SET status = 'transferring', next_reconcile_at = '2026-11-17 16:30Z' WHERE id = :'z';
SELECT app.call_note(:'z', '{"media_ended_at": "2026-11-17T15:02:00Z"}', '2026-11-17 15:02Z') \g /dev/null
SELECT is((SELECT next_reconcile_at FROM call_logs WHERE id = :'z'), '2026-11-17 15:02:15Z', 'and so is a hand-over when its stream is gone');
-- A sign of life from the future would outlast every true one.
SELECT engine.heartbeat(pg_temp.node(), false, clock_timestamp() + interval '1 hour') \g /dev/null
SELECT is((SELECT heartbeat_at <= clock_timestamp() FROM nodes WHERE id = pg_temp.node()), true, 'a heartbeat from the future is not believed');
SELECT * FROM finish();
ROLLBACK;
