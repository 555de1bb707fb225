-- One test call by hand (`dialwright doctor --live`): through the queue and the gate like every other call, only first in
-- line. What is enrolled for it is taken out again, so that nobody is phoned later because somebody once tested.
SET LOCAL ROLE app_owner;

-- Asks the gate, and when it has no objection that lasts, puts the lead of this number first in the campaign's queue.
-- reason: why not, with the moment it can next change; `was` is the queue row as it stood, for live_withdraw.
CREATE OR REPLACE FUNCTION app.live_enrol(campaign text, phone text, actor text, at timestamptz) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = ''
AS $$
DECLARE
    org uuid := app.org_required();
    target uuid := app.campaign_find(campaign);
    lead uuid;
    was public.call_queue;
    v app.verdict;
BEGIN
    SELECT l.id INTO lead FROM public.leads l
     WHERE l.organization_id = org AND l.phone_e164 = phone AND l.archived_at IS NULL;
    IF lead IS NULL THEN
        RAISE EXCEPTION 'no lead with the number %', phone USING ERRCODE = 'P0002';
    END IF;
    SELECT q.* INTO was FROM public.call_queue q
     WHERE q.organization_id = org AND q.campaign_id = target AND q.lead_id = lead FOR UPDATE;
    v := app.gate(org, target, lead, (SELECT min(p.phone_e164) FROM public.campaign_numbers n
                      JOIN public.phone_numbers p ON p.organization_id = n.organization_id AND p.id = n.phone_number_id
                     WHERE n.organization_id = org AND n.campaign_id = target AND p.status = 'active'), at);
    IF was.status = 'processing' THEN
        v := app.verdict('duplicate');
    END IF;
    -- Lines and pace free themselves: the claim waits for them.
    IF v.reason IS NOT NULL AND NOT (v.reason IN ('no_line', 'cps') AND v.next_change_at IS NOT NULL) THEN
        RETURN jsonb_build_object('reason', v.reason, 'next', v.next_change_at, 'evidence', v.evidence,
            'words', (SELECT s.words FROM public.skip_reasons s WHERE s.reason = v.reason));
    END IF;
    IF was.id IS NULL THEN
        PERFORM app.enqueue_leads(target, ARRAY[lead], NULL, 100, at);
    ELSE
        UPDATE public.call_queue q
           SET status = 'queued', priority = 100, next_retry_at = at, last_error = NULL
         WHERE q.organization_id = org AND q.id = was.id;
        UPDATE public.call_queue q SET ready = true WHERE q.organization_id = org AND q.id = was.id;
    END IF;
    PERFORM app.audit_put(actor, 'call.test', 'lead', lead, jsonb_build_object('campaign', target), at);
    RETURN (SELECT jsonb_build_object('queue', q.id, 'attempt_number', q.attempt_number, 'evidence', v.evidence,
                'was', CASE WHEN was.id IS NOT NULL THEN jsonb_build_object('status', was.status, 'priority', was.priority,
                    'last_error', was.last_error, 'next_retry_at', was.next_retry_at, 'finished_at', was.finished_at,
                    'attempt_number', was.attempt_number) END,
                'alone', NOT EXISTS (SELECT FROM public.call_queue o
                                      WHERE o.organization_id = org AND o.campaign_id = target AND o.id <> q.id
                                        AND o.status IN ('queued', 'processing')))
              FROM public.call_queue q
             WHERE q.organization_id = org AND q.campaign_id = target AND q.lead_id = lead);
END
$$;

-- Where it stands: the queue row, and the first attempt after the one that was there before.
CREATE OR REPLACE FUNCTION app.live_follow(queue uuid, after_attempt int4) RETURNS jsonb
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = ''
AS $$
    SELECT jsonb_build_object(
        'status', q.status, 'reason', q.last_error, 'next', q.next_retry_at, 'callback_at', q.callback_at,
        'words', (SELECT s.words FROM public.skip_reasons s WHERE s.reason = q.last_error),
        'call', (SELECT jsonb_build_object('id', k.id, 'status', k.status, 'caller_number', k.caller_number,
                        'intent_at', k.intent_at, 'placed_at', k.placed_at, 'ringing_at', k.ringing_at,
                        'answered_at', k.answered_at, 'disclosure_played_at', k.disclosure_played_at, 'ended_at', k.ended_at,
                        'transferred', k.transferred, 'call_status', k.call_status, 'cause', k.cause,
                        'place_detail', k.place_detail, 'disconnect_reason', k.disconnect_reason, 'disposition', k.disposition,
                        'duration', k.duration, 'outcome', a.outcome, 'cost_micros', k.cost_micros,
                        'cost_currency', k.cost_currency, 'recording_url', k.recording_url)
                   FROM public.call_logs k
                   JOIN public.call_attempts a ON a.organization_id = k.organization_id AND a.call_log_id = k.id
                  WHERE k.organization_id = q.organization_id AND k.queue_id = q.id AND k.attempt_number > after_attempt
                  ORDER BY k.attempt_number LIMIT 1))
      FROM public.call_queue q
     WHERE q.organization_id = app.org_required() AND q.id = queue
$$;

-- The test is over, or nobody claimed it: the row goes back to what it was. A callback that was promised in the call
-- stays; so does a retry of somebody who was waiting to be called anyway.
CREATE OR REPLACE FUNCTION app.live_withdraw(queue uuid, was jsonb, actor text, at timestamptz) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = ''
AS $$
DECLARE
    org uuid := app.org_required();
    q public.call_queue;
    untouched boolean;
    waiting boolean := coalesce(was ->> 'status', '') = 'queued';
BEGIN
    SELECT t.* INTO STRICT q FROM public.call_queue t WHERE t.organization_id = org AND t.id = queue FOR UPDATE;
    untouched := q.attempt_number = coalesce((was ->> 'attempt_number')::int4, 0);
    IF q.status = 'processing' THEN
        RETURN jsonb_build_object('withdrawn', false, 'status', q.status);
    END IF;
    IF q.status = 'queued' AND waiting AND untouched THEN
        UPDATE public.call_queue t
           SET next_retry_at = (was ->> 'next_retry_at')::timestamptz, last_error = was ->> 'last_error'
         WHERE t.organization_id = org AND t.id = queue;
    ELSIF q.status = 'queued' AND NOT waiting AND q.callback_at IS NULL THEN
        UPDATE public.call_queue t
           SET status = coalesce(was ->> 'status', 'failed'), finished_at = coalesce((was ->> 'finished_at')::timestamptz, at),
               last_error = CASE WHEN was ->> 'status' IS NULL THEN 'cancelled' ELSE was ->> 'last_error' END
         WHERE t.organization_id = org AND t.id = queue;
    END IF;
    UPDATE public.call_queue t SET priority = coalesce((was ->> 'priority')::int2, 0)
     WHERE t.organization_id = org AND t.id = queue
    RETURNING t.* INTO q;
    PERFORM app.audit_put(actor, 'call.test_over', 'call_queue', queue, jsonb_build_object('status', q.status), at);
    RETURN jsonb_build_object('withdrawn', true, 'status', q.status, 'next',
                              CASE WHEN q.status = 'queued' THEN q.next_retry_at END, 'callback_at', q.callback_at);
END
$$;

RESET ROLE;
REVOKE ALL ON FUNCTION app.live_enrol(text, text, text, timestamptz), app.live_follow(uuid, int4),
    app.live_withdraw(uuid, jsonb, text, timestamptz) FROM PUBLIC, anon, authenticated, service_role;
GRANT EXECUTE ON FUNCTION app.live_enrol(text, text, text, timestamptz), app.live_follow(uuid, int4),
    app.live_withdraw(uuid, jsonb, text, timestamptz) TO app_worker;
