-- The calls whose outcome nobody could tell.
-- in   doc jsonb, at timestamptz
-- out  answer jsonb
-- rows 1
SELECT app.call_unknown(($1::jsonb ->> 'limit')::int4, $2::timestamptz) AS answer;
