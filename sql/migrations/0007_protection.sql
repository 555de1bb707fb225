-- Row-level security for every table so far. app.protect() is for tenant tables, app.protect_platform() for the
-- few that belong to nobody; a table that is neither fails the lint.
SET LOCAL ROLE app_owner;

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['organizations', 'profiles', 'projects', 'phone_numbers', 'retry_policies', 'campaigns',
        'campaign_numbers', 'imports', 'import_rejects', 'leads', 'call_queue', 'call_logs', 'call_attempts', 'call_turns',
        'call_events', 'recordings', 'usage_ledger', 'agent_presence', 'agent_calls', 'analysis_jobs',
        'conversation_insights', 'insight_history', 'score_weights', 'lead_scores', 'follow_up_tasks',
        'region_enablements', 'dnc_lists', 'do_not_call', 'consents', 'dial_pauses', 'audit_log'] LOOP
        PERFORM app.protect(format('public.%I', name)::regclass);
    END LOOP;
    -- Secrets and machinery: no client reads them, or not every column.
    FOREACH name IN ARRAY ARRAY['media_tokens', 'campaign_deltas', 'claim_pace', 'outbox'] LOOP
        PERFORM app.protect(format('public.%I', name)::regclass, '');
    END LOOP;
    FOREACH name IN ARRAY ARRAY['skip_reasons', 'compliance_rules', 'holidays', 'zone_overrides', 'platform_pauses'] LOOP
        PERFORM app.protect_platform(format('public.%I', name)::regclass, true);
    END LOOP;
    FOREACH name IN ARRAY ARRAY['nodes', 'workers'] LOOP
        PERFORM app.protect_platform(format('public.%I', name)::regclass, false);
    END LOOP;
END
$$;
SELECT app.protect('public.carrier_accounts', 'organization_id, id, name, provider, auth_id, status, lines,'
    ' calls_per_second, unknown_limit, created_at, updated_at');
SELECT app.protect('public.webhook_endpoints', 'organization_id, id, url, events, status, created_at, updated_at');
SELECT app.protect('public.api_keys', 'organization_id, id, name, prefix, scopes, profile_id, last_used_at, expires_at,'
    ' revoked_at, created_at');

-- The ledger of refusals, consents and acts only grows; the engine neither.
REVOKE DELETE ON TABLE public.call_logs, public.call_attempts, public.do_not_call, public.consents,
    public.audit_log, public.organizations, public.campaigns, public.leads FROM app_engine, app_owner;
REVOKE UPDATE ON TABLE public.audit_log FROM app_engine, app_owner;
-- The rules are changed by whoever migrates, never by a function of the system.
REVOKE INSERT, UPDATE, DELETE ON TABLE public.compliance_rules, public.holidays, public.skip_reasons FROM app_engine;
REVOKE TRUNCATE ON ALL TABLES IN SCHEMA public FROM app_owner;

RESET ROLE;
