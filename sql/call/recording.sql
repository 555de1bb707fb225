-- Our recording of a call is on disk. False: no such call.
-- in   call_id uuid, recording_id uuid, leg text, path text, url text, bytes int8, duration_ms int8, started_at timestamptz, at timestamptz
-- out  kept bool
-- rows 1
SELECT app.recording_put($1::uuid, $2::uuid, $3::text, $4::text, $5::text, $6::int8, $7::int8, $8::timestamptz,
                         $9::timestamptz) AS kept;
