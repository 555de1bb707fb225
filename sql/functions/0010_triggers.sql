-- What no writer may get wrong: edges of a call's status, an attempt settled once, edges of a campaign's status,
-- append-only ledgers, and the deltas of the campaign counters. Triggers run as whoever writes.
SET LOCAL ROLE app_owner;

CREATE OR REPLACE TRIGGER touch BEFORE UPDATE ON public.organizations FOR EACH ROW EXECUTE FUNCTION app.touch();
CREATE OR REPLACE TRIGGER touch BEFORE UPDATE ON public.profiles FOR EACH ROW EXECUTE FUNCTION app.touch();
CREATE OR REPLACE TRIGGER touch BEFORE UPDATE ON public.projects FOR EACH ROW EXECUTE FUNCTION app.touch();
CREATE OR REPLACE TRIGGER touch BEFORE UPDATE ON public.carrier_accounts FOR EACH ROW EXECUTE FUNCTION app.touch();
CREATE OR REPLACE TRIGGER touch BEFORE UPDATE ON public.phone_numbers FOR EACH ROW EXECUTE FUNCTION app.touch();
CREATE OR REPLACE TRIGGER touch BEFORE UPDATE ON public.retry_policies FOR EACH ROW EXECUTE FUNCTION app.touch();
CREATE OR REPLACE TRIGGER touch BEFORE UPDATE ON public.campaigns FOR EACH ROW EXECUTE FUNCTION app.touch();
CREATE OR REPLACE TRIGGER touch BEFORE UPDATE ON public.imports FOR EACH ROW EXECUTE FUNCTION app.touch();
CREATE OR REPLACE TRIGGER touch BEFORE UPDATE ON public.leads FOR EACH ROW EXECUTE FUNCTION app.touch();
CREATE OR REPLACE TRIGGER touch BEFORE UPDATE ON public.call_turns FOR EACH ROW EXECUTE FUNCTION app.touch();
CREATE OR REPLACE TRIGGER touch BEFORE UPDATE ON public.recordings FOR EACH ROW EXECUTE FUNCTION app.touch();
CREATE OR REPLACE TRIGGER touch BEFORE UPDATE ON public.agent_presence FOR EACH ROW EXECUTE FUNCTION app.touch();
CREATE OR REPLACE TRIGGER touch BEFORE UPDATE ON public.agent_calls FOR EACH ROW EXECUTE FUNCTION app.touch();
CREATE OR REPLACE TRIGGER touch BEFORE UPDATE ON public.analysis_jobs FOR EACH ROW EXECUTE FUNCTION app.touch();
CREATE OR REPLACE TRIGGER touch BEFORE UPDATE ON public.conversation_insights FOR EACH ROW EXECUTE FUNCTION app.touch();
CREATE OR REPLACE TRIGGER touch BEFORE UPDATE ON public.follow_up_tasks FOR EACH ROW EXECUTE FUNCTION app.touch();
CREATE OR REPLACE TRIGGER touch BEFORE UPDATE ON public.consents FOR EACH ROW EXECUTE FUNCTION app.touch();
CREATE OR REPLACE TRIGGER touch BEFORE UPDATE ON public.webhook_endpoints FOR EACH ROW EXECUTE FUNCTION app.touch();

-- The automaton of a call log: may `old` become `new`?
CREATE OR REPLACE FUNCTION app.call_edge(old_status text, new_status text) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$
    SELECT CASE old_status
        WHEN 'reserved' THEN new_status IN ('dialing', 'ringing', 'in_progress', 'ended', 'outcome_unknown', 'not_placed')
        WHEN 'dialing' THEN new_status IN ('ringing', 'in_progress', 'ended', 'outcome_unknown')
        WHEN 'ringing' THEN new_status IN ('in_progress', 'ended', 'outcome_unknown')
        WHEN 'in_progress' THEN new_status IN ('transferring', 'ended', 'outcome_unknown')
        WHEN 'transferring' THEN new_status IN ('in_progress', 'ended', 'outcome_unknown')
        WHEN 'outcome_unknown' THEN new_status IN ('dialing', 'ringing', 'in_progress', 'ended', 'not_placed')
        ELSE false END
$$;

-- A dial has reached the carrier when the carrier is known to have had it.
CREATE OR REPLACE FUNCTION app.call_reached(direction text, status text) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$
    SELECT direction = 'outbound' AND status IN ('dialing', 'ringing', 'in_progress', 'transferring', 'ended')
$$;

CREATE OR REPLACE FUNCTION app.call_logs_guard() RETURNS trigger
LANGUAGE plpgsql SET search_path = ''
AS $$
BEGIN
    IF NEW.status <> OLD.status AND NOT app.call_edge(OLD.status, NEW.status) THEN
        RAISE EXCEPTION 'illegal edge of a call: % to %', OLD.status, NEW.status USING ERRCODE = 'DW003';
    END IF;
    IF (NEW.id, NEW.organization_id, NEW.direction, NEW.carrier_account_id)
       IS DISTINCT FROM (OLD.id, OLD.organization_id, OLD.direction, OLD.carrier_account_id)
       OR (OLD.direction = 'outbound'
           AND (NEW.lead_id, NEW.campaign_id, NEW.queue_id, NEW.attempt_number, NEW.caller_number, NEW.callee_number, NEW.intent_at)
               IS DISTINCT FROM
               (OLD.lead_id, OLD.campaign_id, OLD.queue_id, OLD.attempt_number, OLD.caller_number, OLD.callee_number, OLD.intent_at)) THEN
        RAISE EXCEPTION 'the identity of a call does not change' USING ERRCODE = 'DW003';
    END IF;
    IF OLD.call_sid IS NOT NULL AND NEW.call_sid IS DISTINCT FROM OLD.call_sid THEN
        RAISE EXCEPTION 'the carrier''s id of a call does not change' USING ERRCODE = 'DW003';
    END IF;
    NEW.updated_at := now();
    RETURN NEW;
END
$$;
CREATE OR REPLACE TRIGGER guard BEFORE UPDATE ON public.call_logs FOR EACH ROW EXECUTE FUNCTION app.call_logs_guard();

CREATE OR REPLACE FUNCTION app.call_logs_count() RETURNS trigger
LANGUAGE plpgsql SET search_path = ''
AS $$
DECLARE
    total int := app.call_reached(NEW.direction, NEW.status)::int - app.call_reached(OLD.direction, OLD.status)::int;
    transferred int := NEW.transferred::int - OLD.transferred::int;
BEGIN
    IF NEW.campaign_id IS NOT NULL AND (total <> 0 OR transferred <> 0) THEN
        INSERT INTO public.campaign_deltas (organization_id, campaign_id, total_calls, transferred_calls)
        VALUES (NEW.organization_id, NEW.campaign_id, total, transferred);
    END IF;
    RETURN NULL;
END
$$;
CREATE OR REPLACE TRIGGER count_call AFTER UPDATE OF status, transferred ON public.call_logs
    FOR EACH ROW WHEN (OLD.status <> NEW.status OR OLD.transferred <> NEW.transferred)
    EXECUTE FUNCTION app.call_logs_count();

-- An attempt is inserted open and settled once; nothing else of it changes.
CREATE OR REPLACE FUNCTION app.call_attempts_guard() RETURNS trigger
LANGUAGE plpgsql SET search_path = ''
AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.outcome IS NOT NULL THEN
            RAISE EXCEPTION 'an attempt begins without an outcome' USING ERRCODE = 'DW004';
        END IF;
        RETURN NEW;
    END IF;
    IF OLD.outcome IS NOT NULL THEN
        RAISE EXCEPTION 'this attempt is settled' USING ERRCODE = 'DW004';
    END IF;
    IF (NEW.organization_id, NEW.id, NEW.lead_id, NEW.campaign_id, NEW.call_log_id, NEW.attempt_number, NEW.channel, NEW.gate, NEW.created_at)
       IS DISTINCT FROM
       (OLD.organization_id, OLD.id, OLD.lead_id, OLD.campaign_id, OLD.call_log_id, OLD.attempt_number, OLD.channel, OLD.gate, OLD.created_at)
       OR NEW.outcome IS NULL THEN
        RAISE EXCEPTION 'an attempt is settled, not edited' USING ERRCODE = 'DW004';
    END IF;
    IF NEW.outcome <> 'not_placed' AND EXISTS (SELECT FROM public.call_queue q
            WHERE q.organization_id = NEW.organization_id AND q.campaign_id = NEW.campaign_id AND q.lead_id = NEW.lead_id
              AND q.callback_at IS NOT NULL) THEN
        -- A callback is used up by the attempt that was made for it, not by one that was never placed.
        UPDATE public.call_queue q SET callback_at = NULL
          FROM public.call_logs l
         WHERE l.organization_id = NEW.organization_id AND l.id = NEW.call_log_id
           AND q.organization_id = NEW.organization_id AND q.id = l.queue_id AND q.callback_at <= l.intent_at;
    END IF;
    IF NEW.outcome = 'answered' THEN
        INSERT INTO public.campaign_deltas (organization_id, campaign_id, answered_calls)
        VALUES (NEW.organization_id, NEW.campaign_id, 1);
    END IF;
    RETURN NEW;
END
$$;
CREATE OR REPLACE TRIGGER guard BEFORE INSERT OR UPDATE ON public.call_attempts FOR EACH ROW EXECUTE FUNCTION app.call_attempts_guard();

-- A changed due time goes through the waker again; terminal rows hold no lease.
CREATE OR REPLACE FUNCTION app.call_queue_guard() RETURNS trigger
LANGUAGE plpgsql SET search_path = ''
AS $$
BEGIN
    IF NEW.status <> 'queued' OR NEW.next_retry_at IS DISTINCT FROM OLD.next_retry_at THEN
        NEW.ready := false;
    END IF;
    IF NEW.status IN ('completed', 'failed') THEN
        NEW.lease_owner := NULL;
        NEW.leased_until := NULL;
        NEW.finished_at := coalesce(NEW.finished_at, now());
    ELSE
        NEW.finished_at := NULL;
    END IF;
    NEW.updated_at := now();
    RETURN NEW;
END
$$;
CREATE OR REPLACE TRIGGER guard BEFORE UPDATE ON public.call_queue FOR EACH ROW EXECUTE FUNCTION app.call_queue_guard();

CREATE OR REPLACE FUNCTION app.campaign_edge(old_status text, new_status text) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$
    SELECT (old_status, new_status) IN (('draft', 'active'), ('active', 'paused'), ('paused', 'active'),
                                        ('active', 'completed'), ('paused', 'completed'))
$$;

CREATE OR REPLACE FUNCTION app.campaigns_guard() RETURNS trigger
LANGUAGE plpgsql SET search_path = ''
AS $$
BEGIN
    IF NEW.status <> OLD.status AND NOT app.campaign_edge(OLD.status, NEW.status) THEN
        RAISE EXCEPTION 'illegal edge of a campaign: % to %', OLD.status, NEW.status USING ERRCODE = 'DW005';
    END IF;
    IF OLD.status = 'completed' AND NEW.completed_reason IS DISTINCT FROM OLD.completed_reason THEN
        RAISE EXCEPTION 'completed is final' USING ERRCODE = 'DW005';
    END IF;
    RETURN NEW;
END
$$;
CREATE OR REPLACE TRIGGER guard BEFORE UPDATE OF status, completed_reason ON public.campaigns
    FOR EACH ROW EXECUTE FUNCTION app.campaigns_guard();

-- Money that a campaign spent, from the ledger that everybody writes to. Rows of another currency are kept, and
-- count as they stand: a budget in one currency with a carrier in another is for the operator to see.
CREATE OR REPLACE FUNCTION app.usage_count() RETURNS trigger
LANGUAGE plpgsql SET search_path = ''
AS $$
DECLARE
    grown int8 := NEW.cost_micros - CASE WHEN TG_OP = 'UPDATE' THEN OLD.cost_micros ELSE 0 END;
BEGIN
    IF NEW.campaign_id IS NOT NULL AND grown <> 0 THEN
        INSERT INTO public.campaign_deltas (organization_id, campaign_id, spent_micros)
        VALUES (NEW.organization_id, NEW.campaign_id, grown);
    END IF;
    RETURN NULL;
END
$$;
CREATE OR REPLACE FUNCTION app.usage_campaign() RETURNS trigger
LANGUAGE plpgsql SET search_path = ''
AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND (NEW.organization_id, NEW.campaign_id, NEW.call_log_id)
                            IS DISTINCT FROM (OLD.organization_id, OLD.campaign_id, OLD.call_log_id) THEN
        RAISE EXCEPTION 'a ledger row keeps its call' USING ERRCODE = 'DW006';
    END IF;
    IF TG_OP = 'INSERT' AND NEW.campaign_id IS NULL AND NEW.call_log_id IS NOT NULL THEN
        NEW.campaign_id := (SELECT l.campaign_id FROM public.call_logs l
                             WHERE l.organization_id = NEW.organization_id AND l.id = NEW.call_log_id);
    END IF;
    RETURN NEW;
END
$$;
CREATE OR REPLACE TRIGGER campaign BEFORE INSERT OR UPDATE ON public.usage_ledger FOR EACH ROW EXECUTE FUNCTION app.usage_campaign();
CREATE OR REPLACE TRIGGER count_usage AFTER INSERT OR UPDATE OF cost_micros ON public.usage_ledger
    FOR EACH ROW EXECUTE FUNCTION app.usage_count();

-- A refusal is only ever lifted, by name and with a reason; then it stays as it is.
CREATE OR REPLACE FUNCTION app.do_not_call_guard() RETURNS trigger
LANGUAGE plpgsql SET search_path = ''
AS $$
BEGIN
    IF OLD.lifted_at IS NOT NULL
       OR to_jsonb(NEW) - '{lifted_at,lifted_by,lift_reason}'::text[]
          IS DISTINCT FROM to_jsonb(OLD) - '{lifted_at,lifted_by,lift_reason}'::text[] THEN
        RAISE EXCEPTION 'a do-not-call entry is lifted, not edited' USING ERRCODE = 'DW006';
    END IF;
    INSERT INTO public.audit_log (organization_id, at, actor, action, subject, subject_id, detail)
    VALUES (NEW.organization_id, NEW.lifted_at, NEW.lifted_by, 'do_not_call.lift', 'do_not_call', NEW.id,
            jsonb_build_object('reason', NEW.lift_reason));
    RETURN NEW;
END
$$;
CREATE OR REPLACE TRIGGER guard BEFORE UPDATE ON public.do_not_call FOR EACH ROW EXECUTE FUNCTION app.do_not_call_guard();

CREATE OR REPLACE FUNCTION app.consents_guard() RETURNS trigger
LANGUAGE plpgsql SET search_path = ''
AS $$
BEGIN
    IF OLD.revoked_at IS NOT NULL AND NEW.revoked_at IS DISTINCT FROM OLD.revoked_at
       OR to_jsonb(NEW) - '{revoked_at,revoked_reason,updated_at}'::text[]
          IS DISTINCT FROM to_jsonb(OLD) - '{revoked_at,revoked_reason,updated_at}'::text[] THEN
        RAISE EXCEPTION 'a consent is revoked, not edited' USING ERRCODE = 'DW006';
    END IF;
    RETURN NEW;
END
$$;
CREATE OR REPLACE TRIGGER guard BEFORE UPDATE ON public.consents FOR EACH ROW EXECUTE FUNCTION app.consents_guard();

-- The chain of a tenant's audit log: each digest covers the row and the digest before it.
CREATE OR REPLACE FUNCTION app.audit_digest(a public.audit_log) RETURNS bytea
LANGUAGE sql STABLE SET search_path = ''
AS $$
    SELECT sha256(coalesce(a.previous_digest, ''::bytea) || convert_to(concat_ws('|', a.organization_id, a.sequence,
        extract(epoch FROM a.at), a.actor, a.action, a.subject, a.subject_id, a.detail), 'UTF8'))
$$;
CREATE OR REPLACE FUNCTION app.audit_chain() RETURNS trigger
LANGUAGE plpgsql SET search_path = ''
AS $$
DECLARE
    latest record;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('audit' || NEW.organization_id::text, 0));
    SELECT a.sequence, a.digest INTO latest FROM public.audit_log a
     WHERE a.organization_id = NEW.organization_id ORDER BY a.sequence DESC LIMIT 1;
    NEW.sequence := coalesce(latest.sequence, 0) + 1;
    NEW.previous_digest := latest.digest;
    NEW.digest := app.audit_digest(NEW);
    RETURN NEW;
END
$$;
CREATE OR REPLACE TRIGGER chain BEFORE INSERT ON public.audit_log FOR EACH ROW EXECUTE FUNCTION app.audit_chain();

CREATE OR REPLACE FUNCTION app.append_only() RETURNS trigger
LANGUAGE plpgsql SET search_path = ''
AS $$
BEGIN
    RAISE EXCEPTION '% only grows', TG_TABLE_NAME USING ERRCODE = 'DW006';
END
$$;
CREATE OR REPLACE TRIGGER append_only BEFORE UPDATE OR DELETE ON public.audit_log FOR EACH ROW EXECUTE FUNCTION app.append_only();
CREATE OR REPLACE TRIGGER no_delete BEFORE DELETE ON public.do_not_call FOR EACH ROW EXECUTE FUNCTION app.append_only();
CREATE OR REPLACE TRIGGER no_delete BEFORE DELETE ON public.call_logs FOR EACH ROW EXECUTE FUNCTION app.append_only();
CREATE OR REPLACE TRIGGER no_delete BEFORE DELETE ON public.call_attempts FOR EACH ROW EXECUTE FUNCTION app.append_only();

-- Each tenant, account and campaign has its row in claim_pace from the start. A newcomer begins where the least
-- served of its peers stands, or it would take every line until it had caught up.
CREATE OR REPLACE FUNCTION app.claim_pace_begin() RETURNS trigger
LANGUAGE plpgsql SET search_path = ''
AS $$
BEGIN
    INSERT INTO public.claim_pace (organization_id, scope, scope_id, served)
    SELECT NEW.organization_id, TG_ARGV[0], NEW.id, coalesce(min(p.served), 0)
      FROM public.claim_pace p
     WHERE p.organization_id = NEW.organization_id AND p.scope = TG_ARGV[0];
    RETURN NULL;
END
$$;
CREATE OR REPLACE TRIGGER claim_pace AFTER INSERT ON public.organizations FOR EACH ROW EXECUTE FUNCTION app.claim_pace_begin('tenant');
CREATE OR REPLACE TRIGGER claim_pace AFTER INSERT ON public.carrier_accounts FOR EACH ROW EXECUTE FUNCTION app.claim_pace_begin('account');
CREATE OR REPLACE TRIGGER claim_pace AFTER INSERT ON public.campaigns FOR EACH ROW EXECUTE FUNCTION app.claim_pace_begin('campaign');

RESET ROLE;
