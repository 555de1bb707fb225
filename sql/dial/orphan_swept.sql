-- How the sweep of an account ended; swept_until NULL: it failed.
-- in   account_id uuid, swept_until timestamptz, calls int4, orphans int4, failed text, at timestamptz
-- out  done text
-- rows 1
SELECT app.orphan_swept($1::uuid, $2::timestamptz, $3::int4, $4::int4, $5::text, $6::timestamptz)::text AS done;
