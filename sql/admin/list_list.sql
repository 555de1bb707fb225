-- Lists in force with their age, and those that a rule asks for and nobody has.
-- in   doc jsonb, at timestamptz
-- out  answer jsonb
-- rows 1
SELECT app.list_listing($2::timestamptz) AS answer
 WHERE $1::jsonb IS NOT NULL;
