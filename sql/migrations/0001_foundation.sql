-- The roles of the system. Guarded by existence, so that the same file passes on plain Postgres (run by a
-- superuser) and under Supabase (run by a role with CREATEROLE that is no superuser and whose anon,
-- authenticated and service_role exist already). Roles belong to the cluster: a second database of the
-- same cluster finds them made.
DO $$
DECLARE
    wanted record;
BEGIN
    FOR wanted IN
        SELECT * FROM (VALUES
            ('app_owner', 'NOLOGIN NOINHERIT'),
            ('app_engine', 'NOLOGIN NOINHERIT'),
            ('app_worker', 'NOLOGIN NOINHERIT'),
            ('anon', 'NOLOGIN NOINHERIT'),
            ('authenticated', 'NOLOGIN NOINHERIT'),
            ('service_role', 'NOLOGIN NOINHERIT BYPASSRLS'),
            ('app_login', 'LOGIN NOINHERIT')
        ) AS w (name, attributes)
    LOOP
        IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles r WHERE r.rolname = wanted.name) THEN
            BEGIN
                -- Only a superuser may give BYPASSRLS away. Without it service_role is a role like the others;
                -- the daemon never uses it, it stands for Supabase's.
                EXECUTE format('CREATE ROLE %I %s', wanted.name,
                    CASE WHEN (SELECT r.rolsuper FROM pg_catalog.pg_roles r WHERE r.rolname = current_user) THEN wanted.attributes
                         ELSE replace(wanted.attributes, ' BYPASSRLS', '') END);
            EXCEPTION WHEN duplicate_object OR unique_violation THEN
                -- Another database of this cluster is being migrated at the same moment.
                NULL;
            END;
        END IF;
    END LOOP;
END
$$;

-- The daemon logs in as app_login, which holds nothing itself; SET LOCAL ROLE picks what a transaction may do.
DO $$
DECLARE
    needed text;
BEGIN
    FOREACH needed IN ARRAY ARRAY['app_worker', 'authenticated', 'anon'] LOOP
        IF NOT EXISTS (SELECT FROM pg_catalog.pg_auth_members m
                        WHERE m.roleid = needed::regrole AND m.member = 'app_login'::regrole) THEN
            EXECUTE format('GRANT %I TO app_login', needed);
        END IF;
    END LOOP;
    FOREACH needed IN ARRAY ARRAY['app_owner', 'app_engine'] LOOP
        IF NOT EXISTS (SELECT FROM pg_catalog.pg_auth_members m
                        WHERE m.roleid = needed::regrole
                          AND m.member = current_user::regrole) THEN
            EXECUTE format('GRANT %I TO %I', needed, current_user);
        END IF;
    END LOOP;
END
$$;

-- Any role with UPDATE may LOCK TABLE, and row-level security does not cover that; these limits do.
ALTER ROLE app_login SET statement_timeout = '30s';
ALTER ROLE app_login SET lock_timeout = '5s';
ALTER ROLE app_login SET idle_in_transaction_session_timeout = '10s';

CREATE SCHEMA app;
CREATE SCHEMA engine;
GRANT CREATE, USAGE ON SCHEMA app, engine TO app_owner, app_engine;
GRANT CREATE, USAGE ON SCHEMA public TO app_owner;
GRANT USAGE ON SCHEMA public TO app_engine, anon, authenticated, service_role, app_worker;
GRANT USAGE ON SCHEMA app TO authenticated, service_role, app_worker;
GRANT USAGE ON SCHEMA engine TO app_worker;
DO $$
BEGIN
    -- Versions before 15 let everybody create in public. Refused where the schema belongs to somebody else.
    REVOKE CREATE ON SCHEMA public FROM PUBLIC, anon, authenticated;
EXCEPTION WHEN insufficient_privilege THEN
    NULL;
END
$$;

SET LOCAL ROLE app_engine;
-- Keys of the signed context, stored as the two padded blocks of HMAC so that a check is two sha256 calls.
CREATE TABLE app.context_keys (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    inner_block bytea NOT NULL CHECK (length(inner_block) = 64),
    outer_block bytea NOT NULL CHECK (length(outer_block) = 64),
    created_at timestamptz NOT NULL DEFAULT now(),
    retired_at timestamptz,
    UNIQUE (inner_block)
);

-- Login roles whose request.jwt.claims were verified before they reached us.
CREATE TABLE app.claim_logins (
    login text PRIMARY KEY
);
INSERT INTO app.claim_logins VALUES ('authenticator');

-- One intent, as the claim gives it away.
CREATE TYPE engine.claimed AS (call_id uuid, organization_id uuid, campaign_id uuid, lead_id uuid, queue_id uuid,
    carrier_account_id uuid, caller_number text, callee_number text, attempt_number int4);

-- A caller id and how many calls may still begin from it.
CREATE TYPE engine.line AS (phone text, account uuid, room int4);
RESET ROLE;

SET LOCAL ROLE app_owner;
-- reason NULL = may dial. next_change_at NULL with a reason = nothing but somebody's act changes it.
CREATE TYPE app.verdict AS (reason text, next_change_at timestamptz, evidence jsonb);

-- What is known of a call's end, whoever told it.
CREATE TYPE app.call_end AS (
    carrier_status text, cause text, cause_code int4, source text, answered_at timestamptz, ended_at timestamptz,
    duration_s int4, billed_s int4, cost_micros int8, currency text, outcome text, disconnect_reason text);
RESET ROLE;
REVOKE ALL ON TABLE app.context_keys, app.claim_logins FROM PUBLIC, anon, authenticated, service_role;
REVOKE ALL ON TYPE app.verdict FROM PUBLIC;
GRANT USAGE ON TYPE app.verdict TO app_owner, app_engine;
REVOKE ALL ON TYPE engine.line, engine.claimed FROM PUBLIC;
GRANT USAGE ON TYPE engine.claimed TO app_worker;
