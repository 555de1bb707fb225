-- An operator settles a call whose outcome nobody could tell. Audited.
-- in   doc jsonb, at timestamptz
-- out  answer jsonb
-- rows 1
SELECT app.call_settle(($1::jsonb ->> 'call')::uuid, $1::jsonb ->> 'verdict', $1::jsonb ->> 'outcome', $1::jsonb ->> 'why',
                       $1::jsonb ->> 'actor', $2::timestamptz) AS answer;
