-- What the carrier's answers add to accounts and recordings.
SET LOCAL ROLE app_owner;

-- The carrier refuses the account itself (credentials, credit, caller id): nothing is claimed for it until then.
ALTER TABLE public.carrier_accounts
    ADD COLUMN trouble_until timestamptz,
    ADD COLUMN trouble text CHECK (length(trouble) <= 500);

-- Recordings that the carrier made are fetched as a durable job.
ALTER TABLE public.recordings
    ADD COLUMN carrier_url text CHECK (length(carrier_url) <= 2000),
    ADD COLUMN fetch_tries int4 NOT NULL DEFAULT 0,
    ADD COLUMN next_fetch_at timestamptz;
CREATE INDEX recordings_to_fetch ON public.recordings (next_fetch_at) WHERE status = 'recording' AND carrier_url IS NOT NULL;

RESET ROLE;
