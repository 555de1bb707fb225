-- After the call: the queue of analyses, and the one transaction that stores what was understood.
SET LOCAL ROLE app_engine;

-- Jobs to work on now, held for the lease. A job whose worker died is taken again when its lease ran out, at
-- most max_tries times in all. Tenants take turns; delay_ms lets stragglers of the transcript arrive.
CREATE OR REPLACE FUNCTION engine.analysis_take(worker uuid, want int4, lease_s int4, delay_ms int8, at timestamptz)
RETURNS TABLE (job_id uuid, organization_id uuid, call_id uuid, tries int4)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = ''
AS $$
#variable_conflict use_column
BEGIN
    UPDATE public.analysis_jobs j
       SET status = 'failed', finished_at = at, lease_owner = NULL, leased_until = NULL,
           last_error = coalesce(j.last_error, 'the worker died each time')
     WHERE j.status = 'running' AND j.leased_until <= at AND j.tries >= j.max_tries;
    RETURN QUERY
    WITH due AS MATERIALIZED (
        SELECT j.organization_id, j.id, j.due_at
          FROM public.analysis_jobs j
         WHERE j.status IN ('queued', 'running') AND j.kind = 'call'
           AND j.due_at <= at - delay_ms * interval '1 millisecond'
           AND (j.status = 'queued' OR j.leased_until <= at)
         ORDER BY j.due_at
         LIMIT greatest(want, 1) * 16
    ), fair AS (
        SELECT d.organization_id, d.id
          FROM (SELECT d.*, row_number() OVER (PARTITION BY d.organization_id ORDER BY d.due_at) AS turn FROM due d) AS d
         ORDER BY d.turn, d.due_at
         LIMIT want * 2
    ), mine AS MATERIALIZED (
        SELECT j.organization_id, j.id
          FROM public.analysis_jobs j JOIN fair f ON f.organization_id = j.organization_id AND f.id = j.id
         WHERE j.status IN ('queued', 'running') AND (j.status = 'queued' OR j.leased_until <= at)
         LIMIT want
           FOR UPDATE OF j SKIP LOCKED
    )
    UPDATE public.analysis_jobs j
       SET status = 'running', tries = j.tries + 1, lease_owner = worker, leased_until = at + make_interval(secs => lease_s),
           started_at = coalesce(j.started_at, at)
      FROM mine m
     WHERE j.organization_id = m.organization_id AND j.id = m.id
    RETURNING j.id, j.organization_id, j.call_log_id, j.tries;
END
$$;

RESET ROLE;
SET LOCAL ROLE app_owner;

-- What the analysis needs to know of the call beside its words. No row: no such call.
CREATE OR REPLACE FUNCTION app.analysis_call(call_id uuid)
RETURNS TABLE (duration_s int4, ended_at timestamptz, zone text, campaign_name text, description text, opted_out boolean,
               disconnect_reason text, disposition text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = ''
AS $$
    SELECT l.duration, coalesce(l.ended_at, l.answered_at, l.created_at),
           coalesce(p.timezone, c.timezone, 'UTC'), c.name, c.description,
           l.opted_out_at IS NOT NULL, l.disconnect_reason, l.disposition
      FROM public.call_logs l
      LEFT JOIN public.leads p ON p.organization_id = l.organization_id AND p.id = l.lead_id
      LEFT JOIN public.campaigns c ON c.organization_id = l.organization_id AND c.id = l.campaign_id
     WHERE l.id = analysis_call.call_id AND l.organization_id = (SELECT app.active_org())
$$;

-- Its words, in order; what the AI said and nobody heard is left out.
CREATE OR REPLACE FUNCTION app.analysis_turns(call_id uuid)
RETURNS TABLE (turn_id uuid, speaker text, body text, cut boolean)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = ''
AS $$
    SELECT t.id, t.speaker, t.body, t.heard = 'cut'
      FROM public.call_turns t
     WHERE t.call_log_id = analysis_turns.call_id AND t.organization_id = (SELECT app.active_org())
       AND t.heard <> 'none' AND btrim(t.body) <> ''
     ORDER BY t.ordinal
$$;

-- Tokens and money of one try; a try that failed was billed too.
CREATE OR REPLACE FUNCTION app.analysis_bill(job public.analysis_jobs, usage jsonb) RETURNS void
LANGUAGE sql SET search_path = ''
AS $$
    INSERT INTO public.usage_ledger (organization_id, campaign_id, call_log_id, source, item_key, model, tokens, cost_micros)
    SELECT job.organization_id, l.campaign_id, l.id, 'analysis', 'analysis:' || job.id || ':' || job.tries,
           usage ->> 'model', usage - 'cost_micros' - 'model', coalesce((usage ->> 'cost_micros')::int8, 0)
      FROM public.call_logs l
     WHERE usage IS NOT NULL AND l.organization_id = job.organization_id AND l.id = job.call_log_id
    ON CONFLICT DO NOTHING
$$;

-- One task of the analysis. The same reason on the same call never makes two, and neither do two reasons for
-- the same kind of work: a callback that was booked in the talk is not recommended once more.
CREATE OR REPLACE FUNCTION app.follow_up_put(call public.call_logs, task jsonb, insight_at timestamptz) RETURNS boolean
LANGUAGE plpgsql SET search_path = ''
AS $$
BEGIN
    IF call.lead_id IS NULL
       OR EXISTS (SELECT FROM public.follow_up_tasks t
                   WHERE t.organization_id = call.organization_id AND t.call_log_id = call.id
                     AND t.task_type = task ->> 'task_type') THEN
        RETURN false;
    END IF;
    INSERT INTO public.follow_up_tasks (organization_id, lead_id, campaign_id, call_log_id, assigned_to, task_type, title,
                                        description, priority, due_date, source, ai_suggestion, reason_key, context)
    SELECT call.organization_id, call.lead_id, call.campaign_id, call.id, p.assigned_to, task ->> 'task_type',
           left(task ->> 'title', 200), left(task ->> 'description', 2000), task ->> 'priority',
           coalesce((task ->> 'due')::timestamptz, insight_at + interval '1 day'), 'ai',
           left(task ->> 'suggestion', 2000), left(task ->> 'reason', 200), coalesce(task -> 'context', '{}')
      FROM public.leads p WHERE p.organization_id = call.organization_id AND p.id = call.lead_id
    ON CONFLICT (organization_id, call_log_id, reason_key) WHERE call_log_id IS NOT NULL AND reason_key IS NOT NULL
    DO NOTHING;
    RETURN FOUND;
END
$$;

CREATE OR REPLACE FUNCTION app.insight_put(call public.call_logs, i jsonb, model text, at timestamptz) RETURNS int4
LANGUAGE sql SET search_path = ''
AS $$
    INSERT INTO public.conversation_insights AS n (organization_id, call_log_id, lead_id, campaign_id, too_short,
        overall_sentiment, primary_emotion, intent, interest_level, purchase_readiness, objections, key_phrases,
        budget_mentioned, budget_range, timeline_mentioned, timeline, recommended_action, priority_score, summary,
        evidence, dropped_values, model, schema_version, analysed_at)
    VALUES (call.organization_id, call.id, call.lead_id, call.campaign_id, coalesce((i ->> 'too_short')::boolean, false),
        round((i ->> 'overall_sentiment')::numeric, 2), i ->> 'primary_emotion', i ->> 'intent', i ->> 'interest_level',
        i ->> 'purchase_readiness',
        ARRAY(SELECT e.value FROM jsonb_array_elements_text(coalesce(i -> 'objections', '[]')) AS e),
        ARRAY(SELECT e.value FROM jsonb_array_elements_text(coalesce(i -> 'key_phrases', '[]')) AS e),
        i ->> 'budget_range' IS NOT NULL, i ->> 'budget_range', i ->> 'timeline' IS NOT NULL, i ->> 'timeline',
        i ->> 'recommended_action', (i ->> 'priority_score')::int2, i ->> 'summary', coalesce(i -> 'evidence', '{}'),
        coalesce((i ->> 'dropped_values')::int4, 0), model, coalesce((i ->> 'schema_version')::int4, 1), at)
    ON CONFLICT (organization_id, call_log_id) DO UPDATE
       SET too_short = EXCLUDED.too_short, overall_sentiment = EXCLUDED.overall_sentiment,
           primary_emotion = EXCLUDED.primary_emotion, intent = EXCLUDED.intent, interest_level = EXCLUDED.interest_level,
           purchase_readiness = EXCLUDED.purchase_readiness, objections = EXCLUDED.objections,
           key_phrases = EXCLUDED.key_phrases, budget_mentioned = EXCLUDED.budget_mentioned,
           budget_range = EXCLUDED.budget_range, timeline_mentioned = EXCLUDED.timeline_mentioned,
           timeline = EXCLUDED.timeline, recommended_action = EXCLUDED.recommended_action,
           priority_score = EXCLUDED.priority_score, summary = EXCLUDED.summary, evidence = EXCLUDED.evidence,
           dropped_values = EXCLUDED.dropped_values, model = EXCLUDED.model, schema_version = EXCLUDED.schema_version,
           analysed_at = EXCLUDED.analysed_at
    RETURNING n.revision
$$;

-- The result of a job, in one transaction: insight (its triggers keep history, label, copies and score), the
-- call's summary and raw analysis, tasks, bill, outbox, job. False: the job is no longer this worker's, and
-- nothing changed. insight.too_short ends the job as such.
CREATE OR REPLACE FUNCTION app.insight_store(job_id uuid, worker uuid, insight jsonb, analysis jsonb, tasks jsonb, usage jsonb,
                                  model text, at timestamptz, OUT stored boolean, OUT tasks_made int4)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = ''
AS $$
DECLARE
    job public.analysis_jobs;
    call public.call_logs;
    task jsonb;
    new_revision int4;
    short boolean := coalesce((insight ->> 'too_short')::boolean, false);
BEGIN
    stored := false;
    tasks_made := 0;
    SELECT j.* INTO job FROM public.analysis_jobs j
     WHERE j.organization_id = (SELECT app.active_org()) AND j.id = insight_store.job_id
       AND j.status = 'running' AND j.lease_owner = insight_store.worker
       FOR UPDATE;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    SELECT l.* INTO call FROM public.call_logs l
     WHERE l.organization_id = job.organization_id AND l.id = job.call_log_id FOR UPDATE;
    IF call.lead_id IS NOT NULL THEN
        new_revision := app.insight_put(call, insight, insight_store.model, insight_store.at);
    END IF;
    UPDATE public.call_logs l
       SET ai_analysis = coalesce(l.ai_analysis, '{}') || coalesce(insight_store.analysis, '{}'),
           conversation_summary = coalesce(nullif(insight ->> 'summary', ''), l.conversation_summary)
     WHERE l.organization_id = call.organization_id AND l.id = call.id;
    FOR task IN SELECT e.value FROM jsonb_array_elements(coalesce(insight_store.tasks, '[]')) AS e LOOP
        tasks_made := tasks_made + app.follow_up_put(call, task, insight_store.at)::int4;
    END LOOP;
    PERFORM app.analysis_bill(job, insight_store.usage);
    INSERT INTO public.outbox (organization_id, topic, subject_id, dedup_key, payload, next_try_at)
    VALUES (call.organization_id, 'call.analysed', call.id, call.id || ':' || coalesce(new_revision, 0),
            jsonb_build_object('call_id', call.id, 'lead_id', call.lead_id, 'campaign_id', call.campaign_id,
                               'too_short', short, 'revision', new_revision, 'tasks', tasks_made), insight_store.at)
    ON CONFLICT (organization_id, topic, dedup_key) WHERE dedup_key IS NOT NULL DO NOTHING;
    UPDATE public.analysis_jobs j
       SET status = CASE WHEN short THEN 'too_short' ELSE 'done' END, finished_at = insight_store.at, last_error = NULL,
           lease_owner = NULL, leased_until = NULL
     WHERE j.organization_id = job.organization_id AND j.id = job.id;
    stored := true;
END
$$;

-- A try that came to nothing. retry_at NULL, or no tries left: failed for good. The status that it has now;
-- NULL when the job is no longer this worker's.
CREATE OR REPLACE FUNCTION app.analysis_fail(job_id uuid, worker uuid, error text, usage jsonb, retry_at timestamptz, at timestamptz)
RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = ''
AS $$
DECLARE
    job public.analysis_jobs;
    again boolean;
BEGIN
    SELECT j.* INTO job FROM public.analysis_jobs j
     WHERE j.organization_id = (SELECT app.active_org()) AND j.id = analysis_fail.job_id
       AND j.status = 'running' AND j.lease_owner = analysis_fail.worker
       FOR UPDATE;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    again := analysis_fail.retry_at IS NOT NULL AND job.tries < job.max_tries;
    PERFORM app.analysis_bill(job, analysis_fail.usage);
    UPDATE public.analysis_jobs j
       SET status = CASE WHEN again THEN 'queued' ELSE 'failed' END,
           due_at = CASE WHEN again THEN analysis_fail.retry_at ELSE j.due_at END,
           finished_at = CASE WHEN again THEN NULL ELSE analysis_fail.at END,
           last_error = left(analysis_fail.error, 500), lease_owner = NULL, leased_until = NULL
     WHERE j.organization_id = job.organization_id AND j.id = job.id;
    RETURN CASE WHEN again THEN 'queued' ELSE 'failed' END;
END
$$;

-- Asks for a call to be analysed (again): a person's wish, or a new schema.
CREATE OR REPLACE FUNCTION app.analysis_again(call_id uuid, at timestamptz) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = ''
AS $$
BEGIN
    INSERT INTO public.analysis_jobs AS j (organization_id, call_log_id, kind, due_at)
    SELECT l.organization_id, l.id, 'call', analysis_again.at
      FROM public.call_logs l
     WHERE l.organization_id = (SELECT app.active_org()) AND l.id = analysis_again.call_id AND l.answered_at IS NOT NULL
    ON CONFLICT (organization_id, call_log_id, kind) DO UPDATE
       SET status = 'queued', tries = 0, due_at = EXCLUDED.due_at, finished_at = NULL, last_error = NULL
     WHERE j.status IN ('done', 'failed', 'too_short');
    RETURN FOUND;
END
$$;

RESET ROLE;
REVOKE ALL ON FUNCTION engine.analysis_take(uuid, int4, int4, int8, timestamptz), app.analysis_call(uuid),
    app.analysis_turns(uuid), app.analysis_bill(public.analysis_jobs, jsonb),
    app.follow_up_put(public.call_logs, jsonb, timestamptz), app.insight_put(public.call_logs, jsonb, text, timestamptz),
    app.insight_store(uuid, uuid, jsonb, jsonb, jsonb, jsonb, text, timestamptz),
    app.analysis_fail(uuid, uuid, text, jsonb, timestamptz, timestamptz), app.analysis_again(uuid, timestamptz)
    FROM PUBLIC, anon, authenticated, service_role;
GRANT EXECUTE ON FUNCTION engine.analysis_take(uuid, int4, int4, int8, timestamptz), app.analysis_call(uuid),
    app.analysis_turns(uuid), app.insight_store(uuid, uuid, jsonb, jsonb, jsonb, jsonb, text, timestamptz),
    app.analysis_fail(uuid, uuid, text, jsonb, timestamptz, timestamptz), app.analysis_again(uuid, timestamptz)
    TO app_worker;
