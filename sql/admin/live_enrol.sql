-- Asks the gate for one test call, and puts the number first in the campaign's queue.
-- in   doc jsonb, at timestamptz
-- out  answer jsonb
-- rows 1
SELECT app.live_enrol($1::jsonb ->> 'campaign', $1::jsonb ->> 'phone', $1::jsonb ->> 'actor', $2::timestamptz) AS answer;
