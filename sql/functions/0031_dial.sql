-- The dialer's side of an attempt (never-twice, §2.3): what the POST came to, leases that ran out, what the
-- carrier's lists say, and when it is allowed to conclude that nobody was phoned.
--
-- Workers and nodes belong to the platform, so their functions and the sweeps are the engine's; what concerns
-- one attempt runs inside its tenant.
SET LOCAL ROLE app_owner;

-- The account rests for a while; the sweep wakes it, and the next refusal puts it to rest again.
CREATE OR REPLACE FUNCTION app.account_trouble(account uuid, detail text, rest_ms int8, at timestamptz) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = ''
AS $$
BEGIN
    UPDATE public.carrier_accounts a
       SET status = 'paused', trouble = left(detail, 500),
           trouble_until = account_trouble.at + make_interval(secs => rest_ms / 1000.0)
     WHERE a.id = account AND (a.status = 'active' OR a.trouble_until IS NOT NULL);
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    INSERT INTO public.audit_log (organization_id, at, actor, action, subject, subject_id, detail)
    VALUES ((SELECT app.active_org()), account_trouble.at, 'dialer', 'carrier_account.trouble', 'carrier_accounts', account,
            jsonb_build_object('detail', left(account_trouble.detail, 500)));
    RETURN true;
END
$$;

-- The result of the one POST. Repeating it, or bringing it late, changes nothing that is known better by then.
-- `result` placed | not_placed | unknown; `permanent`: refused for a reason that another try will not change.
CREATE OR REPLACE FUNCTION app.place_result(call_id uuid, result text, resolved_by text, request_uuid text, call_uuid text,
                                 http_status int4, detail text, permanent boolean, at timestamptz) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = ''
AS $$
#variable_conflict use_column
DECLARE
    call public.call_logs;
    after public.call_logs;
    goes_to text;
BEGIN
    IF result NOT IN ('placed', 'not_placed', 'unknown') THEN
        RAISE EXCEPTION 'unknown result of a POST: %', result USING ERRCODE = '22023';
    END IF;
    SELECT l.* INTO call FROM public.call_logs l WHERE l.id = place_result.call_id FOR UPDATE;
    IF call.id IS NULL THEN
        RETURN NULL;
    END IF;
    goes_to := CASE
        WHEN result = 'placed' AND call.status IN ('reserved', 'outcome_unknown') AND call.answered_at IS NOT NULL THEN 'in_progress'
        WHEN result = 'placed' AND call.status IN ('reserved', 'outcome_unknown') THEN 'dialing'
        WHEN result = 'unknown' AND call.status = 'reserved' THEN 'outcome_unknown'
        WHEN result = 'not_placed' AND call.status IN ('reserved', 'outcome_unknown') AND call.ringing_at IS NULL
             AND call.answered_at IS NULL THEN 'not_placed'
        ELSE call.status END;
    IF (result = 'placed' AND call.status = 'not_placed')
       OR (result = 'not_placed' AND goes_to <> 'not_placed') THEN
        -- The carrier took a call that we had written off, or refused one that rings: never silently.
        PERFORM app.incident(call, 'place_result.' || result || '.' || call.status,
                             jsonb_build_object('request_uuid', request_uuid, 'http_status', http_status), at);
    END IF;
    UPDATE public.call_logs l
       SET status = goes_to,
           request_uuid = coalesce(l.request_uuid, nullif(place_result.request_uuid, '')),
           call_sid = coalesce(l.call_sid, nullif(place_result.call_uuid, '')),
           http_status = coalesce(place_result.http_status, l.http_status),
           place_detail = coalesce(place_result.detail, l.place_detail),
           -- From here on the worker is known not to POST this attempt (again).
           signed_off_at = coalesce(l.signed_off_at, place_result.at),
           leased_until = NULL,
           posted_at = CASE WHEN result <> 'not_placed' OR place_result.resolved_by = '4xx'
                            THEN coalesce(l.posted_at, place_result.at) ELSE l.posted_at END,
           placed_at = CASE WHEN result = 'placed' THEN coalesce(l.placed_at, place_result.at) ELSE l.placed_at END,
           unknown_at = CASE WHEN goes_to = 'outcome_unknown' THEN coalesce(l.unknown_at, place_result.at)
                             ELSE l.unknown_at END,
           ended_at = CASE WHEN goes_to = 'not_placed' THEN coalesce(l.ended_at, place_result.at) ELSE l.ended_at END,
           resolved_by = CASE WHEN result = 'placed' AND call.status <> 'not_placed' THEN 'response'
                              WHEN goes_to = 'not_placed' AND call.status <> 'not_placed' THEN place_result.resolved_by
                              ELSE l.resolved_by END,
           resolved_at = CASE WHEN goes_to NOT IN ('reserved', 'outcome_unknown')
                              THEN coalesce(l.resolved_at, place_result.at) ELSE l.resolved_at END,
           disconnect_reason = CASE WHEN goes_to = 'not_placed'
                                    THEN coalesce(l.disconnect_reason, CASE WHEN permanent THEN 'invalid_number'
                                         WHEN place_result.resolved_by = '4xx' THEN 'refused_by_carrier'
                                         WHEN place_result.resolved_by = 'sign_off' THEN 'cancelled'
                                         ELSE 'provider_error' END)
                                    ELSE l.disconnect_reason END,
           next_reconcile_at = CASE
               WHEN goes_to = 'outcome_unknown' THEN coalesce(l.next_reconcile_at, place_result.at)
               WHEN goes_to = 'dialing' THEN place_result.at + app.ring_allowance(l.campaign_id)
               ELSE l.next_reconcile_at END
     WHERE l.id = call.id
    RETURNING l.* INTO after;
    IF after.status = 'not_placed' AND call.status <> 'not_placed' THEN
        PERFORM app.settle(after, 'not_placed', permanent, at);
    END IF;
    RETURN after.status;
END
$$;

-- The last look before the POST, in the transaction that reads the brief: what makes this dial wrong since its
-- claim was committed? NULL: nothing. A campaign that was paused meanwhile counts here, though not at the answer.
CREATE OR REPLACE FUNCTION app.may_post(call_id uuid, at timestamptz) RETURNS text
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = ''
AS $$
DECLARE
    call record;
BEGIN
    SELECT l.status, c.status AS campaign INTO call
      FROM public.call_logs l
      LEFT JOIN public.campaigns c ON c.organization_id = l.organization_id AND c.id = l.campaign_id
     WHERE l.id = may_post.call_id;
    IF NOT FOUND OR call.status <> 'reserved' THEN
        RETURN 'not_reserved';
    END IF;
    IF call.campaign IS DISTINCT FROM 'active' THEN
        RETURN 'campaign_paused';
    END IF;
    RETURN (app.gate_at_answer(may_post.call_id, may_post.at)).reason;
END
$$;

-- How long a placed call may ring before we ask what became of it, and how long a talk may last in all: the
-- AI's part, and six times that for a human who takes over (as the transfer allows).
CREATE OR REPLACE FUNCTION app.ring_allowance(campaign uuid) RETURNS interval
LANGUAGE plpgsql STABLE SET search_path = ''
AS $$
BEGIN
    RETURN make_interval(secs => coalesce((SELECT c.ring_timeout_s FROM public.campaigns c WHERE c.id = campaign), 60) + 15);
END
$$;
CREATE OR REPLACE FUNCTION app.talk_allowance(campaign uuid) RETURNS interval
LANGUAGE plpgsql STABLE SET search_path = ''
AS $$
BEGIN
    RETURN make_interval(secs => coalesce(
               (SELECT c.max_duration_s * CASE c.transfer WHEN 'agents' THEN 7 ELSE 1 END
                  FROM public.campaigns c WHERE c.id = campaign), 14400) + 60);
END
$$;

-- A call found in one of the carrier's lists. `found_in` live | queued | cdr. Returns the status after it;
-- 'other' when the sighting cannot be this attempt's.
CREATE OR REPLACE FUNCTION app.reconcile_presence(call_id uuid, found_in text, call_uuid text, request_uuid text,
                                       initiated_at timestamptz, answered_at timestamptz, ended_at timestamptz,
                                       duration_s int4, billed_s int4, cost_micros int8, currency text, cause text,
                                       cause_code int4, source text, outcome text, disconnect_reason text,
                                       skew_ms int8, horizon_ms int8, retry_ms int8, at timestamptz) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = ''
AS $$
#variable_conflict use_column
DECLARE
    call public.call_logs;
    fact app.call_end;
    goes_to text;
    ends record;
BEGIN
    SELECT l.* INTO call FROM public.call_logs l WHERE l.id = reconcile_presence.call_id FOR UPDATE;
    IF call.id IS NULL THEN
        RETURN NULL;
    END IF;
    -- Whose is it? By the carrier's ids when both are known, else by number pair (the caller searched for it)
    -- and time: one live attempt per pair makes that unambiguous.
    IF (call.call_sid IS NOT NULL AND call.call_sid <> reconcile_presence.call_uuid)
       OR EXISTS (SELECT FROM public.call_logs o
                   WHERE o.call_sid = reconcile_presence.call_uuid AND o.id <> call.id)
       OR (call.call_sid IS NULL AND initiated_at IS NOT NULL
           -- A worker that slept before its POST dials late, but never after it signed off.
           AND NOT initiated_at BETWEEN call.intent_at - make_interval(secs => skew_ms / 1000.0)
                                    AND greatest(call.intent_at, coalesce(call.signed_off_at, reconcile_presence.at))
                                        + make_interval(secs => (skew_ms + horizon_ms) / 1000.0)) THEN
        RETURN 'other';
    END IF;
    IF call.status IN ('ended', 'not_placed') THEN
        IF call.status = 'not_placed' THEN
            -- Written off, and the pair dialed again since: who asked late (it slept) sees that dial.
            IF EXISTS (SELECT FROM public.call_logs o
                        WHERE o.callee_number = call.callee_number AND o.caller_number = call.caller_number
                          AND o.carrier_account_id = call.carrier_account_id AND o.direction = 'outbound'
                          AND o.intent_at > call.intent_at
                          AND o.intent_at <= coalesce(initiated_at, reconcile_presence.at)
                                             + make_interval(secs => skew_ms / 1000.0)) THEN
                RETURN 'other';
            END IF;
            PERFORM app.incident(call, 'presence.' || reconcile_presence.call_uuid,
                                 jsonb_build_object('found_in', found_in), at);
        END IF;
        RETURN call.status;
    END IF;
    IF found_in = 'cdr' AND ended_at IS NOT NULL THEN
        UPDATE public.call_logs l SET call_sid = coalesce(l.call_sid, nullif(reconcile_presence.call_uuid, ''))
         WHERE l.id = call.id RETURNING l.* INTO call;
        fact := ROW (NULL, cause, cause_code, source, answered_at, ended_at, duration_s, billed_s, cost_micros, currency,
                     outcome, disconnect_reason)::app.call_end;
        SELECT * INTO ends FROM app.finish_call(call, fact, 'cdr', at);
        RETURN 'ended';
    END IF;
    goes_to := CASE
        WHEN call.status IN ('reserved', 'outcome_unknown', 'dialing', 'ringing')
             AND coalesce(reconcile_presence.answered_at, call.answered_at) IS NOT NULL THEN 'in_progress'
        WHEN call.status IN ('reserved', 'outcome_unknown') THEN 'dialing'
        ELSE call.status END;
    UPDATE public.call_logs l
       SET status = goes_to,
           call_sid = coalesce(l.call_sid, nullif(reconcile_presence.call_uuid, '')),
           request_uuid = coalesce(l.request_uuid, nullif(reconcile_presence.request_uuid, '')),
           answered_at = coalesce(l.answered_at, reconcile_presence.answered_at),
           resolved_by = CASE WHEN l.status IN ('reserved', 'outcome_unknown') THEN 'live' ELSE l.resolved_by END,
           resolved_at = coalesce(l.resolved_at, reconcile_presence.at), leased_until = NULL,
           first_absent_scan_at = NULL, last_absent_scan_at = NULL, absent_scans = 0,
           next_reconcile_at = reconcile_presence.at + make_interval(secs => retry_ms / 1000.0)
     WHERE l.id = call.id;
    RETURN goes_to;
END
$$;

-- One complete scan (live, queued, CDR, every page, all 200) that showed nothing. A carrier clock that is off
-- by a minute or more makes the scan worthless. Placed calls that no list knows become unknown here.
CREATE OR REPLACE FUNCTION app.reconcile_scan(call_id uuid, skew_ms int8, retry_ms int8, at timestamptz) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = ''
AS $$
#variable_conflict use_column
DECLARE
    call public.call_logs;
    goes_to text;
BEGIN
    SELECT l.* INTO call FROM public.call_logs l WHERE l.id = reconcile_scan.call_id FOR UPDATE;
    IF call.id IS NULL OR call.status IN ('ended', 'not_placed') THEN
        RETURN call.status;
    END IF;
    goes_to := CASE WHEN call.status IN ('dialing', 'ringing', 'in_progress', 'transferring') THEN 'outcome_unknown'
                    ELSE call.status END;
    UPDATE public.call_logs l
       SET status = goes_to,
           unknown_at = CASE WHEN goes_to = 'outcome_unknown' THEN coalesce(l.unknown_at, reconcile_scan.at)
                             ELSE l.unknown_at END,
           first_absent_scan_at = CASE WHEN abs(skew_ms) >= 60000 THEN l.first_absent_scan_at
                                       ELSE coalesce(l.first_absent_scan_at, reconcile_scan.at) END,
           last_absent_scan_at = CASE WHEN abs(skew_ms) >= 60000 THEN l.last_absent_scan_at ELSE reconcile_scan.at END,
           absent_scans = l.absent_scans + CASE WHEN abs(skew_ms) >= 60000 THEN 0 ELSE 1 END,
           next_reconcile_at = reconcile_scan.at + make_interval(secs => retry_ms / 1000.0)
     WHERE l.id = call.id;
    RETURN goes_to;
END
$$;

-- Concludes absence, if everything that §2.3-9 asks for is on record; else says what is missing. Evidence is
-- read from the row alone: the caller's word does not count.
CREATE OR REPLACE FUNCTION app.reconcile_absence(call_id uuid, horizon_ms int8, scan_gap_ms int8, at timestamptz)
RETURNS TABLE (concluded boolean, why text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = ''
AS $$
#variable_conflict use_column
DECLARE
    call public.call_logs;
    missing text;
    horizon interval := make_interval(secs => horizon_ms / 1000.0);
    since timestamptz;
BEGIN
    SELECT l.* INTO call FROM public.call_logs l WHERE l.id = reconcile_absence.call_id FOR UPDATE;
    -- After a failover we may have forgotten that it was answered: it may still be talking, on no list that says so.
    since := greatest(call.signed_off_at,
                      engine.history_moved(call.intent_at) + app.talk_allowance(call.campaign_id));
    missing := CASE
        WHEN call.id IS NULL THEN 'no_such_call'
        WHEN call.status <> 'outcome_unknown' THEN 'not_unknown'
        WHEN call.signed_off_at IS NULL THEN 'owner_may_still_post'
        WHEN call.ringing_at IS NOT NULL OR call.answered_at IS NOT NULL THEN 'it_rang'
        -- A list or a report named it: the carrier has it, and its record will come.
        WHEN call.call_sid IS NOT NULL THEN 'it_was_seen'
        -- It confirmed the call by a 201: lists that show nothing contradict its own word, and are not believed.
        WHEN call.placed_at IS NOT NULL THEN 'carrier_took_it'
        WHEN at <= since + horizon THEN 'horizon'
        WHEN call.absent_scans < 2
             OR call.last_absent_scan_at - call.first_absent_scan_at < make_interval(secs => scan_gap_ms / 1000.0)
             THEN 'scans'
        -- The last look has to be later than any moment at which the call could still have appeared.
        WHEN call.last_absent_scan_at <= since + horizon THEN 'last_scan_too_early'
        END;
    IF missing IS NOT NULL THEN
        RETURN QUERY SELECT false, missing;
        RETURN;
    END IF;
    UPDATE public.call_logs l
       SET status = 'not_placed', ended_at = reconcile_absence.at, resolved_by = 'absent',
           resolved_at = reconcile_absence.at, disconnect_reason = coalesce(l.disconnect_reason, 'outcome_unknown'),
           next_reconcile_at = NULL, leased_until = NULL
     WHERE l.id = call.id
    RETURNING l.* INTO call;
    PERFORM app.settle(call, 'not_placed', false, at);
    RETURN QUERY SELECT true, NULL::text;
END
$$;

RESET ROLE;
SET LOCAL ROLE app_engine;

-- A node says that it is there; its row is made at its first word. A node id is made anew at every start, so
-- its epoch never has to be taken over.
CREATE OR REPLACE FUNCTION engine.worker_start(node uuid, node_name text, version text, public_url text, worker uuid,
                                    lock_path text, at timestamptz) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = ''
AS $$
    INSERT INTO public.nodes AS n (id, name, version, public_url, roles, started_at, heartbeat_at)
    VALUES (node, node_name, coalesce(worker_start.version, ''), worker_start.public_url, '{dialer}', worker_start.at,
            least(worker_start.at, clock_timestamp()))
    ON CONFLICT (id) DO UPDATE SET heartbeat_at = greatest(n.heartbeat_at, EXCLUDED.heartbeat_at);
    INSERT INTO public.workers (id, node_id, lock_path, started_at)
    VALUES (worker, node, worker_start.lock_path, worker_start.at)
    ON CONFLICT (id) DO NOTHING;
$$;

-- Returns the database's own clock, for the node to compare its own with: the one place where a clock is read. A sign
-- of life from the future would outlast every true one, and hide that a database is an older copy: it is not believed.
CREATE OR REPLACE FUNCTION engine.heartbeat(node uuid, stopping boolean, at timestamptz) RETURNS timestamptz
LANGUAGE sql SECURITY DEFINER SET search_path = ''
AS $$
    UPDATE public.nodes n
       SET heartbeat_at = greatest(n.heartbeat_at, least(heartbeat.at, clock_timestamp())),
           stopped_at = CASE WHEN stopping THEN heartbeat.at END
     WHERE n.id = node;
    SELECT clock_timestamp();
$$;

-- Proof that a worker incarnation can no longer POST: its lock was taken, it signed off itself, or an operator
-- vouches for it. The proof is written onto its live attempts, where reconcile_absence reads it; nobody waits for
-- the lease of a dead worker. Taken lock and operator's word mean that the process is gone, and its talks with it:
-- the carrier is asked about those too, at once. Repeatable; the worker's own row may be missing.
CREATE OR REPLACE FUNCTION engine.worker_dead(worker uuid, proof text, at timestamptz) RETURNS int4
LANGUAGE plpgsql SECURITY DEFINER SET search_path = ''
AS $$
#variable_conflict use_column
DECLARE
    touched int4;
BEGIN
    UPDATE public.workers w
       SET status = CASE WHEN worker_dead.proof = 'sign_off' THEN 'ended' ELSE 'dead' END,
           ended_at = worker_dead.at, proof = worker_dead.proof
     WHERE w.id = worker AND w.status = 'alive';
    UPDATE public.call_logs l
       SET signed_off_at = coalesce(l.signed_off_at, worker_dead.at),
           status = CASE WHEN l.status = 'reserved' THEN 'outcome_unknown' ELSE l.status END,
           unknown_at = CASE WHEN l.status = 'reserved' THEN worker_dead.at ELSE l.unknown_at END,
           leased_until = CASE WHEN l.status = 'reserved' THEN NULL ELSE l.leased_until END,
           -- Signed off, and perhaps still talking: when its process dies, no lock is left to tell of it.
           next_reconcile_at = least(l.next_reconcile_at, worker_dead.at + CASE
               WHEN worker_dead.proof = 'sign_off' AND l.signed_off_at IS NOT NULL THEN interval '15 seconds'
               ELSE interval '0' END)
     WHERE l.worker_id = worker AND l.status NOT IN ('ended', 'not_placed');
    GET DIAGNOSTICS touched = ROW_COUNT;
    RETURN touched;
END
$$;

-- Leases that ran out, and placed calls older than any call can be, become outcome_unknown: asked about, never
-- redialed. Nothing here leads back to the queue.
CREATE OR REPLACE FUNCTION engine.lease_sweep(slack_ms int8, at timestamptz)
RETURNS TABLE (call_id uuid, organization_id uuid, was text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = ''
AS $$
#variable_conflict use_column
DECLARE
    slack interval := make_interval(secs => slack_ms / 1000.0);
BEGIN
    UPDATE public.carrier_accounts a SET status = 'active', trouble_until = NULL
     WHERE a.status = 'paused' AND a.trouble_until <= lease_sweep.at;
    RETURN QUERY
    WITH late AS (
        SELECT l.organization_id, l.id, l.status
          FROM public.call_logs l
          LEFT JOIN public.campaigns c ON c.organization_id = l.organization_id AND c.id = l.campaign_id
         WHERE (l.status = 'reserved' AND l.leased_until <= lease_sweep.at)
            OR (l.status IN ('dialing', 'ringing') AND l.direction = 'outbound'
                AND coalesce(l.placed_at, l.intent_at)
                    + make_interval(secs => coalesce(c.ring_timeout_s, 60) + coalesce(c.max_duration_s, 14400)) + slack
                    <= lease_sweep.at)
            OR (l.status IN ('in_progress', 'transferring')
                AND coalesce(l.answered_at, l.placed_at, l.intent_at, l.created_at)
                    + make_interval(secs => coalesce(c.max_duration_s, 14400)
                                            * CASE WHEN coalesce(c.transfer, 'off') = 'agents' THEN 7 ELSE 1 END) + slack
                    <= lease_sweep.at)
         ORDER BY l.organization_id, l.id
         LIMIT 1000
           FOR UPDATE OF l SKIP LOCKED)
    UPDATE public.call_logs l
       SET status = 'outcome_unknown', unknown_at = lease_sweep.at, next_reconcile_at = lease_sweep.at, leased_until = NULL
      FROM late
     WHERE l.organization_id = late.organization_id AND l.id = late.id AND l.status = late.status
    RETURNING l.id, l.organization_id, late.status;
END
$$;

-- Attempts to ask the carrier about: the unknown ones, and live ones that have been quiet for too long. Taking
-- a row puts its next turn retry_ms off, so several reconcilers share the work.
CREATE OR REPLACE FUNCTION engine.unknown_due(want int4, retry_ms int8, at timestamptz)
RETURNS TABLE (call_id uuid, organization_id uuid, status text, carrier_account_id uuid, caller_number text,
               callee_number text, intent_at timestamptz, signed_off boolean, worker_id uuid, call_sid text,
               request_uuid text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = ''
AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    WITH due AS (
        SELECT l.organization_id, l.id
          FROM public.call_logs l
         WHERE l.status IN ('outcome_unknown', 'dialing', 'ringing', 'in_progress', 'transferring')
           AND l.direction = 'outbound' AND l.next_reconcile_at <= unknown_due.at
         ORDER BY l.next_reconcile_at
         LIMIT want
           FOR UPDATE OF l SKIP LOCKED)
    UPDATE public.call_logs l
       SET next_reconcile_at = unknown_due.at + make_interval(secs => retry_ms / 1000.0),
           -- A claim of a dead worker may have been committed after its death was written down.
           signed_off_at = coalesce(l.signed_off_at,
               (SELECT unknown_due.at FROM public.workers w WHERE w.id = l.worker_id AND w.status <> 'alive'))
      FROM due
     WHERE l.organization_id = due.organization_id AND l.id = due.id
    RETURNING l.id, l.organization_id, l.status, l.carrier_account_id, l.caller_number, l.callee_number, l.intent_at,
              l.signed_off_at IS NOT NULL, l.worker_id, l.call_sid, l.request_uuid;
END
$$;

-- For /metrics and alarms: how many attempts are unknown, and since when the oldest.
CREATE OR REPLACE FUNCTION engine.unknown_state(at timestamptz) RETURNS TABLE (unknown_calls int8, oldest_s int8, live_calls int8)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = ''
AS $$
    SELECT count(*) FILTER (WHERE l.status = 'outcome_unknown'),
           coalesce(max(extract(epoch FROM unknown_state.at - l.unknown_at))
                    FILTER (WHERE l.status = 'outcome_unknown'), 0)::int8,
           count(*)
      FROM public.call_logs l
     WHERE l.status NOT IN ('ended', 'not_placed')
$$;

RESET ROLE;
REVOKE ALL ON FUNCTION app.account_trouble(uuid, text, int8, timestamptz),
    app.place_result(uuid, text, text, text, text, int4, text, boolean, timestamptz),
    app.may_post(uuid, timestamptz), app.ring_allowance(uuid), app.talk_allowance(uuid),
    app.reconcile_presence(uuid, text, text, text, timestamptz, timestamptz, timestamptz, int4, int4, int8, text, text, int4,
                           text, text, text, int8, int8, int8, timestamptz),
    app.reconcile_scan(uuid, int8, int8, timestamptz), app.reconcile_absence(uuid, int8, int8, timestamptz),
    engine.worker_start(uuid, text, text, text, uuid, text, timestamptz), engine.heartbeat(uuid, boolean, timestamptz),
    engine.worker_dead(uuid, text, timestamptz), engine.lease_sweep(int8, timestamptz),
    engine.unknown_due(int4, int8, timestamptz), engine.unknown_state(timestamptz)
    FROM PUBLIC, anon, authenticated, service_role;
GRANT EXECUTE ON FUNCTION app.account_trouble(uuid, text, int8, timestamptz),
    app.place_result(uuid, text, text, text, text, int4, text, boolean, timestamptz),
    app.may_post(uuid, timestamptz),
    app.reconcile_presence(uuid, text, text, text, timestamptz, timestamptz, timestamptz, int4, int4, int8, text, text, int4,
                           text, text, text, int8, int8, int8, timestamptz),
    app.reconcile_scan(uuid, int8, int8, timestamptz), app.reconcile_absence(uuid, int8, int8, timestamptz),
    engine.worker_start(uuid, text, text, text, uuid, text, timestamptz), engine.heartbeat(uuid, boolean, timestamptz),
    engine.worker_dead(uuid, text, timestamptz), engine.lease_sweep(int8, timestamptz),
    engine.unknown_due(int4, int8, timestamptz), engine.unknown_state(timestamptz)
    TO app_worker;
