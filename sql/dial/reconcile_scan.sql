-- One complete scan of the carrier's lists that showed nothing.
-- in   call_id uuid, skew_ms int8, retry_ms int8, at timestamptz
-- out  status text
-- rows 1
SELECT app.reconcile_scan($1::uuid, $2::int8, $3::int8, $4::timestamptz) AS status;
