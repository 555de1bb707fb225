-- Functions here set no search_path: their names are qualified, and whoever defines authority sets it.
-- Which rules apply to a dial: the law's and the tenant's own, by jurisdiction and date, merged into one row. Every rule
-- only adds a demand, so a tenant's own rules can make a verdict stricter and never milder.
SET LOCAL ROLE app_owner;

-- What is wrong with the shape of a rule's value; NULL: nothing.
CREATE OR REPLACE FUNCTION app.rule_lacks(p_rule text, p_value jsonb) RETURNS text
LANGUAGE plpgsql IMMUTABLE
AS $$
DECLARE
    span jsonb;
    asked jsonb;
    kind text := jsonb_typeof(p_value);
    want text := CASE WHEN p_rule IN ('prefixes', 'notice') THEN 'array' ELSE 'object' END;
    numbers text[] := CASE p_rule WHEN 'frequency' THEN '{24h,7d,30d}' WHEN 'reassigned' THEN '{max_age_days}'
        WHEN 'preferences' THEN '{max_age_days}' WHEN 'holds' THEN '{abandon_h,refusal_d,conversation_d}'
        WHEN 'abandon' THEN '{share,min_answers,days}' WHEN 'short_calls' THEN '{share,min_answers,days}' ELSE '{}' END;
    name text;
BEGIN
    IF kind IS DISTINCT FROM want THEN
        RETURN 'not an ' || want;
    END IF;
    IF p_rule = 'hours' AND jsonb_typeof(p_value -> 'spans') IS DISTINCT FROM 'array' THEN
        RETURN 'no spans';
    END IF;
    FOR span IN SELECT e FROM jsonb_array_elements(CASE p_rule WHEN 'hours' THEN p_value -> 'spans' ELSE '[]' END) AS e LOOP
        IF jsonb_typeof(span -> 'days') IS DISTINCT FROM 'array' OR coalesce(span ->> 'from', '') !~ '^(([01]\d|2[0-3]):[0-5]\d|24:00)$'
           OR coalesce(span ->> 'to', '') !~ '^(([01]\d|2[0-3]):[0-5]\d|24:00)$' THEN
            RETURN 'a span without days, from or to';
        END IF;
    END LOOP;
    IF p_rule = 'consent' AND jsonb_typeof(p_value -> 'levels') IS DISTINCT FROM 'object' THEN
        RETURN 'no levels';
    ELSIF p_rule = 'lists' AND jsonb_typeof(p_value -> 'lists') IS DISTINCT FROM 'array' THEN
        RETURN 'no lists';
    END IF;
    FOR asked IN SELECT e FROM jsonb_array_elements(CASE p_rule WHEN 'lists' THEN p_value -> 'lists' ELSE '[]' END) AS e LOOP
        IF asked ->> 'list' IS NULL OR coalesce(asked ->> 'max_age_days', '') !~ '^[0-9]{1,6}$' THEN
            RETURN 'a list without its name or max_age_days';
        END IF;
    END LOOP;
    FOREACH name IN ARRAY numbers LOOP
        IF p_value ? name AND jsonb_typeof(p_value -> name) <> 'number' THEN
            RETURN name || ' is no number';
        ELSIF name <> 'share' AND p_value ->> name !~ (CASE p_rule WHEN 'frequency' THEN '^[1-9][0-9]{0,5}$' ELSE '^[0-9]{1,6}$' END) THEN
            -- A cap of none would be no cap; who must not be dialed at all is a refusal or a pause.
            RETURN name || ' is no whole number' || CASE p_rule WHEN 'frequency' THEN ' of at least 1' ELSE '' END;
        ELSIF NOT p_value ? name AND p_rule NOT IN ('frequency', 'holds') THEN
            RETURN 'no ' || name;
        END IF;
    END LOOP;
    RETURN NULL;
END
$$;

-- A rule that was in force stays what it was: verdicts of the past are judged by it. It is closed, and another follows.
CREATE OR REPLACE FUNCTION app.rules_guard() RETURNS trigger
LANGUAGE plpgsql SET search_path = ''
AS $$
DECLARE
    lacks text;
BEGIN
    IF TG_OP = 'DELETE' OR (TG_OP = 'UPDATE' AND (NEW.id, NEW.jurisdiction, NEW.rule, NEW.value, NEW.valid_from)
                                                 IS DISTINCT FROM (OLD.id, OLD.jurisdiction, OLD.rule, OLD.value, OLD.valid_from)) THEN
        RAISE EXCEPTION 'a rule is closed (valid_to), not changed' USING ERRCODE = 'DW006';
    END IF;
    IF TG_OP = 'INSERT' THEN
        lacks := app.rule_lacks(NEW.rule, NEW.value);
    END IF;
    IF lacks IS NOT NULL THEN
        RAISE EXCEPTION 'rule %: %', NEW.rule, lacks USING ERRCODE = '23514';
    END IF;
    RETURN NEW;
END
$$;
CREATE OR REPLACE TRIGGER guard BEFORE INSERT OR UPDATE OR DELETE ON public.compliance_rules
    FOR EACH ROW EXECUTE FUNCTION app.rules_guard();
CREATE OR REPLACE TRIGGER guard BEFORE INSERT OR UPDATE OR DELETE ON public.organization_rules
    FOR EACH ROW EXECUTE FUNCTION app.rules_guard();

-- The part of a country that a number's area code belongs to; NULL: none is known.
CREATE OR REPLACE FUNCTION app.number_area(p_phone text) RETURNS text
LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN (SELECT a.jurisdiction FROM public.area_jurisdictions a WHERE a.prefix = left(p_phone, 5));
END
$$;

-- Where a lead belongs: the number's country and area, the stated address, the recorded residence.
CREATE OR REPLACE FUNCTION app.lead_regions(l public.leads) RETURNS text[]
LANGUAGE plpgsql STABLE
AS $$
DECLARE
    found text[] := ARRAY[l.region];
    area text;
BEGIN
    IF l.phone_e164 LIKE '+1%' THEN
        area := app.number_area(l.phone_e164);
        -- An area code of another country than the number's own says nothing.
        IF left(area, 2) = l.region THEN
            found := found || area;
        END IF;
    END IF;
    IF l.address_region <> ALL (found) THEN
        found := found || l.address_region;
    END IF;
    IF l.residence_region <> ALL (found) THEN
        found := found || l.residence_region;
    END IF;
    RETURN array_remove(found, NULL);
END
$$;

-- All jurisdictions of some places: what every dial obeys, the countries, their parts.
CREATE OR REPLACE FUNCTION app.jurisdictions(p_regions text[]) RETURNS text[]
LANGUAGE plpgsql IMMUTABLE
AS $$
DECLARE
    found text[] := '{ALL}';
    place text;
BEGIN
    FOREACH place IN ARRAY p_regions LOOP
        IF left(place, 2) <> ALL (found) THEN
            found := found || left(place, 2);
        END IF;
        IF place <> ALL (found) THEN
            found := found || place;
        END IF;
    END LOOP;
    RETURN found;
END
$$;

CREATE OR REPLACE FUNCTION app.region_enabled(p_organization uuid, p_region text, p_at timestamptz) RETURNS boolean
LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN EXISTS (SELECT FROM public.region_enablements e
                    WHERE e.organization_id = p_organization AND e.region = left(p_region, 2)
                      AND e.enabled_at <= p_at AND (e.disabled_at IS NULL OR e.disabled_at > p_at));
END
$$;

-- The rules of these jurisdictions for one purpose, voice and sector, merged.
CREATE OR REPLACE FUNCTION app.law_merge(p_organization uuid, p_places text[], p_purpose text, p_voice text, p_today date,
                                         OUT law app.law, OUT covered text[])
LANGUAGE plpgsql STABLE
AS $$
DECLARE
    r record;
    of_sector text;
    any_abandon_days int4;
    any_short_days int4;
    number int4;
BEGIN
    law.places := p_places;
    law.hours := '[]';
    law.consent := 0;
    law.per_seller := false;
    covered := '{}';
    -- Row by row: one statement with an aggregate for each column is set up for longer than it runs. least and greatest
    -- pass over NULL, as min and max do.
    FOR r IN SELECT x.id, x.jurisdiction, x.rule, x.value, false AS own FROM public.compliance_rules x
              WHERE x.jurisdiction = ANY (p_places) AND x.valid_from <= p_today AND p_today < x.valid_to
             UNION ALL
             SELECT x.id, x.jurisdiction, x.rule, x.value, true FROM public.organization_rules x
              WHERE x.organization_id = p_organization AND x.jurisdiction = ANY (p_places)
                AND x.valid_from <= p_today AND p_today < x.valid_to LOOP
        CONTINUE WHEN (r.value ? 'purposes' AND (r.value -> 'purposes' ? p_purpose) IS NOT TRUE)
                   OR (r.value ? 'voices' AND (r.value -> 'voices' ? p_voice) IS NOT TRUE);
        IF r.value ? 'sectors' THEN
            of_sector := (SELECT o.sector FROM public.organizations o WHERE o.id = p_organization);
            CONTINUE WHEN (r.value -> 'sectors' ? of_sector) IS NOT TRUE;
        END IF;
        law.version := coalesce(law.version, 0) # uuid_hash_extended(r.id, 0);
        CASE r.rule
        WHEN 'hours' THEN
            law.hours := law.hours || jsonb_build_array(app.country_spans(r.value, r.jurisdiction));
            IF NOT r.own THEN
                covered := covered || r.jurisdiction::text;
            END IF;
        WHEN 'frequency' THEN
            law.cap_24h := least(law.cap_24h, (r.value ->> '24h')::int4);
            law.cap_7d := least(law.cap_7d, (r.value ->> '7d')::int4);
            law.cap_30d := least(law.cap_30d, (r.value ->> '30d')::int4);
        WHEN 'prefixes' THEN
            law.prefixes := coalesce(law.prefixes, ' ') || translate(r.value::text, '[]",', '    ') || ' ';
        WHEN 'consent' THEN
            law.consent := greatest(law.consent, app.consent_rank(r.value -> 'levels' ->> p_purpose));
            law.per_seller := law.per_seller
                OR coalesce((r.value ->> 'per_seller')::boolean AND r.value -> 'levels' ? p_purpose, false);
        WHEN 'lists' THEN
            law.lists := coalesce(law.lists, '[]') || jsonb_build_array(r.value -> 'lists');
        WHEN 'reassigned' THEN
            law.reassigned_days := least(law.reassigned_days, (r.value ->> 'max_age_days')::int4);
        WHEN 'areas' THEN
            law.areas := coalesce(law.areas, '{}') || r.jurisdiction::text;
        WHEN 'abandon', 'short_calls' THEN
            -- The law's days: a tenant's longer span could water down a bad week.
            number := (r.value ->> 'days')::int4;
            IF r.rule = 'abandon' THEN
                law.abandon_share := least(law.abandon_share, (r.value ->> 'share')::float8);
                law.abandon_min := least(law.abandon_min, (r.value ->> 'min_answers')::int4);
                law.abandon_days := CASE WHEN r.own THEN law.abandon_days ELSE greatest(law.abandon_days, number) END;
                any_abandon_days := greatest(any_abandon_days, number);
            ELSE
                law.short_share := least(law.short_share, (r.value ->> 'share')::float8);
                law.short_min := least(law.short_min, (r.value ->> 'min_answers')::int4);
                law.short_days := CASE WHEN r.own THEN law.short_days ELSE greatest(law.short_days, number) END;
                any_short_days := greatest(any_short_days, number);
            END IF;
        WHEN 'holds' THEN
            law.abandon_hold := greatest(law.abandon_hold, make_interval(hours => (r.value ->> 'abandon_h')::int4));
            law.refusal_hold := greatest(law.refusal_hold, make_interval(hours => 24 * (r.value ->> 'refusal_d')::int4));
            law.conversation_hold := greatest(law.conversation_hold, make_interval(hours => 24 * (r.value ->> 'conversation_d')::int4));
        WHEN 'notice' THEN
            IF r.value ? p_purpose THEN
                law.notice := coalesce(law.notice, '{}') || r.jurisdiction::text;
            END IF;
        WHEN 'caller_series' THEN
            IF r.value ? p_purpose THEN
                law.series := coalesce(law.series, '[]') || jsonb_build_array(r.value -> p_purpose);
            END IF;
        WHEN 'preferences' THEN
            law.preference_days := least(law.preference_days, (r.value ->> 'max_age_days')::int4);
        ELSE
            NULL;
        END CASE;
    END LOOP;
    law.abandon_days := coalesce(law.abandon_days, any_abandon_days);
    law.short_days := coalesce(law.short_days, any_short_days);
END
$$;

-- The law of a dial on a day (UTC). A country without hours of its own gets the generic rules where the organization
-- enabled it, and is missing where it did not.
CREATE OR REPLACE FUNCTION app.law_at(p_organization uuid, p_regions text[], p_purpose text, p_voice text, p_at timestamptz)
RETURNS app.law
LANGUAGE plpgsql STABLE
AS $$
DECLARE
    places text[] := app.jurisdictions(p_regions);
    today date := (p_at AT TIME ZONE 'UTC')::date;
    merged record;
    law app.law;
    country text;
BEGIN
    merged := app.law_merge(p_organization, places, p_purpose, p_voice, today);
    law := merged.law;
    FOREACH country IN ARRAY places LOOP
        CONTINUE WHEN length(country) <> 2 OR country = ANY (merged.covered);
        IF NOT app.region_enabled(p_organization, country, p_at) THEN
            law.missing := country;
            RETURN law;
        END IF;
        IF NOT '*' = ANY (places) THEN
            merged := app.law_merge(p_organization, places || '*'::text, p_purpose, p_voice, today);
            law := merged.law;
            IF NOT '*' = ANY (merged.covered) THEN
                law.missing := country;
                RETURN law;
            END IF;
            places := law.places;
        END IF;
    END LOOP;
    RETURN law;
END
$$;

-- All windows that apply: the campaign's, the law's, and the bands that the person chose.
CREATE OR REPLACE FUNCTION app.law_windows(c public.campaigns, law app.law, chosen jsonb DEFAULT NULL) RETURNS jsonb
LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN jsonb_build_array(jsonb_build_array(app.campaign_span(c))) || law.hours
           || CASE WHEN chosen IS NULL THEN '[]'::jsonb ELSE jsonb_build_array(chosen) END;
END
$$;

-- A person's chosen bands: of the newest snapshot, where the law asks for one.
CREATE OR REPLACE FUNCTION app.preference_spans(p_organization uuid, p_phone text, p_at timestamptz) RETURNS jsonb
LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN (SELECT p.spans FROM public.number_preferences p
             WHERE p.organization_id = p_organization AND p.phone_e164 = p_phone AND p.checked_at <= p_at
             ORDER BY p.checked_at DESC LIMIT 1);
END
$$;

RESET ROLE;
SELECT app.functions_for('app',
    '{rule_lacks, rules_guard, number_area, lead_regions, jurisdictions, region_enabled, law_merge, law_at,
      law_windows, preference_spans, consent_rank}', '{app_owner, app_engine}');
