-- Why a lead is or is not called at a moment, and what was decided about it so far.
-- in   doc jsonb, at timestamptz
-- out  answer jsonb
-- rows 1
SELECT app.why($1::jsonb, coalesce(($1::jsonb ->> 'at')::timestamptz, $2::timestamptz)) AS answer;
