-- The processes that dial, or did lately.
-- in   doc jsonb, at timestamptz
-- out  answer jsonb
-- rows 1
SELECT engine.node_list($2::timestamptz) AS answer FROM (SELECT $1::jsonb) AS doc;
