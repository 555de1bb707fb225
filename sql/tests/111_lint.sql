-- Catalog lint: rules that every table, policy, function and grant of ours keeps. Each rule is a query whose rows are
-- offenders; a planted offender per rule shows that it bites.
BEGIN;
\ir fixture.psql
SELECT no_plan();

CREATE FUNCTION pg_temp.ours(o oid) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT o IN ('public'::regnamespace, 'app'::regnamespace, 'engine'::regnamespace)
$$;
-- Tables that belong to the platform: known by name, or they must be a tenant's.
CREATE TEMP TABLE platform (name regclass);
INSERT INTO platform VALUES ('public.nodes'), ('public.workers'), ('public.skip_reasons'), ('public.compliance_rules'), ('public.holidays'),
    ('public.zone_overrides'), ('public.platform_pauses'), ('app.context_keys'), ('app.claim_logins');
-- What `dialwright migrate` keeps its own account in, where it ran.
INSERT INTO platform SELECT c.oid FROM pg_class c WHERE c.relkind = 'r' AND pg_temp.ours(c.relnamespace) AND c.relname IN ('migrations', 'schema_migrations');

CREATE FUNCTION pg_temp.lint() RETURNS TABLE (rule text, offender text) LANGUAGE sql STABLE AS $lint$
    WITH tables AS (
        SELECT c.oid, c.oid::regclass AS name, c.relrowsecurity, c.relforcerowsecurity, c.relowner::regrole::text AS owner, c.relacl,
               EXISTS (SELECT FROM platform p WHERE p.name = c.oid) AS platform
          FROM pg_class c WHERE c.relkind IN ('r', 'p') AND pg_temp.ours(c.relnamespace)
    ), tenant AS (SELECT * FROM tables WHERE NOT platform),
    functions AS (
        SELECT p.*, p.oid::regprocedure::text AS name FROM pg_proc p
         WHERE pg_temp.ours(p.pronamespace)
           AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e')
    ), grants AS (
        SELECT t.name::text, a.grantee, a.privilege_type FROM tables t, aclexplode(t.relacl) AS a
    )
    SELECT 'row security is on and forced', name::text FROM tables WHERE NOT (relrowsecurity AND relforcerowsecurity) AND name NOT IN ('app.context_keys'::regclass, 'app.claim_logins'::regclass)
       AND name::text !~ 'migrations$'
    UNION ALL
    SELECT 'a tenant table has organization_id uuid not null', name::text FROM tenant t
     WHERE NOT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = t.oid AND a.attname = 'organization_id' AND a.attnotnull AND a.atttypid = 'uuid'::regtype)
    UNION ALL
    SELECT 'created_at timestamptz not null', name::text FROM tables t
     WHERE NOT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = t.oid AND a.attname = 'created_at' AND a.attnotnull AND a.atttypid = 'timestamptz'::regtype)
       AND name <> 'app.claim_logins'::regclass AND name::text !~ 'migrations$'
    UNION ALL
    SELECT 'the primary key is led by organization_id', t.name::text FROM tenant t
     WHERE t.name <> 'public.organizations'::regclass AND NOT EXISTS (
        SELECT FROM pg_constraint k JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = k.conkey[1]
         WHERE k.conrelid = t.oid AND k.contype = 'p' AND a.attname = 'organization_id')
    UNION ALL
    SELECT 'a unique index is led by organization_id', i.indexrelid::regclass::text
      FROM pg_index i JOIN tenant t ON t.oid = i.indrelid
     WHERE i.indisunique AND t.name <> 'public.organizations'::regclass
       AND NOT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = i.indrelid AND a.attnum = i.indkey[0] AND a.attname = 'organization_id')
    UNION ALL
    SELECT 'a foreign key carries the organization', k.conrelid::regclass || ' ' || k.conname
      FROM pg_constraint k JOIN tenant t ON t.oid = k.conrelid JOIN tenant r ON r.oid = k.confrelid
     WHERE k.contype = 'f' AND NOT EXISTS (
        SELECT FROM generate_subscripts(k.conkey, 1) AS i
          JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = k.conkey[i]
          JOIN pg_attribute b ON b.attrelid = k.confrelid AND b.attnum = k.confkey[i]
         WHERE a.attname = 'organization_id' AND b.attname IN ('organization_id', CASE WHEN r.name = 'public.organizations'::regclass THEN 'id' END))
    UNION ALL
    SELECT 'the policies are the two of app.protect()', t.name::text FROM tenant t
     WHERE (SELECT array_agg(p.polname || ' ' || (SELECT string_agg(r::regrole::text, ',' ORDER BY r::regrole::text) FROM unnest(p.polroles) AS r) || ' '
                             || p.polpermissive::text || p.polcmd::text || ' ' || pg_get_expr(p.polqual, p.polrelid) || ' ' || pg_get_expr(p.polwithcheck, p.polrelid) ORDER BY p.polname)
              FROM pg_policy p WHERE p.polrelid = t.oid)::text[] IS DISTINCT FROM
           ARRAY['engine app_engine true* true true',
                 'tenant app_owner,authenticated true* (organization_id = ( SELECT app.active_org() AS active_org)) (organization_id = ( SELECT app.active_org() AS active_org))']
    UNION ALL
    SELECT 'a platform table is read, not written, by tenants', p.polrelid::regclass::text FROM pg_policy p JOIN platform x ON x.name = p.polrelid
     WHERE (SELECT bool_or(r::regrole::text <> 'app_engine') FROM unnest(p.polroles) AS r) AND p.polcmd <> 'r'
    UNION ALL
    SELECT 'nothing is granted to the public or to anon', name FROM grants WHERE grantee = 0 OR grantee::regrole::text = 'anon'
    UNION ALL
    SELECT 'clients only read', name || ' ' || privilege_type FROM grants
     WHERE grantee::regrole::text IN ('authenticated', 'service_role', 'app_worker', 'app_login')
       AND (privilege_type <> 'SELECT' OR grantee::regrole::text IN ('app_worker', 'app_login'))
    UNION ALL
    SELECT 'TRUNCATE is granted to nobody', name FROM grants WHERE privilege_type = 'TRUNCATE' AND grantee::regrole::text <> 'app_engine' AND name !~ 'context_keys|claim_logins|migrations$'
    UNION ALL
    SELECT 'secrets have no reader', a.attrelid::regclass || '.' || a.attname FROM pg_attribute a JOIN tables t ON t.oid = a.attrelid
     WHERE a.attname ~ '(_sealed|_hash|_block)$' AND a.attnum > 0
       AND (has_column_privilege('authenticated', a.attrelid, a.attnum, 'SELECT') OR has_column_privilege('anon', a.attrelid, a.attnum, 'SELECT'))
    UNION ALL
    SELECT 'a definer function has an empty search_path', name FROM functions WHERE prosecdef AND NOT coalesce('search_path=""' = ANY (proconfig), false)
    UNION ALL
    SELECT 'a definer function belongs to app_owner or app_engine', name FROM functions WHERE prosecdef AND proowner::regrole::text NOT IN ('app_owner', 'app_engine')
    UNION ALL
    SELECT 'a cross-tenant function lives in engine', name FROM functions
     WHERE prosecdef AND proowner = 'app_engine'::regrole AND pronamespace <> 'engine'::regnamespace AND proname NOT IN ('active_org', 'context_valid', 'context_key_set')
    UNION ALL
    SELECT 'the public executes nothing', f.name FROM functions f
     WHERE f.proacl IS NULL OR EXISTS (SELECT FROM aclexplode(f.proacl) AS a WHERE a.grantee = 0 OR a.grantee::regrole::text = 'anon')
    UNION ALL
    SELECT 'clients execute only what is named here', f.name FROM functions f, aclexplode(f.proacl) AS a
     WHERE a.grantee <> 0 AND a.grantee::regrole::text IN ('authenticated', 'service_role') AND f.proname NOT IN ('active_org', 'sentiment_label')
    UNION ALL
    SELECT 'no function is called leakproof', name FROM functions WHERE proleakproof
    UNION ALL
    SELECT 'a view asks with the rights of its reader', c.oid::regclass::text FROM pg_class c
     WHERE c.relkind = 'v' AND pg_temp.ours(c.relnamespace) AND NOT coalesce('security_invoker=true' = ANY (c.reloptions), false)
       AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e')
    UNION ALL
    SELECT 'no materialized view is exposed', c.oid::regclass::text FROM pg_class c WHERE c.relkind = 'm' AND pg_temp.ours(c.relnamespace)
    UNION ALL
    SELECT 'times have a zone; no enums, no citext', t.name || '.' || a.attname FROM tables t JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped
      JOIN pg_type y ON y.oid = a.atttypid
     WHERE y.typname IN ('timestamp', 'citext') OR y.typtype = 'e'
    UNION ALL
    SELECT 'a vocabulary has a check', t.name || '.' || a.attname FROM tables t JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum > 0 AND a.atttypid = 'text'::regtype
     WHERE a.attname IN ('status', 'state', 'direction', 'role', 'channel', 'source', 'scope', 'level', 'disposition', 'interest_level', 'intent', 'speaker', 'heard', 'leg', 'kind')
       AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conrelid = t.oid AND k.contype = 'c' AND a.attnum = ANY (k.conkey))
    UNION ALL
    SELECT 'a number is E.164', t.name || '.' || a.attname FROM tables t JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum > 0
     WHERE a.attname IN ('phone_e164') AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conrelid = t.oid AND k.contype = 'c' AND a.attnum = ANY (k.conkey))
    UNION ALL
    -- Clocks may name a row, stamp it, or be compared with another clock; what decides is told the time.
    SELECT 'no decision reads the clock', name FROM functions
     WHERE prosrc ~* '\m(now\(\)|clock_timestamp|current_timestamp|localtimestamp|current_date|statement_timestamp)' AND prorettype <> 'trigger'::regtype
       AND proname NOT IN ('uuid7', 'context_key_set', 'context_valid', 'platform_check', 'heartbeat')
    UNION ALL
    SELECT 'ours is owned by our roles', name::text FROM tables WHERE owner NOT IN ('app_owner', 'app_engine') AND name::text !~ 'migrations$'
    UNION ALL
    SELECT 'our roles are held by row security', rolname::text FROM pg_roles
     WHERE rolname IN ('app_owner', 'app_engine', 'app_worker', 'app_login', 'anon', 'authenticated') AND (rolsuper OR rolbypassrls OR rolcreaterole OR rolcreatedb)
    UNION ALL
    SELECT 'the login role inherits nothing', rolname::text FROM pg_roles WHERE rolname = 'app_login' AND rolinherit
    UNION ALL
    SELECT 'nobody of ours is somebody else', m.member::regrole || ' in ' || m.roleid::regrole FROM pg_auth_members m
     WHERE m.member::regrole::text IN ('app_owner', 'app_engine', 'app_worker', 'app_login', 'anon', 'authenticated')
       AND NOT (m.member = 'app_login'::regrole AND m.roleid::regrole::text IN ('app_worker', 'authenticated', 'anon'))
    UNION ALL
    SELECT 'clients create nothing', n.nspname || ' ' || r.rolname FROM pg_namespace n, pg_roles r
     WHERE pg_temp.ours(n.oid) AND r.rolname IN ('anon', 'authenticated', 'app_worker', 'app_login') AND has_schema_privilege(r.rolname, n.oid, 'CREATE')
$lint$;
SELECT is((SELECT string_agg(rule || ': ' || offender, E'\n') FROM pg_temp.lint()), NULL, 'the catalog is clean');

-- What each rule is there for, planted; each must be reported by its rule.
CREATE FUNCTION pg_temp.planted(change text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    rules text;
BEGIN
    BEGIN
        EXECUTE change;
        SELECT string_agg(DISTINCT rule, '; ' ORDER BY rule) INTO rules FROM pg_temp.lint();
        RAISE EXCEPTION 'undo' USING ERRCODE = 'DW998';
    EXCEPTION WHEN SQLSTATE 'DW998' THEN
        RETURN rules;
    END;
END
$$;
SELECT matches(pg_temp.planted(change), rule, 'found: ' || change) FROM (VALUES
    ('CREATE TABLE public.loose (id int)', 'row security is on and forced'),
    ('CREATE TABLE public.loose (id int)', 'a tenant table has organization_id'),
    ('CREATE TABLE public.loose (id int)', 'created_at'),
    ('CREATE TABLE public.loose (id int PRIMARY KEY)', 'primary key is led'),
    ('CREATE TABLE public.loose (id int)', 'ours is owned by our roles'),
    ('CREATE UNIQUE INDEX loose ON public.leads (email)', 'a unique index is led'),
    ('CREATE UNIQUE INDEX loose ON public.leads (id); ALTER TABLE public.call_turns ADD loose uuid REFERENCES public.leads (id)', 'a foreign key carries'),
    ('CREATE POLICY loose ON public.leads USING (true)', 'the policies are the two'),
    ('ALTER POLICY tenant ON public.leads USING (organization_id = app.active_org())', 'the policies are the two'),
    ('CREATE POLICY loose ON public.holidays TO authenticated USING (true)', 'a platform table is read'),
    ('GRANT SELECT ON public.leads TO anon', 'nothing is granted'),
    ('GRANT SELECT ON public.leads TO PUBLIC', 'nothing is granted'),
    ('GRANT UPDATE ON public.leads TO authenticated', 'clients only read'),
    ('GRANT TRUNCATE ON public.leads TO service_role', 'TRUNCATE'),
    ('GRANT SELECT ON public.carrier_accounts TO authenticated', 'secrets have no reader'),
    ('ALTER FUNCTION app.active_org() RESET search_path', 'empty search_path'),
    ('CREATE FUNCTION app.loose() RETURNS int LANGUAGE sql SECURITY DEFINER AS ''SELECT 1''', 'belongs to app_owner'),
    ('ALTER FUNCTION app.call_brief(uuid, timestamptz) OWNER TO app_engine', 'lives in engine'),
    ('CREATE FUNCTION app.loose() RETURNS int LANGUAGE sql AS ''SELECT 1''', 'the public executes nothing'),
    ('GRANT EXECUTE ON FUNCTION app.call_brief(uuid, timestamptz) TO authenticated', 'clients execute only'),
    ('ALTER FUNCTION app.is_holiday(text, date) LEAKPROOF', 'leakproof'),
    ('CREATE VIEW public.loose AS SELECT 1 AS a', 'a view asks'),
    ('CREATE MATERIALIZED VIEW public.loose AS SELECT 1 AS a', 'no materialized view'),
    ('ALTER TABLE public.leads ADD loose timestamp', 'times have a zone'),
    ('ALTER TABLE public.leads ADD state text', 'a vocabulary has a check'),
    ('ALTER TABLE public.profiles DROP CONSTRAINT profiles_phone_e164_check', 'a number is E.164'),
    ('CREATE FUNCTION app.loose() RETURNS timestamptz LANGUAGE sql AS ''SELECT now()''', 'no decision reads the clock'),
    ('ALTER ROLE app_worker BYPASSRLS', 'held by row security'),
    ('ALTER ROLE app_login INHERIT', 'inherits nothing'),
    ('GRANT app_engine TO app_worker', 'nobody of ours'),
    ('GRANT CREATE ON SCHEMA app TO authenticated', 'clients create nothing')
  ) AS p (change, rule);

-- Contract columns, by name.
SELECT is((SELECT string_agg(w, ', ') FROM regexp_split_to_table(cols, ',\s*') AS w
            WHERE NOT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = ('public.' || name)::regclass AND a.attname = w AND a.attnum > 0)), NULL, name || ' has its contract columns')
  FROM (VALUES
    ('call_logs', 'id, organization_id, lead_id, campaign_id, project_id, call_sid, direction, caller_number, callee_number, status, call_status, duration, recording_url, conversation_transcript, sentiment_score, interest_level, conversation_summary, transferred, transferred_at, transfer_reason, disconnect_reason, disconnect_notes, ai_analysis, disposition'),
    ('campaigns', 'id, organization_id, project_id, name, description, status, start_date, end_date, time_start, time_end, total_calls, answered_calls, transferred_calls, avg_sentiment_score, metadata'),
    ('call_queue', 'campaign_id, lead_id, status, attempt_count, max_attempts, next_retry_at, last_error'),
    ('call_attempts', 'lead_id, campaign_id, call_log_id, attempt_number, channel, outcome, duration, will_retry, next_retry_at, retry_reason, voicemail_detected'),
    ('agent_calls', 'lead_id, campaign_id, ai_call_log_id, agent_id, agent_name, call_sid, started_at, ended_at, duration, recording_url, transcript, outcome, next_action, next_action_date, agent_notes, sentiment_score, interest_level, objections'),
    ('conversation_insights', 'call_log_id, lead_id, overall_sentiment, sentiment_label, primary_emotion, intent, interest_level, objections, key_phrases, budget_mentioned, budget_range, timeline_mentioned, timeline, recommended_action, priority_score'),
    ('follow_up_tasks', 'lead_id, campaign_id, assigned_to, created_by, task_type, title, description, priority, due_date, status, context, ai_suggestion, source, outcome, outcome_notes')) AS c (name, cols);
SELECT has_trigger('public', 'conversation_insights', 'update_score_on_insight', 'the trigger has its name');
SELECT * FROM finish();
ROLLBACK;
