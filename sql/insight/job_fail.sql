-- A try that came to nothing: again at retry_at, or failed for good when that is null.
-- in   job_id uuid, worker uuid, error text, usage jsonb, retry_at timestamptz, at timestamptz
-- out  status text
-- rows 1
SELECT app.analysis_fail($1::uuid, $2::uuid, $3::text, $4::jsonb, $5::timestamptz, $6::timestamptz) AS status;
