-- The isolation matrix, generated from the catalog: every tenant table x actor x verb, with a row of each of two
-- tenants in every table. A table without fixture rows fails, so a new table is tested the day it appears. Then
-- mutants: each hole that the matrix is there to find is made, and must be found.
BEGIN;
\ir fixture.psql
\ir everything.psql
SELECT no_plan();

SELECT pg_temp.everything(1), pg_temp.everything(2) \gset fixture_

-- Asked of the catalog each time: a mutant may be a table that was not there before.
CREATE FUNCTION pg_temp.tenant_tables() RETURNS TABLE (name regclass, cols text) LANGUAGE sql AS $$
    SELECT c.oid::regclass, (SELECT string_agg(quote_ident(a.attname), ', ') FROM pg_attribute a
                              WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '')
      FROM pg_class c JOIN pg_attribute t ON t.attrelid = c.oid AND t.attname = 'organization_id'
     WHERE c.relkind IN ('r', 'p') AND c.relnamespace IN ('public'::regnamespace, 'app'::regnamespace, 'engine'::regnamespace)
$$;
CREATE TEMP TABLE tenant_tables AS SELECT * FROM pg_temp.tenant_tables();

-- Each table holds rows of both tenants.
CREATE FUNCTION pg_temp.rows_of(target regclass, org uuid) RETURNS int8 LANGUAGE plpgsql AS $$
DECLARE
    n int8;
BEGIN
    EXECUTE format('SELECT count(*) FROM %s WHERE organization_id = %L', target, org) INTO n;
    RETURN n;
END
$$;
SELECT ok(pg_temp.rows_of(name, pg_temp.org(1)) > 0 AND pg_temp.rows_of(name, pg_temp.org(2)) > 0, name || ' has rows of both tenants')
  FROM tenant_tables ORDER BY name::text;
SELECT cmp_ok(count(*)::int, '>=', 38, 'the matrix is not empty') FROM tenant_tables;

-- Who asks: role, signed context, verified claims. Everybody but the last two is, or pretends to be, tenant 1.
CREATE TEMP TABLE actors (actor text, role_name text, ctx text, claims text);
INSERT INTO actors VALUES
    ('member by context', 'authenticated', pg_temp.ctx(pg_temp.org(1)), NULL),
    ('tenant function', 'app_owner', pg_temp.ctx(pg_temp.org(1)), NULL),
    ('member by claims', 'authenticated', NULL, format('{"sub": "%s", "org_id": "%s"}', pg_temp.id(1, 9), pg_temp.org(1))),
    ('claims of another organization', 'authenticated', NULL, format('{"sub": "%s", "org_id": "%s"}', pg_temp.id(1, 9), pg_temp.org(2))),
    ('claims without organization', 'authenticated', NULL, format('{"sub": "%s"}', pg_temp.id(2, 9))),
    ('claims of nobody', 'authenticated', NULL, format('{"sub": "garbage", "org_id": "%s"}', pg_temp.org(2))),
    ('claims that are no JSON', 'authenticated', NULL, '{'),
    ('forged context', 'authenticated', pg_temp.ctx(pg_temp.org(2), 3600, decode(repeat('43', 32), 'hex')), NULL),
    ('context moved to another tenant', 'authenticated', pg_temp.org(2) || substr(pg_temp.ctx(pg_temp.org(1)), 37), NULL),
    ('expired context', 'authenticated', pg_temp.ctx(pg_temp.org(2), -1), NULL),
    ('bad context beside good claims', 'app_owner', 'x', format('{"sub": "%s", "org_id": "%s"}', pg_temp.id(2, 9), pg_temp.org(2))),
    ('owner without context', 'app_owner', NULL, NULL),
    ('worker without a function', 'app_worker', pg_temp.ctx(pg_temp.org(1)), NULL),
    ('anon', 'anon', pg_temp.ctx(pg_temp.org(1)), NULL),
    ('login role', 'app_login', pg_temp.ctx(pg_temp.org(1)), NULL);
-- In this test the session is taken for a gateway that verified the claims.
INSERT INTO app.claim_logins VALUES (session_user) ON CONFLICT DO NOTHING;

-- What is tried; each must touch no row of tenant 2. %1$s table, %2$s its columns, %3$L tenant 2, %4$L tenant 1.
CREATE TEMP TABLE verbs (verb text, statement text);
INSERT INTO verbs VALUES
    ('select', 'WITH t AS (SELECT organization_id FROM %1$s) SELECT count(*) FROM t WHERE organization_id <> %4$L'),
    ('select by tenant', 'SELECT count(*) FROM %1$s WHERE organization_id = %3$L'),
    ('select every column', 'WITH t AS (SELECT * FROM %1$s) SELECT count(*) FROM t WHERE organization_id <> %4$L'),
    ('select for update', 'WITH t AS (SELECT 1 FROM %1$s WHERE organization_id = %3$L FOR UPDATE) SELECT count(*) FROM t'),
    ('insert a foreign row', 'WITH w AS (INSERT INTO %1$s (%2$s) SELECT %2$s FROM jsonb_populate_recordset(NULL::%1$s, %5$L) RETURNING 1) SELECT count(*) FROM w'),
    ('insert a new foreign row', 'WITH w AS (INSERT INTO %1$s (%2$s) SELECT %2$s FROM jsonb_populate_recordset(NULL::%1$s, %6$L) RETURNING 1) SELECT count(*) FROM w'),
    ('insert on conflict', 'WITH w AS (INSERT INTO %1$s (%2$s) SELECT %2$s FROM jsonb_populate_recordset(NULL::%1$s, %5$L) ON CONFLICT DO NOTHING RETURNING 1) SELECT count(*) FROM w'),
    ('update', 'WITH w AS (UPDATE %1$s SET created_at = created_at WHERE organization_id <> %4$L RETURNING 1) SELECT count(*) FROM w'),
    ('give away', 'WITH w AS (UPDATE %1$s SET organization_id = %3$L WHERE organization_id = %4$L RETURNING 1) SELECT count(*) FROM w'),
    ('delete', 'WITH w AS (DELETE FROM %1$s WHERE organization_id <> %4$L RETURNING 1) SELECT count(*) FROM w'),
    ('truncate', 'TRUNCATE %1$s CASCADE');

CREATE FUNCTION pg_temp.try(p_role text, p_ctx text, p_claims text, statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    n int8 := 1;
BEGIN
    BEGIN
        PERFORM set_config('app.ctx', coalesce(p_ctx, ''), true), set_config('request.jwt.claims', coalesce(p_claims, ''), true);
        EXECUTE format('SET LOCAL ROLE %I', p_role);
        IF statement LIKE 'TRUNCATE%' THEN
            EXECUTE statement;
        ELSE
            EXECUTE statement INTO n;
        END IF;
        RAISE EXCEPTION 'undo' USING ERRCODE = 'DW999';
    EXCEPTION
        WHEN SQLSTATE 'DW999' THEN
            RETURN CASE WHEN n = 0 THEN 'nothing' ELSE n || ' rows' END;
        WHEN insufficient_privilege OR check_violation OR SQLSTATE 'DW006' OR SQLSTATE 'DW003' OR SQLSTATE 'DW001' OR SQLSTATE 'DW004'
             OR foreign_key_violation OR not_null_violation OR generated_always OR SQLSTATE '428C9' THEN
            RETURN 'refused ' || SQLSTATE;
        -- Told that a key of another tenant is taken: an oracle.
        WHEN unique_violation THEN
            RETURN 'oracle: ' || SQLERRM;
    END;
END
$$;

-- Every table x actor x verb that went wrong; or, for the mutants, the first one of a table.
CREATE FUNCTION pg_temp.matrix(only_table regclass DEFAULT NULL, first_only boolean DEFAULT false) RETURNS TABLE (target text, actor text, verb text, said text) LANGUAGE plpgsql AS $$
DECLARE
    t record;
    theirs jsonb;
    fresh jsonb;
    x record;
    result text;
BEGIN
    FOR t IN SELECT * FROM pg_temp.tenant_tables() m WHERE only_table IS NULL OR m.name = only_table LOOP
        EXECUTE format('SELECT jsonb_agg(to_jsonb(r)) FROM (SELECT * FROM %s WHERE organization_id = %L LIMIT 1) AS r', t.name, pg_temp.org(2)) INTO theirs;
        fresh := theirs;
        IF theirs -> 0 ? 'id' THEN
            fresh := jsonb_set(theirs, '{0,id}', to_jsonb(app.uuid7()));
        END IF;
        FOR x IN SELECT a.*, v.verb, format(v.statement, t.name, t.cols, pg_temp.org(2), pg_temp.org(1), theirs, fresh) AS statement
                   FROM actors a CROSS JOIN verbs v LOOP
            result := pg_temp.try(x.role_name, x.ctx, x.claims, x.statement);
            IF result <> 'nothing' AND result NOT LIKE 'refused%' THEN
                RETURN QUERY SELECT t.name::text, x.actor, x.verb, result;
                IF first_only THEN
                    RETURN;
                END IF;
            END IF;
        END LOOP;
    END LOOP;
END
$$;
SELECT is((SELECT string_agg(concat_ws(' | ', target, actor, verb, said), E'\n') FROM pg_temp.matrix()), NULL,
          format('no door is open in %s cases', (SELECT count(*) FROM tenant_tables) * (SELECT count(*) FROM actors) * (SELECT count(*) FROM verbs)));

-- Positive controls: who belongs sees its own, and tenant functions may write it.
CREATE FUNCTION pg_temp.sees(which text, statement text) RETURNS text LANGUAGE sql AS $$
    SELECT pg_temp.try(a.role_name, a.ctx, a.claims, statement) FROM actors a WHERE a.actor = which
$$;
SELECT is(pg_temp.sees(a, 'SELECT count(*) FROM public.leads'), '1 rows', a || ' sees its own lead')
  FROM unnest('{member by context,member by claims,tenant function}'::text[]) AS a;
SELECT is(pg_temp.sees(a.actor, 'SELECT count(*) FROM public.leads'), CASE WHEN a.role_name IN ('authenticated', 'app_owner') THEN 'nothing' ELSE 'refused 42501' END,
          a.actor || ' sees none')
  FROM actors a WHERE a.actor NOT IN ('member by context', 'member by claims', 'tenant function');
SELECT is(pg_temp.sees('tenant function', $$WITH w AS (UPDATE public.leads SET name = 'x' RETURNING 1) SELECT count(*) FROM w$$), '1 rows', 'a tenant function writes its own lead');
SELECT is(pg_temp.sees('tenant function', $$WITH w AS (INSERT INTO public.projects (organization_id, name) VALUES ($$ || quote_literal(pg_temp.org(1)) || $$, 'new') RETURNING 1) SELECT count(*) FROM w$$), '1 rows', 'and makes rows');
SELECT is(pg_temp.sees('member by context', $$WITH w AS (UPDATE public.leads SET name = 'x' RETURNING 1) SELECT count(*) FROM w$$), 'refused 42501', 'a member writes nothing without a function');
SELECT is(pg_temp.sees('member by context', 'SELECT count(auth_token_sealed) FROM public.carrier_accounts'), 'refused 42501', 'a member reads no carrier secret');
SELECT is(pg_temp.sees('member by context', 'SELECT count(auth_id) FROM public.carrier_accounts'), '1 rows', 'but the account beside it');
SELECT is(pg_temp.sees('tenant function', 'SELECT count(*) FROM app.context_keys'), 'refused 42501', 'the owner of the tables reads no context key');
SELECT is(pg_temp.sees('tenant function', 'SELECT count(*) FROM public.nodes'), 'nothing', 'nor machinery of the platform');
-- Without the trusted login, claims are worth nothing.
DELETE FROM app.claim_logins WHERE login = session_user;
SELECT is(pg_temp.sees('member by claims', 'SELECT count(*) FROM public.leads'), 'nothing', 'claims count only from a gateway that verified them');
INSERT INTO app.claim_logins VALUES (session_user);
-- A context in a role that was not given the key: retired keys.
UPDATE app.context_keys SET retired_at = now() - interval '1 second';
SELECT is(pg_temp.sees('member by context', 'SELECT count(*) FROM public.leads'), 'nothing', 'a retired key signs nothing');
UPDATE app.context_keys SET retired_at = NULL;

-- What is kept of a verification is worth nothing beside another context, whoever says that it was seen.
SELECT set_config('app.ctx', pg_temp.ctx(pg_temp.org(2)), true) \g /dev/null
SELECT is(app.active_org(), pg_temp.org(2), 'verified, and kept for this transaction');
SELECT is((SELECT app.active_org() FROM set_config('app.ctx', c, true) AS a, set_config('app.ctx_seen', 'yes', true) AS b), NULL, 'a context that was not verified: ' || left(c, 50))
  FROM (VALUES (pg_temp.org(2) || '.9999999999.' || repeat('0', 64)), (pg_temp.org(2) || substr(pg_temp.ctx(pg_temp.org(1)), 37)), ('x'), (pg_temp.org(2)::text)) AS v (c);
SELECT set_config('app.ctx', '', true) \g /dev/null

-- A foreign key cannot name another tenant's row.
SELECT is(pg_temp.sees('tenant function', format('WITH w AS (INSERT INTO public.follow_up_tasks (organization_id, lead_id, task_type, title, source) VALUES (%L, %L, ''call'', ''t'', ''manual'') RETURNING 1) SELECT count(*) FROM w',
          pg_temp.org(1), pg_temp.id(2, 11))), 'refused 23503', 'a row cannot point into another tenant');

-- Mutants: each hole that the matrix is there to find is made, and must be found. {t} is a table.
CREATE FUNCTION pg_temp.mutant(change text, target regclass) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    door text;
BEGIN
    BEGIN
        EXECUTE replace(change, '{t}', coalesce(target::text, ''));
        SELECT concat_ws(' | ', m.target, m.actor, m.verb, m.said) INTO door FROM pg_temp.matrix(target, true) AS m;
        RAISE EXCEPTION 'undo' USING ERRCODE = 'DW998';
    EXCEPTION WHEN SQLSTATE 'DW998' THEN
        RETURN door;
    END;
END
$$;
CREATE TEMP TABLE mutants (name text PRIMARY KEY, everywhere boolean, change text);
INSERT INTO mutants VALUES
    ('RLS off', true, 'ALTER TABLE {t} DISABLE ROW LEVEL SECURITY'),
    ('FORCE off', true, 'ALTER TABLE {t} NO FORCE ROW LEVEL SECURITY'),
    ('USING (true)', true, 'ALTER POLICY tenant ON {t} USING (true)'),
    ('WITH CHECK (true)', true, 'ALTER POLICY tenant ON {t} WITH CHECK (true)'),
    ('extra permissive policy', true, 'CREATE POLICY extra ON {t} TO app_owner, authenticated USING (true)'),
    ('TO PUBLIC', true, 'ALTER POLICY engine ON {t} TO PUBLIC'),
    ('claims without membership', false, $f$CREATE OR REPLACE FUNCTION app.active_org() RETURNS uuid LANGUAGE sql STABLE SECURITY DEFINER AS
        'SELECT substring(current_setting(''request.jwt.claims'', true) FROM ''"org_id": "([0-9a-f-]{36})"'')::uuid'$f$),
    ('GRANT TRUNCATE', true, 'GRANT TRUNCATE ON ALL TABLES IN SCHEMA public TO authenticated'),
    ('anon grant', true, 'GRANT SELECT ON {t} TO anon; ALTER POLICY engine ON {t} TO anon'),
    ('BYPASSRLS', false, 'ALTER ROLE authenticated BYPASSRLS'),
    ('role inheritance', false, 'GRANT app_engine TO authenticated; ALTER ROLE authenticated INHERIT'),
    ('OR', true, 'ALTER POLICY tenant ON {t} USING (organization_id = (SELECT app.active_org()) OR (SELECT app.active_org()) IS NULL)'),
    ('COALESCE mistake', true, 'ALTER POLICY tenant ON {t} USING (organization_id = coalesce((SELECT app.active_org()), organization_id))'),
    ('new table without RLS', false, $f$CREATE TABLE public.loose (organization_id uuid NOT NULL, created_at timestamptz NOT NULL DEFAULT now());
        INSERT INTO public.loose VALUES (pg_temp.org(1)), (pg_temp.org(2)); GRANT SELECT ON public.loose TO authenticated$f$),
    -- Beyond the fourteen: what signs the context.
    ('context not verified', false, $f$CREATE OR REPLACE FUNCTION app.context_valid(context text) RETURNS boolean LANGUAGE sql STABLE AS 'SELECT true'$f$),
    ('context not even read by the verifier', false, $f$CREATE OR REPLACE FUNCTION app.active_org() RETURNS uuid LANGUAGE sql STABLE SECURITY DEFINER AS
        'SELECT substring(current_setting(''app.ctx'', true) FROM ''^[0-9a-f-]{36}'')::uuid'$f$);
SELECT isnt(pg_temp.mutant(change, CASE WHEN name <> 'new table without RLS' THEN 'public.leads'::regclass END), NULL, 'mutant found: ' || name) FROM mutants;
-- What can be wrong with one table, wrong with each. A call log has a second wall: its trigger lets no tenant move it.
SELECT is((SELECT string_agg(m.name || ' on ' || t.name, ', ') FROM mutants m CROSS JOIN tenant_tables t
            WHERE m.everywhere AND pg_temp.mutant(m.change, t.name) IS NULL), 'WITH CHECK (true) on call_logs',
          format('%s mutants of %s tables are found, but one that a trigger stops first', (SELECT count(*) FROM mutants WHERE everywhere) * (SELECT count(*) FROM tenant_tables), (SELECT count(*) FROM tenant_tables)));
SELECT * FROM finish();
ROLLBACK;
