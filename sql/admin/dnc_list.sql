-- Barred numbers, or the history of one.
-- in   doc jsonb, at timestamptz
-- out  answer jsonb
-- rows 1
SELECT app.dnc_listing($1::jsonb ->> 'phone', ($1::jsonb ->> 'limit')::int4) AS answer
 WHERE $2::timestamptz IS NOT NULL;
