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
-- Machinery and law that came later; a name that is not there is no platform table.
INSERT INTO platform SELECT to_regclass('public.' || n) FROM unnest('{installation,dial_histories,dial_replays,area_jurisdictions,jurisdiction_zones}'::text[]) AS n
 WHERE to_regclass('public.' || n) IS NOT NULL;
-- What `dialwright migrate` keeps its own account in, where it ran.
INSERT INTO platform SELECT c.oid FROM pg_class c WHERE c.relkind = 'r' AND pg_temp.ours(c.relnamespace) AND c.relname IN ('migrations', 'schema_migrations');

CREATE FUNCTION pg_temp.lint() RETURNS TABLE (rule text, offender text) LANGUAGE sql STABLE AS $lint$
    WITH tables AS (
        SELECT c.oid, c.oid::regclass AS name, c.relrowsecurity, c.relforcerowsecurity, c.relowner::regrole::text AS owner, c.relacl,
               EXISTS (SELECT FROM platform p WHERE p.name = c.oid) AS platform
          FROM pg_class c WHERE c.relkind IN ('r', 'p') AND pg_temp.ours(c.relnamespace)
    ), tenant AS (
        -- What lacks the column is reported for that, and not for all that follows from it.
        SELECT *, EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = t.oid AND a.attname = 'organization_id' AND a.attnotnull AND a.atttypid = 'uuid'::regtype) AS proper
          FROM tables t WHERE NOT platform
    ),
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
    SELECT 'a tenant table has organization_id uuid not null', name::text FROM tenant t WHERE NOT proper
    UNION ALL
    SELECT 'created_at timestamptz not null', name::text FROM tables t
     WHERE NOT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = t.oid AND a.attname = 'created_at' AND a.attnotnull AND a.atttypid = 'timestamptz'::regtype)
       AND name <> 'app.claim_logins'::regclass AND name::text !~ 'migrations$'
    UNION ALL
    SELECT 'the primary key is led by organization_id', t.name::text FROM tenant t
     WHERE proper AND t.name <> 'public.organizations'::regclass AND NOT EXISTS (
        SELECT FROM pg_constraint k JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = k.conkey[1]
         WHERE k.conrelid = t.oid AND k.contype = 'p' AND a.attname = 'organization_id')
    UNION ALL
    SELECT 'a unique index is led by organization_id', i.indexrelid::regclass::text
      FROM pg_index i JOIN tenant t ON t.oid = i.indrelid
     WHERE proper AND i.indisunique AND NOT i.indisprimary AND t.name <> 'public.organizations'::regclass
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
     WHERE proper AND (SELECT array_agg(p.polname || ' ' || (SELECT string_agg(r::regrole::text, ',' ORDER BY r::regrole::text) FROM unnest(p.polroles) AS r) || ' '
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
    SELECT 'TRUNCATE is granted to nobody', name FROM grants WHERE privilege_type = 'TRUNCATE' AND NOT (grantee = 'app_engine'::regrole AND name ~ 'context_keys|claim_logins') AND name !~ 'migrations$'
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
       AND proname NOT IN ('uuid7', 'context_key_set', 'context_valid', 'platform_check', 'heartbeat', 'worker_start', 'dial_check_in', 'node_dead')
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
    UNION ALL
    -- With an empty search_path the caller's temporary tables still come first for a bare name.
    SELECT 'a definer function names its tables in full', f.name FROM functions f
     WHERE f.prosecdef AND f.prosrc ~* ('\m(from|join|into|update|using)\s+(only\s+)?(' || (SELECT string_agg(c.relname, '|') FROM pg_class c
            WHERE c.relkind IN ('r', 'p', 'v') AND pg_temp.ours(c.relnamespace)) || ')\M(?!\s*(\.|AS\s*\())')
       -- A WITH query of the same name is no table.
       AND NOT f.prosrc ~* ('\m(' || (SELECT string_agg(c.relname, '|') FROM pg_class c WHERE c.relkind IN ('r', 'p', 'v') AND pg_temp.ours(c.relnamespace)) || ')\s+AS\s+(MATERIALIZED\s+)?\(')
    UNION ALL
    -- A counter of the platform tells a tenant how busy the others are; registers that only their owner reads tell nobody.
    SELECT 'no sequence is shared', c.oid::regclass::text FROM pg_class c
     WHERE c.relkind = 'S' AND pg_temp.ours(c.relnamespace)
       AND (EXISTS (SELECT FROM aclexplode(c.relacl) AS a WHERE a.grantee <> c.relowner)
            OR EXISTS (SELECT FROM pg_depend d JOIN tenant t ON t.oid = d.refobjid WHERE d.objid = c.oid AND d.deptype IN ('a', 'i')))
    UNION ALL
    -- Any role may listen.
    SELECT 'nothing is told by notification', name FROM functions WHERE prosrc ~* '\m(pg_notify|notify)\M'
    UNION ALL
    -- Large objects know no tenant.
    SELECT 'no large objects', name FROM functions WHERE prosrc ~* '\m(lo_[a-z]+|loread|lowrite)\s*\('
    UNION ALL
    SELECT 'the login role has its limits', w FROM unnest('{statement_timeout,lock_timeout,idle_in_transaction_session_timeout}'::text[]) AS w
     WHERE NOT EXISTS (SELECT FROM pg_roles r, unnest(r.rolconfig) AS c WHERE r.rolname = 'app_login' AND c ~ ('^' || w || '=[1-9]'))
$lint$;
SELECT is((SELECT string_agg(rule || ': ' || offender, E'\n') FROM pg_temp.lint()), NULL, 'the catalog is clean');

CREATE TEMP TABLE unclean AS SELECT * FROM pg_temp.lint();
-- What each rule is there for, planted: its rule reports it, and no other does.
CREATE FUNCTION pg_temp.planted(change text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    rules text;
BEGIN
    BEGIN
        EXECUTE change;
        -- What was unclean before has its own line above.
        SELECT string_agg(DISTINCT l.rule, '; ' ORDER BY l.rule) INTO rules
          FROM (SELECT * FROM pg_temp.lint() EXCEPT SELECT * FROM unclean) AS l;
        RAISE EXCEPTION 'undo' USING ERRCODE = 'DW998';
    EXCEPTION WHEN SQLSTATE 'DW998' THEN
        RETURN rules;
    END;
END
$$;
-- A table as it should be, but for `columns`.
CREATE FUNCTION pg_temp.loose(columns text) RETURNS text LANGUAGE sql AS $$
    SELECT format('CREATE TABLE public.loose (%s); ALTER TABLE public.loose OWNER TO app_owner; SELECT app.protect(''public.loose'')', columns)
$$;
CREATE TEMP TABLE faults (rule text, change text);
INSERT INTO faults VALUES
    ('row security is on and forced', 'ALTER TABLE public.leads NO FORCE ROW LEVEL SECURITY'),
    ('row security is on and forced', 'ALTER TABLE public.holidays DISABLE ROW LEVEL SECURITY'),
    ('a tenant table has organization_id uuid not null', pg_temp.loose('organization_id uuid, created_at timestamptz NOT NULL DEFAULT now()')),
    ('created_at timestamptz not null', pg_temp.loose('organization_id uuid PRIMARY KEY')),
    ('the primary key is led by organization_id', pg_temp.loose('organization_id uuid NOT NULL, id uuid PRIMARY KEY, created_at timestamptz NOT NULL DEFAULT now()')),
    ('a unique index is led by organization_id', 'CREATE UNIQUE INDEX loose ON public.leads (email)'),
    ('a foreign key carries the organization', 'ALTER TABLE public.call_turns ADD loose uuid REFERENCES public.organizations (id)'),
    ('the policies are the two of app.protect()', 'CREATE POLICY loose ON public.leads USING (true)'),
    ('the policies are the two of app.protect()', 'ALTER POLICY tenant ON public.leads USING (organization_id = app.active_org())'),
    ('a platform table is read, not written, by tenants', 'CREATE POLICY loose ON public.holidays TO authenticated USING (true)'),
    ('nothing is granted to the public or to anon', 'GRANT SELECT ON public.leads TO anon'),
    ('nothing is granted to the public or to anon', 'GRANT SELECT ON public.leads TO PUBLIC'),
    ('clients only read', 'GRANT UPDATE ON public.leads TO authenticated'),
    ('clients only read', 'GRANT SELECT ON public.leads TO app_worker'),
    ('TRUNCATE is granted to nobody', 'GRANT TRUNCATE ON public.leads TO app_owner'),
    ('TRUNCATE is granted to nobody', 'GRANT TRUNCATE ON public.leads TO app_engine'),
    ('secrets have no reader', 'GRANT SELECT (auth_token_sealed) ON public.carrier_accounts TO authenticated'),
    ('a definer function has an empty search_path', 'ALTER FUNCTION app.active_org() RESET search_path'),
    ('a definer function belongs to app_owner or app_engine', $f$CREATE FUNCTION app.loose() RETURNS int LANGUAGE sql SECURITY DEFINER SET search_path = '' AS 'SELECT 1'; REVOKE ALL ON FUNCTION app.loose() FROM PUBLIC$f$),
    ('a cross-tenant function lives in engine', 'ALTER FUNCTION app.call_brief(uuid, timestamptz) OWNER TO app_engine'),
    ('the public executes nothing', $f$CREATE FUNCTION app.loose() RETURNS int LANGUAGE sql AS 'SELECT 1'$f$),
    ('clients execute only what is named here', 'GRANT EXECUTE ON FUNCTION app.call_brief(uuid, timestamptz) TO authenticated'),
    ('no function is called leakproof', 'ALTER FUNCTION app.is_holiday(text, date) LEAKPROOF'),
    ('a view asks with the rights of its reader', 'CREATE VIEW public.loose AS SELECT 1 AS a'),
    ('no materialized view is exposed', 'CREATE MATERIALIZED VIEW public.loose AS SELECT 1 AS a'),
    ('times have a zone; no enums, no citext', 'ALTER TABLE public.leads ADD loose timestamp'),
    ('times have a zone; no enums, no citext', 'CREATE TYPE public.loose AS ENUM (''a''); ALTER TABLE public.leads ADD loose public.loose'),
    ('a vocabulary has a check', 'ALTER TABLE public.leads ADD state text'),
    ('a number is E.164', 'ALTER TABLE public.profiles DROP CONSTRAINT profiles_phone_e164_check'),
    ('no decision reads the clock', $f$CREATE FUNCTION app.loose() RETURNS timestamptz LANGUAGE sql AS 'SELECT now()'; REVOKE ALL ON FUNCTION app.loose() FROM PUBLIC$f$),
    ('ours is owned by our roles', 'ALTER TABLE public.projects OWNER TO CURRENT_USER'),
    ('our roles are held by row security', 'ALTER ROLE app_worker BYPASSRLS'),
    ('our roles are held by row security', 'ALTER ROLE authenticated CREATEROLE'),
    ('the login role inherits nothing', 'ALTER ROLE app_login INHERIT'),
    ('nobody of ours is somebody else', 'GRANT app_engine TO app_worker'),
    ('nobody of ours is somebody else', 'GRANT service_role TO app_login'),
    ('nobody of ours is somebody else', 'GRANT pg_read_server_files TO app_owner'),
    ('clients create nothing', 'GRANT CREATE ON SCHEMA app TO authenticated'),
    ('a definer function names its tables in full', $f$CREATE FUNCTION app.loose() RETURNS int8 LANGUAGE sql SECURITY DEFINER SET search_path = '' SET check_function_bodies = off AS 'SELECT 1';
        REVOKE ALL ON FUNCTION app.loose() FROM PUBLIC; ALTER FUNCTION app.loose() OWNER TO app_owner; UPDATE pg_proc SET prosrc = 'SELECT count(*) FROM leads' WHERE proname = 'loose'$f$),
    ('no sequence is shared', 'CREATE SEQUENCE public.loose; GRANT USAGE ON SEQUENCE public.loose TO authenticated'),
    ('no sequence is shared', 'ALTER TABLE public.leads ADD loose int8 GENERATED ALWAYS AS IDENTITY'),
    ('nothing is told by notification', $f$CREATE FUNCTION app.loose() RETURNS void LANGUAGE sql AS 'SELECT pg_notify(''x'', ''y'')'; REVOKE ALL ON FUNCTION app.loose() FROM PUBLIC$f$),
    ('no large objects', $f$CREATE FUNCTION app.loose() RETURNS oid LANGUAGE sql AS 'SELECT lo_create(0)'; REVOKE ALL ON FUNCTION app.loose() FROM PUBLIC$f$),
    ('the login role has its limits', 'ALTER ROLE app_login RESET lock_timeout'),
    ('the login role has its limits', 'ALTER ROLE app_login SET statement_timeout = 0');
SELECT is(pg_temp.planted(change), rule, 'reported by its rule alone: ' || left(change, 90)) FROM faults;
-- No rule without a fault that it found.
SELECT is((SELECT string_agg(r[1], '; ') FROM regexp_matches((SELECT prosrc FROM pg_proc WHERE oid = 'pg_temp.lint'::regproc), '\n\s+SELECT ''([^'']+)'',', 'g') AS r
            WHERE NOT EXISTS (SELECT FROM faults f WHERE f.rule = r[1])), NULL, 'each rule has a planted fault');
SELECT is((SELECT count(DISTINCT rule) FROM faults), (SELECT count(*) FROM regexp_matches((SELECT prosrc FROM pg_proc WHERE oid = 'pg_temp.lint'::regproc), '\n\s+SELECT ''([^'']+)'',', 'g')),
          format('%s rules, %s planted faults', (SELECT count(DISTINCT rule) FROM faults), (SELECT count(*) FROM faults)));

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
