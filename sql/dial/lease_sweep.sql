-- Leases that ran out and calls older than any call can be become outcome_unknown.
-- in   slack_ms int8, at timestamptz
-- out  call_id uuid, organization_id uuid, was text
-- rows 0..1000
SELECT s.call_id, s.organization_id, s.was FROM engine.lease_sweep($1::int8, $2::timestamptz) s;
