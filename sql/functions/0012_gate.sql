-- The gate: every dial passes it twice (claim, and again when the row is written), and once more in part when the
-- phone is answered. It fails closed: what is not known is not dialed. Runs as whoever calls it, so that it sees
-- one tenant in tenant functions and the tenant named by its parameters in the claim.
SET LOCAL ROLE app_owner;

CREATE OR REPLACE FUNCTION app.verdict(reason text, next_change_at timestamptz DEFAULT NULL, evidence jsonb DEFAULT '{}') RETURNS app.verdict
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$
    SELECT row(reason, next_change_at, evidence)::app.verdict
$$;

-- Names of a business are compared by their letters and digits.
CREATE OR REPLACE FUNCTION app.same_seller(a text, b text) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$
    SELECT regexp_replace(lower(a), '[^[:alnum:]]', '', 'g') = regexp_replace(lower(b), '[^[:alnum:]]', '', 'g')
$$;

-- Minor units to millionths of the currency.
CREATE OR REPLACE FUNCTION app.minor_to_micros(amount int8, currency text) RETURNS int8
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$
    SELECT amount * CASE WHEN currency IN ('BIF', 'CLP', 'DJF', 'GNF', 'ISK', 'JPY', 'KMF', 'KRW', 'PYG', 'RWF', 'UGX', 'VND', 'VUV', 'XAF', 'XOF', 'XPF') THEN 1000000
                         WHEN currency IN ('BHD', 'IQD', 'JOD', 'KWD', 'LYD', 'OMR', 'TND') THEN 1000
                         ELSE 10000 END
$$;

-- The number of calls that may begin within a span of time, so that no span of it ever sees more: (n, span).
CREATE OR REPLACE FUNCTION app.pace(per_second float8, OUT calls int4, OUT span interval)
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$
    SELECT greatest(1, floor(per_second))::int4, make_interval(secs => greatest(1, floor(per_second)) / per_second)
$$;

-- Pauses: one switch for the platform, a tenant, a campaign, a number of ours or a number we phone. A pause that is
-- dated a little ahead by another machine's clock counts already.
CREATE OR REPLACE FUNCTION app.gate_pauses(p_organization uuid, p_campaign uuid, p_from text, p_to text, p_at timestamptz) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = ''
AS $$
BEGIN
    RETURN coalesce(
        (SELECT 'platform' FROM public.platform_pauses p WHERE p.resumed_at IS NULL OR p.resumed_at > p_at LIMIT 1),
        (SELECT p.scope FROM public.dial_pauses p
          WHERE p.organization_id = p_organization AND (p.resumed_at IS NULL OR p.resumed_at > p_at)
            AND (p.scope = 'tenant' OR p.campaign_id = p_campaign OR p.phone_e164 IN (p_from, p_to))
          ORDER BY p.scope = 'number' LIMIT 1));
END
$$;

CREATE OR REPLACE FUNCTION app.gate_dnc(p_organization uuid, p_campaign uuid, p_phone text) RETURNS app.verdict
LANGUAGE plpgsql STABLE SET search_path = ''
AS $$
DECLARE
    entry record;
BEGIN
    SELECT d.id, d.campaign_id INTO entry
      FROM public.do_not_call d
     WHERE d.organization_id = p_organization AND d.phone_e164 = p_phone AND d.lifted_at IS NULL
       AND (d.campaign_id IS NULL OR d.campaign_id = p_campaign)
     ORDER BY d.campaign_id NULLS FIRST LIMIT 1;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    RETURN app.verdict(CASE WHEN entry.campaign_id IS NULL THEN 'dnc_internal' ELSE 'dnc_campaign' END, NULL,
                       jsonb_build_object('do_not_call', entry.id));
END
$$;

-- The strictest consent that the laws ask for, and whether it is on file at that moment.
CREATE OR REPLACE FUNCTION app.gate_consent(c public.campaigns, p_seller text, p_phone text, laws jsonb, p_at timestamptz) RETURNS app.verdict
LANGUAGE plpgsql STABLE SET search_path = ''
AS $$
DECLARE
    asked boolean;
    written boolean;
    per_seller boolean;
    held record;
BEGIN
    SELECT bool_or(r.level IS NOT NULL), bool_or(r.level = 'written'), bool_or(r.level IS NOT NULL AND r.per_seller)
      INTO asked, written, per_seller
      FROM (SELECT e.value #>> ARRAY['consent', 'levels', c.purpose] AS level,
                   coalesce((e.value #>> '{consent,per_seller}')::boolean, false) AS per_seller
              FROM jsonb_each(laws) AS e) AS r;
    IF NOT coalesce(asked, false) THEN
        RETURN app.verdict(NULL, NULL, '{"consent": "not asked"}');
    END IF;
    SELECT t.id, t.level, t.granted_at INTO held
      FROM public.consents t
     WHERE t.organization_id = c.organization_id AND t.phone_e164 = p_phone
       AND (t.scope = 'ai_voice' OR (c.voice_kind = 'human' AND t.scope = 'human_voice'))
       AND (t.level = 'written' OR NOT coalesce(written, false))
       AND t.granted_at <= p_at AND (t.expires_at IS NULL OR t.expires_at > p_at) AND (t.revoked_at IS NULL OR t.revoked_at > p_at)
       AND (NOT per_seller OR app.same_seller(t.seller, p_seller))
     ORDER BY t.granted_at DESC LIMIT 1;
    IF NOT FOUND THEN
        RETURN app.verdict('consent_missing', NULL, jsonb_build_object('consent_asked',
            CASE WHEN written THEN 'written' ELSE 'express' END, 'per_seller', per_seller));
    END IF;
    RETURN app.verdict(NULL, NULL, jsonb_build_object('consent', held.id, 'consent_level', held.level));
END
$$;

-- Dates, weekdays, hours and holidays, in every zone the lead may be in.
CREATE OR REPLACE FUNCTION app.gate_window(c public.campaigns, zones text[], laws jsonb, p_at timestamptz) RETURNS app.verdict
LANGUAGE plpgsql STABLE SET search_path = ''
AS $$
DECLARE
    opening timestamptz;
    zone text;
    today date;
    why text := 'outside_window';
    seen jsonb := jsonb_build_object('zones', to_jsonb(zones));
BEGIN
    IF cardinality(zones) = 0 THEN
        RETURN app.verdict('timezone_unknown', NULL, seen);
    END IF;
    FOREACH zone IN ARRAY zones LOOP
        IF NOT app.zone_known(zone) THEN
            RETURN app.verdict('timezone_unknown', NULL, seen);
        END IF;
    END LOOP;
    opening := app.windows_next(app.requirements(c, laws), zones, p_at);
    IF opening = p_at THEN
        RETURN app.verdict(NULL, NULL, seen);
    END IF;
    FOREACH zone IN ARRAY zones LOOP
        today := (p_at AT TIME ZONE zone)::date;
        IF today < c.start_date OR today > c.end_date OR (opening IS NULL AND c.end_date IS NOT NULL) THEN
            why := 'dates';
        ELSIF why = 'outside_window' AND EXISTS (SELECT FROM jsonb_each(laws) AS e
                WHERE (e.value #>> '{hours,holidays}')::boolean AND app.is_holiday(e.key, today)) THEN
            why := 'holiday';
        END IF;
    END LOOP;
    RETURN app.verdict(why, opening, seen);
END
$$;

-- Caps per phone number across campaigns, spacing, and no second call while one may be live. Counted: dials that
-- rang or may have.
CREATE OR REPLACE FUNCTION app.gate_number(o public.organizations, p_phone text, laws jsonb, p_self uuid, p_at timestamptz) RETURNS app.verdict
LANGUAGE plpgsql STABLE SET search_path = ''
AS $$
DECLARE
    dials timestamptz[];
    live uuid;
    cap_24h int4;
    cap_7d int4;
    cap_30d int4;
    why text;
    until timestamptz;
    seen jsonb;
BEGIN
    SELECT array_agg(d.intent_at ORDER BY d.intent_at DESC),
           (array_agg(d.id) FILTER (WHERE d.status NOT IN ('ended', 'not_placed')))[1]
      INTO dials, live
      FROM public.call_logs d
     WHERE d.organization_id = o.id AND d.callee_number = p_phone AND d.may_have_rung
       AND d.intent_at > p_at - interval '30 days' AND d.id IS DISTINCT FROM p_self;
    SELECT least(o.number_cap_24h, min((e.value #>> '{frequency,24h}')::int4)),
           least(o.number_cap_7d, min((e.value #>> '{frequency,7d}')::int4)), min((e.value #>> '{frequency,30d}')::int4)
      INTO cap_24h, cap_7d, cap_30d
      FROM jsonb_each(laws) AS e;
    seen := jsonb_build_object('dials_30d', coalesce(cardinality(dials), 0), 'last_dial', dials[1],
                               'caps', jsonb_build_object('24h', cap_24h, '7d', cap_7d, '30d', cap_30d));
    IF live IS NOT NULL THEN
        RETURN app.verdict('duplicate', p_at + interval '1 minute', seen || jsonb_build_object('live', live));
    END IF;
    SELECT g.reason, g.free_at INTO why, until
      FROM (VALUES ('spacing', dials[1] + make_interval(secs => o.number_spacing_s)),
                   ('attempt_limit', dials[cap_24h] + interval '24 hours'),
                   ('attempt_limit', dials[cap_7d] + interval '7 days'),
                   ('attempt_limit', dials[cap_30d] + interval '30 days')) AS g (reason, free_at)
     WHERE g.free_at > p_at
     ORDER BY g.free_at DESC LIMIT 1;
    RETURN app.verdict(why, until, seen);
END
$$;

-- Budget, caller id, lines and calls per second of account and campaign.
CREATE OR REPLACE FUNCTION app.gate_pace(c public.campaigns, p_from text, p_self uuid, p_at timestamptz) RETURNS app.verdict
LANGUAGE plpgsql STABLE SET search_path = ''
AS $$
DECLARE
    n record;
    account_live record;
    campaign_live int8;
    pace record;
    recent record;
BEGIN
    IF app.budget_spent(c) THEN
        RETURN app.verdict('budget', NULL, jsonb_build_object('spent_micros', c.spent_micros));
    END IF;
    SELECT a.id, a.lines, a.calls_per_second, a.unknown_limit, p.lines AS number_lines INTO n
      FROM public.phone_numbers p
      JOIN public.campaign_numbers m ON m.organization_id = p.organization_id AND m.phone_number_id = p.id AND m.campaign_id = c.id
      JOIN public.carrier_accounts a ON a.organization_id = p.organization_id AND a.id = p.carrier_account_id AND a.status = 'active'
     WHERE p.organization_id = c.organization_id AND p.phone_e164 = p_from AND p.status = 'active';
    IF NOT FOUND THEN
        RETURN app.verdict('no_line', NULL, jsonb_build_object('caller_id', 'not active in this campaign'));
    END IF;
    SELECT count(*) AS lines, count(*) FILTER (WHERE l.status = 'outcome_unknown') AS unknown,
           count(*) FILTER (WHERE l.caller_number = p_from) AS number_lines INTO account_live
      FROM public.call_logs l
     WHERE l.organization_id = c.organization_id AND l.carrier_account_id = n.id
       AND l.status NOT IN ('ended', 'not_placed') AND l.id IS DISTINCT FROM p_self;
    SELECT count(*) INTO campaign_live FROM public.call_logs l
     WHERE l.organization_id = c.organization_id AND l.campaign_id = c.id AND l.direction = 'outbound'
       AND l.status NOT IN ('ended', 'not_placed') AND l.id IS DISTINCT FROM p_self;
    IF account_live.lines >= n.lines OR campaign_live >= c.lines OR account_live.unknown >= n.unknown_limit
       OR account_live.number_lines >= n.number_lines THEN
        RETURN app.verdict('no_line', p_at + interval '1 second', jsonb_build_object('account_lines', account_live.lines,
            'campaign_lines', campaign_live, 'unknown', account_live.unknown, 'number_lines', account_live.number_lines));
    END IF;
    pace := app.pace(n.calls_per_second);
    SELECT count(*) AS calls, min(l.intent_at) AS oldest INTO recent FROM public.call_logs l
     WHERE l.organization_id = c.organization_id AND l.carrier_account_id = n.id AND l.direction = 'outbound'
       AND l.intent_at > p_at - pace.span AND l.id IS DISTINCT FROM p_self;
    IF recent.calls >= pace.calls THEN
        RETURN app.verdict('cps', recent.oldest + pace.span, jsonb_build_object('account_calls', recent.calls));
    END IF;
    pace := app.pace(c.calls_per_second);
    SELECT count(*) AS calls, min(l.intent_at) AS oldest INTO recent FROM public.call_logs l
     WHERE l.organization_id = c.organization_id AND l.campaign_id = c.id AND l.direction = 'outbound'
       AND l.intent_at > p_at - pace.span AND l.id IS DISTINCT FROM p_self;
    IF recent.calls >= pace.calls THEN
        RETURN app.verdict('cps', recent.oldest + pace.span, jsonb_build_object('campaign_calls', recent.calls));
    END IF;
    RETURN app.verdict(NULL, NULL, jsonb_build_object('account_lines', account_live.lines, 'campaign_lines', campaign_live));
END
$$;

-- Has the campaign spent its budget, deltas that are not yet folded in included?
CREATE OR REPLACE FUNCTION app.budget_spent(c public.campaigns) RETURNS boolean
LANGUAGE plpgsql STABLE SET search_path = ''
AS $$
BEGIN
    RETURN c.budget_minor IS NOT NULL
       AND c.spent_micros + (SELECT coalesce(sum(d.spent_micros), 0) FROM public.campaign_deltas d
                              WHERE d.organization_id = c.organization_id AND d.campaign_id = c.id)
           >= app.minor_to_micros(c.budget_minor, c.budget_currency);
END
$$;

-- What concerns the person: country, kind of number, refusals, consent, attempts, window, caps of the number.
CREATE OR REPLACE FUNCTION app.gate_person(c public.campaigns, o public.organizations, l public.leads, p_self uuid, p_at timestamptz)
RETURNS app.verdict
LANGUAGE plpgsql STABLE SET search_path = ''
AS $$
DECLARE
    laws jsonb;
    v app.verdict;
    seen jsonb := jsonb_build_object('region', l.region);
    zones text[] := app.lead_zones(l, c.timezone);
    enrolled record;
BEGIN
    v := app.gate_dnc(o.id, c.id, l.phone_e164);
    IF v.reason IS NOT NULL THEN
        RETURN v;
    END IF;
    IF l.region IS NULL THEN
        RETURN app.verdict('region_unknown', NULL, seen);
    END IF;
    laws := app.laws(o.id, app.lead_regions(l), p_at);
    IF laws IS NULL OR EXISTS (SELECT FROM jsonb_each(laws) AS e
                                WHERE c.voice_kind = 'ai' AND e.value -> 'notice' ? c.purpose AND NOT (e.value ->> 'enabled')::boolean) THEN
        RETURN app.verdict('rule_missing', NULL, seen);
    END IF;
    IF EXISTS (SELECT FROM jsonb_each(laws) AS e, jsonb_array_elements_text(coalesce(e.value -> 'prefixes', '[]')) AS p
                WHERE starts_with(l.phone_e164, p)) THEN
        RETURN app.verdict('prohibited_prefix', NULL, seen);
    END IF;
    v := app.gate_consent(c, coalesce(c.legal_name, o.legal_name, o.name), l.phone_e164, laws, p_at);
    seen := seen || v.evidence;
    IF v.reason IS NOT NULL THEN
        RETURN app.verdict(v.reason, v.next_change_at, seen);
    END IF;
    SELECT q.attempt_count, q.max_attempts, q.callback_at INTO enrolled FROM public.call_queue q
     WHERE q.organization_id = o.id AND q.campaign_id = c.id AND q.lead_id = l.id;
    seen := seen || jsonb_build_object('attempts', enrolled.attempt_count, 'max_attempts', enrolled.max_attempts,
                                       'callback_at', enrolled.callback_at);
    IF enrolled.attempt_count >= enrolled.max_attempts AND enrolled.callback_at IS NULL THEN
        RETURN app.verdict('attempt_limit', NULL, seen);
    END IF;
    v := app.gate_window(c, zones, laws, p_at);
    seen := seen || v.evidence;
    IF v.reason IS NOT NULL THEN
        RETURN app.verdict(v.reason, v.next_change_at, seen);
    END IF;
    v := app.gate_number(o, l.phone_e164, laws, p_self, p_at);
    seen := seen || v.evidence;
    IF v.next_change_at IS NOT NULL AND v.reason <> 'duplicate' THEN
        -- Free again at night is free again in the morning.
        v.next_change_at := app.windows_next(app.requirements(c, laws), zones, v.next_change_at);
    END IF;
    RETURN app.verdict(v.reason, v.next_change_at, seen);
END
$$;

-- May this campaign dial this lead from this number at this moment? p_self: a call log to leave out of the counts.
-- p_paced: lines, calls per second and budget were just counted by the claim, under its lock.
CREATE OR REPLACE FUNCTION app.gate(p_organization uuid, p_campaign uuid, p_lead uuid, p_from text, p_at timestamptz,
                         p_self uuid DEFAULT NULL, p_paced boolean DEFAULT false) RETURNS app.verdict
LANGUAGE plpgsql STABLE SET search_path = ''
AS $$
DECLARE
    c public.campaigns;
    o public.organizations;
    l public.leads;
    v app.verdict;
    seen jsonb := jsonb_build_object('at', p_at);
    paused text;
BEGIN
    SELECT * INTO c FROM public.campaigns t WHERE t.organization_id = p_organization AND t.id = p_campaign;
    IF NOT FOUND OR p_at IS NULL OR c.status <> 'active' OR c.archived_at IS NOT NULL OR c.closing_reason IS NOT NULL THEN
        RETURN app.verdict('campaign_paused', NULL, seen || jsonb_build_object('campaign', c.status));
    END IF;
    SELECT * INTO o FROM public.organizations t WHERE t.id = p_organization;
    SELECT * INTO l FROM public.leads t WHERE t.organization_id = p_organization AND t.id = p_lead;
    IF l.id IS NULL OR l.archived_at IS NOT NULL OR o.archived_at IS NOT NULL THEN
        RETURN app.verdict('lead_archived', NULL, seen);
    END IF;
    paused := app.gate_pauses(p_organization, p_campaign, p_from, l.phone_e164, p_at);
    IF paused IS NOT NULL THEN
        RETURN app.verdict('dial_paused', NULL, seen || jsonb_build_object('paused', paused));
    END IF;
    v := app.gate_person(c, o, l, p_self, p_at);
    seen := seen || v.evidence;
    IF v.reason IS NULL AND NOT p_paced THEN
        v := app.gate_pace(c, p_from, p_self, p_at);
        seen := seen || v.evidence;
    END IF;
    RETURN app.verdict(v.reason, v.next_change_at, seen || jsonb_build_object('reason', v.reason));
END
$$;

-- Asked again when the phone is answered: what may have changed since it was dialed. A paused campaign drains, so its
-- ringing calls may be answered; a dial pause may not wait.
CREATE OR REPLACE FUNCTION app.gate_at_answer(p_call uuid, p_at timestamptz) RETURNS app.verdict
LANGUAGE plpgsql STABLE SET search_path = ''
AS $$
DECLARE
    organization uuid := app.active_org();
    k public.call_logs;
    c public.campaigns;
    l public.leads;
    v app.verdict;
    laws jsonb;
    paused text;
BEGIN
    SELECT * INTO k FROM public.call_logs t WHERE t.organization_id = organization AND t.id = p_call;
    IF NOT FOUND THEN
        RETURN app.verdict('invalid_number', NULL, '{"call": "missing"}');
    END IF;
    IF k.direction = 'inbound' THEN
        RETURN app.verdict(NULL);
    END IF;
    SELECT * INTO c FROM public.campaigns t WHERE t.organization_id = organization AND t.id = k.campaign_id;
    SELECT * INTO l FROM public.leads t WHERE t.organization_id = organization AND t.id = k.lead_id;
    v := app.gate_dnc(organization, k.campaign_id, k.callee_number);
    IF v.reason IS NOT NULL THEN
        RETURN v;
    END IF;
    paused := app.gate_pauses(organization, k.campaign_id, k.caller_number, k.callee_number, p_at);
    IF paused IS NOT NULL THEN
        RETURN app.verdict('dial_paused', NULL, jsonb_build_object('paused', paused));
    END IF;
    IF l.region IS NULL THEN
        RETURN app.verdict('region_unknown');
    END IF;
    laws := app.laws(organization, app.lead_regions(l), p_at);
    IF laws IS NULL THEN
        RETURN app.verdict('rule_missing');
    END IF;
    RETURN app.gate_window(c, app.lead_zones(l, c.timezone), laws, p_at);
END
$$;

-- The second time: nothing becomes an outbound call that the gate refuses, whoever writes it. The only other way in
-- is a row rebuilt after the fact, for a dial that the carrier has already made.
CREATE OR REPLACE FUNCTION app.call_logs_gate() RETURNS trigger
LANGUAGE plpgsql SET search_path = ''
AS $$
DECLARE
    v app.verdict;
    enrolled record;
BEGIN
    IF NEW.direction = 'inbound' THEN
        IF NEW.status NOT IN ('in_progress', 'ended') THEN
            RAISE EXCEPTION 'an inbound call begins in_progress' USING ERRCODE = 'DW003';
        END IF;
        RETURN NEW;
    END IF;
    IF NEW.status = 'outcome_unknown' AND NEW.adopted_at IS NOT NULL THEN
        RETURN NEW;
    END IF;
    IF NEW.status <> 'reserved' THEN
        RAISE EXCEPTION 'an outbound call begins reserved' USING ERRCODE = 'DW003';
    END IF;
    SELECT q.campaign_id, q.lead_id, l.phone_e164 INTO enrolled
      FROM public.call_queue q
      JOIN public.leads l ON l.organization_id = q.organization_id AND l.id = q.lead_id
     WHERE q.organization_id = NEW.organization_id AND q.id = NEW.queue_id;
    IF (enrolled.campaign_id, enrolled.lead_id, enrolled.phone_e164)
       IS DISTINCT FROM (NEW.campaign_id, NEW.lead_id, NEW.callee_number)
       OR NOT EXISTS (SELECT FROM public.phone_numbers p
                       WHERE p.organization_id = NEW.organization_id AND p.phone_e164 = NEW.caller_number
                         AND p.carrier_account_id = NEW.carrier_account_id) THEN
        RAISE EXCEPTION 'may not dial: not the lead, campaign or caller id of its queue row' USING ERRCODE = 'DW001';
    END IF;
    -- One session at a time counts for an account, and for a number.
    PERFORM FROM public.claim_pace p
      WHERE p.organization_id = NEW.organization_id AND p.scope = 'account' AND p.scope_id = NEW.carrier_account_id
        FOR UPDATE;
    PERFORM pg_advisory_xact_lock(app.number_lock(NEW.organization_id, NEW.callee_number));
    v := app.gate(NEW.organization_id, NEW.campaign_id, NEW.lead_id, NEW.caller_number, NEW.intent_at, NEW.id);
    IF v.reason IS NOT NULL THEN
        RAISE EXCEPTION 'may not dial: %', v.reason USING ERRCODE = 'DW001', DETAIL = v.evidence::text;
    END IF;
    RETURN NEW;
END
$$;
CREATE OR REPLACE FUNCTION app.number_lock(p_organization uuid, p_phone text) RETURNS int8
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$
    SELECT hashtextextended(p_organization::text || p_phone, 7)
$$;
CREATE OR REPLACE TRIGGER gate BEFORE INSERT ON public.call_logs FOR EACH ROW EXECUTE FUNCTION app.call_logs_gate();

RESET ROLE;
DO $$
DECLARE
    f regprocedure;
BEGIN
    FOR f IN SELECT p.oid::regprocedure FROM pg_catalog.pg_proc p
              WHERE p.pronamespace = 'app'::regnamespace
                AND p.proname IN ('verdict', 'same_seller', 'minor_to_micros', 'pace', 'gate_pauses', 'gate_dnc', 'gate_consent',
                    'gate_window', 'gate_number', 'gate_pace', 'budget_spent', 'gate_person', 'gate', 'gate_at_answer',
                    'call_logs_gate', 'number_lock', 'laws', 'lead_regions') LOOP
        EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC, anon, authenticated, service_role', f);
        EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO app_owner, app_engine', f);
    END LOOP;
END
$$;
