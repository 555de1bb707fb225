-- Asks for a call to be analysed once more.
-- in   call_id uuid, at timestamptz
-- out  queued bool
-- rows 1
SELECT app.analysis_again($1::uuid, $2::timestamptz) AS queued;
