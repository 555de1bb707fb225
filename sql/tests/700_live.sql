-- One test call by hand: gate first, first in line, and out of the queue again afterwards. And two things a set-up file or a
-- list may not get past: a voicemail message that nobody would leave, a number whose zone nobody knows.
BEGIN;
\ir fixture.psql
\ir life.psql
SELECT no_plan();
SELECT pg_temp.tenant(n) FROM generate_series(1, 2) n \g /dev/null
SELECT pg_temp.act(1) \g /dev/null
SELECT engine.worker_start(pg_temp.node(), 'one', '0.1', NULL, pg_temp.worker(), '/run/w', '2026-11-17 14:00Z') \g /dev/null
UPDATE organizations SET number_spacing_s = 60 WHERE id = pg_temp.org(1);
CREATE FUNCTION pg_temp.enrol(k int, at timestamptz) RETURNS jsonb LANGUAGE sql AS $$
    SELECT app.live_enrol('main', pg_temp.phone(1, k), 'cli:test', at)
$$;
CREATE FUNCTION pg_temp.row(k int) RETURNS text LANGUAGE sql AS $$
    SELECT concat_ws(' ', status, priority, last_error, ready) FROM call_queue WHERE lead_id = pg_temp.id(1, 10 + k)
$$;

-- Somebody new, while others wait.
SELECT pg_temp.lead(1, k) FROM generate_series(1, 4) k \g /dev/null
DELETE FROM call_queue WHERE lead_id = pg_temp.id(1, 11);
SELECT throws_ok($$SELECT app.live_enrol('main', '+12125550000', 'cli:test', now())$$, 'P0002', NULL, 'the number must be a lead');
SELECT throws_ok($$SELECT app.live_enrol('none', pg_temp.phone(1, 1), 'cli:test', now())$$, 'P0002', NULL, 'the campaign must be there');
SELECT results_eq($$SELECT pg_temp.enrol(1, '2026-11-17 03:00Z') ->> 'reason', (pg_temp.enrol(1, '2026-11-17 03:00Z') ->> 'next')::timestamptz$$,
    $$VALUES ('outside_window', '2026-11-17 14:00Z'::timestamptz)$$, 'at night: no, and when');
SELECT is(pg_temp.row(1), NULL, 'and nothing is enrolled');
SELECT pg_temp.enrol(1, '2026-11-17 15:00Z') AS mine \gset
SELECT is(:'mine'::jsonb -> 'was', 'null', 'by day: enrolled');
SELECT is(pg_temp.row(1), 'queued 100 t', 'first in line');
SELECT is((:'mine'::jsonb ->> 'alone')::boolean, false, 'not the only one of its campaign');
SELECT is((SELECT count(*)::int FROM audit_log WHERE action = 'call.test'), 1, 'on record');
SELECT is(app.live_follow((:'mine'::jsonb ->> 'queue')::uuid, 0) -> 'call', 'null', 'no call yet');
SELECT pg_temp.claim('2026-11-17 15:00:01Z') AS call \gset
SELECT is((SELECT lead_id FROM call_logs WHERE id = :'call'), pg_temp.id(1, 11), 'claimed before those who wait longer');
SELECT is(app.live_follow((:'mine'::jsonb ->> 'queue')::uuid, 0) #>> '{call,status}', 'reserved', 'followed');
SELECT is(pg_temp.enrol(1, '2026-11-17 15:00:02Z') ->> 'reason', 'duplicate', 'not twice at once');
SELECT is((app.live_withdraw((:'mine'::jsonb ->> 'queue')::uuid, NULL, 'cli:test', '2026-11-17 15:00:02Z') ->> 'withdrawn')::boolean, false,
    'a call on its way is not taken back');
SELECT pg_temp.place(:'call', 'placed', '2026-11-17 15:00:02Z'), pg_temp.ring(:'call', '2026-11-17 15:00:03Z') \g /dev/null
SELECT pg_temp.hangup(:'call', 'busy', NULL, '2026-11-17 15:00:20Z') \g /dev/null
SELECT matches(pg_temp.row(1), '^queued 100 busy', 'busy: the policy would try again');
SELECT results_eq(format($$SELECT c ->> 'status', c ->> 'outcome', c ->> 'ended_at' IS NOT NULL FROM (SELECT app.live_follow(%L, 0) -> 'call') x (c)$$,
    :'mine'::jsonb ->> 'queue'), $$VALUES ('ended', 'busy', true)$$, 'its outcome');
SELECT app.live_withdraw((:'mine'::jsonb ->> 'queue')::uuid, :'mine'::jsonb -> 'was', 'cli:test', '2026-11-17 15:00:21Z') \g /dev/null
SELECT is(pg_temp.row(1), 'failed 0 cancelled f', 'a test is not repeated');
SELECT is(pg_temp.enrol(1, '2026-11-17 15:00:30Z') ->> 'reason', 'spacing', 'spacing binds tests too');
SELECT pg_temp.enrol(1, '2026-11-17 15:05Z') AS again \gset
SELECT is(:'again'::jsonb ->> 'attempt_number', '1', 'later it may be tested again');
SELECT is(app.live_follow((:'again'::jsonb ->> 'queue')::uuid, 1) -> 'call', 'null', 'and the old call is not taken for the new one');
SELECT app.live_withdraw((:'again'::jsonb ->> 'queue')::uuid, :'again'::jsonb -> 'was', 'cli:test', '2026-11-17 15:06Z') \g /dev/null
SELECT is(pg_temp.row(1), 'failed 0 cancelled f', 'nobody claimed it: as it was');

-- Somebody who waits anyway.
UPDATE call_queue SET next_retry_at = '2026-11-18 15:00Z', last_error = 'no_answer', priority = 7 WHERE lead_id = pg_temp.id(1, 12);
SELECT pg_temp.enrol(2, '2026-11-17 15:10Z') AS theirs \gset
SELECT is(pg_temp.row(2), 'queued 100 t', 'brought forward');
SELECT app.live_withdraw((:'theirs'::jsonb ->> 'queue')::uuid, :'theirs'::jsonb -> 'was', 'cli:test', '2026-11-17 15:11Z') \g /dev/null
SELECT results_eq($$SELECT pg_temp.row(2), next_retry_at FROM call_queue WHERE lead_id = pg_temp.id(1, 12)$$,
    $$VALUES ('queued 7 no_answer f', '2026-11-18 15:00Z'::timestamptz)$$, 'and put back to its own time');
SELECT pg_temp.enrol(2, '2026-11-17 15:12Z') AS theirs \gset
SELECT pg_temp.claim('2026-11-17 15:12:01Z') AS call \gset
SELECT pg_temp.place(:'call', 'placed', '2026-11-17 15:12:02Z'), pg_temp.answer(:'call', '2026-11-17 15:12:10Z') \g /dev/null
SELECT app.callback_request(:'call', '2026-11-17 18:00Z', 'at one', '2026-11-17 15:12:20Z') \g /dev/null
SELECT pg_temp.hangup(:'call', 'answered', '2026-11-17 15:12:10Z', '2026-11-17 15:13Z') \g /dev/null
SELECT is((app.live_withdraw((:'theirs'::jsonb ->> 'queue')::uuid, :'theirs'::jsonb -> 'was', 'cli:test', '2026-11-17 15:13:01Z') ->> 'callback_at')::timestamptz,
    '2026-11-17 18:00Z', 'what was promised in the test is kept');

-- Refusals of the person, and of another tenant.
SELECT app.opt_out(:'call', 'model', 'no more', '2026-11-17 15:13Z') \g /dev/null
SELECT is(pg_temp.enrol(2, '2026-11-17 18:00Z') ->> 'reason', 'dnc_internal', 'no test of who said no');
UPDATE campaigns SET status = 'paused' WHERE id = pg_temp.id(1, 3);
SELECT is(pg_temp.enrol(3, '2026-11-17 15:20Z') ->> 'reason', 'campaign_paused', 'nor in a paused campaign');
SELECT pg_temp.act(2) \g /dev/null
SELECT is(app.live_follow((:'mine'::jsonb ->> 'queue')::uuid, 0), NULL, 'another tenant sees nothing of it');
SELECT throws_ok(format($$SELECT app.live_withdraw(%L, NULL, 'cli:test', now())$$, :'mine'::jsonb ->> 'queue'), 'P0002', NULL, 'and takes nothing out');

-- What a set-up file asks for and nobody would do.
SELECT throws_like($$SELECT app.campaign_put('{"name": "main", "voicemail_action": "message", "voicemail_message": "Call me"}', 'cli:test', now())$$,
    '%voicemail_action message is not supported%', 'a voicemail message is refused, not ignored');
SELECT is(app.campaign_put('{"name": "main", "amd": "detect", "voicemail_action": "hangup"}', 'cli:test', now()) ->> 'change', 'updated', 'marking machines is not');

-- A number whose zone nobody knows: no lead, unless the campaign names a zone for such.
CREATE FUNCTION pg_temp.read_in(campaign text, phone text) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    import uuid := app.import_begin(campaign, 'x', NULL, '{}', 'cli:test', '2026-11-17') ->> 'id';
BEGIN
    RETURN app.import_batch(import, '{1}', '{NULL}', '{NULL}', '{""}', ARRAY[phone], '{US}', '{""}', '{Ann}', '{""}', '{""}', '{"{}"}',
        '{2026-11-01}', '{written}', '{form}', '{""}', '2026-11-17') #> '{rejects,0,1}';
END
$$;
SELECT is(pg_temp.read_in('main', '+12125559001'), '"unknown_zone"', 'no zone, and the campaign names none: a named reject');
UPDATE campaigns SET timezone = 'America/Chicago' WHERE id = pg_temp.id(2, 3);
SELECT is(pg_temp.read_in('main', '+12125559001'), NULL, 'the campaign names one: a lead');
SELECT is((SELECT app.lead_zones(l, 'America/Chicago') FROM leads l WHERE l.phone_e164 = '+12125559001'), '{America/Chicago}', 'who is called by the campaign''s clock');
UPDATE campaigns SET timezone = NULL WHERE id = pg_temp.id(2, 3);
SELECT is((SELECT (app.gate(pg_temp.org(2), pg_temp.id(2, 3), l.id, '+16465550002', '2026-11-17 15:00Z')).reason FROM leads l WHERE l.phone_e164 = '+12125559001'),
    'timezone_unknown', 'and not at all when that is taken away');
SELECT * FROM finish();
ROLLBACK;
