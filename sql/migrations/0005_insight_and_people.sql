-- What is understood of a call, what is left to do, and the humans who take over.
SET LOCAL ROLE app_owner;

CREATE TABLE public.agent_presence (
    organization_id uuid NOT NULL,
    profile_id uuid NOT NULL,
    state text NOT NULL DEFAULT 'offline' CHECK (state IN ('available', 'ringing', 'on_call', 'wrap_up', 'offline')),
    skills text[] NOT NULL DEFAULT '{}',
    languages text[] NOT NULL DEFAULT '{}',
    agent_call_id uuid,
    state_since timestamptz NOT NULL DEFAULT now(),
    last_offered_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (organization_id, profile_id),
    FOREIGN KEY (organization_id, profile_id) REFERENCES public.profiles (organization_id, id)
);

CREATE TABLE public.agent_calls (
    organization_id uuid NOT NULL,
    id uuid NOT NULL DEFAULT app.uuid7(),
    lead_id uuid,
    campaign_id uuid,
    ai_call_log_id uuid NOT NULL,
    agent_id uuid NOT NULL,
    agent_name text NOT NULL,
    agent_number text,
    state text NOT NULL DEFAULT 'requested' CHECK (state IN ('requested', 'ringing', 'briefing', 'bridged', 'wrap_up', 'closed',
        'declined', 'no_answer', 'failed')),
    offer_number int4 NOT NULL DEFAULT 1 CHECK (offer_number > 0),
    reason text,
    briefing text,
    call_sid text CHECK (length(call_sid) <= 128),
    requested_at timestamptz NOT NULL,
    ringing_at timestamptz,
    answered_at timestamptz,
    started_at timestamptz,
    ended_at timestamptz,
    duration int4 NOT NULL DEFAULT 0 CHECK (duration >= 0),
    recording_id uuid,
    recording_url text,
    transcript text,
    outcome text CHECK (outcome IN ('scheduled', 'interested', 'not_interested', 'callback', 'closed', 'no_answer')),
    next_action text,
    next_action_date timestamptz,
    agent_notes text,
    sentiment_score numeric(3,2) CHECK (sentiment_score BETWEEN -1 AND 1),
    interest_level text CHECK (interest_level IN ('high', 'medium', 'low', 'none')),
    objections text[] NOT NULL DEFAULT '{}',
    cause text,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (organization_id, id),
    FOREIGN KEY (organization_id, lead_id) REFERENCES public.leads (organization_id, id),
    FOREIGN KEY (organization_id, campaign_id) REFERENCES public.campaigns (organization_id, id),
    FOREIGN KEY (organization_id, ai_call_log_id) REFERENCES public.call_logs (organization_id, id),
    FOREIGN KEY (organization_id, agent_id) REFERENCES public.profiles (organization_id, id),
    CHECK (state <> 'bridged' OR started_at IS NOT NULL)
);
CREATE UNIQUE INDEX agent_calls_sid ON public.agent_calls (organization_id, call_sid) WHERE call_sid IS NOT NULL;
CREATE INDEX agent_calls_ai ON public.agent_calls (organization_id, ai_call_log_id);
-- A call has one open offer at a time, and an agent is offered one call at a time.
CREATE UNIQUE INDEX agent_calls_open_call ON public.agent_calls (organization_id, ai_call_log_id)
    WHERE state IN ('requested', 'ringing', 'briefing', 'bridged');
CREATE UNIQUE INDEX agent_calls_open_agent ON public.agent_calls (organization_id, agent_id)
    WHERE state IN ('requested', 'ringing', 'briefing', 'bridged');
ALTER TABLE public.agent_presence ADD FOREIGN KEY (organization_id, agent_call_id)
    REFERENCES public.agent_calls (organization_id, id);
ALTER TABLE public.recordings ADD FOREIGN KEY (organization_id, agent_call_id)
    REFERENCES public.agent_calls (organization_id, id);

CREATE TABLE public.analysis_jobs (
    organization_id uuid NOT NULL,
    id uuid NOT NULL DEFAULT app.uuid7(),
    call_log_id uuid NOT NULL,
    kind text NOT NULL DEFAULT 'call' CHECK (kind IN ('call', 'agent_call')),
    status text NOT NULL DEFAULT 'queued' CHECK (status IN ('queued', 'running', 'done', 'failed', 'too_short')),
    tries int4 NOT NULL DEFAULT 0 CHECK (tries >= 0),
    max_tries int4 NOT NULL DEFAULT 8 CHECK (max_tries > 0),
    due_at timestamptz NOT NULL,
    lease_owner uuid,
    leased_until timestamptz,
    last_error text,
    started_at timestamptz,
    finished_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (organization_id, id),
    UNIQUE (organization_id, call_log_id, kind),
    FOREIGN KEY (organization_id, call_log_id) REFERENCES public.call_logs (organization_id, id)
);
CREATE INDEX analysis_jobs_due ON public.analysis_jobs (due_at) WHERE status IN ('queued', 'running');

CREATE TABLE public.conversation_insights (
    organization_id uuid NOT NULL,
    id uuid NOT NULL DEFAULT app.uuid7(),
    call_log_id uuid NOT NULL,
    lead_id uuid NOT NULL,
    campaign_id uuid,
    -- Too little was said to judge: stored, changes no score.
    too_short boolean NOT NULL DEFAULT false,
    overall_sentiment numeric(3,2) CHECK (overall_sentiment BETWEEN -1 AND 1),
    sentiment_label text CHECK (sentiment_label IN ('very_negative', 'negative', 'neutral', 'positive', 'very_positive')),
    primary_emotion text CHECK (primary_emotion IN ('excited', 'interested', 'neutral', 'hesitant', 'confused', 'frustrated', 'angry')),
    intent text CHECK (intent IN ('ready_to_buy', 'wants_callback', 'needs_info', 'just_browsing', 'not_interested')),
    interest_level text CHECK (interest_level IN ('high', 'medium', 'low', 'none')),
    purchase_readiness text CHECK (purchase_readiness IN ('immediate', 'short_term', 'long_term', 'not_ready')),
    objections text[] NOT NULL DEFAULT '{}',
    key_phrases text[] NOT NULL DEFAULT '{}',
    budget_mentioned boolean NOT NULL DEFAULT false,
    budget_range text,
    timeline_mentioned boolean NOT NULL DEFAULT false,
    timeline text,
    recommended_action text,
    priority_score int2 CHECK (priority_score BETWEEN 0 AND 100),
    summary text,
    -- {"field": [{"turn": uuid, "quote": "words"}]}, and how many values had none and were dropped.
    evidence jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(evidence) = 'object'),
    dropped_values int4 NOT NULL DEFAULT 0 CHECK (dropped_values >= 0),
    model text,
    schema_version int4 NOT NULL DEFAULT 1,
    revision int4 NOT NULL DEFAULT 1 CHECK (revision > 0),
    analysed_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (organization_id, id),
    UNIQUE (organization_id, call_log_id),
    FOREIGN KEY (organization_id, call_log_id) REFERENCES public.call_logs (organization_id, id),
    FOREIGN KEY (organization_id, lead_id) REFERENCES public.leads (organization_id, id),
    FOREIGN KEY (organization_id, campaign_id) REFERENCES public.campaigns (organization_id, id),
    CHECK (too_short OR overall_sentiment IS NOT NULL)
);
CREATE INDEX conversation_insights_lead ON public.conversation_insights (organization_id, lead_id, analysed_at DESC);
CREATE INDEX conversation_insights_campaign ON public.conversation_insights (organization_id, campaign_id);

-- Rows that re-analysis replaced.
CREATE TABLE public.insight_history (
    organization_id uuid NOT NULL,
    id uuid NOT NULL DEFAULT app.uuid7(),
    insight_id uuid NOT NULL,
    call_log_id uuid NOT NULL,
    revision int4 NOT NULL,
    insight jsonb NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (organization_id, id),
    UNIQUE (organization_id, insight_id, revision),
    FOREIGN KEY (organization_id, insight_id) REFERENCES public.conversation_insights (organization_id, id)
);

-- Published weights, versioned; the newest active version counts. organization's own.
CREATE TABLE public.score_weights (
    organization_id uuid NOT NULL REFERENCES public.organizations (id),
    version int4 NOT NULL CHECK (version > 0),
    weights jsonb NOT NULL CHECK (jsonb_typeof(weights) = 'object'),
    active boolean NOT NULL DEFAULT true,
    note text,
    created_by uuid,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (organization_id, version)
);
CREATE UNIQUE INDEX score_weights_active ON public.score_weights (organization_id) WHERE active;

-- Why a lead has the score it has: one row per lead, contributions by name.
CREATE TABLE public.lead_scores (
    organization_id uuid NOT NULL,
    lead_id uuid NOT NULL,
    score int2 NOT NULL CHECK (score BETWEEN 0 AND 100),
    contributions jsonb NOT NULL CHECK (jsonb_typeof(contributions) = 'object'),
    -- 0: the published defaults.
    weights_version int4 NOT NULL DEFAULT 0,
    insight_id uuid,
    computed_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (organization_id, lead_id),
    FOREIGN KEY (organization_id, lead_id) REFERENCES public.leads (organization_id, id),
    FOREIGN KEY (organization_id, insight_id) REFERENCES public.conversation_insights (organization_id, id)
);

CREATE TABLE public.follow_up_tasks (
    organization_id uuid NOT NULL REFERENCES public.organizations (id),
    id uuid NOT NULL DEFAULT app.uuid7(),
    lead_id uuid NOT NULL,
    campaign_id uuid,
    call_log_id uuid,
    agent_call_id uuid,
    assigned_to uuid,
    created_by uuid,
    task_type text NOT NULL CHECK (task_type IN ('call', 'sms', 'email', 'meeting', 'site_visit', 'send_info')),
    title text NOT NULL CHECK (length(title) BETWEEN 1 AND 200),
    description text,
    priority text NOT NULL DEFAULT 'medium' CHECK (priority IN ('low', 'medium', 'high')),
    due_date timestamptz,
    status text NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'completed', 'cancelled')),
    context jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(context) = 'object'),
    ai_suggestion text,
    source text NOT NULL CHECK (source IN ('manual', 'ai')),
    outcome text,
    outcome_notes text,
    -- Who does it: a callback of the AI's own feeds the queue and keeps its campaign open.
    performed_by text NOT NULL DEFAULT 'person' CHECK (performed_by IN ('person', 'ai')),
    -- The same reason on the same call never makes two.
    reason_key text CHECK (length(reason_key) <= 200),
    completed_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (organization_id, id),
    FOREIGN KEY (organization_id, lead_id) REFERENCES public.leads (organization_id, id),
    FOREIGN KEY (organization_id, campaign_id) REFERENCES public.campaigns (organization_id, id),
    FOREIGN KEY (organization_id, call_log_id) REFERENCES public.call_logs (organization_id, id),
    FOREIGN KEY (organization_id, agent_call_id) REFERENCES public.agent_calls (organization_id, id),
    FOREIGN KEY (organization_id, assigned_to) REFERENCES public.profiles (organization_id, id),
    FOREIGN KEY (organization_id, created_by) REFERENCES public.profiles (organization_id, id),
    CHECK (performed_by = 'person' OR (task_type = 'call' AND source = 'ai'))
);
CREATE UNIQUE INDEX follow_up_tasks_once ON public.follow_up_tasks (organization_id, call_log_id, reason_key)
    WHERE call_log_id IS NOT NULL AND reason_key IS NOT NULL;
CREATE INDEX follow_up_tasks_lead ON public.follow_up_tasks (organization_id, lead_id);
CREATE INDEX follow_up_tasks_open ON public.follow_up_tasks (organization_id, status, due_date);
CREATE INDEX follow_up_tasks_ai ON public.follow_up_tasks (organization_id, campaign_id)
    WHERE status = 'pending' AND performed_by = 'ai';

RESET ROLE;
