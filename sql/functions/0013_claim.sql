-- The claim: takes due rows of the queue, asks the gate, and writes the intent, for all tenants, fairly, while
-- counting lines and calls per second in the database, so that no number of daemons exceeds a limit. How the shares
-- are made: docs/decisions/0015.
--
-- Locks: the claim_pace rows of the campaign and of its accounts (skipped when another session holds them), queue
-- rows (skipped when locked), an advisory lock per number (skipped when held). It waits for nothing but the
-- tenants' rows at its end, taken in one order.
SET LOCAL ROLE app_engine;

-- What the claim collects before it writes: rows that passed the gate, and rows to be put back with their reason.
DO $$
BEGIN
    IF to_regtype('engine.pick') IS NULL THEN
        CREATE TYPE engine.pick AS (queue_id uuid, lead_id uuid, call_id uuid, attempt_number int4, account uuid, caller text,
            callee text, seen jsonb);
        CREATE TYPE engine.put_back AS (queue_id uuid, reason text, due timestamptz);
        REVOKE ALL ON TYPE engine.pick, engine.put_back FROM PUBLIC;
    END IF;
END
$$;

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
    SELECT count(*) INTO live FROM public.call_logs l
     WHERE l.organization_id = c.organization_id AND l.campaign_id = c.id AND l.direction = 'outbound'
       AND l.status NOT IN ('ended', 'not_placed');
    pace := app.pace(c.calls_per_second);
    SELECT count(*) INTO recent FROM public.call_logs l
     WHERE l.organization_id = c.organization_id AND l.campaign_id = c.id AND l.direction = 'outbound'
       AND l.intent_at > p_at - pace.span;
    RETURN greatest(0, least(c.lines - live, pace.calls - recent, CASE WHEN c.budget_minor IS NOT NULL THEN app.budget_room(c) END));
END
$$;

-- The caller ids of a campaign whose accounts this session could lock, each with its room, and those accounts with
-- theirs; an account's room is shared by its numbers and counted down by the caller.
CREATE OR REPLACE FUNCTION engine.claim_lines(c public.campaigns, p_at timestamptz, OUT lines engine.line[], OUT accounts uuid[],
                                   OUT rooms int4[])
LANGUAGE plpgsql SET search_path = ''
AS $$
DECLARE
    a public.carrier_accounts;
BEGIN
    lines := '{}';
    accounts := '{}';
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
        accounts := accounts || a.id;
        rooms := rooms || engine.account_room(a, p_at);
    END LOOP;
    IF cardinality(accounts) = 0 OR 0 = ALL (rooms) THEN
        RETURN;
    END IF;
    SELECT coalesce(array_agg(row(p.phone_e164, p.carrier_account_id, CASE WHEN p.lines IS NULL THEN 1000000 ELSE p.lines - (
                   SELECT count(*) FROM public.call_logs l
                    WHERE l.organization_id = p.organization_id AND l.carrier_account_id = p.carrier_account_id
                      AND l.caller_number = p.phone_e164 AND l.status NOT IN ('ended', 'not_placed')) END)::engine.line
               ORDER BY p.phone_e164), '{}') INTO lines
      FROM public.campaign_numbers m
      JOIN public.phone_numbers p ON p.organization_id = m.organization_id AND p.id = m.phone_number_id AND p.status = 'active'
     WHERE m.organization_id = c.organization_id AND m.campaign_id = c.id AND p.carrier_account_id = ANY (accounts);
END
$$;

-- Which line phones this lead: always the same one while it has room, so that a person sees one number. suits: which
-- lines belong to the series that the law asks for (NULL: it asks for none); where none of them has room, any will do,
-- and the gate says why not. 0 = none.
CREATE OR REPLACE FUNCTION engine.pick_line(lines engine.line[], accounts uuid[], rooms int4[], suits boolean[], p_lead uuid) RETURNS int4
LANGUAGE plpgsql IMMUTABLE SET search_path = ''
AS $$
DECLARE
    n int4 := cardinality(lines);
    first int4 := (hashtextextended(p_lead::text, 0) & 1073741823)::int4;
    any_line int4 := 0;
    i int4;
BEGIN
    FOR step IN 0..n - 1 LOOP
        i := (first + step) % n + 1;
        CONTINUE WHEN lines[i].room <= 0 OR rooms[array_position(accounts, lines[i].account)] <= 0;
        IF suits IS NULL OR suits[i] THEN
            RETURN i;
        END IF;
        any_line := CASE any_line WHEN 0 THEN i ELSE any_line END;
    END LOOP;
    RETURN any_line;
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

-- Puts blocked rows back, so that they do not stand before others: until the moment their reason can change, or for
-- good when nothing but somebody's act changes it.
CREATE OR REPLACE FUNCTION engine.claim_defer(p_organization uuid, p_rows engine.put_back[], p_at timestamptz) RETURNS void
LANGUAGE plpgsql SET search_path = ''
AS $$
BEGIN
    UPDATE public.call_queue t
       SET status = CASE WHEN r.due IS NULL THEN 'failed' ELSE 'queued' END,
           last_error = r.reason, next_retry_at = coalesce(r.due, t.next_retry_at),
           finished_at = CASE WHEN r.due IS NULL THEN p_at END
      FROM unnest(p_rows) AS r
     WHERE t.organization_id = p_organization AND t.id = r.queue_id;
END
$$;

-- Writes the intents: call logs (each insert runs the gate again), journal entries, queue rows in processing. One
-- statement a table for all of them: what Postgres prepares for each statement is then shared.
CREATE OR REPLACE FUNCTION engine.claim_write(c public.campaigns, p_picks engine.pick[], p_node uuid, p_worker uuid, p_until timestamptz,
                                   p_at timestamptz) RETURNS void
LANGUAGE plpgsql SET search_path = ''
AS $$
DECLARE
    timeline int8 := engine.timeline();
BEGIN
    INSERT INTO public.call_logs (organization_id, id, lead_id, campaign_id, project_id, queue_id, attempt_number,
        carrier_account_id, direction, caller_number, callee_number, status, node_id, worker_id, leased_until, intent_at,
        timeline_id)
    SELECT c.organization_id, k.call_id, k.lead_id, c.id, c.project_id, k.queue_id, k.attempt_number, k.account, 'outbound', k.caller,
           k.callee, 'reserved', p_node, p_worker, p_until, p_at, timeline
      FROM unnest(p_picks) AS k;
    INSERT INTO public.call_attempts (organization_id, lead_id, campaign_id, call_log_id, attempt_number, gate)
    SELECT c.organization_id, k.lead_id, c.id, k.call_id, k.attempt_number, k.seen FROM unnest(p_picks) AS k;
    UPDATE public.call_queue t
       SET status = 'processing', attempt_number = k.attempt_number, call_log_id = k.call_id, lease_owner = p_worker,
           leased_until = p_until, fencing_token = t.fencing_token + 1, last_error = NULL
      FROM unnest(p_picks) AS k
     WHERE t.organization_id = c.organization_id AND t.id = k.queue_id;
END
$$;

-- The same one by one, after one of them was refused where it was written: that one waits a minute, the others go.
CREATE OR REPLACE FUNCTION engine.claim_write_each(c public.campaigns, p_picks engine.pick[], p_node uuid, p_worker uuid,
                                        p_until timestamptz, p_at timestamptz) RETURNS engine.pick[]
LANGUAGE plpgsql SET search_path = ''
AS $$
DECLARE
    k engine.pick;
    written engine.pick[] := '{}';
BEGIN
    FOREACH k IN ARRAY p_picks LOOP
        BEGIN
            PERFORM engine.claim_write(c, ARRAY[k], p_node, p_worker, p_until, p_at);
            written := written || k;
        EXCEPTION WHEN SQLSTATE 'DW001' OR unique_violation THEN
            PERFORM engine.claim_defer(c.organization_id, ARRAY[row(k.queue_id, 'duplicate', p_at + interval '1 minute')::engine.put_back], p_at);
        END;
    END LOOP;
    RETURN written;
END
$$;

-- The history this server writes: after a failover it is another one.
CREATE OR REPLACE FUNCTION engine.timeline() RETURNS int8
LANGUAGE plpgsql STABLE SET search_path = ''
AS $$
BEGIN
    RETURN ('x' || substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8))::bit(32)::int8;
END
$$;

-- The rows of a campaign, best first, until p_want of them passed, lines or rows ran out, or p_most were looked at; those
-- that may not be dialed now are put back page by page. closed remembers, for the zones and places of leads seen
-- before, that they are closed and until when: a list of a million leads in a zone that sleeps is put aside quickly.
-- A reason that concerns the whole campaign ends the visit and leaves the row where it is.
CREATE OR REPLACE FUNCTION engine.claim_rows(c public.campaigns, p_want int4, p_most int4, p_at timestamptz,
                                  OUT picks engine.pick[], OUT seen int4)
LANGUAGE plpgsql SET search_path = ''
AS $$
DECLARE
    r record;
    lines engine.line[];
    accounts uuid[];
    rooms int4[];
    taken text[] := '{}';
    backs engine.put_back[];
    regions text[];
    law app.law;
    suits boolean[];
    place text;
    closed jsonb := '{}';
    page int4 := p_want;
    more boolean := true;
    i int4;
    o public.organizations;
    step app.gate_step;
    v app.verdict;
BEGIN
    picks := '{}';
    seen := 0;
    SELECT * INTO o FROM public.organizations t WHERE t.id = c.organization_id;
    SELECT * INTO lines, accounts, rooms FROM engine.claim_lines(c, p_at);
    more := cardinality(lines) > 0 AND engine.wake(c.organization_id, c.id, p_at, p_want + 200) IS NOT NULL;
    WHILE more AND seen < p_most LOOP
        backs := '{}';
        more := false;
        -- What passed is still ready, and first.
        FOR r IN SELECT t.id, t.attempt_number, l AS lead FROM public.call_queue t
                   JOIN public.leads l ON l.organization_id = t.organization_id AND l.id = t.lead_id
                  WHERE t.organization_id = c.organization_id AND t.campaign_id = c.id AND t.ready
                  ORDER BY t.priority DESC, t.score DESC, t.next_retry_at, t.id
                  LIMIT page OFFSET cardinality(picks) FOR UPDATE OF t SKIP LOCKED LOOP
            -- One law for the leads of one place, as long as they follow one another.
            IF regions IS DISTINCT FROM app.lead_regions(r.lead) THEN
                regions := app.lead_regions(r.lead);
                law := CASE WHEN cardinality(regions) > 0 THEN app.law_at(c.organization_id, regions, c.purpose, c.voice_kind, p_at) END;
                suits := CASE WHEN law.series IS NOT NULL THEN ARRAY(SELECT app.series_ok(law, n.phone) FROM unnest(lines) AS n) END;
            END IF;
            i := engine.pick_line(lines, accounts, rooms, suits, (r.lead).id);
            more := i > 0 AND cardinality(picks) < p_want;
            EXIT WHEN NOT more;
            seen := seen + 1;
            place := array_to_string(app.lead_zones(r.lead, c.timezone), ',') || ' ' || array_to_string(regions, ',');
            IF closed ? place THEN
                backs := backs || row(r.id, closed #>> ARRAY[place, '0'], (closed #>> ARRAY[place, '1'])::timestamptz)::engine.put_back;
                CONTINUE;
            END IF;
            IF (r.lead).phone_e164 = ANY (taken)
               OR NOT pg_try_advisory_xact_lock(app.number_lock(c.organization_id, (r.lead).phone_e164)) THEN
                v := app.verdict('duplicate', p_at + interval '5 seconds');
            ELSE
                -- Lines, calls per second and budget were counted under the lock; the trigger counts them again.
                step := (app.gate_steps(c, o, r.lead, lines[i].phone, p_at, NULL, 1, 18, false, law))[1];
                v := app.verdict(step.reason, step.next_change_at, step.evidence);
            END IF;
            -- A line of the series may be busy, or with an account that another session holds.
            IF v.reason = 'caller_series' AND EXISTS (
                    SELECT FROM public.campaign_numbers m
                      JOIN public.phone_numbers p ON p.organization_id = m.organization_id AND p.id = m.phone_number_id AND p.status = 'active'
                     WHERE m.organization_id = c.organization_id AND m.campaign_id = c.id AND app.series_ok(law, p.phone_e164)) THEN
                v := app.verdict('no_line', p_at + interval '10 seconds');
            END IF;
            IF v.reason IS NULL THEN
                picks := picks || row(r.id, (r.lead).id, app.uuid7(), r.attempt_number + 1, lines[i].account, lines[i].phone,
                                      (r.lead).phone_e164, v.evidence)::engine.pick;
                taken := taken || (r.lead).phone_e164;
                lines[i].room := lines[i].room - 1;
                i := array_position(accounts, lines[i].account);
                rooms[i] := rooms[i] - 1;
                CONTINUE;
            END IF;
            more := NOT engine.ends_visit(v);
            EXIT WHEN NOT more;
            -- A paused number of ours or theirs is looked at again in a minute.
            backs := backs || row(r.id, v.reason, CASE v.reason WHEN 'dial_paused' THEN p_at + interval '1 minute'
                                                   ELSE v.next_change_at END)::engine.put_back;
            -- Bands that one person chose say nothing of others.
            IF v.reason IN ('outside_window', 'dates', 'holiday') AND v.next_change_at IS NOT NULL AND law.preference_days IS NULL THEN
                closed := closed || jsonb_build_object(place, jsonb_build_array(v.reason, v.next_change_at));
            END IF;
        END LOOP;
        IF cardinality(backs) > 0 THEN
            PERFORM engine.claim_defer(c.organization_id, backs, p_at);
        END IF;
        more := more AND cardinality(picks) < p_want;
        page := least(100, greatest(2 * page, p_want));
    END LOOP;
END
$$;

-- Is the reason one of the whole campaign, so that its other rows need not be asked?
CREATE OR REPLACE FUNCTION engine.ends_visit(v app.verdict) RETURNS boolean
LANGUAGE plpgsql STABLE SET search_path = ''
AS $$
BEGIN
    RETURN v.evidence ->> 'paused' IS DISTINCT FROM 'number'
       AND EXISTS (SELECT FROM public.skip_reasons x WHERE x.reason = v.reason AND x.scope = 'campaign');
END
$$;

-- Up to p_want calls of one campaign, which the caller has locked, their intents written; work: rows that were looked
-- at in vain. An error in here is this campaign's alone: it is told to the server's log, and the others are served.
-- alone: after a refusal at the moment of writing, one row at a time.
CREATE OR REPLACE FUNCTION engine.claim_campaign(p_organization uuid, p_campaign uuid, p_want int4, p_most int4, p_node uuid, p_worker uuid,
    p_until timestamptz, p_at timestamptz, alone boolean, OUT claimed engine.claimed[], OUT work int4)
LANGUAGE plpgsql SET search_path = ''
AS $$
DECLARE
    c public.campaigns;
    got record;
    wanted int4;
BEGIN
    claimed := '{}';
    work := 0;
    SELECT * INTO c FROM public.campaigns t WHERE t.organization_id = p_organization AND t.id = p_campaign;
    wanted := least(p_want, engine.campaign_room(c, p_at));
    IF wanted <= 0 THEN
        RETURN;
    END IF;
    got := engine.claim_rows(c, wanted, least(p_most, 4 * wanted + 200), p_at);
    IF alone THEN
        got.picks := engine.claim_write_each(c, got.picks, p_node, p_worker, p_until, p_at);
    ELSIF cardinality(got.picks) > 0 THEN
        PERFORM engine.claim_write(c, got.picks, p_node, p_worker, p_until, p_at);
    END IF;
    SELECT coalesce(array_agg(row(k.call_id, p_organization, p_campaign, k.lead_id, k.queue_id, k.account, k.caller, k.callee,
                                  k.attempt_number)::engine.claimed), '{}') INTO claimed FROM unnest(got.picks) AS k;
    work := got.seen - cardinality(claimed);
EXCEPTION
    WHEN SQLSTATE 'DW001' OR unique_violation THEN
        IF NOT alone THEN
            SELECT * INTO claimed, work FROM engine.claim_campaign(p_organization, p_campaign, p_want, p_most, p_node, p_worker, p_until, p_at, true);
        END IF;
    WHEN OTHERS THEN
        RAISE LOG 'claim of campaign % failed: % %', p_campaign, SQLSTATE, SQLERRM;
        claimed := '{}';
        work := 100;
END
$$;

-- The campaigns of a tenant that may dial and have something due. Inlined where it is used. Scalar subqueries, not EXISTS:
-- those the planner may turn into one look at the waiting rows of everybody.
CREATE OR REPLACE FUNCTION engine.campaigns_due(p_organization uuid, p_at timestamptz) RETURNS SETOF public.campaigns
LANGUAGE sql STABLE
AS $$
    SELECT c.* FROM public.campaigns c
     WHERE c.organization_id = p_organization AND c.status = 'active' AND c.archived_at IS NULL AND c.closing_reason IS NULL
       AND coalesce((SELECT true FROM public.call_queue q
                      WHERE q.organization_id = c.organization_id AND q.campaign_id = c.id AND q.ready LIMIT 1),
                    (SELECT true FROM public.call_queue q
                      WHERE q.organization_id = c.organization_id AND q.campaign_id = c.id AND q.status = 'queued'
                        AND NOT q.ready AND q.next_retry_at <= p_at LIMIT 1))
       AND NOT EXISTS (SELECT FROM public.dial_pauses x
                        WHERE x.organization_id = c.organization_id AND (x.resumed_at IS NULL OR x.resumed_at > p_at)
                          AND (x.scope = 'tenant' OR x.campaign_id = c.id))
$$;

-- What one visit may take. level: the virtual time to which p_want lifts all that stand below it; whoever stands there or
-- above waits for the next claim. At least a fourth of p_want (five at most), so that what a visit costs is not paid for
-- every single call of a large batch; what that is too much is made up for by the next claims.
CREATE OR REPLACE FUNCTION engine.portion(level float8, since float8, weight int4, p_want int4) RETURNS int4
LANGUAGE plpgsql IMMUTABLE
AS $$
BEGIN
    RETURN CASE WHEN since >= level THEN 0 ELSE greatest(ceil(weight * (level - since)), least(5, ceil(p_want / 4.0))) END;
END
$$;

-- Tenants that have something due, the least served by weight first, each with its part of p_want. One that was idle or
-- blocked for long does not take everything until it has caught up: it stands 20 calls by weight behind the most served.
CREATE OR REPLACE FUNCTION engine.claim_tenants(p_want int4, p_at timestamptz)
RETURNS TABLE (organization_id uuid, weight int4, since float8, quota int4)
LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN QUERY
    WITH due AS (
        SELECT o.id, o.weight, greatest(t.served, max(t.served) OVER () - 20) AS since
          FROM public.organizations o
          JOIN public.claim_pace t ON t.organization_id = o.id AND t.scope = 'tenant' AND t.scope_id = o.id
         WHERE o.archived_at IS NULL AND EXISTS (SELECT FROM engine.campaigns_due(o.id, p_at))
    ), lifted AS (
        SELECT d.*, (p_want + sum(d.weight * d.since) OVER w) / sum(d.weight) OVER w AS level FROM due d
        WINDOW w AS (ORDER BY d.since, d.id)
    )
    SELECT f.id, f.weight, f.since, engine.portion(min(f.level) OVER (), f.since, f.weight, p_want)
      FROM lifted f
     ORDER BY f.since, f.id;
END
$$;

-- The campaigns of a tenant that have something due, in the order in which they are served, each with its part of p_want.
-- Where lines are what is short (no more of them free than calls may begin), the campaign with the fewest live calls
-- for its weight is first, up to its share of the lines; else the one that began the fewest for its weight.
CREATE OR REPLACE FUNCTION engine.claim_campaigns(p_organization uuid, p_want int4, p_at timestamptz)
RETURNS TABLE (campaign_id uuid, weight int4, since float8, quota int4)
LANGUAGE plpgsql STABLE
AS $$
DECLARE
    free record;
BEGIN
    SELECT coalesce(sum(a.lines - n.live), 0) AS lines, coalesce(sum(n.live), 0) AS live,
           coalesce(sum(a.lines - n.live) <= sum(pace.calls - m.begun), false) AS short INTO free
      FROM public.carrier_accounts a, app.pace(a.calls_per_second) AS pace,
           LATERAL (SELECT count(*) AS live FROM public.call_logs l
                     WHERE l.organization_id = a.organization_id AND l.carrier_account_id = a.id
                       AND l.status NOT IN ('ended', 'not_placed')) AS n,
           LATERAL (SELECT count(*) AS begun FROM public.call_logs l
                     WHERE l.organization_id = a.organization_id AND l.carrier_account_id = a.id
                       AND l.direction = 'outbound' AND l.intent_at > p_at - pace.span) AS m
     WHERE a.organization_id = p_organization AND a.status = 'active'
       -- One campaign has nobody to share with.
       AND (SELECT count(*) FROM (SELECT FROM public.campaigns c
                                   WHERE c.organization_id = p_organization AND c.status = 'active' LIMIT 2) AS k) > 1;
    RETURN QUERY
    WITH due AS (
        SELECT c.id, c.weight, greatest(p.served, max(p.served) OVER () - 20) AS since,
               CASE WHEN free.short THEN (SELECT count(*) FROM public.call_logs l
                       WHERE l.organization_id = c.organization_id AND l.campaign_id = c.id AND l.direction = 'outbound'
                         AND l.status NOT IN ('ended', 'not_placed')) ELSE 0 END AS live
          FROM engine.campaigns_due(p_organization, p_at) AS c
          JOIN public.claim_pace p ON p.organization_id = c.organization_id AND p.scope = 'campaign' AND p.scope_id = c.id
    ), lifted AS (
        SELECT d.*, (p_want + sum(d.weight * d.since) OVER w) / sum(d.weight) OVER w AS level,
               d.weight::float8 / sum(d.weight) OVER () AS share
          FROM due d
        WINDOW w AS (ORDER BY d.since, d.id)
    )
    SELECT f.id, f.weight, f.since,
           CASE WHEN free.short THEN greatest(1, ceil(f.share * (free.live + free.lines) - f.live))::int4
                ELSE engine.portion(min(f.level) OVER (), f.since, f.weight, p_want) END
      FROM lifted f
     ORDER BY f.live::float8 / f.weight, f.since, f.id;
END
$$;

-- Up to p_want calls of one tenant: first each campaign its part, then what others left over. served: claims by
-- campaign in units of their weights; rows looked at in vain count too, a hundred as one, so that a campaign full of
-- rows that may not be dialed does not stand before the others at every claim.
CREATE OR REPLACE FUNCTION engine.claim_tenant(p_organization uuid, p_want int4, p_most int4, p_node uuid, p_worker uuid, p_until timestamptz,
    p_at timestamptz, OUT claimed engine.claimed[], OUT work int4, OUT served jsonb)
LANGUAGE plpgsql SET search_path = ''
AS $$
DECLARE
    plan record;
    got record;
    n int4;
    again boolean;
    vain uuid[] := '{}';
BEGIN
    claimed := '{}';
    work := 0;
    served := '{}';
    FOR pass IN 1..2 LOOP
        again := false;
        FOR plan IN SELECT * FROM engine.claim_campaigns(p_organization, p_want - cardinality(claimed), p_at) LOOP
            n := p_want - cardinality(claimed);
            EXIT WHEN n <= 0;
            CONTINUE WHEN plan.campaign_id = ANY (vain);
            n := CASE pass WHEN 1 THEN least(plan.quota, n) ELSE n END;
            again := again OR n = 0;
            CONTINUE WHEN n = 0;
            -- Here, and not below, where an error undoes what was locked.
            PERFORM FROM public.claim_pace p WHERE p.organization_id = p_organization AND p.scope = 'campaign'
                AND p.scope_id = plan.campaign_id FOR UPDATE SKIP LOCKED;
            CONTINUE WHEN NOT FOUND;
            got := engine.claim_campaign(p_organization, plan.campaign_id, n, greatest(p_most - work, least(n, 20)), p_node, p_worker, p_until, p_at, false);
            IF cardinality(got.claimed) = 0 THEN
                vain := vain || plan.campaign_id;
                CONTINUE WHEN got.work = 0;
            END IF;
            claimed := claimed || got.claimed;
            work := work + got.work;
            again := again OR cardinality(got.claimed) = n;
            served := engine.serve(served, 'campaign', p_organization, plan.campaign_id, plan.since,
                                   cardinality(got.claimed) + got.work / 100.0, plan.weight);
        END LOOP;
        EXIT WHEN NOT again OR cardinality(claimed) >= p_want;
    END LOOP;
END
$$;

-- Up to p_want calls, each with its intent written. The caller may act on them once the commit is acknowledged. A tenant
-- gets its portion of p_want, and what is left goes round once more, past those who had nothing to dial. Rows looked at
-- in vain: 600 for the whole claim, then 20 a visit, so that nobody has to wait for them.
CREATE OR REPLACE FUNCTION engine.claim(p_node uuid, p_worker uuid, p_want int4, p_at timestamptz, p_lease_ms int8)
RETURNS SETOF engine.claimed
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' SET jit = off SET plan_cache_mode = force_generic_plan SET enable_seqscan = off
    SET enable_bitmapscan = off
AS $$
DECLARE
    plan record;
    got record;
    want int4 := least(p_want, 1000);
    n int4;
    work int4 := 600;
    until timestamptz := p_at + p_lease_ms * interval '1 millisecond';
    again boolean;
    vain uuid[] := '{}';
    served jsonb := '{}';
BEGIN
    IF p_at IS NULL OR EXISTS (SELECT FROM public.workers w WHERE w.id = p_worker AND w.status <> 'alive')
       -- After a failover or a restore, not before the journals are back in (0100).
       OR NOT engine.history_open()
       OR EXISTS (SELECT FROM public.platform_pauses x WHERE x.resumed_at IS NULL OR x.resumed_at > p_at) THEN
        RETURN;
    END IF;
    FOR pass IN 1..2 LOOP
        again := false;
        FOR plan IN SELECT * FROM engine.claim_tenants(want, p_at) LOOP
            EXIT WHEN want <= 0;
            CONTINUE WHEN plan.organization_id = ANY (vain);
            n := CASE pass WHEN 1 THEN least(want, plan.quota) ELSE want END;
            again := again OR n = 0;
            CONTINUE WHEN n = 0;
            got := engine.claim_tenant(plan.organization_id, n, greatest(work, least(n, 20)), p_node, p_worker, until, p_at);
            IF cardinality(got.claimed) = 0 THEN
                vain := vain || plan.organization_id;
                CONTINUE WHEN got.served = '{}';
            END IF;
            RETURN QUERY SELECT * FROM unnest(got.claimed);
            want := want - cardinality(got.claimed);
            work := work - got.work;
            again := again OR cardinality(got.claimed) = n;
            served := engine.serve(served || got.served, 'tenant', plan.organization_id, plan.organization_id, plan.since,
                                   cardinality(got.claimed) + got.work / 100.0, plan.weight);
        END LOOP;
        EXIT WHEN want <= 0 OR NOT again;
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

CREATE OR REPLACE FUNCTION engine.serve(served jsonb, scope text, organization uuid, scope_id uuid, since float8, got float8, weight int4) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE SET search_path = ''
AS $$
DECLARE
    key text := concat_ws('/', scope, organization, scope_id);
BEGIN
    RETURN served || jsonb_build_object(key, jsonb_build_object('from', since, 'grown',
        coalesce((served #>> ARRAY[key, 'grown'])::float8, 0) + got / weight));
END
$$;

RESET ROLE;
SELECT app.functions_for('engine',
    '{account_room, campaign_room, claim_lines, pick_line, wake, claim_defer, claim_write, claim_write_each,
      timeline, claim_rows, claim_campaign, claim_tenant, claim_tenants, claim_campaigns, campaigns_due, ends_visit,
      portion, claim, serve}');
GRANT EXECUTE ON FUNCTION engine.claim(uuid, uuid, int4, timestamptz, int8) TO app_worker;
