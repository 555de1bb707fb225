-- Doors between tenants other than reading and writing rows: locks, plans kept over a change of role, names that a
-- caller puts in the way, what errors give away, notifications, large objects, functions, forged settings.
BEGIN;
\ir fixture.psql
SELECT no_plan();
SELECT pg_temp.tenant(n) FROM generate_series(1, 2) n \g /dev/null
SELECT pg_temp.lead(n, 1) FROM generate_series(1, 2) n \g /dev/null
CREATE FUNCTION pg_temp.as_role(p_role text, org uuid, statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    said text;
BEGIN
    BEGIN
        PERFORM set_config('app.ctx', coalesce(pg_temp.ctx(org), ''), true);
        EXECUTE format('SET LOCAL ROLE %I', p_role);
        IF statement ~* '^(select|with|execute)' THEN
            EXECUTE statement INTO said;
        ELSE
            EXECUTE statement;
        END IF;
        RAISE EXCEPTION 'undo' USING ERRCODE = 'DW999';
    EXCEPTION WHEN SQLSTATE 'DW999' THEN
        RETURN coalesce(said, 'done');
    WHEN OTHERS THEN
        RETURN SQLSTATE;
    END;
END
$$;

-- Locks. Row-level security does not cover them; rights do.
SELECT is((SELECT string_agg(r || ' ' || c.oid::regclass, ', ') FROM pg_class c, unnest('{anon,authenticated,app_worker,app_login}'::text[]) AS r
            WHERE c.relkind IN ('r', 'p') AND c.relnamespace IN ('public'::regnamespace, 'app'::regnamespace, 'engine'::regnamespace)
              AND pg_temp.as_role(r, pg_temp.org(1), format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE', c.oid::regclass)) <> '42501'), NULL, 'no client role locks a table');
SELECT is((SELECT string_agg(r || ' ' || m, ', ') FROM unnest('{anon,app_worker,app_login}'::text[]) AS r, unnest('{ACCESS SHARE,ROW SHARE,SHARE}'::text[]) AS m
            WHERE pg_temp.as_role(r, pg_temp.org(1), format('LOCK TABLE public.leads IN %s MODE', m)) <> '42501'), NULL, 'nor mildly');

-- Plans kept over a change of role, of tenant, and of nothing at all.
SET plan_cache_mode = force_generic_plan;
PREPARE mine AS SELECT count(*) FILTER (WHERE organization_id = pg_temp.org(1)) || ' ' || count(*) FILTER (WHERE organization_id = pg_temp.org(2)) AS n FROM public.leads;
SELECT set_config('app.ctx', pg_temp.ctx(pg_temp.org(1)), true) \g /dev/null
SET LOCAL ROLE app_owner;
EXECUTE mine \gset one_
EXECUTE mine \gset one_
RESET ROLE;
SELECT set_config('app.ctx', pg_temp.ctx(pg_temp.org(2)), true) \g /dev/null
SET LOCAL ROLE app_owner;
EXECUTE mine \gset two_
RESET ROLE;
SET LOCAL ROLE authenticated;
EXECUTE mine \gset three_
RESET ROLE;
SELECT set_config('app.ctx', '', true) \g /dev/null
SET LOCAL ROLE authenticated;
EXECUTE mine \gset four_
RESET ROLE;
EXECUTE mine \gset five_
SELECT results_eq(format($$SELECT '%s', '%s', '%s', '%s', '%s'$$, :'one_n', :'two_n', :'three_n', :'four_n', :'five_n'),
    $$SELECT '1 0', '0 1', '0 1', '0 0', '1 1'$$, 'a prepared statement follows role and tenant: owner as 1, owner as 2, client as 2, client as nobody, superuser');
RESET plan_cache_mode;

-- Names in the way: temporary tables and functions shadow bare names, even with an empty search_path.
CREATE FUNCTION pg_temp.shadowed(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    name text;
    said text;
BEGIN
    BEGIN
        FOR name IN SELECT c.relname FROM pg_class c WHERE c.relkind = 'r' AND c.relnamespace IN ('public'::regnamespace, 'app'::regnamespace) LOOP
            EXECUTE format('CREATE TEMP TABLE %I (trap int)', name);
        END LOOP;
        CREATE FUNCTION pg_temp.active_org() RETURNS uuid LANGUAGE sql AS 'SELECT pg_temp.org(2)';
        CREATE FUNCTION pg_temp.context_valid(context text) RETURNS boolean LANGUAGE sql AS 'SELECT true';
        CREATE FUNCTION pg_temp.split_part(a text, b text, c int) RETURNS text LANGUAGE sql AS 'SELECT pg_temp.org(2)::text';
        SET LOCAL search_path = pg_temp, public, pg_catalog;
        EXECUTE statement INTO said;
        RAISE EXCEPTION 'undo' USING ERRCODE = 'DW999';
    EXCEPTION WHEN SQLSTATE 'DW999' THEN
        RETURN said;
    WHEN OTHERS THEN
        RETURN SQLSTATE || ' ' || SQLERRM;
    END;
END
$$;
SELECT set_config('app.ctx', pg_temp.ctx(pg_temp.org(1)), true) \g /dev/null
SELECT is(pg_temp.shadowed($$SELECT app.active_org()$$), pg_temp.org(1)::text, 'a temporary function is not asked who the tenant is');
SELECT is(pg_temp.shadowed($$SELECT count(*)::text FROM public.leads l WHERE app.call_brief(l.id, now()) IS NULL$$), '2', 'a temporary table is in nobody''s way');
SELECT is(pg_temp.shadowed($$SELECT app.dnc_put('+12125550001', NULL, 'manual', 'w', 'me', now()) ->> 'change'$$), 'created', 'nor in the way of a write');
SELECT is(pg_temp.shadowed($$SELECT count(*)::text FROM engine.live_refused(10)$$), '0', 'nor of a function of the engine');

-- Errors: a key of another tenant and a key of nobody are told in the same words.
CREATE FUNCTION pg_temp.words_of(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    said text;
    detail text;
BEGIN
    BEGIN
        PERFORM set_config('app.ctx', pg_temp.ctx(pg_temp.org(1)), true);
        SET LOCAL ROLE app_owner;
        EXECUTE statement INTO said;
        RAISE EXCEPTION 'undo' USING ERRCODE = 'DW999';
    EXCEPTION WHEN SQLSTATE 'DW999' THEN
        RETURN 'done ' || coalesce(said, '');
    WHEN OTHERS THEN
        GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
        RETURN regexp_replace(SQLSTATE || ' ' || SQLERRM || ' ' || detail, '[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}', 'ID', 'g');
    END;
END
$$;
CREATE TEMP TABLE asks (what text, statement text);
INSERT INTO asks
SELECT k.conrelid::regclass || '.' || k.conname, format('INSERT INTO %s (organization_id, %I) SELECT organization_id, %%L FROM %1$s WHERE organization_id = %L LIMIT 1', k.conrelid::regclass, a.attname, pg_temp.org(1))
  FROM pg_constraint k JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = ANY (k.conkey) AND a.attname <> 'organization_id' AND a.atttypid = 'uuid'::regtype
 WHERE k.contype = 'f' AND k.connamespace = 'public'::regnamespace AND cardinality(k.conkey) = 2;
INSERT INTO asks VALUES
    ('a task', format('INSERT INTO follow_up_tasks (organization_id, lead_id, task_type, title, source) VALUES (%L, %%L, ''call'', ''t'', ''manual'')', pg_temp.org(1))),
    ('a queue row', format('INSERT INTO call_queue (organization_id, campaign_id, lead_id) VALUES (%L, %L, %%L)', pg_temp.org(1), pg_temp.id(1, 3))),
    ('a lead by id', 'SELECT count(*)::text FROM leads WHERE id = %L'),
    ('a move', 'UPDATE call_queue SET lead_id = %L'),
    ('a note', $$SELECT app.call_note(%L, '{"disposition": "interested"}', now())::text$$),
    ('an opt-out', $$SELECT count(*)::text FROM app.opt_out(%L, 'model', 'w', now())$$),
    ('a brief', $$SELECT app.call_brief(%L, now())::text$$),
    ('a campaign', $$SELECT app.campaign_act(%L, 'pause', 'me', now())::text$$),
    ('a status', $$SELECT app.campaign_status(%L, now())::text$$),
    ('a recording', $$SELECT count(*)::text FROM app.recording_file(%L)$$),
    ('another analysis', $$SELECT app.analysis_again(%L, now())::text$$);
SELECT is((SELECT string_agg(what || ': ' || theirs || ' / ' || nobodys, E'\n')
             FROM (SELECT a.what, pg_temp.words_of(format(a.statement, t.id)) AS theirs, pg_temp.words_of(format(a.statement, '00000000-0000-7000-8000-00000000dead')) AS nobodys
                     FROM asks a, (VALUES (pg_temp.id(2, 11)), (pg_temp.id(2, 3)), (pg_temp.id(2, 1))) AS t (id)) AS x WHERE theirs IS DISTINCT FROM nobodys), NULL,
          format('%s ways to name a row of another tenant say what they say of none', (SELECT count(*) * 3 FROM asks)));
-- And the key is looked up by tenant first, so that a hit costs what a miss costs: every foreign key between tenants' tables
-- is led by it on both sides, and so is the index that answers.
SELECT is((SELECT string_agg(k.conname, ', ') FROM pg_constraint k JOIN pg_index i ON i.indexrelid = k.conindid JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
            WHERE k.contype = 'f' AND k.connamespace = 'public'::regnamespace AND cardinality(k.conkey) >= 2 AND a.attname <> 'organization_id'
              AND EXISTS (SELECT FROM pg_attribute o WHERE o.attrelid = k.conrelid AND o.attname = 'organization_id')), NULL, 'no foreign key is looked up across tenants');

-- Notifications and large objects: any role may listen, and objects know no tenant. Nothing of ours uses either.
SELECT is((SELECT count(*) FROM pg_largeobject_metadata), 0::bigint, 'no large objects');
SELECT is((SELECT string_agg(p.oid::regproc::text, ', ') FROM pg_proc p WHERE p.pronamespace IN ('app'::regnamespace, 'engine'::regnamespace, 'public'::regnamespace)
              AND p.prosrc ~* '\m(pg_notify|notify|dblink|lo_import|lo_export|pg_read_file|pg_read_binary_file|pg_ls_dir|copy)\M\s*\(?' AND p.prosrc ~* '\m(pg_notify|dblink|lo_import|lo_export|pg_read_file|pg_read_binary_file|pg_ls_dir)\M'
              AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e')), NULL, 'no function tells, dials out or reads files');

-- Functions: what a client role may execute of ours, by name. PUBLIC has none (lint); these are all.
SELECT is((SELECT string_agg(r || ' ' || p.oid::regprocedure, ', ' ORDER BY r, p.oid::regprocedure::text) FROM pg_proc p, unnest('{anon,authenticated,app_login}'::text[]) AS r
            WHERE p.pronamespace IN ('app'::regnamespace, 'engine'::regnamespace, 'public'::regnamespace) AND has_function_privilege(r, p.oid, 'EXECUTE')
              AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e')),
          'authenticated app.active_org(), authenticated app.sentiment_label(numeric)', 'client roles execute these and no others');

-- Settings: what an injection can set. Role changes land on nothing; a context without the key is no context.
SELECT is((SELECT string_agg(r || ' ' || s, ', ') FROM unnest('{app_login,app_worker,authenticated,anon}'::text[]) AS r,
            unnest(ARRAY['SET SESSION AUTHORIZATION app_owner', 'SET ROLE service_role', 'SET row_security = off', 'SET session_replication_role = replica',
                'CREATE SCHEMA x', 'CREATE EXTENSION dblink', 'COPY public.leads TO PROGRAM ''cat''', 'CREATE TABLE public.x (a int)', 'ALTER TABLE public.leads DISABLE TRIGGER ALL',
                'CREATE FUNCTION public.x() RETURNS int LANGUAGE sql AS ''SELECT 1''', 'CREATE OPERATOR public.<<< (LEFTARG = int, RIGHTARG = int, FUNCTION = int4lt)']) AS s
            WHERE s NOT IN ('SET SESSION AUTHORIZATION app_owner', 'SET ROLE service_role', 'SET row_security = off')
              AND pg_temp.as_role(r, pg_temp.org(1), s) NOT IN ('42501', '42710', '0LP01')), NULL, 'nothing of the server opens to a client role');
-- row_security = off turns silence into an error, never into rows.
SELECT is(pg_temp.as_role('authenticated', pg_temp.org(1), 'DO $x$ BEGIN PERFORM set_config(''row_security'', ''off'', true); PERFORM 1 FROM public.leads; END $x$'), '42501', 'row_security = off is an error');
SELECT * FROM finish();
ROLLBACK;
