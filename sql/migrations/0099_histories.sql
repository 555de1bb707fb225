-- Which history of the database is written: one row for every (cluster, timeline) that was ever dialed on. After a
-- failover, or a restore from a backup, the server writes another one; nothing is claimed on it before it is opened.
SET LOCAL ROLE app_owner;

-- This installation. Copies of it (backups, dumps) keep the id; a database that is migrated afresh gets another.
CREATE TABLE public.installation (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    single boolean NOT NULL DEFAULT true UNIQUE CHECK (single),
    created_at timestamptz NOT NULL DEFAULT now()
);
INSERT INTO public.installation DEFAULT VALUES;

CREATE TABLE public.dial_histories (
    system_id text NOT NULL,
    timeline int8 NOT NULL,
    -- first: the one that the schema was made on. failover: commits of the last moments may be missing, and the
    -- journals have them. restore: more is missing than journals can hold; an operator has to say so first.
    kind text NOT NULL CHECK (kind IN ('first', 'failover', 'restore')),
    why text NOT NULL DEFAULT '',
    seen_at timestamptz NOT NULL,
    -- The last sign of life of any node that this database knows: what came after it may be lost.
    reference_at timestamptz,
    -- Carrier records since then are replayed as well (restore).
    replay_since timestamptz,
    accepted_at timestamptz,
    accepted_by text,
    accepted_why text,
    opened_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (system_id, timeline)
);
INSERT INTO public.dial_histories (system_id, timeline, kind, seen_at, opened_at)
SELECT s.system_identifier::text, ('x' || substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8))::bit(32)::int8,
       'first', now(), now()
  FROM pg_catalog.pg_control_system() s;

-- Who has to put its journal into a history before it is opened: nodes that may have dialed in the time that is
-- missing. A node's own row may be missing too, so there is no reference to it.
CREATE TABLE public.dial_replays (
    system_id text NOT NULL,
    timeline int8 NOT NULL,
    node_id uuid NOT NULL,
    done_at timestamptz,
    -- The journal's entries: how many the database had, how many were put back, how many could not be.
    known int4 NOT NULL DEFAULT 0,
    rebuilt int4 NOT NULL DEFAULT 0,
    unplaceable int4 NOT NULL DEFAULT 0,
    waived_at timestamptz,
    waived_by text,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (system_id, timeline, node_id),
    FOREIGN KEY (system_id, timeline) REFERENCES public.dial_histories (system_id, timeline)
);

-- The carrier's whole list against ours: how far an account has been compared, and who is at it.
CREATE TABLE public.orphan_sweeps (
    organization_id uuid NOT NULL,
    carrier_account_id uuid NOT NULL,
    -- Ended calls up to then were in the carrier's list and have been compared.
    swept_until timestamptz,
    finished_at timestamptz,
    taken_until timestamptz,
    -- Of the last one.
    calls int4 NOT NULL DEFAULT 0,
    orphans int4 NOT NULL DEFAULT 0,
    failed text CHECK (length(failed) <= 200),
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (organization_id, carrier_account_id),
    FOREIGN KEY (organization_id, carrier_account_id) REFERENCES public.carrier_accounts (organization_id, id)
);

SELECT app.protect_platform('public.installation', false);
SELECT app.protect_platform('public.dial_histories', false);
SELECT app.protect_platform('public.dial_replays', false);
SELECT app.protect('public.orphan_sweeps', '');
REVOKE TRUNCATE ON TABLE public.installation, public.dial_histories, public.dial_replays, public.orphan_sweeps FROM app_owner;

RESET ROLE;
