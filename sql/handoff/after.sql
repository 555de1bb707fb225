-- The stream is over: what is next for the call.
-- in   call_id uuid, event_key text, payload jsonb, at timestamptz
-- out  next text, agent_number text, caller_number text, ring_timeout_s int4, time_limit_s int4, record bool, language text
-- rows 1
SELECT t.next, t.agent_number, t.caller_number, t.ring_timeout_s, t.time_limit_s, t.record, t.language
  FROM app.transfer_after($1::uuid, $2::text, $3::jsonb, $4::timestamptz) t;
