-- One report of the carrier but answer and hang-up (kind machine only when a machine answered).
-- in   call_id uuid, kind text, event_key text, call_uuid text, request_uuid text, carrier_status text, payload jsonb, at timestamptz
-- out  applied bool, duplicate bool, status text, anomaly bool
-- rows 1
SELECT e.applied, e.duplicate, e.status, e.anomaly
  FROM app.call_event($1::uuid, $2::text, $3::text, $4::text, $5::text, $6::text, $7::jsonb, $8::timestamptz) e;
