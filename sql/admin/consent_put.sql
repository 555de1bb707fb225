-- Records a consent with its evidence.
-- in   doc jsonb, at timestamptz
-- out  answer jsonb
-- rows 1
SELECT app.consent_put($1::jsonb, $1::jsonb ->> 'actor', $2::timestamptz) AS answer;
