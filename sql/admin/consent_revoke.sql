-- Revokes the consents of a number.
-- in   doc jsonb, at timestamptz
-- out  answer jsonb
-- rows 1
SELECT app.consent_revoke($1::jsonb ->> 'phone', $1::jsonb ->> 'scope', $1::jsonb ->> 'reason', $1::jsonb ->> 'actor', $2::timestamptz) AS answer;
