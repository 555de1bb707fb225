-- A tenant's own rule, which can only make the law's stricter; or its end.
-- in   doc jsonb, at timestamptz
-- out  answer jsonb
-- rows 1
SELECT app.rule_put($1::jsonb - 'actor', $1::jsonb ->> 'actor', $2::timestamptz) AS answer;
