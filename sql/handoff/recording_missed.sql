-- A recording could not be fetched this time.
-- in   recording_id uuid, at timestamptz
-- out  done bool
-- rows 1
SELECT app.recording_missed($1::uuid, $2::timestamptz) AS done;
