-- The claim, enrolment and the life of a campaign, in one session. Concurrency: 190.
BEGIN;
\ir fixture.psql
SELECT no_plan();

CREATE FUNCTION pg_temp.claim(want int, at timestamptz DEFAULT '2026-11-17 15:00Z') RETURNS int LANGUAGE sql AS $$
    SELECT count(*)::int FROM engine.claim('c0000000-0000-7000-8000-000000000001', 'c0000000-0000-7000-8000-000000000002', want, at, 30000)
$$;
-- The live calls of a tenant end.
CREATE FUNCTION pg_temp.end_calls(at timestamptz DEFAULT '2026-11-17 15:00Z', queue_status text DEFAULT 'completed') RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    UPDATE call_logs SET status = 'ended', ended_at = at, disconnect_reason = 'no_answer' WHERE status = 'reserved';
    UPDATE call_queue SET status = queue_status, call_log_id = NULL WHERE status = 'processing';
END
$$;
CREATE FUNCTION pg_temp.world(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    said text;
BEGIN
    BEGIN
        EXECUTE statement INTO said;
        RAISE EXCEPTION 'undo' USING ERRCODE = 'DW998';
    EXCEPTION WHEN SQLSTATE 'DW998' THEN
        RETURN said;
    END;
END
$$;

SELECT pg_temp.tenant(1) \gset fixture_
SELECT count(pg_temp.lead(1, k)) FROM generate_series(1, 3) AS k \gset fixture_
SELECT pg_temp.lead(1, 4, 5) \gset fixture_
UPDATE call_queue SET score = 50 WHERE id = pg_temp.id(1, 203);
UPDATE call_queue SET next_retry_at = '2026-01-01' WHERE true;

-- One claim: what is written.
SELECT c.call_id, c.queue_id FROM engine.claim('c0000000-0000-7000-8000-000000000001', 'c0000000-0000-7000-8000-000000000002', 1, '2026-11-17 15:00Z', 30000) AS c \gset
SELECT is(:'queue_id', pg_temp.id(1, 204), 'the highest priority first');
SELECT results_eq(format($$SELECT status, direction, caller_number, callee_number, attempt_number, worker_id::text, intent_at, leased_until, lead_id FROM call_logs WHERE id = %L$$, :'call_id'),
    $$VALUES ('reserved', 'outbound', '+16465550001', pg_temp.phone(1, 4), 1, 'c0000000-0000-7000-8000-000000000002', '2026-11-17 15:00Z'::timestamptz, '2026-11-17 15:00:30Z'::timestamptz, pg_temp.id(1, 14))$$, 'the intent');
SELECT ok((SELECT timeline_id > 0 FROM call_logs WHERE id = :'call_id'), 'with the timeline of this server');
SELECT results_eq(format($$SELECT outcome, attempt_number, channel, gate ? 'zones' AND gate ? 'consent' AND (gate ->> 'at')::timestamptz = '2026-11-17 15:00Z' FROM call_attempts WHERE call_log_id = %L$$, :'call_id'),
    $$VALUES (NULL::text, 1, 'voice_ai', true)$$, 'the journal, with the verdict');
SELECT results_eq(format($$SELECT status, attempt_number, attempt_count, call_log_id::text, lease_owner::text, fencing_token::int, ready FROM call_queue WHERE id = %L$$, :'queue_id'),
    format($$VALUES ('processing', 1, 0, %L, 'c0000000-0000-7000-8000-000000000002', 1, false)$$, :'call_id'), 'the queue row is leased');
SELECT is((SELECT string_agg((c.queue_id)::text, ' ' ORDER BY n) FROM engine.claim(NULL, 'c0000000-0000-7000-8000-000000000002', 9, '2026-11-17 15:00:01Z', 1000) WITH ORDINALITY AS c (call_id, organization_id, campaign_id, lead_id, queue_id, a, b, d, e, n)),
          concat_ws(' ', pg_temp.id(1, 203), pg_temp.id(1, 201), pg_temp.id(1, 202)), 'then the better score, then the rest, each once');
SELECT is(pg_temp.claim(9), 0, 'nothing is claimed twice');
SELECT pg_temp.end_calls() \gset fixture_

-- Due times.
UPDATE call_queue SET status = 'queued', next_retry_at = '2026-11-17 17:00Z' WHERE id = pg_temp.id(1, 201);
SELECT is(pg_temp.claim(9, '2026-11-17 16:59:59Z'), 0, 'not a second early');
SELECT is(pg_temp.claim(9, '2026-11-17 17:00:00Z'), 1, 'but when its time has come');
SELECT is((SELECT concat_ws(' ', attempt_number, attempt_count) FROM call_queue WHERE id = pg_temp.id(1, 201)), '2 1', 'attempts are numbered through');
SELECT pg_temp.end_calls() \gset fixture_

-- What is blocked does not block.
SELECT count(pg_temp.lead(1, k)) FROM generate_series(5, 9) AS k \gset fixture_
UPDATE call_queue SET priority = 9 WHERE id IN (pg_temp.id(1, 205), pg_temp.id(1, 206), pg_temp.id(1, 207));
UPDATE leads SET timezone = 'America/Los_Angeles' WHERE id = pg_temp.id(1, 15);
INSERT INTO do_not_call (organization_id, phone_e164, source, added_at) VALUES (pg_temp.org(1), pg_temp.phone(1, 6), 'dtmf', now());
UPDATE consents SET revoked_at = '2026-11-01' WHERE phone_e164 = pg_temp.phone(1, 7);
SELECT is(pg_temp.claim(2, '2026-11-17 16:00Z'), 2, 'rows behind blocked ones are claimed');
SELECT results_eq('SELECT status, last_error, next_retry_at FROM call_queue WHERE id IN (pg_temp.id(1, 205), pg_temp.id(1, 206), pg_temp.id(1, 207)) ORDER BY id',
    $$VALUES ('queued', 'outside_window', '2026-11-17 17:00Z'::timestamptz), ('failed', 'dnc_internal', '2026-01-01'), ('failed', 'consent_missing', '2026-01-01')$$,
    'a blocked row waits until its reason can change, or has failed');
INSERT INTO consents (organization_id, phone_e164, level, seller, source, evidence, granted_at)
VALUES (pg_temp.org(1), pg_temp.phone(1, 7), 'written', 'Tenant 1 Ltd.', 'form', '{"form": 2}', '2026-11-17 16:10Z');
SELECT is(pg_temp.claim(9, '2026-11-17 17:00Z'), 2, 'a new consent, and the morning in Los Angeles, bring them back');
SELECT pg_temp.end_calls() \gset fixture_

-- Pauses leave the rows alone.
SELECT pg_temp.lead(1, 30) \gset fixture_
UPDATE campaigns SET status = 'paused' WHERE organization_id = pg_temp.org(1);
SELECT is(pg_temp.claim(9), 0, 'a paused campaign claims nothing');
UPDATE campaigns SET status = 'active' WHERE organization_id = pg_temp.org(1);
INSERT INTO platform_pauses (id, reason, paused_by, paused_at) VALUES (pg_temp.id(1, 7), 'r', 'me', '2026-01-01');
SELECT is(pg_temp.claim(9), 0, 'a pause of the platform stops everybody');
UPDATE platform_pauses SET resumed_at = paused_at, resumed_by = 'me';
INSERT INTO dial_pauses (organization_id, id, scope, reason, paused_by, paused_at) VALUES (pg_temp.org(1), pg_temp.id(1, 8), 'tenant', 'r', 'me', '2026-01-01');
SELECT is(pg_temp.claim(9), 0, 'a paused tenant neither');
UPDATE dial_pauses SET scope = 'number', phone_e164 = pg_temp.phone(1, 3) || '0';
SELECT is((SELECT concat_ws(' ', status, last_error) FROM call_queue WHERE id = pg_temp.id(1, 230)), 'queued', 'and the row is as it was');
UPDATE dial_pauses SET resumed_at = paused_at, resumed_by = 'me';
INSERT INTO nodes (id, name, started_at, heartbeat_at) VALUES ('c0000000-0000-7000-8000-000000000001', 'n', now(), now());
INSERT INTO workers (id, node_id, status, started_at) VALUES ('c0000000-0000-7000-8000-000000000002', 'c0000000-0000-7000-8000-000000000001', 'dead', now());
SELECT is(pg_temp.claim(9), 0, 'a worker that was declared dead claims nothing');
UPDATE workers SET status = 'alive';
SELECT is(pg_temp.claim(9), 1, 'a living one does');
SELECT pg_temp.end_calls() \gset fixture_

-- Lines and calls per second, exactly.
SELECT pg_temp.tenant(2) \gset fixture_
SELECT count(pg_temp.lead(2, k)) FROM generate_series(1, 9) AS k \gset fixture_
UPDATE carrier_accounts SET lines = 2 WHERE organization_id = pg_temp.org(2);
SELECT is(pg_temp.claim(9), 2, 'as many as the account has lines');
SELECT is(pg_temp.claim(9), 0, 'and no more');
SELECT is((SELECT count(*)::int FROM call_queue WHERE organization_id = pg_temp.org(2) AND last_error IS NOT NULL), 0, 'rows that wait for a line are left alone');
UPDATE carrier_accounts SET lines = 9 WHERE organization_id = pg_temp.org(2);
UPDATE campaigns SET lines = 3 WHERE organization_id = pg_temp.org(2);
SELECT is(pg_temp.claim(9), 1, 'as many as the campaign has');
SELECT pg_temp.end_calls() \gset fixture_
UPDATE campaigns SET lines = 9 WHERE organization_id = pg_temp.org(2);
UPDATE carrier_accounts SET calls_per_second = 2 WHERE organization_id = pg_temp.org(2);
SELECT is(pg_temp.claim(9, '2026-11-17 15:01:00Z'), 2, 'two calls in a second');
SELECT is(pg_temp.claim(9, '2026-11-17 15:01:00.999Z'), 0, 'not a third');
SELECT is(pg_temp.claim(9, '2026-11-17 15:01:01Z'), 2, 'two in the next');
SELECT pg_temp.end_calls() \gset fixture_
UPDATE campaigns SET calls_per_second = 0.5 WHERE organization_id = pg_temp.org(2);
SELECT is(pg_temp.claim(9, '2026-11-17 15:01:03Z'), 1, 'one call in two seconds');
SELECT is(pg_temp.claim(9, '2026-11-17 15:01:04.999Z'), 0, 'for two seconds');
SELECT is(pg_temp.claim(9, '2026-11-17 15:01:05Z'), 1, 'then another');
SELECT pg_temp.end_calls() \gset fixture_
DELETE FROM call_queue WHERE status = 'queued';

-- One person in two campaigns is phoned by one of them.
SELECT pg_temp.tenant(3), pg_temp.lead(3, 1) \gset fixture_
INSERT INTO campaigns (organization_id, id, name, status, weekdays, time_start, time_end, lines, calls_per_second, legal_name)
VALUES (pg_temp.org(3), pg_temp.id(3, 4), 'other', 'active', '{1,2,3,4,5,6,7}', '09:00', '20:00', 9, 9, 'Tenant 3 Ltd.');
INSERT INTO campaign_numbers (organization_id, campaign_id, phone_number_id) VALUES (pg_temp.org(3), pg_temp.id(3, 4), pg_temp.id(3, 2));
INSERT INTO call_queue (organization_id, id, campaign_id, lead_id) VALUES (pg_temp.org(3), pg_temp.id(3, 299), pg_temp.id(3, 4), pg_temp.id(3, 11));
SELECT is(pg_temp.claim(9), 1, 'a person in two campaigns is dialed once');
SELECT is((SELECT last_error FROM call_queue WHERE organization_id = pg_temp.org(3) AND status = 'queued'), 'duplicate', 'the other row waits');
SELECT pg_temp.end_calls() \gset fixture_
SELECT is(pg_temp.claim(9, '2026-11-17 15:02Z'), 0, 'and then keeps the spacing');
SELECT is((SELECT concat_ws(' ', last_error, next_retry_at AT TIME ZONE 'UTC') FROM call_queue WHERE organization_id = pg_temp.org(3) AND status = 'queued'), 'spacing 2026-11-17 15:30:00', 'for half an hour');
SELECT is(pg_temp.claim(9, '2026-11-17 15:30Z'), 1, 'then it is dialed');
SELECT pg_temp.end_calls() \gset fixture_

-- A callback is exempt from the attempts, and used up by the attempt that was made for it.
UPDATE call_queue SET status = 'queued', max_attempts = 1, next_retry_at = '2026-11-17 17:00Z', callback_at = '2026-11-17 17:00Z' WHERE id = pg_temp.id(3, 299);
SELECT is(pg_temp.claim(9, '2026-11-17 17:00Z'), 1, 'a callback is dialed when attempts are used up');
UPDATE call_attempts SET outcome = 'no_answer', settled_at = now(), will_retry = false WHERE outcome IS NULL AND organization_id = pg_temp.org(3);
SELECT is((SELECT callback_at FROM call_queue WHERE id = pg_temp.id(3, 299)), NULL, 'once');
SELECT pg_temp.end_calls('2026-11-17 17:00Z', 'queued') \gset fixture_
SELECT is(pg_temp.claim(9, '2026-11-17 18:00Z'), 0, 'then the limit holds');
SELECT is((SELECT concat_ws(' ', status, last_error) FROM call_queue WHERE id = pg_temp.id(3, 299)), 'failed attempt_limit', 'and the row has failed');

-- Fair by weight: tenants 1 to 3, campaigns 1 to 1.
DELETE FROM call_queue WHERE status = 'queued';
SELECT pg_temp.tenant(4), pg_temp.tenant(5) \gset fixture_
UPDATE organizations SET weight = 3 WHERE id = pg_temp.org(5);
SELECT app.uuid7() AS far \gset
INSERT INTO leads (organization_id, id, phone_e164, timezone, region) SELECT pg_temp.org(n), ('d' || n || '000000-0000-7000-8000-' || lpad(k::text, 12, '0'))::uuid, '+1213' || n || lpad(k::text, 6, '0'), 'America/New_York', 'ZZ'
  FROM generate_series(4, 5) AS n, generate_series(1, 100) AS k;
INSERT INTO compliance_rules (jurisdiction, rule, value) VALUES ('ZZ', 'hours', '{"spans": [{"days": [1,2,3,4,5,6,7], "from": "00:00", "to": "24:00"}]}');
INSERT INTO call_queue (organization_id, campaign_id, lead_id, ready) SELECT l.organization_id, pg_temp.id(n, 3), l.id, true
  FROM generate_series(4, 5) AS n JOIN leads l ON l.organization_id = pg_temp.org(n);
SELECT sum(pg_temp.claim(4, '2026-11-17 15:00Z'::timestamptz + i * interval '1 second')) AS claimed FROM generate_series(1, 10) AS i \gset
SELECT is(:claimed, 40, 'ten rounds of four');
SELECT results_eq('SELECT count(*)::int FROM call_logs WHERE organization_id IN (pg_temp.org(4), pg_temp.org(5)) GROUP BY organization_id ORDER BY organization_id', 'VALUES (10), (30)', 'shared by weight');
SELECT sum(pg_temp.claim(1, '2026-11-17 15:01Z'::timestamptz + i * interval '1 second')) AS claimed FROM generate_series(1, 8) AS i \gset
SELECT results_eq('SELECT count(*)::int FROM call_logs WHERE organization_id IN (pg_temp.org(4), pg_temp.org(5)) GROUP BY organization_id ORDER BY organization_id', 'VALUES (12), (36)', 'one by one as well');
UPDATE campaigns SET lines = 12 WHERE organization_id = pg_temp.org(4);
SELECT is(pg_temp.claim(8, '2026-11-17 15:02Z'), 8, 'what one cannot use, the other gets');
SELECT pg_temp.end_calls() \gset fixture_
DELETE FROM call_queue WHERE status = 'queued';

-- A campaign's life.
SELECT pg_temp.tenant(6), pg_temp.lead(6, 1) \gset fixture_
SELECT set_config('app.ctx', pg_temp.ctx(pg_temp.org(6)), true) \gset fixture_
CREATE FUNCTION pg_temp.over(at timestamptz DEFAULT '2026-11-17 15:00Z') RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(reason, ' ') FROM engine.complete_campaigns(at) WHERE organization_id = pg_temp.org(6)
$$;
CREATE FUNCTION pg_temp.state() RETURNS text LANGUAGE sql AS $$
    SELECT concat_ws(' ', status, completed_reason, closing_reason) FROM campaigns WHERE id = pg_temp.id(6, 3)
$$;
SELECT is(pg_temp.over(), NULL, 'a campaign with somebody queued is not over');
SELECT is(pg_temp.claim(1), 1, 'one is dialed');
SELECT is(pg_temp.over(), NULL, 'nor with a live call');
SELECT pg_temp.end_calls() \gset fixture_
INSERT INTO follow_up_tasks (organization_id, id, lead_id, campaign_id, task_type, title, source, performed_by)
VALUES (pg_temp.org(6), pg_temp.id(6, 9), pg_temp.id(6, 11), pg_temp.id(6, 3), 'call', 'call back', 'ai', 'ai');
SELECT is(pg_temp.over(), NULL, 'nor with a callback of the AI''s own due');
UPDATE follow_up_tasks SET status = 'completed' WHERE id = pg_temp.id(6, 9);
SELECT is(pg_temp.world('SELECT pg_temp.over()'), 'finished', 'else it is finished');
SELECT is(pg_temp.world('SELECT concat_ws('' '', pg_temp.over(), coalesce(pg_temp.over(), ''-''), coalesce(pg_temp.over(), ''-''))'), 'finished - -', 'once');
UPDATE call_queue SET status = 'queued' WHERE id = pg_temp.id(6, 201);
UPDATE campaigns SET end_date = '2026-11-16' WHERE id = pg_temp.id(6, 3);
SELECT is(pg_temp.over('2026-11-17 07:59:59Z'), NULL, 'the last day is over when it is over everywhere');
SELECT is(pg_temp.world($$SELECT concat_ws(' ', pg_temp.over('2026-11-17 08:00:00Z'))$$), 'deadline', 'then the campaign is, with rows left');
UPDATE campaigns SET end_date = NULL, budget_minor = 1, budget_currency = 'USD', spent_micros = 10000 WHERE id = pg_temp.id(6, 3);
SELECT is(pg_temp.world('SELECT pg_temp.over()'), 'budget', 'or its money');
UPDATE campaigns SET budget_minor = NULL, budget_currency = NULL, spent_micros = 0 WHERE id = pg_temp.id(6, 3);
UPDATE organizations SET number_spacing_s = 0 WHERE id = pg_temp.org(6);

CREATE FUNCTION pg_temp.move(was text, target text, why text DEFAULT NULL) RETURNS text LANGUAGE sql AS $$
    SELECT concat_ws(' ', changed::text, status, refusal) FROM app.campaign_transition(pg_temp.id(6, 3), was, target, why, '2026-11-17 15:00Z')
$$;
SELECT is(pg_temp.move('draft', 'active'), 'false active the campaign is active: draft to active is not possible', 'compare');
SELECT is(pg_temp.move('active', 'paused'), 'true paused', 'and set');
SELECT is(pg_temp.move('active', 'paused'), 'false paused the campaign is paused: active to paused is not possible', 'the second loses');
SELECT is(pg_temp.move('paused', 'active'), 'true active', 'back');
SELECT is(pg_temp.move('active', 'completed', 'finished'), 'false active a campaign completes by itself, or is cancelled', 'nobody finishes it by hand');
SELECT is(pg_temp.claim(1, '2026-11-17 15:10Z'), 1, 'a call is live');
SELECT is(pg_temp.move('active', 'completed', 'cancelled'), 'true paused', 'cancelling waits for it');
SELECT is(pg_temp.state(), 'paused cancelled', 'draining');
SELECT is(pg_temp.move('paused', 'active'), 'false paused the campaign is closing (cancelled)', 'no way back');
SELECT is(pg_temp.over(), NULL, 'not over yet');
SELECT pg_temp.end_calls('2026-11-17 15:11Z', 'queued') \gset fixture_
SELECT is(pg_temp.over(), 'cancelled', 'over when the call has ended, although it would be retried');
SELECT is((SELECT concat_ws(' ', status, last_error) FROM call_queue WHERE id = pg_temp.id(6, 201)), 'failed cancelled', 'the retry is off');
SELECT is(pg_temp.over(), NULL, 'once');
SELECT is((SELECT count(*)::int FROM outbox WHERE organization_id = pg_temp.org(6) AND topic = 'campaign.completed'), 1, 'told once');
SELECT throws_ok($$SELECT app.enqueue_leads(pg_temp.id(6, 3), NULL, NULL, 0, '2026-11-17')$$, 'DW005', NULL, 'a completed campaign takes nobody');

-- Enrolment.
SELECT pg_temp.tenant(7), pg_temp.lead(7, 1) \gset fixture_
INSERT INTO leads (organization_id, id, phone_e164) VALUES (pg_temp.org(7), pg_temp.id(7, 12), '+12125557012'), (pg_temp.org(7), pg_temp.id(7, 13), '+12125557013');
SELECT set_config('app.ctx', pg_temp.ctx(pg_temp.org(7)), true) \gset fixture_
UPDATE campaigns SET max_attempts = 5 WHERE id = pg_temp.id(7, 3);
SELECT is(app.enqueue_leads(pg_temp.id(7, 3), ARRAY[pg_temp.id(7, 12)], NULL, 3, '2026-11-17')::int, 1, 'one lead by name');
SELECT is(app.enqueue_leads(pg_temp.id(7, 3), NULL, NULL, 0, '2026-11-17')::int, 1, 'all leads, but nobody twice');
SELECT is((SELECT concat_ws(' ', max_attempts, priority, status, ready) FROM call_queue WHERE lead_id = pg_temp.id(7, 12)), '5 3 queued t', 'as the campaign says');
SELECT set_config('app.ctx', pg_temp.ctx(pg_temp.org(6)), true) \gset fixture_
SELECT throws_ok($$SELECT app.enqueue_leads(pg_temp.id(7, 3), NULL, NULL, 0, '2026-11-17')$$, 'DW005', NULL, 'not into another tenant''s campaign');

-- The brief.
SELECT set_config('app.ctx', pg_temp.ctx(pg_temp.org(1)), true) \gset fixture_
SELECT ok(b -> 'campaign' ->> 'legal_name' = 'Tenant 1 Ltd.' AND b -> 'lead' ->> 'zone' = 'America/New_York' AND (b -> 'lead' ->> 'zone_known')::boolean
          AND b -> 'call' ->> 'callee_number' = pg_temp.phone(1, 4) AND b -> 'organization' ->> 'name' = 'Tenant 1' AND b -> 'history' = '[]', 'the brief of a call')
  FROM app.call_brief(:'call_id', '2026-11-17 15:00Z') AS b;
SELECT is((SELECT array_agg((app.call_brief(:'call_id', at) #>> '{lead,utc_offset_s}')::int ORDER BY at) FROM (VALUES ('2026-10-31 15:00Z'::timestamptz), ('2026-11-02 15:00Z')) AS t (at)),
    ARRAY[-14400, -18000], 'with the offset of the lead''s clock at that moment');
SELECT is((SELECT array_agg(app.utc_offset(zone, '2026-11-17 15:00Z')) FROM unnest(ARRAY['Asia/Kolkata', 'Pacific/Kiritimati', 'UTC', 'Mars/Base', NULL]) AS zone),
    ARRAY[19800, 50400, 0, NULL, NULL], 'half hours, fourteen hours; no zone, no offset');
SELECT set_config('app.ctx', pg_temp.ctx(pg_temp.org(2)), true) \gset fixture_
SELECT is(app.call_brief(:'call_id', '2026-11-17 15:00Z'), NULL, 'is its tenant''s');

-- A caller id of the series that the law asks for is busy: the lead waits for it, and is not given up. One that has none is,
-- until the campaign gets one; and so are dates, until they are moved.
SELECT pg_temp.tenant(8), pg_temp.lead(8, 1), pg_temp.lead(8, 2) \gset fixture_
UPDATE leads SET phone_e164 = '+9111234567' || right(phone_e164, 2), region = 'IN', timezone = 'Asia/Kolkata' WHERE organization_id = pg_temp.org(8);
UPDATE campaigns SET purpose = 'informational' WHERE organization_id = pg_temp.org(8);
INSERT INTO consents (organization_id, phone_e164, level, seller, source, evidence, granted_at)
SELECT organization_id, phone_e164, 'written', 'Tenant 8 Ltd.', 'form', '{"form": 1}', '2026-01-01' FROM leads WHERE organization_id = pg_temp.org(8);
SELECT is(pg_temp.claim(9, '2026-11-17 06:00Z'), 0, 'no caller id of the series');
SELECT is((SELECT string_agg(status || ' ' || last_error, ', ') FROM call_queue WHERE organization_id = pg_temp.org(8)), 'failed caller_series, failed caller_series', 'the leads are given up');
INSERT INTO phone_numbers (organization_id, id, carrier_account_id, phone_e164, lines) VALUES (pg_temp.org(8), pg_temp.id(8, 9), pg_temp.id(8, 1), '+911600000008', 1);
INSERT INTO campaign_numbers (organization_id, campaign_id, phone_number_id) VALUES (pg_temp.org(8), pg_temp.id(8, 3), pg_temp.id(8, 9));
UPDATE call_queue SET next_retry_at = '2026-01-01' WHERE organization_id = pg_temp.org(8) AND status = 'queued';
SELECT is(pg_temp.claim(9, '2026-11-17 06:00:01Z'), 1, 'the campaign got one, of one line');
SELECT is((SELECT string_agg(concat_ws(' ', status, last_error, CASE status WHEN 'queued' THEN next_retry_at - '2026-11-17 06:00:01Z' END), ', ' ORDER BY status)
             FROM call_queue WHERE organization_id = pg_temp.org(8)), 'processing, queued no_line 00:00:10', 'the other lead waits for the line');
SELECT pg_temp.end_calls('2026-11-17 06:00:05Z') \gset fixture_
UPDATE campaigns SET end_date = '2026-11-17' WHERE organization_id = pg_temp.org(8);
SELECT pg_temp.claim(99, '2026-11-17 18:00Z') \gset fixture_
SELECT is((SELECT last_error FROM call_queue WHERE organization_id = pg_temp.org(8) AND status = 'failed'), 'dates', 'it is given up');
UPDATE campaigns SET end_date = '2026-11-20' WHERE organization_id = pg_temp.org(8);
SELECT is((SELECT count(*)::int FROM call_queue WHERE organization_id = pg_temp.org(8) AND status = 'queued'), 1, 'until the date is moved');

-- Counters at rest.
SELECT engine.fold_counters('2026-11-18') \gset fixture_
SELECT is_empty($$SELECT campaign_id, total_calls, answered_calls, transferred_calls, sentiment_count, spent_micros FROM app.campaign_counters_derived
    EXCEPT SELECT id, total_calls, answered_calls, transferred_calls, sentiment_count, spent_micros FROM campaigns WHERE spent_micros = 0$$, 'counters equal their derivation at rest');
SELECT ok((SELECT sum(total_calls) > 50 FROM campaigns), 'and are not zero');
SELECT * FROM finish();
ROLLBACK;
