-- The handoff: who is offered the call, what every report does, and what is left when nobody takes it.
BEGIN;
\ir fixture.psql
\ir life.psql
SELECT no_plan();
SELECT pg_temp.tenant(1) \g /dev/null
SELECT pg_temp.tenant(2) \g /dev/null
SELECT pg_temp.act(1) \g /dev/null
SELECT engine.worker_start(pg_temp.node(), 'one', '0.1', NULL, pg_temp.worker(), '/run/w', '2026-11-17 14:00Z') \g /dev/null
SELECT pg_temp.lead(1, k) FROM generate_series(0, 19) k \g /dev/null

-- A live call of tenant 1, talking since 15:00:10.
CREATE FUNCTION pg_temp.talking() RETURNS uuid LANGUAGE plpgsql AS $$
DECLARE
    call uuid := pg_temp.claim('2026-11-17 15:00Z');
BEGIN
    PERFORM pg_temp.place(call, 'placed', '2026-11-17 15:00:01Z');
    PERFORM pg_temp.answer(call, '2026-11-17 15:00:10Z');
    RETURN call;
END
$$;
-- Agent k of tenant n, in a state.
CREATE FUNCTION pg_temp.agent(n int, k int, state text DEFAULT 'available') RETURNS uuid LANGUAGE plpgsql AS $$
DECLARE
    agent uuid := pg_temp.id(n, 300 + k);
BEGIN
    INSERT INTO profiles (organization_id, id, name, role, phone_e164)
    VALUES (pg_temp.org(n), agent, 'Agent ' || k, 'agent', '+1917555000' || k);
    INSERT INTO agent_presence (organization_id, profile_id, state) VALUES (pg_temp.org(n), agent, state);
    RETURN agent;
END
$$;
CREATE FUNCTION pg_temp.ask(call uuid) RETURNS text LANGUAGE sql AS $$
    SELECT concat_ws(' ', granted, why, agent_name)
      FROM app.transfer_request(call, 'wants a person', 'Budget 50k, needs it by March', '2026-11-17 15:01Z')
$$;
CREATE FUNCTION pg_temp.offer(call uuid) RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(concat_ws(' ', state, outcome, call_sid, duration), '; ' ORDER BY offer_number)
      FROM agent_calls WHERE ai_call_log_id = call
$$;
CREATE FUNCTION pg_temp.presence(k int) RETURNS text LANGUAGE sql AS $$
    SELECT state FROM agent_presence WHERE profile_id = pg_temp.id(1, 300 + k)
$$;
CREATE FUNCTION pg_temp.event(call uuid, key text, leg text, seconds int, at timestamptz) RETURNS boolean LANGUAGE sql AS $$
    SELECT app.agent_event(call, key, leg, 'leg-' || call, seconds, '{}', at)
$$;

-- Nobody there: said so, and a person finds a task, once.
SELECT pg_temp.talking() AS a \gset
SELECT is(pg_temp.ask(:'a'), 'f no_agent', 'no agent at all');
SELECT is(pg_temp.ask(:'a'), 'f no_agent', 'asked again');
SELECT is((SELECT string_agg(task_type || ' ' || priority || ' ' || source || ' ' || status, ',') FROM follow_up_tasks WHERE call_log_id = :'a'),
          'call high ai pending', 'one callback task');
SELECT is((SELECT next FROM app.transfer_after(:'a', 'after-1', '{}', '2026-11-17 15:01:05Z')), 'hangup', 'nothing to ring: hang up');

-- The whole way: offered, rung, briefed, bridged, closed.
SELECT pg_temp.agent(2, 9) \g /dev/null
SELECT is(pg_temp.ask(:'a'), 'f no_agent', 'an agent of another tenant is nobody');
SELECT pg_temp.agent(1, 1) \g /dev/null
SELECT pg_temp.agent(1, 2, 'offline') \g /dev/null
SELECT pg_temp.talking() AS b \gset
SELECT is(pg_temp.ask(:'b'), 't Agent 1', 'the available one');
SELECT is(pg_temp.ask(:'b'), 't Agent 1', 'asked again: the same offer');
SELECT is(pg_temp.presence(1), 'ringing', 'the agent is held');
SELECT is((SELECT count(*) FROM agent_calls WHERE ai_call_log_id = :'b'), 1::bigint, 'one row');
SELECT alike((SELECT briefing FROM agent_calls WHERE ai_call_log_id = :'b'), '%Budget 50k, needs it by March%Press 1%', 'the briefing says it');
SELECT pg_temp.talking() AS c \gset
SELECT is(pg_temp.ask(:'c'), 'f no_agent', 'the agent is not offered to a second call');
SELECT results_eq(format($$SELECT next, agent_number, caller_number, record FROM app.transfer_after(%L, 'after-1', '{}', '2026-11-17 15:01:05Z')$$, :'b'),
                  $$VALUES ('agent', '+19175550001', '+16465550001', true)$$, 'after the stream: ring the agent');
SELECT is(pg_temp.status(:'b'), 'transferring', 'the call is in transfer');
SELECT is((SELECT next FROM app.transfer_after(:'b', 'after-1', '{}', '2026-11-17 15:01:06Z')), 'agent', 'the repeated question gets the same answer');
SELECT alike((SELECT briefing FROM app.agent_whisper(:'b', 'w-1', 'leg-' || :'b', '{}', '2026-11-17 15:01:10Z')), '%Press 1%', 'the whisper');
SELECT is(pg_temp.offer(:'b'), 'briefing leg-' || :'b' || ' 0', 'the leg is known');
SELECT is(pg_temp.event(:'b', 'e-1', 'bridged', 0, '2026-11-17 15:01:20Z'), true, 'bridged');
SELECT is(pg_temp.event(:'b', 'e-1', 'bridged', 0, '2026-11-17 15:01:25Z'), false, 'told twice, done once');
SELECT is(pg_temp.presence(1), 'on_call', 'the agent talks');
SELECT results_eq(format($$SELECT transferred, transferred_at, transfer_reason FROM call_logs WHERE id = %L$$, :'b'),
                  $$VALUES (true, '2026-11-17 15:01:20Z'::timestamptz, 'wants a person')$$, 'the call log has it');
SELECT is((SELECT next FROM app.agent_action(:'b', 'a-1', 'ended', 'leg-' || :'b', 95, '{}', '2026-11-17 15:02:55Z')), 'hangup',
          'after the talk: hang up');
SELECT is(pg_temp.offer(:'b'), 'closed leg-' || :'b' || ' 95', 'closed with its duration');
SELECT is(pg_temp.presence(1), 'available', 'the agent is free');
SELECT is(pg_temp.event(:'b', 'e-late', 'ringing', 0, '2026-11-17 15:03Z'), true, 'a late report is kept');
SELECT is(pg_temp.offer(:'b'), 'closed leg-' || :'b' || ' 95', 'and changes nothing');
SELECT is(pg_temp.hangup(:'b', 'answered', '2026-11-17 15:00:10Z', '2026-11-17 15:02:56Z'), 'ended answered', 'the call ends');
SELECT is((SELECT disconnect_reason FROM call_logs WHERE id = :'b'), 'transferred', 'as a transferred one');
SELECT is((SELECT count(*) FROM follow_up_tasks WHERE call_log_id = :'b'), 0::bigint, 'nobody has to call back');

-- Not taken: every way leaves the agent free, the state right, an apology and one task.
CREATE TEMP TABLE refusal (leg text, state text);
INSERT INTO refusal VALUES ('declined', 'declined'), ('no_answer', 'no_answer'), ('failed', 'failed'), ('', 'failed');
CREATE FUNCTION pg_temp.refuse(leg text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    call uuid := pg_temp.talking();
    said text;
BEGIN
    PERFORM pg_temp.ask(call);
    PERFORM app.transfer_after(call, 'after-1', '{}', '2026-11-17 15:01:05Z');
    SELECT next INTO said FROM app.agent_action(call, 'a-1', leg, '', 0, '{}', '2026-11-17 15:01:35Z');
    RETURN concat_ws(' ', said, pg_temp.offer(call), pg_temp.status(call), pg_temp.presence(1),
                     (SELECT count(*) FROM follow_up_tasks WHERE call_log_id = call));
END
$$;
SELECT is(pg_temp.refuse(leg), 'apologise ' || state || ' no_answer 0 in_progress available 1', 'agent leg: ' || leg) FROM refusal;

-- The leg's end comes before the Dial's report: it alone says neither "failed" nor "declined".
CREATE FUNCTION pg_temp.refuse_late(briefed boolean, leg text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    call uuid := pg_temp.talking();
    said text;
BEGIN
    PERFORM pg_temp.ask(call);
    PERFORM app.transfer_after(call, 'after-1', '{}', '2026-11-17 15:01:05Z');
    IF briefed THEN
        PERFORM app.agent_whisper(call, 'w-1', 'leg-' || call, '{}', '2026-11-17 15:01:10Z');
    END IF;
    PERFORM pg_temp.event(call, 'e-9', leg, 4, '2026-11-17 15:01:30Z');
    SELECT next INTO said FROM app.agent_action(call, 'a-1', 'no_answer', 'leg-' || call, 0, '{}', '2026-11-17 15:01:31Z');
    RETURN concat_ws(' ', said, (SELECT state FROM agent_calls WHERE ai_call_log_id = call), pg_temp.presence(1));
END
$$;
SELECT is(pg_temp.refuse_late(false, 'ended'), 'apologise no_answer available', 'rung out: no answer');
SELECT is(pg_temp.refuse_late(true, 'ended'), 'apologise declined available', 'briefed and no key: declined');
SELECT is(pg_temp.refuse_late(true, 'declined'), 'apologise declined available', 'the carrier says so itself: declined');

-- The bridge's report was lost, the action tells of a talk.
SELECT pg_temp.talking() AS d \gset
SELECT pg_temp.ask(:'d') \g /dev/null
SELECT app.transfer_after(:'d', 'after-1', '{}', '2026-11-17 15:01:05Z') \g /dev/null
SELECT is((SELECT next FROM app.agent_action(:'d', 'a-1', 'ended', 'leg-d', 40, '{}', '2026-11-17 15:02Z')), 'hangup', 'a talk of 40 s was one');
SELECT is(pg_temp.offer(:'d'), 'closed leg-d 40', 'and is on record');
SELECT is((SELECT transferred_at FROM call_logs WHERE id = :'d'), '2026-11-17 15:01:20Z', 'since when');

-- The same, and the action does not tell how long: since the agent picked up.
SELECT pg_temp.talking() AS g \gset
SELECT pg_temp.ask(:'g') \g /dev/null
SELECT app.transfer_after(:'g', 'after-1', '{}', '2026-11-17 15:01:05Z') \g /dev/null
SELECT app.agent_whisper(:'g', 'w-1', 'leg-g', '{}', '2026-11-17 15:01:15Z') \g /dev/null
SELECT is((SELECT next FROM app.agent_action(:'g', 'a-1', 'ended', 'leg-g', 0, '{}', '2026-11-17 15:02Z')), 'hangup', 'a talk of unknown length was one');
SELECT is(pg_temp.offer(:'g'), 'closed leg-g 45', 'since the agent picked up');
SELECT is((SELECT count(*) FROM follow_up_tasks WHERE call_log_id = :'g'), 0::bigint, 'and nobody has to call back');

-- The lead hung up while the agent was rung, and no report came: the end of the call frees the agent.
SELECT pg_temp.talking() AS e \gset
SELECT pg_temp.ask(:'e') \g /dev/null
SELECT app.transfer_after(:'e', 'after-1', '{}', '2026-11-17 15:01:05Z') \g /dev/null
SELECT is(pg_temp.presence(1), 'ringing', 'rung');
SELECT is(pg_temp.hangup(:'e', 'answered', '2026-11-17 15:00:10Z', '2026-11-17 15:01:15Z'), 'ended answered', 'the lead is gone');
SELECT is(pg_temp.offer(:'e'), 'failed no_answer 0', 'the offer is closed');
SELECT is(pg_temp.presence(1), 'available', 'the agent is free');
SELECT is((SELECT next FROM app.transfer_after(:'e', 'after-2', '{}', '2026-11-17 15:01:20Z')), 'hangup', 'a late question is answered by the end');
SELECT is(pg_temp.ask(:'e'), 'f not_live', 'an ended call gets no agent');

-- Transfers off.
UPDATE campaigns SET transfer = 'off' WHERE id = pg_temp.id(1, 3);
SELECT pg_temp.talking() AS f \gset
SELECT is(pg_temp.ask(:'f'), 'f transfers_off', 'the campaign has no transfers');

-- Recordings of the carrier.
SELECT is(app.recording_announced(:'b', 'r-1', 'rec-1', 'https://media.example/x.mp3', 95000, '{}', '2026-11-17 15:04Z'), true, 'announced');
SELECT is(app.recording_announced(:'b', 'r-1', 'rec-1', 'https://media.example/x.mp3', 95000, '{}', '2026-11-17 15:04Z'), false, 'once');
SELECT is((SELECT count(*) FROM engine.recordings_due(5, '2026-11-17 15:03Z', 60)), 0::bigint, 'not before its time');
SELECT recording_id AS rec FROM engine.recordings_due(5, '2026-11-17 15:05Z', 60) \gset
SELECT is((SELECT count(*) FROM engine.recordings_due(5, '2026-11-17 15:05:59Z', 60)), 0::bigint, 'leased');
SELECT is(app.recording_missed(:'rec', '2026-11-17 15:06Z'), true, 'not had');
SELECT is((SELECT count(*) FROM engine.recordings_due(5, '2026-11-17 15:07:01Z', 60)), 1::bigint, 'again a minute later');
SELECT is(app.recording_fetched(:'rec', 'recordings/x.mp3', 'https://us/recordings/x', 12345, '2026-11-17 15:08Z'), true, 'fetched');
SELECT is(app.recording_fetched(:'rec', 'recordings/x.mp3', 'https://us/recordings/x', 12345, '2026-11-17 15:08Z'), false, 'once');
SELECT is((SELECT recording_url FROM agent_calls WHERE ai_call_log_id = :'b'), 'https://us/recordings/x', 'the agent call points to ours');

-- Another tenant's context reaches none of it.
SELECT pg_temp.act(2) \g /dev/null
SELECT is(pg_temp.ask(:'c'), 'f not_live', 'a call of another tenant is no call');
SELECT is((SELECT count(*) FROM app.agent_whisper(:'b', 'w-9', 'x', '{}', now())), 0::bigint, 'no briefing for strangers');
SELECT * FROM finish();
ROLLBACK;
