-- Rules in force, the law's and the tenant's own.
-- in   doc jsonb, at timestamptz
-- out  answer jsonb
-- rows 1
SELECT app.rule_listing($1::jsonb ->> 'jurisdiction', $2::timestamptz) AS answer;
