-- The matrix once more over real connections: what a login role may do after a stolen statement, on this server with its
-- roles (plain Postgres, or Supabase's). This test commits: other sessions need to see its rows. Tenants of its own,
-- left retired; the last one, because other tests count what there is.
\ir fixture.psql
\ir everything.psql
SELECT no_plan();
SELECT NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'authenticator') AS plain \gset
\if :plain
CREATE ROLE authenticator LOGIN NOINHERIT;
GRANT anon, authenticated, service_role TO authenticator;
\endif
SELECT format('host=%s port=%s dbname=%s', :'HOST', :'PORT', current_database()) AS peer \gset
SELECT dblink_connect('app_login', :'peer' || ' user=app_login'), dblink_connect('authenticator', :'peer' || ' user=authenticator') \gset fixture_
BEGIN;
SELECT pg_temp.everything(98), pg_temp.everything(99) \gset fixture_
UPDATE campaigns SET status = 'paused' WHERE organization_id IN (pg_temp.org(98), pg_temp.org(99));
UPDATE call_queue SET status = 'failed' WHERE organization_id IN (pg_temp.org(98), pg_temp.org(99));
COMMIT;

-- In one transaction of the peer: the settings, the role, the statement. Says a number, or the SQLSTATE.
CREATE FUNCTION pg_temp.peer(login text, p_role text, claims text, ctx text, statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    said text;
BEGIN
    BEGIN
        PERFORM dblink_exec(login, 'BEGIN');
        PERFORM * FROM dblink(login, format('SELECT set_config(''request.jwt.claims'', %L, true), set_config(''app.ctx'', %L, true)', coalesce(claims, ''), coalesce(ctx, ''))) AS t (a text, b text);
        IF p_role IS NOT NULL THEN
            PERFORM dblink_exec(login, format('SET LOCAL ROLE %I', p_role));
        END IF;
        IF statement ~* '^(select|with)' THEN
            SELECT t.n INTO said FROM dblink(login, statement) AS t (n text);
        ELSE
            said := dblink_exec(login, statement);
        END IF;
    EXCEPTION WHEN OTHERS THEN
        said := SQLSTATE;
    END;
    PERFORM dblink_exec(login, 'ROLLBACK');
    RETURN said;
END
$$;
CREATE TEMP TABLE peers (who text, login text, p_role text, claims text, ctx text);
INSERT INTO peers VALUES
    ('a member through the gateway', 'authenticator', 'authenticated', format('{"sub": "%s", "org_id": "%s"}', pg_temp.id(98, 9), pg_temp.org(98)), NULL),
    ('a member who names another organization', 'authenticator', 'authenticated', format('{"sub": "%s", "org_id": "%s"}', pg_temp.id(98, 9), pg_temp.org(99)), NULL),
    ('a member who names it in app_metadata', 'authenticator', 'authenticated', format('{"sub": "%s", "org_id": "%s", "app_metadata": {"org_id": "%s"}}', pg_temp.id(98, 9), pg_temp.org(98), pg_temp.org(99)), NULL),
    ('the gateway without claims', 'authenticator', 'authenticated', NULL, NULL),
    ('the gateway with a forged context', 'authenticator', 'authenticated', NULL, pg_temp.org(99) || '.9999999999.' || repeat('0', 64)),
    ('the gateway as anon', 'authenticator', 'anon', format('{"sub": "%s", "org_id": "%s"}', pg_temp.id(99, 9), pg_temp.org(99)), NULL),
    ('the gateway as itself', 'authenticator', NULL, format('{"sub": "%s", "org_id": "%s"}', pg_temp.id(99, 9), pg_temp.org(99)), NULL),
    ('the daemon with a context of the first', 'app_login', 'authenticated', NULL, pg_temp.ctx(pg_temp.org(98))),
    ('the daemon with claims of the second', 'app_login', 'authenticated', format('{"sub": "%s", "org_id": "%s"}', pg_temp.id(99, 9), pg_temp.org(99)), NULL),
    ('the daemon with a context signed by another key', 'app_login', 'authenticated', NULL, pg_temp.ctx(pg_temp.org(99), 3600, decode(repeat('43', 32), 'hex'))),
    ('the daemon with an expired context', 'app_login', 'authenticated', NULL, pg_temp.ctx(pg_temp.org(99), -1)),
    ('the worker without a function', 'app_login', 'app_worker', NULL, pg_temp.ctx(pg_temp.org(98))),
    ('the daemon as anon', 'app_login', 'anon', NULL, pg_temp.ctx(pg_temp.org(98))),
    ('the daemon as itself', 'app_login', NULL, NULL, pg_temp.ctx(pg_temp.org(98)));
CREATE TEMP TABLE doors (verb text, statement text);
INSERT INTO doors VALUES
    ('select', 'WITH t AS (SELECT organization_id FROM %1$s) SELECT count(*) FROM t WHERE organization_id <> %3$L'),
    ('by tenant', 'SELECT count(*) FROM %1$s WHERE organization_id = %2$L'),
    ('every column', 'WITH t AS (SELECT * FROM %1$s) SELECT count(*) FROM t WHERE organization_id <> %3$L'),
    ('update', 'WITH w AS (UPDATE %1$s SET created_at = created_at WHERE organization_id <> %3$L RETURNING 1) SELECT count(*) FROM w'),
    ('delete', 'WITH w AS (DELETE FROM %1$s WHERE organization_id <> %3$L RETURNING 1) SELECT count(*) FROM w'),
    ('truncate', 'TRUNCATE %1$s CASCADE'),
    ('lock', 'LOCK TABLE %1$s IN ACCESS EXCLUSIVE MODE');
CREATE TEMP TABLE tables AS
SELECT c.oid::regclass AS name FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'organization_id'
 WHERE c.relkind IN ('r', 'p') AND c.relnamespace IN ('public'::regnamespace, 'app'::regnamespace, 'engine'::regnamespace);
SELECT is((SELECT string_agg(concat_ws(' | ', who, name, verb, said), E'\n')
             FROM (SELECT p.who, t.name, d.verb, pg_temp.peer(p.login, p.p_role, p.claims, p.ctx, format(d.statement, t.name, pg_temp.org(99), pg_temp.org(98))) AS said
                     FROM peers p CROSS JOIN tables t CROSS JOIN doors d) AS x
            WHERE said IS NULL OR said NOT IN ('0', '42501')), NULL,
          format('no door is open over real connections in %s cases', (SELECT count(*) FROM peers) * (SELECT count(*) FROM tables) * (SELECT count(*) FROM doors)));
SELECT is(pg_temp.peer(p.login, p.p_role, p.claims, p.ctx, 'SELECT count(*) FROM public.leads'), CASE WHEN who ~ '^(a member through|the daemon with a context of the first)' THEN '1'
                                                                                                          WHEN p.p_role = 'authenticated' THEN '0' ELSE '42501' END, p.who || ': its own lead, or none') FROM peers p;
-- Where a role cannot go.
SELECT is(pg_temp.peer(l, r, NULL, NULL, 'SELECT 1'), '42501', l || ' does not become ' || r)
  FROM unnest('{app_login,authenticator}'::text[]) AS l, unnest('{app_owner,app_engine,postgres}'::text[]) AS r WHERE EXISTS (SELECT FROM pg_roles WHERE rolname = r);
SELECT is(pg_temp.peer('app_login', 'service_role', NULL, NULL, 'SELECT 1'), '42501', 'the daemon does not become service_role');
SELECT is(pg_temp.peer('authenticator', 'app_worker', NULL, NULL, 'SELECT 1'), '42501', 'the gateway does not become the worker');
-- After a role that an injection has left by RESET ROLE.
SELECT is(pg_temp.peer(l, NULL, NULL, pg_temp.ctx(pg_temp.org(98)), 'SELECT count(*) FROM public.leads'), '42501', l || ' after RESET ROLE holds nothing') FROM unnest('{app_login,authenticator}'::text[]) AS l;
-- A setting for the session, as a pooler would hand it on: the daemon's own are for the transaction.
SELECT dblink_exec('app_login', 'BEGIN'), t.v FROM dblink('app_login', format('SELECT set_config(''app.ctx'', %L, true)', pg_temp.ctx(pg_temp.org(99)))) AS t (v text) \gset fixture_
SELECT dblink_exec('app_login', 'COMMIT') \gset fixture_
SELECT is(pg_temp.peer('app_login', 'authenticated', NULL, NULL, 'SELECT count(*) FROM public.leads'), '0', 'nothing of a context is left behind its transaction');
SELECT is((SELECT string_agg(t.v, ',' ORDER BY t.v) FROM dblink('app_login', 'SELECT current_setting(n) FROM unnest(''{statement_timeout,lock_timeout,idle_in_transaction_session_timeout}''::text[]) AS n') AS t (v text)), '10s,30s,5s', 'the limits of the login hold on its connections');
SELECT dblink_disconnect('app_login'), dblink_disconnect('authenticator') \gset fixture_
\if :plain
DROP ROLE authenticator;
\endif
SELECT * FROM finish();
