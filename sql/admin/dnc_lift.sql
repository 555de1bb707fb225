-- Lifts the bar on a number: an audited act.
-- in   doc jsonb, at timestamptz
-- out  answer jsonb
-- rows 1
SELECT app.dnc_lift($1::jsonb ->> 'phone', $1::jsonb ->> 'reason', $1::jsonb ->> 'actor', $2::timestamptz) AS answer;
