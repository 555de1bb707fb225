-- A recording is on our disk; false when it was already.
-- in   recording_id uuid, path text, url text, bytes int8, at timestamptz
-- out  kept bool
-- rows 1
SELECT app.recording_fetched($1::uuid, $2::text, $3::text, $4::int8, $5::timestamptz) AS kept;
