-- How an attempt ends: the one door through which a call log, its journal row and its queue row are settled
-- together, and the decision whether and when the lead is tried again (DOMAIN, §6).
--
-- Everything here runs inside one tenant (app_owner under FORCE row-level security). Internal helpers are
-- for the functions of 0031 to 0033; nobody else may execute them. They are plpgsql throughout: what a hang-up
-- runs keeps its plans, where a SQL function that is not inlined would be planned again at each call.
SET LOCAL ROLE app_owner;

-- attempt_count is derived: dials of the job that reached the carrier or may have. Recounting, where adding
-- one would drift when an unknown turns out not placed, or a webhook overtakes the carrier's answer.
CREATE OR REPLACE FUNCTION app.count_attempts() RETURNS trigger
LANGUAGE plpgsql SET search_path = ''
AS $$
BEGIN
    UPDATE public.call_queue q
       SET attempt_count = (SELECT count(*) FROM public.call_logs l
                             WHERE l.organization_id = NEW.organization_id AND l.queue_id = NEW.queue_id
                               AND l.status NOT IN ('reserved', 'not_placed'))
     WHERE q.organization_id = NEW.organization_id AND q.id = NEW.queue_id;
    RETURN NULL;
END
$$;
CREATE OR REPLACE TRIGGER count_attempts AFTER UPDATE OF status ON public.call_logs
    FOR EACH ROW WHEN (NEW.queue_id IS NOT NULL
        AND (OLD.status IN ('reserved', 'not_placed')) <> (NEW.status IN ('reserved', 'not_placed')))
    EXECUTE FUNCTION app.count_attempts();
CREATE OR REPLACE TRIGGER count_adopted AFTER INSERT ON public.call_logs
    FOR EACH ROW WHEN (NEW.queue_id IS NOT NULL AND NEW.status NOT IN ('reserved', 'not_placed'))
    EXECUTE FUNCTION app.count_attempts();

-- Something that must not happen did: kept beside the call, counted by the caller, read by people.
CREATE OR REPLACE FUNCTION app.incident(call public.call_logs, what text, detail jsonb, at timestamptz) RETURNS void
LANGUAGE sql SET search_path = ''
AS $$
    INSERT INTO public.call_events (organization_id, call_log_id, source, kind, event_key, payload, applied, anomaly,
                                    received_at)
    VALUES (call.organization_id, call.id, 'system', 'incident', what, coalesce(detail, '{}'), false, true, at)
    ON CONFLICT (organization_id, call_log_id, kind, event_key) DO NOTHING
$$;

-- The readable transcript: one line a turn, what was never heard left out, what was cut off marked.
CREATE OR REPLACE FUNCTION app.transcript(call_id uuid) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = ''
AS $$
BEGIN
    RETURN (SELECT string_agg(
                       CASE t.speaker WHEN 'ai' THEN 'AI: ' WHEN 'agent' THEN 'Agent: ' ELSE 'Lead: ' END
                       || btrim(regexp_replace(t.body, '\s+', ' ', 'g'))
                       || CASE t.heard WHEN 'cut' THEN ' —' ELSE '' END, E'\n' ORDER BY t.ordinal)
              FROM public.call_turns t
             WHERE t.call_log_id = transcript.call_id AND t.heard <> 'none' AND btrim(t.body) <> '');
END
$$;

-- The first moment from `at` on at which the caps per number across campaigns (the organization's and the law's,
-- whichever is lower) let it be phoned once more, counting the dials made so far.
CREATE OR REPLACE FUNCTION app.caps_opening(organization uuid, number text, laws jsonb, at timestamptz) RETURNS timestamptz
LANGUAGE plpgsql STABLE SET search_path = ''
AS $$
DECLARE
    dials timestamptz[];
    o public.organizations;
    law record;
BEGIN
    SELECT t.* INTO o FROM public.organizations t WHERE t.id = organization;
    SELECT array_agg(l.intent_at ORDER BY l.intent_at DESC) INTO dials
      FROM public.call_logs l
     WHERE l.organization_id = organization AND l.callee_number = number AND l.may_have_rung
       AND l.intent_at > caps_opening.at - interval '31 days';
    SELECT min((e.value #>> '{frequency,24h}')::int4) AS in_24h, min((e.value #>> '{frequency,7d}')::int4) AS in_7d,
           min((e.value #>> '{frequency,30d}')::int4) AS in_30d INTO law
      FROM jsonb_each(laws) AS e;
    -- The n-th latest dial leaves the span, and the cap of n has room again.
    RETURN greatest(caps_opening.at, dials[1] + make_interval(secs => o.number_spacing_s),
                    dials[least(o.number_cap_24h, law.in_24h)] + interval '24 hours',
                    dials[least(o.number_cap_7d, law.in_7d)] + interval '7 days',
                    dials[law.in_30d] + interval '30 days');
END
$$;

-- The first moment from `due` on at which window, dates and the caps per number let this lead be phoned, as far
-- as is known now; closed_by says what moved it. Other verdicts (paused, no line, budget) are the claim's
-- business. Closed for good, or until somebody changes a setting: due stays, and the gate will say why.
CREATE OR REPLACE FUNCTION app.retry_opening(organization uuid, campaign uuid, lead uuid, number text, due timestamptz,
                                  OUT opens_at timestamptz, OUT closed_by text)
LANGUAGE plpgsql STABLE SET search_path = ''
AS $$
DECLARE
    l public.leads;
    moment timestamptz := due;
    later timestamptz;
    zones text[];
    regions text[];
    laws jsonb;
BEGIN
    opens_at := due;
    SELECT t.* INTO l FROM public.leads t WHERE t.organization_id = organization AND t.id = lead;
    zones := app.lead_zones(l, (SELECT c.timezone FROM public.campaigns c WHERE c.organization_id = organization AND c.id = campaign));
    regions := app.lead_regions(l);
    laws := app.laws(organization, regions, due);
    -- Both rules only ever move the moment forward, so they agree after a few turns.
    FOR turn IN 1..8 LOOP
        later := app.caps_opening(organization, number, laws, moment);
        IF later > moment THEN
            closed_by := 'attempt_limit';
        END IF;
        moment := app.next_opening(organization, campaign, zones, regions, later);
        IF moment IS NULL THEN
            closed_by := 'never_open';
            RETURN;
        END IF;
        IF moment = later THEN
            opens_at := moment;
            RETURN;
        END IF;
        closed_by := 'outside_window';
        opens_at := moment;
    END LOOP;
END
$$;

-- The decision of the policy alone: how long to wait after this outcome, when it came `same` times before. Pure, so
-- that the forecast reads its table from here.
CREATE OR REPLACE FUNCTION app.retry_wait(waits jsonb, outcome text, same int4, attempt_count int4, max_attempts int4,
                                          resolved_by text, OUT will_retry boolean, OUT wait_s float8, OUT reason text)
LANGUAGE plpgsql IMMUTABLE SET search_path = ''
AS $$
DECLARE
    turn int4 := same;
BEGIN
    will_retry := false;
    IF outcome = 'not_placed' THEN
        -- Nobody was phoned and nothing was used up: the last wait repeats. Twenty refusals are an answer.
        IF jsonb_array_length(waits) = 0 OR same >= 19 THEN
            reason := 'not_placed';
            RETURN;
        END IF;
        turn := least(same, jsonb_array_length(waits) - 1);
        -- Signed off or absent: no fault of the number or the account, so no growing wait.
        IF resolved_by IN ('sign_off', 'absent') THEN
            turn := 0;
        END IF;
    ELSIF attempt_count >= max_attempts THEN
        reason := 'max_attempts';
        RETURN;
    END IF;
    wait_s := (waits ->> turn)::float8;
    will_retry := wait_s IS NOT NULL;
    reason := CASE WHEN will_retry THEN outcome ELSE 'final' END;
END
$$;

-- Whether the lead is tried again after this attempt, and when. `job` is its queue row as it is after the attempt's
-- end was written, so attempt_count includes it.
CREATE OR REPLACE FUNCTION app.retry_plan(call public.call_logs, job public.call_queue, outcome text, permanent boolean, at timestamptz,
                               OUT will_retry boolean, OUT next_retry_at timestamptz, OUT reason text)
LANGUAGE plpgsql STABLE SET search_path = ''
AS $$
DECLARE
    waits jsonb;
    same int4;
    wait_s float8;
BEGIN
    will_retry := false;
    IF job.id IS NULL THEN
        reason := 'no_job';
        RETURN;
    END IF;
    IF call.opted_out_at IS NOT NULL OR EXISTS (
            SELECT FROM public.do_not_call d
             WHERE d.phone_e164 = call.callee_number AND d.lifted_at IS NULL
               AND (d.campaign_id IS NULL OR d.campaign_id = call.campaign_id)) THEN
        reason := 'dnc_internal';
        RETURN;
    END IF;
    IF job.callback_at > call.intent_at THEN
        will_retry := true;
        reason := 'callback_requested';
        SELECT o.opens_at INTO next_retry_at
          FROM app.retry_opening(call.organization_id, call.campaign_id, call.lead_id, call.callee_number,
                                 job.callback_at) o;
        RETURN;
    END IF;
    IF permanent OR outcome = 'answered' THEN
        reason := CASE WHEN permanent THEN 'permanent' ELSE 'final' END;
        RETURN;
    END IF;
    SELECT coalesce(coalesce(p.waits, app.default_waits()) -> retry_plan.outcome, '[]') INTO waits
      FROM public.campaigns c
      LEFT JOIN public.retry_policies p ON p.id = c.retry_policy_id
     WHERE c.id = call.campaign_id;
    SELECT count(*) INTO same
      FROM public.call_attempts a
     WHERE a.campaign_id = call.campaign_id AND a.lead_id = call.lead_id
       AND a.outcome = retry_plan.outcome AND a.call_log_id <> call.id;
    SELECT w.will_retry, w.wait_s, w.reason INTO will_retry, wait_s, reason
      FROM app.retry_wait(waits, outcome, same, job.attempt_count, job.max_attempts, call.resolved_by) AS w;
    IF NOT will_retry THEN
        RETURN;
    END IF;
    SELECT o.opens_at INTO next_retry_at
      FROM app.retry_opening(call.organization_id, call.campaign_id, call.lead_id, call.callee_number,
                             coalesce(call.ended_at, at) + make_interval(secs => wait_s)) o;
END
$$;

-- The waits of a campaign that names no policy: the column default of retry_policies, said once here for SQL.
CREATE OR REPLACE FUNCTION app.default_waits() RETURNS jsonb
LANGUAGE sql IMMUTABLE SET search_path = ''
AS $$
    SELECT '{"busy": [1800, 7200], "no_answer": [7200, 86400], "voicemail": [86400], "failed": [1800, 7200],
             "not_placed": [60, 300, 1800], "unknown": [], "rejected": [], "invalid_number": []}'::jsonb
$$;

-- Settles journal and queue for a call log that has just become ended or not_placed. The second caller finds
-- the journal settled and changes nothing.
CREATE OR REPLACE FUNCTION app.settle(call public.call_logs, outcome text, permanent boolean, at timestamptz,
                           OUT will_retry boolean, OUT next_retry_at timestamptz)
LANGUAGE plpgsql SET search_path = ''
AS $$
#variable_conflict use_column
DECLARE
    job public.call_queue;
    plan record;
BEGIN
    SELECT q.* INTO job FROM public.call_queue q WHERE q.id = call.queue_id FOR UPDATE;
    plan := app.retry_plan(call, job, settle.outcome, permanent, settle.at);
    UPDATE public.call_attempts a
       SET outcome = settle.outcome, settled_at = settle.at, duration = call.duration,
           will_retry = plan.will_retry, next_retry_at = plan.next_retry_at, retry_reason = plan.reason,
           voicemail_detected = (settle.outcome = 'voicemail')
     WHERE a.call_log_id = call.id AND a.outcome IS NULL;
    IF NOT FOUND THEN
        SELECT a.will_retry, a.next_retry_at INTO will_retry, next_retry_at
          FROM public.call_attempts a WHERE a.call_log_id = call.id;
        RETURN;
    END IF;
    UPDATE public.call_queue q
       SET status = CASE WHEN plan.will_retry THEN 'queued'
                         WHEN settle.outcome = 'answered' OR call.opted_out_at IS NOT NULL THEN 'completed'
                         ELSE 'failed' END,
           next_retry_at = coalesce(plan.next_retry_at, q.next_retry_at),
           finished_at = CASE WHEN plan.will_retry THEN NULL ELSE settle.at END,
           last_error = CASE WHEN call.opted_out_at IS NOT NULL THEN 'opted_out'
                             WHEN plan.reason = 'dnc_internal' THEN 'dnc_internal'
                             ELSE settle.outcome END,
           call_log_id = NULL, lease_owner = NULL, leased_until = NULL
     WHERE q.id = call.queue_id AND q.call_log_id = call.id;
    IF settle.outcome <> 'not_placed' THEN
        UPDATE public.follow_up_tasks t
           SET status = 'completed', completed_at = settle.at, outcome = settle.outcome
         WHERE t.lead_id = call.lead_id AND t.campaign_id = call.campaign_id AND t.status = 'pending'
           AND t.performed_by = 'ai' AND t.due_date <= call.intent_at;
        INSERT INTO public.outbox (organization_id, topic, subject_id, dedup_key, payload, next_try_at)
        VALUES (call.organization_id, 'call.ended', call.id, call.id::text,
                jsonb_build_object('call_id', call.id, 'lead_id', call.lead_id, 'campaign_id', call.campaign_id,
                                   'outcome', settle.outcome, 'disconnect_reason', call.disconnect_reason,
                                   'duration', call.duration, 'will_retry', plan.will_retry), settle.at)
        ON CONFLICT (organization_id, topic, dedup_key) WHERE dedup_key IS NOT NULL DO NOTHING;
    END IF;
    IF settle.outcome = 'answered' THEN
        INSERT INTO public.analysis_jobs (organization_id, call_log_id, kind, due_at)
        VALUES (call.organization_id, call.id, 'call', settle.at)
        ON CONFLICT (organization_id, call_log_id, kind) DO NOTHING;
    END IF;
    will_retry := plan.will_retry;
    next_retry_at := plan.next_retry_at;
END
$$;

-- Our words for how the attempt came out. A person who answered stays "answered", whatever ended the call;
-- a machine does not count as a person, and a talk that we refused to hold was no talk.
CREATE OR REPLACE FUNCTION app.end_outcome(call public.call_logs, fact app.call_end) RETURNS text
LANGUAGE plpgsql IMMUTABLE SET search_path = ''
AS $$
BEGIN
    RETURN CASE
        WHEN fact.answered_at IS NULL AND call.answered_at IS NULL AND coalesce(fact.outcome, '') <> 'answered' THEN
            CASE WHEN fact.outcome IN ('no_answer', 'busy', 'voicemail', 'rejected', 'invalid_number', 'failed')
                 THEN fact.outcome ELSE 'failed' END
        WHEN call.machine_detected OR call.disconnect_reason = 'voicemail' OR fact.outcome = 'voicemail' THEN 'voicemail'
        WHEN call.disconnect_reason = 'cancelled' THEN 'failed'
        ELSE 'answered' END;
END
$$;

CREATE OR REPLACE FUNCTION app.end_reason(call public.call_logs, fact app.call_end, outcome text) RETURNS text
LANGUAGE plpgsql IMMUTABLE SET search_path = ''
AS $$
BEGIN
    RETURN CASE
        WHEN call.opted_out_at IS NOT NULL THEN 'opted_out'
        WHEN outcome = 'voicemail' THEN coalesce(nullif(fact.disconnect_reason, 'completed'), 'voicemail')
        -- What the talk itself decided (call_note) says more than the carrier's hang-up cause.
        WHEN call.disconnect_reason IS NOT NULL THEN call.disconnect_reason
        WHEN call.transferred THEN 'transferred'
        WHEN fact.disconnect_reason IS NOT NULL THEN fact.disconnect_reason
        ELSE CASE outcome WHEN 'answered' THEN 'completed' WHEN 'no_answer' THEN 'no_answer' WHEN 'busy' THEN 'busy'
             WHEN 'rejected' THEN 'rejected' WHEN 'invalid_number' THEN 'invalid_number' ELSE 'unreachable' END END;
END
$$;

-- Ends a live call: final columns of the log, the ids that came with its end among them, then the settlement. The
-- caller holds the row's lock; what `call` has of ids and the row has not is kept. Nobody talks before the answer,
-- so a call that was never answered has no transcript to write.
CREATE OR REPLACE FUNCTION app.finish_call(call public.call_logs, fact app.call_end, known_by text, at timestamptz,
                                OUT outcome text, OUT will_retry boolean, OUT next_retry_at timestamptz)
LANGUAGE plpgsql SET search_path = ''
AS $$
#variable_conflict use_column
DECLARE
    done public.call_logs;
    answered timestamptz := coalesce(fact.answered_at, call.answered_at);
    ended timestamptz := coalesce(fact.ended_at, finish_call.at);
    reason text;
    spoken text;
    settled record;
BEGIN
    outcome := app.end_outcome(call, fact);
    reason := app.end_reason(call, fact, outcome);
    IF answered IS NOT NULL THEN
        spoken := app.transcript(call.id);
    END IF;
    UPDATE public.call_logs l
       SET status = 'ended', ended_at = ended, answered_at = answered,
           call_sid = coalesce(l.call_sid, call.call_sid), request_uuid = coalesce(l.request_uuid, call.request_uuid),
           call_status = coalesce(fact.carrier_status, l.call_status), cause = coalesce(fact.cause, l.cause),
           cause_code = coalesce(fact.cause_code, l.cause_code), hangup_source = coalesce(fact.source, l.hangup_source),
           duration = CASE WHEN answered IS NULL THEN 0
                           ELSE coalesce(fact.duration_s,
                                         greatest(0, round(extract(epoch FROM ended - answered)))::int4) END,
           billed_seconds = coalesce(fact.billed_s, l.billed_seconds),
           cost_micros = coalesce(fact.cost_micros, l.cost_micros),
           cost_currency = coalesce(fact.currency, l.cost_currency),
           disconnect_reason = reason, conversation_transcript = coalesce(spoken, l.conversation_transcript),
           resolved_by = CASE WHEN l.status IN ('reserved', 'outcome_unknown') THEN known_by
                              ELSE coalesce(l.resolved_by, known_by) END,
           resolved_at = coalesce(l.resolved_at, finish_call.at), leased_until = NULL, next_reconcile_at = NULL
     WHERE l.id = call.id
    RETURNING l.* INTO done;
    IF done.cost_micros > 0 THEN
        PERFORM app.carrier_cost(done);
    END IF;
    IF done.direction = 'inbound' THEN
        IF finish_call.outcome = 'answered' THEN
            INSERT INTO public.analysis_jobs (organization_id, call_log_id, kind, due_at)
            VALUES (done.organization_id, done.id, 'call', finish_call.at)
            ON CONFLICT (organization_id, call_log_id, kind) DO NOTHING;
        END IF;
        will_retry := false;
        RETURN;
    END IF;
    settled := app.settle(done, finish_call.outcome, finish_call.outcome = 'invalid_number', finish_call.at);
    will_retry := settled.will_retry;
    next_retry_at := settled.next_retry_at;
END
$$;

-- The carrier's price of a call, once.
CREATE OR REPLACE FUNCTION app.carrier_cost(call public.call_logs) RETURNS void
LANGUAGE plpgsql SET search_path = ''
AS $$
BEGIN
    INSERT INTO public.usage_ledger (organization_id, campaign_id, call_log_id, source, item_key, seconds, cost_micros,
                                     currency)
    SELECT call.organization_id, call.campaign_id, call.id, 'carrier', 'call', call.billed_seconds, call.cost_micros,
           coalesce(call.cost_currency, 'USD')
     WHERE call.cost_micros > 0
    ON CONFLICT DO NOTHING;
END
$$;

RESET ROLE;
REVOKE ALL ON FUNCTION app.count_attempts(), app.incident(public.call_logs, text, jsonb, timestamptz), app.transcript(uuid),
    app.caps_opening(uuid, text, jsonb, timestamptz), app.retry_opening(uuid, uuid, uuid, text, timestamptz),
    app.retry_wait(jsonb, text, int4, int4, int4, text), app.retry_plan(public.call_logs, public.call_queue, text, boolean, timestamptz),
    app.default_waits(), app.settle(public.call_logs, text, boolean, timestamptz),
    app.end_outcome(public.call_logs, app.call_end), app.end_reason(public.call_logs, app.call_end, text),
    app.finish_call(public.call_logs, app.call_end, text, timestamptz), app.carrier_cost(public.call_logs)
    FROM PUBLIC, anon, authenticated, service_role;
