-- Accounts whose whole list is to be compared with ours now; taken for hold_ms.
-- in   every_ms int8, hold_ms int8, first_ms int8, since timestamptz, at timestamptz
-- out  organization_id uuid, account_id uuid, swept_until timestamptz
-- rows 0..20
SELECT d.organization_id, d.account_id, d.swept_until
  FROM engine.orphan_due($1::int8, $2::int8, $3::int8, $4::timestamptz, $5::timestamptz) AS d;
