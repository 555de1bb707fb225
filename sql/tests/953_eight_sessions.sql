-- Eight sessions claim at the same moments from two campaigns that share an account and a list of people: no limit is
-- exceeded, nobody is dialed by two. This test commits, and leaves its tenant retired.
\ir fixture.psql
SELECT no_plan();
SELECT format('host=%s port=%s dbname=%s user=%s', :'HOST', :'PORT', current_database(), session_user) AS peer \gset
SELECT count(dblink_connect('s' || k, :'peer')) FROM generate_series(1, 8) AS k \gset fixture_
BEGIN;
SELECT pg_temp.tenant(95) \gset fixture_
INSERT INTO compliance_rules (jurisdiction, rule, value, valid_to) SELECT 'ZY', 'hours', '{"spans": [{"days": [1,2,3,4,5,6,7], "from": "00:00", "to": "24:00"}]}', 'infinity'
 WHERE NOT EXISTS (SELECT FROM compliance_rules WHERE jurisdiction = 'ZY');
UPDATE organizations SET number_spacing_s = 0 WHERE id = pg_temp.org(95);
UPDATE carrier_accounts SET lines = 25, calls_per_second = 12 WHERE organization_id = pg_temp.org(95);
INSERT INTO phone_numbers (organization_id, id, carrier_account_id, phone_e164, lines) VALUES (pg_temp.org(95), pg_temp.id(95, 6), pg_temp.id(95, 1), '+16465559595', 8);
UPDATE campaigns SET lines = 20, calls_per_second = 9 WHERE organization_id = pg_temp.org(95);
INSERT INTO campaigns (organization_id, id, name, status, weekdays, lines, calls_per_second, legal_name)
VALUES (pg_temp.org(95), pg_temp.id(95, 4), 'second', 'active', '{1,2,3,4,5,6,7}', 20, 9, 'Tenant 95 Ltd.');
INSERT INTO campaign_numbers VALUES (pg_temp.org(95), pg_temp.id(95, 4), pg_temp.id(95, 6)), (pg_temp.org(95), pg_temp.id(95, 3), pg_temp.id(95, 6)), (pg_temp.org(95), pg_temp.id(95, 4), pg_temp.id(95, 2));
INSERT INTO leads (organization_id, phone_e164, timezone, region)
SELECT pg_temp.org(95), '+1315' || lpad(k::text, 7, '0'), 'America/New_York', 'ZY' FROM generate_series(1, 300) AS k;
INSERT INTO call_queue (organization_id, campaign_id, lead_id, ready)
SELECT pg_temp.org(95), c, l.id, true FROM leads l, unnest(ARRAY[pg_temp.id(95, 3), pg_temp.id(95, 4)]) AS c WHERE l.organization_id = pg_temp.org(95);
COMMIT;
CREATE TEMP TABLE seen (i int, told int, live int, campaign_live int, number_live int, begun int, begun_campaign int, twice int);
DO $$
DECLARE
    n int;
    told int;
    at timestamptz;
BEGIN
    FOR i IN 1..24 LOOP
        at := '2026-11-17 15:00Z'::timestamptz + i * interval '1 second';
        told := 0;
        FOR k IN 1..8 LOOP
            PERFORM dblink_send_query('s' || k, format('SELECT count(*)::int FROM engine.claim(NULL, %L, 10, %L, 30000)', 'e0000000-0000-7000-8000-' || lpad(k::text, 12, '0'), at));
        END LOOP;
        FOR k IN 1..8 LOOP
            SELECT t.n INTO n FROM dblink_get_result('s' || k) AS t (n int);
            PERFORM * FROM dblink_get_result('s' || k) AS t (n int);
            told := told + n;
        END LOOP;
        INSERT INTO seen
        SELECT i, told, count(*) FILTER (WHERE live), max(c.n), count(*) FILTER (WHERE live AND caller_number = '+16465559595'),
               count(*) FILTER (WHERE intent_at = at), max(c.begun), count(*) FILTER (WHERE live) - count(DISTINCT callee_number) FILTER (WHERE live)
          FROM (SELECT l.*, l.status = 'reserved' AS live FROM call_logs l WHERE l.organization_id = pg_temp.org(95)) AS l,
               LATERAL (SELECT count(*) FILTER (WHERE x.status = 'reserved') AS n, count(*) FILTER (WHERE x.intent_at = at) AS begun
                          FROM call_logs x WHERE x.organization_id = pg_temp.org(95) AND x.campaign_id = l.campaign_id) AS c;
        -- Half of them end, so that lines and calls per second take turns in being short.
        UPDATE call_logs l SET status = 'ended', ended_at = at, disconnect_reason = 'unreachable'
         WHERE l.organization_id = pg_temp.org(95) AND l.status = 'reserved' AND (i % 2 = 0 OR hashtext(l.id::text) % 2 = 0);
        COMMIT;
    END LOOP;
END
$$;
SELECT diag(format('eight sessions, 24 rounds: %s calls; at most %s live (25), %s of a campaign (20), %s of a number (8), %s begun in a second (12), %s by a campaign (9)',
    sum(told), max(live), max(campaign_live), max(number_live), max(begun), max(begun_campaign))) FROM seen;
SELECT is((SELECT count(*)::int FROM call_logs WHERE organization_id = pg_temp.org(95)), (SELECT sum(told)::int FROM seen), 'what was told is what was written');
SELECT ok((SELECT max(live) <= 25 AND max(campaign_live) <= 20 AND max(number_live) <= 8 FROM seen), 'lines are never exceeded');
SELECT ok((SELECT max(begun) <= 12 AND max(begun_campaign) <= 9 FROM seen), 'nor calls per second');
SELECT is((SELECT sum(twice)::int FROM seen), 0, 'nobody has two live calls');
SELECT is((SELECT count(*)::int FROM (SELECT FROM call_logs WHERE organization_id = pg_temp.org(95) GROUP BY queue_id, attempt_number HAVING count(*) > 1) AS t), 0, 'no attempt was made twice');
SELECT ok((SELECT sum(told) >= 150 FROM seen), 'and calls are made');
SELECT count(dblink_disconnect('s' || k)) FROM generate_series(1, 8) AS k \gset fixture_
UPDATE call_logs SET status = 'ended', ended_at = intent_at, disconnect_reason = 'unreachable' WHERE organization_id = pg_temp.org(95) AND status = 'reserved';
UPDATE call_queue SET status = 'completed' WHERE organization_id = pg_temp.org(95) AND status IN ('queued', 'processing');
UPDATE campaigns SET status = 'completed', completed_reason = 'cancelled', completed_at = now() WHERE organization_id = pg_temp.org(95);
SELECT * FROM finish();
