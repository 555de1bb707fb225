-- The isolation matrix, generated from the catalog: every tenant table x actor x verb, with a row of each of two
-- tenants in every table. A table without fixture rows fails, so a new table is tested the day it appears. Then
-- mutants: each hole that the matrix is there to find is made, and must be found.
BEGIN;
\ir fixture.psql
SELECT no_plan();

-- One row in every tenant table.
CREATE FUNCTION pg_temp.everything(n int) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    org uuid := pg_temp.tenant(n);
    lead uuid := pg_temp.lead(n, 1);
    call uuid;
    person uuid := app.uuid7();
    import uuid := app.uuid7();
    offer uuid := app.uuid7();
    insight uuid := app.uuid7();
BEGIN
    call := pg_temp.dialed(n, 1, 1, '2026-11-10 15:00Z');
    INSERT INTO profiles (organization_id, id, user_id, name, role) VALUES (org, person, pg_temp.id(n, 9), 'P', 'agent');
    INSERT INTO projects (organization_id, name) VALUES (org, 'p');
    INSERT INTO retry_policies (organization_id, name) VALUES (org, 'p');
    INSERT INTO imports (organization_id, id) VALUES (org, import);
    INSERT INTO import_rejects (organization_id, import_id, line, reason) VALUES (org, import, 1, 'bad_number');
    INSERT INTO call_attempts (organization_id, lead_id, campaign_id, call_log_id, attempt_number, gate)
    VALUES (org, lead, pg_temp.id(n, 3), call, 1, '{}');
    INSERT INTO call_turns (organization_id, call_log_id, ordinal, speaker) VALUES (org, call, 0, 'ai');
    INSERT INTO call_events (organization_id, call_log_id, kind, event_key, received_at) VALUES (org, call, 'ring', 'k', now());
    INSERT INTO media_tokens (organization_id, token_hash, call_log_id, expires_at) VALUES (org, sha256(org::text::bytea), call, now());
    INSERT INTO recordings (organization_id, call_log_id) VALUES (org, call);
    INSERT INTO usage_ledger (organization_id, call_log_id, source, item_key, cost_micros) VALUES (org, call, 'carrier', 'k', 100);
    INSERT INTO agent_presence (organization_id, profile_id) VALUES (org, person);
    INSERT INTO agent_calls (organization_id, id, ai_call_log_id, agent_id, agent_name, requested_at) VALUES (org, offer, call, person, 'P', now());
    INSERT INTO analysis_jobs (organization_id, call_log_id, due_at) VALUES (org, call, now()) ON CONFLICT DO NOTHING;
    INSERT INTO conversation_insights (organization_id, id, call_log_id, lead_id, campaign_id, overall_sentiment, analysed_at)
    VALUES (org, insight, call, lead, pg_temp.id(n, 3), 0.1, now());
    UPDATE conversation_insights SET overall_sentiment = 0.2 WHERE id = insight;
    INSERT INTO score_weights (organization_id, version, weights) VALUES (org, 1, '{}');
    INSERT INTO follow_up_tasks (organization_id, lead_id, task_type, title, source) VALUES (org, lead, 'call', 't', 'manual');
    INSERT INTO region_enablements (organization_id, region, enabled_by, enabled_at) VALUES (org, 'IN', 'me', now());
    INSERT INTO dnc_lists (organization_id, name, as_of) VALUES (org, 'l', now());
    INSERT INTO do_not_call (organization_id, phone_e164, source, added_at) VALUES (org, '+12125559999', 'manual', now());
    INSERT INTO dial_pauses (organization_id, scope, reason, paused_by, paused_at) VALUES (org, 'tenant', 'r', 'me', now());
    INSERT INTO webhook_endpoints (organization_id, url) VALUES (org, 'https://example.org');
    INSERT INTO outbox (organization_id, topic) VALUES (org, 't');
    INSERT INTO api_keys (organization_id, name, key_hash, prefix) VALUES (org, 'k', sha256(org::text::bytea), 'p');
    INSERT INTO audit_log (organization_id, at, actor, action) VALUES (org, now(), 'me', 'test');
END
$$;
SELECT pg_temp.everything(1), pg_temp.everything(2) \gset fixture_

CREATE TEMP TABLE tenant_tables AS
SELECT c.oid::regclass AS name, (SELECT string_agg(quote_ident(a.attname), ', ') FROM pg_attribute a
                                  WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '') AS cols
  FROM pg_class c JOIN pg_attribute t ON t.attrelid = c.oid AND t.attname = 'organization_id'
 WHERE c.relkind IN ('r', 'p') AND c.relnamespace IN ('public'::regnamespace, 'app'::regnamespace, 'engine'::regnamespace);

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

-- Every table x actor x verb that went wrong.
CREATE FUNCTION pg_temp.matrix(only_table regclass DEFAULT NULL) RETURNS TABLE (target text, actor text, verb text, said text) LANGUAGE plpgsql AS $$
DECLARE
    t record;
    theirs jsonb;
    fresh jsonb;
    x record;
    result text;
BEGIN
    FOR t IN SELECT * FROM tenant_tables m WHERE only_table IS NULL OR m.name = only_table LOOP
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

-- A foreign key cannot name another tenant's row.
SELECT is(pg_temp.sees('tenant function', format('WITH w AS (INSERT INTO public.follow_up_tasks (organization_id, lead_id, task_type, title, source) VALUES (%L, %L, ''call'', ''t'', ''manual'') RETURNING 1) SELECT count(*) FROM w',
          pg_temp.org(1), pg_temp.id(2, 11))), 'refused 23503', 'a row cannot point into another tenant');

-- Mutants: each must be seen.
CREATE FUNCTION pg_temp.mutant(change text, target regclass) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
    found_doors int;
BEGIN
    BEGIN
        EXECUTE change;
        SELECT count(*) INTO found_doors FROM pg_temp.matrix(target);
        RAISE EXCEPTION 'undo' USING ERRCODE = 'DW998';
    EXCEPTION WHEN SQLSTATE 'DW998' THEN
        RETURN found_doors;
    END;
END
$$;
SELECT cmp_ok(pg_temp.mutant(m, 'public.leads'), '>', 0, 'found: ' || m) FROM unnest(ARRAY[
    'ALTER TABLE public.leads DISABLE ROW LEVEL SECURITY',
    'ALTER TABLE public.leads NO FORCE ROW LEVEL SECURITY',
    'ALTER POLICY tenant ON public.leads USING (true)',
    'ALTER POLICY tenant ON public.leads WITH CHECK (true)',
    'CREATE POLICY extra ON public.leads TO authenticated USING (true)',
    'ALTER POLICY engine ON public.leads TO PUBLIC',
    'GRANT SELECT ON public.leads TO anon; ALTER POLICY engine ON public.leads TO anon',
    'GRANT TRUNCATE ON ALL TABLES IN SCHEMA public TO authenticated',
    'ALTER POLICY tenant ON public.leads USING (organization_id = (SELECT app.active_org()) OR app.active_org() IS NULL)',
    'ALTER POLICY tenant ON public.leads USING (organization_id = coalesce((SELECT app.active_org()), organization_id))',
    'GRANT app_engine TO authenticated; ALTER ROLE authenticated INHERIT',
    'ALTER ROLE authenticated BYPASSRLS',
    $f$CREATE OR REPLACE FUNCTION app.context_valid(context text) RETURNS boolean LANGUAGE sql STABLE AS 'SELECT true'$f$,
    $f$CREATE OR REPLACE FUNCTION app.active_org() RETURNS uuid LANGUAGE sql STABLE SECURITY DEFINER AS
       'SELECT substring(current_setting(''app.ctx'', true) FROM ''^[0-9a-f-]{36}'')::uuid'$f$,
    $f$CREATE OR REPLACE FUNCTION app.active_org() RETURNS uuid LANGUAGE sql STABLE SECURITY DEFINER AS
       'SELECT substring(current_setting(''request.jwt.claims'', true) FROM ''"org_id": "([0-9a-f-]{36})"'')::uuid'$f$
    ]) AS m;
SELECT * FROM finish();
ROLLBACK;
