-- Opens an import.
-- in   doc jsonb, at timestamptz
-- out  answer jsonb
-- rows 1
SELECT app.import_begin($1::jsonb ->> 'campaign', $1::jsonb ->> 'file', decode($1::jsonb ->> 'sha256', 'hex'), $1::jsonb -> 'columns', $1::jsonb ->> 'actor', $2::timestamptz) AS answer;
