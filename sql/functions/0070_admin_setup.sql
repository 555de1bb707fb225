-- What the command line writes: organization, carrier account, numbers, agents, campaigns, law enabled.
-- Each *_put takes one JSON object, changes only what the object names, and says what became of it:
-- created, updated or unchanged. Every act leaves an audit row.
SET LOCAL ROLE app_owner;

-- The tenant of this transaction, or an error that says what is wrong.
CREATE OR REPLACE FUNCTION app.org_required() RETURNS uuid
LANGUAGE plpgsql STABLE SET search_path = ''
AS $$
DECLARE
    org uuid := app.active_org();
BEGIN
    IF org IS NULL THEN
        RAISE EXCEPTION 'no valid tenant context: DIALWRIGHT_SECRET differs from the one "migrate" stored'
            USING ERRCODE = '42501';
    END IF;
    RETURN org;
END
$$;

CREATE OR REPLACE FUNCTION app.audit_put(actor text, action text, subject text, subject_id uuid, detail jsonb, at timestamptz)
RETURNS void
LANGUAGE sql SET search_path = ''
AS $$
    INSERT INTO public.audit_log (organization_id, at, actor, action, subject, subject_id, detail)
    VALUES (app.org_required(), at, left(actor, 200), action, subject, subject_id, coalesce(detail, '{}'))
$$;

-- Only the members of `doc` that `allowed` names, without the nulls.
CREATE OR REPLACE FUNCTION app.json_pick(doc jsonb, allowed text[]) RETURNS jsonb
LANGUAGE sql IMMUTABLE SET search_path = ''
AS $$
    SELECT coalesce(jsonb_object_agg(e.key, e.value), '{}')
      FROM jsonb_each(doc) e
     WHERE e.key = ANY (allowed) AND e.value <> 'null'
$$;

CREATE OR REPLACE FUNCTION app.change_row(what text, key text, id uuid, change text, actor text, doc jsonb, at timestamptz) RETURNS jsonb
LANGUAGE plpgsql SET search_path = ''
AS $$
BEGIN
    IF change <> 'unchanged' THEN
        PERFORM app.audit_put(actor, what || '.' || change, what, id, doc, at);
    END IF;
    RETURN jsonb_build_object('what', what, 'key', key, 'id', id, 'change', change);
END
$$;

CREATE OR REPLACE FUNCTION app.org_put(doc jsonb, actor text, at timestamptz) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = ''
AS $$
DECLARE
    picked jsonb := app.json_pick(doc, ARRAY['name', 'legal_name', 'timezone', 'currency', 'weight', 'number_cap_24h',
        'number_cap_7d', 'number_spacing_s', 'recording_days', 'sector', 'settings']);
    was public.organizations;
    n public.organizations;
BEGIN
    SELECT o.* INTO STRICT was FROM public.organizations o WHERE o.id = app.org_required() FOR UPDATE;
    n := jsonb_populate_record(was, picked);
    IF n.timezone IS NOT NULL AND NOT app.zone_known(n.timezone) THEN
        RAISE EXCEPTION 'organization: unknown time zone %', n.timezone USING ERRCODE = '22023';
    END IF;
    IF n IS NOT DISTINCT FROM was THEN
        RETURN app.change_row('organization', was.slug, was.id, 'unchanged', actor, picked, at);
    END IF;
    UPDATE public.organizations o
       SET name = n.name, legal_name = n.legal_name, timezone = n.timezone, currency = n.currency, weight = n.weight,
           number_cap_24h = n.number_cap_24h, number_cap_7d = n.number_cap_7d,
           number_spacing_s = n.number_spacing_s, recording_days = n.recording_days, sector = n.sector, settings = n.settings
     WHERE o.id = was.id;
    RETURN app.change_row('organization', was.slug, was.id, 'updated', actor, picked, at);
END
$$;

-- token_sealed arrives as hex, sealed by the caller for the id it names; without it the stored one stays.
CREATE OR REPLACE FUNCTION app.carrier_put(doc jsonb, actor text, at timestamptz) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = ''
AS $$
DECLARE
    org uuid := app.org_required();
    picked jsonb := app.json_pick(doc, ARRAY['auth_id', 'status', 'lines', 'calls_per_second', 'unknown_limit', 'minute_micros']);
    sealed bytea := decode(doc ->> 'token_sealed', 'hex');
    change text := 'updated';
    was public.carrier_accounts;
    n public.carrier_accounts;
BEGIN
    SELECT a.* INTO was FROM public.carrier_accounts a
     WHERE a.organization_id = org AND a.name = doc ->> 'name' FOR UPDATE;
    IF NOT FOUND THEN
        INSERT INTO public.carrier_accounts (organization_id, id, name, auth_id)
        VALUES (org, (doc ->> 'id')::uuid, doc ->> 'name', doc ->> 'auth_id') RETURNING * INTO was;
        change := 'created';
    END IF;
    n := jsonb_populate_record(was, picked);
    IF change = 'updated' AND n IS NOT DISTINCT FROM was AND sealed IS NULL THEN
        change := 'unchanged';
    ELSE
        UPDATE public.carrier_accounts a
           SET auth_id = n.auth_id, status = n.status, lines = n.lines, calls_per_second = n.calls_per_second,
               unknown_limit = n.unknown_limit, minute_micros = n.minute_micros,
               auth_token_previous_sealed = CASE WHEN sealed IS NULL THEN a.auth_token_previous_sealed ELSE a.auth_token_sealed END,
               auth_token_sealed = coalesce(sealed, a.auth_token_sealed)
         WHERE a.organization_id = org AND a.id = was.id;
    END IF;
    RETURN app.change_row('carrier account', was.name, was.id, change, actor,
        picked || jsonb_build_object('token_changed', sealed IS NOT NULL), at);
END
$$;

CREATE OR REPLACE FUNCTION app.carrier_find(account_name text) RETURNS TABLE (id uuid, auth_id text, token_sealed bytea)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = ''
AS $$
    SELECT a.id, a.auth_id, a.auth_token_sealed FROM public.carrier_accounts a
     WHERE a.organization_id = (SELECT app.active_org()) AND a.name = account_name
$$;

CREATE OR REPLACE FUNCTION app.number_put(doc jsonb, actor text, at timestamptz) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = ''
AS $$
DECLARE
    org uuid := app.org_required();
    picked jsonb := app.json_pick(doc, ARRAY['label', 'status', 'lines']);
    account uuid;
    change text := 'updated';
    was public.phone_numbers;
    n public.phone_numbers;
BEGIN
    SELECT a.id INTO account FROM public.carrier_accounts a
     WHERE a.organization_id = org AND (doc ->> 'account' IS NULL OR a.name = doc ->> 'account')
     ORDER BY a.created_at LIMIT 1;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'number %: no carrier account %', doc ->> 'phone', coalesce(doc ->> 'account', 'at all')
            USING ERRCODE = '22023';
    END IF;
    SELECT p.* INTO was FROM public.phone_numbers p
     WHERE p.organization_id = org AND p.phone_e164 = doc ->> 'phone' FOR UPDATE;
    IF NOT FOUND THEN
        INSERT INTO public.phone_numbers (organization_id, carrier_account_id, phone_e164)
        VALUES (org, account, doc ->> 'phone') RETURNING * INTO was;
        change := 'created';
    END IF;
    n := jsonb_populate_record(was, picked);
    IF doc ->> 'account' IS NOT NULL THEN
        n.carrier_account_id := account;
    END IF;
    IF change = 'updated' AND n IS NOT DISTINCT FROM was THEN
        change := 'unchanged';
    ELSE
        UPDATE public.phone_numbers p
           SET carrier_account_id = n.carrier_account_id, label = n.label, status = n.status, lines = n.lines
         WHERE p.organization_id = org AND p.id = was.id;
    END IF;
    RETURN app.change_row('number', was.phone_e164, was.id, change, actor, picked, at);
END
$$;

CREATE OR REPLACE FUNCTION app.agent_put(doc jsonb, actor text, at timestamptz) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = ''
AS $$
DECLARE
    org uuid := app.org_required();
    change text := 'unchanged';
    was public.profiles;
    here public.agent_presence;
    wanted public.agent_presence;
BEGIN
    SELECT p.* INTO was FROM public.profiles p
     WHERE p.organization_id = org AND p.archived_at IS NULL
       AND (p.email = doc ->> 'email' OR (doc ->> 'email' IS NULL AND p.name = doc ->> 'name' AND p.role = 'agent'))
       FOR UPDATE;
    IF NOT FOUND THEN
        INSERT INTO public.profiles (organization_id, name, email, role, phone_e164)
        VALUES (org, doc ->> 'name', doc ->> 'email', 'agent', doc ->> 'phone') RETURNING * INTO was;
        change := 'created';
    ELSIF (was.name, was.phone_e164) IS DISTINCT FROM
          (coalesce(doc ->> 'name', was.name), coalesce(doc ->> 'phone', was.phone_e164)) THEN
        UPDATE public.profiles p
           SET name = coalesce(doc ->> 'name', p.name), phone_e164 = coalesce(doc ->> 'phone', p.phone_e164)
         WHERE p.organization_id = org AND p.id = was.id;
        change := 'updated';
    END IF;
    INSERT INTO public.agent_presence (organization_id, profile_id, state_since)
    VALUES (org, was.id, at) ON CONFLICT DO NOTHING;
    SELECT a.* INTO STRICT here FROM public.agent_presence a WHERE a.organization_id = org AND a.profile_id = was.id FOR UPDATE;
    wanted := jsonb_populate_record(here, app.json_pick(doc, ARRAY['skills', 'languages']));
    -- A running call keeps its agent: only who is free or away is moved.
    IF (doc ->> 'available')::boolean AND here.state = 'offline' THEN
        wanted.state := 'available';
        wanted.state_since := at;
    ELSIF NOT (doc ->> 'available')::boolean AND here.state = 'available' THEN
        wanted.state := 'offline';
        wanted.state_since := at;
    END IF;
    IF wanted IS DISTINCT FROM here THEN
        UPDATE public.agent_presence a
           SET skills = wanted.skills, languages = wanted.languages, state = wanted.state, state_since = wanted.state_since
         WHERE a.organization_id = org AND a.profile_id = was.id;
        IF change = 'unchanged' THEN
            change := 'updated';
        END IF;
    END IF;
    RETURN app.change_row('agent', was.name, was.id, change, actor, doc - 'phone' - 'email', at);
END
$$;

-- An organization's word that it may phone a country.
CREATE OR REPLACE FUNCTION app.region_put(country text, actor text, note text, at timestamptz) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = ''
AS $$
DECLARE
    org uuid := app.org_required();
    change text := 'unchanged';
    was public.region_enablements;
BEGIN
    SELECT r.* INTO was FROM public.region_enablements r
     WHERE r.organization_id = org AND r.region = upper(country) FOR UPDATE;
    IF NOT FOUND THEN
        INSERT INTO public.region_enablements (organization_id, region, enabled_by, note, enabled_at)
        VALUES (org, upper(country), left(actor, 200), note, at);
        change := 'created';
    ELSIF was.disabled_at IS NOT NULL THEN
        UPDATE public.region_enablements r
           SET disabled_at = NULL, enabled_by = left(actor, 200), enabled_at = at
         WHERE r.organization_id = org AND r.region = upper(country);
        change := 'updated';
    END IF;
    RETURN app.change_row('region', upper(country), NULL, change, actor, jsonb_build_object('note', note), at);
END
$$;

CREATE OR REPLACE FUNCTION app.retry_policy_put(doc jsonb, actor text, at timestamptz) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = ''
AS $$
DECLARE
    org uuid := app.org_required();
    change text := 'unchanged';
    was public.retry_policies;
BEGIN
    SELECT p.* INTO was FROM public.retry_policies p WHERE p.organization_id = org AND p.name = doc ->> 'name' FOR UPDATE;
    IF NOT FOUND THEN
        INSERT INTO public.retry_policies (organization_id, name) VALUES (org, doc ->> 'name') RETURNING * INTO was;
        change := 'created';
    END IF;
    IF NOT was.waits @> (doc -> 'waits') OR (was.waits || (doc -> 'waits')) <> was.waits THEN
        UPDATE public.retry_policies p SET waits = p.waits || (doc -> 'waits')
         WHERE p.organization_id = org AND p.id = was.id;
        IF change = 'unchanged' THEN
            change := 'updated';
        END IF;
    END IF;
    RETURN app.change_row('retry policy', was.name, was.id, change, actor, doc, at);
END
$$;

-- By id or by name among those not archived.
CREATE OR REPLACE FUNCTION app.campaign_find(name_or_id text) RETURNS uuid
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = ''
AS $$
DECLARE
    found uuid;
BEGIN
    SELECT c.id INTO found FROM public.campaigns c
     WHERE c.organization_id = app.org_required()
       AND (c.id::text = lower(name_or_id) OR (c.name = name_or_id AND c.archived_at IS NULL))
     ORDER BY (c.id::text = lower(name_or_id)) DESC LIMIT 1;
    IF found IS NULL THEN
        RAISE EXCEPTION 'no campaign %', name_or_id USING ERRCODE = 'P0002';
    END IF;
    RETURN found;
END
$$;

CREATE OR REPLACE FUNCTION app.campaign_numbers_put(campaign uuid, phones jsonb) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = ''
AS $$
DECLARE
    org uuid := app.org_required();
    missing text;
    changed int;
BEGIN
    SELECT w.phone INTO missing FROM jsonb_array_elements_text(phones) w (phone)
     WHERE NOT EXISTS (SELECT FROM public.phone_numbers p WHERE p.organization_id = org AND p.phone_e164 = w.phone) LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'campaign: % is not one of the numbers of this organization', missing USING ERRCODE = '22023';
    END IF;
    WITH wanted AS (
        SELECT p.id FROM public.phone_numbers p, jsonb_array_elements_text(phones) w (phone)
         WHERE p.organization_id = org AND p.phone_e164 = w.phone
    ), gone AS (
        DELETE FROM public.campaign_numbers n
         WHERE n.organization_id = org AND n.campaign_id = campaign
           AND n.phone_number_id NOT IN (SELECT id FROM wanted) RETURNING 1
    ), come AS (
        INSERT INTO public.campaign_numbers (organization_id, campaign_id, phone_number_id)
        SELECT org, campaign, id FROM wanted ON CONFLICT DO NOTHING RETURNING 1
    )
    SELECT (SELECT count(*) FROM gone) + (SELECT count(*) FROM come) INTO changed;
    RETURN changed > 0;
END
$$;

-- The settings of a campaign; its status moves by campaign_act alone.
CREATE OR REPLACE FUNCTION app.campaign_put(doc jsonb, actor text, at timestamptz) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = ''
AS $$
DECLARE
    org uuid := app.org_required();
    picked jsonb := app.json_pick(doc, ARRAY['description', 'start_date', 'end_date', 'time_start', 'time_end',
        'weekdays', 'timezone', 'language', 'instructions', 'greeting', 'disclosure', 'farewell', 'voice', 'model',
        'tools', 'variables', 'weight', 'lines', 'calls_per_second', 'max_attempts', 'ring_timeout_s',
        'max_duration_s', 'silence_timeout_s', 'amd', 'voicemail_action', 'voicemail_message', 'recording',
        'transfer', 'transfer_timeout_s', 'transfer_apology', 'purpose', 'voice_kind', 'b2b', 'legal_name',
        'callback_number', 'budget_minor', 'budget_currency', 'reserve_minor', 'category', 'metadata']);
    change text := 'updated';
    was public.campaigns;
    n public.campaigns;
BEGIN
    SELECT c.* INTO was FROM public.campaigns c
     WHERE c.organization_id = org AND c.name = doc ->> 'name' AND c.archived_at IS NULL FOR UPDATE;
    IF NOT FOUND THEN
        INSERT INTO public.campaigns (organization_id, name) VALUES (org, doc ->> 'name') RETURNING * INTO was;
        change := 'created';
    END IF;
    n := jsonb_populate_record(was, picked);
    IF doc ? 'retry_policy' THEN
        SELECT p.id INTO n.retry_policy_id FROM public.retry_policies p
         WHERE p.organization_id = org AND p.name = doc ->> 'retry_policy';
        IF NOT FOUND THEN
            RAISE EXCEPTION 'campaign %: no retry policy %', was.name, doc ->> 'retry_policy' USING ERRCODE = '22023';
        END IF;
    END IF;
    -- The column is there, leaving a message is not: what would be ignored is refused.
    IF n.voicemail_action = 'message' THEN
        RAISE EXCEPTION 'campaign %: voicemail_action message is not supported, no message can be left yet: use hangup', was.name
            USING ERRCODE = '22023';
    END IF;
    IF n.timezone IS NOT NULL AND NOT app.zone_known(n.timezone) THEN
        RAISE EXCEPTION 'campaign %: unknown time zone %', was.name, n.timezone USING ERRCODE = '22023';
    END IF;
    IF change = 'updated' AND n IS NOT DISTINCT FROM was THEN
        change := 'unchanged';
    ELSIF was.status = 'completed' THEN
        RETURN jsonb_build_object('refused', format('campaign %s is completed; completed is final', was.name));
    ELSE
        UPDATE public.campaigns c
           SET description = n.description, start_date = n.start_date, end_date = n.end_date,
               time_start = n.time_start, time_end = n.time_end, weekdays = n.weekdays, timezone = n.timezone,
               language = n.language, instructions = n.instructions, greeting = n.greeting,
               disclosure = n.disclosure, farewell = n.farewell, voice = n.voice, model = n.model,
               tools = n.tools, variables = n.variables, weight = n.weight, lines = n.lines,
               calls_per_second = n.calls_per_second, max_attempts = n.max_attempts,
               retry_policy_id = n.retry_policy_id, ring_timeout_s = n.ring_timeout_s,
               max_duration_s = n.max_duration_s, silence_timeout_s = n.silence_timeout_s, amd = n.amd,
               voicemail_action = n.voicemail_action, voicemail_message = n.voicemail_message,
               recording = n.recording, transfer = n.transfer, transfer_timeout_s = n.transfer_timeout_s,
               transfer_apology = n.transfer_apology, purpose = n.purpose, voice_kind = n.voice_kind,
               b2b = n.b2b, legal_name = n.legal_name, callback_number = n.callback_number,
               budget_minor = n.budget_minor, budget_currency = n.budget_currency,
               reserve_minor = n.reserve_minor, category = n.category, metadata = n.metadata
         WHERE c.organization_id = org AND c.id = was.id;
    END IF;
    IF doc ? 'numbers' AND app.campaign_numbers_put(was.id, doc -> 'numbers') AND change = 'unchanged' THEN
        change := 'updated';
    END IF;
    RETURN app.change_row('campaign', was.name, was.id, change, actor, picked - 'instructions', at);
END
$$;

RESET ROLE;
SET LOCAL ROLE app_engine;

-- The organization with that slug; without a slug the only one there is.
CREATE OR REPLACE FUNCTION engine.organization_find(wanted text) RETURNS TABLE (id uuid, slug text, name text, organizations int4)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = ''
AS $$
    SELECT o.id, o.slug, o.name, count(*) OVER ()::int4
      FROM public.organizations o
     WHERE o.archived_at IS NULL AND (wanted IS NULL OR o.slug = wanted)
     ORDER BY o.created_at LIMIT 1
$$;

CREATE OR REPLACE FUNCTION engine.organization_create(new_slug text, new_name text) RETURNS TABLE (id uuid, created boolean)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = ''
AS $$
#variable_conflict use_column
BEGIN
    -- Two set-ups at once must not make two; slugs are no unique index, as every index is led by the tenant.
    PERFORM pg_advisory_xact_lock(hashtextextended('dialwright organization ' || new_slug, 0));
    RETURN QUERY SELECT o.id, false FROM public.organizations o WHERE o.slug = new_slug AND o.archived_at IS NULL LIMIT 1;
    IF NOT FOUND THEN
        RETURN QUERY INSERT INTO public.organizations AS o (slug, name) VALUES (new_slug, new_name) RETURNING o.id, true;
    END IF;
END
$$;

RESET ROLE;
