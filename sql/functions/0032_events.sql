-- What the carrier reports of a call: each report lands in the inbox once, moves the call forward or changes
-- nothing, and is committed before it is acknowledged. Any order, any number of times: the same final row.
SET LOCAL ROLE app_owner;

-- One report into the inbox; false when it was there already.
CREATE OR REPLACE FUNCTION app.event_put(call public.call_logs, kind text, event_key text, call_uuid text, request_uuid text,
                              payload jsonb, applied boolean, anomaly boolean, at timestamptz) RETURNS boolean
LANGUAGE plpgsql SET search_path = ''
AS $$
BEGIN
    INSERT INTO public.call_events (organization_id, call_log_id, source, kind, event_key, call_uuid, request_uuid, payload,
                                    applied, anomaly, received_at)
    VALUES (call.organization_id, call.id, 'carrier', kind, event_key, nullif(call_uuid, ''), nullif(request_uuid, ''),
            coalesce(payload, '{}'), applied, anomaly, at)
    ON CONFLICT DO NOTHING;
    RETURN FOUND;
END
$$;

-- A report that cannot be about this call: it names another call than the one we know, or one that belongs to
-- another attempt. The second dial of one attempt would show here. Anything reported of an attempt that was
-- written off is one too: it means the horizon is too small.
CREATE OR REPLACE FUNCTION app.event_foreign(call public.call_logs, call_uuid text) RETURNS boolean
LANGUAGE plpgsql STABLE SET search_path = ''
AS $$
BEGIN
    IF call.status = 'not_placed' THEN
        RETURN true;
    END IF;
    -- An id that is this call's already is no other's: it is unique.
    IF coalesce(call_uuid, '') = '' OR call.call_sid IS NOT NULL THEN
        RETURN coalesce(call_uuid <> '' AND call.call_sid <> call_uuid, false);
    END IF;
    RETURN EXISTS (SELECT FROM public.call_logs o WHERE o.call_sid = call_uuid AND o.id <> call.id);
END
$$;

-- Every report but answer and hang-up. ring moves the call; machine marks it (send it only when a machine
-- answered); the rest is kept. status is NULL when there is no such call.
CREATE OR REPLACE FUNCTION app.call_event(call_id uuid, kind text, event_key text, call_uuid text, request_uuid text,
                               carrier_status text, payload jsonb, at timestamptz)
RETURNS TABLE (applied boolean, duplicate boolean, status text, anomaly boolean)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = ''
AS $$
#variable_conflict use_column
DECLARE
    call public.call_logs;
    rings boolean;
    foreign_call boolean;
    fresh boolean;
BEGIN
    SELECT l.* INTO call FROM public.call_logs l WHERE l.id = call_event.call_id FOR UPDATE;
    IF call.id IS NULL THEN
        RETURN QUERY SELECT false, false, NULL::text, false;
        RETURN;
    END IF;
    foreign_call := app.event_foreign(call, call_event.call_uuid);
    rings := call_event.kind = 'ring' AND call.status IN ('reserved', 'dialing', 'outcome_unknown') AND call.answered_at IS NULL;
    fresh := app.event_put(call, call_event.kind, event_key, call_event.call_uuid, call_event.request_uuid, payload,
                           call_event.kind IN ('ring', 'machine') AND NOT foreign_call, foreign_call, at);
    IF NOT fresh OR foreign_call THEN
        RETURN QUERY SELECT false, NOT fresh, call.status, foreign_call AND fresh;
        RETURN;
    END IF;
    UPDATE public.call_logs l
       SET status = CASE WHEN rings THEN 'ringing' ELSE l.status END,
           ringing_at = CASE WHEN call_event.kind = 'ring' THEN coalesce(l.ringing_at, call_event.at) ELSE l.ringing_at END,
           machine_detected = CASE WHEN call_event.kind = 'machine' THEN true ELSE l.machine_detected END,
           call_status = CASE WHEN rings THEN coalesce(nullif(call_event.carrier_status, ''), l.call_status) ELSE l.call_status END,
           call_sid = coalesce(l.call_sid, nullif(call_event.call_uuid, '')),
           request_uuid = coalesce(l.request_uuid, nullif(call_event.request_uuid, '')),
           resolved_by = CASE WHEN rings THEN coalesce(l.resolved_by, 'hook') ELSE l.resolved_by END,
           resolved_at = CASE WHEN rings THEN coalesce(l.resolved_at, call_event.at) ELSE l.resolved_at END,
           leased_until = CASE WHEN rings THEN NULL ELSE l.leased_until END,
           next_reconcile_at = CASE WHEN rings THEN call_event.at + app.ring_allowance(l.campaign_id) ELSE l.next_reconcile_at END
     WHERE l.id = call.id
    RETURNING l.* INTO call;
    RETURN QUERY SELECT call_event.kind IN ('ring', 'machine'), false, call.status, false;
END
$$;

-- The person (or machine) picked up. The gate is asked once more: an opt-out, a pause or the end of the window
-- since the claim means an apology and a hang-up, which is the caller's to say. A repeated report gets the same
-- verdict again, with the token it brought, until the stream has come.
CREATE OR REPLACE FUNCTION app.call_answer(call_id uuid, event_key text, call_uuid text, request_uuid text, payload jsonb,
                                token_hash bytea, token_expires timestamptz, at timestamptz)
RETURNS TABLE (verdict text, reason text, status text, duplicate boolean, anomaly boolean)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = ''
AS $$
#variable_conflict use_column
DECLARE
    call public.call_logs;
    foreign_call boolean;
    fresh boolean;
    refusal text;
BEGIN
    SELECT l.* INTO call FROM public.call_logs l WHERE l.id = call_answer.call_id FOR UPDATE;
    IF call.id IS NULL THEN
        RETURN QUERY SELECT 'hangup', 'no_such_call', NULL::text, false, false;
        RETURN;
    END IF;
    foreign_call := app.event_foreign(call, call_answer.call_uuid);
    fresh := app.event_put(call, 'answer', event_key, call_answer.call_uuid, call_answer.request_uuid, payload,
                           NOT foreign_call, foreign_call, at);
    IF foreign_call THEN
        RETURN QUERY SELECT 'hangup', CASE call.status WHEN 'not_placed' THEN 'not_placed' ELSE 'other_call' END,
                            call.status, NOT fresh, fresh;
        RETURN;
    END IF;
    IF fresh THEN
        UPDATE public.call_logs l
           SET status = CASE WHEN l.status IN ('reserved', 'dialing', 'ringing', 'outcome_unknown') THEN 'in_progress'
                             ELSE l.status END,
               answered_at = coalesce(l.answered_at, call_answer.at),
               call_status = CASE WHEN l.status = 'ended' THEN l.call_status ELSE 'in-progress' END,
               call_sid = coalesce(l.call_sid, nullif(call_answer.call_uuid, '')),
               request_uuid = coalesce(l.request_uuid, nullif(call_answer.request_uuid, '')),
               adopted_at = CASE WHEN l.status IN ('reserved', 'outcome_unknown') THEN coalesce(l.adopted_at, call_answer.at)
                                 ELSE l.adopted_at END,
               resolved_by = coalesce(l.resolved_by, 'hook'), resolved_at = coalesce(l.resolved_at, call_answer.at),
               leased_until = NULL,
               -- With a token: if no stream has come by then, the carrier is asked what became of the call.
               next_reconcile_at = CASE WHEN l.status = 'ended' THEN NULL
                                        WHEN call_answer.token_hash IS NOT NULL THEN token_expires + interval '15 seconds'
                                        ELSE call_answer.at + app.talk_allowance(l.campaign_id) END
         WHERE l.id = call.id
        RETURNING l.* INTO call;
    END IF;
    refusal := CASE WHEN call.status NOT IN ('in_progress', 'transferring') THEN call.status
                    WHEN call.opted_out_at IS NOT NULL THEN 'opted_out'
                    -- The carrier asks again as long as it has no answer of ours, so never after its stream came,
                    -- and with five retries six times at most: what else repeats this report gets no token.
                    WHEN NOT fresh AND EXISTS (SELECT FROM public.media_tokens k
                                                WHERE k.call_log_id = call.id AND k.used_at IS NOT NULL) THEN 'streaming'
                    WHEN NOT fresh AND (SELECT count(*) FROM public.media_tokens k WHERE k.call_log_id = call.id) >= 6
                         THEN 'asked_too_often'
                    ELSE (app.gate_at_answer(call.id, at)).reason END;
    IF refusal IS NOT NULL THEN
        UPDATE public.call_logs l
           SET disconnect_reason = coalesce(l.disconnect_reason,
                   CASE WHEN refusal IN ('dnc_internal', 'dnc_campaign', 'opted_out') THEN 'opted_out' ELSE 'cancelled' END)
         WHERE l.id = call.id AND l.status IN ('in_progress', 'transferring') AND refusal NOT IN ('streaming', 'asked_too_often');
        RETURN QUERY SELECT 'hangup', refusal, call.status, NOT fresh, false;
        RETURN;
    END IF;
    IF call_answer.token_hash IS NOT NULL THEN
        INSERT INTO public.media_tokens (organization_id, token_hash, call_log_id, call_uuid, node_id, expires_at)
        VALUES (call.organization_id, call_answer.token_hash, call.id, call.call_sid, call.node_id, token_expires)
        ON CONFLICT DO NOTHING;
    END IF;
    RETURN QUERY SELECT 'talk', NULL::text, call.status, NOT fresh, false;
END
$$;

-- The end, in one transaction: inbox, call log, journal, queue with its retry, counters, analysis job, outbox.
-- `outcome` and `disconnect_reason` are the carrier room's reading of the cause.
CREATE OR REPLACE FUNCTION app.call_hangup(call_id uuid, event_key text, call_uuid text, request_uuid text, carrier_status text,
                                cause text, cause_code int4, source text, answered_at timestamptz, ended_at timestamptz,
                                duration_s int4, billed_s int4, cost_micros int8, currency text, outcome text,
                                disconnect_reason text, payload jsonb, at timestamptz)
RETURNS TABLE (status text, attempt_outcome text, will_retry boolean, next_retry_at timestamptz, duplicate boolean,
               anomaly boolean)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = ''
AS $$
#variable_conflict use_column
DECLARE
    call public.call_logs;
    foreign_call boolean;
    fresh boolean;
    fact app.call_end;
    done record;
BEGIN
    SELECT l.* INTO call FROM public.call_logs l WHERE l.id = call_hangup.call_id FOR UPDATE;
    IF call.id IS NULL THEN
        RETURN QUERY SELECT NULL::text, NULL::text, false, NULL::timestamptz, false, false;
        RETURN;
    END IF;
    foreign_call := app.event_foreign(call, call_hangup.call_uuid);
    fresh := app.event_put(call, 'hangup', event_key, call_hangup.call_uuid, call_hangup.request_uuid, payload,
                           NOT foreign_call, foreign_call, at);
    IF fresh AND NOT foreign_call THEN
        fact := ROW (nullif(carrier_status, ''), nullif(cause, ''), cause_code, nullif(source, ''), call_hangup.answered_at,
                     call_hangup.ended_at, duration_s, billed_s, cost_micros, currency, call_hangup.outcome,
                     call_hangup.disconnect_reason)::app.call_end;
        IF call.status = 'ended' THEN
            -- The carrier's list told of the end before its webhook did: the webhook knows more.
            UPDATE public.call_logs l
               SET call_sid = coalesce(l.call_sid, nullif(call_hangup.call_uuid, '')),
                   request_uuid = coalesce(l.request_uuid, nullif(call_hangup.request_uuid, '')),
                   call_status = coalesce(fact.carrier_status, l.call_status), cause = coalesce(l.cause, fact.cause),
                   cause_code = coalesce(l.cause_code, fact.cause_code),
                   hangup_source = coalesce(l.hangup_source, fact.source),
                   billed_seconds = coalesce(l.billed_seconds, fact.billed_s),
                   cost_micros = coalesce(l.cost_micros, fact.cost_micros),
                   cost_currency = coalesce(l.cost_currency, fact.currency)
             WHERE l.id = call.id
            RETURNING l.* INTO call;
            PERFORM app.carrier_cost(call);
        ELSE
            call.call_sid := coalesce(call.call_sid, nullif(call_hangup.call_uuid, ''));
            call.request_uuid := coalesce(call.request_uuid, nullif(call_hangup.request_uuid, ''));
            done := app.finish_call(call, fact, 'hook', at);
            RETURN QUERY SELECT 'ended', CASE WHEN call.direction = 'outbound' THEN done.outcome END, done.will_retry,
                                done.next_retry_at, false, false;
            RETURN;
        END IF;
    END IF;
    RETURN QUERY
        SELECT l.status, a.outcome, coalesce(a.will_retry, false), a.next_retry_at, NOT fresh, foreign_call AND fresh
          FROM public.call_logs l
          LEFT JOIN public.call_attempts a ON a.organization_id = l.organization_id AND a.call_log_id = l.id
         WHERE l.id = call.id;
END
$$;

RESET ROLE;
SET LOCAL ROLE app_engine;

-- Whose media token this is, while it could be taken; reading it costs nothing and spends nothing. The signature of
-- the upgrade is checked between this and the taking, so that a forgery burns no token.
CREATE OR REPLACE FUNCTION engine.media_token_look(token_hash bytea, at timestamptz)
RETURNS TABLE (call_id uuid, organization_id uuid, call_uuid text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = ''
AS $$
    SELECT t.call_log_id, t.organization_id, coalesce(l.call_sid, t.call_uuid)
      FROM public.media_tokens t
      JOIN public.call_logs l ON l.organization_id = t.organization_id AND l.id = t.call_log_id
     WHERE t.token_hash = media_token_look.token_hash AND t.used_at IS NULL AND t.expires_at > media_token_look.at
       AND l.status IN ('in_progress', 'transferring')
$$;

-- The media socket's token, once, while its call lives. The token comes before the tenant is known. From here on
-- the call may last; but one whose incarnation is over, and that another one took up, has nobody whose death would
-- make the carrier be asked: it is asked soon and, as long as it lives, again and again.
CREATE OR REPLACE FUNCTION engine.media_token_take(token_hash bytea, at timestamptz)
RETURNS TABLE (call_id uuid, organization_id uuid, call_uuid text)
LANGUAGE sql SECURITY DEFINER SET search_path = ''
AS $$
    WITH taken AS (
        UPDATE public.media_tokens t
           SET used_at = media_token_take.at
          FROM public.call_logs l
         WHERE t.token_hash = media_token_take.token_hash AND t.used_at IS NULL AND t.expires_at > media_token_take.at
           AND l.organization_id = t.organization_id AND l.id = t.call_log_id AND l.status IN ('in_progress', 'transferring')
        RETURNING t.call_log_id, t.organization_id, coalesce(l.call_sid, t.call_uuid) AS call_uuid),
    talks AS (
        UPDATE public.call_logs l
           SET next_reconcile_at = media_token_take.at
               + CASE WHEN EXISTS (SELECT FROM public.workers w WHERE w.id = l.worker_id AND w.status = 'alive')
                      THEN app.talk_allowance(l.campaign_id) ELSE interval '15 seconds' END
          FROM taken k
         WHERE l.organization_id = k.organization_id AND l.id = k.call_log_id AND l.status IN ('in_progress', 'transferring'))
    SELECT k.call_log_id, k.organization_id, k.call_uuid FROM taken k
$$;

RESET ROLE;
REVOKE ALL ON FUNCTION app.event_put(public.call_logs, text, text, text, text, jsonb, boolean, boolean, timestamptz),
    app.event_foreign(public.call_logs, text),
    app.call_event(uuid, text, text, text, text, text, jsonb, timestamptz),
    app.call_answer(uuid, text, text, text, jsonb, bytea, timestamptz, timestamptz),
    app.call_hangup(uuid, text, text, text, text, text, int4, text, timestamptz, timestamptz, int4, int4, int8, text, text,
                    text, jsonb, timestamptz),
    engine.media_token_look(bytea, timestamptz), engine.media_token_take(bytea, timestamptz)
    FROM PUBLIC, anon, authenticated, service_role;
GRANT EXECUTE ON FUNCTION app.call_event(uuid, text, text, text, text, text, jsonb, timestamptz),
    app.call_answer(uuid, text, text, text, jsonb, bytea, timestamptz, timestamptz),
    app.call_hangup(uuid, text, text, text, text, text, int4, text, timestamptz, timestamptz, int4, int4, int8, text, text,
                    text, jsonb, timestamptz),
    engine.media_token_look(bytea, timestamptz), engine.media_token_take(bytea, timestamptz)
    TO app_worker;
GRANT EXECUTE ON FUNCTION app.talk_allowance(uuid) TO app_engine;
