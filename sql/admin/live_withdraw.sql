-- Takes a test call out of the queue again.
-- in   doc jsonb, at timestamptz
-- out  answer jsonb
-- rows 1
SELECT app.live_withdraw(($1::jsonb ->> 'queue')::uuid, $1::jsonb -> 'was', $1::jsonb ->> 'actor', $2::timestamptz) AS answer;
