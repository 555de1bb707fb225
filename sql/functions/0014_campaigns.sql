-- Enrolment, the life of a campaign, its counters, and rows that become dialable again.
SET LOCAL ROLE app_owner;

-- Enrols leads of the tenant: those named, or those of an import, or all. Returns how many were new. The campaign
-- is held open meanwhile; a completed one takes nobody.
CREATE OR REPLACE FUNCTION app.enqueue_leads(p_campaign uuid, p_leads uuid[], p_import uuid, p_priority int4, p_at timestamptz) RETURNS int8
LANGUAGE plpgsql SECURITY DEFINER SET search_path = ''
AS $$
DECLARE
    organization uuid := app.active_org();
    c public.campaigns;
    added int8;
BEGIN
    SELECT * INTO c FROM public.campaigns t WHERE t.organization_id = organization AND t.id = p_campaign FOR SHARE;
    IF NOT FOUND OR c.status = 'completed' OR c.closing_reason IS NOT NULL OR c.archived_at IS NOT NULL THEN
        RAISE EXCEPTION 'this campaign takes no leads' USING ERRCODE = 'DW005';
    END IF;
    INSERT INTO public.call_queue (organization_id, campaign_id, lead_id, priority, score, max_attempts, next_retry_at, ready)
    SELECT organization, c.id, l.id, coalesce(p_priority, 0)::int2, l.score, c.max_attempts, p_at, true
      FROM public.leads l
     WHERE l.organization_id = organization AND l.archived_at IS NULL
       AND (p_leads IS NULL OR l.id = ANY (p_leads)) AND (p_import IS NULL OR l.import_id = p_import)
    ON CONFLICT DO NOTHING;
    GET DIAGNOSTICS added = ROW_COUNT;
    RETURN added;
END
$$;

-- Compare and set. Cancelling while calls are live pauses the campaign and lets them end; engine.complete_campaigns
-- then completes it.
CREATE OR REPLACE FUNCTION app.campaign_transition(p_campaign uuid, p_from text, p_to text, p_reason text, p_at timestamptz)
RETURNS TABLE (changed boolean, status text, refusal text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = ''
AS $$
#variable_conflict use_column
DECLARE
    organization uuid := app.active_org();
    c public.campaigns;
    target text := p_to;
BEGIN
    SELECT t.* INTO c FROM public.campaigns t WHERE t.organization_id = organization AND t.id = p_campaign FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN QUERY SELECT false, NULL::text, 'no such campaign';
        RETURN;
    END IF;
    IF c.status <> p_from OR NOT app.campaign_edge(p_from, p_to) THEN
        RETURN QUERY SELECT false, c.status, format('the campaign is %s: %s to %s is not possible', c.status, p_from, p_to);
        RETURN;
    END IF;
    IF c.closing_reason IS NOT NULL AND p_to = 'active' THEN
        RETURN QUERY SELECT false, c.status, format('the campaign is closing (%s)', c.closing_reason);
        RETURN;
    END IF;
    IF p_to = 'completed' THEN
        IF p_reason IS DISTINCT FROM 'cancelled' THEN
            RETURN QUERY SELECT false, c.status, 'a campaign completes by itself, or is cancelled';
            RETURN;
        END IF;
        UPDATE public.call_queue q SET status = 'failed', last_error = 'cancelled', finished_at = p_at
         WHERE q.organization_id = organization AND q.campaign_id = p_campaign AND q.status = 'queued';
        IF EXISTS (SELECT FROM public.call_queue q
                    WHERE q.organization_id = organization AND q.campaign_id = p_campaign AND q.status = 'processing') THEN
            target := 'paused';
        END IF;
    END IF;
    UPDATE public.campaigns t
       SET status = target, status_changed_at = p_at,
           started_at = CASE WHEN target = 'active' THEN coalesce(t.started_at, p_at) ELSE t.started_at END,
           closing_reason = CASE WHEN p_to = 'completed' THEN 'cancelled' END,
           completed_reason = CASE WHEN target = 'completed' THEN 'cancelled' END,
           completed_at = CASE WHEN target = 'completed' THEN p_at END
     WHERE t.organization_id = organization AND t.id = p_campaign;
    INSERT INTO public.outbox (organization_id, topic, subject_id, payload)
    VALUES (organization, 'campaign.' || target, p_campaign, jsonb_build_object('from', p_from, 'reason', p_reason, 'at', p_at));
    RETURN QUERY SELECT true, target, NULL::text;
END
$$;

-- Queue rows that failed for a reason somebody has now cured. Runs in triggers of what cures.
CREATE OR REPLACE FUNCTION app.requeue_cured(p_organization uuid, p_phone text, p_region text, p_reasons text[], p_at timestamptz) RETURNS int8
LANGUAGE plpgsql SET search_path = ''
AS $$
DECLARE
    cured int8;
BEGIN
    UPDATE public.call_queue q
       SET status = 'queued', next_retry_at = p_at, last_error = NULL
      FROM public.leads l, public.campaigns c
     WHERE q.organization_id = p_organization AND q.status = 'failed' AND q.last_error = ANY (p_reasons)
       AND l.organization_id = q.organization_id AND l.id = q.lead_id AND l.archived_at IS NULL
       AND (p_phone IS NULL OR l.phone_e164 = p_phone) AND (p_region IS NULL OR p_region IN (l.region, left(l.residence_region, 2), left(l.address_region, 2)))
       AND c.organization_id = q.organization_id AND c.id = q.campaign_id AND c.status <> 'completed' AND c.closing_reason IS NULL;
    GET DIAGNOSTICS cured = ROW_COUNT;
    RETURN cured;
END
$$;
-- Consents arrive by the thousand when a list is read in: what they cure is looked up once per statement, and not
-- at all where nothing waits for a consent.
CREATE OR REPLACE FUNCTION app.consent_cures() RETURNS trigger
LANGUAGE plpgsql SET search_path = ''
AS $$
BEGIN
    IF EXISTS (SELECT FROM public.call_queue q
                WHERE q.organization_id = (SELECT n.organization_id FROM came n LIMIT 1)
                  AND q.status = 'failed'
                  AND q.last_error IN ('consent_missing', 'number_reassigned', 'dnc_list', 'dnc_list_stale')) THEN
        PERFORM app.requeue_cured(n.organization_id, n.phone_e164, NULL, '{consent_missing,number_reassigned,dnc_list,dnc_list_stale}',
                                  n.granted_at) FROM came n;
    END IF;
    RETURN NULL;
END
$$;
CREATE OR REPLACE TRIGGER cures AFTER INSERT ON public.consents REFERENCING NEW TABLE AS came
    FOR EACH STATEMENT EXECUTE FUNCTION app.consent_cures();
CREATE OR REPLACE FUNCTION app.region_cures() RETURNS trigger
LANGUAGE plpgsql SET search_path = ''
AS $$
BEGIN
    IF NEW.disabled_at IS NULL THEN
        PERFORM app.requeue_cured(NEW.organization_id, NULL, NEW.region, '{rule_missing}', NEW.enabled_at);
    END IF;
    RETURN NULL;
END
$$;
CREATE OR REPLACE TRIGGER cures AFTER INSERT OR UPDATE ON public.region_enablements FOR EACH ROW EXECUTE FUNCTION app.region_cures();
CREATE OR REPLACE FUNCTION app.lead_cures() RETURNS trigger
LANGUAGE plpgsql SET search_path = ''
AS $$
BEGIN
    PERFORM app.requeue_cured(NEW.organization_id, NEW.phone_e164, NULL,
                              '{timezone_unknown,region_unknown,rule_missing,lead_archived}', now());
    RETURN NULL;
END
$$;
CREATE OR REPLACE TRIGGER cures AFTER UPDATE OF timezone, zones, region, residence_region, archived_at ON public.leads
    FOR EACH ROW WHEN ((OLD.timezone, OLD.zones, OLD.region, OLD.residence_region, OLD.archived_at)
                       IS DISTINCT FROM (NEW.timezone, NEW.zones, NEW.region, NEW.residence_region, NEW.archived_at))
    EXECUTE FUNCTION app.lead_cures();

-- What the counters must be, from the rows they count; at rest engine.fold_counters has made them equal.
CREATE OR REPLACE VIEW app.campaign_counters_derived WITH (security_invoker = true) AS
SELECT c.organization_id, c.id AS campaign_id, calls.total_calls, calls.transferred_calls, tries.answered_calls,
       said.sentiment_count, said.sentiment_sum, round(said.sentiment_sum / nullif(said.sentiment_count, 0), 3) AS avg_sentiment_score,
       spent.spent_micros
  FROM public.campaigns c
 CROSS JOIN LATERAL (SELECT count(*) FILTER (WHERE app.call_reached(l.direction, l.status))::int4 AS total_calls,
                            count(*) FILTER (WHERE l.transferred)::int4 AS transferred_calls
                       FROM public.call_logs l WHERE l.organization_id = c.organization_id AND l.campaign_id = c.id) AS calls
 CROSS JOIN LATERAL (SELECT count(*)::int4 AS answered_calls FROM public.call_attempts a
                      WHERE a.organization_id = c.organization_id AND a.campaign_id = c.id AND a.outcome = 'answered') AS tries
 CROSS JOIN LATERAL (SELECT count(*)::int4 AS sentiment_count, coalesce(sum(i.overall_sentiment), 0) AS sentiment_sum
                       FROM public.conversation_insights i
                      WHERE i.organization_id = c.organization_id AND i.campaign_id = c.id AND NOT i.too_short) AS said
 CROSS JOIN LATERAL (SELECT coalesce(sum(u.cost_micros), 0)::int8 AS spent_micros FROM public.usage_ledger u
                      WHERE u.organization_id = c.organization_id AND u.campaign_id = c.id) AS spent;

RESET ROLE;
SET LOCAL ROLE app_engine;

-- Folds the deltas in; one session at a time, others leave it to that one. Returns how many campaigns changed.
CREATE OR REPLACE FUNCTION engine.fold_counters(p_at timestamptz) RETURNS int4
LANGUAGE plpgsql SECURITY DEFINER SET search_path = ''
AS $$
DECLARE
    changed int4;
BEGIN
    IF NOT pg_try_advisory_xact_lock(hashtextextended('fold_counters', 0)) THEN
        RETURN 0;
    END IF;
    WITH gone AS (
        DELETE FROM public.campaign_deltas d
         WHERE (d.organization_id, d.id) IN (SELECT x.organization_id, x.id FROM public.campaign_deltas x
                                              ORDER BY x.organization_id, x.id LIMIT 10000)
        RETURNING d.*
    ), days AS (
        -- What the guards of the gate look at.
        INSERT INTO public.campaign_days AS t (organization_id, campaign_id, day, live_answers, abandoned, answers, short_calls)
        SELECT g.organization_id, g.campaign_id, g.day, sum(g.live_answers), sum(g.abandoned), sum(g.answers), sum(g.short_calls)
          FROM gone g WHERE g.day IS NOT NULL GROUP BY g.organization_id, g.campaign_id, g.day
        ON CONFLICT (organization_id, campaign_id, day) DO UPDATE
           SET live_answers = t.live_answers + excluded.live_answers, abandoned = t.abandoned + excluded.abandoned,
               answers = t.answers + excluded.answers, short_calls = t.short_calls + excluded.short_calls
    ), sums AS (
        SELECT g.organization_id, g.campaign_id, sum(g.total_calls) AS total_calls, sum(g.answered_calls) AS answered_calls,
               sum(g.transferred_calls) AS transferred_calls, sum(g.sentiment_sum) AS sentiment_sum,
               sum(g.sentiment_count) AS sentiment_count, sum(g.spent_micros) AS spent_micros
          FROM gone g GROUP BY g.organization_id, g.campaign_id
    )
    UPDATE public.campaigns c
       SET total_calls = c.total_calls + s.total_calls, answered_calls = c.answered_calls + s.answered_calls,
           transferred_calls = c.transferred_calls + s.transferred_calls,
           sentiment_sum = c.sentiment_sum + s.sentiment_sum, sentiment_count = c.sentiment_count + s.sentiment_count,
           avg_sentiment_score = round((c.sentiment_sum + s.sentiment_sum) / nullif(c.sentiment_count + s.sentiment_count, 0), 3),
           spent_micros = c.spent_micros + s.spent_micros
      FROM sums s
     WHERE c.organization_id = s.organization_id AND c.id = s.campaign_id;
    GET DIAGNOSTICS changed = ROW_COUNT;
    RETURN changed;
END
$$;

-- Why a campaign is over, if it is: what was decided before, its last day (which ends last at UTC-12), its money, or
-- nobody left to dial. A campaign that never had a lead waits for one.
CREATE OR REPLACE FUNCTION engine.campaign_over(c public.campaigns, p_at timestamptz) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = ''
AS $$
BEGIN
    RETURN CASE
        WHEN c.closing_reason IS NOT NULL THEN c.closing_reason
        WHEN ((c.end_date + c.time_end + CASE WHEN c.time_end <= c.time_start THEN interval '1 day' ELSE interval '0' END)
              AT TIME ZONE 'Etc/GMT+12') <= p_at THEN 'deadline'
        WHEN app.budget_spent(c) THEN 'budget'
        WHEN EXISTS (SELECT FROM public.call_queue q WHERE q.organization_id = c.organization_id AND q.campaign_id = c.id)
             AND NOT EXISTS (SELECT FROM public.call_queue q WHERE q.organization_id = c.organization_id AND q.campaign_id = c.id
                                AND q.status = 'queued')
             AND NOT EXISTS (SELECT FROM public.follow_up_tasks f WHERE f.organization_id = c.organization_id
                                AND f.campaign_id = c.id AND f.status = 'pending' AND f.performed_by = 'ai') THEN 'finished' END;
END
$$;

-- Completes every campaign that is over, each once; calls that live are waited for.
CREATE OR REPLACE FUNCTION engine.complete_campaigns(p_at timestamptz)
RETURNS TABLE (organization_id uuid, campaign_id uuid, reason text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = ''
AS $$
#variable_conflict use_column
DECLARE
    k record;
    c public.campaigns;
    why text;
BEGIN
    FOR k IN SELECT t.organization_id, t.id FROM public.campaigns t
              WHERE t.status IN ('active', 'paused') AND engine.campaign_over(t, p_at) IS NOT NULL LOOP
        -- Held: enrolment waits, and what was looked at above is looked at again.
        SELECT t.* INTO c FROM public.campaigns t
         WHERE t.organization_id = k.organization_id AND t.id = k.id FOR NO KEY UPDATE SKIP LOCKED;
        CONTINUE WHEN NOT FOUND OR c.status NOT IN ('active', 'paused');
        why := engine.campaign_over(c, p_at);
        CONTINUE WHEN why IS NULL;
        IF why <> 'finished' THEN
            UPDATE public.call_queue q
               SET status = 'failed', last_error = CASE why WHEN 'deadline' THEN 'expired' ELSE why END, finished_at = p_at
             WHERE q.organization_id = c.organization_id AND q.campaign_id = c.id AND q.status = 'queued';
        END IF;
        IF EXISTS (SELECT FROM public.call_queue q WHERE q.organization_id = c.organization_id AND q.campaign_id = c.id
                      AND q.status IN ('queued', 'processing')) THEN
            UPDATE public.campaigns t SET closing_reason = nullif(why, 'finished')
             WHERE t.organization_id = c.organization_id AND t.id = c.id AND t.closing_reason IS DISTINCT FROM nullif(why, 'finished');
            CONTINUE;
        END IF;
        UPDATE public.campaigns t
           SET status = 'completed', completed_reason = why, completed_at = p_at, status_changed_at = p_at
         WHERE t.organization_id = c.organization_id AND t.id = c.id;
        INSERT INTO public.outbox (organization_id, topic, subject_id, dedup_key, payload)
        VALUES (c.organization_id, 'campaign.completed', c.id, c.id::text, jsonb_build_object('reason', why, 'at', p_at));
        INSERT INTO public.audit_log (organization_id, at, actor, action, subject, subject_id, detail)
        VALUES (c.organization_id, p_at, 'system', 'campaign.completed', 'campaign', c.id, jsonb_build_object('reason', why));
        RETURN QUERY SELECT c.organization_id, c.id, why;
    END LOOP;
END
$$;

RESET ROLE;
REVOKE ALL ON app.campaign_counters_derived FROM PUBLIC, anon, authenticated, service_role;
GRANT SELECT ON app.campaign_counters_derived TO app_engine;
REVOKE ALL ON FUNCTION app.enqueue_leads(uuid, uuid[], uuid, int4, timestamptz),
    app.campaign_transition(uuid, text, text, text, timestamptz), app.requeue_cured(uuid, text, text, text[], timestamptz),
    app.consent_cures(), app.region_cures(), app.lead_cures(), engine.fold_counters(timestamptz),
    engine.campaign_over(public.campaigns, timestamptz), engine.complete_campaigns(timestamptz)
    FROM PUBLIC, anon, authenticated, service_role;
GRANT EXECUTE ON FUNCTION app.requeue_cured(uuid, text, text, text[], timestamptz) TO app_engine;
GRANT EXECUTE ON FUNCTION app.enqueue_leads(uuid, uuid[], uuid, int4, timestamptz),
    app.campaign_transition(uuid, text, text, text, timestamptz), engine.fold_counters(timestamptz),
    engine.complete_campaigns(timestamptz) TO app_worker;
