-- When one place is open, for a forecast.
-- in   doc jsonb, at timestamptz
-- out  answer jsonb
-- rows 1
SELECT app.forecast_opening($1::jsonb, coalesce(($1::jsonb ->> 'at')::timestamptz, $2::timestamptz)) AS answer;
