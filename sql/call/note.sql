-- What the talk learned, member by member. False: no such call.
-- in   call_id uuid, patch jsonb, at timestamptz
-- out  kept bool
-- rows 1
SELECT app.call_note($1::uuid, $2::jsonb, $3::timestamptz) AS kept;
