-- Closes an import and balances its books.
-- in   doc jsonb, at timestamptz
-- out  answer jsonb
-- rows 1
SELECT app.import_end(($1::jsonb ->> 'import')::uuid, ($1::jsonb ->> 'rows')::int8, $1::jsonb ->> 'error', $1::jsonb ->> 'actor', $2::timestamptz) AS answer;
