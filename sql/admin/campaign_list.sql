-- All campaigns that are not archived.
-- in   doc jsonb, at timestamptz
-- out  answer jsonb
-- rows 1
SELECT app.campaign_listing() AS answer
 WHERE $1::jsonb IS NOT NULL AND $2::timestamptz IS NOT NULL;
