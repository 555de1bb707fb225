-- Webhooks: any order, any number of times, the same final row; exactly-once counters; tokens.
BEGIN;
\ir fixture.psql
\ir life.psql
SELECT no_plan();
SELECT pg_temp.tenant(1) \g /dev/null
SELECT pg_temp.act(1) \g /dev/null
SELECT engine.worker_start(pg_temp.node(), 'one', '0.1', NULL, pg_temp.worker(), '/run/w', '2026-11-17 14:00Z') \g /dev/null
SELECT pg_temp.lead(1, k) FROM generate_series(1, 9) k \g /dev/null

-- One report, by name, at its own moment whenever it comes.
CREATE FUNCTION pg_temp.report(call uuid, what text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    CASE what
        WHEN 'result' THEN PERFORM pg_temp.place(call, 'placed', '2026-11-17 15:00:02Z');
        WHEN 'unsure' THEN PERFORM pg_temp.place(call, 'unknown', '2026-11-17 15:00:02Z');
        WHEN 'ring' THEN PERFORM pg_temp.ring(call, '2026-11-17 15:00:05Z');
        WHEN 'answer' THEN PERFORM pg_temp.answer(call, '2026-11-17 15:00:10Z');
        WHEN 'machine' THEN PERFORM app.call_event(call, 'machine', 'm-1', 'sid-' || call, NULL, 'in-progress', '{}', '2026-11-17 15:00:12Z');
        WHEN 'hangup' THEN PERFORM pg_temp.hangup(call, 'answered', '2026-11-17 15:00:10Z', '2026-11-17 15:01:00Z');
        WHEN 'busy' THEN PERFORM pg_temp.hangup(call, 'busy', NULL, '2026-11-17 15:00:20Z');
        WHEN 'sweep' THEN UPDATE call_logs SET status = 'outcome_unknown', unknown_at = '2026-11-17 15:00:40Z', next_reconcile_at = '2026-11-17 15:00:40Z'
                           WHERE id = call AND status NOT IN ('ended', 'not_placed', 'outcome_unknown');
    END CASE;
END
$$;
-- What must not depend on the order: everything but when and by what an unknown was cleared up.
CREATE FUNCTION pg_temp.fingerprint(call uuid) RETURNS jsonb LANGUAGE sql AS $$
    SELECT jsonb_build_object('log', to_jsonb(l) - '{id,call_sid,request_uuid,created_at,updated_at,resolved_by,resolved_at,adopted_at,unknown_at,next_reconcile_at,posted_at,signed_off_at,intent_at,queue_id,lead_id,callee_number,attempt_number}'::text[],
        'attempt', to_jsonb(a) - '{id,lead_id,call_log_id,attempt_number,gate,settled_at,created_at}'::text[],
        'job', (SELECT to_jsonb(q) - '{id,lead_id,created_at,updated_at,attempt_number,finished_at,fencing_token}'::text[] FROM call_queue q WHERE q.id = l.queue_id),
        'jobs', (SELECT count(*) FROM analysis_jobs j WHERE j.call_log_id = call), 'money', (SELECT sum(u.cost_micros) FROM usage_ledger u WHERE u.call_log_id = call),
        'outbox', (SELECT count(*) FROM outbox o WHERE o.subject_id = call AND o.topic = 'call.ended'))
      FROM call_logs l LEFT JOIN call_attempts a ON a.call_log_id = l.id WHERE l.id = call
$$;
-- Every order of the reports, each given `times` times over; the fingerprints that came out.
CREATE FUNCTION pg_temp.orders(reports text[]) RETURNS SETOF text[] LANGUAGE sql AS $$
    WITH RECURSIVE o (done, rest) AS (
        SELECT '{}'::text[], reports
        UNION ALL
        SELECT o.done || r, array_remove(o.rest, r) FROM o, unnest(o.rest) r)
    SELECT done FROM o WHERE cardinality(rest) = 0
$$;
CREATE FUNCTION pg_temp.outcomes(reports text[], times int) RETURNS TABLE (finger jsonb, n bigint, first_order text[]) LANGUAGE plpgsql AS $$
DECLARE
    o text[];
    call uuid;
    what text;
BEGIN
    CREATE TEMP TABLE seen (finger jsonb, ord text[]);
    FOR o IN SELECT * FROM pg_temp.orders(reports) LOOP
        BEGIN
            call := pg_temp.claim('2026-11-17 15:00Z');
            FOREACH what IN ARRAY o LOOP
                FOR i IN 1..times LOOP
                    PERFORM pg_temp.report(call, what);
                END LOOP;
            END LOOP;
            -- And once more from the start: latecomers.
            IF times > 1 THEN
                FOREACH what IN ARRAY o LOOP
                    PERFORM pg_temp.report(call, what);
                END LOOP;
            END IF;
            RAISE EXCEPTION '%', jsonb_build_object('f', pg_temp.fingerprint(call)) USING ERRCODE = 'DW999';
        EXCEPTION WHEN SQLSTATE 'DW999' THEN
            INSERT INTO seen VALUES (SQLERRM::jsonb -> 'f', o);
        END;
    END LOOP;
    RETURN QUERY SELECT s.finger, count(*), min(s.ord) FROM seen s GROUP BY s.finger;
    DROP TABLE seen;
END
$$;
SELECT is((SELECT count(*) FROM pg_temp.orders('{a,b,c,d}')), 24::bigint, 'all orders are tried');
CREATE TEMP TABLE result AS SELECT * FROM pg_temp.outcomes('{result,ring,answer,hangup}', 1);
SELECT is((SELECT count(*) FROM result), 1::bigint, 'result, ring, answer, hang-up: 24 orders, one final row') ;
SELECT diag(jsonb_pretty(finger)) FROM result WHERE (SELECT count(*) FROM result) > 1;
SELECT is((SELECT concat_ws(' ', finger #>> '{log,status}', finger #>> '{log,duration}', finger #>> '{log,ringing_at}' IS NOT NULL, finger #>> '{attempt,outcome}',
                finger #>> '{job,status}', finger #>> '{job,attempt_count}', finger ->> 'jobs', finger ->> 'money', finger ->> 'outbox') FROM result),
          'ended 50 t answered completed 1 1 12000 1', 'and it is the right one');
SELECT is((SELECT count(*) FROM pg_temp.outcomes('{result,ring,answer,hangup}', 3)), 1::bigint, 'each three times over and late again');
SELECT is((SELECT finger FROM pg_temp.outcomes('{result,ring,answer,hangup}', 3)), (SELECT finger FROM result), 'the same row as told once');
SELECT is((SELECT count(*) FROM pg_temp.outcomes('{unsure,ring,answer,hangup}', 2)), 1::bigint, 'unsure of the POST: 24 orders, one row');
SELECT is((SELECT count(*) FROM pg_temp.outcomes('{ring,answer,hangup}', 2)), 1::bigint, 'the result never came: one row');
SELECT is((SELECT count(*) FROM pg_temp.outcomes('{result,ring,busy}', 2)), 1::bigint, 'a busy line: one row');
SELECT is((SELECT concat_ws(' ', finger #>> '{log,status}', finger #>> '{attempt,outcome}', finger #>> '{job,status}', finger #>> '{attempt,next_retry_at}', finger ->> 'jobs')
             FROM pg_temp.outcomes('{result,ring,busy}', 1)), 'ended busy queued 2026-11-17T15:30:20+00:00 0', 'tried again after half an hour');
SELECT is((SELECT count(*) FROM pg_temp.outcomes('{result,ring,answer,hangup,sweep}', 1)), 1::bigint, 'a sweep anywhere between: one row, 120 orders');

-- Counters: exactly once.
SELECT pg_temp.claim('2026-11-17 15:00Z') AS a \gset
SELECT pg_temp.report(:'a', r) FROM unnest('{ring,result,ring,answer,answer,hangup,result,hangup,ring}'::text[]) r \g /dev/null
SELECT pg_temp.claim('2026-11-17 15:00Z') AS b \gset
SELECT pg_temp.report(:'b', r) FROM unnest('{busy,busy,result,ring}'::text[]) r \g /dev/null
SELECT pg_temp.claim('2026-11-17 15:00Z') AS c \gset
SELECT pg_temp.report(:'c', r) FROM unnest('{result,sweep,ring,sweep,answer,sweep,hangup}'::text[]) r \g /dev/null
SELECT engine.fold_counters('2026-11-17 15:02Z') \g /dev/null
SELECT results_eq($$SELECT total_calls, answered_calls, spent_micros FROM campaigns WHERE id = pg_temp.id(1, 3)$$, $$VALUES (3, 2, 36000::int8)$$, 'counters count once');
SELECT results_eq($$SELECT total_calls, answered_calls, transferred_calls, spent_micros FROM campaigns WHERE id = pg_temp.id(1, 3)$$,
    $$SELECT total_calls, answered_calls, transferred_calls, spent_micros FROM app.campaign_counters_derived WHERE campaign_id = pg_temp.id(1, 3)$$, 'and equal their derivation');

-- Machine before the end: voicemail.
SELECT pg_temp.claim('2026-11-17 15:00Z') AS d \gset
SELECT pg_temp.report(:'d', r) FROM unnest('{result,answer,machine,hangup}'::text[]) r \g /dev/null
SELECT is(pg_temp.attempt(:'d'), 'voicemail t voicemail 11-18 15:01', 'a machine answered: voicemail, again in a day');
SELECT is((SELECT voicemail_detected FROM call_attempts WHERE call_log_id = :'d'), true, 'and says so');
-- After the end: kept as a mark of the call, and no verdict is revised.
SAVEPOINT late_machine;
SELECT pg_temp.lead(1, 19) \g /dev/null
SELECT pg_temp.claim('2026-11-17 15:00Z') AS late \gset
SELECT pg_temp.report(:'late', r) FROM unnest('{result,answer,hangup}'::text[]) r \g /dev/null
SELECT pg_temp.attempt(:'late') || ' / ' || pg_temp.job(1, 19) AS before \gset
SELECT pg_temp.report(:'late', 'machine') \g /dev/null
SELECT is((SELECT machine_detected FROM call_logs WHERE id = :'late'), true, 'a machine that is told of after the hang-up is noted');
SELECT is(pg_temp.attempt(:'late') || ' / ' || pg_temp.job(1, 19), :'before', 'the attempt and its job stay as they were settled');
ROLLBACK TO late_machine;

-- A second call in one attempt's name: refused, kept, told.
SELECT pg_temp.claim('2026-11-17 15:00Z') AS e \gset
SELECT pg_temp.report(:'e', r) FROM unnest('{result,answer}'::text[]) r \g /dev/null
SELECT results_eq(format($$SELECT verdict, reason, anomaly FROM app.call_answer(%L, 'answer-2', 'sid-other', NULL, '{}', NULL, NULL, '2026-11-17 15:00:30Z')$$, :'e'),
    $$VALUES ('hangup', 'other_call', true)$$, 'another call uuid is hung up');
SELECT results_eq(format($$SELECT status, anomaly FROM app.call_hangup(%L, 'hangup-2', 'sid-other', NULL, 'completed', NULL, NULL, NULL, NULL, NULL, 1, 1, 1, 'USD', 'answered', 'completed', '{}', '2026-11-17 15:00:40Z')$$, :'e'),
    $$VALUES ('in_progress', true)$$, 'its end does not end this one');
-- Repeated answer: the same verdict, its own token.
SELECT is(pg_temp.answer(:'e', '2026-11-17 15:00:35Z', decode(repeat('22', 32), 'hex')), 'talk duplicate', 'the answer again');
SELECT is((SELECT count(*) FROM media_tokens WHERE call_log_id = :'e'), 2::bigint, 'each answer has its token');
SELECT is((SELECT next_reconcile_at FROM call_logs WHERE id = :'e'), '2026-11-17 15:02:25Z', 'no stream by then: the carrier is asked');
SELECT results_eq($$SELECT call_id FROM engine.media_token_look(decode(repeat('22', 32), 'hex'), '2026-11-17 15:01Z')$$, format($$VALUES (%L::uuid)$$, :'e'), 'looked at');
SELECT results_eq($$SELECT call_id FROM engine.media_token_look(decode(repeat('22', 32), 'hex'), '2026-11-17 15:01Z')$$, format($$VALUES (%L::uuid)$$, :'e'), 'as often as one likes');
SELECT is_empty(format($$SELECT * FROM engine.media_token_look(sha256(%L), '2026-11-17 15:09Z')$$, :'e'), 'not when it is too old');
SELECT results_eq($$SELECT call_id, organization_id FROM engine.media_token_take(decode(repeat('22', 32), 'hex'), '2026-11-17 15:01Z')$$,
    format($$VALUES (%L::uuid, pg_temp.org(1))$$, :'e'), 'a token opens once');
SELECT cmp_ok((SELECT next_reconcile_at FROM call_logs WHERE id = :'e'), '>', '2026-11-17 15:05Z', 'with a stream the call may last');
SELECT is_empty($$SELECT * FROM engine.media_token_take(decode(repeat('22', 32), 'hex'), '2026-11-17 15:01Z')$$, 'and not twice');
SELECT is_empty($$SELECT * FROM engine.media_token_look(decode(repeat('22', 32), 'hex'), '2026-11-17 15:01Z')$$, 'nor looked at when it is taken');
SELECT is_empty($$SELECT * FROM engine.media_token_take(decode(repeat('33', 32), 'hex'), '2026-11-17 15:01Z')$$, 'nor an unknown one');
SELECT is_empty(format($$SELECT * FROM engine.media_token_take(sha256(%L), '2026-11-17 15:09Z')$$, :'e'), 'nor one that is too old');
SELECT is(pg_temp.answer(:'e', '2026-11-17 15:01:05Z', decode(repeat('44', 32), 'hex')), 'hangup streaming duplicate', 'an answer replayed after the stream came');
SELECT is((SELECT count(*) FROM media_tokens WHERE call_log_id = :'e'), 2::bigint, 'makes no token');
UPDATE media_tokens SET used_at = NULL WHERE call_log_id = :'e';
SELECT pg_temp.answer(:'e', '2026-11-17 15:01:05Z', sha256(('again' || i)::bytea)) FROM generate_series(1, 9) i \g /dev/null
SELECT is((SELECT count(*) FROM media_tokens WHERE call_log_id = :'e'), 6::bigint, 'asked for ever, six tokens at most');
SELECT is((SELECT disconnect_reason FROM call_logs WHERE id = :'e'), NULL, 'and the call does not hear of it');
-- At the answer the gate is asked again.
SELECT pg_temp.claim('2026-11-17 15:00Z') AS f \gset
SELECT pg_temp.report(:'f', 'result') \g /dev/null
INSERT INTO do_not_call (organization_id, phone_e164, source, added_at) SELECT organization_id, callee_number, 'manual', now() FROM call_logs WHERE id = :'f';
SELECT is(pg_temp.answer(:'f', '2026-11-17 15:00:10Z'), 'hangup dnc_internal', 'opted out since: hang up');
SELECT is(pg_temp.hangup(:'f', 'answered', '2026-11-17 15:00:10Z', '2026-11-17 15:00:20Z'), 'ended answered', 'it ends as answered');
SELECT is((SELECT disconnect_reason FROM call_logs WHERE id = :'f'), 'opted_out', 'by the opt-out');
SELECT pg_temp.claim('2026-11-17 15:00Z') AS g \gset
SELECT pg_temp.report(:'g', 'result') \g /dev/null
SELECT is(pg_temp.answer(:'g', '2026-11-18 03:00Z'), 'hangup outside_window', 'the window closed meanwhile');
SELECT is(pg_temp.hangup(:'g', 'answered', '2026-11-18 03:00Z', '2026-11-18 03:00:05Z'), 'ended failed', 'a talk we refused was no talk');
SELECT is(pg_temp.attempt(:'g'), 'failed t failed 11-18 14:00', 'again when the window opens');
SELECT pg_temp.act(1) \g /dev/null
SELECT is((SELECT status FROM app.call_event('00000000-0000-7000-8000-000000000000', 'ring', 'k', 'u', 'r', 's', '{}', now())), NULL, 'no such call');
SELECT pg_temp.tenant(2) \g /dev/null
SELECT pg_temp.act(2) \g /dev/null
SELECT is(pg_temp.hangup(:'e', 'answered', NULL, now()), '', 'another tenant''s call is none');
SELECT * FROM finish();
ROLLBACK;
