-- Starts, pauses, resumes or cancels a campaign.
-- in   doc jsonb, at timestamptz
-- out  answer jsonb
-- rows 1
SELECT app.campaign_act($1::jsonb ->> 'campaign', $1::jsonb ->> 'act', $1::jsonb ->> 'actor', $2::timestamptz) AS answer;
