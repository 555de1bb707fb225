-- How far a test call is.
-- in   doc jsonb, at timestamptz
-- out  answer jsonb
-- rows 1
SELECT app.live_follow(($1::jsonb ->> 'queue')::uuid, ($1::jsonb ->> 'after')::int4) AS answer
 WHERE $2::timestamptz IS NOT NULL;
