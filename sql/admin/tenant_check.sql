-- What doctor sees inside one organization.
-- in   doc jsonb, at timestamptz
-- out  answer jsonb
-- rows 1
SELECT app.tenant_check($2::timestamptz) AS answer
 WHERE $1::jsonb IS NOT NULL;
