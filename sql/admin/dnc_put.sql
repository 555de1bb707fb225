-- Bars a number, and ends what is queued for it.
-- in   doc jsonb, at timestamptz
-- out  answer jsonb
-- rows 1
SELECT app.dnc_put($1::jsonb ->> 'phone', $1::jsonb ->> 'campaign', $1::jsonb ->> 'reason', $1::jsonb ->> 'words', $1::jsonb ->> 'actor', $2::timestamptz) AS answer;
