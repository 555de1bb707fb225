-- The POST's result, leases, proof of death, presence and absence: the crash table's rows that live in SQL.
BEGIN;
\ir fixture.psql
\ir life.psql
SELECT no_plan();
SELECT pg_temp.tenant(1) \g /dev/null
SELECT pg_temp.act(1) \g /dev/null
SELECT engine.worker_start(pg_temp.node(), 'one', '0.1', NULL, pg_temp.worker(), '/run/w', '2026-11-17 14:00Z') \g /dev/null
SELECT pg_temp.lead(1, k) FROM generate_series(1, 9) k \g /dev/null

-- Happy path: reserved, dialing; the repeated result changes nothing.
SELECT pg_temp.claim('2026-11-17 15:00Z') AS a \gset
SELECT is(pg_temp.status(:'a'), 'reserved', 'a claim writes the intent');
SELECT is((SELECT attempt_count FROM call_queue WHERE call_log_id = :'a'), 0, 'an intent is no attempt yet');
SELECT is(pg_temp.place(:'a', 'placed', '2026-11-17 15:00:01Z'), 'dialing', '201: dialing');
SELECT is((SELECT attempt_count FROM call_queue WHERE call_log_id = :'a'), 1, 'what reached the carrier counts');
SELECT is(pg_temp.place(:'a', 'placed', '2026-11-17 15:00:09Z'), 'dialing', 'the result again: no change');
SELECT is((SELECT placed_at FROM call_logs WHERE id = :'a'), '2026-11-17 15:00:01Z', 'the first moment stays');
SELECT is(pg_temp.place(:'a', 'not_placed', '2026-11-17 15:00:10Z'), 'dialing', 'a placed call is not written off by a late 4xx');
SELECT is((SELECT count(*) FROM call_events WHERE call_log_id = :'a' AND anomaly), 1::bigint, 'but somebody hears of it');
SELECT throws_ok(format($$SELECT pg_temp.place(%L, 'maybe', now())$$, :'a'), '22023', NULL, 'no fourth result');
SELECT is(pg_temp.place('00000000-0000-7000-8000-000000000000', 'placed', now()), NULL, 'no such call');

-- Row 13, 8: refused or nothing sent. Requeued as a new attempt, not counted.
SELECT pg_temp.claim('2026-11-17 15:00Z') AS b \gset
SELECT lead_id AS b_lead, queue_id AS b_job FROM call_logs WHERE id = :'b' \gset
SELECT is(pg_temp.place(:'b', 'not_placed', '2026-11-17 15:00:01Z', 'nosend'), 'not_placed', 'nothing left us: not placed');
SELECT is(pg_temp.attempt(:'b'), 'not_placed t not_placed 11-17 15:01', 'tried again a minute later');
SELECT is((SELECT concat_ws(' ', status, attempt_count, attempt_number, last_error) FROM call_queue WHERE id = :'b_job'),
          'queued 0 1 not_placed', 'the job is queued, no attempt used up, the number risen');
SELECT is(pg_temp.place(:'b', 'placed', '2026-11-17 15:00:05Z'), 'not_placed', 'terminal: a late 201 does not revive it');
SELECT is((SELECT count(*) FROM call_events WHERE call_log_id = :'b' AND anomaly), 1::bigint, 'the late 201 is an incident');
SELECT is(pg_temp.place(:'b', 'not_placed', '2026-11-17 15:00:06Z', 'nosend'), 'not_placed', 'the result again');
SELECT is((SELECT count(*) FROM call_attempts WHERE call_log_id = :'b'), 1::bigint, 'one journal row');
-- Permanent refusal: failed.
SELECT pg_temp.claim('2026-11-17 15:00Z') AS c \gset
SELECT queue_id AS c_job FROM call_logs WHERE id = :'c' \gset
SELECT is(pg_temp.place(:'c', 'not_placed', '2026-11-17 15:00:01Z', '4xx', true), 'not_placed', 'barred number');
SELECT is((SELECT status || ' ' || last_error FROM call_queue WHERE id = :'c_job'), 'failed not_placed', 'is not tried again');
SELECT is((SELECT disconnect_reason FROM call_logs WHERE id = :'c'), 'invalid_number', 'and says why');

-- Rows 3, 5, 9, 14: the worker is gone. The lease only leads to unknown.
SELECT pg_temp.claim('2026-11-17 15:00Z') AS d \gset
SELECT queue_id AS d_job FROM call_logs WHERE id = :'d' \gset
SELECT is((SELECT count(*) FROM engine.lease_sweep(60000, '2026-11-17 15:00:29Z')), 0::bigint, 'a lease that runs');
SELECT results_eq($$SELECT call_id, was FROM engine.lease_sweep(60000, '2026-11-17 15:00:31Z')$$,
                  format($$VALUES (%L::uuid, 'reserved')$$, :'d'), 'a lease that ran out');
SELECT is(pg_temp.status(:'d'), 'outcome_unknown', 'is unknown now');
SELECT is((SELECT status || ' ' || attempt_count FROM call_queue WHERE id = :'d_job'), 'processing 1',
          'the job stays out of the queue, and the dial counts as one that may have rung');
-- Row 6: paused, not dead. Horizon passed and scans made, still no absence.
SELECT app.reconcile_scan(:'d', 0, 1000, '2026-11-17 16:00Z') \g /dev/null
SELECT app.reconcile_scan(:'d', 0, 1000, '2026-11-17 16:02Z') \g /dev/null
SELECT results_eq(format($$SELECT * FROM app.reconcile_absence(%L, 900000, 60000, '2026-11-17 16:03Z')$$, :'d'),
                  $$VALUES (false, 'owner_may_still_post')$$, 'no absence while the owner may still POST');
SELECT is(engine.worker_dead(pg_temp.worker(), 'lock', '2026-11-17 16:04Z'), 2, 'its lock was taken: the attempt is freed, and the call that lives is asked about');
SELECT is((SELECT status || ' ' || proof FROM workers WHERE id = pg_temp.worker()), 'dead lock', 'the proof is on record');
SELECT results_eq(format($$SELECT * FROM app.reconcile_absence(%L, 900000, 60000, '2026-11-17 16:18Z')$$, :'d'),
                  $$VALUES (false, 'horizon')$$, 'not before the horizon has passed since the death');
SELECT results_eq(format($$SELECT * FROM app.reconcile_absence(%L, 900000, 60000, '2026-11-17 16:20Z')$$, :'d'),
                  $$VALUES (false, 'last_scan_too_early')$$, 'nor by scans that are older than that');
SELECT app.reconcile_scan(:'d', 61000, 1000, '2026-11-17 16:20Z') \g /dev/null
SELECT results_eq(format($$SELECT * FROM app.reconcile_absence(%L, 900000, 60000, '2026-11-17 16:20Z')$$, :'d'),
                  $$VALUES (false, 'last_scan_too_early')$$, 'nor by one under a clock that is off by a minute');
SELECT app.reconcile_scan(:'d', 2000, 1000, '2026-11-17 16:20Z') \g /dev/null
-- The same, but the carrier had confirmed it by a 201: lists that show nothing are not believed against its own word.
SAVEPOINT confirmed;
UPDATE call_logs SET placed_at = '2026-11-17 15:00:02Z' WHERE id = :'d';
SELECT results_eq(format($$SELECT * FROM app.reconcile_absence(%L, 900000, 60000, '2026-11-17 16:20Z')$$, :'d'),
                  $$VALUES (false, 'carrier_took_it')$$, 'what the carrier took is never absent');
ROLLBACK TO confirmed;
SELECT results_eq(format($$SELECT * FROM app.reconcile_absence(%L, 900000, 60000, '2026-11-17 16:20Z')$$, :'d'),
                  $$VALUES (true, NULL::text)$$, 'all conditions: absent');
SELECT is((SELECT status || ' ' || resolved_by FROM call_logs WHERE id = :'d'), 'not_placed absent', 'not placed');
SELECT is((SELECT status || ' ' || attempt_count FROM call_queue WHERE id = :'d_job'), 'queued 0', 'queued again, nothing used up');
SELECT results_eq(format($$SELECT * FROM app.reconcile_absence(%L, 900000, 60000, '2026-11-17 16:21Z')$$, :'d'),
                  $$VALUES (false, 'not_unknown')$$, 'row 22: the step again does nothing');
-- Row 21: a webhook for it is an anomaly, and its answer hangs up.
SELECT is(pg_temp.ring(:'d', '2026-11-17 16:22Z'), 'not_placed anomaly', 'a ring of a written-off call');
SELECT is(pg_temp.answer(:'d', '2026-11-17 16:22Z'), 'hangup not_placed anomaly', 'its answer is hung up');
SELECT is(pg_temp.hangup(:'d', 'answered', '2026-11-17 16:22Z', '2026-11-17 16:23Z'), 'not_placed not_placed anomaly', 'its end changes nothing');
SELECT is((SELECT applied FROM call_events WHERE call_log_id = :'d' AND kind = 'hangup'), false, 'it is kept in the inbox all the same');

-- A dead worker claims nothing. A claim of its that was committed while it was declared dead is found at the next look.
SELECT is(pg_temp.claim('2026-11-17 16:30Z'), NULL, 'a dead worker claims nothing');
UPDATE workers SET status = 'alive', proof = NULL, ended_at = NULL WHERE id = pg_temp.worker();
SELECT pg_temp.claim('2026-11-17 16:30Z') AS e \gset
UPDATE workers SET status = 'dead', proof = 'lock' WHERE id = pg_temp.worker();
SELECT engine.lease_sweep(60000, '2026-11-17 16:31Z') \g /dev/null
SELECT is((SELECT signed_off FROM engine.unknown_due(50, 30000, '2026-11-17 16:31Z') WHERE call_id = :'e'), true, 'signed off by its death');
SELECT is((SELECT count(*) FROM engine.unknown_due(50, 30000, '2026-11-17 16:31:10Z') WHERE call_id = :'e'), 0::bigint, 'taken: not due again at once');
SELECT is((SELECT count(*) FROM engine.unknown_due(50, 30000, '2026-11-17 16:31:31Z') WHERE call_id = :'e'), 1::bigint, 'due again after the pause');

UPDATE workers SET status = 'alive', proof = NULL WHERE id = pg_temp.worker();

-- Rows 10, 11: unsure. Presence by live list, then by CDR.
SELECT pg_temp.claim('2026-11-17 16:40Z') AS f \gset
SELECT is(pg_temp.place(:'f', 'unknown', '2026-11-17 16:40:10Z'), 'outcome_unknown', 'a 502: unknown');
SELECT isnt((SELECT signed_off_at FROM call_logs WHERE id = :'f'), NULL, 'signed off by the worker itself');
CREATE FUNCTION pg_temp.found(call uuid, where_ text, sid text, initiated timestamptz, answered timestamptz, ended timestamptz, at timestamptz)
RETURNS text LANGUAGE sql AS $$
    SELECT app.reconcile_presence(call, where_, sid, NULL, initiated, answered, ended,
        extract(epoch FROM ended - answered)::int4, 60, 15000, 'USD', 'NORMAL_CLEARING', 4000, 'Callee', CASE WHEN answered IS NOT NULL THEN 'answered' ELSE 'no_answer' END,
        CASE WHEN answered IS NOT NULL THEN 'completed' ELSE 'no_answer' END, 5000, 900000, 30000, at)
$$;
SELECT is(pg_temp.found(:'f', 'live', 'x-1', '2026-11-17 16:20Z', NULL, NULL, '2026-11-17 16:41Z'), 'other', 'a call from before the intent is another');
SELECT is(pg_temp.found(:'f', 'live', 'x-2', '2026-11-17 17:20Z', NULL, NULL, '2026-11-17 17:21Z'), 'other', 'a call from after the horizon too');
SELECT is(pg_temp.found(:'f', 'live', 'x-3', '2026-11-17 16:40:05Z', NULL, NULL, '2026-11-17 16:41Z'), 'dialing', 'seen live: dialing');
SELECT is((SELECT call_sid || ' ' || resolved_by FROM call_logs WHERE id = :'f'), 'x-3 live', 'with its id');
SELECT is(pg_temp.found(:'f', 'live', 'x-4', '2026-11-17 16:40:06Z', NULL, NULL, '2026-11-17 16:41Z'), 'other', 'another id is another call');
SELECT is(pg_temp.found(:'f', 'live', 'x-3', '2026-11-17 16:40:05Z', '2026-11-17 16:40:20Z', NULL, '2026-11-17 16:41Z'), 'in_progress', 'answered, says the list');
SELECT is(pg_temp.found(:'f', 'cdr', 'x-3', '2026-11-17 16:40:05Z', '2026-11-17 16:40:20Z', '2026-11-17 16:42Z', '2026-11-17 16:43Z'), 'ended', 'row 19: the CDR ends it');
SELECT is(pg_temp.attempt(:'f'), 'answered f final', 'settled once');
SELECT is((SELECT duration FROM call_logs WHERE id = :'f'), 100, 'seconds from answer to end');
SELECT is(pg_temp.found(:'f', 'cdr', 'x-3', '2026-11-17 16:40:05Z', '2026-11-17 16:40:20Z', '2026-11-17 16:42Z', '2026-11-17 16:44Z'), 'ended', 'row 23: the second reconciler');
SELECT is((SELECT count(*) FROM analysis_jobs WHERE call_log_id = :'f'), 1::bigint, 'one analysis job');
-- The CDR of one call never ends another attempt.
SELECT pg_temp.claim('2026-11-17 16:50Z') AS g \gset
SELECT pg_temp.place(:'g', 'unknown', '2026-11-17 16:50:10Z') \g /dev/null
SELECT is(pg_temp.found(:'g', 'cdr', 'x-3', '2026-11-17 16:50:05Z', NULL, '2026-11-17 16:52Z', '2026-11-17 16:53Z'), 'other', 'an id that is taken');
-- Row 7: signed off, a late webhook adopts it.
SELECT is(pg_temp.answer(:'g', '2026-11-17 16:51Z'), 'talk', 'row 16: adopt and talk');
SELECT is((SELECT status || ' ' || resolved_by FROM call_logs WHERE id = :'g'), 'in_progress hook', 'known by webhook');
-- A call that rang cannot be absent.
SELECT pg_temp.claim('2026-11-17 17:00Z') AS h \gset
SELECT pg_temp.place(:'h', 'placed', '2026-11-17 17:00:01Z') \g /dev/null
SELECT pg_temp.ring(:'h', '2026-11-17 17:00:05Z') \g /dev/null
SELECT is(app.reconcile_scan(:'h', 0, 1000, '2026-11-17 18:00Z'), 'outcome_unknown', 'placed, but in no list: unknown');
SELECT app.reconcile_scan(:'h', 0, 1000, '2026-11-17 18:02Z') \g /dev/null
SELECT results_eq(format($$SELECT * FROM app.reconcile_absence(%L, 900000, 60000, '2026-11-17 18:03Z')$$, :'h'),
                  $$VALUES (false, 'it_rang')$$, 'what rang is never absent');
-- Row 19: over-age calls.
SELECT is((SELECT was FROM engine.lease_sweep(60000, '2026-11-17 17:55Z') WHERE call_id = :'g'), NULL, 'an old talk is within the transfer allowance');
SELECT is((SELECT was FROM engine.lease_sweep(60000, '2026-11-17 18:05Z') WHERE call_id = :'g'), 'in_progress', 'and then over age');
SELECT is((SELECT unknown_calls FROM engine.unknown_state('2026-11-17 21:00Z')), 4::bigint, 'four unknown now: a, e, g, h');

-- Row 32: paused between claim and POST; opted out; nothing.
SELECT pg_temp.claim('2026-11-17 17:10Z') AS i \gset
SELECT is(app.may_post(:'i', '2026-11-17 17:10Z'), NULL, 'may go out');
UPDATE campaigns SET status = 'paused' WHERE id = pg_temp.id(1, 3);
SELECT is(app.may_post(:'i', '2026-11-17 17:10Z'), 'campaign_paused', 'not while paused');
UPDATE campaigns SET status = 'active' WHERE id = pg_temp.id(1, 3);
SELECT is(app.may_post(:'i', '2026-11-18 03:00Z'), 'outside_window', 'not in the night');
SELECT is(pg_temp.place(:'i', 'not_placed', '2026-11-17 17:10:02Z', 'sign_off'), 'not_placed', 'signed off');
SELECT is(app.may_post(:'i', '2026-11-17 17:11Z'), 'not_reserved', 'never after the sign-off');
-- Another tenant's context sees none of it.
SELECT pg_temp.tenant(2) \g /dev/null
SELECT pg_temp.act(2) \g /dev/null
SELECT is(pg_temp.place(:'a', 'not_placed', now()), NULL, 'no other tenant places a result');
SELECT is(app.may_post(:'a', now()), 'not_reserved', 'nor posts');
SELECT results_eq(format($$SELECT concluded, why FROM app.reconcile_absence(%L, 0, 0, now())$$, :'e'), $$VALUES (false, 'no_such_call')$$, 'nor concludes');
SELECT set_config('app.ctx', '', true) \g /dev/null
SELECT is(pg_temp.place(:'a', 'not_placed', now()), NULL, 'and nobody without a tenant');
SELECT * FROM finish();
ROLLBACK;
