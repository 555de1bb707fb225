-- The last look before the POST: what changed since the claim (opt-out, pause, window)? NULL: nothing.
-- in   call_id uuid, at timestamptz
-- out  refusal text
-- rows 1
SELECT app.may_post($1::uuid, $2::timestamptz) AS refusal;
