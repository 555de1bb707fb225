-- What the daemon's HTTP routes ask: whose webhooks to believe, where a recording lies, is the schema ours.
SET LOCAL ROLE app_owner;

-- Accounts of the tenant whose calls may still report: retired ones are kept, their last hang-ups come late.
CREATE OR REPLACE FUNCTION app.carrier_accounts_sealed()
RETURNS TABLE (id uuid, provider text, auth_id text, status text, token_sealed bytea, token_previous_sealed bytea)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = ''
AS $$
    SELECT a.id, a.provider, a.auth_id, a.status, a.auth_token_sealed, a.auth_token_previous_sealed
      FROM public.carrier_accounts a
     WHERE a.organization_id = (SELECT app.active_org())
     ORDER BY a.id
$$;

-- A finished recording's file, relative to the data directory; no row when it is not there (any more).
CREATE OR REPLACE FUNCTION app.recording_file(recording_id uuid) RETURNS TABLE (path text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = ''
AS $$
    SELECT r.path
      FROM public.recordings r
     WHERE r.organization_id = (SELECT app.active_org()) AND r.id = recording_id AND r.status = 'ready'
       AND r.deleted_at IS NULL AND r.path IS NOT NULL
$$;

RESET ROLE;
SET LOCAL ROLE app_engine;

-- The newest migration applied, or NULL when something else than `dialwright migrate` brought the schema here.
CREATE OR REPLACE FUNCTION engine.schema_level() RETURNS int4
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = ''
AS $$
DECLARE
    level int4;
BEGIN
    IF to_regclass('dialwright.migrations') IS NULL THEN
        RETURN NULL;
    END IF;
    EXECUTE 'SELECT max(number) FROM dialwright.migrations' INTO level;
    RETURN level;
END
$$;

RESET ROLE;
DO $$
BEGIN
    IF to_regclass('dialwright.migrations') IS NOT NULL THEN
        GRANT USAGE ON SCHEMA dialwright TO app_engine;
        GRANT SELECT ON dialwright.migrations TO app_engine;
    END IF;
END
$$;
REVOKE ALL ON FUNCTION app.carrier_accounts_sealed(), app.recording_file(uuid), engine.schema_level()
    FROM PUBLIC, anon, authenticated, service_role;
GRANT EXECUTE ON FUNCTION app.carrier_accounts_sealed(), app.recording_file(uuid), engine.schema_level() TO app_worker;
