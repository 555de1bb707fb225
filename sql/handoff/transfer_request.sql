-- The AI asks for a person: one available agent is held for this call, or why not.
-- in   call_id uuid, reason text, summary text, at timestamptz
-- out  granted bool, why text, agent_call_id uuid, agent_name text
-- rows 1
SELECT t.granted, t.why, t.agent_call_id, t.agent_name
  FROM app.transfer_request($1::uuid, $2::text, $3::text, $4::timestamptz) t;
