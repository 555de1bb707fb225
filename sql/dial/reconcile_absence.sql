-- Concludes that nobody was phoned, if all evidence is on record; else what is missing.
-- in   call_id uuid, horizon_ms int8, scan_gap_ms int8, at timestamptz
-- out  concluded bool, why text
-- rows 1
SELECT r.concluded, r.why FROM app.reconcile_absence($1::uuid, $2::int8, $3::int8, $4::timestamptz) r;
