-- The gate: every dial passes it twice (claim, and again when the row is written), and once more in part when the
-- phone is answered. It fails closed: what is not known is not dialed. Runs as whoever calls it, so that it sees
-- one tenant in tenant functions and the tenant named by its parameters in the claim.
--
-- One function per check; app.gate_steps() holds their order. app.gate() stops at the first that fails, app.gate_checks()
-- goes through all of them for whoever asks why.
SET LOCAL ROLE app_owner;

CREATE OR REPLACE FUNCTION app.check_campaign(c public.campaigns, p_at timestamptz) RETURNS app.verdict
LANGUAGE plpgsql IMMUTABLE
AS $$
BEGIN
    IF p_at IS NULL OR c.id IS NULL OR c.status <> 'active' OR c.archived_at IS NOT NULL OR c.closing_reason IS NOT NULL THEN
        RETURN app.verdict('campaign_paused', NULL, jsonb_build_object('campaign', c.status));
    END IF;
    RETURN NULL;
END
$$;

CREATE OR REPLACE FUNCTION app.check_lead(o public.organizations, l public.leads) RETURNS app.verdict
LANGUAGE plpgsql IMMUTABLE
AS $$
BEGIN
    IF l.id IS NULL OR l.archived_at IS NOT NULL OR o.archived_at IS NOT NULL THEN
        RETURN app.verdict('lead_archived');
    END IF;
    RETURN NULL;
END
$$;

CREATE OR REPLACE FUNCTION app.check_paused(c public.campaigns, p_from text, p_phone text, p_at timestamptz) RETURNS app.verdict
LANGUAGE plpgsql STABLE
AS $$
DECLARE
    paused text := app.gate_pauses(c.organization_id, c.id, p_from, p_phone, p_at);
BEGIN
    IF paused IS NOT NULL THEN
        RETURN app.verdict('dial_paused', NULL, jsonb_build_object('paused', paused));
    END IF;
    RETURN NULL;
END
$$;

CREATE OR REPLACE FUNCTION app.check_country(l public.leads, law app.law) RETURNS app.verdict
LANGUAGE plpgsql IMMUTABLE
AS $$
BEGIN
    IF l.region IS NULL THEN
        RETURN app.verdict('region_unknown', NULL, '{"country": "unknown"}');
    END IF;
    RETURN app.verdict(NULL, NULL, jsonb_build_object('places', law.places, 'law', law.version));
END
$$;

-- Rules for every place, the part of a country known where it has rules by part (the states), and the organization's own
-- word where a rule asks for notice (IN-4).
CREATE OR REPLACE FUNCTION app.check_rules(c public.campaigns, l public.leads, p_regions text[], law app.law, p_at timestamptz)
RETURNS app.verdict
LANGUAGE plpgsql STABLE
AS $$
DECLARE
    country text;
BEGIN
    IF law.missing IS NOT NULL THEN
        RETURN app.verdict('rule_missing', NULL, jsonb_build_object('not_enabled', law.missing));
    END IF;
    IF law.areas IS NOT NULL THEN
        FOREACH country IN ARRAY law.areas LOOP
            IF NOT EXISTS (SELECT FROM unnest(p_regions) AS r WHERE r LIKE country || '-%')
               OR (country = l.region AND app.number_area(l.phone_e164) IS NULL) THEN
                RETURN app.verdict('region_unknown', NULL, jsonb_build_object('area_unknown', country));
            END IF;
        END LOOP;
    END IF;
    IF c.voice_kind = 'ai' AND law.notice IS NOT NULL THEN
        FOREACH country IN ARRAY law.notice LOOP
            IF NOT app.region_enabled(c.organization_id, country, p_at) THEN
                RETURN app.verdict('rule_missing', NULL, jsonb_build_object('notice_missing', country));
            END IF;
        END LOOP;
    END IF;
    RETURN NULL;
END
$$;

-- Emergency, premium and the like (US-13).
CREATE OR REPLACE FUNCTION app.check_prefix(p_phone text, law app.law) RETURNS app.verdict
LANGUAGE plpgsql IMMUTABLE
AS $$
BEGIN
    FOR n IN 2..length(p_phone) LOOP
        IF strpos(law.prefixes, ' ' || left(p_phone, n) || ' ') > 0 THEN
            RETURN app.verdict('prohibited_prefix', NULL, jsonb_build_object('prefix', left(p_phone, n)));
        END IF;
    END LOOP;
    RETURN NULL;
END
$$;

-- Of the number's consents at that moment: the newest that the law accepts, and whether one is written and names the
-- seller (which is a permission that lists know).
CREATE OR REPLACE FUNCTION app.consent_held(c public.campaigns, p_seller text, p_phone text, law app.law, p_at timestamptz)
RETURNS app.held
LANGUAGE plpgsql STABLE
AS $$
DECLARE
    held app.held;
BEGIN
    SELECT (array_agg(t.id ORDER BY t.granted_at DESC) FILTER (WHERE t.suits))[1], max(t.granted_at) FILTER (WHERE t.suits),
           coalesce(bool_or(t.level = 'written' AND t.named), false)
      INTO held
      FROM (SELECT k.id, k.granted_at, k.level, n.named,
                   (law.consent < 2 OR k.level = 'written') AND (NOT law.per_seller OR n.named) AS suits
              FROM public.consents k, LATERAL (SELECT app.same_seller(k.seller, p_seller) AS named) AS n
             WHERE k.organization_id = c.organization_id AND k.phone_e164 = p_phone
               AND (k.scope = 'ai_voice' OR (c.voice_kind = 'human' AND k.scope = 'human_voice'))
               AND k.granted_at <= p_at AND (k.expires_at IS NULL OR k.expires_at > p_at)
               AND (k.revoked_at IS NULL OR k.revoked_at > p_at)) AS t;
    RETURN held;
END
$$;

-- US-2, US-2b, CA-1, UK-1, EU-2, DE-1, CA-CAN, FR-1.
CREATE OR REPLACE FUNCTION app.check_consent(held app.held, law app.law) RETURNS app.verdict
LANGUAGE plpgsql IMMUTABLE
AS $$
BEGIN
    IF law.consent > 0 AND held.id IS NULL THEN
        RETURN app.verdict('consent_missing', NULL, jsonb_build_object('consent_asked',
            CASE law.consent WHEN 2 THEN 'written' ELSE 'express' END, 'per_seller', law.per_seller));
    END IF;
    RETURN app.verdict(NULL, NULL, jsonb_build_object('consent', held.id));
END
$$;

-- A purchase or an inquiry within its months.
CREATE OR REPLACE FUNCTION app.relation_held(p_organization uuid, p_phone text, asked jsonb, p_at timestamptz) RETURNS boolean
LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN EXISTS (SELECT FROM public.consents k
                    WHERE k.organization_id = p_organization AND k.phone_e164 = p_phone AND k.scope IN ('purchase', 'inquiry')
                      AND asked -> 'exempt' ? k.scope AND k.granted_at <= p_at
                      AND (k.expires_at IS NULL OR k.expires_at > p_at) AND (k.revoked_at IS NULL OR k.revoked_at > p_at)
                      AND p_at < (k.granted_at AT TIME ZONE 'UTC'
                                  + make_interval(months => (asked ->> (k.scope || '_months'))::int4)) AT TIME ZONE 'UTC');
END
$$;

-- Imported lists: those that the law asks for must be there and young enough, and no list in force may hold the number
-- (US-9, UK-2; emergency lines, US-13). `asked` may exempt who permitted the calls; where two rules ask for one list, both must.
CREATE OR REPLACE FUNCTION app.check_lists(c public.campaigns, p_phone text, held app.held, law app.law, p_at timestamptz)
RETURNS app.verdict
LANGUAGE plpgsql STABLE
AS $$
DECLARE
    hit record;
    asked jsonb;
    exempt text[] := '{}';
    bound text[] := '{}';
    versions jsonb := '{}';
BEGIN
    FOR asked IN SELECT e FROM jsonb_array_elements(law.lists) AS rule, jsonb_array_elements(rule) AS e LOOP
        IF (asked -> 'exempt' ? 'written' AND held.written) OR app.relation_held(c.organization_id, p_phone, asked, p_at) THEN
            exempt := exempt || (asked ->> 'list');
            CONTINUE;
        END IF;
        bound := bound || (asked ->> 'list');
        SELECT d.id, d.as_of INTO hit FROM public.dnc_lists d
         WHERE d.organization_id = c.organization_id AND d.code = asked ->> 'list' AND d.active_from <= p_at
           AND (d.active_until IS NULL OR d.active_until > p_at)
         ORDER BY d.as_of DESC LIMIT 1;
        IF hit.id IS NULL OR (p_at AT TIME ZONE 'UTC')::date - hit.as_of > (asked ->> 'max_age_days')::int4 THEN
            RETURN app.verdict('dnc_list_stale', NULL, jsonb_build_object('list', asked ->> 'list', 'as_of', hit.as_of,
                                                                         'max_age_days', asked -> 'max_age_days'));
        END IF;
        versions := versions || jsonb_build_object(asked ->> 'list', hit.as_of);
    END LOOP;
    SELECT d.code, d.kind, d.as_of INTO hit
      FROM public.dnc_list_numbers n
      JOIN public.dnc_lists d ON d.organization_id = n.organization_id AND d.id = n.list_id
     WHERE n.organization_id = c.organization_id AND n.phone_e164 = p_phone AND d.active_from <= p_at
       AND (d.active_until IS NULL OR d.active_until > p_at) AND (d.purposes IS NULL OR c.purpose = ANY (d.purposes))
       AND (d.kind = 'prohibited' OR d.code <> ALL (exempt) OR d.code = ANY (bound))
     ORDER BY d.kind = 'prohibited' DESC LIMIT 1;
    IF FOUND THEN
        RETURN app.verdict(CASE hit.kind WHEN 'prohibited' THEN 'prohibited_prefix' ELSE 'dnc_list' END, NULL,
                           jsonb_build_object('list', hit.code, 'as_of', hit.as_of));
    END IF;
    RETURN app.verdict(NULL, NULL, CASE versions WHEN '{}' THEN '{}' ELSE jsonb_build_object('lists', versions) END);
END
$$;

-- US-11: the consent, or the database's later word that nobody else has the number, must be young enough.
CREATE OR REPLACE FUNCTION app.check_reassigned(c public.campaigns, p_phone text, held app.held, law app.law, p_at timestamptz)
RETURNS app.verdict
LANGUAGE plpgsql STABLE
AS $$
DECLARE
    asked record;
BEGIN
    IF law.reassigned_days IS NULL OR law.consent = 0 THEN
        RETURN NULL;
    END IF;
    SELECT k.result, k.checked_at INTO asked FROM public.number_checks k
     WHERE k.organization_id = c.organization_id AND k.phone_e164 = p_phone AND k.checked_at <= p_at AND k.checked_at > held.granted_at
     ORDER BY k.checked_at DESC LIMIT 1;
    IF asked.result IN ('yes', 'no_data')
       OR p_at > coalesce(asked.checked_at, held.granted_at) + make_interval(hours => 24 * law.reassigned_days) THEN
        RETURN app.verdict('number_reassigned', NULL, jsonb_build_object('reassigned', asked.result, 'checked_at', asked.checked_at,
                                                                        'consent_at', held.granted_at));
    END IF;
    RETURN app.verdict(NULL, NULL, jsonb_build_object('checked_at', asked.checked_at));
END
$$;

-- IN-1: does a caller id suit the series that the places ask for?
CREATE OR REPLACE FUNCTION app.series_ok(law app.law, p_from text) RETURNS boolean
LANGUAGE plpgsql IMMUTABLE
AS $$
BEGIN
    -- Nobody said yet from which number.
    IF law.series IS NULL OR p_from IS NULL THEN
        RETURN true;
    END IF;
    RETURN NOT EXISTS (SELECT FROM jsonb_array_elements(law.series) AS s
                        WHERE NOT EXISTS (SELECT FROM jsonb_array_elements_text(s) AS p WHERE starts_with(p_from, p)));
END
$$;

CREATE OR REPLACE FUNCTION app.check_series(law app.law, p_from text) RETURNS app.verdict
LANGUAGE plpgsql IMMUTABLE
AS $$
BEGIN
    IF NOT app.series_ok(law, p_from) THEN
        RETURN app.verdict('caller_series', NULL, jsonb_build_object('series', law.series));
    END IF;
    RETURN NULL;
END
$$;

-- IN-2: a young snapshot of what the person registered must be on file, and must not be against it.
CREATE OR REPLACE FUNCTION app.check_preference(c public.campaigns, p_phone text, law app.law, p_at timestamptz) RETURNS app.verdict
LANGUAGE plpgsql STABLE
AS $$
DECLARE
    p public.number_preferences;
BEGIN
    IF law.preference_days IS NULL THEN
        RETURN NULL;
    END IF;
    SELECT * INTO p FROM public.number_preferences t
     WHERE t.organization_id = c.organization_id AND t.phone_e164 = p_phone AND t.checked_at <= p_at
     ORDER BY t.checked_at DESC LIMIT 1;
    IF p.checked_at IS NULL OR p_at > p.checked_at + make_interval(hours => 24 * law.preference_days) THEN
        RETURN app.verdict('dnc_list_stale', NULL, jsonb_build_object('preferences_at', p.checked_at, 'max_age_days', law.preference_days));
    END IF;
    IF 0 = ANY (p.blocked_categories)
       OR (cardinality(p.blocked_categories) > 0 AND (c.category IS NULL OR c.category = ANY (p.blocked_categories)))
       OR (p.blocked_modes && CASE c.voice_kind WHEN 'ai' THEN '{auto_dialer,robo}'::text[] ELSE '{voice}' END) THEN
        RETURN app.verdict('preference', NULL, jsonb_build_object('blocked', p.blocked_categories, 'modes', p.blocked_modes));
    END IF;
    RETURN app.verdict(NULL, NULL, jsonb_build_object('preferences_at', p.checked_at));
END
$$;

-- Attempts of the enrolment; a callback that the lead asked for is exempt.
CREATE OR REPLACE FUNCTION app.check_attempts(c public.campaigns, p_lead uuid) RETURNS app.verdict
LANGUAGE plpgsql STABLE
AS $$
DECLARE
    enrolled record;
    seen jsonb;
BEGIN
    SELECT q.attempt_count, q.max_attempts, q.callback_at INTO enrolled FROM public.call_queue q
     WHERE q.organization_id = c.organization_id AND q.campaign_id = c.id AND q.lead_id = p_lead;
    seen := jsonb_build_object('attempts', enrolled.attempt_count, 'max_attempts', enrolled.max_attempts,
                               'callback_at', enrolled.callback_at);
    IF enrolled.attempt_count >= enrolled.max_attempts AND enrolled.callback_at IS NULL THEN
        RETURN app.verdict('attempt_limit', NULL, seen);
    END IF;
    RETURN app.verdict(NULL, NULL, seen);
END
$$;

-- Dates, weekdays, hours and holidays, in every zone the lead may be in (US-1, IN-3, FR-1, the states).
CREATE OR REPLACE FUNCTION app.check_window(c public.campaigns, zones text[], windows jsonb, law app.law, p_at timestamptz)
RETURNS app.verdict
LANGUAGE plpgsql STABLE
AS $$
DECLARE
    opening timestamptz;
    zone text;
    today date;
    why text := 'outside_window';
    seen jsonb := jsonb_build_object('zones', zones);
BEGIN
    IF cardinality(zones) = 0 THEN
        RETURN app.verdict('timezone_unknown', NULL, seen);
    END IF;
    FOREACH zone IN ARRAY zones LOOP
        IF NOT app.zone_known(zone) THEN
            RETURN app.verdict('timezone_unknown', NULL, seen);
        END IF;
    END LOOP;
    IF app.windows_open(windows, zones, p_at) THEN
        RETURN app.verdict(NULL, NULL, seen);
    END IF;
    opening := app.windows_next(windows, zones, p_at);
    FOREACH zone IN ARRAY zones LOOP
        today := (p_at AT TIME ZONE zone)::date;
        IF today < c.start_date OR (opening IS NULL AND c.end_date IS NOT NULL) THEN
            why := 'dates';
        ELSIF why = 'outside_window' AND EXISTS (SELECT FROM jsonb_array_elements(law.hours) AS h, jsonb_array_elements(h) AS s
                WHERE s ? 'closed_on_holidays_of' AND app.is_holiday(s ->> 'closed_on_holidays_of', today)) THEN
            why := 'holiday';
        END IF;
    END LOOP;
    RETURN app.verdict(why, opening, seen);
END
$$;

-- What an ended call was: answered at all, by a person, with nobody there (the media failed, or we hung up before the first
-- words were heard), over within the six seconds that Plivo calls short.
CREATE OR REPLACE FUNCTION app.call_marks(k public.call_logs, OUT answered boolean, OUT live boolean, OUT abandoned boolean, OUT short boolean)
LANGUAGE plpgsql IMMUTABLE
AS $$
BEGIN
    answered := k.direction = 'outbound' AND k.status = 'ended' AND k.answered_at IS NOT NULL;
    live := answered AND k.machine_detected IS NOT TRUE;
    abandoned := live AND k.disclosure_played_at IS NULL
                 AND coalesce(k.disconnect_reason, '') IN ('provider_error', 'model_error', 'cancelled');
    short := answered AND k.duration <= 6;
END
$$;

-- What happened to the number lately (UK-3, FR-1, Regulation F).
CREATE OR REPLACE FUNCTION app.check_holds(c public.campaigns, p_phone text, law app.law, p_self uuid, p_at timestamptz) RETURNS app.verdict
LANGUAGE plpgsql STABLE
AS $$
DECLARE
    longest interval := greatest(law.abandon_hold, law.refusal_hold, law.conversation_hold);
    past record;
    held record;
BEGIN
    IF longest IS NULL OR longest <= interval '0' THEN
        RETURN NULL;
    END IF;
    SELECT max(k.ended_at) FILTER (WHERE m.abandoned) AS abandoned,
           max(k.ended_at) FILTER (WHERE k.disposition IN ('not_interested', 'do_not_call')) AS refused,
           max(k.ended_at) FILTER (WHERE m.live AND NOT m.abandoned) AS spoken INTO past
      FROM public.call_logs k, LATERAL app.call_marks(k) AS m
     WHERE k.organization_id = c.organization_id AND k.callee_number = p_phone AND k.direction = 'outbound'
       AND k.answered_at IS NOT NULL AND k.ended_at > p_at - longest AND k.ended_at <= p_at AND k.id IS DISTINCT FROM p_self;
    SELECT h.reason, h.free_at INTO held
      FROM (VALUES ('abandon_hold', past.abandoned + law.abandon_hold), ('refusal_hold', past.refused + law.refusal_hold),
                   ('conversation_hold', past.spoken + law.conversation_hold)) AS h (reason, free_at)
     WHERE h.free_at > p_at ORDER BY h.free_at DESC LIMIT 1;
    IF held.reason IS NULL THEN
        RETURN NULL;
    END IF;
    RETURN app.verdict(held.reason, held.free_at, jsonb_build_object('abandoned', past.abandoned, 'refused', past.refused, 'spoken', past.spoken));
END
$$;

-- The caps that apply to a number: the organization's and the law's, whichever is lower.
CREATE OR REPLACE FUNCTION app.number_caps(o public.organizations, law app.law,
                                           OUT cap_24h int4, OUT cap_7d int4, OUT cap_30d int4, OUT spacing_s int4)
LANGUAGE plpgsql IMMUTABLE
AS $$
BEGIN
    cap_24h := least(o.number_cap_24h, law.cap_24h);
    cap_7d := least(o.number_cap_7d, law.cap_7d);
    cap_30d := law.cap_30d;
    spacing_s := o.number_spacing_s;
END
$$;

-- Caps per phone number across campaigns, spacing, and no second call while one may be live (US-17). Counted: dials that
-- rang or may have.
CREATE OR REPLACE FUNCTION app.check_number(o public.organizations, p_phone text, law app.law, p_self uuid, p_at timestamptz)
RETURNS app.verdict
LANGUAGE plpgsql STABLE
AS $$
DECLARE
    dials timestamptz[];
    live uuid;
    caps record := app.number_caps(o, law);
    held record;
    seen jsonb;
BEGIN
    SELECT array_agg(d.intent_at ORDER BY d.intent_at DESC),
           (array_agg(d.id) FILTER (WHERE d.status NOT IN ('ended', 'not_placed')))[1]
      INTO dials, live
      FROM public.call_logs d
     WHERE d.organization_id = o.id AND d.callee_number = p_phone AND d.may_have_rung
       AND d.intent_at > p_at - interval '720 hours' AND d.id IS DISTINCT FROM p_self;
    IF dials IS NULL THEN
        RETURN NULL;
    END IF;
    seen := jsonb_build_object('dials', dials[1:greatest(caps.cap_24h, caps.cap_7d, caps.cap_30d)],
                               'caps', jsonb_build_object('24h', caps.cap_24h, '7d', caps.cap_7d, '30d', caps.cap_30d));
    IF live IS NOT NULL THEN
        RETURN app.verdict('duplicate', p_at + interval '1 minute', seen || jsonb_build_object('live', live));
    END IF;
    SELECT g.reason, g.free_at INTO held
      FROM (VALUES ('spacing', dials[1] + make_interval(secs => caps.spacing_s)),
                   ('attempt_limit', dials[caps.cap_24h] + interval '24 hours'),
                   ('attempt_limit', dials[caps.cap_7d] + interval '168 hours'),
                   ('attempt_limit', dials[caps.cap_30d] + interval '720 hours')) AS g (reason, free_at)
     WHERE g.free_at > p_at
     ORDER BY g.free_at DESC LIMIT 1;
    RETURN app.verdict(held.reason, held.free_at, seen);
END
$$;

-- What the guards look at, by days (UTC), deltas that are not yet folded in included: {live answers, abandoned, answers, short
-- calls}, NULL where nothing was counted.
CREATE OR REPLACE FUNCTION app.guard_figures(c public.campaigns, law app.law, p_at timestamptz) RETURNS int8[]
LANGUAGE plpgsql STABLE
AS $$
DECLARE
    today date := (p_at AT TIME ZONE 'UTC')::date;
    since date := today - greatest(law.abandon_days, law.short_days);
BEGIN
    RETURN (SELECT ARRAY[sum(d.live_answers) FILTER (WHERE d.day > today - law.abandon_days),
                         sum(d.abandoned) FILTER (WHERE d.day > today - law.abandon_days),
                         sum(d.answers) FILTER (WHERE d.day > today - law.short_days),
                         sum(d.short_calls) FILTER (WHERE d.day > today - law.short_days)]
              FROM (SELECT x.day, x.live_answers, x.abandoned, x.answers, x.short_calls FROM public.campaign_days x
                     WHERE x.organization_id = c.organization_id AND x.campaign_id = c.id AND x.day >= since AND x.day <= today
                    UNION ALL
                    SELECT x.day, x.live_answers, x.abandoned, x.answers, x.short_calls FROM public.campaign_deltas x
                     WHERE x.organization_id = c.organization_id AND x.campaign_id = c.id AND x.day >= since AND x.day <= today) AS d);
END
$$;

-- US-7 and the carrier's surcharge: too many of a campaign's answered calls had nobody there, or ended at once.
CREATE OR REPLACE FUNCTION app.check_guard(p_kind text, p_share float8, p_min int4, calls int8, bad int8, p_at timestamptz)
RETURNS app.verdict
LANGUAGE plpgsql IMMUTABLE
AS $$
BEGIN
    IF calls >= p_min AND bad >= p_share * calls THEN
        -- The span moves on with the day.
        RETURN app.verdict(p_kind || '_guard', ((p_at AT TIME ZONE 'UTC')::date + 1)::timestamp AT TIME ZONE 'UTC',
                           jsonb_build_object('calls', calls, p_kind, bad, 'share', p_share));
    END IF;
    RETURN NULL;
END
$$;

CREATE OR REPLACE FUNCTION app.check_budget(c public.campaigns, p_self uuid) RETURNS app.verdict
LANGUAGE plpgsql STABLE
AS $$
BEGIN
    IF c.budget_minor IS NULL OR app.budget_room(c, p_self) > 0 THEN
        RETURN NULL;
    END IF;
    RETURN app.verdict('budget', NULL, jsonb_build_object('spent_micros', app.budget_used(c), 'reserved_micros', app.budget_reserved(c, p_self),
                                                          'one_call_micros', app.call_reserve(c)));
END
$$;

-- Caller id, lines and calls per second of account and campaign.
CREATE OR REPLACE FUNCTION app.check_line(c public.campaigns, p_from text, p_self uuid, p_at timestamptz) RETURNS app.verdict
LANGUAGE plpgsql STABLE
AS $$
DECLARE
    n record;
    account_pace record;
    campaign_pace record;
    recent record;
BEGIN
    SELECT a.id, a.lines, a.calls_per_second, a.unknown_limit, p.lines AS number_lines, live.account_lines, live.unknown, live.on_number,
           own.campaign_lines INTO n
      FROM public.phone_numbers p
      JOIN public.campaign_numbers m ON m.organization_id = p.organization_id AND m.phone_number_id = p.id AND m.campaign_id = c.id
      JOIN public.carrier_accounts a ON a.organization_id = p.organization_id AND a.id = p.carrier_account_id AND a.status = 'active',
           LATERAL (SELECT count(*) AS account_lines, count(*) FILTER (WHERE l.status = 'outcome_unknown') AS unknown,
                           count(*) FILTER (WHERE l.caller_number = p_from) AS on_number
                      FROM public.call_logs l
                     WHERE l.organization_id = c.organization_id AND l.carrier_account_id = a.id
                       AND l.status NOT IN ('ended', 'not_placed') AND l.id IS DISTINCT FROM p_self) AS live,
           LATERAL (SELECT count(*) AS campaign_lines FROM public.call_logs l
                     WHERE l.organization_id = c.organization_id AND l.campaign_id = c.id AND l.direction = 'outbound'
                       AND l.status NOT IN ('ended', 'not_placed') AND l.id IS DISTINCT FROM p_self) AS own
     WHERE p.organization_id = c.organization_id AND p.phone_e164 = p_from AND p.status = 'active';
    IF NOT FOUND THEN
        RETURN app.verdict('no_line', NULL, jsonb_build_object('caller_id', 'not active in this campaign'));
    END IF;
    IF n.account_lines >= n.lines OR n.campaign_lines >= c.lines OR n.unknown >= n.unknown_limit OR n.on_number >= n.number_lines THEN
        RETURN app.verdict('no_line', p_at + interval '1 second', jsonb_build_object('account_lines', n.account_lines,
            'campaign_lines', n.campaign_lines, 'unknown', n.unknown, 'number_lines', n.on_number));
    END IF;
    account_pace := app.pace(n.calls_per_second);
    campaign_pace := app.pace(c.calls_per_second);
    SELECT a.calls AS account_calls, a.oldest AS account_oldest, k.calls AS campaign_calls, k.oldest AS campaign_oldest INTO recent
      FROM (SELECT count(*) AS calls, min(l.intent_at) AS oldest FROM public.call_logs l
             WHERE l.organization_id = c.organization_id AND l.carrier_account_id = n.id AND l.direction = 'outbound'
               AND l.intent_at > p_at - account_pace.span AND l.id IS DISTINCT FROM p_self) AS a,
           (SELECT count(*) AS calls, min(l.intent_at) AS oldest FROM public.call_logs l
             WHERE l.organization_id = c.organization_id AND l.campaign_id = c.id AND l.direction = 'outbound'
               AND l.intent_at > p_at - campaign_pace.span AND l.id IS DISTINCT FROM p_self) AS k;
    IF recent.account_calls >= account_pace.calls THEN
        RETURN app.verdict('cps', recent.account_oldest + account_pace.span, jsonb_build_object('account_calls', recent.account_calls));
    END IF;
    IF recent.campaign_calls >= campaign_pace.calls THEN
        RETURN app.verdict('cps', recent.campaign_oldest + campaign_pace.span, jsonb_build_object('campaign_calls', recent.campaign_calls));
    END IF;
    RETURN app.verdict(NULL, NULL, jsonb_build_object('account_lines', n.account_lines, 'campaign_lines', n.campaign_lines));
END
$$;

-- The checks p_first to p_last in their order. p_all: every one, each a step; else the first that fails or, when all pass,
-- one step without a reason, with what all of them looked at. p_self: a call log to leave out of the counts.
-- p_law: looked up by the caller already, for the same places.
CREATE OR REPLACE FUNCTION app.gate_steps(c public.campaigns, o public.organizations, l public.leads, p_from text, p_at timestamptz,
                                          p_self uuid, p_first int4, p_last int4, p_all boolean, p_law app.law) RETURNS app.gate_step[]
LANGUAGE plpgsql STABLE
AS $$
DECLARE
    names text[] := '{campaign,lead,paused,refusal,country,prefix,rules,consent,lists,reassigned,caller_series,attempts,preference,window,holds,number,abandon_guard,short_call_guard,budget,line}';
    seen jsonb := jsonb_build_object('at', p_at);
    steps app.gate_step[] := '{}';
    regions text[];
    zones text[];
    windows jsonb;
    law app.law := p_law;
    held app.held;
    figures int8[];
    v app.verdict;
    known boolean := true;
BEGIN
    FOR i IN p_first..p_last LOOP
        IF i >= 5 AND windows IS NULL AND l.region IS NOT NULL THEN
            regions := app.lead_regions(l);
            zones := app.lead_zones(l, c.timezone);
            IF law.places IS NULL THEN
                law := app.law_at(c.organization_id, regions, c.purpose, c.voice_kind, p_at);
            END IF;
            windows := app.law_windows(c, law, CASE WHEN law.preference_days IS NOT NULL
                                               THEN app.preference_spans(c.organization_id, l.phone_e164, p_at) END);
            held := app.consent_held(c, coalesce(c.legal_name, o.legal_name, o.name), l.phone_e164, law, p_at);
        END IF;
        IF NOT known AND i BETWEEN 6 AND 18 AND i <> 12 THEN
            steps := steps || row(i, names[i], 'unjudged', NULL, NULL, '{"needs": "country and rules"}')::app.gate_step;
            CONTINUE;
        END IF;
        IF i = 17 THEN
            figures := app.guard_figures(c, law, p_at);
        END IF;
        v := CASE i
            WHEN 1 THEN app.check_campaign(c, p_at)
            WHEN 2 THEN app.check_lead(o, l)
            WHEN 3 THEN app.check_paused(c, p_from, l.phone_e164, p_at)
            WHEN 4 THEN app.gate_dnc(o.id, c.id, l.phone_e164)
            WHEN 5 THEN app.check_country(l, law)
            WHEN 6 THEN app.check_prefix(l.phone_e164, law)
            WHEN 7 THEN app.check_rules(c, l, regions, law, p_at)
            WHEN 8 THEN app.check_consent(held, law)
            WHEN 9 THEN app.check_lists(c, l.phone_e164, held, law, p_at)
            WHEN 10 THEN app.check_reassigned(c, l.phone_e164, held, law, p_at)
            WHEN 11 THEN app.check_series(law, p_from)
            WHEN 12 THEN app.check_attempts(c, l.id)
            WHEN 13 THEN app.check_preference(c, l.phone_e164, law, p_at)
            WHEN 14 THEN app.check_window(c, zones, windows, law, p_at)
            WHEN 15 THEN app.check_holds(c, l.phone_e164, law, p_self, p_at)
            WHEN 16 THEN app.check_number(o, l.phone_e164, law, p_self, p_at)
            WHEN 17 THEN app.check_guard('abandon', law.abandon_share, law.abandon_min, figures[1], figures[2], p_at)
            WHEN 18 THEN app.check_guard('short_call', law.short_share, law.short_min, figures[3], figures[4], p_at)
            WHEN 19 THEN app.check_budget(c, p_self)
            ELSE app.check_line(c, p_from, p_self, p_at) END;
        IF v.next_change_at IS NOT NULL AND i IN (15, 16) AND v.reason <> 'duplicate' THEN
            -- Free again at night is free again in the morning.
            v.next_change_at := app.windows_next(windows, zones, v.next_change_at);
        END IF;
        IF p_all THEN
            steps := steps || row(i, names[i], CASE WHEN v.reason IS NULL THEN 'pass' ELSE 'fail' END, v.reason, v.next_change_at,
                                  coalesce(v.evidence, '{}'))::app.gate_step;
            known := known AND NOT (i IN (5, 7) AND v.reason IS NOT NULL);
            CONTINUE;
        END IF;
        IF v.evidence IS NOT NULL THEN
            seen := seen || v.evidence;
        END IF;
        IF v.reason IS NOT NULL THEN
            RETURN ARRAY[row(i, names[i], 'fail', v.reason, v.next_change_at, seen || jsonb_build_object('reason', v.reason))::app.gate_step];
        END IF;
    END LOOP;
    RETURN CASE WHEN p_all THEN steps ELSE ARRAY[row(0, NULL, 'pass', NULL, NULL, seen)::app.gate_step] END;
END
$$;

-- May this campaign dial this lead from this number at this moment? p_paced: lines, calls per second and budget were just
-- counted by the claim, under its lock.
CREATE OR REPLACE FUNCTION app.gate(p_organization uuid, p_campaign uuid, p_lead uuid, p_from text, p_at timestamptz,
                                    p_self uuid DEFAULT NULL, p_paced boolean DEFAULT false, p_law app.law DEFAULT NULL) RETURNS app.verdict
LANGUAGE plpgsql STABLE
AS $$
DECLARE
    c public.campaigns;
    o public.organizations;
    l public.leads;
    step app.gate_step;
BEGIN
    SELECT * INTO c FROM public.campaigns t WHERE t.organization_id = p_organization AND t.id = p_campaign;
    SELECT * INTO o FROM public.organizations t WHERE t.id = p_organization;
    SELECT * INTO l FROM public.leads t WHERE t.organization_id = p_organization AND t.id = p_lead;
    step := (app.gate_steps(c, o, l, p_from, p_at, p_self, 1, CASE WHEN p_paced THEN 18 ELSE 20 END, false, p_law))[1];
    RETURN app.verdict(step.reason, step.next_change_at, step.evidence);
END
$$;

-- What concerns the person alone, for a campaign row as it is or as it might be.
CREATE OR REPLACE FUNCTION app.gate_person(c public.campaigns, o public.organizations, l public.leads, p_self uuid, p_at timestamptz)
RETURNS app.verdict
LANGUAGE plpgsql STABLE
AS $$
DECLARE
    step app.gate_step := (app.gate_steps(c, o, l, NULL, p_at, p_self, 4, 16, false, NULL))[1];
BEGIN
    RETURN app.verdict(step.reason, step.next_change_at, step.evidence);
END
$$;

-- Every check in order, for whoever asks why.
CREATE OR REPLACE FUNCTION app.gate_checks(p_organization uuid, p_campaign uuid, p_lead uuid, p_from text, p_at timestamptz,
                                           p_self uuid DEFAULT NULL, p_paced boolean DEFAULT false, p_all boolean DEFAULT true)
RETURNS TABLE (ordinal int4, check_name text, state text, reason text, next_change_at timestamptz, evidence jsonb)
LANGUAGE plpgsql STABLE
AS $$
#variable_conflict use_column
DECLARE
    c public.campaigns;
    o public.organizations;
    l public.leads;
BEGIN
    SELECT * INTO c FROM public.campaigns t WHERE t.organization_id = p_organization AND t.id = p_campaign;
    SELECT * INTO o FROM public.organizations t WHERE t.id = p_organization;
    SELECT * INTO l FROM public.leads t WHERE t.organization_id = p_organization AND t.id = p_lead;
    RETURN QUERY SELECT s.ordinal, s.check_name, s.state, s.reason, s.next_change_at, s.evidence
      FROM unnest(app.gate_steps(c, o, l, p_from, p_at, p_self, 1, CASE WHEN p_paced THEN 18 ELSE 20 END, p_all, NULL)) AS s;
END
$$;

-- Asked again when the phone is answered, and just before the POST: what may have changed since the claim. A paused campaign
-- drains, so its ringing calls may be answered; a dial pause may not wait.
CREATE OR REPLACE FUNCTION app.gate_at_answer(p_call uuid, p_at timestamptz) RETURNS app.verdict
LANGUAGE plpgsql STABLE
AS $$
DECLARE
    organization uuid := app.active_org();
    k public.call_logs;
    c public.campaigns;
    l public.leads;
    v app.verdict;
    law app.law;
    zones text[];
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
    IF v.reason IS NULL THEN
        v := app.check_paused(c, k.caller_number, k.callee_number, p_at);
    END IF;
    IF v.reason IS NOT NULL THEN
        RETURN v;
    END IF;
    IF l.region IS NULL THEN
        RETURN app.verdict('region_unknown');
    END IF;
    law := app.law_at(organization, app.lead_regions(l), c.purpose, c.voice_kind, p_at);
    IF law.missing IS NOT NULL THEN
        RETURN app.verdict('rule_missing');
    END IF;
    IF law.consent > 0 THEN
        -- It may have been taken back (US-3).
        v := app.check_consent(app.consent_held(c, coalesce(c.legal_name, (SELECT coalesce(o.legal_name, o.name)
                 FROM public.organizations o WHERE o.id = organization)), k.callee_number, law, p_at), law);
        IF v.reason IS NOT NULL THEN
            RETURN v;
        END IF;
    END IF;
    zones := app.lead_zones(l, c.timezone);
    RETURN app.check_window(c, zones, app.law_windows(c, law, CASE WHEN law.preference_days IS NOT NULL
               THEN app.preference_spans(organization, k.callee_number, p_at) END), law, p_at);
END
$$;

RESET ROLE;
SELECT app.functions_for('app',
    '{check_.*, call_marks, consent_held, relation_held, series_ok, number_caps, guard_figures, gate_steps, gate,
      gate_person, gate_checks, gate_at_answer}', '{app_owner, app_engine}');
