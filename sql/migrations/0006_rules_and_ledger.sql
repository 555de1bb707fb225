-- Law as data, consents and refusals, pauses, and what leaves the system: outbox, keys, audit.
SET LOCAL ROLE app_owner;

-- Effective-dated rules per country; '*' is the generic row that an organization enables country by country.
-- hours      {"spans": [{"days": [1..7], "from": "09:00", "to": "20:00"}, …], "holidays": true: closed on them}
-- consent    {"scope": "ai_voice", "levels": {"marketing": "written", …}, "per_seller": true}; a purpose without
--            a level needs none
-- frequency  {"24h": 3, "7d": 7, "30d": 4}
-- prefixes   ["+1900", …] never dialed
-- notice     ["marketing", …] purposes that need the organization's own enablement of the country
CREATE TABLE public.compliance_rules (
    id uuid PRIMARY KEY DEFAULT app.uuid7(),
    jurisdiction text NOT NULL CHECK (jurisdiction ~ '^([A-Z]{2}|\*)$'),
    rule text NOT NULL CHECK (rule IN ('hours', 'consent', 'frequency', 'prefixes', 'notice')),
    value jsonb NOT NULL,
    valid_from date NOT NULL DEFAULT '-infinity',
    valid_to date NOT NULL DEFAULT 'infinity',
    source_url text,
    reviewed_by text,
    reviewed_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (jurisdiction, rule, valid_from),
    CHECK (valid_from < valid_to)
);

CREATE TABLE public.holidays (
    region text NOT NULL CHECK (region ~ '^[A-Z]{2}$'),
    day date NOT NULL,
    name text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (region, day)
);

-- Prefixes whose zones the built-in table has wrong or has not yet; the longest prefix wins.
CREATE TABLE public.zone_overrides (
    prefix text PRIMARY KEY CHECK (prefix ~ '^\+[1-9][0-9]{0,14}$'),
    region text CHECK (region ~ '^[A-Z]{2}$'),
    zones text[] NOT NULL CHECK (cardinality(zones) > 0),
    note text,
    created_at timestamptz NOT NULL DEFAULT now()
);

-- An organization's own word that it may phone a country: needed for countries that only the generic,
-- unreviewed rule covers, and where a rule asks for notice.
CREATE TABLE public.region_enablements (
    organization_id uuid NOT NULL REFERENCES public.organizations (id),
    region text NOT NULL CHECK (region ~ '^[A-Z]{2}$'),
    enabled_by text NOT NULL CHECK (length(enabled_by) BETWEEN 1 AND 200),
    note text,
    enabled_at timestamptz NOT NULL,
    disabled_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (organization_id, region)
);

-- Imported lists, with their age.
CREATE TABLE public.dnc_lists (
    organization_id uuid NOT NULL REFERENCES public.organizations (id),
    id uuid NOT NULL DEFAULT app.uuid7(),
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    region text CHECK (region ~ '^[A-Z]{2}$'),
    version text,
    as_of date NOT NULL,
    entries int8 NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (organization_id, id)
);

-- Append-only; lifted only by an audited act.
CREATE TABLE public.do_not_call (
    organization_id uuid NOT NULL REFERENCES public.organizations (id),
    id uuid NOT NULL DEFAULT app.uuid7(),
    phone_e164 text NOT NULL CHECK (phone_e164 ~ '^\+[1-9][0-9]{5,14}$'),
    -- NULL: all campaigns.
    campaign_id uuid,
    reason text NOT NULL DEFAULT 'opt_out' CHECK (reason IN ('opt_out', 'complaint', 'legal', 'list', 'manual', 'wrong_number')),
    source text NOT NULL CHECK (source IN ('model', 'phrase', 'dtmf', 'agent', 'import', 'manual', 'api', 'analysis')),
    words text CHECK (length(words) <= 2000),
    call_log_id uuid,
    list_id uuid,
    added_by text,
    added_at timestamptz NOT NULL,
    lifted_at timestamptz,
    lifted_by text,
    lift_reason text,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (organization_id, id),
    FOREIGN KEY (organization_id, campaign_id) REFERENCES public.campaigns (organization_id, id),
    FOREIGN KEY (organization_id, call_log_id) REFERENCES public.call_logs (organization_id, id),
    FOREIGN KEY (organization_id, list_id) REFERENCES public.dnc_lists (organization_id, id),
    CHECK ((lifted_at IS NULL) = (lifted_by IS NULL)),
    CHECK (lifted_at IS NULL OR lift_reason IS NOT NULL)
);
CREATE INDEX do_not_call_phone ON public.do_not_call (organization_id, phone_e164) WHERE lifted_at IS NULL;
-- The same word said twice in the same call is one entry.
CREATE UNIQUE INDEX do_not_call_once ON public.do_not_call (organization_id, phone_e164, campaign_id, source, call_log_id)
    NULLS NOT DISTINCT WHERE lifted_at IS NULL;

-- Consent cannot be made without evidence.
CREATE TABLE public.consents (
    organization_id uuid NOT NULL REFERENCES public.organizations (id),
    id uuid NOT NULL DEFAULT app.uuid7(),
    phone_e164 text NOT NULL CHECK (phone_e164 ~ '^\+[1-9][0-9]{5,14}$'),
    lead_id uuid,
    scope text NOT NULL DEFAULT 'ai_voice' CHECK (scope IN ('ai_voice', 'human_voice', 'sms', 'email')),
    level text NOT NULL CHECK (level IN ('express', 'written')),
    -- The business that was named; compared with the campaign's legal name where the rule says so.
    seller text NOT NULL CHECK (length(seller) BETWEEN 1 AND 200),
    source text NOT NULL CHECK (length(source) BETWEEN 1 AND 200),
    evidence jsonb NOT NULL CHECK (jsonb_typeof(evidence) = 'object' AND evidence <> '{}'),
    granted_at timestamptz NOT NULL,
    expires_at timestamptz,
    revoked_at timestamptz,
    revoked_reason text,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (organization_id, id),
    UNIQUE (organization_id, phone_e164, scope, level, seller, granted_at),
    FOREIGN KEY (organization_id, lead_id) REFERENCES public.leads (organization_id, id)
);

-- A pause is effective for every decision at or after paused_at until resumed_at.
CREATE TABLE public.dial_pauses (
    organization_id uuid NOT NULL REFERENCES public.organizations (id),
    id uuid NOT NULL DEFAULT app.uuid7(),
    scope text NOT NULL CHECK (scope IN ('tenant', 'campaign', 'number')),
    campaign_id uuid,
    -- A caller id of ours, or a number we phone.
    phone_e164 text CHECK (phone_e164 ~ '^\+[1-9][0-9]{5,14}$'),
    reason text NOT NULL CHECK (length(reason) BETWEEN 1 AND 500),
    paused_by text NOT NULL,
    paused_at timestamptz NOT NULL,
    resumed_at timestamptz,
    resumed_by text,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (organization_id, id),
    FOREIGN KEY (organization_id, campaign_id) REFERENCES public.campaigns (organization_id, id),
    CHECK ((scope = 'campaign') = (campaign_id IS NOT NULL)),
    CHECK ((scope = 'number') = (phone_e164 IS NOT NULL)),
    CHECK (resumed_at >= paused_at)
);
CREATE INDEX dial_pauses_open ON public.dial_pauses (organization_id) WHERE resumed_at IS NULL;
CREATE INDEX dial_pauses_org ON public.dial_pauses (organization_id, paused_at);

CREATE TABLE public.platform_pauses (
    id uuid PRIMARY KEY DEFAULT app.uuid7(),
    reason text NOT NULL CHECK (length(reason) BETWEEN 1 AND 500),
    paused_by text NOT NULL,
    paused_at timestamptz NOT NULL,
    resumed_at timestamptz,
    resumed_by text,
    created_at timestamptz NOT NULL DEFAULT now(),
    CHECK (resumed_at >= paused_at)
);

CREATE TABLE public.webhook_endpoints (
    organization_id uuid NOT NULL REFERENCES public.organizations (id),
    id uuid NOT NULL DEFAULT app.uuid7(),
    url text NOT NULL CHECK (length(url) <= 2000),
    events text[] NOT NULL DEFAULT '{}',
    secret_sealed bytea,
    status text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'paused', 'disabled')),
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (organization_id, id)
);

CREATE TABLE public.outbox (
    organization_id uuid NOT NULL REFERENCES public.organizations (id),
    id uuid NOT NULL DEFAULT app.uuid7(),
    topic text NOT NULL CHECK (length(topic) BETWEEN 1 AND 100),
    subject_id uuid,
    dedup_key text CHECK (length(dedup_key) <= 200),
    payload jsonb NOT NULL DEFAULT '{}',
    status text NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'sent', 'failed')),
    tries int4 NOT NULL DEFAULT 0,
    next_try_at timestamptz,
    sent_at timestamptz,
    last_error text,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (organization_id, id)
);
CREATE UNIQUE INDEX outbox_once ON public.outbox (organization_id, topic, dedup_key) WHERE dedup_key IS NOT NULL;
CREATE INDEX outbox_pending ON public.outbox (next_try_at) WHERE status = 'pending';

CREATE TABLE public.api_keys (
    organization_id uuid NOT NULL REFERENCES public.organizations (id),
    id uuid NOT NULL DEFAULT app.uuid7(),
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 100),
    key_hash bytea NOT NULL CHECK (length(key_hash) = 32),
    prefix text NOT NULL,
    scopes text[] NOT NULL DEFAULT '{}',
    profile_id uuid,
    last_used_at timestamptz,
    expires_at timestamptz,
    revoked_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (organization_id, id),
    UNIQUE (organization_id, key_hash),
    FOREIGN KEY (organization_id, profile_id) REFERENCES public.profiles (organization_id, id)
);
CREATE INDEX api_keys_hash ON public.api_keys (key_hash);

-- Append-only (0010 refuses UPDATE and DELETE); each row carries the digest of the one before it in its tenant.
CREATE TABLE public.audit_log (
    organization_id uuid NOT NULL REFERENCES public.organizations (id),
    id uuid NOT NULL DEFAULT app.uuid7(),
    sequence int8 NOT NULL DEFAULT 0,
    at timestamptz NOT NULL,
    actor text NOT NULL CHECK (length(actor) BETWEEN 1 AND 200),
    action text NOT NULL CHECK (length(action) BETWEEN 1 AND 100),
    subject text,
    subject_id uuid,
    detail jsonb NOT NULL DEFAULT '{}',
    previous_digest bytea,
    digest bytea,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (organization_id, id),
    UNIQUE (organization_id, sequence)
);

RESET ROLE;
