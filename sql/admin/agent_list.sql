-- The agents and what they are doing.
-- in   doc jsonb, at timestamptz
-- out  answer jsonb
-- rows 1
SELECT app.agent_listing() AS answer
 WHERE $1::jsonb IS NOT NULL AND $2::timestamptz IS NOT NULL;
