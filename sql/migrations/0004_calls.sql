-- The queue, the calls and their journal. Status vocabulary and legal edges: call states (INTERFACES); the edges are
-- enforced by trigger in 0010.
SET LOCAL ROLE app_owner;

-- Instances of the daemon and the worker incarnations in them. They belong to the platform, to no tenant.
CREATE TABLE public.nodes (
    id uuid PRIMARY KEY DEFAULT app.uuid7(),
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    version text NOT NULL DEFAULT '',
    public_url text,
    epoch int8 NOT NULL DEFAULT 1,
    roles text[] NOT NULL DEFAULT '{}',
    started_at timestamptz NOT NULL,
    heartbeat_at timestamptz NOT NULL,
    stopped_at timestamptz,
    metadata jsonb NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE public.workers (
    id uuid PRIMARY KEY,
    node_id uuid NOT NULL REFERENCES public.nodes (id),
    status text NOT NULL DEFAULT 'alive' CHECK (status IN ('alive', 'ended', 'dead')),
    -- The file whose lock proves that this incarnation lives.
    lock_path text,
    started_at timestamptz NOT NULL,
    ended_at timestamptz,
    -- How the end was known: own sign-off, lock taken, operator's word.
    proof text CHECK (proof IN ('sign_off', 'lock', 'operator')),
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX workers_node ON public.workers (node_id, status);

-- Why a queued row is not being dialed. curable: somebody can change the datum, then the row is queued again.
CREATE TABLE public.skip_reasons (
    reason text PRIMARY KEY,
    scope text NOT NULL CHECK (scope IN ('row', 'campaign', 'account')),
    curable boolean NOT NULL,
    words text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE public.call_queue (
    organization_id uuid NOT NULL,
    id uuid NOT NULL DEFAULT app.uuid7(),
    campaign_id uuid NOT NULL,
    lead_id uuid NOT NULL,
    status text NOT NULL DEFAULT 'queued' CHECK (status IN ('queued', 'processing', 'completed', 'failed')),
    priority int2 NOT NULL DEFAULT 0 CHECK (priority BETWEEN -100 AND 100),
    -- Copy of the lead's score at enrolment or at the last change; orders the claim.
    score int2 NOT NULL DEFAULT 0,
    attempt_count int4 NOT NULL DEFAULT 0 CHECK (attempt_count >= 0),
    -- Always rises, also when an attempt was not placed.
    attempt_number int4 NOT NULL DEFAULT 0 CHECK (attempt_number >= 0),
    max_attempts int4 NOT NULL DEFAULT 3 CHECK (max_attempts BETWEEN 1 AND 100),
    next_retry_at timestamptz NOT NULL DEFAULT '-infinity',
    -- Due and waiting to be claimed; the claim itself wakes rows whose time has come, so that its cost does not
    -- grow with the rows that wait.
    ready boolean NOT NULL DEFAULT false,
    last_error text,
    -- A callback that the lead asked for: exempt from max_attempts, not from the caps per number.
    callback_at timestamptz,
    -- Lease while processing.
    call_log_id uuid,
    lease_owner uuid,
    leased_until timestamptz,
    fencing_token int8 NOT NULL DEFAULT 0,
    finished_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (organization_id, id),
    UNIQUE (organization_id, campaign_id, lead_id),
    FOREIGN KEY (organization_id, campaign_id) REFERENCES public.campaigns (organization_id, id),
    FOREIGN KEY (organization_id, lead_id) REFERENCES public.leads (organization_id, id),
    CHECK (NOT ready OR status = 'queued')
);
CREATE INDEX call_queue_ready ON public.call_queue
    (organization_id, campaign_id, priority DESC, score DESC, next_retry_at, id) WHERE ready;
CREATE INDEX call_queue_waiting ON public.call_queue
    (organization_id, campaign_id, next_retry_at) WHERE status = 'queued' AND NOT ready;
CREATE INDEX call_queue_live ON public.call_queue (organization_id, campaign_id) WHERE status = 'processing';
CREATE INDEX call_queue_lead ON public.call_queue (organization_id, lead_id);
CREATE INDEX call_queue_blocked ON public.call_queue (organization_id, campaign_id, last_error) WHERE status = 'failed';

CREATE TABLE public.call_logs (
    -- That the organization exists follows from its carrier account; one check less on the dial path.
    organization_id uuid NOT NULL,
    -- The attempt id of the dial protocol: one per ring, never reused.
    id uuid NOT NULL DEFAULT app.uuid7(),
    lead_id uuid,
    campaign_id uuid,
    project_id uuid,
    queue_id uuid,
    attempt_number int4 CHECK (attempt_number > 0),
    carrier_account_id uuid NOT NULL,
    direction text NOT NULL CHECK (direction IN ('outbound', 'inbound')),
    caller_number text NOT NULL,
    callee_number text NOT NULL,
    status text NOT NULL CHECK (status IN ('reserved', 'dialing', 'ringing', 'in_progress', 'transferring', 'ended',
        'outcome_unknown', 'not_placed')),
    -- Carrier's names and words, verbatim.
    call_sid text CHECK (length(call_sid) <= 128),
    request_uuid text CHECK (length(request_uuid) <= 128),
    call_status text,
    cause text,
    cause_code int4,
    hangup_source text,
    http_status int4,
    place_detail text,
    -- Dial protocol (never-twice, §2.2 and §2.3).
    node_id uuid,
    worker_id uuid,
    leased_until timestamptz,
    intent_at timestamptz,
    posted_at timestamptz,
    placed_at timestamptz,
    signed_off_at timestamptz,
    unknown_at timestamptz,
    resolved_at timestamptz,
    resolved_by text CHECK (resolved_by IN ('response', 'hook', 'live', 'cdr', 'absent', 'nosend', '4xx', 'operator', 'sign_off')),
    adopted_at timestamptz,
    timeline_id int8,
    first_absent_scan_at timestamptz,
    last_absent_scan_at timestamptz,
    absent_scans int4 NOT NULL DEFAULT 0 CHECK (absent_scans >= 0),
    next_reconcile_at timestamptz,
    -- Life of the call.
    ringing_at timestamptz,
    answered_at timestamptz,
    ended_at timestamptz,
    duration int4 NOT NULL DEFAULT 0 CHECK (duration >= 0),
    billed_seconds int4 CHECK (billed_seconds >= 0),
    cost_micros int8 CHECK (cost_micros >= 0),
    cost_currency text CHECK (cost_currency ~ '^[A-Z]{3}$'),
    machine_detected boolean,
    recording_url text,
    recording_id uuid,
    disclosure_played_at timestamptz,
    opted_out_at timestamptz,
    -- What was said and what it meant.
    conversation_transcript text,
    sentiment_score numeric(3,2) CHECK (sentiment_score BETWEEN -1 AND 1),
    interest_level text CHECK (interest_level IN ('high', 'medium', 'low', 'none')),
    conversation_summary text,
    transferred boolean NOT NULL DEFAULT false,
    transferred_at timestamptz,
    transfer_reason text,
    disconnect_reason text CHECK (disconnect_reason IN ('completed', 'no_answer', 'busy', 'rejected', 'invalid_number',
        'unreachable', 'voicemail', 'fax_or_sit', 'opted_out', 'wrong_number', 'transferred', 'caller_hangup',
        'agent_hangup', 'max_duration', 'silence_timeout', 'provider_error', 'model_error', 'cancelled',
        'refused_by_carrier', 'outcome_unknown')),
    disconnect_notes text,
    disposition text CHECK (disposition IN ('interested', 'qualified', 'callback_requested', 'not_interested',
        'wrong_number', 'do_not_call', 'no_decision', 'converted')),
    ai_analysis jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(ai_analysis) = 'object'),
    -- Counts for the caps per number: everything that rang or may have.
    may_have_rung boolean NOT NULL GENERATED ALWAYS AS (
        direction = 'outbound' AND status <> 'not_placed' AND NOT (
            status = 'ended' AND ringing_at IS NULL AND answered_at IS NULL
            AND coalesce(disconnect_reason, '') IN ('invalid_number', 'unreachable', 'refused_by_carrier'))) STORED,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (organization_id, id),
    FOREIGN KEY (organization_id, lead_id) REFERENCES public.leads (organization_id, id),
    FOREIGN KEY (organization_id, campaign_id) REFERENCES public.campaigns (organization_id, id),
    FOREIGN KEY (organization_id, project_id) REFERENCES public.projects (organization_id, id),
    FOREIGN KEY (organization_id, queue_id) REFERENCES public.call_queue (organization_id, id),
    FOREIGN KEY (organization_id, carrier_account_id) REFERENCES public.carrier_accounts (organization_id, id),
    CHECK (direction = 'inbound' OR (lead_id IS NOT NULL AND campaign_id IS NOT NULL AND queue_id IS NOT NULL
           AND attempt_number IS NOT NULL AND intent_at IS NOT NULL
           AND caller_number ~ '^\+[1-9][0-9]{5,14}$' AND callee_number ~ '^\+[1-9][0-9]{5,14}$')),
    CHECK (status <> 'ended' OR ended_at IS NOT NULL),
    CHECK (status IN ('ended', 'not_placed') OR ended_at IS NULL),
    CHECK (status <> 'not_placed' OR answered_at IS NULL),
    CHECK (NOT transferred OR transferred_at IS NOT NULL)
);
-- One live attempt per number pair: what makes a match in the carrier's call list unambiguous.
CREATE UNIQUE INDEX call_logs_live_pair ON public.call_logs (organization_id, carrier_account_id, caller_number, callee_number)
    WHERE status NOT IN ('ended', 'not_placed') AND direction = 'outbound';
CREATE UNIQUE INDEX call_logs_sid ON public.call_logs (organization_id, call_sid) WHERE call_sid IS NOT NULL;
CREATE UNIQUE INDEX call_logs_request ON public.call_logs (organization_id, request_uuid) WHERE request_uuid IS NOT NULL;
CREATE UNIQUE INDEX call_logs_attempt ON public.call_logs (organization_id, queue_id, attempt_number) WHERE queue_id IS NOT NULL;
CREATE INDEX call_logs_live_account ON public.call_logs (organization_id, carrier_account_id)
    WHERE status NOT IN ('ended', 'not_placed');
CREATE INDEX call_logs_live_campaign ON public.call_logs (organization_id, campaign_id)
    WHERE status NOT IN ('ended', 'not_placed');
-- The sweeps look across tenants, and only at what lives: leases, unknown and over-age attempts.
CREATE INDEX call_logs_live_sweep ON public.call_logs (status, organization_id, intent_at)
    WHERE status NOT IN ('ended', 'not_placed');
CREATE INDEX call_logs_callee ON public.call_logs (organization_id, callee_number, intent_at DESC) WHERE may_have_rung;
CREATE INDEX call_logs_account_pace ON public.call_logs (organization_id, carrier_account_id, intent_at DESC) WHERE direction = 'outbound';
CREATE INDEX call_logs_campaign ON public.call_logs (organization_id, campaign_id, intent_at DESC);
CREATE INDEX call_logs_lead ON public.call_logs (organization_id, lead_id, created_at DESC);
ALTER TABLE public.call_queue ADD FOREIGN KEY (organization_id, call_log_id)
    REFERENCES public.call_logs (organization_id, id);

CREATE TABLE public.call_attempts (
    organization_id uuid NOT NULL,
    id uuid NOT NULL DEFAULT app.uuid7(),
    lead_id uuid NOT NULL,
    campaign_id uuid NOT NULL,
    call_log_id uuid NOT NULL,
    attempt_number int4 NOT NULL CHECK (attempt_number > 0),
    channel text NOT NULL DEFAULT 'voice_ai' CHECK (channel IN ('voice_ai', 'voice_agent', 'sms', 'whatsapp', 'email')),
    outcome text CHECK (outcome IN ('answered', 'no_answer', 'busy', 'voicemail', 'rejected', 'invalid_number', 'failed',
        'not_placed', 'unknown')),
    duration int4 CHECK (duration >= 0),
    will_retry boolean,
    next_retry_at timestamptz,
    retry_reason text,
    voicemail_detected boolean,
    -- The gate's verdict and what it looked at, at intent_at.
    gate jsonb NOT NULL CHECK (jsonb_typeof(gate) = 'object'),
    settled_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (organization_id, id),
    UNIQUE (organization_id, campaign_id, lead_id, attempt_number),
    UNIQUE (organization_id, call_log_id),
    FOREIGN KEY (organization_id, lead_id) REFERENCES public.leads (organization_id, id),
    FOREIGN KEY (organization_id, campaign_id) REFERENCES public.campaigns (organization_id, id),
    FOREIGN KEY (organization_id, call_log_id) REFERENCES public.call_logs (organization_id, id),
    CHECK ((outcome IS NULL) = (settled_at IS NULL)),
    CHECK (outcome IS NULL OR will_retry IS NOT NULL)
);

CREATE TABLE public.call_turns (
    organization_id uuid NOT NULL,
    call_log_id uuid NOT NULL,
    ordinal int4 NOT NULL CHECK (ordinal >= 0),
    id uuid NOT NULL DEFAULT app.uuid7(),
    item_id text,
    speaker text NOT NULL CHECK (speaker IN ('ai', 'lead', 'agent')),
    start_ms int8 CHECK (start_ms >= 0),
    end_ms int8 CHECK (end_ms >= 0),
    body text NOT NULL DEFAULT '',
    heard text NOT NULL DEFAULT 'full' CHECK (heard IN ('full', 'cut', 'none')),
    heard_ms int8 CHECK (heard_ms >= 0),
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (organization_id, call_log_id, ordinal),
    UNIQUE (organization_id, id),
    FOREIGN KEY (organization_id, call_log_id) REFERENCES public.call_logs (organization_id, id)
);
CREATE UNIQUE INDEX call_turns_item ON public.call_turns (organization_id, call_log_id, item_id) WHERE item_id IS NOT NULL;

-- The inbox: what carrier and model said, as it came, each thing once.
CREATE TABLE public.call_events (
    organization_id uuid NOT NULL,
    id uuid NOT NULL DEFAULT app.uuid7(),
    call_log_id uuid NOT NULL,
    source text NOT NULL DEFAULT 'carrier' CHECK (source IN ('carrier', 'model', 'agent', 'system')),
    kind text NOT NULL CHECK (length(kind) BETWEEN 1 AND 64),
    event_key text NOT NULL CHECK (length(event_key) BETWEEN 1 AND 256),
    call_uuid text,
    request_uuid text,
    payload jsonb NOT NULL DEFAULT '{}',
    applied boolean NOT NULL DEFAULT false,
    anomaly boolean NOT NULL DEFAULT false,
    received_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (organization_id, id),
    UNIQUE (organization_id, call_log_id, kind, event_key),
    FOREIGN KEY (organization_id, call_log_id) REFERENCES public.call_logs (organization_id, id)
);

CREATE TABLE public.media_tokens (
    organization_id uuid NOT NULL,
    token_hash bytea NOT NULL CHECK (length(token_hash) = 32),
    call_log_id uuid NOT NULL,
    call_uuid text,
    node_id uuid,
    expires_at timestamptz NOT NULL,
    used_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (organization_id, token_hash),
    FOREIGN KEY (organization_id, call_log_id) REFERENCES public.call_logs (organization_id, id)
);
-- The token arrives before the tenant is known.
CREATE INDEX media_tokens_hash ON public.media_tokens (token_hash);
CREATE INDEX media_tokens_call ON public.media_tokens (organization_id, call_log_id);

CREATE TABLE public.recordings (
    organization_id uuid NOT NULL,
    id uuid NOT NULL DEFAULT app.uuid7(),
    call_log_id uuid NOT NULL,
    agent_call_id uuid,
    leg text NOT NULL DEFAULT 'ai' CHECK (leg IN ('ai', 'agent', 'session')),
    status text NOT NULL DEFAULT 'ready' CHECK (status IN ('recording', 'ready', 'failed', 'deleted')),
    path text,
    url text,
    carrier_recording_id text,
    format text NOT NULL DEFAULT 'wav_mulaw_stereo_8k',
    bytes int8 CHECK (bytes >= 0),
    duration_ms int8 CHECK (duration_ms >= 0),
    sha256 bytea CHECK (length(sha256) = 32),
    started_at timestamptz,
    ended_at timestamptz,
    expires_at timestamptz,
    deleted_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (organization_id, id),
    FOREIGN KEY (organization_id, call_log_id) REFERENCES public.call_logs (organization_id, id)
);
CREATE INDEX recordings_call ON public.recordings (organization_id, call_log_id);
CREATE UNIQUE INDEX recordings_carrier ON public.recordings (organization_id, carrier_recording_id) WHERE carrier_recording_id IS NOT NULL;

-- Tokens, seconds and money of a call. item_key makes a repeated report harmless.
CREATE TABLE public.usage_ledger (
    organization_id uuid NOT NULL,
    id uuid NOT NULL DEFAULT app.uuid7(),
    campaign_id uuid,
    call_log_id uuid,
    source text NOT NULL CHECK (source IN ('carrier', 'realtime', 'transcribe', 'analysis', 'agent_leg', 'other')),
    item_key text NOT NULL CHECK (length(item_key) BETWEEN 1 AND 200),
    model text,
    seconds int4 CHECK (seconds >= 0),
    tokens jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(tokens) = 'object'),
    cost_micros int8 NOT NULL DEFAULT 0 CHECK (cost_micros >= 0),
    currency text NOT NULL DEFAULT 'USD' CHECK (currency ~ '^[A-Z]{3}$'),
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (organization_id, id),
    FOREIGN KEY (organization_id, campaign_id) REFERENCES public.campaigns (organization_id, id),
    FOREIGN KEY (organization_id, call_log_id) REFERENCES public.call_logs (organization_id, id)
);
CREATE UNIQUE INDEX usage_ledger_item ON public.usage_ledger (organization_id, call_log_id, source, item_key) NULLS NOT DISTINCT;
CREATE INDEX usage_ledger_campaign ON public.usage_ledger (organization_id, campaign_id);

-- What the counters of a campaign grew by, appended by triggers, folded in and deleted by engine.fold_counters.
CREATE TABLE public.campaign_deltas (
    organization_id uuid NOT NULL,
    id uuid NOT NULL DEFAULT app.uuid7(),
    campaign_id uuid NOT NULL,
    total_calls int4 NOT NULL DEFAULT 0,
    answered_calls int4 NOT NULL DEFAULT 0,
    transferred_calls int4 NOT NULL DEFAULT 0,
    sentiment_sum numeric NOT NULL DEFAULT 0,
    sentiment_count int4 NOT NULL DEFAULT 0,
    spent_micros int8 NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (organization_id, id),
    FOREIGN KEY (organization_id, campaign_id) REFERENCES public.campaigns (organization_id, id)
);
CREATE INDEX campaign_deltas_campaign ON public.campaign_deltas (organization_id, campaign_id);

-- Where the fair claim stands: virtual time of tenants and campaigns, and the row that is locked while an
-- account is claimed from, so that its lines and calls per second are counted by one session at a time.
CREATE TABLE public.claim_pace (
    organization_id uuid NOT NULL REFERENCES public.organizations (id),
    scope text NOT NULL CHECK (scope IN ('tenant', 'account', 'campaign')),
    scope_id uuid NOT NULL,
    -- Claims served divided by weight.
    served float8 NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (organization_id, scope, scope_id)
);

RESET ROLE;
