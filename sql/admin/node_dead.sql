-- An operator's proof of death for a host that is off or fenced. Audited.
-- in   doc jsonb, at timestamptz
-- out  answer jsonb
-- rows 1
SELECT engine.node_dead($1::jsonb ->> 'node', $1::jsonb ->> 'why', $1::jsonb ->> 'actor', $2::timestamptz) AS answer;
