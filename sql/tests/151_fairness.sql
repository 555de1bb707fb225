-- Fair shares on a clock of our own: by weight among tenants and campaigns, over calls begun and over lines; a short wait
-- for whoever has little; nobody starves. What is bounded is printed with its bound.
BEGIN;
\ir fixture.psql
SELECT no_plan();
INSERT INTO compliance_rules (jurisdiction, rule, value) VALUES ('ZZ', 'hours', '{"spans": [{"days": [1,2,3,4,5,6,7], "from": "00:00", "to": "24:00"}]}');

CREATE FUNCTION pg_temp.claim(want int, at timestamptz) RETURNS int LANGUAGE sql AS $$
    SELECT count(*)::int FROM engine.claim('c0000000-0000-7000-8000-000000000001', 'c0000000-0000-7000-8000-000000000002', want, at, 30000)
$$;
CREATE FUNCTION pg_temp.at(second float8) RETURNS timestamptz LANGUAGE sql IMMUTABLE AS $$
    SELECT '2026-11-17 15:00Z'::timestamptz + make_interval(secs => second)
$$;
-- A tenant with `campaigns` campaigns, each with `leads` leads that are due, and room for everything.
CREATE FUNCTION pg_temp.big(n int, campaigns int, lead_count int, account_lines int DEFAULT 10000, cps float8 DEFAULT 10000) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_temp.tenant(n);
    UPDATE carrier_accounts SET lines = account_lines, calls_per_second = cps WHERE organization_id = pg_temp.org(n);
    INSERT INTO campaigns (organization_id, id, name, status, time_start, time_end, weekdays, legal_name)
    SELECT pg_temp.org(n), pg_temp.id(n, 500 + k), 'c' || k, 'active', '09:00', '20:00', '{1,2,3,4,5,6,7}', 'T' FROM generate_series(2, campaigns) AS k;
    UPDATE campaigns SET lines = 10000, calls_per_second = 10000 WHERE organization_id = pg_temp.org(n);
    INSERT INTO campaign_numbers (organization_id, campaign_id, phone_number_id)
    SELECT pg_temp.org(n), pg_temp.id(n, 500 + k), pg_temp.id(n, 2) FROM generate_series(2, campaigns) AS k;
    INSERT INTO leads (organization_id, id, phone_e164, timezone, region)
    SELECT pg_temp.org(n), gen_random_uuid(), '+1' || (2000000 + n) || lpad(k::text, 6, '0'), 'America/New_York', 'ZZ' FROM generate_series(1, campaigns * lead_count) AS k;
    INSERT INTO call_queue (organization_id, campaign_id, lead_id, ready)
    SELECT l.organization_id, c.ids[1 + l.n % campaigns], l.id, true
      FROM (SELECT x.*, row_number() OVER () AS n FROM leads x WHERE x.organization_id = pg_temp.org(n) AND x.region = 'ZZ') AS l
      JOIN (SELECT array_agg(x.id) AS ids FROM campaigns x WHERE x.organization_id = pg_temp.org(n)) AS c ON true;
END
$$;
CREATE FUNCTION pg_temp.retire() RETURNS void LANGUAGE sql AS $$
    UPDATE campaigns SET status = 'paused' WHERE status = 'active';
$$;

-- Shares by weight: random weights, campaigns and batches; every seed is another mix. With virtual time no two that are due
-- can be further apart, in calls by weight, than what one visit of each may take.
CREATE FUNCTION pg_temp.mix(seed int) RETURNS TABLE (worst float8, bound float8, shares text, starved int) LANGUAGE plpgsql AS $$
DECLARE
    base int := 1000 + 10 * seed;
    wants int[];
BEGIN
    PERFORM setseed(seed / 100.0);
    PERFORM pg_temp.big(base + k, 1 + floor(random() * 3)::int, 120) FROM generate_series(1, 4) AS k;
    UPDATE organizations SET weight = 1 + floor(random() * 4) WHERE id IN (SELECT pg_temp.org(base + k) FROM generate_series(1, 4) AS k);
    UPDATE campaigns SET weight = 1 + floor(random() * 4) WHERE organization_id IN (SELECT pg_temp.org(base + k) FROM generate_series(1, 4) AS k);
    SELECT array_agg(1 + floor(random() * 24)::int) INTO wants FROM generate_series(1, 20);
    PERFORM pg_temp.claim(w, pg_temp.at(i)) FROM unnest(wants) WITH ORDINALITY AS u (w, i);
    RETURN QUERY
    WITH got AS (
        SELECT c.organization_id, c.id, c.weight, o.weight AS tenant_weight, count(l.id) AS n,
               sum(count(l.id)) OVER (PARTITION BY c.organization_id) AS tenant_n
          FROM campaigns c JOIN organizations o ON o.id = c.organization_id
          LEFT JOIN call_logs l ON l.organization_id = c.organization_id AND l.campaign_id = c.id
         WHERE c.organization_id IN (SELECT pg_temp.org(base + k) FROM generate_series(1, 4) AS k)
         GROUP BY c.organization_id, c.id, c.weight, o.weight
    ), tenants AS (SELECT DISTINCT organization_id, tenant_weight, tenant_n FROM got),
    pairs AS (
        SELECT abs(a.tenant_n / a.tenant_weight - b.tenant_n / b.tenant_weight) AS apart,
               -- A visit takes a portion: a fourth of 24, or the share of 24, whichever is more.
               (greatest(5, ceil(24.0 * a.tenant_weight / s.w)) / a.tenant_weight + greatest(5, ceil(24.0 * b.tenant_weight / s.w)) / b.tenant_weight) AS most
          FROM tenants a, tenants b, (SELECT sum(tenant_weight) AS w FROM tenants) AS s
        UNION ALL
        SELECT abs(a.n::numeric / a.weight - b.n::numeric / b.weight), 24.0 / a.weight + 24.0 / b.weight
          FROM got a JOIN got b USING (organization_id)
    )
    SELECT (SELECT max(p.apart / p.most)::float8 FROM pairs p), 1::float8,
           (SELECT string_agg(tenant_n || '/' || tenant_weight, ' ' ORDER BY organization_id) FROM tenants),
           (SELECT count(*)::int FROM got WHERE n = 0);
    PERFORM pg_temp.retire();
END
$$;
CREATE TEMP TABLE mixes AS SELECT seed, m.* FROM generate_series(1, 4) AS seed, LATERAL pg_temp.mix(seed) AS m;
SELECT diag(format('mix %s: calls/weight by tenant %s; furthest apart %s of the bound', seed, shares, round(worst::numeric, 2))) FROM mixes;
SELECT ok(worst <= bound, format('mix %s: no two further apart than their visits', seed)) FROM mixes ORDER BY seed;
SELECT is(starved, 0, format('mix %s: nobody starves', seed)) FROM mixes ORDER BY seed;

-- One lead beside a list that has no end: the next claim brings it, however much the other was served before.
SELECT pg_temp.big(31, 1, 3000), pg_temp.big(32, 1, 1) \gset fixture_
UPDATE call_queue SET ready = false, next_retry_at = pg_temp.at(200.5) WHERE organization_id = pg_temp.org(32);
SELECT sum(pg_temp.claim(20, pg_temp.at(100 + i))) AS served FROM generate_series(1, 25) AS i \gset
SELECT is(:served, 500, 'one tenant has everything while nobody else is due');
CREATE TEMP TABLE waits AS SELECT i, pg_temp.claim(20, pg_temp.at(200 + i)) AS n FROM generate_series(1, 5) AS i;
SELECT extract(epoch FROM (SELECT intent_at FROM call_logs WHERE organization_id = pg_temp.org(32)) - pg_temp.at(200))::int AS waited \gset
SELECT diag(format('one lead beside a list without end waits %s claim, bound 1', :waited));
SELECT is(:waited, 1, 'a lead that comes due is in the next claim');
-- Forty at once, beside the list: each claim visits at least four tenants, the least served first.
SELECT count(pg_temp.big(40 + k, 1, 1)) FROM generate_series(1, 40) AS k \gset fixture_
CREATE TEMP TABLE turns AS SELECT i, pg_temp.claim(8, pg_temp.at(300 + i)) AS n FROM generate_series(1, 10) AS i;
SELECT count(*)::int AS newcomers, extract(epoch FROM max(intent_at) - pg_temp.at(300))::int AS turns FROM call_logs WHERE organization_id BETWEEN pg_temp.org(41) AND pg_temp.org(80) \gset
SELECT diag(format('forty tenants with one lead each, batches of 8: served after %s claims, bound 10', :turns));
SELECT ok(:newcomers = 40 AND :turns <= 10, 'forty newcomers wait no more than forty by four claims');
SELECT pg_temp.retire() \gset fixture_

-- Calls per second are short: a campaign of thrice the weight begins three times as many.
SELECT pg_temp.big(33, 2, 200, 1000, 4) \gset fixture_
UPDATE campaigns SET weight = 3 WHERE id = pg_temp.id(33, 502);
SELECT sum(pg_temp.claim(20, pg_temp.at(500 + i))) AS served FROM generate_series(1, 60) AS i \gset
SELECT is(:served, 240, 'four a second');
SELECT results_eq($$SELECT count(*)::int FROM call_logs WHERE organization_id = pg_temp.org(33) GROUP BY campaign_id = pg_temp.id(33, 502) ORDER BY 1$$,
    'VALUES (60), (180)', 'shared by weight');
SELECT pg_temp.retire() \gset fixture_

-- Lines are short: shares of the lines, not of the calls. Both campaigns have half of eight lines, though the calls of one
-- last ten times as long; then with thrice the weight, three quarters.
CREATE FUNCTION pg_temp.lines_of(n int, seconds int, start int) RETURNS TABLE (short_calls numeric, long_calls numeric) LANGUAGE plpgsql AS $$
BEGIN
    CREATE TEMP TABLE IF NOT EXISTS busy (n int, i int, long boolean, live int8);
    FOR i IN 1..seconds LOOP
        UPDATE call_logs SET status = 'ended', ended_at = pg_temp.at(start + i), disconnect_reason = 'unreachable'
         WHERE organization_id = pg_temp.org(n) AND status = 'reserved'
           AND intent_at <= pg_temp.at(start + i - CASE WHEN campaign_id = pg_temp.id(n, 502) THEN 10 ELSE 1 END);
        PERFORM pg_temp.claim(20, pg_temp.at(start + i));
        INSERT INTO busy SELECT n, i, campaign_id = pg_temp.id(n, 502), count(*) FROM call_logs
         WHERE organization_id = pg_temp.org(n) AND status = 'reserved' GROUP BY 3;
    END LOOP;
    RETURN QUERY SELECT round(sum(b.live) FILTER (WHERE NOT b.long) / (seconds - 20), 2), round(sum(b.live) FILTER (WHERE b.long) / (seconds - 20), 2)
      FROM busy b WHERE b.n = lines_of.n AND b.i > 20;
END
$$;
SELECT pg_temp.big(34, 2, 300, 8, 1000) \gset fixture_
SELECT * FROM pg_temp.lines_of(34, 50, 1000) \gset
SELECT diag(format('eight lines, equal weights: %s lines for short calls, %s for calls ten times as long', :short_calls, :long_calls));
SELECT ok(:short_calls BETWEEN 3.6 AND 4.4 AND :long_calls BETWEEN 3.6 AND 4.4, 'lines are shared, not calls');
SELECT pg_temp.retire() \gset fixture_
SELECT pg_temp.big(35, 2, 300, 8, 1000) \gset fixture_
UPDATE campaigns SET weight = 3 WHERE id = pg_temp.id(35, 502);
SELECT * FROM pg_temp.lines_of(35, 50, 2000) \gset
SELECT diag(format('eight lines, weights 1 and 3: %s and %s', :short_calls, :long_calls));
SELECT ok(:short_calls BETWEEN 1.6 AND 2.4 AND :long_calls BETWEEN 5.6 AND 6.4, 'by weight');
SELECT pg_temp.retire() \gset fixture_

-- What cannot dial stands in nobody's way: at every claim the one that can gets all it asks for.
SELECT count(pg_temp.big(110 + k, 1, 100)) FROM generate_series(1, 9) AS k \gset fixture_
UPDATE campaigns SET status = 'paused' WHERE organization_id = pg_temp.org(111);
UPDATE campaigns SET budget_minor = 1, budget_currency = 'USD', spent_micros = 10000 WHERE organization_id = pg_temp.org(112);
UPDATE campaigns SET time_start = '03:00', time_end = '04:00' WHERE organization_id = pg_temp.org(113);
INSERT INTO do_not_call (organization_id, phone_e164, source, added_at) SELECT organization_id, phone_e164, 'import', '2026-01-01' FROM leads WHERE organization_id = pg_temp.org(114);
UPDATE carrier_accounts SET status = 'paused' WHERE organization_id = pg_temp.org(115);
INSERT INTO dial_pauses (organization_id, scope, reason, paused_by, paused_at) VALUES (pg_temp.org(116), 'tenant', 'test', 'test', '2026-11-17');
UPDATE leads SET timezone = 'Mars/Base' WHERE organization_id = pg_temp.org(117);
-- Data that makes the claim itself fail: a rule of their own without what it must have, written past its guard.
ALTER TABLE organization_rules DISABLE TRIGGER USER;
INSERT INTO organization_rules (organization_id, jurisdiction, rule, value, set_by) VALUES (pg_temp.org(118), 'ZZ', 'frequency', '{"24h": "three"}', 'test');
ALTER TABLE organization_rules ENABLE TRIGGER USER;
CREATE TEMP TABLE rounds AS SELECT i, pg_temp.claim(5, pg_temp.at(3000 + i)) AS n FROM generate_series(1, 16) AS i;
SELECT is((SELECT array_agg(DISTINCT n) FROM rounds), '{5}', 'paused, without budget, closed, refused, without account, paused by hand, without zone, broken: none takes from the other');
SELECT is((SELECT count(*)::int FROM call_logs WHERE organization_id BETWEEN pg_temp.org(111) AND pg_temp.org(118)), 0, 'nor dials');
SELECT is((SELECT count(*)::int FROM call_logs WHERE organization_id = pg_temp.org(119)), 80, 'one dials all');
SELECT * FROM finish();
ROLLBACK;
