-- How many attempts are unknown, since when the oldest, and how many live.
-- in   at timestamptz
-- out  unknown_calls int8, oldest_s int8, live_calls int8
-- rows 1
SELECT u.unknown_calls, u.oldest_s, u.live_calls FROM engine.unknown_state($1::timestamptz) u;
