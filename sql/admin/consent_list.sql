-- Consents, newest first.
-- in   doc jsonb, at timestamptz
-- out  answer jsonb
-- rows 1
SELECT app.consent_listing($1::jsonb ->> 'phone', ($1::jsonb ->> 'limit')::int4) AS answer
 WHERE $2::timestamptz IS NOT NULL;
