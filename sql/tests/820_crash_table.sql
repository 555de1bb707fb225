-- The crash table of the dial protocol, row by row, where the database decides: each crash point leaves a state, and
-- from there the sweep, the proof of death, the carrier's lists and its reports lead to one end. What the process does at
-- the same points is in tests/integration/crash.py; tools/check_crash_table.py holds each row to a test of its number.
BEGIN;
\ir fixture.psql
\ir life.psql
SELECT no_plan();
SELECT pg_temp.tenant(1) \g /dev/null
SELECT pg_temp.act(1) \g /dev/null
SELECT pg_temp.lead(1, k) FROM generate_series(1, 9) k \g /dev/null

-- Each row has its own lead, worker and claim; the others' leads are not due.
CREATE FUNCTION pg_temp.hand(n int) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$ SELECT ('d0000000-0000-7000-8000-' || lpad(n::text, 12, '0'))::uuid $$;
CREATE FUNCTION pg_temp.row_claim(n int) RETURNS uuid LANGUAGE plpgsql AS $$
DECLARE
    k int := 100 + n;
    call uuid;
BEGIN
    UPDATE call_queue SET status = 'failed' WHERE status = 'queued';
    PERFORM pg_temp.lead(1, k);
    PERFORM engine.worker_start(pg_temp.node(), 'one', '0.1', NULL, pg_temp.hand(n), '/run/w', '2026-11-17 14:00Z');
    SELECT c.call_id INTO call FROM engine.claim(pg_temp.node(), pg_temp.hand(n), 1, '2026-11-17 15:00Z', 30000) c;
    RETURN call;
END
$$;
-- The lease runs out, the lock is taken, two looks at the lists find nothing, the horizon (15 minutes) passes; what is
-- concluded, and what the job says then.
CREATE FUNCTION pg_temp.sweep(call uuid) RETURNS text LANGUAGE sql AS $$
    SELECT engine.lease_sweep(60000, '2026-11-17 15:01Z');
    SELECT pg_temp.status(call)
$$;
CREATE FUNCTION pg_temp.absence(call uuid, at timestamptz) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    said text;
BEGIN
    PERFORM app.reconcile_scan(call, 0, 1000, at - interval '2 minutes');
    PERFORM app.reconcile_scan(call, 0, 1000, at);
    SELECT concat_ws(' ', CASE WHEN a.concluded THEN 'absent' ELSE 'open' END, a.why) INTO said FROM app.reconcile_absence(call, 900000, 60000, at) a;
    RETURN said;
END
$$;
CREATE FUNCTION pg_temp.dead(n int, at timestamptz) RETURNS int LANGUAGE sql AS $$ SELECT engine.worker_dead(pg_temp.hand(n), 'lock', at) $$;
CREATE FUNCTION pg_temp.ended_by_cdr(call uuid, at timestamptz) RETURNS text LANGUAGE sql AS $$
    SELECT app.reconcile_presence(call, 'cdr', 'sid-' || call, NULL, '2026-11-17 15:00:05Z', NULL, '2026-11-17 15:00:40Z', 0, 0, 0, 'USD',
        'NO_ANSWER', 3000, 'Callee', 'no_answer', 'no_answer', 5000, 900000, 30000, at)
$$;
-- Everything a second ring would need: another claim of the same lead.
CREATE FUNCTION pg_temp.again(n int, at timestamptz) RETURNS int LANGUAGE sql AS $$
    SELECT count(*)::int FROM engine.claim(pg_temp.node(), pg_temp.hand(999), 5, at, 30000) c WHERE c.lead_id = pg_temp.id(1, 110 + n)
$$;
CREATE FUNCTION pg_temp.row_job(n int) RETURNS text LANGUAGE sql AS $$ SELECT pg_temp.job(1, 100 + n) $$;
SELECT engine.worker_start(pg_temp.node(), 'one', '0.1', NULL, pg_temp.hand(999), '/run/w', '2026-11-17 14:00Z') \g /dev/null

-- 1, 2: nothing was written, so nothing is to be undone.
UPDATE call_queue SET status = 'failed';
SELECT pg_temp.lead(1, 101) \g /dev/null
SELECT is(pg_temp.row_job(1), 'queued count=0 due=01-01 00:00', 'crash row 01: a worker that dies before its claim leaves the job queued');
SELECT is(pg_temp.again(1, '2026-11-17 15:00Z'), 1, 'crash row 01: the next worker claims it');
SAVEPOINT claim;
SELECT pg_temp.row_claim(2) AS gone \gset
ROLLBACK TO claim;
SELECT is((SELECT count(*) FROM call_logs WHERE id = :'gone'), 0::bigint, 'crash row 02: a claim that was rolled back has left no attempt');
UPDATE call_queue SET status = 'failed' WHERE status = 'queued';
SELECT pg_temp.lead(1, 102) \g /dev/null
SELECT is(pg_temp.again(2, '2026-11-17 15:00Z'), 1, 'crash row 02: and the next worker claims the lead');

-- 3, 4, 5: the intent is there, and nobody POSTs it.
SELECT pg_temp.row_claim(3) AS r3 \gset
SELECT is(pg_temp.again(3, '2026-11-17 15:00:20Z'), 0, 'crash row 03: an intent whose acknowledgement was lost is nobody else''s');
SELECT is(pg_temp.sweep(:'r3'), 'outcome_unknown', 'crash row 03: its lease leads to unknown');
SELECT is(pg_temp.again(3, '2026-11-17 15:02Z'), 0, 'crash row 03: and not back to the queue');
SELECT engine.worker_dead(pg_temp.hand(3), 'sign_off', '2026-11-17 15:02Z') \g /dev/null
SELECT is(pg_temp.absence(:'r3', '2026-11-17 15:16Z'), 'open horizon', 'crash row 03: not before the horizon');
SELECT is(pg_temp.absence(:'r3', '2026-11-17 15:20Z'), 'absent', 'crash row 03: then it was never placed');
SELECT is(pg_temp.row_job(3), 'queued not_placed count=0 due=11-17 15:21', 'crash row 03: and the lead is phoned after all');
SELECT pg_temp.row_claim(4) AS r4 \gset
SELECT engine.worker_dead(pg_temp.hand(4), 'sign_off', '2026-11-17 15:00:05Z') \g /dev/null
SELECT is(pg_temp.status(:'r4') || ' ' || app.may_post(:'r4', '2026-11-17 15:00:06Z'), 'outcome_unknown not_reserved', 'crash row 04: a worker that doubts its commit has ended: unknown at once, and the last look forbids the POST');
SELECT is(pg_temp.absence(:'r4', '2026-11-17 15:20Z'), 'absent', 'crash row 04: and absent after the horizon');
SELECT pg_temp.row_claim(5) AS r5 \gset
SELECT is(pg_temp.sweep(:'r5') || ' ' || pg_temp.absence(:'r5', '2026-11-17 15:20Z'), 'outcome_unknown open owner_may_still_post',
          'crash row 05: as long as nobody took the dead worker''s lock nothing is concluded');
SELECT is(pg_temp.dead(5, '2026-11-17 15:21Z'), 1, 'crash row 05: its lock is taken');
SELECT is(pg_temp.absence(:'r5', '2026-11-17 15:40Z'), 'absent', 'crash row 05: unknown, then absent');

-- 6, 7: the owner sleeps.
SELECT pg_temp.row_claim(6) AS r6 \gset
SELECT is(pg_temp.sweep(:'r6') || ' ' || pg_temp.absence(:'r6', '2026-11-17 20:00Z'), 'outcome_unknown open owner_may_still_post',
          'crash row 06: a paused owner, hours after lease and horizon: no absence');
SELECT is(pg_temp.again(6, '2026-11-17 20:00Z'), 0, 'crash row 06: and no second attempt');
SELECT is(pg_temp.place(:'r6', 'not_placed', '2026-11-17 20:01Z', 'sign_off'), 'not_placed', 'crash row 06: it wakes up and signs off');
SELECT pg_temp.row_claim(7) AS r7 \gset
SELECT is(pg_temp.sweep(:'r7') || ' ' || pg_temp.absence(:'r7', '2026-11-17 20:00Z'), 'outcome_unknown open owner_may_still_post',
          'crash row 07: paused between the deadline and the request: no absence either');
SELECT is(pg_temp.place(:'r7', 'placed', '2026-11-17 20:01Z'), 'dialing', 'crash row 07: its late 201 is taken');
SELECT is(pg_temp.hangup(:'r7', 'no_answer', NULL, '2026-11-17 20:02Z'), 'ended no_answer', 'crash row 07: and ends once');
SELECT pg_temp.row_claim(70) AS r70 \gset
SELECT is(pg_temp.sweep(:'r70') || ' ' || pg_temp.ring(:'r70', '2026-11-17 20:00Z'), 'outcome_unknown ringing', 'crash row 07: a late webhook does as well');

-- 8, 13: known not to have been placed.
SELECT pg_temp.row_claim(8) AS r8 \gset
SELECT is(pg_temp.place(:'r8', 'not_placed', '2026-11-17 15:00:01Z', 'nosend') || ' ' || pg_temp.row_job(8), 'not_placed queued not_placed count=0 due=11-17 15:01',
          'crash row 08: nothing was sent: a new attempt');
SELECT pg_temp.row_claim(13) AS r13 \gset
SELECT is(pg_temp.place(:'r13', 'not_placed', '2026-11-17 15:00:01Z', '4xx') || ' ' || pg_temp.row_job(13), 'not_placed queued not_placed count=0 due=11-17 15:01',
          'crash row 13: a documented 4xx: a new attempt by the policy');

-- 9, 14: the process is gone and the request may not be.
SELECT pg_temp.row_claim(9) AS r9 \gset
SELECT pg_temp.sweep(:'r9'), pg_temp.dead(9, '2026-11-17 15:01Z') \g /dev/null
SELECT is(pg_temp.absence(:'r9', '2026-11-17 15:10Z'), 'open horizon', 'crash row 09: partly written, and dead: not before the horizon');
SELECT is(pg_temp.absence(:'r9', '2026-11-17 15:20Z'), 'absent', 'crash row 09: in no list: absent');
SELECT pg_temp.row_claim(90) AS r90 \gset
SELECT pg_temp.sweep(:'r90'), pg_temp.dead(90, '2026-11-17 15:01Z') \g /dev/null
SELECT is(pg_temp.ended_by_cdr(:'r90', '2026-11-17 15:10Z'), 'ended', 'crash row 09: in a list: ended');
SELECT pg_temp.row_claim(14) AS r14 \gset
SELECT is(pg_temp.sweep(:'r14') || ' ' || pg_temp.dead(14, '2026-11-17 15:01Z') || ' ' || pg_temp.ended_by_cdr(:'r14', '2026-11-17 15:02Z'), 'outcome_unknown 1 ended',
          'crash row 14: 201 and dead before it was written: the record ends it');
SELECT is(pg_temp.again(14, '2026-11-17 15:03Z'), 0, 'crash row 14: not before the policy''s wait');

-- 10, 11, 12: nobody knows.
SELECT pg_temp.row_claim(10) AS r10 \gset
SELECT is(pg_temp.place(:'r10', 'unknown', '2026-11-17 15:00:10Z') || ' ' || pg_temp.hangup(:'r10', 'no_answer', NULL, '2026-11-17 15:01Z'), 'outcome_unknown ended no_answer',
          'crash row 10: taken, and the connection died: the webhook ends it');
SELECT pg_temp.row_claim(11) AS r11 \gset
SELECT is(pg_temp.place(:'r11', 'unknown', '2026-11-17 15:00:10Z') || ' ' || pg_temp.ended_by_cdr(:'r11', '2026-11-17 15:02Z'), 'outcome_unknown ended',
          'crash row 11: a 5xx of a call that was dialed: the record ends it');
SELECT is((SELECT count(*) FROM call_attempts WHERE call_log_id = :'r11' AND outcome = 'no_answer'), 1::bigint, 'crash row 11: settled once');
SELECT pg_temp.row_claim(12) AS r12 \gset
SELECT is(pg_temp.place(:'r12', 'unknown', '2026-11-17 15:00:10Z') || ' ' || pg_temp.absence(:'r12', '2026-11-17 15:10Z') || ' ' || pg_temp.absence(:'r12', '2026-11-17 15:20Z'),
          'outcome_unknown open horizon absent', 'crash row 12: a 5xx without a call: later by the horizon, no more');

-- 15: 201 in hand, the database away for longer than the horizon.
SELECT pg_temp.row_claim(15) AS r15 \gset
SELECT is(pg_temp.sweep(:'r15') || ' ' || pg_temp.absence(:'r15', '2026-11-17 18:00Z'), 'outcome_unknown open owner_may_still_post',
          'crash row 15: as long as the owner holds its lock the unwritten 201 is not overruled by the lists');
SELECT is(pg_temp.place(:'r15', 'placed', '2026-11-17 15:00:02Z'), 'dialing', 'crash row 15: hours later it is written, dated as it was');

SELECT is(app.reconcile_scan(:'r15', 0, 1000, '2026-11-17 20:00Z') || ' ' || pg_temp.absence(:'r15', '2026-11-17 23:00Z'), 'outcome_unknown open carrier_took_it',
          'crash row 15: what the carrier confirmed no list talks away: unknown, for somebody to look at');
SELECT is(pg_temp.ended_by_cdr(:'r15', '2026-11-17 23:01Z'), 'ended', 'crash row 15: its record ends it');

-- 16 to 21: reports.
SELECT pg_temp.row_claim(16) AS r16 \gset
SELECT is(pg_temp.ring(:'r16', '2026-11-17 15:00:03Z'), 'ringing', 'crash row 16: a ring before the result: adopted at once');
SELECT is(pg_temp.sweep(:'r16') || ' ' || pg_temp.answer(:'r16', '2026-11-17 15:01:03Z'), 'ringing talk', 'crash row 16: no lease takes it back; answered: talk');
SELECT pg_temp.row_claim(161) AS r161 \gset
SELECT is(pg_temp.sweep(:'r161') || ' ' || pg_temp.answer(:'r161', '2026-11-17 15:01:03Z'), 'outcome_unknown talk', 'crash row 16: answered while unknown: adopted, talk');
SELECT pg_temp.row_claim(17) AS r17 \gset
SELECT is(concat_ws(', ', pg_temp.hangup(:'r17', 'no_answer', NULL, '2026-11-17 15:00:30Z'), pg_temp.answer(:'r17', '2026-11-17 15:00:31Z'), pg_temp.ring(:'r17', '2026-11-17 15:00:32Z'),
          pg_temp.place(:'r17', 'placed', '2026-11-17 15:00:33Z')), 'ended no_answer, hangup ended, ended, ended', 'crash row 17: hang-up first: whatever comes later changes no state');
SELECT pg_temp.row_claim(18) AS r18 \gset
SELECT pg_temp.ring(:'r18', '2026-11-17 15:00:03Z'), pg_temp.hangup(:'r18', 'busy', NULL, '2026-11-17 15:00:30Z') \g /dev/null
SELECT to_jsonb(l) AS log18, (SELECT jsonb_agg(to_jsonb(e) ORDER BY e.kind) FROM call_events e WHERE e.call_log_id = l.id) AS inbox18, pg_temp.row_job(18) AS job18
  FROM call_logs l WHERE l.id = :'r18' \gset
SELECT is((SELECT count(*)::int FROM generate_series(1, 50) i, LATERAL (SELECT pg_temp.ring(:'r18', '2026-11-17 15:01Z'::timestamptz + i * interval '1 second') || pg_temp.hangup(:'r18', 'busy', NULL,
          '2026-11-17 15:01Z'::timestamptz + i * interval '1 second')) r (said) WHERE r.said NOT LIKE '%duplicate%duplicate'), 0, 'crash row 18: fifty repeats are fifty duplicates');
SELECT is((SELECT to_jsonb(l) FROM call_logs l WHERE l.id = :'r18'), :'log18', 'crash row 18: the call is as it was');
SELECT is((SELECT jsonb_agg(to_jsonb(e) ORDER BY e.kind) FROM call_events e WHERE e.call_log_id = :'r18'), :'inbox18', 'crash row 18: the inbox too');
SELECT is(pg_temp.row_job(18), :'job18', 'crash row 18: and the job');
SELECT pg_temp.row_claim(19) AS r19 \gset
SELECT pg_temp.place(:'r19', 'placed', '2026-11-17 15:00:02Z') \g /dev/null
SELECT is((SELECT was FROM engine.lease_sweep(60000, '2026-11-17 17:00Z') WHERE call_id = :'r19'), 'dialing', 'crash row 19: all webhooks lost: over age');
SELECT is(pg_temp.status(:'r19') || ' ' || pg_temp.ended_by_cdr(:'r19', '2026-11-17 17:01Z'), 'outcome_unknown ended', 'crash row 19: unknown, then ended by its record');
SELECT pg_temp.row_claim(21) AS r21 \gset
SELECT is(pg_temp.sweep(:'r21') || ' ' || pg_temp.dead(21, '2026-11-17 15:01Z') || ' ' || pg_temp.absence(:'r21', '2026-11-17 15:20Z'), 'outcome_unknown 1 absent', 'crash row 21: written off');
SELECT is(concat_ws(', ', pg_temp.ring(:'r21', '2026-11-17 15:30Z'), pg_temp.answer(:'r21', '2026-11-17 15:30Z'), pg_temp.hangup(:'r21', 'answered', '2026-11-17 15:30Z', '2026-11-17 15:31Z')),
          'not_placed anomaly, hangup not_placed anomaly, not_placed not_placed anomaly', 'crash row 21: and it rings: hung up, an anomaly, no change');

-- 22, 23: reconcilers that die, and two of them.
SELECT pg_temp.row_claim(22) AS r22 \gset
SELECT pg_temp.place(:'r22', 'unknown', '2026-11-17 15:00:10Z') \g /dev/null
SELECT is((SELECT count(*)::int FROM engine.unknown_due(50, 30000, '2026-11-17 15:00:20Z') WHERE call_id = :'r22'), 1, 'crash row 22: taken up');
SELECT is((SELECT count(*)::int FROM engine.unknown_due(50, 30000, '2026-11-17 15:00:51Z') WHERE call_id = :'r22'), 1, 'crash row 22: the reconciler dies: it is due again');
SAVEPOINT step;
SELECT pg_temp.absence(:'r22', '2026-11-17 15:20Z') \g /dev/null
ROLLBACK TO step;
SELECT is(pg_temp.status(:'r22'), 'outcome_unknown', 'crash row 22: a step that was cut has not happened');
SELECT is(pg_temp.absence(:'r22', '2026-11-17 15:20Z') || ', ' || pg_temp.absence(:'r22', '2026-11-17 15:21Z'), 'absent, open not_unknown', 'crash row 22: done again it happens once');
SELECT pg_temp.row_claim(23) AS r23 \gset
SELECT pg_temp.place(:'r23', 'unknown', '2026-11-17 15:00:10Z') \g /dev/null
SELECT is(pg_temp.ended_by_cdr(:'r23', '2026-11-17 15:02Z') || ', ' || pg_temp.absence(:'r23', '2026-11-17 15:20Z') || ', ' || pg_temp.ended_by_cdr(:'r23', '2026-11-17 15:21Z'),
          'ended, open not_unknown, ended', 'crash row 23: one finds it, the other finds nothing: the first has won');
SELECT is((SELECT count(*)::int FROM outbox WHERE subject_id = :'r23' AND topic = 'call.ended'), 1, 'crash row 23: told once');

-- 31, 32, 33.
SELECT pg_temp.row_claim(31) AS r31 \gset
SELECT pg_temp.place(:'r31', 'placed', '2026-11-17 15:00:02Z') \g /dev/null
INSERT INTO do_not_call (organization_id, phone_e164, source, added_at) SELECT organization_id, callee_number, 'manual', '2026-11-17 15:00:03Z' FROM call_logs WHERE id = :'r31';
SELECT is(pg_temp.answer(:'r31', '2026-11-17 15:00:10Z'), 'hangup dnc_internal', 'crash row 31: opted out between claim and answer: hung up');
SELECT is(pg_temp.hangup(:'r31', 'answered', '2026-11-17 15:00:10Z', '2026-11-17 15:00:12Z') || ' ' || coalesce((SELECT disconnect_reason FROM call_logs WHERE id = :'r31'), '-'), 'ended answered opted_out',
          'crash row 31: ended, by the opt-out');
SELECT pg_temp.row_claim(32) AS r32 \gset
UPDATE campaigns SET status = 'paused' WHERE id = pg_temp.id(1, 3);
SELECT is(app.may_post(:'r32', '2026-11-17 15:00:01Z'), 'campaign_paused', 'crash row 32: paused between claim and POST: the last look says no');
SELECT is(pg_temp.place(:'r32', 'not_placed', '2026-11-17 15:00:02Z', 'sign_off'), 'not_placed', 'crash row 32: signed off');
UPDATE campaigns SET status = 'active' WHERE id = pg_temp.id(1, 3);
UPDATE carrier_accounts SET unknown_limit = 2 WHERE id = pg_temp.id(1, 1);
UPDATE call_logs SET status = 'ended', ended_at = '2026-11-17 15:40Z' WHERE status = 'outcome_unknown';
SELECT pg_temp.row_claim(33) AS r33 \gset
SELECT pg_temp.place(:'r33', 'unknown', '2026-11-17 15:00:10Z') \g /dev/null
SELECT pg_temp.row_claim(331) AS r331 \gset
SELECT pg_temp.place(:'r331', 'unknown', '2026-11-17 15:00:10Z') \g /dev/null
SELECT is((SELECT reason FROM app.reconcile_absence(:'r33', 900000, 60000, '2026-11-17 23:00Z') a (concluded, reason)), 'scans', 'crash row 33: hours without one complete look: it stays unknown');
SELECT is(pg_temp.row_claim(332), NULL, 'crash row 33: two unknown are the limit of this account: nothing more is claimed');
SELECT pg_temp.ended_by_cdr(:'r33', '2026-11-17 15:30Z') \g /dev/null
SELECT isnt(pg_temp.row_claim(333), NULL, 'crash row 33: one of them is found: claims go on');
SELECT * FROM finish();
ROLLBACK;
