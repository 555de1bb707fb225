-- Imported lists: loaded beside the one in force, in force with their last row, replaced in one commit; registries' answers; the
-- switches that stop dialing.
BEGIN;
\ir fixture.psql
SELECT no_plan();
SELECT pg_temp.tenant(1), pg_temp.lead(1, 1), pg_temp.lead(1, 2), pg_temp.tenant(2), pg_temp.lead(2, 1) \gset fixture_
SELECT set_config('app.ctx', pg_temp.ctx(pg_temp.org(1)), true) \gset fixture_
CREATE FUNCTION pg_temp.begin(kind text, code text, as_of text, at timestamptz) RETURNS jsonb LANGUAGE sql AS $$
    SELECT app.list_begin(jsonb_build_object('kind', kind, 'list', code, 'as_of', as_of, 'source', 'test'), 'me', at)
$$;
CREATE FUNCTION pg_temp.load(kind text, code text, as_of text, at timestamptz, phones text[], words text[] DEFAULT NULL) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    list uuid := (pg_temp.begin(kind, code, as_of, at) ->> 'id')::uuid;
BEGIN
    PERFORM app.list_batch(list, kind, phones, coalesce(words, array_fill(''::text, ARRAY[cardinality(phones)])), 1, 'me', at);
    RETURN app.list_end(list, kind, NULL, cardinality(phones) + 1, 'me', at);
END
$$;
-- A version that is being loaded binds nobody.
SELECT pg_temp.begin('do_not_call', 'us-texas', '2026-11-10', '2026-11-17 14:00Z') ->> 'id' AS list \gset
SELECT app.list_batch(:'list', 'do_not_call', ARRAY[pg_temp.phone(1, 1), pg_temp.phone(1, 1), pg_temp.phone(1, 2)], '{"","",""}', 2, 'me', '2026-11-17 14:00Z') AS said \gset
SELECT is((:'said'::jsonb ->> 'added')::int, 2, 'a number twice is one entry');
SELECT is(pg_temp.gate(1, 1, '2026-11-17 15:00Z'), 'dial', 'not in force while it is loaded');
SELECT is(app.list_end(:'list', 'do_not_call', NULL, 4, 'me', '2026-11-17 14:30Z') ->> 'status', 'failed', 'rows that do not add up fail the list');
SELECT is(pg_temp.gate(1, 1, '2026-11-17 15:00Z'), 'dial', 'and it binds nobody');
SELECT throws_ok(format($$SELECT app.list_batch(%L, 'do_not_call', '{}', '{}', 0, 'me', now())$$, :'list'), 'P0002', NULL, 'a list that is over takes nothing more');
SELECT is(pg_temp.load('do_not_call', 'us-texas', '2026-11-11', '2026-11-17 14:40Z', ARRAY[pg_temp.phone(1, 1), pg_temp.phone(1, 2)]) ->> 'status', 'active', 'a whole one comes into force');
SELECT is(pg_temp.gate(1, 1, '2026-11-17 15:00Z'), 'dnc_list', 'and binds');
SELECT is(pg_temp.gate(2, 1, '2026-11-17 15:00Z'), 'dial', 'its own organization alone');
UPDATE call_queue SET status = 'failed', last_error = 'dnc_list' WHERE organization_id = pg_temp.org(1);
-- The next version replaces it, and who is no longer on it is due again.
SELECT pg_temp.load('do_not_call', 'us-texas', '2026-11-12', '2026-11-17 14:50Z', ARRAY[pg_temp.phone(1, 2)]) AS said \gset
SELECT is(pg_temp.gate(1, 1, '2026-11-17 15:00Z') || ', ' || pg_temp.gate(1, 2, '2026-11-17 15:00Z'), 'dial, dnc_list', 'the newer version counts');
SELECT is((:'said'::jsonb ->> 'requeued')::int, 2, 'rows that the older one had ended are asked again');
SELECT is(pg_temp.begin('do_not_call', 'us-texas', '2026-11-11', '2026-11-17 14:55Z') ->> 'refused', 'list us-texas is in force with a newer date, 2026-11-12', 'an older one does not take its place');
SELECT is(pg_temp.begin('do_not_call', 'us-texas', '2027-11-11', '2026-11-17 14:55Z') ->> 'refused', 'the list''s date lies in the future', 'nor one of next year');
SELECT is((SELECT string_agg(l ->> 'list' || ' ' || (l ->> 'state') || ' ' || coalesce(l ->> 'age_days', '-'), ', ' ORDER BY l ->> 'list')
             FROM jsonb_array_elements(app.list_listing('2026-11-17 15:00Z') -> 'lists') AS l), 'gb-tps missing -, us-national missing -, us-texas in force 5', 'age, and what is missing');
SELECT is((SELECT string_agg(l ->> 'state', ', ') FROM jsonb_array_elements(app.list_listing('2027-01-17 15:00Z') -> 'lists') AS l WHERE l ->> 'list' = 'us-texas'), 'in force', 'a list that no rule asks for grows old in peace');
-- Our own list is refusal for good; the queue follows.
SELECT is((pg_temp.load('internal', 'ours', '2020-01-01', '2026-11-17 15:00Z', ARRAY[pg_temp.phone(1, 1), pg_temp.phone(1, 1)]) ->> 'queue_rows_stopped')::int, 1, 'the internal list ends what waits');
SELECT is(pg_temp.gate(1, 1, '2026-11-17 15:01Z'), 'dnc_internal', 'for good');
SELECT is((SELECT reason || ' ' || source FROM do_not_call WHERE phone_e164 = pg_temp.phone(1, 1)), 'list import', 'with its origin');
SELECT is((pg_temp.load('internal', 'ours', '2020-01-01', '2026-11-17 15:02Z', ARRAY[pg_temp.phone(1, 1)]) ->> 'entries')::int, 0, 'twice is once');
-- Registries' answers.
DELETE FROM number_checks;
SELECT is(pg_temp.gate(2, 1, '2026-11-17 15:00Z'), 'number_reassigned', 'an old consent, never checked');
SELECT set_config('app.ctx', pg_temp.ctx(pg_temp.org(2)), true) \gset fixture_
SELECT pg_temp.load('reassigned', 'us-reassigned', '2026-11-10', '2026-11-17 15:00Z', ARRAY[pg_temp.phone(2, 1)], '{no}') \gset fixture_
SELECT is(pg_temp.gate(2, 1, '2026-11-17 15:00Z'), 'dial', 'checked a week ago');
SELECT pg_temp.load('reassigned', 'us-reassigned', '2026-11-16', '2026-11-17 15:00Z', ARRAY[pg_temp.phone(2, 1)], '{yes}') \gset fixture_
SELECT is(pg_temp.gate(2, 1, '2026-11-17 15:00Z'), 'number_reassigned', 'somebody else has it since');
SELECT throws_ok($$SELECT pg_temp.load('reassigned', 'us-reassigned', '2026-11-17', '2026-11-17 15:00Z', '{+12125550123}', '{perhaps}')$$, '23514', NULL, 'an answer that is none');
SELECT pg_temp.load('preferences', 'in', '2026-11-16', '2026-11-17 15:00Z', '{+911123456789}', '{"1 3;robo"}') \gset fixture_
SELECT results_eq('SELECT blocked_categories, blocked_modes FROM number_preferences', $$VALUES ('{1,3}'::int2[], '{robo}'::text[])$$, 'categories and modes');
-- Switches.
SELECT is(app.pause_put('{"scope": "tenant", "reason": "r"}', 'me', '2026-11-17 15:00Z') ->> 'change', 'paused', 'a switch is thrown');
SELECT is(app.pause_put('{"scope": "tenant", "reason": "r"}', 'me', '2026-11-17 15:00Z') ->> 'change', 'unchanged', 'once');
SELECT is((SELECT count(*)::int FROM audit_log WHERE action LIKE 'pause%' AND organization_id = pg_temp.org(2)), 1, 'audited');
SELECT is(app.pause_put('{"scope": "tenant", "resume": true}', 'me', '2026-11-17 15:05Z') ->> 'change', 'resumed', 'and lifted');
SELECT is(engine.pause_platform('{"scope": "platform", "reason": "r"}', 'me', '2026-11-17 15:00Z') ->> 'change', 'paused', 'the platform''s too');
SELECT is(pg_temp.gate(1, 2, '2026-11-17 15:00Z'), 'dial_paused', 'for everybody');
SELECT is(engine.pause_platform('{"scope": "platform", "resume": true}', 'me', '2026-11-17 15:06Z') ->> 'change', 'resumed', 'and lifted');
-- Claimed, and then the switch: the last look before the POST stops it, and lets it go when the switch is lifted in time.
SELECT set_config('app.ctx', pg_temp.ctx(pg_temp.org(1)), true) \gset fixture_
SELECT pg_temp.lead(1, 5) \gset fixture_
SELECT call_id FROM engine.claim(NULL, NULL, 1, '2026-11-17 15:10Z', 10000) \gset
SELECT is(app.may_post(:'call_id', '2026-11-17 15:10Z'), NULL, 'claimed: may go out');
SELECT app.pause_put(doc::jsonb, 'me', '2026-11-17 15:10:01Z') FROM (VALUES ('{"scope": "number", "phone": "+16465550001", "reason": "r"}')) AS d (doc) \gset fixture_
SELECT is(app.may_post(:'call_id', '2026-11-17 15:10:01Z'), 'dial_paused', 'its caller id was paused meanwhile');
SELECT app.pause_put('{"scope": "number", "phone": "+16465550001", "resume": true}', 'me', '2026-11-17 15:10:02Z') \gset fixture_
SELECT is(app.may_post(:'call_id', '2026-11-17 15:10:02Z'), NULL, 'lifted');
SELECT engine.pause_platform('{"scope": "platform", "reason": "r"}', 'me', '2026-11-17 15:10:03Z') \gset fixture_
SELECT is(app.may_post(:'call_id', '2026-11-17 15:10:03Z'), 'dial_paused', 'the platform was paused meanwhile');
SELECT * FROM finish();
ROLLBACK;
