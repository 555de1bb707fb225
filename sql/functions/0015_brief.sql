-- Everything a node needs to hold one call, as one object.
SET LOCAL ROLE app_owner;

-- The last calls with this lead, newest first, for the model to know what was said before.
CREATE OR REPLACE FUNCTION app.call_history(p_organization uuid, p_lead uuid, p_but uuid) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = ''
AS $$
    SELECT coalesce(jsonb_agg(to_jsonb(h) ORDER BY h.at DESC), '[]')
      FROM (SELECT l.created_at AS at, l.direction, l.duration, l.disconnect_reason, l.disposition, l.sentiment_score,
                   l.interest_level, l.conversation_summary AS summary
              FROM public.call_logs l
             WHERE l.organization_id = p_organization AND l.lead_id = p_lead AND l.id <> p_but AND l.answered_at IS NOT NULL
             ORDER BY l.created_at DESC LIMIT 5) AS h
$$;

-- Seconds that the clock of a zone is ahead of UTC at a moment; NULL when the zone is not known.
CREATE OR REPLACE FUNCTION app.utc_offset(zone text, at timestamptz) RETURNS int4
LANGUAGE sql STABLE SET search_path = ''
AS $$
    SELECT CASE WHEN app.zone_known(zone)
                THEN extract(epoch FROM (at AT TIME ZONE zone) - (at AT TIME ZONE 'UTC'))::int4 END
$$;

-- lead.zone is where a time of day without a zone is meant: the lead's own, or the first of those the number may be
-- in (zone_known false); utc_offset_s is its clock at p_at.
CREATE OR REPLACE FUNCTION app.call_brief(p_call uuid, p_at timestamptz) RETURNS jsonb
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = ''
AS $$
    SELECT jsonb_build_object(
        'organization', jsonb_build_object('id', o.id, 'name', o.name, 'legal_name', coalesce(o.legal_name, o.name),
            'timezone', o.timezone, 'currency', o.currency, 'settings', o.settings),
        'campaign', to_jsonb(c) - '{organization_id,total_calls,answered_calls,transferred_calls,avg_sentiment_score,sentiment_sum,sentiment_count,spent_micros,created_at,updated_at}'::text[]
            || jsonb_build_object('legal_name', coalesce(c.legal_name, o.legal_name, o.name)),
        'lead', to_jsonb(l) - '{organization_id,created_at,updated_at,import_id}'::text[]
            || jsonb_build_object('zone', (app.lead_zones(l, c.timezone))[1],
                'utc_offset_s', app.utc_offset((app.lead_zones(l, c.timezone))[1], p_at),
                'zone_known', coalesce(cardinality(app.lead_zones(l, c.timezone)) = 1, false)),
        'call', jsonb_build_object('id', k.id, 'direction', k.direction, 'status', k.status, 'caller_number', k.caller_number,
            'callee_number', k.callee_number, 'attempt_number', k.attempt_number, 'queue_id', k.queue_id,
            'carrier_account_id', k.carrier_account_id, 'intent_at', k.intent_at, 'answered_at', k.answered_at,
            'call_sid', k.call_sid, 'request_uuid', k.request_uuid, 'callback_at', q.callback_at),
        'history', app.call_history(k.organization_id, k.lead_id, k.id),
        'agents_available', (SELECT count(*) FROM public.agent_presence p
                              WHERE p.organization_id = k.organization_id AND p.state = 'available'))
      FROM public.call_logs k
      JOIN public.organizations o ON o.id = k.organization_id
      LEFT JOIN public.campaigns c ON c.organization_id = k.organization_id AND c.id = k.campaign_id
      LEFT JOIN public.leads l ON l.organization_id = k.organization_id AND l.id = k.lead_id
      LEFT JOIN public.call_queue q ON q.organization_id = k.organization_id AND q.id = k.queue_id
     WHERE k.organization_id = (SELECT app.active_org()) AND k.id = p_call
$$;

RESET ROLE;
REVOKE ALL ON FUNCTION app.call_history(uuid, uuid, uuid), app.utc_offset(text, timestamptz), app.call_brief(uuid, timestamptz)
    FROM PUBLIC, anon, authenticated, service_role;
GRANT EXECUTE ON FUNCTION app.call_brief(uuid, timestamptz) TO app_worker;
