-- Rules as data: their shape, that they are closed and not changed, that a tenant's own only tighten; what the guards
-- count; what a budget holds back.
BEGIN;
\ir fixture.psql
SELECT no_plan();
SELECT pg_temp.tenant(1), pg_temp.lead(1, 1) \gset fixture_

-- Shape.
SELECT is((SELECT string_agg(jurisdiction || '/' || rule || ': ' || app.rule_lacks(rule, value), '; ') FROM compliance_rules), NULL, 'every shipped rule has its shape');
SELECT is((SELECT count(*)::int FROM compliance_rules a JOIN compliance_rules b USING (jurisdiction, rule)
            WHERE a.id < b.id AND a.valid_from < b.valid_to AND b.valid_from < a.valid_to), 0, 'no two rows of a rule are in force at once');
SELECT is((SELECT string_agg(jurisdiction || '/' || rule, ' ') FROM compliance_rules WHERE jurisdiction <> '*' AND (source_url IS NULL OR reviewed_by IS NULL)), NULL, 'each names its source and who reviewed it');
SELECT throws_ok(format($$INSERT INTO compliance_rules (jurisdiction, rule, value) VALUES ('ZZ', %L, %L)$$, r, v), '23514', NULL, r || ' ' || v)
  FROM (VALUES ('hours', '{}'), ('hours', '[]'), ('hours', '{"spans": [{"days": [1], "from": "9", "to": "20:00"}]}'), ('hours', '{"spans": [{"from": "09:00", "to": "20:00"}]}'),
               ('consent', '{}'), ('frequency', '{"24h": "3"}'), ('prefixes', '{}'), ('lists', '{}'), ('reassigned', '{}'), ('abandon', '{"share": 0.1}'),
               ('short_calls', '{"share": 0.1, "min_answers": 1}'), ('holds', '{"abandon_h": "x"}'), ('preferences', '{"max_age_days": null}'),
               ('frequency', '{"24h": 0}'), ('frequency', '{"7d": -1}'), ('frequency', '{"24h": 2.5}'), ('lists', '{"lists": [{"list": "x"}]}'),
               ('lists', '{"lists": [{"max_age_days": 3}]}'), ('hours', '{"spans": [{"days": [1], "from": "09:00", "to": "24:30"}]}')) AS b (r, v);
SELECT lives_ok($$INSERT INTO compliance_rules (jurisdiction, rule, value) VALUES ('ZZ', 'hours', '{"spans": [{"days": [1,2,3,4,5,6,7], "from": "00:00", "to": "24:00"}]}')$$, 'a good one is taken');
-- Counsel's way: close a row, add the next.
SELECT throws_ok($$UPDATE compliance_rules SET value = '{"24h": 99}' WHERE jurisdiction = 'ALL' AND rule = 'frequency'$$, 'DW006', NULL, 'a rule is not changed');
SELECT throws_ok($$UPDATE compliance_rules SET valid_from = '2020-01-01' WHERE jurisdiction = 'ALL' AND rule = 'frequency'$$, 'DW006', NULL, 'nor dated back');
SELECT throws_ok($$DELETE FROM compliance_rules WHERE jurisdiction = 'ALL'$$, 'DW006', NULL, 'nor deleted');
SELECT lives_ok($$UPDATE compliance_rules SET valid_to = '2026-11-18', reviewed_by = 'counsel' WHERE jurisdiction = 'US' AND rule = 'hours';
                  INSERT INTO compliance_rules (jurisdiction, rule, value, valid_from, source_url, reviewed_by)
                  VALUES ('US', 'hours', '{"spans": [{"days": [1,2,3,4,5,6,7], "from": "11:00", "to": "12:00"}]}', '2026-11-18', 'x', 'counsel')$$, 'it is closed, and another follows');
SELECT is(pg_temp.gate(1, 1, '2026-11-17 15:00Z'), 'dial', 'the day before, the old one');
SELECT is(pg_temp.gate(1, 1, '2026-11-18 15:00Z'), 'outside_window until 2026-11-18 16:00:00', 'from its day on, the new one, without a restart');
SELECT is(pg_temp.gate(1, 1, '2026-11-18 16:00Z'), 'dial', 'in its hours');
SELECT ok(NOT has_table_privilege(r, 'public.compliance_rules', p), r || ' may not ' || p || ' rules')
  FROM unnest('{anon,authenticated,service_role,app_worker,app_login,app_engine}'::text[]) AS r, unnest('{INSERT,UPDATE,DELETE}'::text[]) AS p;

-- A tenant's own rules: whatever they say, what was refused stays refused. Random rules, random moments.
SELECT setseed(0.42) \gset fixture_
CREATE FUNCTION pg_temp.any_rule() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    k int := floor(random() * 9);
BEGIN
    INSERT INTO organization_rules (organization_id, jurisdiction, rule, value, set_by, valid_from)
    VALUES (pg_temp.org(1), ('{ALL,US,US-NY,US-TX}'::text[])[1 + floor(random() * 4)::int],
        ('{hours,frequency,consent,prefixes,lists,reassigned,holds,abandon,short_calls}'::text[])[k + 1],
        CASE k WHEN 0 THEN jsonb_build_object('spans', jsonb_build_array(jsonb_build_object('days', '[1,2,3,4,5,6,7]'::jsonb,
                               'from', lpad(floor(random() * 20)::text, 2, '0') || ':00', 'to', '24:00')), 'holidays', random() < 0.5)
               WHEN 1 THEN jsonb_build_object('24h', 1 + floor(random() * 8), '7d', 1 + floor(random() * 19), '30d', 1 + floor(random() * 49))
               WHEN 2 THEN '{"levels": {"marketing": "express"}, "per_seller": false}' WHEN 3 THEN '["+1999"]'
               WHEN 4 THEN '{"lists": [{"list": "us-national", "max_age_days": 900, "exempt": ["written", "inquiry"]}]}'
               WHEN 5 THEN jsonb_build_object('max_age_days', floor(random() * 400)) WHEN 6 THEN jsonb_build_object('conversation_d', floor(random() * 5))
               ELSE jsonb_build_object('share', random(), 'min_answers', floor(random() * 200), 'days', floor(random() * 60)) END, 'me',
        date '2020-01-01' + floor(random() * 2000)::int);
EXCEPTION WHEN unique_violation THEN
    NULL;
END
$$;
CREATE TEMP TABLE before AS
    SELECT at, n, pg_temp.gate(1, 1, at) AS said FROM generate_series('2026-11-16 01:00Z'::timestamptz, '2026-11-23', interval '97 minutes') AS at, generate_series(1, 1) AS n;
CREATE FUNCTION pg_temp.milder(rounds int) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
    wrong int := 0;
BEGIN
    FOR i IN 1..rounds LOOP
        PERFORM pg_temp.any_rule() FROM generate_series(1, 3);
        wrong := wrong + (SELECT count(*) FROM before b WHERE b.said <> 'dial' AND pg_temp.gate(1, 1, b.at) = 'dial');
        ALTER TABLE organization_rules DISABLE TRIGGER guard;
        DELETE FROM organization_rules;
        ALTER TABLE organization_rules ENABLE TRIGGER guard;
    END LOOP;
    RETURN wrong;
END
$$;
SELECT cmp_ok((SELECT count(*)::int FROM before WHERE said <> 'dial'), '>', 30, 'there is something to make milder');
SELECT is(pg_temp.milder(20), 0, 'no own rule opens what the law closes');
SELECT throws_ok($$INSERT INTO organization_rules (organization_id, jurisdiction, rule, value, set_by) VALUES (pg_temp.org(1), 'US', 'notice', '[]', 'me')$$, '23514', NULL, 'what could only open is no rule of a tenant');
INSERT INTO organization_rules (organization_id, jurisdiction, rule, value, set_by) VALUES (pg_temp.org(1), 'US', 'prefixes', '["+1212"]', 'me');
SELECT throws_ok($$UPDATE organization_rules SET value = '[]'$$, 'DW006', NULL, 'an own rule is closed, not changed, either');
SELECT is(pg_temp.gate(1, 1, '2026-11-17 15:00Z'), 'prohibited_prefix', 'and it holds');
UPDATE organization_rules SET valid_to = '2026-11-17', valid_from = valid_from;
SELECT is(pg_temp.gate(1, 1, '2026-11-17 15:00Z'), 'dial', 'until it is closed');

-- Every check, in order; the gate's word is the first that fails.
SELECT is((SELECT string_agg(check_name, ' ' ORDER BY ordinal) FROM app.gate_checks(pg_temp.org(1), pg_temp.id(1, 3), pg_temp.id(1, 11), '+16465550001', '2026-11-17 15:00Z')),
    'campaign lead paused refusal country prefix rules consent lists reassigned caller_series attempts preference window holds number abandon_guard short_call_guard budget line', 'twenty checks');
UPDATE leads SET region = NULL;
UPDATE campaigns SET status = 'paused';
SELECT is((SELECT string_agg(check_name || ' ' || reason, ', ' ORDER BY ordinal) FROM app.gate_checks(pg_temp.org(1), pg_temp.id(1, 3), pg_temp.id(1, 11), '+16465550009', '2026-11-17 15:00Z') WHERE state = 'fail'),
    'campaign campaign_paused, country region_unknown, line no_line', 'all that fail, not only the first');
SELECT is((SELECT count(*)::int FROM app.gate_checks(pg_temp.org(1), pg_temp.id(1, 3), pg_temp.id(1, 11), '+16465550001', '2026-11-17 15:00Z') WHERE state = 'unjudged'), 12, 'and those that cannot be judged without a country');
UPDATE leads SET region = 'US';
UPDATE campaigns SET status = 'active';
SELECT is((SELECT string_agg(s.reason, ', ') FROM skip_reasons s WHERE s.remedy = ''), NULL, 'every reason says what would have to change');

-- What the guards count: by the day of the answer, each call once, later knowledge included.
SELECT pg_temp.dialed(1, 1, 1, '2026-11-16 15:00Z', 'model_error') AS call \gset
SELECT is((SELECT sum(answers)::int FROM campaign_deltas), 0, 'not answered: not counted');
UPDATE call_logs SET answered_at = '2026-11-16 15:00:10Z', duration = 4 WHERE id = :'call';
SELECT results_eq('SELECT day, sum(live_answers)::int, sum(abandoned)::int, sum(answers)::int, sum(short_calls)::int FROM campaign_deltas WHERE day IS NOT NULL GROUP BY 1',
    $$VALUES ('2026-11-16'::date, 1, 1, 1, 1)$$, 'answered, and nobody was there');
UPDATE call_logs SET machine_detected = true WHERE id = :'call';
SELECT results_eq('SELECT day, sum(live_answers)::int, sum(abandoned)::int, sum(answers)::int, sum(short_calls)::int FROM campaign_deltas WHERE day IS NOT NULL GROUP BY 1',
    $$VALUES ('2026-11-16'::date, 0, 0, 1, 1)$$, 'it was a machine after all');
SELECT engine.fold_counters('2026-11-17') \gset fixture_
SELECT results_eq('SELECT day, live_answers, abandoned, answers, short_calls FROM campaign_days', $$VALUES ('2026-11-16'::date, 0, 0, 1, 1)$$, 'folded in by one writer');
SELECT is((SELECT count(*)::int FROM campaign_deltas), 0, 'and the deltas are gone');
UPDATE call_logs SET machine_detected = false, disclosure_played_at = '2026-11-16 15:00:12Z' WHERE id = :'call';
SELECT engine.fold_counters('2026-11-17') \gset fixture_
SELECT results_eq('SELECT day, live_answers, abandoned, answers, short_calls FROM campaign_days', $$VALUES ('2026-11-16'::date, 1, 0, 1, 1)$$, 'a person who heard the first words was not abandoned');

-- A budget is held back at the claim and never overspent.
UPDATE campaigns SET budget_minor = 100, budget_currency = 'USD', reserve_minor = 30;
UPDATE call_queue SET status = 'failed', last_error = 'attempt_limit';
SELECT count(pg_temp.lead(1, k)) FROM generate_series(2, 9) AS k \gset fixture_
SELECT is((SELECT app.budget_room(c) FROM campaigns c), 3, 'room for three calls of thirty cents in a dollar');
SELECT is((SELECT count(*)::int FROM engine.claim(NULL, NULL, 9, '2026-11-17 15:00Z', 10000)), 3, 'three are claimed');
SELECT is((SELECT sum(reserved_micros)::int FROM call_logs WHERE status = 'reserved'), 900000, 'each holds back its thirty cents');
SELECT is((SELECT count(*)::int FROM engine.claim(NULL, NULL, 9, '2026-11-17 15:00:01Z', 10000)), 0, 'no fourth');
SELECT ok(NOT (SELECT app.budget_spent(c) FROM campaigns c), 'which is not the end of the campaign: they may cost less');
UPDATE call_logs SET status = 'not_placed', ended_at = '2026-11-17 15:00:02Z' WHERE id = (SELECT min(id::text)::uuid FROM call_logs WHERE status = 'reserved');
SELECT is((SELECT app.budget_room(c) FROM campaigns c), 1, 'one that was not placed gives its part back');
UPDATE call_logs SET status = 'ended', ended_at = '2026-11-17 15:00:02Z' WHERE status = 'reserved';
INSERT INTO usage_ledger (organization_id, campaign_id, source, item_key, cost_micros) SELECT organization_id, id, 'carrier', 'k', 710000 FROM campaigns;
SELECT is((SELECT app.budget_room(c) FROM campaigns c), 0, 'what they cost is spent');
SELECT ok((SELECT app.budget_spent(c) FROM campaigns c), 'and what is left is too little for one more: the budget is spent');
SELECT * FROM finish();
ROLLBACK;
