-- From "may I speak to a person" to an agent on the line: one agent is offered the call, hears a briefing,
-- accepts with a key and is bridged; whoever does not accept leaves a callback task behind.
--
-- The carrier executes the leg (Dial in the answer to `after`); these functions keep what it reports. Each is
-- safe to repeat: the inbox holds every report once, and states only move forward
-- (requested -> ringing -> briefing -> bridged -> closed, or declined | no_answer | failed).
SET LOCAL ROLE app_owner;

-- One line of plain words for a whisper or a title: no control characters, bounded.
CREATE OR REPLACE FUNCTION app.plain_words(words text, most int4) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = ''
AS $$
    SELECT left(btrim(regexp_replace(regexp_replace(coalesce(words, ''), '[[:cntrl:]\u202a-\u202e\u2066-\u2069<>&]', ' ', 'g'),
                                     '\s+', ' ', 'g')), most)
$$;

-- Keeps one report of the carrier; true when it is new, false when it was there or there is no such call.
CREATE OR REPLACE FUNCTION app.handoff_report(call_id uuid, kind text, event_key text, payload jsonb, at timestamptz) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = ''
AS $$
BEGIN
    INSERT INTO public.call_events (organization_id, call_log_id, source, kind, event_key, payload, applied, received_at)
    SELECT l.organization_id, l.id, 'agent', handoff_report.kind, handoff_report.event_key, coalesce(handoff_report.payload, '{}'),
           true, handoff_report.at
      FROM public.call_logs l
     WHERE l.organization_id = (SELECT app.active_org()) AND l.id = handoff_report.call_id
    ON CONFLICT DO NOTHING;
    RETURN FOUND;
END
$$;

-- What a person still has to do because no agent took the call.
CREATE OR REPLACE FUNCTION app.callback_task(call_id uuid, why text, at timestamptz) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = ''
AS $$
DECLARE
    c record;
BEGIN
    SELECT l.organization_id, l.id, l.lead_id, l.campaign_id, l.transfer_reason, p.name INTO c
      FROM public.call_logs l LEFT JOIN public.leads p ON p.organization_id = l.organization_id AND p.id = l.lead_id
     WHERE l.id = call_id AND l.organization_id = (SELECT app.active_org());
    IF c.lead_id IS NULL THEN
        RETURN;
    END IF;
    INSERT INTO public.follow_up_tasks (organization_id, lead_id, campaign_id, call_log_id, task_type, title, description,
                                        priority, due_date, source, reason_key, context)
    VALUES (c.organization_id, c.lead_id, c.campaign_id, c.id, 'call',
            left('Call back ' || app.plain_words(coalesce(c.name, 'the lead'), 80) || ': asked for a person', 200),
            'The lead asked for a person and none could be reached (' || why || ').'
                || coalesce(' Reason given: ' || app.plain_words(c.transfer_reason, 400), ''),
            'high', at + interval '1 hour', 'ai', 'handoff_callback', jsonb_build_object('why', why))
    ON CONFLICT (organization_id, call_log_id, reason_key) WHERE call_log_id IS NOT NULL AND reason_key IS NOT NULL
    DO NOTHING;
END
$$;

-- The agent is free again, unless something else has them by now.
CREATE OR REPLACE FUNCTION app.agent_release(agent_call uuid, at timestamptz) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = ''
AS $$
    UPDATE public.agent_presence p
       SET state = 'available', agent_call_id = NULL, state_since = at
     WHERE p.organization_id = (SELECT app.active_org()) AND p.agent_call_id = agent_call
       AND p.state IN ('ringing', 'on_call', 'wrap_up')
$$;

-- The AI's request. Picks the available agent who has waited longest for an offer; two requests never get one agent.
CREATE OR REPLACE FUNCTION app.transfer_request(call_id uuid, reason text, summary text, at timestamptz)
RETURNS TABLE (granted boolean, why text, agent_call_id uuid, agent_name text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = ''
AS $$
DECLARE
    org uuid := (SELECT app.active_org());
    c record;
    agent record;
    open_call record;
BEGIN
    SELECT l.id, l.status, l.lead_id, l.campaign_id, g.transfer, g.name AS campaign, p.name AS lead INTO c
      FROM public.call_logs l
      LEFT JOIN public.campaigns g ON g.organization_id = org AND g.id = l.campaign_id
      LEFT JOIN public.leads p ON p.organization_id = org AND p.id = l.lead_id
     WHERE l.organization_id = org AND l.id = call_id
       FOR UPDATE OF l;
    IF NOT FOUND OR c.status NOT IN ('in_progress', 'transferring') THEN
        RETURN QUERY SELECT false, 'not_live', NULL::uuid, NULL::text;
        RETURN;
    END IF;
    IF coalesce(c.transfer, 'off') = 'off' THEN
        RETURN QUERY SELECT false, 'transfers_off', NULL::uuid, NULL::text;
        RETURN;
    END IF;
    UPDATE public.call_logs l SET transfer_reason = app.plain_words(reason, 500)
     WHERE l.organization_id = org AND l.id = call_id;
    SELECT a.id, a.agent_name INTO open_call FROM public.agent_calls a
     WHERE a.organization_id = org AND a.ai_call_log_id = call_id AND a.state IN ('requested', 'ringing', 'briefing', 'bridged');
    IF FOUND THEN
        RETURN QUERY SELECT true, NULL::text, open_call.id, open_call.agent_name;
        RETURN;
    END IF;
    SELECT p.profile_id, r.name, r.phone_e164 INTO agent
      FROM public.agent_presence p
      JOIN public.profiles r ON r.organization_id = org AND r.id = p.profile_id
     WHERE p.organization_id = org AND p.state = 'available' AND p.agent_call_id IS NULL
       AND r.phone_e164 IS NOT NULL AND r.archived_at IS NULL
     ORDER BY p.last_offered_at NULLS FIRST, p.profile_id
     LIMIT 1
       FOR UPDATE OF p SKIP LOCKED;
    IF NOT FOUND THEN
        PERFORM app.callback_task(call_id, 'no agent was available', at);
        RETURN QUERY SELECT false, 'no_agent', NULL::uuid, NULL::text;
        RETURN;
    END IF;
    RETURN QUERY
        WITH made AS (
            INSERT INTO public.agent_calls AS a (organization_id, lead_id, campaign_id, ai_call_log_id, agent_id, agent_name,
                                                 agent_number, offer_number, reason, briefing, requested_at)
            SELECT org, c.lead_id, c.campaign_id, call_id, agent.profile_id, agent.name, agent.phone_e164,
                   1 + (SELECT count(*)::int4 FROM public.agent_calls o
                         WHERE o.organization_id = org AND o.ai_call_log_id = call_id),
                   app.plain_words(reason, 500),
                   app.plain_words('Call from the campaign ' || coalesce(c.campaign, '') || '. '
                       || coalesce(c.lead, 'The lead') || ' is on the line. ' || coalesce(summary, '')
                       || ' Press 1 to take the call.', 700),
                   at
            RETURNING a.id, a.agent_name),
        held AS (
            UPDATE public.agent_presence p
               SET state = 'ringing', agent_call_id = made.id, state_since = at, last_offered_at = at
              FROM made WHERE p.organization_id = org AND p.profile_id = agent.profile_id)
        SELECT true, NULL::text, made.id, made.agent_name FROM made;
END
$$;

-- The stream is over: ring the agent, or end. Repeats answer the same as long as nothing has moved since.
CREATE OR REPLACE FUNCTION app.transfer_after(call_id uuid, event_key text, payload jsonb, at timestamptz)
RETURNS TABLE (next text, agent_call_id uuid, agent_number text, caller_number text, ring_timeout_s int4,
               time_limit_s int4, record boolean, language text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = ''
AS $$
DECLARE
    org uuid := (SELECT app.active_org());
    c record;
    a record;
BEGIN
    SELECT l.id, l.status, l.caller_number, l.direction, l.callee_number, g.transfer_timeout_s, g.max_duration_s, g.recording,
           g.language INTO c
      FROM public.call_logs l LEFT JOIN public.campaigns g ON g.organization_id = org AND g.id = l.campaign_id
     WHERE l.organization_id = org AND l.id = call_id
       FOR UPDATE OF l;
    IF NOT FOUND THEN
        RETURN QUERY SELECT 'hangup', NULL::uuid, NULL::text, NULL::text, 0, 0, false, NULL::text;
        RETURN;
    END IF;
    PERFORM app.handoff_report(call_id, 'after', event_key, payload, at);
    SELECT o.id, o.agent_number INTO a FROM public.agent_calls o
     WHERE o.organization_id = org AND o.ai_call_log_id = call_id AND o.state IN ('requested', 'ringing');
    IF NOT FOUND OR c.status NOT IN ('in_progress', 'transferring') THEN
        RETURN QUERY SELECT 'hangup', NULL::uuid, NULL::text, NULL::text, 0, 0, false, c.language;
        RETURN;
    END IF;
    UPDATE public.agent_calls o SET state = 'ringing', ringing_at = coalesce(o.ringing_at, at)
     WHERE o.organization_id = org AND o.id = a.id;
    UPDATE public.call_logs l SET status = 'transferring'
     WHERE l.organization_id = org AND l.id = call_id AND l.status = 'in_progress';
    RETURN QUERY SELECT 'agent', a.id, a.agent_number,
        CASE WHEN c.direction = 'outbound' THEN c.caller_number ELSE c.callee_number END,
        coalesce(c.transfer_timeout_s, 30), coalesce(c.max_duration_s, 600) * 6, coalesce(c.recording, 'on') = 'on', c.language;
END
$$;

-- The agent picked up: what they shall hear. Empty when the offer is no longer open.
CREATE OR REPLACE FUNCTION app.agent_whisper(call_id uuid, event_key text, leg_call_id text, payload jsonb, at timestamptz)
RETURNS TABLE (briefing text, language text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = ''
AS $$
DECLARE
    org uuid := (SELECT app.active_org());
BEGIN
    PERFORM app.handoff_report(call_id, 'agent-whisper', event_key, payload, at);
    UPDATE public.agent_calls o
       SET state = 'briefing', answered_at = coalesce(o.answered_at, at), call_sid = coalesce(o.call_sid, nullif(leg_call_id, ''))
     WHERE o.organization_id = org AND o.ai_call_log_id = call_id AND o.state IN ('requested', 'ringing');
    RETURN QUERY
        SELECT o.briefing, g.language
          FROM public.agent_calls o LEFT JOIN public.campaigns g ON g.organization_id = org AND g.id = o.campaign_id
         WHERE o.organization_id = org AND o.ai_call_log_id = call_id AND o.state = 'briefing';
END
$$;

-- Ends the open offer of a call with one of the states that end it; bridged ones close.
CREATE OR REPLACE FUNCTION app.agent_call_end(call_id uuid, final_state text, why text, duration_s int4, at timestamptz) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = ''
AS $$
DECLARE
    org uuid := (SELECT app.active_org());
    a record;
BEGIN
    SELECT o.id, o.state, o.started_at INTO a FROM public.agent_calls o
     WHERE o.organization_id = org AND o.ai_call_log_id = call_id AND o.state IN ('requested', 'ringing', 'briefing', 'bridged')
       FOR UPDATE;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    -- "No answer" of one who has heard the briefing is a no: they did not press the key.
    final_state := CASE WHEN a.state = 'bridged' THEN 'closed'
                        WHEN a.state = 'briefing' AND final_state = 'no_answer' THEN 'declined'
                        ELSE final_state END;
    UPDATE public.agent_calls o
       SET state = final_state, ended_at = at, cause = why,
           outcome = CASE WHEN a.state <> 'bridged' THEN 'no_answer' ELSE o.outcome END,
           duration = CASE WHEN a.state <> 'bridged' THEN 0
                           WHEN coalesce(duration_s, 0) > 0 THEN duration_s
                           ELSE greatest(0, extract(epoch FROM at - a.started_at)::int4) END
     WHERE o.organization_id = org AND o.id = a.id;
    PERFORM app.agent_release(a.id, at);
    IF a.state <> 'bridged' THEN
        PERFORM app.callback_task(call_id, 'the agent did not take the call: ' || final_state, at);
    END IF;
    RETURN true;
END
$$;

-- Progress of the agent's leg as the carrier tells it; leg_state in our words (carrier.h).
CREATE OR REPLACE FUNCTION app.agent_event(call_id uuid, event_key text, leg_state text, leg_call_id text, duration_s int4,
                                payload jsonb, at timestamptz) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = ''
AS $$
DECLARE
    org uuid := (SELECT app.active_org());
    bridged record;
BEGIN
    IF NOT app.handoff_report(call_id, 'agent-event', event_key, payload, at) THEN
        RETURN false;
    END IF;
    UPDATE public.agent_calls o SET call_sid = leg_call_id
     WHERE o.organization_id = org AND o.ai_call_log_id = call_id AND o.call_sid IS NULL AND nullif(leg_call_id, '') IS NOT NULL
       AND o.state IN ('requested', 'ringing', 'briefing', 'bridged');
    IF leg_state = 'bridged' THEN
        UPDATE public.agent_calls o
           SET state = 'bridged', started_at = at, answered_at = coalesce(o.answered_at, at)
         WHERE o.organization_id = org AND o.ai_call_log_id = call_id AND o.state IN ('requested', 'ringing', 'briefing')
        RETURNING o.id, o.agent_id INTO bridged;
        IF FOUND THEN
            UPDATE public.agent_presence p SET state = 'on_call', state_since = at
             WHERE p.organization_id = org AND p.profile_id = bridged.agent_id AND p.agent_call_id = bridged.id;
            UPDATE public.call_logs l
               SET transferred = true, transferred_at = at,
                   status = CASE WHEN l.status = 'in_progress' THEN 'transferring' ELSE l.status END
             WHERE l.organization_id = org AND l.id = call_id;
            INSERT INTO public.outbox (organization_id, topic, subject_id, dedup_key, payload)
            VALUES (org, 'handoff.bridged', call_id, bridged.id::text, jsonb_build_object('agent_call_id', bridged.id))
            ON CONFLICT DO NOTHING;
        END IF;
    -- A leg that is over without a bridge that we heard of: why, and whether there was a bridge, the Dial's report says.
    ELSIF leg_state IN ('declined', 'no_answer', 'failed')
          OR (leg_state = 'ended' AND EXISTS (SELECT FROM public.agent_calls o WHERE o.organization_id = org
                                                 AND o.ai_call_log_id = call_id AND o.state = 'bridged')) THEN
        PERFORM app.agent_call_end(call_id, leg_state, leg_state, duration_s, at);
    END IF;
    RETURN true;
END
$$;

-- The Dial is over: end after a bridged talk, apologise when nobody took it.
CREATE OR REPLACE FUNCTION app.agent_action(call_id uuid, event_key text, leg_state text, leg_call_id text, duration_s int4,
                                 payload jsonb, at timestamptz)
RETURNS TABLE (next text, apology text, language text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = ''
AS $$
DECLARE
    org uuid := (SELECT app.active_org());
    done boolean;
BEGIN
    PERFORM app.handoff_report(call_id, 'agent-action', event_key, payload, at);
    UPDATE public.agent_calls o SET call_sid = leg_call_id
     WHERE o.organization_id = org AND o.ai_call_log_id = call_id AND o.call_sid IS NULL AND nullif(leg_call_id, '') IS NOT NULL;
    -- "ended" without a bridge that we heard of: the leg talked, the report of the bridge was lost. (A key challenge
    -- that failed is "declined".) The talk began its duration ago, else when the agent picked up.
    IF leg_state = 'ended' THEN
        PERFORM app.agent_event(call_id, 'implied-bridge', 'bridged', leg_call_id, 0, '{"implied": true}'::jsonb,
                                CASE WHEN coalesce(duration_s, 0) > 0 THEN at - make_interval(secs => duration_s)
                                     ELSE coalesce((SELECT o.answered_at FROM public.agent_calls o
                                                     WHERE o.organization_id = org AND o.ai_call_log_id = agent_action.call_id
                                                       AND o.state IN ('ringing', 'briefing')), at) END);
    END IF;
    PERFORM app.agent_call_end(call_id, CASE WHEN leg_state IN ('declined', 'no_answer') THEN leg_state ELSE 'failed' END,
                               leg_state, duration_s, at);
    SELECT l.transferred INTO done FROM public.call_logs l WHERE l.organization_id = org AND l.id = call_id;
    IF NOT coalesce(done, false) THEN
        UPDATE public.call_logs l SET status = 'in_progress'
         WHERE l.organization_id = org AND l.id = call_id AND l.status = 'transferring';
    END IF;
    RETURN QUERY
        SELECT CASE WHEN coalesce(l.transferred, false) THEN 'hangup' ELSE 'apologise' END,
               coalesce(nullif(g.transfer_apology, ''),
                        'I am sorry, none of my colleagues can take the call right now. Someone will call you back. Goodbye.'),
               g.language
          FROM public.call_logs l LEFT JOIN public.campaigns g ON g.organization_id = org AND g.id = l.campaign_id
         WHERE l.organization_id = org AND l.id = call_id;
END
$$;

-- Whatever was lost on the way: a call that is over has no open offer, and its agent is free. Runs as whoever
-- moved the call (app_owner in a tenant, app_engine in a sweep), under that role's policies.
CREATE OR REPLACE FUNCTION app.handoff_on_call_over() RETURNS trigger
LANGUAGE plpgsql SET search_path = ''
AS $$
DECLARE
    a record;
BEGIN
    FOR a IN SELECT o.id, o.state, o.started_at FROM public.agent_calls o
              WHERE o.organization_id = NEW.organization_id AND o.ai_call_log_id = NEW.id
                AND o.state IN ('requested', 'ringing', 'briefing', 'bridged') FOR UPDATE LOOP
        UPDATE public.agent_calls o
           SET state = CASE WHEN a.state = 'bridged' THEN 'closed' ELSE 'failed' END,
               ended_at = coalesce(NEW.ended_at, NEW.resolved_at, o.requested_at), cause = 'call over',
               outcome = CASE WHEN a.state <> 'bridged' THEN 'no_answer' ELSE o.outcome END,
               duration = CASE WHEN a.state = 'bridged'
                               THEN greatest(0, extract(epoch FROM coalesce(NEW.ended_at, a.started_at) - a.started_at)::int4)
                               ELSE 0 END
         WHERE o.organization_id = NEW.organization_id AND o.id = a.id;
        UPDATE public.agent_presence p SET state = 'available', agent_call_id = NULL,
               state_since = coalesce(NEW.ended_at, p.state_since)
         WHERE p.organization_id = NEW.organization_id AND p.agent_call_id = a.id AND p.state IN ('ringing', 'on_call', 'wrap_up');
        IF a.state <> 'bridged' AND NEW.lead_id IS NOT NULL AND NEW.opted_out_at IS NULL THEN
            INSERT INTO public.follow_up_tasks (organization_id, lead_id, campaign_id, call_log_id, task_type, title,
                                                priority, due_date, source, reason_key, context)
            VALUES (NEW.organization_id, NEW.lead_id, NEW.campaign_id, NEW.id, 'call',
                    'Call back: asked for a person, the call ended before one came', 'high',
                    coalesce(NEW.ended_at, NEW.resolved_at) + interval '1 hour', 'ai', 'handoff_callback',
                    '{"why": "call over"}')
            ON CONFLICT (organization_id, call_log_id, reason_key) WHERE call_log_id IS NOT NULL AND reason_key IS NOT NULL
            DO NOTHING;
        END IF;
    END LOOP;
    RETURN NULL;
END
$$;

RESET ROLE;
CREATE OR REPLACE TRIGGER handoff_on_call_over AFTER UPDATE OF status ON public.call_logs
    FOR EACH ROW WHEN (NEW.status IN ('ended', 'not_placed') AND OLD.status IS DISTINCT FROM NEW.status)
    EXECUTE FUNCTION app.handoff_on_call_over();

REVOKE ALL ON FUNCTION app.plain_words(text, int4), app.handoff_report(uuid, text, text, jsonb, timestamptz),
    app.callback_task(uuid, text, timestamptz), app.agent_release(uuid, timestamptz),
    app.transfer_request(uuid, text, text, timestamptz), app.transfer_after(uuid, text, jsonb, timestamptz),
    app.agent_whisper(uuid, text, text, jsonb, timestamptz),
    app.agent_call_end(uuid, text, text, int4, timestamptz),
    app.agent_event(uuid, text, text, text, int4, jsonb, timestamptz),
    app.agent_action(uuid, text, text, text, int4, jsonb, timestamptz),
    app.handoff_on_call_over() FROM PUBLIC, anon, authenticated, service_role;
GRANT EXECUTE ON FUNCTION app.transfer_request(uuid, text, text, timestamptz),
    app.transfer_after(uuid, text, jsonb, timestamptz), app.agent_whisper(uuid, text, text, jsonb, timestamptz),
    app.agent_event(uuid, text, text, text, int4, jsonb, timestamptz),
    app.agent_action(uuid, text, text, text, int4, jsonb, timestamptz) TO app_worker;
GRANT EXECUTE ON FUNCTION app.handoff_on_call_over() TO app_engine;
