-- Analyses that are due, held for the lease. Across tenants.
-- in   worker uuid, want int4, lease_s int4, delay_ms int8, at timestamptz
-- out  job_id uuid, organization_id uuid, call_id uuid, tries int4
-- rows 0..want
SELECT t.job_id, t.organization_id, t.call_id, t.tries
  FROM engine.analysis_take($1::uuid, $2::int4, $3::int4, $4::int8, $5::timestamptz) t;
