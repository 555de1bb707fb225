-- Where a finished recording lies, relative to the data directory.
-- in   recording_id uuid
-- out  path text
-- rows 0..1
SELECT r.path FROM app.recording_file($1::uuid) r;
