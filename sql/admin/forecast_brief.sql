-- A campaign, its places and its history: what a forecast begins with.
-- in   doc jsonb, at timestamptz
-- out  answer jsonb
-- rows 1
SELECT app.forecast_brief($1::jsonb, coalesce(($1::jsonb ->> 'at')::timestamptz, $2::timestamptz)) AS answer;
