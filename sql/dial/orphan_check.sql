-- Does a call of the carrier's list belong to an attempt of ours? If not it is on the audit log now.
-- in   account_id uuid, call_uuid text, from_number text, to_number text, initiated_at timestamptz, skew_ms int8, horizon_ms int8, at timestamptz
-- out  known bool
-- rows 1
SELECT app.orphan_check($1::uuid, $2::text, $3::text, $4::text, $5::timestamptz, $6::int8, $7::int8, $8::timestamptz) AS known;
