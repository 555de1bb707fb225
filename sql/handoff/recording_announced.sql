-- The carrier has a recording of the bridged talk; false when this report was already kept.
-- in   call_id uuid, event_key text, carrier_recording_id text, carrier_url text, duration_ms int8, payload jsonb, at timestamptz
-- out  kept bool
-- rows 1
SELECT app.recording_announced($1::uuid, $2::text, $3::text, $4::text, $5::int8, $6::jsonb, $7::timestamptz) AS kept;
