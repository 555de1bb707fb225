-- What a talk leaves behind while it runs and shortly after: turns, notes, an opt-out, a callback, the
-- recording, usage. All of it may come after the hang-up as well (late transcripts, a lead that hangs up in
-- the middle of a sentence), and all of it may come twice.
SET LOCAL ROLE app_owner;

-- One turn, by its place in the talk; a later version of the same turn replaces it. Once the call is over the
-- text of the call follows every change.
CREATE OR REPLACE FUNCTION app.turn_put(call_id uuid, ordinal int4, item_id text, speaker text, start_ms int8, end_ms int8, body text,
                             heard text, heard_ms int8, at timestamptz) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = ''
AS $$
#variable_conflict use_column
DECLARE
    call record;
BEGIN
    -- Shared with other turns, but not with the settlement, which reads them all.
    SELECT l.organization_id, l.status INTO call FROM public.call_logs l WHERE l.id = turn_put.call_id FOR SHARE;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    INSERT INTO public.call_turns AS t (organization_id, call_log_id, ordinal, item_id, speaker, start_ms, end_ms, body, heard,
                                        heard_ms)
    VALUES (call.organization_id, call_id, turn_put.ordinal, nullif(turn_put.item_id, ''), turn_put.speaker,
            turn_put.start_ms, turn_put.end_ms, coalesce(turn_put.body, ''), coalesce(turn_put.heard, 'full'), turn_put.heard_ms)
    ON CONFLICT (organization_id, call_log_id, ordinal) DO UPDATE
       SET item_id = coalesce(EXCLUDED.item_id, t.item_id), speaker = EXCLUDED.speaker,
           start_ms = coalesce(EXCLUDED.start_ms, t.start_ms), end_ms = coalesce(EXCLUDED.end_ms, t.end_ms),
           body = EXCLUDED.body, heard = EXCLUDED.heard, heard_ms = coalesce(EXCLUDED.heard_ms, t.heard_ms);
    IF call.status = 'ended' THEN
        UPDATE public.call_logs l SET conversation_transcript = app.transcript(l.id) WHERE l.id = turn_put.call_id;
    END IF;
    RETURN true;
END
$$;

-- What the talk learned, member by member; members not named stay. Known: disposition, disconnect_reason,
-- disconnect_notes, disclosure_played_at, media_ended_at; anything else (interest_level as the model noted it,
-- error details) goes to ai_analysis.noted, because the insight is the source of interest and sentiment.
CREATE OR REPLACE FUNCTION app.call_note(call_id uuid, patch jsonb, at timestamptz) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = ''
AS $$
#variable_conflict use_column
DECLARE
    noted jsonb := patch - '{disposition,disconnect_reason,disconnect_notes,disclosure_played_at,media_ended_at}'::text[];
BEGIN
    UPDATE public.call_logs l
       -- An opt-out is not talked away by what comes after it.
       SET disposition = CASE WHEN l.opted_out_at IS NOT NULL THEN l.disposition
                              ELSE coalesce(patch ->> 'disposition', l.disposition) END,
           -- Who never answered had no talk that could say why it ended.
           disconnect_reason = CASE WHEN l.opted_out_at IS NOT NULL OR l.answered_at IS NULL
                                    THEN l.disconnect_reason
                                    ELSE coalesce(patch ->> 'disconnect_reason', l.disconnect_reason) END,
           disconnect_notes = coalesce(patch ->> 'disconnect_notes', l.disconnect_notes),
           disclosure_played_at = coalesce(l.disclosure_played_at, (patch ->> 'disclosure_played_at')::timestamptz),
           -- The media socket is gone: if no hang-up is reported soon, ask what became of the call.
           next_reconcile_at = CASE WHEN patch ? 'media_ended_at' AND l.status IN ('in_progress', 'transferring')
                                    THEN least(l.next_reconcile_at, call_note.at + interval '15 seconds')
                                    ELSE l.next_reconcile_at END,
           ai_analysis = CASE WHEN noted = '{}' THEN l.ai_analysis
                              ELSE l.ai_analysis || jsonb_build_object('noted', coalesce(l.ai_analysis -> 'noted', '{}') || noted) END
     WHERE l.id = call_note.call_id;
    RETURN FOUND;
END
$$;

-- The number on the other end of a call.
CREATE OR REPLACE FUNCTION app.other_number(call public.call_logs) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = ''
AS $$
    SELECT CASE call.direction WHEN 'inbound' THEN call.caller_number ELSE call.callee_number END
$$;

-- "Do not call me again": in one commit the refusal is on record, nothing of this number waits in any queue of
-- the tenant, its consents are revoked, its callbacks cancelled. live_calls are other calls with the number that
-- run at this moment, for the caller to end. A word that comes twice (from the talk, and from the disk after a
-- kill) changes nothing, not even when it was lifted in between. `phone` is what the daemon knew the person by:
-- it counts when the call itself is not known here any more (restored, lost in a failover). No row: no such call,
-- and no number; then nothing is on record.
CREATE OR REPLACE FUNCTION app.opt_out(call_id uuid, source text, words text, at timestamptz, phone text DEFAULT NULL)
RETURNS TABLE (added boolean, removed int4, live_calls text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = ''
AS $$
#variable_conflict use_column
DECLARE
    call public.call_logs;
    number text;
    is_new boolean;
    gone int4;
BEGIN
    SELECT l.* INTO call FROM public.call_logs l WHERE l.id = opt_out.call_id FOR UPDATE;
    number := CASE WHEN call.id IS NULL THEN opt_out.phone ELSE app.other_number(call) END;
    call.organization_id := coalesce(call.organization_id, (SELECT app.active_org()));
    UPDATE public.call_logs l
       SET opted_out_at = coalesce(l.opted_out_at, opt_out.at), disposition = 'do_not_call',
           disconnect_reason = CASE WHEN l.answered_at IS NOT NULL THEN 'opted_out' ELSE l.disconnect_reason END
     WHERE l.id = call.id;
    IF number IS NULL OR number !~ '^\+[1-9][0-9]{5,14}$' THEN
        -- Somebody who withheld the number: there is nobody to keep from being called.
        RETURN QUERY SELECT false, 0, '' WHERE call.id IS NOT NULL;
        RETURN;
    END IF;
    IF EXISTS (SELECT FROM public.do_not_call d
                WHERE d.phone_e164 = number AND d.source = opt_out.source AND d.call_log_id IS NOT DISTINCT FROM call.id
                  AND d.added_at = opt_out.at AND d.lifted_at IS NOT NULL) THEN
        RETURN QUERY SELECT false, 0, '';
        RETURN;
    END IF;
    INSERT INTO public.do_not_call (organization_id, phone_e164, reason, source, words, call_log_id, added_at)
    VALUES (call.organization_id, number, 'opt_out', opt_out.source, left(opt_out.words, 2000), call.id, opt_out.at)
    ON CONFLICT DO NOTHING;
    is_new := FOUND;
    WITH mine AS (
        SELECT q.organization_id, q.id
          FROM public.call_queue q JOIN public.leads p ON p.organization_id = q.organization_id AND p.id = q.lead_id
         WHERE p.phone_e164 = number AND q.status = 'queued'
         ORDER BY q.id FOR UPDATE OF q)
    UPDATE public.call_queue q
       SET status = 'failed', last_error = 'dnc_internal', finished_at = opt_out.at, callback_at = NULL
      FROM mine WHERE q.organization_id = mine.organization_id AND q.id = mine.id;
    GET DIAGNOSTICS gone = ROW_COUNT;
    -- Jobs with a live call keep their row until it ends; only a promised callback goes at once.
    UPDATE public.call_queue q SET callback_at = NULL
      FROM public.leads p
     WHERE p.organization_id = q.organization_id AND p.id = q.lead_id AND p.phone_e164 = number
       AND q.status = 'processing' AND q.callback_at IS NOT NULL;
    UPDATE public.follow_up_tasks t
       SET status = 'cancelled', outcome = 'opted_out', completed_at = opt_out.at
      FROM public.leads p
     WHERE p.organization_id = t.organization_id AND p.id = t.lead_id AND p.phone_e164 = number
       AND t.status = 'pending' AND t.task_type = 'call';
    UPDATE public.consents c
       SET revoked_at = opt_out.at, revoked_reason = 'opt_out'
     WHERE c.phone_e164 = number AND c.revoked_at IS NULL;
    IF is_new THEN
        INSERT INTO public.audit_log (organization_id, at, actor, action, subject, subject_id, detail)
        VALUES (call.organization_id, opt_out.at, 'call', 'do_not_call.add', 'call_logs', opt_out.call_id,
                jsonb_build_object('source', opt_out.source, 'queue_rows', gone));
        INSERT INTO public.outbox (organization_id, topic, subject_id, dedup_key, payload, next_try_at)
        VALUES (call.organization_id, 'lead.opted_out', opt_out.call_id, opt_out.call_id::text,
                jsonb_build_object('call_id', opt_out.call_id, 'lead_id', call.lead_id), opt_out.at)
        ON CONFLICT (organization_id, topic, dedup_key) WHERE dedup_key IS NOT NULL DO NOTHING;
    END IF;
    RETURN QUERY
        SELECT is_new, gone,
               coalesce((SELECT string_agg(o.id::text, ' ' ORDER BY o.id) FROM public.call_logs o
                          WHERE o.callee_number = number AND o.direction = 'outbound' AND o.id <> opt_out.call_id
                            AND o.status NOT IN ('ended', 'not_placed')), '');
END
$$;

-- The lead asked to be called at a time. Granted at the first moment from then on that window and caps allow;
-- exempt from max_attempts. Also right after the hang-up, when the job is settled already.
CREATE OR REPLACE FUNCTION app.callback_request(call_id uuid, due timestamptz, note text, at timestamptz)
RETURNS TABLE (accepted boolean, due_at timestamptz, reason text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = ''
AS $$
#variable_conflict use_column
DECLARE
    call public.call_logs;
    campaign record;
    opening record;
    refusal text;
    -- NULL: our own wish after a failure, as soon as the rules allow.
    due timestamptz := coalesce(callback_request.due, callback_request.at + interval '1 minute');
BEGIN
    SELECT l.* INTO call FROM public.call_logs l WHERE l.id = callback_request.call_id FOR UPDATE;
    SELECT c.status, c.end_date INTO campaign FROM public.campaigns c WHERE c.id = call.campaign_id;
    refusal := CASE
        WHEN call.id IS NULL OR call.queue_id IS NULL THEN 'no_such_call'
        WHEN campaign.status NOT IN ('active', 'paused') THEN 'campaign_completed'
        WHEN due <= at THEN 'in_the_past'
        WHEN due > at + interval '90 days' THEN 'too_far'
        WHEN call.opted_out_at IS NOT NULL
             OR EXISTS (SELECT FROM public.do_not_call d
                         WHERE d.phone_e164 = call.callee_number AND d.lifted_at IS NULL
                           AND (d.campaign_id IS NULL OR d.campaign_id = call.campaign_id)) THEN 'dnc_internal' END;
    IF refusal IS NULL THEN
        SELECT * INTO opening
          FROM app.retry_opening(call.organization_id, call.campaign_id, call.lead_id, call.callee_number, due);
        -- Never open again: the campaign's dates or its rules end before that day.
        refusal := CASE WHEN opening.closed_by = 'never_open' THEN 'outside_window' END;
    END IF;
    IF refusal IS NOT NULL THEN
        RETURN QUERY SELECT false, NULL::timestamptz, refusal;
        RETURN;
    END IF;
    UPDATE public.call_queue q
       SET callback_at = opening.opens_at,
           status = CASE WHEN q.status = 'processing' THEN q.status ELSE 'queued' END,
           next_retry_at = CASE WHEN q.status = 'processing' THEN q.next_retry_at ELSE opening.opens_at END,
           finished_at = CASE WHEN q.status = 'processing' THEN q.finished_at END
     WHERE q.id = call.queue_id;
    UPDATE public.call_logs l SET disposition = 'callback_requested' WHERE l.id = call.id;
    INSERT INTO public.follow_up_tasks AS t (organization_id, lead_id, campaign_id, call_log_id, task_type, title, description,
                                             priority, due_date, source, performed_by, reason_key, context)
    VALUES (call.organization_id, call.lead_id, call.campaign_id, call.id, 'call', 'Call back at the time the lead asked for',
            left(note, 2000), 'high', opening.opens_at, 'ai', 'ai', 'callback', jsonb_build_object('asked_for', due))
    ON CONFLICT (organization_id, call_log_id, reason_key) WHERE call_log_id IS NOT NULL AND reason_key IS NOT NULL
    DO UPDATE SET due_date = EXCLUDED.due_date, description = coalesce(EXCLUDED.description, t.description),
                  performed_by = 'ai', context = t.context || EXCLUDED.context
            WHERE t.status = 'pending';
    RETURN QUERY SELECT true, opening.opens_at, CASE WHEN opening.opens_at > due THEN opening.closed_by END;
END
$$;

-- The stored recording of a call; `leg` ai | session. A repeat replaces what it says of the same file.
CREATE OR REPLACE FUNCTION app.recording_put(call_id uuid, recording_id uuid, leg text, path text, url text, bytes int8,
                                  duration_ms int8, started_at timestamptz, at timestamptz) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = ''
AS $$
#variable_conflict use_column
DECLARE
    call record;
BEGIN
    SELECT l.organization_id, o.recording_days INTO call
      FROM public.call_logs l JOIN public.organizations o ON o.id = l.organization_id
     WHERE l.id = recording_put.call_id;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    INSERT INTO public.recordings AS r (organization_id, id, call_log_id, leg, path, url, bytes, duration_ms, started_at, ended_at,
                                        expires_at)
    VALUES (call.organization_id, recording_id, recording_put.call_id, coalesce(recording_put.leg, 'ai'), recording_put.path,
            recording_put.url, recording_put.bytes, recording_put.duration_ms, recording_put.started_at, recording_put.at,
            recording_put.at + make_interval(days => call.recording_days))
    ON CONFLICT (organization_id, id) DO UPDATE
       SET path = EXCLUDED.path, url = EXCLUDED.url, bytes = EXCLUDED.bytes, duration_ms = EXCLUDED.duration_ms,
           status = 'ready', ended_at = EXCLUDED.ended_at;
    UPDATE public.call_logs l
       SET recording_id = recording_put.recording_id, recording_url = recording_put.url
     WHERE l.id = recording_put.call_id;
    RETURN true;
END
$$;

-- One item of usage, once per key. tokens.model, where given, names the model.
CREATE OR REPLACE FUNCTION app.usage_add(call_id uuid, source text, item_key text, seconds int4, tokens jsonb, cost_micros int8,
                              at timestamptz) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = ''
AS $$
BEGIN
    INSERT INTO public.usage_ledger (organization_id, campaign_id, call_log_id, source, item_key, model, seconds, tokens,
                                     cost_micros)
    SELECT l.organization_id, l.campaign_id, l.id, usage_add.source, usage_add.item_key, usage_add.tokens ->> 'model',
           usage_add.seconds, coalesce(usage_add.tokens, '{}'), coalesce(usage_add.cost_micros, 0)
      FROM public.call_logs l WHERE l.id = usage_add.call_id
    ON CONFLICT DO NOTHING;
    RETURN FOUND;
END
$$;

RESET ROLE;
SET LOCAL ROLE app_engine;

-- Talks with people whose number came onto the list since the answer, by another call, by hand or by an import:
-- whoever holds one of them says goodbye. What a person says in the talk itself is that talk's own matter, and a
-- call that is with an agent is the agent's.
CREATE OR REPLACE FUNCTION engine.live_refused(want int4) RETURNS TABLE (organization_id uuid, call_id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = ''
AS $$
    SELECT l.organization_id, l.id
      FROM public.call_logs l
     WHERE l.status = 'in_progress' AND l.direction = 'outbound' AND l.opted_out_at IS NULL
       AND EXISTS (SELECT FROM public.do_not_call d
                    WHERE d.organization_id = l.organization_id AND d.phone_e164 = l.callee_number AND d.lifted_at IS NULL
                      AND (d.campaign_id IS NULL OR d.campaign_id = l.campaign_id))
     LIMIT want
$$;

RESET ROLE;
REVOKE ALL ON FUNCTION engine.live_refused(int4) FROM PUBLIC, anon, authenticated, service_role;
GRANT EXECUTE ON FUNCTION engine.live_refused(int4) TO app_worker;
REVOKE ALL ON FUNCTION app.turn_put(uuid, int4, text, text, int8, int8, text, text, int8, timestamptz),
    app.call_note(uuid, jsonb, timestamptz), app.other_number(public.call_logs),
    app.opt_out(uuid, text, text, timestamptz, text), app.callback_request(uuid, timestamptz, text, timestamptz),
    app.recording_put(uuid, uuid, text, text, text, int8, int8, timestamptz, timestamptz),
    app.usage_add(uuid, text, text, int4, jsonb, int8, timestamptz)
    FROM PUBLIC, anon, authenticated, service_role;
GRANT EXECUTE ON FUNCTION app.turn_put(uuid, int4, text, text, int8, int8, text, text, int8, timestamptz),
    app.call_note(uuid, jsonb, timestamptz), app.opt_out(uuid, text, text, timestamptz, text),
    app.callback_request(uuid, timestamptz, text, timestamptz),
    app.recording_put(uuid, uuid, text, text, text, int8, int8, timestamptz, timestamptz),
    app.usage_add(uuid, text, text, int4, jsonb, int8, timestamptz)
    TO app_worker;
