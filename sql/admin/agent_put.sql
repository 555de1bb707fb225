-- Creates or changes one agent.
-- in   doc jsonb, at timestamptz
-- out  answer jsonb
-- rows 1
SELECT app.agent_put($1::jsonb, $1::jsonb ->> 'actor', $2::timestamptz) AS answer;
