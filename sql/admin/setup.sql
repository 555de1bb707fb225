-- Applies one set-up file, whole or not at all.
-- in   doc jsonb, at timestamptz
-- out  answer jsonb
-- rows 1
SELECT app.setup_apply($1::jsonb, $1::jsonb ->> 'actor', $2::timestamptz) AS answer;
