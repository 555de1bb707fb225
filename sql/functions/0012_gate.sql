-- What the gate (0113) and the claim share: pauses, refusals, budget, pace; and the trigger that lets no call in past it.
-- Runs as whoever calls it, so that it sees one tenant in tenant functions and the tenant named by its parameters in
-- the claim.
SET LOCAL ROLE app_owner;

CREATE OR REPLACE FUNCTION app.verdict(reason text, next_change_at timestamptz DEFAULT NULL, evidence jsonb DEFAULT '{}') RETURNS app.verdict
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$
    SELECT row(reason, next_change_at, evidence)::app.verdict
$$;

-- Names of a business are compared by their letters and digits; one without any is no name.
CREATE OR REPLACE FUNCTION app.same_seller(a text, b text) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$
    SELECT a = b OR nullif(regexp_replace(lower(a), '[^[:alnum:]]', '', 'g'), '') = regexp_replace(lower(b), '[^[:alnum:]]', '', 'g')
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
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
AS $$
BEGIN
    calls := greatest(1, floor(per_second))::int4;
    span := make_interval(secs => calls / per_second);
END
$$;

-- Pauses: one switch for the platform, a tenant, a campaign, a number of ours or a number we phone. A pause that is
-- dated a little ahead by another machine's clock counts already.
CREATE OR REPLACE FUNCTION app.gate_pauses(p_organization uuid, p_campaign uuid, p_from text, p_to text, p_at timestamptz) RETURNS text
LANGUAGE plpgsql STABLE
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
LANGUAGE plpgsql STABLE
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

-- What a campaign has spent, deltas that are not yet folded in included, in millionths of its currency.
CREATE OR REPLACE FUNCTION app.budget_used(c public.campaigns) RETURNS int8
LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN c.spent_micros + (SELECT coalesce(sum(d.spent_micros), 0) FROM public.campaign_deltas d
                              WHERE d.organization_id = c.organization_id AND d.campaign_id = c.id);
END
$$;

-- What is held back of a campaign's budget while a call lives; 0 without a budget. At least a millionth.
CREATE OR REPLACE FUNCTION app.call_reserve(c public.campaigns) RETURNS int8
LANGUAGE plpgsql STABLE
AS $$
BEGIN
    IF c.budget_minor IS NULL THEN
        RETURN 0;
    ELSIF c.reserve_minor IS NOT NULL THEN
        RETURN app.minor_to_micros(c.reserve_minor, c.budget_currency);
    END IF;
    RETURN greatest(1, ceil(c.max_duration_s / 60.0) * coalesce(
        (SELECT max(a.minute_micros) FROM public.campaign_numbers m
           JOIN public.phone_numbers p ON p.organization_id = m.organization_id AND p.id = m.phone_number_id
           JOIN public.carrier_accounts a ON a.organization_id = p.organization_id AND a.id = p.carrier_account_id
          WHERE m.organization_id = c.organization_id AND m.campaign_id = c.id), 0));
END
$$;

-- What live calls hold back; the call of p_self left out.
CREATE OR REPLACE FUNCTION app.budget_reserved(c public.campaigns, p_self uuid DEFAULT NULL) RETURNS int8
LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN (SELECT coalesce(sum(l.reserved_micros), 0) FROM public.call_logs l
             WHERE l.organization_id = c.organization_id AND l.campaign_id = c.id
               AND l.status NOT IN ('ended', 'not_placed') AND l.id IS DISTINCT FROM p_self);
END
$$;

-- How many more calls the budget can hold back for.
CREATE OR REPLACE FUNCTION app.budget_room(c public.campaigns, p_self uuid DEFAULT NULL) RETURNS int4
LANGUAGE plpgsql STABLE
AS $$
DECLARE
    free int8;
BEGIN
    IF c.budget_minor IS NULL THEN
        RETURN 2147483647;
    END IF;
    free := app.minor_to_micros(c.budget_minor, c.budget_currency) - app.budget_used(c) - app.budget_reserved(c, p_self);
    RETURN least(2147483647, greatest(0, free / app.call_reserve(c)));
END
$$;

-- Is the budget used up, or what is left of it too little for one more call? Not while a call lives, which may cost
-- less than was held back for it.
CREATE OR REPLACE FUNCTION app.budget_spent(c public.campaigns) RETURNS boolean
LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN c.budget_minor IS NOT NULL AND app.budget_room(c) = 0
       AND (app.budget_used(c) >= app.minor_to_micros(c.budget_minor, c.budget_currency) OR app.budget_reserved(c) = 0);
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
    SELECT app.call_reserve(c) INTO NEW.reserved_micros FROM public.campaigns c
     WHERE c.organization_id = NEW.organization_id AND c.id = NEW.campaign_id;
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
SELECT app.functions_for('app',
    '{verdict, same_seller, minor_to_micros, pace, gate_pauses, gate_dnc, budget_used, call_reserve, budget_reserved,
      budget_room, budget_spent, call_logs_gate, number_lock}', '{app_owner, app_engine}');
