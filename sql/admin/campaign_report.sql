-- What came of a campaign: funnel, outcomes, calls, tasks, rejects, recordings.
-- in   doc jsonb, at timestamptz
-- out  answer jsonb
-- rows 1
SELECT app.campaign_report($1::jsonb ->> 'campaign', ($1::jsonb ->> 'calls')::int4, $2::timestamptz) AS answer;
