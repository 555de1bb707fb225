-- Where a campaign stands.
-- in   doc jsonb, at timestamptz
-- out  answer jsonb
-- rows 1
SELECT app.campaign_status($1::jsonb ->> 'campaign', $2::timestamptz) AS answer;
