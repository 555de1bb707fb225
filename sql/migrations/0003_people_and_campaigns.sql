-- Organizations, their people, leads, numbers and campaigns. Vocabulary and contract columns: DOMAIN, §3 and §4.
-- Every key is led by organization_id, so a row cannot point into another tenant.
SET LOCAL ROLE app_owner;

CREATE TABLE public.organizations (
    id uuid PRIMARY KEY DEFAULT app.uuid7(),
    organization_id uuid NOT NULL GENERATED ALWAYS AS (id) STORED UNIQUE,
    slug text NOT NULL CHECK (slug ~ '^[a-z0-9][a-z0-9-]{0,62}$'),
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    legal_name text CHECK (length(legal_name) BETWEEN 1 AND 200),
    timezone text,
    currency text NOT NULL DEFAULT 'USD' CHECK (currency ~ '^[A-Z]{3}$'),
    -- Share among tenants when claims are short.
    weight int4 NOT NULL DEFAULT 1 CHECK (weight BETWEEN 1 AND 1000),
    -- Caps per phone number, across campaigns, from dials that rang or may have.
    number_cap_24h int4 NOT NULL DEFAULT 3 CHECK (number_cap_24h BETWEEN 1 AND 1000),
    number_cap_7d int4 NOT NULL DEFAULT 7 CHECK (number_cap_7d BETWEEN 1 AND 1000),
    number_spacing_s int4 NOT NULL DEFAULT 1800 CHECK (number_spacing_s BETWEEN 0 AND 2592000),
    recording_days int4 NOT NULL DEFAULT 90 CHECK (recording_days BETWEEN 1 AND 3650),
    settings jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(settings) = 'object'),
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    archived_at timestamptz
);

CREATE TABLE public.profiles (
    organization_id uuid NOT NULL REFERENCES public.organizations (id),
    id uuid NOT NULL DEFAULT app.uuid7(),
    user_id uuid,
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    email text CHECK (length(email) <= 320),
    role text NOT NULL CHECK (role IN ('owner', 'manager', 'agent', 'viewer')),
    phone_e164 text CHECK (phone_e164 ~ '^\+[1-9][0-9]{5,14}$'),
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    archived_at timestamptz,
    PRIMARY KEY (organization_id, id)
);
CREATE UNIQUE INDEX profiles_user ON public.profiles (organization_id, user_id) WHERE user_id IS NOT NULL;
CREATE UNIQUE INDEX profiles_email ON public.profiles (organization_id, email) WHERE email IS NOT NULL;

CREATE TABLE public.projects (
    organization_id uuid NOT NULL REFERENCES public.organizations (id),
    id uuid NOT NULL DEFAULT app.uuid7(),
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    description text,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    archived_at timestamptz,
    PRIMARY KEY (organization_id, id),
    UNIQUE (organization_id, name)
);

CREATE TABLE public.carrier_accounts (
    organization_id uuid NOT NULL REFERENCES public.organizations (id),
    id uuid NOT NULL DEFAULT app.uuid7(),
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 100),
    provider text NOT NULL DEFAULT 'plivo' CHECK (provider IN ('plivo')),
    auth_id text NOT NULL CHECK (length(auth_id) BETWEEN 1 AND 100),
    -- Sealed by the daemon (row key wrapped by the KEK, AES-256-GCM, bound to organization|column|id).
    auth_token_sealed bytea,
    auth_token_previous_sealed bytea,
    status text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'paused', 'retired')),
    lines int4 NOT NULL DEFAULT 10 CHECK (lines BETWEEN 1 AND 100000),
    calls_per_second float8 NOT NULL DEFAULT 1 CHECK (calls_per_second > 0 AND calls_per_second <= 100000),
    -- Claiming stops when so many attempts of the account are outcome_unknown.
    unknown_limit int4 NOT NULL DEFAULT 20 CHECK (unknown_limit BETWEEN 1 AND 10000),
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (organization_id, id),
    UNIQUE (organization_id, provider, auth_id),
    UNIQUE (organization_id, name)
);

CREATE TABLE public.phone_numbers (
    organization_id uuid NOT NULL,
    id uuid NOT NULL DEFAULT app.uuid7(),
    carrier_account_id uuid NOT NULL,
    phone_e164 text NOT NULL CHECK (phone_e164 ~ '^\+[1-9][0-9]{5,14}$'),
    label text,
    status text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'paused', 'retired')),
    lines int4 CHECK (lines BETWEEN 1 AND 100000),
    -- Calls that come in on this number belong to this campaign.
    inbound_campaign_id uuid,
    health jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(health) = 'object'),
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (organization_id, id),
    UNIQUE (organization_id, phone_e164),
    FOREIGN KEY (organization_id, carrier_account_id) REFERENCES public.carrier_accounts (organization_id, id)
);
CREATE INDEX phone_numbers_account ON public.phone_numbers (organization_id, carrier_account_id);

CREATE TABLE public.retry_policies (
    organization_id uuid NOT NULL REFERENCES public.organizations (id),
    id uuid NOT NULL DEFAULT app.uuid7(),
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 100),
    -- {"busy": [1800, 7200], …}: outcome -> waits in seconds, the n-th for the n-th retry; absent or empty = never.
    waits jsonb NOT NULL DEFAULT '{"busy": [1800, 7200], "no_answer": [7200, 86400], "voicemail": [86400],
        "failed": [1800, 7200], "not_placed": [60, 300, 1800], "unknown": [], "rejected": [],
        "invalid_number": []}' CHECK (jsonb_typeof(waits) = 'object'),
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (organization_id, id),
    UNIQUE (organization_id, name)
);

CREATE TABLE public.campaigns (
    organization_id uuid NOT NULL REFERENCES public.organizations (id),
    id uuid NOT NULL DEFAULT app.uuid7(),
    project_id uuid,
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    description text,
    status text NOT NULL DEFAULT 'draft' CHECK (status IN ('draft', 'active', 'paused', 'completed')),
    completed_reason text CHECK (completed_reason IN ('finished', 'deadline', 'cancelled', 'budget')),
    -- Decided, but calls are still live: completed as soon as they end.
    closing_reason text CHECK (closing_reason IN ('deadline', 'cancelled', 'budget')),
    completed_at timestamptz,
    started_at timestamptz,
    status_changed_at timestamptz NOT NULL DEFAULT now(),
    archived_at timestamptz,
    -- Window: dates inclusive, the day on which the window opens decides; end exclusive; 00:00-24:00 is the whole day.
    start_date date,
    end_date date,
    time_start time NOT NULL DEFAULT '09:00',
    time_end time NOT NULL DEFAULT '20:00',
    weekdays int2[] NOT NULL DEFAULT '{1,2,3,4,5}'
        CHECK (cardinality(weekdays) BETWEEN 1 AND 7 AND weekdays <@ '{1,2,3,4,5,6,7}'),
    -- Used for leads of unknown zone; NULL = such leads are never dialed.
    timezone text CHECK (timezone = 'UTC' OR timezone ~ '^[A-Za-z_]+(/[A-Za-z0-9_+-]+)+$'),
    -- What is said.
    language text NOT NULL DEFAULT 'en' CHECK (length(language) BETWEEN 2 AND 35),
    instructions text NOT NULL DEFAULT '' CHECK (length(instructions) <= 100000),
    greeting text NOT NULL DEFAULT '' CHECK (length(greeting) <= 4000),
    disclosure text NOT NULL DEFAULT '' CHECK (length(disclosure) <= 4000),
    farewell text CHECK (length(farewell) <= 4000),
    voice text NOT NULL DEFAULT 'marin' CHECK (length(voice) <= 100),
    model text CHECK (length(model) <= 100),
    tools text[] NOT NULL DEFAULT '{transfer_to_human,schedule_callback,mark_do_not_call,end_call,note_interest}',
    variables text[] NOT NULL DEFAULT '{}',
    -- Pace and persistence.
    weight int4 NOT NULL DEFAULT 1 CHECK (weight BETWEEN 1 AND 1000),
    lines int4 NOT NULL DEFAULT 5 CHECK (lines BETWEEN 1 AND 100000),
    calls_per_second float8 NOT NULL DEFAULT 1 CHECK (calls_per_second > 0 AND calls_per_second <= 100000),
    max_attempts int4 NOT NULL DEFAULT 3 CHECK (max_attempts BETWEEN 1 AND 100),
    retry_policy_id uuid,
    -- Behaviour of one call.
    ring_timeout_s int4 NOT NULL DEFAULT 30 CHECK (ring_timeout_s BETWEEN 20 AND 120),
    max_duration_s int4 NOT NULL DEFAULT 600 CHECK (max_duration_s BETWEEN 30 AND 14400),
    silence_timeout_s int4 NOT NULL DEFAULT 20 CHECK (silence_timeout_s BETWEEN 2 AND 600),
    amd text NOT NULL DEFAULT 'off' CHECK (amd IN ('off', 'detect', 'hangup')),
    voicemail_action text NOT NULL DEFAULT 'hangup' CHECK (voicemail_action IN ('hangup', 'message')),
    voicemail_message text CHECK (length(voicemail_message) <= 4000),
    recording text NOT NULL DEFAULT 'on' CHECK (recording IN ('on', 'off')),
    transfer text NOT NULL DEFAULT 'agents' CHECK (transfer IN ('off', 'agents')),
    transfer_timeout_s int4 NOT NULL DEFAULT 30 CHECK (transfer_timeout_s BETWEEN 5 AND 120),
    transfer_apology text CHECK (length(transfer_apology) <= 1000),
    -- Law.
    purpose text NOT NULL DEFAULT 'marketing'
        CHECK (purpose IN ('marketing', 'informational', 'debt', 'political', 'charity')),
    voice_kind text NOT NULL DEFAULT 'ai' CHECK (voice_kind IN ('ai', 'human')),
    b2b boolean NOT NULL DEFAULT false,
    legal_name text CHECK (length(legal_name) BETWEEN 1 AND 200),
    callback_number text CHECK (callback_number ~ '^\+[1-9][0-9]{5,14}$'),
    -- Money: minor units of the currency.
    budget_minor int8 CHECK (budget_minor > 0),
    budget_currency text CHECK (budget_currency ~ '^[A-Z]{3}$'),
    -- Counters: written by engine.fold_counters alone, from campaign_deltas.
    total_calls int4 NOT NULL DEFAULT 0,
    answered_calls int4 NOT NULL DEFAULT 0,
    transferred_calls int4 NOT NULL DEFAULT 0,
    avg_sentiment_score numeric(4,3),
    sentiment_sum numeric NOT NULL DEFAULT 0,
    sentiment_count int4 NOT NULL DEFAULT 0,
    spent_micros int8 NOT NULL DEFAULT 0,
    metadata jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(metadata) = 'object'),
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (organization_id, id),
    FOREIGN KEY (organization_id, project_id) REFERENCES public.projects (organization_id, id),
    FOREIGN KEY (organization_id, retry_policy_id) REFERENCES public.retry_policies (organization_id, id),
    CHECK (start_date <= end_date),
    CHECK (time_start <> time_end),
    CHECK ((status = 'completed') = (completed_reason IS NOT NULL)),
    CHECK ((budget_minor IS NULL) = (budget_currency IS NULL)),
    CHECK (voicemail_action = 'hangup' OR voicemail_message IS NOT NULL)
);
CREATE UNIQUE INDEX campaigns_name ON public.campaigns (organization_id, name) WHERE archived_at IS NULL;
CREATE INDEX campaigns_open ON public.campaigns (organization_id, id) WHERE status IN ('active', 'paused');
ALTER TABLE public.phone_numbers ADD FOREIGN KEY (organization_id, inbound_campaign_id)
    REFERENCES public.campaigns (organization_id, id);

-- The caller ids of a campaign.
CREATE TABLE public.campaign_numbers (
    organization_id uuid NOT NULL,
    campaign_id uuid NOT NULL,
    phone_number_id uuid NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (organization_id, campaign_id, phone_number_id),
    FOREIGN KEY (organization_id, campaign_id) REFERENCES public.campaigns (organization_id, id),
    FOREIGN KEY (organization_id, phone_number_id) REFERENCES public.phone_numbers (organization_id, id)
);

-- Lists that were read in, and every row of them that became no lead.
CREATE TABLE public.imports (
    organization_id uuid NOT NULL REFERENCES public.organizations (id),
    id uuid NOT NULL DEFAULT app.uuid7(),
    campaign_id uuid,
    file_name text,
    file_sha256 bytea CHECK (length(file_sha256) = 32),
    status text NOT NULL DEFAULT 'running' CHECK (status IN ('running', 'finished', 'failed')),
    rows_read int8 NOT NULL DEFAULT 0,
    rows_added int8 NOT NULL DEFAULT 0,
    rows_updated int8 NOT NULL DEFAULT 0,
    rows_rejected int8 NOT NULL DEFAULT 0,
    mapping jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(mapping) = 'object'),
    error text,
    created_by uuid,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    finished_at timestamptz,
    PRIMARY KEY (organization_id, id),
    FOREIGN KEY (organization_id, campaign_id) REFERENCES public.campaigns (organization_id, id)
);

CREATE TABLE public.import_rejects (
    organization_id uuid NOT NULL,
    import_id uuid NOT NULL,
    line int8 NOT NULL CHECK (line > 0),
    reason text NOT NULL CHECK (reason IN ('bad_number', 'missing_number', 'duplicate', 'duplicate_in_file', 'consent_missing',
        'unknown_zone', 'unknown_region', 'dnc', 'bad_row', 'too_long', 'missing_name', 'bad_value', 'encoding')),
    detail text,
    raw text,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (organization_id, import_id, line),
    FOREIGN KEY (organization_id, import_id) REFERENCES public.imports (organization_id, id)
);

CREATE TABLE public.leads (
    organization_id uuid NOT NULL REFERENCES public.organizations (id),
    id uuid NOT NULL DEFAULT app.uuid7(),
    project_id uuid,
    import_id uuid,
    name text NOT NULL DEFAULT '' CHECK (length(name) <= 200),
    phone_e164 text NOT NULL CHECK (phone_e164 ~ '^\+[1-9][0-9]{5,14}$'),
    email text CHECK (length(email) <= 320),
    -- Known zone; else zones holds every zone the number may be in, and all must be open.
    timezone text CHECK (timezone = 'UTC' OR timezone ~ '^[A-Za-z_]+(/[A-Za-z0-9_+-]+)+$'),
    zones text[] NOT NULL DEFAULT '{}' CHECK (cardinality(zones) <= 64),
    -- ISO 3166 country of the number, and of the stated residence where it differs: both rules apply.
    region text CHECK (region ~ '^[A-Z]{2}$'),
    residence_region text CHECK (residence_region ~ '^[A-Z]{2}$'),
    language text CHECK (length(language) BETWEEN 2 AND 35),
    source text CHECK (length(source) <= 200),
    attributes jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(attributes) = 'object'),
    score int2 NOT NULL DEFAULT 0 CHECK (score BETWEEN 0 AND 100),
    sentiment_score numeric(3,2) CHECK (sentiment_score BETWEEN -1 AND 1),
    interest_level text CHECK (interest_level IN ('high', 'medium', 'low', 'none')),
    purchase_readiness text CHECK (purchase_readiness IN ('immediate', 'short_term', 'long_term', 'not_ready')),
    budget_range text,
    timeline text,
    assigned_to uuid,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    archived_at timestamptz,
    PRIMARY KEY (organization_id, id),
    FOREIGN KEY (organization_id, project_id) REFERENCES public.projects (organization_id, id),
    FOREIGN KEY (organization_id, import_id) REFERENCES public.imports (organization_id, id),
    FOREIGN KEY (organization_id, assigned_to) REFERENCES public.profiles (organization_id, id)
);
-- One lead per number: a person phoned twice under two names is phoned twice.
CREATE UNIQUE INDEX leads_phone ON public.leads (organization_id, phone_e164) WHERE archived_at IS NULL;
CREATE INDEX leads_assigned ON public.leads (organization_id, assigned_to) WHERE assigned_to IS NOT NULL;
CREATE INDEX leads_import ON public.leads (organization_id, import_id);

RESET ROLE;
