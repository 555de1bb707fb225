-- A page of leads with what the gate says of each, for a forecast.
-- in   doc jsonb, at timestamptz
-- out  answer jsonb
-- rows 1
SELECT app.forecast_page($1::jsonb, coalesce(($1::jsonb ->> 'at')::timestamptz, $2::timestamptz)) AS answer;
