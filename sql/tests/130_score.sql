-- The trigger update_score_on_insight, the one scoring function, copies, history, counters of sentiment.
BEGIN;
\ir fixture.psql
SELECT no_plan();
SELECT pg_temp.tenant(1), pg_temp.lead(1, 1) \gset fixture_
SELECT set_config('app.ctx', pg_temp.ctx(pg_temp.org(1)), true) \gset fixture_

SELECT is(app.sentiment_label(s), l, s || ' is ' || l) FROM (VALUES (-1, 'very_negative'), (-0.61, 'very_negative'), (-0.60, 'negative'),
    (-0.21, 'negative'), (-0.20, 'neutral'), (0, 'neutral'), (0.20, 'neutral'), (0.21, 'positive'), (0.60, 'positive'), (0.61, 'very_positive'), (1, 'very_positive')) AS v (s, l);

-- Pure contributions.
SELECT is((SELECT least(coalesce(sum(value::numeric), 0), 100)::int FROM jsonb_each_text(app.score_contributions(app.default_weights(), a, s, i, r))), want,
          format('%s answered, sentiment %s, interest %s, readiness %s', a, s, i, r))
  FROM (VALUES (0, 0.5, 'low', 'not_ready', 0), (1, 0.5, 'low', 'not_ready', 10), (2, 0.51, 'none', 'long_term', 30), (3, 0.51, 'medium', 'short_term', 75),
               (3, 0.9, 'high', 'immediate', 100), (1, -1, 'high', 'immediate', 70), (2, 0.6, 'high', 'short_term', 80)) AS v (a, s, i, r, want);

-- An answered call, analysed.
CREATE FUNCTION pg_temp.answered(tried int, at timestamptz) RETURNS uuid LANGUAGE plpgsql AS $$
DECLARE
    call uuid := pg_temp.dialed(1, 1, tried, at, 'completed');
BEGIN
    UPDATE call_logs SET answered_at = at, duration = 60 WHERE id = call;
    RETURN call;
END
$$;
CREATE FUNCTION pg_temp.analysed(call uuid, sentiment numeric, interest text, readiness text, short boolean DEFAULT false) RETURNS void LANGUAGE sql AS $$
    INSERT INTO conversation_insights (organization_id, call_log_id, lead_id, campaign_id, overall_sentiment, interest_level, purchase_readiness, too_short, analysed_at)
    VALUES (pg_temp.org(1), call, pg_temp.id(1, 11), pg_temp.id(1, 3), sentiment, interest, readiness, short, '2026-11-17 16:00Z')
    ON CONFLICT (organization_id, call_log_id) DO UPDATE SET overall_sentiment = excluded.overall_sentiment, interest_level = excluded.interest_level,
        purchase_readiness = excluded.purchase_readiness, too_short = excluded.too_short, analysed_at = excluded.analysed_at
$$;
CREATE FUNCTION pg_temp.lead_now() RETURNS text LANGUAGE sql AS $$
    SELECT concat_ws(' ', score, sentiment_score, interest_level, purchase_readiness) FROM leads WHERE id = pg_temp.id(1, 11)
$$;
SELECT pg_temp.answered(1, '2026-11-01 15:00Z') AS c1, pg_temp.answered(2, '2026-11-03 15:00Z') AS c2, pg_temp.answered(3, '2026-11-05 15:00Z') AS c3 \gset
UPDATE call_logs SET answered_at = NULL WHERE id IN (:'c2', :'c3');
SELECT pg_temp.analysed(:'c1', 0.7, 'high', 'short_term') \gset fixture_
SELECT is(pg_temp.lead_now(), '80 0.70 high short_term', 'score, and the copies on the lead');
SELECT is((SELECT concat_ws(' ', sentiment_score, interest_level) FROM call_logs WHERE id = :'c1'), '0.70 high', 'copies on the call');
SELECT is((SELECT sentiment_label FROM conversation_insights WHERE call_log_id = :'c1'), 'very_positive', 'the label is made, not given');
SELECT is((SELECT contributions FROM lead_scores WHERE lead_id = pg_temp.id(1, 11)), '{"answered": 10, "sentiment": 20, "interest": 30, "readiness": 20}'::jsonb, 'and why');
SELECT is((SELECT score::int FROM call_queue WHERE lead_id = pg_temp.id(1, 11)), 80, 'the queue follows');
SELECT pg_temp.analysed(:'c1', 0.2, 'medium', 'not_ready') \gset fixture_
SELECT is(pg_temp.lead_now(), '25 0.20 medium not_ready', 're-analysis scores again, with its own sentiment');
SELECT is((SELECT concat_ws(' ', revision, sentiment_label) FROM conversation_insights WHERE call_log_id = :'c1'), '2 neutral', 'the row was replaced');
SELECT is((SELECT concat_ws(' ', h.revision, h.insight ->> 'overall_sentiment') FROM insight_history h WHERE h.call_log_id = :'c1'), '1 0.70', 'the old one kept');
UPDATE call_logs SET answered_at = '2026-11-03 15:00Z' WHERE id = :'c2';
SELECT pg_temp.analysed(:'c2', 0.9, 'high', 'immediate', true) \gset fixture_
SELECT is(pg_temp.lead_now(), '25 0.20 medium not_ready', 'too short changes nothing');
SELECT is((SELECT sentiment_score FROM call_logs WHERE id = :'c2'), NULL, 'not even the call');
UPDATE call_logs SET answered_at = '2026-11-05 15:00Z' WHERE id = :'c3';
SELECT pg_temp.analysed(:'c3', 0.9, 'high', 'immediate') \gset fixture_
SELECT is(pg_temp.lead_now(), '100 0.90 high immediate', 'the third answered call, capped at 100');
SELECT is((SELECT sum(value::int)::int FROM lead_scores, jsonb_each_text(contributions) WHERE lead_id = pg_temp.id(1, 11)), 100, 'contributions add up');
UPDATE call_logs SET disconnect_reason = 'voicemail' WHERE id = :'c1';
SELECT is(app.score_lead(pg_temp.org(1), pg_temp.id(1, 11), NULL, '2026-11-18')::int, 90, 'a machine that answered is no answer');

-- Other weights: preview changes nothing, setting them does.
SELECT results_eq($$SELECT score_now::int, score_then::int FROM app.score_preview('{"sentiment": 0, "interest_high": 1}')$$, $$VALUES (90, 41)$$, 'a preview');
SELECT is(pg_temp.lead_now(), '90 0.90 high immediate', 'changes nothing');
SELECT is(app.score_weights_set('{"sentiment": 0, "interest_high": 1}', 'less', '2026-11-18')::int, 1, 'new weights re-score');
SELECT is((SELECT concat_ws(' ', score, weights_version) FROM lead_scores WHERE lead_id = pg_temp.id(1, 11)), '41 1', 'with their version');

-- Counters.
SELECT is(engine.fold_counters('2026-11-18'), 1, 'deltas fold in');
SELECT results_eq('SELECT total_calls, answered_calls, transferred_calls, sentiment_count, sentiment_sum, avg_sentiment_score, spent_micros FROM campaigns WHERE id = pg_temp.id(1, 3)',
                  'SELECT total_calls, answered_calls, transferred_calls, sentiment_count, sentiment_sum, avg_sentiment_score, spent_micros FROM app.campaign_counters_derived WHERE campaign_id = pg_temp.id(1, 3)',
                  'and equal their derivation');
SELECT is((SELECT avg_sentiment_score FROM campaigns WHERE id = pg_temp.id(1, 3)), 0.550, 'too short does not count');
SELECT pg_temp.analysed(:'c3', 0.9, 'high', 'immediate', true) \gset fixture_
SELECT is((SELECT concat_ws(' ', engine.fold_counters('2026-11-18'), (SELECT avg_sentiment_score FROM campaigns WHERE id = pg_temp.id(1, 3)))), '1 0.550', 'folding is seen by the next statement');
SELECT is((SELECT avg_sentiment_score FROM campaigns WHERE id = pg_temp.id(1, 3)), 0.200, 'a judgement withdrawn is taken out again');
SELECT throws_ok($$INSERT INTO conversation_insights (organization_id, call_log_id, lead_id, overall_sentiment, analysed_at) VALUES (pg_temp.org(1), app.uuid7(), pg_temp.id(1, 11), 1.5, now())$$, '23514', NULL, 'sentiment ends at 1');
SELECT throws_ok($$INSERT INTO conversation_insights (organization_id, call_log_id, lead_id, analysed_at) VALUES (pg_temp.org(1), app.uuid7(), pg_temp.id(1, 11), now())$$, '23514', NULL, 'a judgement has a sentiment');
SELECT * FROM finish();
ROLLBACK;
