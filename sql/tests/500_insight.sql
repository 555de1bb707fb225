-- After the call: the queue of analyses, and the transaction that stores one.
BEGIN;
\ir fixture.psql
\ir life.psql
SELECT no_plan();
SELECT pg_temp.tenant(n) FROM generate_series(1, 2) n \g /dev/null
SELECT pg_temp.act(1) \g /dev/null
SELECT engine.worker_start(pg_temp.node(), 'one', '0.1', NULL, pg_temp.worker(), '/run/w', '2026-11-17 14:00Z') \g /dev/null
CREATE FUNCTION pg_temp.talked(k int) RETURNS uuid LANGUAGE plpgsql AS $$
DECLARE
    call uuid;
BEGIN
    PERFORM pg_temp.lead(1, k);
    call := pg_temp.claim('2026-11-17 15:00Z');
    PERFORM pg_temp.place(call, 'placed', '2026-11-17 15:00:01Z');
    PERFORM pg_temp.answer(call, '2026-11-17 15:00:10Z');
    PERFORM app.turn_put(call, 1024, 'a', 'ai', 0, 900, 'Hello.', 'full', 900, '2026-11-17 15:00:20Z');
    PERFORM app.turn_put(call, 2048, 'b', 'lead', 1000, 2000, 'I want to buy it this week.', 'full', NULL, '2026-11-17 15:00:20Z');
    PERFORM app.turn_put(call, 3072, 'c', 'ai', 2000, 2100, 'Never heard.', 'none', 0, '2026-11-17 15:00:20Z');
    PERFORM pg_temp.hangup(call, 'answered', '2026-11-17 15:00:10Z', '2026-11-17 15:01:10Z', 'caller_hangup');
    RETURN call;
END
$$;
CREATE FUNCTION pg_temp.w(n int) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$ SELECT format('a000000%s-0000-7000-8000-000000000001', n)::uuid $$;
CREATE FUNCTION pg_temp.take(n int, at timestamptz, want int DEFAULT 4) RETURNS bigint LANGUAGE sql AS $$
    SELECT count(*) FROM engine.analysis_take(pg_temp.w(n), want, 60, 5000, at)
$$;
CREATE FUNCTION pg_temp.good() RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
    SELECT '{"summary": "Wants it.", "overall_sentiment": 0.8, "interest_level": "high", "purchase_readiness": "immediate",
             "intent": "ready_to_buy", "primary_emotion": "excited", "objections": ["price"], "key_phrases": ["this week"],
             "budget_range": "100", "recommended_action": "call", "priority_score": 90, "dropped_values": 1,
             "evidence": {"intent": []}, "schema_version": 1}'::jsonb
$$;
CREATE FUNCTION pg_temp.store(call uuid, n int, insight jsonb, tasks jsonb, at timestamptz) RETURNS text LANGUAGE sql AS $$
    SELECT concat_ws(' ', s.stored, s.tasks_made)
      FROM analysis_jobs j,
           LATERAL app.insight_store(j.id, pg_temp.w(n), insight, '{"model": "m"}', tasks,
                                     '{"model": "m", "input_tokens": 800, "cost_micros": 200}', 'm', at) s
     WHERE j.call_log_id = call
$$;
SELECT pg_temp.talked(1) AS a \gset

-- Taking.
SELECT is(pg_temp.take(1, '2026-11-17 15:01:12Z'), 0::bigint, 'stragglers are waited for');
SELECT is(pg_temp.take(1, '2026-11-17 15:01:15Z'), 1::bigint, 'then it is due');
SELECT is(pg_temp.take(2, '2026-11-17 15:01:16Z'), 0::bigint, 'and held');
SELECT is(pg_temp.take(2, '2026-11-17 15:02:16Z'), 1::bigint, 'until the lease runs out');
SELECT is(pg_temp.store(:'a', 1, pg_temp.good(), '[]', '2026-11-17 15:02:20Z'), 'f 0', 'the late worker changes nothing');
SELECT is((SELECT count(*) FROM conversation_insights), 0::bigint, 'really nothing');
SELECT results_eq(format($$SELECT speaker, body, cut FROM app.analysis_turns(%L)$$, :'a'),
    $$VALUES ('ai', 'Hello.', false), ('lead', 'I want to buy it this week.', false)$$, 'what was never heard is no evidence');
SELECT results_eq(format($$SELECT duration_s, ended_at, opted_out FROM app.analysis_call(%L)$$, :'a'),
    $$VALUES (60, '2026-11-17 15:01:10Z'::timestamptz, false)$$, 'the call');

-- Storing.
SELECT is(pg_temp.store(:'a', 2, pg_temp.good(),
    '[{"task_type": "call", "title": "Call back", "priority": "high", "reason": "callback", "due": "2026-11-18T15:00:00Z"},
      {"task_type": "call", "title": "Call", "priority": "low", "reason": "recommended:call"},
      {"task_type": "send_info", "title": "Send it", "priority": "high", "reason": "promise:send_info", "context": {"quote": "x"}}]',
    '2026-11-17 15:02:20Z'), 't 2', 'stored; a kind of work once');
SELECT results_eq($$SELECT overall_sentiment, sentiment_label, interest_level, budget_mentioned, timeline_mentioned, objections, dropped_values, revision FROM conversation_insights$$,
    $$VALUES (0.80, 'very_positive', 'high', true, false, '{price}'::text[], 1, 1)$$, 'the insight');
SELECT results_eq(format($$SELECT sentiment_score, interest_level, conversation_summary, ai_analysis ->> 'model' FROM call_logs WHERE id = %L$$, :'a'),
    $$VALUES (0.80, 'high', 'Wants it.', 'm')$$, 'the call has its copies');
SELECT is((SELECT score::int FROM leads WHERE id = pg_temp.id(1, 11)), 90, 'scored by the trigger');
SELECT results_eq($$SELECT task_type, due_date, source FROM follow_up_tasks ORDER BY task_type$$,
    $$VALUES ('call', '2026-11-18 15:00Z'::timestamptz, 'ai'), ('send_info', '2026-11-18 15:02:20Z', 'ai')$$, 'the tasks');
SELECT is((SELECT status FROM analysis_jobs WHERE call_log_id = :'a'), 'done', 'the job');
SELECT results_eq($$SELECT source, model, cost_micros FROM usage_ledger WHERE source = 'analysis'$$, $$VALUES ('analysis', 'm', 200::int8)$$, 'the bill');
SELECT is((SELECT count(*) FROM outbox WHERE topic = 'call.analysed'), 1::bigint, 'told to the outside');
SELECT is((SELECT sum(sentiment_sum) FROM campaign_deltas), 0.80, 'the campaign''s average by delta');
SELECT is(pg_temp.store(:'a', 2, pg_temp.good(), '[]', '2026-11-17 15:02:30Z'), 'f 0', 'a repeat finds nothing to do');

-- Again: the row is replaced, the old one kept, no task twice.
SELECT is(app.analysis_again(:'a', '2026-11-17 16:00Z'), true, 'asked for again');
SELECT is(app.analysis_again(:'a', '2026-11-17 16:00Z'), false, 'once');
SELECT is(pg_temp.take(1, '2026-11-17 16:00:05Z'), 1::bigint, 'taken');
SELECT is(pg_temp.store(:'a', 1, pg_temp.good() || '{"overall_sentiment": -0.5, "interest_level": "low", "purchase_readiness": "not_ready"}',
    '[{"task_type": "call", "title": "Call back", "priority": "high", "reason": "callback"}]', '2026-11-17 16:00:06Z'), 't 0', 'no task twice');
SELECT results_eq($$SELECT revision, overall_sentiment FROM conversation_insights$$, $$VALUES (2, -0.50)$$, 'replaced');
SELECT is((SELECT count(*) FROM insight_history), 1::bigint, 'history kept');
SELECT is((SELECT score::int FROM leads WHERE id = pg_temp.id(1, 11)), 10, 'scored anew');
SELECT is((SELECT sum(sentiment_sum) FROM campaign_deltas), -0.50, 'and the average moved');

-- Too short: stored, no score.
SELECT pg_temp.talked(2) AS b \gset
SELECT pg_temp.take(1, '2026-11-17 16:10Z') \g /dev/null
SELECT is(pg_temp.store(:'b', 1, '{"too_short": true, "summary": "Too little was said to judge."}', '[]', '2026-11-17 16:10Z'), 't 0', 'too short is a result');
SELECT results_eq(format($$SELECT too_short, overall_sentiment, sentiment_label FROM conversation_insights WHERE call_log_id = %L$$, :'b'), $$VALUES (true, NULL::numeric, NULL::text)$$, 'without a judgement');
SELECT is((SELECT status FROM analysis_jobs WHERE call_log_id = :'b'), 'too_short', 'and says so');
SELECT is((SELECT score::int FROM leads WHERE id = pg_temp.id(1, 12)), 0, 'no score');

-- Failing.
SELECT pg_temp.talked(3) AS c \gset
SELECT pg_temp.take(1, '2026-11-17 17:00Z') \g /dev/null
SELECT is((SELECT app.analysis_fail(j.id, pg_temp.w(2), 'x', NULL, '2026-11-17 17:00:10Z', '2026-11-17 17:00Z') FROM analysis_jobs j WHERE j.call_log_id = :'c'), NULL, 'not another worker''s');
SELECT is((SELECT app.analysis_fail(j.id, pg_temp.w(1), 'HTTP 503', '{"model": "m", "cost_micros": 5}', '2026-11-17 17:00:10Z', '2026-11-17 17:00Z') FROM analysis_jobs j WHERE j.call_log_id = :'c'), 'queued', 'later');
SELECT is((SELECT sum(cost_micros) FROM usage_ledger WHERE call_log_id = :'c' AND source = 'analysis'), 5::numeric, 'a failed try is billed too');
SELECT is(pg_temp.take(1, '2026-11-17 17:00:14Z'), 0::bigint, 'not before');
SELECT is(pg_temp.take(1, '2026-11-17 17:00:15Z'), 1::bigint, 'then');
SELECT is((SELECT app.analysis_fail(j.id, pg_temp.w(1), 'HTTP 401', NULL, NULL, '2026-11-17 17:01Z') FROM analysis_jobs j WHERE j.call_log_id = :'c'), 'failed', 'for good');
SELECT is(pg_temp.take(1, '2026-11-18 17:00Z'), 0::bigint, 'and left alone');
SELECT is(app.analysis_again(:'c', '2026-11-17 18:00Z'), true, 'a person may ask for it');
UPDATE analysis_jobs SET tries = max_tries - 1 WHERE call_log_id = :'c';
SELECT is(pg_temp.take(1, '2026-11-17 18:01Z'), 1::bigint, 'the last try');
SELECT is(pg_temp.take(1, '2026-11-17 19:00Z'), 0::bigint, 'a worker that dies each time is not fed for ever');
SELECT is((SELECT status FROM analysis_jobs WHERE call_log_id = :'c'), 'failed', 'it failed');

-- Another tenant sees and changes nothing.
SELECT pg_temp.talked(4) AS d \gset
SELECT pg_temp.take(1, '2026-11-17 20:00Z') \g /dev/null
SELECT pg_temp.act(2) \g /dev/null
SELECT is((SELECT count(*) FROM app.analysis_turns(:'d')), 0::bigint, 'no words');
SELECT is((SELECT count(*) FROM app.analysis_call(:'d')), 0::bigint, 'no call');
SELECT is(pg_temp.store(:'d', 1, pg_temp.good(), '[]', '2026-11-17 20:00Z'), 'f 0', 'no storing');
SELECT is(app.analysis_again(:'d', now()), false, 'no asking');
SELECT * FROM finish();
ROLLBACK;
