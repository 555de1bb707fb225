-- Talks with people whose number came onto the list meanwhile; whoever holds one says goodbye.
-- in   want int4
-- out  call_id uuid
-- rows 0..want
SELECT r.call_id FROM engine.live_refused($1::int4) r;
