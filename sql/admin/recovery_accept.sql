-- "This database was restored": journals and the carrier's records are put back, then it is dialed on. Audited.
-- in   doc jsonb, at timestamptz
-- out  answer jsonb
-- rows 1
SELECT engine.recovery_accept(($1::jsonb ->> 'since')::timestamptz, $1::jsonb ->> 'why', $1::jsonb ->> 'actor', $2::timestamptz) AS answer;
