-- Why a lead is or is not called: the words beside the gate's, the next moment and its proof, what happened before, and
-- that nobody hears of another tenant's leads.
BEGIN;
\ir fixture.psql
\ir life.psql
SELECT no_plan();
SELECT pg_temp.tenant(1), pg_temp.tenant(2), pg_temp.lead(1, 1), pg_temp.lead(2, 1) \g /dev/null
UPDATE leads SET attributes = '{"external_ref": "CRM-7"}', email = 'ann@example.org' WHERE id = pg_temp.id(1, 11);
SELECT pg_temp.act(1) \g /dev/null
SELECT engine.worker_start(pg_temp.node(), 'one', '0.1', NULL, pg_temp.worker(), '/run/w', '2026-11-17 14:00Z') \g /dev/null

-- prepare: SQL that changes the world; then the answer for lead 1 in its campaign.
CREATE FUNCTION pg_temp.why(prepare text, at timestamptz) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    said jsonb;
BEGIN
    BEGIN
        IF prepare <> '' THEN
            EXECUTE prepare;
        END IF;
        said := app.why_lead(pg_temp.id(1, 3), pg_temp.id(1, 11), at);
        RAISE EXCEPTION 'undo' USING ERRCODE = 'DW998';
    EXCEPTION WHEN SQLSTATE 'DW998' THEN
        RETURN said;
    END;
END
$$;
-- "callable", or the reason; then when: the next moment, what it depends on, or why never.
CREATE FUNCTION pg_temp.said(w jsonb) RETURNS text LANGUAGE sql AS $$
    SELECT CASE WHEN (w ->> 'callable')::boolean THEN 'callable' ELSE w ->> 'reason' END
        || coalesce(' next ' || to_char((w #>> '{next,at}')::timestamptz, 'MM-DD HH24:MI:SS'), ' depends ' || (w #>> '{next,depends_on}'),
                    ' never ' || (w #>> '{next,never_because}'))
$$;

SELECT is(pg_temp.said(pg_temp.why(prepare, at::timestamptz)), said, name) FROM (VALUES
    ('a lead whose turn it is may be called now', '', '2026-11-17 15:00Z', 'callable next 11-17 15:00:00'),
    ('before the window it waits for the opening', '', '2026-11-17 08:00Z', 'outside_window next 11-17 14:00:00'),
    ('in the evening for the next morning', '', '2026-11-18 01:00Z', 'outside_window next 11-18 14:00:00'),
    ('a row that waits waits for its time, and then for the window',
     $$UPDATE call_queue SET next_retry_at = '2026-11-18 03:00Z', ready = false$$, '2026-11-17 15:00Z', 'not_due next 11-18 14:00:00'),
    ('a refusal is for ever', $$INSERT INTO do_not_call (organization_id, phone_e164, source, added_at) VALUES
       (pg_temp.org(1), pg_temp.phone(1, 1), 'phrase', '2026-11-01')$$, '2026-11-17 15:00Z', 'dnc_internal never dnc_internal'),
    ('without consent somebody must act', 'DELETE FROM consents', '2026-11-17 15:00Z', 'consent_missing never consent_missing'),
    ('a paused campaign has to be resumed', $$UPDATE campaigns SET status = 'paused'$$, '2026-11-17 15:00Z', 'campaign_paused never campaign_paused'),
    ('after the last date there is nothing to wait for', $$UPDATE campaigns SET end_date = '2026-11-16'$$, '2026-11-17 15:00Z', 'dates never dates'),
    ('before the first date it is told', $$UPDATE campaigns SET start_date = '2026-11-25'$$, '2026-11-17 15:00Z', 'dates next 11-25 14:00:00'),
    ('spacing ends to the second', $$SELECT pg_temp.dialed(1, 1, 1, '2026-11-17 14:50:10Z')$$, '2026-11-17 15:00Z', 'spacing next 11-17 15:20:10'),
    ('three in a day: the first has to leave the span, and then the morning has to come',
     $$UPDATE call_queue SET max_attempts = 9; SELECT pg_temp.dialed(1, 1, i, '2026-11-16 22:00Z'::timestamptz + i * interval '1 hour') FROM generate_series(1, 3) AS i$$,
     '2026-11-17 15:00Z', 'attempt_limit next 11-17 23:00:00'),
    ('all lines taken: when one is free', $$UPDATE campaigns SET lines = 1; SELECT pg_temp.lead(1, 2);
     INSERT INTO call_logs (organization_id, id, lead_id, campaign_id, queue_id, attempt_number, carrier_account_id, direction, caller_number,
         callee_number, status, adopted_at, intent_at)
     VALUES (pg_temp.org(1), app.uuid7(), pg_temp.id(1, 12), pg_temp.id(1, 3), pg_temp.id(1, 202), 1, pg_temp.id(1, 1), 'outbound', '+16465550001',
         pg_temp.phone(1, 2), 'outcome_unknown', '2026-11-17 14:59Z', '2026-11-17 14:59Z')$$, '2026-11-17 15:00Z', 'no_line depends no_line'),
    ('no active caller id: nothing to wait for', $$UPDATE phone_numbers SET status = 'paused'$$, '2026-11-17 15:00Z', 'no_line never no_line'),
    ('two reasons: the later one counts', $$SELECT pg_temp.dialed(1, 1, 1, '2026-11-17 13:45Z'); UPDATE organizations SET number_spacing_s = 86400$$,
     '2026-11-17 08:00Z', 'outside_window next 11-18 14:00:00'),
    ('reached is done', $$UPDATE call_queue SET status = 'completed', ready = false, finished_at = '2026-11-16'$$, '2026-11-17 15:00Z', 'reached never reached'),
    ('given up is done', $$UPDATE call_queue SET status = 'failed', ready = false, last_error = 'no_answer', finished_at = '2026-11-16'$$, '2026-11-17 15:00Z', 'given_up never given_up'),
    ('being called', $$UPDATE call_queue SET status = 'processing', ready = false$$, '2026-11-17 15:00Z', 'being_called depends duplicate'),
    ('not enrolled', $$DELETE FROM call_queue$$, '2026-11-17 15:00Z', 'not_enrolled never not_enrolled')) AS t (name, prepare, at, said);

SELECT is((SELECT string_agg((c ->> 'check') || ' ' || (c ->> 'state'), ', ' ORDER BY (c ->> 'ordinal')::int4) FROM jsonb_array_elements(
           pg_temp.why('DELETE FROM consents', '2026-11-17 08:00Z') -> 'checks') AS c WHERE c ->> 'state' <> 'passed'),
          'consent failed, lists failed, window failed', 'every check that fails is told, not only the first');
SELECT is((SELECT c ->> 'state' FROM jsonb_array_elements(pg_temp.why('UPDATE leads SET region = NULL', '2026-11-17 15:00Z') -> 'checks') AS c
            WHERE c ->> 'check' = 'consent'), 'not reached', 'what cannot be judged is told as such');
SELECT ok((SELECT bool_and(length(c ->> 'asks') > 5 AND (c ->> 'state' <> 'failed' OR (length(c ->> 'words') > 5 AND length(c ->> 'remedy') > 3)))
             FROM jsonb_array_elements(pg_temp.why('DELETE FROM consents', '2026-11-17 08:00Z') -> 'checks') AS c),
          'each in plain words, with what would change it');
SELECT is(pg_temp.why('', '2026-11-17 08:00Z') #> '{next,proof}',
          '{"at": "2026-11-17T14:00:00+00:00", "gate": null, "before": {"at": "2026-11-17T13:59:59+00:00", "gate": "outside_window"}}'::jsonb,
          'the proof is the gate''s own word, then and a second before');
SELECT is((SELECT c #>> '{evidence,caps,24h}' FROM jsonb_array_elements(pg_temp.why(
           $$SELECT pg_temp.dialed(1, 1, i, '2026-11-16 22:00Z'::timestamptz + i * interval '1 hour') FROM generate_series(1, 3) AS i$$, '2026-11-17 15:00Z') -> 'checks') AS c
            WHERE c ->> 'check' = 'number'), '3', 'the cap is shown');
SELECT is((SELECT jsonb_array_length(c #> '{evidence,dials}') FROM jsonb_array_elements(pg_temp.why(
           $$SELECT pg_temp.dialed(1, 1, i, '2026-11-16 22:00Z'::timestamptz + i * interval '1 hour') FROM generate_series(1, 3) AS i$$, '2026-11-17 15:00Z') -> 'checks') AS c
            WHERE c ->> 'check' = 'number'), 3, 'and the dials that count');

-- What happened before.
SELECT pg_temp.claim('2026-11-17 15:00Z') AS call \gset
SELECT pg_temp.place(:'call', 'placed', '2026-11-17 15:00Z') \g /dev/null
SELECT pg_temp.hangup(:'call', 'busy', NULL, '2026-11-17 15:00:20Z') \g /dev/null
SELECT is(pg_temp.said(pg_temp.why('', '2026-11-17 15:10Z')), 'not_due next 11-17 15:30:20', 'after a busy line the retry is told');
SELECT is((SELECT concat_ws(' ', a ->> 'attempt', a ->> 'outcome', a ->> 'will_retry', a ->> 'retry_reason', a ->> 'next_retry_at', (a -> 'gate' ? 'zones')::text)
             FROM jsonb_array_elements(pg_temp.why('', '2026-11-17 15:10Z') -> 'attempts') AS a),
          '1 busy true busy 2026-11-17T15:30:20+00:00 true', 'with its verdict, outcome, decision and reason');
SELECT is(app.why(jsonb_build_object('who', :'call'), '2026-11-17 15:10Z') #>> '{was_called,outcome}', 'busy', 'asked for a call, it says why that was made');
SELECT ok(app.why(jsonb_build_object('who', :'call'), '2026-11-17 15:10Z') #> '{was_called,gate}' ? 'consent', 'with what the gate saw then');

-- Who is meant, and how much is shown.
SELECT is(app.why(jsonb_build_object('who', who), '2026-11-17 15:10Z') #>> '{lead,id}', pg_temp.id(1, 11)::text, 'found by ' || kind)
  FROM (VALUES ('id', pg_temp.id(1, 11)::text), ('number', pg_temp.phone(1, 1)), ('reference', 'CRM-7'), ('e-mail', 'ann@example.org')) AS t (kind, who);
SELECT is(app.why('{"who": "CRM-7"}', '2026-11-17 15:10Z') #>> '{lead,phone}', '+*********11', 'numbers are masked');
SELECT is(app.why('{"who": "CRM-7", "show_numbers": "true"}', '2026-11-17 15:10Z') #>> '{lead,phone}', pg_temp.phone(1, 1), 'unless asked for');
SELECT is(jsonb_array_length(app.why('{"who": "CRM-7"}', '2026-11-17 15:10Z') -> 'campaigns'), 1, 'every campaign that has the lead');
SELECT throws_ok(format('SELECT app.why(jsonb_build_object(''who'', %L), ''2026-11-17 15:10Z'')', who), 'P0002', NULL, 'another tenant''s ' || kind || ' is nobody''s')
  FROM (VALUES ('lead', pg_temp.id(2, 11)::text), ('number', pg_temp.phone(2, 1))) AS t (kind, who);
SELECT throws_ok(format('SELECT app.why(%L, ''2026-11-17 15:10Z'')', jsonb_build_object('who', 'CRM-7', 'campaign', pg_temp.id(2, 3))), 'P0002', NULL,
                 'nor may its campaign be named');
SELECT is(app.why_lead(pg_temp.id(2, 3), pg_temp.id(2, 11), '2026-11-17 15:10Z'), NULL, 'and the function itself says nothing of it');
SELECT throws_ok($$SELECT set_config('app.ctx', '', true), app.why('{"who": "CRM-7"}', '2026-11-17 15:10Z')$$, '42501', NULL, 'without a tenant there is no answer');
SELECT pg_temp.act(1) \g /dev/null
SELECT ok(NOT has_function_privilege('authenticated', 'app.why(jsonb, timestamptz)', 'EXECUTE') AND has_function_privilege('app_worker', 'app.why(jsonb, timestamptz)', 'EXECUTE'),
          'the command''s role may ask, the public ones not');

-- Property: whatever the world is, why says what the gate says, and the gate says yes at the next moment and at none before.
CREATE FUNCTION pg_temp.pick(VARIADIC list text[]) RETURNS text LANGUAGE sql VOLATILE AS $$
    SELECT list[1 + floor(random() * cardinality(list))::int4]
$$;
CREATE FUNCTION pg_temp.any_world() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    UPDATE campaigns SET status = pg_temp.pick('active', 'active', 'active', 'active', 'active', 'active', 'paused'),
           time_start = pg_temp.pick('00:00', '08:30', '11:15', '18:00')::time, time_end = pg_temp.pick('12:05', '13:00', '20:00', '24:00', '02:00')::time,
           weekdays = pg_temp.pick('{1,2,3,4,5}', '{6,7}', '{3}', '{1,2,3,4,5,6,7}')::int2[],
           start_date = pg_temp.pick(NULL, NULL, NULL, '2026-11-20')::date, end_date = pg_temp.pick(NULL, NULL, NULL, '2026-12-20')::date
     WHERE id = pg_temp.id(1, 3);
    UPDATE leads SET timezone = pg_temp.pick(NULL, NULL, 'America/New_York', 'Asia/Kolkata', 'Pacific/Kiritimati', 'America/St_Johns'),
           zones = pg_temp.pick('{America/Chicago,America/Los_Angeles}', '{America/New_York,America/Phoenix}', '{Europe/Paris}', '{}')::text[],
           region = pg_temp.pick('US', 'US', 'FR', 'DE', 'AU', 'BR', NULL),
           archived_at = CASE WHEN random() < 0.03 THEN '2026-01-01'::timestamptz END WHERE id = pg_temp.id(1, 11);
    UPDATE organizations SET number_spacing_s = pg_temp.pick('0', '1800', '7200', '90000')::int4, number_cap_24h = pg_temp.pick('1', '2', '3')::int4,
           number_cap_7d = pg_temp.pick('2', '5', '7')::int4 WHERE id = pg_temp.org(1);
    IF random() < 0.1 THEN
        INSERT INTO do_not_call (organization_id, phone_e164, source, added_at, campaign_id)
        VALUES (pg_temp.org(1), pg_temp.phone(1, 1), 'manual', '2026-01-02', CASE WHEN random() < 0.5 THEN pg_temp.id(1, 3) END);
    END IF;
    IF random() < 0.2 THEN
        DELETE FROM consents;
        INSERT INTO consents (organization_id, phone_e164, level, seller, source, evidence, granted_at, expires_at)
        VALUES (pg_temp.org(1), pg_temp.phone(1, 1), 'written', 'Tenant 1 Ltd.', 'form', '{"a": 1}', '2026-01-01', pg_temp.pick(NULL, '2026-11-25')::timestamptz);
    END IF;
    IF random() < 0.1 THEN
        UPDATE consents SET revoked_at = '2026-02-01';
    END IF;
    INSERT INTO region_enablements (organization_id, region, enabled_by, enabled_at) VALUES (pg_temp.org(1), 'AU', 'test', '2026-01-01');
    PERFORM pg_temp.dialed(1, 1, 10 + i, '2026-11-10'::timestamptz + random() * interval '20 days') FROM generate_series(1, floor(random() * 9)::int4) AS i;
    IF random() < 0.05 THEN
        INSERT INTO dial_pauses (organization_id, scope, phone_e164, reason, paused_by, paused_at, resumed_at)
        VALUES (pg_temp.org(1), 'number', pg_temp.phone(1, 1), 'test', 'test', '2026-11-01', CASE WHEN random() < 0.5 THEN '2026-11-22'::timestamptz END);
    END IF;
    UPDATE call_queue SET status = 'queued', attempt_count = 0, call_log_id = NULL,
           next_retry_at = '2026-11-15'::timestamptz + random() * interval '10 days', ready = false WHERE id = pg_temp.id(1, 201);
END
$$;
-- What is wrong with the answer in a world, or ''; and what was said, to be counted.
CREATE FUNCTION pg_temp.check_world(at timestamptz, OUT wrong text, OUT verdict text, OUT timed boolean) LANGUAGE plpgsql AS $$
DECLARE
    w jsonb := app.why_lead(pg_temp.id(1, 3), pg_temp.id(1, 11), at);
    gate text;
    due timestamptz := greatest(at, (SELECT next_retry_at FROM call_queue WHERE id = pg_temp.id(1, 201)));
    next_at timestamptz := (w #>> '{next,at}')::timestamptz;
    until timestamptz := coalesce(next_at, due + interval '25 days');
    probe timestamptz;
BEGIN
    wrong := '';
    SELECT g.reason INTO gate FROM app.gate(pg_temp.org(1), pg_temp.id(1, 3), pg_temp.id(1, 11), '+16465550001', at) AS g;
    verdict := coalesce(gate, 'dial');
    timed := next_at IS NOT NULL;
    IF w ->> 'gate' IS DISTINCT FROM gate
       OR (SELECT c ->> 'reason' FROM jsonb_array_elements(w -> 'checks') AS c
            WHERE c ->> 'state' = 'failed' AND (c ->> 'ordinal')::int4 > 0 ORDER BY (c ->> 'ordinal')::int4 LIMIT 1) IS DISTINCT FROM gate THEN
        wrong := format('why %s, gate %s', w ->> 'gate', gate);
    END IF;
    IF (w ->> 'callable')::boolean <> (gate IS NULL AND due = at) THEN
        wrong := wrong || ' callable';
    END IF;
    IF next_at IS NOT NULL AND ((app.gate(pg_temp.org(1), pg_temp.id(1, 3), pg_temp.id(1, 11), '+16465550001', next_at)).reason IS NOT NULL OR next_at < due) THEN
        wrong := wrong || ' next is refused: ' || next_at;
    END IF;
    FOR i IN 0..19 LOOP
        -- Near the end and anywhere before it.
        probe := CASE WHEN next_at IS NOT NULL AND i < 8 THEN until - interval '1 second' * (4 ^ i) ELSE due + random() * (until - due) END;
        CONTINUE WHEN probe < due OR probe >= until;
        IF (app.gate(pg_temp.org(1), pg_temp.id(1, 3), pg_temp.id(1, 11), '+16465550001', probe)).reason IS NULL THEN
            wrong := wrong || format(' open at %s before %s', probe, until);
            RETURN;
        END IF;
    END LOOP;
END
$$;
CREATE TEMP TABLE worlds (n int4, at timestamptz, wrong text, verdict text, timed boolean);
SELECT setseed(0.42) \g /dev/null
DO $$
DECLARE
    at timestamptz;
    one record;
BEGIN
    FOR n IN 1..150 LOOP
        at := '2026-11-16'::timestamptz + random() * interval '20 days';
        BEGIN
            PERFORM pg_temp.any_world();
            one := pg_temp.check_world(at);
            RAISE EXCEPTION 'undo' USING ERRCODE = 'DW998';
        EXCEPTION WHEN SQLSTATE 'DW998' THEN
            INSERT INTO worlds VALUES (n, at, one.wrong, one.verdict, one.timed);
        END;
    END LOOP;
END
$$;
SELECT is((SELECT string_agg(n || ' at ' || at || ': ' || wrong, E'\n') FROM worlds WHERE wrong <> ''), NULL, 'why and gate agree in 150 random worlds, at 20 moments each');
SELECT ok((SELECT count(DISTINCT verdict) FROM worlds) >= 8 AND (SELECT count(*) FROM worlds WHERE timed) BETWEEN 30 AND 130,
          'which were of many kinds: ' || (SELECT string_agg(v.verdict || ' ' || v.n, ', ') FROM (SELECT verdict, count(*) AS n FROM worlds GROUP BY 1) AS v));
SELECT * FROM finish();
ROLLBACK;
