-- The claim: takes due rows of the queue, asks the gate, and writes the intent, for all tenants, fairly, while
-- counting lines and calls per second in the database, so that no number of daemons exceeds a limit.
--
-- Locks: the claim_pace rows of the campaign and of its accounts (skipped when another session holds them), queue
-- rows (skipped when locked), an advisory lock per number (skipped when held). It waits for nothing but the
-- tenants' rows at its end, taken in one order.
SET LOCAL ROLE app_engine;

-- Calls that may begin now on an account: lines, unknown outcomes, calls per second.
CREATE OR REPLACE FUNCTION engine.account_room(a public.carrier_accounts, p_at timestamptz) RETURNS int4
LANGUAGE plpgsql STABLE SET search_path = ''
AS $$
DECLARE
    live record;
    pace record;
    recent int8;
BEGIN
    SELECT count(*) AS lines, count(*) FILTER (WHERE l.status = 'outcome_unknown') AS unknown INTO live
      FROM public.call_logs l
     WHERE l.organization_id = a.organization_id AND l.carrier_account_id = a.id AND l.status NOT IN ('ended', 'not_placed');
    IF live.unknown >= a.unknown_limit THEN
        RETURN 0;
    END IF;
    pace := app.pace(a.calls_per_second);
    SELECT count(*) INTO recent FROM public.call_logs l
     WHERE l.organization_id = a.organization_id AND l.carrier_account_id = a.id AND l.direction = 'outbound'
       AND l.intent_at > p_at - pace.span;
    RETURN greatest(0, least(a.lines - live.lines, pace.calls - recent));
END
$$;

-- The same for a campaign.
CREATE OR REPLACE FUNCTION engine.campaign_room(c public.campaigns, p_at timestamptz) RETURNS int4
LANGUAGE plpgsql STABLE SET search_path = ''
AS $$
DECLARE
    live int8;
    pace record;
    recent int8;
BEGIN
    IF app.budget_spent(c) THEN
        RETURN 0;
    END IF;
    SELECT count(*) INTO live FROM public.call_logs l
     WHERE l.organization_id = c.organization_id AND l.campaign_id = c.id AND l.direction = 'outbound'
       AND l.status NOT IN ('ended', 'not_placed');
    pace := app.pace(c.calls_per_second);
    SELECT count(*) INTO recent FROM public.call_logs l
     WHERE l.organization_id = c.organization_id AND l.campaign_id = c.id AND l.direction = 'outbound'
       AND l.intent_at > p_at - pace.span;
    RETURN greatest(0, least(c.lines - live, pace.calls - recent));
END
$$;

-- The caller ids of a campaign whose accounts this session could lock, each with its room; an account's room is
-- shared by its numbers and counted down by the caller.
CREATE OR REPLACE FUNCTION engine.claim_lines(c public.campaigns, p_at timestamptz, OUT lines engine.line[], OUT rooms jsonb)
LANGUAGE plpgsql SET search_path = ''
AS $$
DECLARE
    a public.carrier_accounts;
BEGIN
    lines := '{}';
    rooms := '{}';
    FOR a IN SELECT * FROM public.carrier_accounts t
              WHERE t.organization_id = c.organization_id AND t.status = 'active' AND t.id = ANY (ARRAY(
                    SELECT p.carrier_account_id FROM public.campaign_numbers m
                      JOIN public.phone_numbers p ON p.organization_id = m.organization_id AND p.id = m.phone_number_id AND p.status = 'active'
                     WHERE m.organization_id = c.organization_id AND m.campaign_id = c.id))
              ORDER BY t.id LOOP
        PERFORM FROM public.claim_pace p
          WHERE p.organization_id = a.organization_id AND p.scope = 'account' AND p.scope_id = a.id
            FOR UPDATE SKIP LOCKED;
        CONTINUE WHEN NOT FOUND;
        rooms := rooms || jsonb_build_object(a.id, engine.account_room(a, p_at));
    END LOOP;
    SELECT coalesce(array_agg(row(p.phone_e164, p.carrier_account_id, CASE WHEN p.lines IS NULL THEN 1000000 ELSE p.lines - (
                   SELECT count(*) FROM public.call_logs l
                    WHERE l.organization_id = p.organization_id AND l.carrier_account_id = p.carrier_account_id
                      AND l.caller_number = p.phone_e164 AND l.status NOT IN ('ended', 'not_placed')) END)::engine.line
               ORDER BY p.phone_e164), '{}') INTO lines
      FROM public.campaign_numbers m
      JOIN public.phone_numbers p ON p.organization_id = m.organization_id AND p.id = m.phone_number_id AND p.status = 'active'
     WHERE m.organization_id = c.organization_id AND m.campaign_id = c.id AND rooms ? p.carrier_account_id::text;
END
$$;

-- Which line phones this lead: always the same one while it has room, so that a person sees one number. 0 = none.
CREATE OR REPLACE FUNCTION engine.pick_line(lines engine.line[], rooms jsonb, p_lead uuid) RETURNS int4
LANGUAGE plpgsql IMMUTABLE SET search_path = ''
AS $$
DECLARE
    n int4 := cardinality(lines);
    first int4;
    i int4;
BEGIN
    IF n = 0 THEN
        RETURN 0;
    END IF;
    first := (hashtextextended(p_lead::text, 0) & 1073741823)::int4;
    FOR step IN 0..n - 1 LOOP
        i := (first + step) % n + 1;
        IF lines[i].room > 0 AND (rooms ->> lines[i].account::text)::int4 > 0 THEN
            RETURN i;
        END IF;
    END LOOP;
    RETURN 0;
END
$$;

-- Rows whose time has come become ready. Cheap when there are none.
CREATE OR REPLACE FUNCTION engine.wake(p_organization uuid, p_campaign uuid, p_at timestamptz, p_most int4) RETURNS int4
LANGUAGE plpgsql SET search_path = ''
AS $$
DECLARE
    woken int4;
BEGIN
    UPDATE public.call_queue q SET ready = true
     WHERE q.organization_id = p_organization AND q.id = ANY (ARRAY(
           SELECT w.id FROM public.call_queue w
            WHERE w.organization_id = p_organization AND w.campaign_id = p_campaign
              AND w.status = 'queued' AND NOT w.ready AND w.next_retry_at <= p_at
            ORDER BY w.next_retry_at LIMIT p_most FOR UPDATE SKIP LOCKED));
    GET DIAGNOSTICS woken = ROW_COUNT;
    RETURN woken;
END
$$;

-- Puts a blocked row back, so that it does not stand before others: until the moment its reason can change, or
-- for good when nothing but somebody's act changes it.
CREATE OR REPLACE FUNCTION engine.claim_defer(q public.call_queue, v app.verdict, p_at timestamptz) RETURNS void
LANGUAGE plpgsql SET search_path = ''
AS $$
BEGIN
    UPDATE public.call_queue t
       SET status = CASE WHEN v.next_change_at IS NULL THEN 'failed' ELSE 'queued' END,
           last_error = v.reason, next_retry_at = coalesce(v.next_change_at, t.next_retry_at),
           finished_at = CASE WHEN v.next_change_at IS NULL THEN p_at END
     WHERE t.organization_id = q.organization_id AND t.id = q.id;
END
$$;

-- Writes the intent: call log (which runs the gate again), journal entry, queue row in processing.
CREATE OR REPLACE FUNCTION engine.claim_write(q public.call_queue, c public.campaigns, l engine.line, p_phone text, seen jsonb,
    p_node uuid, p_worker uuid, p_until timestamptz, p_timeline int8, p_at timestamptz) RETURNS engine.claimed
LANGUAGE plpgsql SET search_path = ''
AS $$
DECLARE
    call uuid := app.uuid7();
    attempt int4 := q.attempt_number + 1;
BEGIN
    INSERT INTO public.call_logs (organization_id, id, lead_id, campaign_id, project_id, queue_id, attempt_number,
        carrier_account_id, direction, caller_number, callee_number, status, node_id, worker_id, leased_until, intent_at,
        timeline_id)
    VALUES (q.organization_id, call, q.lead_id, q.campaign_id, c.project_id, q.id, attempt, l.account, 'outbound', l.phone,
        p_phone, 'reserved', p_node, p_worker, p_until, p_at, p_timeline);
    INSERT INTO public.call_attempts (organization_id, lead_id, campaign_id, call_log_id, attempt_number, gate)
    VALUES (q.organization_id, q.lead_id, q.campaign_id, call, attempt, seen);
    UPDATE public.call_queue t
       SET status = 'processing', attempt_number = attempt, call_log_id = call, lease_owner = p_worker,
           leased_until = p_until, fencing_token = t.fencing_token + 1, last_error = NULL
     WHERE t.organization_id = q.organization_id AND t.id = q.id;
    RETURN row(call, q.organization_id, q.campaign_id, q.lead_id, q.id, l.account, l.phone, p_phone, attempt)::engine.claimed;
END
$$;

-- The history this server writes: after a failover it is another one.
CREATE OR REPLACE FUNCTION engine.timeline() RETURNS int8
LANGUAGE sql STABLE SET search_path = ''
AS $$
    SELECT ('x' || substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8))::bit(32)::int8
$$;

-- The gate's word on one row. closed remembers, for the zones and countries of leads seen before, that they are
-- closed and until when: a list of a million leads in a zone that sleeps is put aside quickly.
CREATE OR REPLACE FUNCTION engine.claim_verdict(c public.campaigns, l public.leads, p_from text, p_place text, closed jsonb, p_at timestamptz)
RETURNS app.verdict
LANGUAGE plpgsql SET search_path = ''
AS $$
DECLARE
    v app.verdict;
BEGIN
    IF closed ? p_place THEN
        RETURN app.verdict(closed #>> ARRAY[p_place, '0'], (closed #>> ARRAY[p_place, '1'])::timestamptz);
    END IF;
    IF NOT pg_try_advisory_xact_lock(app.number_lock(c.organization_id, l.phone_e164)) THEN
        RETURN app.verdict('duplicate', p_at + interval '5 seconds');
    END IF;
    v := app.gate(c.organization_id, c.id, l.id, p_from, p_at, NULL, true);
    IF v.reason = 'dial_paused' AND v.evidence ->> 'paused' = 'number' THEN
        v.next_change_at := p_at + interval '1 minute';
    END IF;
    RETURN v;
END
$$;

-- Up to p_want calls of one campaign. Ends early when the campaign or its accounts have no room; looks at a bounded
-- number of rows.
CREATE OR REPLACE FUNCTION engine.claim_campaign(p_organization uuid, p_campaign uuid, p_want int4, p_node uuid, p_worker uuid,
    p_until timestamptz, p_at timestamptz) RETURNS SETOF engine.claimed
LANGUAGE plpgsql SET search_path = ''
AS $$
DECLARE
    c public.campaigns;
    q public.call_queue;
    l public.leads;
    lines engine.line[];
    rooms jsonb;
    place text;
    closed jsonb := '{}';
    timeline int8 := engine.timeline();
    wanted int4;
    page int4;
    seen int4 := 0;
    taken int4 := 0;
    fetched int4;
    i int4;
    v app.verdict;
BEGIN
    PERFORM FROM public.claim_pace p
      WHERE p.organization_id = p_organization AND p.scope = 'campaign' AND p.scope_id = p_campaign FOR UPDATE SKIP LOCKED;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    SELECT * INTO c FROM public.campaigns t WHERE t.organization_id = p_organization AND t.id = p_campaign;
    wanted := least(p_want, engine.campaign_room(c, p_at));
    IF wanted <= 0 THEN
        RETURN;
    END IF;
    SELECT * INTO lines, rooms FROM engine.claim_lines(c, p_at);
    PERFORM engine.wake(p_organization, p_campaign, p_at, wanted + 200);
    page := wanted;
    WHILE taken < wanted AND seen < 4 * wanted + 400 LOOP
        fetched := 0;
        FOR q IN SELECT * FROM public.call_queue t
                  WHERE t.organization_id = p_organization AND t.campaign_id = p_campaign AND t.ready
                  ORDER BY t.priority DESC, t.score DESC, t.next_retry_at, t.id
                  LIMIT page FOR UPDATE SKIP LOCKED LOOP
            fetched := fetched + 1;
            i := engine.pick_line(lines, rooms, q.lead_id);
            IF i = 0 OR taken = wanted THEN
                RETURN;
            END IF;
            SELECT * INTO l FROM public.leads t WHERE t.organization_id = p_organization AND t.id = q.lead_id;
            place := array_to_string(app.lead_zones(l, c.timezone), ',') || ' ' || array_to_string(app.lead_regions(l), ',');
            v := engine.claim_verdict(c, l, lines[i].phone, place, closed, p_at);
            IF v.reason IS NULL THEN
                RETURN NEXT engine.claim_write(q, c, lines[i], l.phone_e164, v.evidence, p_node, p_worker, p_until, timeline, p_at);
                lines[i].room := lines[i].room - 1;
                rooms := jsonb_set(rooms, ARRAY[lines[i].account::text], to_jsonb((rooms ->> lines[i].account::text)::int4 - 1));
                taken := taken + 1;
            ELSIF v.reason = 'campaign_paused' OR (v.reason = 'dial_paused' AND v.next_change_at IS NULL) THEN
                RETURN;
            ELSE
                PERFORM engine.claim_defer(q, v, p_at);
                IF v.reason IN ('outside_window', 'dates', 'holiday') AND v.next_change_at IS NOT NULL THEN
                    closed := closed || jsonb_build_object(place, jsonb_build_array(v.reason, v.next_change_at));
                END IF;
            END IF;
        END LOOP;
        EXIT WHEN fetched = 0;
        seen := seen + fetched;
        page := CASE WHEN closed = '{}' THEN wanted - taken ELSE 100 END;
    END LOOP;
END
$$;

-- Campaigns that have something due, the least served first: by tenant, then within the tenant, each with its share
-- of what is wanted. One that was idle or blocked for long does not take everything until it has caught up.
CREATE OR REPLACE FUNCTION engine.claim_plan(p_want int4, p_at timestamptz)
RETURNS TABLE (organization_id uuid, campaign_id uuid, quota int4, tenant_at float8, campaign_at float8, tenant_weight int4,
               campaign_weight int4)
LANGUAGE plpgsql STABLE SET search_path = ''
AS $$
BEGIN
    RETURN QUERY
    WITH due AS (
        SELECT c.organization_id, c.id, c.weight, o.weight AS tenant_weight, t.served AS tenant_served, p.served
          FROM public.campaigns c
          JOIN public.organizations o ON o.id = c.organization_id AND o.archived_at IS NULL
          JOIN public.claim_pace t ON t.organization_id = c.organization_id AND t.scope = 'tenant' AND t.scope_id = c.organization_id
          JOIN public.claim_pace p ON p.organization_id = c.organization_id AND p.scope = 'campaign' AND p.scope_id = c.id
         WHERE c.status = 'active' AND c.archived_at IS NULL AND c.closing_reason IS NULL
           AND (EXISTS (SELECT FROM public.call_queue q
                         WHERE q.organization_id = c.organization_id AND q.campaign_id = c.id AND q.ready)
                OR EXISTS (SELECT FROM public.call_queue q
                            WHERE q.organization_id = c.organization_id AND q.campaign_id = c.id AND q.status = 'queued'
                              AND NOT q.ready AND q.next_retry_at <= p_at))
           AND NOT EXISTS (SELECT FROM public.platform_pauses x WHERE x.resumed_at IS NULL OR x.resumed_at > p_at)
           AND NOT EXISTS (SELECT FROM public.dial_pauses x
                            WHERE x.organization_id = c.organization_id AND (x.resumed_at IS NULL OR x.resumed_at > p_at)
                              AND (x.scope = 'tenant' OR x.campaign_id = c.id))
    ), shared AS (
        SELECT d.*, sum(d.weight) OVER w AS tenant_sum,
               greatest(d.tenant_served, max(d.tenant_served) OVER () - 20) AS tenant_at,
               greatest(d.served, max(d.served) OVER w - 20) AS campaign_at
          FROM due d
        WINDOW w AS (PARTITION BY d.organization_id)
    )
    SELECT s.organization_id, s.id,
           ceil(p_want * s.tenant_weight::float8 * s.weight / s.tenant_sum
                / sum(s.tenant_weight::float8 * s.weight / s.tenant_sum) OVER ())::int4,
           s.tenant_at, s.campaign_at, s.tenant_weight, s.weight
      FROM shared s
     ORDER BY s.tenant_at, s.organization_id, s.campaign_at, s.id;
END
$$;

-- Up to p_want calls, each with its intent written. The caller may act on them once the commit is acknowledged.
CREATE OR REPLACE FUNCTION engine.claim(p_node uuid, p_worker uuid, p_want int4, p_at timestamptz, p_lease_ms int8)
RETURNS SETOF engine.claimed
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' SET jit = off SET plan_cache_mode = force_generic_plan SET enable_seqscan = off
AS $$
DECLARE
    plan record;
    one engine.claimed;
    want int4 := least(p_want, 1000);
    until timestamptz := p_at + p_lease_ms * interval '1 millisecond';
    got int4;
    more boolean;
    -- Claims by campaign and by tenant, in units of their weights.
    served jsonb := '{}';
BEGIN
    IF p_at IS NULL OR EXISTS (SELECT FROM public.workers w WHERE w.id = p_worker AND w.status <> 'alive') THEN
        RETURN;
    END IF;
    -- First each campaign its share, then what others left over.
    FOR pass IN 1..2 LOOP
        more := false;
        FOR plan IN SELECT * FROM engine.claim_plan(want, p_at) LOOP
            EXIT WHEN want <= 0;
            got := 0;
            FOR one IN SELECT * FROM engine.claim_campaign(plan.organization_id, plan.campaign_id,
                           CASE pass WHEN 1 THEN least(plan.quota, want) ELSE want END, p_node, p_worker, until, p_at) LOOP
                RETURN NEXT one;
                got := got + 1;
            END LOOP;
            CONTINUE WHEN got = 0;
            want := want - got;
            more := more OR got = plan.quota;
            served := engine.serve(served, 'campaign', plan.organization_id, plan.campaign_id, plan.campaign_at, got, plan.campaign_weight);
            served := engine.serve(served, 'tenant', plan.organization_id, plan.organization_id, plan.tenant_at, got, plan.tenant_weight);
        END LOOP;
        EXIT WHEN want <= 0 OR NOT more;
    END LOOP;
    -- In one order, so that two sessions cannot wait for each other.
    FOR plan IN SELECT split_part(e.key, '/', 1) AS scope, split_part(e.key, '/', 2)::uuid AS organization_id,
                       split_part(e.key, '/', 3)::uuid AS scope_id, (e.value ->> 'from')::float8 AS since,
                       (e.value ->> 'grown')::float8 AS grown
                  FROM jsonb_each(served) AS e ORDER BY e.key LOOP
        UPDATE public.claim_pace p SET served = greatest(p.served, plan.since) + plan.grown
         WHERE p.organization_id = plan.organization_id AND p.scope = plan.scope AND p.scope_id = plan.scope_id;
    END LOOP;
END
$$;

CREATE OR REPLACE FUNCTION engine.serve(served jsonb, scope text, organization uuid, scope_id uuid, since float8, got int4, weight int4) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE SET search_path = ''
AS $$
DECLARE
    key text := concat_ws('/', scope, organization, scope_id);
BEGIN
    RETURN served || jsonb_build_object(key, jsonb_build_object('from', since, 'grown',
        coalesce((served #>> ARRAY[key, 'grown'])::float8, 0) + got::float8 / weight));
END
$$;

RESET ROLE;
DO $$
DECLARE
    f regprocedure;
BEGIN
    FOR f IN SELECT p.oid::regprocedure FROM pg_catalog.pg_proc p
              WHERE p.pronamespace = 'engine'::regnamespace
                AND p.proname IN ('account_room', 'campaign_room', 'claim_lines', 'pick_line', 'wake', 'claim_defer', 'claim_write',
                    'timeline', 'claim_verdict', 'claim_campaign', 'claim_plan', 'claim', 'serve') LOOP
        EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC, anon, authenticated, service_role', f);
    END LOOP;
END
$$;
GRANT EXECUTE ON FUNCTION engine.claim(uuid, uuid, int4, timestamptz, int8) TO app_worker;
