-- The carrier's whole list against ours, and what an operator knows better than either.
SET LOCAL ROLE app_owner;

-- Whose is a call that the carrier lists? known: it is an attempt's, or the leg of one of our people.
CREATE OR REPLACE FUNCTION app.orphan_known(account uuid, call_uuid text, parent_uuid text, from_number text, to_number text,
                                            initiated_at timestamptz, skew_ms int8, horizon_ms int8) RETURNS boolean
LANGUAGE sql STABLE SET search_path = ''
AS $$
    SELECT EXISTS (SELECT FROM public.call_logs l WHERE l.call_sid IN (call_uuid, parent_uuid))
        OR EXISTS (SELECT FROM public.agent_calls a WHERE a.call_sid = call_uuid)
        OR EXISTS (SELECT FROM public.call_logs l
                    WHERE l.carrier_account_id = account AND l.direction = 'outbound' AND l.call_sid IS NULL
                      AND l.caller_number = from_number AND l.callee_number = to_number
                      AND coalesce(initiated_at, l.intent_at)
                          BETWEEN l.intent_at - make_interval(secs => skew_ms / 1000.0)
                              AND l.intent_at + make_interval(secs => (skew_ms + horizon_ms) / 1000.0))
$$;

-- The row of a dial that only the carrier remembers (restore from a backup): its job is found by the two numbers.
-- NULL: there is none. Of several campaigns the one that waits, else the newest.
CREATE OR REPLACE FUNCTION app.orphan_job(from_number text, to_number text, OUT job uuid, OUT number int4)
LANGUAGE sql STABLE SET search_path = ''
AS $$
    SELECT q.id, q.attempt_number + 1
      FROM public.call_queue q
      JOIN public.leads l ON l.organization_id = q.organization_id AND l.id = q.lead_id AND l.phone_e164 = to_number
      JOIN public.campaign_numbers m ON m.organization_id = q.organization_id AND m.campaign_id = q.campaign_id
      JOIN public.phone_numbers p ON p.organization_id = m.organization_id AND p.id = m.phone_number_id
           AND p.phone_e164 = from_number
     WHERE q.call_log_id IS NULL
     ORDER BY q.status = 'queued' DESC, q.created_at DESC, q.id LIMIT 1
$$;

-- A part of the carrier's list of one account: [{call, request, parent, from, to, where, initiated, answered, ended,
-- duration_s, billed_s, cost_micros, cause, cause_code, source, outcome, reason}]. What belongs to an attempt in question
-- moves it on; what belongs to nobody is on the audit log, once: somebody phones in our name, or the ledger lost a
-- dial. adopt: the database was restored, and such a call is taken for a dial of the lead that has its number.
CREATE OR REPLACE FUNCTION app.orphan_sweep(account uuid, calls jsonb, adopt boolean, skew_ms int8, horizon_ms int8,
                                            retry_ms int8, at timestamptz)
RETURNS TABLE (known int4, adopted int4, orphans int4, fresh int4)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = ''
AS $$
#variable_conflict use_column
DECLARE
    c record;
    owner record;
    mine uuid;
BEGIN
    known := 0;
    adopted := 0;
    orphans := 0;
    fresh := 0;
    -- Two that adopt from one list at once would make two dials of one.
    PERFORM pg_advisory_xact_lock(hashtextextended('orphan_sweep ' || account, 0));
    FOR c IN SELECT x.* FROM jsonb_to_recordset(calls)
                 AS x (call text, request text, parent text, "from" text, "to" text, "where" text, initiated timestamptz,
                       answered timestamptz, ended timestamptz, duration_s int4, billed_s int4, cost_micros int8, cause text,
                       cause_code int4, source text, outcome text, reason text) LOOP
        -- One without the carrier's id, of this pair and time, is this one's.
        SELECT l.id INTO mine FROM public.call_logs l
         WHERE l.carrier_account_id = account AND l.direction = 'outbound' AND l.caller_number = c."from"
           AND l.callee_number = c."to" AND l.status = 'outcome_unknown' AND l.call_sid IS NULL
           AND NOT EXISTS (SELECT FROM public.call_logs o WHERE o.call_sid = c.call);
        IF mine IS NULL AND adopt
           AND NOT app.orphan_known(account, c.call, c.parent, c."from", c."to", c.initiated, skew_ms, horizon_ms) THEN
            SELECT * INTO owner FROM app.orphan_job(c."from", c."to");
            IF owner.job IS NOT NULL THEN
                mine := app.uuid7();
                IF engine.adopt_record(mine, owner.job, owner.number, account, c."from", c."to", coalesce(c.initiated, at), at)
                   = 'rebuilt' THEN
                    adopted := adopted + 1;
                ELSE
                    mine := NULL;
                END IF;
            END IF;
        END IF;
        IF mine IS NOT NULL THEN
            PERFORM app.reconcile_presence(mine, c."where", c.call, c.request, c.initiated, c.answered, c.ended, c.duration_s,
                c.billed_s, c.cost_micros, NULL, c.cause, c.cause_code, c.source, c.outcome, c.reason, skew_ms, horizon_ms,
                retry_ms, at);
        END IF;
        IF app.orphan_known(account, c.call, c.parent, c."from", c."to", c.initiated, skew_ms, horizon_ms) THEN
            known := known + 1;
            CONTINUE;
        END IF;
        orphans := orphans + 1;
        IF NOT EXISTS (SELECT FROM public.audit_log a
                        WHERE a.action = 'call.orphan' AND a.subject_id = account AND a.detail ->> 'call_uuid' = c.call) THEN
            INSERT INTO public.audit_log (organization_id, at, actor, action, subject, subject_id, detail)
            VALUES ((SELECT app.active_org()), orphan_sweep.at, 'sweep', 'call.orphan', 'carrier_accounts', account,
                    jsonb_build_object('call_uuid', c.call, 'initiated_at', c.initiated, 'where', c."where"));
            fresh := fresh + 1;
        END IF;
    END LOOP;
    RETURN NEXT;
END
$$;

-- How a sweep of an account ended: swept_until NULL says that it failed, and why.
CREATE OR REPLACE FUNCTION app.orphan_swept(account uuid, swept_until timestamptz, calls int4, orphans int4, failed text, at timestamptz)
RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = ''
AS $$
    UPDATE public.orphan_sweeps s
       SET swept_until = greatest(s.swept_until, orphan_swept.swept_until), failed = left(orphan_swept.failed, 200),
           taken_until = CASE WHEN orphan_swept.swept_until IS NULL THEN orphan_swept.at + interval '1 minute' END,
           finished_at = CASE WHEN orphan_swept.swept_until IS NULL THEN s.finished_at ELSE orphan_swept.at END,
           calls = orphan_swept.calls, orphans = orphan_swept.orphans
     WHERE s.carrier_account_id = account
$$;

-- The calls whose outcome nobody could tell.
CREATE OR REPLACE FUNCTION app.call_unknown(want int4, at timestamptz) RETURNS jsonb
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = ''
AS $$
    SELECT jsonb_build_object('calls', coalesce(jsonb_agg(to_jsonb(u) ORDER BY u.intent_at), '[]'))
      FROM (SELECT l.id, l.intent_at, l.unknown_at, l.caller_number AS "from", l.callee_number AS "to", l.call_sid, l.ringing_at,
                   l.answered_at, l.signed_off_at IS NOT NULL AS owner_gone, l.absent_scans, l.last_absent_scan_at,
                   n.name AS node, floor(extract(epoch FROM call_unknown.at - l.unknown_at)) AS unknown_s
              FROM public.call_logs l LEFT JOIN public.nodes n ON n.id = l.node_id
             WHERE l.organization_id = app.org_required() AND l.status = 'outcome_unknown'
             ORDER BY l.intent_at LIMIT want) u
$$;

-- An operator has found out otherwise (the carrier's console, its support) what became of a call that stays unknown.
-- Only of those; never against what is on record.
CREATE OR REPLACE FUNCTION app.call_settle(call_id uuid, verdict text, result text, why text, actor text, at timestamptz) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = ''
AS $$
#variable_conflict use_column
DECLARE
    call public.call_logs;
    fact app.call_end;
    said text;
BEGIN
    SELECT l.* INTO call FROM public.call_logs l
     WHERE l.organization_id = app.org_required() AND l.id = call_settle.call_id FOR UPDATE;
    said := CASE
        WHEN call.id IS NULL THEN 'no such call'
        WHEN call.status <> 'outcome_unknown' THEN format('its outcome is not unknown: it is %s', call.status)
        WHEN call.signed_off_at IS NULL THEN 'its worker may still live: wait for its end, or say `dialwright node dead`'
        WHEN verdict = 'not_placed' AND (call.ringing_at IS NOT NULL OR call.answered_at IS NOT NULL) THEN 'it rang, so it was placed'
        WHEN verdict = 'not_placed' AND call.call_sid IS NOT NULL THEN 'the carrier gave it an id, so it was placed' END;
    IF said IS NOT NULL THEN
        RETURN jsonb_build_object('refused', said);
    END IF;
    IF verdict = 'ended' THEN
        fact := ROW (NULL, NULL, NULL, NULL, NULL, at, NULL, NULL, NULL, NULL,
                     coalesce(result, CASE WHEN call.answered_at IS NULL THEN 'no_answer' END), NULL)::app.call_end;
        PERFORM app.finish_call(call, fact, 'operator', at);
        UPDATE public.call_logs l SET resolved_by = 'operator', resolved_at = call_settle.at WHERE l.id = call.id;
    ELSE
        UPDATE public.call_logs l
           SET status = 'not_placed', ended_at = call_settle.at, resolved_by = 'operator', resolved_at = call_settle.at,
               disconnect_reason = coalesce(l.disconnect_reason, 'outcome_unknown'), next_reconcile_at = NULL, leased_until = NULL
         WHERE l.id = call.id
        RETURNING l.* INTO call;
        PERFORM app.settle(call, 'not_placed', false, at);
    END IF;
    PERFORM app.audit_put(actor, 'call.settled', 'call_logs', call.id,
                          jsonb_build_object('verdict', verdict, 'outcome', result, 'why', why), at);
    RETURN (SELECT jsonb_build_object('change', 'settled', 'call', l.id, 'status', l.status, 'outcome', a.outcome,
                                      'will_retry', coalesce(a.will_retry, false), 'next_retry_at', a.next_retry_at)
              FROM public.call_logs l
              LEFT JOIN public.call_attempts a ON a.organization_id = l.organization_id AND a.call_log_id = l.id
             WHERE l.id = call.id);
END
$$;

RESET ROLE;
SET LOCAL ROLE app_engine;

CREATE OR REPLACE FUNCTION engine.adopt_record(call_id uuid, queue_id uuid, attempt_number int4, account uuid, from_number text,
    to_number text, initiated_at timestamptz, at timestamptz) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = ''
AS $$
DECLARE
    org uuid := app.active_org();
BEGIN
    IF org IS NULL THEN
        RAISE EXCEPTION 'no valid tenant context' USING ERRCODE = '42501';
    END IF;
    INSERT INTO public.audit_log (organization_id, at, actor, action, subject, subject_id, detail)
    VALUES (org, adopt_record.at, 'sweep', 'call.adopted', 'call_logs', call_id, jsonb_build_object('by', 'cdr'));
    RETURN engine.adopt(org, call_id, queue_id, attempt_number, from_number, to_number, account, NULL, initiated_at, true, 'cdr', adopt_record.at);
END
$$;

-- Accounts whose list is to be compared now, taken for a while; `every_ms` since the last time. The span begins where
-- the last one ended, or (restore) at `since` if that is earlier. A restore does not pass over what another one took:
-- that one may have died, and its list would be missing. What failed rests for it too.
CREATE OR REPLACE FUNCTION engine.orphan_due(every_ms int8, hold_ms int8, first_ms int8, since timestamptz, at timestamptz)
RETURNS TABLE (organization_id uuid, account_id uuid, swept_until timestamptz)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = ''
AS $$
#variable_conflict use_column
BEGIN
    INSERT INTO public.orphan_sweeps (organization_id, carrier_account_id)
    SELECT a.organization_id, a.id FROM public.carrier_accounts a
    ON CONFLICT DO NOTHING;
    RETURN QUERY
    WITH due AS (
        SELECT s.organization_id, s.carrier_account_id FROM public.orphan_sweeps s
         WHERE (s.finished_at IS NULL OR s.finished_at <= orphan_due.at - make_interval(secs => every_ms / 1000.0))
           AND (s.taken_until IS NULL OR s.taken_until <= orphan_due.at OR (since IS NOT NULL AND s.failed IS NULL))
           AND EXISTS (SELECT FROM public.carrier_accounts a
                        WHERE a.organization_id = s.organization_id AND a.id = s.carrier_account_id AND a.status <> 'retired')
         ORDER BY s.finished_at NULLS FIRST, s.organization_id, s.carrier_account_id
         LIMIT 20 FOR UPDATE SKIP LOCKED)
    UPDATE public.orphan_sweeps s SET taken_until = orphan_due.at + make_interval(secs => hold_ms / 1000.0), failed = NULL
      FROM due d
     WHERE s.organization_id = d.organization_id AND s.carrier_account_id = d.carrier_account_id
    RETURNING s.organization_id, s.carrier_account_id,
              least(coalesce(s.swept_until, orphan_due.at - make_interval(secs => first_ms / 1000.0)), since);
END
$$;

RESET ROLE;
REVOKE ALL ON FUNCTION app.orphan_known(uuid, text, text, text, text, timestamptz, int8, int8), app.orphan_job(text, text),
    app.orphan_sweep(uuid, jsonb, boolean, int8, int8, int8, timestamptz),
    app.orphan_swept(uuid, timestamptz, int4, int4, text, timestamptz), app.call_unknown(int4, timestamptz),
    app.call_settle(uuid, text, text, text, text, timestamptz),
    engine.adopt_record(uuid, uuid, int4, uuid, text, text, timestamptz, timestamptz),
    engine.orphan_due(int8, int8, int8, timestamptz, timestamptz)
    FROM PUBLIC, anon, authenticated, service_role;
GRANT EXECUTE ON FUNCTION app.orphan_sweep(uuid, jsonb, boolean, int8, int8, int8, timestamptz),
    app.orphan_swept(uuid, timestamptz, int4, int4, text, timestamptz), app.call_unknown(int4, timestamptz),
    app.call_settle(uuid, text, text, text, text, timestamptz),
    engine.orphan_due(int8, int8, int8, timestamptz, timestamptz) TO app_worker;
GRANT EXECUTE ON FUNCTION engine.adopt_record(uuid, uuid, int4, uuid, text, text, timestamptz, timestamptz) TO app_owner;
