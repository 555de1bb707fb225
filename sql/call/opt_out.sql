-- Do not call again, tenant-wide and at once. live_calls: other running calls to the number, ids by blanks.
-- in   call_id uuid, source text, words text, at timestamptz, phone text
-- out  added bool, removed int4, live_calls text
-- rows 0..1
SELECT o.added, o.removed, o.live_calls FROM app.opt_out($1::uuid, $2::text, $3::text, $4::timestamptz, $5::text) o;
