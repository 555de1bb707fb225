-- A hundred thousand rows that may not be dialed stand before one that may: each claim looks at a bounded number of them, the
-- one is reached, and another tenant does not notice. This test commits, since each claim is to be a transaction of its
-- own; it leaves its tenants retired.
\ir fixture.psql
SELECT no_plan();
BEGIN;
SELECT pg_temp.tenant(93), pg_temp.tenant(94) \gset fixture_
INSERT INTO compliance_rules (jurisdiction, rule, value, valid_to) SELECT 'ZY', 'hours', '{"spans": [{"days": [1,2,3,4,5,6,7], "from": "00:00", "to": "24:00"}]}', 'infinity'
 WHERE NOT EXISTS (SELECT FROM compliance_rules WHERE jurisdiction = 'ZY');
UPDATE carrier_accounts SET lines = 10000, calls_per_second = 10000 WHERE organization_id IN (pg_temp.org(93), pg_temp.org(94));
UPDATE campaigns SET lines = 10000, calls_per_second = 10000 WHERE organization_id IN (pg_temp.org(93), pg_temp.org(94));
-- 20:30 in Calcutta, 10:00 in New York.
INSERT INTO leads (organization_id, id, phone_e164, timezone, region)
SELECT pg_temp.org(93), gen_random_uuid(), '+1313' || lpad(k::text, 7, '0'), CASE k WHEN 0 THEN 'America/New_York' ELSE 'Asia/Kolkata' END, 'ZY' FROM generate_series(0, 100000) AS k;
INSERT INTO leads (organization_id, id, phone_e164, timezone, region)
SELECT pg_temp.org(94), gen_random_uuid(), '+1314' || lpad(k::text, 7, '0'), 'America/New_York', 'ZY' FROM generate_series(1, 600) AS k;
-- Or the foreign key's check keeps the plan that suited an empty table.
ANALYZE leads, campaigns;
INSERT INTO call_queue (organization_id, campaign_id, lead_id, ready, priority)
SELECT l.organization_id, c.id, l.id, true, CASE l.phone_e164 WHEN '+13130000000' THEN -1 ELSE 0 END
  FROM leads l JOIN campaigns c ON c.organization_id = l.organization_id WHERE l.organization_id IN (pg_temp.org(93), pg_temp.org(94));
COMMIT;
ANALYZE call_queue, leads;
CREATE TEMP TABLE claims (i int, n int, reached boolean);
DO $$
DECLARE
    found bool := false;
    got int;
BEGIN
    FOR i IN 1..400 LOOP
        SELECT count(*) INTO got FROM engine.claim('c0000000-0000-7000-8000-000000000001', 'c0000000-0000-7000-8000-000000000002', 100,
            '2026-11-17 15:00Z'::timestamptz + i * interval '1 millisecond', 30000);
        found := EXISTS (SELECT FROM call_logs WHERE organization_id = pg_temp.org(93));
        INSERT INTO claims VALUES (i, got, found);
        COMMIT;
        EXIT WHEN found;
    END LOOP;
END
$$;
-- Rows that one transaction wrote have one xmin.
SELECT max(n) AS most FROM (SELECT count(*) AS n FROM call_queue WHERE organization_id = pg_temp.org(93) AND last_error = 'outside_window' GROUP BY xmin::text) AS t \gset
SELECT diag(format('100000 rows in front: reached at claim %s (bound %s), at most %s rows looked at in vain in one claim (bound 600)', max(i), ceil(100000 / 400.0), :most)) FROM claims;
SELECT ok((SELECT bool_or(reached) FROM claims), 'the one behind them is dialed');
SELECT ok(:most <= 600, 'no claim looks at more than 600 rows in vain');
SELECT ok((SELECT max(i) FROM claims) <= 250, 'and a claim looks at 400 of them at least');
SELECT is((SELECT count(*)::int FROM call_queue WHERE organization_id = pg_temp.org(93) AND ready), 0, 'nothing is looked at twice');
SELECT is((SELECT count(*)::int FROM call_logs WHERE organization_id = pg_temp.org(94)), 600, 'all of the other tenant were dialed meanwhile');
SELECT is((SELECT count(*)::int FROM claims c WHERE c.i <= 6 AND c.n = 100), 6, 'as if it were alone');
UPDATE call_logs SET status = 'ended', ended_at = intent_at, disconnect_reason = 'unreachable' WHERE organization_id IN (pg_temp.org(93), pg_temp.org(94));
UPDATE call_queue SET status = 'completed' WHERE organization_id IN (pg_temp.org(93), pg_temp.org(94)) AND status IN ('queued', 'processing');
UPDATE campaigns SET status = 'completed', completed_reason = 'cancelled', completed_at = now() WHERE organization_id IN (pg_temp.org(93), pg_temp.org(94));
SELECT * FROM finish();
