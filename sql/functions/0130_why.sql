-- Why a lead is or is not called: what the gate says of every check, in its own words and with what it looked at; what
-- would have to change; the next moment at which the gate says yes, with the proof; and what was decided so far. Nothing
-- is judged here: the checks are app.gate_checks, of which app.gate is the first that fails.
SET LOCAL ROLE app_owner;

-- As logs show it: every digit but the last two is a star.
CREATE OR REPLACE FUNCTION app.mask_number(phone text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$
    SELECT regexp_replace(left(phone, -2), '[0-9]', '*', 'g') || CASE WHEN length(phone) > 5 THEN right(phone, 2) ELSE '**' END
$$;

-- What a check asks, for people.
CREATE OR REPLACE FUNCTION app.why_words(p_check text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$
    SELECT coalesce(jsonb_build_object(
        'queue', 'enrolled in the campaign, and due', 'campaign', 'the campaign is active', 'lead', 'the lead is not archived',
        'paused', 'dialing is not paused', 'refusal', 'the number did not ask not to be called', 'country', 'country and area are known',
        'prefix', 'not a kind of number that is never dialed', 'rules', 'rules cover the country, and it is enabled',
        'consent', 'the consent that the law asks for is on file', 'lists', 'not on a national list, and the lists are fresh',
        'reassigned', 'the number still belongs to the person', 'caller_series', 'our number is of the series that the country asks for',
        'attempts', 'attempts are left', 'preference', 'the person''s preferences allow it', 'window', 'inside the hours of campaign, law and person, in every zone',
        'holds', 'no waiting time after an abandoned call, a refusal or a talk', 'number', 'the number was not dialed too often or too recently',
        'abandon_guard', 'few of the campaign''s answered calls had nobody there', 'short_call_guard', 'few of its calls end at once',
        'budget', 'the budget has room', 'line', 'a line and a start are free') ->> p_check, p_check)
$$;

-- The line that phones this lead, as engine.pick_line prefers it; '' when the campaign has none.
CREATE OR REPLACE FUNCTION app.why_line(p_organization uuid, p_campaign uuid, p_lead uuid) RETURNS text
LANGUAGE sql STABLE SET search_path = ''
AS $$
    SELECT coalesce((
        SELECT n.phones[1 + (hashtextextended(p_lead::text, 0) & 1073741823)::int4 % cardinality(n.phones)]
          FROM (SELECT array_agg(p.phone_e164 ORDER BY p.phone_e164) AS phones
                  FROM public.campaign_numbers m
                  JOIN public.phone_numbers p ON p.organization_id = m.organization_id AND p.id = m.phone_number_id AND p.status = 'active'
                  JOIN public.carrier_accounts a ON a.organization_id = p.organization_id AND a.id = p.carrier_account_id AND a.status = 'active'
                 WHERE m.organization_id = p_organization AND m.campaign_id = p_campaign) AS n), '')
$$;

-- The check before the gate: is it the lead's turn? A row that waits waits until next_retry_at; one that has ended is
-- not taken up by itself.
CREATE OR REPLACE FUNCTION app.why_queue(q public.call_queue, p_at timestamptz) RETURNS app.verdict
LANGUAGE plpgsql STABLE SET search_path = ''
AS $$
DECLARE
    seen jsonb := jsonb_build_object('status', q.status, 'attempts', q.attempt_count, 'max_attempts', q.max_attempts,
        'next_retry_at', nullif(q.next_retry_at, '-infinity'), 'callback_at', q.callback_at, 'last_error', q.last_error);
BEGIN
    RETURN CASE
        WHEN q.id IS NULL THEN app.verdict('not_enrolled', NULL, '{}')
        WHEN q.status = 'processing' THEN app.verdict('being_called', NULL, seen || jsonb_build_object('call', q.call_log_id))
        WHEN q.status = 'completed' THEN app.verdict('reached', NULL, seen)
        WHEN q.status = 'failed' THEN app.verdict('given_up', NULL, seen)
        WHEN q.next_retry_at > p_at THEN app.verdict('not_due', q.next_retry_at, seen)
        ELSE app.verdict(NULL, NULL, seen) END;
END
$$;

-- Reasons of the queue's own check, in the shape of skip_reasons: (words, remedy).
CREATE OR REPLACE FUNCTION app.why_reason(p_reason text, OUT words text, OUT remedy text)
LANGUAGE plpgsql STABLE SET search_path = ''
AS $$
BEGIN
    SELECT r.words, r.remedy INTO words, remedy FROM public.skip_reasons r WHERE r.reason = p_reason;
    IF words IS NULL AND p_reason IS NOT NULL THEN
        words := coalesce(jsonb_build_object('not_enrolled', 'not enrolled in this campaign', 'being_called', 'an attempt is being made right now',
            'reached', 'the lead was reached, the campaign is done with it', 'given_up', 'the campaign has given the lead up (last_error)',
            'not_due', 'waits for its next turn') ->> p_reason, p_reason);
        remedy := coalesce(jsonb_build_object('not_enrolled', 'enrol it: `dialwright import`', 'being_called', 'wait until the attempt has ended',
            'reached', 'nothing: a follow-up is a person''s task', 'given_up', 'remove what last_error names, or enrol the lead in another campaign',
            'not_due', 'wait') ->> p_reason, '');
    END IF;
END
$$;

-- The first moment from p_from on at which the gate says yes, as far as can be known now. depends names what only the end
-- of a live call changes (a line, the same number); stops the reason that no waiting changes.
CREATE OR REPLACE FUNCTION app.why_next(p_organization uuid, p_campaign uuid, p_lead uuid, p_line text, p_from timestamptz,
                                        OUT next_at timestamptz, OUT depends text, OUT stops text)
LANGUAGE plpgsql STABLE SET search_path = ''
AS $$
DECLARE
    moment timestamptz := p_from;
    v app.verdict;
BEGIN
    -- Every step is to a moment before which its check fails, so the end is the first at which all pass.
    FOR step IN 1..200 LOOP
        v := app.gate(p_organization, p_campaign, p_lead, p_line, moment);
        IF v.reason IS NULL THEN
            next_at := moment;
            RETURN;
        END IF;
        IF v.reason IN ('no_line', 'duplicate') AND v.next_change_at IS NOT NULL THEN
            depends := v.reason;
            RETURN;
        END IF;
        IF v.next_change_at IS NULL OR v.next_change_at <= moment THEN
            stops := v.reason;
            RETURN;
        END IF;
        moment := v.next_change_at;
    END LOOP;
    stops := v.reason;
END
$$;

-- {"at", "gate": NULL, "before": {"at", "gate": reason}}: the gate's own words at the moment and a second before it.
CREATE OR REPLACE FUNCTION app.why_proof(p_organization uuid, p_campaign uuid, p_lead uuid, p_line text, p_from timestamptz, p_next timestamptz)
RETURNS jsonb
LANGUAGE sql STABLE SET search_path = ''
AS $$
    SELECT jsonb_build_object('at', p_next, 'gate', (app.gate(p_organization, p_campaign, p_lead, p_line, p_next)).reason)
        || CASE WHEN p_next - interval '1 second' >= p_from THEN jsonb_build_object('before', jsonb_build_object(
               'at', p_next - interval '1 second',
               'gate', (app.gate(p_organization, p_campaign, p_lead, p_line, p_next - interval '1 second')).reason)) ELSE '{}' END
$$;

-- The tries so far, oldest first: what the gate looked at, what came of it, and what was decided then.
CREATE OR REPLACE FUNCTION app.why_attempts(p_organization uuid, p_campaign uuid, p_lead uuid, p_call uuid DEFAULT NULL) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = ''
AS $$
    SELECT coalesce(jsonb_agg(jsonb_build_object('attempt', a.attempt_number, 'call', a.call_log_id, 'at', l.intent_at, 'status', l.status,
               'outcome', a.outcome, 'disconnect_reason', l.disconnect_reason, 'duration', l.duration, 'gate', a.gate,
               'will_retry', a.will_retry, 'retry_reason', a.retry_reason, 'next_retry_at', a.next_retry_at,
               'counts_for_caps', l.may_have_rung) ORDER BY a.attempt_number), '[]')
      FROM public.call_attempts a
      JOIN public.call_logs l ON l.organization_id = a.organization_id AND l.id = a.call_log_id
     WHERE a.organization_id = p_organization AND a.campaign_id = p_campaign AND a.lead_id = p_lead
       AND (p_call IS NULL OR a.call_log_id = p_call)
$$;

-- All verdicts for one lead in one campaign at a moment.
CREATE OR REPLACE FUNCTION app.why_lead(p_campaign uuid, p_lead uuid, p_at timestamptz) RETURNS jsonb
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = ''
AS $$
DECLARE
    org uuid := app.org_required();
    line text := app.why_line(org, p_campaign, p_lead);
    q public.call_queue;
    turn app.verdict;
    gate app.verdict;
    checks jsonb;
    due timestamptz := p_at;
    next record;
BEGIN
    SELECT t.* INTO q FROM public.call_queue t WHERE t.organization_id = org AND t.campaign_id = p_campaign AND t.lead_id = p_lead;
    turn := app.why_queue(q, p_at);
    gate := app.gate(org, p_campaign, p_lead, line, p_at);
    SELECT jsonb_agg(jsonb_build_object('ordinal', s.ordinal, 'check', s.check_name, 'asks', app.why_words(s.check_name),
               'state', CASE s.state WHEN 'pass' THEN 'passed' WHEN 'fail' THEN 'failed' ELSE 'not reached' END, 'reason', s.reason,
               'words', r.words, 'remedy', nullif(r.remedy, ''), 'next_change_at', s.next_change_at, 'evidence', s.evidence) ORDER BY s.ordinal)
      INTO checks
      FROM (SELECT 0 AS ordinal, 'queue' AS check_name, CASE WHEN turn.reason IS NULL THEN 'pass' ELSE 'fail' END AS state,
                   turn.reason, turn.next_change_at, turn.evidence
            UNION ALL
            SELECT g.ordinal, g.check_name, g.state, g.reason, g.next_change_at, g.evidence
              FROM app.gate_checks(org, p_campaign, p_lead, line, p_at) AS g) AS s
      CROSS JOIN LATERAL app.why_reason(s.reason) AS r;
    IF turn.reason = 'not_due' THEN
        due := turn.next_change_at;
    END IF;
    IF turn.reason IS NULL OR turn.reason = 'not_due' THEN
        next := app.why_next(org, p_campaign, p_lead, line, due);
    ELSE
        SELECT NULL::timestamptz AS next_at, CASE WHEN turn.reason = 'being_called' THEN 'duplicate' END AS depends,
               CASE WHEN turn.reason <> 'being_called' THEN turn.reason END AS stops INTO next;
    END IF;
    RETURN (SELECT jsonb_build_object('campaign', c.name, 'campaign_id', c.id, 'campaign_status', c.status, 'line', nullif(line, ''),
                   'callable', turn.reason IS NULL AND gate.reason IS NULL, 'reason', coalesce(turn.reason, gate.reason), 'gate', gate.reason,
                   'checks', checks, 'next', jsonb_build_object('at', next.next_at, 'depends_on', next.depends, 'never_because', next.stops,
                       'proof', CASE WHEN next.next_at IS NOT NULL THEN app.why_proof(org, p_campaign, p_lead, line, due, next.next_at) END),
                   'attempts', app.why_attempts(org, p_campaign, p_lead))
              FROM public.campaigns c WHERE c.organization_id = org AND c.id = p_campaign);
END
$$;

-- Who is meant: the id of a lead or of one of its calls, a number, or the reference that the list brought.
CREATE OR REPLACE FUNCTION app.why_find(who text, OUT lead uuid, OUT call uuid)
LANGUAGE plpgsql STABLE SET search_path = ''
AS $$
DECLARE
    org uuid := app.org_required();
BEGIN
    IF who ~* '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' THEN
        SELECT l.id INTO lead FROM public.leads l WHERE l.organization_id = org AND l.id = who::uuid;
        IF lead IS NULL THEN
            SELECT k.lead_id, k.id INTO lead, call FROM public.call_logs k WHERE k.organization_id = org AND k.id = who::uuid;
        END IF;
        RETURN;
    END IF;
    SELECT l.id INTO lead FROM public.leads l
     WHERE l.organization_id = org
       AND (l.phone_e164 = who OR (who !~ '^\+' AND (l.email = who OR EXISTS (SELECT FROM jsonb_each_text(l.attributes) AS a
                                     WHERE a.key IN ('external_ref', 'external_id', 'reference', 'ref', 'id', 'crm_id') AND a.value = who))))
     ORDER BY l.archived_at NULLS FIRST, l.id DESC LIMIT 1;
END
$$;

-- doc: who, campaign (else all campaigns that have the lead), show_numbers.
CREATE OR REPLACE FUNCTION app.why(doc jsonb, at timestamptz) RETURNS jsonb
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = ''
AS $$
DECLARE
    org uuid := app.org_required();
    found record := app.why_find(doc ->> 'who');
    wanted uuid := CASE WHEN doc ->> 'campaign' IS NOT NULL THEN app.campaign_find(doc ->> 'campaign') END;
    answer jsonb;
BEGIN
    IF found.lead IS NULL THEN
        RAISE EXCEPTION 'no lead or call %', CASE WHEN doc ->> 'who' ~ '^\+' AND NOT coalesce((doc ->> 'show_numbers')::boolean, false)
            THEN app.mask_number(doc ->> 'who') ELSE doc ->> 'who' END USING ERRCODE = 'P0002';
    END IF;
    IF found.call IS NOT NULL THEN
        wanted := (SELECT k.campaign_id FROM public.call_logs k WHERE k.organization_id = org AND k.id = found.call);
    END IF;
    SELECT jsonb_build_object('at', at, 'lead', jsonb_build_object('id', l.id, 'name', l.name, 'phone', l.phone_e164, 'timezone', l.timezone,
               'zones', l.zones, 'region', l.region), 'call', found.call,
               'campaigns', coalesce((SELECT jsonb_agg(app.why_lead(x.id, l.id, at) ORDER BY x.rank, x.id DESC)
                    FROM (SELECT c.id, (c.status <> 'active')::int4 + (c.status = 'completed')::int4 AS rank FROM public.campaigns c
                           WHERE c.organization_id = org AND (c.id = wanted OR (wanted IS NULL AND c.archived_at IS NULL AND EXISTS (
                                 SELECT FROM public.call_queue q WHERE q.organization_id = org AND q.campaign_id = c.id AND q.lead_id = l.id)))
                           ORDER BY 2, 1 DESC LIMIT 20) AS x), '[]'))
      INTO answer
      FROM public.leads l WHERE l.organization_id = org AND l.id = found.lead;
    IF found.call IS NOT NULL THEN
        answer := answer || jsonb_build_object('was_called', app.why_attempts(org, wanted, found.lead, found.call) -> 0);
    END IF;
    IF NOT coalesce((doc ->> 'show_numbers')::boolean, false) THEN
        answer := jsonb_set(answer, '{lead,phone}', to_jsonb(app.mask_number(answer #>> '{lead,phone}')));
    END IF;
    RETURN answer;
END
$$;

RESET ROLE;
SELECT app.functions_for('app',
    '{why, mask_number, why_.*}');
GRANT EXECUTE ON FUNCTION app.why(jsonb, timestamptz) TO app_worker;
