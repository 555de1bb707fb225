-- The list comes into force, or, with an error, does not.
-- in   doc jsonb, at timestamptz
-- out  answer jsonb
-- rows 1
SELECT app.list_end(($1::jsonb ->> 'id')::uuid, $1::jsonb ->> 'kind', $1::jsonb ->> 'error', ($1::jsonb ->> 'rows')::int8,
                    $1::jsonb ->> 'actor', $2::timestamptz) AS answer;
