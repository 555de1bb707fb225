-- Failover and restore (never-twice, §2.3-13): a node checks in on the history that the server writes; a new one is
-- opened when every node that may have dialed in the missing time has put its journal back, and for a restore from
-- a backup not before an operator has said so. engine.claim() gives nothing away on a history that is not open.
SET LOCAL ROLE app_engine;

-- The cluster that answers. Of a dump that was restored elsewhere it differs; a standby shares it.
CREATE OR REPLACE FUNCTION engine.system_id() RETURNS text
LANGUAGE sql STABLE SET search_path = ''
AS $$
    SELECT s.system_identifier::text FROM pg_catalog.pg_control_system() s
$$;

CREATE OR REPLACE FUNCTION engine.history_open() RETURNS boolean
LANGUAGE plpgsql STABLE SET search_path = ''
AS $$
BEGIN
    RETURN EXISTS (SELECT FROM public.dial_histories h
                    WHERE h.system_id = engine.system_id() AND h.timeline = engine.timeline() AND h.opened_at IS NOT NULL);
END
$$;

-- When the history changed since then, last: what was heard of a call before it may be forgotten. NULL: it did not.
CREATE OR REPLACE FUNCTION engine.history_moved(since timestamptz) RETURNS timestamptz
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = ''
AS $$
    SELECT max(h.seen_at) FROM public.dial_histories h WHERE h.seen_at >= since AND h.kind <> 'first'
$$;

-- Nodes that may have dialed in the time that is missing: their last sign of life is near the last one of any.
CREATE OR REPLACE FUNCTION engine.history_expect(p_system text, p_timeline int8, p_reference timestamptz, p_loss_ms int8) RETURNS void
LANGUAGE sql SET search_path = ''
AS $$
    INSERT INTO public.dial_replays (system_id, timeline, node_id)
    SELECT p_system, p_timeline, n.id FROM public.nodes n
     WHERE n.heartbeat_at >= p_reference - make_interval(secs => 2 * p_loss_ms / 1000.0)
    ON CONFLICT (system_id, timeline, node_id) DO UPDATE SET done_at = NULL, waived_at = NULL, waived_by = NULL
$$;

-- The first who sees a new history writes it down, and freezes the list of those who are waited for. p_newest: the
-- newest attempt that the caller's journal has of this very history; p_last: the last moment at which this database
-- is known to have answered.
CREATE OR REPLACE FUNCTION engine.history_see(p_newest uuid, p_last timestamptz, p_loss_ms int8, p_at timestamptz) RETURNS public.dial_histories
LANGUAGE plpgsql SET search_path = ''
AS $$
DECLARE
    h public.dial_histories;
    sys text := engine.system_id();
    line int8 := engine.timeline();
    reference timestamptz := (SELECT max(n.heartbeat_at) FROM public.nodes n);
    lost boolean := p_last - (SELECT max(n.heartbeat_at) FROM public.nodes n) > make_interval(secs => p_loss_ms / 1000.0);
    gone boolean := p_newest IS NOT NULL AND NOT EXISTS (SELECT FROM public.call_logs l WHERE l.id = p_newest);
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('dial_histories', 0));
    SELECT t.* INTO h FROM public.dial_histories t WHERE t.system_id = sys AND t.timeline = line;
    IF NOT FOUND THEN
        INSERT INTO public.dial_histories (system_id, timeline, kind, why, seen_at, reference_at, replay_since, opened_at)
        SELECT sys, line, k.kind, k.why, p_at, reference, reference, CASE k.kind WHEN 'first' THEN p_at END
          FROM (SELECT CASE WHEN NOT EXISTS (SELECT FROM public.dial_histories) THEN 'first'
                            WHEN lost OR NOT EXISTS (SELECT FROM public.dial_histories t WHERE t.system_id = sys) THEN 'restore'
                            ELSE 'failover' END,
                       CASE WHEN lost THEN 'a journal is newer than this database by more than a failover loses'
                            WHEN EXISTS (SELECT FROM public.dial_histories t WHERE t.system_id = sys) THEN 'another timeline'
                            ELSE 'another database cluster' END) AS k (kind, why)
        RETURNING * INTO h;
        PERFORM engine.history_expect(sys, line, reference, p_loss_ms);
    ELSIF h.opened_at IS NOT NULL AND (lost OR gone) THEN
        -- The same history, and yet behind a journal: somebody put an older copy of the data in its place.
        UPDATE public.dial_histories t
           SET kind = 'restore', why = 'a journal is newer than this database', seen_at = p_at, reference_at = reference,
               replay_since = reference, opened_at = NULL, accepted_at = NULL, accepted_by = NULL, accepted_why = NULL
         WHERE t.system_id = sys AND t.timeline = line
        RETURNING * INTO h;
        PERFORM engine.history_expect(sys, line, reference, p_loss_ms);
    ELSIF h.opened_at IS NULL AND h.kind = 'failover' AND p_last - h.reference_at > make_interval(secs => p_loss_ms / 1000.0) THEN
        UPDATE public.dial_histories t
           SET kind = 'restore', why = 'a journal is newer than this database by more than a failover loses'
         WHERE t.system_id = sys AND t.timeline = line
        RETURNING * INTO h;
    END IF;
    RETURN h;
END
$$;

-- A node says that it is there, and asks whether it may dial. Its own row may be one of those that are missing.
-- state: open | replay (its journal is to be put back) | wait (for others) | accept (for an operator). from_*: the
-- history that the caller's newest dial was made on; who comes late, when all is open again, replays all the same.
CREATE OR REPLACE FUNCTION engine.dial_check_in(node uuid, node_name text, version text, public_url text, newest uuid,
    from_system text, from_timeline int8, last_at timestamptz, loss_ms int8, wait_ms int8, at timestamptz)
RETURNS TABLE (installation_id uuid, system_id text, timeline int8, state text, kind text, why text, waits_for int4,
               replay_since timestamptz)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = ''
AS $$
#variable_conflict use_column
DECLARE
    h public.dial_histories;
    pending int4;
    mine timestamptz;
    same boolean;
BEGIN
    IF node IS NULL THEN -- only asks which installation this is, to read its journal first
        RETURN QUERY SELECT (SELECT i.id FROM public.installation i), engine.system_id(), engine.timeline(), 'wait', 'first', '', 0,
                            NULL::timestamptz;
        RETURN;
    END IF;
    same := (from_system, from_timeline) = (engine.system_id(), engine.timeline());
    h := engine.history_see(CASE WHEN same THEN newest END, last_at, loss_ms, at);
    INSERT INTO public.nodes AS n (id, name, version, public_url, roles, started_at, heartbeat_at)
    VALUES (node, node_name, coalesce(dial_check_in.version, ''), dial_check_in.public_url, '{dialer}', dial_check_in.at,
            least(dial_check_in.at, clock_timestamp())) -- as in engine.heartbeat: a clock ahead would hide who else is waited for
    ON CONFLICT (id) DO UPDATE SET heartbeat_at = greatest(n.heartbeat_at, EXCLUDED.heartbeat_at);
    IF h.opened_at IS NULL THEN
        INSERT INTO public.dial_replays (system_id, timeline, node_id) VALUES (h.system_id, h.timeline, node)
        ON CONFLICT DO NOTHING;
        SELECT count(*) INTO pending FROM public.dial_replays r
         WHERE r.system_id = h.system_id AND r.timeline = h.timeline AND r.done_at IS NULL AND r.waived_at IS NULL;
        IF pending = 0 AND (h.kind = 'failover' OR h.accepted_at IS NOT NULL)
           AND at >= h.seen_at + make_interval(secs => wait_ms / 1000.0) THEN
            UPDATE public.dial_histories t SET opened_at = dial_check_in.at
             WHERE t.system_id = h.system_id AND t.timeline = h.timeline
            RETURNING t.* INTO h;
        END IF;
    END IF;
    SELECT r.done_at INTO mine FROM public.dial_replays r
     WHERE r.system_id = h.system_id AND r.timeline = h.timeline AND r.node_id = node;
    RETURN QUERY
        SELECT (SELECT i.id FROM public.installation i), h.system_id, h.timeline,
               CASE WHEN h.opened_at IS NOT NULL AND (same OR newest IS NULL OR mine IS NOT NULL) THEN 'open'
                    WHEN h.opened_at IS NOT NULL THEN 'replay'
                    WHEN h.kind = 'restore' AND h.accepted_at IS NULL THEN 'accept'
                    WHEN mine IS NULL THEN 'replay'
                    ELSE 'wait' END,
               h.kind, h.why, coalesce(pending, 0), h.replay_since;
END
$$;

-- One dial that was made and has no row: rebuilt from what a journal, a webhook's address or the carrier's record
-- says of it. It passes no gate, for it cannot dial; it counts for every cap, and holds its job, from here on.
-- Returns present | rebuilt | no_job | conflict (another live attempt holds the pair of numbers: its end is missing
-- too, and has to be learned first).
CREATE OR REPLACE FUNCTION engine.adopt(p_org uuid, p_call uuid, p_job uuid, p_number int4, p_from text, p_to text,
    p_account uuid, p_worker uuid, p_intent timestamptz, p_over boolean, p_how text, p_at timestamptz) RETURNS text
LANGUAGE plpgsql SET search_path = ''
AS $$
DECLARE
    job public.call_queue;
    other public.call_logs;
    tried int4;
BEGIN
    UPDATE public.call_logs l SET signed_off_at = p_at
     WHERE l.organization_id = p_org AND l.id = p_call AND p_over AND l.signed_off_at IS NULL
       AND l.status NOT IN ('ended', 'not_placed');
    IF FOUND OR EXISTS (SELECT FROM public.call_logs l WHERE l.organization_id = p_org AND l.id = p_call) THEN
        RETURN 'present';
    END IF;
    SELECT q.* INTO job FROM public.call_queue q WHERE q.organization_id = p_org AND q.id = p_job FOR UPDATE;
    IF job.id IS NULL OR NOT EXISTS (SELECT FROM public.carrier_accounts a
                                      WHERE a.organization_id = p_org AND a.id = p_account) THEN
        RETURN 'no_job';
    END IF;
    SELECT l.* INTO other FROM public.call_logs l
     WHERE l.organization_id = p_org AND l.carrier_account_id = p_account AND l.caller_number = p_from
       AND l.callee_number = p_to AND l.direction = 'outbound' AND l.status NOT IN ('ended', 'not_placed');
    IF other.id IS NOT NULL THEN
        UPDATE public.call_logs l SET next_reconcile_at = least(l.next_reconcile_at, p_at)
         WHERE l.organization_id = p_org AND l.id = other.id;
        RETURN 'conflict';
    END IF;
    SELECT greatest(p_number, 1 + max(a.attempt_number)) INTO tried
      FROM public.call_attempts a
     WHERE a.organization_id = p_org AND a.campaign_id = job.campaign_id AND a.lead_id = job.lead_id
       AND EXISTS (SELECT FROM public.call_attempts b
                    WHERE b.organization_id = p_org AND b.campaign_id = job.campaign_id AND b.lead_id = job.lead_id
                      AND b.attempt_number = p_number);
    tried := coalesce(tried, p_number);
    INSERT INTO public.call_logs (organization_id, id, lead_id, campaign_id, project_id, queue_id, attempt_number,
        carrier_account_id, direction, caller_number, callee_number, status, worker_id, intent_at, unknown_at, adopted_at,
        signed_off_at, next_reconcile_at, timeline_id)
    SELECT p_org, p_call, job.lead_id, job.campaign_id, c.project_id, job.id, tried, p_account, 'outbound', p_from, p_to,
           'outcome_unknown', p_worker, p_intent, p_at, p_at, CASE WHEN p_over THEN p_at END, p_at, engine.timeline()
      FROM public.campaigns c WHERE c.organization_id = p_org AND c.id = job.campaign_id;
    INSERT INTO public.call_attempts (organization_id, lead_id, campaign_id, call_log_id, attempt_number, gate)
    VALUES (p_org, job.lead_id, job.campaign_id, p_call, tried, jsonb_build_object('adopted', p_how));
    UPDATE public.call_queue q
       SET status = CASE WHEN q.call_log_id IS NULL AND q.status IN ('queued', 'failed') THEN 'processing' ELSE q.status END,
           call_log_id = CASE WHEN q.call_log_id IS NULL AND q.status IN ('queued', 'failed') THEN p_call ELSE q.call_log_id END,
           attempt_number = greatest(q.attempt_number, tried),
           last_error = CASE WHEN q.call_log_id IS NULL AND q.status IN ('queued', 'failed') THEN NULL ELSE q.last_error END
     WHERE q.organization_id = p_org AND q.id = job.id;
    RETURN 'rebuilt';
END
$$;

-- The same for a webhook whose address carried a valid MAC: inside its tenant, the account is the one whose token
-- signed it. An attempt's id holds the moment of its claim.
CREATE OR REPLACE FUNCTION engine.adopt_call(call_id uuid, queue_id uuid, attempt_number int4, account uuid, from_number text,
    to_number text, at timestamptz) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = ''
AS $$
DECLARE
    claimed timestamptz := to_timestamp(('x' || left(replace(call_id::text, '-', ''), 12))::bit(48)::int8 / 1000.0);
    org uuid := app.active_org();
    verdict text;
BEGIN
    IF org IS NULL THEN
        RAISE EXCEPTION 'no valid tenant context' USING ERRCODE = '42501';
    END IF;
    IF claimed > adopt_call.at OR claimed < adopt_call.at - interval '1 day' THEN
        claimed := adopt_call.at;
    END IF;
    verdict := engine.adopt(org, call_id, queue_id, attempt_number, from_number, to_number, account, NULL, claimed, false,
                            'hook', adopt_call.at);
    IF verdict <> 'present' THEN
        INSERT INTO public.audit_log (organization_id, at, actor, action, subject, subject_id, detail)
        VALUES (org, adopt_call.at, 'webhook', 'call.adopted', 'call_logs', call_id, jsonb_build_object('result', verdict));
    END IF;
    RETURN verdict;
END
$$;

-- A part of a node's journal: [{c, o, j, n, f, t, a, w, at, over}]. over: its worker cannot POST any more.
-- conflicts: to be brought again when the attempts that stand in the way have ended; until then nothing is opened.
CREATE OR REPLACE FUNCTION engine.dial_replay(node uuid, entries jsonb, at timestamptz)
RETURNS TABLE (known int4, rebuilt int4, unplaceable int4, conflicts int4)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = ''
AS $$
#variable_conflict use_column
DECLARE
    e record;
    verdict text;
    told jsonb := '[]';
BEGIN
    known := 0;
    rebuilt := 0;
    unplaceable := 0;
    conflicts := 0;
    FOR e IN SELECT x.* FROM jsonb_to_recordset(entries)
                 AS x (c uuid, o uuid, j uuid, n int4, f text, t text, a uuid, w uuid, at timestamptz, over boolean) LOOP
        verdict := engine.adopt(e.o, e.c, e.j, e.n, e.f, e.t, e.a, e.w, e.at, e.over, 'journal', dial_replay.at);
        known := known + (verdict = 'present')::int4;
        rebuilt := rebuilt + (verdict = 'rebuilt')::int4;
        unplaceable := unplaceable + (verdict = 'no_job')::int4;
        conflicts := conflicts + (verdict = 'conflict')::int4;
        IF verdict IN ('rebuilt', 'no_job') THEN
            told := told || jsonb_build_object('o', e.o, 'c', e.c, 'result', verdict);
        END IF;
    END LOOP;
    -- At the end: a tenant's audit log is written by one at a time, and a webhook that adopts holds a job meanwhile.
    INSERT INTO public.audit_log (organization_id, at, actor, action, subject, subject_id, detail)
    SELECT t.o, dial_replay.at, 'journal', 'call.adopted', 'call_logs', t.c, jsonb_build_object('result', t.result, 'node', node)
      FROM jsonb_to_recordset(told) AS t (o uuid, c uuid, result text)
      JOIN public.organizations g ON g.id = t.o
     ORDER BY t.o, t.c;
    RETURN NEXT;
END
$$;

-- All of it is in. nodes: the caller, and dead processes of its directory whose journals it has read.
CREATE OR REPLACE FUNCTION engine.dial_replayed(nodes uuid[], known int4, rebuilt int4, unplaceable int4, at timestamptz) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = ''
AS $$
    INSERT INTO public.dial_replays AS r (system_id, timeline, node_id, done_at, known, rebuilt, unplaceable)
    SELECT engine.system_id(), engine.timeline(), n.id, dial_replayed.at,
           CASE WHEN n.ord = 1 THEN dial_replayed.known ELSE 0 END, CASE WHEN n.ord = 1 THEN dial_replayed.rebuilt ELSE 0 END,
           CASE WHEN n.ord = 1 THEN dial_replayed.unplaceable ELSE 0 END
      FROM (SELECT u.id, min(u.ord) AS ord FROM unnest(nodes) WITH ORDINALITY AS u (id, ord) GROUP BY u.id) AS n
    ON CONFLICT (system_id, timeline, node_id) DO UPDATE
       SET done_at = EXCLUDED.done_at, known = EXCLUDED.known, rebuilt = EXCLUDED.rebuilt, unplaceable = EXCLUDED.unplaceable
$$;

-- Of these attempts, those that the database does not know as over: their entries stay in the journal.
CREATE OR REPLACE FUNCTION engine.dial_unfinished(calls uuid[]) RETURNS int4
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = ''
AS $$
    SELECT count(*)::int4 FROM unnest(calls) AS c (id)
     WHERE NOT EXISTS (SELECT FROM public.call_logs l WHERE l.id = c.id AND l.status IN ('ended', 'not_placed'))
$$;

-- --- what an operator says -----------------------------------------------------------------------------------------

CREATE OR REPLACE FUNCTION engine.recovery_status(at timestamptz) RETURNS jsonb
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = ''
AS $$
    SELECT jsonb_build_object(
        'system_id', engine.system_id(), 'timeline', engine.timeline(),
        'open', engine.history_open(),
        'kind', h.kind, 'why', h.why, 'seen_at', h.seen_at, 'reference_at', h.reference_at, 'replay_since', h.replay_since,
        'accepted_at', h.accepted_at, 'accepted_by', h.accepted_by, 'opened_at', h.opened_at,
        'nodes', coalesce((SELECT jsonb_agg(jsonb_build_object('node', r.node_id, 'name', n.name, 'heartbeat_at', n.heartbeat_at,
                    'done_at', r.done_at, 'known', r.known, 'rebuilt', r.rebuilt, 'unplaceable', r.unplaceable,
                    'waived_at', r.waived_at, 'waived_by', r.waived_by) ORDER BY n.name, r.node_id)
               FROM public.dial_replays r LEFT JOIN public.nodes n ON n.id = r.node_id
              WHERE r.system_id = h.system_id AND r.timeline = h.timeline), '[]'))
      FROM (SELECT 1) AS one
      LEFT JOIN public.dial_histories h ON h.system_id = engine.system_id() AND h.timeline = engine.timeline()
$$;

-- "Yes, this is a restored database": from here on journals and the carrier's records since `since` are put back,
-- and then it is dialed on. Nodes of the backup's time that are gone are not waited for.
CREATE OR REPLACE FUNCTION engine.recovery_accept(since timestamptz, why text, actor text, at timestamptz) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = ''
AS $$
DECLARE
    h public.dial_histories;
BEGIN
    SELECT t.* INTO h FROM public.dial_histories t
     WHERE t.system_id = engine.system_id() AND t.timeline = engine.timeline() FOR UPDATE;
    IF h.system_id IS NULL THEN
        RETURN jsonb_build_object('refused', 'no node has looked at this database yet: start `dialwright serve` first');
    END IF;
    IF h.opened_at IS NOT NULL OR h.kind <> 'restore' THEN
        RETURN jsonb_build_object('refused', CASE WHEN h.opened_at IS NOT NULL THEN 'nothing waits: this database is dialed on'
            ELSE 'this is a failover: it opens by itself when the nodes have put their journals back' END);
    END IF;
    UPDATE public.dial_histories t
       SET accepted_at = recovery_accept.at, accepted_by = left(actor, 200), accepted_why = left(recovery_accept.why, 500),
           replay_since = coalesce(since, t.replay_since, t.reference_at)
     WHERE t.system_id = h.system_id AND t.timeline = h.timeline
    RETURNING t.* INTO h;
    UPDATE public.dial_replays r SET waived_at = recovery_accept.at, waived_by = left(actor, 200)
      FROM public.nodes n
     WHERE r.system_id = h.system_id AND r.timeline = h.timeline AND r.done_at IS NULL AND n.id = r.node_id
       AND n.heartbeat_at < h.seen_at;
    INSERT INTO public.audit_log (organization_id, at, actor, action, subject, detail)
    SELECT o.id, recovery_accept.at, left(recovery_accept.actor, 200), 'recovery.accepted', 'installation',
           jsonb_build_object('why', recovery_accept.why, 'since', h.replay_since, 'system_id', h.system_id, 'timeline', h.timeline)
      FROM public.organizations o;
    RETURN jsonb_build_object('change', 'accepted', 'since', h.replay_since, 'timeline', h.timeline);
END
$$;

CREATE OR REPLACE FUNCTION engine.node_list(at timestamptz) RETURNS jsonb
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = ''
AS $$
    SELECT jsonb_build_object('nodes', coalesce(jsonb_agg(jsonb_build_object('id', n.id, 'name', n.name, 'version', n.version,
               'started_at', n.started_at, 'heartbeat_at', n.heartbeat_at, 'stopped_at', n.stopped_at,
               'silent_s', floor(extract(epoch FROM node_list.at - n.heartbeat_at)),
               'workers_alive', (SELECT count(*) FROM public.workers w WHERE w.node_id = n.id AND w.status = 'alive'),
               'calls_live', (SELECT count(*) FROM public.call_logs l JOIN public.workers w ON w.id = l.worker_id
                               WHERE w.node_id = n.id AND l.status NOT IN ('ended', 'not_placed')))
               ORDER BY n.heartbeat_at DESC), '[]'))
      FROM public.nodes n
     WHERE n.heartbeat_at > node_list.at - interval '7 days'
        OR EXISTS (SELECT FROM public.workers w WHERE w.node_id = n.id AND w.status = 'alive')
$$;

-- The operator's proof of death: these processes of that host cannot dial any more, because it is switched off or
-- fenced. Refused while one of them still gives signs of life.
CREATE OR REPLACE FUNCTION engine.node_dead(name text, why text, actor text, at timestamptz) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = ''
AS $$
#variable_conflict use_variable
DECLARE
    n record;
    w record;
    silent interval;
    processes int4 := 0;
    workers int4 := 0;
    attempts int4 := 0;
BEGIN
    -- The caller's clock may be ahead; signs of life never are.
    SELECT min(least(at, clock_timestamp()) - t.heartbeat_at) INTO silent FROM public.nodes t
     WHERE (t.name = name OR t.id::text = name) AND t.stopped_at IS NULL;
    IF silent IS NULL AND NOT EXISTS (SELECT FROM public.nodes t WHERE t.name = name OR t.id::text = name) THEN
        RETURN jsonb_build_object('refused', 'no node of that name or id');
    END IF;
    IF silent < interval '30 seconds' THEN
        RETURN jsonb_build_object('refused', format('it gave a sign of life %s s ago: a node that lives is not dead; stop it, or fence its host',
                                                    floor(extract(epoch FROM silent))));
    END IF;
    FOR n IN SELECT t.id FROM public.nodes t WHERE t.name = name OR t.id::text = name ORDER BY t.id LOOP
        processes := processes + 1;
        FOR w IN SELECT k.id FROM public.workers k WHERE k.node_id = n.id AND k.status = 'alive' LOOP
            INSERT INTO public.audit_log (organization_id, at, actor, action, subject, subject_id, detail)
            SELECT l.organization_id, at, left(actor, 200), 'node.dead', 'nodes', n.id,
                   jsonb_build_object('why', why, 'worker', w.id, 'attempts', count(*))
              FROM public.call_logs l
             WHERE l.worker_id = w.id AND l.status NOT IN ('ended', 'not_placed')
             GROUP BY l.organization_id;
            attempts := attempts + engine.worker_dead(w.id, 'operator', at);
            workers := workers + 1;
        END LOOP;
        UPDATE public.dial_replays r SET waived_at = at, waived_by = left(actor, 200)
         WHERE r.node_id = n.id AND r.done_at IS NULL AND r.waived_at IS NULL;
        UPDATE public.nodes t
           SET stopped_at = coalesce(t.stopped_at, at),
               metadata = t.metadata || jsonb_build_object('dead', jsonb_build_object('at', at, 'by', actor, 'why', why))
         WHERE t.id = n.id;
    END LOOP;
    RETURN jsonb_build_object('change', 'dead', 'node', name, 'processes', processes, 'workers', workers, 'attempts', attempts);
END
$$;

RESET ROLE;
REVOKE ALL ON FUNCTION engine.system_id(), engine.history_open(), engine.history_moved(timestamptz), engine.history_expect(text, int8, timestamptz, int8),
    engine.history_see(uuid, timestamptz, int8, timestamptz),
    engine.dial_check_in(uuid, text, text, text, uuid, text, int8, timestamptz, int8, int8, timestamptz),
    engine.adopt(uuid, uuid, uuid, int4, text, text, uuid, uuid, timestamptz, boolean, text, timestamptz),
    engine.adopt_call(uuid, uuid, int4, uuid, text, text, timestamptz),
    engine.dial_replay(uuid, jsonb, timestamptz), engine.dial_replayed(uuid[], int4, int4, int4, timestamptz),
    engine.dial_unfinished(uuid[]), engine.recovery_status(timestamptz),
    engine.recovery_accept(timestamptz, text, text, timestamptz), engine.node_list(timestamptz),
    engine.node_dead(text, text, text, timestamptz)
    FROM PUBLIC, anon, authenticated, service_role;
GRANT EXECUTE ON FUNCTION engine.dial_check_in(uuid, text, text, text, uuid, text, int8, timestamptz, int8, int8, timestamptz),
    engine.adopt_call(uuid, uuid, int4, uuid, text, text, timestamptz),
    engine.dial_replay(uuid, jsonb, timestamptz), engine.dial_replayed(uuid[], int4, int4, int4, timestamptz),
    engine.dial_unfinished(uuid[]), engine.recovery_status(timestamptz),
    engine.recovery_accept(timestamptz, text, text, timestamptz), engine.node_list(timestamptz),
    engine.node_dead(text, text, text, timestamptz)
    TO app_worker;
GRANT EXECUTE ON FUNCTION engine.history_moved(timestamptz) TO app_owner;
