-- What the busiest tables may hold, as functions that their CHECKs call (0122). Postgres reads the text of every CHECK
-- again for each statement that writes one row: with a constraint for every column that was half of an update of
-- call_logs (67 of 134 us), because a list of words is kept as a list of bytes. A call is short, and keeps its plan.
--
-- As with any CHECK, a row passes unless this says false; unknown passes. A word is added here; one is taken away only
-- after no row has it.
SET LOCAL ROLE app_owner;

CREATE OR REPLACE FUNCTION app.call_log_words(direction text, status text, resolved_by text, interest_level text, disposition text,
                                   disconnect_reason text) RETURNS boolean
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
AS $$
BEGIN
    RETURN direction IN ('outbound', 'inbound')
       AND status IN ('reserved', 'dialing', 'ringing', 'in_progress', 'transferring', 'ended', 'outcome_unknown', 'not_placed')
       AND resolved_by IN ('response', 'hook', 'live', 'cdr', 'absent', 'nosend', '4xx', 'operator', 'sign_off')
       AND interest_level IN ('high', 'medium', 'low', 'none')
       AND disposition IN ('interested', 'qualified', 'callback_requested', 'not_interested', 'wrong_number', 'do_not_call',
                           'no_decision', 'converted')
       AND disconnect_reason IN ('completed', 'no_answer', 'busy', 'rejected', 'invalid_number', 'unreachable', 'voicemail',
                                 'fax_or_sit', 'opted_out', 'wrong_number', 'transferred', 'caller_hangup', 'agent_hangup',
                                 'max_duration', 'silence_timeout', 'provider_error', 'model_error', 'cancelled',
                                 'refused_by_carrier', 'outcome_unknown');
END
$$;

-- An outbound call knows whom, why and when; what has ended says when; nobody answers what was never placed.
CREATE OR REPLACE FUNCTION app.call_log_shape(direction text, lead_id uuid, campaign_id uuid, queue_id uuid, attempt_number int4,
    intent_at timestamptz, caller_number text, callee_number text, status text, answered_at timestamptz, ended_at timestamptz,
    transferred boolean, transferred_at timestamptz) RETURNS boolean
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
AS $$
BEGIN
    RETURN (direction = 'inbound'
            OR (lead_id IS NOT NULL AND campaign_id IS NOT NULL AND queue_id IS NOT NULL AND attempt_number IS NOT NULL
                AND intent_at IS NOT NULL AND caller_number ~ '^\+[1-9][0-9]{5,14}$' AND callee_number ~ '^\+[1-9][0-9]{5,14}$'))
       AND (status <> 'ended' OR ended_at IS NOT NULL)
       AND (status IN ('ended', 'not_placed') OR ended_at IS NULL)
       AND (status <> 'not_placed' OR answered_at IS NULL)
       AND (NOT transferred OR transferred_at IS NOT NULL);
END
$$;

CREATE OR REPLACE FUNCTION app.call_log_sizes(attempt_number int4, call_sid text, request_uuid text, absent_scans int4, duration int4,
    billed_seconds int4, cost_micros int8, cost_currency text, sentiment_score numeric, ai_analysis jsonb) RETURNS boolean
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
AS $$
BEGIN
    RETURN attempt_number > 0 AND length(call_sid) <= 128 AND length(request_uuid) <= 128 AND absent_scans >= 0
       AND duration >= 0 AND billed_seconds >= 0 AND cost_micros >= 0 AND cost_currency ~ '^[A-Z]{3}$'
       AND sentiment_score BETWEEN -1 AND 1 AND jsonb_typeof(ai_analysis) = 'object';
END
$$;

CREATE OR REPLACE FUNCTION app.call_attempt_shape(channel text, outcome text, attempt_number int4, settled_at timestamptz, will_retry boolean,
    duration int4, gate jsonb) RETURNS boolean
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
AS $$
BEGIN
    RETURN channel IN ('voice_ai', 'voice_agent', 'sms', 'whatsapp', 'email')
       AND outcome IN ('answered', 'no_answer', 'busy', 'voicemail', 'rejected', 'invalid_number', 'failed', 'not_placed', 'unknown')
       AND attempt_number > 0 AND duration >= 0 AND (outcome IS NULL) = (settled_at IS NULL)
       AND (outcome IS NULL OR will_retry IS NOT NULL) AND jsonb_typeof(gate) = 'object';
END
$$;

CREATE OR REPLACE FUNCTION app.queue_shape(status text, ready boolean, priority int2, attempt_count int4, attempt_number int4,
                                max_attempts int4) RETURNS boolean
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
AS $$
BEGIN
    RETURN status IN ('queued', 'processing', 'completed', 'failed') AND (NOT ready OR status = 'queued')
       AND priority BETWEEN -100 AND 100 AND attempt_count >= 0 AND attempt_number >= 0 AND max_attempts BETWEEN 1 AND 100;
END
$$;

CREATE OR REPLACE FUNCTION app.call_event_shape(source text, kind text, event_key text) RETURNS boolean
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
AS $$
BEGIN
    RETURN source IN ('carrier', 'model', 'agent', 'system') AND length(kind) BETWEEN 1 AND 64 AND length(event_key) BETWEEN 1 AND 256;
END
$$;

CREATE OR REPLACE FUNCTION app.outbox_shape(status text, topic text, dedup_key text) RETURNS boolean
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
AS $$
BEGIN
    RETURN status IN ('pending', 'sent', 'failed') AND length(topic) BETWEEN 1 AND 100 AND length(dedup_key) <= 200;
END
$$;

RESET ROLE;
SELECT app.functions_for('app',
    '{call_log_words, call_log_shape, call_log_sizes, call_attempt_shape, queue_shape, call_event_shape, outbox_shape}', '{app_owner, app_engine}');
