-- The carrier's whole list against ours, and the operator's word on a call that stays unknown.
BEGIN;
\ir fixture.psql
\ir life.psql
SELECT no_plan();
SELECT pg_temp.tenant(1) \g /dev/null
SELECT pg_temp.act(1) \g /dev/null
SELECT engine.worker_start(pg_temp.node(), 'one', '0.1', NULL, pg_temp.worker(), '/run/w', '2026-11-17 14:00Z') \g /dev/null
SELECT pg_temp.lead(1, k) FROM generate_series(1, 9) k \g /dev/null
CREATE FUNCTION pg_temp.listed(call text, k int, place text, at timestamptz, parent text DEFAULT NULL) RETURNS jsonb LANGUAGE sql AS $$
    SELECT jsonb_build_array(jsonb_build_object('call', call, 'parent', parent, 'from', '+16465550001', 'to', pg_temp.phone(1, k), 'where', place,
        'initiated', at, 'ended', CASE place WHEN 'cdr' THEN at + interval '20 seconds' END, 'cause', 'NO_ANSWER', 'cause_code', 3000,
        'outcome', 'no_answer', 'reason', 'no_answer'))
$$;
CREATE FUNCTION pg_temp.sweep(calls jsonb, at timestamptz, take boolean DEFAULT false) RETURNS text LANGUAGE sql AS $$
    SELECT format('known %s adopted %s orphans %s fresh %s', s.known, s.adopted, s.orphans, s.fresh)
      FROM app.orphan_sweep(pg_temp.id(1, 1), calls, take, 60000, 900000, 1000, at) s
$$;

SELECT pg_temp.claim('2026-11-17 15:00Z') AS a \gset
SELECT pg_temp.claim('2026-11-17 15:00Z') AS b \gset
SELECT pg_temp.place(:'a', 'placed', '2026-11-17 15:00:01Z'), pg_temp.ring(:'a', '2026-11-17 15:00:02Z') \g /dev/null
SELECT is(pg_temp.sweep(pg_temp.listed('sid-' || :'a', 1, 'live', '2026-11-17 15:00:01Z'), '2026-11-17 15:01Z'), 'known 1 adopted 0 orphans 0 fresh 0',
          'a call by its id');
SELECT is(pg_temp.sweep(pg_temp.listed('leg-1', 9, 'live', '2026-11-17 15:00:40Z', 'sid-' || :'a'), '2026-11-17 15:01Z'), 'known 1 adopted 0 orphans 0 fresh 0',
          'the second leg of one');
SELECT is(pg_temp.sweep(pg_temp.listed('sid-b', 2, 'queued', '2026-11-17 15:00:01Z'), '2026-11-17 15:01Z'), 'known 1 adopted 0 orphans 0 fresh 0',
          'one without an id yet, by pair and time');
SELECT is(pg_temp.status(:'b'), 'reserved', 'whose worker will say what it was');
-- Unknown: what the list shows is taken for it.
SELECT app.place_result(:'b', 'unknown', NULL, NULL, NULL, 502, NULL, false, '2026-11-17 15:00:03Z') \g /dev/null
SELECT is(pg_temp.sweep(pg_temp.listed('sid-b', 2, 'live', '2026-11-17 15:00:01Z'), '2026-11-17 15:01Z'), 'known 1 adopted 0 orphans 0 fresh 0', 'an unknown one that lives');
SELECT is((SELECT status || ' ' || call_sid FROM call_logs WHERE id = :'b'), 'dialing sid-b', 'is known from now on');
SELECT is(pg_temp.sweep(pg_temp.listed('x-9', 3, 'cdr', '2026-11-17 11:40Z'), '2026-11-17 15:02Z'), 'known 0 adopted 0 orphans 1 fresh 1', 'an orphan');
SELECT is(pg_temp.sweep(pg_temp.listed('x-9', 3, 'cdr', '2026-11-17 11:40Z'), '2026-11-17 16:02Z'), 'known 0 adopted 0 orphans 1 fresh 0', 'seen again');
SELECT is((SELECT count(*) FROM audit_log WHERE action = 'call.orphan'), 1::bigint, 'on the audit log once');
SELECT is(pg_temp.job(1, 3), 'queued count=0 due=01-01 00:00', 'it is nobody''s dial');
-- After a restore such a call is the lead's that has its number.
SELECT is(pg_temp.sweep(pg_temp.listed('x-10', 4, 'cdr', '2026-11-17 14:40Z'), '2026-11-17 15:03Z', true), 'known 1 adopted 1 orphans 0 fresh 0', 'replayed from the record');
SELECT is((SELECT concat_ws(' ', status, resolved_by, intent_at) FROM call_logs WHERE call_sid = 'x-10'), 'ended cdr 2026-11-17 14:40:00+00', 'ended, when it was');
SELECT is(pg_temp.job(1, 4), 'queued no_answer count=1 due=11-17 16:40', 'and its lead waits as after any other dial');
SELECT is(pg_temp.sweep(pg_temp.listed('x-10', 4, 'cdr', '2026-11-17 14:40Z'), '2026-11-17 15:03Z', true), 'known 1 adopted 0 orphans 0 fresh 0', 'once');
SELECT is(pg_temp.sweep(pg_temp.listed('x-11', 88, 'live', '2026-11-17 14:41Z'), '2026-11-17 15:03Z', true), 'known 0 adopted 0 orphans 1 fresh 1', 'a number of no lead is an orphan');
-- Who sweeps, and from where.
SELECT is((SELECT swept_until FROM engine.orphan_due(3600000, 60000, 86400000, NULL, '2026-11-17 15:00Z') WHERE account_id = pg_temp.id(1, 1)),
          '2026-11-16 15:00Z', 'a first sweep looks a day back');
SELECT is((SELECT count(*) FROM engine.orphan_due(3600000, 60000, 86400000, NULL, '2026-11-17 15:00:30Z') WHERE account_id = pg_temp.id(1, 1)), 0::bigint, 'one at a time');
SELECT app.orphan_swept(pg_temp.id(1, 1), '2026-11-17 14:55Z', 5, 1, NULL, '2026-11-17 15:00:40Z') \g /dev/null
SELECT is((SELECT count(*) FROM engine.orphan_due(3600000, 60000, 86400000, NULL, '2026-11-17 15:59Z') WHERE account_id = pg_temp.id(1, 1)), 0::bigint, 'not before an hour');
SELECT is((SELECT swept_until FROM engine.orphan_due(3600000, 60000, 86400000, NULL, '2026-11-17 16:01Z') WHERE account_id = pg_temp.id(1, 1)), '2026-11-17 14:55Z', 'then from where it ended');
SELECT app.orphan_swept(pg_temp.id(1, 1), NULL, 0, 0, 'HTTP 503', '2026-11-17 16:02Z') \g /dev/null
SELECT is((SELECT swept_until FROM engine.orphan_due(3600000, 60000, 86400000, '2026-11-17 12:00Z', '2026-11-17 16:03Z') WHERE account_id = pg_temp.id(1, 1)), '2026-11-17 12:00Z',
          'one that failed is due again, and a restore begins at the backup''s end');
CREATE FUNCTION pg_temp.due(since timestamptz, at timestamptz) RETURNS bigint LANGUAGE sql AS $$
    SELECT count(*) FROM engine.orphan_due(0, 60000, 86400000, since, at) WHERE account_id = pg_temp.id(1, 1)
$$;
SELECT is(pg_temp.due(NULL, '2026-11-17 16:03:10Z'), 0::bigint, 'it is taken');
SELECT is(pg_temp.due('2026-11-17 12:00Z', '2026-11-17 16:03:10Z'), 1::bigint, 'but a restore does not count on who took it: that one may be dead');
SELECT app.orphan_swept(pg_temp.id(1, 1), NULL, 0, 0, 'HTTP 503', '2026-11-17 16:03:20Z') \g /dev/null
SELECT is(pg_temp.due('2026-11-17 12:00Z', '2026-11-17 16:04Z'), 0::bigint, 'a list that could not be read rests, for a restore too');
UPDATE carrier_accounts SET status = 'retired' WHERE id = pg_temp.id(1, 1) \g /dev/null
SELECT is(pg_temp.due(NULL, '2026-11-17 16:05Z'), 0::bigint, 'an account that is retired is not asked for its list');
UPDATE carrier_accounts SET status = 'active' WHERE id = pg_temp.id(1, 1) \g /dev/null
SELECT is(pg_temp.due(NULL, '2026-11-17 16:05Z'), 1::bigint, 'one that is not, is');

-- The operator's word. A call that rang and has no record stays unknown for ever, unless somebody knows.
SELECT pg_temp.claim('2026-11-17 15:10Z') AS c \gset
SELECT queue_id AS c_job FROM call_logs WHERE id = :'c' \gset
CREATE FUNCTION pg_temp.settle(call uuid, verdict text, at timestamptz, result text DEFAULT NULL) RETURNS text LANGUAGE sql AS $$
    SELECT coalesce(x.a ->> 'refused', concat_ws(' ', x.a ->> 'status', x.a ->> 'outcome', x.a ->> 'will_retry'))
      FROM app.call_settle(call, verdict, result, 'asked the carrier', 'test', at) AS x (a)
$$;
SELECT is(pg_temp.settle(:'c', 'ended', '2026-11-17 15:11Z'), 'its outcome is not unknown: it is reserved', 'not while it is not unknown');
SELECT count(*) FROM engine.lease_sweep(60000, '2026-11-17 15:12Z') \g /dev/null
SELECT is(pg_temp.settle(:'c', 'not_placed', '2026-11-17 15:13Z') LIKE 'its worker may still live%', true, 'not while its worker may POST');
SELECT engine.worker_dead(pg_temp.worker(), 'operator', '2026-11-17 15:14Z') \g /dev/null
SELECT is(jsonb_array_length(app.call_unknown(10, '2026-11-17 15:14Z') -> 'calls') >= 1, true, 'it is on the list');
SELECT is(pg_temp.settle(:'c', 'not_placed', '2026-11-17 15:15Z'), 'not_placed not_placed true', 'then it is settled');
SELECT is((SELECT resolved_by FROM call_logs WHERE id = :'c'), 'operator', 'by the operator');
SELECT is((SELECT status || ' ' || attempt_count FROM call_queue WHERE id = :'c_job'), 'queued 0', 'and its job queued');
SELECT is((SELECT detail ->> 'why' FROM audit_log WHERE action = 'call.settled'), 'asked the carrier', 'on the audit log');
SELECT is(pg_temp.settle(:'c', 'ended', '2026-11-17 15:16Z'), 'its outcome is not unknown: it is not_placed', 'once');
UPDATE workers SET status = 'alive', proof = NULL, ended_at = NULL;
SELECT pg_temp.claim('2026-11-17 15:20Z') AS d \gset
SELECT pg_temp.place(:'d', 'placed', '2026-11-17 15:20:01Z'), pg_temp.ring(:'d', '2026-11-17 15:20:02Z') \g /dev/null
SELECT app.reconcile_scan(:'d', 0, 1000, '2026-11-17 15:30Z') \g /dev/null
SELECT is(pg_temp.settle(:'d', 'not_placed', '2026-11-17 15:31Z'), 'it rang, so it was placed', 'never against what is on record');
SELECT is(pg_temp.settle(:'d', 'ended', '2026-11-17 15:31Z', 'busy'), 'ended busy true', 'ended, as the operator says');
SELECT pg_temp.tenant(2) \g /dev/null
SELECT pg_temp.act(2) \g /dev/null
SELECT is(pg_temp.settle(:'d', 'ended', now()), 'no such call', 'another tenant''s call is nobody''s');
SELECT * FROM finish();
ROLLBACK;
