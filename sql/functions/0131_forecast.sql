-- What the forecast asks of the database: the settings of a campaign with its sliders, the places its leads live in
-- and when those are open, what the gate says of each lead, how often calls were answered of late. Reads only, takes
-- no lock, and looks at every lead once. The rules are the gate's own functions; nothing is decided here anew.
SET LOCAL ROLE app_owner;

-- The campaign as it would be, started now and with the sliders of `doc`: from, to (hours), lines, cps, retries.
CREATE OR REPLACE FUNCTION app.forecast_campaign(doc jsonb) RETURNS public.campaigns
LANGUAGE plpgsql STABLE SET search_path = ''
AS $$
DECLARE
    c public.campaigns;
BEGIN
    SELECT t.* INTO STRICT c FROM public.campaigns t
     WHERE t.organization_id = app.org_required() AND t.id = app.campaign_find(doc ->> 'campaign');
    c.status := 'active';
    c.closing_reason := NULL;
    c.completed_reason := NULL;
    c.time_start := coalesce((doc ->> 'from')::time, c.time_start);
    c.time_end := coalesce((doc ->> 'to')::time, c.time_end);
    c.lines := coalesce((doc ->> 'lines')::int4, c.lines);
    c.calls_per_second := coalesce((doc ->> 'cps')::float8, c.calls_per_second);
    c.max_attempts := coalesce((doc ->> 'retries')::int4 + 1, c.max_attempts);
    RETURN c;
END
$$;

-- Leads of one place are judged by the same clocks and the same laws.
CREATE OR REPLACE FUNCTION app.forecast_place(l public.leads, campaign_zone text) RETURNS text
LANGUAGE sql STABLE
AS $$
    SELECT array_to_string(app.lead_zones(l, campaign_zone), ',') || ' ' || array_to_string(app.lead_regions(l), ',')
$$;

-- The instants around an opening at which a window may close: the ends of all spans on the clocks of all zones (twice
-- where the clocks show them twice), and midnight UTC, when laws change.
CREATE OR REPLACE FUNCTION app.forecast_closings(requirements jsonb, zones text[], p_after timestamptz) RETURNS timestamptz[]
LANGUAGE sql STABLE SET search_path = ''
AS $$
    SELECT array_agg(DISTINCT x.instant ORDER BY x.instant)
      FROM (SELECT unnest(ARRAY[app.wall_first(w.wall, w.zone), w.wall AT TIME ZONE w.zone]) AS instant
              FROM (SELECT DISTINCT z.zone, (p_after AT TIME ZONE z.zone)::date + d.ahead + (s.span ->> 'to')::time AS wall
                      FROM unnest(zones) AS z (zone), generate_series(0, 1) AS d (ahead),
                           jsonb_array_elements(requirements) AS r (spans), jsonb_array_elements(r.spans) AS s (span)) AS w
             UNION ALL
            SELECT ((p_after AT TIME ZONE 'UTC')::date + 1)::timestamp AT TIME ZONE 'UTC') AS x
     WHERE x.instant > p_after
$$;

-- All windows that apply in these countries on that day; NULL: no law covers one of them.
CREATE OR REPLACE FUNCTION app.forecast_needs(c public.campaigns, regions text[], at timestamptz) RETURNS jsonb
LANGUAGE plpgsql STABLE SET search_path = ''
AS $$
DECLARE
    law app.law := app.law_at(c.organization_id, regions, c.purpose, c.voice_kind, at);
BEGIN
    RETURN CASE WHEN law.missing IS NULL THEN app.law_windows(c, law) END;
END
$$;

-- When a place is open within a time: [[from, until, UTC offset], …] in seconds since 1970. Asked of windows_next, so
-- that it is what the gate would say at any moment in between.
CREATE OR REPLACE FUNCTION app.forecast_spans(c public.campaigns, zones text[], regions text[], p_from timestamptz, p_until timestamptz)
RETURNS jsonb
LANGUAGE plpgsql STABLE SET search_path = ''
AS $$
DECLARE
    spans jsonb := '[]';
    moment timestamptz := p_from;
    opening timestamptz;
    shut timestamptz;
    needs jsonb;
    law_of date;
BEGIN
    IF cardinality(zones) = 0 OR cardinality(regions) = 0 OR NOT (SELECT bool_and(app.zone_known(z)) FROM unnest(zones) AS z) THEN
        RETURN spans;
    END IF;
    WHILE moment < p_until LOOP
        IF law_of IS DISTINCT FROM (moment AT TIME ZONE 'UTC')::date THEN
            law_of := (moment AT TIME ZONE 'UTC')::date;
            needs := app.forecast_needs(c, regions, moment);
        END IF;
        EXIT WHEN needs IS NULL;
        opening := app.windows_next(needs, zones, moment);
        EXIT WHEN opening IS NULL OR opening >= p_until;
        IF law_of <> (opening AT TIME ZONE 'UTC')::date THEN
            -- Another day, perhaps another law.
            moment := greatest(moment, (opening AT TIME ZONE 'UTC')::date::timestamp AT TIME ZONE 'UTC');
            CONTINUE;
        END IF;
        FOREACH shut IN ARRAY app.forecast_closings(needs, zones, opening) LOOP
            EXIT WHEN (shut AT TIME ZONE 'UTC')::date <> law_of OR NOT app.windows_open(needs, zones, shut);
        END LOOP;
        spans := spans || jsonb_build_array(jsonb_build_array(extract(epoch FROM opening), extract(epoch FROM shut),
            extract(epoch FROM (opening AT TIME ZONE zones[1]) - (opening AT TIME ZONE 'UTC'))::int4));
        moment := shut;
    END LOOP;
    RETURN spans;
END
$$;

-- One place, named by its key: its openings, and how often a number there may be dialed in 24 hours, 7 and 30 days.
CREATE OR REPLACE FUNCTION app.forecast_opening(doc jsonb, at timestamptz) RETURNS jsonb
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = '' SET jit = off SET enable_seqscan = off
AS $$
DECLARE
    c public.campaigns := app.forecast_campaign(doc);
    zones text[] := string_to_array(split_part(doc ->> 'place', ' ', 1), ',');
    regions text[] := string_to_array(split_part(doc ->> 'place', ' ', 2), ',');
    law app.law := app.law_at(app.org_required(), regions, c.purpose, c.voice_kind, at);
BEGIN
    RETURN (SELECT jsonb_build_object(
                'spans', app.forecast_spans(c, zones, regions, at, at + (doc ->> 'days')::int4 * interval '1 day'),
                'caps', jsonb_build_array(f.cap_24h, f.cap_7d, f.cap_30d))
              FROM public.organizations o, app.number_caps(o, law) AS f
             WHERE o.id = app.org_required());
END
$$;

-- {"busy": [1800, 7200, null, …]}: the wait before the next try when this outcome came 0, 1, … times before.
CREATE OR REPLACE FUNCTION app.forecast_waits(c public.campaigns) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = ''
AS $$
    SELECT jsonb_object_agg(w.outcome, w.waits)
      FROM (SELECT o.outcome, jsonb_agg(r.wait_s ORDER BY s.same) AS waits
              FROM unnest(ARRAY['answered', 'no_answer', 'busy', 'voicemail', 'rejected', 'invalid_number', 'failed', 'not_placed']) AS o (outcome),
                   generate_series(0, 19) AS s (same),
                   LATERAL app.retry_wait(coalesce(coalesce((SELECT p.waits FROM public.retry_policies p
                               WHERE p.organization_id = c.organization_id AND p.id = c.retry_policy_id), app.default_waits()) -> o.outcome, '[]'),
                           o.outcome, s.same, 1, 101, NULL) AS r
             GROUP BY o.outcome) AS w
$$;

-- Accounts and caller ids, and the share of an account that other active campaigns leave to this one.
CREATE OR REPLACE FUNCTION app.forecast_lines(c public.campaigns) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = ''
AS $$
    WITH numbers AS (
        SELECT p.phone_e164, p.carrier_account_id, p.lines
          FROM public.campaign_numbers m
          JOIN public.phone_numbers p ON p.organization_id = m.organization_id AND p.id = m.phone_number_id AND p.status = 'active'
          JOIN public.carrier_accounts a ON a.organization_id = p.organization_id AND a.id = p.carrier_account_id AND a.status = 'active'
         WHERE m.organization_id = c.organization_id AND m.campaign_id = c.id
    ), accounts AS (
        SELECT a.id, a.lines, a.calls_per_second, a.minute_micros, (row_number() OVER (ORDER BY a.id)) - 1 AS i,
               c.weight::float8 / (c.weight + coalesce((SELECT sum(x.weight) FROM public.campaigns x
                    WHERE x.organization_id = c.organization_id AND x.id <> c.id AND x.status = 'active' AND x.archived_at IS NULL
                      AND EXISTS (SELECT FROM public.campaign_numbers m
                                    JOIN public.phone_numbers p ON p.organization_id = m.organization_id AND p.id = m.phone_number_id
                                   WHERE m.organization_id = x.organization_id AND m.campaign_id = x.id AND p.carrier_account_id = a.id)
                      AND EXISTS (SELECT FROM public.call_queue q
                                   WHERE q.organization_id = x.organization_id AND q.campaign_id = x.id AND q.status = 'queued')), 0)) AS share
          FROM public.carrier_accounts a
         WHERE a.organization_id = c.organization_id AND a.id IN (SELECT n.carrier_account_id FROM numbers n)
    )
    SELECT jsonb_build_object(
        'accounts', coalesce((SELECT jsonb_agg(jsonb_build_object('lines', a.lines, 'calls_per_second', a.calls_per_second,
                                              'share', a.share, 'minute_micros', a.minute_micros) ORDER BY a.i)
                                FROM accounts a), '[]'),
        'numbers', coalesce((SELECT jsonb_agg(jsonb_build_object('account', a.i, 'lines', n.lines) ORDER BY n.phone_e164)
                               FROM numbers n JOIN accounts a ON a.id = n.carrier_account_id), '[]'))
$$;

-- The newest settled dials of the organization of the last 30 days, at most so many.
CREATE OR REPLACE FUNCTION app.forecast_past(p_at timestamptz, p_most int4)
RETURNS TABLE (attempt int4, hour int4, outcome text, ring_s float8, talk_s float8, billed_s int4, cost_micros int8, cost_currency text, call uuid)
LANGUAGE sql STABLE SET search_path = ''
AS $$
    SELECT least(a.attempt_number, 6),
           extract(hour FROM l.intent_at AT TIME ZONE coalesce(d.timezone, d.zones[1], c.timezone, 'UTC'))::int4, a.outcome,
           extract(epoch FROM coalesce(l.answered_at, l.ended_at) - l.intent_at)::float8,
           extract(epoch FROM l.ended_at - l.answered_at)::float8, l.billed_seconds, l.cost_micros, l.cost_currency, l.id
      FROM (SELECT x.* FROM public.call_logs x
             WHERE x.organization_id = app.org_required() AND x.direction = 'outbound' AND x.status IN ('ended', 'not_placed')
               AND x.intent_at > p_at - interval '30 days' AND x.intent_at <= p_at
             ORDER BY x.id DESC LIMIT p_most) AS l
      JOIN public.call_attempts a ON a.organization_id = l.organization_id AND a.call_log_id = l.id
      JOIN public.leads d ON d.organization_id = l.organization_id AND d.id = l.lead_id
      JOIN public.campaigns c ON c.organization_id = l.organization_id AND c.id = l.campaign_id
     WHERE a.outcome IS NOT NULL AND a.outcome <> 'unknown' AND l.ended_at IS NOT NULL
$$;

-- {"calls", "counts": [[attempt, hour, outcome, n], …], "ring": {outcome: {"count", "q": [65]}}, "talk", "machine",
--  "carrier": {...}, "model": {...}}
CREATE OR REPLACE FUNCTION app.forecast_history(p_at timestamptz) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = ''
AS $$
    WITH past AS MATERIALIZED (SELECT * FROM app.forecast_past(p_at, 100000)),
         points AS (SELECT array_agg(i / 64.0::float8 ORDER BY i) AS at FROM generate_series(0, 64) AS i)
    SELECT jsonb_build_object(
        'calls', (SELECT count(*) FROM past),
        'counts', coalesce((SELECT jsonb_agg(jsonb_build_array(n.attempt, n.hour, n.outcome, n.calls))
                              FROM (SELECT p.attempt, p.hour, p.outcome, count(*) AS calls FROM past p GROUP BY 1, 2, 3) AS n), '[]'),
        'ring', coalesce((SELECT jsonb_object_agg(r.outcome, jsonb_build_object('count', r.calls, 'q', to_jsonb(r.q)))
                            FROM (SELECT p.outcome, count(*) AS calls,
                                         percentile_cont((SELECT x.at FROM points x)) WITHIN GROUP (ORDER BY greatest(p.ring_s, 0)) AS q
                                    FROM past p GROUP BY 1) AS r), '{}'),
        'talk', (SELECT jsonb_build_object('count', count(*), 'q',
                        to_jsonb(percentile_cont((SELECT x.at FROM points x)) WITHIN GROUP (ORDER BY greatest(p.talk_s, 0))))
                   FROM past p WHERE p.outcome = 'answered' AND p.talk_s IS NOT NULL),
        'machine', (SELECT jsonb_build_object('count', count(*), 'q',
                        to_jsonb(percentile_cont((SELECT x.at FROM points x)) WITHIN GROUP (ORDER BY greatest(p.talk_s, 0))))
                      FROM past p WHERE p.outcome = 'voicemail' AND p.talk_s IS NOT NULL),
        'carrier', (SELECT jsonb_build_object('calls', count(*), 'seconds', coalesce(sum(p.billed_s), 0), 'micros', coalesce(sum(p.cost_micros), 0),
                           'whole_minutes', coalesce(bool_and(p.billed_s % 60 = 0), false), 'currency', max(p.cost_currency))
                      FROM past p WHERE p.cost_micros > 0 AND p.billed_s > 0),
        'model', (SELECT jsonb_build_object('calls', count(DISTINCT p.call), 'seconds', coalesce(sum(p.talk_s), 0), 'micros', coalesce(sum(u.micros), 0))
                    FROM past p
                    JOIN LATERAL (SELECT sum(x.cost_micros) AS micros FROM public.usage_ledger x
                                   WHERE x.organization_id = app.org_required() AND x.call_log_id = p.call
                                     AND x.source IN ('realtime', 'transcribe', 'analysis')) AS u ON u.micros > 0
                   WHERE p.talk_s > 0))
$$;

-- By index always: a list that was imported a minute ago has no statistics yet.
-- Everything about the campaign but its leads, with the places these live in; of a long list (beyond doc.sample) only a
-- sample is looked at, the same that forecast_page reads.
CREATE OR REPLACE FUNCTION app.forecast_brief(doc jsonb, at timestamptz) RETURNS jsonb
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = '' SET jit = off SET enable_seqscan = off SET enable_nestloop = off
AS $$
DECLARE
    org uuid := app.org_required();
    c public.campaigns := app.forecast_campaign(doc);
    now_is public.campaigns;
    queue jsonb;
    threshold int4;
BEGIN
    SELECT t.* INTO now_is FROM public.campaigns t WHERE t.organization_id = org AND t.id = c.id;
    IF now_is.status = 'completed' OR now_is.archived_at IS NOT NULL THEN
        RETURN jsonb_build_object('refused', format('campaign %s is completed: nobody will be called', c.name));
    END IF;
    SELECT coalesce(jsonb_object_agg(s.status, s.leads), '{}') INTO queue
      FROM (SELECT q.status, count(*) AS leads FROM public.call_queue q
             WHERE q.organization_id = org AND q.campaign_id = c.id GROUP BY 1) AS s;
    threshold := least(1048576, 1048576 * coalesce((doc ->> 'sample')::numeric, 1e9)
                 / greatest(1, coalesce((queue ->> 'queued')::int8, 0) + coalesce((queue ->> 'processing')::int8, 0)));
    RETURN app.forecast_lines(c) || jsonb_build_object('campaign', c.name, 'id', c.id, 'status', now_is.status,
        'lacks', to_jsonb(app.campaign_lacks(c.id)), 'start', extract(epoch FROM at),
        'lines', c.lines, 'calls_per_second', c.calls_per_second, 'max_attempts', c.max_attempts, 'time_start', c.time_start,
        'time_end', c.time_end, 'timezone', c.timezone, 'end_date', c.end_date, 'ring_timeout_s', c.ring_timeout_s,
        'max_duration_s', c.max_duration_s, 'waits', app.forecast_waits(c),
        'spacing_s', (SELECT o.number_spacing_s FROM public.organizations o WHERE o.id = org),
        'currency', coalesce(c.budget_currency, (SELECT o.currency FROM public.organizations o WHERE o.id = org)),
        'budget_micros', CASE WHEN c.budget_minor IS NOT NULL THEN greatest(0, app.minor_to_micros(c.budget_minor, c.budget_currency)
            - app.budget_used(c))::int8 END,
        'reserve_micros', app.call_reserve(c),
        'paused', app.gate_pauses(org, c.id, NULL, NULL, at),
        'nodes', (SELECT count(*) FROM engine.forecast_nodes(at)),
        'queue', queue, 'threshold', threshold,
        'places', (SELECT coalesce(jsonb_agg(jsonb_build_object('place', p.place, 'leads', p.leads) ORDER BY p.leads DESC, p.place), '[]')
                     FROM (SELECT app.forecast_place(l, c.timezone) AS place, count(*) AS leads
                             FROM public.call_queue q
                             JOIN public.leads l ON l.organization_id = q.organization_id AND l.id = q.lead_id
                            WHERE q.organization_id = org AND q.campaign_id = c.id AND q.status IN ('queued', 'processing')
                              AND (hashtextextended(q.id::text, 11) & 1048575) < threshold
                            GROUP BY 1) AS p),
        'words', (SELECT jsonb_object_agg(r.reason, r.words) FROM public.skip_reasons r),
        'history', app.forecast_history(at));
END
$$;

-- When the gate lets a lead be dialed, from a moment on; or the reason why it will not, by itself. Its row is fetched by
-- key here, so that no statistics can make that a scan.
CREATE OR REPLACE FUNCTION app.forecast_lead(c public.campaigns, o public.organizations, p_lead uuid, p_tries int4, p_from timestamptz, places jsonb,
                                             OUT place jsonb, OUT phone text, OUT due timestamptz, OUT reason text)
LANGUAGE plpgsql STABLE SET search_path = ''
AS $$
DECLARE
    l public.leads;
    v app.verdict;
BEGIN
    SELECT * INTO l FROM public.leads t WHERE t.organization_id = o.id AND t.id = p_lead;
    place := places -> app.forecast_place(l, c.timezone);
    phone := l.phone_e164;
    due := greatest(p_from, to_timestamp((place ->> 'opens')::float8));
    IF l.archived_at IS NOT NULL THEN
        reason := 'lead_archived';
        RETURN;
    END IF;
    FOR step IN 1..8 LOOP
        v := app.gate_person(c, o, l, NULL, due);
        -- A call to this number that lives now says nothing about later; and with more tries than its row has, a
        -- lead is not used up.
        EXIT WHEN v.reason IS NULL OR v.reason = 'duplicate'
               OR (v.reason = 'attempt_limit' AND v.next_change_at IS NULL AND p_tries < c.max_attempts);
        IF v.next_change_at IS NULL THEN
            reason := v.reason;
            RETURN;
        END IF;
        due := greatest(v.next_change_at, due + interval '1 microsecond');
    END LOOP;
END
$$;

-- A page of leads in the order of their keys, every one or a sample (threshold of 2^20). doc: campaign and sliders,
-- after, page, threshold, places {key: {"i": index, "opens": first opening or null}}.
-- By index always: a list that was imported a minute ago has no statistics yet.
-- Answers {"leads": [[place, due, rank, line, attempts, same, dials], …], "blocked": {reason: n}, "seen": n, "after": key}.
CREATE OR REPLACE FUNCTION app.forecast_page(doc jsonb, at timestamptz) RETURNS jsonb
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = '' SET jit = off SET enable_seqscan = off
AS $$
    WITH what AS MATERIALIZED (
        SELECT app.forecast_campaign(doc) AS c, o AS o FROM public.organizations o WHERE o.id = app.org_required()
    ), page AS MATERIALIZED (
        SELECT q.id, q.lead_id, q.status, q.priority, q.score, q.next_retry_at, q.attempt_count, q.call_log_id
          FROM public.call_queue q
         WHERE q.organization_id = app.org_required() AND q.campaign_id = (SELECT (w.c).id FROM what w)
           AND q.id > coalesce((doc ->> 'after')::uuid, '00000000-0000-0000-0000-000000000000')
           AND q.status IN ('queued', 'processing')
           AND (hashtextextended(q.id::text, 11) & 1048575) < (doc ->> 'threshold')::int4
         ORDER BY q.id LIMIT (doc ->> 'page')::int4
    ), judged AS MATERIALIZED (
        SELECT q.*, v.phone, v.place, v.due, v.reason
          FROM page q
          CROSS JOIN what w
          CROSS JOIN LATERAL app.forecast_lead(w.c, w.o, q.lead_id, q.attempt_count, greatest(at, q.next_retry_at), doc -> 'places') AS v
    )
    SELECT jsonb_build_object(
        'seen', (SELECT count(*) FROM page), 'after', (SELECT p.id FROM page p ORDER BY p.id DESC LIMIT 1),
        'blocked', (SELECT coalesce(jsonb_object_agg(b.reason, b.leads), '{}')
                      FROM (SELECT j.reason, count(*) AS leads FROM judged j WHERE j.reason IS NOT NULL GROUP BY 1) AS b),
        'leads', coalesce((
            SELECT jsonb_agg(jsonb_build_array((j.place ->> 'i')::int4, extract(epoch FROM j.due),
                                               (100 - j.priority) * 101 + 100 - j.score,
                                               hashtextextended(j.lead_id::text, 0) & 1073741823, j.attempt_count,
                                               CASE WHEN j.attempt_count > 0 THEN app.forecast_same(j.lead_id, (w.c).id) END, d.dials)
                             ORDER BY j.id)
              FROM judged j
              CROSS JOIN what w
              LEFT JOIN LATERAL (SELECT jsonb_agg(extract(epoch FROM k.intent_at) ORDER BY k.intent_at) AS dials
                                   FROM public.call_logs k
                                  WHERE k.organization_id = (w.o).id AND k.callee_number = j.phone AND k.may_have_rung
                                    AND k.intent_at > at - interval '30 days') AS d ON true
             WHERE j.reason IS NULL), '[]'))
$$;

-- {"busy": 1}: the outcomes of the attempts so far.
CREATE OR REPLACE FUNCTION app.forecast_same(p_lead uuid, p_campaign uuid) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = ''
AS $$
    SELECT coalesce(jsonb_object_agg(s.outcome, s.tries), '{}')
      FROM (SELECT a.outcome, count(*) AS tries FROM public.call_attempts a
             WHERE a.organization_id = app.org_required() AND a.campaign_id = p_campaign AND a.lead_id = p_lead AND a.outcome IS NOT NULL
             GROUP BY 1) AS s
$$;

RESET ROLE;
SET LOCAL ROLE app_engine;
-- Nodes that dial; they belong to the platform, and only their number is told.
CREATE OR REPLACE FUNCTION engine.forecast_nodes(p_at timestamptz) RETURNS SETOF int4
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = ''
AS $$
    SELECT 1 FROM public.nodes n
     WHERE n.stopped_at IS NULL AND n.heartbeat_at > p_at - interval '1 minute' AND 'dialer' = ANY (n.roles)
$$;
RESET ROLE;

SELECT app.functions_for('app',
    '{forecast_.*}');
SELECT app.functions_for('engine',
    '{forecast_.*}');
SELECT app.functions_for('app',
    '{forecast_brief, forecast_opening, forecast_page}', '{app_worker}');
GRANT EXECUTE ON FUNCTION engine.forecast_nodes(timestamptz) TO app_owner;
