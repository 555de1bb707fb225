-- A part of the carrier's list of one account, compared with ours.
-- in   account_id uuid, calls jsonb, adopt bool, skew_ms int8, horizon_ms int8, retry_ms int8, at timestamptz
-- out  known int4, adopted int4, orphans int4, fresh int4
-- rows 1
SELECT s.known, s.adopted, s.orphans, s.fresh
  FROM app.orphan_sweep($1::uuid, $2::jsonb, $3::bool, $4::int8, $5::int8, $6::int8, $7::timestamptz) AS s;
