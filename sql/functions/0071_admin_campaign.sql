-- Starting, pausing and reading campaigns from the command line.
SET LOCAL ROLE app_owner;

-- What a campaign lacks before it may start; empty when it is ready. Shown by `campaign status` too.
CREATE OR REPLACE FUNCTION app.campaign_lacks(campaign uuid) RETURNS text[]
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = ''
AS $$
DECLARE
    org uuid := app.org_required();
    c public.campaigns;
    lacks text[] := '{}';
BEGIN
    SELECT x.* INTO STRICT c FROM public.campaigns x WHERE x.organization_id = org AND x.id = campaign;
    IF NOT EXISTS (SELECT FROM public.campaign_numbers n
                     JOIN public.phone_numbers p ON p.organization_id = n.organization_id AND p.id = n.phone_number_id
                    WHERE n.organization_id = org AND n.campaign_id = campaign AND p.status = 'active') THEN
        lacks := lacks || 'an active caller id (numbers)'::text;
    END IF;
    IF c.greeting = '' THEN
        lacks := lacks || 'a greeting'::text;
    END IF;
    IF c.voice_kind = 'ai' AND c.disclosure = '' THEN
        lacks := lacks || 'a disclosure: the person must be told at once that an AI speaks'::text;
    END IF;
    IF coalesce(c.legal_name, (SELECT o.legal_name FROM public.organizations o WHERE o.id = org)) IS NULL THEN
        lacks := lacks || 'a legal_name of the business that calls'::text;
    END IF;
    IF c.callback_number IS NULL THEN
        lacks := lacks || 'a callback_number that people can phone back'::text;
    END IF;
    IF NOT EXISTS (SELECT FROM public.call_queue q WHERE q.organization_id = org AND q.campaign_id = campaign) THEN
        lacks := lacks || 'leads (import)'::text;
    END IF;
    IF c.transfer = 'agents' AND 'transfer_to_human' = ANY (c.tools) AND NOT EXISTS (
            SELECT FROM public.profiles p WHERE p.organization_id = org AND p.role = 'agent' AND p.archived_at IS NULL
               AND p.phone_e164 IS NOT NULL) THEN
        lacks := lacks || 'an agent with a phone number, or transfer: off'::text;
    END IF;
    RETURN lacks;
END
$$;

-- start, pause, resume, cancel. Answers {campaign, from, to} or {refused: why}.
CREATE OR REPLACE FUNCTION app.campaign_act(name_or_id text, act text, actor text, at timestamptz) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = ''
AS $$
DECLARE
    org uuid := app.org_required();
    target uuid := app.campaign_find(name_or_id);
    c public.campaigns;
    lacks text[];
    moved record;
    wanted text := CASE act WHEN 'pause' THEN 'paused' WHEN 'cancel' THEN 'completed' ELSE 'active' END;
BEGIN
    SELECT x.* INTO STRICT c FROM public.campaigns x WHERE x.organization_id = org AND x.id = target FOR UPDATE;
    IF c.status = wanted THEN
        RETURN jsonb_build_object('campaign', c.name, 'id', c.id, 'from', c.status, 'to', c.status, 'closing', false);
    END IF;
    IF c.status = 'completed' THEN
        RETURN jsonb_build_object('refused', format('campaign %s is completed (%s), which is final', c.name, c.completed_reason));
    END IF;
    IF (act = 'resume' AND c.status = 'draft') OR (act = 'start' AND c.status = 'paused')
       OR (act = 'pause' AND c.status = 'draft') THEN
        RETURN jsonb_build_object('refused', format('campaign %s is %s: use %s', c.name, c.status,
            CASE c.status WHEN 'draft' THEN 'start' ELSE 'resume' END));
    END IF;
    IF wanted = 'active' THEN
        lacks := app.campaign_lacks(target);
        IF cardinality(lacks) > 0 THEN
            RETURN jsonb_build_object('refused', format('campaign %s lacks %s', c.name, array_to_string(lacks, '; ')), 'lacks', to_jsonb(lacks));
        END IF;
    END IF;
    SELECT t.* INTO moved FROM app.campaign_transition(target, c.status, wanted, CASE act WHEN 'cancel' THEN 'cancelled' END, at) t;
    IF NOT moved.changed THEN
        RETURN jsonb_build_object('refused', format('campaign %s: %s', c.name, moved.refusal));
    END IF;
    PERFORM app.audit_put(actor, 'campaign.' || act, 'campaign', target, jsonb_build_object('from', c.status, 'to', moved.status), at);
    -- Cancelling waits, paused, for calls that are live.
    RETURN jsonb_build_object('campaign', c.name, 'id', c.id, 'from', c.status, 'to', moved.status, 'closing', moved.status <> wanted);
END
$$;

-- Where a campaign stands: cheap enough to be asked every second.
CREATE OR REPLACE FUNCTION app.campaign_status(name_or_id text, at timestamptz) RETURNS jsonb
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = ''
AS $$
DECLARE
    org uuid := app.org_required();
    target uuid := app.campaign_find(name_or_id);
    answer jsonb;
BEGIN
    SELECT jsonb_build_object('campaign', c.name, 'id', c.id, 'status', c.status, 'completed_reason', c.completed_reason,
               'total_calls', c.total_calls, 'answered_calls', c.answered_calls, 'transferred_calls', c.transferred_calls,
               'avg_sentiment_score', c.avg_sentiment_score, 'spent_micros', c.spent_micros,
               'lacks', CASE c.status WHEN 'draft' THEN to_jsonb(app.campaign_lacks(c.id)) ELSE '[]' END)
      INTO STRICT answer
      FROM public.campaigns c WHERE c.organization_id = org AND c.id = target;
    answer := answer || (
        SELECT jsonb_build_object(
            'leads', count(*),
            'queued', count(*) FILTER (WHERE q.status = 'queued'),
            'due', count(*) FILTER (WHERE q.status = 'queued' AND q.next_retry_at <= at),
            'processing', count(*) FILTER (WHERE q.status = 'processing'),
            'completed', count(*) FILTER (WHERE q.status = 'completed'),
            'failed', count(*) FILTER (WHERE q.status = 'failed'),
            'next_due', min(q.next_retry_at) FILTER (WHERE q.status = 'queued' AND q.next_retry_at > at))
          FROM public.call_queue q WHERE q.organization_id = org AND q.campaign_id = target);
    answer := answer || jsonb_build_object('waiting', coalesce((
        SELECT jsonb_agg(jsonb_build_object('reason', w.reason, 'leads', w.leads, 'next_at', w.next_at) ORDER BY w.leads DESC)
          FROM (SELECT CASE WHEN q.callback_at IS NOT NULL THEN 'callback requested' ELSE coalesce(q.last_error, 'not tried yet') END AS reason, count(*) AS leads,
                       nullif(min(q.next_retry_at), '-infinity') AS next_at
                  FROM public.call_queue q
                 WHERE q.organization_id = org AND q.campaign_id = target AND q.status = 'queued' GROUP BY 1) w), '[]'));
    RETURN answer || jsonb_build_object(
        'live', (SELECT count(*) FROM public.call_logs l WHERE l.organization_id = org AND l.campaign_id = target
                    AND l.status NOT IN ('ended', 'not_placed')),
        'unknown', (SELECT count(*) FROM public.call_logs l WHERE l.organization_id = org AND l.campaign_id = target
                    AND l.status = 'outcome_unknown'),
        'analysis_open', (SELECT count(*) FROM public.analysis_jobs j
                            JOIN public.call_logs l ON l.organization_id = j.organization_id AND l.id = j.call_log_id
                           WHERE j.organization_id = org AND l.campaign_id = target AND j.status IN ('queued', 'running')));
END
$$;

CREATE OR REPLACE FUNCTION app.campaign_listing() RETURNS jsonb
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = ''
AS $$
    SELECT jsonb_build_object('campaigns', coalesce(jsonb_agg(jsonb_build_object('campaign', c.name, 'id', c.id, 'status', c.status,
               'leads', (SELECT count(*) FROM public.call_queue q
                          WHERE q.organization_id = c.organization_id AND q.campaign_id = c.id),
               'total_calls', c.total_calls, 'answered_calls', c.answered_calls, 'transferred_calls', c.transferred_calls,
               'created_at', c.created_at) ORDER BY c.created_at), '[]'))
      FROM public.campaigns c
     WHERE c.organization_id = app.org_required() AND c.archived_at IS NULL
$$;

-- One line per outcome of the newest attempt of each lead; a lead without one shows why it waits or stopped.
CREATE OR REPLACE FUNCTION app.campaign_outcomes(target uuid) RETURNS jsonb
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = ''
AS $$
    SELECT coalesce(jsonb_object_agg(o.outcome, o.leads), '{}')
      FROM (SELECT coalesce(CASE WHEN q.status = 'processing' THEN 'in progress' END,
                            CASE WHEN t.outcome = 'answered' THEN coalesce(t.disposition, 'answered') END,
                            t.outcome, q.last_error, 'not tried yet') AS outcome, count(*) AS leads
              FROM public.call_queue q
              LEFT JOIN LATERAL (
                    SELECT a.outcome, l.disposition FROM public.call_attempts a
                      JOIN public.call_logs l ON l.organization_id = a.organization_id AND l.id = a.call_log_id
                     WHERE a.organization_id = q.organization_id AND a.campaign_id = q.campaign_id AND a.lead_id = q.lead_id
                     ORDER BY a.attempt_number DESC LIMIT 1) t ON true
             WHERE q.organization_id = app.org_required() AND q.campaign_id = target
             GROUP BY 1) o
$$;

CREATE OR REPLACE FUNCTION app.campaign_funnel(target uuid) RETURNS jsonb
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = ''
AS $$
    SELECT jsonb_build_object(
        'leads', (SELECT count(*) FROM public.call_queue q WHERE q.organization_id = o.org AND q.campaign_id = target),
        'leads_dialed', count(DISTINCT l.lead_id) FILTER (WHERE l.status <> 'not_placed'),
        'dials', count(*) FILTER (WHERE l.status <> 'not_placed'),
        'not_placed', count(*) FILTER (WHERE l.status = 'not_placed'),
        'answered', count(*) FILTER (WHERE a.outcome = 'answered'),
        'leads_reached', count(DISTINCT l.lead_id) FILTER (WHERE a.outcome = 'answered'),
        'voicemail', count(*) FILTER (WHERE a.outcome = 'voicemail'),
        'interested', count(*) FILTER (WHERE l.disposition IN ('interested', 'qualified', 'converted')),
        'callback_requested', count(*) FILTER (WHERE l.disposition = 'callback_requested'),
        'not_interested', count(*) FILTER (WHERE l.disposition = 'not_interested'),
        'opted_out', count(*) FILTER (WHERE l.opted_out_at IS NOT NULL),
        'transferred', count(*) FILTER (WHERE l.transferred),
        'analysed', count(i.id),
        'talk_seconds', coalesce(sum(l.duration), 0)::int8,
        'cost_micros', (SELECT coalesce(sum(u.cost_micros), 0)::int8 FROM public.usage_ledger u
                         WHERE u.organization_id = o.org AND u.campaign_id = target))
      FROM (SELECT app.org_required() AS org) o
      LEFT JOIN public.call_logs l ON l.organization_id = o.org AND l.campaign_id = target AND l.direction = 'outbound'
      LEFT JOIN public.call_attempts a ON a.organization_id = o.org AND a.call_log_id = l.id
      LEFT JOIN public.conversation_insights i ON i.organization_id = o.org AND i.call_log_id = l.id
     GROUP BY o.org
$$;

-- The calls most worth reading: one of each kind of ending first, then by length.
CREATE OR REPLACE FUNCTION app.campaign_calls(target uuid, want int4) RETURNS jsonb
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = ''
AS $$
    SELECT coalesce(jsonb_agg(to_jsonb(c) - 'kind_rank' ORDER BY c.kind_rank, c.duration DESC, c.id), '[]')
      FROM (SELECT l.id, d.name AS lead, d.phone_e164 AS phone, l.status, a.outcome, l.disposition, l.disconnect_reason,
                   l.duration, l.sentiment_score, l.interest_level, d.score, l.transferred, l.recording_url,
                   i.summary, i.recommended_action,
                   coalesce(t.title,
                            CASE WHEN a.will_retry AND q.attempt_number > l.attempt_number THEN 'was called again'
                                 WHEN a.will_retry AND q.status = 'queued' THEN 'call again at '
                                      || to_char(q.next_retry_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS') || 'Z' END,
                            'none') AS next_step,
                   row_number() OVER (PARTITION BY coalesce(l.disposition, l.disconnect_reason, a.outcome) ORDER BY l.duration DESC, l.id) AS kind_rank
              FROM public.call_logs l
              JOIN public.leads d ON d.organization_id = l.organization_id AND d.id = l.lead_id
              LEFT JOIN public.call_queue q ON q.organization_id = l.organization_id AND q.id = l.queue_id
              LEFT JOIN public.call_attempts a ON a.organization_id = l.organization_id AND a.call_log_id = l.id
              LEFT JOIN public.conversation_insights i ON i.organization_id = l.organization_id AND i.call_log_id = l.id
              LEFT JOIN LATERAL (SELECT f.title FROM public.follow_up_tasks f
                                  WHERE f.organization_id = l.organization_id AND f.call_log_id = l.id
                                  ORDER BY f.created_at LIMIT 1) t ON true
             WHERE l.organization_id = app.org_required() AND l.campaign_id = target
             ORDER BY kind_rank, l.duration DESC, l.id LIMIT want) c
$$;

CREATE OR REPLACE FUNCTION app.campaign_tasks(target uuid) RETURNS jsonb
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = ''
AS $$
    SELECT coalesce(jsonb_agg(jsonb_build_object('id', f.id, 'lead', d.name, 'phone', d.phone_e164, 'task_type', f.task_type, 'title', f.title,
               'priority', f.priority, 'due_date', f.due_date, 'status', f.status, 'source', f.source,
               'performed_by', f.performed_by, 'call_id', f.call_log_id) ORDER BY f.created_at, f.id), '[]')
      FROM public.follow_up_tasks f
      JOIN public.leads d ON d.organization_id = f.organization_id AND d.id = f.lead_id
     WHERE f.organization_id = app.org_required() AND f.campaign_id = target
$$;

CREATE OR REPLACE FUNCTION app.campaign_report(name_or_id text, calls int4, at timestamptz) RETURNS jsonb
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = ''
AS $$
DECLARE
    target uuid := app.campaign_find(name_or_id);
BEGIN
    RETURN app.campaign_status(target::text, at)
        || jsonb_build_object('funnel', app.campaign_funnel(target), 'outcomes', app.campaign_outcomes(target),
            'calls', app.campaign_calls(target, calls), 'tasks', app.campaign_tasks(target),
            'rejects', (SELECT coalesce(jsonb_object_agg(r.reason, r.n), '{}')
                          FROM (SELECT j.reason, count(*) AS n FROM public.import_rejects j
                                  JOIN public.imports m ON m.organization_id = j.organization_id AND m.id = j.import_id
                                 WHERE j.organization_id = app.org_required() AND m.campaign_id = target GROUP BY 1) r),
            'recordings', (SELECT jsonb_build_object('count', count(*), 'seconds', (coalesce(sum(r.duration_ms), 0) / 1000)::int8,
                                   'bytes', coalesce(sum(r.bytes), 0)::int8)
                             FROM public.recordings r
                             JOIN public.call_logs l ON l.organization_id = r.organization_id AND l.id = r.call_log_id
                            WHERE r.organization_id = app.org_required() AND l.campaign_id = target AND r.status = 'ready'));
END
$$;

RESET ROLE;
