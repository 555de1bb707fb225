-- The tenant of a transaction, and the few helpers that every later migration leans on.
--
-- The daemon sets app.ctx = '<organization>.<expiry, unix seconds>.<hex HMAC-SHA256 of "organization.expiry">'.
-- app.active_org() verifies it, so an injected set_config() without the key reads no rows. Sessions of a
-- trusted JWT gateway (Supabase's PostgREST logs in as "authenticator") carry verified claims instead;
-- there the claim is a request and membership decides.
SET LOCAL ROLE app_owner;

-- UUIDv7: 48 bits of milliseconds, then random; keys made later sort later.
CREATE OR REPLACE FUNCTION app.uuid7() RETURNS uuid
LANGUAGE sql VOLATILE PARALLEL SAFE
AS $$
    SELECT encode(set_bit(set_bit(
               overlay(uuid_send(gen_random_uuid())
                       PLACING substring(int8send((extract(epoch FROM clock_timestamp()) * 1000)::bigint) FROM 3)
                       FROM 1 FOR 6), 52, 1), 53, 1), 'hex')::uuid
$$;

CREATE OR REPLACE FUNCTION app.touch() RETURNS trigger
LANGUAGE plpgsql SET search_path = ''
AS $$
BEGIN
    NEW.updated_at := now();
    RETURN NEW;
END
$$;

RESET ROLE;
SET LOCAL ROLE app_engine;

-- Stores the current key and retires the others after the grace in seconds (contexts in flight stay valid).
CREATE OR REPLACE FUNCTION app.context_key_set(key bytea, grace_s int4 DEFAULT 60) RETURNS uuid
LANGUAGE plpgsql SECURITY DEFINER SET search_path = ''
AS $$
DECLARE
    padded bytea := key || decode(repeat('00', greatest(0, 64 - length(key))), 'hex');
    inner_b bytea := padded;
    outer_b bytea := padded;
    kept uuid;
BEGIN
    IF length(key) < 32 OR length(key) > 64 THEN
        RAISE EXCEPTION 'a context key has 32 to 64 bytes' USING ERRCODE = '22023';
    END IF;
    FOR i IN 0..63 LOOP
        inner_b := set_byte(inner_b, i, get_byte(padded, i) # 54);   -- 0x36, RFC 2104
        outer_b := set_byte(outer_b, i, get_byte(padded, i) # 92);   -- 0x5c
    END LOOP;
    INSERT INTO app.context_keys AS k (inner_block, outer_block)
    VALUES (inner_b, outer_b)
    ON CONFLICT (inner_block) DO UPDATE SET retired_at = NULL
    RETURNING k.id INTO kept;
    UPDATE app.context_keys
       SET retired_at = now() + make_interval(secs => grace_s)
     WHERE id <> kept AND retired_at IS NULL;
    -- What this transaction has verified so far may have been signed with a key that is no more.
    PERFORM set_config('app.ctx_seen', '', true);
    RETURN kept;
END
$$;

-- What a signature over "organization.expiry" must be, for each key that still counts.
CREATE OR REPLACE FUNCTION app.context_valid(context text) RETURNS boolean
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = ''
AS $$
DECLARE
    organization text := split_part(context, '.', 1);
    expiry text := split_part(context, '.', 2);
    mac text := split_part(context, '.', 3);
    key record;
BEGIN
    IF context !~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\.[0-9]{1,12}\.[0-9a-f]{64}$'
       OR expiry::bigint <= extract(epoch FROM now()) THEN
        RETURN false;
    END IF;
    FOR key IN SELECT k.inner_block, k.outer_block FROM app.context_keys k
                WHERE k.retired_at IS NULL OR k.retired_at > now() LOOP
        -- Comparing digests of digests leaves nothing to learn from timing.
        IF sha256(sha256(key.outer_block || sha256(key.inner_block
               || convert_to(organization || '.' || expiry, 'UTF8')))) = sha256(decode(mac, 'hex')) THEN
            RETURN true;
        END IF;
    END LOOP;
    RETURN false;
END
$$;

-- Keeps what was verified in the registers, where they may be set at all: not while the server only reads.
CREATE OR REPLACE FUNCTION app.context_keep(organization uuid, mark int8) RETURNS uuid
LANGUAGE plpgsql VOLATILE SET search_path = ''
AS $$
DECLARE
    halves bytea := uuid_send(organization);
BEGIN
    IF current_setting('transaction_read_only') = 'off' THEN
        PERFORM setval('app.context_high', ('x' || encode(substring(halves, 1, 8), 'hex'))::bit(64)::int8),
                setval('app.context_low', ('x' || encode(substring(halves, 9, 8), 'hex'))::bit(64)::int8),
                setval('app.context_mark', mark), set_config('app.ctx_seen', 'yes', true);
    END IF;
    RETURN organization;
END
$$;

-- The tenant of this transaction, or NULL, and NULL matches no row. Policies compare with
-- (SELECT app.active_org()), a scalar, so that it runs once per statement.
-- A signature is checked once per transaction and context: its tenant is then kept in registers that only app_engine
-- can set (0120), under a mark of context and transaction. What is returned is what was verified, never what the
-- setting says, so a context made to fit the mark gains nothing. app.ctx_seen only says that the registers of
-- this session were set in this transaction; forged, it ends in a wrong mark or an error.
CREATE OR REPLACE FUNCTION app.active_org() RETURNS uuid
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = ''
AS $$
DECLARE
    context text := current_setting('app.ctx', true);
    mark int8;
    claims jsonb;
    wanted text;
    subject text;
BEGIN
    IF context <> '' THEN
        mark := hashtextextended(context, (extract(epoch FROM transaction_timestamp()) * 1000000)::int8);
        IF current_setting('app.ctx_seen', true) = 'yes' THEN
            IF currval('app.context_mark') = mark THEN
                RETURN encode(int8send(currval('app.context_high')) || int8send(currval('app.context_low')), 'hex')::uuid;
            END IF;
        END IF;
        RETURN CASE WHEN app.context_valid(context) THEN app.context_keep(split_part(context, '.', 1)::uuid, mark) END;
    END IF;
    IF nullif(current_setting('request.jwt.claims', true), '') IS NULL
       OR NOT EXISTS (SELECT FROM app.claim_logins l WHERE l.login = session_user) THEN
        RETURN NULL;
    END IF;
    claims := current_setting('request.jwt.claims', true)::jsonb;
    wanted := coalesce(claims #>> '{app_metadata,org_id}', claims ->> 'org_id');
    subject := claims ->> 'sub';
    IF wanted IS NULL OR subject IS NULL
       OR wanted !~* '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'
       OR subject !~* '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' THEN
        RETURN NULL;
    END IF;
    RETURN (SELECT p.organization_id FROM public.profiles p
             WHERE p.organization_id = wanted::uuid AND p.user_id = subject::uuid
               AND p.archived_at IS NULL);
EXCEPTION WHEN invalid_text_representation OR invalid_parameter_value THEN
    -- Claims that are no JSON are claims of nobody.
    RETURN NULL;
END
$$;

RESET ROLE;
REVOKE ALL ON FUNCTION app.context_key_set(bytea, int4), app.context_valid(text), app.context_keep(uuid, int8) FROM PUBLIC, anon, authenticated, service_role;
REVOKE ALL ON FUNCTION app.touch() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION app.context_key_set(bytea, int4) TO app_owner;
REVOKE ALL ON FUNCTION app.active_org() FROM PUBLIC, anon;
GRANT EXECUTE ON FUNCTION app.active_org() TO app_owner, authenticated;

-- Postgres gives every new function to everybody. Takes those of a schema with one of these names (regular
-- expressions, whole) from the public roles, and gives them to `roles`.
CREATE OR REPLACE FUNCTION app.functions_for(schema regnamespace, names text[], roles name[] DEFAULT '{}') RETURNS void
LANGUAGE plpgsql SET search_path = ''
AS $$
DECLARE
    f regprocedure;
    r name;
BEGIN
    FOR f IN SELECT p.oid::regprocedure FROM pg_catalog.pg_proc p
              WHERE p.pronamespace = schema AND p.proname ~ ('^(' || array_to_string(names, '|') || ')$') LOOP
        EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC, anon, authenticated, service_role', f);
        FOREACH r IN ARRAY roles LOOP
            EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO %I', f, r);
        END LOOP;
    END LOOP;
END
$$;
SELECT app.functions_for('app', '{functions_for}');

-- One call per new tenant table: forced row-level security, equality with one scalar, nothing for the
-- public roles beyond reading one's own rows. `clients` names the columns that authenticated may read
-- ('*' all, '' none: secrets and machinery).
CREATE OR REPLACE FUNCTION app.protect(target regclass, clients text DEFAULT '*') RETURNS void
LANGUAGE plpgsql SET search_path = ''
AS $$
BEGIN
    EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', target);
    EXECUTE format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', target);
    EXECUTE format('CREATE POLICY tenant ON %s TO app_owner, authenticated'
                   ' USING (organization_id = (SELECT app.active_org()))'
                   ' WITH CHECK (organization_id = (SELECT app.active_org()))', target);
    EXECUTE format('CREATE POLICY engine ON %s TO app_engine USING (true) WITH CHECK (true)', target);
    EXECUTE format('REVOKE ALL ON TABLE %s FROM PUBLIC, anon, authenticated, service_role', target);
    EXECUTE format('REVOKE TRUNCATE ON TABLE %s FROM app_owner', target);
    EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON TABLE %s TO app_engine', target);
    IF clients = '*' THEN
        EXECUTE format('GRANT SELECT ON TABLE %s TO authenticated, service_role', target);
    ELSIF clients <> '' THEN
        EXECUTE format('GRANT SELECT (%s) ON TABLE %s TO authenticated, service_role', clients, target);
    END IF;
END
$$;

-- The same for tables that belong to the platform: everybody of the system may read reference data
-- (readable), only app_engine sees machinery.
CREATE OR REPLACE FUNCTION app.protect_platform(target regclass, readable boolean) RETURNS void
LANGUAGE plpgsql SET search_path = ''
AS $$
BEGIN
    EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', target);
    EXECUTE format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', target);
    EXECUTE format('REVOKE ALL ON TABLE %s FROM PUBLIC, anon, authenticated, service_role', target);
    EXECUTE format('REVOKE TRUNCATE ON TABLE %s FROM app_owner', target);
    EXECUTE format('CREATE POLICY engine ON %s TO app_engine USING (true) WITH CHECK (true)', target);
    EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON TABLE %s TO app_engine', target);
    IF readable THEN
        EXECUTE format('CREATE POLICY reference ON %s FOR SELECT TO app_owner, authenticated USING (true)', target);
        EXECUTE format('GRANT SELECT ON TABLE %s TO authenticated, service_role', target);
    END IF;
END
$$;
REVOKE ALL ON FUNCTION app.protect(regclass, text), app.protect_platform(regclass, boolean) FROM PUBLIC, anon, authenticated, service_role;
GRANT EXECUTE ON FUNCTION app.protect(regclass, text), app.protect_platform(regclass, boolean) TO app_owner;
