-- The agent picked up: the briefing, or no row when the offer is closed.
-- in   call_id uuid, event_key text, leg_call_id text, payload jsonb, at timestamptz
-- out  briefing text, language text
-- rows 0..1
SELECT t.briefing, t.language
  FROM app.agent_whisper($1::uuid, $2::text, $3::text, $4::jsonb, $5::timestamptz) t;
