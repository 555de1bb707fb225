-- What the forecast reads: openings that are the gate's, verdicts that are the gate's, waits that are the retry's; sliders
-- change nothing that is stored; another tenant's campaign is nobody's.
BEGIN;
\ir fixture.psql
\ir life.psql
SELECT no_plan();
SELECT pg_temp.tenant(1), pg_temp.tenant(2), pg_temp.lead(2, 1) \g /dev/null
SELECT pg_temp.lead(1, k) FROM generate_series(1, 6) AS k \g /dev/null
SELECT pg_temp.act(1) \g /dev/null

-- Openings of a place are what the window check says, at any moment: edges to the second, clock changes, midnight windows,
-- holidays, two zones at once.
CREATE FUNCTION pg_temp.spans_wrong(zones text[], regions text[], opens time, closes time, days int2[], since timestamptz) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    c public.campaigns;
    spans jsonb;
    probe timestamptz;
    inside boolean;
    open boolean;
    verdict app.verdict;
BEGIN
    SELECT * INTO c FROM public.campaigns WHERE id = pg_temp.id(1, 3);
    c.time_start := opens;
    c.time_end := closes;
    c.weekdays := days;
    spans := app.forecast_spans(c, zones, regions, since, since + interval '30 days');
    FOR i IN 0..250 LOOP
        -- Near an edge of a span, or anywhere.
        probe := CASE WHEN i % 2 = 0 AND jsonb_array_length(spans) > 0
                      THEN to_timestamp((spans -> floor(random() * jsonb_array_length(spans))::int4 ->> (i / 2 % 2))::float8) + interval '1 second' * (i / 4 % 3 - 1)
                      ELSE since + random() * interval '30 days' END;
        CONTINUE WHEN probe < since OR probe >= since + interval '30 days';
        inside := EXISTS (SELECT FROM jsonb_array_elements(spans) AS s
                           WHERE to_timestamp((s ->> 0)::float8) <= probe AND probe < to_timestamp((s ->> 1)::float8));
        verdict := app.check_window(c, zones, app.forecast_needs(c, regions, probe), app.law_at(c.organization_id, regions, c.purpose, c.voice_kind, probe), probe);
        IF inside <> (verdict.reason IS NULL) THEN
            RETURN format('%s at %s: spans %s, gate %s', zones, probe, inside, coalesce(verdict.reason, 'open'));
        END IF;
    END LOOP;
    RETURN NULL;
END
$$;
SELECT setseed(0.7) \g /dev/null
INSERT INTO region_enablements (organization_id, region, enabled_by, enabled_at) VALUES (pg_temp.org(1), 'AU', 'test', '2026-01-01') \g /dev/null
SELECT is(pg_temp.spans_wrong(zones, regions, opens, closes, days, since), NULL, format('%s %s %s-%s from %s', zones, regions, opens, closes, since::date))
  FROM (VALUES ('{America/New_York}'::text[], '{US,US-NY}'::text[], '09:00'::time, '20:00'::time, '{1,2,3,4,5,6,7}'::int2[], '2026-10-20'::timestamptz),
               ('{America/New_York}', '{US,US-NY}', '00:00', '24:00', '{1,2,3,4,5,6,7}', '2027-03-01'),
               ('{America/Chicago,America/Los_Angeles}', '{US,US-CA}', '10:30', '17:45', '{1,3,5}', '2026-10-25'),
               ('{Europe/Paris}', '{FR}', '08:00', '22:00', '{1,2,3,4,5,6,7}', '2026-12-15'),
               ('{Australia/Lord_Howe}', '{AU}', '18:00', '10:15', '{1,2,6}', '2027-03-20'),
               ('{Asia/Kolkata}', '{IN}', '11:07', '11:09', '{2,4}', '2026-11-20'),
               ('{America/St_Johns,Pacific/Kiritimati}', '{CA}', '00:30', '23:59', '{1,2,3,4,5,6,7}', '2026-10-28')) AS t (zones, regions, opens, closes, days, since);
SELECT is(app.forecast_spans(c, '{Nowhere/Else}', '{US}', '2026-11-17', '2026-12-17'), '[]'::jsonb, 'an unknown zone never opens') FROM campaigns c WHERE c.id = pg_temp.id(1, 3);
SELECT is(app.forecast_spans(c, '{America/Sao_Paulo}', '{BR}', '2026-11-17', '2026-12-17'), '[]'::jsonb, 'nor a country without rules') FROM campaigns c WHERE c.id = pg_temp.id(1, 3);

-- Each lead's verdict is the gate's: now, later or never.
UPDATE campaigns SET max_attempts = 3 WHERE id = pg_temp.id(1, 3) \g /dev/null
INSERT INTO do_not_call (organization_id, phone_e164, source, added_at) VALUES (pg_temp.org(1), pg_temp.phone(1, 2), 'manual', '2026-01-02') \g /dev/null
DELETE FROM consents WHERE phone_e164 = pg_temp.phone(1, 3) \g /dev/null
SELECT pg_temp.dialed(1, 4, 1, '2026-11-17 14:55Z') \g /dev/null
SELECT pg_temp.dialed(1, 5, i, '2026-11-13 15:00Z'::timestamptz + i * interval '1 day') FROM generate_series(1, 3) AS i \g /dev/null
UPDATE call_queue SET next_retry_at = '2026-11-18 02:00Z', ready = false WHERE id = pg_temp.id(1, 206) \g /dev/null
CREATE FUNCTION pg_temp.page(doc jsonb) RETURNS jsonb LANGUAGE sql AS $$
    SELECT app.forecast_page('{"page": 100, "threshold": 1048576, "places": {"America/New_York US,US-NY": {"i": 0}}}'::jsonb
                             || jsonb_build_object('campaign', pg_temp.id(1, 3)) || doc, '2026-11-17 15:00Z')
$$;
SELECT is(pg_temp.page('{}') -> 'blocked', '{"dnc_internal": 1, "consent_missing": 1, "attempt_limit": 1}'::jsonb, 'who is not called, and why');
SELECT is((SELECT string_agg(to_char(to_timestamp((l ->> 1)::float8), 'DD HH24:MI'), ', ' ORDER BY n) FROM jsonb_array_elements(pg_temp.page('{}') -> 'leads') WITH ORDINALITY AS t (l, n)),
          '17 15:00, 17 15:25, 18 14:00', 'the others at once, after the spacing, in the morning after their due time');
SELECT is(pg_temp.page('{"retries": 4}') #> '{blocked,attempt_limit}', NULL, 'with more retries a lead is not used up');
SELECT is((SELECT count(*)::int4 FROM call_queue WHERE max_attempts <> 3) + (SELECT count(*)::int4 FROM campaigns WHERE max_attempts <> 3), 0, 'which is only asked, not stored');
SELECT is(jsonb_array_length(pg_temp.page('{"page": 2}') -> 'leads') + (pg_temp.page('{"page": 2}') #>> '{blocked,dnc_internal}')::int4, 2, 'page by page');
SELECT is((pg_temp.page(jsonb_build_object('after', pg_temp.id(1, 205))) ->> 'seen')::int4, 1, 'from a key on');
SELECT is((pg_temp.page('{"threshold": 0}') ->> 'seen')::int4, 0, 'or a sample');
SELECT is((SELECT jsonb_array_length(l -> 6) FROM jsonb_array_elements(pg_temp.page('{"retries": 4}') -> 'leads') AS l WHERE (l ->> 4)::int4 = 3), 3, 'earlier dials come along');

-- The waits are the policy's.
SELECT is((SELECT string_agg(coalesce(w.value ->> 0, '-') || ' ' || coalesce(w.value ->> 1, '-'), ', ' ORDER BY w.key) FROM jsonb_each(app.forecast_waits(c)) AS w),
          '- -, 1800 7200, 1800 7200, - -, 7200 86400, 60 300, - -, 86400 -', 'waits of answered, busy, failed, invalid, no_answer, not_placed, rejected, voicemail')
  FROM campaigns c WHERE c.id = pg_temp.id(1, 3);

-- The brief.
CREATE FUNCTION pg_temp.brief(doc jsonb) RETURNS jsonb LANGUAGE sql AS $$
    SELECT app.forecast_brief(jsonb_build_object('campaign', pg_temp.id(1, 3)) || doc, '2026-11-17 15:00Z')
$$;
SELECT is((pg_temp.brief('{}') #>> '{queue,queued}')::int4, 6, 'six leads wait');
SELECT is(pg_temp.brief('{}') -> 'places', '[{"place": "America/New_York US,US-NY", "leads": 6}]'::jsonb, 'in one place');
SELECT is((pg_temp.brief('{"lines": 7, "cps": 0.5, "retries": 1}') - '{}'::text[]) @> '{"lines": 7, "calls_per_second": 0.5, "max_attempts": 2}', true, 'sliders');
SELECT is(pg_temp.brief('{}') #> '{accounts,0,share}', '1', 'an account of its own');
INSERT INTO campaigns (organization_id, id, name, status, weight) VALUES (pg_temp.org(1), pg_temp.id(1, 4), 'other', 'active', 3) \g /dev/null
INSERT INTO campaign_numbers (organization_id, campaign_id, phone_number_id) VALUES (pg_temp.org(1), pg_temp.id(1, 4), pg_temp.id(1, 2)) \g /dev/null
INSERT INTO call_queue (organization_id, campaign_id, lead_id, next_retry_at) VALUES (pg_temp.org(1), pg_temp.id(1, 4), pg_temp.id(1, 11), '2026-11-17') \g /dev/null
SELECT is(pg_temp.brief('{}') #> '{accounts,0,share}', '0.25', 'or a share of it by weight, while another campaign has something to do');
SELECT throws_ok($$SELECT app.forecast_brief(jsonb_build_object('campaign', pg_temp.id(2, 3)), '2026-11-17 15:00Z')$$, 'P0002', NULL, 'another tenant''s campaign is nobody''s');
SELECT throws_ok($$SELECT app.forecast_page(jsonb_build_object('campaign', pg_temp.id(2, 3), 'page', 10, 'threshold', 1048576), '2026-11-17 15:00Z')$$, 'P0002', NULL, 'nor its leads');
SELECT is((SELECT string_agg(p.proname, ', ') FROM pg_proc p WHERE p.proname LIKE 'forecast\_%' AND p.provolatile = 'v'), NULL, 'no function of the forecast can write or lock a row');
SELECT * FROM finish();
ROLLBACK;
