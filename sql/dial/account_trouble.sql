-- The carrier refuses the account itself: it rests for a while.
-- in   account_id uuid, detail text, rest_ms int8, at timestamptz
-- out  paused bool
-- rows 1
SELECT app.account_trouble($1::uuid, $2::text, $3::int8, $4::timestamptz) AS paused;
