-- The lead asks to be called at a time: when it will be, or why not.
-- in   call_id uuid, due timestamptz, note text, at timestamptz
-- out  accepted bool, due_at timestamptz, reason text
-- rows 1
SELECT c.accepted, c.due_at, c.reason FROM app.callback_request($1::uuid, $2::timestamptz, $3::text, $4::timestamptz) c;
