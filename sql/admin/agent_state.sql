-- Makes an agent available or takes them offline.
-- in   doc jsonb, at timestamptz
-- out  answer jsonb
-- rows 1
SELECT app.agent_state($1::jsonb ->> 'agent', $1::jsonb ->> 'state', $1::jsonb ->> 'actor', $2::timestamptz) AS answer;
