-- One item of usage, once per key. False: it was there.
-- in   call_id uuid, source text, item_key text, seconds int4, tokens jsonb, cost_micros int8, at timestamptz
-- out  added bool
-- rows 1
SELECT app.usage_add($1::uuid, $2::text, $3::text, $4::int4, $5::jsonb, $6::int8, $7::timestamptz) AS added;
