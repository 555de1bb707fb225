-- Reading lists in. Every row of a list becomes a lead or a named reject, in the same transaction as its batch.
SET LOCAL ROLE app_owner;

CREATE OR REPLACE FUNCTION app.import_begin(campaign text, file text, digest bytea, columns jsonb, actor text, at timestamptz) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = ''
AS $$
DECLARE
    org uuid := app.org_required();
    target uuid := CASE WHEN campaign IS NOT NULL THEN app.campaign_find(campaign) END;
    state text;
    made uuid;
BEGIN
    SELECT c.status INTO state FROM public.campaigns c WHERE c.organization_id = org AND c.id = target;
    IF state = 'completed' THEN
        RETURN jsonb_build_object('refused', format('campaign %s is completed, which is final', campaign));
    END IF;
    INSERT INTO public.imports (organization_id, campaign_id, file_name, file_sha256, mapping)
    VALUES (org, target, file, digest, columns) RETURNING id INTO made;
    PERFORM app.audit_put(actor, 'import.begin', 'import', made, jsonb_build_object('campaign', target, 'file', file), at);
    RETURN jsonb_build_object('id', made, 'campaign_id', target);
END
$$;

-- The level of consent that a country asks of this campaign; NULL when none.
CREATE OR REPLACE FUNCTION app.consent_level_needed(c public.campaigns, country text, at timestamptz) RETURNS text
LANGUAGE sql STABLE SET search_path = ''
AS $$
    SELECT CASE r.consent WHEN 2 THEN 'written' WHEN 1 THEN 'express' END
      FROM app.law_at(c.organization_id, ARRAY[country], c.purpose, c.voice_kind, at) r
     WHERE r.missing IS NULL
$$;

CREATE OR REPLACE FUNCTION app.consent_rank(level text) RETURNS int4
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$
    SELECT CASE level WHEN 'written' THEN 2 WHEN 'express' THEN 1 ELSE 0 END
$$;

-- One batch. The arrays run in parallel, one element per row of the list; reasons is set where the reader
-- already found a fault, zones holds names parted by commas. Consent without evidence is no consent.
-- EXECUTE, because the planner takes an array it cannot see for ten elements and would join 2,000 rows by nested
-- loops; forcing custom plans for the whole function would plan every foreign key check anew. Scalar look-ups, not EXISTS,
-- because that may be hashed: a scan of all leads for every batch.
CREATE OR REPLACE FUNCTION app.import_batch(p_import uuid, lines int8[], reasons text[], details text[], raws text[], phones text[],
                                 regions text[], zones text[], names text[], emails text[], timezones text[], attributes text[],
                                 consent_ats text[], consent_levels text[], consent_words text[], sources text[], at timestamptz)
RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = ''
AS $$
DECLARE
    org uuid := app.org_required();
    c public.campaigns;
    seller text;
    answer jsonb;
BEGIN
    SELECT x.* INTO c FROM public.imports m
      JOIN public.campaigns x ON x.organization_id = m.organization_id AND x.id = m.campaign_id
     WHERE m.organization_id = org AND m.id = p_import FOR SHARE OF x;
    IF c.status = 'completed' OR c.closing_reason IS NOT NULL THEN
        RAISE EXCEPTION 'campaign % takes no leads any more', c.name USING ERRCODE = 'DW005';
    END IF;
    SELECT coalesce(c.legal_name, o.legal_name, o.name) INTO seller FROM public.organizations o WHERE o.id = org;

    EXECUTE $statement$
    WITH r AS MATERIALIZED (
        SELECT t.*, CASE WHEN t.consent_words <> '' AND t.consent_at <> '' THEN t.consent_at::timestamptz END AS granted_at
          FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
               AS t (line, reason, detail, raw, phone, region, zones, name, email, zone, attributes, consent_at, consent_level,
                     consent_words, source)
    ), countries AS MATERIALIZED (
        SELECT d.region, CASE WHEN ($20).id IS NOT NULL THEN app.consent_level_needed($20, d.region, $18) END AS needed
          FROM (SELECT DISTINCT r.region FROM r WHERE r.reason IS NULL AND r.region <> '') d
    ), named_zones AS MATERIALIZED (
        SELECT d.zone, app.zone_known(d.zone) AS known
          FROM (SELECT DISTINCT r.zone FROM r WHERE r.reason IS NULL AND r.zone <> '') d
    ), placed AS MATERIALIZED (
        -- An override beats the built-in table of prefixes.
        SELECT r.line, coalesce(o.region, nullif(r.region, '')) AS region,
               coalesce(o.zones, string_to_array(nullif(r.zones, ''), ','), '{}') AS zones,
               (SELECT l.id FROM public.leads l
                 WHERE l.organization_id = $17 AND l.phone_e164 = r.phone AND l.archived_at IS NULL LIMIT 1) AS lead_id
          FROM r
          LEFT JOIN LATERAL (SELECT z.region, z.zones FROM public.zone_overrides z
                              WHERE starts_with(r.phone, z.prefix) ORDER BY length(z.prefix) DESC LIMIT 1) o ON true
         WHERE r.reason IS NULL
    ), judged AS MATERIALIZED (
        SELECT r.line, r.raw, r.phone, p.region, p.zones, r.name, r.email, r.zone, r.attributes, r.granted_at, r.consent_level,
               r.consent_words, r.source, r.detail, n.needed,
               CASE WHEN r.reason IS NOT NULL THEN r.reason
                    WHEN (SELECT true FROM public.do_not_call x
                           WHERE x.organization_id = $17 AND x.phone_e164 = r.phone AND x.lifted_at IS NULL
                             AND (x.campaign_id IS NULL OR x.campaign_id = ($20).id) LIMIT 1) THEN 'dnc'
                    WHEN p.lead_id IS NOT NULL AND (
                         SELECT true FROM public.call_queue q
                          WHERE q.organization_id = $17 AND q.campaign_id = ($20).id AND q.lead_id = p.lead_id LIMIT 1) THEN 'duplicate'
                    WHEN p.region IS NULL THEN 'unknown_region'
                    WHEN r.attributes::jsonb ->> 'address_region' !~ '^[A-Z]{2}(-[A-Z0-9]{1,3})?$'
                      OR r.attributes::jsonb ->> 'residence_region' !~ '^[A-Z]{2}(-[A-Z0-9]{1,3})?$' THEN 'unknown_region'
                    WHEN r.zone <> '' AND NOT z.known THEN 'unknown_zone'
                    WHEN r.zone = '' AND cardinality(p.zones) = 0 AND ($20).timezone IS NULL THEN 'unknown_zone'
                    WHEN n.needed IS NOT NULL AND NOT (
                             (r.granted_at <= $18 AND app.consent_rank(r.consent_level) >= app.consent_rank(n.needed))
                             OR coalesce((SELECT true FROM public.consents k
                                           WHERE k.organization_id = $17 AND k.phone_e164 = r.phone AND k.scope = 'ai_voice'
                                             AND k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > $18)
                                             AND app.consent_rank(k.level) >= app.consent_rank(n.needed) LIMIT 1), false))
                         THEN 'consent_missing'
               END AS reason
          FROM r
          LEFT JOIN placed p ON p.line = r.line
          LEFT JOIN countries n ON n.region = p.region
          LEFT JOIN named_zones z ON z.zone = r.zone
    ), kept AS (
        INSERT INTO public.leads AS l (organization_id, import_id, name, phone_e164, email, timezone, zones, region, source, attributes,
                                       address_region, residence_region)
        SELECT $17, $16, j.name, j.phone, nullif(j.email, ''), nullif(j.zone, ''), j.zones, j.region, nullif(j.source, ''), j.attributes::jsonb,
               j.attributes::jsonb ->> 'address_region', j.attributes::jsonb ->> 'residence_region'
          FROM judged j WHERE j.reason IS NULL
        ON CONFLICT (organization_id, phone_e164) WHERE archived_at IS NULL DO UPDATE
           SET name = coalesce(nullif(excluded.name, ''), l.name), email = coalesce(excluded.email, l.email),
               timezone = coalesce(excluded.timezone, l.timezone), zones = excluded.zones, region = excluded.region,
               source = coalesce(excluded.source, l.source), attributes = l.attributes || excluded.attributes,
               address_region = coalesce(excluded.address_region, l.address_region),
               residence_region = coalesce(excluded.residence_region, l.residence_region)
        RETURNING l.id, l.phone_e164, l.score, xmax = 0 AS added
    ), consented AS (
        INSERT INTO public.consents (organization_id, phone_e164, lead_id, scope, level, seller, source, evidence, granted_at)
        SELECT $17, j.phone, k.id, 'ai_voice', j.consent_level, $19, 'import',
               jsonb_build_object('words', j.consent_words, 'import', $16, 'line', j.line), j.granted_at
          FROM judged j JOIN kept k ON k.phone_e164 = j.phone
         WHERE j.reason IS NULL AND j.granted_at <= $18
        ON CONFLICT DO NOTHING RETURNING 1
    ), enrolled AS (
        INSERT INTO public.call_queue (organization_id, campaign_id, lead_id, max_attempts, score, next_retry_at, ready)
        SELECT $17, ($20).id, k.id, ($20).max_attempts, k.score, $18, true FROM kept k WHERE ($20).id IS NOT NULL
        ON CONFLICT DO NOTHING RETURNING 1
    ), rejected AS (
        INSERT INTO public.import_rejects (organization_id, import_id, line, reason, detail, raw)
        SELECT $17, $16, j.line, j.reason,
               CASE j.reason
                   WHEN 'dnc' THEN 'this number asked not to be called'
                   WHEN 'duplicate' THEN 'already in this campaign'
                   WHEN 'unknown_region' THEN 'the country of this number or of its stated address is not known'
                   WHEN 'unknown_zone' THEN CASE WHEN j.zone <> '' THEN 'no such time zone: ' || left(j.zone, 80)
                                                 ELSE 'the zone of this number is not known, and the campaign names none' END
                   WHEN 'consent_missing' THEN
                        CASE WHEN j.granted_at > $18 THEN 'the consent lies in the future'
                             WHEN j.granted_at IS NOT NULL THEN format('%s asks for %s consent, the row has %s', j.region, j.needed, j.consent_level)
                             ELSE format('%s asks for %s consent, and the row has none with evidence', j.region, j.needed) END
                   ELSE j.detail END,
               j.raw
          FROM judged j WHERE j.reason IS NOT NULL
        RETURNING line, reason, detail
    )
    SELECT jsonb_build_object('added', (SELECT count(*) FROM kept WHERE added), 'updated', (SELECT count(*) FROM kept WHERE NOT added),
               'enrolled', (SELECT count(*) FROM enrolled), 'consents', (SELECT count(*) FROM consented),
               'rejects', (SELECT coalesce(jsonb_agg(jsonb_build_array(line, reason, detail) ORDER BY line), '[]') FROM rejected))
    $statement$
      INTO answer
     USING lines, reasons, details, raws, phones, regions, zones, names, emails, timezones, attributes, consent_ats,
           consent_levels, consent_words, sources, p_import, org, at, seller, c;
    UPDATE public.imports m
       SET rows_read = m.rows_read + cardinality(lines), rows_added = m.rows_added + (answer ->> 'added')::int8,
           rows_updated = m.rows_updated + (answer ->> 'updated')::int8,
           rows_rejected = m.rows_rejected + jsonb_array_length(answer -> 'rejects')
     WHERE m.organization_id = org AND m.id = p_import;
    RETURN answer;
END
$$;

-- The books must balance: every row read is a lead or a reject.
CREATE OR REPLACE FUNCTION app.import_end(p_import uuid, rows_seen int8, failure text, actor text, at timestamptz) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = ''
AS $$
DECLARE
    org uuid := app.org_required();
    m public.imports;
BEGIN
    UPDATE public.imports x
       SET finished_at = at, error = failure,
           status = CASE WHEN failure IS NULL AND x.rows_read = rows_seen
                          AND x.rows_added + x.rows_updated + x.rows_rejected = rows_seen THEN 'finished' ELSE 'failed' END
     WHERE x.organization_id = org AND x.id = p_import AND x.status = 'running' RETURNING * INTO m;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'import % is not running', p_import USING ERRCODE = 'P0002';
    END IF;
    PERFORM app.audit_put(actor, 'import.' || m.status, 'import', m.id, jsonb_build_object('read', m.rows_read, 'added', m.rows_added,
        'updated', m.rows_updated, 'rejected', m.rows_rejected, 'error', failure), at);
    RETURN jsonb_build_object('import', m.id, 'status', m.status, 'rows', m.rows_read, 'added', m.rows_added,
        'updated', m.rows_updated, 'rejected', m.rows_rejected,
        'reasons', (SELECT coalesce(jsonb_object_agg(r.reason, r.n), '{}')
                      FROM (SELECT j.reason, count(*) AS n FROM public.import_rejects j
                             WHERE j.organization_id = org AND j.import_id = m.id GROUP BY 1) r));
END
$$;

RESET ROLE;
