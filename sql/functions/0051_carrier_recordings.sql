-- Recordings that the carrier made (the bridged talk with an agent): announced by webhook, fetched by us as a
-- durable job, served from our own disk. The carrier's URL is public to whoever has it, so it is not what we keep.
SET LOCAL ROLE app_owner;

-- The carrier says that a recording is ready at its side. Safe to repeat.
CREATE OR REPLACE FUNCTION app.recording_announced(call_id uuid, event_key text, carrier_recording text, from_url text, duration_ms int8,
                                        payload jsonb, at timestamptz) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = ''
AS $$
DECLARE
    org uuid := (SELECT app.active_org());
BEGIN
    IF NOT app.handoff_report(call_id, 'recording', event_key, payload, at) THEN
        RETURN false;
    END IF;
    IF nullif(from_url, '') IS NULL THEN
        RETURN false;
    END IF;
    INSERT INTO public.recordings (organization_id, call_log_id, agent_call_id, leg, status, carrier_recording_id, carrier_url,
                                   format, duration_ms, next_fetch_at, ended_at)
    SELECT org, call_id,
           (SELECT o.id FROM public.agent_calls o WHERE o.organization_id = org AND o.ai_call_log_id = call_id
             ORDER BY (o.started_at IS NOT NULL) DESC, o.offer_number DESC LIMIT 1),
           'agent', 'recording', nullif(carrier_recording, ''), from_url, 'carrier', greatest(0, duration_ms), at, at
    ON CONFLICT DO NOTHING;
    RETURN FOUND;
END
$$;

-- Fetched: our file and our URL take the place of the carrier's.
CREATE OR REPLACE FUNCTION app.recording_fetched(recording uuid, path text, url text, bytes int8, at timestamptz) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = ''
AS $$
DECLARE
    org uuid := (SELECT app.active_org());
    kept record;
BEGIN
    UPDATE public.recordings r
       SET status = 'ready', path = recording_fetched.path, url = recording_fetched.url, bytes = recording_fetched.bytes,
           next_fetch_at = NULL,
           expires_at = at + (SELECT make_interval(days => o.recording_days) FROM public.organizations o WHERE o.id = org)
     WHERE r.organization_id = org AND r.id = recording AND r.status = 'recording'
    RETURNING r.agent_call_id, r.id INTO kept;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    UPDATE public.agent_calls o SET recording_id = kept.id, recording_url = recording_fetched.url
     WHERE o.organization_id = org AND o.id = kept.agent_call_id;
    RETURN true;
END
$$;

-- Not had this time: again later (1, 2, 4 … 60 minutes), given up after ten tries.
CREATE OR REPLACE FUNCTION app.recording_missed(recording uuid, at timestamptz) RETURNS boolean
LANGUAGE sql SECURITY DEFINER SET search_path = ''
AS $$
    UPDATE public.recordings r
       SET fetch_tries = r.fetch_tries + 1,
           status = CASE WHEN r.fetch_tries >= 9 THEN 'failed' ELSE r.status END,
           next_fetch_at = CASE WHEN r.fetch_tries >= 9 THEN NULL
                                ELSE at + least(60, 2 ^ r.fetch_tries) * interval '1 minute' END
     WHERE r.organization_id = (SELECT app.active_org()) AND r.id = recording AND r.status = 'recording'
    RETURNING true
$$;

RESET ROLE;
SET LOCAL ROLE app_engine;

-- Takes recordings that are due, and holds them for the lease, so that two nodes do not fetch one.
CREATE OR REPLACE FUNCTION engine.recordings_due(want int4, at timestamptz, lease_s int4)
RETURNS TABLE (organization_id uuid, recording_id uuid, call_log_id uuid, carrier_url text, started_at timestamptz)
LANGUAGE sql SECURITY DEFINER SET search_path = ''
AS $$
    UPDATE public.recordings r
       SET next_fetch_at = at + make_interval(secs => lease_s)
      FROM (SELECT d.organization_id, d.id FROM public.recordings d
             WHERE d.status = 'recording' AND d.carrier_url IS NOT NULL AND d.next_fetch_at <= at
             ORDER BY d.next_fetch_at LIMIT want FOR UPDATE SKIP LOCKED) due
     WHERE r.organization_id = due.organization_id AND r.id = due.id
    RETURNING r.organization_id, r.id, r.call_log_id, r.carrier_url, r.ended_at
$$;

RESET ROLE;
REVOKE ALL ON FUNCTION app.recording_announced(uuid, text, text, text, int8, jsonb, timestamptz),
    app.recording_fetched(uuid, text, text, int8, timestamptz), app.recording_missed(uuid, timestamptz),
    engine.recordings_due(int4, timestamptz, int4) FROM PUBLIC, anon, authenticated, service_role;
GRANT EXECUTE ON FUNCTION app.recording_announced(uuid, text, text, text, int8, jsonb, timestamptz),
    app.recording_fetched(uuid, text, text, int8, timestamptz), app.recording_missed(uuid, timestamptz),
    engine.recordings_due(int4, timestamptz, int4) TO app_worker;
