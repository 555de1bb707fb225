-- A call found in one of the carrier's lists; the status after it, or 'other' when it is not this attempt's.
-- in   call_id uuid, found_in text, call_uuid text, request_uuid text, initiated_at timestamptz, answered_at timestamptz, ended_at timestamptz, duration_s int4, billed_s int4, cost_micros int8, currency text, cause text, cause_code int4, source text, outcome text, disconnect_reason text, skew_ms int8, horizon_ms int8, retry_ms int8, at timestamptz
-- out  status text
-- rows 1
SELECT app.reconcile_presence($1::uuid, $2::text, $3::text, $4::text, $5::timestamptz, $6::timestamptz, $7::timestamptz,
                              $8::int4, $9::int4, $10::int8, $11::text, $12::text, $13::int4, $14::text, $15::text, $16::text,
                              $17::int8, $18::int8, $19::int8, $20::timestamptz) AS status;
