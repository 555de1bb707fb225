-- Begins a version of an imported list, or of a registry's answers.
-- in   doc jsonb, at timestamptz
-- out  answer jsonb
-- rows 1
SELECT app.list_begin($1::jsonb - 'actor', $1::jsonb ->> 'actor', $2::timestamptz) AS answer;
