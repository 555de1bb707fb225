-- The phone was picked up: talk, or hang up and why.
-- in   call_id uuid, event_key text, call_uuid text, request_uuid text, payload jsonb, token_hash bytea, token_expires timestamptz, at timestamptz
-- out  verdict text, reason text, status text, duplicate bool, anomaly bool
-- rows 1
SELECT a.verdict, a.reason, a.status, a.duplicate, a.anomaly
  FROM app.call_answer($1::uuid, $2::text, $3::text, $4::text, $5::jsonb, $6::bytea, $7::timestamptz, $8::timestamptz) a;
