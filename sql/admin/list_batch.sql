-- Some numbers of a list that is being loaded; words run beside phones, one for each.
-- in   doc jsonb, at timestamptz
-- out  answer jsonb
-- rows 1
SELECT app.list_batch(($1::jsonb ->> 'id')::uuid, $1::jsonb ->> 'kind', ARRAY(SELECT jsonb_array_elements_text($1::jsonb -> 'phones')),
                      ARRAY(SELECT jsonb_array_elements_text($1::jsonb -> 'words')), ($1::jsonb ->> 'rejected')::int8,
                      $1::jsonb ->> 'actor', $2::timestamptz) AS answer;
