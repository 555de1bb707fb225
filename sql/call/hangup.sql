-- The end of a call, settled in this one transaction. No row or a NULL status: no such call.
-- in   call_id uuid, event_key text, call_uuid text, request_uuid text, carrier_status text, cause text, cause_code int4, source text, answered_at timestamptz, ended_at timestamptz, duration_s int4, billed_s int4, cost_micros int8, currency text, outcome text, disconnect_reason text, payload jsonb, at timestamptz
-- out  status text, outcome text, will_retry bool, next_retry_at timestamptz, duplicate bool, anomaly bool
-- rows 0..1
SELECT h.status, h.attempt_outcome AS outcome, h.will_retry, h.next_retry_at, h.duplicate, h.anomaly
  FROM app.call_hangup($1::uuid, $2::text, $3::text, $4::text, $5::text, $6::text, $7::int4, $8::text, $9::timestamptz,
                       $10::timestamptz, $11::int4, $12::int4, $13::int8, $14::text, $15::text, $16::text, $17::jsonb,
                       $18::timestamptz) h;
