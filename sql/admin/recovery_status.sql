-- Which history of the database is dialed on, and whom its opening waits for.
-- in   doc jsonb, at timestamptz
-- out  answer jsonb
-- rows 1
SELECT engine.recovery_status($2::timestamptz) AS answer FROM (SELECT $1::jsonb) AS doc;
