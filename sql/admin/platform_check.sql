-- What doctor sees of the whole: server, clock, roles, tables, nodes.
-- in   at timestamptz
-- out  answer jsonb
-- rows 1
SELECT engine.platform_check($1::timestamptz) AS answer;
