-- The agent leg is over or failed: hang up after a bridged talk, else apologise.
-- in   call_id uuid, event_key text, leg_state text, leg_call_id text, duration_s int4, payload jsonb, at timestamptz
-- out  next text, apology text, language text
-- rows 0..1
SELECT t.next, t.apology, t.language
  FROM app.agent_action($1::uuid, $2::text, $3::text, $4::text, $5::int4, $6::jsonb, $7::timestamptz) t;
