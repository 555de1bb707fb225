-- Refusals, consents and agents from the command line.
SET LOCAL ROLE app_owner;

-- Nobody who asked not to be called stays in a queue. Rows being dialed are stopped by the gate at answer.
CREATE OR REPLACE FUNCTION app.dnc_stop_queue(phone text, campaign uuid, at timestamptz) RETURNS int4
LANGUAGE plpgsql SET search_path = ''
AS $$
DECLARE
    stopped int4;
BEGIN
    UPDATE public.call_queue q
       SET status = 'failed', last_error = CASE WHEN campaign IS NULL THEN 'dnc_internal' ELSE 'dnc_campaign' END,
           finished_at = at, callback_at = NULL
      FROM public.leads l
     WHERE l.organization_id = app.org_required() AND l.phone_e164 = phone
       AND q.organization_id = l.organization_id AND q.lead_id = l.id AND q.status = 'queued'
       AND (campaign IS NULL OR q.campaign_id = campaign);
    GET DIAGNOSTICS stopped = ROW_COUNT;
    RETURN stopped;
END
$$;

CREATE OR REPLACE FUNCTION app.dnc_put(phone text, campaign text, why text, words text, actor text, at timestamptz) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = ''
AS $$
DECLARE
    org uuid := app.org_required();
    target uuid := CASE WHEN campaign IS NOT NULL THEN app.campaign_find(campaign) END;
    made uuid;
    stopped int4;
BEGIN
    INSERT INTO public.do_not_call (organization_id, phone_e164, campaign_id, reason, source, words, added_by, added_at)
    VALUES (org, phone, target, why, 'manual', words, left(actor, 200), at)
    ON CONFLICT DO NOTHING RETURNING id INTO made;
    stopped := app.dnc_stop_queue(phone, target, at);
    RETURN app.change_row('do not call', phone, made, CASE WHEN made IS NULL THEN 'unchanged' ELSE 'created' END, actor,
               jsonb_build_object('reason', why, 'campaign', target, 'queue_rows_stopped', stopped), at)
        || jsonb_build_object('queue_rows_stopped', stopped);
END
$$;

CREATE OR REPLACE FUNCTION app.dnc_listing(of_phone text, want int4) RETURNS jsonb
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = ''
AS $$
    SELECT jsonb_build_object('entries', coalesce(jsonb_agg(to_jsonb(e) ORDER BY e.added_at DESC, e.id DESC), '[]'),
               'barred', coalesce(bool_or(e.lifted_at IS NULL), false),
               'total', (SELECT count(*) FROM public.do_not_call x WHERE x.organization_id = app.org_required()
                            AND x.lifted_at IS NULL AND (of_phone IS NULL OR x.phone_e164 = of_phone)))
      FROM (SELECT d.id, d.phone_e164 AS phone, c.name AS campaign, d.reason, d.source, d.words, d.added_by, d.added_at,
                   d.lifted_at, d.lifted_by, d.lift_reason
              FROM public.do_not_call d
              LEFT JOIN public.campaigns c ON c.organization_id = d.organization_id AND c.id = d.campaign_id
             WHERE d.organization_id = app.org_required() AND (d.phone_e164 = of_phone OR (of_phone IS NULL AND d.lifted_at IS NULL))
             ORDER BY d.added_at DESC, d.id DESC LIMIT want) e
$$;

-- An audited act. Rows that the refusal had ended may be dialed again where their campaign still runs.
CREATE OR REPLACE FUNCTION app.dnc_lift(phone text, why text, actor text, at timestamptz) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = ''
AS $$
DECLARE
    org uuid := app.org_required();
    lifted int4;
    requeued int8 := 0;
BEGIN
    UPDATE public.do_not_call d SET lifted_at = at, lifted_by = left(actor, 200), lift_reason = why
     WHERE d.organization_id = org AND d.phone_e164 = phone AND d.lifted_at IS NULL;
    GET DIAGNOSTICS lifted = ROW_COUNT;
    IF lifted > 0 THEN
        requeued := app.requeue_cured(org, phone, NULL, '{dnc_internal,dnc_campaign}', at);
    END IF;
    RETURN app.change_row('do not call', phone, NULL, CASE WHEN lifted > 0 THEN 'lifted' ELSE 'unchanged' END, actor,
               jsonb_build_object('reason', why, 'entries', lifted, 'requeued', requeued), at)
        || jsonb_build_object('entries', lifted, 'requeued', requeued);
END
$$;

-- Consent needs evidence; the table refuses an empty object.
CREATE OR REPLACE FUNCTION app.consent_put(doc jsonb, actor text, at timestamptz) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = ''
AS $$
DECLARE
    org uuid := app.org_required();
    made uuid;
    seller text;
BEGIN
    IF coalesce(doc ->> 'evidence', '') = '' THEN
        RETURN jsonb_build_object('refused', format('consent of %s: no consent without evidence', doc ->> 'phone'));
    END IF;
    IF (doc ->> 'granted_at')::timestamptz > at THEN
        RETURN jsonb_build_object('refused', format('consent of %s: granted_at lies in the future', doc ->> 'phone'));
    END IF;
    SELECT coalesce(doc ->> 'seller', o.legal_name, o.name) INTO seller FROM public.organizations o WHERE o.id = org;
    INSERT INTO public.consents (organization_id, phone_e164, lead_id, scope, level, seller, source, evidence, granted_at, expires_at)
    VALUES (org, doc ->> 'phone',
            (SELECT l.id FROM public.leads l
              WHERE l.organization_id = org AND l.phone_e164 = doc ->> 'phone' AND l.archived_at IS NULL),
            coalesce(doc ->> 'scope', 'ai_voice'), coalesce(doc ->> 'level', 'express'), seller,
            coalesce(doc ->> 'source', 'manual'), jsonb_build_object('words', doc ->> 'evidence', 'entered_by', actor),
            (doc ->> 'granted_at')::timestamptz, (doc ->> 'expires_at')::timestamptz)
    ON CONFLICT DO NOTHING RETURNING id INTO made;
    RETURN app.change_row('consent', doc ->> 'phone', made, CASE WHEN made IS NULL THEN 'unchanged' ELSE 'created' END, actor, doc, at);
END
$$;

CREATE OR REPLACE FUNCTION app.consent_listing(of_phone text, want int4) RETURNS jsonb
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = ''
AS $$
    SELECT jsonb_build_object('consents', coalesce(jsonb_agg(to_jsonb(k) ORDER BY k.granted_at DESC, k.id), '[]'))
      FROM (SELECT c.id, c.phone_e164 AS phone, c.scope, c.level, c.seller, c.source, c.evidence, c.granted_at, c.expires_at,
                   c.revoked_at, c.revoked_reason
              FROM public.consents c
             WHERE c.organization_id = app.org_required() AND (of_phone IS NULL OR c.phone_e164 = of_phone)
             ORDER BY c.granted_at DESC, c.id LIMIT want) k
$$;

CREATE OR REPLACE FUNCTION app.consent_revoke(phone text, of_scope text, why text, actor text, at timestamptz) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = ''
AS $$
DECLARE
    revoked int4;
BEGIN
    UPDATE public.consents c SET revoked_at = at, revoked_reason = why
     WHERE c.organization_id = app.org_required() AND c.phone_e164 = phone AND c.revoked_at IS NULL
       AND (of_scope IS NULL OR c.scope = of_scope);
    GET DIAGNOSTICS revoked = ROW_COUNT;
    RETURN app.change_row('consent', phone, NULL, CASE WHEN revoked > 0 THEN 'revoked' ELSE 'unchanged' END, actor,
               jsonb_build_object('scope', of_scope, 'reason', why, 'entries', revoked), at)
        || jsonb_build_object('entries', revoked);
END
$$;

CREATE OR REPLACE FUNCTION app.agent_listing() RETURNS jsonb
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = ''
AS $$
    SELECT jsonb_build_object('agents', coalesce(jsonb_agg(jsonb_build_object('id', p.id, 'name', p.name, 'email', p.email,
               'phone', p.phone_e164, 'state', coalesce(a.state, 'offline'), 'state_since', a.state_since,
               'skills', coalesce(a.skills, '{}'), 'languages', coalesce(a.languages, '{}')) ORDER BY p.name, p.id), '[]'))
      FROM public.profiles p
      LEFT JOIN public.agent_presence a ON a.organization_id = p.organization_id AND a.profile_id = p.id
     WHERE p.organization_id = app.org_required() AND p.role = 'agent' AND p.archived_at IS NULL
$$;

-- available or offline, by the agent's name or email. An agent in a call is left to the call.
CREATE OR REPLACE FUNCTION app.agent_state(who text, wanted text, actor text, at timestamptz) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = ''
AS $$
DECLARE
    org uuid := app.org_required();
    agent public.profiles;
    here text;
BEGIN
    SELECT p.* INTO agent FROM public.profiles p
     WHERE p.organization_id = org AND p.role = 'agent' AND p.archived_at IS NULL AND (p.name = who OR p.email = who) LIMIT 1;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'no agent %', who USING ERRCODE = 'P0002';
    END IF;
    IF wanted = 'available' AND agent.phone_e164 IS NULL THEN
        RETURN jsonb_build_object('refused', format('agent %s has no phone number', who));
    END IF;
    INSERT INTO public.agent_presence (organization_id, profile_id, state_since) VALUES (org, agent.id, at) ON CONFLICT DO NOTHING;
    SELECT a.state INTO here FROM public.agent_presence a WHERE a.organization_id = org AND a.profile_id = agent.id FOR UPDATE;
    IF here IN ('ringing', 'on_call') THEN
        RETURN jsonb_build_object('refused', format('agent %s is in a call (%s)', who, here));
    END IF;
    IF here <> wanted THEN
        UPDATE public.agent_presence a SET state = wanted, state_since = at
         WHERE a.organization_id = org AND a.profile_id = agent.id;
    END IF;
    RETURN app.change_row('agent', agent.name, agent.id, CASE WHEN here = wanted THEN 'unchanged' ELSE 'updated' END, actor,
               jsonb_build_object('from', here, 'to', wanted), at) || jsonb_build_object('state', wanted);
END
$$;

-- What `doctor` can see from inside one tenant.
CREATE OR REPLACE FUNCTION app.tenant_check(at timestamptz) RETURNS jsonb
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = ''
AS $$
    SELECT jsonb_build_object(
        'carrier_accounts', (SELECT coalesce(jsonb_agg(jsonb_build_object('name', a.name, 'id', a.id, 'auth_id', a.auth_id, 'status', a.status,
                                   'has_token', a.auth_token_sealed IS NOT NULL)), '[]')
                               FROM public.carrier_accounts a WHERE a.organization_id = app.org_required()),
        'numbers', (SELECT count(*) FROM public.phone_numbers p
                     WHERE p.organization_id = app.org_required() AND p.status = 'active'),
        'regions', (SELECT coalesce(jsonb_agg(r.region ORDER BY r.region), '[]') FROM public.region_enablements r
                     WHERE r.organization_id = app.org_required() AND r.disabled_at IS NULL),
        'pauses', (SELECT count(*) FROM public.dial_pauses p
                    WHERE p.organization_id = app.org_required() AND p.paused_at <= at AND p.resumed_at IS NULL),
        'unknown_calls', (SELECT count(*) FROM public.call_logs l
                           WHERE l.organization_id = app.org_required() AND l.status = 'outcome_unknown'))
$$;

-- A set-up file: every part of it, or, when one is refused, none.
CREATE OR REPLACE FUNCTION app.setup_apply(doc jsonb, actor text, at timestamptz) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = ''
AS $$
DECLARE
    changes jsonb := '[]';
    part record;
    change jsonb;
BEGIN
    FOR part IN
        -- In the order in which they need one another.
        SELECT k.kind, e.item
          FROM (VALUES (1, 'organization'), (2, 'carrier'), (3, 'numbers'), (4, 'agents'), (5, 'regions'), (6, 'consents'),
                       (7, 'do_not_call'), (8, 'retry_policies'), (9, 'campaigns')) AS k (place, kind),
               jsonb_array_elements(CASE jsonb_typeof(doc -> k.kind) WHEN 'array' THEN doc -> k.kind
                                         WHEN 'object' THEN jsonb_build_array(doc -> k.kind) ELSE '[]' END)
               WITH ORDINALITY AS e (item, ordinal)
         ORDER BY k.place, e.ordinal
    LOOP
        change := CASE part.kind
            WHEN 'organization' THEN app.org_put(part.item, actor, at)
            WHEN 'carrier' THEN app.carrier_put(part.item, actor, at)
            WHEN 'numbers' THEN app.number_put(part.item, actor, at)
            WHEN 'agents' THEN app.agent_put(part.item, actor, at)
            WHEN 'regions' THEN app.region_put(part.item #>> '{}', actor, 'set-up file', at)
            WHEN 'consents' THEN app.consent_put(part.item, actor, at)
            WHEN 'do_not_call' THEN app.dnc_put(part.item ->> 'phone', NULL, coalesce(part.item ->> 'reason', 'manual'),
                                                part.item ->> 'words', actor, at)
            WHEN 'retry_policies' THEN app.retry_policy_put(part.item, actor, at)
            ELSE app.campaign_put(part.item, actor, at) END;
        IF change ? 'refused' THEN
            RAISE EXCEPTION '%', change ->> 'refused' USING ERRCODE = 'DW070';
        END IF;
        changes := changes || change;
    END LOOP;
    RETURN jsonb_build_object('changes', changes);
END
$$;

RESET ROLE;
SET LOCAL ROLE app_engine;

-- What `doctor` can see of the whole: server, clock, roles, tables without forced row-level security, nodes.
CREATE OR REPLACE FUNCTION engine.platform_check(at timestamptz) RETURNS jsonb
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = ''
AS $$
    SELECT jsonb_build_object(
        'server_version', current_setting('server_version'),
        'server_version_num', current_setting('server_version_num')::int4,
        'clock_skew_ms', round(extract(epoch FROM clock_timestamp() - at) * 1000),
        'login', session_user,
        'login_is_super', r.rolsuper, 'login_bypasses_rls', r.rolbypassrls,
        'login_inherits', r.rolinherit,
        'synchronous_commit', current_setting('synchronous_commit'),
        'fsync', current_setting('fsync'),
        'organizations', (SELECT count(*) FROM public.organizations o WHERE o.archived_at IS NULL),
        'unforced', (SELECT coalesce(jsonb_agg(c.relname), '[]') FROM pg_catalog.pg_class c
                      WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')
                        AND c.relowner = 'app_owner'::regrole AND NOT c.relforcerowsecurity),
        'context_keys', (SELECT count(*) FROM app.context_keys k WHERE k.retired_at IS NULL),
        'nodes', (SELECT coalesce(jsonb_agg(jsonb_build_object('name', n.name, 'version', n.version,
                            'silent_s', round(extract(epoch FROM at - n.heartbeat_at)))), '[]')
                    FROM public.nodes n WHERE n.stopped_at IS NULL AND n.heartbeat_at > at - interval '1 day'),
        'paused', (SELECT count(*) FROM public.platform_pauses p WHERE p.resumed_at IS NULL AND p.paused_at <= at))
      FROM pg_catalog.pg_roles r WHERE r.rolname = session_user
$$;

RESET ROLE;
-- Every function of these four files is for the command line, which works as app_worker with a signed tenant.
SELECT app.functions_for('app',
    '{org_required, audit_put, json_pick, change_row, org_put, carrier_put, carrier_find, number_put, agent_put,
      region_put, retry_policy_put, campaign_find, campaign_numbers_put, campaign_put, campaign_lacks, campaign_act,
      campaign_status, campaign_listing, campaign_outcomes, campaign_funnel, campaign_calls, campaign_tasks,
      campaign_report, import_begin, consent_level_needed, consent_rank, import_batch, import_end, dnc_stop_queue,
      dnc_put, dnc_listing, dnc_lift, consent_put, consent_listing, consent_revoke, agent_listing, agent_state,
      tenant_check, setup_apply}');
SELECT app.functions_for('app',
    '{setup_apply, carrier_find, agent_put, campaign_put, campaign_act, campaign_status, campaign_listing,
      campaign_report, import_begin, import_batch, import_end, dnc_put, dnc_listing, dnc_lift, consent_put,
      consent_listing, consent_revoke, agent_listing, agent_state, tenant_check}', '{app_worker}');
REVOKE ALL ON FUNCTION engine.organization_find(text), engine.organization_create(text, text), engine.platform_check(timestamptz)
    FROM PUBLIC, anon, authenticated, service_role;
GRANT EXECUTE ON FUNCTION engine.organization_find(text), engine.organization_create(text, text), engine.platform_check(timestamptz)
    TO app_worker;
