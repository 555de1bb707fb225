-- Calling windows. Wall clocks are compared, so a window means what it says on the days clocks change; the next
-- opening is the first instant at which every zone of the lead is inside every window that applies.
-- All of these run as whoever calls them: claim (all tenants) and tenant functions share them.
-- SQL functions here set no search_path, or they could not be inlined; whoever defines authority sets it. What
-- cannot be inlined anyway is plpgsql, whose plans are kept.
SET LOCAL ROLE app_owner;

-- Postgres would take 'Foo5' for a POSIX zone; only names of the tz database are zones here.
CREATE OR REPLACE FUNCTION app.zone_known(zone text) RETURNS boolean
LANGUAGE plpgsql STABLE
AS $$
BEGIN
    IF zone IS NULL OR NOT (zone = 'UTC' OR zone ~ '^[A-Za-z_]+(/[A-Za-z0-9_+-]+)+$') THEN
        RETURN false;
    END IF;
    PERFORM timestamptz 'epoch' AT TIME ZONE zone;
    RETURN true;
EXCEPTION WHEN invalid_parameter_value THEN
    RETURN false;
END
$$;

-- The first instant at which the clock of a zone shows this wall time or, where clocks skip it, a later one.
CREATE OR REPLACE FUNCTION app.wall_first(wall timestamp, zone text) RETURNS timestamptz
LANGUAGE plpgsql STABLE
AS $$
DECLARE
    found timestamptz := wall AT TIME ZONE zone;
    before timestamptz;
    middle timestamptz;
    shift interval;
BEGIN
    IF (found AT TIME ZONE zone) <> wall THEN
        -- Skipped: halve the distance to the jump, to the second.
        before := found - interval '3 hours';
        WHILE found - before > interval '1 second' LOOP
            middle := date_trunc('second', before + (found - before) / 2);
            IF (middle AT TIME ZONE zone) >= wall THEN
                found := middle;
            ELSE
                before := middle;
            END IF;
        END LOOP;
        RETURN found;
    END IF;
    -- Shown twice: Postgres names the later one.
    FOREACH shift IN ARRAY ARRAY[interval '2 hours', interval '1 hour', interval '30 minutes'] LOOP
        IF ((found - shift) AT TIME ZONE zone) = wall THEN
            RETURN found - shift;
        END IF;
    END LOOP;
    RETURN found;
END
$$;

CREATE OR REPLACE FUNCTION app.is_holiday(country text, on_day date) RETURNS boolean
LANGUAGE sql STABLE
AS $$
    SELECT EXISTS (SELECT FROM public.holidays h WHERE h.region = left(country, 2) AND h.day = on_day)
$$;

-- A span that is over may open once more on the day on which clocks go back over its end: where its beginning is shown
-- again, or else where the clock jumps back into it. NULL when it does not.
CREATE OR REPLACE FUNCTION app.span_again(wall_open timestamp, wall_close timestamp, zone text, at timestamptz) RETURNS timestamptz
LANGUAGE plpgsql STABLE
AS $$
DECLARE
    ends timestamptz := wall_close AT TIME ZONE zone;
    begins timestamptz := wall_open AT TIME ZONE zone;
    before timestamptz := at;
    middle timestamptz;
BEGIN
    -- Postgres names the later of two instants; a wall time that is skipped is shown by none.
    IF ends <= at OR (ends AT TIME ZONE zone) <> wall_close THEN
        RETURN NULL;
    ELSIF begins > at THEN
        RETURN begins;
    END IF;
    WHILE ends - before > interval '1 second' LOOP
        middle := date_trunc('second', before + (ends - before) / 2);
        EXIT WHEN middle <= before;
        IF (middle AT TIME ZONE zone) >= wall_close THEN
            before := middle;
        ELSE
            ends := middle;
        END IF;
    END LOOP;
    RETURN ends;
END
$$;

-- The first instant at or after `at` inside one span of one zone; NULL when there is none within three weeks of
-- its beginning. A span that ends at or before it begins crosses midnight and belongs to the day it begins on.
CREATE OR REPLACE FUNCTION app.span_next(span jsonb, zone text, at timestamptz) RETURNS timestamptz
LANGUAGE plpgsql STABLE
AS $$
DECLARE
    wall timestamp := at AT TIME ZONE zone;
    opens time := (span ->> 'from')::time;
    closes time := (span ->> 'to')::time;
    days jsonb := span -> 'days';
    first date := (span ->> 'first')::date;
    last date := (span ->> 'last')::date;
    country text := span ->> 'closed_on_holidays_of';
    begin_day date := greatest(wall::date - 1, first);
    day date;
    wall_open timestamp;
    wall_close timestamp;
    found timestamptz;
BEGIN
    FOR ahead IN 0..21 LOOP
        day := begin_day + ahead;
        EXIT WHEN day > last;
        CONTINUE WHEN NOT days @> to_jsonb(extract(isodow FROM day)::int)
                   OR (country IS NOT NULL AND app.is_holiday(country, day));
        wall_open := day + opens;
        wall_close := day + closes + CASE WHEN closes <= opens THEN interval '1 day' ELSE interval '0' END;
        IF wall >= wall_close THEN
            found := app.span_again(wall_open, wall_close, zone, at);
            CONTINUE WHEN found IS NULL;
            RETURN found;
        END IF;
        IF wall >= wall_open THEN
            RETURN at;
        END IF;
        found := app.wall_first(wall_open, zone);
        IF found < at THEN
            -- Clocks went back over the opening, and it comes once more.
            found := wall_open AT TIME ZONE zone;
        END IF;
        IF (found AT TIME ZONE zone) < wall_close THEN
            RETURN greatest(found, at);
        END IF;
    END LOOP;
    RETURN NULL;
END
$$;

-- Windows are a jsonb array of requirements, each an array of spans, one of which must be open:
-- the campaign's own, then each country's.
CREATE OR REPLACE FUNCTION app.campaign_span(c public.campaigns) RETURNS jsonb
LANGUAGE sql STABLE
AS $$
    SELECT jsonb_build_object('days', to_jsonb(c.weekdays), 'from', c.time_start, 'to', c.time_end,
                              'first', c.start_date, 'last', c.end_date)
$$;

CREATE OR REPLACE FUNCTION app.country_spans(hours jsonb, country text) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE
AS $$
BEGIN
    IF (hours ->> 'holidays')::boolean THEN
        RETURN (SELECT jsonb_agg(s || jsonb_build_object('closed_on_holidays_of', country))
                  FROM jsonb_array_elements(hours -> 'spans') AS s);
    END IF;
    RETURN hours -> 'spans';
END
$$;

-- Are all zones inside all requirements at this moment? The common question, answered without looking ahead.
CREATE OR REPLACE FUNCTION app.windows_open(requirements jsonb, zones text[], at timestamptz) RETURNS boolean
LANGUAGE plpgsql STABLE
AS $$
DECLARE
    zone text;
    wall timestamp;
    clock time;
    today int4;
    open boolean;
    span jsonb;
BEGIN
    FOREACH zone IN ARRAY zones LOOP
        wall := at AT TIME ZONE zone;
        clock := wall::time;
        today := extract(isodow FROM wall);
        FOR i IN 0..jsonb_array_length(requirements) - 1 LOOP
            open := false;
            FOR j IN 0..jsonb_array_length(requirements -> i) - 1 LOOP
                span := requirements -> i -> j;
                IF span ? 'closed_on_holidays_of' OR jsonb_typeof(span -> 'first') = 'string' OR jsonb_typeof(span -> 'last') = 'string'
                   OR (span ->> 'to')::time <= (span ->> 'from')::time THEN
                    open := coalesce(app.span_next(span, zone, at) = at, false);
                ELSE
                    open := span -> 'days' @> to_jsonb(today) AND clock >= (span ->> 'from')::time AND clock < (span ->> 'to')::time;
                END IF;
                EXIT WHEN open;
            END LOOP;
            IF open IS NOT TRUE THEN
                RETURN false;
            END IF;
        END LOOP;
    END LOOP;
    RETURN cardinality(zones) > 0;
END
$$;

-- The first instant at or after `at` at which all zones are inside all requirements; NULL = none in the
-- coming weeks. Each step jumps to the latest of what is still closed, so it ends at the first common opening.
CREATE OR REPLACE FUNCTION app.windows_next(requirements jsonb, zones text[], at timestamptz) RETURNS timestamptz
LANGUAGE plpgsql STABLE
AS $$
DECLARE
    moment timestamptz := at;
    furthest timestamptz;
    zone text;
    requirement jsonb;
    opening timestamptz;
    horizon timestamptz;
BEGIN
    IF zones IS NULL OR cardinality(zones) = 0 THEN
        RETURN NULL;
    END IF;
    FOR step IN 1..400 LOOP
        furthest := moment;
        FOREACH zone IN ARRAY zones LOOP
            FOR requirement IN SELECT e FROM jsonb_array_elements(requirements) AS e LOOP
                SELECT min(app.span_next(s, zone, moment)) INTO opening FROM jsonb_array_elements(requirement) AS s;
                IF opening IS NULL THEN
                    RETURN NULL;
                END IF;
                furthest := greatest(furthest, opening);
            END LOOP;
        END LOOP;
        IF furthest = moment THEN
            RETURN moment;
        END IF;
        -- The first jump may go far, to a start date; the search for a common opening may not.
        horizon := coalesce(horizon, furthest + interval '21 days');
        IF furthest > horizon THEN
            RETURN NULL;
        END IF;
        moment := furthest;
    END LOOP;
    RETURN NULL;
END
$$;

-- What the law says of a country on a day: its own rows, or the generic row where the organization enabled the
-- country. NULL rules = not covered.
CREATE OR REPLACE FUNCTION app.country_rules(p_organization uuid, p_region text, p_at timestamptz,
                                  OUT rules jsonb, OUT enabled boolean, OUT generic boolean)
LANGUAGE plpgsql STABLE
AS $$
DECLARE
    today date := (p_at AT TIME ZONE 'UTC')::date;
BEGIN
    enabled := EXISTS (SELECT FROM public.region_enablements e
                        WHERE e.organization_id = p_organization AND e.region = p_region
                          AND e.enabled_at <= p_at AND (e.disabled_at IS NULL OR e.disabled_at > p_at));
    SELECT jsonb_object_agg(r.rule, r.value) INTO rules
      FROM public.compliance_rules r
     WHERE r.jurisdiction = p_region AND r.valid_from <= today AND today < r.valid_to;
    generic := rules IS NULL;
    IF generic AND enabled THEN
        SELECT jsonb_object_agg(r.rule, r.value) INTO rules
          FROM public.compliance_rules r
         WHERE r.jurisdiction = '*' AND r.valid_from <= today AND today < r.valid_to;
    END IF;
END
$$;

-- The zones to judge a lead by: the known one, else all candidates of its number, else the campaign's; beside them
-- those of a stated address or residence elsewhere: of the part of the country or, where that is not on file, of all of
-- it. None when nobody knows where their clocks stand.
CREATE OR REPLACE FUNCTION app.lead_zones(l public.leads, campaign_zone text) RETURNS text[]
LANGUAGE plpgsql STABLE
AS $$
DECLARE
    found text[];
    stated text;
    more text[];
BEGIN
    IF l.timezone IS NOT NULL THEN
        RETURN ARRAY[l.timezone];
    END IF;
    found := CASE WHEN cardinality(l.zones) > 0 THEN l.zones WHEN campaign_zone IS NOT NULL THEN ARRAY[campaign_zone] ELSE '{}' END;
    IF cardinality(found) > 0 AND (l.address_region IS NOT NULL OR l.residence_region IS NOT NULL) THEN
        FOREACH stated IN ARRAY ARRAY[l.address_region, l.residence_region] LOOP
            CONTINUE WHEN stated IS NULL OR stated = l.region;
            more := (SELECT j.zones FROM public.jurisdiction_zones j WHERE j.jurisdiction IN (stated, left(stated, 2))
                      ORDER BY length(j.jurisdiction) DESC LIMIT 1);
            IF more IS NULL THEN
                RETURN '{}';
            END IF;
            found := found || ARRAY(SELECT z FROM unnest(more) AS z WHERE z <> ALL (found));
        END LOOP;
    END IF;
    RETURN found;
END
$$;

-- The rules of some places for every purpose and voice, {"US": {…}, "ALL": {…}, "own:US": {…}}: the strictest reading,
-- for estimates and for what plans ahead. NULL when a country has no hours of its own and is not enabled.
CREATE OR REPLACE FUNCTION app.laws(p_organization uuid, regions text[], at timestamptz) RETURNS jsonb
LANGUAGE plpgsql STABLE
AS $$
DECLARE
    places text[] := app.jurisdictions(regions);
    today date := (at AT TIME ZONE 'UTC')::date;
    country text;
    found jsonb;
BEGIN
    FOREACH country IN ARRAY places LOOP
        CONTINUE WHEN length(country) <> 2 OR EXISTS (SELECT FROM public.compliance_rules r
            WHERE r.jurisdiction = country AND r.rule = 'hours' AND r.valid_from <= today AND today < r.valid_to);
        IF NOT app.region_enabled(p_organization, country, at) THEN
            RETURN NULL;
        END IF;
        places := places || '*'::text;
    END LOOP;
    SELECT jsonb_object_agg(j.jurisdiction, j.rules) INTO found
      FROM (SELECT r.jurisdiction, jsonb_object_agg(r.rule, r.value) AS rules
              FROM (SELECT x.jurisdiction, x.rule, x.value FROM public.compliance_rules x
                     WHERE x.jurisdiction = ANY (places) AND x.valid_from <= today AND today < x.valid_to
                    UNION ALL
                    SELECT 'own:' || x.jurisdiction, x.rule, x.value FROM public.organization_rules x
                     WHERE x.organization_id = p_organization AND x.jurisdiction = ANY (places)
                       AND x.valid_from <= today AND today < x.valid_to) AS r
             GROUP BY r.jurisdiction) AS j;
    RETURN coalesce(found, '{}');
END
$$;

-- All windows that apply: the campaign's, and each country's.
CREATE OR REPLACE FUNCTION app.requirements(c public.campaigns, laws jsonb) RETURNS jsonb
LANGUAGE plpgsql STABLE
AS $$
DECLARE
    needed jsonb := jsonb_build_array(jsonb_build_array(app.campaign_span(c)));
    country text;
BEGIN
    FOR country IN SELECT e.key FROM jsonb_each(laws) AS e WHERE e.value ? 'hours' LOOP
        needed := needed || jsonb_build_array(app.country_spans(laws #> ARRAY[country, 'hours'], replace(country, 'own:', '')));
    END LOOP;
    RETURN needed;
END
$$;

-- The next moment at or after `at` inside the window of the campaign and of the law, in all zones; NULL = never.
CREATE OR REPLACE FUNCTION app.next_opening(p_organization uuid, p_campaign uuid, p_zones text[], p_regions text[],
                                 p_at timestamptz) RETURNS timestamptz
LANGUAGE plpgsql STABLE
AS $$
DECLARE
    c public.campaigns;
    law app.law;
BEGIN
    SELECT * INTO c FROM public.campaigns t WHERE t.organization_id = p_organization AND t.id = p_campaign;
    IF NOT FOUND OR coalesce(cardinality(p_regions), 0) = 0
       OR NOT (SELECT coalesce(bool_and(app.zone_known(z)), false) FROM unnest(p_zones) AS z) THEN
        RETURN NULL;
    END IF;
    law := app.law_at(p_organization, p_regions, c.purpose, c.voice_kind, p_at);
    RETURN CASE WHEN law.missing IS NULL THEN app.windows_next(app.law_windows(c, law), p_zones, p_at) END;
END
$$;

-- The same for a lead: what the retry uses to move a due time into the window.
CREATE OR REPLACE FUNCTION app.lead_next_opening(p_organization uuid, p_campaign uuid, p_lead uuid, p_at timestamptz) RETURNS timestamptz
LANGUAGE sql STABLE
AS $$
    SELECT app.next_opening(p_organization, p_campaign, app.lead_zones(l, c.timezone), app.lead_regions(l), p_at)
      FROM public.leads l
      JOIN public.campaigns c ON c.organization_id = l.organization_id AND c.id = p_campaign
     WHERE l.organization_id = p_organization AND l.id = p_lead
$$;

RESET ROLE;
SELECT app.functions_for('app',
    '{zone_known, wall_first, is_holiday, span_again, span_next, campaign_span, country_spans, windows_next,
      windows_open, country_rules, lead_zones, laws, requirements, next_opening, lead_next_opening, uuid7}', '{app_owner, app_engine}');
