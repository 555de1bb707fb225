-- Stops dialing for the platform, the tenant, a campaign or a number, or lets it go on.
-- in   doc jsonb, at timestamptz
-- out  answer jsonb
-- rows 1
SELECT CASE WHEN $1::jsonb ->> 'scope' = 'platform' THEN engine.pause_platform($1::jsonb - 'actor', $1::jsonb ->> 'actor', $2::timestamptz)
            ELSE app.pause_put($1::jsonb - 'actor', $1::jsonb ->> 'actor', $2::timestamptz) END AS answer;
