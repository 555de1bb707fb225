-- Several sessions at once. This test commits: it needs other sessions to see its rows. It works on tenants of its own
-- and leaves them retired.
\ir fixture.psql
SELECT no_plan();
SELECT format('host=%s port=%s dbname=%s user=%s', :'HOST', :'PORT', current_database(), session_user) AS peer \gset
SELECT dblink_connect('a', :'peer'), dblink_connect('b', :'peer') \gset fixture_

-- Tenant 90 has two lines; tenant 91 one campaign with 300 leads and lines enough.
BEGIN;
SELECT pg_temp.tenant(90), pg_temp.tenant(91) \gset fixture_
SELECT count(pg_temp.lead(90, k)) FROM generate_series(1, 9) AS k \gset fixture_
UPDATE carrier_accounts SET lines = 2 WHERE organization_id = pg_temp.org(90);
UPDATE organizations SET number_spacing_s = 0 WHERE id = pg_temp.org(91);
COMMIT;
CREATE FUNCTION pg_temp.claim_by(worker int, want int, at timestamptz) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT format('SELECT count(*)::int FROM engine.claim(NULL, %L, %s, %L, 30000)', 'e0000000-0000-7000-8000-' || lpad(worker::text, 12, '0'), want, at)
$$;

-- Both ask while neither has committed.
SELECT dblink_exec('a', 'BEGIN'), dblink_exec('b', 'BEGIN') \gset fixture_
SELECT n AS got_a FROM dblink('a', pg_temp.claim_by(1, 5, '2026-11-17 15:00Z')) AS t (n int) \gset
SELECT is(:got_a, 2, 'the first session takes both lines');
SELECT n AS got_b FROM dblink('b', pg_temp.claim_by(2, 5, '2026-11-17 15:00Z')) AS t (n int) \gset
SELECT is(:got_b, 0, 'the second waits for nothing and takes nothing');
SELECT dblink_exec('a', 'COMMIT'), dblink_exec('b', 'COMMIT') \gset fixture_
SELECT n AS got_b FROM dblink('b', pg_temp.claim_by(2, 5, '2026-11-17 15:00Z')) AS t (n int) \gset
SELECT is(:got_b, 0, 'nor after the commit: the lines are in use');
SELECT is((SELECT count(*)::int FROM call_logs WHERE organization_id = pg_temp.org(90)), 2, 'two intents');

-- A claim that was rolled back never was.
UPDATE carrier_accounts SET lines = 100 WHERE organization_id = pg_temp.org(90);
SELECT dblink_exec('a', 'BEGIN') \gset fixture_
SELECT n AS got_a FROM dblink('a', pg_temp.claim_by(1, 3, '2026-11-17 15:00:05Z')) AS t (n int) \gset
SELECT dblink_exec('a', 'ROLLBACK') \gset fixture_
SELECT n AS got_b FROM dblink('b', pg_temp.claim_by(2, 3, '2026-11-17 15:00:05Z')) AS t (n int) \gset
SELECT is(array[:got_a, :got_b], '{3,3}', 'what one session rolled back, another takes');

-- An opt-out that is committed before the claim decides is obeyed, however the rows were read.
SELECT is((SELECT count(*)::int FROM call_logs WHERE organization_id = pg_temp.org(90) AND status = 'reserved'), 5, 'five live');
INSERT INTO do_not_call (organization_id, phone_e164, source, added_at)
SELECT pg_temp.org(90), l.phone_e164, 'dtmf', '2026-11-17 15:00:06Z' FROM leads l JOIN call_queue q ON q.organization_id = l.organization_id AND q.lead_id = l.id
 WHERE q.organization_id = pg_temp.org(90) AND q.status = 'queued';
SELECT n AS got_a FROM dblink('a', pg_temp.claim_by(1, 9, '2026-11-17 15:00:10Z')) AS t (n int) \gset
SELECT is(:got_a, 0, 'nobody who opted out is claimed');

-- Two sessions race over 300 leads of one tenant, on two accounts; nobody is taken twice.
BEGIN;
INSERT INTO carrier_accounts (organization_id, id, name, auth_id, lines, calls_per_second) VALUES (pg_temp.org(91), pg_temp.id(91, 5), 'second', 'MB', 1000, 1000);
INSERT INTO phone_numbers (organization_id, id, carrier_account_id, phone_e164) VALUES (pg_temp.org(91), pg_temp.id(91, 6), pg_temp.id(91, 5), '+16465559191');
UPDATE carrier_accounts SET lines = 1000, calls_per_second = 1000 WHERE organization_id = pg_temp.org(91);
UPDATE campaigns SET lines = 1000, calls_per_second = 1000 WHERE organization_id = pg_temp.org(91);
INSERT INTO campaigns (organization_id, id, name, status, weekdays, lines, calls_per_second, legal_name)
VALUES (pg_temp.org(91), pg_temp.id(91, 4), 'second', 'active', '{1,2,3,4,5,6,7}', 1000, 1000, 'Tenant 91 Ltd.');
INSERT INTO campaign_numbers VALUES (pg_temp.org(91), pg_temp.id(91, 4), pg_temp.id(91, 6));
INSERT INTO leads (organization_id, phone_e164, timezone, region)
SELECT pg_temp.org(91), '+1213800' || lpad(k::text, 4, '0'), 'America/New_York', 'US' FROM generate_series(1, 300) AS k;
INSERT INTO consents (organization_id, phone_e164, level, seller, source, evidence, granted_at)
SELECT organization_id, phone_e164, 'written', 'Tenant 91 Ltd.', 'form', '{"form": 1}', '2026-01-01' FROM leads WHERE organization_id = pg_temp.org(91);
INSERT INTO number_checks (organization_id, phone_e164, checked_at, result)
SELECT organization_id, phone_e164, '2026-11-10', 'no' FROM leads WHERE organization_id = pg_temp.org(91);
-- Everybody is in both campaigns.
INSERT INTO call_queue (organization_id, campaign_id, lead_id, ready)
SELECT pg_temp.org(91), c, l.id, true FROM leads l, unnest(ARRAY[pg_temp.id(91, 3), pg_temp.id(91, 4)]) AS c WHERE l.organization_id = pg_temp.org(91);
COMMIT;
CREATE FUNCTION pg_temp.race(rounds int) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
    total int := 0;
    part int;
BEGIN
    FOR i IN 1..rounds LOOP
        PERFORM dblink_send_query('a', pg_temp.claim_by(1, 20, '2026-11-17 15:10Z'::timestamptz + i * interval '1 second'));
        PERFORM dblink_send_query('b', pg_temp.claim_by(2, 20, '2026-11-17 15:10Z'::timestamptz + i * interval '1 second'));
        FOR peer IN 0..1 LOOP
            SELECT n INTO part FROM dblink_get_result((ARRAY['a', 'b'])[peer + 1]) AS t (n int);
            PERFORM * FROM dblink_get_result((ARRAY['a', 'b'])[peer + 1]) AS t (n int);
            total := total + part;
        END LOOP;
    END LOOP;
    RETURN total;
END
$$;
SELECT pg_temp.race(30) AS raced \gset
SELECT is((SELECT count(*)::int FROM call_logs WHERE organization_id = pg_temp.org(91)), :raced, 'what was told is what was written');
SELECT is(:raced, 300, 'every person of two campaigns was claimed');
SELECT is((SELECT count(DISTINCT callee_number)::int FROM call_logs WHERE organization_id = pg_temp.org(91)), 300, 'once');
SELECT is_empty($$SELECT callee_number FROM call_logs WHERE status NOT IN ('ended', 'not_placed') GROUP BY organization_id, callee_number HAVING count(*) > 1$$, 'nobody has two live calls');
SELECT ok((SELECT count(DISTINCT worker_id) = 2 FROM call_logs WHERE organization_id = pg_temp.org(91)), 'by both sessions');

-- Completing while somebody enrols: either the lead is in time, or it is refused.
BEGIN;
UPDATE call_logs SET status = 'ended', ended_at = intent_at, disconnect_reason = 'no_answer' WHERE status = 'reserved' AND organization_id IN (pg_temp.org(90), pg_temp.org(91));
UPDATE call_queue SET status = 'completed' WHERE organization_id IN (pg_temp.org(90), pg_temp.org(91)) AND status IN ('processing', 'queued');
INSERT INTO leads (organization_id, id, phone_e164, timezone, region) VALUES (pg_temp.org(90), pg_temp.id(90, 99), '+12125550990', 'America/New_York', 'US');
COMMIT;
SELECT dblink_exec('a', 'BEGIN') \gset fixture_
SELECT * FROM dblink('a', format('SELECT set_config(''app.ctx'', %L, true)', pg_temp.ctx(pg_temp.org(90)))) AS t (x text) \gset fixture_
SELECT n FROM dblink('a', format('SELECT app.enqueue_leads(%L, ARRAY[%L::uuid], NULL, 0, now())::int', pg_temp.id(90, 3), pg_temp.id(90, 99))) AS t (n int) \gset enrolled_
SELECT is(:enrolled_n, 1, 'somebody enrols');
SELECT is((SELECT count(*)::int FROM engine.complete_campaigns('2026-11-17 16:00Z') WHERE organization_id = pg_temp.org(90)), 0, 'the campaign is not completed over their head');
SELECT dblink_exec('a', 'COMMIT') \gset fixture_
SELECT is((SELECT count(*)::int FROM engine.complete_campaigns('2026-11-17 16:00Z') WHERE organization_id = pg_temp.org(90)), 0, 'nor afterwards');
UPDATE call_queue SET status = 'completed' WHERE organization_id = pg_temp.org(90) AND status = 'queued';
SELECT dblink_exec('a', 'BEGIN') \gset fixture_
SELECT n AS done_a FROM dblink('a', format('SELECT count(*)::int FROM engine.complete_campaigns(''2026-11-17 16:00Z'') WHERE organization_id = %L', pg_temp.org(90))) AS t (n int) \gset
SELECT n AS done_b FROM dblink('b', format('SELECT count(*)::int FROM engine.complete_campaigns(''2026-11-17 16:00Z'') WHERE organization_id = %L', pg_temp.org(90))) AS t (n int) \gset
SELECT dblink_exec('a', 'COMMIT') \gset fixture_
SELECT is(array[:done_a, :done_b], '{1,0}', 'two sessions complete a campaign once');
SELECT dblink_disconnect('a'), dblink_disconnect('b') \gset fixture_
UPDATE campaigns SET status = 'completed', completed_reason = 'cancelled', completed_at = now() WHERE status IN ('active', 'paused') AND organization_id IN (pg_temp.org(90), pg_temp.org(91));
SELECT * FROM finish();
