-- Sentiment label, lead score and the trigger that keeps both, the copies and the history.
SET LOCAL ROLE app_owner;

CREATE OR REPLACE FUNCTION app.sentiment_label(sentiment numeric) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = ''
AS $$
    SELECT CASE WHEN sentiment IS NULL THEN NULL
                WHEN sentiment < -0.6 THEN 'very_negative'
                WHEN sentiment < -0.2 THEN 'negative'
                WHEN sentiment <= 0.2 THEN 'neutral'
                WHEN sentiment <= 0.6 THEN 'positive'
                ELSE 'very_positive' END
$$;

-- The published weights; an organization's own active version replaces what it names.
CREATE OR REPLACE FUNCTION app.default_weights() RETURNS jsonb
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = ''
AS $$
    SELECT '{"answered": 10, "answered_often": 10, "answered_often_from": 3, "sentiment": 20, "sentiment_over": 0.5,
             "interest_high": 30, "interest_medium": 15, "readiness_immediate": 30, "readiness_short_term": 20,
             "cap": 100}'::jsonb
$$;

-- What a score is made of; pure, so that a change of weights can be previewed.
CREATE OR REPLACE FUNCTION app.score_contributions(w jsonb, answered int8, sentiment numeric, interest text, readiness text) RETURNS jsonb
LANGUAGE sql IMMUTABLE SET search_path = ''
AS $$
    SELECT jsonb_strip_nulls(jsonb_build_object(
        'answered', CASE WHEN answered >= 1 THEN (w -> 'answered') END,
        'answered_often', CASE WHEN answered >= (w ->> 'answered_often_from')::int THEN (w -> 'answered_often') END,
        'sentiment', CASE WHEN sentiment > (w ->> 'sentiment_over')::numeric THEN (w -> 'sentiment') END,
        'interest', CASE interest WHEN 'high' THEN w -> 'interest_high' WHEN 'medium' THEN w -> 'interest_medium' END,
        'readiness', CASE readiness WHEN 'immediate' THEN w -> 'readiness_immediate'
                                    WHEN 'short_term' THEN w -> 'readiness_short_term' END))
$$;

-- Calls of a lead that a person answered.
CREATE OR REPLACE FUNCTION app.answered_calls(p_organization uuid, p_lead uuid) RETURNS int8
LANGUAGE sql STABLE SET search_path = ''
AS $$
    SELECT count(*) FROM public.call_logs l
     WHERE l.organization_id = p_organization AND l.lead_id = p_lead AND l.answered_at IS NOT NULL
       AND coalesce(l.disconnect_reason, '') NOT IN ('voicemail', 'fax_or_sit')
$$;

-- The one scoring function: by the insight named, else by the lead's latest that was long enough. Nothing else
-- writes a score. Returns it; NULL when there is nothing to judge by.
CREATE OR REPLACE FUNCTION app.score_lead(p_organization uuid, p_lead uuid, p_insight uuid, p_at timestamptz) RETURNS int2
LANGUAGE plpgsql SET search_path = ''
AS $$
DECLARE
    i public.conversation_insights;
    own record;
    w jsonb;
    parts jsonb;
    total int2;
BEGIN
    SELECT * INTO i FROM public.conversation_insights t
     WHERE t.organization_id = p_organization AND t.lead_id = p_lead AND NOT t.too_short
       AND (p_insight IS NULL OR t.id = p_insight)
     ORDER BY t.analysed_at DESC, t.id DESC LIMIT 1;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    SELECT s.version, s.weights INTO own FROM public.score_weights s
     WHERE s.organization_id = p_organization AND s.active;
    w := app.default_weights() || coalesce(own.weights, '{}');
    parts := app.score_contributions(w, app.answered_calls(p_organization, p_lead), i.overall_sentiment,
                                     i.interest_level, i.purchase_readiness);
    SELECT greatest(0, least(coalesce(sum(e.value::numeric), 0), (w ->> 'cap')::numeric, 100))::int2 INTO total
      FROM jsonb_each_text(parts) AS e;
    INSERT INTO public.lead_scores AS s (organization_id, lead_id, score, contributions, weights_version, insight_id, computed_at)
    VALUES (p_organization, p_lead, total, parts, coalesce(own.version, 0), i.id, p_at)
    ON CONFLICT (organization_id, lead_id) DO UPDATE
       SET score = excluded.score, contributions = excluded.contributions,
           weights_version = excluded.weights_version, insight_id = excluded.insight_id, computed_at = excluded.computed_at;
    UPDATE public.leads l SET score = total
     WHERE l.organization_id = p_organization AND l.id = p_lead AND l.score <> total;
    UPDATE public.call_queue q SET score = total
     WHERE q.organization_id = p_organization AND q.lead_id = p_lead AND q.status = 'queued' AND q.score <> total;
    RETURN total;
END
$$;

CREATE OR REPLACE FUNCTION app.insight_prepare() RETURNS trigger
LANGUAGE plpgsql SET search_path = ''
AS $$
BEGIN
    NEW.sentiment_label := app.sentiment_label(NEW.overall_sentiment);
    IF TG_OP = 'UPDATE' THEN
        IF (NEW.organization_id, NEW.call_log_id, NEW.lead_id) IS DISTINCT FROM (OLD.organization_id, OLD.call_log_id, OLD.lead_id) THEN
            RAISE EXCEPTION 'an insight stays with its call' USING ERRCODE = 'DW006';
        END IF;
        -- The key stays, whatever the replacing row brought along.
        NEW.id := OLD.id;
        NEW.created_at := OLD.created_at;
        NEW.revision := OLD.revision + 1;
        INSERT INTO public.insight_history (organization_id, insight_id, call_log_id, revision, insight)
        VALUES (OLD.organization_id, OLD.id, OLD.call_log_id, OLD.revision, to_jsonb(OLD));
    END IF;
    RETURN NEW;
END
$$;

-- Fires on insert and on re-analysis, with the row's own values.
CREATE OR REPLACE FUNCTION app.update_score_on_insight() RETURNS trigger
LANGUAGE plpgsql SET search_path = ''
AS $$
DECLARE
    had boolean := false;
    sentiment_before numeric := 0;
BEGIN
    IF TG_OP = 'UPDATE' THEN
        had := NOT OLD.too_short AND OLD.overall_sentiment IS NOT NULL;
        sentiment_before := CASE WHEN had THEN OLD.overall_sentiment ELSE 0 END;
    END IF;
    IF NEW.campaign_id IS NOT NULL AND (had OR NOT NEW.too_short) THEN
        INSERT INTO public.campaign_deltas (organization_id, campaign_id, sentiment_sum, sentiment_count)
        VALUES (NEW.organization_id, NEW.campaign_id,
                CASE WHEN NEW.too_short THEN 0 ELSE NEW.overall_sentiment END - sentiment_before,
                (NOT NEW.too_short)::int - had::int);
    END IF;
    IF NEW.too_short THEN
        RETURN NULL;
    END IF;
    UPDATE public.call_logs l
       SET sentiment_score = NEW.overall_sentiment, interest_level = NEW.interest_level
     WHERE l.organization_id = NEW.organization_id AND l.id = NEW.call_log_id;
    UPDATE public.leads l
       SET sentiment_score = NEW.overall_sentiment, interest_level = NEW.interest_level,
           purchase_readiness = NEW.purchase_readiness, budget_range = coalesce(NEW.budget_range, l.budget_range),
           timeline = coalesce(NEW.timeline, l.timeline)
     WHERE l.organization_id = NEW.organization_id AND l.id = NEW.lead_id;
    PERFORM app.score_lead(NEW.organization_id, NEW.lead_id, NEW.id, NEW.analysed_at);
    RETURN NULL;
END
$$;
CREATE OR REPLACE TRIGGER prepare BEFORE INSERT OR UPDATE ON public.conversation_insights
    FOR EACH ROW EXECUTE FUNCTION app.insight_prepare();
CREATE OR REPLACE TRIGGER update_score_on_insight AFTER INSERT OR UPDATE ON public.conversation_insights
    FOR EACH ROW EXECUTE FUNCTION app.update_score_on_insight();

-- What scores would become under other weights; nothing is written.
CREATE OR REPLACE FUNCTION app.score_preview(p_weights jsonb) RETURNS TABLE (lead_id uuid, score_now int2, score_then int2, contributions jsonb)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = ''
AS $$
    SELECT l.id, l.score,
           greatest(0, least((SELECT coalesce(sum(e.value::numeric), 0) FROM jsonb_each_text(c.parts) AS e),
                             coalesce((p_weights ->> 'cap')::numeric, 100), 100))::int2,
           c.parts
      FROM public.leads l
      JOIN LATERAL (SELECT * FROM public.conversation_insights t
                     WHERE t.organization_id = l.organization_id AND t.lead_id = l.id AND NOT t.too_short
                     ORDER BY t.analysed_at DESC, t.id DESC LIMIT 1) AS i ON true
      CROSS JOIN LATERAL (SELECT app.score_contributions(app.default_weights() || p_weights,
                              app.answered_calls(l.organization_id, l.id), i.overall_sentiment, i.interest_level,
                              i.purchase_readiness) AS parts) AS c
     WHERE l.organization_id = (SELECT app.active_org())
$$;

-- New weights: a new version, and every lead of the organization scored again. Returns how many changed.
CREATE OR REPLACE FUNCTION app.score_weights_set(p_weights jsonb, p_note text, p_at timestamptz) RETURNS int8
LANGUAGE plpgsql SECURITY DEFINER SET search_path = ''
AS $$
DECLARE
    organization uuid := app.active_org();
    changed int8;
BEGIN
    UPDATE public.score_weights SET active = false WHERE organization_id = organization AND active;
    INSERT INTO public.score_weights (organization_id, version, weights, note)
    SELECT organization, coalesce(max(s.version), 0) + 1, p_weights, p_note
      FROM public.score_weights s WHERE s.organization_id = organization;
    SELECT count(*) FILTER (WHERE app.score_lead(organization, l.id, NULL, p_at) IS DISTINCT FROM l.score) INTO changed
      FROM public.leads l
     WHERE l.organization_id = organization
       AND EXISTS (SELECT FROM public.conversation_insights i
                    WHERE i.organization_id = organization AND i.lead_id = l.id AND NOT i.too_short);
    RETURN changed;
END
$$;

RESET ROLE;
SELECT app.functions_for('app',
    '{touch, call_logs_guard, call_logs_count, call_attempts_guard, call_queue_guard, campaigns_guard, usage_count,
      usage_campaign, do_not_call_guard, consents_guard, audit_chain, append_only, claim_pace_begin, insight_prepare,
      update_score_on_insight, call_edge, call_reached, campaign_edge, audit_digest, sentiment_label,
      default_weights, score_contributions, answered_calls, score_lead, score_preview, score_weights_set}', '{app_owner, app_engine}');
GRANT EXECUTE ON FUNCTION app.sentiment_label(numeric) TO authenticated, app_worker;
GRANT EXECUTE ON FUNCTION app.score_preview(jsonb), app.score_weights_set(jsonb, text, timestamptz) TO app_worker;
