-- Progress of the agent leg; false when this report was already kept.
-- in   call_id uuid, event_key text, leg_state text, leg_call_id text, duration_s int4, payload jsonb, at timestamptz
-- out  applied bool
-- rows 1
SELECT app.agent_event($1::uuid, $2::text, $3::text, $4::text, $5::int4, $6::jsonb, $7::timestamptz) AS applied;
