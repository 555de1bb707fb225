-- Failover and restore: nothing is claimed on a new history before the journals are back in; rows that were lost are
-- rebuilt, and nobody is dialed again for them. Rows 26 to 29 of the crash table, as far as they live in SQL.
BEGIN;
\ir fixture.psql
\ir life.psql
SELECT no_plan();
SELECT pg_temp.tenant(1) \g /dev/null
SELECT pg_temp.act(1) \g /dev/null
SELECT pg_temp.lead(1, k) FROM generate_series(1, 9) k \g /dev/null
CREATE FUNCTION pg_temp.n(k int) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$ SELECT ('c0000000-0000-7000-8000-' || lpad(k::text, 12, '0'))::uuid $$;
CREATE FUNCTION pg_temp.check_in(k int, at timestamptz, newest uuid DEFAULT NULL, last_at timestamptz DEFAULT NULL, was boolean DEFAULT false) RETURNS text LANGUAGE sql AS $$
    SELECT concat_ws(' ', c.state, c.kind, c.waits_for)
      FROM engine.dial_check_in(pg_temp.n(k), 'node-' || k, '0.1', NULL, newest, CASE WHEN was THEN 'old' ELSE engine.system_id() END, engine.timeline(), last_at, 600000, 10000, at) c
$$;
-- One line of a journal: a dial of lead k.
CREATE FUNCTION pg_temp.entry(call uuid, k int, tried int, at timestamptz, is_over boolean DEFAULT false) RETURNS jsonb LANGUAGE sql AS $$
    SELECT jsonb_build_array(jsonb_build_object('c', call, 'o', pg_temp.org(1), 'j', pg_temp.id(1, 200 + k), 'n', tried,
        'f', '+16465550001', 't', pg_temp.phone(1, k), 'a', pg_temp.id(1, 1), 'w', pg_temp.worker(), 'at', at, 'over', is_over))
$$;
CREATE FUNCTION pg_temp.replay(e jsonb, at timestamptz) RETURNS text LANGUAGE sql AS $$
    SELECT format('known %s rebuilt %s unplaceable %s conflicts %s', r.known, r.rebuilt, r.unplaceable, r.conflicts)
      FROM engine.dial_replay(pg_temp.n(1), e, at) r
$$;
CREATE FUNCTION pg_temp.done(k int[], at timestamptz) RETURNS void LANGUAGE sql AS $$
    SELECT engine.dial_replayed(ARRAY(SELECT pg_temp.n(u) FROM unnest(k) u), 0, 0, 0, at)
$$;
-- As after a promotion: what the server writes now is not what is on record.
CREATE FUNCTION pg_temp.promote() RETURNS void LANGUAGE sql AS $$
    DELETE FROM dial_replays;
    UPDATE dial_histories SET timeline = timeline - 1000
$$;

SELECT ok(engine.history_open(), 'the history that the schema was made on is open');
SELECT is(pg_temp.check_in(1, '2026-11-17 14:00Z'), 'open first 0', 'a node checks in');
SELECT engine.worker_start(pg_temp.n(1), 'one', '0.1', NULL, pg_temp.worker(), '/run/w', '2026-11-17 14:00Z') \g /dev/null
SELECT pg_temp.check_in(2, '2026-11-17 12:00Z'), pg_temp.check_in(3, '2026-11-17 14:55Z') \g /dev/null
SELECT engine.heartbeat(pg_temp.n(1), false, '2026-11-17 14:59:58Z') \g /dev/null
SELECT pg_temp.claim('2026-11-17 15:00Z') AS a \gset
SELECT pg_temp.place(:'a', 'placed', '2026-11-17 15:00:01Z') \g /dev/null

-- Row 28: failover. The claims of leads 2 to 4 are lost, and the journal has them.
SELECT pg_temp.promote() \g /dev/null
SELECT is(pg_temp.claim('2026-11-17 15:00:05Z'), NULL, 'nothing is claimed on a history that nobody has seen');
SELECT is(pg_temp.check_in(1, '2026-11-17 15:00:06Z', NULL, '2026-11-17 15:00:04Z'), 'replay failover 2',
          'the first who sees it waits for itself and for who was near, not for the one that was silent for hours');
SELECT is(pg_temp.claim('2026-11-17 15:00:07Z'), NULL, 'nothing is claimed before it is open');
SELECT app.uuid7() AS lost2, app.uuid7() AS lost3, app.uuid7() AS lost4, app.uuid7() AS lost5, app.uuid7() AS stray \gset
SELECT is(pg_temp.replay(pg_temp.entry(:'a', 1, 1, '2026-11-17 15:00Z') || pg_temp.entry(:'lost2', 2, 1, '2026-11-17 15:00Z')
          || pg_temp.entry(:'lost3', 3, 1, '2026-11-17 15:00Z', true), '2026-11-17 15:00:08Z'),
          'known 1 rebuilt 2 unplaceable 0 conflicts 0', 'the journal: one row is there, two are rebuilt');
SELECT is((SELECT concat_ws(' ', status, adopted_at IS NOT NULL, signed_off_at IS NOT NULL, intent_at, next_reconcile_at) FROM call_logs WHERE id = :'lost2'),
          'outcome_unknown t f 2026-11-17 15:00:00+00 2026-11-17 15:00:08+00', 'unknown, to be asked about at once, its owner perhaps alive');
SELECT is((SELECT signed_off_at FROM call_logs WHERE id = :'lost3'), '2026-11-17 15:00:08Z', 'of a dead owner: that is on record');
SELECT is(pg_temp.job(1, 2), 'processing count=1', 'its job is out of the queue, and counts a dial');
SELECT is(pg_temp.attempt(:'lost2'), 'open', 'with a journal row');
SELECT is((SELECT gate FROM call_attempts WHERE call_log_id = :'lost2'), '{"adopted": "journal"}', 'that says where it is from');
SELECT is(pg_temp.replay(pg_temp.entry(:'lost2', 2, 1, '2026-11-17 15:00Z', true), '2026-11-17 15:00:09Z'),
          'known 1 rebuilt 0 unplaceable 0 conflicts 0', 'again: nothing is made twice');
SELECT is((SELECT signed_off_at FROM call_logs WHERE id = :'lost2'), '2026-11-17 15:00:09Z', 'but the owner is known to be gone now');
SELECT is(pg_temp.replay(pg_temp.entry(:'stray', 77, 1, '2026-11-17 15:00Z'), '2026-11-17 15:00:09Z'),
          'known 0 rebuilt 0 unplaceable 1 conflicts 0', 'a dial whose job is lost too');
SELECT is((SELECT detail ->> 'result' FROM audit_log WHERE action = 'call.adopted' AND subject_id = :'stray'), 'no_job', 'is on the audit log');
-- The end of attempt 1 was lost together with the claim of attempt 2: the pair of numbers is still held.
SELECT is(pg_temp.replay(pg_temp.entry(:'lost4', 1, 2, '2026-11-17 15:00:03Z'), '2026-11-17 15:00:10Z'),
          'known 0 rebuilt 0 unplaceable 0 conflicts 1', 'an attempt after one whose end is missing waits for it');
SELECT is((SELECT next_reconcile_at FROM call_logs WHERE id = :'a'), '2026-11-17 15:00:10Z', 'which is asked about at once');
SELECT pg_temp.hangup(:'a', 'no_answer', NULL, '2026-11-17 15:00:11Z') \g /dev/null
SELECT is(pg_temp.replay(pg_temp.entry(:'lost4', 1, 1, '2026-11-17 15:00:03Z'), '2026-11-17 15:00:12Z'),
          'known 0 rebuilt 1 unplaceable 0 conflicts 0', 'and then it is rebuilt');
SELECT is((SELECT attempt_number FROM call_logs WHERE id = :'lost4'), 2, 'under a number that is not taken');
SELECT is(pg_temp.job(1, 1), 'processing count=2', 'and its job leaves the queue again');

SELECT lives_ok($$SELECT pg_temp.done('{1,7,7}', '2026-11-17 15:00:13Z')$$, 'a dead process of two segments, and of two processes that read them');
SELECT is(pg_temp.check_in(1, '2026-11-17 15:00:20Z'), 'wait failover 1', 'the other node has not put its journal back');
SELECT is(engine.node_dead('node-3', 'burnt', 'test', '2026-11-17 14:55:10Z') ->> 'refused' LIKE 'it gave a sign of life%', true,
          'a node that lives is not declared dead');
SELECT is(engine.node_dead('node-9', 'x', 'test', '2026-11-17 15:00:21Z') ->> 'refused', 'no node of that name or id', 'nor one that nobody knows');
SELECT is(engine.node_dead('node-3', 'burnt', 'test', '2026-11-17 15:00:21Z') ->> 'change', 'dead', 'an operator vouches for its death');
SELECT is(pg_temp.claim('2026-11-17 15:00:22Z'), NULL, 'not open yet');
SELECT is(pg_temp.check_in(1, '2026-11-17 15:00:15Z'), 'wait failover 0', 'nor before late comers had their time');
SELECT is(pg_temp.check_in(1, '2026-11-17 15:00:22Z'), 'open failover 0', 'then it is');
SELECT pg_temp.claim('2026-11-17 15:00:23Z') AS next \gset
SELECT is((SELECT lead_id FROM call_logs WHERE id = :'next'), pg_temp.id(1, 14),
          'the next claim passes over the leads whose dials were rebuilt');
-- What was rebuilt ends like any other: found by the carrier's record, or absent after the horizon.
SELECT is(app.reconcile_presence(:'lost2', 'cdr', 'cdr-2', NULL, '2026-11-17 15:00:01Z', NULL, '2026-11-17 15:00:31Z', 0, 0, 0, NULL, 'NO_ANSWER', 3000,
          'Callee', 'no_answer', 'no_answer', 60000, 900000, 1000, '2026-11-17 15:06Z'), 'ended', 'found: ended');
SELECT is(pg_temp.attempt(:'lost2'), 'no_answer t no_answer 11-17 17:00', 'and settled');
SELECT app.reconcile_scan(:'lost3', 0, 1000, '2026-11-17 15:20Z'), app.reconcile_scan(:'lost3', 0, 1000, '2026-11-17 15:22Z') \g /dev/null
SELECT results_eq(format($$SELECT * FROM app.reconcile_absence(%L, 900000, 60000, '2026-11-17 15:23Z')$$, :'lost3'), $$VALUES (false, 'horizon')$$,
                  'perhaps it was answered, and we forgot: it may talk as long as a talk lasts');
SELECT app.reconcile_scan(:'lost3', 0, 1000, '2026-11-17 19:22Z') \g /dev/null
SELECT results_eq(format($$SELECT * FROM app.reconcile_absence(%L, 900000, 60000, '2026-11-17 19:23Z')$$, :'lost3'), $$VALUES (true, NULL::text)$$,
                  'never placed: absent');
SELECT is(pg_temp.job(1, 3), 'queued not_placed count=0 due=11-17 19:24', 'and queued again');

-- A process that checks in late, on an open history, is asked for nothing; one whose newest dial is not there shuts it.
SELECT engine.heartbeat(pg_temp.n(1), false, '2026-11-17 15:28Z') \g /dev/null
SELECT is(pg_temp.check_in(4, '2026-11-17 15:30Z', :'lost2', '2026-11-17 15:29Z'), 'open failover 0', 'its newest dial is there');
SELECT is(pg_temp.check_in(6, '2026-11-17 15:30Z', :'lost5', NULL, true), 'replay failover 0',
          'one that comes late, with a dial of the history before: its journal is put back, and nobody stops for it');
SELECT pg_temp.done('{6}', '2026-11-17 15:30:10Z') \g /dev/null
SELECT is(pg_temp.check_in(6, '2026-11-17 15:30:11Z', :'lost5', NULL, true), 'open failover 0', 'then it dials');
SELECT is(pg_temp.check_in(4, '2026-11-17 15:31Z', :'lost5', '2026-11-17 15:30:59Z'), 'accept restore 3', 'crash row 29: one that is not there: this is an older copy');
SELECT is(pg_temp.claim('2026-11-17 15:31:01Z'), NULL, 'nothing is claimed');
SELECT pg_temp.done('{1,4,6}', '2026-11-17 15:31:05Z') \g /dev/null
SELECT is(pg_temp.check_in(4, '2026-11-17 15:32Z'), 'accept restore 0', 'not even when all journals are in: an operator has to say so');
SELECT is(engine.recovery_accept('2026-11-17 15:00Z', 'disk lost', 'test', '2026-11-17 15:33Z') ->> 'change', 'accepted', 'who does');
SELECT is((SELECT detail ->> 'why' FROM audit_log WHERE action = 'recovery.accepted' AND organization_id = pg_temp.org(1)), 'disk lost', 'on the audit log');
SELECT is(pg_temp.check_in(4, '2026-11-17 15:34Z'), 'open restore 0', 'then it is open');
SELECT is(engine.recovery_accept(NULL, 'x', 'test', '2026-11-17 15:35Z') ->> 'refused', 'nothing waits: this database is dialed on', 'and nothing is left to accept');

-- A journal that is newer by more than a failover loses: a restore, whatever the timeline says. Another cluster too.
SELECT pg_temp.promote() \g /dev/null
SELECT is(engine.recovery_accept(NULL, 'x', 'test', '2026-11-17 15:35Z') ->> 'refused', 'no node has looked at this database yet: start `dialwright serve` first',
          'nothing is accepted unseen');
SELECT is(pg_temp.check_in(4, '2026-11-17 18:00Z', NULL, '2026-11-17 17:00Z'), 'accept restore 3', 'an hour is missing');
SELECT pg_temp.promote() \g /dev/null
SELECT is(pg_temp.check_in(4, '2026-11-17 18:10Z', NULL, '2026-11-17 18:00Z'), 'replay failover 1', 'a failover');
SELECT is(engine.recovery_accept(NULL, 'x', 'test', '2026-11-17 18:11Z') ->> 'refused' LIKE 'this is a failover%', true, 'is not for an operator to accept');
SELECT pg_temp.check_in(1, '2026-11-17 18:11Z', NULL, '2026-11-17 19:00Z') \g /dev/null
SELECT is((SELECT kind FROM dial_histories ORDER BY timeline DESC LIMIT 1), 'restore', 'unless a second node knows of more');
SELECT pg_temp.promote() \g /dev/null
UPDATE dial_histories SET system_id = 'another' \g /dev/null
SELECT is(pg_temp.check_in(4, '2026-11-17 18:20Z', NULL, NULL), 'accept restore 2', 'a dump that was restored into another cluster');

-- Adoption by webhook: inside the tenant, from the address alone.
SELECT is(engine.adopt_call(:'lost5', pg_temp.id(1, 205), 1, pg_temp.id(1, 1), '+16465550001', pg_temp.phone(1, 5), '2026-11-17 15:40Z'), 'rebuilt',
          'a webhook whose attempt has no row');
SELECT is((SELECT intent_at FROM call_logs WHERE id = :'lost5'), '2026-11-17 15:40Z', 'claimed at the latest when it was heard of');
SELECT is(pg_temp.answer(:'lost5', '2026-11-17 15:40:01Z'), 'talk', 'is talked with');
SELECT is(pg_temp.hangup(:'lost5', 'answered', '2026-11-17 15:40:01Z', '2026-11-17 15:41Z'), 'ended answered', 'and ends in the ledger');
SELECT is(pg_temp.job(1, 5), 'completed answered count=1', 'once');
SELECT is(engine.adopt_call(:'lost5', pg_temp.id(1, 205), 1, pg_temp.id(1, 1), '+16465550001', pg_temp.phone(1, 5), '2026-11-17 15:42Z'), 'present', 'again: nothing');
SELECT is(engine.adopt_call(app.uuid7(), pg_temp.id(1, 299), 1, pg_temp.id(1, 1), '+16465550001', pg_temp.phone(1, 5), now()), 'no_job', 'a job that is gone');
SELECT is((SELECT count(*) FROM call_logs WHERE queue_id = pg_temp.id(1, 299)), 0::bigint, 'makes no row');
-- An opt-out meanwhile: adopted all the same, and told good-bye.
INSERT INTO do_not_call (organization_id, phone_e164, reason, source, added_at) VALUES (pg_temp.org(1), pg_temp.phone(1, 6), 'opt_out', 'manual', '2026-11-17 15:00Z');
SELECT engine.adopt_call(:'stray', pg_temp.id(1, 206), 1, pg_temp.id(1, 1), '+16465550001', pg_temp.phone(1, 6), '2026-11-17 15:45Z') \g /dev/null
SELECT is(pg_temp.answer(:'stray', '2026-11-17 15:45:01Z'), 'hangup dnc_internal', 'who opted out is not talked with');
SELECT is((SELECT status FROM call_logs WHERE id = :'stray'), 'in_progress', 'but has a row');
-- Clocks that are ahead.
SELECT pg_temp.check_in(8, clock_timestamp() + interval '1 hour') \g /dev/null
SELECT is((SELECT n.heartbeat_at <= clock_timestamp() FROM nodes n WHERE n.id = pg_temp.n(8)), true, 'a sign of life from the future is not believed');
SELECT is(engine.node_dead('node-8', 'x', 'test', clock_timestamp() + interval '1 hour') ->> 'refused' LIKE 'it gave a sign of life%', true,
          'nor a death that only the clock of who vouches for it shows');
-- Walls.
SELECT pg_temp.tenant(2) \g /dev/null
SELECT pg_temp.act(2) \g /dev/null
SELECT is(engine.adopt_call(app.uuid7(), pg_temp.id(1, 207), 1, pg_temp.id(1, 1), '+16465550001', pg_temp.phone(1, 7), now()), 'no_job',
          'another tenant''s job is nobody''s');
SELECT set_config('app.ctx', '', true) \g /dev/null
SELECT throws_ok($$SELECT engine.adopt_call(app.uuid7(), pg_temp.id(1, 207), 1, pg_temp.id(1, 1), '+16465550001', '+12125550017', now())$$, '42501', NULL,
                 'nobody adopts without a tenant');
SELECT is(has_function_privilege('app_worker', 'engine.adopt(uuid,uuid,uuid,int4,text,text,uuid,uuid,timestamptz,boolean,text,timestamptz)', 'EXECUTE'),
          false, 'nor across tenants');
SELECT * FROM finish();
ROLLBACK;
